/* mem.c - the store in memory: the reference that other backends are compared with.
 *
 * The newest commit is one root of a persistent tree (mem_tree.h). A reader takes a reference on
 * it; the writer works on a tree that starts as the newest root and, on commit, becomes it:
 *
 *     newest --> root 7        reader A --> root 5      reader B --> root 7
 *                   \
 *                    writer's tree (7 and changes)  --commit-->  newest --> root 8
 *
 * `lock` covers only the instant in which the newest root is read or replaced.
 */
#include "store/store.h"

#include <pthread.h>

#include "store/backend.h"
#include "store/mem_tree.h"
#include "store/turn.h"

typedef struct mem_store {
    hw_store base;
    hwi_turn writer;
    uint32_t busy_timeout_ms;
    pthread_mutex_t lock; /* guards newest, keys and the reference taken on newest */
    hwi_mem_node *newest;
    uint64_t keys;
    uint64_t stamps;               /* used by the writer only */
    atomic_uint_least64_t version; /* of newest */
} mem_store;

typedef struct mem_txn {
    hw_store_txn base;
    uint64_t version;
    hwi_mem_tree tree; /* READ: only its root, shared with others */
    bool changed;
    bool failed; /* memory ran out half-way through a change: only abort is left */
} mem_txn;

static mem_store *
store_of(hw_store *s)
{
    return (mem_store *)s;
}

static mem_txn *
txn_of(hw_store_txn *t)
{
    return (mem_txn *)t;
}

/* ---- transactions */

static hw_status
mem_begin(hw_store *base, hw_txn_mode mode, hw_store_txn **out, hw_error *err)
{
    mem_store *s = store_of(base);

    *out = NULL;
    mem_txn *t = hwi_alloc_zero(sizeof *t);
    if (!t) return hwi_nomem(err, sizeof *t);
    if (mode == HW_TXN_WRITE) {
        if (!hwi_turn_take(&s->writer, hwi_clock_us() + (uint64_t)s->busy_timeout_ms * 1000)) {
            hwi_free(t);
            return hwi_turn_busy(err, s->busy_timeout_ms);
        }
        t->tree.stamp = ++s->stamps;
    }
    t->base.store = base;
    t->base.mode = mode;
    pthread_mutex_lock(&s->lock);
    t->tree.root = hwi_mem_ref(s->newest);
    t->tree.keys = s->keys;
    t->version = atomic_load_explicit(&s->version, memory_order_relaxed); /* under lock */
    pthread_mutex_unlock(&s->lock);
    *out = &t->base;
    return HW_OK;
}

static void
end(mem_txn *t)
{
    if (t->base.mode == HW_TXN_WRITE) hwi_turn_give(&store_of(t->base.store)->writer);
    hwi_mem_unref(t->tree.root);
    hwi_free(t);
}

static void
mem_abort(hw_store_txn *t)
{
    if (t) end(txn_of(t));
}

static hw_status
mem_commit(hw_store_txn *base, hw_error *err)
{
    mem_txn *t = txn_of(base);
    mem_store *s = store_of(base->store);

    if (t->failed) {
        end(t);
        return hwi_fail(err, HW_ENOMEM, "memory ran out during the transaction");
    }
    if (base->mode == HW_TXN_WRITE && t->changed) {
        pthread_mutex_lock(&s->lock);
        hwi_mem_node *old = s->newest;
        s->newest = t->tree.root;
        s->keys = t->tree.keys;
        t->tree.root = old; /* dropped below, outside the lock */
        /* release: pairs with the acquire in mem_newest */
        atomic_store_explicit(&s->version, t->version + 1, memory_order_release);
        pthread_mutex_unlock(&s->lock);
    }
    end(t);
    return HW_OK;
}

static uint64_t
mem_snapshot(hw_store_txn *t)
{
    return txn_of(t)->version;
}

static uint64_t
mem_newest(hw_store *s)
{
    /* acquire: pairs with the release in mem_commit */
    return atomic_load_explicit(&store_of(s)->version, memory_order_acquire);
}

/* ---- reading */

static hw_status
mem_get(hw_store_txn *t, hw_bytes key, hw_bytes *value, hw_error *err)
{
    (void)err;
    const hwi_mem_cell *c = hwi_mem_get(txn_of(t)->tree.root, key);
    if (!c) return HW_ENOTFOUND;
    *value = c->value;
    return HW_OK;
}

static hw_status
mem_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn, void *arg,
         hw_error *err)
{
    hwi_mem_cursor c;
    const hwi_mem_cell *at;

    (void)err;
    hwi_mem_seek(&c, txn_of(t)->tree.root, reverse ? to : from, reverse);
    while ((at = hwi_mem_next(&c))) {
        if (!reverse && to.size && hwi_mem_compare(at->key, to) >= 0) break;
        if (reverse && hwi_mem_compare(at->key, from) < 0) break;
        if (!fn(arg, at->key, at->value)) break;
    }
    return HW_OK;
}

