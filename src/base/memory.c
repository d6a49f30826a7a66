/* memory.c - the one place memory comes from: allocation, arenas, growable buffers.
 *
 * Everything else calls hwi_alloc & co., so that a test can make the nth allocation fail and walk
 * through every out-of-memory path of an operation (hwi_alloc_fail_at). The counter costs one
 * relaxed load while it is off.
 *
 * An arena is a list of blocks, newest first; allocation moves a mark in the newest one:
 *
 *     blocks -> [ header | used ......... | free ]      doubling from 4 KiB to 1 MiB
 *                  |
 *                  v next
 *               [ header | full ]  ->  [ header | one large allocation ]  -> NULL
 *
 * A request too large for the next block size gets a block of its own *behind* the newest one, so
 * that the room left in the newest is not lost. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Allocation with injected failure ---- */

/* fail_at: allocations left until the one that fails, 0 when off; `seen` counts while it is on.
 * Relaxed: a test arms it before its threads start, and an exact order between threads means
 * nothing here. */
static atomic_uint_fast64_t fail_at;
static atomic_uint_fast64_t seen;

static bool
injected_failure(void)
{
    if (atomic_load_explicit(&fail_at, memory_order_relaxed) == 0) return false;
    uint64_t nth = atomic_fetch_add_explicit(&seen, 1, memory_order_relaxed) + 1;
    return nth == atomic_load_explicit(&fail_at, memory_order_relaxed);
}

uint64_t
hwi_alloc_fail_at(uint64_t nth)
{
    atomic_store_explicit(&fail_at, nth, memory_order_relaxed);
    return atomic_exchange_explicit(&seen, 0, memory_order_relaxed);
}

void *
hwi_alloc(size_t bytes)
{
    if (injected_failure() || bytes > PTRDIFF_MAX) return NULL;
    return malloc(bytes ? bytes : 1);
}

void *
hwi_alloc_zero(size_t bytes)
{
    if (injected_failure() || bytes > PTRDIFF_MAX) return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *
hwi_realloc(void *memory, size_t bytes)
{
    if (injected_failure() || bytes > PTRDIFF_MAX) return NULL;
    return realloc(memory, bytes ? bytes : 1);
}

void *
hwi_alloc_aligned(size_t bytes)
{
    enum { ALIGNMENT = 64 }; /* a cache line, and the widest vector register */
    if (injected_failure() || bytes > PTRDIFF_MAX - ALIGNMENT) return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT);
}

void
hwi_free(void *memory)
{
    free(memory);
}

void
hw_free(void *memory)
{
    hwi_free(memory);
}

size_t
hwi_size_mul(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

#undef hwi_nomem /* base.h wraps it in a macro of the same name, for callers */

hw_status
hwi_nomem(hw_error *err, size_t bytes)
{
    return hwi_fail(err, HW_ENOMEM, "out of memory (%zu bytes)", bytes);
}

/* ---- Arena ---- */

#define ARENA_FIRST ((size_t)4 << 10)
#define ARENA_LARGEST ((size_t)1 << 20)
#define ARENA_ALIGNMENT ((size_t)16)

struct hwi_arena_block {
    struct hwi_arena_block *next;
    size_t capacity; /* bytes of data */
    _Alignas(16) uint8_t data[];
};

static struct hwi_arena_block *
block_new(size_t capacity)
{
    struct hwi_arena_block *b = hwi_alloc(sizeof *b + capacity);
    if (b) b->capacity = capacity;
    return b;
}

static void *
own_block(hwi_arena *a, size_t bytes)
{
    struct hwi_arena_block *b = block_new(bytes);
    if (!b) return NULL;
    if (a->blocks) {
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        b->next = NULL;
        a->blocks = b;
        a->used = bytes;
    }
    return b->data;
}

void *
hwi_arena_alloc(hwi_arena *a, size_t bytes)
{
    if (bytes > PTRDIFF_MAX / 2) return NULL;
    bytes = (bytes + ARENA_ALIGNMENT - 1) & ~(ARENA_ALIGNMENT - 1);
    if (a->blocks && bytes <= a->blocks->capacity - a->used) {
        void *memory = a->blocks->data + a->used;
        a->used += bytes;
        return memory;
    }

    size_t capacity = a->blocks ? HWI_MIN(a->blocks->capacity * 2, ARENA_LARGEST) : ARENA_FIRST;
    capacity = HWI_MAX(capacity, ARENA_FIRST);
    if (bytes > capacity / 2) return own_block(a, bytes);
    struct hwi_arena_block *b = block_new(capacity);
    if (!b) return NULL;
    b->next = a->blocks;
    a->blocks = b;
    a->used = bytes;
    return b->data;
}

char *
hwi_arena_text(hwi_arena *a, const char *text, size_t bytes)
{
    if (bytes == SIZE_MAX) return NULL;
    char *copy = hwi_arena_alloc(a, bytes + 1);
    if (!copy) return NULL;
    if (bytes) memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

void
hwi_arena_release(hwi_arena *a)
{
    struct hwi_arena_block *b = a->blocks;
    while (b) {
        struct hwi_arena_block *next = b->next;
        hwi_free(b);
        b = next;
    }
    *a = (hwi_arena){0};
}

/* ---- Buffer ---- */

bool
hwi_buf_reserve(hwi_buf *b, size_t more)
{
    if (b->failed) return false;
    if (more <= b->capacity - b->size) return true;
    size_t need = b->size + more; /* may wrap for an absurd `more`; caught below */
    size_t capacity = HWI_MAX(need, b->capacity + b->capacity / 2);
    capacity = HWI_MAX(capacity, (size_t)64);
    uint8_t *data = need < more ? NULL : hwi_realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void
hwi_buf_add(hwi_buf *b, const void *data, size_t bytes)
{
    if (bytes == 0 || !hwi_buf_reserve(b, bytes)) return;
    memcpy(b->data + b->size, data, bytes);
    b->size += bytes;
}

void
hwi_buf_fill(hwi_buf *b, uint8_t value, size_t bytes)
{
    if (bytes == 0 || !hwi_buf_reserve(b, bytes)) return;
    memset(b->data + b->size, value, bytes);
    b->size += bytes;
}

void
hwi_buf_text(hwi_buf *b, const char *text)
{
    hwi_buf_add(b, text, strlen(text));
}

void
hwi_buf_printf(hwi_buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    if (size < 0) {
        b->failed = true;
    } else if (hwi_buf_reserve(b, (size_t)size + 1)) { /* room for the NUL, which is not kept */
        vsnprintf((char *)b->data + b->size, (size_t)size + 1, format, again);
        b->size += (size_t)size;
    }
    va_end(again);
    va_end(args);
}

void
hwi_buf_clear(hwi_buf *b)
{
    b->size = 0;
    b->failed = false;
}

void
hwi_buf_release(hwi_buf *b)
{
    hwi_free(b->data);
    *b = (hwi_buf){0};
}
