/* lsh_lineup.c - leaves are picked by a cut through all scores, and strips by a cut through those picked:
 * both cost one pass each, and only a strip is ever sorted.
 */
#include "index/lsh/lsh_lineup.h"

#include <float.h>
#include <math.h>

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

void
hwi_lineup_pick(hwi_lineup *l, uint32_t want)
{
    hwi_scratch *s = l->s;

    l->pool = take_least(l->kernels, s->scores, l->count, l->count - l->picked, want, s->picked,
                         s->picked_score);
    l->picked += l->pool;
}

/* Puts the next strip in order; equal scores by position. */
static void
order_strip(hwi_lineup *l)
{
    hwi_scratch *s = l->s;
    hwi_top_entry *e = s->ranked + l->ordered;
    uint32_t n = take_least(l->kernels, s->picked_score, l->pool, l->picked - l->ordered,
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
