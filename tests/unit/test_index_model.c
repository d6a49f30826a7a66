/* What a generation learned: axes, hash, the fast rotation, its stored form. */
#include "support/hwt_model.h"

#include <math.h>
#include <stdio.h>

static const hwi_metric metrics[] = {HWI_COSINE, HWI_L2, HWI_DOT, HWI_L1};
static const uint32_t dims[] = {1, 2, 3, 17, 64, 100, 128, 300};

enum { ROWS = 500 };

static double
dot(const float *a, const float *b, uint32_t n)
{
    double sum = 0;

    for (uint32_t j = 0; j < n; j++) sum += (double)a[j] * b[j];
    return sum;
}

static void
for_each_model(void (*test)(const hwt_set *s, const hwi_model *m))
{
    for (size_t i = 0; i < HWI_COUNT(metrics); i++)
        for (size_t d = 0; d < HWI_COUNT(dims); d++) {
            hwt_set s;
            hwt_set_init(&s, metrics[i], dims[d], ROWS);
            hwt_set_fill(&s, HWT_CLUSTERED, 4);
            hwi_model *m = hwt_model(&s, HWI_HYBRID, 0);
            test(&s, m);
            hwi_model_unref(m);
            hwt_set_release(&s);
        }
}

static void
axes_of(const hwt_set *s, const hwi_model *m)
{
    (void)s;
    assert_in_range(m->dc, 1, m->dim);
    assert_true(m->dc <= m->bits && m->out_dims % 16 == 0 && m->out_dims >= m->dc);
    for (uint32_t a = 0; a < m->dc; a++)
        for (uint32_t b = 0; b <= a; b++) {
            double d = dot(m->axes + (size_t)a * m->dim, m->axes + (size_t)b * m->dim, m->dim);
            assert_true(fabs(d - (a == b)) < 1e-4);
        }
}

static void
axes_are_orthonormal(void **state)
{
    (void)state;
    for_each_model(axes_of);
}

/* Along the axes the variance falls, and none is longer than the vector. */
static void
lengths_of(const hwt_set *s, const hwi_model *m)
{
    float *x = hwt_floats(m->dim), *y = hwt_floats(m->out_dims), *z = hwt_floats(m->bits);
    double *variance = hwi_alloc_zero(m->dc * sizeof *variance);

    for (uint32_t i = 0; i < ROWS; i++) {
        hwt_frame(m, s, i, x, y);
        double xx = dot(x, x, m->dim), yy = dot(y, y, m->dc);
        assert_true(yy <= xx * 1.0001 + 1e-6);
        if (m->dc == m->dim) assert_true(fabs(yy - xx) <= 1e-4 * xx + 1e-6);
        for (uint32_t j = m->dc; j < m->out_dims; j++) assert_true(y[j] == 0);
        hwi_model_hash(m, y, z);
        assert_true(fabs(dot(z, z, m->bits) - yy) <= 1e-4 * yy + 1e-6);
        for (uint32_t j = 0; j < m->dc; j++) variance[j] += (double)y[j] * y[j];
    }
    for (uint32_t j = 1; m->mean && j < m->dc; j++)
        assert_true(variance[j] <= variance[j - 1] * 1.001 + 1e-3);
    hwi_free(x);
    hwi_free(y);
    hwi_free(z);
    hwi_free(variance);
}

static void
axes_shorten_and_the_hash_keeps_length(void **state)
{
    (void)state;
    for_each_model(lengths_of);
}

/* The hash is linear and keeps inner products, which is what signatures estimate. */
static void
products_of(const hwt_set *s, const hwi_model *m)
{
    float *x = hwt_floats(m->dim), *y[2], *z[2];

    for (int i = 0; i < 2; i++) {
        y[i] = hwt_floats(m->out_dims), z[i] = hwt_floats(m->bits);
        hwt_frame(m, s, 10u + (uint32_t)i, x, y[i]);
        hwi_model_hash(m, y[i], z[i]);
    }
    double scale = sqrt(dot(y[0], y[0], m->dc) * dot(y[1], y[1], m->dc));
    assert_true(fabs(dot(z[0], z[1], m->bits) - dot(y[0], y[1], m->dc)) <= 1e-4 * scale + 1e-6);
    for (int i = 0; i < 2; i++) hwi_free(y[i]), hwi_free(z[i]);
    hwi_free(x);
}

static void
hash_keeps_inner_products(void **state)
{
    (void)state;
    for_each_model(products_of);
}

