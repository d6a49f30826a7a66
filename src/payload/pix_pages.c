/* pix_pages.c - the ordered part of an index: (code, slot) entries in pages, for ranges.
 *
 * Entries ascend by code, then slot, and are cut into pages. A page's key is a lower bound of its
 * entries; it holds what lies between its key and the next page's:
 *
 *      key (17, 0)              key (40, 5)          key (40, 70000)       key (93, 2)
 *      +---------------------+  +-----------------+  +-----------------+  +---------
 *      | 17:4  21:0  39:812  |  | 40, slots 5 ... |  | 40, slots 7.... |  | 93:2 ...
 *      +---------------------+  +-----------------+  +-----------------+  +---------
 *        mixed: up to 336         same code, same      the next chunk
 *        entries of 12 bytes      chunk: a bitmap
 *
 * So a field with few distinct values is a handful of bitmaps, one with all distinct values a list
 * of sorted pages of 4 kB, and any mixture in between takes whichever form fits: from SAME_MIN
 * entries of one code and chunk on they get a page of their own. A range reads the pages from its
 * lower to its upper end, each once.
 *
 * The road not taken is Lucene's trie: bitmaps for several lengths of prefix of each value, so that
 * a range is a union of few. It answers a wide range from some thirty bitmaps, but a million
 * distinct doubles then have millions of keys, each holding one slot: twelve keys a value when only
 * every fourth bit gets a level. Here a value costs 12 bytes, and a range over half of a million
 * points reads 2,000 pages, which takes a few milliseconds (bench/filter_bench.c).
 *
 * Invariants, verified by hwi_pix_check:
 *   P1  entries of a page ascend strictly and none is below its key
 *   P2  all entries of a page are below the key of the next
 *   P3  no page is empty; a mixed page has at most MIXED_MAX entries */
#include "payload/pix_parts.h"

#define FORM_MIXED 1u
#define FORM_SAME 2u
#define HEAD_BYTES 4u
#define ENTRY_BYTES 12u
#define MIXED_MAX 336u                 /* 4,036 bytes: with LMDB's header one page of the system */
#define MIXED_FILL (MIXED_MAX * 3 / 4) /* when a page is cut up, room for later entries */
#define MIXED_LOW (MIXED_MAX / 4)      /* below, a page joins its successor */
#define SAME_MIN 64u
#define SAME_LOW 32u

/* One page as found; value is borrowed until the next write. */
typedef struct page {
    hwi_pix_entry low; /* the key */
    hw_bytes value;
    bool same;
    size_t count; /* mixed */
} page;

typedef struct place {
    hw_store_txn *txn;
    uint32_t coll, field;
} place;

typedef struct list {
    hwi_pix_entry *entries;
    size_t count, room;
} list;

/* ---- keys and values */

static void
page_key(hwi_key *k, const place *p, uint64_t code, uint32_t slot)
{
    hwi_pix_kind_key(k, p->coll, p->field, HWI_PIX_PAGE);
    hwi_key_uint(k, code);
    hwi_key_uint(k, slot);
}

static hw_status
read_page(const place *p, hw_bytes key, hw_bytes value, page *out, hw_error *err)
{
    hwi_key prefix;
    hwi_key_reader r;
    const uint8_t *v = value.data;

    hwi_pix_kind_key(&prefix, p->coll, p->field, HWI_PIX_PAGE);
    if (key.size < prefix.size || memcmp(key.data, prefix.data, prefix.size) != 0)
        return hwi_fail(err, HW_ECORRUPT, "payload index page: key outside its field");
    hwi_key_reader_init(&r,
                        hwi_bytes((const uint8_t *)key.data + prefix.size, key.size - prefix.size));
    *out = (page){.value = value};
    HWI_TRY(hwi_key_read_uint(&r, &out->low.code, err));
    HWI_TRY(hwi_key_read_u32(&r, &out->low.slot, err));
    HWI_TRY(hwi_key_read_end(&r, err));
    if (value.size <= HEAD_BYTES || (v[0] != FORM_MIXED && v[0] != FORM_SAME))
        return hwi_fail(err, HW_ECORRUPT, "payload index page: unknown form");
    out->same = v[0] == FORM_SAME;
    if (v[1] != 0 || (out->same && hwi_get_u16(v + 2) != 0))
        return hwi_fail(err, HW_ECORRUPT, "payload index page: reserved bytes are set");
    if (out->same) return HW_OK;
    out->count = hwi_get_u16(v + 2);
    if (out->count == 0 || out->count > MIXED_MAX ||
        value.size != HEAD_BYTES + out->count * ENTRY_BYTES)
        return hwi_fail(err, HW_ECORRUPT, "payload index page: %zu bytes for %zu entries",
                        value.size, out->count);
    return HW_OK;
}

