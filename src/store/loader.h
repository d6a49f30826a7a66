/* loader.h - writing ascending keys into an empty store, in bounded transactions.
 *
 * A store whose commits may meet a conflict gets batches that can be written again, and the first
 * key, which is the meta record, last of all: what was cut short is no database, and the next load
 * clears it away. */
#ifndef HWI_LOADER_H
#define HWI_LOADER_H

#include "store/store.h"

typedef struct hwi_loader {
    hw_store *to;
    hw_store_txn *txn; /* open while there is something to commit */
    uint64_t keys;     /* put so far */
    uint64_t total;    /* keys expected, for progress; 0 if unknown */
    hwi_key last;      /* the newest key; empty before the first */
    hwi_buf first;     /* of a store with conflicts: the first key and value, and ... */
    hwi_buf batch;     /* ... those not yet written; each u32 bytes of key, u32 of value, both */
    const char *stage;
    hwi_progress progress;
} hwi_loader;

void hwi_loader_init(hwi_loader *l, hw_store *to, const char *stage, hw_progress_fn progress,
                     void *arg);
/* HW_ECORRUPT when keys do not ascend; HW_EEXIST when the store is not empty. */
HW_CHECKED hw_status hwi_loader_put(hwi_loader *l, hw_bytes key, hw_bytes value, hw_error *err);
/* Commits what is left and reports the end. */
HW_CHECKED hw_status hwi_loader_finish(hwi_loader *l, hw_error *err);
/* Drops what is not committed. Always called. */
void hwi_loader_release(hwi_loader *l);

#endif
