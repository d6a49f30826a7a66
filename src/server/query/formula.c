/* formula.c - the value of a formula for one point.
 *
 * Evaluated in doubles, returned as a float. Two shortcuts are part of the meaning, not of speed: a
 * product that meets a zero and a fraction of zero are 0 whatever follows, so what follows may lack
 * its value. A result that is not finite is the client's mistake and refused with the operation and
 * its operands.
 */
#include "server/query/formula.h"

#include <math.h>

typedef struct evaluation {
    hwi_request *r;
    const hwi_formula_point *point;
} evaluation;

static bool value_of(evaluation *e, const hwi_expr *x, double *out);

bool
hwi_formula_needs_payload(const hwi_formula *f)
{
    return f->needs_payload;
}

size_t
hwi_formula_condition_count(const hwi_formula *f)
{
    return f->condition_count;
}

const char *
hwi_formula_condition(const hwi_formula *f, size_t i, size_t *bytes)
{
    *bytes = f->conditions[i].bytes;
    return f->conditions[i].filter;
}

/* ---- Variables */

typedef struct found {
    const hwi_json *value;
    size_t count;
} found;

static void
note(void *arg, const hwi_json *value)
{
    found *f = arg;
    if (value->kind == HWI_JSON_NULL) return; /* as if it was not there */
    if (f->count++ == 0) f->value = value;
}

static bool
refuse_variable(evaluation *e, const hwi_expr *x, const char *kind, const char *why)
{
    return hwi_refuse(e->r, 400,
                      "Wrong input: Expected %s value for %s in the payload and/or in the formula "
                      "defaults. Error: %s",
                      kind, x->path, why);
}

/* The one value at the path, or the default. */
static bool
lookup(evaluation *e, const hwi_expr *x, const char *kind, const hwi_json **out)
{
    found f = {0};
    hwi_values_at(e->point->payload, x->path, note, &f);
    *out = f.count ? f.value : x->fallback;
    if (f.count > 1) return refuse_variable(e, x, kind, "found an array of several values");
    if (*out) return true;
    return refuse_variable(e, x, kind, "No value found in a payload nor defaults");
}

static double
score_of(const evaluation *e, const hwi_expr *x)
{
    const hwi_formula_point *p = e->point;
    if (x->index < p->score_count && !isnan(p->scores[x->index])) return p->scores[x->index];
    return x->fallback ? x->fallback->number : 0;
}

static bool
payload_of(evaluation *e, const hwi_expr *x, double *out)
{
    const hwi_json *v;
    if (!lookup(e, x, "number", &v)) return false;
    if (!hwi_json_is_number(v)) return refuse_variable(e, x, "number", "Value is not a number");
    *out = v->number;
    return true;
}

static bool
geo_of(evaluation *e, const hwi_expr *x, double *out)
{
    const hwi_json *v;
    if (!lookup(e, x, "geo point", &v)) return false;
    const hwi_json *lat = hwi_json_member(v, "lat"), *lon = hwi_json_member(v, "lon");
    if (!hwi_json_is_number(lat) || !hwi_json_is_number(lon)) {
        return refuse_variable(e, x, "geo point", "Value is not a geo point");
    }
    *out = hwi_globe_metres(x->lat, x->lon, lat->number, lon->number);
    return true;
}

static bool
date_of(evaluation *e, const hwi_expr *x, double *out)
{
    const hwi_json *v;
    if (!lookup(e, x, "datetime", &v)) return false;
    if (v->kind != HWI_JSON_TEXT) {
        return refuse_variable(e, x, "datetime", "Value is not a string");
    }
    if (!hwi_date_seconds(v->text, out)) {
        return refuse_variable(e, x, "datetime", "Value is not a date");
    }
    return true;
}

/* ---- Operations */

static bool
mult_of(evaluation *e, const hwi_expr *x, double *out)
{
    double value;
    *out = 1;
    for (size_t i = 0; i < x->part_count; i++) {
        if (!value_of(e, &x->parts[i], &value)) return false;
        if (value == 0) {
            *out = 0;
            return true;
        }
        *out *= value;
    }
    return true;
}

static bool
sum_of(evaluation *e, const hwi_expr *x, double *out)
{
    double value;
    *out = 0;
    for (size_t i = 0; i < x->part_count; i++) {
        if (!value_of(e, &x->parts[i], &value)) return false;
        *out += value;
    }
    return true;
}

