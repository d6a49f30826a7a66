/* cmd_bench.c - bench: recall and speed of a database on real vectors, measured from outside.
 *
 * For each kind of index asked for: a database is built in a folder through the public API, closed,
 * opened again, and searched one query a call. What is reported is what a program that links the
 * library would get, disk and all.
 */
#include "commands.h"
#include "bench.h"
#include "formats/formats.h"
#include "progress.h"
#include "settings.h"
#include "table.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define COLLECTION "bench"
#define TXN_ROWS_BYTES ((size_t)1 << 20)
#define RECALLS_MAX 32u

typedef struct bench_args {
    cli_common common;
    const char *base, *queries, *truth, *metric, *recall, *db;
    cli_list index, set;
    uint64_t base_limit, query_limit;
    uint32_t k, threads, passes;
    double pass_seconds;
    bool reuse;
} bench_args;

typedef struct bench_job {
    cli *c;
    const bench_args *a;
    bench_set set;
    double recalls[RECALLS_MAX];
    size_t recall_count;
    cli_progress progress;
    cli_table table;
} bench_job;

/* One kind of index. */
typedef struct bench_run {
    const char *kind;
    char folder[4096];
    hw_db *db;
    hw_collection *c;
    uint64_t n, disk_bytes, peak_bytes;
    double build_s, open_ms, first_query_ms;
    bench_row rows[RECALLS_MAX];
} bench_run;

/* ---- building */

static hw_status
load_batch(hw_collection *c, uint64_t first, const hwi_rows *rows, double *seconds, hw_error *err)
{
    hw_id *ids = hwi_alloc(rows->count * sizeof *ids);
    uint64_t start = hwi_clock_us();
    hw_status st;

    cli_need(ids != NULL);
    for (size_t i = 0; i < rows->count; i++) ids[i] = HW_ID_U64(first + i);
    if (rows->dense == NULL)
        st = hwi_fail(err, HW_EINVAL, "--base is text, expected idx, npy, fvecs, bvecs or hdf5");
    else
        st = hw_collection_upsert(c, ids, rows->dense, rows->count, NULL, err);
    *seconds += (double)(hwi_clock_us() - start) / 1e6;
    hwi_free(ids);
    return st;
}

/* Streams the base file in, so that it does not count among the resident bytes; reading it does not
 * count as building either. */
static hw_status
load_rows(bench_job *job, bench_run *run, hwi_reader *r, hw_error *err)
{
    uint32_t dim = HWI_MAX(hwi_reader_about(r)->dim, 1);
    uint64_t limit = job->a->base_limit ? job->a->base_limit : UINT64_MAX;
    size_t batch = HWI_MAX(TXN_ROWS_BYTES / (dim * sizeof(float)), 1);
    hwi_rows rows;

    do {
        uint64_t total = hwi_reader_about(r)->rows;
        HWI_TRY(hwi_reader_next(r, (size_t)HWI_MIN(batch, limit - run->n), &rows, err));
        if (rows.count == 0) break;
        HWI_TRY(load_batch(run->c, run->n, &rows, &run->build_s, err));
        run->n += rows.count;
        if (!cli_progress_show(&job->progress, "rows", run->n,
                               total == HWI_ROWS_UNKNOWN ? 0 : HWI_MIN(total, limit)))
            return hwi_fail(err, HW_ECANCELED, "interrupted");
    } while (run->n < limit);
    return run->n ? HW_OK : hwi_fail(err, HW_EINVAL, "%s holds no vectors", job->a->base);
}

static hw_status
create_collection(bench_job *job, bench_run *run, uint32_t dim, hw_error *err)
{
    cli_field field = {.name = "", .dim = dim};
    const cli_settings settings = {job->a->metric, run->kind, &job->a->set, NULL};
    cli_collection to = {.db = run->db};
    hw_status st = cli_settings_create(&to, COLLECTION, &field, 1, &settings, err);

    run->c = to.c;
    return st;
}

static hw_status
fill(bench_job *job, bench_run *run, hw_error *err)
{
    char base[4096];
    hwi_reader *r;
    uint64_t start;
    hw_status st;

    cli_bench_dataset_path(job->a->base, "train", base, sizeof base);
    HWI_TRY(hwi_reader_open(base, NULL, &r, err));
    st = create_collection(job, run, hwi_reader_about(r)->dim, err);
    if (st == HW_OK) st = load_rows(job, run, r, err);
    hwi_reader_close(r);
    HWI_TRY(st);
    start = hwi_clock_us();
    HWI_TRY(hw_collection_build(run->c, cli_progress_show, &job->progress, err));
    run->build_s += (double)(hwi_clock_us() - start) / 1e6;
    return HW_OK;
}

