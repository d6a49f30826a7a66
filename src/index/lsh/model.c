/* model.c - applying a generation's rotation, and its stored form.
 *
 * Three ways to the same y: one vector by the column-wise matrix (insert), many by a matrix product
 * (build, split), and one through int8 for queries of wide vectors, where reading 4-byte axes would
 * cost more than the search itself. The int8 way rounds query and axes to 1/127 of their largest
 * component: an error of some 0.3 % of |y|, well below what a signature can tell apart, and only
 * ever used to rank and to estimate.
 */
#include "index/lsh/model.h"

#include <math.h>

#include "index/lsh/model_build.h"

#define FORMAT 3u
#define FORMAT_BEFORE_CODE_BITS 2u
#define FORMAT_LEAST 1u /* without part_pages */
#define HEADER 44u
#define FAST_FROM_DIM 129u

static void
release(hwi_model *m)
{
    hwi_free(m->mean);
    hwi_free(m->axes);
    hwi_free(m->columns);
    hwi_free(m->panels);
    hwi_free(m->signs);
    hwi_free(m->fast);
    hwi_free(m->fast_scale);
    hwi_free(m->fast_sum);
    hwi_free(m);
}

hwi_model *
hwi_model_ref(hwi_model *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void
hwi_model_unref(hwi_model *m)
{
    /* pairs with the decrements of other holders: the last one sees all they did */
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) release(m);
}

bool
hwi_model_has_mean(hwi_metric metric)
{
    return metric == HWI_L2 || metric == HWI_L1;
}

hw_status
hwi_model_new(const hwi_field *field, uint32_t generation, uint32_t dc, uint32_t bits,
              hwi_model **out, hw_error *err)
{
    hwi_model *m = hwi_alloc_zero(sizeof *m);

    *out = NULL;
    if (!m) return hwi_nomem(err, sizeof *m);
    atomic_init(&m->refs, 1);
    m->generation = generation;
    m->metric = field->metric, m->kind = field->kind;
    m->dim = field->dim, m->dc = dc;
    m->out_dims = (dc + 15) / 16 * 16, m->rank_dims = (dc + 7) / 8 * 8;
    m->bits = bits;
    m->code_bits = HWI_CODE_BITS;
    /* codes estimate l2 distances and inner products: under l1 rows are compared exactly instead */
    m->words = field->kind == HWI_KDTREE || field->metric == HWI_L1 ? 0 : bits / 32;
    m->fast_dims = (m->dim + 7) / 8 * 8;
    m->kernels = hwi_kernels_active();
    m->axes = hwi_alloc_aligned(hwi_size_mul((size_t)dc * m->dim, sizeof(float)));
    if (hwi_model_has_mean(m->metric)) m->mean = hwi_alloc_aligned(m->dim * sizeof(float));
    if (!m->axes || (hwi_model_has_mean(m->metric) && !m->mean)) {
        release(m);
        return hwi_nomem(err, (size_t)dc * field->dim * sizeof(float));
    }
    *out = m;
    return HW_OK;
}

static bool
derive_columns(hwi_model *m)
{
    size_t bytes = (size_t)m->dim * m->out_dims * sizeof(float);

    m->columns = hwi_alloc_aligned(bytes);
    if (!m->columns) return false;
    memset(m->columns, 0, bytes);
    for (uint32_t i = 0; i < m->dc; i++)
        for (uint32_t j = 0; j < m->dim; j++)
            m->columns[(size_t)j * m->out_dims + i] = m->axes[(size_t)i * m->dim + j];
    m->panels = hwi_alloc_aligned(hwi_panel_floats(m->dc, m->dim) * sizeof(float));
    if (!m->panels) return false;
    hwi_pack_panels(m->axes, m->dc, m->dim, m->panels);
    return true;
}

