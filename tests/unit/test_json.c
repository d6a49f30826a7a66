/* JSON in and out. */
#include "support/hwt.h"

#include <math.h>
#include <stdio.h>

#include "base/json_shim.h"

typedef struct fixture {
    hwi_arena arena;
    hwi_buf out;
    hw_error err;
} fixture;

static int
setup(void **state)
{
    *state = hwi_alloc_zero(sizeof(fixture));
    return *state ? 0 : -1;
}

static int
teardown(void **state)
{
    fixture *f = *state;
    hwi_arena_release(&f->arena);
    hwi_buf_release(&f->out);
    hwi_free(f);
    return 0;
}

static const hwi_json *
parse(fixture *f, const char *text)
{
    const hwi_json *root;
    hw_status st = hwi_json_parse(text, strlen(text), &f->arena, &root, &f->err);
    if (st != HW_OK) print_message("%s: %s\n", text, f->err.message);
    assert_int_equal(st, HW_OK);
    return root;
}

static const char *
rewritten(fixture *f, const char *text)
{
    hwi_buf_clear(&f->out);
    hwi_json_write(&f->out, parse(f, text));
    hwi_buf_fill(&f->out, 0, 1);
    assert_false(f->out.failed);
    return (const char *)f->out.data;
}

static void
values_of_every_kind_come_back_compact(void **state)
{
    static const char *const same[] = {"null",
                                       "true",
                                       "false",
                                       "0",
                                       "-7",
                                       "1.5",
                                       "1.0",
                                       "\"\"",
                                       "[]",
                                       "{}",
                                       "[[],{}]",
                                       "{\"a\":1,\"b\":[true,null,\"x\"],\"a\":{\"c\":-0.25}}",
                                       "\"\xC3\xA9\xF0\x9F\x98\x80\"",
                                       "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\"",
                                       "1e+300",
                                       "5e-324",
                                       "0.1"};
    for (size_t i = 0; i < HWI_COUNT(same); i++)
        assert_string_equal(rewritten(*state, same[i]), same[i]);
    assert_string_equal(rewritten(*state, " [ 1 , \"\\u00e9\\ud83d\\ude00\\/\" ] "),
                        "[1,\"\xC3\xA9\xF0\x9F\x98\x80/\"]");
}

static void
integers_of_64_bits_are_exact_and_larger_ones_doubles(void **state)
{
    fixture *f = *state;
    const hwi_json *j = parse(f, "18446744073709551615");
    assert_int_equal(j->kind, HWI_JSON_UINT);
    assert_true((uint64_t)j->integer == UINT64_MAX);
    assert_string_equal(rewritten(f, "18446744073709551615"), "18446744073709551615");
    j = parse(f, "-9223372036854775808");
    assert_int_equal(j->kind, HWI_JSON_INT);
    assert_true(j->integer == INT64_MIN);
    j = parse(f, "9007199254740993");
    assert_int_equal(j->kind, HWI_JSON_INT);
    assert_true(j->integer == 9007199254740993);
    assert_int_equal(parse(f, "9223372036854775808")->kind, HWI_JSON_UINT);

    static const char *const beyond[] = {"18446744073709551616", "-9223372036854775809",
                                         "[123456789012345678901234567890]"};
    for (size_t i = 0; i < HWI_COUNT(beyond); i++) {
        j = parse(f, beyond[i]);
        if (j->child) j = j->child;
        assert_int_equal(j->kind, HWI_JSON_DOUBLE);
        assert_true(fabs(j->number) > 9e18);
    }
}

