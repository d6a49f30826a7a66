/* A scripted run against stores that stop at every write, lose power, or run out of memory at every
 * allocation: what was acknowledged is there, what was not is not, and nothing is in between. */
#include "support/hwt_store.h"

#include <stdio.h>

/* The script: batches that put, delete and count. After batch n the store holds exactly what
 * `expect` says for n, so any state between two batches is seen. */
enum { BATCHES = 6 };

static hw_status
batch(hw_store_txn *t, void *arg, hw_error *err)
{
    uint32_t n = *(uint32_t *)arg;
    char key[8], value[8];

    snprintf(value, sizeof value, "%u", n);
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "k%u", n * 2 + i);
        HWI_TRY(hwi_store_put(t, hwi_bytes_text(key), hwi_bytes_text(value), err));
    }
    snprintf(key, sizeof key, "k%u", n);
    HWI_TRY(hwi_store_del(t, hwi_bytes_text(key), err));
    if (n == 5) HWI_TRY(hwi_store_del_range(t, hwi_bytes_text("k2"), hwi_bytes_text("k4"), err));
    return hwi_store_add(t, hwi_bytes_text("n"), 1, err);
}

/* Runs batches from `from` on; returns how many are acknowledged in all. */
static uint32_t
run_script(hw_store *s, uint32_t from, hw_status *st)
{
    *st = HW_OK;
    for (uint32_t n = from; n < BATCHES; n++) {
        *st = hwi_store_run(s, batch, &n, NULL);
        if (*st != HW_OK) return n;
    }
    return BATCHES;
}

static bool
fold(void *arg, hw_bytes key, hw_bytes value)
{
    uint64_t *hash = arg;
    *hash = *hash * 31 + hwi_checksum(key.data, key.size);
    *hash = *hash * 31 + hwi_checksum(value.data, value.size);
    return true;
}

static uint64_t
hash_of(hw_store *s)
{
    const hw_bytes all = {NULL, 0};
    hw_error err = {0};
    uint64_t hash = 0;
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    hwt_ok(hwi_store_scan(t, all, all, false, fold, &hash, &err), &err);
    hwi_store_abort(t);
    return hash;
}

static uint64_t expected[BATCHES + 1];

static int
expect(void **state)
{
    hw_store *s;
    hw_error err = {0};

    (void)state;
    hwt_ok(hwi_store_mem_new(&s, &err), &err);
    for (uint32_t n = 0; n <= BATCHES; n++) {
        expected[n] = hash_of(s);
        if (n < BATCHES) hwt_ok(hwi_store_run(s, batch, &n, &err), &err);
    }
    hwi_store_close(s);
    return 0;
}

/* Opens what is left as if the process had been started again. */
static void
restart(hwt_store *s)
{
    hw_store *inner = hwi_store_fault_unwrap(s->store);
    hw_error err = {0};

    if (s->kind != HWT_FAULT_MEM) {
        hwi_store_close(inner);
        hwt_store_open_inner(s, &inner);
    }
    s->plan = (hwi_fault_plan){0};
    hwt_ok(hwi_store_fault_new(inner, &s->plan, &s->store, &err), &err);
}

static void
stop_everywhere(hwt_kind kind, hwi_fault_action action)
{
    bool fired = true;

    for (uint64_t nth = 1; fired; nth++) {
        hwt_store s;
        hw_status st;
        hwt_store_open(&s, kind);
        s.plan = (hwi_fault_plan){
            .ops = HWI_FAULT_BEGIN | HWI_FAULT_WRITES, .nth = nth, .action = action};
        uint32_t done = run_script(s.store, 0, &st);
        fired = s.plan.fired;
        assert_int_equal(st, fired ? HW_EIO : HW_OK);
        if (fired) assert_int_equal(run_script(s.store, done, &st), done); /* it stays stopped */
        restart(&s);

        uint64_t found = hash_of(s.store);
        bool committed = fired && action == HWI_FAULT_STOP_AFTER && found == expected[done + 1];
        assert_true(found == expected[done] || committed);
        assert_int_equal(run_script(s.store, done + committed, &st), BATCHES);
        assert_true(hash_of(s.store) == expected[BATCHES]);
        hwt_store_close(&s);
    }
}

