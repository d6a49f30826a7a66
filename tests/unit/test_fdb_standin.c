/* The rules of FoundationDB that the stand-in keeps. With HASHWOOD_TEST_STORE=fdb the same rules
 * are asked of the real library, which proves that the stand-in tells the truth. */
#include "fdb_short.h"

/* ---- reading and writing */

static void
what_is_committed_is_read_and_own_writes_are_seen(void **state)
{
    FDBTransaction *t = begin();
    (void)state;

    set(t, "a", "1");
    set(t, "b", "2");
    assert_string_equal(get(t, "a"), "1");
    assert_string_equal(get(t, "c"), "-");
    clear(t, "b", "c");
    assert_string_equal(get(t, "b"), "-");
    set(t, "bb", "3");
    assert_string_equal(list(t, "", "z"), "a=1 bb=3 ");
    commit_now(t);

    t = begin();
    assert_string_equal(list(t, "", "z"), "a=1 bb=3 ");
    set(t, "b", "9");
    clear(t, "bb", "c");
    assert_string_equal(list(t, "", "z"), "a=1 b=9 ");
    assert_string_equal(list_of(ask_range(t, (range_ask){"", "z", 0, 0, -2, 0, true, false}), NULL),
                        "b=9 a=1 ");
    fdb->fdb_transaction_destroy(t);
    t = begin();
    assert_string_equal(list(t, "", "z"), "a=1 bb=3 ");
    fdb->fdb_transaction_destroy(t);
}

static void
a_transaction_reads_one_version(void **state)
{
    (void)state;
    set_now("a", "1");
    FDBTransaction *old = begin();
    assert_string_equal(get(old, "x"), "-");
    set_now("a", "2");
    set_now("b", "2");
    assert_string_equal(get(old, "a"), "1");
    assert_string_equal(list(old, "", "z"), "a=1 ");
    fdb->fdb_transaction_destroy(old);
}

/* ---- conflicts */

/* What the first of two transactions gets when it reads as `how` says and writes "w", while the
 * second commits a write of `written` in between. */
static int
overtaken(void (*how)(FDBTransaction *t), const char *written)
{
    FDBTransaction *t = begin();

    how(t);
    set(t, "w", "1");
    set_now(written, "2");
    int error = commit(t);
    fdb->fdb_transaction_destroy(t);
    return error;
}

static void
reads_a(FDBTransaction *t)
{
    get(t, "a");
}

static void
peeks_a(FDBTransaction *t)
{
    peek(t, "a");
}

static void
reads_c_to_f(FDBTransaction *t)
{
    list(t, "c", "f");
}

static void
reads_no_key(FDBTransaction *t)
{
    FDBFuture *f = fdb->fdb_transaction_get_read_version(t);
    assert_int_equal(end_of(f), 0);
}

static void
reads_its_own_a(FDBTransaction *t)
{
    reads_no_key(t);
    set(t, "a", "own");
    assert_string_equal(get(t, "a"), "own");
}

static void
reads_a_that_it_cleared(FDBTransaction *t)
{
    reads_no_key(t);
    clear(t, "a", "c");
    assert_string_equal(list(t, "a", "c"), "");
}

static void
names_a_by_hand(FDBTransaction *t)
{
    full_key from = key_of("a"), to = key_of("b");
    reads_no_key(t);
    assert_int_equal(fdb->fdb_transaction_add_conflict_range(t, from.data, from.size, to.data,
                                                             to.size, FDB_CONFLICT_READ),
                     0);
}

static void
reads_a_that_it_adds_to(FDBTransaction *t)
{
    atomic(t, "a", "\1\0\0\0\0\0\0\0", 8, FDB_MUTATION_ADD);
    get(t, "a");
}

