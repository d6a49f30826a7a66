/* hwt_payload.c - random payloads and filters.
 *
 * Both draw from the same small vocabularies, so that conditions hold now and then, and both know
 * the edges: numbers beyond 2^53 and int64, long keywords, words of other scripts, dates in several
 * spellings, points at the poles and the date line, values of a type the index does not expect. */
#include "support/hwt_payload.h"

#include <stdlib.h>

static hwi_pix_field fields[] = {
    {1, "kw", HWI_PIX_KEYWORD, true, 0, NULL},
    {2, "n", HWI_PIX_INTEGER, true, 0, NULL},
    {3, "f", HWI_PIX_FLOAT, true, 0, NULL},
    {4, "b", HWI_PIX_BOOL, true, 0, NULL},
    {5, "d", HWI_PIX_DATETIME, true, 0, NULL},
    {6, "g", HWI_PIX_GEO, true, 0, NULL},
    {7, "u", HWI_PIX_UUID, true, 0, NULL},
    {8, "t", HWI_PIX_TEXT, true, 0, NULL},
    {9, "o[].n", HWI_PIX_INTEGER, true, 0, NULL},
    {10, "o[].kw", HWI_PIX_KEYWORD, true, 0, NULL},
    {11, "p.q", HWI_PIX_KEYWORD, true, 0, NULL},
    {12, "mixed", HWI_PIX_KEYWORD, true, 0, NULL},
    {13, "mixed", HWI_PIX_FLOAT, true, 0, NULL},
    {14, "\"a.b\"", HWI_PIX_INTEGER, true, 0, NULL},
    {15, "notready", HWI_PIX_KEYWORD, false, 0, NULL},
    {16, "o[].t", HWI_PIX_TEXT, true, 0, NULL},
};
const hwi_schema hwt_payload_schema = {fields, HWI_COUNT(fields)};

static const char *const keywords[] = {
    "\"red\"", "\"green\"", "\"blue\"", "\"redder\"", "\"\"", "\"gr\\u00fcn\"", "\"a\\u0000b\"",
    /* two that share their first 96 bytes, both beyond HWI_PIX_TEXT_MAX */
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx1\"",
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx2\""};
static const char *const prefixes[] = {
    "\"\"", "\"r\"", "\"red\"", "\"gr\\u00fc\"", "\"a\\u0000\"", "\"xxxx\"",
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
    /* goes on differently after its first 96 bytes */
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy\""};
static const char *const integers[] = {"0",
                                       "1",
                                       "2",
                                       "3",
                                       "-1",
                                       "-7",
                                       "9007199254740993",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "18446744073709551615",
                                       "9223372036854775808"};
static const char *const doubles[] = {"0.0",
                                      "-0.0",
                                      "1.0",
                                      "0.5",
                                      "-2.5",
                                      "1e300",
                                      "-1e-300",
                                      "9007199254740992.0",
                                      "9.223372036854775807e18",
                                      "2.5"};
static const char *const booleans[] = {"true", "false"};
static const char *const dates[] = {
    "\"2024-02-29\"",          "\"2024-02-29T00:00:00Z\"",      "\"2024-02-29T01:00:00+01:00\"",
    "\"1969-12-31 23:59:59\"", "\"2024-02-29T12:30:00.5Z\"",    "\"2023-02-29\"",
    "\"2024-03-01T10:00\"",    "\"0001-01-01T00:00:00-11:30\"", "\"9999-12-31\""};
static const char *const date_bounds[] = {"\"2024-02-29\"", "\"2024-02-29T12:30:00.500Z\"",
                                          "\"1970-01-01\"", "\"2024-03-01\"", "\"9999-12-31\""};
static const char *const points[] = {
    "{\"lon\": 13.4, \"lat\": 52.5}",  "{\"lon\": 179.99, \"lat\": -10}",
    "{\"lon\": -179.99, \"lat\": 10}", "{\"lon\": 0, \"lat\": 90}",
    "{\"lon\": -180, \"lat\": -90}",   "{\"lon\": 13.45, \"lat\": 52.51}",
    "{\"lon\": 500, \"lat\": 1}",      "{\"lon\": 180, \"lat\": 0}"};
