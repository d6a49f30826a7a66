/* index_calibrate.c - measuring which effort reaches which recall, on the collection's own vectors.
 *
 * Stored vectors are taken as queries (each left out of its own answer) and their true neighbours
 * found by reading everything once. Walks through the leaves tell recall and work for a whole grid of
 * settings (index_study.c). Of these the cheapest for each step of recall are kept.
 *
 * Recall to a few thousandths takes a thousand queries: the share found varies by .1 to .2 from query
 * to query. Walking all of them to the end of the grid would cost more than the rest of a build, so
 * it is done in rounds: a few queries survey the whole grid, and the rest walk only the widths and as
 * far as the survey found worth having. The survey ends at a third of the leaves; only where recall was
 * still rising there, and short of what may be asked for, a few widths go on to the last leaf. Without
 * this a search asked for .95 opened every leaf and refined a quarter of the rows, if a third of the
 * leaves gave .94.
 *
 * For k of 1,000 lists of true neighbours and walks are long, but a thousand neighbours tell more: three
 * dozen queries give recall to .01. They come last, with the widths that were found for 100.
 *
 * Work is in units of one scanned signature; the weights are rough timings (bench/), they only choose
 * between settings of nearly equal worth.
 */
#include <math.h>

#include "index/index_study.h"

#define FOCUS_LEAST 0.84 /* steps of recall that the second round is for */
#define FOCUS_MOST 0.996
#define AROUND 4u /* points that it goes beyond the survey's choice, */
#define BEYOND 8u /* and the widest width beyond that */
#define USUAL 0.95
#define REACHED 0.99           /* where a third of the leaves gives this the survey ends there */
#define NEXT_TO_NOTHING 0.002f /* of recall: a width may lose it, farther walks must gain it */
#define NO_WIDTH UINT32_MAX
#define NARROWER 1u  /* widths below the widest that a survey goes on with */
#define MARGIN 0.001 /* sampled recall must exceed what it is listed for, at least */
#define EXACT_WORK 60.0

static const float steps[] = {0.50f,  0.60f, 0.70f,  0.75f,  0.80f,  0.85f, 0.875f,
                              0.90f,  0.92f, 0.94f,  0.95f,  0.96f,  0.97f, 0.98f,
                              0.985f, 0.99f, 0.995f, 0.997f, 0.998f, 0.999f};

/* ---- choosing ---- */

/* The most queries that walked with any setting for one k. */
static uint32_t
most_queries(const hwi_study *s, uint32_t which_k)
{
    const hwi_study_cell *c = hwi_study_cells(s, which_k, 0);
    uint32_t most = 0;

    for (size_t i = 0; i < HWI_STUDY_WIDTHS * HWI_STUDY_POINTS; i++)
        most = HWI_MAX(most, c[i].queries);
    return most;
}

static hwi_effort
effort_of(const hwi_study *s, uint32_t which_k, uint32_t e, uint32_t p, uint32_t d)
{
    const hwi_study_cell *c = hwi_study_cells(s, which_k, e) + p;
    double queries = HWI_MAX(c->queries, 1u), leaves = ceil((double)c->leaves / queries);

    return (hwi_effort){s->by_reach ? (uint32_t)leaves : (uint32_t)s->at[p],
                        hwi_study_extras[which_k][d], hwi_study_widths[e],
                        (float)((double)c->found[d] / ((double)hwi_study_ks[which_k] * queries)),
                        s->by_reach ? s->at[p] : 0};
}

/* By how much sampled recall must exceed what it is listed for. The nearest one alone is found or not:
 * a thousand queries tell its recall to half a hundredth, and the cheapest of many settings is among
 * those that had luck. */
static double
margin_of(uint32_t which_k, double recall, uint32_t queries)
{
    double error = sqrt(recall * (1 - recall) / queries) / hwi_study_ks[which_k];

    return HWI_MIN(HWI_MAX(error, MARGIN), (1 - recall) / 2);
}

/* The cheapest setting that reached a recall, of all for one k that at least so many queries walked;
 * false if none did. */
