/* pages.c - tables of pages: found once and then read by pointer; copied once and then changed.
 *
 *     reading   table[page] -> NULL                   not looked for yet
 *                           -> value in the store      LMDB's map: nothing is copied
 *                           -> copy of ours | OWNED    short, misaligned or in parts
 *                           -> OWNED                   looked for, absent
 *
 * A query reads some hundred rows scattered over the collection, so finding a row must cost an
 * array access, not a search in a B-tree. The array is of atomics: the first thread to want a page
 * looks it up and stores the pointer; should two do so at once, one frees its copy. The snapshot
 * does not change, so a pointer once stored stays right for as long as the table lives.
 *
 * Readers index rows without a bounds check of their own. So a page handed out always has all its
 * rows in memory: a stored page that ends early (its last rows are zero) is copied and padded. In
 * practice that is the last page of a collection. The same path takes care of small values, which
 * LMDB aligns to two bytes only, and of pages above the value limit, which are kept as blobs (one
 * vector of more than some 22,000 dimensions).
 *
 *     writing   hash of page number -> copy; flush seals and puts the copies in ascending order
 *
 * A packed page (ids by slot, slots.c) is read where it lies, row by row, and unpacked to be changed.
 *
 * Only pages that change are copied; reading an unchanged row goes to the store each time, as a
 * pointer kept across writes would dangle. */
#include "records/pages.h"

#include <stdlib.h>

#include "store/wants.h"

#define PAGE_FORMAT 1u

/* ---- The header ---- */

hw_status
hwi_page_check(hw_bytes page, uint32_t magic, uint32_t row_bytes, hw_error *err)
{
    const uint8_t *p = page.data;
    if (page.size < HWI_PAGE_HEADER) {
        return hwi_fail(err, HW_ECORRUPT, "page of %zu bytes has no header", page.size);
    }
    if (hwi_get_u32(p) != magic) {
        return hwi_fail(err, HW_ECORRUPT, "page magic is %08x, expected %08x", hwi_get_u32(p),
                        magic);
    }
    if (hwi_get_u16(p + 4) != PAGE_FORMAT || hwi_get_u16(p + 6) != 0) {
        return hwi_fail(err, HW_ECORRUPT, "page format %u.%u is unknown", hwi_get_u16(p + 4),
                        hwi_get_u16(p + 6));
    }
    if (hwi_get_u32(p + 20) != row_bytes) {
        return hwi_fail(err, HW_ECORRUPT, "page has rows of %u bytes, expected %u",
                        hwi_get_u32(p + 20), row_bytes);
    }
    if (hwi_page_rows(p) > (page.size - HWI_PAGE_HEADER) / HWI_MAX(row_bytes, 1u)) {
        return hwi_fail(err, HW_ECORRUPT, "page of %zu bytes cannot hold %u rows of %u bytes",
                        page.size, hwi_page_rows(p), row_bytes);
    }
    return HW_OK;
}

hw_status
hwi_page_verify(hw_bytes page, uint32_t magic, uint32_t row_bytes, hw_error *err)
{
    HWI_TRY(hwi_page_check(page, magic, row_bytes, err));
    const uint8_t *p = page.data;
    uint64_t sum = hwi_checksum(p + 16, page.size - 16);
    if (hwi_get_u64(p + 8) != sum) {
        return hwi_fail(err, HW_ECORRUPT, "page checksum is %016llx, its bytes give %016llx",
                        (unsigned long long)hwi_get_u64(p + 8), (unsigned long long)sum);
    }
    return HW_OK;
}

void
hwi_page_seal(uint8_t *page, size_t bytes, uint32_t magic, uint32_t rows, uint32_t row_bytes)
{
    HWI_ASSERT(bytes >= HWI_PAGE_HEADER);
    hwi_put_u32(page, magic);
    hwi_put_u16(page + 4, PAGE_FORMAT);
    hwi_put_u16(page + 6, 0);
    hwi_put_u32(page + 16, rows);
    hwi_put_u32(page + 20, row_bytes);
    hwi_put_u64(page + 8, hwi_checksum(page + 16, bytes - 16));
}

/* ---- What table and cache share: where pages are and how long ---- */

typedef struct layout {
    hw_store_txn *txn;
    hwi_key prefix;
    uint32_t magic, rows_per_page, row_bytes;
    size_t page_bytes;               /* of a full page */
    bool is_blob;                    /* too long for one value */
    const hwi_page_packing *packing; /* NULL: none */
} layout;

