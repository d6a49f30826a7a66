/* Similarities in the server, and variety among the nearest. */
#include "support/hwt.h"

#include <math.h>

#include "server/query/query.h"

static float
similarity(const char *metric, hwi_vector_kind kind, hw_vector a, hw_vector b)
{
    hwi_request r = {0};
    hwi_shape_field field = {.metric = metric, .kind = kind, .dim = 2};
    hw_vector x, y;
    assert_true(hwi_vector_prepare(&r, &field, &a, &x) && hwi_vector_prepare(&r, &field, &b, &y));
    float s = hwi_similarity(&field, &x, &y);
    hwi_arena_release(&r.arena);
    return s;
}

static hw_vector
dense(const float *values, uint32_t dim)
{
    return (hw_vector){.values = values, .dim = dim, .rows = 1};
}

static void
metrics_are_what_is_maximised(void **state)
{
    (void)state;
    hw_vector a = dense((float[]){3, 4}, 2), b = dense((float[]){1, 0}, 2);
    assert_float_equal(3, similarity("dot", HWI_VECTOR_DENSE, a, b), 1e-6);
    assert_float_equal(0.6f, similarity("cosine", HWI_VECTOR_DENSE, a, b), 1e-6);
    assert_float_equal(-20, similarity("l2", HWI_VECTOR_DENSE, a, b), 1e-6);
    assert_float_equal(-6, similarity("l1", HWI_VECTOR_DENSE, a, b), 1e-6);
    hw_vector long_a = dense((float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 11);
    assert_float_equal(506, similarity("dot", HWI_VECTOR_DENSE, long_a, long_a), 1e-3);
}

/* Each row of the first has its best row of the second; pairs of sparse vectors in any order. */
static void
rows_and_pairs_are_compared(void **state)
{
    (void)state;
    hw_vector a = {.values = (float[]){1, 0, 0, 1}, .dim = 2, .rows = 2};
    hw_vector b = {.values = (float[]){2, 0, 0, 3, 1, 1}, .dim = 2, .rows = 3};
    assert_float_equal(5, similarity("dot", HWI_VECTOR_MULTI, a, b), 1e-6);
    hw_vector s = {.values = (float[]){1, 2, 3}, .indices = (uint32_t[]){9, 4, 7}, .dim = 3};
    hw_vector t = {.values = (float[]){5, 6}, .indices = (uint32_t[]){4, 9}, .dim = 2};
    assert_float_equal(16, similarity("dot", HWI_VECTOR_SPARSE, s, t), 1e-6);
    hw_vector nothing = {.values = NULL, .indices = (uint32_t[]){0}, .dim = 0};
    assert_float_equal(0, similarity("dot", HWI_VECTOR_SPARSE, s, nothing), 1e-6);
}

static void
assert_picks(float lambda, size_t limit, size_t count, const uint32_t *expected)
{
    /* Near the query: 0 and 1, almost the same; 2 less near and elsewhere; 3 far. */
    static const float values[][2] = {{1, 0.1f}, {1, 0.12f}, {0.7f, -0.7f}, {-1, 0}};
    hwi_request r = {0};
    hwi_shape_field field = {.metric = "cosine", .kind = HWI_VECTOR_DENSE, .dim = 2};
    hw_vector candidates[4], query = dense((float[]){1, 0}, 2);
    uint32_t picked[4];
    size_t n;
    for (size_t i = 0; i < 4; i++) candidates[i] = dense(values[i], 2);
    assert_true(hwi_mmr_pick(&r, &field, &query, candidates, 4, lambda, limit, picked, &n));
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++) assert_int_equal(expected[i], picked[i]);
    hwi_arena_release(&r.arena);
}

static void
lambda_balances_relevance_and_variety(void **state)
{
    (void)state;
    assert_picks(1, 4, 4, (uint32_t[]){0, 1, 2, 3});    /* relevance alone */
    assert_picks(0.5f, 4, 4, (uint32_t[]){0, 2, 1, 3}); /* the twin waits */
    assert_picks(0, 4, 4, (uint32_t[]){0, 3, 2, 1});    /* variety alone, after the first */
    assert_picks(0.5f, 2, 2, (uint32_t[]){0, 2});
    assert_picks(0.5f, 100, 4, (uint32_t[]){0, 2, 1, 3});
}

static void
no_candidates_and_a_passed_deadline(void **state)
{
    (void)state;
    hwi_request r = {0};
    hwi_shape_field field = {.metric = "dot", .kind = HWI_VECTOR_DENSE, .dim = 2};
    hw_vector query = dense((float[]){1, 0}, 2);
    uint32_t picked[1];
    size_t n = 7;
    assert_true(hwi_mmr_pick(&r, &field, &query, NULL, 0, 0.5f, 3, picked, &n));
    assert_int_equal(0, n);
    r.deadline_ms = 1;
    assert_false(hwi_mmr_pick(&r, &field, &query, &query, 1, 0.5f, 3, picked, &n));
    assert_int_equal(408, r.status);
    hwi_arena_release(&r.arena);
    hwi_buf_release(&r.out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_are_what_is_maximised),
        cmocka_unit_test(rows_and_pairs_are_compared),
        cmocka_unit_test(lambda_balances_relevance_and_variety),
        cmocka_unit_test(no_candidates_and_a_passed_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
