/* index_search.c - one search of an index: choose the way, run it, put the hits in order.
 *
 *     no generation yet, or kind flat        flat     compare with everything
 *     the filter leaves few slots            gather   compare with those
 *     recall 1                               exact    branch and bound, else flat
 *     otherwise                              leaves   as many as the calibration says
 *
 * A filter that lets the share f through makes the k nearest accepted about as far away as the k /
 * f nearest of all: the effort is looked up for k / f. When gathering would cost less than that
 * effort, it is chosen instead; and when the matches turn out to lie far away, so that the leaves have
 * cost as much as gathering, the search ends by that. So it never costs more than twice the cheaper.
 */
#include <math.h>

#include "index/lsh/kept_leaves.h"

#define SMALL 48u          /* candidates kept without asking for memory */
#define GATHER_ALWAYS 500u /* accepted slots below which nothing else is worth thinking about */
/* Costs in scanned signatures (2.5 ns), rough: */
#define GATHER_COST 14.0 /* of reaching a scattered row */
#define GATHER_DIMS 27.0 /* so many of its dimensions cost one more */
#define KEEP_COST 400.0  /* of coming to a leaf and keeping its matching rows */

/* Whether slot a's point id sorts before b's. */
static bool
id_before(void *arg, uint32_t a, uint32_t b)
{
    hwi_index_view *v = arg;
    hw_id ia, ib;

    if (hwi_slot_id(v->slots, v->txn, v->ix->coll, a, &ia, NULL) != HW_OK ||
        hwi_slot_id(v->slots, v->txn, v->ix->coll, b, &ib, NULL) != HW_OK)
        return a < b;
    return hw_id_compare(&ia, &ib) < 0;
}

/* Accepted slots, as far as that is known. */
static uint64_t
acceptable(const hwi_index_view *v, const hwi_accept *a)
{
    if (!a || !a->may) return v->state.vectors;
    return HWI_MIN(roaring_bitmap_get_cardinality(a->may), v->state.vectors);
}

static hwi_effort
effort_for(const hwi_index_view *v, uint32_t k, double recall, uint64_t accepted)
{
    double share = (double)HWI_MAX(accepted, (uint64_t)1) / (double)HWI_MAX(v->state.vectors, 1u);
    double reach = HWI_MIN((double)k / share, (double)UINT32_MAX / 2);

    hwi_effort e = hwi_calibration_pick(v->calibration, (uint32_t)reach, recall,
                                        v->tree->leaf_count, v->model->leaf_size);
    if (share < 1) {
        hwi_effort own = hwi_calibration_pick(v->calibration, k, recall, v->tree->leaf_count,
                                              v->model->leaf_size);
        e.extra = HWI_MAX(own.extra, (uint32_t)(e.extra * share));
        e.eps = fmaxf(e.eps, own.eps);
    }
    return e;
}

/* Of comparing one scattered row. */
static double
row_cost(const hwi_index_view *v)
{
    return GATHER_COST + v->ix->field.dim / GATHER_DIMS;
}

/* Whether all rows of opened leaves are. */
static bool
are_measured(const hwi_index_view *v, const hwi_effort *e)
{
    return v->model->words == 0 || isinf(e->eps);
}

/* Of opening leaves whose matching rows are not kept, and of those where they are. */
static double
leaves_cost(const hwi_index_view *v, const hwi_effort *e)
{
    double per_leaf = (double)v->state.vectors / v->tree->leaf_count;
    double row = are_measured(v, e) ? row_cost(v) : HWI_FILTERED_ROW_COST;

    return e->leaves * (HWI_LEAF_COST + per_leaf * row);
}

static double
kept_cost(const hwi_index_view *v, double leaves, uint64_t accepted)
{
    double per_leaf = (double)accepted / v->tree->leaf_count;

    return leaves * (HWI_KEPT_LEAF_COST + per_leaf * HWI_FILTERED_ROW_COST);
}

/* Keeping costs all leaves once and saves a part of every search: it is begun when the searches before
 * would have saved as much. */
static bool
gather_is_cheaper(const hwi_search_run *run, uint64_t accepted, double recall, const hwi_effort *e)
{
    const hwi_index_view *v = run->v;
    const hwi_accept *a = run->accept;
    double gather = (double)accepted * row_cost(v);

    if (accepted <= GATHER_ALWAYS) return true;
    if (recall >= 1) return accepted < v->state.vectors / 4; /* else boxes or a full scan */
    if (gather >= leaves_cost(v, e)) return false;
    if (!a->leaves || are_measured(v, e)) return true;
    double saved = gather - kept_cost(v, e->leaves, accepted);
    return saved * (double)hwi_kept_leaves_ask(a->leaves) < v->tree->leaf_count * KEEP_COST;
}

