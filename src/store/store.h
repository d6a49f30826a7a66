/* store.h - the store as the layers above use it: open one, run transactions, read and write.
 *
 * hashwood/store.h is the contract between this folder's backends and everything else; here are
 * thin wrappers over it, the backends' constructors, and what is built on top of keys and values:
 * retries, blobs, the meta record. Keys come from keys.h; backup and copies from dump.h.
 */
#ifndef HWI_STORE_H
#define HWI_STORE_H

#include "base/base.h"
#include "store/keys.h"

/* Whether a name is not a folder's, which has files to copy, lock and rename: "mem:", "fdb:...". */
static inline bool
hwi_store_is_name(const char *where)
{
    return strcmp(where, "mem:") == 0 || strncmp(where, "fdb:", 4) == 0;
}

/* Limits shared by every backend of this folder, so that the same data fits all of them: LMDB sets
 * the key (511 bytes as Debian builds it), FoundationDB the value (100 kB) and the size aimed at.
 */
#define HWI_STORE_KEY_MAX 511u
#define HWI_STORE_VALUE_MAX 90000u
#define HWI_STORE_TXN_SOFT 1000000u
#define HWI_STORE_TXN_MAX ((size_t)1 << 30) /* LMDB holds the pages of a transaction in memory */

/* ---- The contract's functions, by name ---- */

HW_CHECKED static inline hw_status
hwi_store_begin(hw_store *s, hw_txn_mode mode, hw_store_txn **out, hw_error *err)
{
    return s->ops->begin(s, mode, out, err);
}
/* HW_ENOTFOUND leaves *value and err alone. */
HW_CHECKED static inline hw_status
hwi_store_get(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err)
{
    return t->store->ops->get(t, key, value, err);
}
HW_CHECKED static inline hw_status
hwi_store_put(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    return t->store->ops->put(t, key, value, err);
}
HW_CHECKED static inline hw_status
hwi_store_del(hw_store_txn *t, hw_bytes key, hw_error *err)
{
    return t->store->ops->del(t, key, err);
}
HW_CHECKED static inline hw_status
hwi_store_del_range(hw_store_txn *t, hw_bytes from, hw_bytes to, hw_error *err)
{
    return t->store->ops->del_range(t, from, to, err);
}
HW_CHECKED static inline hw_status
hwi_store_add(hw_store_txn *t, hw_bytes key, int64_t delta, hw_error *err)
{
    return t->store->ops->add(t, key, delta, err);
}
HW_CHECKED static inline hw_status
hwi_store_peek(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err)
{
    const hw_store_ops *ops = t->store->ops;
    return (ops->peek ? ops->peek : ops->get)(t, key, value, err);
}
HW_CHECKED static inline hw_status
hwi_store_peek_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn,
                    void *arg, hw_error *err)
{
    const hw_store_ops *ops = t->store->ops;
    return (ops->peek_scan ? ops->peek_scan : ops->scan)(t, from, to, reverse, fn, arg, err);
}
HW_CHECKED static inline hw_status
hwi_store_guard(hw_store_txn *t, hw_bytes key, hw_error *err)
{
    return t->store->ops->guard ? t->store->ops->guard(t, key, err) : HW_OK;
}
/* Whether others write at the same time, so that transactions may fail with HW_ECONFLICT; else
 * writers take turns, and a transaction may take its time. */
static inline bool
hwi_store_is_contested(const hw_store *s)
{
    return s->limits.txn_ms_max > 0;
}
/* Whether wants are heard: a list of them need not be made for nothing. */
static inline bool
hwi_store_is_far(const hw_store_txn *t)
{
    return t->store->ops->want != NULL;
}
static inline void
hwi_store_want(hw_store_txn *t, const hw_bytes *keys, size_t count)
{
    if (t->store->ops->want) t->store->ops->want(t, keys, count);
}
HW_CHECKED static inline hw_status
hwi_store_put_stamped(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    return t->store->ops->put_stamped(t, key, value, err);
}
static inline bool
hwi_store_is_spent(hw_store_txn *t)
{
    return t->store->ops->is_spent && t->store->ops->is_spent(t);
}
HW_CHECKED static inline hw_status
hwi_store_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn, void *arg,
               hw_error *err)
{
    return t->store->ops->scan(t, from, to, reverse, fn, arg, err);
}
static inline uint64_t
hwi_store_snapshot(hw_store_txn *t)
{
    return t->store->ops->snapshot(t);
}
static inline uint64_t
hwi_store_newest(hw_store *s)
{
    return s->ops->newest(s);
}
/* A WRITE transaction is left alone for a while, and used again: see hashwood/store.h. */
static inline void
hwi_store_rest(hw_store_txn *t)
{
    if (t->store->ops->rest) t->store->ops->rest(t);
}
HW_CHECKED static inline hw_status
hwi_store_wake(hw_store_txn *t, hw_error *err)
{
    return t->store->ops->wake ? t->store->ops->wake(t, err) : HW_OK;
}
/* Ends t whatever it returns. */
HW_CHECKED static inline hw_status
hwi_store_commit(hw_store_txn *t, hw_error *err)
{
    return t->store->ops->commit(t, err);
}
static inline void
hwi_store_abort(hw_store_txn *t)
{
    if (t) t->store->ops->abort(t);
}
HW_CHECKED static inline hw_status
hwi_store_info(hw_store *s, hw_store_info *info, hw_error *err)
{
    return s->ops->info(s, info, err);
}
HW_CHECKED static inline hw_status
hwi_store_verify(hw_store *s, hw_damage_fn damage, void *arg, hw_error *err)
{
    return s->ops->verify ? s->ops->verify(s, damage, arg, err) : HW_OK;
}
static inline void
hwi_store_close(hw_store *s)
{
    if (s) s->ops->close(s);
}
/* Whether a transaction has written as much as one should: commit and go on in the next. */
static inline bool
hwi_store_full(const hw_store_txn *t)
{
    return t->bytes_written >= t->store->limits.txn_bytes_soft;
}

