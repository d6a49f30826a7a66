/* lsh_search.c - the approximate search: rank leaves, scan signatures, refine survivors, measure
 * the few that remain.
 *
 *     query --rotate--> y --hash, quantise--> table         (once)
 *        rank all anchors by <y, anchor>; leaves are opened nearest first
 *        first leaf:   refine the most promising rows, until a k-th best is known
 *        each further: scan its signatures for rows whose lower bound beats the k-th best;
 *                      refine them one leaf later, when their codes have come to the cache
 *        exact distances for the best k + effort->extra
 *
 * The lower bound of a row is its estimated distance less eps typical errors (docs/concepts.md): eps
 * trades recall for survivors, and is calibrated together with the reach, which says when to stop.
 * Leaves are put in order a strip at a time, as few or many as the query turns out to need. With a
 * filter leaves count by the matching rows in them (lsh_filter.h), so that a search for what lies far
 * away does not give up on the way there.
 *
 * Kind kdtree and metric l1 have no signatures: rows of the leaves are measured exactly as they come. So
 * are all rows of opened leaves where the calibration found that codes do not tell near rows apart, which an
 * eps of infinity stands for.
 */
#include <math.h>

#include "index/lsh/lsh_filter.h"
#include "index/lsh/lsh_lineup.h"
#include "index/lsh/lsh_probe.h"
#include "index/index_calibrate.h"
#include "index/search_impl.h"

#define FIRST_LEAST 16u     /* rows refined before there is a threshold, at least */
#define USELESS 0.25f       /* what a leaf without a match counts where payloads are tested */
#define EVEN_SHARE 0.6f     /* of leaves passed, that matches would fill: they lie as by chance */
#define SETTLED_SHARE 0.25f /* else: of leaves passed, without a better k-th best */
#define INTERRUPT_EVERY 16u /* leaves between looks at the clock */
#define REFINE_BATCH 32u
#define NEAR 0.06f /* of the squares of query and centre: what is less is measured in floats */
/* Where a leaf is nearer than this many squares of the bytes' step a component, their rounding is more
 * than half of what refine codes are off by: .024 of the query's square, usually. */
#define TIGHT 32.0f
#define ROUNDING 0.144f /* typical, of half a table's step: sqrt(1/12) / 2 */
#define PREFETCH_BYTES 512u
#define WANT_MOST 256u /* leaves asked for at once */

/* The query in the forms that scanning and refining need. */
typedef struct lsh_query {
    float scan_scale, scan_bias;
    float code_scale;
    int32_t code_sum;  /* of the query's bytes */
    int32_t code_zero; /* what a code of nothing but zeros gives */
    float length;      /* |framed query| */
    float tight;       /* squared distance below which roundings are large beside it */
    float rest_scale;  /* of the bytes that what was rounded away takes; 0: not made yet */
    int32_t rest_zero;
} lsh_query;

/* Survivors of a leaf on their way to be refined. */
typedef struct batch {
    const hwi_leaf_ref *leaf;
    float d;       /* distance term of the leaf */
    bool tight;    /* below q->tight */
    uint32_t *row; /* in the leaf */
    float *bound;
    size_t count;
} batch;

static void
prepare(hwi_search_run *run, lsh_query *q)
{
    const hwi_model *m = run->v->model;
    hwi_scratch *s = run->s;
    float length_sq;

    hwi_model_frame(m, m->metric == HWI_COSINE ? s->prepared : run->query, 1, s->framed);
    q->code_sum = hwi_quantize_i8(s->framed, m->dim, hwi_leaf_code_dims(m), s->q8, &q->code_scale);
    hwi_model_axes_fast(m, s->framed, s->q8, q->code_scale, s->bytes, s->y);
    m->kernels->dot_rows(s->framed, s->framed, 0, 1, m->dim, &length_sq);
    q->length = sqrtf(length_sq);
    if (m->words == 0 && m->kind != HWI_LSH) return;
    hwi_model_hash(m, s->y, s->z);
    int32_t sum = hwi_quantize_scan(s->z, m->bits, s->planes, &q->scan_scale);
    q->scan_bias = -0.5f * (float)sum * q->scan_scale;
    q->code_zero = hwi_leaf_code_zero(m) * q->code_sum;
    q->tight = m->metric == HWI_DOT ? 0 : TIGHT * q->code_scale * q->code_scale * (float)m->dim;
}

