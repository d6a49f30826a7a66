/* Settings: what users may write, and that the stored form gives back the same. */
#include "support/hwt.h"

#include "records/conf.h"

static hwi_conf *
parsed(const char *json)
{
    hwi_conf *conf;
    hw_error err = {0};
    hw_status st = hwi_conf_parse("things", json, strlen(json), &conf, &err);
    if (st != HW_OK) fail_msg("%s: %s", json, err.message);
    return conf;
}

static void
refused(const char *json, const char *part_of_message)
{
    hwi_conf *conf;
    hw_error err = {0};
    assert_int_equal(HW_EINVAL, hwi_conf_parse("things", json, strlen(json), &conf, &err));
    assert_null(conf);
    if (!strstr(err.message, part_of_message)) {
        fail_msg("%s: message \"%s\" lacks \"%s\"", json, err.message, part_of_message);
    }
}

static void
one_unnamed_vector_with_defaults(void **state)
{
    (void)state;
    hwi_conf *c = parsed("{\"dim\": 784, \"metric\": \"L2\"}");
    assert_int_equal(1, c->field_count);
    const hwi_field *f = hwi_conf_field(c, NULL);
    assert_ptr_equal(f, hwi_conf_field(c, ""));
    assert_int_equal(784, f->dim);
    assert_int_equal(HWI_L2, f->metric);
    assert_int_equal(HWI_HYBRID, f->kind);
    assert_int_equal(2000, f->flat_below);
    assert_int_equal(1, f->seed);
    assert_null(hwi_conf_field(c, "other"));
    hwi_conf_unref(c);
}

static void
qdrants_spelling_is_understood(void **state)
{
    (void)state;
    hwi_conf *c = parsed("{\"vectors\": {\"size\": 4, \"distance\": \"Euclid\", \"on_disk\": true},"
                         " \"shard_number\": 1}");
    assert_int_equal(4, c->fields[0].dim);
    assert_int_equal(HWI_L2, c->fields[0].metric);
    assert_true(hwi_json_member(c->fields[0].extra, "on_disk")->boolean);
    assert_int_equal(1, hwi_json_member(c->extra, "shard_number")->integer);
    hwi_conf_unref(c);
}

static void
named_vectors_take_the_common_index_and_their_own(void **state)
{
    (void)state;
    hwi_conf *c = parsed("{\"index\": {\"kind\": \"LSH\", \"seed\": 18446744073709551615},"
                         " \"vectors\": {\"size\": {\"dim\": 2, \"metric\": \"Manhattan\"},"
                         "  \"text\": {\"dim\": 3, \"metric\": \"dot\","
                         "             \"index\": {\"kind\": \"flat\", \"bits\": 256}}}}");
    assert_int_equal(2, c->field_count);
    const hwi_field *size = hwi_conf_field(c, "size"), *text = hwi_conf_field(c, "text");
    assert_int_equal(HWI_L1, size->metric);
    assert_int_equal(HWI_LSH, size->kind);
    assert_true(size->seed == UINT64_MAX);
    assert_int_equal(HWI_FLAT, text->kind);
    assert_int_equal(256, text->bits);
    assert_true(size->number != text->number);
    assert_null(hwi_conf_field(c, NULL));
    hwi_conf_unref(c);
}

static void
a_vector_may_be_called_size_or_dim(void **state)
{
    (void)state;
    hwi_conf *c = parsed("{\"vectors\": {\"dim\": {\"size\": 2, \"distance\": \"Cosine\"}}}");
    assert_int_equal(2, hwi_conf_field(c, "dim")->dim);
    hwi_conf_unref(c);
}

static void
mistakes_are_refused_with_their_key(void **state)
{
    (void)state;
    refused("{\"dim\": 3}", "metric");
    refused("{\"metric\": \"l2\"}", "dim");
    refused("{\"dim\": 0, \"metric\": \"l2\"}", "0 is not in 1 to 65536");
    refused("{\"dim\": 65537, \"metric\": \"l2\"}", "65537");
    refused("{\"dim\": 2.5, \"metric\": \"l2\"}", "whole number");
    refused("{\"dim\": -1, \"metric\": \"l2\"}", "dim");
    refused("{\"dim\": 3, \"metric\": \"l3\"}", "metric");
    refused("{\"dim\": 3, \"metric\": 2}", "metric");
    refused("{\"dim\": 3, \"metric\": \"l2\", \"index\": {\"kind\": \"tree\"}}", "index.kind");
    refused("{\"dim\": 3, \"metric\": \"l2\", \"index\": {\"leafsize\": 9}}", "index.leafsize");
    refused("{\"dim\": 3, \"metric\": \"l2\", \"index\": {\"leaf_size\": 9}}", "leaf_size: 9");
    refused("{\"dim\": 3, \"metric\": \"l2\", \"index\": {\"leaf_size\": 701}}", "leaf_size: 701");
    refused("{\"dim\": 3, \"metric\": \"l2\", \"index\": {\"leaf_size\": 600, \"bits\": 1024}}",
            "1024 bits");
    refused("{\"dim\": 3, \"metric\": \"l2\", \"index\": {\"bits\": 100}}", "bits: 100");
    refused("{\"dim\": 3, \"metric\": \"l2\", \"index\": 7}", "index");

    refused("{\"vectors\": [1]}", "vectors");
    refused("{\"vectors\": {\"a\": 7}}", "vectors.a");
    refused("{\"vectors\": {\"a\": {\"dim\": 2, \"metric\": \"l2\", \"index\": {\"x\": 1}}}}",
            "vectors.a.index.x");
    refused("{\"vectors\": {\"a/b\": {\"dim\": 2, \"metric\": \"l2\"}}}", "'/'");
    refused("{\"vectors\": {\"a\": {\"dim\": 2, \"metric\": \"l2\"}}, \"dim\": 4}", "dim");
    refused("{\"dim\": 3, \"metric\": \"l2\", \"payload_indexes\": {\"a\": \"word\"}}",
            "payload_indexes.a");
    refused("[]", "object");
    refused("{\"dim\": 3,", "malformed");
    refused("", "malformed");
}

