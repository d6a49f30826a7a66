/* cmd_import.c - import: files into a collection, a batch at a time.
 *
 *     feed -> batches of about 1 MB -> [which rows are there already?] -> one transaction each ->
 * build
 *
 * A batch is all or nothing. An import that was cut short is simply run again: rows that are in the
 * collection with the same vectors and payload are read, compared and left alone, which costs
 * microseconds a row, so the second run gets to where the first one stopped and goes on. No state
 * is kept beside the database that could disagree with it; rows that differ are replaced.
 */
#include "commands.h"
#include "feed.h"
#include "progress.h"
#include "settings.h"

#include <stdlib.h>

#define TXN_BYTES ((size_t)1 << 20) /* what one transaction should write, docs/architecture.md */

typedef struct import_args {
    cli_common common;
    const char *db, *coll, *format, *ids, *payload, *labels, *label_names, *using, *metric, *index;
    cli_list files, set, payload_index;
    uint64_t first_id, limit;
    uint32_t threads;
    bool create, merge, no_build;
} import_args;

typedef struct import_job {
    cli *c;
    const import_args *a;
    cli_feed *feed;
    cli_collection coll;
    cli_progress progress;
    bool compare; /* the collection was not empty */
    char **names; /* of its vectors, when comparing */
    size_t name_count;
    bool created;
    bool built;
    bool wrong_use; /* what fails does so for what the command line says, not for a file */
    uint64_t written, present;
    double load_seconds, build_seconds;
} import_job;

/* ---- creating the collection from the first rows */

/* Names and dimensions of the vectors in these rows. */
static size_t
fields_of(const hwi_row *rows, size_t count, cli_field *fields)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < rows[i].vector_count; j++) {
            const char *name = rows[i].vectors[j].name ? rows[i].vectors[j].name : "";
            size_t at = 0;

            while (at < found && strcmp(fields[at].name, name) != 0) at++;
            if (at < found || found == HW_VECTORS_MAX) continue;
            fields[found++] = (cli_field){.name = name,
                                          .dim = rows[i].vectors[j].dim,
                                          .is_multi = rows[i].vectors[j].rows > 0,
                                          .is_sparse = rows[i].vectors[j].indices != NULL};
        }
    }
    return found;
}

static hw_status
create_collection(import_job *job, const hwi_row *rows, size_t count, hw_error *err)
{
    const import_args *a = job->a;
    cli_field fields[HW_VECTORS_MAX];
    size_t found = fields_of(rows, count, fields);
    const cli_settings settings = {a->metric, a->index, &a->set, &a->payload_index};

    if (found == 0)
        return hwi_fail(err, HW_EINVAL, "%s: no vectors to create a collection for",
                        a->files.items[0]);
    HWI_TRY(cli_settings_create(&job->coll, a->coll, fields, found, &settings, err));
    job->created = true;
    return HW_OK;
}

/* Payload indexes asked for on a collection that is there already. */
static hw_status
index_fields(import_job *job, hw_error *err)
{
    const cli_list *list = &job->a->payload_index;

    for (size_t i = 0; i < list->count; i++) {
        char field[HW_NAME_MAX + 1];
        const char *type;

        if (!cli_split(list->items[i], ':', field, sizeof field, &type))
            return hwi_fail(err, HW_EINVAL, "--payload-index is `%s`, expected field:type",
                            list->items[i]);
        HWI_TRY(hw_collection_index_payload(job->coll.c, field, type, cli_progress_show,
                                            &job->progress, err));
    }
    return HW_OK;
}

static hw_status
open_for(import_job *job, const hwi_row *rows, size_t count, hw_error *err)
{
    const import_args *a = job->a;
    uint64_t points = 0;
    hw_status st;

    HWI_TRY(cli_open(job->c, a->db, a->create ? CLI_CREATE : CLI_WRITE, &job->coll.db, err));
    st = hw_collection_open(job->coll.db, a->coll, &job->coll.c, err);
    if (st == HW_ENOTFOUND && !a->create)
        return hwi_fail_prefix(err, st, "import without --create");
    if (st == HW_ENOTFOUND) {
        HWI_TRY(create_collection(job, rows, count, err));
    } else {
        HWI_TRY(st);
        HWI_TRY(index_fields(job, err));
    }
    HWI_TRY(hw_collection_count(job->coll.c, NULL, 0, &points, err));
    job->compare = points > 0;
    return job->compare ? cli_vector_names(job->coll.c, &job->names, &job->name_count, err) : HW_OK;
}

