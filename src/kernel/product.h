/* product.h - products of many rows with many vectors, for any register width.
 *
 * Included by a table (avx512.c, avx2.c, neon.c) after it has said what a register is:
 *
 *     PRODUCT_WIDTH       floats in a register
 *     PRODUCT_ROWS        rows of a tile      } their product, plus a few, must fit the
 *     PRODUCT_REGISTERS   registers of a tile } register file
 *     PRODUCT_SPLAT(x)    a register full of x
 *     PRODUCT_ADD(a,b,c)  a * b + c, fused
 *
 * The vectors lie in panels (kernel.h), so that a tile reads one line after the other:
 *
 *                        panel: dims x 32                  tile: rows x registers of sums
 *      rows  a0 a1 .. ->  v0[0] v1[0] .. v31[0]            row 0   s s
 *            b0 b1 .. ->  v0[1] v1[1] .. v31[1]    =>      row 1   s s
 *            ..           ..                               ..
 *
 * A step loads one line of the panel and broadcasts one component of each row: with 12 rows of 2
 * registers (AVX-512) 24 multiply-adds for 14 loads, so the multipliers are what bounds it. Every
 * sum is one chain over the components in order, as in matvec_columns: its value depends neither on
 * the tile that it was in nor on the register width. */
#ifndef HWI_KERNEL_PRODUCT_H
#define HWI_KERNEL_PRODUCT_H

#include <math.h>

#include "kernel.h"

typedef float product_register __attribute__((vector_size(PRODUCT_WIDTH * 4)));
typedef int32_t product_mask __attribute__((vector_size(PRODUCT_WIDTH * 4)));
typedef struct product_floats {
    float v[PRODUCT_WIDTH];
} product_floats; /* a register's floats at any address */

#define PRODUCT_COLUMNS (PRODUCT_REGISTERS * PRODUCT_WIDTH) /* of a tile */
#define PRODUCT_INLINE static inline __attribute__((always_inline))

_Static_assert(HWI_PANEL % PRODUCT_COLUMNS == 0, "tiles fill a panel");

PRODUCT_INLINE product_register
product_load(const float *at)
{
    product_register v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* Sums of a tile: `rows` is a constant where this is inlined. */
PRODUCT_INLINE void
product_tile(const float *a, size_t stride, size_t rows, const float *strip, size_t dims,
             product_register sum[PRODUCT_ROWS][PRODUCT_REGISTERS])
{
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t i = 0; i < PRODUCT_REGISTERS; i++) sum[r][i] = PRODUCT_SPLAT(0.0f);
    for (size_t j = 0; j < dims; j++, strip += HWI_PANEL) {
        product_register line[PRODUCT_REGISTERS];
#pragma GCC unroll 4
        for (size_t i = 0; i < PRODUCT_REGISTERS; i++)
            line[i] = product_load(strip + i * PRODUCT_WIDTH);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            product_register x = PRODUCT_SPLAT(a[r * stride + j]);
#pragma GCC unroll 4
            for (size_t i = 0; i < PRODUCT_REGISTERS; i++)
                sum[r][i] = PRODUCT_ADD(line[i], x, sum[r][i]);
        }
    }
}

/* ---- all products ---- */

PRODUCT_INLINE void
product_rows(const float *a, size_t stride, size_t rows, const float *panels, size_t count,
             size_t dims, float *out, size_t out_stride)
{
    for (size_t k = 0; k < count; k += PRODUCT_COLUMNS) {
        const float *strip = panels + k / HWI_PANEL * HWI_PANEL * dims + k % HWI_PANEL;
        product_register sum[PRODUCT_ROWS][PRODUCT_REGISTERS];
        size_t bytes = HWI_MIN(count - k, (size_t)PRODUCT_COLUMNS) * sizeof(float);

        product_tile(a, stride, rows, strip, dims, sum);
        for (size_t r = 0; r < rows; r++) memcpy(out + r * out_stride + k, sum[r], bytes);
    }
}

