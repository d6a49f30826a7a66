/* index_truth.c - every vector against every query.
 *
 * Where the metric is one of inner products, |q - x|^2 = |q|^2 - 2 <q, x> + |x|^2, vectors meet
 * queries as bytes (rounded.h), a chunk of vectors and a group of queries at a time. That tells which
 * may be among the nearest so far, about one in a hundred; these are measured, so lists are those
 * that measuring everything would give.
 *
 * Vectors are taken in the model's frame: without the mean they are shorter, and so is what rounding
 * takes away. */
#include "index/index_truth.h"

#include <math.h>

#include "index/rounded.h"

#define GROUP 96u    /* queries that a thread compares with a chunk: whole blocks */
#define CHUNK 2048u  /* vectors rounded at a time */
#define TOGETHER 64u /* of them by one thread */
#define TILE 48u     /* rows in one product: whole tiles of every kernel */

typedef struct comparing {
    hwi_index_view *v;
    const float *prepared;
    uint32_t count, groups;
    hwi_top *nearest;
    hwi_rounded *queries; /* a group each */
    size_t rank_dims;

    /* the chunk */
    uint32_t rows;
    uint32_t slot[CHUNK];
    const uint8_t *row[CHUNK];
    float scale[CHUNK];
    hwi_rounded_row rounded[CHUNK];
    uint8_t *bytes; /* CHUNK x rank_dims */
    atomic_int status;
} comparing;

/* ---- one chunk ---- */

static void
round_some(void *arg, size_t part)
{
    comparing *c = arg;
    const hwi_model *m = c->v->model;
    size_t first = part * TOGETHER, below = HWI_MIN(first + TOGETHER, (size_t)c->rows);
    float *x = hwi_alloc(hwi_size_mul(2 * (size_t)m->dim, sizeof *x));

    if (!x) {
        atomic_store(&c->status, HW_ENOMEM);
        return;
    }
    for (size_t i = first; i < below; i++) {
        hwi_model_frame(m, hwi_vec_row(c->row[i]), hwi_vec_inv_norm(c->row[i], m->dim), x);
        c->rounded[i] =
            hwi_round_row(x, m->dim, c->rank_dims, c->bytes + i * c->rank_dims, x + m->dim);
        c->scale[i] = c->rounded[i].scale;
    }
    hwi_free(x);
}

/* Measures a row and enters it. */
static void
measure(const comparing *c, uint32_t query, uint32_t i)
{
    const hwi_space *space = &c->v->ix->space;
    hwi_top *top = &c->nearest[query];
    float distance;

    hwi_space_rows(space, c->prepared + (size_t)query * space->dim, c->row[i], 1, &distance);
    if (distance < top->worst) hwi_top_add(top, distance, c->slot[i]);
}

/* Norms such that a row may be among a query's nearest where the score is not above limit_of. */
static void
set_norms(const comparing *c, uint32_t first, hwi_rounded *q)
{
    hwi_metric metric = c->v->model->metric;

    for (size_t k = 0; k < q->count; k++) {
        float worst = c->nearest[first + k].worst;
        worst += fabsf(worst) * HWI_FLOAT_STEP;
        if (metric == HWI_L2) q->norm[k] = q->squares[k] - worst;
        if (metric == HWI_COSINE) q->norm[k] = 2 - 2 * worst;
        if (metric == HWI_DOT) q->norm[k] = -2 * worst;
    }
}

static float
limit_of(const comparing *c, const hwi_rounded *q, const hwi_rounded_row *row)
{
    float slack = hwi_rounded_slack(q, row) +
                  (float)(q->dim + 32) * HWI_FLOAT_STEP * (row->squares + q->longest * q->longest);

    return c->v->model->metric == HWI_L2 ? slack - row->squares : slack;
}

static void
compare_group(void *arg, size_t group)
{
    comparing *c = arg;
    const hwi_kernels *kernels = c->v->model->kernels;
    hwi_rounded *q = &c->queries[group];
    uint32_t first = (uint32_t)group * GROUP, index[GROUP + 32];
    float scores[TILE * GROUP], least[TILE], value[GROUP + 32];

    for (uint32_t i = 0; i < c->rows; i += TILE) {
        size_t rows = HWI_MIN(c->rows - i, TILE);
        for (size_t t = 0; t < rows; t++) least[t] = INFINITY;
        set_norms(c, first, q);
        kernels->rank_rows(c->bytes + i * c->rank_dims, c->rank_dims, c->scale + i, rows, q->blocks,
                           q->scale, q->norm, q->code_sum, q->block_count, c->rank_dims, scores,
                           GROUP, least);
        for (uint32_t t = 0; t < rows; t++) {
            float limit = limit_of(c, q, &c->rounded[i + t]);
            if (least[t] > limit) continue;
            size_t found = kernels->select_le(scores + t * GROUP, q->count, limit, index, value);
            for (size_t f = 0; f < found; f++) measure(c, first + index[f], i + t);
        }
    }
}

