/* pix_check.c - does an index say what the payloads say?
 *
 * The check collects what a build from all live payloads would write, sorted, and walks it in step
 * with what is stored:
 *
 *      expected   a  b     d  e            b is the same; c is stored without reason;
 *      stored     a' b  c     e            d and some slots of a are missing
 *
 * so any difference in either direction is found, and nothing but differences. Memory grows with
 * the entries of all indexes, some 4 to 16 bytes each: the price of a check that needs no
 * assumption about how the entries got there. */
#include <stdio.h>

#include "payload/pix_parts.h"
#include "records/records.h"

typedef struct check {
    hw_store_txn *txn;
    uint32_t coll;
    hwi_schema ready;
    hwi_pix_writer *expected;
    hw_damage_fn damage;
    void *arg;
    hw_error *err;
    hw_status st;
    size_t field_at; /* being walked */
    size_t next;     /* of expected->touched */
} check;

static void report(const check *c, hw_bytes key, const char *format, ...) HW_PRINTF(3, 4);

static void
report(const check *c, hw_bytes key, const char *format, ...)
{
    char where[300], what[160];
    va_list args;

    int n =
        snprintf(where, sizeof where, "payload index `%.100s` ", c->ready.fields[c->field_at].path);
    hwi_key_print(key, where + n, sizeof where - (size_t)n);
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    c->damage(c->arg, where, what);
}

/* ---- what should be there */

static hw_status
ready_fields(check *c, const hwi_schema *schema)
{
    c->ready.fields = hwi_alloc(hwi_size_mul(schema->count, sizeof *c->ready.fields));
    if (!c->ready.fields) return hwi_nomem(c->err, schema->count * sizeof *c->ready.fields);
    for (size_t i = 0; i < schema->count; i++)
        if (schema->fields[i].ready) c->ready.fields[c->ready.count++] = schema->fields[i];
    return HW_OK;
}

static hw_status
collect_slot(check *c, hwi_arena *arena, hwi_buf *large, uint32_t slot)
{
    hw_bytes payload;
    const hwi_json *root = NULL;
    char where[64];

    HWI_TRY(hwi_payload_get(c->txn, c->coll, slot, large, &payload, c->err));
    if (payload.size == 0) return HW_OK;
    hwi_arena_release(arena);
    hw_status st = hwi_json_parse(payload.data, payload.size, arena, &root, c->err);
    if (st == HW_EINVAL) {
        snprintf(where, sizeof where, "payload of slot %u", slot);
        c->damage(c->arg, where, "is not JSON");
        return HW_OK;
    }
    for (size_t i = 0; st == HW_OK && i < c->ready.count; i++)
        st = hwi_pix_collect(c->expected, i, slot, root, true, c->err);
    return st;
}

static hw_status
collect_all(check *c, const roaring_bitmap_t *live)
{
    hwi_arena arena = {0};
    hwi_buf large = {0};
    roaring_uint32_iterator_t it;
    hw_status st = HW_OK;

    roaring_init_iterator(live, &it);
    for (; st == HW_OK && it.has_value; roaring_advance_uint32_iterator(&it))
        st = collect_slot(c, &arena, &large, it.current_value);
    hwi_arena_release(&arena);
    hwi_buf_release(&large);
    if (st == HW_OK) hwi_pix_sort(c->expected);
    return st;
}

/* ---- bitmaps */

static hw_bytes
expected_key(const check *c, size_t at)
{
    const hwi_pix_touched *t = &c->expected->touched[at];
    return hwi_bytes(c->expected->keys.data + t->key_at, t->key_bytes);
}

static int
compare_keys(hw_bytes a, hw_bytes b)
{
    int c = memcmp(a.data, b.data, HWI_MIN(a.size, b.size));
    return c ? c : a.size < b.size ? -1 : a.size > b.size;
}

static void
compare_bitmap(check *c, hw_bytes key, hw_bytes value)
{
    const hwi_pix_touched *t = &c->expected->touched[c->next];
    uint64_t stored[HWI_CHUNK_WORDS] = {0}, expected[HWI_CHUNK_WORDS] = {0};
    hw_error inner;
    uint32_t missing = 0, extra = 0;

    if (hwi_chunk_read(value, t->chunk, stored, &inner) != HW_OK) {
        report(c, key, "%.120s", inner.message);
        return;
    }
    for (size_t i = 0; i < t->op_count; i++)
        expected[(t->ops[i] & 0xffff) >> 6] |= (uint64_t)1 << (t->ops[i] & 63);
    for (size_t i = 0; i < HWI_CHUNK_WORDS; i++) {
        missing += (uint32_t)__builtin_popcountll(expected[i] & ~stored[i]);
        extra += (uint32_t)__builtin_popcountll(stored[i] & ~expected[i]);
    }
    if (missing + extra > 0)
        report(c, key, "%u slots are missing and %u are there without reason", missing, extra);
}

