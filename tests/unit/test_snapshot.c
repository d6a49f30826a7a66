/* Snapshots of one collection: what comes back is what was there, index included, and it comes whole
 * or not at all. */
#include "support/hwt_db.h"
#include "support/hwt_payload.h"

#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIM = 6, POINTS = 2600, SMALL = 40 };

static const char config[] =
    "{\"vectors\": {\"v\": {\"dim\": 6, \"metric\": \"l2\"}}, \"owner\": \"me\", "
    "\"payload_indexes\": {\"kw\": \"keyword\", \"n\": \"integer\", \"g\": \"geo\", \"t\": "
    "\"text\"}}";

#define fails(expected, part, call)                                                                \
    do {                                                                                           \
        memset(&err, 0, sizeof err);                                                               \
        assert_int_equal((expected), (call));                                                      \
        if (!strstr(err.message, (part))) fail_msg("\"%s\" lacks \"%s\"", err.message, (part));    \
    } while (0)

static void
fill(hw_collection *c, uint64_t seed, size_t count)
{
    hwi_rng rng;
    hw_error err;
    hw_txn *txn;
    hwi_rng_init(&rng, seed);
    hwt_ok(hw_txn_begin(c->db, &txn, &err), &err);
    for (size_t i = 0; i < count; i++) {
        char text[64];
        float v[DIM];
        hwi_buf payload = {0};
        hw_vector vector = {.name = "v", .values = v, .dim = DIM};
        int n = snprintf(text, sizeof text, "point %zu of a collection of many", i);
        hw_id id =
            i % 2 ? HW_ID_U64(i)
                  : (hw_id){.kind = HW_ID_KIND_TEXT, .text_bytes = (uint32_t)n, .as.text = text};
        for (size_t j = 0; j < DIM; j++) v[j] = (float)hwi_rng_normal(&rng);
        hwt_payload_random(&rng, &payload);
        hwt_ok(hw_txn_upsert(txn, c, &id, &vector, 1, payload.size ? (char *)payload.data : NULL,
                             payload.size, &err),
               &err);
        hwi_buf_release(&payload);
    }
    hwt_ok(hw_txn_commit(txn, &err), &err);
}

static hw_collection *
filled(hw_db *db, const char *name, uint64_t seed, size_t count)
{
    hw_collection *c = hwt_collection(db, name, config);
    fill(c, seed, count);
    return c;
}

static hw_collection *
open_collection(hw_db *db, const char *name)
{
    hw_collection *c;
    hw_error err;
    hwt_ok(hw_collection_open(db, name, &c, &err), &err);
    return c;
}

static void
path_in(const hwt_db *d, const char *name, char out[HWT_PATH + 32])
{
    snprintf(out, HWT_PATH + 32, "%s/%s", d->place.scratch, name);
}

/* ---- the same? */

static void
expect_same_points(hw_collection *a, hw_collection *b)
{
    hw_result *x, *y;
    hw_error err;
    bool more;
    size_t nx, ny;
    uint32_t dx, dy;
    uint32_t with = HW_WITH_PAYLOAD | HW_WITH_VECTOR;
    hwt_ok(hw_collection_scroll(a, NULL, 0, NULL, 100000, with, &x, &more, NULL, &err), &err);
    hwt_ok(hw_collection_scroll(b, NULL, 0, NULL, 100000, with, &y, &more, NULL, &err), &err);
    assert_int_equal(hw_result_count(x), hw_result_count(y));
    for (size_t i = 0; i < hw_result_count(x); i++) {
        assert_int_equal(0, hw_id_compare(&hw_result_ids(x)[i], &hw_result_ids(y)[i]));
        const char *p = hw_result_payload(x, i, &nx), *q = hw_result_payload(y, i, &ny);
        assert_int_equal(nx, ny);
        if (nx) assert_memory_equal(p, q, nx);
        const float *v = hw_result_vector(x, i, "v", &dx), *w = hw_result_vector(y, i, "v", &dy);
        assert_int_equal(dx, dy);
        assert_memory_equal(v, w, dx * sizeof *v);
    }
    hw_result_free(x);
    hw_result_free(y);
}

