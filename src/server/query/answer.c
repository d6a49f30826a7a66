/* answer.c - hits as JSON.
 *
 * Where the last step was a search of the engine, its result has payloads and vectors already. What
 * was fused or scored here is read by id first; a point deleted meanwhile is left out.
 */
#include "server/query/query.h"

static bool
write_from_result(hwi_run *run, const hwi_search *s)
{
    const hwi_plan *p = &s->plan;
    for (size_t i = 0; i < p->hits.count; i++) {
        if (i) hwi_buf_text(&run->request->out, ",");
        hwi_write_scored(run->request, &run->shape, p->result, p->first_row + i, p->hits.scores[i],
                         &s->selector);
    }
    return true;
}

static bool
write_by_id(hwi_run *run, const hwi_search *s)
{
    hwi_request *r = run->request;
    const hwi_hits *hits = &s->plan.hits;
    const hw_result *found;
    hwi_idmap rows;
    bool is_first = true;
    if (!hwi_run_get(run, hits->ids, hits->count, hwi_selector_with(&s->selector), &found) ||
        !hwi_idmap_init(r, hw_result_ids(found), hw_result_count(found), &rows)) {
        return false;
    }
    for (size_t i = 0; i < hits->count; i++) {
        size_t row = hwi_idmap_find(&rows, &hits->ids[i]);
        if (row == HWI_NOWHERE) continue;
        if (!is_first) hwi_buf_text(&r->out, ",");
        is_first = false;
        hwi_write_scored(r, &run->shape, found, row, hits->scores[i], &s->selector);
    }
    return true;
}

bool
hwi_answer_points(hwi_run *run, const hwi_search *s)
{
    bool ok = true;
    hwi_buf_text(&run->request->out, "[");
    if (s->plan.hits.count) {
        ok = s->plan.shows_result ? write_from_result(run, s) : write_by_id(run, s);
    }
    hwi_buf_text(&run->request->out, "]");
    return ok;
}

/* ---- Extras */

/* The explanation of a step, above those of its prefetches. */
static void
write_explain(hwi_buf *out, const hwi_plan *p)
{
    const char *own = p->result ? hw_result_explain(p->result) : NULL;
    if (p->prefetch_count == 0) {
        hwi_buf_text(out, own ? own : "null");
        return;
    }
    hwi_buf_printf(out, "{\"query\":%s,\"prefetch\":[", own ? own : "null");
    for (size_t i = 0; i < p->prefetch_count; i++) {
        if (i) hwi_buf_text(out, ",");
        write_explain(out, &p->prefetches[i]);
    }
    hwi_buf_text(out, "]}");
}

/* The least recall reached by a search of the tree that aimed at one. */
static void
least_recall(const hwi_plan *p, double *out, bool *wanted)
{
    bool is_list =
        p->step == HWI_STEP_SCROLL || p->step == HWI_STEP_ORDER || p->step == HWI_STEP_SAMPLE;
    *wanted |= p->params.wants_recall;
    if (p->result && !is_list) *out = HWI_MIN(*out, hw_result_recall(p->result));
    for (size_t i = 0; i < p->prefetch_count; i++) least_recall(&p->prefetches[i], out, wanted);
}

/* What a client that asked for recall is told beside it: remarks, and what the search looked at. */
static void
write_work(hwi_buf *out, const hw_result *result)
{
    hw_search_work work = {.size = sizeof work};
    const char *warning = hw_result_warning(result);
    hw_result_work(result, &work);
    if (warning) {
        hwi_buf_text(out, ",\"warning\":");
        hwi_json_write_text(out, warning, strlen(warning));
    }
    hwi_buf_printf(out, ",\"work\":{\"leaves\":%llu,\"scanned\":%llu",
                   (unsigned long long)work.leaves, (unsigned long long)work.scanned);
    hwi_buf_printf(out, ",\"refined\":%llu,\"exact\":%llu}", (unsigned long long)work.refined,
                   (unsigned long long)work.exact);
}

void
hwi_answer_extras(hwi_run *run, const hwi_search *s)
{
    hwi_buf *out = &run->request->out;
    double recall = 1;
    bool wants_recall = false;
    least_recall(&s->plan, &recall, &wants_recall);
    if (wants_recall) {
        hwi_buf_text(out, ",\"recall\":");
        hwi_json_write_f64(out, recall);
        if (s->plan.result) write_work(out, s->plan.result);
    }
    if (s->explain) {
        hwi_buf_text(out, ",\"explain\":");
        write_explain(out, &s->plan);
    }
}
