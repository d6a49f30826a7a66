/* fuzz_image.c - any bytes are a picture, or an error: decoded, made to fit, described. */
#include "embed/embed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hwi_image image, small;
    float histogram[HWI_HISTOGRAM_DIM];
    hw_error err;
    if (hwi_image_decode(hwi_bytes(data, size), 32, &image, &err) != HW_OK) return 0;
    HWI_ASSERT(hwi_features_histogram(&image, histogram, &err) == HW_OK);
    if (hwi_image_fit(&image, HWI_FIT_CROP, 1.2, 16, 16, &small, &err) == HW_OK) {
        HWI_ASSERT(small.width == 16 && small.height == 16);
        hwi_image_release(&small);
    }
    hwi_image_release(&image);
    return 0;
}
