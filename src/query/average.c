/* average.c - one vector that stands for several: the target of HW_RULE_AVERAGE.
 *
 *     mean(positives)                                     without negatives
 *     mean(positives) + mean(positives) - mean(negatives)  the mean of the positives, moved away from
 *                                                          that of the negatives by as much as lies
 *                                                          between them */
#include "query/aim.h"

/* out[j] = the mean of component j. */
static void
mean(const hw_vector *v, size_t count, float *out)
{
    uint32_t dim = v[0].dim;

    memset(out, 0, (size_t)dim * sizeof *out);
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < dim; j++) out[j] += v[i].values[j];
    for (uint32_t j = 0; j < dim; j++) out[j] /= (float)count;
}

hw_status
hwi_aim_average(const hwi_field *field, const hw_vector *positives, size_t positive_count,
                const hw_vector *negatives, size_t negative_count, hwi_arena *arena, hw_vector *out,
                hw_error *err)
{
    size_t bytes = (size_t)field->dim * sizeof(float);
    float *target, *away;

    if (positive_count == 0) return hwi_fail(err, HW_EINVAL, "an average needs a positive example");
    target = hwi_arena_alloc(arena, bytes);
    away = hwi_arena_alloc(arena, bytes);
    if (!target || !away) return hwi_nomem(err, 2 * bytes);
    mean(positives, positive_count, target);
    if (negative_count) {
        mean(negatives, negative_count, away);
        for (uint32_t j = 0; j < field->dim; j++) target[j] = target[j] + target[j] - away[j];
    }
    *out = (hw_vector){.values = target, .dim = field->dim};
    return HW_OK;
}
