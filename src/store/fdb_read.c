/* fdb_read.c - reading keys: the transaction's own writes, what it holds, the cache, the cluster.
 *
 * A transaction holds every entry that it handed out (or asked for ahead), in a table of its own: it
 * reads each key once, and values stay where they are until it ends.
 *
 * READ transactions outlive FoundationDB's five seconds. A miss of an old one is read in a newer
 * snapshot, and counts when the key has not changed since the transaction's own version: the cache
 * knows, as it is told of every change. A key that has changed is HW_ECONFLICT: its old value is
 * gone. LOOSE transactions take what is there.
 *
 * WRITE transactions read without FoundationDB's own conflict keeping and add their conflicts key by
 * key, so that values from the cache and those asked for ahead are treated alike. */
#include "store/fdb.h"

#define BUCKETS_MIN 64u
#define IN_FLIGHT_MAX 1024u
#define ATTEMPTS_MAX                                                                               \
    50u /* of one read; FoundationDB's timeout ends a cluster that is gone sooner */

/* ---- what the transaction holds; its lock is held */

static hwi_fdb_held *
find(const hwi_fdb_txn *t, hw_bytes key, uint64_t hash)
{
    if (t->held_buckets == 0) return NULL;
    hwi_fdb_held *h = t->held[hash & (t->held_buckets - 1)];
    while (h && !(h->hash == hash && h->key_bytes == key.size &&
                  memcmp(h->key, key.data, key.size) == 0))
        h = h->next;
    return h;
}

static bool
grow(hwi_fdb_txn *t)
{
    size_t count = HWI_MAX(t->held_buckets * 2, BUCKETS_MIN);
    hwi_fdb_held **buckets = hwi_alloc_zero(count * sizeof(hwi_fdb_held *));
    if (!buckets) return false;
    for (size_t i = 0; i < t->held_buckets; i++) {
        for (hwi_fdb_held *h = t->held[i], *next; h; h = next) {
            next = h->next;
            hwi_fdb_held **bucket = &buckets[h->hash & (count - 1)];
            h->next = *bucket;
            *bucket = h;
        }
    }
    hwi_free(t->held);
    t->held = buckets;
    t->held_buckets = count;
    return true;
}

/* The key's place, made when it has none. NULL: out of memory. */
static hwi_fdb_held *
place(hwi_fdb_txn *t, hw_bytes key, uint64_t hash)
{
    hwi_fdb_held *h = find(t, key, hash);
    if (h) return h;
    if (t->held_count >= t->held_buckets && !grow(t)) return NULL;
    h = hwi_alloc_zero(sizeof *h + key.size);
    if (!h) return NULL;
    h->hash = hash;
    h->key_bytes = (uint32_t)key.size;
    memcpy(h->key, key.data, key.size);
    hwi_fdb_held **bucket = &t->held[hash & (t->held_buckets - 1)];
    h->next = *bucket;
    *bucket = h;
    t->held_count++;
    return h;
}

static void
drop_future(hwi_fdb_txn *t, hwi_fdb_held *h)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    if (h->future) {
        s->api->future_destroy(h->future);
        t->in_flight--;
    }
    hwi_fdb_snap_unref(s, h->snap);
    h->future = NULL;
    h->snap = NULL;
}

void
hwi_fdb_held_release(hwi_fdb_txn *t)
{
    for (size_t i = 0; i < t->held_buckets; i++) {
        for (hwi_fdb_held *h = t->held[i], *next; h; h = next) {
            next = h->next;
            drop_future(t, h);
            hwi_fdb_entry_unref(h->entry);
            hwi_free(h);
        }
    }
    hwi_free(t->held);
    t->held = NULL;
    t->held_buckets = t->held_count = 0;
}

/* ---- snapshots of readers */

