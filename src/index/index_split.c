/* index_split.c - a leaf grown too large becomes an inner node with two leaves, and its neighbours
 * are repaired.
 *
 *          [7] leaf, 1.5 x leaf_size rows            [7] plane
 *                                           =>      /         \
 *                                              [12] leaf    [13] leaf
 *
 * New anchors change who is nearest for vectors of the surroundings too: members of the nearest
 * NEIGHBOURS leaves that prefer one of the two move there. Their own leaves keep their anchors, so
 * nothing else is encoded anew. Measured without this step, the share scanned for a given recall
 * grows by half as data drift in (docs/concepts.md).
 *
 * Kind lsh: a bucket has no geometry to cut; it is halved into two pages of the same bucket number.
 */
#include <math.h>

#include "index/index_impl.h"
#include "index/tree/tree_split.h"

#define NEIGHBOURS 8u
/* In a row, for one insert: a bound against data that cannot be separated. */
#define SPLITS_MAX 64u

#define LEEWAY 3.0f /* typical errors that a signature may be wrong by */

/* Vectors of some slots, framed and on the axes. */
typedef struct members {
    uint32_t *slots;
    float *x, *y; /* rows of dim and dc */
    uint8_t *side;
    uint32_t count;
} members;

static void
members_release(members *g)
{
    hwi_free(g->slots);
    hwi_free(g->x);
    hwi_free(g->y);
    hwi_free(g->side);
}

/* Those in n rows of a leaf. */
static hw_status
members_load(hwi_index_writer *w, const hwi_leaf_edit *l, const uint32_t *rows, uint32_t n,
             members *g, hw_error *err)
{
    const hwi_model *m = w->model;

    *g = (members){.count = n};
    g->slots = hwi_alloc(n * sizeof *g->slots);
    g->x = hwi_alloc_aligned(hwi_size_mul(n, m->dim * sizeof(float)));
    g->y = hwi_alloc_aligned(hwi_size_mul(n, m->dc * sizeof(float)));
    g->side = hwi_alloc_zero(n);
    if (!g->slots || !g->x || !g->y || !g->side)
        return hwi_nomem(err, hwi_size_mul(n, m->dim * sizeof(float)));
    for (uint32_t i = 0; i < n; i++) {
        g->slots[i] = l->slots[rows ? rows[i] : i];
        HWI_TRY(hwi_writer_frame(w, g->slots[i], g->x + (size_t)i * m->dim, err));
    }
    hwi_model_axes_many(m, g->x, n, g->y);
    return HW_OK;
}

/* Means of the two sides over all dimensions; cx has room for 2 * dim. */
static void
centres_of(const members *g, uint32_t dim, float *cx)
{
    uint32_t count[2] = {0, 0};

    memset(cx, 0, 2 * dim * sizeof *cx);
    for (uint32_t i = 0; i < g->count; i++) {
        const float *x = g->x + (size_t)i * dim;
        float *c = cx + (size_t)g->side[i] * dim;
        for (uint32_t j = 0; j < dim; j++) c[j] += x[j];
        count[g->side[i]]++;
    }
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t j = 0; j < dim; j++) cx[s * dim + j] /= (float)HWI_MAX(count[s], 1u);
}

static hw_status
place_all(hwi_index_writer *w, const members *g, const uint32_t child[2], hw_error *err)
{
    for (uint32_t i = 0; i < g->count; i++)
        HWI_TRY(hwi_writer_place(w, child[g->side[i]], g->slots[i],
                                 g->x + (size_t)i * w->model->dim, g->y + (size_t)i * w->model->dc,
                                 err));
    return HW_OK;
}

/* Puts an inner node in place of the leaf `node`, with two fresh leaves below it. means: pcentres
 * of the sides. */
