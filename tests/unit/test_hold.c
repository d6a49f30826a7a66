/* hw_collection_hold: one snapshot for several calls, and an end to all of them. */
#include "support/hwt_db.h"

#include <stdio.h>

#include "api/api.h"

enum { POINTS = 600 }; /* more than any call looks at before it looks at the clock */

static const char config[] =
    "{\"dim\": 2, \"metric\": \"l2\", \"payload_indexes\": {\"n\": \"integer\"}}";
static const char filter[] =
    "{\"must\": [{\"key\": \"free\", \"match\": {\"value\": 1}}]}"; /* no index */

static void
put(hw_collection *c, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        hw_error err;
        char text[64];
        const char *payload = text;
        hw_id id = HW_ID_U64(i);
        snprintf(text, sizeof text, "{\"n\": %d, \"free\": 1}", (int)(i % 3));
        hwt_ok(hw_collection_upsert(c, &id, (float[]){(float)i, 1}, 1, &payload, &err), &err);
    }
}

static const hw_id first_id = HW_ID_U64(0);

/* Calls that read, each with the number of points (for a facet: values) it finds. */
enum { SEARCH, BATCH, GET, COUNT, SCROLL, ORDERED, SAMPLE, FACET, CALLS };

static hw_status
call(int which, hw_collection *c, size_t *found, hw_error *err)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r = NULL;
    hw_status st = HW_OK;
    uint64_t count = 0;
    char *json = NULL;
    q.vector = (float[]){0, 0};
    q.dim = 2;
    q.k = 2 * POINTS;
    q.exact = true;
    switch (which) {
    case SEARCH:
        st = hw_collection_search(c, &q, &r, err);
        break;
    case BATCH:
        st = hw_collection_search_batch(c, &q, 1, 1, &r, err);
        break;
    case GET:
        st = hw_collection_get(c, &first_id, 1, HW_WITH_PAYLOAD, &r, err);
        break;
    case COUNT:
        st = hw_collection_count(c, filter, strlen(filter), &count, err);
        break;
    case SCROLL:
        st = hw_collection_scroll(c, NULL, 0, NULL, 2 * POINTS, HW_WITH_PAYLOAD, &r, NULL, NULL,
                                  err);
        break;
    case ORDERED:
        st = hw_collection_ordered(c, NULL, 0, "n", false, NULL, 2 * POINTS, 0, &r, err);
        break;
    case SAMPLE:
        st = hw_collection_sample(c, NULL, 0, 1, 2 * POINTS, HW_WITH_VECTOR, &r, err);
        break;
    default:
        st = hw_collection_facet(c, "n", filter, strlen(filter), 10, &json, err);
        for (const char *at = json; at && (at = strstr(at, "\"value\"")); at++) count++;
        hw_free(json);
    }
    *found = r ? hw_result_count(r) : (size_t)count;
    hw_result_free(r);
    return st;
}

static void
assert_found(hw_collection *c, size_t points)
{
    for (int i = 0; i < CALLS; i++) {
        hw_error err;
        size_t found;
        hwt_ok(call(i, c, &found, &err), &err);
        size_t expected = i == GET ? points > 0 : i == FACET ? (points ? 3 : 0) : points;
        if (found != expected) fail_msg("call %d found %zu, not %zu", i, found, expected);
    }
}

static void
a_held_handle_reads_one_snapshot(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        hwt_db d;
        hw_error err;
        hw_collection *before, *after;
        hwt_db_open(&d, on_disk);
        hw_collection *c = hwt_collection(d.db, "photos", config);
        put(c, 0, POINTS);
        hwt_ok(hw_collection_hold(c, 0, NULL, &before, &err), &err);
        put(c, POINTS, 10);
        hwt_ok(hw_collection_hold(c, 0, NULL, &after, &err), &err);
        assert_found(c, POINTS + 10);
        hwt_ok(hw_collection_delete(c, &first_id, 1, NULL, &err), &err);
        assert_found(before, POINTS);
        assert_found(after, POINTS + 10);
        hw_collection_close(c);
        hwt_ok(hw_collection_drop(d.db, "photos", &err), &err);
        assert_found(before, POINTS);
        assert_int_equal(HW_ENOTFOUND, hw_collection_hold(before, 0, NULL, &c, &err));
        assert_null(c);
        hw_collection_close(before);
        hw_collection_close(after);
        hwt_db_close(&d);
    }
}

static void
a_held_handle_can_be_written_through(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    hw_collection *held;
    hwt_db_open(&d, false);
    hw_collection *c = hwt_collection(d.db, "photos", config);
    hwt_ok(hw_collection_hold(c, 0, NULL, &held, &err), &err);
    put(held, 0, POINTS);
    assert_found(c, POINTS);
    assert_found(held, 0);
    hw_collection_close(held);
    hw_collection_close(c);
    hwt_db_close(&d);
}

/* Before a call begins, and in the midst of each: the handle's own view is told to stop, which the
 * beginning does not see. */
static void
a_held_handle_gives_up(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    hw_cancel *cancel;
    hw_collection *held, *late;
    hwt_db_open(&d, false);
    hw_collection *c = hwt_collection(d.db, "photos", config);
    put(c, 0, POINTS);
    hwt_ok(hw_cancel_new(&cancel, &err), &err);
    hwt_ok(hw_collection_hold(c, hwi_clock_us() / 1000 + 100000, cancel, &held, &err), &err);
    hwt_ok(hw_collection_hold(c, 1, NULL, &late, &err), &err);
    assert_found(held, POINTS);
    for (int i = 0; i < CALLS; i++) {
        size_t found;
        const hwi_stop stop = {.deadline_us = 1};
        assert_int_equal(HW_ETIMEOUT, call(i, late, &found, &err));
        assert_string_equal("the deadline passed", err.message);
        held->hold->own.stop = &stop;
        if (call(i, held, &found, &err) != HW_ETIMEOUT) fail_msg("call %d went on", i);
        assert_int_equal(0, found);
        held->hold->own.stop = &held->hold->stop;
    }
    hw_cancel_signal(cancel);
    for (int i = 0; i < CALLS; i++) {
        size_t found;
        assert_int_equal(HW_ECANCELED, call(i, held, &found, &err));
    }
    hw_collection_close(held);
    hw_collection_close(late);
    hw_cancel_free(cancel);
    hw_collection_close(c);
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_held_handle_reads_one_snapshot),
                                       cmocka_unit_test(a_held_handle_can_be_written_through),
                                       cmocka_unit_test(a_held_handle_gives_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