static hw_status
open_collection(import_job *job, const hwi_row *rows, size_t count, hw_error *err)
{
    hw_status st = open_for(job, rows, count, err);

    job->wrong_use = st == HW_EINVAL;
    return st;
}

/* ---- one transaction */

static size_t
row_bytes(const hwi_row *row)
{
    size_t bytes = row->payload_bytes + 64;

    for (size_t i = 0; i < row->vector_count; i++)
        bytes += (size_t)row->vectors[i].dim * HWI_MAX(row->vectors[i].rows, 1u) * sizeof(float);
    return bytes;
}

/* Rows from `from` on that make up about TXN_BYTES; at least one. */
static size_t
slice_rows(const hwi_row *rows, size_t count)
{
    size_t bytes = 0, n = 0;

    while (n < count && (n == 0 || bytes + row_bytes(&rows[n]) <= TXN_BYTES))
        bytes += row_bytes(&rows[n++]);
    return n;
}

static int
compare_rows(const void *a, const void *b)
{
    const hwi_row *const *x = a, *const *y = b;
    int order = hw_id_compare(&(*x)->id, &(*y)->id);

    return order ? order : (*x > *y) - (*x < *y);
}

/* An id twice in one batch is a mistake in the file: which row should win? */
static hw_status
refuse_duplicates(const import_job *job, const hwi_row *batch, const hwi_row *rows, size_t count,
                  hw_error *err)
{
    const hwi_row **sorted = hwi_alloc(count * sizeof *sorted);
    hw_status st = HW_OK;

    cli_need(sorted != NULL);
    for (size_t i = 0; i < count; i++) sorted[i] = &rows[i];
    qsort(sorted, count, sizeof *sorted, compare_rows);
    for (size_t i = 1; st == HW_OK && i < count; i++) {
        char id[HW_ID_TEXT_MAX + 1], place[300];

        if (hw_id_compare(&sorted[i - 1]->id, &sorted[i]->id) != 0) continue;
        hw_id_format(&sorted[i]->id, id);
        cli_feed_place(job->feed, (size_t)(sorted[i] - batch), place, sizeof place);
        st = hwi_fail(err, HW_EINVAL, "%s: id `%s` is that of an earlier row (%zu rows before)",
                      place, id, (size_t)(sorted[i] - sorted[i - 1]));
    }
    hwi_free(sorted);
    return st;
}

static bool
same_payload(const hwi_row *row, const hw_result *r, size_t at)
{
    size_t bytes = 0;
    const char *stored = hw_result_payload(r, at, &bytes);

    if (stored == NULL || row->payload == NULL) return stored == NULL && row->payload == NULL;
    return bytes == row->payload_bytes && memcmp(stored, row->payload, bytes) == 0;
}

/* Sparse ones come back by ascending index: given in another order they only look different. */
static bool
same_vector(const hw_vector *v, const hw_vector *stored)
{
    uint32_t rows = HWI_MAX(v->rows, 1u);

    if (v->dim != stored->dim || rows != HWI_MAX(stored->rows, 1u)) return false;
    if ((v->indices != NULL) != (stored->indices != NULL)) return false;
    if (v->indices && memcmp(v->indices, stored->indices, v->dim * sizeof *v->indices) != 0)
        return false;
    return memcmp(v->values, stored->values, (size_t)rows * v->dim * sizeof *v->values) == 0;
}

/* A vector that the row lacks is a difference, unless rows are merged. */
static bool
same_vectors(const import_job *job, const hwi_row *row, const hw_result *r, size_t at)
{
    hw_vector stored;
    size_t stored_count = 0;

    for (size_t i = 0; i < row->vector_count; i++) {
        const hw_vector *v = &row->vectors[i];
        if (!hw_result_stored_vector(r, at, v->name, &stored) || !same_vector(v, &stored))
            return false;
    }
    for (size_t i = 0; i < job->name_count; i++)
        stored_count += hw_result_stored_vector(r, at, job->names[i], &stored);
    return job->a->merge || stored_count == row->vector_count;
}

