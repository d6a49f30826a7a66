/* Facets, order and samples of random collections against a plain walk over all payloads. */
#include "support/hwt_db.h"
#include "support/hwt_payload.h"

#include "api/api.h"
#include "payload/path.h"
#include "payload/values.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ROUNDS = 12,
    POINTS = 1200,
    QUERIES = 12
}; /* filters on both sides of a facet's few points */

/* Indexed fields and what their index speaks for; o[].n has several values a point. */
static const struct {
    const char *path, *type;
} fields[] = {{"kw", "keyword"},    {"n", "integer"},      {"f", "float"},
              {"b", "bool"},        {"d", "datetime"},     {"u", "uuid"},
              {"o[].n", "integer"}, {"o[].kw", "keyword"}, {"mixed", "keyword"}};

typedef struct points {
    bool live[POINTS];
    hwi_buf payload[POINTS];
} points;

static void
fill(hw_collection *c, hwi_rng *rng, points *p)
{
    hw_error err;
    for (int i = 0; i < POINTS * 3 / 2; i++) {
        size_t place = hwi_rng_below(rng, POINTS);
        hw_id id = HW_ID_U64(place);
        hw_txn *txn;
        hwi_buf *b = &p->payload[place];
        hwt_ok(hw_txn_begin(c->db, &txn, &err), &err);
        p->live[place] = hwi_rng_below(rng, 5) != 0;
        hwi_buf_clear(b);
        if (p->live[place]) {
            hwt_payload_random(rng, b);
            hwt_ok(hw_txn_upsert(txn, c, &id, NULL, 0, b->size ? (char *)b->data : NULL, b->size,
                                 &err),
                   &err);
        } else {
            hwt_ok(hw_txn_delete(txn, c, &id, NULL, &err), &err);
        }
        hwt_ok(hw_txn_commit(txn, &err), &err);
    }
}

/* ---- the model: values of a field in one payload, each as canonical JSON, once */

typedef struct value_list {
    const char *type;
    bool once;
    char *text[64];
    int64_t number[64]; /* of integers and dates */
    double real[64];    /* of floats */
    size_t count;
} value_list;

static void
add_value(value_list *l, char *text, int64_t number, double real)
{
    for (size_t i = 0; l->once && i < l->count; i++)
        if (strcmp(l->text[i], text) == 0) {
            free(text);
            return;
        }
    assert_true(l->count < 64);
    l->text[l->count] = text;
    l->number[l->count] = number;
    l->real[l->count++] = real;
}

static char *
json_of(const hwi_json *e)
{
    hwi_buf b = {0};
    hwi_json_write(&b, e);
    char *text = strndup((char *)b.data, b.size);
    hwi_buf_release(&b);
    return text;
}

static void
look_at(value_list *l, const hwi_json *e)
{
    char text[HW_ID_TEXT_MAX + 3], uuid[HW_ID_TEXT_MAX + 1];
    int64_t micros;
    double d;
    hw_id id;
    bool is_text = e->kind == HWI_JSON_TEXT;
    if (strcmp(l->type, "keyword") == 0 && is_text) {
        add_value(l, json_of(e), 0, 0);
    } else if (strcmp(l->type, "bool") == 0 && e->kind == HWI_JSON_BOOL) {
        add_value(l, json_of(e), e->boolean, 0);
    } else if (strcmp(l->type, "integer") == 0 && e->kind == HWI_JSON_INT) {
        add_value(l, json_of(e), e->integer, 0);
    } else if (strcmp(l->type, "float") == 0 && hwi_json_is_number(e) && hwi_number_as_f64(e, &d)) {
        hwi_json same = {.kind = HWI_JSON_DOUBLE, .number = d == 0 ? 0 : d};
        add_value(l, json_of(&same), 0, same.number);
    } else if (strcmp(l->type, "datetime") == 0 && is_text &&
               hwi_date_parse(e->text, e->text_bytes, &micros)) {
        snprintf(text, sizeof text, "%lld", (long long)micros);
        add_value(l, strdup(text), micros, 0);
    } else if (strcmp(l->type, "uuid") == 0 && is_text && e->text_bytes >= 32 &&
               e->text_bytes <= 64 && hw_id_parse(e->text, e->text_bytes, &id, NULL) == HW_OK &&
               id.kind == HW_ID_KIND_UUID) {
        hw_id_format(&id, uuid);
        snprintf(text, sizeof text, "\"%s\"", uuid);
        add_value(l, strdup(text), 0, 0);
    }
}

