/* lsh_filter.c - the slots that may be answers as plain bits, so that asking about every row of a leaf
 * costs no more than scanning it.
 */
#include "index/lsh/lsh_filter.h"

#define CHUNK 65536u
#define ARRAY_MAX 4096u /* Roaring's: larger containers are bitmaps */
#define CHUNK_WORDS (CHUNK / 64)
#define COOKIE_RUNS 12347u

/* Where the containers of a portable Roaring bitmap lie (payload/slots.c has the layout). The bytes are
 * CRoaring's own, made a moment ago: they are not checked. */
typedef struct containers {
    const uint8_t *is_runs; /* a bit each; NULL: none is */
    const uint8_t *entries; /* u16 key, u16 count - 1 each */
    const uint8_t *at;
    uint32_t count;
} containers;

static containers
containers_of(const uint8_t *p)
{
    containers c = {.count = (uint32_t)hwi_get_u16(p + 2) + 1};

    if (hwi_get_u16(p) == COOKIE_RUNS) {
        c.is_runs = p + 4;
        c.entries = c.is_runs + (c.count + 7) / 8;
        c.at = c.entries + 4 * c.count + (c.count >= 4 ? 4 * c.count : 0);
    } else {
        c.count = hwi_get_u32(p + 4);
        c.entries = p + 8;
        c.at = c.entries + 8 * c.count;
    }
    return c;
}

static inline void
set_bit(uint64_t *words, uint32_t i)
{
    words[i / 64] |= (uint64_t)1 << (i % 64);
}

/* Adds one container to the CHUNK_WORDS at `words`; returns its bytes. */
static size_t
take_container(const uint8_t *at, bool runs, uint32_t count, uint64_t *words)
{
    if (!runs && count > ARRAY_MAX) {
        memcpy(words, at, CHUNK_WORDS * 8);
        return CHUNK_WORDS * 8;
    }
    if (!runs) {
        for (uint32_t i = 0; i < count; i++) set_bit(words, hwi_get_u16(at + 2 * i));
        return 2 * (size_t)count;
    }
    uint32_t n = hwi_get_u16(at);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = hwi_get_u16(at + 2 + 4 * i), to = from + hwi_get_u16(at + 4 + 4 * i);
        for (uint32_t slot = from; slot <= to;) {
            bool whole = slot % 64 == 0 && slot + 63 <= to;
            if (whole) words[slot / 64] = UINT64_MAX;
            if (!whole) set_bit(words, slot);
            slot += whole ? 64 : 1;
        }
    }
    return 2 + 4 * (size_t)n;
}

/* CRoaring gives single slots or all as one array, 55 us for half of 60,000; of its serialized form, which
 * takes half a microsecond, a bitmap is a copy. */
uint64_t *
hwi_accept_bits(const roaring_bitmap_t *may, uint32_t slots_below, uint32_t *below)
{
    size_t chunks = ((size_t)slots_below + CHUNK - 1) / CHUNK;
    uint64_t *bits = hwi_alloc_zero((chunks * CHUNK_WORDS + 1) * sizeof *bits);
    uint8_t *packed = hwi_alloc(roaring_bitmap_portable_size_in_bytes(may) + 1);

    if (!bits || !packed) {
        hwi_free(bits);
        hwi_free(packed);
        return NULL;
    }
    *below = (uint32_t)HWI_MIN(chunks * CHUNK, (size_t)UINT32_MAX / 64 * 64);
    roaring_bitmap_portable_serialize(may, (char *)packed);
    containers c = containers_of(packed);
    for (uint32_t i = 0; i < c.count; i++) {
        uint32_t key = hwi_get_u16(c.entries + 4 * i), n = hwi_get_u16(c.entries + 4 * i + 2) + 1u;
        if (key >= chunks) break;
        bool runs = c.is_runs && (c.is_runs[i / 8] >> (i % 8) & 1);
        c.at += take_container(c.at, runs, n, bits + (size_t)key * CHUNK_WORDS);
    }
    hwi_free(packed);
    return bits;
}

hw_status
hwi_leaf_filter_init(hwi_leaf_filter *f, const hwi_accept *accept, uint32_t slots_below,
                     hw_error *err)
{
    *f = (hwi_leaf_filter){0};
    if (!accept || !accept->may) return HW_OK;
    f->bits = accept->bits, f->below = accept->bits_below;
    if (f->bits) return HW_OK;
    f->bits = f->own = hwi_accept_bits(accept->may, slots_below, &f->below);
    return f->own ? HW_OK : hwi_nomem(err, slots_below / 8);
}

void
hwi_leaf_filter_release(hwi_leaf_filter *f)
{
    hwi_free(f->own);
}

static inline uint32_t
is_set(const hwi_leaf_filter *f, uint32_t slot)
{
    uint32_t at = HWI_MIN(slot, f->below); /* from there on a word of zeros */
    return (uint32_t)(f->bits[at / 64] >> (at % 64)) & 1;
}

static uint32_t
count_matching(const hwi_leaf_filter *f, const hwi_leaf_page *page)
{
    uint32_t n = 0;

    if (!f->bits) return page->count;
    for (uint32_t i = 0; i < page->count; i++) n += is_set(f, page->slots[i]);
    return n;
}

void
hwi_leaf_filter_remember(hwi_leaf_filter *f, const hwi_accept *accept, const hwi_index_view *v)
{
    if (!accept || !accept->leaves || f->own) return;
    f->leaves = accept->leaves;
    f->kept = hwi_kept_leaves_of(f->leaves, v);
}

hw_status
hwi_leaf_filter_open(hwi_leaf_filter *f, hwi_index_view *v, uint32_t position, hwi_leaf_rows *own,
                     const hwi_leaf_rows **out, hw_error *err)
{
    *out = hwi_leaf_filter_kept(f, position);
    if (*out) return HW_OK;
    *own = (hwi_leaf_rows){0};
    HWI_TRY(hwi_view_leaf(v, position, &own->leaf, err));
    const hwi_leaf_page *page = &own->leaf->page;
    if (f->kept)
        *out = hwi_kept_leaves_add(f->leaves, &f->kept[position], v->model, own->leaf, f->bits,
                                   f->below);
    if (*out) return HW_OK;
    own->blocks = page->blocks, own->block_count = page->block_count;
    own->count = count_matching(f, page);
    *out = own;
    return HW_OK;
}

size_t
hwi_leaf_filter_keep(const hwi_leaf_filter *f, const hwi_leaf_rows *rows, uint32_t *row,
                     float *bound, size_t count)
{
    const uint32_t *slots = rows->leaf->page.slots;
    size_t kept = 0;

    if (rows->row)
        for (size_t i = 0; i < count; i++) row[i] = rows->row[row[i]];
    if (rows->row || !f->bits) return count;
    for (size_t i = 0; i < count; i++) {
        uint32_t r = row[i];
        row[kept] = r, bound[kept] = bound[i];
        kept += rows->mask ? rows->mask[r / 64] >> (r % 64) & 1 : is_set(f, slots[r]);
    }
    return kept;
}
