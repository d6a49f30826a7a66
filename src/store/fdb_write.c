/* fdb_write.c - write transactions: puts and deletes, and the commit.
 *
 * Every write goes to two places: to the FoundationDB transaction, as a mutation, which costs no
 * wait; and into the overlay, which answers our own reads of it and is what the log entry is made
 * from.
 *
 * FoundationDB counts more than keys and values against its 10 MB: each mutation brings a conflict
 * range and some bookkeeping. `cost` is an estimate from above. A transaction that nears the limit
 * by many small writes reports itself full before its bytes say so. */
#include "store/fdb.h"

#define MUTATION_COST 90u /* a mutation and a range, as the client counts them, and our log's */
#define COST_SOFT (HWI_FDB_TXN_MAX / 2)

static size_t
cost_of(const hwi_fdb *s, size_t key_bytes, size_t value_bytes)
{
    return MUTATION_COST + 4 * (s->prefix.size + key_bytes) + value_bytes;
}

static hw_status
broken(hwi_fdb_txn *t, size_t bytes, hw_error *err)
{
    t->failed = HW_ENOMEM;
    return hwi_nomem(err, bytes);
}

/* Before a write: room for it, and an end to what was borrowed. */
static hw_status
prepare(hwi_fdb_txn *t, size_t cost, hw_error *err)
{
    if (cost > HWI_FDB_TXN_MAX - HWI_MIN(t->cost, HWI_FDB_TXN_MAX))
        return hwi_fail(err, HW_ELIMIT, "transaction of %zu bytes is above the maximum %u",
                        t->cost + cost, HWI_FDB_TXN_MAX);
    hwi_fdb_chunks_release(t);
    return HW_OK;
}

static void
wrote(hwi_fdb_txn *t, size_t bytes, size_t cost)
{
    size_t soft = t->base.store->limits.txn_bytes_soft;
    t->base.bytes_written += bytes;
    t->cost += cost;
    if (t->cost > COST_SOFT && t->base.bytes_written < soft) t->base.bytes_written = soft;
}

hw_status
hwi_fdb_put(hw_store_txn *base, hw_bytes key, hw_bytes value, hw_error *err)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);
    hwi_fdb *s = hwi_fdb_of(base->store);
    size_t cost = cost_of(s, key.size, value.size);
    hwi_key k;

    HWI_TRY(hwi_store_check_put(base, key, value, err));
    HWI_TRY(prepare(t, cost, err));
    if (!hwi_fdb_overlay_put(&t->overlay, key, value)) return broken(t, key.size + value.size, err);
    hwi_fdb_key_of(s, &k, key);
    s->api->transaction_set(t->tr, k.data, (int)k.size, value.data ? value.data : k.data,
                            (int)value.size);
    wrote(t, key.size + value.size, cost);
    return HW_OK;
}

hw_status
hwi_fdb_del(hw_store_txn *base, hw_bytes key, hw_error *err)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);
    hwi_fdb *s = hwi_fdb_of(base->store);
    size_t cost = cost_of(s, key.size, 0);
    hwi_key k;

    HWI_TRY(hwi_store_check_write(base, key.size, err));
    if (key.size == 0 || key.size > HWI_STORE_KEY_MAX) return HW_OK; /* never stored */
    HWI_TRY(prepare(t, cost, err));
    if (!hwi_fdb_overlay_del(&t->overlay, key)) return broken(t, key.size, err);
    hwi_fdb_key_of(s, &k, key);
    s->api->transaction_clear(t->tr, k.data, (int)k.size);
    wrote(t, key.size, cost);
    return HW_OK;
}

hw_status
hwi_fdb_del_range(hw_store_txn *base, hw_bytes from, hw_bytes to, hw_error *err)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);
    hwi_fdb *s = hwi_fdb_of(base->store);
    size_t cost = cost_of(s, from.size + to.size, 0);
    hwi_key begin, end;

    HWI_TRY(hwi_store_check_write(base, from.size + to.size, err));
    if (to.size && hwi_fdb_compare(from, to) >= 0) return HW_OK;
    HWI_TRY(prepare(t, cost, err));
    if (from.size > HWI_STORE_KEY_MAX) from.size = HWI_STORE_KEY_MAX;
    if (!hwi_fdb_overlay_del_range(&t->overlay, from, to)) return broken(t, from.size, err);
    hwi_fdb_key_of(s, &begin, from);
    if (to.size)
        hwi_fdb_key_of(s, &end, to);
    else
        hwi_fdb_key_init(s, &end, HWI_FDB_LOG);
    s->api->transaction_clear_range(t->tr, begin.data, (int)begin.size, end.data, (int)end.size);
    wrote(t, from.size + to.size, cost);
    return HW_OK;
}

