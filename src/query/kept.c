/* kept.c - the filters of a view, by their text.
 *
 * Uniting the bitmaps of a range takes longer than the search itself: 60 us for half of 60,000 numbers,
 * 2 ms for half of a million, where searches take 25 and 100. A view never changes, so its filters
 * need no care: they go with it, after any commit.
 *
 * Searches after the first add to it what they find in leaves (lsh/kept_leaves.c), so a filter grows
 * while it is kept; how much is looked at when it is asked for again.
 *
 * A few are enough, as is looking through all of them: comparing texts costs little beside what is
 * saved. Both their number and their memory have a bound.
 */
#include "query/kept.h"

#include <pthread.h>

#define KEPT_MAX 16u
#define MEMORY_MAX ((size_t)64 << 20)
#define LEAVES_MAX ((size_t)16 << 20) /* of it, for what one filter finds in leaves */
#define BITS_FROM 512u                /* slots; fewer are compared one by one */

struct hwi_keeper {
    pthread_mutex_t lock; /* guards all below */
    hwi_kept *kept[KEPT_MAX];
    uint32_t count;
    size_t memory;
    uint64_t clock;
};

hw_status
hwi_kept_new(const char *json, size_t bytes, hwi_filter_resolved *resolved, uint32_t slots_below,
             hwi_kept **out, hw_error *err)
{
    hwi_kept *k = hwi_alloc_zero(sizeof *k + bytes);

    *out = NULL;
    if (!k) {
        hwi_filter_resolved_release(resolved);
        return hwi_nomem(err, sizeof *k + bytes);
    }
    atomic_init(&k->refs, 1);
    k->resolved = *resolved;
    *resolved = (hwi_filter_resolved){0};
    memcpy(k->json, json, bytes);
    k->json_bytes = bytes;
    k->memory = sizeof *k + bytes + roaring_bitmap_portable_size_in_bytes(k->resolved.may) +
                roaring_bitmap_portable_size_in_bytes(k->resolved.sure);
    if (roaring_bitmap_get_cardinality(k->resolved.may) >= BITS_FROM) {
        k->bits = hwi_accept_bits(k->resolved.may, slots_below, &k->bits_below);
        k->leaves = hwi_kept_leaves_new(LEAVES_MAX);
        k->memory += k->bits_below / 8;
        if (!k->bits || !k->leaves) {
            hwi_kept_unref(k);
            return hwi_nomem(err, slots_below / 8);
        }
    }
    *out = k;
    return HW_OK;
}

void
hwi_kept_unref(hwi_kept *k)
{
    /* acq_rel: whoever frees comes after all who read */
    if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1) return;
    hwi_filter_resolved_release(&k->resolved);
    hwi_kept_leaves_free(k->leaves);
    hwi_free(k->bits);
    hwi_free(k);
}

static hwi_kept *
ref(hwi_kept *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

hw_status
hwi_keeper_new(hwi_keeper **out, hw_error *err)
{
    hwi_keeper *keeper = hwi_alloc_zero(sizeof *keeper);

    *out = keeper;
    if (!keeper) return hwi_nomem(err, sizeof *keeper);
    pthread_mutex_init(&keeper->lock, NULL);
    return HW_OK;
}

void
hwi_keeper_free(hwi_keeper *keeper)
{
    if (!keeper) return;
    for (uint32_t i = 0; i < keeper->count; i++) hwi_kept_unref(keeper->kept[i]);
    pthread_mutex_destroy(&keeper->lock);
    hwi_free(keeper);
}

/* Lets go of the one asked for longest ago. keeper->lock is held. */
static void
drop_oldest(hwi_keeper *keeper)
{
    uint32_t oldest = 0;

    for (uint32_t i = 1; i < keeper->count; i++)
        if (keeper->kept[i]->used < keeper->kept[oldest]->used) oldest = i;
    keeper->memory -= keeper->kept[oldest]->counted;
    hwi_kept_unref(keeper->kept[oldest]);
    keeper->kept[oldest] = keeper->kept[--keeper->count];
}

/* Takes note of how k, asked for right now, has grown; others make room. keeper->lock is held. */
static void
recount(hwi_keeper *keeper, hwi_kept *k)
{
    size_t memory = k->memory + hwi_kept_leaves_bytes(k->leaves);

    keeper->memory += memory - k->counted;
    k->counted = memory;
    while (keeper->memory > MEMORY_MAX && keeper->count > 1) drop_oldest(keeper);
}

hwi_kept *
hwi_keeper_find(hwi_keeper *keeper, const char *json, size_t bytes)
{
    hwi_kept *found = NULL;

    if (!keeper) return NULL;
    pthread_mutex_lock(&keeper->lock);
    for (uint32_t i = 0; i < keeper->count && !found; i++) {
        hwi_kept *k = keeper->kept[i];
        if (k->json_bytes != bytes || memcmp(k->json, json, bytes) != 0) continue;
        k->used = ++keeper->clock;
        found = ref(k);
    }
    if (found) recount(keeper, found);
    pthread_mutex_unlock(&keeper->lock);
    return found;
}

void
hwi_keeper_add(hwi_keeper *keeper, hwi_kept *k)
{
    if (!keeper || k->memory > MEMORY_MAX) return;
    pthread_mutex_lock(&keeper->lock);
    while (keeper->count == KEPT_MAX || keeper->memory + k->memory > MEMORY_MAX)
        drop_oldest(keeper);
    k->used = ++keeper->clock;
    k->counted = k->memory;
    keeper->memory += k->counted;
    keeper->kept[keeper->count++] = ref(k);
    pthread_mutex_unlock(&keeper->lock);
}
