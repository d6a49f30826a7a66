#include "support/hwt_model.h"

#include <stdlib.h>

float *
hwt_floats(size_t count)
{
    float *f = hwi_alloc_aligned(count * sizeof *f);

    assert_non_null(f);
    memset(f, 0, count * sizeof *f);
    return f;
}

hwi_model *
hwt_model(hwt_set *s, hwi_index_kind kind, uint32_t bits)
{
    hwi_model_plan plan = {.generation = 3, .bits = bits, .seed = 9};
    float *rows = hwt_floats((size_t)s->count * s->space.dim), *inverse = hwt_floats(s->count);
    hwi_model *m;
    hw_error err;

    s->field.kind = kind;
    for (uint32_t i = 0; i < s->count; i++) {
        const uint8_t *row = s->rows + (size_t)i * s->space.row_bytes;
        memcpy(rows + (size_t)i * s->space.dim, row, s->space.dim * sizeof *rows);
        inverse[i] = hwi_vec_inv_norm(row, s->space.dim);
    }
    hwt_ok(hwi_model_train(&s->field, &plan, rows, inverse, s->count, s->count, &m, &err), &err);
    hwi_free(rows);
    hwi_free(inverse);
    return m;
}

void
hwt_frame(const hwi_model *m, const hwt_set *s, uint32_t place, float *x, float *y)
{
    const uint8_t *row = s->rows + (size_t)place * s->space.row_bytes;

    hwi_model_frame(m, hwi_vec_row(row), hwi_vec_inv_norm(row, m->dim), x);
    hwi_model_axes(m, x, y);
}