static bool
is_page_key(const check *c, hw_bytes key)
{
    hwi_key prefix;
    hwi_pix_kind_key(&prefix, c->coll, c->ready.fields[c->field_at].number, HWI_PIX_PAGE);
    return key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

static bool
walk_stored(void *arg, hw_bytes key, hw_bytes value)
{
    check *c = arg;
    int order = 1;

    if (is_page_key(c, key)) return false; /* bitmaps sort before pages */
    while (c->next < c->expected->touched_count) {
        order = compare_keys(expected_key(c, c->next), key);
        if (order >= 0) break;
        report(c, expected_key(c, c->next++), "the bitmap is missing");
    }
    if (c->next == c->expected->touched_count) order = 1;
    if (order == 0) {
        compare_bitmap(c, key, value);
        c->next++;
    } else {
        report(c, key, "no payload has this value");
    }
    return true;
}

static hw_status
check_bitmaps(check *c)
{
    hwi_key prefix;

    hwi_pix_field_key(&prefix, c->coll, c->ready.fields[c->field_at].number);
    hwi_key end = hwi_key_range_end(&prefix);
    HWI_TRY(hwi_store_scan_prefix(c->txn, &prefix, walk_stored, c, c->err));
    while (c->next < c->expected->touched_count &&
           compare_keys(expected_key(c, c->next), hwi_key_view(&end)) < 0)
        report(c, expected_key(c, c->next++), "the bitmap is missing");
    return HW_OK;
}

/* ---- pages */

typedef struct page_walk {
    check *check;
    const hwi_pix_codes *expected;
    size_t next;
    hwi_pix_entry last;
    bool any, disorder;
    uint64_t missing, extra;
} page_walk;

static void
walk_entry(page_walk *w, hwi_pix_entry e)
{
    if (w->any && hwi_pix_entry_compare(&w->last, &e) >= 0) w->disorder = true;
    w->any = true;
    w->last = e;
    while (w->next < w->expected->count &&
           hwi_pix_entry_compare(&w->expected->entries[w->next], &e) < 0)
        w->next++, w->missing++;
    if (w->next < w->expected->count &&
        hwi_pix_entry_compare(&w->expected->entries[w->next], &e) == 0)
        w->next++;
    else
        w->extra++;
}

static hw_status
walk_same(page_walk *w, const hwi_page_part *p, hw_error *err)
{
    uint64_t words[HWI_CHUNK_WORDS] = {0};

    HWI_TRY(hwi_chunk_read(p->slots, p->chunk, words, err));
    for (uint32_t i = 0; i < HWI_CHUNK_WORDS; i++)
        for (uint64_t b = words[i]; b; b &= b - 1) {
            uint32_t low = i * 64 + (uint32_t)__builtin_ctzll(b);
            walk_entry(w, (hwi_pix_entry){p->code, p->chunk << 16 | low, 1});
        }
    return HW_OK;
}

static hw_status
walk_page(void *arg, const hwi_page_part *p, hw_error *err)
{
    page_walk *w = arg;
    hwi_pix_entry first = {p->code, p->low.slot, 1};

    if (!p->same) first = (hwi_pix_entry){hwi_page_part_code(p, 0), hwi_page_part_slot(p, 0), 1};
    if (hwi_pix_entry_compare(&p->low, &first) > 0) w->disorder = true;              /* P1 */
    if (w->any && hwi_pix_entry_compare(&w->last, &p->low) >= 0) w->disorder = true; /* P2 */
    if (p->same) return walk_same(w, p, err);
    for (size_t i = 0; i < p->count; i++)
        walk_entry(w, (hwi_pix_entry){hwi_page_part_code(p, i), hwi_page_part_slot(p, i), 1});
    return HW_OK;
}

static hw_status
check_pages(check *c)
{
    uint32_t field = c->ready.fields[c->field_at].number;
    page_walk w = {.check = c, .expected = &c->expected->codes[c->field_at]};
    hwi_key prefix;
    hw_error inner = {0};

    hwi_pix_kind_key(&prefix, c->coll, field, HWI_PIX_PAGE);
    hw_status st = hwi_pages_scan(c->txn, c->coll, field, 0, UINT64_MAX, walk_page, &w, &inner);
    if (st == HW_ECORRUPT) report(c, hwi_key_view(&prefix), "%.120s", inner.message);
    if (st != HW_OK && st != HW_ECORRUPT) return hwi_fail(c->err, st, "%s", inner.message);
    if (st == HW_ECORRUPT) return HW_OK;

    w.missing += w.expected->count - w.next;
    if (w.disorder) report(c, hwi_key_view(&prefix), "entries or pages are out of order");
    if (w.missing + w.extra > 0)
        report(c, hwi_key_view(&prefix),
               "%llu entries are missing and %llu are there without reason",
               (unsigned long long)w.missing, (unsigned long long)w.extra);
    return HW_OK;
}

/* ---- the whole */

static void
sort_by_number(hwi_schema *s)
{
    for (size_t i = 1; i < s->count; i++)
        for (size_t j = i; j > 0 && s->fields[j - 1].number > s->fields[j].number; j--) {
            hwi_pix_field swap = s->fields[j];
            s->fields[j] = s->fields[j - 1];
            s->fields[j - 1] = swap;
        }
}

hw_status
hwi_pix_check(hw_store_txn *txn, uint32_t coll, const hwi_schema *schema, hw_damage_fn damage,
              void *arg, hw_error *err)
{
    check c = {.txn = txn, .coll = coll, .damage = damage, .arg = arg, .err = err};
    roaring_bitmap_t *live = NULL;

    hw_status st = hwi_pix_live(txn, coll, &live, err);
    if (st == HW_ECORRUPT) damage(arg, "live slots", err ? err->message : "damaged bitmap");
    if (st == HW_ECORRUPT) return HW_OK;
    if (st == HW_OK) st = ready_fields(&c, schema);
    sort_by_number(&c.ready); /* keys sort so, and the walk goes through them once */
    if (st == HW_OK) st = hwi_pix_writer_new(txn, coll, &c.ready, &c.expected, err);
    if (st == HW_OK) st = collect_all(&c, live);
    for (; st == HW_OK && c.field_at < c.ready.count; c.field_at++) {
        st = check_bitmaps(&c);
        if (st == HW_OK) st = check_pages(&c);
    }
    hwi_pix_writer_free(c.expected);
    hwi_free(c.ready.fields);
    if (live) roaring_bitmap_free(live);
    return st;
}
