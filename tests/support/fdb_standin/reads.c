/* reads.c - what a transaction reads: the cluster at its read version under its own writes.
 *
 * Results are found when they are asked for and delivered later. For a fixed read version that is
 * the same as finding them later.
 */
#include "parts.h"

#include <string.h>

static const int mode_bytes[] = {0, 256, 1000, 4096, 80000};
static const int iterator_bytes[] = {4096,  6144,  9216,  13824, 20736,
                                     31104, 46656, 69984, 80000, 120000};

/* ---- conflicts */

/* The first key that t wrote itself, independently of the cluster, from `at` on. */
static sd_node *
own_from(const FDBTransaction *t, sd_bytes at)
{
    sd_node *n = sd_map_from(&t->writes, at, false);

    while (n) {
        const sd_write *w = n->data;
        if (w->state != W_OPS && !w->is_dependent) return n;
        n = n->next[0];
    }
    return NULL;
}

static void
note_read(FDBTransaction *t, sd_bytes from, sd_bytes to)
{
    sd_bytes at = sd_copy(&t->arena, from);

    to = sd_copy(&t->arena, to);
    while (sd_compare(at, to) < 0) {
        const sd_range *cleared = sd_ranges_seek(&t->cleared, at);
        const sd_node *own = own_from(t, at);
        sd_bytes until = to;
        if (cleared && sd_compare(cleared->from, at) <= 0) {
            at = cleared->to;
            continue;
        }
        if (cleared && sd_compare(cleared->from, until) < 0) until = cleared->from;
        bool stops_at_own = own && sd_compare(own->key, until) < 0;
        if (stops_at_own) until = sd_copy(&t->arena, own->key);
        sd_ranges_append(&t->reads, at, until);
        t->size += SD_RANGE_BYTES + (int64_t)(at.size + until.size);
        at = stops_at_own ? sd_copy_after(&t->arena, own->key) : until;
    }
}

/* ---- single keys */

int
sd_txn_need_version(FDBTransaction *t)
{
    if (t->read_version < 0) t->read_version = sd_cluster_read_version(t->cluster);
    if (t->read_version < sd_cluster_oldest(t->cluster)) return E_TOO_OLD;
    return t->read_version > t->cluster->version ? E_FUTURE_VERSION : E_OK;
}

static void
work_out(FDBTransaction *t, sd_bytes key, sd_write *w)
{
    const sd_bytes *old = sd_cluster_value(t->cluster, key, t->read_version);

    w->is_dependent = true;
    for (size_t i = 0; i < w->ops.count; i++) {
        const sd_mutation *m = &w->ops.at[i];
        sd_bytes next;
        bool is_left = sd_atomic(m->op, old, m->value, &t->arena, &next);
        w->value = next;
        old = is_left ? &w->value : NULL;
    }
    w->state = old ? W_VALUE : W_ABSENT;
    w->ops.count = 0;
}

static bool
sees_writes(const FDBTransaction *t, bool snapshot)
{
    return !t->sees_no_writes && !(snapshot && t->snapshot_sees_no_writes);
}

static int
read_own(FDBTransaction *t, sd_node *n, bool *present, sd_bytes *out)
{
    sd_write *w = n->data;

    if (w->is_unreadable) return E_UNREADABLE;
    if (w->state == W_OPS) work_out(t, n->key, w);
    *present = w->state == W_VALUE;
    *out = w->value;
    return E_OK;
}

/* The value of a key as t sees it, in *out; an error, or 0. */
static int
read_key(FDBTransaction *t, sd_bytes key, bool snapshot, bool *present, sd_bytes *out)
{
    if (sees_writes(t, snapshot)) {
        sd_node *own = sd_map_find(&t->writes, key);
        if (sd_ranges_holding(&t->unreadable, key)) return E_UNREADABLE;
        if (own) return read_own(t, own, present, out);
        if (sd_ranges_holding(&t->cleared, key)) {
            *present = false;
            return E_OK;
        }
    }
    const sd_bytes *value = sd_cluster_value(t->cluster, key, t->read_version);
    *present = value != NULL;
    if (value) *out = *value;
    return E_OK;
}

static int
draw_read_fault(void)
{
    int error = E_OK;

    if (sd_plan_draw(&sd_faults, sd_faults.old)) error = E_TOO_OLD;
    if (sd_plan_draw(&sd_faults, sd_faults.behind)) error = E_PROCESS_BEHIND;
    if (sd_plan_draw(&sd_faults, sd_faults.future)) error = E_FUTURE_VERSION;
    if (error) sd_counts.injected++;
    return error;
}

