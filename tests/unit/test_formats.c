/* test_formats.c - readers and writers of vector files, on small files written by hand.
 *
 * Each bad file is checked for its message too: what a person needs in order to mend the file (its
 * name, the place, what was expected and found) is part of the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "formats/formats.h"

static char folder[] = "/tmp/hashwood-formats-XXXXXX";
static char path[128];
static hw_error err;

static void
write_file(const char *name, const void *bytes, size_t count)
{
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, count, f), count);
    fclose(f);
}

static void
write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void
write_gz(const char *name, const void *bytes, size_t count)
{
    gzFile f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = gzopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)count), (int)count);
    gzclose(f);
}

static hwi_reader *
open_ok(void)
{
    hwi_reader *r;

    if (hwi_reader_open(path, NULL, &r, &err) != HW_OK) fail_msg("%s", err.message);
    return r;
}

static hwi_rows
next_ok(hwi_reader *r, size_t want)
{
    hwi_rows rows;

    if (hwi_reader_next(r, want, &rows, &err) != HW_OK) fail_msg("%s", err.message);
    return rows;
}

/* Reads the file to its end; the error met on the way must contain `text` and the file's path. */
static void
expect_error(const char *text)
{
    hwi_reader *r;
    hwi_rows rows = {.count = 1};
    hw_status st = hwi_reader_open(path, NULL, &r, &err);

    while (st == HW_OK && rows.count > 0) st = hwi_reader_next(r, 100, &rows, &err);
    if (st == HW_OK) fail_msg("%s was read, expected: %s", path, text);
    if (strstr(err.message, text) == NULL)
        fail_msg("message `%s` does not say `%s`", err.message, text);
    assert_non_null(strstr(err.message, path));
    hwi_reader_close(r);
}

static void
assert_floats(const float *found, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) assert_float_equal(found[i], expected[i], 0);
}

static const uint8_t idx_pictures[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                       0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};

static void
idx_pictures_are_rows_of_pixels(void **state)
{
    hwi_reader *r;
    hwi_rows rows;

    (void)state;
    write_file("two-idx3-ubyte", idx_pictures, sizeof idx_pictures);
    r = open_ok();
    assert_string_equal(hwi_reader_about(r)->format, "idx");
    assert_int_equal(hwi_reader_about(r)->rows, 2);
    assert_int_equal(hwi_reader_about(r)->dim, 6);
    rows = next_ok(r, 10);
    assert_int_equal(rows.count, 2);
    assert_floats(rows.dense, (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255}, 12);
    assert_ptr_equal(rows.rows[1].vectors[0].values, rows.dense + 6);
    assert_int_equal(next_ok(r, 10).count, 0);
    hwi_reader_close(r);
}

static void
compressed_files_read_like_plain_ones(void **state)
{
    hwi_reader *r;
    hwi_rows rows;

    (void)state;
    write_gz("two-idx3-ubyte.gz", idx_pictures, sizeof idx_pictures);
    r = open_ok();
    rows = next_ok(r, 1);
    assert_int_equal(rows.count, 1);
    assert_floats(rows.dense, (float[]){1, 2, 3, 4, 5, 6}, 6);
    rows = next_ok(r, 5);
    assert_int_equal(rows.count, 1);
    assert_floats(rows.dense, (float[]){7, 8, 9, 10, 11, 255}, 6);
    hwi_reader_close(r);

    write_gz("cut-idx3-ubyte.gz", idx_pictures, sizeof idx_pictures - 1);
    expect_error("expected 2 rows, found 1");
}

static void
idx_labels_are_integers(void **state)
{
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 200};
    hwi_reader *r;
    int64_t label;
    size_t count;

    (void)state;
    write_file("labels-idx1-ubyte", labels, sizeof labels);
    r = open_ok();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hwi_reader_next_ints(r, &label, 1, &count, &err), HW_OK);
        assert_int_equal(count, 1);
        assert_int_equal(label, labels[8 + i]);
    }
    assert_int_equal(hwi_reader_next_ints(r, &label, 1, &count, &err), HW_OK);
    assert_int_equal(count, 0);
    hwi_reader_close(r);
}

