/* cmd_schema.c - field and alias: what changes about a collection that is in use.
 *
 * Both are for replacing vectors without a pause: a second field is added, filled and searched before
 * the first is dropped, or a second collection is filled and takes the name of the first. */
#include "commands.h"
#include "settings.h"

/* ---- field */

typedef struct field_args {
    cli_common common;
    const char *db, *coll, *action, *name, *metric;
    uint32_t dim;
    bool sparse, multi, idf;
} field_args;

/* NULL, or what is wrong with the options beside the action. */
static const char *
field_slip(const field_args *a)
{
    if (strcmp(a->action, "drop") == 0)
        return a->dim || a->sparse || a->multi || a->idf ? "field drop takes the name alone" : NULL;
    if (strcmp(a->action, "add") != 0) return "field: expected add or drop after the collection";
    if (a->sparse) return a->dim || a->multi ? "field add: --sparse has no --dim or --multi" : NULL;
    if (a->idf) return "field add: --idf goes with --sparse";
    return a->dim ? NULL : "field add needs --dim N or --sparse";
}

static hw_status
change_field(const field_args *a, hw_collection *coll, hw_error *err)
{
    char config[128];

    if (strcmp(a->action, "drop") == 0) return hw_collection_drop_vector(coll, a->name, err);
    if (a->sparse)
        (void)snprintf(config, sizeof config, "{%s}", a->idf ? "\"modifier\":\"idf\"" : "");
    else
        (void)snprintf(config, sizeof config, "{\"dim\":%u,\"metric\":\"%s\"%s}", a->dim, a->metric,
                       a->multi ? ",\"multivector_config\":{\"comparator\":\"max_sim\"}" : "");
    return hw_collection_add_vector(coll, a->name, a->sparse, config, err);
}

static int
run_field(cli *c, const void *args)
{
    const field_args *a = args;
    cli_collection coll = {0};
    hw_error err = {0};
    const char *slip = field_slip(a);
    bool is_drop = strcmp(a->action, "drop") == 0;

    if (slip) {
        cli_complain("%s", slip);
        return CLI_USAGE;
    }
    hw_status st = cli_open_collection(c, a->db, a->coll, CLI_WRITE, &coll, &err);
    if (st == HW_OK) st = change_field(a, coll.c, &err);
    cli_close_collection(c, &coll);
    if (st != HW_OK) return cli_fail_input(&err);
    if (c->mode == CLI_MODE_JSON)
        printf("{\"%s\":true}\n", is_drop ? "dropped" : "added");
    else
        cli_remark(c, "%s vector field `%s`", is_drop ? "dropped" : "added", a->name);
    return CLI_OK;
}

const cli_command cli_field_command = {
    .name = "field",
    .summary = "add a vector field to a collection in use, or drop one",
    .about = "Points have none of a new field until they are given one, by update --vector, or by "
             "import --merge --using for many. Searches of the other fields go on meanwhile. A "
             "field that "
             "is dropped is gone at once, its pages are freed in small transactions.\n\n"
             "So vectors of another model, length or metric take the place of the old ones: add, "
             "fill, search with --using, drop.",
    .examples = "hashwood field photos.hw photos add v2 --dim 512 --metric cosine\n"
                "hashwood field photos.hw photos add words --sparse --idf\n"
                "hashwood field photos.hw photos drop v1\n",
    .operands =
        (const cli_operand[]){CLI_DB(field_args, db),
                              {"COLL", "name of the collection", offsetof(field_args, coll), 0, 0},
                              {"ACTION", "add or drop", offsetof(field_args, action), 0, 0},
                              {"NAME", "name of the field", offsetof(field_args, name), 0, 0},
                              {0}},
    .options =
        (const cli_option[]){
            {"dim", 'd', CLI_U32, offsetof(field_args, dim), "N", "numbers in a vector", NULL},
            {"metric", 'm', CLI_TEXT, offsetof(field_args, metric), "METRIC",
             "how vectors are compared: cosine, l2, dot or l1 (default cosine)", CLI_METRICS},
            {"multi", 0, CLI_FLAG, offsetof(field_args, multi), NULL,
             "several vectors a point, compared by MaxSim", NULL},
            {"sparse", 0, CLI_FLAG, offsetof(field_args, sparse), NULL,
             "sparse vectors, compared by dot product", NULL},
            {"idf", 0, CLI_FLAG, offsetof(field_args, idf), NULL,
             "with --sparse: rare indices weigh more", NULL},
            {0}},
    .args_bytes = sizeof(field_args),
    .defaults = &(const field_args){.metric = "cosine"},
    .run = run_field};

/* ---- alias */

typedef struct alias_args {
    cli_common common;
    const char *db, *name, *coll;
    bool remove;
} alias_args;

static hw_status
list_aliases(const cli *c, hw_db *db, hw_error *err)
{
    char *json;

    HWI_TRY(hw_db_aliases(db, &json, err));
    cli_print_json(c, json);
    hw_free(json);
    return HW_OK;
}

static int
run_alias(cli *c, const void *args)
{
    const alias_args *a = args;
    hw_error err = {0};
    hw_db *db = NULL;

    if (a->name && !a->coll == !a->remove) {
        cli_complain("alias needs a name and a collection, or a name and --remove");
        return CLI_USAGE;
    }
    hw_status st = cli_open(c, a->db, a->name ? CLI_WRITE : CLI_READ, &db, &err);
    if (st == HW_OK && !a->name) st = list_aliases(c, db, &err);
    if (st == HW_OK && a->name) st = hw_db_alias(db, &(const hw_alias){a->name, a->coll}, 1, &err);
    cli_close(c, db);
    if (st != HW_OK) return cli_fail_input(&err);
    if (!a->name) return CLI_OK;
    if (c->mode == CLI_MODE_JSON)
        puts(a->coll ? "{\"set\":true}" : "{\"removed\":true}");
    else if (a->coll)
        cli_remark(c, "alias `%s` is collection `%s`", a->name, a->coll);
    else
        cli_remark(c, "removed alias `%s`", a->name);
    return CLI_OK;
}

const cli_command cli_alias_command = {
    .name = "alias",
    .summary = "give a collection a second name, move that name, or list them",
    .about = "An alias is usable wherever a collection's name is. Moving one is a single "
             "transaction: who opens it from then on gets the new collection, so one that was "
             "built anew takes the place of an old one at once. Without a name: lists the aliases.",
    .examples = "hashwood alias photos.hw current photos_2\n"
                "hashwood alias photos.hw current --remove\n"
                "hashwood alias photos.hw\n",
    .operands = (const cli_operand[]){CLI_DB(alias_args, db),
                                      {"NAME", "the alias", offsetof(alias_args, name), 1, 0},
                                      {"COLL", "the collection", offsetof(alias_args, coll), 1, 0},
                                      {0}},
    .options = (const cli_option[]){{"remove", 0, CLI_FLAG, offsetof(alias_args, remove), NULL,
                                     "remove the alias; the collection stays", NULL},
                                    {0}},
    .args_bytes = sizeof(alias_args),
    .run = run_alias};
