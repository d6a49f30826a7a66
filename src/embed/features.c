/* features.c - descriptors of pictures without a model: useful at once, and what a model has to
 * beat.
 *
 *   pixels            the picture as 16 x 16 pixels, its mean taken off: finds near-duplicates and
 *                     pictures of the same composition
 *   colour-histogram  how often each of 6 x 6 x 6 colours occurs, square-rooted, so that the dot
 *                     product is the Bhattacharyya coefficient of two histograms: finds pictures of
 *                     the same colours, however arranged */
#include "embed/embed.h"

#include <math.h>

#define LEVELS 6u
#define HISTOGRAM_SIDE 64u /* pixels that are counted; as good as all of them, and soon done */

hw_status
hwi_features_pixels(const hwi_image *image, float *out, hw_error *err)
{
    hwi_image small;
    double mean = 0;
    HWI_TRY(
        hwi_image_fit(image, HWI_FIT_LETTERBOX, 1, HWI_PIXELS_SIDE, HWI_PIXELS_SIDE, &small, err));
    for (size_t i = 0; i < HWI_PIXELS_DIM; i++) mean += small.rgb[i] / (double)HWI_PIXELS_DIM;
    float farthest = 0;
    for (size_t i = 0; i < HWI_PIXELS_DIM; i++) {
        out[i] = (float)(small.rgb[i] - mean);
        farthest = HWI_MAX(farthest, fabsf(out[i]));
    }
    if (farthest < 0.01F) out[0] = 1; /* all of one grey: without contrast, alike */
    hwi_image_release(&small);
    return HW_OK;
}

/* A pixel counts in the eight colours around its own, the nearer the more, so that a slight change
 * of light moves a little weight and not whole pixels. */
static void
count_pixel(const uint8_t *p, float *out)
{
    unsigned low[3];
    float high_share[3];
    for (int c = 0; c < 3; c++) {
        unsigned at = p[c] * (LEVELS - 1);
        low[c] = HWI_MIN(at / 255, LEVELS - 2);
        high_share[c] = (float)(at - low[c] * 255) / 255;
    }
    for (unsigned corner = 0; corner < 8; corner++) {
        float weight = 1;
        unsigned colour = 0;
        for (int c = 0; c < 3; c++) {
            bool is_high = corner >> c & 1;
            weight *= is_high ? high_share[c] : 1 - high_share[c];
            colour = colour * LEVELS + low[c] + is_high;
        }
        out[colour] += weight;
    }
}

hw_status
hwi_features_histogram(const hwi_image *image, float *out, hw_error *err)
{
    hwi_image small;
    HWI_TRY(hwi_image_fit(image, HWI_FIT_STRETCH, 1, HISTOGRAM_SIDE, HISTOGRAM_SIDE, &small, err));
    memset(out, 0, HWI_HISTOGRAM_DIM * sizeof *out);
    for (size_t i = 0; i < HISTOGRAM_SIDE * HISTOGRAM_SIDE; i++) {
        count_pixel(small.rgb + i * 3, out);
    }
    for (size_t i = 0; i < HWI_HISTOGRAM_DIM; i++) out[i] = sqrtf(out[i]);
    hwi_image_release(&small);
    return HW_OK;
}
