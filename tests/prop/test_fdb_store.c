/* Several stores over one FoundationDB cluster, each with its own cache as another process has,
 * against a model that keeps every version. Faults are drawn by the same seed, so a failure comes
 * back with it.
 *
 * One thread interleaves the transactions of all stores. Checked: what a reader sees is the model at
 * its version, or HW_ECONFLICT when that is no longer the newest; a commit that says HW_OK is in, and
 * read nothing that has changed since; one that says otherwise is not; a transaction begun after a
 * commit has returned sees it, from any store; stamped keys come in the order of commits. */
#include "support/hwt_store.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/fdb_standin/standin.h"

#define STORES 3u
#define KEYS 48u
#define COUNTERS 8u /* keys below are counters */
#define READERS 4u
#define STATES_MAX 4000u
#define STAMPED_MAX 4000u
#define STEPS 4000u

typedef enum write_kind { KEPT, PUT, DEL, ADD } write_kind;

typedef struct state {
    uint64_t version;
    uint64_t values[KEYS]; /* 0: absent; of a counter one more than it */
    size_t stamped;        /* how many of world.stamped are there */
} version_state;

typedef struct writer {
    hw_store_txn *txn;
    size_t base; /* the state it began at */
    write_kind kinds[KEYS];
    uint64_t values[KEYS];
    bool has_read[KEYS];
    uint64_t stamped[8];
    size_t stamped_count;
    bool has_written;
} writer;

typedef struct reader {
    hw_store_txn *txn;
    hw_txn_mode mode;
    size_t base;
} reader;

typedef struct world {
    hwi_rng rng;
    char scratch[HWT_PATH];
    hw_store *stores[STORES];
    writer writers[STORES];
    reader readers[STORES][READERS];
    version_state states[STATES_MAX];
    size_t newest;        /* state */
    size_t changed[KEYS]; /* the state that changed the key last */
    uint64_t stamped[STAMPED_MAX];
    uint64_t next_value;
    size_t commits, conflicts, reads, stale; /* counts, told at the end */
} world;

static world w;

#define DECLARE(result, name, arguments) static result(*name) arguments;
FDB_STANDIN_CALLS(DECLARE)

/* ---- the model's keys and values */

static uint64_t
below(uint64_t bound)
{
    return hwi_rng_below(&w.rng, bound);
}

static hw_bytes
key_of(size_t k)
{
    static char text[8][16];
    static unsigned next;
    char *t = text[next++ % 8];
    snprintf(t, 16, "k%02u", (unsigned)(k % 100));
    return hwi_bytes_text(t);
}

/* Some values are long, so that they push others out of the cache. */
static size_t
value_bytes(uint64_t v)
{
    return 8 + (v % 5 == 0 ? v % 60000 : v % 300);
}

static hw_bytes
value_of(uint64_t v)
{
    static uint8_t bytes[70000];
    memset(bytes, (int)(v & 0xff), value_bytes(v));
    hwi_put_u64(bytes, v);
    return hwi_bytes(bytes, value_bytes(v));
}

static uint64_t
number_of(size_t k, hw_bytes value)
{
    uint64_t v = value.size >= 8 ? hwi_get_u64(value.data) : 0;
    if (k < COUNTERS) return v + 1;
    assert_int_equal(value.size, value_bytes(v));
    return v;
}

/* ---- readers */

static bool
is_conflict(hw_status st)
{
    if (st == HW_ECONFLICT) w.conflicts++;
    return st == HW_ECONFLICT;
}

static bool
may_be(const reader *r, size_t k, uint64_t v)
{
    if (r->mode == HW_TXN_READ) return w.states[r->base].values[k] == v;
    for (size_t i = r->base; i <= w.newest; i++)
        if (w.states[i].values[k] == v) return true;
    return false;
}

static void
end_reader(reader *r)
{
    hwi_store_abort(r->txn);
    r->txn = NULL;
}

static void
begin_reader(hw_store *s, reader *r)
{
    hw_error err = {0};
    r->mode = below(4) == 0 ? HW_TXN_LOOSE : HW_TXN_READ;
    hwt_ok(hwi_store_begin(s, r->mode, &r->txn, &err), &err);
    assert_int_equal(hwi_store_snapshot(r->txn), w.states[w.newest].version);
    assert_int_equal(hwi_store_newest(s), w.states[w.newest].version);
    r->base = w.newest;
}

