/* image_jpeg.c - JPEG in and out, by libjpeg-turbo.
 *
 * libjpeg reports errors by calling a function that must not return: it jumps back to where the
 * work began. What lives across the jump is in one struct. A file that ends early is an error here,
 * not a half grey picture: libjpeg only warns of it, so warnings are errors. */
#include "embed/image.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#define SCANS_MAX 100 /* of a progressive file; more is an attack on our time */

typedef struct decoding {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back a pointer to it */
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct in;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
    const hwi_media_limits *limits;
    bool is_over; /* time was, and that is why we jumped */
    hwi_image image;
    uint8_t *row; /* of a CMYK picture */
} decoding;

static void
on_error(j_common_ptr jpeg)
{
    decoding *d = (decoding *)jpeg->err;
    jpeg->err->format_message(jpeg, d->message);
    longjmp(d->back, 1);
}

static void
on_message(j_common_ptr jpeg, int level)
{
    if (level < 0) on_error(jpeg); /* a warning: the data is damaged */
}

static void
on_progress(j_common_ptr jpeg)
{
    decoding *d = (decoding *)jpeg->err;
    d->is_over = d->limits->is_over && d->limits->is_over(d->limits->arg);
    if (d->is_over) longjmp(d->back, 1);
    if (d->in.input_scan_number <= SCANS_MAX) return;
    snprintf(d->message, sizeof d->message, "more than %d scans", SCANS_MAX);
    longjmp(d->back, 1);
}

/* The smallest of 1, 1/2, 1/4, 1/8 that leaves both sides twice what is wanted. */
static unsigned
divisor_for(uint32_t width, uint32_t height, uint32_t side_wanted)
{
    unsigned by = 1;
    uint32_t shorter = HWI_MIN(width, height);
    while (side_wanted && by < 8 && shorter / (by * 2) >= side_wanted * 2) by *= 2;
    return by;
}

/* Adobe's CMYK is stored inverted: 255 is no ink. */
static void
cmyk_to_rgb(const uint8_t *cmyk, uint32_t width, uint8_t *rgb)
{
    for (uint32_t x = 0; x < width; x++, cmyk += 4, rgb += 3) {
        for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)((cmyk[i] * cmyk[3] + 127) / 255);
    }
}

/* A file of several scans is in memory as a whole, however small the picture is made. */
static hw_status
check_size(decoding *d, hw_error *err)
{
    uint32_t width = d->in.image_width, height = d->in.image_height;
    uint32_t pixels_max = d->limits->pixels_max ? d->limits->pixels_max : HWI_IMAGE_PIXELS_MAX;
    if (jpeg_has_multiple_scans(&d->in)) return hwi_image_check(width, height, pixels_max, err);
    HWI_TRY(hwi_image_check(width, height, HWI_IMAGE_PIXELS_MAX, err));
    return hwi_image_check(d->in.output_width, d->in.output_height, pixels_max, err);
}

/* Between setjmp and the end; true when all went well, and *st then tells of memory and limits. */
static bool
read_pixels(decoding *d, hw_bytes file, uint32_t side_wanted, hw_status *st, hw_error *err)
{
    jpeg_mem_src(&d->in, file.data, (unsigned long)file.size);
    jpeg_read_header(&d->in, TRUE);
    bool cmyk = d->in.jpeg_color_space == JCS_CMYK || d->in.jpeg_color_space == JCS_YCCK;
    d->in.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    d->in.scale_num = 1;
    d->in.scale_denom = divisor_for(d->in.image_width, d->in.image_height, side_wanted);
    jpeg_calc_output_dimensions(&d->in);
    *st = check_size(d, err);
    if (*st == HW_OK) *st = hwi_image_new(d->in.output_width, d->in.output_height, &d->image, err);
    if (*st != HW_OK) return true;
    d->image.file_width = d->in.image_width;
    d->image.file_height = d->in.image_height;
    jpeg_start_decompress(&d->in);
    if (cmyk) d->row = hwi_alloc((size_t)d->image.width * 4);
    if (cmyk && !d->row) {
        *st = hwi_nomem(err, (size_t)d->image.width * 4);
        return true;
    }
    while (d->in.output_scanline < d->in.output_height) {
        uint8_t *to = d->image.rgb + (size_t)d->in.output_scanline * d->image.width * 3;
        JSAMPROW row = cmyk ? d->row : to;
        jpeg_read_scanlines(&d->in, &row, 1);
        if (cmyk) cmyk_to_rgb(d->row, d->image.width, to);
    }
    jpeg_finish_decompress(&d->in);
    return true;
}

