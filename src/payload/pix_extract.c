/* pix_extract.c - what a payload contributes to an index: flags, terms and codes.
 *
 * Every element falls on one of two sides: an index speaks for it (then the slot is COVERED and has
 * a term or a code), or it does not (OTHER). That is all the resolve step needs to be sound: what
 * no term says about an OTHER element, only the payload can tell.
 *
 *     type      speaks for                        as
 *     keyword   texts                             the text; above 128 bytes a prefix and a hash
 *     uuid      texts that are UUIDs              16 bytes; folded when not in canonical form
 *     bool      true, false                       itself
 *     text      texts                             each word
 *     integer   integers of 64 bits, signed       order-preserving code
 *     float     numbers that are doubles          order-preserving code
 *     datetime  texts that are dates              microseconds
 *     geo       {lon, lat} on the globe           Z-order code
 *
 * A folded term is one that different texts may share; it makes an answer possible, not sure. */
#include "payload/geo.h"
#include "payload/pix_parts.h"
#include "payload/values.h"

void
hwi_pix_field_key(hwi_key *k, uint32_t coll, uint32_t field)
{
    hwi_key_sub(k, HWI_SUB_PIX, coll);
    hwi_key_uint(k, field);
}

void
hwi_pix_kind_key(hwi_key *k, uint32_t coll, uint32_t field, hwi_pix_kind kind)
{
    hwi_pix_field_key(k, coll, field);
    hwi_key_uint(k, (uint64_t)kind);
}

/* ---- terms */

static hwi_pix_kind
keyword_term(const hwi_json *text, hwi_key *k)
{
    uint8_t folded[HWI_PIX_FOLD_PREFIX + 9];

    if (text->text_bytes <= HWI_PIX_TEXT_MAX) {
        hwi_key_text(k, text->text, text->text_bytes);
        return HWI_PIX_VALUE;
    }
    memcpy(folded, text->text, HWI_PIX_FOLD_PREFIX);
    folded[HWI_PIX_FOLD_PREFIX] = '#'; /* not 0xff, which would sort behind a scan for the prefix */
    hwi_put_u64(folded + HWI_PIX_FOLD_PREFIX + 1, hwi_checksum(text->text, text->text_bytes));
    hwi_key_bytes(k, folded, sizeof folded);
    return HWI_PIX_FOLDED;
}

static bool
uuid_term(const hwi_json *text, hwi_pix_kind *kind, hwi_key *k)
{
    hw_id id;
    char canonical[HW_ID_TEXT_MAX + 1];

    if (text->text_bytes < 32 || text->text_bytes > 64) return false;
    if (hw_id_parse(text->text, text->text_bytes, &id, NULL) != HW_OK) return false;
    if (id.kind != HW_ID_KIND_UUID) return false;
    size_t bytes = hw_id_format(&id, canonical);
    bool same = bytes == text->text_bytes && memcmp(canonical, text->text, bytes) == 0;
    *kind = same ? HWI_PIX_VALUE : HWI_PIX_FOLDED;
    hwi_key_uuid(k, id.as.uuid);
    return true;
}

bool
hwi_pix_term(hwi_pix_type type, const hwi_json *element, hwi_pix_kind *kind, hwi_key *k)
{
    bool is_text = element->kind == HWI_JSON_TEXT;

    if (type == HWI_PIX_UUID && is_text) return uuid_term(element, kind, k);
    if (type == HWI_PIX_KEYWORD && is_text) {
        *kind = keyword_term(element, k);
        return true;
    }
    if (type == HWI_PIX_BOOL && element->kind == HWI_JSON_BOOL) {
        *kind = HWI_PIX_VALUE;
        hwi_key_bool(k, element->boolean);
        return true;
    }
    return false;
}

void
hwi_pix_word(hwi_key *k, const void *word, size_t bytes)
{
    hwi_key_text(k, word, bytes);
}

/* ---- codes */

static bool
geo_code(const hwi_json *element, uint64_t *code)
{
    hwi_geo_point p;

    if (!hwi_geo_of_json(element, &p) || !hwi_geo_on_globe(p)) return false;
    *code = hwi_geo_code(p);
    return true;
}

