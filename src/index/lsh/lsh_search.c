/* lsh_search.c - the approximate search: rank leaves, scan signatures, refine survivors, measure
 * the few that remain.
 *
 *     query --rotate--> y --hash, quantise--> table         (once)
 *        rank all anchors by <y, anchor>, keep the nearest `effort->leaves`
 *        first leaf:   refine the most promising rows, until a k-th best is known
 *        each further: scan its signatures for rows whose lower bound beats the k-th best;
 *                      refine them one leaf later, when their codes have come to the cache
 *        exact distances for the best k + effort->extra
 *
 * The lower bound of a row is its estimated distance less eps typical errors (docs/concepts.md): eps
 * trades recall for survivors, and is calibrated together with the number of leaves. With a filter,
 * further leaves are opened until k are found and the k-th is settled (is_settled), or none is left.
 *
 * Kind kdtree and metric l1 have no signatures: rows of the leaves are measured exactly as they come.
 */
#include <math.h>

#include "index/lsh/lsh_probe.h"
#include "index/index_calibrate.h"
#include "index/search_impl.h"

#define FIRST_LEAST 16u     /* rows refined before there is a threshold, at least */
#define SORTED_LEAVES 16u   /* of the picked leaves, this many are opened strictly nearest first */
#define SAMPLE 128u         /* scores looked at to guess a cut */
#define INTERRUPT_EVERY 16u /* leaves between looks at the clock */
#define REFINE_BATCH 32u

/* The query in the forms that scanning and refining need. */
typedef struct lsh_query {
    float scan_scale, scan_bias;
    float code_scale;
    int32_t code_sum128; /* 128 * sum of q8 */
    float length;        /* |framed query| */
} lsh_query;

/* Survivors of a leaf on their way to be refined. */
typedef struct batch {
    const hwi_leaf_ref *leaf;
    float d; /* distance term of the leaf */
    uint32_t *row;
    float *bound;
    size_t count;
} batch;

static void
prepare(hwi_search_run *run, lsh_query *q)
{
    const hwi_model *m = run->v->model;
    hwi_scratch *s = run->s;
    double length = 0;

    hwi_model_frame(m, m->metric == HWI_COSINE ? s->prepared : run->query, 1, s->framed);
    hwi_model_axes_fast(m, s->framed, s->bytes, s->y);
    if (m->words == 0 && m->kind != HWI_LSH) return;
    hwi_model_hash(m, s->y, s->z);
    int32_t sum = hwi_quantize_scan(s->z, m->bits, s->planes, &q->scan_scale);
    q->scan_bias = -0.5f * (float)sum * q->scan_scale;
    q->code_sum128 =
        128 * hwi_quantize_i8(s->framed, m->dim, hwi_leaf_code_bytes(m), s->q8, &q->code_scale);
    for (uint32_t j = 0; j < m->dim; j++) length += (double)s->framed[j] * s->framed[j];
    q->length = (float)sqrt(length);
}

/* ---- ranking ---- */

static int
by_score(const void *a, const void *b)
{
    const hwi_top_entry *x = a, *y = b;

    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

/* A score that about `want` of `count` scores stay below, judged by a sample; INFINITY when all are
 * wanted. */
static float
guess_cut(const float *scores, uint32_t count, uint32_t want, double generosity)
{
    hwi_top_entry sample[SAMPLE + 1];
    uint32_t stride = HWI_MAX(count / SAMPLE, 1u), n = 0;

    for (uint32_t i = 0; i < count && n < SAMPLE; i += stride)
        sample[n++] = (hwi_top_entry){scores[i], i};
    size_t rank = (size_t)((double)want / count * n * generosity + 3);
    if (rank >= n) return INFINITY;
    hwi_top_select(sample, n, rank);
    return sample[rank - 1].distance;
}

/* The `want` nearest leaves into s->ranked, the first few in order. Returns how many. */
static uint32_t
pick_leaves(hwi_search_run *run, uint32_t want)
{
    hwi_scratch *s = run->s;
    uint32_t count = run->v->tree->leaf_count;
    size_t picked = 0;

    want = HWI_MIN(want, count);
    for (double generosity = 1.4; picked < want; generosity *= 2) {
        float cut = guess_cut(s->scores, count, want, generosity);
        picked =
            run->v->model->kernels->select_le(s->scores, count, cut, s->picked, s->picked_score);
    }
    for (size_t i = 0; i < picked; i++)
        s->ranked[i] = (hwi_top_entry){s->picked_score[i], s->picked[i]};
    if (picked > want) hwi_top_select(s->ranked, picked, want);
    uint32_t sorted = HWI_MIN(want, SORTED_LEAVES);
    if (want > sorted) hwi_top_select(s->ranked, want, sorted);
    qsort(s->ranked, sorted, sizeof *s->ranked, by_score);
    return want;
}

static void
rank(hwi_search_run *run)
{
    const hwi_index_view *v = run->v;

    if (v->model->kind == HWI_LSH)
        hwi_lsh_rank(v->tree, v->model, run->s->z, run->s->scores);
    else
        hwi_tree_rank(v->tree, v->model, run->s->y, run->s->bytes, run->s->scores);
    run->trace->leaves_ranked = v->tree->leaf_count;
}

/* ---- refining ---- */

static inline void
prefetch_rows(const hwi_index_view *v, const batch *b)
{
    size_t bytes = hwi_leaf_row_bytes(v->model);

    for (size_t i = 0; i < b->count; i++) {
        const uint8_t *row = hwi_leaf_ref_row(v, b->leaf, b->row[i]);
        for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at);
    }
}

