/* LMDB under bad circumstances: folders that cannot be written, full disks, damaged files, other
 * processes, and death. Each ends in a clear status, and with what was committed still there. */
#include "support/hwt_store.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct place {
    char scratch[HWT_PATH], db[HWT_PATH + 8], data[HWT_PATH + 24];
} place;

static int
setup(void **state)
{
    place *p = test_calloc(1, sizeof *p);
    hwt_scratch_new(p->scratch);
    snprintf(p->db, sizeof p->db, "%s/db", p->scratch);
    snprintf(p->data, sizeof p->data, "%s/data.mdb", p->db);
    *state = p;
    return 0;
}

static int
teardown(void **state)
{
    place *p = *state;
    hwt_scratch_remove(p->scratch);
    test_free(p);
    return 0;
}

static hw_db_opts
impatient(void)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    opts.busy_timeout_ms = 100;
    return opts;
}

static hw_store *
open_db(const place *p, const hw_db_opts *opts)
{
    hw_error err = {0};
    hw_store *s;
    hwt_ok(hwi_store_lmdb_open(p->db, opts, &s, &err), &err);
    return s;
}

static hw_status
try_open(const place *p, const hw_db_opts *opts, hw_error *err)
{
    hw_store *s;
    hw_status st = hwi_store_lmdb_open(p->db, opts, &s, err);
    if (st == HW_OK)
        hwi_store_close(s);
    else
        assert_null(s);
    return st;
}

/* `keys` keys of `bytes` each from `first` on, in one transaction; the first failure ends it. */
static hw_status
put_many(hw_store *s, uint32_t first, uint32_t keys, size_t bytes, hw_error *err)
{
    static uint8_t data[HWI_STORE_VALUE_MAX];
    hw_store_txn *t;
    hw_status st = HW_OK;
    hwi_key k;

    memset(data, (int)(first % 251), sizeof data);
    HWI_TRY(hwi_store_begin(s, HW_TXN_WRITE, &t, err));
    for (uint32_t i = 0; i < keys && st == HW_OK; i++) {
        hwi_key_rec(&k, 1, first + i);
        st = hwi_store_put(t, hwi_key_view(&k), hwi_bytes(data, bytes), err);
    }
    if (st == HW_OK) return hwi_store_commit(t, err);
    hwi_store_abort(t);
    return st;
}

static void
make_db(const place *p, uint32_t keys, size_t bytes)
{
    hw_error err = {0};
    hw_store *s = open_db(p, NULL);
    hwt_ok(put_many(s, 0, keys, bytes, &err), &err);
    hwi_store_close(s);
}

static uint64_t
count_keys(hw_store *s)
{
    hw_store_info info;
    hw_error err = {0};
    hwt_ok(hwi_store_info(s, &info, &err), &err);
    return info.keys;
}

static bool
count_one(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)arg;
    return true;
}

/* Touches every page of every value's first byte, unlike count_keys. */
static uint64_t
scan_keys(hw_store *s)
{
    const hw_bytes all = {NULL, 0};
    hw_error err = {0};
    uint64_t keys = 0;
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    hwt_ok(hwi_store_scan(t, all, all, false, count_one, &keys, &err), &err);
    hwi_store_abort(t);
    return keys;
}

/* ---- names that are no database */

static void
what_is_absent_or_no_folder_is_told_apart(void **state)
{
    place *p = *state;
    hw_db_opts opts = impatient();
    hw_error err = {0};
    hw_store *s;

    opts.must_exist = true;
    assert_int_equal(try_open(p, &opts, &err), HW_ENOTFOUND);
    opts.must_exist = false;
    opts.read_only = true;
    assert_int_equal(try_open(p, &opts, &err), HW_ENOTFOUND);
    assert_non_null(strstr(err.message, "no database at "));
    assert_int_equal(access(p->db, F_OK), -1); /* looking creates nothing */
    assert_int_equal(mkdir(p->db, 0777), 0);
    assert_int_equal(try_open(p, &opts, &err), HW_ENOTFOUND);
    assert_int_equal(access(p->data, F_OK), -1);

    assert_int_equal(hwi_store_lmdb_open("/nowhere/at/all", NULL, &s, &err), HW_ENOTFOUND);
    assert_int_equal(hwi_store_lmdb_open("/proc/self/status", NULL, &s, &err), HW_ECORRUPT);
    assert_non_null(strstr(err.message, "is a file and not a database folder"));
    assert_int_equal(hwi_store_open("", NULL, &s, &err), HW_EINVAL);
}

