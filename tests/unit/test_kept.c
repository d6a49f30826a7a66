/* test_kept.c - filters kept with a view: found by their text, bounded in number and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "query/kept.h"

/* A filter of this text that lets `slots` slots through; a reference. */
static hwi_kept *
kept_of(const char *text, uint32_t slots, uint32_t below)
{
    hwi_filter_resolved r = {.may = roaring_bitmap_from_range(0, slots, 1),
                             .sure = roaring_bitmap_create()};
    hwi_kept *k;
    hw_error err;

    assert_int_equal(hwi_kept_new(text, strlen(text), &r, below, &k, &err), HW_OK);
    assert_null(r.may);
    return k;
}

static void
add(hwi_keeper *keeper, const char *text, uint32_t slots, uint32_t below)
{
    hwi_kept *k = kept_of(text, slots, below);

    hwi_keeper_add(keeper, k);
    hwi_kept_unref(k);
}

static bool
has(hwi_keeper *keeper, const char *text)
{
    hwi_kept *k = hwi_keeper_find(keeper, text, strlen(text));
    bool found = k != NULL;

    hwi_kept_unref(k);
    return found;
}

static void
a_filter_is_found_by_its_whole_text(void **state)
{
    hwi_keeper *keeper;
    hw_error err;

    (void)state;
    assert_null(hwi_keeper_find(NULL, "a", 1));
    assert_int_equal(hwi_keeper_new(&keeper, &err), HW_OK);
    add(keeper, "{\"a\": 1}", 10, 100);
    assert_true(has(keeper, "{\"a\": 1}"));
    assert_false(has(keeper, "{\"a\": 2}"));
    assert_false(has(keeper, "{\"a\": 1"));
    hwi_keeper_free(keeper);
}

/* One that is still asked for stays; one that somebody holds lives on. */
static void
the_one_asked_for_longest_ago_goes_first(void **state)
{
    hwi_keeper *keeper;
    char text[16];
    hw_error err;

    (void)state;
    assert_int_equal(hwi_keeper_new(&keeper, &err), HW_OK);
    add(keeper, "often", 600, 1000);
    add(keeper, "once", 600, 1000);
    hwi_kept *held = hwi_keeper_find(keeper, "once", 4);
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "%d", i);
        add(keeper, text, 600, 1000);
        assert_true(has(keeper, "often"));
    }
    assert_false(has(keeper, "once"));
    assert_int_equal(roaring_bitmap_get_cardinality(held->resolved.may), 600);
    hwi_kept_unref(held);
    hwi_keeper_free(keeper);
}

/* Bits of 320 million slots are 40 MB: two of them do not fit, one of 800 million does not at all. */
static void
memory_has_a_bound(void **state)
{
    hwi_keeper *keeper;
    hw_error err;

    (void)state;
    assert_int_equal(hwi_keeper_new(&keeper, &err), HW_OK);
    add(keeper, "first", 1000, 320000000);
    add(keeper, "second", 1000, 320000000);
    assert_false(has(keeper, "first"));
    add(keeper, "huge", 1000, 800000000);
    assert_false(has(keeper, "huge"));
    assert_true(has(keeper, "second"));
    hwi_keeper_free(keeper);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_is_found_by_its_whole_text),
        cmocka_unit_test(the_one_asked_for_longest_ago_goes_first),
        cmocka_unit_test(memory_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
