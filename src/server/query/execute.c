/* execute.c - plans, bottom-up.
 *
 * First all leaves that compare vectors, of all searches of the request, go to the engine in one
 * call: they see one snapshot and share the processors. Then each tree is walked from below; a step
 * takes the lists of its prefetches and makes one list.
 *
 *     fuse       rrf, dbsf        ranks or scores of the lists
 *     formula                     scores and payloads of all that was found
 *     vector, feedback, mmr       the engine scores all that was found, exactly
 *     order, sample               the engine lists them
 *
 * Recursion is bounded by HWI_PLAN_DEPTH_MAX.
 */
#include "server/query/query.h"
#include "server/server.h"

static bool
compares(const hwi_plan *p)
{
    return p->step == HWI_STEP_VECTOR || p->step == HWI_STEP_MMR || p->step == HWI_STEP_FEEDBACK;
}

static size_t
hits_wanted(const hwi_plan *p, bool is_root)
{
    return (size_t)p->limit + (is_root ? p->offset : 0);
}

/* What is left to do with the hits of a search. */
static bool
after_search(hwi_run *run, hwi_plan *p, bool is_root)
{
    if (p->step == HWI_STEP_MMR) return hwi_rescore_mmr(run, p, hits_wanted(p, is_root));
    if (p->step == HWI_STEP_FEEDBACK) {
        hwi_feedback_score(p);
        hwi_hits_cut(p, &p->hits, hits_wanted(p, is_root));
    }
    return true;
}

/* ---- Searching */

typedef struct leaf {
    const hwi_search *search;
    hwi_plan *plan;
    bool is_root;
} leaf;

/* Why the engine did not find a point or its vector, in Qdrant's words. */
static bool
refuse_search(hwi_run *run, const leaf *leaves, size_t count, const hw_error *err)
{
    bool may_be_missing = err->status == HW_ENOTFOUND || err->status == HW_EINVAL;
    for (size_t i = 0; may_be_missing && i < count; i++) {
        if (leaves[i].plan->excludes_natively && !hwi_resolve_inputs(run, leaves[i].plan)) {
            return false;
        }
    }
    return hwi_refuse_engine(run->request, err);
}

/* What slow searches did: the explanation of one that has it, else the work of all. Counters are kept
 * of every search; explaining each in case it turns out slow would cost more than a tenth of a
 * small one. */
static void
note_slow(hwi_run *run, hw_result *const *results, size_t count, uint64_t took_us)
{
    hwi_request *r = run->request;
    const char *name = hwi_request_param(r, "collection");
    hw_search_work one, all = {0};
    hwi_buf text = {0};
    if (count == 1 && hw_result_explain(results[0])) {
        hwi_server_note_slow(r, name, took_us, hw_result_explain(results[0]));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        one = (hw_search_work){.size = sizeof one};
        hw_result_work(results[i], &one);
        all.leaves += one.leaves;
        all.scanned += one.scanned;
        all.refined += one.refined;
        all.exact += one.exact;
    }
    hwi_buf_printf(&text,
                   "{\"searches\":%zu,\"leaves\":%llu,\"scanned\":%llu,\"refined\":%llu,"
                   "\"exact\":%llu,\"warning\":",
                   count, (unsigned long long)all.leaves, (unsigned long long)all.scanned,
                   (unsigned long long)all.refined, (unsigned long long)all.exact);
    const char *warning = hw_result_warning(results[0]);
    if (warning) {
        hwi_json_write_text(&text, warning, strlen(warning));
    } else {
        hwi_buf_text(&text, "null");
    }
    hwi_buf_add(&text, "}", 2); /* with the terminator */
    hwi_server_note_slow(r, name, took_us, text.failed ? NULL : (const char *)text.data);
    hwi_buf_release(&text);
}

/* Tells the sample of recall and the log of slow searches. */
static void
report(hwi_run *run, const hw_query *queries, hw_result *const *results, size_t count,
       uint64_t took_us)
{
    hwi_request *r = run->request;
    const char *name = hwi_request_param(r, "collection");
    uint32_t slow_ms = hwi_server_slow_ms(r->server);
    for (size_t i = 0; i < count; i++) {
        bool is_nearest = queries[i].rule == HW_RULE_NEAREST && !queries[i].among_count;
        if (is_nearest) hwi_sampler_offer(r, name, &queries[i], results[i]);
    }
    if (slow_ms && took_us / 1000 >= slow_ms) note_slow(run, results, count, took_us);
}

/* Runs the queries of the leaves; those that ask for nothing stay without a result. */
static bool
search(hwi_run *run, leaf *leaves, hw_query *queries, size_t count)
{
    hwi_request *r = run->request;
    hw_result **results = hwi_request_alloc(r, (count ? count : 1) * sizeof *results);
    hw_error err;
    size_t n = 0, taken = 0;
    if (!results) return false;
    for (size_t i = 0; i < count; i++) { /* the others close ranks */
        leaves[i].plan->hits = (hwi_hits){0};
        leaves[i].plan->result = NULL;
        leaves[i].plan->shows_result = false;
        if (queries[i].k == 0) continue;
        leaves[n] = leaves[i];
        queries[n++] = queries[i];
    }
    if (n == 0) return true;
    uint64_t from_us = hwi_clock_us();
    hw_collection *c = run->shape.collection;
    hw_status st = n == 1 ? hw_collection_search(c, queries, results, &err)
                          : hw_collection_search_batch(c, queries, n, 0, results, &err);
    if (st != HW_OK) return refuse_search(run, leaves, n, &err);
    report(run, queries, results, n, hwi_clock_us() - from_us);
    while (taken < n && hwi_leaf_take(run, leaves[taken].plan, results[taken], 0)) taken++;
    for (size_t i = taken + 1; i < n; i++) hw_result_free(results[i]);
    return taken == n;
}

