/* Slices of the id space: the documented hash, and parts that are disjoint and together everything. */
#include "support/hwt_store.h"

#include <stdio.h>

#include "payload/filter_tree.h"

/* Computed with another implementation of SipHash-2-4, which was checked against its authors' test
 * vector. */
static void
the_hash_is_siphash_of_the_canonical_bytes(void **state)
{
    (void)state;
    hw_id uuid = {.kind = HW_ID_KIND_UUID};
    hw_id text = {.kind = HW_ID_KIND_TEXT, .text_bytes = 5, .as.text = "hello"};
    for (uint8_t i = 0; i < 16; i++) uuid.as.uuid[i] = i;
    assert_true(hwi_slice_hash(&HW_ID_U64(0)) == 0xe849e8bb6ffe2567u);
    assert_true(hwi_slice_hash(&HW_ID_U64(42)) == 0x0fc2553f07619dd3u);
    assert_true(hwi_slice_hash(&uuid) == 0xc902632ed88f897fu);
    assert_true(hwi_slice_hash(&text) == 0x8cc15d5db2f752b9u);
}

static bool
is_in(uint32_t index, uint32_t total, const hw_id *id)
{
    char json[80];
    hwi_arena arena = {0};
    const hwi_filter *f;
    bool yes;
    hw_error err;
    snprintf(json, sizeof json, "{\"must\": [{\"slice\": {\"index\": %u, \"total\": %u}}]}", index,
             total);
    hwt_ok(hwi_filter_parse(json, strlen(json), &arena, &f, &err), &err);
    assert_true(hwi_filter_needs_id(f));
    hwt_ok(hwi_filter_matches(f, id, (hw_bytes){0}, &yes, &err), &err);
    hwi_arena_release(&arena);
    return yes;
}

static void
every_id_is_in_one_slice_of_each_total(void **state)
{
    (void)state;
    static const uint32_t totals[] = {1, 2, 7};
    for (uint64_t n = 0; n < 300; n++) {
        hw_id id = HW_ID_U64(n * n * 2654435761u);
        for (size_t t = 0; t < HWI_COUNT(totals); t++) {
            uint32_t in = 0;
            for (uint32_t i = 0; i < totals[t]; i++) in += is_in(i, totals[t], &id);
            assert_int_equal(1, in);
        }
    }
}

static void
wrong_slices_are_refused_by_place(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{\"must\": {\"slice\": {\"index\": 3, \"total\": 3}}}", "index 3 is not below total 3"},
        {"{\"must\": {\"slice\": {\"index\": 0, \"total\": 0}}}", "total is 0"},
        {"{\"must\": {\"slice\": {\"index\": 0}}}", "slice.total: expected a whole number"},
        {"{\"must\": {\"slice\": {\"index\": -1, \"total\": 2}}}", "slice.index"},
        {"{\"must\": {\"nested\": {\"key\": \"a\", \"filter\": {\"must\": {\"slice\": {\"index\": "
         "0, "
         "\"total\": 2}}}}}}",
         "not possible inside"},
    };
    for (size_t i = 0; i < HWI_COUNT(wrong); i++) {
        hwi_arena arena = {0};
        const hwi_filter *f;
        hw_error err = {0};
        assert_int_equal(HW_EINVAL,
                         hwi_filter_parse(wrong[i][0], strlen(wrong[i][0]), &arena, &f, &err));
        if (!strstr(err.message, wrong[i][1])) fail_msg("%s lacks %s", err.message, wrong[i][1]);
        hwi_arena_release(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash_of_the_canonical_bytes),
        cmocka_unit_test(every_id_is_in_one_slice_of_each_total),
        cmocka_unit_test(wrong_slices_are_refused_by_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
