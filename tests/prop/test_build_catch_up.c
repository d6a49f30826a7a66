/* Points come, go and change while an index of them is being built: the generation that is switched to
 * has them as they are. */
#include "support/hwt_index.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { DIM = 64, FIRST = 1500, ALL = 2500, BATCH = 50, INTRUSIONS = 2, K = 10, QUERIES = 40 };

/* Writes from within the build, through its progress reports. */
typedef struct intruder {
    hwt_db d;
    hw_collection *c;
    hwt_set set;
    hwi_rng rng;
    const char *stage; /* at which it writes */
    int times;
} intruder;

static void
delete_some(intruder *x, uint32_t from)
{
    hw_error err;
    hw_id ids[BATCH];

    for (uint32_t i = 0; i < BATCH; i++) {
        ids[i] = hwt_set_id(from + i);
        x->set.live[from + i] = false;
    }
    hwt_ok(hw_collection_delete(x->c, ids, BATCH, NULL, &err), &err);
}

static void
rewrite_some(intruder *x, uint32_t from)
{
    float v[DIM];

    for (uint32_t i = from; i < from + BATCH; i++) {
        hwt_set_sample(&x->set, HWT_CLUSTERED, 3, &x->rng, v);
        hwt_set_put(&x->set, i, v);
    }
    hwt_set_upsert(&x->set, x->c, from, from + BATCH, BATCH);
}

static bool
intrude(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    intruder *x = arg;

    (void)done;
    (void)total;
    if (x->times == INTRUSIONS) return true;
    usleep(200000); /* reports come no more often */
    if (strcmp(stage, x->stage) != 0) return true;
    x->times++;
    for (uint32_t from = 0; from < ALL; from += BATCH) {
        uint64_t dice = hwi_rng_below(&x->rng, 4);
        if (dice == 0) delete_some(x, from);
        if (dice == 1) rewrite_some(x, from);
    }
    return true;
}

static void
all_are_found(intruder *x)
{
    hw_error err;
    hwt_near near[K];
    float v[DIM];
    uint32_t found = 0;

    for (uint32_t i = 0; i < QUERIES; i++) {
        hw_query q = HW_QUERY_INIT;
        hw_result *r;
        hwt_set_sample(&x->set, HWT_CLUSTERED, 3, &x->rng, v);
        q.vector = v, q.dim = DIM, q.k = K, q.recall = 0.99;
        hwt_ok(hw_collection_search(x->c, &q, &r, &err), &err);
        assert_int_equal(hwt_set_nearest(&x->set, v, K, HWT_CLASSES, INFINITY, near), K);
        for (size_t a = 0; a < hw_result_count(r); a++) {
            uint32_t place = hwt_set_place(&hw_result_ids(r)[a]);
            assert_true(x->set.live[place]);
            for (uint32_t b = 0; b < K; b++) found += near[b].place == place;
        }
        hw_result_free(r);
    }
    assert_in_range(found, QUERIES * K * 93 / 100, QUERIES * K);
}

static void
play(const char *kind, const char *stage, int generations)
{
    intruder x = {.stage = stage};
    char config[512], index[128];
    hw_error err;
    uint64_t count, live = 0;

    hwi_rng_init(&x.rng, 5);
    hwt_db_open(&x.d, false);
    hwt_set_init(&x.set, HWI_L2, DIM, ALL);
    hwt_set_fill(&x.set, HWT_CLUSTERED, 3);
    snprintf(index, sizeof index, "\"kind\":\"%s\",\"flat_below\":10000,\"leaf_size\":32", kind);
    hwt_set_config(&x.set, index, config);
    x.c = hwt_collection(x.d.db, "points", config);
    hwt_set_upsert(&x.set, x.c, 0, FIRST, 500);
    for (int generation = 1; generation <= generations; generation++) {
        x.times = 0;
        hwt_ok(hw_collection_build(x.c, intrude, &x, &err), &err);
        assert_true(x.times > 0);
        hwt_db_check(x.d.db);
        live = 0;
        for (uint32_t i = 0; i < ALL; i++) live += x.set.live[i];
        hwt_ok(hw_collection_count(x.c, NULL, 0, &count, &err), &err);
        assert_int_equal(count, live);
        all_are_found(&x);
    }
    hw_collection_close(x.c);
    hwt_set_release(&x.set);
    hwt_db_close(&x.d);
}

