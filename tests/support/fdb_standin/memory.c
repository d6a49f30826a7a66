/* memory.c - bytes, memory that is freed at once, and sets of key ranges.
 *
 * A settled set of ranges is sorted and its ranges neither overlap nor touch, so a key is looked up
 * by halving. Conflict ranges are only appended while a transaction runs and settled at its commit;
 * what a transaction cleared is asked all the time and stays settled.
 */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 8192u

sd_bytes
sd_view(const void *data, int size)
{
    return (sd_bytes){data, size > 0 ? (size_t)size : 0};
}

int
sd_compare(sd_bytes a, sd_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    if (order) return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

static void *
must(void *memory)
{
    if (!memory) {
        fprintf(stderr, "fdb stand-in: out of memory\n");
        abort();
    }
    return memory;
}

void *
sd_new(size_t size)
{
    return must(calloc(1, size ? size : 1));
}

void *
sd_grow(void *array, size_t *room, size_t count, size_t item)
{
    if (count < *room) return array;
    *room = *room ? *room * 2 : 8;
    return must(realloc(array, *room * item));
}

/* ---- arenas */

struct sd_block {
    struct sd_block *next;
    size_t size, used;
    uint8_t data[];
};

void *
sd_take(sd_arena *a, size_t size)
{
    struct sd_block *b = a->blocks;

    size = (size + 15) & ~(size_t)15;
    if (!b || b->size - b->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        b = must(malloc(sizeof *b + room));
        *b = (struct sd_block){.next = a->blocks, .size = room};
        a->blocks = b;
    }
    b->used += size;
    return b->data + b->used - size;
}

sd_bytes
sd_copy(sd_arena *a, sd_bytes b)
{
    uint8_t *data = sd_take(a, b.size);

    if (b.size) memcpy(data, b.data, b.size);
    return (sd_bytes){data, b.size};
}

sd_bytes
sd_copy_after(sd_arena *a, sd_bytes b)
{
    uint8_t *data = sd_take(a, b.size + 1);

    if (b.size) memcpy(data, b.data, b.size);
    data[b.size] = 0;
    return (sd_bytes){data, b.size + 1};
}

void
sd_arena_release(sd_arena *a)
{
    for (struct sd_block *next, *b = a->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    a->blocks = NULL;
}

/* ---- ranges */

void
sd_ranges_append(sd_ranges *r, sd_bytes from, sd_bytes to)
{
    if (sd_compare(from, to) >= 0) return;
    r->at = sd_grow(r->at, &r->room, r->count, sizeof *r->at);
    r->at[r->count++] = (sd_range){from, to};
}

static int
by_start(const void *a, const void *b)
{
    return sd_compare(((const sd_range *)a)->from, ((const sd_range *)b)->from);
}

void
sd_ranges_settle(sd_ranges *r)
{
    size_t kept = 0;

    if (r->count == 0) return;
    qsort(r->at, r->count, sizeof *r->at, by_start);
    for (size_t i = 1; i < r->count; i++) {
        sd_range *last = &r->at[kept];
        if (sd_compare(r->at[i].from, last->to) > 0)
            r->at[++kept] = r->at[i];
        else if (sd_compare(r->at[i].to, last->to) > 0)
            last->to = r->at[i].to;
    }
    r->count = kept + 1;
}

/* The number of ranges that end at or before the key. */
static size_t
ended_by(const sd_ranges *r, sd_bytes key)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sd_compare(r->at[middle].to, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const sd_range *
sd_ranges_seek(const sd_ranges *r, sd_bytes key)
{
    size_t i = ended_by(r, key);
    return i < r->count ? &r->at[i] : NULL;
}

const sd_range *
sd_ranges_holding(const sd_ranges *r, sd_bytes key)
{
    const sd_range *at = sd_ranges_seek(r, key);
    return at && sd_compare(at->from, key) <= 0 ? at : NULL;
}

bool
sd_ranges_overlap(const sd_ranges *r, sd_bytes from, sd_bytes to)
{
    const sd_range *at = sd_ranges_seek(r, from);
    return at && sd_compare(at->from, to) < 0 && sd_compare(from, to) < 0;
}

/* Puts `count` ranges in the place of [first, last). */
static void
splice(sd_ranges *r, size_t first, size_t last, const sd_range *with, size_t count)
{
    size_t tail = r->count - last;

    while (r->room < first + count + tail) r->at = sd_grow(r->at, &r->room, r->room, sizeof *r->at);
    if (tail) memmove(r->at + first + count, r->at + last, tail * sizeof *r->at);
    if (count) memcpy(r->at + first, with, count * sizeof *r->at);
    r->count = first + count + tail;
}

void
sd_ranges_add(sd_ranges *r, sd_bytes from, sd_bytes to)
{
    sd_range whole = {from, to};
    size_t first = ended_by(r, from), last;

    if (sd_compare(from, to) >= 0) return;
    if (first > 0 && sd_compare(r->at[first - 1].to, from) == 0) first--; /* they touch */
    for (last = first; last < r->count && sd_compare(r->at[last].from, to) <= 0; last++) {
        if (sd_compare(r->at[last].from, whole.from) < 0) whole.from = r->at[last].from;
        if (sd_compare(r->at[last].to, whole.to) > 0) whole.to = r->at[last].to;
    }
    splice(r, first, last, &whole, 1);
}

void
sd_ranges_cut(sd_ranges *r, sd_bytes from, sd_bytes to)
{
    size_t first = ended_by(r, from), last = first, left = 0;
    sd_range rest[2];

    for (; last < r->count && sd_compare(r->at[last].from, to) < 0; last++) {
        if (sd_compare(r->at[last].from, from) < 0)
            rest[left++] = (sd_range){r->at[last].from, from};
        if (sd_compare(r->at[last].to, to) > 0) rest[left++] = (sd_range){to, r->at[last].to};
    }
    splice(r, first, last, rest, left);
}

void
sd_ranges_release(sd_ranges *r)
{
    free(r->at);
    *r = (sd_ranges){0};
}