static bool
div_of(evaluation *e, const hwi_expr *x, double *out)
{
    double left, right;
    if (!value_of(e, &x->parts[0], &left)) return false;
    *out = 0;
    if (left == 0) return true;
    if (!value_of(e, &x->parts[1], &right)) return false;
    *out = right == 0 && x->has_by_zero ? x->constant : left / right;
    if (isfinite(*out)) return true;
    return hwi_refuse(e->r, 400,
                      "Wrong input: The expression %g/%g = %g produced a non-finite number", left,
                      right, *out);
}

static bool
pow_of(evaluation *e, const hwi_expr *x, double *out)
{
    double base, exponent;
    if (!value_of(e, &x->parts[0], &base) || !value_of(e, &x->parts[1], &exponent)) return false;
    *out = pow(base, exponent);
    if (isfinite(*out)) return true;
    return hwi_refuse(e->r, 400,
                      "Wrong input: The expression %g^%g = %g produced a non-finite number", base,
                      exponent, *out);
}

static bool
function_of(evaluation *e, const hwi_expr *x, double *out)
{
    double v;
    const char *name = "";
    if (!value_of(e, &x->parts[0], &v)) return false;
    switch (x->op) {
    case HWI_OP_NEG:
        *out = -v;
        return true;
    case HWI_OP_ABS:
        *out = fabs(v);
        return true;
    case HWI_OP_SQRT:
        *out = sqrt(v), name = "sqrt";
        break;
    case HWI_OP_EXP:
        *out = exp(v), name = "exp";
        break;
    case HWI_OP_LOG10:
        *out = log10(v), name = "log10";
        break;
    case HWI_OP_LN:
        *out = log(v), name = "ln";
        break;
    default:
        HWI_UNREACHABLE("an operation that is no function");
    }
    if (isfinite(*out)) return true;
    return hwi_refuse(e->r, 400,
                      "Wrong input: The expression %s(%g) = %g produced a non-finite number", name,
                      v, *out);
}

static bool
decay_of(evaluation *e, const hwi_expr *x, double *out)
{
    double v, target = 0;
    if (!value_of(e, &x->parts[0], &v)) return false;
    if (x->part_count > 1 && !value_of(e, &x->parts[1], &target)) return false;
    double off = fabs(v - target);
    *out = x->op == HWI_OP_LIN_DECAY   ? fmax(1 - x->constant * off, 0)
           : x->op == HWI_OP_EXP_DECAY ? exp(x->constant * off)
                                       : exp(x->constant * off * off);
    return true;
}

static bool
value_of(evaluation *e, const hwi_expr *x, double *out)
{
    switch (x->op) {
    case HWI_OP_CONSTANT:
        *out = x->constant;
        return true;
    case HWI_OP_SCORE:
        *out = score_of(e, x);
        return true;
    case HWI_OP_PAYLOAD:
        return payload_of(e, x, out);
    case HWI_OP_CONDITION:
        *out = e->point->conditions[x->index] ? 1 : 0;
        return true;
    case HWI_OP_GEO:
        return geo_of(e, x, out);
    case HWI_OP_DATE:
        return date_of(e, x, out);
    case HWI_OP_MULT:
        return mult_of(e, x, out);
    case HWI_OP_SUM:
        return sum_of(e, x, out);
    case HWI_OP_DIV:
        return div_of(e, x, out);
    case HWI_OP_POW:
        return pow_of(e, x, out);
    case HWI_OP_NEG:
    case HWI_OP_ABS:
    case HWI_OP_SQRT:
    case HWI_OP_EXP:
    case HWI_OP_LOG10:
    case HWI_OP_LN:
        return function_of(e, x, out);
    case HWI_OP_LIN_DECAY:
    case HWI_OP_EXP_DECAY:
    case HWI_OP_GAUSS_DECAY:
        return decay_of(e, x, out);
    }
    HWI_UNREACHABLE("an operation that does not exist");
}

bool
hwi_formula_value(hwi_request *r, const hwi_formula *f, const hwi_formula_point *point, float *out)
{
    evaluation e = {.r = r, .point = point};
    double value;
    if (!value_of(&e, &f->root, &value)) return false;
    *out = (float)value;
    if (isfinite(*out)) return true;
    return hwi_refuse(r, 400,
                      "Wrong input: The expression %g as f32 = %g produced a non-finite number",
                      value, (double)*out);
}
