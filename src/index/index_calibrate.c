/* index_calibrate.c - measuring which effort reaches which recall, on the collection's own vectors.
 *
 * Stored vectors are taken as queries (each left out of its own answer) and their true neighbours
 * found by reading everything once. Then a query is walked through the leaves, nearest first, once
 * for each width eps of the confidence bound; where a search with a given reach would stop we look
 * how many true neighbours are among the candidates. That gives recall and work for a whole grid of
 * settings from a handful of walks. Of these the cheapest for each step of recall are kept.
 *
 * Recall to a few thousandths takes a thousand queries: the share found varies by .1 to .2 from query
 * to query. Walking all of them to the end of the grid would cost more than the rest of a build, so
 * it is done in rounds: a few queries survey the whole grid, and the rest walk only the widths and as
 * far as the survey found worth having. The survey ends at a third of the leaves; only where recall was
 * still rising there, and short of what may be asked for, a few widths go on to the last leaf. Without
 * this a search asked for .95 opened every leaf and refined a quarter of the rows, if a third of the
 * leaves gave .94.
 *
 * A candidate among the true k nearest is an answer for certain once distances are measured, so
 * counting candidates is counting recall. Work is in units of one scanned signature; the weights
 * are rough timings (bench/), they only choose between settings of nearly equal worth.
 */
#include <math.h>
#include <stdlib.h>

#include "index/index_calibrate.h"
#include "index/index_truth.h"

#define SAMPLES 1152u
#define SURVEY_EVERY 12u /* one sample in so many surveys the whole grid */
#define FOCUS_LEAST 0.84 /* steps of recall that the second round is for */
#define FOCUS_MOST 0.996
#define REACHED 0.99           /* where a third of the leaves gives this the survey ends there */
#define NEXT_TO_NOTHING 0.002f /* of recall: a width may lose it, farther walks must gain it */
#define NO_WIDTH UINT32_MAX
#define NARROWER 1u /* widths below the widest that a survey goes on with */
#define K_COUNT 3u
#define TRUTH_K 100u
#define POINTS_MAX 48u /* reaches looked at */
#define DEPTHS 4u
#define EXTRA_MOST 150u
#define MARGIN 0.001 /* sampled recall must exceed what it is listed for, at least */
#define LEAF_WORK 120.0
#define REFINE_WORK 25.0
#define EXACT_WORK 60.0

static const uint32_t ks[K_COUNT] = {1, 10, 100};
static const uint32_t every[K_COUNT] = {1, 1, 2}; /* a hundred neighbours tell more than ten */
static const float epses[] = {0.8f, 1.2f, 1.6f, 2.0f, 2.5f, 3.2f, 4.0f, 5.5f};
#define EPSES ((uint32_t)(sizeof epses / sizeof epses[0]))
static const uint32_t extras[K_COUNT][DEPTHS] = {{1, 3, 6, 12}, {3, 6, 12, 30}, {12, 25, 60, 150}};
static const float steps[] = {0.50f, 0.60f, 0.70f, 0.75f, 0.80f, 0.85f,  0.875f, 0.90f,  0.92f,
                              0.94f, 0.95f, 0.96f, 0.97f, 0.98f, 0.985f, 0.99f,  0.995f, 0.999f};

/* Found and work, summed over queries, for one setting. */
typedef struct cell {
    uint64_t found[DEPTHS];
    double work;
    uint64_t leaves;
    uint32_t queries; /* that were walked this far */
} cell;

