/* Ids lead to what was put, in blocks and in entries of their own, whatever comes and goes; a block's
 * bytes are what its ids and slots make them. */
#include "support/hwt_store.h"

#include <stdio.h>

#include "records/records.h"

enum { RANGE = 600, ROUNDS = 20, STEPS = 100 };

typedef struct model {
    bool there[RANGE];
    uint32_t slot[RANGE];
    uint64_t version[RANGE];
} model;

/* Neighbours, the ends of what an integer may be, and the other kinds. */
static hw_id
id_of(uint64_t i, char text[24])
{
    hw_id id = HW_ID_U64(i);
    if (i >= 300) id = HW_ID_U64(UINT64_MAX - (i - 300) * 5);
    if (i >= 400) id = HW_ID_U64(i << 40);
    if (i >= 500) {
        id.kind = HW_ID_KIND_UUID;
        memset(id.as.uuid, (int)(i - 500), 16);
    }
    if (i >= 550) {
        id.kind = HW_ID_KIND_TEXT;
        id.as.text = text;
        id.text_bytes = (uint32_t)snprintf(text, 24, "text %u", (unsigned)i);
    }
    return id;
}

static uint64_t
random_number(hwi_rng *rng, uint32_t bits_max)
{
    uint64_t bits = hwi_rng_below(rng, bits_max + 1);
    return bits == 0 ? 0 : hwi_rng_next(rng) >> (64 - bits);
}

static void
step(hw_store_txn *t, const hwi_conf *conf, hwi_id_near *near, model *m, hwi_rng *rng)
{
    hw_error err;
    char text[24];
    uint64_t i = hwi_rng_below(rng, RANGE);
    hw_id id = id_of(i, text);
    uint32_t slot = 0;
    hw_status st = hwi_id_find(t, conf, near, &id, &slot, &err);
    assert_int_equal(m->there[i] ? HW_OK : HW_ENOTFOUND, st);
    if (m->there[i]) assert_int_equal(m->slot[i], slot);
    m->there[i] = hwi_rng_below(rng, 3) != 0;
    if (!m->there[i]) {
        hwt_ok(hwi_id_del(t, conf, near, &id, &err), &err);
        return;
    }
    m->slot[i] = (uint32_t)HWI_MIN(random_number(rng, 32), HWI_SLOT_MAX - 1);
    m->version[i] = random_number(rng, 64);
    hwt_ok(hwi_id_put(t, conf, near, &id, m->slot[i], m->version[i], &err), &err);
}

static void
compare_look_ups(hw_store_txn *t, const hwi_conf *conf, const model *m)
{
    hw_error err;
    char text[24];
    for (uint64_t i = 0; i < RANGE; i++) {
        uint32_t slot;
        uint64_t version;
        hw_id id = id_of(i, text);
        hw_status st = hwi_id_slot(t, conf, &id, &slot, &version, &err);
        assert_int_equal(m->there[i] ? HW_OK : HW_ENOTFOUND, st);
        if (!m->there[i]) continue;
        assert_int_equal(m->slot[i], slot);
        assert_true(m->version[i] == version);
    }
}

typedef struct walk {
    const hwi_conf *conf;
    const model *m;
    uint64_t next; /* integers below 300 come first, in order */
    size_t found;
} walk;

static bool
walk_entry(void *arg, hw_bytes key, hw_bytes value)
{
    walk *w = arg;
    hw_error err;
    hwi_id_entry e;
    hwt_ok(hwi_id_entry_read(w->conf, key, value, &e, &err), &err);
    assert_int_not_equal(0, e.which);
    for (uint32_t i = 0; i < HWI_ID_BLOCK; i++) {
        if (!(e.which >> i & 1)) continue;
        w->found++;
        while (w->next < 300 && !w->m->there[w->next]) w->next++;
        if (w->next >= 300) continue;
        assert_int_equal(w->m->slot[w->next], e.slots[i]);
        assert_true(w->m->version[w->next] == e.versions[i]);
        w->next++;
    }
    return true;
}

static void
compare_entries(hw_store_txn *t, const hwi_conf *conf, const model *m)
{
    hw_error err;
    hwi_key prefix;
    walk w = {.conf = conf, .m = m};
    size_t expected = 0;
    for (size_t i = 0; i < RANGE; i++) expected += m->there[i];
    hwi_key_sub(&prefix, HWI_SUB_IDS, conf->coll);
    hwt_ok(hwi_store_scan_prefix(t, &prefix, walk_entry, &w, &err), &err);
    assert_true(conf->id_blocks || w.found == 0);
    hwi_key_sub(&prefix, HWI_SUB_ID, conf->coll);
    hwt_ok(hwi_store_scan_prefix(t, &prefix, walk_entry, &w, &err), &err);
    assert_int_equal(expected, w.found);
}

