/* Vectors of every kind through the public functions: examples, edges and mistakes. */
#include "support/hwt_db.h"

#include <math.h>
#include <stdio.h>

static const char settings[] =
    "{\"vectors\": {\"dense\": {\"dim\": 2, \"metric\": \"cosine\", \"hnsw_config\": {\"m\": 4}},"
    " \"multi\": {\"size\": 2, \"distance\": \"Cosine\","
    "           \"multivector_config\": {\"comparator\": \"max_sim\"}}},"
    " \"sparse_vectors\": {\"sparse\": {\"modifier\": \"idf\", \"index\": {\"on_disk\": true}}},"
    " \"shards\": {\"a\": 1, \"b\": 2}}";

typedef struct fixture {
    hwt_db d;
    hw_collection *c;
} fixture;

static void
set_up(fixture *f)
{
    hwt_db_open(&f->d, false);
    f->c = hwt_collection(f->d.db, "c", settings);
}

static void
tear_down(fixture *f)
{
    hwt_db_check(f->d.db);
    hw_collection_close(f->c);
    hwt_db_close(&f->d);
}

static hw_status
put(fixture *f, uint64_t id, const hw_vector *v, hw_error *err)
{
    hw_txn *txn;
    hw_id point = HW_ID_U64(id);
    HWI_TRY(hw_txn_begin(f->d.db, &txn, err));
    hw_status st = hw_txn_upsert(txn, f->c, &point, v, 1, NULL, 0, err);
    if (st == HW_OK) return hw_txn_commit(txn, err);
    hw_txn_abort(txn);
    return st;
}

static void
put_ok(fixture *f, uint64_t id, hw_vector v)
{
    hw_error err;
    hwt_ok(put(f, id, &v, &err), &err);
}

static void
refused(fixture *f, hw_vector v, const char *part)
{
    hw_error err = {0};
    assert_int_equal(HW_EINVAL, put(f, 99, &v, &err));
    if (!strstr(err.message, part)) fail_msg("message \"%s\" lacks \"%s\"", err.message, part);
}

static hw_result *
found(fixture *f, const hw_query *q)
{
    hw_result *r;
    hw_error err;
    hwt_ok(hw_collection_search(f->c, q, &r, &err), &err);
    return r;
}

static void
not_found(fixture *f, const hw_query *q, hw_status expected, const char *part)
{
    hw_result *r;
    hw_error err = {0};
    assert_int_equal(expected, hw_collection_search(f->c, q, &r, &err));
    assert_null(r);
    if (!strstr(err.message, part)) fail_msg("message \"%s\" lacks \"%s\"", err.message, part);
}

static void
assert_hit(const hw_result *r, size_t i, uint64_t id, double score)
{
    assert_true(i < hw_result_count(r));
    assert_int_equal(id, hw_result_ids(r)[i].as.u64);
    if (fabs((double)hw_result_scores(r)[i] - score) > 1e-6)
        fail_msg("hit %zu has %.9g, expected %.9g", i, (double)hw_result_scores(r)[i], score);
}

/* ---- Stored vectors ---- */

static void
mistakes_in_vectors_are_named(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    float v[] = {1, 2, 0, 0}, bad[] = {1, NAN}, inf[] = {INFINITY, 1};
    uint32_t twice[] = {7, 3, 7}, some[] = {1, 2, 3, 4};
    refused(&f, (hw_vector){"sparse", v, 3, 0, twice}, "index 7 occurs twice");
    refused(&f, (hw_vector){"sparse", bad, 2, 0, some}, "position 1 is NaN");
    refused(&f, (hw_vector){"sparse", inf, 2, 0, some}, "position 0 is infinite");
    refused(&f, (hw_vector){"sparse", v, 2, 0, NULL}, "indices is NULL");
    refused(&f, (hw_vector){"sparse", v, HW_DIM_MAX + 1, 0, some}, "above the maximum 65536");
    refused(&f, (hw_vector){"multi", v, 2, 2, NULL}, "row 1");
    refused(&f, (hw_vector){"multi", v, 2, HW_MULTI_VALUES_MAX, NULL}, "above the maximum");
    refused(&f, (hw_vector){"multi", v, 3, 1, NULL}, "expects 2");
    refused(&f, (hw_vector){"multi", v, 2, 1, some}, "given as a sparse one");
    refused(&f, (hw_vector){"dense", v, 2, 2, NULL}, "given as a multi one");
    refused(&f, (hw_vector){"dense", v, 2, 0, some}, "given as a sparse one");
    tear_down(&f);
}

