/* calibrate.h - what it takes to reach a recall: measured on the data themselves, kept with the
 * index.
 *
 * After a build, and again when a third of the data have changed, sampled vectors are searched for
 * exactly and then with a grid of settings; for each k the settings on the frontier of recall
 * against work are kept. A query that asks for recall .95 gets the cheapest setting that reached it
 * (docs/tuning.md).
 */
#ifndef HWI_CALIBRATE_H
#define HWI_CALIBRATE_H

#include <math.h>

#include "store/store.h"

/* How far a search goes. Leaves are opened nearest first, and with `reach` until
 *
 *     place * (D / d_k)^3 > reach
 *
 * where place is 1, 2, 3 ... for the first leaf, the second ..., D the squared distance from the query
 * to its anchor and d_k that of the k-th best found so far. A query among many vectors goes on long
 * after one that sits in a tight cluster has stopped, and one whose filter lets only far vectors
 * through goes on until they are found (docs/concepts.md). */
typedef struct hwi_effort {
    uint32_t leaves; /* opened on average; exactly so many when reach is 0 */
    uint32_t extra;  /* candidates beyond k that get a full-precision distance */
    float eps;       /* width of the signatures' confidence bound, in typical errors; or ... */
    float recall;    /* measured */
    float reach;     /* 0: none, the number of leaves says it (dot, l1, kinds kdtree and lsh) */
} hwi_effort;

/* ... this eps: codes do not tell near rows apart, all rows of opened leaves are measured. */
#define HWI_EPS_MEASURED INFINITY

typedef struct hwi_calibration_row {
    uint32_t k;
    hwi_effort effort;
} hwi_calibration_row;

typedef struct hwi_calibration {
    atomic_int refs;
    uint64_t vectors; /* in the index when measured */
    uint32_t leaves;  /* likewise */
    uint32_t samples; /* queries measured with */
    uint32_t count;
    hwi_calibration_row *rows; /* by k, then recall, both ascending */
} hwi_calibration;

/* The effort for a k and recall asked for, among `leaves` leaves of about `leaf_size` vectors. cal
 * may be NULL (not calibrated yet): a cautious guess. Between the k that were measured it
 * interpolates, above the last it extrapolates; but where the leaves opened for that one hold fewer than
 * k rows, as with clusters smaller than k, nothing is known of what comes then, and all are opened. */
hwi_effort hwi_calibration_pick(const hwi_calibration *cal, uint32_t k, double recall,
                                uint32_t leaves, uint32_t leaf_size);

/* Whether a k is none beyond those measured. cal may be NULL. */
bool hwi_calibration_covers(const hwi_calibration *cal, double k);

HW_CHECKED hw_status hwi_calibration_new(uint32_t rows, hwi_calibration **out, hw_error *err);
hwi_calibration *hwi_calibration_ref(hwi_calibration *c);
void hwi_calibration_unref(hwi_calibration *c); /* NULL is fine */

/* The stored form and back (HW_ECORRUPT). */
void hwi_calibration_encode(const hwi_calibration *c, hwi_buf *out);
HW_CHECKED hw_status hwi_calibration_decode(hw_bytes value, hwi_calibration **out, hw_error *err);

#endif
