/* neon.c - the kernels for 64-bit ARM, with what every such processor has.
 *
 *   distances   The 32 partial sums of scalar.c are eight registers; two rows take sixteen of
 *               the thirty-two. Tails are copied to a small array of zeros.
 *
 *   int8        Bytes are widened to 16 bits and multiplied into 32, which is exact. The
 *               dot-product extension would be faster but is not in every processor.
 *
 *   scan        ld4 loads a word of 16 rows as four registers, one per byte number: just what
 *               tbl wants, one table of 16 entries for 16 rows. Sums are 16 bits wide: 256
 *               lookups of -128..127 fit.
 *
 * Survivors are written one by one: they are rare. */
#include "kernel.h"

#if !defined(__ARM_NEON) || !defined(__aarch64__)
#error "neon.c is for 64-bit ARM"
#endif

#include <arm_neon.h>

#include "cut.h"

#define INLINE static inline __attribute__((always_inline))
#define WIDTH 4u /* floats in a register */

/* Kernels take floats at any address; the intrinsics' pointers promise alignment to the compiler.
 */
INLINE float32x4_t
load(const float *at)
{
    return vreinterpretq_f32_u8(vld1q_u8((const void *)at));
}

/* ---- full-precision distances ---- */

#define PARTS 8u /* registers of partial sums for a row */
#define ROWS_MAX 2u

_Static_assert(PARTS *WIDTH == HWI_SUM_LANES, "a row's partial sums fill its registers");

typedef enum metric { L2SQ, DOT, L1 } metric;

INLINE float32x4_t
add_term(metric m, float32x4_t sum, float32x4_t q, float32x4_t r)
{
    if (m == DOT) return vfmaq_f32(sum, q, r);
    float32x4_t difference = vsubq_f32(q, r);
    if (m == L1) return vaddq_f32(sum, vabsq_f32(difference));
    return vfmaq_f32(sum, difference, difference);
}

