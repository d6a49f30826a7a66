/* mmr.c - variety among the nearest (Carbonell and Goldstein 1998).
 *
 * Each round needs, for every candidate left, its similarity to the nearest point picked so far. That
 * maximum only grows with the newest pick, so one comparison a candidate and round keeps it: rounds
 * times candidates in all, instead of the square of either.
 *
 * Scores of the answer stay those of the search: the balance decides the order alone.
 */
#include "server/query/query.h"

#include <math.h>

typedef struct picking {
    const hwi_shape_field *field;
    const hw_vector *candidates; /* prepared */
    float *relevance;
    float *closeness; /* to the nearest picked; -INFINITY before the first */
    bool *is_picked;
    size_t count;
    float lambda;
} picking;

static bool
prepare(hwi_request *r, const hwi_shape_field *field, const hw_vector *query,
        const hw_vector *candidates, size_t count, picking *p)
{
    hw_vector *prepared = hwi_request_alloc(r, (count ? count : 1) * sizeof *prepared);
    hw_vector q;
    p->relevance = hwi_request_alloc(r, (count ? count : 1) * sizeof *p->relevance);
    p->closeness = hwi_request_alloc(r, (count ? count : 1) * sizeof *p->closeness);
    p->is_picked = hwi_request_alloc(r, count ? count : 1);
    if (!prepared || !p->relevance || !p->closeness || !p->is_picked) return false;
    if (!hwi_vector_prepare(r, field, query, &q)) return false;
    for (size_t i = 0; i < count; i++) {
        if (!hwi_vector_prepare(r, field, &candidates[i], &prepared[i])) return false;
        p->relevance[i] = hwi_similarity(field, &q, &prepared[i]);
        p->closeness[i] = -INFINITY;
        p->is_picked[i] = false;
    }
    p->candidates = prepared;
    return true;
}

static size_t
best_left(const picking *p, bool is_first)
{
    size_t best = HWI_NOWHERE;
    float best_score = -INFINITY;
    for (size_t i = 0; i < p->count; i++) {
        if (p->is_picked[i]) continue;
        float score = is_first ? p->relevance[i]
                               : p->lambda * p->relevance[i] - (1 - p->lambda) * p->closeness[i];
        if (best == HWI_NOWHERE || score > best_score) best = i, best_score = score;
    }
    return best;
}

static void
note_pick(picking *p, size_t picked)
{
    p->is_picked[picked] = true;
    for (size_t i = 0; i < p->count; i++) {
        if (p->is_picked[i]) continue;
        float s = hwi_similarity(p->field, &p->candidates[i], &p->candidates[picked]);
        p->closeness[i] = HWI_MAX(p->closeness[i], s);
    }
}

bool
hwi_mmr_pick(hwi_request *r, const hwi_shape_field *field, const hw_vector *query,
             const hw_vector *candidates, size_t count, float lambda, size_t limit,
             uint32_t *picked, size_t *picked_count)
{
    picking p = {.field = field, .count = count, .lambda = lambda};
    size_t n = 0;
    *picked_count = 0;
    if (!prepare(r, field, query, candidates, count, &p)) return false;
    for (; n < HWI_MIN(limit, count); n++) {
        if (r->deadline_ms && hwi_clock_us() / 1000 > r->deadline_ms) {
            return hwi_refuse(r, 408, "Timeout error: the deadline passed");
        }
        size_t best = best_left(&p, n == 0);
        note_pick(&p, best);
        picked[n] = (uint32_t)best;
    }
    *picked_count = n;
    return true;
}
