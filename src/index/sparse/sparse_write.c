/* sparse_write.c - postings change: collected for a transaction, sorted, merged into pages.
 *
 *     changes   (index, slot, value | gone)     in the order of operations
 *     flush     sorted by index, then slot; of several for one place the last counts
 *     page      postings from its first slot up to the next page's; its key names that first slot
 *
 *         index 7    [ 3 .. 240 ]  [ 301 .. 999 ]          change at 500: the second page
 *                      key 3         key 301               change at 2: the first, whose key then moves
 *
 * A page above HWI_POSTINGS_MAX is cut into even pieces; the last page of an index is cut so that
 * full pages stay behind, as loading appends. A page that has shrunk below a quarter takes in its
 * follower. Each page touched is read and written once a flush, whatever the number of changes. */
#include "index/sparse/sparse.h"

#include "records/ragged.h"

#include <stdlib.h>

#define CHANGES_MAX 1000000u /* collected before they are written: 16 MB */

typedef struct change {
    uint32_t index, slot;
    float value;
    uint32_t order; /* twice the number of the change, plus 1 when the posting goes */
} change;

typedef struct posting {
    uint32_t slot;
    float value;
} posting;

struct hwi_sparse_writer {
    hw_store_txn *txn;
    uint32_t coll, field;
    change *changes;
    uint32_t count, room;
    posting *merged; /* of the page under way */
    size_t merged_count, merged_room;
};

void
hwi_posting_prefix(hwi_key *key, uint32_t coll, uint32_t field, uint32_t index)
{
    hwi_key_sub(key, HWI_SUB_INV, coll);
    hwi_key_uint(key, field);
    hwi_key_uint(key, index);
}

hw_status
hwi_sparse_writer_new(hw_store_txn *txn, uint32_t coll, uint32_t field, hwi_sparse_writer **out,
                      hw_error *err)
{
    hwi_sparse_writer *w = *out = hwi_alloc_zero(sizeof *w);

    if (!w) return hwi_nomem(err, sizeof *w);
    w->txn = txn, w->coll = coll, w->field = field;
    return HW_OK;
}

void
hwi_sparse_writer_free(hwi_sparse_writer *w)
{
    if (!w) return;
    hwi_free(w->changes);
    hwi_free(w->merged);
    hwi_free(w);
}

/* ---- collecting ---- */

static hw_status
collect(hwi_sparse_writer *w, uint32_t slot, hw_bytes pairs, bool gone, hw_error *err)
{
    size_t n = pairs.size / HWI_PAIR_BYTES;

    if (w->count + n > w->room) {
        size_t room = HWI_MAX((size_t)w->room * 2, w->count + n);
        change *grown = hwi_realloc(w->changes, hwi_size_mul(room, sizeof *grown));
        if (!grown) return hwi_nomem(err, room * sizeof *grown);
        w->changes = grown;
        w->room = (uint32_t)room;
    }
    for (size_t i = 0; i < n; i++, w->count++)
        w->changes[w->count] = (change){hwi_pair_index(pairs.data, i), slot,
                                        hwi_pair_value(pairs.data, i), w->count * 2 + gone};
    return HW_OK;
}

hw_status
hwi_sparse_change(hwi_sparse_writer *w, uint32_t slot, hw_bytes before, hw_bytes after,
                  hw_error *err)
{
    HWI_TRY(collect(w, slot, before, true, err));
    HWI_TRY(collect(w, slot, after, false, err));
    return w->count < CHANGES_MAX ? HW_OK : hwi_sparse_flush(w, err);
}

