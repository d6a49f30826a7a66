/* tree_build.c - from all vectors to a partition.
 *
 * 1. KD-tree: halve recursively at the median of the direction of largest spread, until leaves are
 * about leaf_size.
 * 2. Lloyd: assign rows to their nearest anchor (the mean of a leaf), move the anchors to the new
 * means. First passes look at some rows of each leaf, which is enough to find the means; the last at
 * all. It pays to go on until few rows change leaves: those left behind by anchors that moved lie far
 * from all others of their leaf, and no search looks for them there. On a million vectors in 2,000
 * clusters three passes over all rows left 2 % of the neighbours in such places, and reaching .99 took
 * 74 leaves where it now takes 3 (docs/performance.md).
 * 3. Tidy: leaves left with fewer than a quarter of leaf_size give their rows to the next nearest;
 * leaves above most_rows are halved again.
 *
 * Rows are split among threads by index and sums are taken in row order, so the result does not
 * depend on threads.
 */
#include "index/tree/tree_build.h"

#include <math.h>

#include "index/rounded.h"
#include "index/top.h"
#include "index/tree/tree_split.h"
#include "kernel/kernel.h"

#define SAMPLE 1024u /* rows that decide a direction */
#define PROJECT_ROWS 1024u
#define ASSIGN_ROWS 480u /* rows a thread assigns at a time */
#define SAMPLED_PASSES 4u
#define SAMPLED_ROWS 64u /* rows of a leaf that a sampled pass looks at, about */
#define FULL_PASSES 2u

typedef struct builder {
    const float *y;
    size_t n;
    uint32_t dc;
    const hwi_partition_plan *plan;
    const hwi_kernels *kernels;
    hwi_partition *out;
    hwi_rng rng;
    uint32_t region_room, leaf_room;
    hw_error *err;
} builder;

void
hwi_partition_release(hwi_partition *p)
{
    hwi_free(p->leaf_of);
    hwi_free(p->anchors);
    hwi_free(p->regions);
    hwi_free(p->directions);
    *p = (hwi_partition){0};
}

/* ---- 1. KD-tree ---- */

static hw_status
new_region(builder *b, uint32_t *out)
{
    hwi_partition *p = b->out;

    if (p->region_count == b->region_room) {
        uint32_t room = b->region_room * 2 + 64;
        hwi_region *regions = hwi_realloc(p->regions, room * sizeof *regions);
        if (regions) p->regions = regions;
        float *directions =
            hwi_realloc(p->directions, hwi_size_mul(room, b->dc * sizeof *directions));
        if (directions) p->directions = directions;
        if (!regions || !directions) return hwi_nomem(b->err, room * sizeof *regions);
        b->region_room = room;
    }
    *out = p->region_count++;
    p->regions[*out] = (hwi_region){-1, -1, UINT32_MAX, 0};
    return HW_OK;
}

static hw_status
new_leaf(builder *b, uint32_t region, const uint32_t *rows, size_t count)
{
    hwi_partition *p = b->out;

    if (p->leaf_count == b->leaf_room) {
        uint32_t room = b->leaf_room * 2 + 64;
        float *anchors = hwi_realloc(p->anchors, hwi_size_mul(room, b->dc * sizeof *anchors));
        if (!anchors) return hwi_nomem(b->err, room * sizeof *anchors);
        p->anchors = anchors, b->leaf_room = room;
    }
    uint32_t leaf = p->leaf_count++;
    p->regions[region].leaf = leaf;
    float *anchor = p->anchors + (size_t)leaf * b->dc;
    memset(anchor, 0, b->dc * sizeof *anchor);
    for (size_t i = 0; i < count; i++) {
        const float *y = b->y + (size_t)rows[i] * b->dc;
        p->leaf_of[rows[i]] = leaf;
        for (uint32_t j = 0; j < b->dc; j++) anchor[j] += y[j];
    }
    for (uint32_t j = 0; j < b->dc; j++) anchor[j] /= (float)HWI_MAX(count, (size_t)1);
    if (b->plan->spherical) hwi_unit(anchor, b->dc);
    return HW_OK;
}

