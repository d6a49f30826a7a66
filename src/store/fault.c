/* fault.c - a store that misbehaves on cue, around any other store.
 *
 * Every call is counted against the plan before it reaches the inner store. A stopped store answers
 * every call with HW_EIO, as a killed process would answer none; ending a transaction then aborts
 * the inner one, as the kernel would.
 *
 * LOSE plays a disk that acknowledges writes it has not kept. From the cue on, each write
 * transaction first notes what the keys it changes held before; a power cut puts the notes of all
 * commits since the cue back, newest first.
 */
#include "store/backend.h"

/* What a key held: one entry of an undo list. */
typedef struct undo {
    struct undo *next; /* older */
    bool existed;
    hwi_buf key, value;
} undo;

typedef struct fault_store {
    hw_store base;
    hw_store *inner;
    hwi_fault_plan *plan;
    bool stopped;
    bool losing;
    undo *lost; /* of commits since losing began, newest first; the writer's */
} fault_store;

typedef struct fault_txn {
    hw_store_txn base;
    hw_store_txn *inner;
    undo *undo; /* of this transaction, newest first */
} fault_txn;

static fault_store *
store_of(hw_store *s)
{
    return (fault_store *)s;
}

static fault_txn *
txn_of(hw_store_txn *t)
{
    return (fault_txn *)t;
}

static hw_status
stopped(hw_error *err)
{
    return hwi_fail(err, HW_EIO, "the store has stopped (injected fault)");
}

typedef enum verdict { GO_ON, REFUSE, THEN_STOP } verdict;

/* Counts a call; what to do with it. With REFUSE, *st is what it returns. */
static verdict
judge(fault_store *f, hwi_fault_op op, hw_status *st, hw_error *err)
{
    hwi_fault_plan *p = f->plan;

    if (f->stopped) {
        *st = stopped(err);
        return REFUSE;
    }
    if (!(p->ops & (uint32_t)op) || p->nth == 0 || ++p->seen != p->nth) return GO_ON;
    p->fired = true;
    switch (p->action) {
    case HWI_FAULT_FAIL:
        *st = hwi_fail(err, p->status, "injected fault at call %llu", (unsigned long long)p->seen);
        return REFUSE;
    case HWI_FAULT_STOP:
        f->stopped = true;
        *st = stopped(err);
        return REFUSE;
    case HWI_FAULT_STOP_AFTER:
        return THEN_STOP;
    case HWI_FAULT_LOSE:
        f->losing = true;
        return GO_ON;
    }
    return GO_ON;
}

/* The outcome of a call that was let through. */
static hw_status
outcome(fault_store *f, verdict v, hw_status st, hw_error *err)
{
    if (v != THEN_STOP) return st;
    f->stopped = true;
    return stopped(err);
}

/* ---- undo lists */

static void
undo_free(undo *u)
{
    while (u) {
        undo *next = u->next;
        hwi_buf_release(&u->key);
        hwi_buf_release(&u->value);
        hwi_free(u);
        u = next;
    }
}

static hw_status
undo_note(fault_txn *t, hw_bytes key, bool existed, hw_bytes value, hw_error *err)
{
    undo *u = hwi_alloc_zero(sizeof *u);
    if (!u) return hwi_nomem(err, sizeof *u);
    u->existed = existed;
    hwi_buf_add(&u->key, key.data, key.size);
    if (existed) hwi_buf_add(&u->value, value.data, value.size);
    u->next = t->undo;
    t->undo = u;
    return u->key.failed || u->value.failed ? hwi_nomem(err, key.size + value.size) : HW_OK;
}

/* Undo lists are kept from the first cue on, and before it as long as a cue may still come. */
static bool
keeps_undo(const fault_store *f)
{
    return f->losing || f->plan->action == HWI_FAULT_LOSE;
}

static hw_status
undo_key(fault_txn *t, hw_bytes key, hw_error *err)
{
    hw_bytes value = {NULL, 0};

    if (!keeps_undo(store_of(t->base.store))) return HW_OK;
    hw_status st = hwi_store_get(t->inner, key, &value, err);
    if (st != HW_OK && st != HW_ENOTFOUND) return st;
    return undo_note(t, key, st == HW_OK, value, err);
}

typedef struct range_undo {
    fault_txn *t;
    hw_error *err;
    hw_status st;
} range_undo;

static bool
undo_scanned(void *arg, hw_bytes key, hw_bytes value)
{
    range_undo *r = arg;
    r->st = undo_note(r->t, key, true, value, r->err);
    return r->st == HW_OK;
}

static hw_status
undo_range(fault_txn *t, hw_bytes from, hw_bytes to, hw_error *err)
{
    range_undo r = {t, err, HW_OK};

    if (!keeps_undo(store_of(t->base.store))) return HW_OK;
    HWI_TRY(hwi_store_scan(t->inner, from, to, false, undo_scanned, &r, err));
    return r.st;
}