static void
close_run(bench_run *run)
{
    hw_collection_close(run->c);
    hw_db_close(run->db);
    run->c = NULL;
    run->db = NULL;
}

static hw_status
open_run(const bench_job *job, bench_run *run, bool must_exist, hw_error *err)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;

    opts.threads = job->a->threads;
    opts.must_exist = must_exist;
    opts.bulk_load = true;
    return hw_db_open(run->folder, &opts, &run->db, err);
}

static hw_status
build(bench_job *job, bench_run *run, hw_error *err)
{
    hw_status st = open_run(job, run, false, err);

    if (st == HW_OK) st = fill(job, run, err);
    close_run(run);
    return st;
}

/* ---- measuring */

static hw_status
reopen(bench_job *job, bench_run *run, hw_error *err)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r = NULL;
    uint64_t start = hwi_clock_us();

    HWI_TRY(open_run(job, run, true, err));
    HWI_TRY(hw_collection_open(run->db, COLLECTION, &run->c, err));
    run->open_ms = (double)(hwi_clock_us() - start) / 1e3;
    start = hwi_clock_us();
    q.vector = job->set.queries;
    q.dim = job->set.dim;
    q.k = job->a->k;
    HWI_TRY(hw_collection_search(run->c, &q, &r, err));
    run->first_query_ms = (double)(hwi_clock_us() - start) / 1e3;
    hw_result_free(r);
    return hw_collection_count(run->c, NULL, 0, &run->n, err);
}

static hw_status
need_truth(bench_job *job, bench_run *run, hw_error *err)
{
    if (job->set.truth) return HW_OK;
    if (job->a->truth) return cli_bench_read_truth(job->a->truth, &job->set, err);
    return cli_bench_compute_truth(run->c, &job->set, cli_progress_show, &job->progress, err);
}

static uint64_t sum_bytes; /* nftw passes no argument on */

static int
add_file(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)path, (void)place;
    if (type == FTW_F) sum_bytes += (uint64_t)about->st_blocks * 512;
    return 0;
}

static uint64_t
folder_bytes(const char *folder)
{
    sum_bytes = 0;
    nftw(folder, add_file, 16, FTW_PHYS);
    return sum_bytes;
}

static hw_status
measure(bench_job *job, bench_run *run, hw_error *err)
{
    bench_how how = {
        .threads = job->a->threads, .passes = job->a->passes, .pass_seconds = job->a->pass_seconds};
    struct rusage usage;

    HWI_TRY(reopen(job, run, err));
    getrusage(RUSAGE_SELF, &usage);
    run->peak_bytes =
        (uint64_t)usage.ru_maxrss * 1024; /* before the truth, which is no part of it */
    HWI_TRY(need_truth(job, run, err));
    for (size_t i = 0; i < job->recall_count; i++) {
        bool known = i > 0 && strcmp(run->kind, "flat") == 0; /* looks at everything, always */

        if (known) {
            run->rows[i] = run->rows[0];
            run->rows[i].asked = job->recalls[i];
            continue;
        }
        how.recall = job->recalls[i];
        HWI_TRY(cli_bench_search(run->c, &job->set, &how, &run->rows[i], err));
        if (cli_interrupted()) return hwi_fail(err, HW_ECANCELED, "interrupted");
    }
    run->disk_bytes = folder_bytes(run->folder);
    return HW_OK;
}

/* ---- reporting */

static void
add_row_json(hwi_buf *b, const bench_row *row)
{
    hwi_buf_printf(b,
                   "{\"recall_asked\":%g,\"recall\":%.5f,\"qps\":%.1f,\"p50_us\":%.1f,\"p99_us\":"
                   "%.1f,\"leaves\":%.2f,\"scanned\":%.1f,\"refined\":%.1f,\"exact\":%.1f}",
                   row->asked, row->recall, row->qps, row->p50_us, row->p99_us, row->leaves,
                   row->scanned, row->refined, row->exact);
}

static void
report_json(const bench_job *job, const bench_run *run)
{
    hwi_buf b = {0};

    hwi_buf_printf(&b, "{\"version\":\"%s\",\"base\":", hw_version());
    hwi_json_write_text(&b, job->a->base, strlen(job->a->base));
    hwi_buf_printf(&b, ",\"n\":%llu,\"d\":%u,\"metric\":\"%s\",\"index\":\"%s\",\"kernels\":\"%s\"",
                   (unsigned long long)run->n, job->set.dim, job->a->metric, run->kind,
                   hw_kernels());
    hwi_buf_printf(&b, ",\"threads\":%u,\"k\":%u,\"build_s\":%.3f,\"open_ms\":%.3f",
                   job->a->threads, job->a->k, run->build_s, run->open_ms);
    hwi_buf_printf(&b, ",\"first_query_ms\":%.3f,\"disk_bytes\":%llu,\"peak_rss_bytes\":%llu",
                   run->first_query_ms, (unsigned long long)run->disk_bytes,
                   (unsigned long long)run->peak_bytes);
    hwi_buf_printf(&b, ",\"bytes_per_vector\":%.1f,\"results\":[",
                   (double)run->disk_bytes / (double)run->n);
    for (size_t i = 0; i < job->recall_count; i++) {
        if (i) hwi_buf_text(&b, ",");
        add_row_json(&b, &run->rows[i]);
    }
    hwi_buf_text(&b, "]}");
    cli_print_line(&b);
    fflush(stdout);
}

