/* janitor.c - lets go of stale views in a process that does not write.
 *
 * A cached view holds a read transaction, and a store keeps every page freed since that began. When
 * this process commits it drops its views itself; but a process that only reads, and then has
 * nothing to do, would never hear of another's commits, and the file would grow for as long as it
 * sleeps. So one thread per database looks once a second whether the store has moved on. It sleeps
 * otherwise, holds no lock while it does, and takes no part in queries.
 *
 * The road not taken: ending the read transaction after every query. That costs more than a small
 * query itself, as every page would have to be looked up again. */
#include <time.h>

#include "api/api.h"

#define INTERVAL_S 1

struct hwi_janitor {
    hwi_snapshots *snapshots;
    pthread_t thread;
    pthread_mutex_t lock; /* guards is_stopping */
    pthread_cond_t wake;
    bool is_stopping;
};

static void *
run(void *arg)
{
    struct hwi_janitor *j = arg;
    pthread_mutex_lock(&j->lock);
    while (!j->is_stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += INTERVAL_S;
        pthread_cond_timedwait(&j->wake, &j->lock, &until);
        if (j->is_stopping) break;
        pthread_mutex_unlock(&j->lock);
        hwi_snapshots_drop(j->snapshots, true);
        pthread_mutex_lock(&j->lock);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

hw_status
hwi_janitor_start(hwi_snapshots *snapshots, struct hwi_janitor **out, hw_error *err)
{
    pthread_condattr_t monotonic;
    struct hwi_janitor *j = hwi_alloc_zero(sizeof *j);
    *out = NULL;
    if (!j) return hwi_nomem(err, sizeof *j);
    j->snapshots = snapshots;
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int failed = pthread_create(&j->thread, NULL, run, j);
    if (failed) {
        pthread_cond_destroy(&j->wake);
        pthread_mutex_destroy(&j->lock);
        hwi_free(j);
        return hwi_fail_errno(err, failed, "cannot start a thread");
    }
    *out = j;
    return HW_OK;
}

void
hwi_janitor_stop(struct hwi_janitor *j)
{
    if (!j) return;
    pthread_mutex_lock(&j->lock);
    j->is_stopping = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    hwi_free(j);
}
