/* lmdb.c - the store on LMDB: transactions, reads and writes.
 *
 * A store transaction is one LMDB transaction on the main database. Reads hand out pointers into
 * the map. Writes go through one cursor kept for the whole transaction: LMDB then finds a key that
 * falls on the cursor's page without descending from the root, which is what ascending batches do.
 *
 * Keys above every other in the database are appended (MDB_APPEND), which fills pages to the brim
 * instead of splitting them in halves: that is how copies and restored backups come out dense.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "store/lmdb_env.h"
#include "store/lmdb_file.h"

typedef struct lmdb_store {
    hw_store base;
    hwi_lmdb_env e;
} lmdb_store;

typedef struct lmdb_txn {
    hw_store_txn base;
    hwi_lmdb_member m; /* READ: only its txn */
    hw_status failed;  /* of the first write that failed: only abort is left */
    size_t top_bytes;  /* WRITE, once there is a cursor: no key in the database is above `top` */
    uint8_t top[HWI_STORE_KEY_MAX];
} lmdb_txn;

static hwi_lmdb_env *
env_of(hw_store *s)
{
    return &((lmdb_store *)s)->e;
}

static lmdb_txn *
txn_of(hw_store_txn *t)
{
    return (lmdb_txn *)t;
}

static MDB_val
val_of(hw_bytes b)
{
    return (MDB_val){b.size, (void *)(uintptr_t)b.data};
}

static int
compare(hw_bytes a, const void *data, size_t bytes)
{
    size_t common = HWI_MIN(a.size, bytes);
    int order = common ? memcmp(a.data, data, common) : 0;
    return order ? order : (a.size > bytes) - (a.size < bytes);
}

/* ---- transactions */

/* Another process may have grown the database beyond our map; we can follow while no transaction
 * of ours is open. */
static int
follow_map(hwi_lmdb_env *e)
{
    int rc = MDB_MAP_RESIZED;

    pthread_rwlock_wrlock(&e->map_lock);
    if (atomic_load(&e->txns) == 0) rc = mdb_env_set_mapsize(e->env, 0);
    pthread_rwlock_unlock(&e->map_lock);
    return rc;
}

static int
begin_once(hwi_lmdb_env *e, hw_txn_mode mode, hwi_lmdb_member *m)
{
    pthread_rwlock_rdlock(&e->map_lock);
    int rc = mode != HW_TXN_WRITE ? mdb_txn_begin(e->env, NULL, MDB_RDONLY, &m->txn)
                                  : hwi_lmdb_group_begin(e, m);
    if (rc == 0) atomic_fetch_add(&e->txns, 1);
    pthread_rwlock_unlock(&e->map_lock);
    return rc;
}

static hw_status
begin_txn(hwi_lmdb_env *e, hw_txn_mode mode, hwi_lmdb_member *m, hw_error *err)
{
    int dead;
    int rc = begin_once(e, mode, m);

    if (rc == MDB_READERS_FULL && mdb_reader_check(e->env, &dead) == 0) rc = begin_once(e, mode, m);
    if (rc == MDB_MAP_RESIZED && (rc = follow_map(e)) == 0) rc = begin_once(e, mode, m);
    if (rc != 0) return hwi_lmdb_fail(e, err, rc, mode != HW_TXN_WRITE ? "read" : "write to");
    return HW_OK;
}

static hw_status
begin_locked(hwi_lmdb_env *e, hw_txn_mode mode, hwi_lmdb_member *m, hw_error *err)
{
    HWI_TRY(hwi_lmdb_env_usable(e, err));
    if (mode != HW_TXN_WRITE) return begin_txn(e, mode, m, err);

    if (e->read_only) return hwi_fail(err, HW_EREADONLY, "%s is open read-only", e->folder);
    HWI_TRY(hwi_lmdb_writer_lock(e, err));
    hw_status st = begin_txn(e, mode, m, err);
    if (st != HW_OK) hwi_lmdb_group_pass(e);
    return st;
}

