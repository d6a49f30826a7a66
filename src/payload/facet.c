/* facet.c - counting the values of a field.
 *
 *     few points asked for   read their payloads
 *     keyword, uuid, bool    scan the terms in order; a term's slots are chunks, each is counted
 *                            against the same chunk of the slots asked for
 *     integer                scan the ordered pages; entries of one code lie together
 *
 * Terms say all but one thing. A keyword above 128 bytes is stored as a prefix and a hash, and a
 * uuid in another form than the canonical one apart from the others: both are "folded", and for
 * those the payloads are read first (facet_payload.c). A folded uuid then joins the count of its
 * term; a long keyword has no term and stands for itself.
 *
 * Candidates are gathered in a list which is cut back to the best `limit` whenever it has grown to
 * several times that, so memory follows the answer and not the number of distinct values. */
#include "payload/facet.h"

#include <stdlib.h>

#include "payload/facet_payload.h"
#include "payload/pix_parts.h"
#include "payload/values.h"

#define LIST_LEAST 4096u
#define STEPS_AT_ONCE 256u /* before a look at the clock */
#define FEW_POINTS 512u    /* reading so many payloads takes about a millisecond */

typedef struct entry {
    uint64_t count;
    int64_t integer; /* INTEGER; BOOL: 0 or 1 */
    size_t text_at;  /* KEYWORD, UUID: in facet.texts */
    size_t text_bytes;
} entry;

typedef struct facet {
    hw_store_txn *txn;
    uint32_t coll;
    const hwi_pix_field *field;
    const hwi_slots *among; /* NULL: all */
    hwi_tally *read;        /* values found in payloads */
    uint32_t limit;
    entry *values;
    size_t count, room;
    hwi_buf texts;
    const hwi_stop *stop;
    uint64_t looked_at;
    hw_error *err;

    /* the term or code being counted */
    hwi_key term;
    uint64_t term_count;
    bool has_term;
    size_t kind_bytes; /* of a key before the term */
    hw_status st;
} facet;

bool
hwi_pix_has_facets(hwi_pix_type type)
{
    return type == HWI_PIX_KEYWORD || type == HWI_PIX_INTEGER || type == HWI_PIX_BOOL ||
           type == HWI_PIX_UUID;
}

/* ---- the list of values */

static int
compare_values(const facet *f, const entry *a, const entry *b)
{
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    if (a->integer != b->integer) return a->integer < b->integer ? -1 : 1;
    size_t bytes = HWI_MIN(a->text_bytes, b->text_bytes);
    int c = bytes ? memcmp(f->texts.data + a->text_at, f->texts.data + b->text_at, bytes) : 0;
    if (c != 0) return c;
    return (a->text_bytes > b->text_bytes) - (a->text_bytes < b->text_bytes);
}

static int
by_frequency(const void *a, const void *b, void *f)
{
    return compare_values(f, a, b);
}

/* Best first, cut to the limit, texts packed. */
static hw_status
settle(facet *f)
{
    hwi_buf texts = {0};
    if (f->count == 0) return HW_OK;
    qsort_r(f->values, f->count, sizeof *f->values, by_frequency, f);
    f->count = HWI_MIN(f->count, (size_t)f->limit);
    for (size_t i = 0; i < f->count; i++) {
        entry *v = &f->values[i];
        size_t at = texts.size;
        hwi_buf_add(&texts, f->texts.data + v->text_at, v->text_bytes);
        v->text_at = at;
    }
    hw_status st = texts.failed ? hwi_nomem(f->err, texts.size) : HW_OK;
    hwi_buf_release(&f->texts);
    f->texts = texts;
    return st;
}

static hw_status
add_value(facet *f, uint64_t count, int64_t integer, const void *text, size_t text_bytes)
{
    if (count == 0) return HW_OK;
    if (f->count == f->room && f->room > (size_t)f->limit * 4) HWI_TRY(settle(f));
    if (f->count == f->room) {
        size_t room = HWI_MAX(f->room * 2, (size_t)LIST_LEAST);
        entry *grown = hwi_realloc(f->values, hwi_size_mul(room, sizeof *grown));
        if (!grown) return hwi_nomem(f->err, room * sizeof *grown);
        f->values = grown;
        f->room = room;
    }
    f->values[f->count++] = (entry){count, integer, f->texts.size, text_bytes};
    hwi_buf_add(&f->texts, text, text_bytes);
    return f->texts.failed ? hwi_nomem(f->err, text_bytes) : HW_OK;
}

/* ---- terms */

