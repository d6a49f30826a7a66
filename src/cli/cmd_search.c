/* cmd_search.c - search: the k nearest points, for one query or for each row of a file. */
#include "commands.h"
#include "formats/formats.h"
#include "picture.h"
#include "query.h"

typedef struct search_args {
    cli_common common;
    const char *db, *coll, *file, *format, *with, *draw, *caption, *colors;
    uint64_t row; /* UINT64_MAX: every row of the file */
    bool explain;
    cli_query_args query;
} search_args;

typedef struct search_job {
    const cli *c;
    const search_args *args;
    cli_collection coll;
    cli_query query;
    cli_show show;
    uint32_t width, height; /* --draw; 0: no pictures */
} search_job;

/* ---- pictures */

/* The payload field named by --caption as text; empty when absent. */
static void
caption_of(const char *payload, const char *field, char *out, size_t room)
{
    hwi_arena arena = {0};
    const hwi_json *json, *value = NULL;
    hwi_buf b = {0};

    out[0] = 0;
    if (payload && field && hwi_json_parse(payload, strlen(payload), &arena, &json, NULL) == HW_OK)
        value = hwi_json_member(json, field);
    if (value && value->kind == HWI_JSON_TEXT)
        cli_add_plain(&b, value->text, value->text_bytes);
    else if (value)
        hwi_json_write(&b, value);
    cli_need(!b.failed);
    if (b.size) snprintf(out, room, "%.*s", (int)b.size, (char *)b.data);
    hwi_buf_release(&b);
    hwi_arena_release(&arena);
}

/* Adds one picture to the row; false when the vector is not of the size asked for. */
static bool
add_picture(const search_job *job, cli_picture *p, const float *values, uint32_t dim,
            const char *title, const char *payload)
{
    if (values == NULL || dim != job->width * job->height) return false;
    p->values = values;
    snprintf(p->caption[0], sizeof p->caption[0], "%s", title);
    caption_of(payload, job->args->caption, p->caption[1], sizeof p->caption[1]);
    return true;
}

/* The query first: as given, or the stored point; *stored then holds it and is to be freed. */
static size_t
add_query_picture(const search_job *job, cli_picture *p, const char *title, hw_result **stored)
{
    const hw_query *q = &job->query.query;
    uint32_t dim = 0;
    const float *values;

    *stored = NULL;
    if (q->vector) return add_picture(job, p, q->vector, q->dim, title, NULL);
    if (hw_collection_get(job->coll.c, q->id, 1, HW_WITH_PAYLOAD | HW_WITH_VECTOR, stored, NULL) !=
            HW_OK ||
        hw_result_count(*stored) == 0)
        return 0;
    values = hw_result_vector(*stored, 0, q->vector_name, &dim);
    return add_picture(job, p, values, dim, job->args->query.id,
                       hw_result_payload(*stored, 0, NULL));
}

static void
draw_hits(const search_job *job, const hw_result *r, const char *title)
{
    size_t count = hw_result_count(r), drawn;
    cli_picture *pictures = hwi_alloc_zero((count + 1) * sizeof *pictures);
    hw_result *stored;
    char score[32];

    cli_need(pictures != NULL);
    drawn = add_query_picture(job, &pictures[0], title, &stored);
    for (size_t i = 0; i < count; i++) {
        uint32_t dim = 0;
        const float *values = hw_result_vector(r, i, job->query.query.vector_name, &dim);

        snprintf(score, sizeof score, "%.4g", (double)hw_result_scores(r)[i]);
        drawn +=
            add_picture(job, &pictures[drawn], values, dim, score, hw_result_payload(r, i, NULL));
    }
    if (drawn > 0)
        cli_draw_pictures(pictures, drawn, job->width, job->height,
                          cli_colors_pick(job->args->colors));
    else
        cli_remark(job->c, "no vectors of %u numbers to draw", job->width * job->height);
    hw_result_free(stored);
    hwi_free(pictures);
}

/* ---- one query */