static bool
each_value(void *arg, const hwi_json *v)
{
    if (v->kind != HWI_JSON_ARRAY) look_at(arg, v);
    for (const hwi_json *e = v->kind == HWI_JSON_ARRAY ? v->child : NULL; e; e = e->next)
        look_at(arg, e);
    return true;
}

static void
values_of(const hwi_buf *payload, const char *path, const char *type, bool once, value_list *out)
{
    hwi_arena arena = {0};
    const hwi_json *root;
    const hwi_path *p;
    *out = (value_list){.type = type, .once = once};
    if (payload->size == 0) return;
    assert_int_equal(HW_OK,
                     hwi_json_parse((char *)payload->data, payload->size, &arena, &root, NULL));
    assert_int_equal(HW_OK, hwi_path_parse(path, strlen(path), &arena, &p, NULL));
    hwi_path_walk(p, root, each_value, out);
    hwi_arena_release(&arena);
}

static void
forget(value_list *l)
{
    for (size_t i = 0; i < l->count; i++) free(l->text[i]);
}

/* ---- one question */

typedef struct question {
    hwi_buf filter_text;
    const char *filter; /* NULL: none */
    bool matching[POINTS];
    size_t count;
} question;

static void
ask(question *q, hwi_rng *rng, const points *p)
{
    hwi_arena arena = {0};
    const hwi_filter *f;
    hw_error err;
    q->count = 0;
    hwi_buf_clear(&q->filter_text);
    hwt_filter_random(rng, 2, POINTS, &q->filter_text);
    q->filter = hwi_rng_below(rng, 4) ? (const char *)q->filter_text.data : NULL;
    hwt_ok(hwi_filter_parse((char *)q->filter_text.data, q->filter_text.size, &arena, &f, &err),
           &err);
    for (size_t i = 0; i < POINTS; i++) {
        hw_id id = HW_ID_U64(i);
        bool yes = p->live[i];
        if (yes && q->filter)
            hwt_ok(hwi_filter_matches(f, &id, hwi_buf_bytes(&p->payload[i]), &yes, &err), &err);
        q->matching[i] = yes;
        q->count += yes;
    }
    hwi_arena_release(&arena);
}

/* ---- facets */

typedef struct tally {
    char *text;
    uint64_t count;
} tally;

static size_t
count_values(const question *q, const points *p, size_t field, tally *out)
{
    size_t n = 0;
    for (size_t i = 0; i < POINTS; i++) {
        value_list l;
        if (!q->matching[i]) continue;
        values_of(&p->payload[i], fields[field].path, fields[field].type, true, &l);
        for (size_t j = 0; j < l.count; j++) {
            size_t at = 0;
            while (at < n && strcmp(out[at].text, l.text[j]) != 0) at++;
            if (at == n) out[n++] = (tally){strdup(l.text[j]), 0};
            assert_true(n < POINTS * 4);
            out[at].count++;
        }
        forget(&l);
    }
    return n;
}

/* By count, then by value, as numbers where they are such. */
static int
by_count(const void *a, const void *b)
{
    const tally *x = a, *y = b;
    hwi_arena arena = {0};
    const hwi_json *u, *v;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    assert_int_equal(HW_OK, hwi_json_parse(x->text, strlen(x->text), &arena, &u, NULL));
    assert_int_equal(HW_OK, hwi_json_parse(y->text, strlen(y->text), &arena, &v, NULL));
    int c;
    if (u->kind == HWI_JSON_TEXT) {
        c = memcmp(u->text, v->text, HWI_MIN(u->text_bytes, v->text_bytes));
        if (c == 0) c = (u->text_bytes > v->text_bytes) - (u->text_bytes < v->text_bytes);
    } else if (u->kind == HWI_JSON_BOOL) {
        c = u->boolean - v->boolean;
    } else {
        c = hwi_number_compare(u, v);
    }
    hwi_arena_release(&arena);
    return c;
}

static void
check_facet(hw_collection *c, const question *q, const points *p, size_t field, uint32_t limit)
{
    static tally values[POINTS * 4];
    hwi_buf expected = {0};
    char *json;
    hw_error err;
    size_t n = count_values(q, p, field, values);
    qsort(values, n, sizeof *values, by_count);
    hwi_buf_text(&expected, "[");
    for (size_t i = 0; i < n && i < limit; i++)
        hwi_buf_printf(&expected, "%s{\"value\":%s,\"count\":%llu}", i ? "," : "", values[i].text,
                       (unsigned long long)values[i].count);
    hwi_buf_fill(&expected, ']', 1);
    hwi_buf_fill(&expected, 0, 1);
    hwt_ok(hw_collection_facet(c, fields[field].path, q->filter, q->filter_text.size, limit, &json,
                               &err),
           &err);
    assert_string_equal((char *)expected.data, json);
    hw_free(json);
    hwi_buf_release(&expected);
    for (size_t i = 0; i < n; i++) free(values[i].text);
}

