/* test_kernel_codes.c - kernels on codes (int8 blocks, signatures, refine codes), on what is selected by
 * them, and quantisers: every table gives the bits of the scalar one, as in test_kernel.c. */
#include "support/hwt.h"
#include "support/hwt_kernel.h"

#include <math.h>

/* ---- int8 blocks ---- */

enum { BLOCKS = 7, BLOCK_DIMS_MAX = 280 };

typedef struct block_case {
    uint8_t q[BLOCK_DIMS_MAX + 1];
    int8_t blocks[BLOCKS * 16 * BLOCK_DIMS_MAX + 1];
    float scale[BLOCKS * 16], norm[BLOCKS * 16], code_sum[BLOCKS * 16];
} block_case;

/* round 0: random; 1: the largest magnitudes there are; 2: the same, lowest. */
static void
make_blocks(block_case *c, unsigned round)
{
    hwi_rng rng;
    hwi_rng_init(&rng, HWT_KERNEL_SEED + round);
    hwt_fill_bytes(&rng, c->q, sizeof c->q);
    hwt_fill_bytes(&rng, c->blocks, sizeof c->blocks);
    hwt_fill_floats(&rng, c->scale, BLOCKS * 16);
    hwt_fill_floats(&rng, c->norm, BLOCKS * 16);
    for (size_t i = 0; i < BLOCKS * 16; i++)
        c->code_sum[i] = (float)((int)hwi_rng_below(&rng, 20000) - 10000);
    if (round > 0) {
        memset(c->q, 255, sizeof c->q);
        memset(c->blocks, round == 1 ? 127 : -128, sizeof c->blocks);
    }
}

static void
check_blocks(const hwi_kernels *scalar, const hwi_kernels *k, const block_case *c, size_t dims,
             size_t count)
{
    int32_t expected[BLOCKS * 16], got[BLOCKS * 16 + 1];
    float rank_expected[BLOCKS * 16], rank_got[BLOCKS * 16 + 1];

    got[count * 16] = -77;
    rank_got[count * 16] = -77.0f;
    scalar->dot_u8_blocks(c->q + 1, c->blocks + 1, count, dims, expected);
    k->dot_u8_blocks(c->q + 1, c->blocks + 1, count, dims, got);
    assert_memory_equal(expected, got, count * 64);
    scalar->rank_blocks(c->q + 1, 0.37f, c->blocks + 1, c->scale, c->norm, c->code_sum, count, dims,
                        rank_expected);
    k->rank_blocks(c->q + 1, 0.37f, c->blocks + 1, c->scale, c->norm, c->code_sum, count, dims,
                   rank_got);
    hwt_assert_floats_equal(rank_expected, rank_got, count * 16, "rank_blocks", dims);
    assert_true(got[count * 16] == -77 && rank_got[count * 16] == -77.0f);
}

enum { RANK_ROWS = 27, RANK_STRIDE = BLOCK_DIMS_MAX + 5 };

/* Ranking many rows at once gives what ranking one after the other does, and the least of each. */
static void
check_rank_rows(const hwi_kernels *scalar, const hwi_kernels *k, const block_case *c, size_t dims,
                size_t count, size_t rows)
{
    static uint8_t q[RANK_ROWS * RANK_STRIDE];
    float expected[BLOCKS * 16], got[RANK_ROWS * (BLOCKS * 16 + 3)], least[RANK_ROWS + 1];
    float q_scale[RANK_ROWS + 1];
    size_t stride = count * 16 + 3;

    for (size_t i = 0; i < sizeof q; i++) q[i] = c->q[i * 7 % sizeof c->q];
    for (size_t r = 0; r <= rows; r++) least[r] = r % 3 == 2 ? -1e30f : INFINITY;
    for (size_t r = 0; r <= rows; r++) q_scale[r] = 0.1f + (float)r;
    for (size_t i = 0; i < rows * stride; i++) got[i] = -77.0f;
    k->rank_rows(q, RANK_STRIDE, q_scale, rows, c->blocks + 1, c->scale, c->norm, c->code_sum,
                 count, dims, got, stride, least);
    for (size_t r = 0; r < rows; r++) {
        float smallest = r % 3 == 2 ? -1e30f : INFINITY;
        scalar->rank_blocks(q + r * RANK_STRIDE, q_scale[r], c->blocks + 1, c->scale, c->norm,
                            c->code_sum, count, dims, expected);
        hwt_assert_floats_equal(expected, got + r * stride, count * 16, "rank_rows", dims);
        for (size_t i = 0; i < count * 16; i++) smallest = fminf(smallest, expected[i]);
        assert_true(least[r] == smallest && got[r * stride + count * 16] == -77.0f);
    }
    assert_true(least[rows] == (rows % 3 == 2 ? -1e30f : INFINITY));
}

