/* queue.h - a bounded queue of jobs and the threads that do them. Safe to share. */
#ifndef HWI_QUEUE_H
#define HWI_QUEUE_H

#include "base/base.h"

typedef struct hwi_queue hwi_queue;

/* `threads` workers call run(job) for each job in order of arrival. */
HW_CHECKED hw_status hwi_queue_new(uint32_t threads, uint32_t length, void (*run)(void *job),
                                   hwi_queue **out, hw_error *err);
/* False when `length` jobs wait already. Never blocks for longer than a few instructions. */
bool hwi_queue_push(hwi_queue *q, void *job);
/* Jobs that wait. */
size_t hwi_queue_depth(hwi_queue *q);
/* Does what waits, then ends the threads; pushing goes on being safe, and is refused. NULL is fine. */
void hwi_queue_end(hwi_queue *q);
/* Ends it, unless that was done. NULL is fine. */
void hwi_queue_free(hwi_queue *q);

#endif
