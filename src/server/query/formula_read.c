/* formula_read.c - a formula's JSON as a tree of operations.
 *
 * An expression is a number, the name of a variable ("$score", "$score[1]" or a payload path), an
 * object whose one member names an operation, or a filter condition, which counts 1 where it holds.
 * Recursion is bounded by the depth of JSON itself. What can be computed once is computed here: the
 * two parameters of a decay become one, defaults go to the variables they stand for.
 */
#include "server/query/formula.h"

#include <ctype.h>
#include <math.h>

typedef struct reader {
    hwi_request *r;
    hwi_formula *formula;
    const hwi_json *defaults;
    size_t node_count;
} reader;

static bool read_expr(reader *rd, const hwi_json *j, hwi_expr *out);

static bool
refuse_form(reader *rd)
{
    return hwi_refuse_format(rd->r, "data did not match any variant of untagged enum Expression");
}

/* ---- Variables */

/* "$score" and "$score[2]"; false if it is neither. */
static bool
score_index(const char *name, size_t *out)
{
    *out = 0;
    if (strncmp(name, "$score", 6) != 0) return false;
    const char *at = name + 6;
    if (!*at) return true;
    if (*at++ != '[' || !isdigit((unsigned char)*at)) return false;
    for (; isdigit((unsigned char)*at) && *out < 1000000; at++) {
        *out = *out * 10 + (size_t)(*at - '0');
    }
    return at[0] == ']' && !at[1];
}

static bool
check_variable(reader *rd, const char *name, bool is_default)
{
    size_t index;
    bool is_reserved = name[0] == '$';
    if (is_reserved ? score_index(name, &index) : hwi_path_is_valid(name)) return true;
    const char *what = !is_reserved                      ? "payload variable"
                       : strncmp(name, "$score", 6) == 0 ? "reserved variable"
                                                         : "reserved word";
    if (is_default) return hwi_refuse_value(rd->r, "query.defaults", "Invalid %s: %s", what, name);
    return hwi_refuse(rd->r, 400, "Wrong input: failed to parse variable ID %s: Invalid %s: %s",
                      name, what, name);
}

static const hwi_json *
default_of(const reader *rd, const char *name)
{
    size_t wanted, index;
    bool is_score = score_index(name, &wanted);
    const hwi_json *found = NULL;
    for (const hwi_json *d = rd->defaults ? rd->defaults->child : NULL; d; d = d->next) {
        bool same =
            is_score ? score_index(d->key, &index) && index == wanted : strcmp(d->key, name) == 0;
        if (same) found = d;
    }
    return found;
}

static bool
read_variable(reader *rd, const hwi_json *j, hwi_expr *out)
{
    if (strlen(j->text) != j->text_bytes) return refuse_form(rd);
    if (!check_variable(rd, j->text, false)) return false;
    out->fallback = default_of(rd, j->text);
    if (score_index(j->text, &out->index)) {
        out->op = HWI_OP_SCORE;
        return true;
    }
    out->op = HWI_OP_PAYLOAD;
    out->path = j->text;
    rd->formula->needs_payload = true;
    return true;
}

/* A path that an operation itself takes. */
static bool
read_path(reader *rd, const hwi_json *j, hwi_expr *out)
{
    if (!j || j->kind != HWI_JSON_TEXT || strlen(j->text) != j->text_bytes ||
        !hwi_path_is_valid(j->text)) {
        return refuse_form(rd);
    }
    out->path = j->text;
    out->fallback = default_of(rd, j->text);
    rd->formula->needs_payload = true;
    return true;
}

/* ---- Operations */

static bool
read_parts(reader *rd, const hwi_json *const *from, size_t count, hwi_expr *out)
{
    hwi_expr *parts = hwi_request_alloc(rd->r, (count ? count : 1) * sizeof *parts);
    if (!parts) return false;
    for (size_t i = 0; i < count; i++) {
        if (!read_expr(rd, from[i], &parts[i])) return false;
    }
    out->parts = parts;
    out->part_count = count;
    return true;
}

static bool
read_one(reader *rd, const hwi_json *j, hwi_expr *out)
{
    return read_parts(rd, &j, 1, out);
}