/* What bytes round away becomes bytes as well, once for all tight leaves: codes then meet a query of
 * sixteen bits. */
static void
prepare_rest(const hwi_search_run *run, lsh_query *q)
{
    const hwi_model *m = run->v->model;
    hwi_scratch *s = run->s;

    for (uint32_t j = 0; j < m->dim; j++)
        s->rest[j] = s->framed[j] - q->code_scale * (float)s->q8[j];
    int32_t sum = hwi_quantize_i8(s->rest, m->dim, hwi_leaf_code_dims(m), s->rest8, &q->rest_scale);
    q->rest_zero = hwi_leaf_code_zero(m) * sum;
}

/* ---- ranking ---- */

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
    int32_t dot[REFINE_BATCH], rest[REFINE_BATCH];
    void (*dot_codes)(const int8_t *, const uint8_t *const *, size_t, size_t, int32_t *) =
        m->code_bits == 4 ? m->kernels->dot_nibbles : m->kernels->dot_codes;

    for (size_t at = 0; at < b->count;) {
        size_t n = 0;
        float threshold = hwi_top_bound(&run->top, run->k);
        for (; at < b->count && n < REFINE_BATCH; at++) {
            if (b->bound[at] + b->d > threshold) continue;
            rows[n] = hwi_leaf_ref_row(run->v, b->leaf, b->row[at]), kept[n++] = b->row[at];
        }
        dot_codes(run->s->q8, rows, n, code_bytes, dot);
        if (b->tight) dot_codes(run->s->rest8, rows, n, code_bytes, rest);
        run->trace->refined += n;
        for (size_t i = 0; i < n; i++) {
            float ra = hwi_get_f32(rows[i] + code_bytes),
                  rs = hwi_get_f32(rows[i] + code_bytes + 4);
            float e = ra + b->d - rs * q->code_scale * (float)(dot[i] - q->code_zero);
            if (b->tight) e -= rs * q->rest_scale * (float)(rest[i] - q->rest_zero);
            bool open = run->accept && run->accept->test; /* only a test tells */
            if (!open) run->accepted++;
            if (!(e < run->top.worst)) continue;
            uint32_t slot = b->leaf->page.slots[kept[i]];
            if (!hwi_accepted(run->accept, slot)) {
                run->trace->filtered_out++;
                continue;
            }
            if (open) run->accepted++;
            hwi_top_add(&run->top, e, slot);
        }
    }
}

/* ---- scanning ---- */

/* The distance term of a leaf. Bytes of query and centre tell it well enough, but where the two are
 * so near that what is left is within their roundings. Floats would be four times the memory, of 784
 * dimensions more than half of what a leaf's signatures take. */
static float
leaf_distance(const hwi_search_run *run, const lsh_query *q, const hwi_leaf_ref *leaf)
{
    const hwi_model *m = run->v->model;
    int32_t dot;
    float d;

    m->kernels->dot_codes(run->s->q8, &leaf->centre8, 1, hwi_leaf_code_dims(m), &dot);
    float ip = q->code_scale * leaf->centre_scale * (float)(dot - 128 * q->code_sum);
    if (m->metric == HWI_DOT) return -ip;
    float apart = q->length * q->length + leaf->centre_sq;
    d = apart - 2 * ip;
    if (!(d > NEAR * apart))
        m->kernels->l2sq_rows(run->s->framed, leaf->page.centre, 0, 1, m->dim, &d);
    return d;
}

static size_t
scan_leaf(hwi_search_run *run, const lsh_query *q, const hwi_leaf_filter *filter,
          const hwi_leaf_rows *rows, float eps, float threshold, batch *b)
{
    const hwi_model *m = run->v->model;
    float query_part = m->metric == HWI_DOT ? q->length : sqrtf(HWI_MAX(b->d, 0.0f));
    float width = eps * m->kap * query_part;

    if (b->tight) width += eps * ROUNDING * q->scan_scale * sqrtf((float)m->bits);
    run->trace->scanned += hwi_leaf_rows_scanned(rows);
    b->count = m->kernels->scan(rows->blocks, rows->block_count, m->words, run->s->planes,
                                q->scan_scale, q->scan_bias + width,
                                HWI_MIN(threshold - b->d, 1e29f), 0, b->row, b->bound);
    run->trace->survivors += b->count;
    size_t kept = hwi_leaf_filter_keep(filter, rows, b->row, b->bound, b->count);
    run->trace->filtered_out += b->count - kept;
    b->count = kept; /* before the codes of others are sent for */
    return kept;
}