hw_status
hwi_fdb_usable_snap(hwi_fdb_txn *t, hwi_fdb_snap **out, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    hwi_fdb_snap *snap = NULL;

    pthread_mutex_lock(&t->lock);
    if (t->snap && hwi_clock_us() - t->snap->born_us < HWI_FDB_SNAP_US)
        snap = hwi_fdb_snap_ref(t->snap);
    pthread_mutex_unlock(&t->lock);
    *out = snap;
    if (snap) return HW_OK;

    snap = hwi_fdb_snap_recent(s, HWI_FDB_SNAP_US);
    if (snap && snap->version < t->version) {
        hwi_fdb_snap_unref(s, snap);
        snap = NULL;
    }
    if (!snap) HWI_TRY(hwi_fdb_snap_new(s, &snap, err));
    pthread_mutex_lock(&t->lock);
    hwi_fdb_snap *old = t->snap;
    t->snap = hwi_fdb_snap_ref(snap);
    pthread_mutex_unlock(&t->lock);
    hwi_fdb_snap_unref(s, old);
    *out = snap;
    return HW_OK;
}

hw_status
hwi_fdb_read_failed(hwi_fdb_txn *t, hwi_fdb_snap *snap, int code, uint32_t attempt, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);

    bool is_behind = code == HWI_FDB_FUTURE || code == HWI_FDB_BEHIND;
    bool may_retry = snap ? hwi_fdb_is_retryable(s, code) || code == HWI_FDB_CANCELLED : is_behind;
    if (attempt >= ATTEMPTS_MAX || !may_retry) return hwi_fdb_fail(s, code, "read", err);
    if (is_behind) {
        hwi_store_back_off(attempt);
        return HW_OK;
    }
    hwi_fdb_snap_forget(s, snap);
    pthread_mutex_lock(&t->lock);
    hwi_fdb_snap *old = t->snap == snap ? snap : NULL;
    if (old) t->snap = NULL;
    pthread_mutex_unlock(&t->lock);
    hwi_fdb_snap_unref(s, old);
    if (code != HWI_FDB_TOO_OLD) hwi_store_back_off(attempt);
    return HW_OK;
}

/* ---- reading one key */

static FDBFuture *
ask(hwi_fdb_txn *t, const hwi_fdb_snap *snap, hw_bytes key)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    hwi_key k;
    hwi_fdb_key_of(s, &k, key);
    return s->api->transaction_get(snap ? snap->tr : t->tr, k.data, (int)k.size, 1);
}

static hw_status
moved_on(const hwi_fdb_txn *t, hw_error *err)
{
    return hwi_fail(err, HW_ECONFLICT,
                    "a snapshot of %llu seconds ago was asked for a key that has changed since",
                    (unsigned long long)((hwi_clock_us() - t->born_us) / 1000000));
}

/* The entry for an answer that has arrived. */
static hw_status
take_answer(hwi_fdb_txn *t, const hwi_fdb_snap *snap, FDBFuture *f, hw_bytes key, uint64_t hash,
            hwi_fdb_entry **out, int *code, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    uint64_t version = snap ? snap->version : t->version;
    const uint8_t *value;
    int present, bytes;

    *code = hwi_fdb_wait(s, f);
    if (*code == 0) *code = s->api->future_get_value(f, &present, &value, &bytes);
    if (*code != 0) return HW_OK;
    hw_bytes found = {present ? value : NULL, present ? (size_t)bytes : 0};
    *out = hwi_fdb_entry_new(key, hash, !present, found, version);
    if (!*out) return hwi_nomem(err, found.size);
    hwi_fdb_cache_put(s->cache, *out);
    if (version == t->version || t->base.mode == HW_TXN_LOOSE ||
        hwi_fdb_cache_is_unchanged(s->cache, key, hash, t->version))
        return HW_OK;
    hwi_fdb_entry_unref(*out);
    *out = NULL;
    return moved_on(t, err);
}

