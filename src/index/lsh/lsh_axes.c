/* lsh_axes.c - principal axes of a sample, by one of two ways.
 *
 * Up to HWI_AXES_DIM dimensions: the covariance whole and all its eigenvectors (Pearson 1901; LAPACK's
 * divide-and-conquer solver). That grows with the cube of the dimensions: 3,072 would take a minute, and
 * no more than some hundred axes of them are kept. Beyond, only the leading ones are sought: a random
 * subspace is multiplied by the covariance a few times, which turns it towards them, and the eigenvectors
 * inside it are taken (subspace iteration; Halko, Martinsson and Tropp 2011, algorithm 4.4). Axes of
 * nearly the same variance may come out mixed, which matters to nobody: what counts is the space that
 * they span.
 */
#include "index/lsh/lsh_axes.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

#include "kernel/kernel.h"

#define BESIDE 16u /* directions carried along beyond those wanted: the last ones are the worst */
#define TURNS 4u   /* multiplications */
#define SEED 1u    /* of the subspace to begin with: any will do */

_Static_assert(2 * (uint64_t)HWI_AXES_DIM * (HWI_AXES_DIM + 4) <= INT32_MAX,
               "the solver's memory is counted in ints");

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

/* Upper triangle of the covariance of centred rows into cov, dim x dim. */
static bool
covariance(const float *rows, size_t count, uint32_t dim, float *cov)
{
    size_t block = (size_t)COVARIANCE_ROWS * dim;
    size_t panel_floats = hwi_panel_floats(dim, COVARIANCE_ROWS);
    size_t floats = block + panel_floats + (size_t)COVARIANCE_STEP * dim;
    float *turned = hwi_alloc_aligned(floats * sizeof *turned);

    if (!turned) return false;
    memset(cov, 0, (size_t)dim * dim * sizeof *cov);
    for (size_t i = 0; i < count; i += COVARIANCE_ROWS)
        add_block(rows + i * dim, HWI_MIN(count - i, (size_t)COVARIANCE_ROWS), dim, turned,
                  turned + block, turned + block + panel_floats, cov);
    for (size_t i = 0; i < (size_t)dim * dim; i++) cov[i] /= (float)count;
    hwi_free(turned);
    return true;
}

/* Eigenvalues of a symmetric matrix, ascending; its eigenvectors take its place, a row each: row-major
 * upper is column-major lower, so they come back turned. */
static hw_status
solve(float *matrix, uint32_t n, float *values, hw_error *err)
{
    if (LAPACKE_ssyevd(LAPACK_COL_MAJOR, 'V', 'L', (int)n, matrix, (int)n, values) == 0)
        return HW_OK;
    return hwi_fail(err, HW_EINVAL, "principal axes do not converge");
}

static hw_status
all_axes(const float *rows, size_t count, uint32_t dim, hwi_axes *out, hw_error *err)
{
    if (!covariance(rows, count, dim, out->rows))
        return hwi_nomem(err, (size_t)COVARIANCE_ROWS * dim * sizeof(float));
    HWI_TRY(solve(out->rows, dim, out->values, err));
    for (uint32_t j = 0; j < dim; j++) out->total += HWI_MAX(out->values[j], 0.0f);
    return HW_OK;
}

/* ---- the leading ones ---- */

typedef struct subspace {
    const float *rows; /* count x dim */
    size_t count;
    uint32_t dim, width;
    float *basis;     /* width x dim, orthonormal rows */
    float *projected; /* count x width: rows times basis */
    float *inner;     /* width x width */
    float *tau;       /* width */
} subspace;

static bool
subspace_init(subspace *s)
{
    size_t width = s->width, square = width * width;

    s->basis = hwi_alloc_aligned(hwi_size_mul(width * s->dim, sizeof *s->basis));
    s->projected = hwi_alloc_aligned(hwi_size_mul(s->count * width, sizeof *s->projected));
    s->inner = hwi_alloc_aligned((square + width) * sizeof *s->inner);
    s->tau = s->inner ? s->inner + square : NULL;
    return s->basis && s->projected && s->inner;
}