static void
sparse_vectors_come_back_sorted_and_may_be_empty(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    hw_result *r;
    hw_vector v;
    hw_error err;
    hw_id id = HW_ID_U64(1);
    put_ok(&f, 1, (hw_vector){"sparse", (float[]){3, 1, 2}, 3, 0, (uint32_t[]){9, UINT32_MAX, 0}});
    hwt_ok(hw_collection_get(f.c, &id, 1, HW_WITH_VECTOR, &r, &err), &err);
    assert_true(hw_result_stored_vector(r, 0, "sparse", &v));
    assert_int_equal(3, v.dim);
    assert_memory_equal(((uint32_t[]){0, 9, UINT32_MAX}), v.indices, 12);
    assert_memory_equal(((float[]){2, 3, 1}), v.values, 12);
    assert_null(hw_result_vector(r, 0, "sparse", NULL));
    assert_false(hw_result_stored_vector(r, 0, "multi", &v));
    hw_result_free(r);
    put_ok(&f, 1, (hw_vector){"sparse", NULL, 0, 0, (uint32_t[]){0}});
    hwt_ok(hw_collection_get(f.c, &id, 1, HW_WITH_VECTOR, &r, &err), &err);
    assert_true(hw_result_stored_vector(r, 0, "sparse", &v));
    assert_int_equal(0, v.dim);
    hw_result_free(r);
    tear_down(&f);
}

static void
long_multi_vectors_take_several_values(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    enum { LONG = 20000 };
    float *values = hwi_alloc(LONG * 2 * sizeof *values);
    hw_result *r;
    hw_vector v;
    hw_error err;
    hw_id id = HW_ID_U64(1);
    for (int i = 0; i < LONG * 2; i++) values[i] = (float)(i % 97) + 1;
    put_ok(&f, 1, (hw_vector){"multi", values, 2, LONG, NULL});
    hwt_ok(hw_collection_get(f.c, &id, 1, HW_WITH_VECTOR, &r, &err), &err);
    assert_true(hw_result_stored_vector(r, 0, "multi", &v));
    assert_int_equal(LONG, v.rows);
    assert_memory_equal(values, v.values, LONG * 2 * sizeof *values);
    hw_result_free(r);
    hw_query q = HW_QUERY_INIT;
    q.vector_name = "multi", q.vector = values, q.dim = 2, q.rows = 2;
    r = found(&f, &q);
    assert_hit(r, 0, 1, 2.0);
    hw_result_free(r);
    hwi_free(values);
    tear_down(&f);
}

/* ---- Scores ---- */

static void
idf_weighs_rare_indices_more(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    put_ok(&f, 1, (hw_vector){"sparse", (float[]){1, 2}, 2, 0, (uint32_t[]){1, 5}});
    put_ok(&f, 2, (hw_vector){"sparse", (float[]){3}, 1, 0, (uint32_t[]){1}});
    put_ok(&f, 3, (hw_vector){"sparse", (float[]){1}, 1, 0, (uint32_t[]){8}});
    put_ok(&f, 4, (hw_vector){"dense", (float[]){1, 1}, 2, 0, NULL});
    hw_query q = HW_QUERY_INIT;
    q.vector_name = "sparse", q.vector = (float[]){1, 1}, q.dim = 2, q.indices = (uint32_t[]){5, 1};
    hw_result *r = found(&f, &q);
    double common = log((3 - 2 + 0.5) / (2 + 0.5) + 1), rare = log((3 - 1 + 0.5) / (1 + 0.5) + 1);
    assert_int_equal(2, hw_result_count(r));
    assert_hit(r, 0, 1, common + 2 * rare);
    assert_hit(r, 1, 2, 3 * common);
    hw_result_free(r);
    q.has_score_threshold = true, q.score_threshold = 2;
    r = found(&f, &q);
    assert_int_equal(1, hw_result_count(r));
    hw_result_free(r);
    tear_down(&f);
}

