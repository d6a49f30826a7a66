/* npy.c - NumPy's array files, versions 1 to 3.
 *
 *     93 NUMPY major minor | u16 or u32 header bytes | {'descr': '<f4', 'fortran_order': False,
 *     'shape': (60000, 784), } padding \n | numbers
 *
 * The header is a Python literal of three known keys, always written by NumPy itself; we read that
 * shape of text and nothing cleverer. Structured and Fortran-ordered arrays are refused with the
 * call that mends them. One axis is a single vector.
 */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADER_BYTES_MAX 65536u

/* The text after `'key':`, blanks skipped; NULL when there is no such key. */
static const char *
after_key(const char *header, const char *key)
{
    char quoted[32];
    const char *at;

    snprintf(quoted, sizeof quoted, "'%s'", key);
    at = strstr(header, quoted);
    if (at == NULL) return NULL;
    at += strlen(quoted);
    while (*at == ' ') at++;
    if (*at != ':') return NULL;
    at++;
    while (*at == ' ') at++;
    return at;
}

static hw_status
read_descr(hwi_reader *r, const char *header, hw_error *err)
{
    static const struct {
        char code[3];
        hwi_element element;
    } types[] = {{"u1", HWI_ELEMENT_U8},  {"i1", HWI_ELEMENT_I8},  {"i2", HWI_ELEMENT_I16},
                 {"i4", HWI_ELEMENT_I32}, {"i8", HWI_ELEMENT_I64}, {"f2", HWI_ELEMENT_F16},
                 {"f4", HWI_ELEMENT_F32}, {"f8", HWI_ELEMENT_F64}};
    const char *at = after_key(header, "descr");

    if (at == NULL || *at != '\'')
        return hwi_fail(err, HW_EINVAL, "%s: npy header has no plain 'descr'", r->path);
    for (size_t i = 0; strchr("<>|=", at[1]) && at[1] && i < HWI_COUNT(types); i++) {
        if (strncmp(at + 2, types[i].code, 2) != 0 || at[4] != '\'') continue;
        r->info.element = types[i].element;
        r->layout.big_endian = at[1] == '>';
        return HW_OK;
    }
    return hwi_fail(err, HW_EINVAL,
                    "%s: npy elements '%.*s', expected one of u1 i1 i2 i4 i8 f2 f4 f8", r->path,
                    (int)strcspn(at + 1, "'\n"), at + 1);
}

/* "(60000, 784)" or "(784,)": at most two sizes. */
static hw_status
read_shape(hwi_reader *r, const char *header, uint64_t sizes[2], unsigned *count, hw_error *err)
{
    const char *at = after_key(header, "shape");

    *count = 0;
    if (at == NULL || *at++ != '(')
        return hwi_fail(err, HW_EINVAL, "%s: npy header has no 'shape'", r->path);
    while (*at != ')') {
        char *end;
        uint64_t n = strtoull(at, &end, 10);

        if (end == at || *at == '-' || *at == '+')
            return hwi_fail(err, HW_EINVAL, "%s: malformed npy shape near '%.20s'", r->path, at);
        if (*count == 2)
            return hwi_fail(err, HW_EINVAL,
                            "%s: npy array of more than 2 axes; save a.reshape(len(a), -1)",
                            r->path);
        sizes[(*count)++] = n;
        at = end;
        while (*at == ' ' || *at == ',' || *at == 'L') at++;
    }
    return HW_OK;
}

static hw_status
read_header(hwi_reader *r, char *header, size_t *bytes, hw_error *err)
{
    uint8_t head[8], length[4] = {0};
    unsigned length_bytes;

    HWI_TRY(hwi_source_read_exact(r->source, head, sizeof head, "npy header", err));
    if (memcmp(head, "\x93NUMPY", 6) != 0)
        return hwi_fail(err, HW_EINVAL, "%s: not an npy file: byte 0 does not start \\x93NUMPY",
                        r->path);
    if (head[6] < 1 || head[6] > 3)
        return hwi_fail(err, HW_EINVAL, "%s: npy version %u, expected 1 to 3", r->path, head[6]);
    length_bytes = head[6] == 1 ? 2 : 4;
    HWI_TRY(hwi_source_read_exact(r->source, length, length_bytes, "npy header length", err));
    *bytes = hwi_get_u32(length);
    if (*bytes > HEADER_BYTES_MAX)
        return hwi_fail(err, HW_EINVAL, "%s: npy header of %zu bytes is above the maximum %u",
                        r->path, *bytes, HEADER_BYTES_MAX);
    HWI_TRY(hwi_source_read_exact(r->source, header, *bytes, "npy header", err));
    header[*bytes] = 0;
    return HW_OK;
}

static hw_status
read_fields(hwi_reader *r, const char *header, hw_error *err)
{
    uint64_t sizes[2] = {0};
    unsigned count;
    const char *order = after_key(header, "fortran_order");

    HWI_TRY(read_descr(r, header, err));
    HWI_TRY(read_shape(r, header, sizes, &count, err));
    if (count == 0) return hwi_fail(err, HW_EINVAL, "%s: npy array without axes", r->path);
    if (order == NULL)
        return hwi_fail(err, HW_EINVAL, "%s: npy header has no 'fortran_order'", r->path);
    if (strncmp(order, "True", 4) == 0 && count == 2)
        return hwi_fail(err, HW_EINVAL,
                        "%s: npy array in Fortran order; save numpy.ascontiguousarray(a)", r->path);
    r->info.rows = count == 2 ? sizes[0] : 1;
    HWI_TRY(hwi_dense_check_size(r, sizes[count - 1], err));
    r->info.dim = (uint32_t)sizes[count - 1];
    return HW_OK;
}

static hw_status
open_npy(hwi_reader *r, hw_error *err)
{
    char *header = hwi_alloc(HEADER_BYTES_MAX + 1);
    size_t bytes;
    hw_status st;

    if (header == NULL) return hwi_nomem(err, HEADER_BYTES_MAX + 1);
    st = read_header(r, header, &bytes, err);
    if (st == HW_OK) st = read_fields(r, header, err);
    hwi_free(header);
    return st;
}

const hwi_reader_ops hwi_npy_reader = {.name = "npy", .open = open_npy};
