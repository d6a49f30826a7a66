/* insert_bench.c - what an online insert costs: single vectors in transactions of 1,000, into a
 * collection that has its index.
 *
 *     insert_bench DIM [INDEXED [INSERTED]]          defaults: 20000 rows indexed, 20000 inserted
 *
 * Vectors are cosine, clustered a little, from a fixed seed. Prints inserts a second of processor
 * time of this thread (other work on the machine hardly counts), with and without commits. */
#include "rows.h"

#include <unistd.h>

#define TXN_ROWS 1000u

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

    if (dim == 0 || !mkdtemp(folder)) {
        fprintf(stderr, "usage: insert_bench DIM [INDEXED [INSERTED]]\n");
        return 2;
    }
    float *rows = hwi_alloc((size_t)TXN_ROWS * dim * sizeof *rows);
    float *basis = rows_basis(dim);
    if (!rows) return 1;

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
        for (uint32_t r = 0; r < count; r++) rows_make(basis, dim, i + r, rows + (size_t)r * dim);
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