static void
rank_rows_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    static block_case c;
    for (unsigned round = 0; round < 3; round++) {
        make_blocks(&c, round);
        for (size_t dims = 0; dims <= 40; dims += 8)
            for (size_t count = 0; count <= BLOCKS; count++)
                for (size_t rows = 0; rows <= RANK_ROWS; rows += rows < 3 ? 1 : 8)
                    check_rank_rows(scalar, k, &c, dims, count, rows);
        check_rank_rows(scalar, k, &c, BLOCK_DIMS_MAX, BLOCKS, RANK_ROWS);
    }
}

static void
rank_of_many_rows_equals_that_of_each(void **state)
{
    (void)state;
    hwt_for_each_table(rank_rows_one_table);
}

static void
blocks_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    static block_case c;
    for (unsigned round = 0; round < 3; round++) {
        make_blocks(&c, round);
        for (size_t dims = 0; dims <= BLOCK_DIMS_MAX; dims += 8)
            for (size_t count = 0; count <= BLOCKS; count++)
                check_blocks(scalar, k, &c, dims, count);
    }
}

static void
int8_blocks_equal_scalar_with_extreme_values(void **state)
{
    (void)state;
    hwt_for_each_table(blocks_one_table);
}

static void
int8_blocks_hold_16_vectors_side_by_side(void **state)
{
    int8_t blocks[2 * 16 * 8] = {0};
    uint8_t q[8] = {1, 2, 3, 4, 5, 200, 7, 255};
    int32_t sums[32];
    (void)state;
    /* vector 21 = lane 5 of block 1, components 5 and 7 */
    blocks[128 + 64 + 5 * 4 + 1] = -3;
    blocks[128 + 64 + 5 * 4 + 3] = 100;
    hwi_kernels_scalar.dot_u8_blocks(q, blocks, 2, 8, sums);
    for (int i = 0; i < 32; i++) assert_int_equal(sums[i], i == 21 ? -600 + 25500 : 0);
}

static void
rank_is_the_norm_minus_twice_the_inner_product(void **state)
{
    int8_t blocks[16 * 8];
    uint8_t q[8];
    float scale[16], norm[16], sum[16], out[16];
    (void)state;
    for (int lane = 0; lane < 16; lane++) {
        int total = 0;
        for (int j = 0; j < 8; j++) {
            int8_t v = (int8_t)(lane * 7 - j * 11);
            blocks[j / 4 * 64 + lane * 4 + j % 4] = v;
            total += v;
        }
        scale[lane] = 0.5f, norm[lane] = (float)lane, sum[lane] = (float)total;
    }
    for (int j = 0; j < 8; j++) q[j] = (uint8_t)(128 + (j * 9 - 30)); /* q8 + 128 */
    hwi_kernels_scalar.rank_blocks(q, 0.25f, blocks, scale, norm, sum, 1, 8, out);
    for (int lane = 0; lane < 16; lane++) {
        int ip = 0;
        for (int j = 0; j < 8; j++) ip += (j * 9 - 30) * (lane * 7 - j * 11);
        assert_true(out[lane] == (float)lane - 0.25f * (float)ip);
    }
}

/* ---- selection ---- */

enum { SELECT_MAX = 150 };

static void
check_select(const hwi_kernels *scalar, const hwi_kernels *k, const float *v, size_t n, float cut)
{
    uint32_t expected_index[SELECT_MAX + 33], index[SELECT_MAX + 33];
    float expected_value[SELECT_MAX + 33], value[SELECT_MAX + 33];
    size_t room = (n + 15) / 16 * 16 + 16;

    index[room] = 77, value[room] = 77;
    size_t expected = scalar->select_le(v, n, cut, expected_index, expected_value);
    size_t found = k->select_le(v, n, cut, index, value);
    assert_int_equal(expected, found);
    assert_memory_equal(expected_index, index, found * 4);
    assert_memory_equal(expected_value, value, found * 4);
    assert_true(index[room] == 77 && value[room] == 77);
}

