/* index.c - what a process remembers of a field's index, and where its keys lie.
 *
 * Models and calibrations never change once written, so they are kept by number. The tree does
 * change: a copy a few versions old is brought up to date through the tree's log, which costs a few
 * reads instead of a few thousand. A transaction that sees writes which may still be lost
 * (hw_store_txn.group) reads what it needs and leaves the memory as it is: numbers and versions of
 * lost commits are given out again.
 *
 * Invariants of an index, all verified by hwi_index_check:
 *   I1  every live slot that has the vector is in exactly one leaf, and `loc` names that leaf
 *   I2  no leaf holds a slot that is not live or lacks the vector
 *   I3  a leaf's counts, signatures and refine codes are those of its vectors relative to its
 * centre I4  a leaf's radius and box contain its members I5  parents and children in the tree
 * agree, every inner node has two children, one root I6  state.vectors, state.leaves and
 * state.next_node agree with what is there
 */
#include "index/index_impl.h"
#include "index/scratch.h"
#include "records/ragged.h"

hw_status
hwi_index_new(uint32_t coll, const hwi_field *field, hwi_index **out, hw_error *err)
{
    hwi_index *ix = hwi_alloc_zero(sizeof *ix);
    size_t bytes = strlen(field->name) + 1;
    char *name = ix ? hwi_alloc(bytes) : NULL;

    *out = NULL;
    hw_status st = name ? hwi_scratch_lists_new(&ix->scratch, err) : hwi_nomem(err, sizeof *ix);
    if (st != HW_OK) {
        hwi_free(name);
        hwi_free(ix);
        return st;
    }
    memcpy(name, field->name, bytes);
    ix->coll = coll;
    ix->field = *field;
    ix->field.name = name;
    hwi_space_init(&ix->space, field);
    pthread_mutex_init(&ix->lock, NULL);
    *out = ix;
    return HW_OK;
}

void
hwi_index_watch(hwi_index *ix, hwi_index_events *events)
{
    ix->events = events;
}

void
hwi_index_free(hwi_index *ix)
{
    if (!ix) return;
    hwi_scratch_lists_free(ix->scratch);
    hwi_model_unref(ix->model);
    hwi_tree_unref(ix->tree);
    hwi_calibration_unref(ix->calibration);
    pthread_mutex_destroy(&ix->lock);
    hwi_free((char *)ix->field.name);
    hwi_free(ix);
}

static hw_status
load_model(const hwi_index *ix, hw_store_txn *txn, uint32_t generation, hwi_model **out,
           hw_error *err)
{
    hwi_key key;
    hwi_buf blob = {0};

    hwi_key_model(&key, ix->coll, ix->field.number, generation);
    hw_status st = hwi_blob_get(txn, hwi_key_view(&key), &blob, err);
    if (st == HW_ENOTFOUND)
        st = hwi_fail(err, HW_ECORRUPT, "generation %u has no model", generation);
    if (st == HW_OK) st = hwi_model_decode(&ix->field, generation, hwi_buf_bytes(&blob), out, err);
    hwi_buf_release(&blob);
    return st;
}

void
hwi_index_want(hwi_wants *wants, uint32_t coll, const hwi_field *field)
{
    if (!hwi_field_is_ragged(field)) hwi_state_want(wants, coll, field->number);
}

bool
hwi_index_knows(hwi_index *ix, uint32_t generation)
{
    pthread_mutex_lock(&ix->lock);
    bool known = ix->model && ix->model->generation == generation;
    pthread_mutex_unlock(&ix->lock);
    return known;
}

hw_status
hwi_index_model(hwi_index *ix, hw_store_txn *txn, const hwi_index_state *state, hwi_model **out,
                hw_error *err)
{
    hw_status st = HW_OK;

    *out = NULL;
    pthread_mutex_lock(&ix->lock);
    if (!ix->model || ix->model->generation != state->generation) {
        hwi_model *fresh;
        st = load_model(ix, txn, state->generation, &fresh, err);
        if (st == HW_OK && txn->group) {
            *out = fresh;
        } else if (st == HW_OK) {
            hwi_model_unref(ix->model);
            hwi_tree_unref(ix->tree);
            ix->model = fresh, ix->tree = NULL;
        }
    }
    if (st == HW_OK && !*out) *out = hwi_model_ref(ix->model);
    pthread_mutex_unlock(&ix->lock);
    return st;
}

/* Whether what a transaction reads is what every reader of its snapshot will see: not when it may yet be
 * lost, nor when it may be newer. */
static bool
is_certain(const hw_store_txn *txn)
{
    return !txn->group && txn->mode != HW_TXN_LOOSE;
}

/* Remembers a tree unless another thread knows a newer one. */
static void
remember_tree(hwi_index *ix, const hwi_model *model, hwi_tree *tree, uint64_t snapshot)
{
    pthread_mutex_lock(&ix->lock);
    if (ix->model == model && (!ix->tree || ix->tree_seen < snapshot)) {
        if (ix->tree != tree) {
            hwi_tree_unref(ix->tree);
            ix->tree = hwi_tree_ref(tree);
        }
        ix->tree_seen = snapshot;
    }
    pthread_mutex_unlock(&ix->lock);
}

