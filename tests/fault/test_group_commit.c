/* Transactions that share a commit: what each sees, when each returns, and what is left when one of
 * them fails, rests too long, or the process is killed.
 *
 * The steps are forced into order by the writer's turn: who commits while another waits in begin
 * opens a group, and the other joins it. */
#include "support/hwt_db.h"
#include "support/hwt_store.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 8, EACH = 40, DIM = 8, BIG = 60000 };

static void
pause_ms(unsigned ms)
{
    usleep((useconds_t)ms * 1000);
}

/* ---- Two transactions in one group ---- */

typedef struct first {
    hw_store *store;
    hw_store_txn *txn;
    unsigned pause_ms;
    uint64_t before; /* the store's version */
    pthread_t thread;
    atomic_bool returned;
    hw_status status;
    hw_error err;
} first;

static void *
commit_first(void *arg)
{
    first *f = arg;
    pause_ms(f->pause_ms); /* the main thread waits in begin by then */
    f->status = hwi_store_commit(f->txn, &f->err);
    atomic_store(&f->returned, true);
    return NULL;
}

/* Transaction 1 has put `one` and is committing; returns transaction 2, which has joined it. */
static hw_store_txn *
join_first(first *f, hw_store *store)
{
    for (unsigned ms = 20; ms < 5000; ms *= 2) {
        hw_error err = {0};
        memset(f, 0, sizeof *f);
        f->store = store;
        f->pause_ms = ms;
        f->before = hwi_store_newest(store);
        f->txn = hwt_begin(store, HW_TXN_WRITE);
        hwt_put(f->txn, "one", "1");
        assert_int_equal(0, pthread_create(&f->thread, NULL, commit_first, f));
        hw_store_txn *t = hwt_begin(store, HW_TXN_WRITE);
        if (t->group) return t;
        pthread_join(f->thread, NULL); /* it was faster: on a loaded machine we come late */
        hwt_ok(hwi_store_del(t, hwi_bytes_text("one"), &err), &err);
        hwt_commit(t);
    }
    fail_msg("no transaction joined another");
    return NULL;
}

static bool
reader_sees(hw_store *store, const char *key)
{
    hw_store_txn *t = hwt_begin(store, HW_TXN_READ);
    hw_bytes value;
    bool sees = hwi_store_get(t, hwi_bytes_text(key), &value, NULL) == HW_OK;
    hwi_store_abort(t);
    return sees;
}

static int
setup(void **state)
{
    hwt_store *s = test_calloc(1, sizeof *s);
    hwt_store_open_patient(s, HWT_LMDB);
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

static void
joined_sees_what_readers_do_not(void **state)
{
    hw_store *s = ((hwt_store *)*state)->store;
    first f;
    hw_store_txn *t = join_first(&f, s);

    assert_string_equal(hwt_get(t, "one"), "1");
    assert_false(reader_sees(s, "one"));
    assert_false(atomic_load(&f.returned));
    hwt_put(t, "two", "2");
    hwt_commit(t);
    pthread_join(f.thread, NULL);
    assert_int_equal(f.status, HW_OK);
    assert_true(reader_sees(s, "one"));
    assert_true(reader_sees(s, "two"));
    assert_int_equal(hwi_store_newest(s), f.before + 1);
}

static void
abort_of_one_leaves_the_other(void **state)
{
    hw_store *s = ((hwt_store *)*state)->store;
    first f;
    hw_store_txn *t = join_first(&f, s);

    hwt_put(t, "two", "2");
    hwt_put(t, "one", "overwritten");
    hwi_store_abort(t);
    pthread_join(f.thread, NULL);
    assert_int_equal(f.status, HW_OK);
    t = hwt_begin(s, HW_TXN_READ);
    assert_string_equal(hwt_get(t, "one"), "1");
    assert_null(hwt_get(t, "two"));
    hwi_store_abort(t);
}

/* Too much for the memory of a log, and for LMDB's list of changed pages when big. */
static void
put_big(hw_store_txn *t, uint32_t count)
{
    static uint8_t bytes[BIG];
    hw_error err = {0};
    char key[16];

    for (uint32_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "big%06u", i);
        memset(bytes, (int)(i & 255), 64);
        hwt_ok(hwi_store_put(t, hwi_bytes_text(key), hwi_bytes(bytes, BIG), &err), &err);
    }
}