typedef struct study {
    hwi_index_view *v;
    uint32_t samples;
    uint32_t *slot;         /* of each sampled query */
    hwi_top *truth;         /* TRUTH_K + 1 nearest of each, the query included */
    hwi_top_entry *entries; /* their memory */
    float *prepared;        /* samples x dim */
    float at[POINTS_MAX];   /* reaches */
    uint32_t points, most;  /* most: leaves that a walk opens */
    bool by_reach;
    uint32_t walked[K_COUNT][EPSES]; /* points that the round under way walks */
    bool survey;                     /* the first round */
    hwi_effort thorough[K_COUNT];    /* the setting with the highest recall in the survey */
    uint32_t width[K_COUNT];         /* the widest that goes on to the last leaf, or NO_WIDTH */
    cell *cells; /* [k][eps][point] summed; one such table a group of queries, then added up */
    hw_status *status;
    hwi_progress *progress;
} study;

/* ---- sampling ---- */

/* Evenly spaced live vectors. */
static hw_status
sample(study *s, hw_error *err)
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
 * where they are no numbers of leaves and may go far beyond. */
static void
choose_points(study *s, uint32_t leaves)
{
    s->by_reach = hwi_leaves_by_reach(s->v->model);
    s->most = leaves, s->points = 0;
    double factor = s->by_reach ? 1.25 : 1.2, most = s->by_reach ? 1e9 : s->most;
    for (double n = 1; s->points < POINTS_MAX; n = HWI_MAX(n + 0.5, n * factor)) {
        double at = s->by_reach ? n : floor(n);
        if (s->points && at <= s->at[s->points - 1]) at = s->at[s->points - 1] + 1.0;
        s->at[s->points++] = (float)HWI_MIN(at, most);
        if (at >= most) break;
    }
}

/* ---- walking ---- */

/* The true neighbours of a query by slot, open addressing; rank: their place, the query itself left
 * out. */
#define RANKS 256u

typedef struct ranks {
    uint32_t slot[RANKS];
    uint8_t rank[RANKS]; /* NO_RANK: free */
} ranks;

#define NO_RANK 255u

_Static_assert(TRUTH_K < NO_RANK && 2 * TRUTH_K < RANKS,
               "ranks fit, and half of the places are free");

static void
ranks_init(ranks *r, const hwi_top *truth, uint32_t self)
{
    uint8_t rank = 0;

    memset(r->rank, NO_RANK, sizeof r->rank);
    for (uint32_t t = 0; t < truth->count; t++) {
        uint32_t slot = truth->entries[t].tag, at = slot % RANKS;
        if (slot == self) continue;
        while (r->rank[at] != NO_RANK) at = (at + 1) % RANKS;
        r->slot[at] = slot, r->rank[at] = rank++;
    }
}

static uint32_t
rank_of(const ranks *r, uint32_t slot)
{
    uint32_t at = slot % RANKS;

    while (r->rank[at] != NO_RANK && r->slot[at] != slot) at = (at + 1) % RANKS;
    return r->rank[at];
}

#define CANDIDATES (TRUTH_K + 1 + EXTRA_MOST)

_Static_assert(CANDIDATES <= HWI_TOP_SORTED, "the k-th best is known whatever the depth");

typedef struct walk {
    const ranks *truth;
    cell *cells; /* by point */
    uint32_t which_k;
    uint64_t leaves; /* opened when found was counted */
    uint32_t found[DEPTHS];
} walk;

/* Counts true neighbours among the k + extra best candidates, unless no leaf was opened since. */
static void
count_found(void *arg, const hwi_search_run *run, uint32_t point)
{
    walk *w = arg;
    const hwi_trace *trace = run->trace;
    cell *c = w->cells + point;
    float bound[DEPTHS];

    if (point == 0 || trace->leaves > w->leaves) {
        for (uint32_t d = 0; d < DEPTHS; d++) /* whoever is not farther is among that many */
            bound[d] = hwi_top_bound(&run->top, run->k + extras[w->which_k][d]);
        memset(w->found, 0, sizeof w->found);
        for (uint32_t i = 0; i < run->top.count; i++) {
            const hwi_top_entry *e = &run->top.entries[i];
            if (rank_of(w->truth, e->tag) >= ks[w->which_k]) continue;
            for (uint32_t d = 0; d < DEPTHS; d++) w->found[d] += e->distance <= bound[d];
        }
        w->leaves = trace->leaves;
    }
    for (uint32_t d = 0; d < DEPTHS; d++) c->found[d] += w->found[d];
    c->work += LEAF_WORK * (double)trace->leaves + (double)trace->scanned +
               REFINE_WORK * (double)trace->refined + EXACT_WORK * (double)trace->exact;
    c->leaves += trace->leaves, c->queries++;
}

