/* Every public function on points: what it does, and each error its header documents. */
#include "support/hwt_api.h"

#include <math.h>
#include <stdlib.h>

/* ---- Writing ---- */

static void
bad_points_are_refused_and_the_transaction_goes_on(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error good;
    hw_txn *txn;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    hw_id id = HW_ID_U64(5), empty = {.kind = HW_ID_KIND_TEXT};
    hw_vector v = {.values = (float[]){1, 2, 3}, .dim = 3};
    hw_vector shorter = {.values = v.values, .dim = 2};
    hw_vector nan = {.values = (float[]){1, NAN, 3}, .dim = 3};
    hw_vector named = {.name = "other", .values = v.values, .dim = 3}, twice[] = {v, v};
    hwt_ok(hw_txn_begin(db, &txn, &good), &good);
    hwt_fails(HW_EINVAL, "2 values", hw_txn_upsert(txn, c, &id, &shorter, 1, NULL, 0, &err));
    hwt_fails(HW_EINVAL, "expects 3", hw_txn_upsert(txn, c, &id, &shorter, 1, NULL, 0, &err));
    hwt_fails(HW_EINVAL, "position 1", hw_txn_upsert(txn, c, &id, &nan, 1, NULL, 0, &err));
    hwt_fails(HW_EINVAL, "twice", hw_txn_upsert(txn, c, &id, twice, 2, NULL, 0, &err));
    hwt_fails(HW_EINVAL, "NULL", hw_txn_upsert(txn, c, &id, NULL, 1, NULL, 0, &err));
    hwt_fails(HW_ENOTFOUND, "`other`", hw_txn_upsert(txn, c, &id, &named, 1, NULL, 0, &err));
    hwt_fails(HW_EINVAL, "payload", hw_txn_upsert(txn, c, &id, &v, 1, "{", 1, &err));
    hwt_fails(HW_EINVAL, "id", hw_txn_upsert(txn, c, &empty, &v, 1, NULL, 0, &err));
    hwt_fails(HW_ENOTFOUND, "point 5", hw_txn_update_vectors(txn, c, &id, &v, 1, &err));
    hwt_fails(HW_ENOTFOUND, "point 5", hw_txn_delete_vectors(txn, c, &id, NULL, 0, &err));
    hwt_fails(HW_ENOTFOUND, "point 5",
              hw_txn_update_payload(txn, c, &id, HW_PAYLOAD_CLEAR, NULL, NULL, 0, &err));
    hwt_fails(HW_EINVAL, "NULL", hw_txn_upsert(txn, NULL, &id, &v, 1, NULL, 0, &err));
    hwt_ok(hw_txn_upsert(txn, c, &id, &v, 1, "{\"a\":1}", 7, &good), &good);
    hwt_ok(hw_txn_commit(txn, &good), &good);
    assert_int_equal(1, hwt_count(c, NULL));
    hwt_db_check(db);
    hw_collection_close(c);
    hw_db_close(db);
}

static void
a_batch_is_all_or_nothing_and_names_the_row(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error good;
    uint64_t deleted;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    hw_id ids[] = {HW_ID_U64(1), HW_ID_U64(2), HW_ID_U64(1)};
    float rows[] = {1, 0, 0, 2, 0, 0, 3, 0, NAN};
    const char *payloads[] = {"{\"n\":1}", NULL, "{\"n\":3}"};
    hwt_fails(HW_EINVAL, "row 2", hw_collection_upsert(c, ids, rows, 3, NULL, &err));
    hwt_fails(HW_EINVAL, "NULL", hw_collection_upsert(c, NULL, rows, 3, NULL, &err));
    assert_int_equal(0, hwt_count(c, NULL));

    hw_result *r;
    rows[8] = 0;
    hwt_ok(hw_collection_upsert(c, ids, rows, 3, payloads, &good), &good);
    assert_int_equal(2, hwt_count(c, NULL)); /* of two rows with one id the later wins */
    hwt_ok(hw_collection_get(c, ids, 1, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &r, &good), &good);
    assert_string_equal("{\"n\":3}", hw_result_payload(r, 0, NULL));
    assert_float_equal(3, hw_result_vector(r, 0, NULL, NULL)[0], 0);
    hw_result_free(r);
    hwt_ok(hw_collection_delete(c, ids, 3, &deleted, &good), &good);
    assert_int_equal(2, deleted);
    assert_int_equal(0, hwt_count(c, NULL));
    hwt_ok(hw_collection_upsert(c, NULL, NULL, 0, NULL, &good), &good);
    hw_collection_close(c);
    hw_db_close(db);
}

