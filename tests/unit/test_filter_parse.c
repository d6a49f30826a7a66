/* What the filter parser accepts, and what it says of what it refuses. */
#include "support/hwt.h"

#include "payload/filter.h"
#include "payload/path.h"

static hw_status
parse(const char *json, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_filter *filter;
    *err = (hw_error){0};
    hw_status st = hwi_filter_parse(json, strlen(json), &arena, &filter, err);
    assert_true((st == HW_OK) == (filter != NULL));
    hwi_arena_release(&arena);
    return st;
}

static void
accepts(const char *json)
{
    hw_error err;
    if (parse(json, &err) != HW_OK) fail_msg("%s: %s", json, err.message);
}

static void
refuses(const char *json, const char *message)
{
    hw_error err;
    hw_status st = parse(json, &err);
    if (st != HW_EINVAL) fail_msg("%s gives %s", json, hw_status_text(st));
    if (strcmp(err.message, message) != 0)
        fail_msg("%s\n  says     %s\n  expected %s", json, err.message, message);
}

static void
every_clause_takes_one_condition_a_list_or_null(void **state)
{
    (void)state;
    accepts("{}");
    accepts("{\"must\": null, \"should\": [], \"must_not\": []}");
    accepts("{\"must\": {\"key\": \"a\", \"match\": {\"value\": 1}}}");
    accepts("{\"should\": [{\"key\": \"a\", \"match\": {\"value\": \"x\"}, \"range\": null}]}");
    accepts("{\"must_not\": {\"should\": [{\"must\": []}]}}");
    accepts("{\"must\": {}}");
    accepts("{\"min_should\": {\"conditions\": [{\"has_id\": [1, \"a\", "
            "\"67e55044-10b1-426f-9247-bb680e5fe0c8\"]}], \"min_count\": 1}}");
}

static void
every_condition_is_accepted(void **state)
{
    (void)state;
    accepts("{\"must\": {\"key\": \"a\", \"match\": {\"any\": [1, \"b\", true]}}}");
    accepts("{\"must\": {\"key\": \"a\", \"match\": {\"except\": []}}}");
    accepts("{\"must\": {\"key\": \"a\", \"match\": {\"text\": \"one two\"}}}");
    accepts("{\"must\": {\"key\": \"a\", \"match\": {\"text_any\": \"one two\"}}}");
    accepts("{\"must\": {\"key\": \"a\", \"match\": {\"phrase\": \"one two\"}}}");
    accepts("{\"must\": {\"key\": \"a\", \"match\": {\"prefix\": \"on\"}}}");
    accepts("{\"must\": {\"key\": \"a\", \"range\": {\"gt\": 1, \"lte\": 2.5, \"lt\": null}}}");
    accepts("{\"must\": {\"key\": \"a\", \"range\": {\"gt\": \"2024-01-01\", \"lt\": "
            "\"2024-01-01T00:00:00.5+02:00\"}}}");
    accepts("{\"must\": {\"key\": \"a\", \"range\": {}}}");
    accepts("{\"must\": {\"key\": \"a\", \"values_count\": {\"gte\": 1}}}");
    accepts("{\"must\": {\"key\": \"a\", \"is_empty\": true}}");
    accepts("{\"must\": {\"key\": \"a\", \"is_null\": false}}");
    accepts("{\"must\": {\"is_empty\": {\"key\": \"a\"}}}");
    accepts("{\"must\": {\"is_null\": {\"key\": \"a\"}}}");
    accepts("{\"must\": {\"nested\": {\"key\": \"a\", \"filter\": {\"must\": []}}}}");
    accepts("{\"must\": {\"key\": \"a\", \"geo_radius\": {\"center\": {\"lon\": 1, \"lat\": 2}, "
            "\"radius\": 10.5}}}");
    accepts(
        "{\"must\": {\"key\": \"a\", \"geo_bounding_box\": {\"top_left\": {\"lon\": 1, \"lat\": "
        "2}, \"bottom_right\": {\"lon\": 2, \"lat\": 1}}}}");
    accepts(
        "{\"must\": {\"key\": \"a\", \"geo_polygon\": {\"exterior\": {\"points\": [{\"lon\": 0, "
        "\"lat\": 0}, {\"lon\": 1, \"lat\": 0}, {\"lon\": 1, \"lat\": 1}, {\"lon\": 0, \"lat\": "
        "0}]}, \"interiors\": []}}}");
}

