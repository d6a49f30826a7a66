/* The store stops at every write of a scripted run: each time the database reopens, is sound, and
 * holds exactly the steps that were acknowledged, or one more when the stop came after its commit.
 *
 * With HASHWOOD_TEST_ALL every write is a stop; else an even sample of them. */
#include "support/hwt_script.h"

#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 120 };

static hw_db_opts
fast(void)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    opts.no_sync = true;
    opts.map_bytes = (uint64_t)1 << 30;
    opts.threads = 1; /* the same writes every time */
    return opts;
}

static hw_db *
open_faulty(const char *folder, hwi_fault_plan *plan)
{
    hw_store *inner, *fault;
    hw_db *db;
    hw_error err;
    hw_db_opts opts = fast();
    hwt_ok(hwi_store_open(folder, &opts, &inner, &err), &err);
    hwt_ok(hwi_store_meta_check(inner, true, NULL, &err), &err);
    hwt_ok(hwi_store_fault_new(inner, plan, &fault, &err), &err);
    hwt_ok(hwi_db_over_store(fault, &opts, &db, &err), &err);
    return db;
}

/* Runs the script with a fault at its nth write, reopens and compares. Returns whether it fired. */
static bool
stop_at(uint64_t nth, hwi_fault_action action, uint64_t *writes)
{
    hwt_place place;
    hwi_fault_plan plan = {
        .ops = HWI_FAULT_WRITES, .nth = nth, .action = action, .status = HW_ENOSPC};
    hw_error err = {0};
    hw_status st;
    hw_db *db;
    hw_db_opts opts = fast();
    hwt_place_new(&place);
    db = open_faulty(place.name, &plan);
    int steps = hwt_run(db, &st, &err);
    if (plan.fired && action != HWI_FAULT_FAIL && steps < HWT_STEPS) assert_int_equal(HW_EIO, st);
    if (writes) *writes = plan.seen;
    if (action == HWI_FAULT_FAIL) {
        hwt_check_after(db, steps); /* the same process goes on */
        if (steps < HWT_STEPS) {
            st = hwt_step(db, steps, &err);
            if (st != HW_OK && st != HW_EEXIST && st != HW_ENOTFOUND) fail_msg("%s", err.message);
        }
    }
    hw_db_close(db);
    if (action != HWI_FAULT_FAIL) {
        hwt_ok(hw_db_open(place.name, &opts, &db, &err), &err);
        hwt_check_after(db, steps);
        hw_db_close(db);
    }
    hwt_place_remove(&place);
    return plan.fired;
}

static void
stop_everywhere(hwi_fault_action action)
{
    uint64_t writes;
    assert_false(stop_at(UINT64_MAX, action, &writes));
    assert_true(writes > 100);
    uint64_t stride = getenv("HASHWOOD_TEST_ALL") ? 1 : writes / SAMPLES + 1;
    print_message("  %llu writes, every %llu\n", (unsigned long long)writes,
                  (unsigned long long)stride);
    for (uint64_t nth = 1 + writes % stride; nth <= writes; nth += stride) {
        assert_true(stop_at(nth, action, NULL));
    }
}

static void
a_stop_before_any_write_loses_nothing(void **state)
{
    (void)state;
    stop_everywhere(HWI_FAULT_STOP);
}

static void
a_stop_after_any_write_loses_nothing(void **state)
{
    (void)state;
    stop_everywhere(HWI_FAULT_STOP_AFTER);
}

static void
a_full_disk_at_any_write_leaves_the_database_usable(void **state)
{
    (void)state;
    stop_everywhere(HWI_FAULT_FAIL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_before_any_write_loses_nothing),
        cmocka_unit_test(a_stop_after_any_write_loses_nothing),
        cmocka_unit_test(a_full_disk_at_any_write_leaves_the_database_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
