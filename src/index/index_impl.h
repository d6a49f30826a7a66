/* index_impl.h - what the files of this folder share: the process's memory of an index, and the
 * writer's insides.
 */
#ifndef HWI_INDEX_IMPL_H
#define HWI_INDEX_IMPL_H

#include <pthread.h>

#include "index/calibrate.h"
#include "index/index.h"
#include "index/lsh/leaf_edit.h"
#include "index/state.h"
#include "index/tree/tree.h"

/* One stripe (base.h) of the scratch that searches leave behind for the next. */
typedef struct hwi_scratch_list {
    HWI_STRIPE_ALIGN pthread_mutex_t lock;
    struct hwi_scratch *first;
} hwi_scratch_list;

struct hwi_index {
    uint32_t coll;
    hwi_field field; /* name is owned */
    hwi_space space;
    hwi_scratch_list *scratch; /* stripes */

    pthread_mutex_t lock; /* guards the fields below */
    hwi_model *model;     /* newest seen, NULL: none yet */
    hwi_tree *tree;       /* of that model's generation, */
    uint64_t tree_seen;   /* as this snapshot and all older than its next change see it */
    hwi_calibration *calibration;
    uint32_t calibration_generation, calibration_number; /* which one that is */

    /* a thread of this process builds or calibrates; taken by exchange, so that one does */
    atomic_bool busy;

    hwi_index_events *events; /* NULL: nobody counts */
};

/* Counts one event: hwi_index_note(ix, splits). */
#define hwi_index_note(ix, what)                                                                   \
    do {                                                                                           \
        if ((ix)->events) atomic_fetch_add_explicit(&(ix)->events->what, 1, memory_order_relaxed); \
    } while (0)

/* Whether the generation's model is remembered. */
bool hwi_index_knows(hwi_index *ix, uint32_t generation);
/* The model, tree and calibration that a transaction's state names: remembered, brought up to date
 * or loaded. Each is a reference of the caller's. */
HW_CHECKED hw_status hwi_index_model(hwi_index *ix, hw_store_txn *txn, const hwi_index_state *state,
                                     hwi_model **out, hw_error *err);
HW_CHECKED hw_status hwi_index_tree(hwi_index *ix, hw_store_txn *txn, const hwi_index_state *state,
                                    hwi_model *model, hwi_tree **out, hw_error *err);
HW_CHECKED hw_status hwi_index_calibration(hwi_index *ix, hw_store_txn *txn,
                                           const hwi_index_state *state, hwi_calibration **out,
                                           hw_error *err);

/* ---- leaf of every slot ---- */

#define HWI_LOCS_PER_PAGE 480u /* small enough for LMDB to keep in its own pages */
HW_CHECKED hw_status hwi_loc_cache_new(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                       uint32_t generation, hwi_page_cache **out, hw_error *err);
/* HWI_NODE_NONE when the slot is in no leaf. */
HW_CHECKED hw_status hwi_loc_get(hwi_page_cache *locs, uint32_t slot, uint32_t *node,
                                 hw_error *err);
HW_CHECKED hw_status hwi_loc_set(hwi_page_cache *locs, uint32_t slot, uint32_t node, hw_error *err);

/* ---- the writer ---- */

struct hwi_index_writer {
    hwi_index *ix;
    hw_store_txn *txn;
    hwi_page_cache *vecs;          /* borrowed */
    hwi_index_state state, before; /* now, and as the store has it */
    bool building;                 /* a build is under way: touched slots are noted for it */
    bool catching_up; /* members may have lost their vectors and wait to be taken out */
    bool touched;

    /* of the generation, NULL while there is none */
    hwi_model *model;
    hwi_tree *tree;
    bool tree_is_ours; /* a private copy that may be changed */
    hwi_leaf_edits *edits;
    hwi_page_cache *locs;

    uint32_t *changed; /* nodes whose record changed, without repeats */
    uint32_t changed_count, changed_room;
    uint8_t *is_changed; /* by node number */
    uint32_t is_changed_room;

    /* scratch for one vector */
    float *x, *y, *encode; /* dim; out_dims; hwi_lsh_scratch_floats */
    float *scores;         /* leaf_room of the tree */
    uint32_t scores_room;
    uint8_t *bytes, *codes;
};

/* A writer of this generation, in use or not; its state is the caller's to store. Freed by
 * hwi_index_writer_free. */
HW_CHECKED hw_status hwi_writer_open(hwi_index *ix, hw_store_txn *txn, hwi_page_cache *vecs,
                                     const hwi_index_state *state, hwi_index_writer **out,
                                     hw_error *err);
/* Writes leaves, locations, tree and its log, but not the state. */
HW_CHECKED hw_status hwi_writer_flush(hwi_index_writer *w, hw_error *err);

/* The framed vector of a member of a leaf, dim floats. HW_ECORRUPT if it has none; while catching up
 * that is a zero vector. */
HW_CHECKED hw_status hwi_writer_frame(hwi_index_writer *w, uint32_t slot, float *x, hw_error *err);
/* Position of the leaf that the vector in w->x, w->y belongs to; may add a leaf (kind lsh). */
HW_CHECKED hw_status hwi_writer_choose_leaf(hwi_index_writer *w, uint32_t *node, hw_error *err);
/* Kind lsh: a new empty bucket under a fresh node number; the tree must be ours. */
HW_CHECKED hw_status hwi_writer_new_bucket(hwi_index_writer *w, uint32_t node, uint32_t hash,
                                           hw_error *err);
/* Puts the vector in x, y into a leaf: row, location, bounds. */
HW_CHECKED hw_status hwi_writer_place(hwi_index_writer *w, uint32_t node, uint32_t slot,
                                      const float *x, const float *y, hw_error *err);
/* insert and remove without the counting: into the nearest leaf; out of the leaf `loc` named. */
HW_CHECKED hw_status hwi_writer_put_in(hwi_index_writer *w, uint32_t slot, hw_error *err);
HW_CHECKED hw_status hwi_writer_take_out(hwi_index_writer *w, uint32_t slot, uint32_t node,
                                         hw_error *err);
/* Makes the tree private before a change. */
HW_CHECKED hw_status hwi_writer_own_tree(hwi_index_writer *w, hw_error *err);
/* Notes that a node's record changed. */
HW_CHECKED hw_status hwi_writer_changed(hwi_index_writer *w, uint32_t node, hw_error *err);
/* A fresh node number, with room for it. */
HW_CHECKED hw_status hwi_writer_new_node(hwi_index_writer *w, uint32_t *node, hw_error *err);

/* index_split.c: a leaf above its size is cut in two and its neighbours repaired; again while a
 * child is too large. */
HW_CHECKED hw_status hwi_writer_split(hwi_index_writer *w, uint32_t node, hw_error *err);
/* index_merge.c: a leaf below a quarter of its size is dissolved into its neighbours. */
HW_CHECKED hw_status hwi_writer_merge(hwi_index_writer *w, uint32_t node, hw_error *err);

/* Rows at which a leaf is split. */
static inline uint32_t
hwi_leaf_split_at(const hwi_model *m)
{
    uint32_t most = hwi_leaf_rows_max(m), grown = m->leaf_size + m->leaf_size / 2;

    return HWI_MIN(most, grown);
}

#endif