static hw_status
replace_leaf(hwi_index_writer *w, uint32_t node, const uint32_t child[2], const float *centres,
             const float *means, const hwi_plane *plane, hw_error *err)
{
    const hwi_model *m = w->model;
    uint32_t parent = w->tree->nodes[node].parent;
    float anchor[HWI_BITS_MAX];
    hwi_leaf_edit *l;
    hwi_bounds bounds;
    hwi_key prefix;

    HWI_TRY(hwi_leaf_edits_delete(w->edits, node, err));
    hwi_tree_remove_leaf(w->tree, node);
    hwi_bounds_empty(&bounds);
    for (uint32_t s = 0; s < 2; s++) {
        memcpy(anchor, means + s * m->dc, m->dc * sizeof *anchor);
        if (m->metric == HWI_COSINE) hwi_unit(anchor, m->dc);
        HWI_TRY(hwi_leaf_edits_create(w->edits, child[s], centres + (size_t)s * m->dim,
                                      means + s * m->dc, &l, err));
        HWI_TRY(hwi_tree_add_leaf(w->tree, child[s], node, anchor, 0, &bounds, err));
        HWI_TRY(hwi_writer_changed(w, child[s], err));
    }
    w->tree->nodes[node] = (hwi_node){parent, child[0], child[1], HWI_NODE_NONE, true};
    hwi_generation_key(&prefix, HWI_SUB_TREE, w->ix->coll, w->ix->field.number,
                       w->state.generation);
    HWI_TRY(hwi_tree_put_inner(w->txn, &prefix, m->dc, node, &w->tree->nodes[node], plane, err));
    w->state.leaves++, w->state.splits++;
    hwi_index_note(w->ix, splits);
    return hwi_writer_changed(w, node, err);
}

/* ---- neighbours ---- */

static float
distance_sq(const hwi_model *m, const float *a, const float *b)
{
    float d;

    m->kernels->l2sq_rows(a, b, m->dc * sizeof *b, 1, m->dc, &d);
    return d;
}

/* The leaves nearest to either new anchor, without the new ones themselves; returns how many. */
static uint32_t
nearest_leaves(const hwi_index_writer *w, const uint32_t child[2], uint32_t *nodes)
{
    const hwi_tree *t = w->tree;
    float best[NEIGHBOURS];
    uint32_t found = 0;

    for (uint32_t p = 0; p < t->leaf_count; p++) {
        if (t->leaf_node[p] == child[0] || t->leaf_node[p] == child[1]) continue;
        const float *anchor = t->anchors + (size_t)p * t->dc;
        float d = INFINITY;
        for (uint32_t s = 0; s < 2; s++) {
            const float *own = t->anchors + (size_t)t->nodes[child[s]].position * t->dc;
            d = fminf(d, distance_sq(w->model, own, anchor));
        }
        if (found == NEIGHBOURS && !(d < best[found - 1])) continue;
        uint32_t at = found < NEIGHBOURS ? found++ : found - 1;
        for (; at > 0 && best[at - 1] > d; at--) best[at] = best[at - 1], nodes[at] = nodes[at - 1];
        best[at] = d, nodes[at] = t->leaf_node[p];
    }
    return found;
}

/* Which members may be nearer to a new anchor c than to their own a. With w = c - a that is
 * <r, w> > threshold, r being the residual; and a signature estimates <r, w>. */
typedef struct pull {
    float threshold, leeway;            /* leeway: typical error per unit of the row's scale */
    float nibble[HWI_BITS_MAX / 4][16]; /* <v, z(w)> of every four bits */
} pull;

static void
pull_of(const hwi_index_writer *w, const hwi_leaf_edit *l, const float *a, const float *c, float *z,
        pull *p)
{
    const hwi_model *m = w->model;
    float along[HWI_BITS_MAX], norms = 0, centre = 0, length = 0;

    for (uint32_t j = 0; j < m->dc; j++) {
        along[j] = c[j] - a[j];
        norms += c[j] * c[j] - a[j] * a[j];
        centre += l->pcentre[j] * along[j];
        length += along[j] * along[j];
    }
    p->threshold = norms / 2 - centre;
    p->leeway = LEEWAY * m->kap * sqrtf(length);
    hwi_model_hash(m, along, z);
    for (uint32_t k = 0; k < m->bits / 4; k++)
        for (uint32_t four = 0; four < 16; four++) {
            float sum = 0;
            for (uint32_t b = 0; b < 4; b++) sum += (four >> b & 1 ? 0.5f : -0.5f) * z[4 * k + b];
            p->nibble[k][four] = sum;
        }
}

