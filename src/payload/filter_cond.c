/* filter_cond.c - single conditions: {"key": path, one test}, and lists of ids.
 *
 * All work that depends on the filter alone is done here, once: paths are parsed, lists sorted for
 * binary search, dates turned into numbers, texts cut into words. A test of a payload then compares
 * and allocates nothing. */
#include <stdlib.h>

#include "payload/filter_lookup.h"
#include "payload/filter_read.h"

/* Inside a list of values or members: enter, check, leave. A failure ends the parse, so only
 * success has to leave. */

/* Paths inside `nested` start from an element, whose own path is noted already. */
static void
note_key(hwi_filter_reader *r, const hwi_path *path)
{
    const hwi_step *first = &path->steps[0];

    if (r->nested > 0 || r->key_count > HWI_FILTER_KEYS_MAX) return;
    for (size_t i = 0; i < r->key_count; i++)
        if (r->keys[i].bytes == first->key_bytes &&
            memcmp(r->keys[i].key, first->key, first->key_bytes) == 0)
            return;
    if (r->key_count < HWI_FILTER_KEYS_MAX)
        r->keys[r->key_count] = (hwi_pick_key){first->key, first->key_bytes};
    r->key_count++;
}

hw_status
hwi_filter_path(hwi_filter_reader *r, const hwi_json *key, const hwi_path **out)
{
    size_t mark = hwi_filter_enter(r, ".key");

    *out = NULL;
    if (!key || key->kind != HWI_JSON_TEXT) return hwi_filter_expected(r, "a path", key);
    hw_status st = hwi_path_parse(key->text, key->text_bytes, r->arena, out, r->err);
    if (st != HW_OK) return hwi_fail_prefix(r->err, st, "%s", r->place);
    note_key(r, *out);
    hwi_filter_leave(r, mark);
    return HW_OK;
}

/* ---- match */

int
hwi_text_compare(hwi_text a, hwi_text b)
{
    if (a.bytes != b.bytes) return a.bytes < b.bytes ? -1 : 1;
    return memcmp(a.data, b.data, a.bytes);
}

static int
compare_texts(const void *a, const void *b)
{
    return hwi_text_compare(*(const hwi_text *)a, *(const hwi_text *)b);
}

static int
compare_ints(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int
compare_uints(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorts and drops repeats; returns how many are left. */
static size_t
sort_unique(void *items, size_t count, size_t bytes, int (*compare)(const void *, const void *))
{
    uint8_t *base = items;
    size_t kept = 0;

    if (count > 1) qsort(items, count, bytes, compare);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare(base + (kept - 1) * bytes, base + i * bytes) == 0) continue;
        if (kept != i) memcpy(base + kept * bytes, base + i * bytes, bytes);
        kept++;
    }
    return kept;
}

static hw_status
add_value(hwi_filter_reader *r, hwi_match_set *s, const hwi_json *v)
{
    if (v->kind == HWI_JSON_TEXT)
        s->texts[s->text_count++] = (hwi_text){v->text, v->text_bytes};
    else if (v->kind == HWI_JSON_INT)
        s->ints[s->int_count++] = v->integer;
    else if (v->kind == HWI_JSON_UINT)
        s->uints[s->uint_count++] = (uint64_t)v->integer;
    else if (v->kind == HWI_JSON_BOOL && v->boolean)
        s->has_true = true;
    else if (v->kind == HWI_JSON_BOOL)
        s->has_false = true;
    else
        return hwi_filter_expected(r, "a string, an integer or a boolean", v);
    return HW_OK;
}

