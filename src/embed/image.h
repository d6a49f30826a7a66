/* image.h - pictures of files as pixels, and pixels made to fit.
 *
 * Pictures are strangers' files. Sizes they claim are checked before anything is allocated, a
 * damaged or cut-off file is an error and never a crash, and what a decoder may use is bounded:
 * HWI_IMAGE_BYTES_MAX of file, HWI_IMAGE_PIXELS_MAX of picture.
 */
#ifndef HWI_IMAGE_H
#define HWI_IMAGE_H

#include "base/base.h"

#define HWI_IMAGE_BYTES_MAX (64u << 20)    /* bytes in a picture file */
#define HWI_IMAGE_PIXELS_MAX (100u << 20)  /* width x height of a picture: 300 MB of pixels */
#define HWI_IMAGE_PIXELS_LARGE (16u << 20) /* above, they take turns (embed.c) */
#define HWI_IMAGE_SIDE_MAX 65500u          /* width or height */

/* What a stranger's file may cost. */
typedef struct hwi_media_limits {
    uint32_t pixels_max;        /* of a picture, up to HWI_IMAGE_PIXELS_MAX; 0: that */
    bool (*is_over)(void *arg); /* asked now and then: the time is up; NULL: it never is */
    void *arg;
} hwi_media_limits;

/* 3 bytes a pixel, red first, rows from the top, without gaps. */
typedef struct hwi_image {
    uint32_t width, height;
    uint32_t file_width, file_height; /* before it was decoded at less than its size */
    uint8_t *rgb;                     /* hwi_alloc'ed */
} hwi_image;
void hwi_image_release(hwi_image *image);

/* Decodes JPEG, PNG or WebP, told by its first bytes. Turned upright as EXIF says; laid on white
 * where it is transparent.
 *
 * side_wanted  the caller will make it smaller than this: a JPEG is then decoded at 1/2, 1/4 or 1/8
 *              of its size where both sides stay at least twice as long; 0: full size
 * limits       NULL: those that always hold. Of a JPEG made smaller the pixels that it is made to
 *              count, unless it has to be in memory as a whole all the same (progressive)
 *
 * Takes about 11 bytes of memory a pixel that counts, at worst. HW_EINVAL: not a picture, damaged or
 * cut off; HW_ELIMIT: too large; HW_ETIMEOUT; HW_ENOMEM. */
HW_CHECKED hw_status hwi_image_decode(hw_bytes file, uint32_t side_wanted,
                                      const hwi_media_limits *limits, hwi_image *out,
                                      hw_error *err);

/* True when these first bytes are of a kind that hwi_image_decode reads. */
bool hwi_image_is_one(hw_bytes start);

/* A copy of the given size, each pixel a mean weighted by a triangle twice as wide as the pixel is
 * in the original: what PIL and torchvision call bilinear with antialias, to within one step of
 * 255. */
HW_CHECKED hw_status hwi_image_resize(const hwi_image *image, uint32_t width, uint32_t height,
                                      hwi_image *out, hw_error *err);

typedef enum hwi_fit {
    HWI_FIT_LETTERBOX, /* whole, in the middle of white */
    HWI_FIT_CROP,      /* shorter side to fit, the middle of the longer one */
    HWI_FIT_STRETCH    /* both sides to fit */
} hwi_fit;

/* A picture of exactly width x height. crop_scale: for HWI_FIT_CROP the shorter side is first made
 * this many times longer (torchvision's 256 for 224); 1: not. */
HW_CHECKED hw_status hwi_image_fit(const hwi_image *image, hwi_fit fit, double crop_scale,
                                   uint32_t width, uint32_t height, hwi_image *out, hw_error *err);

/* Appends a JPEG file of the picture. quality 1 to 100. */
HW_CHECKED hw_status hwi_image_jpeg(const hwi_image *image, int quality, hwi_buf *out,
                                    hw_error *err);

/* ---- the decoders, one file each; the magic bytes have been seen */
HW_CHECKED hw_status hwi_image_decode_jpeg(hw_bytes file, uint32_t side_wanted,
                                           const hwi_media_limits *limits, hwi_image *out,
                                           hw_error *err);
HW_CHECKED hw_status hwi_image_decode_png(hw_bytes file, uint32_t pixels_max, hwi_image *out,
                                          hw_error *err);
HW_CHECKED hw_status hwi_image_decode_webp(hw_bytes file, uint32_t pixels_max, hwi_image *out,
                                           hw_error *err);
/* Checks the size, which is not zero, and allocates the pixels. */
HW_CHECKED hw_status hwi_image_check(uint64_t width, uint64_t height, uint32_t pixels_max,
                                     hw_error *err);
HW_CHECKED hw_status hwi_image_new(uint64_t width, uint64_t height, hwi_image *out, hw_error *err);

#endif
