/* filter_lookup.c - what one index knows about one condition.
 *
 * Three sources, each sound by itself (pix_extract.c says what lands where):
 *
 *     a term or code that decides the condition        -> sure
 *     a term or code shared with other values          -> maybe
 *     elements the index does not speak for, OTHER     -> maybe, when the condition could accept
 * one
 *
 * A condition asked of an index of another type still gets an answer: a range over a keyword index
 * can only be met by elements that are no texts, hence by OTHER, which is usually empty. */
#include <math.h>
#include <stdio.h>

#include "payload/filter_lookup.h"

void
hwi_lookup_release(hwi_lookup *l)
{
    hwi_slots_release(&l->sure);
    hwi_slots_release(&l->maybe);
}

/* ---- adding what lies under a key, or in a range of codes */

static hw_status
add_key(hwi_lookup *l, const hwi_key *prefix, bool sure, hw_error *err)
{
    uint64_t count = 0;

    if (!l->counting) return hwi_pix_read(l->txn, prefix, sure ? &l->sure : &l->maybe, err);
    HWI_TRY(hwi_pix_count(l->txn, prefix, &count, err));
    *(sure ? &l->sure_count : &l->maybe_count) += count;
    return HW_OK;
}

static hw_status
add_kind(hwi_lookup *l, hwi_pix_kind kind, bool sure, hw_error *err)
{
    hwi_key k;
    hwi_pix_kind_key(&k, l->coll, l->field->number, kind);
    return add_key(l, &k, sure, err);
}

static hw_status
add_codes(hwi_lookup *l, uint64_t from, uint64_t to, bool sure, hw_error *err)
{
    uint32_t field = l->field->number;
    uint64_t count = 0;

    if (!l->counting)
        return hwi_pix_read_range(l->txn, l->coll, field, from, to, sure ? &l->sure : &l->maybe,
                                  err);
    HWI_TRY(hwi_pix_count_range(l->txn, l->coll, field, from, to, &count, err));
    *(sure ? &l->sure_count : &l->maybe_count) += count;
    return HW_OK;
}

/* Elements that the index does not speak for. */
static hw_status
add_beyond(hwi_lookup *l, hw_error *err)
{
    if (l->beyond) return HW_OK;
    l->beyond = true;
    return add_kind(l, HWI_PIX_OTHER, false, err);
}

/* Elements that it speaks for, without saying enough. */
static hw_status
add_covered(hwi_lookup *l, hw_error *err)
{
    return add_kind(l, HWI_PIX_COVERED, false, err);
}

hw_status
hwi_lookup_kind(hwi_lookup *l, hwi_pix_kind kind, hw_error *err)
{
    return add_kind(l, kind, true, err);
}

hw_status
hwi_lookup_word(hwi_lookup *l, hwi_text word, hw_error *err)
{
    hwi_key k;
    hwi_pix_kind_key(&k, l->coll, l->field->number, HWI_PIX_VALUE);
    hwi_pix_word(&k, word.data, word.bytes);
    return add_key(l, &k, true, err);
}

/* ---- match any */

static hw_status
add_term_of(hwi_lookup *l, const hwi_json *value, hw_error *err)
{
    hwi_pix_kind kind = HWI_PIX_VALUE;
    hwi_key term, k;

    hwi_key_init(&term);
    if (!hwi_pix_term(l->field->type, value, &kind, &term)) return add_beyond(l, err);
    hwi_pix_kind_key(&k, l->coll, l->field->number, kind);
    hwi_key_raw(&k, hwi_key_view(&term));
    return add_key(l, &k, kind == HWI_PIX_VALUE, err);
}

/* A date can be written in several ways, and 5.0 has the code of 5: only integers are decided. */
static hw_status
add_code_of(hwi_lookup *l, const hwi_json *value, hw_error *err)
{
    uint64_t code;

    if (!hwi_pix_code(l->field->type, value, &code)) return add_beyond(l, err);
    return add_codes(l, code, code, l->field->type == HWI_PIX_INTEGER, err);
}