/* ---- damaged files */

static void
write_data(const place *p, const void *data, size_t bytes)
{
    FILE *out = fopen(p->data, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    assert_int_equal(fclose(out), 0);
}

static hwi_buf
read_data(const place *p)
{
    static uint8_t chunk[1 << 16];
    hwi_buf b = {0};
    FILE *in = fopen(p->data, "rb");
    assert_non_null(in);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;) hwi_buf_add(&b, chunk, n);
    fclose(in);
    return b;
}

static void
a_file_of_garbage_is_corrupt(void **state)
{
    static const size_t sizes[] = {1, 15, 100, 4096, 8191, 8192, 100000};
    static uint8_t garbage[100000];
    place *p = *state;
    hw_error err = {0};
    hwi_rng rng;

    hwi_rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof garbage; i++) garbage[i] = (uint8_t)hwi_rng_next(&rng);
    assert_int_equal(mkdir(p->db, 0777), 0);
    for (size_t i = 0; i < HWI_COUNT(sizes); i++) {
        write_data(p, garbage, sizes[i]);
        assert_int_equal(try_open(p, NULL, &err), HW_ECORRUPT);
        assert_non_null(strstr(err.message, "is not an LMDB file"));
    }
    write_data(p, garbage, 0); /* a creation that was cut off: begun again */
    hwt_ok(try_open(p, NULL, &err), &err);
}

static void
a_file_cut_at_any_page_is_corrupt_or_whole(void **state)
{
    place *p = *state;
    hw_error err = {0};
    int whole = 0;

    make_db(p, 200, 3000);
    hw_store *s = open_db(p, NULL); /* frees pages, the last ones of the file among them */
    for (int i = 0; i < 4; i++) hwt_ok(put_many(s, 100, 100, 10, &err), &err);
    hwi_store_close(s);
    hwi_buf b = read_data(p);
    for (size_t pages = b.size / 4096; pages > 1; pages--) {
        write_data(p, b.data, pages * 4096 - (pages % 3 == 0));
        hw_status st = try_open(p, NULL, &err);
        assert_true(st == HW_OK || st == HW_ECORRUPT);
        if (st != HW_OK) continue;
        whole++;
        s = open_db(p, NULL);
        assert_int_equal(scan_keys(s), 200);
        hwi_store_close(s);
    }
    assert_true(whole >= 1 && whole < (int)(b.size / 4096 / 2));
    hwi_buf_release(&b);
}

typedef struct damages {
    int count;
    char first[512];
} damages;

static void
note_damage(void *arg, const char *where, const char *what)
{
    damages *d = arg;
    if (d->count++ == 0) snprintf(d->first, sizeof d->first, "%s: %s", where, what);
}

static void
assert_undamaged(hw_store *s)
{
    damages d = {0};
    hw_error err = {0};
    if (hwi_store_verify(s, note_damage, &d, &err) != HW_OK)
        fail_msg("%s; %s", err.message, d.first);
    assert_int_equal(d.count, 0);
}

