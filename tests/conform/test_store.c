/* The storage contract (hashwood/store.h), run over every backend of the library. */
#include "support/hwt_store.h"

#include "store/dump.h"

static hwt_kind kind; /* of the group that runs */

static int
setup(void **state)
{
    hwt_store *s = test_malloc(sizeof *s);
    hwt_store_open(s, kind);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    hwt_store_close(*state);
    test_free(*state);
    return 0;
}

static hw_store *
store_of(void **state)
{
    return ((hwt_store *)*state)->store;
}

static hw_bytes
text(const char *t)
{
    return hwi_bytes_text(t);
}

/* ---- reading and writing */

static void
what_is_put_is_found_and_what_is_deleted_is_not(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};

    hwt_put(t, "a", "1");
    hwt_put(t, "b", "2");
    hwt_put(t, "a", "3");
    assert_string_equal(hwt_get(t, "a"), "3");
    hwt_ok(hwi_store_del(t, text("b"), &err), &err);
    hwt_ok(hwi_store_del(t, text("never there"), &err), &err);
    assert_null(hwt_get(t, "b"));
    hwt_commit(t);

    t = hwt_begin(store_of(state), HW_TXN_READ);
    assert_string_equal(hwt_scan(t, "", "", false), "a=3 ");
    hwi_store_abort(t);
}

static void
an_absent_key_leaves_value_and_error_alone(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_READ);
    hw_error err = {.status = HW_OK, .message = "untouched"};
    hw_bytes value = {"mark", 4};
    char long_key[HWI_STORE_KEY_MAX + 9];

    assert_int_equal(hwi_store_get(t, text("a"), &value, &err), HW_ENOTFOUND);
    memset(long_key, 'x', sizeof long_key);
    assert_int_equal(hwi_store_get(t, hwi_bytes(long_key, sizeof long_key), &value, &err),
                     HW_ENOTFOUND);
    assert_int_equal(hwi_store_get(t, hwi_bytes(NULL, 0), &value, &err), HW_ENOTFOUND);
    assert_memory_equal(value.data, "mark", 4);
    assert_string_equal(err.message, "untouched");
    hwi_store_abort(t);
}

static void
scans_cover_half_open_ranges_in_both_directions(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    for (int round = 0; round < 2; round++) { /* once inside the writer, once after the commit */
        if (round == 0)
            for (const char *k = "dbace"; *k; k++) hwt_put(t, (char[]){*k, 0}, "1");
        assert_string_equal(hwt_scan(t, "", "", false), "a=1 b=1 c=1 d=1 e=1 ");
        assert_string_equal(hwt_scan(t, "b", "d", false), "b=1 c=1 ");
        assert_string_equal(hwt_scan(t, "b", "d", true), "c=1 b=1 ");
        assert_string_equal(hwt_scan(t, "bb", "", false), "c=1 d=1 e=1 ");
        assert_string_equal(hwt_scan(t, "", "", true), "e=1 d=1 c=1 b=1 a=1 ");
        assert_string_equal(hwt_scan(t, "", "a", true), "");
        assert_string_equal(hwt_scan(t, "", "zz", true), "e=1 d=1 c=1 b=1 a=1 ");
        assert_string_equal(hwt_scan(t, "f", "", false), "");
        assert_string_equal(hwt_scan(t, "f", "", true), "");
        assert_string_equal(hwt_scan(t, "d", "b", false), "");
        assert_string_equal(hwt_scan(t, "d", "b", true), "");
        hwt_commit(t);
        t = hwt_begin(store_of(state), HW_TXN_READ);
    }
    hwi_store_abort(t);
}

static bool
stop_at_two(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key;
    (void)value;
    return ++*(int *)arg < 2;
}

static void
a_scan_stops_when_its_function_says_so(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    hw_bytes all = {NULL, 0};
    int seen = 0;

    for (const char *k = "abcd"; *k; k++) hwt_put(t, (char[]){*k, 0}, "");
    hwt_ok(hwi_store_scan(t, all, all, false, stop_at_two, &seen, &err), &err);
    assert_int_equal(seen, 2);
    hwi_store_abort(t);
}

