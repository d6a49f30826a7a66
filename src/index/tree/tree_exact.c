/* tree_exact.c - the proven k nearest by branch and bound over the leaves' bounds.
 *
 * No member of a leaf is nearer than its box on the leading axes (the axes are orthonormal, so
 * distances there never exceed true ones), nor nearer than the distance to its centre less its
 * radius. Leaves are taken in the order of their boxes; when the next box is farther than the k-th
 * best, all the rest are.
 *
 *              |--- q ........ box ---|       box distance     ordered by this, known from the
 * directory q .....( c )             centre - radius  checked when the leaf is opened
 *
 * This pays in few dimensions. In many, boxes overlap everything near the query: after a few leaves
 * we count how many could still hold an answer, and when that is a large share, say so; reading
 * everything in order is then faster.
 *
 * Under cosine distances are those of unit vectors on the sphere, |q - x|^2 = 2 (1 - cos). An l1
 * distance is never below the l2 one. Inner products have no such bound: they are searched flat.
 */
#include <math.h>
#include <stdlib.h>

#include "index/search_impl.h"

#define TRIAL_LEAVES 8u
#define USEFUL_SHARE 0.4
#define SLACK 0.9995f /* rounding of projections and radii must not prune a true neighbour */

/* The squared frame distance that an engine distance stands for: what a bound has to exceed. */
static float
frame_sq(hwi_metric metric, float distance)
{
    if (metric == HWI_COSINE) return 2 * distance;
    return metric == HWI_L1 ? distance * distance : distance;
}

static int
by_bound(const void *a, const void *b)
{
    const hwi_top_entry *x = a, *y = b;

    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

static float
reach(const hwi_search_run *run)
{
    float worst = fminf(run->top.worst, run->max_distance);

    return frame_sq(run->v->ix->field.metric, worst) / SLACK + 1e-6f;
}

/* Compares a leaf's rows unless its ball is out of reach. */
static hw_status
open_leaf(hwi_search_run *run, uint32_t position, hw_error *err)
{
    hwi_index_view *v = run->v;
    const hwi_leaf_ref *leaf;
    float d_sq;

    HWI_TRY(hwi_view_leaf(v, position, &leaf, err));
    run->trace->leaves++;
    v->model->kernels->l2sq_rows(run->s->framed, leaf->page.centre, v->model->dim * sizeof(float),
                                 1, v->model->dim, &d_sq);
    float gap = sqrtf(d_sq) * SLACK - leaf->page.radius;
    if (gap > 0 && gap * gap * SLACK > reach(run)) return HW_OK;
    run->trace->scanned += leaf->page.count;
    return hwi_exact_add(run, leaf->page.slots, leaf->page.count, err);
}

/* How many of the remaining leaves their boxes cannot rule out. */
static uint32_t
still_possible(const hwi_search_run *run, const hwi_top_entry *order, uint32_t from, uint32_t count)
{
    float limit = reach(run);
    uint32_t i = from;

    while (i < count && order[i].distance * SLACK <= limit) i++;
    return i - from;
}

hw_status
hwi_tree_exact_search(hwi_search_run *run, bool *useful, hw_error *err)
{
    hwi_index_view *v = run->v;
    const hwi_model *m = v->model;
    const hwi_tree *t = v->tree;
    hwi_scratch *s = run->s;

    *useful = false;
    if (m->metric == HWI_DOT || m->kind == HWI_LSH) return HW_OK;
    hwi_model_frame(m, m->metric == HWI_COSINE ? s->prepared : run->query, 1, s->framed);
    hwi_model_axes(m, s->framed, s->y);
    for (uint32_t p = 0; p < t->leaf_count; p++)
        s->ranked[p] = (hwi_top_entry){hwi_bounds_box_sq(&t->bounds[p], s->y, m->dc), p};
    qsort(s->ranked, t->leaf_count, sizeof *s->ranked, by_bound);
    run->trace->leaves_ranked = t->leaf_count;
    for (uint32_t i = 0; i < t->leaf_count; i++) {
        if (i == TRIAL_LEAVES &&
            still_possible(run, s->ranked, i, t->leaf_count) > USEFUL_SHARE * t->leaf_count)
            return HW_OK;
        if (s->ranked[i].distance * SLACK > reach(run)) break;
        HWI_TRY(hwi_search_interrupted(run->trace, err));
        HWI_TRY(open_leaf(run, s->ranked[i].tag, err));
    }
    *useful = true;
    run->trace->leaves_skipped = t->leaf_count - run->trace->leaves;
    return HW_OK;
}
