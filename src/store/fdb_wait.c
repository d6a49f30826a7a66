/* fdb_wait.c - what all of the backend does with FoundationDB: keys, waiting, failing, snapshots.
 *
 * Every wait ends: a transaction's timeout (HWI_FDB_TIMEOUT_S, set on the database) ends all its
 * futures with an error, and we never wait for anything else.
 */
#include <stdio.h>

#include "store/fdb.h"

/* ---- keys */

void
hwi_fdb_key_init(const hwi_fdb *s, hwi_key *k, hwi_fdb_space space)
{
    memcpy(k->data, s->prefix.data, s->prefix.size);
    k->size = s->prefix.size;
    hwi_key_uint(k, space);
}

void
hwi_fdb_key_of(const hwi_fdb *s, hwi_key *k, hw_bytes key)
{
    hwi_fdb_key_init(s, k, HWI_FDB_KEYS);
    hwi_key_raw(k, key);
}

/* ---- waiting and failing */

int
hwi_fdb_wait(hwi_fdb *s, FDBFuture *f)
{
    if (!s->api->future_is_ready(f)) {
        atomic_fetch_add_explicit(&s->waits, 1, memory_order_relaxed); /* a count, orders nothing */
        int code = s->api->future_block_until_ready(f);
        if (code != 0) return code;
    }
    return s->api->future_get_error(f);
}

int
hwi_fdb_on_error(hwi_fdb *s, FDBTransaction *tr, int code)
{
    FDBFuture *f = s->api->transaction_on_error(tr, code);
    code = hwi_fdb_wait(s, f);
    s->api->future_destroy(f);
    return code;
}

bool
hwi_fdb_is_retryable(const hwi_fdb *s, int code)
{
    return s->api->error_predicate(HWI_FDB_IS_RETRYABLE, code) != 0;
}

hw_status
hwi_fdb_fail(const hwi_fdb *s, int code, const char *doing, hw_error *err)
{
    const char *text = s->api->get_error(code);

    if (code == HWI_FDB_TIMED_OUT)
        return hwi_fail(err, HW_EIO,
                        "no answer from the FoundationDB cluster in %s within %u seconds; is it "
                        "running? try `fdbcli -C %s --exec status`",
                        s->where, HWI_FDB_TIMEOUT_S, s->where);
    if (code == HWI_FDB_CONFLICT)
        return hwi_fail(err, HW_ECONFLICT, "another transaction changed what this one read");
    if (code == HWI_FDB_TOO_OLD)
        return hwi_fail(err, HW_ECONFLICT,
                        "the transaction is older than the %u seconds FoundationDB allows",
                        HWI_FDB_TXN_MS_MAX / 1000);
    if (code == HWI_FDB_TOO_LARGE)
        return hwi_fail(err, HW_ELIMIT, "the transaction is above FoundationDB's 10 MB");
    if (hwi_fdb_is_retryable(s, code))
        return hwi_fail(err, HW_ECONFLICT, "cannot %s just now: %s (%d)", doing, text, code);
    return hwi_fail(err, HW_EIO, "cannot %s: FoundationDB says: %s (%d)", doing, text, code);
}

hw_status
hwi_fdb_transaction(hwi_fdb *s, FDBTransaction **out, hw_error *err)
{
    int code = s->api->database_create_transaction(s->db, out);
    return code == 0 ? HW_OK : hwi_fdb_fail(s, code, "begin a transaction", err);
}

FDBFuture *
hwi_fdb_range(hwi_fdb *s, FDBTransaction *tr, hw_bytes begin, bool after, hw_bytes end, int mode,
              bool reverse)
{
    return s->api->transaction_get_range(tr, begin.data, (int)begin.size, after, 1, end.data,
                                         (int)end.size, 0, 1, 0, 0, mode, 0, 1, reverse);
}

/* ---- snapshots */

hwi_fdb_snap *
hwi_fdb_snap_ref(hwi_fdb_snap *snap)
{
    atomic_fetch_add_explicit(&snap->refs, 1, memory_order_relaxed);
    return snap;
}

void
hwi_fdb_snap_unref(hwi_fdb *s, hwi_fdb_snap *snap)
{
    /* acq_rel: whoever destroys comes after all who read */
    if (!snap || atomic_fetch_sub_explicit(&snap->refs, 1, memory_order_acq_rel) != 1) return;
    s->api->transaction_destroy(snap->tr);
    hwi_free(snap);
}

static hw_status
learn(hwi_fdb *s, hwi_fdb_snap *snap, hw_error *err)
{
    for (;;) {
        snap->born_us = hwi_clock_us();
        int code = hwi_fdb_learn(s, snap->tr, &snap->version);
        if (code == 0) return HW_OK;
        code = hwi_fdb_on_error(s, snap->tr, code);
        if (code != 0) return hwi_fdb_fail(s, code, "read the database's version", err);
    }
}

/* Two threads may have asked at once: the younger answer stays; none that is older than our own
 * newest commit. */
static void
remember(hwi_fdb *s, hwi_fdb_snap *snap)
{
    hwi_fdb_snap *old = snap;
    pthread_mutex_lock(&s->lock);
    /* acquire: pairs with the release of a commit, which takes s->lock afterwards */
    if (snap->version >= atomic_load_explicit(&s->committed, memory_order_acquire) &&
        (!s->snap || s->snap->born_us < snap->born_us)) {
        old = s->snap;
        s->snap = snap;
    }
    pthread_mutex_unlock(&s->lock);
    hwi_fdb_snap_unref(s, old);
}

hw_status
hwi_fdb_snap_new(hwi_fdb *s, hwi_fdb_snap **out, hw_error *err)
{
    *out = NULL;
    hwi_fdb_snap *snap = hwi_alloc_zero(sizeof *snap);
    if (!snap) return hwi_nomem(err, sizeof *snap);
    hw_status st = hwi_fdb_transaction(s, &snap->tr, err);
    if (st != HW_OK) {
        hwi_free(snap);
        return st;
    }
    atomic_init(&snap->refs, 1);
    st = learn(s, snap, err);
    if (st != HW_OK) {
        hwi_fdb_snap_unref(s, snap);
        return st;
    }
    if (!atomic_exchange(&s->has_met, true)) hwi_fdb_api_met();
    remember(s, hwi_fdb_snap_ref(snap));
    *out = snap;
    return HW_OK;
}

hwi_fdb_snap *
hwi_fdb_snap_recent(hwi_fdb *s, uint64_t age_us)
{
    hwi_fdb_snap *snap = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->snap && hwi_clock_us() - s->snap->born_us < age_us) snap = hwi_fdb_snap_ref(s->snap);
    pthread_mutex_unlock(&s->lock);
    return snap;
}

void
hwi_fdb_snap_forget(hwi_fdb *s, const hwi_fdb_snap *snap)
{
    hwi_fdb_snap *old = NULL;
    pthread_mutex_lock(&s->lock);
    if (!snap || s->snap == snap) {
        old = s->snap;
        s->snap = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    hwi_fdb_snap_unref(s, old);
}
