/* base.h - what every other folder needs: errors, memory, byte buffers, numbers.
 *
 * Nothing here knows about vectors. Includes point one way: base <- kernel <- store, index <-
 * ingest, query <- api <- cli.
 */
#ifndef HWI_BASE_H
#define HWI_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hashwood/hashwood.h"
#include "hashwood/store.h"

#define HWI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HWI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HWI_MAX(a, b) ((a) > (b) ? (a) : (b))

/* ---- Errors (status.c) ---- */

/* Returns from the caller when `call` fails. Only while there is nothing to undo. */
#define HWI_TRY(call)                                                                              \
    do {                                                                                           \
        hw_status hwi_try_st_ = (call);                                                            \
        if (hwi_try_st_ != HW_OK) return hwi_try_st_;                                              \
    } while (0)

/* Fills err (may be NULL) and returns status: `return hwi_fail(err, HW_EINVAL, "dim %u ...", dim);`
 */
hw_status hwi_fail(hw_error *err, hw_status status, const char *format, ...) HW_PRINTF(3, 4);

/* The same with ": " and strerror(errnum) at the end; ENOSPC, ENOMEM, EACCES, EROFS, ENOENT choose
 * their status. */
hw_status hwi_fail_errno(hw_error *err, int errnum, const char *format, ...) HW_PRINTF(3, 4);

/* Puts "prefix: " before the message already in err; returns its argument. */
hw_status hwi_fail_prefix(hw_error *err, hw_status status, const char *format, ...) HW_PRINTF(3, 4);

/* HW_ENOMEM, "out of memory (%zu bytes)" */
hw_status hwi_nomem(hw_error *err, size_t bytes);

/* A broken invariant stops the process, in release builds too. Never on stored or received bytes.
 */
