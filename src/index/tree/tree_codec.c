/* tree_codec.c - tree nodes as records, the tree read back from them, and the log that keeps copies
 * up to date.
 *
 *   inner  u8 1, u24 sum, parent u32, left u32, right u32, split f32, direction dc x f32
 *   leaf   u8 2, u24 sum, parent u32, hash u32, radius f32, low 8 x f32, high 8 x f32, anchor dc x f32
 *
 * sum: the low bits of the checksum of everything behind it.
 *
 *   `log, c, v, stamp`     generation u32, nodes u32 ...: numbers whose record was written or deleted
 *   `log, c, v`            floor u64, mark u64: entries stamped above the floor are all there
 *
 * A copy of the tree that is a few commits behind is brought up to date by the log entries stamped
 * since, and only the records they name. Nobody numbers the entries, so that writers of the same tree
 * need not wait for each other. Trimming removes what is stamped up to the mark, which becomes the
 * floor, and marks the present; whoever is farther behind loads the whole tree.
 */
#include <math.h>

#include <roaring/roaring.h>

#include "index/tree/tree.h"
#include "store/wants.h"

#define INNER 1u
#define LEAF 2u
#define INNER_HEADER 20u
#define LEAF_HEADER (16u + 8u * HWI_BOX_AXES)
#define FLOOR_BYTES 16u

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
    if (st == HW_OK) {
        hwi_key end = hwi_key_range_end(&prefix);
        st = hwi_store_peek_scan(txn, hwi_key_view(&prefix), hwi_key_view(&end), false, load_node,
                                 &l, err);
    }
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
    hw_status st = hwi_store_peek(txn, node_key(prefix, node), &value, err);
    hwi_key_cut(prefix, mark);
    if (st == HW_OK) return take_record(t, node, value, err);
    if (st != HW_ENOTFOUND) return st;
    drop_node(t, node);
    return HW_OK;
}

/* ---- the log ---- */

static void
floor_key(hwi_key *k, uint32_t coll, uint32_t field)
{
    hwi_key_sub(k, HWI_SUB_LOG, coll);
    hwi_key_uint(k, field);
}

static hw_status
get_floor(hw_store_txn *txn, uint32_t coll, uint32_t field, uint64_t *floor, uint64_t *mark,
          hw_error *err)
{
    hwi_key key;
    hw_bytes value;

    *floor = *mark = 0;
    floor_key(&key, coll, field);
    hw_status st = hwi_store_peek(txn, hwi_key_view(&key), &value, err);
    if (st == HW_ENOTFOUND) return HW_OK;
    HWI_TRY(st);
    if (value.size != FLOOR_BYTES)
        return hwi_fail(err, HW_ECORRUPT, "the floor of a tree log has %zu bytes", value.size);
    *floor = hwi_get_u64(value.data);
    *mark = hwi_get_u64((const uint8_t *)value.data + 8);
    return HW_OK;
}

/* The key of the first entry stamped above `version`; false when there can be none. */
static bool
entries_from(hwi_key *k, uint32_t coll, uint32_t field, uint64_t version)
{
    uint8_t stamp[HW_STAMP_BYTES];

    if (version == UINT64_MAX) return false;
    hwi_stamp_write(stamp, version + 1, 0);
    hwi_key_log(k, coll, field);
    hwi_key_raw(k, hwi_bytes(stamp, sizeof stamp));
    return true;
}

/* Nodes named by entries, without repeats. */
typedef struct named {
    uint32_t generation, below; /* entries of other generations are passed over */
    roaring_bitmap_t *nodes;
    hw_status status;
    hw_error *err;
} named;

static bool
take_entry(void *arg, hw_bytes key, hw_bytes value)
{
    named *n = arg;
    const uint8_t *v = value.data;

    (void)key;
    if (value.size < 8 || value.size % 4 != 0) {
        n->status = hwi_fail(n->err, HW_ECORRUPT, "tree log entry of %zu bytes does not decode",
                             value.size);
        return false;
    }
    if (hwi_get_u32(v) != n->generation) return true;
    for (size_t at = 4; at < value.size; at += 4) {
        uint32_t node = hwi_get_u32(v + at);
        if (node >= n->below) {
            n->status =
                hwi_fail(n->err, HW_ECORRUPT, "tree log names node %u above %u", node, n->below);
            return false;
        }
        roaring_bitmap_add(n->nodes, node);
    }
    return true;
}

