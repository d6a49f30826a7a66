/* view.c - the current picture of a collection, and who may still look at it.
 *
 *     snapshots  --newest-->  snapshot 41: read transaction <---- view of `photos` at 41
 *        |                        ^-------------------------------- view of `songs` at 41
 *        | cached                 snapshot 38 <-------------------- view of `photos` at 38,
 *        v                                                          kept by a slow query
 *     list of views objects that hold a cached view
 *
 * A query asks the store for its version (a few nanoseconds), takes the cached view if that is
 * current, and counts itself in. When the store has moved on, the first query to notice makes the
 * next view under the lock; making one reads the counts and whatever the index wants, and no page.
 * Others that come meanwhile wait for it: what was committed before they asked they have to see.
 * The old view lives until its last query ends; the read transaction until its last view does.
 *
 * One counter that all queries write would go from processor to processor twice a query. So they
 * count themselves in and out in stripes (base.h), each with a lock that others hardly ever want:
 *
 *     views  --current-->  view, refs = CURRENT            users of the view in all:
 *       |                   ^         ^                      refs - CURRENT + 3 - 1
 *       stripe 0: view -----+  pins 3 |
 *       stripe 1: view ---------------+  pins -1 (released here, taken elsewhere)
 *       stripe 2: NULL
 *
 * A stripe points to the current view or to none, and only under views->lock is it pointed anywhere.
 * Who takes a view adds one to its stripe's pins; who releases one takes one off, or, if its stripe
 * does not point to that view, off the view's refs, where CURRENT keeps it far above zero. Before a
 * view stops being the current one, every stripe's pins are moved into refs, each under its lock. So
 * from then on all users are counted in refs, which can only fall; taking CURRENT off and every later
 * release are atomic steps, and the one of them that reaches zero, the last, frees the view.
 *
 * An open read transaction makes a store keep every page that was freed since. So views are cached
 * only while they are current: a commit in this process drops them (hwi_snapshots_drop), and a
 * process that only reads looks for stale ones now and then (api/janitor.c).
 *
 * Locks: views->lock (cached, and making the next) before snapshots->lock (newest, the list) before
 * a stripe's, under which nothing waits.
 * hwi_snapshots_drop has to go the other way, so it only tries views->lock: a views object that is
 * busy just now keeps its view, and its place in the list, until the next time. */
#include "query/view.h"

#include <pthread.h>

typedef struct hwi_snapshot {
    hw_store_txn *txn;
    uint64_t version;
    atomic_int refs;
} hwi_snapshot;

struct hwi_snapshots {
    hw_store *store;
    pthread_mutex_t lock; /* guards newest, cached and the links of its elements */
    hwi_snapshot *newest; /* holds a reference; may be NULL */
    hwi_views *cached;    /* views objects that may hold a cached view */
    hwi_index_events events;
};

/* What is remembered of one field's index. */
typedef struct memory {
    uint32_t number;
    hwi_index *index;
    struct memory *next;
} memory;

/* One stripe of who uses the current view. */
typedef struct stripe {
    HWI_STRIPE_ALIGN pthread_mutex_t lock; /* guards both */
    hwi_view *view;                        /* views->current, or NULL */
    int64_t pins;                          /* taken here less released here, not yet in refs */
} stripe;

#define CURRENT (INT64_C(1) << 62) /* in refs of a view that is views->current */

struct hwi_views {
    hwi_snapshots *snapshots;
    hwi_snapshots *own_snapshots; /* to free, when made by hwi_views_new */
    uint32_t coll;
    char name[HW_NAME_MAX + 1];
    stripe *stripes;
    pthread_mutex_t lock; /* guards current, conf and indexes; held while the next view is made */
    hwi_view *current;    /* holds CURRENT references; may be NULL */
    hwi_conf *conf;       /* the newest settings seen */
    memory *indexes;      /* of all dense fields seen, dropped ones included: views may use them */
    hwi_views *next, *previous; /* snapshots->cached */
    bool is_listed;
};

/* ---- Snapshots ---- */

hw_status
hwi_snapshots_new(hw_store *store, hwi_snapshots **out, hw_error *err)
{
    hwi_snapshots *s = *out = hwi_alloc_zero(sizeof *s);
    if (!s) return hwi_nomem(err, sizeof *s);
    s->store = store;
    pthread_mutex_init(&s->lock, NULL);
    return HW_OK;
}