static void
messages_name_the_place(void **state)
{
    (void)state;
    refuses("{\"must\": [{}, {\"key\": \"a\", \"range\": {\"gte\": true}}]}",
            "filter.must[1].range.gte: expected a number or a date, found true");
    refuses("{\"must\": {\"key\": \"a\", \"range\": {\"gt\": 1, \"gte\": \"x\"}}}",
            "filter.must.range.gte: expected a number, found \"x\"");
    refuses("{\"must\": {\"key\": \"a\", \"range\": {\"gt\": \"yesterday\"}}}",
            "filter.must.range.gt: expected an RFC 3339 date, found \"yesterday\"");
    refuses("{\"should\": 3}",
            "filter.should: expected a condition or a list of conditions, found 3");
    refuses("[]", "filter: expected an object, found a list");
    refuses("{\"must\": [null]}", "filter.must[0]: expected an object, found null");
    refuses("{\"must\": {\"key\": 7, \"match\": {\"value\": 1}}}",
            "filter.must.key: expected a path, found 7");
    refuses("{\"must\": {\"key\": \"a..b\", \"match\": {\"value\": 1}}}",
            "filter.must.key: path `a..b`: expected a key at byte 2");
    refuses("{\"must\": {\"key\": \"a\", \"match\": {\"value\": 1.5}}}",
            "filter.must.match.value: expected a string, an integer or a boolean, found 1.5");
    refuses(
        "{\"must\": {\"key\": \"a\", \"match\": {\"any\": [1, {}]}}}",
        "filter.must.match.any[1]: expected a string, an integer or a boolean, found an object");
    refuses("{\"must\": {\"key\": \"a\", \"match\": {\"any\": 1}}}",
            "filter.must.match.any: expected a list, found 1");
    refuses("{\"must\": {\"key\": \"a\", \"match\": {\"text\": 1}}}",
            "filter.must.match.text: expected a string, found 1");
    refuses("{\"must\": {\"has_id\": 4}}", "filter.must.has_id: expected a list of ids, found 4");
    refuses("{\"must\": {\"has_id\": [true]}}",
            "filter.must.has_id[0]: expected an id, found true");
    refuses("{\"must\": {\"key\": \"a\", \"values_count\": {\"gt\": -1}}}",
            "filter.must.values_count.gt: expected a non-negative integer, found -1");
    refuses("{\"must\": {\"key\": \"a\", \"is_empty\": 1}}",
            "filter.must.is_empty: expected true or false, found 1");
    refuses("{\"min_should\": {\"conditions\": [], \"min_count\": -1}}",
            "filter.min_should.min_count: expected a non-negative integer, found -1");
    refuses("{\"must\": {\"nested\": {\"key\": \"a\", \"filter\": {\"must\": {\"has_id\": [1]}}}}}",
            "filter.must.nested.filter.must.has_id: is not possible inside `nested`");
    refuses("{\"must\": {\"key\": \"g\", \"geo_radius\": {\"center\": {\"lon\": 181, \"lat\": 0}, "
            "\"radius\": 1}}}",
            "filter.must.geo_radius.center.lon: 181 is outside -180 .. 180");
    refuses("{\"must\": {\"key\": \"g\", \"geo_radius\": {\"center\": {\"lon\": 1, \"lat\": 0}, "
            "\"radius\": -1}}}",
            "filter.must.geo_radius.radius: expected a number of metres, 0 or more, found -1");
    refuses(
        "{\"must\": {\"key\": \"g\", \"geo_polygon\": {\"exterior\": {\"points\": [{\"lon\": 1, "
        "\"lat\": 0}]}}}}",
        "filter.must.geo_polygon.exterior.points: a ring of 1 points is below the minimum 4");
}

static void
misspelt_keys_are_told_the_nearest(void **state)
{
    (void)state;
    refuses("{\"mustt\": []}", "filter: unknown key `mustt`, did you mean `must`?");
    refuses("{\"must\": {\"key\": \"a\", \"mach\": {}}}",
            "filter.must: unknown key `mach`, did you mean `match`?");
    refuses("{\"must\": {\"key\": \"a\", \"match\": {\"vaule\": 1}}}",
            "filter.must.match: unknown key `vaule`, did you mean `value`?");
    refuses("{\"must\": {\"key\": \"a\", \"range\": {\"from\": 1}}}",
            "filter.must.range: unknown key `from`, expected one of: gt, gte, lt, lte");
}

static void
a_condition_tests_one_thing(void **state)
{
    (void)state;
    refuses("{\"must\": {\"key\": \"a\", \"match\": {\"value\": 1}, \"range\": {}}}",
            "filter.must: `match` and `range` need a condition each");
    refuses("{\"must\": {\"key\": \"a\", \"has_id\": [1]}}",
            "filter.must: `key` and `has_id` need a condition each");
    refuses("{\"must\": {\"has_id\": [1], \"must\": []}}",
            "filter.must: `has_id` and `must` need a condition each");
    refuses("{\"must\": {\"key\": \"a\", \"match\": {\"value\": 1, \"any\": []}}}",
            "filter.must.match: `value` and `any` need a condition each");
    refuses("{\"must\": {\"key\": \"a\", \"match\": {}}}",
            "filter.must.match: expected value, any, except, text, text_any, phrase or prefix");
    refuses("{\"must\": {\"match\": {\"value\": 1}}}",
            "filter.must.match: needs a `key` beside it");
    refuses("{\"must\": {\"key\": \"a\"}}",
            "filter.must: `key` needs a test beside it: match, range, values_count, is_empty, "
            "is_null or geo_...");
}

