/* What filters mean: every condition, on values, arrays, nested objects and at the edges. */
#include "support/hwt.h"

#include <stdio.h>

#include "payload/filter.h"
#include "payload/geo.h"
#include "payload/values.h"

static bool
holds(const char *filter, const char *payload)
{
    hw_error err = {0};
    hwi_arena arena = {0};
    const hwi_filter *f;
    bool matches = false;
    hw_id id = HW_ID_U64(7);

    if (hwi_filter_parse(filter, strlen(filter), &arena, &f, &err) != HW_OK)
        fail_msg("%s: %s", filter, err.message);
    if (hwi_filter_matches(f, &id, hwi_bytes_text(payload), &matches, &err) != HW_OK)
        fail_msg("%s: %s", payload, err.message);
    hwi_arena_release(&arena);
    return matches;
}

/* The condition alone, as must; must_not has to say the opposite. */
static bool
cond(const char *condition, const char *payload)
{
    char text[2048];
    snprintf(text, sizeof text, "{\"must\": %s}", condition);
    bool yes = holds(text, payload);
    snprintf(text, sizeof text, "{\"must_not\": [%s]}", condition);
    assert_true(holds(text, payload) == !yes);
    return yes;
}

static bool
match(const char *test, const char *payload)
{
    char text[2048];
    snprintf(text, sizeof text, "{\"key\": \"a\", \"match\": {%s}}", test);
    return cond(text, payload);
}

static bool
range(const char *bounds, const char *payload)
{
    char text[2048];
    snprintf(text, sizeof text, "{\"key\": \"a\", \"range\": {%s}}", bounds);
    return cond(text, payload);
}

static void
value_compares_by_type(void **state)
{
    (void)state;
    assert_true(match("\"value\": \"x\"", "{\"a\": \"x\"}"));
    assert_false(match("\"value\": \"x\"", "{\"a\": \"X\"}"));
    assert_false(match("\"value\": \"x\"", "{\"b\": \"x\"}"));
    assert_false(match("\"value\": \"x\"", ""));
    assert_true(match("\"value\": 1", "{\"a\": 1}"));
    assert_false(match("\"value\": 1", "{\"a\": 1.0}")); /* a float is no integer */
    assert_false(match("\"value\": 1", "{\"a\": \"1\"}"));
    assert_false(match("\"value\": 1", "{\"a\": true}"));
    assert_true(match("\"value\": true", "{\"a\": true}"));
    assert_false(match("\"value\": true", "{\"a\": false}"));
    assert_false(match("\"value\": \"x\"", "{\"a\": null}"));
    assert_true(
        match("\"value\": \"x\"", "{\"a\": \"y\", \"a\": \"x\"}")); /* the last one counts */
}

static void
integers_are_exact_at_the_edges(void **state)
{
    (void)state;
    assert_true(match("\"value\": 9007199254740993", "{\"a\": 9007199254740993}"));
    assert_false(match("\"value\": 9007199254740993", "{\"a\": 9007199254740992}"));
    assert_true(match("\"value\": -9223372036854775808", "{\"a\": -9223372036854775808}"));
    assert_true(match("\"value\": 18446744073709551615", "{\"a\": 18446744073709551615}"));
    assert_false(match("\"value\": -1", "{\"a\": 18446744073709551615}"));
    assert_true(match("\"any\": [18446744073709551615, 9223372036854775807]",
                      "{\"a\": 9223372036854775807}"));
}

static void
an_array_holds_if_any_element_does(void **state)
{
    (void)state;
    assert_true(match("\"value\": 2", "{\"a\": [1, 2, 3]}"));
    assert_false(match("\"value\": 4", "{\"a\": [1, 2, 3]}"));
    assert_false(match("\"value\": 2", "{\"a\": []}"));
    assert_false(match("\"value\": 2", "{\"a\": [[2]]}")); /* one level */
    assert_true(range("\"gt\": 2, \"lt\": 4", "{\"a\": [1, 3]}"));
    assert_false(range("\"gt\": 1, \"lt\": 3", "{\"a\": [1, 3]}")); /* one element meets both */
}

