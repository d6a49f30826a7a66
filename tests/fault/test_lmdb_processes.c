/* LMDB used by several processes, other users' among them, and by processes that are killed: each ends
 * in a clear status, and with what was committed still there. */
#include "support/hwt_lmdb.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- processes */

static void
a_folder_opens_once_in_a_process(void **state)
{
    hwt_lmdb *p = *state;
    hw_error err = {0};

    hw_store *s = hwt_lmdb_open(p, NULL);
    assert_int_equal(hwt_lmdb_try_open(p, NULL, &err), HW_EBUSY);
    assert_non_null(strstr(err.message, "is already open in this process"));
    hwi_store_close(s);
    hwt_ok(hwt_lmdb_try_open(p, NULL, &err), &err);
}

typedef struct pipes {
    const hwt_lmdb *p;
    int to_child[2], to_parent[2];
} pipes;

static void
open_pipes(pipes *q, const hwt_lmdb *p)
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
    hw_store *s = hwt_lmdb_open(q->p, NULL);
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
    hwt_lmdb *p = *state;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_error err = {0};
    hw_store_txn *t;
    pipes q;

    hw_store *s = hwt_lmdb_open(p, &opts);
    open_pipes(&q, p);
    hwi_store_close(s);
    pid_t child = start(hold_a_write, &q);
    hear(q.to_parent[0]);
    s = hwt_lmdb_open(p, &opts); /* beside the writer */
    assert_int_equal(hwi_store_begin(s, HW_TXN_WRITE, &t, &err), HW_EBUSY);
    assert_string_equal(err.message, "another writer has held the database for more than 100 ms");
    assert_int_equal(hwt_lmdb_count_keys(s), 0);
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
    const hwt_lmdb *p = arg;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_error err = {0};
    hw_store_txn *t;
    hw_store *s;

    HWT_CHILD_DEMANDS(setgid(65534) == 0 && setuid(65534) == 0);
    HWT_CHILD_DEMANDS(hwi_store_lmdb_open(p->db, &opts, &s, &err) == HW_EREADONLY);
    HWT_CHILD_DEMANDS(strstr(err.message, "cannot write to") != NULL);
    opts.read_only = true;
    HWT_CHILD_DEMANDS(hwi_store_lmdb_open(p->db, &opts, &s, &err) == HW_OK);
    HWT_CHILD_DEMANDS(hwt_lmdb_count_keys(s) == 10);
    HWT_CHILD_DEMANDS(hwi_store_begin(s, HW_TXN_WRITE, &t, &err) == HW_EREADONLY);
    hwi_store_close(s);
    HWT_CHILD_DEMANDS(chmod(p->db, 0) != 0);
}

static void
hide_from_nobody(void *arg)
{
    const hwt_lmdb *p = arg;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_store *s;

    HWT_CHILD_DEMANDS(setgid(65534) == 0 && setuid(65534) == 0);
    opts.read_only = true;
    HWT_CHILD_DEMANDS(hwi_store_lmdb_open(p->db, &opts, &s, NULL) == HW_EREADONLY);
}

static void
another_users_folder_can_be_read_as_far_as_permissions_go(void **state)
{
    hwt_lmdb *p = *state;

    if (geteuid() != 0) skip();
    hwt_lmdb_make(p, 10, 100);
    assert_int_equal(chmod(p->scratch, 0755), 0);
    assert_int_equal(hwt_in_child(use_as_nobody, p), 0);
    assert_int_equal(chmod(p->db, 0700), 0);
    assert_int_equal(hwt_in_child(hide_from_nobody, p), 0);
}

static void
use_inherited(void *arg)
{
    hw_store *s = arg;
    hw_store_txn *t;
    hw_error err = {0};

    HWT_CHILD_DEMANDS(hwi_store_begin(s, HW_TXN_READ, &t, &err) == HW_EINVAL);
    HWT_CHILD_DEMANDS(strstr(err.message, "was opened before a fork") != NULL);
    HWT_CHILD_DEMANDS(hwi_store_begin(s, HW_TXN_WRITE, &t, &err) == HW_EINVAL);
    hwi_store_close(s);
}

