/* Errors: what ends up in hw_error, and which status an errno becomes. */
#include "support/hwt.h"

#include <errno.h>

static void
failing_with_no_error_struct_still_returns_the_status(void **state)
{
    (void)state;
    assert_int_equal(hwi_fail(NULL, HW_EINVAL, "x"), HW_EINVAL);
    assert_int_equal(hwi_fail_errno(NULL, ENOSPC, "x"), HW_ENOSPC);
    assert_int_equal(hwi_fail_prefix(NULL, HW_EIO, "x"), HW_EIO);
}

static void
messages_are_formatted_prefixed_and_name_the_errno(void **state)
{
    (void)state;
    hw_error err;
    assert_int_equal(hwi_fail(&err, HW_EINVAL, "dim %u is above the maximum %u", 5000u, 4096u),
                     HW_EINVAL);
    assert_int_equal(err.status, HW_EINVAL);
    assert_string_equal(err.message, "dim 5000 is above the maximum 4096");

    assert_int_equal(hwi_fail_prefix(&err, HW_EINVAL, "row %d", 7), HW_EINVAL);
    assert_string_equal(err.message, "row 7: dim 5000 is above the maximum 4096");

    hwi_fail_errno(&err, ENOENT, "open %s", "x.npy");
    assert_int_equal(err.status, HW_ENOTFOUND);
    assert_string_equal(err.message, "open x.npy: No such file or directory");
}

static void
errno_chooses_the_status(void **state)
{
    (void)state;
    static const struct {
        int errnum;
        hw_status status;
    } cases[] = {{ENOMEM, HW_ENOMEM},    {ENOSPC, HW_ENOSPC},   {EDQUOT, HW_ENOSPC},
                 {EACCES, HW_EREADONLY}, {EROFS, HW_EREADONLY}, {ENOENT, HW_ENOTFOUND},
                 {EIO, HW_EIO},          {EISDIR, HW_EIO}};
    for (size_t i = 0; i < HWI_COUNT(cases); i++)
        assert_int_equal(hwi_fail_errno(NULL, cases[i].errnum, "x"), cases[i].status);
}

static void
a_message_stays_one_line_of_utf8_when_cut(void **state)
{
    (void)state;
    hw_error err;
    hwi_fail(&err, HW_EINVAL, "name \"%s\"", "a\nb\tc");
    assert_string_equal(err.message, "name \"a b c\"");

    char lengthy[2 * sizeof err.message + 1];
    for (size_t shift = 0; shift < 2; shift++) { /* the cut falls inside and between the letters */
        size_t at = 0;
        for (size_t i = 0; i < shift; i++) lengthy[at++] = 'x';
        while (at + 2 < sizeof lengthy) memcpy(lengthy + at, "\xC3\xA9", 2), at += 2;
        lengthy[at] = '\0';
        hwi_fail(&err, HW_EINVAL, "%s", lengthy);
        assert_true(strlen(err.message) >= sizeof err.message - 3);
        assert_true(hwi_utf8_valid(err.message, strlen(err.message)));
    }
}

static void
every_status_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a >= HW_EUNSUPPORTED; a--)
        for (int b = 0; b > a; b--)
            assert_string_not_equal(hw_status_text((hw_status)a), hw_status_text((hw_status)b));
    assert_string_equal(hw_status_text((hw_status)-99), "unknown status");
    assert_string_equal(hw_version(), HW_VERSION_STRING);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_with_no_error_struct_still_returns_the_status),
        cmocka_unit_test(messages_are_formatted_prefixed_and_name_the_errno),
        cmocka_unit_test(errno_chooses_the_status),
        cmocka_unit_test(a_message_stays_one_line_of_utf8_when_cut),
        cmocka_unit_test(every_status_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