/* ---- Built from them (store.c) ---- */

/* Opens the backend that a name asks for: "mem:", "fdb:...", else a folder for LMDB. opts may be NULL. Does
 * not look at the contents: hwi_store_meta_check does. Errors as hw_db_open. */
HW_CHECKED hw_status hwi_store_open(const char *where, const hw_db_opts *opts, hw_store **out,
                                    hw_error *err);

/* Runs body in a write transaction and commits it. When the body or the commit reports HW_ECONFLICT
 * all is done again, a bounded number of times, so a body may run more than once. A failing body's
 * transaction is aborted and its status returned. */
HW_CHECKED hw_status hwi_store_run(hw_store *s,
                                   hw_status (*body)(hw_store_txn *t, void *arg, hw_error *err),
                                   void *arg, hw_error *err);

/* Pauses before attempt `attempt` (0 is the first that follows a conflict), longer each time and by
 * chance, so that two who met do not meet again. */
void hwi_store_back_off(uint32_t attempt);

/* All keys that begin with the tuple `prefix`, ascending. */
HW_CHECKED hw_status hwi_store_scan_prefix(hw_store_txn *t, const hwi_key *prefix, hw_scan_fn fn,
                                           void *arg, hw_error *err);
/* scan, forwards, for walks over much: key and value are borrowed until fn returns, and nothing else
 * may be borrowed from the transaction meanwhile. */
HW_CHECKED hw_status hwi_store_walk(hw_store_txn *t, hw_bytes from, hw_bytes to, hw_scan_fn fn,
                                    void *arg, hw_error *err);
HW_CHECKED hw_status hwi_store_del_prefix(hw_store_txn *t, const hwi_key *prefix, hw_error *err);
/* Deletes keys under the prefix until the transaction is full; *more tells whether any are left for
 * another transaction. */
HW_CHECKED hw_status hwi_store_del_some(hw_store_txn *t, const hwi_key *prefix, bool *more,
                                        hw_error *err);

static inline void
hwi_stamp_write(uint8_t stamp[HW_STAMP_BYTES], uint64_t version, uint32_t order)
{
    for (size_t i = 0; i < 8; i++) stamp[i] = (uint8_t)(version >> (56 - 8 * i));
    for (size_t i = 0; i < 4; i++) stamp[8 + i] = (uint8_t)(order >> (24 - 8 * i));
}
/* The version in a stamp: the snapshot that saw the stamped key first. */
static inline uint64_t
hwi_stamp_version(const uint8_t stamp[HW_STAMP_BYTES])
{
    uint64_t version = 0;
    for (int i = 0; i < 8; i++) version = version << 8 | stamp[i];
    return version;
}

HW_CHECKED hw_status hwi_store_is_empty(hw_store_txn *t, bool *empty, hw_error *err);

/* The counter that hwi_store_add keeps at key; 0 when absent. */
HW_CHECKED hw_status hwi_store_get_i64(hw_store_txn *t, hw_bytes key, int64_t *out, hw_error *err);
/* The same without making a conflict. */
HW_CHECKED hw_status hwi_store_peek_i64(hw_store_txn *t, hw_bytes key, int64_t *out, hw_error *err);

/* ---- Meta (meta.c) ---- */

#define HWI_STORE_FORMAT 1u

typedef struct hwi_store_meta {
    uint32_t format;
    uint8_t uuid[16];
    uint64_t created_s; /* seconds since 1970 */
} hwi_store_meta;

/* Makes sure the store is a hashwood database this version understands: reads its meta record, or
 * writes one when the store is empty and `create` is set. *out may be NULL.
 *
 * HW_EVERSION   "format 2 is newer than this hashwood understands (1)"
 * HW_ECORRUPT   there are keys but no sound meta record
 * HW_ENOTFOUND  empty, and create is not set */
