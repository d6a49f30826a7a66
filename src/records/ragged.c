/* ragged.c - multi-vectors and sparse vectors by slot.
 *
 * They vary in size, so each is a value of its own and not a row of a page: most are some hundred
 * bytes, and keys ascend with slots, so loading still appends. A multi-vector keeps its rows as a
 * vector page would, so that the same kernels run over them where they lie. */
#include "records/ragged.h"

#include <math.h>
#include <stdlib.h>

/* ---- Stored ---- */

static void
ragged_key(hwi_key *key, uint32_t coll, const hwi_field *field, uint32_t slot)
{
    hwi_key_vec(key, coll, field->number, slot);
}

static bool
size_is_possible(const hwi_field *field, size_t bytes)
{
    if (field->type == HWI_SPARSE)
        return bytes % HWI_PAIR_BYTES == 0 && bytes / HWI_PAIR_BYTES <= HW_DIM_MAX;
    return bytes > 0 && bytes % hwi_vec_row_bytes(field->dim) == 0;
}

hw_status
hwi_ragged_get(hw_store_txn *txn, uint32_t coll, const hwi_field *field, uint32_t slot,
               hwi_buf *large, hw_bytes *out, hw_error *err)
{
    hwi_key key;
    ragged_key(&key, coll, field, slot);
    hw_status st = hwi_blob_view(txn, hwi_key_view(&key), large, out, err);
    if (st == HW_ECORRUPT) {
        return hwi_fail_prefix(err, st, "vec(%u, %u, %u)", coll, field->number, slot);
    }
    if (st != HW_OK || size_is_possible(field, out->size)) return st;
    return hwi_fail(err, HW_ECORRUPT, "vec(%u, %u, %u): %zu bytes are no %s vector", coll,
                    field->number, slot, out->size, hwi_type_text(field->type));
}

hw_status
hwi_ragged_put(hw_store_txn *txn, uint32_t coll, const hwi_field *field, uint32_t slot,
               hw_bytes raw, hw_error *err)
{
    hwi_key key;
    ragged_key(&key, coll, field, slot);
    return hwi_blob_put(txn, hwi_key_view(&key), raw, err);
}

hw_status
hwi_ragged_del(hw_store_txn *txn, uint32_t coll, const hwi_field *field, uint32_t slot,
               hw_error *err)
{
    hwi_key key;
    ragged_key(&key, coll, field, slot);
    return hwi_blob_del(txn, hwi_key_view(&key), err);
}

/* ---- As users see them ---- */

static hw_status
unpack_sparse(hw_bytes raw, hwi_arena *arena, hw_vector *out, hw_error *err)
{
    size_t n = raw.size / HWI_PAIR_BYTES;
    uint32_t *indices = hwi_arena_alloc(arena, (n + 1) * sizeof *indices);
    float *values = hwi_arena_alloc(arena, (n + 1) * sizeof *values);
    if (!indices || !values) return hwi_nomem(err, raw.size);
    for (size_t i = 0; i < n; i++) {
        indices[i] = hwi_pair_index(raw.data, i);
        values[i] = hwi_pair_value(raw.data, i);
    }
    out->indices = indices;
    out->values = values;
    out->dim = (uint32_t)n;
    return HW_OK;
}

hw_status
hwi_ragged_unpack(const hwi_field *field, hw_bytes raw, hwi_arena *arena, hw_vector *out,
                  hw_error *err)
{
    if (field->type == HWI_SPARSE) return unpack_sparse(raw, arena, out, err);
    size_t row_bytes = hwi_vec_row_bytes(field->dim), rows = raw.size / row_bytes;
    size_t float_bytes = (size_t)field->dim * sizeof(float);
    float *values = hwi_arena_alloc(arena, rows * float_bytes);
    if (!values) return hwi_nomem(err, rows * float_bytes);
    for (size_t i = 0; i < rows; i++) {
        memcpy(values + i * field->dim, (const uint8_t *)raw.data + i * row_bytes, float_bytes);
    }
    out->values = values;
    out->indices = NULL;
    out->dim = field->dim;
    out->rows = (uint32_t)rows;
    return HW_OK;
}

/* ---- Sparse vectors ---- */

typedef struct pair {
    uint32_t index, place;
} pair;

