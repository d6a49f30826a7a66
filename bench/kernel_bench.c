/* kernel_bench.c - what each inner loop costs: nanoseconds per row or code, for every table that
 * runs here, with data in the second-level cache and in memory.
 *
 *     kernel_bench [table...]
 *
 * Beside each figure stands the rate at which bytes were consumed, to be compared with `largest`,
 * the first line of each table, which does little more than read: a kernel near it is bound by the
 * cache or the memory and needs no better code. Figures are processor time, the best of several
 * rounds, since other processes can only slow a round. */
#include "common.h"

#include "kernel/kernel.h"

#define CACHED_BYTES ((size_t)768 << 10) /* fits the second level of common processors */
#define MEMORY_BYTES ((size_t)512 << 20) /* fits no level but the largest third ones */
#define ROUNDS 7

typedef struct bench_data {
    const hwi_kernels *k;
    uint8_t *bytes; /* MEMORY_BYTES */
    float *query, *out;
    float *scale, *norm, *code_sum;
    hwi_scan_query *scan_query;
    uint32_t *row;
    const float **rows;
    const uint8_t **codes;
} bench_data;

/* One case: works once through `count` rows; returns bytes read. */
typedef size_t (*bench_body)(bench_data *d, size_t count, size_t size);

static double
best_seconds(bench_data *d, bench_body body, size_t count, size_t size, size_t repeats,
             size_t *bytes)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double from = cpu_seconds();
        for (size_t i = 0; i < repeats; i++) *bytes = body(d, count, size);
        double took = (cpu_seconds() - from) / (double)repeats;
        best = HWI_MIN(best, took);
    }
    return best;
}

static void
report(bench_data *d, const char *what, size_t size, size_t row_bytes, bench_body body)
{
    const size_t places[] = {CACHED_BYTES, MEMORY_BYTES};
    printf("%-8s %-14s %5zu", d->k->name, what, size);
    for (size_t i = 0; i < HWI_COUNT(places); i++) {
        size_t count = places[i] / row_bytes / 64 * 64, bytes;
        size_t repeats = places[i] == CACHED_BYTES ? 8 : 1;
        double took = best_seconds(d, body, count, size, repeats, &bytes);
        printf("   %9.3f ns %7.1f GB/s", took / (double)count * 1e9, (double)bytes / took * 1e-9);
    }
    printf("\n");
    fflush(stdout);
}

/* ---- the cases ---- */

static size_t
body_l2sq(bench_data *d, size_t count, size_t dims)
{
    for (size_t i = 0; i < count; i += 64)
        d->k->l2sq_rows(d->query, d->bytes + i * dims * 4, dims * 4, 64, dims, d->out);
    return count * dims * 4;
}

static size_t
body_dot(bench_data *d, size_t count, size_t dims)
{
    for (size_t i = 0; i < count; i += 64)
        d->k->dot_rows(d->query, d->bytes + i * dims * 4, dims * 4, 64, dims, d->out);
    return count * dims * 4;
}

static size_t
body_l1(bench_data *d, size_t count, size_t dims)
{
    for (size_t i = 0; i < count; i += 64)
        d->k->l1_rows(d->query, d->bytes + i * dims * 4, dims * 4, 64, dims, d->out);
    return count * dims * 4;
}

/* Rows 0, 7919, 2 * 7919, ... modulo count: no order the prefetcher would know. */
static size_t
scattered(size_t i, size_t count)
{
    return i * 7919 % count;
}

static size_t
body_gather(bench_data *d, size_t count, size_t dims)
{
    for (size_t i = 0; i < count; i += 16) {
        for (size_t r = 0; r < 16; r++)
            d->rows[r] = (const void *)(d->bytes + scattered(i + r, count) * dims * 4);
        d->k->l2sq_gather(d->query, d->rows, 16, dims, d->out);
    }
    return count * dims * 4;
}

static size_t
body_codes(bench_data *d, size_t count, size_t dims)
{
    int32_t out[16];
    for (size_t i = 0; i < count; i += 16) {
        for (size_t r = 0; r < 16; r++) d->codes[r] = d->bytes + scattered(i + r, count) * dims;
        d->k->dot_codes((const int8_t *)d->query, d->codes, 16, dims, out);
    }
    return count * dims;
}

/* Bytes of a row of `dims` codes of four bits (hwi_leaf_code_bytes). */
static size_t
nibble_bytes(size_t dims)
{
    return (dims + 31) / 32 * 16;
}

static size_t
body_nibbles(bench_data *d, size_t count, size_t dims)
{
    size_t half = nibble_bytes(dims);
    int32_t out[16];
    for (size_t i = 0; i < count; i += 16) {
        for (size_t r = 0; r < 16; r++) d->codes[r] = d->bytes + scattered(i + r, count) * half;
        d->k->dot_nibbles((const int8_t *)d->query, d->codes, 16, half, out);
    }
    return count * half;
}