static bool
is_pulled(const pull *p, const hwi_model *m, const uint8_t *lane, float scale)
{
    float sum = 0;

    for (uint32_t word = 0; word < m->words; word++) {
        uint32_t bits = hwi_get_u32(lane + word * 64);
        const float(*nibble)[16] = p->nibble + word * 8;
        for (uint32_t k = 0; k < 8; k++) sum += nibble[k][bits >> 4 * k & 15];
    }
    return scale * (sum + p->leeway) > p->threshold;
}

/* Rows of a leaf whose vectors are worth reading: the others are nearer to their own anchor as far
 * as their signatures can tell, which reads a tenth of the bytes. `rows` has room for all. */
static hw_status
likely_movers(const hwi_index_writer *w, const hwi_leaf_edit *l, const uint32_t child[2],
              uint32_t *rows, uint32_t *count, hw_error *err)
{
    const hwi_model *m = w->model;
    const hwi_tree *t = w->tree;
    const float *own = t->anchors + (size_t)t->nodes[l->node].position * t->dc;
    float *z = hwi_alloc_aligned(m->bits * sizeof *z);
    pull *p = hwi_alloc(2 * sizeof *p);

    *count = 0;
    for (uint32_t s = 0; z && p && m->words && s < 2; s++)
        pull_of(w, l, own, t->anchors + (size_t)t->nodes[child[s]].position * t->dc, z, &p[s]);
    for (uint32_t i = 0; z && p && i < l->count; i++) {
        const uint8_t *block = l->blocks + i / 16 * hwi_leaf_block_bytes(m);
        const uint8_t *lane = block + i % 16 * 4;
        float scale = m->words ? hwi_get_f32(lane + (m->words + 1) * 64) : 0;
        if (m->metric != HWI_DOT) scale /= 2;
        if (!m->words || is_pulled(&p[0], m, lane, scale) || is_pulled(&p[1], m, lane, scale))
            rows[(*count)++] = i;
    }
    hw_status st = z && p ? HW_OK : hwi_nomem(err, 2 * sizeof *p);
    hwi_free(z);
    hwi_free(p);
    return st;
}

/* Moves those members of one leaf that are nearer to a new anchor than to their own. */
static hw_status
repair_leaf(hwi_index_writer *w, uint32_t node, const uint32_t child[2], hw_error *err)
{
    const hwi_model *m = w->model;
    hwi_leaf_edit *l;
    members g = {0};
    uint32_t count;

    HWI_TRY(hwi_leaf_edits_get(w->edits, node, &l, err));
    if (l->count == 0) return HW_OK;
    uint32_t *rows = hwi_alloc(l->count * sizeof *rows);
    if (!rows) return hwi_nomem(err, l->count * sizeof *rows);
    hw_status st = likely_movers(w, l, child, rows, &count, err);
    if (st == HW_OK && count > 0) st = members_load(w, l, rows, count, &g, err);
    hwi_free(rows);
    for (uint32_t i = 0; st == HW_OK && i < g.count; i++) {
        const hwi_tree *t = w->tree; /* placing may have made a new copy */
        const float *y = g.y + (size_t)i * m->dc;
        float d[3];
        for (uint32_t s = 0; s < 3; s++) {
            uint32_t position = t->nodes[s < 2 ? child[s] : node].position;
            d[s] = distance_sq(m, y, t->anchors + (size_t)position * t->dc);
        }
        uint32_t to = d[1] < d[0];
        if (!(d[to] < d[2])) continue;
        st = hwi_leaf_edit_remove(w->edits, l, hwi_leaf_edit_find(l, g.slots[i]), err);
        if (st == HW_OK)
            st = hwi_writer_place(w, child[to], g.slots[i], g.x + (size_t)i * m->dim, y, err);
        w->state.moved++;
    }
    members_release(&g);
    return st;
}