static void
a_handle_is_refused_after_a_fork_and_the_parents_stays_good(void **state)
{
    hwt_lmdb *p = *state;
    hw_store *s = hwt_lmdb_open(p, NULL);

    hwt_put_now(s, "a", "1");
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    assert_int_equal(hwt_in_child(use_inherited, s), 0);
    hwt_put_now(s, "a", "2");
    assert_string_equal(hwt_get(t, "a"), "1");
    hwi_store_abort(t);
    hwi_store_close(s);
}

static void
hold_a_reader_for_ever(pipes *q)
{
    hw_store *s = hwt_lmdb_open(q->p, NULL);
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    say(q->to_parent[1]);
    hear(q->to_child[0]);
    hwi_store_abort(t);
}

/* A reader that died keeps pages from being used again until its slot is cleared, at open. */
static void
snapshots_of_killed_readers_are_forgotten(void **state)
{
    hwt_lmdb *p = *state;
    hw_error err = {0};
    hw_store_info before, after;
    int status;
    pipes q;

    hwt_lmdb_make(p, 100, 5000);
    open_pipes(&q, p);
    pid_t child = start(hold_a_reader_for_ever, &q);
    hear(q.to_parent[0]);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    hw_store *s = hwt_lmdb_open(p, NULL);
    for (int i = 0; i < 3; i++) hwt_ok(hwt_lmdb_put_many(s, 0, 100, 5000, &err), &err);
    hwt_ok(hwi_store_info(s, &before, &err), &err);
    for (int i = 0; i < 20; i++) hwt_ok(hwt_lmdb_put_many(s, 0, 100, 5000, &err), &err);
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
    hwt_lmdb *p = *state;
    hw_store *s = hwt_lmdb_open(p, NULL);
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
    const hwt_lmdb *p = arg;
    hw_error err = {0};
    hw_store *s;
    HWT_CHILD_DEMANDS(hwi_store_lmdb_open(p->db, NULL, &s, &err) == HW_OK);
    HWT_CHILD_DEMANDS(hwt_lmdb_put_many(s, 0, 500, 9000, &err) == HW_OK);
    hwi_store_close(s);
}

static void
a_database_grown_by_another_process_is_followed(void **state)
{
    hwt_lmdb *p = *state;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_error err = {0};
    hw_store_txn *young;

    opts.map_bytes = 1 << 20;
    hw_store *s = hwt_lmdb_open(p, &opts);
    hwt_put_now(s, "a", "1");
    hw_store_txn *old = hwt_begin(s, HW_TXN_READ);
    assert_int_equal(hwt_in_child(grow, p), 0);
    assert_int_equal(hwi_store_begin(s, HW_TXN_READ, &young, &err), HW_EBUSY);
    assert_string_equal(hwt_get(old, "a"), "1");
    hwi_store_abort(old);
    assert_int_equal(hwt_lmdb_scan_keys(s), 501);
    hwi_store_close(s);
}

/* ---- death */

/* Commits numbered batches for ever and tells the number of each commit that returned. */
static void
commit_for_ever(pipes *q)
{
    hw_error err = {0};
    hw_store *s = hwt_lmdb_open(q->p, NULL);
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
    hwt_lmdb *p = *state;
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

        hw_store *s = hwt_lmdb_open(p, NULL);
        hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
        hwt_ok(hwi_store_get_i64(t, hwi_bytes_text("n"), &n, &err), &err);
        assert_true(n == acknowledged ||
                    n == acknowledged + 1); /* the last one's word was cut off */
        acknowledged = n;
        hwi_store_abort(t);
        hwt_lmdb_assert_undamaged(s);
        hwi_store_close(s);
    }
    assert_true(acknowledged >= 25);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HWT_WITH_LMDB(another_users_folder_can_be_read_as_far_as_permissions_go),
        HWT_WITH_LMDB(a_folder_opens_once_in_a_process),
        HWT_WITH_LMDB(a_writer_in_another_process_is_waited_for_and_then_busy),
        HWT_WITH_LMDB(a_handle_is_refused_after_a_fork_and_the_parents_stays_good),
        HWT_WITH_LMDB(snapshots_of_killed_readers_are_forgotten),
        HWT_WITH_LMDB(more_readers_than_slots_are_refused_until_one_ends),
        HWT_WITH_LMDB(a_database_grown_by_another_process_is_followed),
        HWT_WITH_LMDB(a_process_killed_at_any_moment_loses_no_acknowledged_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