static const char *const uuids[] = {"\"67e55044-10b1-426f-9247-bb680e5fe0c8\"",
                                    "\"67E55044-10B1-426F-9247-BB680E5FE0C8\"",
                                    "\"67e5504410b1426f9247bb680e5fe0c8\"",
                                    "\"00000000-0000-0000-0000-000000000000\"", "\"no-uuid\""};
static const char *const texts[] = {"\"the quick brown fox\"",
                                    "\"The QUICK, brown dog!\"",
                                    "\"brown fox quick\"",
                                    "\"\\u0422\\u0438\\u0445\\u0438\\u0439 \\u0414\\u043e\\u043d\"",
                                    "\"\\u6771\\u4eac\\u90fd fox\"",
                                    "\"...\"",
                                    "\"\"",
                                    "\"fox\""};
static const char *const queries[] = {"\"fox\"",
                                      "\"quick brown\"",
                                      "\"Brown QUICK\"",
                                      "\"\\u0442\\u0438\\u0445\\u0438\\u0439\"",
                                      "\"\\u4eac\\u6771\"",
                                      "\"\\u4eac\\u90fd\"",
                                      "\"?\"",
                                      "\"dog fox\"",
                                      "\"unheard\""};

typedef struct vocabulary {
    const char *const *words;
    size_t count;
} vocabulary;
#define VOCABULARY(list) ((vocabulary){list, HWI_COUNT(list)})

static const char *
pick(hwi_rng *rng, vocabulary v)
{
    return v.words[hwi_rng_below(rng, v.count)];
}

static bool
chance(hwi_rng *rng, unsigned one_in)
{
    return hwi_rng_below(rng, one_in) == 0;
}

/* ---- payloads */

static vocabulary
vocabulary_of(hwi_pix_type type)
{
    switch (type) {
    case HWI_PIX_KEYWORD:
        return VOCABULARY(keywords);
    case HWI_PIX_INTEGER:
        return VOCABULARY(integers);
    case HWI_PIX_FLOAT:
        return VOCABULARY(doubles);
    case HWI_PIX_BOOL:
        return VOCABULARY(booleans);
    case HWI_PIX_DATETIME:
        return VOCABULARY(dates);
    case HWI_PIX_GEO:
        return VOCABULARY(points);
    case HWI_PIX_UUID:
        return VOCABULARY(uuids);
    case HWI_PIX_TEXT:
        break;
    }
    return VOCABULARY(texts);
}

static void
random_element(hwi_rng *rng, hwi_pix_type type, hwi_buf *out)
{
    if (chance(rng, 12)) type = (hwi_pix_type)hwi_rng_below(rng, 8);
    if (chance(rng, 15))
        hwi_buf_text(out, "null");
    else if (chance(rng, 40))
        hwi_buf_text(out, chance(rng, 2) ? "[1, [\"red\"]]" : "{\"x\": 1}");
    else if (type == HWI_PIX_FLOAT && chance(rng, 2))
        hwi_buf_printf(out, "%.6f", hwi_rng_normal(rng) * 3);
    else if (type == HWI_PIX_GEO && chance(rng, 2))
        hwi_buf_printf(out, "{\"lat\": %.7f, \"lon\": %.7f}", 52 + hwi_rng_normal(rng) / 4,
                       13 + hwi_rng_normal(rng) / 4);
    else if (type == HWI_PIX_INTEGER && chance(rng, 2))
        hwi_buf_printf(out, "%d", (int)hwi_rng_below(rng, 10) - 3);
    else
        hwi_buf_text(out, pick(rng, vocabulary_of(type)));
}

static void
random_value(hwi_rng *rng, hwi_pix_type type, hwi_buf *out)
{
    if (!chance(rng, 4)) {
        random_element(rng, type, out);
        return;
    }
    hwi_buf_text(out, "[");
    for (uint64_t i = 0, n = hwi_rng_below(rng, 4); i < n; i++) {
        if (i) hwi_buf_text(out, ", ");
        random_element(rng, type, out);
    }
    hwi_buf_text(out, "]");
}