bool
hwi_pix_code(hwi_pix_type type, const hwi_json *element, uint64_t *code)
{
    double d;
    int64_t micros;

    switch (type) {
    case HWI_PIX_INTEGER:
        if (element->kind != HWI_JSON_INT) return false;
        *code = hwi_order_i64(element->integer);
        return true;
    case HWI_PIX_FLOAT:
        if (!hwi_json_is_number(element) || !hwi_number_as_f64(element, &d)) return false;
        *code = hwi_order_f64(d);
        return true;
    case HWI_PIX_DATETIME:
        if (element->kind != HWI_JSON_TEXT) return false;
        if (!hwi_date_parse(element->text, element->text_bytes, &micros)) return false;
        *code = hwi_order_i64(micros);
        return true;
    case HWI_PIX_GEO:
        return geo_code(element, code);
    case HWI_PIX_KEYWORD:
    case HWI_PIX_BOOL:
    case HWI_PIX_UUID:
    case HWI_PIX_TEXT:
        break;
    }
    return false;
}

/* ---- payloads */

typedef struct extraction {
    hwi_pix_type type;
    const hwi_word_rules *rules;
    hwi_postings *out;
    size_t elements; /* that are not null */
} extraction;

static void
add_term(hwi_postings *out, hwi_pix_kind kind, const hwi_key *value)
{
    uint8_t head[3] = {(uint8_t)kind};

    hwi_put_u16(head + 1, (uint16_t)value->size);
    hwi_buf_add(&out->terms, head, sizeof head);
    hwi_buf_add(&out->terms, value->data, value->size);
}

static void
add_words(hwi_postings *out, const hwi_word_rules *rules, const hwi_json *text)
{
    hwi_words it;
    hwi_key k;

    hwi_words_init(&it, rules, text->text, text->text_bytes);
    while (hwi_words_next(&it)) {
        hwi_key_init(&k);
        hwi_pix_word(&k, it.word, it.bytes);
        add_term(out, HWI_PIX_VALUE, &k);
    }
}

static bool
add_element(const extraction *x, const hwi_json *element)
{
    uint64_t code;
    hwi_pix_kind kind;
    hwi_key k;

    if (hwi_pix_is_ordered(x->type)) {
        if (!hwi_pix_code(x->type, element, &code)) return false;
        hwi_buf_add(&x->out->codes, &code, sizeof code);
        return true;
    }
    if (x->type == HWI_PIX_TEXT) {
        if (element->kind != HWI_JSON_TEXT) return false;
        add_words(x->out, x->rules, element);
        return true;
    }
    hwi_key_init(&k);
    if (!hwi_pix_term(x->type, element, &kind, &k)) return false;
    add_term(x->out, kind, &k);
    return true;
}

static void
look_at_element(extraction *x, const hwi_json *element)
{
    if (element->kind == HWI_JSON_NULL) {
        x->out->flags |= 1u << HWI_PIX_NULLS;
        return;
    }
    if (++x->elements > 1) x->out->flags |= 1u << HWI_PIX_MULTI;
    x->out->flags |= 1u << (add_element(x, element) ? HWI_PIX_COVERED : HWI_PIX_OTHER);
}

static bool
look_at_value(void *arg, const hwi_json *value)
{
    extraction *x = arg;
    bool array = value->kind == HWI_JSON_ARRAY;

    if (array ? value->count > 0 : value->kind != HWI_JSON_NULL)
        x->out->flags |= 1u << HWI_PIX_PRESENT;
    if (!array) look_at_element(x, value);
    for (const hwi_json *e = array ? value->child : NULL; e; e = e->next) look_at_element(x, e);
    return true;
}

hw_status
hwi_pix_extract(hwi_pix_type type, const hwi_word_rules *rules, const hwi_path *path,
                const hwi_json *root, hwi_postings *out, hw_error *err)
{
    extraction x = {type, rules, out, 0};

    out->flags = 0;
    hwi_buf_clear(&out->terms);
    hwi_buf_clear(&out->codes);
    hwi_path_walk(path, root, look_at_value, &x);
    if (out->terms.failed || out->codes.failed)
        return hwi_nomem(err, out->terms.size + out->codes.size);
    return HW_OK;
}

void
hwi_postings_release(hwi_postings *p)
{
    hwi_buf_release(&p->terms);
    hwi_buf_release(&p->codes);
    *p = (hwi_postings){0};
}