#define WALKS (K_COUNT * EPSES)
_Static_assert(WALKS <= HWI_OBSERVED_MAX, "all widths are walked at once");

typedef struct query_walks {
    ranks truth;
    walk walks[WALKS];
    hwi_observed observed[WALKS];
    hwi_trace traces[WALKS];
    hwi_top_entry entries[WALKS][CANDIDATES];
    uint32_t count;
} query_walks;

/* The walk with the i-th pair of k and width, which goes some points far. */
static void
add_walk(query_walks *q, study *s, uint32_t i, const float *query, hwi_scratch *scratch,
         cell *cells)
{
    uint32_t at = q->count++, which_k = i / EPSES;
    hwi_observed *o = &q->observed[at];

    q->walks[at] = (walk){.truth = &q->truth, .cells = cells + i * POINTS_MAX, .which_k = which_k};
    *o = (hwi_observed){.run = {.v = s->v,
                                .work_most = INFINITY,
                                .query = query,
                                .k = ks[which_k] + 1,
                                .max_distance = INFINITY,
                                .trace = &q->traces[at],
                                .s = scratch},
                        .eps = epses[i % EPSES],
                        .points = s->walked[which_k][i % EPSES],
                        .arg = &q->walks[at]};
    hwi_top_init(&o->run.top, q->entries[at], o->run.k + extras[which_k][DEPTHS - 1]);
}

static hw_status
walk_query(study *s, uint32_t query, cell *cells, hw_error *err)
{
    hwi_index_view *v = s->v;
    const uint8_t *row;

    HWI_TRY(hwi_space_row(&v->ix->space, v->vecs, s->slot[query], &row, err));
    query_walks *q = hwi_alloc_zero(sizeof *q);
    hwi_scratch *scratch = hwi_scratch_take(v->ix, v->model, v->tree);
    hw_status st = q && scratch ? HW_OK : hwi_nomem(err, sizeof *q);
    if (st == HW_OK) {
        ranks_init(&q->truth, &s->truth[query], s->slot[query]);
        hwi_space_prepare(&v->ix->space, hwi_vec_row(row), scratch->prepared);
        for (uint32_t i = 0; i < WALKS; i++)
            if (s->walked[i / EPSES][i % EPSES] && (s->survey || query % every[i / EPSES] == 0))
                add_walk(q, s, i, hwi_vec_row(row), scratch, cells);
        if (q->count)
            st = hwi_leaves_observe(q->observed, q->count, s->most, s->at, count_found, err);
    }
    hwi_scratch_give(v->ix, scratch);
    hwi_free(q);
    return st;
}

#define WALK_GROUP 32u

static void
walk_group(void *arg, size_t group)
{
    study *s = arg;
    cell *cells = s->cells + group * K_COUNT * EPSES * POINTS_MAX;
    uint32_t first = (uint32_t)group * WALK_GROUP;

    s->status[group] = HW_OK;
    for (uint32_t q = first; q < s->samples && q < first + WALK_GROUP; q++) {
        if ((q % SURVEY_EVERY == 0) != s->survey) continue;
        if (s->status[group] == HW_OK) s->status[group] = walk_query(s, q, cells, NULL);
    }
}

/* ---- choosing ---- */

/* Queries whose walks all the cells in use for one k have in common. */
static uint32_t
most_queries(const study *s, uint32_t which_k)
{
    const cell *c = s->cells + (size_t)which_k * EPSES * POINTS_MAX;
    uint32_t most = 0;

    for (size_t i = 0; i < EPSES * POINTS_MAX; i++) most = HWI_MAX(most, c[i].queries);
    return most;
}