static void
damaged_idx_files_are_refused(void **state)
{
    uint8_t bytes[sizeof idx_pictures];

    (void)state;
    write_file("a.idx", idx_pictures, 3);
    expect_error("truncated at byte 0: expected 4 bytes of idx header, found 3");
    write_file("b.idx", idx_pictures, sizeof idx_pictures - 5);
    expect_error("header says 2 rows of 6 bytes after byte 16, the file has room for 1");

    memcpy(bytes, idx_pictures, sizeof bytes);
    memset(bytes + 4, 0xff, 12); /* 2^96 pixels */
    write_file("c.idx", bytes, sizeof bytes);
    expect_error("expected 1 to 65536");
    memcpy(bytes, idx_pictures, sizeof bytes);
    bytes[2] = 7;
    write_file("d.idx", bytes, sizeof bytes);
    expect_error("element type 07");
}

static void
fvecs_rows_carry_their_dimension(void **state)
{
    uint8_t bytes[2 * 12];
    hwi_reader *r;
    hwi_rows rows;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        hwi_put_u32(bytes + i * 12, 2);
        hwi_put_f32(bytes + i * 12 + 4, 0.5f + (float)i);
        hwi_put_f32(bytes + i * 12 + 8, -1.25f);
    }
    write_file("x.fvecs", bytes, sizeof bytes);
    r = open_ok();
    assert_int_equal(hwi_reader_about(r)->rows, 2);
    rows = next_ok(r, 10);
    assert_floats(rows.dense, (float[]){0.5f, -1.25f, 1.5f, -1.25f}, 4);
    hwi_reader_close(r);

    write_file("cut.fvecs", bytes, sizeof bytes - 2);
    expect_error("expected a multiple of that, found 22 bytes");
    hwi_put_u32(bytes + 12, 3);
    write_file("bad.fvecs", bytes, sizeof bytes);
    expect_error("row 1 says 3 values, expected 2");
    hwi_put_u32(bytes, 0x7fffffff);
    write_file("big.fvecs", bytes, sizeof bytes);
    expect_error("rows of 2147483647 values, expected 1 to 65536");
}

static void
ivecs_rows_are_neighbour_lists(void **state)
{
    uint8_t bytes[12];
    hwi_reader *r;
    int64_t row[2];
    size_t count;

    (void)state;
    hwi_put_u32(bytes, 2);
    hwi_put_u32(bytes + 4, 16777217); /* not a float */
    hwi_put_u32(bytes + 8, 5);
    write_file("truth.ivecs", bytes, sizeof bytes);
    r = open_ok();
    assert_int_equal(hwi_reader_next_ints(r, row, 2, &count, &err), HW_OK);
    assert_int_equal(count, 2);
    assert_int_equal(row[0], 16777217);
    assert_int_equal(row[1], 5);
    hwi_reader_close(r);
}

/* An npy file of the given version with this header and numbers. */
static void
write_npy(const char *name, int version, const char *header, const void *numbers, size_t bytes)
{
    uint8_t file[512] = "\x93NUMPY";
    size_t length = strlen(header), at = 8;

    file[6] = (uint8_t)version;
    file[7] = 0;
    hwi_put_u32(file + at, (uint32_t)length);
    at += version == 1 ? 2 : 4;
    memcpy(file + at, header, length);
    memcpy(file + at + length, numbers, bytes);
    write_file(name, file, at + length + bytes);
}

static void
npy_versions_and_elements_are_read(void **state)
{
    static const struct {
        int version;
        const char *header;
        uint8_t numbers[16];
        size_t bytes;
    } cases[] = {
        {1,
         "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n",
         {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0},
         8},
        {2,
         "{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2), }\n",
         {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0},
         8},
        {3,
         "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }\n",
         {0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0},
         16},
        {1, "{'descr': '|i1', 'fortran_order': False, 'shape': (1, 2), }\n", {1, 0xfe}, 2},
        {1, "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }\n", {0, 0x3c, 0, 0xc0}, 4},
        {1,
         "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n",
         {1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff},
         8},
    };

    (void)state;
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        hwi_reader *r;
        hwi_rows rows;

        write_npy("x.npy", cases[i].version, cases[i].header, cases[i].numbers, cases[i].bytes);
        r = open_ok();
        rows = next_ok(r, 10);
        assert_int_equal(rows.count, 1);
        assert_floats(rows.dense, (float[]){1, -2}, 2);
        hwi_reader_close(r);
    }
}