static void
a_large_one_may_join(void **state)
{
    hwt_store *s = *state;
    first f;
    hw_store_txn *t = join_first(&f, s->store);

    put_big(t, 1000); /* 60 MB: no log is kept of that */
    hwi_store_rest(t);
    pause_ms(60);
    assert_int_equal(hwi_store_wake(t, NULL), HW_OK);
    assert_true(t->group != 0);
    hwt_commit(t);
    pthread_join(f.thread, NULL);
    assert_int_equal(f.status, HW_OK);
    hwt_store_reopen(s);
    assert_true(reader_sees(s->store, "one"));
    assert_true(reader_sees(s->store, "big000999"));
    assert_int_equal(hwi_store_verify(s->store, NULL, NULL, NULL), HW_OK);
}

/* ---- Resting ---- */

static void
a_resting_one_keeps_nobody_waiting(void **state)
{
    hwt_store *s = *state;
    first f;
    hw_error err = {0};
    hw_store_txn *t = join_first(&f, s->store);

    hwt_put(t, "two", "2");
    hwt_put(t, "one", "changed");
    hwt_put(t, "gone", "x");
    hwt_ok(hwi_store_del(t, hwi_bytes_text("gone"), &err), &err);
    hwi_store_rest(t);
    pthread_join(f.thread, NULL); /* returns although t stays open */
    assert_int_equal(f.status, HW_OK);
    assert_true(reader_sees(s->store, "one"));
    assert_false(reader_sees(s->store, "two"));

    hwt_ok(hwi_store_wake(t, &err), &err);
    assert_int_equal(t->group, 0);
    assert_string_equal(hwt_get(t, "two"), "2");
    assert_string_equal(hwt_get(t, "one"), "changed");
    assert_null(hwt_get(t, "gone"));
    hwt_put(t, "three", "3");
    hwt_commit(t);
    t = hwt_begin(s->store, HW_TXN_READ);
    assert_string_equal(hwt_scan(t, "", "", false), "one=changed three=3 two=2 ");
    hwi_store_abort(t);
    assert_int_equal(hwi_store_verify(s->store, NULL, NULL, NULL), HW_OK);
}

static void
a_resting_one_may_abort_after_all(void **state)
{
    hw_store *s = ((hwt_store *)*state)->store;
    first f;
    hw_store_txn *t = join_first(&f, s);

    hwt_put(t, "two", "2");
    hwi_store_rest(t);
    pthread_join(f.thread, NULL);
    hwi_store_abort(t);
    assert_true(reader_sees(s, "one"));
    assert_false(reader_sees(s, "two"));
    hwt_put_now(s, "three", "3"); /* the turn came back */
}

/* ---- A commit that fails ---- */

/* A limit on the file's size stands for a full disk. In a child, as it cannot be lifted. */
static void
fail_together(const char *folder)
{
    struct rlimit limit = {.rlim_cur = 100000, .rlim_max = 100000};
    hw_store *s;
    first f;
    hw_error err = {0};

    signal(SIGXFSZ, SIG_IGN);
    if (hwi_store_lmdb_open(folder, NULL, &s, &err) != HW_OK) _exit(2);
    hw_store_txn *t = join_first(&f, s);
    put_big(t, 10);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(3);
    if (hwi_store_commit(t, &err) != HW_ENOSPC) _exit(4);
    pthread_join(f.thread, NULL);
    if (f.status != HW_ENOSPC) _exit(5);
    if (reader_sees(s, "one")) _exit(6);
    hwt_put_now(s, "later", "1");
    hwi_store_close(s);
    _exit(0);
}