static void
read_one(reader *r, size_t k)
{
    hw_error err = {0};
    hw_bytes value;
    uint64_t v = 0;

    hw_status st = hwi_store_get(r->txn, key_of(k), &value, &err);
    w.reads++;
    if (st == HW_ECONFLICT) {
        assert_int_equal(r->mode, HW_TXN_READ);
        assert_true(r->base < w.newest);
        w.stale++;
        end_reader(r);
        return;
    }
    if (st != HW_ENOTFOUND) {
        hwt_ok(st, &err);
        v = number_of(k, value);
    }
    if (!may_be(r, k, v))
        fail_msg("key %zu is %llu, not %llu as at version %llu", k, (unsigned long long)v,
                 (unsigned long long)w.states[r->base].values[k],
                 (unsigned long long)w.states[r->base].version);
}

typedef struct listing {
    uint64_t values[KEYS];
    uint64_t stamped[STAMPED_MAX];
    size_t stamped_count;
    uint64_t newest_stamp, snapshot;
    size_t left;
} listing;

static bool
list_one(void *arg, hw_bytes key, hw_bytes value)
{
    listing *l = arg;
    const uint8_t *at = key.data;

    if (l->left-- == 0) return false;
    if (at[0] == 'k') {
        size_t k = (size_t)(at[1] - '0') * 10 + (size_t)(at[2] - '0');
        l->values[k] = number_of(k, value);
        return true;
    }
    assert_int_equal(key.size, 1 + HW_STAMP_BYTES);
    uint64_t stamp = hwi_stamp_version(at + 1);
    assert_true(stamp >= l->newest_stamp && stamp <= l->snapshot);
    l->newest_stamp = stamp;
    l->stamped[l->stamped_count++] = hwi_get_u64(value.data);
    return true;
}

static void
scan_all(reader *r)
{
    static listing l;
    const hw_bytes all = {NULL, 0};
    hw_error err = {0};

    if (r->mode != HW_TXN_READ) return;
    memset(&l, 0, sizeof l);
    l.left = SIZE_MAX;
    l.snapshot = hwi_store_snapshot(r->txn);
    hw_status st = below(2) ? hwi_store_scan(r->txn, all, all, false, list_one, &l, &err)
                            : hwi_store_walk(r->txn, all, all, list_one, &l, &err);
    if (st == HW_ECONFLICT && r->base < w.newest) {
        w.stale++;
        end_reader(r);
        return;
    }
    hwt_ok(st, &err);
    const version_state *s = &w.states[r->base];
    assert_memory_equal(l.values, s->values, sizeof l.values);
    assert_int_equal(l.stamped_count, s->stamped);
    assert_memory_equal(l.stamped, w.stamped, s->stamped * sizeof *l.stamped);
}

static void
want_some(hw_store_txn *t)
{
    hw_bytes keys[6];
    for (size_t i = 0; i < HWI_COUNT(keys); i++) keys[i] = key_of(below(KEYS));
    hwi_store_want(t, keys, HWI_COUNT(keys));
}

static void
step_reader(hw_store *s, reader *r)
{
    if (!r->txn) {
        begin_reader(s, r);
        return;
    }
    switch (below(8)) {
    case 0:
        scan_all(r);
        break;
    case 1:
        end_reader(r);
        break;
    case 2:
        want_some(r->txn);
        break;
    default:
        read_one(r, below(KEYS));
        break;
    }
}

/* ---- writers */

static void
drop_writer(writer *x)
{
    hwi_store_abort(x->txn);
    memset(x, 0, sizeof *x);
}

/* What the writer must see. */
static uint64_t
seen_by(const writer *x, size_t k)
{
    uint64_t before = w.states[x->base].values[k];
    switch (x->kinds[k]) {
    case PUT:
        return x->values[k];
    case DEL:
        return 0;
    case ADD:
        return (before ? before : 1) + x->values[k];
    default:
        return before;
    }
}

static void
writer_reads(writer *x, size_t k, bool peeks)
{
    hw_error err = {0};
    hw_bytes value;
    uint64_t v = 0;

    hw_status st = (peeks ? hwi_store_peek : hwi_store_get)(x->txn, key_of(k), &value, &err);
    if (is_conflict(st)) {
        drop_writer(x);
        return;
    }
    if (st != HW_ENOTFOUND) {
        hwt_ok(st, &err);
        v = number_of(k, value);
    }
    assert_int_equal(v, seen_by(x, k));
    if (!peeks && x->kinds[k] != PUT && x->kinds[k] != DEL) x->has_read[k] = true;
}

