/* Random changes and reads inside one transaction, against a plain list of points: what the
 * transaction reads is what it did, whether it is then committed or not. */
#include "support/hwt_db.h"
#include "support/hwt_payload.h"

#include <stdio.h>

enum { ROUNDS = 24, POINTS = 150, STEPS = 40, CHANGES = 12, DIM = 4 };

typedef struct model {
    bool live[POINTS];
    hwi_buf payload[POINTS]; /* empty: none */
    float x[POINTS];
} model;

static void
model_copy(model *to, const model *from)
{
    for (size_t i = 0; i < POINTS; i++) {
        to->live[i] = from->live[i];
        to->x[i] = from->x[i];
        hwi_buf_clear(&to->payload[i]);
        hwi_buf_add(&to->payload[i], from->payload[i].data, from->payload[i].size);
    }
}

static void
model_release(model *m)
{
    for (size_t i = 0; i < POINTS; i++) hwi_buf_release(&m->payload[i]);
}

/* Numbers and texts short and long, by place; in the order of the places. */
static hw_id
id_of(size_t place, char text[64])
{
    if (place < POINTS / 2) return HW_ID_U64(place);
    int n =
        snprintf(text, 64, place % 2 ? "%04zu" : "%04zu is longer than a slot row holds", place);
    return (hw_id){.kind = HW_ID_KIND_TEXT, .text_bytes = (uint32_t)n, .as.text = text};
}

static void
change_one(hw_txn *txn, hw_collection *c, hwi_rng *rng, model *m)
{
    size_t place = hwi_rng_below(rng, POINTS);
    char text[64];
    hw_error err;
    hw_id id = id_of(place, text);
    if (hwi_rng_below(rng, 4) == 0) {
        bool existed;
        hwt_ok(hw_txn_delete(txn, c, &id, &existed, &err), &err);
        assert_int_equal(existed, m->live[place]);
        m->live[place] = false;
        return;
    }
    float v[DIM] = {(float)hwi_rng_below(rng, 1000) + 1, 1, 2, 3};
    hw_vector vector = {.values = v, .dim = DIM};
    hwi_buf_clear(&m->payload[place]);
    hwt_payload_random(rng, &m->payload[place]);
    const hwi_buf *p = &m->payload[place];
    hwt_ok(hw_txn_upsert(txn, c, &id, &vector, 1, p->size ? (const char *)p->data : NULL, p->size,
                         &err),
           &err);
    m->live[place] = true;
    m->x[place] = v[0];
}

static void
check_match(hw_txn *txn, hw_collection *c, hwi_rng *rng, const model *m)
{
    hwi_buf filter = {0};
    hwi_arena arena = {0};
    const hwi_filter *f = NULL;
    hw_error err;
    hw_id *ids;
    size_t count, n = 0;
    bool all = hwi_rng_below(rng, 6) == 0;
    hwt_filter_random(rng, 2, POINTS, &filter);
    const char *json = all ? NULL : (const char *)filter.data;
    hwt_ok(hwi_filter_parse((const char *)filter.data, filter.size, &arena, &f, &err), &err);
    hwt_ok(hw_txn_match(txn, c, json, filter.size, &ids, &count, &err), &err);
    for (size_t i = 0; i < POINTS; i++) {
        char text[64];
        hw_id id = id_of(i, text);
        bool matches = m->live[i];
        if (matches && !all)
            hwt_ok(hwi_filter_matches(f, &id, hwi_buf_bytes(&m->payload[i]), &matches, &err), &err);
        if (!matches) continue;
        if (n >= count || hw_id_compare(&ids[n], &id) != 0)
            fail_msg("point %zu is missing from %.*s", i, (int)filter.size, (char *)filter.data);
        n++;
    }
    assert_int_equal(n, count);
    hw_free(ids);
    hwi_arena_release(&arena);
    hwi_buf_release(&filter);
}

static void
check_get(hw_txn *txn, hw_collection *c, const model *m)
{
    char texts[POINTS][64];
    hw_id ids[POINTS];
    hw_result *r;
    hw_error err;
    size_t at = 0, bytes;
    uint32_t dim;
    for (size_t i = 0; i < POINTS; i++) ids[i] = id_of(i, texts[i]);
    hwt_ok(hw_txn_get(txn, c, ids, POINTS, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &r, &err), &err);
    for (size_t i = 0; i < POINTS; i++) {
        if (!m->live[i]) continue;
        assert_true(at < hw_result_count(r));
        assert_int_equal(0, hw_id_compare(&hw_result_ids(r)[at], &ids[i]));
        const char *payload = hw_result_payload(r, at, &bytes);
        assert_int_equal(bytes, m->payload[i].size);
        if (bytes) assert_memory_equal(payload, m->payload[i].data, bytes);
        const float *v = hw_result_vector(r, at, "", &dim);
        assert_int_equal(dim, DIM);
        assert_true(v && v[0] == m->x[i]);
        at++;
    }
    assert_int_equal(at, hw_result_count(r));
    hw_result_free(r);
}

static void
run_round(uint64_t seed)
{
    hwt_db d;
    hwi_rng rng;
    hw_error err;
    model now = {0}, kept = {0};
    hwi_rng_init(&rng, seed);
    hwt_db_open(&d, seed % 4 == 0);
    hw_collection *c = hwt_collection(
        d.db, "c",
        "{\"dim\": 4, \"metric\": \"l2\", \"payload_indexes\": {\"kw\": \"keyword\", \"n\": "
        "\"integer\", \"o[].kw\": \"keyword\", \"t\": \"text\", \"g\": \"geo\"}}");
    for (int step = 0; step < STEPS; step++) {
        hw_txn *txn;
        hwt_ok(hw_txn_begin(d.db, &txn, &err), &err);
        model_copy(&now, &kept);
        for (int i = 0; i < CHANGES; i++) {
            change_one(txn, c, &rng, &now);
            if (hwi_rng_below(&rng, 5) == 0) check_match(txn, c, &rng, &now);
            if (hwi_rng_below(&rng, 8) == 0) check_get(txn, c, &now);
        }
        if (hwi_rng_below(&rng, 3) == 0) {
            hw_txn_abort(txn);
            continue;
        }
        hwt_ok(hw_txn_commit(txn, &err), &err);
        model_copy(&kept, &now);
    }
    hw_txn *txn;
    hwt_ok(hw_txn_begin(d.db, &txn, &err), &err);
    check_get(txn, c, &kept);
    for (int i = 0; i < 10; i++) check_match(txn, c, &rng, &kept);
    hw_txn_abort(txn);
    hwt_db_check(d.db);
    hw_collection_close(c);
    hwt_db_close(&d);
    model_release(&now);
    model_release(&kept);
}

static void
a_transaction_reads_its_own_changes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) run_round(seed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_reads_its_own_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
