/* scalar.c - the specification of every kernel, as plain loops.
 *
 * The other tables must give the same bits, not merely nearby ones, so that a database answers
 * alike on every machine it is copied to. Two rules make that possible without slowing the wide
 * tables:
 *
 *   - A product that is added is fused (fmaf): one rounding, as the vector units do it.
 *
 *   - A long sum is HWI_SUM_LANES sums, element j going to sum j % 32, folded by halves at last:
 *
 *        j:   0  1  2 ... 31 | 32 33 34 ... 63 | ...
 *             v  v  v     v
 *        sum[0..31]  ->  16 + 16  ->  8 + 8  ->  4 + 4  ->  2 + 2  ->  1 + 1
 *
 *     That is two registers of AVX-512, four of AVX2, eight of NEON. It is also more exact than
 *     one running sum.
 *
 * Road not taken: a running sum in double precision. It is shorter, but no wide table could match
 * it bit for bit, and tests would be left with tolerances. */
#include "kernel.h"

#include <math.h>

#include "cut.h"

static float
fold(float *sum)
{
    for (size_t half = HWI_SUM_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) sum[i] += sum[i + half];
    return sum[0];
}

/* ---- full-precision distances ---- */

/* Rows may lie at any address, as in a mapped page. */
static inline float
load(const float *values, size_t j)
{
    return hwi_get_f32((const char *)values + 4 * j);
}

static float
l2sq(const float *query, const float *row, size_t dims)
{
    float sum[HWI_SUM_LANES] = {0};
    for (size_t j = 0; j < dims; j++) {
        float difference = load(query, j) - load(row, j);
        sum[j % HWI_SUM_LANES] = fmaf(difference, difference, sum[j % HWI_SUM_LANES]);
    }
    return fold(sum);
}

static float
dot(const float *query, const float *row, size_t dims)
{
    float sum[HWI_SUM_LANES] = {0};
    for (size_t j = 0; j < dims; j++)
        sum[j % HWI_SUM_LANES] = fmaf(load(query, j), load(row, j), sum[j % HWI_SUM_LANES]);
    return fold(sum);
}

static float
l1(const float *query, const float *row, size_t dims)
{
    float sum[HWI_SUM_LANES] = {0};
    for (size_t j = 0; j < dims; j++)
        sum[j % HWI_SUM_LANES] += fabsf(load(query, j) - load(row, j));
    return fold(sum);
}

typedef float (*distance)(const float *query, const float *row, size_t dims);

static inline void
each_row(distance f, const float *query, const void *base, size_t stride_bytes, size_t rows,
         size_t dims, float *out)
{
    for (size_t i = 0; i < rows; i++)
        out[i] = f(query, (const void *)((const char *)base + i * stride_bytes), dims);
}

static inline void
each_gathered(distance f, const float *query, const float *const *rows, size_t count, size_t dims,
              float *out)
{
    for (size_t i = 0; i < count; i++) out[i] = f(query, rows[i], dims);
}

static void
l2sq_rows(const float *query, const void *base, size_t stride_bytes, size_t rows, size_t dims,
          float *out)
{
    each_row(l2sq, query, base, stride_bytes, rows, dims, out);
}

static void
dot_rows(const float *query, const void *base, size_t stride_bytes, size_t rows, size_t dims,
         float *out)
{
    each_row(dot, query, base, stride_bytes, rows, dims, out);
}

static void
l1_rows(const float *query, const void *base, size_t stride_bytes, size_t rows, size_t dims,
        float *out)
{
    each_row(l1, query, base, stride_bytes, rows, dims, out);
}

static void
l2sq_gather(const float *query, const float *const *rows, size_t count, size_t dims, float *out)
{
    each_gathered(l2sq, query, rows, count, dims, out);
}

static void
dot_gather(const float *query, const float *const *rows, size_t count, size_t dims, float *out)
{
    each_gathered(dot, query, rows, count, dims, out);
}

static void
l1_gather(const float *query, const float *const *rows, size_t count, size_t dims, float *out)
{
    each_gathered(l1, query, rows, count, dims, out);
}

/* ---- rotation ---- */

static void
matvec_columns(const float *columns, size_t out_dims, const float *x, size_t dims, float *y)
{
    for (size_t i = 0; i < out_dims; i++) y[i] = 0;
    for (size_t j = 0; j < dims; j++)
        for (size_t i = 0; i < out_dims; i++) y[i] = fmaf(columns[j * out_dims + i], x[j], y[i]);
}

static void
fht(float *v, size_t m)
{
    for (size_t half = 1; half < m; half *= 2)
        for (size_t at = 0; at < m; at += 2 * half)
            for (size_t i = at; i < at + half; i++) {
                float a = v[i], b = v[i + half];
                v[i] = a + b;
                v[i + half] = a - b;
            }
}

/* ---- quantisation ---- */

static float
largest(const float *x, size_t dims)
{
    float most = 0;
    for (size_t j = 0; j < dims; j++) most = HWI_MAX(most, fabsf(load(x, j)));
    return most;
}

static int32_t
round_i8(const float *x, size_t dims, float factor, float limit, int8_t *q)
{
    int32_t sum = 0;
    for (size_t j = 0; j < dims; j++) {
        float scaled = load(x, j) * factor;
        q[j] = (int8_t)lrintf(HWI_MAX(HWI_MIN(scaled, limit), -limit));
        sum += q[j];
    }
    return sum;
}

