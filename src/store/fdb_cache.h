/* fdb_cache.h - values read from the cluster, kept while they are known to be current.
 *
 * The cache follows the database's versions: every commit's log names the keys it changed, and the
 * cache is told of them in order (hwi_fdb_cache_changed, _ranged), then moved on to the version
 * (hwi_fdb_cache_advance). An entry says what a key held at the version `seen`, and that nothing the
 * cache was told of has changed it since. So it holds for every snapshot from `seen` to the cache's
 * version, whatever happened to other keys.
 *
 * Beside entries it remembers when keys changed last, so that a value read at an older version can
 * still be proven current (hwi_fdb_cache_is_unchanged), or be refused.
 *
 * Any number of threads may use it. Entries are counted references: dropped or pushed out, one
 * lives on while a transaction holds it.
 */
#ifndef HWI_FDB_CACHE_H
#define HWI_FDB_CACHE_H

#include <pthread.h>

#include "base/base.h"

typedef struct hwi_fdb_entry {
    struct hwi_fdb_entry *next;          /* in its bucket */
    struct hwi_fdb_entry *newer, *older; /* in order of use */
    atomic_int refs;
    bool is_listed; /* in the cache */
    bool is_absent; /* the key does not exist */
    uint32_t key_bytes, value_bytes, value_at;
    uint64_t hash;
    uint64_t seen;  /* the version it was read at */
    uint64_t sound; /* no range cleared up to this version covers it */
    uint8_t data[]; /* key, then value */
} hwi_fdb_entry;

typedef struct hwi_fdb_cache hwi_fdb_cache;

typedef struct hwi_fdb_cache_stats {
    uint64_t bytes, bytes_max, hits, misses, evictions;
} hwi_fdb_cache_stats;

HW_CHECKED hw_status hwi_fdb_cache_new(size_t bytes_max, hwi_fdb_cache **out, hw_error *err);
void hwi_fdb_cache_free(hwi_fdb_cache *c);
void hwi_fdb_cache_stats_get(hwi_fdb_cache *c, hwi_fdb_cache_stats *out);

static inline uint64_t
hwi_fdb_hash(hw_bytes key)
{
    return hwi_checksum(key.data, key.size);
}

/* The order of keys: as bytes. */
static inline int
hwi_fdb_compare(hw_bytes a, hw_bytes b)
{
    size_t common = HWI_MIN(a.size, b.size);
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* An entry of one reference, in no cache; value.data NULL and is_absent for an absent key. NULL: out
 * of memory. */
hwi_fdb_entry *hwi_fdb_entry_new(hw_bytes key, uint64_t hash, bool is_absent, hw_bytes value,
                                 uint64_t seen);
hwi_fdb_entry *hwi_fdb_entry_ref(hwi_fdb_entry *e);
void hwi_fdb_entry_unref(hwi_fdb_entry *e); /* NULL is fine */
static inline hw_bytes
hwi_fdb_entry_key(const hwi_fdb_entry *e)
{
    return (hw_bytes){e->data, e->key_bytes};
}
static inline hw_bytes
hwi_fdb_entry_value(const hwi_fdb_entry *e)
{
    return (hw_bytes){e->data + e->value_at, e->value_bytes};
}
size_t hwi_fdb_entry_size(const hwi_fdb_entry *e);

/* What `key` holds in the snapshot `version`, a new reference; NULL when the cache cannot tell.
 * `any`: at that version or any later one. */
hwi_fdb_entry *hwi_fdb_cache_get(hwi_fdb_cache *c, hw_bytes key, uint64_t hash, uint64_t version,
                                 bool any);
/* Takes an entry in (its own reference), unless its key is known to have changed since e->seen. */
void hwi_fdb_cache_put(hwi_fdb_cache *c, hwi_fdb_entry *e);

/* The version up to which the cache has been told everything. */
uint64_t hwi_fdb_cache_version(hwi_fdb_cache *c);
/* The commit `version` has changed a key, or the keys in [from, to). */
void hwi_fdb_cache_changed(hwi_fdb_cache *c, hw_bytes key, uint64_t version);
void hwi_fdb_cache_ranged(hwi_fdb_cache *c, hw_bytes from, hw_bytes to, uint64_t version);
/* Anything may have changed up to `version`. */
void hwi_fdb_cache_forget(hwi_fdb_cache *c, uint64_t version);
void hwi_fdb_cache_advance(hwi_fdb_cache *c, uint64_t version);

/* Whether no change of the key after `version` is known of, or possible for all that is
 * remembered. */
bool hwi_fdb_cache_is_unchanged(hwi_fdb_cache *c, hw_bytes key, uint64_t hash, uint64_t version);

#endif
