/* Aliases: second names that lead to collections, change together, and follow their collection. */
#include "support/hwt_db.h"

#include "api/api.h"

static const char config[] = "{\"dim\": 2, \"metric\": \"l2\"}";

#define fails(expected, part, call)                                                                \
    do {                                                                                           \
        hw_error err = {0};                                                                        \
        assert_int_equal((expected), (call));                                                      \
        if (!strstr(err.message, (part))) fail_msg("\"%s\" lacks \"%s\"", err.message, (part));    \
    } while (0)

static void
alias(hw_db *db, const char *name, const char *collection)
{
    hw_error err;
    hw_alias a = {name, collection};
    hwt_ok(hw_db_alias(db, &a, 1, &err), &err);
}

static void
expect_aliases(hw_db *db, const char *expected)
{
    char *json;
    hw_error err;
    hwt_ok(hw_db_aliases(db, &json, &err), &err);
    assert_string_equal(expected, json);
    hw_free(json);
}

static uint64_t
points_of(hw_db *db, const char *name)
{
    hw_collection *c;
    uint64_t n;
    hw_error err;
    hwt_ok(hw_collection_open(db, name, &c, &err), &err);
    hwt_ok(hw_collection_count(c, NULL, 0, &n, &err), &err);
    hw_collection_close(c);
    return n;
}

static void
put(hw_collection *c, uint64_t id)
{
    hw_error err;
    hw_id key = HW_ID_U64(id);
    hwt_ok(hw_collection_upsert(c, &key, (float[]){1, 2}, 1, NULL, &err), &err);
}

static void
an_alias_opens_its_collection_and_can_move(void **state)
{
    (void)state;
    hwt_db d;
    hwt_db_open(&d, true);
    hw_collection *one = hwt_collection(d.db, "one", config);
    hw_collection *two = hwt_collection(d.db, "two", config);
    put(one, 1);
    put(two, 1);
    put(two, 2);
    alias(d.db, "live", "one");
    assert_int_equal(1, points_of(d.db, "live"));
    alias(d.db, "live", "two");
    assert_int_equal(2, points_of(d.db, "live"));
    alias(d.db, "newest", "live"); /* by way of an alias: leads to the collection itself */
    alias(d.db, "live", "one");
    assert_int_equal(2, points_of(d.db, "newest"));
    expect_aliases(d.db, "[{\"alias_name\":\"live\",\"collection_name\":\"one\"},"
                         "{\"alias_name\":\"newest\",\"collection_name\":\"two\"}]");
    hw_collection_close(one);
    hw_collection_close(two);
    hwt_db_reopen(&d);
    assert_int_equal(1, points_of(d.db, "live"));
    hwt_db_check(d.db);
    hwt_db_close(&d);
}

static void
a_handle_opened_by_alias_knows_its_own_name(void **state)
{
    (void)state;
    hwt_db d;
    hw_collection *c;
    char *json;
    hw_error err;
    hwt_db_open(&d, false);
    hw_collection_close(hwt_collection(d.db, "one", config));
    alias(d.db, "x", "one");
    hwt_ok(hw_collection_open(d.db, "x", &c, &err), &err);
    hwt_ok(hw_collection_describe(c, &json, &err), &err);
    assert_non_null(strstr(json, "\"name\":\"one\""));
    hw_free(json);
    hw_collection_close(c);
    hwt_db_close(&d);
}

static void
names_and_aliases_do_not_meet(void **state)
{
    (void)state;
    hwt_db d;
    hw_alias both[] = {{"b", "one"}, {"one", "one"}};
    hwt_db_open(&d, false);
    hw_collection_close(hwt_collection(d.db, "one", config));
    alias(d.db, "a", "one");
    fails(HW_EEXIST, "alias of collection `one`", hw_collection_create(d.db, "a", config, &err));
    fails(HW_EEXIST, "`one`", hw_db_alias(d.db, both, 2, &err));
    expect_aliases(d.db, "[{\"alias_name\":\"a\",\"collection_name\":\"one\"}]"); /* all or none */
    fails(HW_ENOTFOUND, "`none`", hw_db_alias(d.db, &(hw_alias){"c", "none"}, 1, &err));
    fails(HW_ENOTFOUND, "`c`", hw_db_alias(d.db, &(hw_alias){"c", NULL}, 1, &err));
    fails(HW_EINVAL, "alias", hw_db_alias(d.db, &(hw_alias){"c/d", "one"}, 1, &err));
    fails(HW_EINVAL, "NULL", hw_db_alias(d.db, &(hw_alias){NULL, "one"}, 1, &err));
    alias(d.db, "a", NULL);
    expect_aliases(d.db, "[]");
    hw_error err;
    hwt_ok(hw_collection_create(d.db, "a", config, &err), &err);
    hwt_db_close(&d);
}