/* The folds by halves, 16 + 16 to 1 + 1. */
INLINE float
fold(float32x4_t *part)
{
    for (size_t half = PARTS / 2; half > 0; half /= 2)
        for (size_t p = 0; p < half; p++) part[p] = vaddq_f32(part[p], part[p + half]);
    float32x2_t two = vadd_f32(vget_low_f32(part[0]), vget_high_f32(part[0]));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

INLINE void
add_lanes(metric m, const float *query, const float *row, float32x4_t *sum)
{
    for (size_t p = 0; p < PARTS; p++)
        sum[p] = add_term(m, sum[p], load(query + p * WIDTH), load(row + p * WIDTH));
}

/* Distances of 1 or 2 rows. */
INLINE void
measure(metric m, const float *query, const float *const *row, size_t rows, size_t dims, float *out)
{
    float32x4_t sum[ROWS_MAX][PARTS];
    size_t j = 0;

    for (size_t r = 0; r < rows; r++)
        for (size_t p = 0; p < PARTS; p++) sum[r][p] = vdupq_n_f32(0);
    for (; j + HWI_SUM_LANES <= dims; j += HWI_SUM_LANES)
        for (size_t r = 0; r < rows; r++) add_lanes(m, query + j, row[r] + j, sum[r]);
    if (j < dims) {
        float query_tail[HWI_SUM_LANES] = {0}, row_tail[HWI_SUM_LANES] = {0};
        memcpy(query_tail, query + j, (dims - j) * 4);
        for (size_t r = 0; r < rows; r++) {
            memcpy(row_tail, row[r] + j, (dims - j) * 4);
            add_lanes(m, query_tail, row_tail, sum[r]);
        }
    }
    for (size_t r = 0; r < rows; r++) out[r] = fold(sum[r]);
}

INLINE void
measure_gathered(metric m, const float *query, const float *const *rows, size_t count, size_t dims,
                 float *out)
{
    size_t i = 0;
    for (; i + ROWS_MAX <= count; i += ROWS_MAX)
        measure(m, query, rows + i, ROWS_MAX, dims, out + i);
    for (; i < count; i++) measure(m, query, rows + i, 1, dims, out + i);
}

INLINE void
measure_rows(metric m, const float *query, const void *base, size_t stride_bytes, size_t rows,
             size_t dims, float *out)
{
    const char *at = base;
    const float *row[ROWS_MAX];
    size_t i = 0;

    for (; i + ROWS_MAX <= rows; i += ROWS_MAX) {
        for (size_t r = 0; r < ROWS_MAX; r++, at += stride_bytes) row[r] = (const void *)at;
        measure(m, query, row, ROWS_MAX, dims, out + i);
    }
    for (; i < rows; i++, at += stride_bytes) {
        row[0] = (const void *)at;
        measure(m, query, row, 1, dims, out + i);
    }
}

static void
l2sq_rows(const float *query, const void *base, size_t stride_bytes, size_t rows, size_t dims,
          float *out)
{
    measure_rows(L2SQ, query, base, stride_bytes, rows, dims, out);
}

static void
dot_rows(const float *query, const void *base, size_t stride_bytes, size_t rows, size_t dims,
         float *out)
{
    measure_rows(DOT, query, base, stride_bytes, rows, dims, out);
}

static void
l1_rows(const float *query, const void *base, size_t stride_bytes, size_t rows, size_t dims,
        float *out)
{
    measure_rows(L1, query, base, stride_bytes, rows, dims, out);
}

static void
l2sq_gather(const float *query, const float *const *rows, size_t count, size_t dims, float *out)
{
    measure_gathered(L2SQ, query, rows, count, dims, out);
}

static void
dot_gather(const float *query, const float *const *rows, size_t count, size_t dims, float *out)
{
    measure_gathered(DOT, query, rows, count, dims, out);
}

static void
l1_gather(const float *query, const float *const *rows, size_t count, size_t dims, float *out)
{
    measure_gathered(L1, query, rows, count, dims, out);
}

/* ---- rotation ---- */

#define STRIP 4u /* registers of outputs kept at once: 16 values, the unit of out_dims */

static void
matvec_columns(const float *columns, size_t out_dims, const float *x, size_t dims, float *y)
{
    for (size_t i = 0; i < out_dims; i += STRIP * WIDTH) {
        const float *column = columns + i;
        float32x4_t sum[STRIP];
        for (size_t p = 0; p < STRIP; p++) sum[p] = vdupq_n_f32(0);
        for (size_t j = 0; j < dims; j++, column += out_dims)
            for (size_t p = 0; p < STRIP; p++)
                sum[p] = vfmaq_n_f32(sum[p], load(column + p * WIDTH), x[j]);
        for (size_t p = 0; p < STRIP; p++) vst1q_f32(y + i + p * WIDTH, sum[p]);
    }
}

/* Butterflies between the lanes of one register, distances 1 and 2: partner + own * sign. */
INLINE float32x4_t
fht_lanes(float32x4_t v)
{
    const float32x4_t sign1 = {1, -1, 1, -1}, sign2 = {1, 1, -1, -1};
    v = vfmaq_f32(vrev64q_f32(v), v, sign1);
    return vfmaq_f32(vextq_f32(v, v, 2), v, sign2);
}

static void
fht(float *v, size_t m)
{
    for (size_t i = 0; i < m; i += WIDTH) vst1q_f32(v + i, fht_lanes(vld1q_f32(v + i)));
    for (size_t half = WIDTH; half < m; half *= 2)
        for (size_t at = 0; at < m; at += 2 * half)
            for (size_t i = at; i < at + half; i += WIDTH) {
                float32x4_t a = vld1q_f32(v + i), b = vld1q_f32(v + i + half);
                vst1q_f32(v + i, vaddq_f32(a, b));
                vst1q_f32(v + i + half, vsubq_f32(a, b));
            }
}

/* ---- quantisation ---- */

static float
largest(const float *x, size_t dims)
{
    float32x4_t most = vdupq_n_f32(0);
    size_t j = 0;
    for (; j + WIDTH <= dims; j += WIDTH) most = vmaxq_f32(most, vabsq_f32(load(x + j)));
    float all = vmaxvq_f32(most);
    for (; j < dims; j++) all = HWI_MAX(all, __builtin_fabsf(x[j]));
    return all;
}

static int32_t
round_i8(const float *x, size_t dims, float factor, float limit, int8_t *q)
{
    const float32x4_t top = vdupq_n_f32(limit), bottom = vdupq_n_f32(-limit);
    int32x4_t sum = vdupq_n_s32(0);

    for (size_t j = 0; j < dims; j += WIDTH) {
        size_t left = HWI_MIN(dims - j, WIDTH);
        float values[WIDTH] = {0};
        memcpy(values, x + j, left * 4);
        float32x4_t scaled = vmulq_n_f32(vld1q_f32(values), factor);
        int32x4_t v = vcvtnq_s32_f32(vmaxq_f32(vminq_f32(scaled, top), bottom));
        int16x4_t narrow = vmovn_s32(v);
        int8x8_t bytes = vmovn_s16(vcombine_s16(narrow, narrow));
        memcpy(q + j, &bytes, left);
        sum = vaddq_s32(sum, v);
    }
    return vaddvq_s32(sum);
}

/* ---- int8 blocks ---- */

/* Sums of one block as four registers of 4 vectors. */
INLINE void
dot_block(const uint8_t *q, const int8_t *block, size_t dims, int32x4_t *sum)
{
    int32x4_t half[8]; /* two halves of a sum side by side, 2 vectors a register */

    for (size_t i = 0; i < 8; i++) half[i] = vdupq_n_s32(0);
    for (size_t j = 0; j < dims; j += 4, block += 64) {
        uint32_t four;
        memcpy(&four, q + j, 4);
        uint16x8_t q8 = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
        int16x4_t q4 = vreinterpret_s16_u16(vget_low_u16(q8));
        for (size_t i = 0; i < 8; i++) {
            int16x8_t wide = vmovl_s8(vld1_s8(block + i * 8));
            int32x4_t first = vmull_s16(vget_low_s16(wide), q4);
            int32x4_t second = vmull_s16(vget_high_s16(wide), q4);
            half[i] = vaddq_s32(half[i], vpaddq_s32(first, second));
        }
    }
    for (size_t i = 0; i < 4; i++) sum[i] = vpaddq_s32(half[2 * i], half[2 * i + 1]);
}

static void
dot_u8_blocks(const uint8_t *q, const int8_t *blocks, size_t block_count, size_t dims,
              int32_t *sums)
{
    int32x4_t sum[4];
    for (size_t b = 0; b < block_count; b++) {
        dot_block(q, blocks + b * HWI_LANES * dims, dims, sum);
        memcpy(sums + b * HWI_LANES, sum, sizeof sum);
    }
}

static void
rank_blocks(const uint8_t *q, float q_scale, const int8_t *blocks, const float *scale,
            const float *norm, const float *code_sum, size_t block_count, size_t dims, float *out)
{
    int32x4_t sum[4];
    for (size_t b = 0; b < block_count; b++) {
        dot_block(q, blocks + b * HWI_LANES * dims, dims, sum);
        for (size_t i = 0; i < 4; i++) {
            size_t at = b * HWI_LANES + i * WIDTH;
            float32x4_t ip = vfmaq_n_f32(vcvtq_f32_s32(sum[i]), load(code_sum + at), -128.0f);
            float32x4_t step = vmulq_n_f32(load(scale + at), -2.0f * q_scale);
            vst1q_f32(out + at, vfmaq_f32(load(norm + at), ip, step));
        }
    }
}

#include "rank.h"

/* ---- selection ---- */

/* Writes the lanes of v whose mask is set; returns how many. */
INLINE size_t
keep(uint32x4_t mask, float32x4_t v, uint32_t first, uint32_t *index_out, float *value_out)
{
    uint32_t set[WIDTH];
    float value[WIDTH];
    size_t found = 0;

    if (vmaxvq_u32(mask) == 0) return 0;
    vst1q_u32(set, mask);
    vst1q_f32(value, v);
    for (uint32_t i = 0; i < WIDTH; i++) {
        if (!set[i]) continue;
        index_out[found] = first + i;
        value_out[found++] = value[i];
    }
    return found;
}

static size_t
select_le(const float *v, size_t n, float cut, uint32_t *index, float *value)
{
    const float32x4_t limit = vdupq_n_f32(cut);
    size_t found = 0, i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        float32x4_t x = load(v + i);
        found += keep(vcleq_f32(x, limit), x, (uint32_t)i, index + found, value + found);
    }
    for (; i < n; i++) {
        if (!(v[i] <= cut)) continue;
        index[found] = (uint32_t)i;
        value[found++] = v[i];
    }
    return found;
}

