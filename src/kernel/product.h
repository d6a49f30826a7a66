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

#include "kernel.h"

typedef float product_register __attribute__((vector_size(PRODUCT_WIDTH * 4)));

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

#endif