static int
by_place(const void *a, const void *b)
{
    const change *x = a, *y = b;
    uint64_t p = (uint64_t)x->index << 32 | x->slot, q = (uint64_t)y->index << 32 | y->slot;

    if (p != q) return p < q ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Keeps the last change of every place; returns how many there are. */
static uint32_t
sort_changes(change *c, uint32_t count)
{
    uint32_t n = 0;

    if (count) qsort(c, count, sizeof *c, by_place);
    for (uint32_t i = 0; i < count; i++) {
        if (n && c[n - 1].index == c[i].index && c[n - 1].slot == c[i].slot) n--;
        c[n++] = c[i];
    }
    return n;
}

/* ---- pages ---- */

/* A page as it lies in the store, borrowed until the next write. */
typedef struct stored {
    bool is_there;
    uint32_t first; /* slot that its key names */
    hw_bytes value;
} stored;

typedef struct finding {
    stored *page;
    size_t prefix_bytes;
    hw_status st;
    hw_error *err;
} finding;

static bool
note_page(void *arg, hw_bytes key, hw_bytes value)
{
    finding *f = arg;
    hwi_key_reader r;

    hwi_key_reader_init(&r, key);
    r.at += f->prefix_bytes;
    f->st = hwi_key_read_u32(&r, &f->page->first, f->err);
    f->page->value = value;
    f->page->is_there = f->st == HW_OK;
    return false;
}

/* The first page from slot `from` on, or (`back`) the last that begins before it. */
static hw_status
find_page(hwi_sparse_writer *w, uint32_t index, uint64_t from, bool back, stored *out,
          hw_error *err)
{
    hwi_key low, high;

    hwi_posting_prefix(&low, w->coll, w->field, index);
    finding f = {out, low.size, HW_OK, err};
    *out = (stored){0};
    high = hwi_key_range_end(&low);
    if (back) {
        hwi_key_cut(&high, low.size);
        hwi_key_uint(&high, from);
    } else {
        hwi_key_uint(&low, from);
    }
    HWI_TRY(
        hwi_store_scan(w->txn, hwi_key_view(&low), hwi_key_view(&high), back, note_page, &f, err));
    return f.st;
}

static hw_status
room_for(hwi_sparse_writer *w, size_t count, hw_error *err)
{
    if (count <= w->merged_room) return HW_OK;
    size_t room = HWI_MAX(count, w->merged_room * 2);
    posting *grown = hwi_realloc(w->merged, hwi_size_mul(room, sizeof *grown));
    if (!grown) return hwi_nomem(err, room * sizeof *grown);
    w->merged = grown;
    w->merged_room = room;
    return HW_OK;
}

/* Merges a page (may be absent) with changes of its range behind what is merged already. */
static hw_status
merge(hwi_sparse_writer *w, const stored *page, const change *c, uint32_t count, hw_error *err)
{
    uint32_t rows = 0, i = 0;

    if (page->is_there) {
        HWI_TRY(hwi_page_verify(page->value, HWI_PAGE_MAGIC_INV, HWI_POSTING_BYTES, err));
        rows = hwi_page_rows(page->value.data);
    }
    HWI_TRY(room_for(w, w->merged_count + rows + count, err));
    for (uint32_t j = 0; i < rows || j < count;) {
        const uint8_t *row = i < rows ? hwi_page_row(page->value.data, i, HWI_POSTING_BYTES) : NULL;
        uint32_t slot = row ? hwi_get_u32(row) : UINT32_MAX;
        if (j == count || (row && slot < c[j].slot)) {
            w->merged[w->merged_count++] = (posting){slot, hwi_get_f32(row + 4)};
            i++;
            continue;
        }
        if (row && slot == c[j].slot) i++;
        if (!(c[j].order & 1)) w->merged[w->merged_count++] = (posting){c[j].slot, c[j].value};
        j++;
    }
    return HW_OK;
}

static hw_status
put_page(hwi_sparse_writer *w, uint32_t index, const posting *p, uint32_t count, hw_error *err)
{
    uint8_t page[HWI_PAGE_HEADER + HWI_POSTINGS_MAX * HWI_POSTING_BYTES] = {0};
    size_t bytes = HWI_PAGE_HEADER + (size_t)count * HWI_POSTING_BYTES;
    hwi_key key;

    for (uint32_t i = 0; i < count; i++) {
        uint8_t *row = page + HWI_PAGE_HEADER + (size_t)i * HWI_POSTING_BYTES;
        hwi_put_u32(row, p[i].slot);
        hwi_put_f32(row + 4, p[i].value);
    }
    hwi_page_seal(page, bytes, HWI_PAGE_MAGIC_INV, count, HWI_POSTING_BYTES);
    hwi_posting_prefix(&key, w->coll, w->field, index);
    hwi_key_uint(&key, p[0].slot);
    return hwi_store_put(w->txn, hwi_key_view(&key), hwi_bytes(page, bytes), err);
}

/* Writes what is merged as one page or several. */
static hw_status
put_merged(hwi_sparse_writer *w, uint32_t index, bool is_last, hw_error *err)
{
    size_t left = w->merged_count, pages = (left + HWI_POSTINGS_MAX - 1) / HWI_POSTINGS_MAX;
    const posting *p = w->merged;

    for (; pages > 0; pages--) {
        size_t n = is_last ? HWI_MIN(left, (size_t)HWI_POSTINGS_MAX) : (left + pages - 1) / pages;
        HWI_TRY(put_page(w, index, p, (uint32_t)n, err));
        p += n, left -= n;
    }
    return HW_OK;
}

static hw_status
delete_page(hwi_sparse_writer *w, uint32_t index, uint32_t first, hw_error *err)
{
    hwi_key key;

    hwi_posting_prefix(&key, w->coll, w->field, index);
    hwi_key_uint(&key, first);
    return hwi_store_del(w->txn, hwi_key_view(&key), err);
}

/* How many of the changes lie before a page. */
static uint32_t
changes_before(const change *c, uint32_t count, const stored *page)
{
    uint32_t n = 0;

    if (!page->is_there) return count;
    while (n < count && c[n].slot < page->first) n++;
    return n;
}

/* The page that the first change belongs to: the last one that begins at its slot or before, else the
 * first of the index. Loading appends, so the very last is tried first; there is none behind it. */
static hw_status
find_first(hwi_sparse_writer *w, const change *c, stored *page, bool *is_last, hw_error *err)
{
    HWI_TRY(find_page(w, c->index, (uint64_t)UINT32_MAX + 1, true, page, err));
    *is_last = page->is_there && page->first <= c->slot;
    if (*is_last || !page->is_there) return HW_OK;
    HWI_TRY(find_page(w, c->index, (uint64_t)c->slot + 1, true, page, err));
    if (page->is_there) return HW_OK;
    return find_page(w, c->index, 0, false, page, err);
}

/* Applies the changes that belong to one page (and, when it becomes small, to its followers). */
static hw_status
change_page(hwi_sparse_writer *w, const change *c, uint32_t count, uint32_t *used, hw_error *err)
{
    uint32_t index = c[0].index, firsts[3], first_count = 0;
    bool is_last;
    stored page, next;

    *used = 0;
    w->merged_count = 0;
    HWI_TRY(find_first(w, c, &page, &is_last, err));
    do {
        uint64_t after = page.is_there ? (uint64_t)page.first + 1 : 0;
        next = (stored){0};
        if (page.is_there && !is_last) HWI_TRY(find_page(w, index, after, false, &next, err));
        uint32_t n = changes_before(c + *used, count - *used, &next);
        HWI_TRY(merge(w, &page, c + *used, n, err));
        *used += n;
        if (page.is_there) firsts[first_count++] = page.first;
        page = next;
    } while (next.is_there && w->merged_count < HWI_POSTINGS_MAX / 4 && first_count < 3);
    for (uint32_t i = 0; i < first_count; i++) {
        bool stays = w->merged_count && firsts[i] == w->merged[0].slot;
        if (!stays) HWI_TRY(delete_page(w, index, firsts[i], err));
    }
    return put_merged(w, index, !next.is_there, err);
}

hw_status
hwi_sparse_flush(hwi_sparse_writer *w, hw_error *err)
{
    uint32_t count = sort_changes(w->changes, w->count), end;

    w->count = 0;
    for (uint32_t i = 0; i < count; i = end) {
        for (end = i; end < count && w->changes[end].index == w->changes[i].index;) end++;
        for (uint32_t used; i < end; i += used)
            HWI_TRY(change_page(w, w->changes + i, end - i, &used, err));
    }
    return HW_OK;
}
