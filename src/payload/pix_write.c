/* pix_write.c - collecting the changes of a transaction, and writing them.
 *
 * A thousand upserts that share ten labels must read and write ten bitmaps, not a thousand. So
 * changes are noted in memory, by key: a hash table finds the key, its list takes (slot, add or
 * remove). Flush walks the keys in order, applies each list to its bitmap and writes it when it
 * changed. A replaced payload is noted as "all of the old out, all of the new in"; as the later
 * note of a slot wins, what both share ends as no change.
 *
 *     change -> extract -> note -> touched[key] -> flush: get, apply, put
 *                            \---> codes[field] -> flush: sort, hwi_pages_apply
 *
 * Memory grows with the transaction, some 4 bytes a note; callers cut transactions by size. */
#include <stdlib.h>

#include "payload/pix_parts.h"

#define OP_ADD 0x10000u

/* ---- life */

static hw_status
parse_paths(hwi_pix_writer *w, hw_error *err)
{
    size_t n = w->schema->count;

    w->paths = hwi_arena_alloc(&w->paths_arena, hwi_size_mul(n, sizeof *w->paths));
    w->codes = hwi_arena_alloc(&w->paths_arena, hwi_size_mul(n, sizeof *w->codes));
    w->rules = hwi_arena_alloc(&w->paths_arena, hwi_size_mul(n, sizeof *w->rules));
    if (w->codes) memset(w->codes, 0, n * sizeof *w->codes);
    if (!w->paths || !w->codes || !w->rules) return hwi_nomem(err, n * sizeof *w->codes);
    for (size_t i = 0; i < n; i++) {
        const hwi_pix_field *f = &w->schema->fields[i];
        HWI_TRY(hwi_path_parse(f->path, strlen(f->path), &w->paths_arena, &w->paths[i], err));
        w->rules[i] = NULL;
        if (f->type != HWI_PIX_TEXT) continue;
        HWI_TRY(hwi_word_rules_read(f->params, &w->paths_arena, &w->rules[i], err));
    }
    return HW_OK;
}

hw_status
hwi_pix_writer_new(hw_store_txn *txn, uint32_t coll, const hwi_schema *schema, hwi_pix_writer **out,
                   hw_error *err)
{
    *out = NULL;
    hwi_pix_writer *w = hwi_alloc_zero(sizeof *w);
    if (!w) return hwi_nomem(err, sizeof *w);
    w->txn = txn;
    w->coll = coll;
    w->schema = schema;
    hw_status st = parse_paths(w, err);
    if (st == HW_OK)
        *out = w;
    else
        hwi_pix_writer_free(w);
    return st;
}

static void
forget(hwi_pix_writer *w)
{
    for (size_t i = 0; i < w->touched_count; i++) hwi_free(w->touched[i].ops);
    w->touched_count = 0;
    hwi_buf_clear(&w->keys);
    if (w->table) memset(w->table, 0, w->table_size * sizeof *w->table);
    for (size_t i = 0; w->codes && i < w->schema->count; i++) w->codes[i].count = 0;
}

void
hwi_pix_writer_free(hwi_pix_writer *w)
{
    if (!w) return;
    forget(w);
    for (size_t i = 0; w->codes && i < w->schema->count; i++) hwi_free(w->codes[i].entries);
    hwi_free(w->touched);
    hwi_free(w->table);
    hwi_buf_release(&w->keys);
    hwi_postings_release(&w->postings);
    hwi_arena_release(&w->paths_arena);
    hwi_arena_release(&w->payload_arena);
    hwi_free(w);
}

/* ---- noting */

/* Room for one more item of an array that doubles; false when out of memory. */
static bool
room_for_one(void **items, size_t count, size_t *room, size_t bytes)
{
    if (count < *room) return true;
    size_t more = HWI_MAX(*room * 2, (size_t)4);
    void *grown = hwi_realloc(*items, hwi_size_mul(more, bytes));
    if (!grown) return false;
    *items = grown;
    *room = more;
    return true;
}

static uint32_t *
table_place(const hwi_pix_writer *w, hw_bytes key)
{
    size_t at = (size_t)hwi_checksum(key.data, key.size) & (w->table_size - 1);

    for (; w->table[at]; at = (at + 1) & (w->table_size - 1)) {
        const hwi_pix_touched *t = &w->touched[w->table[at] - 1];
        if (t->key_bytes == key.size && memcmp(w->keys.data + t->key_at, key.data, key.size) == 0)
            break;
    }
    return &w->table[at];
}

/* Keeps the table at most half full. */
static bool
grow_table(hwi_pix_writer *w)
{
    if (w->table_size > w->touched_count * 2) return true;
    size_t size = HWI_MAX(w->table_size * 2, (size_t)64);
    uint32_t *table = hwi_alloc_zero(size * sizeof *table);
    if (!table) return false;
    hwi_free(w->table);
    w->table = table;
    w->table_size = size;
    for (size_t i = 0; i < w->touched_count; i++) {
        const hwi_pix_touched *t = &w->touched[i];
        *table_place(w, hwi_bytes(w->keys.data + t->key_at, t->key_bytes)) = (uint32_t)i + 1;
    }
    return true;
}

