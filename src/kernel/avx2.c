/* avx2.c - the kernels for AVX2 with FMA and BMI2 (Haswell, Zen and later).
 *
 * The layouts of blocks were chosen for registers twice as wide (avx512.c); what differs here:
 *
 *   distances   The 32 partial sums of scalar.c are four registers, so two rows fill half of the
 *               register file.
 *
 *   int8        There is no VNNI, and maddubs saturates where exact sums are promised. So bytes
 *               are widened to 16 bits and multiplied with madd, which cannot overflow.
 *
 *   scan        pshufb looks up 16 bytes in one table of 16, so half a register must hold one
 *               byte number of 16 rows. A word of 16 rows is transposed to that:
 *
 *                   b0 b1 b2 b3 of each row  ->  [b0 of 16 rows | b1 of 16], [b2 | b3]
 *
 *               Entries are biased to 0..255 and summed as 16-bit pairs: once as they are, once
 *               the odd rows alone, which gives the even rows by subtraction. 256 lookups of at
 *               most 255 just fit 16 bits, so signatures of 1024 bits do.
 *
 * Road not taken: counting bits, which here means nibble tables as well, but once for each of four
 * query planes and for half as many rows in a register. */
#include "kernel.h"

#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__BMI2__)
#error "avx2.c needs -mavx2 -mfma -mbmi2"
#endif

#include <immintrin.h>

#include "cut.h"

#define INLINE static inline __attribute__((always_inline))
#define WIDTH 8u /* floats in a register */

/* ---- full-precision distances ---- */

#define PARTS 4u /* registers of partial sums for a row */
#define ROWS_MAX 2u

_Static_assert(PARTS *WIDTH == HWI_SUM_LANES, "a row's partial sums fill its registers");

typedef enum metric { L2SQ, DOT, L1 } metric;

INLINE __m256
add_term(metric m, __m256 sum, __m256 q, __m256 r)
{
    if (m == DOT) return _mm256_fmadd_ps(q, r, sum);
    __m256 difference = _mm256_sub_ps(q, r);
    if (m == L1) return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), difference));
    return _mm256_fmadd_ps(difference, difference, sum);
}

/* The folds by halves, 16 + 16 to 1 + 1. */
INLINE float
fold(const __m256 *part)
{
    __m256 v = _mm256_add_ps(_mm256_add_ps(part[0], part[2]), _mm256_add_ps(part[1], part[3]));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INLINE int32_t
sum_of_lanes(__m256i sum)
{
    __m128i v = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 0xB1)));
}

