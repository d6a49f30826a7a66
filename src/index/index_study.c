/* index_study.c - walking sampled queries through the leaves.
 *
 * Stored vectors are taken as queries, each left out of its own answer. A query is walked through the
 * leaves, nearest first, once for each k and width of the confidence bound; where a search with a
 * given reach would stop we count how many true neighbours are among the candidates, at four depths.
 * A candidate among the true k nearest is an answer for certain once distances are measured, so
 * counting candidates is counting recall.
 *
 * Long lists of true neighbours are dear, to find and to look for: all samples have ten, half of them a
 * hundred, and where there are many vectors a few a thousand.
 */
#include "index/index_study.h"

#include <math.h>

#include "index/index_truth.h"

#define SAMPLES 1152u
#define SURVEY_EVERY 12u
#define DEEP_EVERY 32u /* one sample in so many looks for the greatest k, */
#define DEEP_SHARE 40u /* which is at most one vector in so many */
#define DEEP_SURVEY 4u /* and one in so many of these surveys */
#define K_MOST 1000u
#define FAR_FACTOR 6.0f /* from one of the last reaches to the next */
#define LEAF_WORK 120.0
#define REFINE_WORK 25.0
#define EXACT_WORK 60.0

const uint32_t hwi_study_ks[HWI_STUDY_KS] = {1, 10, 100, K_MOST};
const float hwi_study_widths[HWI_STUDY_WIDTHS] = {
    0.8f, 1.2f, 1.6f, 2.0f, 2.5f, 3.2f, 4.0f, 5.5f, HWI_EPS_MEASURED};
const uint32_t hwi_study_extras[HWI_STUDY_KS][HWI_STUDY_DEPTHS] = {
    {1, 3, 6, 12}, {3, 6, 12, 30}, {12, 25, 60, 150}, {60, 120, 250, 500}};

/* ---- sampling ---- */

/* Evenly spaced live vectors. */
static hw_status
sample(hwi_study *s, hw_error *err)
{
    hwi_index_view *v = s->v;
    const hwi_space *space = &v->ix->space;
    uint32_t wanted = s->samples, taken = 0;
    double stride = (double)v->slots_below / wanted;

    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t slot = (uint32_t)(i * stride), end = (uint32_t)((i + 1) * stride);
        for (; slot < end; slot++) { /* the first of its stretch that has a vector */
            const uint8_t *row;
            HWI_TRY(hwi_space_row(space, v->vecs, slot, &row, err));
            if (!row || hwi_vec_inv_norm(row, space->dim) == 0) continue;
            s->slot[taken] = slot;
            hwi_space_prepare(space, hwi_vec_row(row), s->prepared + (size_t)taken++ * space->dim);
            break;
        }
    }
    s->samples = taken;
    return HW_OK;
}

/* Reaches to look at: 1, 2, 3 ... then growing by a fifth, up to the leaves that walks open; by more
 * where they are no numbers of leaves and may go far beyond. The last ones take in leaves whose anchors are
 * a thousand times as far as the nearest rows, as in long thin slabs. */
void
hwi_study_set_points(hwi_study *s, uint32_t leaves)
{
    s->by_reach = hwi_leaves_by_reach(s->v->model);
    s->most = leaves, s->points = 0;
    double factor = s->by_reach ? 1.25 : 1.2, most = s->by_reach ? 1e9 : s->most;
    for (double n = 1; s->points < HWI_STUDY_NEAR; n = HWI_MAX(n + 0.5, n * factor)) {
        double at = s->by_reach ? n : floor(n);
        if (s->points && at <= s->at[s->points - 1]) at = s->at[s->points - 1] + 1.0;
        s->at[s->points++] = (float)HWI_MIN(at, most);
        if (at >= most) break;
    }
    s->near = s->points;
    for (; s->by_reach && s->points < HWI_STUDY_POINTS; s->points++)
        s->at[s->points] = s->at[s->points - 1] * FAR_FACTOR;
}

/* ---- walking ---- */

/* The true neighbours of a query by slot, open addressing; rank: their place, the query itself left
 * out; of equally far ones, the first's. */
