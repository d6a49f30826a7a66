/* index_insert.c - vectors joining and leaving the index inside a transaction.
 *
 *     insert: frame, rotate -> nearest anchor -> encode -> append to its page -> note slot's leaf
 *     remove: leaf of the slot -> take the row out of its page
 *
 * A leaf that has grown by half is split, one that has shrunk to a quarter dissolved, in the same
 * transaction. While a field has no generation yet, only the count is kept: everything is
 * compared exactly.
 *
 * A build that is under way reads a snapshot; slots touched since then are noted under `job, c, v,
 * slot`, and the build brings them up to date before it switches (index_catch_up.c).
 */
#include <math.h>

#include "index/index_impl.h"
#include "index/job.h"
#include "index/lsh/lsh_probe.h"
#include "index/tree/tree_split.h"

#define TRIM_EVERY 8192u    /* vectors that come or go between two trims of the tree's log */
#define BOUND_SLACK 1.0001f /* float rounding must not put a member outside its leaf's radius */

static hw_status
scratch_new(hwi_index_writer *w, hw_error *err)
{
    const hwi_model *m = w->model;

    w->x = hwi_alloc_aligned(m->dim * sizeof(float));
    w->y = hwi_alloc_aligned(m->out_dims * sizeof(float));
    w->encode = hwi_alloc_aligned(hwi_lsh_scratch_floats(m) * sizeof(float));
    w->bytes = hwi_alloc_aligned(HWI_MAX(m->fast_dims, m->rank_dims));
    w->codes = hwi_alloc_aligned(hwi_leaf_code_bytes(m));
    if (w->x && w->y && w->encode && w->bytes && w->codes) return HW_OK;
    return hwi_nomem(err, m->dim * sizeof(float));
}

static hw_status
open_generation(hwi_index_writer *w, hw_error *err)
{
    hwi_index *ix = w->ix;

    HWI_TRY(hwi_index_model(ix, w->txn, &w->state, &w->model, err));
    HWI_TRY(hwi_index_tree(ix, w->txn, &w->state, w->model, &w->tree, err));
    HWI_TRY(hwi_leaf_edits_new(w->txn, ix->coll, ix->field.number, w->model, &w->edits, err));
    HWI_TRY(
        hwi_loc_cache_new(w->txn, ix->coll, ix->field.number, w->state.generation, &w->locs, err));
    return scratch_new(w, err);
}

hw_status
hwi_writer_open(hwi_index *ix, hw_store_txn *txn, hwi_page_cache *vecs,
                const hwi_index_state *state, hwi_index_writer **out, hw_error *err)
{
    hwi_index_writer *w = hwi_alloc_zero(sizeof *w);

    *out = NULL;
    if (!w) return hwi_nomem(err, sizeof *w);
    w->ix = ix, w->txn = txn, w->vecs = vecs;
    w->state = w->before = *state;
    hw_status st = w->state.generation ? open_generation(w, err) : HW_OK;
    if (st != HW_OK) {
        hwi_index_writer_free(w);
        return st;
    }
    *out = w;
    return HW_OK;
}

hw_status
hwi_index_writer_new(hwi_index *ix, hw_store_txn *txn, hwi_page_cache *vecs, hwi_index_writer **out,
                     hw_error *err)
{
    hwi_index_state state;
    hwi_key job;
    hw_bytes value;

    *out = NULL;
    HWI_TRY(hwi_state_get(txn, ix->coll, ix->field.number, &state, err));
    hwi_job_key(&job, ix->coll, ix->field.number);
    hw_status st = hwi_store_get(txn, hwi_key_view(&job), &value, err);
    if (st != HW_OK && st != HW_ENOTFOUND) return st;
    HWI_TRY(hwi_writer_open(ix, txn, vecs, &state, out, err));
    (*out)->building = st == HW_OK;
    return HW_OK;
}

