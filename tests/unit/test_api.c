/* Every public function on databases, collections and their indexes: what it does, and each error its
 * header documents. Those on points are in test_api_points.c. */
#include "support/hwt_api.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Databases ---- */

static void
version_and_kernels_have_names(void **state)
{
    (void)state;
    assert_string_equal(HW_VERSION_STRING, hw_version());
    assert_true(strlen(hw_kernels()) > 0);
    assert_true(strlen(hw_status_text(HW_ECORRUPT)) > 0);
}

static void
open_says_why_it_fails(void **state)
{
    (void)state;
    hw_db *db;
    hw_db_opts opts = HW_DB_OPTS_INIT;
    char scratch[HWT_PATH], path[HWT_PATH + 16];
    hwt_scratch_new(scratch);
    hwt_fails(HW_EINVAL, "name of the database", hw_db_open("", NULL, &db, &err));
    hwt_fails(HW_EINVAL, "name of the database", hw_db_open(NULL, NULL, &db, &err));
    opts.must_exist = true;
    snprintf(path, sizeof path, "%s/none", scratch);
    hwt_fails(HW_ENOTFOUND, "none", hw_db_open(path, &opts, &db, &err));
    assert_null(db);
    opts.must_exist = false;
    opts.read_only = true;
    hwt_fails(HW_ENOTFOUND, "none", hw_db_open(path, &opts, &db, &err));
    snprintf(path, sizeof path, "%s/file", scratch);
    FILE *f = fopen(path, "w");
    fputs("no database\n", f);
    fclose(f);
    hwt_fails(HW_ECORRUPT, "file", hw_db_open(path, NULL, &db, &err));
    hwt_scratch_remove(scratch);
}

static void
a_read_only_database_is_not_written(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    hw_txn *txn;
    hw_collection *c;
    hw_result *r;
    hw_id id = HW_ID_U64(1);
    hwt_db_open(&d, true);
    c = hwt_collection(d.db, "photos", HWT_PHOTOS);
    hwt_put_photo(c, 1, 1, NULL);
    hw_collection_close(c);
    d.opts.read_only = true;
    hwt_db_reopen(&d);
    hwt_ok(hw_collection_open(d.db, "photos", &c, &err), &err);
    hwt_ok(hw_collection_get(c, &id, 1, 0, &r, &err), &err);
    assert_int_equal(1, hw_result_count(r));
    hw_result_free(r);
    assert_int_equal(HW_EREADONLY, hw_txn_begin(d.db, &txn, &err));
    assert_null(txn);
    assert_int_equal(HW_EREADONLY, hw_collection_create(d.db, "x", HWT_PHOTOS, &err));
    assert_int_equal(HW_EREADONLY, hw_collection_drop(d.db, "photos", &err));
    assert_int_equal(HW_EREADONLY, hw_collection_delete(c, &id, 1, NULL, &err));
    hw_collection_close(c);
    hwt_db_close(&d);
}

static void
a_second_writer_is_told_to_wait(void **state)
{
    (void)state;
    hwt_db d;
    hw_txn *first, *second;
    hw_error err;
    hwt_db_open(&d, true);
    d.opts.busy_timeout_ms = 100;
    hwt_db_reopen(&d);
    hwt_ok(hw_txn_begin(d.db, &first, &err), &err);
    assert_int_equal(HW_EBUSY, hw_txn_begin(d.db, &second, &err));
    hw_txn_abort(first);
    hwt_ok(hw_txn_begin(d.db, &second, &err), &err);
    hwt_ok(hw_txn_commit(second, &err), &err);
    hwt_db_close(&d);
}

/* Whether the system was told that reads of the database's file follow no order. */
static bool
is_read_at_random(void)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[4300];
    bool inside = false, found = false;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        if (strchr(line, '-') && strchr(line, '/')) inside = strstr(line, "/data.mdb") != NULL;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) found = found || strstr(line, " rr");
    }
    fclose(maps);
    return found;
}