/* The error with which any read of t begins, or 0. */
static int
begin_read(FDBTransaction *t)
{
    int error = sd_txn_error(t);

    if (!error) error = sd_txn_need_version(t);
    return error ? error : draw_read_fault();
}

FDBFuture *
fdb_transaction_get_read_version(FDBTransaction *t)
{
    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_INT64);
    int error = sd_txn_error(t);
    sd_counts.read_versions++;
    if (!error && sd_plan_draw(&sd_faults, sd_faults.throttle)) {
        error = E_THROTTLED;
        sd_counts.injected++;
    }
    if (!error) {
        if (t->read_version < 0) t->read_version = sd_cluster_read_version(t->cluster);
        f->number = t->read_version;
    }
    return sd_answer(f, error);
}

void
fdb_transaction_set_read_version(FDBTransaction *t, int64_t version)
{
    pthread_mutex_lock(&sd_lock);
    t->read_version = version;
    pthread_mutex_unlock(&sd_lock);
}

FDBFuture *
fdb_transaction_get(FDBTransaction *t, const uint8_t *key, int size, int snapshot)
{
    sd_bytes k = sd_view(key, size), value = {NULL, 0};

    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_VALUE);
    int error = begin_read(t);
    sd_counts.gets++;
    if (!error && k.size > 0 && k.data[0] == 0xff) error = E_OUTSIDE_LEGAL_RANGE;
    if (!error) error = read_key(t, k, snapshot, &f->is_present, &value);
    if (!error) {
        if (f->is_present) f->bytes = sd_copy(&f->arena, value);
        sd_counts.bytes_read += value.size;
        if (!snapshot) note_read(t, k, sd_copy_after(&t->arena, k));
    }
    return sd_answer(f, error);
}

/* ---- ranges */

/* A place in the keys that t sees. */
typedef struct view {
    FDBTransaction *t;
    bool with_writes;
    int error;
    sd_bytes from, to; /* where to look no further; `to` NULL: nowhere */
} view;

static bool
is_beyond(const view *v, const sd_node *n, bool forward)
{
    if (!v->to.data) return false;
    return forward ? sd_compare(n->key, v->to) >= 0 : sd_compare(n->key, v->from) < 0;
}

static bool
is_hidden(const view *v, sd_bytes key)
{
    return v->with_writes &&
           (sd_map_find(&v->t->writes, key) || sd_ranges_holding(&v->t->cleared, key));
}

static sd_node *
step(const sd_map *m, sd_bytes key, bool forward, bool at_key)
{
    return forward ? sd_map_from(m, key, !at_key) : sd_map_until(m, key, at_key);
}

/* The nearest key of the cluster that shows, from `key` on in one direction. */
static sd_node *
base_step(const view *v, sd_bytes key, bool forward, bool at_key)
{
    sd_node *n = step(&v->t->cluster->keys, key, forward, at_key);

    for (; n && !is_beyond(v, n, forward); n = forward ? n->next[0] : n->prev)
        if (sd_node_value(n, v->t->read_version) && !is_hidden(v, n->key)) return n;
    return NULL;
}

static sd_node *
own_step(view *v, sd_bytes key, bool forward, bool at_key)
{
    sd_node *n = v->with_writes ? step(&v->t->writes, key, forward, at_key) : NULL;

    for (; n && !is_beyond(v, n, forward); n = forward ? n->next[0] : n->prev) {
        bool present;
        sd_bytes value;
        int error = read_own(v->t, n, &present, &value);
        if (error || present) return n; /* an unreadable key stops whoever comes upon it */
    }
    return NULL;
}

/* The nearest key that t sees from `key` on. */
static bool
view_step(view *v, sd_bytes key, bool forward, bool at_key, sd_bytes *found, sd_bytes *value)
{
    sd_node *base = base_step(v, key, forward, at_key), *own = own_step(v, key, forward, at_key);
    bool present;

    if (base && own && (sd_compare(base->key, own->key) < 0) == forward) own = NULL;
    if (own) {
        *found = own->key;
        int error = read_own(v->t, own, &present, value);
        if (error) v->error = error;
        return true;
    }
    if (!base) return false;
    *found = base->key;
    *value = *sd_node_value(base, v->t->read_version);
    return true;
}

typedef struct selector {
    sd_bytes key;
    bool or_equal;
    int offset;
} selector;

/* The key that a selector names; "" before the first and "\xff" behind the last. */
static sd_bytes
resolve(view *v, selector s)
{
    sd_bytes at = s.key, value;
    bool at_key = !s.or_equal; /* offset 1 is the first key from here on */

    for (int i = 1; i <= s.offset; i++, at_key = false)
        if (!view_step(v, at, true, at_key, &at, &value)) return sd_view("\xff", 1);
    at_key = s.or_equal;
    for (int i = 0; i >= s.offset; i--, at_key = false)
        if (!view_step(v, at, false, at_key, &at, &value)) return sd_view("", 0);
    return at;
}

