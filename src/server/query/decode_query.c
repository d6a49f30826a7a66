/* decode_query.c - the member "query": what to search by.
 *
 * It is a vector, an id, or an object whose member says which kind of query it is. One row of the
 * table below is one kind.
 */
#include "server/query/query.h"

#include <math.h>

/* ---- Inputs */

bool
hwi_decode_input(hwi_run *run, const hwi_plan *plan, const hwi_json *j, hwi_input *out)
{
    hwi_request *r = run->request;
    *out = (hwi_input){0};
    if (!j || j->kind == HWI_JSON_NULL) return hwi_refuse_format(r, "expected a vector or an id");
    out->is_id = j->kind == HWI_JSON_TEXT || hwi_json_is_number(j);
    if (out->is_id) return hwi_read_id(r, &run->shape, j, &out->id);
    if (j->kind != HWI_JSON_ARRAY && j->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "Expected some form of vector, id, or a type of query");
    }
    return hwi_read_vector(r, plan->field, j, &out->vector);
}

static bool
decode_target(hwi_run *run, const hwi_json *j, hwi_plan *plan)
{
    plan->has_target = true;
    return hwi_decode_input(run, plan, j, &plan->target);
}

/* Room for `count` examples more. */
static bool
reserve_examples(hwi_run *run, hwi_plan *plan, size_t count)
{
    if (count > HWI_EXAMPLES_MAX) {
        return hwi_refuse(run->request, 400,
                          "Wrong input: %zu examples in one query are above the maximum %u", count,
                          HWI_EXAMPLES_MAX);
    }
    plan->examples = hwi_request_alloc(run->request, (count ? count : 1) * sizeof *plan->examples);
    return plan->examples != NULL;
}

static bool
add_examples(hwi_run *run, const hwi_json *list, bool negative, hwi_plan *plan)
{
    hwi_json_items items;
    for (const hwi_json *e = hwi_json_first(&items, list); e; e = hwi_json_next(&items)) {
        hwi_input *to = &plan->examples[plan->example_count++];
        if (!hwi_decode_input(run, plan, e, to)) return false;
        to->negative = negative;
    }
    return true;
}

bool
hwi_decode_examples(hwi_run *run, const hwi_json *positive, const hwi_json *negative,
                    hwi_plan *plan)
{
    if ((positive && positive->kind != HWI_JSON_ARRAY) ||
        (negative && negative->kind != HWI_JSON_ARRAY)) {
        return hwi_refuse_format(run->request, "expected an array of examples");
    }
    size_t count = (positive ? positive->count : 0) + (negative ? negative->count : 0);
    if (count == 0) {
        return hwi_refuse_value(run->request, "query.recommend.positives, negatives",
                                "At least one positive or negative vector/id must be provided");
    }
    return reserve_examples(run, plan, count) && add_examples(run, positive, false, plan) &&
           add_examples(run, negative, true, plan);
}

bool
hwi_decode_strategy(hwi_run *run, const hwi_json *j, hwi_plan *plan)
{
    static const struct {
        const char *name;
        hw_rule rule;
    } strategies[] = {{"average_vector", HW_RULE_AVERAGE},
                      {"best_score", HW_RULE_BEST_SCORE},
                      {"sum_scores", HW_RULE_SUM_SCORES}};
    bool is_known = !j;
    plan->step = HWI_STEP_VECTOR;
    plan->rule = HW_RULE_AVERAGE;
    for (size_t i = 0; j && j->kind == HWI_JSON_TEXT && i < HWI_COUNT(strategies); i++) {
        if (strcmp(j->text, strategies[i].name) != 0) continue;
        plan->rule = strategies[i].rule;
        is_known = true;
    }
    if (!is_known) {
        return hwi_refuse_format(run->request,
                                 "strategy: unknown variant, expected one of `average_vector`, "
                                 "`best_score`, `sum_scores`");
    }
    bool has_positive = plan->example_count && !plan->examples[0].negative;
    if (plan->rule == HW_RULE_AVERAGE && !has_positive) {
        return hwi_refuse(
            run->request, 400,
            "Wrong input: Positive vectors should not be empty with `average` strategy");
    }
    return true;
}

static bool
decode_pair(hwi_run *run, const hwi_json *pair, hwi_plan *plan)
{
    static const char *const sides[] = {"positive", "negative"};
    if (pair->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(run->request, "context: expected pairs of examples");
    }
    for (size_t side = 0; side < 2; side++) {
        const hwi_json *j = hwi_present(pair, sides[side]);
        if (!j) {
            return hwi_refuse_format(run->request, "context: missing field `%s`", sides[side]);
        }
        hwi_input *to = &plan->examples[plan->example_count++];
        if (!hwi_decode_input(run, plan, j, to)) return false;
        to->negative = side == 1;
    }
    return true;
}

bool
hwi_decode_pairs(hwi_run *run, const hwi_json *j, hwi_plan *plan)
{
    if (!j || j->kind == HWI_JSON_NULL) return true;
    bool is_list = j->kind == HWI_JSON_ARRAY;
    if (!reserve_examples(run, plan, 2 * (is_list ? j->count : 1))) return false;
    if (!is_list) return decode_pair(run, j, plan);
    for (const hwi_json *pair = j->child; pair; pair = pair->next) {
        if (!decode_pair(run, pair, plan)) return false;
    }
    return true;
}

