/* Random operations on a database and on a plain array beside it; then everything the database can
 * answer is compared with the array, and hw_db_check finds nothing.
 *
 * Vectors hold small whole numbers, so that distances are exact in single precision and equal
 * distances are common. The seed is printed when a comparison fails. */
#include "support/hwt_db.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDS = 150, DIM = 6, SIDE_DIM = 3, CLASSES = 5 };

typedef struct point {
    bool exists, has_main, has_side;
    float main[DIM], side[SIDE_DIM];
    int class; /* payload {"class": n}; -1: no payload */
} point;

typedef struct world {
    hwt_db d;
    hw_collection *c;
    hw_collection *other; /* a second handle to the same collection */
    hwi_rng rng;
    const char *metric;
    point points[IDS];
    bool is_indexed;
} world;

static uint64_t
below(world *w, uint64_t n)
{
    return hwi_rng_below(&w->rng, n);
}

/* Ids of all three kinds, some strings longer than a slot row holds. */
static hw_id
id_of(int i)
{
    static const char *const texts = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    if (i % 3 == 0) return HW_ID_U64((uint64_t)i * 1000003u);
    hw_id id = {.kind = HW_ID_KIND_UUID};
    if (i % 3 == 1) {
        memset(id.as.uuid, i, 16);
        return id;
    }
    id.kind = HW_ID_KIND_TEXT;
    id.as.text = texts + i % 26;
    id.text_bytes = 1 + (uint32_t)(i / 26) * 4; /* distinct: start and length */
    return id;
}

static int
point_of(const hw_id *id)
{
    for (int i = 0; i < IDS; i++) {
        hw_id other = id_of(i);
        if (hw_id_compare(id, &other) == 0) return i;
    }
    fail_msg("an id came back that was never put in");
    return -1;
}

static void
random_values(world *w, float *v, int dim)
{
    do {
        for (int i = 0; i < dim; i++) v[i] = (float)below(w, 9) - 4;
        v[0] += 5; /* not all zeros */
    } while (v[0] == 0);
}

/* ---- Operations: on the transaction and on a copy of the array ---- */

static void
upsert(world *w, hw_txn *txn, point *p, const hw_id *id)
{
    hw_error err;
    char json[32];
    hw_vector v[2];
    size_t n = 0;
    *p = (point){.exists = true, .class = (int)below(w, CLASSES + 1) - 1};
    if (below(w, 10)) {
        p->has_main = true;
        random_values(w, p->main, DIM);
        v[n++] = (hw_vector){.name = "main", .values = p->main, .dim = DIM};
    }
    if (below(w, 2)) {
        p->has_side = true;
        random_values(w, p->side, SIDE_DIM);
        v[n++] = (hw_vector){.name = "side", .values = p->side, .dim = SIDE_DIM};
    }
    snprintf(json, sizeof json, "{\"class\": %d}", p->class);
    const char *payload = p->class < 0 ? NULL : json;
    hwt_ok(hw_txn_upsert(txn, w->c, id, v, n, payload, payload ? strlen(payload) : 0, &err), &err);
}

static void
change_vectors(world *w, hw_txn *txn, point *p, const hw_id *id)
{
    hw_error err;
    if (below(w, 2)) {
        const char *name = "main";
        hw_status st = hw_txn_delete_vectors(txn, w->c, id, &name, 1, &err);
        assert_int_equal(p->exists ? HW_OK : HW_ENOTFOUND, st);
        p->has_main = false;
        return;
    }
    float values[DIM];
    random_values(w, values, DIM);
    if (p->has_main && below(w, 3) == 0) memcpy(values, p->main, sizeof values);
    hw_vector v = {.name = "main", .values = values, .dim = DIM};
    assert_int_equal(p->exists ? HW_OK : HW_ENOTFOUND,
                     hw_txn_update_vectors(txn, w->c, id, &v, 1, &err));
    if (!p->exists) return;
    p->has_main = true;
    memcpy(p->main, values, sizeof values);
}

static void
change_payload(world *w, hw_txn *txn, point *p, const hw_id *id)
{
    hw_error err;
    char json[32];
    int class = (int)below(w, CLASSES);
    hw_status expected = p->exists ? HW_OK : HW_ENOTFOUND;
    snprintf(json, sizeof json, "{\"class\":%d}", class);
    switch (below(w, 3)) {
    case 0:
        assert_int_equal(expected, hw_txn_update_payload(txn, w->c, id, HW_PAYLOAD_SET, NULL, json,
                                                         strlen(json), &err));
        break;
    case 1:
        assert_int_equal(expected, hw_txn_update_payload(txn, w->c, id, HW_PAYLOAD_OVERWRITE, NULL,
                                                         json, strlen(json), &err));
        break;
    default:
        assert_int_equal(
            expected, hw_txn_update_payload(txn, w->c, id, HW_PAYLOAD_CLEAR, NULL, NULL, 0, &err));
        class = -1;
    }
    if (p->exists) p->class = class;
}