/* Estimates from the long codes; those that beat the list and are accepted join it. */
static void
refine(hwi_search_run *run, const lsh_query *q, const batch *b)
{
    const hwi_model *m = run->v->model;
    uint32_t code_bytes = hwi_leaf_code_bytes(m);
    const uint8_t *rows[REFINE_BATCH];
    uint32_t kept[REFINE_BATCH];
    int32_t dot[REFINE_BATCH];

    for (size_t at = 0; at < b->count;) {
        size_t n = 0;
        float threshold = hwi_top_bound(&run->top, run->k);
        for (; at < b->count && n < REFINE_BATCH; at++) {
            if (b->bound[at] + b->d > threshold) continue;
            uint32_t slot = b->leaf->page.slots[b->row[at]];
            if (!hwi_may(run->accept, slot)) {
                run->trace->filtered_out++;
                continue;
            }
            rows[n] = hwi_leaf_ref_row(run->v, b->leaf, b->row[at]), kept[n++] = slot;
        }
        m->kernels->dot_codes(run->s->q8, rows, n, code_bytes, dot);
        run->trace->refined += n;
        for (size_t i = 0; i < n; i++) {
            float ra = hwi_get_f32(rows[i] + code_bytes),
                  rs = hwi_get_f32(rows[i] + code_bytes + 4);
            float e = ra + b->d - rs * q->code_scale * (float)(dot[i] - q->code_sum128);
            if (!(e < run->top.worst)) continue;
            if (hwi_accepted(run->accept, kept[i]))
                hwi_top_add(&run->top, e, kept[i]);
            else
                run->trace->filtered_out++;
        }
    }
}

/* ---- scanning ---- */

static float
leaf_distance(const hwi_search_run *run, const hwi_leaf_page *page)
{
    const hwi_model *m = run->v->model;
    float d;

    if (m->metric == HWI_DOT) {
        m->kernels->dot_rows(run->s->framed, page->centre, 0, 1, m->dim, &d);
        return -d;
    }
    m->kernels->l2sq_rows(run->s->framed, page->centre, 0, 1, m->dim, &d);
    return d;
}

static size_t
scan_leaf(hwi_search_run *run, const lsh_query *q, float eps, float threshold, batch *b)
{
    const hwi_model *m = run->v->model;
    const hwi_leaf_page *page = &b->leaf->page;
    float query_part = m->metric == HWI_DOT ? q->length : sqrtf(HWI_MAX(b->d, 0.0f));

    run->trace->scanned += page->count;
    b->count = m->kernels->scan(page->blocks, page->block_count, m->words, run->s->planes,
                                q->scan_scale, q->scan_bias + eps * m->kap * query_part,
                                HWI_MIN(threshold - b->d, 1e29f), 0, b->row, b->bound);
    run->trace->survivors += b->count;
    return b->count;
}

/* While fewer than k are known there is no threshold: refine the rows that look best, then those
 * they do not rule out. */
static void
open_first(hwi_search_run *run, const lsh_query *q, float eps, batch *b)
{
    size_t best = HWI_MAX(2 * (size_t)run->k, (size_t)FIRST_LEAST);
    hwi_top_entry order[HWI_LEAF_ROWS_MAX];
    size_t n = scan_leaf(run, q, eps, INFINITY, b);

    if (best < n) {
        for (size_t i = 0; i < n; i++) order[i] = (hwi_top_entry){b->bound[i], b->row[i]};
        hwi_top_select(order, n, best);
        for (size_t i = 0; i < n; i++) b->bound[i] = order[i].distance, b->row[i] = order[i].tag;
        batch head = *b;
        head.count = best;
        prefetch_rows(run->v, &head);
        refine(run, q, &head);
        b->row += best, b->bound += best, b->count -= best;
        refine(run, q, b);
    } else {
        prefetch_rows(run->v, b);
        refine(run, q, b);
    }
    b->count = 0;
}