static void
a_write_of_what_was_read_conflicts(void **state)
{
    (void)state;
    assert_int_equal(overtaken(reads_a, "a"), 1020);
    assert_int_equal(overtaken(reads_c_to_f, "c"), 1020);
    assert_int_equal(overtaken(reads_c_to_f, "e"), 1020);
    assert_int_equal(overtaken(names_a_by_hand, "a"), 1020);
    assert_int_equal(overtaken(names_a_by_hand, "aa"), 1020);
    assert_int_equal(overtaken(reads_a_that_it_adds_to, "a"), 1020);
}

static void
writes_elsewhere_do_not_conflict(void **state)
{
    (void)state;
    assert_int_equal(overtaken(reads_a, "b"), 0);
    assert_int_equal(overtaken(reads_a, "w"), 0); /* blind */
    assert_int_equal(overtaken(reads_no_key, "w"), 0);
    assert_int_equal(overtaken(peeks_a, "a"), 0);
    assert_int_equal(overtaken(reads_c_to_f, "f"), 0);
    assert_int_equal(overtaken(reads_c_to_f, "b"), 0);
    assert_int_equal(overtaken(names_a_by_hand, "b"), 0);
    assert_int_equal(overtaken(reads_its_own_a, "a"), 0);
    assert_int_equal(overtaken(reads_a_that_it_cleared, "a"), 0);
}

static void
reads_two_of_c_to_f(FDBTransaction *t)
{
    int count;
    list_of(ask_range(t, (range_ask){"c", "f", 2, 0, FDB_MODE_EXACT, 0, false, false}), &count);
    assert_int_equal(count, 2);
}

static void
a_range_read_conflicts_as_far_as_it_was_read(void **state)
{
    (void)state;
    for (const char *k = "cde"; *k; k++) set_now((char[]){*k, 0}, "1");
    assert_int_equal(overtaken(reads_two_of_c_to_f, "d"), 1020);
    assert_int_equal(overtaken(reads_two_of_c_to_f, "e"), 0);
}

static void
a_transaction_without_writes_never_conflicts(void **state)
{
    (void)state;
    FDBTransaction *t = begin();
    get(t, "a");
    set_now("a", "2");
    int64_t version = 0;
    assert_int_equal(commit(t), 0);
    assert_int_equal(fdb->fdb_transaction_get_committed_version(t, &version), 0);
    assert_int_equal(version, -1);
    fdb->fdb_transaction_destroy(t);
}

static void
a_write_conflict_range_by_hand_ends_others(void **state)
{
    full_key from = key_of("a"), to = key_of("b");
    (void)state;
    FDBTransaction *t = begin(), *other = begin();
    get(t, "a");
    set(t, "w", "1");
    assert_int_equal(fdb->fdb_transaction_add_conflict_range(other, from.data, from.size, to.data,
                                                             to.size, FDB_CONFLICT_WRITE),
                     0);
    commit_now(other);
    assert_int_equal(commit(t), 1020);
    fdb->fdb_transaction_destroy(t);
}

/* ---- atomic operations and versionstamps */

static void
counters_add_up_without_conflict(void **state)
{
    (void)state;
    FDBTransaction *t = begin(), *other = begin();
    reads_no_key(t);
    atomic(t, "n", "AB", 2, FDB_MUTATION_ADD);
    atomic(other, "n", "\1\1", 2, FDB_MUTATION_ADD);
    commit_now(other);
    commit_now(t);
    t = begin();
    assert_string_equal(get(t, "n"), "BC");
    atomic(t, "n", "\1\1\1\1", 4, FDB_MUTATION_ADD); /* as long as the operand */
    set(t, "m", "x");
    atomic(t, "m", "\1", 1, FDB_MUTATION_ADD);
    assert_string_equal(get(t, "n"), "CD\1\1");
    assert_string_equal(get(t, "m"), "y");
    fdb->fdb_transaction_destroy(t);
}