/* Lanes below count; none when it is negative. */
INLINE __m256i
first_lanes(int count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Distances of 1 or 2 rows. */
INLINE void
measure(metric m, const float *query, const float *const *row, size_t rows, size_t dims, float *out)
{
    __m256 sum[ROWS_MAX][PARTS];
    size_t j = 0;

    for (size_t r = 0; r < rows; r++)
        for (size_t p = 0; p < PARTS; p++) sum[r][p] = _mm256_setzero_ps();
    for (; j + HWI_SUM_LANES <= dims; j += HWI_SUM_LANES)
        for (size_t p = 0; p < PARTS; p++) {
            size_t at = j + p * WIDTH;
            __m256 q = _mm256_loadu_ps(query + at);
            for (size_t r = 0; r < rows; r++)
                sum[r][p] = add_term(m, sum[r][p], q, _mm256_loadu_ps(row[r] + at));
        }
    if (j < dims)
        for (size_t p = 0; p < PARTS; p++) {
            size_t at = j + p * WIDTH;
            __m256i valid = first_lanes((int)(dims - j) - (int)(p * WIDTH));
            __m256 q = _mm256_maskload_ps(query + at, valid);
            for (size_t r = 0; r < rows; r++)
                sum[r][p] = add_term(m, sum[r][p], q, _mm256_maskload_ps(row[r] + at, valid));
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

#define STRIP_MAX 8u /* registers of outputs kept at once: hides the latency of the additions */

INLINE void
matvec_strip(const float *columns, size_t out_dims, const float *x, size_t dims, size_t registers,
             float *y)
{
    __m256 sum[STRIP_MAX];
    for (size_t i = 0; i < registers; i++) sum[i] = _mm256_setzero_ps();
    for (size_t j = 0; j < dims; j++, columns += out_dims) {
        __m256 xj = _mm256_set1_ps(x[j]);
        for (size_t i = 0; i < registers; i++)
            sum[i] = _mm256_fmadd_ps(_mm256_loadu_ps(columns + i * WIDTH), xj, sum[i]);
    }
    for (size_t i = 0; i < registers; i++) _mm256_storeu_ps(y + i * WIDTH, sum[i]);
}

static void
matvec_columns(const float *columns, size_t out_dims, const float *x, size_t dims, float *y)
{
    size_t i = 0;
    for (; i + STRIP_MAX * WIDTH <= out_dims; i += STRIP_MAX * WIDTH)
        matvec_strip(columns + i, out_dims, x, dims, STRIP_MAX, y + i);
    columns += i, y += i;
    switch ((out_dims - i) / WIDTH) { /* even, since out_dims is a multiple of 16 */
    case 6:
        matvec_strip(columns, out_dims, x, dims, 6, y);
        break;
    case 4:
        matvec_strip(columns, out_dims, x, dims, 4, y);
        break;
    case 2:
        matvec_strip(columns, out_dims, x, dims, 2, y);
        break;
    default:
        break;
    }
}

/* Butterflies between the lanes of one register, distances 1, 2 and 4: partner + own * sign. */
INLINE __m256
fht_lanes(__m256 v)
{
    const __m256 sign1 = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
    const __m256 sign2 = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    const __m256 sign4 = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);
    v = _mm256_fmadd_ps(v, sign1, _mm256_permute_ps(v, 0xB1));
    v = _mm256_fmadd_ps(v, sign2, _mm256_permute_ps(v, 0x4E));
    return _mm256_fmadd_ps(v, sign4, _mm256_permute2f128_ps(v, v, 1));
}

/* All levels within `registers` (2, 4 or 8) registers of v. */
INLINE void
fht_strip(float *v, size_t registers)
{
    __m256 r[8];
#pragma GCC unroll 8
    for (size_t i = 0; i < registers; i++) r[i] = fht_lanes(_mm256_load_ps(v + i * WIDTH));
#pragma GCC unroll 3
    for (size_t half = 1; half < registers; half *= 2)
#pragma GCC unroll 8
        for (size_t i = 0; i < registers; i++) {
            if (i & half) continue;
            __m256 a = r[i], b = r[i + half];
            r[i] = _mm256_add_ps(a, b);
            r[i + half] = _mm256_sub_ps(a, b);
        }
#pragma GCC unroll 8
    for (size_t i = 0; i < registers; i++) _mm256_store_ps(v + i * WIDTH, r[i]);
}

static void
fht_wide(float *v, size_t m)
{
    for (size_t at = 0; at < m; at += 8 * WIDTH) fht_strip(v + at, 8);
    for (size_t half = 8 * WIDTH; half < m; half *= 2)
        for (size_t at = 0; at < m; at += 2 * half)
            for (size_t i = at; i < at + half; i += WIDTH) {
                __m256 a = _mm256_load_ps(v + i), b = _mm256_load_ps(v + i + half);
                _mm256_store_ps(v + i, _mm256_add_ps(a, b));
                _mm256_store_ps(v + i + half, _mm256_sub_ps(a, b));
            }
}

static void
fht(float *v, size_t m)
{
    switch (m) {
    case 16:
        fht_strip(v, 2);
        break;
    case 32:
        fht_strip(v, 4);
        break;
    default:
        fht_wide(v, m);
        break;
    }
}

/* ---- quantisation ---- */

INLINE __m256
magnitude(__m256 v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

static float
largest(const float *x, size_t dims)
{
    __m256 most[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                      _mm256_setzero_ps()};
    float lane[WIDTH], all = 0;
    size_t j = 0;

    for (; j + 4 * WIDTH <= dims; j += 4 * WIDTH)
        for (size_t i = 0; i < 4; i++)
            most[i] = _mm256_max_ps(most[i], magnitude(_mm256_loadu_ps(x + j + i * WIDTH)));
    for (; j < dims; j += WIDTH) {
        __m256i valid = first_lanes((int)HWI_MIN(dims - j, WIDTH));
        most[0] = _mm256_max_ps(most[0], magnitude(_mm256_maskload_ps(x + j, valid)));
    }
    most[0] = _mm256_max_ps(_mm256_max_ps(most[0], most[1]), _mm256_max_ps(most[2], most[3]));
    _mm256_storeu_ps(lane, most[0]);
    for (size_t i = 0; i < WIDTH; i++) all = HWI_MAX(all, lane[i]);
    return all;
}

static int32_t
round_i8(const float *x, size_t dims, float factor, float limit, int8_t *q)
{
    const __m256 scale = _mm256_set1_ps(factor);
    const __m256 top = _mm256_set1_ps(limit), bottom = _mm256_set1_ps(-limit);
    __m256i sum = _mm256_setzero_si256();

    for (size_t j = 0; j < dims; j += WIDTH) {
        size_t left = HWI_MIN(dims - j, WIDTH);
        __m256 v = left == WIDTH ? _mm256_loadu_ps(x + j)
                                 : _mm256_maskload_ps(x + j, first_lanes((int)left));
        v = _mm256_max_ps(_mm256_min_ps(_mm256_mul_ps(v, scale), top), bottom);
        __m256i rounded = _mm256_cvtps_epi32(v);
        __m128i words =
            _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
        __m128i bytes = _mm_packs_epi16(words, words);
        memcpy(q + j, &bytes, left);
        sum = _mm256_add_epi32(sum, rounded);
    }
    return sum_of_lanes(sum);
}

/* ---- int8 blocks ---- */

#define BLOCKS_MAX 2u
#define QUARTERS 4u /* a line of 64 bytes widens to four registers of 4 vectors each */

/* Four query components as 16-bit values, over and over. */
INLINE __m256i
four_of(const uint8_t *q)
{
    int32_t v;
    memcpy(&v, q, 4);
    return _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(v)));
}

/* Sums of 1 or 2 blocks, each as two registers of 8 vectors. */
INLINE void
dot_blocks(const uint8_t *q, const int8_t *blocks, size_t count, size_t dims, __m256i (*sum)[2])
{
    __m256i part[BLOCKS_MAX][QUARTERS]; /* two halves of a sum side by side, 4 vectors */
    size_t block_bytes = dims * HWI_LANES;

    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < QUARTERS; i++) part[b][i] = _mm256_setzero_si256();
    for (size_t j = 0; j < dims; j += 4, blocks += 64) {
        __m256i qj = four_of(q + j);
        for (size_t b = 0; b < count; b++)
            for (size_t i = 0; i < QUARTERS; i++) {
                const void *at = blocks + b * block_bytes + i * 16;
                __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(at));
                part[b][i] = _mm256_add_epi32(part[b][i], _mm256_madd_epi16(wide, qj));
            }
    }
    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < 2; i++) /* hadd leaves vectors as 0 1 4 5 2 3 6 7 */
            sum[b][i] = _mm256_permute4x64_epi64(
                _mm256_hadd_epi32(part[b][2 * i], part[b][2 * i + 1]), 0xD8);
}