static void
del_range_removes_a_half_open_range(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};

    for (const char *k = "abcdefg"; *k; k++) hwt_put(t, (char[]){*k, 0}, "1");
    hwt_ok(hwi_store_del_range(t, text("b"), text("d"), &err), &err);
    assert_string_equal(hwt_scan(t, "", "", false), "a=1 d=1 e=1 f=1 g=1 ");
    hwt_ok(hwi_store_del_range(t, text("e"), text("e"), &err), &err);
    hwt_ok(hwi_store_del_range(t, text("f"), text("b"), &err), &err);
    hwt_ok(hwi_store_del_range(t, text("f"), text(""), &err), &err);
    assert_string_equal(hwt_scan(t, "", "", false), "a=1 d=1 e=1 ");
    hwt_ok(hwi_store_del_range(t, text(""), text(""), &err), &err);
    assert_string_equal(hwt_scan(t, "", "", false), "");
    hwt_commit(t);
}

typedef struct stamps {
    uint64_t version[8];
    char value[8];
    size_t count;
} stamps;

static bool
note_stamp(void *arg, hw_bytes key, hw_bytes value)
{
    stamps *s = arg;

    assert_int_equal(key.size, 1 + HW_STAMP_BYTES);
    s->version[s->count] = hwi_stamp_version((const uint8_t *)key.data + 1);
    s->value[s->count++] = *(const char *)value.data;
    return true;
}

static void
stamps_ascend_with_commits_and_end_at_the_snapshot(void **state)
{
    hw_store *store = store_of(state);
    hw_error err = {0};
    stamps s = {.count = 0};

    for (const char *value = "abcd"; *value; value += 2) {
        hw_store_txn *t = hwt_begin(store, HW_TXN_WRITE);
        for (int i = 0; i < 2; i++)
            hwt_ok(hwi_store_put_stamped(t, text("s"), hwi_bytes(value + i, 1), &err), &err);
        hwt_commit(t);
    }
    hw_store_txn *t = hwt_begin(store, HW_TXN_WRITE);
    hwt_ok(hwi_store_put_stamped(t, text("s"), text("x"), &err), &err);
    hwi_store_abort(t);

    t = hwt_begin(store, HW_TXN_READ);
    hwt_ok(hwi_store_scan(t, text("s"), text("t"), false, note_stamp, &s, &err), &err);
    assert_int_equal(s.count, 4);
    assert_memory_equal(s.value, "abcd", 4);
    assert_int_equal(s.version[0], s.version[1]);
    assert_true(s.version[1] < s.version[2]);
    assert_int_equal(s.version[2], s.version[3]);
    assert_int_equal(s.version[3], hwi_store_snapshot(t));
    hwi_store_abort(t);
}

static void
what_is_peeked_is_what_is_there(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    hw_bytes value, key = text("a");

    assert_int_equal(hwi_store_peek(t, key, &value, &err), HW_ENOTFOUND);
    hwt_put(t, "a", "1");
    hwi_store_want(t, &key, 1);
    hwt_ok(hwi_store_peek(t, key, &value, &err), &err);
    assert_memory_equal(value.data, "1", 1);
    hwt_commit(t);
}

static void
a_loose_transaction_reads_what_was_there_when_it_began_or_later(void **state)
{
    hw_store *store = store_of(state);
    hw_error err = {0};

    hw_store_txn *t = hwt_begin(store, HW_TXN_WRITE);
    hwt_put(t, "a", "1");
    hwt_commit(t);
    hw_store_txn *loose = hwt_begin(store, HW_TXN_LOOSE);
    assert_string_equal(hwt_get(loose, "a"), "1");
    t = hwt_begin(store, HW_TXN_WRITE);
    hwt_put(t, "a", "2");
    hwt_commit(t);
    assert_string_equal(hwt_get(loose, "a"), "1"); /* each key is read once */
    assert_int_equal(hwi_store_put(loose, text("b"), text("1"), &err), HW_EREADONLY);
    hwi_store_abort(loose);
}

