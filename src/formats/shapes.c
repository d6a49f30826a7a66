/* shapes.c - vectors as JSON text: dense, many rows, sparse; read into a batch and written.
 *
 *     [1, 2.5, 3]                               dense
 *     [[1, 2, 3], [4, 5, 6]]                    rows of one size
 *     {"indices": [7, 1], "values": [0.5, 2]}   sparse
 *
 * Numbers go from the text into the batch; brackets are all that is looked for on the way.
 */
#include "reader.h"

#include "base/json.h"
#include "spans.h"

/* Commas and one: no more numbers than that. */
static size_t
numbers_at_most(const char *text, size_t bytes)
{
    size_t n = 1;

    for (size_t i = 0; i < bytes; i++) n += text[i] == ',';
    return n;
}

static size_t
skip_blanks(const char *text, size_t bytes, size_t at)
{
    while (at < bytes &&
           (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r'))
        at++;
    return at;
}

/* ---- rows */

/* The next row's floats to `out`; *at moves behind the row. */
static hw_status
read_row(const char *text, size_t bytes, size_t *at, float *out, size_t room, size_t *count,
         hw_error *err)
{
    size_t end = *at;

    while (end < bytes && text[end] != ']') end++;
    if (end == bytes) return hwi_fail(err, HW_EINVAL, "a row of the vector has no end");
    HWI_TRY(hwi_json_floats(text + *at, end + 1 - *at, out, room, count, err));
    *at = end + 1;
    return HW_OK;
}

static hw_status
add_rows(hwi_reader *r, const char *name, const char *text, size_t bytes, size_t at, hw_error *err)
{
    size_t room = numbers_at_most(text, bytes), used = 0, dim = 0, count;
    uint32_t rows = 0;
    float *values;

    if (room > HW_MULTI_VALUES_MAX)
        return hwi_fail(err, HW_EINVAL, "vector has %zu values, the maximum is %u", room,
                        HW_MULTI_VALUES_MAX);
    HWI_TRY(hwi_batch_room(r, room, &values, err));
    for (;; at = skip_blanks(text, bytes, at + 1)) {
        HWI_TRY(read_row(text, bytes, &at, values + used, room - used, &count, err));
        if (rows > 0 && count != dim)
            return hwi_fail(err, HW_EINVAL, "row %u has %zu values, row 0 has %zu", rows, count,
                            dim);
        dim = count, used += count, rows++;
        at = skip_blanks(text, bytes, at);
        if (at < bytes && text[at] == ',') continue;
        if (at < bytes && text[at] == ']' && skip_blanks(text, bytes, at + 1) == bytes) break;
        return hwi_fail(err, HW_EINVAL, "expected `,` or `]` behind row %u of the vector",
                        rows - 1);
    }
    if (dim > HW_DIM_MAX)
        return hwi_fail(err, HW_EINVAL, "rows have %zu values, the maximum is %u", dim, HW_DIM_MAX);
    return hwi_batch_add_rows(r, name, (uint32_t)dim, rows, err);
}

/* ---- sparse */

static hw_status
read_indices(hwi_span span, uint32_t *out, size_t room, size_t *count, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *list;
    hw_status st = hwi_json_parse(span.text, span.bytes, &arena, &list, err);

    *count = 0;
    if (st == HW_OK && list->kind != HWI_JSON_ARRAY)
        st = hwi_fail(err, HW_EINVAL, "expected an array of whole numbers");
    for (const hwi_json *j = st == HW_OK ? list->child : NULL; st == HW_OK && j; j = j->next) {
        if (j->kind != HWI_JSON_INT || j->integer < 0 || j->integer > UINT32_MAX)
            st = hwi_fail(err, HW_EINVAL, "index %zu is not a whole number from 0 to %u", *count,
                          UINT32_MAX);
        else if (*count < room)
            out[(*count)++] = (uint32_t)j->integer;
    }
    hwi_arena_release(&arena);
    return st;
}

/* The two members, and that there are no others. */
static hw_status
sparse_members(const char *text, size_t bytes, hwi_span *indices, hwi_span *values, hw_error *err)
{
    hwi_members m;
    hwi_span key, value;
    bool more = true;

    *indices = *values = (hwi_span){0};
    HWI_TRY(hwi_members_begin(&m, text, bytes, err));
    while (more) {
        HWI_TRY(hwi_members_next(&m, &key, &value, &more, err));
        if (!more) break;
        if (hwi_span_is(key, "indices"))
            *indices = value;
        else if (hwi_span_is(key, "values"))
            *values = value;
        else
            return hwi_fail(err, HW_EINVAL, "unknown key `%.*s` in a sparse vector",
                            (int)HWI_MIN(key.bytes, (size_t)40), key.text);
    }
    if (indices->text && values->text) return HW_OK;
    return hwi_fail(err, HW_EINVAL, "a sparse vector needs `indices` and `values`");
}

bool
hwi_is_sparse_json(const char *text, size_t bytes)
{
    hwi_span indices, values;

    return sparse_members(text, bytes, &indices, &values, NULL) == HW_OK;
}

static hw_status
add_sparse(hwi_reader *r, const char *name, const char *text, size_t bytes, hw_error *err)
{
    hwi_span indices, values;
    size_t room, count, index_count;
    uint32_t *where;
    float *what;

    HWI_TRY(sparse_members(text, bytes, &indices, &values, err));
    room = numbers_at_most(values.text, values.bytes);
    if (room > HW_DIM_MAX)
        return hwi_fail(err, HW_EINVAL, "sparse vector has %zu values, the maximum is %u", room,
                        HW_DIM_MAX);
    HWI_TRY(hwi_batch_room(r, room, &what, err));
    HWI_TRY(hwi_batch_index_room(r, room, &where, err));
    HWI_TRY(hwi_json_floats(values.text, values.bytes, what, room, &count, err));
    hw_status st = read_indices(indices, where, room, &index_count, err);
    if (st != HW_OK) return hwi_fail_prefix(err, st, "indices");
    if (index_count != count)
        return hwi_fail(err, HW_EINVAL, "sparse vector has %zu indices and %zu values", index_count,
                        count);
    return hwi_batch_add_sparse(r, name, (uint32_t)count, err);
}

/* ---- any */

static hw_status
add_dense(hwi_reader *r, const char *name, const char *text, size_t bytes, hw_error *err)
{
    size_t room = numbers_at_most(text, bytes), count;
    float *values;

    if (room > HW_DIM_MAX)
        return hwi_fail(err, HW_EINVAL, "vector has %zu values, the maximum is %u", room,
                        HW_DIM_MAX);
    HWI_TRY(hwi_batch_room(r, room, &values, err));
    HWI_TRY(hwi_json_floats(text, bytes, values, room, &count, err));
    return hwi_batch_add_vector(r, name, (uint32_t)count, err);
}

hw_status
hwi_batch_add_json(hwi_reader *r, const char *name, const char *text, size_t bytes, hw_error *err)
{
    size_t at = skip_blanks(text, bytes, 0);

    if (at < bytes && text[at] == '{') return add_sparse(r, name, text, bytes, err);
    if (at < bytes && text[at] == '[') {
        size_t inner = skip_blanks(text, bytes, at + 1);
        if (inner < bytes && text[inner] == '[') return add_rows(r, name, text, bytes, inner, err);
    }
    return add_dense(r, name, text, bytes, err);
}

/* ---- writing */

void
hwi_vector_write_json(hwi_buf *b, const hw_vector *v)
{
    if (v->indices) {
        hwi_buf_text(b, "{\"indices\":[");
        for (uint32_t i = 0; i < v->dim; i++) hwi_buf_printf(b, i ? ",%u" : "%u", v->indices[i]);
        hwi_buf_text(b, "],\"values\":");
        hwi_json_write_f32s(b, v->values, v->dim);
        hwi_buf_text(b, "}");
        return;
    }
    if (v->rows == 0) {
        hwi_json_write_f32s(b, v->values, v->dim);
        return;
    }
    hwi_buf_text(b, "[");
    for (uint32_t i = 0; i < v->rows; i++) {
        if (i) hwi_buf_text(b, ",");
        hwi_json_write_f32s(b, v->values + (size_t)i * v->dim, v->dim);
    }
    hwi_buf_text(b, "]");
}