/* Refines those of a first leaf's rows whose bound lies above `done` and up to `cut`. */
static void
refine_between(hwi_search_run *run, const lsh_query *q, const batch *b, float done, float cut)
{
    uint32_t row[HWI_LEAF_ROWS_MAX + 32];
    float bound[HWI_LEAF_ROWS_MAX + 32];
    batch part = {.leaf = b->leaf, .d = b->d, .tight = b->tight, .row = row, .bound = bound};
    size_t n = run->v->model->kernels->select_le(b->bound, b->count, cut, row, bound);

    for (size_t i = 0; i < n; i++) {
        row[part.count] = b->row[row[i]], bound[part.count] = bound[i];
        part.count += bound[i] > done;
    }
    prefetch_rows(run->v, &part);
    refine(run, q, &part);
}

/* While fewer than k are known there is no threshold: refine the rows that look best, then those
 * they do not rule out. */
static void
open_first(hwi_search_run *run, const lsh_query *q, const hwi_leaf_filter *filter,
           const hwi_leaf_rows *rows, float eps, batch *b)
{
    size_t best = HWI_MAX(2 * (size_t)run->k, (size_t)FIRST_LEAST);
    size_t n = scan_leaf(run, q, filter, rows, eps, INFINITY, b);
    float cut = best < n ? run->v->model->kernels->cut(b->bound, n, best) : INFINITY;

    refine_between(run, q, b, -INFINITY, cut);
    if (best < n) refine_between(run, q, b, cut, hwi_top_bound(&run->top, run->k) - b->d);
    b->count = 0;
}

/* ---- the loop over leaves ---- */

typedef struct lsh_walk {
    hwi_search_run *run;
    lsh_query q;
    float eps;
    hwi_lineup *line;
    batch pending;    /* survivors of the leaf before */
    uint32_t parity;  /* which half of the scratch the next survivors use */
    uint32_t done;    /* leaves opened */
    uint32_t most;    /* of them */
    uint32_t usual;   /* of them: what the calibration says of an average query */
    uint32_t wanted;  /* leaves in order up to here were asked for */
    bool by_reach;    /* else leaves are counted */
    bool out_of_time; /* a time budget ended */
    hwi_leaf_filter filter;
    double work;        /* of the leaves opened */
    float useful;       /* with a test: leaves opened, those without a match counted in part */
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
    batch b = {0};
    hwi_leaf_rows own;
    const hwi_leaf_rows *rows;

    HWI_TRY(hwi_leaf_filter_open(&w->filter, run->v, position, &own, &rows, err));
    run->trace->leaves++;
    w->work += rows == &own ? HWI_LEAF_COST : HWI_KEPT_LEAF_COST;
    hwi_leaf_filter_pass(&w->filter, rows->count);
    b.leaf = rows->leaf;
    if (rows->count == 0) {
        describe_leaf(run, b.leaf, position, 0);
        return HW_OK;
    }
    w->work += HWI_FILTERED_ROW_COST * hwi_leaf_rows_scanned(rows);
    size_t half = (size_t)(w->parity++ & 1) * (HWI_LEAF_ROWS_MAX + 32);
    b.row = run->s->row + half, b.bound = run->s->bound + half;
    b.d = leaf_distance(run, &w->q, b.leaf);
    b.tight = b.d < w->q.tight;
    if (b.tight && w->q.rest_scale == 0) prepare_rest(run, &w->q);
    if (run->top.count < run->k) {
        open_first(run, &w->q, &w->filter, rows, w->eps, &b);
        describe_leaf(run, b.leaf, position, b.leaf->page.count);
        return HW_OK;
    }
    scan_leaf(run, &w->q, &w->filter, rows, w->eps, hwi_top_bound(&run->top, run->k), &b);
    describe_leaf(run, b.leaf, position, b.count);
    prefetch_rows(run->v, &b);
    if (w->pending.count) refine(run, &w->q, &w->pending);
    w->pending = b;
    return HW_OK;
}