/* Cosines: of (1, 0), (0, 1), (3, 4) to each other 0, 0.6, 0.8. */
static void
rules_score_as_their_formulas_say(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    put_ok(&f, 1, (hw_vector){"dense", (float[]){2, 0}, 2, 0, NULL});
    put_ok(&f, 2, (hw_vector){"dense", (float[]){0, 1}, 2, 0, NULL});
    put_ok(&f, 3, (hw_vector){"dense", (float[]){3, 4}, 2, 0, NULL});
    hw_id one = HW_ID_U64(1);
    hw_example e[2] = {{.id = &one},
                       {.vector = {.values = (float[]){0, 2}, .dim = 2}, .negative = true}};
    hw_query q = HW_QUERY_INIT;
    q.vector_name = "dense", q.examples = e, q.example_count = 1;
    q.rule = HW_RULE_AVERAGE;
    hw_result *r = found(&f, &q);
    assert_int_equal(2, hw_result_count(r)); /* 1 is an example */
    assert_hit(r, 0, 3, 0.6);
    assert_hit(r, 1, 2, 0);
    hw_result_free(r);
    q.rule = HW_RULE_BEST_SCORE, q.example_count = 2;
    r = found(&f, &q);
    assert_hit(r, 0, 3, -0.5 * (0.8 / 1.8 + 1));
    assert_hit(r, 1, 2, -0.5 * (0.5 + 1));
    hw_result_free(r);
    q.rule = HW_RULE_SUM_SCORES;
    r = found(&f, &q);
    assert_hit(r, 0, 3, 0.6 - 0.8);
    hw_result_free(r);
    q.rule = HW_RULE_DISCOVER, q.vector = (float[]){0, 5}, q.dim = 2;
    r = found(&f, &q);
    assert_hit(r, 0, 2, -1 + 0.5 * (0.5 + 1));
    assert_hit(r, 1, 3, -1 + 0.5 * (0.8 / 1.8 + 1));
    hw_result_free(r);
    q.rule = HW_RULE_CONTEXT, q.vector = NULL, q.dim = 0;
    r = found(&f, &q);
    assert_hit(r, 0, 3, -0.2 / 1.2);
    assert_hit(r, 1, 2, -0.5);
    hw_result_free(r);
    tear_down(&f);
}

static void
max_sim_adds_up_the_best_partners(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    put_ok(&f, 1, (hw_vector){"multi", (float[]){1, 0, 0, 2}, 2, 2, NULL});
    put_ok(&f, 2, (hw_vector){"multi", (float[]){3, 4}, 2, 0, NULL});
    hw_query q = HW_QUERY_INIT;
    q.vector_name = "multi", q.vector = (float[]){5, 0, 0, 1, 6, 8}, q.dim = 2, q.rows = 3;
    hw_result *r = found(&f, &q);
    assert_hit(r, 0, 1, 1 + 1 + 0.8);
    assert_hit(r, 1, 2, 0.6 + 0.8 + 1);
    hw_result_free(r);
    q.has_score_threshold = true, q.score_threshold = 2.5f;
    r = found(&f, &q);
    assert_int_equal(1, hw_result_count(r));
    hw_result_free(r);
    tear_down(&f);
}

static void
mistakes_in_queries_are_named(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    put_ok(&f, 1, (hw_vector){"dense", (float[]){2, 0}, 2, 0, NULL});
    hw_id one = HW_ID_U64(1), two = HW_ID_U64(2);
    hw_example e[3] = {{.id = &one}, {.id = &two, .negative = true}, {.id = NULL}};
    float v[] = {1, 0};
    hw_query q = HW_QUERY_INIT;
    q.vector_name = "dense", q.examples = e, q.example_count = 2;
    not_found(&f, &q, HW_EINVAL, "takes no examples");
    q.rule = HW_RULE_CONTEXT;
    not_found(&f, &q, HW_ENOTFOUND, "example 1: there is no point `2`");
    q.example_count = 1;
    not_found(&f, &q, HW_EINVAL, "do not make pairs");
    e[1] = e[0], q.example_count = 2;
    not_found(&f, &q, HW_EINVAL, "expected one of them negative");
    q.rule = HW_RULE_AVERAGE, e[0].negative = e[1].negative = true;
    not_found(&f, &q, HW_EINVAL, "needs a positive");
    e[0] = e[2], q.example_count = 1;
    not_found(&f, &q, HW_EINVAL, "needs a vector or an id");
    q.example_count = 0;
    not_found(&f, &q, HW_EINVAL, "needs examples");
    q.vector = v, q.dim = 2;
    not_found(&f, &q, HW_EINVAL, "no query vector");
    q.rule = HW_RULE_NEAREST, q.rows = 2;
    not_found(&f, &q, HW_EINVAL, "2 rows");
    q.rows = 0, q.indices = (uint32_t[]){1, 2};
    not_found(&f, &q, HW_EINVAL, "sparse");
    q.vector_name = "sparse", q.indices = NULL;
    not_found(&f, &q, HW_EINVAL, "indices is NULL");
    q.vector_name = "other";
    not_found(&f, &q, HW_ENOTFOUND, "other");
    tear_down(&f);
}

static void
a_search_among_none_finds_none(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    put_ok(&f, 1, (hw_vector){"dense", (float[]){2, 0}, 2, 0, NULL});
    hw_id ids[] = {HW_ID_U64(5), HW_ID_U64(1)};
    hw_query q = HW_QUERY_INIT;
    q.vector_name = "dense", q.vector = (float[]){1, 1}, q.dim = 2, q.among = ids;
    hw_result *r = found(&f, &q);
    assert_int_equal(0, hw_result_count(r));
    hw_result_free(r);
    q.among_count = 2;
    r = found(&f, &q);
    assert_int_equal(1, hw_result_count(r));
    hw_result_free(r);
    tear_down(&f);
}

