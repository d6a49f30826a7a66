/* space.h - exact distances: what "near" means for a field.
 *
 * Everything else in the index is an estimate of what this module computes. The engine's distances
 * grow with dissimilarity (records/conf.h); hwi_score turns them into what users see.
 */
#ifndef HWI_SPACE_H
#define HWI_SPACE_H

#include "kernel/kernel.h"
#include "records/records.h"

typedef struct hwi_space {
    hwi_metric metric;
    uint32_t dim;
    uint32_t row_bytes;     /* of a row in a vector page */
    uint32_t rows_per_page; /* of vector pages */
    const hwi_kernels *kernels;
} hwi_space;

void hwi_space_init(hwi_space *s, const hwi_field *field);

/* The query as the distance functions want it, dim floats: unit length under cosine, else a copy.
 */
void hwi_space_prepare(const hwi_space *s, const float *query, float *out);

/* Distances to `count` rows of a vector page, one after the other; INFINITY for rows without a
 * vector. */
void hwi_space_rows(const hwi_space *s, const float *prepared, const uint8_t *rows, size_t count,
                    float *out);
/* The same, bit for bit, for scattered rows; at most HWI_SPACE_GATHER_MAX. */
#define HWI_SPACE_GATHER_MAX 256u
void hwi_space_gather(const hwi_space *s, const float *prepared, const uint8_t *const *rows,
                      size_t count, float *out);

/* The row of a slot in a table of vector pages, NULL when there is none. */
HW_CHECKED hw_status hwi_space_row(const hwi_space *s, hwi_page_table *vecs, uint32_t slot,
                                   const uint8_t **row, hw_error *err);

#endif
