/* holes.c - slots of deleted points are given out again, a neighbourhood at a time.
 *
 *     slots   |x.xx|..x.|xxxx|....|xx          x live, . free; groups of 64
 *                    ^         ^     ^
 *                 listed    listed   slots_below: where fresh slots come from
 *
 * Loading must append, because neighbouring slots share pages of vectors and ids: a bulk load that
 * filled single holes all over the collection would rewrite a page for every point. So a freed slot
 * is left alone until its group of 64 is nearly empty; then the group is listed under
 * `count, c, 1, group` and new points fill it up before fresh slots are taken. Thus at most three
 * quarters of the live slots' room can lie idle, and deleting and putting back the same points for
 * ever keeps the collection's size.
 *
 * In a store that several processes write at once they would all begin with the same group; each
 * begins where its lane's number says.
 *
 * Groups freed by a transaction are listed when it is flushed, hence used from the next one on. */
#include "ingest/holes.h"

#include <stdlib.h>

#define LIST 1u

void
hwi_holes_init(hwi_holes *h, hw_store_txn *txn, uint32_t coll, hwi_page_cache *slots,
               hwi_lane *lane)
{
    h->txn = txn;
    h->coll = coll;
    h->slots = slots;
    h->lane = lane;
}

void
hwi_holes_release(hwi_holes *h)
{
    hwi_free(h->freed);
    h->freed = NULL;
}

void
hwi_holes_key(hwi_key *key, uint32_t coll, uint32_t group)
{
    hwi_key_sub(key, HWI_SUB_COUNT, coll);
    hwi_key_uint(key, LIST);
    hwi_key_uint(key, group);
}

/* ---- Taking ---- */

static bool
note_group(void *arg, hw_bytes key, hw_bytes value)
{
    hwi_holes *h = arg;
    hwi_key_reader r;
    uint32_t sub, coll, list, group;
    (void)value;
    hwi_key_reader_init(&r, key);
    bool is_sound =
        hwi_key_read_u32(&r, &sub, NULL) == HW_OK && hwi_key_read_u32(&r, &coll, NULL) == HW_OK &&
        hwi_key_read_u32(&r, &list, NULL) == HW_OK && hwi_key_read_u32(&r, &group, NULL) == HW_OK;
    if (is_sound) h->groups[h->count++] = group;
    return h->count < HWI_HOLES_LIST_MAX;
}

/* Brings the groups before `first` to the end. */
static void
rotate(hwi_holes *h, uint32_t first)
{
    uint32_t before[HWI_HOLES_LIST_MAX];
    memcpy(before, h->groups, first * sizeof *before);
    memmove(h->groups, h->groups + first, (h->count - first) * sizeof *before);
    memcpy(h->groups + h->count - first, before, first * sizeof *before);
}

static hw_status
load_groups(hwi_holes *h, hw_error *err)
{
    hwi_key prefix;
    h->count = h->at = h->next = 0;
    hwi_key_sub(&prefix, HWI_SUB_COUNT, h->coll);
    hwi_key_uint(&prefix, LIST);
    hwi_key end = hwi_key_range_end(&prefix);
    HWI_TRY(hwi_store_peek_scan(h->txn, hwi_key_view(&prefix), hwi_key_view(&end), false,
                                note_group, h, err));
    h->none_left = h->count == 0;
    if (h->count) rotate(h, h->lane->number * h->count / HWI_LANES);
    return HW_OK;
}

static hw_status
is_live(hwi_holes *h, uint32_t slot, bool *live, hw_error *err)
{
    const uint8_t *row;
    HWI_TRY(hwi_page_cache_read(h->slots, slot, &row, err));
    *live = row && row[0] != 0;
    return HW_OK;
}

/* A free slot of the group being filled; HWI_SLOT_NONE when it is full. */
static hw_status
take_from_group(hwi_holes *h, uint32_t slots_below, uint32_t *slot, hw_error *err)
{
    uint64_t first = (uint64_t)h->groups[h->at] * HWI_HOLES_GROUP;
    *slot = HWI_SLOT_NONE;
    for (; h->next < HWI_HOLES_GROUP && first + h->next < slots_below; h->next++) {
        bool live;
        uint32_t candidate = (uint32_t)first + h->next;
        HWI_TRY(is_live(h, candidate, &live, err));
        if (live) continue;
        *slot = candidate;
        return HW_OK;
    }
    return HW_OK;
}

/* A slot of the lane. When another lane has gone further, holes were filled before this one came to
 * them: those it passes over. */
static hw_status
take_fresh(hwi_holes *h, uint32_t *slot, hw_error *err)
{
    bool live;
    do {
        HWI_TRY(hwi_lane_take(h->lane, h->txn, h->coll, slot, err));
        HWI_TRY(is_live(h, *slot, &live, err));
    } while (live);
    return HW_OK;
}

hw_status
hwi_holes_take(hwi_holes *h, uint32_t *slots_below, uint32_t *slot, hw_error *err)
{
    hwi_key key;
    while (!h->none_left) {
        if (h->at == h->count) {
            HWI_TRY(load_groups(h, err));
            continue;
        }
        HWI_TRY(take_from_group(h, *slots_below, slot, err));
        if (*slot != HWI_SLOT_NONE) return HW_OK;
        hwi_holes_key(&key, h->coll, h->groups[h->at]);
        HWI_TRY(hwi_store_del(h->txn, hwi_key_view(&key), err));
        h->at++;
        h->next = 0;
    }
    HWI_TRY(take_fresh(h, slot, err));
    *slots_below = HWI_MAX(*slots_below, *slot + 1);
    return HW_OK;
}

/* ---- Freeing ---- */

hw_status
hwi_holes_free_slot(hwi_holes *h, uint32_t slot, hw_error *err)
{
    uint32_t group = slot / HWI_HOLES_GROUP;
    if (h->freed_count && h->freed[h->freed_count - 1] == group) return HW_OK;
    if (h->freed_count == h->freed_room) {
        size_t room = h->freed_room ? h->freed_room * 2 : 16;
        size_t bytes = hwi_size_mul(room, sizeof *h->freed);
        uint32_t *grown = hwi_realloc(h->freed, bytes);
        if (!grown) return hwi_nomem(err, bytes);
        h->freed = grown;
        h->freed_room = room;
    }
    h->freed[h->freed_count++] = group;
    return HW_OK;
}

static int
ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static hw_status
list_if_empty_enough(hwi_holes *h, uint32_t group, hw_error *err)
{
    static const uint8_t mark = 1;
    hwi_key key;
    uint32_t count = 0;
    for (uint32_t i = 0; i < HWI_HOLES_GROUP; i++) {
        bool live;
        HWI_TRY(is_live(h, group * HWI_HOLES_GROUP + i, &live, err));
        count += live;
    }
    if (count > HWI_HOLES_LIVE_MAX) return HW_OK;
    hwi_holes_key(&key, h->coll, group);
    return hwi_store_put(h->txn, hwi_key_view(&key), hwi_bytes(&mark, 1), err);
}

hw_status
hwi_holes_flush(hwi_holes *h, hw_error *err)
{
    if (h->freed_count == 0) return HW_OK;
    qsort(h->freed, h->freed_count, sizeof *h->freed, ascending);
    for (size_t i = 0; i < h->freed_count; i++) {
        if (i && h->freed[i] == h->freed[i - 1]) continue;
        HWI_TRY(list_if_empty_enough(h, h->freed[i], err));
    }
    h->freed_count = 0;
    return HW_OK;
}
