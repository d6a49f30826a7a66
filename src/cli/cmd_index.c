/* cmd_index.c - index (payload indexes) and build (the vector index). */
#include "commands.h"
#include "progress.h"
#include "settings.h"

typedef struct index_args {
    cli_common common;
    const char *db, *coll, *action, *field, *type;
} index_args;

static hw_status
change_index(const index_args *a, hw_collection *coll, cli_progress *progress, hw_error *err)
{
    if (strcmp(a->action, "drop") == 0) return hw_collection_unindex_payload(coll, a->field, err);
    return hw_collection_index_payload(coll, a->field, a->type, cli_progress_show, progress, err);
}

static int
run_index(cli *c, const void *args)
{
    const index_args *a = args;
    cli_collection coll = {0};
    hw_error err = {0};
    cli_progress progress;
    hw_status st;
    bool is_drop = strcmp(a->action, "drop") == 0;

    if (!is_drop && strcmp(a->action, "create") != 0) {
        cli_complain("index: action is `%s`, expected create or drop", a->action);
        return CLI_USAGE;
    }
    if (!is_drop && a->type == NULL) {
        cli_complain("index create needs --type %s", CLI_PIX_TYPES);
        return CLI_USAGE;
    }
    st = cli_open_collection(c, a->db, a->coll, CLI_WRITE, &coll, &err);
    cli_progress_begin(&progress, c);
    if (st == HW_OK) st = change_index(a, coll.c, &progress, &err);
    cli_progress_end(&progress);
    cli_close_collection(c, &coll);
    if (st != HW_OK) return cli_fail_input(&err);
    if (c->mode == CLI_MODE_JSON)
        printf("{\"%s\":true}\n", is_drop ? "dropped" : "indexed");
    else
        cli_remark(c, "%s field `%s`", is_drop ? "dropped the index of" : "indexed", a->field);
    return CLI_OK;
}

const cli_command cli_index_command = {
    .name = "index",
    .summary = "create or drop the index of a payload field",
    .about = "A filter on an indexed field need not read payloads. The field is a path: label, "
             "a.b, tags[].name. "
             "Creating goes on where it was cut short.",
    .examples = "hashwood index photos.hw photos create label --type keyword\n"
                "hashwood index photos.hw photos drop label\n",
    .operands =
        (const cli_operand[]){
            CLI_DB(index_args, db),
            {"COLL", "name of the collection", offsetof(index_args, coll), 0, 0},
            {"ACTION", "create or drop", offsetof(index_args, action), 0, 0},
            {"FIELD", "path of the payload field", offsetof(index_args, field), 0, 0},
            {0}},
    .options = (const cli_option[]){{"type", 't', CLI_TEXT, offsetof(index_args, type), "TYPE",
                                     "keyword, integer, float, bool, datetime, geo, uuid or text",
                                     CLI_PIX_TYPES},
                                    {0}},
    .args_bytes = sizeof(index_args),
    .run = run_index};

/* ---- build */

typedef struct build_args {
    cli_common common;
    const char *db, *coll;
    uint32_t threads;
} build_args;

static int
run_build(cli *c, const void *args)
{
    const build_args *a = args;
    cli_collection coll = {0};
    hw_error err = {0};
    cli_progress progress;
    hw_status st;
    double seconds;

    c->threads = a->threads;
    st = cli_open_collection(c, a->db, a->coll, CLI_WRITE, &coll, &err);
    cli_progress_begin(&progress, c);
    if (st == HW_OK) st = hw_collection_build(coll.c, cli_progress_show, &progress, &err);
    seconds = cli_progress_seconds(&progress);
    cli_progress_end(&progress);
    cli_close_collection(c, &coll);
    if (st != HW_OK) return cli_fail(&err);
    if (c->mode == CLI_MODE_JSON)
        printf("{\"built\":true,\"seconds\":%.3f}\n", seconds);
    else
        cli_remark(c, "built the index of `%s` in %.1f s", a->coll, seconds);
    return CLI_OK;
}

const cli_command cli_build_command = {
    .name = "build",
    .summary = "build the vector index of a collection afresh",
    .about = "Worth it after a first bulk load; later changes keep the index right by themselves. "
             "The old index "
             "serves until the new one is switched in; stopping leaves everything as it was.",
    .examples = "hashwood build photos.hw photos --threads 2\n",
    .operands =
        (const cli_operand[]){CLI_DB(build_args, db),
                              {"COLL", "name of the collection", offsetof(build_args, coll), 0, 0},
                              {0}},
    .options = (const cli_option[]){{"threads", 't', CLI_U32, offsetof(build_args, threads), "N",
                                     "threads to build with (default one per processor)", NULL},
                                    {0}},
    .args_bytes = sizeof(build_args),
    .run = run_build};
