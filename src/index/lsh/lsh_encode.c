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
norm_sq(const float *v, uint32_t n)
{
    double sum = 0;

    for (uint32_t j = 0; j < n; j++) sum += (double)v[j] * v[j];
    return (float)sum;
}

static void
sign_code(const hwi_model *m, const hwi_centre *centre, const float *y, float *scratch,
          hwi_code *out)
{
    float *ry = scratch, *z = scratch + m->bits;
    float known = 0, at_centre = 0;

    for (uint32_t j = 0; j < m->dc; j++) ry[j] = y[j] - centre->y[j];
    float len_sq = norm_sq(ry, m->dc);
    hwi_model_hash(m, ry, z);
    memset(out->words, 0, m->words * sizeof *out->words);
    for (uint32_t j = 0; j < m->bits; j++) {
        bool bit = z[j] > 0;
        known += fabsf(z[j]) * 0.5f;
        at_centre += bit ? 0.5f * centre->z[j] : -0.5f * centre->z[j];
        if (bit) out->words[j / 32] |= 1u << (j % 32);
    }
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

static void
refine_code(const hwi_model *m, const hwi_centre *centre, const float *r, hwi_code *out,
            uint8_t *codes)
{
    float largest = 1e-20f, at_centre = 0;

    for (uint32_t j = 0; j < m->dim; j++) largest = HWI_MAX(largest, fabsf(r[j]));
    float step = largest / 127, inverse = 127 / largest;
    for (uint32_t j = 0; j < m->dim; j++) {
        int level = (int)lrintf(r[j] * inverse);
        codes[j] = (uint8_t)(level + 128);
        at_centre += (float)level * step * centre->x[j];
    }
    memset(codes + m->dim, 128, hwi_leaf_code_bytes(m) - m->dim);
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
    out->radius_sq = norm_sq(r, m->dim);
    out->error = 0;
    if (m->words == 0) return;
    sign_code(m, centre, y, scratch, out);
    refine_code(m, centre, r, out, codes);
}
