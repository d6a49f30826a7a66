/* turn.c - the writer's turn: a flag under a mutex, and conditions to wait on. */
#include "store/turn.h"

#include <time.h>

static struct timespec
timespec_of(uint64_t us)
{
    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
}

hw_status
hwi_turn_init(hwi_turn *t, hw_error *err)
{
    pthread_condattr_t attr;

    t->taken = false;
    t->wanted = 0;
    if (pthread_condattr_init(&attr) != 0) return hwi_nomem(err, sizeof attr);
    int rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0) rc = pthread_cond_init(&t->given, &attr);
    if (rc == 0 && (rc = pthread_cond_init(&t->asked, &attr)) != 0) pthread_cond_destroy(&t->given);
    pthread_condattr_destroy(&attr);
    if (rc != 0) return hwi_fail_errno(err, rc, "cannot make a condition variable");

    rc = pthread_mutex_init(&t->mutex, NULL);
    if (rc == 0) return HW_OK;
    pthread_cond_destroy(&t->given);
    pthread_cond_destroy(&t->asked);
    return hwi_fail_errno(err, rc, "cannot make a mutex");
}

void
hwi_turn_release(hwi_turn *t)
{
    pthread_mutex_destroy(&t->mutex);
    pthread_cond_destroy(&t->given);
    pthread_cond_destroy(&t->asked);
}

bool
hwi_turn_take(hwi_turn *t, uint64_t deadline_us)
{
    struct timespec until = timespec_of(deadline_us);
    int rc = 0;

    pthread_mutex_lock(&t->mutex);
    t->wanted++;
    if (t->taken) pthread_cond_signal(&t->asked);
    while (t->taken && rc == 0) rc = pthread_cond_timedwait(&t->given, &t->mutex, &until);
    t->wanted--;
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

bool
hwi_turn_is_wanted(hwi_turn *t)
{
    pthread_mutex_lock(&t->mutex);
    bool wanted = t->wanted > 0;
    pthread_mutex_unlock(&t->mutex);
    return wanted;
}

bool
hwi_turn_await(hwi_turn *t, uint64_t deadline_us)
{
    struct timespec until = timespec_of(deadline_us);
    int rc = 0;

    pthread_mutex_lock(&t->mutex);
    while (t->wanted == 0 && rc == 0) rc = pthread_cond_timedwait(&t->asked, &t->mutex, &until);
    bool wanted = t->wanted > 0;
    pthread_mutex_unlock(&t->mutex);
    return wanted;
}

hw_status
hwi_turn_busy(hw_error *err, uint32_t timeout_ms)
{
    return hwi_fail(err, HW_EBUSY, "another writer has held the database for more than %u ms",
                    timeout_ms);
}
