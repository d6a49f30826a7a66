/* What the stand-in does that no cluster does on demand: faults by seed, and a clock that a test moves. */
#include "fdb_short.h"

/* ---- what only the stand-in can do: faults and a clock that a test moves */

static int
plan_setup(void **state)
{
    if (!fdb->is_real) return setup(state);
    return 0;
}

static void
plan(const char *text)
{
    if (fdb->is_real) skip();
    assert_true(fdb->fdb_standin_plan(7, text));
}

static void
plans_that_are_not_understood_are_refused(void **state)
{
    (void)state;
    plan("");
    for (const char *const *text = (const char *const[]){"conflict", "=1", "what=1", "old=x",
                                                         "old=1;slow=1", "old=-1", NULL};
         *text; text++)
        assert_false(fdb->fdb_standin_plan(1, *text));
    assert_true(fdb->fdb_standin_plan(1, "old=.5,slow_us=100"));
    plan("");
}

static void
five_seconds_are_too_old(void **state)
{
    (void)state;
    plan("");
    set_now("a", "1");
    FDBTransaction *t = begin(), *blind = begin();
    assert_string_equal(get(t, "a"), "1");
    set(t, "w", "1");
    peek(blind, "a");
    set(blind, "b", "1");
    fdb->fdb_standin_advance(4900);
    assert_string_equal(get(t, "a"), "1");
    fdb->fdb_standin_advance(200);
    assert_string_equal(get(t, "a"), "!1007");
    assert_int_equal(commit(t), 1007);
    assert_int_equal(end_of(fdb->fdb_transaction_on_error(t, 1007)), 0);
    assert_string_equal(get(t, "a"), "1");
    fdb->fdb_transaction_destroy(t);
    commit_now(blind); /* no read conflict can have been missed */
}

/* Waits for commits that were given up, which end late; all other futures must be destroyed. */
static void
wait_for_given_up(void)
{
    fdb_standin_counts counts = {.futures = 1};

    for (int i = 0; i < 6000 && counts.futures > 0; i++) {
        if (i > 0) usleep(10000);
        fdb->fdb_standin_count(&counts);
    }
    assert_int_equal(counts.futures, 0);
}

/* How many of 200 commits of "n" += 1 ended with the error, and how many of those happened. */
static int
commits_that_end_with(int error, int *happened)
{
    int ended = 0, acknowledged = 0, n = 0;

    for (int i = 0; i < 200; i++) {
        FDBTransaction *t = begin();
        atomic(t, "n", "\1\0", 2, FDB_MUTATION_ADD);
        int got = commit(t);
        assert_true(got == 0 || got == error);
        ended += got == error;
        acknowledged += got == 0;
        fdb->fdb_transaction_destroy(t);
    }
    wait_for_given_up();
    FDBTransaction *t = begin();
    FDBFuture *f = ask(t, "n", false);
    const uint8_t *value;
    int present, size;
    assert_int_equal(wait_for(f), 0);
    assert_int_equal(fdb->fdb_future_get_value(f, &present, &value, &size), 0);
    if (present) n = value[0] | value[1] << 8;
    fdb->fdb_future_destroy(f);
    fdb->fdb_transaction_destroy(t);
    *happened = n - acknowledged;
    return ended;
}

static void
unknown_results_go_both_ways(void **state)
{
    int happened;
    (void)state;

    plan("unknown=.3");
    int ended = commits_that_end_with(1021, &happened);
    assert_in_range(ended, 30, 90);
    assert_in_range(happened, ended / 4, ended * 3 / 4);
}

static void
timeouts_go_three_ways(void **state)
{
    int happened;
    (void)state;

    plan("timeout=.3");
    int ended = commits_that_end_with(1031, &happened);
    assert_in_range(ended, 30, 90);
    assert_in_range(happened, ended / 3, ended * 9 / 10);
}

static void
injected_conflicts_write_nothing(void **state)
{
    int happened;
    (void)state;

    plan("conflict=.3");
    assert_in_range(commits_that_end_with(1020, &happened), 30, 90);
    assert_int_equal(happened, 0);
}

static void
the_same_seed_brings_the_same_faults(void **state)
{
    char first[2][301];
    (void)state;

    for (int run = 0; run < 2; run++) {
        plan("conflict=.1,unknown=.1,old=.1,behind=.1,slow=.5,slow_us=50");
        for (int i = 0; i < 100; i++) {
            FDBTransaction *t = begin();
            set(t, "a", "1");
            first[run][3 * i] = get(t, "b")[0];
            first[run][3 * i + 1] = peek(t, "a")[0];
            first[run][3 * i + 2] = (char)('a' + commit(t) % 26);
            fdb->fdb_transaction_destroy(t);
        }
        first[run][300] = 0;
    }
    assert_string_equal(first[0], first[1]);
    assert_non_null(strchr(first[0], '!'));
}

