/* tree_split.c - cutting a region in two.
 *
 * The median along the direction of largest spread gives equal halves, as in a KD-tree whose axes
 * follow the data; three steps of 2-means then move the border to where the points are thin. Roads
 * not taken: splitting on the widest coordinate axis (scans more at the same recall, see
 * docs/concepts.md), and running 2-means to convergence (no gain).
 */
#include "index/tree/tree_split.h"

#include <math.h>

#include "index/top.h"
#include "kernel/kernel.h"

#define POWER_STEPS 8u
#define MEANS_STEPS 3u

void
hwi_unit(float *v, uint32_t n)
{
    double sum = 0;

    for (uint32_t j = 0; j < n; j++) sum += (double)v[j] * v[j];
    if (!(sum > 0)) return;
    float scale = (float)(1 / sqrt(sum));
    for (uint32_t j = 0; j < n; j++) v[j] *= scale;
}

static void
mean_of(const float *y, size_t n, uint32_t dc, float *mean)
{
    memset(mean, 0, dc * sizeof *mean);
    for (size_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < dc; j++) mean[j] += y[i * dc + j];
    for (uint32_t j = 0; j < dc; j++) mean[j] /= (float)n;
}

/* Starts from the point farthest from the mean, so that the iteration does not begin across the
 * answer. c: centred points. */
static void
start_direction(const hwi_kernels *k, const float *c, size_t n, uint32_t width, uint32_t dc,
                float *direction)
{
    float farthest = -1, sum;
    size_t pick = 0;

    for (size_t i = 0; i < n; i++) {
        k->dot_rows(c + i * width, c + i * width, 0, 1, width, &sum);
        if (sum > farthest) farthest = sum, pick = i;
    }
    memcpy(direction, c + pick * width, width * sizeof *direction);
    if (!(farthest > 0)) direction[0] = 1; /* all points are equal: any direction will do */
    hwi_unit(direction, dc);
}

/* Rows of the centred copy are filled up with zeros to what matvec_columns asks for. */
static uint32_t
width_of(uint32_t dc)
{
    return (dc + 15) / 16 * 16;
}

size_t
hwi_direction_scratch(size_t n, uint32_t dc)
{
    return (n + 2) * width_of(dc) + n;
}

void
hwi_principal_direction(const float *y, size_t n, uint32_t dc, float *direction, float *scratch)
{
    const hwi_kernels *k = hwi_kernels_active();
    uint32_t width = width_of(dc);
    float *mean = scratch, *d = mean + width, *c = d + width, *t = c + n * width, length;

    mean_of(y, n, dc, mean);
    for (size_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < dc; j++) c[i * width + j] = y[i * dc + j] - mean[j];
        for (uint32_t j = dc; j < width; j++) c[i * width + j] = 0;
    }
    start_direction(k, c, n, width, dc, d);
    for (uint32_t step = 0; step < POWER_STEPS; step++) { /* d = C^T (C d) */
        k->dot_rows(d, c, width * sizeof *c, n, width, t);
        k->matvec_columns(c, width, t, n, d);
        k->dot_rows(d, d, 0, 1, width, &length);
        if (!(length > 0)) {
            start_direction(k, c, n, width, dc, d);
            break;
        }
        hwi_unit(d, dc);
    }
    memcpy(direction, d, dc * sizeof *direction);
}

/* The lower half along the direction is side 0. */
static void
halve_at_median(const float *y, size_t n, uint32_t dc, const float *direction, hwi_top_entry *order,
                uint8_t *side)
{
    float along;

    for (size_t i = 0; i < n; i++) {
        hwi_kernels_active()->dot_rows(direction, y + i * dc, 0, 1, dc, &along);
        order[i] = (hwi_top_entry){along, (uint32_t)i};
    }
    hwi_top_select(order, n, n / 2);
    for (size_t i = 0; i < n; i++) side[order[i].tag] = i >= n / 2;
}

static void
side_means(const float *y, size_t n, uint32_t dc, const uint8_t *side, float *means)
{
    size_t count[2] = {0, 0};

    memset(means, 0, 2 * dc * sizeof *means);
    for (size_t i = 0; i < n; i++) {
        float *mean = means + (size_t)side[i] * dc;
        for (uint32_t j = 0; j < dc; j++) mean[j] += y[i * dc + j];
        count[side[i]]++;
    }
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t j = 0; j < dc; j++) means[s * dc + j] /= (float)HWI_MAX(count[s], (size_t)1);
}

/* The plane midway between two anchors: <direction, y> < split is nearer to the first. */
static void
plane_between(const float *anchors, uint32_t dc, float *direction, float *split)
{
    double at = 0;

    for (uint32_t j = 0; j < dc; j++) direction[j] = anchors[dc + j] - anchors[j];
    hwi_unit(direction, dc);
    for (uint32_t j = 0; j < dc; j++)
        at += (double)direction[j] * (anchors[j] + anchors[dc + j]) / 2;
    *split = (float)at;
}

/* One step of 2-means; returns how many points are on side 1. */
static size_t
reassign(const float *y, size_t n, uint32_t dc, const float *direction, float split, uint8_t *side)
{
    size_t right = 0;
    float along;

    for (size_t i = 0; i < n; i++) {
        hwi_kernels_active()->dot_rows(direction, y + i * dc, 0, 1, dc, &along);
        side[i] = along >= split;
        right += side[i];
    }
    return right;
}

hw_status
hwi_tree_halve(const float *y, size_t n, uint32_t dc, bool spherical, uint8_t *side, float *means,
               float *direction, float *split, hw_error *err)
{
    hwi_top_entry *order = hwi_alloc(n * sizeof *order);
    size_t floats = hwi_direction_scratch(n, dc);
    float *scratch = hwi_alloc((floats + 2u * dc) * sizeof *scratch), *anchors = scratch + floats;
    uint8_t *halves = hwi_alloc(n);
    hw_status st = HW_OK;

    if (!order || !scratch || !halves) {
        st = hwi_nomem(err, floats * sizeof *scratch);
        goto out;
    }
    hwi_principal_direction(y, n, dc, direction, scratch);
    halve_at_median(y, n, dc, direction, order, halves);
    memcpy(side, halves, n);
    for (uint32_t step = 0; step <= MEANS_STEPS; step++) {
        side_means(y, n, dc, side, means);
        memcpy(anchors, means, 2 * dc * sizeof *means);
        if (spherical) hwi_unit(anchors, dc), hwi_unit(anchors + dc, dc);
        plane_between(anchors, dc, direction, split);
        if (step == MEANS_STEPS) break;
        size_t right = reassign(y, n, dc, direction, *split, side);
        if (right < n / 8 || n - right < n / 8 || right == 0 || right == n) {
            memcpy(side, halves, n);
            side_means(y, n, dc, side, means);
            break;
        }
    }
out:
    hwi_free(order);
    hwi_free(scratch);
    hwi_free(halves);
    return st;
}
