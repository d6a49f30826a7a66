/* avx512.c - the kernels for AVX-512 with VBMI and VNNI (Ice Lake, Zen 4 and later).
 *
 * One register holds 16 floats or one 64-byte line of a block, so every layout here was chosen for
 * this table: a line of a signature block is one word of 16 rows, a line of an int8 block four
 * components of 16 vectors.
 *
 *   distances   Four rows at a time: the query is loaded once, four rows' cache misses overlap,
 *               and the four folds at the end share their shuffles. Long scattered rows go up to
 *               thirteen at a time, as many as there are registers for: the processor fetches
 *               ahead in each of them. 13 rows of 784 floats from memory take 3.8 us so, 4.4 us
 *               by fours; rows of 192 floats and less end before that begins, and are up to a
 *               seventh slower so. Tails are masked loads; a zero adds nothing.
 *
 *   scan        A nibble and its byte's number in the word make a 6-bit index, which is what
 *               vpermb looks up in one go:
 *
 *                   word   b3 b2 b1 b0       index   [3|low b3] [2|low b2] [1|low b1] [0|low b0]
 *                                            table   64 bytes: table[w][0][byte][nibble]
 *
 *               vpdpbusd with ones then adds four bytes to a row's sum: 7 instructions for 32
 *               bits of 16 rows. The road not taken, counting bits (and, vpopcntd, add for each
 *               of four query planes), needs 12 and allows only 4-bit queries: 0.70 instead of
 *               0.45 ns a row at 128 bits.
 *
 *   fht         Up to 256 values stay in 16 registers; butterflies inside a register are a
 *               shuffle and one fused multiply-add by +-1, which rounds like the plain sum.
 *
 * Sums of distances follow the 32 lanes of scalar.c: two registers a row, folded by halves. */
#include "kernel.h"

#if !defined(__AVX512VBMI__) || !defined(__AVX512VNNI__) || !defined(__AVX512BW__) ||              \
    !defined(__AVX512DQ__) || !defined(__AVX512VL__)
#error "avx512.c needs -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mavx512vnni"
#endif

#include <immintrin.h>

#include "cut.h"

#define INLINE static inline __attribute__((always_inline))
#define WIDTH 16u /* floats in a register */

/* ---- full-precision distances ---- */

#define ROWS_MAX 4u
#define GATHER_MAX 13u   /* two registers each, and some for the query */
#define GATHER_LONG 256u /* floats from which on more than four rows gain */

typedef enum metric { L2SQ, DOT, L1 } metric;

INLINE __m512
add_term(metric m, __m512 sum, __m512 q, __m512 r)
{
    if (m == DOT) return _mm512_fmadd_ps(q, r, sum);
    __m512 difference = _mm512_sub_ps(q, r);
    if (m == L1) return _mm512_add_ps(sum, _mm512_abs_ps(difference));
    return _mm512_fmadd_ps(difference, difference, sum);
}

/* The folds 16 + 16, 8 + 8 and 4 + 4 of one row's sums. */
INLINE __m128
fold_to_4(__m512 low, __m512 high)
{
    __m512 v = _mm512_add_ps(low, high);
    __m256 w = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
}