hw_status
hwi_image_decode_jpeg(hw_bytes file, uint32_t side_wanted, const hwi_media_limits *limits,
                      hwi_image *out, hw_error *err)
{
    volatile hw_status result = HW_OK;
    decoding *d = hwi_alloc_zero(sizeof *d);
    *out = (hwi_image){0};
    if (!d) return hwi_nomem(err, sizeof *d);
    d->limits = limits;
    d->in.err = jpeg_std_error(&d->errors);
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->progress.progress_monitor = on_progress;
    if (setjmp(d->back) == 0) {
        hw_status st = HW_OK;
        jpeg_create_decompress(&d->in);
        d->in.progress = &d->progress;
        read_pixels(d, file, side_wanted, &st, err);
        result = st;
    } else {
        result = d->is_over ? hwi_fail(err, HW_ETIMEOUT, "decoding took too long")
                            : hwi_fail(err, HW_EINVAL, "damaged JPEG: %s", d->message);
    }
    jpeg_destroy_decompress(&d->in);
    if (result == HW_OK) {
        *out = d->image;
    } else {
        hwi_image_release(&d->image);
    }
    hwi_free(d->row);
    hwi_free(d);
    return result;
}

/* ---- Writing ---- */

typedef struct encoding {
    struct jpeg_error_mgr errors;
    struct jpeg_compress_struct out;
    jmp_buf back;
    unsigned char *file;
    unsigned long bytes;
} encoding;

static void
on_write_error(j_common_ptr jpeg)
{
    longjmp(((encoding *)jpeg->err)->back, 1);
}

static void
write_pixels(encoding *e, const hwi_image *image, int quality)
{
    jpeg_create_compress(&e->out);
    jpeg_mem_dest(&e->out, &e->file, &e->bytes);
    e->out.image_width = image->width;
    e->out.image_height = image->height;
    e->out.input_components = 3;
    e->out.in_color_space = JCS_RGB;
    jpeg_set_defaults(&e->out);
    jpeg_set_quality(&e->out, quality, TRUE);
    jpeg_start_compress(&e->out, TRUE);
    while (e->out.next_scanline < image->height) {
        JSAMPROW row = image->rgb + (size_t)e->out.next_scanline * image->width * 3;
        jpeg_write_scanlines(&e->out, &row, 1);
    }
    jpeg_finish_compress(&e->out);
}

hw_status
hwi_image_jpeg(const hwi_image *image, int quality, hwi_buf *out, hw_error *err)
{
    volatile hw_status st = HW_OK;
    encoding *e = hwi_alloc_zero(sizeof *e);
    if (!e) return hwi_nomem(err, sizeof *e);
    e->out.err = jpeg_std_error(&e->errors);
    e->errors.error_exit = on_write_error;
    if (setjmp(e->back) == 0) {
        write_pixels(e, image, quality);
        hwi_buf_add(out, e->file, e->bytes);
        if (out->failed) st = hwi_nomem(err, e->bytes);
    } else {
        st = hwi_nomem(err, 0); /* the one thing that can go wrong here */
    }
    jpeg_destroy_compress(&e->out);
    free(e->file); /* libjpeg's own malloc */
    hwi_free(e);
    return st;
}