/* Marks rows that are stored exactly as they are. */
static hw_status
find_present(import_job *job, const hwi_row *rows, size_t count, bool *present, hw_error *err)
{
    hw_id *ids = hwi_alloc(count * sizeof *ids);
    hw_result *r = NULL;
    size_t at = 0;
    hw_status st;

    cli_need(ids != NULL);
    for (size_t i = 0; i < count; i++) ids[i] = rows[i].id;
    st = hw_collection_get(job->coll.c, ids, count, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &r, err);
    for (size_t i = 0; st == HW_OK && i < count && at < hw_result_count(r); i++) {
        if (hw_id_compare(&ids[i], &hw_result_ids(r)[at]) != 0) continue; /* absent */
        bool has_payload = job->a->merge && !rows[i].payload; /* then it stays as it is */
        present[i] =
            (has_payload || same_payload(&rows[i], r, at)) && same_vectors(job, &rows[i], r, at);
        job->present += present[i];
        at++;
    }
    hw_result_free(r);
    hwi_free(ids);
    return st;
}

typedef struct slice {
    import_job *job;
    const hwi_row *batch, *rows;
    size_t count;
    const hw_id *ids;
    const bool *present;
    uint64_t written;
} slice;

/* What the row has replaces or joins what the point has; HW_ENOTFOUND: there is no such point. */
static hw_status
merge_row(hw_txn *txn, hw_collection *c, const hwi_row *row, hw_error *err)
{
    HWI_TRY(hw_txn_update_vectors(txn, c, &row->id, row->vectors, row->vector_count, err));
    if (!row->payload) return HW_OK;
    return hw_txn_update_payload(txn, c, &row->id, HW_PAYLOAD_SET, NULL, row->payload,
                                 row->payload_bytes, err);
}

static hw_status
write_row(hw_txn *txn, const import_job *job, const hwi_row *row, hw_error *err)
{
    if (job->a->merge && job->compare) {
        hw_status st = merge_row(txn, job->coll.c, row, err);
        if (st != HW_ENOTFOUND) return st;
    }
    return hw_txn_upsert(txn, job->coll.c, &row->id, row->vectors, row->vector_count, row->payload,
                         row->payload_bytes, err);
}

/* Writes the rows that are not present. */
static hw_status
write_body(hw_txn *txn, void *arg, hw_error *err)
{
    slice *s = arg;
    import_job *job = s->job;

    s->written = 0;
    hw_txn_expect(txn, job->coll.c, s->ids, s->count);
    for (size_t i = 0; i < s->count; i++) {
        const hwi_row *row = &s->rows[i];
        char place[300];

        if (s->present[i]) continue;
        hw_status st = write_row(txn, job, row, err);
        if (st == HW_OK) {
            s->written++;
            continue;
        }
        cli_feed_place(job->feed, (size_t)(row - s->batch), place, sizeof place);
        return hwi_fail_prefix(err, st, "%s", place);
    }
    return HW_OK;
}

static hw_status
import_slice(import_job *job, const hwi_row *batch, const hwi_row *rows, size_t count,
             hw_error *err)
{
    bool *present = hwi_alloc_zero(count);
    hw_id *ids = hwi_alloc(count * sizeof *ids);
    uint64_t present_before = job->present;
    hw_status st = refuse_duplicates(job, batch, rows, count, err);

    cli_need(present != NULL && ids != NULL);
    for (size_t i = 0; i < count; i++) ids[i] = rows[i].id;
    if (st == HW_OK && job->compare) st = find_present(job, rows, count, present, err);
    slice s = {
        .job = job, .batch = batch, .rows = rows, .count = count, .ids = ids, .present = present};
    if (st == HW_OK && job->present - present_before < count)
        st = hw_db_run(job->coll.db, write_body, &s, err);
    if (st == HW_OK) job->written += s.written;
    hwi_free(present);
    hwi_free(ids);
    return st;
}

/* ---- the whole */

static hw_status
import_batch(import_job *job, const hwi_row *batch, size_t count, hw_error *err)
{
    for (size_t at = 0; at < count;) {
        size_t n = slice_rows(batch + at, count - at);

        HWI_TRY(import_slice(job, batch, batch + at, n, err));
        at += n;
        if (!cli_progress_show(&job->progress, "rows", job->written + job->present,
                               cli_feed_total(job->feed)))
            return hwi_fail(err, HW_ECANCELED, "interrupted; run the same command again to go on");
    }
    return HW_OK;
}

static hw_status
import_rows(import_job *job, hw_error *err)
{
    const hwi_row *rows;
    size_t count;

    HWI_TRY(cli_feed_next(job->feed, &rows, &count, err));
    HWI_TRY(open_collection(job, rows, count, err));
    while (count > 0) {
        HWI_TRY(import_batch(job, rows, count, err));
        HWI_TRY(cli_feed_next(job->feed, &rows, &count, err));
    }
    return HW_OK;
}