static void
rotations_of(const hwt_set *s, const hwi_model *m)
{
    float *x = hwt_floats((size_t)ROWS * m->dim), *y = hwt_floats(m->out_dims);
    float *fast = hwt_floats(m->out_dims), *many = hwt_floats((size_t)ROWS * m->dc);
    uint8_t *bytes = hwi_alloc_aligned(m->fast_dims);
    int8_t *q8 = hwi_alloc_aligned(m->fast_dims);
    float scale;

    for (uint32_t i = 0; i < ROWS; i++) hwt_frame(m, s, i, x + (size_t)i * m->dim, y);
    hwi_model_axes_many(m, x, ROWS, many);
    for (uint32_t i = 0; i < ROWS; i++) {
        double length = sqrt(dot(x + (size_t)i * m->dim, x + (size_t)i * m->dim, m->dim)), off = 0;
        hwi_model_axes(m, x + (size_t)i * m->dim, y);
        hwi_quantize_i8(x + (size_t)i * m->dim, m->dim, m->fast_dims, q8, &scale);
        hwi_model_axes_fast(m, x + (size_t)i * m->dim, q8, scale, bytes, fast);
        for (uint32_t j = 0; j < m->dc; j++) {
            assert_true(fabs((double)many[(size_t)i * m->dc + j] - y[j]) <= 1e-5 * length + 1e-6);
            off += ((double)fast[j] - y[j]) * ((double)fast[j] - y[j]);
        }
        assert_true(sqrt(off) <= 0.03 * length); /* three roundings to 1/127 of the largest */
    }
    hwi_free(x);
    hwi_free(y);
    hwi_free(fast);
    hwi_free(many);
    hwi_free(bytes);
    hwi_free(q8);
}

static void
all_ways_to_rotate_agree(void **state)
{
    (void)state;
    for_each_model(rotations_of);
}

static void
stored_form_of(const hwt_set *s, const hwi_model *m)
{
    hwi_buf blob = {0}, again = {0};
    hwi_model *other;
    hw_error err;

    hwi_model_encode(m, &blob);
    hwt_ok(hwi_model_decode(&s->field, m->generation, hwi_buf_bytes(&blob), &other, &err), &err);
    assert_int_equal(other->dc, m->dc);
    assert_int_equal(other->bits, m->bits);
    assert_int_equal(other->words, m->words);
    assert_int_equal(other->leaf_size, m->leaf_size);
    assert_memory_equal(other->axes, m->axes, (size_t)m->dc * m->dim * sizeof(float));
    assert_memory_equal(other->signs, m->signs, 2u * m->bits * sizeof(float));
    hwi_model_encode(other, &again);
    assert_int_equal(again.size, blob.size);
    assert_memory_equal(again.data, blob.data, blob.size);
    hwi_model_unref(other);
    for (size_t size = 0; size < blob.size; size += 1 + size / 5) { /* cut short */
        hw_bytes cut = {blob.data, size};
        assert_int_equal(hwi_model_decode(&s->field, m->generation, cut, &other, &err),
                         HW_ECORRUPT);
        assert_null(other);
    }
    for (size_t at = 0; at < 24; at++) /* lies about sizes: refused, or as if it had been so */
        for (unsigned bit = 0; bit < 8; bit++) {
            blob.data[at] ^= (uint8_t)(1u << bit);
            hw_status st =
                hwi_model_decode(&s->field, m->generation, hwi_buf_bytes(&blob), &other, &err);
            assert_true(st == HW_OK || st == HW_ECORRUPT);
            hwi_model_unref(other);
            blob.data[at] ^= (uint8_t)(1u << bit);
        }
    hwi_buf_release(&blob);
    hwi_buf_release(&again);
}

static void
stored_form_comes_back_and_damage_is_refused(void **state)
{
    (void)state;
    for_each_model(stored_form_of);
}

static void
model_of_another_field_is_refused(void **state)
{
    hwt_set s;
    hwi_buf blob = {0};
    hwi_model *other;
    hw_error err;
    (void)state;

    hwt_set_init(&s, HWI_L2, 17, ROWS);
    hwt_set_fill(&s, HWT_SPREAD, 4);
    hwi_model *m = hwt_model(&s, HWI_HYBRID, 0);
    hwi_model_encode(m, &blob);
    hwi_field wrong = s.field;
    wrong.dim = 18;
    assert_int_equal(hwi_model_decode(&wrong, 3, hwi_buf_bytes(&blob), &other, &err), HW_ECORRUPT);
    wrong = s.field, wrong.metric = HWI_COSINE;
    assert_int_equal(hwi_model_decode(&wrong, 3, hwi_buf_bytes(&blob), &other, &err), HW_ECORRUPT);
    wrong = s.field, wrong.kind = HWI_KDTREE;
    assert_int_equal(hwi_model_decode(&wrong, 3, hwi_buf_bytes(&blob), &other, &err), HW_ECORRUPT);
    hwi_buf_release(&blob);
    hwi_model_unref(m);
    hwt_set_release(&s);
}