static bool
undo_added(void *arg, hw_bytes key, hw_bytes value)
{
    range_undo *r = arg;

    (void)value;
    r->st = undo_note(r->t, key, false, (hw_bytes){NULL, 0}, r->err);
    return r->st == HW_OK;
}

/* Keys that the transaction stamped: known only once they are there. */
static hw_status
undo_stamped(fault_txn *t, hw_bytes key, hw_error *err)
{
    range_undo r = {t, err, HW_OK};
    uint8_t from[HWI_STORE_KEY_MAX], to[HWI_STORE_KEY_MAX];
    uint64_t version = hwi_store_snapshot(t->inner) + 1;
    size_t bytes = key.size + HW_STAMP_BYTES;

    if (!keeps_undo(store_of(t->base.store))) return HW_OK;
    HWI_TRY(hwi_stamped_key(from, key, version, 0, err));
    HWI_TRY(hwi_stamped_key(to, key, version + 1, 0, err));
    HWI_TRY(hwi_store_scan(t->inner, hwi_bytes(from, bytes), hwi_bytes(to, bytes), false,
                           undo_added, &r, err));
    return r.st;
}

/* Puts a transaction's list in front of the lost ones. */
static void
undo_keep(fault_store *f, fault_txn *t)
{
    undo **end = &t->undo;
    while (*end) end = &(*end)->next;
    *end = f->lost;
    f->lost = t->undo;
    t->undo = NULL;
}

static hw_status
undo_lost(hw_store_txn *inner, void *arg, hw_error *err)
{
    for (const undo *u = arg; u; u = u->next) {
        hw_bytes key = hwi_buf_bytes(&u->key);
        HWI_TRY(u->existed ? hwi_store_put(inner, key, hwi_buf_bytes(&u->value), err)
                           : hwi_store_del(inner, key, err));
    }
    return HW_OK;
}

/* ---- transactions */

static hw_status
fault_begin(hw_store *s, hw_txn_mode mode, hw_store_txn **out, hw_error *err)
{
    fault_store *f = store_of(s);
    hw_status st = HW_OK;

    *out = NULL;
    verdict v = judge(f, HWI_FAULT_BEGIN, &st, err);
    if (v == REFUSE) return st;
    if (v == THEN_STOP) return outcome(f, v, st, err); /* nothing would be left of it */
    fault_txn *t = hwi_alloc_zero(sizeof *t);
    if (!t) return hwi_nomem(err, sizeof *t);
    st = hwi_store_begin(f->inner, mode, &t->inner, err);
    if (st != HW_OK) {
        hwi_free(t);
        return st;
    }
    t->base.store = s;
    t->base.mode = mode;
    t->base.group = t->inner->group;
    *out = &t->base;
    return HW_OK;
}

static void
fault_rest(hw_store_txn *t)
{
    hwi_store_rest(txn_of(t)->inner);
}

static hw_status
fault_wake(hw_store_txn *t, hw_error *err)
{
    HWI_TRY(hwi_store_wake(txn_of(t)->inner, err));
    t->group = txn_of(t)->inner->group;
    return HW_OK;
}

static void
end(fault_txn *t)
{
    undo_free(t->undo);
    hwi_free(t);
}

static void
fault_abort(hw_store_txn *t)
{
    if (!t) return;
    hwi_store_abort(txn_of(t)->inner);
    end(txn_of(t));
}

static hw_status
fault_commit(hw_store_txn *base, hw_error *err)
{
    fault_txn *t = txn_of(base);
    fault_store *f = store_of(base->store);
    hw_status st = HW_OK;
    bool writes = base->mode == HW_TXN_WRITE; /* ending a reader is no commit to count */

    verdict v = f->stopped || writes ? judge(f, HWI_FAULT_COMMIT, &st, err) : GO_ON;
    if (v == REFUSE) {
        fault_abort(base);
        return st;
    }
    st = hwi_store_commit(t->inner, err);
    if (st == HW_OK && writes && f->losing) undo_keep(f, t);
    end(t);
    return outcome(f, v, st, err);
}

static uint64_t
fault_snapshot(hw_store_txn *t)
{
    return hwi_store_snapshot(txn_of(t)->inner);
}

static uint64_t
fault_newest(hw_store *s)
{
    return hwi_store_newest(store_of(s)->inner);
}

/* ---- reading and writing: count, then pass on */

static hw_status
fault_get(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err)
{
    fault_store *f = store_of(t->store);
    hw_status st = HW_OK;

    verdict v = judge(f, HWI_FAULT_GET, &st, err);
    if (v == REFUSE) return st;
    return outcome(f, v, hwi_store_get(txn_of(t)->inner, key, value, err), err);
}

