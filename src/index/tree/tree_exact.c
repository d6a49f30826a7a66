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
/* Rounding must not prune a true neighbour: of distances, as a share of them ... */
#define SLACK 0.9995f
/* ... of cosines, which are 1 less a product ... */
#define COSINE_ERROR 1e-6f
/* ... and of coordinates, as a share of the vector's length: a sum of `dim` products. */
#define ROTATION_ERROR(dim) (4e-7f * (8 + sqrtf((float)(dim))))

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

typedef struct exact_walk {
    hwi_search_run *run;
    float length, rotation_error; /* of the framed query; what rounding does to it as a share */
} exact_walk;

/* The frame distance beyond which nothing can be an answer. What lies within w of the query is at
 * most w longer than it, which bounds how far rounding can have moved it. */
static float
reach(const exact_walk *w)
{
    hwi_metric metric = w->run->v->model->metric;
    float worst = fmaxf(fminf(w->run->top.worst, w->run->max_distance), 0);
    float within = sqrtf(frame_sq(metric, worst) + (metric == HWI_COSINE ? COSINE_ERROR : 0));

    return within / SLACK + w->rotation_error * (2 * w->length + within);
}

/* Compares a leaf's rows unless its ball is out of reach. */
static hw_status
open_leaf(const exact_walk *w, uint32_t position, hw_error *err)
{
    hwi_search_run *run = w->run;
    hwi_index_view *v = run->v;
    const hwi_leaf_ref *leaf;
    float d_sq;

    HWI_TRY(hwi_view_leaf(v, position, &leaf, err));
    run->trace->leaves++;
    v->model->kernels->l2sq_rows(run->s->framed, leaf->page.centre, v->model->dim * sizeof(float),
                                 1, v->model->dim, &d_sq);
    if (sqrtf(d_sq) * SLACK - leaf->page.radius > reach(w)) return HW_OK;
    run->trace->scanned += leaf->page.count;
    return hwi_exact_add(run, leaf->page.slots, leaf->page.count, err);
}

/* How many of the remaining leaves their boxes cannot rule out. */
static uint32_t
still_possible(const exact_walk *w, const hwi_top_entry *order, uint32_t from, uint32_t count)
{
    float limit = reach(w);
    uint32_t i = from;

    while (i < count && sqrtf(order[i].distance) <= limit) i++;
    return i - from;
}

static void
prepare(exact_walk *w)
{
    const hwi_model *m = w->run->v->model;
    hwi_scratch *s = w->run->s;
    double length = 0;

    hwi_model_frame(m, m->metric == HWI_COSINE ? s->prepared : w->run->query, 1, s->framed);
    hwi_model_axes(m, s->framed, s->y);
    for (uint32_t j = 0; j < m->dim; j++) length += (double)s->framed[j] * s->framed[j];
    w->length = (float)sqrt(length);
    w->rotation_error = ROTATION_ERROR(m->dim);
}

hw_status
hwi_tree_exact_search(hwi_search_run *run, bool *useful, hw_error *err)
{
    hwi_index_view *v = run->v;
    const hwi_model *m = v->model;
    const hwi_tree *t = v->tree;
    hwi_scratch *s = run->s;
    exact_walk w = {.run = run};

    *useful = false;
    if (m->metric == HWI_DOT || m->kind == HWI_LSH) return HW_OK;
    prepare(&w);
    for (uint32_t p = 0; p < t->leaf_count; p++)
        s->ranked[p] = (hwi_top_entry){hwi_bounds_box_sq(&t->bounds[p], s->y, m->dc), p};
    qsort(s->ranked, t->leaf_count, sizeof *s->ranked, by_bound);
    run->trace->leaves_ranked = t->leaf_count;
    for (uint32_t i = 0; i < t->leaf_count; i++) {
        if (i == TRIAL_LEAVES &&
            still_possible(&w, s->ranked, i, t->leaf_count) > USEFUL_SHARE * t->leaf_count)
            return HW_OK;
        if (sqrtf(s->ranked[i].distance) > reach(&w)) break;
        HWI_TRY(hwi_stop_check(&run->trace->stop, err));
        HWI_TRY(open_leaf(&w, s->ranked[i].tag, err));
    }
    *useful = true;
    run->trace->leaves_skipped = t->leaf_count - run->trace->leaves;
    return HW_OK;
}
