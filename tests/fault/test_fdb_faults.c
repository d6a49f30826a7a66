/* The store on FoundationDB while everything that can go wrong does, by the stand-in's seed: conflicts,
 * commits of unknown outcome and commits that happen after they were given up, reads too old or
 * too early, answers that overtake each other. Two handles on one database, as two processes have
 * them, take turns; each has its own cache. Whatever happens, what is there is what the acknowledged
 * transactions left: nothing lost, nothing twice, nothing else. */
#include "support/hwt_db.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 40, STEPS = 150, IDS = 60, DIM = 4, ROUNDS = 25, TRIES = 200 };

static const char *const plans[] = {
    "conflict=.2",
    "unknown=.3",
    "timeout=.2",
    "old=.05,behind=.05,throttle=.05,future=.05",
    "jump=.3",
    "slow=.5,slow_us=300,short=.3,batch=1",
    "conflict=.05,unknown=.1,timeout=.05,old=.02,behind=.02,throttle=.02,jump=.05,short=.2",
};

static uint64_t
seeds(void)
{
    const char *rounds = getenv("HASHWOOD_TEST_ROUNDS");
    return rounds ? strtoull(rounds, NULL, 10) : 1;
}

/* ---- the store */

typedef struct model {
    int value[KEYS]; /* -1: absent */
    int64_t counter;
} model;

typedef struct scene {
    hw_store *s[2];
    model now, next;
    hwi_rng rng;
} scene;

static hw_bytes
key_of(uint32_t i, char text[8])
{
    snprintf(text, 8, "k%02u", i);
    return hwi_bytes_text(text);
}

static bool
note_pair(void *arg, hw_bytes key, hw_bytes value)
{
    model *m = arg;
    const char *text = key.data;

    if (text[0] == 'k')
        m->value[(text[1] - '0') * 10 + text[2] - '0'] = *(const uint8_t *)value.data;
    else
        m->counter = (int64_t)hwi_get_u64(value.data);
    return true;
}

static hw_status
scan_all(hw_store_txn *t, model *m, hw_error *err)
{
    const hw_bytes all = {NULL, 0};

    memset(m, 0xff, sizeof m->value);
    m->counter = 0;
    return hwi_store_scan(t, all, all, hwi_store_snapshot(t) % 2, note_pair, m, err);
}

/* The same by single reads, which the cache answers. */
static hw_status
get_all(hw_store_txn *t, model *m, hw_error *err)
{
    char text[8];
    hw_bytes value;

    for (uint32_t i = 0; i < KEYS; i++) {
        hw_status st = hwi_store_get(t, key_of(i, text), &value, err);
        if (st != HW_OK && st != HW_ENOTFOUND) return st;
        m->value[i] = st == HW_OK ? *(const uint8_t *)value.data : -1;
    }
    return hwi_store_get_i64(t, hwi_bytes_text("n"), &m->counter, err);
}

static model
read_model(hw_store *s, hw_status (*how)(hw_store_txn *t, model *m, hw_error *err))
{
    hw_status st = HW_ECONFLICT;
    hw_error err = {0};
    model m;

    for (int i = 0; i < TRIES && st == HW_ECONFLICT; i++) {
        hw_store_txn *t;
        memset(&m, 0, sizeof m);
        st = hwi_store_begin(s, HW_TXN_READ, &t, &err);
        if (st != HW_OK) continue;
        st = how(t, &m, &err);
        hwi_store_abort(t);
    }
    hwt_ok(st, &err);
    return m;
}

static bool
same(const model *a, const model *b)
{
    return memcmp(a->value, b->value, sizeof a->value) == 0 && a->counter == b->counter;
}

/* One random operation, on the transaction and on sc->next. */
static hw_status
operate(scene *sc, hw_store_txn *t, hw_error *err)
{
    uint32_t i = (uint32_t)hwi_rng_below(&sc->rng, KEYS);
    uint8_t byte = (uint8_t)hwi_rng_next(&sc->rng);
    char text[8], end[8];
    hw_bytes value;
    hw_status st;

    switch (hwi_rng_below(&sc->rng, 8)) {
    case 0:
    case 1:
    case 2:
        sc->next.value[i] = byte;
        return hwi_store_put(t, key_of(i, text), hwi_bytes(&byte, 1), err);
    case 3:
        sc->next.value[i] = -1;
        return hwi_store_del(t, key_of(i, text), err);
    case 4:
        for (uint32_t j = i; j < KEYS && j < i + 3; j++) sc->next.value[j] = -1;
        return hwi_store_del_range(t, key_of(i, text), key_of(HWI_MIN(i + 3, KEYS), end), err);
    case 5:
    case 6:
        sc->next.counter += byte;
        return hwi_store_add(t, hwi_bytes_text("n"), byte, err);
    default: /* a read that decides what is written */
        st = hwi_store_get(t, key_of(i, text), &value, err);
        if (st != HW_OK && st != HW_ENOTFOUND) return st;
        int before = st == HW_OK ? *(const uint8_t *)value.data : -1;
        if (before != sc->next.value[i])
            fail_msg("%s is %d, expected %d", text, before, sc->next.value[i]);
        byte = (uint8_t)(before + 1);
        sc->next.value[i] = byte;
        return hwi_store_put(t, key_of(i, text), hwi_bytes(&byte, 1), err);
    }
}

