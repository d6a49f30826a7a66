/* Random operations on a store against a sorted array that is searched from front to back. */
#include "support/hwt_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/mem_tree.h"

enum { ROUNDS = 30, TXNS = 60, OPS = 40, SNAPSHOTS = 6, KEY_ROOM = 12 };

/* ---- the model: as plain as can be */

typedef struct pair {
    uint8_t key[KEY_ROOM];
    size_t key_bytes;
    uint8_t *value;
    size_t value_bytes;
} pair;

typedef struct model {
    pair *pairs;
    size_t count;
} model;

static size_t
model_find(const model *m, hw_bytes key, bool *found)
{
    for (size_t i = 0; i < m->count; i++) {
        int order = hwi_mem_compare(hwi_bytes(m->pairs[i].key, m->pairs[i].key_bytes), key);
        *found = order == 0;
        if (order >= 0) return i;
    }
    *found = false;
    return m->count;
}

static void
model_del(model *m, size_t at)
{
    free(m->pairs[at].value);
    memmove(m->pairs + at, m->pairs + at + 1, (m->count - at - 1) * sizeof *m->pairs);
    m->count--;
}

static void
model_put(model *m, hw_bytes key, hw_bytes value)
{
    bool found;
    size_t at = model_find(m, key, &found);

    if (found) model_del(m, at);
    m->pairs = realloc(m->pairs, (m->count + 1) * sizeof *m->pairs);
    memmove(m->pairs + at + 1, m->pairs + at, (m->count - at) * sizeof *m->pairs);
    pair *p = &m->pairs[at];
    memcpy(p->key, key.data, key.size);
    p->key_bytes = key.size;
    p->value = malloc(value.size + 1);
    if (value.size) memcpy(p->value, value.data, value.size);
    p->value_bytes = value.size;
    m->count++;
}

static model
model_copy(const model *m)
{
    model copy = {0};
    for (size_t i = 0; i < m->count; i++)
        model_put(&copy, hwi_bytes(m->pairs[i].key, m->pairs[i].key_bytes),
                  hwi_bytes(m->pairs[i].value, m->pairs[i].value_bytes));
    return copy;
}

static void
model_release(model *m)
{
    while (m->count) model_del(m, m->count - 1);
    free(m->pairs);
    *m = (model){0};
}

/* ---- comparing a transaction with a model */

typedef struct walk {
    const model *m;
    size_t at, end; /* pairs still to come: [at, end) */
    bool reverse;
} walk;

static bool
same_next(void *arg, hw_bytes key, hw_bytes value)
{
    walk *w = arg;
    assert_true(w->at < w->end);
    const pair *p = &w->m->pairs[w->reverse ? --w->end : w->at++];
    assert_int_equal(key.size, p->key_bytes);
    assert_memory_equal(key.data, p->key, key.size);
    assert_int_equal(value.size, p->value_bytes);
    assert_memory_equal(value.data, p->value, value.size);
    return true;
}

static void
assert_same_range(hw_store_txn *t, const model *m, hw_bytes from, hw_bytes to, bool reverse)
{
    hw_error err = {0};
    bool found;
    walk w = {.m = m, .reverse = reverse};

    w.at = model_find(m, from, &found);
    w.end = to.size ? model_find(m, to, &found) : m->count;
    if (w.end < w.at) w.end = w.at;
    hwt_ok(hwi_store_scan(t, from, to, reverse, same_next, &w, &err), &err);
    assert_int_equal(w.at, w.end);
}

static void
assert_same(hw_store_txn *t, const model *m)
{
    const hw_bytes all = {NULL, 0};
    assert_same_range(t, m, all, all, false);
    assert_same_range(t, m, all, all, true);
}

/* ---- random operations */

typedef struct scene {
    hwt_store s;
    hwi_rng rng;
    model now; /* the newest commit */
    hw_store_txn *readers[SNAPSHOTS];
    model seen[SNAPSHOTS]; /* what each reader must keep seeing */
} scene;

