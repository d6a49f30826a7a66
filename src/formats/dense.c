/* dense.c - rows of numbers at a fixed stride: what idx, npy and the *vecs files have in common.
 *
 *     header | prefix n n n ... n | prefix n n n ... n | ...
 *              \___ one row ____/
 *
 * A batch of rows is read as bytes and converted to float32 in one pass. Integers of 32 bits and
 * more lose their low bits as floats, which is right for vectors and wrong for neighbour lists;
 * those are read as integers, row by row.
 */
#include "reader.h"

#include <math.h>

static uint64_t
load(const uint8_t *p, size_t bytes, bool big_endian)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v |= (uint64_t)p[big_endian ? bytes - 1 - i : i] << (8 * i);
    return v;
}

static float
half_to_float(uint16_t h)
{
    int exponent = h >> 10 & 31;
    float fraction = (float)(h & 1023);
    float magnitude;

    if (exponent == 0)
        magnitude = ldexpf(fraction, -24);
    else if (exponent == 31)
        magnitude = fraction != 0 ? NAN : INFINITY;
    else
        magnitude = ldexpf(fraction + 1024, exponent - 25);
    return h & 0x8000 ? -magnitude : magnitude;
}

static double
bits_to_double(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static float
bits_to_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* One number. A double beyond float's range becomes infinity, which whoever stores it refuses. */
static float
to_float(hwi_element element, uint64_t bits)
{
    switch (element) {
    case HWI_ELEMENT_U8:
        return (float)bits;
    case HWI_ELEMENT_I8:
        return (float)(int8_t)bits;
    case HWI_ELEMENT_I16:
        return (float)(int16_t)bits;
    case HWI_ELEMENT_I32:
        return (float)(int32_t)bits;
    case HWI_ELEMENT_I64:
        return (float)(int64_t)bits;
    case HWI_ELEMENT_F16:
        return half_to_float((uint16_t)bits);
    case HWI_ELEMENT_F32:
        return bits_to_float((uint32_t)bits);
    case HWI_ELEMENT_F64:
        return (float)bits_to_double(bits);
    case HWI_ELEMENT_TEXT:
        break;
    }
    return 0;
}

static void
convert_row(const hwi_reader *r, const uint8_t *raw, float *out)
{
    size_t bytes = hwi_element_bytes(r->info.element);

    if (r->info.element == HWI_ELEMENT_U8) { /* pictures: worth a loop of their own */
        for (uint32_t i = 0; i < r->info.dim; i++) out[i] = raw[i];
        return;
    }
    if (r->info.element == HWI_ELEMENT_F32 && !r->layout.big_endian) {
        for (uint32_t i = 0; i < r->info.dim; i++) out[i] = hwi_get_f32(raw + (size_t)i * 4);
        return;
    }
    for (uint32_t i = 0; i < r->info.dim; i++)
        out[i] = to_float(r->info.element, load(raw + i * bytes, bytes, r->layout.big_endian));
}

static size_t
stride_of(const hwi_reader *r)
{
    return r->layout.prefix + (size_t)r->info.dim * hwi_element_bytes(r->info.element);
}

hw_status
hwi_dense_check_size(const hwi_reader *r, uint64_t dim, hw_error *err)
{
    uint64_t size = hwi_source_size(r->source), at = hwi_source_at(r->source);
    uint64_t stride, left;

    if (dim == 0 || dim > HW_DIM_MAX)
        return hwi_fail(err, HW_EINVAL, "%s: rows of %llu values, expected 1 to %u", r->path,
                        (unsigned long long)dim, HW_DIM_MAX);
    if (size == HWI_SIZE_UNKNOWN || r->info.rows == HWI_ROWS_UNKNOWN) return HW_OK;
    stride = r->layout.prefix + dim * hwi_element_bytes(r->info.element);
    left = size >= at ? size - at : 0;
    if (r->info.rows <= left / stride) return HW_OK;
    return hwi_fail(err, HW_EINVAL,
                    "%s: truncated: the header says %llu rows of %llu bytes after byte %llu, the "
                    "file has room for %llu (%llu bytes in all)",
                    r->path, (unsigned long long)r->info.rows, (unsigned long long)stride,
                    (unsigned long long)at, (unsigned long long)(left / stride),
                    (unsigned long long)size);
}

/* Room in the batch for `rows` rows, all arrays at once. */
static hw_status
make_room(hwi_reader *r, size_t rows, hw_error *err)
{
    size_t bytes = hwi_size_mul(rows, stride_of(r));
    float *values;
    hwi_row *row;

    if (bytes > r->raw_room) {
        hwi_free(r->raw);
        r->raw = hwi_alloc(bytes);
        r->raw_room = r->raw ? bytes : 0;
        if (r->raw == NULL) return hwi_nomem(err, bytes);
    }
    HWI_TRY(hwi_batch_room(r, rows * r->info.dim, &values, err));
    for (size_t i = 0; i < rows; i++) {
        HWI_TRY(hwi_batch_add_row(r, &row, err));
        HWI_TRY(hwi_batch_add_vector(r, NULL, r->info.dim, err));
    }
    r->row_count = r->vector_count = r->value_count = 0;
    return HW_OK;
}

/* Reads whole rows into r->raw. A file whose rows are counted by its header must have them all; one
 * that is not may end after any row. */
static hw_status
read_rows(hwi_reader *r, size_t want, size_t *rows, hw_error *err)
{
    size_t stride = stride_of(r), got;
    uint64_t start = hwi_source_at(r->source);

    HWI_TRY(hwi_source_read(r->source, r->raw, want * stride, &got, err));
    *rows = got / stride;
    if (r->info.rows != HWI_ROWS_UNKNOWN && *rows < want)
        return hwi_fail(err, HW_EINVAL,
                        "%s: truncated at byte %llu: expected %llu rows, found %llu", r->path,
                        (unsigned long long)(start + got), (unsigned long long)r->info.rows,
                        (unsigned long long)(r->row_at + *rows));
    if (got % stride != 0)
        return hwi_fail(err, HW_EINVAL,
                        "%s: truncated in row %llu at byte %llu: expected %zu bytes, found %zu",
                        r->path, (unsigned long long)(r->row_at + *rows),
                        (unsigned long long)(start + *rows * stride), stride, got % stride);
    return HW_OK;
}

/* Each row of a *vecs file says its dimension again. */
static hw_status
check_prefixes(const hwi_reader *r, size_t rows, hw_error *err)
{
    size_t stride = stride_of(r);

    for (size_t i = 0; r->layout.prefix > 0 && i < rows; i++) {
        uint32_t dim = hwi_get_u32(r->raw + i * stride);
        if (dim != r->info.dim)
            return hwi_fail(err, HW_EINVAL, "%s: row %llu says %u values, expected %u", r->path,
                            (unsigned long long)(r->row_at + i), dim, r->info.dim);
    }
    return HW_OK;
}

static size_t
rows_wanted(const hwi_reader *r, size_t want)
{
    size_t fits = HWI_MAX(HWI_BATCH_BYTES / (r->info.dim * sizeof(float)), 1);

    want = HWI_MIN(want, fits);
    if (r->info.rows != HWI_ROWS_UNKNOWN && r->info.rows - r->row_at < want)
        want = (size_t)(r->info.rows - r->row_at);
    return want;
}

hw_status
hwi_dense_next(hwi_reader *r, size_t want, hw_error *err)
{
    size_t rows, stride;

    if (r->info.dim == 0) return HW_OK; /* an empty *vecs file */
    want = rows_wanted(r, want);
    if (want == 0) return HW_OK;
    stride = stride_of(r);
    HWI_TRY(make_room(r, want, err));
    HWI_TRY(read_rows(r, want, &rows, err));
    HWI_TRY(check_prefixes(r, rows, err));
    for (size_t i = 0; i < rows; i++)
        convert_row(r, r->raw + i * stride + r->layout.prefix, r->values + i * r->info.dim);
    for (size_t i = 0; i < rows; i++) {
        hwi_row *row;
        HWI_TRY(hwi_batch_add_row(r, &row, err));
        HWI_TRY(hwi_batch_add_vector(r, NULL, r->info.dim, err));
    }
    return HW_OK;
}

hw_status
hwi_dense_next_ints(hwi_reader *r, int64_t *out, size_t room, size_t *count, hw_error *err)
{
    size_t bytes = hwi_element_bytes(r->info.element), rows;
    const uint8_t *raw;

    (void)room; /* checked by the caller against info.dim */
    if (r->info.dim == 0 || rows_wanted(r, 1) == 0) return HW_OK;
    HWI_TRY(make_room(r, 1, err));
    HWI_TRY(read_rows(r, 1, &rows, err));
    if (rows == 0) return HW_OK;
    HWI_TRY(check_prefixes(r, rows, err));
    raw = r->raw + r->layout.prefix;
    for (uint32_t i = 0; i < r->info.dim; i++) {
        uint64_t bits = load(raw + i * bytes, bytes, r->layout.big_endian);
        switch (r->info.element) {
        case HWI_ELEMENT_U8:
            out[i] = (int64_t)bits;
            break;
        case HWI_ELEMENT_I8:
            out[i] = (int8_t)bits;
            break;
        case HWI_ELEMENT_I16:
            out[i] = (int16_t)bits;
            break;
        case HWI_ELEMENT_I32:
            out[i] = (int32_t)bits;
            break;
        case HWI_ELEMENT_I64:
            out[i] = (int64_t)bits;
            break;
        default:
            return hwi_fail(err, HW_EINVAL, "%s: values are %s, expected integers", r->path,
                            hwi_element_text(r->info.element));
        }
    }
    r->row_at++;
    *count = r->info.dim;
    return HW_OK;
}
