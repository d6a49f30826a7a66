/* wire_read.c - vectors, filters and selectors as they stand in a body.
 *
 * A vector's form says its kind before the collection is asked: an array of numbers is dense, an
 * array of arrays a multi-vector, an object with `indices` sparse. Where form and field disagree
 * Qdrant's sentence for it is used. One exception: a plain array given to a multi-vector field is
 * its one row.
 */
#include "server/wire.h"
#include "server/wire_select.h"

#include <math.h>
#include <stdlib.h>

/* ---- Vectors */

static bool
read_floats(hwi_request *r, const hwi_json *j, float *out)
{
    hwi_json_items items;
    for (const hwi_json *v = hwi_json_first(&items, j); v; v = hwi_json_next(&items)) {
        if (!hwi_json_is_number(v)) {
            return hwi_refuse_format(r, "a vector holds something that is no number");
        }
        float f = (float)v->number;
        if (!isfinite(f)) return hwi_refuse_format(r, "a number is out of range of a float");
        *out++ = f;
    }
    return true;
}

static bool
check_dim(hwi_request *r, const hwi_shape_field *field, size_t got)
{
    if (got == field->dim) return true;
    if (got == 0) return hwi_refuse_value(r, "vector", "must not be empty");
    return hwi_refuse(r, 400, "Wrong input: Vector dimension error: expected dim: %u, got %zu",
                      field->dim, got);
}

static bool
read_dense(hwi_request *r, const hwi_shape_field *field, const hwi_json *j, hw_vector *out)
{
    if (!check_dim(r, field, j->count)) return false;
    float *values = hwi_request_alloc(r, j->count * sizeof *values);
    if (!values || !read_floats(r, j, values)) return false;
    *out = (hw_vector){.name = field->name, .values = values, .dim = field->dim, .rows = 1};
    return true;
}

static bool
read_multi(hwi_request *r, const hwi_shape_field *field, const hwi_json *j, hw_vector *out)
{
    size_t dim = j->child->count;
    for (const hwi_json *row = j->child; row; row = row->next) {
        if (row->kind != HWI_JSON_ARRAY) {
            return hwi_refuse_format(r, "a multi-vector holds something that is no array");
        }
        if (row->count == 0) {
            return hwi_refuse_value(r, "vector.data", "all vectors must be non-empty");
        }
        if (row->count != dim) {
            return hwi_refuse_value(r, "vector.data",
                                    "all vectors must have the same dimension, found vector with "
                                    "dimension %zu",
                                    row->count);
        }
    }
    if (!check_dim(r, field, dim)) return false;
    float *values = hwi_request_alloc(r, hwi_size_mul(j->count, dim * sizeof *values));
    if (!values) return false;
    size_t n = 0;
    for (const hwi_json *row = j->child; row; row = row->next, n++) {
        if (!read_floats(r, row, values + n * dim)) return false;
    }
    *out =
        (hw_vector){.name = field->name, .values = values, .dim = field->dim, .rows = (uint32_t)n};
    return true;
}

static int
compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool
check_unique(hwi_request *r, const uint32_t *indices, size_t count)
{
    uint32_t *sorted = hwi_request_alloc(r, (count ? count : 1) * sizeof *sorted);
    if (!sorted) return false;
    if (count) memcpy(sorted, indices, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_u32);
    for (size_t i = 1; i < count; i++) {
        if (sorted[i] == sorted[i - 1]) {
            return hwi_refuse_value(r, "vector.indices", "must be unique");
        }
    }
    return true;
}

static bool
read_sparse(hwi_request *r, const hwi_shape_field *field, const hwi_json *j, hw_vector *out)
{
    const hwi_json *indices = hwi_json_member(j, "indices"), *values = hwi_json_member(j, "values");
    if (!indices || !values || indices->kind != HWI_JSON_ARRAY || values->kind != HWI_JSON_ARRAY) {
        return hwi_refuse_format(r, "a sparse vector has the arrays `indices` and `values`");
    }
    if (indices->count != values->count) {
        return hwi_refuse_value(r, "vector.values", "must be the same length as indices");
    }
    size_t count = indices->count, n = 0;
    uint32_t *at = hwi_request_alloc(r, (count ? count : 1) * sizeof *at);
    float *floats = hwi_request_alloc(r, (count ? count : 1) * sizeof *floats);
    if (!at || !floats) return false;
    hwi_json_items items;
    for (const hwi_json *i = hwi_json_first(&items, indices); i; i = hwi_json_next(&items)) {
        if (i->kind != HWI_JSON_INT || i->integer < 0 || i->integer > UINT32_MAX) {
            return hwi_refuse_format(r, "an index of a sparse vector is no unsigned 32-bit number");
        }
        at[n++] = (uint32_t)i->integer;
    }
    if (!read_floats(r, values, floats) || !check_unique(r, at, count)) return false;
    *out = (hw_vector){
        .name = field->name, .values = floats, .dim = (uint32_t)count, .rows = 1, .indices = at};
    return true;
}

