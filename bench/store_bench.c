/* store_bench.c - one database in the stores that can hold it: what inserts, a build and searches
 * cost, in time and in waits for the other side.
 *
 *     store_bench [-n ROWS] [-d DIM] [-p PROCESSES] [-s SECONDS] DB...
 *
 * A DB is a folder that does not exist yet, or an fdb: name; its collection `store_bench` is dropped
 * first. For each of them, in turn:
 *
 *     inserts       in transactions of 1, 10, 100 and 1,000 rows
 *     build         of the index, one thread
 *     cold          the first search of a process, after opening: nothing is in memory
 *     warm          searches when everything is; the same when a read may be a second old
 *     cache         searches with little memory for values
 *     processes     1 .. PROCESSES of them insert at once, one row a transaction and 100
 *
 * Rows are those of rows.h. Prints Markdown. */
#include "rows.h"

#include <unistd.h>

#include "api/api.h"

#define NAME "store_bench"
#define INSERT_MOST 1000u

typedef struct plan {
    uint64_t rows;
    uint32_t dim, processes, batch;
    double seconds;
    float *basis, *x;
} plan;

typedef struct open_db {
    hw_db *db;
    hw_collection *c;
} open_db;

static double
now_s(void)
{
    return (double)hwi_clock_us() * 1e-6;
}

static uint64_t
trips(const open_db *o)
{
    hw_store_info info;
    hw_error err;
    check(hwi_store_info(o->db->store, &info, &err), &err);
    return info.round_trips;
}

static open_db
open_it(const char *where, uint64_t cache_bytes, uint32_t max_staleness_ms)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    open_db o;
    hw_error err;

    opts.threads = 1;
    opts.bulk_load = true;
    opts.busy_timeout_ms = 60000;
    opts.cache_bytes = cache_bytes;
    opts.max_staleness_ms = max_staleness_ms;
    check(hw_db_open(where, &opts, &o.db, &err), &err);
    check(hw_collection_open(o.db, NAME, &o.c, &err), &err);
    return o;
}

static void
close_it(open_db *o)
{
    hw_collection_close(o->c);
    hw_db_close(o->db);
}

static void
make_empty(const plan *p, const char *where)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    char config[96];
    hw_db *db;
    hw_error err;

    check(hw_db_open(where, &opts, &db, &err), &err);
    hw_status st = hw_collection_drop(db, NAME, &err);
    if (st != HW_OK && st != HW_ENOTFOUND) check(st, &err);
    snprintf(config, sizeof config, "{\"dim\": %u, \"metric\": \"cosine\"}", p->dim);
    check(hw_collection_create(db, NAME, config, &err), &err);
    hw_db_close(db);
}

/* ---- inserts */

/* One transaction; a lost race is run again and counted. */
static void
insert(const plan *p, const open_db *o, uint64_t first, uint32_t count, uint64_t *lost)
{
    hw_id ids[INSERT_MOST];
    hw_error err;
    hw_status st = HW_OK;

    do {
        hw_txn *txn;
        check(hw_txn_begin(o->db, &txn, &err), &err);
        for (uint32_t i = 0; i < count; i++) ids[i] = (hw_id)HW_ID_U64(first + i);
        hw_txn_expect(txn, o->c, ids, count);
        for (uint32_t i = 0; i < count; i++) {
            hw_vector v = {.values = p->x, .dim = p->dim};
            rows_make(p->basis, p->dim, first + i, p->x);
            st = hw_txn_upsert(txn, o->c, &ids[i], &v, 1, NULL, 0, &err);
            if (st != HW_OK) break;
        }
        if (st == HW_OK)
            st = hw_txn_commit(txn, &err);
        else
            hw_txn_abort(txn);
        *lost += st == HW_ECONFLICT;
    } while (st == HW_ECONFLICT);
    check(st, &err);
}

static uint64_t
insert_by_size(const plan *p, const open_db *o)
{
    static const uint32_t sizes[] = {1, 10, 100, 1000};
    uint64_t next = 0, lost = 0;

    for (size_t s = 0; s < HWI_COUNT(sizes); s++) {
        uint64_t txns = 0, first = next, before = trips(o);
        double from = now_s();
        while (now_s() < from + p->seconds && next + sizes[s] < p->rows) {
            insert(p, o, next, sizes[s], &lost);
            next += sizes[s];
            txns++;
        }
        double took = now_s() - from;
        if (txns == 0) continue;
        printf("| inserts, %u a transaction | %.0f rows/s, %.2f ms and %.1f waits each |\n",
               sizes[s], (double)(next - first) / took, took * 1e3 / (double)HWI_MAX(txns, 1u),
               (double)(trips(o) - before) / (double)HWI_MAX(txns, 1u));
    }
    while (next < p->rows) {
        uint32_t count = (uint32_t)HWI_MIN(p->rows - next, (uint64_t)500);
        insert(p, o, next, count, &lost);
        next += count;
    }
    return next;
}

/* ---- searches */

static double
search(const plan *p, const open_db *o, uint64_t seed)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r;
    hw_error err;

    rows_make(p->basis, p->dim, p->rows + seed, p->x);
    q.vector = p->x;
    q.dim = p->dim;
    double from = now_s();
    check(hw_collection_search(o->c, &q, &r, &err), &err);
    double took = now_s() - from;
    hw_result_free(r);
    return took;
}

