/* The bounded list against sorting everything, in both its forms. */
#include "support/hwt.h"

#include <math.h>
#include <stdlib.h>

#include "index/top.h"

enum { OFFERED = 2000 };

static int
by_distance_then_tag(const void *a, const void *b)
{
    const hwi_top_entry *x = a, *y = b;

    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

static bool
smaller_tag(void *arg, uint32_t a, uint32_t b)
{
    (*(uint64_t *)arg)++;
    return a < b;
}

/* Distances from a small set, so that many are equal. */
static void
offer(hwi_top *t, hwi_top_entry *all, uint64_t seed, uint32_t kinds)
{
    hwi_rng rng;

    hwi_rng_init(&rng, seed);
    for (uint32_t i = 0; i < OFFERED; i++) {
        all[i] = (hwi_top_entry){(float)hwi_rng_below(&rng, kinds), (i * 7919) % OFFERED};
        hwi_top_add(t, all[i].distance, all[i].tag);
    }
    qsort(all, OFFERED, sizeof *all, by_distance_then_tag);
}

/* Sorted up to HWI_TOP_SORTED, a heap above: both keep the smallest, ties by the callback. */
static void
list_keeps_the_smallest_and_orders_ties_by_the_callback(void **state)
{
    static const uint32_t capacities[] = {
        1, 2, 47, HWI_TOP_SORTED, HWI_TOP_SORTED + 1, 300, 1999, OFFERED, 3000};
    static const uint32_t kinds[] = {1, 5, 1000000};
    static hwi_top_entry all[OFFERED], entries[3000];
    (void)state;

    for (size_t c = 0; c < HWI_COUNT(capacities); c++)
        for (size_t k = 0; k < HWI_COUNT(kinds); k++) {
            hwi_top t;
            uint64_t asked = 0;
            hwi_top_init(&t, entries, capacities[c]);
            t.before = smaller_tag, t.arg = &asked;
            assert_true(t.worst == INFINITY);
            offer(&t, all, c * 10 + k, kinds[k]);
            uint32_t expected = HWI_MIN(capacities[c], (uint32_t)OFFERED);
            assert_int_equal(t.count, expected);
            if (t.count == t.capacity)
                assert_true(t.worst == all[expected - 1].distance);
            else
                assert_true(t.worst == INFINITY);
            hwi_top_sort(&t);
            for (uint32_t i = 0; i < expected; i++) {
                assert_true(t.entries[i].distance == all[i].distance);
                assert_int_equal(t.entries[i].tag, all[i].tag);
            }
        }
}

static void
without_a_callback_first_come_stays(void **state)
{
    hwi_top_entry entries[3];
    hwi_top t;
    (void)state;

    hwi_top_init(&t, entries, 3);
    for (uint32_t i = 0; i < 10; i++) hwi_top_add(&t, 1, i);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(t.entries[i].tag, i);
    hwi_top_add(&t, 0.5f, 77);
    assert_int_equal(t.entries[0].tag, 77);
    assert_int_equal(t.entries[2].tag, 1);
}

static void
callback_is_asked_about_equal_distances_only(void **state)
{
    hwi_top_entry entries[400];
    hwi_top t;
    uint64_t asked = 0;
    (void)state;

    hwi_top_init(&t, entries, 400);
    t.before = smaller_tag, t.arg = &asked;
    for (uint32_t i = 0; i < 1000; i++) hwi_top_add(&t, (float)((i * 7919) % 1000), i);
    hwi_top_sort(&t);
    assert_int_equal(asked, 0);
}

static void
empty_list_takes_nothing(void **state)
{
    hwi_top t;
    (void)state;

    hwi_top_init(&t, NULL, 0);
    hwi_top_add(&t, 1, 1);
    hwi_top_sort(&t);
    assert_int_equal(t.count, 0);
}

static void
bound_is_the_nth_smallest_once_there_are_n(void **state)
{
    static hwi_top_entry entries[HWI_TOP_SORTED + 1];
    const uint32_t last = HWI_TOP_SORTED;
    hwi_top t;
    (void)state;

    hwi_top_init(&t, entries, 20);
    for (uint32_t i = 0; i < 10; i++) hwi_top_add(&t, (float)(9 - i), i);
    assert_true(hwi_top_bound(&t, 10) == 9);
    assert_true(hwi_top_bound(&t, 3) == 2);
    assert_true(hwi_top_bound(&t, 11) == INFINITY);
    hwi_top_init(&t, entries,
                 last + 1); /* a heap knows its worst alone: no bound is below the truth */
    for (uint32_t i = 0; i < last; i++) hwi_top_add(&t, (float)i, i);
    assert_true(hwi_top_bound(&t, 10) == INFINITY);
    hwi_top_add(&t, (float)last, last);
    assert_true(hwi_top_bound(&t, 10) == (float)last);
}

static void
select_moves_the_smallest_to_the_front(void **state)
{
    static hwi_top_entry e[1500], sorted[1500];
    hwi_rng rng;
    (void)state;

    hwi_rng_init(&rng, 3);
    for (uint32_t round = 0; round < 300; round++) {
        size_t count = 1 + hwi_rng_below(&rng, 1500), n = 1 + hwi_rng_below(&rng, count);
        uint64_t kinds = 1 + hwi_rng_below(&rng, round % 3 ? 2000 : 3);
        for (uint32_t i = 0; i < count; i++)
            e[i] = (hwi_top_entry){(float)hwi_rng_below(&rng, kinds), i};
        memcpy(sorted, e, count * sizeof *e);
        qsort(sorted, count, sizeof *e, by_distance_then_tag);
        hwi_top_select(e, count, n);
        float border = sorted[n - 1].distance;
        assert_true(e[n - 1].distance == border);
        for (size_t i = 0; i < count; i++)
            assert_true(i < n ? e[i].distance <= border : e[i].distance >= border);
        qsort(e, count, sizeof *e, by_distance_then_tag); /* nothing lost, nothing doubled */
        assert_memory_equal(e, sorted, count * sizeof *e);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_keeps_the_smallest_and_orders_ties_by_the_callback),
        cmocka_unit_test(without_a_callback_first_come_stays),
        cmocka_unit_test(callback_is_asked_about_equal_distances_only),
        cmocka_unit_test(empty_list_takes_nothing),
        cmocka_unit_test(bound_is_the_nth_smallest_once_there_are_n),
        cmocka_unit_test(select_moves_the_smallest_to_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
