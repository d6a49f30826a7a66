/* rows.h - vectors from a fixed seed, for the C benchmarks of databases. */
#ifndef HASHWOOD_BENCH_ROWS_H
#define HASHWOOD_BENCH_ROWS_H

#include "common.h"

#include "base/base.h"

#define ROWS_GROUPS 500u
#define ROWS_LATENTS 32u

/* ROWS_LATENTS directions that all rows share; freed by hwi_free. */
static inline float *
rows_basis(uint32_t dim)
{
    float *basis = hwi_alloc((size_t)ROWS_LATENTS * dim * sizeof *basis);
    hwi_rng rng;

    if (!basis) exit(1);
    hwi_rng_init(&rng, 5);
    for (size_t i = 0; i < (size_t)ROWS_LATENTS * dim; i++) basis[i] = (float)hwi_rng_normal(&rng);
    return basis;
}

/* Row i: its group's centre, a step along the shared directions, noise. */
static inline void
rows_make(const float *basis, uint32_t dim, uint64_t i, float *x)
{
    hwi_rng rng, group;

    hwi_rng_init(&rng, 77 + i);
    hwi_rng_init(&group, 1 + hwi_rng_below(&rng, ROWS_GROUPS));
    memset(x, 0, dim * sizeof *x);
    for (uint32_t l = 0; l < ROWS_LATENTS; l++) {
        float w = (float)(hwi_rng_normal(&group) + 0.5 * hwi_rng_normal(&rng));
        for (uint32_t j = 0; j < dim; j++) x[j] += w * basis[l * dim + j];
    }
    for (uint32_t j = 0; j < dim; j++) x[j] += 0.2f * (float)hwi_rng_unit(&rng);
}

#endif
