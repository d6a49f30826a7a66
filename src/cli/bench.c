/* bench.c - timing searches as a program that uses the library would see them.
 *
 * Each thread takes the next query, calls hw_collection_search for that one, and frees the result:
 * opening a view, copying hits and freeing memory all count. Times of single calls give p50 and
 * p99, the wall clock of the pass gives QPS. Recall is the share of the true k that was found, by
 * id.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "formats/formats.h"

#define TRUTH_BATCH 64u

void
cli_bench_dataset_path(const char *path, const char *dataset, char *out, size_t room)
{
    size_t n = strlen(path);
    bool is_hdf5 = (n > 5 && strcasecmp(path + n - 5, ".hdf5") == 0) ||
                   (n > 3 && strcasecmp(path + n - 3, ".h5") == 0);

    snprintf(out, room, is_hdf5 ? "%s:%s" : "%s", path, dataset);
}

void
cli_bench_set_release(bench_set *set)
{
    hwi_free(set->queries);
    hwi_free(set->truth);
    *set = (bench_set){0};
}

/* ---- queries and truth */

static hw_status
append_queries(bench_set *set, const hwi_rows *rows, uint64_t limit, hw_error *err)
{
    for (size_t i = 0; i < rows->count && (limit == 0 || set->count < limit); i++) {
        const hwi_row *row = &rows->rows[i];
        uint32_t dim = row->vector_count ? row->vectors[0].dim : 0;

        if (set->dim == 0) set->dim = dim;
        if (dim == 0 || dim != set->dim)
            return hwi_fail(err, HW_EINVAL, "query %llu has %u values, expected %u",
                            (unsigned long long)set->count, dim, set->dim);
        if ((set->count & (set->count - 1)) == 0) { /* grow at powers of two */
            size_t room = hwi_size_mul(HWI_MAX((size_t)set->count * 2, 1), dim * sizeof(float));
            set->queries = hwi_realloc(set->queries, room);
            cli_need(set->queries != NULL);
        }
        memcpy(set->queries + (size_t)set->count * dim, row->vectors[0].values,
               dim * sizeof(float));
        set->count++;
    }
    return HW_OK;
}

hw_status
cli_bench_read_queries(const char *path, uint64_t limit, bench_set *set, hw_error *err)
{
    char full[4096];
    hwi_reader *r;
    hwi_rows rows;
    hw_status st;

    cli_bench_dataset_path(path, "test", full, sizeof full);
    HWI_TRY(hwi_reader_open(full, NULL, &r, err));
    do {
        st = hwi_reader_next(r, 1024, &rows, err);
        if (st == HW_OK) st = append_queries(set, &rows, limit, err);
    } while (st == HW_OK && rows.count > 0 && (limit == 0 || set->count < limit));
    hwi_reader_close(r);
    if (st == HW_OK && set->count == 0) st = hwi_fail(err, HW_EINVAL, "%s holds no queries", path);
    return st;
}

static hw_id *
truth_room(const bench_set *set)
{
    hw_id *truth = hwi_alloc_zero(hwi_size_mul((size_t)set->count, set->k * sizeof *truth));

    cli_need(truth != NULL);
    return truth;
}

static hw_status
read_truth_rows(hwi_reader *r, bench_set *set, hw_error *err)
{
    int64_t row[HW_K_MAX];
    size_t count;

    for (uint64_t i = 0; i < set->count; i++) {
        HWI_TRY(hwi_reader_next_ints(r, row, HWI_COUNT(row), &count, err));
        if (count < set->k)
            return hwi_fail(err, HW_EINVAL, "truth of query %llu has %zu neighbours, expected %u",
                            (unsigned long long)i, count, set->k);
        for (uint32_t j = 0; j < set->k; j++)
            set->truth[i * set->k + j] = HW_ID_U64((uint64_t)row[j]);
    }
    return HW_OK;
}

hw_status
cli_bench_read_truth(const char *path, bench_set *set, hw_error *err)
{
    char full[4096];
    hwi_reader *r;
    hw_status st;

    cli_bench_dataset_path(path, "neighbors", full, sizeof full);
    HWI_TRY(hwi_reader_open(full, NULL, &r, err));
    set->truth = truth_room(set);
    st = read_truth_rows(r, set, err);
    hwi_reader_close(r);
    return st;
}

static hw_query
query_at(const bench_set *set, uint64_t i)
{
    hw_query q = HW_QUERY_INIT;

    q.vector = set->queries + (size_t)i * set->dim;
    q.dim = set->dim;
    q.k = set->k;
    return q;
}

/* The ids bench gives its points are numbers, so they need no text of their own. */
static void
keep_truth(bench_set *set, uint64_t i, const hw_result *r)
{
    for (size_t j = 0; j < hw_result_count(r) && j < set->k; j++)
        set->truth[i * set->k + j] = hw_result_ids(r)[j];
}

hw_status
cli_bench_compute_truth(hw_collection *c, bench_set *set, hw_progress_fn progress, void *arg,
                        hw_error *err)
{
    set->truth = truth_room(set);
    for (uint64_t at = 0; at < set->count; at += TRUTH_BATCH) {
        hw_query queries[TRUTH_BATCH];
        hw_result *results[TRUTH_BATCH];
        size_t n = (size_t)HWI_MIN(TRUTH_BATCH, set->count - at);

        for (size_t i = 0; i < n; i++) {
            queries[i] = query_at(set, at + i);
            queries[i].exact = true;
        }
        HWI_TRY(hw_collection_search_batch(c, queries, n, 0, results, err));
        for (size_t i = 0; i < n; i++) {
            keep_truth(set, at + i, results[i]);
            hw_result_free(results[i]);
        }
        if (!progress(arg, "truth", at + n, set->count))
            return hwi_fail(err, HW_ECANCELED, "interrupted");
    }
    return HW_OK;
}

