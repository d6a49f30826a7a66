/* Ten thousand small collections in one database: create, open all at once, write, search, list,
 * drop. Each step's processor time, which does not depend on who else is busy, has a bound. */
#include "support/hwt_db.h"

#include <stdio.h>
#include <time.h>

enum { N = 10000 };

static hw_collection *open_ones[N];

static const char *
name_of(int i)
{
    static char name[32];
    snprintf(name, sizeof name, "collection-%05d", i);
    return name;
}

static uint64_t
processor_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint64_t
step(const char *what, uint64_t since_us)
{
    uint64_t now = processor_us();
    print_message("  %-8s %6.2f us each\n", what, (double)(now - since_us) / N);
    assert_true(now - since_us < 20u * 1000000u);
    return now;
}

static void
create_all(hw_db *db)
{
    hw_error err;
    for (int i = 0; i < N; i++) {
        hwt_ok(hw_collection_create(db, name_of(i), "{\"dim\":2,\"metric\":\"l2\"}", &err), &err);
    }
}

static void
open_all(hw_db *db)
{
    hw_error err;
    for (int i = 0; i < N; i++) {
        hwt_ok(hw_collection_open(db, name_of(i), &open_ones[i], &err), &err);
    }
}

/* A hundred collections a transaction. */
static void
write_all(hw_db *db)
{
    hw_error err;
    hw_txn *txn = NULL;
    for (int i = 0; i < N; i++) {
        hw_id id = HW_ID_U64((uint64_t)i);
        hw_vector v = {.values = (float[]){(float)i, 1}, .dim = 2};
        if (i % 100 == 0) hwt_ok(hw_txn_begin(db, &txn, &err), &err);
        hwt_ok(hw_txn_upsert(txn, open_ones[i], &id, &v, 1, "{\"a\":1}", 7, &err), &err);
        if (i % 100 == 99) hwt_ok(hw_txn_commit(txn, &err), &err);
    }
}

static void
search_all(void)
{
    hw_error err;
    hw_result *r;
    hw_query q = HW_QUERY_INIT;
    q.vector = (float[]){0, 0};
    q.dim = 2;
    for (int i = 0; i < N; i++) {
        hwt_ok(hw_collection_search(open_ones[i], &q, &r, &err), &err);
        assert_int_equal(1, hw_result_count(r));
        assert_int_equal(i, hw_result_ids(r)[0].as.u64);
        hw_result_free(r);
    }
}

static void
drop_all(hw_db *db)
{
    hw_error err;
    for (int i = 0; i < N; i++) hwt_ok(hw_collection_drop(db, name_of(i), &err), &err);
}

static void
ten_thousand_collections_are_no_trouble(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    char **names;
    size_t count;
    hwt_db_open(&d, true);
    uint64_t at = processor_us();
    create_all(d.db);
    at = step("create", at);
    open_all(d.db);
    at = step("open", at);
    write_all(d.db);
    at = step("write", at);
    search_all();
    at = step("search", at);
    hwt_ok(hw_collection_list(d.db, &names, &count, &err), &err);
    assert_int_equal(N, count);
    assert_string_equal(name_of(N - 1), names[N - 1]);
    hw_free(names);
    for (int i = 0; i < N; i++) hw_collection_close(open_ones[i]);
    at = step("close", at);
    hwt_db_reopen(&d);
    assert_true(processor_us() - at < 1000000);
    at = processor_us();
    drop_all(d.db);
    step("drop", at);
    hwt_ok(hw_collection_list(d.db, &names, &count, &err), &err);
    assert_int_equal(0, count);
    hw_free(names);
    hwt_db_check(d.db);
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ten_thousand_collections_are_no_trouble)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
