/* index_view.c - an index as one snapshot sees it.
 *
 * Opening a view reads the state and brings model and tree up to date: a few reads when they are
 * remembered. Leaves are looked up when first opened; from then on a query reaches their pages
 * through one pointer. Two threads that open the same leaf at once both look it up, and one of them
 * throws its result away.
 */
#include "index/index_calibrate.h"
#include "store/wants.h"

/* What may have to be loaded, fetched together from a store that is far away. */
static void
want_generation(const hwi_index_view *v)
{
    uint32_t coll = v->ix->coll, field = v->ix->field.number, generation = v->state.generation;
    hwi_wants w;

    if (!hwi_store_is_far(v->txn) || hwi_index_knows(v->ix, generation)) return;
    w.txn = v->txn, w.count = 0;
    hwi_key_model(hwi_wants_next(&w), coll, field, generation);
    hwi_key_cal(hwi_wants_next(&w), coll, field, generation);
    hwi_wants_send(&w);
}

static hw_status
open_generation(hwi_index_view *v, hw_error *err)
{
    want_generation(v);
    HWI_TRY(hwi_index_model(v->ix, v->txn, &v->state, &v->model, err));
    HWI_TRY(hwi_index_tree(v->ix, v->txn, &v->state, v->model, &v->tree, err));
    HWI_TRY(hwi_index_calibration(v->ix, v->txn, &v->state, &v->calibration, err));
    size_t bytes = hwi_size_mul(v->tree->leaf_count, sizeof *v->leaves);
    v->leaves = hwi_alloc_zero(bytes);
    if (!v->leaves) return hwi_nomem(err, bytes);
    v->rows_per_part = hwi_leaf_rows_per_part(v->model);
    return HW_OK;
}

hw_status
hwi_index_view_of(hwi_index *ix, hw_store_txn *txn, hwi_page_table *vecs, hwi_page_table *slots,
                  uint32_t slots_below, const hwi_index_state *state, hwi_index_view **out,
                  hw_error *err)
{
    hwi_index_view *v = hwi_alloc_zero(sizeof *v);

    *out = NULL;
    if (!v) return hwi_nomem(err, sizeof *v);
    v->ix = ix, v->txn = txn, v->vecs = vecs, v->slots = slots, v->slots_below = slots_below;
    v->state = *state;
    hw_status st = state->generation ? open_generation(v, err) : HW_OK;
    if (st != HW_OK) {
        hwi_index_view_free(v);
        return st;
    }
    *out = v;
    return HW_OK;
}

hw_status
hwi_index_view_new(hwi_index *ix, hw_store_txn *txn, hwi_page_table *vecs, hwi_page_table *slots,
                   uint32_t slots_below, hwi_index_view **out, hw_error *err)
{
    hwi_index_state state;

    *out = NULL;
    HWI_TRY(hwi_state_get(txn, ix->coll, ix->field.number, &state, err));
    return hwi_index_view_of(ix, txn, vecs, slots, slots_below, &state, out, err);
}

static void
ref_free(hwi_leaf_ref *r)
{
    if (!r) return;
    hwi_free(r->copy);
    hwi_free(r);
}

void
hwi_index_view_free(hwi_index_view *v)
{
    if (!v) return;
    for (uint32_t i = 0; v->leaves && i < v->tree->leaf_count; i++)
        ref_free(atomic_load_explicit(&v->leaves[i], memory_order_relaxed));
    hwi_free(v->leaves);
    hwi_calibration_unref(v->calibration);
    hwi_tree_unref(v->tree);
    hwi_model_unref(v->model);
    hwi_free(v);
}

uint64_t
hwi_index_vectors(const hwi_index_view *v)
{
    return v->state.vectors;
}

static hw_status
get_part(hwi_index_view *v, uint32_t node, uint32_t part, hw_bytes *value, hw_error *err)
{
    hwi_key key;

    hwi_key_leaf(&key, v->ix->coll, v->ix->field.number, v->state.generation, node, part);
    hw_status st = hwi_store_get(v->txn, hwi_key_view(&key), value, err);
    if (st == HW_ENOTFOUND) return hwi_fail(err, HW_ECORRUPT, "leaf %u lacks part %u", node, part);
    return st;
}

/* Signature pages are read in place as 4-byte numbers; a store may keep small values at odd
 * addresses. */
static hw_status
align(hw_bytes *value, uint8_t **copy, hw_error *err)
{
    *copy = NULL;
    if ((uintptr_t)value->data % 4 == 0) return HW_OK;
    *copy = hwi_alloc_aligned(value->size);
    if (!*copy) return hwi_nomem(err, value->size);
    memcpy(*copy, value->data, value->size);
    value->data = *copy;
    return HW_OK;
}

