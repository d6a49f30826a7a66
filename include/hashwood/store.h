/* store.h - the ordered key-value store underneath, for authors of storage backends.
 *
 * Everything hashwood keeps, the index included, is keys and values in one ordered, transactional
 * key space. A backend is a static table of functions (hw_store_ops) plus its limits; its own
 * struct begins with `hw_store base`. Callers never ask which backend they have; they obey
 * `limits`. A backend is done when tests/conform/ passes on it: that suite is this contract in
 * executable form.
 */
#ifndef HASHWOOD_STORE_H
#define HASHWOOD_STORE_H

#include "hashwood.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes. data may be NULL when size is 0. */
typedef struct hw_bytes {
    const void *data;
    size_t size;
} hw_bytes;

typedef struct hw_store hw_store;
typedef struct hw_store_txn hw_store_txn;

/* LOOSE reads like READ but need not be one snapshot: every key is read once, at any time since
 * begin. For long work that writers keep informed of what they change. */
typedef enum hw_txn_mode { HW_TXN_READ, HW_TXN_WRITE, HW_TXN_LOOSE } hw_txn_mode;

#define HW_STAMP_BYTES 12u /* hw_store_ops.put_stamped */

/* What callers must stay below. Data, not code, so that a batch is cut the same way for every
 * backend. */
typedef struct hw_store_limits {
    size_t key_bytes_max;
    size_t value_bytes_max;
    size_t txn_bytes_soft; /* aim to commit at about this many bytes of keys and values written */
    size_t txn_bytes_max;  /* a commit above this fails with HW_ELIMIT */
    uint32_t txn_ms_max;   /* age at which a transaction may fail with HW_ECONFLICT; 0: no limit */
} hw_store_limits;

/* Return false to stop the scan. key and value are borrowed until the transaction ends (READ) or
 * until its next write (WRITE). Must not write. */
typedef bool (*hw_scan_fn)(void *arg, hw_bytes key, hw_bytes value);

typedef struct hw_store_info {
    uint64_t disk_bytes; /* what the store occupies */
    uint64_t free_bytes; /* of those, in free pages */
    uint64_t map_bytes;  /* largest size it can grow to; 0: unlimited */
    uint64_t keys;       /* number of keys, 0 if unknown */
    uint64_t grouped;    /* commits through this handle that shared another's sync */
    uint64_t cache_bytes, cache_bytes_max; /* of a far store's values in memory; 0: none */
    uint64_t cache_hits, cache_misses, cache_evictions; /* of keys read */
    uint64_t round_trips; /* times this handle waited for the other side */
} hw_store_info;

