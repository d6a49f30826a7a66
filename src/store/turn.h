/* turn.h - the writer's turn: one holder at a time, others wait for a bounded while.
 *
 * Not a mutex, because POSIX offers no wait against the monotonic clock for one, and because a
 * mutex must be unlocked by the thread that locked it. Safe to share between threads.
 */
#ifndef HWI_TURN_H
#define HWI_TURN_H

#include <pthread.h>

#include "base/base.h"

typedef struct hwi_turn {
    pthread_mutex_t mutex; /* guards taken and wanted */
    pthread_cond_t given, asked;
    bool taken;
    uint32_t wanted; /* threads that wait for it */
} hwi_turn;

HW_CHECKED hw_status hwi_turn_init(hwi_turn *t, hw_error *err);
void hwi_turn_release(hwi_turn *t);

/* Waits until the turn is free or hwi_clock_us() reaches deadline_us; whether it was taken. */
HW_CHECKED bool hwi_turn_take(hwi_turn *t, uint64_t deadline_us);
void hwi_turn_give(hwi_turn *t);
/* For its holder: whether a thread waits for the turn; and the same after waiting for one until
 * deadline_us. */
bool hwi_turn_is_wanted(hwi_turn *t);
bool hwi_turn_await(hwi_turn *t, uint64_t deadline_us);

/* The failure of every backend whose writer has waited too long. */
hw_status hwi_turn_busy(hw_error *err, uint32_t timeout_ms);

#endif