static void
what_is_written_during_a_build_is_in_it(void **state)
{
    (void)state;
    play("hybrid", "calibrate", 2);
    play("kdtree", "read", 1);
    play("lsh", "write", 1);
}

static void
what_is_written_while_it_catches_up_is_in_it(void **state)
{
    (void)state;
    play("hybrid", "catch up", 2);
    play("lsh", "catch up", 1);
}

/* ---- writers that never pause ---- */

enum {
    WRITERS = 2,
    AT_ONCE = 9000,
    ROUNDS_MOST = 12
}; /* more slots a commit than a first round takes */

typedef struct crowd {
    hw_collection *c;
    atomic_bool done;
    atomic_int failed, rounds;
} crowd;

static void *
write_all_the_time(void *arg)
{
    crowd *w = arg;
    hw_id *ids = hwi_alloc(AT_ONCE * sizeof *ids);
    float(*v)[2] = hwi_alloc(AT_ONCE * sizeof *v);
    hwi_rng rng;

    hwi_rng_init(&rng, 3);
    for (uint32_t i = 0; i < AT_ONCE; i++) ids[i] = HW_ID_U64(i);
    do {
        for (uint32_t i = 0; i < AT_ONCE; i++)
            for (uint32_t j = 0; j < 2; j++) v[i][j] = (float)hwi_rng_normal(&rng);
        hw_status st = hw_collection_upsert(w->c, ids, v[0], AT_ONCE, NULL, NULL);
        if (st != HW_OK && st != HW_ECONFLICT) atomic_store(&w->failed, (int)st);
    } while (!atomic_load(&w->done));
    hwi_free(ids);
    hwi_free(v);
    return NULL;
}

static bool
count_rounds(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    crowd *w = arg;

    (void)done;
    (void)total;
    if (strcmp(stage, "catch up") == 0) {
        usleep(200000); /* reports come no more often */
        atomic_fetch_add(&w->rounds, 1);
    }
    return atomic_load(&w->rounds) < ROUNDS_MOST;
}

/* In a cluster, where writers do not take turns, this may take arbitrarily long. */
static void
writers_that_never_pause_do_not_keep_a_build_from_its_end(void **state)
{
    (void)state;
    if (hwt_on_fdb()) skip();
    hwt_db d;
    hw_error err;
    crowd w = {0};
    pthread_t writers[WRITERS];

    hwt_db_open(&d, false);
    w.c = hwt_collection(d.db, "points",
                         "{\"dim\": 2, \"metric\": \"l2\", \"index\": {\"flat_below\": 1000000}}");
    for (size_t i = 0; i < WRITERS; i++) pthread_create(&writers[i], NULL, write_all_the_time, &w);
    uint64_t count = 0;
    while (count == 0) hwt_ok(hw_collection_count(w.c, NULL, 0, &count, &err), &err);
    hwt_ok(hw_collection_build(w.c, count_rounds, &w, &err), &err);
    assert_true(atomic_load(&w.rounds) > 0);
    atomic_store(&w.done, true);
    for (size_t i = 0; i < WRITERS; i++) pthread_join(writers[i], NULL);
    assert_int_equal(atomic_load(&w.failed), HW_OK);
    hwt_db_check(d.db);
    hw_collection_close(w.c);
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_during_a_build_is_in_it),
        cmocka_unit_test(what_is_written_while_it_catches_up_is_in_it),
        cmocka_unit_test(writers_that_never_pause_do_not_keep_a_build_from_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
