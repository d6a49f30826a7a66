/* image_png.c - PNG, by libpng's simplified interface, which cannot jump over our head. It lays
 * what is transparent on the colour we give and undoes palettes, grey, 16 bits and gamma. */
#include "embed/image.h"

#include <png.h>

static hw_status
failed(png_image *png, hwi_image *image, hw_error *err)
{
    hw_status st = hwi_fail(err, HW_EINVAL, "damaged PNG: %s", png->message);
    png_image_free(png);
    hwi_image_release(image);
    return st;
}

hw_status
hwi_image_decode_png(hw_bytes file, uint32_t pixels_max, hwi_image *out, hw_error *err)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    const png_color white = {255, 255, 255};
    *out = (hwi_image){0};
    if (!png_image_begin_read_from_memory(&png, file.data, file.size))
        return failed(&png, out, err);
    hw_status st = hwi_image_check(png.width, png.height, pixels_max, err);
    if (st == HW_OK) st = hwi_image_new(png.width, png.height, out, err);
    if (st != HW_OK) {
        png_image_free(&png);
        return st;
    }
    png.format = PNG_FORMAT_RGB;
    /* An error of libpng is told by the result, a warning (a wrong checksum in a note, a profile
     * it does not know) by warning_or_error, which we do not mind. */
    if (!png_image_finish_read(&png, &white, out->rgb, 0, NULL)) return failed(&png, out, err);
    return HW_OK;
}
