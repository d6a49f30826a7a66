/* network.c - futures, and the one thread that makes them ready.
 *
 * Everything asked for waits in a queue for its time. The thread of fdb_run_network takes what is
 * due, carries it out (`act`, for commits and on_error), marks it ready and calls its callback,
 * without the lock. It also ends transactions whose time is over.
 *
 * A commit whose transaction is cancelled or timed out on the way stays in the queue under a future
 * that nobody holds, as a request that has left for the servers does.
 */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POLL_US 5000u /* for what other processes change */
#define API_MAX 730

pthread_mutex_t sd_lock = PTHREAD_MUTEX_INITIALIZER;
sd_plan sd_faults = {.slow_us = 2000, .step = 2000};
fdb_standin_counts sd_counts;

static pthread_cond_t changed; /* the queue, or something has become ready */
static FDBFuture *queue;       /* by due_us, then first come */
enum { UNSET, CHOSEN, SET_UP, RUNNING, STOPPED };
static _Atomic int state;
static bool to_stop;
static pthread_t thread;

uint64_t
sd_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* ---- the queue */

static void
unqueue(FDBFuture *f)
{
    if (!f->is_queued) return;
    if (f->queue_prev)
        f->queue_prev->queue_next = f->queue_next;
    else
        queue = f->queue_next;
    if (f->queue_next) f->queue_next->queue_prev = f->queue_prev;
    f->queue_prev = f->queue_next = NULL;
    f->is_queued = false;
}

static void
enqueue(FDBFuture *f, uint64_t due_us)
{
    FDBFuture **at = &queue, *before = NULL;

    for (; *at && (*at)->due_us <= due_us; at = &(*at)->queue_next) before = *at;
    f->due_us = due_us;
    f->queue_prev = before;
    f->queue_next = *at;
    if (*at) (*at)->queue_prev = f;
    *at = f;
    f->is_queued = true;
    pthread_cond_broadcast(&changed);
}

void
sd_future_send_at(FDBFuture *f, uint64_t due_us)
{
    enqueue(f, due_us);
}

void
sd_future_send(FDBFuture *f)
{
    uint64_t due_us = sd_now_us();

    if (f->txn && (f->txn->cluster->is_dead || (sd_txn_deadline(f->txn) != SD_NEVER &&
                                                sd_plan_draw(&sd_faults, sd_faults.lost))))
        due_us = SD_NEVER;
    else if (sd_plan_draw(&sd_faults, sd_faults.slow))
        due_us += sd_plan_pick(&sd_faults, sd_faults.slow_us);
    enqueue(f, due_us);
}

void
sd_network_wake(void)
{
    pthread_cond_broadcast(&changed);
}

/* ---- futures */

FDBFuture *
sd_future_new(FDBTransaction *t, sd_kind kind)
{
    FDBFuture *f = sd_new(sizeof *f);

    f->kind = kind;
    f->txn = t;
    if (t) {
        f->txn_next = t->futures;
        if (t->futures) t->futures->txn_prev = f;
        t->futures = f;
    }
    sd_counts.futures++;
    return f;
}

void
sd_future_leave(FDBFuture *f)
{
    if (!f->txn) return;
    for (sd_waiting_watch *w = f->txn->watches; w; w = w->next)
        if (w->future == f) w->future = NULL;
    if (f->txn_prev)
        f->txn_prev->txn_next = f->txn_next;
    else
        f->txn->futures = f->txn_next;
    if (f->txn_next) f->txn_next->txn_prev = f->txn_prev;
    f->txn_prev = f->txn_next = NULL;
    f->txn = NULL;
}

static void
free_future(FDBFuture *f)
{
    unqueue(f);
    sd_future_leave(f);
    sd_watch_drop(f);
    sd_commit_free(f->commit);
    sd_arena_release(&f->arena);
    free(f);
    sd_counts.futures--;
}

/* The commit goes on without anybody to hear of it. */
static void
orphan_commit(FDBFuture *f)
{
    FDBFuture *orphan = sd_future_new(NULL, SD_NOTHING);
    uint64_t due_us = f->due_us == SD_NEVER ? sd_now_us() : f->due_us;

    if (f->txn) f->txn->watches = NULL; /* they lie in the memory of the commit */
    orphan->is_destroyed = true;
    orphan->commit = f->commit;
    orphan->act = f->act;
    f->commit = NULL;
    enqueue(orphan, due_us);
}

void
sd_future_fail(FDBFuture *f, int error)
{
    if (f->is_ready) return;
    if (f->commit && !f->commit->started) orphan_commit(f);
    unqueue(f);
    sd_watch_drop(f);
    sd_future_leave(f);
    f->act = NULL;
    f->error = error;
    enqueue(f, 0);
}