static void
snapshot_unref(hwi_snapshot *s)
{
    /* acq_rel: whoever ends the transaction comes after all reads through it */
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    hwi_store_abort(s->txn);
    hwi_free(s);
}

void
hwi_snapshots_free(hwi_snapshots *s)
{
    if (!s) return;
    HWI_ASSERT(!s->cached);
    snapshot_unref(s->newest);
    pthread_mutex_destroy(&s->lock);
    hwi_free(s);
}

hwi_index_events *
hwi_snapshots_events(hwi_snapshots *s)
{
    return &s->events;
}

static hw_status
snapshot_begin(hw_store *store, hwi_snapshot **out, hw_error *err)
{
    hwi_snapshot *s = hwi_alloc_zero(sizeof *s);
    if (!s) return hwi_nomem(err, sizeof *s);
    hw_status st = hwi_store_begin(store, HW_TXN_READ, &s->txn, err);
    if (st != HW_OK) {
        hwi_free(s);
        return st;
    }
    s->version = hwi_store_snapshot(s->txn);
    atomic_init(&s->refs, 1);
    *out = s;
    return HW_OK;
}

/* Whether a snapshot is of this version or newer, and worth keeping. */
static bool
is_good(const hwi_snapshot *s, uint64_t version)
{
    return s->version >= version && !hwi_store_is_spent(s->txn);
}

/* A reference to a snapshot of at least this version. */
static hw_status
snapshot_take(hwi_snapshots *s, uint64_t version, hwi_snapshot **out, hw_error *err)
{
    hw_status st = HW_OK;
    hwi_snapshot *old = NULL;
    *out = NULL;
    pthread_mutex_lock(&s->lock);
    if (!s->newest || !is_good(s->newest, version)) {
        old = s->newest;
        s->newest = NULL;
        st = snapshot_begin(s->store, &s->newest, err);
    }
    if (st == HW_OK) {
        atomic_fetch_add_explicit(&s->newest->refs, 1, memory_order_relaxed);
        *out = s->newest;
    }
    pthread_mutex_unlock(&s->lock);
    snapshot_unref(old);
    return st;
}

/* ---- Views: making and ending one ---- */

static void
view_free(hwi_view *v)
{
    for (size_t i = 0; v->fields && i < v->conf->field_count; i++) {
        hwi_index_view_free(v->fields[i].index);
        hwi_page_table_free(v->fields[i].vecs);
        hwi_page_table_free(v->fields[i].has);
    }
    hwi_free(v->fields);
    hwi_keeper_free(v->keeper);
    hwi_page_table_free(v->slots);
    hwi_conf_unref(v->conf);
    snapshot_unref(v->source);
    hwi_free(v);
}

static void
view_unref(hwi_view *v, int64_t refs)
{
    /* acq_rel: whoever frees comes after all who read */
    if (v && atomic_fetch_sub_explicit(&v->refs, refs, memory_order_acq_rel) == refs) view_free(v);
}

/* Tables of the records; v->txn, conf and counts are set. */
static hw_status
open_tables(hwi_view *v, hw_error *err)
{
    uint32_t coll = v->conf->coll, below = v->counts.slots_below;
    HWI_TRY(hwi_slot_table_new(v->txn, coll, below, &v->slots, err));
    size_t bytes = v->conf->field_count * sizeof *v->fields;
    v->fields = hwi_alloc_zero(bytes);
    if (!v->fields) return hwi_nomem(err, bytes);
    for (size_t i = 0; i < v->conf->field_count; i++) {
        hwi_view_field *f = &v->fields[i];
        f->conf = &v->conf->fields[i];
        HWI_TRY(hwi_field_is_ragged(f->conf)
                    ? hwi_has_table_new(v->txn, coll, f->conf, below, &f->has, err)
                    : hwi_vec_table_new(v->txn, coll, f->conf, below, &f->vecs, err));
    }
    return HW_OK;
}

