/* cmd_collections.c - create, collections, describe, drop. */
#include "commands.h"
#include "progress.h"
#include "settings.h"
#include "table.h"

/* ---- create */

typedef struct create_args {
    cli_common common;
    const char *db, *coll, *metric, *index, *config;
    uint32_t dim;
    cli_list vectors, set, payload_index;
} create_args;

/* --vector-field image:512 */
static hw_status
named_fields(const cli_list *list, cli_field *fields, char (*names)[HW_NAME_MAX + 1], hw_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *dim;
        char end;

        if (i == HW_VECTORS_MAX)
            return hwi_fail(err, HW_EINVAL, "more than %u vector fields", HW_VECTORS_MAX);
        if (!cli_split(list->items[i], ':', names[i], sizeof names[i], &dim) ||
            sscanf(dim, "%u%c", &fields[i].dim, &end) != 1)
            return hwi_fail(err, HW_EINVAL, "--field is `%s`, expected name:dimension",
                            list->items[i]);
        fields[i].name = names[i];
    }
    return HW_OK;
}

static hw_status
create_settings(const create_args *a, hwi_buf *out, hw_error *err)
{
    cli_field fields[HW_VECTORS_MAX] = {{.name = "", .dim = a->dim}};
    char names[HW_VECTORS_MAX][HW_NAME_MAX + 1];
    const char *text;
    char *owned;
    size_t bytes;

    if (a->config) {
        HWI_TRY(cli_text_or_file("config", a->config, &text, &bytes, &owned, err));
        hwi_buf_add(out, text, bytes + 1);
        hwi_free(owned);
        cli_need(!out->failed);
        return HW_OK;
    }
    if (a->dim == 0 && a->vectors.count == 0)
        return hwi_fail(err, HW_EINVAL, "create needs --dim N, --field name:N or --config JSON");
    HWI_TRY(named_fields(&a->vectors, fields, names, err));
    const cli_settings settings = {a->metric, a->index, &a->set, &a->payload_index};
    return cli_settings_json(fields, HWI_MAX(a->vectors.count, 1), &settings, out, err);
}

static int
run_create(cli *c, const void *args)
{
    const create_args *a = args;
    hwi_buf settings = {0};
    hw_error err = {0};
    hw_db *db = NULL;
    int code = CLI_OK;
    hw_status st = create_settings(a, &settings, &err);

    if (st == HW_OK) st = cli_open(c, a->db, CLI_CREATE, &db, &err);
    if (st == HW_OK) st = hw_collection_create(db, a->coll, (const char *)settings.data, &err);
    if (st != HW_OK)
        code = cli_fail_input(&err);
    else if (c->mode == CLI_MODE_JSON)
        puts("{\"created\":true}");
    else
        cli_remark(c, "created collection `%s`", a->coll);
    cli_close(c, db);
    hwi_buf_release(&settings);
    return code;
}

const cli_command cli_create_command = {
    .name = "create",
    .summary = "create a collection, and the database when there is none",
    .about =
        "A collection holds points: an id, one vector (or several named ones) of fixed length, and "
        "a "
        "JSON payload. The metric is part of it: cosine compares directions, l2 is the straight "
        "distance, dot the inner product, l1 the sum of differences.\n\n"
        "The index is chosen by --index: hybrid (a KD-tree whose leaves are bucketed by LSH "
        "signatures) is right almost always; kdtree, lsh and flat switch halves of it off, to "
        "compare.",
    .examples = "hashwood create photos.hw photos --dim 512 --metric cosine\n"
                "hashwood create shop.hw items --field image:512 --field text:384 --metric cosine\n"
                "hashwood create a.hw c --dim 3 --metric l2 --payload-index label:keyword\n",
    .operands = (const cli_operand[]){CLI_DB(create_args, db),
                                      {"COLL", "name of the new collection",
                                       offsetof(create_args, coll), 0, 0},
                                      {0}},
    .options =
        (const cli_option[]){
            {"dim", 'd', CLI_U32, offsetof(create_args, dim), "N", "numbers in a vector", NULL},
            {"metric", 'm', CLI_TEXT, offsetof(create_args, metric), "METRIC",
             "how vectors are compared: cosine, l2, dot or l1 (default cosine)", CLI_METRICS},
            {"field", 0, CLI_LIST, offsetof(create_args, vectors), "NAME:N",
             "a named vector and its length, instead of --dim; repeatable", NULL},
            {"index", 0, CLI_TEXT, offsetof(create_args, index), "KIND",
             "hybrid, kdtree, lsh or flat (default hybrid)", CLI_KINDS},
            {"set", 0, CLI_LIST, offsetof(create_args, set), "KEY=VALUE",
             "a setting of the index: leaf_size, bits, seed, flat_below; repeatable", NULL},
            {"payload-index", 0, CLI_LIST, offsetof(create_args, payload_index), "FIELD:TYPE",
             "index a payload field for filters; repeatable; types: keyword, integer, float, bool, "
             "datetime, geo, uuid, text",
             NULL},
            {"config", 0, CLI_TEXT, offsetof(create_args, config), "JSON",
             "all settings as one JSON object (or @FILE), instead of the options above", NULL},
            {0}},
    .args_bytes = sizeof(create_args),
    .defaults = &(const create_args){.metric = "cosine"},
    .run = run_create};

