/* The nth allocation of a scripted run fails: a clean status, a sound database that holds the
 * acknowledged steps, and the failed step works afterwards.
 *
 * Failures are tried at every early allocation and then ever more sparsely, up to the last. */
#include "support/hwt_script.h"

#include <stdlib.h>

static hw_db *
open_memory(hw_error *err)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_db *db;
    opts.threads = 1;
    return hw_db_open("mem:", &opts, &db, err) == HW_OK ? db : NULL;
}

/* Returns how many allocations the run made. */
static uint64_t
fail_nth(uint64_t nth)
{
    hw_error err = {0};
    hw_status st = HW_ENOMEM;
    hwi_alloc_fail_at(nth);
    hw_db *db = open_memory(&err);
    int steps = db ? hwt_run(db, &st, &err) : 0;
    uint64_t made = hwi_alloc_fail_at(0);
    if (db && steps < HWT_STEPS && st != HW_ENOMEM) {
        fail_msg("allocation %llu, step %d: %s", (unsigned long long)nth, steps, err.message);
    }
    if (!db) return made;
    hwt_check_after(db, steps);
    if (steps < HWT_STEPS) {
        st = hwt_step(db, steps, &err);
        /* create and drop may have come so far that the step is done */
        if (st != HW_OK && st != HW_EEXIST && st != HW_ENOTFOUND) fail_msg("%s", err.message);
        hwt_check_after(db, steps);
    }
    hw_db_close(db);
    return made;
}

static void
any_failed_allocation_is_survived(void **state)
{
    (void)state;
    hwt_expected(0); /* made while memory is plenty */
    uint64_t total = fail_nth(UINT64_MAX), tried = 0;
    for (uint64_t nth = 1; nth <= total + 1; nth += 1 + nth / 60) {
        fail_nth(nth);
        tried++;
    }
    print_message("  %llu allocations, %llu failures tried\n", (unsigned long long)total,
                  (unsigned long long)tried);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_failed_allocation_is_survived)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
