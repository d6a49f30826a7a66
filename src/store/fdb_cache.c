/* fdb_cache.c - values read from the cluster, kept while they are known to be current.
 *
 *     hash of a key --> shard: buckets -> entry -> entry      entries by key
 *                              newest <-> ... <-> oldest      entries in order of use
 *                              slots: {hash, changed, others} when keys changed last
 *     ranges: the last RANGES cleared ranges, for all shards
 *
 * A slot remembers the newest change of one key by its full hash, and for the other keys that shared
 * the slot before it the newest change of any. So the answer to "has this key changed since" errs on
 * the side of yes, and seldom.
 *
 * Cleared ranges are not looked for in the whole cache: an entry is compared with those that are
 * newer than its `sound` when it is asked for. When a range leaves the list, entries as old as it
 * that were not asked for since are dropped.
 *
 * Order that keeps a change and a late value from crossing: a change is noted in the slot before (in
 * fact under the same lock as) its entry is dropped, and a value is taken in only after a look at the
 * slot, under that lock too. Ranges have a lock of their own, inside a shard's.
 */
#include "store/fdb_cache.h"

#define SHARDS 16u
#define SLOTS 8192u   /* a shard */
#define BUCKETS 8192u /* a shard: chains stay short to some 100,000 entries, then grow slowly */
#define RANGES 64u

typedef struct slot {
    uint64_t hash, changed, others;
} slot;

typedef struct shard {
    pthread_mutex_t lock;
    hwi_fdb_entry *buckets[BUCKETS];
    hwi_fdb_entry *newest, *oldest;
    size_t bytes;
    uint64_t hits, misses, evictions;
    slot slots[SLOTS];
} shard;

typedef struct range {
    hwi_buf keys; /* from, to */
    size_t from_bytes;
    uint64_t version;
} range;

struct hwi_fdb_cache {
    size_t shard_bytes_max;
    atomic_uint_least64_t version;
    atomic_uint_least64_t forgotten; /* nothing is known of changes up to this version */
    pthread_rwlock_t ranges_lock;    /* guards ranges */
    range ranges[RANGES];            /* in a ring; unset: version 0 */
    size_t next_range;
    atomic_uint_least64_t ranged;       /* newest version in ranges */
    atomic_uint_least64_t ranges_floor; /* the newest that has left the ring */
    shard shards[SHARDS];
};

/* ---- entries */

/* Where the value of a large entry lies: as LMDB has it, 16 bytes after a multiple of 64, so that
 * what its writer aligned stays aligned. */
#define VALUE_AT 16u
#define VALUE_ALIGNED_MIN 2048u

hwi_fdb_entry *
hwi_fdb_entry_new(hw_bytes key, uint64_t hash, bool is_absent, hw_bytes value, uint64_t seen)
{
    size_t value_at = sizeof(hwi_fdb_entry) + key.size;
    bool is_aligned = value.size >= VALUE_ALIGNED_MIN;
    size_t step = is_aligned ? 64 : 16;
    value_at = (value_at + step - 1 - VALUE_AT % step) / step * step + VALUE_AT % step;
    hwi_fdb_entry *e =
        is_aligned ? hwi_alloc_aligned(value_at + value.size) : hwi_alloc(value_at + value.size);
    if (!e) return NULL;
    memset(e, 0, sizeof *e);
    e->value_at = (uint32_t)(value_at - sizeof *e);
    atomic_init(&e->refs, 1);
    e->is_absent = is_absent;
    e->key_bytes = (uint32_t)key.size;
    e->value_bytes = (uint32_t)value.size;
    e->hash = hash;
    e->seen = e->sound = seen;
    memcpy(e->data, key.data, key.size);
    if (value.size) memcpy(e->data + e->value_at, value.data, value.size);
    return e;
}

hwi_fdb_entry *
hwi_fdb_entry_ref(hwi_fdb_entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void
hwi_fdb_entry_unref(hwi_fdb_entry *e)
{
    /* acq_rel: whoever frees comes after all who read */
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1) hwi_free(e);
}

size_t
hwi_fdb_entry_size(const hwi_fdb_entry *e)
{
    return sizeof *e + e->value_at + e->value_bytes;
}

/* ---- one shard; its lock is held */

static shard *
shard_of(hwi_fdb_cache *c, uint64_t hash)
{
    return &c->shards[hash % SHARDS];
}

static slot *
slot_of(shard *s, uint64_t hash)
{
    return &s->slots[hash / SHARDS % SLOTS];
}

static hwi_fdb_entry **
bucket_of(shard *s, uint64_t hash)
{
    return &s->buckets[hash / SHARDS % BUCKETS];
}