/* The folds 2 + 2 and 1 + 1. */
INLINE float
fold_4(__m128 v)
{
    __m128 two = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* The same of four rows at once: the same additions, transposed. */
INLINE __m128
fold_4_rows(const __m128 *v)
{
    __m128 a = _mm_add_ps(_mm_movelh_ps(v[0], v[1]), _mm_movehl_ps(v[1], v[0]));
    __m128 b = _mm_add_ps(_mm_movelh_ps(v[2], v[3]), _mm_movehl_ps(v[3], v[2]));
    return _mm_add_ps(_mm_shuffle_ps(a, b, 0x88), _mm_shuffle_ps(a, b, 0xDD));
}

/* Distances of some rows, side by side; how many is known when it is compiled. */
INLINE void
measure(metric m, const float *query, const float *const *row, size_t rows, size_t dims, float *out)
{
    __m512 low[GATHER_MAX], high[GATHER_MAX];
    __m128 four[GATHER_MAX];
    size_t j = 0, i = 0;

    for (size_t r = 0; r < rows; r++) low[r] = high[r] = _mm512_setzero_ps();
    for (; j + HWI_SUM_LANES <= dims; j += HWI_SUM_LANES) {
        __m512 q0 = _mm512_loadu_ps(query + j), q1 = _mm512_loadu_ps(query + j + WIDTH);
        for (size_t r = 0; r < rows; r++) {
            low[r] = add_term(m, low[r], q0, _mm512_loadu_ps(row[r] + j));
            high[r] = add_term(m, high[r], q1, _mm512_loadu_ps(row[r] + j + WIDTH));
        }
    }
    if (j < dims) {
        uint32_t mask = (1u << (dims - j)) - 1;
        __mmask16 m0 = (__mmask16)mask, m1 = (__mmask16)(mask >> WIDTH);
        __m512 q0 = _mm512_maskz_loadu_ps(m0, query + j);
        __m512 q1 = _mm512_maskz_loadu_ps(m1, query + j + WIDTH);
        for (size_t r = 0; r < rows; r++) {
            low[r] = add_term(m, low[r], q0, _mm512_maskz_loadu_ps(m0, row[r] + j));
            high[r] = add_term(m, high[r], q1, _mm512_maskz_loadu_ps(m1, row[r] + j + WIDTH));
        }
    }
    for (size_t r = 0; r < rows; r++) four[r] = fold_to_4(low[r], high[r]);
    for (; i + 4 <= rows; i += 4) _mm_storeu_ps(out + i, fold_4_rows(four + i));
    for (; i < rows; i++) out[i] = fold_4(four[i]);
}

#define MEASURE(n)                                                                                 \
    case n:                                                                                        \
        measure(m, query, rows, n, dims, out);                                                     \
        break;

INLINE void
measure_gathered(metric m, const float *query, const float *const *rows, size_t count, size_t dims,
                 float *out)
{
    size_t most = dims < GATHER_LONG ? ROWS_MAX : GATHER_MAX;

    while (count > 0) {
        size_t turns = (count + most - 1) / most, n = (count + turns - 1) / turns;
        switch (n) {
            MEASURE(1)
            MEASURE(2)
            MEASURE(3)
            MEASURE(4)
            MEASURE(5)
            MEASURE(6)
            MEASURE(7)
            MEASURE(8)
            MEASURE(9)
            MEASURE(10)
            MEASURE(11)
            MEASURE(12)
            MEASURE(13)
        }
        rows += n, out += n, count -= n;
    }
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

#define STRIP_MAX 8u /* registers of outputs kept at once: hides the latency of the additions */

INLINE void
matvec_strip(const float *columns, size_t out_dims, const float *x, size_t dims, size_t registers,
             float *y)
{
    __m512 sum[STRIP_MAX];
    for (size_t i = 0; i < registers; i++) sum[i] = _mm512_setzero_ps();
    for (size_t j = 0; j < dims; j++, columns += out_dims) {
        __m512 xj = _mm512_set1_ps(x[j]);
        for (size_t i = 0; i < registers; i++)
            sum[i] = _mm512_fmadd_ps(_mm512_loadu_ps(columns + i * WIDTH), xj, sum[i]);
    }
    for (size_t i = 0; i < registers; i++) _mm512_storeu_ps(y + i * WIDTH, sum[i]);
}

static void
matvec_columns(const float *columns, size_t out_dims, const float *x, size_t dims, float *y)
{
    size_t i = 0;
    for (; i + STRIP_MAX * WIDTH <= out_dims; i += STRIP_MAX * WIDTH)
        matvec_strip(columns + i, out_dims, x, dims, STRIP_MAX, y + i);
    columns += i, y += i;
    switch ((out_dims - i) / WIDTH) {
    case 7:
        matvec_strip(columns, out_dims, x, dims, 7, y);
        break;
    case 6:
        matvec_strip(columns, out_dims, x, dims, 6, y);
        break;
    case 5:
        matvec_strip(columns, out_dims, x, dims, 5, y);
        break;
    case 4:
        matvec_strip(columns, out_dims, x, dims, 4, y);
        break;
    case 3:
        matvec_strip(columns, out_dims, x, dims, 3, y);
        break;
    case 2:
        matvec_strip(columns, out_dims, x, dims, 2, y);
        break;
    case 1:
        matvec_strip(columns, out_dims, x, dims, 1, y);
        break;
    default:
        break;
    }
}

/* Butterflies between the lanes of one register, distances 1, 2, 4 and 8: partner + own * sign. */
INLINE __m512
fht_lanes(__m512 v)
{
    const __m512 one = _mm512_set1_ps(1.0f), minus = _mm512_set1_ps(-1.0f);
    v = _mm512_fmadd_ps(v, _mm512_mask_mov_ps(one, 0xAAAA, minus), _mm512_permute_ps(v, 0xB1));
    v = _mm512_fmadd_ps(v, _mm512_mask_mov_ps(one, 0xCCCC, minus), _mm512_permute_ps(v, 0x4E));
    v = _mm512_fmadd_ps(v, _mm512_mask_mov_ps(one, 0xF0F0, minus),
                        _mm512_shuffle_f32x4(v, v, 0xB1));
    return _mm512_fmadd_ps(v, _mm512_mask_mov_ps(one, 0xFF00, minus),
                           _mm512_shuffle_f32x4(v, v, 0x4E));
}

/* All levels within `registers` (a power of two up to 16) registers of v. */
INLINE void
fht_strip(float *v, size_t registers)
{
    __m512 r[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < registers; i++) r[i] = fht_lanes(_mm512_load_ps(v + i * WIDTH));
#pragma GCC unroll 4
    for (size_t half = 1; half < registers; half *= 2)
#pragma GCC unroll 16
        for (size_t i = 0; i < registers; i++) {
            if (i & half) continue;
            __m512 a = r[i], b = r[i + half];
            r[i] = _mm512_add_ps(a, b);
            r[i + half] = _mm512_sub_ps(a, b);
        }
#pragma GCC unroll 16
    for (size_t i = 0; i < registers; i++) _mm512_store_ps(v + i * WIDTH, r[i]);
}

static void
fht_wide(float *v, size_t m)
{
    for (size_t at = 0; at < m; at += 16 * WIDTH) fht_strip(v + at, 16);
    for (size_t half = 16 * WIDTH; half < m; half *= 2)
        for (size_t at = 0; at < m; at += 2 * half)
            for (size_t i = at; i < at + half; i += WIDTH) {
                __m512 a = _mm512_load_ps(v + i), b = _mm512_load_ps(v + i + half);
                _mm512_store_ps(v + i, _mm512_add_ps(a, b));
                _mm512_store_ps(v + i + half, _mm512_sub_ps(a, b));
            }
}

static void
fht(float *v, size_t m)
{
    switch (m) {
    case 16:
        fht_strip(v, 1);
        break;
    case 32:
        fht_strip(v, 2);
        break;
    case 64:
        fht_strip(v, 4);
        break;
    case 128:
        fht_strip(v, 8);
        break;
    default:
        fht_wide(v, m);
        break;
    }
}

/* ---- quantisation ---- */

static float
largest(const float *x, size_t dims)
{
    __m512 most[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    size_t j = 0;

    for (; j + 2 * WIDTH <= dims; j += 2 * WIDTH)
        for (size_t i = 0; i < 2; i++)
            most[i] = _mm512_max_ps(most[i], _mm512_abs_ps(_mm512_loadu_ps(x + j + i * WIDTH)));
    for (; j < dims; j += WIDTH) {
        __mmask16 valid = (__mmask16)_bzhi_u32(0xFFFF, (uint32_t)(dims - j));
        most[0] = _mm512_max_ps(most[0], _mm512_abs_ps(_mm512_maskz_loadu_ps(valid, x + j)));
    }
    return _mm512_reduce_max_ps(_mm512_max_ps(most[0], most[1]));
}

static int32_t
round_i8(const float *x, size_t dims, float factor, float limit, int8_t *q)
{
    const __m512 scale = _mm512_set1_ps(factor);
    const __m512 top = _mm512_set1_ps(limit), bottom = _mm512_set1_ps(-limit);
    __m512i sum = _mm512_setzero_si512();

    for (size_t j = 0; j < dims; j += WIDTH) {
        __mmask16 valid = (__mmask16)_bzhi_u32(0xFFFF, (uint32_t)HWI_MIN(dims - j, WIDTH));
        __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(valid, x + j), scale);
        __m512i v = _mm512_cvtps_epi32(_mm512_max_ps(_mm512_min_ps(scaled, top), bottom));
        __m128i bytes = _mm512_cvtepi32_epi8(v);
        if (valid == 0xFFFF) /* a plain store can be read back at once, a masked one cannot */
            _mm_storeu_si128((void *)(q + j), bytes);
        else
            _mm_mask_storeu_epi8(q + j, valid, bytes);
        sum = _mm512_add_epi32(sum, v);
    }
    return _mm512_reduce_add_epi32(sum);
}

/* ---- int8 blocks ---- */

#define BLOCKS_MAX 6u /* 96 axes */

INLINE __m512i
four_of(const void *bytes)
{
    int32_t v;
    memcpy(&v, bytes, 4);
    return _mm512_set1_epi32(v);
}

/* Sums of 1 or 6 blocks. Even and odd groups of four add up apart, for latency. */
INLINE void
dot_blocks(const uint8_t *q, const int8_t *blocks, size_t count, size_t dims, __m512i *sum)
{
    __m512i odd[BLOCKS_MAX];
    size_t block_bytes = dims * HWI_LANES;

    for (size_t b = 0; b < count; b++) sum[b] = odd[b] = _mm512_setzero_si512();
    for (size_t j = 0; j < dims; j += 8, blocks += 128) {
        __m512i q0 = four_of(q + j), q1 = four_of(q + j + 4);
        for (size_t b = 0; b < count; b++) {
            const int8_t *line = blocks + b * block_bytes;
            sum[b] = _mm512_dpbusd_epi32(sum[b], q0, _mm512_loadu_si512(line));
            odd[b] = _mm512_dpbusd_epi32(odd[b], q1, _mm512_loadu_si512(line + 64));
        }
    }
    for (size_t b = 0; b < count; b++) sum[b] = _mm512_add_epi32(sum[b], odd[b]);
}

static void
dot_u8_blocks(const uint8_t *q, const int8_t *blocks, size_t block_count, size_t dims,
              int32_t *sums)
{
    __m512i sum[BLOCKS_MAX];
    size_t b = 0;

    for (; b + BLOCKS_MAX <= block_count; b += BLOCKS_MAX) {
        dot_blocks(q, blocks + b * HWI_LANES * dims, BLOCKS_MAX, dims, sum);
        for (size_t i = 0; i < BLOCKS_MAX; i++)
            _mm512_storeu_si512(sums + (b + i) * HWI_LANES, sum[i]);
    }
    for (; b < block_count; b++) {
        dot_blocks(q, blocks + b * HWI_LANES * dims, 1, dims, sum);
        _mm512_storeu_si512(sums + b * HWI_LANES, sum[0]);
    }
}

typedef struct rank_side {
    const int8_t *blocks;
    const float *scale, *norm, *code_sum;
    size_t dims;
} rank_side;

/* The scores of the block that begins at `at`, of its sums with a query; factor: -2 q_scale. */
INLINE __m512
rank_score(__m512i sum, float factor, const rank_side *s, size_t at)
{
    __m512 ip = _mm512_fmadd_ps(_mm512_set1_ps(-128.0f), _mm512_loadu_ps(s->code_sum + at),
                                _mm512_cvtepi32_ps(sum));
    __m512 step = _mm512_mul_ps(_mm512_loadu_ps(s->scale + at), _mm512_set1_ps(factor));
    return _mm512_fmadd_ps(ip, step, _mm512_loadu_ps(s->norm + at));
}

static void
rank_blocks(const uint8_t *q, float q_scale, const int8_t *blocks, const float *scale,
            const float *norm, const float *code_sum, size_t block_count, size_t dims, float *out)
{
    const rank_side s = {blocks, scale, norm, code_sum, dims};
    __m512i sum[BLOCKS_MAX];

    for (size_t b = 0; b < block_count;) {
        size_t count = block_count - b >= BLOCKS_MAX ? BLOCKS_MAX : 1;
        if (count == BLOCKS_MAX)
            dot_blocks(q, blocks + b * HWI_LANES * dims, BLOCKS_MAX, dims, sum);
        else
            dot_blocks(q, blocks + b * HWI_LANES * dims, 1, dims, sum);
        for (size_t i = 0; i < count; i++, b++) {
            size_t at = b * HWI_LANES;
            _mm512_storeu_ps(out + at, rank_score(sum[i], -2.0f * q_scale, &s, at));
        }
    }
}

/* Tiles of rows and blocks, as in product.h: a step loads a line of each block and broadcasts four
 * bytes of each row, so that the multipliers are what bounds it and not the loads of lines, which
 * bound rank_blocks. */
#define RANK_ROWS 12u
#define RANK_BLOCKS 2u

/* Not __m512i, which may alias anything: arrays of it are kept in memory and not in registers. */
typedef int32_t rank_register __attribute__((vector_size(64)));

/* Sums of a tile; `rows` is a constant where this is inlined. */
INLINE void
rank_sums(const uint8_t *q, size_t stride, size_t rows, const int8_t *line, size_t dims,
          rank_register sum[RANK_ROWS][RANK_BLOCKS])
{
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t b = 0; b < RANK_BLOCKS; b++) sum[r][b] = (rank_register){0};
    for (size_t j = 0; j < dims; j += 4, line += 64) {
        __m512i v[RANK_BLOCKS];
#pragma GCC unroll 4
        for (size_t b = 0; b < RANK_BLOCKS; b++)
            v[b] = _mm512_loadu_si512(line + b * HWI_LANES * dims);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, q + r * stride + j, sizeof four);
            __m512i x = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (size_t b = 0; b < RANK_BLOCKS; b++)
                sum[r][b] = (rank_register)_mm512_dpbusd_epi32((__m512i)sum[r][b], x, v[b]);
        }
    }
}