static void
random_member(hwi_rng *rng, const char *key, hwi_pix_type type, hwi_buf *out)
{
    if (chance(rng, 5)) return;
    if (out->data[out->size - 1] != '{') hwi_buf_text(out, ", ");
    hwi_buf_printf(out, "\"%s\": ", key);
    random_value(rng, type, out);
}

static void
random_objects(hwi_rng *rng, hwi_buf *out)
{
    hwi_buf_text(out, ", \"o\": ");
    if (chance(rng, 10)) {
        random_value(rng, HWI_PIX_KEYWORD, out);
        return;
    }
    hwi_buf_text(out, "[");
    for (uint64_t i = 0, n = hwi_rng_below(rng, 4); i < n; i++) {
        hwi_buf_text(out, i ? ", {" : "{");
        random_member(rng, "n", HWI_PIX_INTEGER, out);
        random_member(rng, "kw", HWI_PIX_KEYWORD, out);
        random_member(rng, "t", HWI_PIX_TEXT, out);
        hwi_buf_text(out, "}");
    }
    hwi_buf_text(out, "]");
}

void
hwt_payload_random(hwi_rng *rng, hwi_buf *out)
{
    if (chance(rng, 10)) return;
    hwi_buf_text(out, "{");
    random_member(rng, "kw", HWI_PIX_KEYWORD, out);
    random_member(rng, "n", HWI_PIX_INTEGER, out);
    random_member(rng, "f", HWI_PIX_FLOAT, out);
    random_member(rng, "b", HWI_PIX_BOOL, out);
    random_member(rng, "d", HWI_PIX_DATETIME, out);
    random_member(rng, "g", HWI_PIX_GEO, out);
    random_member(rng, "u", HWI_PIX_UUID, out);
    random_member(rng, "t", HWI_PIX_TEXT, out);
    random_member(rng, "mixed", (hwi_pix_type)hwi_rng_below(rng, 8), out);
    random_member(rng, "a.b", HWI_PIX_INTEGER, out);
    random_member(rng, "notready", HWI_PIX_KEYWORD, out);
    random_member(rng, "free", HWI_PIX_INTEGER, out);
    if (out->data[out->size - 1] == '{') hwi_buf_text(out, "\"z\": 1");
    if (!chance(rng, 3)) random_objects(rng, out);
    if (!chance(rng, 3)) {
        hwi_buf_text(out, ", \"p\": {");
        random_member(rng, "q", HWI_PIX_KEYWORD, out);
        hwi_buf_text(out, "}");
    }
    hwi_buf_text(out, "}");
}

/* ---- filters */

/* A value that `match` may ask for. */
static void
random_match_value(hwi_rng *rng, hwi_buf *out)
{
    static const hwi_pix_type types[] = {HWI_PIX_KEYWORD, HWI_PIX_INTEGER, HWI_PIX_BOOL,
                                         HWI_PIX_UUID,    HWI_PIX_KEYWORD, HWI_PIX_INTEGER,
                                         HWI_PIX_TEXT,    HWI_PIX_DATETIME};
    hwi_buf_text(out, pick(rng, vocabulary_of(types[hwi_rng_below(rng, HWI_COUNT(types))])));
}

static void
random_match(hwi_rng *rng, hwi_buf *out)
{
    static const char *const lists[] = {"any", "except"};
    static const char *const words[] = {"text", "text_any", "phrase"};

    hwi_buf_text(out, "\"match\": {");
    switch (hwi_rng_below(rng, 4)) {
    case 0:
        hwi_buf_text(out, "\"value\": ");
        random_match_value(rng, out);
        break;
    case 1:
        hwi_buf_printf(out, "\"%s\": [", pick(rng, VOCABULARY(lists)));
        for (uint64_t i = 0, n = hwi_rng_below(rng, 5); i < n; i++) {
            if (i) hwi_buf_text(out, ", ");
            random_match_value(rng, out);
        }
        hwi_buf_text(out, "]");
        break;
    case 2:
        hwi_buf_printf(out, "\"%s\": %s", pick(rng, VOCABULARY(words)),
                       pick(rng, VOCABULARY(queries)));
        break;
    default:
        hwi_buf_printf(out, "\"prefix\": %s", pick(rng, VOCABULARY(prefixes)));
    }
    hwi_buf_text(out, "}");
}