static void
npy_files_we_cannot_read_are_refused_clearly(void **state)
{
    static const uint8_t zeros[64];

    (void)state;
    write_npy("f.npy", 1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }\n", zeros,
              16);
    expect_error("Fortran order");
    write_npy("c.npy", 1, "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2), }\n", zeros,
              32);
    expect_error("npy elements '<c8'");
    write_npy("t.npy", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", zeros,
              16);
    expect_error("header says 3 rows of 8 bytes");
    write_npy("h.npy", 1,
              "{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551615, 65536), }",
              zeros, 16);
    expect_error("truncated");
    write_npy("a.npy", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 2), }\n", zeros,
              32);
    expect_error("more than 2 axes");
    write_npy("n.npy", 1, "{'fortran_order': False, 'shape': (-1, 2), }\n", zeros, 16);
    expect_error("no plain 'descr'");
    write_npy("v.npy", 9, "{}", zeros, 4);
    expect_error("npy version 9");
}

static void
jsonl_rows_have_ids_vectors_and_payloads(void **state)
{
    hwi_reader *r;
    hwi_rows rows;

    (void)state;
    write_text("x.jsonl", "{\"id\": 7, \"vector\": [1, 2.5], \"payload\": {\"a\":  \"}\\\"\"}}\n"
                          "\n"
                          "{\"id\":\"x-1\",\"vectors\":{\"image\":[3],\"text\":[4,5,6]}}\r\n"
                          "{\"vector\":[7,8],\"label\":\"boot\",\"tags\":[1,{\"b\":2}]}");
    r = open_ok();
    rows = next_ok(r, 10);
    assert_int_equal(rows.count, 3);
    assert_null(rows.dense);
    assert_true(rows.rows[0].has_id);
    assert_int_equal(rows.rows[0].id.as.u64, 7);
    assert_floats(rows.rows[0].vectors[0].values, (float[]){1, 2.5f}, 2);
    assert_string_equal(rows.rows[0].payload, "{\"a\":  \"}\\\"\"}");

    assert_int_equal(rows.rows[1].id.kind, HW_ID_KIND_TEXT);
    assert_int_equal(rows.rows[1].vector_count, 2);
    assert_string_equal(rows.rows[1].vectors[1].name, "text");
    assert_floats(rows.rows[1].vectors[1].values, (float[]){4, 5, 6}, 3);
    assert_null(rows.rows[1].payload);

    assert_false(rows.rows[2].has_id);
    assert_string_equal(rows.rows[2].payload, "{\"label\":\"boot\",\"tags\":[1,{\"b\":2}]}");
    hwi_reader_close(r);
}

static void
bad_jsonl_lines_are_named(void **state)
{
    (void)state;
    write_text("a.jsonl", "{\"id\":1,\"vector\":[1]}\n{\"id\":2,\"vector\":[1}\n");
    expect_error("line 2: ");
    write_text("b.jsonl", "{\"id\":1,\"vector\":[1,\"x\"]}\n");
    expect_error("line 1: ");
    write_text("c.jsonl", "{\"id\":1.5,\"vector\":[1]}\n");
    expect_error("line 1: ");
    write_text("d.jsonl", "[1,2]\n");
    expect_error("line 1: malformed JSON at byte 0: expected `{`");
    write_text("e.jsonl", "{\"id\":1,\"payload\":[1]}\n");
    expect_error("payload is [1], expected an object");
    write_text("f.jsonl", "{\"id\":1,\"payload\":{},\"x\":1}\n");
    expect_error("keys beside `payload`");
    write_text("g.jsonl", "{\"id\":1,\"vector\":[1,2");
    expect_error("line 1: malformed JSON at byte 21: expected a closing bracket");
}

static void
csv_columns_become_ids_vectors_and_payload(void **state)
{
    hwi_reader *r;
    hwi_rows rows;

    (void)state;
    write_text("x.csv", "id,v0,v1,label,price\n"
                        "7,1,2.5,\"ankle, \"\"boot\"\"\",12.50\r\n"
                        "b,3,4,,007\n");
    r = open_ok();
    assert_int_equal(hwi_reader_about(r)->dim, 2);
    rows = next_ok(r, 10);
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.rows[0].id.as.u64, 7);
    assert_floats(rows.rows[0].vectors[0].values, (float[]){1, 2.5f}, 2);
    assert_string_equal(rows.rows[0].payload,
                        "{\"label\":\"ankle, \\\"boot\\\"\",\"price\":12.50}");
    assert_string_equal(rows.rows[1].payload, "{\"price\":\"007\"}");
    hwi_reader_close(r);

    write_text("y.csv",
               "\xef\xbb\xbfid,vector,payload\n1,\"[1, 2]\",\"{\"\"a\"\": 1}\"\n2,\"[3,4]\",\n");
    r = open_ok();
    rows = next_ok(r, 10);
    assert_int_equal(rows.count, 2);
    assert_floats(rows.rows[0].vectors[0].values, (float[]){1, 2}, 2);
    assert_string_equal(rows.rows[0].payload, "{\"a\": 1}");
    assert_null(rows.rows[1].payload);
    hwi_reader_close(r);
}

