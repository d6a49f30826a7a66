/* rank.h - ranking for many rows, where a table has no better way than one row after the other.
 *
 * Included by a table after its own rank_blocks. */
#ifndef HWI_KERNEL_RANK_H
#define HWI_KERNEL_RANK_H

#include "kernel.h"

static float
least_of(const float *v, size_t n, float least)
{
    float m[HWI_LANES];

    for (size_t i = 0; i < HWI_LANES; i++) m[i] = least;
    for (size_t at = 0; at < n; at += HWI_LANES) /* n: whole blocks */
        for (size_t i = 0; i < HWI_LANES; i++) m[i] = v[at + i] < m[i] ? v[at + i] : m[i];
    for (size_t i = 0; i < HWI_LANES; i++) least = m[i] < least ? m[i] : least;
    return least;
}

static void
rank_rows(const uint8_t *q, size_t stride, const float *q_scale, size_t rows, const int8_t *blocks,
          const float *scale, const float *norm, const float *code_sum, size_t block_count,
          size_t dims, float *out, size_t out_stride, float *least)
{
    for (size_t r = 0; r < rows; r++, out += out_stride) {
        rank_blocks(q + r * stride, q_scale[r], blocks, scale, norm, code_sum, block_count, dims,
                    out);
        least[r] = least_of(out, block_count * HWI_LANES, least[r]);
    }
}

#endif