/* The value of the term that was counted last. */
static hw_status
finish_term(facet *f)
{
    hwi_key_reader r;
    char text[HWI_PIX_TEXT_MAX + 1];
    uint8_t uuid[16];
    size_t bytes;
    bool b;

    if (!f->has_term) return HW_OK;
    f->has_term = false;
    hwi_key_reader_init(&r, hwi_key_view(&f->term));
    switch (f->field->type) {
    case HWI_PIX_BOOL:
        HWI_TRY(hwi_key_read_bool(&r, &b, f->err));
        return add_value(f, f->term_count, b, NULL, 0);
    case HWI_PIX_UUID:
        HWI_TRY(hwi_key_read_uuid(&r, uuid, f->err));
        f->term_count += hwi_tally_take(f->read, hwi_bytes(uuid, 16));
        return add_value(f, f->term_count, 0, uuid, 16);
    default:
        HWI_TRY(hwi_key_read_text(&r, text, HWI_PIX_TEXT_MAX, &bytes, f->err));
        return add_value(f, f->term_count, 0, text, bytes);
    }
}

static const uint64_t *
wanted_chunk(const facet *f, uint32_t chunk)
{
    static const uint64_t none[HWI_CHUNK_WORDS];
    if (chunk >= f->among->count || !f->among->chunks[chunk]) return none;
    return f->among->chunks[chunk];
}

static hw_status
count_chunk(facet *f, uint32_t chunk, hw_bytes value)
{
    uint32_t count = 0;
    HWI_TRY(f->among ? hwi_chunk_count_among(value, chunk, wanted_chunk(f, chunk), &count, f->err)
                     : hwi_chunk_count(value, chunk, &count, f->err));
    f->term_count += count;
    return HW_OK;
}

static hw_status
check_stop(facet *f)
{
    return f->looked_at++ % STEPS_AT_ONCE == 0 ? hwi_stop_check(f->stop, f->err) : HW_OK;
}

static hw_status
take_term(facet *f, hw_bytes key, hw_bytes value)
{
    hwi_key_reader r;
    uint32_t chunk;
    hw_bytes rest = hwi_bytes((const uint8_t *)key.data + f->kind_bytes, key.size - f->kind_bytes);

    hwi_key_reader_init(&r, rest);
    HWI_TRY(hwi_key_skip(&r, f->err));
    hw_bytes term = hwi_bytes(rest.data, (size_t)(r.at - (const uint8_t *)rest.data));
    HWI_TRY(hwi_key_read_u32(&r, &chunk, f->err));
    HWI_TRY(hwi_key_read_end(&r, f->err));
    bool same =
        f->has_term && f->term.size == term.size && memcmp(f->term.data, term.data, term.size) == 0;
    if (!same) {
        HWI_TRY(finish_term(f));
        hwi_key_init(&f->term);
        hwi_key_raw(&f->term, term);
        f->term_count = 0;
        f->has_term = true;
    }
    return count_chunk(f, chunk, value);
}

static bool
scan_term(void *arg, hw_bytes key, hw_bytes value)
{
    facet *f = arg;
    f->st = check_stop(f);
    if (f->st == HW_OK) f->st = take_term(f, key, value);
    return f->st == HW_OK;
}

static hw_status
count_terms(facet *f)
{
    hwi_key prefix;
    hwi_pix_kind_key(&prefix, f->coll, f->field->number, HWI_PIX_VALUE);
    f->kind_bytes = prefix.size;
    HWI_TRY(hwi_store_scan_prefix(f->txn, &prefix, scan_term, f, f->err));
    HWI_TRY(f->st);
    return finish_term(f);
}

/* ---- integers */

static hw_status
finish_code(facet *f, uint64_t code)
{
    if (!f->has_term) return HW_OK;
    f->has_term = false;
    return add_value(f, f->term_count, hwi_order_i64_back(code), NULL, 0);
}

typedef struct code_walk {
    facet *facet;
    uint64_t code;
} code_walk;

static hw_status
next_code(code_walk *w, uint64_t code)
{
    facet *f = w->facet;
    if (f->has_term && w->code == code) return HW_OK;
    HWI_TRY(finish_code(f, w->code));
    w->code = code;
    f->term_count = 0;
    f->has_term = true;
    return HW_OK;
}

static hw_status
take_codes(void *arg, const hwi_page_part *part, hw_error *err)
{
    code_walk *w = arg;
    facet *f = w->facet;
    (void)err;
    HWI_TRY(check_stop(f));
    if (part->same) {
        HWI_TRY(next_code(w, part->code));
        return count_chunk(f, part->chunk, part->slots);
    }
    for (size_t i = 0; i < part->count; i++) {
        HWI_TRY(next_code(w, hwi_page_part_code(part, i)));
        f->term_count += !f->among || hwi_slots_has(f->among, hwi_page_part_slot(part, i));
    }
    return HW_OK;
}

