/* insert_bench.c - what an online insert costs: single vectors in transactions of 1,000, into a
 * collection that has its index.
 *
 *     insert_bench DIM [INDEXED [INSERTED]]          defaults: 20000 rows indexed, 20000 inserted
 *
 * Vectors are cosine, clustered a little, from a fixed seed. Prints inserts a second of processor
 * time of this thread (other work on the machine hardly counts), with and without commits. */
#include "hashwood/hashwood.h"

#include "base/base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TXN_ROWS 1000u
#define GROUPS 500u
#define LATENTS 32u

static double
cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
check(hw_status st, const hw_error *err)
{
    if (st == HW_OK) return;
    fprintf(stderr, "insert_bench: %s\n", err->message);
    exit(1);
}

/* Row i: its group's centre, a step along 32 shared directions, noise. */
static void
make_row(const float *basis, uint32_t dim, uint64_t i, float *x)
{
    hwi_rng rng, group;

    hwi_rng_init(&rng, 77 + i);
    hwi_rng_init(&group, 1 + hwi_rng_below(&rng, GROUPS));
    memset(x, 0, dim * sizeof *x);
    for (uint32_t l = 0; l < LATENTS; l++) {
        float w = (float)(hwi_rng_normal(&group) + 0.5 * hwi_rng_normal(&rng));
        for (uint32_t j = 0; j < dim; j++) x[j] += w * basis[l * dim + j];
    }
    for (uint32_t j = 0; j < dim; j++) x[j] += 0.2f * (float)hwi_rng_unit(&rng);
}

static void
insert(hw_db *db, hw_collection *c, const float *rows, uint64_t first, uint32_t count, uint32_t dim,
       double *commit_seconds)
{
    hw_error err;
    hw_txn *txn;

    check(hw_txn_begin(db, &txn, &err), &err);
    for (uint32_t i = 0; i < count; i++) {
        hw_id id = HW_ID_U64(first + i);
        hw_vector v = {.values = rows + (size_t)i * dim, .dim = dim};
        check(hw_txn_upsert(txn, c, &id, &v, 1, NULL, 0, &err), &err);
    }
    double from = cpu_seconds();
    check(hw_txn_commit(txn, &err), &err);
    *commit_seconds += cpu_seconds() - from;
}

int
main(int argc, char **argv)
{
    uint32_t dim = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
    uint64_t indexed = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    uint64_t total = indexed + (argc > 3 ? strtoull(argv[3], NULL, 10) : 20000);
    char folder[] = "/tmp/insert_bench.XXXXXX", config[64];
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_db *db;
    hw_collection *c;
    hw_error err;
    double commit = 0, all = 0;
    hwi_rng rng;

    if (dim == 0 || !mkdtemp(folder)) {
        fprintf(stderr, "usage: insert_bench DIM [INDEXED [INSERTED]]\n");
        return 2;
    }
    float *rows = hwi_alloc((size_t)TXN_ROWS * dim * sizeof *rows);
    float *basis = hwi_alloc((size_t)LATENTS * dim * sizeof *basis);
    if (!rows || !basis) return 1;
    hwi_rng_init(&rng, 5);
    for (size_t i = 0; i < (size_t)LATENTS * dim; i++) basis[i] = (float)hwi_rng_normal(&rng);

    opts.no_sync = opts.bulk_load = true;
    opts.threads = 1;
    check(hw_db_open(folder, &opts, &db, &err), &err);
    snprintf(config, sizeof config, "{\"dim\": %u, \"metric\": \"cosine\"}", dim);
    check(hw_collection_create(db, "c", config, &err), &err);
    check(hw_collection_open(db, "c", &c, &err), &err);
    for (uint64_t i = 0; i < total; i += TXN_ROWS) {
        uint32_t count = (uint32_t)HWI_MIN(total - i, (uint64_t)TXN_ROWS);
        double ignored = 0, from;
        if (i == indexed) check(hw_collection_build(c, NULL, NULL, &err), &err);
        for (uint32_t r = 0; r < count; r++) make_row(basis, dim, i + r, rows + (size_t)r * dim);
        from = cpu_seconds();
        insert(db, c, rows, i, count, dim, i >= indexed ? &commit : &ignored);
        if (i >= indexed) all += cpu_seconds() - from;
    }
    double count = (double)(total - indexed);
    printf("dim %u: %.0f inserts a second, %.1f us each, of which %.1f in commits\n", dim,
           count / all, all / count * 1e6, commit / count * 1e6);
    hw_collection_close(c);
    hw_db_close(db);
    hwi_free(rows);
    hwi_free(basis);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? 0 : 1;
}