static void
one_operation(world *w, hw_txn *txn, point *points)
{
    hw_error err;
    bool existed;
    int i = (int)below(w, IDS);
    hw_id id = id_of(i);
    point *p = &points[i];
    switch (below(w, 8)) {
    case 0:
    case 1:
        hwt_ok(hw_txn_delete(txn, w->c, &id, &existed, &err), &err);
        assert_int_equal(p->exists, existed);
        *p = (point){.class = -1};
        break;
    case 2:
        change_vectors(w, txn, p, &id);
        break;
    case 3:
        change_payload(w, txn, p, &id);
        break;
    case 4: { /* refused, and the transaction goes on */
        hw_vector bad = {.name = "main", .values = (float[DIM]){NAN}, .dim = DIM};
        assert_int_equal(HW_EINVAL, hw_txn_upsert(txn, w->c, &id, &bad, 1, NULL, 0, &err));
        break;
    }
    default:
        upsert(w, txn, p, &id);
    }
}

static void
one_transaction(world *w)
{
    hw_error err;
    hw_txn *txn;
    point after[IDS];
    memcpy(after, w->points, sizeof after);
    hwt_ok(hw_txn_begin(w->d.db, &txn, &err), &err);
    for (uint64_t n = 1 + below(w, 30); n > 0; n--) one_operation(w, txn, after);
    if (below(w, 6) == 0) {
        hw_txn_abort(txn);
        return;
    }
    hwt_ok(hw_txn_commit(txn, &err), &err);
    memcpy(w->points, after, sizeof after);
}

/* ---- Comparisons ---- */

