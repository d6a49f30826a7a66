/* page.h - a leaf as it lies in the store: its centre, its vectors' signatures in bucket order,
 * their refine codes.
 *
 * Part 0, the signature page, starts with the page header (records/pages.h; own fields: count, dim,
 * dc, words, radius):
 *
 *     blocks   ceil(count / 16) x [words x 16 u32 | A 16 f32 | S 16 f32]
 *     slots    count u32
 *     centre   dim f32, framed: the mean of the members when the leaf was made
 *     pcentre  dc f32: the same on the principal axes
 *
 * Blocks lie at multiples of 64 bytes in the store's map.
 *
 * Parts 1, 2 ... hold the refine rows of hwi_leaf_rows_per_part vectors each: codes, A2 f32, S2
 * f32. A code of 4 bits a component is two components to a byte, j and half + j, where half is half
 * of dim padded to 32; one of 8 bits (generations before model format 3) a byte each, padded to 16.
 *
 * With r = x - centre the estimate of a squared distance is A + D - S * <v, z(q)>, where D = |q -
 * centre|^2, v the signature as +-1/2, and A = |r|^2 + S * <v, z(centre)>: the centre's part is
 * folded in, so one hashed query serves every leaf (docs/concepts.md). The refine code is r in 4 or 8 bits
 * a component: A2 + D - S2 * <code, q>. Under dot D = -<q, centre>, A = A2 = 0 and S, S2 are half as
 * large, which estimates -<q, x>.
 *
 * Leaves of kind kdtree, and all under l1, have words = 0: no blocks and no refine parts, their rows
 * are compared exactly.
 */
#ifndef HWI_LEAF_PAGE_H
#define HWI_LEAF_PAGE_H

#include "index/lsh/model.h"

#define HWI_LEAF_ROWS_MAX 1536u /* keeps the signature page below 90 kB at 256 bits */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pages are read in place");

/* A signature page taken apart; everything borrowed from its bytes. */
typedef struct hwi_leaf_page {
    const uint8_t *blocks;
    const uint32_t *slots;
    const float *centre, *pcentre;
    uint32_t count, block_count;
    float radius; /* no member is farther from the centre, in the frame */
} hwi_leaf_page;

/* Sizes that follow from a model. */
static inline size_t
hwi_leaf_block_bytes(const hwi_model *m)
{
    return m->words ? HWI_SIGNATURE_BLOCK_BYTES(m->words) : 0;
}
/* Components of a refine code, of which those from dim on are nothing. */
static inline uint32_t
hwi_leaf_code_dims(const hwi_model *m)
{
    return m->code_bits == 4 ? (m->dim + 31) / 32 * 32 : (m->dim + 15) / 16 * 16;
}
static inline uint32_t
hwi_leaf_code_bytes(const hwi_model *m)
{
    return hwi_leaf_code_dims(m) * m->code_bits / 8;
}
/* What stands for 0 in a code. */
static inline int32_t
hwi_leaf_code_zero(const hwi_model *m)
{
    return m->code_bits == 4 ? 8 : 128;
}
static inline uint32_t
hwi_leaf_row_bytes(const hwi_model *m)
{
    return hwi_leaf_code_bytes(m) + 8;
}
uint32_t hwi_leaf_rows_per_part(const hwi_model *m);
/* What a new generation takes for model.part_pages. */
uint32_t hwi_leaf_part_pages(const hwi_model *m);
size_t hwi_leaf_page_bytes(const hwi_model *m, uint32_t count);
/* Most rows a signature page may hold; a leaf is split before. */
uint32_t hwi_leaf_rows_max(const hwi_model *m);

/* Takes a page apart after checking every bound (not the checksum). The bytes must be 4-byte
 * aligned. HW_ECORRUPT. */
HW_CHECKED hw_status hwi_leaf_parse(const hwi_model *m, hw_bytes page, hwi_leaf_page *out,
                                    hw_error *err);

/* ---- encoding one vector ---- */

/* A leaf's centre in all three spaces. */
typedef struct hwi_centre {
    const float *x; /* dim */
    const float *y; /* dc */
    const float *z; /* bits */
} hwi_centre;

typedef struct hwi_code {
    uint32_t words[HWI_BITS_MAX / 32];
    float a, s;      /* signature */
    float ra, rs;    /* refine */
    float radius_sq; /* |r|^2 */
    float
        error; /* sqrt of the signature's error variance per unit of |q|: averaged into model.kap */
} hwi_code;

/* Encodes a framed vector x with axes coordinates y relative to a centre. codes:
 * hwi_leaf_code_bytes. scratch: hwi_lsh_scratch_floats, 64-byte aligned. */
void hwi_lsh_encode(const hwi_model *m, const hwi_centre *centre, const float *x, const float *y,
                    float *scratch, hwi_code *out, uint8_t *codes);
static inline size_t
hwi_lsh_scratch_floats(const hwi_model *m)
{
    size_t dims = (m->dim + 15u) / 16 * 16;
    return 2u * m->bits + 2 * dims + (m->dim + 31u) / 32 * 32 / sizeof(float);
}

/* The signature's first bits name the bucket inside a leaf. */
static inline uint32_t
hwi_lsh_bucket(uint32_t first_word)
{
    return first_word & 15u;
}

#endif