FDBFuture *
sd_answer(FDBFuture *f, int error)
{
    if (error)
        sd_future_fail(f, error);
    else
        sd_future_send(f);
    pthread_mutex_unlock(&sd_lock);
    return f;
}

/* ---- the network thread */

/* Called and left with the lock, which it gives up for the callback. */
static void
finish(FDBFuture *f)
{
    sd_future_leave(f);
    f->is_ready = true;
    pthread_cond_broadcast(&changed);
    if (f->is_destroyed) {
        free_future(f);
    } else if (f->callback) {
        FDBCallback callback = f->callback;
        void *arg = f->callback_arg;
        pthread_mutex_unlock(&sd_lock);
        callback(f, arg);
        pthread_mutex_lock(&sd_lock);
    }
}

static uint64_t
expire(uint64_t now_us)
{
    uint64_t next_us = SD_NEVER;

    for (FDBTransaction *t = sd_transactions; t; t = t->next) {
        uint64_t at_us = sd_txn_deadline(t);
        if (at_us <= now_us)
            sd_txn_expire(t);
        else if (at_us < next_us)
            next_us = at_us;
    }
    return next_us;
}

static void
wait_until(uint64_t until_us)
{
    struct timespec t = {(time_t)(until_us / 1000000u), (long)(until_us % 1000000u) * 1000};

    if (until_us == SD_NEVER)
        pthread_cond_wait(&changed, &sd_lock);
    else
        pthread_cond_timedwait(&changed, &sd_lock, &t);
}

static void
run(void)
{
    while (!to_stop) {
        uint64_t now_us = sd_now_us(), next_us = expire(now_us);
        FDBFuture *f = queue;

        if (f && f->due_us <= now_us) {
            unqueue(f);
            if (f->act) f->act(f);
            if (!f->is_queued) finish(f);
            continue;
        }
        if (f && f->due_us < next_us) next_us = f->due_us;
        if (sd_cluster_has_watches()) {
            sd_cluster_refresh_watched();
            if (now_us + POLL_US < next_us) next_us = now_us + POLL_US;
            if (queue && queue->due_us <= now_us) continue;
        }
        wait_until(next_us);
    }
}

/* The next commit in the queue that is due, for a batch. */
FDBFuture *
sd_network_next_commit(void)
{
    uint64_t now_us = sd_now_us();

    for (FDBFuture *f = queue; f && f->due_us <= now_us; f = f->queue_next)
        if (f->commit && !f->commit->started) return f;
    return NULL;
}

/* ---- calls: versions and the network */

void
sd_network_need_version(const char *function)
{
    if (state != UNSET) return;
    fprintf(stderr, "fdb stand-in: %s before an API version was selected\n", function);
    abort();
}

bool
sd_network_is_set_up(void)
{
    return state >= SET_UP;
}

int
fdb_get_max_api_version(void)
{
    return API_MAX;
}

const char *
fdb_get_client_version(void)
{
    return "7.3.0,stand-in,0";
}

int
fdb_select_api_version_impl(int runtime, int header)
{
    if (runtime > header) return E_VERSION_INVALID;
    if (runtime > API_MAX || header > API_MAX || runtime < 710) return E_VERSION_NOT_SUPPORTED;
    pthread_mutex_lock(&sd_lock);
    int error = state == UNSET ? E_OK : E_VERSION_ALREADY_SET;
    if (!error) state = CHOSEN;
    pthread_mutex_unlock(&sd_lock);
    return error;
}

int
fdb_network_set_option(int option, const uint8_t *value, int size)
{
    (void)option;
    (void)value;
    (void)size;
    sd_network_need_version("fdb_network_set_option");
    return E_OK;
}

int
fdb_setup_network(void)
{
    const char *seed = getenv("HASHWOOD_STANDIN_SEED"), *text = getenv("HASHWOOD_STANDIN_FAULTS");
    pthread_condattr_t attr;

    sd_network_need_version("fdb_setup_network");
    if (state != CHOSEN) return E_NETWORK_ALREADY_SETUP;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attr);
    pthread_condattr_destroy(&attr);
    if ((seed || text) && !fdb_standin_plan(seed ? strtoull(seed, NULL, 10) : 1, text)) {
        fprintf(stderr, "fdb stand-in: HASHWOOD_STANDIN_FAULTS is not understood: %s\n", text);
        return E_INVALID_OPTION;
    }
    state = SET_UP;
    return E_OK;
}

int
fdb_run_network(void)
{
    sd_network_need_version("fdb_run_network");
    pthread_mutex_lock(&sd_lock);
    int error = state == SET_UP ? E_OK : state == STOPPED ? E_CANNOT_RESTART : E_NETWORK_NOT_SETUP;
    if (!error) {
        state = RUNNING;
        thread = pthread_self();
        run();
        state = STOPPED;
    }
    pthread_mutex_unlock(&sd_lock);
    return error;
}