/* The direction of largest spread of a sample of the rows. */
static hw_status
direction_of(builder *b, const uint32_t *rows, size_t count, float *direction)
{
    size_t n = HWI_MIN(count, (size_t)SAMPLE);
    size_t floats = n * b->dc + hwi_direction_scratch(n, b->dc);
    float *sample = hwi_alloc(floats * sizeof *sample);

    if (!sample) return hwi_nomem(b->err, floats * sizeof *sample);
    for (size_t i = 0; i < n; i++) {
        size_t pick = n == count ? i : hwi_rng_below(&b->rng, count);
        memcpy(sample + i * b->dc, b->y + (size_t)rows[pick] * b->dc, b->dc * sizeof *sample);
    }
    hwi_principal_direction(sample, n, b->dc, direction, sample + n * b->dc);
    hwi_free(sample);
    return HW_OK;
}

typedef struct projecting {
    const builder *b;
    const uint32_t *rows;
    size_t count;
    const float *direction;
    hwi_top_entry *key;
} projecting;

static void
project_some(void *arg, size_t chunk)
{
    const projecting *p = arg;
    size_t first = chunk * PROJECT_ROWS, count = HWI_MIN(p->count - first, (size_t)PROJECT_ROWS);
    const float *y[PROJECT_ROWS] = {0};
    float along[PROJECT_ROWS];

    for (size_t i = 0; i < count; i++) y[i] = p->b->y + (size_t)p->rows[first + i] * p->b->dc;
    p->b->kernels->dot_gather(p->direction, y, count, p->b->dc, along);
    for (size_t i = 0; i < count; i++)
        p->key[first + i] = (hwi_top_entry){along[i], p->rows[first + i]};
}

/* Reorders rows so that the `left` smallest along the direction come first; *split lies between. */
static void
divide(const builder *b, uint32_t *rows, size_t count, size_t left, const float *direction,
       hwi_top_entry *key, float *split)
{
    projecting p = {b, rows, count, direction, key};

    hwi_parallel_for(b->plan->threads, (count + PROJECT_ROWS - 1) / PROJECT_ROWS, project_some, &p);
    hwi_top_select(key, count, left);
    *split = key[left - 1].distance;
    for (size_t i = 0; i < count; i++) rows[i] = key[i].tag;
}

static hw_status
split_rows(builder *b, uint32_t *rows, size_t count, uint32_t leaves, hwi_top_entry *key,
           uint32_t *region)
{
    uint32_t child[2];
    float split;

    HWI_TRY(new_region(b, region));
    if (leaves <= 1 || count < 2) return new_leaf(b, *region, rows, count);
    float *direction = hwi_alloc(b->dc * sizeof *direction);
    if (!direction) return hwi_nomem(b->err, b->dc * sizeof *direction);
    uint32_t left_leaves = leaves / 2;
    size_t left = (size_t)((double)count * left_leaves / leaves + 0.5);
    left = HWI_MIN(HWI_MAX(left, (size_t)1), count - 1);
    hw_status st = direction_of(b, rows, count, direction);
    if (st == HW_OK) {
        divide(b, rows, count, left, direction, key, &split);
        memcpy(b->out->directions + (size_t)*region * b->dc, direction, b->dc * sizeof *direction);
        b->out->regions[*region].split = split;
    }
    hwi_free(direction);
    if (st == HW_OK) st = split_rows(b, rows, left, left_leaves, key, &child[0]);
    if (st == HW_OK)
        st = split_rows(b, rows + left, count - left, leaves - left_leaves, key, &child[1]);
    if (st != HW_OK) return st;
    b->out->regions[*region].left = (int32_t)child[0];
    b->out->regions[*region].right = (int32_t)child[1];
    return HW_OK;
}

/* ---- 2. Lloyd ---- */

typedef struct assigning {
    const builder *b;
    hwi_rounded anchors;
    size_t every;          /* one row in so many is assigned */
    const uint8_t *wanted; /* leaves whose rows to assign anew; NULL: all */
    atomic_bool failed;
} assigning;

/* Copies the wanted ones of some rows together; returns how many. */
static size_t
gather_wanted(const assigning *a, size_t first, size_t rows, float *y, uint32_t *row)
{
    const builder *b = a->b;
    size_t count = 0;

    for (size_t i = first; i < first + rows; i++) {
        if (!a->wanted[b->out->leaf_of[i]]) continue;
        memcpy(y + count * b->dc, b->y + i * b->dc, b->dc * sizeof *y);
        row[count++] = (uint32_t)i;
    }
    return count;
}

static bool
assign_rows(const assigning *a, size_t first, size_t rows, float *copy)
{
    const builder *b = a->b;
    uint32_t leaves = b->out->leaf_count, row[ASSIGN_ROWS], nearest[ASSIGN_ROWS];
    const float *y = b->y + first * b->dc;

    if (a->wanted) rows = gather_wanted(a, first, rows, copy, row), y = copy;
    if (!hwi_rounded_nearest(&a->anchors, b->out->anchors, y, a->every * b->dc, rows, nearest))
        return false;
    for (size_t i = 0; i < rows; i++)
        if (nearest[i] < leaves)
            b->out->leaf_of[a->wanted ? row[i] : first + i * a->every] = nearest[i];
    return true;
}