static void
a_database_is_read_ahead_unless_told_otherwise(void **state)
{
    (void)state;
    hwt_db d;
    if (hwt_on_fdb()) skip();
    hwt_db_open(&d, true);
    assert_false(is_read_at_random());
    d.opts.no_read_ahead = true;
    hwt_db_reopen(&d);
    assert_true(is_read_at_random());
    hwt_db_close(&d);
}

/* The map is as large as the database may grow: what does not fit is refused whole, what was there
 * stays, and with a larger map it goes on. */
static void
a_full_database_refuses_and_loses_nothing(void **state)
{
    (void)state;
    enum { BATCH = 50, DIM = 100 };
    static float rows[BATCH][DIM];
    hwt_db d;
    hw_error err = {0};
    hw_id ids[BATCH];
    uint64_t acknowledged = 0;
    hw_status st;
    hwt_db_open(&d, true);
    hw_collection_close(hwt_collection(d.db, "things", "{\"dim\":100,\"metric\":\"l2\"}"));
    d.opts.map_bytes = 2 << 20;
    hwt_db_reopen(&d);
    hw_collection *c;
    hwt_ok(hw_collection_open(d.db, "things", &c, &err), &err);
    do {
        for (uint64_t i = 0; i < BATCH; i++) ids[i] = HW_ID_U64(acknowledged + i);
        st = hw_collection_upsert(c, ids, &rows[0][0], BATCH, NULL, &err);
        if (st == HW_OK) acknowledged += BATCH;
    } while (st == HW_OK && acknowledged < 100000);
    assert_int_equal(HW_ENOSPC, st);
    assert_true(strlen(err.message) > 0);
    assert_int_equal(acknowledged, hwt_count(c, NULL));
    hwt_db_check(d.db);
    hw_collection_close(c);
    d.opts.map_bytes = 64 << 20;
    hwt_db_reopen(&d);
    hwt_ok(hw_collection_open(d.db, "things", &c, &err), &err);
    assert_int_equal(acknowledged, hwt_count(c, NULL));
    hwt_ok(hw_collection_upsert(c, ids, &rows[0][0], BATCH, NULL, &err), &err);
    assert_int_equal(acknowledged + BATCH, hwt_count(c, NULL));
    hwt_db_check(d.db);
    hw_collection_close(c);
    hwt_db_close(&d);
}

static void
compact_backup_and_restore_keep_everything(void **state)
{
    (void)state;
    hwt_db d;
    hw_db *copy;
    hw_error err;
    hw_collection *c;
    char path[3][HWT_PATH + 16];
    const char *names[] = {"compacted", "backup", "restored"};
    hwt_db_open(&d, true);
    for (int i = 0; i < 3; i++) snprintf(path[i], sizeof *path, "%s/%s", d.place.scratch, names[i]);
    c = hwt_collection(d.db, "photos", HWT_PHOTOS);
    for (uint64_t i = 0; i < 50; i++) hwt_put_photo(c, i, (float)i, "{\"a\": 1}");
    hw_collection_close(c);
    hwt_ok((hwt_on_fdb() ? hw_db_copy : hw_db_compact)(d.db, path[0], NULL, NULL, &err), &err);
    hwt_ok(hw_db_backup(d.db, path[1], NULL, NULL, &err), &err);
    hwt_ok(hw_db_restore(path[1], path[2], NULL, NULL, &err), &err);
    assert_int_equal(HW_EEXIST, hw_db_copy(d.db, path[0], NULL, NULL, &err));
    assert_int_equal(HW_EEXIST, hw_db_restore(path[1], path[2], NULL, NULL, &err));
    assert_int_equal(HW_ENOTFOUND,
                     hw_db_restore("/nowhere/at/all", "/nowhere/db", NULL, NULL, &err));
    for (int i = 0; i < 3; i += 2) {
        hwt_ok(hw_db_open(path[i], NULL, &copy, &err), &err);
        hwt_db_check(copy);
        hwt_ok(hw_collection_open(copy, "photos", &c, &err), &err);
        assert_int_equal(50, hwt_count(c, NULL));
        hw_collection_close(c);
        hw_db_close(copy);
    }
    hwt_db_close(&d);
}