static void
search_many(const plan *p, const open_db *o, uint32_t count, uint64_t seed, const char *what)
{
    hw_store_info from, to;
    hw_error err;
    double seconds = 0;

    check(hwi_store_info(o->db->store, &from, &err), &err);
    for (uint32_t i = 0; i < count; i++) seconds += search(p, o, seed + i);
    if (!what) return; /* to warm up */
    check(hwi_store_info(o->db->store, &to, &err), &err);
    uint64_t hits = to.cache_hits - from.cache_hits, misses = to.cache_misses - from.cache_misses;
    printf("| %s | %.3f ms, %.2f waits", what, seconds * 1e3 / count,
           (double)(to.round_trips - from.round_trips) / count);
    if (hits + misses)
        printf(", %.0f %% of values cached", 100.0 * (double)hits / (double)(hits + misses));
    printf(" |\n");
}

static void
search_all_ways(const plan *p, const char *where)
{
    open_db o = open_it(where, 0, 0);
    uint64_t before = trips(&o);
    double first = search(p, &o, 1);
    printf("| first search after opening | %.2f ms, %.0f waits |\n", first * 1e3,
           (double)(trips(&o) - before));
    search_many(p, &o, 20, 100, "the next 20 searches");
    search_many(p, &o, 1000, 1000, NULL);
    search_many(p, &o, 500, 1000, "warm searches");
    close_it(&o);
    o = open_it(where, 0, 1000);
    search_many(p, &o, 1000, 1000, NULL);
    search_many(p, &o, 500, 1000, "warm, a read may be 1 s old");
    close_it(&o);
    for (uint64_t mib = 1; mib <= 16; mib *= 4) {
        char what[64];
        o = open_it(where, mib << 20, 1000);
        search_many(p, &o, 200, 2000, NULL);
        snprintf(what, sizeof what, "searches with a cache of %u MiB", (unsigned)mib);
        search_many(p, &o, 300, 3000, what);
        close_it(&o);
    }
}

/* ---- processes */

/* What a child does: inserts until the time is over, prints rows and lost races. */
static int
insert_for(plan *p, const char *where, uint64_t first)
{
    open_db o = open_it(where, 0, 0);
    uint64_t rows = 0, lost = 0;
    double until = now_s() + p->seconds;

    while (now_s() < until) {
        insert(p, &o, first + rows, p->batch, &lost);
        rows += p->batch;
    }
    close_it(&o);
    printf("%llu %llu\n", (unsigned long long)rows, (unsigned long long)lost);
    return 0;
}

static void
insert_from(const plan *p, const char *self, const char *where, uint32_t processes, uint32_t batch)
{
    FILE *child[64];
    unsigned long long rows = 0, lost = 0;

    for (uint32_t i = 0; i < processes; i++) {
        char command[1024];
        snprintf(command, sizeof command, "%s -n %llu -d %u -s %f -b %u -c %llu '%s'", self,
                 (unsigned long long)p->rows, p->dim, p->seconds, batch,
                 (unsigned long long)(p->rows * (1000 + batch * 1000 + processes * 64 + i)), where);
        child[i] = popen(command, "r");
        if (!child[i]) exit(1);
    }
    for (uint32_t i = 0; i < processes; i++) {
        unsigned long long r, l;
        if (fscanf(child[i], "%llu %llu", &r, &l) != 2) exit(1);
        if (pclose(child[i]) != 0) exit(1);
        rows += r, lost += l;
    }
    printf("| %u processes, %u a transaction | %.0f rows/s, %.2f tries a transaction |\n",
           processes, batch, (double)rows / p->seconds,
           1 + (double)lost * batch / (double)HWI_MAX(rows, 1u));
}

/* ---- all */

static void
measure(const plan *p, const char *self, const char *where)
{
    hw_store_info info;
    hw_error err;

    make_empty(p, where);
    printf("\n**%s**, %llu rows of %u dimensions\n\n| what | |\n| --- | --- |\n", where,
           (unsigned long long)p->rows, p->dim);
    open_db o = open_it(where, 0, 0);
    uint64_t rows = insert_by_size(p, &o), before = trips(&o);
    double from = now_s();
    check(hw_collection_build(o.c, NULL, NULL, &err), &err);
    printf("| build | %.0f rows/s, %llu waits |\n", (double)rows / (now_s() - from),
           (unsigned long long)(trips(&o) - before));
    check(hwi_store_info(o.db->store, &info, &err), &err);
    printf("| stored | %.2f times the raw floats |\n",
           (double)info.disk_bytes / ((double)rows * p->dim * 4));
    close_it(&o);
    search_all_ways(p, where);
    for (uint32_t n = 1; n <= p->processes; n *= 2) insert_from(p, self, where, n, 1);
    for (uint32_t n = 1; n <= p->processes; n *= 2) insert_from(p, self, where, n, 100);
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    plan p = {.rows = 20000, .dim = 128, .processes = 8, .batch = 1, .seconds = 5};
    uint64_t child = 0;

    for (int o; (o = getopt(argc, argv, "n:d:p:s:b:c:")) != -1;) {
        if (o == 'n')
            p.rows = strtoull(optarg, NULL, 10);
        else if (o == 'd')
            p.dim = (uint32_t)atoi(optarg);
        else if (o == 'p')
            p.processes = HWI_MIN((uint32_t)atoi(optarg), 64u);
        else if (o == 's')
            p.seconds = atof(optarg);
        else if (o == 'b')
            p.batch = HWI_MIN((uint32_t)atoi(optarg), INSERT_MOST);
        else if (o == 'c')
            child = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    if (optind == argc || p.dim == 0 || p.rows < 1000) {
        fprintf(stderr,
                "usage: store_bench [-n ROWS] [-d DIM] [-p PROCESSES] [-s SECONDS] DB...\n");
        return 2;
    }
    p.basis = rows_basis(p.dim);
    p.x = hwi_alloc(p.dim * sizeof *p.x);
    if (!p.x) return 1;
    if (child) return insert_for(&p, argv[optind], child);
    for (int i = optind; i < argc; i++) measure(&p, argv[0], argv[i]);
    hwi_free(p.basis);
    hwi_free(p.x);
    return 0;
}
