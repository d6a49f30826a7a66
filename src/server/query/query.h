/* query.h - a search request as a tree of steps.
 *
 * Every call that searches, old or new, is decoded into the same tree and executed bottom-up:
 *
 *     body -> decode.c -> plan -> execute.c -> hits (ids and scores) -> answer.c -> JSON
 *
 *     [fusion rrf]                    the root: its hits are the answer
 *      |-- [nearest, limit 20]        leaves ask the engine, all in one call on one snapshot
 *      `-- [formula, limit 50]        inner steps score again what the steps below them found
 *           `-- [recommend, limit 100]
 *
 * Everything here lives in the request's arena; one thread at a time.
 */
#ifndef HWI_SERVER_QUERY_H
#define HWI_SERVER_QUERY_H

#include "server/wire.h"

#define HWI_PLAN_NODES_MAX 1024u /* steps of all trees of one request */
#define HWI_PLAN_DEPTH_MAX 32u   /* prefetches inside each other */
#define HWI_BATCH_MAX 1024u      /* searches in one batch */
#define HWI_EXAMPLES_MAX 1024u   /* vectors and ids in one query */
#define HWI_GROUP_ROUNDS_MAX 40u /* searches that may fill the groups of one request */

/* ---- Points and their scores */

typedef struct hwi_hits {
    hw_id *ids; /* text of string ids is borrowed from a result that the run keeps */
    float *scores;
    size_t count;
} hwi_hits;

/* Finds the position of an id in a list of ids. */
typedef struct hwi_idmap {
    const hw_id *ids;
    uint32_t *slots; /* position + 1; 0 is free */
    size_t mask;
} hwi_idmap;

#define HWI_NOWHERE SIZE_MAX
/* Of `count` ids, which must outlive the map; of equal ones the first is found. False after
 * refusing for want of memory. */
bool hwi_idmap_init(hwi_request *r, const hw_id *ids, size_t count, hwi_idmap *out);
/* The same with room for more, added one by one: `room` ids in all. */
bool hwi_idmap_init_room(hwi_request *r, const hw_id *ids, size_t count, size_t room,
                         hwi_idmap *out);
void hwi_idmap_add(hwi_idmap *map, size_t i);                 /* ids[i], which has been set since */
size_t hwi_idmap_find(const hwi_idmap *map, const hw_id *id); /* HWI_NOWHERE if absent */

/* All ids of the lists, each once, in order of first occurrence. */
bool hwi_hits_union(hwi_request *r, const hwi_hits *lists, size_t list_count, hw_id **ids,
                    size_t *count);
/* Best first: by descending score, equal scores by id. */
bool hwi_hits_sort(hwi_request *r, hwi_hits *hits);

/* ---- Fusion (fusion.c) */

#define HWI_RRF_K 2u /* Qdrant's default */

/* Adds up 1 / (rank / weight + k - 1) over the lists, ranks from 1; weights NULL: all 1. */
bool hwi_fuse_rrf(hwi_request *r, const hwi_hits *lists, size_t list_count, uint32_t k,
                  const float *weights, hwi_hits *out);
/* Adds up the scores of each list, brought to where mean - 3 deviations is 0 and mean + 3 is 1. */
bool hwi_fuse_dbsf(hwi_request *r, const hwi_hits *lists, size_t list_count, hwi_hits *out);

/* ---- Vectors in the server (vectors.c): for what happens to a few points after a search */

/* What a metric maximises: cosine, dot product, -l2 squared, -l1; MaxSim of rows; the dot product
 * of sparse vectors. */
float hwi_similarity(const hwi_shape_field *field, const hw_vector *a, const hw_vector *b);
/* The vector as the metric sees it: of length one under cosine (row by row). */
bool hwi_vector_prepare(hwi_request *r, const hwi_shape_field *field, const hw_vector *v,
                        hw_vector *out);

/* ---- Maximal marginal relevance (mmr.c) */

/* Picks `limit` of the candidates: the most relevant first, then always the one with the greatest
 *
 *     lambda * relevance - (1 - lambda) * (similarity to the nearest one picked already)
 *
 * picked has room for min(limit, count); false after refusing (memory, deadline). */