static void
facts_are_json(void **state)
{
    (void)state;
    char *json;
    hw_error err;
    hw_db *db = hwt_memory_db();
    hw_collection *c =
        hwt_collection(db, "p\"hotos",
                       "{\"vectors\": {\"a\": {\"dim\": 3, \"metric\": \"dot\", \"note\": [1]}},"
                       " \"payload_indexes\": {\"label\": \"keyword\"}, \"mine\": {\"x\": null}}");
    hwt_ok(hw_db_stats(db, &json, &err), &err);
    hwt_assert_json_has(json, "\"collections\":1");
    const char *parts[] = {"\"dim\":3",
                           "\"metric\":\"dot\"",
                           "\"note\":[1]",
                           "\"type\":\"keyword\"",
                           "\"mine\":{\"x\":null}",
                           "\"points\":0"};
    for (size_t i = 0; i < HWI_COUNT(parts); i++) {
        hwt_ok(hw_collection_describe(c, &json, &err), &err);
        hwt_assert_json_has(json, parts[i]);
    }
    hwt_ok(hw_collection_stats(c, &json, &err), &err);
    hwt_assert_json_has(json, "\"points\":0");
    assert_int_equal(3, hw_collection_dim(c, "a"));
    assert_int_equal(0, hw_collection_dim(c, NULL));
    hw_collection_close(c);
    hw_db_close(db);
}

/* ---- Collections ---- */

static void
collections_come_and_go(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error good;
    hw_collection *c, *other;
    char **names;
    size_t n;
    c = hwt_collection(db, "b", HWT_PHOTOS);
    other = hwt_collection(db, "a", HWT_PHOTOS);
    hwt_put_photo(c, 1, 1, NULL);
    hwt_ok(hw_collection_list(db, &names, &n, &good), &good);
    assert_int_equal(2, n);
    assert_string_equal("a", names[0]);
    assert_string_equal("b", names[1]);
    hw_free(names);
    hwt_fails(HW_EEXIST, "`a`", hw_collection_create(db, "a", HWT_PHOTOS, &err));
    hwt_fails(HW_EINVAL, "metric", hw_collection_create(db, "x", "{\"dim\":3}", &err));
    hwt_fails(HW_EINVAL, "NULL", hw_collection_create(db, "x", NULL, &err));
    hwt_fails(HW_EINVAL, "NULL", hw_collection_create(db, NULL, HWT_PHOTOS, &err));
    hwt_fails(HW_EINVAL, "empty", hw_collection_create(db, "", HWT_PHOTOS, &err));
    hwt_fails(HW_EINVAL, "payload_indexes",
              hw_collection_create(db, "x",
                                   "{\"dim\":1,\"metric\":\"l2\",\"payload_indexes\":{\"a..b\":"
                                   "\"keyword\"}}",
                                   &err));
    hwt_fails(HW_ENOTFOUND, "`x`", hw_collection_drop(db, "x", &err));
    hw_collection *none;
    hwt_fails(HW_ENOTFOUND, "`x`", hw_collection_open(db, "x", &none, &err));
    assert_null(none);

    hwt_ok(hw_collection_drop(db, "b", &good), &good);
    uint64_t points;
    hw_id id = HW_ID_U64(1);
    hwt_fails(HW_ENOTFOUND, "dropped", hw_collection_count(c, NULL, 0, &points, &err));
    hwt_fails(HW_ENOTFOUND, "dropped",
              hw_collection_upsert(c, &id, (float[]){1, 2, 3}, 1, NULL, &err));
    hw_collection_close(c);
    c = hwt_collection(db, "b",
                       HWT_PHOTOS); /* the name is free, and nothing is left of the first */
    assert_int_equal(0, hwt_count(c, NULL));
    hwt_db_check(db);
    hw_collection_close(c);
    hw_collection_close(other);
    hw_collection_close(NULL);
    hw_db_close(db);
}

