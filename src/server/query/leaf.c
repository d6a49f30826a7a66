/* leaf.c - what a step asks of the engine.
 *
 * Leaves that compare vectors become one hw_query each; their execution is left to execute.c, which
 * hands all of a request's over in one call. Lists (by id, by a field, at random) are asked for one
 * by one. The same functions serve steps above prefetches: there only the points found below
 * compete, scored exactly.
 */
#include "server/query/query.h"

bool
hwi_leaf_depth(hwi_run *run, uint64_t wanted, uint32_t *out)
{
    hw_error err;
    uint64_t count;
    *out = (uint32_t)HWI_MIN(wanted, HW_K_MAX);
    if (wanted <= HW_K_MAX) return true;
    /* More than the engine gives at once, which is fine where there is no more. */
    if (!hwi_ok(run->request, hw_collection_count(run->shape.collection, NULL, 0, &count, &err),
                &err)) {
        return false;
    }
    if (count <= HW_K_MAX) return true;
    return hwi_refuse_value(run->request, "limit",
                            "value %llu invalid, limit and offset together must be at most %u",
                            (unsigned long long)wanted, HW_K_MAX);
}

/* ---- Vector searches */

static bool
set_examples(hwi_run *run, const hwi_plan *p, hw_query *q)
{
    hw_example *examples = hwi_request_alloc(
        run->request, (p->example_count ? p->example_count : 1) * sizeof *examples);
    if (!examples) return false;
    for (size_t i = 0; i < p->example_count; i++) {
        const hwi_input *from = &p->examples[i];
        examples[i] = (hw_example){.vector = from->vector, .negative = from->negative};
        if (from->is_id) examples[i].id = &from->id;
    }
    q->examples = examples;
    q->example_count = p->example_count;
    return true;
}

static void
set_target(const hwi_plan *p, hw_query *q)
{
    if (!p->has_target) return;
    if (p->target.is_id) {
        q->id = &p->target.id;
        return;
    }
    q->vector = p->target.vector.values;
    q->dim = p->target.vector.dim;
    q->rows = p->target.vector.rows;
    q->indices = p->target.vector.indices;
}

/* How many hits, and what comes with them. */
static bool
set_depth(hwi_run *run, const hwi_search *search, const hwi_plan *p, bool is_root, hw_query *q)
{
    uint64_t offset = is_root ? p->offset : 0, wanted = p->limit + offset;
    uint32_t depth;
    q->with = is_root ? hwi_selector_with(&search->selector) : 0;
    if (p->step == HWI_STEP_MMR) {
        if (p->mmr_candidates) wanted = p->mmr_candidates;
        q->with = HW_WITH_VECTOR;
        offset = 0;
    }
    if (!hwi_leaf_depth(run, wanted, &depth)) return false;
    q->offset = (uint32_t)HWI_MIN(offset, depth);
    q->k = depth - q->offset; /* 0: nothing can be found there */
    return true;
}

bool
hwi_leaf_query(hwi_run *run, const hwi_search *search, hwi_plan *p, bool is_root,
               const hw_id *among, size_t among_count, hw_query *out)
{
    hwi_request *r = run->request;
    *out = HW_QUERY_INIT;
    out->vector_name = p->field->name;
    out->rule = p->step == HWI_STEP_VECTOR ? p->rule : HW_RULE_NEAREST;
    set_target(p, out);
    if (p->step == HWI_STEP_VECTOR && !set_examples(run, p, out)) return false;
    if (!set_depth(run, search, p, is_root, out)) return false;
    out->exact = p->params.exact || among;
    if (p->params.recall > 0) out->recall = p->params.recall;
    out->time_budget_ms = p->params.time_budget_ms;
    if (p->step != HWI_STEP_FEEDBACK) { /* there a threshold is of another scale */
        out->has_score_threshold = p->has_threshold;
        out->score_threshold = p->threshold;
    }
    if (among) {
        out->among = among;
        out->among_count = among_count;
    } else {
        out->filter = p->reach;
        out->filter_bytes = p->reach_bytes;
    }
    out->explain = search->explain;
    out->deadline_ms = r->deadline_ms;
    out->cancel = r->cancel;
    return true;
}

/* ---- Taking hits */

/* A point that the order of a field has several times counts once below another step. Scores of
 * lists are all the same. */
static bool
drop_repeated(hwi_run *run, hwi_hits *hits)
{
    size_t n = 0;
    hwi_hits once = {0};
    once.scores = hwi_request_alloc(run->request, (hits->count ? hits->count : 1) * sizeof(float));
    if (!once.scores || !hwi_hits_union(run->request, hits, 1, &once.ids, &once.count))
        return false;
    for (; n < once.count; n++) once.scores[n] = hits->scores[n];
    *hits = once;
    return true;
}

