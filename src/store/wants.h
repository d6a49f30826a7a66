/* wants.h - a list of keys that will be asked for soon, sent to the store a handful at a time.
 *
 *     hwi_wants w;
 *     if (!hwi_store_is_far(txn)) return;
 *     w.txn = txn, w.count = 0;
 *     for (...) hwi_key_rec(hwi_wants_next(&w), coll, slot);
 *     hwi_wants_send(&w);
 *
 * It is some 33 kB on the stack: set its two numbers, not all of it.
 */
#ifndef HWI_WANTS_H
#define HWI_WANTS_H

#include "store/store.h"

#define HWI_WANTS_AT_ONCE 32u

typedef struct hwi_wants {
    hw_store_txn *txn;
    size_t count;
    hwi_key keys[HWI_WANTS_AT_ONCE];
} hwi_wants;

static inline void
hwi_wants_send(hwi_wants *w)
{
    hw_bytes views[HWI_WANTS_AT_ONCE];

    for (size_t i = 0; i < w->count; i++) views[i] = hwi_key_view(&w->keys[i]);
    if (w->count) hwi_store_want(w->txn, views, w->count);
    w->count = 0;
}

/* Where the next key is to be made. */
static inline hwi_key *
hwi_wants_next(hwi_wants *w)
{
    if (w->count == HWI_WANTS_AT_ONCE) hwi_wants_send(w);
    return &w->keys[w->count++];
}

#endif