static int
by_index(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static hw_status
check_values(const hw_vector *v, hw_error *err)
{
    const double most = HWI_VECTOR_LENGTH_MAX * HWI_VECTOR_LENGTH_MAX;
    double squares = 0;
    if (v->dim > HW_DIM_MAX) {
        return hwi_fail(err, HW_EINVAL, "sparse vector of %u values is above the maximum %u",
                        v->dim, HW_DIM_MAX);
    }
    if (v->dim && (!v->values || !v->indices)) {
        return hwi_fail(err, HW_EINVAL, "sparse vector: %s is NULL",
                        v->values ? "indices" : "values");
    }
    for (uint32_t i = 0; i < v->dim; i++) {
        if (!isfinite(v->values[i])) {
            return hwi_fail(err, HW_EINVAL, "sparse vector: value at position %u is %s", i,
                            isnan(v->values[i]) ? "NaN" : "infinite");
        }
        squares += (double)v->values[i] * v->values[i];
    }
    if (squares <= most) return HW_OK;
    return hwi_fail(err, HW_EINVAL, "sparse vector: length %g is above the maximum %g",
                    sqrt(squares), HWI_VECTOR_LENGTH_MAX);
}

static void
add_pair(hwi_buf *out, uint32_t index, float value)
{
    uint8_t raw[HWI_PAIR_BYTES];
    hwi_put_u32(raw, index);
    hwi_put_f32(raw + 4, value);
    hwi_buf_add(out, raw, sizeof raw);
}

/* Most come sorted: then nothing is allocated. */
static bool
is_ascending(const hw_vector *v)
{
    for (uint32_t i = 1; i < v->dim; i++) {
        if (v->indices[i - 1] >= v->indices[i]) return false;
    }
    return true;
}

static hw_status
pack_unsorted(const hw_vector *v, hwi_buf *out, hw_error *err)
{
    pair *order = hwi_alloc(v->dim * sizeof *order);
    hw_status st = HW_OK;
    if (!order) return hwi_nomem(err, v->dim * sizeof *order);
    for (uint32_t i = 0; i < v->dim; i++) order[i] = (pair){v->indices[i], i};
    qsort(order, v->dim, sizeof *order, by_index);
    for (uint32_t i = 0; st == HW_OK && i < v->dim; i++) {
        if (i && order[i - 1].index == order[i].index) {
            st = hwi_fail(err, HW_EINVAL, "sparse vector: index %u occurs twice", order[i].index);
        }
        add_pair(out, order[i].index, v->values[order[i].place]);
    }
    hwi_free(order);
    return st;
}

hw_status
hwi_sparse_pack(const hw_vector *v, hwi_buf *out, hw_error *err)
{
    HWI_TRY(check_values(v, err));
    if (is_ascending(v)) {
        for (uint32_t i = 0; i < v->dim; i++) add_pair(out, v->indices[i], v->values[i]);
    } else {
        HWI_TRY(pack_unsorted(v, out, err));
    }
    return out->failed ? hwi_nomem(err, (size_t)v->dim * HWI_PAIR_BYTES) : HW_OK;
}

float
hwi_sparse_dot(hw_bytes a, hw_bytes b, bool *shared)
{
    const uint8_t *x = a.data, *y = b.data;
    size_t i = 0, j = 0, n = a.size / HWI_PAIR_BYTES, m = b.size / HWI_PAIR_BYTES;
    float sum = 0;
    *shared = false;
    while (i < n && j < m) {
        uint32_t p = hwi_pair_index(x, i), q = hwi_pair_index(y, j);
        if (p == q) {
            *shared = true;
            sum += hwi_pair_value(x, i) * hwi_pair_value(y, j);
        }
        i += p <= q;
        j += q <= p;
    }
    return sum;
}

/* ---- Which slots have one ---- */

static void
has_prefix(hwi_key *key, uint32_t coll, const hwi_field *field)
{
    hwi_key_sub(key, HWI_SUB_HAS, coll);
    hwi_key_uint(key, field->number);
}

hw_status
hwi_has_cache_new(hw_store_txn *txn, uint32_t coll, const hwi_field *field, hwi_page_cache **out,
                  hw_error *err)
{
    hwi_key prefix;
    has_prefix(&prefix, coll, field);
    return hwi_page_cache_new(txn, hwi_key_view(&prefix), HWI_PAGE_MAGIC_HAS, HWI_HAS_ROWS, 4, out,
                              err);
}

static uint32_t
has_rows(uint32_t slots_below)
{
    return slots_below / 32 + (slots_below % 32 != 0);
}

hw_status
hwi_has_table_new(hw_store_txn *txn, uint32_t coll, const hwi_field *field, uint32_t slots_below,
                  hwi_page_table **out, hw_error *err)
{
    hwi_key prefix;
    has_prefix(&prefix, coll, field);
    return hwi_page_table_new(txn, hwi_key_view(&prefix),
                              hwi_page_count(has_rows(slots_below), HWI_HAS_ROWS),
                              HWI_PAGE_MAGIC_HAS, HWI_HAS_ROWS, 4, out, err);
}

hw_status
hwi_has_set(hwi_page_cache *has, uint32_t slot, bool yes, hw_error *err)
{
    uint8_t *row;
    HWI_TRY(hwi_page_cache_write(has, slot / 32, &row, err));
    uint32_t bit = 1u << slot % 32, bits = hwi_get_u32(row);
    hwi_put_u32(row, yes ? bits | bit : bits & ~bit);
    return HW_OK;
}

hw_status
hwi_has_row(hwi_page_table *has, uint32_t row, uint32_t *bits, hw_error *err)
{
    const uint8_t *page;
    *bits = 0;
    HWI_TRY(hwi_page_table_get(has, row / HWI_HAS_ROWS, &page, err));
    if (page) *bits = hwi_get_u32(hwi_page_row(page, row % HWI_HAS_ROWS, 4));
    return HW_OK;
}

hw_status
hwi_has_count(hwi_page_table *has, uint32_t slots_below, uint64_t *count, hw_error *err)
{
    *count = 0;
    for (uint32_t row = 0; row < has_rows(slots_below); row++) {
        uint32_t bits;
        HWI_TRY(hwi_has_row(has, row, &bits, err));
        *count += (uint64_t)__builtin_popcount(bits);
    }
    return HW_OK;
}
