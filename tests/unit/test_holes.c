/* Slots given out: never one that is in use, whichever lanes and holes they come from. */
#include "support/hwt_store.h"

#include "ingest/holes.h"

enum { COLL = 1, LIVE_MAX = 200, ROUNDS = 400 };

typedef struct live {
    uint32_t slots[LIVE_MAX * 2];
    size_t count;
} live;

/* What one transaction needs. */
typedef struct giver {
    hw_store_txn *txn;
    hwi_page_cache *slots;
    hwi_lane lane;
    hwi_counts counts;
    hwi_holes holes;
} giver;

static void
begin(giver *g, hw_store *s, uint32_t lane)
{
    hw_error err;
    memset(g, 0, sizeof *g);
    g->txn = hwt_begin(s, HW_TXN_WRITE);
    g->lane.number = lane;
    hwt_ok(hwi_counts_get(g->txn, COLL, &g->counts, &err), &err);
    hwt_ok(hwi_slot_cache_new(g->txn, COLL, &g->slots, &err), &err);
    hwi_holes_init(&g->holes, g->txn, COLL, g->slots, &g->lane);
}

static void
commit(giver *g)
{
    hw_error err;
    hwt_ok(hwi_holes_flush(&g->holes, &err), &err);
    hwt_ok(hwi_page_cache_flush(g->slots, &err), &err);
    hwt_ok(hwi_lane_flush(&g->lane, g->txn, COLL, &err), &err);
    hwi_holes_release(&g->holes);
    hwi_page_cache_free(g->slots);
    hwt_commit(g->txn);
}

static void
take(giver *g, live *all)
{
    uint32_t slot;
    uint8_t *row;
    hw_error err;
    hw_id id = HW_ID_U64(7);

    hwt_ok(hwi_holes_take(&g->holes, &g->counts.slots_below, &slot, &err), &err);
    for (size_t i = 0; i < all->count; i++) assert_int_not_equal(all->slots[i], slot);
    assert_true(slot < g->counts.slots_below);
    hwt_ok(hwi_page_cache_write(g->slots, slot, &row, &err), &err);
    hwi_slot_row_write(row, &id);
    all->slots[all->count++] = slot;
}

static void
give_back(giver *g, live *all, size_t at)
{
    uint8_t *row;
    hw_error err;
    uint32_t slot = all->slots[at];

    all->slots[at] = all->slots[--all->count];
    hwt_ok(hwi_page_cache_write(g->slots, slot, &row, &err), &err);
    memset(row, 0, HWI_SLOT_ROW_BYTES);
    hwt_ok(hwi_holes_free_slot(&g->holes, slot, &err), &err);
}

/* Points come and go through transactions whose fresh slots come from so many lanes in turn. */
static void
play(uint64_t seed, uint32_t lanes)
{
    hwt_store s;
    hw_error err;
    hwi_rng rng;
    giver g;
    live all = {.count = 0};

    hwi_rng_init(&rng, seed);
    hwt_store_open(&s, HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    hwt_ok(hwi_counts_create(t, COLL, &err), &err);
    hwt_commit(t);
    for (int round = 0; round < ROUNDS; round++) {
        begin(&g, s.store, (uint32_t)hwi_rng_below(&rng, lanes));
        size_t wanted = hwi_rng_below(&rng, LIVE_MAX);
        while (all.count < wanted) take(&g, &all);
        while (all.count > wanted) give_back(&g, &all, hwi_rng_below(&rng, all.count));
        commit(&g);
    }
    hwt_store_close(&s);
}

static void
no_slot_is_given_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        for (uint32_t lanes = 1; lanes <= 4; lanes++) play(seed, lanes);
}

/* With holes below another lane's frontier: a lane that was hardly begun passes over what was filled
 * meanwhile. */
static void
a_lane_passes_over_holes_that_were_filled(void **state)
{
    hwt_store s;
    hw_error err;
    giver g;
    live all = {.count = 0};
    (void)state;

    hwt_store_open(&s, HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    hwt_ok(hwi_counts_create(t, COLL, &err), &err);
    hwt_commit(t);
    begin(&g, s.store, 0);
    for (int i = 0; i < 10; i++) take(&g, &all);
    commit(&g);
    begin(&g, s.store, 1);
    take(&g, &all);
    commit(&g);
    begin(&g, s.store, 0);
    give_back(&g, &all, 0); /* the first group is listed */
    commit(&g);
    begin(&g, s.store, 1);
    for (int i = 0; i < 20; i++) take(&g, &all); /* fills it, beyond what lane 0 has given out */
    commit(&g);
    begin(&g, s.store, 0);
    for (int i = 0; i < 100; i++) take(&g, &all);
    commit(&g);
    assert_int_equal(all.count, 130);
    hwt_store_close(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_slot_is_given_twice),
        cmocka_unit_test(a_lane_passes_over_holes_that_were_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
