/* Allocation with injected failure, arenas, buffers. */
#include "support/hwt.h"

static void
the_nth_allocation_fails_and_the_next_succeeds(void **state)
{
    (void)state;
    hwi_alloc_fail_at(2);
    void *first = hwi_alloc(8), *second = hwi_alloc(8), *third = hwi_alloc_zero(8);
    assert_int_equal(hwi_alloc_fail_at(0), 3);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    hwi_free(first);
    hwi_free(third);
}

static void
sizes_that_overflow_satisfy_no_allocation(void **state)
{
    (void)state;
    assert_int_equal(hwi_size_mul(3, 4), 12);
    assert_true(hwi_size_mul(SIZE_MAX / 2, 3) == SIZE_MAX);
    assert_null(hwi_alloc(hwi_size_mul(SIZE_MAX / 2, 3)));
    assert_null(hwi_alloc_aligned(SIZE_MAX));
    assert_null(hwi_realloc(NULL, SIZE_MAX));
}

static void
zero_bytes_give_a_pointer_and_aligned_memory_is_aligned(void **state)
{
    (void)state;
    void *p = hwi_alloc(0), *q = hwi_alloc_aligned(0), *r = hwi_alloc_aligned(65);
    assert_non_null(p);
    assert_non_null(q);
    assert_int_equal((uintptr_t)q % 64, 0);
    assert_int_equal((uintptr_t)r % 64, 0);
    hwi_free(p);
    hwi_free(q);
    hwi_free(r);
    hw_free(NULL);
}

/* Fills allocations of many sizes with a pattern of their own and finds all of them intact. */
static void
arena_allocations_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    hwi_arena a = {0};
    hwi_rng rng;
    uint8_t *at[COUNT];
    size_t bytes[COUNT];
    hwi_rng_init(&rng, 11);
    for (size_t i = 0; i < COUNT; i++) {
        bytes[i] = (size_t)hwi_rng_below(&rng, i % 50 == 0 ? 100000 : 200);
        at[i] = hwi_arena_alloc(&a, bytes[i]);
        assert_non_null(at[i]);
        assert_int_equal((uintptr_t)at[i] % 16, 0);
        memset(at[i], (int)(i & 255), bytes[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < bytes[i]; j++) assert_int_equal(at[i][j], i & 255);
    hwi_arena_release(&a);
    assert_null(a.blocks);
}

static void
arena_survives_running_out_of_memory(void **state)
{
    (void)state;
    hwi_arena a = {0};
    hwi_alloc_fail_at(1);
    assert_null(hwi_arena_alloc(&a, 10));
    hwi_alloc_fail_at(0);
    assert_null(hwi_arena_alloc(&a, SIZE_MAX - 3));
    assert_null(hwi_arena_text(&a, "x", SIZE_MAX));
    char *text = hwi_arena_text(&a, "a\0b", 3);
    assert_memory_equal(text, "a\0b", 4);
    assert_string_equal(hwi_arena_text(&a, NULL, 0), "");
    hwi_arena_release(&a);
}

static void
buffer_grows_and_keeps_what_was_added(void **state)
{
    (void)state;
    hwi_buf b = {0};
    hwi_buf_text(&b, "ab");
    hwi_buf_fill(&b, 'c', 200);
    hwi_buf_printf(&b, "%d-%s", 7, "x");
    hwi_buf_add(&b, NULL, 0);
    assert_int_equal(b.size, 205);
    assert_memory_equal(b.data, "abccc", 5);
    assert_memory_equal(b.data + 202, "7-x", 3);
    assert_int_equal(hwi_buf_bytes(&b).size, 205);
    hwi_buf_clear(&b);
    assert_int_equal(b.size, 0);
    hwi_buf_release(&b);
    assert_null(b.data);
}

static void
buffer_remembers_a_failed_append_until_cleared(void **state)
{
    (void)state;
    hwi_buf b = {0};
    hwi_buf_text(&b, "ab");
    assert_false(hwi_buf_reserve(&b, SIZE_MAX - 1));
    assert_true(b.failed);
    hwi_buf_text(&b, "cd");
    assert_int_equal(b.size, 2);
    hwi_buf_clear(&b);
    hwi_alloc_fail_at(1);
    hwi_buf_fill(&b, 0, 1000);
    hwi_alloc_fail_at(0);
    assert_true(b.failed);
    assert_int_equal(b.size, 0);
    hwi_buf_release(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails_and_the_next_succeeds),
        cmocka_unit_test(sizes_that_overflow_satisfy_no_allocation),
        cmocka_unit_test(zero_bytes_give_a_pointer_and_aligned_memory_is_aligned),
        cmocka_unit_test(arena_allocations_are_aligned_and_do_not_overlap),
        cmocka_unit_test(arena_survives_running_out_of_memory),
        cmocka_unit_test(buffer_grows_and_keeps_what_was_added),
        cmocka_unit_test(buffer_remembers_a_failed_append_until_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