static hw_status
fault_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn, void *arg,
           hw_error *err)
{
    fault_store *f = store_of(t->store);
    hw_status st = HW_OK;

    verdict v = judge(f, HWI_FAULT_SCAN, &st, err);
    if (v == REFUSE) return st;
    return outcome(f, v, hwi_store_scan(txn_of(t)->inner, from, to, reverse, fn, arg, err), err);
}

static hw_status
wrote(hw_store_txn *t, verdict v, hw_status st, hw_error *err)
{
    t->bytes_written = txn_of(t)->inner->bytes_written;
    return outcome(store_of(t->store), v, st, err);
}

static hw_status
fault_put(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    hw_status st = HW_OK;

    verdict v = judge(store_of(t->store), HWI_FAULT_PUT, &st, err);
    if (v == REFUSE) return st;
    HWI_TRY(undo_key(txn_of(t), key, err));
    return wrote(t, v, hwi_store_put(txn_of(t)->inner, key, value, err), err);
}

static hw_status
fault_del(hw_store_txn *t, hw_bytes key, hw_error *err)
{
    hw_status st = HW_OK;

    verdict v = judge(store_of(t->store), HWI_FAULT_DEL, &st, err);
    if (v == REFUSE) return st;
    HWI_TRY(undo_key(txn_of(t), key, err));
    return wrote(t, v, hwi_store_del(txn_of(t)->inner, key, err), err);
}

static hw_status
fault_del_range(hw_store_txn *t, hw_bytes from, hw_bytes to, hw_error *err)
{
    hw_status st = HW_OK;

    verdict v = judge(store_of(t->store), HWI_FAULT_DEL, &st, err);
    if (v == REFUSE) return st;
    HWI_TRY(undo_range(txn_of(t), from, to, err));
    return wrote(t, v, hwi_store_del_range(txn_of(t)->inner, from, to, err), err);
}

static hw_status
fault_add(hw_store_txn *t, hw_bytes key, int64_t delta, hw_error *err)
{
    hw_status st = HW_OK;

    verdict v = judge(store_of(t->store), HWI_FAULT_ADD, &st, err);
    if (v == REFUSE) return st;
    HWI_TRY(undo_key(txn_of(t), key, err));
    return wrote(t, v, hwi_store_add(txn_of(t)->inner, key, delta, err), err);
}

static hw_status
fault_put_stamped(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    hw_status st = HW_OK;

    verdict v = judge(store_of(t->store), HWI_FAULT_PUT, &st, err);
    if (v == REFUSE) return st;
    st = hwi_store_put_stamped(txn_of(t)->inner, key, value, err);
    if (st == HW_OK) st = undo_stamped(txn_of(t), key, err);
    return wrote(t, v, st, err);
}

/* ---- life */

static hw_status
fault_info(hw_store *s, hw_store_info *info, hw_error *err)
{
    return hwi_store_info(store_of(s)->inner, info, err);
}

static hw_status
fault_verify(hw_store *s, hw_damage_fn damage, void *arg, hw_error *err)
{
    return hwi_store_verify(store_of(s)->inner, damage, arg, err);
}

hw_store *
hwi_store_fault_unwrap(hw_store *fault)
{
    fault_store *f = store_of(fault);
    hw_store *inner = f->inner;
    undo_free(f->lost);
    hwi_free(f);
    return inner;
}

static void
fault_close(hw_store *s)
{
    hwi_store_close(hwi_store_fault_unwrap(s));
}

hw_status
hwi_store_fault_power_cut(hw_store *fault, hw_error *err)
{
    fault_store *f = store_of(fault);

    f->losing = f->stopped = false;
    HWI_TRY(hwi_store_run(f->inner, undo_lost, f->lost, err));
    undo_free(f->lost);
    f->lost = NULL;
    return HW_OK;
}

static const hw_store_ops fault_ops = {
    .name = "fault",
    .begin = fault_begin,
    .snapshot = fault_snapshot,
    .newest = fault_newest,
    .get = fault_get,
    .scan = fault_scan,
    .put = fault_put,
    .del = fault_del,
    .del_range = fault_del_range,
    .add = fault_add,
    .put_stamped = fault_put_stamped,
    .rest = fault_rest,
    .wake = fault_wake,
    .commit = fault_commit,
    .abort = fault_abort,
    .info = fault_info,
    .verify = fault_verify,
    .close = fault_close,
};

hw_status
hwi_store_fault_new(hw_store *inner, hwi_fault_plan *plan, hw_store **out, hw_error *err)
{
    *out = NULL;
    fault_store *f = hwi_alloc_zero(sizeof *f);
    if (!f) return hwi_nomem(err, sizeof *f);
    f->base.ops = &fault_ops;
    f->base.limits = inner->limits;
    f->inner = inner;
    f->plan = plan;
    *out = &f->base;
    return HW_OK;
}
