/* Readers beside a writer: every answer is one of the states that were committed, and never goes
 * back in time. Runs under the thread sanitizer too. */
#include "support/hwt_db.h"

#include <pthread.h>
#include <stdio.h>

enum { POINTS = 48, READERS = 3, ROUNDS = 60, DIM = 4 };

typedef struct world {
    hwt_db d;
    hw_collection *c;
    atomic_uint committed; /* rounds whose commit has returned */
    atomic_bool done;
    hw_error error; /* of whoever fails first */
    atomic_bool failed;
} world;

static void
note(world *w, const char *what, const hw_error *err)
{
    if (atomic_exchange(&w->failed, true)) return;
    snprintf(w->error.message, sizeof w->error.message, "%s: %.400s", what, err->message);
}

/* Round n: every point's vector and payload say n, in one transaction. */
static hw_status
write_round(world *w, unsigned n, hw_error *err)
{
    hw_id ids[POINTS];
    float rows[POINTS][DIM];
    const char *payloads[POINTS];
    char payload[32];
    snprintf(payload, sizeof payload, "{\"round\":%u}", n);
    for (int i = 0; i < POINTS; i++) {
        ids[i] = HW_ID_U64((uint64_t)i);
        for (int j = 0; j < DIM; j++) rows[i][j] = (float)(n * 100) + (float)i;
        payloads[i] = payload;
    }
    return hw_collection_upsert(w->c, ids, &rows[0][0], POINTS, payloads, err);
}

static void *
writer(void *arg)
{
    world *w = arg;
    hw_error err = {0};
    for (unsigned n = 1; n <= ROUNDS; n++) {
        if (write_round(w, n, &err) != HW_OK) note(w, "write", &err);
        atomic_store(&w->committed, n);
        if (n % 20 == 0 && hw_collection_build(w->c, NULL, NULL, &err) != HW_OK) {
            note(w, "build", &err);
        }
    }
    atomic_store(&w->done, true);
    return NULL;
}

/* The round that an answer shows; all its points must agree. */
static unsigned
round_of(world *w, const hw_result *r)
{
    hw_error mixed = {.message = "an answer mixes two commits"};
    hw_error few = {.message = "an answer has too few points"};
    unsigned round = 0;
    if (hw_result_count(r) != POINTS) note(w, "search", &few);
    for (size_t i = 0; i < hw_result_count(r); i++) {
        unsigned n = 0;
        const char *payload = hw_result_payload(r, i, NULL);
        const float *v = hw_result_vector(r, i, NULL, NULL);
        if (payload) sscanf(payload, "{\"round\":%u}", &n);
        if (i == 0) round = n;
        bool fits = payload && v && v[0] == (float)(n * 100) + (float)hw_result_ids(r)[i].as.u64;
        if (n != round || !fits) note(w, "search", &mixed);
    }
    return round;
}

static void *
reader(void *arg)
{
    world *w = arg;
    hw_error err = {0}, back = {.message = "an answer is older than a commit before it"};
    hw_query q = HW_QUERY_INIT;
    q.vector = (float[DIM]){1, 2, 3, 4};
    q.dim = DIM;
    q.k = POINTS;
    q.exact = true;
    q.with = HW_WITH_PAYLOAD | HW_WITH_VECTOR;
    while (!atomic_load(&w->done)) {
        hw_result *r[4];
        unsigned before = atomic_load(&w->committed), round = 0;
        if (hw_collection_search(w->c, &q, &r[0], &err) != HW_OK) {
            note(w, "search", &err);
            break;
        }
        round = round_of(w, r[0]);
        hw_result_free(r[0]);
        if (round < before) note(w, "search", &back);
        hw_query batch[4] = {q, q, q, q};
        if (hw_collection_search_batch(w->c, batch, 4, 2, r, &err) != HW_OK) {
            note(w, "batch", &err);
            break;
        }
        unsigned first = round_of(w, r[0]);
        for (int i = 0; i < 4; i++) {
            if (round_of(w, r[i]) != first) note(w, "batch", &back);
            hw_result_free(r[i]);
        }
    }
    return NULL;
}