/* The index came along: searches find the same with the same work. */
static void
expect_same_searches(hw_collection *a, hw_collection *b)
{
    hwi_rng rng;
    hw_error err;
    hwi_rng_init(&rng, 99);
    for (int n = 0; n < 30; n++) {
        float v[DIM];
        hw_query q = HW_QUERY_INIT;
        hw_result *x, *y;
        hw_search_work wx = {.size = sizeof wx}, wy = {.size = sizeof wy};
        for (size_t j = 0; j < DIM; j++) v[j] = (float)hwi_rng_normal(&rng);
        q.vector_name = "v", q.vector = v, q.dim = DIM;
        q.filter =
            n % 3 ? NULL : "{\"must\": [{\"key\": \"kw\", \"match\": {\"value\": \"red\"}}]}";
        q.filter_bytes = q.filter ? strlen(q.filter) : 0;
        hwt_ok(hw_collection_search(a, &q, &x, &err), &err);
        hwt_ok(hw_collection_search(b, &q, &y, &err), &err);
        assert_int_equal(hw_result_count(x), hw_result_count(y));
        for (size_t i = 0; i < hw_result_count(x); i++)
            assert_int_equal(0, hw_id_compare(&hw_result_ids(x)[i], &hw_result_ids(y)[i]));
        hw_result_work(x, &wx);
        hw_result_work(y, &wy);
        assert_int_equal(wx.leaves, wy.leaves);
        assert_int_equal(wx.scanned, wy.scanned);
        hw_result_free(x);
        hw_result_free(y);
    }
}

static uint64_t
key_count(hw_db *db)
{
    hw_store_info info;
    hw_error err;
    hwt_ok(hwi_store_info(db->store, &info, &err), &err);
    return info.keys;
}

/* ---- tests */

static void
a_snapshot_comes_back_under_another_name(void **state)
{
    (void)state;
    hwt_db d, other;
    hw_error err;
    char file[HWT_PATH + 32];
    char *json;
    hwt_db_open(&d, true);
    hwt_db_open(&other, false);
    for (int i = 0; i < 5; i++) { /* so that numbers differ */
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        hw_collection_close(hwt_collection(d.db, name, config));
    }
    hw_collection *c = filled(d.db, "c", 1, POINTS);
    path_in(&d, "file", file);
    hwt_ok(hw_collection_backup(c, file, NULL, NULL, &err), &err);
    hwt_ok(hw_collection_restore(d.db, "copy", file, false, NULL, NULL, &err), &err);
    hwt_ok(hw_collection_restore(other.db, "c", file, false, NULL, NULL, &err), &err);
    hw_collection *copy = open_collection(d.db, "copy"), *far = open_collection(other.db, "c");
    expect_same_points(c, copy);
    expect_same_points(c, far);
    expect_same_searches(c, copy);
    expect_same_searches(c, far);
    hwt_ok(hw_collection_describe(copy, &json, &err), &err);
    assert_non_null(strstr(json, "\"name\":\"copy\""));
    assert_non_null(strstr(json, "\"owner\":\"me\""));
    hw_free(json);
    fill(copy, 7, 300); /* it lives on */
    hwt_ok(hw_collection_build(copy, NULL, NULL, &err), &err);
    hwt_db_check(d.db);
    hwt_db_check(other.db);
    hw_collection_close(c);
    hw_collection_close(copy);
    hw_collection_close(far);
    hwt_db_close(&other);
    hwt_db_close(&d);
}

static void
replacing_takes_the_place_of_the_old_one(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    uint64_t n;
    char file[HWT_PATH + 32];
    hwt_db_open(&d, true);
    hw_collection *c = filled(d.db, "c", 1, 50);
    path_in(&d, "file", file);
    hwt_ok(hw_collection_backup(c, file, NULL, NULL, &err), &err);
    fill(c, 2, 100);
    hwt_ok(hw_db_alias(d.db, &(hw_alias){"live", "c"}, 1, &err), &err);
    uint64_t keys = key_count(d.db);
    fails(HW_EEXIST, "`c` exists", hw_collection_restore(d.db, "c", file, false, NULL, NULL, &err));
    fails(HW_EEXIST, "live", hw_collection_restore(d.db, "live", file, false, NULL, NULL, &err));
    assert_int_equal(keys, key_count(d.db));
    hwt_ok(hw_collection_restore(d.db, "live", file, true, NULL, NULL, &err), &err);
    assert_int_equal(HW_ENOTFOUND, hw_collection_count(c, NULL, 0, &n, NULL)); /* the old one */
    hw_collection_close(c);
    c = open_collection(d.db, "live");
    hwt_ok(hw_collection_count(c, NULL, 0, &n, &err), &err);
    assert_int_equal(50, n);
    hw_collection_close(c);
    c = open_collection(d.db, "c");
    hw_collection_close(c);
    assert_true(key_count(d.db) < keys); /* nothing of the old one is left */
    hwt_db_check(d.db);
    hwt_db_close(&d);
}

