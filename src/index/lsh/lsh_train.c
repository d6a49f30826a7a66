/* lsh_train.c - training a model: principal axes of a sample, and the sizes that follow from their
 * spectrum.
 *
 * The axes are the eigenvectors of the sample's covariance, largest eigenvalue first (Pearson 1901;
 * LAPACK's divide-and-conquer solver). How many are kept: enough for VARIANCE_KEPT of the variance,
 * in steps of 32, never more than DC_MAX; the rest of a residual's length still counts in its
 * estimate, only its direction is not hashed. Fashion-MNIST keeps 96 of 784.
 *
 * A first generation is trained on the few vectors there are, and those to come may differ: classes
 * that arrive one after another, say. What few vectors call noise may be where the others lie, so
 * all axes are kept that there is room for. Fashion-MNIST arriving class by class scanned 33 % for
 * recall .93 with 96 axes of its first class, 2.7 % for .96 with 256 (tests/recall/test_drift.c).
 */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>

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

#define COVARIANCE_ROWS 512u /* rows in one product */
#define COVARIANCE_STEP 96u  /* lines of the matrix in one product: a multiple of HWI_PANEL */

_Static_assert(COVARIANCE_STEP % HWI_PANEL == 0, "the products of a line begin with a panel");

#define TURN_ROWS 16u /* rows turned at a time: a line of the cache in every column */

/* Rows become columns. */
static void
turn(const float *rows, size_t count, uint32_t dim, float *turned)
{
    for (size_t first = 0; first < count; first += TURN_ROWS) {
        size_t below = HWI_MIN(first + TURN_ROWS, count);
        for (uint32_t j = 0; j < dim; j++)
            for (size_t i = first; i < below; i++) turned[j * count + i] = rows[i * dim + j];
    }
}

/* Columns of rows as hwi_pack_panels lays out vectors: rows as they are, cut in strips. */
static void
pack_columns(const float *rows, size_t count, uint32_t dim, float *panels)
{
    for (uint32_t j = 0; j < dim; j += HWI_PANEL) {
        uint32_t width = HWI_MIN(dim - j, HWI_PANEL);
        for (size_t i = 0; i < count; i++, panels += HWI_PANEL) {
            memcpy(panels, rows + i * dim + j, width * sizeof *panels);
            memset(panels + width, 0, (HWI_PANEL - width) * sizeof *panels);
        }
    }
}

/* Adds the products of one block of centred rows to the upper triangle. */
static void
add_block(const float *rows, size_t count, uint32_t dim, float *turned, float *panels,
          float *products, float *cov)
{
    const hwi_kernels *k = hwi_kernels_active();

    turn(rows, count, dim, turned);
    pack_columns(rows, count, dim, panels);
    for (uint32_t j = 0; j < dim; j += COVARIANCE_STEP) {
        uint32_t lines = HWI_MIN(dim - j, COVARIANCE_STEP), width = dim - j;
        k->product(turned + j * count, count, lines, panels + j * count, width, count, products,
                   width);
        for (uint32_t i = 0; i < lines; i++)
            for (uint32_t c = 0; c < width; c++)
                cov[(size_t)(j + i) * dim + j + c] += products[(size_t)i * width + c];
    }
}

/* Upper triangle of the covariance of the rows (which lose their mean) into cov, dim x dim. */
static bool
covariance(float *rows, size_t count, uint32_t dim, const double *mean, float *cov)
{
    size_t block = (size_t)COVARIANCE_ROWS * dim;
    size_t panel_floats = hwi_panel_floats(dim, COVARIANCE_ROWS);
    size_t floats = block + panel_floats + (size_t)COVARIANCE_STEP * dim;
    float *turned = hwi_alloc_aligned(floats * sizeof *turned);

    if (!turned) return false;
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < dim; j++) rows[i * dim + j] -= (float)mean[j];
    memset(cov, 0, (size_t)dim * dim * sizeof *cov);
    for (size_t i = 0; i < count; i += COVARIANCE_ROWS)
        add_block(rows + i * dim, HWI_MIN(count - i, (size_t)COVARIANCE_ROWS), dim, turned,
                  turned + block, turned + block + panel_floats, cov);
    for (size_t i = 0; i < (size_t)dim * dim; i++) cov[i] /= (float)count;
    hwi_free(turned);
    return true;
}

static uint32_t
axes_to_keep(const float *ascending, uint32_t dim, uint32_t bits, uint64_t vectors)
{
    uint32_t most = bits ? HWI_MIN(dim, bits) : HWI_MIN(dim, DC_MAX);
    double total = 0, kept = 0;
    uint32_t dc = 0;

    for (uint32_t j = 0; j < dim; j++) total += HWI_MAX(ascending[j], 0.0f);
    double enough = vectors < FEW_VECTORS ? 1 : VARIANCE_KEPT;
    while (dc < most && (kept < enough * total || dc < DC_MIN || dc % 32))
        kept += HWI_MAX(ascending[dim - 1 - dc], 0.0f), dc++;
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
           const float *vectors, const float *values, uint64_t total, hwi_model **out,
           hw_error *err)
{
    uint32_t dim = field->dim, dc = axes_to_keep(values, dim, plan->bits, total);
    hwi_model *m;

    HWI_TRY(hwi_model_new(field, plan->generation, dc, signature_bits(dc, plan->bits), &m, err));
    for (uint32_t j = 0; m->mean && j < dim; j++) m->mean[j] = (float)mean[j];
    for (uint32_t i = 0; i < dc; i++)
        memcpy(m->axes + (size_t)i * dim, vectors + (size_t)(dim - 1 - i) * dim,
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
    float *cov = hwi_alloc_aligned((size_t)dim * dim * sizeof(float));
    float *values = hwi_alloc(dim * sizeof(float));
    double *mean = hwi_alloc(dim * sizeof(double));
    hw_status st;

    *out = NULL;
    if (!sample || !cov || !values || !mean) {
        st = hwi_nomem(err, (size_t)dim * dim * sizeof(float));
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        float scale = field->metric == HWI_COSINE ? inv_norm[i] : 1;
        for (uint32_t j = 0; j < dim; j++) sample[i * dim + j] = rows[i * dim + j] * scale;
    }
    mean_of(sample, count, dim, mean);
    if (!covariance(sample, count, dim, mean, cov)) {
        st = hwi_nomem(err, (size_t)COVARIANCE_ROWS * dim * sizeof(float));
        goto out;
    }
    openblas_set_num_threads(1); /* the same sums however many processors there are */
    /* row-major upper is column-major lower: eigenvectors come back as rows after this call */
    if (LAPACKE_ssyevd(LAPACK_COL_MAJOR, 'V', 'L', (int)dim, cov, (int)dim, values) != 0) {
        st = hwi_fail(err, HW_EINVAL, "principal axes of %zu sampled vectors do not converge",
                      count);
        goto out;
    }
    st = fill_model(field, plan, mean, cov, values, total, out, err);
out:
    hwi_free(sample);
    hwi_free(cov);
    hwi_free(values);
    hwi_free(mean);
    return st;
}
