/* vectors.c - the vectors of one slot change.
 *
 *     dense    a row of a vector page        and the tree with its buckets
 *     multi    a value of its own            (searched exactly: nothing else to keep)
 *     sparse   a value of its own            and postings
 *
 * The index of dense vectors finds a vector's place by its values; so it lets go of a row before the
 * row changes and takes it in after. A vector that is given again bit for bit costs no index work at
 * all, which makes "upsert everything, only labels changed" cheap. */
#include "ingest/target.h"

static bool
row_is(const uint8_t *row, const hwi_target_field *f)
{
    size_t bytes = (size_t)f->conf->dim * 4;
    return memcmp(row, f->given, bytes) == 0 && hwi_get_f32(row + bytes) == f->inv_norm;
}

static hw_status
write_dense(hwi_target_field *f, uint32_t slot, hw_error *err)
{
    const uint8_t *old;
    uint8_t *row;
    HWI_TRY(hwi_page_cache_read(f->vecs, slot, &old, err));
    bool had_vector = old && hwi_vec_inv_norm(old, f->conf->dim) != 0;
    if (!had_vector && !f->is_given) return HW_OK;
    if (had_vector && f->is_given && row_is(old, f)) return HW_OK;

    if (had_vector) HWI_TRY(hwi_index_remove(f->index, slot, err));
    HWI_TRY(hwi_page_cache_write(f->vecs, slot, &row, err));
    memset(row, 0, hwi_vec_row_bytes(f->conf->dim));
    if (!f->is_given) return HW_OK;
    memcpy(row, f->given, (size_t)f->conf->dim * 4);
    hwi_put_f32(row + (size_t)f->conf->dim * 4, f->inv_norm);
    return hwi_index_insert(f->index, slot, err);
}

/* The stored vector of a slot, copied to t->old_vector, as later writes end what the store lent. */
static hw_status
load_ragged(hwi_target *t, hwi_target_field *f, uint32_t slot, bool *had, hw_error *err)
{
    hw_bytes raw;
    hwi_buf_clear(&t->old_vector);
    hw_status st = hwi_ragged_get(t->writer->txn, t->coll, f->conf, slot, &t->large, &raw, err);
    *had = st == HW_OK;
    if (st != HW_OK) return st == HW_ENOTFOUND ? HW_OK : st;
    hwi_buf_add(&t->old_vector, raw.data, raw.size);
    return t->old_vector.failed ? hwi_nomem(err, raw.size) : HW_OK;
}

static hw_status
write_ragged(hwi_target *t, hwi_target_field *f, uint32_t slot, hw_error *err)
{
    hw_store_txn *txn = t->writer->txn;
    bool had;
    HWI_TRY(load_ragged(t, f, slot, &had, err));
    hw_bytes old = hwi_buf_bytes(&t->old_vector);
    hw_bytes now = f->is_given ? hwi_buf_bytes(&f->packed) : (hw_bytes){0};
    if (!had && !f->is_given) return HW_OK;
    bool is_same = had && f->is_given && old.size == now.size &&
                   (old.size == 0 || memcmp(old.data, now.data, old.size) == 0);
    if (is_same) return HW_OK;

    if (f->sparse) HWI_TRY(hwi_sparse_change(f->sparse, slot, old, now, err));
    if (had != f->is_given) HWI_TRY(hwi_has_set(f->has, slot, f->is_given, err));
    return f->is_given ? hwi_ragged_put(txn, t->coll, f->conf, slot, now, err)
                       : hwi_ragged_del(txn, t->coll, f->conf, slot, err);
}

hw_status
hwi_target_write_vectors(hwi_target *t, uint32_t slot, hw_error *err)
{
    for (size_t i = 0; i < t->conf->field_count; i++) {
        hwi_target_field *f = &t->fields[i];
        if (!f->is_wanted) continue;
        HWI_TRY(hwi_target_open_field(t, f, err));
        HWI_TRY(hwi_field_is_ragged(f->conf) ? write_ragged(t, f, slot, err)
                                             : write_dense(f, slot, err));
    }
    return HW_OK;
}