/* Whether every vector field has an index already. */
static bool
has_index(const import_job *job)
{
    hwi_arena arena = {0};
    const hwi_json *stats, *vectors = NULL;
    char *json = NULL;
    bool has = true;

    if (hw_collection_stats(job->coll.c, &json, NULL) == HW_OK &&
        hwi_json_parse(json, strlen(json), &arena, &stats, NULL) == HW_OK)
        vectors = hwi_json_member(stats, "vectors");
    for (const hwi_json *v = vectors ? vectors->child : NULL; v; v = v->next) {
        const hwi_json *generation = hwi_json_member(v, "generation");
        has &= generation && generation->integer > 0;
    }
    hwi_arena_release(&arena);
    hw_free(json);
    return has && vectors;
}

/* A first index, also when a run before this one was stopped short of it; a fresh one when much is
 * new. A few rows more are taken in by the index there is. */
static bool
needs_build(const import_job *job)
{
    uint64_t points = 0;

    if (!has_index(job)) return true;
    if (hw_collection_count(job->coll.c, NULL, 0, &points, NULL) != HW_OK) return true;
    return job->written > points / 10;
}

static hw_status
run_job(import_job *job, hw_error *err)
{
    const import_args *a = job->a;
    cli_feed_opts opts = {.files = &a->files,
                          .format = a->format,
                          .ids = a->ids,
                          .payload = a->payload,
                          .labels = a->labels,
                          .label_names = a->label_names,
                          .using = a->using,
                          .first_id = a->first_id,
                          .limit = a->limit};
    uint64_t start;

    HWI_TRY(cli_feed_open(&opts, &job->feed, err));
    cli_progress_begin(&job->progress, job->c);
    HWI_TRY(import_rows(job, err));
    job->load_seconds = cli_progress_seconds(&job->progress);
    if (a->no_build || !needs_build(job)) return HW_OK;
    start = hwi_clock_us();
    hw_status st = hw_collection_build(job->coll.c, cli_progress_show, &job->progress, err);
    if (st == HW_EBUSY) { /* it takes in what was written here meanwhile */
        cli_remark(job->c, "%s: our rows come into its index", err->message);
        return HW_OK;
    }
    if (st != HW_OK) return st;
    job->build_seconds = (double)(hwi_clock_us() - start) / 1e6;
    job->built = true;
    return HW_OK;
}

static void
report(const import_job *job)
{
    char written[64], present[64], rate[32];
    double per_second = job->load_seconds > 0 ? (double)job->written / job->load_seconds : 0;

    if (job->c->mode == CLI_MODE_JSON) {
        printf("{\"imported\":%llu,\"present\":%llu,\"created\":%s,\"load_s\":%.3f,\"build_s\":",
               (unsigned long long)job->written, (unsigned long long)job->present,
               job->created ? "true" : "false", job->load_seconds);
        printf(job->built ? "%.3f}\n" : "null}\n", job->build_seconds);
        return;
    }
    cli_remark(job->c, "imported %s in %.1f s (%s/s)", cli_count_of(job->written, "row", written),
               job->load_seconds, cli_count((uint64_t)per_second, rate));
    if (job->present)
        cli_remark(job->c, "%s there already", cli_count_of(job->present, "row", present));
    if (job->built) cli_remark(job->c, "built the index in %.1f s", job->build_seconds);
}

static int
run_import(cli *c, const void *args)
{
    import_job job = {.c = c, .a = args};
    hw_error err = {0};
    char text[64];
    hw_status st;

    if (job.a->payload && job.a->labels) {
        cli_complain("import takes one of --payload and --labels");
        return CLI_USAGE;
    }
    c->threads = job.a->threads;
    c->bulk_load = !job.a->no_build;
    st = run_job(&job, &err);
    cli_progress_end(&job.progress);
    cli_feed_close(job.feed);
    hwi_free(job.names);
    cli_close_collection(c, &job.coll);
    if (st == HW_OK) {
        report(&job);
        return CLI_OK;
    }
    if (job.written) cli_complain("%s imported before", cli_count_of(job.written, "row", text));
    return job.wrong_use ? cli_fail_input(&err) : cli_fail(&err);
}