typedef struct hw_store_ops {
    const char *name; /* "mem", "lmdb", "fault", "fdb" */

    /* READ: a snapshot of the newest commit. WRITE: the only writer through this handle; waits for
     * another one up to the busy timeout given at open, then HW_EBUSY. HW_EREADONLY for WRITE on a
     * store opened read-only. A transaction may be begun, used and ended by different threads.
     *
     * Where other processes write at the same time (fdb), a WRITE transaction whose reads were
     * overtaken fails with HW_ECONFLICT at commit, and may do so at any read; so does a READ whose
     * snapshot has become too old to be read. Begin anew. */
    hw_status (*begin)(hw_store *s, hw_txn_mode mode, hw_store_txn **out, hw_error *err);

    /* The version of the snapshot a transaction reads: larger after every commit that changed
     * something. Stamps of commits that it sees are not above it. */
    uint64_t (*snapshot)(hw_store_txn *t);

    /* The version a transaction begun now would read. Cheap (no system call on lmdb): asked before
     * every query. */
    uint64_t (*newest)(hw_store *s);

    /* HW_ENOTFOUND (with *value untouched and err untouched) if the key is absent. *value is
     * borrowed: until the transaction ends (READ), or until its next write (WRITE). A WRITE
     * transaction sees its own writes. A READ transaction may be read by any number of threads at
     * once; a WRITE one by one at a time. */
    hw_status (*get)(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err);

    /* The same, but it is no matter for a WRITE transaction when another one changes the key before
     * this one commits. May be NULL: get does. */
    hw_status (*peek)(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err);

    /* scan in the way of peek. May be NULL: scan does. */
    hw_status (*peek_scan)(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn,
                           void *arg, hw_error *err);

    /* WRITE: when another transaction changes the key before this one commits, this one is to fail,
     * as if the key had been got; what is there does not matter. May be NULL where there is but one
     * writer. */
    hw_status (*guard)(hw_store_txn *t, hw_bytes key, hw_error *err);

    /* The keys will be asked for soon: a store far away fetches them all at once. Only a hint, and
     * may be NULL. */
    void (*want)(hw_store_txn *t, const hw_bytes *keys, size_t count);

    /* Keys in [from, to) in byte order, or in reverse. An empty `to` means the end of the key
     * space. */
    hw_status (*scan)(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn,
                      void *arg, hw_error *err);

    /* Key and value are copied; they must not lie in memory borrowed from this transaction.
     * HW_ELIMIT above the limits (the transaction goes on), HW_EREADONLY on a READ transaction,
     * HW_ENOSPC, HW_EIO, HW_ENOMEM (only abort is left; commit would fail too). */
    hw_status (*put)(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err);

    hw_status (*del)(hw_store_txn *t, hw_bytes key, hw_error *err); /* absent key: HW_OK */
    hw_status (*del_range)(hw_store_txn *t, hw_bytes from, hw_bytes to, hw_error *err);

    /* Adds to the 8-byte little-endian signed integer at key (absent: 0). A blind write where the
     * store can. */
    hw_status (*add)(hw_store_txn *t, hw_bytes key, int64_t delta, hw_error *err);

    /* Puts a value at `key` followed by HW_STAMP_BYTES that ascend in the order of commits: 8 bytes
     * big-endian, the snapshot that sees this commit first, then 4 that tell apart and order what
     * is stamped alike. Not to be read by the transaction itself. */
    hw_status (*put_stamped)(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err);

    /* Both may be NULL. Between rest and wake a WRITE transaction is not used, for any time, and
     * nothing borrowed from it is kept: a store that lets transactions share a commit need not make
     * others wait for it. No other operation but commit and abort comes before wake. A failing wake
     * leaves only abort. */
    void (*rest)(hw_store_txn *t);
    hw_status (*wake)(hw_store_txn *t, hw_error *err);

    /* Ends t whatever it returns. HW_OK: durable (unless opened no_sync). Any other: nothing was
     * written, save HW_EUNKNOWN, where it may have been. */
    hw_status (*commit)(hw_store_txn *t, hw_error *err);
    void (*abort)(hw_store_txn *t); /* NULL is fine */

    /* Whether a READ transaction keeps so much in memory that its owner had better begin another,
     * though nothing has changed. May be NULL: never. */
    bool (*is_spent)(hw_store_txn *t);

    /* The owner of a READ transaction keeps nothing that it borrowed so far, and no other thread
     * uses it: a store that holds such things in memory lets go of them. May be NULL. */
    void (*forget)(hw_store_txn *t);

    hw_status (*info)(hw_store *s, hw_store_info *info, hw_error *err);

    /* Looks for damage below keys and values in the newest commit, without trusting what is stored:
     * HW_ECORRUPT when there is any, each reported through `damage` (may be NULL). May be NULL: the
     * store has nothing of the kind. */
    hw_status (*verify)(hw_store *s, hw_damage_fn damage, void *arg, hw_error *err);

    void (*close)(hw_store *s); /* no transaction may be open */
} hw_store_ops;

struct hw_store {
    const hw_store_ops *ops;
    hw_store_limits limits;
};

struct hw_store_txn {
    hw_store *store;
    hw_txn_mode mode;
    size_t bytes_written; /* keys and values put so far; kept by the backend */
    uint32_t stamped;     /* WRITE: keys stamped so far; kept by the backend */
    uint64_t group; /* WRITE: not 0 while it sees writes of other transactions that are not yet
                             durable; the same number for all of those. What it reads may still be
                             lost, so no other transaction may rely on it. Kept by the backend. */
};

#ifdef __cplusplus
}
#endif
#endif
