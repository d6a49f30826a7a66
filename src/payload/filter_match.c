/* filter_match.c - what a filter means: the test of one payload.
 *
 * Semantics are Qdrant's, as its own checker without indexes has them, with three differences, all
 * in docs/filters.md: numbers compare exactly, text is compared by words whether or not there is an
 * index, an empty `should` asks nothing.
 *
 *     a condition on a path       true if any value the path leads to passes; none there: false
 *     a value that is an array    passes if any of its elements does (one level deep)
 *     is_empty                    all values are null or [], or there is none
 *     is_null                     a value is null, or an array with a null
 *
 * The members a filter asks for become a tree once (pick.c); then everything is pointers and
 * comparisons. */
#include "payload/filter_tree.h"

/* A point being tested. Inside `nested`, root is the element and there is no id. */
typedef struct subject {
    const hwi_json *root;
    const hw_id *id;
    uint32_t slot;
    roaring_bitmap_t *const *having; /* slots with the vectors the filter names; NULL: none */
} subject;

static bool filter_holds(const hwi_filter *f, const subject *s);

/* ---- sets */

static bool
has_text(const hwi_match_set *s, hwi_text t)
{
    size_t from = 0, to = s->text_count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        int c = hwi_text_compare(t, s->texts[mid]);
        if (c == 0) return true;
        if (c < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return false;
}

static bool
has_int(const hwi_match_set *s, int64_t v)
{
    size_t from = 0, to = s->int_count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (s->ints[mid] < v)
            from = mid + 1;
        else
            to = mid;
    }
    return from < s->int_count && s->ints[from] == v;
}

static bool
has_uint(const hwi_match_set *s, uint64_t v)
{
    size_t from = 0, to = s->uint_count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (s->uints[mid] < v)
            from = mid + 1;
        else
            to = mid;
    }
    return from < s->uint_count && s->uints[from] == v;
}

bool
hwi_match_set_has(const hwi_match_set *set, const hwi_json *element)
{
    switch (element->kind) {
    case HWI_JSON_TEXT:
        return has_text(set, (hwi_text){element->text, element->text_bytes});
    case HWI_JSON_INT:
        return has_int(set, element->integer);
    case HWI_JSON_UINT:
        return has_uint(set, (uint64_t)element->integer);
    case HWI_JSON_BOOL:
        return element->boolean ? set->has_true : set->has_false;
    case HWI_JSON_NULL:
    case HWI_JSON_DOUBLE: /* 1.0 is not the integer 1 */
    case HWI_JSON_ARRAY:
    case HWI_JSON_OBJECT:
        break;
    }
    return false;
}

/* ---- words */

