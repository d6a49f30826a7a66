/* Random payloads, changes and filters: what the indexes say encloses what the payloads say. */
#include "support/hwt_payload.h"

#include <stdio.h>

enum { ROUNDS = 60, FILTERS = 60, PLACES = 300, CHANGES = 120 };

typedef struct verdicts {
    uint64_t seed; /* of the round going on */
    uint64_t filters, exact, warned;
} verdicts;

static void
show_and_fail(const char *what, const verdicts *v, const hwi_buf *filter, const hwt_points *p,
              size_t place)
{
    fail_msg("seed %llu: %s: slot %u, payload %.*s, filter %.*s", (unsigned long long)v->seed, what,
             (uint32_t)place * p->stride, (int)p->payload[place].size,
             (const char *)p->payload[place].data, (int)filter->size, (const char *)filter->data);
}

static void
check_filter(const hwt_points *p, hw_store_txn *t, const hwi_buf *text, verdicts *v)
{
    hw_error err;
    hwi_arena arena = {0};
    const hwi_filter *filter;
    hwi_filter_resolved r;
    hwi_filter_tester *tester;
    uint64_t live = 0;

    hw_status st = hwi_filter_parse((const char *)text->data, text->size, &arena, &filter, &err);
    if (st != HW_OK) fail_msg("%s in %.*s", err.message, (int)text->size, (const char *)text->data);
    hwt_ok(hwi_filter_resolve(filter, t, &(hwi_conf){.coll = p->coll, .schema = *p->schema}, NULL,
                              &r, &err),
           &err);
    hwt_ok(hwi_filter_tester_new(filter, &tester, &err), &err);
    for (size_t i = 0; i < p->count; i++) {
        uint32_t slot = (uint32_t)i * p->stride;
        hw_id id = HW_ID_U64(i);
        bool matches = false;
        if (p->live[i]) {
            live++;
            hwt_ok(hwi_filter_test(tester, &id, hwi_buf_bytes(&p->payload[i]), &matches, &err),
                   &err);
        }
        bool may = roaring_bitmap_contains(r.may, slot);
        bool sure = roaring_bitmap_contains(r.sure, slot);
        if (matches && !may) show_and_fail("a match is not in may", v, text, p, i);
        if (sure && !matches) show_and_fail("sure of no match", v, text, p, i);
        if (r.exact && may != matches) show_and_fail("exact but wrong", v, text, p, i);
        if (may && !p->live[i]) show_and_fail("a dead slot in may", v, text, p, i);
    }
    assert_true(roaring_bitmap_is_subset(r.sure, r.may));
    assert_true(hwi_filter_estimate(filter, t, p->coll, p->schema, live) <= live);
    v->filters++;
    v->exact += r.exact;
    v->warned += r.warning != NULL;
    if (r.exact) assert_null(r.warning);
    hwi_filter_tester_free(tester);
    hwi_filter_resolved_release(&r);
    hwi_arena_release(&arena);
}

static void
no_damage(void *arg, const char *where, const char *what)
{
    (void)arg;
    fail_msg("%s: %s", where, what);
}

static void
run_round(uint64_t seed, verdicts *v)
{
    hw_error err;
    hwi_rng rng;
    hwt_store s;
    hwt_points p;
    hwi_buf text = {0};

    v->seed = seed;
    hwi_rng_init(&rng, seed);
    hwt_store_open(&s, seed % 5 == 0 ? HWT_LMDB : HWT_MEM);
    hwt_points_init(&p, s.store, &hwt_payload_schema, PLACES, seed % 3 == 0 ? 1 : 701);
    for (int step = 0; step < 4; step++) {
        hwt_points_change(&p, &rng, CHANGES);
        hw_store_txn *t = hwt_begin(s.store, HW_TXN_READ);
        for (int i = 0; i < FILTERS / 4; i++) {
            hwi_buf_clear(&text);
            hwt_filter_random(&rng, 3, p.count, &text);
            check_filter(&p, t, &text, v);
        }
        hwt_ok(hwi_pix_check(t, p.coll, p.schema, no_damage, NULL, &err), &err);
        hwi_store_abort(t);
    }
    hwi_buf_release(&text);
    hwt_points_release(&p);
    hwt_store_close(&s);
}

/* Every filter of every round is tested on every point. */
static void
resolve_encloses_what_matches(void **state)
{
    verdicts v = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) run_round(seed, &v);
    print_message("%llu filters, %llu exact, %llu with a warning\n", (unsigned long long)v.filters,
                  (unsigned long long)v.exact, (unsigned long long)v.warned);
    assert_true(v.exact * 5 > v.filters); /* indexes are of use at all */
}

/* ---- planted damage */

typedef struct key_pick {
    uint64_t wanted, seen;
    hwi_buf key, value;
} key_pick;

static bool
take_nth(void *arg, hw_bytes key, hw_bytes value)
{
    key_pick *k = arg;
    if (k->seen++ != k->wanted) return true;
    hwi_buf_add(&k->key, key.data, key.size);
    hwi_buf_add(&k->value, value.data, value.size);
    return false;
}

static void
count_damage(void *arg, const char *where, const char *what)
{
    assert_non_null(where);
    assert_non_null(what);
    ++*(uint64_t *)arg;
}

