/* kinds_bench.c - sparse vectors, multi-vectors and rules: time to load, and of a query.
 *
 *     kinds_bench [DOCS [KIND]]        default 100000, all of sparse, dense, multi
 *
 * sparse: 30 of 30,000 indices a point, drawn so that few are common (rank ^ -0.8); queries of 10
 * indices from the same distribution. rules: 128 dimensions, two pairs. multi: 8 to 24 rows of 64. */
#include "common.h"

#include <math.h>

#include "base/base.h"

enum { WORDS = 30000, PAIRS = 30, ASKED = 10, DIM = 128, TOKEN_DIM = 64, BATCH = 2000 };

static hw_error err;

static double cumulated[WORDS];

static void
make_words(void)
{
    double sum = 0;
    for (int i = 0; i < WORDS; i++) cumulated[i] = sum += pow(i + 1, -0.8);
    for (int i = 0; i < WORDS; i++) cumulated[i] /= sum;
}

static uint32_t
word(hwi_rng *rng)
{
    double u = hwi_rng_unit(rng);
    uint32_t from = 0, to = WORDS - 1;
    while (from < to) {
        uint32_t mid = (from + to) / 2;
        if (cumulated[mid] < u)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

/* Distinct words; returns how many. */
static uint32_t
words(hwi_rng *rng, uint32_t wanted, uint32_t *indices, float *values)
{
    uint32_t n = 0;
    for (uint32_t tries = 0; n < wanted && tries < wanted * 4; tries++) {
        uint32_t w = word(rng), j = 0;
        while (j < n && indices[j] != w) j++;
        if (j < n) continue;
        indices[n] = w;
        values[n++] = (float)hwi_rng_unit(rng) + 0.1f;
    }
    return n;
}

/* Of this thread's processor time: a busy machine does not count. */
static double
seconds(void)
{
    return clock_seconds(CLOCK_THREAD_CPUTIME_ID);
}

static void
load(hw_db *db, hw_collection *c, const char *kind, uint64_t docs)
{
    static float values[24 * TOKEN_DIM + DIM];
    uint32_t indices[PAIRS];
    hwi_rng rng;
    hw_txn *txn = NULL;
    double began = seconds();
    hwi_rng_init(&rng, 1);
    for (uint64_t i = 0; i < docs; i++) {
        hw_vector v = {.name = kind, .values = values};
        hw_id id = HW_ID_U64(i);
        if (!txn) check(hw_txn_begin(db, &txn, &err), &err);
        if (strcmp(kind, "sparse") == 0) {
            v.dim = words(&rng, PAIRS, indices, values);
            v.indices = indices;
        } else {
            v.dim = strcmp(kind, "multi") == 0 ? TOKEN_DIM : DIM;
            v.rows = v.dim == DIM ? 1 : 8 + (uint32_t)hwi_rng_below(&rng, 17);
            for (uint32_t j = 0; j < v.dim * v.rows; j++) values[j] = (float)hwi_rng_normal(&rng);
        }
        check(hw_txn_upsert(txn, c, &id, &v, 1, NULL, 0, &err), &err);
        if ((i + 1) % BATCH && i + 1 < docs) continue;
        check(hw_txn_commit(txn, &err), &err);
        txn = NULL;
    }
    double took = seconds() - began;
    printf("%-7s load %8.0f points/s\n", kind, (double)docs / took);
}

static void
report(const char *what, double *times, int n)
{
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && times[j - 1] > times[j]; j--) {
            double t = times[j];
            times[j] = times[j - 1], times[j - 1] = t;
        }
    printf("%-14s median %8.3f ms, 95 of 100 below %8.3f ms\n", what, times[n / 2] * 1e3,
           times[n * 95 / 100] * 1e3);
}

static void
ask(hw_collection *c, const char *what, const char *kind, hw_rule rule, int queries)
{
    static float values[5][32 * TOKEN_DIM];
    uint32_t indices[ASKED];
    hw_example examples[4];
    double times[200];
    hwi_rng rng;
    hwi_rng_init(&rng, 7);
    for (int i = 0; i < queries; i++) {
        hw_query q = HW_QUERY_INIT;
        hw_result *r;
        q.vector_name = kind, q.rule = rule;
        q.vector = values[4];
        q.dim = strcmp(kind, "multi") == 0 ? TOKEN_DIM : DIM;
        q.rows = q.dim == DIM ? 1 : 32;
        for (int j = 0; j < 5; j++)
            for (int d = 0; d < 32 * TOKEN_DIM; d++) values[j][d] = (float)hwi_rng_normal(&rng);
        if (strcmp(kind, "sparse") == 0) {
            q.dim = words(&rng, ASKED, indices, values[4]);
            q.indices = indices, q.rows = 1;
        }
        for (int j = 0; j < 4; j++)
            examples[j] =
                (hw_example){.vector = {.values = values[j], .dim = DIM}, .negative = j % 2};
        if (rule != HW_RULE_NEAREST) q.examples = examples, q.example_count = 4;
        if (rule != HW_RULE_NEAREST && rule != HW_RULE_DISCOVER) q.vector = NULL;
        double began = seconds();
        check(hw_collection_search(c, &q, &r, &err), &err);
        times[i] = seconds() - began;
        hw_result_free(r);
    }
    report(what, times, queries);
}

int
main(int argc, char **argv)
{
    uint64_t docs = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    char folder[] = "/tmp/kinds-XXXXXX", command[64];
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_db *db;
    hw_collection *c;
    if (!mkdtemp(folder)) return 1;
    opts.no_sync = opts.bulk_load = true;
    make_words();
    check(hw_db_open(folder, &opts, &db, &err), &err);
    check(hw_collection_create(db, "c",
                               "{\"vectors\": {\"dense\": {\"dim\": 128, \"metric\": \"l2\"}, "
                               "\"multi\": {\"dim\": 64, \"metric\": \"cosine\", "
                               "\"multivector_config\": {\"comparator\": \"max_sim\"}}}, "
                               "\"sparse_vectors\": {\"sparse\": {\"modifier\": \"idf\"}}}",
                               &err),
          &err);
    check(hw_collection_open(db, "c", &c, &err), &err);
    const char *only = argc > 2 ? argv[2] : "sparse dense multi";
    if (strstr(only, "sparse")) {
        load(db, c, "sparse", docs);
        ask(c, "sparse", "sparse", HW_RULE_NEAREST, 100);
    }
    if (strstr(only, "dense")) {
        load(db, c, "dense", docs);
        ask(c, "best score", "dense", HW_RULE_BEST_SCORE, 20);
        ask(c, "discover", "dense", HW_RULE_DISCOVER, 20);
    }
    if (strstr(only, "multi")) {
        load(db, c, "multi", docs / 10);
        ask(c, "multi", "multi", HW_RULE_NEAREST, 20);
    }
    char *stats;
    check(hw_collection_stats(c, &stats, &err), &err);
    printf("%s\n", stats);
    hw_free(stats);
    hw_collection_close(c);
    hw_db_close(db);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}
