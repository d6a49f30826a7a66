/* What a search promises beyond nearness: order, thresholds, offsets, itself left out, budgets, and
 * the same answer whatever the threads, the order of insertion or a restart. */
#include "support/hwt_index.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "records/conf.h"

enum { PLACES = 900, DIM = 12 };

static const char *const kinds[] = {"hybrid", "kdtree", "lsh", "flat"};
static const hwi_metric metrics[] = {HWI_COSINE, HWI_L2, HWI_DOT, HWI_L1};

typedef struct world {
    hwt_db d;
    hw_collection *c;
    hwt_set set;
} world;

static void
open_sized(world *w, bool on_disk, const char *kind, hwi_metric metric, uint32_t dim,
           uint32_t places)
{
    char index[128], config[512];

    *w = (world){0};
    hwt_db_open(&w->d, on_disk);
    hwt_set_init(&w->set, metric, dim, places);
    snprintf(index, sizeof index, "\"kind\": \"%s\", \"flat_below\": 50, \"leaf_size\": 16", kind);
    hwt_set_config(&w->set, index, config);
    w->c = hwt_collection(w->d.db, "points", config);
}

/* All places filled, upserted and an index built. */
static void
open_filled(world *w, const char *kind, hwi_metric metric, hwt_shape shape)
{
    hw_error err;

    open_sized(w, false, kind, metric, DIM, PLACES);
    hwt_set_fill(&w->set, shape, 11);
    hwt_set_upsert(&w->set, w->c, 0, PLACES, 300);
    hwt_ok(hw_collection_build(w->c, NULL, NULL, &err), &err);
}

static void
close_world(world *w)
{
    hw_collection_close(w->c);
    hwt_db_close(&w->d);
    hwt_set_release(&w->set);
}

static hw_result *
search(const world *w, const hw_query *q)
{
    hw_result *r = NULL;
    hw_error err;

    hwt_ok(hw_collection_search(w->c, q, &r, &err), &err);
    return r;
}

static hw_query
query_of(const world *w, const float *v, uint32_t k)
{
    hw_query q = HW_QUERY_INIT;

    q.vector = v, q.dim = w->set.space.dim, q.k = k;
    return q;
}

static void
expect_same(const hw_result *a, const hw_result *b, const char *what)
{
    if (hw_result_count(a) != hw_result_count(b))
        fail_msg("%s: %zu and %zu hits", what, hw_result_count(a), hw_result_count(b));
    for (size_t i = 0; i < hw_result_count(a); i++)
        if (hw_id_compare(&hw_result_ids(a)[i], &hw_result_ids(b)[i]) != 0 ||
            hw_result_scores(a)[i] != hw_result_scores(b)[i])
            fail_msg("%s: hit %zu differs", what, i);
}

static void
expect_truth(const world *w, const hw_query *q, const char *what)
{
    static hwt_near truth[PLACES];
    uint32_t n = hwt_set_nearest(&w->set, q->vector, q->k, HWT_CLASSES, INFINITY, truth);
    hw_result *r = search(w, q);

    if (hw_result_count(r) != n) fail_msg("%s: %zu hits of %u", what, hw_result_count(r), n);
    for (uint32_t i = 0; i < n; i++)
        if (hw_id_compare(&hw_result_ids(r)[i], &truth[i].id) != 0 ||
            hw_result_scores(r)[i] != hwi_score(w->set.space.metric, truth[i].distance))
            fail_msg("%s: hit %u is place %u, expected %u", what, i,
                     hwt_set_place(&hw_result_ids(r)[i]), truth[i].place);
    hw_result_free(r);
}

/* ---- thresholds, offsets, by id ---- */

