/* fdb_overlay.c - what a write transaction has written so far: a hash table by key, and the cleared
 * ranges in a list.
 *
 * Every write takes the next number. A key's last state is that of its own write, or "deleted" when
 * a range that covers it was cleared later. Transactions clear few ranges, so they are looked
 * through one by one, the newest first.
 *
 * Memory is an arena: what a transaction may write is bounded by the store's limits, overwritten
 * values included.
 */
#include "store/fdb_overlay.h"

#include <stdlib.h>

#include "store/fdb_cache.h"

#define BUCKETS_MIN 64u

void
hwi_fdb_overlay_release(hwi_fdb_overlay *o)
{
    hwi_arena_release(&o->arena);
    hwi_free(o->buckets);
    hwi_free(o->writes);
    hwi_free(o->ranges);
    memset(o, 0, sizeof *o);
}

static bool
copy(hwi_fdb_overlay *o, hw_bytes from, hw_bytes *to)
{
    uint8_t *data = hwi_arena_alloc(&o->arena, HWI_MAX(from.size, 1u));
    if (!data) return false;
    if (from.size) memcpy(data, from.data, from.size);
    *to = hwi_bytes(data, from.size);
    return true;
}

/* ---- the table */

static hwi_fdb_write *
find(const hwi_fdb_overlay *o, hw_bytes key, uint64_t hash)
{
    if (o->bucket_count == 0) return NULL;
    hwi_fdb_write *w = o->buckets[hash & (o->bucket_count - 1)];
    while (w && !(w->hash == hash && hwi_fdb_compare(w->key, key) == 0)) w = w->next;
    return w;
}

static bool
grow(hwi_fdb_overlay *o)
{
    size_t count = HWI_MAX(o->bucket_count * 2, BUCKETS_MIN);
    hwi_fdb_write **buckets = hwi_alloc_zero(count * sizeof(hwi_fdb_write *));
    hwi_fdb_write **writes = hwi_realloc(o->writes, count * sizeof(hwi_fdb_write *));
    if (writes) o->writes = writes;
    if (!buckets || !writes) {
        hwi_free(buckets);
        return false;
    }
    for (size_t i = 0; i < o->count; i++) {
        hwi_fdb_write *w = o->writes[i], **bucket = &buckets[w->hash & (count - 1)];
        w->next = *bucket;
        *bucket = w;
    }
    hwi_free(o->buckets);
    o->buckets = buckets;
    o->bucket_count = o->capacity = count;
    return true;
}

/* The key's place, made when it has none. NULL: out of memory. */
static hwi_fdb_write *
place(hwi_fdb_overlay *o, hw_bytes key)
{
    uint64_t hash = hwi_fdb_hash(key);
    hwi_fdb_write *w = find(o, key, hash);
    if (w) return w;
    if (o->count == o->capacity && !grow(o)) return NULL;
    w = hwi_arena_alloc(&o->arena, sizeof *w);
    if (!w || !copy(o, key, &w->key)) return NULL;
    w->hash = hash;
    w->order = 0;
    w->kind = HWI_FDB_UNWRITTEN;
    w->value = (hw_bytes){NULL, 0};
    hwi_fdb_write **bucket = &o->buckets[hash & (o->bucket_count - 1)];
    w->next = *bucket;
    *bucket = w;
    o->writes[o->count++] = w;
    return w;
}

/* ---- what happened to a key */

static bool
covers(const hwi_fdb_cleared *r, hw_bytes key)
{
    return hwi_fdb_compare(r->from, key) <= 0 &&
           (r->to.size == 0 || hwi_fdb_compare(key, r->to) < 0);
}

/* Whether a range cleared after `order` covers the key. */
static bool
is_cleared(const hwi_fdb_overlay *o, hw_bytes key, uint64_t order)
{
    for (size_t i = o->range_count; i-- > 0 && o->ranges[i].order > order;)
        if (covers(&o->ranges[i], key)) return true;
    return false;
}

hwi_fdb_write_kind
hwi_fdb_overlay_outcome(const hwi_fdb_overlay *o, const hwi_fdb_write *w)
{
    return is_cleared(o, w->key, w->order) ? HWI_FDB_DEL : w->kind;
}

hwi_fdb_write_kind
hwi_fdb_overlay_find(const hwi_fdb_overlay *o, hw_bytes key, hw_bytes *value)
{
    if (hwi_fdb_overlay_is_empty(o)) return HWI_FDB_UNWRITTEN;
    const hwi_fdb_write *w = find(o, key, hwi_fdb_hash(key));
    if (!w) return is_cleared(o, key, 0) ? HWI_FDB_DEL : HWI_FDB_UNWRITTEN;
    *value = w->value;
    return hwi_fdb_overlay_outcome(o, w);
}

/* ---- writing */

bool
hwi_fdb_overlay_put(hwi_fdb_overlay *o, hw_bytes key, hw_bytes value)
{
    hwi_fdb_write *w = place(o, key);
    if (!w || !copy(o, value, &w->value)) return false;
    w->kind = HWI_FDB_PUT;
    w->order = ++o->order;
    return true;
}

bool
hwi_fdb_overlay_del(hwi_fdb_overlay *o, hw_bytes key)
{
    hwi_fdb_write *w = place(o, key);
    if (!w) return false;
    w->kind = HWI_FDB_DEL;
    w->order = ++o->order;
    return true;
}

bool
hwi_fdb_overlay_del_range(hwi_fdb_overlay *o, hw_bytes from, hw_bytes to)
{
    if (o->range_count == o->range_capacity) {
        size_t capacity = HWI_MAX(o->range_capacity * 2, 16u);
        hwi_fdb_cleared *ranges = hwi_realloc(o->ranges, capacity * sizeof *ranges);
        if (!ranges) return false;
        o->ranges = ranges;
        o->range_capacity = capacity;
    }
    hwi_fdb_cleared *r = &o->ranges[o->range_count];
    if (!copy(o, from, &r->from) || !copy(o, to, &r->to)) return false;
    r->order = ++o->order;
    o->range_count++;
    return true;
}

bool
hwi_fdb_overlay_add(hwi_fdb_overlay *o, hw_bytes key, int64_t delta)
{
    hwi_fdb_write *w = place(o, key);
    if (!w) return false;
    hwi_fdb_write_kind kind = hwi_fdb_overlay_outcome(o, w);
    if (kind == HWI_FDB_UNWRITTEN && is_cleared(o, key, 0)) kind = HWI_FDB_DEL;
    w->order = ++o->order;
    if (kind == HWI_FDB_DEL || (kind == HWI_FDB_PUT && w->value.size == 8)) {
        uint64_t before = kind == HWI_FDB_PUT ? hwi_get_u64(w->value.data) : 0;
        uint8_t sum[8];
        hwi_put_u64(sum, before + (uint64_t)delta);
        w->kind = HWI_FDB_PUT;
        return copy(o, hwi_bytes(sum, sizeof sum), &w->value);
    }
    w->kind = HWI_FDB_ADD;
    return true;
}

static int
by_key(const void *a, const void *b)
{
    hwi_fdb_write *const *x = a, *const *y = b;
    return hwi_fdb_compare((*x)->key, (*y)->key);
}

void
hwi_fdb_overlay_sort(hwi_fdb_overlay *o)
{
    if (o->count) qsort(o->writes, o->count, sizeof(hwi_fdb_write *), by_key);
}
