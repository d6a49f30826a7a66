/* lsh_train.c - training a model: principal axes of a sample, and the sizes that follow from their
 * spectrum.
 *
 * How many axes are kept (lsh_axes.c): enough for VARIANCE_KEPT of the variance, in steps of 32, never
 * more than DC_MAX; the rest of a residual's length still counts in its estimate, only its direction is
 * not hashed. Fashion-MNIST keeps 96 of 784.
 *
 * A first generation is trained on the few vectors there are, and those to come may differ: classes
 * that arrive one after another, say. What few vectors call noise may be where the others lie, so
 * all axes are kept that there is room for. Fashion-MNIST arriving class by class scanned 33 % for
 * recall .93 with 96 axes of its first class, 2.7 % for .96 with 256 (tests/recall/test_drift.c).
 */
#include "index/lsh/lsh_axes.h"
#include "index/lsh/model_build.h"
#include "index/lsh/page.h"

#define VARIANCE_KEPT 0.90
#define FEW_VECTORS 10000u /* what comes later may differ: keep all the axes there is room for */
#define DC_MIN 64u
#define DC_MAX 256u
#define LEAF_SIZE_NARROW 256u /* up to 256 dimensions */
#define LEAF_SIZE_WIDE 120u

static void
mean_of(const float *rows, size_t count, uint32_t dim, double *mean)
{
    for (uint32_t j = 0; j < dim; j++) mean[j] = 0;
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < dim; j++) mean[j] += rows[i * dim + j];
    for (uint32_t j = 0; j < dim; j++) mean[j] /= (double)count;
}

/* The most axes that a plan can want. */
static uint32_t
axes_most(uint32_t dim, uint32_t bits)
{
    return HWI_MIN(dim, bits ? bits : DC_MAX);
}

static uint32_t
axes_to_keep(const hwi_axes *a, uint32_t most, uint64_t vectors)
{
    double kept = 0, enough = vectors < FEW_VECTORS ? 1 : VARIANCE_KEPT;
    uint32_t dc = 0;

    while (dc < most && (kept < enough * a->total || dc < DC_MIN || dc % 32))
        kept += HWI_MAX(a->values[a->count - 1 - dc], 0.0f), dc++;
    return dc;
}

static uint32_t
signature_bits(uint32_t dc, uint32_t wanted)
{
    uint32_t bits = 64;

    while (bits < dc || bits < wanted) bits *= 2;
    return HWI_MIN(bits, HWI_BITS_MAX);
}

/* Buckets hold about leaf_size vectors when the hash has this many bits. */
static uint32_t
hash_bits_for(uint64_t total, uint32_t leaf_size, uint32_t bits)
{
    uint32_t h = 1;

    while (h < 16 && h < bits && ((uint64_t)leaf_size << h) < total) h++;
    return h;
}

static hw_status
fill_model(const hwi_field *field, const hwi_model_plan *plan, const double *mean,
           const hwi_axes *axes, uint64_t total, hwi_model **out, hw_error *err)
{
    uint32_t dim = field->dim, dc = axes_to_keep(axes, axes_most(dim, plan->bits), total);
    hwi_model *m;

    HWI_TRY(hwi_model_new(field, plan->generation, dc, signature_bits(dc, plan->bits), &m, err));
    for (uint32_t j = 0; m->mean && j < dim; j++) m->mean[j] = (float)mean[j];
    for (uint32_t i = 0; i < dc; i++)
        memcpy(m->axes + (size_t)i * dim, axes->rows + (size_t)(axes->count - 1 - i) * dim,
               dim * sizeof(float));
    m->seed = plan->seed;
    m->leaf_size = plan->leaf_size ? plan->leaf_size
                   : dim <= 256    ? LEAF_SIZE_NARROW
                                   : LEAF_SIZE_WIDE;
    m->hash_bits = hash_bits_for(total, m->leaf_size, m->bits);
    m->part_pages = hwi_leaf_part_pages(m);
    hw_status st = hwi_model_derive(m, err);
    if (st != HW_OK) {
        hwi_model_unref(m);
        return st;
    }
    *out = m;
    return HW_OK;
}

hw_status
hwi_model_train(const hwi_field *field, const hwi_model_plan *plan, const float *rows,
                const float *inv_norm, size_t count, uint64_t total, hwi_model **out, hw_error *err)
{
    uint32_t dim = field->dim;
    float *sample = hwi_alloc_aligned(hwi_size_mul(count, (size_t)dim * sizeof(float)));
    double *mean = hwi_alloc(dim * sizeof(double));
    hwi_axes axes = {0};
    hw_status st;

    *out = NULL;
    if (!sample || !mean) {
        st = hwi_nomem(err, hwi_size_mul(count, dim * sizeof(float)));
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        float scale = field->metric == HWI_COSINE ? inv_norm[i] : 1;
        for (uint32_t j = 0; j < dim; j++) sample[i * dim + j] = rows[i * dim + j] * scale;
    }
    mean_of(sample, count, dim, mean);
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < dim; j++) sample[i * dim + j] -= (float)mean[j];
    st = hwi_axes_find(sample, count, dim, axes_most(dim, plan->bits), &axes, err);
    if (st != HW_OK) goto out;
    st = fill_model(field, plan, mean, &axes, total, out, err);
out:
    hwi_free(sample);
    hwi_free(mean);
    hwi_axes_release(&axes);
    return st;
}