static void
random_range(hwi_rng *rng, hwi_buf *out)
{
    static const char *const lower[] = {"gt", "gte"};
    static const char *const upper[] = {"lt", "lte"};
    bool date = chance(rng, 3);
    vocabulary numbers = chance(rng, 2) ? VOCABULARY(integers) : VOCABULARY(doubles);
    vocabulary bounds = date ? VOCABULARY(date_bounds) : numbers;
    bool low = !chance(rng, 3), high = !low || !chance(rng, 2);

    hwi_buf_text(out, "\"range\": {");
    if (low) hwi_buf_printf(out, "\"%s\": %s", pick(rng, VOCABULARY(lower)), pick(rng, bounds));
    if (low && high) hwi_buf_text(out, ", ");
    if (high) hwi_buf_printf(out, "\"%s\": %s", pick(rng, VOCABULARY(upper)), pick(rng, bounds));
    hwi_buf_text(out, "}");
}

static void
random_area(hwi_rng *rng, hwi_buf *out)
{
    double lon = 13 + hwi_rng_normal(rng) / 4, lat = 52 + hwi_rng_normal(rng) / 4;
    double w = hwi_rng_unit(rng) * 0.6, h = hwi_rng_unit(rng) * 0.6;

    switch (hwi_rng_below(rng, 5)) {
    case 0:
        hwi_buf_printf(out,
                       "\"geo_bounding_box\": {\"top_left\": {\"lon\": %f, \"lat\": %f}, "
                       "\"bottom_right\": {\"lon\": %f, \"lat\": %f}}",
                       lon - w, lat + h, lon + w, lat - h);
        break;
    case 1:
        hwi_buf_text(out, "\"geo_bounding_box\": {\"top_left\": {\"lon\": 179, \"lat\": 89}, "
                          "\"bottom_right\": {\"lon\": -179, \"lat\": -89}}");
        break;
    case 2:
        hwi_buf_printf(out,
                       "\"geo_radius\": {\"center\": {\"lon\": %f, \"lat\": %f}, \"radius\": %f}",
                       lon, lat, w * 60000);
        break;
    case 3:
        hwi_buf_printf(
            out, "\"geo_radius\": {\"center\": {\"lon\": 179.9, \"lat\": %f}, \"radius\": %f}",
            hwi_rng_unit(rng) * 180 - 90, hwi_rng_unit(rng) * 2e7);
        break;
    default:
        hwi_buf_printf(out,
                       "\"geo_polygon\": {\"exterior\": {\"points\": [{\"lon\": %f, \"lat\": %f}, "
                       "{\"lon\": %f, \"lat\": %f}, {\"lon\": %f, \"lat\": %f}, {\"lon\": %f, "
                       "\"lat\": %f}]}, \"interiors\": [{\"points\": [{\"lon\": 13.4, \"lat\": "
                       "52.5}, {\"lon\": 13.5, \"lat\": 52.5}, {\"lon\": 13.5, \"lat\": 52.6}, "
                       "{\"lon\": 13.4, \"lat\": 52.5}]}]}",
                       lon - w, lat, lon + w, lat - h, lon, lat + h, lon - w, lat);
    }
}

