/* queue.c - a bounded queue of jobs and the threads that do them.
 *
 * A ring under one lock. At a hundred thousand requests a second the lock is held for a few percent
 * of the time; what costs is waking a thread, which no other structure would save.
 */
#include "queue.h"

#include <pthread.h>
#include <signal.h>

struct hwi_queue {
    void (*run)(void *job);
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t filled;
    void **ring;
    size_t room, first, count;
    bool is_ending;
    pthread_t *threads;
    uint32_t thread_count;
};

static void *
work(void *arg)
{
    hwi_queue *q = arg;

    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (q->count == 0 && !q->is_ending) pthread_cond_wait(&q->filled, &q->lock);
        if (q->count == 0) break;
        void *job = q->ring[q->first];
        q->first = (q->first + 1) % q->room;
        q->count--;
        pthread_mutex_unlock(&q->lock);
        q->run(job);
        pthread_mutex_lock(&q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

hw_status
hwi_queue_new(uint32_t threads, uint32_t length, void (*run)(void *job), hwi_queue **out,
              hw_error *err)
{
    hwi_queue *q = hwi_alloc_zero(sizeof *q);

    *out = NULL;
    if (q == NULL) return hwi_nomem(err, sizeof *q);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, NULL);
    q->run = run;
    q->room = length;
    q->ring = hwi_alloc(hwi_size_mul(length, sizeof *q->ring));
    q->threads = hwi_alloc(hwi_size_mul(threads, sizeof *q->threads));
    if (q->ring == NULL || q->threads == NULL) {
        hwi_queue_free(q);
        return hwi_nomem(err, length * sizeof *q->ring);
    }
    for (; q->thread_count < threads; q->thread_count++) {
        int rc = pthread_create(&q->threads[q->thread_count], NULL, work, q);
        if (rc == 0) continue;
        hwi_queue_free(q);
        return hwi_fail_errno(err, rc, "cannot start thread %u of %u", q->thread_count, threads);
    }
    *out = q;
    return HW_OK;
}

bool
hwi_queue_push(hwi_queue *q, void *job)
{
    bool fits;

    pthread_mutex_lock(&q->lock);
    fits = q->count < q->room && !q->is_ending;
    if (fits) q->ring[(q->first + q->count++) % q->room] = job;
    pthread_mutex_unlock(&q->lock);
    if (fits) pthread_cond_signal(&q->filled);
    return fits;
}

size_t
hwi_queue_depth(hwi_queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t count = q->count;
    pthread_mutex_unlock(&q->lock);
    return count;
}

void
hwi_queue_end(hwi_queue *q)
{
    if (q == NULL) return;
    pthread_mutex_lock(&q->lock);
    q->is_ending = true;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_broadcast(&q->filled);
    for (uint32_t i = 0; i < q->thread_count; i++) pthread_join(q->threads[i], NULL);
    q->thread_count = 0;
}

void
hwi_queue_free(hwi_queue *q)
{
    if (q == NULL) return;
    hwi_queue_end(q);
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
    hwi_free(q->ring);
    hwi_free(q->threads);
    hwi_free(q);
}