#define RANKS_LEAST 256u
#define RANKS_MOST 2048u

typedef struct ranks {
    uint32_t places; /* a power of two, half of them free at least */
    uint32_t slot[RANKS_MOST];
    uint16_t rank[RANKS_MOST]; /* NO_RANK: free */
    uint32_t last;             /* the greatest rank, */
    bool is_cut;               /* which others may share that the list has no room for */
} ranks;

#define NO_RANK UINT16_MAX

_Static_assert(K_MOST < NO_RANK && 2 * (K_MOST + 1) < RANKS_MOST,
               "ranks fit, and half of the places are free");

static void
ranks_init(ranks *r, const hwi_top *truth, uint32_t self)
{
    uint16_t place = 0, rank = 0;
    float before = -INFINITY;

    for (r->places = RANKS_LEAST; r->places < 2 * truth->count; r->places *= 2) {
    }
    memset(r->rank, 0xff, r->places * sizeof *r->rank);
    for (uint32_t t = 0; t < truth->count; t++) {
        uint32_t slot = truth->entries[t].tag, at = slot % r->places;
        if (slot == self) continue;
        if (truth->entries[t].distance > before) rank = place;
        before = truth->entries[t].distance;
        while (r->rank[at] != NO_RANK) at = (at + 1) % r->places;
        r->slot[at] = slot, r->rank[at] = rank, place++;
    }
    r->last = rank, r->is_cut = truth->count == truth->capacity && rank + 1u < place;
}

/* Whether it is known which the k nearest are, but for a few of them: of rows that are all equal no list
 * tells. */
static bool
ranks_tell(const ranks *r, uint32_t k)
{
    return !r->is_cut || r->last + k / 20 >= k;
}

static uint32_t
rank_of(const ranks *r, uint32_t slot)
{
    uint32_t mask = r->places - 1, at = slot & mask;

    while (r->rank[at] != NO_RANK && r->slot[at] != slot) at = (at + 1) & mask;
    return r->rank[at];
}

typedef struct walk {
    const ranks *truth;
    hwi_study_cell *cells; /* by point */
    uint32_t which_k;
    uint64_t leaves; /* opened when found was counted */
    uint32_t found[HWI_STUDY_DEPTHS];
} walk;

/* Counts true neighbours among the k + extra best candidates, unless no leaf was opened since. */
static void
count_found(void *arg, const hwi_search_run *run, uint32_t point)
{
    walk *w = arg;
    const hwi_trace *trace = run->trace;
    hwi_study_cell *c = w->cells + point;
    float bound[HWI_STUDY_DEPTHS];

    if (point == 0 || trace->leaves > w->leaves) {
        uint32_t d, found = 0;
        for (d = 0; d < HWI_STUDY_DEPTHS; d++) /* whoever is not farther is among that many */
            bound[d] = hwi_top_bound(&run->top, run->k + hwi_study_extras[w->which_k][d]);
        d = 0;
        for (uint32_t i = 0; i < run->top.count; i++) { /* they are sorted */
            const hwi_top_entry *e = &run->top.entries[i];
            while (d < HWI_STUDY_DEPTHS && e->distance > bound[d]) w->found[d++] = found;
            if (found < hwi_study_ks[w->which_k]) /* of equally far ones there may be more */
                found += rank_of(w->truth, e->tag) < hwi_study_ks[w->which_k];
        }
        while (d < HWI_STUDY_DEPTHS) w->found[d++] = found;
        w->leaves = trace->leaves;
    }
    for (uint32_t d = 0; d < HWI_STUDY_DEPTHS; d++) c->found[d] += w->found[d];
    c->work += LEAF_WORK * (double)trace->leaves + (double)trace->scanned +
               REFINE_WORK * (double)trace->refined + EXACT_WORK * (double)trace->exact;
    c->leaves += trace->leaves, c->queries++;
}

#define WALKS (HWI_STUDY_KS * HWI_STUDY_WIDTHS)
_Static_assert(WALKS <= HWI_OBSERVED_MAX, "all widths are walked at once");