static size_t
body_rank(bench_data *d, size_t count, size_t dims)
{
    for (size_t i = 0; i < count; i += 1024) {
        size_t blocks = HWI_MIN(count - i, 1024) / 16;
        d->k->rank_blocks((const uint8_t *)d->query, 0.1f, (const int8_t *)d->bytes + i * dims,
                          d->scale, d->norm, d->code_sum, blocks, dims, d->out);
    }
    return count * dims;
}

/* A leaf of some 256 rows a call; one row in 1,000 is kept. */
static size_t
body_scan(bench_data *d, size_t count, size_t bits)
{
    size_t words = bits / 32, block_bytes = HWI_SIGNATURE_BLOCK_BYTES(words);
    for (size_t b = 0; b < count / 16; b += 16)
        (void)d->k->scan(d->bytes + b * block_bytes, HWI_MIN(count / 16 - b, 16), words,
                         d->scan_query, 0.1f, 0.0f, 0.001f, 0, d->row, d->out);
    return count / 16 * block_bytes;
}

static size_t
body_select(bench_data *d, size_t count, size_t unused)
{
    (void)unused;
    for (size_t i = 0; i < count; i += 1024)
        (void)d->k->select_le((const float *)(void *)d->bytes + i, HWI_MIN(count - i, 1024), -0.25f,
                              d->row, d->out);
    return count * 4;
}

static size_t
body_largest(bench_data *d, size_t count, size_t dims)
{
    for (size_t i = 0; i < count; i++)
        d->out[0] = d->k->largest((const float *)(void *)(d->bytes + i * dims * 4), dims);
    return count * dims * 4;
}

static size_t
body_matvec(bench_data *d, size_t count, size_t dims)
{
    size_t out_dims = HWI_MIN((dims + 15) / 16 * 16, 256);
    for (size_t i = 0; i < count; i++)
        d->k->matvec_columns((const float *)(void *)d->bytes, out_dims, d->query, dims, d->out);
    return count * dims * out_dims * 4;
}

static size_t
body_fht(bench_data *d, size_t count, size_t m)
{
    for (size_t i = 0; i < count; i++) d->k->fht(d->out, m);
    return count * m * 4;
}

static size_t
body_quantize_scan(bench_data *d, size_t count, size_t m)
{
    float scale;
    for (size_t i = 0; i < count; i++) (void)hwi_quantize_scan(d->query, m, d->scan_query, &scale);
    return count * m * 4;
}

static size_t
body_quantize_i8(bench_data *d, size_t count, size_t dims)
{
    float scale;
    for (size_t i = 0; i < count; i++)
        (void)hwi_quantize_i8(d->query, dims, dims, (int8_t *)d->out, &scale);
    return count * dims * 4;
}

/* 240 rows with 256 vectors. */
static size_t
body_product(bench_data *d, size_t count, size_t dims)
{
    const float *floats = (const void *)d->bytes, *panels = floats + 240 * dims;
    float *out = (void *)(d->bytes + MEMORY_BYTES / 2);
    for (size_t i = 0; i < count; i++)
        d->k->product(floats, dims, 240, panels, 256, dims, out, 256);
    return count * 240 * 256 * dims * 4;
}

static size_t
body_rank_rows(bench_data *d, size_t count, size_t dims)
{
    const int8_t *blocks = (const int8_t *)d->bytes + 240 * dims;
    float *out = (void *)(d->bytes + MEMORY_BYTES / 2);
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < 240; r += 12)
            d->k->rank_rows(d->bytes + r * dims, dims, d->query, 12, blocks, d->scale, d->norm,
                            d->code_sum, 16, dims, out, 256, d->out);
    return count * 240 * 256 * dims;
}

/* ---- the data ---- */

static void
fill_floats(bench_data *d)
{
    hwi_rng rng;
    hwi_rng_init(&rng, 1);
    for (size_t i = 0; i < 4096; i++) d->query[i] = (float)hwi_rng_normal(&rng);
    /* sign and exponent vary, no NaN or denormal comes up */
    for (size_t i = 0; i < MEMORY_BYTES; i += 8)
        hwi_put_u64(d->bytes + i, (hwi_rng_next(&rng) & 0xBFFFFFFFBFFFFFFFu) | 0x3000000030000000u);
}