/* Any byte of any page but inside values changed: found by verify, or harmless to a scan. */
static void
a_damaged_page_is_found_without_touching_it_through_the_map(void **state)
{
    place *p = *state;
    hw_error err = {0};
    int found = 0, refused = 0;
    hwi_rng rng;

    make_db(p, 3000, 40);
    hw_store *s = open_db(p, NULL);
    hwt_ok(put_many(s, 3000, 20, 5000, &err), &err);
    hwt_ok(put_many(s, 500, 1000, 60, &err), &err);
    assert_undamaged(s);
    hwi_store_close(s);
    hwi_buf b = read_data(p);
    hwi_rng_init(&rng, 2);
    for (int i = 0; i < 1500; i++) {
        /* page headers and offsets mostly, where damage hurts */
        size_t page = hwi_rng_below(&rng, b.size / 4096);
        size_t at = page * 4096 + hwi_rng_below(&rng, i % 3 ? 64 : 4096);
        uint8_t before = b.data[at];
        b.data[at] = (uint8_t)hwi_rng_next(&rng);
        write_data(p, b.data, b.size);
        hw_status st = try_open(p, NULL, &err);
        assert_true(st == HW_OK || st == HW_ECORRUPT);
        refused += st != HW_OK;
        if (st == HW_OK) {
            damages d = {0};
            s = open_db(p, NULL);
            st = hwi_store_verify(s, note_damage, &d, &err);
            assert_int_equal(st == HW_OK, d.count == 0);
            if (st == HW_OK) assert_int_equal(scan_keys(s), 3020);
            found += st != HW_OK;
            hwi_store_close(s);
        }
        b.data[at] = before;
    }
    assert_true(found > 300);
    assert_true(refused > 0);
    hwi_buf_release(&b);
}

/* ---- folders and disks */

/* A tmpfs of one megabyte; false where that is not allowed. */
static bool
mount_small(const char *at, unsigned long flags)
{
    return mount("none", at, "tmpfs", flags, "size=1m") == 0;
}