static void
report_rows(bench_job *job, const bench_run *run)
{
    char text[32];

    for (size_t i = 0; i < job->recall_count; i++) {
        const bench_row *row = &run->rows[i];
        cli_table *t = &job->table;

        cli_table_text(t, run->kind);
        cli_table_printf(t, "%g", row->asked);
        cli_table_printf(t, "%.4f", row->recall);
        cli_table_text(t, cli_count((uint64_t)row->qps, text));
        cli_table_printf(t, "%.0f", row->p50_us);
        cli_table_printf(t, "%.0f", row->p99_us);
        cli_table_printf(t, "%.2f %%", 100 * row->scanned / (double)run->n);
        cli_table_printf(t, "%.1f", run->build_s);
        cli_table_printf(t, "%.1f", run->open_ms);
        cli_table_text(t, cli_bytes(run->disk_bytes, text));
    }
}

/* ---- the whole */

static hw_status
read_recalls(bench_job *job, hw_error *err)
{
    const char *at = job->a->recall;

    while (*at) {
        char *end;
        double r = strtod(at, &end);

        if (end == at || (*end && *end != ',') || !(r > 0 && r <= 1) ||
            job->recall_count == RECALLS_MAX)
            return hwi_fail(err, HW_EINVAL,
                            "--recall is `%s`, expected up to %u numbers above 0 up to 1",
                            job->a->recall, RECALLS_MAX);
        job->recalls[job->recall_count++] = r;
        at = end + (*end == ',');
    }
    return job->recall_count ? HW_OK : hwi_fail(err, HW_EINVAL, "--recall is empty");
}

static int
remove_entry(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about, (void)type, (void)place;
    return remove(path);
}

/* DIR itself for one kind, DIR/KIND for several, else a temporary folder. */
static hw_status
choose_folder(const bench_job *job, bench_run *run, hw_error *err)
{
    const char *tmp = getenv("TMPDIR");

    if (job->a->db && job->a->index.count <= 1) {
        snprintf(run->folder, sizeof run->folder, "%s", job->a->db);
    } else if (job->a->db) {
        if (mkdir(job->a->db, 0777) != 0 && errno != EEXIST)
            return hwi_fail_errno(err, errno, "cannot create %s", job->a->db);
        snprintf(run->folder, sizeof run->folder, "%s/%s", job->a->db, run->kind);
    } else {
        snprintf(run->folder, sizeof run->folder, "%s/hashwood-bench-XXXXXX", tmp ? tmp : "/tmp");
        if (mkdtemp(run->folder) == NULL)
            return hwi_fail_errno(err, errno, "cannot create a folder in %s", tmp ? tmp : "/tmp");
    }
    return HW_OK;
}