/* A in 1 .. 2 and S near 0, so that the cut 0.001 keeps about one row in a thousand. */
static void
fill_factors(bench_data *d, size_t words)
{
    size_t block_bytes = HWI_SIGNATURE_BLOCK_BYTES(words), row = 0;
    for (size_t at = 0; at + block_bytes <= MEMORY_BYTES; at += block_bytes)
        for (size_t lane = 0; lane < 16; lane++, row++) {
            hwi_put_f32(d->bytes + at + words * 64 + lane * 4, row % 1000 ? 1.5f : 0.0f);
            hwi_put_f32(d->bytes + at + words * 64 + 64 + lane * 4, 1e-6f);
        }
}

static bool
make(bench_data *d)
{
    d->bytes = hwi_alloc_aligned(MEMORY_BYTES);
    d->query = hwi_alloc_aligned(4096 * 4);
    d->out = hwi_alloc_aligned(65536);
    d->scale = hwi_alloc_zero(4 * 1024 * 4);
    d->scan_query = hwi_alloc_aligned(sizeof *d->scan_query);
    d->row = hwi_alloc(65536);
    d->rows = hwi_alloc(64 * sizeof *d->rows);
    d->codes = hwi_alloc(64 * sizeof *d->codes);
    if (!d->bytes || !d->query || !d->out || !d->scale || !d->scan_query || !d->row || !d->rows ||
        !d->codes)
        return false;
    d->norm = d->scale + 1024, d->code_sum = d->scale + 2048;
    memset(d->out, 0, 65536);
    fill_floats(d);
    return true;
}

static void
run_table(bench_data *d)
{
    const size_t dims[] = {100, 128, 784}, bits[] = {64, 128, 256, 512, 1024};
    report(d, "largest", 1024, 4096, body_largest);
    for (size_t i = 0; i < HWI_COUNT(dims); i++) {
        report(d, "l2sq_rows", dims[i], dims[i] * 4, body_l2sq);
        report(d, "dot_rows", dims[i], dims[i] * 4, body_dot);
        report(d, "l1_rows", dims[i], dims[i] * 4, body_l1);
        report(d, "l2sq_gather", dims[i], dims[i] * 4, body_gather);
        report(d, "dot_codes", dims[i] / 16 * 16, dims[i] / 16 * 16, body_codes);
        report(d, "dot_nibbles", dims[i], nibble_bytes(dims[i]), body_nibbles);
        report(d, "rank_blocks", dims[i] / 8 * 8, dims[i] / 8 * 8, body_rank);
    }
    report(d, "select_le", 1024, 4, body_select);
    for (size_t i = 0; i < HWI_COUNT(bits); i++) {
        fill_factors(d, bits[i] / 32);
        report(d, "scan", bits[i], HWI_SIGNATURE_BLOCK_BYTES(bits[i] / 32) / 16, body_scan);
    }
    fill_floats(d);
}

/* Per query rather than per row: the data is the query itself, so one column of figures. */
static void
run_per_query(bench_data *d)
{
    static const struct {
        const char *name;
        size_t size;
        bench_body body;
    } cases[] = {
        {"matvec_columns", 128, body_matvec},
        {"matvec_columns", 784, body_matvec},
        {"fht", 128, body_fht},
        {"fht", 256, body_fht},
        {"fht", 1024, body_fht},
        {"quantize_scan", 128, body_quantize_scan},
        {"quantize_scan", 256, body_quantize_scan},
        {"quantize_i8", 784, body_quantize_i8},
        {"product", 128, body_product},
        {"product", 784, body_product},
        {"rank_rows", 128, body_rank_rows},
        {"rank_rows", 784, body_rank_rows},
    };
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        size_t bytes;
        bool many = cases[i].body == body_product || cases[i].body == body_rank_rows;
        size_t rounds = many ? 2 : 100, each = many ? 240 * 256 : 1;
        double took = best_seconds(d, cases[i].body, rounds, cases[i].size, many ? 1 : 20, &bytes);
        printf("%-8s %-14s %5zu   %9.2f ns a %s\n", d->k->name, cases[i].name, cases[i].size,
               took * 1e9 / (double)(rounds * each), many ? "pair" : "query");
        memset(d->out, 0, 65536);
    }
}

int
main(int argc, char **argv)
{
    static const char *const every[] = {"avx512", "avx2", "neon", "scalar"};
    bench_data d = {0};

    if (!make(&d)) {
        fprintf(stderr, "kernel_bench: out of memory\n");
        return 1;
    }
    for (size_t i = 0; i < HWI_COUNT(every); i++) {
        bool asked = argc < 2;
        for (int a = 1; a < argc; a++) asked = asked || strcmp(argv[a], every[i]) == 0;
        d.k = hwi_kernels_pick(every[i], hwi_cpu_features());
        if (!asked || !d.k) continue;
        run_table(&d);
        run_per_query(&d);
    }
    return 0;
}