static void
atomic_operations_make_what_they_are_named_for(void **state)
{
    (void)state;
    set_now("a", "abc");
    FDBTransaction *t = begin();
    atomic(t, "a", "abd", 3, FDB_MUTATION_BYTE_MIN);
    assert_string_equal(get(t, "a"), "abc");
    atomic(t, "a", "abd", 3, FDB_MUTATION_BYTE_MAX);
    assert_string_equal(get(t, "a"), "abd");
    atomic(t, "a", "x", 1, FDB_MUTATION_APPEND);
    assert_string_equal(get(t, "a"), "abdx");
    atomic(t, "a", "other", 5, FDB_MUTATION_COMPARE_AND_CLEAR);
    assert_string_equal(get(t, "a"), "abdx");
    atomic(t, "a", "abdx", 4, FDB_MUTATION_COMPARE_AND_CLEAR);
    assert_string_equal(get(t, "a"), "-");
    atomic(t, "a", "b", 1, FDB_MUTATION_MAX);
    atomic(t, "a", "a", 1, FDB_MUTATION_MAX);
    assert_string_equal(get(t, "a"), "b");
    atomic(t, "a", "a", 1, FDB_MUTATION_MIN);
    assert_string_equal(get(t, "a"), "a");
    commit_now(t);
    t = begin();
    assert_string_equal(get(t, "a"), "a");
    fdb->fdb_transaction_destroy(t);
}

/* Commits "s" + stamp = value and "v" = stamp. */
static void
commit_stamps(const char *value, int64_t *version, uint8_t stamp[10])
{
    FDBTransaction *t = begin();
    full_key k = key_of("s"), v = key_of("v");
    uint8_t param[14] = {0};
    const uint8_t *bytes;
    int size;

    memset(k.data + k.size, 0, 10);
    hwi_put_u32(k.data + k.size + 10, (uint32_t)k.size);
    fdb->fdb_transaction_atomic_op(t, k.data, k.size + 14, (const uint8_t *)value,
                                   (int)strlen(value), FDB_MUTATION_STAMPED_KEY);
    fdb->fdb_transaction_atomic_op(t, v.data, v.size, param, 14, FDB_MUTATION_STAMPED_VALUE);
    FDBFuture *f = fdb->fdb_transaction_get_versionstamp(t);
    assert_int_equal(commit(t), 0);
    assert_int_equal(wait_for(f), 0);
    assert_int_equal(fdb->fdb_future_get_key(f, &bytes, &size), 0);
    assert_int_equal(size, 10);
    memcpy(stamp, bytes, 10);
    fdb->fdb_future_destroy(f);
    assert_int_equal(fdb->fdb_transaction_get_committed_version(t, version), 0);
    fdb->fdb_transaction_destroy(t);
}

static uint64_t
version_in(const uint8_t *stamp)
{
    uint64_t version = 0;
    for (int i = 0; i < 8; i++) version = version << 8 | stamp[i];
    return version;
}

static void
stamps_are_commit_versions_and_ascend(void **state)
{
    uint8_t stamp[3][10], key[64];
    int64_t version, last = 0;
    (void)state;

    for (int i = 0; i < 3; i++) {
        commit_stamps("1", &version, stamp[i]);
        assert_int_equal(version_in(stamp[i]), version);
        assert_true(version > last);
        last = version;
    }
    FDBTransaction *t = begin();
    full_key v = key_of("v"), s = key_of("s");
    FDBFuture *f = fdb->fdb_transaction_get(t, v.data, v.size, 0);
    const uint8_t *bytes;
    int present, size;
    assert_int_equal(wait_for(f), 0);
    assert_int_equal(fdb->fdb_future_get_value(f, &present, &bytes, &size), 0);
    assert_int_equal(size, 10);
    assert_memory_equal(bytes, stamp[2], 10);
    fdb->fdb_future_destroy(f);
    for (int i = 0; i < 3; i++) {
        memcpy(key, s.data, (size_t)s.size);
        memcpy(key + s.size, stamp[i], 10);
        assert_string_equal(text_of(fdb->fdb_transaction_get(t, key, s.size + 10, 0)), "1");
    }
    fdb->fdb_transaction_destroy(t);
}