static void
layout_init(layout *l, hw_store_txn *txn, hw_bytes prefix, uint32_t magic, uint32_t rows_per_page,
            uint32_t row_bytes)
{
    l->txn = txn;
    hwi_key_init(&l->prefix);
    hwi_key_raw(&l->prefix, prefix);
    l->magic = magic;
    l->rows_per_page = rows_per_page;
    l->row_bytes = row_bytes;
    l->page_bytes = HWI_PAGE_HEADER + (size_t)rows_per_page * row_bytes;
    l->is_blob = l->page_bytes > HWI_STORE_VALUE_MAX;
}

static void
page_key(const layout *l, uint32_t page, hwi_key *key)
{
    hwi_key_init(key);
    hwi_key_raw(key, hwi_key_view(&l->prefix));
    hwi_key_uint(key, page);
}

/* Names the key in front of a failure's message. */
static hw_status
with_key(const hwi_key *key, hw_status st, hw_error *err)
{
    char text[128];
    if (st != HW_ECORRUPT) return st;
    hwi_key_print(hwi_key_view(key), text, sizeof text);
    return hwi_fail_prefix(err, st, "%s", text);
}

static bool
is_packed(const layout *l, hw_bytes page)
{
    return l->packing && page.size >= HWI_PAGE_HEADER &&
           hwi_get_u32(page.data) == l->packing->magic;
}

/* The check of a page's bytes, with or without its checksum; of a packed one whatever its rows are. */
static hw_status
check_stored(const layout *l, hw_bytes page, bool whole, hw_error *err)
{
    bool packed = is_packed(l, page);
    uint32_t magic = packed ? l->packing->magic : l->magic;
    uint32_t row = packed ? hwi_get_u32((const uint8_t *)page.data + 20) : l->row_bytes;

    if (packed && (row == 0 || row >= l->row_bytes))
        return hwi_fail(err, HW_ECORRUPT, "packed page has rows of %u bytes", row);
    return whole ? hwi_page_verify(page, magic, row, err) : hwi_page_check(page, magic, row, err);
}

/* Finds a stored page: in the store where it lies, or in `blob` when it is kept in parts.
 * HW_ENOTFOUND leaves err alone. */
static hw_status
find_page(const layout *l, uint32_t page, hwi_buf *blob, hw_bytes *out, hw_error *err)
{
    hwi_key key;
    page_key(l, page, &key);
    hw_status st;
    if (l->is_blob) {
        st = hwi_blob_get(l->txn, hwi_key_view(&key), blob, err);
        *out = hwi_buf_bytes(blob);
    } else {
        st = hwi_store_get(l->txn, hwi_key_view(&key), out, err);
    }
    if (st != HW_OK) return st == HW_ENOTFOUND ? st : with_key(&key, st, err);
    st = check_stored(l, *out, false, err);
    if (st == HW_OK && hwi_page_rows(out->data) > l->rows_per_page) {
        st = hwi_fail(err, HW_ECORRUPT, "page has %u rows, at most %u were expected",
                      hwi_page_rows(out->data), l->rows_per_page);
    }
    return with_key(&key, st, err);
}

/* A copy with room for all rows, not packed; those not stored are zero. */
static hw_status
copy_page(const layout *l, hw_bytes stored, uint8_t **out, hw_error *err)
{
    uint32_t rows = hwi_page_rows(stored.data);
    size_t rows_bytes = (size_t)rows * l->row_bytes;
    *out = hwi_alloc_aligned(l->page_bytes);
    if (!*out) return hwi_nomem(err, l->page_bytes);
    if (is_packed(l, stored)) {
        memset(*out, 0, HWI_PAGE_HEADER); /* sealed anew before it is written */
        for (uint32_t i = 0; i < rows; i++)
            l->packing->unpack(stored.data, i, *out + HWI_PAGE_HEADER + (size_t)i * l->row_bytes);
    } else {
        memcpy(*out, stored.data, HWI_PAGE_HEADER + rows_bytes);
    }
    memset(*out + HWI_PAGE_HEADER + rows_bytes, 0, l->page_bytes - HWI_PAGE_HEADER - rows_bytes);
    return HW_OK;
}

/* A packed page is small, so that as often as not it lies at an odd address, where OWNED would be. */
static hw_status
copy_as_is(hw_bytes stored, uint8_t **out, hw_error *err)
{
    *out = hwi_alloc_aligned(stored.size);
    if (!*out) return hwi_nomem(err, stored.size);
    memcpy(*out, stored.data, stored.size);
    return HW_OK;
}