/* More than one transaction's worth is deleted, and every key of it is gone. */
static void
a_large_collection_is_dropped_in_parts(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error err;
    static char text[30000];
    static const char *payloads[200];
    static hw_id ids[200];
    hw_collection *c = hwt_collection(db, "big", HWT_PHOTOS);
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + sizeof text - 3, "\"}", 3);
    for (size_t i = 0; i < HWI_COUNT(ids); i++) {
        ids[i] = HW_ID_U64(i);
        payloads[i] = text;
    }
    hwt_ok(hw_collection_upsert(c, ids, NULL, HWI_COUNT(ids), payloads, &err), &err);
    hw_collection_close(c);
    hwt_ok(hw_collection_drop(db, "big", &err), &err);
    hwt_db_check(db); /* would report keys that belong to no collection */
    hw_db_close(db);
}

static void
handles_see_each_others_commits(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error err;
    hw_collection *a = hwt_collection(db, "photos", HWT_PHOTOS), *b;
    hwt_ok(hw_collection_open(db, "photos", &b, &err), &err);
    for (uint64_t i = 0; i < 20; i++) {
        hwt_put_photo(i % 2 ? a : b, i, 1, NULL);
        assert_int_equal(i + 1, hwt_count(a, NULL));
        assert_int_equal(i + 1, hwt_count(b, NULL));
    }
    hw_collection_close(a);
    assert_int_equal(20, hwt_count(b, NULL));
    hw_collection_close(b);
    hw_db_close(db);
}

/* ---- Indexes ---- */

static bool
stop_at_once(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    (void)arg, (void)stage, (void)done, (void)total;
    return false;
}

static void
payload_indexes_are_built_resumed_and_removed(void **state)
{
    (void)state;
    enum { N = 20000 };
    static const char three[] = "{\"must\":[{\"key\":\"n\",\"match\":{\"value\":3}}]}";
    static hw_id ids[N];
    static const char *payloads[N];
    static char texts[N][16];
    hw_db *db = hwt_memory_db();
    hw_error good;
    char *json;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    for (uint64_t i = 0; i < N; i++) {
        ids[i] = HW_ID_U64(i);
        snprintf(texts[i], sizeof *texts, "{\"n\":%d}", (int)(i % 10));
        payloads[i] = texts[i];
    }
    hwt_ok(hw_collection_upsert(c, ids, NULL, N, payloads, &good), &good);
    assert_int_equal(N / 10, hwt_count(c, three));
    hwt_fails(HW_EINVAL, "word", hw_collection_index_payload(c, "n", "word", NULL, NULL, &err));
    hwt_fails(HW_EINVAL, "empty", hw_collection_index_payload(c, "", "integer", NULL, NULL, &err));
    hwt_fails(HW_EINVAL, "path",
              hw_collection_index_payload(c, "a..b", "integer", NULL, NULL, &err));
    hwt_fails(HW_ENOTFOUND, "`n`", hw_collection_unindex_payload(c, "n", &err));

    assert_int_equal(HW_ECANCELED,
                     hw_collection_index_payload(c, "n", "integer", stop_at_once, NULL, &good));
    hwt_ok(hw_collection_describe(c, &json, &good), &good);
    hwt_assert_json_has(json, "\"ready\":false");
    hwt_put_photo(c, 7, 1, "{\"n\": 3}"); /* while the index is half built, on either side */
    hwt_put_photo(c, N - 1, 1, "{\"n\": 3}");
    hwt_put_photo(c, N, 1, "{\"n\": 3}");
    assert_int_equal(N / 10 + 3, hwt_count(c, three));
    hwt_ok(hw_collection_index_payload(c, "n", "integer", NULL, NULL, &good), &good);
    hwt_ok(hw_collection_describe(c, &json, &good), &good);
    hwt_assert_json_has(json, "\"ready\":true");
    assert_int_equal(N / 10 + 3, hwt_count(c, three));
    hwt_db_check(db);
    hwt_ok(hw_collection_index_payload(c, "n", "integer", NULL, NULL, &good), &good);
    hwt_fails(HW_EEXIST, "integer",
              hw_collection_index_payload(c, "n", "keyword", NULL, NULL, &err));
    hwt_ok(hw_collection_unindex_payload(c, "n", &good), &good);
    assert_int_equal(N / 10 + 3, hwt_count(c, three));
    hwt_db_check(db);
    hwt_ok(hw_collection_index_payload(c, "n", "keyword", NULL, NULL, &good), &good);
    hw_collection_close(c);
    hw_db_close(db);
}

