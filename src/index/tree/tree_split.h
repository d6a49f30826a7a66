/* tree_split.h - the geometry of cutting a set of points in two.
 */
#ifndef HWI_TREE_SPLIT_H
#define HWI_TREE_SPLIT_H

#include "base/base.h"

/* The direction of largest spread of n points of dc floats (power iteration, Golub and Van
 * Loan 8.2), unit length. scratch: hwi_direction_scratch floats. Deterministic. */
size_t hwi_direction_scratch(size_t n, uint32_t dc);
void hwi_principal_direction(const float *y, size_t n, uint32_t dc, float *direction,
                             float *scratch);

/* Cuts n >= 2 points into two clusters: halves along the principal direction, then a few steps of
 * 2-means. Neither side gets fewer than n / 8 points; where 2-means would leave less, the halves
 * stay.
 *
 * side      n bytes: 0 or 1 for each point
 * means     2 * dc floats: of the two sides
 * direction dc floats, *split: the plane between them
 * spherical clusters by angle: anchors are of unit length (cosine) */
HW_CHECKED hw_status hwi_tree_halve(const float *y, size_t n, uint32_t dc, bool spherical,
                                    uint8_t *side, float *means, float *direction, float *split,
                                    hw_error *err);

/* Scales v to unit length, unless it is zero. */
void hwi_unit(float *v, uint32_t n);

#endif