static void
a_failed_sync_fails_all(void **state)
{
    hwt_store *s = *state;
    int status;

    hwi_store_close(s->store);
    fflush(stdout);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) fail_together(s->place.name);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    hw_error err = {0};
    hwt_ok(hwi_store_lmdb_open(s->place.name, &s->opts, &s->store, &err), &err);
    assert_false(reader_sees(s->store, "one"));
    assert_true(reader_sees(s->store, "later"));
}

/* ---- Points from many threads ---- */

typedef struct writer {
    hw_db *db;
    hw_collection *c;
    uint32_t number;
    pthread_t thread;
    int pipe_fd; /* -1: none */
    bool sleeps; /* between the calls of a transaction, long enough to be taken out of a group */
    bool failed;
} writer;

static void
vector_of(uint64_t id, float v[DIM])
{
    hwi_rng rng;
    hwi_rng_init(&rng, id);
    for (int j = 0; j < DIM; j++) v[j] = (float)hwi_rng_normal(&rng);
}

/* Two points in one transaction: both are there, or none. */
static hw_status
write_pair(writer *w, uint64_t id, hw_error *err)
{
    hw_txn *txn;
    float v[DIM];
    HWI_TRY(hw_txn_begin(w->db, &txn, err));
    for (uint64_t k = 0; k < 2; k++) {
        hw_id point = HW_ID_U64(id + k);
        hw_vector given = {.values = v, .dim = DIM};
        vector_of(id + k, v);
        hw_status st = hw_txn_upsert(txn, w->c, &point, &given, 1, NULL, 0, err);
        if (st != HW_OK) {
            hw_txn_abort(txn);
            return st;
        }
        if (w->sleeps && id % 20 == 0) pause_ms(30);
    }
    if (id % 10 == 6) {
        hw_txn_abort(txn);
        return HW_OK;
    }
    return hw_txn_commit(txn, err);
}

static hw_status
write_call(writer *w, uint64_t id, hw_error *err)
{
    float v[2 * DIM];
    hw_id ids[2] = {HW_ID_U64(id), HW_ID_U64(id + 1)};
    vector_of(id, v);
    vector_of(id + 1, v + DIM);
    return hw_collection_upsert(w->c, ids, v, 2, NULL, err);
}

static void *
write_pairs(void *arg)
{
    writer *w = arg;
    for (uint64_t i = 0; i < EACH || w->pipe_fd >= 0; i++) {
        uint64_t id = w->number * 100000 + 2 * i;
        hw_error err = {0};
        hw_status st = w->number % 2 ? write_pair(w, id, &err) : write_call(w, id, &err);
        if (st != HW_OK) {
            fprintf(stderr, "writer %u: %s\n", w->number, err.message);
            w->failed = true;
            return NULL;
        }
        if (w->pipe_fd >= 0 && write(w->pipe_fd, &id, sizeof id) != sizeof id) _exit(2);
    }
    return NULL;
}

/* The aborted ones are odd writers' with an id that ends in 6. */
static bool
is_expected(uint64_t id)
{
    return id / 100000 % 2 == 0 || id / 2 * 2 % 10 != 6;
}

static bool
holds(hw_collection *c, uint64_t id)
{
    hw_error err = {0};
    hw_result *r = NULL;
    hw_id point = HW_ID_U64(id);
    hwt_ok(hw_collection_get(c, &point, 1, HW_WITH_VECTOR, &r, &err), &err);
    bool there = hw_result_count(r) == 1;
    uint32_t dim;
    float v[DIM];
    vector_of(id, v);
    if (there) assert_memory_equal(hw_result_vector(r, 0, NULL, &dim), v, sizeof v);
    hw_result_free(r);
    return there;
}

static void
start_writers(writer *w, hw_db *db, hw_collection *c, int pipe_fd, bool sleeps)
{
    for (uint32_t i = 0; i < WRITERS; i++) {
        w[i] = (writer){.db = db, .c = c, .number = i, .pipe_fd = pipe_fd, .sleeps = sleeps};
        assert_int_equal(0, pthread_create(&w[i].thread, NULL, write_pairs, &w[i]));
    }
}