static bool
cheapest(const hwi_study *s, uint32_t which_k, double recall, uint32_t queries, uint32_t *eps,
         uint32_t *point, hwi_effort *out)
{
    double best = INFINITY;
    const hwi_study_cell *cells = hwi_study_cells(s, which_k, 0);

    for (uint32_t e = 0; e < HWI_STUDY_WIDTHS; e++)
        for (uint32_t p = 0; p < s->points; p++)
            for (uint32_t d = 0; d < HWI_STUDY_DEPTHS; d++) {
                const hwi_study_cell *c = cells + e * HWI_STUDY_POINTS + p;
                if (c->queries < HWI_MAX(queries, 1u)) continue;
                hwi_effort effort = effort_of(s, which_k, e, p, d);
                double work = c->work / c->queries +
                              EXACT_WORK * (hwi_study_ks[which_k] + hwi_study_extras[which_k][d]);
                if ((double)effort.recall < recall + margin_of(which_k, recall, c->queries) ||
                    !(work < best))
                    continue;
                best = work, *eps = e, *point = p, *out = effort;
            }
    return best < INFINITY;
}

/* The widest that was walked to the end. */
static uint32_t
widest(const hwi_study *s, uint32_t which_k)
{
    const hwi_study_cell *cells = hwi_study_cells(s, which_k, 0);
    uint32_t e = HWI_STUDY_WIDTHS - 1;

    while (e > 0 && cells[e * HWI_STUDY_POINTS + s->near - 1].queries == 0) e--;
    return e;
}

/* The narrowest width that, walked to the end, loses next to nothing against the widest, if the second
 * half of its leaves still brought something and recall is short of what may be asked for; else NO_WIDTH. */
static uint32_t
width_to_lengthen(const hwi_study *s, uint32_t which_k)
{
    uint32_t end = s->near - 1, half = end, wide = widest(s, which_k), e = 0, p;
    hwi_effort effort;

    if (s->most == s->v->tree->leaf_count || cheapest(s, which_k, REACHED, 0, &e, &p, &effort))
        return NO_WIDTH;
    while (half > 0 && 2 * effort_of(s, which_k, wide, half, 0).leaves > s->most) half--;
    float recall = effort_of(s, which_k, wide, end, HWI_STUDY_DEPTHS - 1).recall;
    float at_half = effort_of(s, which_k, wide, half, HWI_STUDY_DEPTHS - 1).recall;
    if (recall < at_half + NEXT_TO_NOTHING) return NO_WIDTH;
    for (e = 0; e < wide; e++)
        if (hwi_study_cells(s, which_k, e)[end].queries > 0 &&
            effort_of(s, which_k, e, end, HWI_STUDY_DEPTHS - 1).recall >= recall - NEXT_TO_NOTHING)
            break;
    return e;
}

/* ---- rounds ---- */

/* Widths that are surveyed. Without signatures rows are compared exactly whatever the width: one walk
 * says it all. For the greatest k, whose walks are long, it is those that serve the k before it. */
static void
choose_widths(hwi_study *s, uint32_t which_k)
{
    uint32_t *walked = s->walked[which_k], e, p, last = HWI_STUDY_MEASURED - 1;
    hwi_effort effort;

    if (s->v->model->words == 0) {
        walked[HWI_STUDY_MEASURED] = s->near;
    } else if (which_k != HWI_STUDY_DEEP) {
        for (e = 0; e <= last; e++) walked[e] = s->near;
    } else {
        if (!cheapest(s, HWI_STUDY_DEEP - 1, USUAL, 0, &e, &p, &effort)) e = last;
        walked[e] = walked[HWI_MIN(e + 1, last)] = s->near;
        if (!cheapest(s, HWI_STUDY_DEEP - 1, REACHED, 0, &e, &p, &effort)) e = last;
        walked[HWI_MIN(e + 1, last)] = s->near;
    }
}

/* Surveys on, to the last leaf, what a third of the leaves was too few for: these widths and some
 * narrower. */