static void
the_other_kind_of_file_is_refused_by_name(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    char one[HWT_PATH + 32], all[HWT_PATH + 32], folder[HWT_PATH + 32];
    hwt_db_open(&d, true);
    hw_collection *c = filled(d.db, "c", 1, 10);
    path_in(&d, "one", one);
    path_in(&d, "all", all);
    path_in(&d, "new", folder);
    hwt_ok(hw_collection_backup(c, one, NULL, NULL, &err), &err);
    hwt_ok(hw_db_backup(d.db, all, NULL, NULL, &err), &err);
    fails(HW_EINVAL, "whole database",
          hw_collection_restore(d.db, "x", all, false, NULL, NULL, &err));
    fails(HW_EINVAL, "one collection", hw_db_restore(one, folder, NULL, NULL, &err));
    fails(HW_ENOTFOUND, "none", hw_collection_restore(d.db, "x", "/none", false, NULL, NULL, &err));
    fails(HW_EINVAL, "name", hw_collection_restore(d.db, "a/b", one, false, NULL, NULL, &err));
    hw_collection_close(c);
    hwt_db_close(&d);
}

static uint8_t *
read_file(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*bytes);
    assert_int_equal(*bytes, fread(data, 1, *bytes, f));
    fclose(f);
    return data;
}

static void
write_file(const char *path, const uint8_t *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_int_equal(bytes, fwrite(data, 1, bytes, f));
    fclose(f);
}

/* One bit of the file is flipped, or it is cut short, at many places: refused, and no trace. */
static void
a_damaged_file_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    char file[HWT_PATH + 32], bad[HWT_PATH + 32];
    size_t bytes;
    hwt_db_open(&d, true);
    hw_collection *c = filled(d.db, "c", 1, SMALL);
    path_in(&d, "file", file);
    path_in(&d, "bad", bad);
    hwt_ok(hw_collection_backup(c, file, NULL, NULL, &err), &err);
    uint8_t *data = read_file(file, &bytes);
    uint64_t keys = key_count(d.db);
    for (size_t at = 0; at < bytes; at += bytes / 120 + 1) {
        data[at] ^= 0x10;
        write_file(bad, data, bytes);
        data[at] ^= 0x10;
        hw_status st = hw_collection_restore(d.db, "c", bad, true, NULL, NULL, &err);
        if (st != HW_ECORRUPT && st != HW_EVERSION) fail_msg("byte %zu: %d", at, st);
        write_file(bad, data, at);
        assert_int_equal(HW_ECORRUPT,
                         hw_collection_restore(d.db, "x", bad, false, NULL, NULL, &err));
    }
    assert_true(key_count(d.db) <= keys + 1); /* the counter of numbers may be new */
    hwt_db_check(d.db);
    free(data);
    hw_collection_close(c);
    hwt_db_close(&d);
}

static hw_status
lose_an_id(hw_store_txn *txn, void *arg, hw_error *err)
{
    hwi_conf *conf;
    HWI_TRY(hwi_conf_get(txn, *(uint32_t *)arg, &conf, err));
    hw_status st = hwi_id_del(txn, conf, &(hwi_id_near){0}, &HW_ID_U64(3), err);
    hwi_conf_unref(conf);
    return st;
}

/* Every checksum holds, but the points do not agree with each other. */
static void
a_sound_file_of_a_damaged_collection_is_refused(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    char file[HWT_PATH + 32];
    hwt_db_open(&d, true);
    hw_collection *c = filled(d.db, "c", 1, SMALL);
    hwt_ok(hwi_store_run(d.db->store, lose_an_id, &c->shared->coll, &err), &err);
    path_in(&d, "file", file);
    hwt_ok(hw_collection_backup(c, file, NULL, NULL, &err), &err);
    fails(HW_ECORRUPT, "its id has no entry",
          hw_collection_restore(d.db, "x", file, false, NULL, NULL, &err));
    char **names;
    size_t count;
    hwt_ok(hw_collection_list(d.db, &names, &count, &err), &err);
    assert_int_equal(1, count);
    hw_free(names);
    hw_collection_close(c);
    hwt_db_close(&d);
}