static hw_status
search_leaves(hwi_search_run *run, const hwi_effort *effort, uint64_t accepted, hw_error *err)
{
    bool filtered = run->accept && run->accept->may;

    double share = (double)accepted / (double)HWI_MAX(run->v->state.vectors, 1u);
    run->trace->plan = "leaves";
    run->measured = hwi_calibration_covers(run->v->calibration, run->k / share);
    run->work_most = filtered ? (double)accepted * row_cost(run->v) : INFINITY;
    HWI_TRY(hwi_leaves_search(run, effort, err));
    if (!run->gave_up) return HW_OK;
    run->top.count = 0, run->top.worst = INFINITY;
    run->trace->plan = "gather", run->trace->recall = 1;
    return hwi_gather_search(run, err);
}

/* Picks the way and runs it; trace->plan and trace->recall say which and how well. */
static hw_status
run_plan(hwi_search_run *run, double recall, const hwi_effort *effort, uint64_t accepted,
         hw_error *err)
{
    hwi_index_view *v = run->v;
    bool filtered = run->accept && run->accept->may;

    run->trace->recall = 1;
    if (filtered && (!v->model || gather_is_cheaper(run, accepted, recall, effort))) {
        run->trace->plan = "gather";
        return hwi_gather_search(run, err);
    }
    if (v->model && recall < 1) return search_leaves(run, effort, accepted, err);
    if (v->model) {
        bool useful;
        run->trace->plan = "exact";
        HWI_TRY(hwi_tree_exact_search(run, &useful, err));
        if (useful) return HW_OK;
        run->top.count = 0, run->top.worst = INFINITY;
    }
    run->trace->plan = "flat";
    return hwi_flat_search(run, err);
}

static void
zero_counters(hwi_trace *t)
{
    hwi_trace kept = *t;

    *t = (hwi_trace){
        .detail = kept.detail, .stop_us = kept.stop_us, .stop = kept.stop, .plan = "none"};
}

/* The best k of run->top, those within max_distance. */
static uint32_t
deliver(hwi_search_run *run, hwi_hit *hits)
{
    uint32_t n = 0;

    hwi_top_sort(&run->top);
    for (uint32_t i = 0; i < run->top.count && n < run->k; i++) {
        if (run->top.entries[i].distance > run->max_distance) break;
        hits[n++] = (hwi_hit){run->top.entries[i].tag, run->top.entries[i].distance};
    }
    return n;
}

hw_status
hwi_index_search_effort(hwi_index_view *v, const float *query, uint32_t k, double recall,
                        const hwi_effort *effort, float max_distance, const hwi_accept *accept,
                        hwi_trace *trace, hwi_hit *hits, uint32_t *count, hw_error *err)
{
    hwi_search_run run = {.v = v,
                          .query = query,
                          .k = k,
                          .max_distance = max_distance,
                          .accept = accept,
                          .trace = trace};
    uint64_t accepted = acceptable(v, accept);
    uint32_t room = (uint32_t)HWI_MIN((uint64_t)k + effort->extra, v->state.vectors + 1);
    hwi_top_entry small[SMALL];

    run.s = hwi_scratch_take(v->ix, v->model, v->tree);
    hwi_top_entry *entries = room <= SMALL ? small : hwi_alloc(room * sizeof *entries);
    hw_status st;
    if (!run.s || !entries) {
        st = hwi_nomem(err, room * sizeof *entries);
    } else {
        hwi_top_init(&run.top, entries, room);
        run.top.before = id_before, run.top.arg = v;
        run.k = HWI_MIN(k, room);
        hwi_space_prepare(&v->ix->space, query, run.s->prepared);
        st = run_plan(&run, recall, effort, accepted, err);
        if (st == HW_OK) *count = deliver(&run, hits);
    }
    if (entries != small) hwi_free(entries);
    hwi_scratch_give(v->ix, run.s);
    return st;
}

hw_status
hwi_index_search(hwi_index_view *v, const float *query, uint32_t k, double recall,
                 float max_distance, const hwi_accept *accept, hwi_trace *trace, hwi_hit *hits,
                 uint32_t *count, hw_error *err)
{
    hwi_effort effort = {0};

    *count = 0;
    zero_counters(trace);
    trace->recall = 1;
    uint64_t accepted = acceptable(v, accept);
    if (k == 0 || v->state.vectors == 0 || accepted == 0) return HW_OK;
    if (v->model && recall < 1) effort = effort_for(v, k, recall, accepted);
    return hwi_index_search_effort(v, query, k, recall, &effort, max_distance, accept, trace, hits,
                                   count, err);
}