/* A text that equals the value has its first word; further words would need an intersection. */
static hw_status
add_words_of(hwi_lookup *l, const hwi_json *value, hw_error *err)
{
    hwi_words it;
    hwi_key k;

    if (value->kind != HWI_JSON_TEXT) return add_beyond(l, err);
    hwi_arena arena = {0};
    const hwi_word_rules *rules;
    hw_status st = hwi_word_rules_read(l->field->params, &arena, &rules, err);
    hwi_words_init(&it, rules, value->text, value->text_bytes);
    it.is_query = true;
    if (st == HW_OK && !hwi_words_next(&it)) {
        st = add_covered(l, err);
    } else if (st == HW_OK) {
        hwi_pix_kind_key(&k, l->coll, l->field->number, HWI_PIX_VALUE);
        hwi_pix_word(&k, it.word, it.bytes);
        st = add_key(l, &k, false, err);
    }
    hwi_arena_release(&arena);
    return st;
}

static hw_status
add_value(hwi_lookup *l, const hwi_json *value, hw_error *err)
{
    if (hwi_pix_is_ordered(l->field->type)) return add_code_of(l, value, err);
    if (l->field->type == HWI_PIX_TEXT) return add_words_of(l, value, err);
    return add_term_of(l, value, err);
}

static hw_status
look_up_set(hwi_lookup *l, const hwi_match_set *s, hw_error *err)
{
    for (size_t i = 0; i < s->text_count; i++) {
        hwi_json v = {
            .kind = HWI_JSON_TEXT, .text = s->texts[i].data, .text_bytes = s->texts[i].bytes};
        HWI_TRY(add_value(l, &v, err));
    }
    for (size_t i = 0; i < s->int_count; i++) {
        hwi_json v = {.kind = HWI_JSON_INT, .integer = s->ints[i], .number = (double)s->ints[i]};
        HWI_TRY(add_value(l, &v, err));
    }
    for (size_t i = 0; i < s->uint_count; i++) {
        hwi_json v = {
            .kind = HWI_JSON_UINT, .integer = (int64_t)s->uints[i], .number = (double)s->uints[i]};
        HWI_TRY(add_value(l, &v, err));
    }
    for (int b = 0; b < 2; b++) {
        hwi_json v = {.kind = HWI_JSON_BOOL, .boolean = b == 1};
        if (b == 1 ? s->has_true : s->has_false) HWI_TRY(add_value(l, &v, err));
    }
    return HW_OK;
}

/* ---- match prefix */

typedef struct prefix_scan {
    hwi_lookup *lookup;
    size_t kind_bytes; /* of the key, before the value */
    bool sure;
    hw_error *err;
    hw_status st;
} prefix_scan;

static bool
take_prefixed(void *arg, hw_bytes key, hw_bytes value)
{
    prefix_scan *s = arg;
    hwi_lookup *l = s->lookup;
    hwi_key_reader r;
    uint32_t chunk = 0, count = 0;

    hwi_key_reader_init(
        &r, hwi_bytes((const uint8_t *)key.data + s->kind_bytes, key.size - s->kind_bytes));
    s->st = hwi_key_skip(&r, s->err);
    if (s->st == HW_OK) s->st = hwi_key_read_u32(&r, &chunk, s->err);
    if (s->st != HW_OK) return false;
    if (l->counting) {
        s->st = hwi_chunk_count(value, chunk, &count, s->err);
        *(s->sure ? &l->sure_count : &l->maybe_count) += count;
        return s->st == HW_OK;
    }
    uint64_t *words =
        chunk > 0xffff ? NULL : hwi_slots_chunk(s->sure ? &l->sure : &l->maybe, chunk);
    s->st = chunk > 0xffff ? hwi_fail(s->err, HW_ECORRUPT, "payload index chunk %u", chunk)
            : words        ? hwi_chunk_read(value, chunk, words, s->err)
                           : hwi_nomem(s->err, HWI_CHUNK_WORDS * 8);
    return s->st == HW_OK;
}

/* All values of one kind whose encoding starts as k does; k ends with a string, open at its end. */
static hw_status
scan_prefixed(hwi_lookup *l, hwi_key *k, size_t kind_bytes, bool sure, hw_error *err)
{
    prefix_scan s = {l, kind_bytes, sure, err, HW_OK};

    hwi_key_cut(k, k->size - 1); /* the terminator */
    HWI_TRY(hwi_store_scan_prefix(l->txn, k, take_prefixed, &s, err));
    return s.st;
}

