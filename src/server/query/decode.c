/* decode.c - the body of points/query as a tree of steps.
 *
 * What Qdrant checks before it searches is checked here, in its words where clients see them, so
 * that executing deals with sound plans only. Bounds: the depth of prefetches, the number of steps
 * of one request over all its searches; the rest is bounded by the size of the body.
 */
#include "server/query/query.h"

/* ---- Params */

/* A wider beam asks for more recall. Qdrant's default is about 100; ours is the default recall. */
static double
recall_of_ef(uint32_t ef)
{
    return ef < 32 ? 0.9 : ef < 128 ? 0.95 : ef < 256 ? 0.97 : ef < 512 ? 0.98 : 0.99;
}

/* What means nothing here is checked all the same: a typo in its type should not pass. */
static bool
check_foreign_params(hwi_request *r, const hwi_json *p)
{
    bool flag;
    double number;
    const hwi_json *q = hwi_present(p, "quantization"), *acorn = hwi_present(p, "acorn");
    const hwi_json *idf = hwi_present(p, "idf");
    if (!hwi_read_bool(r, p, "indexed_only", false, &flag)) return false;
    if ((q && q->kind != HWI_JSON_OBJECT) || (acorn && acorn->kind != HWI_JSON_OBJECT)) {
        return hwi_refuse_format(r, "params: expected an object");
    }
    if (!hwi_read_bool(r, q, "ignore", false, &flag) ||
        !hwi_read_bool(r, q, "rescore", false, &flag) ||
        !hwi_read_f64(r, q, "oversampling", 1, &number, NULL)) {
        return false;
    }
    if (number < 1) {
        return hwi_refuse_value(r, "params.quantization.oversampling",
                                "value %g invalid, must be 1.0 or larger", number);
    }
    if (!hwi_read_bool(r, acorn, "enable", false, &flag) ||
        !hwi_read_f64(r, acorn, "max_selectivity", 0.4, &number, NULL)) {
        return false;
    }
    if (idf && (idf->kind != HWI_JSON_TEXT || strcmp(idf->text, "global") != 0)) {
        return hwi_refuse(r, 400, "Wrong input: params.idf: only \"global\" is supported");
    }
    return true;
}

bool
hwi_decode_params(hwi_run *run, const hwi_json *o, hwi_search_params *out)
{
    hwi_request *r = run->request;
    const hwi_json *p = hwi_present(o, "params");
    uint32_t ef = 0;
    double recall = 0;
    bool has_recall = false;
    *out = (hwi_search_params){0};
    if (!p) return true;
    if (p->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "params: expected an object");
    if (!hwi_read_bool(r, p, "exact", false, &out->exact) ||
        !hwi_read_u32(r, p, "hnsw_ef", 0, 1, UINT32_MAX, &ef) ||
        !hwi_read_f64(r, p, "recall", 0, &recall, &has_recall) ||
        !hwi_read_u32(r, p, "time_budget_ms", 0, 0, 86400000, &out->time_budget_ms) ||
        !check_foreign_params(r, p)) {
        return false;
    }
    if (has_recall && !(recall > 0 && recall <= 1)) {
        return hwi_refuse_value(r, "params.recall",
                                "value %g invalid, must be above 0 and at most 1", recall);
    }
    out->recall = has_recall ? recall : ef ? recall_of_ef(ef) : 0;
    out->wants_recall = has_recall || out->time_budget_ms;
    return true;
}

/* ---- What searches of every kind share */

bool
hwi_decode_lookup(hwi_run *run, const hwi_json *o, hwi_lookup *out)
{
    hwi_request *r = run->request;
    const hwi_json *l = hwi_present(o, "lookup_from");
    *out = (hwi_lookup){0};
    if (!l) return true;
    if (l->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "lookup_from: expected an object");
    if (!hwi_read_text(r, l, "collection", &out->collection) ||
        !hwi_read_text(r, l, "vector", &out->vector)) {
        return false;
    }
    if (!out->collection) return hwi_refuse_format(r, "lookup_from: missing field `collection`");
    return hwi_request_collection_named(r, out->collection) !=
           NULL; /* also when nothing is looked up */
}

/* The name of the vector; "" for the unnamed one. The old calls also took {"name": ..}. */
bool
hwi_decode_using(hwi_run *run, const hwi_json *o, const char **out)
{
    const hwi_json *using = hwi_present(o, "using");
    const hwi_json *from = using && using->kind == HWI_JSON_OBJECT ? using : o;
    if (!hwi_read_text(run->request, from, from == o ? "using" : "name", out)) return false;
    if (!*out) *out = "";
    return true;
}