static void
names_are_checked(void **state)
{
    (void)state;
    char longest[HW_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(HW_OK, hwi_name_check("name", longest, HW_NAME_MAX, NULL));
    assert_int_equal(HW_EINVAL, hwi_name_check("name", longest, HW_NAME_MAX + 1, NULL));
    assert_int_equal(HW_OK, hwi_name_check("name",
                                           "gr\xc3\xb6\xc3\x9f"
                                           "e",
                                           7, NULL));
    assert_int_equal(HW_EINVAL, hwi_name_check("name", "", 0, NULL));
    assert_int_equal(HW_EINVAL, hwi_name_check("name", "a/b", 3, NULL));
    assert_int_equal(HW_EINVAL, hwi_name_check("name", "a\nb", 3, NULL));
    assert_int_equal(HW_EINVAL, hwi_name_check("name", "a\0b", 3, NULL));
    assert_int_equal(HW_EINVAL, hwi_name_check("name", "\xc3", 1, NULL));
    assert_int_equal(HW_EINVAL, hwi_name_check("name", "\xed\xa0\x80", 3, NULL));
}

/* Encode, decode, encode: the same bytes; and every single flipped byte is noticed. */
static void
stored_form_round_trips_and_shows_damage(void **state)
{
    (void)state;
    hwi_conf *c = parsed("{\"vectors\": {\"a\\\"b\": {\"dim\": 7, \"metric\": \"dot\", \"x\": [1]},"
                         " \"\": {\"dim\": 9, \"metric\": \"cosine\"}},"
                         " \"payload_indexes\": {\"k\": \"keyword\", \"n\": \"integer\"},"
                         " \"mine\": {\"deep\": [1, 2.5, null]}}");
    hwi_conf *back;
    hwi_buf first = {0}, second = {0};
    hw_error err;
    c->coll = 12;
    c->revision = 99;
    hwi_conf_encode(c, &first);
    assert_int_equal(HW_OK, hwi_conf_decode(hwi_buf_bytes(&first), &back, &err));
    hwi_conf_encode(back, &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    assert_int_equal(12, back->coll);
    assert_int_equal(2, back->schema.count);
    assert_true(back->schema.fields[0].ready);
    assert_int_equal(7, hwi_conf_field(back, "a\"b")->dim);
    hwi_conf_unref(back);

    for (size_t i = 0; i < first.size; i++) {
        first.data[i] ^= 4;
        assert_int_equal(HW_ECORRUPT, hwi_conf_decode(hwi_buf_bytes(&first), &back, &err));
        first.data[i] ^= 4;
        assert_int_equal(HW_ECORRUPT, hwi_conf_decode(hwi_bytes(first.data, i), &back, &err));
    }
    hwi_buf_release(&first);
    hwi_buf_release(&second);
    hwi_conf_unref(c);
}

static void
payload_index_numbers_are_distinct(void **state)
{
    (void)state;
    hwi_conf *c =
        parsed("{\"dim\": 1, \"metric\": \"l2\", \"payload_indexes\": {\"a\": \"bool\"}}");
    uint32_t a = hwi_conf_pix(c, "a")->number;
    uint32_t b = hwi_conf_pix_add(c, "b", HWI_PIX_GEO, NULL)->number;
    assert_true(a != 0 && b != 0 && a != b);
    hwi_conf_pix_remove(c, hwi_conf_pix(c, "a"));
    assert_null(hwi_conf_pix(c, "a"));
    assert_int_equal(b, hwi_conf_pix(c, "b")->number);
    assert_true(hwi_conf_pix_add(c, "c", HWI_PIX_TEXT, NULL)->number != b);
    hwi_conf_unref(c);
}

static void
scores_are_what_users_expect(void **state)
{
    (void)state;
    assert_float_equal(0.25, hwi_score(HWI_COSINE, 0.75f), 0);
    assert_float_equal(3, hwi_score(HWI_L2, 9), 0);
    assert_float_equal(-2, hwi_score(HWI_DOT, 2), 0);
    assert_float_equal(5, hwi_score(HWI_L1, 5), 0);
    for (int m = HWI_COSINE; m <= HWI_L1; m++) {
        float d = hwi_score_to_distance((hwi_metric)m, 0.5f);
        assert_float_equal(0.5, hwi_score((hwi_metric)m, d), 1e-6);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_unnamed_vector_with_defaults),
        cmocka_unit_test(qdrants_spelling_is_understood),
        cmocka_unit_test(named_vectors_take_the_common_index_and_their_own),
        cmocka_unit_test(a_vector_may_be_called_size_or_dim),
        cmocka_unit_test(mistakes_are_refused_with_their_key),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(stored_form_round_trips_and_shows_damage),
        cmocka_unit_test(payload_index_numbers_are_distinct),
        cmocka_unit_test(scores_are_what_users_expect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
