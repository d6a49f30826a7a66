/* fdb.h - the store on FoundationDB, inside: what its files share.
 *
 * In the cluster, below P = the tuple ("hashwood", prefix):
 *
 *     P 0 <key>               the database's keys, bytes as they are
 *     P 1 <versionstamp> part LOG: which keys each commit changed (fdb_log.c)
 *     P 2 0                   FLOOR: the log is whole from this version on
 *     P 2 1                   STAMP: version of the newest commit
 *     P 3 <session>           the newest commit of an open store, to learn what became of one
 *
 * A database's version is the commit version in STAMP, so other databases and other users of the
 * cluster do not move it. LOG, FLOOR and STAMP lie in this order so that one range read answers
 * "what has changed since".
 */
#ifndef HWI_STORE_FDB_H
#define HWI_STORE_FDB_H

#include <pthread.h>

#include "store/backend.h"
#include "store/fdb_api.h"
#include "store/fdb_cache.h"
#include "store/fdb_overlay.h"
#include "store/turn.h"

#define HWI_FDB_TIMEOUT_S 10u    /* no single wait for the cluster is longer */
#define HWI_FDB_SNAP_US 4000000u /* FoundationDB reads up to 5 seconds back; less a margin */
#define HWI_FDB_TXN_MS_MAX 5000u
#define HWI_FDB_TXN_MAX 9500000u /* FoundationDB's 10 MB, less a margin */
#define HWI_FDB_NAME_ROOM 512u

/* Part of P. */
typedef enum hwi_fdb_space {
    HWI_FDB_KEYS = 0,
    HWI_FDB_LOG = 1,
    HWI_FDB_NOW = 2,
    HWI_FDB_SESSIONS = 3,
    HWI_FDB_END = 4
} hwi_fdb_space;

/* What `fdb:path?prefix=name` says. */
typedef struct hwi_fdb_name {
    char cluster[HWI_FDB_NAME_ROOM]; /* empty: FoundationDB's default */
    char prefix[HW_NAME_MAX + 1];
} hwi_fdb_name;

/* The name without "fdb:". HW_EINVAL. */
HW_CHECKED hw_status hwi_fdb_name_parse(const char *text, hwi_fdb_name *out, hw_error *err);
/* Where the cluster file is: as named, or where FoundationDB looks. */
const char *hwi_fdb_name_file(const hwi_fdb_name *name);

/* A version that can be read: a FoundationDB transaction at a read version, used by any number of
 * our transactions. */
typedef struct hwi_fdb_snap {
    atomic_int refs;
    FDBTransaction *tr;
    uint64_t version; /* of STAMP there */
    uint64_t born_us; /* before its read version was asked for */
} hwi_fdb_snap;

typedef struct hwi_fdb {
    hw_store base;
    const hwi_fdb_api *api;
    FDBDatabase *db;
    hwi_fdb_cache *cache;
    char where[HWI_FDB_NAME_ROOM + 8]; /* the cluster file, for messages */
    hwi_key prefix;                    /* P */
    hwi_turn writer;
    uint32_t busy_timeout_ms, max_staleness_ms;
    bool read_only;
    uint8_t session[16];
    uint64_t sequence;               /* of commits of this session; used by the writer only */
    uint64_t commits;                /* the same: since the log was trimmed last */
    pthread_mutex_t lock;            /* guards snap */
    hwi_fdb_snap *snap;              /* the newest one made; may be NULL */
    pthread_mutex_t learn;           /* held while the cache is told of changes */
    atomic_uint_least64_t committed; /* newest version that this handle has committed */
    atomic_uint_least64_t waits;
    atomic_bool has_met; /* the cluster has answered */
} hwi_fdb;

/* A key that a transaction has read, or asked for. */
typedef struct hwi_fdb_held {
    struct hwi_fdb_held *next;
    hwi_fdb_entry *entry; /* NULL: not here yet */
    FDBFuture *future;    /* the answer on its way; NULL: none, or another thread waits for it */
    hwi_fdb_snap *snap;   /* READ: that the future reads */
    bool in_conflict;     /* WRITE: its change by others makes a conflict */
    uint64_t hash;
    uint32_t key_bytes;
    uint8_t key[];
} hwi_fdb_held;

/* An answer to a range read, kept because its keys and values are borrowed. */
typedef struct hwi_fdb_chunk {
    struct hwi_fdb_chunk *next;
    FDBFuture *future;
} hwi_fdb_chunk;

typedef struct hwi_fdb_txn {
    hw_store_txn base;
    uint64_t version, born_us;
    FDBTransaction *tr;   /* WRITE */
    pthread_mutex_t lock; /* guards what follows */
    hwi_fdb_snap *snap;   /* READ, LOOSE: where misses are read */
    hwi_fdb_held **held;
    size_t held_buckets, held_count, in_flight;
    hwi_fdb_chunk *chunks;
    size_t kept_bytes; /* of entries and chunks */

    hwi_fdb_overlay overlay; /* WRITE, as is the rest */
    size_t cost;             /* estimate of what FoundationDB counts */
    hw_status failed;
} hwi_fdb_txn;

static inline hwi_fdb *
hwi_fdb_of(hw_store *s)
{
    return (hwi_fdb *)s;
}
static inline hwi_fdb_txn *
hwi_fdb_txn_of(hw_store_txn *t)
{
    return (hwi_fdb_txn *)t;
}

