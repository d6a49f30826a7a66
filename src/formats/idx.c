/* idx.c - the format of MNIST and its relatives.
 *
 *     00 00 type count | u32 size[0] | ... | u32 size[count-1] | numbers          big-endian
 *
 * The first size is the number of rows, the others multiply to the dimension; a file of one size is
 * a list of labels, rows of one number.
 */
#include "reader.h"

#define SIZES_MAX 8u /* a picture needs 3, a film 4 or 5 */

static hw_status
read_type(hwi_reader *r, const uint8_t *head, hw_error *err)
{
    static const struct {
        uint8_t code;
        hwi_element element;
    } types[] = {{0x08, HWI_ELEMENT_U8},  {0x09, HWI_ELEMENT_I8},  {0x0b, HWI_ELEMENT_I16},
                 {0x0c, HWI_ELEMENT_I32}, {0x0d, HWI_ELEMENT_F32}, {0x0e, HWI_ELEMENT_F64}};

    if (head[0] != 0 || head[1] != 0)
        return hwi_fail(err, HW_EINVAL,
                        "%s: not an idx file: expected bytes 00 00, found %02x %02x", r->path,
                        head[0], head[1]);
    for (size_t i = 0; i < HWI_COUNT(types); i++) {
        if (types[i].code != head[2]) continue;
        r->info.element = types[i].element;
        return HW_OK;
    }
    return hwi_fail(err, HW_EINVAL, "%s: unknown idx element type %02x at byte 2", r->path,
                    head[2]);
}

static hw_status
open_idx(hwi_reader *r, hw_error *err)
{
    uint8_t head[4], size[4];
    uint64_t dim = 1;

    HWI_TRY(hwi_source_read_exact(r->source, head, sizeof head, "idx header", err));
    HWI_TRY(read_type(r, head, err));
    if (head[3] < 1 || head[3] > SIZES_MAX)
        return hwi_fail(err, HW_EINVAL, "%s: %u sizes at byte 3, expected 1 to %u", r->path,
                        head[3], SIZES_MAX);
    for (unsigned i = 0; i < head[3]; i++) {
        uint32_t n;

        HWI_TRY(hwi_source_read_exact(r->source, size, sizeof size, "idx sizes", err));
        n = (uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 | (uint32_t)size[2] << 8 | size[3];
        if (i == 0)
            r->info.rows = n;
        else
            dim *= n;
        if (dim > HW_DIM_MAX) break; /* before it can overflow; refused below */
    }
    r->layout.big_endian = true;
    HWI_TRY(hwi_dense_check_size(r, dim, err));
    r->info.dim = (uint32_t)dim;
    return HW_OK;
}

const hwi_reader_ops hwi_idx_reader = {.name = "idx", .open = open_idx};