static void
open_things(const char *folder, hw_db **db, hw_collection **c)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_error err = {0};
    opts.busy_timeout_ms = 60000;
    hwt_ok(hw_db_open(folder, &opts, db, &err), &err);
    hw_status st = hw_collection_create(
        *db, "things", "{\"dim\": 8, \"metric\": \"l2\", \"index\": {\"flat_below\": 60}}", &err);
    assert_true(st == HW_OK || st == HW_EEXIST);
    hwt_ok(hw_collection_open(*db, "things", c, &err), &err);
}

static void
many_threads_write_with_few_commits(void **state)
{
    hwt_store *s = *state;
    hw_db *db;
    hw_collection *c;
    writer w[WRITERS];
    char folder[HWT_PATH + 16];

    snprintf(folder, sizeof folder, "%s/points", s->place.scratch);
    open_things(folder, &db, &c);
    start_writers(w, db, c, -1, true);
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(w[i].thread, NULL);
        assert_false(w[i].failed);
    }
    for (uint64_t n = 0; n < WRITERS; n++) {
        for (uint64_t id = n * 100000; id < n * 100000 + 2 * EACH; id++) {
            assert_int_equal(holds(c, id), is_expected(id));
        }
    }
    hwt_db_check(db);
    hw_collection_close(c);
    hw_db_close(db);
}

/* Kills a child whose threads write; every transaction it told of is there, and none is there by
 * half. */
static void
killed_groups_are_there_or_not(void **state)
{
    hwt_store *s = *state;
    char folder[HWT_PATH + 32];
    hwi_rng rng;

    hwi_rng_init(&rng, 99);
    for (int round = 0; round < 12; round++) {
        int fds[2], status;
        uint64_t id, told[WRITERS * 4096], count = 0, wanted = hwi_rng_below(&rng, 60);
        snprintf(folder, sizeof folder, "%s/round%d", s->place.scratch, round);
        assert_int_equal(0, pipe(fds));
        fflush(stdout);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            hw_db *db;
            hw_collection *c;
            writer w[WRITERS];
            open_things(folder, &db, &c);
            start_writers(w, db, c, fds[1], false);
            pthread_join(w[0].thread, NULL);
            _exit(3);
        }
        close(fds[1]);
        while (count < wanted && read(fds[0], &id, sizeof id) == sizeof id) told[count++] = id;
        usleep((useconds_t)hwi_rng_below(&rng, 8000));
        kill(pid, SIGKILL);
        while (count < HWI_COUNT(told) && read(fds[0], &id, sizeof id) == sizeof id)
            told[count++] = id;
        close(fds[0]);
        assert_int_equal(pid, waitpid(pid, &status, 0));
        assert_true(WIFSIGNALED(status));

        hw_db *db;
        hw_collection *c;
        open_things(folder, &db, &c);
        for (uint64_t i = 0; i < count; i++)
            assert_int_equal(holds(c, told[i]), is_expected(told[i]));
        for (uint64_t n = 0; n < WRITERS; n++)
            for (uint64_t pair = n * 100000; pair < n * 100000 + 2000; pair += 2) {
                if (pair > n * 100000 + 2 * count + 40) break;
                assert_int_equal(holds(c, pair), holds(c, pair + 1));
            }
        hwt_db_check(db);
        hw_collection_close(c);
        hw_db_close(db);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(joined_sees_what_readers_do_not, setup, teardown),
        cmocka_unit_test_setup_teardown(abort_of_one_leaves_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_one_may_join, setup, teardown),
        cmocka_unit_test_setup_teardown(a_resting_one_keeps_nobody_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(a_resting_one_may_abort_after_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_fails_all, setup, teardown),
        cmocka_unit_test_setup_teardown(many_threads_write_with_few_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_groups_are_there_or_not, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