static void
dot_u8_blocks(const uint8_t *q, const int8_t *blocks, size_t block_count, size_t dims,
              int32_t *sums)
{
    __m256i sum[BLOCKS_MAX][2];
    size_t b = 0;

    for (; b + BLOCKS_MAX <= block_count; b += BLOCKS_MAX) {
        dot_blocks(q, blocks + b * HWI_LANES * dims, BLOCKS_MAX, dims, sum);
        memcpy(sums + b * HWI_LANES, sum, sizeof sum);
    }
    if (b < block_count) {
        dot_blocks(q, blocks + b * HWI_LANES * dims, 1, dims, sum);
        memcpy(sums + b * HWI_LANES, sum[0], sizeof sum[0]);
    }
}

static void
rank_blocks(const uint8_t *q, float q_scale, const int8_t *blocks, const float *scale,
            const float *norm, const float *code_sum, size_t block_count, size_t dims, float *out)
{
    const __m256 factor = _mm256_set1_ps(-2.0f * q_scale), offset = _mm256_set1_ps(-128.0f);
    __m256i sum[BLOCKS_MAX][2];

    for (size_t b = 0; b < block_count;) {
        size_t count = block_count - b >= BLOCKS_MAX ? BLOCKS_MAX : 1;
        if (count == BLOCKS_MAX)
            dot_blocks(q, blocks + b * HWI_LANES * dims, BLOCKS_MAX, dims, sum);
        else
            dot_blocks(q, blocks + b * HWI_LANES * dims, 1, dims, sum);
        for (size_t i = 0; i < 2 * count; i++) {
            size_t at = b * HWI_LANES + i * WIDTH;
            __m256 ip = _mm256_fmadd_ps(offset, _mm256_loadu_ps(code_sum + at),
                                        _mm256_cvtepi32_ps(sum[i / 2][i % 2]));
            __m256 step = _mm256_mul_ps(_mm256_loadu_ps(scale + at), factor);
            _mm256_storeu_ps(out + at, _mm256_fmadd_ps(ip, step, _mm256_loadu_ps(norm + at)));
        }
        b += count;
    }
}

