/* fdb_overlay.h - what a write transaction has written so far, on our side of the network.
 *
 * FoundationDB's client shows a transaction its own writes, at the price of a trip through its
 * network thread. The overlay answers at once, and is what the commit's log entry and the cache are
 * told from. One thread at a time; everything lives until the overlay is released.
 */
#ifndef HWI_FDB_OVERLAY_H
#define HWI_FDB_OVERLAY_H

#include "base/base.h"

typedef enum hwi_fdb_write_kind {
    HWI_FDB_UNWRITTEN,
    HWI_FDB_PUT,
    HWI_FDB_DEL,
    HWI_FDB_ADD /* added to a value not known here */
} hwi_fdb_write_kind;

typedef struct hwi_fdb_write {
    struct hwi_fdb_write *next; /* in its bucket */
    uint64_t hash;
    uint64_t order; /* of the write among all of the transaction */
    hwi_fdb_write_kind kind;
    hw_bytes key, value;
} hwi_fdb_write;

typedef struct hwi_fdb_cleared {
    hw_bytes from, to; /* an empty `to`: the end */
    uint64_t order;
} hwi_fdb_cleared;

typedef struct hwi_fdb_overlay {
    hwi_arena arena;
    hwi_fdb_write **buckets;
    size_t bucket_count;
    hwi_fdb_write **writes; /* in order of first write */
    size_t count, capacity;
    hwi_fdb_cleared *ranges;
    size_t range_count, range_capacity;
    uint64_t order;
} hwi_fdb_overlay;

void hwi_fdb_overlay_release(hwi_fdb_overlay *o);

/* All copy what they are given; false: out of memory. */
HW_CHECKED bool hwi_fdb_overlay_put(hwi_fdb_overlay *o, hw_bytes key, hw_bytes value);
HW_CHECKED bool hwi_fdb_overlay_del(hwi_fdb_overlay *o, hw_bytes key);
HW_CHECKED bool hwi_fdb_overlay_del_range(hwi_fdb_overlay *o, hw_bytes from, hw_bytes to);
HW_CHECKED bool hwi_fdb_overlay_add(hwi_fdb_overlay *o, hw_bytes key, int64_t delta);

/* What the transaction did to the key last; *value for PUT, borrowed until the overlay is
 * released. */
hwi_fdb_write_kind hwi_fdb_overlay_find(const hwi_fdb_overlay *o, hw_bytes key, hw_bytes *value);

/* The same of one of `writes`. */
hwi_fdb_write_kind hwi_fdb_overlay_outcome(const hwi_fdb_overlay *o, const hwi_fdb_write *w);

/* Sorts `writes` by key. */
void hwi_fdb_overlay_sort(hwi_fdb_overlay *o);

static inline bool
hwi_fdb_overlay_is_empty(const hwi_fdb_overlay *o)
{
    return o->count == 0 && o->range_count == 0;
}

#endif
