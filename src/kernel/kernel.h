/* kernel.h - the inner loops: distances, rotation, ranking of anchors, scanning of signatures,
 * refine codes.
 *
 * One table of functions per instruction set (scalar.c, avx2.c, avx512.c, neon.c), each file
 * compiled with its own flags and exporting its table alone; pick.c chooses one at start. scalar.c
 * is the specification: plain loops. Every table gives the same bits, of floats too: products are
 * fused into sums, and long sums go to HWI_SUM_LANES partial sums in one fixed order (scalar.c). So
 * a database answers alike on every machine, and a row's result never depends on its place in a
 * batch: exact search and re-ranking agree bit for bit. (A zero may differ in sign; NaN and
 * infinity are the callers' to refuse.)
 *
 * Kernels take many rows per call, so the indirect call is paid per block. Pointers need no
 * alignment unless stated; counts may be 0.
 */
#ifndef HWI_KERNEL_H
#define HWI_KERNEL_H

#include "base/base.h"

#define HWI_LANES 16u      /* rows in a block: anchors and signatures come 16 side by side */
#define HWI_BITS_MAX 1024u /* signature bits, a power of two from 64 */
#define HWI_PANEL 32u      /* vectors side by side in a panel of a product */
#define HWI_SUM_LANES 32u  /* partial sums of a distance: element j goes to sum j % 32 */

#define HWI_CPU_AVX2 1u   /* AVX2, FMA, F16C, BMI2 */
#define HWI_CPU_AVX512 2u /* F, BW, DQ, VL, VBMI, VNNI: Ice Lake, Zen 4 and later */
#define HWI_CPU_NEON 4u

/* The query as `scan` takes it: what every nibble (4 bits) of a signature adds to the inner
 * product. table[w][h][b][n] is the sum of the quantised query components of the bits set in n,
 * where n is the low (h = 0) or high (h = 1) nibble of byte b of word w. One lookup stands for four
 * bits, so components of 6 bits (-31 to 31: four of them fit int8) cost no more than one bit.
 * 4 kB, of which 128 bytes a word are used; made once per query by hwi_quantize_scan. Fastest when
 * 64-byte aligned, which is not required. */
typedef struct hwi_scan_query {
    int8_t table[HWI_BITS_MAX / 32][2][4][16];
} hwi_scan_query;