static void
assign_some(void *arg, size_t chunk)
{
    assigning *a = arg;
    const builder *b = a->b;
    size_t first = chunk * ASSIGN_ROWS * a->every;
    size_t rows = HWI_MIN((b->n - first + a->every - 1) / a->every, (size_t)ASSIGN_ROWS);
    float *copy = NULL;

    if (a->wanted) copy = hwi_alloc_aligned(hwi_size_mul(rows, b->dc * sizeof *copy));
    if ((a->wanted && !copy) || !assign_rows(a, first, rows, copy)) atomic_store(&a->failed, true);
    hwi_free(copy);
}

static hw_status
assign(builder *b, size_t every, const uint8_t *wanted, const uint8_t *dead)
{
    uint32_t leaves = b->out->leaf_count;
    assigning a = {.b = b, .every = every, .wanted = wanted};
    bool ok = hwi_rounded_init(&a.anchors, b->out->anchors, leaves, b->dc);

    if (ok) {
        for (uint32_t k = 0; k < leaves; k++)
            if (!dead || !dead[k]) a.anchors.norm[k] = a.anchors.squares[k];
        hwi_parallel_for(b->plan->threads, (b->n + ASSIGN_ROWS * every - 1) / (ASSIGN_ROWS * every),
                         assign_some, &a);
        ok = !atomic_load(&a.failed);
    }
    hwi_rounded_release(&a.anchors);
    return ok ? HW_OK : hwi_nomem(b->err, hwi_size_mul(leaves, b->dc));
}

/* Anchors become the means of their rows, as far as one in `every` tells; a leaf without rows keeps its
 * anchor. */
static hw_status
move_anchors(builder *b, size_t every, uint32_t *counts)
{
    hwi_partition *p = b->out;
    size_t floats = (size_t)p->leaf_count * b->dc;
    float *sums = hwi_alloc_zero(floats * sizeof *sums);

    if (!sums) return hwi_nomem(b->err, floats * sizeof *sums);
    memset(counts, 0, p->leaf_count * sizeof *counts);
    for (size_t i = 0; i < b->n; i += every) {
        float *sum = sums + (size_t)p->leaf_of[i] * b->dc;
        const float *y = b->y + i * b->dc;
        for (uint32_t j = 0; j < b->dc; j++) sum[j] += y[j];
        counts[p->leaf_of[i]]++;
    }
    for (uint32_t k = 0; k < p->leaf_count; k++) {
        if (counts[k] == 0) continue;
        float *anchor = p->anchors + (size_t)k * b->dc;
        for (uint32_t j = 0; j < b->dc; j++)
            anchor[j] = sums[(size_t)k * b->dc + j] / (float)counts[k];
        if (b->plan->spherical) hwi_unit(anchor, b->dc);
    }
    hwi_free(sums);
    return HW_OK;
}

/* ---- 3. tidy ---- */

static hw_status
count_rows(builder *b, uint32_t **counts)
{
    hwi_partition *p = b->out;

    hwi_free(*counts);
    *counts = hwi_alloc_zero(p->leaf_count * sizeof **counts);
    if (!*counts) return hwi_nomem(b->err, p->leaf_count * sizeof **counts);
    for (size_t i = 0; i < b->n; i++) (*counts)[p->leaf_of[i]]++;
    return HW_OK;
}

/* Rows of leaves that are too small go to the nearest of the others. */
static hw_status
dissolve_small(builder *b, const uint32_t *counts)
{
    hwi_partition *p = b->out;
    uint8_t *dead = hwi_alloc_zero(p->leaf_count);
    uint32_t alive = 0;
    hw_status st = HW_OK;

    if (!dead) return hwi_nomem(b->err, p->leaf_count);
    for (uint32_t k = 0; k < p->leaf_count; k++) {
        dead[k] = counts[k] < b->plan->leaf_size / 4;
        alive += !dead[k];
    }
    if (alive > 0 && alive < p->leaf_count) st = assign(b, 1, dead, dead);
    hwi_free(dead);
    return st;
}