static hw_status
write_once(scene *sc, hw_store *s)
{
    hw_error err = {0};
    hw_store_txn *t;
    hw_status st = hwi_store_begin(s, HW_TXN_WRITE, &t, &err);

    sc->next = sc->now;
    if (st != HW_OK) return st;
    for (uint64_t n = 1 + hwi_rng_below(&sc->rng, 6); st == HW_OK && n > 0; n--)
        st = operate(sc, t, &err);
    if (st == HW_OK) {
        st = hwi_store_commit(t, &err);
    } else {
        hwi_store_abort(t);
    }
    if (st != HW_OK && st != HW_ECONFLICT && st != HW_EUNKNOWN)
        fail_msg("%s (%s)", hw_status_text(st), err.message);
    return st;
}

static void
step(void *arg, int number)
{
    scene *sc = arg;
    hw_store *writer = sc->s[hwi_rng_below(&sc->rng, 2)];
    hw_status st = write_once(sc, writer);

    if (st == HW_EUNKNOWN) {
        model found = read_model(writer, scan_all);
        if (same(&found, &sc->next)) st = HW_OK;
    }
    if (st == HW_OK) sc->now = sc->next;
    for (int i = 0; i < 2; i++) {
        model found = read_model(sc->s[i], number % 3 == 0 ? scan_all : get_all);
        if (!same(&found, &sc->now))
            fail_msg("step %d, %s: handle %d sees something else", number, hw_status_text(st),
                     i == (writer == sc->s[1]) ? 0 : 1);
    }
}

/* Its faults are not errors. */
static bool
is_quiet(const char *plan)
{
    return strncmp(plan, "jump", 4) == 0 || strncmp(plan, "slow", 4) == 0;
}

/* Takes the steps while the faults of a plan come, and sees that they came. */
static void
step_under(const char *plan, uint64_t seed, void (*take_step)(void *arg, int number), void *arg,
           int steps)
{
    uint64_t met = hwt_faults_met();

    print_message("  %s, seed %llu\n", plan, (unsigned long long)seed);
    hwt_faults(seed, plan);
    for (int i = 0; i < steps; i++) take_step(arg, i);
    hwt_faults(1, "");
    assert_true(hwt_faults_met() > met || is_quiet(plan));
}

static void
under_every_plan(void (*play)(const char *plan, uint64_t seed))
{
    for (uint64_t seed = 1; seed <= seeds(); seed++)
        for (size_t i = 0; i < HWI_COUNT(plans); i++) play(plans[i], seed * 100 + i);
}

static void
play(const char *plan, uint64_t seed)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_error err = {0};
    hwt_place place;
    scene sc;

    hwt_place_new(&place);
    memset(&sc.now, 0, sizeof sc.now);
    memset(sc.now.value, 0xff, sizeof sc.now.value);
    hwi_rng_init(&sc.rng, seed);
    for (int i = 0; i < 2; i++) hwt_ok(hwi_store_open(place.name, &opts, &sc.s[i], &err), &err);
    step_under(plan, seed, step, &sc, STEPS);
    for (int i = 0; i < 2; i++) hwi_store_close(sc.s[i]);
    hwt_place_remove(&place);
}

static void
two_handles_agree_whatever_happens(void **state)
{
    (void)state;
    under_every_plan(play);
}

/* ---- the database */

typedef struct points {
    hw_db *db[2];
    hw_collection *c[2];
    int value[IDS], next[IDS]; /* -1: absent */
    hwi_rng rng;
} points;

