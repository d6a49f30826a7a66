/* facet_payload.c - values of a field as payloads have them.
 *
 * Values are noted one after the other, each once a payload, then sorted and equal ones joined: no
 * hash table, since it is only asked for a few hundred payloads, or for the rare folded values. */
#include "payload/facet_payload.h"

#include <stdlib.h>

#include "payload/pix_parts.h"
#include "records/records.h"

#define READ_AT_ONCE 64u /* before a look at the clock */

void
hwi_tally_release(hwi_tally *t)
{
    hwi_buf_release(&t->texts);
    hwi_free(t->found);
}

static int
compare_texts(hw_bytes a, hw_bytes b)
{
    size_t bytes = HWI_MIN(a.size, b.size);
    int c = bytes ? memcmp(a.data, b.data, bytes) : 0;
    return c != 0 ? c : (a.size > b.size) - (a.size < b.size);
}

static hw_bytes
text_of(const hwi_tally *t, const hwi_tallied *v)
{
    return hwi_bytes(v->bytes ? t->texts.data + v->at : (const uint8_t *)"", v->bytes);
}

/* ---- one payload */

typedef struct reading {
    hwi_tally *tally;
    bool failed;
} reading;

static void
note(reading *r, const void *text, size_t bytes)
{
    hwi_tally *t = r->tally;
    hw_bytes value = hwi_bytes(text, bytes);
    for (size_t i = t->of_payload; i < t->count; i++) {
        if (compare_texts(text_of(t, &t->found[i]), value) == 0) return;
    }
    if (t->count == t->room) {
        size_t room = HWI_MAX(t->room * 2, (size_t)64);
        hwi_tallied *grown = hwi_realloc(t->found, hwi_size_mul(room, sizeof *grown));
        r->failed |= !grown;
        if (!grown) return;
        t->found = grown;
        t->room = room;
    }
    t->found[t->count++] = (hwi_tallied){t->texts.size, bytes, 1};
    hwi_buf_add(&t->texts, text, bytes);
    r->failed |= t->texts.failed;
}

static void
note_number(reading *r, uint64_t bits)
{
    uint8_t bytes[8];
    hwi_put_u64(bytes, bits);
    note(r, bytes, sizeof bytes);
}

/* The value that counts for an element of a uuid index; false when the index does not speak for
 * it. */
static bool
uuid_of(const hwi_json *element, hwi_pix_kind *kind, uint8_t uuid[16])
{
    hwi_key k;
    hwi_key_reader r;
    hwi_key_init(&k);
    if (!hwi_pix_term(HWI_PIX_UUID, element, kind, &k)) return false;
    hwi_key_reader_init(&r, hwi_key_view(&k));
    return hwi_key_read_uuid(&r, uuid, NULL) == HW_OK;
}

static void
take_element(reading *r, const hwi_json *e)
{
    hwi_tally *t = r->tally;
    hwi_pix_type type = t->field->type;
    hwi_pix_kind kind;
    hwi_key k;
    uint8_t uuid[16];

    if (type == HWI_PIX_INTEGER) {
        if (e->kind == HWI_JSON_INT) note_number(r, (uint64_t)e->integer);
    } else if (type == HWI_PIX_UUID) {
        if (uuid_of(e, &kind, uuid) && (t->all_kinds || kind == HWI_PIX_FOLDED))
            note(r, uuid, sizeof uuid);
    } else {
        hwi_key_init(&k);
        if (!hwi_pix_term(type, e, &kind, &k) || !(t->all_kinds || kind == HWI_PIX_FOLDED)) return;
        if (type == HWI_PIX_BOOL)
            note_number(r, e->boolean);
        else
            note(r, e->text, e->text_bytes);
    }
}

/* Takes a folded uuid back that the payload has in canonical form as well. */
static void
drop_canonical(reading *r, const hwi_json *e)
{
    hwi_tally *t = r->tally;
    hwi_pix_kind kind;
    uint8_t uuid[16];
    if (t->all_kinds || t->field->type != HWI_PIX_UUID) return;
    if (!uuid_of(e, &kind, uuid) || kind != HWI_PIX_VALUE) return;
    for (size_t i = t->of_payload; i < t->count; i++) {
        if (compare_texts(text_of(t, &t->found[i]), hwi_bytes(uuid, 16)) == 0)
            t->found[i] = t->found[--t->count];
    }
}