/* Every hit of an exact search reaches the threshold, and none that does is missing. */
static void
threshold_keeps_what_reaches_it(void **state)
{
    static hwt_near truth[PLACES];
    (void)state;

    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
            world w;
            open_filled(&w, kinds[kind], metrics[m], HWT_GRID);
            const float *v = hwt_set_vector(&w.set, 5);
            hw_query q = query_of(&w, v, PLACES);
            hwt_set_nearest(&w.set, v, PLACES, HWT_CLASSES, INFINITY, truth);
            q.exact = true, q.has_score_threshold = true;
            q.score_threshold = hwi_score(metrics[m], truth[40].distance);
            hw_result *r = search(&w, &q);
            size_t n = hw_result_count(r);
            assert_in_range(n, 41, PLACES);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(hw_id_compare(&hw_result_ids(r)[i], &truth[i].id), 0);
            float next = hwi_score(metrics[m], truth[n].distance);
            bool larger_is_nearer = metrics[m] == HWI_COSINE || metrics[m] == HWI_DOT;
            assert_true(larger_is_nearer ? next < q.score_threshold : next > q.score_threshold);
            hw_result_free(r);
            q.exact = false, q.k = 10; /* an approximate one keeps to the threshold as well */
            r = search(&w, &q);
            assert_int_equal(hw_result_count(r), 10);
            for (size_t i = 0; i < 10; i++) {
                float score = hw_result_scores(r)[i];
                assert_true(larger_is_nearer ? score >= q.score_threshold
                                             : score <= q.score_threshold);
            }
            hw_result_free(r);
            close_world(&w);
        }
}

static void
offset_goes_on_where_the_first_page_ended(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
        world w;
        open_filled(&w, kinds[kind], HWI_L2, HWT_GRID);
        hw_query q = query_of(&w, hwt_set_vector(&w.set, 9), 30);
        q.exact = true;
        hw_result *whole = search(&w, &q);
        for (uint32_t at = 0; at < 30; at += 6) {
            q.k = 6, q.offset = at;
            hw_result *page = search(&w, &q);
            assert_int_equal(hw_result_count(page), 6);
            for (size_t i = 0; i < 6; i++)
                assert_int_equal(
                    hw_id_compare(&hw_result_ids(page)[i], &hw_result_ids(whole)[at + i]), 0);
            hw_result_free(page);
        }
        q.k = 10, q.offset = PLACES - 4;
        hw_result *last = search(&w, &q);
        assert_int_equal(hw_result_count(last), 4);
        hw_result_free(last);
        q.offset = PLACES + 10;
        last = search(&w, &q);
        assert_int_equal(hw_result_count(last), 0);
        hw_result_free(last);
        hw_result_free(whole);
        close_world(&w);
    }
}

static void
search_by_id_leaves_itself_out(void **state)
{
    (void)state;
    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
            world w;
            open_filled(&w, kinds[kind], metrics[m], HWT_GRID);
            for (uint32_t place = 0; place < 40; place++) {
                static hwt_near truth[PLACES];
                hw_id id = hwt_set_id(place);
                hw_query q = HW_QUERY_INIT;
                q.id = &id, q.k = 10, q.exact = true;
                hw_result *r = search(&w, &q);
                hwt_set_nearest(&w.set, hwt_set_vector(&w.set, place), 12, HWT_CLASSES, INFINITY,
                                truth);
                assert_int_equal(hw_result_count(r), 10);
                for (uint32_t i = 0, t = 0; i < 10; i++, t++) {
                    if (truth[t].place == place) t++;
                    assert_int_equal(hw_id_compare(&hw_result_ids(r)[i], &truth[t].id), 0);
                }
                hw_result_free(r);
                q.exact = false, q.k = PLACES; /* all the others */
                r = search(&w, &q);
                assert_int_equal(hw_result_count(r), PLACES - 1);
                for (uint32_t i = 0; i < PLACES - 1; i++)
                    assert_int_not_equal(hwt_set_place(&hw_result_ids(r)[i]), place);
                hw_result_free(r);
            }
            close_world(&w);
        }
}

/* ---- awkward data ---- */

/* Hundreds of equal vectors: exact order is by id, nothing is lost, and the index stays sound. */
static void
equal_vectors_order_by_id(void **state)
{
    (void)state;
    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
            world w;
            float v[DIM] = {1, 2, 3, 4};
            open_sized(&w, false, kinds[kind], metrics[m], DIM, PLACES);
            for (uint32_t i = 0; i < PLACES; i++) hwt_set_put(&w.set, i, v);
            hwt_set_upsert(&w.set, w.c, 0, PLACES / 2, 40); /* one by one into a grown index */
            hwt_db_check(w.d.db);
            hw_query q = query_of(&w, v, 200);
            for (uint32_t i = PLACES / 2; i < PLACES; i++) w.set.live[i] = false;
            q.exact = true;
            expect_truth(&w, &q, kinds[kind]);
            hw_error err;
            hwt_set_upsert(&w.set, w.c, PLACES / 2, PLACES, 400);
            hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err);
            hwt_db_check(w.d.db);
            expect_truth(&w, &q, kinds[kind]);
            q.exact = false;
            hw_result *r = search(&w, &q);
            assert_int_equal(hw_result_count(r), 200);
            hw_result_free(r);
            close_world(&w);
        }
}