/* ---- Kinds of query */

static bool
decode_mmr(hwi_run *run, const hwi_json *mmr, hwi_plan *plan)
{
    hwi_request *r = run->request;
    double diversity;
    plan->step = HWI_STEP_MMR;
    if (mmr->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "mmr: expected an object");
    if (!hwi_read_f64(r, mmr, "diversity", 0.5, &diversity, NULL) ||
        !hwi_read_u32(r, mmr, "candidates_limit", 0, 0, 16384, &plan->mmr_candidates)) {
        return false;
    }
    if (!(diversity >= 0 && diversity <= 1)) {
        return hwi_refuse_value(r, "query.mmr.diversity",
                                "value %g invalid, must be from 0.0 to 1.0", diversity);
    }
    plan->mmr_lambda = 1 - (float)diversity;
    return true;
}

static bool
decode_nearest(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    const hwi_json *mmr = hwi_present(query, "mmr");
    plan->step = HWI_STEP_VECTOR;
    plan->rule = HW_RULE_NEAREST;
    return decode_target(run, j, plan) && (!mmr || decode_mmr(run, mmr, plan));
}

static bool
decode_recommend(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    (void)query;
    if (j->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(run->request, "recommend: expected an object");
    }
    return hwi_decode_examples(run, hwi_present(j, "positive"), hwi_present(j, "negative"), plan) &&
           hwi_decode_strategy(run, hwi_present(j, "strategy"), plan);
}

static bool
decode_discover(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    (void)query;
    if (j->kind != HWI_JSON_OBJECT || !hwi_json_member(j, "context")) {
        return hwi_refuse_format(run->request, "discover: missing field `context`");
    }
    plan->step = HWI_STEP_VECTOR;
    plan->rule = HW_RULE_DISCOVER;
    return decode_target(run, hwi_json_member(j, "target"), plan) &&
           hwi_decode_pairs(run, hwi_json_member(j, "context"), plan);
}

static bool
decode_context(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    (void)query;
    plan->step = HWI_STEP_VECTOR;
    plan->rule = HW_RULE_CONTEXT;
    return hwi_decode_pairs(run, j, plan);
}

static bool
decode_feedback_item(hwi_run *run, const hwi_json *item, hwi_plan *plan)
{
    hwi_input *to = &plan->examples[plan->example_count++];
    double score;
    bool has_score;
    if (!hwi_decode_input(run, plan, hwi_json_member(item, "example"), to)) return false;
    if (!hwi_read_f64(run->request, item, "score", 0, &score, &has_score)) return false;
    to->feedback = (float)score;
    return has_score || hwi_refuse_format(run->request, "feedback: missing field `score`");
}

static bool
decode_coefficients(hwi_run *run, const hwi_json *naive, hwi_plan *plan)
{
    hwi_request *r = run->request;
    double a, b, c;
    bool has_a, has_b, has_c;
    if (!hwi_read_f64(r, naive, "a", 0, &a, &has_a) ||
        !hwi_read_f64(r, naive, "b", 0, &b, &has_b) ||
        !hwi_read_f64(r, naive, "c", 0, &c, &has_c)) {
        return false;
    }
    if (!has_a || !has_b || !has_c) {
        return hwi_refuse_format(r, "strategy: `naive` has the numbers a, b and c");
    }
    if (b < 0) {
        return hwi_refuse_value(r, "query.relevance_feedback.strategy.naive.b",
                                "value %g invalid, must be 0.0 or larger", b);
    }
    plan->feedback_a = (float)a;
    plan->feedback_b = (float)b;
    plan->feedback_c = (float)c;
    return true;
}

static bool
decode_feedback(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    hwi_request *r = run->request;
    const hwi_json *items = hwi_json_member(j, "feedback");
    (void)query;
    plan->step = HWI_STEP_FEEDBACK;
    if (!items || items->kind != HWI_JSON_ARRAY) {
        return hwi_refuse_format(r, "relevance_feedback: missing field `feedback`");
    }
    if (items->count == 0) {
        return hwi_refuse_value(r, "query.relevance_feedback.feedback",
                                "feedback elements must be non-empty");
    }
    if (!decode_target(run, hwi_json_member(j, "target"), plan) ||
        !reserve_examples(run, plan, items->count)) {
        return false;
    }
    for (const hwi_json *item = items->child; item; item = item->next) {
        if (!decode_feedback_item(run, item, plan)) return false;
    }
    return decode_coefficients(run, hwi_json_member(hwi_json_member(j, "strategy"), "naive"), plan);
}

static bool
decode_fusion(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    (void)query;
    if (j->kind == HWI_JSON_TEXT && strcmp(j->text, "rrf") == 0) {
        plan->step = HWI_STEP_RRF;
    } else if (j->kind == HWI_JSON_TEXT && strcmp(j->text, "dbsf") == 0) {
        plan->step = HWI_STEP_DBSF;
    } else {
        return hwi_refuse_format(run->request, "fusion: unknown variant, expected `rrf` or `dbsf`");
    }
    return true;
}