static void
counters_start_at_zero_and_add_up_with_sign(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    int64_t n = -1;

    hwt_ok(hwi_store_get_i64(t, text("n"), &n, &err), &err);
    assert_int_equal(n, 0);
    hwt_ok(hwi_store_add(t, text("n"), 5, &err), &err);
    hwt_ok(hwi_store_add(t, text("n"), -12, &err), &err);
    hwt_ok(hwi_store_get_i64(t, text("n"), &n, &err), &err);
    assert_int_equal(n, -7);
    hwt_put(t, "n", "three");
    assert_int_equal(hwi_store_add(t, text("n"), 1, &err), HW_ECORRUPT);
    hwi_store_abort(t);
}

static void
values_keep_every_byte_at_every_size(void **state)
{
    static const size_t sizes[] = {0,    1,    15,   16,    2000,  2030,  2031,
                                   2048, 2049, 4096, 32768, 65536, 89999, HWI_STORE_VALUE_MAX};
    static uint8_t data[HWI_STORE_VALUE_MAX];
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    hw_bytes value;
    hwi_rng rng;

    hwi_rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)hwi_rng_next(&rng);
    for (uint8_t i = 0; i < HWI_COUNT(sizes); i++)
        hwt_ok(hwi_store_put(t, hwi_bytes(&i, 1), hwi_bytes(data, sizes[i]), &err), &err);
    hwt_commit(t);

    t = hwt_begin(store_of(state), HW_TXN_READ);
    for (uint8_t i = 0; i < HWI_COUNT(sizes); i++) {
        hwt_ok(hwi_store_get(t, hwi_bytes(&i, 1), &value, &err), &err);
        assert_int_equal(value.size, sizes[i]);
        assert_memory_equal(value.data, data, sizes[i]);
        if (sizes[i] > 2048) assert_int_equal(((uintptr_t)value.data + 48) % 64, 0);
    }
    hwi_store_abort(t);
}

static void
keys_order_as_bytes_do(void **state)
{
    static const uint8_t keys[][3] = {{0},    {0, 0}, {0, 1}, {1},
                                      {0x7f}, {0x80}, {0xff}, {0xff, 0xff}};
    static const size_t sizes[] = {1, 2, 2, 1, 1, 1, 1, 2};
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};

    for (size_t i = HWI_COUNT(sizes); i-- > 0;)
        hwt_ok(hwi_store_put(t, hwi_bytes(keys[i], sizes[i]),
                             hwi_bytes((char[]){(char)('a' + i)}, 1), &err),
               &err);
    const char *at = hwt_scan(t, "", "", false);
    for (size_t i = 0; i < HWI_COUNT(sizes); i++) {
        at = strchr(at, '=');
        assert_non_null(at);
        assert_int_equal(at[1], 'a' + (int)i);
        at++;
    }
    hwi_store_abort(t);
}

/* ---- limits */

static void
limits_are_refused_with_the_value_and_the_maximum(void **state)
{
    static uint8_t big[HWI_STORE_VALUE_MAX + 1];
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};

    assert_int_equal(hwi_store_put(t, hwi_bytes(big, HWI_STORE_KEY_MAX + 1), text("v"), &err),
                     HW_ELIMIT);
    assert_string_equal(err.message, "key of 512 bytes is above the maximum 511");
    assert_int_equal(hwi_store_put(t, text(""), text("v"), &err), HW_ELIMIT);
    assert_int_equal(hwi_store_put(t, text("k"), hwi_bytes(big, sizeof big), &err), HW_ELIMIT);
    assert_string_equal(err.message, "value of 90001 bytes is above the maximum 90000");
    hwt_ok(hwi_store_put(t, hwi_bytes(big, HWI_STORE_KEY_MAX), hwi_bytes(big, HWI_STORE_VALUE_MAX),
                         &err),
           &err);
    hwt_commit(t); /* a refused put spoils nothing */
}