static bool
belongs_to_ready_field(const hwt_points *p, const hwi_buf *key)
{
    hwi_key prefix;
    hwi_key_sub(&prefix, HWI_SUB_PIX, p->coll);
    hwi_key_uint(&prefix, 15); /* "notready" */
    return key->size < prefix.size || memcmp(key->data, prefix.data, prefix.size) != 0;
}

static void
damage_one_key(hwt_points *p, hwi_rng *rng, uint64_t keys)
{
    hw_error err;
    key_pick k = {.wanted = hwi_rng_below(rng, keys)};
    hwi_key prefix;
    uint64_t found = 0;
    hw_store_txn *t = hwt_begin(p->store, HW_TXN_WRITE);

    hwi_key_sub(&prefix, HWI_SUB_PIX, p->coll);
    hwt_ok(hwi_store_scan_prefix(t, &prefix, take_nth, &k, &err), &err);
    if (belongs_to_ready_field(p, &k.key)) {
        hw_bytes key = hwi_buf_bytes(&k.key);
        if (hwi_rng_below(rng, 2) == 0) {
            hwt_ok(hwi_store_del(t, key, &err), &err);
        } else {
            k.value.data[hwi_rng_below(rng, k.value.size)] ^=
                (uint8_t)(1u << hwi_rng_below(rng, 8));
            hwt_ok(hwi_store_put(t, key, hwi_buf_bytes(&k.value), &err), &err);
        }
        hwt_ok(hwi_pix_check(t, p->coll, p->schema, count_damage, &found, &err), &err);
        if (found == 0) {
            char where[200];
            hwi_key_print(key, where, sizeof where);
            fail_msg("damage of %s went unseen", where);
        }
    }
    hwi_buf_release(&k.key);
    hwi_buf_release(&k.value);
    hwi_store_abort(t);
}

static bool
count_key(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)arg;
    return true;
}

/* One key deleted, or one bit of a value flipped: the check says so, every time. */
static void
check_finds_planted_damage(void **state)
{
    hw_error err;
    hwi_rng rng;
    hwt_store s;
    hwt_points p;
    hwi_key prefix;
    uint64_t keys = 0;

    (void)state;
    hwi_rng_init(&rng, 77);
    hwt_store_open(&s, HWT_MEM);
    hwt_points_init(&p, s.store, &hwt_payload_schema, PLACES, 701);
    for (int i = 0; i < 4; i++) hwt_points_change(&p, &rng, CHANGES);
    hwi_key_sub(&prefix, HWI_SUB_PIX, p.coll);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_READ);
    hwt_ok(hwi_store_scan_prefix(t, &prefix, count_key, &keys, &err), &err);
    hwi_store_abort(t);
    for (int i = 0; i < 300; i++) damage_one_key(&p, &rng, keys);
    hwt_points_release(&p);
    hwt_store_close(&s);
}

/* Resolving over damaged indexes gives an error or some answer, and never a crash. */
static void
damaged_indexes_are_survived(void **state)
{
    hw_error err;
    hwi_rng rng;
    hwt_store s;
    hwt_points p;
    hwi_key prefix;
    hwi_buf text = {0};
    uint64_t keys = 0, refused = 0;

    (void)state;
    hwi_rng_init(&rng, 78);
    hwt_store_open(&s, HWT_MEM);
    hwt_points_init(&p, s.store, &hwt_payload_schema, PLACES, 701);
    for (int i = 0; i < 4; i++) hwt_points_change(&p, &rng, CHANGES);
    hwi_key_sub(&prefix, HWI_SUB_PIX, p.coll);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    hwt_ok(hwi_store_scan_prefix(t, &prefix, count_key, &keys, &err), &err);
    for (int i = 0; i < 2000; i++) {
        key_pick k = {.wanted = hwi_rng_below(&rng, keys)};
        hwt_ok(hwi_store_scan_prefix(t, &prefix, take_nth, &k, &err), &err);
        size_t size = k.value.size;
        if (size > 0) k.value.data[hwi_rng_below(&rng, size)] = (uint8_t)hwi_rng_next(&rng);
        if (size > 0 && hwi_rng_below(&rng, 4) == 0) size = hwi_rng_below(&rng, size);
        hwt_ok(hwi_store_put(t, hwi_buf_bytes(&k.key), hwi_bytes(k.value.data, size), &err), &err);
        hwi_buf_release(&k.key);
        hwi_buf_release(&k.value);

        hwi_arena arena = {0};
        const hwi_filter *filter;
        hwi_filter_resolved r;
        hwi_buf_clear(&text);
        hwt_filter_random(&rng, 2, p.count, &text);
        hwt_ok(hwi_filter_parse((const char *)text.data, text.size, &arena, &filter, &err), &err);
        hw_status st = hwi_filter_resolve(
            filter, t, &(hwi_conf){.coll = p.coll, .schema = *p.schema}, NULL, &r, &err);
        assert_true(st == HW_OK || st == HW_ECORRUPT);
        refused += st == HW_ECORRUPT;
        (void)hwi_filter_estimate(filter, t, p.coll, p.schema, 100);
        hwi_filter_resolved_release(&r);
        hwi_arena_release(&arena);
    }
    assert_true(refused > 0);
    hwi_store_abort(t);
    hwi_buf_release(&text);
    hwt_points_release(&p);
    hwt_store_close(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolve_encloses_what_matches),
        cmocka_unit_test(check_finds_planted_damage),
        cmocka_unit_test(damaged_indexes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
