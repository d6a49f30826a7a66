/* test_any_k.c - the recall asked for is got for k = 1, where one answer is right or wrong, and for
 * k = 100, where rows that look alike by their codes have to be told apart. One cloud without groups,
 * compared with the exact answer; fixed seed.
 */
#include "support/hwt_db.h"

#include <stdio.h>

#define DIM 48u
#define POINTS 12000u
#define BATCH 1000u

/* Near a plane of twelve directions. */
static void
in_cloud(hwi_rng *rng, float *out)
{
    for (uint32_t j = 0; j < DIM; j++) out[j] = (float)hwi_rng_normal(rng) * (j < 12 ? 1.0f : 0.2f);
}

typedef struct world {
    hw_db *db;
    hw_collection *c;
    hwi_rng rng;
} world;

static int
open_world(void **state)
{
    static world w;
    static float rows[BATCH][DIM];
    hw_id ids[BATCH];
    char config[64];
    hw_error err;

    *state = &w;
    hwi_rng_init(&w.rng, 8);
    hwt_ok(hw_db_open("mem:", NULL, &w.db, &err), &err);
    snprintf(config, sizeof config, "{\"dim\": %u, \"metric\": \"l2\"}", DIM);
    w.c = hwt_collection(w.db, "c", config);
    for (uint32_t first = 0; first < POINTS; first += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            in_cloud(&w.rng, rows[i]);
            ids[i] = HW_ID_U64(first + i);
        }
        hwt_ok(hw_collection_upsert(w.c, ids, rows[0], BATCH, NULL, &err), &err);
    }
    hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err);
    return 0;
}

static int
close_world(void **state)
{
    world *w = *state;

    hw_collection_close(w->c);
    hw_db_close(w->db);
    return 0;
}

/* Answers no farther than the last of the exact answer. */
static uint32_t
found(world *w, uint32_t k, double recall)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r, *truth;
    float v[DIM];
    uint32_t n = 0;
    hw_error err;

    in_cloud(&w->rng, v);
    q.vector = v, q.dim = DIM, q.k = k, q.recall = recall;
    hwt_ok(hw_collection_search(w->c, &q, &r, &err), &err);
    q.exact = true;
    hwt_ok(hw_collection_search(w->c, &q, &truth, &err), &err);
    assert_int_equal(hw_result_count(r), k);
    for (uint32_t i = 0; i < k; i++) n += hw_result_scores(r)[i] <= hw_result_scores(truth)[k - 1];
    hw_result_free(r);
    hw_result_free(truth);
    return n;
}

static void
expect(world *w, uint32_t k, double asked, uint32_t queries, double slack)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < queries; i++) n += found(w, k, asked);
    double got = (double)n / ((double)queries * k);
    print_message("         k %u: asked %.2f, got %.4f\n", k, asked, got);
    if (got < asked - slack || got > asked + 0.02 + slack) fail();
}

static void
the_nearest_alone_is_found_as_often_as_asked(void **state)
{
    expect(*state, 1, 0.90, 1500, 0.015);
    expect(*state, 1, 0.95, 1500, 0.012);
}

static void
a_hundred_are_found_as_asked(void **state)
{
    expect(*state, 100, 0.90, 100, 0.008);
    expect(*state, 100, 0.98, 100, 0.006);
    expect(*state, 100, 0.99, 100, 0.005);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_alone_is_found_as_often_as_asked),
        cmocka_unit_test(a_hundred_are_found_as_asked),
    };

    return cmocka_run_group_tests(tests, open_world, close_world);
}