bool
hwi_leaf_take(hwi_run *run, hwi_plan *p, hw_result *result, size_t skip)
{
    hwi_request *r = run->request;
    if (!hwi_run_keep(run, result)) return false;
    size_t all = hw_result_count(result);
    skip = HWI_MIN(skip, all);
    size_t count = all - skip;
    p->hits.ids = hwi_request_alloc(r, (count ? count : 1) * sizeof *p->hits.ids);
    p->hits.scores = hwi_request_alloc(r, (count ? count : 1) * sizeof *p->hits.scores);
    if (!p->hits.ids || !p->hits.scores) return false;
    const float *scores = hw_result_scores(result);
    for (size_t i = 0; i < count; i++) {
        p->hits.ids[i] = hw_result_ids(result)[skip + i];
        p->hits.scores[i] = scores ? scores[skip + i] : 1.0f;
    }
    p->hits.count = count;
    p->result = result;
    p->first_row = skip;
    p->shows_result = true;
    return true;
}

/* ---- Lists */

static bool
refuse_order(hwi_run *run, const hwi_plan *p, const hw_error *err)
{
    const hwi_json *indexes = hwi_json_member(run->shape.described, "payload_indexes");
    const hwi_json *type = hwi_json_member(indexes, p->order_key);
    if (type && type->kind == HWI_JSON_OBJECT) type = hwi_json_member(type, "type");
    bool is_ordered = type && type->kind == HWI_JSON_TEXT &&
                      (strcmp(type->text, "integer") == 0 || strcmp(type->text, "float") == 0 ||
                       strcmp(type->text, "datetime") == 0);
    if (err->status != HW_EINVAL || is_ordered) return hwi_refuse_engine(run->request, err);
    return hwi_refuse(run->request, 400,
                      "Wrong input: No range index for `order_by` key: `%s`. Please create one to "
                      "use `order_by`.",
                      p->order_key);
}

static uint64_t
seed_of(const hwi_run *run)
{
    uint64_t seed = hwi_clock_us();
    return hwi_checksum(run->request->request_id, sizeof run->request->request_id) ^ seed << 20;
}

/* No more than there are points: a client that wants all may name a limit as large as it likes. */
static bool
list_depth(hwi_run *run, uint64_t wanted, uint32_t *out)
{
    hw_error err;
    uint64_t count;
    *out = (uint32_t)HWI_MIN(wanted, HW_K_MAX);
    if (wanted <= HW_K_MAX) return true;
    if (!hwi_ok(run->request, hw_collection_count(run->shape.collection, NULL, 0, &count, &err),
                &err)) {
        return false;
    }
    *out = (uint32_t)HWI_MIN(wanted, HWI_MIN(HWI_MAX(count, 1u), UINT32_MAX));
    return true;
}

bool
hwi_leaf_list(hwi_run *run, const hwi_search *search, hwi_plan *p, bool is_root, const hw_id *among,
              size_t among_count)
{
    hw_collection *c = run->shape.collection;
    const char *filter = p->reach;
    size_t bytes = p->reach_bytes, skip = is_root ? p->offset : 0;
    uint32_t with = is_root ? hwi_selector_with(&search->selector) : 0;
    uint32_t limit;
    hw_result *result = NULL;
    hw_error err = {0};
    hw_status st = HW_OK;
    bool more;
    hw_id next;
    if (among && !hwi_filter_of_ids(run, among, among_count, false, &filter, &bytes)) return false;
    if (!list_depth(run, (uint64_t)p->limit + skip, &limit)) return false;
    if (p->step == HWI_STEP_ORDER) {
        st = hw_collection_ordered(c, filter, bytes, p->order_key, p->order_descending,
                                   p->order_from, limit, with, &result, &err);
        if (st != HW_OK) return refuse_order(run, p, &err);
    } else if (p->step == HWI_STEP_SAMPLE) {
        st = hw_collection_sample(c, filter, bytes, seed_of(run), limit, with, &result, &err);
    } else {
        st = hw_collection_scroll(c, filter, bytes, NULL, limit, with, &result, &more, &next, &err);
    }
    if (!hwi_ok(run->request, st, &err) || !hwi_leaf_take(run, p, result, skip)) return false;
    return is_root || p->step != HWI_STEP_ORDER || drop_repeated(run, &p->hits);
}