INLINE void
rank_some_rows(const uint8_t *q, size_t stride, const float *q_scale, size_t rows,
               const rank_side *s, size_t block_count, float *out, size_t out_stride, float *least)
{
    __m512 lanes[RANK_ROWS];
    size_t block = 0;

    for (size_t r = 0; r < rows; r++) lanes[r] = _mm512_set1_ps(least[r]);
    for (; block + RANK_BLOCKS <= block_count; block += RANK_BLOCKS) {
        rank_register sum[RANK_ROWS][RANK_BLOCKS];
        rank_sums(q, stride, rows, s->blocks + block * HWI_LANES * s->dims, s->dims, sum);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (size_t b = 0; b < RANK_BLOCKS; b++) {
                size_t at = (block + b) * HWI_LANES;
                __m512 score = rank_score((__m512i)sum[r][b], -2.0f * q_scale[r], s, at);
                _mm512_storeu_ps(out + r * out_stride + at, score);
                lanes[r] = _mm512_min_ps(score, lanes[r]);
            }
    }
    for (size_t r = 0; block < block_count && r < rows; r++) { /* the last of an odd number */
        size_t at = block * HWI_LANES;
        __m512i sum;
        dot_blocks(q + r * stride, s->blocks + at * s->dims, 1, s->dims, &sum);
        __m512 score = rank_score(sum, -2.0f * q_scale[r], s, at);
        _mm512_storeu_ps(out + r * out_stride + at, score);
        lanes[r] = _mm512_min_ps(score, lanes[r]);
    }
    for (size_t r = 0; r < rows; r++) least[r] = _mm512_reduce_min_ps(lanes[r]);
}

