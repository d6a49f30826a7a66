/* A child process is killed by SIGKILL at random moments while it upserts, deletes, splits leaves
 * and builds. Each time the database reopens, is sound, and holds every acknowledged transaction,
 * perhaps the one in flight, and nothing else.
 *
 * The child acknowledges a commit by a byte in a pipe, after it has returned. Transaction number n
 * does what a generator seeded with n says, so the parent knows what n transactions leave without
 * being told. Rounds go on with the same database, now and then with a new one. */
#include "support/hwt_db.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 200, IDS = 160, DIM = 6, PER_DATABASE = 25, OPERATIONS_MAX = 25 };

typedef struct point {
    bool exists;
    float v[DIM];
    uint32_t tag;
} point;

typedef struct operation {
    uint32_t id;
    bool is_delete;
    point after;
} operation;

static point model[IDS];
static uint64_t base_seed; /* of the database in use */

/* ---- What transaction n does ---- */

static size_t
plan(uint64_t n, operation *ops)
{
    hwi_rng rng;
    hwi_rng_init(&rng, base_seed * 1000003u + n);
    size_t count = 1 + (size_t)hwi_rng_below(&rng, OPERATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        operation *op = &ops[i];
        *op = (operation){.id = (uint32_t)hwi_rng_below(&rng, IDS),
                          .is_delete = hwi_rng_below(&rng, 3) == 0};
        if (op->is_delete) continue;
        op->after.exists = true;
        op->after.tag = (uint32_t)hwi_rng_below(&rng, 1000);
        for (int j = 0; j < DIM; j++) op->after.v[j] = (float)hwi_rng_below(&rng, 40) - 20;
    }
    return count;
}

static void
apply_to_model(uint64_t n)
{
    operation ops[OPERATIONS_MAX];
    size_t count = plan(n, ops);
    for (size_t i = 0; i < count; i++) model[ops[i].id] = ops[i].after;
}

static hw_status
apply_to_database(hw_db *db, hw_collection *c, uint64_t n, hw_error *err)
{
    operation ops[OPERATIONS_MAX];
    size_t count = plan(n, ops);
    hw_txn *txn;
    hw_status st = HW_OK;
    HWI_TRY(hw_txn_begin(db, &txn, err));
    for (size_t i = 0; st == HW_OK && i < count; i++) {
        hw_id id = HW_ID_U64(ops[i].id);
        hw_vector v = {.values = ops[i].after.v, .dim = DIM};
        char payload[32];
        int bytes = snprintf(payload, sizeof payload, "{\"tag\":%u}", ops[i].after.tag);
        st = ops[i].is_delete ? hw_txn_delete(txn, c, &id, NULL, err)
                              : hw_txn_upsert(txn, c, &id, &v, 1, payload, (size_t)bytes, err);
    }
    if (st == HW_OK) return hw_txn_commit(txn, err);
    hw_txn_abort(txn);
    return st;
}

static hw_db_opts
options(void)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    opts.map_bytes = (uint64_t)1 << 30;
    opts.no_sync =
        base_seed % 4 != 0; /* a kill does not lose what the kernel has; syncing is slow */
    opts.threads = 1;
    return opts;
}

/* ---- The child: works until it is killed ---- */

_Noreturn static void
child(const char *where, const hw_db_opts *opts, uint64_t n, int pipe_fd)
{
    hw_db *db;
    hw_collection *c;
    hw_error err = {0};
    if (hw_db_open(where, opts, &db, &err) != HW_OK) goto failed;
    if (hw_collection_open(db, "things", &c, &err) != HW_OK) goto failed;
    for (;; n++) {
        if (apply_to_database(db, c, n, &err) != HW_OK) goto failed;
        if (write(pipe_fd, "a", 1) != 1) _exit(2);
        if (n % 16 == 15) {
            if (write(pipe_fd, "b", 1) != 1) _exit(2);
            if (hw_collection_build(c, NULL, NULL, &err) != HW_OK) goto failed;
        }
    }
failed:
    fprintf(stderr, "child: %s\n", err.message);
    _exit(3);
}

/* The child is this program anew: a FoundationDB client cannot be forked. */
_Noreturn static void
start_child(const char *where, uint64_t n, int pipe_fd)
{
    char numbers[3][24];
    snprintf(numbers[0], sizeof numbers[0], "%llu", (unsigned long long)base_seed);
    snprintf(numbers[1], sizeof numbers[1], "%llu", (unsigned long long)n);
    snprintf(numbers[2], sizeof numbers[2], "%d", pipe_fd);
    execl("/proc/self/exe", "test_crash", where, numbers[0], numbers[1], numbers[2], (char *)NULL);
    _exit(2);
}

