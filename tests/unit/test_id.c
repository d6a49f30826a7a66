/* Point ids: reading, writing, order. */
#include "support/hwt.h"

static hw_id
parsed(const char *text)
{
    hw_id id;
    hw_error err = {0};
    assert_int_equal(hw_id_parse(text, strlen(text), &id, &err), HW_OK);
    return id;
}

static void
digits_are_a_number_when_in_shortest_form_and_within_64_bits(void **state)
{
    (void)state;
    assert_int_equal(parsed("0").kind, HW_ID_KIND_U64);
    assert_true(parsed("18446744073709551615").as.u64 == UINT64_MAX);
    assert_int_equal(parsed("18446744073709551615").kind, HW_ID_KIND_U64);
    static const char *const texts[] = {
        "18446744073709551616", "007", "00", "-1", "1.0", " 1", "1 ", "+1", "1e3"};
    for (size_t i = 0; i < HWI_COUNT(texts); i++) {
        hw_id id = parsed(texts[i]);
        assert_int_equal(id.kind, HW_ID_KIND_TEXT);
        assert_ptr_equal(id.as.text, texts[i]);
        assert_int_equal(id.text_bytes, strlen(texts[i]));
    }
}

static void
uuids_are_read_in_every_spelling_and_written_in_one(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000",
        "123e4567e89b12d3a456426614174000", "urn:uuid:123e4567-e89b-12d3-a456-426614174000"};
    for (size_t i = 0; i < HWI_COUNT(spellings); i++) {
        char text[HW_ID_TEXT_MAX + 1];
        hw_id id = parsed(spellings[i]);
        assert_int_equal(id.kind, HW_ID_KIND_UUID);
        assert_int_equal(hw_id_format(&id, text), 36);
        assert_string_equal(text, spellings[0]);
    }
    static const char *const others[] = {"123e4567-e89b-12d3-a456-42661417400",
                                         "123e4567-e89b-12d3-a456_426614174000",
                                         "123e4567-e89b-12d3-a4564-26614174000",
                                         "g23e4567-e89b-12d3-a456-426614174000", "urn:uuid:"};
    for (size_t i = 0; i < HWI_COUNT(others); i++)
        assert_int_equal(parsed(others[i]).kind, HW_ID_KIND_TEXT);
}

static void
empty_lengthy_and_malformed_ids_are_refused(void **state)
{
    (void)state;
    char lengthy[HW_ID_TEXT_MAX + 1];
    hw_id id;
    hw_error err;
    memset(lengthy, 'x', sizeof lengthy);
    assert_int_equal(hw_id_parse("", 0, &id, &err), HW_EINVAL);
    assert_string_equal(err.message, "an id must not be empty");
    assert_int_equal(hw_id_parse(lengthy, HW_ID_TEXT_MAX, &id, &err), HW_OK);
    assert_int_equal(hw_id_parse(lengthy, sizeof lengthy, &id, &err), HW_EINVAL);
    assert_string_equal(err.message, "id of 256 bytes is above the maximum 255");
    assert_int_equal(hw_id_parse("\xFFok", 3, &id, &err), HW_EINVAL);
    assert_int_equal(hw_id_parse("\xFFok", 3, &id, NULL), HW_EINVAL);
}

static void
formatting_gives_the_text_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"0", "42", "18446744073709551615", "photo/7.png",
                                        "\xC3\xA9t\xC3\xA9"};
    for (size_t i = 0; i < HWI_COUNT(texts); i++) {
        char text[HW_ID_TEXT_MAX + 1];
        hw_id id = parsed(texts[i]);
        assert_int_equal(hw_id_format(&id, text), strlen(texts[i]));
        assert_string_equal(text, texts[i]);
    }
}

static void
numbers_come_before_uuids_before_strings_each_ascending(void **state)
{
    (void)state;
    static const char *const sorted[] = {"0",
                                         "9",
                                         "10",
                                         "18446744073709551615",
                                         "00000000-0000-0000-0000-000000000001",
                                         "ff000000-0000-0000-0000-000000000000",
                                         "A",
                                         "AB",
                                         "B",
                                         "a",
                                         "\xC3\xA9"};
    for (size_t i = 0; i < HWI_COUNT(sorted); i++)
        for (size_t j = 0; j < HWI_COUNT(sorted); j++) {
            hw_id a = parsed(sorted[i]), b = parsed(sorted[j]);
            int order = hw_id_compare(&a, &b);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_are_a_number_when_in_shortest_form_and_within_64_bits),
        cmocka_unit_test(uuids_are_read_in_every_spelling_and_written_in_one),
        cmocka_unit_test(empty_lengthy_and_malformed_ids_are_refused),
        cmocka_unit_test(formatting_gives_the_text_back),
        cmocka_unit_test(numbers_come_before_uuids_before_strings_each_ascending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
