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

int32_t
hwi_quantize_planes(const float *z, size_t m, uint32_t *planes, float *scale)
{
    /* 2.7 deviations over 7.5 steps: clips 0.7 % of a normal distribution, which measured better
     * than spending levels on the tails. */
    float step = sqrtf(sum_of_squares(z, m) / (float)m) * (2.7f / 7.5f) + 1e-20f;
    float inverse = 1.0f / step;
    int32_t sum = 0;

    for (size_t w = 0; w < m / 32; w++) {
        uint32_t plane[4] = {0};
        for (uint32_t j = 0; j < 32; j++) {
            float scaled = z[w * 32 + j] * inverse;
            int32_t v = nearest(HWI_MAX(HWI_MIN(scaled, 7.0f), -8.0f));
            for (uint32_t p = 0; p < 4; p++) plane[p] |= ((uint32_t)v >> p & 1u) << j;
            sum += v;
        }
        memcpy(planes + w * 4, plane, sizeof plane);
    }
    *scale = step;
    return sum;
}