/* Random signs with the Hadamard transform's 1/sqrt(bits) folded in. */
static bool
derive_signs(hwi_model *m)
{
    hwi_rng rng;
    float unit = 1 / sqrtf((float)m->bits);

    m->signs = hwi_alloc_aligned(2u * m->bits * sizeof(float));
    if (!m->signs) return false;
    hwi_rng_init(&rng, m->seed);
    for (uint32_t j = 0; j < 2 * m->bits; j++)
        m->signs[j] = hwi_rng_next(&rng) >> 63 ? unit : -unit;
    return true;
}

static bool
derive_fast(hwi_model *m)
{
    if (m->dim < FAST_FROM_DIM) return true;
    m->fast = hwi_alloc_zero((size_t)m->out_dims * m->fast_dims);
    m->fast_scale = hwi_alloc_zero(m->out_dims * sizeof(float));
    m->fast_sum = hwi_alloc_zero(m->out_dims * sizeof(float));
    int8_t *row = hwi_alloc_zero(m->fast_dims);
    bool ok = m->fast && m->fast_scale && m->fast_sum && row;
    for (uint32_t i = 0; ok && i < m->dc; i++) {
        m->fast_sum[i] = (float)hwi_quantize_i8(m->axes + (size_t)i * m->dim, m->dim, m->fast_dims,
                                                row, &m->fast_scale[i]);
        int8_t *block = m->fast + (size_t)(i / 16) * 16 * m->fast_dims + (i % 16) * 4;
        for (uint32_t j = 0; j < m->fast_dims; j++) block[(size_t)(j / 4) * 64 + j % 4] = row[j];
    }
    hwi_free(row);
    return ok;
}

hw_status
hwi_model_derive(hwi_model *m, hw_error *err)
{
    if (derive_columns(m) && derive_signs(m) && derive_fast(m)) return HW_OK;
    return hwi_nomem(err, (size_t)m->dim * m->out_dims * sizeof(float));
}

/* ---- stored form ---- */

void
hwi_model_encode(const hwi_model *m, hwi_buf *out)
{
    uint8_t h[HEADER] = {FORMAT, (uint8_t)m->metric, (uint8_t)m->kind, (uint8_t)m->part_pages};

    hwi_put_u32(h + 4, m->dim);
    hwi_put_u32(h + 8, m->dc);
    hwi_put_u32(h + 12, m->bits);
    hwi_put_u32(h + 16, m->leaf_size);
    hwi_put_u32(h + 20, m->hash_bits);
    hwi_put_u64(h + 24, m->seed);
    hwi_put_f32(h + 32, m->kap);
    hwi_put_u32(h + 36, m->generation);
    h[40] = (uint8_t)m->code_bits;
    hwi_buf_add(out, h, sizeof h);
    uint8_t f[4];
    for (uint32_t j = 0; m->mean && j < m->dim; j++)
        hwi_put_f32(f, m->mean[j]), hwi_buf_add(out, f, 4);
    size_t floats = (size_t)m->dc * m->dim;
    for (size_t j = 0; j < floats; j++) hwi_put_f32(f, m->axes[j]), hwi_buf_add(out, f, 4);
}

/* Bits of a refine code's component in a stored model; 0 if it names none that there are. */
static uint32_t
stored_code_bits(const uint8_t *header)
{
    if (header[0] <= FORMAT_BEFORE_CODE_BITS) return 8;
    return header[40] == 4 || header[40] == 8 ? header[40] : 0;
}

static bool
sane(const hwi_field *field, uint32_t dc, uint32_t bits)
{
    return dc >= 1 && dc <= field->dim && dc <= HWI_BITS_MAX && bits >= 64 &&
           bits <= HWI_BITS_MAX && (bits & (bits - 1)) == 0 && bits >= dc;
}

static void
read_floats(float *out, const uint8_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = hwi_get_f32(from + 4 * i);
}