static void
zero_vectors_are_points_like_others(void **state)
{
    static const hwi_metric with_zero[] = {HWI_L2, HWI_DOT, HWI_L1};
    (void)state;

    for (size_t m = 0; m < HWI_COUNT(with_zero); m++)
        for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
            world w;
            float zero[DIM] = {0};
            hw_error err;
            open_sized(&w, false, kinds[kind], with_zero[m], DIM, PLACES);
            hwt_set_fill(&w.set, HWT_GRID, 3);
            for (uint32_t i = 0; i < PLACES; i += 3) hwt_set_put(&w.set, i, zero);
            hwt_set_upsert(&w.set, w.c, 0, PLACES, 70);
            for (int round = 0; round < 2; round++) {
                hwt_db_check(w.d.db);
                hw_query q = query_of(&w, zero, 350);
                q.exact = true;
                expect_truth(&w, &q, kinds[kind]);
                q.exact = false;
                hw_result *r = search(&w, &q);
                assert_int_equal(hw_result_count(r), 350);
                hw_result_free(r);
                hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err);
            }
            close_world(&w);
        }
}

/* Coordinates whose size dwarfs their differences: bounds must not lose neighbours to rounding. */
static void
exact_search_survives_large_offsets(void **state)
{
    static const float offsets[] = {1e3f, 1e5f, 1e7f};
    static const hwi_metric by_distance[] = {HWI_L2, HWI_L1};
    static const uint32_t dims[] = {2, 3, DIM};
    (void)state;

    for (size_t m = 0; m < HWI_COUNT(by_distance); m++)
        for (size_t d = 0; d < HWI_COUNT(dims); d++)
            for (size_t o = 0; o < HWI_COUNT(offsets); o++) {
                world w;
                hw_error err;
                float v[DIM];
                hwi_rng rng;
                char what[64];
                hwi_rng_init(&rng, 8);
                open_sized(&w, false, "hybrid", by_distance[m], dims[d], PLACES);
                float grain = nextafterf(offsets[o], INFINITY) - offsets[o];
                for (uint32_t i = 0; i < PLACES;
                     i++) { /* two far clusters, each a few grains wide */
                    float side = hwi_rng_below(&rng, 2) ? 1.0f : -1.0f;
                    for (uint32_t j = 0; j < dims[d]; j++)
                        v[j] = side * (offsets[o] + grain * (float)hwi_rng_below(&rng, 60));
                    hwt_set_put(&w.set, i, v);
                }
                hwt_set_upsert(&w.set, w.c, 0, PLACES / 2, 50);
                hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err);
                hwt_set_upsert(&w.set, w.c, PLACES / 2, PLACES, 50);
                hwt_db_check(w.d.db);
                snprintf(what, sizeof what, "%s, dim %u, offset %g",
                         hwi_metric_text(by_distance[m]), dims[d], (double)offsets[o]);
                for (uint32_t i = 0; i < 60; i++) {
                    hw_query q = query_of(&w, hwt_set_vector(&w.set, i), 10);
                    q.exact = true;
                    expect_truth(&w, &q, what);
                }
                close_world(&w);
            }
}

