/* rules.c - formulas that make one score of several similarities; docs/queries.md explains them.
 *
 * They work on a block of slots at a time, one similarity of all of them after the other, so that the
 * loops are plain and the compiler makes vector code of them.
 *
 *     squash(x)  = x / (1 + |x|)            into (-1, 1), cheap and monotone
 *     squash1(x) = (squash(x) + 1) / 2      into (0, 1) */
#include "query/rules.h"

#include <float.h>
#include <math.h>

static inline float
squash(float x)
{
    return x / (1.0f + fabsf(x));
}

static inline float
squash1(float x)
{
    return 0.5f * (squash(x) + 1.0f);
}

/* out[i] = the greatest of `n` similarities. */
static void
greatest(const float *sims, size_t n, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) out[i] = -INFINITY;
    for (size_t e = 0; e < n; e++, sims += HWI_BLOCK)
        for (size_t i = 0; i < count; i++) out[i] = sims[i] > out[i] ? sims[i] : out[i];
}

static void
best_score(const float *sims, size_t operands, size_t positives, size_t count, float *scores)
{
    float for_it[HWI_BLOCK], against[HWI_BLOCK];

    greatest(sims, positives, count, for_it);
    greatest(sims + positives * HWI_BLOCK, operands - positives, count, against);
    for (size_t i = 0; i < count; i++)
        scores[i] = for_it[i] > against[i] ? squash1(for_it[i]) : -squash1(against[i]);
}

static void
sum(const float *sims, size_t n, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) out[i] = 0;
    for (size_t e = 0; e < n; e++, sims += HWI_BLOCK)
        for (size_t i = 0; i < count; i++) out[i] += sims[i];
}

static void
sum_scores(const float *sims, size_t operands, size_t positives, size_t count, float *scores)
{
    float against[HWI_BLOCK];

    sum(sims, positives, count, scores);
    sum(sims + positives * HWI_BLOCK, operands - positives, count, against);
    for (size_t i = 0; i < count; i++) scores[i] -= against[i];
}

/* Each pair a point is on the right side of lifts it by one, whole; the target orders those that
 * are on as many right sides. */
static void
discover(const float *sims, size_t operands, size_t count, float *scores)
{
    for (size_t i = 0; i < count; i++) scores[i] = 0;
    for (size_t e = 1; e < operands; e += 2) {
        const float *p = sims + e * HWI_BLOCK, *n = p + HWI_BLOCK;
        for (size_t i = 0; i < count; i++) scores[i] += (float)((p[i] > n[i]) - (p[i] < n[i]));
    }
    for (size_t i = 0; i < count; i++) scores[i] += squash1(sims[i]);
}

/* Zero on the right side of every pair (save for the margin), less the further a point is on the
 * wrong side. */
static void
context(const float *sims, size_t operands, size_t count, float *scores)
{
    for (size_t i = 0; i < count; i++) scores[i] = 0;
    for (size_t e = 0; e < operands; e += 2) {
        const float *p = sims + e * HWI_BLOCK, *n = p + HWI_BLOCK;
        for (size_t i = 0; i < count; i++) {
            float lead = p[i] - n[i] - FLT_EPSILON;
            scores[i] += squash(lead < 0 ? lead : 0);
        }
    }
}

void
hwi_rule_scores(hw_rule rule, const float *similarities, size_t operands, size_t positives,
                size_t count, float *scores)
{
    switch (rule) {
    case HW_RULE_NEAREST:
    case HW_RULE_AVERAGE:
        memcpy(scores, similarities, count * sizeof *scores);
        return;
    case HW_RULE_BEST_SCORE:
        best_score(similarities, operands, positives, count, scores);
        return;
    case HW_RULE_SUM_SCORES:
        sum_scores(similarities, operands, positives, count, scores);
        return;
    case HW_RULE_DISCOVER:
        discover(similarities, operands, count, scores);
        return;
    case HW_RULE_CONTEXT:
        context(similarities, operands, count, scores);
        return;
    }
    HWI_UNREACHABLE("a rule that no query passes with");
}