typedef struct query_walks {
    ranks truth;
    walk walks[WALKS];
    hwi_observed observed[WALKS];
    hwi_trace traces[WALKS];
    hwi_top_entry *entries; /* memory of their lists, */
    size_t taken;           /* so far */
    uint32_t count;
} query_walks;

/* Candidates kept for a k: as many as the deepest setting takes, in a sorted list, so that the k-th best is
 * known whatever the depth. */
static uint32_t
candidates(uint32_t which_k)
{
    return hwi_study_ks[which_k] + 1 + hwi_study_extras[which_k][HWI_STUDY_DEPTHS - 1];
}

/* Whether the query has a walk with the i-th pair of k and width in the round under way. */
static bool
is_walked(const hwi_study *s, uint32_t query, uint32_t i)
{
    uint32_t which_k = i / HWI_STUDY_WIDTHS, every = s->every[which_k];

    if (s->walked[which_k][i % HWI_STUDY_WIDTHS] == 0 || every == 0) return false;
    bool surveys = query % s->survey_every[which_k] == 0;
    return s->survey ? surveys : !surveys && query % every == 0;
}

/* The walk with the i-th pair of k and width, which goes some points far. */
static void
add_walk(query_walks *q, hwi_study *s, uint32_t i, const float *query, hwi_scratch *scratch,
         hwi_study_cell *cells)
{
    uint32_t at = q->count++, which_k = i / HWI_STUDY_WIDTHS;
    hwi_observed *o = &q->observed[at];

    q->walks[at] =
        (walk){.truth = &q->truth, .cells = cells + i * HWI_STUDY_POINTS, .which_k = which_k};
    *o = (hwi_observed){.run = {.v = s->v,
                                .work_most = INFINITY,
                                .query = query,
                                .k = hwi_study_ks[which_k] + 1,
                                .max_distance = INFINITY,
                                .trace = &q->traces[at],
                                .s = scratch},
                        .eps = hwi_study_widths[i % HWI_STUDY_WIDTHS],
                        .points = s->walked[which_k][i % HWI_STUDY_WIDTHS],
                        .arg = &q->walks[at]};
    hwi_top_init(&o->run.top, q->entries + q->taken, candidates(which_k));
    q->taken += candidates(which_k);
}

static hw_status
walk_query(hwi_study *s, uint32_t query, hwi_study_cell *cells, hw_error *err)
{
    hwi_index_view *v = s->v;
    const uint8_t *row;
    size_t room = 0;

    for (uint32_t i = 0; i < WALKS; i++)
        room += is_walked(s, query, i) ? candidates(i / HWI_STUDY_WIDTHS) : 0;
    if (room == 0) return HW_OK;
    HWI_TRY(hwi_space_row(&v->ix->space, v->vecs, s->slot[query], &row, err));
    query_walks *q = hwi_alloc_zero(sizeof *q);
    hwi_scratch *scratch = hwi_scratch_take(v->ix, v->model, v->tree);
    if (q) q->entries = hwi_alloc(room * sizeof *q->entries);
    hw_status st = q && q->entries && scratch ? HW_OK : hwi_nomem(err, sizeof *q);
    if (st == HW_OK) {
        ranks_init(&q->truth, &s->truth[query], s->slot[query]);
        hwi_space_prepare(&v->ix->space, hwi_vec_row(row), scratch->prepared);
        for (uint32_t i = 0; i < WALKS; i++)
            if (is_walked(s, query, i) && ranks_tell(&q->truth, hwi_study_ks[i / HWI_STUDY_WIDTHS]))
                add_walk(q, s, i, hwi_vec_row(row), scratch, cells);
        if (q->count)
            st = hwi_leaves_observe(q->observed, q->count, s->most, s->at, count_found, err);
    }
    hwi_scratch_give(v->ix, scratch);
    if (q) hwi_free(q->entries);
    hwi_free(q);
    return st;
}

#define WALK_GROUP 32u
#define TABLE ((size_t)HWI_STUDY_KS * HWI_STUDY_WIDTHS * HWI_STUDY_POINTS) /* cells of a group */