static void
a_transaction_counts_the_bytes_it_wrote(void **state)
{
    static uint8_t big[50000];
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    size_t puts = 0;

    assert_int_equal(t->bytes_written, 0);
    hwt_put(t, "key", "value");
    assert_int_equal(t->bytes_written, 8);
    for (; !hwi_store_full(t); puts++) {
        hwi_key k;
        hwi_key_init(&k);
        hwi_key_uint(&k, puts);
        hwt_ok(hwi_store_put(t, hwi_key_view(&k), hwi_bytes(big, sizeof big), &err), &err);
    }
    assert_int_equal(puts, 20);
    hwi_store_abort(t);
}

static void
a_read_transaction_refuses_to_write(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_READ);
    hw_error err = {0};

    assert_int_equal(hwi_store_put(t, text("a"), text("1"), &err), HW_EREADONLY);
    assert_int_equal(hwi_store_del(t, text("a"), &err), HW_EREADONLY);
    assert_int_equal(hwi_store_del_range(t, text("a"), text("b"), &err), HW_EREADONLY);
    assert_int_equal(hwi_store_add(t, text("a"), 1, &err), HW_EREADONLY);
    hwt_commit(t);
}

/* ---- transactions */

static void
an_aborted_transaction_leaves_nothing(void **state)
{
    hwt_put_now(store_of(state), "a", "1");
    uint64_t before = hwi_store_newest(store_of(state));
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};

    hwt_put(t, "a", "2");
    hwt_put(t, "b", "2");
    hwt_ok(hwi_store_del_range(t, text(""), text("b"), &err), &err);
    hwi_store_abort(t);
    hwi_store_abort(NULL);

    assert_int_equal(hwi_store_newest(store_of(state)), before);
    t = hwt_begin(store_of(state), HW_TXN_READ);
    assert_string_equal(hwt_scan(t, "", "", false), "a=1 ");
    hwi_store_abort(t);
}

static void
a_snapshot_sees_no_later_commit(void **state)
{
    hw_store *s = store_of(state);
    hw_error err = {0};

    hwt_put_now(s, "a", "1");
    hw_store_txn *old = hwt_begin(s, HW_TXN_READ);
    hw_store_txn *w = hwt_begin(s, HW_TXN_WRITE);
    hwt_put(w, "a", "2");
    hwt_put(w, "b", "2");
    assert_string_equal(hwt_scan(old, "", "", false), "a=1 "); /* not yet */
    hwt_commit(w);

    hw_store_txn *young = hwt_begin(s, HW_TXN_READ);
    w = hwt_begin(s, HW_TXN_WRITE);
    hwt_ok(hwi_store_del_range(w, text(""), text(""), &err), &err);
    hwt_commit(w);
    for (int i = 0; i < 50; i++) hwt_put_now(s, "c", "3"); /* pages of old snapshots stay theirs */

    assert_string_equal(hwt_scan(old, "", "", false), "a=1 ");
    assert_string_equal(hwt_scan(young, "", "", true), "b=2 a=2 ");
    hwi_store_abort(young);
    hwi_store_abort(old);
}

static void
versions_rise_with_every_commit_that_changes_something(void **state)
{
    hw_store *s = store_of(state);
    uint64_t last = hwi_store_newest(s);

    for (int i = 0; i < 5; i++) {
        hw_store_txn *t = hwt_begin(s, HW_TXN_WRITE);
        assert_int_equal(hwi_store_snapshot(t), last);
        hwt_put(t, "a", "1");
        assert_int_equal(hwi_store_newest(s), last);
        hwt_commit(t);
        assert_true(hwi_store_newest(s) > last);
        last = hwi_store_newest(s);

        t = hwt_begin(s, HW_TXN_READ);
        assert_int_equal(hwi_store_snapshot(t), last);
        hwi_store_abort(t);
        hwt_commit(hwt_begin(s, HW_TXN_WRITE)); /* nothing written */
        assert_int_equal(hwi_store_newest(s), last);
    }
}