static void
any_and_except_take_lists(void **state)
{
    (void)state;
    assert_true(match("\"any\": [\"x\", \"y\", 3]", "{\"a\": \"y\"}"));
    assert_true(match("\"any\": [\"x\", \"y\", 3]", "{\"a\": 3}"));
    assert_false(match("\"any\": []", "{\"a\": 3}"));
    assert_true(match("\"except\": [\"x\"]", "{\"a\": \"y\"}"));
    assert_false(match("\"except\": [\"x\"]", "{\"a\": \"x\"}"));
    assert_true(match("\"except\": [\"x\"]", "{\"a\": [\"x\", \"y\"]}")); /* any element outside */
    assert_false(match("\"except\": [\"x\", \"y\"]", "{\"a\": [\"x\", \"y\"]}"));
    assert_false(match("\"except\": [\"x\"]", "{\"a\": null}"));
    assert_false(match("\"except\": [\"x\"]", "{}"));
    assert_true(match("\"except\": [1]", "{\"a\": 1.0}"));
    assert_true(match("\"except\": [1]", "{\"a\": {\"b\": 1}}"));
    assert_true(match("\"except\": []", "{\"a\": [[]]}"));
    assert_false(match("\"except\": []", "{\"a\": [null]}"));
}

static void
prefix_compares_bytes(void **state)
{
    (void)state;
    assert_true(match("\"prefix\": \"ab\"", "{\"a\": \"abc\"}"));
    assert_true(match("\"prefix\": \"\"", "{\"a\": \"\"}"));
    assert_false(match("\"prefix\": \"ab\"", "{\"a\": \"a\"}"));
    assert_false(match("\"prefix\": \"\"", "{\"a\": 1}"));
}

static void
text_is_compared_by_words(void **state)
{
    (void)state;
    assert_true(match("\"text\": \"brown QUICK\"", "{\"a\": \"The quick, Brown fox\"}"));
    assert_false(match("\"text\": \"brow\"", "{\"a\": \"The quick, Brown fox\"}"));
    assert_false(match("\"text\": \"quick dog\"", "{\"a\": [\"quick fox\", \"slow dog\"]}"));
    assert_true(match("\"text_any\": \"dog fox\"", "{\"a\": \"The fox\"}"));
    assert_false(match("\"text_any\": \"dog\"", "{\"a\": \"The fox\"}"));
    assert_true(match("\"phrase\": \"quick brown\"", "{\"a\": \"very quick, quick brown fox\"}"));
    assert_false(match("\"phrase\": \"brown quick\"", "{\"a\": \"the quick brown fox\"}"));
    assert_true(match("\"phrase\": \"a b a c\"", "{\"a\": \"a b a b a c\"}"));
    assert_false(match("\"text\": \"...\"", "{\"a\": \"...\"}")); /* no words, no match */
    assert_false(match("\"text\": \"1\"", "{\"a\": 1}"));
}

static void
words_of_other_scripts(void **state)
{
    (void)state;
    assert_true(
        match("\"text\": \"\xd0\xa2\xd0\x98\xd0\xa5\xd0\x98\xd0\x99\"",
              "{\"a\": \"\xd0\xa2\xd0\xb8\xd1\x85\xd0\xb8\xd0\xb9 \xd0\x94\xd0\xbe\xd0\xbd\"}"));
    assert_true(match("\"text\": \"GR\\u00dcN\"", "{\"a\": \"gr\\u00fcn\"}"));
    assert_true(match("\"text\": \"\\u03a3\\u0391\\u03a3\"", "{\"a\": \"\\u03c3\\u03b1\\u03c2\"}"));
    assert_true(match("\"phrase\": \"\\u4eac\\u90fd\"", "{\"a\": \"\\u6771\\u4eac\\u90fd\"}"));
    assert_false(match("\"phrase\": \"\\u90fd\\u4eac\"", "{\"a\": \"\\u6771\\u4eac\\u90fd\"}"));
    assert_true(match("\"text\": \"b\"", "{\"a\": \"a\\u00a0b\\u2014c\"}")); /* nbsp, dash */
}

