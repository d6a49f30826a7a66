/* state.h - which generation of an index serves, and how large it is.
 */
#ifndef HWI_STATE_H
#define HWI_STATE_H

#include "store/wants.h"

typedef struct hwi_index_state {
    uint32_t generation;      /* in use; 0: none, everything is compared exactly */
    uint32_t next_generation; /* number the next build takes, from 1 */
    uint32_t calibration;     /* raised by every calibration of the generation; 0: none yet */

    uint64_t vectors;                      /* points that have this vector */
    uint64_t changes;                      /* vectors inserted and removed since the calibration */
    uint64_t vectors_since, changes_since; /* of those, counted since the record was written */

    uint32_t next_node;             /* nodes of the generation are numbered below this */
    uint32_t leaves;                /* leaves now */
    uint64_t splits, merges, moved; /* since the generation was built */
} hwi_index_state;

/* Absent: all zero but next_generation 1. A write transaction that has read the state fails when
 * another one puts it, not when another one grows it. HW_ECORRUPT. */
HW_CHECKED hw_status hwi_state_get(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                   hwi_index_state *out, hw_error *err);
/* Adds the keys that hwi_state_get reads. */
void hwi_state_want(hwi_wants *wants, uint32_t coll, uint32_t field);
/* The whole state: a generation that begins, serves or has been calibrated. vectors_since and
 * changes_since as read. */
HW_CHECKED hw_status hwi_state_put(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                   const hwi_index_state *state, hw_error *err);
/* What vectors that join and leave change: two writers may do so at once unless both change the
 * tree's shape. */
HW_CHECKED hw_status hwi_state_grow(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                    const hwi_index_state *before, const hwi_index_state *after,
                                    hw_error *err);

/* The prefix (sub, c, v, g) of one generation's keys. */
void hwi_generation_key(hwi_key *k, hwi_sub sub, uint32_t coll, uint32_t field,
                        uint32_t generation);

#endif