static hw_status
look_up_prefix(hwi_lookup *l, hwi_text p, hw_error *err)
{
    hwi_key k;
    size_t folded = HWI_MIN(p.bytes, (size_t)HWI_PIX_FOLD_PREFIX);

    if (l->field->type == HWI_PIX_TEXT) return add_covered(l, err);
    if (l->field->type != HWI_PIX_KEYWORD) {
        HWI_TRY(add_beyond(l, err));
        bool texts = l->field->type == HWI_PIX_UUID || l->field->type == HWI_PIX_DATETIME;
        return texts ? add_covered(l, err) : HW_OK;
    }
    if (p.bytes == 0) return add_kind(l, HWI_PIX_COVERED, true, err); /* any text */
    if (p.bytes <= HWI_PIX_TEXT_MAX) {
        hwi_pix_kind_key(&k, l->coll, l->field->number, HWI_PIX_VALUE);
        size_t kind_bytes = k.size;
        hwi_key_text(&k, p.data, p.bytes);
        HWI_TRY(scan_prefixed(l, &k, kind_bytes, true, err));
    }
    hwi_pix_kind_key(&k, l->coll, l->field->number, HWI_PIX_FOLDED);
    size_t kind_bytes = k.size;
    hwi_key_bytes(&k, p.data, folded);
    return scan_prefixed(l, &k, kind_bytes, folded == p.bytes, err);
}

/* ---- ranges */

/* Integers that satisfy a range: [from, to]; false when there are none. */
static bool
integer_bounds(const hwi_bounds *b, int64_t *from, int64_t *to)
{
    const hwi_json *lower[] = {b->gt, b->gte}, *upper[] = {b->lt, b->lte};
    hwi_json least = {.kind = HWI_JSON_INT, .integer = INT64_MIN};
    hwi_json most = {.kind = HWI_JSON_INT, .integer = INT64_MAX};

    *from = INT64_MIN;
    *to = INT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        const hwi_json *v = lower[i];
        if (!v) continue;
        if (hwi_number_compare(v, &most) > 0) return false;
        if (hwi_number_compare(v, &least) < 0) continue;
        int64_t n = v->kind == HWI_JSON_INT ? v->integer : (int64_t)ceil(v->number);
        bool equal = v->kind == HWI_JSON_INT || ceil(v->number) == v->number;
        if (i == 0 && equal && n == INT64_MAX) return false;
        *from = HWI_MAX(*from, i == 0 && equal ? n + 1 : n);
    }
    for (size_t i = 0; i < 2; i++) {
        const hwi_json *v = upper[i];
        if (!v) continue;
        if (hwi_number_compare(v, &least) < 0) return false;
        if (hwi_number_compare(v, &most) > 0) continue;
        int64_t n = v->kind == HWI_JSON_INT ? v->integer : (int64_t)floor(v->number);
        bool equal = v->kind == HWI_JSON_INT || floor(v->number) == v->number;
        if (i == 0 && equal && n == INT64_MIN) return false;
        *to = HWI_MIN(*to, i == 0 && equal ? n - 1 : n);
    }
    return *from <= *to;
}

/* The least double at or above a number, or strictly above it. */
static double
double_above(const hwi_json *v, bool strictly)
{
    hwi_json d = {.kind = HWI_JSON_DOUBLE, .number = v->number};
    int c = hwi_number_compare(&d, v);
    return c < 0 || (c == 0 && strictly) ? nextafter(v->number, INFINITY) : v->number;
}

static double
double_below(const hwi_json *v, bool strictly)
{
    hwi_json d = {.kind = HWI_JSON_DOUBLE, .number = v->number};
    int c = hwi_number_compare(&d, v);
    return c > 0 || (c == 0 && strictly) ? nextafter(v->number, -INFINITY) : v->number;
}

static void
double_bounds(const hwi_bounds *b, double *from, double *to)
{
    *from = -INFINITY;
    *to = INFINITY;
    if (b->gt) *from = fmax(*from, double_above(b->gt, true));
    if (b->gte) *from = fmax(*from, double_above(b->gte, false));
    if (b->lt) *to = fmin(*to, double_below(b->lt, true));
    if (b->lte) *to = fmin(*to, double_below(b->lte, false));
}

