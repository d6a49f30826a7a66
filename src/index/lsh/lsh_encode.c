/* lsh_encode.c - one vector to its signature and refine code, relative to its leaf's centre.
 *
 * Signature: hash the residual r on its leading axes to z, keep the signs as v = +-1/2. Since z
 * keeps r's length, <v, z> = sum |z_j| / 2 is known, and <r, q> is estimated by |r|^2 / <v, z> *
 * <v, z(q)>: exact for q = r, unbiased otherwise, with an error that falls with the square root of
 * the number of bits (RaBitQ, theorem 3.2).
 *
 * Refine code: r rounded to 15 levels of a step of its own, the best of a few: steps that cut the
 * largest components off leave the others a smaller error. As with the signature the code v is scaled
 * such that <r, q> comes out exactly for q = r: |r|^2 / <v, r>. Its error is about a tenth of |r|, spread
 * over all dimensions, so a hundredth in any one direction at 128 of them. Generations before model
 * format 3 have 255 levels of r's largest component, twice the bytes and an error no answer needs:
 * candidates are measured at full precision anyway (docs/decisions/pages.md).
 */
#include <math.h>

#include "index/lsh/page.h"

static float
dot(const hwi_model *m, const float *a, const float *b, uint32_t n)
{
    float sum;

    m->kernels->dot_rows(a, b, 0, 1, n, &sum);
    return sum;
}

static void
sign_code(const hwi_model *m, const hwi_centre *centre, const float *y, float *scratch,
          hwi_code *out)
{
    float *v = scratch, *z = scratch + m->bits; /* v: first the residual, then its signs */

    for (uint32_t j = 0; j < m->dc; j++) v[j] = y[j] - centre->y[j];
    float len_sq = dot(m, v, v, m->dc);
    hwi_model_hash(m, v, z);
    for (uint32_t w = 0; w < m->words; w++) {
        uint32_t word = 0;
        for (uint32_t j = 0; j < 32; j++) {
            uint32_t bit = z[w * 32 + j] > 0;
            v[w * 32 + j] = (float)bit - 0.5f;
            word |= bit << j;
        }
        out->words[w] = word;
    }
    float known = dot(m, v, z, m->bits), at_centre = dot(m, v, centre->z, m->bits);
    float v_sq = 0.25f * (float)m->bits;
    float scale = known > 1e-20f ? len_sq / known : 0; /* <r, q> is about scale * <v, z(q)> */
    float cosine = known / sqrtf(v_sq * len_sq + 1e-30f);
    out->error = sqrtf(v_sq * HWI_MAX(0.0f, 1 - cosine * cosine) / (float)m->bits);
    if (m->metric == HWI_DOT) {
        out->s = scale, out->a = 0;
    } else {
        out->s = 2 * scale, out->a = out->radius_sq + out->s * at_centre;
    }
}

/* Levels as floats, for products with them. */
static void
to_floats(const int8_t *q, uint32_t n, float *out)
{
    for (uint32_t j = 0; j < n; j++) out[j] = q[j];
}

/* Rounds r to 255 levels; v: their floats. Returns their step. */
static float
round_to_bytes(const hwi_model *m, const float *r, float *v, uint8_t *codes)
{
    float largest = HWI_MAX(m->kernels->largest(r, m->dim), 1e-20f);

    (void)m->kernels->round_i8(r, m->dim, 127 / largest, 127, (int8_t *)codes);
    to_floats((const int8_t *)codes, m->dim, v);
    for (uint32_t j = 0; j < m->dim; j++) codes[j] ^= 128; /* plus 128 */
    memset(codes + m->dim, 128, hwi_leaf_code_bytes(m) - m->dim);
    return largest / 127;
}

/* Rounds r to -7 .. 7 in the step whose levels v lie closest to its direction; returns by what v is
 * to be multiplied. */
static float
round_to_nibbles(const hwi_model *m, const float *r, float r_sq, int8_t *q, float *v)
{
    static const float cuts[] = {1.0f, 0.9f, 0.8f, 0.65f}; /* of the largest component */
    float largest = HWI_MAX(m->kernels->largest(r, m->dim), 1e-20f);
    float best = -1, best_cut = 1;

    for (size_t i = 0; i < HWI_COUNT(cuts); i++) {
        (void)m->kernels->round_i8(r, m->dim, 7 / (cuts[i] * largest), 7, q);
        to_floats(q, m->dim, v);
        float known = dot(m, v, r, m->dim),
              cosine_sq = known * known / (dot(m, v, v, m->dim) + 1e-30f);
        if (cosine_sq > best) best = cosine_sq, best_cut = cuts[i];
    }
    (void)m->kernels->round_i8(r, m->dim, 7 / (best_cut * largest), 7, q);
    to_floats(q, m->dim, v);
    float known = dot(m, v, r, m->dim);
    return known > 1e-20f ? r_sq / known : 0;
}

/* q has room for two components a byte of the code. */
static void
pack_nibbles(const hwi_model *m, int8_t *q, uint8_t *codes)
{
    uint32_t half = hwi_leaf_code_bytes(m);

    memset(q + m->dim, 0, 2 * half - m->dim);
    for (uint32_t j = 0; j < half; j++)
        codes[j] = (uint8_t)((uint32_t)(q[j] + 8) | (uint32_t)(q[half + j] + 8) << 4);
}

/* scratch: dim floats rounded up to 16, and dim bytes rounded up to 32. */
static void
refine_code(const hwi_model *m, const hwi_centre *centre, const float *r, float *scratch,
            hwi_code *out, uint8_t *codes)
{
    int8_t *q = (int8_t *)(scratch + (m->dim + 15u) / 16 * 16);
    float step;

    if (m->code_bits == 8) {
        step = round_to_bytes(m, r, scratch, codes);
    } else {
        step = round_to_nibbles(m, r, out->radius_sq, q, scratch);
        pack_nibbles(m, q, codes);
    }
    float at_centre = step * dot(m, scratch, centre->x, m->dim);
    if (m->metric == HWI_DOT) {
        out->rs = step, out->ra = 0;
    } else {
        out->rs = 2 * step, out->ra = out->radius_sq + 2 * at_centre;
    }
}

void
hwi_lsh_encode(const hwi_model *m, const hwi_centre *centre, const float *x, const float *y,
               float *scratch, hwi_code *out, uint8_t *codes)
{
    float *r = scratch + 2 * m->bits;

    for (uint32_t j = 0; j < m->dim; j++) r[j] = x[j] - centre->x[j];
    out->radius_sq = dot(m, r, r, m->dim);
    out->error = 0;
    if (m->words == 0) return;
    sign_code(m, centre, y, scratch, out);
    refine_code(m, centre, r, r + (m->dim + 15u) / 16 * 16, out, codes);
}