/* Nodes that changed after `since`; NULL when that is no longer known. */
static hw_status
list_changed(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_index_state *state,
             uint64_t since, roaring_bitmap_t **out, hw_error *err)
{
    hwi_key from, prefix;
    uint64_t floor, mark;
    named n = {state->generation, state->next_node, NULL, HW_OK, err};

    *out = NULL;
    HWI_TRY(get_floor(txn, coll, field, &floor, &mark, err));
    if (since < floor) return HW_OK;
    n.nodes = roaring_bitmap_create();
    if (!n.nodes) return hwi_nomem(err, sizeof *n.nodes);
    hw_status st = HW_OK;
    if (entries_from(&from, coll, field, since)) {
        floor_key(&prefix, coll, field);
        hwi_key end = hwi_key_range_end(&prefix);
        st = hwi_store_peek_scan(txn, hwi_key_view(&from), hwi_key_view(&end), false, take_entry,
                                 &n, err);
    }
    if (st == HW_OK) st = n.status;
    if (st == HW_OK)
        *out = n.nodes;
    else
        roaring_bitmap_free(n.nodes);
    return st;
}

/* Asks a store that is far away for many records at once. */
static void
want_records(hw_store_txn *txn, const hwi_key *prefix, const roaring_bitmap_t *nodes)
{
    roaring_uint32_iterator_t it;
    hwi_wants w;

    if (!hwi_store_is_far(txn)) return;
    w.txn = txn, w.count = 0;
    for (roaring_init_iterator(nodes, &it); it.has_value; roaring_advance_uint32_iterator(&it)) {
        hwi_key *key = hwi_wants_next(&w);
        *key = *prefix;
        hwi_key_uint(key, it.current_value);
    }
    hwi_wants_send(&w);
}

static hw_status
reread_all(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_index_state *state,
           const roaring_bitmap_t *nodes, hwi_tree *t, hw_error *err)
{
    hwi_key prefix;
    roaring_uint32_iterator_t it;

    hwi_generation_key(&prefix, HWI_SUB_TREE, coll, field, state->generation);
    want_records(txn, &prefix, nodes);
    for (roaring_init_iterator(nodes, &it); it.has_value; roaring_advance_uint32_iterator(&it))
        HWI_TRY(reread(txn, &prefix, t, it.current_value, err));
    return hwi_tree_reserve_nodes(t, state->next_node, err);
}

hw_status
hwi_tree_refresh(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_model *m,
                 const hwi_index_state *state, hwi_tree *old, uint64_t since, hwi_tree **out,
                 hw_error *err)
{
    hwi_tree *t = NULL;
    roaring_bitmap_t *nodes;

    HWI_TRY(list_changed(txn, coll, field, state, since, &nodes, err));
    if (!nodes) return hwi_tree_load(txn, coll, field, m, state, out, err);
    if (roaring_bitmap_is_empty(nodes) && old->leaf_count == state->leaves) {
        roaring_bitmap_free(nodes);
        *out = hwi_tree_ref(old);
        return HW_OK;
    }
    hw_status st = hwi_tree_copy(old, &t, err);
    if (st == HW_OK) st = reread_all(txn, coll, field, state, nodes, t, err);
    roaring_bitmap_free(nodes);
    if (st == HW_OK && !hwi_tree_is_ordered(t)) st = hwi_tree_order(&t, err);
    if (st == HW_OK && t->leaf_count == state->leaves) {
        *out = t;
        return HW_OK;
    }
    hwi_tree_unref(t);
    return st == HW_OK ? hwi_tree_load(txn, coll, field, m, state, out, err) : st;
}

hw_status
hwi_tree_log(hw_store_txn *txn, uint32_t coll, uint32_t field, uint32_t generation,
             const uint32_t *nodes, size_t count, hw_error *err)
{
    size_t most = txn->store->limits.value_bytes_max / 4 - 1;
    hw_status st = HW_OK;
    hwi_key key;

    hwi_key_log(&key, coll, field);
    for (size_t at = 0; st == HW_OK && at < count; at += most) {
        hwi_buf b = {0};
        add_u32(&b, generation);
        for (size_t i = at; i < HWI_MIN(count, at + most); i++) add_u32(&b, nodes[i]);
        st = b.failed ? hwi_nomem(err, b.size)
                      : hwi_store_put_stamped(txn, hwi_key_view(&key), hwi_buf_bytes(&b), err);
        hwi_buf_release(&b);
    }
    return st;
}

hw_status
hwi_tree_log_trim(hw_store_txn *txn, uint32_t coll, uint32_t field, hw_error *err)
{
    hwi_key from, to, key;
    uint64_t floor, mark;
    uint8_t value[FLOOR_BYTES];

    floor_key(&key, coll, field);
    HWI_TRY(hwi_store_guard(txn, hwi_key_view(&key), err));
    HWI_TRY(get_floor(txn, coll, field, &floor, &mark, err));
    hwi_key_log(&from, coll, field);
    if (entries_from(&to, coll, field, mark))
        HWI_TRY(hwi_store_del_range(txn, hwi_key_view(&from), hwi_key_view(&to), err));
    hwi_put_u64(value, mark);
    hwi_put_u64(value + 8, hwi_store_snapshot(txn));
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(value, sizeof value), err);
}
