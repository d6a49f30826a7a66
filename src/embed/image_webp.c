/* image_webp.c - WebP, by libwebp. An animation gives its first frame. */
#include "embed/image.h"

#include <webp/decode.h>
#include <webp/demux.h>

/* RGBA over white, in place: the colours move together. */
static void
lay_on_white(const uint8_t *rgba, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++, rgba += 4, rgb += 3) {
        unsigned a = rgba[3];
        for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)((rgba[c] * a + 255 * (255 - a) + 127) / 255);
    }
}

static hw_status
decode_still(hw_bytes file, uint32_t pixels_max, hwi_image *out, hw_error *err)
{
    WebPBitstreamFeatures about;
    if (WebPGetFeatures(file.data, file.size, &about) != VP8_STATUS_OK) {
        return hwi_fail(err, HW_EINVAL, "damaged WebP: no header");
    }
    size_t width = (size_t)about.width, height = (size_t)about.height, pixels = width * height;
    HWI_TRY(hwi_image_check(width, height, pixels_max, err));
    HWI_TRY(hwi_image_new(width, height, out, err));
    uint8_t *rgba = about.has_alpha ? hwi_alloc(pixels * 4) : out->rgb;
    if (!rgba) {
        hwi_image_release(out);
        return hwi_nomem(err, pixels * 4);
    }
    bool ok =
        about.has_alpha
            ? WebPDecodeRGBAInto(file.data, file.size, rgba, pixels * 4, (int)width * 4) != NULL
            : WebPDecodeRGBInto(file.data, file.size, rgba, pixels * 3, (int)width * 3) != NULL;
    if (ok && about.has_alpha) lay_on_white(rgba, pixels, out->rgb);
    if (about.has_alpha) hwi_free(rgba);
    if (ok) return HW_OK;
    hwi_image_release(out);
    return hwi_fail(err, HW_EINVAL, "damaged WebP: the pixels do not decode");
}

hw_status
hwi_image_decode_webp(hw_bytes file, uint32_t pixels_max, hwi_image *out, hw_error *err)
{
    WebPBitstreamFeatures about;
    WebPIterator frame;
    *out = (hwi_image){0};
    bool moves =
        WebPGetFeatures(file.data, file.size, &about) == VP8_STATUS_OK && about.has_animation;
    if (!moves) return decode_still(file, pixels_max, out, err);
    WebPData data = {file.data, file.size};
    WebPDemuxer *demux = WebPDemux(&data);
    if (!demux || !WebPDemuxGetFrame(demux, 1, &frame)) {
        WebPDemuxDelete(demux);
        return hwi_fail(err, HW_EINVAL, "damaged WebP: no first frame");
    }
    hw_status st =
        decode_still(hwi_bytes(frame.fragment.bytes, frame.fragment.size), pixels_max, out, err);
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demux);
    return st;
}