static const char *
words_of(const char *text, size_t bytes)
{
    static char out[1024];
    size_t used = 0;
    hwi_words w;
    hwi_words_init(&w, NULL, text, bytes);
    while (hwi_words_next(&w)) {
        memcpy(out + used, w.word, w.bytes);
        used += w.bytes;
        out[used++] = '|';
    }
    out[used] = '\0';
    return out;
}

static void
words_survive_any_bytes(void **state)
{
    (void)state;
    assert_string_equal(words_of("ab\xff\xc3(\xe2\x82", 8), "ab|");
    assert_string_equal(words_of("\xf0\x9f\x98\x80x", 5), "x|");
    assert_string_equal(words_of("a\0b", 3), "a|b|");
    char longest[300];
    memset(longest, 'A', sizeof longest);
    assert_int_equal(strlen(words_of(longest, sizeof longest)), HWI_WORD_MAX + 1);
}

static void
range_compares_numbers_exactly(void **state)
{
    (void)state;
    assert_true(range("\"gte\": 1", "{\"a\": 1}"));
    assert_true(range("\"gte\": 1", "{\"a\": 1.0}"));
    assert_false(range("\"gt\": 1.0", "{\"a\": 1}"));
    assert_true(range("\"gt\": 9007199254740992.0", "{\"a\": 9007199254740993}"));
    assert_false(range("\"gt\": 9007199254740993", "{\"a\": 9007199254740992.0}"));
    assert_true(range("\"lt\": 9223372036854775808", "{\"a\": 9223372036854775807}"));
    assert_true(range("\"lt\": 1e300", "{\"a\": 18446744073709551615}"));
    assert_true(range("\"gte\": 18446744073709551615", "{\"a\": 18446744073709551616.0}"));
    assert_true(range("\"gte\": -9223372036854775808.0", "{\"a\": -9223372036854775808}"));
    assert_false(range("\"gt\": -9223372036854775808.0", "{\"a\": -9223372036854775808}"));
    assert_true(range("\"lt\": -0.5", "{\"a\": -1}"));
    assert_false(range("\"lt\": -1.5", "{\"a\": -1}"));
    assert_true(range("\"gte\": 0, \"lte\": 0", "{\"a\": -0.0}"));
    assert_true(range("", "{\"a\": 3}"));
    assert_false(range("", "{\"a\": \"3\"}"));
    assert_false(range("\"gt\": 1", "{\"a\": null}"));
}

static void
range_compares_dates(void **state)
{
    (void)state;
    assert_true(range("\"gte\": \"2024-02-29\"", "{\"a\": \"2024-02-29T00:00:00Z\"}"));
    assert_true(range("\"gte\": \"2024-02-29T01:00:00+01:00\", \"lte\": \"2024-02-29\"",
                      "{\"a\": \"2024-02-28 23:00:00-01:00\"}"));
    assert_false(range("\"gt\": \"2024-02-29\"", "{\"a\": \"2024-02-29\"}"));
    assert_true(range("\"gt\": \"2024-02-29\"", "{\"a\": \"2024-02-29T00:00:00.000001Z\"}"));
    assert_true(range("\"lt\": \"1970-01-01\"", "{\"a\": \"1969-12-31T23:59:59.9\"}"));
    assert_false(range("\"lt\": \"2030-01-01\"", "{\"a\": 5}"));
    assert_false(range("\"lt\": \"2030-01-01\"", "{\"a\": \"soon\"}"));
    assert_true(range("\"lt\": \"2030-01-01\"", "{\"a\": [\"soon\", \"2029-12-31\"]}"));
}