static void
writer_scans(writer *x)
{
    static listing l;
    hw_error err = {0};
    size_t from = below(KEYS), to = from + below(KEYS - from) + 1, at;
    bool reverse = below(2);

    memset(&l, 0, sizeof l);
    l.left = below(12) + 1;
    hw_bytes end = to == KEYS ? hwi_bytes_text("l") : key_of(to);
    hw_status st = hwi_store_scan(x->txn, key_of(from), end, reverse, list_one, &l, &err);
    if (is_conflict(st)) {
        drop_writer(x);
        return;
    }
    hwt_ok(st, &err);
    for (size_t i = 0, found = 0; i < to - from; i++) {
        at = reverse ? to - 1 - i : from + i;
        if (l.values[at] == 0 && seen_by(x, at) != 0) {
            assert_int_equal(l.left, SIZE_MAX); /* the scan was stopped before it */
            break;
        }
        assert_int_equal(l.values[at], seen_by(x, at));
        if (x->kinds[at] == KEPT || x->kinds[at] == ADD) x->has_read[at] = true;
        found += l.values[at] != 0;
    }
}

static void
writer_puts(writer *x, size_t k)
{
    hw_error err = {0};
    if (k < COUNTERS) {
        int64_t delta = (int64_t)below(9);
        hwt_ok(hwi_store_add(x->txn, key_of(k), delta, &err), &err);
        if (x->kinds[k] == PUT)
            x->values[k] += (uint64_t)delta;
        else if (x->kinds[k] == DEL)
            x->values[k] = 1 + (uint64_t)delta;
        else
            x->values[k] = (x->kinds[k] == ADD ? x->values[k] : 0) + (uint64_t)delta;
        x->kinds[k] = x->kinds[k] == PUT || x->kinds[k] == DEL ? PUT : ADD;
    } else {
        x->values[k] = ++w.next_value;
        hwt_ok(hwi_store_put(x->txn, key_of(k), value_of(x->values[k]), &err), &err);
        x->kinds[k] = PUT;
    }
}

static void
writer_deletes(writer *x, size_t k)
{
    hw_error err = {0};
    if (below(3)) {
        hwt_ok(hwi_store_del(x->txn, key_of(k), &err), &err);
        x->kinds[k] = DEL;
        return;
    }
    size_t to = k + below(HWI_MIN(6u, KEYS - k)) + 1;
    hw_bytes end = to == KEYS ? hwi_bytes_text("l") : key_of(to);
    hwt_ok(hwi_store_del_range(x->txn, key_of(k), end, &err), &err);
    for (; k < to; k++) x->kinds[k] = DEL;
}

static void
writer_stamps(writer *x)
{
    hw_error err = {0};
    uint8_t value[8];
    if (x->stamped_count == HWI_COUNT(x->stamped)) return;
    hwi_put_u64(value, ++w.next_value);
    hwt_ok(hwi_store_put_stamped(x->txn, hwi_bytes_text("z"), hwi_bytes(value, 8), &err), &err);
    x->stamped[x->stamped_count++] = w.next_value;
}

/* The commit is in: nothing that it read may have changed in between; then it is the newest state. */
static void
apply(writer *x)
{
    hw_error err = {0};
    hw_store_txn *t;

    assert_true(w.newest + 1 < STATES_MAX);
    for (size_t k = 0; k < KEYS; k++)
        if (x->has_read[k] && w.changed[k] > x->base)
            fail_msg("a commit read key %zu, which has changed since", k);
    version_state *s = &w.states[w.newest + 1];
    *s = w.states[w.newest];
    w.newest++;
    for (size_t k = 0; k < KEYS; k++) {
        if (x->kinds[k] == KEPT) continue;
        if (x->kinds[k] == ADD)
            s->values[k] = (s->values[k] ? s->values[k] : 1) + x->values[k];
        else
            s->values[k] = x->kinds[k] == PUT ? x->values[k] : 0;
        w.changed[k] = w.newest;
    }
    for (size_t i = 0; i < x->stamped_count; i++) w.stamped[s->stamped++] = x->stamped[i];
    hwt_ok(hwi_store_begin(w.stores[below(STORES)], HW_TXN_READ, &t, &err), &err);
    s->version = hwi_store_snapshot(t);
    assert_true(s->version > w.states[w.newest - 1].version);
    hwi_store_abort(t);
    w.commits++;
}

static void
writer_commits(writer *x)
{
    hw_error err = {0};
    bool changes = x->stamped_count > 0 || x->has_written;

    hw_status st = hwi_store_commit(x->txn, &err);
    if (!is_conflict(st)) {
        hwt_ok(st, &err);
        if (changes) apply(x);
    }
    memset(x, 0, sizeof *x);
}

