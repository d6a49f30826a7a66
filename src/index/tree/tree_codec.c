/* tree_codec.c - tree nodes as records, the tree read back from them, and the log that keeps copies
 * up to date.
 *
 *   inner  u8 1, u24 sum, parent u32, left u32, right u32, split f32, direction dc x f32
 *   leaf   u8 2, u24 sum, parent u32, hash u32, radius f32, low 8 x f32, high 8 x f32, anchor dc x f32
 *   log    count u32, nodes u32 ...: numbers whose record was written or deleted
 *
 * sum: the low bits of the checksum of everything behind it.
 *
 * A view that is a few commits behind reads the log entries in between and only the records they
 * name. Entries older than LOG_KEPT versions are deleted as new ones come; whoever is farther
 * behind loads the whole tree.
 */
#include <math.h>

#include "index/tree/tree.h"

#define INNER 1u
#define LEAF 2u
#define INNER_HEADER 20u
#define LEAF_HEADER (16u + 8u * HWI_BOX_AXES)
#define LOG_KEPT 256u

static hw_bytes
node_key(hwi_key *prefix, uint32_t node)
{
    hwi_key_uint(prefix, node);
    return hwi_key_view(prefix);
}

/* The first four bytes: kind, and the sum of the rest. */
static uint32_t
record_head(uint32_t kind, const uint8_t *record, size_t bytes)
{
    return kind | (uint32_t)hwi_checksum(record + 4, bytes - 4) << 8;
}

static hw_status
put_record(hw_store_txn *txn, hwi_key *prefix, uint32_t node, hwi_buf *b, hw_error *err)
{
    size_t mark = prefix->size;

    if (b->failed) return hwi_nomem(err, b->size);
    hwi_put_u32(b->data, record_head(b->data[0], b->data, b->size));
    hw_status st = hwi_store_put(txn, node_key(prefix, node), hwi_buf_bytes(b), err);
    hwi_key_cut(prefix, mark);
    return st;
}

static void
add_u32(hwi_buf *b, uint32_t v)
{
    uint8_t bytes[4];

    hwi_put_u32(bytes, v);
    hwi_buf_add(b, bytes, 4);
}

static void
add_floats(hwi_buf *b, const float *v, uint32_t n)
{
    hwi_buf_add(b, v, n * sizeof *v); /* little-endian hosts only, see lsh/page.h */
}

hw_status
hwi_tree_put_inner(hw_store_txn *txn, hwi_key *prefix, uint32_t dc, uint32_t node,
                   const hwi_node *n, const hwi_plane *plane, hw_error *err)
{
    hwi_buf b = {0};

    add_u32(&b, INNER), add_u32(&b, n->parent), add_u32(&b, n->left), add_u32(&b, n->right);
    add_floats(&b, &plane->split, 1), add_floats(&b, plane->direction, dc);
    hw_status st = put_record(txn, prefix, node, &b, err);
    hwi_buf_release(&b);
    return st;
}

hw_status
hwi_tree_relink_inner(hw_store_txn *txn, hwi_key *prefix, uint32_t node, const hwi_node *n,
                      hw_error *err)
{
    size_t mark = prefix->size;
    hw_bytes value;
    hwi_buf b = {0};

    hw_status st = hwi_store_get(txn, node_key(prefix, node), &value, err);
    hwi_key_cut(prefix, mark);
    if (st == HW_ENOTFOUND || (st == HW_OK && value.size < INNER_HEADER))
        return hwi_fail(err, HW_ECORRUPT, "tree node %u is missing", node);
    HWI_TRY(st);
    hwi_buf_add(&b, value.data, value.size);
    if (!b.failed) {
        hwi_put_u32(b.data + 4, n->parent);
        hwi_put_u32(b.data + 8, n->left);
        hwi_put_u32(b.data + 12, n->right);
    }
    st = put_record(txn, prefix, node, &b, err);
    hwi_buf_release(&b);
    return st;
}

hw_status
hwi_tree_put_leaf(hw_store_txn *txn, hwi_key *prefix, const hwi_tree *t, uint32_t node,
                  hw_error *err)
{
    const hwi_node *n = &t->nodes[node];
    const hwi_bounds *bounds = &t->bounds[n->position];
    hwi_buf b = {0};

    add_u32(&b, LEAF), add_u32(&b, n->parent), add_u32(&b, t->hash[n->position]);
    add_floats(&b, &bounds->radius, 1);
    add_floats(&b, bounds->low, HWI_BOX_AXES), add_floats(&b, bounds->high, HWI_BOX_AXES);
    add_floats(&b, t->anchors + (size_t)n->position * t->dc, t->dc);
    hw_status st = put_record(txn, prefix, node, &b, err);
    hwi_buf_release(&b);
    return st;
}

hw_status
hwi_tree_del(hw_store_txn *txn, hwi_key *prefix, uint32_t node, hw_error *err)
{
    size_t mark = prefix->size;
    hw_status st = hwi_store_del(txn, node_key(prefix, node), err);

    hwi_key_cut(prefix, mark);
    return st;
}