static void
a_transaction_spans_collections_and_can_be_aborted(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db(), *elsewhere = hwt_memory_db();
    hw_error good;
    hw_txn *txn;
    hw_id id = HW_ID_U64(1);
    hw_vector v = {.values = (float[]){1, 2, 3}, .dim = 3};
    hw_collection *a = hwt_collection(db, "a", HWT_PHOTOS),
                  *b = hwt_collection(db, "b", HWT_PHOTOS);
    hw_collection *stranger = hwt_collection(elsewhere, "a", HWT_PHOTOS);
    for (int round = 0; round < 2; round++) {
        hwt_ok(hw_txn_begin(db, &txn, &good), &good);
        hwt_ok(hw_txn_upsert(txn, a, &id, &v, 1, NULL, 0, &good), &good);
        hwt_ok(hw_txn_upsert(txn, b, &id, &v, 1, NULL, 0, &good), &good);
        hwt_fails(HW_EINVAL, "another database",
                  hw_txn_upsert(txn, stranger, &id, &v, 1, NULL, 0, &err));
        assert_int_equal(0, hwt_count(a, NULL)); /* not visible before the commit */
        if (round == 0) hw_txn_abort(txn);
        assert_int_equal(0, hwt_count(b, NULL));
    }
    hwt_ok(hw_txn_commit(txn, &good), &good);
    assert_int_equal(1, hwt_count(a, NULL));
    assert_int_equal(1, hwt_count(b, NULL));
    hw_txn_abort(NULL);
    hw_collection_close(a);
    hw_collection_close(b);
    hw_collection_close(stranger);
    hw_db_close(db);
    hw_db_close(elsewhere);
}

/* What comes back is what was given, bit for bit, also under cosine and for payloads of any size.
 */
static void
vectors_and_payloads_come_back_as_given(void **state)
{
    (void)state;
    enum { LARGE = 200000 };
    hwt_db d;
    hw_error err;
    hw_result *r;
    hw_id id = {
        .kind = HW_ID_KIND_TEXT, .text_bytes = 30, .as.text = "a string id of thirty bytes..."};
    float v[3] = {0.1f, -2.7182818f, 1e-7f};
    char *large = malloc(LARGE + 1);
    memset(large, ' ', LARGE);
    memcpy(large, "{\"a\" :\t1e0", 10);
    large[LARGE - 1] = '}';
    large[LARGE] = '\0';
    hwt_db_open(&d, true);
    hw_collection *c = hwt_collection(d.db, "c", "{\"dim\":3,\"metric\":\"cosine\"}");
    const char *payloads[] = {" { \"a\":1 } ", large, "{}"};
    for (size_t i = 0; i < HWI_COUNT(payloads); i++) {
        size_t bytes;
        uint32_t dim;
        hwt_ok(hw_collection_upsert(c, &id, v, 1, &payloads[i], &err), &err);
        hwt_ok(hw_collection_get(c, &id, 1, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &r, &err), &err);
        assert_string_equal(payloads[i], hw_result_payload(r, 0, &bytes));
        assert_int_equal(strlen(payloads[i]), bytes);
        assert_memory_equal(v, hw_result_vector(r, 0, "", &dim), sizeof v);
        assert_int_equal(3, dim);
        assert_int_equal(0, hw_id_compare(&id, hw_result_ids(r)));
        assert_null(hw_result_scores(r));
        assert_null(hw_result_vector(r, 0, "nope", NULL));
        assert_null(hw_result_payload(r, 9, NULL));
        hw_result_free(r);
    }
    hwt_db_check(d.db);
    hw_collection_close(c);
    hwt_db_close(&d);
    free(large);
}