static void
a_read_version_begun_after_a_commit_is_not_below_it(void **state)
{
    uint8_t stamp[10];
    int64_t version, read = 0;
    (void)state;

    commit_stamps("1", &version, stamp);
    FDBTransaction *t = begin();
    FDBFuture *f = fdb->fdb_transaction_get_read_version(t);
    assert_int_equal(wait_for(f), 0);
    assert_int_equal(fdb->fdb_future_get_int64(f, &read), 0);
    assert_true(read >= version);
    fdb->fdb_future_destroy(f);
    fdb->fdb_transaction_destroy(t);
}

static void
what_will_be_stamped_cannot_be_read(void **state)
{
    uint8_t param[14] = {0};
    (void)state;

    FDBTransaction *t = begin();
    atomic(t, "v", param, 14, FDB_MUTATION_STAMPED_VALUE);
    assert_string_equal(get(t, "v"), "!1036");
    assert_string_equal(peek(t, "v"), "!1036");
    assert_string_equal(list(t, "a", "z"), "!1036");
    assert_string_equal(list(t, "a", "v"), "");
    fdb->fdb_transaction_destroy(t);

    t = begin();
    full_key k = key_of("s");
    memset(k.data + k.size, 0, 10);
    hwi_put_u32(k.data + k.size + 10, (uint32_t)k.size);
    fdb->fdb_transaction_atomic_op(t, k.data, k.size + 14, param, 1, FDB_MUTATION_STAMPED_KEY);
    assert_string_equal(list(t, "s", "t"), "!1036");
    assert_string_equal(get(t, "s"), "-");
    assert_string_equal(list(t, "a", "s"), "");
    fdb->fdb_transaction_destroy(t);
}

static void
stamping_a_key_conflicts_with_who_read_there(void **state)
{
    uint8_t stamp[10];
    int64_t version;
    (void)state;

    FDBTransaction *t = begin();
    list(t, "s", "t");
    set(t, "w", "1");
    commit_stamps("1", &version, stamp);
    assert_int_equal(commit(t), 1020);
    fdb->fdb_transaction_destroy(t);
}

/* ---- limits */

static int
error_of_write(size_t key_bytes, size_t value_bytes, size_t count)
{
    static uint8_t value[100001];
    FDBTransaction *t = begin();
    full_key k = key_of("limits/");

    memset(k.data + k.size, 'k', sizeof k.data - (size_t)k.size);
    for (size_t i = 0; i < count; i++) {
        memcpy(k.data + k.size, &i, 2);
        fdb->fdb_transaction_set(t, k.data, (int)key_bytes, value, (int)value_bytes);
    }
    int error = commit(t);
    fdb->fdb_transaction_destroy(t);
    return error;
}

static void
limits_have_their_errors(void **state)
{
    (void)state;
    assert_int_equal(error_of_write(10000, 10, 1), 0);
    assert_int_equal(error_of_write(10001, 10, 1), 2102);
    assert_int_equal(error_of_write(100, 100000, 1), 0);
    assert_int_equal(error_of_write(100, 100001, 1), 2103);
    assert_int_equal(error_of_write(100, 98000, 100), 0);
    assert_int_equal(error_of_write(100, 100000, 100), 2101);
}

static void
a_size_limit_of_ones_own_is_kept(void **state)
{
    int64_t limit = 1000, size = 0;
    (void)state;

    FDBTransaction *t = begin();
    assert_int_equal(
        fdb->fdb_transaction_set_option(t, FDB_OPTION_SIZE_LIMIT, (const uint8_t *)&limit, 8), 0);
    for (int i = 0; i < 20; i++) set(t, (char[]){(char)('a' + i), 0}, "0123456789");
    FDBFuture *f = fdb->fdb_transaction_get_approximate_size(t);
    assert_int_equal(wait_for(f), 0);
    assert_int_equal(fdb->fdb_future_get_int64(f, &size), 0);
    assert_true(size > 1000 && size < 10000);
    fdb->fdb_future_destroy(f);
    assert_int_equal(commit(t), 2101);
    fdb->fdb_transaction_destroy(t);
}

/* ---- ranges */

