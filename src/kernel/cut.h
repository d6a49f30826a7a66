/* cut.h - a cut for select_le, included by every table: plain loops over counts and least values,
 * which compilers turn into the registers of the file that includes them.
 *
 * Halving the range of the numbers' bit patterns finds a cut in some ten passes without a branch that
 * depends on the data. Quickselect reads less, yet waits for a mispredicted branch at every other
 * element: it took a tenth to a quarter of a search. */
#ifndef HWI_KERNEL_CUT_H
#define HWI_KERNEL_CUT_H

#include <float.h>

#include "kernel.h"

#define CUT_FOLD 1024u /* long lists are folded to so many of their least numbers */

/* Floats in their order as integers, and back; an involution. */
static inline int32_t
cut_turn(int32_t bits)
{
    return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
}

static inline int32_t
cut_key(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return cut_turn(bits);
}

static inline float
cut_value(int32_t key)
{
    int32_t bits = cut_turn(key);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline size_t
cut_count(const float *v, size_t n, float cut)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++) count += v[i] <= cut;
    return count;
}

/* folded[j]: the least of v[j], v[j + CUT_FOLD] ... */
static inline void
cut_fold(const float *v, size_t n, float *folded)
{
    memcpy(folded, v, CUT_FOLD * sizeof *folded);
    for (size_t from = CUT_FOLD; from < n; from += CUT_FOLD) {
        size_t end = HWI_MIN(n - from, (size_t)CUT_FOLD);
        for (size_t j = 0; j < end; j++)
            folded[j] = v[from + j] < folded[j] ? v[from + j] : folded[j];
    }
}

static float
cut_for(const float *v, size_t n, size_t want)
{
    float folded[CUT_FOLD];
    int32_t low = INT32_MAX, high = INT32_MIN, finite = cut_key(FLT_MAX);

    if (n >= 2 * CUT_FOLD && want <= CUT_FOLD / 4) {
        cut_fold(v, n, folded);
        if (cut_count(folded, CUT_FOLD, FLT_MAX) >= want) v = folded, n = CUT_FOLD;
    }
    for (size_t i = 0; i < n; i++) {
        /* a mask, as compilers turn no choice in this loop into registers */
        int32_t key = cut_key(v[i]), beyond = -(int32_t)(key > finite);
        low = HWI_MIN(low, key);
        high = HWI_MAX(high, (key & ~beyond) | (INT32_MIN & beyond));
    }
    if (want >= n) return cut_value(high);
    while (low < high) {
        int32_t middle = (int32_t)(((int64_t)low + high) >> 1);
        size_t count = cut_count(v, n, cut_value(middle));
        if (count < want)
            low = middle + 1;
        else
            high = middle;
        if (count >= want && count <= want + want / 4 + 2) break;
    }
    return cut_value(high);
}

#endif