static bool
is_there(hw_collection *c, const int value[IDS])
{
    hw_error err = {0};
    hw_id ids[IDS];
    hw_result *r = NULL;
    hw_status st = HW_ECONFLICT;
    int found[IDS];

    memset(found, 0xff, sizeof found);
    for (uint64_t i = 0; i < IDS; i++) ids[i] = HW_ID_U64(i);
    for (int i = 0; i < TRIES && st == HW_ECONFLICT; i++)
        st = hw_collection_get(c, ids, IDS, HW_WITH_VECTOR, &r, &err);
    hwt_ok(st, &err);
    for (size_t i = 0; i < hw_result_count(r); i++)
        found[hw_result_ids(r)[i].as.u64] = (int)hw_result_vector(r, i, NULL, NULL)[0];
    hw_result_free(r);
    return memcmp(found, value, sizeof found) == 0;
}

static hw_status
write_points(points *p, hw_collection *c, hw_error *err)
{
    hw_id ids[10];
    float rows[10][DIM];
    size_t count = 1 + hwi_rng_below(&p->rng, 10);
    uint64_t first = hwi_rng_below(&p->rng, IDS - 10);
    bool is_delete = hwi_rng_below(&p->rng, 4) == 0;

    memcpy(p->next, p->value, sizeof p->next);
    for (size_t i = 0; i < count; i++) {
        int value = (int)hwi_rng_below(&p->rng, 1000);
        ids[i] = HW_ID_U64(first + i);
        p->next[first + i] = is_delete ? -1 : value;
        for (int d = 0; d < DIM; d++) rows[i][d] = (float)(value + d);
    }
    return is_delete ? hw_collection_delete(c, ids, count, NULL, err)
                     : hw_collection_upsert(c, ids, &rows[0][0], count, NULL, err);
}

static void
round_of_points(void *arg, int number)
{
    points *p = arg;
    hw_error err = {0};
    (void)number;
    hw_collection *c = p->c[hwi_rng_below(&p->rng, 2)];
    hw_status st = write_points(p, c, &err);

    if (st != HW_OK && st != HW_ECONFLICT && st != HW_EUNKNOWN)
        fail_msg("%s (%s)", hw_status_text(st), err.message);
    if (st == HW_OK || (st == HW_EUNKNOWN && is_there(c, p->next)))
        memcpy(p->value, p->next, sizeof p->value);
    for (int i = 0; i < 2; i++)
        if (!is_there(p->c[i], p->value)) fail_msg("%s, then something else", hw_status_text(st));
}

static void
play_points(const char *plan, uint64_t seed)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_error err = {0};
    hwt_place place;
    points p;

    hwt_place_new(&place);
    memset(p.value, 0xff, sizeof p.value);
    hwi_rng_init(&p.rng, seed);
    opts.threads = 1;
    for (int i = 0; i < 2; i++) {
        hwt_ok(hw_db_open(place.name, &opts, &p.db[i], &err), &err);
        if (i == 0)
            hwt_ok(
                hw_collection_create(p.db[0], "things",
                                     "{\"dim\":4,\"metric\":\"l2\",\"index\":{\"kind\":\"hybrid\","
                                     "\"flat_below\":20,\"leaf_size\":16}}",
                                     &err),
                &err);
        hwt_ok(hw_collection_open(p.db[i], "things", &p.c[i], &err), &err);
    }
    step_under(plan, seed, round_of_points, &p, ROUNDS);
    hwt_db_check(p.db[1]);
    for (int i = 0; i < 2; i++) {
        hw_collection_close(p.c[i]);
        hw_db_close(p.db[i]);
    }
    hwt_place_remove(&place);
}

static void
points_are_as_acknowledged_whatever_happens(void **state)
{
    (void)state;
    under_every_plan(play_points);
}

/* ---- what is not there */

static void
a_cluster_that_never_answers_is_told_within_bounds(void **state)
{
    hw_error err = {0};
    char path[HWT_PATH + 32], name[HWT_PATH + 64], scratch[HWT_PATH];
    hw_db *db;
    (void)state;

    hwt_scratch_new(scratch);
    snprintf(path, sizeof path, "%s/dead.cluster", scratch);
    hwt_cluster_file(path, "standin_dead");
    snprintf(name, sizeof name, "fdb:%s", path);
    uint64_t from = hwi_clock_us();
    assert_int_equal(hw_db_open(name, NULL, &db, &err), HW_EIO);
    assert_true(hwi_clock_us() - from < 40000000);
    assert_non_null(strstr(err.message, "no answer from the FoundationDB cluster in"));
    assert_int_equal(remove(path), 0);
    assert_int_equal(hw_db_open(name, NULL, &db, &err), HW_ENOTFOUND);
    hwt_scratch_remove(scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_handles_agree_whatever_happens),
        cmocka_unit_test(points_are_as_acknowledged_whatever_happens),
        cmocka_unit_test(a_cluster_that_never_answers_is_told_within_bounds),
    };
    hwt_use_standin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