static hw_status
repair_neighbours(hwi_index_writer *w, const uint32_t child[2], hw_error *err)
{
    uint32_t nodes[NEIGHBOURS], count = nearest_leaves(w, child, nodes);

    for (uint32_t i = 0; i < count; i++) HWI_TRY(repair_leaf(w, nodes[i], child, err));
    return HW_OK;
}

/* ---- splitting ---- */

static hw_status
split_region(hwi_index_writer *w, uint32_t node, uint32_t child[2], hw_error *err)
{
    const hwi_model *m = w->model;
    hwi_leaf_edit *l;
    members g = {0};
    float split, *centres = hwi_alloc((2u * m->dim + 3u * m->dc) * sizeof *centres);

    if (!centres) return hwi_nomem(err, 2u * m->dim * sizeof *centres);
    float *means = centres + 2u * m->dim, *direction = means + 2u * m->dc;
    hw_status st = hwi_leaf_edits_get(w->edits, node, &l, err);
    if (st == HW_OK) st = members_load(w, l, NULL, l->count, &g, err);
    if (st == HW_OK)
        st = hwi_tree_halve(g.y, g.count, m->dc, m->metric == HWI_COSINE, g.side, means, direction,
                            &split, err);
    if (st == HW_OK) {
        hwi_plane plane = {split, direction};
        centres_of(&g, m->dim, centres);
        st = replace_leaf(w, node, child, centres, means, &plane, err);
    }
    if (st == HW_OK) st = place_all(w, &g, child, err);
    members_release(&g);
    hwi_free(centres);
    return st;
}

static hw_status
split_bucket(hwi_index_writer *w, uint32_t node, uint32_t child[2], hw_error *err)
{
    uint32_t hash = w->tree->hash[w->tree->nodes[node].position];
    hwi_leaf_edit *l;
    members g = {0};

    hw_status st = hwi_leaf_edits_get(w->edits, node, &l, err);
    if (st == HW_OK) st = members_load(w, l, NULL, l->count, &g, err);
    if (st == HW_OK) st = hwi_leaf_edits_delete(w->edits, node, err);
    if (st == HW_OK) {
        hwi_tree_remove_leaf(w->tree, node);
        w->state.leaves--, w->state.splits++;
        hwi_index_note(w->ix, splits);
        st = hwi_writer_changed(w, node, err);
    }
    for (uint32_t s = 0; st == HW_OK && s < 2; s++)
        st = hwi_writer_new_bucket(w, child[s], hash, err);
    for (uint32_t i = 0; st == HW_OK && i < g.count; i++) g.side[i] = i >= g.count / 2;
    if (st == HW_OK) st = place_all(w, &g, child, err);
    members_release(&g);
    return st;
}

hw_status
hwi_writer_split(hwi_index_writer *w, uint32_t node, hw_error *err)
{
    uint32_t todo[SPLITS_MAX], count = 0, child[2];
    bool region = w->model->kind != HWI_LSH;
    hwi_leaf_edit *l;

    HWI_TRY(hwi_writer_own_tree(w, err));
    todo[count++] = node;
    for (uint32_t done = 0; count > 0 && done < SPLITS_MAX; done++) {
        node = todo[--count];
        HWI_TRY(hwi_leaf_edits_get(w->edits, node, &l, err));
        if (l->count <= hwi_leaf_split_at(w->model))
            continue; /* its neighbours' repair took some */
        HWI_TRY(hwi_writer_new_node(w, &child[0], err));
        HWI_TRY(hwi_writer_new_node(w, &child[1], err));
        HWI_TRY(region ? split_region(w, node, child, err) : split_bucket(w, node, child, err));
        if (region) HWI_TRY(repair_neighbours(w, child, err));
        for (uint32_t s = 0; s < 2; s++) {
            HWI_TRY(hwi_leaf_edits_get(w->edits, child[s], &l, err));
            if (l->count > hwi_leaf_split_at(w->model) && count < SPLITS_MAX)
                todo[count++] = child[s];
        }
    }
    return HW_OK;
}
