/* query.h - the options of a search, shared by search and why. */
#ifndef CLI_QUERY_H
#define CLI_QUERY_H

#include "points.h"

typedef struct cli_query_args {
    const char *vector, *id, *using, *filter;
    uint32_t k, offset, budget_ms;
    double recall, threshold; /* NAN: not given */
    bool exact;
} cli_query_args;

/* Rows for an option table; `type` is the args struct and `field` its cli_query_args. */
#define CLI_QUERY_AT(type, field, member) (offsetof(type, field) + offsetof(cli_query_args, member))
#define CLI_QUERY_VECTOR(type, field)                                                              \
    {                                                                                              \
        "vector", 'v', CLI_TEXT, CLI_QUERY_AT(type, field, vector), "JSON",                        \
            "the query: an array of numbers, or @FILE holding one", NULL                           \
    }
#define CLI_QUERY_OPTIONS(type, field)                                                              \
    {"using",  0,                                                                                   \
     CLI_TEXT, CLI_QUERY_AT(type, field, using),                                                    \
     "NAME",   "which of several named vectors to compare",                                         \
     NULL},                                                                                         \
        {"k", 'k', CLI_U32, CLI_QUERY_AT(type, field, k), "N", "how many hits (default 10)", NULL}, \
        {"offset", 0, CLI_U32, CLI_QUERY_AT(type, field, offset), "N", "hits to skip first", NULL}, \
        {"filter", 'f',                                                                             \
         CLI_TEXT, CLI_QUERY_AT(type, field, filter),                                               \
         "JSON",   "only points whose payload matches, or @FILE",                                   \
         NULL},                                                                                     \
        {"recall", 'r',                                                                             \
         CLI_REAL, CLI_QUERY_AT(type, field, recall),                                               \
         "R",      "share of the true nearest to aim at, above 0 up to 1 (default 0.95)",           \
         NULL},                                                                                     \
        {"exact", 0, CLI_FLAG, CLI_QUERY_AT(type, field, exact), NULL, "a proven exact answer",     \
         NULL},                                                                                     \
        {"budget", 0,                                                                               \
         CLI_U32,  CLI_QUERY_AT(type, field, budget_ms),                                            \
         "MS",     "stop after so many milliseconds and say what was reached",                      \
         NULL},                                                                                     \
    {                                                                                               \
        "threshold", 0, CLI_REAL, CLI_QUERY_AT(type, field, threshold), "SCORE",                    \
            "only hits with at least this score (cosine, dot) or at most (l2, l1)", NULL            \
    }

#define CLI_QUERY_DEFAULTS                                                                         \
    {                                                                                              \
        .k = 10, .recall = 0.95, .threshold = __builtin_nan("")                                    \
    }

typedef struct cli_query {
    hw_query query;
    hw_id id;
    cli_vectors vectors;
    char *filter_owned;
} cli_query;

/* The query that the options describe; vector and id may both be absent. */
hw_status cli_query_init(const cli_query_args *a, cli_query *out, hw_error *err);
void cli_query_release(cli_query *q);

#endif