/* Cuts one leaf in two; its region becomes an inner one. */
static hw_status
halve_leaf(builder *b, uint32_t region, const uint32_t *rows, size_t n)
{
    uint32_t dc = b->dc, child[2];
    float *y = hwi_alloc((n * dc + 3u * dc) * sizeof *y), *means = y + n * dc, split;
    uint8_t *side = hwi_alloc(n);
    uint32_t *part = hwi_alloc(n * sizeof *part);
    hw_status st = HW_OK;

    if (!y || !side || !part) {
        st = hwi_nomem(b->err, n * dc * sizeof *y);
        goto out;
    }
    for (size_t i = 0; i < n; i++) memcpy(y + i * dc, b->y + (size_t)rows[i] * dc, dc * sizeof *y);
    st = hwi_tree_halve(y, n, dc, b->plan->spherical, side, means, means + 2 * dc, &split, b->err);
    for (uint32_t s = 0; st == HW_OK && s < 2; s++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            if (side[i] == s) part[count++] = rows[i];
        st = new_region(b, &child[s]);
        if (st == HW_OK) st = new_leaf(b, child[s], part, count);
    }
    if (st != HW_OK) goto out;
    hwi_region *r = &b->out->regions[region];
    *r = (hwi_region){(int32_t)child[0], (int32_t)child[1], UINT32_MAX, split};
    memcpy(b->out->directions + (size_t)region * dc, means + 2 * dc, dc * sizeof *y);
out:
    hwi_free(y);
    hwi_free(side);
    hwi_free(part);
    return st;
}

/* Halves leaves above most_rows until there are none: regions made here are looked at in turn. */
static hw_status
cut_large(builder *b)
{
    uint32_t *rows = hwi_alloc(b->n * sizeof *rows), *counts = NULL;
    hw_status st = rows ? count_rows(b, &counts) : hwi_nomem(b->err, b->n * sizeof *rows);
    uint32_t known = b->out->leaf_count;

    for (uint32_t r = 0; st == HW_OK && r < b->out->region_count; r++) {
        uint32_t leaf = b->out->regions[r].leaf;
        if (leaf == UINT32_MAX || (leaf < known && counts[leaf] <= b->plan->most_rows)) continue;
        size_t n = 0;
        for (size_t i = 0; i < b->n; i++)
            if (b->out->leaf_of[i] == leaf) rows[n++] = (uint32_t)i;
        if (n > b->plan->most_rows) st = halve_leaf(b, r, rows, n);
    }
    hwi_free(rows);
    hwi_free(counts);
    return st;
}

hw_status
hwi_partition_make(const float *y, size_t n, uint32_t dc, const hwi_partition_plan *plan,
                   hwi_progress *progress, hwi_partition *out, hw_error *err)
{
    builder b = {.y = y,
                 .n = n,
                 .dc = dc,
                 .plan = plan,
                 .kernels = hwi_kernels_active(),
                 .out = out,
                 .err = err};
    uint32_t leaves = (uint32_t)((n + plan->leaf_size - 1) / plan->leaf_size), root;
    uint32_t sampled = plan->sampled ? SAMPLED_PASSES : 0, passes = sampled + FULL_PASSES;
    uint32_t *rows = hwi_alloc(n * sizeof *rows), *counts = NULL;
    hwi_top_entry *key = hwi_alloc(n * sizeof *key);
    hw_status st;

    *out = (hwi_partition){.dc = dc};
    out->leaf_of = hwi_alloc(n * sizeof *out->leaf_of);
    if (!rows || !key || !out->leaf_of) {
        st = hwi_nomem(err, n * sizeof *key);
        goto out;
    }
    hwi_rng_init(&b.rng, plan->seed);
    for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)i;
    st = hwi_progress_step(progress, "partition", 0, passes + 1, err);
    if (st == HW_OK) st = split_rows(&b, rows, n, leaves, key, &root);
    if (st == HW_OK) st = count_rows(&b, &counts);
    for (uint32_t pass = 0; st == HW_OK && pass < passes; pass++) {
        st = hwi_progress_step(progress, "partition", pass + 1, passes + 1, err);
        size_t every = pass < sampled ? HWI_MAX(plan->leaf_size / SAMPLED_ROWS, 2u) : 1;
        if (st == HW_OK) st = assign(&b, every, NULL, NULL);
        if (st == HW_OK) st = move_anchors(&b, every, counts);
    }
    if (st == HW_OK) st = dissolve_small(&b, counts);
    if (st == HW_OK) st = cut_large(&b);
out:
    hwi_free(rows);
    hwi_free(key);
    hwi_free(counts);
    if (st != HW_OK) hwi_partition_release(out);
    return st;
}