static void
values_borrowed_by_a_reader_live_until_it_ends(void **state)
{
    static char large[40000];
    hw_store *s = store_of(state);
    hw_error err = {0};
    hw_bytes small_value, large_value;

    memset(large, 'L', sizeof large);
    hwt_put_now(s, "small", "value");
    hw_store_txn *w = hwt_begin(s, HW_TXN_WRITE);
    hwt_ok(hwi_store_put(w, text("large"), hwi_bytes(large, sizeof large), &err), &err);
    hwt_commit(w);

    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    hwt_ok(hwi_store_get(t, text("small"), &small_value, &err), &err);
    hwt_ok(hwi_store_get(t, text("large"), &large_value, &err), &err);
    for (int i = 0; i < 30; i++) {
        w = hwt_begin(s, HW_TXN_WRITE);
        hwt_ok(hwi_store_del_range(w, text(""), text(""), &err), &err);
        hwt_put(w, "small", "other");
        hwt_commit(w);
    }
    assert_memory_equal(small_value.data, "value", 5);
    assert_memory_equal(large_value.data, large, sizeof large);
    hwi_store_abort(t);
}

static void
a_second_writer_is_refused_after_the_timeout(void **state)
{
    hwt_store *s = *state;
    hw_store_txn *t = hwt_begin(s->store, HW_TXN_WRITE), *second;
    hw_error err = {0};

    uint64_t from = hwi_clock_us();
    assert_int_equal(hwi_store_begin(s->store, HW_TXN_WRITE, &second, &err), HW_EBUSY);
    assert_true(hwi_clock_us() - from >= 190000);
    assert_string_equal(err.message, "another writer has held the database for more than 200 ms");
    assert_null(second);
    hwi_store_abort(t);
    hwi_store_abort(hwt_begin(s->store, HW_TXN_WRITE));
}

static void
everything_committed_is_there_after_reopening(void **state)
{
    hwt_store *s = *state;
    hw_store_txn *t;

    for (int i = 0; i < 3; i++) {
        hwt_put_now(s->store, (char[]){(char)('a' + i), 0}, "1");
        t = hwt_begin(s->store, HW_TXN_WRITE);
        hwt_put(t, "z", "never committed");
        hwi_store_abort(t);
        uint64_t version = hwi_store_newest(s->store);
        hwt_store_reopen(s);
        assert_int_equal(hwi_store_newest(s->store), version);
    }
    t = hwt_begin(s->store, HW_TXN_READ);
    assert_string_equal(hwt_scan(t, "", "", false), "a=1 b=1 c=1 ");
    hwi_store_abort(t);
}

static bool
count_key(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key;
    (void)value;
    ++*(int *)arg;
    return true;
}

static int
keys_in(hw_store *s)
{
    const hw_bytes all = {NULL, 0};
    hw_error err = {0};
    int keys = 0;
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);

    hwt_ok(hwi_store_scan(t, all, all, false, count_key, &keys, &err), &err);
    hwi_store_abort(t);
    return keys;
}

/* Keys of a few bytes, which cost a store more than they weigh: 60,000 are too many for FoundationDB in a
 * transaction of 9.5 MB, and they are less than a megabyte here. */