static hw_status
survey_on(hwi_study *s, const uint32_t width[HWI_STUDY_KS], uint32_t from, uint32_t below,
          uint32_t threads, hw_error *err)
{
    bool any = false;

    for (uint32_t k = from; k < below; k++) any = any || width[k] != NO_WIDTH;
    if (!any) return HW_OK;
    hwi_study_set_points(s, s->v->tree->leaf_count);
    for (uint32_t k = from; k < below; k++) {
        uint32_t left = width[k] == NO_WIDTH ? 0 : 1 + NARROWER;
        for (uint32_t e = HWI_STUDY_WIDTHS; e-- > 0;) {
            bool goes_on = left > 0 && e <= width[k] && s->walked[k][e] > 0;
            s->walked[k][e] = goes_on ? s->near : 0;
            left -= goes_on;
            if (goes_on) memset(hwi_study_cells(s, k, e), 0, HWI_STUDY_POINTS * sizeof *s->cells);
        }
    }
    return hwi_study_walk(s, true, threads, err);
}

/* Where no width lets all that is near through to the end, as codes of rows that lie close together are
 * alike, a walk that measures all rows says how far to go. For the greatest k it is walked where it serves the
 * k before. */
static hw_status
survey_measured(hwi_study *s, uint32_t from, uint32_t below, hwi_effort *thorough, uint32_t threads,
                hw_error *err)
{
    bool needed[HWI_STUDY_KS] = {0}, any = false;
    uint32_t e, p;
    hwi_effort effort;

    if (s->v->model->words == 0) return HW_OK;
    for (uint32_t k = from; k < HWI_MIN(below, HWI_STUDY_DEEP); k++) {
        needed[k] = !cheapest(s, k, REACHED, 0, &e, &p, &effort);
        any = any || needed[k];
    }
    if (!any) return HW_OK;
    memset(s->walked, 0, sizeof s->walked);
    hwi_study_set_points(s, s->v->tree->leaf_count);
    for (uint32_t k = from; k < below; k++)
        s->walked[k][HWI_STUDY_MEASURED] = needed[k] ? s->points : 0;
    HWI_TRY(hwi_study_walk(s, true, threads, err));
    for (uint32_t k = from; k < below; k++)
        if (needed[k])
            thorough[k] = effort_of(s, k, HWI_STUDY_MEASURED, s->points - 1, HWI_STUDY_DEPTHS - 1);
    return HW_OK;
}

/* Settles what the last round walks for a k: the widths that were cheapest for some step of recall and,
 * where walks are not `longer` and widths matter, a width more on both sides; somewhat farther than the
 * survey had to. The widest goes farther on, as a few queries cannot tell .998 from .999; not where
 * every row of a leaf is measured, which took more time than all else. */
static void
focus(hwi_study *s, uint32_t which_k, bool longer)
{
    bool coded = s->v->model->words > 0;
    uint32_t wanted[HWI_STUDY_WIDTHS] = {0}, more = coded && !longer, e, p;
    uint32_t widest_yet = 0, farthest = 0;
    hwi_effort effort;

    for (uint32_t i = 0; i < HWI_COUNT(steps); i++) {
        if (steps[i] < (float)FOCUS_LEAST || steps[i] > (float)FOCUS_MOST ||
            !cheapest(s, which_k, (double)steps[i], 0, &e, &p, &effort))
            continue;
        bool measured = e == HWI_STUDY_MEASURED;
        uint32_t low = measured ? e : e - HWI_MIN(e, more);
        uint32_t high = measured ? e : HWI_MIN(e + more, HWI_STUDY_MEASURED - 1);
        uint32_t far = measured ? s->points : s->near, end = HWI_MIN(p + AROUND, far);
        for (uint32_t w = low; w <= high; w++) wanted[w] = HWI_MAX(wanted[w], end);
        widest_yet = high, farthest = HWI_MIN(end + BEYOND, far);
    }
    if (coded && which_k != HWI_STUDY_DEEP)
        wanted[widest_yet] = HWI_MAX(wanted[widest_yet], farthest);
    memcpy(s->walked[which_k], wanted, sizeof wanted);
}