hw_status
hwi_index_tree(hwi_index *ix, hw_store_txn *txn, const hwi_index_state *state, hwi_model *model,
               hwi_tree **out, hw_error *err)
{
    hwi_tree *old = NULL;
    uint64_t snapshot = hwi_store_snapshot(txn), seen = 0;
    hw_status st;

    *out = NULL;
    pthread_mutex_lock(&ix->lock);
    if (ix->tree && ix->model == model) old = hwi_tree_ref(ix->tree), seen = ix->tree_seen;
    pthread_mutex_unlock(&ix->lock);
    if (old && seen == snapshot && is_certain(txn)) {
        *out = old;
        return HW_OK;
    }
    st = old && seen <= snapshot
             ? hwi_tree_refresh(txn, ix->coll, ix->field.number, model, state, old, seen, out, err)
             : hwi_tree_load(txn, ix->coll, ix->field.number, model, state, out, err);
    hwi_tree_unref(old);
    HWI_TRY(st);
    if (is_certain(txn)) remember_tree(ix, model, *out, snapshot);
    return HW_OK;
}

hw_status
hwi_index_calibration(hwi_index *ix, hw_store_txn *txn, const hwi_index_state *state,
                      hwi_calibration **out, hw_error *err)
{
    hwi_key key;
    hwi_buf blob = {0};
    hw_status st = HW_OK;

    *out = NULL;
    if (state->calibration == 0) return HW_OK;
    pthread_mutex_lock(&ix->lock);
    if (!ix->calibration || ix->calibration_generation != state->generation ||
        ix->calibration_number != state->calibration) {
        hwi_calibration *fresh = NULL;
        hwi_key_cal(&key, ix->coll, ix->field.number, state->generation);
        st = hwi_blob_get(txn, hwi_key_view(&key), &blob, err);
        if (st == HW_ENOTFOUND)
            st = hwi_fail(err, HW_ECORRUPT, "generation %u has no calibration", state->generation);
        if (st == HW_OK) st = hwi_calibration_decode(hwi_buf_bytes(&blob), &fresh, err);
        if (st == HW_OK && txn->group) {
            *out = fresh;
        } else if (st == HW_OK) {
            hwi_calibration_unref(ix->calibration);
            ix->calibration = fresh;
            ix->calibration_generation = state->generation;
            ix->calibration_number = state->calibration;
        }
    }
    if (st == HW_OK && !*out) *out = hwi_calibration_ref(ix->calibration);
    pthread_mutex_unlock(&ix->lock);
    hwi_buf_release(&blob);
    return st;
}

/* ---- leaf of every slot: rows of 4 bytes, node + 1, so that an all-zero page says nothing and is
 * dropped ---- */

hw_status
hwi_loc_cache_new(hw_store_txn *txn, uint32_t coll, uint32_t field, uint32_t generation,
                  hwi_page_cache **out, hw_error *err)
{
    hwi_key prefix;

    hwi_generation_key(&prefix, HWI_SUB_LOC, coll, field, generation);
    return hwi_page_cache_new(txn, hwi_key_view(&prefix), HWI_PAGE_MAGIC_LOC, HWI_LOCS_PER_PAGE, 4,
                              out, err);
}

hw_status
hwi_loc_get(hwi_page_cache *locs, uint32_t slot, uint32_t *node, hw_error *err)
{
    const uint8_t *row;

    HWI_TRY(hwi_page_cache_read(locs, slot, &row, err));
    *node = row ? hwi_get_u32(row) - 1 : HWI_NODE_NONE;
    return HW_OK;
}

hw_status
hwi_loc_set(hwi_page_cache *locs, uint32_t slot, uint32_t node, hw_error *err)
{
    uint8_t *row;

    HWI_TRY(hwi_page_cache_write(locs, slot, &row, err));
    hwi_put_u32(row, node + 1);
    return HW_OK;
}

/* ---- dropping ---- */

hw_status
hwi_index_drop(hw_store_txn *txn, uint32_t coll, uint32_t field, bool *more, hw_error *err)
{
    static const hwi_sub subs[] = {HWI_SUB_LEAF, HWI_SUB_TREE, HWI_SUB_LOC, HWI_SUB_MODEL,
                                   HWI_SUB_CAL,  HWI_SUB_LOG,  HWI_SUB_JOB, HWI_SUB_STATE};

    *more = false;
    for (size_t i = 0; i < HWI_COUNT(subs) && !*more; i++) {
        hwi_key prefix;
        hwi_key_sub(&prefix, subs[i], coll);
        hwi_key_uint(&prefix, field);
        HWI_TRY(hwi_store_del_some(txn, &prefix, more, err));
    }
    return HW_OK;
}