/* A vector too long for one value of the store. */
static void
the_longest_vector_is_kept(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    hw_result *r;
    float *v = malloc(HW_DIM_MAX * sizeof *v);
    for (uint32_t i = 0; i < HW_DIM_MAX; i++) v[i] = (float)i;
    hwt_db_open(&d, true);
    hw_collection *c = hwt_collection(d.db, "long", "{\"dim\":65536,\"metric\":\"l2\"}");
    for (uint64_t i = 0; i < 3; i++) {
        hw_id id = HW_ID_U64(i);
        v[0] = (float)i;
        hwt_ok(hw_collection_upsert(c, &id, v, 1, NULL, &err), &err);
    }
    hw_query q = HW_QUERY_INIT;
    q.vector = v;
    q.dim = HW_DIM_MAX;
    q.with = HW_WITH_VECTOR;
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    assert_int_equal(3, hw_result_count(r));
    assert_int_equal(2, hw_result_ids(r)[0].as.u64);
    assert_float_equal(0, hw_result_scores(r)[0], 0);
    assert_memory_equal(v, hw_result_vector(r, 0, NULL, NULL), HW_DIM_MAX * sizeof *v);
    hw_result_free(r);
    hwt_db_check(d.db);
    hw_collection_close(c);
    hwt_db_close(&d);
    free(v);
}

/* ---- Reading ---- */

static void
search_checks_its_arguments(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_result *r;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    hw_id absent = HW_ID_U64(99);
    hwt_put_photo(c, 1, 1, NULL);
    hw_query ok = HW_QUERY_INIT, q;
    ok.vector = (float[]){1, 0, 0};
    ok.dim = 3;
#define refuses(expected, part, change)                                                            \
    do {                                                                                           \
        q = ok;                                                                                    \
        change;                                                                                    \
        hwt_fails(expected, part, hw_collection_search(c, &q, &r, &err));                          \
        assert_null(r);                                                                            \
    } while (0)
    refuses(HW_EINVAL, "3", q.dim = 2);
    refuses(HW_EINVAL, "finite", q.vector = ((float[]){1, NAN, 0}));
    refuses(HW_EINVAL, "k", q.k = 0);
    refuses(HW_EINVAL, "10000", q.k = HW_K_MAX + 1);
    refuses(HW_EINVAL, "10000", q.offset = HW_K_MAX);
    refuses(HW_EINVAL, "recall", q.recall = 0);
    refuses(HW_EINVAL, "recall", q.recall = 1.5);
    refuses(HW_ENOTFOUND, "nope", q.vector_name = "nope");
    refuses(HW_EINVAL, "filter", (q.filter = "{\"must\": 3}", q.filter_bytes = 11));
    refuses(HW_ENOTFOUND, "99", (q.vector = NULL, q.id = &absent));
    refuses(HW_EINVAL, "", q.vector = NULL);
    refuses(HW_EINVAL, "with", q.with = 64);
    hwt_fails(HW_EINVAL, "NULL", hw_collection_search(c, NULL, &r, &err));
    hw_collection_close(c);
    hw_db_close(db);
}