static void
rank_rows(const uint8_t *q, size_t stride, const float *q_scale, size_t rows, const int8_t *blocks,
          const float *scale, const float *norm, const float *code_sum, size_t block_count,
          size_t dims, float *out, size_t out_stride, float *least)
{
    const rank_side s = {blocks, scale, norm, code_sum, dims};
    size_t r = 0;

    for (; r + RANK_ROWS <= rows; r += RANK_ROWS)
        rank_some_rows(q + r * stride, stride, q_scale + r, RANK_ROWS, &s, block_count,
                       out + r * out_stride, out_stride, least + r);
    for (; r < rows; r++)
        rank_some_rows(q + r * stride, stride, q_scale + r, 1, &s, block_count,
                       out + r * out_stride, out_stride, least + r);
}

/* ---- selection ---- */

INLINE __m512i
numbers_from(uint32_t first)
{
    const __m512i ascending =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_add_epi32(ascending, _mm512_set1_epi32((int32_t)first));
}

/* Whole registers are stored: the callers' arrays have room, and compressing into memory is slow on
 * some processors. */
INLINE size_t
keep(__mmask16 chosen, __m512 value, uint32_t first, uint32_t *index_out, float *value_out)
{
    _mm512_storeu_si512(index_out, _mm512_maskz_compress_epi32(chosen, numbers_from(first)));
    _mm512_storeu_ps(value_out, _mm512_maskz_compress_ps(chosen, value));
    return (size_t)_mm_popcnt_u32(chosen);
}

