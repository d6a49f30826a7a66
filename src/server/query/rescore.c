/* rescore.c - steps whose scores are made here, of what the engine found.
 *
 * A formula may need payloads and conditions of its candidates. Payloads are read in one call;
 * a condition is a filter, so the engine says in one call each which candidates meet it, and answers
 * as it would in a search.
 */
#include "server/query/query.h"

#include <math.h>

void
hwi_hits_cut(const hwi_plan *plan, hwi_hits *hits, size_t limit)
{
    hits->count = HWI_MIN(hits->count, limit);
    for (size_t i = 0; plan->has_threshold && i < hits->count; i++) {
        if (!(hits->scores[i] >= plan->threshold)) hits->count = i;
    }
}

/* ---- Formula */

typedef struct candidates {
    hw_id *ids;
    size_t count;
    float *scores; /* count rows of list_count: NaN where a list has not the point */
    bool *holds;   /* count rows of condition_count */
    const hwi_json **payloads;
} candidates;

static bool
gather_scores(hwi_run *run, const hwi_hits *lists, size_t list_count, candidates *c)
{
    hwi_request *r = run->request;
    hwi_idmap map;
    if (!hwi_hits_union(r, lists, list_count, &c->ids, &c->count) ||
        !hwi_idmap_init(r, c->ids, c->count, &map)) {
        return false;
    }
    c->scores = hwi_request_alloc(r, hwi_size_mul(c->count + 1, list_count * sizeof(float)));
    if (!c->scores) return false;
    for (size_t i = 0; i < c->count * list_count; i++) c->scores[i] = NAN;
    for (size_t l = 0; l < list_count; l++) {
        for (size_t i = 0; i < lists[l].count; i++) {
            c->scores[hwi_idmap_find(&map, &lists[l].ids[i]) * list_count + l] = lists[l].scores[i];
        }
    }
    return true;
}

static bool
gather_payloads(hwi_run *run, candidates *c)
{
    hwi_request *r = run->request;
    hw_error err;
    const hw_result *found;
    hwi_idmap map;
    if (!hwi_run_get(run, c->ids, c->count, HW_WITH_PAYLOAD, &found) ||
        !hwi_idmap_init(r, c->ids, c->count, &map)) {
        return false;
    }
    for (size_t i = 0; i < hw_result_count(found); i++) {
        size_t bytes, at = hwi_idmap_find(&map, &hw_result_ids(found)[i]);
        const char *text = hw_result_payload(found, i, &bytes);
        if (!text || at == HWI_NOWHERE) continue;
        if (!hwi_ok(r, hwi_json_parse(text, bytes, &r->arena, &c->payloads[at], &err), &err)) {
            return false;
        }
    }
    return true;
}

/* Which candidates meet condition k. */
static bool
gather_condition(hwi_run *run, const hwi_formula *f, size_t k, const char *among,
                 size_t among_bytes, const hwi_idmap *map, candidates *c)
{
    hwi_request *r = run->request;
    size_t bytes, columns = hwi_formula_condition_count(f);
    const char *filter = hwi_formula_condition(f, k, &bytes);
    hw_error err;
    hw_result *found;
    hw_id next;
    bool more;
    if (!hwi_join_filters(r, among, among_bytes, filter, bytes, &filter, &bytes) ||
        !hwi_ok(r,
                hw_collection_scroll(run->shape.collection, filter, bytes, NULL, (uint32_t)c->count,
                                     0, &found, &more, &next, &err),
                &err) ||
        !hwi_run_keep(run, found)) {
        return false;
    }
    for (size_t i = 0; i < hw_result_count(found); i++) {
        size_t at = hwi_idmap_find(map, &hw_result_ids(found)[i]);
        if (at != HWI_NOWHERE) c->holds[at * columns + k] = true;
    }
    return true;
}

static bool
gather_conditions(hwi_run *run, const hwi_formula *f, candidates *c)
{
    size_t columns = hwi_formula_condition_count(f), bytes;
    const char *among;
    hwi_idmap map;
    c->holds = hwi_request_alloc(run->request, c->count * columns + 1);
    if (!c->holds) return false;
    memset(c->holds, 0, c->count * columns + 1);
    if (!columns || !c->count) return true;
    if (!hwi_filter_of_ids(run, c->ids, c->count, false, &among, &bytes) ||
        !hwi_idmap_init(run->request, c->ids, c->count, &map)) {
        return false;
    }
    for (size_t k = 0; k < columns; k++) {
        if (!gather_condition(run, f, k, among, bytes, &map, c)) return false;
    }
    return true;
}

bool
hwi_rescore_formula(hwi_run *run, hwi_plan *plan, const hwi_hits *lists)
{
    hwi_request *r = run->request;
    const hwi_formula *f = plan->formula;
    size_t list_count = plan->prefetch_count;
    candidates c = {0};
    if (!gather_scores(run, lists, list_count, &c)) return false;
    c.payloads = hwi_request_alloc(r, (c.count + 1) * sizeof *c.payloads);
    plan->hits = (hwi_hits){.ids = c.ids, .count = c.count};
    plan->hits.scores = hwi_request_alloc(r, (c.count + 1) * sizeof(float));
    if (!c.payloads || !plan->hits.scores) return false;
    for (size_t i = 0; i < c.count; i++) c.payloads[i] = NULL;
    if (hwi_formula_needs_payload(f) && c.count && !gather_payloads(run, &c)) return false;
    if (!gather_conditions(run, f, &c)) return false;
    for (size_t i = 0; i < c.count; i++) {
        hwi_formula_point point = {.scores = c.scores + i * list_count,
                                   .score_count = list_count,
                                   .payload = c.payloads[i],
                                   .conditions = c.holds + i * hwi_formula_condition_count(f)};
        if (!hwi_formula_value(r, f, &point, &plan->hits.scores[i])) return false;
    }
    return hwi_hits_sort(r, &plan->hits);
}

/* ---- Variety */

bool
hwi_rescore_mmr(hwi_run *run, hwi_plan *plan, size_t limit)
{
    hwi_request *r = run->request;
    hwi_hits *hits = &plan->hits;
    size_t n = 0, picked_count;
    hw_vector *vectors = hwi_request_alloc(r, (hits->count + 1) * sizeof *vectors);
    uint32_t *rows = hwi_request_alloc(r, (hits->count + 1) * sizeof *rows);
    uint32_t *picked = hwi_request_alloc(r, (hits->count + 1) * sizeof *picked);
    hwi_hits out = {.ids = hwi_request_alloc(r, (hits->count + 1) * sizeof *out.ids),
                    .scores = hwi_request_alloc(r, (hits->count + 1) * sizeof *out.scores)};
    if (!vectors || !rows || !picked || !out.ids || !out.scores) return false;
    for (size_t i = 0; i < hits->count; i++) {
        if (hw_result_stored_vector(plan->result, plan->first_row + i, plan->field->name,
                                    &vectors[n])) {
            rows[n++] = (uint32_t)i;
        }
    }
    if (!hwi_mmr_pick(r, plan->field, &plan->target.vector, vectors, n, plan->mmr_lambda, limit,
                      picked, &picked_count)) {
        return false;
    }
    for (; out.count < picked_count; out.count++) {
        out.ids[out.count] = hits->ids[rows[picked[out.count]]];
        out.scores[out.count] = hits->scores[rows[picked[out.count]]];
    }
    *hits = out;
    plan->shows_result = false;
    return true;
}