static void
random_field_condition(hwi_rng *rng, bool inside, hwi_buf *out)
{
    static const char *const keys[] = {"kw",       "n",      "f",         "b",     "d",
                                       "g",        "u",      "t",         "o[].n", "o[].kw",
                                       "p.q",      "mixed",  "free",      "o[].t", "\\\"a.b\\\"",
                                       "notready", "o[0].n", "\\\"kw\\\""};
    static const char *const inner[] = {"n", "kw", "t"};
    static const char *const flags[] = {"\"is_empty\": true", "\"is_empty\": false",
                                        "\"is_null\": true", "\"is_null\": false"};
    const char *key = inside ? pick(rng, VOCABULARY(inner)) : pick(rng, VOCABULARY(keys));

    if (chance(rng, 8)) {
        hwi_buf_printf(out, "{\"%s\": {\"key\": \"%s\"}}", chance(rng, 2) ? "is_empty" : "is_null",
                       key);
        return;
    }
    hwi_buf_printf(out, "{\"key\": \"%s\", ", key);
    switch (hwi_rng_below(rng, 7)) {
    case 0:
        hwi_buf_text(out, pick(rng, VOCABULARY(flags)));
        break;
    case 1:
        hwi_buf_printf(out, "\"values_count\": {\"%s\": %d}", chance(rng, 2) ? "gte" : "lt",
                       (int)hwi_rng_below(rng, 4));
        break;
    case 2:
    case 3:
        random_range(rng, out);
        break;
    case 4:
        random_area(rng, out);
        break;
    default:
        random_match(rng, out);
    }
    hwi_buf_text(out, "}");
}

static void random_filter(hwi_rng *rng, unsigned depth, uint64_t ids_below, bool inside,
                          hwi_buf *out);

static void
random_condition(hwi_rng *rng, unsigned depth, uint64_t ids_below, bool inside, hwi_buf *out)
{
    if (depth > 0 && chance(rng, 5)) {
        random_filter(rng, depth - 1, ids_below, inside, out);
    } else if (depth > 0 && !inside && chance(rng, 5)) {
        hwi_buf_text(out, "{\"nested\": {\"key\": \"o\", \"filter\": ");
        random_filter(rng, depth - 1, 0, true, out);
        hwi_buf_text(out, "}}");
    } else if (ids_below > 0 && chance(rng, 20)) {
        hwi_buf_printf(out, "{\"slice\": {\"index\": %d, \"total\": 3}}",
                       (int)hwi_rng_below(rng, 3));
    } else if (ids_below > 0 && chance(rng, 12)) {
        hwi_buf_printf(out, "{\"has_id\": [%d, 999999, %d, %d]}",
                       (int)hwi_rng_below(rng, ids_below), (int)hwi_rng_below(rng, ids_below),
                       (int)hwi_rng_below(rng, ids_below));
    } else {
        random_field_condition(rng, inside, out);
    }
}

static void
random_clause(hwi_rng *rng, unsigned depth, uint64_t ids_below, bool inside, hwi_buf *out)
{
    uint64_t n = hwi_rng_below(rng, 4);

    if (n == 1 && chance(rng, 2)) {
        random_condition(rng, depth, ids_below, inside, out);
        return;
    }
    hwi_buf_text(out, "[");
    for (uint64_t i = 0; i < n; i++) {
        if (i) hwi_buf_text(out, ", ");
        random_condition(rng, depth, ids_below, inside, out);
    }
    hwi_buf_text(out, "]");
}

static void
random_filter(hwi_rng *rng, unsigned depth, uint64_t ids_below, bool inside, hwi_buf *out)
{
    static const char *const names[] = {"must", "should", "must_not"};

    hwi_buf_text(out, "{");
    for (size_t i = 0; i < 3; i++) {
        if (!chance(rng, 3)) continue;
        if (out->data[out->size - 1] != '{') hwi_buf_text(out, ", ");
        hwi_buf_printf(out, "\"%s\": ", names[i]);
        random_clause(rng, depth, ids_below, inside, out);
    }
    if (chance(rng, 6)) {
        if (out->data[out->size - 1] != '{') hwi_buf_text(out, ", ");
        hwi_buf_text(out, "\"min_should\": {\"conditions\": [");
        random_condition(rng, depth, ids_below, inside, out);
        hwi_buf_text(out, ", ");
        random_condition(rng, depth, ids_below, inside, out);
        hwi_buf_text(out, ", ");
        random_condition(rng, depth, ids_below, inside, out);
        hwi_buf_printf(out, "], \"min_count\": %d}", (int)hwi_rng_below(rng, 5));
    }
    if (out->data[out->size - 1] == '{') {
        hwi_buf_text(out, "\"must\": ");
        random_condition(rng, 0, ids_below, inside, out);
    }
    hwi_buf_text(out, "}");
}