static void
bad_csv_records_are_named(void **state)
{
    (void)state;
    write_text("a.csv", "id,v0\n1,2\n2\n");
    expect_error("line 3: 1 fields, the header has 2");
    write_text("b.csv", "id,v0\n1,x\n");
    expect_error("line 2: column `v0` is `x`, expected a number");
    write_text("c.csv", "id,v0\n1,\"2");
    expect_error("line 2: the file ends inside quotes");
    write_text("d.csv", "");
    expect_error("expected a header line");
    write_text("e.csv", "id,v0\n,2\n");
    expect_error("line 2: column `id`");
}

/* The sample is the fuzz corpus' one: train 3 x 2 floats, neighbors 2 x 2 integers. */
static void
hdf5_datasets_are_read_by_name(void **state)
{
    static uint8_t bytes[1 << 16];
    FILE *f = fopen(HWT_SOURCE_DIR "/tests/fuzz/corpus/hdf5/ann", "rb");
    size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    hwi_reader *r;
    hwi_rows rows;
    int64_t row[2];
    size_t count;
    hw_status st;

    (void)state;
    assert_true(size > 0);
    fclose(f);
    write_file("ann.hdf5", bytes, size);
    st = hwi_reader_open(path, NULL, &r, &err);
    if (st == HW_EUNSUPPORTED) skip();
    assert_int_equal(st, HW_OK);
    assert_int_equal(hwi_reader_about(r)->rows, 3);
    rows = next_ok(r, 10);
    assert_floats(rows.dense, (float[]){1, 2, 3, 4, 5, 6}, 6);
    hwi_reader_close(r);

    strcat(path, ":neighbors");
    r = open_ok();
    assert_int_equal(hwi_reader_next_ints(r, row, 2, &count, &err), HW_OK);
    assert_int_equal(row[0], 1);
    assert_int_equal(row[1], 0);
    hwi_reader_close(r);
    strcat(path, "x");
    assert_int_equal(hwi_reader_open(path, NULL, &r, &err), HW_EINVAL);
    assert_non_null(strstr(err.message, "no dataset `neighborsx`"));
    write_file("cut.hdf5", bytes, 900);
    expect_error("not an HDF5 file, or damaged or truncated");
}

static void
what_is_written_reads_back(void **state)
{
    static const char *const names[] = {"w.jsonl", "w.csv", "w.npy", "w.fvecs"};
    static const float values[][2] = {{0.1f, -3e-7f}, {16777216, 1.0f / 3}};

    (void)state;
    for (size_t n = 0; n < HWI_COUNT(names); n++) {
        hwi_writer *w;
        hwi_reader *r;
        hwi_rows rows;

        snprintf(path, sizeof path, "%s/%s", folder, names[n]);
        assert_int_equal(hwi_writer_open(path, NULL, &w, &err), HW_OK);
        for (uint64_t i = 0; i < 2; i++) {
            hw_id id = HW_ID_U64(i + 5);
            hw_vector v = {.values = values[i], .dim = 2};
            assert_int_equal(hwi_writer_add(w, &id, &v, 1, "{\"a\":\n1}", 8, &err), HW_OK);
        }
        assert_int_not_equal(access(path, F_OK), 0); /* no name before it is whole */
        assert_int_equal(hwi_writer_finish(w, &err), HW_OK);
        r = open_ok();
        rows = next_ok(r, 10);
        assert_int_equal(rows.count, 2);
        assert_memory_equal(rows.rows[0].vectors[0].values, values[0], 8);
        assert_memory_equal(rows.rows[1].vectors[0].values, values[1], 8);
        if (rows.rows[1].has_id) assert_int_equal(rows.rows[1].id.as.u64, 6);
        hwi_reader_close(r);
    }
}