int
fdb_stop_network(void)
{
    sd_network_need_version("fdb_stop_network");
    if (state < SET_UP) return E_NETWORK_NOT_SETUP;
    pthread_mutex_lock(&sd_lock);
    to_stop = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&sd_lock);
    return E_OK;
}

/* For tools that look for leaks: a cluster lives as long as the program. */
__attribute__((destructor)) static void
free_clusters(void)
{
    if (state != RUNNING) sd_cluster_free_all();
}

/* ---- calls: futures */

int
fdb_future_is_ready(FDBFuture *f)
{
    pthread_mutex_lock(&sd_lock);
    bool is_ready = f->is_ready;
    pthread_mutex_unlock(&sd_lock);
    return is_ready;
}

int
fdb_future_block_until_ready(FDBFuture *f)
{
    int error = E_OK;

    pthread_mutex_lock(&sd_lock);
    if (!f->is_ready && state == RUNNING && pthread_equal(thread, pthread_self()))
        error = E_BLOCKED;
    while (!f->is_ready && !error) pthread_cond_wait(&changed, &sd_lock);
    pthread_mutex_unlock(&sd_lock);
    return error;
}

int
fdb_future_set_callback(FDBFuture *f, FDBCallback callback, void *arg)
{
    pthread_mutex_lock(&sd_lock);
    bool is_ready = f->is_ready;
    f->callback = callback;
    f->callback_arg = arg;
    pthread_mutex_unlock(&sd_lock);
    if (is_ready) callback(f, arg);
    return E_OK;
}

/* An error of the future, or 2000 when it is asked for what it does not hold. */
static int
result_error(FDBFuture *f, sd_kind kind)
{
    pthread_mutex_lock(&sd_lock);
    int error = !f->is_ready ? 2016 /* future_not_set */ : f->error;
    if (!error && kind != SD_NOTHING && f->kind != kind) error = E_INVALID_OPERATION;
    pthread_mutex_unlock(&sd_lock);
    return error;
}

int
fdb_future_get_error(FDBFuture *f)
{
    return result_error(f, SD_NOTHING);
}

int
fdb_future_get_int64(FDBFuture *f, int64_t *out)
{
    int error = result_error(f, SD_INT64);
    if (!error) *out = f->number;
    return error;
}

int
fdb_future_get_key(FDBFuture *f, const uint8_t **key, int *size)
{
    int error = result_error(f, SD_KEY);
    if (error) return error;
    *key = f->bytes.data;
    *size = (int)f->bytes.size;
    return E_OK;
}

int
fdb_future_get_value(FDBFuture *f, int *present, const uint8_t **value, int *size)
{
    int error = result_error(f, SD_VALUE);
    if (error) return error;
    *present = f->is_present;
    if (f->is_present) {
        *value = f->bytes.data;
        *size = (int)f->bytes.size;
    }
    return E_OK;
}

int
fdb_future_get_keyvalue_array(FDBFuture *f, const FDBKeyValue **pairs, int *count, int *more)
{
    int error = result_error(f, SD_PAIRS);
    if (error) return error;
    *pairs = f->pairs;
    *count = (int)f->count;
    *more = f->has_more;
    return E_OK;
}

int
fdb_future_get_key_array(FDBFuture *f, const FDBKey **keys, int *count)
{
    int error = result_error(f, SD_KEYS);
    if (error) return error;
    *keys = f->keys;
    *count = (int)f->count;
    return E_OK;
}

void
fdb_future_release_memory(FDBFuture *f)
{
    pthread_mutex_lock(&sd_lock);
    sd_arena_release(&f->arena);
    f->error = 1102; /* future_released */
    pthread_mutex_unlock(&sd_lock);
}

void
fdb_future_cancel(FDBFuture *f)
{
    pthread_mutex_lock(&sd_lock);
    sd_future_fail(f, E_OP_CANCELLED);
    pthread_mutex_unlock(&sd_lock);
}

void
fdb_future_destroy(FDBFuture *f)
{
    if (!f) return;
    pthread_mutex_lock(&sd_lock);
    if (!f->is_ready && f->is_queued && f->act) {
        f->is_destroyed = true; /* what it stands for happens all the same */
        f->callback = NULL;
    } else {
        free_future(f);
    }
    pthread_mutex_unlock(&sd_lock);
}

/* ---- calls: faults */

int
fdb_standin_plan(uint64_t seed, const char *text)
{
    pthread_mutex_lock(&sd_lock);
    bool ok = sd_plan_read(&sd_faults, seed, text);
    pthread_mutex_unlock(&sd_lock);
    return ok;
}

void
fdb_standin_count(fdb_standin_counts *out)
{
    pthread_mutex_lock(&sd_lock);
    *out = sd_counts;
    pthread_mutex_unlock(&sd_lock);
}