static void
search_by_vector_and_by_id(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error err;
    hw_result *r;
    hw_search_work work = {.size = sizeof work};
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    for (uint64_t i = 0; i < 30; i++) hwt_put_photo(c, i, (float)i, "{\"p\":1}");
    hw_query q = HW_QUERY_INIT;
    q.vector = (float[]){7.2f, 0, 0};
    q.dim = 3;
    q.k = 3;
    q.with = HW_WITH_PAYLOAD;
    q.explain = true;
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    assert_int_equal(3, hw_result_count(r));
    assert_int_equal(7, hw_result_ids(r)[0].as.u64);
    assert_int_equal(8, hw_result_ids(r)[1].as.u64);
    assert_float_equal(0.2, hw_result_scores(r)[0], 1e-5);
    assert_string_equal("{\"p\":1}", hw_result_payload(r, 2, NULL));
    assert_null(hw_result_vector(r, 0, NULL, NULL));
    assert_non_null(hw_result_explain(r));
    assert_true(hw_result_recall(r) > 0);
    hw_result_work(r, &work);
    assert_true(work.scanned + work.exact > 0);
    hw_result_free(r);

    hw_id seven = HW_ID_U64(7);
    q.vector = NULL;
    q.id = &seven;
    q.offset = 1;
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    assert_int_equal(3, hw_result_count(r));
    for (size_t i = 0; i < 3; i++) assert_true(hw_result_ids(r)[i].as.u64 != 7);
    assert_float_equal(1, hw_result_scores(r)[0], 0); /* the other of 6 and 8 */
    hw_result_free(r);

    q.offset = 0;
    q.has_score_threshold = true;
    q.score_threshold = 1;
    q.k = 10;
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    assert_int_equal(2, hw_result_count(r));
    hw_result_free(r);
    hw_result_free(NULL);
    hw_collection_close(c);
    hw_db_close(db);
}

static void
a_batch_answers_as_single_searches_do(void **state)
{
    (void)state;
    enum { N = 40 };
    hw_db *db = hwt_memory_db();
    hw_error good;
    hw_query q[N];
    hw_result *r[N], *single;
    static float v[N][3];
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    for (uint64_t i = 0; i < 300; i++) hwt_put_photo(c, i, (float)(i * i % 311), NULL);
    for (int i = 0; i < N; i++) {
        v[i][0] = (float)i * 7.3f;
        q[i] = HW_QUERY_INIT;
        q[i].vector = v[i];
        q[i].dim = 3;
    }
    for (uint32_t threads = 0; threads < 4; threads++) {
        hwt_ok(hw_collection_search_batch(c, q, N, threads, r, &good), &good);
        for (int i = 0; i < N; i++) {
            hwt_ok(hw_collection_search(c, &q[i], &single, &good), &good);
            assert_int_equal(hw_result_count(single), hw_result_count(r[i]));
            for (size_t j = 0; j < hw_result_count(single); j++) {
                assert_true(hw_result_ids(single)[j].as.u64 == hw_result_ids(r[i])[j].as.u64);
            }
            hw_result_free(single);
            hw_result_free(r[i]);
        }
    }
    q[17].dim = 2;
    hwt_fails(HW_EINVAL, "query 17", hw_collection_search_batch(c, q, N, 2, r, &err));
    for (int i = 0; i < N; i++) assert_null(r[i]);
    hwt_ok(hw_collection_search_batch(c, NULL, 0, 2, r, &good), &good);
    hw_collection_close(c);
    hw_db_close(db);
}

static void
a_query_can_be_cancelled_and_has_a_deadline(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error err;
    hw_cancel *cancel;
    hw_result *r;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    for (uint64_t i = 0; i < 20; i++) hwt_put_photo(c, i, (float)i, NULL);
    hw_query q = HW_QUERY_INIT;
    q.vector = (float[]){1, 0, 0};
    q.dim = 3;
    hwt_ok(hw_cancel_new(&cancel, &err), &err);
    q.cancel = cancel;
    hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
    hw_result_free(r);
    hw_cancel_signal(cancel);
    assert_int_equal(HW_ECANCELED, hw_collection_search(c, &q, &r, &err));
    hw_cancel_free(cancel);
    q.cancel = NULL;
    q.deadline_ms = 1;
    assert_int_equal(HW_ETIMEOUT, hw_collection_search(c, &q, &r, &err));
    hw_collection_close(c);
    hw_db_close(db);
}

