/* rounded.c - rounding to bytes, and the nearest of many vectors by way of them.
 *
 * Blocks of vectors are taken as many at a time as stay in the processor's caches while all rows pass.
 * Scores of a row come out with the least of them; those that rounding could have kept from being it are
 * measured. On anchors of leaves that is one or a few of a thousand. */
#include "index/rounded.h"

#include <math.h>

#define BLOCKS_BYTES (1u << 19) /* a quarter of a 2 MB L2: read again for every tile of rows */
#define TILE 12u                /* rows whose scores are kept at a time */

hwi_rounded_row
hwi_round_row(const float *x, size_t dim, size_t rank_dims, uint8_t *bytes, float *scratch)
{
    const hwi_kernels *k = hwi_kernels_active();
    int8_t *codes = (int8_t *)bytes;
    hwi_rounded_row row;
    float error;

    hwi_quantize_i8(x, dim, rank_dims, codes, &row.scale);
    for (size_t j = 0; j < dim; j++) scratch[j] = row.scale * (float)codes[j];
    hwi_shift_i8(codes, rank_dims, bytes);
    k->dot_rows(x, x, 0, 1, dim, &row.squares);
    k->l2sq_rows(x, scratch, 0, 1, dim, &error);
    row.length = sqrtf(row.squares) * (1 + (float)(dim + 32) * HWI_FLOAT_STEP);
    row.error =
        sqrtf(error) * (1 + (float)(dim + 32) * HWI_FLOAT_STEP) + row.length * HWI_FLOAT_STEP;
    return row;
}

/* One vector into its lane of a block. */
static void
add_vector(hwi_rounded *r, size_t i, const float *vector, uint8_t *bytes, float *scratch)
{
    hwi_rounded_row row = hwi_round_row(vector, r->dim, r->rank_dims, bytes, scratch);
    int8_t *block = r->blocks + i / HWI_LANES * HWI_LANES * r->rank_dims + i % HWI_LANES * 4;
    int32_t sum = 0;

    for (size_t j = 0; j < r->rank_dims; j++) {
        int8_t code = (int8_t)(bytes[j] ^ 128);
        block[j / 4 * 64 + j % 4] = code;
        sum += code;
    }
    r->scale[i] = row.scale, r->code_sum[i] = (float)sum, r->squares[i] = row.squares;
    r->longest = HWI_MAX(r->longest, row.length);
    r->error = HWI_MAX(r->error, row.error);
}

bool
hwi_rounded_init(hwi_rounded *r, const float *vectors, size_t count, size_t dim)
{
    size_t blocks = (count + HWI_LANES - 1) / HWI_LANES, lanes = blocks * HWI_LANES;
    float *scratch = hwi_alloc(dim * sizeof *scratch);

    *r = (hwi_rounded){.count = count, .dim = dim, .rank_dims = (dim + 7) / 8 * 8};
    r->block_count = blocks;
    uint8_t *bytes = hwi_alloc(r->rank_dims);
    r->blocks = hwi_alloc_aligned(hwi_size_mul(lanes, r->rank_dims));
    r->scale = hwi_alloc_zero(hwi_size_mul(lanes, 4 * sizeof *r->scale));
    bool ok = scratch && bytes && r->blocks && r->scale;
    if (ok) {
        r->code_sum = r->scale + lanes, r->norm = r->code_sum + lanes;
        r->squares = r->norm + lanes;
        memset(r->blocks, 0, lanes * r->rank_dims);
        for (size_t i = 0; i < lanes; i++) r->norm[i] = INFINITY;
        for (size_t i = 0; i < count; i++) add_vector(r, i, vectors + i * dim, bytes, scratch);
    }
    hwi_free(scratch);
    hwi_free(bytes);
    if (!ok) hwi_rounded_release(r);
    return ok;
}

void
hwi_rounded_release(hwi_rounded *r)
{
    hwi_free(r->blocks);
    hwi_free(r->scale);
    *r = (hwi_rounded){0};
}

float
hwi_rounded_slack(const hwi_rounded *r, const hwi_rounded_row *row)
{
    float rounding = row->error * r->longest + (row->length + row->error) * r->error;
    float arithmetic = (float)(r->dim + 32) * HWI_FLOAT_STEP * row->length * r->longest;

    return 2 * (rounding + arithmetic) * 1.0001f;
}

/* ---- the nearest ---- */

/* A row and the best vector so far. */
typedef struct seeker {
    const float *row;
    float slack; /* what a score of bytes may be off by */
    float score; /* of the best, at full precision */
    uint32_t at;
} seeker;

typedef struct seeking {
    const hwi_rounded *r;
    const float *vectors;
    size_t together; /* blocks at a time */
    seeker *seekers;
    uint8_t *bytes;
    float *scale, *least, *scores, *value, *scratch; /* scores: those of a tile */
    uint32_t *index;
} seeking;