/* ---- collections */

typedef struct list_args {
    cli_common common;
    const char *db;
} list_args;

static hw_status
count_points(hw_db *db, const char *name, uint64_t *points, uint32_t *dim, hw_error *err)
{
    hw_collection *coll;
    hw_status st;

    HWI_TRY(hw_collection_open(db, name, &coll, err));
    st = hw_collection_count(coll, NULL, 0, points, err);
    *dim = hw_collection_dim(coll, NULL);
    hw_collection_close(coll);
    return st;
}

static hw_status
list_collections(const cli *c, hw_db *db, hw_error *err)
{
    char **names, text[32];
    size_t count;
    uint64_t points;
    uint32_t dim;
    hwi_buf b = {0};
    cli_table t;
    hw_status st;

    HWI_TRY(hw_collection_list(db, &names, &count, err));
    cli_table_begin(&t, "collection", ">dim", ">points");
    hwi_buf_text(&b, "[");
    for (size_t i = 0; i < count; i++) {
        if (c->quiet) {
            puts(names[i]);
            continue;
        }
        st = count_points(db, names[i], &points, &dim, err);
        if (st == HW_ENOTFOUND) continue; /* dropped since the list was made */
        if (st != HW_OK) break;
        hwi_buf_text(&b, b.size > 1 ? ",{\"name\":" : "{\"name\":");
        hwi_json_write_text(&b, names[i], strlen(names[i]));
        hwi_buf_printf(&b, ",\"points\":%llu}", (unsigned long long)points);
        cli_table_text(&t, names[i]);
        cli_table_printf(&t, "%u", dim);
        cli_table_text(&t, cli_count(points, text));
    }
    hwi_buf_text(&b, "]");
    hw_free(names);
    if (c->mode == CLI_MODE_JSON)
        cli_print_line(&b);
    else if (!c->quiet)
        cli_table_end(&t, c);
    hwi_buf_release(&b);
    hwi_buf_release(&t.cells);
    return HW_OK;
}

static int
run_collections(cli *c, const void *args)
{
    const list_args *a = args;
    hw_error err = {0};
    hw_db *db = NULL;
    hw_status st = cli_open(c, a->db, CLI_READ, &db, &err);

    if (st == HW_OK) st = list_collections(c, db, &err);
    cli_close(c, db);
    return st == HW_OK ? CLI_OK : cli_fail(&err);
}

const cli_command cli_collections_command = {
    .name = "collections",
    .summary = "list the collections of a database",
    .about = "Names in byte order with the number of points; with --quiet only the names.",
    .examples = "hashwood collections photos.hw\n",
    .operands = (const cli_operand[]){CLI_DB(list_args, db), {0}},
    .args_bytes = sizeof(list_args),
    .run = run_collections};

/* ---- describe, drop */

typedef struct name_args {
    cli_common common;
    const char *db, *coll;
} name_args;

static const cli_operand name_operands[] = {
    CLI_DB(name_args, db),
    {"COLL", "name of the collection", offsetof(name_args, coll), 0, 0},
    {0}};

static int
run_describe(cli *c, const void *args)
{
    const name_args *a = args;
    hw_error err = {0};
    cli_collection coll;
    char *json = NULL;
    hw_status st = cli_open_collection(c, a->db, a->coll, CLI_READ, &coll, &err);

    if (st == HW_OK) st = hw_collection_describe(coll.c, &json, &err);
    if (st == HW_OK) cli_print_json(c, json);
    hw_free(json);
    cli_close_collection(c, &coll);
    return st == HW_OK ? CLI_OK : cli_fail(&err);
}

const cli_command cli_describe_command = {
    .name = "describe",
    .summary = "show the settings, counts and payload indexes of a collection",
    .about = "Everything the collection was created with, and what it holds now.",
    .examples = "hashwood describe photos.hw photos\n",
    .operands = name_operands,
    .args_bytes = sizeof(name_args),
    .run = run_describe};

static int
run_drop(cli *c, const void *args)
{
    const name_args *a = args;
    hw_error err = {0};
    hw_db *db = NULL;
    hw_status st = cli_open(c, a->db, CLI_WRITE, &db, &err);

    if (st == HW_OK) st = hw_collection_drop(db, a->coll, &err);
    cli_close(c, db);
    if (st != HW_OK) return cli_fail(&err);
    if (c->mode == CLI_MODE_JSON)
        puts("{\"dropped\":true}");
    else
        cli_remark(c, "dropped collection `%s`", a->coll);
    return CLI_OK;
}

const cli_command cli_drop_command = {
    .name = "drop",
    .summary = "remove a collection and all it holds",
    .about = "The name is free at once. There is no way back but a backup.",
    .examples = "hashwood drop photos.hw photos\n",
    .operands = name_operands,
    .args_bytes = sizeof(name_args),
    .run = run_drop};