static void
why_tells_rank_and_score(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error good;
    char *json;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    for (uint64_t i = 0; i < 20; i++) hwt_put_photo(c, i, (float)i, NULL);
    hw_query q = HW_QUERY_INIT;
    hw_id id = HW_ID_U64(5), absent = HW_ID_U64(77);
    q.vector = (float[]){1, 0, 0};
    q.dim = 3;
    hwt_ok(hw_collection_why(c, &q, &id, &json, &good), &good);
    hwt_assert_json_has(json, "rank");
    hwt_fails(HW_ENOTFOUND, "77", hw_collection_why(c, &q, &absent, &json, &err));
    hwt_fails(HW_EINVAL, "NULL", hw_collection_why(c, &q, NULL, &json, &err));
    hwt_fails(HW_EINVAL, "NULL", hw_collection_why(c, NULL, &id, &json, &err));
    assert_null(json);
    hw_collection_close(c);
    hw_db_close(db);
}

/* Points 0 to 19 lie at 0 to 19; the query at 0. */
static void
why_names_what_took_the_point_out(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error good;
    char *json;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    for (uint64_t i = 0; i < 20; i++) hwt_put_photo(c, i, (float)i, NULL);
    const hw_id zero = HW_ID_U64(0), five = HW_ID_U64(5);
    const float origin[] = {0, 0, 0};
    const char only_even[] = "{\"must\": [{\"has_id\": [0, 2, 4, 6]}]}";
    const struct {
        bool is_named; /* the query is point 0, and not a vector as good */
        uint32_t k, offset;
        const char *filter;
        float threshold;
        const hw_id *point;
        const char *said, *unsaid;
    } cases[] = {
        {false, 6, 0, NULL, 100, &five, "\"found\": true", "lost_at"},
        {false, 6, 0, NULL, 100, &five, "\"exact_rank\": 6", "lost_at"},
        {false, 5, 0, NULL, 100, &five, "\"lost_at\": \"rank: k or more", "\"rank\":"},
        {true, 5, 0, NULL, 100, &five, "\"exact_rank\": 5", "lost_at"},
        {true, 4, 0, NULL, 100, &five, "\"lost_at\": \"rank: k or more", "\"rank\":"},
        {true, 4, 0, NULL, 100, &zero, "the query names this point", "rank"},
        {false, 9, 6, NULL, 100, &five, "\"lost_at\": \"offset\"", "\"found\": true"},
        {false, 9, 5, NULL, 100, &five, "\"found\": true", "lost_at"},
        {false, 9, 0, NULL, 4.5f, &five, "\"lost_at\": \"score threshold\"", "\"found\": true"},
        {false, 9, 0, only_even, 100, &five, "\"lost_at\": \"filter\"", "rank"},
        {false, 9, 0, only_even, 100, &zero, "\"exact_rank\": 1", "lost_at"},
    };
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        hw_query q = HW_QUERY_INIT;
        if (cases[i].is_named) q.id = &zero;
        if (!cases[i].is_named) q.vector = origin, q.dim = 3;
        q.k = cases[i].k, q.offset = cases[i].offset;
        q.filter = cases[i].filter, q.filter_bytes = q.filter ? strlen(q.filter) : 0;
        q.has_score_threshold = true, q.score_threshold = cases[i].threshold;
        hwt_ok(hw_collection_why(c, &q, cases[i].point, &json, &good), &good);
        if (strstr(json, cases[i].unsaid)) fail_msg("case %zu: %s", i, json);
        hwt_assert_json_has(json, cases[i].said);
    }
    hw_collection_close(c);
    hw_db_close(db);
}