/* From the smallest to the largest vectors that are accepted: never short of k. */
static void
vectors_of_any_size_are_found(void **state)
{
    static const float scales[] = {1e-18f, 1e-6f, 1e6f, 1e13f};
    (void)state;

    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++)
            for (size_t s = 0; s < HWI_COUNT(scales); s++) {
                world w;
                hw_error err;
                float v[DIM];
                char what[64];
                snprintf(what, sizeof what, "%s, %s, times %g", kinds[kind],
                         hwi_metric_text(metrics[m]), (double)scales[s]);
                open_sized(&w, false, kinds[kind], metrics[m], DIM, 300);
                hwt_set_fill(&w.set, HWT_SPREAD, 4);
                for (uint32_t i = 0; i < 300; i++) {
                    for (uint32_t j = 0; j < DIM; j++)
                        v[j] = hwt_set_vector(&w.set, i)[j] * scales[s];
                    hwt_set_put(&w.set, i, v);
                }
                hwt_set_upsert(&w.set, w.c, 0, 300, 60);
                hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err);
                hwt_db_check(w.d.db);
                hw_query q = query_of(&w, hwt_set_vector(&w.set, 7), 300);
                q.exact = true;
                expect_truth(&w, &q, what);
                q.exact = false;
                hw_result *r = search(&w, &q);
                if (hw_result_count(r) != 300)
                    fail_msg("%s: %zu hits of 300", what, hw_result_count(r));
                hw_result_free(r);
                close_world(&w);
            }
}

/* A query may be far larger than any vector; it is refused or answered, and never hangs. */
static void
huge_queries_end(void **state)
{
    static const float sizes[] = {1e10f, 1e13f, 1e15f, 1e19f, 3e38f};
    (void)state;

    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
            world w;
            open_filled(&w, kinds[kind], metrics[m], HWT_SPREAD);
            for (size_t s = 0; s < HWI_COUNT(sizes); s++) {
                float v[DIM];
                hw_error err;
                hw_result *r;
                for (uint32_t j = 0; j < DIM; j++) v[j] = j % 2 ? sizes[s] : -sizes[s];
                hw_query q = query_of(&w, v, 10);
                for (int exact = 0; exact < 2; exact++) {
                    q.exact = exact;
                    hw_status st = hw_collection_search(w.c, &q, &r, &err);
                    if (st == HW_EINVAL && sizes[s] > 1e14f) continue; /* said so */
                    if (st != HW_OK || hw_result_count(r) != 10)
                        fail_msg("%s, %s, query of %g: %s", kinds[kind],
                                 hwi_metric_text(metrics[m]), (double)sizes[s],
                                 st == HW_OK ? "short" : err.message);
                    hw_result_free(r);
                }
            }
            close_world(&w);
        }
}

/* ---- the same answer ---- */

static void
batches_answer_alike_on_any_threads(void **state)
{
    enum { QUERIES = 40 };
    (void)state;

    for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
        world w;
        open_filled(&w, kinds[kind], HWI_COSINE, HWT_CLUSTERED);
        hw_query q[QUERIES];
        hw_result *batch[QUERIES];
        hw_error err;
        for (uint32_t i = 0; i < QUERIES; i++) {
            q[i] = query_of(&w, hwt_set_vector(&w.set, 3 * i), 1 + i);
            q[i].exact = i % 5 == 0;
        }
        for (uint32_t threads = 1; threads <= 4; threads++) {
            hwt_ok(hw_collection_search_batch(w.c, q, QUERIES, threads, batch, &err), &err);
            for (uint32_t i = 0; i < QUERIES; i++) {
                hw_result *one = search(&w, &q[i]);
                expect_same(one, batch[i], kinds[kind]);
                hw_result_free(one);
                hw_result_free(batch[i]);
            }
        }
        close_world(&w);
    }
}

/* Answers to a few approximate queries, one after another. */
static void
answers(const world *w, hw_result **out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        hw_query q = query_of(w, hwt_set_vector(&w->set, 7 * i), 10);
        q.recall = 0.9;
        out[i] = search(w, &q);
    }
}