hw_status
hwi_fdb_add(hw_store_txn *base, hw_bytes key, int64_t delta, hw_error *err)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);
    hwi_fdb *s = hwi_fdb_of(base->store);
    size_t cost = cost_of(s, key.size, 8);
    uint8_t param[8];
    hw_bytes own;
    hwi_key k;

    hwi_put_u64(param, (uint64_t)delta);
    HWI_TRY(hwi_store_check_put(base, key, hwi_bytes(param, sizeof param), err));
    HWI_TRY(prepare(t, cost, err));
    if (hwi_fdb_overlay_find(&t->overlay, key, &own) == HWI_FDB_PUT && own.size != 8)
        return hwi_fail(err, HW_ECORRUPT, "counter of %zu bytes, expected 8", own.size);
    if (!hwi_fdb_overlay_add(&t->overlay, key, delta)) return broken(t, key.size, err);
    hwi_fdb_key_of(s, &k, key);
    s->api->transaction_atomic_op(t->tr, k.data, (int)k.size, param, sizeof param,
                                  HWI_FDB_MUTATION_ADD);
    wrote(t, key.size + sizeof param, cost);
    return HW_OK;
}

/* Eight bytes of commit version and two of order come from FoundationDB, the last two from us. */
hw_status
hwi_fdb_put_stamped(hw_store_txn *base, hw_bytes key, hw_bytes value, hw_error *err)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);
    hwi_fdb *s = hwi_fdb_of(base->store);
    size_t cost = cost_of(s, key.size + HW_STAMP_BYTES, value.size);
    uint8_t room[HW_STAMP_BYTES + 4] = {0};
    hwi_key k;

    HWI_TRY(hwi_store_check_put(base, key, value, err));
    if (key.size + HW_STAMP_BYTES > HWI_STORE_KEY_MAX)
        return hwi_fail(err, HW_ELIMIT, "key of %zu bytes and a stamp is above the maximum %u",
                        key.size, HWI_STORE_KEY_MAX);
    if (base->stamped > UINT16_MAX)
        return hwi_fail(err, HW_ELIMIT, "stamped keys of a transaction are above the maximum %u",
                        UINT16_MAX + 1u);
    HWI_TRY(prepare(t, cost, err));
    hwi_fdb_key_of(s, &k, key);
    room[10] = (uint8_t)(base->stamped >> 8);
    room[11] = (uint8_t)base->stamped;
    hwi_put_u32(room + HW_STAMP_BYTES, (uint32_t)k.size);
    hwi_key_raw(&k, hwi_bytes(room, sizeof room));
    s->api->transaction_atomic_op(t->tr, k.data, (int)k.size, value.data ? value.data : k.data,
                                  (int)value.size, HWI_FDB_MUTATION_STAMPED_KEY);
    base->stamped++;
    wrote(t, key.size + HW_STAMP_BYTES + value.size, cost);
    return HW_OK;
}

/* ---- the end */

static void
end(hwi_fdb_txn *t)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);

    hwi_fdb_chunks_release(t);
    hwi_fdb_held_release(t);
    hwi_fdb_snap_unref(s, t->snap);
    if (t->tr) s->api->transaction_destroy(t->tr);
    hwi_fdb_overlay_release(&t->overlay);
    pthread_mutex_destroy(&t->lock);
    if (t->base.mode == HW_TXN_WRITE) hwi_turn_give(&s->writer);
    hwi_free(t);
}

void
hwi_fdb_abort(hw_store_txn *t)
{
    if (t) end(hwi_fdb_txn_of(t));
}

/* Whether an error of a commit leaves open what became of it. */
static bool
is_open(const hwi_fdb *s, int code)
{
    return code == HWI_FDB_TIMED_OUT || code == HWI_FDB_CANCELLED ||
           (code != HWI_FDB_CONFLICT && hwi_fdb_is_retryable(s, code) &&
            !s->api->error_predicate(HWI_FDB_IS_NOT_COMMITTED, code));
}

static void
learn_own(hwi_fdb_txn *t, uint64_t version)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    hwi_fdb_log_own(t, version);
    /* release: whoever sees the version finds the older snapshot gone */
    atomic_store_explicit(&s->committed, version, memory_order_release);
    hwi_fdb_snap_forget(s, NULL);
}

/* The commit is in, but at which version was lost on the way: from its start on all is open. */
static void
learn_unknown(hwi_fdb_txn *t)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    hwi_fdb_snap *snap;
    hwi_fdb_snap_forget(s, NULL);
    if (hwi_fdb_snap_new(s, &snap, NULL) != HW_OK) return;
    atomic_store_explicit(&s->committed, snap->version, memory_order_release);
    hwi_fdb_snap_unref(s, snap);
}

static hw_status
commit(hwi_fdb_txn *t, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    int64_t version = 0;

    HWI_TRY(hwi_fdb_log_write(t, err));
    FDBFuture *f = s->api->transaction_commit(t->tr);
    int code = hwi_fdb_wait(s, f);
    s->api->future_destroy(f);
    if (code == 0) code = s->api->transaction_get_committed_version(t->tr, &version);
    if (code == 0) {
        learn_own(t, (uint64_t)version);
        return HW_OK;
    }
    if (!is_open(s, code)) return hwi_fdb_fail(s, code, "commit", err);
    HWI_TRY(hwi_fdb_log_settle(s, err));
    learn_unknown(t);
    return HW_OK;
}

hw_status
hwi_fdb_commit(hw_store_txn *base, hw_error *err)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);
    hw_status st = HW_OK;

    if (t->failed != HW_OK)
        st = hwi_fail(err, t->failed, "cannot commit: a write of the transaction failed");
    else if (base->mode == HW_TXN_WRITE &&
             !(hwi_fdb_overlay_is_empty(&t->overlay) && base->stamped == 0))
        st = commit(t, err);
    end(t);
    return st;
}
