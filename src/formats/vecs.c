/* vecs.c - fvecs, bvecs, ivecs: the files of the TEXMEX collection (SIFT1M, GIST1M).
 *
 *     i32 dim | dim values | i32 dim | dim values | ...      little-endian; f32, u8 or i32
 *
 * There is no header: the first row's dimension is the file's, and a plain file's size tells the
 * number of rows, so that a cut-off file is noticed at open.
 */
#include "reader.h"

static hw_status
open_vecs(hwi_reader *r, hwi_element element, hw_error *err)
{
    uint8_t head[4];
    size_t got;
    uint64_t size = hwi_source_size(r->source), stride;
    uint32_t dim;

    r->info.element = element;
    r->layout.prefix = 4;
    HWI_TRY(hwi_source_read(r->source, head, sizeof head, &got, err));
    if (got == 0) {
        r->info.rows = 0;
        return HW_OK;
    }
    if (got < sizeof head)
        return hwi_fail(err, HW_EINVAL,
                        "%s: truncated at byte 0: expected 4 bytes of dimension, found %zu",
                        r->path, got);
    dim = hwi_get_u32(head);
    HWI_TRY(hwi_dense_check_size(r, dim, err));
    r->info.dim = dim;
    stride = 4 + (uint64_t)dim * hwi_element_bytes(element);
    if (size != HWI_SIZE_UNKNOWN && size % stride != 0)
        return hwi_fail(err, HW_EINVAL,
                        "%s: truncated: rows of %llu bytes, expected a multiple of that, found "
                        "%llu bytes",
                        r->path, (unsigned long long)stride, (unsigned long long)size);
    if (size != HWI_SIZE_UNKNOWN) r->info.rows = size / stride;
    hwi_source_back(r->source,
                    sizeof head); /* rows start at byte 0: the dimension is the first's */
    return HW_OK;
}

static hw_status
open_fvecs(hwi_reader *r, hw_error *err)
{
    return open_vecs(r, HWI_ELEMENT_F32, err);
}

static hw_status
open_bvecs(hwi_reader *r, hw_error *err)
{
    return open_vecs(r, HWI_ELEMENT_U8, err);
}

static hw_status
open_ivecs(hwi_reader *r, hw_error *err)
{
    return open_vecs(r, HWI_ELEMENT_I32, err);
}

const hwi_reader_ops hwi_fvecs_reader = {.name = "fvecs", .open = open_fvecs};
const hwi_reader_ops hwi_bvecs_reader = {.name = "bvecs", .open = open_bvecs};
const hwi_reader_ops hwi_ivecs_reader = {.name = "ivecs", .open = open_ivecs};
