/* image.c - which decoder, and turning a picture upright. */
#include "embed/image.h"

#include <libexif/exif-data.h>

hw_status
hwi_image_check(uint64_t width, uint64_t height, uint32_t pixels_max, hw_error *err)
{
    if (width == 0 || height == 0) return hwi_fail(err, HW_EINVAL, "the picture has no pixels");
    if (width <= HWI_IMAGE_SIDE_MAX && height <= HWI_IMAGE_SIDE_MAX &&
        width * height <= pixels_max) {
        return HW_OK;
    }
    return hwi_fail(err, HW_ELIMIT, "picture of %llu x %llu is above the maximum of %u pixels",
                    (unsigned long long)width, (unsigned long long)height, pixels_max);
}

hw_status
hwi_image_new(uint64_t width, uint64_t height, hwi_image *out, hw_error *err)
{
    *out = (hwi_image){0};
    HWI_TRY(hwi_image_check(width, height, HWI_IMAGE_PIXELS_MAX, err));
    out->rgb = hwi_alloc(width * height * 3);
    if (!out->rgb) return hwi_nomem(err, width * height * 3);
    out->width = out->file_width = (uint32_t)width;
    out->height = out->file_height = (uint32_t)height;
    return HW_OK;
}

void
hwi_image_release(hwi_image *image)
{
    hwi_free(image->rgb);
    *image = (hwi_image){0};
}

/* ---- Kinds ---- */

typedef enum kind { KIND_NONE, KIND_JPEG, KIND_PNG, KIND_WEBP } kind;

static kind
kind_of(hw_bytes file)
{
    const uint8_t *b = file.data;
    if (file.size >= 3 && memcmp(b, "\xFF\xD8\xFF", 3) == 0) return KIND_JPEG;
    if (file.size >= 8 && memcmp(b, "\x89PNG\r\n\x1A\n", 8) == 0) return KIND_PNG;
    if (file.size >= 12 && memcmp(b, "RIFF", 4) == 0 && memcmp(b + 8, "WEBP", 4) == 0) {
        return KIND_WEBP;
    }
    return KIND_NONE;
}

bool
hwi_image_is_one(hw_bytes start)
{
    return kind_of(start) != KIND_NONE;
}

/* ---- Upright ---- */

/* EXIF's orientation, 1 to 8; 1 when there is none. */
static unsigned
orientation_of(hw_bytes file)
{
    ExifData *exif = exif_data_new_from_data(file.data, (unsigned)file.size);
    if (!exif) return 1;
    const ExifEntry *entry = exif_content_get_entry(exif->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    unsigned turn = 1;
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2) {
        turn = exif_get_short(entry->data, exif_data_get_byte_order(exif));
    }
    exif_data_unref(exif);
    return turn >= 1 && turn <= 8 ? turn : 1;
}

/* Where pixel (x, y) of the upright picture lies in the stored one. */
static size_t
source_of(unsigned turn, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    bool swapped = turn >= 5;
    uint32_t sx = swapped ? y : x, sy = swapped ? x : y;
    if (turn == 2 || turn == 3 || turn == 7 || turn == 8) sx = width - 1 - sx;
    if (turn == 3 || turn == 4 || turn == 6 || turn == 7) sy = height - 1 - sy;
    return ((size_t)sy * width + sx) * 3;
}

static hw_status
turn_upright(hwi_image *image, unsigned turn, hw_error *err)
{
    hwi_image up;
    if (turn == 1) return HW_OK;
    bool swapped = turn >= 5;
    HWI_TRY(hwi_image_new(swapped ? image->height : image->width,
                          swapped ? image->width : image->height, &up, err));
    uint8_t *to = up.rgb;
    for (uint32_t y = 0; y < up.height; y++) {
        for (uint32_t x = 0; x < up.width; x++, to += 3) {
            memcpy(to, image->rgb + source_of(turn, x, y, image->width, image->height), 3);
        }
    }
    up.file_width = swapped ? image->file_height : image->file_width;
    up.file_height = swapped ? image->file_width : image->file_height;
    hwi_image_release(image);
    *image = up;
    return HW_OK;
}

hw_status
hwi_image_decode(hw_bytes file, uint32_t side_wanted, const hwi_media_limits *limits,
                 hwi_image *out, hw_error *err)
{
    const hwi_media_limits all = {0};
    *out = (hwi_image){0};
    if (!limits) limits = &all;
    uint32_t pixels_max = limits->pixels_max ? limits->pixels_max : HWI_IMAGE_PIXELS_MAX;
    if (file.size > HWI_IMAGE_BYTES_MAX) {
        return hwi_fail(err, HW_ELIMIT, "picture file of %zu bytes is above the maximum %u",
                        file.size, HWI_IMAGE_BYTES_MAX);
    }
    switch (kind_of(file)) {
    case KIND_PNG:
        return hwi_image_decode_png(file, pixels_max, out, err);
    case KIND_WEBP:
        return hwi_image_decode_webp(file, pixels_max, out, err);
    case KIND_JPEG:
        break;
    case KIND_NONE:
        return hwi_fail(err, HW_EINVAL, "not a JPEG, PNG or WebP picture");
    }
    HWI_TRY(hwi_image_decode_jpeg(file, side_wanted, limits, out, err));
    hw_status st = turn_upright(out, orientation_of(file), err);
    if (st != HW_OK) hwi_image_release(out);
    return st;
}
