/* helpers.c - a query's floats become the small integers that the kernels take.
 *
 * The same code on every machine, so that a query is quantised alike everywhere. It runs once per
 * query, so it is written for the compiler to vectorise with the baseline instructions, not by
 * hand: rounding is the addition of 1.5 * 2^23, after which the spacing of floats is 1, and the
 * sums have several lanes. Rounding is to nearest, halves to even. */
#include "kernel.h"

#include <math.h>

#define SUM_LANES 8u

/* Nearest integer of |v| < 2^22. */
static inline int32_t
nearest(float v)
{
    const float spacing_one = 12582912.0f;
    return (int32_t)((v + spacing_one) - spacing_one);
}

static float
largest_magnitude(const float *x, size_t dims)
{
    float lane[SUM_LANES] = {0}, largest = 0;
    size_t j = 0;
    for (; j + SUM_LANES <= dims; j += SUM_LANES)
        for (size_t i = 0; i < SUM_LANES; i++)
            lane[i] = fabsf(x[j + i]) > lane[i] ? fabsf(x[j + i]) : lane[i];
    for (; j < dims; j++) lane[j % SUM_LANES] = HWI_MAX(lane[j % SUM_LANES], fabsf(x[j]));
    for (size_t i = 0; i < SUM_LANES; i++) largest = HWI_MAX(largest, lane[i]);
    return largest;
}

int32_t
hwi_quantize_i8(const float *x, size_t dims, size_t padded, int8_t *q, float *scale)
{
    float step = HWI_MAX(largest_magnitude(x, dims) / 127.0f, 1e-20f);
    float inverse = 1.0f / step;
    int32_t sum = 0;

    for (size_t j = 0; j < dims; j++) {
        float scaled = x[j] * inverse;
        int32_t v = nearest(scaled);
        q[j] = (int8_t)v;
        sum += v;
    }
    if (padded > dims) memset(q + dims, 0, padded - dims);
    *scale = step;
    return sum;
}

static float
sum_of_squares(const float *z, size_t m)
{
    float lane[SUM_LANES] = {0}, sum = 0;
    for (size_t j = 0; j + SUM_LANES <= m; j += SUM_LANES)
        for (size_t i = 0; i < SUM_LANES; i++) lane[i] += z[j + i] * z[j + i];
    for (size_t i = 0; i < SUM_LANES; i++) sum += lane[i];
    return sum;
}

/* entry[n] = sum of q[i] over the bits i set in n. */
static void
subset_sums(const int8_t *q, int8_t *entry)
{
    for (uint32_t n = 0; n < 16; n++)
        entry[n] = (int8_t)((q[0] & -(int)(n & 1)) + (q[1] & -(int)(n >> 1 & 1)) +
                            (q[2] & -(int)(n >> 2 & 1)) + (q[3] & -(int)(n >> 3)));
}

int32_t
hwi_quantize_scan(const float *z, size_t m, hwi_scan_query *query, float *scale)
{
    /* z is close to normal after the rotation: 4 deviations clip one component in 16,000. */
    float step = sqrtf(sum_of_squares(z, m) / (float)m) * (4.0f / 31.5f) + 1e-20f;
    float inverse = 1.0f / step;
    int8_t q[HWI_BITS_MAX];
    int32_t sum = 0;

    for (size_t j = 0; j < m; j++) {
        float scaled = z[j] * inverse;
        int32_t v = nearest(HWI_MAX(HWI_MIN(scaled, 31.0f), -31.0f));
        q[j] = (int8_t)v;
        sum += v;
    }
    for (size_t j = 0; j < m; j += 4)
        subset_sums(q + j, query->table[j / 32][j / 4 % 2][j / 8 % 4]);
    *scale = step;
    return sum;
}