/* Where a range begins or ends. For the two usual selectors that is known without looking, and
 * reading the range makes no conflict outside of it. */
static sd_bytes
bound_of(view *v, selector s, sd_arena *a)
{
    if (s.offset == 1) return s.or_equal ? sd_copy_after(a, s.key) : s.key;
    return sd_copy(a, resolve(v, s));
}

FDBFuture *
fdb_transaction_get_key(FDBTransaction *t, const uint8_t *key, int size, int or_equal, int offset,
                        int snapshot)
{
    selector s = {sd_view(key, size), or_equal, offset};

    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_KEY);
    view v = {.t = t, .with_writes = sees_writes(t, snapshot)};
    int error = begin_read(t);
    sd_counts.gets++;
    if (!error) {
        f->bytes = sd_copy(&f->arena, resolve(&v, s));
        error = v.error;
    }
    if (!error && !snapshot) {
        bool back = sd_compare(f->bytes, s.key) < 0;
        note_read(t, back ? f->bytes : s.key, sd_copy_after(&f->arena, back ? s.key : f->bytes));
    }
    return sd_answer(f, error);
}

typedef struct range_read {
    sd_bytes from, to;
    int limit, target_bytes; /* 0: none */
    bool reverse;
} range_read;

static void
append_pair(FDBFuture *f, size_t *room, sd_bytes key, sd_bytes value)
{
    FDBKeyValue *wider;

    if (f->count == *room) {
        *room = *room ? *room * 2 : 16;
        wider = sd_take(&f->arena, *room * sizeof *wider);
        if (f->count) memcpy(wider, f->pairs, f->count * sizeof *wider);
        f->pairs = wider;
    }
    key = sd_copy(&f->arena, key);
    value = sd_copy(&f->arena, value);
    f->pairs[f->count++] = (FDBKeyValue){key.data, (int)key.size, value.data, (int)value.size};
}

static void
read_pairs(view *v, const range_read *r, FDBFuture *f)
{
    sd_bytes at = r->reverse ? r->to : r->from, key, value;
    bool at_key = !r->reverse;
    int64_t bytes = 0;
    size_t room = 0;

    v->from = r->from;
    v->to = r->to;
    while (view_step(v, at, !r->reverse, at_key, &key, &value)) {
        if (v->error) return;
        append_pair(f, &room, key, value);
        bytes += 8 + (int64_t)(key.size + value.size);
        f->has_more = (r->limit > 0 && f->count >= (size_t)r->limit) ||
                      (r->target_bytes > 0 && bytes >= r->target_bytes) ||
                      sd_plan_draw(&sd_faults, sd_faults.shorter);
        if (f->has_more) break;
        at = key;
        at_key = false;
    }
    sd_counts.bytes_read += (uint64_t)bytes;
}

/* What was really read: up to the last key that was returned when there are more. */
static void
note_range(FDBTransaction *t, const range_read *r, FDBFuture *f)
{
    sd_bytes from = r->from, to = r->to;

    if (f->has_more) {
        const FDBKeyValue *last = &f->pairs[f->count - 1];
        sd_bytes key = sd_view(last->key, last->key_length);
        if (r->reverse)
            from = key;
        else
            to = sd_copy_after(&f->arena, key);
    }
    note_read(t, from, to);
}

static int
choose_bytes(int mode, int iteration, int limit, int target_bytes, int *out)
{
    int of_mode;

    if (mode == FDB_MODE_EXACT && limit == 0 && target_bytes == 0) return E_EXACT_WITHOUT_LIMIT;
    if (mode == FDB_MODE_WANT_ALL) mode = FDB_MODE_SERIAL;
    if (mode == FDB_MODE_ITERATOR) {
        if (iteration <= 0) return E_INVALID_OPERATION;
        of_mode = iterator_bytes[iteration < 10 ? iteration - 1 : 9];
    } else if (mode >= FDB_MODE_EXACT && mode <= FDB_MODE_SERIAL) {
        of_mode = mode_bytes[mode];
    } else {
        return E_INVALID_OPERATION;
    }
    *out = target_bytes == 0 || (of_mode != 0 && of_mode < target_bytes) ? of_mode : target_bytes;
    return E_OK;
}