static hw_status
look_up_range(hwi_lookup *l, const hwi_bounds *b, hw_error *err)
{
    int64_t from, to;
    double low, high;

    HWI_TRY(add_beyond(l, err));
    if (l->field->type == HWI_PIX_INTEGER) {
        if (!integer_bounds(b, &from, &to)) return HW_OK;
        return add_codes(l, hwi_order_i64(from), hwi_order_i64(to), true, err);
    }
    if (l->field->type != HWI_PIX_FLOAT) return HW_OK;
    double_bounds(b, &low, &high);
    if (low > high) return HW_OK;
    return add_codes(l, hwi_order_f64(low), hwi_order_f64(high), true, err);
}

static hw_status
look_up_dates(hwi_lookup *l, const hwi_date_bounds *b, hw_error *err)
{
    switch (l->field->type) {
    case HWI_PIX_DATETIME:
        if (b->from > b->to) return HW_OK;
        return add_codes(l, hwi_order_i64(b->from), hwi_order_i64(b->to), true, err);
    case HWI_PIX_KEYWORD:
    case HWI_PIX_TEXT:
        return add_covered(l, err);
    default:
        return add_beyond(l, err);
    }
}

/* ---- areas */

typedef struct area_scan {
    hwi_lookup *lookup;
    const hwi_geo_area *area;
} area_scan;

/* Points of cells that the border crosses, one by one: their own cell is a centimetre wide. */
static hw_status
take_points(void *arg, const hwi_page_part *part, hw_error *err)
{
    area_scan *s = arg;
    hwi_lookup *l = s->lookup;

    if (part->same) {
        hwi_geo_relation r = hwi_geo_cell(s->area, part->code, 32);
        if (r == HWI_GEO_OUT) return HW_OK;
        uint64_t *words = hwi_slots_chunk(r == HWI_GEO_IN ? &l->sure : &l->maybe, part->chunk);
        return words ? hwi_chunk_read(part->slots, part->chunk, words, err)
                     : hwi_nomem(err, HWI_CHUNK_WORDS * 8);
    }
    for (size_t i = 0; i < part->count; i++) {
        hwi_geo_relation r = hwi_geo_cell(s->area, hwi_page_part_code(part, i), 32);
        if (r == HWI_GEO_OUT) continue;
        hwi_slots_add(r == HWI_GEO_IN ? &l->sure : &l->maybe, hwi_page_part_slot(part, i));
    }
    return l->sure.failed || l->maybe.failed ? hwi_nomem(err, HWI_CHUNK_WORDS * 8) : HW_OK;
}

/* Corners up to which points are tested here; beyond, that is as dear as testing payloads, which
 * unlike this can be cut short by a deadline. */
#define CORNERS_MAX 512u

static bool
has_many_corners(const hwi_geo_area *area)
{
    size_t corners = 0;
    for (size_t i = 0; i < area->ring_count; i++) corners += area->rings[i].count;
    return corners > CORNERS_MAX;
}

static hw_status
look_up_area(hwi_lookup *l, const hwi_geo_area *area, hw_error *err)
{
    hwi_geo_range ranges[HWI_GEO_COVER_MAX];
    area_scan s = {l, area};

    HWI_TRY(add_beyond(l, err));
    if (l->field->type != HWI_PIX_GEO) return HW_OK;
    size_t count = hwi_geo_cover(area, ranges);
    bool by_cell = l->counting || has_many_corners(area);
    for (size_t i = 0; i < count; i++) {
        bool inside = ranges[i].relation == HWI_GEO_IN;
        if (inside || by_cell)
            HWI_TRY(add_codes(l, ranges[i].from, ranges[i].to, inside, err));
        else
            HWI_TRY(hwi_pages_scan(l->txn, l->coll, l->field->number, ranges[i].from, ranges[i].to,
                                   take_points, &s, err));
    }
    return HW_OK;
}

/* ---- words */

/* Any of the words; for TEXT and PHRASE of one word that is the same. */
static hw_status
look_up_words(hwi_lookup *l, const hwi_word_list *w, hw_error *err)
{
    if (w->count == 0) return HW_OK;
    if (l->field->type != HWI_PIX_TEXT) {
        bool texts = l->field->type == HWI_PIX_KEYWORD || l->field->type == HWI_PIX_UUID ||
                     l->field->type == HWI_PIX_DATETIME;
        if (texts) HWI_TRY(add_covered(l, err));
        return l->field->type == HWI_PIX_KEYWORD ? HW_OK : add_beyond(l, err);
    }
    for (size_t i = 0; i < w->count; i++) HWI_TRY(hwi_lookup_word(l, w->words[i], err));
    return HW_OK;
}

