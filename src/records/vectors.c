/* vectors.c - vectors by slot: pages of rows as the user gave them, each with its inverse norm.
 *
 *     row   | f32 x dim, as given | f32 inverse norm |      1 / |x| under cosine, else 1
 *                                                           0: the point has no such vector
 *
 * The vector is not normalised on the way in: what comes back is bit for bit what was given, and
 * cosine is a dot product times two inverse norms. A row's norm lies beside it, so that a distance
 * costs one cache miss and not two. */
#include "records/records.h"

#define LMDB_PAGE_HEADER 16u

uint32_t
hwi_vec_rows_per_page(uint32_t dim)
{
    uint32_t room = HWI_PAGE_BYTES - LMDB_PAGE_HEADER - HWI_PAGE_HEADER;
    return HWI_MAX(room / hwi_vec_row_bytes(dim), 1u);
}

static void
vec_prefix(hwi_key *key, uint32_t coll, uint32_t field)
{
    hwi_key_sub(key, HWI_SUB_VEC, coll);
    hwi_key_uint(key, field);
}

hw_status
hwi_vec_table_new(hw_store_txn *txn, uint32_t coll, const hwi_field *field, uint32_t slots_below,
                  hwi_page_table **out, hw_error *err)
{
    hwi_key prefix;
    uint32_t rows = hwi_vec_rows_per_page(field->dim);
    vec_prefix(&prefix, coll, field->number);
    return hwi_page_table_new(txn, hwi_key_view(&prefix), hwi_page_count(slots_below, rows),
                              HWI_PAGE_MAGIC_VEC, rows, hwi_vec_row_bytes(field->dim), out, err);
}

hw_status
hwi_vec_cache_new(hw_store_txn *txn, uint32_t coll, const hwi_field *field, hwi_page_cache **out,
                  hw_error *err)
{
    hwi_key prefix;
    vec_prefix(&prefix, coll, field->number);
    return hwi_page_cache_new(txn, hwi_key_view(&prefix), HWI_PAGE_MAGIC_VEC,
                              hwi_vec_rows_per_page(field->dim), hwi_vec_row_bytes(field->dim), out,
                              err);
}