static void
range_modes_give_as_much_as_they_say(void **state)
{
    static const struct {
        int mode, iteration, limit, least, most;
    } cases[] = {{FDB_MODE_SMALL, 0, 0, 1, 12},       {FDB_MODE_MEDIUM, 0, 0, 5, 30},
                 {FDB_MODE_LARGE, 0, 0, 20, 130},     {FDB_MODE_ITERATOR, 1, 0, 20, 130},
                 {FDB_MODE_ITERATOR, 9, 0, 500, 500}, {FDB_MODE_WANT_ALL, 0, 0, 500, 500},
                 {FDB_MODE_SERIAL, 0, 0, 500, 500},   {FDB_MODE_EXACT, 0, 7, 7, 7}};
    FDBTransaction *t;
    int count;
    (void)state;

    fill(500, "0123456789");
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        t = begin(); /* what one has read already, it gives alone */
        range_ask r = {"",    "\xff", cases[i].limit, 0, cases[i].mode, cases[i].iteration,
                       false, false};
        const char *text = list_of(ask_range(t, r), &count);
        assert_in_range(count, cases[i].least, cases[i].most);
        if (count < 500) assert_int_equal(text[strlen(text) - 1], '+');
        fdb->fdb_transaction_destroy(t);
    }
    t = begin();
    assert_string_equal(
        list_of(ask_range(t, (range_ask){"", "\xff", 0, 0, 0, 0, false, false}), NULL), "!2210");
    assert_string_equal(
        list_of(ask_range(t, (range_ask){"", "\xff", 0, 0, FDB_MODE_ITERATOR, 0, false, false}),
                NULL),
        "!2000");
    list_of(ask_range(t, (range_ask){"", "\xff", 0, 100, FDB_MODE_WANT_ALL, 0, false, false}),
            &count);
    assert_in_range(count, 1, 10);
    fdb->fdb_transaction_destroy(t);
}

static void
pieces_of_a_range_make_the_whole(void **state)
{
    full_key from = key_of(""), to = key_of("\xff");
    const FDBKeyValue *pairs;
    int n, more = 1, seen = 0;
    (void)state;

    fill(300, "0123456789");
    FDBTransaction *t = begin();
    for (int iteration = 1; more; iteration++) {
        FDBFuture *f =
            fdb->fdb_transaction_get_range(t, from.data, from.size, seen > 0, 1, to.data, to.size,
                                           0, 1, 0, 0, FDB_MODE_SMALL, iteration, 0, 0);
        assert_int_equal(wait_for(f), 0);
        assert_int_equal(fdb->fdb_future_get_keyvalue_array(f, &pairs, &n, &more), 0);
        for (int i = 0; i < n; i++, seen++) {
            char key[16];
            snprintf(key, sizeof key, "k%04d", seen);
            assert_memory_equal(pairs[i].key + strlen(HWT_FDB_PREFIX), key, 5);
        }
        if (n > 0) {
            memcpy(from.data, pairs[n - 1].key, (size_t)pairs[n - 1].key_length);
            from.size = pairs[n - 1].key_length;
        }
        fdb->fdb_future_destroy(f);
    }
    assert_int_equal(seen, 300);
    fdb->fdb_transaction_destroy(t);
}

static const char *
key_at(FDBTransaction *t, const char *key, int or_equal, int offset)
{
    static char text[256];
    full_key k = key_of(key);
    const uint8_t *found;
    int size;
    FDBFuture *f = fdb->fdb_transaction_get_key(t, k.data, k.size, or_equal, offset, 0);

    assert_int_equal(wait_for(f), 0);
    assert_int_equal(fdb->fdb_future_get_key(f, &found, &size), 0);
    int skip = (int)strlen(HWT_FDB_PREFIX);
    bool ours = size >= skip && memcmp(found, HWT_FDB_PREFIX, (size_t)skip) == 0;
    snprintf(text, sizeof text, "%.*s", ours ? size - skip : 0, (const char *)found + skip);
    fdb->fdb_future_destroy(f);
    return text;
}