hw_status
hwi_lookup_union(hwi_lookup *l, const hwi_cond *cond, hw_error *err)
{
    switch (cond->kind) {
    case HWI_COND_ANY:
    case HWI_COND_EXCEPT: /* what is not to be in the set */
        return look_up_set(l, &cond->as.set, err);
    case HWI_COND_PREFIX:
        return look_up_prefix(l, cond->as.prefix, err);
    case HWI_COND_RANGE:
        return look_up_range(l, &cond->as.range, err);
    case HWI_COND_DATES:
        return look_up_dates(l, &cond->as.dates, err);
    case HWI_COND_GEO:
        return look_up_area(l, &cond->as.area, err);
    case HWI_COND_TEXT:
    case HWI_COND_TEXT_ANY:
    case HWI_COND_PHRASE:
        return look_up_words(l, &cond->as.words, err);
    case HWI_COND_COUNT:
    case HWI_COND_EMPTY:
    case HWI_COND_NULL:
    case HWI_COND_NESTED:
    case HWI_COND_ID:
    case HWI_COND_SLICE:
    case HWI_COND_VECTOR:
    case HWI_COND_FILTER:
        break;
    }
    HWI_UNREACHABLE("not a union");
    return HW_EINVAL;
}

/* ---- which index for what */

hwi_pix_type
hwi_lookup_wanted(const hwi_cond *cond)
{
    const hwi_match_set *s = &cond->as.set;

    switch (cond->kind) {
    case HWI_COND_ANY:
    case HWI_COND_EXCEPT:
        if (s->text_count > 0) return HWI_PIX_KEYWORD;
        if (s->int_count + s->uint_count > 0) return HWI_PIX_INTEGER;
        return s->has_true || s->has_false ? HWI_PIX_BOOL : HWI_PIX_KEYWORD;
    case HWI_COND_TEXT:
    case HWI_COND_TEXT_ANY:
    case HWI_COND_PHRASE:
        return HWI_PIX_TEXT;
    case HWI_COND_RANGE:
        return HWI_PIX_FLOAT;
    case HWI_COND_DATES:
        return HWI_PIX_DATETIME;
    case HWI_COND_GEO:
        return HWI_PIX_GEO;
    default:
        return HWI_PIX_KEYWORD;
    }
}

bool
hwi_lookup_serves(hwi_pix_type type, const hwi_cond *cond)
{
    switch (cond->kind) {
    case HWI_COND_EMPTY:
    case HWI_COND_NULL:
    case HWI_COND_COUNT:
        return true;
    case HWI_COND_RANGE:
        return type == HWI_PIX_FLOAT || type == HWI_PIX_INTEGER;
    case HWI_COND_ANY:
    case HWI_COND_EXCEPT:
        return type == hwi_lookup_wanted(cond) ||
               (type == HWI_PIX_UUID && cond->as.set.text_count > 0);
    default:
        return type == hwi_lookup_wanted(cond);
    }
}

hw_status
hwi_lookup_paths(const hwi_schema *schema, hwi_arena *arena, const char ***out, hw_error *err)
{
    const char **paths = hwi_arena_alloc(arena, hwi_size_mul(schema->count, sizeof *paths));

    *out = NULL;
    if (!paths) return hwi_nomem(err, schema->count * sizeof *paths);
    for (size_t i = 0; i < schema->count; i++) {
        const hwi_pix_field *f = &schema->fields[i];
        const hwi_path *path = NULL;
        if (f->ready) HWI_TRY(hwi_path_parse(f->path, strlen(f->path), arena, &path, err));
        paths[i] = path ? path->text : NULL;
    }
    *out = paths;
    return HW_OK;
}

const char *
hwi_lookup_path_text(hwi_arena *arena, const char *around, const hwi_path *path)
{
    if (around[0] == '\0') return path->text;
    size_t room = strlen(around) + strlen(path->text) + 2;
    char *text = hwi_arena_alloc(arena, room);
    if (text) snprintf(text, room, "%s.%s", around, path->text);
    return text;
}