/* ---- fdb_wait.c: keys, waits, failures, snapshots */

/* P and the space's number. */
void hwi_fdb_key_init(const hwi_fdb *s, hwi_key *k, hwi_fdb_space space);
/* Our key, or the end of all of them, as FoundationDB knows it. */
void hwi_fdb_key_of(const hwi_fdb *s, hwi_key *k, hw_bytes key);

/* Waits until the future is there; its error, or 0. */
HW_CHECKED int hwi_fdb_wait(hwi_fdb *s, FDBFuture *f);
/* Gives an error to FoundationDB's retry loop and waits: 0, the transaction is reset and all may be
 * done again; else the error to give up with. */
HW_CHECKED int hwi_fdb_on_error(hwi_fdb *s, FDBTransaction *tr, int code);
bool hwi_fdb_is_retryable(const hwi_fdb *s, int code);
/* What an error means, in our words; `doing` as in "cannot <doing>". */
hw_status hwi_fdb_fail(const hwi_fdb *s, int code, const char *doing, hw_error *err);

HW_CHECKED hw_status hwi_fdb_transaction(hwi_fdb *s, FDBTransaction **out, hw_error *err);
/* A range read on its way: from `begin` (after it when `after`) to below `end`. */
FDBFuture *hwi_fdb_range(hwi_fdb *s, FDBTransaction *tr, hw_bytes begin, bool after, hw_bytes end,
                         int mode, bool reverse);

/* A snapshot of now; remembered as s->snap. */
HW_CHECKED hw_status hwi_fdb_snap_new(hwi_fdb *s, hwi_fdb_snap **out, hw_error *err);
hwi_fdb_snap *hwi_fdb_snap_ref(hwi_fdb_snap *snap);
void hwi_fdb_snap_unref(hwi_fdb *s, hwi_fdb_snap *snap); /* NULL is fine */
/* The newest one made, when it was asked for within the last age_us; a reference, or NULL. */
hwi_fdb_snap *hwi_fdb_snap_recent(hwi_fdb *s, uint64_t age_us);
/* Never to be used again: when it is the newest one made. NULL: whatever that is. */
void hwi_fdb_snap_forget(hwi_fdb *s, const hwi_fdb_snap *snap);

/* ---- fdb_log.c */

/* Reads the database's version through a transaction, and tells the cache what has changed since it
 * was told last. FoundationDB's error, or 0. */
HW_CHECKED int hwi_fdb_learn(hwi_fdb *s, FDBTransaction *tr, uint64_t *version);
/* Adds STAMP, LOG and the session's mark to a transaction that is about to commit. */
HW_CHECKED hw_status hwi_fdb_log_write(hwi_fdb_txn *t, hw_error *err);
/* Tells the cache what the transaction has written, as of its commit. */
void hwi_fdb_log_own(hwi_fdb_txn *t, uint64_t version);
/* What became of a commit with the session's present sequence number: HW_OK, HW_ECONFLICT: it is
 * not there and never will be; HW_EUNKNOWN. */
HW_CHECKED hw_status hwi_fdb_log_settle(hwi_fdb *s, hw_error *err);
/* Removes the session's mark; best effort. */
void hwi_fdb_log_leave(hwi_fdb *s);

/* ---- fdb_read.c */

HW_CHECKED hw_status hwi_fdb_get(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err);
HW_CHECKED hw_status hwi_fdb_peek(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err);
HW_CHECKED hw_status hwi_fdb_guard(hw_store_txn *t, hw_bytes key, hw_error *err);
void hwi_fdb_want(hw_store_txn *t, const hw_bytes *keys, size_t count);
void hwi_fdb_held_release(hwi_fdb_txn *t);
/* A snapshot that a READ transaction can read now: its own, or a newer one. A reference. */
HW_CHECKED hw_status hwi_fdb_usable_snap(hwi_fdb_txn *t, hwi_fdb_snap **out, hw_error *err);
/* After a read through `snap` failed: HW_OK, another try is worth it; `attempt` counts them. */
HW_CHECKED hw_status hwi_fdb_read_failed(hwi_fdb_txn *t, hwi_fdb_snap *snap, int code,
                                         uint32_t attempt, hw_error *err);

/* ---- fdb_scan.c */

HW_CHECKED hw_status hwi_fdb_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse,
                                  hw_scan_fn fn, void *arg, hw_error *err);
HW_CHECKED hw_status hwi_fdb_peek_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse,
                                       hw_scan_fn fn, void *arg, hw_error *err);
void hwi_fdb_chunks_release(hwi_fdb_txn *t);

/* ---- fdb_write.c */

HW_CHECKED hw_status hwi_fdb_put(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err);
HW_CHECKED hw_status hwi_fdb_del(hw_store_txn *t, hw_bytes key, hw_error *err);
HW_CHECKED hw_status hwi_fdb_del_range(hw_store_txn *t, hw_bytes from, hw_bytes to, hw_error *err);
HW_CHECKED hw_status hwi_fdb_add(hw_store_txn *t, hw_bytes key, int64_t delta, hw_error *err);
HW_CHECKED hw_status hwi_fdb_put_stamped(hw_store_txn *t, hw_bytes key, hw_bytes value,
                                         hw_error *err);
HW_CHECKED hw_status hwi_fdb_commit(hw_store_txn *t, hw_error *err);
void hwi_fdb_abort(hw_store_txn *t);

#endif
