/* sparse_check.c - the invariants of an inverted index, and its statistics: both walk every page.
 *
 *   I1  a page has 1 to HWI_POSTINGS_MAX postings, slots ascending, and its key names the first slot
 *   I2  the pages of an index do not overlap
 *   I3  the postings are the pairs of the stored vectors, no more and no less
 *
 * I3 is compared by number and by a sum of hashes, which does not depend on the order: looking each
 * of some ten million postings up would take as many reads. */
#include <stdio.h>

#include "index/sparse/sparse.h"
#include "records/ragged.h"

typedef struct walk {
    const hwi_sparse_view *v;
    hw_damage_fn damage; /* NULL: statistics only */
    void *arg;
    hwi_sparse_sum sum;
    uint64_t pages, indices;
    uint32_t index, first; /* of the page under way */
    uint64_t next_slot;    /* of the index: postings from here on may follow */
} walk;

static uint64_t
hash_of(uint32_t index, uint32_t slot, float value)
{
    uint8_t b[12];

    hwi_put_u32(b, index);
    hwi_put_u32(b + 4, slot);
    hwi_put_f32(b + 8, value);
    return hwi_checksum(b, sizeof b);
}

void
hwi_sparse_sum_add(hwi_sparse_sum *sum, uint32_t slot, hw_bytes packed)
{
    size_t n = packed.size / HWI_PAIR_BYTES;

    for (size_t i = 0; i < n; i++)
        sum->hash += hash_of(hwi_pair_index(packed.data, i), slot, hwi_pair_value(packed.data, i));
    sum->pairs += n;
}

static bool
read_key(walk *w, hw_bytes key)
{
    hwi_key_reader r;
    uint32_t skipped, index;

    hwi_key_reader_init(&r, key);
    for (int i = 0; i < 3; i++)
        if (hwi_key_read_u32(&r, &skipped, NULL) != HW_OK) return false;
    if (hwi_key_read_u32(&r, &index, NULL) != HW_OK ||
        hwi_key_read_u32(&r, &w->first, NULL) != HW_OK || hwi_key_read_end(&r, NULL) != HW_OK)
        return false;
    if (w->pages == 0 || index != w->index) w->indices++, w->next_slot = 0;
    w->index = index;
    w->pages++;
    return true;
}

/* What is wrong with a page whose key was read; NULL: nothing. Adds its postings up. */
static const char *
fault_of_page(walk *w, hw_bytes value)
{
    uint32_t rows = hwi_page_rows(value.data);

    if (rows == 0 || rows > HWI_POSTINGS_MAX) return "page has no postings, or too many";
    for (uint32_t i = 0; i < rows; i++) {
        const uint8_t *row = hwi_page_row(value.data, i, HWI_POSTING_BYTES);
        uint32_t slot = hwi_get_u32(row);
        if (i == 0 && slot != w->first) return "key does not name the page's first slot";
        if (slot < w->next_slot) return "postings do not ascend";
        w->next_slot = (uint64_t)slot + 1;
        w->sum.hash += hash_of(w->index, slot, hwi_get_f32(row + 4));
    }
    w->sum.pairs += rows;
    return NULL;
}

static bool
walk_page(void *arg, hw_bytes key, hw_bytes value)
{
    walk *w = arg;
    hw_error detail = {0};
    char where[96];
    const char *fault = NULL;

    if (!read_key(w, key))
        fault = "key does not decode";
    else if (hwi_page_verify(value, HWI_PAGE_MAGIC_INV, HWI_POSTING_BYTES, &detail) != HW_OK)
        fault = detail.message;
    else
        fault = fault_of_page(w, value);
    if (fault && w->damage) {
        hwi_key_print(key, where, sizeof where);
        w->damage(w->arg, where, fault);
    }
    return true;
}

static hw_status
walk_pages(walk *w, hw_error *err)
{
    hwi_key prefix;

    hwi_key_sub(&prefix, HWI_SUB_INV, w->v->coll);
    hwi_key_uint(&prefix, w->v->field->number);
    return hwi_store_scan_prefix(w->v->txn, &prefix, walk_page, w, err);
}

hw_status
hwi_sparse_check(const hwi_sparse_view *v, const hwi_sparse_sum *records, hw_damage_fn damage,
                 void *arg, hw_error *err)
{
    walk w = {.v = v, .damage = damage, .arg = arg};
    char where[HW_NAME_MAX + 16], what[160];

    HWI_TRY(walk_pages(&w, err));
    if (w.sum.pairs == records->pairs && w.sum.hash == records->hash) return HW_OK;
    snprintf(where, sizeof where, "vector `%s`", v->field->name);
    snprintf(what, sizeof what, "its %llu postings are not those of its vectors, which have %llu",
             (unsigned long long)w.sum.pairs, (unsigned long long)records->pairs);
    damage(arg, where, what);
    return HW_OK;
}

hw_status
hwi_sparse_stats(const hwi_sparse_view *v, hwi_buf *json, hw_error *err)
{
    walk w = {.v = v};
    uint64_t vectors;

    HWI_TRY(hwi_has_count(v->has, v->slots_below, &vectors, err));
    HWI_TRY(walk_pages(&w, err));
    double room = (double)HWI_MAX(w.pages, (uint64_t)1) * HWI_POSTINGS_MAX;
    hwi_buf_printf(json,
                   "{\"kind\":\"sparse\",\"vectors\":%llu,\"indices\":%llu,\"postings\":%llu,"
                   "\"pages\":%llu,\"page_fill\":%.4f}",
                   (unsigned long long)vectors, (unsigned long long)w.indices,
                   (unsigned long long)w.sum.pairs, (unsigned long long)w.pages,
                   (double)w.sum.pairs / room);
    return HW_OK;
}