/* ---- signatures ---- */

/* The inner products of a block's rows 0-7 and 8-15. */
INLINE void
signature_ip(const uint8_t *block, size_t words, const hwi_scan_query *query, int16x8_t *ip)
{
    const uint8x16_t nibble = vdupq_n_u8(15);

    ip[0] = ip[1] = vdupq_n_s16(0);
    for (size_t w = 0; w < words; w++) {
        uint8x16x4_t bytes = vld4q_u8(block + w * 64);
        for (size_t b = 0; b < 4; b++) {
            int8x16_t low =
                vqtbl1q_s8(vld1q_s8(query->table[w][0][b]), vandq_u8(bytes.val[b], nibble));
            int8x16_t high =
                vqtbl1q_s8(vld1q_s8(query->table[w][1][b]), vshrq_n_u8(bytes.val[b], 4));
            ip[0] = vaddw_s8(vaddw_s8(ip[0], vget_low_s8(low)), vget_low_s8(high));
            ip[1] = vaddw_high_s8(vaddw_high_s8(ip[1], low), high);
        }
    }
}

static size_t
scan(const uint8_t *blocks, size_t block_count, size_t words, const hwi_scan_query *query,
     float scale, float bias, float cut, uint32_t first_row, uint32_t *row, float *bound)
{
    const float32x4_t scales = vdupq_n_f32(scale), biases = vdupq_n_f32(bias);
    const float32x4_t limit = vdupq_n_f32(cut);
    size_t found = 0;

    for (size_t b = 0; b < block_count; b++, blocks += HWI_SIGNATURE_BLOCK_BYTES(words)) {
        int16x8_t ip[2];
        signature_ip(blocks, words, query, ip);
        for (size_t i = 0; i < 4; i++, first_row += WIDTH) {
            const float *factors = (const void *)(blocks + words * 64 + i * 16);
            int16x4_t four = i % 2 ? vget_high_s16(ip[i / 2]) : vget_low_s16(ip[i / 2]);
            float32x4_t t = vfmaq_f32(biases, scales, vcvtq_f32_s32(vmovl_s16(four)));
            float32x4_t e = vfmsq_f32(load(factors), load(factors + HWI_LANES), t);
            found += keep(vcltq_f32(e, limit), e, first_row, row + found, bound + found);
        }
    }
    return found;
}