#define HWI_ASSERT(condition)                                                                      \
    ((condition) ? (void)0 : hwi_assert_failed(#condition, __FILE__, __LINE__))
/* The place after a switch over every value: HWI_UNREACHABLE("a kind that no parser makes"). */
#define HWI_UNREACHABLE(what) hwi_assert_failed(what, __FILE__, __LINE__)
_Noreturn void hwi_assert_failed(const char *condition, const char *file, int line);
#ifdef NDEBUG
#define HWI_DEBUG_ASSERT(condition) ((void)0)
#else
#define HWI_DEBUG_ASSERT(condition) HWI_ASSERT(condition)
#endif

/* A failure is never HW_OK (status.c asserts it). Compilers and analysers see one file at a time;
 * told so, they do not take error paths for successes with unset outputs. */
#define hwi_failed(call)                                                                           \
    __extension__({                                                                                \
        hw_status hwi_failed_st_ = (call);                                                         \
        if (hwi_failed_st_ == HW_OK) __builtin_unreachable();                                      \
        hwi_failed_st_;                                                                            \
    })
#define hwi_fail(...) hwi_failed(hwi_fail(__VA_ARGS__))
#define hwi_fail_errno(...) hwi_failed(hwi_fail_errno(__VA_ARGS__))
#define hwi_fail_prefix(...) hwi_failed(hwi_fail_prefix(__VA_ARGS__))
#define hwi_nomem(...) hwi_failed(hwi_nomem(__VA_ARGS__))

/* ---- Memory (memory.c) ---- */

/* The one place memory comes from. NULL when there is none, or when a test says so
 * (hwi_alloc_fail_at). Zero bytes give a valid pointer. Free with hwi_free. */
void *hwi_alloc(size_t bytes);
void *hwi_alloc_zero(size_t bytes);
void *hwi_realloc(void *memory, size_t bytes);
void hwi_free(void *memory);
/* 64-byte aligned; free with hwi_free as well. */
void *hwi_alloc_aligned(size_t bytes);
/* Tests: the nth allocation from now fails (1 is the next), later ones succeed; 0 switches off.
 * Returns how many were asked for since it was last switched on (UINT64_MAX only counts). */
uint64_t hwi_alloc_fail_at(uint64_t nth);

/* a * b, or SIZE_MAX when that overflows (which no allocation satisfies). */
size_t hwi_size_mul(size_t a, size_t b);

/* An arena: allocations that die together. One thread at a time. Zero-initialise to start. */
typedef struct hwi_arena {
    struct hwi_arena_block *blocks;
    size_t used; /* bytes of the newest block */
} hwi_arena;
void *hwi_arena_alloc(hwi_arena *a, size_t bytes); /* 16-byte aligned; NULL when out of memory */
char *hwi_arena_text(hwi_arena *a, const char *text, size_t bytes); /* NUL-terminated copy */
void hwi_arena_release(hwi_arena *a);

/* A growable byte buffer. Zero-initialise to start. After a failed append `failed` is set and
 * further appends do nothing, so a writer checks once at the end. */
typedef struct hwi_buf {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} hwi_buf;
bool hwi_buf_reserve(hwi_buf *b, size_t more);
void hwi_buf_add(hwi_buf *b, const void *data, size_t bytes);
void hwi_buf_fill(hwi_buf *b, uint8_t value, size_t bytes);
void hwi_buf_text(hwi_buf *b, const char *text);
void hwi_buf_printf(hwi_buf *b, const char *format, ...) HW_PRINTF(2, 3);
void hwi_buf_clear(hwi_buf *b);
void hwi_buf_release(hwi_buf *b);
static inline hw_bytes
hwi_buf_bytes(const hwi_buf *b)
{
    return (hw_bytes){b->data, b->size};
}
static inline hw_bytes
hwi_bytes(const void *data, size_t size)
{
    return (hw_bytes){data, size};
}
static inline hw_bytes
hwi_bytes_text(const char *text)
{
    return (hw_bytes){text, strlen(text)};
}

/* ---- Numbers as bytes: little-endian, any alignment ---- */

static inline uint16_t
hwi_get_u16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t
hwi_get_u32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t
hwi_get_u64(const void *p)
{
    return (uint64_t)hwi_get_u32(p) | (uint64_t)hwi_get_u32((const uint8_t *)p + 4) << 32;
}
static inline float
hwi_get_f32(const void *p)
{
    uint32_t u = hwi_get_u32(p);
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline void
hwi_put_u16(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}
static inline void
hwi_put_u32(void *p, uint32_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)v, b[1] = (uint8_t)(v >> 8), b[2] = (uint8_t)(v >> 16),
    b[3] = (uint8_t)(v >> 24);
}
static inline void
hwi_put_u64(void *p, uint64_t v)
{
    hwi_put_u32(p, (uint32_t)v), hwi_put_u32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}
static inline void
hwi_put_f32(void *p, float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    hwi_put_u32(p, u);
}

/* ---- Randomness, time (base.c) ---- */

/* xoshiro256** (Blackman and Vigna 2018), seeded by splitmix64: the same seed gives the same stream
 * everywhere. */
typedef struct hwi_rng {
    uint64_t s[4];
} hwi_rng;
void hwi_rng_init(hwi_rng *r, uint64_t seed);
uint64_t hwi_rng_next(hwi_rng *r);
uint64_t hwi_rng_below(hwi_rng *r, uint64_t bound); /* 0 .. bound-1, unbiased; bound > 0 */
double hwi_rng_unit(hwi_rng *r);                    /* [0, 1) */
double hwi_rng_normal(hwi_rng *r);                  /* mean 0, deviation 1 */

uint64_t hwi_clock_ns(void); /* CLOCK_MONOTONIC nanoseconds, and ... */
uint64_t hwi_clock_us(void); /* ... microseconds */

/* When a call that takes long gives up: HW_ECANCELED, HW_ETIMEOUT. */
typedef struct hwi_stop {
    const atomic_bool *cancel; /* NULL: none */
    uint64_t deadline_us;      /* hwi_clock_us(); 0: none */
} hwi_stop;
HW_CHECKED hw_status hwi_stop_check(const hwi_stop *stop, hw_error *err); /* NULL: never */

/* XXH3-64 of some bytes: page checksums. */
uint64_t hwi_checksum(const void *data, size_t bytes);

/* ---- UTF-8 (utf8.c): well-formed as in Unicode table 3-7, so no overlong forms, no surrogates
 * ---- */

/* Bytes of the sequence that `text` begins with; 0 if it is malformed or `bytes` is 0. */
size_t hwi_utf8_step(const void *text, size_t bytes);
bool hwi_utf8_valid(const void *text, size_t bytes);

/* Progress of long work, passed down the calls; fn may be NULL. */
typedef struct hwi_progress {
    hw_progress_fn fn;
    void *arg;
    uint64_t last_us; /* when fn was called last: not more than a few times a second */
} hwi_progress;
/* HW_ECANCELED when the callback says stop; p NULL: nothing to tell. The last call of a stage (done
 * == total) is always passed on. */
HW_CHECKED hw_status hwi_progress_step(hwi_progress *p, const char *stage, uint64_t done,
                                       uint64_t total, hw_error *err);

/* ---- Threads (threads.c) ---- */

/* Calls fn(arg, i) for every i below count, on up to `threads` threads (0: one per processor) which
 * take indices in ascending order; returns when all are done. fn must not fail: it notes failures
 * in arg. */
void hwi_parallel_for(uint32_t threads, size_t count, void (*fn)(void *arg, size_t i), void *arg);
uint32_t hwi_processors(void);

/* What every search writes is kept in stripes, each in cache lines of its own (HWI_STRIPE_ALIGN), so
 * that threads do not take it from each other; who reads adds the stripes up. Their number never
 * changes within a process: a power of two, no less than twice the processors, up to 64. */
uint32_t hwi_stripe_count(void);
/* The calling thread's, below hwi_stripe_count(). Threads get theirs in turn, so two may have the
 * same: what a stripe holds is for atomics or a lock to guard. */
uint32_t hwi_stripe(void);
#define HWI_STRIPE_ALIGN _Alignas(64)
/* An array of hwi_stripe_count() stripes, all bytes zero; NULL when out of memory. */
void *hwi_stripes_new(size_t stripe_bytes);

#endif