static void
selectors_name_keys(void **state)
{
    FDBTransaction *t = begin();
    (void)state;

    for (const char *k = "bdf"; *k; k++) set(t, (char[]){*k, 0}, "1");
    commit_now(t);
    t = begin();
    set(t, "e", "1");
    assert_string_equal(key_at(t, "d", 0, 1), "d"); /* first >= */
    assert_string_equal(key_at(t, "d", 1, 1), "e"); /* first > */
    assert_string_equal(key_at(t, "d", 0, 0), "b"); /* last < */
    assert_string_equal(key_at(t, "d", 1, 0), "d"); /* last <= */
    assert_string_equal(key_at(t, "c", 1, 0), "b");
    assert_string_equal(key_at(t, "b", 0, 3), "e");
    assert_string_equal(key_at(t, "f", 1, -2), "d");
    fdb->fdb_transaction_destroy(t);
}

/* ---- ending transactions and futures */

static void
cancelled_transactions_refuse_until_reset(void **state)
{
    (void)state;
    FDBTransaction *t = begin();
    set(t, "a", "1");
    fdb->fdb_transaction_cancel(t);
    assert_string_equal(get(t, "a"), "!1025");
    assert_int_equal(commit(t), 1025);
    assert_int_equal(end_of(fdb->fdb_transaction_on_error(t, 1020)), 1025);
    fdb->fdb_transaction_reset(t);
    assert_string_equal(get(t, "a"), "-"); /* the write is gone */
    set(t, "a", "2");
    commit_now(t);
}

static void
on_error_resets_what_can_be_tried_again(void **state)
{
    (void)state;
    set_now("a", "1");
    FDBTransaction *t = begin();
    get(t, "a");
    set(t, "w", "x");
    set_now("a", "2");
    assert_int_equal(commit(t), 1020);
    assert_int_equal(end_of(fdb->fdb_transaction_on_error(t, 1020)), 0);
    assert_string_equal(get(t, "a"), "2");
    assert_string_equal(get(t, "w"), "-");
    set(t, "w", "y");
    commit_now(t);

    static const int final[] = {2101, 1031, 1036, 2004, 1025};
    for (size_t i = 0; i < HWI_COUNT(final); i++) {
        t = begin();
        assert_int_equal(end_of(fdb->fdb_transaction_on_error(t, final[i])), final[i]);
        assert_int_equal(end_of(fdb->fdb_transaction_on_error(t, 1020)), 1025); /* it is over */
        assert_string_equal(get(t, "a"), "!1025");
        fdb->fdb_transaction_reset(t);
        assert_string_equal(get(t, "a"), "2");
        fdb->fdb_transaction_destroy(t);
    }

    t = begin();
    static const int again[] = {1007, 1009, 1020, 1021, 1037, 1213};
    for (size_t i = 0; i < HWI_COUNT(again); i++)
        assert_int_equal(end_of(fdb->fdb_transaction_on_error(t, again[i])), 0);
    fdb->fdb_transaction_destroy(t);
}

static void
errors_are_sorted_by_what_can_be_done(void **state)
{
    (void)state;
    assert_true(fdb->fdb_error_predicate(FDB_IS_RETRYABLE, 1021));
    assert_true(fdb->fdb_error_predicate(FDB_IS_MAYBE_COMMITTED, 1021));
    assert_false(fdb->fdb_error_predicate(FDB_IS_RETRYABLE_NOT_COMMITTED, 1021));
    for (const int *e = (const int[]){1007, 1009, 1020, 1037, 1213, 0}; *e; e++) {
        assert_true(fdb->fdb_error_predicate(FDB_IS_RETRYABLE, *e));
        assert_true(fdb->fdb_error_predicate(FDB_IS_RETRYABLE_NOT_COMMITTED, *e));
        assert_false(fdb->fdb_error_predicate(FDB_IS_MAYBE_COMMITTED, *e));
    }
    for (const int *e = (const int[]){1025, 1031, 1036, 2101, 2102, 0}; *e; e++)
        assert_false(fdb->fdb_error_predicate(FDB_IS_RETRYABLE, *e));
}

