/* tree.h - the partition: a KD-tree of regions, each leaf with an anchor that stands for it.
 *
 *                     [0] plane: direction, split
 *                    /                            \
 *            [1] plane                          [2] leaf  anchor, radius, box
 *            /        \
 *     [3] leaf         [4] leaf
 *
 * The tree gives regions their names and their life: leaves are born by splitting and die by
 * merging into what is near. Which leaf a vector belongs to is decided by the nearest anchor, which
 * agrees with the planes except near borders and packs tighter (docs/concepts.md). A leaf's node
 * number also names its pages.
 *
 * hwi_tree is the whole tree in memory, the directory: anchors side by side in int8 blocks, so that
 * ranking all of them costs microseconds, and bounds for exact search. It is read from `tree, c, v,
 * g, node` records, immutable when shared, and copied by a writer that changes it.
 */
#ifndef HWI_TREE_H
#define HWI_TREE_H

#include "index/lsh/model.h"
#include "index/state.h"

#define HWI_NODE_NONE UINT32_MAX
#define HWI_BOX_AXES 8u /* leading axes in which a leaf's box is kept */
#define HWI_TREE_DEPTH_MAX 200u

/* Leaf bounds: every member x of the leaf has |x - centre| <= radius (frame), and y within the box
 * on the first HWI_BOX_AXES axes (fewer when dc is smaller; unused ones are 0). */
typedef struct hwi_bounds {
    float radius;
    float low[HWI_BOX_AXES], high[HWI_BOX_AXES];
} hwi_bounds;

typedef struct hwi_node {
    uint32_t parent;
    uint32_t left, right; /* inner nodes; HWI_NODE_NONE in leaves */
    uint32_t position;    /* leaves: index into the arrays below; HWI_NODE_NONE in inner nodes and
                             unused numbers */
    bool used;
} hwi_node;

typedef struct hwi_tree {
    atomic_int refs;
    uint32_t dc, rank_dims;
    hwi_node *nodes;
    uint32_t node_count; /* numbers below this */

    /* leaves by position, dense: removing one moves the last into its place */
    uint32_t leaf_count, leaf_room;
    uint32_t *leaf_node;
    uint32_t *hash; /* kind lsh: bucket number */
    float *anchors; /* dc floats each */
    hwi_bounds *bounds;
    int8_t *blocks; /* for rank_blocks: rank_dims x 16 bytes per 16 leaves */
    float *scale, *norm, *code_sum;
} hwi_tree;

HW_CHECKED hw_status hwi_tree_new(const hwi_model *m, hwi_tree **out, hw_error *err);
HW_CHECKED hw_status hwi_tree_copy(const hwi_tree *t, hwi_tree **out, hw_error *err);
hwi_tree *hwi_tree_ref(hwi_tree *t);
void hwi_tree_unref(hwi_tree *t); /* NULL is fine */

/* Makes room for node numbers below `count`. */
HW_CHECKED hw_status hwi_tree_reserve_nodes(hwi_tree *t, uint32_t count, hw_error *err);
/* Adds a leaf under an existing number-less node slot: `node` must be unused and below node_count.
 */
HW_CHECKED hw_status hwi_tree_add_leaf(hwi_tree *t, uint32_t node, uint32_t parent,
                                       const float *anchor, uint32_t hash, const hwi_bounds *bounds,
                                       hw_error *err);
void hwi_tree_remove_leaf(hwi_tree *t, uint32_t node); /* its number becomes unused */
void hwi_tree_set_anchor(hwi_tree *t, uint32_t position, const float *anchor);
/* Whether positions ascend with node numbers, as in a tree that was loaded; and makes them.
 * Searches look at leaves by position: only so do they take the same way in every process. */
bool hwi_tree_is_ordered(const hwi_tree *t);
HW_CHECKED hw_status hwi_tree_order(hwi_tree **t, hw_error *err);

/* Scores of all leaves for y: |anchor|^2 - 2 <y, anchor>, smaller is nearer; under dot -2 <y,
 * anchor>. `bytes` is scratch of rank_dims, `scores` has room for leaf_count rounded up to 16. Kind
 * lsh has its own ranking (lsh_probe.h). */
void hwi_tree_rank(const hwi_tree *t, const hwi_model *m, const float *y, uint8_t *bytes,
                   float *scores);
/* The leaf whose anchor is nearest to y, found by ranking and settled in full precision: its
 * position. */
uint32_t hwi_tree_nearest(const hwi_tree *t, const hwi_model *m, const float *y, uint8_t *bytes,
                          float *scores);

/* Smallest possible squared frame distance from a query to any member, from the box alone (y) ...
 */
float hwi_bounds_box_sq(const hwi_bounds *b, const float *y, uint32_t axes);
/* Widens the bounds to take in a member at distance `radius` with axes coordinates y; true if they
 * grew. */
bool hwi_bounds_grow(hwi_bounds *b, float radius, const float *y, uint32_t axes);
void hwi_bounds_empty(hwi_bounds *b);

/* Appends the way from the root to a node as letters, "LRL"; empty for the root. */
void hwi_tree_path(const hwi_tree *t, uint32_t node, hwi_buf *out);

/* ---- records (tree_codec.c) ---- */

/* An inner node's plane: y lies on the left when <direction, y> < split. */
typedef struct hwi_plane {
    float split;
    const float *direction; /* dc */
} hwi_plane;

HW_CHECKED hw_status hwi_tree_put_inner(hw_store_txn *txn, hwi_key *prefix, uint32_t dc,
                                        uint32_t node, const hwi_node *n, const hwi_plane *plane,
                                        hw_error *err);
/* Rewrites parent and children of an inner node's record, keeping its plane. */
HW_CHECKED hw_status hwi_tree_relink_inner(hw_store_txn *txn, hwi_key *prefix, uint32_t node,
                                           const hwi_node *n, hw_error *err);
HW_CHECKED hw_status hwi_tree_put_leaf(hw_store_txn *txn, hwi_key *prefix, const hwi_tree *t,
                                       uint32_t node, hw_error *err);
HW_CHECKED hw_status hwi_tree_del(hw_store_txn *txn, hwi_key *prefix, uint32_t node, hw_error *err);

/* The tree of a generation as the transaction sees it. HW_ECORRUPT. */
HW_CHECKED hw_status hwi_tree_load(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                   const hwi_model *m, const hwi_index_state *state, hwi_tree **out,
                                   hw_error *err);
/* The same from one of the same generation that agrees with the snapshot `since`, through the log:
 * that one itself when nothing has changed. Falls back to loading. */
HW_CHECKED hw_status hwi_tree_refresh(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                      const hwi_model *m, const hwi_index_state *state,
                                      hwi_tree *old, uint64_t since, hwi_tree **out, hw_error *err);
/* Logs which nodes a transaction changed. Two transactions may log at once. */
HW_CHECKED hw_status hwi_tree_log(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                  uint32_t generation, const uint32_t *nodes, size_t count,
                                  hw_error *err);
/* Drops the older half of the log. To be called now and then, and not before the transaction's own
 * entries are written. */
HW_CHECKED hw_status hwi_tree_log_trim(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                       hw_error *err);

#endif
