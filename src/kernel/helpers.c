/* helpers.c - a query's floats become the small integers that the kernels take.
 *
 * The arithmetic is done by the table in use; what is here decides scales, and builds the nibble
 * tables of `scan` eight entries at a time in a 64-bit word:
 *
 *     byte n of low = sum of u[i] over the bits i set in n, n = 0..7;  high = low + u[3] everywhere
 *
 * where u = q + 31 is never negative, so that bytes do not borrow from each other; at the end 31
 * for every bit of n is taken off again. */
#include "kernel.h"

#include <math.h>

#define SCAN_LIMIT 31 /* largest query component: four of them fit a signed byte */

/* Results are the same with every table, so a refused HASHWOOD_KERNELS need not fail here too. */
static const hwi_kernels *
kernels(void)
{
    const hwi_kernels *k = hwi_kernels_active();
    return k ? k : &hwi_kernels_scalar;
}

int32_t
hwi_quantize_i8(const float *x, size_t dims, size_t padded, int8_t *q, float *scale)
{
    const hwi_kernels *k = kernels();
    float step = HWI_MAX(k->largest(x, dims) / 127.0f, 1e-20f);

    if (padded > dims) memset(q + dims, 0, padded - dims);
    *scale = step;
    return k->round_i8(x, dims, 1.0f / step, 127.0f, q);
}

void
hwi_shift_i8(const int8_t *q, size_t dims, uint8_t *out)
{
    for (size_t j = 0; j < dims; j++) out[j] = (uint8_t)q[j] ^ 128;
}

/* a - b in each byte, for b below 128. */
static uint64_t
subtract_bytes(uint64_t a, uint64_t b)
{
    const uint64_t tops = 0x8080808080808080u;
    return ((a | tops) - b) ^ (~a & tops);
}

/* Like hwi_put_u64, which compilers leave as eight stores when they know one byte to be 0. */
static void
put_entries(int8_t *entry, uint64_t bytes)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    memcpy(entry, &bytes, 8);
}

/* entry[n] = sum of q[i] over the bits i set in n. */
static void
subset_sums(const int8_t *q, int8_t *entry)
{
    /* 31 for every bit set in 0 .. 7 */
    const uint64_t offsets = 0x0302020102010100u * SCAN_LIMIT;
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low = (uint64_t)(q[0] + SCAN_LIMIT) * 0x0100010001000100u +
                   (uint64_t)(q[1] + SCAN_LIMIT) * 0x0101000001010000u +
                   (uint64_t)(q[2] + SCAN_LIMIT) * 0x0101010100000000u;
    uint64_t high = low + (uint64_t)(q[3] + SCAN_LIMIT) * ones;

    put_entries(entry, subtract_bytes(low, offsets));
    put_entries(entry + 8, subtract_bytes(high, offsets + SCAN_LIMIT * ones));
}

int32_t
hwi_quantize_scan(const float *z, size_t m, hwi_scan_query *query, float *scale)
{
    const hwi_kernels *k = kernels();
    int8_t q[HWI_BITS_MAX];
    float squares;

    /* z is close to normal after the rotation: 4 deviations clip one component in 16,000. */
    k->dot_rows(z, z, 0, 1, m, &squares);
    *scale = sqrtf(squares / (float)m) * (4.0f / ((float)SCAN_LIMIT + 0.5f)) + 1e-20f;
    int32_t sum = k->round_i8(z, m, 1.0f / *scale, (float)SCAN_LIMIT, q);
    for (size_t j = 0; j < m; j += 8) {
        subset_sums(q + j, query->table[j / 32][0][j / 8 % 4]);
        subset_sums(q + j + 4, query->table[j / 32][1][j / 8 % 4]);
    }
    return sum;
}

/* ---- products ---- */

void
hwi_pack_panels(const float *vectors, size_t count, size_t dims, float *out)
{
    for (size_t first = 0; first < count; first += HWI_PANEL)
        for (size_t j = 0; j < dims; j++)
            for (size_t i = first; i < first + HWI_PANEL; i++)
                *out++ = i < count ? vectors[i * dims + j] : 0;
}
