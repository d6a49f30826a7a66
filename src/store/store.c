/* store.c - what is built on the contract alone, for every backend alike.
 *
 * Nothing here knows a backend but hwi_store_open, which picks one by name.
 */
#include "store/store.h"

#include <errno.h>
#include <time.h>

#include "store/backend.h"

/* A conflict means another transaction won the race; the tenth in a row is an overload. */
#define RUN_ATTEMPTS_MAX 10u
/* Keys deleted in one step: on LMDB a few hundred dirty leaf pages, on any store far from its
 * limits. */
#define DEL_KEYS_MAX 20000u
#define WALK_PIECE_BYTES ((size_t)8 << 20)

hw_status
hwi_store_open(const char *where, const hw_db_opts *opts, hw_store **out, hw_error *err)
{
    *out = NULL;
    if (!where || !where[0]) return hwi_fail(err, HW_EINVAL, "the name of the database is empty");
    if (strcmp(where, "mem:") == 0) return hwi_store_mem_open(opts, out, err);
    if (strncmp(where, "fdb:", 4) == 0) return hwi_store_fdb_open(where + 4, opts, out, err);
    return hwi_store_lmdb_open(where, opts, out, err);
}

/* ---- shared by the backends */

hw_store_limits
hwi_store_limits(void)
{
    return (hw_store_limits){.key_bytes_max = HWI_STORE_KEY_MAX,
                             .value_bytes_max = HWI_STORE_VALUE_MAX,
                             .txn_bytes_soft = HWI_STORE_TXN_SOFT,
                             .txn_bytes_max = HWI_STORE_TXN_MAX,
                             .txn_ms_max = 0};
}

hw_status
hwi_store_check_write(const hw_store_txn *t, size_t bytes, hw_error *err)
{
    const hw_store_limits *limits = &t->store->limits;

    if (t->mode != HW_TXN_WRITE)
        return hwi_fail(err, HW_EREADONLY, "the transaction was begun for reading");
    if (bytes > limits->txn_bytes_max - HWI_MIN(t->bytes_written, limits->txn_bytes_max))
        return hwi_fail(err, HW_ELIMIT, "transaction of %zu bytes is above the maximum %zu",
                        t->bytes_written + bytes, limits->txn_bytes_max);
    return HW_OK;
}

hw_status
hwi_store_check_put(const hw_store_txn *t, hw_bytes key, hw_bytes value, hw_error *err)
{
    const hw_store_limits *limits = &t->store->limits;

    if (key.size == 0) return hwi_fail(err, HW_ELIMIT, "key is empty");
    if (key.size > limits->key_bytes_max)
        return hwi_fail(err, HW_ELIMIT, "key of %zu bytes is above the maximum %zu", key.size,
                        limits->key_bytes_max);
    if (value.size > limits->value_bytes_max)
        return hwi_fail(err, HW_ELIMIT, "value of %zu bytes is above the maximum %zu", value.size,
                        limits->value_bytes_max);
    return hwi_store_check_write(t, key.size + value.size, err);
}

static hw_status
read_i64(hw_status st, hw_bytes value, int64_t *out, hw_error *err)
{
    *out = 0;
    if (st == HW_ENOTFOUND) return HW_OK;
    if (st != HW_OK) return st;
    if (value.size != 8)
        return hwi_fail(err, HW_ECORRUPT, "counter of %zu bytes, expected 8", value.size);
    *out = (int64_t)hwi_get_u64(value.data);
    return HW_OK;
}

hw_status
hwi_store_get_i64(hw_store_txn *t, hw_bytes key, int64_t *out, hw_error *err)
{
    hw_bytes value = {NULL, 0};
    hw_status st = hwi_store_get(t, key, &value, err);
    return read_i64(st, value, out, err);
}

hw_status
hwi_store_peek_i64(hw_store_txn *t, hw_bytes key, int64_t *out, hw_error *err)
{
    hw_bytes value = {NULL, 0};
    hw_status st = hwi_store_peek(t, key, &value, err);
    return read_i64(st, value, out, err);
}

hw_status
hwi_store_sum(hw_store_txn *t, hw_bytes key, int64_t delta, uint8_t sum[8], hw_error *err)
{
    int64_t before = 0;
    HWI_TRY(hwi_store_get_i64(t, key, &before, err));
    hwi_put_u64(sum, (uint64_t)before + (uint64_t)delta);
    return HW_OK;
}

hw_status
hwi_stamped_key(uint8_t out[HWI_STORE_KEY_MAX], hw_bytes key, uint64_t version, uint32_t order,
                hw_error *err)
{
    if (key.size + HW_STAMP_BYTES > HWI_STORE_KEY_MAX)
        return hwi_fail(err, HW_ELIMIT, "key of %zu bytes and a stamp is above the maximum %u",
                        key.size, HWI_STORE_KEY_MAX);
    memcpy(out, key.data, key.size);
    hwi_stamp_write(out + key.size, version, order);
    return HW_OK;
}

