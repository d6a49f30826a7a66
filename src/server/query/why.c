/* why.c - why a point is or is not among the hits: {query, using, filter, limit, params, id}.
 *
 * A search like any other, restricted to what the engine can account for: one step that compares
 * vectors. The answer is the engine's own (docs/queries.md).
 */
#include "server/query/query.h"

static bool
why(hwi_run *run, hwi_request *r)
{
    hwi_search s;
    hw_query q;
    hw_id id;
    char *json;
    hw_error err;
    if (!hwi_decode_search(run, r->body, &s)) return false;
    const hwi_json *asked = hwi_json_member(r->body, "id");
    if (!asked) return hwi_refuse_format(r, "missing field `id`");
    if (!hwi_read_id(r, &run->shape, asked, &id)) return false;
    if (s.plan.step != HWI_STEP_VECTOR || s.plan.prefetch_count) {
        return hwi_refuse(r, 400,
                          "Wrong input: only a query by vectors without prefetch can be explained");
    }
    if (!hwi_admit(run, &s, 1, NULL) || !hwi_prepare(run, &s, 1) ||
        !hwi_leaf_query(run, &s, &s.plan, true, NULL, 0, &q)) {
        return false;
    }
    if (q.k == 0) return hwi_refuse_value(r, "offset", "is beyond the last point");
    if (!hwi_ok(r, hw_collection_why(run->shape.collection, &q, &id, &json, &err), &err)) {
        return false;
    }
    hwi_buf_text(&r->out, json);
    hw_free(json);
    return true;
}

bool
hwi_handle_why(hwi_request *r)
{
    hwi_run run;
    bool ok = hwi_run_begin(&run, r) && why(&run, r);
    hwi_run_end(&run);
    return ok;
}
