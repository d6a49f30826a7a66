/* stored.c - vectors read back, of any kind, as they were given; and what the inverted index reads. */
#include "query/view.h"

/* The vector of a slot in a vector page, copied. */
static hw_status
dense_vector(const hwi_view_field *f, uint32_t slot, hwi_arena *arena, hw_vector *out,
             hw_error *err)
{
    uint32_t dim = f->conf->dim, rows = hwi_vec_rows_per_page(dim);
    const uint8_t *page;
    HWI_TRY(hwi_page_table_get(f->vecs, slot / rows, &page, err));
    if (!page) return HW_OK;
    const uint8_t *row = hwi_page_row(page, slot % rows, hwi_vec_row_bytes(dim));
    if (hwi_vec_inv_norm(row, dim) == 0) return HW_OK;
    float *copy = hwi_arena_alloc(arena, (size_t)dim * sizeof *copy);
    if (!copy) return hwi_nomem(err, (size_t)dim * sizeof *copy);
    memcpy(copy, row, (size_t)dim * sizeof *copy);
    *out = (hw_vector){.values = copy, .dim = dim};
    return HW_OK;
}

hw_status
hwi_view_vector(hwi_view *view, const hwi_view_field *field, uint32_t slot, hwi_arena *arena,
                hw_vector *out, hw_error *err)
{
    hwi_buf large = {0};
    hw_bytes raw;
    *out = (hw_vector){0};
    if (!hwi_field_is_ragged(field->conf)) return dense_vector(field, slot, arena, out, err);
    hw_status st =
        hwi_ragged_get(view->txn, view->conf->coll, field->conf, slot, &large, &raw, err);
    if (st == HW_OK) st = hwi_ragged_unpack(field->conf, raw, arena, out, err);
    hwi_buf_release(&large);
    return st == HW_ENOTFOUND ? HW_OK : st;
}

hwi_sparse_view
hwi_view_sparse(const hwi_view *view, const hwi_view_field *field)
{
    return (hwi_sparse_view){.txn = view->txn,
                             .coll = view->conf->coll,
                             .slots_below = view->counts.slots_below,
                             .field = field->conf,
                             .slots = view->slots,
                             .has = field->has};
}