static void
product(const float *a, size_t stride, size_t rows, const float *panels, size_t count, size_t dims,
        float *out, size_t out_stride)
{
    size_t i = 0;
    for (; i + PRODUCT_ROWS <= rows; i += PRODUCT_ROWS)
        product_rows(a + i * stride, stride, PRODUCT_ROWS, panels, count, dims,
                     out + i * out_stride, out_stride);
    for (; i + 3 <= rows; i += 3)
        product_rows(a + i * stride, stride, 3, panels, count, dims, out + i * out_stride,
                     out_stride);
    for (; i < rows; i++)
        product_rows(a + i * stride, stride, 1, panels, count, dims, out + i * out_stride,
                     out_stride);
}

/* ---- the nearest ---- */

/* For every row and lane the least score so far and where it was. */
typedef struct product_best {
    product_register least[PRODUCT_ROWS][PRODUCT_REGISTERS];
    product_mask at[PRODUCT_ROWS][PRODUCT_REGISTERS];
} product_best;

/* Takes in a tile's scores; columns come in ascending order, so the first of equals stays. */
PRODUCT_INLINE void
product_improve(product_best *best, size_t rows, product_register (*sum)[PRODUCT_REGISTERS],
                const float *norm, int32_t first)
{
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t i = 0; i < PRODUCT_REGISTERS; i++) {
            product_register score = PRODUCT_ADD(PRODUCT_SPLAT(-2.0f), sum[r][i],
                                                 product_load(norm + i * PRODUCT_WIDTH));
            product_mask better = score < best->least[r][i];
            product_mask old = (product_mask)best->least[r][i];
            best->least[r][i] =
                (product_register)((better & (product_mask)score) | (~better & old));
            best->at[r][i] = (better & first) | (~better & best->at[r][i]);
        }
}

/* The least of a row's lanes; of equals the first column. */
static void
product_settle(const product_best *best, size_t r, float *least, uint32_t *index)
{
    for (size_t i = 0; i < PRODUCT_REGISTERS; i++)
        for (size_t lane = 0; lane < PRODUCT_WIDTH; lane++) {
            float score = best->least[r][i][lane];
            uint32_t at = (uint32_t)best->at[r][i][lane] + (uint32_t)(i * PRODUCT_WIDTH + lane);
            if (score < *least || (score == *least && score < HUGE_VALF && at < *index))
                *least = score, *index = at;
        }
}

PRODUCT_INLINE void
nearest_rows(const float *a, size_t stride, size_t rows, const float *panels, const float *norms,
             size_t count, size_t dims, uint32_t first, float *least, uint32_t *index)
{
    product_best best;

    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < PRODUCT_REGISTERS; i++)
            best.least[r][i] = PRODUCT_SPLAT(HUGE_VALF), best.at[r][i] = (product_mask){0};
    for (size_t k = 0; k < count; k += PRODUCT_COLUMNS) {
        const float *strip = panels + k / HWI_PANEL * HWI_PANEL * dims + k % HWI_PANEL;
        product_register sum[PRODUCT_ROWS][PRODUCT_REGISTERS];
        product_tile(a, stride, rows, strip, dims, sum);
        product_improve(&best, rows, sum, norms + k, (int32_t)(first + k));
    }
    for (size_t r = 0; r < rows; r++) product_settle(&best, r, least + r, index + r);
}

static void
nearest(const float *a, size_t stride, size_t rows, const float *panels, const float *norms,
        size_t count, size_t dims, uint32_t first, float *least, uint32_t *index)
{
    size_t i = 0;
    for (; i + PRODUCT_ROWS <= rows; i += PRODUCT_ROWS)
        nearest_rows(a + i * stride, stride, PRODUCT_ROWS, panels, norms, count, dims, first,
                     least + i, index + i);
    for (; i < rows; i++)
        nearest_rows(a + i * stride, stride, 1, panels, norms, count, dims, first, least + i,
                     index + i);
}

#endif
