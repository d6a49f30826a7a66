/* kept_leaves.c - what a leaf holds of a filter's slots is the same for as long as the view lasts.
 *
 * To find the few rows that match, a search reads all slots of a leaf, each with a bit of the filter
 * that lies anywhere, and all signatures. From the second search with a filter on it is done once for
 * each leaf:
 *
 *     leaf     signatures of 256 rows, 16 to a block     slots
 *                  | those that match
 *     kept     signatures of 26 rows, 2 blocks           which rows they are
 *
 * and from then on a tenth of the rows takes a tenth of the bytes. Where so many match that little
 * would be saved, a mask of them is kept and the leaf's own signatures are scanned. Bounds of rows do
 * not depend on their neighbours in a block, so answers are those of the leaf itself.
 *
 * Entries are made by whoever comes first and never change. They are freed with the filter, which no
 * search holds any more then.
 */
#include "index/lsh/kept_leaves.h"

#define LANES HWI_LANES
#define LINE 64u

typedef struct table {
    struct table *next;
    const hwi_index_view *of;
    uint32_t count;
    hwi_kept_leaf leaf[];
} table;

struct hwi_kept_leaves {
    _Atomic(table *) tables; /* one for each vector field that was searched */
    atomic_uint_least64_t asked;
    atomic_size_t bytes;
    size_t bytes_most;
};

hwi_kept_leaves *
hwi_kept_leaves_new(size_t bytes_most)
{
    hwi_kept_leaves *k = hwi_alloc_zero(sizeof *k);

    if (k) k->bytes_most = bytes_most;
    return k;
}

void
hwi_kept_leaves_free(hwi_kept_leaves *k)
{
    if (!k) return;
    table *next, *t = atomic_load_explicit(&k->tables, memory_order_acquire);
    for (; t; t = next) {
        next = t->next;
        for (uint32_t i = 0; i < t->count; i++)
            hwi_free(atomic_load_explicit(&t->leaf[i], memory_order_relaxed));
        hwi_free(t);
    }
    hwi_free(k);
}

size_t
hwi_kept_leaves_bytes(const hwi_kept_leaves *k)
{
    return k ? atomic_load_explicit(&k->bytes, memory_order_relaxed) : 0;
}

uint64_t
hwi_kept_leaves_ask(hwi_kept_leaves *k)
{
    return atomic_fetch_add_explicit(&k->asked, 1, memory_order_relaxed);
}

/* Threads that ask at once may keep a little more than the most, a leaf each. */
static bool
has_room(const hwi_kept_leaves *k, size_t bytes)
{
    return hwi_kept_leaves_bytes(k) + bytes <= k->bytes_most;
}

static void
count_bytes(hwi_kept_leaves *k, size_t bytes)
{
    atomic_fetch_add_explicit(&k->bytes, bytes, memory_order_relaxed);
}

static table *
add_table(hwi_kept_leaves *k, const hwi_index_view *v)
{
    uint32_t count = v->tree->leaf_count;
    size_t bytes = sizeof(table) + count * sizeof(hwi_kept_leaf);
    table *t = has_room(k, bytes) ? hwi_alloc_zero(bytes) : NULL;

    if (!t) return NULL;
    count_bytes(k, bytes);
    t->of = v, t->count = count;
    t->next = atomic_load_explicit(&k->tables, memory_order_acquire);
    /* release: whoever finds the table sees what is in it. Two of one view are as good as one. */
    while (!atomic_compare_exchange_weak_explicit(&k->tables, &t->next, t, memory_order_acq_rel,
                                                  memory_order_acquire)) {
    }
    return t;
}

hwi_kept_leaf *
hwi_kept_leaves_of(hwi_kept_leaves *k, const hwi_index_view *v)
{
    table *t = atomic_load_explicit(&k->tables, memory_order_acquire);

    while (t && t->of != v) t = t->next;
    if (!t) t = add_table(k, v);
    return t ? t->leaf : NULL;
}

