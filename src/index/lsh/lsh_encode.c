/* lsh_encode.c - one vector to its signature and refine code, relative to its leaf's centre.
 *
 * Signature: hash the residual r on its leading axes to z, keep the signs as v = +-1/2. Since z
 * keeps r's length, <v, z> = sum |z_j| / 2 is known, and <r, q> is estimated by |r|^2 / <v, z> *
 * <v, z(q)>: exact for q = r, unbiased otherwise, with an error that falls with the square root of
 * the number of bits (RaBitQ, theorem 3.2).
 *
 * Refine code: r rounded to 255 levels of its own largest component, so its error is about 1/250 of
 * |r|.
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

/* r is left as the levels it was rounded to. */
static void
refine_code(const hwi_model *m, const hwi_centre *centre, float *r, hwi_code *out, uint8_t *codes)
{
    float largest = HWI_MAX(m->kernels->largest(r, m->dim), 1e-20f), step = largest / 127;

    (void)m->kernels->round_i8(r, m->dim, 127 / largest, 127, (int8_t *)codes);
    for (uint32_t j = 0; j < m->dim; j++) {
        r[j] = (float)(int8_t)codes[j];
        codes[j] ^= 128; /* plus 128 */
    }
    memset(codes + m->dim, 128, hwi_leaf_code_bytes(m) - m->dim);
    float at_centre = step * dot(m, r, centre->x, m->dim);
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
    refine_code(m, centre, r, out, codes);
}
