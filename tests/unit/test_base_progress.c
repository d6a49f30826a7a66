/* Progress callbacks: not too often, always at the end, and they can stop the work. */
#include "support/hwt.h"

typedef struct log {
    unsigned calls;
    uint64_t last;
    bool stop;
} log;

static bool
note(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    log *l = arg;
    assert_string_equal(stage, "rows");
    assert_int_equal(total, 1000);
    l->calls++;
    l->last = done;
    return !l->stop;
}

static void
fast_steps_report_the_first_and_the_last_only(void **state)
{
    (void)state;
    log l = {0};
    hwi_progress p = {.fn = note, .arg = &l};
    for (uint64_t i = 1; i <= 1000; i++)
        assert_int_equal(hwi_progress_step(&p, "rows", i, 1000, NULL), HW_OK);
    assert_in_range(l.calls, 2, 10); /* a machine under load may be slow enough for more */
    assert_int_equal(l.last, 1000);
}

static void
returning_false_cancels_the_work(void **state)
{
    (void)state;
    log l = {.stop = true};
    hw_error err;
    hwi_progress p = {.fn = note, .arg = &l};
    assert_int_equal(hwi_progress_step(&p, "rows", 7, 1000, &err), HW_ECANCELED);
    assert_string_equal(err.message, "rows was stopped at 7 of 1000");
}

static void
no_callback_is_no_work(void **state)
{
    (void)state;
    hwi_progress p = {0};
    assert_int_equal(hwi_progress_step(&p, "rows", 1, 1, NULL), HW_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_steps_report_the_first_and_the_last_only),
        cmocka_unit_test(returning_false_cancels_the_work),
        cmocka_unit_test(no_callback_is_no_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