static bool
read_list(reader *rd, const hwi_json *j, hwi_expr *out)
{
    if (j->kind != HWI_JSON_ARRAY) return refuse_form(rd);
    if (j->count > HWI_FORMULA_NODES_MAX) {
        return hwi_refuse(rd->r, 400, "Wrong input: a formula has more than %u parts",
                          HWI_FORMULA_NODES_MAX);
    }
    size_t room = j->count ? j->count : 1, n = 0;
    const hwi_json **from = hwi_request_alloc(rd->r, room * sizeof *from);
    hwi_json *copies = hwi_request_alloc(rd->r, room * sizeof *copies); /* items come and go */
    hwi_json_items items;
    if (!from || !copies) return false;
    for (const hwi_json *e = hwi_json_first(&items, j); e; e = hwi_json_next(&items), n++) {
        copies[n] = *e;
        from[n] = &copies[n];
    }
    return read_parts(rd, from, n, out);
}

static bool
read_div(reader *rd, const hwi_json *j, hwi_expr *out)
{
    const hwi_json *parts[] = {hwi_json_member(j, "left"), hwi_json_member(j, "right")};
    if (!parts[0] || !parts[1]) return refuse_form(rd);
    return hwi_read_f64(rd->r, j, "by_zero_default", 0, &out->constant, &out->has_by_zero) &&
           read_parts(rd, parts, 2, out);
}

static bool
read_pow(reader *rd, const hwi_json *j, hwi_expr *out)
{
    const hwi_json *parts[] = {hwi_json_member(j, "base"), hwi_json_member(j, "exponent")};
    if (!parts[0] || !parts[1]) return refuse_form(rd);
    return read_parts(rd, parts, 2, out);
}

static bool
read_geo(reader *rd, const hwi_json *j, hwi_expr *out)
{
    const hwi_json *origin = hwi_json_member(j, "origin");
    const hwi_json *lat = hwi_json_member(origin, "lat"), *lon = hwi_json_member(origin, "lon");
    if (!hwi_json_is_number(lat) || !hwi_json_is_number(lon)) return refuse_form(rd);
    if (fabs(lat->number) > 90 || fabs(lon->number) > 180) {
        return hwi_refuse_format(rd->r,
                                 "Wrong format of GeoPoint payload: expected `lat` = %g "
                                 "within [-90;90] and `lon` = %g within [-180;180]",
                                 lat->number, lon->number);
    }
    out->lat = lat->number;
    out->lon = lon->number;
    return read_path(rd, hwi_json_member(j, "to"), out);
}

static bool
read_date(reader *rd, const hwi_json *j, hwi_expr *out)
{
    if (j->kind != HWI_JSON_TEXT) return refuse_form(rd);
    out->op = HWI_OP_CONSTANT;
    if (hwi_date_seconds(j->text, &out->constant)) return true;
    return hwi_refuse(rd->r, 400, "Wrong input: failed to parse date-time %s", j->text);
}

/* One number instead of two: how fast it falls such that `scale` away from the target the value is
 * `midpoint`. */
static bool
read_lambda(reader *rd, const hwi_json *j, hwi_expr *out)
{
    double midpoint, scale;
    if (!hwi_read_f64(rd->r, j, "midpoint", 0.5, &midpoint, NULL) ||
        !hwi_read_f64(rd->r, j, "scale", 1, &scale, NULL)) {
        return false;
    }
    bool is_linear = out->op == HWI_OP_LIN_DECAY;
    if (is_linear && !(midpoint >= 0 && midpoint <= 1)) {
        return hwi_refuse(rd->r, 400,
                          "Wrong input: Linear decay midpoint should be in the range [0.0, 1.0], "
                          "got %g.",
                          midpoint);
    }
    if (!is_linear && !(midpoint > 0 && midpoint < 1)) {
        return hwi_refuse(rd->r, 400,
                          "Wrong input: Decay midpoint should be in the range (0.0, 1.0), got %g.",
                          midpoint);
    }
    if (!(scale > 0)) {
        return hwi_refuse(rd->r, 400,
                          "Wrong input: Decay scale should be non-zero positive, got %g.", scale);
    }
    out->constant = is_linear                       ? (1 - midpoint) / scale
                    : out->op == HWI_OP_GAUSS_DECAY ? log(midpoint) / (scale * scale)
                                                    : log(midpoint) / scale;
    return true;
}

static bool
read_decay(reader *rd, const hwi_json *j, hwi_expr *out)
{
    const hwi_json *parts[] = {hwi_json_member(j, "x"), hwi_json_member(j, "target")};
    if (!parts[0]) return refuse_form(rd);
    bool has_target = parts[1] && parts[1]->kind != HWI_JSON_NULL;
    return read_lambda(rd, j, out) && read_parts(rd, parts, has_target ? 2 : 1, out);
}

