/* test_kernel.c - kernels on floats, and which table is chosen. Every table gives the bits of the scalar
 * one, which is the specification; the kernels on codes are in test_kernel_codes.c.
 *
 * Comparison is ==, not nearly: kernel.h promises equal bits on every machine (== lets only the
 * sign of a zero differ). What would escape that, an error in scalar.c itself, is caught by
 * comparing scalar with formulas in double precision. */
#include "support/hwt.h"
#include "support/hwt_kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUARD 64u /* bytes kept free around what a kernel may write */

/* ---- distances ---- */

typedef struct metric_case {
    const char *name;
    void (*rows)(const float *query, const void *base, size_t stride_bytes, size_t rows,
                 size_t dims, float *out);
    void (*gather)(const float *query, const float *const *rows, size_t count, size_t dims,
                   float *out);
} metric_case;

static void
metrics_of(const hwi_kernels *k, metric_case *out)
{
    out[0] = (metric_case){"l2sq", k->l2sq_rows, k->l2sq_gather};
    out[1] = (metric_case){"dot", k->dot_rows, k->dot_gather};
    out[2] = (metric_case){"l1", k->l1_rows, k->l1_gather};
}

enum { ROWS = 17, DIMS_MAX = 300 };

static void
check_distances(const hwi_kernels *scalar, const hwi_kernels *k, size_t dims, size_t misaligned)
{
    hwi_rng rng;
    metric_case expected_by[3], got_by[3];
    float query[DIMS_MAX], expected[ROWS], got[ROWS + 1], gathered[ROWS + 1];
    const float *row[ROWS];
    size_t stride = dims * 4 + 12;
    char *base = malloc(ROWS * stride + GUARD);

    assert_non_null(base);
    hwi_rng_init(&rng, HWT_KERNEL_SEED + dims);
    hwt_fill_floats(&rng, query, dims);
    for (size_t i = 0; i < ROWS; i++) {
        hwt_fill_floats(&rng, base + misaligned + i * stride, dims);
        row[ROWS - 1 - i] = (const void *)(base + misaligned + i * stride);
    }
    metrics_of(scalar, expected_by);
    metrics_of(k, got_by);
    for (size_t m = 0; m < 3; m++)
        for (size_t rows = 0; rows <= ROWS; rows++) {
            got[rows] = gathered[rows] = -77.0f;
            expected_by[m].rows(query, base + misaligned, stride, rows, dims, expected);
            got_by[m].rows(query, base + misaligned, stride, rows, dims, got);
            got_by[m].gather(query, row + ROWS - rows, rows, dims, gathered);
            hwt_assert_floats_equal(expected, got, rows, expected_by[m].name, dims);
            for (size_t i = 0; i < rows; i++) /* bit for bit, and in any order */
                assert_memory_equal(&got[i], &gathered[rows - 1 - i], 4);
            assert_true(got[rows] == -77.0f && gathered[rows] == -77.0f);
        }
    free(base);
}

static void
distances_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    /* all tails, of short rows and of those long enough to go many at a time */
    for (size_t dims = 0; dims <= DIMS_MAX; dims += dims == 200 ? 50 : 1)
        for (size_t misaligned = 0; misaligned < 6; misaligned++)
            check_distances(scalar, k, dims, misaligned);
}

static void
distances_equal_scalar_at_every_length_and_alignment(void **state)
{
    (void)state;
    hwt_for_each_table(distances_one_table);
}

static void
scalar_distances_are_the_textbook_sums(void **state)
{
    hwi_rng rng;
    (void)state;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t dims = 0; dims <= 800; dims += 16) {
        float a[800], b[800], out[3];
        double l2sq = 0, dot = 0, l1 = 0, size = 0;
        hwt_fill_floats(&rng, a, dims);
        hwt_fill_floats(&rng, b, dims);
        for (size_t j = 0; j < dims; j++) {
            double d = (double)a[j] - (double)b[j];
            l2sq += d * d;
            l1 += fabs(d);
            dot += (double)a[j] * (double)b[j];
            size += fabs((double)a[j] * (double)b[j]);
        }
        hwi_kernels_scalar.l2sq_rows(a, b, 0, 1, dims, &out[0]);
        hwi_kernels_scalar.dot_rows(a, b, 0, 1, dims, &out[1]);
        hwi_kernels_scalar.l1_rows(a, b, 0, 1, dims, &out[2]);
        /* 25 terms and 5 folds a lane, 6e-8 each at worst, much less together */
        assert_true(fabs((double)out[0] - l2sq) <= 1e-6 * l2sq);
        assert_true(fabs((double)out[1] - dot) <= 1e-6 * size);
        assert_true(fabs((double)out[2] - l1) <= 1e-6 * l1);
    }
}

/* ---- rotation ---- */