static hw_status
find_parts(hwi_index_view *v, uint32_t node, hwi_leaf_ref *r, hw_error *err)
{
    uint32_t row_bytes = hwi_leaf_row_bytes(v->model);

    for (uint32_t p = 0; p < r->part_count; p++) {
        hw_bytes value;
        uint32_t rows = HWI_MIN(r->page.count - p * v->rows_per_part, v->rows_per_part);
        HWI_TRY(get_part(v, node, p + 1, &value, err));
        if (value.size != HWI_PAGE_HEADER + (size_t)rows * row_bytes)
            return hwi_fail(err, HW_ECORRUPT, "part %u of leaf %u has %zu bytes for %u rows", p + 1,
                            node, value.size, rows);
        HWI_TRY(hwi_page_check(value, HWI_PAGE_MAGIC_REF, row_bytes, err));
        r->parts[p] = (const uint8_t *)value.data + HWI_PAGE_HEADER;
    }
    return HW_OK;
}

/* The centre in as many bytes as a query's refine code. */
static void
shrink_centre(const hwi_model *m, hwi_leaf_ref *r, uint8_t *bytes)
{
    uint32_t padded = hwi_leaf_code_dims(m);

    hwi_quantize_i8(r->page.centre, m->dim, padded, (int8_t *)bytes, &r->centre_scale);
    hwi_shift_i8((int8_t *)bytes, padded, bytes);
    m->kernels->dot_rows(r->page.centre, r->page.centre, 0, 1, m->dim, &r->centre_sq);
    r->centre8 = bytes;
}

static hw_status
find_leaf(hwi_index_view *v, uint32_t node, hwi_leaf_ref **out, hw_error *err)
{
    hw_bytes value;
    hwi_leaf_page page;
    uint8_t *copy;

    HWI_TRY(get_part(v, node, 0, &value, err));
    HWI_TRY(align(&value, &copy, err));
    hw_status st = hwi_leaf_parse(v->model, value, &page, err);
    if (st != HW_OK) {
        hwi_free(copy);
        return st;
    }
    uint32_t parts = v->model->words ? (page.count + v->rows_per_part - 1) / v->rows_per_part : 0;
    size_t bytes = sizeof(hwi_leaf_ref) + parts * sizeof(const uint8_t *);
    uint32_t centre_bytes = v->model->words ? hwi_leaf_code_dims(v->model) : 0;
    hwi_leaf_ref *r = hwi_alloc_zero(bytes + centre_bytes);
    if (!r) {
        hwi_free(copy);
        return hwi_nomem(err, bytes + centre_bytes);
    }
    r->page = page, r->copy = copy, r->part_count = parts;
    if (v->model->words) shrink_centre(v->model, r, (uint8_t *)r + bytes);
    st = find_parts(v, node, r, err);
    if (st != HW_OK) {
        ref_free(r);
        return st;
    }
    *out = r;
    return HW_OK;
}

/* How many parts a leaf has is known once its first page is here; most have as many as this. */
static uint32_t
usual_parts(const hwi_index_view *v)
{
    if (v->model->words == 0) return 0;
    return (v->model->leaf_size + v->rows_per_part - 1) / v->rows_per_part;
}

void
hwi_view_want_leaves(hwi_index_view *v, const hwi_top_entry *positions, size_t count)
{
    hwi_wants w;

    if (!hwi_store_is_far(v->txn)) return;
    w.txn = v->txn, w.count = 0;
    uint32_t parts = usual_parts(v);
    for (size_t i = 0; i < count; i++) {
        if (atomic_load_explicit(&v->leaves[positions[i].tag], memory_order_relaxed)) continue;
        for (uint32_t part = 0; part <= parts; part++)
            hwi_key_leaf(hwi_wants_next(&w), v->ix->coll, v->ix->field.number, v->state.generation,
                         v->tree->leaf_node[positions[i].tag], part);
    }
    hwi_wants_send(&w);
}

hw_status
hwi_view_leaf(hwi_index_view *v, uint32_t position, const hwi_leaf_ref **out, hw_error *err)
{
    /* pairs with the exchange below: whoever sees the pointer sees what it points to */
    hwi_leaf_ref *r = atomic_load_explicit(&v->leaves[position], memory_order_acquire);

    if (!r) {
        hwi_leaf_ref *none = NULL;
        HWI_TRY(find_leaf(v, v->tree->leaf_node[position], &r, err));
        if (!atomic_compare_exchange_strong_explicit(&v->leaves[position], &none, r,
                                                     memory_order_acq_rel, memory_order_acquire)) {
            ref_free(r);
            r = none;
        }
    }
    *out = r;
    return HW_OK;
}