/* Kind, value and order of every number survive, and the first is a child as in any array. */
static void
arrays_of_numbers_may_be_packed(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *text;
        bool is_packed;
    } cases[] = {{"[1,2.5,-3,18446744073709551615,0.0,1.0]", true},
                 {"[0,0,0,0]", true},
                 {"[1,2,3]", false},
                 {"[1,2,3,null]", false},
                 {"[1,2,3,123456789012345678901]", false},
                 {"[]", false}};
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        const hwi_json *plain = parse(f, cases[i].text), *packed, *v, *p;
        hwi_json_items items;
        hwi_buf b = {0};
        assert_int_equal(HW_OK, hwi_json_parse_packed(cases[i].text, strlen(cases[i].text),
                                                      &f->arena, &packed, &f->err));
        assert_int_equal(cases[i].is_packed, packed->is_packed);
        assert_int_equal(plain->count, packed->count);
        v = plain->child;
        for (p = hwi_json_first(&items, packed); p; p = hwi_json_next(&items), v = v->next) {
            assert_int_equal(v->kind, p->kind);
            assert_true(v->integer == p->integer);
            assert_true(v->number == p->number);
        }
        assert_null(v);
        if (plain->child) assert_int_equal(plain->child->kind, packed->child->kind);
        hwi_json_write(&b, packed);
        hwi_buf_add(&b, "", 1);
        assert_string_equal(rewritten(f, cases[i].text), (char *)b.data);
        hwi_buf_release(&b);
    }
    const hwi_json *packed;
    hwi_json_items items;
    assert_null(hwi_json_first(&items, NULL));
    assert_int_equal(HW_OK, hwi_json_parse_packed("{\"a\":[[1,2,3,4],[5,6,7,8]]}", 27, &f->arena,
                                                  &packed, &f->err));
    assert_true(hwi_json_member(packed, "a")->child->next->is_packed);
}

static void
tiny_numbers_become_zero_and_huge_ones_are_refused(void **state)
{
    fixture *f = *state;
    static const char *const zero[] = {"1e-400", "-1e-99999999999", "0e999", "0.000e400",
                                       "0.0000000001e-330"};
    for (size_t i = 0; i < HWI_COUNT(zero); i++) assert_true(parse(f, zero[i])->number == 0);

    static const char *const huge[] = {"1e400", "-1e309", "1e99999999999999999999",
                                       "1000000000000000000000000000000e300"};
    for (size_t i = 0; i < HWI_COUNT(huge); i++) {
        const hwi_json *root;
        assert_int_equal(hwi_json_parse(huge[i], strlen(huge[i]), &f->arena, &root, &f->err),
                         HW_EINVAL);
        assert_null(root);
        assert_string_equal(f->err.message,
                            "malformed JSON at byte 0: the number is beyond the range of a double");
    }
}

static void
an_error_names_its_position_and_reason(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "0: the text ends too early"},
        {"  ", "2: the text ends too early"},
        {"{\"a\": tru}", "9: expected true, false or null"},
        {"[1,2,]", "5: expected a value"},
        {"[1 2]", "3: expected ',' or ']'"},
        {"{\"a\":1,}", "7: expected a key in quotes"},
        {"{\"a\" 1}", "5: expected ':' after a key"},
        {"{\"a\":1]", "6: expected ',' or '}'"},
        {"{a:1}", "1: expected a key in quotes"},
        {"[1] x", "4: expected nothing after the value"},
        {"[01]", "1: not a number"},
        {"[1.]", "1: not a number"},
        {"[-]", "1: not a number"},
        {"[+1]", "1: expected a value"},
        {"[.5]", "1: expected a value"},
        {"[NaN]", "1: expected a value"},
        {"\"abc", "4: the text ends too early"},
        {"\"abc\\", "5: the text ends too early"},
        {"\"a\nb\"", "2: a control character must be escaped"},
        {"\"\\x\"", "2: unknown escape"},
        {"\"\\u12g4\"", "5: expected four hexadecimal digits"},
        {"\"\\ud800\"", "1: a surrogate stands alone"},
        {"\"\\udc00\"", "1: a surrogate stands alone"},
        {"\"\\ud800\\u0041\"", "1: a surrogate stands alone"},
        {"[\"a\xFF\"]", "3: not UTF-8"},
        {"[\"\xED\xA0\x80\"]", "2: not UTF-8"},
        {"\xEF\xBB\xBF{}", "0: expected a value"},
        {"'a'", "0: expected a value"},
    };
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        const hwi_json *root;
        char expected[128];
        snprintf(expected, sizeof expected, "malformed JSON at byte %s", cases[i].message);
        assert_int_equal(
            hwi_json_parse(cases[i].text, strlen(cases[i].text), &f->arena, &root, &f->err),
            HW_EINVAL);
        assert_string_equal(f->err.message, expected);
    }
    const hwi_json *root;
    assert_int_equal(hwi_json_parse("[\"\0\"]", 5, &f->arena, &root, NULL), HW_EINVAL);
}

