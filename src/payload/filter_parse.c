/* filter_parse.c - from JSON to a filter: clauses, nesting, and messages that point at the place.
 *
 * JSON is parsed as a whole first, then walked once. The walk keeps the place it is at as text
 * ("filter.must[1].range"), so any failure can say where it is; leaving a level cuts the text back.
 * null means absent everywhere, because clients send their unset fields so. What a single condition
 * looks like inside is filter_cond.c. Recursion follows the JSON's depth, which HWI_JSON_DEPTH_MAX
 * bounds. */
#include <stdio.h>

#include "payload/filter_lookup.h"
#include "payload/filter_read.h"

/* ---- places and messages */

size_t
hwi_filter_enter(hwi_filter_reader *r, const char *format, ...)
{
    size_t mark = r->place_bytes, room = sizeof r->place - mark;
    va_list args;

    va_start(args, format);
    int n = vsnprintf(r->place + mark, room, format, args);
    va_end(args);
    if (n > 0) r->place_bytes += HWI_MIN((size_t)n, room - 1);
    return mark;
}

void
hwi_filter_leave(hwi_filter_reader *r, size_t mark)
{
    r->place_bytes = mark;
    r->place[mark] = '\0';
}

static void
describe(const hwi_json *v, char *out, size_t room)
{
    hwi_buf b = {0};

    if (!v)
        snprintf(out, room, "nothing");
    else if (v->kind == HWI_JSON_OBJECT)
        snprintf(out, room, "an object");
    else if (v->kind == HWI_JSON_ARRAY)
        snprintf(out, room, "a list");
    else if (v->kind == HWI_JSON_TEXT)
        snprintf(out, room, "\"%.*s\"", (int)HWI_MIN(v->text_bytes, (size_t)40), v->text);
    else {
        hwi_json_write(&b, v);
        snprintf(out, room, "%.*s", (int)HWI_MIN(b.size, (size_t)40), (const char *)b.data);
    }
    hwi_buf_release(&b);
}

hw_status
hwi_filter_expected(hwi_filter_reader *r, const char *what, const hwi_json *found)
{
    char text[80];

    describe(found, text, sizeof text);
    return hwi_fail(r->err, HW_EINVAL, "%s: expected %s, found %s", r->place, what, text);
}

hw_status
hwi_filter_wrong(hwi_filter_reader *r, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return hwi_fail(r->err, HW_EINVAL, "%s: %s", r->place, text);
}

void *
hwi_filter_alloc(hwi_filter_reader *r, size_t count, size_t bytes, hw_status *st)
{
    void *memory = hwi_arena_alloc(r->arena, hwi_size_mul(HWI_MAX(count, (size_t)1), bytes));
    *st = memory ? HW_OK : hwi_nomem(r->err, hwi_size_mul(count, bytes));
    return memory;
}

/* ---- known names */

/* Insertions, deletions and replacements that turn one name into the other; names are short. */
static unsigned
edit_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    enum { LONGEST = 32 };
    unsigned row[LONGEST + 1];

    if (a_bytes > LONGEST || b_bytes > LONGEST) return LONGEST;
    for (size_t j = 0; j <= b_bytes; j++) row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_bytes; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_bytes; j++) {
            unsigned replaced = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
            diagonal = row[j];
            row[j] = HWI_MIN(replaced, HWI_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_bytes];
}