static void
answers_overtake_each_other_and_all_come(void **state)
{
    FDBFuture *futures[100];
    int overtaken_count = 0;
    (void)state;

    set_now("a", "1");
    plan("slow=1,slow_us=20000");
    FDBTransaction *t = begin();
    for (int i = 0; i < 100; i++) futures[i] = ask(t, "a", false);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(fdb->fdb_future_block_until_ready(futures[i]), 0);
        if (i + 1 < 100) overtaken_count += fdb->fdb_future_is_ready(futures[i + 1]);
    }
    for (int i = 0; i < 100; i++) assert_string_equal(text_of(futures[i]), "1");
    assert_true(overtaken_count > 10);
    fdb->fdb_transaction_destroy(t);
}

static void
only_a_timeout_ends_the_wait_for_a_lost_answer(void **state)
{
    int64_t ms = 50;
    (void)state;

    plan("lost=1");
    FDBTransaction *t = begin();
    assert_int_equal(
        fdb->fdb_transaction_set_option(t, FDB_OPTION_TIMEOUT, (const uint8_t *)&ms, 8), 0);
    uint64_t from = hwi_clock_us();
    assert_string_equal(get(t, "a"), "!1031");
    assert_true(hwi_clock_us() - from >= 40000);
    fdb->fdb_transaction_destroy(t);
}

static void
short_ranges_say_that_there_is_more(void **state)
{
    int count;
    (void)state;

    fill(20, "1");
    plan("short=1");
    FDBTransaction *t = begin();
    range_ask r = {.from = "", .to = "\xff", .mode = FDB_MODE_WANT_ALL};
    const char *text = list_of(ask_range(t, r), &count);
    assert_int_equal(count, 1);
    assert_string_equal(text, "k0000=1 +");
    fdb->fdb_transaction_destroy(t);
}

static void
wait_in_callback(FDBFuture *f, void *arg)
{
    (void)f;
    while (!__atomic_load_n((bool *)arg, __ATOMIC_SEQ_CST)) usleep(100);
}

/* Keeps the network thread busy until *go_on is set. */
static FDBFuture *
hold_the_network(bool *go_on)
{
    full_key k = key_of("hold");
    FDBTransaction *t = begin();
    FDBFuture *held = fdb->fdb_transaction_watch(t, k.data, k.size);

    commit_now(t);
    assert_int_equal(fdb->fdb_future_set_callback(held, wait_in_callback, go_on), 0);
    set_now("hold", "1");
    return held;
}

static void
commits_that_wait_together_share_a_version(void **state)
{
    FDBTransaction *t[8];
    FDBFuture *f[8];
    int64_t version[8];
    bool go_on = false;
    (void)state;

    plan("batch=1");
    for (int i = 0; i < 8; i++) {
        t[i] = begin();
        set(t[i], (char[]){(char)('a' + i), 0}, "1");
    }
    get(t[7], "a"); /* which the first writes */
    FDBFuture *held = hold_the_network(&go_on);
    for (int i = 0; i < 8; i++) f[i] = fdb->fdb_transaction_commit(t[i]);
    __atomic_store_n(&go_on, true, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(end_of(f[i]), 0);
        assert_int_equal(fdb->fdb_transaction_get_committed_version(t[i], &version[i]), 0);
        assert_int_equal(version[i], version[0]);
    }
    assert_int_equal(end_of(f[7]), 1020);
    fdb->fdb_future_destroy(held);
    for (int i = 0; i < 8; i++) fdb->fdb_transaction_destroy(t[i]);
    t[0] = begin();
    assert_string_equal(list(t[0], "", "z"), "a=1 b=1 c=1 d=1 e=1 f=1 g=1 hold=1 ");
    fdb->fdb_transaction_destroy(t[0]);
}

static void
nothing_is_left_behind(void **state)
{
    fdb_standin_counts counts;
    (void)state;

    plan("");
    wait_for_given_up();
    fdb->fdb_standin_count(&counts);
    assert_int_equal(counts.transactions, 0);
    assert_int_equal(counts.databases, 1);
}

#define FAULT(name) cmocka_unit_test_setup(name, plan_setup)

int
main(void)
{
    const struct CMUnitTest faults[] = {
        FAULT(plans_that_are_not_understood_are_refused),
        FAULT(five_seconds_are_too_old),
        FAULT(unknown_results_go_both_ways),
        FAULT(timeouts_go_three_ways),
        FAULT(injected_conflicts_write_nothing),
        FAULT(the_same_seed_brings_the_same_faults),
        FAULT(answers_overtake_each_other_and_all_come),
        FAULT(only_a_timeout_ends_the_wait_for_a_lost_answer),
        FAULT(short_ranges_say_that_there_is_more),
        FAULT(commits_that_wait_together_share_a_version),
        FAULT(nothing_is_left_behind),
    };
    fdb = hwt_fdb_start();
    int failed = cmocka_run_group_tests(faults, NULL, NULL);
    hwt_fdb_stop();
    return failed;
}
