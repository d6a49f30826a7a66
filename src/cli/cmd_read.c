/* cmd_read.c - get, count, scroll: points by id and by filter. */
#include "commands.h"
#include "points.h"

typedef struct read_args {
    cli_common common;
    const char *db, *coll, *filter, *with, *from;
    cli_list ids;
    uint32_t limit;
} read_args;

static const cli_operand collection_operands[] = {
    CLI_DB(read_args, db),
    {"COLL", "name of the collection", offsetof(read_args, coll), 0, 0},
    {0}};

/* A command with its collection open and its options read. */
typedef struct read_job {
    const cli *c;
    const read_args *a;
    cli_collection coll;
    cli_show show;
    const char *filter;
    size_t filter_bytes;
    char *filter_owned;
} read_job;

static hw_status
begin(cli *c, const read_args *a, read_job *job, hw_error *err)
{
    *job = (read_job){.c = c, .a = a};
    HWI_TRY(cli_with_parse(a->with, &job->show.with, err));
    HWI_TRY(cli_text_or_file("filter", a->filter, &job->filter, &job->filter_bytes,
                             &job->filter_owned, err));
    HWI_TRY(cli_open_collection(c, a->db, a->coll, CLI_READ, &job->coll, err));
    if (job->show.with & HW_WITH_VECTOR)
        HWI_TRY(cli_vector_names(job->coll.c, &job->show.names, &job->show.name_count, err));
    return HW_OK;
}

static void
end(cli *c, read_job *job)
{
    hwi_free(job->show.names);
    hwi_free(job->filter_owned);
    cli_close_collection(c, &job->coll);
}

static void
print_points(const read_job *job, const hw_result *r)
{
    hwi_buf b = {0};

    if (job->c->mode != CLI_MODE_JSON) {
        cli_print_points(job->c, &job->show, r);
        return;
    }
    cli_add_points(&b, &job->show, r);
    cli_print_line(&b);
}

/* ---- get */

/* Which of the ids asked for are missing from the answer, which keeps their order. */
static int
complain_of_absent(const read_job *job, const hw_id *ids, const hw_result *r)
{
    size_t at = 0, absent = 0;

    for (size_t i = 0; i < job->a->ids.count; i++) {
        if (at < hw_result_count(r) && hw_id_compare(&ids[i], &hw_result_ids(r)[at]) == 0) {
            at++;
            continue;
        }
        cli_complain("no point `%s` in collection `%s`", job->a->ids.items[i], job->a->coll);
        absent++;
    }
    return absent ? CLI_FAILED : CLI_OK;
}

static int
get_by_id(const read_job *job, hw_error *err)
{
    hw_id ids[CLI_LIST_MAX];
    hw_result *r = NULL;
    int code;

    if (cli_ids_parse(&job->a->ids, ids, err) != HW_OK ||
        hw_collection_get(job->coll.c, ids, job->a->ids.count, job->show.with, &r, err) != HW_OK)
        return cli_fail_input(err);
    if (hw_result_count(r) > 0 || job->c->mode == CLI_MODE_JSON) print_points(job, r);
    code = complain_of_absent(job, ids, r);
    hw_result_free(r);
    return code;
}

static int
get_by_filter(const read_job *job, hw_error *err)
{
    const read_args *a = job->a;
    hw_result *r = NULL;
    hw_id from, next;
    bool more = false;
    hw_status st = a->from ? hw_id_parse(a->from, strlen(a->from), &from, err) : HW_OK;

    if (st == HW_OK)
        st = hw_collection_scroll(job->coll.c, job->filter, job->filter_bytes,
                                  a->from ? &from : NULL, a->limit, job->show.with, &r, &more,
                                  &next, err);
    if (st != HW_OK) return cli_fail_input(err);
    print_points(job, r);
    if (more) {
        char text[HW_ID_TEXT_MAX + 1];
        hw_id_format(&next, text);
        cli_remark(job->c, "there are more: go on with --from %s", text);
    }
    hw_result_free(r);
    return CLI_OK;
}

static int
run_get(cli *c, const void *args)
{
    const read_args *a = args;
    read_job job;
    hw_error err = {0};
    int code;

    if ((a->ids.count == 0) == (a->filter == NULL)) {
        cli_complain("get needs ids or --filter JSON, and not both");
        return CLI_USAGE;
    }
    if (begin(c, a, &job, &err) != HW_OK)
        code = cli_fail_input(&err);
    else
        code = a->filter ? get_by_filter(&job, &err) : get_by_id(&job, &err);
    end(c, &job);
    return code;
}