static void
print_json(const search_job *job, const hw_result *r, uint64_t us)
{
    hwi_buf b = {0};
    const char *warning = hw_result_warning(r), *explain = hw_result_explain(r);

    hwi_buf_text(&b, "{\"hits\":");
    cli_add_points(&b, &job->show, r);
    hwi_buf_text(&b, ",\"recall\":");
    hwi_json_write_f64(&b, hw_result_recall(r));
    hwi_buf_printf(&b, ",\"us\":%llu", (unsigned long long)us);
    if (warning) {
        hwi_buf_text(&b, ",\"warning\":");
        hwi_json_write_text(&b, warning, strlen(warning));
    }
    if (explain) hwi_buf_printf(&b, ",\"explain\":%s", explain);
    hwi_buf_text(&b, "}");
    cli_print_line(&b);
}

static void
print_people(const search_job *job, const hw_result *r, uint64_t us, const char *title)
{
    char hits[64];

    if (job->width)
        draw_hits(job, r, title);
    else
        cli_print_points(job->c, &job->show, r);
    if (hw_result_warning(r)) cli_remark(job->c, "note: %s", hw_result_warning(r));
    if (hw_result_explain(r)) {
        putchar('\n');
        cli_print_json(job->c, hw_result_explain(r));
    }
    if (!job->width)
        cli_remark(job->c, "%s in %.2f ms, recall %.3g",
                   cli_count_of(hw_result_count(r), "hit", hits), (double)us / 1e3,
                   hw_result_recall(r));
}

static hw_status
search_once(search_job *job, const char *title, hw_error *err)
{
    hw_result *r = NULL;
    uint64_t start = hwi_clock_us(), us;

    HWI_TRY(hw_collection_search(job->coll.c, &job->query.query, &r, err));
    us = hwi_clock_us() - start;
    if (job->c->mode == CLI_MODE_JSON)
        print_json(job, r, us);
    else
        print_people(job, r, us, title);
    hw_result_free(r);
    return HW_OK;
}

/* ---- a file of queries */

static hw_status
search_row(search_job *job, const hwi_row *row, uint64_t at, hw_error *err)
{
    char title[64];

    if (row->vector_count == 0)
        return hwi_fail(err, HW_EINVAL, "row %llu has no vector", (unsigned long long)at);
    job->query.query.vector = row->vectors[0].values;
    job->query.query.dim = row->vectors[0].dim;
    snprintf(title, sizeof title, "query %llu", (unsigned long long)at);
    if (job->args->row == UINT64_MAX && job->c->mode == CLI_MODE_TABLE && !job->width)
        printf("%s%s\n", at ? "\n" : "", title);
    return search_once(job, title, err);
}

static hw_status
search_rows(search_job *job, hwi_reader *r, hw_error *err)
{
    uint64_t wanted = job->args->row;
    hwi_rows rows;

    do {
        uint64_t first = hwi_reader_row(r);
        HWI_TRY(hwi_reader_next(r, 1000, &rows, err));
        for (size_t i = 0; i < rows.count; i++) {
            if (wanted != UINT64_MAX && first + i != wanted) continue;
            HWI_TRY(search_row(job, &rows.rows[i], first + i, err));
            if (wanted != UINT64_MAX) return HW_OK;
        }
    } while (rows.count > 0 && !cli_interrupted());
    if (wanted == UINT64_MAX) return HW_OK;
    return hwi_fail(err, HW_ENOTFOUND, "%s has no row %llu", job->args->file,
                    (unsigned long long)wanted);
}

static hw_status
search_file(search_job *job, hw_error *err)
{
    hwi_reader *r;
    hw_status st;

    HWI_TRY(hwi_reader_open(job->args->file, job->args->format, &r, err));
    st = search_rows(job, r, err);
    hwi_reader_close(r);
    return st;
}

static hw_status
search(search_job *job, hw_error *err)
{
    const search_args *a = job->args;

    HWI_TRY(cli_with_parse(a->with, &job->show.with, err));
    if (a->draw) HWI_TRY(cli_picture_size(a->draw, &job->width, &job->height, err));
    if (job->show.with & HW_WITH_VECTOR)
        HWI_TRY(cli_vector_names(job->coll.c, &job->show.names, &job->show.name_count, err));
    job->query.query.with = job->show.with;
    if (job->width) job->query.query.with |= HW_WITH_VECTOR | HW_WITH_PAYLOAD;
    job->query.query.explain = a->explain;
    if (a->file) return search_file(job, err);
    if (job->query.query.vector == NULL && job->query.query.id == NULL)
        return hwi_fail(err, HW_EINVAL, "search needs --vector JSON, --id ID or --file FILE");
    return search_once(job, "query", err);
}