typedef struct hwi_kernels {
    const char *name; /* "avx512"; also what HASHWOOD_KERNELS accepts */
    uint32_t needs;   /* HWI_CPU_* bits that both processor and system must offer */

    /* ---- full-precision distances ---- */

    /* out[i] = distance of row i, which is dims floats at base + i * stride_bytes. */
    void (*l2sq_rows)(const float *query, const void *base, size_t stride_bytes, size_t rows,
                      size_t dims, float *out);
    void (*dot_rows)(const float *query, const void *base, size_t stride_bytes, size_t rows,
                     size_t dims, float *out);
    void (*l1_rows)(const float *query, const void *base, size_t stride_bytes, size_t rows,
                    size_t dims, float *out);

    /* The same for scattered rows. Bit-identical to the _rows form for the same row. */
    void (*l2sq_gather)(const float *query, const float *const *rows, size_t count, size_t dims,
                        float *out);
    void (*dot_gather)(const float *query, const float *const *rows, size_t count, size_t dims,
                       float *out);
    void (*l1_gather)(const float *query, const float *const *rows, size_t count, size_t dims,
                      float *out);

    /* ---- rotation ---- */

    /* y[i] = sum over j of columns[j * out_dims + i] * x[j]: a matrix stored column by column.
     * out_dims is a multiple of 16. */
    void (*matvec_columns)(const float *columns, size_t out_dims, const float *x, size_t dims,
                           float *y);

    /* In-place Walsh-Hadamard transform, unnormalised: natural order, m a power of two, 16 <= m <=
     * 1024. v 64-byte aligned. */
    void (*fht)(float *v, size_t m);

    /* ---- quantisation: what hwi_quantize_* are made of ---- */

    /* Largest |x[j]|; 0 of none. */
    float (*largest)(const float *x, size_t dims);

    /* q[j] = clamp(x[j] * factor, -limit, limit) rounded to nearest, halves to even; limit up to
     * 127. Returns sum of q. */
    int32_t (*round_i8)(const float *x, size_t dims, float factor, float limit, int8_t *q);

    /* ---- int8 blocks: 16 vectors side by side. Layout of one block of `dims` (multiple of 8)
     * components: bytes [dims/4][16 lanes][4 components], int8. Blocks follow each other.
     *
     * sums[b * 16 + lane] = sum over j of q[j] * block[b][lane][j], q unsigned, exact int32. */
    void (*dot_u8_blocks)(const uint8_t *q, const int8_t *blocks, size_t block_count, size_t dims,
                          int32_t *sums);

    /* Ranking of anchors: score = norm - scale * 2 * q_scale * (dot_u8 - 128 * code_sum), with q
     * holding q8 + 128, per lane arrays of 16 * block_count floats. out as well. score = |anchor|^2
     * - 2 <q, anchor>. */
    void (*rank_blocks)(const uint8_t *q, float q_scale, const int8_t *blocks, const float *scale,
                        const float *norm, const float *code_sum, size_t block_count, size_t dims,
                        float *out);

    /* The same for many rows: row r's bytes are at q + r * stride, its scores go to out + r *
     * out_stride. least[r] becomes the least of them where it was greater. */
    void (*rank_rows)(const uint8_t *q, size_t stride, const float *q_scale, size_t rows,
                      const int8_t *blocks, const float *scale, const float *norm,
                      const float *code_sum, size_t block_count, size_t dims, float *out,
                      size_t out_stride, float *least);

    /* A cut for select_le: at least `want` (from 1) of v[i] are not above it, or all that are finite.
     * A quarter more at most, unless many are equal; of lists above some thousands it may be more. */
    float (*cut)(const float *v, size_t n, size_t want);

    /* Writes the indices i (ascending) and values of those v[i] <= cut; returns how many. index and
     * value have room for n rounded up to 16 + 16. */
    size_t (*select_le)(const float *v, size_t n, float cut, uint32_t *index, float *value);

    /* ---- signatures: a block is 16 rows: uint32 word[words][16 lanes] (bit j of the signature is
     * bit j % 32 of word j / 32), then float A[16], then float S[16]: words * 64 + 128 bytes,
     * blocks follow each other.
     *
     * With ip = sum over set bits j of the quantised query component j, the bound of a row is
     *     e = A - S * (scale * ip + bias)
     * Rows with e < cut are written in ascending order: their number (block * 16 + lane, plus
     * first_row) and e. Returns how many. `row` and `bound` have room for 16 * block_count + 16.
     * Padding rows have A = 1e30, S = 0, so a cut up to 1e30 leaves them out. words is 2, 4, 8, 16
     * or 32. */
    size_t (*scan)(const uint8_t *blocks, size_t block_count, size_t words,
                   const hwi_scan_query *query, float scale, float bias, float cut,
                   uint32_t first_row, uint32_t *row, float *bound);

    /* ---- products of `rows` rows (dims floats each at a + i * stride, stride in floats) with
     * `count` vectors in panels (hwi_pack_panels). Every product is one running sum, element by
     * element, so it depends on nothing but its row and its vector, and equals matvec_columns.
     *
     * out[i * out_stride + k] = <row i, vector k>. */
    void (*product)(const float *a, size_t stride, size_t rows, const float *panels, size_t count,
                    size_t dims, float *out, size_t out_stride);

    /* ---- refine codes: out[i] = sum over j of codes[i][j] * q[j]: unsigned code bytes, signed
     * query bytes (multiple of 16), exact int32 (dims <= 65536 with |q| <= 127 fits). */
    void (*dot_codes)(const int8_t *q, const uint8_t *const *codes, size_t count, size_t dims,
                      int32_t *out);

    /* The same for codes of 4 bits, unsigned, two to a byte: out[i] = sum over j below half of low
     * nibble of codes[i][j] * q[j] + high nibble of codes[i][j] * q[half + j]. half is a multiple
     * of 16. */
    void (*dot_nibbles)(const int8_t *q, const uint8_t *const *codes, size_t count, size_t half,
                        int32_t *out);
} hwi_kernels;

/* Only the tables of the architecture built for exist. */
extern const hwi_kernels hwi_kernels_scalar;
extern const hwi_kernels hwi_kernels_avx2;
extern const hwi_kernels hwi_kernels_avx512;
extern const hwi_kernels hwi_kernels_neon;

#define HWI_SIGNATURE_BLOCK_BYTES(words) ((size_t)(words)*64u + 128u)

/* Helpers built on the table in use (helpers.c); the same result with every one. */

/* Quantises x to bytes q[j] = round(x[j] / *scale), *scale = max|x| / 127 (1e-20 at least); j >=
 * dims up to padded are 0. Returns sum of q. */
int32_t hwi_quantize_i8(const float *x, size_t dims, size_t padded, int8_t *q, float *scale);

/* out[j] = q[j] + 128: a query as dot_u8_blocks and rank_blocks take it. */
void hwi_shift_i8(const int8_t *q, size_t dims, uint8_t *out);

/* Quantises z[0..m) to q = clamp(round(z / *scale), -31, 31), *scale = 4 standard deviations
 * / 31.5, and builds the table `scan` takes, m / 32 words of it. Returns sum of q. */
int32_t hwi_quantize_scan(const float *z, size_t m, hwi_scan_query *query, float *scale);

/* Vectors (count rows of dims floats) as `product` takes them: panels of HWI_PANEL, in
 * which component j of all comes before component j + 1; the last panel is filled up with zeros.
 * out has room for hwi_panel_floats. */
static inline size_t
hwi_panel_floats(size_t count, size_t dims)
{
    return (count + HWI_PANEL - 1) / HWI_PANEL * HWI_PANEL * dims;
}
void hwi_pack_panels(const float *vectors, size_t count, size_t dims, float *out);

/* HWI_CPU_* that both processor and operating system offer. */
uint32_t hwi_cpu_features(void);

/* Best table that runs with these features; or the one called `wanted`, NULL if that is unknown or
 * cannot run here: a typo should fail, not quietly run scalar. */
const hwi_kernels *hwi_kernels_pick(const char *wanted, uint32_t cpu);

/* The table in use: picked once from HASHWOOD_KERNELS and the processor. NULL if HASHWOOD_KERNELS
 * cannot be met. */
const hwi_kernels *hwi_kernels_active(void);

#endif
