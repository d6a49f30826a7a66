/* legacy.c - search, recommend and discover as they were called before points/query.
 *
 * Qdrant took them out of its description but serves them still, and so do clients in the field call
 * them. Each becomes the plan that points/query would make of it; what differs is the names of
 * members, and that a limit (or `top`) has to be given.
 */
#include "server/query/query.h"

/* Everything but what to search by. Groups have their own limit, read elsewhere. */
static bool
decode_rest(hwi_run *run, const hwi_json *body, hwi_search *out)
{
    hwi_request *r = run->request;
    if (!body || body->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "expected an object");
    *out = (hwi_search){.plan = {.rrf_k = HWI_RRF_K, .step = HWI_STEP_VECTOR, .source = body}};
    if (++run->node_count > HWI_BATCH_MAX) {
        return hwi_refuse(r, 400, "Wrong input: a batch has more than %u searches", HWI_BATCH_MAX);
    }
    const char *limit = hwi_present(body, "limit") ? "limit" : "top";
    if (!hwi_present(body, limit)) return hwi_refuse_format(r, "missing field `limit`");
    return hwi_read_u32(r, body, limit, 10, 1, UINT32_MAX, &out->plan.limit) &&
           hwi_read_u32(r, body, "offset", 0, 0, UINT32_MAX, &out->plan.offset) &&
           hwi_decode_common(run, body, &out->plan) &&
           hwi_read_bool(r, body, "explain", false, &out->explain) &&
           hwi_read_selector(r, &run->shape, body, false, &out->selector);
}

static bool
decode_field(hwi_run *run, const char *name, hwi_plan *plan)
{
    plan->field = hwi_shape_field_named(run->request, &run->shape, name);
    return plan->field != NULL;
}

/* "vector": [..], or {"name": .., "vector": [..] or {indices, values}} */
bool
hwi_decode_old_search(hwi_run *run, const hwi_json *body, hwi_search *out)
{
    hwi_request *r = run->request;
    if (!decode_rest(run, body, out)) return false;
    const hwi_json *vector = hwi_present(body, "vector");
    const char *name = "";
    if (vector && vector->kind == HWI_JSON_OBJECT) {
        if (!hwi_read_text(r, vector, "name", &name)) return false;
        if (!name) name = "";
        vector = hwi_present(vector, "vector");
    }
    if (!vector) return hwi_refuse_format(r, "missing field `vector`");
    if (vector->kind != HWI_JSON_ARRAY && vector->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "vector: expected a vector");
    }
    out->plan.rule = HW_RULE_NEAREST;
    out->plan.has_target = true;
    return decode_field(run, name, &out->plan) &&
           hwi_decode_input(run, &out->plan, vector, &out->plan.target);
}

static bool
decode_using(hwi_run *run, const hwi_json *body, hwi_search *out)
{
    const char *using;
    return decode_rest(run, body, out) && hwi_decode_using(run, body, &using) &&
           decode_field(run, using, &out->plan);
}

bool
hwi_decode_old_recommend(hwi_run *run, const hwi_json *body, hwi_search *out)
{
    return decode_using(run, body, out) &&
           hwi_decode_examples(run, hwi_present(body, "positive"), hwi_present(body, "negative"),
                               &out->plan) &&
           hwi_decode_strategy(run, hwi_present(body, "strategy"), &out->plan);
}

bool
hwi_decode_old_discover(hwi_run *run, const hwi_json *body, hwi_search *out)
{
    if (!decode_using(run, body, out)) return false;
    const hwi_json *target = hwi_present(body, "target");
    out->plan.rule = target ? HW_RULE_DISCOVER : HW_RULE_CONTEXT;
    out->plan.has_target = target != NULL;
    if (!hwi_decode_pairs(run, hwi_present(body, "context"), &out->plan)) return false;
    return !target || hwi_decode_input(run, &out->plan, target, &out->plan.target);
}