void
hwt_filter_random(hwi_rng *rng, unsigned depth, uint64_t ids_below, hwi_buf *out)
{
    random_filter(rng, depth, ids_below, false, out);
}

/* ---- points */

void
hwt_points_init(hwt_points *p, hw_store *store, const hwi_schema *schema, size_t count,
                uint32_t stride)
{
    *p =
        (hwt_points){.store = store, .schema = schema, .coll = 3, .count = count, .stride = stride};
    p->live = calloc(count, sizeof *p->live);
    p->payload = calloc(count, sizeof *p->payload);
    assert_non_null(p->live);
    assert_non_null(p->payload);
}

void
hwt_points_release(hwt_points *p)
{
    for (size_t i = 0; i < p->count; i++) hwi_buf_release(&p->payload[i]);
    free(p->payload);
    free(p->live);
}

static void
change(hwt_points *p, hw_store_txn *t, hwi_pix_writer *w, size_t place, bool live,
       const hwi_buf *payload)
{
    hw_error err;
    uint32_t slot = (uint32_t)place * p->stride;
    hw_id id = HW_ID_U64(place);
    hwi_rec rec = {.payload = hwi_buf_bytes(payload)};
    hwi_conf conf = {.coll = p->coll};
    hwi_id_near near = {0};

    hwt_ok(hwi_pix_change(w, slot, hwi_buf_bytes(&p->payload[place]), rec.payload, &err), &err);
    if (live != p->live[place]) hwt_ok(hwi_pix_set_live(w, slot, live, &err), &err);
    if (live) {
        hwt_ok(hwi_id_put(t, &conf, &near, &id, slot, 1, &err), &err);
        hwt_ok(hwi_rec_put(t, p->coll, slot, false, &rec, &err), &err);
    } else {
        hwt_ok(hwi_id_del(t, &conf, &near, &id, &err), &err);
        hwt_ok(hwi_rec_del(t, p->coll, slot, &err), &err);
    }
    p->live[place] = live;
    hwi_buf_clear(&p->payload[place]);
    hwi_buf_add(&p->payload[place], payload->data, payload->size);
}

void
hwt_points_change(hwt_points *p, hwi_rng *rng, size_t changes)
{
    hw_error err;
    hwi_pix_writer *w;
    hwi_buf payload = {0};
    hw_store_txn *t = hwt_begin(p->store, HW_TXN_WRITE);

    hwt_ok(hwi_pix_writer_new(t, p->coll, p->schema, &w, &err), &err);
    for (size_t i = 0; i < changes; i++) {
        bool live = !chance(rng, 4);
        hwi_buf_clear(&payload);
        if (live) hwt_payload_random(rng, &payload);
        change(p, t, w, hwi_rng_below(rng, p->count), live, &payload);
    }
    hwt_ok(hwi_pix_flush(w, &err), &err);
    hwi_pix_writer_free(w);
    hwi_buf_release(&payload);
    hwt_commit(t);
}

void
hwt_points_put(hwt_points *p, size_t place, const char *payload)
{
    hw_error err;
    hwi_pix_writer *w;
    hwi_buf text = {0};
    hw_store_txn *t = hwt_begin(p->store, HW_TXN_WRITE);

    if (payload) hwi_buf_text(&text, payload);
    hwt_ok(hwi_pix_writer_new(t, p->coll, p->schema, &w, &err), &err);
    change(p, t, w, place, payload != NULL, &text);
    hwt_ok(hwi_pix_flush(w, &err), &err);
    hwi_pix_writer_free(w);
    hwi_buf_release(&text);
    hwt_commit(t);
}
