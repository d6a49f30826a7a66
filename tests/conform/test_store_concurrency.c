/* Readers on many threads beside a writer: each sees one whole commit, whatever happens meanwhile.
 */
#include "support/hwt_store.h"

#include <pthread.h>
#include <stdio.h>

/* The writer moves amounts between accounts; in every commit they add up to the same total, and
 * `serial` is the number of the commit. */
enum { ACCOUNTS = 50, COMMITS = 300, READERS = 4, TOTAL = ACCOUNTS * 1000 };

static hwt_kind kind;

typedef struct bank {
    hwt_store s;
    atomic_bool done;
    atomic_int committed; /* the newest commit that has returned */
    atomic_int failures;
    hw_store_txn *shared; /* one snapshot read by all threads */
} bank;

static int
setup(void **state)
{
    bank *b = test_calloc(1, sizeof *b);
    hwt_store_open_patient(&b->s, kind);
    *state = b;
    return 0;
}

static int
teardown(void **state)
{
    bank *b = *state;
    hwt_store_close(&b->s);
    test_free(b);
    return 0;
}

static void
account_key(hwi_key *k, uint32_t account)
{
    hwi_key_rec(k, 1, account);
}

static void
move_amounts(hw_store_txn *t, hwi_rng *rng)
{
    hw_error err = {0};
    hwi_key k;

    for (int i = 0; i < 20; i++) {
        int64_t amount = (int64_t)hwi_rng_below(rng, 100);
        account_key(&k, (uint32_t)hwi_rng_below(rng, ACCOUNTS));
        hwt_ok(hwi_store_add(t, hwi_key_view(&k), amount, &err), &err);
        account_key(&k, (uint32_t)hwi_rng_below(rng, ACCOUNTS));
        hwt_ok(hwi_store_add(t, hwi_key_view(&k), -amount, &err), &err);
    }
}

static void
open_accounts(bank *b)
{
    hw_store_txn *t = hwt_begin(b->s.store, HW_TXN_WRITE);
    hw_error err = {0};
    hwi_key k;

    for (uint32_t a = 0; a < ACCOUNTS; a++) {
        account_key(&k, a);
        hwt_ok(hwi_store_add(t, hwi_key_view(&k), TOTAL / ACCOUNTS, &err), &err);
    }
    hwt_commit(t);
}

typedef struct sum {
    int64_t total;
    int accounts;
} sum;

static bool
add_up(void *arg, hw_bytes key, hw_bytes value)
{
    sum *s = arg;
    (void)key;
    s->total += (int64_t)hwi_get_u64(value.data);
    s->accounts++;
    return true;
}

/* Not by cmocka's asserts: they belong to the main thread. */
static bool
adds_up(hw_store_txn *t, bool reverse)
{
    hwi_key prefix;
    sum s = {0};

    hwi_key_sub(&prefix, HWI_SUB_REC, 1);
    hwi_key end = hwi_key_range_end(&prefix);
    hw_status st =
        hwi_store_scan(t, hwi_key_view(&prefix), hwi_key_view(&end), reverse, add_up, &s, NULL);
    return st == HW_OK && s.total == TOTAL && s.accounts == ACCOUNTS;
}

static bool
reads_well(bank *b, bool reverse)
{
    hw_store_txn *t;
    int64_t serial = -1;

    int before = atomic_load(&b->committed);
    if (hwi_store_begin(b->s.store, HW_TXN_READ, &t, NULL) != HW_OK) return false;
    bool good = adds_up(t, reverse) &&
                hwi_store_get_i64(t, hwi_bytes_text("serial"), &serial, NULL) == HW_OK &&
                serial >= before && adds_up(t, !reverse);
    hwi_store_abort(t);
    return good;
}

static void *
read_until_done(void *arg)
{
    bank *b = arg;
    int rounds = 0;

    while (!atomic_load(&b->done) || rounds < 10) {
        if (!reads_well(b, rounds % 2)) atomic_fetch_add(&b->failures, 1);
        rounds++;
    }
    return NULL;
}