static hwi_effort
effort_of(const study *s, uint32_t which_k, uint32_t e, uint32_t p, uint32_t d)
{
    const cell *c = s->cells + ((size_t)which_k * EPSES + e) * POINTS_MAX + p;
    double leaves = ceil((double)c->leaves / c->queries);

    return (hwi_effort){s->by_reach ? (uint32_t)leaves : (uint32_t)s->at[p], extras[which_k][d],
                        epses[e], (float)((double)c->found[d] / ((double)ks[which_k] * c->queries)),
                        s->by_reach ? s->at[p] : 0};
}

/* By how much sampled recall must exceed what it is listed for. The nearest one alone is found or not:
 * a thousand queries tell its recall to half a hundredth, and the cheapest of many settings is among
 * those that had luck. */
static double
margin_of(uint32_t which_k, double recall, uint32_t queries)
{
    double error = sqrt(recall * (1 - recall) / queries) / ks[which_k];

    return HWI_MIN(HWI_MAX(error, MARGIN), (1 - recall) / 2);
}

/* The cheapest setting that reached a recall, of all for one k that at least so many queries walked;
 * false if none did. */
static bool
cheapest(const study *s, uint32_t which_k, double recall, uint32_t queries, uint32_t *eps,
         uint32_t *point, hwi_effort *out)
{
    double best = INFINITY;
    const cell *cells = s->cells + (size_t)which_k * EPSES * POINTS_MAX;

    for (uint32_t e = 0; e < EPSES; e++)
        for (uint32_t p = 0; p < s->points; p++)
            for (uint32_t d = 0; d < DEPTHS; d++) {
                const cell *c = cells + e * POINTS_MAX + p;
                if (c->queries < HWI_MAX(queries, 1u)) continue;
                hwi_effort effort = effort_of(s, which_k, e, p, d);
                double work =
                    c->work / c->queries + EXACT_WORK * (ks[which_k] + extras[which_k][d]);
                if ((double)effort.recall < recall + margin_of(which_k, recall, c->queries) ||
                    !(work < best))
                    continue;
                best = work, *eps = e, *point = p, *out = effort;
            }
    return best < INFINITY;
}

/* The setting with the highest recall of all for one k. */
static hwi_effort
most_thorough(const study *s, uint32_t which_k)
{
    return effort_of(s, which_k, EPSES - 1, s->points - 1, DEPTHS - 1);
}

/* The narrowest width that, walked to the end, loses next to nothing against the widest, if the second
 * half of its leaves still brought something and recall is short of what may be asked for; else NO_WIDTH. */
static uint32_t
width_to_lengthen(const study *s, uint32_t which_k)
{
    float recall = s->thorough[which_k].recall, at_half;
    uint32_t end = s->points - 1, half = end, e = 0, p;
    const cell *cells = s->cells + (size_t)which_k * EPSES * POINTS_MAX;
    hwi_effort effort;

    if (s->most == s->v->tree->leaf_count || cheapest(s, which_k, REACHED, 0, &e, &p, &effort))
        return NO_WIDTH;
    while (half > 0 && 2 * effort_of(s, which_k, EPSES - 1, half, 0).leaves > s->most) half--;
    at_half = effort_of(s, which_k, EPSES - 1, half, DEPTHS - 1).recall;
    if (recall < at_half + NEXT_TO_NOTHING) return NO_WIDTH;
    for (e = 0; e < EPSES - 1; e++)
        if (cells[e * POINTS_MAX + end].queries > 0 &&
            effort_of(s, which_k, e, end, DEPTHS - 1).recall >= recall - NEXT_TO_NOTHING)
            break;
    return e;
}

