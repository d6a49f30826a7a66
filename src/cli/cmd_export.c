/* cmd_export.c - export: a collection, or what matches a filter, into a file. */
#include "commands.h"
#include "formats/formats.h"
#include "points.h"
#include "progress.h"

#include <errno.h>

#define PAGE_ROWS 512u

typedef struct export_args {
    cli_common common;
    const char *db, *coll, *file, *format, *filter, *using, *ids, *payload;
} export_args;

typedef struct export_job {
    cli *c;
    const export_args *a;
    cli_collection coll;
    hwi_writer *writer;
    FILE *ids, *payload; /* files beside, or NULL */
    char **names;
    size_t name_count;
    cli_progress progress;
    uint64_t done, total;
} export_job;

static size_t
vectors_of(const export_job *job, const hw_result *r, size_t i, hw_vector *out)
{
    size_t count = 0;

    for (size_t n = 0; n < job->name_count && count < HW_VECTORS_MAX; n++) {
        const char *name = job->names[n];
        hw_vector v;

        if (job->a->using && strcmp(job->a->using, name) != 0) continue;
        if (!hw_result_stored_vector(r, i, name, &v)) continue;
        /* The only vector asked for goes without its name: npy, fvecs and csv know none. */
        if (job->a->using) v.name = NULL;
        out[count++] = v;
    }
    return count;
}

static hw_status
write_beside(const export_job *job, const hw_id *id, const char *payload, size_t bytes,
             hw_error *err)
{
    char text[HW_ID_TEXT_MAX + 1];

    if (job->ids) {
        hw_id_format(id, text);
        if (fprintf(job->ids, "%s\n", text) < 0)
            return hwi_fail_errno(err, errno, "cannot write %s", job->a->ids);
    }
    if (job->payload) {
        for (size_t i = 0; i < bytes; i++) /* a line end outside strings is blank space */
            putc(payload[i] == '\n' || payload[i] == '\r' ? ' ' : payload[i], job->payload);
        if (bytes == 0) fputs("null", job->payload);
        if (putc('\n', job->payload) == EOF)
            return hwi_fail_errno(err, errno, "cannot write %s", job->a->payload);
    }
    return HW_OK;
}

static hw_status
write_page(void *arg, const hw_result *page, hw_error *err)
{
    export_job *job = arg;
    hw_vector vectors[HW_VECTORS_MAX];

    for (size_t i = 0; i < hw_result_count(page); i++) {
        const hw_id *id = &hw_result_ids(page)[i];
        size_t bytes = 0, count = vectors_of(job, page, i, vectors);
        const char *payload = hw_result_payload(page, i, &bytes);

        HWI_TRY(hwi_writer_add(job->writer, id, vectors, count, payload, bytes, err));
        HWI_TRY(write_beside(job, id, payload, bytes, err));
    }
    job->done += hw_result_count(page);
    if (!cli_progress_show(&job->progress, "rows", job->done, job->total))
        return hwi_fail(err, HW_ECANCELED, "interrupted");
    return HW_OK;
}

static hw_status
open_beside(const char *path, FILE **out, hw_error *err)
{
    if (path == NULL) return HW_OK;
    *out = fopen(path, "w");
    return *out ? HW_OK : hwi_fail_errno(err, errno, "cannot create %s", path);
}

static hw_status
close_beside(const char *path, FILE *f, hw_error *err)
{
    if (f == NULL || fclose(f) == 0) return HW_OK;
    return hwi_fail_errno(err, errno, "cannot write %s", path);
}

static hw_status
export_rows(export_job *job, hw_error *err)
{
    const export_args *a = job->a;
    const char *filter;
    char *owned;
    size_t bytes;
    hw_status st;

    HWI_TRY(cli_vector_names(job->coll.c, &job->names, &job->name_count, err));
    HWI_TRY(cli_text_or_file("filter", a->filter, &filter, &bytes, &owned, err));
    st = hw_collection_count(job->coll.c, filter, bytes, &job->total, err);
    if (st == HW_OK) st = open_beside(a->ids, &job->ids, err);
    if (st == HW_OK) st = open_beside(a->payload, &job->payload, err);
    if (st == HW_OK) st = hwi_writer_open(a->file, a->format, &job->writer, err);
    if (st == HW_OK)
        st = cli_each_page(job->coll.c, filter, HW_WITH_PAYLOAD | HW_WITH_VECTOR, PAGE_ROWS,
                           write_page, job, err);
    hwi_free(owned);
    if (st != HW_OK) return st;
    st = hwi_writer_finish(job->writer, err);
    job->writer = NULL;
    return st;
}

static int
run_export(cli *c, const void *args)
{
    export_job job = {.c = c, .a = args};
    hw_error err = {0};
    char text[64];
    hw_status st, closed;

    cli_progress_begin(&job.progress, c);
    st = cli_open_collection(c, job.a->db, job.a->coll, CLI_READ, &job.coll, &err);
    if (st == HW_OK) st = export_rows(&job, &err);
    cli_progress_end(&job.progress);
    hwi_writer_discard(job.writer);
    closed = close_beside(job.a->ids, job.ids, st == HW_OK ? &err : NULL);
    if (st == HW_OK) st = closed;
    closed = close_beside(job.a->payload, job.payload, st == HW_OK ? &err : NULL);
    if (st == HW_OK) st = closed;
    hwi_free(job.names);
    cli_close_collection(c, &job.coll);
    if (st != HW_OK) return cli_fail_input(&err);
    if (strcmp(job.a->file, "-") == 0) return CLI_OK;
    if (c->mode == CLI_MODE_JSON)
        printf("{\"exported\":%llu}\n", (unsigned long long)job.done);
    else
        cli_remark(c, "exported %s", cli_count_of(job.done, "point", text));
    return CLI_OK;
}

const cli_command cli_export_command = {
    .name = "export",
    .summary = "write the points of a collection to a file",
    .about = "jsonl and csv hold ids, vectors and payloads and can be imported again; npy and "
             "fvecs hold vectors "
             "only, so --ids and --payload write the rest beside them. Points come in the order of "
             "their ids; the "
             "file gets its name only when whole.",
    .examples = "hashwood export photos.hw photos photos.jsonl\n"
                "hashwood export photos.hw photos photos.npy --ids photos.ids\n",
    .operands =
        (const cli_operand[]){CLI_DB(export_args, db),
                              {"COLL", "name of the collection", offsetof(export_args, coll), 0, 0},
                              {"FILE", "file to write; - is standard output (with --format)",
                               offsetof(export_args, file), 0, 0},
                              {0}},
    .options = (const cli_option[]){{"format", 0, CLI_TEXT, offsetof(export_args, format), "FORMAT",
                                     "jsonl, csv, npy or fvecs, when the name does not tell",
                                     "jsonl|csv|npy|fvecs"},
                                    {"filter", 'f', CLI_TEXT, offsetof(export_args, filter), "JSON",
                                     "only points whose payload matches, or @FILE", NULL},
                                    {"using", 0, CLI_TEXT, offsetof(export_args, using), "NAME",
                                     "only this named vector, written without its name", NULL},
                                    {"ids", 0, CLI_TEXT, offsetof(export_args, ids), "FILE",
                                     "write the ids here, one a line", NULL},
                                    {"payload", 'p', CLI_TEXT, offsetof(export_args, payload),
                                     "FILE", "write the payloads here, one a line", NULL},
                                    {0}},
    .args_bytes = sizeof(export_args),
    .run = run_export};