/* Without a branch on whether anything was chosen: a ranking keeps one value in 10 or 20, which no
 * branch predictor guesses. */
static size_t
select_le(const float *v, size_t n, float cut, uint32_t *index, float *value)
{
    const __m512 limit = _mm512_set1_ps(cut);
    size_t found = 0, i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        __m512 x = _mm512_loadu_ps(v + i);
        __mmask16 chosen = _mm512_cmp_ps_mask(x, limit, _CMP_LE_OQ);
        found += keep(chosen, x, (uint32_t)i, index + found, value + found);
    }
    if (i < n) {
        __mmask16 valid = (__mmask16)((1u << (n - i)) - 1);
        __m512 x = _mm512_maskz_loadu_ps(valid, v + i);
        __mmask16 chosen = _mm512_mask_cmp_ps_mask(valid, x, limit, _CMP_LE_OQ);
        found += keep(chosen, x, (uint32_t)i, index + found, value + found);
    }
    return found;
}

/* ---- signatures ---- */

#define WORDS_IN_REGISTERS 8u /* their 16 tables leave half of the registers for the work */

typedef struct scan_limits {
    __m512 scale, bias, cut;
} scan_limits;

/* The inner products of one block; `table` has one register per half word. */
INLINE __m512i
signature_ip(const uint8_t *block, size_t words, const hwi_scan_query *query, const __m512i *table)
{
    const __m512i byte_number = _mm512_set1_epi32(0x30201000), nibble = _mm512_set1_epi8(15);
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i low_sum = _mm512_setzero_si512(), high_sum = low_sum;

#pragma GCC unroll 32
    for (size_t w = 0; w < words; w++) {
        bool kept = words <= WORDS_IN_REGISTERS;
        __m512i low_table = kept ? table[2 * w] : _mm512_loadu_si512(query->table[w][0]);
        __m512i high_table = kept ? table[2 * w + 1] : _mm512_loadu_si512(query->table[w][1]);
        __m512i bits = _mm512_loadu_si512(block + w * 64);
        __m512i shifted = _mm512_srli_epi32(bits, 4);
        /* (bits & nibble) | byte_number */
        __m512i low = _mm512_ternarylogic_epi32(bits, nibble, byte_number, 0xEA);
        __m512i high = _mm512_ternarylogic_epi32(shifted, nibble, byte_number, 0xEA);
        low_sum = _mm512_dpbusd_epi32(low_sum, ones, _mm512_permutexvar_epi8(low, low_table));
        high_sum = _mm512_dpbusd_epi32(high_sum, ones, _mm512_permutexvar_epi8(high, high_table));
    }
    return _mm512_add_epi32(low_sum, high_sum);
}