static void
matvec_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    hwi_rng rng;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t out_dims = 0; out_dims <= 16 * 18; out_dims += 16)
        for (size_t dims = 0; dims <= 37; dims += dims < 4 ? 1 : 11) {
            float *columns = malloc((out_dims * dims + 1) * 4), x[40];
            float expected[16 * 18], got[16 * 18 + 1];
            assert_non_null(columns);
            hwt_fill_floats(&rng, columns, out_dims * dims);
            hwt_fill_floats(&rng, x, dims);
            got[out_dims] = -77.0f;
            scalar->matvec_columns(columns, out_dims, x, dims, expected);
            k->matvec_columns(columns, out_dims, x, dims, got);
            hwt_assert_floats_equal(expected, got, out_dims, "matvec", out_dims);
            assert_true(got[out_dims] == -77.0f);
            free(columns);
        }
}

static void
matvec_equals_scalar_at_every_width(void **state)
{
    (void)state;
    hwt_for_each_table(matvec_one_table);
}

static void
matvec_multiplies_by_the_matrix(void **state)
{
    float columns[16 * 3], y[16];
    const float x[3] = {2, 3, 5};
    (void)state;
    for (size_t j = 0; j < 3; j++)
        for (size_t i = 0; i < 16; i++) columns[j * 16 + i] = (float)(i * 10 + j);
    hwi_kernels_scalar.matvec_columns(columns, 16, x, 3, y);
    for (size_t i = 0; i < 16; i++) assert_true(y[i] == (float)(i * 10 * 10 + 13));
}

static void
fht_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    _Alignas(64) float expected[HWI_BITS_MAX], got[HWI_BITS_MAX];
    hwi_rng rng;
    hwi_rng_init(&rng, HWT_KERNEL_SEED);
    for (size_t m = 16; m <= HWI_BITS_MAX; m *= 2) {
        hwt_fill_floats(&rng, expected, m);
        memcpy(got, expected, m * 4);
        scalar->fht(expected, m);
        k->fht(got, m);
        hwt_assert_floats_equal(expected, got, m, "fht", m);
    }
}

static void
fht_equals_scalar_at_every_size(void **state)
{
    (void)state;
    hwt_for_each_table(fht_one_table);
}

static void
fht_of_a_unit_vector_is_a_row_of_the_hadamard_matrix(void **state)
{
    (void)state;
    for (size_t m = 16; m <= HWI_BITS_MAX; m *= 2) {
        _Alignas(64) float v[HWI_BITS_MAX] = {0};
        size_t at = m / 2 + 5;
        v[at] = 1;
        hwi_kernels_scalar.fht(v, m);
        for (size_t i = 0; i < m; i++)
            assert_true(v[i] == (__builtin_popcountll(i & at) % 2 ? -1.0f : 1.0f));
    }
}

/* ---- products ---- */

enum { PRODUCT_ROWS = 27, VECTORS = 75, PRODUCT_DIMS = 70, ROW_STRIDE = PRODUCT_DIMS + 3 };

typedef struct product_case {
    float a[PRODUCT_ROWS * ROW_STRIDE], vectors[VECTORS * PRODUCT_DIMS];
    float panels[(VECTORS + HWI_PANEL) * PRODUCT_DIMS], norms[VECTORS + HWI_PANEL];
} product_case;

static void
make_products(product_case *c, size_t count, size_t dims)
{
    hwi_rng rng;
    hwi_rng_init(&rng, HWT_KERNEL_SEED + count * 100 + dims);
    hwt_fill_floats(&rng, c->a, HWI_COUNT(c->a));
    hwt_fill_floats(&rng, c->vectors, count * dims);
    if (count > 40) /* two vectors alike: the first is the nearest */
        memcpy(c->vectors + 40 * dims, c->vectors + 3 * dims, dims * sizeof(float));
    assert_true(hwi_panel_floats(count, dims) <= HWI_COUNT(c->panels));
    hwi_pack_panels(c->vectors, count, dims, c->panels);
    for (size_t k = 0; k < HWI_COUNT(c->norms); k++) c->norms[k] = INFINITY;
    for (size_t k = 0; k < count; k++)
        hwi_kernels_scalar.dot_rows(c->vectors + k * dims, c->vectors + k * dims, 0, 1, dims,
                                    &c->norms[k]);
    if (count > 3) c->norms[1] = INFINITY;
}

static void
check_products(const hwi_kernels *scalar, const hwi_kernels *k, size_t rows, size_t count,
               size_t dims)
{
    static product_case c;
    static float expected[PRODUCT_ROWS * VECTORS + 1], got[PRODUCT_ROWS * VECTORS + 1];

    make_products(&c, count, dims);
    expected[rows * count] = got[rows * count] = -77.0f;
    scalar->product(c.a, ROW_STRIDE, rows, c.panels, count, dims, expected, count);
    k->product(c.a, ROW_STRIDE, rows, c.panels, count, dims, got, count);
    hwt_assert_floats_equal(expected, got, rows * count + 1, "product", dims);
}