/* ---- passes */

typedef struct pass {
    hw_collection *c;
    const bench_set *set;
    double recall;
    uint64_t end_ns; /* when the pass ends, whatever is left */
    atomic_uint_fast64_t next;
    atomic_bool failed;
    uint32_t *ns; /* of each query; above 4 s is cut off; 0: not asked in this pass */
    uint64_t *found;
    hw_search_work *work;
    pthread_mutex_t lock; /* guards err */
    hw_error err;
    hw_status st;
} pass;

static uint64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t
count_found(const bench_set *set, uint64_t i, const hw_result *r)
{
    const hw_id *ids = hw_result_ids(r), *truth = set->truth + i * set->k;
    uint64_t found = 0;

    for (size_t a = 0; a < hw_result_count(r); a++) {
        for (uint32_t b = 0; b < set->k; b++) {
            if (hw_id_compare(&ids[a], &truth[b]) != 0) continue;
            found++;
            break;
        }
    }
    return found;
}

static bool
search_one(pass *p, uint64_t i)
{
    hw_query q = query_at(p->set, i);
    hw_result *r = NULL;
    hw_error err = {0};
    uint64_t start = now_ns(), ns;
    hw_status st;

    q.recall = p->recall;
    q.exact = p->recall >= 1;
    st = hw_collection_search(p->c, &q, &r, &err);
    if (st != HW_OK) {
        pthread_mutex_lock(&p->lock);
        p->st = st;
        p->err = err;
        pthread_mutex_unlock(&p->lock);
        atomic_store(&p->failed, true);
        return false;
    }
    ns = now_ns() - start;
    p->found[i] = count_found(p->set, i, r);
    p->work[i].size = sizeof p->work[i];
    hw_result_work(r, &p->work[i]);
    start = now_ns();
    hw_result_free(r);
    ns += now_ns() - start;
    p->ns[i] = (uint32_t)HWI_MAX(HWI_MIN(ns, UINT32_MAX), 1);
    return now_ns() < p->end_ns;
}

static void *
run_thread(void *arg)
{
    pass *p = arg;

    while (!atomic_load_explicit(&p->failed, memory_order_relaxed)) {
        uint64_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->set->count || !search_one(p, i)) break;
    }
    return NULL;
}

static void
run_threads(pass *p, uint32_t threads)
{
    pthread_t others[256];
    uint32_t started = 0;

    while (started + 1 < threads && started < HWI_COUNT(others) &&
           pthread_create(&others[started], NULL, run_thread, p) == 0)
        started++;
    run_thread(p);
    for (uint32_t i = 0; i < started; i++) pthread_join(others[i], NULL);
}

static int
compare_ns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Moves what was asked in this pass to the front and counts it. */
static uint64_t
gather(pass *p)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < p->set->count; i++) {
        if (p->ns[i] == 0) continue;
        p->ns[n] = p->ns[i];
        p->found[n] = p->found[i];
        p->work[n] = p->work[i];
        n++;
    }
    return n;
}

static void
summarise(pass *p, double seconds, bench_row *out)
{
    uint64_t n = gather(p), found = 0;
    double count = (double)n;

    if (n == 0) return;
    for (uint64_t i = 0; i < n; i++) {
        found += p->found[i];
        out->leaves += (double)p->work[i].leaves / count;
        out->scanned += (double)p->work[i].scanned / count;
        out->refined += (double)p->work[i].refined / count;
        out->exact += (double)p->work[i].exact / count;
    }
    out->asked = p->recall;
    out->recall = (double)found / (count * p->set->k);
    out->qps = count / seconds;
    qsort(p->ns, n, sizeof *p->ns, compare_ns);
    out->p50_us = p->ns[n / 2] / 1e3;
    out->p99_us = p->ns[(n * 99) / 100] / 1e3;
}

static void
run_pass(pass *p, const bench_how *how, bench_row *best)
{
    bench_row row = {0};
    uint64_t start = now_ns();

    memset(p->ns, 0, (size_t)p->set->count * sizeof *p->ns);
    p->end_ns = how->pass_seconds > 0 ? start + (uint64_t)(how->pass_seconds * 1e9) : UINT64_MAX;
    atomic_store(&p->next, 0);
    run_threads(p, how->threads);
    if (p->st != HW_OK) return;
    summarise(p, (double)(now_ns() - start) / 1e9, &row);
    if (row.qps > best->qps) *best = row;
}

hw_status
cli_bench_search(hw_collection *c, const bench_set *set, const bench_how *how, bench_row *out,
                 hw_error *err)
{
    pass p = {.c = c, .set = set, .recall = how->recall, .lock = PTHREAD_MUTEX_INITIALIZER};

    *out = (bench_row){0};
    p.ns = hwi_alloc_zero((size_t)set->count * sizeof *p.ns);
    p.found = hwi_alloc_zero((size_t)set->count * sizeof *p.found);
    p.work = hwi_alloc_zero((size_t)set->count * sizeof *p.work);
    cli_need(p.ns && p.found && p.work);
    for (uint32_t i = 0; i < HWI_MAX(how->passes, 1) && p.st == HW_OK && !cli_interrupted(); i++)
        run_pass(&p, how, out);
    hwi_free(p.ns);
    hwi_free(p.found);
    hwi_free(p.work);
    if (p.st != HW_OK && err) *err = p.err;
    return p.st;
}
