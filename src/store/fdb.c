/* fdb.c - the store on FoundationDB: opening, beginning transactions, facts.
 *
 * A hashwood database is a range of keys in a FoundationDB cluster, used by any number of processes
 * at once. FoundationDB brings transactions that are strictly serialisable, optimistic, five
 * seconds long and ten megabytes large. What is built on them:
 *
 *     versions    a database has its own, which moves only when it changes    fdb_log.c
 *     cache       values stay in memory while the version's log keeps it told fdb_cache.c
 *     readers     see one version for as long as what they ask for is unchanged fdb_read.c
 *     scans       chunks, the next on its way while one is handed out         fdb_scan.c
 *     writers     one at a time in a process, any number of processes         fdb_write.c
 *
 * Writers of one process take turns although FoundationDB would let them race: the layers above rely
 * on it, and they would conflict with each other more than with anyone else.
 */
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "store/fdb.h"

#define CACHE_BYTES ((size_t)256 << 20)
#define CACHE_BYTES_MIN ((size_t)1 << 20)

/* ---- transactions */

static hw_status
begin_reading(hwi_fdb_txn *t, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    uint64_t stale_us = (uint64_t)s->max_staleness_ms * 1000;

    if (stale_us) t->snap = hwi_fdb_snap_recent(s, HWI_MIN(stale_us, HWI_FDB_SNAP_US));
    if (!t->snap) HWI_TRY(hwi_fdb_snap_new(s, &t->snap, err));
    t->version = t->snap->version;
    return HW_OK;
}

static hw_status
begin_writing(hwi_fdb_txn *t, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);

    HWI_TRY(hwi_fdb_transaction(s, &t->tr, err));
    for (;;) {
        int code = hwi_fdb_learn(s, t->tr, &t->version);
        if (code == 0) return HW_OK;
        code = hwi_fdb_on_error(s, t->tr, code);
        if (code != 0) return hwi_fdb_fail(s, code, "begin a transaction", err);
    }
}

static hw_status
take_turn(hwi_fdb *s, hw_error *err)
{
    if (s->read_only) return hwi_fail(err, HW_EREADONLY, "the database is open read-only");
    if (!hwi_turn_take(&s->writer, hwi_clock_us() + (uint64_t)s->busy_timeout_ms * 1000))
        return hwi_turn_busy(err, s->busy_timeout_ms);
    return HW_OK;
}

static hw_status
fdb_begin(hw_store *base, hw_txn_mode mode, hw_store_txn **out, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(base);

    *out = NULL;
    HWI_TRY(hwi_fdb_api_usable(err));
    hwi_fdb_txn *t = hwi_alloc_zero(sizeof *t);
    if (!t) return hwi_nomem(err, sizeof *t);
    if (mode == HW_TXN_WRITE) {
        hw_status st = take_turn(s, err);
        if (st != HW_OK) {
            hwi_free(t);
            return st;
        }
    }
    t->base.store = base;
    t->base.mode = mode;
    t->born_us = hwi_clock_us();
    pthread_mutex_init(&t->lock, NULL);
    hw_status st = mode == HW_TXN_WRITE ? begin_writing(t, err) : begin_reading(t, err);
    if (st != HW_OK) {
        hwi_fdb_abort(&t->base);
        return st;
    }
    *out = &t->base;
    return HW_OK;
}

static uint64_t
fdb_snapshot(hw_store_txn *t)
{
    return hwi_fdb_txn_of(t)->version;
}

/* When it cannot be learned: above every version, so that a transaction is begun, which says why. */
static uint64_t
fdb_newest(hw_store *base)
{
    hwi_fdb *s = hwi_fdb_of(base);
    hwi_fdb_snap *snap = NULL;

    if (hwi_fdb_api_usable(NULL) != HW_OK) return UINT64_MAX;
    if (s->max_staleness_ms) snap = hwi_fdb_snap_recent(s, (uint64_t)s->max_staleness_ms * 1000);
    if (!snap && hwi_fdb_snap_new(s, &snap, NULL) != HW_OK) return UINT64_MAX;
    uint64_t version = snap->version;
    hwi_fdb_snap_unref(s, snap);
    return version;
}

/* Half a cache: what one transaction keeps, the cache cannot give to others. */
static bool
fdb_is_spent(hw_store_txn *base)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);
    hwi_fdb_cache_stats stats;

    if (base->mode == HW_TXN_WRITE) return false;
    hwi_fdb_cache_stats_get(hwi_fdb_of(base->store)->cache, &stats);
    pthread_mutex_lock(&t->lock);
    bool is_spent = t->kept_bytes > stats.bytes_max / 2;
    pthread_mutex_unlock(&t->lock);
    return is_spent;
}

static void
fdb_forget(hw_store_txn *base)
{
    hwi_fdb_txn *t = hwi_fdb_txn_of(base);

    if (base->mode == HW_TXN_WRITE) return;
    hwi_fdb_chunks_release(t);
    hwi_fdb_held_release(t);
    t->kept_bytes = 0;
}

/* ---- facts */

/* FoundationDB's estimate; for less than some megabytes it is 0. */
static hw_status
estimate_bytes(hwi_fdb *s, uint64_t *bytes, hw_error *err)
{
    FDBTransaction *tr;
    hwi_key begin, end;
    int64_t estimate = 0;
    int code;

    HWI_TRY(hwi_fdb_transaction(s, &tr, err));
    hwi_fdb_key_init(s, &begin, HWI_FDB_KEYS);
    hwi_fdb_key_init(s, &end, HWI_FDB_END);
    do {
        FDBFuture *f = s->api->transaction_get_estimated_range_size_bytes(
            tr, begin.data, (int)begin.size, end.data, (int)end.size);
        code = hwi_fdb_wait(s, f);
        if (code == 0) code = s->api->future_get_int64(f, &estimate);
        s->api->future_destroy(f);
    } while (code != 0 && (code = hwi_fdb_on_error(s, tr, code)) == 0);
    s->api->transaction_destroy(tr);
    *bytes = (uint64_t)HWI_MAX(estimate, 0);
    return code == 0 ? HW_OK : hwi_fdb_fail(s, code, "read the size", err);
}