/* The bounds of one block, and which of them are below the cut. */
INLINE __mmask16
scan_block(const uint8_t *block, size_t words, const hwi_scan_query *query, const __m512i *table,
           const scan_limits *limits, __m512 *bounds)
{
    __m512 ip = _mm512_cvtepi32_ps(signature_ip(block, words, query, table));
    __m512 a = _mm512_loadu_ps(block + words * 64), s = _mm512_loadu_ps(block + words * 64 + 64);
    *bounds = _mm512_fnmadd_ps(s, _mm512_fmadd_ps(limits->scale, ip, limits->bias), a);
    return _mm512_cmp_ps_mask(*bounds, limits->cut, _CMP_LT_OQ);
}

/* Two blocks at a time: 10 % at 128 bits, from one branch less and chains that overlap sooner. */
INLINE size_t
scan_words(const uint8_t *blocks, size_t block_count, size_t words, const hwi_scan_query *query,
           const scan_limits *limits, uint32_t first_row, uint32_t *row, float *bound)
{
    const size_t block_bytes = HWI_SIGNATURE_BLOCK_BYTES(words);
    __m512i table[2 * WORDS_IN_REGISTERS];
    __m512 e, f;
    size_t found = 0, b = 0;

#pragma GCC unroll 8
    for (size_t w = 0; w < words && words <= WORDS_IN_REGISTERS; w++) {
        table[2 * w] = _mm512_loadu_si512(query->table[w][0]);
        table[2 * w + 1] = _mm512_loadu_si512(query->table[w][1]);
    }
    for (; b + 2 <= block_count; b += 2, blocks += 2 * block_bytes, first_row += 2 * HWI_LANES) {
        __mmask16 in_e = scan_block(blocks, words, query, table, limits, &e);
        __mmask16 in_f = scan_block(blocks + block_bytes, words, query, table, limits, &f);
        if (__builtin_expect(_kortestz_mask16_u8(in_e, in_f), 1)) continue;
        found += keep(in_e, e, first_row, row + found, bound + found);
        found += keep(in_f, f, first_row + HWI_LANES, row + found, bound + found);
    }
    if (b < block_count) {
        __mmask16 in_e = scan_block(blocks, words, query, table, limits, &e);
        found += keep(in_e, e, first_row, row + found, bound + found);
    }
    return found;
}