hw_status
hwi_tree_get_plane(hw_store_txn *txn, hwi_key *prefix, uint32_t dc, uint32_t node, float *direction,
                   float *split, hw_error *err)
{
    size_t mark = prefix->size;
    hw_bytes value;

    hw_status st = hwi_store_get(txn, node_key(prefix, node), &value, err);
    hwi_key_cut(prefix, mark);
    HWI_TRY(st);
    const uint8_t *v = value.data;
    if (value.size != INNER_HEADER + 4 * (size_t)dc || v[0] != INNER) return HW_ENOTFOUND;
    *split = hwi_get_f32(v + 16);
    for (uint32_t j = 0; j < dc; j++) direction[j] = hwi_get_f32(v + INNER_HEADER + 4 * j);
    return HW_OK;
}

/* ---- reading ---- */

static bool
is_leaf(const hwi_tree *t, uint32_t node)
{
    return t->nodes[node].used && t->nodes[node].position != HWI_NODE_NONE;
}

static void
drop_node(hwi_tree *t, uint32_t node)
{
    if (is_leaf(t, node))
        hwi_tree_remove_leaf(t, node);
    else
        t->nodes[node].used = false;
}

/* Puts one record into the tree, in place of what the node was before. */
static hw_status
take_record(hwi_tree *t, uint32_t node, hw_bytes value, hw_error *err)
{
    const uint8_t *v = value.data;
    hwi_bounds bounds;
    float anchor[HWI_BITS_MAX];

    if (node >= t->node_count)
        return hwi_fail(err, HW_ECORRUPT, "tree node %u is above the count %u", node,
                        t->node_count);
    if (value.size < 4 || hwi_get_u32(v) != record_head(v[0], v, value.size))
        return hwi_fail(err, HW_ECORRUPT, "tree node %u does not match its checksum", node);
    if (value.size == INNER_HEADER + 4 * (size_t)t->dc && v[0] == INNER) {
        drop_node(t, node);
        t->nodes[node] = (hwi_node){hwi_get_u32(v + 4), hwi_get_u32(v + 8), hwi_get_u32(v + 12),
                                    HWI_NODE_NONE, true};
        return HW_OK;
    }
    if (value.size != LEAF_HEADER + 4 * (size_t)t->dc || v[0] != LEAF)
        return hwi_fail(err, HW_ECORRUPT, "tree node %u does not decode", node);
    bounds.radius = hwi_get_f32(v + 12);
    for (uint32_t j = 0; j < HWI_BOX_AXES; j++) {
        bounds.low[j] = hwi_get_f32(v + 16 + 4 * j);
        bounds.high[j] = hwi_get_f32(v + 16 + 4 * (HWI_BOX_AXES + j));
    }
    for (uint32_t j = 0; j < t->dc; j++) anchor[j] = hwi_get_f32(v + LEAF_HEADER + 4 * j);
    uint32_t parent = hwi_get_u32(v + 4), hash = hwi_get_u32(v + 8);
    if (!is_leaf(t, node)) {
        drop_node(t, node);
        return hwi_tree_add_leaf(t, node, parent, anchor, hash, &bounds, err);
    }
    uint32_t position = t->nodes[node].position; /* keeps its place: see hwi_tree_order */
    t->nodes[node].parent = parent;
    t->hash[position] = hash, t->bounds[position] = bounds;
    hwi_tree_set_anchor(t, position, anchor);
    return HW_OK;
}

typedef struct loading {
    hwi_tree *tree;
    size_t prefix_bytes;
    hw_status status;
    hw_error *err;
} loading;

static bool
load_node(void *arg, hw_bytes key, hw_bytes value)
{
    loading *l = arg;
    hwi_key_reader r = {(const uint8_t *)key.data + l->prefix_bytes,
                        (const uint8_t *)key.data + key.size};
    uint64_t node;

    l->status = hwi_key_read_uint(&r, &node, l->err);
    if (l->status == HW_OK && node >= l->tree->node_count)
        l->status = hwi_fail(l->err, HW_ECORRUPT, "tree node %llu is above the count %u",
                             (unsigned long long)node, l->tree->node_count);
    if (l->status == HW_OK && l->tree->nodes[node].used)
        l->status = hwi_fail(l->err, HW_ECORRUPT, "tree node %llu is there twice",
                             (unsigned long long)node);
    if (l->status == HW_OK) l->status = take_record(l->tree, (uint32_t)node, value, l->err);
    return l->status == HW_OK;
}

