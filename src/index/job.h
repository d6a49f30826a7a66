/* job.h - the record of long work on an index, `job, c, v`: which generation is being built or removed,
 * by whom, and when it was last heard of. What a crash leaves behind, others find by it.
 */
#ifndef HWI_JOB_H
#define HWI_JOB_H

#include "store/store.h"

typedef enum hwi_job_phase { HWI_NO_JOB = 0, HWI_BUILDING = 1, HWI_CLEANING = 2 } hwi_job_phase;

typedef struct hwi_job {
    hwi_job_phase phase;
    uint32_t generation; /* building: the unfinished one; cleaning: the outdated one */
    uint64_t process;    /* its number ... */
    uint64_t host;       /* ... on this machine, or in this container; 0: not known */
    uint64_t beat_s;     /* seconds since 1970 */
} hwi_job;

/* The prefix of the record and of the slots noted under it. */
void hwi_job_key(hwi_key *k, uint32_t coll, uint32_t field);

/* HWI_NO_JOB when there is none. HW_ECORRUPT. */
HW_CHECKED hw_status hwi_job_get(hw_store_txn *txn, uint32_t coll, uint32_t field, hwi_job *out,
                                 hw_error *err);
/* In the name of this process, now. */
HW_CHECKED hw_status hwi_job_put(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                 hwi_job_phase phase, uint32_t generation, hw_error *err);

/* Whether another process is at it: on this machine one that runs, on another one that was heard of in
 * the last HWI_JOB_SILENCE_S seconds. */
#define HWI_JOB_SILENCE_S 300u
bool hwi_job_is_alive(const hwi_job *job);

/* Whether this generation is still being built: HW_EBUSY when another process has taken the work over. */
HW_CHECKED hw_status hwi_job_check(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                   uint32_t generation, hw_error *err);

/* Says that this process is still building the generation, at most every few seconds: *last_us is
 * the caller's memory, 0 at first. HW_EBUSY when another process has taken the work over. */
HW_CHECKED hw_status hwi_job_beat(hw_store *store, uint32_t coll, uint32_t field,
                                  uint32_t generation, uint64_t *last_us, hw_error *err);

#endif