/* A mask of the rows whose slots' bits are set; returns how many. */
static uint32_t
match_rows(const hwi_leaf_page *page, const uint64_t *bits, uint32_t below, uint64_t *mask)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < page->count; i += 64) {
        uint64_t word = 0;
        uint32_t rows = HWI_MIN(page->count - i, 64u);
        for (uint32_t j = 0; j < rows; j++) {
            uint32_t slot = HWI_MIN(page->slots[i + j], below);
            word |= (bits[slot / 64] >> (slot % 64) & 1) << j;
        }
        mask[i / 64] = word;
        n += (uint32_t)__builtin_popcountll(word);
    }
    return n;
}

/* Signatures of the rows in `mask` side by side in `out`; their numbers to `row`. */
static void
gather_rows(const hwi_model *m, const hwi_leaf_page *page, const uint64_t *mask, uint32_t *out,
            uint16_t *row)
{
    uint32_t lines = m->words + 2, n = 0; /* of 16 numbers each; the last two are A and S */
    const uint32_t *from = (const uint32_t *)(const void *)page->blocks;

    for (uint32_t w = 0; w * 64 < page->count; w++)
        for (uint64_t left = mask[w]; left; left &= left - 1, n++) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);
            row[n] = (uint16_t)i;
            for (uint32_t l = 0; l < lines; l++)
                out[(n / LANES * lines + l) * LANES + n % LANES] =
                    from[(i / LANES * lines + l) * LANES + i % LANES];
        }
    float nothing = 1e30f; /* A of a row that no cut lets through */
    for (; n % LANES; n++)
        memcpy(&out[(n / LANES * lines + m->words) * LANES + n % LANES], &nothing, sizeof nothing);
}

/* One piece of memory: the rows themselves; their signatures, which begin with a cache line, and their
 * numbers, or else the mask. */
static hwi_leaf_rows *
make_rows(const hwi_kept_leaves *k, const hwi_model *m, const hwi_leaf_ref *leaf,
          const uint64_t *mask, uint32_t count, size_t *bytes)
{
    const hwi_leaf_page *page = &leaf->page;
    uint32_t blocks = (count + LANES - 1) / LANES;
    bool apart = blocks * 4 <= page->block_count * 3;
    size_t block_bytes = blocks * hwi_leaf_block_bytes(m);
    size_t mask_bytes = (page->count + 63) / 64 * sizeof *mask;

    *bytes = sizeof(hwi_leaf_rows) +
             (apart ? LINE + block_bytes + count * sizeof(uint16_t) : mask_bytes);
    hwi_leaf_rows *r = has_room(k, *bytes) ? hwi_alloc(*bytes) : NULL;
    if (!r) return NULL;
    *r = (hwi_leaf_rows){.leaf = leaf, .count = count};
    if (apart) {
        uint8_t *out = (uint8_t *)(((uintptr_t)(r + 1) + LINE - 1) / LINE * LINE);
        uint16_t *row = (uint16_t *)(void *)(out + block_bytes);
        memset(out, 0, block_bytes);
        gather_rows(m, page, mask, (uint32_t *)(void *)out, row);
        r->blocks = out, r->block_count = blocks, r->row = row;
    } else {
        r->blocks = page->blocks, r->block_count = page->block_count;
        r->mask = memcpy(r + 1, mask, mask_bytes);
    }
    return r;
}

const hwi_leaf_rows *
hwi_kept_leaves_add(hwi_kept_leaves *k, hwi_kept_leaf *at, const hwi_model *m,
                    const hwi_leaf_ref *leaf, const uint64_t *bits, uint32_t bits_below)
{
    uint64_t mask[HWI_LEAF_ROWS_MAX / 64];
    uint32_t count = match_rows(&leaf->page, bits, bits_below, mask);
    size_t bytes;
    hwi_leaf_rows *mine = make_rows(k, m, leaf, mask, count, &bytes), *theirs = NULL;

    if (!mine) return NULL;
    /* pairs with the acquire of whoever reads the entry */
    if (!atomic_compare_exchange_strong_explicit(at, &theirs, mine, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        hwi_free(mine);
        return theirs;
    }
    count_bytes(k, bytes);
    return mine;
}