/* ---- running transactions */

void
hwi_store_back_off(uint32_t attempt)
{
    uint64_t most_ns = (uint64_t)1000000 << HWI_MIN(attempt, 6u); /* 1 .. 64 ms */
    hwi_rng rng;

    hwi_rng_init(&rng, hwi_clock_ns());
    struct timespec pause = {0, (long)(most_ns / 2 + hwi_rng_below(&rng, most_ns / 2))};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
}

hw_status
hwi_store_run(hw_store *s, hw_status (*body)(hw_store_txn *t, void *arg, hw_error *err), void *arg,
              hw_error *err)
{
    hw_store_txn *t;
    hw_status st = HW_OK;

    for (uint32_t attempt = 0; attempt < RUN_ATTEMPTS_MAX; attempt++) {
        if (attempt > 0) hwi_store_back_off(attempt - 1);
        HWI_TRY(hwi_store_begin(s, HW_TXN_WRITE, &t, err));
        st = body(t, arg, err);
        if (st == HW_OK)
            st = hwi_store_commit(t, err);
        else
            hwi_store_abort(t);
        if (st != HW_ECONFLICT) break;
    }
    return st;
}

/* ---- ranges of a prefix */

hw_status
hwi_store_scan_prefix(hw_store_txn *t, const hwi_key *prefix, hw_scan_fn fn, void *arg,
                      hw_error *err)
{
    hwi_key end = hwi_key_range_end(prefix);
    return hwi_store_scan(t, hwi_key_view(prefix), hwi_key_view(&end), false, fn, arg, err);
}

/* A walk in pieces: the store lets go of one before the next. */
typedef struct walk {
    hw_scan_fn fn;
    void *arg;
    size_t bytes; /* handed out in this piece */
    bool stopped; /* by fn */
    hwi_key last;
} walk;

static bool
walk_on(void *arg, hw_bytes key, hw_bytes value)
{
    walk *w = arg;

    w->bytes += key.size + value.size;
    w->stopped = !w->fn(w->arg, key, value);
    if (w->stopped) return false;
    if (w->bytes < WALK_PIECE_BYTES) return true;
    hwi_key_raw(&w->last, key);
    return false;
}

hw_status
hwi_store_walk(hw_store_txn *t, hw_bytes from, hw_bytes to, hw_scan_fn fn, void *arg, hw_error *err)
{
    const hw_store_ops *ops = t->store->ops;
    walk w = {.fn = fn, .arg = arg};
    hwi_key next;

    if (!ops->forget) return ops->scan(t, from, to, false, fn, arg, err);
    for (;;) {
        w.bytes = 0;
        hwi_key_init(&w.last);
        HWI_TRY(ops->scan(t, from, to, false, walk_on, &w, err));
        ops->forget(t);
        if (w.stopped || w.last.size == 0) return HW_OK;
        next = w.last;
        hwi_key_raw(&next, hwi_bytes("", 1)); /* the next possible key */
        from = hwi_key_view(&next);
    }
}

hw_status
hwi_store_del_prefix(hw_store_txn *t, const hwi_key *prefix, hw_error *err)
{
    hwi_key end = hwi_key_range_end(prefix);
    return hwi_store_del_range(t, hwi_key_view(prefix), hwi_key_view(&end), err);
}

static bool
note_a_key(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key;
    (void)value;
    *(bool *)arg = false;
    return false;
}

hw_status
hwi_store_is_empty(hw_store_txn *t, bool *empty, hw_error *err)
{
    const hw_bytes all = {NULL, 0};
    *empty = true;
    return hwi_store_scan(t, all, all, false, note_a_key, empty, err);
}

/* Counts keys up to a bound and remembers the one after it. */
typedef struct count_some {
    size_t keys;
    hwi_key next;
} count_some;

static bool
count_key(void *arg, hw_bytes key, hw_bytes value)
{
    count_some *c = arg;

    (void)value;
    if (c->keys++ < DEL_KEYS_MAX) return true;
    hwi_key_raw(&c->next, key);
    return false;
}

hw_status
hwi_store_del_some(hw_store_txn *t, const hwi_key *prefix, bool *more, hw_error *err)
{
    hwi_key end = hwi_key_range_end(prefix);
    count_some c;

    *more = false;
    if (hwi_store_is_far(t)) /* a range is cleared without being read */
        return hwi_store_del_range(t, hwi_key_view(prefix), hwi_key_view(&end), err);
    c.keys = 0;
    hwi_key_init(&c.next);
    HWI_TRY(hwi_store_scan(t, hwi_key_view(prefix), hwi_key_view(&end), false, count_key, &c, err));
    bool cut = c.next.size > 0;
    HWI_TRY(hwi_store_del_range(t, hwi_key_view(prefix), hwi_key_view(cut ? &c.next : &end), err));
    *more = cut;
    return HW_OK;
}
