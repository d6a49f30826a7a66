/* db.c - opening and closing a database, and the part that handles of one collection share.
 *
 *     hw_db --- store, snapshots (query/view.c), janitor
 *       |
 *       +- open[]: hwi_shared of collection 3 <--- hw_collection, hw_collection, hw_txn
 *                  hwi_shared of collection 9 <--- hw_collection
 *
 * Two handles to one collection use the same views and the same memory of its index, so each sees
 * the other's commits at once and nothing is held twice. A handle is two pointers: ten thousand of
 * them are no burden. */
#include "api/api.h"

#include <stdlib.h>
#include <unistd.h>

#include "kernel/kernel.h"

const char *
hw_kernels(void)
{
    const hwi_kernels *k = hwi_kernels_active();
    return k ? k->name : "none";
}

/* ---- Open and close ---- */

static hw_status
check_kernels(hw_error *err)
{
    if (hwi_kernels_active()) return HW_OK;
    const char *wanted = getenv("HASHWOOD_KERNELS");
    return hwi_fail(err, HW_EINVAL, "HASHWOOD_KERNELS=%s is unknown or cannot run here",
                    wanted ? wanted : "");
}

hw_status
hwi_db_over_store(hw_store *store, const hw_db_opts *opts, hw_db **out, hw_error *err)
{
    bool create = !opts->read_only && !opts->must_exist;
    *out = NULL;
    hw_db *db = hwi_alloc_zero(sizeof *db);
    if (!db) return hwi_nomem(err, sizeof *db);
    db->opts = *opts;
    pthread_mutex_init(&db->lock, NULL);
    db->metrics = hwi_stripes_new(sizeof *db->metrics);
    hw_status st = db->metrics ? HW_OK : hwi_nomem(err, hwi_stripe_count() * sizeof *db->metrics);
    if (st == HW_OK) st = hwi_store_meta_check(store, create, &db->meta, err);
    if (st == HW_OK) st = hwi_snapshots_new(store, &db->snapshots, err);
    if (st != HW_OK) {
        hw_db_close(db);
        return st;
    }
    db->store = store;
    *out = db;
    return HW_OK;
}

hw_status
hw_db_open(const char *where, const hw_db_opts *opts, hw_db **out, hw_error *err)
{
    hw_store *store;
    hw_db_opts full = HW_DB_OPTS_INIT;
    *out = NULL;
    if (!where || !where[0]) return hwi_fail(err, HW_EINVAL, "the name of the database is empty");
    HWI_TRY(check_kernels(err));
    if (opts) memcpy(&full, opts, HWI_MIN(opts->size, sizeof full));
    full.size = sizeof full;
    if (hwi_remote_is_url(where)) return hwi_db_open_far(where, &full, out, err);
    HWI_TRY(hwi_store_open(where, &full, &store, err));
    hw_status st = hwi_db_over_store(store, &full, out, err);
    if (st != HW_OK) hwi_store_close(store);
    return st;
}

void
hw_db_close(hw_db *db)
{
    if (!db) return;
    for (size_t i = 0; i < HWI_DB_BUCKETS; i++) HWI_ASSERT(!db->open[i]);
    hwi_janitor_stop(db->janitor);
    hwi_snapshots_free(db->snapshots);
    hwi_store_close(db->store);
    hwi_remote_close(db->far);
    pthread_mutex_destroy(&db->lock);
    hwi_free(db->metrics);
    hwi_free(db);
}

void
hwi_db_committed(hw_db *db)
{
    hwi_snapshots_drop(db->snapshots, false);
}

void
hwi_db_lost_race(hw_db *db)
{
    hwi_rng random;
    hwi_rng_init(&random, hwi_clock_ns() ^ (uint64_t)getpid() << 40);
    atomic_store(&db->lane, (unsigned)hwi_rng_below(&random, HWI_LANES));
}

/* ---- Shared parts of collections ---- */

static hwi_shared **
bucket_of(hw_db *db, uint32_t coll)
{
    return &db->open[coll % HWI_DB_BUCKETS];
}

/* db->lock is held. */
static hwi_shared *
find_shared(hw_db *db, uint32_t coll)
{
    hwi_shared *s = *bucket_of(db, coll);
    while (s && s->coll != coll) s = s->next;
    return s;
}

static hw_status
open_shared(hw_db *db, uint32_t coll, const char *name, hwi_shared **out, hw_error *err)
{
    hwi_shared *s = hwi_alloc_zero(sizeof *s);
    if (!s) return hwi_nomem(err, sizeof *s);
    s->db = db;
    s->coll = coll;
    strncpy(s->name, name, HW_NAME_MAX);
    hw_status st = hwi_views_new_shared(db->snapshots, coll, name, &s->views, err);
    if (st == HW_OK && !db->janitor) st = hwi_janitor_start(db->snapshots, &db->janitor, err);
    if (st != HW_OK) {
        hwi_views_free(s->views);
        hwi_free(s);
        return st;
    }
    s->next = *bucket_of(db, coll);
    *bucket_of(db, coll) = s;
    *out = s;
    return HW_OK;
}

hw_status
hwi_shared_take(hw_db *db, uint32_t coll, const char *name, hwi_shared **out, hw_error *err)
{
    hw_status st = HW_OK;
    *out = NULL;
    pthread_mutex_lock(&db->lock);
    hwi_shared *s = find_shared(db, coll);
    if (!s) st = open_shared(db, coll, name, &s, err);
    if (st == HW_OK) {
        s->refs++;
        *out = s;
    }
    pthread_mutex_unlock(&db->lock);
    return st;
}

void
hwi_shared_release(hwi_shared *s)
{
    if (!s) return;
    hw_db *db = s->db;
    pthread_mutex_lock(&db->lock);
    bool is_last = --s->refs == 0;
    if (is_last) {
        hwi_shared **link = bucket_of(db, s->coll);
        while (*link != s) link = &(*link)->next;
        *link = s->next;
    }
    pthread_mutex_unlock(&db->lock);
    if (!is_last) return;
    hwi_views_free(s->views);
    hwi_free(s);
}

/* ---- Cancelling ---- */

hw_status
hw_cancel_new(hw_cancel **out, hw_error *err)
{
    *out = hwi_alloc(sizeof **out);
    if (!*out) return hwi_nomem(err, sizeof **out);
    atomic_init(&(*out)->is_set, false);
    return HW_OK;
}

void
hw_cancel_signal(hw_cancel *cancel)
{
    atomic_store_explicit(&cancel->is_set, true, memory_order_relaxed); /* a hint, orders nothing */
}

void
hw_cancel_free(hw_cancel *cancel)
{
    hwi_free(cancel);
}

/* ---- Text handed over ---- */

hw_status
hwi_buf_take_text(hwi_buf *b, char **out, hw_error *err)
{
    hwi_buf_fill(b, 0, 1);
    *out = NULL;
    if (b->failed) {
        size_t bytes = b->size;
        hwi_buf_release(b);
        return hwi_nomem(err, bytes);
    }
    *out = (char *)b->data;
    *b = (hwi_buf){0};
    return HW_OK;
}
