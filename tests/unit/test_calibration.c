/* Efforts looked up: never less for more recall or a larger k, and whatever bytes are stored. */
#include "support/hwt_store.h"

#include <math.h>

#include "index/calibrate.h"

enum { LEAVES = 2000, LEAF_SIZE = 200 };

static hwi_calibration *
sample(void)
{
    static const hwi_calibration_row rows[] = {
        {10, {1, 2, 0.6f, 0.50f, 0}},    {10, {4, 4, 1.2f, 0.80f, 0}},
        {10, {20, 4, 1.5f, 0.95f, 0}},   {10, {100, 10, 2.8f, 0.99f, 0}},
        {100, {3, 5, 0.6f, 0.50f, 0}},   {100, {12, 15, 1.2f, 0.80f, 0}},
        {100, {50, 40, 1.8f, 0.95f, 0}}, {100, {220, 100, 3.6f, 0.99f, 0}}};
    hwi_calibration *c;
    hw_error err;

    hwt_ok(hwi_calibration_new(HWI_COUNT(rows), &c, &err), &err);
    c->vectors = 400000, c->leaves = LEAVES, c->samples = 384;
    memcpy(c->rows, rows, sizeof rows);
    c->count = HWI_COUNT(rows);
    return c;
}

static hwi_effort
pick(const hwi_calibration *c, uint32_t k, double recall)
{
    hwi_effort e = hwi_calibration_pick(c, k, recall, LEAVES, LEAF_SIZE);

    assert_in_range(e.leaves, 1, LEAVES);
    assert_true(isfinite(e.eps) && isfinite(e.recall));
    return e;
}

static void
effort_grows_with_recall_and_with_k(void **state)
{
    static const uint32_t ks[] = {1, 5, 10, 11, 30, 99, 100, 101, 500, 1000, 10000, 1000000};
    hwi_calibration *cases[] = {sample(), NULL};
    (void)state;

    for (size_t c = 0; c < HWI_COUNT(cases); c++) {
        uint32_t last_k[100] = {0};
        for (size_t k = 0; k < HWI_COUNT(ks); k++) {
            uint32_t last = 0;
            for (uint32_t percent = 1; percent < 100; percent++) {
                uint32_t leaves = pick(cases[c], ks[k], percent / 100.0).leaves;
                assert_true(leaves >= last);
                assert_true(leaves >= last_k[percent]);
                last = last_k[percent] = leaves;
            }
        }
    }
    hwi_calibration_unref(cases[0]);
}

static void
beyond_what_was_looked_at_all_leaves_are_opened(void **state)
{
    hwi_calibration *c = sample();
    (void)state;

    assert_true(pick(c, 1000, 0.95).leaves < LEAVES); /* 50 leaves hold 10,000 rows */
    for (uint32_t i = 0; i < c->count; i++) c->rows[i].effort.leaves = 3;
    assert_int_equal(pick(c, 100, 0.95).leaves, 3);
    assert_int_equal(pick(c, 1000, 0.95).leaves, LEAVES);
    hwi_calibration_unref(c);
}

/* 100 lie within a cluster, 1,000 do not. */
static void
a_step_into_other_clusters_is_taken_as_measured(void **state)
{
    hwi_calibration *c;
    hw_error err;
    (void)state;

    hwt_ok(hwi_calibration_new(3, &c, &err), &err);
    c->leaves = LEAVES, c->count = 3;
    c->rows[0] = (hwi_calibration_row){10, {2, 3, 1.2f, 0.95f, 2}};
    c->rows[1] = (hwi_calibration_row){100, {3, 12, 1.2f, 0.95f, 3}};
    c->rows[2] = (hwi_calibration_row){1000, {600, 120, 1.6f, 0.95f, 3000}};
    double asked = (double)0.95f;
    assert_int_equal(pick(c, 1000, asked).leaves, 600);
    hwi_effort between = pick(c, 316, asked), beyond = pick(c, 2000, asked);
    assert_int_equal(between.leaves, 147); /* nobody knows where the step is */
    assert_in_range((uint32_t)between.reach, 720, 725);
    assert_int_equal(between.extra, 38);
    assert_int_equal(beyond.leaves, 1200); /* it is taken once */
    assert_in_range((uint32_t)beyond.reach, 5999, 6000);
    hwi_calibration_unref(c);
}