/* Opens and closes handles of its own meanwhile, and other collections come and go. */
static void *
visitor(void *arg)
{
    world *w = arg;
    hw_error err = {0};
    while (!atomic_load(&w->done)) {
        hw_collection *c;
        uint64_t n = 0;
        hw_error wrong = {.message = "the number of points is wrong"};
        if (hw_collection_open(w->d.db, "shared", &c, &err) != HW_OK) {
            note(w, "open", &err);
            break;
        }
        if (hw_collection_count(c, NULL, 0, &n, &err) != HW_OK) note(w, "count", &err);
        if (n != POINTS) note(w, "count", &wrong);
        hw_collection_close(c);
        hw_status st =
            hw_collection_create(w->d.db, "visitor", "{\"dim\":2,\"metric\":\"l2\"}", &err);
        if (st == HW_OK || st == HW_EEXIST) st = hw_collection_drop(w->d.db, "visitor", &err);
        if (st != HW_OK && st != HW_EBUSY) note(w, "create and drop", &err);
        char *json;
        if (hw_db_stats(w->d.db, &json, &err) == HW_OK) hw_free(json);
    }
    return NULL;
}

static void
answers_are_snapshots(bool on_disk)
{
    static world w;
    pthread_t threads[READERS + 2];
    memset(&w, 0, sizeof w);
    hw_error err;
    hwt_db_open(&w.d, on_disk);
    hw_collection_close(hwt_collection(
        w.d.db, "shared",
        "{\"dim\":4,\"metric\":\"l2\",\"index\":{\"flat_below\":20,\"leaf_size\":16},"
        "\"payload_indexes\":{\"round\":\"integer\"}}"));
    hwt_ok(hw_collection_open(w.d.db, "shared", &w.c, &err), &err);
    hwt_ok(write_round(&w, 0, &err), &err);
    pthread_create(&threads[0], NULL, writer, &w);
    pthread_create(&threads[1], NULL, visitor, &w);
    for (int i = 0; i < READERS; i++) pthread_create(&threads[2 + i], NULL, reader, &w);
    for (int i = 0; i < READERS + 2; i++) pthread_join(threads[i], NULL);
    if (atomic_load(&w.failed)) fail_msg("%s", w.error.message);
    hwt_db_check(w.d.db);
    hw_collection_close(w.c);
    hwt_db_close(&w.d);
}

static void
in_memory(void **state)
{
    (void)state;
    answers_are_snapshots(false);
}

static void
on_disk(void **state)
{
    (void)state;
    answers_are_snapshots(true);
}

/* An idle view lets go after another's commits: the writer of this process drops it at once. */
static void
idle_views_do_not_hold_old_pages(void **state)
{
    (void)state;
    static world w;
    hw_error err;
    char *json;
    memset(&w, 0, sizeof w);
    hwt_db_open(&w.d, true);
    w.c = hwt_collection(w.d.db, "shared", "{\"dim\":4,\"metric\":\"l2\"}");
    uint64_t sizes[2] = {0};
    for (int half = 0; half < 2; half++) {
        for (unsigned n = 0; n < 60; n++) {
            uint64_t count;
            hwt_ok(write_round(&w, n, &err), &err);
            hwt_ok(hw_collection_count(w.c, NULL, 0, &count, &err), &err); /* caches a view */
        }
        hwt_ok(hw_db_stats(w.d.db, &json, &err), &err);
        sscanf(strstr(json, "\"disk_bytes\":"), "\"disk_bytes\":%lu", &sizes[half]);
        hw_free(json);
    }
    assert_true(sizes[1] <= sizes[0] + 65536);
    hw_collection_close(w.c);
    hwt_db_close(&w.d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),
        cmocka_unit_test(on_disk),
        cmocka_unit_test(idle_views_do_not_hold_old_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
