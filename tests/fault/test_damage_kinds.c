/* Bytes of stored multi-vectors, sparse vectors and postings are flipped one after the other, and
 * values taken away: check finds every one, and searches fail cleanly or answer. */
#include "support/hwt_db.h"

#include "api/api.h"

enum { POINTS = 40, KEYS_MAX = 4000 };

static const char settings[] =
    "{\"vectors\": {\"m\": {\"dim\": 2, \"metric\": \"cosine\", \"multivector_config\": {}}},"
    " \"sparse_vectors\": {\"s\": {\"modifier\": \"idf\"}}}";

typedef struct pair {
    hwi_buf key, value;
} pair;

typedef struct pairs {
    pair p[KEYS_MAX];
    size_t count;
} pairs;

static hw_db *
filled(hw_collection **c)
{
    hw_db *db;
    hw_error err;
    hwt_ok(hw_db_open("mem:", NULL, &db, &err), &err);
    *c = hwt_collection(db, "c", settings);
    hw_txn *txn;
    hwt_ok(hw_txn_begin(db, &txn, &err), &err);
    for (uint32_t i = 0; i < POINTS; i++) {
        float rows[] = {(float)i + 1, 2, 3, (float)(i % 7)};
        uint32_t indices[] = {i % 5, 10 + i % 3, 100 + i};
        hw_vector v[] = {{.name = "m", .values = rows, .dim = 2, .rows = 2},
                         {.name = "s", .values = rows, .indices = indices, .dim = 3}};
        hw_id id = HW_ID_U64(i);
        hwt_ok(hw_txn_upsert(txn, *c, &id, v, 2, NULL, 0, &err), &err);
    }
    hwt_ok(hw_txn_commit(txn, &err), &err);
    return db;
}

static bool
note(void *arg, hw_bytes key, hw_bytes value)
{
    pairs *all = arg;
    assert_true(all->count < KEYS_MAX);
    pair *p = &all->p[all->count++];
    hwi_buf_add(&p->key, key.data, key.size);
    hwi_buf_add(&p->value, value.data, value.size);
    return true;
}

/* All keys of the subspaces that only these kinds use, and of their vectors. */
static pairs *
read_all(hw_db *db)
{
    static const hwi_sub subs[] = {HWI_SUB_VEC, HWI_SUB_HAS, HWI_SUB_INV};
    pairs *all = hwi_alloc_zero(sizeof *all);
    hw_store_txn *txn;
    hw_error err;
    hwt_ok(hwi_store_begin(db->store, HW_TXN_READ, &txn, &err), &err);
    for (size_t i = 0; i < HWI_COUNT(subs); i++) {
        hwi_key prefix;
        hwi_key_space(&prefix, subs[i]);
        hwt_ok(hwi_store_scan_prefix(txn, &prefix, note, all, &err), &err);
    }
    hwi_store_abort(txn);
    return all;
}

/* Puts a value (NULL: takes the key away). */
static void
put(hw_db *db, const pair *p, const uint8_t *value)
{
    hw_store_txn *txn;
    hw_error err;
    hwt_ok(hwi_store_begin(db->store, HW_TXN_WRITE, &txn, &err), &err);
    hw_bytes key = hwi_buf_bytes(&p->key);
    hwt_ok(value ? hwi_store_put(txn, key, hwi_bytes(value, p->value.size), &err)
                 : hwi_store_del(txn, key, &err),
           &err);
    hwt_ok(hwi_store_commit(txn, &err), &err);
    hwi_db_committed(db);
}

static void
search(hw_collection *c, const char *name, const uint32_t *indices)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r;
    hw_error err;
    float v[] = {1, 2, 3};
    q.vector_name = name, q.vector = v, q.dim = indices ? 3 : 2, q.indices = indices;
    q.with = HW_WITH_VECTOR;
    hw_status st = hw_collection_search(c, &q, &r, &err);
    if (st != HW_OK) assert_int_equal(HW_ECORRUPT, st);
    hw_result_free(r);
}

static void
must_be_found(hw_db *db, hw_collection *c, const pair *p, const char *what, size_t at)
{
    char text[128];
    hw_error err;
    if (hw_db_check(db, NULL, NULL, NULL, &err) != HW_ECORRUPT) {
        hwi_key_print(hwi_buf_bytes(&p->key), text, sizeof text);
        fail_msg("%s: %s at %zu is not found", text, what, at);
    }
    search(c, "m", NULL);
    search(c, "s", (uint32_t[]){0, 11, 107});
}

static void
every_damage_is_found(void **state)
{
    (void)state;
    hw_collection *c;
    hw_db *db = filled(&c);
    pairs *all = read_all(db);
    assert_true(all->count > POINTS * 2);
    for (size_t i = 0; i < all->count; i++) {
        pair *p = &all->p[i];
        for (size_t at = i % 7; at < p->value.size; at += 7) {
            p->value.data[at] ^= 0x41;
            put(db, p, p->value.data);
            must_be_found(db, c, p, "a flipped byte", at);
            p->value.data[at] ^= 0x41;
        }
        put(db, p, NULL);
        must_be_found(db, c, p, "a lost value", 0);
        put(db, p, p->value.data);
    }
    hwt_db_check(db);
    for (size_t i = 0; i < all->count; i++) {
        hwi_buf_release(&all->p[i].key);
        hwi_buf_release(&all->p[i].value);
    }
    hwi_free(all);
    hw_collection_close(c);
    hw_db_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_damage_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
