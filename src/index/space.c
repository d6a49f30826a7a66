/* space.c - exact distances, by whole page or by scattered rows.
 *
 * A row is dim floats as they were given, then the inverse of their norm. Cosine is a dot product
 * with the unit query times that inverse, so vectors need not be stored a second time. An inverse
 * norm of 0 marks a row without a vector: its distance is infinite, so it is never a hit.
 *
 * Both forms run the same kernel over one row at a time and the same arithmetic after it. That is
 * what makes an exact search equal to brute force bit for bit, however the rows were reached.
 */
#include "index/space.h"

#include <math.h>

void
hwi_space_init(hwi_space *s, const hwi_field *field)
{
    s->metric = field->metric;
    s->dim = field->dim;
    s->row_bytes = hwi_vec_row_bytes(field->dim);
    s->rows_per_page = hwi_vec_rows_per_page(field->dim);
    s->kernels = hwi_kernels_active();
}

void
hwi_space_prepare(const hwi_space *s, const float *query, float *out)
{
    memcpy(out, query, (size_t)s->dim * sizeof *out);
    if (s->metric != HWI_COSINE) return;
    double sum = 0;
    for (uint32_t j = 0; j < s->dim; j++) sum += (double)query[j] * query[j];
    float scale = (float)(1 / sqrt(sum));
    for (uint32_t j = 0; j < s->dim; j++) out[j] *= scale;
}

/* From what the kernel gave for a row to its distance. */
static inline float
finish(hwi_metric metric, float raw, float inv_norm)
{
    if (inv_norm == 0) return INFINITY;
    if (metric == HWI_COSINE) return 1 - raw * inv_norm;
    return metric == HWI_DOT ? -raw : raw;
}

void
hwi_space_rows(const hwi_space *s, const float *prepared, const uint8_t *rows, size_t count,
               float *out)
{
    const hwi_kernels *k = s->kernels;
    if (s->metric == HWI_L2)
        k->l2sq_rows(prepared, rows, s->row_bytes, count, s->dim, out);
    else if (s->metric == HWI_L1)
        k->l1_rows(prepared, rows, s->row_bytes, count, s->dim, out);
    else
        k->dot_rows(prepared, rows, s->row_bytes, count, s->dim, out);
    for (size_t i = 0; i < count; i++)
        out[i] = finish(s->metric, out[i], hwi_vec_inv_norm(rows + i * s->row_bytes, s->dim));
}

void
hwi_space_gather(const hwi_space *s, const float *prepared, const uint8_t *const *rows,
                 size_t count, float *out)
{
    const hwi_kernels *k = s->kernels;
    const float *floats[HWI_SPACE_GATHER_MAX];

    HWI_ASSERT(count <= HWI_SPACE_GATHER_MAX);
    for (size_t i = 0; i < count; i++) floats[i] = hwi_vec_row(rows[i]);
    if (s->metric == HWI_L2)
        k->l2sq_gather(prepared, floats, count, s->dim, out);
    else if (s->metric == HWI_L1)
        k->l1_gather(prepared, floats, count, s->dim, out);
    else
        k->dot_gather(prepared, floats, count, s->dim, out);
    for (size_t i = 0; i < count; i++)
        out[i] = finish(s->metric, out[i], hwi_vec_inv_norm(rows[i], s->dim));
}

hw_status
hwi_space_row(const hwi_space *s, hwi_page_table *vecs, uint32_t slot, const uint8_t **row,
              hw_error *err)
{
    const uint8_t *page;

    *row = NULL;
    HWI_TRY(hwi_page_table_get(vecs, slot / s->rows_per_page, &page, err));
    if (page) *row = page + HWI_PAGE_HEADER + (size_t)(slot % s->rows_per_page) * s->row_bytes;
    return HW_OK;
}