static void
equal_vectors_can_be_trained_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < HWI_COUNT(metrics); i++) {
        hwt_set s;
        float v[17] = {1, 2, 3};
        hwt_set_init(&s, metrics[i], 17, ROWS);
        for (uint32_t place = 0; place < ROWS; place++) hwt_set_put(&s, place, v);
        hwi_model *m = hwt_model(&s, HWI_HYBRID, 0);
        axes_of(&s, m);
        hwi_model_unref(m);
        hwt_set_release(&s);
    }
}

/* ---- encoding ---- */

/* Component j of a refine code, as a level. */
static double
level_of(const hwi_model *m, const uint8_t *codes, uint32_t j)
{
    uint32_t half = hwi_leaf_code_bytes(m);

    if (m->code_bits == 8) return (double)codes[j] - 128;
    return (double)(j < half ? codes[j] & 15 : codes[j - half] >> 4) - 8;
}

/* Estimates of distances from codes against the truth, over many pairs. */
static void
estimates_of(const hwt_set *s, const hwi_model *m)
{
    enum { CENTRES = 20, QUERIES = 10 };
    float *x = hwt_floats(m->dim), *y = hwt_floats(m->out_dims), *qx = hwt_floats(m->dim);
    float *qy = hwt_floats(m->out_dims), *qz = hwt_floats(m->bits), *cz = hwt_floats(m->bits);
    float *cx = hwt_floats(m->dim), *cy = hwt_floats(m->out_dims);
    float *scratch = hwt_floats(hwi_lsh_scratch_floats(m));
    uint8_t *codes = hwi_alloc_aligned(hwi_leaf_code_bytes(m));
    double bias = 0, spread = 0, worst_refine = 0, refine_spread = 0, errors = 0;
    uint32_t below_bound = 0, pairs = 0;

    for (uint32_t q = 0; q < QUERIES; q++) {
        hwt_frame(m, s, ROWS - 1 - q, qx, qy);
        hwi_model_hash(m, qy, qz);
        for (uint32_t c = 0; c < CENTRES; c++) {
            hwt_frame(m, s, 7 * c, cx, cy);
            for (uint32_t j = 0; j < m->dim; j++) cx[j] *= 0.5f; /* a centre among them */
            for (uint32_t j = 0; j < m->dc; j++) cy[j] *= 0.5f;
            hwi_model_hash(m, cy, cz);
            hwi_centre centre = {cx, cy, cz};
            for (uint32_t i = c; i < 300; i += 17) {
                hwi_code code;
                double ip = 0, refine = 0, cq = 0, truth = 0, reach = 0;
                hwt_frame(m, s, i, x, y);
                hwi_lsh_encode(m, &centre, x, y, scratch, &code, codes);
                for (uint32_t j = 0; j < m->bits; j++)
                    ip += (code.words[j / 32] >> (j % 32) & 1 ? 0.5 : -0.5) * qz[j];
                for (uint32_t j = 0; j < m->dim; j++) {
                    double d = (double)qx[j] - cx[j];
                    refine += level_of(m, codes, j) * qx[j];
                    cq += m->metric == HWI_DOT ? -(double)qx[j] * cx[j] : d * d;
                    reach += m->metric == HWI_DOT ? (double)qx[j] * qx[j] : d * d;
                    d = (double)qx[j] - x[j];
                    truth += m->metric == HWI_DOT ? -(double)qx[j] * x[j] : d * d;
                }
                double size = sqrt(code.radius_sq * reach) + 1e-9;
                double estimate = code.a + cq - code.s * ip,
                       long_estimate = code.ra + cq - code.rs * refine;
                bias += (estimate - truth) / size;
                spread += (estimate - truth) * (estimate - truth) / size / size;
                worst_refine = fmax(worst_refine, fabs(long_estimate - truth) / size);
                refine_spread += (long_estimate - truth) * (long_estimate - truth) / size / size;
                below_bound +=
                    estimate - 3.0 * code.error * code.s * sqrt(reach) <= truth + 1e-4 * size;
                errors += code.error;
                pairs++;
            }
        }
    }
    bias /= pairs, spread = sqrt(spread / pairs), refine_spread = sqrt(refine_spread / pairs);
    print_message(
        "         %s dim %3u: bias %+.4f, deviation %.3f; refine code of %u bits: %.4f, at "
        "most %.4f; bound holds %.4f\n",
        hwi_metric_text(m->metric), m->dim, bias, spread, m->code_bits, refine_spread, worst_refine,
        (double)below_bound / pairs);
    assert_true(fabs(bias) < 0.05 + spread / 3);
    assert_true(spread < 0.6);
    assert_true(worst_refine < (m->code_bits == 8 ? 0.06 : 0.25));
    assert_true(refine_spread < (m->code_bits == 8 ? 0.02 : 0.3 / sqrt(m->dim)));
    assert_true((double)below_bound / pairs > 0.97);
    assert_true(errors > 0 || m->dc == 1);
    float *all[] = {x, y, qx, qy, qz, cz, cx, cy, scratch};
    for (size_t i = 0; i < HWI_COUNT(all); i++) hwi_free(all[i]);
    hwi_free(codes);
}