#include "rank.h"

/* ---- selection ---- */

/* Moves the chosen lanes to the front and writes all eight, numbered from `first`: the callers'
 * arrays have room. Returns how many were chosen. */
static size_t
keep(uint32_t chosen, __m256 value, uint32_t first, uint32_t *index_out, float *value_out)
{
    uint64_t bytes = _pdep_u64(chosen, 0x0101010101010101u) * 0xFF;
    uint64_t lanes = _pext_u64(0x0706050403020100u, bytes);
    __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)lanes));
    __m256i number = _mm256_add_epi32(order, _mm256_set1_epi32((int32_t)first));
    _mm256_storeu_si256((void *)index_out, number);
    _mm256_storeu_ps(value_out, _mm256_permutevar8x32_ps(value, order));
    return (size_t)__builtin_popcount(chosen);
}

/* Without a branch on whether anything was chosen: a ranking keeps one value in 10 or 20, which no
 * branch predictor guesses. */
static size_t
select_le(const float *v, size_t n, float cut, uint32_t *index, float *value)
{
    const __m256 limit = _mm256_set1_ps(cut);
    size_t found = 0, i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        __m256 x = _mm256_loadu_ps(v + i);
        uint32_t chosen = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x, limit, _CMP_LE_OQ));
        found += keep(chosen, x, (uint32_t)i, index + found, value + found);
    }
    if (i < n) {
        __m256i valid = first_lanes((int)(n - i));
        __m256 x = _mm256_maskload_ps(v + i, valid);
        __m256 le = _mm256_and_ps(_mm256_cmp_ps(x, limit, _CMP_LE_OQ), _mm256_castsi256_ps(valid));
        uint32_t chosen = (uint32_t)_mm256_movemask_ps(le);
        found += keep(chosen, x, (uint32_t)i, index + found, value + found);
    }
    return found;
}

/* ---- signatures ---- */

typedef struct scan_limits {
    __m256 scale, bias, cut;
} scan_limits;

/* The query's tables with 128 added to every entry, which makes them unsigned. */
INLINE void
bias_tables(const hwi_scan_query *query, size_t words, __m256i *table)
{
    const char *from = (const void *)query->table;
    for (size_t i = 0; i < 4 * words; i++) {
        __m256i entries = _mm256_loadu_si256((const void *)(from + i * 32));
        table[i] = _mm256_xor_si256(entries, _mm256_set1_epi8(-128));
    }
}