static hwi_pix_touched *
touch(hwi_pix_writer *w, hw_bytes key, uint32_t chunk)
{
    if (!grow_table(w)) return NULL;
    uint32_t *place = table_place(w, key);
    if (*place) return &w->touched[*place - 1];

    void *touched = w->touched;
    bool room = room_for_one(&touched, w->touched_count, &w->touched_room, sizeof *w->touched);
    w->touched = touched;
    size_t at = w->keys.size;
    hwi_buf_add(&w->keys, key.data, key.size);
    if (!room || w->keys.failed) return NULL;
    hwi_pix_touched *t = &w->touched[w->touched_count++];
    *t = (hwi_pix_touched){.key_at = at, .key_bytes = key.size, .chunk = chunk};
    *place = (uint32_t)w->touched_count;
    return t;
}

hw_status
hwi_pix_note(hwi_pix_writer *w, const hwi_key *prefix, uint32_t slot, bool add, hw_error *err)
{
    hwi_key key;

    hwi_key_init(&key);
    hwi_key_raw(&key, hwi_key_view(prefix));
    hwi_key_uint(&key, hwi_chunk_of(slot));
    hwi_pix_touched *t = touch(w, hwi_key_view(&key), hwi_chunk_of(slot));
    void *ops = t ? t->ops : NULL;
    if (!t || !room_for_one(&ops, t->op_count, &t->op_room, sizeof *t->ops))
        return hwi_nomem(err, sizeof *t->ops);
    t->ops = ops;
    t->ops[t->op_count++] = (slot & 0xffff) | (add ? OP_ADD : 0);
    return HW_OK;
}

static hw_status
note_terms(hwi_pix_writer *w, uint32_t field, uint32_t slot, bool add, hw_error *err)
{
    const uint8_t *p = w->postings.terms.data, *end = p + w->postings.terms.size;
    hwi_key key;

    while (p < end) {
        size_t bytes = hwi_get_u16(p + 1);
        hwi_pix_kind_key(&key, w->coll, field, (hwi_pix_kind)p[0]);
        hwi_key_raw(&key, hwi_bytes(p + 3, bytes));
        HWI_TRY(hwi_pix_note(w, &key, slot, add, err));
        p += 3 + bytes;
    }
    return HW_OK;
}

static hw_status
note_codes(hwi_pix_writer *w, hwi_pix_codes *c, uint32_t slot, bool add, hw_error *err)
{
    size_t count = w->postings.codes.size / sizeof(uint64_t);

    for (size_t i = 0; i < count; i++) {
        void *entries = c->entries;
        if (!room_for_one(&entries, c->count, &c->room, sizeof *c->entries))
            return hwi_nomem(err, c->room * sizeof *c->entries);
        c->entries = entries;
        hwi_pix_entry *e = &c->entries[c->count++];
        memcpy(&e->code, w->postings.codes.data + i * sizeof e->code, sizeof e->code);
        e->slot = slot;
        e->add = add;
    }
    return HW_OK;
}

hw_status
hwi_pix_collect(hwi_pix_writer *w, size_t field_at, uint32_t slot, const hwi_json *root, bool add,
                hw_error *err)
{
    const hwi_pix_field *f = &w->schema->fields[field_at];
    hwi_key key;

    if (!root) return HW_OK;
    HWI_TRY(
        hwi_pix_extract(f->type, w->rules[field_at], w->paths[field_at], root, &w->postings, err));
    for (uint32_t kind = 0; kind <= HWI_PIX_MULTI; kind++) {
        if (!(w->postings.flags >> kind & 1)) continue;
        hwi_pix_kind_key(&key, w->coll, f->number, (hwi_pix_kind)kind);
        HWI_TRY(hwi_pix_note(w, &key, slot, add, err));
    }
    HWI_TRY(note_terms(w, f->number, slot, add, err));
    return note_codes(w, &w->codes[field_at], slot, add, err);
}

static hw_status
parse_payload(hwi_pix_writer *w, hw_bytes payload, const hwi_json **root, hw_error *err)
{
    *root = NULL;
    if (payload.size == 0) return HW_OK;
    hw_status st = hwi_json_parse(payload.data, payload.size, &w->payload_arena, root, err);
    return st == HW_EINVAL ? hwi_fail_prefix(err, HW_ECORRUPT, "stored payload") : st;
}

hw_status
hwi_pix_change(hwi_pix_writer *w, uint32_t slot, hw_bytes before, hw_bytes after, hw_error *err)
{
    const hwi_json *old, *new;

    if (w->schema->count == 0) return HW_OK;
    if (before.size == after.size &&
        (after.size == 0 || memcmp(before.data, after.data, after.size) == 0))
        return HW_OK;
    hwi_arena_release(&w->payload_arena);
    HWI_TRY(parse_payload(w, before, &old, err));
    HWI_TRY(parse_payload(w, after, &new, err));
    for (size_t i = 0; i < w->schema->count; i++) {
        HWI_TRY(hwi_pix_collect(w, i, slot, old, false, err));
        HWI_TRY(hwi_pix_collect(w, i, slot, new, true, err));
    }
    return HW_OK;
}