static void
add_row(hwi_calibration *c, uint32_t k, const hwi_effort *e)
{
    const hwi_calibration_row *last = c->count ? &c->rows[c->count - 1] : NULL;

    HWI_ASSERT(c->rows != NULL);
    if (last && last->k == k && last->effort.recall >= e->recall) return;
    c->rows[c->count++] = (hwi_calibration_row){k, *e};
}

/* The rows of one k. */
static void
choose(const hwi_study *s, uint32_t which_k, const hwi_effort *thorough, hwi_calibration *c)
{
    uint32_t all = most_queries(s, which_k), e, p;
    hwi_effort effort;

    if (all == 0) return; /* so many rows are equal that no query told */
    for (uint32_t i = 0; i < HWI_COUNT(steps); i++)
        if (cheapest(s, which_k, (double)steps[i], all, &e, &p, &effort) ||
            cheapest(s, which_k, (double)steps[i], 0, &e, &p, &effort))
            add_row(c, hwi_study_ks[which_k], &effort);
    add_row(c, hwi_study_ks[which_k], thorough);
}

/* Walks for some of the k, side by side, and chooses for them. */
static hw_status
study(hwi_study *s, uint32_t from, uint32_t below, uint32_t threads, hwi_calibration *c,
      hw_error *err)
{
    uint32_t leaves = s->v->tree->leaf_count, width[HWI_STUDY_KS];
    hwi_effort thorough[HWI_STUDY_KS];

    hwi_study_set_points(s, HWI_MIN(leaves, HWI_MAX(64u, leaves / 3)));
    memset(s->walked, 0, sizeof s->walked);
    for (uint32_t k = from; k < below; k++) choose_widths(s, k);
    HWI_TRY(hwi_study_walk(s, true, threads, err));
    for (uint32_t k = from; k < below; k++) {
        thorough[k] = effort_of(s, k, widest(s, k), s->near - 1, HWI_STUDY_DEPTHS - 1);
        width[k] = width_to_lengthen(s, k);
    }
    HWI_TRY(survey_on(s, width, from, below, threads, err));
    HWI_TRY(survey_measured(s, from, below, thorough, threads, err));
    for (uint32_t k = from; k < below; k++)
        focus(s, k, k == HWI_STUDY_DEEP || width[k] != NO_WIDTH);
    HWI_TRY(hwi_study_walk(s, false, threads, err));
    for (uint32_t k = from; k < below; k++) choose(s, k, &thorough[k], c);
    return HW_OK;
}

static hw_status
calibrate(hwi_study *s, uint32_t threads, hwi_calibration *c, hw_error *err)
{
    c->vectors = s->v->state.vectors;
    c->leaves = s->v->tree->leaf_count;
    c->samples = s->samples;
    if (s->samples == 0) return HW_OK;
    HWI_TRY(study(s, 0, HWI_STUDY_DEEP, threads, c, err));
    if (s->every[HWI_STUDY_DEEP] == 0) return HW_OK;
    return study(s, HWI_STUDY_DEEP, HWI_STUDY_KS, threads, c, err);
}

hw_status
hwi_calibrate(hwi_index_view *v, uint32_t threads, hwi_progress *progress, hwi_calibration **out,
              hw_error *err)
{
    hwi_study s = {0};
    hwi_calibration *c;

    *out = NULL;
    HWI_TRY(hwi_calibration_new(HWI_STUDY_KS * (HWI_COUNT(steps) + 1), &c, err));
    hw_status st = hwi_progress_step(progress, "calibrate", 0, 2, err);
    if (st == HW_OK) st = hwi_study_init(&s, v, threads, err);
    if (st == HW_OK) st = hwi_progress_step(progress, "calibrate", 1, 2, err);
    if (st == HW_OK) st = calibrate(&s, threads, c, err);
    hwi_study_release(&s);
    if (st == HW_OK)
        *out = c;
    else
        hwi_calibration_unref(c);
    return st;
}