static void
dates_are_read_strictly(void **state)
{
    static const char *const wrong[] = {"2023-02-29",
                                        "2024-13-01",
                                        "2024-00-01",
                                        "2024-01-00",
                                        "2024-1-1",
                                        "2024-01-01T",
                                        "2024-01-01T24:00",
                                        "2024-01-01T10",
                                        "2024-01-01T10:00:00.",
                                        "20240101",
                                        "2024-01-01T10:00Zx",
                                        "2024-01-01T10:00+",
                                        "",
                                        "2024-01-01T10:00+25:00",
                                        "1900-02-29"};
    int64_t us;

    (void)state;
    for (size_t i = 0; i < HWI_COUNT(wrong); i++)
        if (hwi_date_parse(wrong[i], strlen(wrong[i]), &us)) fail_msg("%s is no date", wrong[i]);
    assert_true(hwi_date_parse("1970-01-01", 10, &us) && us == 0);
    assert_true(hwi_date_parse("2000-02-29T00:00:00Z", 20, &us));
    assert_int_equal(us / 1000000, 951782400);
    assert_true(hwi_date_parse("0000-01-01", 10, &us));
    assert_int_equal(us / 1000000, -62167219200);
    assert_true(hwi_date_parse("2024-01-01t10:00:00.1234567890z", 31, &us));
    assert_int_equal(us % 1000000, 123456);
}

static void
empty_and_null(void **state)
{
    const char *empty = "{\"is_empty\": {\"key\": \"a\"}}",
               *null = "{\"is_null\": {\"key\": \"a\"}}";

    (void)state;
    assert_true(cond(empty, "{}"));
    assert_true(cond(empty, ""));
    assert_true(cond(empty, "{\"a\": null}"));
    assert_true(cond(empty, "{\"a\": []}"));
    assert_false(cond(empty, "{\"a\": [null]}"));
    assert_false(cond(empty, "{\"a\": \"\"}"));
    assert_false(cond(empty, "{\"a\": {}}"));
    assert_false(cond(null, "{}"));
    assert_true(cond(null, "{\"a\": null}"));
    assert_true(cond(null, "{\"a\": [1, null]}"));
    assert_false(cond(null, "{\"a\": []}"));
    assert_true(cond("{\"key\": \"a\", \"is_empty\": false}", "{\"a\": 1}"));
    assert_false(cond("{\"key\": \"a\", \"is_empty\": false}", "{}"));
    assert_true(cond("{\"key\": \"a\", \"is_null\": false}", "{}"));
    /* beside a key that fans out any value decides */
    assert_true(cond("{\"key\": \"a[]\", \"is_empty\": true}", "{\"a\": [1, null]}"));
    assert_true(cond("{\"key\": \"a[]\", \"is_empty\": false}", "{\"a\": [1, null]}"));
    assert_false(cond("{\"is_empty\": {\"key\": \"a[]\"}}", "{\"a\": [1, null]}"));
    assert_true(cond("{\"key\": \"a[]\", \"is_null\": false}", "{\"a\": [1, null]}"));
}

static void
values_are_counted(void **state)
{
    const char *two = "{\"key\": \"a\", \"values_count\": {\"gte\": 2}}";

    (void)state;
    assert_true(cond(two, "{\"a\": [1, null]}"));
    assert_false(cond(two, "{\"a\": 5}"));
    assert_false(cond(two, "{}"));
    assert_true(cond("{\"key\": \"a\", \"values_count\": {\"lt\": 1}}", "{\"a\": null}"));
    assert_true(cond("{\"key\": \"a\", \"values_count\": {\"lt\": 1}}", "{\"a\": []}"));
    assert_true(cond("{\"key\": \"a\", \"values_count\": {\"lt\": 1}}", "{}"));
    assert_true(cond("{\"key\": \"a[].b\", \"values_count\": {\"gte\": 0}}", "{\"a\": []}"));
    assert_false(cond("{\"key\": \"a\", \"values_count\": {\"gte\": 1}}", "{}"));
    assert_false(cond("{\"key\": \"a\", \"values_count\": {\"lt\": 0}}", "{\"a\": []}"));
    assert_true(cond("{\"key\": \"a\", \"values_count\": {\"gt\": 0, \"lte\": 1}}", "{\"a\": {}}"));
}

