/* test_filtered.c - recall where a filter cuts across likeness: points of one group asked for from
 * the middle of another. Compared with the exact answer; fixed seed.
 */
#include "support/hwt_db.h"

#include <stdio.h>

#define GROUPS 12u
#define PER_GROUP 600u
#define POINTS (GROUPS * PER_GROUP)
#define DIM 24u
#define QUERIES 48u
#define BATCH 600u

static void
near_group(hwi_rng *rng, const float *centres, uint32_t group, float *out)
{
    for (uint32_t j = 0; j < DIM; j++)
        out[j] = centres[group * DIM + j] + (float)hwi_rng_normal(rng);
}

static void
fill(hw_collection *c, hwi_rng *rng, const float *centres)
{
    static float rows[BATCH][DIM];
    static char text[BATCH][32];
    const char *payloads[BATCH];
    hw_id ids[BATCH];
    hw_error err;

    for (uint32_t first = 0; first < POINTS; first += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            uint32_t group = (first + i) % GROUPS;
            near_group(rng, centres, group, rows[i]);
            snprintf(text[i], sizeof text[i], "{\"group\": %u}", group);
            payloads[i] = text[i], ids[i] = HW_ID_U64(first + i);
        }
        hwt_ok(hw_collection_upsert(c, ids, rows[0], BATCH, payloads, &err), &err);
    }
    hwt_ok(hw_collection_build(c, NULL, NULL, &err), &err);
}

/* True neighbours among the ten found, by id. */
static uint32_t
found_of_ten(hw_collection *c, const float *vector, const char *filter)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *truth, *r;
    uint32_t same = 0;
    hw_error err;

    q.vector = vector, q.dim = DIM;
    q.filter = filter, q.filter_bytes = strlen(filter);
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    q.exact = true;
    hwt_ok(hw_collection_search(c, &q, &truth, &err), &err);
    assert_int_equal(hw_result_count(r), 10);
    assert_int_equal(hw_result_count(truth), 10);
    for (int i = 0; i < 10; i++)
        for (int j = 0; j < 10; j++)
            same += hw_id_compare(&hw_result_ids(r)[i], &hw_result_ids(truth)[j]) == 0;
    hw_result_free(r);
    hw_result_free(truth);
    return same;
}

/* ---- matches on the far side of a cut ---- */

#define CLOUD 15000u
#define CLOUD_QUERIES 100u

/* A point of one cloud without groups, long in its first component. */
static void
in_cloud(hwi_rng *rng, float *out)
{
    for (uint32_t j = 0; j < DIM; j++) out[j] = (float)hwi_rng_normal(rng);
    out[0] *= 4;
}

/* Payloads say on which side of a plane a point lies. */
static void
fill_cloud(hw_collection *c, hwi_rng *rng)
{
    static float rows[BATCH][DIM];
    static char text[BATCH][32];
    const char *payloads[BATCH];
    hw_id ids[BATCH];
    hw_error err;

    for (uint32_t first = 0; first < CLOUD; first += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            in_cloud(rng, rows[i]);
            snprintf(text[i], sizeof text[i], "{\"side\": %.4f}", (double)rows[i][0]);
            payloads[i] = text[i], ids[i] = HW_ID_U64(first + i);
        }
        hwt_ok(hw_collection_upsert(c, ids, rows[0], BATCH, payloads, &err), &err);
    }
    hwt_ok(hw_collection_build(c, NULL, NULL, &err), &err);
}

/* Mean recall@10 of queries from the near half for points beyond `cut`. */
static double
recall_beyond(hw_collection *c, hwi_rng *rng, double cut)
{
    uint32_t same = 0;
    char filter[96];

    snprintf(filter, sizeof filter, "{\"must\": {\"key\": \"side\", \"range\": {\"gt\": %g}}}",
             cut);
    for (uint32_t i = 0; i < CLOUD_QUERIES;) {
        float v[DIM];
        in_cloud(rng, v);
        if (v[0] > 0) continue;
        same += found_of_ten(c, v, filter);
        i++;
    }
    return same / (10.0 * CLOUD_QUERIES);
}

/* Mean recall@10 when a query near group g asks for group g + step; `indexed`: of the payload. */
static double
recall_across(uint32_t step, const char *indexes)
{
    static float centres[GROUPS * DIM];
    uint32_t same = 0;
    char config[200], filter[96];
    hw_collection *c;
    hwi_rng rng;
    hw_error err;
    hw_db *db;

    hwi_rng_init(&rng, 11);
    for (uint32_t i = 0; i < GROUPS * DIM; i++) centres[i] = 0.8f * (float)hwi_rng_normal(&rng);
    hwt_ok(hw_db_open("mem:", NULL, &db, &err), &err);
    snprintf(config, sizeof config,
             "{\"dim\": %u, \"metric\": \"l2\", \"index\": {\"leaf_size\": 16}%s}", DIM, indexes);
    c = hwt_collection(db, "c", config);
    fill(c, &rng, centres);
    for (uint32_t i = 0; i < QUERIES; i++) {
        float v[DIM];
        near_group(&rng, centres, i % GROUPS, v);
        snprintf(filter, sizeof filter,
                 "{\"must\": {\"key\": \"group\", \"match\": {\"value\": %u}}}",
                 (i + step) % GROUPS);
        same += found_of_ten(c, v, filter);
    }
    hw_collection_close(c);
    hw_db_close(db);
    return same / (10.0 * QUERIES);
}

static void
a_filter_along_likeness_keeps_recall(void **state)
{
    (void)state;
    double recall = recall_across(0, ", \"payload_indexes\": {\"group\": \"integer\"}");
    if (recall < 0.93) fail_msg("recall %.3f", recall);
}

static void
a_filter_across_likeness_keeps_recall(void **state)
{
    (void)state;
    double recall = recall_across(5, ", \"payload_indexes\": {\"group\": \"integer\"}");
    if (recall < 0.93) fail_msg("recall %.3f", recall);
}

static void
a_filter_without_an_index_keeps_recall(void **state)
{
    (void)state;
    double recall = recall_across(5, "");
    if (recall < 0.93) fail_msg("recall %.3f", recall);
}

static void
a_filter_that_starts_far_away_keeps_recall(void **state)
{
    hw_collection *c;
    hwi_rng rng;
    hw_error err;
    hw_db *db;

    (void)state;
    hwi_rng_init(&rng, 5);
    hwt_ok(hw_db_open("mem:", NULL, &db, &err), &err);
    c = hwt_collection(db, "c",
                       "{\"dim\": 24, \"metric\": \"l2\", \"index\": {\"leaf_size\": 64}, "
                       "\"payload_indexes\": {\"side\": \"float\"}}");
    fill_cloud(c, &rng);
    for (double cut = 0; cut < 5; cut += 2) {
        double recall = recall_beyond(c, &rng, cut);
        if (recall < 0.945) fail_msg("beyond %g: recall %.3f", cut, recall);
    }
    hw_collection_close(c);
    hw_db_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_along_likeness_keeps_recall),
        cmocka_unit_test(a_filter_across_likeness_keeps_recall),
        cmocka_unit_test(a_filter_without_an_index_keeps_recall),
        cmocka_unit_test(a_filter_that_starts_far_away_keeps_recall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
