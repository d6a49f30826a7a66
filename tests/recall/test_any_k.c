/* test_any_k.c - the recall asked for is got for k = 1, where one answer is right or wrong, for k = 100,
 * where rows that look alike by their codes have to be told apart, and for k up to 1000, more than a
 * group has. Compared with the exact answer; fixed seed.
 */
#include "support/hwt_db.h"

#include <stdio.h>

#define DIM 48u
#define POINTS 12000u
#define GROUPED 40000u
#define GROUPS 100u
#define BATCH 1000u

/* Near a plane of twelve directions. */
static void
in_cloud(hwi_rng *rng, float *out)
{
    for (uint32_t j = 0; j < DIM; j++) out[j] = (float)hwi_rng_normal(rng) * (j < 12 ? 1.0f : 0.2f);
}

/* In one of the groups. */
static void
in_group(hwi_rng *rng, float *out)
{
    hwi_rng middle;

    hwi_rng_init(&middle, 50 + hwi_rng_below(rng, GROUPS));
    for (uint32_t j = 0; j < DIM; j++)
        out[j] = (float)(hwi_rng_normal(&middle) + 0.3 * hwi_rng_normal(rng) * (j < 12));
}

typedef struct world {
    hw_db *db;
    hw_collection *c;
    void (*draw)(hwi_rng *rng, float *out);
    hwi_rng rng;
} world;

static int
open_world(void **state, uint32_t points, void (*draw)(hwi_rng *rng, float *out))
{
    static world w;
    static float rows[BATCH][DIM];
    hw_id ids[BATCH];
    char config[64];
    hw_error err;

    *state = &w;
    w.draw = draw;
    hwi_rng_init(&w.rng, 8);
    hwt_ok(hw_db_open("mem:", NULL, &w.db, &err), &err);
    snprintf(config, sizeof config, "{\"dim\": %u, \"metric\": \"l2\"}", DIM);
    w.c = hwt_collection(w.db, "c", config);
    for (uint32_t first = 0; first < points; first += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            draw(&w.rng, rows[i]);
            ids[i] = HW_ID_U64(first + i);
        }
        hwt_ok(hw_collection_upsert(w.c, ids, rows[0], BATCH, NULL, &err), &err);
    }
    hwt_ok(hw_collection_build(w.c, NULL, NULL, &err), &err);
    return 0;
}

static int
open_cloud(void **state)
{
    return open_world(state, POINTS, in_cloud);
}

static int
open_groups(void **state)
{
    return open_world(state, GROUPED, in_group);
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

    w->draw(&w->rng, v);
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

static void
more_than_a_group_has_are_found_as_asked(void **state)
{
    expect(*state, 500, 0.90, 30, 0.03);
    expect(*state, 1000, 0.90, 30, 0.02);
    expect(*state, 1000, 0.98, 30, 0.01);
}

int
main(void)
{
    const struct CMUnitTest cloud[] = {
        cmocka_unit_test(the_nearest_alone_is_found_as_often_as_asked),
        cmocka_unit_test(a_hundred_are_found_as_asked),
    };
    const struct CMUnitTest groups[] = {
        cmocka_unit_test(more_than_a_group_has_are_found_as_asked),
    };

    return cmocka_run_group_tests(cloud, open_cloud, close_world) +
           cmocka_run_group_tests(groups, open_groups, close_world);
}
