/* Random inserts, deletes and updates on an index of every kind, metric and a range of dimensions,
 * beside a plain array: exact answers equal comparing with everything bit for bit, approximate ones
 * are never short, and hw_db_check finds nothing.
 *
 * Collections are small and their leaves smaller, so that a few hundred points see the first
 * training, splits and merges. What was being done is printed when a comparison fails. */
#include "support/hwt_index.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "records/conf.h"

enum { PLACES = HWT_SANITIZED ? 260 : 500, K_MOST = 600 };

static const hwi_metric metrics[] = {HWI_COSINE, HWI_L2, HWI_DOT, HWI_L1};
static const char *const shapes[] = {"spread", "clustered", "grid"};

typedef struct world {
    hwt_db d;
    hw_collection *c;
    hwt_set set;
    hwi_rng rng;
    hwt_shape shape;
    const char *kind;
    char doing[160];
} world;

static uint32_t
below(world *w, uint32_t n)
{
    return (uint32_t)hwi_rng_below(&w->rng, n);
}

static void
world_open(world *w, bool on_disk, const char *kind, hwi_metric metric, uint32_t dim,
           hwt_shape shape, uint32_t places, uint64_t seed)
{
    char index[128], config[512];
    hw_error err;

    *w = (world){.shape = shape, .kind = kind};
    hwi_rng_init(&w->rng, seed);
    hwt_db_open(&w->d, on_disk);
    hwt_set_init(&w->set, metric, dim, places);
    hwt_set_fill(&w->set, shape, seed);
    snprintf(index, sizeof index, "\"kind\": \"%s\", \"flat_below\": 50, \"leaf_size\": 16", kind);
    hwt_set_config(&w->set, index, config);
    w->c = hwt_collection(w->d.db, "points", config);
    if (seed % 2)
        hwt_ok(hw_collection_index_payload(w->c, "class", "integer", NULL, NULL, &err), &err);
    snprintf(w->doing, sizeof w->doing, "%s, %s, dim %u, %s, seed %llu", kind,
             hwi_metric_text(metric), dim, shapes[shape], (unsigned long long)seed);
}

static void
world_close(world *w)
{
    hw_collection_close(w->c);
    hwt_db_close(&w->d);
    hwt_set_release(&w->set);
}

static void
reopen(world *w)
{
    hw_error err;

    hw_collection_close(w->c);
    hwt_db_reopen(&w->d);
    hwt_ok(hw_collection_open(w->d.db, "points", &w->c, &err), &err);
}

/* ---- comparing ---- */

static hw_result *
search(const world *w, const hw_query *q)
{
    hw_result *r = NULL;
    hw_error err;

    if (hw_collection_search(w->c, q, &r, &err) != HW_OK) fail_msg("%s: %s", w->doing, err.message);
    return r;
}

static void
expect_hits(const world *w, const hw_query *q, const hw_result *r, const hwt_near *truth,
            uint32_t count)
{
    if (hw_result_count(r) != count)
        fail_msg("%s: k %u, offset %u%s: %zu hits, expected %u", w->doing, q->k, q->offset,
                 q->filter ? ", filter" : "", hw_result_count(r), count);
    for (uint32_t i = 0; i < count; i++) {
        const hw_id *id = &hw_result_ids(r)[i];
        float score = hwi_score(w->set.space.metric, truth[i].distance);
        if (hw_id_compare(id, &truth[i].id) == 0 && hw_result_scores(r)[i] == score) continue;
        fail_msg("%s: k %u: hit %u is place %u with %.9g, expected place %u with %.9g", w->doing,
                 q->k, i, hwt_set_place(id), (double)hw_result_scores(r)[i], truth[i].place,
                 (double)score);
    }
}

/* Sorted, live, each once, allowed by the filter, with true scores, and as many as asked for. */
static void
expect_sound(const world *w, const hw_query *q, const hw_result *r, uint32_t classes,
             uint32_t count)
{
    static hwt_near all[K_MOST];
    uint32_t matching = hwt_set_nearest(&w->set, q->vector, K_MOST, classes, INFINITY, all);

    if (hw_result_count(r) != count)
        fail_msg("%s: recall %g, k %u, %u classes: %zu hits, expected %u", w->doing, q->recall,
                 q->k, classes, hw_result_count(r), count);
    for (uint32_t i = 0, at = 0; i < count; i++, at++) {
        const hw_id *id = &hw_result_ids(r)[i];
        while (at < matching && hw_id_compare(id, &all[at].id) != 0) at++;
        if (at == matching)
            fail_msg("%s: recall %g, k %u: hit %u, place %u, is out of order, twice there, or no "
                     "match",
                     w->doing, q->recall, q->k, i, hwt_set_place(id));
        assert_true(hw_result_scores(r)[i] == hwi_score(w->set.space.metric, all[at].distance));
    }
}

/* A random query: fresh, a stored vector, or close to one. */
static void
random_query(world *w, float *v)
{
    uint32_t place = below(w, w->set.count), dim = w->set.space.dim;

    hwt_set_sample(&w->set, w->shape, w->rng.s[0] % 7, &w->rng, v);
    if (below(w, 2) == 0) return;
    memcpy(v, hwt_set_vector(&w->set, place), dim * sizeof *v);
    if (below(w, 2) == 0) v[below(w, dim)] += 0.01f;
}