/* Text, picture or object that Qdrant would hand to an inference service. */
static bool
wants_inference(const hwi_json *j)
{
    const hwi_json *model = hwi_json_member(j, "model");
    return model && model->kind == HWI_JSON_TEXT &&
           (hwi_json_member(j, "text") || hwi_json_member(j, "image") ||
            hwi_json_member(j, "object"));
}

bool
hwi_read_vector(hwi_request *r, const hwi_shape_field *field, const hwi_json *j, hw_vector *out)
{
    if (j->kind == HWI_JSON_OBJECT && wants_inference(j)) {
        return hwi_refuse(r, 400,
                          "Wrong input: InferenceService is not initialized: vectors are made by "
                          "the client");
    }
    if (j->kind == HWI_JSON_OBJECT) {
        if (field->kind == HWI_VECTOR_SPARSE) return read_sparse(r, field, j, out);
        if (!hwi_json_member(j, "indices")) {
            return hwi_refuse_format(r, "expected a vector, found an object");
        }
        return hwi_refuse(r, 400,
                          "Wrong input: Conversion between sparse and regular vectors failed");
    }
    if (j->kind != HWI_JSON_ARRAY) return hwi_refuse_format(r, "expected a vector");
    if (field->kind == HWI_VECTOR_SPARSE) {
        return hwi_refuse(r, 400,
                          "Wrong input: Conversion between sparse and regular vectors failed");
    }
    bool is_multi = j->child && j->child->kind == HWI_JSON_ARRAY;
    if (is_multi && field->kind == HWI_VECTOR_DENSE) {
        return hwi_refuse(r, 400,
                          "Wrong input: Conversion between multi and regular vectors failed");
    }
    return is_multi ? read_multi(r, field, j, out) : read_dense(r, field, j, out);
}

static bool
read_named(hwi_request *r, const hwi_shape *shape, const hwi_json *j, hw_vector *out, size_t *count)
{
    for (const hwi_json *v = j->child; v; v = v->next) {
        if (strlen(v->key) != v->key_bytes) {
            return hwi_refuse_format(r, "a vector name has a zero byte");
        }
        const hwi_shape_field *field = hwi_shape_field_named(r, shape, v->key);
        if (!field) return false;
        if (!hwi_read_vector(r, field, v, &out[*count])) return false;
        for (size_t i = 0; i < *count; i++) {
            if (out[i].name == field->name) {
                return hwi_refuse_format(r, "vector `%s` occurs twice", v->key);
            }
        }
        ++*count;
    }
    return true;
}

bool
hwi_read_vectors(hwi_request *r, const hwi_shape *shape, const hwi_json *j, hw_vector **out,
                 size_t *count)
{
    *out = NULL;
    *count = 0;
    if (!j || (j->kind != HWI_JSON_ARRAY && j->kind != HWI_JSON_OBJECT)) {
        return hwi_refuse_format(r, j ? "expected a vector" : "missing field `vector`");
    }
    bool is_named = j->kind == HWI_JSON_OBJECT && !wants_inference(j);
    size_t room = is_named ? j->count : 1;
    hw_vector *vectors = hwi_request_alloc(r, (room ? room : 1) * sizeof *vectors);
    if (!vectors) return false;
    *out = vectors;
    if (is_named) return read_named(r, shape, j, vectors, count);
    const hwi_shape_field *field = hwi_shape_field_named(r, shape, "");
    if (!field || !hwi_read_vector(r, field, j, vectors)) return false;
    *count = 1;
    return true;
}

/* ---- Filters */