/* The values of a list, or one value. */
static hw_status
parse_set(hwi_filter_reader *r, const hwi_json *values, bool list, hwi_match_set *s)
{
    size_t count = list ? values->count : 1, i = 0;
    hw_status st;

    *s = (hwi_match_set){0};
    if (!(s->texts = hwi_filter_alloc(r, count, sizeof *s->texts, &st))) return st;
    if (!(s->ints = hwi_filter_alloc(r, count, sizeof *s->ints, &st))) return st;
    if (!(s->uints = hwi_filter_alloc(r, count, sizeof *s->uints, &st))) return st;
    for (const hwi_json *v = list ? values->child : values; v; v = list ? v->next : NULL, i++) {
        size_t mark = list ? hwi_filter_enter(r, "[%zu]", i) : r->place_bytes;
        HWI_TRY(add_value(r, s, v));
        hwi_filter_leave(r, mark);
    }
    s->text_count = sort_unique(s->texts, s->text_count, sizeof *s->texts, compare_texts);
    s->int_count = sort_unique(s->ints, s->int_count, sizeof *s->ints, compare_ints);
    s->uint_count = sort_unique(s->uints, s->uint_count, sizeof *s->uints, compare_uints);
    return HW_OK;
}

/* fail[i]: length of the longest proper prefix of words 0..i that is also their suffix. */
static void
fill_failures(hwi_word_list *w)
{
    size_t k = 0;

    w->fail[0] = 0;
    for (size_t i = 1; i < w->count; i++) {
        while (k > 0 && hwi_text_compare(w->words[i], w->words[k]) != 0) k = w->fail[k - 1];
        if (hwi_text_compare(w->words[i], w->words[k]) == 0) k++;
        w->fail[i] = (uint16_t)k;
    }
}

static hw_status
parse_words(hwi_filter_reader *r, const hwi_json *text, const hwi_word_rules *rules, bool in_order,
            hwi_word_list *out)
{
    hwi_words it;
    hw_status st;

    *out = (hwi_word_list){.rules = rules};
    out->words = hwi_filter_alloc(r, HWI_FILTER_WORDS_MAX, sizeof *out->words, &st);
    if (!out->words) return st;
    out->fail = hwi_filter_alloc(r, HWI_FILTER_WORDS_MAX, sizeof *out->fail, &st);
    if (!out->fail) return st;
    hwi_words_init(&it, rules, text->text, text->text_bytes);
    it.is_query = true;
    while (hwi_words_next(&it)) {
        if (out->count == HWI_FILTER_WORDS_MAX)
            return hwi_filter_wrong(r, "text has more than %u words", HWI_FILTER_WORDS_MAX);
        char *word = hwi_arena_text(r->arena, (const char *)it.word, it.bytes);
        if (!word) return hwi_nomem(r->err, it.bytes);
        out->words[out->count++] = (hwi_text){word, it.bytes};
    }
    if (in_order)
        fill_failures(out);
    else
        out->count = sort_unique(out->words, out->count, sizeof *out->words, compare_texts);
    return HW_OK;
}

/* The rules by which a field's texts are cut. */
static hw_status
find_rules(hwi_filter_reader *r, const hwi_path *path, const hwi_word_rules **out)
{
    *out = NULL;
    if (!r->schema) return HW_OK;
    const char *full = hwi_lookup_path_text(r->arena, r->around, path);
    if (!full) return hwi_nomem(r->err, 64);
    for (size_t i = 0; i < r->schema->count; i++) {
        const hwi_pix_field *f = &r->schema->fields[i];
        if (f->type == HWI_PIX_TEXT && f->params && strcmp(f->path, full) == 0)
            return hwi_word_rules_read(f->params, r->arena, out, r->err);
    }
    return HW_OK;
}