/* ---- the loop over leaves ---- */

typedef struct lsh_walk {
    hwi_search_run *run;
    lsh_query q;
    float eps;
    batch pending;      /* survivors of the leaf before */
    uint32_t parity;    /* which half of the scratch the next survivors use */
    float bound;        /* with a filter: the k-th best when it last became better, */
    uint32_t better_at; /* and how many leaves were open then */
} lsh_walk;

static void
describe_leaf(hwi_search_run *run, const hwi_leaf_ref *leaf, uint32_t position, size_t survivors)
{
    const hwi_tree *t = run->v->tree;
    hwi_buf *out = run->trace->detail;

    if (!out) return;
    if (out->size && out->data[out->size - 1] == '}') hwi_buf_text(out, ", ");
    hwi_buf_printf(out, "{\"leaf\": %u, ", t->leaf_node[position]);
    if (run->v->model->kind == HWI_LSH) {
        hwi_buf_printf(out, "\"bucket\": %u", t->hash[position]);
    } else {
        hwi_buf_text(out, "\"path\": \"");
        hwi_tree_path(t, t->leaf_node[position], out);
        hwi_buf_text(out, "\"");
    }
    hwi_buf_printf(out, ", \"rows\": %u, \"survivors\": %zu}", leaf->page.count, survivors);
}

static hw_status
open_coded(lsh_walk *w, uint32_t position, hw_error *err)
{
    hwi_search_run *run = w->run;
    size_t half = (size_t)(w->parity++ & 1) * (HWI_LEAF_ROWS_MAX + 32);
    batch b = {.row = run->s->row + half, .bound = run->s->bound + half};

    HWI_TRY(hwi_view_leaf(run->v, position, &b.leaf, err));
    run->trace->leaves++;
    b.d = leaf_distance(run, &b.leaf->page);
    if (run->top.count < run->k) {
        open_first(run, &w->q, w->eps, &b);
        describe_leaf(run, b.leaf, position, b.leaf->page.count);
        return HW_OK;
    }
    scan_leaf(run, &w->q, w->eps, hwi_top_bound(&run->top, run->k), &b);
    describe_leaf(run, b.leaf, position, b.count);
    prefetch_rows(run->v, &b);
    if (w->pending.count) refine(run, &w->q, &w->pending);
    w->pending = b;
    return HW_OK;
}

static hw_status
open_plain(lsh_walk *w, uint32_t position, hw_error *err)
{
    const hwi_leaf_ref *leaf;

    HWI_TRY(hwi_view_leaf(w->run->v, position, &leaf, err));
    w->run->trace->leaves++;
    w->run->trace->scanned += leaf->page.count;
    describe_leaf(w->run, leaf, position, leaf->page.count);
    return hwi_exact_add(w->run, leaf->page.slots, leaf->page.count, err);
}

/* The next leaf's signatures start their way to the cache while this one is worked on. */
static void
prefetch_leaf(const hwi_index_view *v, uint32_t position)
{
    const hwi_leaf_ref *leaf = atomic_load_explicit(&v->leaves[position], memory_order_acquire);

    if (!leaf) return;
    size_t bytes = HWI_MIN(leaf->page.block_count * hwi_leaf_block_bytes(v->model), (size_t)2048);
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(leaf->page.blocks + at);
    for (size_t at = 0; at < v->model->dim * sizeof(float); at += 64)
        __builtin_prefetch((const uint8_t *)leaf->page.centre + at);
}

static bool
is_filtered(const hwi_search_run *run)
{
    return run->accept && (run->accept->may || run->accept->test);
}

/* Whether enough leaves are open when those that were picked are. Without a filter: once there are
 * k. With one, what matches may lie far from the query, in leaves that rank late, and the first k
 * found are then seldom the nearest: leaves are opened until for a good while none has made the
 * k-th best better. Measured on Fashion-MNIST, pictures of one label nearest to one of another:
 * recall .45 without this rule, .95 asked. */
static bool
is_settled(lsh_walk *w, uint32_t picked, uint32_t done)
{
    const hwi_search_run *run = w->run;

    if (run->top.count < run->k) return false;
    if (!is_filtered(run)) return true;
    float bound = hwi_top_bound(&run->top, run->k);
    if (bound < w->bound) w->bound = bound, w->better_at = done;
    return done - w->better_at >= HWI_MAX(picked, done * 2 / 5);
}