static size_t
scan(const uint8_t *blocks, size_t block_count, size_t words, const hwi_scan_query *query,
     float scale, float bias, float cut, uint32_t first_row, uint32_t *row, float *bound)
{
    scan_limits l = {_mm512_set1_ps(scale), _mm512_set1_ps(bias), _mm512_set1_ps(cut)};
    switch (words) {
    case 2:
        return scan_words(blocks, block_count, 2, query, &l, first_row, row, bound);
    case 4:
        return scan_words(blocks, block_count, 4, query, &l, first_row, row, bound);
    case 8:
        return scan_words(blocks, block_count, 8, query, &l, first_row, row, bound);
    case 16:
        return scan_words(blocks, block_count, 16, query, &l, first_row, row, bound);
    default:
        return scan_words(blocks, block_count, 32, query, &l, first_row, row, bound);
    }
}

/* ---- refine codes ---- */

INLINE __m128i
fold_codes_to_4(__m512i v)
{
    __m256i w = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
}

/* Folds the sums of 1 or 4 rows. */
INLINE void
store_sums(const __m512i *sum, size_t count, int32_t *out)
{
    if (count == 1) {
        out[0] = _mm512_reduce_add_epi32(sum[0]);
        return;
    }
    __m128i ab = _mm_hadd_epi32(fold_codes_to_4(sum[0]), fold_codes_to_4(sum[1]));
    __m128i cd = _mm_hadd_epi32(fold_codes_to_4(sum[2]), fold_codes_to_4(sum[3]));
    _mm_storeu_si128((void *)out, _mm_hadd_epi32(ab, cd));
}