static void
builds_are_the_same_on_any_threads(void **state)
{
    enum { QUERIES = 40 };
    (void)state;

    for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
        hw_result *first[QUERIES], *other[QUERIES];
        for (uint32_t threads = 1; threads <= 4; threads++) {
            world w = {0};
            char index[96], config[512];
            hw_error err;
            hw_db_opts opts = HW_DB_OPTS_INIT;
            opts.threads = threads, opts.bulk_load = true;
            hwt_ok(hw_db_open("mem:", &opts, &w.d.db, &err), &err);
            hwt_set_init(&w.set, HWI_L2, DIM, PLACES);
            hwt_set_fill(&w.set, HWT_CLUSTERED, 5);
            snprintf(index, sizeof index, "\"kind\": \"%s\", \"flat_below\": 50, \"leaf_size\": 16",
                     kinds[kind]);
            hwt_set_config(&w.set, index, config);
            w.c = hwt_collection(w.d.db, "points", config);
            hwt_set_upsert(&w.set, w.c, 0, PLACES, 500);
            hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err);
            answers(&w, threads == 1 ? first : other, QUERIES);
            for (uint32_t i = 0; threads > 1 && i < QUERIES; i++) {
                expect_same(first[i], other[i], kinds[kind]);
                hw_result_free(other[i]);
            }
            close_world(&w);
        }
        for (uint32_t i = 0; i < QUERIES; i++) hw_result_free(first[i]);
    }
}

/* The same points put in forwards, and backwards with detours: exact answers are equal. */
static void
order_of_insertion_does_not_show(void **state)
{
    (void)state;
    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
            world w[2];
            hw_error err;
            for (int i = 0; i < 2; i++) {
                open_sized(&w[i], false, kinds[kind], metrics[m], DIM, PLACES);
                hwt_set_fill(&w[i].set, HWT_GRID, 2);
            }
            hwt_set_upsert(&w[0].set, w[0].c, 0, PLACES, 100);
            for (uint32_t at = PLACES; at > 0; at -= 50) {
                hw_id gone = hwt_set_id(at - 1);
                hwt_set_upsert(&w[1].set, w[1].c, at - 50, at, 50);
                hwt_ok(hw_collection_delete(w[1].c, &gone, 1, NULL, &err), &err);
                hwt_set_upsert(&w[1].set, w[1].c, at - 1, at, 1);
            }
            for (uint32_t i = 0; i < 30; i++) {
                hw_query q = query_of(&w[0], hwt_set_vector(&w[0].set, i * 11), 25);
                q.exact = true;
                hw_result *a = search(&w[0], &q), *b = search(&w[1], &q);
                expect_same(a, b, kinds[kind]);
                hw_result_free(a);
                hw_result_free(b);
            }
            close_world(&w[0]);
            close_world(&w[1]);
        }
}

static void
answers_survive_a_restart(void **state)
{
    enum { QUERIES = 40 };
    (void)state;

    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
            world w;
            hw_result *before[QUERIES], *after[QUERIES];
            hw_error err;
            open_sized(&w, true, kinds[kind], metrics[m], DIM, PLACES);
            hwt_set_fill(&w.set, HWT_CLUSTERED, 6);
            hwt_set_upsert(&w.set, w.c, 0, PLACES, 90);
            answers(&w, before, QUERIES);
            hw_collection_close(w.c);
            hwt_db_reopen(&w.d);
            hwt_ok(hw_collection_open(w.d.db, "points", &w.c, &err), &err);
            answers(&w, after, QUERIES);
            for (uint32_t i = 0; i < QUERIES; i++) {
                expect_same(before[i], after[i], kinds[kind]);
                hw_result_free(before[i]);
                hw_result_free(after[i]);
            }
            close_world(&w);
        }
}

/* A handle that has seen an index recalibrated and built again answers as a fresh one does. */
static void
what_a_process_remembers_is_never_stale(void **state)
{
    enum { QUERIES = 40, MANY = 2600 };
    (void)state;

    for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
        world w;
        hw_result *old[QUERIES], *fresh[QUERIES];
        hw_error err;
        open_sized(&w, true, kinds[kind], HWI_L2, DIM, MANY);
        hwt_set_fill(&w.set, HWT_CLUSTERED, 9);
        hwt_set_upsert(&w.set, w.c, 0, 100, 100);   /* generation 1 */
        hwt_set_upsert(&w.set, w.c, 100, 1500, 20); /* calibrated again on the way */
        answers(&w, old, QUERIES);
        for (uint32_t i = 0; i < QUERIES; i++) hw_result_free(old[i]);
        hwt_set_upsert(&w.set, w.c, 1500, MANY, 500);
        hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err); /* generation 2 */
        answers(&w, old, QUERIES);
        hw_collection_close(w.c);
        hwt_db_reopen(&w.d);
        hwt_ok(hw_collection_open(w.d.db, "points", &w.c, &err), &err);
        answers(&w, fresh, QUERIES);
        for (uint32_t i = 0; i < QUERIES; i++) {
            hw_search_work a = {.size = sizeof a}, b = {.size = sizeof b};
            hw_result_work(old[i], &a);
            hw_result_work(fresh[i], &b);
            assert_int_equal(a.leaves, b.leaves);
            assert_int_equal(a.scanned, b.scanned);
            assert_int_equal(a.exact, b.exact);
            expect_same(old[i], fresh[i], kinds[kind]);
            hw_result_free(old[i]);
            hw_result_free(fresh[i]);
        }
        close_world(&w);
    }
}