/* Settles what the last round walks: the widths that were cheapest for some step of recall and, where
 * walks are not long and widths matter, a width more on both sides; somewhat farther than the survey had
 * to. */
static void
focus(study *s)
{
    bool widths_matter = s->v->model->words > 0;
    hwi_effort effort;

    for (uint32_t k = 0; k < K_COUNT; k++) {
        uint32_t wanted[EPSES] = {0}, more = widths_matter && s->width[k] == NO_WIDTH, e, p;
        for (uint32_t i = 0; i < HWI_COUNT(steps); i++) {
            if (steps[i] < (float)FOCUS_LEAST || steps[i] > (float)FOCUS_MOST ||
                !cheapest(s, k, (double)steps[i], 0, &e, &p, &effort))
                continue;
            uint32_t end = HWI_MIN(p + 4, s->points);
            for (uint32_t w = e ? e - more : 0; w <= e + more && w < EPSES; w++)
                wanted[w] = HWI_MAX(wanted[w], end);
        }
        memcpy(s->walked[k], wanted, sizeof wanted);
    }
}

static void
add_row(hwi_calibration *c, uint32_t k, const hwi_effort *e)
{
    const hwi_calibration_row *last = c->count ? &c->rows[c->count - 1] : NULL;

    HWI_ASSERT(c->rows != NULL);
    if (last && last->k == k && last->effort.recall >= e->recall) return;
    c->rows[c->count++] = (hwi_calibration_row){k, *e};
}

static hw_status
choose(const study *s, hwi_calibration **out, hw_error *err)
{
    hwi_calibration *c;

    HWI_TRY(hwi_calibration_new(K_COUNT * (HWI_COUNT(steps) + 1), &c, err));
    c->vectors = s->v->state.vectors;
    c->leaves = s->v->tree->leaf_count;
    c->samples = s->samples;
    for (uint32_t k = 0; s->samples > 0 && k < K_COUNT; k++) {
        uint32_t all = most_queries(s, k), e, p;
        hwi_effort effort;
        for (uint32_t i = 0; i < HWI_COUNT(steps); i++)
            if (cheapest(s, k, (double)steps[i], all, &e, &p, &effort) ||
                cheapest(s, k, (double)steps[i], 0, &e, &p, &effort))
                add_row(c, ks[k], &effort);
        add_row(c, ks[k], &s->thorough[k]);
    }
    *out = c;
    return HW_OK;
}

/* ---- all together ---- */

static hw_status
study_new(study *s, hw_error *err)
{
    uint32_t n = s->samples;
    size_t groups = (n + WALK_GROUP - 1) / WALK_GROUP, table = K_COUNT * EPSES * POINTS_MAX;

    s->slot = hwi_alloc(n * sizeof *s->slot);
    s->truth = hwi_alloc(n * sizeof *s->truth);
    s->entries = hwi_alloc(n * (TRUTH_K + 1) * sizeof *s->entries);
    s->prepared = hwi_alloc_aligned(hwi_size_mul(n, s->v->ix->space.dim * sizeof *s->prepared));
    s->cells = hwi_alloc_zero(groups * table * sizeof *s->cells);
    s->status = hwi_alloc_zero((n + 1) * sizeof *s->status);
    if (!s->slot || !s->truth || !s->entries || !s->prepared || !s->cells || !s->status)
        return hwi_nomem(err, hwi_size_mul(n, s->v->ix->space.dim * sizeof *s->prepared));
    for (uint32_t q = 0; q < n; q++)
        hwi_top_init(&s->truth[q], s->entries + q * (TRUTH_K + 1), TRUTH_K + 1);
    return HW_OK;
}

static void
study_release(study *s)
{
    hwi_free(s->slot);
    hwi_free(s->truth);
    hwi_free(s->entries);
    hwi_free(s->prepared);
    hwi_free(s->cells);
    hwi_free(s->status);
}