/* views->lock is held. */
static hw_status
index_of(hwi_views *views, const hwi_field *field, hwi_index **out, hw_error *err)
{
    memory *m = views->indexes;
    *out = NULL;
    while (m && m->number != field->number) m = m->next;
    if (!m) {
        m = hwi_alloc(sizeof *m);
        if (!m) return hwi_nomem(err, sizeof *m);
        m->number = field->number;
        hw_status st = hwi_index_new(views->coll, field, &m->index, err);
        if (st != HW_OK) {
            hwi_free(m);
            return st;
        }
        hwi_index_watch(m->index, &views->snapshots->events);
        m->next = views->indexes;
        views->indexes = m;
    }
    *out = m->index;
    return HW_OK;
}

/* The small values a view begins with, fetched together from a store that is far away. */
static void
want_settings(const hwi_views *views, hw_store_txn *txn)
{
    hwi_wants w;

    if (!hwi_store_is_far(txn)) return;
    w.txn = txn, w.count = 0;
    hwi_key_sub(hwi_wants_next(&w), HWI_SUB_CONF, views->coll);
    hwi_key_sub(hwi_wants_next(&w), HWI_SUB_COUNT, views->coll);
    for (size_t i = 0; i < views->conf->field_count; i++)
        hwi_index_want(&w, views->coll, &views->conf->fields[i]);
    hwi_wants_send(&w);
}

static hw_status
fill_view(hwi_views *views, hwi_view *v, uint64_t version, hw_error *err)
{
    HWI_TRY(snapshot_take(views->snapshots, version, &v->source, err));
    v->txn = v->source->txn;
    v->snapshot = v->source->version;
    want_settings(views, v->txn);
    hw_status st = hwi_conf_refresh(v->txn, views->conf, &v->conf, err);
    if (st == HW_ENOTFOUND) {
        return hwi_fail(err, st, "collection `%s` was dropped", views->name);
    }
    if (st != HW_OK) return st;
    HWI_TRY(hwi_counts_get(v->txn, views->coll, &v->counts, err));
    HWI_TRY(open_tables(v, err));
    HWI_TRY(hwi_keeper_new(&v->keeper, err));
    for (size_t i = 0; i < v->conf->field_count; i++) {
        hwi_view_field *f = &v->fields[i];
        hwi_index *ix;
        if (hwi_field_is_ragged(f->conf)) continue;
        HWI_TRY(index_of(views, f->conf, &ix, err));
        HWI_TRY(hwi_index_view_new(ix, v->txn, f->vecs, v->slots, v->counts.slots_below, &f->index,
                                   err));
    }
    return HW_OK;
}

static hw_status
make_view(hwi_views *views, uint64_t version, hwi_view **out, hw_error *err)
{
    hwi_view *v = hwi_alloc_zero(sizeof *v);
    if (!v) return hwi_nomem(err, sizeof *v);
    atomic_init(&v->refs, CURRENT);
    hw_status st = fill_view(views, v, version, err);
    if (st != HW_OK) {
        view_free(v);
        return st;
    }
    *out = v;
    return HW_OK;
}

/* ---- A view of a write transaction ---- */

hw_status
hwi_view_of_txn(hw_store_txn *txn, hwi_conf *conf, const hwi_counts *counts, hwi_view **out,
                hw_error *err)
{
    *out = NULL;
    hwi_view *v = hwi_alloc_zero(sizeof *v);
    if (!v) return hwi_nomem(err, sizeof *v);
    atomic_init(&v->refs, 1);
    v->txn = txn;
    v->conf = hwi_conf_ref(conf);
    v->counts = *counts;
    hw_status st = open_tables(v, err);
    if (st != HW_OK) {
        view_free(v);
        return st;
    }
    *out = v;
    return HW_OK;
}

void
hwi_view_of_txn_free(hwi_view *view)
{
    view_unref(view, 1);
}

/* ---- Views: the cached one ---- */

/* Counts the caller in if the view its stripe points to will do. */
static hwi_view *
pin(stripe *s, uint64_t version)
{
    hwi_view *v = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->view && is_good(s->view->source, version)) {
        v = s->view;
        s->pins++;
    }
    pthread_mutex_unlock(&s->lock);
    return v;
}

/* The same for the current view; views->lock is held. */
static void
pin_current(hwi_views *views, stripe *s)
{
    pthread_mutex_lock(&s->lock);
    HWI_ASSERT(!s->view || s->view == views->current);
    s->view = views->current;
    s->pins++;
    pthread_mutex_unlock(&s->lock);
}

