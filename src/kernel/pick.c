/* pick.c - what this processor can do, and which table follows from it.
 *
 * An instruction set counts only when the processor has it and the operating system saves its
 * registers (XCR0), so both are asked. We ask cpuid ourselves: the compilers' builtins differ in
 * the names they know. */
#include "kernel.h"

#include <pthread.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Best first, scalar last. */
static const hwi_kernels *const candidates[] = {
#if defined(__x86_64__)
    &hwi_kernels_avx512,
    &hwi_kernels_avx2,
#elif defined(__aarch64__)
    &hwi_kernels_neon,
#endif
    &hwi_kernels_scalar,
};

#if defined(__x86_64__)

#define BIT(n) (1u << (n))
enum {
    LEAF1_ECX_AVX2 = BIT(12) | BIT(28) | BIT(29),      /* FMA, AVX, F16C */
    LEAF7_EBX_AVX2 = BIT(5) | BIT(8),                  /* AVX2, BMI2 */
    LEAF7_EBX_AVX512 = BIT(16) | BIT(17) | BIT(30),    /* F, DQ, BW; VL is bit 31 */
    LEAF7_ECX_AVX512 = BIT(1) | BIT(11),               /* VBMI, VNNI */
    XCR0_AVX = BIT(1) | BIT(2),                        /* SSE and AVX registers */
    XCR0_AVX512 = XCR0_AVX | BIT(5) | BIT(6) | BIT(7), /* masks and both parts of ZMM */
};

static uint32_t
saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool
has(uint32_t value, uint32_t bits)
{
    return (value & bits) == bits;
}

uint32_t
hwi_cpu_features(void)
{
    uint32_t a, b, c, d, leaf1_c, features = 0;

    if (!__get_cpuid(1, &a, &b, &leaf1_c, &d) || !has(leaf1_c, BIT(27))) return 0; /* OSXSAVE */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;

    uint32_t saved = saved_registers();
    if (!has(leaf1_c, LEAF1_ECX_AVX2) || !has(b, LEAF7_EBX_AVX2) || !has(saved, XCR0_AVX)) return 0;
    features |= HWI_CPU_AVX2;
    if (has(b, (uint32_t)LEAF7_EBX_AVX512 | BIT(31)) && has(c, LEAF7_ECX_AVX512) &&
        has(saved, XCR0_AVX512))
        features |= HWI_CPU_AVX512;
    return features;
}

#elif defined(__aarch64__)

uint32_t
hwi_cpu_features(void)
{
    return HWI_CPU_NEON; /* part of the base instruction set */
}

#else

uint32_t
hwi_cpu_features(void)
{
    return 0;
}

#endif

const hwi_kernels *
hwi_kernels_pick(const char *wanted, uint32_t cpu)
{
    for (size_t i = 0; i < HWI_COUNT(candidates); i++) {
        const hwi_kernels *k = candidates[i];
        bool runs_here = (k->needs & ~cpu) == 0;
        if (runs_here && (!wanted || strcmp(wanted, k->name) == 0)) return k;
    }
    return NULL;
}

static const hwi_kernels *active;

static void
pick_active(void)
{
    const char *wanted = getenv("HASHWOOD_KERNELS");
    active = hwi_kernels_pick(wanted && *wanted ? wanted : NULL, hwi_cpu_features());
}

const hwi_kernels *
hwi_kernels_active(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, pick_active);
    return active;
}
