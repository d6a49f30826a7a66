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

hw_status
hwi_features_histogram(const hwi_image *image, float *out, hw_error *err)
{
    size_t pixels = (size_t)image->width * image->height;
    (void)err;
    memset(out, 0, HWI_HISTOGRAM_DIM * sizeof *out);
    for (const uint8_t *p = image->rgb, *end = p + pixels * 3; p < end; p += 3) {
        unsigned r = p[0] * LEVELS / 256, g = p[1] * LEVELS / 256, b = p[2] * LEVELS / 256;
        out[(r * LEVELS + g) * LEVELS + b]++;
    }
    for (size_t i = 0; i < HWI_HISTOGRAM_DIM; i++) out[i] = sqrtf(out[i] / (float)pixels);
    return HW_OK;
}