static void
measure_group(void *arg, size_t group)
{
    comparing *c = arg;
    uint32_t first = (uint32_t)group * GROUP, below = HWI_MIN(first + GROUP, c->count);

    for (uint32_t i = 0; i < c->rows; i++)
        for (uint32_t q = first; q < below; q++) measure(c, q, i);
}

static hw_status
compare_chunk(comparing *c, uint32_t threads)
{
    if (c->v->model->metric == HWI_L1) { /* no inner products to start from */
        hwi_parallel_for(threads, c->groups, measure_group, c);
    } else {
        hwi_parallel_for(threads, (c->rows + TOGETHER - 1) / TOGETHER, round_some, c);
        if (atomic_load(&c->status) == HW_OK)
            hwi_parallel_for(threads, c->groups, compare_group, c);
    }
    c->rows = 0;
    return (hw_status)atomic_load(&c->status);
}

static hw_status
compare_all(comparing *c, uint32_t threads, hw_error *err)
{
    hwi_index_view *v = c->v;
    const hwi_space *space = &v->ix->space;

    for (uint32_t slot = 0; slot < v->slots_below; slot++) {
        const uint8_t *row;
        HWI_TRY(hwi_space_row(space, v->vecs, slot, &row, err));
        if (!row || hwi_vec_inv_norm(row, space->dim) == 0) continue;
        c->row[c->rows] = row, c->slot[c->rows++] = slot;
        if (c->rows == CHUNK && compare_chunk(c, threads) != HW_OK)
            return hwi_nomem(err, space->dim * sizeof(float));
    }
    return compare_chunk(c, threads) == HW_OK ? HW_OK : hwi_nomem(err, space->dim * sizeof(float));
}

/* ---- queries ---- */

static bool
round_queries(comparing *c)
{
    const hwi_model *m = c->v->model;
    float *framed = hwi_alloc(hwi_size_mul((size_t)GROUP * m->dim, sizeof *framed));
    bool ok = framed;

    for (uint32_t g = 0; ok && g < c->groups; g++) {
        uint32_t first = g * GROUP, count = HWI_MIN(c->count - first, GROUP);
        for (uint32_t i = 0; i < count; i++)
            hwi_model_frame(m, c->prepared + (size_t)(first + i) * m->dim, 1,
                            framed + (size_t)i * m->dim);
        ok = hwi_rounded_init(&c->queries[g], framed, count, m->dim);
    }
    hwi_free(framed);
    return ok;
}

static bool
comparing_init(comparing *c)
{
    c->groups = (c->count + GROUP - 1) / GROUP;
    c->rank_dims = ((size_t)c->v->model->dim + 7) / 8 * 8;
    if (c->v->model->metric == HWI_L1) return true;
    c->queries = hwi_alloc_zero(c->groups * sizeof *c->queries);
    c->bytes = hwi_alloc_aligned(hwi_size_mul(CHUNK, c->rank_dims));
    return c->queries && c->bytes && round_queries(c);
}

static void
comparing_release(comparing *c)
{
    for (uint32_t g = 0; c->queries && g < c->groups; g++) hwi_rounded_release(&c->queries[g]);
    hwi_free(c->queries);
    hwi_free(c->bytes);
}

hw_status
hwi_true_nearest(hwi_index_view *v, const float *prepared, uint32_t count, hwi_top *nearest,
                 uint32_t threads, hw_error *err)
{
    comparing *c = hwi_alloc_zero(sizeof *c);

    if (!c) return hwi_nomem(err, sizeof *c);
    c->v = v, c->prepared = prepared, c->count = count, c->nearest = nearest;
    hw_status st = comparing_init(c) ? compare_all(c, threads, err)
                                     : hwi_nomem(err, hwi_size_mul(CHUNK, v->model->dim));
    for (uint32_t q = 0; st == HW_OK && q < count; q++) hwi_top_sort(&nearest[q]);
    comparing_release(c);
    hwi_free(c);
    return st;
}
