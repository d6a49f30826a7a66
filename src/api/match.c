/* match.c - reading inside a write transaction: the points that match a filter, points by id.
 *
 * Both look at a view of the transaction itself (hwi_view_of_txn), so filters, payloads and vectors
 * are read by the very code that answers everybody else, the transaction's own changes included.
 * The view lasts for one call: pages it has found may move with the transaction's next write. */
#include <stdlib.h>

#include "api/api.h"
#include "ingest/target.h"

static hw_status
open_view(hw_txn *txn, hw_collection *c, hwi_view **out, hw_error *err)
{
    hwi_target *t;
    *out = NULL;
    hw_status st = hwi_txn_target(txn, c, &t, err);
    if (st == HW_OK) st = hwi_target_settle(t, err);
    if (st == HW_OK) st = hwi_view_of_txn(t->writer->txn, t->conf, &t->counts, out, err);
    return st == HW_OK ? HW_OK : hwi_txn_leave(txn, st);
}

/* ---- Match ---- */

static int
by_id(const void *a, const void *b)
{
    return hw_id_compare(a, b);
}

/* Ids of slots; string ids are borrowed from the view. */
static hw_status
read_ids(hwi_view *view, const roaring_bitmap_t *slots, hw_id *ids, size_t *text_bytes,
         hw_error *err)
{
    roaring_uint32_iterator_t it;
    size_t n = 0;
    *text_bytes = 0;
    for (roaring_init_iterator(slots, &it); it.has_value; roaring_advance_uint32_iterator(&it)) {
        hw_status st = hwi_view_id(view, it.current_value, &ids[n], err);
        if (st == HW_ENOTFOUND) {
            return hwi_fail(err, HW_ECORRUPT, "slot %u is in an index but holds no point",
                            it.current_value);
        }
        if (st != HW_OK) return st;
        if (ids[n].kind == HW_ID_KIND_TEXT) *text_bytes += ids[n].text_bytes;
        n++;
    }
    return HW_OK;
}

/* Moves borrowed texts behind the ids, into the same block. */
static hw_status
own_texts(hw_id **ids, size_t count, size_t text_bytes, hw_error *err)
{
    size_t bytes = count * sizeof **ids;
    if (text_bytes == 0) return HW_OK;
    hw_id *grown = hwi_realloc(*ids, bytes + text_bytes);
    if (!grown) return hwi_nomem(err, bytes + text_bytes);
    *ids = grown;
    char *at = (char *)grown + bytes;
    for (size_t i = 0; i < count; i++) {
        if (grown[i].kind != HW_ID_KIND_TEXT) continue;
        grown[i].as.text = memcpy(at, grown[i].as.text, grown[i].text_bytes);
        at += grown[i].text_bytes;
    }
    return HW_OK;
}

static hw_status
ids_of(hwi_view *view, const roaring_bitmap_t *slots, hw_id **out, size_t *count, hw_error *err)
{
    size_t n = (size_t)roaring_bitmap_get_cardinality(slots), text_bytes;
    if (n == 0) return HW_OK;
    hw_id *ids = hwi_alloc(hwi_size_mul(n, sizeof *ids));
    if (!ids) return hwi_nomem(err, hwi_size_mul(n, sizeof *ids));
    hw_status st = read_ids(view, slots, ids, &text_bytes, err);
    if (st == HW_OK) {
        qsort(ids, n, sizeof *ids, by_id);
        st = own_texts(&ids, n, text_bytes, err);
    }
    if (st != HW_OK) {
        hwi_free(ids);
        return st;
    }
    *out = ids;
    *count = n;
    return HW_OK;
}

hw_status
hw_txn_match(hw_txn *txn, hw_collection *c, const char *filter, size_t filter_bytes, hw_id **ids,
             size_t *count, hw_error *err)
{
    if (txn && hwi_txn_is_far(txn)) return hwi_far_unsupported("hw_txn_match", err);
    hwi_view *view;
    roaring_bitmap_t *slots = NULL;
    *ids = NULL;
    *count = 0;
    HWI_TRY(open_view(txn, c, &view, err));
    hw_status st = hwi_match(view, filter, filter_bytes, &slots, NULL, err);
    if (st == HW_OK) st = ids_of(view, slots, ids, count, err);
    if (slots) roaring_bitmap_free(slots);
    hwi_view_of_txn_free(view);
    return hwi_txn_leave(txn, st);
}

/* ---- Get ---- */

hw_status
hw_txn_get(hw_txn *txn, hw_collection *c, const hw_id *ids, size_t count, uint32_t with,
           hw_result **out, hw_error *err)
{
    if (txn && hwi_txn_is_far(txn)) return hwi_far_unsupported("hw_txn_get", err);
    hwi_view *view;
    *out = NULL;
    if (!ids && count) return hwi_fail(err, HW_EINVAL, "ids is NULL, count is %zu", count);
    HWI_TRY(open_view(txn, c, &view, err));
    hw_status st = hwi_view_get(view, ids, count, with, out, err);
    hwi_view_of_txn_free(view);
    return hwi_txn_leave(txn, st);
}