static void
a_stop_at_any_write_leaves_whole_transactions(void **state)
{
    (void)state;
    for (hwt_kind HWT_EACH_KIND(kind)) {
        if (!hwt_kind_is_faulty(kind)) continue;
        stop_everywhere(kind, HWI_FAULT_STOP);
        stop_everywhere(kind, HWI_FAULT_STOP_AFTER);
    }
}

static void
a_power_cut_forgets_the_unsynced_commits_and_no_other(void **state)
{
    (void)state;
    for (hwt_kind HWT_EACH_KIND(kind)) {
        if (!hwt_kind_is_faulty(kind)) continue;
        for (uint64_t nth = 1; nth <= BATCHES; nth++) {
            hwt_store s;
            hw_status st;
            hw_error err = {0};
            hwt_store_open(&s, kind);
            s.plan =
                (hwi_fault_plan){.ops = HWI_FAULT_COMMIT, .nth = nth, .action = HWI_FAULT_LOSE};
            assert_int_equal(run_script(s.store, 0, &st), BATCHES);
            assert_true(hash_of(s.store) == expected[BATCHES]);
            hwt_ok(hwi_store_fault_power_cut(s.store, &err), &err);
            assert_true(hash_of(s.store) == expected[nth - 1]);
            hwt_store_close(&s);
        }
    }
}

static void
a_single_failure_is_returned_as_planned_and_passes(void **state)
{
    hwt_store s;
    hw_error err = {0};
    hw_bytes value;

    (void)state;
    hwt_store_open(&s, HWT_FAULT_MEM);
    hwt_put_now(s.store, "a", "1");
    s.plan = (hwi_fault_plan){
        .ops = HWI_FAULT_GET, .nth = 2, .action = HWI_FAULT_FAIL, .status = HW_ECORRUPT};
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_READ);
    assert_int_equal(hwi_store_get(t, hwi_bytes_text("a"), &value, &err), HW_OK);
    assert_int_equal(hwi_store_get(t, hwi_bytes_text("a"), &value, &err), HW_ECORRUPT);
    assert_string_equal(err.message, "injected fault at call 2");
    assert_int_equal(hwi_store_get(t, hwi_bytes_text("a"), &value, &err), HW_OK);
    assert_true(s.plan.fired);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

/* The nth allocation of the run fails, for every n until none does. */
static void
no_memory_at_any_allocation_leaves_whole_transactions(void **state)
{
    (void)state;
    for (hwt_kind HWT_EACH_KIND(kind)) {
        hw_status st = HW_ENOMEM;
        for (uint64_t nth = 1; st != HW_OK; nth++) {
            hwt_store s;
            hwt_store_open(&s, kind);
            hwi_alloc_fail_at(nth);
            uint32_t done = run_script(s.store, 0, &st);
            hwi_alloc_fail_at(0);
            assert_true(st == HW_OK || st == HW_ENOMEM);
            assert_true(hash_of(s.store) == expected[done]);
            hw_status rest;
            assert_int_equal(run_script(s.store, done, &rest), BATCHES);
            assert_true(hash_of(s.store) == expected[BATCHES]);
            hwt_store_close(&s);
        }
    }
}

static void
opening_without_memory_fails_cleanly(void **state)
{
    hwt_place place;
    hw_status st = HW_ENOMEM;
    hw_store *s;

    (void)state;
    hwt_place_new(&place);
    for (uint64_t nth = 1; st != HW_OK; nth++) {
        hwi_alloc_fail_at(nth);
        st = hwi_store_open(place.name, NULL, &s, NULL);
        hwi_alloc_fail_at(0);
        assert_true(st == HW_OK || (st == HW_ENOMEM && s == NULL));
    }
    hwi_store_close(s);
    hwt_place_remove(&place);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_at_any_write_leaves_whole_transactions),
        cmocka_unit_test(a_power_cut_forgets_the_unsynced_commits_and_no_other),
        cmocka_unit_test(a_single_failure_is_returned_as_planned_and_passes),
        cmocka_unit_test(no_memory_at_any_allocation_leaves_whole_transactions),
        cmocka_unit_test(opening_without_memory_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, expect, NULL);
}