static hw_status
count_codes(facet *f)
{
    code_walk w = {f, 0};
    HWI_TRY(
        hwi_pages_scan(f->txn, f->coll, f->field->number, 0, UINT64_MAX, take_codes, &w, f->err));
    return finish_code(f, w.code);
}

/* ---- from payloads */

/* Values of the tally that no term has taken. */
static hw_status
add_rest(facet *f)
{
    for (size_t i = 0; i < f->read->count; i++) {
        hw_bytes text;
        uint64_t count = hwi_tally_at(f->read, i, &text);
        int64_t integer = 0;
        if (f->field->type == HWI_PIX_INTEGER || f->field->type == HWI_PIX_BOOL) {
            integer = (int64_t)hwi_get_u64(text.data);
            text.size = 0;
        }
        HWI_TRY(add_value(f, count, integer, text.data, text.size));
    }
    return HW_OK;
}

static hw_status
read_folded(facet *f)
{
    hwi_slots slots = {0};
    hwi_key prefix;
    roaring_bitmap_t *bitmap = NULL;
    if (hwi_pix_is_ordered(f->field->type)) return HW_OK;
    hwi_pix_kind_key(&prefix, f->coll, f->field->number, HWI_PIX_FOLDED);
    hw_status st = hwi_pix_read_terms(f->txn, &prefix, &slots, f->err);
    if (st == HW_OK) st = hwi_slots_bitmap(&slots, &bitmap, f->err);
    if (st == HW_OK) st = hwi_tally_read(f->read, f->txn, f->coll, bitmap, f->among, f->err);
    if (bitmap) roaring_bitmap_free(bitmap);
    hwi_slots_release(&slots);
    return st;
}

static hw_status
count_all(facet *f)
{
    HWI_TRY(read_folded(f));
    hwi_tally_sort(f->read);
    HWI_TRY(f->field->type == HWI_PIX_INTEGER ? count_codes(f) : count_terms(f));
    return add_rest(f);
}

static hw_status
count_few(facet *f, const roaring_bitmap_t *among)
{
    f->read->all_kinds = true;
    HWI_TRY(hwi_tally_read(f->read, f->txn, f->coll, among, NULL, f->err));
    hwi_tally_sort(f->read);
    return add_rest(f);
}

/* ---- the answer */

static void
write_value(const facet *f, const entry *v, hwi_buf *out)
{
    hw_id id = {.kind = HW_ID_KIND_UUID};
    const char *text = (const char *)f->texts.data + v->text_at;

    switch (f->field->type) {
    case HWI_PIX_BOOL:
        hwi_buf_text(out, v->integer ? "true" : "false");
        break;
    case HWI_PIX_INTEGER:
        hwi_buf_printf(out, "%lld", (long long)v->integer);
        break;
    case HWI_PIX_UUID:
        memcpy(id.as.uuid, text, 16);
        hwi_json_write_id(out, &id);
        break;
    default:
        hwi_json_write_text(out, v->text_bytes ? text : "", v->text_bytes);
    }
}

static hw_status
write_answer(const facet *f, hwi_buf *out)
{
    hwi_buf_text(out, "[");
    for (size_t i = 0; i < f->count; i++) {
        hwi_buf_text(out, i ? ",{\"value\":" : "{\"value\":");
        write_value(f, &f->values[i], out);
        hwi_buf_printf(out, ",\"count\":%llu}", (unsigned long long)f->values[i].count);
    }
    hwi_buf_text(out, "]");
    return out->failed ? hwi_nomem(f->err, out->size) : HW_OK;
}

hw_status
hwi_pix_facet(hw_store_txn *txn, uint32_t coll, const hwi_pix_field *field,
              const roaring_bitmap_t *among, uint32_t limit, const hwi_stop *stop, hwi_buf *out,
              hw_error *err)
{
    hwi_slots slots = {0};
    hwi_tally tally = {.field = field, .stop = stop};
    facet f = {.txn = txn,
               .coll = coll,
               .field = field,
               .read = &tally,
               .limit = limit,
               .stop = stop,
               .err = err};
    bool few = among && roaring_bitmap_get_cardinality(among) <= FEW_POINTS;
    hw_status st = HW_OK;

    if (among && !few) {
        st = hwi_slots_add_all(&slots, among, err);
        f.among = &slots;
    }
    if (st == HW_OK) st = few ? count_few(&f, among) : count_all(&f);
    if (st == HW_OK) st = settle(&f);
    if (st == HW_OK) st = write_answer(&f, out);
    hwi_tally_release(&tally);
    hwi_slots_release(&slots);
    hwi_buf_release(&f.texts);
    hwi_free(f.values);
    return st;
}