/* ---- Reading ---- */

#define OWNED ((uintptr_t)1) /* the table frees it; alone: the page is known to be absent */

#define AHEAD 64u /* pages fetched ahead of a reader in order */

struct hwi_page_table {
    layout l;
    uint32_t count;
    /* relaxed: a lost race costs a hint */
    _Atomic(uint32_t) last, ahead; /* the page looked up last; asked for are those below `ahead` */
    /* release on store pairs with acquire on load in hwi_page_table_get: a copy's bytes are
     * complete before its address is seen */
    _Atomic(uintptr_t) pages[];
};

hw_status
hwi_page_table_new(hw_store_txn *txn, hw_bytes prefix, uint32_t count, uint32_t magic,
                   uint32_t rows_per_page, uint32_t row_bytes, hwi_page_table **out, hw_error *err)
{
    size_t bytes = sizeof(hwi_page_table) + (size_t)count * sizeof(uintptr_t);
    hwi_page_table *t = *out = hwi_alloc_zero(bytes);
    if (!t) return hwi_nomem(err, bytes);
    layout_init(&t->l, txn, prefix, magic, rows_per_page, row_bytes);
    t->count = count;
    return HW_OK;
}

void
hwi_page_table_packing(hwi_page_table *t, const hwi_page_packing *packing)
{
    t->l.packing = packing;
}

void
hwi_page_table_free(hwi_page_table *t)
{
    if (!t) return;
    for (uint32_t i = 0; i < t->count; i++) {
        uintptr_t p = atomic_load_explicit(&t->pages[i], memory_order_relaxed);
        if (p & OWNED) hwi_free((void *)(p & ~OWNED));
    }
    hwi_free(t);
}

/* Pages not looked up yet join the list. */
static void
want_page(hwi_page_table *t, hwi_wants *w, uint32_t page)
{
    if (page >= t->count || t->l.is_blob) return;
    if (atomic_load_explicit(&t->pages[page], memory_order_relaxed) != 0) return;
    page_key(&t->l, page, hwi_wants_next(w));
}

void
hwi_page_table_want(hwi_page_table *t, const uint32_t *rows, size_t count)
{
    hwi_wants w;

    if (!hwi_store_is_far(t->l.txn)) return;
    w.txn = t->l.txn, w.count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t page = rows[i] / t->l.rows_per_page;
        if (i == 0 || page != rows[i - 1] / t->l.rows_per_page) want_page(t, &w, page);
    }
    hwi_wants_send(&w);
}

static void
read_ahead(hwi_page_table *t, uint32_t page)
{
    hwi_wants w;

    uint32_t last = atomic_exchange_explicit(&t->last, page, memory_order_relaxed);
    bool in_order = page == last + 1 || (page == 0 && last == 0);
    if (!in_order || page < atomic_load_explicit(&t->ahead, memory_order_relaxed)) return;
    w.txn = t->l.txn, w.count = 0;
    for (uint32_t i = 0; i < AHEAD; i++) want_page(t, &w, page + i);
    hwi_wants_send(&w);
    atomic_store_explicit(&t->ahead, page + AHEAD, memory_order_relaxed);
}

/* The first touch: what the array shall say of this page. */
static hw_status
look_up(hwi_page_table *t, uint32_t page, uintptr_t *out, hw_error *err)
{
    hwi_buf blob = {0};
    hw_bytes stored = {0};
    uint8_t *copy;
    if (hwi_store_is_far(t->l.txn)) read_ahead(t, page);
    hw_status st = find_page(&t->l, page, &blob, &stored, err);
    *out = OWNED;
    if (st == HW_ENOTFOUND) {
        st = HW_OK;
    } else if (st == HW_OK) {
        bool packed = is_packed(&t->l, stored);
        bool is_whole = packed || hwi_page_rows(stored.data) == t->l.rows_per_page;
        if (is_whole && !t->l.is_blob && ((uintptr_t)stored.data & (packed ? 1 : 3)) == 0) {
            *out = (uintptr_t)stored.data;
        } else {
            st = packed ? copy_as_is(stored, &copy, err) : copy_page(&t->l, stored, &copy, err);
            *out = (uintptr_t)copy | OWNED;
        }
    }
    hwi_buf_release(&blob);
    return st;
}

