/* model.h - what a generation learned from the data: where the space's centre is, along which axes
 * it stretches, and the random signs of its hash functions.
 *
 *     x (dim, as given) --frame--> centred or of unit length --axes--> y (dc) --hash--> z (bits)
 *
 * frame: minus the mean under l2 and l1, scaled to unit length under cosine, untouched under dot.
 * axes: the leading principal axes, orthonormal rows, so distances in y never exceed distances in
 * x. z keeps y's length and spreads it evenly over `bits` coordinates; each sign of a z is a
 * random-hyperplane hash (Charikar 2002), and together they estimate inner products without bias
 * (RaBitQ, Gao and Long, SIGMOD 2024, section 3).
 *
 * Immutable once made; shared by reference count between threads.
 */
#ifndef HWI_MODEL_H
#define HWI_MODEL_H

#include "index/space.h"

#define HWI_PART_PAGES_MAX 8u
#define HWI_CODE_BITS 4u /* what new generations take */

typedef struct hwi_model {
    atomic_int refs;
    uint32_t generation;
    hwi_metric metric;
    hwi_index_kind kind;
    uint32_t dim;
    uint32_t dc;        /* principal axes kept, a multiple of 8 unless all are */
    uint32_t out_dims;  /* dc rounded up to 16: rows of `columns` */
    uint32_t rank_dims; /* dc rounded up to 8: components of an anchor's int8 block */
    uint32_t bits, words;
    uint32_t leaf_size;
    uint32_t hash_bits;  /* kind lsh: bits of the bucket number */
    uint32_t part_pages; /* pages of 4 kB to a refine part; 0: as many as format 1 took */
    uint32_t code_bits;  /* of a component in a refine code: 4, or 8 as before format 3 */
    uint64_t seed;
    float kap;      /* typical error of <v, z> per unit of |query part|: measured at build */
    float *mean;    /* dim; NULL when the frame does not subtract */
    float *axes;    /* dc rows of dim */
    float *columns; /* dim columns of out_dims: axes turned, for the matvec kernel */
    float *panels;  /* axes packed for products (hwi_pack_panels) */
    float *signs;   /* 2 * bits, +-1/sqrt(bits) */
    int8_t *fast;   /* axes as int8 blocks for wide vectors; NULL up to 128 dimensions */
    float *fast_scale, *fast_sum; /* out_dims each */
    uint32_t fast_dims;           /* dim rounded up to 8 */
    const hwi_kernels *kernels;
} hwi_model;

/* What training may choose; zeros are filled in from the data. */
typedef struct hwi_model_plan {
    uint32_t generation, bits, leaf_size;
    uint64_t seed;
} hwi_model_plan;

/* Trains on `rows` rows of `dim` floats (already in no frame: as given, inv_norm beside them),
 * `total` being how many vectors the index will hold. HW_ENOMEM; HW_EINVAL when the eigenvalues do
 * not converge. */
HW_CHECKED hw_status hwi_model_train(const hwi_field *field, const hwi_model_plan *plan,
                                     const float *rows, const float *inv_norm, size_t count,
                                     uint64_t total, hwi_model **out, hw_error *err);

/* The stored form (a blob under `model, c, v, g`) and back (HW_ECORRUPT). */
void hwi_model_encode(const hwi_model *m, hwi_buf *out);
HW_CHECKED hw_status hwi_model_decode(const hwi_field *field, uint32_t generation, hw_bytes blob,
                                      hwi_model **out, hw_error *err);
hwi_model *hwi_model_ref(hwi_model *m);
void hwi_model_unref(hwi_model *m); /* NULL is fine */

/* x as given to the frame; out has dim floats. */
void hwi_model_frame(const hwi_model *m, const float *x, float inv_norm, float *out);
/* y of a framed vector; y has out_dims floats, those from dc on are 0. */
void hwi_model_axes(const hwi_model *m, const float *framed, float *y);
/* The same a little less precisely and several times faster for wide vectors: for queries. q8,
 * q8_scale: the framed vector by hwi_quantize_i8, padded to fast_dims at least; bytes: scratch of
 * fast_dims. */
void hwi_model_axes_fast(const hwi_model *m, const float *framed, const int8_t *q8, float q8_scale,
                         uint8_t *bytes, float *y);
/* y of `count` framed rows at once (row i at framed + i * dim), bit for bit as hwi_model_axes makes
 * it; y rows have dc floats. */
void hwi_model_axes_many(const hwi_model *m, const float *framed, size_t count, float *y);
/* z of y; z has `bits` floats, 64-byte aligned. */
void hwi_model_hash(const hwi_model *m, const float *y, float *z);

#endif