/* Measures all rows of a leaf. */
static hw_status
open_plain(lsh_walk *w, uint32_t position, hw_error *err)
{
    hwi_index_view *v = w->run->v;
    const hwi_leaf_ref *leaf;
    hwi_leaf_rows own;
    const hwi_leaf_rows *rows;

    HWI_TRY(hwi_view_leaf(v, position, &leaf, err));
    if (v->model->words) {
        HWI_TRY(hwi_leaf_filter_open(&w->filter, v, position, &own, &rows, err));
        hwi_leaf_filter_pass(&w->filter, rows->count);
    }
    w->run->trace->leaves++;
    w->run->trace->scanned += leaf->page.count;
    w->work += HWI_LEAF_COST + HWI_FILTERED_ROW_COST * leaf->page.count;
    describe_leaf(w->run, leaf, position, leaf->page.count);
    return hwi_exact_add(w->run, leaf->page.slots, leaf->page.count, err);
}

static inline void
prefetch(const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch((const uint8_t *)from + at);
}

/* The next leaf's signatures and its centre start their way to the cache while this one is worked on:
 * the first few lines, which set the processor's own fetching ahead going. Asking for 2 kB of
 * signatures filled its queue and made searches of a million vectors 9 % slower. */
static void
prefetch_leaf(const hwi_leaf_filter *f, const hwi_index_view *v, uint32_t position)
{
    const hwi_leaf_rows *kept = hwi_leaf_filter_kept(f, position);
    const hwi_leaf_ref *leaf =
        kept ? kept->leaf : atomic_load_explicit(&v->leaves[position], memory_order_acquire);

    if (!leaf || (kept && kept->count == 0) || v->model->words == 0) return;
    uint32_t count = kept ? kept->block_count : leaf->page.block_count;
    size_t bytes = count * hwi_leaf_block_bytes(v->model);
    prefetch(kept ? kept->blocks : leaf->page.blocks, HWI_MIN(bytes, (size_t)PREFETCH_BYTES));
    prefetch(leaf->centre8, HWI_MIN(v->model->dim, PREFETCH_BYTES));
}

static bool
is_filtered(const hwi_search_run *run)
{
    return run->accept && (run->accept->may || run->accept->test);
}

/* How many leaves lie behind, as the reach counts them. Behind a filter that indexes decide the search
 * is one among the matching rows, and leaves count by what they hold of these: on the way to what
 * lies far away none pass, and along a border of the matches few (docs/decisions/calibration.md).
 * Where payloads are tested, leaves without a row that passed count in part. */
static float
place_of(const lsh_walk *w)
{
    if (!is_filtered(w->run)) return (float)w->done;
    return w->run->accept->test ? w->useful : hwi_leaf_filter_place(&w->filter, w->done);
}

/* What matches a filter may lie far from the query, in leaves that rank late, and the first k found
 * are then seldom the nearest. Leaves are opened until for a good while none has made the k-th best
 * better: where the reach tells how far, so that it does not end a search that is still finding, else
 * for as many leaves as an average query opens. Where matches lie as by chance the reach alone is right,
 * if it is none for more neighbours than calibration looked at: they may lie in other clusters.
 * Measured on Fashion-MNIST, recall .95 asked: one half of a cut through all pictures, asked for from the
 * other half, .86 without this rule and .97 with; pictures of one label nearest to one of another without
 * a reach .45 and .95. */
static bool
is_settled(lsh_walk *w, float place)
{
    float bound = hwi_top_bound(&w->run->top, w->run->k);

    if (bound < w->bound) w->bound = bound, w->better_at = w->done;
    if (w->by_reach && !w->run->accept->test)
        return (w->run->measured && place > EVEN_SHARE * (float)w->done) ||
               (float)(w->done + 1 - w->better_at) >= SETTLED_SHARE * (float)w->done;
    uint32_t patience = HWI_MAX(w->usual, w->done * 2 / 5);
    return w->done >= w->usual && w->done - w->better_at >= patience;
}

/* What a leaf in order takes of the reach, at this place. */
static float
reach_at(const lsh_walk *w, uint32_t at, float place)
{
    float d = w->line->s->ranked[at].distance;
    float kth = HWI_MAX(hwi_top_bound(&w->run->top, w->run->k), 1e-6f * d);
    float ratio = d / kth;

    return d > 0 ? (place + 1) * ratio * ratio * ratio : 0;
}

/* The reach it takes to open the next leaf; never falls as leaves are opened, but for a filter. */
static float
reach_of_next(lsh_walk *w)
{
    const hwi_search_run *run = w->run;

    if (run->top.count < run->k) return 0;
    bool filtered = is_filtered(run);
    float place = place_of(w);
    if (filtered && !is_settled(w, place)) return 0;
    if (!w->by_reach) return filtered ? INFINITY : (float)(w->done + 1);
    return reach_at(w, w->done, place);
}