/* ---- Settings ---- */

static void
describes(fixture *f, const char *part)
{
    char *json;
    hw_error err;
    hwt_ok(hw_collection_describe(f->c, &json, &err), &err);
    if (!strstr(json, part)) fail_msg("%s lacks %s", json, part);
    hw_free(json);
}

static void
settings_of_every_kind_are_described(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    describes(&f, "\"multivector_config\":{\"comparator\":\"max_sim\"}");
    describes(&f, "\"hnsw_config\":{\"m\":4}");
    describes(
        &f, "\"sparse_vectors\":{\"sparse\":{\"modifier\":\"idf\",\"index\":{\"on_disk\":true}}}");
    tear_down(&f);
}

static void
clients_settings_take_a_merge_patch(void **state)
{
    (void)state;
    fixture f;
    hw_error err;
    set_up(&f);
    hwt_ok(hw_collection_configure(f.c, "{\"shards\": {\"a\": null, \"c\": [1]}, \"note\": \"x\"}",
                                   &err),
           &err);
    describes(&f, "\"extra\":{\"shards\":{\"b\":2,\"c\":[1]},\"note\":\"x\"}");
    hwt_ok(hw_collection_configure(f.c, "{\"shards\": null, \"note\": {\"deep\": {\"n\": null}}}",
                                   &err),
           &err);
    describes(&f, "\"extra\":{\"note\":{\"deep\":{}}}");
    assert_int_equal(HW_EINVAL, hw_collection_configure(f.c, "{\"vectors\": {}}", &err));
    assert_int_equal(HW_EINVAL, hw_collection_configure(f.c, "[]", &err));
    tear_down(&f);
}

static void
fields_come_and_go(void **state)
{
    (void)state;
    fixture f;
    hw_error err;
    set_up(&f);
    put_ok(&f, 1, (hw_vector){"dense", (float[]){2, 0}, 2, 0, NULL});
    assert_int_equal(HW_EEXIST, hw_collection_add_vector(f.c, "dense", true, "{}", &err));
    assert_int_equal(HW_EINVAL, hw_collection_add_vector(f.c, "a/b", true, "{}", &err));
    assert_int_equal(HW_EINVAL, hw_collection_add_vector(f.c, "a", false, "{\"dim\": 3}", &err));
    assert_int_equal(HW_ENOTFOUND, hw_collection_drop_vector(f.c, "a", &err));
    hwt_ok(hw_collection_drop_vector(f.c, "dense", &err), &err);
    assert_int_equal(0, hw_collection_dim(f.c, "dense"));
    hwt_ok(hw_collection_add_vector(f.c, "dense", false, "{\"dim\": 3, \"metric\": \"l1\"}", &err),
           &err);
    assert_int_equal(3, hw_collection_dim(f.c, "dense"));
    put_ok(&f, 2, (hw_vector){"dense", (float[]){2, 0, 1}, 3, 0, NULL});
    hw_query q = HW_QUERY_INIT;
    q.vector_name = "dense", q.vector = (float[]){2, 0, 0}, q.dim = 3;
    hw_result *r = found(&f, &q);
    assert_int_equal(1, hw_result_count(r));
    assert_hit(r, 0, 2, 1);
    hw_result_free(r);
    tear_down(&f);
}

static void
a_collection_may_have_no_vectors(void **state)
{
    (void)state;
    fixture f;
    hw_error err;
    hwt_db_open(&f.d, false);
    f.c = hwt_collection(f.d.db, "c", "{\"vectors\": {}}");
    hwt_ok(hw_collection_add_vector(f.c, NULL, false, "{\"dim\": 2, \"metric\": \"l2\"}", &err),
           &err);
    put_ok(&f, 1, (hw_vector){.values = (float[]){2, 0}, .dim = 2});
    tear_down(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_in_vectors_are_named),
        cmocka_unit_test(sparse_vectors_come_back_sorted_and_may_be_empty),
        cmocka_unit_test(long_multi_vectors_take_several_values),
        cmocka_unit_test(idf_weighs_rare_indices_more),
        cmocka_unit_test(rules_score_as_their_formulas_say),
        cmocka_unit_test(max_sim_adds_up_the_best_partners),
        cmocka_unit_test(mistakes_in_queries_are_named),
        cmocka_unit_test(a_search_among_none_finds_none),
        cmocka_unit_test(settings_of_every_kind_are_described),
        cmocka_unit_test(clients_settings_take_a_merge_patch),
        cmocka_unit_test(fields_come_and_go),
        cmocka_unit_test(a_collection_may_have_no_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
