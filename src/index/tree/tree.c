/* tree.c - the directory of a partition in memory: adding, removing and ranking leaves.
 *
 * Anchors are kept twice: as floats, to settle close calls and to split, and as int8 blocks of 16
 * side by side, to rank thousands in microseconds. Positions are dense; removing a leaf moves the
 * last one into the gap.
 */
#include "index/tree/tree.h"

#include <math.h>

#define NEAREST_CHUNK 256u
#define NEAREST_SETTLED                                                                            \
    8u /* candidates of the int8 ranking, at least, that are compared again in full precision */

static void
release(hwi_tree *t)
{
    hwi_free(t->nodes);
    hwi_free(t->leaf_node);
    hwi_free(t->hash);
    hwi_free(t->anchors);
    hwi_free(t->bounds);
    hwi_free(t->blocks);
    hwi_free(t->scale);
    hwi_free(t->norm);
    hwi_free(t->code_sum);
    hwi_free(t);
}

hwi_tree *
hwi_tree_ref(hwi_tree *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void
hwi_tree_unref(hwi_tree *t)
{
    /* pairs with the decrements of other holders */
    if (t && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1) release(t);
}

hw_status
hwi_tree_new(const hwi_model *m, hwi_tree **out, hw_error *err)
{
    hwi_tree *t = hwi_alloc_zero(sizeof *t);

    *out = NULL;
    if (!t) return hwi_nomem(err, sizeof *t);
    atomic_init(&t->refs, 1);
    t->dc = m->dc, t->rank_dims = m->rank_dims;
    *out = t;
    return HW_OK;
}

/* Grows an aligned array from `old` to `room` items of `size` bytes, new ones zero. */
static bool
grow(void *array, size_t old, size_t room, size_t size)
{
    void **p = array;
    size_t bytes = hwi_size_mul(room, size);
    void *bigger = hwi_alloc_aligned(bytes);

    if (!bigger) return false;
    if (*p) memcpy(bigger, *p, old * size);
    memset((uint8_t *)bigger + old * size, 0, bytes - old * size);
    hwi_free(*p);
    *p = bigger;
    return true;
}

static hw_status
reserve_leaves(hwi_tree *t, uint32_t count, hw_error *err)
{
    if (count <= t->leaf_room) return HW_OK;
    uint32_t room = (HWI_MAX(count, t->leaf_room + t->leaf_room / 2) + 15) / 16 * 16;
    uint32_t old = t->leaf_room;
    if (!grow(&t->leaf_node, old, room, sizeof *t->leaf_node) ||
        !grow(&t->hash, old, room, sizeof *t->hash) ||
        !grow(&t->anchors, old, room, t->dc * sizeof *t->anchors) ||
        !grow(&t->bounds, old, room, sizeof *t->bounds) ||
        !grow(&t->blocks, old, room, t->rank_dims) ||
        !grow(&t->scale, old, room, sizeof *t->scale) ||
        !grow(&t->norm, old, room, sizeof *t->norm) ||
        !grow(&t->code_sum, old, room, sizeof *t->code_sum))
        return hwi_nomem(err, (size_t)room * t->dc * sizeof *t->anchors);
    t->leaf_room = room;
    return HW_OK;
}

hw_status
hwi_tree_reserve_nodes(hwi_tree *t, uint32_t count, hw_error *err)
{
    if (count <= t->node_count) return HW_OK;
    hwi_node *nodes = hwi_realloc(t->nodes, hwi_size_mul(count, sizeof *nodes));
    if (!nodes) return hwi_nomem(err, hwi_size_mul(count, sizeof *nodes));
    for (uint32_t i = t->node_count; i < count; i++)
        nodes[i] = (hwi_node){HWI_NODE_NONE, HWI_NODE_NONE, HWI_NODE_NONE, HWI_NODE_NONE, false};
    t->nodes = nodes;
    t->node_count = count;
    return HW_OK;
}

hw_status
hwi_tree_copy(const hwi_tree *from, hwi_tree **out, hw_error *err)
{
    hwi_tree *t = hwi_alloc_zero(sizeof *t);
    hw_status st;

    *out = NULL;
    if (!t) return hwi_nomem(err, sizeof *t);
    atomic_init(&t->refs, 1);
    t->dc = from->dc, t->rank_dims = from->rank_dims;
    st = hwi_tree_reserve_nodes(t, from->node_count, err);
    if (st == HW_OK) st = reserve_leaves(t, from->leaf_count, err);
    if (st != HW_OK) {
        release(t);
        return st;
    }
    t->leaf_count = from->leaf_count;
    size_t n = from->leaf_count;
    if (from->node_count) memcpy(t->nodes, from->nodes, from->node_count * sizeof *t->nodes);
    if (n) {
        memcpy(t->leaf_node, from->leaf_node, n * sizeof *t->leaf_node);
        memcpy(t->hash, from->hash, n * sizeof *t->hash);
        memcpy(t->anchors, from->anchors, n * t->dc * sizeof *t->anchors);
        memcpy(t->bounds, from->bounds, n * sizeof *t->bounds);
        memcpy(t->blocks, from->blocks, (n + 15) / 16 * 16 * t->rank_dims);
        memcpy(t->scale, from->scale, n * sizeof *t->scale);
        memcpy(t->norm, from->norm, n * sizeof *t->norm);
        memcpy(t->code_sum, from->code_sum, n * sizeof *t->code_sum);
    }
    *out = t;
    return HW_OK;
}

void
hwi_tree_set_anchor(hwi_tree *t, uint32_t position, const float *anchor)
{
    int8_t code[HWI_BITS_MAX];
    double norm = 0;

    memcpy(t->anchors + (size_t)position * t->dc, anchor, t->dc * sizeof *anchor);
    for (uint32_t j = 0; j < t->dc; j++) norm += (double)anchor[j] * anchor[j];
    t->norm[position] = (float)norm;
    t->code_sum[position] =
        (float)hwi_quantize_i8(anchor, t->dc, t->rank_dims, code, &t->scale[position]);
    int8_t *block = t->blocks + (size_t)(position / 16) * 16 * t->rank_dims + (position % 16) * 4;
    for (uint32_t j = 0; j < t->rank_dims; j++) block[(size_t)(j / 4) * 64 + j % 4] = code[j];
}

hw_status
hwi_tree_add_leaf(hwi_tree *t, uint32_t node, uint32_t parent, const float *anchor, uint32_t hash,
                  const hwi_bounds *bounds, hw_error *err)
{
    HWI_ASSERT(node < t->node_count && !t->nodes[node].used);
    HWI_TRY(reserve_leaves(t, t->leaf_count + 1, err));
    uint32_t position = t->leaf_count++;
    t->nodes[node] = (hwi_node){parent, HWI_NODE_NONE, HWI_NODE_NONE, position, true};
    t->leaf_node[position] = node;
    t->hash[position] = hash;
    t->bounds[position] = *bounds;
    hwi_tree_set_anchor(t, position, anchor);
    return HW_OK;
}

void
hwi_tree_remove_leaf(hwi_tree *t, uint32_t node)
{
    HWI_ASSERT(node < t->node_count && t->nodes[node].position != HWI_NODE_NONE);
    uint32_t gap = t->nodes[node].position, last = --t->leaf_count;

    t->nodes[node] = (hwi_node){HWI_NODE_NONE, HWI_NODE_NONE, HWI_NODE_NONE, HWI_NODE_NONE, false};
    if (gap == last) return;
    t->leaf_node[gap] = t->leaf_node[last];
    t->hash[gap] = t->hash[last];
    t->bounds[gap] = t->bounds[last];
    t->nodes[t->leaf_node[gap]].position = gap;
    hwi_tree_set_anchor(t, gap, t->anchors + (size_t)last * t->dc);
}

bool
hwi_tree_is_ordered(const hwi_tree *t)
{
    for (uint32_t p = 1; p < t->leaf_count; p++)
        if (t->leaf_node[p - 1] > t->leaf_node[p]) return false;
    return true;
}

hw_status
hwi_tree_order(hwi_tree **t, hw_error *err)
{
    const hwi_tree *from = *t;
    hwi_tree *to;
    uint32_t position = 0;

    HWI_TRY(hwi_tree_copy(from, &to, err));
    for (uint32_t node = 0; node < from->node_count; node++) {
        uint32_t old = from->nodes[node].position;
        if (old == HWI_NODE_NONE) continue;
        to->nodes[node].position = position;
        to->leaf_node[position] = node;
        to->hash[position] = from->hash[old];
        to->bounds[position] = from->bounds[old];
        hwi_tree_set_anchor(to, position++, from->anchors + (size_t)old * from->dc);
    }
    HWI_ASSERT(position == from->leaf_count);
    hwi_tree_unref(*t);
    *t = to;
    return HW_OK;
}

void
hwi_tree_rank(const hwi_tree *t, const hwi_model *m, const float *y, uint8_t *bytes, float *scores)
{
    float scale;

    hwi_quantize_i8(y, t->dc, t->rank_dims, (int8_t *)bytes, &scale);
    hwi_shift_i8((int8_t *)bytes, t->rank_dims, bytes);
    m->kernels->rank_blocks(bytes, scale, t->blocks, t->scale, t->norm, t->code_sum,
                            (t->leaf_count + 15) / 16, t->rank_dims, scores);
    if (m->metric == HWI_DOT)
        for (uint32_t i = 0; i < t->leaf_count; i++) scores[i] -= t->norm[i];
}

/* The nearest so far of those that the ranking leaves. */
typedef struct settling {
    const hwi_tree *t;
    const hwi_model *m;
    const float *y;
    uint32_t winner;
    float least;
} settling;

static void
settle(settling *s, uint32_t position)
{
    const hwi_tree *t = s->t;
    const float *anchor = t->anchors + (size_t)position * t->dc;
    float distance;

    s->m->kernels->l2sq_rows(s->y, anchor, t->dc * sizeof *anchor, 1, t->dc, &distance);
    /* ties go to the older leaf, whatever its position */
    if (distance < s->least ||
        (distance == s->least && t->leaf_node[position] < t->leaf_node[s->winner]))
        s->least = distance, s->winner = position;
}

uint32_t
hwi_tree_nearest(const hwi_tree *t, const hwi_model *m, const float *y, uint8_t *bytes,
                 float *scores)
{
    uint32_t index[NEAREST_CHUNK + 32];
    float value[NEAREST_CHUNK + 32];
    settling s = {t, m, y, 0, INFINITY};

    hwi_tree_rank(t, m, y, bytes, scores);
    /* assignment is by distance, under dot as well: regions are regions of space */
    for (uint32_t i = 0; m->metric == HWI_DOT && i < t->leaf_count; i++) scores[i] += t->norm[i];
    float cut = m->kernels->cut(scores, t->leaf_count, HWI_MIN(NEAREST_SETTLED, t->leaf_count));
    for (uint32_t from = 0; from < t->leaf_count; from += NEAREST_CHUNK) {
        size_t n = HWI_MIN(t->leaf_count - from, NEAREST_CHUNK);
        size_t found = m->kernels->select_le(scores + from, n, cut, index, value);
        for (size_t i = 0; i < found; i++) settle(&s, from + index[i]);
    }
    return s.winner;
}

float
hwi_bounds_box_sq(const hwi_bounds *b, const float *y, uint32_t axes)
{
    float sum = 0;

    for (uint32_t j = 0; j < HWI_MIN(axes, HWI_BOX_AXES); j++) {
        float below = b->low[j] - y[j], above = y[j] - b->high[j];
        float out = HWI_MAX(HWI_MAX(below, above), 0.0f);
        sum += out * out;
    }
    return sum;
}

void
hwi_bounds_empty(hwi_bounds *b)
{
    b->radius = 0;
    for (uint32_t j = 0; j < HWI_BOX_AXES; j++) b->low[j] = INFINITY, b->high[j] = -INFINITY;
}

bool
hwi_bounds_grow(hwi_bounds *b, float radius, const float *y, uint32_t axes)
{
    bool grew = radius > b->radius;

    if (grew) b->radius = radius;
    for (uint32_t j = 0; j < HWI_MIN(axes, HWI_BOX_AXES); j++) {
        if (y[j] < b->low[j]) b->low[j] = y[j], grew = true;
        if (y[j] > b->high[j]) b->high[j] = y[j], grew = true;
    }
    return grew;
}

void
hwi_tree_path(const hwi_tree *t, uint32_t node, hwi_buf *out)
{
    char path[HWI_TREE_DEPTH_MAX + 1];
    uint32_t n = 0;

    for (uint32_t at = node; n < HWI_TREE_DEPTH_MAX && t->nodes[at].parent < t->node_count; n++) {
        uint32_t parent = t->nodes[at].parent;
        path[n] = t->nodes[parent].left == at ? 'L' : 'R';
        at = parent;
    }
    while (n > 0) hwi_buf_add(out, &path[--n], 1);
}