HW_CHECKED hw_status hwi_store_meta_check(hw_store *s, bool create, hwi_store_meta *out,
                                          hw_error *err);
HW_CHECKED hw_status hwi_store_meta_get(hw_store_txn *t, hwi_store_meta *out, hw_error *err);
HW_CHECKED hw_status hwi_store_meta_put(hw_store_txn *t, const hwi_store_meta *meta, hw_error *err);

/* ---- Blobs (blob.c): values of any size ---- */

#define HWI_BLOB_MAX ((size_t)1 << 30)

/* Bytes under a key prefix: in one value up to some 80 kB, else in parts (prefix, 1), (prefix, 2)
 * ... . Nothing else may be kept under the prefix. Checksummed. Replaces what was there. */
HW_CHECKED hw_status hwi_blob_put(hw_store_txn *t, hw_bytes prefix, hw_bytes bytes, hw_error *err);
/* Appends the blob to out. HW_ENOTFOUND (err untouched); HW_ECORRUPT, out then as it was. */
HW_CHECKED hw_status hwi_blob_get(hw_store_txn *t, hw_bytes prefix, hwi_buf *out, hw_error *err);
/* The same without copying where the blob is one value: borrowed from the transaction, or read into
 * `large`, which is cleared first, and borrowed from it. */
HW_CHECKED hw_status hwi_blob_view(hw_store_txn *t, hw_bytes prefix, hwi_buf *large, hw_bytes *out,
                                   hw_error *err);
HW_CHECKED hw_status hwi_blob_del(hw_store_txn *t, hw_bytes prefix, hw_error *err);

/* ---- Backends ---- */

/* In memory: the reference. Lives until closed. Of opts, which may be NULL, only busy_timeout_ms
 * counts. */
HW_CHECKED hw_status hwi_store_mem_open(const hw_db_opts *opts, hw_store **out, hw_error *err);
HW_CHECKED hw_status hwi_store_mem_new(hw_store **out, hw_error *err); /* with defaults */

/* LMDB in a folder (data.mdb, lock.mdb, writer.lock). opts may be NULL. */
HW_CHECKED hw_status hwi_store_lmdb_open(const char *folder, const hw_db_opts *opts, hw_store **out,
                                         hw_error *err);

/* In a FoundationDB cluster; `where` is what follows "fdb:" (fdb_name.c). opts may be NULL. */
HW_CHECKED hw_status hwi_store_fdb_open(const char *where, const hw_db_opts *opts, hw_store **out,
                                        hw_error *err);

/* Wraps another store to misbehave on cue; for tests. Takes over `inner` (closed with it; on
 * failure not). The plan is borrowed, and may be rearmed by its owner between calls. */
typedef enum hwi_fault_op {
    HWI_FAULT_BEGIN = 1,
    HWI_FAULT_GET = 2,
    HWI_FAULT_SCAN = 4,
    HWI_FAULT_PUT = 8,
    HWI_FAULT_DEL = 16, /* del and del_range */
    HWI_FAULT_ADD = 32,
    HWI_FAULT_COMMIT = 64,
    HWI_FAULT_WRITES = 8 | 16 | 32 | 64, /* what changes the store */
    HWI_FAULT_ANY = 127
} hwi_fault_op;

typedef enum hwi_fault_action {
    HWI_FAULT_FAIL,       /* that call alone fails with `status`, doing nothing */
    HWI_FAULT_STOP,       /* it and every later call fails with HW_EIO, as if the process was killed
                             before it */
    HWI_FAULT_STOP_AFTER, /* the same, but the call itself still takes effect */
    HWI_FAULT_LOSE        /* a commit: it and all later commits work, and are undone by
                             hwi_store_fault_power_cut */
} hwi_fault_action;

typedef struct hwi_fault_plan {
    uint32_t ops; /* HWI_FAULT_* bits: the calls that count */
    uint64_t nth; /* 1 is the next such call; 0: never */
    hwi_fault_action action;
    hw_status status; /* for FAIL */

    uint64_t seen; /* kept by the store: calls counted since `seen` was last set to 0 */
    bool fired;    /* kept by the store: the fault has happened */
} hwi_fault_plan;

HW_CHECKED hw_status hwi_store_fault_new(hw_store *inner, hwi_fault_plan *plan, hw_store **out,
                                         hw_error *err);
/* Undoes every commit since a HWI_FAULT_LOSE fired, as a power cut does to unsynced writes, and
 * ends that state (as well as a stop). No transaction may be open. */
HW_CHECKED hw_status hwi_store_fault_power_cut(hw_store *fault, hw_error *err);
/* Closes the wrapper alone and gives the inner store back, as reopening after a kill would. Open
 * transactions must have been ended (after a stop: with abort or a failing commit). */
hw_store *hwi_store_fault_unwrap(hw_store *fault);

#endif