/* Sums of lookups, as 16-bit pairs of rows. */
typedef struct pair_sums {
    __m256i both, odd;
} pair_sums;

INLINE void
add_lookup(pair_sums *s, __m256i table, __m256i nibbles)
{
    __m256i found = _mm256_shuffle_epi8(table, nibbles);
    s->both = _mm256_add_epi16(s->both, found);
    s->odd = _mm256_add_epi16(s->odd, _mm256_srli_epi16(found, 8));
}

INLINE void
add_bytes(pair_sums *s, __m256i bytes, __m256i low_table, __m256i high_table)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    add_lookup(s, low_table, _mm256_and_si256(bytes, nibble));
    add_lookup(s, high_table, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
}

/* One word of 16 rows: transposed, looked up, added. Tables: low nibbles of bytes 0 and 1, of bytes
 * 2 and 3, then high nibbles. */
INLINE void
add_word(pair_sums *s, const uint8_t *line, const __m256i *table)
{
    const __m256i by_byte = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
                                             0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m256i a = _mm256_loadu_si256((const void *)line);        /* rows 0-3 | 4-7 */
    __m256i b = _mm256_loadu_si256((const void *)(line + 32)); /* rows 8-11 | 12-15 */

    a = _mm256_shuffle_epi8(a, by_byte);
    b = _mm256_shuffle_epi8(b, by_byte);
    /* rows in the order 0-3, 8-11, 4-7, 12-15 */
    __m256i b01 = _mm256_permute4x64_epi64(_mm256_unpacklo_epi32(a, b), 0xD8);
    __m256i b23 = _mm256_permute4x64_epi64(_mm256_unpackhi_epi32(a, b), 0xD8);
    add_bytes(s, b01, table[0], table[2]);
    add_bytes(s, b23, table[1], table[3]);
}

/* The inner products of a block's rows 0-7 and 8-15. */
INLINE void
signature_ip(const uint8_t *block, size_t words, const __m256i *table, __m256i *ip)
{
    const __m256i bias = _mm256_set1_epi32((int32_t)(128 * 8 * words));
    pair_sums s = {_mm256_setzero_si256(), _mm256_setzero_si256()};

#pragma GCC unroll 4
    for (size_t w = 0; w < words; w++) add_word(&s, block + w * 64, table + 4 * w);

    __m256i even = _mm256_sub_epi16(s.both, _mm256_slli_epi16(s.odd, 8));
    __m128i even8 = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    __m128i odd8 = _mm_add_epi16(_mm256_castsi256_si128(s.odd), _mm256_extracti128_si256(s.odd, 1));
    __m256i first = _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(even8, odd8)); /* 0-3, 8-11 */
    __m256i last = _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(even8, odd8));  /* 4-7, 12-15 */
    ip[0] = _mm256_sub_epi32(_mm256_permute2x128_si256(first, last, 0x20), bias);
    ip[1] = _mm256_sub_epi32(_mm256_permute2x128_si256(first, last, 0x31), bias);
}

INLINE __m256
row_bounds(const uint8_t *factors, __m256i ip, const scan_limits *limits)
{
    __m256 a = _mm256_loadu_ps((const void *)factors);
    __m256 s = _mm256_loadu_ps((const void *)(factors + 64));
    __m256 t = _mm256_fmadd_ps(limits->scale, _mm256_cvtepi32_ps(ip), limits->bias);
    return _mm256_fnmadd_ps(s, t, a);
}