/* Leaves ahead come to the cache: the next one's signatures, the references of those after it. */
static void
prefetch_ahead(const lsh_walk *w, float reach)
{
    const hwi_index_view *v = w->run->v;
    const hwi_top_entry *next = w->line->s->ranked + w->done + 1;
    uint32_t known = w->line->ordered - w->done - 1;

    if (known > 2) {
        const hwi_leaf_ref *leaf =
            atomic_load_explicit(&v->leaves[next[2].tag], memory_order_acquire);
        __builtin_prefetch(leaf);
        __builtin_prefetch((const uint8_t *)leaf + 64);
    }
    if (known > 4) __builtin_prefetch((const void *)&v->leaves[next[4].tag]);
    if (known > 2 && w->filter.kept)
        __builtin_prefetch(hwi_leaf_filter_kept(&w->filter, next[2].tag));
    if (known == 0) return;
    bool far = w->by_reach && reach_at(w, w->done + 1, place_of(w) + 1) > reach;
    if (!far) prefetch_leaf(&w->filter, v, next[0].tag);
}

/* From a store that is far away leaves come many at a time: at first as many as an average query opens,
 * then strip by strip. */
static void
want_leaves(lsh_walk *w)
{
    if (w->done < w->wanted || !hwi_store_is_far(w->run->v->txn)) return;
    uint32_t more = w->wanted ? HWI_LINEUP_STRIP : HWI_MIN(w->usual, WANT_MOST);
    while (w->line->ordered < w->done + more && hwi_lineup_has(w->line, w->line->ordered)) {
    }
    uint32_t known = w->line->ordered - w->done;
    hwi_view_want_leaves(w->run->v, w->line->s->ranked + w->done, HWI_MIN(more, known));
    w->wanted = w->done + HWI_MAX(more, 1);
}

/* Else all rows of leaves are measured. */
static bool
uses_codes(const hwi_search_run *run, float eps)
{
    return run->v->model->words > 0 && eps < HWI_EPS_MEASURED;
}

/* Opens leaves until the next is out of reach, a time budget ends, or the search gives up. */
static hw_status
open_leaves(lsh_walk *w, float reach, hw_error *err)
{
    hwi_search_run *run = w->run;
    bool coded = uses_codes(run, w->eps);

    for (; w->done < w->most && hwi_lineup_has(w->line, w->done); w->done++) {
        if (reach_of_next(w) > reach) break;
        if (w->done % INTERRUPT_EVERY == 0) {
            HWI_TRY(hwi_stop_check(&run->trace->stop, err));
            w->out_of_time =
                run->trace->stop_us && w->done > 0 && hwi_clock_us() > run->trace->stop_us;
            if (w->out_of_time) break;
        }
        want_leaves(w);
        prefetch_ahead(w, reach);
        run->gave_up = w->work > run->work_most;
        if (run->gave_up) break;
        uint64_t accepted = run->accepted;
        uint32_t position = w->line->s->ranked[w->done].tag;
        HWI_TRY(coded ? open_coded(w, position, err) : open_plain(w, position, err));
        w->useful += run->accepted > accepted ? 1 : USELESS;
    }
    if (w->pending.count) refine(run, &w->q, &w->pending);
    w->pending.count = 0;
    return HW_OK;
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
    run->accept = &none;                              /* all of them were accepted before */
    hwi_page_table_want(run->v->slots, slots, count); /* the answer will want their ids */
    hw_status st = hwi_exact_add(run, slots, count, err);
    run->accept = accept;
    hwi_free(slots);
    return st;
}

bool
hwi_leaves_by_reach(const hwi_model *m)
{
    return m->words > 0 && m->kind == HWI_HYBRID && m->metric != HWI_DOT;
}

static hwi_lineup
all_leaves(const hwi_search_run *run, const lsh_query *q)
{
    const hwi_model *m = run->v->model;
    bool by_distance = m->kind != HWI_LSH && m->metric != HWI_DOT;

    return (hwi_lineup){.s = run->s,
                        .model = m,
                        .tree = run->v->tree,
                        .length_sq = by_distance ? q->length * q->length : 0,
                        .own = UINT32_MAX,
                        .count = run->v->tree->leaf_count};
}