static hw_status
parse_match(hwi_filter_reader *r, const hwi_json *value, hwi_cond *out)
{
    enum { VALUE, ANY, EXCEPT, PREFIX, TEXT, TEXT_ANY, PHRASE, END };
    static const char *const names[] = {"value", "any",      "except", "prefix",
                                        "text",  "text_any", "phrase"};
    static const hwi_cond_kind kinds[] = {HWI_COND_ANY,    HWI_COND_ANY,  HWI_COND_EXCEPT,
                                          HWI_COND_PREFIX, HWI_COND_TEXT, HWI_COND_TEXT_ANY,
                                          HWI_COND_PHRASE};
    const hwi_json *m[END];
    size_t at = END;

    HWI_TRY(hwi_filter_members(r, value, names, END, m));
    for (size_t i = 0; i < END; i++) {
        if (!m[i]) continue;
        if (at != END)
            return hwi_filter_wrong(r, "`%s` and `%s` need a condition each", names[at], names[i]);
        at = i;
    }
    if (at == END)
        return hwi_filter_wrong(r, "expected value, any, except, text, text_any, phrase or prefix");

    size_t mark = hwi_filter_enter(r, ".%s", names[at]);
    out->kind = kinds[at];
    if ((at == ANY || at == EXCEPT) && m[at]->kind != HWI_JSON_ARRAY)
        return hwi_filter_expected(r, "a list", m[at]);
    if (at >= PREFIX && m[at]->kind != HWI_JSON_TEXT)
        return hwi_filter_expected(r, "a string", m[at]);
    if (at <= EXCEPT)
        HWI_TRY(parse_set(r, m[at], at != VALUE, &out->as.set));
    else if (at == PREFIX)
        out->as.prefix = (hwi_text){m[at]->text, m[at]->text_bytes};
    else {
        const hwi_word_rules *rules;
        HWI_TRY(find_rules(r, out->path, &rules));
        /* beginnings of words have no order: a phrase asks for all of them */
        bool by_prefix = rules && rules->tokenizer == HWI_TOKENS_PREFIX;
        if (by_prefix && at == PHRASE) out->kind = HWI_COND_TEXT;
        HWI_TRY(parse_words(r, m[at], rules, at == PHRASE && !by_prefix, &out->as.words));
    }
    hwi_filter_leave(r, mark);
    return HW_OK;
}

/* ---- ranges */

enum { GT, GTE, LT, LTE, BOUNDS };
static const char *const bound_names[] = {"gt", "gte", "lt", "lte"};

/* Narrows [from, to] by one inclusive or exclusive date. */
static hw_status
add_date_bound(hwi_filter_reader *r, const hwi_json *text, size_t at, hwi_date_bounds *d)
{
    int64_t date;

    if (!hwi_date_parse(text->text, text->text_bytes, &date))
        return hwi_filter_expected(r, "an RFC 3339 date", text);
    if (at == GT) d->from = HWI_MAX(d->from, date + 1);
    if (at == GTE) d->from = HWI_MAX(d->from, date);
    if (at == LT) d->to = HWI_MIN(d->to, date - 1);
    if (at == LTE) d->to = HWI_MIN(d->to, date);
    return HW_OK;
}

static hw_status
parse_range(hwi_filter_reader *r, const hwi_json *value, hwi_cond *out)
{
    const hwi_json *m[BOUNDS];
    hwi_date_bounds dates = {INT64_MIN, INT64_MAX};
    bool numbers = false, texts = false;

    HWI_TRY(hwi_filter_members(r, value, bound_names, BOUNDS, m));
    for (size_t i = 0; i < BOUNDS; i++) {
        if (!m[i]) continue;
        size_t mark = hwi_filter_enter(r, ".%s", bound_names[i]);
        bool is_number = hwi_json_is_number(m[i]), is_text = m[i]->kind == HWI_JSON_TEXT;
        if ((!is_number && !is_text) || (is_text && numbers))
            return hwi_filter_expected(r, numbers ? "a number" : "a number or a date", m[i]);
        if (is_number && texts) return hwi_filter_expected(r, "a date", m[i]);
        if (is_text) HWI_TRY(add_date_bound(r, m[i], i, &dates));
        numbers = numbers || is_number;
        texts = texts || is_text;
        hwi_filter_leave(r, mark);
    }
    if (texts) {
        out->kind = HWI_COND_DATES;
        out->as.dates = dates;
    } else {
        out->kind = HWI_COND_RANGE;
        out->as.range = (hwi_bounds){.gt = m[GT], .gte = m[GTE], .lt = m[LT], .lte = m[LTE]};
    }
    return HW_OK;
}