/* ---- writing */

static hw_status
changed(mem_txn *t, bool ok, hw_error *err)
{
    t->changed = true;
    if (ok) return HW_OK;
    t->failed = true;
    return hwi_nomem(err, 0);
}

static hw_status
mem_put(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    HWI_TRY(hwi_store_check_put(t, key, value, err));
    t->bytes_written += key.size + value.size;
    return changed(txn_of(t), hwi_mem_put(&txn_of(t)->tree, key, value), err);
}

static hw_status
mem_del(hw_store_txn *t, hw_bytes key, hw_error *err)
{
    bool existed;

    HWI_TRY(hwi_store_check_write(t, key.size, err));
    bool ok = hwi_mem_del(&txn_of(t)->tree, key, &existed);
    if (ok && !existed) return HW_OK;
    t->bytes_written += key.size;
    return changed(txn_of(t), ok, err);
}

static hw_status
mem_del_range(hw_store_txn *t, hw_bytes from, hw_bytes to, hw_error *err)
{
    hwi_mem_tree *tree = &txn_of(t)->tree;
    hwi_mem_cursor c;
    bool existed;

    HWI_TRY(hwi_store_check_write(t, 0, err));
    for (;;) {
        hwi_mem_seek(&c, tree->root, from, false);
        const hwi_mem_cell *at = hwi_mem_next(&c);
        if (!at || (to.size && hwi_mem_compare(at->key, to) >= 0)) return HW_OK;
        HWI_TRY(hwi_store_check_write(t, at->key.size, err));
        t->bytes_written += at->key.size;
        HWI_TRY(changed(txn_of(t), hwi_mem_del(tree, at->key, &existed), err));
    }
}

static hw_status
mem_add(hw_store_txn *t, hw_bytes key, int64_t delta, hw_error *err)
{
    uint8_t sum[8];
    HWI_TRY(hwi_store_sum(t, key, delta, sum, err));
    return mem_put(t, key, hwi_bytes(sum, sizeof sum), err);
}

static hw_status
mem_put_stamped(hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    uint8_t stamped[HWI_STORE_KEY_MAX];

    HWI_TRY(hwi_stamped_key(stamped, key, txn_of(t)->version + 1, t->stamped++, err));
    return mem_put(t, hwi_bytes(stamped, key.size + HW_STAMP_BYTES), value, err);
}

/* ---- life */

static hw_status
mem_info(hw_store *base, hw_store_info *info, hw_error *err)
{
    mem_store *s = store_of(base);

    (void)err;
    memset(info, 0, sizeof *info);
    pthread_mutex_lock(&s->lock);
    info->keys = s->keys;
    pthread_mutex_unlock(&s->lock);
    return HW_OK;
}

static void
mem_close(hw_store *base)
{
    mem_store *s = store_of(base);
    hwi_mem_unref(s->newest);
    pthread_mutex_destroy(&s->lock);
    hwi_turn_release(&s->writer);
    hwi_free(s);
}

static const hw_store_ops mem_ops = {
    .name = "mem",
    .begin = mem_begin,
    .snapshot = mem_snapshot,
    .newest = mem_newest,
    .get = mem_get,
    .scan = mem_scan,
    .put = mem_put,
    .del = mem_del,
    .del_range = mem_del_range,
    .add = mem_add,
    .put_stamped = mem_put_stamped,
    .commit = mem_commit,
    .abort = mem_abort,
    .info = mem_info,
    .close = mem_close,
};

hw_status
hwi_store_mem_new(hw_store **out, hw_error *err)
{
    return hwi_store_mem_open(NULL, out, err);
}

hw_status
hwi_store_mem_open(const hw_db_opts *opts, hw_store **out, hw_error *err)
{
    const hw_db_opts defaults = HW_DB_OPTS_INIT;

    *out = NULL;
    mem_store *s = hwi_alloc_zero(sizeof *s);
    if (!s) return hwi_nomem(err, sizeof *s);
    hw_status st = hwi_turn_init(&s->writer, err);
    if (st != HW_OK) {
        hwi_free(s);
        return st;
    }
    pthread_mutex_init(&s->lock, NULL);
    atomic_init(&s->version, 1);
    s->busy_timeout_ms = opts ? opts->busy_timeout_ms : defaults.busy_timeout_ms;
    s->base.ops = &mem_ops;
    s->base.limits = hwi_store_limits();
    *out = &s->base;
    return HW_OK;
}