/* Lets the child do some commits, kills it and returns how many it acknowledged. */
static uint64_t
run_and_kill(const char *where, uint64_t n, hwi_rng *rng)
{
    int fds[2], status;
    char byte;
    uint64_t acknowledged = 0, wanted = hwi_rng_below(rng, 20);
    assert_int_equal(0, pipe(fds));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        start_child(where, n, fds[1]);
    }
    close(fds[1]);
    for (uint64_t seen = 0; seen < wanted && read(fds[0], &byte, 1) == 1; seen++) {
        acknowledged += byte == 'a';
    }
    usleep((useconds_t)hwi_rng_below(rng, 4000));
    kill(pid, SIGKILL);
    while (read(fds[0], &byte, 1) == 1) acknowledged += byte == 'a';
    close(fds[0]);
    assert_int_equal(pid, waitpid(pid, &status, 0));
    if (!WIFSIGNALED(status)) fail_msg("the child ended by itself");
    return acknowledged;
}

/* ---- The parent ---- */

static bool
holds_model(hw_collection *c)
{
    hw_error err;
    hw_result *r;
    bool is_same = true;
    for (uint32_t i = 0; i < IDS && is_same; i++) {
        hw_id id = HW_ID_U64(i);
        char payload[32];
        const point *p = &model[i];
        hwt_ok(hw_collection_get(c, &id, 1, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &r, &err), &err);
        is_same = (hw_result_count(r) == 1) == p->exists;
        if (is_same && p->exists) {
            snprintf(payload, sizeof payload, "{\"tag\":%u}", p->tag);
            is_same = strcmp(payload, hw_result_payload(r, 0, NULL)) == 0 &&
                      memcmp(hw_result_vector(r, 0, NULL, NULL), p->v, sizeof p->v) == 0;
        }
        hw_result_free(r);
    }
    return is_same;
}

/* Reopens and compares; returns how many transactions the database holds. */
static uint64_t
verify(const char *where, const hw_db_opts *opts, uint64_t acknowledged)
{
    hw_db *db;
    hw_collection *c;
    hw_error err;
    hwt_ok(hw_db_open(where, opts, &db, &err), &err);
    hwt_db_check(db);
    hwt_ok(hw_collection_open(db, "things", &c, &err), &err);
    if (!holds_model(c)) {
        apply_to_model(acknowledged++); /* the one in flight had been committed */
        if (!holds_model(c))
            fail_msg("neither %llu nor %llu transactions are there",
                     (unsigned long long)acknowledged - 1, (unsigned long long)acknowledged);
    }
    hw_collection_close(c);
    hw_db_close(db);
    return acknowledged;
}

static void
kill_over_and_over(uint64_t seed, const char *kind, int rounds)
{
    char config[200];
    hwt_place place;
    hw_db *db;
    hw_error err;
    hwi_rng rng;
    uint64_t n = 0;
    base_seed = seed;
    hw_db_opts opts = options();
    hwi_rng_init(&rng, seed);
    memset(model, 0, sizeof model);
    hwt_place_new_shared(&place);
    snprintf(config, sizeof config,
             "{\"dim\":%d,\"metric\":\"l2\",\"index\":{\"kind\":\"%s\",\"flat_below\":40,"
             "\"leaf_size\":16},\"payload_indexes\":{\"tag\":\"integer\"}}",
             DIM, kind);
    hwt_ok(hw_db_open(place.name, &opts, &db, &err), &err);
    hwt_ok(hw_collection_create(db, "things", config, &err), &err);
    hw_db_close(db);
    for (int round = 0; round < rounds; round++) {
        uint64_t more = run_and_kill(place.name, n, &rng);
        for (uint64_t i = 0; i < more; i++) apply_to_model(n + i);
        n = verify(place.name, &opts, n + more);
    }
    print_message("  seed %llu, %s: %d kills, %llu transactions\n", (unsigned long long)seed, kind,
                  rounds, (unsigned long long)n);
    hwt_place_remove(&place);
}

static void
a_killed_process_loses_nothing_acknowledged(void **state)
{
    static const char *const kinds[] = {"hybrid", "kdtree", "hybrid", "lsh"};
    (void)state;
    for (uint64_t i = 0; i < ROUNDS / PER_DATABASE; i++) {
        kill_over_and_over(i + 1, kinds[i % HWI_COUNT(kinds)], PER_DATABASE);
    }
}

int
main(int argc, char **argv)
{
    if (argc == 5) {
        base_seed = strtoull(argv[2], NULL, 10);
        hw_db_opts opts = options();
        child(argv[1], &opts, strtoull(argv[3], NULL, 10), atoi(argv[4]));
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_process_loses_nothing_acknowledged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
