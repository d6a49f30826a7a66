/* writer.c - the life of a write transaction: begin, its collections, commit.
 *
 *     hwi_writer --- store transaction
 *        |
 *        +-- target: collection 3     slot pages, payload indexes, counts
 *        |      +-- field 0           vector pages, index writer
 *        |      +-- field 1           sparse: postings
 *        +-- target: collection 9 ...
 *
 * Operations change pages in memory; commit writes them out once each, in this order: indexes (they
 * still read vectors), vectors, list of holes (it reads slot rows), slot rows, payload indexes,
 * counts. Then the store commits, and all of it is visible at once or not at all.
 *
 * A transaction that failed half-way through an operation holds caches that no longer agree; it is
 * marked broken and refuses everything but abort. */
#include "ingest/writer.h"

#include "ingest/target.h"
#include "ingest/validate.h"
#include "store/wants.h"

hw_status
hwi_writer_begin(hw_store *store, uint32_t lane, hwi_writer **out, hw_error *err)
{
    hwi_writer *w = *out = hwi_alloc_zero(sizeof *w);
    if (!w) return hwi_nomem(err, sizeof *w);
    w->lane = lane;
    hw_status st = hwi_store_begin(store, HW_TXN_WRITE, &w->txn, err);
    if (st != HW_OK) {
        hwi_free(w);
        *out = NULL;
    }
    return st;
}

/* ---- Targets ---- */

static void
target_free(hwi_target *t)
{
    for (size_t i = 0; t->fields && i < t->conf->field_count; i++) {
        hwi_index_writer_free(t->fields[i].index);
        hwi_page_cache_free(t->fields[i].vecs);
        hwi_page_cache_free(t->fields[i].has);
        hwi_sparse_writer_free(t->fields[i].sparse);
        hwi_buf_release(&t->fields[i].packed);
    }
    hwi_free(t->fields);
    hwi_pix_writer_free(t->pix);
    hwi_holes_release(&t->holes);
    hwi_page_cache_free(t->slots);
    hwi_buf_release(&t->old_payload);
    hwi_buf_release(&t->new_payload);
    hwi_buf_release(&t->large);
    hwi_buf_release(&t->old_vector);
    hwi_conf_unref(t->conf);
    hwi_free(t);
}

static hw_status
target_init(hwi_target *t, hw_store_txn *txn, const char *name, hw_error *err)
{
    hw_status st = hwi_conf_get(txn, t->coll, &t->conf, err);
    if (st == HW_ENOTFOUND) return hwi_fail(err, st, "collection `%s` was dropped", name);
    if (st != HW_OK) return st;
    HWI_TRY(hwi_counts_get(txn, t->coll, &t->counts, err));
    t->points_before = t->counts.points;
    t->lane.number = t->writer->lane;
    HWI_TRY(hwi_slot_cache_new(txn, t->coll, &t->slots, err));
    HWI_TRY(hwi_pix_writer_new(txn, t->coll, &t->conf->schema, &t->pix, err));
    hwi_holes_init(&t->holes, txn, t->coll, t->slots, &t->lane);
    size_t bytes = t->conf->field_count * sizeof *t->fields;
    t->fields = hwi_alloc_zero(bytes);
    if (!t->fields) return hwi_nomem(err, bytes);
    for (size_t i = 0; i < t->conf->field_count; i++) t->fields[i].conf = &t->conf->fields[i];
    return HW_OK;
}

hw_status
hwi_writer_target(hwi_writer *w, uint32_t coll, const char *name, hwi_index_of_fn index_of,
                  void *arg, hwi_target **out, hw_error *err)
{
    *out = NULL;
    for (hwi_target *t = w->targets; t; t = t->next) {
        if (t->coll != coll) continue;
        *out = t;
        return HW_OK;
    }
    hwi_target *t = hwi_alloc_zero(sizeof *t);
    if (!t) return hwi_nomem(err, sizeof *t);
    t->writer = w;
    t->coll = coll;
    t->index_of = index_of;
    t->arg = arg;
    hw_status st = target_init(t, w->txn, name, err);
    if (st != HW_OK) {
        target_free(t);
        return st;
    }
    t->next = w->targets;
    *out = w->targets = t;
    return HW_OK;
}