static hw_bytes
same_chunk(const page *p)
{
    return hwi_bytes((const uint8_t *)p->value.data + HEAD_BYTES, p->value.size - HEAD_BYTES);
}

static hwi_pix_entry
mixed_entry(const page *p, size_t i)
{
    const uint8_t *codes = (const uint8_t *)p->value.data + HEAD_BYTES;
    return (hwi_pix_entry){hwi_get_u64(codes + i * 8), hwi_get_u32(codes + p->count * 8 + i * 4),
                           1};
}

/* ---- scanning */

typedef struct scan {
    place place;
    uint64_t from, to;
    hwi_page_fn fn;
    void *arg;
    hw_error *err;
    hw_status st;
    hwi_key start;
} scan;

/* First entry with a code of at least `code`. */
static size_t
lower_bound(const page *p, uint64_t code)
{
    size_t from = 0, to = p->count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (mixed_entry(p, mid).code < code)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static hw_status
visit_page(const scan *s, const page *p)
{
    hwi_page_part part = {.low = p->low, .same = p->same};

    if (p->same) {
        if (p->low.code < s->from || p->low.code > s->to) return HW_OK;
        part.code = p->low.code;
        part.chunk = hwi_chunk_of(p->low.slot);
        part.slots = same_chunk(p);
        return s->fn(s->arg, &part, s->err);
    }
    size_t first = lower_bound(p, s->from);
    size_t end = s->to == UINT64_MAX ? p->count : lower_bound(p, s->to + 1);
    if (first >= end) return HW_OK;
    const uint8_t *codes = (const uint8_t *)p->value.data + HEAD_BYTES;
    part.codes = codes + first * 8;
    part.entry_slots = codes + p->count * 8 + first * 4;
    part.count = end - first;
    return s->fn(s->arg, &part, s->err);
}

static bool
scan_page(void *arg, hw_bytes key, hw_bytes value)
{
    scan *s = arg;
    page p;

    s->st = read_page(&s->place, key, value, &p, s->err);
    if (s->st == HW_OK) s->st = visit_page(s, &p);
    return s->st == HW_OK;
}

static bool
keep_key(void *arg, hw_bytes key, hw_bytes value)
{
    hwi_key *k = arg;
    (void)value;
    hwi_key_init(k);
    hwi_key_raw(k, key);
    return false;
}

/* Pages in either direction; a page's entries are handed over as they lie. */
static hw_status
scan_range(hw_store_txn *txn, uint32_t coll, uint32_t field, uint64_t from, uint64_t to,
           bool downwards, hwi_page_fn fn, void *arg, hw_error *err)
{
    scan s = {{txn, coll, field}, from, to, fn, arg, err, HW_OK, {0, {0}}};
    hwi_key prefix, last;

    if (from > to) return HW_OK;
    hwi_pix_kind_key(&prefix, coll, field, HWI_PIX_PAGE);
    page_key(&s.start, &s.place, from, 0);
    page_key(&last, &s.place, to, UINT32_MAX);
    hwi_key end = hwi_key_range_end(&last);

    /* The page before may reach into the range. */
    hwi_key first = s.start;
    HWI_TRY(hwi_store_scan(txn, hwi_key_view(&prefix), hwi_key_view(&s.start), true, keep_key,
                           &first, err));
    HWI_TRY(hwi_store_scan(txn, hwi_key_view(&first), hwi_key_view(&end), downwards, scan_page, &s,
                           err));
    return s.st;
}

hw_status
hwi_pages_scan(hw_store_txn *txn, uint32_t coll, uint32_t field, uint64_t from, uint64_t to,
               hwi_page_fn fn, void *arg, hw_error *err)
{
    return scan_range(txn, coll, field, from, to, false, fn, arg, err);
}

hw_status
hwi_pages_scan_down(hw_store_txn *txn, uint32_t coll, uint32_t field, uint64_t from, uint64_t to,
                    hwi_page_fn fn, void *arg, hw_error *err)
{
    return scan_range(txn, coll, field, from, to, true, fn, arg, err);
}

/* ---- lists of entries */

static bool
list_add(list *l, hwi_pix_entry e)
{
    if (l->count == l->room) {
        size_t room = HWI_MAX(l->room * 2, (size_t)512);
        void *grown = hwi_realloc(l->entries, hwi_size_mul(room, sizeof *l->entries));
        if (!grown) return false;
        l->entries = grown;
        l->room = room;
    }
    l->entries[l->count++] = e;
    return true;
}

static hw_status
add_same(list *l, uint64_t code, uint32_t chunk, const uint64_t *words, hw_error *err)
{
    for (uint32_t i = 0; i < HWI_CHUNK_WORDS; i++)
        for (uint64_t w = words[i]; w; w &= w - 1) {
            uint32_t slot = chunk << 16 | (i * 64 + (uint32_t)__builtin_ctzll(w));
            if (!list_add(l, (hwi_pix_entry){code, slot, 1}))
                return hwi_nomem(err, l->room * sizeof *l->entries);
        }
    return HW_OK;
}

/* Appends a page's entries. Order is checked, since writing relies on it. */
static hw_status
add_page(list *l, const page *p, hw_error *err)
{
    uint64_t words[HWI_CHUNK_WORDS] = {0};
    uint32_t chunk = hwi_chunk_of(p->low.slot);

    if (p->same) {
        HWI_TRY(hwi_chunk_read(same_chunk(p), chunk, words, err));
        return add_same(l, p->low.code, chunk, words, err);
    }
    for (size_t i = 0; i < p->count; i++) {
        hwi_pix_entry e = mixed_entry(p, i);
        if (l->count > 0 && hwi_pix_entry_compare(&l->entries[l->count - 1], &e) >= 0)
            return hwi_fail(err, HW_ECORRUPT, "payload index page: entries not ascending");
        if (!list_add(l, e)) return hwi_nomem(err, l->room * sizeof *l->entries);
    }
    return HW_OK;
}

/* out = entries with the changes applied; *changed tells whether they differ. */
static hw_status
merge(const list *entries, const hwi_pix_entry *changes, size_t count, list *out, bool *changed,
      hw_error *err)
{
    size_t i = 0, j = 0;

    *changed = false;
    while (i < entries->count || j < count) {
        int c = i == entries->count ? 1
                : j == count        ? -1
                                    : hwi_pix_entry_compare(&entries->entries[i], &changes[j]);
        bool keep = c < 0 || changes[j].add;
        hwi_pix_entry e = c < 0 ? entries->entries[i] : changes[j];
        *changed = *changed || (c == 0 && !keep) || (c > 0 && keep);
        if (keep && !list_add(out, e)) return hwi_nomem(err, out->room * sizeof e);
        if (c <= 0) i++;
        if (c >= 0) j++;
    }
    return HW_OK;
}

/* ---- writing pages */

static hw_status
put_mixed(const place *p, const hwi_pix_entry *low, const hwi_pix_entry *entries, size_t count,
          hw_error *err)
{
    uint8_t value[HEAD_BYTES + MIXED_MAX * ENTRY_BYTES] = {FORM_MIXED};
    hwi_key key;

    hwi_put_u16(value + 2, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        hwi_put_u64(value + HEAD_BYTES + i * 8, entries[i].code);
        hwi_put_u32(value + HEAD_BYTES + count * 8 + i * 4, entries[i].slot);
    }
    page_key(&key, p, low->code, low->slot);
    return hwi_store_put(p->txn, hwi_key_view(&key),
                         hwi_bytes(value, HEAD_BYTES + count * ENTRY_BYTES), err);
}

static hw_status
put_same(const place *p, const hwi_pix_entry *low, const uint64_t *words, hw_error *err)
{
    uint8_t value[HEAD_BYTES + HWI_CHUNK_BYTES_MAX] = {FORM_SAME};
    hwi_key key;

    size_t bytes = hwi_chunk_write(words, hwi_chunk_of(low->slot), value + HEAD_BYTES);
    page_key(&key, p, low->code, low->slot);
    return hwi_store_put(p->txn, hwi_key_view(&key), hwi_bytes(value, HEAD_BYTES + bytes), err);
}

/* Writes a list that takes the place of page `old` (NULL: of none). */
typedef struct output {
    const place *place;
    const page *old;
    bool old_key_used;
    const list *list;
} output;

/* The first page keeps the old key when that is still a lower bound: writing in place is cheaper
 * than deleting and inserting. */
static hwi_pix_entry
key_for(output *o, size_t at, bool same)
{
    hwi_pix_entry first = o->list->entries[at];

    if (at > 0 || !o->old || hwi_pix_entry_compare(&o->old->low, &first) > 0) return first;
    bool alike = o->old->low.code == first.code &&
                 hwi_chunk_of(o->old->low.slot) == hwi_chunk_of(first.slot);
    if (same && !alike) return first;
    o->old_key_used = true;
    return o->old->low;
}

static hw_status
write_mixed(output *o, size_t from, size_t to, hw_error *err)
{
    size_t count = to - from;
    size_t pieces = count <= MIXED_MAX ? 1 : (count + MIXED_FILL - 1) / MIXED_FILL;

    for (size_t i = 0; i < pieces && count > 0; i++) {
        size_t first = from + count * i / pieces, end = from + count * (i + 1) / pieces;
        hwi_pix_entry low = key_for(o, first, false);
        HWI_TRY(put_mixed(o->place, &low, o->list->entries + first, end - first, err));
    }
    return HW_OK;
}

static hw_status
write_same(output *o, size_t from, size_t to, hw_error *err)
{
    uint64_t words[HWI_CHUNK_WORDS] = {0};

    for (size_t i = from; i < to; i++) {
        uint32_t v = o->list->entries[i].slot & 0xffff;
        words[v >> 6] |= (uint64_t)1 << (v & 63);
    }
    hwi_pix_entry low = key_for(o, from, true);
    return put_same(o->place, &low, words, err);
}

/* End of the entries from `at` that share its code and chunk. */
static size_t
group_end(const list *l, size_t at)
{
    size_t i = at + 1;
    while (i < l->count && l->entries[i].code == l->entries[at].code &&
           hwi_chunk_of(l->entries[i].slot) == hwi_chunk_of(l->entries[at].slot))
        i++;
    return i;
}

static hw_status
write_list(output *o, hw_error *err)
{
    const list *l = o->list;
    size_t pending = 0;

    for (size_t i = 0, end; i < l->count; i = end) {
        end = group_end(l, i);
        if (end - i < SAME_MIN) continue;
        HWI_TRY(write_mixed(o, pending, i, err));
        HWI_TRY(write_same(o, i, end, err));
        pending = end;
    }
    HWI_TRY(write_mixed(o, pending, l->count, err));
    if (!o->old || o->old_key_used) return HW_OK;
    hwi_key key;
    page_key(&key, o->place, o->old->low.code, o->old->low.slot);
    return hwi_store_del(o->place->txn, hwi_key_view(&key), err);
}

/* ---- applying changes */

typedef struct finder {
    const place *place;
    page found;
    bool any;
    hw_error *err;
    hw_status st;
} finder;

static bool
take_first(void *arg, hw_bytes key, hw_bytes value)
{
    finder *f = arg;
    f->st = read_page(f->place, key, value, &f->found, f->err);
    f->any = f->st == HW_OK;
    return false;
}

static hw_status
find_in(const place *p, const hwi_key *from, const hwi_key *to, bool reverse, finder *f,
        hw_error *err)
{
    *f = (finder){.place = p, .err = err};
    HWI_TRY(
        hwi_store_scan(p->txn, hwi_key_view(from), hwi_key_view(to), reverse, take_first, f, err));
    return f->st;
}

/* The page an entry belongs to: the last one at or below it, else the first of all. */
static hw_status
find_page(const place *p, const hwi_pix_entry *e, finder *f, hw_error *err)
{
    hwi_key prefix, at;

    hwi_pix_kind_key(&prefix, p->coll, p->field, HWI_PIX_PAGE);
    page_key(&at, p, e->code, e->slot);
    hwi_key after = hwi_key_range_end(&at), end = hwi_key_range_end(&prefix);
    HWI_TRY(find_in(p, &prefix, &after, true, f, err));
    return f->any ? HW_OK : find_in(p, &after, &end, false, f, err);
}

static hw_status
find_next(const place *p, const page *current, finder *f, hw_error *err)
{
    hwi_key prefix, at;

    hwi_pix_kind_key(&prefix, p->coll, p->field, HWI_PIX_PAGE);
    page_key(&at, p, current->low.code, current->low.slot);
    hwi_key after = hwi_key_range_end(&at), end = hwi_key_range_end(&prefix);
    return find_in(p, &after, &end, false, f, err);
}

/* Changes that concern nothing but a page of one code go straight to its bits. *done is false when
 * they do not, or when too few slots are left for such a page. */
static hw_status
apply_to_same(const place *p, const page *old, const hwi_pix_entry *changes, size_t count,
              bool *done, hw_error *err)
{
    uint64_t words[HWI_CHUNK_WORDS] = {0};
    uint32_t chunk = hwi_chunk_of(old->low.slot);
    bool changed = false;

    *done = false;
    for (size_t i = 0; i < count; i++)
        if (changes[i].code != old->low.code || hwi_chunk_of(changes[i].slot) != chunk ||
            changes[i].slot < old->low.slot)
            return HW_OK;
    HWI_TRY(hwi_chunk_read(same_chunk(old), chunk, words, err));
    for (size_t i = 0; i < count; i++) {
        uint64_t *word = &words[(changes[i].slot & 0xffff) >> 6], before = *word;
        uint64_t bit = (uint64_t)1 << (changes[i].slot & 63);
        *word = changes[i].add ? *word | bit : *word & ~bit;
        changed = changed || *word != before;
    }
    *done = !changed || hwi_bits_count(words, HWI_CHUNK_WORDS) >= SAME_LOW;
    return changed && *done ? put_same(p, &old->low, words, err) : HW_OK;
}

/* Takes the next page in when both together fit one; so pages do not stay nearly empty. */
static hw_status
absorb_next(const place *p, const page *next, list *l, hw_error *err)
{
    hwi_key key;

    if (next->same || l->count + next->count > MIXED_MAX) return HW_OK;
    HWI_TRY(add_page(l, next, err));
    page_key(&key, p, next->low.code, next->low.slot);
    return hwi_store_del(p->txn, hwi_key_view(&key), err);
}

/* Changes that fall into one page; old and next may be NULL. */
static hw_status
apply_to_page(const place *p, const page *old, const page *next, const hwi_pix_entry *changes,
              size_t count, hw_error *err)
{
    list before = {0}, after = {0};
    bool changed = false, done = false;
    hw_status st = HW_OK;

    if (old && old->same) st = apply_to_same(p, old, changes, count, &done, err);
    if (st != HW_OK || done) return st;
    if (old) st = add_page(&before, old, err);
    if (st == HW_OK) st = merge(&before, changes, count, &after, &changed, err);
    if (st == HW_OK && changed && next && after.count > 0 && after.count < MIXED_LOW)
        st = absorb_next(p, next, &after, err);
    output o = {p, old, false, &after};
    if (st == HW_OK && changed) st = write_list(&o, err);
    hwi_free(before.entries);
    hwi_free(after.entries);
    return st;
}

hw_status
hwi_pages_apply(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_pix_entry *changes,
                size_t count, hw_error *err)
{
    place p = {txn, coll, field};
    finder old, next = {0};

    for (size_t i = 0, end; i < count; i = end) {
        HWI_TRY(find_page(&p, &changes[i], &old, err));
        next.any = false;
        if (old.any) HWI_TRY(find_next(&p, &old.found, &next, err));
        end = i + 1;
        while (end < count &&
               (!next.any || hwi_pix_entry_compare(&changes[end], &next.found.low) < 0))
            end++;
        HWI_TRY(apply_to_page(&p, old.any ? &old.found : NULL, next.any ? &next.found : NULL,
                              changes + i, end - i, err));
    }
    return HW_OK;
}
