/* holes.h - which slot a new point gets (docs/decisions/ says why).
 *
 * One thread at a time, like the transaction it belongs to.
 */
#ifndef HWI_HOLES_H
#define HWI_HOLES_H

#include "records/records.h"

#define HWI_HOLES_GROUP 64u     /* slots that are given out again together */
#define HWI_HOLES_LIVE_MAX 16u  /* a group with at most so many live slots is reused */
#define HWI_HOLES_LIST_MAX 256u /* groups looked up at a time */

/* Zero-initialise, then hwi_holes_init. */
typedef struct hwi_holes {
    hw_store_txn *txn;
    uint32_t coll;
    hwi_page_cache *slots;
    hwi_lane *lane;
    uint32_t groups[HWI_HOLES_LIST_MAX]; /* listed groups, to be filled in this order */
    uint32_t count, at;                  /* groups[at] is being filled */
    uint32_t next;                       /* slots of it below this are known to be taken */
    bool none_left;
    uint32_t *freed; /* groups that lost a slot in this transaction, with repetitions */
    size_t freed_count, freed_room;
} hwi_holes;

/* slots is the transaction's cache of slot pages, lane where fresh slots come from; both borrowed. */
void hwi_holes_init(hwi_holes *h, hw_store_txn *txn, uint32_t coll, hwi_page_cache *slots,
                    hwi_lane *lane);
void hwi_holes_release(hwi_holes *h);

/* The slot for a new point; raises *slots_below when it is a fresh one. The caller takes it by
 * writing its slot row before the next call. HW_ELIMIT when there are no more. */
HW_CHECKED hw_status hwi_holes_take(hwi_holes *h, uint32_t *slots_below, uint32_t *slot,
                                    hw_error *err);
/* The row of this slot was cleared. */
HW_CHECKED hw_status hwi_holes_free_slot(hwi_holes *h, uint32_t slot, hw_error *err);
/* Lists the groups that deletes have emptied enough. Before the slot pages are flushed. */
HW_CHECKED hw_status hwi_holes_flush(hwi_holes *h, hw_error *err);

/* The key of a listed group: `count, c, 1, group`. */
void hwi_holes_key(hwi_key *key, uint32_t coll, uint32_t group);

#endif