static void
a_timeout_ends_what_takes_too_long(void **state)
{
    int64_t ms = 30;
    (void)state;

    FDBTransaction *t = begin();
    assert_string_equal(get(t, "a"), "-");
    assert_int_equal(
        fdb->fdb_transaction_set_option(t, FDB_OPTION_TIMEOUT, (const uint8_t *)&ms, 8), 0);
    usleep(60000);
    assert_string_equal(get(t, "a"), "!1031");
    assert_int_equal(commit(t), 1031);
    assert_int_equal(end_of(fdb->fdb_transaction_on_error(t, 1020)), 1031);
    fdb->fdb_transaction_destroy(t);
}

static void
watches_fire_when_the_value_changes(void **state)
{
    full_key k = key_of("a");
    (void)state;

    set_now("a", "1");
    FDBTransaction *t = begin();
    FDBFuture *f = fdb->fdb_transaction_watch(t, k.data, k.size);
    commit_now(t);
    set_now("b", "2");
    assert_false(fdb->fdb_future_is_ready(f));
    set_now("a", "2");
    assert_int_equal(end_of(f), 0);

    t = begin();
    f = fdb->fdb_transaction_watch(t, k.data, k.size);
    commit_now(t);
    fdb->fdb_future_cancel(f);
    assert_int_equal(end_of(f), 1101);

    t = begin();
    f = fdb->fdb_transaction_watch(t, k.data, k.size);
    fdb->fdb_transaction_destroy(t);
    assert_int_equal(end_of(f), 1025);
}

static void
note_call(FDBFuture *f, void *arg)
{
    (void)f;
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void
callbacks_come_once(void **state)
{
    int calls = 0;
    (void)state;

    FDBTransaction *t = begin();
    FDBFuture *f = ask(t, "a", false);
    assert_int_equal(fdb->fdb_future_set_callback(f, note_call, &calls), 0);
    for (int i = 0; i < 5000 && !__atomic_load_n(&calls, __ATOMIC_SEQ_CST); i++) usleep(1000);
    usleep(2000);
    assert_int_equal(calls, 1);
    fdb->fdb_future_destroy(f);
    fdb->fdb_transaction_destroy(t);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
    const struct CMUnitTest rules[] = {
        TEST(what_is_committed_is_read_and_own_writes_are_seen),
        TEST(a_transaction_reads_one_version),
        TEST(a_write_of_what_was_read_conflicts),
        TEST(writes_elsewhere_do_not_conflict),
        TEST(a_range_read_conflicts_as_far_as_it_was_read),
        TEST(a_transaction_without_writes_never_conflicts),
        TEST(a_write_conflict_range_by_hand_ends_others),
        TEST(counters_add_up_without_conflict),
        TEST(atomic_operations_make_what_they_are_named_for),
        TEST(stamps_are_commit_versions_and_ascend),
        TEST(a_read_version_begun_after_a_commit_is_not_below_it),
        TEST(what_will_be_stamped_cannot_be_read),
        TEST(stamping_a_key_conflicts_with_who_read_there),
        TEST(limits_have_their_errors),
        TEST(a_size_limit_of_ones_own_is_kept),
        TEST(range_modes_give_as_much_as_they_say),
        TEST(pieces_of_a_range_make_the_whole),
        TEST(selectors_name_keys),
        TEST(cancelled_transactions_refuse_until_reset),
        TEST(on_error_resets_what_can_be_tried_again),
        TEST(errors_are_sorted_by_what_can_be_done),
        TEST(a_timeout_ends_what_takes_too_long),
        TEST(watches_fire_when_the_value_changes),
        TEST(callbacks_come_once),
    };
    fdb = hwt_fdb_start();
    int failed = cmocka_run_group_tests(rules, NULL, NULL);
    hwt_fdb_stop();
    return failed;
}
