/* What a handle counts, and that the counts are of what was done. */
#include "support/hwt_db.h"

#include <stdlib.h>

static hw_metrics
metrics(hw_db *db)
{
    hw_metrics m = {.size = sizeof m};
    hw_error err;
    hwt_ok(hw_db_metrics(db, &m, &err), &err);
    return m;
}

static void
search(hw_collection *c, const char *filter, bool exact)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r;
    hw_error err;
    q.vector = (float[]){1, 2, 3, 4};
    q.dim = 4;
    q.exact = exact;
    q.filter = filter;
    q.filter_bytes = filter ? strlen(filter) : 0;
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    hw_result_free(r);
}

static void
counters_follow_what_is_done(void **state)
{
    (void)state;
    enum { POINTS = 3000 };
    hwt_db d;
    hw_error err;
    hwi_rng rng;
    uint64_t deleted;
    hw_id *ids = malloc(POINTS * sizeof *ids);
    float *v = malloc(POINTS * 4 * sizeof *v);
    hwi_rng_init(&rng, 5);
    for (size_t i = 0; i < POINTS; i++) ids[i] = HW_ID_U64(i);
    for (size_t i = 0; i < POINTS * 4; i++) v[i] = (float)hwi_rng_normal(&rng);
    hwt_db_open(&d, true);
    hw_collection *c = hwt_collection(d.db, "c", "{\"dim\": 4, \"metric\": \"l2\"}");
    assert_int_equal(0, metrics(d.db).commits);
    hwt_ok(hw_collection_upsert(c, ids, v, POINTS, NULL, &err), &err);
    hwt_ok(hw_collection_delete(c, ids, 10, &deleted, &err), &err);
    hwt_ok(hw_collection_delete(c, ids, 10, &deleted, &err), &err); /* nothing to commit */
    search(c, NULL, false);
    search(c, NULL, true);
    search(c, "{\"must\": [{\"has_id\": [20, 21]}]}", false);
    hw_metrics m = metrics(d.db);
    assert_int_equal(2, m.commits);
    assert_int_equal(POINTS, m.points_written);
    assert_int_equal(10, m.points_deleted);
    assert_true(m.commit_bytes > POINTS * 16);
    assert_int_equal(3, m.searches);
    assert_int_equal(1, m.searches_exact);
    assert_int_equal(1, m.searches_filtered);
    assert_true(m.rows_exact > 0 && m.codes_scanned > 0 && m.ns_filter > 0);
    assert_int_equal(1, m.builds); /* the first generation, beyond 2,000 vectors */
    assert_int_equal(1, m.calibrations);
    assert_true(m.leaves_opened > 0 && m.ns_scan > 0);
    if (!hwt_on_fdb()) assert_true(m.used_bytes > 0 && m.map_bytes > m.used_bytes);
    hwt_ok(hw_collection_upsert(c, ids, v, POINTS / 2, NULL, &err), &err); /* all as it was */
    assert_true(metrics(d.db).points_written == POINTS + POINTS / 2);
    hw_collection_close(c);
    hwt_db_close(&d);
    free(ids);
    free(v);
}

/* Crowding one place splits leaves, emptying it merges them. */
static void
splits_and_merges_are_counted(void **state)
{
    (void)state;
    enum { POINTS = 2500, MORE = 1500 };
    hwt_db d;
    hw_error err;
    hwi_rng rng;
    hwt_db_open(&d, false);
    hwi_rng_init(&rng, 6);
    hw_collection *c = hwt_collection(d.db, "c", "{\"dim\": 4, \"metric\": \"l2\"}");
    for (int part = 0; part < 2; part++) {
        for (uint64_t i = 0; i < (part ? MORE : POINTS); i += 50) {
            hw_id ids[50];
            float v[200];
            for (uint64_t j = 0; j < 50; j++) ids[j] = HW_ID_U64((uint64_t)part * POINTS + i + j);
            for (size_t j = 0; j < 200; j++)
                v[j] = (float)hwi_rng_normal(&rng) * (part ? 0.01f : 1);
            hwt_ok(hw_collection_upsert(c, ids, v, 50, NULL, &err), &err);
        }
    }
    assert_true(metrics(d.db).leaf_splits > 0);
    for (uint64_t i = POINTS; i < POINTS + MORE; i++) {
        hw_id id = HW_ID_U64(i);
        hwt_ok(hw_collection_delete(c, &id, 1, NULL, &err), &err);
    }
    assert_true(metrics(d.db).leaf_merges > 0);
    hw_collection_close(c);
    hwt_db_close(&d);
}

static void
a_shorter_struct_is_filled_as_far_as_it_goes(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    hw_metrics m;
    hwt_db_open(&d, false);
    memset(&m, 0xAA, sizeof m);
    m.size = offsetof(hw_metrics, leaves_opened);
    hwt_ok(hw_db_metrics(d.db, &m, &err), &err);
    assert_int_equal(0, m.searches);
    assert_int_equal(0xAAAAAAAAAAAAAAAAu, m.leaves_opened);
    m.size = 0;
    assert_int_equal(HW_EINVAL, hw_db_metrics(d.db, &m, &err));
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_follow_what_is_done),
        cmocka_unit_test(splits_and_merges_are_counted),
        cmocka_unit_test(a_shorter_struct_is_filled_as_far_as_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