static void
a_read_only_medium_can_be_read_and_not_written(void **state)
{
    place *p = *state;
    hw_db_opts opts = impatient();
    hw_error err = {0};

    if (!mount_small(p->scratch, 0)) skip();
    make_db(p, 10, 100);
    assert_int_equal(mount("none", p->scratch, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    hw_status writing = try_open(p, &opts, &err);
    hw_error write_err = err;
    opts.read_only = true;
    hw_store *s = NULL, *none;
    hw_status reading = hwi_store_lmdb_open(p->db, &opts, &s, &err);
    uint64_t keys = s ? scan_keys(s) : 0;
    hw_store_txn *t;
    hw_status begun = s ? hwi_store_begin(s, HW_TXN_WRITE, &t, &err) : HW_OK;
    hwi_store_close(s);
    char other[HWT_PATH + 24];
    snprintf(other, sizeof other, "%s/new", p->scratch);
    hw_status creating = hwi_store_lmdb_open(other, NULL, &none, NULL);
    assert_int_equal(umount(p->scratch), 0);

    assert_int_equal(writing, HW_EREADONLY);
    assert_non_null(strstr(write_err.message, "cannot write to"));
    assert_int_equal(reading, HW_OK);
    assert_int_equal(keys, 10);
    assert_int_equal(begun, HW_EREADONLY);
    assert_int_equal(creating, HW_EREADONLY);
}

static void
a_read_only_handle_refuses_to_write(void **state)
{
    place *p = *state;
    hw_db_opts opts = impatient();
    hw_error err = {0};
    hw_store_txn *t;

    make_db(p, 10, 100);
    opts.read_only = true;
    hw_store *s = open_db(p, &opts);
    assert_int_equal(hwi_store_begin(s, HW_TXN_WRITE, &t, &err), HW_EREADONLY);
    assert_non_null(strstr(err.message, "is open read-only"));
    assert_int_equal(scan_keys(s), 10);
    hwi_store_close(s);
}

/* Writes until it fails; then what was committed is there, and deleting makes room again. */
static void
fill_up(hw_store *s, hw_error *err)
{
    uint32_t committed = 0;
    hw_status st;

    while ((st = put_many(s, committed, 5, 9000, err)) == HW_OK) committed += 5;
    assert_int_equal(st, HW_ENOSPC);
    assert_true(committed > 0);
    assert_int_equal(scan_keys(s), committed);
}

static void
a_full_map_is_no_space_and_names_the_setting(void **state)
{
    place *p = *state;
    hw_db_opts opts = impatient();
    hw_error err = {0};

    opts.map_bytes = 1 << 20;
    hw_store *s = open_db(p, &opts);
    fill_up(s, &err);
    assert_non_null(strstr(err.message, "map_bytes (1048576)"));
    uint64_t keys = scan_keys(s);
    hwi_store_close(s);

    opts.map_bytes = 0;
    s = open_db(p, &opts);
    assert_int_equal(scan_keys(s), keys);
    hwt_ok(put_many(s, 1000, 200, 9000, &err), &err);
    assert_undamaged(s);
    hwi_store_close(s);
}

static void
a_full_disk_is_no_space_and_costs_no_commit(void **state)
{
    place *p = *state;
    hw_db_opts opts = impatient();
    hw_error err = {0};

    if (!mount_small(p->scratch, 0)) skip();
    hw_store *s = open_db(p, &opts);
    fill_up(s, &err);
    uint64_t keys = scan_keys(s);
    hwi_store_close(s);
    s = open_db(p, &opts);
    assert_int_equal(scan_keys(s), keys);
    assert_undamaged(s);
    hwt_ok(put_many(s, 0, 5, 10, &err), &err); /* replaced in place: pages come free */
    hwi_store_close(s);
    assert_int_equal(umount(p->scratch), 0);
}

/* Runs body in a child process; its exit status, or -1 when it was killed. */
static int
in_child(void (*body)(void *arg), void *arg)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CHILD_DEMANDS(condition)                                                                   \
    do {                                                                                           \
        if (!(condition)) _exit(__LINE__ % 250 + 1);                                               \
    } while (0)

static void
fill_under_a_file_size_limit(void *arg)
{
    const place *p = arg;
    struct rlimit limit = {.rlim_cur = 500000, .rlim_max = 500000};
    hw_error err = {0};
    hw_store *s;
    uint32_t committed = 0;
    hw_status st;

    signal(SIGXFSZ, SIG_IGN);
    CHILD_DEMANDS(hwi_store_lmdb_open(p->db, NULL, &s, &err) == HW_OK);
    CHILD_DEMANDS(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    while ((st = put_many(s, committed, 5, 9000, &err)) == HW_OK) committed += 5;
    CHILD_DEMANDS(st == HW_ENOSPC);
    CHILD_DEMANDS(committed > 0 && count_keys(s) == committed);
    hwi_store_close(s);
}

static void
a_file_size_limit_is_no_space(void **state)
{
    place *p = *state;

    assert_int_equal(in_child(fill_under_a_file_size_limit, p), 0);
    hw_store *s = open_db(p, NULL);
    assert_true(scan_keys(s) > 0);
    assert_undamaged(s);
    hwi_store_close(s);
}

/* ---- processes */

static void
a_folder_opens_once_in_a_process(void **state)
{
    place *p = *state;
    hw_error err = {0};

    hw_store *s = open_db(p, NULL);
    assert_int_equal(try_open(p, NULL, &err), HW_EBUSY);
    assert_non_null(strstr(err.message, "is already open in this process"));
    hwi_store_close(s);
    hwt_ok(try_open(p, NULL, &err), &err);
}

typedef struct pipes {
    const place *p;
    int to_child[2], to_parent[2];
} pipes;

static void
open_pipes(pipes *q, const place *p)
{
    q->p = p;
    assert_int_equal(pipe(q->to_child), 0);
    assert_int_equal(pipe(q->to_parent), 0);
}

static void
close_pipes(pipes *q)
{
    for (int i = 0; i < 2; i++) {
        close(q->to_child[i]);
        close(q->to_parent[i]);
    }
}

static void
say(int fd)
{
    assert_int_equal(write(fd, "!", 1), 1);
}

static void
hear(int fd)
{
    char c;
    assert_int_equal(read(fd, &c, 1), 1);
}

static pid_t
start(void (*body)(pipes *q), pipes *q)
{
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body(q);
        _exit(0);
    }
    return child;
}

static void
finish(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
hold_a_write(pipes *q)
{
    hw_store *s = open_db(q->p, NULL);
    hw_store_txn *t = hwt_begin(s, HW_TXN_WRITE);
    hwt_put(t, "child", "1");
    say(q->to_parent[1]);
    hear(q->to_child[0]);
    hwt_commit(t);
    hwi_store_close(s);
}

static void
a_writer_in_another_process_is_waited_for_and_then_busy(void **state)
{
    place *p = *state;
    hw_db_opts opts = impatient();
    hw_error err = {0};
    hw_store_txn *t;
    pipes q;

    hw_store *s = open_db(p, &opts);
    open_pipes(&q, p);
    hwi_store_close(s);
    pid_t child = start(hold_a_write, &q);
    hear(q.to_parent[0]);
    s = open_db(p, &opts); /* beside the writer */
    assert_int_equal(hwi_store_begin(s, HW_TXN_WRITE, &t, &err), HW_EBUSY);
    assert_string_equal(err.message, "another writer has held the database for more than 100 ms");
    assert_int_equal(count_keys(s), 0);
    say(q.to_child[1]);
    finish(child);
    t = hwt_begin(s, HW_TXN_WRITE);
    assert_string_equal(hwt_get(t, "child"), "1");
    hwi_store_abort(t);
    hwi_store_close(s);
    close_pipes(&q);
}

/* Another user's database: may be read, not written. Only root can play two users. */
static void
use_as_nobody(void *arg)
{
    const place *p = arg;
    hw_db_opts opts = impatient();
    hw_error err = {0};
    hw_store_txn *t;
    hw_store *s;

    CHILD_DEMANDS(setgid(65534) == 0 && setuid(65534) == 0);
    CHILD_DEMANDS(hwi_store_lmdb_open(p->db, &opts, &s, &err) == HW_EREADONLY);
    CHILD_DEMANDS(strstr(err.message, "cannot write to") != NULL);
    opts.read_only = true;
    CHILD_DEMANDS(hwi_store_lmdb_open(p->db, &opts, &s, &err) == HW_OK);
    CHILD_DEMANDS(count_keys(s) == 10);
    CHILD_DEMANDS(hwi_store_begin(s, HW_TXN_WRITE, &t, &err) == HW_EREADONLY);
    hwi_store_close(s);
    CHILD_DEMANDS(chmod(p->db, 0) != 0);
}

static void
hide_from_nobody(void *arg)
{
    const place *p = arg;
    hw_db_opts opts = impatient();
    hw_store *s;

    CHILD_DEMANDS(setgid(65534) == 0 && setuid(65534) == 0);
    opts.read_only = true;
    CHILD_DEMANDS(hwi_store_lmdb_open(p->db, &opts, &s, NULL) == HW_EREADONLY);
}

static void
another_users_folder_can_be_read_as_far_as_permissions_go(void **state)
{
    place *p = *state;

    if (geteuid() != 0) skip();
    make_db(p, 10, 100);
    assert_int_equal(chmod(p->scratch, 0755), 0);
    assert_int_equal(in_child(use_as_nobody, p), 0);
    assert_int_equal(chmod(p->db, 0700), 0);
    assert_int_equal(in_child(hide_from_nobody, p), 0);
}

static void
use_inherited(void *arg)
{
    hw_store *s = arg;
    hw_store_txn *t;
    hw_error err = {0};

    CHILD_DEMANDS(hwi_store_begin(s, HW_TXN_READ, &t, &err) == HW_EINVAL);
    CHILD_DEMANDS(strstr(err.message, "was opened before a fork") != NULL);
    CHILD_DEMANDS(hwi_store_begin(s, HW_TXN_WRITE, &t, &err) == HW_EINVAL);
    hwi_store_close(s);
}

static void
a_handle_is_refused_after_a_fork_and_the_parents_stays_good(void **state)
{
    place *p = *state;
    hw_store *s = open_db(p, NULL);

    hwt_put_now(s, "a", "1");
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    assert_int_equal(in_child(use_inherited, s), 0);
    hwt_put_now(s, "a", "2");
    assert_string_equal(hwt_get(t, "a"), "1");
    hwi_store_abort(t);
    hwi_store_close(s);
}

static void
hold_a_reader_for_ever(pipes *q)
{
    hw_store *s = open_db(q->p, NULL);
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    say(q->to_parent[1]);
    hear(q->to_child[0]);
    hwi_store_abort(t);
}

/* A reader that died keeps pages from being used again until its slot is cleared, at open. */
static void
snapshots_of_killed_readers_are_forgotten(void **state)
{
    place *p = *state;
    hw_error err = {0};
    hw_store_info before, after;
    int status;
    pipes q;

    make_db(p, 100, 5000);
    open_pipes(&q, p);
    pid_t child = start(hold_a_reader_for_ever, &q);
    hear(q.to_parent[0]);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    hw_store *s = open_db(p, NULL);
    for (int i = 0; i < 3; i++) hwt_ok(put_many(s, 0, 100, 5000, &err), &err);
    hwt_ok(hwi_store_info(s, &before, &err), &err);
    for (int i = 0; i < 20; i++) hwt_ok(put_many(s, 0, 100, 5000, &err), &err);
    hwt_ok(hwi_store_info(s, &after, &err), &err);
    assert_int_equal(after.disk_bytes, before.disk_bytes);
    hwi_store_close(s);
    close_pipes(&q);
}

static void
more_readers_than_slots_are_refused_until_one_ends(void **state)
{
    enum { MANY = 1100 };
    static hw_store_txn *readers[MANY];
    place *p = *state;
    hw_store *s = open_db(p, NULL);
    hw_error err = {0};
    hw_status st = HW_OK;
    int open = 0;

    while (open < MANY && (st = hwi_store_begin(s, HW_TXN_READ, &readers[open], &err)) == HW_OK)
        open++;
    assert_int_equal(st, HW_ELIMIT);
    assert_true(open >= 1000);
    assert_non_null(strstr(err.message, "reader slots are in use"));
    hwi_store_abort(readers[--open]);
    readers[open] = hwt_begin(s, HW_TXN_READ);
    for (open++; open > 0;) hwi_store_abort(readers[--open]);
    hwi_store_close(s);
}

static void
grow(void *arg)
{
    const place *p = arg;
    hw_error err = {0};
    hw_store *s;
    CHILD_DEMANDS(hwi_store_lmdb_open(p->db, NULL, &s, &err) == HW_OK);
    CHILD_DEMANDS(put_many(s, 0, 500, 9000, &err) == HW_OK);
    hwi_store_close(s);
}

static void
a_database_grown_by_another_process_is_followed(void **state)
{
    place *p = *state;
    hw_db_opts opts = impatient();
    hw_error err = {0};
    hw_store_txn *young;

    opts.map_bytes = 1 << 20;
    hw_store *s = open_db(p, &opts);
    hwt_put_now(s, "a", "1");
    hw_store_txn *old = hwt_begin(s, HW_TXN_READ);
    assert_int_equal(in_child(grow, p), 0);
    assert_int_equal(hwi_store_begin(s, HW_TXN_READ, &young, &err), HW_EBUSY);
    assert_string_equal(hwt_get(old, "a"), "1");
    hwi_store_abort(old);
    assert_int_equal(scan_keys(s), 501);
    hwi_store_close(s);
}

/* ---- death */

/* Commits numbered batches for ever and tells the number of each commit that returned. */
static void
commit_for_ever(pipes *q)
{
    hw_error err = {0};
    hw_store *s = open_db(q->p, NULL);
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    int64_t n;
    hwt_ok(hwi_store_get_i64(t, hwi_bytes_text("n"), &n, &err), &err);
    hwi_store_abort(t);
    for (;;) {
        n++;
        t = hwt_begin(s, HW_TXN_WRITE);
        hwt_ok(hwi_store_add(t, hwi_bytes_text("n"), 1, &err), &err);
        for (uint32_t i = 0; i < 20; i++) {
            static uint8_t data[20000];
            hwi_key k;
            hwi_put_u64(data, (uint64_t)n);
            hwi_key_rec(&k, 1, (uint32_t)(n * 7 + i * i) % 300);
            hwt_ok(hwi_store_put(t, hwi_key_view(&k), hwi_bytes(data, 8 + i * 700), &err), &err);
        }
        hwi_key k;
        hwi_key_rec(&k, 1, (uint32_t)n % 300);
        hwt_ok(hwi_store_put(t, hwi_key_view(&k), hwi_bytes(&n, 8), &err), &err);
        hwt_commit(t);
        assert_int_equal(write(q->to_parent[1], &n, sizeof n), sizeof n);
    }
}

static int64_t
last_acknowledged(int fd, int64_t before)
{
    int64_t n = before;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (read(fd, &before, sizeof before) == (ssize_t)sizeof before) n = before;
    return n;
}

static void
a_process_killed_at_any_moment_loses_no_acknowledged_commit(void **state)
{
    place *p = *state;
    hw_error err = {0};
    int64_t acknowledged = 0, n;
    hwi_rng rng;

    hwi_rng_init(&rng, 8);
    for (int round = 0; round < 100; round++) {
        pipes q;
        int status;
        open_pipes(&q, p);
        pid_t child = start(commit_for_ever, &q);
        if (round % 4 == 0) /* not before it commits */
            assert_int_equal(read(q.to_parent[0], &acknowledged, sizeof acknowledged),
                             sizeof acknowledged);
        usleep((useconds_t)hwi_rng_below(&rng, 20000));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        acknowledged = last_acknowledged(q.to_parent[0], acknowledged);
        close_pipes(&q);

        hw_store *s = open_db(p, NULL);
        hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
        hwt_ok(hwi_store_get_i64(t, hwi_bytes_text("n"), &n, &err), &err);
        assert_true(n == acknowledged ||
                    n == acknowledged + 1); /* the last one's word was cut off */
        acknowledged = n;
        hwi_store_abort(t);
        assert_undamaged(s);
        hwi_store_close(s);
    }
    assert_true(acknowledged >= 25);
}

#define WITH_PLACE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(what_is_absent_or_no_folder_is_told_apart),
        WITH_PLACE(a_file_of_garbage_is_corrupt),
        WITH_PLACE(a_file_cut_at_any_page_is_corrupt_or_whole),
        WITH_PLACE(a_damaged_page_is_found_without_touching_it_through_the_map),
        WITH_PLACE(a_read_only_medium_can_be_read_and_not_written),
        WITH_PLACE(a_read_only_handle_refuses_to_write),
        WITH_PLACE(another_users_folder_can_be_read_as_far_as_permissions_go),
        WITH_PLACE(a_full_map_is_no_space_and_names_the_setting),
        WITH_PLACE(a_full_disk_is_no_space_and_costs_no_commit),
        WITH_PLACE(a_file_size_limit_is_no_space),
        WITH_PLACE(a_folder_opens_once_in_a_process),
        WITH_PLACE(a_writer_in_another_process_is_waited_for_and_then_busy),
        WITH_PLACE(a_handle_is_refused_after_a_fork_and_the_parents_stays_good),
        WITH_PLACE(snapshots_of_killed_readers_are_forgotten),
        WITH_PLACE(more_readers_than_slots_are_refused_until_one_ends),
        WITH_PLACE(a_database_grown_by_another_process_is_followed),
        WITH_PLACE(a_process_killed_at_any_moment_loses_no_acknowledged_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