static hw_status
run_kind(bench_job *job, const char *kind, hw_error *err)
{
    bench_run run = {.kind = kind};
    hw_status st;

    HWI_TRY(choose_folder(job, &run, err));
    cli_progress_begin(&job->progress, job->c);
    st = job->a->reuse ? HW_OK : build(job, &run, err);
    if (st == HW_OK) st = measure(job, &run, err);
    cli_progress_end(&job->progress);
    close_run(&run);
    if (job->a->db == NULL) nftw(run.folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (st != HW_OK) return st;
    if (job->c->mode == CLI_MODE_JSON)
        report_json(job, &run);
    else
        report_rows(job, &run);
    return HW_OK;
}

static hw_status
run_all(bench_job *job, hw_error *err)
{
    static const cli_list default_index = {{"hybrid"}, 1};
    const cli_list *kinds = job->a->index.count ? &job->a->index : &default_index;

    if (job->a->base == NULL || job->a->queries == NULL)
        return hwi_fail(err, HW_EINVAL, "bench needs --base FILE and --queries FILE");
    if (job->a->k < 1 || job->a->k > HW_K_MAX)
        return hwi_fail(err, HW_EINVAL, "k %u is outside 1 to %u", job->a->k, HW_K_MAX);
    if (job->a->reuse && job->a->db == NULL)
        return hwi_fail(err, HW_EINVAL, "--reuse needs --db DIR");
    HWI_TRY(read_recalls(job, err));
    job->set.k = job->a->k;
    HWI_TRY(cli_bench_read_queries(job->a->queries, job->a->query_limit, &job->set, err));
    for (size_t i = 0; i < kinds->count; i++) HWI_TRY(run_kind(job, kinds->items[i], err));
    return HW_OK;
}

static int
run_bench(cli *c, const void *args)
{
    bench_job job = {.c = c, .a = args};
    hw_error err = {0};
    hw_status st;

    cli_table_begin(&job.table, "index", ">recall asked", ">recall", ">QPS", ">p50 us", ">p99 us",
                    ">scanned", ">build s", ">open ms", ">disk");
    st = run_all(&job, &err);
    if (st == HW_OK && c->mode != CLI_MODE_JSON) cli_table_end(&job.table, c);
    hwi_buf_release(&job.table.cells);
    cli_bench_set_release(&job.set);
    return st == HW_OK ? CLI_OK : cli_fail_input(&err);
}

const cli_command cli_bench_command = {
    .name = "bench",
    .summary = "measure recall and speed of an index on files of vectors",
    .about = "Builds a database through the public API, closes and reopens it, then searches one "
             "query a call and "
             "reports, for each recall asked: measured recall@k, queries per second, median and "
             "99th percentile of "
             "a call, and the work done per query. Also the seconds to load and build, the time to "
             "open, bytes on "
             "disk, peak resident bytes. Without --truth the true neighbours are found by exact "
             "search. The best "
             "of several passes counts.\n\n"
             "With --json each kind of index gives one object.",
    .examples = "hashwood bench --base sift_base.fvecs --queries sift_query.fvecs --truth "
                "sift_groundtruth.ivecs --metric l2\n"
                "hashwood bench --base train.gz --queries t10k.gz --metric l2 --index flat --index "
                "hybrid --query-limit 1000\n"
                "hashwood bench --base glove-100-angular.hdf5 --queries glove-100-angular.hdf5 "
                "--truth glove-100-angular.hdf5 --metric cosine --json\n",
    .operands = (const cli_operand[]){{0}},
    .options =
        (const cli_option[]){
            {"base", 0, CLI_TEXT, offsetof(bench_args, base), "FILE",
             "vectors to store (hdf5: dataset train)", NULL},
            {"queries", 0, CLI_TEXT, offsetof(bench_args, queries), "FILE",
             "vectors to search for (hdf5: dataset test)", NULL},
            {"truth", 0, CLI_TEXT, offsetof(bench_args, truth), "FILE",
             "true neighbours, rows of numbers (hdf5: dataset neighbors)", NULL},
            {"metric", 'm', CLI_TEXT, offsetof(bench_args, metric), "METRIC",
             "cosine, l2, dot or l1 (default l2)", CLI_METRICS},
            {"k", 'k', CLI_U32, offsetof(bench_args, k), "N", "neighbours to find (default 10)",
             NULL},
            {"recall", 'r', CLI_TEXT, offsetof(bench_args, recall), "R,R,...",
             "recalls to ask for (default 0.90,0.95,0.99); 1 is exact", NULL},
            {"threads", 't', CLI_U32, offsetof(bench_args, threads), "N",
             "threads to build and to search with (default 1)", NULL},
            {"passes", 0, CLI_U32, offsetof(bench_args, passes), "N",
             "passes over the queries, of which the fastest counts (default 3)", NULL},
            {"pass-seconds", 0, CLI_REAL, offsetof(bench_args, pass_seconds), "S",
             "end a pass after S seconds, even if queries are left", NULL},
            {"index", 0, CLI_LIST, offsetof(bench_args, index), "KIND",
             "hybrid, kdtree, lsh or flat (default hybrid); repeatable", CLI_KINDS},
            {"set", 0, CLI_LIST, offsetof(bench_args, set), "KEY=VALUE",
             "a setting of the index: leaf_size, bits, seed, flat_below; repeatable", NULL},
            {"db", 0, CLI_TEXT, offsetof(bench_args, db), "DIR",
             "keep the database here (DIR/KIND for several kinds); else a temporary folder", NULL},
            {"reuse", 0, CLI_FLAG, offsetof(bench_args, reuse), NULL,
             "search what an earlier bench left in --db", NULL},
            {"base-limit", 0, CLI_U64, offsetof(bench_args, base_limit), "N",
             "only the first N vectors", NULL},
            {"query-limit", 0, CLI_U64, offsetof(bench_args, query_limit), "N",
             "only the first N queries", NULL},
            {0}},
    .args_bytes = sizeof(bench_args),
    .defaults = &(const bench_args){.metric = "l2",
                                    .recall = "0.90,0.95,0.99",
                                    .k = 10,
                                    .threads = 1,
                                    .passes = 3},
    .run = run_bench};