static hw_status
lmdb_begin(hw_store *s, hw_txn_mode mode, hw_store_txn **out, hw_error *err)
{
    *out = NULL;
    lmdb_txn *t = hwi_alloc_zero(sizeof *t);
    if (!t) return hwi_nomem(err, sizeof *t);
    hw_status st = begin_locked(env_of(s), mode, &t->m, err);
    if (st != HW_OK) {
        hwi_free(t);
        return st;
    }
    t->base.store = s;
    t->base.mode = mode;
    t->base.group = t->m.is_nested ? env_of(s)->group.number : 0;
    *out = &t->base;
    return HW_OK;
}

/* After LMDB's transaction has ended. */
static void
end(lmdb_txn *t)
{
    atomic_fetch_sub(&env_of(t->base.store)->txns, 1);
    hwi_free(t);
}

static void
lmdb_abort(hw_store_txn *base)
{
    if (!base) return;
    lmdb_txn *t = txn_of(base);
    if (base->mode != HW_TXN_WRITE)
        mdb_txn_abort(t->m.txn);
    else
        hwi_lmdb_group_abort(env_of(base->store), &t->m);
    end(t);
}

static hw_status lmdb_wake(hw_store_txn *base, hw_error *err);

static hw_status
lmdb_commit(hw_store_txn *base, hw_error *err)
{
    lmdb_txn *t = txn_of(base);
    hwi_lmdb_env *e = env_of(base->store);

    hw_status st = lmdb_wake(base, err);
    if (st == HW_OK && t->failed != HW_OK)
        st = hwi_fail(err, t->failed, "cannot commit to %s: a write of the transaction failed",
                      e->folder);
    if (base->mode != HW_TXN_WRITE || st != HW_OK) {
        lmdb_abort(base);
        return st;
    }
    int rc = hwi_lmdb_group_commit(e, &t->m, base->bytes_written);
    end(t);
    if (rc != 0) return hwi_lmdb_fail(e, err, rc, "commit to");
    return HW_OK;
}

static uint64_t
lmdb_snapshot(hw_store_txn *t)
{
    uint64_t id = mdb_txn_id(txn_of(t)->m.txn);
    return t->mode == HW_TXN_WRITE ? id - 1 : id; /* a writer's id is that of its own commit */
}

/* Reads the meta pages in the map: no lock and no system call. */
static uint64_t
lmdb_newest(hw_store *s)
{
    MDB_envinfo info;
    if (mdb_env_info(env_of(s)->env, &info) != 0) return 0;
    return info.me_last_txnid;
}

/* ---- reading */

static hw_status
lmdb_get(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err)
{
    hwi_lmdb_env *e = env_of(t->store);
    MDB_val k = val_of(key), v;

    if (key.size == 0 || key.size > HWI_STORE_KEY_MAX) return HW_ENOTFOUND; /* never stored */
    int rc = mdb_get(txn_of(t)->m.txn, e->dbi, &k, &v);
    if (rc == MDB_NOTFOUND) return HW_ENOTFOUND;
    if (rc != 0) return hwi_lmdb_fail(e, err, rc, "read");
    *value = hwi_bytes(v.mv_data, v.mv_size);
    return HW_OK;
}

/* The first key of a scan: the first one not below `from`, or in reverse the last one below `to`.
 */
static int
seek(MDB_cursor *c, hw_bytes from, hw_bytes to, bool reverse, MDB_val *k, MDB_val *v)
{
    hw_bytes start = reverse ? to : from;

    if (start.size == 0) return mdb_cursor_get(c, k, v, reverse ? MDB_LAST : MDB_FIRST);
    *k = val_of(start);
    int rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);
    if (!reverse) return rc;
    if (rc == MDB_NOTFOUND) return mdb_cursor_get(c, k, v, MDB_LAST);
    return rc != 0 ? rc : mdb_cursor_get(c, k, v, MDB_PREV);
}

static hw_status
lmdb_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn, void *arg,
          hw_error *err)
{
    hwi_lmdb_env *e = env_of(t->store);
    MDB_cursor *c;
    MDB_val k, v;

    int rc = mdb_cursor_open(txn_of(t)->m.txn, e->dbi, &c);
    if (rc != 0) return hwi_lmdb_fail(e, err, rc, "read");
    rc = seek(c, from, to, reverse, &k, &v);
    while (rc == 0) {
        if (!reverse && to.size && compare(to, k.mv_data, k.mv_size) <= 0) break;
        if (reverse && compare(from, k.mv_data, k.mv_size) > 0) break;
        if (!fn(arg, hwi_bytes(k.mv_data, k.mv_size), hwi_bytes(v.mv_data, v.mv_size))) break;
        rc = mdb_cursor_get(c, &k, &v, reverse ? MDB_PREV : MDB_NEXT);
    }
    mdb_cursor_close(c);
    if (rc != 0 && rc != MDB_NOTFOUND) return hwi_lmdb_fail(e, err, rc, "read");
    return HW_OK;
}

