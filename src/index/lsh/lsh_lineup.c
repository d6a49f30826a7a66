/* lsh_lineup.c - leaves are picked by a cut through all scores, and strips by a cut through those picked:
 * both cost one pass each, and only a strip is ever sorted.
 *
 * Scores come from bytes, which are off by some thousandths of the query's square. Where clusters are so
 * tight that the query is nearer to anchors than that, they are in no order, and a reach that compares
 * distances stops anywhere: these few are measured in floats.
 */
#include "index/lsh/lsh_lineup.h"

#include <float.h>
#include <math.h>

#define NEAR 0.03f       /* of the query's square: bytes are off by .003 of it */
#define VERY_NEAR 0.003f /* there coordinates found by way of bytes are too rough as well */

/* Takes about `want` least of the `left` scores that are there: their places and values. */
static uint32_t
take_least(const hwi_kernels *k, float *scores, uint32_t count, uint32_t left, uint32_t want,
           uint32_t *place, float *value)
{
    float cut = left <= want + want / 4 ? FLT_MAX : k->cut(scores, count, want);
    uint32_t found = (uint32_t)k->select_le(scores, count, cut, place, value);

    for (uint32_t i = 0; i < found; i++) scores[place[i]] = INFINITY;
    return found;
}

/* Squared distance from the query to an anchor, in floats. */
static float
distance_of(const hwi_lineup *l, uint32_t position)
{
    const hwi_model *m = l->model;
    const float *y = l->s->y;
    float d, on_axes;

    m->kernels->l2sq_rows(y, l->tree->anchors + (size_t)position * m->dc, 0, 1, m->dc, &d);
    if (m->dc == m->dim) return d;
    m->kernels->dot_rows(y, y, 0, 1, m->dc, &on_axes);
    return d + HWI_MAX(l->length_sq - on_axes, 0.0f);
}

/* Scores of those just picked become distances. */
static void
find_distances(hwi_lineup *l)
{
    float *d = l->s->picked_score, near = NEAR * l->length_sq, least = INFINITY;

    if (l->length_sq == 0) return;
    for (uint32_t i = 0; i < l->pool; i++) {
        d[i] += l->length_sq;
        least = d[i] < least ? d[i] : least;
    }
    if (!(least < near)) return;
    if (l->model->fast && !l->is_exact && least < VERY_NEAR * l->length_sq) {
        hwi_model_axes(l->model, l->s->framed, l->s->y);
        l->is_exact = true;
    }
    for (uint32_t i = 0; i < l->pool; i++) {
        if (!(d[i] < near)) continue;
        uint32_t position = l->s->picked[i];
        d[i] = distance_of(l, position) * (position == l->own ? l->own_more : 1);
    }
}

uint32_t
hwi_lineup_nearest(const hwi_lineup *l)
{
    const float *scores = l->s->scores;
    float near = (NEAR - 1) * l->length_sq, least = INFINITY;
    uint32_t best = 0;

    for (uint32_t i = 1; i < l->count; i++)
        if (scores[i] < scores[best]) best = i;
    if (l->length_sq == 0 || !(scores[best] < near)) return best;
    for (uint32_t i = 0; i < l->count; i++) {
        float d = scores[i] < near ? distance_of(l, i) : INFINITY;
        if (d < least) least = d, best = i;
    }
    return best;
}

void
hwi_lineup_pick(hwi_lineup *l, uint32_t want)
{
    hwi_scratch *s = l->s;

    l->pool = take_least(l->model->kernels, s->scores, l->count, l->count - l->picked, want,
                         s->picked, s->picked_score);
    l->picked += l->pool;
    find_distances(l);
}

/* Puts the next strip in order; equal scores by position. */
static void
order_strip(hwi_lineup *l)
{
    hwi_scratch *s = l->s;
    hwi_top_entry *e = s->ranked + l->ordered;
    uint32_t n = take_least(l->model->kernels, s->picked_score, l->pool, l->picked - l->ordered,
                            HWI_LINEUP_STRIP, s->strip, s->strip_score);

    for (uint32_t i = 0; i < n; i++) {
        hwi_top_entry moving = {s->strip_score[i], s->picked[s->strip[i]]};
        uint32_t at = i; /* they come by position, so equal ones stay behind */
        for (; at > 0 && moving.distance < e[at - 1].distance; at--) e[at] = e[at - 1];
        e[at] = moving;
    }
    l->ordered += n;
}

bool
hwi_lineup_has(hwi_lineup *l, uint32_t place)
{
    if (place < l->ordered) return true;
    if (place >= l->count) return false;
    if (l->ordered == l->picked) hwi_lineup_pick(l, HWI_MAX(l->picked, HWI_LINEUP_STRIP));
    order_strip(l);
    return place < l->ordered; /* false where damage made scores NaN */
}