static void
unlink_use(shard *s, hwi_fdb_entry *e)
{
    *(e->newer ? &e->newer->older : &s->newest) = e->older;
    *(e->older ? &e->older->newer : &s->oldest) = e->newer;
}

static void
link_newest(shard *s, hwi_fdb_entry *e)
{
    e->newer = NULL;
    e->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
}

static hwi_fdb_entry *
find(shard *s, hw_bytes key, uint64_t hash)
{
    hwi_fdb_entry *e = *bucket_of(s, hash);
    while (e && !(e->hash == hash && e->key_bytes == key.size &&
                  memcmp(e->data, key.data, key.size) == 0))
        e = e->next;
    return e;
}

static void
drop(shard *s, hwi_fdb_entry *e)
{
    hwi_fdb_entry **link = bucket_of(s, e->hash);
    while (*link != e) link = &(*link)->next;
    *link = e->next;
    unlink_use(s, e);
    s->bytes -= hwi_fdb_entry_size(e);
    e->is_listed = false;
    hwi_fdb_entry_unref(e);
}

static uint64_t
changed_at(hwi_fdb_cache *c, shard *s, uint64_t hash)
{
    const slot *at = slot_of(s, hash);
    uint64_t changed = at->hash == hash ? at->changed : at->others;
    return HWI_MAX(changed, atomic_load(&c->forgotten));
}

/* ---- ranges */

static bool
covers(const range *r, hw_bytes key)
{
    hw_bytes from = {r->keys.data, r->from_bytes};
    hw_bytes to = {r->keys.data + r->from_bytes, r->keys.size - r->from_bytes};
    return hwi_fdb_compare(from, key) <= 0 && (to.size == 0 || hwi_fdb_compare(key, to) < 0);
}

/* Whether a range cleared after `version` may cover the key. */
static bool
is_ranged(hwi_fdb_cache *c, hw_bytes key, uint64_t version)
{
    if (version >= atomic_load(&c->ranged)) return false;
    if (version < atomic_load(&c->ranges_floor)) return true;
    bool found = false;
    pthread_rwlock_rdlock(&c->ranges_lock);
    if (version < atomic_load(&c->ranges_floor)) found = true;
    for (size_t i = 0; i < RANGES && !found; i++)
        found = c->ranges[i].version > version && covers(&c->ranges[i], key);
    pthread_rwlock_unlock(&c->ranges_lock);
    return found;
}

void
hwi_fdb_cache_ranged(hwi_fdb_cache *c, hw_bytes from, hw_bytes to, uint64_t version)
{
    pthread_rwlock_wrlock(&c->ranges_lock);
    range *r = &c->ranges[c->next_range];
    if (r->version > atomic_load(&c->ranges_floor)) atomic_store(&c->ranges_floor, r->version);
    hwi_buf_clear(&r->keys);
    hwi_buf_add(&r->keys, from.data, from.size);
    hwi_buf_add(&r->keys, to.data, to.size);
    r->from_bytes = from.size;
    r->version = version;
    if (r->keys.failed) { /* no memory to know it by: all that is older may be covered */
        hwi_buf_release(&r->keys);
        r->keys = (hwi_buf){0};
        r->from_bytes = 0;
        r->version = 0;
        atomic_store(&c->ranges_floor, HWI_MAX(version, atomic_load(&c->ranges_floor)));
    } else {
        c->next_range = (c->next_range + 1) % RANGES;
    }
    atomic_store(&c->ranged, HWI_MAX(version, atomic_load(&c->ranged)));
    pthread_rwlock_unlock(&c->ranges_lock);
}

/* ---- asking */

hwi_fdb_entry *
hwi_fdb_cache_get(hwi_fdb_cache *c, hw_bytes key, uint64_t hash, uint64_t version, bool any)
{
    shard *s = shard_of(c, hash);
    uint64_t now = atomic_load(&c->version);

    pthread_mutex_lock(&s->lock);
    hwi_fdb_entry *e = find(s, key, hash);
    if (e && is_ranged(c, key, e->sound)) {
        drop(s, e);
        e = NULL;
    }
    if (e && e->sound < now) e->sound = now;
    if (e && !any && e->seen > version &&
        (changed_at(c, s, hash) > version || is_ranged(c, key, version)))
        e = NULL;
    if (e) {
        unlink_use(s, e);
        link_newest(s, e);
        hwi_fdb_entry_ref(e);
        s->hits++;
    } else {
        s->misses++;
    }
    pthread_mutex_unlock(&s->lock);
    return e;
}