static void
select_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    float v[SELECT_MAX + 1];
    hwi_rng rng;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t i = 0; i <= SELECT_MAX; i++)
        v[i] = (float)((int)hwi_rng_below(&rng, 21) - 10); /* many equal to the cut */
    v[20] = NAN;
    for (size_t n = 0; n <= SELECT_MAX; n++)
        for (float cut = -11; cut <= 11; cut++) {
            check_select(scalar, k, v, n, cut);
            check_select(scalar, k, v + 1, n, cut);
        }
    check_select(scalar, k, v, SELECT_MAX, -INFINITY);
    check_select(scalar, k, v, SELECT_MAX, INFINITY);
    check_select(scalar, k, v, SELECT_MAX, NAN);
}

static void
select_finds_the_same_none_some_and_all(void **state)
{
    (void)state;
    hwt_for_each_table(select_one_table);
}

static void
select_takes_what_is_at_the_cut(void **state)
{
    const float v[5] = {3, 1, 2, 2.5f, -4};
    uint32_t index[32];
    float value[32];
    (void)state;
    assert_int_equal(hwi_kernels_scalar.select_le(v, 5, 2, index, value), 3);
    assert_true(index[0] == 1 && index[1] == 2 && index[2] == 4);
    assert_true(value[0] == 1 && value[1] == 2 && value[2] == -4);
}

/* ---- cuts ---- */

#define CUT_MAX 5000u

static void
check_cut(const hwi_kernels *scalar, const hwi_kernels *k, const float *v, size_t n, size_t want)
{
    float cut = k->cut(v, n, want), expected = scalar->cut(v, n, want);
    size_t found = 0, finite = 0;

    assert_memory_equal(&cut, &expected, sizeof cut);
    for (size_t i = 0; i < n; i++) found += v[i] <= cut, finite += v[i] < INFINITY;
    assert_true(found >= (want < finite ? want : finite));
    assert_true(found <= finite);
}

static void
cut_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    static const size_t sizes[] = {1, 2, 15, 16, 17, 33, 100, 1023, 2047, 2048, 3001, CUT_MAX};
    static const size_t wants[] = {1, 2, 7, 32, 100, 256, 257, 3000};
    static float v[CUT_MAX];
    hwi_rng rng;

    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (uint32_t kind = 0; kind < 3; kind++) /* all different; many equal; nearly all taken out */
        for (size_t s = 0; s < HWI_COUNT(sizes); s++) {
            for (size_t i = 0; i < CUT_MAX; i++) {
                float x = (float)hwi_rng_normal(&rng);
                v[i] = kind == 0 ? x : kind == 1 ? roundf(x) : i % 1024 ? INFINITY : x;
            }
            for (size_t w = 0; w < HWI_COUNT(wants); w++)
                check_cut(scalar, k, v, sizes[s], wants[w]);
        }
}

static void
a_cut_lets_enough_through(void **state)
{
    (void)state;
    hwt_for_each_table(cut_one_table);
}

static void
a_cut_lets_few_more_through_than_wanted(void **state)
{
    static float v[1000];
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t i = 0; i < 1000; i++) v[i] = (float)hwi_rng_normal(&rng);
    for (size_t want = 1; want < 1000; want++) {
        float cut = hwi_kernels_scalar.cut(v, 1000, want);
        size_t found = 0;
        for (size_t i = 0; i < 1000; i++) found += v[i] <= cut;
        assert_in_range(found, want, want + want / 4 + 2);
    }
}

/* ---- signatures ---- */

enum { SCAN_BLOCKS = 9, SCAN_BYTES = SCAN_BLOCKS * (32 * 64 + 128) + 8 };

typedef struct scan_case {
    uint8_t blocks[SCAN_BYTES];
    hwi_scan_query query;
    uint32_t row[(SCAN_BLOCKS + 1) * 16];
    float bound[(SCAN_BLOCKS + 1) * 16];
} scan_case;

/* Random signatures; the last five rows are padding. */
static void
make_scan(scan_case *c, size_t words, hwi_rng *rng, uint8_t *blocks)
{
    float z[HWI_BITS_MAX] = {0}, scale;
    hwt_fill_floats(rng, z, words * 32);
    (void)hwi_quantize_scan(z, words * 32, &c->query, &scale);
    hwt_fill_bytes(rng, blocks, SCAN_BLOCKS * HWI_SIGNATURE_BLOCK_BYTES(words));
    for (size_t i = 0; i < SCAN_BLOCKS * 16; i++) {
        uint8_t *factors =
            blocks + i / 16 * HWI_SIGNATURE_BLOCK_BYTES(words) + words * 64 + i % 16 * 4;
        bool padding = i + 5 >= SCAN_BLOCKS * 16;
        hwi_put_f32(factors, padding ? 1e30f : 40 + hwt_random_float(rng));
        hwi_put_f32(factors + 64, padding ? 0 : 3 + hwt_random_float(rng));
    }
}

