/* commit_bench.c - what durable commits cost: transactions of one vector, from one thread and then
 * from several at once, each waiting until its own is on disk.
 *
 *     commit_bench FOLDER [DIM [INDEXED [SECONDS [WRITERS]]]]     defaults: 128 20000 3 8
 *
 * FOLDER must not exist yet: it is made, on the disk to measure, and stays there.
 * Half of the writers call hw_collection_upsert, the others begin and commit themselves. Prints
 * transactions a second of wall time and processor time a transaction. */
#include "rows.h"

#include <pthread.h>

#define BATCH 1000u
#define WRITERS_MAX 64u

typedef struct shared {
    hw_db *db;
    hw_collection *c;
    uint32_t dim;
    uint64_t until_us;
    atomic_uint_least64_t next_id;
} shared;

typedef struct writer {
    shared *s;
    pthread_t thread;
    bool own_txn;
    uint64_t commits;
    hwi_rng rng;
} writer;

static void
fill(hwi_rng *rng, float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) x[i] = (float)hwi_rng_normal(rng);
}

static void
write_one(writer *w, const float *x)
{
    shared *s = w->s;
    hw_error err;
    hw_txn *txn;
    hw_id id = HW_ID_U64(atomic_fetch_add(&s->next_id, 1));
    hw_vector v = {.values = x, .dim = s->dim};

    if (!w->own_txn) {
        check(hw_collection_upsert(s->c, &id, x, 1, NULL, &err), &err);
        return;
    }
    check(hw_txn_begin(s->db, &txn, &err), &err);
    check(hw_txn_upsert(txn, s->c, &id, &v, 1, NULL, 0, &err), &err);
    check(hw_txn_commit(txn, &err), &err);
}

static void *
run(void *arg)
{
    writer *w = arg;
    float *x = hwi_alloc(w->s->dim * sizeof *x);
    if (!x) exit(1);
    while (hwi_clock_us() < w->s->until_us) {
        fill(&w->rng, x, w->s->dim);
        write_one(w, x);
        w->commits++;
    }
    hwi_free(x);
    return NULL;
}

/* Transactions a second. */
static double
measure(shared *s, uint32_t writers, double seconds)
{
    writer w[WRITERS_MAX] = {0};
    uint64_t commits = 0, from_us = hwi_clock_us();
    double cpu = cpu_seconds();

    s->until_us = from_us + (uint64_t)(seconds * 1e6);
    for (uint32_t i = 0; i < writers; i++) {
        w[i].s = s;
        w[i].own_txn = i % 2;
        hwi_rng_init(&w[i].rng, atomic_load(&s->next_id) + i);
        if (pthread_create(&w[i].thread, NULL, run, &w[i]) != 0) exit(1);
    }
    for (uint32_t i = 0; i < writers; i++) {
        pthread_join(w[i].thread, NULL);
        commits += w[i].commits;
    }
    double rate = (double)commits * 1e6 / (double)(hwi_clock_us() - from_us);
    cpu = (cpu_seconds() - cpu) * 1e6 / (double)HWI_MAX(commits, 1u);
    printf("%2u writers: %7.0f transactions a second, %.0f us of processor time each\n", writers,
           rate, cpu);
    return rate;
}

static void
load(shared *s, uint64_t count)
{
    hw_id ids[BATCH];
    float *rows = hwi_alloc((size_t)BATCH * s->dim * sizeof *rows);
    hw_error err;
    hwi_rng rng;

    if (!rows) exit(1);
    hwi_rng_init(&rng, 7);
    for (uint64_t i = 0; i < count; i += BATCH) {
        size_t n = (size_t)HWI_MIN(count - i, (uint64_t)BATCH);
        for (size_t r = 0; r < n; r++) ids[r] = (hw_id)HW_ID_U64(i + r);
        fill(&rng, rows, n * s->dim);
        check(hw_collection_upsert(s->c, ids, rows, n, NULL, &err), &err);
    }
    hwi_free(rows);
    atomic_init(&s->next_id, count);
    if (count) check(hw_collection_build(s->c, NULL, NULL, &err), &err);
}

int
main(int argc, char **argv)
{
    shared s = {.dim = argc > 2 ? (uint32_t)atoi(argv[2]) : 128};
    uint64_t indexed = argc > 3 ? strtoull(argv[3], NULL, 10) : 20000;
    double seconds = argc > 4 ? atof(argv[4]) : 3;
    uint32_t writers = argc > 5 ? (uint32_t)atoi(argv[5]) : 8;
    hw_db_opts opts = HW_DB_OPTS_INIT;
    char config[64];
    hw_error err;

    if (argc < 2 || s.dim == 0 || writers == 0 || writers > WRITERS_MAX) {
        fprintf(stderr, "usage: commit_bench FOLDER [DIM [INDEXED [SECONDS [WRITERS]]]]\n");
        return 2;
    }
    opts.threads = 1;
    check(hw_db_open(argv[1], &opts, &s.db, &err), &err);
    snprintf(config, sizeof config, "{\"dim\": %u, \"metric\": \"l2\"}", s.dim);
    check(hw_collection_create(s.db, "c", config, &err), &err);
    check(hw_collection_open(s.db, "c", &s.c, &err), &err);
    load(&s, indexed);
    double one = 0, many = 0;
    for (int round = 0; round < 2; round++) { /* in turn, since disks have moods */
        one += measure(&s, 1, seconds);
        many += measure(&s, writers, seconds);
    }
    printf("%u writers reach %.1f times the rate of one\n", writers, many / one);
    hw_collection_close(s.c);
    hw_db_close(s.db);
    return 0;
}
