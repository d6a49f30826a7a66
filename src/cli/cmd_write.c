/* cmd_write.c - put, update, delete: single points by id, any number by filter.
 *
 * What is named by ids is one transaction: all of it or nothing. By filter it is a transaction for
 * each page of points, so that any number can be changed without holding up readers' space or other
 * writers for long; the remark at the end says how many.
 */
#include "commands.h"
#include "points.h"

#define PAGE_ROWS 256u

typedef struct write_args {
    cli_common common;
    const char *db, *coll, *filter, *vector, *payload, *set, *overwrite, *at;
    cli_list ids, delete_keys, delete_vectors;
    bool clear;
} write_args;

/* A command with its collection open and its options read. */
typedef struct write_job {
    cli *c;
    const write_args *a;
    cli_collection coll;
    cli_vectors vectors;
    const char *payload; /* --payload, --set or --overwrite */
    size_t payload_bytes;
    char *payload_owned, *filter_owned;
    const char *filter;
    hwi_buf delete_keys; /* JSON array */
    uint64_t changed;
    /* One point of a transaction. */
    hw_status (*change)(struct write_job *job, hw_txn *txn, const hw_id *id, hw_error *err);
} write_job;

static hw_status
read_payload(write_job *job, hw_error *err)
{
    const write_args *a = job->a;
    const char *given = a->payload ? a->payload : a->set ? a->set : a->overwrite;
    const char *option = a->payload ? "payload" : a->set ? "set" : "overwrite";
    hwi_arena arena = {0};
    const hwi_json *json;
    hw_status st;

    HWI_TRY(cli_text_or_file(option, given, &job->payload, &job->payload_bytes, &job->payload_owned,
                             err));
    if (given == NULL) return HW_OK;
    st = hwi_json_parse(job->payload, job->payload_bytes, &arena, &json, err);
    if (st == HW_OK && json->kind != HWI_JSON_OBJECT)
        st = hwi_fail(err, HW_EINVAL, "expected a JSON object");
    hwi_arena_release(&arena);
    return st == HW_OK ? st : hwi_fail_prefix(err, st, "--%s", option);
}

static void
read_delete_keys(write_job *job)
{
    const cli_list *keys = &job->a->delete_keys;

    for (size_t i = 0; i < keys->count; i++) {
        hwi_buf_text(&job->delete_keys, i ? "," : "[");
        hwi_json_write_text(&job->delete_keys, keys->items[i], strlen(keys->items[i]));
    }
    if (keys->count) hwi_buf_text(&job->delete_keys, "]");
    cli_need(!job->delete_keys.failed);
}

static hw_status
begin(write_job *job, hw_error *err)
{
    const write_args *a = job->a;
    size_t filter_bytes;

    HWI_TRY(cli_vectors_parse(a->vector, &job->vectors, err));
    HWI_TRY(read_payload(job, err));
    read_delete_keys(job);
    HWI_TRY(cli_text_or_file("filter", a->filter, &job->filter, &filter_bytes, &job->filter_owned,
                             err));
    return cli_open_collection(job->c, a->db, a->coll, CLI_WRITE, &job->coll, err);
}

static void
end(write_job *job)
{
    cli_vectors_release(&job->vectors);
    hwi_free(job->payload_owned);
    hwi_free(job->filter_owned);
    hwi_buf_release(&job->delete_keys);
    cli_close_collection(job->c, &job->coll);
}

typedef struct change_job {
    write_job *job;
    const hw_id *ids;
    size_t count;
    uint64_t changed; /* before */
} change_job;

static hw_status
change_body(hw_txn *txn, void *arg, hw_error *err)
{
    const change_job *c = arg;
    c->job->changed = c->changed;
    for (size_t i = 0; i < c->count; i++) HWI_TRY(c->job->change(c->job, txn, &c->ids[i], err));
    return HW_OK;
}

/* One transaction over `count` ids. */
static hw_status
change_ids(write_job *job, const hw_id *ids, size_t count, hw_error *err)
{
    change_job c = {job, ids, count, job->changed};
    hw_status st = hw_db_run(job->coll.db, change_body, &c, err);
    if (st != HW_OK) job->changed = c.changed;
    return st;
}

static hw_status
change_page(void *arg, const hw_result *page, hw_error *err)
{
    return change_ids(arg, hw_result_ids(page), hw_result_count(page), err);
}