static void
malformed_json_is_told_by_byte(void **state)
{
    hw_error err;
    (void)state;
    assert_int_equal(parse("{\"must\": [}", &err), HW_EINVAL);
    assert_non_null(strstr(err.message, "filter: malformed JSON at byte 10"));
    assert_int_equal(parse("", &err), HW_EINVAL);
    assert_int_equal(parse("{} x", &err), HW_EINVAL);
}

static void
limits_are_named(void **state)
{
    hw_error err;
    hwi_buf b = {0};

    (void)state;
    hwi_buf_fill(&b, ' ', HW_FILTER_MAX + 1);
    hwi_arena arena = {0};
    const hwi_filter *filter;
    assert_int_equal(hwi_filter_parse((char *)b.data, b.size, &arena, &filter, &err), HW_ELIMIT);
    assert_string_equal(err.message, "filter of 1048577 bytes is above the maximum 1048576");
    hwi_buf_clear(&b);
    hwi_buf_text(&b, "{\"must\": {\"key\": \"a\", \"match\": {\"text\": \"");
    for (int i = 0; i < 257; i++) hwi_buf_text(&b, "w ");
    hwi_buf_text(&b, "\"}}}");
    assert_int_equal(hwi_filter_parse((char *)b.data, b.size, &arena, &filter, &err), HW_EINVAL);
    assert_string_equal(err.message, "filter.must.match.text: text has more than 256 words");
    hwi_arena_release(&arena);
    hwi_buf_release(&b);
    assert_int_equal(parse("{\"must\": {\"has_vector\": \"a\"}}", &err), HW_OK);
}

/* The nth allocation fails, for every n until none does. */
static void
out_of_memory_is_reported(void **state)
{
    const char *json =
        "{\"must\": [{\"key\": \"a[].b\", \"match\": {\"any\": [1, \"x\"]}}, {\"nested\": "
        "{\"key\": \"c\", \"filter\": {\"must\": {\"key\": \"d\", \"match\": "
        "{\"phrase\": \"a b\"}}}}}]}";
    hw_status st = HW_ENOMEM;

    (void)state;
    for (uint64_t n = 1; st != HW_OK; n++) {
        hw_error err;
        (void)hwi_alloc_fail_at(n);
        st = parse(json, &err);
        (void)hwi_alloc_fail_at(0);
        if (st != HW_OK) assert_int_equal(st, HW_ENOMEM);
        assert_true(n < 1000);
    }
}

static const char *
canonical(const char *text, hwi_arena *arena)
{
    hw_error err;
    const hwi_path *path;
    if (hwi_path_parse(text, strlen(text), arena, &path, &err) != HW_OK) return NULL;
    return path->text;
}

static void
paths_have_one_spelling(void **state)
{
    hwi_arena a = {0};

    (void)state;
    assert_string_equal(canonical("a.b", &a), "a.b");
    assert_string_equal(canonical("\"a\".\"b\"", &a), "a.b");
    assert_string_equal(canonical("\"a.b\".c", &a), "\"a.b\".c");
    assert_string_equal(canonical("a[].b[003]", &a), "a[].b[3]");
    assert_string_equal(canonical("\"\"", &a), "\"\"");
    assert_string_equal(canonical("gr\xc3\xbcn-1_x y", &a), "gr\xc3\xbcn-1_x y");
    static const char *const wrong[] = {"",    ".a",  "a.",  "a[",     "a[x]", "a]",
                                        "a[1", "[0]", "\"a", "a\"b\"", "a[]b", "a[99999999999]"};
    for (size_t i = 0; i < HWI_COUNT(wrong); i++) assert_null(canonical(wrong[i], &a));
    hwi_arena_release(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_clause_takes_one_condition_a_list_or_null),
        cmocka_unit_test(every_condition_is_accepted),
        cmocka_unit_test(messages_name_the_place),
        cmocka_unit_test(misspelt_keys_are_told_the_nearest),
        cmocka_unit_test(a_condition_tests_one_thing),
        cmocka_unit_test(malformed_json_is_told_by_byte),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(out_of_memory_is_reported),
        cmocka_unit_test(paths_have_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