static void
a_drop_takes_the_aliases_along(void **state)
{
    (void)state;
    hwt_db d;
    hw_collection *c;
    hw_error err;
    hwt_db_open(&d, false);
    hw_collection_close(hwt_collection(d.db, "one", config));
    hw_collection_close(hwt_collection(d.db, "two", config));
    alias(d.db, "a", "one");
    alias(d.db, "b", "two");
    alias(d.db, "c", "one");
    hwt_ok(hw_collection_drop(d.db, "a", &err), &err); /* by alias: the collection goes */
    expect_aliases(d.db, "[{\"alias_name\":\"b\",\"collection_name\":\"two\"}]");
    assert_int_equal(HW_ENOTFOUND, hw_collection_open(d.db, "one", &c, NULL));
    assert_int_equal(HW_ENOTFOUND, hw_collection_open(d.db, "c", &c, NULL));
    hwt_db_check(d.db);
    hwt_db_close(&d);
}

/* Every write of a change of three aliases fails once: either all of it happened or nothing. */
static void
a_change_happens_whole_or_not_at_all(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        hw_store *inner, *fault;
        hw_db *db;
        hw_error err;
        char *json;
        hw_db_opts opts = HW_DB_OPTS_INIT;
        hwi_fault_plan plan = {.ops = HWI_FAULT_ANY, .status = HW_EIO};
        hw_alias set[] = {{"a", NULL}, {"b", "one"}, {"c", "two"}};
        hwt_ok(hwi_store_mem_new(&inner, &err), &err);
        hwt_ok(hwi_store_meta_check(inner, true, NULL, &err), &err);
        hwt_ok(hwi_store_fault_new(inner, &plan, &fault, &err), &err);
        hwt_ok(hwi_db_over_store(fault, &opts, &db, &err), &err);
        hw_collection_close(hwt_collection(db, "one", config));
        hw_collection_close(hwt_collection(db, "two", config));
        alias(db, "a", "one");
        plan.seen = 0;
        plan.nth = nth;
        hw_status st = hw_db_alias(db, set, 3, &err);
        bool fired = plan.fired;
        plan.nth = 0;
        hwt_ok(hw_db_aliases(db, &json, &err), &err);
        bool is_new = strstr(json, "\"b\"") && strstr(json, "\"c\"") && !strstr(json, "\"a\"");
        bool is_old = !strstr(json, "\"b\"") && !strstr(json, "\"c\"") && strstr(json, "\"a\"");
        assert_true(is_new || is_old);
        if (st == HW_OK) assert_true(is_new);
        hw_free(json);
        hwt_db_check(db);
        hw_db_close(db);
        if (!fired) break;
    }
}

static hw_status
plant(hw_store_txn *txn, void *arg, hw_error *err)
{
    hwi_key key;
    (void)arg;
    hwi_key_space(&key, HWI_SUB_META);
    hwi_key_uint(&key, 3);
    hwi_key_text(&key, "stray", 5);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes("gone", 4), err);
}

static void
note_damage(void *arg, const char *where, const char *what)
{
    (void)where;
    if (strstr(what, "`stray` leads to `gone`")) *(bool *)arg = true;
}

static void
check_finds_an_alias_of_nothing(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    bool found = false;
    hwt_db_open(&d, false);
    hwt_ok(hwi_store_run(d.db->store, plant, NULL, &err), &err);
    assert_int_equal(HW_ECORRUPT, hw_db_check(d.db, NULL, note_damage, &found, &err));
    assert_true(found);
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_opens_its_collection_and_can_move),
        cmocka_unit_test(a_handle_opened_by_alias_knows_its_own_name),
        cmocka_unit_test(names_and_aliases_do_not_meet),
        cmocka_unit_test(a_drop_takes_the_aliases_along),
        cmocka_unit_test(a_change_happens_whole_or_not_at_all),
        cmocka_unit_test(check_finds_an_alias_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