const cli_command cli_get_command = {
    .name = "get",
    .summary = "show points by id or by filter",
    .about = "Digits are a number, 8-4-4-4-12 hexadecimal digits a UUID, anything else a text id. "
             "Exit code 1 "
             "when an id is not there.",
    .examples = "hashwood get photos.hw photos 7 8 --with payload,vector\n"
                "hashwood get a.hw c --filter "
                "'{\"must\":[{\"key\":\"label\",\"match\":{\"value\":\"boot\"}}]}' --limit 3\n",
    .operands =
        (const cli_operand[]){CLI_DB(read_args, db),
                              {"COLL", "name of the collection", offsetof(read_args, coll), 0, 0},
                              {"ID", "ids of points", offsetof(read_args, ids), 1, 1},
                              {0}},
    .options =
        (const cli_option[]){{"filter", 'f', CLI_TEXT, offsetof(read_args, filter), "JSON",
                              "points whose payload matches, or @FILE", NULL},
                             {"limit", 'n', CLI_U32, offsetof(read_args, limit), "N",
                              "with --filter: at most so many (default 100)", NULL},
                             {"from", 0, CLI_TEXT, offsetof(read_args, from), "ID",
                              "with --filter: go on from this id", NULL},
                             {"with", 'w', CLI_TEXT, offsetof(read_args, with), "WHAT",
                              "payload, vector, both with a comma, or none (default payload)",
                              NULL},
                             {0}},
    .args_bytes = sizeof(read_args),
    .defaults = &(const read_args){.with = "payload", .limit = 100},
    .run = run_get};

/* ---- count */

static int
run_count(cli *c, const void *args)
{
    const read_args *a = args;
    read_job job;
    hw_error err = {0};
    uint64_t count = 0;
    char text[32];
    hw_status st = begin(c, a, &job, &err);

    if (st == HW_OK)
        st = hw_collection_count(job.coll.c, job.filter, job.filter_bytes, &count, &err);
    if (st == HW_OK && c->mode == CLI_MODE_JSON)
        printf("{\"count\":%llu}\n", (unsigned long long)count);
    else if (st == HW_OK && c->mode == CLI_MODE_TABLE && !c->quiet)
        puts(cli_count(count, text));
    else if (st == HW_OK)
        printf("%llu\n", (unsigned long long)count);
    end(c, &job);
    return st == HW_OK ? CLI_OK : cli_fail_input(&err);
}

const cli_command cli_count_command = {
    .name = "count",
    .summary = "count the points of a collection, or those that match a filter",
    .about = "Counts are exact. With --quiet the number has no separators.",
    .examples =
        "hashwood count photos.hw photos\n"
        "hashwood count a.hw c --filter '{\"must\":[{\"key\":\"price\",\"range\":{\"lt\":20}}]}'\n",
    .operands = collection_operands,
    .options = (const cli_option[]){{"filter", 'f', CLI_TEXT, offsetof(read_args, filter), "JSON",
                                     "only points whose payload matches, or @FILE", NULL},
                                    {0}},
    .args_bytes = sizeof(read_args),
    .defaults = &(const read_args){.with = "none"},
    .run = run_count};

/* ---- scroll */

static void
print_page(const read_job *job, const hw_result *r, bool more, const hw_id *next)
{
    char text[HW_ID_TEXT_MAX + 1];
    hwi_buf b = {0};

    if (job->c->mode != CLI_MODE_JSON) {
        cli_print_points(job->c, &job->show, r);
        if (!more) return;
        hw_id_format(next, text);
        cli_remark(job->c, "there are more: go on with --from %s", text);
        return;
    }
    hwi_buf_text(&b, "{\"points\":");
    cli_add_points(&b, &job->show, r);
    hwi_buf_text(&b, ",\"next\":");
    if (more)
        hwi_json_write_id(&b, next);
    else
        hwi_buf_text(&b, "null");
    hwi_buf_text(&b, "}");
    cli_print_line(&b);
}

static hw_status
scroll(const read_job *job, hw_error *err)
{
    const read_args *a = job->a;
    hw_result *r;
    hw_id from, next;
    bool more = false;

    if (a->from) HWI_TRY(hw_id_parse(a->from, strlen(a->from), &from, err));
    HWI_TRY(hw_collection_scroll(job->coll.c, job->filter, job->filter_bytes,
                                 a->from ? &from : NULL, a->limit, job->show.with, &r, &more, &next,
                                 err));
    print_page(job, r, more, &next);
    hw_result_free(r);
    return HW_OK;
}

static int
run_scroll(cli *c, const void *args)
{
    read_job job;
    hw_error err = {0};
    hw_status st = begin(c, args, &job, &err);

    if (st == HW_OK) st = scroll(&job, &err);
    end(c, &job);
    return st == HW_OK ? CLI_OK : cli_fail_input(&err);
}

const cli_command cli_scroll_command = {
    .name = "scroll",
    .summary = "page through the points of a collection in the order of their ids",
    .about = "Shows one page and, when there is more, the id to go on from.",
    .examples = "hashwood scroll photos.hw photos -n 20\n"
                "hashwood scroll photos.hw photos -n 20 --from 21 --json\n",
    .operands = collection_operands,
    .options =
        (const cli_option[]){
            {"limit", 'n', CLI_U32, offsetof(read_args, limit), "N",
             "points in a page (default 20)", NULL},
            {"from", 0, CLI_TEXT, offsetof(read_args, from), "ID", "the first id to show", NULL},
            {"filter", 'f', CLI_TEXT, offsetof(read_args, filter), "JSON",
             "only points whose payload matches, or @FILE", NULL},
            {"with", 'w', CLI_TEXT, offsetof(read_args, with), "WHAT",
             "payload, vector, both with a comma, or none (default payload)", NULL},
            {0}},
    .args_bytes = sizeof(read_args),
    .defaults = &(const read_args){.with = "payload", .limit = 20},
    .run = run_scroll};