/* Reads from the cluster; `f`, when there is one, is an answer asked for in `snap`. Takes both. */
static hw_status
fetch(hwi_fdb_txn *t, hw_bytes key, uint64_t hash, FDBFuture *f, hwi_fdb_snap *snap,
      hwi_fdb_entry **out, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    hw_status st = HW_OK;
    int code = 0;

    *out = NULL;
    for (uint32_t attempt = 0; st == HW_OK && !*out; attempt++) {
        if (!f) {
            if (t->base.mode != HW_TXN_WRITE) st = hwi_fdb_usable_snap(t, &snap, err);
            if (st != HW_OK) break;
            f = ask(t, snap, key);
        }
        st = take_answer(t, snap, f, key, hash, out, &code, err);
        if (st == HW_OK && code != 0) st = hwi_fdb_read_failed(t, snap, code, attempt, err);
        s->api->future_destroy(f);
        hwi_fdb_snap_unref(s, snap);
        f = NULL;
        snap = NULL;
    }
    return st;
}

static hw_status
add_conflict(hwi_fdb_txn *t, hw_bytes key, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    hwi_key k;
    hwi_fdb_key_of(s, &k, key);
    k.data[k.size] = 0; /* there is room: a key is far below the builder's */
    int code = s->api->transaction_add_conflict_range(t->tr, k.data, (int)k.size, k.data,
                                                      (int)k.size + 1, HWI_FDB_CONFLICT_READ);
    return code == 0 ? HW_OK : hwi_fdb_fail(s, code, "read", err);
}

/* Hands an entry (and its reference) to the transaction; *value is borrowed from it. Without one,
 * from what it holds. HW_EIO never; HW_ENOTFOUND: the key is absent. */
static hw_status
hold(hwi_fdb_txn *t, hw_bytes key, uint64_t hash, hwi_fdb_entry *e, bool conflicts, hw_bytes *value,
     hw_error *err)
{
    hw_status st = HW_OK;
    bool is_new_conflict = false;

    pthread_mutex_lock(&t->lock);
    hwi_fdb_held *h = place(t, key, hash);
    if (!h) {
        pthread_mutex_unlock(&t->lock);
        hwi_fdb_entry_unref(e);
        return hwi_nomem(err, key.size);
    }
    if (h->entry) {
        hwi_fdb_entry_unref(e); /* another thread was faster */
    } else {
        h->entry = e;
        t->kept_bytes += hwi_fdb_entry_size(e);
    }
    e = h->entry;
    if (conflicts && !h->in_conflict) is_new_conflict = h->in_conflict = true;
    pthread_mutex_unlock(&t->lock);
    if (is_new_conflict) st = add_conflict(t, key, err);
    if (st != HW_OK) return st;
    if (e->is_absent) return HW_ENOTFOUND;
    *value = hwi_fdb_entry_value(e);
    return HW_OK;
}

/* What the transaction holds or has asked for: an entry (a reference), or an answer to wait for. */
static hwi_fdb_entry *
take_held(hwi_fdb_txn *t, hw_bytes key, uint64_t hash, FDBFuture **f, hwi_fdb_snap **snap)
{
    hwi_fdb_entry *e = NULL;

    *f = NULL;
    *snap = NULL;
    pthread_mutex_lock(&t->lock);
    hwi_fdb_held *h = find(t, key, hash);
    if (h && h->entry) {
        e = hwi_fdb_entry_ref(h->entry);
    } else if (h && h->future) {
        *f = h->future;
        *snap = h->snap;
        h->future = NULL;
        h->snap = NULL;
        t->in_flight--;
    }
    pthread_mutex_unlock(&t->lock);
    return e;
}

/* A key this transaction has added to blindly: only FoundationDB can tell. */
static hw_status
read_through(hwi_fdb_txn *t, hw_bytes key, bool conflicts, hw_bytes *value, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    const uint8_t *data;
    int present, bytes;

    if (conflicts) HWI_TRY(add_conflict(t, key, err));
    hwi_fdb_chunk *c = hwi_alloc_zero(sizeof *c);
    if (!c) return hwi_nomem(err, sizeof *c);
    c->future = ask(t, NULL, key);
    c->next = t->chunks;
    t->chunks = c;
    int code = hwi_fdb_wait(s, c->future);
    if (code == 0) code = s->api->future_get_value(c->future, &present, &data, &bytes);
    if (code != 0) return hwi_fdb_fail(s, code, "read", err);
    if (!present) return HW_ENOTFOUND;
    *value = hwi_bytes(data, (size_t)bytes);
    return HW_OK;
}

