/* Calibrations of next to nothing: one vector, fewer than are asked for, none left. They state no recall
 * that is no number, and all there is is found. */
#include "support/hwt_db.h"

#include <stdio.h>
#include <stdlib.h>

enum { DIM = 8, MANY = 2600 };

static const char *const indexes[] = {"hybrid", "kdtree", "lsh"};
static const char *const metrics[] = {"l2", "cosine", "dot", "l1"};

static void
put(hw_collection *c, uint32_t count)
{
    hw_id *ids = malloc(count * sizeof *ids);
    float *v = malloc((size_t)count * DIM * sizeof *v);
    hwi_rng rng;
    hw_error err;

    hwi_rng_init(&rng, count);
    for (uint32_t i = 0; i < count; i++) ids[i] = HW_ID_U64(i);
    for (uint32_t i = 0; i < count * DIM; i++) v[i] = (float)hwi_rng_normal(&rng);
    hwt_ok(hw_collection_upsert(c, ids, v, count, NULL, &err), &err);
    free(ids);
    free(v);
}

static void
expect_found(hw_collection *c, uint32_t count)
{
    static const float v[DIM] = {1, 2, 3};
    hw_query q = HW_QUERY_INIT;
    hw_result *r;
    hw_error err;

    q.vector = v, q.dim = DIM, q.k = 100, q.recall = 0.95;
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    assert_int_equal(hw_result_count(r), HWI_MIN(count, 100u));
    hw_result_free(r);
}

static void
expect_calibrated(hw_collection *c, bool with_efforts)
{
    char *json;
    hw_error err;

    hwt_ok(hw_collection_stats(c, &json, &err), &err);
    assert_non_null(strstr(json, "\"efforts\": ["));
    assert_true((strstr(json, "\"efforts\": []") == NULL) == with_efforts);
    assert_null(strstr(json, "nan"));
    assert_null(strstr(json, ": inf"));
    hw_free(json);
}

static hw_collection *
open_collection(hwt_db *d, const char *index, const char *metric)
{
    char config[128];

    hwt_db_open(d, false);
    snprintf(config, sizeof config,
             "{\"dim\": %d, \"metric\": \"%s\", \"index\": {\"kind\": \"%s\"}}", DIM, metric,
             index);
    return hwt_collection(d->db, "c", config);
}

static void
few_vectors_are_calibrated_and_all_found(void **state)
{
    static const uint32_t counts[] = {1, 2, 5, 101, 300};
    (void)state;

    for (size_t i = 0; i < HWI_COUNT(indexes); i++)
        for (size_t m = 0; m < HWI_COUNT(metrics); m++)
            for (size_t n = 0; n < HWI_COUNT(counts); n++) {
                hwt_db d;
                hw_error err;
                hw_collection *c = open_collection(&d, indexes[i], metrics[m]);
                put(c, counts[n]);
                hwt_ok(hw_collection_build(c, NULL, NULL, &err), &err);
                expect_calibrated(c, true);
                expect_found(c, counts[n]);
                hw_collection_close(c);
                hwt_db_close(&d);
            }
}

static void
of_no_vectors_nothing_is_built(void **state)
{
    (void)state;
    for (size_t i = 0; i < HWI_COUNT(indexes); i++) {
        hwt_db d;
        hw_error err;
        hw_collection *c = open_collection(&d, indexes[i], "l2");
        char *json;
        hwt_ok(hw_collection_build(c, NULL, NULL, &err), &err);
        hwt_ok(hw_collection_stats(c, &json, &err), &err);
        assert_non_null(strstr(json, "\"generation\": 0"));
        hw_free(json);
        put(c, 5);
        expect_found(c, 5);
        hw_collection_close(c);
        hwt_db_close(&d);
    }
}

/* So many changes ask for a new calibration, which has nothing to measure with. */
static void
what_was_emptied_is_calibrated_without_efforts(void **state)
{
    hw_id *ids = malloc(MANY * sizeof *ids);
    (void)state;

    for (uint32_t i = 0; i < MANY; i++) ids[i] = HW_ID_U64(i);
    for (size_t i = 0; i < HWI_COUNT(indexes); i++) {
        hwt_db d;
        uint64_t deleted;
        hw_error err;
        hw_collection *c = open_collection(&d, indexes[i], "l2");
        put(c, MANY);
        expect_calibrated(c, true);
        hwt_ok(hw_collection_delete(c, ids, MANY, &deleted, &err), &err);
        expect_calibrated(c, false);
        expect_found(c, 0);
        put(c, 300);
        expect_found(c, 300);
        hw_collection_close(c);
        hwt_db_close(&d);
    }
    free(ids);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_vectors_are_calibrated_and_all_found),
        cmocka_unit_test(of_no_vectors_nothing_is_built),
        cmocka_unit_test(what_was_emptied_is_calibrated_without_efforts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