static void
walk_group(void *arg, size_t group)
{
    hwi_study *s = arg;
    hwi_study_cell *cells = s->cells + group * TABLE;
    uint32_t first = (uint32_t)group * WALK_GROUP;

    s->status[group] = HW_OK;
    for (uint32_t q = first; q < s->samples && q < first + WALK_GROUP; q++) {
        if (s->status[group] == HW_OK) s->status[group] = walk_query(s, q, cells, NULL);
    }
}

/* ---- all together ---- */

/* True neighbours of a sample, itself included. */
static uint32_t
truth_of(const hwi_study *s, uint32_t query)
{
    uint32_t k = HWI_STUDY_KS - 1;

    while (k > 0 && (s->every[k] == 0 || query % s->every[k] != 0)) k--;
    return 1 + hwi_study_ks[k];
}

static hw_status
take_memory(hwi_study *s, hw_error *err)
{
    uint32_t n = s->samples, dim = s->v->ix->space.dim;
    size_t groups = (n + WALK_GROUP - 1) / WALK_GROUP, truths = 1;

    for (uint32_t q = 0; q < n; q++) truths += truth_of(s, q);
    s->slot = hwi_alloc((n + 1) * sizeof *s->slot);
    s->truth = hwi_alloc((n + 1) * sizeof *s->truth);
    s->entries = hwi_alloc(truths * sizeof *s->entries);
    s->prepared = hwi_alloc_aligned(hwi_size_mul(n + 1, dim * sizeof *s->prepared));
    s->cells = hwi_alloc_zero((groups + 1) * TABLE * sizeof *s->cells);
    s->status = hwi_alloc_zero((n + 1) * sizeof *s->status);
    if (!s->slot || !s->truth || !s->entries || !s->prepared || !s->cells || !s->status)
        return hwi_nomem(err, hwi_size_mul(n, dim * sizeof *s->prepared));
    hwi_top_entry *entries = s->entries;
    for (uint32_t q = 0; q < n; q++) {
        hwi_top_init(&s->truth[q], entries, truth_of(s, q));
        entries += truth_of(s, q);
    }
    return HW_OK;
}

hw_status
hwi_study_init(hwi_study *s, hwi_index_view *v, uint32_t threads, hw_error *err)
{
    uint32_t deep = v->state.vectors >= (uint64_t)DEEP_SHARE * K_MOST ? DEEP_EVERY : 0;

    *s = (hwi_study){
        .v = v,
        .samples = (uint32_t)HWI_MIN((uint64_t)SAMPLES, v->state.vectors),
        .every = {1, 1, 2, deep}, /* a hundred neighbours tell more than ten */
        .survey_every = {SURVEY_EVERY, SURVEY_EVERY, SURVEY_EVERY, DEEP_SURVEY * DEEP_EVERY}};
    HWI_TRY(take_memory(s, err));
    HWI_TRY(sample(s, err));
    return hwi_true_nearest(v, s->prepared, s->samples, s->truth, threads, err);
}

void
hwi_study_release(hwi_study *s)
{
    hwi_free(s->slot);
    hwi_free(s->truth);
    hwi_free(s->entries);
    hwi_free(s->prepared);
    hwi_free(s->cells);
    hwi_free(s->status);
}

/* Walks the queries of a round and adds the groups' tables up, in order, into the first. */
hw_status
hwi_study_walk(hwi_study *s, bool survey, uint32_t threads, hw_error *err)
{
    size_t groups = (s->samples + WALK_GROUP - 1) / WALK_GROUP;

    s->survey = survey;
    hwi_parallel_for(threads, groups, walk_group, s);
    for (size_t g = 0; g < groups; g++) {
        if (s->status[g] != HW_OK)
            return hwi_fail(err, s->status[g], "walking leaves for calibration: %s",
                            hw_status_text(s->status[g]));
        for (size_t i = 0; g > 0 && i < TABLE; i++) {
            hwi_study_cell *from = s->cells + g * TABLE + i, *to = s->cells + i;
            for (uint32_t d = 0; d < HWI_STUDY_DEPTHS; d++) to->found[d] += from->found[d];
            to->work += from->work, to->leaves += from->leaves, to->queries += from->queries;
            *from = (hwi_study_cell){0};
        }
    }
    return HW_OK;
}
