/* settle.c - reading one's own changes in the middle of a transaction.
 *
 * Ids and payloads are written to the store transaction at once, pages and payload indexes are held
 * back until the end so that each is written once. Settling writes them early: the price is a second
 * write of those that change again. Vector indexes stay behind, since nothing searches inside a
 * transaction. */
#include "ingest/target.h"

static hw_status
settle(hwi_target *t, hw_error *err)
{
    for (size_t i = 0; i < t->conf->field_count; i++) {
        if (t->fields[i].vecs) HWI_TRY(hwi_page_cache_flush(t->fields[i].vecs, err));
        if (t->fields[i].has) HWI_TRY(hwi_page_cache_flush(t->fields[i].has, err));
    }
    HWI_TRY(hwi_page_cache_flush(t->slots, err));
    return hwi_pix_flush(t->pix, err);
}

hw_status
hwi_target_settle(hwi_target *t, hw_error *err)
{
    if (t->writer->broken != HW_OK) {
        return hwi_fail(err, t->writer->broken,
                        "an earlier operation of this transaction failed: it can only be aborted");
    }
    hw_status st = t->is_changed ? settle(t, err) : HW_OK;
    if (st != HW_OK) t->writer->broken = st;
    return st;
}