static void
nesting_is_bounded(void **state)
{
    fixture *f = *state;
    char text[300];
    for (size_t depth = HWI_JSON_DEPTH_MAX - 1; depth <= HWI_JSON_DEPTH_MAX + 3; depth++) {
        const hwi_json *root;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        hw_status st = hwi_json_parse(text, 2 * depth, &f->arena, &root, &f->err);
        if (depth <= HWI_JSON_DEPTH_MAX) {
            assert_int_equal(st, HW_OK);
        } else {
            assert_int_equal(st, HW_EINVAL);
            assert_string_equal(f->err.message,
                                "malformed JSON at byte 64: nested deeper than the maximum 64");
        }
    }
}

static void
members_are_found_and_the_last_of_a_repeated_key_wins(void **state)
{
    const hwi_json *o = parse(*state, "{\"a\":1,\"b\":2,\"a\":3,\"\":4,\"x\\u0000y\":5}");
    assert_int_equal(o->count, 5);
    assert_int_equal(hwi_json_member(o, "a")->integer, 3);
    assert_int_equal(hwi_json_member(o, "")->integer, 4);
    assert_null(hwi_json_member(o, "x"));
    assert_null(hwi_json_member(o->child, "a"));
    assert_null(hwi_json_member(NULL, "a"));
}

static void
every_failing_allocation_is_reported(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"a\":[1,2,{\"b\":\"some text\"}]}",
                                        "{\"a\":[123456789012345678901234567890,\"t\"]}"};
    for (size_t i = 0; i < HWI_COUNT(texts); i++) {
        hw_status st = HW_ENOMEM;
        for (uint64_t nth = 1; st != HW_OK; nth++) {
            hwi_arena arena = {0};
            const hwi_json *root;
            hwi_alloc_fail_at(nth);
            st = hwi_json_parse(texts[i], strlen(texts[i]), &arena, &root, NULL);
            hwi_alloc_fail_at(0);
            assert_true(st == HW_OK || st == HW_ENOMEM);
            assert_int_equal(st == HW_OK, root != NULL);
            hwi_arena_release(&arena);
        }
    }
}

/* Random bit patterns print as text that reads back as the same bits. */
static void
floats_and_doubles_round_trip_in_shortest_form(void **state)
{
    fixture *f = *state;
    hwi_rng rng;
    hwi_rng_init(&rng, 5);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = hwi_rng_next(&rng);
        double d;
        float s = hwi_get_f32(&bits), back;
        size_t count;
        memcpy(&d, &bits, sizeof d);
        if (isfinite(d)) {
            hwi_buf_clear(&f->out);
            hwi_json_write_f64(&f->out, d);
            hwi_buf_fill(&f->out, 0, 1);
            assert_true(parse(f, (char *)f->out.data)->number == d);
        }
        if (isfinite(s)) {
            hwi_buf_clear(&f->out);
            hwi_buf_text(&f->out, "[");
            hwi_json_write_f32(&f->out, s);
            hwi_buf_text(&f->out, "]");
            assert_int_equal(
                hwi_json_floats((char *)f->out.data, f->out.size, &back, 1, &count, NULL), HW_OK);
            assert_memory_equal(&back, &s, sizeof s);
        }
        hwi_arena_release(&f->arena);
    }
    hwi_buf_clear(&f->out);
    hwi_json_write_f32(&f->out, 0.1f);
    hwi_buf_text(&f->out, " ");
    hwi_json_write_f32(&f->out, 3.0f);
    hwi_buf_text(&f->out, " ");
    hwi_json_write_f32(&f->out, INFINITY);
    hwi_buf_text(&f->out, " ");
    hwi_json_write_f64(&f->out, NAN);
    hwi_buf_fill(&f->out, 0, 1);
    assert_string_equal((char *)f->out.data, "0.1 3 null null");
}

static void
malformed_utf8_is_written_as_the_replacement_character(void **state)
{
    fixture *f = *state;
    hwi_json_write_text(&f->out, "a\xFF\xC3(\x80", 5);
    hwi_buf_fill(&f->out, 0, 1);
    assert_string_equal((char *)f->out.data, "\"a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\"");
}

