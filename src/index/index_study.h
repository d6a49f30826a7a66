/* index_study.h - sampled queries walked through the leaves: what a calibration is chosen from.
 */
#ifndef HWI_INDEX_STUDY_H
#define HWI_INDEX_STUDY_H

#include "index/index_calibrate.h"

#define HWI_STUDY_KS 4u
#define HWI_STUDY_DEEP 3u     /* the last of them, which few samples look for */
#define HWI_STUDY_WIDTHS 9u   /* of the signatures' bound; ... */
#define HWI_STUDY_MEASURED 8u /* ... with the last, every row of an opened leaf is measured */
#define HWI_STUDY_POINTS 56u  /* reaches at most, */
#define HWI_STUDY_NEAR 48u    /* and of walks by codes */
#define HWI_STUDY_DEPTHS 4u   /* candidates beyond k */

extern const uint32_t hwi_study_ks[HWI_STUDY_KS];
extern const float hwi_study_widths[HWI_STUDY_WIDTHS];
extern const uint32_t hwi_study_extras[HWI_STUDY_KS][HWI_STUDY_DEPTHS];

/* Found and work, summed over queries, for one setting. */
typedef struct hwi_study_cell {
    uint64_t found[HWI_STUDY_DEPTHS];
    double work; /* without the last comparison of k and more */
    uint64_t leaves;
    uint32_t queries; /* that were walked this far */
} hwi_study_cell;

typedef struct hwi_study {
    hwi_index_view *v;
    uint32_t samples;
    uint32_t every[HWI_STUDY_KS];        /* one sample in so many is walked for a k; 0: none */
    uint32_t survey_every[HWI_STUDY_KS]; /* and one in so many surveys */
    uint32_t *slot;                      /* of each sample */
    hwi_top *truth;                      /* of each the nearest, itself included */
    hwi_top_entry *entries;              /* their memory */
    float *prepared;                     /* samples x dim */
    float at[HWI_STUDY_POINTS];          /* reaches */
    uint32_t points, near; /* of them; of these those that walks by codes go through */
    uint32_t most;         /* leaves that a walk opens */
    bool by_reach;
    uint32_t walked[HWI_STUDY_KS][HWI_STUDY_WIDTHS]; /* points that a round walks */
    bool survey;                                     /* the round under way is one */
    hwi_study_cell *cells; /* [k][width][point]; one such table a group of queries */
    hw_status *status;
} hwi_study;

/* Samples vectors evenly and finds their true neighbours. Released in any case. */
HW_CHECKED hw_status hwi_study_init(hwi_study *s, hwi_index_view *v, uint32_t threads,
                                    hw_error *err);
void hwi_study_release(hwi_study *s);

/* Chooses the reaches to look at, for walks of so many leaves. */
void hwi_study_set_points(hwi_study *s, uint32_t leaves);

/* Walks queries as `walked` says, those that survey or the others, and adds to cells. */
HW_CHECKED hw_status hwi_study_walk(hwi_study *s, bool survey, uint32_t threads, hw_error *err);

/* The cells of one k and width, by point. */
static inline hwi_study_cell *
hwi_study_cells(const hwi_study *s, uint32_t which_k, uint32_t width)
{
    return s->cells + ((size_t)which_k * HWI_STUDY_WIDTHS + width) * HWI_STUDY_POINTS;
}

#endif
