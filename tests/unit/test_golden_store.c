/* Stores and backups of released formats (tests/golden/) still open and hold what they held. */
#include "support/hwt_store.h"

#include <stdio.h>
#include <sys/stat.h>
#include <zstd.h>

#include "store/dump.h"

#define GOLDEN HWT_SOURCE_DIR "/tests/golden/store-v1"

static void
holds_what_was_written(hw_store *s)
{
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    hwi_store_meta meta;
    hw_error err = {0};
    hwi_buf blob = {0};
    hw_bytes value;
    hwi_key k;
    int64_t n;

    hwt_ok(hwi_store_meta_check(s, false, &meta, &err), &err);
    assert_int_equal(meta.format, 1);
    assert_int_equal(meta.created_s, 1700000000);
    for (uint8_t i = 0; i < 16; i++) assert_int_equal(meta.uuid[i], i * 17);

    for (uint32_t i = 0; i < 100; i++) {
        hwi_key_rec(&k, 1, i * i);
        hwt_ok(hwi_store_get(t, hwi_key_view(&k), &value, &err), &err);
        assert_int_equal(value.size, 4);
        assert_int_equal(hwi_get_u32(value.data), i);
    }
    hwi_key_model(&k, 1, 0, 1);
    hwt_ok(hwi_blob_get(t, hwi_key_view(&k), &blob, &err), &err);
    assert_int_equal(blob.size, 100000);
    for (size_t i = 0; i < blob.size; i++) assert_int_equal(blob.data[i], i % 251);
    hwi_buf_release(&blob);

    hw_id id = {.kind = HW_ID_KIND_TEXT, .text_bytes = 6, .as = {.text = "h\xc3\xa9llo"}};
    hwi_key_id(&k, 1, &id);
    hwt_ok(hwi_store_get(t, hwi_key_view(&k), &value, &err), &err);
    assert_memory_equal(value.data, "id", 2);
    hwi_key_sub(&k, HWI_SUB_COUNT, 1);
    hwt_ok(hwi_store_get_i64(t, hwi_key_view(&k), &n, &err), &err);
    assert_int_equal(n, -42);
    hwi_store_abort(t);
}

static hwi_buf
read_file(const char *path)
{
    uint8_t chunk[65536];
    hwi_buf b = {0};
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;) hwi_buf_add(&b, chunk, n);
    fclose(in);
    return b;
}

static void
unpack(const char *packed, const char *to)
{
    static uint8_t data[1 << 20];
    hwi_buf b = read_file(packed);
    size_t bytes = ZSTD_decompress(data, sizeof data, b.data, b.size);
    assert_false(ZSTD_isError(bytes));
    FILE *out = fopen(to, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    assert_int_equal(fclose(out), 0);
    hwi_buf_release(&b);
}

static void
a_folder_of_format_1_opens(void **state)
{
    char scratch[HWT_PATH], data[HWT_PATH + 16];
    hw_error err = {0};
    hw_store *s;

    (void)state;
    hwt_scratch_new(scratch);
    snprintf(data, sizeof data, "%s/data.mdb", scratch);
    unpack(GOLDEN "/data.mdb.zst", data);
    hwt_ok(hwi_store_open(scratch, NULL, &s, &err), &err);
    hwt_ok(hwi_store_verify(s, NULL, NULL, &err), &err);
    holds_what_was_written(s);
    hwt_put_now(s, "new", "key");
    hwt_ok(hwi_store_verify(s, NULL, NULL, &err), &err);
    hwi_store_close(s);
    hwt_scratch_remove(scratch);
}

static void
a_backup_of_format_1_loads(void **state)
{
    hw_error err = {0};
    hw_store *s;

    (void)state;
    hwt_ok(hwi_store_mem_new(&s, &err), &err);
    hwt_ok(hwi_store_load(GOLDEN "/backup", s, NULL, NULL, &err), &err);
    holds_what_was_written(s);
    hwi_store_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_of_format_1_opens),
        cmocka_unit_test(a_backup_of_format_1_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