/* ---- writing */

/* Remembers that the transaction is beyond repair. */
static hw_status
broken(lmdb_txn *t, hw_error *err, int rc)
{
    hw_status st = hwi_lmdb_fail(env_of(t->base.store), err, rc, "write to");
    if (t->failed == HW_OK) t->failed = st;
    return st;
}

/* What the log of a nested transaction says (hwi_lmdb_member.log): u8 operation, u32 bytes of a and
 * of b, a, b. */
enum { LOG_PUT = 1, LOG_DEL = 2, LOG_DEL_RANGE = 3, LOG_STAMPED = 4 };
#define LOG_HEADER 9u
#define LOG_BYTES_MAX ((size_t)32 << 20)

static hw_status
note(lmdb_txn *t, uint8_t op, hw_bytes a, hw_bytes b, hw_error *err)
{
    uint8_t header[LOG_HEADER] = {op};

    if (!t->m.is_nested || t->m.is_pinned) return HW_OK;
    if (t->m.log.size + a.size + b.size > LOG_BYTES_MAX) {
        t->m.is_pinned = true;
        hwi_buf_release(&t->m.log);
        return HW_OK;
    }
    hwi_put_u32(header + 1, (uint32_t)a.size);
    hwi_put_u32(header + 5, (uint32_t)b.size);
    hwi_buf_add(&t->m.log, header, sizeof header);
    hwi_buf_add(&t->m.log, a.data, a.size);
    hwi_buf_add(&t->m.log, b.data, b.size);
    if (!t->m.log.failed) return HW_OK;
    t->failed = HW_ENOMEM;
    return hwi_nomem(err, a.size + b.size);
}

/* The put cursor, and with it the highest key of the database. */
static hw_status
open_cursor(lmdb_txn *t, hw_error *err)
{
    MDB_val k, v;

    int rc = mdb_cursor_open(t->m.txn, env_of(t->base.store)->dbi, &t->m.cursor);
    if (rc != 0) return broken(t, err, rc);
    rc = mdb_cursor_get(t->m.cursor, &k, &v, MDB_LAST);
    if (rc == MDB_NOTFOUND) return HW_OK;
    if (rc != 0) return broken(t, err, rc);
    if (k.mv_size > sizeof t->top) return broken(t, err, MDB_CORRUPTED);
    memcpy(t->top, k.mv_data, k.mv_size);
    t->top_bytes = k.mv_size;
    return HW_OK;
}

static hw_status
put(hw_store_txn *base, hw_bytes key, hw_bytes value, hw_error *err)
{
    lmdb_txn *t = txn_of(base);
    MDB_val k = val_of(key), v = val_of(value);
    unsigned flags = 0;

    HWI_TRY(hwi_store_check_put(base, key, value, err));
    if (!t->m.cursor) HWI_TRY(open_cursor(t, err));
    if (compare(key, t->top, t->top_bytes) > 0) {
        memcpy(t->top, key.data, key.size);
        t->top_bytes = key.size;
        flags = MDB_APPEND;
    }
    int rc = mdb_cursor_put(t->m.cursor, &k, &v, flags);
    if (rc != 0) return broken(t, err, rc);
    base->bytes_written += key.size + value.size;
    return HW_OK;
}

static hw_status
lmdb_put(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    HWI_TRY(put(t, key, value, err));
    return note(txn_of(t), LOG_PUT, key, value, err);
}

/* Members of a group commit under one version; the environment's count tells their stamps apart. */
static hw_status
lmdb_put_stamped(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    hwi_lmdb_env *e = env_of(t->store);
    uint8_t stamped[HWI_STORE_KEY_MAX];

    HWI_TRY(hwi_stamped_key(stamped, key, lmdb_snapshot(t) + 1, e->stamps++, err));
    HWI_TRY(put(t, hwi_bytes(stamped, key.size + HW_STAMP_BYTES), value, err));
    return note(txn_of(t), LOG_STAMPED, key, value, err);
}

