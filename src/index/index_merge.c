/* index_merge.c - a leaf that has shrunk too far is dissolved: its members go to their nearest
 * remaining leaves, and its sibling takes the place of their parent.
 *
 *            [3]                    [3]
 *           /   \                  /   \
 *        [5]     [6]     =>     [8]     [6]    leaf 9 dissolved: 5 goes, 8 moves up
 *       /   \
 *    [8]   [9]
 *
 * The last leaf stays, however empty. A bucket of kind lsh goes when its last member does.
 */
#include "index/index_impl.h"

static hw_status
unlink_leaf(hwi_index_writer *w, uint32_t node, hw_error *err)
{
    hwi_tree *t = w->tree;
    uint32_t parent = t->nodes[node].parent;

    HWI_TRY(hwi_leaf_edits_delete(w->edits, node, err));
    hwi_tree_remove_leaf(t, node);
    w->state.leaves--, w->state.merges++;
    hwi_index_note(w->ix, merges);
    HWI_TRY(hwi_writer_changed(w, node, err));
    if (parent == HWI_NODE_NONE) return HW_OK; /* a bucket */
    if (parent >= t->node_count || !t->nodes[parent].used)
        return hwi_fail(err, HW_ECORRUPT, "leaf %u has no parent %u", node, parent);
    hwi_node gone = t->nodes[parent];
    uint32_t sibling = gone.left == node ? gone.right : gone.left;
    if (sibling >= t->node_count || !t->nodes[sibling].used)
        return hwi_fail(err, HW_ECORRUPT, "leaf %u has no sibling %u", node, sibling);
    t->nodes[parent].used = false;
    t->nodes[sibling].parent = gone.parent;
    HWI_TRY(hwi_writer_changed(w, parent, err));
    HWI_TRY(hwi_writer_changed(w, sibling, err));
    if (gone.parent == HWI_NODE_NONE) return HW_OK;
    if (gone.parent >= t->node_count || !t->nodes[gone.parent].used)
        return hwi_fail(err, HW_ECORRUPT, "node %u has no parent %u", parent, gone.parent);
    hwi_node *up = &t->nodes[gone.parent];
    *(up->left == parent ? &up->left : &up->right) = sibling;
    return hwi_writer_changed(w, gone.parent, err);
}

hw_status
hwi_writer_merge(hwi_index_writer *w, uint32_t node, hw_error *err)
{
    hwi_leaf_edit *l;
    uint32_t *slots, count;

    HWI_TRY(hwi_leaf_edits_get(w->edits, node, &l, err));
    bool bucket = w->model->kind == HWI_LSH;
    if (w->tree->leaf_count == 1 || (bucket && l->count > 0)) return HW_OK;
    count = l->count;
    slots = hwi_alloc(count * sizeof *slots);
    if (!slots) return hwi_nomem(err, count * sizeof *slots);
    if (count) memcpy(slots, l->slots, count * sizeof *slots);
    hw_status st = hwi_writer_own_tree(w, err);
    if (st == HW_OK) st = unlink_leaf(w, node, err);
    for (uint32_t i = 0; st == HW_OK && i < count; i++) {
        st = hwi_writer_put_in(w, slots[i], err);
        w->state.moved++;
    }
    hwi_free(slots);
    return st;
}