static void
paths_lead_into_objects_and_arrays(void **state)
{
    const char *p = "{\"a\": {\"b\": 1, \"c\": [{\"d\": 2}, {\"d\": [3, 4]}]}, \"x.y\": 5, "
                    "\"l\": [[1, 2], [3]]}";

    (void)state;
    assert_true(cond("{\"key\": \"a.b\", \"match\": {\"value\": 1}}", p));
    assert_true(cond("{\"key\": \"a.c[].d\", \"match\": {\"value\": 2}}", p));
    assert_true(cond("{\"key\": \"a.c[].d\", \"match\": {\"value\": 4}}", p));
    assert_false(cond("{\"key\": \"a.c.d\", \"match\": {\"value\": 2}}", p)); /* needs [] */
    assert_true(cond("{\"key\": \"a.c[1].d[0]\", \"match\": {\"value\": 3}}", p));
    assert_false(cond("{\"key\": \"a.c[0].d\", \"match\": {\"value\": 3}}", p));
    assert_false(cond("{\"key\": \"a.c[7].d\", \"match\": {\"value\": 3}}", p));
    assert_true(cond("{\"key\": \"\\\"x.y\\\"\", \"match\": {\"value\": 5}}", p));
    assert_false(cond("{\"key\": \"x.y\", \"match\": {\"value\": 5}}", p));
    assert_true(cond("{\"key\": \"l[]\", \"match\": {\"value\": 2}}", p));
    assert_true(cond("{\"key\": \"l[][]\", \"match\": {\"value\": 3}}", p));
    assert_false(cond("{\"key\": \"a[].b\", \"match\": {\"value\": 1}}", p)); /* a is no array */
}

static void
nested_conditions_meet_in_one_element(void **state)
{
    const char *p = "{\"o\": [{\"k\": \"x\", \"n\": 1}, {\"k\": \"y\", \"n\": 2}, 7]}";

    (void)state;
    assert_true(cond("{\"nested\": {\"key\": \"o\", \"filter\": {\"must\": [{\"key\": \"k\", "
                     "\"match\": {\"value\": \"x\"}}, {\"key\": \"n\", \"match\": {\"value\": "
                     "1}}]}}}",
                     p));
    assert_false(cond("{\"nested\": {\"key\": \"o[]\", \"filter\": {\"must\": [{\"key\": \"k\", "
                      "\"match\": {\"value\": \"x\"}}, {\"key\": \"n\", \"match\": {\"value\": "
                      "2}}]}}}",
                      p));
    assert_true(cond("{\"nested\": {\"key\": \"o\", \"filter\": {\"must_not\": {\"key\": \"k\", "
                     "\"match\": {\"value\": \"x\"}}}}}",
                     p));
    assert_false(cond("{\"nested\": {\"key\": \"o\", \"filter\": {}}}", "{\"o\": [1, 2]}"));
    assert_false(cond("{\"nested\": {\"key\": \"o\", \"filter\": {}}}", "{\"o\": {\"k\": 1}}"));
    assert_true(
        cond("{\"nested\": {\"key\": \"o\", \"filter\": {\"must\": {\"is_empty\": {\"key\": "
             "\"z\"}}}}}",
             p));
}

static void
clauses_combine(void **state)
{
    const char *one = "{\"key\": \"a\", \"match\": {\"value\": 1}}";
    const char *two = "{\"key\": \"b\", \"match\": {\"value\": 2}}";
    char text[1024];

    (void)state;
    assert_true(holds("{}", ""));
    assert_true(holds("{\"should\": [], \"must\": [], \"must_not\": []}", "{\"a\": 1}"));
    snprintf(text, sizeof text, "{\"must\": [%s, %s]}", one, two);
    assert_true(holds(text, "{\"a\": 1, \"b\": 2}"));
    assert_false(holds(text, "{\"a\": 1}"));
    snprintf(text, sizeof text, "{\"should\": [%s, %s]}", one, two);
    assert_true(holds(text, "{\"b\": 2}"));
    assert_false(holds(text, "{}"));
    snprintf(text, sizeof text, "{\"must_not\": [%s, %s]}", one, two);
    assert_false(holds(text, "{\"b\": 2}"));
    assert_true(holds(text, "{\"b\": 1}"));
    snprintf(text, sizeof text, "{\"must\": %s, \"must_not\": {\"must\": %s}}", one, two);
    assert_true(holds(text, "{\"a\": 1}"));
    assert_false(holds(text, "{\"a\": 1, \"b\": 2}"));
    snprintf(text, sizeof text,
             "{\"min_should\": {\"conditions\": [%s, %s, {\"has_id\": [7]}], \"min_count\": 2}}",
             one, two);
    assert_true(holds(text, "{\"a\": 1}"));
    assert_false(holds(text, "{}"));
    assert_true(holds("{\"min_should\": {\"conditions\": [], \"min_count\": 0}}", "{}"));
    assert_false(holds("{\"min_should\": {\"conditions\": [], \"min_count\": 1}}", "{}"));
}

