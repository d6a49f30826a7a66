#include "support/hwt_kernel.h"

#include "support/hwt.h"

static const char *const names[] = {"scalar", "avx2", "avx512", "neon"};

void
hwt_for_each_table(void (*test)(const hwi_kernels *scalar, const hwi_kernels *k))
{
    for (size_t i = 0; i < HWI_COUNT(names); i++) {
        const hwi_kernels *k = hwi_kernels_pick(names[i], hwi_cpu_features());
        if (!k) continue;
        print_message("         %s\n", k->name);
        test(&hwi_kernels_scalar, k);
    }
}

float
hwt_random_float(hwi_rng *rng)
{
    return (float)hwi_rng_normal(rng);
}

void
hwt_fill_floats(hwi_rng *rng, void *at, size_t count)
{
    for (size_t i = 0; i < count; i++) hwi_put_f32((char *)at + 4 * i, hwt_random_float(rng));
}

void
hwt_fill_bytes(hwi_rng *rng, void *at, size_t count)
{
    uint8_t *p = at;
    for (size_t i = 0; i < count; i++) p[i] = (uint8_t)hwi_rng_next(rng);
}

void
hwt_assert_floats_equal(const float *expected, const float *got, size_t count, const char *what,
                        size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (!(expected[i] == got[i]))
            fail_msg("%s, length %zu, element %zu: expected %.9g, got %.9g", what, length, i,
                     (double)expected[i], (double)got[i]);
}
