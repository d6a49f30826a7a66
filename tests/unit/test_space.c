/* Exact distances: by page and by scattered rows alike, and what the formulas say. */
#include "support/hwt_index.h"

#include <math.h>
#include <stdlib.h>

static const hwi_metric metrics[] = {HWI_COSINE, HWI_L2, HWI_DOT, HWI_L1};
static const uint32_t dims[] = {1, 2, 3, 15, 16, 17, 64, 100, 128, 300, 785};

enum { ROWS = 300 };

static double
by_formula(hwi_metric metric, const float *q, const float *x, uint32_t dim)
{
    double dot = 0, qq = 0, xx = 0, l2 = 0, l1 = 0;

    for (uint32_t j = 0; j < dim; j++) {
        double d = (double)q[j] - x[j];
        dot += (double)q[j] * x[j], qq += (double)q[j] * q[j], xx += (double)x[j] * x[j];
        l2 += d * d, l1 += fabs(d);
    }
    if (metric == HWI_COSINE) return 1 - dot / sqrt(qq * xx);
    return metric == HWI_DOT ? -dot : metric == HWI_L2 ? l2 : l1;
}

static void
for_each_case(void (*test)(const hwt_set *s, const float *query, const float *prepared))
{
    for (size_t m = 0; m < HWI_COUNT(metrics); m++)
        for (size_t d = 0; d < HWI_COUNT(dims); d++) {
            hwt_set s;
            hwi_rng rng;
            float query[800], prepared[800];
            hwi_rng_init(&rng, d);
            hwt_set_init(&s, metrics[m], dims[d], ROWS);
            hwt_set_fill(&s, HWT_SPREAD, 10 * m + d);
            hwt_set_sample(&s, HWT_SPREAD, 1, &rng, query);
            hwi_space_prepare(&s.space, query, prepared);
            test(&s, query, prepared);
            hwt_set_release(&s);
        }
}

static void
compare_gather(const hwt_set *s, const float *query, const float *prepared)
{
    float all[ROWS], some[HWI_SPACE_GATHER_MAX];
    const uint8_t *rows[HWI_SPACE_GATHER_MAX];
    uint32_t place[HWI_SPACE_GATHER_MAX];
    hwi_rng rng;

    (void)query;
    hwi_rng_init(&rng, s->space.dim);
    hwi_space_rows(&s->space, prepared, s->rows, ROWS, all);
    for (size_t count = 0; count <= HWI_SPACE_GATHER_MAX; count += 1 + count / 3) {
        for (size_t i = 0; i < count; i++) {
            place[i] = (uint32_t)hwi_rng_below(&rng, ROWS);
            rows[i] = s->rows + (size_t)place[i] * s->space.row_bytes;
        }
        hwi_space_gather(&s->space, prepared, rows, count, some);
        for (size_t i = 0; i < count; i++)
            assert_memory_equal(&some[i], &all[place[i]], sizeof(float));
    }
    for (size_t i = 0; i < ROWS; i += 7) { /* one row at a time, and a page cut anywhere */
        hwi_space_rows(&s->space, prepared, s->rows + i * s->space.row_bytes, 1, some);
        assert_memory_equal(&some[0], &all[i], sizeof(float));
    }
}

static void
scattered_rows_have_the_distances_of_the_page_bit_for_bit(void **state)
{
    (void)state;
    for_each_case(compare_gather);
}

static void
compare_formula(const hwt_set *s, const float *query, const float *prepared)
{
    float all[ROWS];

    hwi_space_rows(&s->space, prepared, s->rows, ROWS, all);
    for (uint32_t i = 0; i < ROWS; i++) {
        double truth = by_formula(s->space.metric, query, hwt_set_vector(s, i), s->space.dim);
        assert_true(fabs(all[i] - truth) <= 1e-5 * (fabs(truth) + sqrt(s->space.dim)));
    }
}

static void
distances_are_those_of_the_metric(void **state)
{
    (void)state;
    for_each_case(compare_formula);
}

static void
blank_some_rows(const hwt_set *s, const float *query, const float *prepared)
{
    float all[ROWS];

    (void)query;
    for (uint32_t i = 0; i < ROWS; i += 3)
        memset(s->rows + (size_t)i * s->space.row_bytes, 0, s->space.row_bytes);
    hwi_space_rows(&s->space, prepared, s->rows, ROWS, all);
    for (uint32_t i = 0; i < ROWS; i++)
        assert_true(i % 3 == 0 ? all[i] == INFINITY : isfinite(all[i]));
}

static void
row_without_a_vector_is_infinitely_far(void **state)
{
    (void)state;
    for_each_case(blank_some_rows);
}

static void
compare_scaled(const hwt_set *s, const float *query, const float *prepared)
{
    float larger[800], other[800];
    double length = 0;

    if (s->space.metric != HWI_COSINE) {
        assert_memory_equal(query, prepared, s->space.dim * sizeof *query);
        return;
    }
    for (uint32_t j = 0; j < s->space.dim; j++) {
        larger[j] = 1024 * query[j]; /* a power of two changes no digit */
        length += (double)prepared[j] * prepared[j];
    }
    assert_true(fabs(length - 1) < 1e-5);
    hwi_space_prepare(&s->space, larger, other);
    for (uint32_t j = 0; j < s->space.dim; j++) assert_true(other[j] == prepared[j]);
}

static void
cosine_queries_become_unit_length_and_others_stay(void **state)
{
    (void)state;
    for_each_case(compare_scaled);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scattered_rows_have_the_distances_of_the_page_bit_for_bit),
        cmocka_unit_test(distances_are_those_of_the_metric),
        cmocka_unit_test(row_without_a_vector_is_infinitely_far),
        cmocka_unit_test(cosine_queries_become_unit_length_and_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