bool hwi_mmr_pick(hwi_request *r, const hwi_shape_field *field, const hw_vector *query,
                  const hw_vector *candidates, size_t count, float lambda, size_t limit,
                  uint32_t *picked, size_t *picked_count);

/* ---- Values in payloads (values.c) */

/* Calls fn for each value that the path leads to, an array at its end element by element. False if
 * `path` is no path. */
typedef void (*hwi_value_fn)(void *arg, const hwi_json *value);
bool hwi_values_at(const hwi_json *payload, const char *path, hwi_value_fn fn, void *arg);
bool hwi_path_is_valid(const char *path);
/* Seconds since 1970, whole microseconds; false if the text is no date. */
bool hwi_date_seconds(const char *text, double *out);
/* Metres along the great circle between two points in degrees. */
double hwi_globe_metres(double lat_a, double lon_a, double lat_b, double lon_b);

/* ---- Formulas (formula.c, formula_read.c) */

typedef struct hwi_formula hwi_formula;

/* Reads {"formula": expression, "defaults": {...}}. */
bool hwi_formula_read(hwi_request *r, const hwi_json *j, const hwi_formula **out);
bool hwi_formula_needs_payload(const hwi_formula *f);
/* The conditions in it, in the order of their numbers, as filters. */
size_t hwi_formula_condition_count(const hwi_formula *f);
const char *hwi_formula_condition(const hwi_formula *f, size_t i, size_t *bytes);

/* What a formula is evaluated on. */
typedef struct hwi_formula_point {
    const float *scores; /* by prefetch; NaN where the point was not found there */
    size_t score_count;
    const hwi_json *payload; /* NULL: none */
    const bool *conditions;  /* by number */
} hwi_formula_point;

/* False after refusing: a value that is missing or no number, a result that is not finite. */
bool hwi_formula_value(hwi_request *r, const hwi_formula *f, const hwi_formula_point *point,
                       float *out);

/* ---- Plans */

typedef enum hwi_step {
    HWI_STEP_SCROLL,   /* no query: in the order of ids */
    HWI_STEP_VECTOR,   /* by a rule of the engine */
    HWI_STEP_MMR,      /* nearest, then picked for variety */
    HWI_STEP_FEEDBACK, /* nearest to a vector moved by feedback */
    HWI_STEP_RRF,
    HWI_STEP_DBSF,
    HWI_STEP_FORMULA,
    HWI_STEP_ORDER, /* by a payload field */
    HWI_STEP_SAMPLE
} hwi_step;

/* A vector, or the id of the point that has it. */
typedef struct hwi_input {
    bool is_id;
    bool negative;
    hw_id id;
    hw_vector vector;
    float feedback; /* score of a feedback item */
} hwi_input;

/* Where ids of inputs are looked up. */
typedef struct hwi_lookup {
    const char *collection; /* NULL: in the collection searched */
    const char *vector;     /* NULL: the field searched */
} hwi_lookup;

/* How a leaf searches. */
typedef struct hwi_search_params {
    bool exact;
    double recall; /* 0: the default */
    uint32_t time_budget_ms;
    bool wants_recall; /* the answer says which recall was reached */
} hwi_search_params;

typedef struct hwi_plan {
    hwi_step step;
    const hwi_shape_field *field; /* of steps that compare vectors */
    hw_rule rule;                 /* VECTOR */
    hwi_input target;             /* NEAREST, DISCOVER, MMR, FEEDBACK */
    bool has_target;
    hwi_input *examples;
    size_t example_count;
    hwi_lookup lookup;

    float mmr_lambda;
    uint32_t mmr_candidates; /* 0: as many as are asked for */
    float feedback_a, feedback_b, feedback_c;
    uint32_t rrf_k;
    const float *weights; /* RRF: one a prefetch, or NULL */
    size_t weight_count;
    const hwi_formula *formula;
    const char *order_key, *order_from; /* ORDER; order_from as JSON, or NULL */
    bool order_descending;

    const hwi_json *source; /* the object it was decoded from */
    const char *filter;     /* its own, or NULL */
    size_t filter_bytes;
    bool has_threshold;
    float threshold;
    uint32_t limit, offset; /* offset: of the root only */
    hwi_search_params params;
    struct hwi_plan *prefetches;
    size_t prefetch_count;

    /* Set while it is executed. */
    const char *reach; /* the filter of this step and all above it */
    size_t reach_bytes;
    bool excludes_natively;               /* the engine leaves out the points that inputs name */
    float feedback_scale, feedback_shift; /* score = scale * similarity + shift */
    const hw_result *result;              /* what the engine found, or NULL */
    bool shows_result;                    /* hit i is row first_row + i of the result */
    size_t first_row;
    hwi_hits hits;
} hwi_plan;