hw_status
hwi_page_table_get(hwi_page_table *t, uint32_t page, const uint8_t **out, hw_error *err)
{
    *out = NULL;
    if (page >= t->count) return HW_OK;
    uintptr_t p = atomic_load_explicit(&t->pages[page], memory_order_acquire);
    if (p == 0) {
        uintptr_t seen = 0;
        HWI_TRY(look_up(t, page, &p, err));
        if (!atomic_compare_exchange_strong_explicit(&t->pages[page], &seen, p,
                                                     memory_order_acq_rel, memory_order_acquire)) {
            if (p & OWNED) hwi_free((void *)(p & ~OWNED));
            p = seen;
        }
    }
    *out = (const uint8_t *)(p & ~OWNED);
    return HW_OK;
}

/* ---- Writing ---- */

typedef struct entry {
    uint32_t page;
    uint8_t *bytes; /* a full page; NULL: this place of the hash is empty */
} entry;

struct hwi_page_cache {
    layout l;
    entry *entries; /* open addressing, linear probing; capacity is a power of two */
    size_t count, capacity;
    hwi_buf blob;         /* borrowed to the caller of _read */
    uint8_t *aligned_row; /* the same, when the stored row is not 4-byte aligned */
};

hw_status
hwi_page_cache_new(hw_store_txn *txn, hw_bytes prefix, uint32_t magic, uint32_t rows_per_page,
                   uint32_t row_bytes, hwi_page_cache **out, hw_error *err)
{
    hwi_page_cache *c = *out = hwi_alloc_zero(sizeof *c);
    if (!c) return hwi_nomem(err, sizeof *c);
    layout_init(&c->l, txn, prefix, magic, rows_per_page, row_bytes);
    return HW_OK;
}

static void
forget_pages(hwi_page_cache *c)
{
    for (size_t i = 0; i < c->capacity; i++) hwi_free(c->entries[i].bytes);
    hwi_free(c->entries);
    c->entries = NULL;
    c->count = c->capacity = 0;
}

void
hwi_page_cache_packing(hwi_page_cache *c, const hwi_page_packing *packing)
{
    c->l.packing = packing;
}

void
hwi_page_cache_free(hwi_page_cache *c)
{
    if (!c) return;
    forget_pages(c);
    hwi_buf_release(&c->blob);
    hwi_free(c->aligned_row);
    hwi_free(c);
}

/* The entry of a page, or the empty place where it would go. Capacity is never zero here. */
static entry *
place_of(const hwi_page_cache *c, uint32_t page)
{
    size_t at = (size_t)(page * 0x9E3779B1u) & (c->capacity - 1); /* Knuth's multiplicative hash */
    while (c->entries[at].bytes && c->entries[at].page != page) at = (at + 1) & (c->capacity - 1);
    return &c->entries[at];
}

static hw_status
grow(hwi_page_cache *c, hw_error *err)
{
    hwi_page_cache bigger = *c;
    bigger.capacity = c->capacity ? c->capacity * 2 : 16;
    size_t bytes = hwi_size_mul(bigger.capacity, sizeof(entry));
    bigger.entries = hwi_alloc_zero(bytes);
    if (!bigger.entries) return hwi_nomem(err, bytes);
    for (size_t i = 0; i < c->capacity; i++) {
        if (c->entries[i].bytes) *place_of(&bigger, c->entries[i].page) = c->entries[i];
    }
    hwi_free(c->entries);
    *c = bigger;
    return HW_OK;
}

/* Copies a page in, or makes an empty one. What is written back later carries a fresh checksum, so
 * damage has to be noticed now. */
static hw_status
load(hwi_page_cache *c, uint32_t page, uint8_t **out, hw_error *err)
{
    hw_bytes stored;
    hwi_buf_clear(&c->blob);
    hw_status st = find_page(&c->l, page, &c->blob, &stored, err);
    if (st == HW_OK) {
        hwi_key key;
        page_key(&c->l, page, &key);
        HWI_TRY(with_key(&key, check_stored(&c->l, stored, true, err), err));
        return copy_page(&c->l, stored, out, err);
    }
    if (st != HW_ENOTFOUND) return st;
    *out = hwi_alloc_aligned(c->l.page_bytes);
    if (!*out) return hwi_nomem(err, c->l.page_bytes);
    memset(*out, 0, c->l.page_bytes);
    return HW_OK;
}

