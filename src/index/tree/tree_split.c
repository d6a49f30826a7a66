/* tree_split.c - cutting a region in two.
 *
 * The median along the direction of largest spread gives equal halves, as in a KD-tree whose axes
 * follow the data; three steps of 2-means then move the border to where the points are thin. Roads
 * not taken: splitting on the widest coordinate axis (scans more at the same recall, see
 * DESIGN 4.1), and running 2-means to convergence (no gain).
 */
#include "index/tree/tree_split.h"

#include <cblas.h>
#include <math.h>

#include "index/top.h"

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
 * answer. */
static void
start_direction(const float *y, size_t n, uint32_t dc, const float *mean, float *direction)
{
    float farthest = -1;
    size_t pick = 0;

    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (uint32_t j = 0; j < dc; j++) {
            float d = y[i * dc + j] - mean[j];
            sum += d * d;
        }
        if (sum > farthest) farthest = sum, pick = i;
    }
    for (uint32_t j = 0; j < dc; j++) direction[j] = y[pick * dc + j] - mean[j];
    if (!(farthest > 0)) direction[0] = 1; /* all points are equal: any direction will do */
    hwi_unit(direction, dc);
}

void
hwi_principal_direction(const float *y, size_t n, uint32_t dc, float *direction, float *scratch)
{
    float *mean = scratch, *t = scratch + dc;

    mean_of(y, n, dc, mean);
    start_direction(y, n, dc, mean, direction);
    for (uint32_t step = 0; step < POWER_STEPS; step++) {
        /* t = (Y - mean) d, then d = (Y - mean)^T t */
        float offset = cblas_sdot((int)dc, mean, 1, direction, 1), sum = 0;
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)n, (int)dc, 1, y, (int)dc, direction, 1, 0, t,
                    1);
        for (size_t i = 0; i < n; i++) t[i] -= offset, sum += t[i];
        cblas_sgemv(CblasRowMajor, CblasTrans, (int)n, (int)dc, 1, y, (int)dc, t, 1, 0, direction,
                    1);
        cblas_saxpy((int)dc, -sum, mean, 1, direction, 1);
        if (!(cblas_sdot((int)dc, direction, 1, direction, 1) > 0)) {
            start_direction(y, n, dc, mean, direction);
            return;
        }
        hwi_unit(direction, dc);
    }
}

/* The lower half along the direction is side 0. */
static void
halve_at_median(const float *y, size_t n, uint32_t dc, const float *direction, hwi_top_entry *order,
                uint8_t *side)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (hwi_top_entry){cblas_sdot((int)dc, y + i * dc, 1, direction, 1), (uint32_t)i};
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

    for (size_t i = 0; i < n; i++) {
        side[i] = cblas_sdot((int)dc, y + i * dc, 1, direction, 1) >= split;
        right += side[i];
    }
    return right;
}

hw_status
hwi_tree_halve(const float *y, size_t n, uint32_t dc, bool spherical, uint8_t *side, float *means,
               float *direction, float *split, hw_error *err)
{
    hwi_top_entry *order = hwi_alloc(n * sizeof *order);
    float *scratch = hwi_alloc((n + 3u * dc) * sizeof *scratch), *anchors = scratch + n + dc;
    uint8_t *halves = hwi_alloc(n);
    hw_status st = HW_OK;

    if (!order || !scratch || !halves) {
        st = hwi_nomem(err, n * sizeof *order);
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