static bool
seeking_init(seeking *s, size_t rows)
{
    const hwi_rounded *r = s->r;
    size_t most = BLOCKS_BYTES / (HWI_LANES * HWI_MAX(r->rank_dims, (size_t)8)) + 1;

    s->together = HWI_MIN(most, HWI_MAX(r->block_count, (size_t)1));
    size_t lanes = s->together * HWI_LANES;
    size_t floats = 2 * rows + (size_t)TILE * lanes + 2 * (lanes + 32) + r->dim;
    s->seekers = hwi_alloc(hwi_size_mul(rows, sizeof *s->seekers));
    s->bytes = hwi_alloc(hwi_size_mul(rows, r->rank_dims));
    s->scores = hwi_alloc_aligned(hwi_size_mul(floats, sizeof *s->scores));
    if (!s->seekers || !s->bytes || !s->scores) return false;
    s->value = s->scores + (size_t)TILE * lanes;
    s->index = (uint32_t *)(s->value + lanes + 32);
    s->scale = (float *)(s->index + lanes + 32), s->least = s->scale + rows;
    s->scratch = s->least + rows;
    return true;
}

static void
seeking_release(seeking *s)
{
    hwi_free(s->seekers);
    hwi_free(s->bytes);
    hwi_free(s->scores);
}

/* What adding norms may add to the error of scores. */
static float
norm_slack(const hwi_rounded *r)
{
    float most = 0;

    for (size_t k = 0; k < r->count; k++)
        if (r->norm[k] < INFINITY) most = HWI_MAX(most, fabsf(r->norm[k]));
    return 4 * HWI_FLOAT_STEP * most;
}

static void
prepare(seeking *s, const float *a, size_t stride, size_t rows)
{
    const hwi_rounded *r = s->r;
    float norms = norm_slack(r);

    for (size_t i = 0; i < rows; i++) {
        const float *x = a + i * stride;
        hwi_rounded_row row =
            hwi_round_row(x, r->dim, r->rank_dims, s->bytes + i * r->rank_dims, s->scratch);
        float slack = hwi_rounded_slack(r, &row) + norms;
        s->seekers[i] = (seeker){x, slack, INFINITY, UINT32_MAX};
        s->scale[i] = row.scale, s->least[i] = INFINITY;
    }
}

static void
measure(const seeking *s, seeker *k, size_t at)
{
    const hwi_rounded *r = s->r;
    float product;

    if (r->norm[at] == INFINITY) return;
    hwi_kernels_active()->dot_rows(k->row, s->vectors + at * r->dim, 0, 1, r->dim, &product);
    float score = r->norm[at] - 2 * product;
    if (k->at == UINT32_MAX || score < k->score || (score == k->score && at < k->at))
        k->score = score, k->at = (uint32_t)at;
}

/* Measures the vectors of a stretch that come into question for a row: first what bytes say is the
 * nearest, as its score tells how few of the others still do. */
static void
settle(const seeking *s, seeker *k, const float *scores, float least, size_t first, size_t count)
{
    float cut = HWI_MIN(least + 2 * k->slack, k->score + k->slack);
    size_t best = 0, found;

    found = hwi_kernels_active()->select_le(scores, count, cut, s->index, s->value);
    for (size_t i = 1; i < found; i++)
        if (s->value[i] < s->value[best]) best = i;
    if (found) measure(s, k, first + s->index[best]);
    for (size_t i = 0; i < found; i++)
        if (i != best && !(s->value[i] > k->score + k->slack)) measure(s, k, first + s->index[i]);
}

/* All rows with the blocks of a stretch. */
static void
seek(const seeking *s, size_t rows, size_t first_block, size_t blocks)
{
    const hwi_rounded *r = s->r;
    size_t first = first_block * HWI_LANES, lanes = blocks * HWI_LANES;

    for (size_t i = 0; i < rows; i += TILE) {
        size_t count = HWI_MIN(rows - i, (size_t)TILE);
        hwi_kernels_active()->rank_rows(s->bytes + i * r->rank_dims, r->rank_dims, s->scale + i,
                                        count, r->blocks + first * r->rank_dims, r->scale + first,
                                        r->norm + first, r->code_sum + first, blocks, r->rank_dims,
                                        s->scores, lanes, s->least + i);
        for (size_t t = 0; t < count; t++)
            settle(s, &s->seekers[i + t], s->scores + t * lanes, s->least[i + t], first, lanes);
    }
}

bool
hwi_rounded_nearest(const hwi_rounded *r, const float *vectors, const float *a, size_t stride,
                    size_t rows, uint32_t *index)
{
    seeking s = {.r = r, .vectors = vectors};
    bool ok = seeking_init(&s, rows);

    if (ok) {
        prepare(&s, a, stride, rows);
        for (size_t b = 0; b < r->block_count; b += s.together)
            seek(&s, rows, b, HWI_MIN(r->block_count - b, s.together));
        for (size_t i = 0; i < rows; i++) index[i] = s.seekers[i].at;
    }
    seeking_release(&s);
    return ok;
}