static void
codes_estimate_distances_and_bound_them_from_below(void **state)
{
    static const uint32_t wide[] = {17, 64, 100, 128, 300};
    (void)state;

    for (size_t i = 0; i < 3; i++) /* under l1 codes estimate l2 as well */
        for (size_t d = 0; d < HWI_COUNT(wide); d++) {
            hwt_set s;
            hwt_set_init(&s, metrics[i], wide[d], ROWS);
            hwt_set_fill(&s, HWT_SPREAD, 6);
            hwi_model *m = hwt_model(&s, HWI_HYBRID, 0);
            estimates_of(&s, m);
            m->code_bits = 8; /* as generations before model format 3 have it */
            estimates_of(&s, m);
            hwi_model_unref(m);
            hwt_set_release(&s);
        }
}

/* A vector at its leaf's centre has no residual: finite codes that say so. */
static void
code_of_the_centre_itself_is_finite(void **state)
{
    hwt_set s;
    (void)state;

    hwt_set_init(&s, HWI_L2, 64, ROWS);
    hwt_set_fill(&s, HWT_SPREAD, 6);
    hwi_model *m = hwt_model(&s, HWI_HYBRID, 0);
    float *x = hwt_floats(64), *y = hwt_floats(m->out_dims), *z = hwt_floats(m->bits);
    float *scratch = hwt_floats(hwi_lsh_scratch_floats(m));
    uint8_t codes[32];
    hwi_code code;
    hwt_frame(m, &s, 0, x, y);
    hwi_model_hash(m, y, z);
    hwi_centre centre = {x, y, z};
    hwi_lsh_encode(m, &centre, x, y, scratch, &code, codes);
    assert_true(code.radius_sq == 0);
    assert_true(isfinite(code.a) && isfinite(code.s) && isfinite(code.ra) && isfinite(code.rs));
    assert_true(fabsf(code.a) < 1e-6f && fabsf(code.ra) < 1e-6f);
    for (uint32_t j = 0; j < 64; j++) assert_true(level_of(m, codes, j) == 0);
    hwi_free(x);
    hwi_free(y);
    hwi_free(z);
    hwi_free(scratch);
    hwi_model_unref(m);
    hwt_set_release(&s);
}

/* With many dimensions only the leading axes are sought: they hold next to what
 * all eigenvectors would. */
static void
axes_of_wide_vectors_are_the_leading_ones(void **state)
{
    hwt_set s;
    double total = 0, kept = 0;
    (void)state;

    hwt_set_init(&s, HWI_L2, 3072, ROWS);
    hwt_set_fill(&s, HWT_CLUSTERED, 6);
    hwi_model *m = hwt_model(&s, HWI_HYBRID, 0);
    axes_of(&s, m);
    lengths_of(&s, m);
    float *x = hwt_floats(m->dim), *y = hwt_floats(m->out_dims);
    for (uint32_t i = 0; i < ROWS; i++) {
        hwt_frame(m, &s, i, x, y);
        total += dot(x, x, m->dim), kept += dot(y, y, m->dc);
    }
    assert_true(kept > 0.92 * total); /* of 2,800 dimensions .9256, by all eigenvectors .9265 */
    hwi_free(x);
    hwi_free(y);
    hwi_model_unref(m);
    hwt_set_release(&s);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_are_orthonormal),
        cmocka_unit_test(axes_shorten_and_the_hash_keeps_length),
        cmocka_unit_test(hash_keeps_inner_products),
        cmocka_unit_test(all_ways_to_rotate_agree),
        cmocka_unit_test(stored_form_comes_back_and_damage_is_refused),
        cmocka_unit_test(model_of_another_field_is_refused),
        cmocka_unit_test(equal_vectors_can_be_trained_on),
        cmocka_unit_test(codes_estimate_distances_and_bound_them_from_below),
        cmocka_unit_test(code_of_the_centre_itself_is_finite),
        cmocka_unit_test(axes_of_wide_vectors_are_the_leading_ones),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
