/* hwt_store.h - stores for tests: one of each kind, in a scratch folder that is removed at the end.
 */
#ifndef HWT_STORE_H
#define HWT_STORE_H

#include "support/hwt_place.h"

typedef enum hwt_kind {
    HWT_MEM,
    HWT_LMDB,
    HWT_FAULT_MEM,
    HWT_FAULT_LMDB,
    HWT_FDB,
    HWT_FAULT_FDB,
    HWT_KINDS
} hwt_kind;

/* What a test of every kind goes through: the first four, or the last two when HASHWOOD_TEST_STORE
 * says so (hwt_place.h). */
#define HWT_EACH_KIND(kind)                                                                        \
    kind = hwt_on_fdb() ? HWT_FDB : HWT_MEM;                                                       \
    kind < (hwt_on_fdb() ? HWT_KINDS : HWT_FDB);                                                   \
    kind++

const char *hwt_kind_text(hwt_kind kind);
bool hwt_kind_is_faulty(hwt_kind kind); /* the fault store around another */

typedef struct hwt_store {
    hwt_kind kind;
    hw_store *store;
    hwi_fault_plan plan; /* idle unless a test arms it */
    hw_db_opts opts;     /* unsynced, with a short busy timeout */
    hwt_place place;     /* of what is on disk or in a cluster */
} hwt_store;

/* Fails the test when it cannot. */
void hwt_store_open(hwt_store *s, hwt_kind kind);
/* Waits a minute for another writer. */
void hwt_store_open_patient(hwt_store *s, hwt_kind kind);
/* On disk and in a cluster: closed and opened again; others stay as they are. */
void hwt_store_reopen(hwt_store *s);
/* The store of the kind, without faults around it. */
void hwt_store_open_inner(hwt_store *s, hw_store **inner);
void hwt_store_close(hwt_store *s);

/* Short forms; keys and values are NUL-terminated text. They fail the test unless HW_OK. */
hw_store_txn *hwt_begin(hw_store *s, hw_txn_mode mode);
void hwt_put(hw_store_txn *t, const char *key, const char *value);
void hwt_commit(hw_store_txn *t);
/* Puts and commits one key. */
void hwt_put_now(hw_store *s, const char *key, const char *value);
/* The value as text in a static buffer, or NULL when absent. */
const char *hwt_get(hw_store_txn *t, const char *key);
/* "key=value " of every key in [from, to) as a scan gives them, in a static buffer. */
const char *hwt_scan(hw_store_txn *t, const char *from, const char *to, bool reverse);

/* Fails with the error's message. */
#define hwt_ok(call, err)                                                                          \
    do {                                                                                           \
        hw_status hwt_st_ = (call);                                                                \
        if (hwt_st_ != HW_OK)                                                                      \
            fail_msg("%s: %s (%s)", #call, hw_status_text(hwt_st_), (err)->message);               \
    } while (0)

#endif