/* ---- patience ---- */

static uint64_t
now_ms(void)
{
    return hwi_clock_us() / 1000;
}

static void
a_past_deadline_and_a_signal_end_a_search(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) {
        world w;
        hw_error err;
        hw_result *r = NULL;
        hw_cancel *cancel;
        open_filled(&w, kinds[kind], HWI_L2, HWT_SPREAD);
        for (int exact = 0; exact < 2; exact++) {
            hw_query q = query_of(&w, hwt_set_vector(&w.set, 0), 10);
            q.exact = exact;
            q.deadline_ms = now_ms() - 5;
            assert_int_equal(hw_collection_search(w.c, &q, &r, &err), HW_ETIMEOUT);
            assert_null(r);
            q.deadline_ms = now_ms() + 60000;
            hw_result_free(search(&w, &q));
            hwt_ok(hw_cancel_new(&cancel, &err), &err);
            q.cancel = cancel;
            hw_result_free(search(&w, &q));
            hw_cancel_signal(cancel);
            assert_int_equal(hw_collection_search(w.c, &q, &r, &err), HW_ECANCELED);
            assert_null(r);
            hw_cancel_free(cancel);
        }
        close_world(&w);
    }
}

/* A budget that cannot be met still gives k hits, and says that recall was not reached. */
static void
a_time_budget_gives_k_hits_and_says_what_was_reached(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < 3; kind++) {
        world w;
        hw_error err;
        open_sized(&w, false, kinds[kind], HWI_L2, 64, 20000 / (HWT_SANITIZED ? 10 : 1));
        hwt_set_fill(&w.set, HWT_SPREAD, 4);
        hwt_set_upsert(&w.set, w.c, 0, w.set.count, 1000);
        hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err);
        for (uint32_t i = 0; i < 20; i++) {
            hw_query q = query_of(&w, hwt_set_vector(&w.set, i), 100);
            q.recall = 0.99, q.time_budget_ms = 1;
            hw_result *r = search(&w, &q);
            assert_int_equal(hw_result_count(r), 100);
            assert_true(hw_result_recall(r) > 0 && hw_result_recall(r) <= 1);
            hw_result_free(r);
            q.time_budget_ms = 60000; /* never ends it */
            r = search(&w, &q);
            q.time_budget_ms = 0;
            hw_result *free_of_it = search(&w, &q);
            expect_same(r, free_of_it, kinds[kind]);
            assert_true(hw_result_recall(r) == hw_result_recall(free_of_it));
            hw_result_free(r);
            hw_result_free(free_of_it);
        }
        close_world(&w);
    }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threshold_keeps_what_reaches_it),
        cmocka_unit_test(offset_goes_on_where_the_first_page_ended),
        cmocka_unit_test(search_by_id_leaves_itself_out),
        cmocka_unit_test(equal_vectors_order_by_id),
        cmocka_unit_test(zero_vectors_are_points_like_others),
        cmocka_unit_test(exact_search_survives_large_offsets),
        cmocka_unit_test(vectors_of_any_size_are_found),
        cmocka_unit_test(huge_queries_end),
        cmocka_unit_test(batches_answer_alike_on_any_threads),
        cmocka_unit_test(builds_are_the_same_on_any_threads),
        cmocka_unit_test(order_of_insertion_does_not_show),
        cmocka_unit_test(answers_survive_a_restart),
        cmocka_unit_test(what_a_process_remembers_is_never_stale),
        cmocka_unit_test(a_past_deadline_and_a_signal_end_a_search),
        cmocka_unit_test(a_time_budget_gives_k_hits_and_says_what_was_reached),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
