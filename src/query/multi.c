/* multi.c - how alike two vectors of many rows are: MaxSim.
 *
 *     max_sim(query, stored) = sum over rows q of the query of max over rows x stored of s(q, x)
 *
 * with s the cosine, the dot product, or the negated squared l2 or l1 distance. Every row of the query
 * finds its best partner by itself, so the order of rows does not matter, nor that there are more on
 * one side (Khattab and Zaharia, ColBERT, SIGIR 2020). */
#include <math.h>

#include "index/space.h"
#include "query/rules.h"

/* The least distance from one prepared row to stored rows. */
static float
nearest(const hwi_space *space, const float *row, const uint8_t *rows, size_t count, float *scratch)
{
    float least = INFINITY;

    while (count > 0) {
        size_t n = HWI_MIN(count, (size_t)HWI_BLOCK);
        hwi_space_rows(space, row, rows, n, scratch);
        for (size_t i = 0; i < n; i++) least = scratch[i] < least ? scratch[i] : least;
        rows += n * space->row_bytes, count -= n;
    }
    return least;
}

float
hwi_max_sim(const hwi_space *space, const hwi_operand *operand, hw_bytes stored, float *scratch)
{
    size_t count = stored.size / space->row_bytes;
    float sum = 0;

    for (uint32_t i = 0; i < operand->row_count; i++) {
        const float *row = operand->rows + (size_t)i * space->dim;
        float least = nearest(space, row, stored.data, count, scratch);
        sum += space->metric == HWI_COSINE ? 1 - least : -least;
    }
    return sum;
}