static hw_status
parse_count(hwi_filter_reader *r, const hwi_json *value, hwi_cond *out)
{
    const hwi_json *m[BOUNDS];
    hwi_count_bounds c = {0, UINT64_MAX};

    HWI_TRY(hwi_filter_members(r, value, bound_names, BOUNDS, m));
    for (size_t i = 0; i < BOUNDS; i++) {
        if (!m[i]) continue;
        size_t mark = hwi_filter_enter(r, ".%s", bound_names[i]);
        if (m[i]->kind != HWI_JSON_INT || m[i]->integer < 0)
            return hwi_filter_expected(r, "a non-negative integer", m[i]);
        uint64_t n = (uint64_t)m[i]->integer;
        if (i == GT) c.from = HWI_MAX(c.from, n + 1);
        if (i == GTE) c.from = HWI_MAX(c.from, n);
        if (i == LT && n == 0) c.from = UINT64_MAX; /* nothing is below 0 */
        if (i == LT) c.to = HWI_MIN(c.to, n ? n - 1 : 0);
        if (i == LTE) c.to = HWI_MIN(c.to, n);
        hwi_filter_leave(r, mark);
    }
    out->kind = HWI_COND_COUNT;
    out->as.count = c;
    return HW_OK;
}

/* ---- areas */

static hw_status
parse_point(hwi_filter_reader *r, const hwi_json *value, const char *name, hwi_geo_point *out)
{
    static const char *const names[] = {"lon", "lat"};
    const hwi_json *m[2];

    size_t mark = hwi_filter_enter(r, "%s", name);
    HWI_TRY(hwi_filter_members(r, value, names, 2, m));
    for (size_t i = 0; i < 2; i++) {
        size_t inner = hwi_filter_enter(r, ".%s", names[i]);
        if (!hwi_json_is_number(m[i])) return hwi_filter_expected(r, "a number", m[i]);
        double most = i == 0 ? 180 : 90;
        if (m[i]->number < -most || m[i]->number > most)
            return hwi_filter_wrong(r, "%g is outside -%g .. %g", m[i]->number, most, most);
        hwi_filter_leave(r, inner);
    }
    *out = (hwi_geo_point){m[0]->number, m[1]->number};
    hwi_filter_leave(r, mark);
    return HW_OK;
}

static hw_status
parse_box(hwi_filter_reader *r, const hwi_json *value, hwi_geo_area *a)
{
    static const char *const names[] = {"top_left", "bottom_right"};
    const hwi_json *m[2];

    a->kind = HWI_GEO_BOX;
    HWI_TRY(hwi_filter_members(r, value, names, 2, m));
    HWI_TRY(parse_point(r, m[0], ".top_left", &a->top_left));
    return parse_point(r, m[1], ".bottom_right", &a->bottom_right);
}

static hw_status
parse_circle(hwi_filter_reader *r, const hwi_json *value, hwi_geo_area *a)
{
    static const char *const names[] = {"center", "radius"};
    const hwi_json *m[2];

    a->kind = HWI_GEO_CIRCLE;
    HWI_TRY(hwi_filter_members(r, value, names, 2, m));
    HWI_TRY(parse_point(r, m[0], ".center", &a->center));
    hwi_filter_enter(r, ".radius");
    if (!hwi_json_is_number(m[1]) || m[1]->number < 0)
        return hwi_filter_expected(r, "a number of metres, 0 or more", m[1]);
    a->radius_m = m[1]->number;
    return HW_OK;
}

/* {"points": [...]}, closed. */
static hw_status
parse_ring(hwi_filter_reader *r, const hwi_json *value, hwi_geo_ring *out)
{
    static const char *const names[] = {"points"};
    const hwi_json *list;
    hw_status st;
    size_t i = 0;

    HWI_TRY(hwi_filter_members(r, value, names, 1, &list));
    size_t mark = hwi_filter_enter(r, ".points");
    if (!list || list->kind != HWI_JSON_ARRAY)
        return hwi_filter_expected(r, "a list of points", list);
    out->count = list->count;
    out->points = hwi_filter_alloc(r, list->count, sizeof *out->points, &st);
    if (!out->points) return st;
    for (const hwi_json *p = list->child; p; p = p->next, i++) {
        size_t inner = hwi_filter_enter(r, "[%zu]", i);
        HWI_TRY(parse_point(r, p, "", &out->points[i]));
        hwi_filter_leave(r, inner);
    }
    if (i < 4) return hwi_filter_wrong(r, "a ring of %zu points is below the minimum 4", i);
    hwi_geo_point first = out->points[0], last = out->points[i - 1];
    if (first.lon != last.lon || first.lat != last.lat)
        return hwi_filter_wrong(r, "a ring must end with its first point");
    hwi_filter_leave(r, mark);
    return HW_OK;
}