/* Opens s->ranked[from .. to), or fewer if that settles it; *done is how far it came before that or
 * before a time budget ended. */
static hw_status
open_leaves(lsh_walk *w, uint32_t from, uint32_t to, bool settle, uint32_t *done, hw_error *err)
{
    hwi_search_run *run = w->run;
    const hwi_top_entry *order = run->s->ranked;
    bool coded = run->v->model->words > 0;

    for (*done = from; *done < to; (*done)++) {
        if (settle && is_settled(w, from, *done)) break;
        if (*done % INTERRUPT_EVERY == 0) {
            HWI_TRY(hwi_search_interrupted(run->trace, err));
            if (run->trace->stop_us && *done > 0 && hwi_clock_us() > run->trace->stop_us) break;
        }
        if (*done + 1 < to) prefetch_leaf(run->v, order[*done + 1].tag);
        HWI_TRY(coded ? open_coded(w, order[*done].tag, err)
                      : open_plain(w, order[*done].tag, err));
    }
    if (w->pending.count) refine(run, &w->q, &w->pending);
    w->pending.count = 0;
    return HW_OK;
}

/* All leaves in order, those already picked first, for going on after them. (Scores alone would not
 * do: of leaves with equal scores, picking may have taken others than sorting puts first.) */
static void
rank_the_rest(hwi_search_run *run, uint32_t picked)
{
    uint32_t count = run->v->tree->leaf_count;

    for (uint32_t i = 0; i < picked; i++) run->s->scores[run->s->ranked[i].tag] = -INFINITY;
    for (uint32_t p = 0; p < count; p++) run->s->ranked[p] = (hwi_top_entry){run->s->scores[p], p};
    qsort(run->s->ranked, count, sizeof *run->s->ranked, by_score);
}

/* Replaces estimates by full-precision distances. */
static hw_status
measure(hwi_search_run *run, hw_error *err)
{
    uint32_t count = run->top.count;
    uint32_t *slots = hwi_alloc((count + 1) * sizeof *slots);
    hwi_accept none = {0};
    const hwi_accept *accept = run->accept;

    if (!slots) return hwi_nomem(err, count * sizeof *slots);
    for (uint32_t i = 0; i < count; i++) slots[i] = run->top.entries[i].tag;
    run->top.count = 0, run->top.worst = INFINITY;
    run->accept = &none; /* all of them were accepted before */
    hw_status st = hwi_exact_add(run, slots, count, err);
    run->accept = accept;
    hwi_free(slots);
    return st;
}

hw_status
hwi_leaves_search(hwi_search_run *run, const hwi_effort *effort, hw_error *err)
{
    hwi_trace *trace = run->trace;
    lsh_walk w = {.run = run, .eps = effort->eps, .bound = INFINITY};
    uint64_t start = hwi_clock_ns(), now;
    uint32_t done, total = run->v->tree->leaf_count;

    prepare(run, &w.q);
    now = hwi_clock_ns(), trace->ns_rotate = now - start, start = now;
    rank(run);
    uint32_t picked = pick_leaves(run, HWI_MAX(effort->leaves, 1u));
    now = hwi_clock_ns(), trace->ns_rank = now - start, start = now;
    HWI_TRY(open_leaves(&w, 0, picked, false, &done, err));
    if (done == picked && picked < total && (is_filtered(run) || run->top.count < run->k)) {
        rank_the_rest(run, picked);
        HWI_TRY(open_leaves(&w, picked, total, true, &done, err));
    }
    trace->leaves_skipped = total - trace->leaves;
    now = hwi_clock_ns(), trace->ns_scan = now - start, start = now;
    if (run->v->model->words) HWI_TRY(measure(run, err));
    trace->ns_exact = hwi_clock_ns() - start;
    trace->recall = effort->recall;
    if (done < picked) trace->recall *= (double)done / picked;
    return HW_OK;
}

hw_status
hwi_leaves_observe(hwi_search_run *run, float eps, const uint32_t *at, uint32_t count,
                   hwi_checkpoint_fn fn, void *arg, hw_error *err)
{
    lsh_walk w = {.run = run, .eps = eps};
    uint32_t done = 0;

    prepare(run, &w.q);
    rank(run);
    rank_the_rest(run, 0);
    for (uint32_t i = 0; i < count; i++) {
        HWI_TRY(open_leaves(&w, done, at[i], false, &done, err));
        fn(arg, run, i);
    }
    return HW_OK;
}