bool
hwi_decode_common(hwi_run *run, const hwi_json *o, hwi_plan *out)
{
    hwi_request *r = run->request;
    double threshold;
    if (!hwi_read_filter(r, o, "filter", &out->filter, &out->filter_bytes) ||
        !hwi_decode_params(run, o, &out->params) || !hwi_decode_lookup(run, o, &out->lookup) ||
        !hwi_read_f64(r, o, "score_threshold", 0, &threshold, &out->has_threshold)) {
        return false;
    }
    out->threshold = (float)threshold;
    return true;
}

/* ---- Plans */

static bool
decode_prefetches(hwi_run *run, const hwi_json *o, uint32_t depth, hwi_plan *out)
{
    hwi_request *r = run->request;
    const hwi_json *p = hwi_present(o, "prefetch");
    if (!p) return true;
    bool is_list = p->kind == HWI_JSON_ARRAY;
    size_t count = is_list ? p->count : 1;
    if (count == 0) return true;
    if (depth == HWI_PLAN_DEPTH_MAX) {
        return hwi_refuse(r, 400, "Wrong input: prefetches depth %u exceeds max depth %u",
                          depth + 1, HWI_PLAN_DEPTH_MAX);
    }
    if (count > HWI_PLAN_NODES_MAX) {
        return hwi_refuse(r, 400, "Wrong input: %zu prefetches are above the maximum %u", count,
                          HWI_PLAN_NODES_MAX);
    }
    out->prefetches = hwi_request_alloc(r, count * sizeof *out->prefetches);
    if (!out->prefetches) return false;
    for (const hwi_json *e = is_list ? p->child : p; e; e = is_list ? e->next : NULL) {
        if (e->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "prefetch: expected an object");
        if (!hwi_decode_plan(run, e, depth + 1, &out->prefetches[out->prefetch_count++])) {
            return false;
        }
    }
    return true;
}

static bool
check_fusion(hwi_request *r, const hwi_plan *p, const char *using)
{
    if (*using) {
        return hwi_refuse(r, 400,
                          "Bad request: Fusion queries cannot be combined with the 'using' field.");
    }
    if (p->prefetch_count == 0) {
        return hwi_refuse(r, 400, "Wrong input: cannot apply Fusion without prefetches");
    }
    if (p->weights && p->weight_count != p->prefetch_count) {
        return hwi_refuse(r, 400,
                          "Wrong input: Number of weights in RRF should match number of "
                          "pre-fetches: got %zu, expected %zu",
                          p->weight_count, p->prefetch_count);
    }
    return true;
}

static bool
check_plan(hwi_request *r, const hwi_plan *p, const char *using)
{
    if (p->step == HWI_STEP_SCROLL && p->prefetch_count) {
        return hwi_refuse(r, 400,
                          "Bad request: A query is needed to merge the prefetches. Can't have "
                          "prefetches without defining a query.");
    }
    if (p->step == HWI_STEP_SCROLL && p->has_threshold) {
        return hwi_refuse(r, 400,
                          "Bad request: A query is needed to use the score_threshold. Can't have "
                          "score_threshold without defining a query.");
    }
    if (p->step == HWI_STEP_ORDER && p->has_threshold) {
        return hwi_refuse(r, 400, "Bad request: Can't use score_threshold with an order_by query.");
    }
    if (p->step == HWI_STEP_FORMULA && p->prefetch_count == 0) {
        return hwi_refuse(r, 400, "Wrong input: cannot apply Formula without prefetches");
    }
    bool is_fusion = p->step == HWI_STEP_RRF || p->step == HWI_STEP_DBSF;
    return !is_fusion || check_fusion(r, p, using);
}

bool
hwi_decode_plan(hwi_run *run, const hwi_json *o, uint32_t depth, hwi_plan *out)
{
    hwi_request *r = run->request;
    const char *using;
    *out = (hwi_plan){.rrf_k = HWI_RRF_K, .source = o};
    if (++run->node_count > HWI_PLAN_NODES_MAX) {
        return hwi_refuse(r, 400, "Wrong input: a request has more than %u queries and prefetches",
                          HWI_PLAN_NODES_MAX);
    }
    return hwi_read_u32(r, o, "limit", 10, 1, UINT32_MAX, &out->limit) &&
           hwi_decode_common(run, o, out) && hwi_decode_using(run, o, &using) &&
           hwi_decode_query(run, o, out) && decode_prefetches(run, o, depth, out) &&
           check_plan(r, out, using);
}

bool
hwi_decode_search(hwi_run *run, const hwi_json *body, hwi_search *out)
{
    hwi_request *r = run->request;
    if (!body || body->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "expected an object");
    }
    *out = (hwi_search){0};
    return hwi_decode_plan(run, body, 0, &out->plan) &&
           hwi_read_u32(r, body, "offset", 0, 0, UINT32_MAX, &out->plan.offset) &&
           hwi_read_bool(r, body, "explain", false, &out->explain) &&
           hwi_read_selector(r, &run->shape, body, false, &out->selector);
}
