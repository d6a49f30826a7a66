/* turn.c - the writer's turn: a flag under a mutex, and a condition to wait on. */
#include "store/turn.h"

#include <time.h>

hw_status
hwi_turn_init(hwi_turn *t, hw_error *err)
{
    pthread_condattr_t attr;

    t->taken = false;
    if (pthread_condattr_init(&attr) != 0) return hwi_nomem(err, sizeof attr);
    int rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0) rc = pthread_cond_init(&t->given, &attr);
    pthread_condattr_destroy(&attr);
    if (rc != 0) return hwi_fail_errno(err, rc, "cannot make a condition variable");

    rc = pthread_mutex_init(&t->mutex, NULL);
    if (rc == 0) return HW_OK;
    pthread_cond_destroy(&t->given);
    return hwi_fail_errno(err, rc, "cannot make a mutex");
}

void
hwi_turn_release(hwi_turn *t)
{
    pthread_mutex_destroy(&t->mutex);
    pthread_cond_destroy(&t->given);
}

bool
hwi_turn_take(hwi_turn *t, uint64_t deadline_us)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_us / 1000000),
                             .tv_nsec = (long)(deadline_us % 1000000) * 1000};
    int rc = 0;

    pthread_mutex_lock(&t->mutex);
    while (t->taken && rc == 0) rc = pthread_cond_timedwait(&t->given, &t->mutex, &until);
    bool mine = !t->taken;
    if (mine) t->taken = true;
    pthread_mutex_unlock(&t->mutex);
    return mine;
}

void
hwi_turn_give(hwi_turn *t)
{
    pthread_mutex_lock(&t->mutex);
    t->taken = false;
    pthread_cond_signal(&t->given);
    pthread_mutex_unlock(&t->mutex);
}

hw_status
hwi_turn_busy(hw_error *err, uint32_t timeout_ms)
{
    return hwi_fail(err, HW_EBUSY, "another writer has held the database for more than %u ms",
                    timeout_ms);
}
