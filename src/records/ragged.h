/* ragged.h - vectors that vary in size from point to point: multi-vectors and sparse vectors.
 *
 *   `vec, c, field, slot`  -> a blob   multi   rows as in a vector page: dim f32, f32 inverse norm
 *                                      sparse  pairs of u32 index and f32 value, indices ascending
 *   `has, c, field, page`  -> a page of bits: the slots that have one
 *
 * Everything is little-endian; a point without the vector has no blob.
 */
#ifndef HWI_RAGGED_H
#define HWI_RAGGED_H

#include "records/records.h"

#define HWI_PAIR_BYTES 8u

static inline bool
hwi_field_is_ragged(const hwi_field *f)
{
    return f->type != HWI_DENSE;
}

/* The stored form of a slot's vector, as long as hwi_blob_view says. HW_ENOTFOUND (err untouched)
 * when it has none; HW_ECORRUPT also when the size cannot be. */
HW_CHECKED hw_status hwi_ragged_get(hw_store_txn *txn, uint32_t coll, const hwi_field *field,
                                    uint32_t slot, hwi_buf *large, hw_bytes *out, hw_error *err);
HW_CHECKED hw_status hwi_ragged_put(hw_store_txn *txn, uint32_t coll, const hwi_field *field,
                                    uint32_t slot, hw_bytes raw, hw_error *err);
HW_CHECKED hw_status hwi_ragged_del(hw_store_txn *txn, uint32_t coll, const hwi_field *field,
                                    uint32_t slot, hw_error *err);

/* A vector as users give it from its stored form, in arena. */
HW_CHECKED hw_status hwi_ragged_unpack(const hwi_field *field, hw_bytes raw, hwi_arena *arena,
                                       hw_vector *out, hw_error *err);

/* A sparse vector's pairs by ascending index, appended to `out` in the stored form. HW_EINVAL: an
 * index occurs twice, a value is not finite or too large, more than HW_DIM_MAX pairs. */
HW_CHECKED hw_status hwi_sparse_pack(const hw_vector *v, hwi_buf *out, hw_error *err);

static inline uint32_t
hwi_pair_index(const uint8_t *pairs, size_t i)
{
    return hwi_get_u32(pairs + i * HWI_PAIR_BYTES);
}
static inline float
hwi_pair_value(const uint8_t *pairs, size_t i)
{
    return hwi_get_f32(pairs + i * HWI_PAIR_BYTES + 4);
}

/* Dot product of two packed sparse vectors, summed by ascending index; *shared tells whether they
 * have an index in common. */
float hwi_sparse_dot(hw_bytes a, hw_bytes b, bool *shared);

/* ---- Which slots have one: rows of 32 bits, pages small enough for LMDB to keep in its own ---- */

#define HWI_HAS_ROWS 480u

HW_CHECKED hw_status hwi_has_cache_new(hw_store_txn *txn, uint32_t coll, const hwi_field *field,
                                       hwi_page_cache **out, hw_error *err);
HW_CHECKED hw_status hwi_has_table_new(hw_store_txn *txn, uint32_t coll, const hwi_field *field,
                                       uint32_t slots_below, hwi_page_table **out, hw_error *err);
HW_CHECKED hw_status hwi_has_set(hwi_page_cache *has, uint32_t slot, bool yes, hw_error *err);
/* Bits of the slots from `row` * 32 on. */
HW_CHECKED hw_status hwi_has_row(hwi_page_table *has, uint32_t row, uint32_t *bits, hw_error *err);
/* How many slots have one. */
HW_CHECKED hw_status hwi_has_count(hwi_page_table *has, uint32_t slots_below, uint64_t *count,
                                   hw_error *err);

#endif