static hw_status
change_all(write_job *job, hw_error *err)
{
    hw_id ids[CLI_LIST_MAX];

    if (job->filter)
        return cli_each_page(job->coll.c, job->filter, 0, PAGE_ROWS, change_page, job, err);
    HWI_TRY(cli_ids_parse(&job->a->ids, ids, err));
    return change_ids(job, ids, job->a->ids.count, err);
}

/* Runs `change` over what the options of `command` name; `verb` is for the report. */
static int
run_write(cli *c, const void *args, const char *command, const char *verb,
          hw_status (*change)(write_job *job, hw_txn *txn, const hw_id *id, hw_error *err))
{
    write_job job = {.c = c, .a = args, .change = change};
    hw_error err = {0};
    char text[64];
    hw_status st;

    if ((job.a->ids.count == 0) == (job.a->filter == NULL)) {
        cli_complain("%s needs ids or --filter JSON, and not both", command);
        return CLI_USAGE;
    }
    st = begin(&job, &err);
    if (st == HW_OK) st = change_all(&job, &err);
    end(&job);
    if (st != HW_OK) return cli_fail_input(&err);
    if (c->mode == CLI_MODE_JSON)
        printf("{\"%s\":%llu}\n", verb, (unsigned long long)job.changed);
    else
        cli_remark(c, "%s %s", verb, cli_count_of(job.changed, "point", text));
    return CLI_OK;
}

/* ---- put */

static hw_status
put_point(write_job *job, hw_txn *txn, const hw_id *id, hw_error *err)
{
    HWI_TRY(hw_txn_upsert(txn, job->coll.c, id, job->vectors.items, job->vectors.count,
                          job->payload, job->payload_bytes, err));
    job->changed++;
    return HW_OK;
}

static int
run_put(cli *c, const void *args)
{
    return run_write(c, args, "put", "put", put_point);
}

#define WRITE_OPERANDS                                                                             \
    CLI_DB(write_args, db),                                                                        \
    {                                                                                              \
        "COLL", "name of the collection", offsetof(write_args, coll), 0, 0                         \
    }
#define FILTER_OPTION                                                                              \
    {                                                                                              \
        "filter", 'f', CLI_TEXT, offsetof(write_args, filter), "JSON",                             \
            "every point whose payload matches, or @FILE", NULL                                    \
    }
#define VECTOR_OPTION                                                                              \
    {                                                                                              \
        "vector", 'v', CLI_TEXT, offsetof(write_args, vector), "JSON",                             \
            "an array, an object of arrays by vector name, or @FILE", NULL                         \
    }

const cli_command cli_put_command = {
    .name = "put",
    .summary = "insert a point, or replace it whole",
    .about =
        "Vectors and payload of a point already there are replaced; to change parts of it use "
        "update. Many "
        "points are better brought in by import. With --filter every matching point is replaced.",
    .examples = "hashwood put photos.hw photos --id 7 --vector '[1, 2, 3]' --payload '{\"label\": "
                "\"boot\"}'\n",
    .operands = (const cli_operand[]){WRITE_OPERANDS, {0}},
    .options = (const cli_option[]){{"id", 'i', CLI_LIST, offsetof(write_args, ids), "ID",
                                     "id of the point", NULL},
                                    VECTOR_OPTION,
                                    {"payload", 'p', CLI_TEXT, offsetof(write_args, payload),
                                     "JSON", "a JSON object, or @FILE", NULL},
                                    FILTER_OPTION,
                                    {0}},
    .args_bytes = sizeof(write_args),
    .run = run_put};

/* ---- delete */

static hw_status
delete_point(write_job *job, hw_txn *txn, const hw_id *id, hw_error *err)
{
    bool existed = false;

    HWI_TRY(hw_txn_delete(txn, job->coll.c, id, &existed, err));
    if (!existed && !job->filter) {
        char text[HW_ID_TEXT_MAX + 1];
        hw_id_format(id, text);
        return hwi_fail(err, HW_ENOTFOUND, "no point `%s` in collection `%s`", text, job->a->coll);
    }
    job->changed += existed;
    return HW_OK;
}

static int
run_delete(cli *c, const void *args)
{
    return run_write(c, args, "delete", "deleted", delete_point);
}

