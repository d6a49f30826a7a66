/* Vectors rounded to bytes: what their products may be off by, and that the nearest found by way of
 * them is the one found without. */
#include "support/hwt.h"
#include "support/hwt_kernel.h"

#include <math.h>

#include "index/rounded.h"

enum { MOST = 5000, ROWS = 100, DIM_MAX = 130 };

typedef struct world {
    float *vectors, *rows;
    hwi_rounded rounded;
    size_t count, dim;
} world;

/* Lengths differ by a factor of a thousand; some vectors are alike, some are zero. */
static void
open_world(world *w, size_t count, size_t dim)
{
    hwi_rng rng;

    w->count = count, w->dim = dim;
    w->vectors = hwi_alloc((count + 1) * dim * sizeof(float));
    w->rows = hwi_alloc(ROWS * dim * sizeof(float));
    assert_true(w->vectors && w->rows);
    hwi_rng_init(&rng, HWT_KERNEL_SEED + count * 1000 + dim);
    hwt_fill_floats(&rng, w->vectors, count * dim);
    hwt_fill_floats(&rng, w->rows, ROWS * dim);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++) w->vectors[i * dim + j] *= powf(10, (float)(i % 4) - 3);
    if (count > 40) memcpy(w->vectors + 40 * dim, w->vectors + 3 * dim, dim * sizeof(float));
    if (count > 50) memset(w->vectors + 50 * dim, 0, dim * sizeof(float));
    memset(w->rows + 7 * dim, 0, dim * sizeof(float));
    assert_true(hwi_rounded_init(&w->rounded, w->vectors, count, dim));
    for (size_t i = 0; i < count; i++) {
        assert_true(w->rounded.norm[i] == INFINITY);
        w->rounded.norm[i] = i % 11 == 5 ? INFINITY : w->rounded.squares[i];
    }
}

static void
close_world(world *w)
{
    hwi_rounded_release(&w->rounded);
    hwi_free(w->vectors);
    hwi_free(w->rows);
}

static uint32_t
nearest_in_full(const world *w, const float *row)
{
    uint32_t best = UINT32_MAX;
    float least = 0;

    for (uint32_t k = 0; k < w->count; k++) {
        float product, score;
        if (w->rounded.norm[k] == INFINITY) continue;
        hwi_kernels_scalar.dot_rows(row, w->vectors + k * w->dim, 0, 1, w->dim, &product);
        score = w->rounded.norm[k] - 2 * product;
        if (best == UINT32_MAX || score < least) least = score, best = k;
    }
    return best;
}

static void
the_nearest_is_that_of_full_precision(void **state)
{
    static const size_t counts[] = {0, 1, 16, 75, MOST}, dims[] = {1, 24, DIM_MAX};
    uint32_t index[ROWS];
    (void)state;

    for (size_t c = 0; c < HWI_COUNT(counts); c++)
        for (size_t d = 0; d < HWI_COUNT(dims); d++) {
            world w;
            open_world(&w, counts[c], dims[d]);
            assert_true(hwi_rounded_nearest(&w.rounded, w.vectors, w.rows, w.dim, ROWS, index));
            for (size_t i = 0; i < ROWS; i++)
                assert_int_equal(index[i], nearest_in_full(&w, w.rows + i * w.dim));
            close_world(&w);
        }
}

static void
without_a_choice_there_is_none(void **state)
{
    uint32_t index[2] = {0, 0};
    world w;
    (void)state;

    open_world(&w, 75, 24);
    for (size_t i = 0; i < 75; i++) w.rounded.norm[i] = INFINITY;
    assert_true(hwi_rounded_nearest(&w.rounded, w.vectors, w.rows, w.dim, 2, index));
    assert_true(index[0] == UINT32_MAX && index[1] == UINT32_MAX);
    close_world(&w);
}

/* -2 <row, vector> from bytes is off by no more than the slack, and the slack is no idle word. */
static void
products_are_off_by_no_more_than_the_slack(void **state)
{
    uint8_t bytes[136];
    float scratch[DIM_MAX], scores[80], least;
    world w;
    (void)state;

    open_world(&w, 75, DIM_MAX);
    for (size_t k = 0; k < 75; k++) w.rounded.norm[k] = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const float *row = w.rows + i * w.dim;
        hwi_rounded_row r = hwi_round_row(row, w.dim, w.rounded.rank_dims, bytes, scratch);
        float slack = hwi_rounded_slack(&w.rounded, &r);
        least = INFINITY;
        hwi_kernels_active()->rank_rows(bytes, 136, &r.scale, 1, w.rounded.blocks, w.rounded.scale,
                                        w.rounded.norm, w.rounded.code_sum, 5, 136, scores, 80,
                                        &least);
        for (size_t k = 0; k < 75; k++) {
            double product = 0;
            for (size_t j = 0; j < w.dim; j++)
                product += (double)row[j] * (double)w.vectors[k * w.dim + j];
            assert_true(fabs((double)scores[k] + 2 * product) <= (double)slack);
        }
        assert_true(slack <= 0.1f * r.length * w.rounded.longest);
    }
    close_world(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_is_that_of_full_precision),
        cmocka_unit_test(without_a_choice_there_is_none),
        cmocka_unit_test(products_are_off_by_no_more_than_the_slack),
    };
    return cmocka_run_group_tests_name("rounded", tests, NULL, NULL);
}
