/* test_leaf_filter.c - filters as searches of leaves see them: plain bits, matching rows, places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index/lsh/lsh_filter.h"

#define BELOW 300000u

/* Every shape of Roaring container: arrays, bitmaps, runs, chunks that are absent or full. */
static roaring_bitmap_t *
some_slots(hwi_rng *rng, uint32_t shape)
{
    roaring_bitmap_t *b = roaring_bitmap_create();

    for (uint32_t chunk = 0; chunk < 5; chunk++) {
        uint32_t kind = (uint32_t)hwi_rng_below(rng, shape), first = chunk << 16;
        uint32_t count = kind == 1 ? 100 : kind == 2 ? 30000 : 0;
        for (uint32_t i = 0; i < count; i++)
            roaring_bitmap_add(b, first + (uint32_t)hwi_rng_below(rng, 65536));
        uint32_t from = first + (uint32_t)hwi_rng_below(rng, 30000);
        if (kind == 3) roaring_bitmap_add_range(b, from, from + 1 + hwi_rng_below(rng, 35000));
        if (kind == 4) roaring_bitmap_add_range(b, first, first + 65536);
    }
    if (hwi_rng_below(rng, 2)) roaring_bitmap_run_optimize(b);
    return b;
}

/* Slot by slot, those beyond the last included. */
static void
plain_bits_hold_what_the_bitmap_holds(void **state)
{
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 3);
    for (uint32_t round = 0; round < 24; round++) {
        roaring_bitmap_t *b = some_slots(&rng, 2 + round % 4);
        uint32_t below;
        uint64_t *bits = hwi_accept_bits(b, BELOW, &below);
        assert_non_null(bits);
        assert_true(below >= BELOW && below % 64 == 0);
        assert_int_equal(bits[below / 64], 0);
        for (uint32_t slot = 0; slot < BELOW; slot++)
            assert_int_equal(bits[slot / 64] >> (slot % 64) & 1, roaring_bitmap_contains(b, slot));
        hwi_free(bits);
        roaring_bitmap_free(b);
    }
}

static void
rows_of_a_leaf_are_counted_and_kept(void **state)
{
    static const uint32_t slots[] = {7, 70, 700, 7000, UINT32_MAX};
    hwi_leaf_ref leaf = {.page = {.slots = slots, .count = HWI_COUNT(slots)}};
    _Atomic(hwi_leaf_ref *) leaves[] = {&leaf};
    hwi_index_view view = {.leaves = leaves};
    hwi_leaf_rows own;
    const hwi_leaf_rows *rows;
    roaring_bitmap_t *b = roaring_bitmap_of(3, 7u, 700u, 9000u);
    hwi_accept accept = {.may = b};
    uint32_t row[] = {0, 1, 2, 4};
    float bound[] = {1, 2, 3, 4};
    hwi_leaf_filter f;
    hw_error err;

    (void)state;
    assert_int_equal(hwi_leaf_filter_init(&f, &accept, 9500, &err), HW_OK);
    assert_int_equal(hwi_leaf_filter_open(&f, &view, 0, &own, &rows, &err), HW_OK);
    assert_int_equal(rows->count, 2);
    assert_int_equal(hwi_leaf_filter_keep(&f, rows, row, bound, 4), 2);
    assert_int_equal(row[1], 2);
    assert_true(bound[1] == 3);
    hwi_leaf_filter_release(&f);
    assert_int_equal(hwi_leaf_filter_init(&f, NULL, 9500, &err), HW_OK);
    assert_int_equal(hwi_leaf_filter_open(&f, &view, 0, &own, &rows, &err), HW_OK);
    assert_int_equal(rows->count, 5);
    hwi_leaf_filter_release(&f);
    roaring_bitmap_free(b);
}

static void
places_count_leaves_by_their_matching_rows(void **state)
{
    hwi_leaf_filter f = {0};

    (void)state;
    assert_true(hwi_leaf_filter_place(&f, 0) == 0);
    for (int i = 0; i < 4; i++) hwi_leaf_filter_pass(&f, 50), hwi_leaf_filter_pass(&f, 0);
    float place = hwi_leaf_filter_place(&f, 8);
    assert_true(place > 4 && place < 4.1f);
    hwi_leaf_filter_pass(&f, 10000);
    assert_true(hwi_leaf_filter_place(&f, 9) < 1.1f);
}

/* Where a hundredth matches, most leaves have none, one or two. */
static void
leaves_that_chance_fills_count_in_full(void **state)
{
    hwi_leaf_filter f = {0};
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 3);
    for (uint32_t leaf = 1; leaf <= 2000; leaf++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < 120; i++) n += hwi_rng_below(&rng, 100) == 0;
        hwi_leaf_filter_pass(&f, n);
        float place = hwi_leaf_filter_place(&f, leaf);
        assert_true(place <= (float)leaf);
        if (leaf > 200) assert_true(place > 0.85f * (float)leaf);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bits_hold_what_the_bitmap_holds),
        cmocka_unit_test(rows_of_a_leaf_are_counted_and_kept),
        cmocka_unit_test(places_count_leaves_by_their_matching_rows),
        cmocka_unit_test(leaves_that_chance_fills_count_in_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