hw_status
hwi_tree_load(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_model *m,
              const hwi_index_state *state, hwi_tree **out, hw_error *err)
{
    hwi_tree *t;
    hwi_key prefix;

    *out = NULL;
    HWI_TRY(hwi_tree_new(m, &t, err));
    hwi_generation_key(&prefix, HWI_SUB_TREE, coll, field, state->generation);
    loading l = {t, prefix.size, HW_OK, err};
    hw_status st = hwi_tree_reserve_nodes(t, state->next_node, err);
    if (st == HW_OK) st = hwi_store_scan_prefix(txn, &prefix, load_node, &l, err);
    if (st == HW_OK) st = l.status;
    if (st == HW_OK && t->leaf_count != state->leaves)
        st = hwi_fail(err, HW_ECORRUPT, "tree has %u leaves, its state says %u", t->leaf_count,
                      state->leaves);
    if (st == HW_OK && t->leaf_count == 0)
        st = hwi_fail(err, HW_ECORRUPT, "tree of generation %u has no leaf", state->generation);
    if (st != HW_OK) {
        hwi_tree_unref(t);
        return st;
    }
    t->version = state->tree_version;
    *out = t;
    return HW_OK;
}

/* Reads one node's record anew: it may have changed, appeared or gone. */
static hw_status
reread(hw_store_txn *txn, hwi_key *prefix, hwi_tree *t, uint32_t node, hw_error *err)
{
    size_t mark = prefix->size;
    hw_bytes value;

    HWI_TRY(hwi_tree_reserve_nodes(t, node + 1, err));
    hw_status st = hwi_store_get(txn, node_key(prefix, node), &value, err);
    hwi_key_cut(prefix, mark);
    if (st == HW_OK) return take_record(t, node, value, err);
    if (st != HW_ENOTFOUND) return st;
    drop_node(t, node);
    return HW_OK;
}

/* Applies one log entry; HW_ENOTFOUND when it is no longer kept. */
static hw_status
apply_entry(hw_store_txn *txn, hwi_key *nodes, hw_bytes log_key, hwi_tree *t, uint32_t next_node,
            hw_error *err)
{
    hw_bytes value;

    HWI_TRY(hwi_store_get(txn, log_key, &value, err));
    const uint8_t *v = value.data;
    if (value.size < 4 || value.size != 4 + 4 * (size_t)hwi_get_u32(v))
        return hwi_fail(err, HW_ECORRUPT, "tree log entry of %zu bytes does not decode",
                        value.size);
    for (uint32_t i = 0; i < hwi_get_u32(v); i++) {
        uint32_t node = hwi_get_u32(v + 4 + 4 * (size_t)i);
        if (node >= next_node)
            return hwi_fail(err, HW_ECORRUPT, "tree log names node %u above %u", node, next_node);
        HWI_TRY(reread(txn, nodes, t, node, err));
    }
    return HW_OK;
}

static hw_bytes
log_key(hwi_key *k, uint32_t coll, uint32_t field, uint64_t version)
{
    hwi_key_log(k, coll, field, version);
    return hwi_key_view(k);
}

hw_status
hwi_tree_refresh(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_model *m,
                 const hwi_index_state *state, const hwi_tree *old, hwi_tree **out, hw_error *err)
{
    hwi_tree *t = NULL;
    hwi_key nodes, log;
    hw_status st = HW_OK;

    if (old->version > state->tree_version || state->tree_version - old->version > LOG_KEPT)
        return hwi_tree_load(txn, coll, field, m, state, out, err);
    HWI_TRY(hwi_tree_copy(old, &t, err));
    hwi_generation_key(&nodes, HWI_SUB_TREE, coll, field, state->generation);
    for (uint64_t v = old->version + 1; st == HW_OK && v <= state->tree_version; v++)
        st = apply_entry(txn, &nodes, log_key(&log, coll, field, v), t, state->next_node, err);
    if (st == HW_OK) st = hwi_tree_reserve_nodes(t, state->next_node, err);
    if (st == HW_OK && !hwi_tree_is_ordered(t)) st = hwi_tree_order(&t, err);
    if (st == HW_OK && t->leaf_count == state->leaves) {
        t->version = state->tree_version;
        *out = t;
        return HW_OK;
    }
    hwi_tree_unref(t);
    if (st != HW_OK && st != HW_ENOTFOUND) return st;
    return hwi_tree_load(txn, coll, field, m, state, out, err);
}

hw_status
hwi_tree_log(hw_store_txn *txn, uint32_t coll, uint32_t field, uint64_t version,
             const uint32_t *nodes, size_t count, hw_error *err)
{
    hwi_key k;
    hwi_buf b = {0};

    add_u32(&b, (uint32_t)count);
    for (size_t i = 0; i < count; i++) add_u32(&b, nodes[i]);
    if (b.failed || b.size > txn->store->limits.value_bytes_max) {
        /* too much for one entry: without it readers load the whole tree */
        hwi_buf_release(&b);
        return hwi_store_del(txn, log_key(&k, coll, field, version), err);
    }
    hw_status st = hwi_store_put(txn, log_key(&k, coll, field, version), hwi_buf_bytes(&b), err);
    hwi_buf_release(&b);
    if (st == HW_OK && version > LOG_KEPT)
        st = hwi_store_del(txn, log_key(&k, coll, field, version - LOG_KEPT), err);
    return st;
}
