/* hits.c - lists of points with scores, and finding a point in one.
 *
 * Fusion, formulas and groups ask again and again where an id stands in a list. The map is open
 * addressing over positions, half full at most, sized once for all it will hold, so it needs
 * neither deletion nor growth:
 *
 *     ids    [7, 12, "a", 3]
 *     slots  [., 3, ., 1, 4, ., ., 2]      position + 1, 0 is free
 */
#include "server/query/query.h"

#include <stdlib.h>

static uint64_t
hash_id(const hw_id *id)
{
    uint64_t h;
    switch (id->kind) {
    case HW_ID_KIND_U64:
        h = id->as.u64 * 0x9E3779B97F4A7C15u;
        return h ^ h >> 32;
    case HW_ID_KIND_UUID:
        return hwi_checksum(id->as.uuid, 16);
    case HW_ID_KIND_TEXT:
        return hwi_checksum(id->as.text, id->text_bytes);
    }
    HWI_UNREACHABLE("a kind of id that does not exist");
}

/* Where the id is, or the free slot where it would be. */
static size_t
slot_of(const hwi_idmap *map, const hw_id *id)
{
    size_t at = (size_t)hash_id(id) & map->mask;
    while (map->slots[at] && hw_id_compare(&map->ids[map->slots[at] - 1], id) != 0) {
        at = (at + 1) & map->mask;
    }
    return at;
}

bool
hwi_idmap_init_room(hwi_request *r, const hw_id *ids, size_t count, size_t room, hwi_idmap *out)
{
    size_t slots = 16;
    while (slots < room * 2) slots *= 2;
    *out = (hwi_idmap){.ids = ids, .mask = slots - 1};
    out->slots = hwi_request_alloc(r, slots * sizeof *out->slots);
    if (!out->slots) return false;
    memset(out->slots, 0, slots * sizeof *out->slots);
    for (size_t i = 0; i < count; i++) hwi_idmap_add(out, i);
    return true;
}

bool
hwi_idmap_init(hwi_request *r, const hw_id *ids, size_t count, hwi_idmap *out)
{
    return hwi_idmap_init_room(r, ids, count, count, out);
}

void
hwi_idmap_add(hwi_idmap *map, size_t i)
{
    size_t at = slot_of(map, &map->ids[i]);
    if (!map->slots[at]) map->slots[at] = (uint32_t)(i + 1);
}

size_t
hwi_idmap_find(const hwi_idmap *map, const hw_id *id)
{
    uint32_t found = map->slots[slot_of(map, id)];
    return found ? found - 1 : HWI_NOWHERE;
}

bool
hwi_hits_union(hwi_request *r, const hwi_hits *lists, size_t list_count, hw_id **ids, size_t *count)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < list_count; i++) total += lists[i].count;
    hw_id *all = hwi_request_alloc(r, (total ? total : 1) * sizeof *all);
    if (!all) return false;
    for (size_t i = 0; i < list_count; i++) {
        for (size_t j = 0; j < lists[i].count; j++) all[n++] = lists[i].ids[j];
    }
    hwi_idmap map;
    if (!hwi_idmap_init(r, all, total, &map)) return false;
    hw_id *unique = hwi_request_alloc(r, (total ? total : 1) * sizeof *unique);
    if (!unique) return false;
    n = 0;
    for (size_t i = 0; i < total; i++) {
        if (hwi_idmap_find(&map, &all[i]) == i) unique[n++] = all[i];
    }
    *ids = unique;
    *count = n;
    return true;
}

typedef struct scored {
    hw_id id;
    float score;
} scored;

static int
compare_scored(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return hw_id_compare(&x->id, &y->id);
}

bool
hwi_hits_sort(hwi_request *r, hwi_hits *hits)
{
    scored *pairs = hwi_request_alloc(r, (hits->count ? hits->count : 1) * sizeof *pairs);
    if (!pairs) return false;
    for (size_t i = 0; i < hits->count; i++) {
        pairs[i] = (scored){.id = hits->ids[i], .score = hits->scores[i]};
    }
    qsort(pairs, hits->count, sizeof *pairs, compare_scored);
    for (size_t i = 0; i < hits->count; i++) {
        hits->ids[i] = pairs[i].id;
        hits->scores[i] = pairs[i].score;
    }
    return true;
}