/* Walks the queries of a round and adds the groups' tables up, in order, into the first. */
static hw_status
walk_round(study *s, bool survey, uint32_t threads, hw_error *err)
{
    size_t groups = (s->samples + WALK_GROUP - 1) / WALK_GROUP,
           table = K_COUNT * EPSES * POINTS_MAX;

    s->survey = survey;
    hwi_parallel_for(threads, groups, walk_group, s);
    for (size_t g = 0; g < groups; g++) {
        if (s->status[g] != HW_OK)
            return hwi_fail(err, s->status[g], "walking leaves for calibration: %s",
                            hw_status_text(s->status[g]));
        for (size_t i = 0; g > 0 && i < table; i++) {
            cell *from = s->cells + g * table + i, *to = s->cells + i;
            for (uint32_t d = 0; d < DEPTHS; d++) to->found[d] += from->found[d];
            to->work += from->work, to->leaves += from->leaves, to->queries += from->queries;
            *from = (cell){0};
        }
    }
    return HW_OK;
}

/* Surveys on, to the last leaf, what a third of the leaves was too few for: s->width and some narrower. */
static hw_status
survey_on(study *s, uint32_t threads, hw_error *err)
{
    bool any = false;

    memset(s->walked, 0, sizeof s->walked);
    for (uint32_t k = 0; k < K_COUNT; k++) any = any || s->width[k] != NO_WIDTH;
    if (!any) return HW_OK;
    choose_points(s, s->v->tree->leaf_count);
    for (uint32_t k = 0; k < K_COUNT; k++) {
        if (s->width[k] == NO_WIDTH) continue;
        for (uint32_t e = s->width[k] - HWI_MIN(s->width[k], NARROWER); e <= s->width[k]; e++) {
            if (s->v->model->words) s->walked[k][e] = s->points;
            memset(s->cells + ((size_t)k * EPSES + e) * POINTS_MAX, 0,
                   POINTS_MAX * sizeof *s->cells);
        }
        s->walked[k][s->width[k]] = s->points;
    }
    return walk_round(s, true, threads, err);
}

static hw_status
walk_all(study *s, uint32_t threads, hw_error *err)
{
    uint32_t leaves = s->v->tree->leaf_count;

    choose_points(s, HWI_MIN(leaves, HWI_MAX(64u, leaves / 3)));
    /* without signatures rows are compared exactly whatever eps is: one walk says it all */
    for (uint32_t k = 0; k < K_COUNT; k++)
        for (uint32_t e = s->v->model->words ? 0 : EPSES - 1; e < EPSES; e++)
            s->walked[k][e] = s->points;
    HWI_TRY(walk_round(s, true, threads, err));
    for (uint32_t k = 0; k < K_COUNT; k++) {
        s->thorough[k] = most_thorough(s, k);
        s->width[k] = width_to_lengthen(s, k);
    }
    HWI_TRY(survey_on(s, threads, err));
    focus(s);
    return walk_round(s, false, threads, err);
}

hw_status
hwi_calibrate(hwi_index_view *v, uint32_t threads, hwi_progress *progress, hwi_calibration **out,
              hw_error *err)
{
    uint64_t wanted = HWI_MIN((uint64_t)SAMPLES, v->state.vectors);
    study s = {.v = v, .samples = (uint32_t)wanted, .progress = progress};

    *out = NULL;
    hw_status st = study_new(&s, err);
    if (st == HW_OK) st = sample(&s, err);
    if (st == HW_OK) st = hwi_progress_step(progress, "calibrate", 0, 2, err);
    if (st == HW_OK) st = hwi_true_nearest(v, s.prepared, s.samples, s.truth, threads, err);
    if (st == HW_OK) st = hwi_progress_step(progress, "calibrate", 1, 2, err);
    if (st == HW_OK && s.samples > 0) st = walk_all(&s, threads, err);
    if (st == HW_OK) st = choose(&s, out, err);
    study_release(&s);
    return st;
}