void
hwi_index_writer_free(hwi_index_writer *w)
{
    if (!w) return;
    hwi_leaf_edits_free(w->edits);
    hwi_page_cache_free(w->locs);
    hwi_tree_unref(w->tree);
    hwi_model_unref(w->model);
    hwi_free(w->changed);
    hwi_free(w->is_changed);
    hwi_free(w->x);
    hwi_free(w->y);
    hwi_free(w->encode);
    hwi_free(w->scores);
    hwi_free(w->bytes);
    hwi_free(w->codes);
    hwi_free(w);
}

/* ---- helpers of the other files ---- */

hw_status
hwi_writer_own_tree(hwi_index_writer *w, hw_error *err)
{
    hwi_tree *copy;

    if (w->tree_is_ours) return HW_OK;
    HWI_TRY(hwi_tree_copy(w->tree, &copy, err));
    hwi_tree_unref(w->tree);
    w->tree = copy;
    w->tree_is_ours = true;
    return HW_OK;
}

hw_status
hwi_writer_changed(hwi_index_writer *w, uint32_t node, hw_error *err)
{
    if (node >= w->is_changed_room) {
        uint32_t room = HWI_MAX(node + 256, 2 * w->is_changed_room);
        uint8_t *flags = hwi_realloc(w->is_changed, room);
        if (!flags) return hwi_nomem(err, room);
        memset(flags + w->is_changed_room, 0, room - w->is_changed_room);
        w->is_changed = flags, w->is_changed_room = room;
    }
    if (w->is_changed[node]) return HW_OK;
    if (w->changed_count == w->changed_room) {
        uint32_t room = w->changed_room * 2 + 64;
        uint32_t *nodes = hwi_realloc(w->changed, room * sizeof *nodes);
        if (!nodes) return hwi_nomem(err, room * sizeof *nodes);
        w->changed = nodes, w->changed_room = room;
    }
    w->is_changed[node] = 1;
    w->changed[w->changed_count++] = node;
    return HW_OK;
}

hw_status
hwi_writer_new_node(hwi_index_writer *w, uint32_t *node, hw_error *err)
{
    HWI_TRY(hwi_tree_reserve_nodes(w->tree, w->state.next_node + 1, err));
    *node = w->state.next_node++;
    return HW_OK;
}

hw_status
hwi_writer_frame(hwi_index_writer *w, uint32_t slot, float *x, hw_error *err)
{
    const uint8_t *row;
    uint32_t dim = w->ix->field.dim;

    HWI_TRY(hwi_page_cache_read(w->vecs, slot, &row, err));
    bool is_there = row && hwi_vec_inv_norm(row, dim) != 0;
    if (!is_there && !w->catching_up)
        return hwi_fail(err, HW_ECORRUPT, "slot %u is in a leaf and has no vector", slot);
    if (is_there)
        hwi_model_frame(w->model, hwi_vec_row(row), hwi_vec_inv_norm(row, dim), x);
    else
        memset(x, 0, dim * sizeof *x);
    return HW_OK;
}

static hw_status
load_vector(hwi_index_writer *w, uint32_t slot, hw_error *err)
{
    HWI_TRY(hwi_writer_frame(w, slot, w->x, err));
    hwi_model_axes(w->model, w->x, w->y);
    return HW_OK;
}

/* Kind lsh: the leaf of this bucket number with the fewest rows; made when there is none. */
static hw_status
choose_bucket(hwi_index_writer *w, uint32_t *node, hw_error *err)
{
    const hwi_model *m = w->model;
    uint32_t hash = hwi_lsh_bucket_number(m, w->y, w->encode), fewest = UINT32_MAX;
    hwi_leaf_edit *l;

    for (uint32_t p = 0; p < w->tree->leaf_count; p++) {
        if (w->tree->hash[p] != hash) continue;
        HWI_TRY(hwi_leaf_edits_get(w->edits, w->tree->leaf_node[p], &l, err));
        if (l->count < fewest) fewest = l->count, *node = w->tree->leaf_node[p];
    }
    if (fewest != UINT32_MAX) return HW_OK;
    HWI_TRY(hwi_writer_own_tree(w, err));
    HWI_TRY(hwi_writer_new_node(w, node, err));
    return hwi_writer_new_bucket(w, *node, hash, err);
}