static void
ids_are_found_by_kind(void **state)
{
    (void)state;
    assert_true(cond("{\"has_id\": [3, 7, 9]}", ""));
    assert_false(cond("{\"has_id\": [3, 9, \"x\"]}", ""));
    assert_false(cond("{\"has_id\": []}", ""));
    assert_false(cond("{\"has_id\": [\"67e55044-10b1-426f-9247-bb680e5fe0c8\"]}", ""));
}

static void
areas(void **state)
{
    const char *berlin = "{\"a\": {\"lon\": 13.404954, \"lat\": 52.520008}}";
    const char *box =
        "{\"key\": \"a\", \"geo_bounding_box\": {\"top_left\": {\"lon\": 13, \"lat\": "
        "53}, \"bottom_right\": {\"lon\": 14, \"lat\": 52}}}";
    const char *date_line = "{\"key\": \"a\", \"geo_bounding_box\": {\"top_left\": {\"lon\": 170, "
                            "\"lat\": 10}, \"bottom_right\": {\"lon\": -170, \"lat\": -10}}}";
    const char *circle = "{\"key\": \"a\", \"geo_radius\": {\"center\": {\"lon\": 13.4, \"lat\": "
                         "52.5}, \"radius\": 2500}}";
    const char *square = "{\"key\": \"a\", \"geo_polygon\": {\"exterior\": {\"points\": [{\"lon\": "
                         "0, \"lat\": 0}, {\"lon\": 4, \"lat\": 0}, {\"lon\": 4, \"lat\": 4}, "
                         "{\"lon\": 0, \"lat\": 4}, {\"lon\": 0, \"lat\": 0}]}, \"interiors\": "
                         "[{\"points\": [{\"lon\": 1, \"lat\": 1}, {\"lon\": 3, \"lat\": 1}, "
                         "{\"lon\": 3, \"lat\": 3}, {\"lon\": 1, \"lat\": 1}]}]}}";

    (void)state;
    assert_true(cond(box, berlin));
    assert_false(cond(box, "{\"a\": {\"lon\": 13, \"lat\": 52.5}}")); /* on the border */
    assert_false(cond(box, "{\"a\": {\"lon\": \"13.5\", \"lat\": 52.5}}"));
    assert_false(cond(box, "{\"a\": \"13.5,52.5\"}"));
    assert_true(cond(box, "{\"a\": [{\"lon\": 0, \"lat\": 0}, {\"lon\": 13.5, \"lat\": 52.5}]}"));
    assert_true(cond(date_line, "{\"a\": {\"lon\": 179, \"lat\": 0}}"));
    assert_true(cond(date_line, "{\"a\": {\"lon\": -179, \"lat\": 0}}"));
    assert_false(cond(date_line, "{\"a\": {\"lon\": 0, \"lat\": 0}}"));
    assert_true(cond(circle, berlin)); /* 2,250 m */
    assert_false(cond(circle, "{\"a\": {\"lon\": 13.45, \"lat\": 52.5}}"));
    assert_true(cond(square, "{\"a\": {\"lon\": 0.5, \"lat\": 2}}"));
    assert_false(cond(square, "{\"a\": {\"lon\": 2.5, \"lat\": 1.5}}")); /* in the hole */
    assert_true(cond(square, "{\"a\": {\"lon\": 1.5, \"lat\": 2.5}}"));
    assert_false(cond(square, "{\"a\": {\"lon\": 4, \"lat\": 2}}"));
    assert_false(cond(square, "{\"a\": {\"lon\": 2, \"lat\": 2}}")); /* on the hole's border */
}

