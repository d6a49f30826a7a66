/* having.c - which points have a vector of a field: what the filter condition has_vector asks for.
 *
 *     multi, sparse   a bit per slot is kept
 *     dense           every point, if the index counts as many vectors as there are points; else the
 *                     rows are asked one by one: a row without a vector has no norm
 */
#include "payload/pix.h"
#include "query/view.h"

static hw_status
ragged_slots(const hwi_view *view, const hwi_view_field *field, roaring_bitmap_t *set,
             hw_error *err)
{
    uint32_t below = view->counts.slots_below, bits;

    for (uint32_t row = 0; (uint64_t)row * 32 < below; row++) {
        HWI_TRY(hwi_has_row(field->has, row, &bits, err));
        for (; bits; bits &= bits - 1)
            roaring_bitmap_add(set, row * 32 + (uint32_t)__builtin_ctz(bits));
    }
    return HW_OK;
}

static hw_status
dense_slots(const hwi_view *view, const hwi_view_field *field, roaring_bitmap_t *set, hw_error *err)
{
    uint32_t dim = field->conf->dim, row_bytes = hwi_vec_row_bytes(dim);
    uint32_t per_page = hwi_vec_rows_per_page(dim), below = view->counts.slots_below;

    for (uint32_t first = 0; first < below; first += per_page) {
        const uint8_t *page;
        HWI_TRY(hwi_page_table_get(field->vecs, first / per_page, &page, err));
        uint32_t rows = page ? HWI_MIN(per_page, below - first) : 0;
        for (uint32_t i = 0; i < rows; i++)
            if (hwi_vec_inv_norm(hwi_page_row(page, i, row_bytes), dim) != 0)
                roaring_bitmap_add(set, first + i);
    }
    return HW_OK;
}

hw_status
hwi_view_having(hwi_view *view, const hwi_view_field *field, roaring_bitmap_t **out, hw_error *err)
{
    *out = NULL;
    if (field->index && hwi_index_vectors(field->index) == view->counts.points)
        return hwi_pix_live(view->txn, view->conf->coll, out, err);
    roaring_bitmap_t *set = roaring_bitmap_create();
    if (!set) return hwi_nomem(err, sizeof *set);
    hw_status st = hwi_field_is_ragged(field->conf) ? ragged_slots(view, field, set, err)
                                                    : dense_slots(view, field, set, err);
    if (st != HW_OK) {
        roaring_bitmap_free(set);
        return st;
    }
    *out = set;
    return HW_OK;
}