static int
read_range(FDBTransaction *t, FDBFuture *f, selector begin, selector end, range_read *r,
           bool snapshot)
{
    view v = {.t = t, .with_writes = sees_writes(t, snapshot)};

    r->from = bound_of(&v, begin, &f->arena);
    r->to = bound_of(&v, end, &f->arena);
    if (v.error) return v.error;
    if (sd_compare(r->from, sd_view("\xff", 1)) > 0 || sd_compare(r->to, sd_view("\xff", 1)) > 0)
        return E_OUTSIDE_LEGAL_RANGE;
    if (sd_compare(r->from, r->to) >= 0) return E_OK;
    if (v.with_writes && sd_ranges_overlap(&t->unreadable, r->from, r->to)) return E_UNREADABLE;
    read_pairs(&v, r, f);
    if (!v.error && !snapshot) note_range(t, r, f);
    return v.error;
}

FDBFuture *
fdb_transaction_get_range(FDBTransaction *t, const uint8_t *from, int from_size, int from_or_equal,
                          int from_offset, const uint8_t *to, int to_size, int to_or_equal,
                          int to_offset, int limit, int target_bytes, int mode, int iteration,
                          int snapshot, int reverse)
{
    selector begin = {sd_view(from, from_size), from_or_equal, from_offset};
    selector end = {sd_view(to, to_size), to_or_equal, to_offset};
    range_read r = {.limit = limit, .reverse = reverse};

    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_PAIRS);
    int error = choose_bytes(mode, iteration, limit, target_bytes, &r.target_bytes);
    sd_counts.ranges++;
    if (!error) error = begin_read(t);
    if (!error) error = read_range(t, f, begin, end, &r, snapshot);
    return sd_answer(f, error);
}

/* ---- watches and estimates */

FDBFuture *
fdb_transaction_watch(FDBTransaction *t, const uint8_t *key, int size)
{
    sd_bytes value = {NULL, 0};

    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_NOTHING);
    sd_waiting_watch *w = sd_take(&t->arena, sizeof *w);
    int error = begin_read(t);
    *w = (sd_waiting_watch){.next = t->watches, .future = f};
    w->key = sd_copy(&t->arena, sd_view(key, size));
    if (!error) error = read_key(t, w->key, true, &w->is_present, &value);
    if (error) return sd_answer(f, error);
    w->value = sd_copy(&t->arena, value);
    t->watches = w;
    pthread_mutex_unlock(&sd_lock);
    return f;
}

static int64_t
range_bytes(FDBTransaction *t, sd_bytes from, sd_bytes to)
{
    int64_t bytes = 0;

    for (sd_node *n = sd_map_from(&t->cluster->keys, from, false); n && sd_compare(n->key, to) < 0;
         n = n->next[0]) {
        const sd_bytes *value = sd_node_value(n, t->read_version);
        if (value) bytes += (int64_t)(n->key.size + value->size);
    }
    return bytes;
}

FDBFuture *
fdb_transaction_get_estimated_range_size_bytes(FDBTransaction *t, const uint8_t *from,
                                               int from_size, const uint8_t *to, int to_size)
{
    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_INT64);
    int error = begin_read(t);
    if (!error) f->number = range_bytes(t, sd_view(from, from_size), sd_view(to, to_size));
    return sd_answer(f, error);
}

static void
append_key(FDBFuture *f, size_t *room, sd_bytes key)
{
    if (f->count == *room) {
        *room = *room ? *room * 2 : 16;
        FDBKey *wider = sd_take(&f->arena, *room * sizeof *wider);
        if (f->count) memcpy(wider, f->keys, f->count * sizeof *wider);
        f->keys = wider;
    }
    key = sd_copy(&f->arena, key);
    f->keys[f->count++] = (FDBKey){key.data, (int)key.size};
}

static void
split(FDBTransaction *t, FDBFuture *f, sd_bytes from, sd_bytes to, int64_t chunk)
{
    int64_t bytes = 0;
    size_t room = 0;

    append_key(f, &room, from);
    for (sd_node *n = sd_map_from(&t->cluster->keys, from, false); n && sd_compare(n->key, to) < 0;
         n = n->next[0]) {
        const sd_bytes *value = sd_node_value(n, t->read_version);
        if (!value) continue;
        bytes += (int64_t)(n->key.size + value->size);
        if (bytes < chunk) continue;
        append_key(f, &room, n->key);
        bytes = 0;
    }
    append_key(f, &room, to);
}

FDBFuture *
fdb_transaction_get_range_split_points(FDBTransaction *t, const uint8_t *from, int from_size,
                                       const uint8_t *to, int to_size, int64_t chunk)
{
    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_KEYS);
    int error = begin_read(t);
    if (!error && chunk <= 0) error = E_INVALID_OPERATION;
    if (!error) split(t, f, sd_view(from, from_size), sd_view(to, to_size), chunk);
    return sd_answer(f, error);
}