static void
check_scan(const hwi_kernels *scalar, const hwi_kernels *k, scan_case *c, const uint8_t *blocks,
           size_t count, size_t words, float cut)
{
    uint32_t row[(SCAN_BLOCKS + 1) * 16 + 1];
    float bound[(SCAN_BLOCKS + 1) * 16 + 1];
    size_t room = (count + 1) * 16;

    row[room] = 77, bound[room] = 77;
    size_t expected =
        scalar->scan(blocks, count, words, &c->query, 0.11f, -0.7f, cut, 1000, c->row, c->bound);
    size_t found = k->scan(blocks, count, words, &c->query, 0.11f, -0.7f, cut, 1000, row, bound);
    assert_int_equal(expected, found);
    assert_memory_equal(c->row, row, found * 4);
    hwt_assert_floats_equal(c->bound, bound, found, "scan", words);
    assert_true(row[room] == 77 && bound[room] == 77);
    if (cut <= 1e30f && count == SCAN_BLOCKS) /* no padding */
        for (size_t i = 0; i < found; i++) assert_true(row[i] < 1000 + SCAN_BLOCKS * 16 - 5);
}

static void
scan_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    static const float cuts[] = {-INFINITY, 0, 20, 40, 60, 1e30f, INFINITY, NAN};
    static scan_case c;
    hwi_rng rng;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t words = 2; words <= 32; words *= 2)
        for (size_t misaligned = 0; misaligned < 8; misaligned++) {
            make_scan(&c, words, &rng, c.blocks + misaligned);
            for (size_t count = 0; count <= SCAN_BLOCKS; count++)
                for (size_t i = 0; i < HWI_COUNT(cuts); i++)
                    check_scan(scalar, k, &c, c.blocks + misaligned, count, words, cuts[i]);
        }
}

static void
scan_finds_the_same_rows_and_bounds(void **state)
{
    (void)state;
    hwt_for_each_table(scan_one_table);
}

static void
scan_extremes_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    static scan_case c;
    hwi_rng rng;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t words = 2; words <= 32; words *= 2) {
        make_scan(&c, words, &rng, c.blocks);
        int8_t *entry = &c.query.table[0][0][0][0];
        for (size_t i = 0; i < sizeof c.query; i++) entry[i] = i % 3 ? INT8_MIN : INT8_MAX;
        check_scan(scalar, k, &c, c.blocks, SCAN_BLOCKS, words, INFINITY);
        memset(c.query.table, INT8_MIN, sizeof c.query);
        check_scan(scalar, k, &c, c.blocks, SCAN_BLOCKS, words, INFINITY);
        memset(c.query.table, INT8_MAX, sizeof c.query);
        check_scan(scalar, k, &c, c.blocks, SCAN_BLOCKS, words, INFINITY);
    }
}

static void
scan_does_not_overflow_with_extreme_tables(void **state)
{
    (void)state;
    hwt_for_each_table(scan_extremes_one_table);
}

/* Built from bits and components alone, without the tables. */
static void
scan_computes_the_bound_of_the_contract(void **state)
{
    static scan_case c;
    hwi_rng rng;
    float z[256], scale;
    (void)state;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    make_scan(&c, 8, &rng, c.blocks);
    hwt_fill_floats(&rng, z, 256);
    (void)hwi_quantize_scan(z, 256, &c.query, &scale);
    size_t found = hwi_kernels_scalar.scan(c.blocks, SCAN_BLOCKS, 8, &c.query, scale, 0.5f,
                                           INFINITY, 0, c.row, c.bound);
    assert_int_equal(found, SCAN_BLOCKS * 16);
    for (size_t i = 0; i < found; i++) {
        const uint8_t *block = c.blocks + i / 16 * HWI_SIGNATURE_BLOCK_BYTES(8);
        double ip = 0;
        for (size_t j = 0; j < 256; j++)
            if (hwi_get_u32(block + (j / 32 * 16 + i % 16) * 4) >> j % 32 & 1)
                ip += rint(fmin(fmax((double)(z[j] / scale), -31), 31));
        double a = (double)hwi_get_f32(block + 512 + i % 16 * 4);
        double s = (double)hwi_get_f32(block + 576 + i % 16 * 4);
        double e = a - s * ((double)scale * ip + 0.5);
        assert_true(c.row[i] == i);
        assert_true(fabs(e - (double)c.bound[i]) <= 1e-5 * (fabs(e) + fabs(a) + 100));
    }
}