static void
every_reader_sees_one_whole_commit_and_none_older_than_acknowledged(void **state)
{
    bank *b = *state;
    pthread_t threads[READERS];
    hw_error err = {0};
    hwi_rng rng;

    open_accounts(b);
    hwi_rng_init(&rng, 21);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_done, b), 0);
    for (int i = 1; i <= COMMITS; i++) {
        hw_store_txn *t = hwt_begin(b->s.store, HW_TXN_WRITE);
        move_amounts(t, &rng);
        hwt_ok(hwi_store_add(t, hwi_bytes_text("serial"), 1, &err), &err);
        hwt_commit(t);
        atomic_store(&b->committed, i);
    }
    atomic_store(&b->done, true);
    for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&b->failures), 0);
}

static void *
read_shared(void *arg)
{
    bank *b = arg;
    for (int i = 0; i < 100; i++)
        if (!adds_up(b->shared, i % 2)) atomic_fetch_add(&b->failures, 1);
    return NULL;
}

static void
one_snapshot_is_read_by_many_threads_at_once(void **state)
{
    bank *b = *state;
    pthread_t threads[READERS];
    hwi_rng rng;

    open_accounts(b);
    hwi_rng_init(&rng, 22);
    b->shared = hwt_begin(b->s.store, HW_TXN_READ);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_shared, b), 0);
    for (int i = 0; i < 50; i++) {
        hw_store_txn *t = hwt_begin(b->s.store, HW_TXN_WRITE);
        move_amounts(t, &rng);
        hwt_commit(t);
    }
    for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&b->failures), 0);
    hwi_store_abort(b->shared);
}

static hw_status
add_one(hw_store_txn *t, void *arg, hw_error *err)
{
    (void)arg;
    return hwi_store_add(t, hwi_bytes_text("n"), 1, err);
}

static void *
add_hundred(void *arg)
{
    bank *b = arg;
    for (int i = 0; i < 100; i++)
        if (hwi_store_run(b->s.store, add_one, NULL, NULL) != HW_OK)
            atomic_fetch_add(&b->failures, 1);
    return NULL;
}

static void
writers_on_many_threads_take_turns(void **state)
{
    bank *b = *state;
    pthread_t threads[READERS];
    hw_error err = {0};
    int64_t n;

    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_hundred, b), 0);
    for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&b->failures), 0);
    hw_store_txn *t = hwt_begin(b->s.store, HW_TXN_READ);
    hwt_ok(hwi_store_get_i64(t, hwi_bytes_text("n"), &n, &err), &err);
    assert_int_equal(n, 100 * READERS);
    hwi_store_abort(t);
}

static void *
begin_here(void *arg)
{
    bank *b = arg;
    return hwi_store_begin(b->s.store, HW_TXN_WRITE, &b->shared, NULL) == HW_OK ? b : NULL;
}

static void *
commit_here(void *arg)
{
    bank *b = arg;
    return hwi_store_commit(b->shared, NULL) == HW_OK ? b : NULL;
}

static void
on_another_thread(void *(*body)(void *), bank *b)
{
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, body, b), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, b);
}

static void
a_write_transaction_may_pass_from_thread_to_thread(void **state)
{
    bank *b = *state;
    char key[16];

    for (int i = 0; i < 8; i++) {
        if (i & 1)
            on_another_thread(begin_here, b);
        else
            assert_non_null(begin_here(b));
        snprintf(key, sizeof key, "k%d", i);
        hwt_put(b->shared, key, "1");
        if (i & 2)
            on_another_thread(commit_here, b);
        else if (i & 4)
            hwt_commit(b->shared);
        else
            hwi_store_abort(b->shared);
    }
    hw_store_txn *t = hwt_begin(b->s.store, HW_TXN_READ);
    assert_string_equal(hwt_scan(t, "", "", false), "k2=1 k3=1 k4=1 k5=1 k6=1 k7=1 ");
    hwi_store_abort(t);
}

#define SUITE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SUITE(every_reader_sees_one_whole_commit_and_none_older_than_acknowledged),
        SUITE(one_snapshot_is_read_by_many_threads_at_once),
        SUITE(writers_on_many_threads_take_turns),
        SUITE(a_write_transaction_may_pass_from_thread_to_thread),
    };
    int failed = 0;

    for (HWT_EACH_KIND(kind))
        failed += cmocka_run_group_tests_name(hwt_kind_text(kind), tests, NULL, NULL);
    return failed;
}