/* ---- Leaves */

static size_t
count_leaves(const hwi_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->prefetch_count; i++) n += count_leaves(&p->prefetches[i]);
    return p->prefetch_count ? n : compares(p);
}

static void
gather_leaves(const hwi_search *s, hwi_plan *p, bool is_root, leaf *leaves, size_t *count)
{
    for (size_t i = 0; i < p->prefetch_count; i++) {
        gather_leaves(s, &p->prefetches[i], false, leaves, count);
    }
    if (p->prefetch_count || !compares(p)) return;
    leaves[(*count)++] = (leaf){.search = s, .plan = p, .is_root = is_root};
}

static bool
search_leaves(hwi_run *run, hwi_search *searches, size_t search_count)
{
    hwi_request *r = run->request;
    size_t room = 0, count = 0;
    for (size_t i = 0; i < search_count; i++) room += count_leaves(&searches[i].plan);
    leaf *leaves = hwi_request_alloc(r, (room ? room : 1) * sizeof *leaves);
    hw_query *queries = hwi_request_alloc(r, (room ? room : 1) * sizeof *queries);
    if (!leaves || !queries) return false;
    for (size_t i = 0; i < search_count; i++) {
        gather_leaves(&searches[i], &searches[i].plan, true, leaves, &count);
    }
    for (size_t i = 0; i < count; i++) {
        const leaf *l = &leaves[i];
        if (!hwi_leaf_query(run, l->search, l->plan, l->is_root, NULL, 0, &queries[i])) {
            return false;
        }
    }
    return search(run, leaves, queries, count);
}

/* ---- Steps above prefetches */

static bool execute(hwi_run *run, const hwi_search *s, hwi_plan *p, bool is_root);

/* Scores or lists all that was found below. */
static bool
score_again(hwi_run *run, const hwi_search *s, hwi_plan *p, bool is_root, const hwi_hits *lists)
{
    hw_id *ids;
    size_t count;
    hw_query query;
    if (!hwi_hits_union(run->request, lists, p->prefetch_count, &ids, &count)) return false;
    p->hits = (hwi_hits){0};
    if (count == 0) return true;
    if (!compares(p)) return hwi_leaf_list(run, s, p, is_root, ids, count);
    leaf one = {.search = s, .plan = p, .is_root = is_root};
    return hwi_leaf_query(run, s, p, is_root, ids, count, &query) && search(run, &one, &query, 1) &&
           after_search(run, p, is_root);
}

static bool
combine(hwi_run *run, const hwi_search *s, hwi_plan *p, bool is_root, const hwi_hits *lists)
{
    hwi_request *r = run->request;
    if (p->step == HWI_STEP_RRF) {
        if (!hwi_fuse_rrf(r, lists, p->prefetch_count, p->rrf_k, p->weights, &p->hits))
            return false;
    } else if (p->step == HWI_STEP_DBSF) {
        if (!hwi_fuse_dbsf(r, lists, p->prefetch_count, &p->hits)) return false;
    } else if (p->step == HWI_STEP_FORMULA) {
        if (!hwi_rescore_formula(run, p, lists)) return false;
    } else {
        return score_again(run, s, p, is_root, lists);
    }
    hwi_hits_cut(p, &p->hits, hits_wanted(p, is_root));
    return true;
}

static bool
execute(hwi_run *run, const hwi_search *s, hwi_plan *p, bool is_root)
{
    if (p->prefetch_count == 0) {
        return compares(p) ? after_search(run, p, is_root)
                           : hwi_leaf_list(run, s, p, is_root, NULL, 0);
    }
    hwi_hits *lists = hwi_request_alloc(run->request, p->prefetch_count * sizeof *lists);
    if (!lists) return false;
    for (size_t i = 0; i < p->prefetch_count; i++) {
        if (!execute(run, s, &p->prefetches[i], false)) return false;
        lists[i] = p->prefetches[i].hits;
    }
    return combine(run, s, p, is_root, lists);
}

/* ---- The whole */

/* Feedback of every step turned into a vector to search by. */
static bool
aim(hwi_run *run, hwi_plan *p)
{
    if (p->step == HWI_STEP_FEEDBACK && !hwi_feedback_aim(run, p)) return false;
    for (size_t i = 0; i < p->prefetch_count; i++) {
        if (!aim(run, &p->prefetches[i])) return false;
    }
    return true;
}

/* Hits that were made here still have those that the offset skips. */
static void
skip_offset(hwi_plan *p)
{
    if (p->shows_result || p->hits.count == 0) return;
    size_t skip = HWI_MIN(p->offset, p->hits.count);
    p->hits.ids += skip;
    p->hits.scores += skip;
    p->hits.count = HWI_MIN(p->hits.count - skip, p->limit);
}

bool
hwi_prepare(hwi_run *run, hwi_search *searches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!hwi_resolve(run, &searches[i].plan) || !aim(run, &searches[i].plan)) return false;
    }
    return true;
}

bool
hwi_execute(hwi_run *run, hwi_search *searches, size_t count)
{
    if (!search_leaves(run, searches, count)) return false;
    for (size_t i = 0; i < count; i++) {
        if (!execute(run, &searches[i], &searches[i].plan, true)) return false;
        skip_offset(&searches[i].plan);
    }
    return true;
}
