/* test_filter_again.c - a filter that is asked again and again is answered as it was the first time,
 * by any number of threads, and anew after a commit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/hwt_index.h"

#include <math.h>
#include <pthread.h>

enum { POINTS = 6000, DIM = 16, K = 10, MANY = 100, QUERIES = 12, THREADS = 3 };

/* Classes of HWT_CLASSES. */
static const uint32_t shares[] = {80, 50, 20};
#define FEW 9u

typedef struct world {
    hwt_db d;
    hw_collection *c;
    hwt_set set;
    float query[QUERIES][DIM];
} world;

static int
open_world(void **state)
{
    static world all;
    world *w = &all;
    hwi_rng rng;
    hw_error err;

    hwi_rng_init(&rng, 11);
    hwt_set_init(&w->set, HWI_L2, DIM, POINTS + QUERIES);
    hwt_set_fill(&w->set, HWT_SPREAD, 3);
    hwt_db_open(&w->d, false);
    w->c = hwt_collection(w->d.db, "c",
                          "{\"dim\": 16, \"metric\": \"l2\", "
                          "\"payload_indexes\": {\"class\": \"integer\"}}");
    hwt_set_upsert(&w->set, w->c, 0, POINTS, 1000);
    hwt_ok(hw_collection_build(w->c, NULL, NULL, &err), &err);
    for (uint32_t i = 0; i < QUERIES; i++)
        hwt_set_sample(&w->set, HWT_SPREAD, 3, &rng, w->query[i]);
    *state = w;
    return 0;
}

static int
close_world(void **state)
{
    world *w = *state;

    hw_collection_close(w->c);
    hwt_db_close(&w->d);
    hwt_set_release(&w->set);
    return 0;
}

/* One answer. Blanks at the end make the filter a text of its own. */
static hw_result *
ask_for(const world *w, uint32_t k, uint32_t query, uint32_t classes, size_t blanks)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r = NULL;
    char filter[1024];
    hw_error err;

    hwt_class_filter(classes, filter);
    size_t bytes = strlen(filter);
    assert_true(bytes + blanks < sizeof filter);
    memset(filter + bytes, ' ', blanks);
    q.vector = w->query[query], q.dim = DIM, q.k = k;
    q.filter = filter, q.filter_bytes = bytes + blanks;
    hwt_ok(hw_collection_search(w->c, &q, &r, &err), &err);
    return r;
}

static hw_result *
ask(const world *w, uint32_t query, uint32_t classes, size_t blanks)
{
    return ask_for(w, K, query, classes, blanks);
}

static bool
is_same(const hw_result *a, const hw_result *b)
{
    bool same = hw_result_count(a) == hw_result_count(b);

    for (size_t i = 0; same && i < hw_result_count(a); i++)
        same = hw_id_compare(&hw_result_ids(a)[i], &hw_result_ids(b)[i]) == 0 &&
               hw_result_scores(a)[i] == hw_result_scores(b)[i];
    return same;
}

/* Every query with a text that was never asked, then five times with one that is known. */
static void
answers_do_not_change_as_a_filter_is_asked_again(void **state)
{
    world *w = *state;
    size_t never = 1;

    for (size_t s = 0; s < HWI_COUNT(shares); s++)
        for (uint32_t i = 0; i < QUERIES; i++) {
            hw_result *first = ask(w, i, shares[s], never++);
            for (int again = 0; again < 5; again++) {
                hw_search_work work = {.size = sizeof work};
                hw_result *r = ask(w, i, shares[s], 0);
                assert_true(is_same(first, r));
                hw_result_work(r, &work);
                assert_true(work.leaves > 0); /* a gathered answer would prove nothing */
                hw_result_free(r);
            }
            hw_result_free(first);
        }
}

/* Few match, so that comparing them all is cheaper than leaves of which nothing is kept. Searches of
 * other queries, asked in turns, make it worth keeping; recall must not suffer. */
static void
a_filter_of_few_is_searched_by_leaves_when_asked_often(void **state)
{
    world *w = *state;
    uint64_t leaves[4 * QUERIES] = {0};
    uint32_t found = 0, asks = 0;

    for (uint32_t round = 0; round < 4; round++)
        for (uint32_t i = 0; i < QUERIES; i++, asks++) {
            hw_search_work work = {.size = sizeof work};
            hwt_near truth[MANY];
            hw_result *r = ask_for(w, MANY, i, FEW, 0);
            hw_result_work(r, &work);
            leaves[asks] = work.leaves;
            assert_int_equal(hwt_set_nearest(&w->set, w->query[i], MANY, FEW, INFINITY, truth),
                             MANY);
            for (uint32_t t = 0; t < MANY; t++)
                for (size_t h = 0; h < hw_result_count(r); h++)
                    found += hwt_set_place(&hw_result_ids(r)[h]) == truth[t].place;
            hw_result_free(r);
        }
    assert_int_equal(leaves[0], 0);
    assert_true(leaves[asks - 1] > 0);
    assert_true(found > 0.93 * MANY * asks);
}

/* The queries themselves join the points, with classes that match: they are then the nearest. */
static void
a_commit_is_seen_by_a_filter_asked_before(void **state)
{
    world *w = *state;

    for (int pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < QUERIES; i++) hw_result_free(ask(w, i, 20, 0));
    for (uint32_t i = 0; i < QUERIES; i++) hwt_set_put(&w->set, POINTS + i, w->query[i]);
    hwt_set_upsert(&w->set, w->c, POINTS, POINTS + QUERIES, QUERIES); /* classes 0 to 11 */
    for (int pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < QUERIES; i++) {
            hw_result *r = ask(w, i, 20, 0);
            assert_int_equal(hwt_set_place(&hw_result_ids(r)[0]), POINTS + i);
            hw_result_free(r);
        }
}

typedef struct asker {
    pthread_t thread;
    const world *w;
    hw_result *const *expected; /* by share and query */
    uint32_t wrong;
} asker;

static void *
ask_all(void *arg)
{
    asker *a = arg;

    for (uint32_t i = 0; i < 4 * QUERIES; i++)
        for (size_t s = 0; s < HWI_COUNT(shares); s++) {
            hw_result *r = ask(a->w, i % QUERIES, shares[s], 0);
            a->wrong += !is_same(r, a->expected[s * QUERIES + i % QUERIES]);
            hw_result_free(r);
        }
    return NULL;
}

/* What was kept of these filters went when others were asked: all threads begin anew at once. */
static void
threads_share_what_is_kept(void **state)
{
    world *w = *state;
    hw_result *expected[HWI_COUNT(shares) * QUERIES];
    asker a[THREADS];

    for (uint32_t i = 0; i < HWI_COUNT(expected); i++)
        expected[i] = ask(w, i % QUERIES, shares[i / QUERIES], i + 1);
    for (uint32_t t = 0; t < THREADS; t++) {
        a[t] = (asker){.w = w, .expected = expected};
        assert_int_equal(pthread_create(&a[t].thread, NULL, ask_all, &a[t]), 0);
    }
    for (uint32_t t = 0; t < THREADS; t++) {
        pthread_join(a[t].thread, NULL);
        assert_int_equal(a[t].wrong, 0);
    }
    for (uint32_t i = 0; i < HWI_COUNT(expected); i++) hw_result_free(expected[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_do_not_change_as_a_filter_is_asked_again),
        cmocka_unit_test(threads_share_what_is_kept),
        cmocka_unit_test(a_filter_of_few_is_searched_by_leaves_when_asked_often),
        cmocka_unit_test(a_commit_is_seen_by_a_filter_asked_before),
    };

    return cmocka_run_group_tests(tests, open_world, close_world);
}
