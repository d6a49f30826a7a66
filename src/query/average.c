/* average.c - one vector that stands for several: the target of HW_RULE_AVERAGE.
 *
 *     dense    mean(positives)                                      without negatives
 *              mean(positives) + mean(positives) - mean(negatives)   the mean of the positives, moved
 *                                                                    away from that of the negatives
 *                                                                    by as much as lies between them
 *     sparse   the same, a value that is not there being zero
 *     multi    all rows of the positives, and those of the negatives with their signs turned: every
 *              row looks for its like by itself, so there is nothing to average */
#include "query/aim.h"

#include <stdlib.h>

typedef struct group {
    const hw_vector *v;
    size_t count;
} group;

/* ---- dense ---- */

/* out[j] = the mean of component j. */
static void
mean(group g, uint32_t dim, float *out)
{
    memset(out, 0, (size_t)dim * sizeof *out);
    for (size_t i = 0; i < g.count; i++)
        for (uint32_t j = 0; j < dim; j++) out[j] += g.v[i].values[j];
    for (uint32_t j = 0; j < dim; j++) out[j] /= (float)g.count;
}

static hw_status
average_dense(uint32_t dim, group positives, group negatives, hwi_arena *arena, hw_vector *out,
              hw_error *err)
{
    size_t bytes = (size_t)dim * sizeof(float);
    float *target = hwi_arena_alloc(arena, bytes), *away = hwi_arena_alloc(arena, bytes);

    if (!target || !away) return hwi_nomem(err, 2 * bytes);
    mean(positives, dim, target);
    if (negatives.count) {
        mean(negatives, dim, away);
        for (uint32_t j = 0; j < dim; j++) target[j] = target[j] + target[j] - away[j];
    }
    *out = (hw_vector){.values = target, .dim = dim};
    return HW_OK;
}

/* ---- sparse ---- */

typedef struct part {
    uint32_t index, order;
    float value;
    bool negative;
} part;

static int
by_index(const void *a, const void *b)
{
    const part *x = a, *y = b;
    if (x->index != y->index) return x->index < y->index ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static size_t
pairs_of(group g)
{
    size_t n = 0;
    for (size_t i = 0; i < g.count; i++) n += g.v[i].dim;
    return n;
}

static part *
add_parts(part *at, group g, bool negative)
{
    for (size_t i = 0; i < g.count; i++)
        for (uint32_t j = 0; j < g.v[i].dim; j++, at++)
            *at = (part){g.v[i].indices[j], (uint32_t)i, g.v[i].values[j], negative};
    return at;
}

/* The value at one index from its parts, which begin at p; returns the first part beyond. */
static const part *
merge_parts(const part *p, const part *end, float positives, float negatives, float *out)
{
    uint32_t index = p->index;
    float mean_positive = 0, mean_negative = 0;

    for (; p < end && p->index == index; p++) {
        if (p->negative)
            mean_negative += p->value;
        else
            mean_positive += p->value;
    }
    mean_positive /= positives;
    *out = mean_positive;
    if (negatives > 0) *out = mean_positive + mean_positive - mean_negative / negatives;
    return p;
}

static hw_status
average_sparse(group positives, group negatives, hwi_arena *arena, hw_vector *out, hw_error *err)
{
    size_t count = pairs_of(positives) + pairs_of(negatives);
    part *parts = hwi_alloc((count + 1) * sizeof *parts);
    uint32_t *indices = hwi_arena_alloc(arena, (count + 1) * sizeof *indices);
    float *values = hwi_arena_alloc(arena, (count + 1) * sizeof *values);
    uint32_t n = 0;

    if (!parts || !indices || !values) {
        hwi_free(parts);
        return hwi_nomem(err, count * sizeof *parts);
    }
    const part *end = add_parts(add_parts(parts, positives, false), negatives, true);
    qsort(parts, count, sizeof *parts, by_index);
    for (const part *p = parts; p < end; n++) {
        indices[n] = p->index;
        p = merge_parts(p, end, (float)positives.count, (float)negatives.count, &values[n]);
    }
    hwi_free(parts);
    *out = (hw_vector){.values = values, .indices = indices, .dim = n};
    return HW_OK;
}

/* ---- multi ---- */

static uint32_t
rows_of(const hw_vector *v)
{
    return v->rows ? v->rows : 1;
}

static float *
add_rows(float *at, group g, uint32_t dim, float sign)
{
    for (size_t i = 0; i < g.count; i++)
        for (size_t j = 0; j < (size_t)rows_of(&g.v[i]) * dim; j++) *at++ = sign * g.v[i].values[j];
    return at;
}

static hw_status
average_multi(uint32_t dim, group positives, group negatives, hwi_arena *arena, hw_vector *out,
              hw_error *err)
{
    size_t rows = 0;

    for (size_t i = 0; i < positives.count; i++) rows += rows_of(&positives.v[i]);
    for (size_t i = 0; i < negatives.count; i++) rows += rows_of(&negatives.v[i]);
    if (rows * dim > HW_MULTI_VALUES_MAX)
        return hwi_fail(err, HW_EINVAL,
                        "examples of %zu rows of %u values are above the maximum %u", rows, dim,
                        HW_MULTI_VALUES_MAX);
    float *values = hwi_arena_alloc(arena, rows * dim * sizeof *values);
    if (!values) return hwi_nomem(err, rows * dim * sizeof *values);
    add_rows(add_rows(values, positives, dim, 1), negatives, dim, -1);
    *out = (hw_vector){.values = values, .dim = dim, .rows = (uint32_t)rows};
    return HW_OK;
}

hw_status
hwi_aim_average(const hwi_field *field, const hw_vector *positives, size_t positive_count,
                const hw_vector *negatives, size_t negative_count, hwi_arena *arena, hw_vector *out,
                hw_error *err)
{
    group p = {positives, positive_count}, n = {negatives, negative_count};

    if (positive_count == 0) return hwi_fail(err, HW_EINVAL, "an average needs a positive example");
    if (field->type == HWI_SPARSE) return average_sparse(p, n, arena, out, err);
    if (field->type == HWI_MULTI) return average_multi(field->dim, p, n, arena, out, err);
    return average_dense(field->dim, p, n, arena, out, err);
}