const cli_command cli_import_command = {
    .name = "import",
    .summary = "bring files of vectors into a collection and build its index",
    .about = "Reads idx (MNIST), npy, fvecs, bvecs, jsonl, csv, each also with .gz, and hdf5 "
             "(FILE:DATASET names "
             "one). Rows without an id are numbered from --first-id. Each batch of about 1 MB is "
             "one transaction, "
             "all of it or nothing; to resume an import that was cut short, run it again: rows "
             "already there are "
             "compared and skipped, rows that differ are replaced.\n\n"
             "The index is built once at the end: the first one, and a fresh one when more than a "
             "tenth of the points are new; fewer join the index there is.\n\n"
             "A jsonl line is {\"id\": 7, \"vector\": [...], \"payload\": {...}}, or \"vectors\": "
             "{\"name\": [...]}; keys "
             "beside these become the payload. A csv file has a header; columns id, vector (as "
             "JSON) or v0, v1, ..., "
             "and payload (as JSON) or any others, which become the payload.",
    .examples = "hashwood import photos.hw photos photos.jsonl --create --metric cosine\n"
                "hashwood import sift.hw sift sift_base.fvecs --create --metric l2 --threads 4\n"
                "hashwood import demo fashion train-images-idx3-ubyte.gz --labels "
                "train-labels-idx1-ubyte.gz --create --metric l2\n",
    .operands =
        (const cli_operand[]){
            CLI_DB(import_args, db),
            {"COLL", "name of the collection", offsetof(import_args, coll), 0, 0},
            {"FILE", "files of vectors; - reads jsonl from standard input with --format jsonl",
             offsetof(import_args, files), 0, 1},
            {0}},
    .options =
        (const cli_option[]){
            {"format", 0, CLI_TEXT, offsetof(import_args, format), "FORMAT",
             "format of the files, when their names do not tell",
             "idx|npy|fvecs|bvecs|ivecs|jsonl|csv|hdf5"},
            {"create", 'c', CLI_FLAG, offsetof(import_args, create), NULL,
             "create the collection, and the database, when there is none", NULL},
            {"metric", 'm', CLI_TEXT, offsetof(import_args, metric), "METRIC",
             "with --create: cosine, l2, dot or l1 (default cosine)", CLI_METRICS},
            {"index", 0, CLI_TEXT, offsetof(import_args, index), "KIND",
             "with --create: hybrid, kdtree, lsh or flat (default hybrid)", CLI_KINDS},
            {"set", 0, CLI_LIST, offsetof(import_args, set), "KEY=VALUE",
             "with --create: a setting of the index: leaf_size, bits, seed, flat_below; repeatable",
             NULL},
            {"payload-index", 0, CLI_LIST, offsetof(import_args, payload_index), "FIELD:TYPE",
             "index a payload field for filters; repeatable", NULL},
            {"ids", 0, CLI_TEXT, offsetof(import_args, ids), "FILE", "ids of the rows, one a line",
             NULL},
            {"first-id", 0, CLI_U64, offsetof(import_args, first_id), "N",
             "id of the first row when there are no ids (default 0)", NULL},
            {"payload", 'p', CLI_TEXT, offsetof(import_args, payload), "FILE",
             "payloads of the rows, a JSON object a line", NULL},
            {"labels", 0, CLI_TEXT, offsetof(import_args, labels), "FILE",
             "labels of the rows (idx): payload {\"label\": N}", NULL},
            {"label-names", 0, CLI_TEXT, offsetof(import_args, label_names), "A,B,...",
             "names of labels 0, 1, ...: joins {\"name\": ...}", NULL},
            {"using", 0, CLI_TEXT, offsetof(import_args, using), "NAME",
             "the named vector that the files hold", NULL},
            {"merge", 0, CLI_FLAG, offsetof(import_args, merge), NULL,
             "points already there keep what the rows do not have: other vectors, payload keys",
             NULL},
            {"limit", 'n', CLI_U64, offsetof(import_args, limit), "N", "only the first N rows",
             NULL},
            {"no-build", 0, CLI_FLAG, offsetof(import_args, no_build), NULL,
             "leave the index to grow by itself, or to a later build", NULL},
            {"threads", 't', CLI_U32, offsetof(import_args, threads), "N",
             "threads to build with (default one per processor)", NULL},
            {0}},
    .args_bytes = sizeof(import_args),
    .defaults = &(const import_args){.metric = "cosine"},
    .run = run_import};
