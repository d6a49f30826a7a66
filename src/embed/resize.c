/* resize.c - pictures made smaller or larger, and made to fit.
 *
 * Along each axis an output pixel is a weighted mean of the input pixels below a triangle. Made
 * smaller, the triangle is as much wider as the picture gets smaller, so every input pixel counts
 * and fine patterns do not turn into coarse ones (Heckbert, "Filtered image rescaling", Graphics
 * Gems III, 1992). First the rows, rounded to bytes, then the columns: the order and the rounding
 * are PIL's, so a model sees here what it saw in training. */
#include "embed/image.h"

#include <math.h>

/* What each output position along an axis takes: `width` weights from `first` on. */
typedef struct axis {
    uint32_t width; /* weights kept per position */
    uint32_t *first, *count;
    float *weights;
    void *block;
} axis;

static hw_status
axis_init(axis *a, uint32_t in, uint32_t out, hw_error *err)
{
    double scale = (double)in / out, stretch = HWI_MAX(scale, 1.0);
    a->width = (uint32_t)ceil(stretch) * 2 + 1;
    size_t bytes = (size_t)out * (2 * sizeof(uint32_t) + a->width * sizeof(float));
    a->block = hwi_alloc(bytes);
    if (!a->block) return hwi_nomem(err, bytes);
    a->first = a->block;
    a->count = a->first + out;
    a->weights = (float *)(a->count + out);
    for (uint32_t i = 0; i < out; i++) {
        double middle = (i + 0.5) * scale, sum = 0;
        uint32_t from = (uint32_t)HWI_MAX(middle - stretch + 0.5, 0.0);
        uint32_t to = (uint32_t)HWI_MIN(middle + stretch + 0.5, (double)in);
        float *w = a->weights + (size_t)i * a->width;
        a->first[i] = from;
        a->count[i] = to - from;
        for (uint32_t j = from; j < to; j++) {
            double weight = 1 - fabs((j + 0.5 - middle) / stretch);
            sum += w[j - from] = (float)HWI_MAX(weight, 0.0);
        }
        for (uint32_t j = 0; j < to - from; j++) w[j] = (float)(w[j] / sum);
    }
    return HW_OK;
}

static uint8_t
to_byte(float v)
{
    return (uint8_t)HWI_MIN(HWI_MAX(v + 0.5F, 0.0F), 255.0F);
}

/* One output pixel: `step` bytes lie between the input pixels it takes. */
static void
mix(const uint8_t *from, size_t step, const float *weights, uint32_t count, uint8_t *to)
{
    float r = 0, g = 0, b = 0;
    for (uint32_t i = 0; i < count; i++, from += step) {
        r += weights[i] * from[0];
        g += weights[i] * from[1];
        b += weights[i] * from[2];
    }
    to[0] = to_byte(r), to[1] = to_byte(g), to[2] = to_byte(b);
}

static void
resize_rows(const hwi_image *in, const axis *a, hwi_image *out)
{
    for (uint32_t y = 0; y < out->height; y++) {
        const uint8_t *row = in->rgb + (size_t)y * in->width * 3;
        uint8_t *to = out->rgb + (size_t)y * out->width * 3;
        for (uint32_t x = 0; x < out->width; x++, to += 3) {
            mix(row + (size_t)a->first[x] * 3, 3, a->weights + (size_t)x * a->width, a->count[x],
                to);
        }
    }
}

static void
resize_columns(const hwi_image *in, const axis *a, hwi_image *out)
{
    size_t row_bytes = (size_t)in->width * 3;
    for (uint32_t y = 0; y < out->height; y++) {
        const uint8_t *from = in->rgb + a->first[y] * row_bytes;
        uint8_t *to = out->rgb + y * row_bytes;
        for (uint32_t x = 0; x < out->width; x++, from += 3, to += 3) {
            mix(from, row_bytes, a->weights + (size_t)y * a->width, a->count[y], to);
        }
    }
}

hw_status
hwi_image_resize(const hwi_image *image, uint32_t width, uint32_t height, hwi_image *out,
                 hw_error *err)
{
    axis across = {0}, down = {0};
    hwi_image narrow = {0};
    *out = (hwi_image){0};
    hw_status st = hwi_image_new(width, image->height, &narrow, err);
    if (st == HW_OK) st = hwi_image_new(width, height, out, err);
    if (st == HW_OK) st = axis_init(&across, image->width, width, err);
    if (st == HW_OK) st = axis_init(&down, image->height, height, err);
    if (st == HW_OK) {
        resize_rows(image, &across, &narrow);
        resize_columns(&narrow, &down, out);
    } else {
        hwi_image_release(out);
    }
    hwi_image_release(&narrow);
    hwi_free(across.block);
    hwi_free(down.block);
    return st;
}

/* ---- Fitting ---- */

static uint32_t
side(double length)
{
    return length < 1 ? 1 : (uint32_t)(length + 0.5);
}

/* The overlap of two pictures laid middle on middle, copied. */
static void
copy_middle(const hwi_image *from, hwi_image *to)
{
    uint32_t width = HWI_MIN(from->width, to->width), height = HWI_MIN(from->height, to->height);
    uint32_t fx = (from->width - width) / 2, fy = (from->height - height) / 2;
    uint32_t tx = (to->width - width) / 2, ty = (to->height - height) / 2;
    for (uint32_t y = 0; y < height; y++) {
        memcpy(to->rgb + ((size_t)(ty + y) * to->width + tx) * 3,
               from->rgb + ((size_t)(fy + y) * from->width + fx) * 3, (size_t)width * 3);
    }
}

hw_status
hwi_image_fit(const hwi_image *image, hwi_fit fit, double crop_scale, uint32_t width,
              uint32_t height, hwi_image *out, hw_error *err)
{
    hwi_image scaled;
    if (fit == HWI_FIT_STRETCH) return hwi_image_resize(image, width, height, out, err);
    double across = (double)width / image->width, down = (double)height / image->height;
    double by = fit == HWI_FIT_CROP ? HWI_MAX(across, down) * crop_scale : HWI_MIN(across, down);
    *out = (hwi_image){0};
    HWI_TRY(
        hwi_image_resize(image, side(image->width * by), side(image->height * by), &scaled, err));
    hw_status st = hwi_image_new(width, height, out, err);
    if (st == HW_OK) {
        memset(out->rgb, 255, (size_t)width * height * 3);
        copy_middle(&scaled, out);
    }
    hwi_image_release(&scaled);
    return st;
}