static void
measured_settings_come_back(void **state)
{
    hwi_calibration *c = sample();
    (void)state;

    assert_int_equal(pick(c, 10, (double)0.95f).leaves, 20);
    assert_int_equal(pick(c, 10, (double)0.95f).extra, 4);
    assert_int_equal(pick(c, 100, (double)0.80f).leaves, 12);
    assert_int_equal(pick(c, 10, 0.30).leaves, 1);
    uint32_t between = pick(c, 10, 0.97).leaves;
    assert_in_range(between, 21, 99);
    between = pick(c, 30, 0.95).leaves;
    assert_in_range(between, 21, 49);
    assert_in_range(pick(c, 1000, 0.95).leaves, 51, LEAVES);
    hwi_calibration_unref(c);
}

static void
recall_that_nothing_reached_opens_all_leaves(void **state)
{
    hwi_calibration *c = sample();
    (void)state;

    assert_int_equal(pick(c, 10, 0.9999).leaves, LEAVES);
    assert_true(pick(c, 10, 0.9999).recall < 0.9999); /* and does not claim it */
    hwi_calibration_unref(c);
}

static void
there_are_never_more_leaves_than_there_are(void **state)
{
    hwi_calibration *c = sample();
    (void)state;

    for (uint32_t leaves = 1; leaves < 300; leaves += 7)
        assert_in_range(hwi_calibration_pick(c, 1000, 0.99, leaves, LEAF_SIZE).leaves, 1, leaves);
    assert_true(hwi_calibration_pick(c, 10, 0.95, 4 * LEAVES, LEAF_SIZE).leaves >= 20);
    hwi_calibration_unref(c);
}

static void
stored_form_comes_back_and_damage_never_hurts(void **state)
{
    hwi_calibration *c = sample(), *other;
    hwi_buf b = {0};
    hw_error err;
    (void)state;

    hwi_calibration_encode(c, &b);
    hwt_ok(hwi_calibration_decode(hwi_buf_bytes(&b), &other, &err), &err);
    assert_int_equal(other->count, c->count);
    assert_memory_equal(other->rows, c->rows, c->count * sizeof *c->rows);
    assert_true(other->vectors == c->vectors && other->leaves == c->leaves);
    hwi_calibration_unref(other);
    for (size_t size = 0; size < b.size; size++)
        assert_int_equal(hwi_calibration_decode((hw_bytes){b.data, size}, &other, &err),
                         HW_ECORRUPT);
    hwi_rng rng;
    hwi_rng_init(&rng, 1);
    for (uint32_t round = 0; round < 20000; round++) { /* refused, or answers within bounds */
        size_t at = hwi_rng_below(&rng, b.size);
        uint8_t was = b.data[at];
        b.data[at] = (uint8_t)hwi_rng_next(&rng);
        if (hwi_calibration_decode(hwi_buf_bytes(&b), &other, &err) == HW_OK) {
            hwi_effort e = hwi_calibration_pick(other, 1 + (uint32_t)hwi_rng_below(&rng, 5000),
                                                hwi_rng_unit(&rng), LEAVES, LEAF_SIZE);
            assert_true(e.leaves <= LEAVES);
            assert_true(e.extra <= 100000u * 5000u);
            hwi_calibration_unref(other);
        }
        if (round % 4) b.data[at] = was; /* damage piles up */
        if (round % 400 == 0) hwi_buf_clear(&b), hwi_calibration_encode(c, &b);
    }
    hwi_buf_release(&b);
    hwi_calibration_unref(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effort_grows_with_recall_and_with_k),
        cmocka_unit_test(beyond_what_was_looked_at_all_leaves_are_opened),
        cmocka_unit_test(a_step_into_other_clusters_is_taken_as_measured),
        cmocka_unit_test(measured_settings_come_back),
        cmocka_unit_test(recall_that_nothing_reached_opens_all_leaves),
        cmocka_unit_test(there_are_never_more_leaves_than_there_are),
        cmocka_unit_test(stored_form_comes_back_and_damage_never_hurts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