static bool
decode_rrf(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    hwi_request *r = run->request;
    const hwi_json *weights = hwi_present(j, "weights");
    (void)query;
    plan->step = HWI_STEP_RRF;
    if (!hwi_read_u32(r, j, "k", HWI_RRF_K, 1, UINT32_MAX, &plan->rrf_k)) return false;
    if (!weights) return true;
    if (weights->kind != HWI_JSON_ARRAY || weights->count > HWI_PLAN_NODES_MAX) {
        return hwi_refuse_format(r, "rrf.weights: expected an array of numbers");
    }
    float *values = hwi_request_alloc(r, (weights->count ? weights->count : 1) * sizeof *values);
    if (!values) return false;
    hwi_json_items items;
    for (const hwi_json *w = hwi_json_first(&items, weights); w; w = hwi_json_next(&items)) {
        if (!hwi_json_is_number(w) || !isfinite((float)w->number)) {
            return hwi_refuse_format(r, "rrf.weights: expected an array of numbers");
        }
        values[plan->weight_count++] = (float)w->number;
    }
    plan->weights = values;
    return true;
}

static bool
decode_formula(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    (void)j;
    plan->step = HWI_STEP_FORMULA;
    return hwi_formula_read(run->request, query, &plan->formula);
}

/* Where the order begins: a number, or a date in a string. */
static bool
decode_start(hwi_run *run, const hwi_json *j, hwi_plan *plan)
{
    if (!hwi_json_is_number(j) && j->kind != HWI_JSON_TEXT) {
        return hwi_refuse_format(run->request, "order_by.start_from: expected a number or a date");
    }
    hwi_buf text = {0};
    hwi_json_write(&text, j);
    if (!text.failed) {
        plan->order_from = hwi_arena_text(&run->request->arena, (const char *)text.data, text.size);
    }
    hwi_buf_release(&text);
    return plan->order_from || hwi_refuse(run->request, 503, "out of memory");
}

static bool
decode_order(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    hwi_request *r = run->request;
    const char *direction = NULL;
    bool is_object = j->kind == HWI_JSON_OBJECT;
    plan->step = HWI_STEP_ORDER;
    if (!hwi_read_text(r, is_object ? j : query, is_object ? "key" : "order_by",
                       &plan->order_key)) {
        return false;
    }
    if (!plan->order_key) return hwi_refuse_format(r, "order_by: missing field `key`");
    if (!is_object) return true;
    if (!hwi_read_text(r, j, "direction", &direction)) return false;
    plan->order_descending = direction && strcmp(direction, "desc") == 0;
    if (direction && !plan->order_descending && strcmp(direction, "asc") != 0) {
        return hwi_refuse_format(r, "direction: unknown variant `%s`, expected `asc` or `desc`",
                                 direction);
    }
    const hwi_json *start = hwi_present(j, "start_from");
    return !start || decode_start(run, start, plan);
}

static bool
decode_sample(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan)
{
    (void)query;
    plan->step = HWI_STEP_SAMPLE;
    if (j->kind == HWI_JSON_TEXT && strcmp(j->text, "random") == 0) return true;
    return hwi_refuse_format(run->request, "sample: unknown variant, expected `random`");
}

static const struct {
    const char *name;
    bool compares; /* vectors of the field named by `using` */
    bool (*decode)(hwi_run *run, const hwi_json *query, const hwi_json *j, hwi_plan *plan);
} kinds[] = {
    {"nearest", true, decode_nearest},   {"recommend", true, decode_recommend},
    {"discover", true, decode_discover}, {"context", true, decode_context},
    {"order_by", false, decode_order},   {"fusion", false, decode_fusion},
    {"rrf", false, decode_rrf},          {"formula", false, decode_formula},
    {"sample", false, decode_sample},    {"relevance_feedback", true, decode_feedback},
};

static bool
decode_field(hwi_run *run, const hwi_json *o, hwi_plan *plan)
{
    const char *using;
    if (!hwi_decode_using(run, o, &using)) return false;
    plan->field = hwi_shape_field_named(run->request, &run->shape, using);
    return plan->field != NULL;
}

bool
hwi_decode_query(hwi_run *run, const hwi_json *o, hwi_plan *plan)
{
    const hwi_json *query = hwi_present(o, "query");
    plan->step = HWI_STEP_SCROLL;
    if (!query) return true;
    for (size_t i = 0; query->kind == HWI_JSON_OBJECT && i < HWI_COUNT(kinds); i++) {
        const hwi_json *j = hwi_json_member(query, kinds[i].name);
        if (!j) continue;
        if (kinds[i].compares && !decode_field(run, o, plan)) return false;
        return kinds[i].decode(run, query, j, plan);
    }
    if (query->kind == HWI_JSON_OBJECT && !hwi_json_member(query, "indices") &&
        !hwi_json_member(query, "model")) {
        return hwi_refuse_format(run->request,
                                 "Expected some form of vector, id, or a type of query");
    }
    return decode_field(run, o, plan) && decode_nearest(run, NULL, query, plan);
}