static void
get_leaves_absent_ids_out(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error good;
    hw_result *r;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    hwt_put_photo(c, 1, 1, NULL);
    hwt_put_photo(c, 3, 3, NULL);
    hw_id ids[] = {HW_ID_U64(3), HW_ID_U64(2), HW_ID_U64(1), HW_ID_U64(3)};
    hwt_ok(hw_collection_get(c, ids, 4, 0, &r, &good), &good);
    assert_int_equal(3, hw_result_count(r));
    assert_int_equal(3, hw_result_ids(r)[0].as.u64);
    assert_int_equal(1, hw_result_ids(r)[1].as.u64);
    hw_result_free(r);
    hwt_ok(hw_collection_get(c, NULL, 0, 0, &r, &good), &good);
    assert_int_equal(0, hw_result_count(r));
    hw_result_free(r);
    hwt_fails(HW_EINVAL, "NULL", hw_collection_get(c, NULL, 2, 0, &r, &err));
    hwt_fails(HW_EINVAL, "with", hw_collection_get(c, ids, 1, 8, &r, &err));
    hwt_fails(HW_EINVAL, "limit",
              hw_collection_scroll(c, NULL, 0, NULL, 0, 0, &r, NULL, NULL, &err));
    hwt_fails(HW_EINVAL, "filter",
              hw_collection_scroll(c, "{\"must\":1}", 10, NULL, 5, 0, &r, NULL, NULL, &err));
    uint64_t n;
    hwt_fails(HW_EINVAL, "filter", hw_collection_count(c, "{\"must\":1}", 10, &n, &err));
    hw_collection_close(c);
    hw_db_close(db);
}

static void
scroll_begins_at_any_id(void **state)
{
    (void)state;
    hw_db *db = hwt_memory_db();
    hw_error good;
    hw_collection *c = hwt_collection(db, "photos", HWT_PHOTOS);
    const uint64_t there[] = {0, 3, 15, 16, 40, 41, 47, 48, 1000, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = HWI_COUNT(there); i-- > 0;) hwt_put_photo(c, there[i], 1, NULL);
    for (size_t i = 0; i < HWI_COUNT(there); i++) {
        uint64_t before = i ? there[i - 1] + 1 : 0, starts[] = {there[i], before, there[i] / 2 + 1};
        for (size_t s = 0; s < HWI_COUNT(starts); s++) {
            hw_id from = HW_ID_U64(starts[s]), next;
            hw_result *r;
            bool more;
            if (starts[s] < before || starts[s] > there[i]) continue;
            hwt_ok(hw_collection_scroll(c, NULL, 0, &from, 1, 0, &r, &more, &next, &good), &good);
            assert_int_equal(1, hw_result_count(r));
            assert_true(hw_result_ids(r)[0].as.u64 == there[i]);
            assert_int_equal(i + 1 < HWI_COUNT(there), more);
            if (more) assert_true(next.as.u64 == there[i + 1]);
            hw_result_free(r);
        }
    }
    hw_collection_close(c);
    hw_db_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_points_are_refused_and_the_transaction_goes_on),
        cmocka_unit_test(a_batch_is_all_or_nothing_and_names_the_row),
        cmocka_unit_test(a_transaction_spans_collections_and_can_be_aborted),
        cmocka_unit_test(vectors_and_payloads_come_back_as_given),
        cmocka_unit_test(the_longest_vector_is_kept),
        cmocka_unit_test(search_checks_its_arguments),
        cmocka_unit_test(search_by_vector_and_by_id),
        cmocka_unit_test(a_batch_answers_as_single_searches_do),
        cmocka_unit_test(a_query_can_be_cancelled_and_has_a_deadline),
        cmocka_unit_test(why_tells_rank_and_score),
        cmocka_unit_test(why_names_what_took_the_point_out),
        cmocka_unit_test(get_leaves_absent_ids_out),
        cmocka_unit_test(scroll_begins_at_any_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