static float
score_of(const world *w, const float *a, const float *b)
{
    double dot = 0, l2 = 0, l1 = 0, aa = 0, bb = 0;
    for (int i = 0; i < DIM; i++) {
        dot += (double)a[i] * (double)b[i];
        l2 += pow((double)a[i] - (double)b[i], 2);
        l1 += fabs((double)a[i] - (double)b[i]);
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    if (strcmp(w->metric, "cosine") == 0) return (float)(dot / sqrt(aa * bb));
    if (strcmp(w->metric, "dot") == 0) return (float)dot;
    return (float)(strcmp(w->metric, "l2") == 0 ? sqrt(l2) : l1);
}

static bool
smaller_is_better(const world *w)
{
    return w->metric[0] == 'l';
}

static int
ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Exact search: as many as there can be, each with its own score, and no better one left out. */
static void
compare_search(world *w, int class)
{
    float q[DIM], expected[IDS];
    char filter[96];
    hw_error err;
    hw_result *r;
    size_t n = 0;
    random_values(w, q, DIM);
    for (int i = 0; i < IDS; i++) {
        const point *p = &w->points[i];
        if (!p->has_main || (class >= 0 && p->class != class)) continue;
        expected[n++] = score_of(w, q, p->main) * (smaller_is_better(w) ? 1 : -1);
    }
    qsort(expected, n, sizeof *expected, ascending);
    snprintf(filter, sizeof filter,
             "{\"must\": [{\"key\": \"class\", \"match\": {\"value\": %d}}]}", class);
    hw_query query = HW_QUERY_INIT;
    query.vector_name = "main";
    query.vector = q;
    query.dim = DIM;
    query.k = 1 + (uint32_t)below(w, IDS);
    query.exact = true;
    if (class >= 0) {
        query.filter = filter;
        query.filter_bytes = strlen(filter);
    }
    hwt_ok(hw_collection_search(w->other, &query, &r, &err), &err);
    assert_int_equal(HWI_MIN(n, query.k), hw_result_count(r));
    for (size_t i = 0; i < hw_result_count(r); i++) {
        const hw_id *id = &hw_result_ids(r)[i];
        const point *p = &w->points[point_of(id)];
        float score = hw_result_scores(r)[i];
        assert_true(p->has_main);
        assert_true(class < 0 || p->class == class);
        assert_float_equal(score_of(w, q, p->main), score, 1e-5);
        assert_float_equal(expected[i], (smaller_is_better(w) ? score : -score), 1e-5);
        if (i && score == hw_result_scores(r)[i - 1]) assert_true(hw_id_compare(id - 1, id) < 0);
    }
    hw_result_free(r);
}

static void
compare_points(world *w)
{
    hw_error err;
    hw_result *r;
    for (int i = 0; i < IDS; i++) {
        const point *p = &w->points[i];
        hw_id id = id_of(i);
        uint32_t dim;
        hwt_ok(hw_collection_get(w->c, &id, 1, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &r, &err), &err);
        assert_int_equal(p->exists, hw_result_count(r));
        const float *main = hw_result_vector(r, 0, "main", &dim);
        assert_int_equal(p->has_main, main != NULL);
        if (main) assert_memory_equal(p->main, main, sizeof p->main);
        const float *side = hw_result_vector(r, 0, "side", &dim);
        assert_int_equal(p->has_side, side != NULL);
        if (side) assert_memory_equal(p->side, side, sizeof p->side);
        const char *payload = hw_result_payload(r, 0, NULL);
        assert_int_equal(p->exists && p->class >= 0, payload != NULL);
        if (payload) assert_int_equal(p->class, atoi(strchr(payload, ':') + 1));
        hw_result_free(r);
    }
}

/* Scrolling by random steps passes every point once, in order. */
static void
compare_scroll(world *w, int class)
{
    hw_error err;
    hw_result *r = NULL, *before = NULL;
    hw_id next, last;
    char filter[96];
    size_t expected = 0, seen = 0;
    bool more = true, is_first = true;
    uint64_t count;
    for (int i = 0; i < IDS; i++) {
        expected += w->points[i].exists && (class < 0 || w->points[i].class == class);
    }
    snprintf(filter, sizeof filter, "{\"must\":[{\"key\":\"class\",\"match\":{\"value\":%d}}]}",
             class);
    const char *f = class < 0 ? NULL : filter;
    while (more) {
        uint32_t limit = 1 + (uint32_t)below(w, 60);
        hwt_ok(hw_collection_scroll(w->c, f, f ? strlen(f) : 0, is_first ? NULL : &next, limit, 0,
                                    &r, &more, &next, &err),
               &err);
        for (size_t i = 0; i < hw_result_count(r); i++) {
            const hw_id *id = &hw_result_ids(r)[i];
            if (seen++) assert_true(hw_id_compare(&last, id) < 0);
            assert_true(w->points[point_of(id)].exists);
            last = *id;
        }
        hw_result_free(before); /* `last` may point into it until now */
        before = r;
        is_first = false;
    }
    hw_result_free(before);
    assert_int_equal(expected, seen);
    hwt_ok(hw_collection_count(w->c, f, f ? strlen(f) : 0, &count, &err), &err);
    assert_int_equal(expected, count);
}

static void
compare_all(world *w)
{
    for (int i = 0; i < 4; i++) {
        compare_search(w, -1);
        compare_search(w, (int)below(w, CLASSES));
    }
    compare_points(w);
    compare_scroll(w, -1);
    compare_scroll(w, (int)below(w, CLASSES));
    hwt_db_check(w->d.db);
}

/* ---- The run ---- */

static void
close_handles(world *w)
{
    hw_collection_close(w->c);
    hw_collection_close(w->other);
}

static void
open_handles(world *w)
{
    hw_error err;
    hwt_ok(hw_collection_open(w->d.db, "things", &w->c, &err), &err);
    hwt_ok(hw_collection_open(w->d.db, "things", &w->other, &err), &err);
}

static void
now_and_then(world *w)
{
    hw_error err;
    switch (below(w, 12)) {
    case 0:
        close_handles(w);
        hwt_db_reopen(&w->d);
        open_handles(w);
        break;
    case 1:
        hwt_ok(hw_collection_build(w->c, NULL, NULL, &err), &err);
        break;
    case 2:
        if (w->is_indexed) {
            hwt_ok(hw_collection_unindex_payload(w->c, "class", &err), &err);
        } else {
            hwt_ok(hw_collection_index_payload(w->c, "class", "integer", NULL, NULL, &err), &err);
        }
        w->is_indexed = !w->is_indexed;
        break;
    default:
        break;
    }
}

static void
run(bool on_disk, const char *kind, const char *metric, uint64_t seed)
{
    static world w;
    char config[400];
    memset(&w, 0, sizeof w);
    w.metric = metric;
    hwi_rng_init(&w.rng, seed);
    for (int i = 0; i < IDS; i++) w.points[i].class = -1;
    print_message("  %s, %s, %s, seed %llu\n", on_disk ? "lmdb" : "mem", kind, metric,
                  (unsigned long long)seed);
    snprintf(config, sizeof config,
             "{\"vectors\": {\"main\": {\"dim\": %d, \"metric\": \"%s\"},"
             " \"side\": {\"dim\": %d, \"metric\": \"l2\"}},"
             " \"index\": {\"kind\": \"%s\", \"flat_below\": 30, \"leaf_size\": 16}}",
             DIM, metric, SIDE_DIM, kind);
    hwt_db_open(&w.d, on_disk);
    hw_collection_close(hwt_collection(w.d.db, "things", config));
    open_handles(&w);
    for (int round = 0; round < 40; round++) {
        one_transaction(&w);
        now_and_then(&w);
        if (round % 8 == 7) compare_all(&w);
    }
    close_handles(&w);
    hwt_db_close(&w.d);
}

static void
database_answers_as_an_array_does(void **state)
{
    static const char *const kinds[] = {"flat", "hybrid", "kdtree", "lsh"};
    static const char *const metrics[] = {"l2", "cosine", "dot", "l1"};
    (void)state;
    const char *rounds = getenv("HASHWOOD_TEST_ROUNDS");
    uint64_t seeds = rounds ? strtoull(rounds, NULL, 10) : 1;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        for (size_t k = 0; k < HWI_COUNT(kinds); k++) {
            for (size_t m = 0; m < HWI_COUNT(metrics); m++) {
                run((k + m) % 2, kinds[k], metrics[m], seed * 1000 + k * 10 + m);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(database_answers_as_an_array_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