hw_status
hwi_model_decode(const hwi_field *field, uint32_t generation, hw_bytes blob, hwi_model **out,
                 hw_error *err)
{
    const uint8_t *b = blob.data;
    hwi_model *m;

    *out = NULL;
    size_t means = hwi_model_has_mean(field->metric) ? field->dim : 0;
    if (blob.size < HEADER || b[0] < FORMAT_LEAST || b[0] > FORMAT || b[1] != field->metric ||
        b[2] != field->kind || b[3] > HWI_PART_PAGES_MAX || stored_code_bits(b) == 0 ||
        hwi_get_u32(b + 4) != field->dim || !sane(field, hwi_get_u32(b + 8), hwi_get_u32(b + 12)) ||
        blob.size != HEADER + 4 * (means + (size_t)hwi_get_u32(b + 8) * field->dim))
        return hwi_fail(err, HW_ECORRUPT, "model of generation %u does not decode", generation);
    HWI_TRY(hwi_model_new(field, generation, hwi_get_u32(b + 8), hwi_get_u32(b + 12), &m, err));
    m->leaf_size = HWI_MAX(hwi_get_u32(b + 16), 2u);
    m->hash_bits = HWI_MIN(hwi_get_u32(b + 20), 24u);
    m->part_pages = b[3];
    m->code_bits = stored_code_bits(b);
    m->seed = hwi_get_u64(b + 24);
    m->kap = hwi_get_f32(b + 32);
    if (means) read_floats(m->mean, b + HEADER, means);
    read_floats(m->axes, b + HEADER + 4 * means, (size_t)m->dc * m->dim);
    hw_status st = hwi_model_derive(m, err);
    if (st != HW_OK) {
        release(m);
        return st;
    }
    *out = m;
    return HW_OK;
}

/* ---- applying it ---- */

void
hwi_model_frame(const hwi_model *m, const float *x, float inv_norm, float *out)
{
    const float *mean = m->mean;
    uint32_t dim = m->dim;

    if (mean)
        for (uint32_t j = 0; j < dim; j++) out[j] = x[j] - mean[j];
    else if (m->metric == HWI_COSINE)
        for (uint32_t j = 0; j < dim; j++) out[j] = x[j] * inv_norm;
    else
        memcpy(out, x, dim * sizeof *out);
}

void
hwi_model_axes(const hwi_model *m, const float *framed, float *y)
{
    m->kernels->matvec_columns(m->columns, m->out_dims, framed, m->dim, y);
}

void
hwi_model_axes_fast(const hwi_model *m, const float *framed, const int8_t *q8, float q8_scale,
                    uint8_t *bytes, float *y)
{
    const float *scale = m->fast_scale, *sum = m->fast_sum;
    uint32_t out_dims = m->out_dims;
    int32_t sums[HWI_BITS_MAX];

    if (!m->fast) {
        hwi_model_axes(m, framed, y);
        return;
    }
    hwi_shift_i8(q8, m->fast_dims, bytes);
    m->kernels->dot_u8_blocks(bytes, m->fast, out_dims / 16, m->fast_dims, sums);
    for (uint32_t i = 0; i < out_dims; i++)
        y[i] = q8_scale * scale[i] * ((float)sums[i] - 128 * sum[i]);
}

void
hwi_model_axes_many(const hwi_model *m, const float *framed, size_t count, float *y)
{
    m->kernels->product(framed, m->dim, count, m->panels, m->dc, m->dim, y, m->dc);
}

void
hwi_model_hash(const hwi_model *m, const float *y, float *z)
{
    const float *first = m->signs, *second = m->signs + m->bits;

    for (uint32_t j = 0; j < m->dc; j++) z[j] = y[j] * first[j];
    for (uint32_t j = m->dc; j < m->bits; j++) z[j] = 0;
    m->kernels->fht(z, m->bits);
    for (uint32_t j = 0; j < m->bits; j++) z[j] *= second[j];
    m->kernels->fht(z, m->bits);
}
