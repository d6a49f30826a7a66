/* threads.c - a parallel loop, and stripes for what many threads write.
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

/* ---- Stripes ---- */

#define STRIPES_MAX 64u

uint32_t
hwi_stripe_count(void)
{
    static atomic_uint kept; /* relaxed: whoever comes first decides, and it guards nothing */
    unsigned count = atomic_load_explicit(&kept, memory_order_relaxed);
    unsigned wanted = 2;

    if (count) return count;
    while (wanted < STRIPES_MAX && wanted < 2 * hwi_processors()) wanted *= 2;
    if (atomic_compare_exchange_strong_explicit(&kept, &count, wanted, memory_order_relaxed,
                                                memory_order_relaxed))
        return wanted;
    return count;
}

/* Threads are numbered when they first ask, so those that search have neighbouring numbers. */
uint32_t
hwi_stripe(void)
{
    static atomic_uint threads;
    static _Thread_local uint32_t number; /* 0: not yet */

    if (number == 0) number = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    return number & (hwi_stripe_count() - 1);
}

void *
hwi_stripes_new(size_t stripe_bytes)
{
    size_t bytes = hwi_size_mul(hwi_stripe_count(), stripe_bytes);
    void *stripes = hwi_alloc_aligned(bytes);

    if (stripes) memset(stripes, 0, bytes);
    return stripes;
}