static hw_status
parse_polygon(hwi_filter_reader *r, const hwi_json *value, hwi_geo_area *a)
{
    static const char *const names[] = {"exterior", "interiors"};
    const hwi_json *m[2];
    hw_status st;

    a->kind = HWI_GEO_POLYGON;
    HWI_TRY(hwi_filter_members(r, value, names, 2, m));
    if (m[1] && m[1]->kind != HWI_JSON_ARRAY) {
        hwi_filter_enter(r, ".interiors");
        return hwi_filter_expected(r, "a list of rings", m[1]);
    }
    size_t count = 1 + (m[1] ? m[1]->count : 0);
    a->rings = hwi_filter_alloc(r, count, sizeof *a->rings, &st);
    if (!a->rings) return st;
    size_t mark = hwi_filter_enter(r, ".exterior");
    HWI_TRY(parse_ring(r, m[0], &a->rings[0]));
    hwi_filter_leave(r, mark);
    a->ring_count = 1;
    for (const hwi_json *v = m[1] ? m[1]->child : NULL; v; v = v->next) {
        mark = hwi_filter_enter(r, ".interiors[%zu]", a->ring_count - 1);
        HWI_TRY(parse_ring(r, v, &a->rings[a->ring_count++]));
        hwi_filter_leave(r, mark);
    }
    return HW_OK;
}

/* ---- a condition on a field */

/* "is_empty": true or false beside a key. */
static hw_status
parse_flag(hwi_filter_reader *r, const hwi_json *value, hwi_cond_kind kind, hwi_cond *out)
{
    if (value->kind != HWI_JSON_BOOL) return hwi_filter_expected(r, "true or false", value);
    out->kind = kind;
    out->negate = !value->boolean;
    out->each = out->path->fans_out;
    return HW_OK;
}

static hw_status
parse_test(hwi_filter_reader *r, size_t at, const hwi_json *value, hwi_cond *out)
{
    switch (at) {
    case HWI_AT_MATCH:
        return parse_match(r, value, out);
    case HWI_AT_RANGE:
        return parse_range(r, value, out);
    case HWI_AT_COUNT:
        return parse_count(r, value, out);
    case HWI_AT_EMPTY:
        return parse_flag(r, value, HWI_COND_EMPTY, out);
    case HWI_AT_NULL:
        return parse_flag(r, value, HWI_COND_NULL, out);
    default:
        break;
    }
    out->kind = HWI_COND_GEO;
    if (at == HWI_AT_GEO_BOX) return parse_box(r, value, &out->as.area);
    if (at == HWI_AT_GEO_RADIUS) return parse_circle(r, value, &out->as.area);
    return parse_polygon(r, value, &out->as.area);
}

hw_status
hwi_filter_field(hwi_filter_reader *r, const hwi_json *const *members, const char *const *names,
                 hwi_cond *out)
{
    size_t at = 0;

    *out = (hwi_cond){0};
    HWI_TRY(hwi_filter_path(r, members[HWI_AT_KEY], &out->path));
    for (size_t i = HWI_AT_KEY + 1; i < HWI_AT_FIELD_END; i++) {
        if (!members[i]) continue;
        if (at > 0)
            return hwi_filter_wrong(r, "`%s` and `%s` need a condition each", names[at], names[i]);
        at = i;
    }
    if (at == 0)
        return hwi_filter_wrong(r, "`key` needs a test beside it: match, range, values_count, "
                                   "is_empty, is_null or geo_...");
    size_t mark = hwi_filter_enter(r, ".%s", names[at]);
    HWI_TRY(parse_test(r, at, members[at], out));
    hwi_filter_leave(r, mark);
    return HW_OK;
}

