/* validate.c - bad input is found here, before anything is written.
 *
 * One pass adds up the squares. A sum that is finite and in range proves that every value is: a NaN
 * or an infinity would have spoilt it. Only for a bad sum do we look for the culprit, so that the
 * message can name its place.
 *
 * The sum is kept in double, in four strands whose order is fixed: the norm of a vector must not
 * depend on the machine. */
#include "ingest/validate.h"

#include <float.h>
#include <math.h>

#define SQUARES_MAX (HWI_VECTOR_LENGTH_MAX * HWI_VECTOR_LENGTH_MAX)

static double
sum_of_squares(const float *x, uint32_t dim)
{
    double s[4] = {0};
    uint32_t i = 0;
    for (; i + 4 <= dim; i += 4) {
        for (uint32_t j = 0; j < 4; j++) s[j] += (double)x[i + j] * (double)x[i + j];
    }
    for (; i < dim; i++) s[0] += (double)x[i] * (double)x[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static const char *
label(const hwi_field *field)
{
    return field->name[0] ? field->name : "(unnamed)";
}

static hw_status
name_culprit(const hwi_field *field, const float *x, double squares, hw_error *err)
{
    for (uint32_t i = 0; i < field->dim; i++) {
        if (isfinite(x[i])) continue;
        return hwi_fail(err, HW_EINVAL, "vector `%s`: value at position %u is %s", label(field), i,
                        isnan(x[i]) ? "NaN" : "infinite");
    }
    return hwi_fail(err, HW_EINVAL, "vector `%s`: length %g is above the maximum %g", label(field),
                    sqrt(squares), sqrt(SQUARES_MAX));
}

hw_status
hwi_validate_vector(const hwi_field *field, const float *values, uint32_t dim, float *inv_norm,
                    hw_error *err)
{
    *inv_norm = 1.0f;
    if (dim != field->dim) {
        return hwi_fail(err, HW_EINVAL, "vector `%s` has %u values, the collection expects %u",
                        label(field), dim, field->dim);
    }
    if (!values) return hwi_fail(err, HW_EINVAL, "vector `%s`: values is NULL", label(field));
    double squares = sum_of_squares(values, dim);
    if (!(squares <= SQUARES_MAX)) return name_culprit(field, values, squares, err);
    if (field->metric != HWI_COSINE) return HW_OK;
    if (squares == 0) {
        return hwi_fail(err, HW_EINVAL, "vector `%s` is all zeros, which has no direction (cosine)",
                        label(field));
    }
    if (squares < (double)FLT_MIN) { /* its products with another vector would be lost */
        return hwi_fail(err, HW_EINVAL, "vector `%s`: length %g is below the minimum %g (cosine)",
                        label(field), sqrt(squares), sqrt((double)FLT_MIN));
    }
    *inv_norm = (float)(1.0 / sqrt(squares));
    return HW_OK;
}

/* Every row is checked as a vector of its own. */
static hw_status
pack_rows(const hwi_field *field, const hw_vector *v, hwi_buf *out, hw_error *err)
{
    uint32_t rows = v->rows ? v->rows : 1;
    if (hwi_size_mul(rows, v->dim) > HW_MULTI_VALUES_MAX) {
        return hwi_fail(err, HW_EINVAL,
                        "vector `%s`: %u rows of %u values are above the maximum %u", label(field),
                        rows, v->dim, HW_MULTI_VALUES_MAX);
    }
    for (uint32_t i = 0; i < rows; i++) {
        const float *row = v->values ? v->values + (size_t)i * v->dim : NULL;
        uint8_t norm[4];
        float inv_norm;
        hw_status st = hwi_validate_vector(field, row, v->dim, &inv_norm, err);
        if (st != HW_OK) return rows > 1 ? hwi_fail_prefix(err, st, "row %u", i) : st;
        hwi_put_f32(norm, inv_norm);
        hwi_buf_add(out, row, (size_t)v->dim * sizeof *row);
        hwi_buf_add(out, norm, sizeof norm);
    }
    return out->failed ? hwi_nomem(err, (size_t)rows * hwi_vec_row_bytes(v->dim)) : HW_OK;
}

hw_status
hwi_validate_ragged(const hwi_field *field, const hw_vector *v, hwi_buf *out, hw_error *err)
{
    if (field->type == HWI_SPARSE) {
        hw_status st = hwi_sparse_pack(v, out, err);
        return st == HW_EINVAL ? hwi_fail_prefix(err, st, "vector `%s`", label(field)) : st;
    }
    if (v->indices) {
        return hwi_fail(err, HW_EINVAL,
                        "vector `%s` is given as a sparse one, the collection "
                        "expects rows of %u values",
                        label(field), field->dim);
    }
    return pack_rows(field, v, out, err);
}

hw_status
hwi_validate_id(const hw_id *id, hw_error *err)
{
    if (!id) return hwi_fail(err, HW_EINVAL, "id is NULL");
    switch (id->kind) {
    case HW_ID_KIND_U64:
    case HW_ID_KIND_UUID:
        return HW_OK;
    case HW_ID_KIND_TEXT:
        if (id->text_bytes == 0 || id->text_bytes > HW_ID_TEXT_MAX || !id->as.text) {
            return hwi_fail(err, HW_EINVAL, "string id of %u bytes is not in 1 to %u",
                            id->text_bytes, HW_ID_TEXT_MAX);
        }
        if (!hwi_utf8_valid(id->as.text, id->text_bytes)) {
            return hwi_fail(err, HW_EINVAL, "string id is not UTF-8");
        }
        return HW_OK;
    }
    return hwi_fail(err, HW_EINVAL, "id kind %d is unknown", (int)id->kind);
}

hw_status
hwi_validate_payload(const char *json, size_t bytes, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *tree;
    if (!json || bytes == 0) return HW_OK;
    if (bytes > HW_PAYLOAD_MAX) {
        return hwi_fail(err, HW_EINVAL, "payload of %zu bytes is above the maximum %u", bytes,
                        HW_PAYLOAD_MAX);
    }
    hw_status st = hwi_json_parse(json, bytes, &arena, &tree, err);
    if (st == HW_EINVAL) hwi_fail_prefix(err, st, "payload");
    if (st == HW_OK && tree->kind != HWI_JSON_OBJECT) {
        st = hwi_fail(err, HW_EINVAL, "payload: expected a JSON object");
    }
    hwi_arena_release(&arena);
    return st;
}