/* ---- order */

typedef struct placed {
    size_t point;
    int64_t number;
    double real;
    char *text;
} placed;

static int
upwards(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    if (x->real != y->real) return x->real < y->real ? -1 : 1;
    return (x->point > y->point) - (x->point < y->point);
}

static size_t
place_all(const question *q, const points *p, size_t field, placed *out)
{
    size_t n = 0;
    for (size_t i = 0; i < POINTS; i++) {
        value_list l;
        if (!q->matching[i]) continue;
        values_of(&p->payload[i], fields[field].path, fields[field].type, true, &l);
        for (size_t j = 0; j < l.count; j++) {
            assert_true(n < POINTS * 8);
            out[n++] = (placed){i, l.number[j], l.real[j], strdup(l.text[j])};
        }
        forget(&l);
    }
    qsort(out, n, sizeof *out, upwards);
    return n;
}

static void
check_order(hw_collection *c, const question *q, const points *p, size_t field, hwi_rng *rng)
{
    static placed all[POINTS * 8];
    hw_result *r;
    hw_error err;
    size_t n = place_all(q, p, field, all), first = 0, end = n;
    bool down = hwi_rng_below(rng, 2), has_start = n > 0 && hwi_rng_below(rng, 2);
    uint32_t limit = 1 + (uint32_t)hwi_rng_below(rng, hwi_rng_below(rng, 2) ? 10 : 1000);
    size_t from = has_start ? hwi_rng_below(rng, n) : 0;
    const char *start = has_start ? all[from].text : NULL;
    for (; has_start && !down && first < n; first++)
        if (all[first].number == all[from].number && all[first].real == all[from].real) break;
    for (; has_start && down && end > 0; end--)
        if (all[end - 1].number == all[from].number && all[end - 1].real == all[from].real) break;
    hwt_ok(hw_collection_ordered(c, q->filter, q->filter_text.size, fields[field].path, down, start,
                                 limit, 0, &r, &err),
           &err);
    assert_int_equal(HWI_MIN((size_t)limit, end - first), hw_result_count(r));
    for (size_t i = 0; i < hw_result_count(r); i++) {
        const placed *e = down ? &all[end - 1 - i] : &all[first + i];
        assert_string_equal(e->text, hw_result_order_value(r, i));
        assert_int_equal(e->point, hw_result_ids(r)[i].as.u64);
    }
    hw_result_free(r);
    for (size_t i = 0; i < n; i++) free(all[i].text);
}

/* ---- samples */

static void
check_sample(hw_collection *c, const question *q, uint64_t seed)
{
    bool seen[POINTS] = {false};
    hw_result *r, *again;
    hw_error err;
    uint32_t limit = 1 + (uint32_t)(seed * 7919 % 60);
    hwt_ok(hw_collection_sample(c, q->filter, q->filter_text.size, seed, limit, 0, &r, &err), &err);
    hwt_ok(hw_collection_sample(c, q->filter, q->filter_text.size, seed, limit, 0, &again, &err),
           &err);
    assert_int_equal(HWI_MIN((size_t)limit, q->count), hw_result_count(r));
    for (size_t i = 0; i < hw_result_count(r); i++) {
        uint64_t id = hw_result_ids(r)[i].as.u64;
        assert_true(id < POINTS && q->matching[id] && !seen[id]);
        assert_int_equal(id, hw_result_ids(again)[i].as.u64);
        seen[id] = true;
    }
    hw_result_free(r);
    hw_result_free(again);
}

/* ---- rounds */

