/* fuzz_image.c - any bytes are a picture, or an error: decoded, made to fit, described.
 *
 * A PNG is checked in pieces, each with its sum. Sums are set right first, or a changed picture would
 * hardly ever get as far as its pixels. */
#include <zlib.h>

#include "embed/embed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Pieces: length, four letters, content, sum of letters and content. */
static void
set_sums_right(uint8_t *png, size_t size)
{
    for (size_t at = 8; size >= 12 && at <= size - 12;) {
        size_t bytes = get_be32(png + at);
        if (bytes > size - 12 - at) return;
        uint32_t sum = (uint32_t)crc32(0, png + at + 4, (unsigned)bytes + 4);
        uint8_t *to = png + at + 8 + bytes;
        for (int i = 0; i < 4; i++) to[i] = (uint8_t)(sum >> (24 - 8 * i));
        at += 12 + bytes;
    }
}

static void
check(hw_bytes file)
{
    const hwi_media_limits limits = {.pixels_max = HWI_IMAGE_PIXELS_LARGE};
    hwi_image image, small;
    float histogram[HWI_HISTOGRAM_DIM];
    hw_error err;
    if (hwi_image_decode(file, 32, &limits, &image, &err) != HW_OK) return;
    HWI_ASSERT(hwi_features_histogram(&image, histogram, &err) == HW_OK);
    if (hwi_image_fit(&image, HWI_FIT_CROP, 1.2, 16, 16, &small, &err) == HW_OK) {
        HWI_ASSERT(small.width == 16 && small.height == 16);
        hwi_image_release(&small);
    }
    hwi_image_release(&image);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(hwi_bytes(data, size));
    if (size < 20 || data[0] != 0x89) return 0;
    uint8_t *png = hwi_alloc(size);
    if (!png) return 0;
    memcpy(png, data, size);
    set_sums_right(png, size);
    check(hwi_bytes(png, size));
    hwi_free(png);
    return 0;
}
