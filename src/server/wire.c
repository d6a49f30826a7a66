/* wire.c - what a collection looks like, ids, and the scalar members of a body.
 *
 * Qdrant tells two kinds of mistake apart, and clients check which one they get: a body whose form
 * is wrong (a text where a number belongs) is 400 "Format error in JSON body", a well-formed value
 * out of bounds is 422 "Validation error in JSON body: [field: ...]". Every reader here keeps to
 * that.
 *
 * A shape is read from the collection's own description rather than kept beside it, so that it can
 * never be older than the collection: another process may change the settings at any time.
 */
#include "server/wire.h"

#include <stdio.h>

/* ---- Shapes */

static bool
shape_field(hwi_request *r, const hwi_json *j, bool is_sparse, hwi_shape_field *out)
{
    const hwi_json *dim = hwi_json_member(j, "dim"), *metric = hwi_json_member(j, "metric");
    const hwi_json *multi = hwi_json_member(j, "multivector_config");
    *out = (hwi_shape_field){.name = j->key, .kind = HWI_VECTOR_DENSE, .metric = "dot"};
    if (is_sparse) {
        out->kind = HWI_VECTOR_SPARSE;
        return true;
    }
    if (multi && multi->kind == HWI_JSON_OBJECT) out->kind = HWI_VECTOR_MULTI;
    if (!hwi_json_is_number(dim) || !metric || metric->kind != HWI_JSON_TEXT) {
        return hwi_refuse(r, 500, "Service internal error: a vector is not described");
    }
    out->dim = (uint32_t)dim->integer;
    out->metric = metric->text;
    return true;
}

static bool
shape_fields(hwi_request *r, const hwi_json *described, hwi_shape *out)
{
    const hwi_json *dense = hwi_json_member(described, "vectors");
    const hwi_json *sparse = hwi_json_member(described, "sparse_vectors");
    size_t count = (dense ? dense->count : 0) + (sparse ? sparse->count : 0);
    hwi_shape_field *fields = hwi_request_alloc(r, (count ? count : 1) * sizeof *fields);
    if (!fields) return false;
    size_t n = 0;
    for (const hwi_json *j = dense ? dense->child : NULL; j; j = j->next) {
        if (!shape_field(r, j, false, &fields[n++])) return false;
    }
    for (const hwi_json *j = sparse ? sparse->child : NULL; j; j = j->next) {
        if (!shape_field(r, j, true, &fields[n++])) return false;
    }
    out->fields = fields;
    out->field_count = n;
    return true;
}

bool
hwi_shape_of(hwi_request *r, hw_collection *c, hwi_shape *out)
{
    hw_error err;
    char *text = NULL;
    *out = (hwi_shape){.collection = c};
    if (!hwi_ok(r, hw_collection_describe(c, &text, &err), &err)) return false;
    hw_status st = hwi_json_parse(text, strlen(text), &r->arena, &out->described, &err);
    hw_free(text);
    if (!hwi_ok(r, st, &err)) return false;
    const hwi_json *extra = hwi_json_member(out->described, "extra");
    const hwi_json *string_ids = hwi_json_member(extra, "string_ids");
    out->string_ids = !(string_ids && string_ids->kind == HWI_JSON_BOOL && !string_ids->boolean);
    return shape_fields(r, out->described, out);
}

const hwi_shape_field *
hwi_shape_field_named(hwi_request *r, const hwi_shape *shape, const char *name)
{
    if (!name) name = "";
    for (size_t i = 0; i < shape->field_count; i++) {
        if (strcmp(shape->fields[i].name, name) == 0) return &shape->fields[i];
    }
    hwi_refuse(r, 400, "Wrong input: Not existing vector name error: %s", name);
    return NULL;
}

/* ---- Ids */

static bool
refuse_id(hwi_request *r, const hwi_json *j)
{
    hwi_buf shown = {0};
    if (j->kind == HWI_JSON_ARRAY || j->kind == HWI_JSON_OBJECT) {
        hwi_buf_text(&shown, "of this kind");
    } else {
        hwi_json_write(&shown, j);
    }
    hwi_buf_add(&shown, "", 1);
    hwi_refuse_format(r,
                      "value %s is not a valid point ID, valid values are either an unsigned "
                      "integer or a UUID",
                      shown.failed ? "?" : (const char *)shown.data);
    hwi_buf_release(&shown);
    return false;
}

