/* make_data.c - sets of vectors for benchmarks, from a fixed seed.
 *
 *     make_data clustered|manifold ROWS DIM OUT.npy [FIRST_ROW]
 *
 * clustered: 2,000 clusters; each has a centre, 24 to 32 directions of its own with falling
 *            weights, and noise in all directions. What partitions like.
 * manifold:  24 normal latents through a fixed random network of two layers (tanh), plus noise: no
 *            clusters. What graphs like.
 *
 * All vectors have unit length. Row i depends on the seed and i alone, so queries are the rows
 * behind the base: FIRST_ROW = ROWS of the base. */
#include "base/base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SEED 20240607u
#define CLUSTERS 2000u
#define RANK_LEAST 24u
#define RANK_MOST 32u
#define SPREAD 0.5f
#define NOISE 0.04f
#define LATENTS 24u
#define HIDDEN 128u

static float
normal(hwi_rng *rng)
{
    return (float)hwi_rng_normal(rng);
}

static float *
normals(uint64_t stream, size_t count, float scale)
{
    hwi_rng rng;
    float *v = hwi_alloc(count * sizeof *v);

    hwi_rng_init(&rng, SEED + stream * 0x9E3779B97F4A7C15u);
    for (size_t i = 0; v && i < count; i++) v[i] = scale * normal(&rng);
    return v;
}

/* x += sum of weight[i] * line i. */
static void
add_lines(const float *lines, const float *weight, size_t count, size_t dim, float *x)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++) x[j] += weight[i] * lines[i * dim + j];
}

/* ---- the two kinds ---- */

typedef struct maker {
    size_t dim;
    float *centres, *directions;   /* clustered: RANK_MOST directions a cluster */
    float *first, *second, *third; /* manifold: latents x hidden, hidden x hidden, hidden x dim */
} maker;

static void
clustered_row(const maker *m, hwi_rng *rng, float *x)
{
    size_t cluster = hwi_rng_below(rng, CLUSTERS);
    size_t rank = RANK_LEAST + cluster % (RANK_MOST - RANK_LEAST + 1);
    float weight[RANK_MOST];

    memcpy(x, m->centres + cluster * m->dim, m->dim * sizeof *x);
    for (size_t i = 0; i < rank; i++)
        weight[i] = SPREAD * normal(rng) / sqrtf(1 + 0.25f * (float)i);
    add_lines(m->directions + cluster * RANK_MOST * m->dim, weight, rank, m->dim, x);
    for (size_t j = 0; j < m->dim; j++) x[j] += NOISE * normal(rng);
}

static void
manifold_row(const maker *m, hwi_rng *rng, float *x)
{
    float latent[LATENTS], a[HIDDEN] = {0}, b[HIDDEN] = {0};

    for (size_t i = 0; i < LATENTS; i++) latent[i] = normal(rng);
    add_lines(m->first, latent, LATENTS, HIDDEN, a);
    for (size_t i = 0; i < HIDDEN; i++) a[i] = tanhf(a[i]);
    add_lines(m->second, a, HIDDEN, HIDDEN, b);
    for (size_t i = 0; i < HIDDEN; i++) b[i] = tanhf(b[i]);
    memset(x, 0, m->dim * sizeof *x);
    add_lines(m->third, b, HIDDEN, m->dim, x);
    for (size_t j = 0; j < m->dim; j++) x[j] += NOISE * normal(rng);
}

static bool
maker_init(maker *m, bool clustered, size_t dim)
{
    float scale = 1 / sqrtf((float)dim);

    *m = (maker){.dim = dim};
    if (clustered) {
        m->centres = normals(1, CLUSTERS * dim, scale);
        m->directions = normals(2, (size_t)CLUSTERS * RANK_MOST * dim, scale);
        return m->centres && m->directions;
    }
    m->first = normals(3, (size_t)LATENTS * HIDDEN, 1 / sqrtf(LATENTS));
    m->second = normals(4, (size_t)HIDDEN * HIDDEN, 2 / sqrtf(HIDDEN));
    m->third = normals(5, HIDDEN * dim, 1 / sqrtf(HIDDEN));
    return m->first && m->second && m->third;
}

/* ---- writing ---- */

static void
write_header(FILE *out, uint64_t rows, size_t dim)
{
    char text[119];
    int used = snprintf(text, sizeof text,
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %zu), }",
                        (unsigned long long)rows, dim);

    memset(text + used, ' ', sizeof text - 1 - (size_t)used);
    text[117] = '\n'; /* the header ends at byte 128 */
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, out);
    fwrite(text, 1, 118, out);
}

static bool
write_rows(FILE *out, const maker *m, bool clustered, uint64_t first, uint64_t rows)
{
    float *x = hwi_alloc(m->dim * sizeof *x);

    for (uint64_t i = first; x && i < first + rows; i++) {
        hwi_rng rng;
        double sum = 0;
        hwi_rng_init(&rng, SEED ^ (i + 1) * 0xD1342543DE82EF95u);
        (clustered ? clustered_row : manifold_row)(m, &rng, x);
        for (size_t j = 0; j < m->dim; j++) sum += (double)x[j] * x[j];
        for (size_t j = 0; j < m->dim; j++) x[j] = (float)(x[j] / sqrt(sum));
        fwrite(x, sizeof *x, m->dim, out);
    }
    hwi_free(x);
    return x && fflush(out) == 0 && !ferror(out);
}

int
main(int argc, char **argv)
{
    maker m = {0};
    bool clustered = argc > 1 && strcmp(argv[1], "clustered") == 0;

    if (argc < 5 || argc > 6 || (!clustered && strcmp(argv[1], "manifold") != 0)) {
        fprintf(stderr, "usage: make_data clustered|manifold ROWS DIM OUT.npy [FIRST_ROW]\n");
        return 2;
    }
    uint64_t rows = strtoull(argv[2], NULL, 10);
    size_t dim = strtoul(argv[3], NULL, 10);
    FILE *out = fopen(argv[4], "wb");
    bool ok = out && dim > 0 && maker_init(&m, clustered, dim);
    if (ok) {
        write_header(out, rows, dim);
        ok = write_rows(out, &m, clustered, argc == 6 ? strtoull(argv[5], NULL, 10) : 0, rows);
    }
    if (out && fclose(out) != 0) ok = false;
    hwi_free(m.centres), hwi_free(m.directions);
    hwi_free(m.first), hwi_free(m.second), hwi_free(m.third);
    if (!ok) fprintf(stderr, "make_data: cannot make or write %s\n", argv[4]);
    return ok ? 0 : 1;
}