static hw_status
walk_leaves(lsh_walk *w, float reach, hw_error *err)
{
    hwi_search_run *run = w->run;
    hwi_trace *trace = run->trace;
    uint64_t start = hwi_clock_ns(), now;

    prepare(run, &w->q);
    now = hwi_clock_ns(), trace->ns_rotate = now - start, start = now;
    rank(run);
    hwi_lineup line = all_leaves(run, &w->q);
    w->line = &line;
    hwi_lineup_pick(w->line, w->by_reach ? w->usual + w->usual / 4 + 8 : w->usual);
    now = hwi_clock_ns(), trace->ns_rank = now - start, start = now;
    HWI_TRY(open_leaves(w, reach, err));
    trace->leaves_skipped = w->line->count - trace->leaves;
    now = hwi_clock_ns(), trace->ns_scan = now - start, start = now;
    if (uses_codes(run, w->eps) && !run->gave_up) HWI_TRY(measure(run, err));
    trace->ns_exact = hwi_clock_ns() - start;
    return HW_OK;
}

hw_status
hwi_leaves_search(hwi_search_run *run, const hwi_effort *effort, hw_error *err)
{
    hwi_trace *trace = run->trace;
    lsh_walk w = {.run = run,
                  .eps = effort->eps,
                  .most = UINT32_MAX,
                  .usual = HWI_MAX(effort->leaves, 1u),
                  .by_reach = effort->reach > 0,
                  .bound = INFINITY};

    HWI_TRY(hwi_leaf_filter_init(&w.filter, run->accept, run->v->slots_below, err));
    if (run->v->model->words) hwi_leaf_filter_remember(&w.filter, run->accept, run->v);
    hw_status st = walk_leaves(&w, w.by_reach ? effort->reach : (float)w.usual, err);
    hwi_leaf_filter_release(&w.filter);
    trace->recall = effort->recall;
    if (w.out_of_time) trace->recall *= HWI_MIN(1, (double)w.done / (effort->leaves + 1.0));
    return st;
}

/* A stored vector as a query pulled the anchor of its own leaf, its nearest one, towards itself: that
 * leaf ranks earlier than it would for a vector from outside. Its distance is set to that from the
 * mean of the leaf's other rows. */
static hw_status
stand_outside(hwi_search_run *run, hwi_lineup *line, hw_error *err)
{
    const hwi_model *m = run->v->model;
    const hwi_leaf_ref *leaf;
    float *scores = run->s->scores, length_sq;

    if (m->kind == HWI_LSH || m->metric == HWI_DOT || run->v->tree->leaf_count == 0) return HW_OK;
    uint32_t own = hwi_lineup_nearest(line);
    HWI_TRY(hwi_view_leaf(run->v, own, &leaf, err));
    if (leaf->page.count < 2) return HW_OK;
    m->kernels->dot_rows(run->s->y, run->s->y, 0, 1, m->dc, &length_sq);
    float others = (float)leaf->page.count / (float)(leaf->page.count - 1);
    scores[own] = (scores[own] + length_sq) * others * others - length_sq;
    line->own = own, line->own_more = others * others;
    return HW_OK;
}

hw_status
hwi_leaves_observe(hwi_observed *walks, uint32_t count, uint32_t most, const float *at,
                   hwi_checkpoint_fn fn, hw_error *err)
{
    hwi_search_run *first = &walks[0].run;
    lsh_walk w[HWI_OBSERVED_MAX];
    lsh_query q = {0};
    uint32_t points = 0;

    HWI_ASSERT(count > 0 && count <= HWI_OBSERVED_MAX);
    prepare(first, &q);
    rank(first);
    hwi_lineup line = all_leaves(first, &q);
    HWI_TRY(stand_outside(first, &line, err));
    for (uint32_t i = 0; i < count; i++) {
        w[i] = (lsh_walk){.run = &walks[i].run,
                          .q = q,
                          .eps = walks[i].eps,
                          .line = &line,
                          .most = most,
                          .by_reach = hwi_leaves_by_reach(first->v->model),
                          .bound = INFINITY};
        points = HWI_MAX(points, walks[i].points);
    }
    for (uint32_t p = 0; p < points; p++)
        for (uint32_t i = 0; i < count; i++) {
            if (p >= walks[i].points) continue;
            HWI_TRY(open_leaves(&w[i], at[p], err)); /* what is pending is done when it returns */
            fn(walks[i].arg, &walks[i].run, p);
        }
    return HW_OK;
}