/* ---- int8 blocks ---- */

static int32_t
dot_lane(const uint8_t *q, const int8_t *block, size_t lane, size_t dims)
{
    int32_t sum = 0;
    for (size_t j = 0; j < dims; j++)
        sum += q[j] * block[j / 4 * (4 * HWI_LANES) + lane * 4 + j % 4];
    return sum;
}

static void
dot_u8_blocks(const uint8_t *q, const int8_t *blocks, size_t block_count, size_t dims,
              int32_t *sums)
{
    for (size_t i = 0; i < block_count * HWI_LANES; i++)
        sums[i] = dot_lane(q, blocks + i / HWI_LANES * (HWI_LANES * dims), i % HWI_LANES, dims);
}

static void
rank_blocks(const uint8_t *q, float q_scale, const int8_t *blocks, const float *scale,
            const float *norm, const float *code_sum, size_t block_count, size_t dims, float *out)
{
    for (size_t i = 0; i < block_count * HWI_LANES; i++) {
        int32_t sum = dot_lane(q, blocks + i / HWI_LANES * (HWI_LANES * dims), i % HWI_LANES, dims);
        float ip = fmaf(-128.0f, code_sum[i], (float)sum);
        out[i] = fmaf(ip, scale[i] * (-2.0f * q_scale), norm[i]);
    }
}

#include "rank.h"

static size_t
select_le(const float *v, size_t n, float cut, uint32_t *index, float *value)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] <= cut)) continue;
        index[found] = (uint32_t)i;
        value[found++] = v[i];
    }
    return found;
}

/* ---- signatures ---- */

static int32_t
signature_ip(const uint8_t *block, size_t lane, size_t words, const hwi_scan_query *query)
{
    int32_t ip = 0;
    for (size_t w = 0; w < words; w++)
        for (size_t b = 0; b < 4; b++) {
            uint8_t bits = block[(w * HWI_LANES + lane) * 4 + b]; /* words are little-endian */
            ip += query->table[w][0][b][bits & 15] + query->table[w][1][b][bits >> 4];
        }
    return ip;
}

static size_t
scan(const uint8_t *blocks, size_t block_count, size_t words, const hwi_scan_query *query,
     float scale, float bias, float cut, uint32_t first_row, uint32_t *row, float *bound)
{
    size_t found = 0;
    for (size_t i = 0; i < block_count * HWI_LANES; i++) {
        const uint8_t *block = blocks + i / HWI_LANES * HWI_SIGNATURE_BLOCK_BYTES(words);
        size_t lane = i % HWI_LANES;
        float a = hwi_get_f32(block + words * 64 + lane * 4);
        float s = hwi_get_f32(block + words * 64 + 64 + lane * 4);
        float ip = (float)signature_ip(block, lane, words, query);
        float e = fmaf(-s, fmaf(scale, ip, bias), a);
        if (!(e < cut)) continue;
        row[found] = first_row + (uint32_t)i;
        bound[found++] = e;
    }
    return found;
}

/* ---- refine codes ---- */

static void
dot_codes(const int8_t *q, const uint8_t *const *codes, size_t count, size_t dims, int32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        int32_t sum = 0;
        for (size_t j = 0; j < dims; j++) sum += codes[i][j] * q[j];
        out[i] = sum;
    }
}

static void
dot_nibbles(const int8_t *q, const uint8_t *const *codes, size_t count, size_t half, int32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        int32_t sum = 0;
        for (size_t j = 0; j < half; j++)
            sum += (codes[i][j] & 15) * q[j] + (codes[i][j] >> 4) * q[half + j];
        out[i] = sum;
    }
}

/* ---- products ---- */

static float
panel_product(const float *row, const float *panels, size_t k, size_t dims)
{
    const float *vector = panels + k / HWI_PANEL * HWI_PANEL * dims + k % HWI_PANEL;
    float sum = 0;
    for (size_t j = 0; j < dims; j++) sum = fmaf(vector[j * HWI_PANEL], row[j], sum);
    return sum;
}

static void
product(const float *a, size_t stride, size_t rows, const float *panels, size_t count, size_t dims,
        float *out, size_t out_stride)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < count; k++)
            out[i * out_stride + k] = panel_product(a + i * stride, panels, k, dims);
}

const hwi_kernels hwi_kernels_scalar = {
    .name = "scalar",
    .needs = 0,
    .l2sq_rows = l2sq_rows,
    .dot_rows = dot_rows,
    .l1_rows = l1_rows,
    .l2sq_gather = l2sq_gather,
    .dot_gather = dot_gather,
    .l1_gather = l1_gather,
    .matvec_columns = matvec_columns,
    .fht = fht,
    .largest = largest,
    .round_i8 = round_i8,
    .dot_u8_blocks = dot_u8_blocks,
    .rank_blocks = rank_blocks,
    .rank_rows = rank_rows,
    .cut = cut_for,
    .select_le = select_le,
    .scan = scan,
    .product = product,
    .dot_codes = dot_codes,
    .dot_nibbles = dot_nibbles,
};