static hw_status
fdb_info(hw_store *base, hw_store_info *info, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(base);
    hwi_fdb_cache_stats stats;

    memset(info, 0, sizeof *info);
    HWI_TRY(hwi_fdb_api_usable(err));
    HWI_TRY(estimate_bytes(s, &info->disk_bytes, err));
    hwi_fdb_cache_stats_get(s->cache, &stats);
    info->cache_bytes = stats.bytes;
    info->cache_bytes_max = stats.bytes_max;
    info->cache_hits = stats.hits;
    info->cache_misses = stats.misses;
    info->cache_evictions = stats.evictions;
    info->round_trips = atomic_load_explicit(&s->waits, memory_order_relaxed);
    return HW_OK;
}

/* ---- life */

static void
fdb_close(hw_store *base)
{
    hwi_fdb *s = hwi_fdb_of(base);

    hwi_fdb_snap_forget(s, NULL);
    if (s->db && hwi_fdb_api_usable(NULL) == HW_OK) {
        hwi_fdb_log_leave(s);
        s->api->database_destroy(s->db);
        hwi_fdb_api_met();
    }
    hwi_fdb_cache_free(s->cache);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->learn);
    hwi_turn_release(&s->writer);
    hwi_free(s);
}

static const hw_store_ops fdb_ops = {
    .name = "fdb",
    .begin = fdb_begin,
    .snapshot = fdb_snapshot,
    .newest = fdb_newest,
    .get = hwi_fdb_get,
    .peek = hwi_fdb_peek,
    .peek_scan = hwi_fdb_peek_scan,
    .guard = hwi_fdb_guard,
    .want = hwi_fdb_want,
    .scan = hwi_fdb_scan,
    .put = hwi_fdb_put,
    .del = hwi_fdb_del,
    .del_range = hwi_fdb_del_range,
    .add = hwi_fdb_add,
    .put_stamped = hwi_fdb_put_stamped,
    .commit = hwi_fdb_commit,
    .abort = hwi_fdb_abort,
    .is_spent = fdb_is_spent,
    .forget = fdb_forget,
    .info = fdb_info,
    .close = fdb_close,
};

static hw_status
open_database(hwi_fdb *s, const hwi_fdb_name *name, hw_error *err)
{
    uint8_t timeout_ms[8];

    HWI_TRY(hwi_fdb_api_take(&s->api, err));
    if (access(s->where, R_OK) != 0)
        return hwi_fail(
            err, HW_ENOTFOUND,
            "cannot read the FoundationDB cluster file %s: copy it from a machine of the "
            "cluster, or name another as fdb:/path/fdb.cluster",
            s->where);
    int code = s->api->create_database(name->cluster[0] ? name->cluster : NULL, &s->db);
    if (code != 0) return hwi_fdb_fail(s, code, "use the cluster file", err);
    hwi_put_u64(timeout_ms, HWI_FDB_TIMEOUT_S * 1000u);
    code = s->api->database_set_option(s->db, HWI_FDB_OPTION_TIMEOUT_MS, timeout_ms,
                                       sizeof timeout_ms);
    return code == 0 ? HW_OK : hwi_fdb_fail(s, code, "set a timeout", err);
}

static hw_status
set_up(hwi_fdb *s, const hwi_fdb_name *name, const hw_db_opts *opts, hw_error *err)
{
    size_t cache_bytes = opts->cache_bytes ? (size_t)opts->cache_bytes : CACHE_BYTES;

    snprintf(s->where, sizeof s->where, "%s", hwi_fdb_name_file(name));
    hwi_key_init(&s->prefix);
    hwi_key_text(&s->prefix, "hashwood", 8);
    hwi_key_text(&s->prefix, name->prefix, strlen(name->prefix));
    s->busy_timeout_ms = opts->busy_timeout_ms;
    s->max_staleness_ms = opts->max_staleness_ms;
    s->read_only = opts->read_only;
    if (getrandom(s->session, sizeof s->session, 0) != (ssize_t)sizeof s->session)
        return hwi_fail(err, HW_EIO, "the system gives no random bytes");
    HWI_TRY(hwi_fdb_cache_new(HWI_MAX(cache_bytes, CACHE_BYTES_MIN), &s->cache, err));
    return open_database(s, name, err);
}

hw_status
hwi_store_fdb_open(const char *where, const hw_db_opts *opts, hw_store **out, hw_error *err)
{
    const hw_db_opts defaults = HW_DB_OPTS_INIT;
    hwi_fdb_name name;

    *out = NULL;
    HWI_TRY(hwi_fdb_name_parse(where, &name, err));
    hwi_fdb *s = hwi_alloc_zero(sizeof *s);
    if (!s) return hwi_nomem(err, sizeof *s);
    hw_status st = hwi_turn_init(&s->writer, err);
    if (st != HW_OK) {
        hwi_free(s);
        return st;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->learn, NULL);
    s->base.ops = &fdb_ops;
    s->base.limits = hwi_store_limits();
    s->base.limits.txn_bytes_max = HWI_FDB_TXN_MAX;
    s->base.limits.txn_ms_max = HWI_FDB_TXN_MS_MAX;
    st = set_up(s, &name, opts ? opts : &defaults, err);
    if (st != HW_OK) {
        fdb_close(&s->base);
        return st;
    }
    *out = &s->base;
    return HW_OK;
}