hw_status
hwi_writer_new_bucket(hwi_index_writer *w, uint32_t node, uint32_t hash, hw_error *err)
{
    hwi_bounds bounds;
    hwi_leaf_edit *l;

    memset(w->encode, 0, hwi_lsh_scratch_floats(w->model) * sizeof(float));
    hwi_bounds_empty(&bounds);
    HWI_TRY(hwi_leaf_edits_create(w->edits, node, w->encode, w->encode, &l, err));
    HWI_TRY(hwi_tree_add_leaf(w->tree, node, HWI_NODE_NONE, w->encode, hash, &bounds, err));
    w->state.leaves++;
    return hwi_writer_changed(w, node, err);
}

hw_status
hwi_writer_choose_leaf(hwi_index_writer *w, uint32_t *node, hw_error *err)
{
    if (w->model->kind == HWI_LSH) return choose_bucket(w, node, err);
    uint32_t need = (w->tree->leaf_count + 15) / 16 * 16;
    if (need > w->scores_room) {
        hwi_free(w->scores);
        w->scores_room = 0;
        w->scores = hwi_alloc_aligned((need + 64) * sizeof(float));
        if (!w->scores) return hwi_nomem(err, (need + 64) * sizeof(float));
        w->scores_room = need + 64;
    }
    uint32_t position = hwi_tree_nearest(w->tree, w->model, w->y, w->bytes, w->scores);
    *node = w->tree->leaf_node[position];
    return HW_OK;
}

hw_status
hwi_writer_place(hwi_index_writer *w, uint32_t node, uint32_t slot, const float *x, const float *y,
                 hw_error *err)
{
    hwi_leaf_edit *l;
    hwi_code code;

    HWI_TRY(hwi_leaf_edits_get(w->edits, node, &l, err));
    hwi_centre centre = hwi_leaf_edit_centre(l);
    hwi_lsh_encode(w->model, &centre, x, y, w->encode, &code, w->codes);
    HWI_TRY(hwi_leaf_edit_append(w->edits, l, slot, &code, w->codes, err));
    HWI_TRY(hwi_loc_set(w->locs, slot, node, err));
    float radius = sqrtf(code.radius_sq) * BOUND_SLACK;
    l->radius = HWI_MAX(l->radius, radius);
    hwi_bounds bounds = w->tree->bounds[w->tree->nodes[node].position];
    if (!hwi_bounds_grow(&bounds, radius, y, w->model->dc)) return HW_OK;
    HWI_TRY(hwi_writer_own_tree(w, err));
    w->tree->bounds[w->tree->nodes[node].position] = bounds;
    return hwi_writer_changed(w, node, err);
}

/* ---- the operations ---- */

static hw_status
note_for_build(hwi_index_writer *w, uint32_t slot, hw_error *err)
{
    hwi_key key;

    w->touched = true;
    w->state.changes++;
    if (!w->building) return HW_OK;
    hwi_job_key(&key, w->ix->coll, w->ix->field.number);
    hwi_key_uint(&key, slot);
    return hwi_store_put(w->txn, hwi_key_view(&key), hwi_bytes(NULL, 0), err);
}

hw_status
hwi_writer_put_in(hwi_index_writer *w, uint32_t slot, hw_error *err)
{
    uint32_t node = HWI_NODE_NONE;
    hwi_leaf_edit *l;

    HWI_TRY(load_vector(w, slot, err));
    HWI_TRY(hwi_writer_choose_leaf(w, &node, err));
    HWI_TRY(hwi_writer_place(w, node, slot, w->x, w->y, err));
    HWI_TRY(hwi_leaf_edits_get(w->edits, node, &l, err));
    return l->count > hwi_leaf_split_at(w->model) ? hwi_writer_split(w, node, err) : HW_OK;
}

