/* rules.h - scores made of several similarities, and the scan that computes them.
 */
#ifndef HWI_RULES_H
#define HWI_RULES_H

#include "query/aim.h"

#define HWI_BLOCK 64u /* slots scored at a time */

/* What a point is compared with: one vector, prepared. */
typedef struct hwi_operand {
    const float *rows; /* dense and multi: as index/space.h wants them */
    uint32_t row_count;
    hw_bytes pairs; /* sparse: packed */
} hwi_operand;

/* rules.c: scores[i] of `count` slots, greater is better, from similarities[e * HWI_BLOCK + i] to
 * operand e. Operands as in hwi_scan. */
void hwi_rule_scores(hw_rule rule, const float *similarities, size_t operands, size_t positives,
                     size_t count, float *scores);

/* multi.c: similarity of a stored multi-vector (its packed form) to a query's rows: the sum, over
 * these, of the best similarity to a stored row. scratch has room for HWI_BLOCK floats. */
struct hwi_space;
float hwi_max_sim(const struct hwi_space *space, const hwi_operand *operand, hw_bytes stored,
                  float *scratch);

/* scan.c: the k accepted slots of greatest score among all that have the vector, best first, as
 * distances: negated. For every rule but AVERAGE (whose target is NEAREST's). Exact. */
HW_CHECKED hw_status hwi_scan(hwi_view *view, const hwi_view_field *field, hw_rule rule,
                              const hwi_aim *aim, uint32_t k, float max_distance,
                              const hwi_accept *accept, hwi_trace *trace, hwi_hit *hits,
                              uint32_t *count, hw_error *err);

#endif