/* views->lock is held. There is no current view any more; gives what was, with the CURRENT
 * references that the caller has to take off. */
static hwi_view *
retire(hwi_views *views)
{
    hwi_view *v = views->current;
    views->current = NULL;
    for (uint32_t i = 0; v && i < hwi_stripe_count(); i++) {
        stripe *s = &views->stripes[i];
        pthread_mutex_lock(&s->lock);
        /* relaxed: the lock orders it after what was released here */
        atomic_fetch_add_explicit(&v->refs, s->pins, memory_order_relaxed);
        s->view = NULL;
        s->pins = 0;
        pthread_mutex_unlock(&s->lock);
    }
    return v;
}

static void
list_add(hwi_views *views)
{
    hwi_snapshots *s = views->snapshots;
    pthread_mutex_lock(&s->lock);
    if (!views->is_listed) {
        views->next = s->cached;
        views->previous = NULL;
        if (s->cached) s->cached->previous = views;
        s->cached = views;
        views->is_listed = true;
    }
    pthread_mutex_unlock(&s->lock);
}

/* snapshots->lock is held. */
static void
list_remove(hwi_views *views)
{
    if (!views->is_listed) return;
    if (views->next) views->next->previous = views->previous;
    if (views->previous) {
        views->previous->next = views->next;
    } else {
        views->snapshots->cached = views->next;
    }
    views->is_listed = false;
}

/* views->lock is held. Makes the next view when the cached one is not current. */
static hw_status
refresh(hwi_views *views, uint64_t version, hwi_view **old, hw_error *err)
{
    hwi_view *v;
    *old = retire(views);
    HWI_TRY(make_view(views, version, &v, err));
    views->current = v;
    if (v->conf != views->conf) {
        hwi_conf_unref(views->conf);
        views->conf = hwi_conf_ref(v->conf);
    }
    list_add(views);
    return HW_OK;
}

hw_status
hwi_views_current(hwi_views *views, hwi_view **out, hw_error *err)
{
    hw_status st = HW_OK;
    hwi_view *old = NULL;
    stripe *s = &views->stripes[hwi_stripe()];
    uint64_t newest = hwi_store_newest(views->snapshots->store); /* may wait: not under a lock */
    *out = pin(s, newest);
    if (*out) return HW_OK;
    pthread_mutex_lock(&views->lock);
    if (!views->current || !is_good(views->current->source, newest))
        st = refresh(views, newest, &old, err);
    if (st == HW_OK) {
        pin_current(views, s);
        *out = views->current;
    }
    pthread_mutex_unlock(&views->lock);
    view_unref(old, CURRENT);
    return st;
}

void
hwi_view_release(hwi_views *views, hwi_view *view)
{
    stripe *s = &views->stripes[hwi_stripe()];
    if (!view) return;
    pthread_mutex_lock(&s->lock);
    bool is_current = s->view == view;
    if (is_current) s->pins--;
    pthread_mutex_unlock(&s->lock);
    if (!is_current) view_unref(view, 1);
}

void
hwi_views_drop(hwi_views *views)
{
    pthread_mutex_lock(&views->lock);
    hwi_view *v = retire(views);
    pthread_mutex_lock(&views->snapshots->lock);
    list_remove(views);
    pthread_mutex_unlock(&views->snapshots->lock);
    pthread_mutex_unlock(&views->lock);
    view_unref(v, CURRENT);
}

void
hwi_snapshots_drop(hwi_snapshots *s, bool stale_only)
{
    hwi_view *dead = NULL;
    hwi_snapshot *old = NULL;
    pthread_mutex_lock(&s->lock);
    uint64_t newest = hwi_store_newest(s->store);
    if (s->newest && !(stale_only && s->newest->version == newest)) {
        old = s->newest;
        s->newest = NULL;
    }
    for (hwi_views *views = s->cached, *next; views; views = next) {
        next = views->next;
        if (pthread_mutex_trylock(&views->lock) != 0) continue;
        hwi_view *v = views->current;
        if (v && !(stale_only && v->snapshot == newest)) {
            v->next_dead = dead;
            dead = retire(views);
            list_remove(views);
        }
        pthread_mutex_unlock(&views->lock);
    }
    pthread_mutex_unlock(&s->lock);
    snapshot_unref(old);
    while (dead) {
        hwi_view *next = dead->next_dead;
        view_unref(dead, CURRENT);
        dead = next;
    }
}