static int
run_search(cli *c, const void *args)
{
    search_job job = {.c = c, .args = args};
    hw_error err = {0};
    hw_status st = cli_query_init(&job.args->query, &job.query, &err);

    if (st == HW_OK)
        st = cli_open_collection(c, job.args->db, job.args->coll, CLI_READ, &job.coll, &err);
    if (st == HW_OK) st = search(&job, &err);
    hwi_free(job.show.names);
    cli_query_release(&job.query);
    cli_close_collection(c, &job.coll);
    return st == HW_OK ? CLI_OK : cli_fail_input(&err);
}

const cli_command cli_search_command = {
    .name = "search",
    .summary = "find the points most similar to a vector",
    .about = "The query is a vector, a stored point (which is itself left out of the answer), or "
             "each row of "
             "a file. Scores are cosine similarity, dot product (more is nearer), l2 or l1 "
             "distance (less is "
             "nearer). --recall asks for the share of the true nearest that should be found; the "
             "library "
             "chooses how much to look at. --explain tells what it did. The time told includes "
             "opening the index, which a command does anew "
             "and a program, a shell or a server once; `hashwood bench` times searches alone.\n\n"
             "Vectors that are grey pictures can be drawn in the terminal with --draw.",
    .examples = "hashwood search photos.hw photos --id 7 -k 5\n"
                "hashwood search photos.hw photos --vector '[0.1, 0.2, 0.3]' --exact --json\n"
                "hashwood search demo fashion --file t10k-images-idx3-ubyte.gz --row 0 --draw "
                "28x28 --caption name\n"
                "hashwood search a.hw c --id 7 --filter "
                "'{\"must\":[{\"key\":\"label\",\"match\":{\"value\":\"boot\"}}]}'\n",
    .operands =
        (const cli_operand[]){CLI_DB(search_args, db),
                              {"COLL", "name of the collection", offsetof(search_args, coll), 0, 0},
                              {0}},
    .options =
        (const cli_option[]){
            {"id", 'i', CLI_TEXT, CLI_QUERY_AT(search_args, query, id), "ID",
             "compare with this stored point", NULL},
            {"file", 0, CLI_TEXT, offsetof(search_args, file), "FILE",
             "one search for each row: npy, fvecs, idx, jsonl, ...", NULL},
            {"format", 0, CLI_TEXT, offsetof(search_args, format), "FORMAT",
             "format of --file, when its name does not tell",
             "idx|npy|fvecs|bvecs|ivecs|jsonl|csv|hdf5"},
            {"row", 0, CLI_U64, offsetof(search_args, row), "N", "only row N of --file, from 0",
             NULL},
            CLI_QUERY_VECTOR(search_args, query),
            CLI_QUERY_OPTIONS(search_args, query),
            {"with", 'w', CLI_TEXT, offsetof(search_args, with), "WHAT",
             "payload, vector, both with a comma, or none (default payload)", NULL},
            {"explain", 'e', CLI_FLAG, offsetof(search_args, explain), NULL,
             "tell how the answer was found", NULL},
            {"draw", 0, CLI_TEXT, offsetof(search_args, draw), "WxH",
             "draw query and hits as grey pictures of this size", NULL},
            {"caption", 0, CLI_TEXT, offsetof(search_args, caption), "FIELD",
             "payload field to write below each picture", NULL},
            {"colors", 0, CLI_TEXT, offsetof(search_args, colors), "WHEN",
             "for --draw: auto, none, 256 or full (default auto)", "auto|none|256|full"},
            {0}},
    .args_bytes = sizeof(search_args),
    .defaults =
        &(const search_args){.with = "payload", .row = UINT64_MAX, .query = CLI_QUERY_DEFAULTS},
    .run = run_search};