hw_status
hwi_pix_set_live(hwi_pix_writer *w, uint32_t slot, bool live, hw_error *err)
{
    hwi_key key;

    hwi_pix_kind_key(&key, w->coll, 0, HWI_PIX_PRESENT);
    return hwi_pix_note(w, &key, slot, live, err);
}

hw_status
hwi_pix_build_slot(hwi_pix_writer *w, const hwi_pix_field *field, uint32_t slot, hw_bytes payload,
                   hw_error *err)
{
    const hwi_json *root;
    size_t at = 0;

    while (at < w->schema->count && w->schema->fields[at].number != field->number) at++;
    if (at == w->schema->count)
        return hwi_fail(err, HW_EINVAL, "payload index %u is not in the schema", field->number);
    hwi_arena_release(&w->payload_arena);
    HWI_TRY(parse_payload(w, payload, &root, err));
    return hwi_pix_collect(w, at, slot, root, true, err);
}

/* ---- flushing */

int
hwi_pix_entry_compare(const hwi_pix_entry *a, const hwi_pix_entry *b)
{
    if (a->code != b->code) return a->code < b->code ? -1 : 1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static int
compare_touched(const void *a, const void *b, void *arg)
{
    const hwi_pix_touched *x = a, *y = b;
    const uint8_t *keys = arg;
    size_t bytes = HWI_MIN(x->key_bytes, y->key_bytes);
    int c = memcmp(keys + x->key_at, keys + y->key_at, bytes);
    return c ? c : x->key_bytes < y->key_bytes ? -1 : x->key_bytes > y->key_bytes;
}

static int
compare_changes(const void *a, const void *b)
{
    const hwi_pix_entry *x = a, *y = b;
    int c = hwi_pix_entry_compare(x, y);
    return c ? c : x->add < y->add ? -1 : x->add > y->add; /* order of noting, see below */
}

/* The last change of each pair stays. qsort is not stable, so `add` carries the order of noting in
 * its upper bits while sorting. */
static void
sort_codes(hwi_pix_codes *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->count; i++) c->entries[i].add |= (uint32_t)i << 1;
    if (c->count > 1) qsort(c->entries, c->count, sizeof *c->entries, compare_changes);
    for (size_t i = 0; i < c->count; i++) {
        bool last =
            i + 1 == c->count || hwi_pix_entry_compare(&c->entries[i], &c->entries[i + 1]) != 0;
        if (!last) continue;
        c->entries[kept] = c->entries[i];
        c->entries[kept++].add &= 1;
    }
    c->count = kept;
}

void
hwi_pix_sort(hwi_pix_writer *w)
{
    if (w->touched_count > 1)
        qsort_r(w->touched, w->touched_count, sizeof *w->touched, compare_touched, w->keys.data);
    for (size_t i = 0; i < w->schema->count; i++) sort_codes(&w->codes[i]);
}

/* Applies the changes to the bits; false when that changed nothing. */
static bool
apply(const hwi_pix_touched *t, uint64_t *words)
{
    uint64_t before[HWI_CHUNK_WORDS];

    memcpy(before, words, sizeof before);
    for (size_t i = 0; i < t->op_count; i++) {
        uint32_t v = t->ops[i] & 0xffff;
        uint64_t bit = (uint64_t)1 << (v & 63);
        if (t->ops[i] & OP_ADD)
            words[v >> 6] |= bit;
        else
            words[v >> 6] &= ~bit;
    }
    return memcmp(before, words, sizeof before) != 0;
}

static hw_status
flush_bitmap(hwi_pix_writer *w, const hwi_pix_touched *t, hw_error *err)
{
    uint64_t words[HWI_CHUNK_WORDS] = {0};
    uint8_t out[HWI_CHUNK_BYTES_MAX];
    hw_bytes key = hwi_bytes(w->keys.data + t->key_at, t->key_bytes), value;

    hw_status st = hwi_store_get(w->txn, key, &value, err);
    if (st == HW_OK) st = hwi_chunk_read(value, t->chunk, words, err);
    if (st != HW_OK && st != HW_ENOTFOUND) return st;
    if (!apply(t, words)) return HW_OK;
    size_t bytes = hwi_chunk_write(words, t->chunk, out);
    if (bytes == 0) return hwi_store_del(w->txn, key, err);
    return hwi_store_put(w->txn, key, hwi_bytes(out, bytes), err);
}

hw_status
hwi_pix_flush(hwi_pix_writer *w, hw_error *err)
{
    hw_status st = HW_OK;

    hwi_pix_sort(w);
    for (size_t i = 0; st == HW_OK && i < w->touched_count; i++)
        st = flush_bitmap(w, &w->touched[i], err);
    for (size_t i = 0; st == HW_OK && i < w->schema->count; i++)
        st = hwi_pages_apply(w->txn, w->coll, w->schema->fields[i].number, w->codes[i].entries,
                             w->codes[i].count, err);
    forget(w);
    return st;
}