/* ---- refine codes ---- */

enum { CODES = 7, CODE_DIMS_MAX = 336 };

static void
check_codes(const hwi_kernels *scalar, const hwi_kernels *k, const int8_t *q, const uint8_t *codes)
{
    const uint8_t *row[CODES];
    int32_t expected[CODES], got[CODES + 1];
    for (size_t dims = 0; dims <= CODE_DIMS_MAX; dims += 16) {
        for (size_t i = 0; i < CODES; i++) row[i] = codes + (CODES - 1 - i) * (CODE_DIMS_MAX + 3);
        for (size_t count = 0; count <= CODES; count++) {
            got[count] = -77;
            scalar->dot_codes(q, row, count, dims, expected);
            k->dot_codes(q, row, count, dims, got);
            assert_memory_equal(expected, got, count * 4);
            assert_int_equal(got[count], -77);
            if (dims % 32 != 0) continue;
            scalar->dot_nibbles(q, row, count, dims / 2, expected);
            k->dot_nibbles(q, row, count, dims / 2, got);
            assert_memory_equal(expected, got, count * 4);
            assert_int_equal(got[count], -77);
        }
    }
}

static void
codes_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    static int8_t q[CODE_DIMS_MAX + 1];
    static uint8_t codes[CODES * (CODE_DIMS_MAX + 3)];
    hwi_rng rng;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    hwt_fill_bytes(&rng, q, sizeof q);
    hwt_fill_bytes(&rng, codes, sizeof codes);
    check_codes(scalar, k, q, codes);
    check_codes(scalar, k, q + 1, codes);
    memset(codes, 255, sizeof codes);
    memset(q, 127, sizeof q);
    check_codes(scalar, k, q, codes);
    memset(q, -128, sizeof q);
    check_codes(scalar, k, q, codes);
}

static void
refine_codes_equal_scalar_with_extreme_values(void **state)
{
    (void)state;
    hwt_for_each_table(codes_one_table);
}

static void
refine_codes_stay_exact_at_the_largest_dims_one_table(const hwi_kernels *scalar,
                                                      const hwi_kernels *k)
{
    enum { DIMS = 65536 };
    static int8_t q[DIMS];
    static uint8_t code[DIMS];
    const uint8_t *row = code;
    int32_t out;
    (void)scalar;
    memset(q, -127, sizeof q);
    memset(code, 255, sizeof code);
    k->dot_codes(q, &row, 1, DIMS, &out);
    assert_int_equal(out, -127 * 255 * DIMS);
}

static void
refine_codes_stay_exact_at_the_largest_dims(void **state)
{
    (void)state;
    hwt_for_each_table(refine_codes_stay_exact_at_the_largest_dims_one_table);
}

/* ---- quantisers ---- */

static void
rounding_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    hwi_rng rng;
    float x[151];
    int8_t expected[150], got[151];
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t dims = 0; dims <= 150; dims++)
        for (size_t at = 0; at < 2; at++) {
            hwt_fill_floats(&rng, x, 151);
            for (size_t j = 0; j < 151; j += 7) x[j] = (float)j / 2 - 30; /* halves, and clipped */
            got[dims] = 77;
            assert_true(scalar->largest(x + at, dims) == k->largest(x + at, dims));
            assert_int_equal(scalar->round_i8(x + at, dims, 3.0f, 100, expected),
                             k->round_i8(x + at, dims, 3.0f, 100, got));
            assert_memory_equal(expected, got, dims);
            assert_int_equal(got[dims], 77);
        }
}

static void
rounding_equals_scalar_at_every_length(void **state)
{
    (void)state;
    hwt_for_each_table(rounding_one_table);
}

static void
quantize_i8_rounds_to_nearest_and_pads(void **state)
{
    const float x[5] = {254, -254, 1, 2.999f, 0};
    int8_t q[16];
    float scale;
    (void)state;
    memset(q, 99, sizeof q);
    assert_int_equal(hwi_quantize_i8(x, 5, 16, q, &scale), 0 + 127 - 127 + 0 + 1);
    assert_true(scale == 2.0f);
    assert_int_equal(q[0], 127);
    assert_int_equal(q[1], -127);
    assert_int_equal(q[2], 0); /* half to even */
    assert_int_equal(q[3], 1);
    for (int j = 4; j < 16; j++) assert_int_equal(q[j], 0);
}