static void
change_at_random(hwt_kind kind, bool blocks)
{
    hwi_rng rng;
    hwt_store s;
    hwi_conf conf = {.coll = 7, .id_blocks = blocks};
    model m = {0};
    hwi_rng_init(&rng, 11);
    hwt_store_open(&s, kind);
    for (int round = 0; round < ROUNDS; round++) {
        hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
        hwi_id_near near = {0};
        for (int i = 0; i < STEPS; i++) step(t, &conf, &near, &m, &rng);
        compare_look_ups(t, &conf, &m);
        hwt_commit(t);
        t = hwt_begin(s.store, HW_TXN_READ);
        compare_look_ups(t, &conf, &m);
        compare_entries(t, &conf, &m);
        hwi_store_abort(t);
    }
    hwt_store_close(&s);
}

static void
ids_lead_to_what_was_put(void **state)
{
    (void)state;
    hwt_kind kind;
    for (HWT_EACH_KIND(kind)) {
        change_at_random(kind, false);
        change_at_random(kind, true);
    }
}

typedef struct sizes {
    size_t entries, bytes;
} sizes;

static bool
add_size(void *arg, hw_bytes key, hw_bytes value)
{
    sizes *s = arg;
    (void)key;
    s->entries++;
    s->bytes += value.size;
    return true;
}

/* Bytes of the entries of 1,600 ids that are `step` apart, put in the order of their slots. */
static sizes
stored(uint64_t step_of_ids)
{
    hw_error err;
    hwi_key prefix;
    hwi_conf conf = {.coll = 7, .id_blocks = true};
    hwi_id_near near = {0};
    sizes all = {0};
    hwt_store s;
    hwt_store_open(&s, HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    for (uint32_t i = 0; i < 1600; i++)
        hwt_ok(hwi_id_put(t, &conf, &near, &HW_ID_U64(i * step_of_ids), i, 300, &err), &err);
    hwi_key_sub(&prefix, HWI_SUB_IDS, conf.coll);
    hwt_ok(hwi_store_scan_prefix(t, &prefix, add_size, &all, &err), &err);
    hwi_store_abort(t);
    hwt_store_close(&s);
    return all;
}

static void
runs_are_small_and_ids_alone_are_no_larger_than_before(void **state)
{
    (void)state;
    sizes run = stored(1), alone = stored(1000);
    assert_int_equal(100, run.entries);
    assert_int_equal(900, run.bytes);
    assert_int_equal(1600, alone.entries);
    assert_true(alone.bytes <= 1600 * 12);
}

static hw_status
read_value(const void *bytes, size_t size)
{
    hwi_key key;
    hwi_id_entry e;
    hwi_conf conf = {.coll = 7, .id_blocks = true};
    hwi_key_ids(&key, 7, 5);
    return hwi_id_entry_read(&conf, hwi_key_view(&key), hwi_bytes(bytes, size), &e, NULL);
}

/* Any bytes either decode or are refused; each made wrong in one way, they are refused. */
static void
what_is_no_block_is_refused(void **state)
{
    (void)state;
    hwi_rng rng;
    uint8_t bytes[256];
    const uint8_t sound[] = {1, 3, 0, 20, 0, 0, 0, 0, 9, 77}; /* ids 0 and 1 at slots 5 and 15 */
    const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{0, 2}, {0, 5}, {1, 0}, {1, 1}, {3, 5}, {7, 1}, {8, 0}, {9, 0}};

    hwi_rng_init(&rng, 3);
    assert_int_equal(HW_OK, read_value(sound, sizeof sound));
    for (size_t i = 0; i < HWI_COUNT(wrong); i++) {
        memcpy(bytes, sound, sizeof sound);
        bytes[wrong[i].at] = wrong[i].value;
        assert_int_equal(HW_ECORRUPT, read_value(bytes, sizeof sound));
    }
    for (size_t size = 0; size < 9; size++) assert_int_equal(HW_ECORRUPT, read_value(sound, size));
    for (int round = 0; round < 20000; round++) {
        size_t size = hwi_rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(hwi_rng_next(&rng) >> (i < 2 ? 62 : 56));
        hw_status st = read_value(bytes, size);
        assert_true(st == HW_OK || st == HW_ECORRUPT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_lead_to_what_was_put),
        cmocka_unit_test(runs_are_small_and_ids_alone_are_no_larger_than_before),
        cmocka_unit_test(what_is_no_block_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
