/* threads.c - a parallel loop and nothing more.
 *
 * Threads live for one call. A pool would save some 20 us a call, but needs a life-cycle, and a
 * library that keeps threads behind its caller's back breaks fork() and unloading. What runs in
 * parallel here (builds, batches of queries) takes milliseconds at least.
 *
 * Workers take the next index from one counter, so uneven items balance themselves. The calling
 * thread works too: when no thread can be started the loop still completes, only slower. */
#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define THREADS_MAX 256u

typedef struct loop {
    atomic_size_t next; /* relaxed: only its own value matters; pthread_join orders the results */
    size_t count;
    void (*fn)(void *arg, size_t i);
    void *arg;
} loop;

static void *
work(void *p)
{
    loop *l = p;
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
        if (i >= l->count) return NULL;
        l->fn(l->arg, i);
    }
}

void
hwi_parallel_for(uint32_t threads, size_t count, void (*fn)(void *arg, size_t i), void *arg)
{
    if (threads == 0) threads = hwi_processors();
    size_t wanted = HWI_MIN(HWI_MIN((size_t)threads, (size_t)THREADS_MAX), count);
    loop l = {.count = count, .fn = fn, .arg = arg};
    pthread_t helpers[THREADS_MAX];
    size_t started = 0;

    while (started + 1 < wanted && pthread_create(&helpers[started], NULL, work, &l) == 0)
        started++;
    work(&l);
    for (size_t i = 0; i < started; i++) pthread_join(helpers[i], NULL);
}

/* The processors this process may run on (a container or taskset may allow fewer than exist). */
uint32_t
hwi_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        int allowed = CPU_COUNT(&set);
        if (allowed > 0) return (uint32_t)allowed;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}