static size_t
find_word(const hwi_word_list *list, hwi_text word)
{
    size_t from = 0, to = list->count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        int c = hwi_text_compare(word, list->words[mid]);
        if (c == 0) return mid;
        if (c < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return list->count;
}

static bool
has_words(const hwi_word_list *list, const hwi_json *text, bool any)
{
    bool seen[HWI_FILTER_WORDS_MAX];
    size_t missing = list->count;
    hwi_words it;

    memset(seen, 0, list->count);
    hwi_words_init(&it, list->rules, text->text, text->text_bytes);
    while (missing > 0 && hwi_words_next(&it)) {
        size_t at = find_word(list, (hwi_text){(const char *)it.word, it.bytes});
        if (at == list->count || seen[at]) continue;
        if (any) return true;
        seen[at] = true;
        missing--;
    }
    return missing == 0 && list->count > 0;
}

static bool
has_phrase(const hwi_word_list *list, const hwi_json *text)
{
    size_t matched = 0;
    hwi_words it;

    if (list->count == 0) return false;
    hwi_words_init(&it, list->rules, text->text, text->text_bytes);
    while (hwi_words_next(&it)) {
        hwi_text word = {(const char *)it.word, it.bytes};
        while (matched > 0 && hwi_text_compare(word, list->words[matched]) != 0)
            matched = list->fail[matched - 1];
        if (hwi_text_compare(word, list->words[matched]) == 0) matched++;
        if (matched == list->count) return true;
    }
    return false;
}

/* ---- one element */

static bool
in_bounds(const hwi_bounds *b, const hwi_json *v)
{
    if (!hwi_json_is_number(v)) return false;
    if (b->gt && hwi_number_compare(v, b->gt) <= 0) return false;
    if (b->gte && hwi_number_compare(v, b->gte) < 0) return false;
    if (b->lt && hwi_number_compare(v, b->lt) >= 0) return false;
    return !b->lte || hwi_number_compare(v, b->lte) <= 0;
}

static bool
in_dates(const hwi_date_bounds *b, const hwi_json *v)
{
    int64_t date;
    if (!hwi_date_parse(v->text, v->text_bytes, &date)) return false;
    return date >= b->from && date <= b->to;
}

static bool
in_area(const hwi_geo_area *area, const hwi_json *v)
{
    hwi_geo_point p;
    return hwi_geo_of_json(v, &p) && hwi_geo_contains(area, p);
}

static bool
has_prefix(hwi_text prefix, const hwi_json *v)
{
    return v->text_bytes >= prefix.bytes && memcmp(v->text, prefix.data, prefix.bytes) == 0;
}

bool
hwi_cond_accepts(const hwi_cond *cond, const hwi_json *element)
{
    bool is_text = element->kind == HWI_JSON_TEXT;

    switch (cond->kind) {
    case HWI_COND_ANY:
        return hwi_match_set_has(&cond->as.set, element);
    case HWI_COND_EXCEPT:
        return element->kind != HWI_JSON_NULL && !hwi_match_set_has(&cond->as.set, element);
    case HWI_COND_PREFIX:
        return is_text && has_prefix(cond->as.prefix, element);
    case HWI_COND_TEXT:
        return is_text && has_words(&cond->as.words, element, false);
    case HWI_COND_TEXT_ANY:
        return is_text && has_words(&cond->as.words, element, true);
    case HWI_COND_PHRASE:
        return is_text && has_phrase(&cond->as.words, element);
    case HWI_COND_RANGE:
        return in_bounds(&cond->as.range, element);
    case HWI_COND_DATES:
        return is_text && in_dates(&cond->as.dates, element);
    case HWI_COND_GEO:
        return in_area(&cond->as.area, element);
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
    HWI_UNREACHABLE("condition without elements");
    return false;
}

/* ---- values: these are hwi_path_fn, and return false to end the walk: the answer is known */

static bool
no_element_passes(void *arg, const hwi_json *value)
{
    const hwi_cond *cond = arg;

    if (value->kind != HWI_JSON_ARRAY) return !hwi_cond_accepts(cond, value);
    for (const hwi_json *e = value->child; e; e = e->next)
        if (hwi_cond_accepts(cond, e)) return false;
    return true;
}

typedef struct counting {
    const hwi_count_bounds *bounds;
    bool found; /* a value at the path */
} counting;

static bool
is_within(const hwi_count_bounds *c, uint64_t n)
{
    return n >= c->from && n <= c->to;
}

static bool
count_fails(void *arg, const hwi_json *value)
{
    counting *c = arg;
    uint64_t n = value->kind == HWI_JSON_NULL ? 0 : 1;

    c->found = true;
    if (value->kind == HWI_JSON_ARRAY) n = value->count;
    return !is_within(c->bounds, n);
}

/* Where there is no value there are none. */
static bool
count_holds(const hwi_cond *c, const hwi_json *root)
{
    counting count = {.bounds = &c->as.count};

    if (!hwi_path_walk(c->path, root, count_fails, &count)) return true;
    return !count.found && is_within(&c->as.count, 0);
}

static bool
is_empty(const hwi_json *v)
{
    return v->kind == HWI_JSON_NULL || (v->kind == HWI_JSON_ARRAY && v->count == 0);
}

static bool
has_null(const hwi_json *v)
{
    if (v->kind == HWI_JSON_NULL) return true;
    if (v->kind != HWI_JSON_ARRAY) return false;
    for (const hwi_json *e = v->child; e; e = e->next)
        if (e->kind == HWI_JSON_NULL) return true;
    return false;
}

static bool
stays_empty(void *arg, const hwi_json *value)
{
    (void)arg;
    return is_empty(value);
}

static bool
stays_non_null(void *arg, const hwi_json *value)
{
    (void)arg;
    return !has_null(value);
}

/* Beside a key that fans out, any value that is (or is not) empty or null decides. */
typedef struct each_test {
    bool null, negate, found;
} each_test;

static bool
each_value(void *arg, const hwi_json *value)
{
    each_test *t = arg;
    t->found = true;
    return (t->null ? has_null(value) : is_empty(value)) == t->negate;
}

static bool
absence_holds(const hwi_cond *c, const hwi_json *root)
{
    bool null = c->kind == HWI_COND_NULL;

    if (c->each) {
        each_test t = {null, c->negate, false};
        if (!hwi_path_walk(c->path, root, each_value, &t)) return true;
        return !t.found && null == c->negate; /* nothing there is empty, and is not null */
    }
    bool holds = null ? !hwi_path_walk(c->path, root, stays_non_null, NULL)
                      : hwi_path_walk(c->path, root, stays_empty, NULL);
    return holds != c->negate;
}

static bool
no_object_matches(void *arg, const hwi_json *value)
{
    subject inside = {.root = value};
    return value->kind != HWI_JSON_OBJECT || !filter_holds(arg, &inside);
}

/* ---- conditions and clauses */

static bool
has_id(const hwi_cond *c, const hw_id *id)
{
    size_t from = 0, to = c->as.has.count;

    while (id && from < to) {
        size_t mid = (from + to) / 2;
        int order = hw_id_compare(id, &c->as.has.ids[mid]);
        if (order == 0) return true;
        if (order < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return false;
}

static bool
cond_holds(const hwi_cond *c, const subject *s)
{
    switch (c->kind) {
    case HWI_COND_EMPTY:
    case HWI_COND_NULL:
        return absence_holds(c, s->root);
    case HWI_COND_COUNT:
        return count_holds(c, s->root);
    case HWI_COND_NESTED:
        return !hwi_path_walk(c->path, s->root, no_object_matches, (void *)(uintptr_t)c->as.filter);
    case HWI_COND_ID:
        return has_id(c, s->id);
    case HWI_COND_SLICE:
        return s->id && hwi_slice_hash(s->id) % c->as.slice.total == c->as.slice.index;
    case HWI_COND_VECTOR:
        return s->having && roaring_bitmap_contains(s->having[c->as.vector], s->slot);
    case HWI_COND_FILTER:
        return filter_holds(c->as.filter, s);
    default:
        return !hwi_path_walk(c->path, s->root, no_element_passes, (void *)(uintptr_t)c);
    }
}

/* How many conditions hold, counting no further than `enough`. */
static uint64_t
count_holding(const hwi_clause *clause, const subject *s, uint64_t enough)
{
    uint64_t n = 0;
    for (size_t i = 0; i < clause->count && n < enough; i++)
        if (cond_holds(&clause->conds[i], s)) n++;
    return n;
}

static bool
filter_holds(const hwi_filter *f, const subject *s)
{
    for (size_t i = 0; i < f->must.count; i++)
        if (!cond_holds(&f->must.conds[i], s)) return false;
    if (count_holding(&f->must_not, s, 1) > 0) return false;
    if (f->should.count > 0 && count_holding(&f->should, s, 1) == 0) return false;
    return !f->has_min_should || count_holding(&f->min_should, s, f->min_count) == f->min_count;
}

/* ---- testing payloads */

struct hwi_filter_tester {
    const hwi_filter *filter;
    hwi_picker picker;
};

static hw_status
test(const hwi_filter *f, hwi_picker *picker, subject s, hw_bytes payload, bool *matches,
     hw_error *err)
{
    hw_status st = HW_OK;

    *matches = false;
    if (payload.size > 0 && f->key_count <= HWI_FILTER_KEYS_MAX) {
        picker->keys = f->keys;
        picker->key_count = f->key_count;
        st = hwi_pick(picker, payload, &s.root, err);
    } else if (payload.size > 0) {
        hwi_picker_release(picker);
        st = hwi_json_parse(payload.data, payload.size, &picker->arena, &s.root, err);
    }
    if (st == HW_EINVAL) return hwi_fail_prefix(err, HW_ECORRUPT, "stored payload");
    if (st != HW_OK) return st;
    *matches = filter_holds(f, &s);
    return HW_OK;
}

hw_status
hwi_filter_tester_new(const hwi_filter *filter, hwi_filter_tester **out, hw_error *err)
{
    hwi_filter_tester *t = hwi_alloc_zero(sizeof *t);

    *out = t;
    if (!t) return hwi_nomem(err, sizeof *t);
    t->filter = filter;
    return HW_OK;
}

void
hwi_filter_tester_free(hwi_filter_tester *t)
{
    if (!t) return;
    hwi_picker_release(&t->picker);
    hwi_free(t);
}

hw_status
hwi_filter_test(hwi_filter_tester *t, const hw_id *id, hw_bytes payload, bool *matches,
                hw_error *err)
{
    return test(t->filter, &t->picker, (subject){.id = id}, payload, matches, err);
}

hw_status
hwi_filter_test_slot(hwi_filter_tester *t, uint32_t slot, roaring_bitmap_t *const *having,
                     const hw_id *id, hw_bytes payload, bool *matches, hw_error *err)
{
    subject s = {.id = id, .slot = slot, .having = having};
    return test(t->filter, &t->picker, s, payload, matches, err);
}

hw_status
hwi_filter_matches(const hwi_filter *filter, const hw_id *id, hw_bytes payload, bool *matches,
                   hw_error *err)
{
    hwi_picker picker;

    picker.arena = (hwi_arena){0}; /* nodes are written before they are read */
    picker.used = 0;
    hw_status st = test(filter, &picker, (subject){.id = id}, payload, matches, err);
    hwi_picker_release(&picker);
    return st;
}