void
hwi_fdb_cache_put(hwi_fdb_cache *c, hwi_fdb_entry *e)
{
    shard *s = shard_of(c, e->hash);
    hw_bytes key = hwi_fdb_entry_key(e);

    pthread_mutex_lock(&s->lock);
    hwi_fdb_entry *old = find(s, key, e->hash);
    bool is_current = changed_at(c, s, e->hash) <= e->seen && !is_ranged(c, key, e->seen);
    if (!is_current || (old && old->seen > e->seen) || hwi_fdb_entry_size(e) > c->shard_bytes_max) {
        pthread_mutex_unlock(&s->lock);
        return;
    }
    if (old) drop(s, old);
    hwi_fdb_entry_ref(e);
    e->is_listed = true;
    e->next = *bucket_of(s, e->hash);
    *bucket_of(s, e->hash) = e;
    link_newest(s, e);
    s->bytes += hwi_fdb_entry_size(e);
    while (s->bytes > c->shard_bytes_max) {
        drop(s, s->oldest);
        s->evictions++;
    }
    pthread_mutex_unlock(&s->lock);
}

bool
hwi_fdb_cache_is_unchanged(hwi_fdb_cache *c, hw_bytes key, uint64_t hash, uint64_t version)
{
    shard *s = shard_of(c, hash);
    pthread_mutex_lock(&s->lock);
    bool is_changed = changed_at(c, s, hash) > version;
    pthread_mutex_unlock(&s->lock);
    return !is_changed && !is_ranged(c, key, version);
}

/* ---- telling */

uint64_t
hwi_fdb_cache_version(hwi_fdb_cache *c)
{
    return atomic_load(&c->version);
}

void
hwi_fdb_cache_changed(hwi_fdb_cache *c, hw_bytes key, uint64_t version)
{
    uint64_t hash = hwi_fdb_hash(key);
    shard *s = shard_of(c, hash);
    slot *at = slot_of(s, hash);

    pthread_mutex_lock(&s->lock);
    if (at->hash != hash) { /* what this key did before, if anything, is in `others` */
        uint64_t before = at->others;
        at->others = HWI_MAX(at->others, at->changed);
        at->hash = hash;
        at->changed = before;
    }
    at->changed = HWI_MAX(at->changed, version);
    hwi_fdb_entry *e = find(s, key, hash);
    if (e && e->seen < version) drop(s, e);
    pthread_mutex_unlock(&s->lock);
}

void
hwi_fdb_cache_forget(hwi_fdb_cache *c, uint64_t version)
{
    if (version > atomic_load(&c->forgotten)) atomic_store(&c->forgotten, version);
    for (size_t i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];
        pthread_mutex_lock(&s->lock);
        for (hwi_fdb_entry *e = s->oldest, *newer; e; e = newer) {
            newer = e->newer;
            if (e->seen < version) drop(s, e);
        }
        pthread_mutex_unlock(&s->lock);
    }
}

void
hwi_fdb_cache_advance(hwi_fdb_cache *c, uint64_t version)
{
    atomic_store(&c->version, version);
}

/* ---- life */

hw_status
hwi_fdb_cache_new(size_t bytes_max, hwi_fdb_cache **out, hw_error *err)
{
    hwi_fdb_cache *c = *out = hwi_alloc_zero(sizeof *c);
    if (!c) return hwi_nomem(err, sizeof *c);
    c->shard_bytes_max = bytes_max / SHARDS;
    pthread_rwlock_init(&c->ranges_lock, NULL);
    for (size_t i = 0; i < SHARDS; i++) pthread_mutex_init(&c->shards[i].lock, NULL);
    return HW_OK;
}

void
hwi_fdb_cache_free(hwi_fdb_cache *c)
{
    if (!c) return;
    for (size_t i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];
        while (s->oldest) drop(s, s->oldest);
        pthread_mutex_destroy(&s->lock);
    }
    for (size_t i = 0; i < RANGES; i++) hwi_buf_release(&c->ranges[i].keys);
    pthread_rwlock_destroy(&c->ranges_lock);
    hwi_free(c);
}

void
hwi_fdb_cache_stats_get(hwi_fdb_cache *c, hwi_fdb_cache_stats *out)
{
    *out = (hwi_fdb_cache_stats){.bytes_max = c->shard_bytes_max * SHARDS};
    for (size_t i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];
        pthread_mutex_lock(&s->lock);
        out->bytes += s->bytes;
        out->hits += s->hits;
        out->misses += s->misses;
        out->evictions += s->evictions;
        pthread_mutex_unlock(&s->lock);
    }
}