/* ---- ids */

static int
compare_ids(const void *a, const void *b)
{
    return hw_id_compare(a, b);
}

hw_status
hwi_filter_ids(hwi_filter_reader *r, const hwi_json *list, hwi_cond *out)
{
    hw_status st;
    size_t i = 0;

    *out = (hwi_cond){.kind = HWI_COND_ID};
    if (r->nested > 0) return hwi_filter_wrong(r, "is not possible inside `nested`");
    if (list->kind != HWI_JSON_ARRAY) return hwi_filter_expected(r, "a list of ids", list);
    hw_id *ids = hwi_filter_alloc(r, list->count, sizeof *ids, &st);
    if (!ids) return st;
    for (const hwi_json *v = list->child; v; v = v->next, i++) {
        size_t mark = hwi_filter_enter(r, "[%zu]", i);
        if (v->kind != HWI_JSON_TEXT && !hwi_json_is_number(v))
            return hwi_filter_expected(r, "an id", v);
        st = hwi_json_id(v, &ids[i], r->err);
        if (st != HW_OK) return hwi_fail_prefix(r->err, st, "%s", r->place);
        hwi_filter_leave(r, mark);
    }
    out->as.has.ids = ids;
    out->as.has.count = sort_unique(ids, i, sizeof *ids, compare_ids);
    r->needs_id = true;
    return HW_OK;
}

/* ---- vectors */

hw_status
hwi_filter_vector(hwi_filter_reader *r, const hwi_json *name, hwi_cond *out)
{
    size_t i = 0;
    hw_status st;

    *out = (hwi_cond){.kind = HWI_COND_VECTOR};
    if (r->nested > 0) return hwi_filter_wrong(r, "is not possible inside `nested`");
    if (name->kind != HWI_JSON_TEXT) return hwi_filter_expected(r, "the name of a vector", name);
    if (!r->vectors) {
        r->vectors = hwi_filter_alloc(r, HW_VECTORS_MAX, sizeof *r->vectors, &st);
        if (!r->vectors) return st;
    }
    while (i < r->vector_count && strcmp(r->vectors[i], name->text) != 0) i++;
    if (i == HW_VECTORS_MAX)
        return hwi_filter_wrong(r, "asks for more than %u vectors", HW_VECTORS_MAX);
    if (i == r->vector_count) r->vectors[r->vector_count++] = name->text;
    out->as.vector = i;
    return HW_OK;
}

/* ---- slices */

static hw_status
slice_number(hwi_filter_reader *r, const char *name, const hwi_json *v, uint32_t *out)
{
    size_t mark = hwi_filter_enter(r, ".%s", name);
    if (!v || v->kind != HWI_JSON_INT || v->integer < 0 || v->integer > UINT32_MAX)
        return hwi_filter_expected(r, "a whole number of 32 bits", v);
    *out = (uint32_t)v->integer;
    hwi_filter_leave(r, mark);
    return HW_OK;
}

hw_status
hwi_filter_slice(hwi_filter_reader *r, const hwi_json *value, hwi_cond *out)
{
    static const char *const names[] = {"index", "total"};
    const hwi_json *m[2];
    uint32_t index, total;

    *out = (hwi_cond){.kind = HWI_COND_SLICE};
    if (r->nested > 0) return hwi_filter_wrong(r, "is not possible inside `nested`");
    HWI_TRY(hwi_filter_members(r, value, names, 2, m));
    HWI_TRY(slice_number(r, names[0], m[0], &index));
    HWI_TRY(slice_number(r, names[1], m[1], &total));
    if (total == 0) return hwi_filter_wrong(r, "total is 0, expected at least 1");
    if (index >= total) return hwi_filter_wrong(r, "index %u is not below total %u", index, total);
    out->as.slice.index = index;
    out->as.slice.total = total;
    r->needs_id = true;
    return HW_OK;
}