static void
quantize_i8_error_is_half_a_step(void **state)
{
    hwi_rng rng;
    float x[129];
    int8_t q[144];
    (void)state;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t dims = 0; dims <= 129; dims++) {
        float scale;
        int32_t sum = 0;
        hwt_fill_floats(&rng, x, dims);
        int32_t reported = hwi_quantize_i8(x, dims, 144, q, &scale);
        for (size_t j = 0; j < dims; j++) {
            assert_true(fabsf(x[j] - (float)q[j] * scale) <= 0.501f * scale);
            sum += q[j];
        }
        assert_int_equal(sum, reported);
    }
}

static void
quantizers_accept_zero_and_huge_vectors(void **state)
{
    static hwi_scan_query query;
    float zero[64] = {0}, huge[64], scale;
    int8_t q[64];
    (void)state;
    for (int j = 0; j < 64; j++) huge[j] = j % 2 ? 1e18f : -1e18f;
    assert_int_equal(hwi_quantize_i8(zero, 64, 64, q, &scale), 0);
    assert_true(scale >= 1e-20f && q[5] == 0);
    assert_int_equal(hwi_quantize_i8(huge, 64, 64, q, &scale), 0);
    assert_int_equal(q[1], 127);
    assert_int_equal(hwi_quantize_scan(zero, 64, &query, &scale), 0);
    assert_true(scale > 0 && query.table[1][1][3][15] == 0);
    assert_int_equal(hwi_quantize_scan(huge, 64, &query, &scale), 0);
    assert_true(isfinite(scale));
}

static void
quantize_scan_tables_hold_sums_of_components(void **state)
{
    static hwi_scan_query query;
    hwi_rng rng;
    float z[128], scale;
    int32_t sum = 0;
    (void)state;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    hwt_fill_floats(&rng, z, 128);
    z[9] = 50, z[10] = -50, z[11] = 60, z[8] = 70; /* clipped */
    int32_t reported = hwi_quantize_scan(z, 128, &query, &scale);
    for (size_t w = 0; w < 4; w++)
        for (size_t h = 0; h < 2; h++)
            for (size_t b = 0; b < 4; b++)
                for (size_t n = 0; n < 16; n++) {
                    int expected = 0;
                    for (size_t i = 0; i < 4; i++) {
                        float v = rintf(z[w * 32 + b * 8 + h * 4 + i] * (1.0f / scale));
                        if (n >> i & 1) expected += (int)fminf(fmaxf(v, -31), 31);
                    }
                    assert_int_equal(query.table[w][h][b][n], expected);
                    if (n == 15) sum += expected;
                }
    assert_int_equal(reported, sum);
    assert_int_equal(query.table[0][0][1][1 + 2 + 8], 93);
    assert_int_equal(query.table[0][0][1][4], -31);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_blocks_equal_scalar_with_extreme_values),
        cmocka_unit_test(int8_blocks_hold_16_vectors_side_by_side),
        cmocka_unit_test(rank_of_many_rows_equals_that_of_each),
        cmocka_unit_test(rank_is_the_norm_minus_twice_the_inner_product),
        cmocka_unit_test(select_finds_the_same_none_some_and_all),
        cmocka_unit_test(select_takes_what_is_at_the_cut),
        cmocka_unit_test(a_cut_lets_enough_through),
        cmocka_unit_test(a_cut_lets_few_more_through_than_wanted),
        cmocka_unit_test(scan_finds_the_same_rows_and_bounds),
        cmocka_unit_test(scan_does_not_overflow_with_extreme_tables),
        cmocka_unit_test(scan_computes_the_bound_of_the_contract),
        cmocka_unit_test(refine_codes_equal_scalar_with_extreme_values),
        cmocka_unit_test(refine_codes_stay_exact_at_the_largest_dims),
        cmocka_unit_test(rounding_equals_scalar_at_every_length),
        cmocka_unit_test(quantize_i8_rounds_to_nearest_and_pads),
        cmocka_unit_test(quantize_i8_error_is_half_a_step),
        cmocka_unit_test(quantizers_accept_zero_and_huge_vectors),
        cmocka_unit_test(quantize_scan_tables_hold_sums_of_components),
    };
    return cmocka_run_group_tests_name("kernel_codes", tests, NULL, NULL);
}