bool
hwi_read_id(hwi_request *r, const hwi_shape *shape, const hwi_json *j, hw_id *out)
{
    if (j->kind != HWI_JSON_INT && j->kind != HWI_JSON_UINT && j->kind != HWI_JSON_TEXT) {
        return refuse_id(r, j);
    }
    if (hwi_json_id(j, out, NULL) != HW_OK) return refuse_id(r, j);
    if (out->kind == HW_ID_KIND_TEXT && !shape->string_ids) return refuse_id(r, j);
    return true;
}

bool
hwi_read_ids(hwi_request *r, const hwi_shape *shape, const hwi_json *j, hw_id **out, size_t *count)
{
    if (!j || j->kind != HWI_JSON_ARRAY) {
        return hwi_refuse_format(r, "expected an array of point ids");
    }
    hw_id *ids = hwi_request_alloc(r, (j->count ? j->count : 1) * sizeof *ids);
    if (!ids) return false;
    size_t n = 0;
    hwi_json_items items;
    for (const hwi_json *i = hwi_json_first(&items, j); i; i = hwi_json_next(&items)) {
        if (!hwi_read_id(r, shape, i, &ids[n++])) return false;
    }
    *out = ids;
    *count = n;
    return true;
}

/* ---- Scalars */

/* The member, or NULL when absent or null. */
static const hwi_json *
present(const hwi_json *o, const char *key)
{
    const hwi_json *j = hwi_json_member(o, key);
    return j && j->kind != HWI_JSON_NULL ? j : NULL;
}

bool
hwi_read_u32(hwi_request *r, const hwi_json *o, const char *key, uint32_t otherwise, uint32_t low,
             uint32_t high, uint32_t *out)
{
    const hwi_json *j = present(o, key);
    *out = otherwise;
    if (!j) return true;
    if ((j->kind != HWI_JSON_INT && j->kind != HWI_JSON_UINT) ||
        (j->kind == HWI_JSON_INT && j->integer < 0)) {
        return hwi_refuse_format(r, "%s: expected an unsigned whole number", key);
    }
    uint64_t value = (uint64_t)j->integer;
    if (value < low && high == UINT32_MAX) {
        return hwi_refuse_value(r, key, "value %llu invalid, must be %u or larger",
                                (unsigned long long)value, low);
    }
    if (value < low || value > high) {
        return hwi_refuse_value(r, key, "value %llu invalid, must be from %u to %u",
                                (unsigned long long)value, low, high);
    }
    *out = (uint32_t)value;
    return true;
}

bool
hwi_read_f64(hwi_request *r, const hwi_json *o, const char *key, double otherwise, double *out,
             bool *is_there)
{
    const hwi_json *j = present(o, key);
    *out = otherwise;
    if (is_there) *is_there = j != NULL;
    if (!j) return true;
    if (!hwi_json_is_number(j)) return hwi_refuse_format(r, "%s: expected a number", key);
    *out = j->number;
    return true;
}

bool
hwi_read_bool(hwi_request *r, const hwi_json *o, const char *key, bool otherwise, bool *out)
{
    const hwi_json *j = present(o, key);
    *out = otherwise;
    if (!j) return true;
    if (j->kind != HWI_JSON_BOOL) return hwi_refuse_format(r, "%s: expected a boolean", key);
    *out = j->boolean;
    return true;
}

bool
hwi_read_text(hwi_request *r, const hwi_json *o, const char *key, const char **out)
{
    const hwi_json *j = present(o, key);
    *out = NULL;
    if (!j) return true;
    if (j->kind != HWI_JSON_TEXT) return hwi_refuse_format(r, "%s: expected a text", key);
    if (strlen(j->text) != j->text_bytes) {
        return hwi_refuse_value(r, key, "has a zero byte");
    }
    *out = j->text;
    return true;
}
