/* cmd_why.c - why: the way of one point through a search that found it, or lost it. */
#include "commands.h"
#include "query.h"

typedef struct why_args {
    cli_common common;
    const char *db, *coll, *id;
    cli_query_args query;
} why_args;

static int
run_why(cli *c, const void *args)
{
    const why_args *a = args;
    cli_collection coll = {0};
    hw_error err = {0};
    cli_query q;
    hw_id id;
    char *json = NULL;
    hw_status st = hw_id_parse(a->id, strlen(a->id), &id, &err);

    if (st == HW_OK) st = cli_query_init(&a->query, &q, &err);
    if (st != HW_OK) return cli_fail_input(&err);
    st = cli_open_collection(c, a->db, a->coll, CLI_READ, &coll, &err);
    if (st == HW_OK) st = hw_collection_why(coll.c, &q.query, &id, &json, &err);
    if (st == HW_OK) cli_print_json(c, json);
    hw_free(json);
    cli_query_release(&q);
    cli_close_collection(c, &coll);
    return st == HW_OK ? CLI_OK : cli_fail_input(&err);
}

const cli_command cli_why_command = {
    .name = "why",
    .summary = "tell why a point is or is not among the hits of a search",
    .about = "Gives the point's score and its exact rank for the query, and the step at which the "
             "search lost it: filter, score threshold, rank, offset, leaf not opened, signature "
             "bound or refinement. A point that the filter rejects has no rank.",
    .examples = "hashwood why photos.hw photos 7 --vector @query.json\n"
                "hashwood why photos.hw photos 7 --like 12 -k 5\n",
    .operands =
        (const cli_operand[]){CLI_DB(why_args, db),
                              {"COLL", "name of the collection", offsetof(why_args, coll), 0, 0},
                              {"ID", "the point asked after", offsetof(why_args, id), 0, 0},
                              {0}},
    .options = (const cli_option[]){{"like", 0, CLI_TEXT, CLI_QUERY_AT(why_args, query, id), "ID",
                                     "the query is this stored point", NULL},
                                    CLI_QUERY_VECTOR(why_args, query),
                                    CLI_QUERY_OPTIONS(why_args, query),
                                    {0}},
    .args_bytes = sizeof(why_args),
    .defaults = &(const why_args){.query = CLI_QUERY_DEFAULTS},
    .run = run_why};
