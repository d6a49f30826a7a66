/* Bad vectors, ids and payloads are refused, and the message says what and where. */
#include "support/hwt.h"

#include <math.h>

#include "ingest/validate.h"

static hwi_field
field(hwi_metric metric, uint32_t dim)
{
    return (hwi_field){.name = "image", .dim = dim, .metric = metric};
}

static void
refused(hwi_metric metric, const float *v, uint32_t dim, const char *part)
{
    hwi_field f = field(metric, 4);
    float norm;
    hw_error err = {0};
    assert_int_equal(HW_EINVAL, hwi_validate_vector(&f, v, dim, &norm, &err));
    if (!strstr(err.message, part)) fail_msg("\"%s\" lacks \"%s\"", err.message, part);
    assert_non_null(strstr(err.message, "image"));
}

static void
dimension_names_both_sizes(void **state)
{
    (void)state;
    refused(HWI_L2, (float[]){1, 2, 3}, 3, "3 values");
    refused(HWI_L2, (float[]){1, 2, 3}, 3, "expects 4");
    refused(HWI_L2, (float[]){1, 2, 3, 4, 5}, 5, "5 values");
}

static void
nan_and_infinity_name_the_position(void **state)
{
    (void)state;
    refused(HWI_L1, (float[]){1, 2, NAN, 4}, 4, "position 2 is NaN");
    refused(HWI_DOT, (float[]){1, 2, 3, INFINITY}, 4, "position 3 is infinite");
    refused(HWI_COSINE, (float[]){-INFINITY, 2, NAN, 4}, 4, "position 0 is infinite");
    refused(HWI_L2, NULL, 4, "NULL");
}

static void
a_zero_vector_has_no_direction(void **state)
{
    (void)state;
    float zero[4] = {0};
    refused(HWI_COSINE, zero, 4, "zeros");
    refused(HWI_COSINE, (float[]){1e-25f, 0, 0, 0}, 4, "below the minimum");
    for (int m = HWI_L2; m <= HWI_L1; m++) {
        hwi_field f = field((hwi_metric)m, 4);
        float norm;
        assert_int_equal(HW_OK, hwi_validate_vector(&f, zero, 4, &norm, NULL));
        assert_float_equal(1, norm, 0);
    }
}

static void
values_whose_distances_overflow_are_refused(void **state)
{
    (void)state;
    refused(HWI_L2, (float[]){1e18f, 1e18f, 0, 0}, 4, "above the maximum");
    refused(HWI_COSINE, (float[]){3e38f, 0, 0, 0}, 4, "above the maximum");
}

static void
norm_is_that_of_the_vector(void **state)
{
    (void)state;
    hwi_field f = field(HWI_COSINE, 5);
    float norm;
    assert_int_equal(HW_OK, hwi_validate_vector(&f, (float[]){0, 3, 0, 0, 4}, 5, &norm, NULL));
    assert_float_equal(0.2, norm, 1e-7);
}

static void
ids_are_checked(void **state)
{
    (void)state;
    char text[HW_ID_TEXT_MAX + 1];
    memset(text, 'a', sizeof text);
    hw_id id = {.kind = HW_ID_KIND_TEXT, .text_bytes = HW_ID_TEXT_MAX, .as.text = text};
    assert_int_equal(HW_OK, hwi_validate_id(&id, NULL));
    id.text_bytes++;
    assert_int_equal(HW_EINVAL, hwi_validate_id(&id, NULL));
    id.text_bytes = 0;
    assert_int_equal(HW_EINVAL, hwi_validate_id(&id, NULL));
    id = (hw_id){.kind = HW_ID_KIND_TEXT, .text_bytes = 1, .as.text = "\xff"};
    assert_int_equal(HW_EINVAL, hwi_validate_id(&id, NULL));
    id.kind = (hw_id_kind)7;
    assert_int_equal(HW_EINVAL, hwi_validate_id(&id, NULL));
    assert_int_equal(HW_EINVAL, hwi_validate_id(NULL, NULL));
}

static void
payloads_are_json_objects(void **state)
{
    (void)state;
    const char *bad[] = {"[]", "1", "{", "{\"a\":}", "{} x", "null", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < HWI_COUNT(bad); i++) {
        assert_int_equal(HW_EINVAL, hwi_validate_payload(bad[i], strlen(bad[i]), NULL));
    }
    assert_int_equal(HW_OK, hwi_validate_payload(NULL, 0, NULL));
    assert_int_equal(HW_OK, hwi_validate_payload(" { \"a\" : 1 } ", 13, NULL));
    assert_int_equal(HW_EINVAL, hwi_validate_payload("{}", HW_PAYLOAD_MAX + 1, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dimension_names_both_sizes),
        cmocka_unit_test(nan_and_infinity_name_the_position),
        cmocka_unit_test(a_zero_vector_has_no_direction),
        cmocka_unit_test(values_whose_distances_overflow_are_refused),
        cmocka_unit_test(norm_is_that_of_the_vector),
        cmocka_unit_test(ids_are_checked),
        cmocka_unit_test(payloads_are_json_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