static bool
stop_late(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return strcmp(stage, *(const char **)arg) != 0;
}

static void
stopping_leaves_all_as_it_was(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    char file[HWT_PATH + 32];
    const char *at_backup = "backup", *at_check = "check";
    hwt_db_open(&d, true);
    hw_collection *c = filled(d.db, "c", 1, SMALL);
    path_in(&d, "file", file);
    assert_int_equal(HW_ECANCELED, hw_collection_backup(c, file, stop_late, &at_backup, &err));
    assert_int_not_equal(0, access(file, F_OK));
    hwt_ok(hw_collection_backup(c, file, NULL, NULL, &err), &err);
    assert_int_equal(HW_ECANCELED,
                     hw_collection_restore(d.db, "x", file, false, stop_late, &at_check, &err));
    hwt_db_check(d.db);
    hw_collection_close(c);
    hwt_db_close(&d);
}

/* A store that stops at every write of a restore in turn, and is then opened again: the old points or
 * the new ones serve, and after the next call nothing else is left. */
static void
a_restore_cut_short_anywhere_is_cleaned_up(void **state)
{
    (void)state;
    hwt_db source;
    hw_error err;
    char file[HWT_PATH + 32];
    hwt_db_open(&source, true);
    hw_collection *c = filled(source.db, "c", 1, SMALL);
    path_in(&source, "file", file);
    hwt_ok(hw_collection_backup(c, file, NULL, NULL, &err), &err);
    bool was_old = false, was_new = false;
    for (uint64_t nth = 1;; nth++) {
        hw_store *inner, *fault;
        hw_db *db;
        hw_db_opts opts = HW_DB_OPTS_INIT;
        uint64_t n;
        hwi_fault_plan plan = {.ops = HWI_FAULT_WRITES,
                               .action = nth % 2 ? HWI_FAULT_STOP : HWI_FAULT_STOP_AFTER};
        hwt_ok(hwi_store_mem_new(&inner, &err), &err);
        hwt_ok(hwi_store_meta_check(inner, true, NULL, &err), &err);
        hwt_ok(hwi_store_fault_new(inner, &plan, &fault, &err), &err);
        hwt_ok(hwi_db_over_store(fault, &opts, &db, &err), &err);
        hw_collection_close(filled(db, "c", 2, 5));
        plan.seen = 0;
        plan.nth = (nth + 1) / 2;
        hw_status st = hw_collection_restore(db, "c", file, true, NULL, NULL, &err);
        bool fired = plan.fired;
        /* as a new process would find it: the handle's memory is gone, the store is as it was */
        hwi_snapshots_drop(db->snapshots, false);
        inner = hwi_store_fault_unwrap(fault);
        db->store = NULL;
        hw_db_close(db);
        hwt_ok(hwi_db_over_store(inner, &opts, &db, &err), &err);
        hwt_db_check(db);
        hw_collection *again = open_collection(db, "c");
        hwt_ok(hw_collection_count(again, NULL, 0, &n, &err), &err);
        assert_true(n == 5 || n == SMALL);
        if (st == HW_OK) assert_int_equal(SMALL, n);
        was_old |= n == 5;
        was_new |= n == SMALL;
        hw_collection_close(again);
        hwt_ok(hw_collection_drop(db, "c", &err), &err);
        assert_true(key_count(db) <= 2); /* the meta record and the next number */
        hw_db_close(db);
        if (!fired) break;
    }
    assert_true(was_old && was_new);
    hw_collection_close(c);
    hwt_db_close(&source);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_comes_back_under_another_name),
        cmocka_unit_test(replacing_takes_the_place_of_the_old_one),
        cmocka_unit_test(the_other_kind_of_file_is_refused_by_name),
        cmocka_unit_test(a_damaged_file_is_refused_and_leaves_nothing),
        cmocka_unit_test(a_sound_file_of_a_damaged_collection_is_refused),
        cmocka_unit_test(stopping_leaves_all_as_it_was),
        cmocka_unit_test(a_restore_cut_short_anywhere_is_cleaned_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