static void
vectors_are_read_straight_from_text(void **state)
{
    fixture *f = *state;
    float v[3];
    size_t count;
    const char *text = " [ 1, -2.5e1 ,3 ] ";
    assert_int_equal(hwi_json_floats(text, strlen(text), v, 3, &count, &f->err), HW_OK);
    assert_int_equal(count, 3);
    assert_true(v[0] == 1 && v[1] == -25 && v[2] == 3);
    assert_int_equal(hwi_json_floats("[]", 2, v, 3, &count, &f->err), HW_OK);
    assert_int_equal(count, 0);

    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[1,2,3,4]", "vector has 4 values, expected 3"},
        {"", "malformed vector at byte 0: the text ends too early"},
        {"{}", "malformed vector at byte 0: expected '['"},
        {"[1,]", "malformed vector at byte 3: expected a number"},
        {"[1 2]", "malformed vector at byte 3: expected ',' or ']'"},
        {"[1,[2]]", "malformed vector at byte 3: expected a number"},
        {"[1,null]", "malformed vector at byte 3: expected a number"},
        {"[1,2", "malformed vector at byte 4: the text ends too early"},
        {"[1]]", "malformed vector at byte 3: expected nothing after ']'"},
        {"[1e39]", "malformed vector at byte 1: the number is beyond the range of a float"},
        {"[3.4028236e38]", "malformed vector at byte 1: the number is beyond the range of a float"},
        {"[-1e999]", "malformed vector at byte 1: the number is beyond the range of a float"},
    };
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        assert_int_equal(
            hwi_json_floats(cases[i].text, strlen(cases[i].text), v, 3, &count, &f->err),
            HW_EINVAL);
        assert_string_equal(f->err.message, cases[i].message);
    }
    assert_int_equal(hwi_json_floats("[3.4028235e38]", 14, v, 3, &count, &f->err), HW_OK);
}

static void
ids_keep_their_kind_through_json(void **state)
{
    fixture *f = *state;
    static const char *const same[] = {"7", "\"7\"", "18446744073709551615", "\"photo \\\"1\\\"\"",
                                       "\"123e4567-e89b-12d3-a456-426614174000\""};
    static const hw_id_kind kinds[] = {HW_ID_KIND_U64, HW_ID_KIND_TEXT, HW_ID_KIND_U64,
                                       HW_ID_KIND_TEXT, HW_ID_KIND_UUID};
    for (size_t i = 0; i < HWI_COUNT(same); i++) {
        hw_id id;
        assert_int_equal(hwi_json_id(parse(f, same[i]), &id, &f->err), HW_OK);
        assert_int_equal(id.kind, kinds[i]);
        hwi_buf_clear(&f->out);
        hwi_json_write_id(&f->out, &id);
        hwi_buf_fill(&f->out, 0, 1);
        assert_string_equal((char *)f->out.data, same[i]);
    }
    static const char *const refused[] = {"-1",   "1.0",  "1e3", "18446744073709551616",
                                          "\"\"", "null", "[1]", "true"};
    for (size_t i = 0; i < HWI_COUNT(refused); i++) {
        hw_id id;
        assert_int_equal(hwi_json_id(parse(f, refused[i]), &id, &f->err), HW_EINVAL);
    }
    hw_id id;
    assert_int_equal(hwi_json_id(NULL, &id, &f->err), HW_EINVAL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_kind_come_back_compact),
        TEST(integers_of_64_bits_are_exact_and_larger_ones_doubles),
        TEST(arrays_of_numbers_may_be_packed),
        TEST(tiny_numbers_become_zero_and_huge_ones_are_refused),
        TEST(an_error_names_its_position_and_reason),
        TEST(nesting_is_bounded),
        TEST(members_are_found_and_the_last_of_a_repeated_key_wins),
        TEST(every_failing_allocation_is_reported),
        TEST(floats_and_doubles_round_trip_in_shortest_form),
        TEST(malformed_utf8_is_written_as_the_replacement_character),
        TEST(vectors_are_read_straight_from_text),
        TEST(ids_keep_their_kind_through_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
