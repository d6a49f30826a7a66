/* lsh_probe.h - kind lsh: buckets by hash instead of by region, and the order in which to probe
 * them.
 *
 * The bucket number is the first hash_bits signs of the rotated vector. A bucket that differs from
 * the query's in some bits is the likelier to hold neighbours the nearer those hyperplanes lie to
 * the query: its score is the sum of the squared margins of the differing bits (query-directed
 * multi-probe, Lv et al., VLDB 2007).
 */
#ifndef HWI_LSH_PROBE_H
#define HWI_LSH_PROBE_H

#include "index/tree/tree.h"

/* Bucket number of a vector with axes coordinates y; scratch: bits floats, 64-byte aligned. */
uint32_t hwi_lsh_bucket_number(const hwi_model *m, const float *y, float *scratch);

/* Scores of all buckets for a hashed query z, smallest first to probe. */
void hwi_lsh_rank(const hwi_tree *t, const hwi_model *m, const float *z, float *scores);

#endif