static void
building_an_index_keeps_answers(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error err;
    hw_result *r;
    hw_collection *c =
        hwt_collection(db, "photos", "{\"dim\":3,\"metric\":\"l2\",\"index\":{\"flat_below\":50}}");
    hwt_ok(hw_collection_build(c, NULL, NULL, &err), &err); /* nothing there yet */
    for (uint64_t i = 0; i < 500; i++) hwt_put_photo(c, i, (float)i, NULL);
    assert_int_equal(HW_ECANCELED, hw_collection_build(c, stop_at_once, NULL, &err));
    hwt_db_check(db);
    hwt_ok(hw_collection_build(c, NULL, NULL, &err), &err);
    hwt_db_check(db);
    hw_query q = HW_QUERY_INIT;
    q.vector = (float[]){250, 0, 0};
    q.dim = 3;
    q.exact = true;
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    assert_int_equal(10, hw_result_count(r));
    assert_int_equal(250, hw_result_ids(r)[0].as.u64);
    assert_float_equal(1, hw_result_recall(r), 0);
    hw_result_free(r);
    hw_collection_close(c);
    hw_db_close(db);
}

/* Deleting and putting back for ever takes no more room than once. */
static void
slots_of_deleted_points_are_used_again(void **state)
{
    (void)state;
    enum { N = 500 };
    static hw_id ids[N];
    static float rows[N][3];
    hw_db *db = hwt_memory_db();
    hw_error err;
    char *json;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    for (int round = 0; round < 12; round++) {
        for (uint64_t i = 0; i < N; i++) ids[i] = HW_ID_U64(i + (uint64_t)(round * N));
        hwt_ok(hw_collection_upsert(c, ids, &rows[0][0], N, NULL, &err), &err);
        hwt_ok(hw_collection_delete(c, ids, N, NULL, &err), &err);
    }
    hwt_ok(hw_collection_stats(c, &json, &err), &err);
    const char *slots = strstr(json, "\"slots\":");
    assert_non_null(slots);
    assert_true(atoi(slots + 8) <= 2 * N);
    hw_free(json);
    hwt_db_check(db);
    hw_collection_close(c);
    hw_db_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_and_kernels_have_names),
        cmocka_unit_test(open_says_why_it_fails),
        cmocka_unit_test(a_read_only_database_is_not_written),
        cmocka_unit_test(a_second_writer_is_told_to_wait),
        cmocka_unit_test(a_database_is_read_ahead_unless_told_otherwise),
        cmocka_unit_test(a_full_database_refuses_and_loses_nothing),
        cmocka_unit_test(compact_backup_and_restore_keep_everything),
        cmocka_unit_test(facts_are_json),
        cmocka_unit_test(collections_come_and_go),
        cmocka_unit_test(a_large_collection_is_dropped_in_parts),
        cmocka_unit_test(handles_see_each_others_commits),
        cmocka_unit_test(payload_indexes_are_built_resumed_and_removed),
        cmocka_unit_test(building_an_index_keeps_answers),
        cmocka_unit_test(slots_of_deleted_points_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
