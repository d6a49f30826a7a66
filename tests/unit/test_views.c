/* Views: taken, handed to other threads and released there, while commits and drops retire them. */
#include "support/hwt_db.h"

#include <pthread.h>
#include <stdio.h>

#include "api/api.h"

enum { THREADS = 8, ROUNDS = 4000, COMMITS = 60 };

typedef struct world {
    hwt_db d;
    hw_collection *c;
    hwi_views *views;
    _Atomic(hwi_view *) left[THREADS / 2]; /* views that wait to be released by anybody */
    atomic_uint committed, readers;
    atomic_bool failed;
    hw_error error; /* of whoever fails first */
} world;

static void
note(world *w, const char *what)
{
    if (!atomic_exchange(&w->failed, true)) snprintf(w->error.message, 100, "%.99s", what);
}

static hw_status
put_one(world *w, uint64_t n, hw_error *err)
{
    hw_id id = HW_ID_U64(n);
    return hw_collection_upsert(w->c, &id, (float[]){(float)n, 1}, 1, NULL, err);
}

/* A view's transaction still reads what the view began with. */
static void
look(world *w, const hwi_view *v)
{
    hwi_counts counts;
    if (hwi_counts_get(v->txn, v->conf->coll, &counts, NULL) != HW_OK) note(w, "cannot read");
    if (counts.points != v->counts.points) note(w, "a view has changed");
}

static void *
reader(void *arg)
{
    world *w = arg;
    hw_error err;
    uint64_t seen = 0;
    for (size_t i = 0; i < ROUNDS && !atomic_load(&w->failed); i++) {
        unsigned before = atomic_load(&w->committed);
        hwi_view *v;
        if (hwi_views_current(w->views, &v, &err) != HW_OK) {
            note(w, err.message);
            break;
        }
        if (v->counts.points < before || v->snapshot < seen) note(w, "a view is old");
        seen = v->snapshot;
        look(w, v);
        v = atomic_exchange(&w->left[i % HWI_COUNT(w->left)], v);
        if (v) look(w, v);
        hwi_view_release(w->views, v);
    }
    atomic_fetch_sub(&w->readers, 1);
    return NULL;
}

static void *
writer(void *arg)
{
    world *w = arg;
    hw_error err;
    for (unsigned n = 0; n < COMMITS; n++) {
        if (put_one(w, n, &err) != HW_OK) note(w, err.message);
        atomic_store(&w->committed, n + 1);
    }
    return NULL;
}

static void *
dropper(void *arg)
{
    world *w = arg;
    for (size_t i = 0; atomic_load(&w->readers); i++) {
        if (i % 2) {
            hwi_views_drop(w->views);
        } else {
            hwi_snapshots_drop(w->d.db->snapshots, i % 4 == 0);
        }
        hwi_free(hwi_alloc(1)); /* freed memory is given out again soon */
    }
    return NULL;
}

static void
views_live_while_anybody_uses_them(bool on_disk)
{
    static world w;
    pthread_t threads[THREADS + 2];
    memset(&w, 0, sizeof w);
    atomic_store(&w.readers, THREADS);
    hwt_db_open(&w.d, on_disk);
    w.c = hwt_collection(w.d.db, "c", "{\"dim\":2,\"metric\":\"l2\"}");
    w.views = w.c->shared->views;
    for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, reader, &w);
    pthread_create(&threads[THREADS], NULL, writer, &w);
    pthread_create(&threads[THREADS + 1], NULL, dropper, &w);
    for (size_t i = 0; i < HWI_COUNT(threads); i++) pthread_join(threads[i], NULL);
    if (atomic_load(&w.failed)) fail_msg("%s", w.error.message);
    for (size_t i = 0; i < HWI_COUNT(w.left); i++)
        hwi_view_release(w.views, atomic_load(&w.left[i]));
    hw_collection_close(w.c);
    hwt_db_close(&w.d);
}

static void
in_memory(void **state)
{
    (void)state;
    views_live_while_anybody_uses_them(false);
}

static void
on_disk(void **state)
{
    (void)state;
    views_live_while_anybody_uses_them(true);
}

/* One that a thread took, another released, and none of both after it was retired. */
static void
a_view_outlives_its_collection(void **state)
{
    (void)state;
    static world w;
    hw_error err;
    hwi_view *v[3], *none;
    memset(&w, 0, sizeof w);
    hwt_db_open(&w.d, true);
    w.c = hwt_collection(w.d.db, "c", "{\"dim\":2,\"metric\":\"l2\"}");
    w.views = w.c->shared->views;
    hwt_ok(put_one(&w, 1, &err), &err);
    for (size_t i = 0; i < HWI_COUNT(v); i++) {
        hwt_ok(hwi_views_current(w.views, &v[i], &err), &err);
        assert_true(v[i] == v[0]);
    }
    hwi_view_release(w.views, v[1]);
    hwt_ok(hw_collection_drop(w.d.db, "c", &err), &err);
    assert_int_equal(HW_ENOTFOUND, hwi_views_current(w.views, &none, &err));
    assert_null(none);
    look(&w, v[0]);
    hwi_view_release(w.views, v[0]);
    look(&w, v[2]);
    hwi_view_release(w.views, v[2]);
    hwi_view_release(w.views, NULL);
    assert_false(atomic_load(&w.failed));
    hw_collection_close(w.c);
    hwt_db_close(&w.d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),
        cmocka_unit_test(on_disk),
        cmocka_unit_test(a_view_outlives_its_collection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