static hw_status
lmdb_del(hw_store_txn *base, hw_bytes key, hw_error *err)
{
    lmdb_txn *t = txn_of(base);
    MDB_val k = val_of(key);

    HWI_TRY(hwi_store_check_write(base, key.size, err));
    if (key.size == 0 || key.size > HWI_STORE_KEY_MAX) return HW_OK; /* never stored */
    int rc = mdb_del(t->m.txn, env_of(base->store)->dbi, &k, NULL);
    if (rc == MDB_NOTFOUND) return HW_OK;
    if (rc != 0) return broken(t, err, rc);
    base->bytes_written += key.size;
    return note(t, LOG_DEL, key, (hw_bytes){NULL, 0}, err);
}

static int
del_keys(lmdb_txn *t, MDB_cursor *c, hw_bytes from, hw_bytes to)
{
    MDB_val k, v;

    int rc = seek(c, from, to, false, &k, &v);
    while (rc == 0) {
        if (to.size && compare(to, k.mv_data, k.mv_size) <= 0) return 0;
        t->base.bytes_written += k.mv_size;
        rc = mdb_cursor_del(c, 0);
        if (rc != 0) return rc;
        /* The cursor now stands on the next key, if its page has one; MDB_NEXT knows. */
        rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static hw_status
lmdb_del_range(hw_store_txn *base, hw_bytes from, hw_bytes to, hw_error *err)
{
    lmdb_txn *t = txn_of(base);
    MDB_cursor *c;

    HWI_TRY(hwi_store_check_write(base, 0, err));
    int rc = mdb_cursor_open(t->m.txn, env_of(base->store)->dbi, &c);
    if (rc != 0) return broken(t, err, rc);
    rc = del_keys(t, c, from, to);
    mdb_cursor_close(c);
    if (rc != 0) return broken(t, err, rc);
    return note(t, LOG_DEL_RANGE, from, to, err);
}

static hw_status
lmdb_add(hw_store_txn *t, hw_bytes key, int64_t delta, hw_error *err)
{
    uint8_t sum[8];
    HWI_TRY(hwi_store_sum(t, key, delta, sum, err));
    return lmdb_put(t, key, hwi_bytes(sum, sizeof sum), err);
}

/* ---- resting */

static void
lmdb_rest(hw_store_txn *base)
{
    if (base->mode == HW_TXN_WRITE) hwi_lmdb_group_rest(env_of(base->store), &txn_of(base)->m);
}

/* Does an evicted transaction's writes again. */
static hw_status
replay(hw_store_txn *t, const hwi_buf *log, hw_error *err)
{
    t->bytes_written = 0;
    for (size_t at = 0; at < log->size;) {
        const uint8_t *r = log->data + at;
        hw_bytes a = {r + LOG_HEADER, hwi_get_u32(r + 1)};
        hw_bytes b = {r + LOG_HEADER + a.size, hwi_get_u32(r + 5)};
        if (r[0] == LOG_PUT)
            HWI_TRY(lmdb_put(t, a, b, err));
        else if (r[0] == LOG_STAMPED)
            HWI_TRY(lmdb_put_stamped(t, a, b, err));
        else if (r[0] == LOG_DEL)
            HWI_TRY(lmdb_del(t, a, err));
        else
            HWI_TRY(lmdb_del_range(t, a, b, err));
        at += LOG_HEADER + a.size + b.size;
    }
    return HW_OK;
}

static hw_status
lmdb_wake(hw_store_txn *base, hw_error *err)
{
    lmdb_txn *t = txn_of(base);

    if (base->mode != HW_TXN_WRITE || !hwi_lmdb_group_wake(env_of(base->store), &t->m))
        return HW_OK;
    base->group = 0;
    t->top_bytes = 0;
    if (t->m.rc != 0) return broken(t, err, t->m.rc);
    hw_status st = replay(base, &t->m.log, err);
    hwi_buf_release(&t->m.log);
    if (st != HW_OK) t->failed = st;
    return st;
}

/* ---- life */

/* Pages in the free list: each of its records begins with their number. */
static hw_status
count_free(hwi_lmdb_env *e, MDB_txn *txn, uint64_t *pages, hw_error *err)
{
    const MDB_dbi free_list = 0;
    MDB_cursor *c;
    MDB_val k, v;

    *pages = 0;
    int rc = mdb_cursor_open(txn, free_list, &c);
    if (rc != 0) return hwi_lmdb_fail(e, err, rc, "read");
    while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
        size_t count;
        if (v.mv_size < sizeof count) break;
        memcpy(&count, v.mv_data, sizeof count);
        *pages += count;
    }
    mdb_cursor_close(c);
    return HW_OK;
}

static hw_status
lmdb_info(hw_store *s, hw_store_info *info, hw_error *err)
{
    hwi_lmdb_env *e = env_of(s);
    hw_store_txn *base;
    MDB_stat stat = {0};
    MDB_envinfo env_info = {0};
    uint64_t free_pages = 0;

    memset(info, 0, sizeof *info);
    HWI_TRY(lmdb_begin(s, HW_TXN_READ, &base, err));
    MDB_txn *txn = txn_of(base)->m.txn;
    hw_status st = HW_OK;
    int rc = mdb_stat(txn, e->dbi, &stat);
    if (rc == 0) rc = mdb_env_info(e->env, &env_info);
    if (rc != 0)
        st = hwi_lmdb_fail(e, err, rc, "read");
    else
        st = count_free(e, txn, &free_pages, err);
    lmdb_abort(base);
    if (st != HW_OK) return st;

    info->keys = stat.ms_entries;
    info->map_bytes = env_info.me_mapsize;
    info->disk_bytes = ((uint64_t)env_info.me_last_pgno + 1) * stat.ms_psize;
    info->free_bytes = free_pages * stat.ms_psize;
    info->grouped = atomic_load_explicit(&e->group.grouped, memory_order_relaxed);
    return HW_OK;
}

#define VERIFY_ATTEMPTS 20 /* two commits between beginning and reading push a meta page out */

static hw_status
lmdb_verify(hw_store *s, hw_damage_fn damage, void *arg, hw_error *err)
{
    hwi_lmdb_env *e = env_of(s);
    hw_status st = HW_ENOTFOUND;
    hw_store_txn *t;

    int fd = hwi_lmdb_open_file(e, "data.mdb", O_RDONLY);
    if (fd < 0) return hwi_fail_errno(err, errno, "cannot open %s/data.mdb", e->folder);
    for (int i = 0; i < VERIFY_ATTEMPTS && st == HW_ENOTFOUND; i++) {
        st = lmdb_begin(s, HW_TXN_READ, &t, err); /* keeps the pages of its snapshot in place */
        if (st != HW_OK) break;
        st = hwi_lmdb_file_walk(fd, e->folder, lmdb_snapshot(t), damage, arg, err);
        lmdb_abort(t);
    }
    close(fd);
    return st == HW_ENOTFOUND ? hwi_fail(err, HW_EBUSY, "%s changes too fast to verify", e->folder)
                              : st;
}

static void
lmdb_close(hw_store *s)
{
    hwi_lmdb_env_release(env_of(s));
    hwi_free(s);
}

static const hw_store_ops lmdb_ops = {
    .name = "lmdb",
    .begin = lmdb_begin,
    .snapshot = lmdb_snapshot,
    .newest = lmdb_newest,
    .get = lmdb_get,
    .scan = lmdb_scan,
    .put = lmdb_put,
    .del = lmdb_del,
    .del_range = lmdb_del_range,
    .add = lmdb_add,
    .put_stamped = lmdb_put_stamped,
    .rest = lmdb_rest,
    .wake = lmdb_wake,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .info = lmdb_info,
    .verify = lmdb_verify,
    .close = lmdb_close,
};

hw_status
hwi_store_lmdb_open(const char *folder, const hw_db_opts *opts, hw_store **out, hw_error *err)
{
    *out = NULL;
    lmdb_store *s = hwi_alloc_zero(sizeof *s);
    if (!s) return hwi_nomem(err, sizeof *s);
    hw_status st = hwi_lmdb_env_open(&s->e, folder, opts, err);
    if (st != HW_OK) {
        hwi_free(s);
        return st;
    }
    s->base.ops = &lmdb_ops;
    s->base.limits = hwi_store_limits();
    *out = &s->base;
    return HW_OK;
}