/* Takes a buffer's text into the request's arena. */
static bool
take(hwi_request *r, hwi_buf *b, const char **text, size_t *bytes)
{
    char *copy = b->failed ? NULL : hwi_request_alloc(r, b->size + 1);
    if (b->failed) hwi_refuse(r, 503, "out of memory");
    if (copy) {
        if (b->size) memcpy(copy, b->data, b->size);
        copy[b->size] = '\0';
        *text = copy;
        *bytes = b->size;
    }
    hwi_buf_release(b);
    return copy != NULL;
}

bool
hwi_read_filter(hwi_request *r, const hwi_json *o, const char *key, const char **text,
                size_t *bytes)
{
    const hwi_json *j = hwi_json_member(o, key);
    *text = NULL;
    *bytes = 0;
    if (!j || j->kind == HWI_JSON_NULL) return true;
    if (j->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "%s: expected an object", key);
    hwi_buf b = {0};
    hwi_json_write(&b, j);
    return take(r, &b, text, bytes);
}

bool
hwi_join_filters(hwi_request *r, const char *a, size_t a_bytes, const char *b, size_t b_bytes,
                 const char **text, size_t *bytes)
{
    if (!a || !b) {
        *text = a ? a : b;
        *bytes = a ? a_bytes : b ? b_bytes : 0;
        return true;
    }
    hwi_buf joined = {0};
    hwi_buf_text(&joined, "{\"must\":[");
    hwi_buf_add(&joined, a, a_bytes);
    hwi_buf_text(&joined, ",");
    hwi_buf_add(&joined, b, b_bytes);
    hwi_buf_text(&joined, "]}");
    return take(r, &joined, text, bytes);
}

/* ---- Selectors */

static bool
check_texts(hwi_request *r, const char *what, const hwi_json *j, bool are_paths)
{
    if (j->kind != HWI_JSON_ARRAY) return hwi_refuse_format(r, "%s: expected an array", what);
    for (const hwi_json *i = j->child; i; i = i->next) {
        if (i->kind != HWI_JSON_TEXT) {
            return hwi_refuse_format(r, "%s: expected an array of texts", what);
        }
        if (are_paths && !hwi_select_is_path(i->text, i->text_bytes)) {
            return hwi_refuse_format(r, "%s: invalid key `%s`", what, i->text);
        }
    }
    return true;
}

static bool
read_with_payload(hwi_request *r, const hwi_json *j, hwi_selector *out)
{
    if (j->kind == HWI_JSON_BOOL) {
        out->payload = j->boolean;
        return true;
    }
    out->payload = true;
    if (j->kind == HWI_JSON_ARRAY) {
        out->include = j;
        return check_texts(r, "with_payload", j, true);
    }
    out->include = hwi_json_member(j, "include");
    out->exclude = hwi_json_member(j, "exclude");
    if (!out->include == !out->exclude) {
        return hwi_refuse_format(
            r, "with_payload: expected a boolean, an array, {include} or {exclude}");
    }
    return check_texts(r, "with_payload", out->include ? out->include : out->exclude, true);
}

bool
hwi_read_selector(hwi_request *r, const hwi_shape *shape, const hwi_json *o, bool payload_otherwise,
                  hwi_selector *out)
{
    const hwi_json *payload = hwi_json_member(o, "with_payload");
    const hwi_json *vector = hwi_json_member(o, "with_vector");
    if (!vector || vector->kind == HWI_JSON_NULL) vector = hwi_json_member(o, "with_vectors");
    *out = (hwi_selector){.payload = payload_otherwise};
    if (payload && payload->kind != HWI_JSON_NULL && !read_with_payload(r, payload, out)) {
        return false;
    }
    if (!vector || vector->kind == HWI_JSON_NULL) return true;
    if (vector->kind == HWI_JSON_BOOL) {
        out->vector = vector->boolean;
        return true;
    }
    out->vector = true;
    out->vector_names = vector;
    if (!check_texts(r, "with_vector", vector, false)) return false;
    for (const hwi_json *name = shape ? vector->child : NULL; name; name = name->next)
        if (!hwi_shape_field_named(r, shape, name->text)) return false;
    return true;
}

uint32_t
hwi_selector_with(const hwi_selector *s)
{
    return HW_WITH_VERSION | (s->payload ? HW_WITH_PAYLOAD : 0) | (s->vector ? HW_WITH_VECTOR : 0);
}