/* Every point of a cell agrees with the cell's relation, for random areas and cells of any size. */
static void
cells_bound_areas(void **state)
{
    hwi_rng rng;
    hwi_geo_point ring[4];
    hwi_geo_ring rings = {ring, 4};

    (void)state;
    hwi_rng_init(&rng, 5);
    for (int round = 0; round < 3000; round++) {
        double lon = hwi_rng_unit(&rng) * 340 - 170, lat = hwi_rng_unit(&rng) * 160 - 80;
        double size = hwi_rng_unit(&rng) * hwi_rng_unit(&rng) * 10;
        hwi_geo_area a = {.kind = (hwi_geo_kind)(round % 3), .rings = &rings, .ring_count = 1};
        a.top_left = (hwi_geo_point){lon - size, lat + size};
        a.bottom_right = (hwi_geo_point){lon + size, lat - size};
        a.center = (hwi_geo_point){lon, lat};
        a.radius_m = size * 111000;
        ring[0] = ring[3] = (hwi_geo_point){lon - size, lat};
        ring[1] = (hwi_geo_point){lon + size, lat - size};
        ring[2] = (hwi_geo_point){lon, lat + size};
        unsigned level = (unsigned)hwi_rng_below(&rng, 24);
        for (int i = 0; i < 40; i++) {
            hwi_geo_point p = {lon + hwi_rng_normal(&rng) * size,
                               lat + hwi_rng_normal(&rng) * size};
            if (!hwi_geo_on_globe(p)) continue;
            uint64_t mask = level == 0 ? 0 : ~(uint64_t)0 << (64 - 2 * level);
            hwi_geo_relation r = hwi_geo_cell(&a, hwi_geo_code(p) & mask, level);
            bool inside = hwi_geo_contains(&a, p);
            assert_false(inside && r == HWI_GEO_OUT);
            assert_false(!inside && r == HWI_GEO_IN);
        }
    }
}

static void
damaged_payloads_are_reported(void **state)
{
    hw_error err;
    hwi_arena arena = {0};
    const hwi_filter *f;
    bool matches;

    (void)state;
    assert_int_equal(hwi_filter_parse("{}", 2, &arena, &f, &err), HW_OK);
    assert_int_equal(hwi_filter_matches(f, NULL, hwi_bytes("{\"a\"", 4), &matches, &err),
                     HW_ECORRUPT);
    assert_non_null(strstr(err.message, "stored payload: malformed JSON"));
    hwi_arena_release(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_compares_by_type),
        cmocka_unit_test(integers_are_exact_at_the_edges),
        cmocka_unit_test(an_array_holds_if_any_element_does),
        cmocka_unit_test(any_and_except_take_lists),
        cmocka_unit_test(prefix_compares_bytes),
        cmocka_unit_test(text_is_compared_by_words),
        cmocka_unit_test(words_of_other_scripts),
        cmocka_unit_test(words_survive_any_bytes),
        cmocka_unit_test(range_compares_numbers_exactly),
        cmocka_unit_test(range_compares_dates),
        cmocka_unit_test(dates_are_read_strictly),
        cmocka_unit_test(empty_and_null),
        cmocka_unit_test(values_are_counted),
        cmocka_unit_test(paths_lead_into_objects_and_arrays),
        cmocka_unit_test(nested_conditions_meet_in_one_element),
        cmocka_unit_test(clauses_combine),
        cmocka_unit_test(ids_are_found_by_kind),
        cmocka_unit_test(areas),
        cmocka_unit_test(cells_bound_areas),
        cmocka_unit_test(damaged_payloads_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