hw_status
hwi_page_cache_write(hwi_page_cache *c, uint32_t row, uint8_t **out, hw_error *err)
{
    *out = NULL;
    uint32_t page = row / c->l.rows_per_page;
    if (c->count * 4 >= c->capacity * 3) HWI_TRY(grow(c, err));
    entry *e = place_of(c, page);
    if (!e->bytes) {
        uint8_t *bytes;
        HWI_TRY(load(c, page, &bytes, err));
        *e = (entry){page, bytes};
        c->count++;
    }
    *out = e->bytes + HWI_PAGE_HEADER + (size_t)(row % c->l.rows_per_page) * c->l.row_bytes;
    return HW_OK;
}

/* A row of a stored page, unpacked and 4-byte aligned: as it lies, or in the cache's scratch. */
static hw_status
stored_row(hwi_page_cache *c, hw_bytes page, uint32_t at, const uint8_t **out, hw_error *err)
{
    bool packed = is_packed(&c->l, page);
    const uint8_t *row = packed ? NULL : hwi_page_row(page.data, at, c->l.row_bytes);

    *out = row;
    if (row && ((uintptr_t)row & 3) == 0) return HW_OK;
    if (!c->aligned_row) c->aligned_row = hwi_alloc_aligned(c->l.row_bytes);
    if (!c->aligned_row) return hwi_nomem(err, c->l.row_bytes);
    if (packed)
        c->l.packing->unpack(page.data, at, c->aligned_row);
    else
        memcpy(c->aligned_row, row, c->l.row_bytes);
    *out = c->aligned_row;
    return HW_OK;
}

hw_status
hwi_page_cache_read(hwi_page_cache *c, uint32_t row, const uint8_t **out, hw_error *err)
{
    uint32_t page = row / c->l.rows_per_page, at = row % c->l.rows_per_page;
    const entry *e = c->capacity ? place_of(c, page) : NULL;
    *out = NULL;
    if (e && e->bytes) {
        *out = hwi_page_row(e->bytes, at, c->l.row_bytes);
        return HW_OK;
    }
    hw_bytes stored;
    hwi_buf_clear(&c->blob);
    hw_status st = find_page(&c->l, page, &c->blob, &stored, err);
    if (st == HW_ENOTFOUND) return HW_OK;
    if (st != HW_OK) return st;
    if (at >= hwi_page_rows(stored.data)) return HW_OK;
    return stored_row(c, stored, at, out, err);
}

static int
by_page(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (!x->bytes || !y->bytes) return (x->bytes == NULL) - (y->bytes == NULL); /* empty last */
    return (x->page > y->page) - (x->page < y->page);
}

/* Rows up to the last that is not zero. */
static uint32_t
rows_used(const layout *l, const uint8_t *bytes)
{
    size_t end = (size_t)l->rows_per_page * l->row_bytes;
    while (end > 0 && bytes[HWI_PAGE_HEADER + end - 1] == 0) end--;
    return (uint32_t)((end + l->row_bytes - 1) / l->row_bytes);
}

static hw_status
write_page(const layout *l, entry *e, hw_error *err)
{
    hwi_key key;
    page_key(l, e->page, &key);
    uint32_t rows = rows_used(l, e->bytes);
    if (rows == 0) {
        return l->is_blob ? hwi_blob_del(l->txn, hwi_key_view(&key), err)
                          : hwi_store_del(l->txn, hwi_key_view(&key), err);
    }
    uint32_t packed = l->packing ? l->packing->pack(e->bytes, rows) : 0;
    uint32_t row_bytes = packed ? packed : l->row_bytes;
    size_t bytes = HWI_PAGE_HEADER + (size_t)rows * row_bytes;
    hwi_page_seal(e->bytes, bytes, packed ? l->packing->magic : l->magic, rows, row_bytes);
    hw_bytes value = hwi_bytes(e->bytes, bytes);
    return l->is_blob ? hwi_blob_put(l->txn, hwi_key_view(&key), value, err)
                      : hwi_store_put(l->txn, hwi_key_view(&key), value, err);
}

hw_status
hwi_page_cache_flush(hwi_page_cache *c, hw_error *err)
{
    if (c->capacity) qsort(c->entries, c->capacity, sizeof(entry), by_page);
    for (size_t i = 0; i < c->count; i++) {
        HWI_TRY(write_page(&c->l, &c->entries[i], err)); /* the transaction is lost on failure */
    }
    forget_pages(c);
    return HW_OK;
}