/* From few bytes and lengths, so that keys meet again and are prefixes of each other. */
static hw_bytes
random_key(scene *sc, uint8_t room[KEY_ROOM])
{
    size_t bytes = 1 + hwi_rng_below(&sc->rng, hwi_rng_below(&sc->rng, 4) ? 3 : KEY_ROOM);
    for (size_t i = 0; i < bytes; i++)
        room[i] = (uint8_t[]){0, 1, 'a', 'b', 'c', 0xff}[hwi_rng_below(&sc->rng, 6)];
    return hwi_bytes(room, bytes);
}

static hw_bytes
random_value(scene *sc)
{
    static uint8_t data[HWI_STORE_VALUE_MAX];
    size_t most = hwi_rng_below(&sc->rng, 10)  ? 60
                  : hwi_rng_below(&sc->rng, 5) ? 5000
                                               : sizeof data;
    size_t bytes = hwi_rng_below(&sc->rng, most + 1);
    memset(data, (int)hwi_rng_below(&sc->rng, 256), bytes);
    for (int i = 0; bytes && i < 8; i++)
        data[hwi_rng_below(&sc->rng, bytes)] = (uint8_t)hwi_rng_next(&sc->rng);
    return hwi_bytes(data, bytes);
}

static void
model_add(model *m, hw_bytes key, int64_t delta)
{
    uint8_t sum[8];
    bool found;
    size_t at = model_find(m, key, &found);
    uint64_t before = found ? hwi_get_u64(m->pairs[at].value) : 0;
    hwi_put_u64(sum, before + (uint64_t)delta);
    model_put(m, key, hwi_bytes(sum, 8));
}

static void
operate(scene *sc, hw_store_txn *t, model *m)
{
    uint8_t room_a[KEY_ROOM], room_b[KEY_ROOM];
    hw_bytes a = random_key(sc, room_a), b = random_key(sc, room_b), value;
    hw_error err = {0};
    bool found;
    size_t at = model_find(m, a, &found);
    int64_t delta;

    switch (hwi_rng_below(&sc->rng, 20)) {
    case 0:
        hwt_ok(hwi_store_del_range(t, a, b, &err), &err);
        while (at < m->count &&
               hwi_mem_compare(hwi_bytes(m->pairs[at].key, m->pairs[at].key_bytes), b) < 0)
            model_del(m, at);
        break;
    case 1:
        assert_same_range(t, m, a, b, false);
        break;
    case 2:
        assert_same_range(t, m, a, b, true);
        break;
    case 3:
        delta = (int64_t)hwi_rng_next(&sc->rng);
        if (found && m->pairs[at].value_bytes != 8) break;
        hwt_ok(hwi_store_add(t, a, delta, &err), &err);
        model_add(m, a, delta);
        break;
    case 4:
    case 5:
    case 6:
        hwt_ok(hwi_store_del(t, a, &err), &err);
        if (found) model_del(m, at);
        break;
    case 7:
    case 8:
        assert_int_equal(hwi_store_get(t, a, &value, &err), found ? HW_OK : HW_ENOTFOUND);
        if (found) assert_int_equal(value.size, m->pairs[at].value_bytes);
        if (found) assert_memory_equal(value.data, m->pairs[at].value, value.size);
        break;
    default:
        value = random_value(sc);
        hwt_ok(hwi_store_put(t, a, value, &err), &err);
        model_put(m, a, value);
        break;
    }
}

static void
end_reader(scene *sc, size_t i)
{
    if (!sc->readers[i]) return;
    assert_same(sc->readers[i], &sc->seen[i]);
    hwi_store_abort(sc->readers[i]);
    sc->readers[i] = NULL;
    model_release(&sc->seen[i]);
}

static void
write_once(scene *sc)
{
    hw_store_txn *t = hwt_begin(sc->s.store, HW_TXN_WRITE);
    model m = model_copy(&sc->now);

    for (uint64_t i = 1 + hwi_rng_below(&sc->rng, OPS); i > 0; i--) operate(sc, t, &m);
    assert_same(t, &m);
    if (hwi_rng_below(&sc->rng, 5) == 0) {
        hwi_store_abort(t);
        model_release(&m);
        return;
    }
    hwt_commit(t);
    model_release(&sc->now);
    sc->now = m;
}