/* ---- refine codes ---- */

static void
dot_codes(const int8_t *q, const uint8_t *const *codes, size_t count, size_t dims, int32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        int32x4_t low_sum = vdupq_n_s32(0), high_sum = low_sum;
        for (size_t j = 0; j < dims; j += 8) {
            int16x8_t c = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(codes[i] + j)));
            int16x8_t qj = vmovl_s8(vld1_s8(q + j));
            low_sum = vmlal_s16(low_sum, vget_low_s16(c), vget_low_s16(qj));
            high_sum = vmlal_high_s16(high_sum, c, qj);
        }
        out[i] = vaddvq_s32(vaddq_s32(low_sum, high_sum));
    }
}

static void
dot_nibbles(const int8_t *q, const uint8_t *const *codes, size_t count, size_t half, int32_t *out)
{
    const uint8x16_t nibble = vdupq_n_u8(15);

    for (size_t i = 0; i < count; i++) {
        int32x4_t sum = vdupq_n_s32(0);
        for (size_t j = 0; j < half; j += 16) {
            uint8x16_t both = vld1q_u8(codes[i] + j);
            int8x16_t low = vreinterpretq_s8_u8(vandq_u8(both, nibble));
            int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
            int8x16_t q_low = vld1q_s8(q + j), q_high = vld1q_s8(q + half + j);
            /* four products of at most 1920 in size fit 16 bits */
            int16x8_t products = vmull_s8(vget_low_s8(low), vget_low_s8(q_low));
            products = vmlal_high_s8(products, low, q_low);
            products = vmlal_s8(products, vget_low_s8(high), vget_low_s8(q_high));
            products = vmlal_high_s8(products, high, q_high);
            sum = vpadalq_s16(sum, products);
        }
        out[i] = vaddvq_s32(sum);
    }
}

/* ---- products ---- */

#define PRODUCT_WIDTH 4
#define PRODUCT_ROWS 6
#define PRODUCT_REGISTERS 4
#define PRODUCT_SPLAT(x) ((product_register)vdupq_n_f32(x))
#define PRODUCT_ADD(a, b, c)                                                                       \
    ((product_register)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#include "product.h"

const hwi_kernels hwi_kernels_neon = {
    .name = "neon",
    .needs = HWI_CPU_NEON,
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