typedef void (*element_fn)(reading *r, const hwi_json *element);
typedef struct elements {
    reading *reading;
    element_fn fn;
} elements;

static bool
each_element(void *arg, const hwi_json *value)
{
    elements *x = arg;
    bool array = value->kind == HWI_JSON_ARRAY;
    if (!array) x->fn(x->reading, value);
    for (const hwi_json *e = array ? value->child : NULL; e; e = e->next) x->fn(x->reading, e);
    return true;
}

static void
take_payload(reading *r, const hwi_path *path, const hwi_json *root)
{
    elements take = {r, take_element}, drop = {r, drop_canonical};
    r->tally->of_payload = r->tally->count;
    hwi_path_walk(path, root, each_element, &take);
    if (r->tally->count > r->tally->of_payload) hwi_path_walk(path, root, each_element, &drop);
}

/* ---- all of them */

static hw_status
read_slot(reading *r, hw_store_txn *txn, uint32_t coll, uint32_t slot, const hwi_path *path,
          hwi_arena *arena, hwi_buf *large, hw_error *err)
{
    hw_bytes payload;
    const hwi_json *root;
    HWI_TRY(hwi_payload_get(txn, coll, slot, large, &payload, err));
    if (payload.size == 0) return HW_OK;
    hwi_arena_release(arena);
    hw_status st = hwi_json_parse(payload.data, payload.size, arena, &root, err);
    if (st == HW_EINVAL) return hwi_fail_prefix(err, HW_ECORRUPT, "stored payload");
    if (st != HW_OK) return st;
    take_payload(r, path, root);
    return r->failed ? hwi_nomem(err, r->tally->texts.size) : HW_OK;
}

hw_status
hwi_tally_read(hwi_tally *t, hw_store_txn *txn, uint32_t coll, const roaring_bitmap_t *slots,
               const hwi_slots *among, hw_error *err)
{
    hwi_arena path_arena = {0}, arena = {0};
    hwi_buf large = {0};
    const hwi_path *path;
    reading r = {.tally = t};
    roaring_uint32_iterator_t it;

    hw_status st = hwi_path_parse(t->field->path, strlen(t->field->path), &path_arena, &path, err);
    roaring_init_iterator(slots, &it);
    uint64_t read = 0;
    for (; st == HW_OK && it.has_value; roaring_advance_uint32_iterator(&it)) {
        if (among && !hwi_slots_has(among, it.current_value)) continue;
        if (read++ % READ_AT_ONCE == 0) st = hwi_stop_check(t->stop, err);
        if (st == HW_OK) st = read_slot(&r, txn, coll, it.current_value, path, &arena, &large, err);
    }
    hwi_buf_release(&large);
    hwi_arena_release(&arena);
    hwi_arena_release(&path_arena);
    return st;
}

static int
by_text(const void *a, const void *b, void *t)
{
    return compare_texts(text_of(t, a), text_of(t, b));
}

void
hwi_tally_sort(hwi_tally *t)
{
    size_t kept = 0;
    if (t->count == 0) return;
    qsort_r(t->found, t->count, sizeof *t->found, by_text, t);
    for (size_t i = 1; i < t->count; i++) {
        if (by_text(&t->found[kept], &t->found[i], t) == 0)
            t->found[kept].count += t->found[i].count;
        else
            t->found[++kept] = t->found[i];
    }
    t->count = kept + 1;
}

uint64_t
hwi_tally_take(hwi_tally *t, hw_bytes text)
{
    size_t from = 0, to = t->count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        int c = compare_texts(text, text_of(t, &t->found[mid]));
        if (c == 0) {
            uint64_t count = t->found[mid].count;
            t->found[mid].count = 0;
            return count;
        }
        if (c < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return 0;
}

uint64_t
hwi_tally_at(const hwi_tally *t, size_t i, hw_bytes *text)
{
    *text = text_of(t, &t->found[i]);
    return t->found[i].count;
}