static void
a_discarded_file_leaves_nothing(void **state)
{
    hwi_writer *w;
    char part[160];

    (void)state;
    snprintf(path, sizeof path, "%s/gone.jsonl", folder);
    snprintf(part, sizeof part, "%s.part", path);
    assert_int_equal(hwi_writer_open(path, NULL, &w, &err), HW_OK);
    hwi_writer_discard(w);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(part, F_OK), 0);
}

static void
batches_stay_small_whatever_is_asked_for(void **state)
{
    enum { ROWS = 3000, DIM = 1000 };
    uint8_t head[] = {0, 0, 8, 2, 0, 0, ROWS >> 8, ROWS & 255, 0, 0, DIM >> 8, DIM & 255};
    uint8_t *bytes = calloc(1, sizeof head + ROWS * DIM);
    hwi_reader *r;
    size_t rows = 0;

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, head, sizeof head);
    write_file("many.idx", bytes, sizeof head + ROWS * DIM);
    free(bytes);
    r = open_ok();
    for (;;) {
        hwi_rows batch = next_ok(r, SIZE_MAX);
        if (batch.count == 0) break;
        assert_true(batch.count * DIM * sizeof(float) <= (size_t)4 << 20);
        rows += batch.count;
    }
    assert_int_equal(rows, ROWS);
    hwi_reader_close(r);
}

static void
formats_are_told_from_name_then_content(void **state)
{
    hwi_reader *r;

    (void)state;
    write_file("pictures.bin", idx_pictures, sizeof idx_pictures);
    r = open_ok();
    assert_string_equal(hwi_reader_about(r)->format, "idx");
    hwi_reader_close(r);
    write_text("strange.bin", "hello");
    expect_error("cannot tell the format");
    assert_int_equal(hwi_reader_open(path, "parquet", &r, &err), HW_EINVAL);
    assert_non_null(strstr(err.message, "unknown format `parquet`"));
    assert_int_equal(hwi_reader_open("/no/such/file.npy", NULL, &r, &err), HW_ENOTFOUND);
    assert_int_equal(hwi_reader_open("/no/such/file", NULL, &r, &err), HW_ENOTFOUND);
}

static void
lines_come_without_their_ends(void **state)
{
    hwi_lines *l;
    const char *line;
    size_t bytes;

    (void)state;
    write_text("ids", "a\r\n\nlast");
    assert_int_equal(hwi_lines_open(path, &l, &err), HW_OK);
    assert_int_equal(hwi_lines_next(l, &line, &bytes, &err), HW_OK);
    assert_string_equal(line, "a");
    assert_int_equal(hwi_lines_next(l, &line, &bytes, &err), HW_OK);
    assert_string_equal(line, "");
    assert_int_equal(hwi_lines_next(l, &line, &bytes, &err), HW_OK);
    assert_string_equal(line, "last");
    assert_int_equal(hwi_lines_at(l), 3);
    assert_int_equal(hwi_lines_next(l, &line, &bytes, &err), HW_OK);
    assert_null(line);
    hwi_lines_close(l);
}

static int
make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int
remove_folder(void **state)
{
    char command[160];

    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_pictures_are_rows_of_pixels),
        cmocka_unit_test(compressed_files_read_like_plain_ones),
        cmocka_unit_test(idx_labels_are_integers),
        cmocka_unit_test(damaged_idx_files_are_refused),
        cmocka_unit_test(fvecs_rows_carry_their_dimension),
        cmocka_unit_test(ivecs_rows_are_neighbour_lists),
        cmocka_unit_test(npy_versions_and_elements_are_read),
        cmocka_unit_test(npy_files_we_cannot_read_are_refused_clearly),
        cmocka_unit_test(jsonl_rows_have_ids_vectors_and_payloads),
        cmocka_unit_test(bad_jsonl_lines_are_named),
        cmocka_unit_test(csv_columns_become_ids_vectors_and_payload),
        cmocka_unit_test(bad_csv_records_are_named),
        cmocka_unit_test(hdf5_datasets_are_read_by_name),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_discarded_file_leaves_nothing),
        cmocka_unit_test(batches_stay_small_whatever_is_asked_for),
        cmocka_unit_test(formats_are_told_from_name_then_content),
        cmocka_unit_test(lines_come_without_their_ends),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