static const struct {
    const char *name;
    hwi_op op;
    bool (*read)(reader *rd, const hwi_json *j, hwi_expr *out);
} operations[] = {
    {"mult", HWI_OP_MULT, read_list},
    {"sum", HWI_OP_SUM, read_list},
    {"neg", HWI_OP_NEG, read_one},
    {"abs", HWI_OP_ABS, read_one},
    {"div", HWI_OP_DIV, read_div},
    {"sqrt", HWI_OP_SQRT, read_one},
    {"pow", HWI_OP_POW, read_pow},
    {"exp", HWI_OP_EXP, read_one},
    {"log10", HWI_OP_LOG10, read_one},
    {"ln", HWI_OP_LN, read_one},
    {"lin_decay", HWI_OP_LIN_DECAY, read_decay},
    {"exp_decay", HWI_OP_EXP_DECAY, read_decay},
    {"gauss_decay", HWI_OP_GAUSS_DECAY, read_decay},
    {"geo_distance", HWI_OP_GEO, read_geo},
    {"datetime", HWI_OP_DATE, read_date},
    {"datetime_key", HWI_OP_DATE, read_path},
};

/* ---- Conditions */

static bool
is_condition(const hwi_json *j)
{
    static const char *const names[] = {"key",    "is_empty", "is_null",    "has_id",
                                        "nested", "must",     "has_vector", "should",
                                        "slice",  "must_not", "min_should"};
    for (size_t i = 0; i < HWI_COUNT(names); i++) {
        if (hwi_json_member(j, names[i])) return true;
    }
    return false;
}

static bool
read_condition(reader *rd, const hwi_json *j, hwi_expr *out)
{
    hwi_formula *f = rd->formula;
    if (!is_condition(j)) return refuse_form(rd);
    if (f->condition_count == HWI_FORMULA_CONDITIONS_MAX) {
        return hwi_refuse(rd->r, 400, "Wrong input: a formula has more than %u conditions",
                          HWI_FORMULA_CONDITIONS_MAX);
    }
    hwi_buf text = {0};
    hwi_buf_text(&text, "{\"must\":[");
    hwi_json_write(&text, j);
    hwi_buf_text(&text, "]}");
    char *copy = text.failed ? NULL : hwi_request_alloc(rd->r, text.size + 1);
    if (copy) {
        memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
        f->conditions[f->condition_count] = (hwi_condition){copy, text.size};
        out->op = HWI_OP_CONDITION;
        out->index = f->condition_count++;
    }
    bool failed = text.failed;
    hwi_buf_release(&text);
    return failed ? hwi_refuse(rd->r, 503, "out of memory") : copy != NULL;
}

/* ---- The whole */

static bool
read_expr(reader *rd, const hwi_json *j, hwi_expr *out)
{
    *out = (hwi_expr){.op = HWI_OP_CONSTANT};
    if (++rd->node_count > HWI_FORMULA_NODES_MAX) {
        return hwi_refuse(rd->r, 400, "Wrong input: a formula has more than %u parts",
                          HWI_FORMULA_NODES_MAX);
    }
    if (hwi_json_is_number(j)) {
        out->constant = (float)j->number; /* as Qdrant reads them */
        return true;
    }
    if (j->kind == HWI_JSON_TEXT) return read_variable(rd, j, out);
    if (j->kind != HWI_JSON_OBJECT) return refuse_form(rd);
    for (size_t i = 0; i < HWI_COUNT(operations); i++) {
        const hwi_json *operand = hwi_json_member(j, operations[i].name);
        if (!operand) continue;
        out->op = operations[i].op;
        return operations[i].read(rd, operand, out);
    }
    return read_condition(rd, j, out);
}

static bool
check_defaults(reader *rd)
{
    size_t index;
    if (!rd->defaults || rd->defaults->kind == HWI_JSON_NULL) {
        rd->defaults = NULL;
        return true;
    }
    if (rd->defaults->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(rd->r, "defaults: expected an object");
    }
    for (const hwi_json *d = rd->defaults->child; d; d = d->next) {
        if (!check_variable(rd, d->key, true)) return false;
        if (score_index(d->key, &index) && !hwi_json_is_number(d)) {
            return hwi_refuse_value(rd->r, "query.defaults", "Score default must be a number");
        }
    }
    return true;
}

bool
hwi_formula_read(hwi_request *r, const hwi_json *j, const hwi_formula **out)
{
    hwi_formula *f = hwi_request_alloc(r, sizeof *f);
    if (!f) return false;
    memset(f, 0, sizeof *f);
    reader rd = {.r = r, .formula = f, .defaults = hwi_json_member(j, "defaults")};
    if (!check_defaults(&rd)) return false;
    if (!read_expr(&rd, hwi_json_member(j, "formula"), &f->root)) return false;
    *out = f;
    return true;
}