/* A root with what is to be shown of its hits. */
typedef struct hwi_search {
    hwi_plan plan;
    hwi_selector selector;
    bool explain;
} hwi_search;

/* One request being decoded and executed. */
typedef struct hwi_run {
    hwi_request *request;
    hwi_shape shape;
    size_t node_count;
    size_t filter_bytes; /* of all steps together, each with what those above ask for */
    hw_result **results; /* kept until the run ends */
    size_t result_count, result_room;
} hwi_run;

/* Opens the collection of the path; false after refusing. End it whatever happens. */
bool hwi_run_begin(hwi_run *run, hwi_request *r);
void hwi_run_end(hwi_run *run);
/* Takes the result over; false (freed) for want of memory. */
bool hwi_run_keep(hwi_run *run, hw_result *result);
/* Reads points of the collection by id; the result is kept. */
bool hwi_run_get(hwi_run *run, const hw_id *ids, size_t count, uint32_t with,
                 const hw_result **out);

/* ---- Decoding (decode.c, decode_query.c, legacy.c) */

/* The member, or NULL when absent or null. */
static inline const hwi_json *
hwi_present(const hwi_json *o, const char *key)
{
    const hwi_json *j = hwi_json_member(o, key);
    return j && j->kind != HWI_JSON_NULL ? j : NULL;
}

bool hwi_decode_search(hwi_run *run, const hwi_json *body, hwi_search *out); /* points/query */
bool hwi_decode_plan(hwi_run *run, const hwi_json *o, uint32_t depth, hwi_plan *out);
bool hwi_decode_query(hwi_run *run, const hwi_json *o, hwi_plan *plan); /* member "query" */
bool hwi_decode_input(hwi_run *run, const hwi_plan *plan, const hwi_json *j, hwi_input *out);
bool hwi_decode_params(hwi_run *run, const hwi_json *o, hwi_search_params *out);
bool hwi_decode_lookup(hwi_run *run, const hwi_json *o, hwi_lookup *out);
bool hwi_decode_common(hwi_run *run, const hwi_json *o, hwi_plan *out);
bool hwi_decode_using(hwi_run *run, const hwi_json *o, const char **out);
/* The examples of "context": one pair, a list of them, or null. */
bool hwi_decode_pairs(hwi_run *run, const hwi_json *j, hwi_plan *plan);
/* Lists of examples, positives before negatives; either may be absent. */
bool hwi_decode_examples(hwi_run *run, const hwi_json *positive, const hwi_json *negative,
                         hwi_plan *plan);
/* "average_vector" (also when absent), "best_score", "sum_scores"; checks that there are examples
 * for it. */
bool hwi_decode_strategy(hwi_run *run, const hwi_json *j, hwi_plan *plan);
/* search, recommend and discover, as they were before query. */
typedef bool (*hwi_decode_fn)(hwi_run *run, const hwi_json *body, hwi_search *out);
bool hwi_decode_old_search(hwi_run *run, const hwi_json *body, hwi_search *out);
bool hwi_decode_old_recommend(hwi_run *run, const hwi_json *body, hwi_search *out);
bool hwi_decode_old_discover(hwi_run *run, const hwi_json *body, hwi_search *out);

/* ---- Executing (execute.c, leaf.c, resolve.c) */

/* Resolves ids and filters; once before the search is executed. */
bool hwi_prepare(hwi_run *run, hwi_search *searches, size_t count);
/* Fills `hits` of each root; what the roots need of the engine's vector search is asked in one call
 * against one snapshot. May be repeated with another reach. */