/* Sums of 1 or 4 rows of codes. */
INLINE void
dot_code_rows(const int8_t *q, const uint8_t *const *codes, size_t count, size_t dims, int32_t *out)
{
    __m512i sum[ROWS_MAX];
    size_t j = 0;

    for (size_t r = 0; r < count; r++) sum[r] = _mm512_setzero_si512();
    for (; j + 64 <= dims; j += 64) {
        __m512i qj = _mm512_loadu_si512(q + j);
        for (size_t r = 0; r < count; r++)
            sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_loadu_si512(codes[r] + j), qj);
    }
    if (j < dims) {
        __mmask64 valid = (1ull << (dims - j)) - 1;
        __m512i qj = _mm512_maskz_loadu_epi8(valid, q + j);
        for (size_t r = 0; r < count; r++)
            sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_maskz_loadu_epi8(valid, codes[r] + j), qj);
    }
    store_sums(sum, count, out);
}

static void
dot_codes(const int8_t *q, const uint8_t *const *codes, size_t count, size_t dims, int32_t *out)
{
    size_t i = 0;
    for (; i + ROWS_MAX <= count; i += ROWS_MAX)
        dot_code_rows(q, codes + i, ROWS_MAX, dims, out + i);
    for (; i < count; i++) dot_code_rows(q, codes + i, 1, dims, out + i);
}

/* Both nibbles of up to 64 bytes of a row. */
INLINE __m512i
add_nibbles(__m512i sum, __m512i both, __m512i q_low, __m512i q_high)
{
    const __m512i nibble = _mm512_set1_epi8(15);

    sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(both, nibble), q_low);
    return _mm512_dpbusd_epi32(sum, _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble), q_high);
}

INLINE void
dot_nibble_rows(const int8_t *q, const uint8_t *const *codes, size_t count, size_t half,
                int32_t *out)
{
    __m512i sum[ROWS_MAX];
    size_t j = 0;

    for (size_t r = 0; r < count; r++) sum[r] = _mm512_setzero_si512();
    for (; j + 64 <= half; j += 64) {
        __m512i low = _mm512_loadu_si512(q + j), high = _mm512_loadu_si512(q + half + j);
        for (size_t r = 0; r < count; r++)
            sum[r] = add_nibbles(sum[r], _mm512_loadu_si512(codes[r] + j), low, high);
    }
    if (j < half) {
        __mmask64 valid = (1ull << (half - j)) - 1;
        __m512i low = _mm512_maskz_loadu_epi8(valid, q + j),
                high = _mm512_maskz_loadu_epi8(valid, q + half + j);
        for (size_t r = 0; r < count; r++)
            sum[r] = add_nibbles(sum[r], _mm512_maskz_loadu_epi8(valid, codes[r] + j), low, high);
    }
    store_sums(sum, count, out);
}

static void
dot_nibbles(const int8_t *q, const uint8_t *const *codes, size_t count, size_t half, int32_t *out)
{
    size_t i = 0;
    for (; i + ROWS_MAX <= count; i += ROWS_MAX)
        dot_nibble_rows(q, codes + i, ROWS_MAX, half, out + i);
    for (; i < count; i++) dot_nibble_rows(q, codes + i, 1, half, out + i);
}

/* ---- products ---- */

#define PRODUCT_WIDTH 16
#define PRODUCT_ROWS 12
#define PRODUCT_REGISTERS 2
#define PRODUCT_SPLAT(x) ((product_register)_mm512_set1_ps(x))
#define PRODUCT_ADD(a, b, c)                                                                       \
    ((product_register)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#include "product.h"

const hwi_kernels hwi_kernels_avx512 = {
    .name = "avx512",
    .needs = HWI_CPU_AVX2 | HWI_CPU_AVX512,
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