static hw_status
unknown_member(hwi_filter_reader *r, const hwi_json *m, const char *const *names, size_t count)
{
    size_t nearest = 0;
    unsigned least = UINT32_MAX;
    int bytes = (int)HWI_MIN(m->key_bytes, (size_t)40);

    for (size_t i = 0; i < count; i++) {
        unsigned d = edit_distance(m->key, m->key_bytes, names[i], strlen(names[i]));
        if (d < least) least = d, nearest = i;
    }
    if (least <= 1 + m->key_bytes / 3)
        return hwi_filter_wrong(r, "unknown key `%.*s`, did you mean `%s`?", bytes, m->key,
                                names[nearest]);

    char list[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof list - 24; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    return hwi_filter_wrong(r, "unknown key `%.*s`, expected one of: %s", bytes, m->key, list);
}

hw_status
hwi_filter_members(hwi_filter_reader *r, const hwi_json *object, const char *const *names,
                   size_t count, const hwi_json **out)
{
    for (size_t i = 0; i < count; i++) out[i] = NULL;
    if (!object || object->kind != HWI_JSON_OBJECT)
        return hwi_filter_expected(r, "an object", object);
    for (const hwi_json *m = object->child; m; m = m->next) {
        size_t i = 0;
        while (i < count &&
               (strlen(names[i]) != m->key_bytes || memcmp(names[i], m->key, m->key_bytes) != 0))
            i++;
        if (i == count) return unknown_member(r, m, names, count);
        out[i] = m->kind == HWI_JSON_NULL ? NULL : m;
    }
    return HW_OK;
}

/* ---- conditions */

/* Names in a condition: those of a field condition first (filter_read.h), then what stands alone.
 */
enum {
    AT_HAS_ID = HWI_AT_FIELD_END,
    AT_HAS_VECTOR,
    AT_SLICE,
    AT_NESTED,
    AT_MUST,
    AT_SHOULD,
    AT_MUST_NOT,
    AT_MIN_SHOULD,
    AT_END
};
static const char *const condition_names[AT_END] = {
    [HWI_AT_KEY] = "key",
    [HWI_AT_MATCH] = "match",
    [HWI_AT_RANGE] = "range",
    [HWI_AT_GEO_BOX] = "geo_bounding_box",
    [HWI_AT_GEO_RADIUS] = "geo_radius",
    [HWI_AT_GEO_POLYGON] = "geo_polygon",
    [HWI_AT_COUNT] = "values_count",
    [HWI_AT_EMPTY] = "is_empty",
    [HWI_AT_NULL] = "is_null",
    [AT_HAS_ID] = "has_id",
    [AT_HAS_VECTOR] = "has_vector",
    [AT_SLICE] = "slice",
    [AT_NESTED] = "nested",
    [AT_MUST] = "must",
    [AT_SHOULD] = "should",
    [AT_MUST_NOT] = "must_not",
    [AT_MIN_SHOULD] = "min_should",
};

static hw_status parse_clauses(hwi_filter_reader *r, const hwi_json *const clauses[4],
                               hwi_filter **out);

/* The test of a condition that has no key; whatever else is there with it is refused. */
static hw_status
only_member(hwi_filter_reader *r, const hwi_json *const *members, size_t *at)
{
    size_t count = 0;

    for (size_t i = 0; i < AT_END; i++) {
        if (!members[i] || i >= AT_MUST) continue;
        if (count++ > 0)
            return hwi_filter_wrong(r, "`%s` and `%s` need a condition each", condition_names[*at],
                                    condition_names[i]);
        *at = i;
    }
    for (size_t i = AT_MUST; i < AT_END; i++)
        if (count > 0 && members[i])
            return hwi_filter_wrong(r, "`%s` and `%s` need a condition each", condition_names[*at],
                                    condition_names[i]);
    if (count == 0) *at = AT_MUST;
    return HW_OK;
}

/* {"is_empty": {"key": path}} and is_null. */
static hw_status
parse_absence(hwi_filter_reader *r, const hwi_json *value, hwi_cond_kind kind, hwi_cond *out)
{
    static const char *const names[] = {"key"};
    const hwi_json *key;

    *out = (hwi_cond){.kind = kind};
    HWI_TRY(hwi_filter_members(r, value, names, 1, &key));
    return hwi_filter_path(r, key, &out->path);
}

static hw_status
parse_object_filter(hwi_filter_reader *r, const hwi_json *value, hwi_filter **out)
{
    const hwi_json *clauses[4];

    HWI_TRY(hwi_filter_members(r, value, condition_names + AT_MUST, 4, clauses));
    return parse_clauses(r, clauses, out);
}

/* The elements of an array are meant, so the path gets a [] unless it has one. */
static hw_status
element_path(hwi_filter_reader *r, const hwi_json *key, const hwi_path **out)
{
    HWI_TRY(hwi_filter_path(r, key, out));
    if ((*out)->steps[(*out)->count - 1].kind == HWI_STEP_ALL) return HW_OK;

    hwi_buf text = {0};
    hwi_buf_text(&text, (*out)->text);
    hwi_buf_text(&text, "[]");
    hw_status st = text.failed
                       ? hwi_nomem(r->err, text.size)
                       : hwi_path_parse((const char *)text.data, text.size, r->arena, out, r->err);
    hwi_buf_release(&text);
    return st == HW_EINVAL ? hwi_fail_prefix(r->err, st, "%s", r->place) : st;
}

static hw_status
parse_nested(hwi_filter_reader *r, const hwi_json *value, hwi_cond *out)
{
    static const char *const names[] = {"key", "filter"};
    const hwi_json *members[2];
    hwi_filter *inner;

    *out = (hwi_cond){.kind = HWI_COND_NESTED};
    HWI_TRY(hwi_filter_members(r, value, names, 2, members));
    HWI_TRY(element_path(r, members[0], &out->path));
    size_t mark = hwi_filter_enter(r, ".filter");
    const char *outside = r->around;
    r->nested++;
    r->around = hwi_lookup_path_text(r->arena, outside, out->path);
    if (!r->around) return hwi_nomem(r->err, 64);
    HWI_TRY(parse_object_filter(r, members[1], &inner));
    out->as.filter = inner;
    r->around = outside;
    r->nested--;
    hwi_filter_leave(r, mark);
    return HW_OK;
}

static hw_status
parse_alone(hwi_filter_reader *r, const hwi_json *const *members, hwi_cond *out)
{
    size_t at = 0;
    hw_status st;

    HWI_TRY(only_member(r, members, &at));
    if (at == AT_MUST) {
        hwi_filter *inner;
        HWI_TRY(parse_clauses(r, members + AT_MUST, &inner));
        *out = (hwi_cond){.kind = HWI_COND_FILTER, .as.filter = inner};
        return HW_OK;
    }
    size_t mark = hwi_filter_enter(r, ".%s", condition_names[at]);
    if (at == HWI_AT_EMPTY)
        st = parse_absence(r, members[at], HWI_COND_EMPTY, out);
    else if (at == HWI_AT_NULL)
        st = parse_absence(r, members[at], HWI_COND_NULL, out);
    else if (at == AT_HAS_ID)
        st = hwi_filter_ids(r, members[at], out);
    else if (at == AT_NESTED)
        st = parse_nested(r, members[at], out);
    else if (at == AT_HAS_VECTOR)
        st = hwi_filter_vector(r, members[at], out);
    else if (at == AT_SLICE)
        st = hwi_filter_slice(r, members[at], out);
    else
        st = hwi_filter_wrong(r, "needs a `key` beside it");
    hwi_filter_leave(r, mark);
    return st;
}

static hw_status
parse_condition(hwi_filter_reader *r, const hwi_json *value, hwi_cond *out)
{
    const hwi_json *members[AT_END];

    HWI_TRY(hwi_filter_members(r, value, condition_names, AT_END, members));
    if (!members[HWI_AT_KEY]) return parse_alone(r, members, out);
    for (size_t i = AT_HAS_ID; i < AT_END; i++)
        if (members[i])
            return hwi_filter_wrong(r, "`key` and `%s` need a condition each", condition_names[i]);
    return hwi_filter_field(r, members, condition_names, out);
}

/* ---- clauses */

/* One condition, or a list of them. */
static hw_status
parse_clause(hwi_filter_reader *r, const hwi_json *value, hwi_clause *out)
{
    bool list = value->kind == HWI_JSON_ARRAY;
    size_t count = list ? value->count : 1, i = 0;
    hw_status st;

    if (!list && value->kind != HWI_JSON_OBJECT)
        return hwi_filter_expected(r, "a condition or a list of conditions", value);
    hwi_cond *conds = hwi_filter_alloc(r, count, sizeof *conds, &st);
    if (!conds) return st;
    for (const hwi_json *v = list ? value->child : value; v; v = list ? v->next : NULL, i++) {
        size_t mark = list ? hwi_filter_enter(r, "[%zu]", i) : r->place_bytes;
        HWI_TRY(parse_condition(r, v, &conds[i]));
        hwi_filter_leave(r, mark);
    }
    *out = (hwi_clause){conds, i};
    return HW_OK;
}

static hw_status
parse_min_should(hwi_filter_reader *r, const hwi_json *value, hwi_filter *out)
{
    static const char *const names[] = {"conditions", "min_count"};
    const hwi_json *m[2];

    HWI_TRY(hwi_filter_members(r, value, names, 2, m));
    size_t mark = hwi_filter_enter(r, ".conditions");
    if (!m[0] || m[0]->kind != HWI_JSON_ARRAY)
        return hwi_filter_expected(r, "a list of conditions", m[0]);
    HWI_TRY(parse_clause(r, m[0], &out->min_should));
    hwi_filter_leave(r, mark);
    hwi_filter_enter(r, ".min_count");
    if (!m[1] || m[1]->kind != HWI_JSON_INT || m[1]->integer < 0)
        return hwi_filter_expected(r, "a non-negative integer", m[1]);
    hwi_filter_leave(r, mark);
    out->min_count = (uint64_t)m[1]->integer;
    out->has_min_should = true;
    return HW_OK;
}

static hw_status
parse_clauses(hwi_filter_reader *r, const hwi_json *const clauses[4], hwi_filter **out)
{
    hw_status st;
    hwi_filter *f = hwi_filter_alloc(r, 1, sizeof *f, &st);
    if (!f) return st;

    *f = (hwi_filter){0};
    hwi_clause *targets[3] = {&f->must, &f->should, &f->must_not};
    for (size_t i = 0; i < 4; i++) {
        if (!clauses[i]) continue;
        size_t mark = hwi_filter_enter(r, ".%s", condition_names[AT_MUST + i]);
        HWI_TRY(i < 3 ? parse_clause(r, clauses[i], targets[i])
                      : parse_min_should(r, clauses[i], f));
        hwi_filter_leave(r, mark);
    }
    *out = f;
    return HW_OK;
}

hw_status
hwi_filter_parse(const char *json, size_t bytes, hwi_arena *arena, const hwi_filter **out,
                 hw_error *err)
{
    return hwi_filter_parse_for(json, bytes, NULL, arena, out, err);
}

hw_status
hwi_filter_parse_for(const char *json, size_t bytes, const hwi_schema *schema, hwi_arena *arena,
                     const hwi_filter **out, hw_error *err)
{
    const hwi_json *root;
    hwi_filter_reader r = {.arena = arena, .err = err, .schema = schema, .around = ""};

    *out = NULL;
    if (bytes > HW_FILTER_MAX)
        return hwi_fail(err, HW_ELIMIT, "filter of %zu bytes is above the maximum %u", bytes,
                        HW_FILTER_MAX);
    hw_status st = hwi_json_parse(json, bytes, arena, &root, err);
    if (st != HW_OK) return hwi_fail_prefix(err, st, "filter");
    hwi_filter_enter(&r, "filter");

    hwi_filter *f;
    r.keys = hwi_filter_alloc(&r, HWI_FILTER_KEYS_MAX, sizeof *r.keys, &st);
    if (!r.keys) return st;
    HWI_TRY(parse_object_filter(&r, root, &f));
    f->needs_id = r.needs_id;
    f->vectors = r.vectors;
    f->vector_count = r.vector_count;
    f->keys = r.keys;
    f->key_count = r.key_count;
    *out = f;
    return HW_OK;
}

size_t
hwi_filter_vectors(const hwi_filter *filter, const char *const **names)
{
    *names = filter->vectors;
    return filter->vector_count;
}

bool
hwi_filter_needs_id(const hwi_filter *filter)
{
    return filter->needs_id;
}