static void
compare_one(world *w, const float *v)
{
    static const uint32_t ks[] = {1, 3, 10, 47, 60, K_MOST};
    static const double recalls[] = {0.5, 0.9, 0.95, 0.99};
    static hwt_near truth[K_MOST];
    uint32_t classes = below(w, 3) ? HWT_CLASSES : 1 + below(w, 60);
    char filter[128];
    hw_query q = HW_QUERY_INIT;

    q.vector = v, q.dim = w->set.space.dim, q.k = ks[below(w, HWI_COUNT(ks))];
    if (classes < HWT_CLASSES) {
        hwt_class_filter(classes, filter);
        q.filter = filter, q.filter_bytes = strlen(filter);
    }
    uint32_t count = hwt_set_nearest(&w->set, v, q.k, classes, INFINITY, truth);
    q.exact = true;
    hw_result *r = search(w, &q);
    expect_hits(w, &q, r, truth, count);
    assert_true(hw_result_recall(r) == 1);
    hw_result_free(r);
    q.exact = false, q.recall = recalls[below(w, HWI_COUNT(recalls))];
    r = search(w, &q);
    expect_sound(w, &q, r, classes, count);
    hw_result_free(r);
}

static void
compare(world *w, uint32_t queries)
{
    float *v = malloc(w->set.space.dim * sizeof *v);

    assert_non_null(v);
    for (uint32_t i = 0; i < queries; i++) {
        random_query(w, v);
        compare_one(w, v);
    }
    free(v);
}

/* ---- changing ---- */

static void
random_changes(world *w, uint32_t changes, uint32_t deletes_percent)
{
    hw_txn *txn = NULL;
    hw_error err;
    bool existed;
    char payload[32];
    float *v = malloc(w->set.space.dim * sizeof *v);

    assert_non_null(v);
    for (uint32_t i = 0; i < changes; i++) {
        uint32_t place = below(w, w->set.count);
        hw_id id = hwt_set_id(place);
        if (!txn) hwt_ok(hw_txn_begin(w->d.db, &txn, &err), &err);
        if (below(w, 100) < deletes_percent) {
            hwt_ok(hw_txn_delete(txn, w->c, &id, &existed, &err), &err);
            assert_int_equal(existed, w->set.live[place]);
            w->set.live[place] = false;
        } else {
            hwt_set_sample(&w->set, w->shape, 3, &w->rng, v);
            hw_vector vector = {.values = v, .dim = w->set.space.dim};
            int n = snprintf(payload, sizeof payload, "{\"class\": %u}", place % HWT_CLASSES);
            hwt_ok(hw_txn_upsert(txn, w->c, &id, &vector, 1, payload, (size_t)n, &err), &err);
            hwt_set_put(&w->set, place, v);
        }
        if (below(w, 30) == 0 || i + 1 == changes) {
            hwt_ok(hw_txn_commit(txn, &err), &err);
            txn = NULL;
        }
    }
    free(v);
}

static void
build(world *w)
{
    hw_error err;

    hwt_ok(hw_collection_build(w->c, NULL, NULL, &err), &err);
}

static void
one_life(const char *kind, hwi_metric metric, uint32_t dim, uint64_t seed, bool on_disk)
{
    world w;
    uint32_t queries = HWT_SANITIZED ? 6 : 15;

    world_open(&w, on_disk, kind, metric, dim, (hwt_shape)(seed % HWT_SHAPES), PLACES, seed);
    compare(&w, 2); /* empty */
    hwt_set_upsert(&w.set, w.c, 0, 40, 9);
    compare(&w, queries);
    hwt_set_upsert(&w.set, w.c, 40, PLACES / 2, 37);
    compare(&w, queries);
    random_changes(&w, PLACES, 30);
    hwt_db_check(w.d.db);
    compare(&w, queries);
    build(&w);
    hwt_db_check(w.d.db);
    compare(&w, queries);
    random_changes(&w, PLACES / 2, 50);
    if (on_disk) reopen(&w);
    compare(&w, queries);
    random_changes(&w, 4 * PLACES, 97); /* all but a few go */
    hwt_db_check(w.d.db);
    compare(&w, queries);
    random_changes(&w, PLACES, 10);
    hwt_db_check(w.d.db);
    compare(&w, queries);
    world_close(&w);
}

static void
lives(const char *kind)
{
    static const uint32_t dims[] = {1, 2, 3, 17, 64, 100, 128, 300};
    uint64_t seed = 1;

    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t d = 0; d < HWI_COUNT(dims); d++, seed++) {
            if (HWT_SANITIZED && (d + m) % 3) continue;
            one_life(kind, metrics[m], dims[d], seed, (d + m) % 2 == 1);
        }
}

static void
hybrid_answers_right_through_any_changes(void **state)
{
    (void)state;
    lives("hybrid");
}

static void
kdtree_answers_right_through_any_changes(void **state)
{
    (void)state;
    lives("kdtree");
}

static void
lsh_answers_right_through_any_changes(void **state)
{
    (void)state;
    lives("lsh");
}

static void
flat_answers_right_through_any_changes(void **state)
{
    (void)state;
    lives("flat");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hybrid_answers_right_through_any_changes),
        cmocka_unit_test(kdtree_answers_right_through_any_changes),
        cmocka_unit_test(lsh_answers_right_through_any_changes),
        cmocka_unit_test(flat_answers_right_through_any_changes),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