hw_status
hwi_writer_take_out(hwi_index_writer *w, uint32_t slot, uint32_t node, hw_error *err)
{
    hwi_leaf_edit *l;

    if (node >= w->tree->node_count || w->tree->nodes[node].position == HWI_NODE_NONE)
        return hwi_fail(err, HW_ECORRUPT, "slot %u is said to be in node %u, which is no leaf",
                        slot, node);
    HWI_TRY(hwi_leaf_edits_get(w->edits, node, &l, err));
    uint32_t row = hwi_leaf_edit_find(l, slot);
    if (row == l->count)
        return hwi_fail(err, HW_ECORRUPT, "slot %u is not in its leaf %u", slot, node);
    HWI_TRY(hwi_leaf_edit_remove(w->edits, l, row, err));
    HWI_TRY(hwi_loc_set(w->locs, slot, HWI_NODE_NONE, err));
    return l->count < w->model->leaf_size / 4 ? hwi_writer_merge(w, node, err) : HW_OK;
}

hw_status
hwi_index_insert(hwi_index_writer *w, uint32_t slot, hw_error *err)
{
    HWI_TRY(note_for_build(w, slot, err));
    w->state.vectors++;
    return w->model ? hwi_writer_put_in(w, slot, err) : HW_OK;
}

hw_status
hwi_index_remove(hwi_index_writer *w, uint32_t slot, hw_error *err)
{
    uint32_t node;
    const uint8_t *vector;

    HWI_TRY(hwi_page_cache_read(w->vecs, slot, &vector, err));
    if (!vector || hwi_vec_inv_norm(vector, w->ix->field.dim) == 0) return HW_OK;
    HWI_TRY(note_for_build(w, slot, err));
    if (w->state.vectors == 0)
        return hwi_fail(err, HW_ECORRUPT, "index counts no vector but slot %u has one", slot);
    w->state.vectors--;
    if (!w->model) return HW_OK;
    HWI_TRY(hwi_loc_get(w->locs, slot, &node, err));
    return node == HWI_NODE_NONE ? HW_OK : hwi_writer_take_out(w, slot, node, err);
}

/* ---- flush ---- */

/* A record is written whole, so nobody else may have changed it meanwhile. */
static hw_status
guard_node(hwi_index_writer *w, const hwi_key *prefix, uint32_t node, hw_error *err)
{
    hwi_key key = *prefix;

    hwi_key_uint(&key, node);
    return hwi_store_guard(w->txn, hwi_key_view(&key), err);
}

static hw_status
flush_tree(hwi_index_writer *w, hw_error *err)
{
    hwi_index *ix = w->ix;
    hwi_key prefix;

    hwi_generation_key(&prefix, HWI_SUB_TREE, ix->coll, ix->field.number, w->state.generation);
    for (uint32_t i = 0; i < w->changed_count; i++) {
        uint32_t node = w->changed[i];
        HWI_TRY(guard_node(w, &prefix, node, err));
        const hwi_node *n = &w->tree->nodes[node];
        if (!n->used)
            HWI_TRY(hwi_tree_del(w->txn, &prefix, node, err));
        else if (n->position == HWI_NODE_NONE)
            HWI_TRY(hwi_tree_relink_inner(w->txn, &prefix, node, n, err));
        else
            HWI_TRY(hwi_tree_put_leaf(w->txn, &prefix, w->tree, node, err));
    }
    HWI_TRY(hwi_tree_log(w->txn, ix->coll, ix->field.number, w->state.generation, w->changed,
                         w->changed_count, err)); /* nothing for no nodes */
    if (w->before.changes / TRIM_EVERY == w->state.changes / TRIM_EVERY) return HW_OK;
    return hwi_tree_log_trim(w->txn, ix->coll, ix->field.number, err);
}

hw_status
hwi_writer_flush(hwi_index_writer *w, hw_error *err)
{
    HWI_TRY(hwi_leaf_edits_flush(w->edits, err));
    HWI_TRY(hwi_page_cache_flush(w->locs, err));
    return flush_tree(w, err);
}

hw_status
hwi_index_flush(hwi_index_writer *w, hw_error *err)
{
    if (!w->touched) return HW_OK;
    if (w->model) HWI_TRY(hwi_writer_flush(w, err));
    HWI_TRY(hwi_state_grow(w->txn, w->ix->coll, w->ix->field.number, &w->before, &w->state, err));
    w->before = w->state;
    return HW_OK;
}
