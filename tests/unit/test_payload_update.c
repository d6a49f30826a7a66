/* Payload operations: a table of before, operation and after. */
#include "support/hwt.h"

#include "ingest/change.h"

static void
becomes(const char *before, hw_payload_op op, const char *at, const char *json, const char *after)
{
    hwi_buf out = {0};
    hw_error err = {0};
    hw_status st = hwi_payload_change(hwi_bytes_text(before), op, at, json, json ? strlen(json) : 0,
                                      &out, &err);
    hwi_buf_fill(&out, 0, 1);
    if (st != HW_OK) fail_msg("%s + %s: %s", before, json, err.message);
    assert_string_equal(after, (char *)out.data);
    hwi_buf_release(&out);
}

static void
refused(const char *before, hw_payload_op op, const char *at, const char *json, const char *part)
{
    hwi_buf out = {0};
    hw_error err = {0};
    assert_int_equal(HW_EINVAL, hwi_payload_change(hwi_bytes_text(before), op, at, json,
                                                   json ? strlen(json) : 0, &out, &err));
    if (!strstr(err.message, part)) fail_msg("\"%s\" lacks \"%s\"", err.message, part);
    hwi_buf_release(&out);
}

static void
set_replaces_and_adds_keys(void **state)
{
    (void)state;
    const hw_payload_op op = HW_PAYLOAD_SET;
    becomes("{\"a\":1,\"b\":2}", op, NULL, "{\"b\":3,\"c\":{\"d\":[1, 2]}}",
            "{\"a\":1,\"b\":3,\"c\":{\"d\":[1,2]}}");
    becomes("", op, NULL, "{\"a\":1}", "{\"a\":1}");
    becomes("{\"a\":{\"x\":1}}", op, NULL, "{\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}");
    becomes("{\"a\":1}", op, "", "{}", "{\"a\":1}");
    becomes("{\"n\":18446744073709551615,\"f\":0.1}", op, NULL, "{\"a\":-9223372036854775808}",
            "{\"n\":18446744073709551615,\"f\":0.1,\"a\":-9223372036854775808}");
}

static void
set_reaches_nested_objects(void **state)
{
    (void)state;
    const hw_payload_op op = HW_PAYLOAD_SET;
    becomes("{\"a\":{\"b\":{\"x\":1}},\"z\":0}", op, "a.b", "{\"y\":2}",
            "{\"z\":0,\"a\":{\"b\":{\"x\":1,\"y\":2}}}");
    becomes("{}", op, "a.b", "{\"y\":2}", "{\"a\":{\"b\":{\"y\":2}}}");
    becomes("{\"a\":7}", op, "a", "{\"y\":2}", "{\"a\":{\"y\":2}}");
    becomes("{\"l\":[{\"x\":1},{\"x\":2}]}", op, "l[1]", "{\"y\":3}",
            "{\"l\":[{\"x\":1},{\"x\":2,\"y\":3}]}");
    becomes("{\"l\":[{\"x\":1},{\"x\":2}]}", op, "l[]", "{\"y\":3}",
            "{\"l\":[{\"x\":1,\"y\":3},{\"x\":2,\"y\":3}]}");
    becomes("{\"l\":[1]}", op, "l[9]", "{\"y\":3}", "{\"l\":[1]}");
    becomes("{\"a\":1}", op, "m[0]", "{\"y\":3}", "{\"a\":1}");
}

static void
delete_removes_keys_by_path(void **state)
{
    (void)state;
    const hw_payload_op op = HW_PAYLOAD_DELETE;
    becomes("{\"a\":1,\"b\":2}", op, NULL, "[\"a\"]", "{\"b\":2}");
    becomes("{\"a\":{\"b\":1,\"c\":2}}", op, NULL, "[\"a.b\", \"x.y\"]", "{\"a\":{\"c\":2}}");
    becomes("{\"l\":[{\"x\":1,\"y\":1},{\"x\":2}]}", op, NULL, "[\"l[].x\"]",
            "{\"l\":[{\"y\":1},{}]}");
    becomes("{\"l\":[1,2,3]}", op, NULL, "[\"l[1]\"]", "{\"l\":[1,3]}");
    becomes("{\"a\":1}", op, NULL, "[]", "{\"a\":1}");
    becomes("{\"a\":1}", op, NULL, "[\"a\"]", "{}");
    becomes("", op, NULL, "[\"a\"]", "");
}

static void
overwrite_keeps_bytes_and_clear_keeps_nothing(void **state)
{
    (void)state;
    becomes("{\"a\":1}", HW_PAYLOAD_OVERWRITE, NULL, " {\"b\" : 1e2}", " {\"b\" : 1e2}");
    becomes("{\"a\":1}", HW_PAYLOAD_CLEAR, NULL, NULL, "");
}

static void
nonsense_is_refused(void **state)
{
    (void)state;
    char deep[64 * 2];
    refused("{}", HW_PAYLOAD_SET, NULL, "[1]", "object");
    refused("{}", HW_PAYLOAD_SET, NULL, "{", "malformed");
    refused("{}", HW_PAYLOAD_SET, NULL, NULL, "NULL");
    refused("{}", HW_PAYLOAD_SET, "a..b", "{}", "path");
    refused("{}", HW_PAYLOAD_OVERWRITE, NULL, "3", "object");
    refused("{}", HW_PAYLOAD_DELETE, NULL, "{}", "array");
    refused("{}", HW_PAYLOAD_DELETE, NULL, "[1]", "string");
    refused("{}", (hw_payload_op)9, NULL, "{}", "operation 9");
    for (size_t i = 0; i < 63; i++) memcpy(deep + 2 * i, "a.", 2);
    strcpy(deep + 126, "a");
    refused("{}", HW_PAYLOAD_SET, deep, "{\"a\":{\"b\":{}}}", "changed payload");
}

/* Two objects of 20,000 keys merge in well under a second: no product of their sizes. */
static void
large_objects_merge_quickly(void **state)
{
    (void)state;
    hwi_buf before = {0}, patch = {0}, out = {0};
    hw_error err = {0};
    for (int i = 0; i < 20000; i++) {
        hwi_buf_printf(&before, "%s\"k%d\":1", i ? "," : "{", i);
        hwi_buf_printf(&patch, "%s\"k%d\":2", i ? "," : "{", i + 10000);
    }
    hwi_buf_text(&before, "}");
    hwi_buf_text(&patch, "}");
    uint64_t start = hwi_clock_us();
    assert_int_equal(HW_OK, hwi_payload_change(hwi_buf_bytes(&before), HW_PAYLOAD_SET, NULL,
                                               (char *)patch.data, patch.size, &out, &err));
    assert_true(hwi_clock_us() - start < 2000000);
    hwi_arena arena = {0};
    const hwi_json *merged;
    assert_int_equal(HW_OK, hwi_json_parse((char *)out.data, out.size, &arena, &merged, &err));
    assert_int_equal(30000, merged->count);
    hwi_arena_release(&arena);
    hwi_buf_release(&before);
    hwi_buf_release(&patch);
    hwi_buf_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_replaces_and_adds_keys),
        cmocka_unit_test(set_reaches_nested_objects),
        cmocka_unit_test(delete_removes_keys_by_path),
        cmocka_unit_test(overwrite_keeps_bytes_and_clear_keeps_nothing),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(large_objects_merge_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
