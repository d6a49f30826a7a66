/* lsh_lineup.h - the leaves of a search in order of their scores, as few or many as it turns out to need.
 */
#ifndef HWI_LSH_LINEUP_H
#define HWI_LSH_LINEUP_H

#include "index/scratch.h"

#define HWI_LINEUP_STRIP 32u /* leaves put in order at a time */

/* Some leaves are picked, nearest first, and of these a strip at a time is put in order, into
 * s->ranked. What was taken out of scores or picked_score leaves INFINITY there. */
typedef struct hwi_lineup {
    hwi_scratch *s; /* scores are its own */
    const hwi_model *model;
    const hwi_tree *tree;
    /* |framed query|^2: leaves picked stand there with squared distances from it to their anchors, those
     * that bytes do not tell well enough measured anew. 0: with their scores. */
    float length_sq;
    uint32_t own;   /* leaf whose distance, then, is enlarged: UINT32_MAX for none, */
    float own_more; /* by this factor */
    bool is_exact;  /* s->y was found in floats */
    uint32_t count, picked, ordered; /* leaves in all; of them picked; of these ranked in order */
    uint32_t pool;                   /* length of s->picked */
} hwi_lineup;

/* The leaf whose anchor is nearest, as well as it can be told. */
uint32_t hwi_lineup_nearest(const hwi_lineup *l);

/* Picks about `want` of those not picked yet, the nearest; all that were picked are in order. */
void hwi_lineup_pick(hwi_lineup *l, uint32_t want);

/* Sees to it that the leaf at `place` is in order; false if there is none. */
bool hwi_lineup_has(hwi_lineup *l, uint32_t place);

#endif
