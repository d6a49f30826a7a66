/* A process that stops while the keys of a dropped field are being deleted: the field is gone, the
 * database sound, and the next commit to the collection deletes what was left. */
#include "support/hwt_db.h"

#include "api/api.h"

#include <stdio.h>

enum { POINTS = 30000, BATCH = 5000 };

static const char settings[] = "{\"vectors\": {\"stays\": {\"dim\": 1, \"metric\": \"l2\"}},"
                               " \"sparse_vectors\": {\"goes\": {}}}";

static hw_db *
open_faulty(hwi_fault_plan *plan)
{
    hw_store *inner, *fault;
    hw_db *db;
    hw_error err;
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hwt_ok(hwi_store_mem_new(&inner, &err), &err);
    hwt_ok(hwi_store_meta_check(inner, true, NULL, &err), &err);
    hwt_ok(hwi_store_fault_new(inner, plan, &fault, &err), &err);
    hwt_ok(hwi_db_over_store(fault, &opts, &db, &err), &err);
    return db;
}

static void
load(hw_db *db, hw_collection *c, uint64_t from, uint64_t to)
{
    hw_error err;
    hw_txn *txn;
    hwt_ok(hw_txn_begin(db, &txn, &err), &err);
    for (uint64_t i = from; i < to; i++) {
        hw_id id = HW_ID_U64(i);
        hw_vector v = {.name = "goes",
                       .values = (float[]){1, 2},
                       .indices = (uint32_t[]){(uint32_t)i, (uint32_t)(i % 9) + POINTS},
                       .dim = 2};
        hwt_ok(hw_txn_upsert(txn, c, &id, &v, 1, NULL, 0, &err), &err);
    }
    hwt_ok(hw_txn_commit(txn, &err), &err);
}

static bool
count_key(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key, (void)value;
    ++*(uint64_t *)arg;
    return true;
}

/* Keys of vectors and postings. */
static uint64_t
keys_left(hw_db *db)
{
    static const hwi_sub subs[] = {HWI_SUB_VEC, HWI_SUB_HAS, HWI_SUB_INV};
    hw_store_txn *txn;
    hw_error err;
    uint64_t count = 0;
    hwt_ok(hwi_store_begin(db->store, HW_TXN_READ, &txn, &err), &err);
    for (size_t i = 0; i < HWI_COUNT(subs); i++) {
        hwi_key prefix;
        hwi_key_space(&prefix, subs[i]);
        hwt_ok(hwi_store_scan_prefix(txn, &prefix, count_key, &count, &err), &err);
    }
    hwi_store_abort(txn);
    return count;
}

static void
a_drop_cut_short_is_finished_by_the_next_commit(void **state)
{
    (void)state;
    hw_error err = {0};
    hw_collection *c;
    hw_id id = HW_ID_U64(1);
    hw_vector v = {.name = "stays", .values = (float[]){1}, .dim = 1};
    hwi_fault_plan plan = {.ops = HWI_FAULT_COMMIT, .status = HW_ENOSPC, .action = HWI_FAULT_FAIL};
    hw_db *db = open_faulty(&plan);
    hwt_ok(hw_collection_create(db, "c", settings, &err), &err);
    hwt_ok(hw_collection_open(db, "c", &c, &err), &err);
    for (uint64_t i = 0; i < POINTS; i += BATCH) load(db, c, i, i + BATCH);
    uint64_t before = keys_left(db);
    plan.seen = 0, plan.nth = 2; /* the first commit takes the field away, the second fails */
    assert_int_equal(HW_ENOSPC, hw_collection_drop_vector(c, "goes", &err));
    plan.nth = 0;
    uint64_t left = keys_left(db);
    assert_true(left > 0);
    assert_true(left < before);
    hwt_db_check(db);
    assert_int_equal(HW_ENOTFOUND, hw_collection_drop_vector(c, "goes", &err));
    /* the same name at once, under another number */
    hwt_ok(hw_collection_add_vector(c, "goes", true, "{}", &err), &err);
    load(db, c, 5, 6);
    assert_int_equal(4, keys_left(db)); /* one vector, its bit, two postings */
    hwt_db_check(db);
    hw_txn *txn;
    hwt_ok(hw_txn_begin(db, &txn, &err), &err);
    hwt_ok(hw_txn_upsert(txn, c, &id, &v, 1, NULL, 0, &err), &err);
    hwt_ok(hw_txn_commit(txn, &err), &err);
    hw_collection_close(c);
    hw_db_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drop_cut_short_is_finished_by_the_next_commit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