/* ---- The views object ---- */

static hw_status
read_conf(hwi_views *views, hw_error *err)
{
    hwi_snapshot *snapshot;
    uint64_t newest = hwi_store_newest(views->snapshots->store);
    HWI_TRY(snapshot_take(views->snapshots, newest, &snapshot, err));
    hw_status st = hwi_conf_get(snapshot->txn, views->coll, &views->conf, err);
    if (st == HW_ENOTFOUND) {
        st = hwi_fail(err, HW_ENOTFOUND, "collection `%s` was dropped", views->name);
    }
    snapshot_unref(snapshot);
    return st;
}

hw_status
hwi_views_new_shared(hwi_snapshots *snapshots, uint32_t coll, const char *name, hwi_views **out,
                     hw_error *err)
{
    *out = NULL;
    hwi_views *views = hwi_alloc_zero(sizeof *views);
    stripe *stripes = views ? hwi_stripes_new(sizeof *stripes) : NULL;
    if (!stripes) {
        hwi_free(views);
        return hwi_nomem(err, sizeof *views + hwi_stripe_count() * sizeof *stripes);
    }
    for (uint32_t i = 0; i < hwi_stripe_count(); i++) pthread_mutex_init(&stripes[i].lock, NULL);
    views->stripes = stripes;
    views->snapshots = snapshots;
    views->coll = coll;
    strncpy(views->name, name, HW_NAME_MAX);
    pthread_mutex_init(&views->lock, NULL);
    hw_status st = read_conf(views, err);
    if (st != HW_OK) {
        hwi_views_free(views);
        return st;
    }
    *out = views;
    return HW_OK;
}

hw_status
hwi_views_new(hw_store *store, uint32_t coll, const char *name, hwi_views **out, hw_error *err)
{
    hwi_snapshots *own;
    *out = NULL;
    HWI_TRY(hwi_snapshots_new(store, &own, err));
    hw_status st = hwi_views_new_shared(own, coll, name, out, err);
    if (st == HW_OK) {
        (*out)->own_snapshots = own;
    } else {
        hwi_snapshots_free(own);
    }
    return st;
}

void
hwi_views_free(hwi_views *views)
{
    if (!views) return;
    hwi_views_drop(views);
    while (views->indexes) {
        memory *next = views->indexes->next;
        hwi_index_free(views->indexes->index);
        hwi_free(views->indexes);
        views->indexes = next;
    }
    hwi_conf_unref(views->conf);
    hwi_snapshots_free(views->own_snapshots);
    for (uint32_t i = 0; i < hwi_stripe_count(); i++)
        pthread_mutex_destroy(&views->stripes[i].lock);
    hwi_free(views->stripes);
    pthread_mutex_destroy(&views->lock);
    hwi_free(views);
}

hwi_conf *
hwi_views_conf(hwi_views *views)
{
    pthread_mutex_lock(&views->lock);
    hwi_conf *conf = hwi_conf_ref(views->conf);
    pthread_mutex_unlock(&views->lock);
    return conf;
}

void
hwi_views_set_conf(hwi_views *views, hwi_conf *conf)
{
    pthread_mutex_lock(&views->lock);
    hwi_conf *old = NULL;
    if (conf->revision > views->conf->revision) { /* a view may have brought a newer one */
        old = views->conf;
        views->conf = hwi_conf_ref(conf);
    }
    pthread_mutex_unlock(&views->lock);
    hwi_conf_unref(old);
}

hw_status
hwi_views_index(hwi_views *views, const hwi_field *field, hwi_index **out, hw_error *err)
{
    pthread_mutex_lock(&views->lock);
    hw_status st = index_of(views, field, out, err);
    pthread_mutex_unlock(&views->lock);
    return st;
}

const hwi_view_field *
hwi_view_field_by_name(const hwi_view *view, const char *name)
{
    const hwi_field *conf = hwi_conf_field(view->conf, name);
    return conf ? &view->fields[conf - view->conf->fields] : NULL;
}

hw_status
hwi_view_id(hwi_view *view, uint32_t slot, hw_id *out, hw_error *err)
{
    return hwi_slot_id(view->slots, view->txn, view->conf->coll, slot, out, err);
}