static hw_status
open_ragged(hwi_target *t, hwi_target_field *f, hw_error *err)
{
    hw_store_txn *txn = t->writer->txn;
    if (!f->has) HWI_TRY(hwi_has_cache_new(txn, t->coll, f->conf, &f->has, err));
    if (f->sparse || f->conf->type != HWI_SPARSE) return HW_OK;
    return hwi_sparse_writer_new(txn, t->coll, f->conf->number, &f->sparse, err);
}

hw_status
hwi_target_open_field(hwi_target *t, hwi_target_field *f, hw_error *err)
{
    hw_store_txn *txn = t->writer->txn;
    if (hwi_field_is_ragged(f->conf)) return open_ragged(t, f, err);
    if (!f->vecs) HWI_TRY(hwi_vec_cache_new(txn, t->coll, f->conf, &f->vecs, err));
    if (f->index) return HW_OK;
    hwi_index *ix;
    HWI_TRY(t->index_of(t->arg, f->conf, &ix, err));
    return hwi_index_writer_new(ix, txn, f->vecs, &f->index, err);
}

void
hwi_target_want_ids(hwi_target *t, const hw_id *ids, size_t count)
{
    hwi_wants wants;

    if (!hwi_store_is_far(t->writer->txn)) return;
    wants.txn = t->writer->txn, wants.count = 0;
    for (size_t i = 0; i < count; i++)
        if (hwi_validate_id(&ids[i], NULL) == HW_OK)
            hwi_id_key(hwi_wants_next(&wants), t->conf, &ids[i]);
    hwi_wants_send(&wants);
}

/* ---- The end ---- */

static hw_status
target_flush(hwi_target *t, hw_error *err)
{
    for (size_t i = 0; i < t->conf->field_count; i++) {
        hwi_target_field *f = &t->fields[i];
        if (f->index) HWI_TRY(hwi_index_flush(f->index, err));
        if (f->vecs) HWI_TRY(hwi_page_cache_flush(f->vecs, err));
        if (f->sparse) HWI_TRY(hwi_sparse_flush(f->sparse, err));
        if (f->has) HWI_TRY(hwi_page_cache_flush(f->has, err));
    }
    HWI_TRY(hwi_holes_flush(&t->holes, err));
    HWI_TRY(hwi_page_cache_flush(t->slots, err));
    HWI_TRY(hwi_pix_flush(t->pix, err));
    HWI_TRY(hwi_lane_flush(&t->lane, t->writer->txn, t->coll, err));
    return hwi_counts_add(t->writer->txn, t->coll, (int64_t)(t->counts.points - t->points_before),
                          err);
}

/* Frees everything but the store transaction. */
static void
writer_free(hwi_writer *w)
{
    while (w->targets) {
        hwi_target *next = w->targets->next;
        target_free(w->targets);
        w->targets = next;
    }
    hwi_free(w);
}

void
hwi_writer_rest(hwi_writer *w)
{
    hwi_store_rest(w->txn);
}

hw_status
hwi_writer_wake(hwi_writer *w, hw_error *err)
{
    hw_status st = hwi_store_wake(w->txn, err);
    if (st != HW_OK) w->broken = st;
    return st;
}

hw_status
hwi_writer_commit(hwi_writer *w, hwi_writer_done *done, hw_error *err)
{
    hw_status st = w->broken;
    if (st != HW_OK) {
        hwi_fail(err, st, "an operation of this transaction failed: it can only be aborted");
    } else {
        st = hwi_writer_wake(w, err);
    }
    for (hwi_target *t = w->targets; st == HW_OK && t; t = t->next) {
        if (!t->is_changed) continue;
        w->done.is_changed = true;
        st = target_flush(t, err);
    }
    hw_store_txn *txn = w->txn;
    w->done.bytes = txn->bytes_written;
    *done = w->done;
    writer_free(w);
    if (st == HW_OK && done->is_changed) return hwi_store_commit(txn, err);
    hwi_store_abort(txn);
    return st;
}

void
hwi_writer_abort(hwi_writer *w)
{
    if (!w) return;
    hw_store_txn *txn = w->txn;
    writer_free(w);
    hwi_store_abort(txn);
}