const cli_command cli_delete_command = {
    .name = "delete",
    .summary = "delete points by id or by filter",
    .about = "Ids are deleted together: when one is not there nothing is deleted, exit code 1.",
    .examples = "hashwood delete photos.hw photos 7 8\n"
                "hashwood delete a.hw c --filter "
                "'{\"must\":[{\"key\":\"label\",\"match\":{\"value\":\"boot\"}}]}'\n",
    .operands = (const cli_operand[]){WRITE_OPERANDS,
                                      {"ID", "ids of points", offsetof(write_args, ids), 1, 1},
                                      {0}},
    .options = (const cli_option[]){{"id", 'i', CLI_LIST, offsetof(write_args, ids), "ID",
                                     "another way to give an id", NULL},
                                    FILTER_OPTION,
                                    {0}},
    .args_bytes = sizeof(write_args),
    .run = run_delete};

/* ---- update */

static hw_status
update_point(write_job *job, hw_txn *txn, const hw_id *id, hw_error *err)
{
    const write_args *a = job->a;
    hw_collection *c = job->coll.c;

    if (job->vectors.count)
        HWI_TRY(hw_txn_update_vectors(txn, c, id, job->vectors.items, job->vectors.count, err));
    if (a->delete_vectors.count)
        HWI_TRY(hw_txn_delete_vectors(txn, c, id, a->delete_vectors.items, a->delete_vectors.count,
                                      err));
    if (a->clear) HWI_TRY(hw_txn_update_payload(txn, c, id, HW_PAYLOAD_CLEAR, NULL, NULL, 0, err));
    if (job->payload)
        HWI_TRY(hw_txn_update_payload(txn, c, id,
                                      a->overwrite ? HW_PAYLOAD_OVERWRITE : HW_PAYLOAD_SET, a->at,
                                      job->payload, job->payload_bytes, err));
    if (job->delete_keys.size)
        HWI_TRY(hw_txn_update_payload(txn, c, id, HW_PAYLOAD_DELETE, NULL,
                                      (const char *)job->delete_keys.data, job->delete_keys.size,
                                      err));
    job->changed++;
    return HW_OK;
}

static int
run_update(cli *c, const void *args)
{
    const write_args *a = args;

    if (!!a->payload + !!a->set + !!a->overwrite > 1) {
        cli_complain("update takes one of --set (or --payload) and --overwrite");
        return CLI_USAGE;
    }
    if (!a->vector && !a->payload && !a->set && !a->overwrite && !a->clear &&
        a->delete_keys.count == 0 && a->delete_vectors.count == 0) {
        cli_complain(
            "update needs something to change: --vector, --set, --overwrite, --delete-key, "
            "--clear or --delete-vector");
        return CLI_USAGE;
    }
    return run_write(c, args, "update", "updated", update_point);
}

const cli_command cli_update_command = {
    .name = "update",
    .summary = "change the vector or payload of points by id or by filter",
    .about = "What is not named stays. --set joins keys to the payload, --overwrite replaces it, "
             "--delete-key "
             "removes keys. The index follows in the same transaction.",
    .examples = "hashwood update photos.hw photos 7 --set '{\"checked\": true}'\n"
                "hashwood update photos.hw photos 7 --vector '[3, 2, 1]'\n"
                "hashwood update a.hw c --filter '{\"must\":[{\"is_empty\":{\"key\":\"label\"}}]}' "
                "--set '{\"label\": \"?\"}'\n",
    .operands = (const cli_operand[]){WRITE_OPERANDS,
                                      {"ID", "ids of points", offsetof(write_args, ids), 1, 1},
                                      {0}},
    .options =
        (const cli_option[]){
            {"id", 'i', CLI_LIST, offsetof(write_args, ids), "ID", "another way to give an id",
             NULL},
            VECTOR_OPTION,
            {"set", 0, CLI_TEXT, offsetof(write_args, set), "JSON",
             "keys that replace or join the payload's, or @FILE", NULL},
            {"payload", 'p', CLI_TEXT, offsetof(write_args, payload), "JSON", "the same as --set",
             NULL},
            {"at", 0, CLI_TEXT, offsetof(write_args, at), "PATH",
             "for --set: the nested object the keys go into", NULL},
            {"overwrite", 0, CLI_TEXT, offsetof(write_args, overwrite), "JSON",
             "the new payload, or @FILE", NULL},
            {"delete-key", 0, CLI_LIST, offsetof(write_args, delete_keys), "PATH",
             "a payload key to remove; repeatable", NULL},
            {"clear", 0, CLI_FLAG, offsetof(write_args, clear), NULL, "remove the payload", NULL},
            {"delete-vector", 0, CLI_LIST, offsetof(write_args, delete_vectors), "NAME",
             "a named vector to remove; repeatable", NULL},
            FILTER_OPTION,
            {0}},
    .args_bytes = sizeof(write_args),
    .run = run_update};
