/* The parallel loop; stripes. */
#include "support/hwt.h"

enum { COUNT = 10000 };

static void
count_visit(void *arg, size_t i)
{
    unsigned *visits = arg;
    visits[i]++; /* plain: each index belongs to one thread, and the loop's end orders them */
}

static void
every_index_is_visited_once_on_any_number_of_threads(void **state)
{
    (void)state;
    static const uint32_t threads[] = {0, 1, 2, 7, 5000};
    for (size_t t = 0; t < HWI_COUNT(threads); t++) {
        unsigned *visits = hwi_alloc_zero(COUNT * sizeof *visits);
        assert_non_null(visits);
        hwi_parallel_for(threads[t], COUNT, count_visit, visits);
        for (size_t i = 0; i < COUNT; i++) assert_int_equal(visits[i], 1);
        hwi_free(visits);
    }
}

static void
note_order(void *arg, size_t i)
{
    size_t *next = arg;
    if (*next == i) ++*next;
}

static void
one_thread_takes_indices_in_order_and_zero_items_call_nothing(void **state)
{
    (void)state;
    size_t next = 0;
    hwi_parallel_for(1, COUNT, note_order, &next);
    assert_int_equal(next, COUNT);
    hwi_parallel_for(4, 0, NULL, NULL);
    assert_true(hwi_processors() >= 1);
}

static void
allocate_some(void *arg, size_t i)
{
    (void)arg;
    hwi_free(hwi_alloc(i));
}

static void
counting_allocations_is_safe_from_many_threads(void **state)
{
    (void)state;
    hwi_alloc_fail_at(UINT64_MAX);
    hwi_parallel_for(4, COUNT, allocate_some, NULL);
    assert_int_equal(hwi_alloc_fail_at(0), COUNT);
}

typedef struct tally {
    HWI_STRIPE_ALIGN atomic_uint visits;
} tally;

static void
count_in_stripe(void *arg, size_t i)
{
    tally *stripes = arg;
    (void)i;
    atomic_fetch_add_explicit(&stripes[hwi_stripe()].visits, 1, memory_order_relaxed);
}

static void
stripes_add_up_whatever_the_number_of_threads(void **state)
{
    (void)state;
    uint32_t count = hwi_stripe_count(), sum = 0;
    assert_true(count >= 2 && count <= 64 && (count & (count - 1)) == 0);
    tally *stripes = hwi_stripes_new(sizeof *stripes);
    assert_non_null(stripes);
    assert_int_equal((uintptr_t)stripes % 64, 0);
    for (uint32_t threads = 1; threads <= 200; threads += 199)
        hwi_parallel_for(threads, COUNT, count_in_stripe, stripes);
    for (uint32_t i = 0; i < count; i++) sum += atomic_load(&stripes[i].visits);
    assert_int_equal(sum, 2 * COUNT);
    hwi_free(stripes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_visited_once_on_any_number_of_threads),
        cmocka_unit_test(one_thread_takes_indices_in_order_and_zero_items_call_nothing),
        cmocka_unit_test(counting_allocations_is_safe_from_many_threads),
        cmocka_unit_test(stripes_add_up_whatever_the_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