static bool
is_key(hw_bytes key)
{
    return key.size > 0 && key.size <= HWI_STORE_KEY_MAX;
}

static hw_status
get(hwi_fdb_txn *t, hw_bytes key, bool conflicts, hw_bytes *value, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    hwi_fdb_snap *snap;
    FDBFuture *f;

    if (!is_key(key)) return HW_ENOTFOUND; /* never stored */
    if (t->base.mode == HW_TXN_WRITE) {
        hw_bytes own;
        switch (hwi_fdb_overlay_find(&t->overlay, key, &own)) {
        case HWI_FDB_PUT:
            *value = own;
            return HW_OK;
        case HWI_FDB_DEL:
            return HW_ENOTFOUND;
        case HWI_FDB_ADD:
            return read_through(t, key, conflicts, value, err);
        case HWI_FDB_UNWRITTEN:
            break;
        }
    }
    uint64_t hash = hwi_fdb_hash(key);
    hwi_fdb_entry *e = take_held(t, key, hash, &f, &snap);
    if (!e && !f)
        e = hwi_fdb_cache_get(s->cache, key, hash, t->version, t->base.mode == HW_TXN_LOOSE);
    if (!e) HWI_TRY(fetch(t, key, hash, f, snap, &e, err));
    return hold(t, key, hash, e, conflicts, value, err);
}

hw_status
hwi_fdb_get(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err)
{
    return get(hwi_fdb_txn_of(t), key, t->mode == HW_TXN_WRITE, value, err);
}

hw_status
hwi_fdb_peek(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err)
{
    return get(hwi_fdb_txn_of(t), key, false, value, err);
}

hw_status
hwi_fdb_guard(hw_store_txn *t, hw_bytes key, hw_error *err)
{
    if (t->mode != HW_TXN_WRITE || !is_key(key)) return HW_OK;
    return add_conflict(hwi_fdb_txn_of(t), key, err);
}

/* ---- asking ahead */

static bool
is_known(hwi_fdb_txn *t, hw_bytes key, uint64_t hash)
{
    hw_bytes own;
    if (t->base.mode == HW_TXN_WRITE &&
        hwi_fdb_overlay_find(&t->overlay, key, &own) != HWI_FDB_UNWRITTEN)
        return true;
    pthread_mutex_lock(&t->lock);
    bool is_held = find(t, key, hash) || t->in_flight >= IN_FLIGHT_MAX;
    pthread_mutex_unlock(&t->lock);
    return is_held;
}

static void
want_one(hwi_fdb_txn *t, hw_bytes key, hwi_fdb_snap **snap)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    hw_bytes value;

    if (!is_key(key)) return;
    uint64_t hash = hwi_fdb_hash(key);
    if (is_known(t, key, hash)) return;
    hwi_fdb_entry *e =
        hwi_fdb_cache_get(s->cache, key, hash, t->version, t->base.mode == HW_TXN_LOOSE);
    if (e) {
        hw_status st = hold(t, key, hash, e, false, &value, NULL);
        (void)st; /* a hint */
        return;
    }
    if (t->base.mode != HW_TXN_WRITE && !*snap && hwi_fdb_usable_snap(t, snap, NULL) != HW_OK)
        return;
    FDBFuture *f = ask(t, *snap, key);
    pthread_mutex_lock(&t->lock);
    hwi_fdb_held *h = place(t, key, hash);
    bool is_mine = h && !h->entry && !h->future;
    if (is_mine) {
        h->future = f;
        h->snap = *snap ? hwi_fdb_snap_ref(*snap) : NULL;
        t->in_flight++;
    }
    pthread_mutex_unlock(&t->lock);
    if (!is_mine) s->api->future_destroy(f);
}

void
hwi_fdb_want(hw_store_txn *base, const hw_bytes *keys, size_t count)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);
    hwi_fdb_snap *snap = NULL;

    for (size_t i = 0; i < count; i++) want_one(t, keys[i], &snap);
    hwi_fdb_snap_unref(hwi_fdb_of(base->store), snap);
}