INLINE size_t
scan_words(const uint8_t *blocks, size_t block_count, size_t words, const hwi_scan_query *query,
           const scan_limits *limits, uint32_t first_row, uint32_t *row, float *bound)
{
    __m256i table[4 * HWI_BITS_MAX / 32];
    size_t found = 0;

    bias_tables(query, words, table);
    for (size_t b = 0; b < block_count; b++, blocks += HWI_SIGNATURE_BLOCK_BYTES(words)) {
        __m256i ip[2];
        signature_ip(blocks, words, table, ip);
        for (uint32_t i = 0; i < 2; i++, first_row += WIDTH) {
            __m256 e = row_bounds(blocks + words * 64 + i * 32, ip[i], limits);
            __m256 lt = _mm256_cmp_ps(e, limits->cut, _CMP_LT_OQ);
            uint32_t chosen = (uint32_t)_mm256_movemask_ps(lt);
            if (__builtin_expect(chosen != 0, 0))
                found += keep(chosen, e, first_row, row + found, bound + found);
        }
    }
    return found;
}

static size_t
scan(const uint8_t *blocks, size_t block_count, size_t words, const hwi_scan_query *query,
     float scale, float bias, float cut, uint32_t first_row, uint32_t *row, float *bound)
{
    scan_limits l = {_mm256_set1_ps(scale), _mm256_set1_ps(bias), _mm256_set1_ps(cut)};
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

#define CODES_MAX 4u

/* Sums of 1 or 4 rows of codes. */
INLINE void
dot_code_rows(const int8_t *q, const uint8_t *const *codes, size_t count, size_t dims, int32_t *out)
{
    __m256i sum[CODES_MAX];

    for (size_t r = 0; r < count; r++) sum[r] = _mm256_setzero_si256();
    for (size_t j = 0; j < dims; j += 16) {
        __m256i qj = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(q + j)));
        for (size_t r = 0; r < count; r++) {
            __m256i c = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(codes[r] + j)));
            sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(c, qj));
        }
    }
    for (size_t r = 0; r < count; r++) out[r] = sum_of_lanes(sum[r]);
}

static void
dot_codes(const int8_t *q, const uint8_t *const *codes, size_t count, size_t dims, int32_t *out)
{
    size_t i = 0;
    for (; i + CODES_MAX <= count; i += CODES_MAX)
        dot_code_rows(q, codes + i, CODES_MAX, dims, out + i);
    for (; i < count; i++) dot_code_rows(q, codes + i, 1, dims, out + i);
}

/* A nibble times a query byte is at most 1905 in size, so a pair of products fits 16 bits. */
INLINE void
dot_nibble_rows(const int8_t *q, const uint8_t *const *codes, size_t count, size_t half,
                int32_t *out)
{
    const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i sum[CODES_MAX];

    for (size_t r = 0; r < count; r++) sum[r] = _mm256_setzero_si256();
    for (size_t j = 0; j < half; j += 16) {
        __m256i qj = _mm256_loadu2_m128i((const void *)(q + half + j), (const void *)(q + j));
        for (size_t r = 0; r < count; r++) {
            __m128i both = _mm_loadu_si128((const void *)(codes[r] + j));
            __m256i c = _mm256_and_si256(nibble, _mm256_set_m128i(_mm_srli_epi16(both, 4), both));
            __m256i pairs = _mm256_maddubs_epi16(c, qj);
            sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(pairs, ones));
        }
    }
    for (size_t r = 0; r < count; r++) out[r] = sum_of_lanes(sum[r]);
}

static void
dot_nibbles(const int8_t *q, const uint8_t *const *codes, size_t count, size_t half, int32_t *out)
{
    size_t i = 0;
    for (; i + CODES_MAX <= count; i += CODES_MAX)
        dot_nibble_rows(q, codes + i, CODES_MAX, half, out + i);
    for (; i < count; i++) dot_nibble_rows(q, codes + i, 1, half, out + i);
}

/* ---- products ---- */

#define PRODUCT_WIDTH 8
#define PRODUCT_ROWS 6
#define PRODUCT_REGISTERS 2
#define PRODUCT_SPLAT(x) ((product_register)_mm256_set1_ps(x))
#define PRODUCT_ADD(a, b, c)                                                                       \
    ((product_register)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#include "product.h"

const hwi_kernels hwi_kernels_avx2 = {
    .name = "avx2",
    .needs = HWI_CPU_AVX2,
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