static void
products_one_table(const hwi_kernels *scalar, const hwi_kernels *k)
{
    for (size_t dims = 0; dims <= PRODUCT_DIMS; dims += dims < 4 ? 1 : 33)
        for (size_t rows = 0; rows <= PRODUCT_ROWS; rows++)
            for (size_t count = 0; count <= VECTORS; count += count < 34 ? 1 : 13)
                check_products(scalar, k, rows, count, dims);
}

static void
products_equal_scalar_for_every_shape(void **state)
{
    (void)state;
    hwt_for_each_table(products_one_table);
}

static void
product_of_a_row_equals_the_matrix_times_the_vector(void **state)
{
    static product_case c;
    float columns[16 * 20], y[16], out[PRODUCT_ROWS * 16];
    const hwi_kernels *k = hwi_kernels_pick(NULL, hwi_cpu_features());
    (void)state;
    make_products(&c, 16, 20);
    for (size_t j = 0; j < 20; j++)
        for (size_t i = 0; i < 16; i++) columns[j * 16 + i] = c.vectors[i * 20 + j];
    k->product(c.a, ROW_STRIDE, PRODUCT_ROWS, c.panels, 16, 20, out, 16);
    for (size_t row = 0; row < PRODUCT_ROWS; row++) {
        k->matvec_columns(columns, 16, c.a + row * ROW_STRIDE, 20, y);
        assert_memory_equal(y, out + row * 16, sizeof y);
    }
}

/* ---- choosing a table ---- */

static void
pick_refuses_unknown_names_and_missing_instructions(void **state)
{
    (void)state;
    assert_null(hwi_kernels_pick("avx1024", ~0u));
    assert_null(hwi_kernels_pick("", ~0u));
    assert_null(hwi_kernels_pick("avx512", 0));
    assert_null(hwi_kernels_pick("avx512", HWI_CPU_AVX2));
    assert_string_equal(hwi_kernels_pick("scalar", 0)->name, "scalar");
    assert_string_equal(hwi_kernels_pick(NULL, 0)->name, "scalar");
}

static void
pick_prefers_the_widest_table(void **state)
{
    (void)state;
#if defined(__x86_64__)
    assert_string_equal(hwi_kernels_pick(NULL, HWI_CPU_AVX2)->name, "avx2");
    assert_string_equal(hwi_kernels_pick(NULL, HWI_CPU_AVX2 | HWI_CPU_AVX512)->name, "avx512");
    assert_string_equal(hwi_kernels_pick("avx2", HWI_CPU_AVX2 | HWI_CPU_AVX512)->name, "avx2");
#elif defined(__aarch64__)
    assert_string_equal(hwi_kernels_pick(NULL, HWI_CPU_NEON)->name, "neon");
#endif
}

/* The choice is made once in a process, so each value is tried in a new one: this program again,
 * which then does nothing but compare (see main). */
static void
environment_chooses(const char *value, const char *expected)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setenv("HASHWOOD_KERNELS", value, 1) == 0)
            execl("/proc/self/exe", "test_kernel", "--active", expected, (char *)NULL);
        _exit(2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int
compare_active(const char *expected)
{
    const hwi_kernels *k = hwi_kernels_active();
    bool right = strcmp(k ? k->name : "none", expected) == 0;
    return right && hwi_kernels_active() == k ? 0 : 1;
}

static void
environment_variable_chooses_the_table(void **state)
{
    (void)state;
    environment_chooses("scalar", "scalar");
    environment_chooses("", hwi_kernels_pick(NULL, hwi_cpu_features())->name);
    environment_chooses("sclaar", "none");
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--active") == 0) return compare_active(argv[2]);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_equal_scalar_at_every_length_and_alignment),
        cmocka_unit_test(scalar_distances_are_the_textbook_sums),
        cmocka_unit_test(matvec_equals_scalar_at_every_width),
        cmocka_unit_test(matvec_multiplies_by_the_matrix),
        cmocka_unit_test(fht_equals_scalar_at_every_size),
        cmocka_unit_test(fht_of_a_unit_vector_is_a_row_of_the_hadamard_matrix),
        cmocka_unit_test(products_equal_scalar_for_every_shape),
        cmocka_unit_test(product_of_a_row_equals_the_matrix_times_the_vector),
        cmocka_unit_test(pick_refuses_unknown_names_and_missing_instructions),
        cmocka_unit_test(pick_prefers_the_widest_table),
        cmocka_unit_test(environment_variable_chooses_the_table),
    };
    return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
