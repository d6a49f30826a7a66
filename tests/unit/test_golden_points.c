/* A whole database of a released format (tests/golden/points-v1) restores, is sound, holds and
 * finds what it did, and is written on. */
#include "support/hwt_db.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GOLDEN HWT_SOURCE_DIR "/tests/golden/points-v1/backup"

enum { POINTS = 60, DIM = 5 };

static const char *const kinds[] = {"flat", "hybrid", "kdtree", "lsh"};
static const char *const metrics[] = {"l1", "cosine", "l2", "dot"};

/* ---- What is in it ---- */

static hw_id
id_of(uint64_t i)
{
    hw_id id = HW_ID_U64(i * 1000);
    if (i % 3 == 1) {
        id.kind = HW_ID_KIND_UUID;
        memset(id.as.uuid, (int)i, 16);
    } else if (i % 3 == 2) {
        id.kind = HW_ID_KIND_TEXT;
        id.as.text = &"ids of text, some long, some short"[i % 16];
        id.text_bytes = i % 2 ? 18 : 3;
    }
    return id;
}

static bool
is_there(uint64_t i)
{
    return i % 7 != 3;
}

static void
values(uint64_t i, float *v)
{
    for (uint64_t j = 0; j < DIM; j++) v[j] = (float)((i * 31 + j * 17) % 29) + 0.5f;
}

/* A payload of its own, for one point too large for a record. */
static char *
payload_of(uint64_t i)
{
    size_t bytes = i == 4 ? 100000 : 64;
    char *text = malloc(bytes + 1);
    int head = snprintf(text, bytes, "{\"n\": %d, \"fill\": \"", (int)(i % 5));
    memset(text + head, 'f', bytes - (size_t)head);
    memcpy(text + bytes - 2, "\"}", 3);
    return text;
}

/* Texts repeat every 48 numbers, so a later point replaces an earlier one of the same id. */
static bool
is_last_of_its_id(uint64_t i)
{
    hw_id id = id_of(i);
    for (uint64_t k = i + 1; k < POINTS; k++) {
        hw_id other = id_of(k);
        if (hw_id_compare(&id, &other) == 0) return false;
    }
    return true;
}

static void
make(hw_db *db)
{
    hw_error err;
    char config[300];
    for (size_t k = 0; k < HWI_COUNT(kinds); k++) {
        snprintf(config, sizeof config,
                 "{\"dim\":%d,\"metric\":\"%s\",\"index\":{\"kind\":\"%s\",\"flat_below\":20,"
                 "\"leaf_size\":16},\"payload_indexes\":{\"n\":\"integer\",\"fill\":\"keyword\"}}",
                 DIM, metrics[k], kinds[k]);
        hw_collection *c = hwt_collection(db, kinds[k], config);
        for (uint64_t i = 0; i < POINTS; i++) {
            hw_id id = id_of(i);
            float v[DIM];
            char *payload = payload_of(i);
            const char *payloads[] = {payload};
            values(i, v);
            hwt_ok(hw_collection_upsert(c, &id, v, 1, payloads, &err), &err);
            free(payload);
        }
        for (uint64_t i = 0; i < POINTS; i++) {
            hw_id id = id_of(i);
            if (!is_there(i)) hwt_ok(hw_collection_delete(c, &id, 1, NULL, &err), &err);
        }
        hw_collection_close(c);
    }
}

/* ---- Comparing ---- */

static void
compare_point(hw_collection *c, uint64_t i)
{
    hw_error err;
    hw_result *r;
    float v[DIM];
    hw_id id = id_of(i);
    char *payload = payload_of(i);
    values(i, v);
    hwt_ok(hw_collection_get(c, &id, 1, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &r, &err), &err);
    assert_int_equal(is_there(i), hw_result_count(r));
    if (is_there(i)) {
        assert_string_equal(payload, hw_result_payload(r, 0, NULL));
        assert_memory_equal(v, hw_result_vector(r, 0, NULL, NULL), sizeof v);
    }
    hw_result_free(r);
    free(payload);
}

static void
nearest_of_itself(hw_collection *c, uint64_t i)
{
    hw_error err;
    hw_result *r;
    float v[DIM];
    hw_query q = HW_QUERY_INIT;
    values(i, v);
    q.vector = v;
    q.dim = DIM;
    q.k = POINTS;
    q.filter = "{\"must\":[{\"key\":\"n\",\"match\":{\"value\":2}}]}";
    q.filter_bytes = strlen(q.filter);
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    size_t expected = 0;
    for (uint64_t k = 0; k < POINTS; k++) {
        expected += k % 5 == 2 && is_there(k) && is_last_of_its_id(k);
    }
    assert_int_equal(expected, hw_result_count(r));
    hw_result_free(r);
}

/* Every sixth point, integers among them, goes and comes back between neighbours that stay. */
static void
write_on(hw_collection *c)
{
    hw_error err;
    for (uint64_t i = 0; i < POINTS; i += 6) {
        hw_id id = id_of(i), near = HW_ID_U64(i * 1000 + 1);
        float v[DIM];
        char *payload = payload_of(i);
        const char *payloads[] = {payload};
        values(i, v);
        hwt_ok(hw_collection_delete(c, &id, 1, NULL, &err), &err);
        hwt_ok(hw_collection_upsert(c, &near, v, 1, payloads, &err), &err);
        if (is_there(i)) hwt_ok(hw_collection_upsert(c, &id, v, 1, payloads, &err), &err);
        compare_point(c, i);
        hwt_ok(hw_collection_delete(c, &near, 1, NULL, &err), &err);
        free(payload);
    }
}

static void
a_database_of_format_1_still_opens(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    hw_collection *c;
    char restored[HWT_PATH + 16];
    hwt_db_open(&d, true);
    if (getenv("HASHWOOD_GOLDEN_WRITE")) {
        make(d.db);
        hwt_ok(hw_db_backup(d.db, GOLDEN, NULL, NULL, &err), &err);
    }
    hw_db_close(d.db);
    snprintf(restored, sizeof restored, "%s/old", d.place.scratch);
    hwt_ok(hw_db_restore(GOLDEN, restored, NULL, NULL, &err), &err);
    hwt_ok(hw_db_open(restored, &d.opts, &d.db, &err), &err);
    hwt_db_check(d.db);
    for (size_t k = 0; k < HWI_COUNT(kinds); k++) {
        hwt_ok(hw_collection_open(d.db, kinds[k], &c, &err), &err);
        for (uint64_t i = 0; i < POINTS; i++) {
            if (is_last_of_its_id(i)) compare_point(c, i);
        }
        for (uint64_t i = 0; i < POINTS; i += 9) nearest_of_itself(c, i);
        write_on(c);
        hw_collection_close(c);
    }
    hwt_db_check(d.db);
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_database_of_format_1_still_opens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