static void
run_round(uint64_t seed)
{
    hwt_db d;
    hwi_rng rng;
    hw_error err;
    points p = {0};
    question q = {0};
    hwi_rng_init(&rng, seed);
    hwt_db_open(&d, seed % 8 == 0);
    hw_collection *c =
        hwt_collection(d.db, "c", "{\"vectors\": {\"v\": {\"dim\": 2, \"metric\": \"l2\"}}}");
    for (size_t i = 0; i < HWI_COUNT(fields); i++)
        hwt_ok(hw_collection_index_payload(c, fields[i].path, fields[i].type, NULL, NULL, &err),
               &err);
    fill(c, &rng, &p);
    for (uint64_t n = 0; n < QUERIES; n++) {
        ask(&q, &rng, &p);
        for (size_t f = 0; f < HWI_COUNT(fields); f++) {
            bool ordered = strcmp(fields[f].type, "integer") == 0 ||
                           strcmp(fields[f].type, "float") == 0 ||
                           strcmp(fields[f].type, "datetime") == 0;
            bool counted =
                strcmp(fields[f].type, "float") != 0 && strcmp(fields[f].type, "datetime") != 0;
            if (counted) check_facet(c, &q, &p, f, n % 2 ? 1000 : 2);
            if (ordered) check_order(c, &q, &p, f, &rng);
        }
        check_sample(c, &q, seed * 100 + n);
    }
    hwi_buf_release(&q.filter_text);
    for (size_t i = 0; i < POINTS; i++) hwi_buf_release(&p.payload[i]);
    hw_collection_close(c);
    hwt_db_close(&d);
}

static void
answers_are_those_of_a_plain_walk(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) run_round(seed);
}

/* Over many seeds every point is drawn about equally often: a chi-square test at one in a million. */
static void
samples_are_even(void **state)
{
    (void)state;
    enum { N = 50, DRAWS = 2000, EACH = 5 };
    hwt_db d;
    hw_error err;
    uint64_t hits[N] = {0}, first[N] = {0};
    hwt_db_open(&d, false);
    hw_collection *c = hwt_collection(d.db, "c", "{\"dim\": 1, \"metric\": \"l2\"}");
    for (uint64_t i = 0; i < N; i++)
        hwt_ok(hw_collection_upsert(c, &HW_ID_U64(i), (float[]){1}, 1, NULL, &err), &err);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        hw_result *r;
        hwt_ok(hw_collection_sample(c, NULL, 0, seed, EACH, 0, &r, &err), &err);
        first[hw_result_ids(r)[0].as.u64]++;
        for (size_t i = 0; i < EACH; i++) hits[hw_result_ids(r)[i].as.u64]++;
        hw_result_free(r);
    }
    double chi = 0, chi_first = 0;
    for (size_t i = 0; i < N; i++) {
        double e = (double)DRAWS * EACH / N, ef = (double)DRAWS / N;
        chi += ((double)hits[i] - e) * ((double)hits[i] - e) / e;
        chi_first += ((double)first[i] - ef) * ((double)first[i] - ef) / ef;
    }
    assert_true(chi < 112 && chi_first < 112); /* 49 degrees of freedom */
    hw_collection_close(c);
    hwt_db_close(&d);
}

static void
fields_without_the_right_index_are_refused(void **state)
{
    (void)state;
    hwt_db d;
    char *json;
    hw_result *r;
    hw_error err;
    hwt_db_open(&d, false);
    hw_collection *c = hwt_collection(
        d.db, "c", "{\"dim\": 1, \"metric\": \"l2\", \"payload_indexes\": {\"t\": \"text\"}}");
    assert_int_equal(HW_EINVAL, hw_collection_facet(c, "t", NULL, 0, 10, &json, &err));
    assert_non_null(strstr(err.message, "`t` has no index of type keyword"));
    assert_int_equal(HW_EINVAL, hw_collection_facet(c, "x", NULL, 0, 10, &json, &err));
    assert_int_equal(HW_EINVAL, hw_collection_facet(c, "t", NULL, 0, 0, &json, &err));
    assert_int_equal(HW_EINVAL,
                     hw_collection_ordered(c, NULL, 0, "t", false, NULL, 1, 0, &r, &err));
    assert_non_null(strstr(err.message, "integer, float or datetime"));
    hwt_ok(hw_collection_index_payload(c, "n", "integer", NULL, NULL, &err), &err);
    assert_int_equal(HW_EINVAL,
                     hw_collection_ordered(c, NULL, 0, "n", false, "soon", 1, 0, &r, &err));
    assert_non_null(strstr(err.message, "`soon` is no number"));
    assert_int_equal(HW_EINVAL, hw_collection_sample(c, NULL, 0, 1, 0, 0, &r, &err));
    hw_collection_close(c);
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_a_plain_walk),
        cmocka_unit_test(samples_are_even),
        cmocka_unit_test(fields_without_the_right_index_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