static void
subspace_release(subspace *s)
{
    hwi_free(s->basis);
    hwi_free(s->projected);
    hwi_free(s->inner);
}

/* The rows on the basis. */
static void
project(subspace *s)
{
    int count = (int)s->count, dim = (int)s->dim, width = (int)s->width;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, count, width, dim, 1, s->rows, dim,
                s->basis, dim, 0, s->projected, width);
}

/* Basis times covariance, made orthonormal; a basis of lower rank is filled up. */
static hw_status
turn_basis(subspace *s, hw_error *err)
{
    int count = (int)s->count, dim = (int)s->dim, width = (int)s->width;

    project(s);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, width, dim, count, 1 / (float)count,
                s->projected, width, s->rows, dim, 0, s->basis, dim);
    if (LAPACKE_sgeqrf(LAPACK_COL_MAJOR, dim, width, s->basis, dim, s->tau) != 0 ||
        LAPACKE_sorgqr(LAPACK_COL_MAJOR, dim, width, width, s->basis, dim, s->tau) != 0)
        return hwi_fail(err, HW_EINVAL, "principal axes of %u dimensions do not converge", s->dim);
    return HW_OK;
}

/* The eigenvectors inside the basis. */
static hw_status
settle(subspace *s, hwi_axes *out, hw_error *err)
{
    int count = (int)s->count, dim = (int)s->dim, width = (int)s->width;

    project(s);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, width, width, count, 1 / (float)count,
                s->projected, width, s->projected, width, 0, s->inner, width);
    HWI_TRY(solve(s->inner, s->width, out->values, err));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, width, dim, width, 1, s->inner, width,
                s->basis, dim, 0, out->rows, dim);
    return HW_OK;
}

static hw_status
leading_axes(const float *rows, size_t count, uint32_t dim, hwi_axes *out, hw_error *err)
{
    subspace s = {.rows = rows, .count = count, .dim = dim, .width = out->count};
    hw_status st = HW_OK;
    hwi_rng rng;

    if (!subspace_init(&s)) st = hwi_nomem(err, hwi_size_mul(s.width, dim * sizeof(float)));
    hwi_rng_init(&rng, SEED);
    for (size_t i = 0; st == HW_OK && i < (size_t)s.width * dim; i++)
        s.basis[i] = (float)hwi_rng_normal(&rng);
    for (uint32_t t = 0; st == HW_OK && t < TURNS; t++) st = turn_basis(&s, err);
    if (st == HW_OK) st = settle(&s, out, err);
    for (size_t i = 0; i < count * dim; i++) out->total += (double)rows[i] * rows[i];
    out->total /= (double)count;
    subspace_release(&s);
    return st;
}

hw_status
hwi_axes_find(const float *rows, size_t count, uint32_t dim, uint32_t most, hwi_axes *out,
              hw_error *err)
{
    bool all = dim <= HWI_AXES_DIM;
    hw_status st = HW_OK;

    *out = (hwi_axes){.count = all ? dim : HWI_MIN(most + BESIDE, dim)};
    out->rows = hwi_alloc_aligned(hwi_size_mul(out->count, dim * sizeof *out->rows));
    out->values = hwi_alloc(out->count * sizeof *out->values);
    if (!out->rows || !out->values)
        st = hwi_nomem(err, hwi_size_mul(out->count, dim * sizeof *out->rows));
    openblas_set_num_threads(1); /* the same sums however many processors there are */
    if (st == HW_OK) st = (all ? all_axes : leading_axes)(rows, count, dim, out, err);
    if (st != HW_OK) hwi_axes_release(out);
    return st;
}

void
hwi_axes_release(hwi_axes *a)
{
    hwi_free(a->rows);
    hwi_free(a->values);
    *a = (hwi_axes){0};
}
