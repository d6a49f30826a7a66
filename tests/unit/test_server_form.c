/* Forms: parts are found, and whatever is no form is refused. */
#include "support/hwt.h"

#include "server/form.h"

#define TYPE "multipart/form-data; boundary=x"

static hw_status
read_form(hwi_arena *arena, const char *type, const char *body, hwi_form_part *parts, size_t *count)
{
    hw_error err;
    return hwi_form_read(type, hwi_bytes(body, strlen(body)), arena, parts, count, &err);
}

static void
parts_have_names_and_contents(void **state)
{
    (void)state;
    hwi_form_part parts[HWI_FORM_PARTS_MAX];
    hwi_arena arena = {0};
    size_t count;
    const char *body =
        "preamble\r\n--x\r\nContent-Disposition: form-data; name=\"limit\"\r\n\r\n5\r\n"
        "--x\r\ncontent-type: image/png\r\nCONTENT-DISPOSITION: form-data; "
        "name=file; filename=\"a \\\"b\\\";.png\"\r\n\r\n\r\n--y\r\n-- x\r\n\r\n"
        "--x\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n"
        "--x\r\n\r\nnameless\r\n--x--\r\nepilogue";
    assert_int_equal(HW_OK, read_form(&arena, TYPE, body, parts, &count));
    assert_int_equal(4, count);
    assert_string_equal("limit", parts[0].name);
    assert_null(parts[0].file_name);
    assert_int_equal(1, parts[0].content.size);
    assert_memory_equal("5", parts[0].content.data, 1);
    assert_string_equal("file", parts[1].name);
    assert_string_equal("a \"b\";.png", parts[1].file_name);
    assert_int_equal(13, parts[1].content.size);
    assert_memory_equal("\r\n--y\r\n-- x\r\n", parts[1].content.data, 13);
    assert_int_equal(0, parts[2].content.size);
    assert_string_equal("", parts[3].name);
    hwi_arena_release(&arena);
}

static void
a_boundary_may_stand_in_quotes(void **state)
{
    (void)state;
    hwi_form_part parts[HWI_FORM_PARTS_MAX];
    hwi_arena arena = {0};
    size_t count;
    assert_true(hwi_form_is_one("Multipart/Form-Data; boundary=x"));
    assert_false(hwi_form_is_one("image/png"));
    assert_false(hwi_form_is_one(NULL));
    const char *type = "multipart/form-data; charset=utf-8; Boundary=\"a b;c\"";
    const char *body = "--a b;c\r\n\r\n1\r\n--a b;c--";
    assert_int_equal(HW_OK, read_form(&arena, type, body, parts, &count));
    assert_int_equal(1, count);
    assert_int_equal(HW_OK, read_form(&arena, TYPE, "--x--", parts, &count));
    assert_int_equal(0, count);
    hwi_arena_release(&arena);
}

static void
what_is_no_form_is_refused(void **state)
{
    (void)state;
    hwi_form_part parts[HWI_FORM_PARTS_MAX];
    hwi_arena arena = {0};
    hwi_buf many = {0};
    size_t count;
    const char *const bodies[] = {"",
                                  "-",
                                  "--x",
                                  "--x\r\n",
                                  "--x\r\n\r\n",
                                  "--x\r\n\r\n1",
                                  "--x\r\n\r\n1\r\n--x",
                                  "--x\r\n\r\n1\r\n--",
                                  "--xy",
                                  "--x\r\nContent-Disposition: form-data; name=\"a\r\n",
                                  "nothing"};
    for (size_t i = 0; i < HWI_COUNT(bodies); i++)
        assert_int_equal(HW_EINVAL, read_form(&arena, TYPE, bodies[i], parts, &count));
    const char *const types[] = {
        "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"",
        "multipart/form-data; boundary=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < HWI_COUNT(types); i++)
        assert_int_equal(HW_EINVAL, read_form(&arena, types[i], "--x--", parts, &count));
    for (size_t i = 0; i <= HWI_FORM_PARTS_MAX; i++) hwi_buf_text(&many, "--x\r\n\r\n1\r\n");
    hwi_buf_text(&many, "--x--");
    hwi_buf_fill(&many, 0, 1);
    assert_int_equal(HW_EINVAL, read_form(&arena, TYPE, (const char *)many.data, parts, &count));
    hwi_buf_release(&many);
    hwi_arena_release(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_have_names_and_contents),
        cmocka_unit_test(a_boundary_may_stand_in_quotes),
        cmocka_unit_test(what_is_no_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