static void
copies_of_many_small_keys_arrive_whole(void **state)
{
    enum { SMALL_KEYS = 60000 };
    hw_error err = {0};
    hw_store *from;

    hwt_ok(hwi_store_mem_new(&from, &err), &err);
    hw_store_txn *t = hwt_begin(from, HW_TXN_WRITE);
    for (uint32_t i = 0; i < SMALL_KEYS; i++) {
        const uint8_t key[] = {'k', (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        hwt_ok(hwi_store_put(t, hwi_bytes(key, sizeof key), text(""), &err), &err);
    }
    hwt_commit(t);
    t = hwt_begin(from, HW_TXN_READ);
    hwt_ok(hwi_store_copy(t, store_of(state), NULL, NULL, &err), &err);
    hwi_store_abort(t);
    hwi_store_close(from);
    assert_int_equal(keys_in(store_of(state)), SMALL_KEYS);
}

static void
info_counts_keys(void **state)
{
    hw_store_info info;
    hw_error err = {0};

    hwt_put_now(store_of(state), "a", "1");
    hwt_put_now(store_of(state), "b", "1");
    hwt_ok(hwi_store_info(store_of(state), &info, &err), &err);
    assert_int_equal(info.keys, hwt_on_fdb() ? 0 : 2); /* a cluster does not know */
    assert_true(info.free_bytes <= info.disk_bytes);
}

/* ---- what is built on the contract */

typedef struct attempts {
    int left, runs;
} attempts;

static hw_status
conflict_a_while(hw_store_txn *t, void *arg, hw_error *err)
{
    attempts *a = arg;
    a->runs++;
    hwt_put(t, "run", "1");
    if (a->left-- > 0) return hwi_fail(err, HW_ECONFLICT, "another one won");
    return HW_OK;
}

static hw_status
write_and_fail(hw_store_txn *t, void *arg, hw_error *err)
{
    (void)arg;
    hwt_put(t, "half", "1");
    return hwi_fail(err, HW_EINVAL, "no");
}

static void
run_retries_conflicts_and_aborts_failures(void **state)
{
    hw_store *s = store_of(state);
    hw_error err = {0};
    attempts a = {.left = 2};

    hwt_ok(hwi_store_run(s, conflict_a_while, &a, &err), &err);
    assert_int_equal(a.runs, 3);
    a = (attempts){.left = 1000};
    assert_int_equal(hwi_store_run(s, conflict_a_while, &a, &err), HW_ECONFLICT);
    assert_int_equal(a.runs, 10);
    assert_int_equal(hwi_store_run(s, write_and_fail, NULL, &err), HW_EINVAL);
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    assert_string_equal(hwt_scan(t, "", "", false), "run=1 ");
    hwi_store_abort(t);
}

static void
prefixes_are_scanned_and_deleted_by_whole_elements(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    hwi_key k, prefix;
    bool more = true;
    int seen = 0;

    for (uint32_t c = 1; c <= 300; c++)
        for (uint32_t slot = 0; slot < 3; slot++) {
            hwi_key_rec(&k, c, slot);
            hwt_ok(hwi_store_put(t, hwi_key_view(&k), text("x"), &err), &err);
        }
    hwi_key_sub(&prefix, HWI_SUB_REC, 1);
    hwt_ok(hwi_store_scan_prefix(t, &prefix, stop_at_two, &seen, &err), &err);
    assert_int_equal(seen, 2);
    hwt_ok(hwi_store_del_prefix(t, &prefix, &err), &err);
    hwi_key_sub(&prefix, HWI_SUB_REC, 256);
    hwt_ok(hwi_store_del_some(t, &prefix, &more, &err), &err);
    assert_false(more);
    hwt_commit(t);

    assert_int_equal(keys_in(store_of(state)), 298 * 3);
}

static void
del_some_deletes_in_bounded_steps(void **state)
{
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    hwi_key k, prefix;
    bool more = true;
    int steps = 0;

    for (uint32_t slot = 0; slot < 45000; slot++) {
        hwi_key_rec(&k, 7, slot);
        hwt_ok(hwi_store_put(t, hwi_key_view(&k), text(""), &err), &err);
        if (slot % 10000 == 9999) {
            hwt_commit(t);
            t = hwt_begin(store_of(state), HW_TXN_WRITE);
        }
    }
    hwi_key_rec(&k, 8, 0);
    hwt_ok(hwi_store_put(t, hwi_key_view(&k), text("other"), &err), &err);
    hwt_commit(t);
    for (hwi_key_sub(&prefix, HWI_SUB_REC, 7); more; steps++) {
        t = hwt_begin(store_of(state), HW_TXN_WRITE);
        hwt_ok(hwi_store_del_some(t, &prefix, &more, &err), &err);
        hwt_commit(t);
    }
    hw_store_txn *reader = hwt_begin(store_of(state), HW_TXN_READ);
    assert_int_equal(steps, hwi_store_is_far(reader) ? 1 : 3); /* far away a range goes at once */
    hwi_store_abort(reader);
    assert_int_equal(keys_in(store_of(state)), 1);
}

static void
blobs_of_any_size_come_back_and_shrink_without_leftovers(void **state)
{
    static const size_t sizes[] = {0,       1, 81880, 81881, 81880 + 81904, 81880 + 81904 + 1,
                                   1000000, 5};
    static uint8_t data[1000000];
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    hwi_buf out = {0};
    hwi_key k;

    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7 + i / 251);
    hwi_key_model(&k, 1, 0, 1);
    assert_int_equal(hwi_blob_get(t, hwi_key_view(&k), &out, &err), HW_ENOTFOUND);
    for (size_t i = 0; i < HWI_COUNT(sizes); i++) {
        hwt_ok(hwi_blob_put(t, hwi_key_view(&k), hwi_bytes(data, sizes[i]), &err), &err);
        hwi_buf_clear(&out);
        hwi_buf_text(&out, "before");
        hwt_ok(hwi_blob_get(t, hwi_key_view(&k), &out, &err), &err);
        assert_int_equal(out.size, 6 + sizes[i]);
        assert_memory_equal(out.data + 6, data, sizes[i]);
    }
    hwi_buf_release(&out);
    hwt_commit(t);
    assert_int_equal(keys_in(store_of(state)), 1);
}

static void
a_damaged_blob_is_reported_and_can_be_replaced(void **state)
{
    static uint8_t data[200000];
    hw_store_txn *t = hwt_begin(store_of(state), HW_TXN_WRITE);
    hw_error err = {0};
    hwi_buf out = {0};
    hwi_key k, part;

    hwi_key_model(&k, 1, 0, 1);
    part = k;
    hwi_key_uint(&part, 2);
    hwt_ok(hwi_blob_put(t, hwi_key_view(&k), hwi_bytes(data, sizeof data), &err), &err);
    hwt_ok(hwi_store_put(t, hwi_key_view(&part), hwi_bytes(data, 10), &err), &err);
    assert_int_equal(hwi_blob_get(t, hwi_key_view(&k), &out, &err), HW_ECORRUPT);
    hwt_ok(hwi_store_del(t, hwi_key_view(&part), &err), &err);
    assert_int_equal(hwi_blob_get(t, hwi_key_view(&k), &out, &err), HW_ECORRUPT);
    assert_string_equal(err.message, "blob lacks part 2 of 3");
    hwt_ok(hwi_store_put(t, hwi_key_view(&k), text("short"), &err), &err);
    assert_int_equal(hwi_blob_get(t, hwi_key_view(&k), &out, &err), HW_ECORRUPT);
    assert_int_equal(out.size, 0);
    hwt_ok(hwi_blob_put(t, hwi_key_view(&k), text("whole"), &err), &err);
    hwt_ok(hwi_blob_get(t, hwi_key_view(&k), &out, &err), &err);
    assert_int_equal(out.size, 5);
    hwi_buf_release(&out);
    hwi_store_abort(t);
}

static void
meta_is_written_once_and_kept(void **state)
{
    hwt_store *s = *state;
    hwi_store_meta a, b;
    hw_error err = {0};

    assert_int_equal(hwi_store_meta_check(s->store, false, NULL, &err), HW_ENOTFOUND);
    hwt_ok(hwi_store_meta_check(s->store, true, &a, &err), &err);
    assert_int_equal(a.format, HWI_STORE_FORMAT);
    hwt_store_reopen(s);
    hwt_ok(hwi_store_meta_check(s->store, true, &b, &err), &err);
    assert_memory_equal(a.uuid, b.uuid, 16);
    assert_int_equal(a.created_s, b.created_s);
}

static void
a_newer_format_and_a_foreign_store_are_refused(void **state)
{
    hw_store *s = store_of(state);
    hwi_store_meta meta = {.format = 2};
    hw_error err = {0};
    hwi_key k;

    hw_store_txn *t = hwt_begin(s, HW_TXN_WRITE);
    hwt_ok(hwi_store_meta_put(t, &meta, &err), &err);
    hwt_commit(t);
    assert_int_equal(hwi_store_meta_check(s, true, NULL, &err), HW_EVERSION);
    assert_string_equal(err.message, "format 2 is newer than this hashwood understands (1)");

    t = hwt_begin(s, HW_TXN_WRITE);
    hwi_key_meta(&k);
    hwt_ok(hwi_store_put(t, hwi_key_view(&k), text("hashwood\1\0\0\0"), &err), &err);
    hwt_commit(t);
    assert_int_equal(hwi_store_meta_check(s, true, NULL, &err), HW_ECORRUPT);

    t = hwt_begin(s, HW_TXN_WRITE);
    hwt_ok(hwi_store_del(t, hwi_key_view(&k), &err), &err);
    hwt_put(t, "some", "other database");
    hwt_commit(t);
    assert_int_equal(hwi_store_meta_check(s, true, NULL, &err), HW_ECORRUPT);
    assert_string_equal(err.message, "this is no hashwood database");
}

#define SUITE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SUITE(what_is_put_is_found_and_what_is_deleted_is_not),
        SUITE(an_absent_key_leaves_value_and_error_alone),
        SUITE(scans_cover_half_open_ranges_in_both_directions),
        SUITE(a_scan_stops_when_its_function_says_so),
        SUITE(del_range_removes_a_half_open_range),
        SUITE(counters_start_at_zero_and_add_up_with_sign),
        SUITE(stamps_ascend_with_commits_and_end_at_the_snapshot),
        SUITE(what_is_peeked_is_what_is_there),
        SUITE(a_loose_transaction_reads_what_was_there_when_it_began_or_later),
        SUITE(values_keep_every_byte_at_every_size),
        SUITE(keys_order_as_bytes_do),
        SUITE(limits_are_refused_with_the_value_and_the_maximum),
        SUITE(a_transaction_counts_the_bytes_it_wrote),
        SUITE(a_read_transaction_refuses_to_write),
        SUITE(an_aborted_transaction_leaves_nothing),
        SUITE(a_snapshot_sees_no_later_commit),
        SUITE(versions_rise_with_every_commit_that_changes_something),
        SUITE(values_borrowed_by_a_reader_live_until_it_ends),
        SUITE(a_second_writer_is_refused_after_the_timeout),
        SUITE(everything_committed_is_there_after_reopening),
        SUITE(copies_of_many_small_keys_arrive_whole),
        SUITE(info_counts_keys),
        SUITE(run_retries_conflicts_and_aborts_failures),
        SUITE(prefixes_are_scanned_and_deleted_by_whole_elements),
        SUITE(del_some_deletes_in_bounded_steps),
        SUITE(blobs_of_any_size_come_back_and_shrink_without_leftovers),
        SUITE(a_damaged_blob_is_reported_and_can_be_replaced),
        SUITE(meta_is_written_once_and_kept),
        SUITE(a_newer_format_and_a_foreign_store_are_refused),
    };
    int failed = 0;

    for (HWT_EACH_KIND(kind))
        failed += cmocka_run_group_tests_name(hwt_kind_text(kind), tests, NULL, NULL);
    return failed;
}
