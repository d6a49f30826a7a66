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

/* Four floats at once, of which the first three are a pixel. Any compiler that knows the extension has
 * instructions for it on any machine; a pixel's sums are made in the same order as one by one. */
typedef float four __attribute__((vector_size(16)));

static four
load(const float *at)
{
    four v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* `line` has room for a row of the input and one float more. */
static void
resize_rows(const hwi_image *in, const axis *a, float *line, hwi_image *out)
{
    for (uint32_t y = 0; y < out->height; y++) {
        const uint8_t *row = in->rgb + (size_t)y * in->width * 3;
        uint8_t *to = out->rgb + (size_t)y * out->width * 3;
        for (size_t i = 0; i < (size_t)in->width * 3; i++) line[i] = row[i];
        for (uint32_t x = 0; x < out->width; x++, to += 3) {
            const float *from = line + (size_t)a->first[x] * 3;
            const float *weights = a->weights + (size_t)x * a->width;
            four sum = {0};
            for (uint32_t i = 0; i < a->count[x]; i++)
                sum += weights[i] * load(from + (size_t)i * 3);
            for (int c = 0; c < 3; c++) to[c] = to_byte(sum[c]);
        }
    }
}

/* `line` has room for a row. */
static void
resize_columns(const hwi_image *in, const axis *a, float *line, hwi_image *out)
{
    size_t row = (size_t)in->width * 3;
    for (uint32_t y = 0; y < out->height; y++) {
        const uint8_t *from = in->rgb + a->first[y] * row;
        const float *weights = a->weights + (size_t)y * a->width;
        uint8_t *to = out->rgb + y * row;
        memset(line, 0, row * sizeof *line);
        for (uint32_t i = 0; i < a->count[y]; i++, from += row) {
            for (size_t k = 0; k < row; k++) line[k] += weights[i] * from[k];
        }
        for (size_t k = 0; k < row; k++) to[k] = to_byte(line[k]);
    }
}

hw_status
hwi_image_resize(const hwi_image *image, uint32_t width, uint32_t height, hwi_image *out,
                 hw_error *err)
{
    axis across = {0}, down = {0};
    hwi_image narrow = {0};
    size_t line_bytes = ((size_t)HWI_MAX(image->width, width) * 3 + 1) * sizeof(float);
    float *line = hwi_alloc(line_bytes);
    *out = (hwi_image){0};
    hw_status st = line ? HW_OK : hwi_nomem(err, line_bytes);
    if (st == HW_OK) st = hwi_image_new(width, image->height, &narrow, err);
    if (st == HW_OK) st = hwi_image_new(width, height, out, err);
    if (st == HW_OK) st = axis_init(&across, image->width, width, err);
    if (st == HW_OK) st = axis_init(&down, image->height, height, err);
    if (st == HW_OK) {
        line[(size_t)image->width * 3] = 0; /* loaded with the last pixel */
        resize_rows(image, &across, line, &narrow);
        resize_columns(&narrow, &down, line, out);
    } else {
        hwi_image_release(out);
    }
    hwi_image_release(&narrow);
    hwi_free(line);
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