static void
step_writer(hw_store *s, writer *x)
{
    hw_error err = {0};
    if (!x->txn) {
        hwt_ok(hwi_store_begin(s, HW_TXN_WRITE, &x->txn, &err), &err);
        assert_int_equal(hwi_store_snapshot(x->txn), w.states[w.newest].version);
        x->base = w.newest;
        return;
    }
    uint64_t what = below(12);
    x->has_written |= what >= 5 && what <= 8;
    switch (what) {
    case 0:
        drop_writer(x);
        break;
    case 1:
        want_some(x->txn);
        break;
    case 2:
        writer_scans(x);
        break;
    case 3:
        writer_reads(x, below(KEYS), true);
        break;
    case 4:
        writer_reads(x, below(KEYS), false);
        break;
    case 5:
    case 6:
    case 7:
        writer_puts(x, below(KEYS));
        break;
    case 8:
        writer_deletes(x, below(KEYS));
        break;
    case 9:
        writer_stamps(x);
        break;
    default:
        writer_commits(x);
        break;
    }
}

/* ---- runs */

static void
open_store(size_t i)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_error err = {0};
    char where[HWT_PATH + 32];

    opts.cache_bytes = 1 << 20;
    snprintf(where, sizeof where, "fdb:%s/fdb.cluster?prefix=prop", w.scratch);
    hwt_ok(hwi_store_open(where, &opts, &w.stores[i], &err), &err);
}

static void
close_store(size_t i)
{
    for (size_t r = 0; r < READERS; r++)
        if (w.readers[i][r].txn) end_reader(&w.readers[i][r]);
    if (w.writers[i].txn) drop_writer(&w.writers[i]);
    hwi_store_close(w.stores[i]);
}

static void
run(uint64_t seed, const char *faults)
{
    char path[HWT_PATH + 16];
    fdb_standin_counts before, after;

    memset(&w, 0, sizeof w);
    hwi_rng_init(&w.rng, seed);
    hwt_scratch_new(w.scratch);
    snprintf(path, sizeof path, "%s/fdb.cluster", w.scratch);
    hwt_cluster_file(path, "standin");
    fdb_standin_count(&before);
    assert_true(fdb_standin_plan(seed, faults));
    for (size_t i = 0; i < STORES; i++) open_store(i);
    for (size_t step = 0; step < STEPS; step++) {
        size_t i = below(STORES);
        if (below(2))
            step_writer(w.stores[i], &w.writers[i]);
        else
            step_reader(w.stores[i], &w.readers[i][below(READERS)]);
        if (below(400) == 0) fdb_standin_advance((int64_t)below(8000));
        if (below(300) == 0) { /* a process ends, another begins */
            close_store(i);
            open_store(i);
        }
    }
    for (size_t i = 0; i < STORES; i++) close_store(i);
    assert_true(fdb_standin_plan(0, ""));
    printf("seed %llu, faults `%s`: %zu commits, %zu conflicts, %zu reads, %zu of them too old\n",
           (unsigned long long)seed, faults, w.commits, w.conflicts, w.reads, w.stale);
    assert_true(w.commits > STEPS / 50);
    fdb_standin_count(&after);
    assert_true((after.injected > before.injected) == (faults[0] != 0));
    hwt_scratch_remove(w.scratch);
}

static void
versions_are_kept_by_many_stores_without_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) run(seed, "");
}

static void
versions_are_kept_through_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        run(seed, "conflict=.02,unknown=.08,timeout=.06,old=.02,behind=.02,future=.02,throttle=.02,"
                  "slow=.05,slow_us=300,jump=.01,short=.2");
}

static int
load(void **state)
{
    (void)state;
    setenv("HASHWOOD_FDB_LIBRARY", HWT_FDB_STANDIN, 1);
    void *library = dlopen(HWT_FDB_STANDIN, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail_msg("%s", dlerror());
    void *found = dlsym(library, "fdb_standin_plan");
    memcpy(&fdb_standin_plan, &found, sizeof found);
    found = dlsym(library, "fdb_standin_advance");
    memcpy(&fdb_standin_advance, &found, sizeof found);
    found = dlsym(library, "fdb_standin_count");
    memcpy(&fdb_standin_count, &found, sizeof found);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_kept_by_many_stores_without_faults),
        cmocka_unit_test(versions_are_kept_through_faults),
    };
    return cmocka_run_group_tests_name("fdb stores", tests, load, NULL);
}