bool hwi_execute(hwi_run *run, hwi_search *searches, size_t count);

/* Turns ids among the inputs of a plan into vectors: 404 when a point or its vector is missing. */
bool hwi_resolve_inputs(hwi_run *run, hwi_plan *plan);
/* Prepares the root: resolves inputs where the engine cannot, and sets `reach` of every step. */
bool hwi_resolve(hwi_run *run, hwi_plan *root);
/* Sets the filter that the root reaches down with, and with it those of all steps below. */
bool hwi_reach(hwi_run *run, hwi_plan *root, const char *filter, size_t bytes);

/* The engine's query of a step that compares vectors; `among` NULL: all points. */
bool hwi_leaf_query(hwi_run *run, const hwi_search *search, hwi_plan *plan, bool is_root,
                    const hw_id *among, size_t among_count, hw_query *out);
/* Runs a leaf that is no vector search, or a step that orders or samples what is below it. */
bool hwi_leaf_list(hwi_run *run, const hwi_search *search, hwi_plan *plan, bool is_root,
                   const hw_id *among, size_t among_count);
/* Takes the hits of a result, which it takes over whatever happens, but for the first `skip`. */
bool hwi_leaf_take(hwi_run *run, hwi_plan *plan, hw_result *result, size_t skip);
/* Scores what the steps below found with the plan's formula (rescore.c). */
bool hwi_rescore_formula(hwi_run *run, hwi_plan *plan, const hwi_hits *lists);
/* Orders the candidates of an engine's result for variety (rescore.c). */
bool hwi_rescore_mmr(hwi_run *run, hwi_plan *plan, size_t limit);
/* Moves the target by the feedback before, turns similarities into scores after (feedback.c). */
bool hwi_feedback_aim(hwi_run *run, hwi_plan *plan);
void hwi_feedback_score(hwi_plan *plan);
/* Keeps the first `limit` hits of those that reach the plan's threshold. */
void hwi_hits_cut(const hwi_plan *plan, hwi_hits *hits, size_t limit);
/* How many hits to ask of the engine: limit + offset, bounded by what there is. */
bool hwi_leaf_depth(hwi_run *run, uint64_t wanted, uint32_t *out);
/* {"has_id": [..]} as a filter: these points alone, or all but them. */
bool hwi_filter_of_ids(hwi_run *run, const hw_id *ids, size_t count, bool are_excluded,
                       const char **text, size_t *bytes);

/* ---- Answering (answer.c, groups_answer.c) */

/* Appends the hits as a list of scored points. */
bool hwi_answer_points(hwi_run *run, const hwi_search *search);
/* The answer of one search: the list itself (is_old), or an object around it. */
bool hwi_answer_search(hwi_run *run, const hwi_search *search, bool is_old);
/* ,"explain":.. and ,"recall":.. where they were asked for */
void hwi_answer_extras(hwi_run *run, const hwi_search *search);

typedef struct hwi_grouping {
    const char *by;
    uint32_t group_size, limit;
    const char *lookup_collection; /* NULL: none */
    hwi_selector lookup_selector;
} hwi_grouping;
bool hwi_decode_grouping(hwi_run *run, const hwi_json *body, bool is_old, hwi_grouping *out);
/* Appends {"groups": [...]}. */
bool hwi_answer_groups(hwi_run *run, hwi_search *search, const hwi_grouping *g);

/* ---- Strict mode (admit.c): false after refusing */

/* `how` NULL: no groups. */
bool hwi_admit(hwi_run *run, const hwi_search *searches, size_t count, const hwi_grouping *how);
/* For calls with a filter and a limit alone. */
bool hwi_admit_filter(hwi_request *r, const hwi_shape *shape, const hwi_json *body, uint64_t limit,
                      bool exact);

/* ---- Handlers of other files */

bool hwi_handle_facet(hwi_request *r);
bool hwi_handle_matrix_pairs(hwi_request *r);
bool hwi_handle_matrix_offsets(hwi_request *r);
bool hwi_handle_why(hwi_request *r);
bool hwi_handle_search_file(hwi_request *r);
bool hwi_handle_embedding(hwi_request *r);

#endif