static void
play(scene *sc)
{
    for (int i = 0; i < TXNS; i++) {
        size_t reader = hwi_rng_below(&sc->rng, SNAPSHOTS);
        write_once(sc);
        end_reader(sc, reader);
        sc->readers[reader] = hwt_begin(sc->s.store, HW_TXN_READ);
        sc->seen[reader] = model_copy(&sc->now);
        if (i % 20 != 19) continue;
        for (size_t r = 0; r < SNAPSHOTS; r++) end_reader(sc, r);
        hwt_store_reopen(&sc->s);
    }
    for (size_t r = 0; r < SNAPSHOTS; r++) end_reader(sc, r);
}

static void
random_operations_agree_with_a_sorted_array(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        for (hwt_kind HWT_EACH_KIND(kind)) {
            scene *sc = calloc(1, sizeof *sc);
            printf("%s, seed %d\n", hwt_kind_text(kind), (int)seed);
            hwt_store_open(&sc->s, kind);
            hwi_rng_init(&sc->rng, seed);
            play(sc);
            hw_store_txn *t = hwt_begin(sc->s.store, HW_TXN_READ);
            assert_same(t, &sc->now);
            hwi_store_abort(t);
            hwt_store_close(&sc->s);
            model_release(&sc->now);
            free(sc);
        }
    }
}

/* ---- the tree inside the mem backend */

static void
the_tree_keeps_its_invariants_and_its_snapshots(void **state)
{
    hwi_mem_tree tree = {.stamp = 1};
    hwi_mem_node *old = NULL;
    uint64_t old_keys = 0;
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        uint32_t n = (uint32_t)hwi_rng_below(&rng, 3000);
        bool existed;
        if (i % 3 == 0)
            assert_true(hwi_mem_del(&tree, hwi_bytes(&n, sizeof n), &existed));
        else
            assert_true(hwi_mem_put(&tree, hwi_bytes(&n, sizeof n), hwi_bytes(&i, sizeof i)));
        if (i % 1000 != 0) continue;
        assert_true(hwi_mem_check(tree.root));
        assert_true(hwi_mem_check(old));
        hwi_mem_cursor c;
        uint64_t keys = 0;
        for (hwi_mem_seek(&c, old, hwi_bytes(NULL, 0), i % 2000 == 0); hwi_mem_next(&c);) keys++;
        assert_int_equal(keys, old_keys);
        hwi_mem_unref(old);
        old = hwi_mem_ref(tree.root);
        old_keys = tree.keys;
        tree.stamp++;
    }
    hwi_mem_unref(old);
    hwi_mem_unref(tree.root);
}

/* A tree deeper than a cursor's path: keys chosen so that priorities fall along a chain. */
static void
a_cursor_finds_its_way_in_a_tree_deeper_than_its_path(void **state)
{
    enum { WANTED = 3 * HWI_MEM_PATH };
    hwi_mem_tree tree = {.stamp = 1};
    uint64_t last = UINT64_MAX, keys = 0;
    hwi_mem_cursor c;

    (void)state;
    for (uint64_t n = 0, step = 0; step < WANTED; n++) {
        uint8_t key[8];
        for (int b = 0; b < 8; b++) key[b] = (uint8_t)(n >> (56 - 8 * b));
        uint64_t priority = hwi_checksum(key, 8);
        uint64_t low = UINT64_MAX / WANTED * (WANTED - 1 - step);
        if (priority >= last || priority < low) continue;
        assert_true(hwi_mem_put(&tree, hwi_bytes(key, 8), hwi_bytes(NULL, 0)));
        last = priority;
        step++;
    }
    assert_true(hwi_mem_check(tree.root));
    for (int reverse = 0; reverse < 2; reverse++) {
        keys = 0;
        for (hwi_mem_seek(&c, tree.root, hwi_bytes(NULL, 0), reverse); hwi_mem_next(&c);) keys++;
        assert_int_equal(keys, WANTED);
    }
    hwi_mem_unref(tree.root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_a_sorted_array),
        cmocka_unit_test(the_tree_keeps_its_invariants_and_its_snapshots),
        cmocka_unit_test(a_cursor_finds_its_way_in_a_tree_deeper_than_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
