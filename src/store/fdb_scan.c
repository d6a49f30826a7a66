/* fdb_scan.c - ranges of keys, read from the cluster chunk by chunk.
 *
 *     chunk 1 (4 kB)   chunk 2 (80 kB)   chunk 3 (80 kB)   ...
 *     handed out       on its way while the one before is handed out
 *
 * The first chunk is small: many scans stop at the first key. A write transaction's conflict range
 * ends where the scan did, at the last key it handed out.
 *
 * Keys and values are borrowed, so chunks are kept: a reader's until it ends, a writer's until its
 * next write. What is scanned does not enter the cache, which is for keys asked for again. */
#include "store/fdb.h"

typedef struct scan {
    hwi_fdb_txn *t;
    hwi_fdb_snap *snap; /* of a reader */
    hwi_key from, to;   /* what is left, as FoundationDB knows it */
    bool after;         /* not the key `from` itself */
    bool reverse;
    size_t skip; /* bytes before our key */
    uint32_t chunks, attempts;
    FDBFuture *next; /* on its way; may be NULL */
    hw_bytes last;   /* the key handed out last, whole */
    hw_scan_fn fn;
    void *arg;
} scan;

void
hwi_fdb_chunks_release(hwi_fdb_txn *t)
{
    for (hwi_fdb_chunk *c = t->chunks, *next; c; c = next) {
        next = c->next;
        hwi_fdb_of(t->base.store)->api->future_destroy(c->future);
        hwi_free(c);
    }
    t->chunks = NULL;
}

static FDBFuture *
ask(scan *c)
{
    hwi_fdb *s = hwi_fdb_of(c->t->base.store);
    int mode = c->chunks++ == 0 ? HWI_FDB_MODE_SMALL_CHUNK : HWI_FDB_MODE_LARGE_CHUNK;
    return hwi_fdb_range(s, c->snap ? c->snap->tr : c->t->tr, hwi_key_view(&c->from), c->after,
                         hwi_key_view(&c->to), mode, c->reverse);
}

/* A snapshot whose ranges are those of the transaction. */
static hw_status
take_snap(scan *c, hw_error *err)
{
    hwi_fdb_txn *t = c->t;
    hwi_fdb *s = hwi_fdb_of(t->base.store);

    if (t->base.mode == HW_TXN_WRITE) return HW_OK;
    hwi_fdb_snap_unref(s, c->snap);
    c->snap = NULL;
    HWI_TRY(hwi_fdb_usable_snap(t, &c->snap, err));
    if (c->snap->version == t->version || t->base.mode == HW_TXN_LOOSE) return HW_OK;
    return hwi_fail(
        err, HW_ECONFLICT,
        "a snapshot of %llu seconds ago was asked for a range of keys, and the database "
        "has changed since",
        (unsigned long long)((hwi_clock_us() - t->born_us) / 1000000));
}

static void
move(scan *c, const hwi_fdb_keyvalue *last)
{
    hwi_key *edge = c->reverse ? &c->to : &c->from;
    edge->size = 0;
    hwi_key_raw(edge, hwi_bytes(last->key, (size_t)last->key_bytes));
    if (!c->reverse) c->after = true;
}

/* Keeps a chunk's memory as long as it is borrowed; takes the future. */
static hw_status
keep(scan *c, FDBFuture *f, size_t bytes, hw_error *err)
{
    hwi_fdb_txn *t = c->t;
    hwi_fdb_chunk *chunk = hwi_alloc(sizeof *chunk);
    if (!chunk) {
        hwi_fdb_of(t->base.store)->api->future_destroy(f);
        return hwi_nomem(err, sizeof *chunk);
    }
    chunk->future = f;
    pthread_mutex_lock(&t->lock);
    chunk->next = t->chunks;
    t->chunks = chunk;
    t->kept_bytes += bytes;
    pthread_mutex_unlock(&t->lock);
    return HW_OK;
}

/* The next chunk, waited for. On a failure that another try may mend: *again. */
static hw_status
take_chunk(scan *c, const hwi_fdb_keyvalue **kv, int *count, int *more, bool *again, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(c->t->base.store);
    size_t bytes = 0;

    FDBFuture *f = c->next ? c->next : ask(c);
    c->next = NULL;
    int code = hwi_fdb_wait(s, f);
    if (code == 0) code = s->api->future_get_keyvalue_array(f, kv, count, more);
    *again = code != 0;
    if (code != 0) {
        s->api->future_destroy(f);
        HWI_TRY(hwi_fdb_read_failed(c->t, c->snap, code, c->attempts++, err));
        return take_snap(c, err);
    }
    c->attempts = 0;
    for (int i = 0; i < *count; i++) bytes += (size_t)((*kv)[i].key_bytes + (*kv)[i].value_bytes);
    return keep(c, f, bytes, err);
}

/* Whether the scan's function wants more. */
static bool
hand_out(scan *c, const hwi_fdb_keyvalue *kv, int count)
{
    for (int i = 0; i < count; i++) {
        c->last = hwi_bytes(kv[i].key, (size_t)kv[i].key_bytes);
        if (!c->fn(c->arg, hwi_bytes(kv[i].key + c->skip, (size_t)kv[i].key_bytes - c->skip),
                   hwi_bytes(kv[i].value, (size_t)kv[i].value_bytes)))
            return false;
    }
    return true;
}

static hw_status
run(scan *c, bool *stopped, hw_error *err)
{
    const hwi_fdb_keyvalue *kv;
    int count, more = 1;
    bool again;

    *stopped = false;
    while (more && !*stopped) {
        HWI_TRY(take_chunk(c, &kv, &count, &more, &again, err));
        if (again) {
            more = 1;
            continue;
        }
        if (count == 0) break;
        move(c, &kv[count - 1]);
        if (more && c->chunks > 1) c->next = ask(c);
        *stopped = !hand_out(c, kv, count);
    }
    return HW_OK;
}

/* What the scan of a writer has seen, from one end to the last key or all of it. */
static hw_status
add_conflict(scan *c, hw_bytes from, hw_bytes to, bool stopped, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(c->t->base.store);
    hwi_key begin, end;

    hwi_fdb_key_of(s, &begin, from);
    if (to.size)
        hwi_fdb_key_of(s, &end, to);
    else
        hwi_fdb_key_init(s, &end, HWI_FDB_LOG);
    if (stopped && c->reverse) {
        begin.size = 0;
        hwi_key_raw(&begin, c->last);
    } else if (stopped) {
        end.size = 0;
        hwi_key_raw(&end, c->last);
        hwi_key_raw(&end, hwi_bytes("", 1));
    }
    int code = s->api->transaction_add_conflict_range(
        c->t->tr, begin.data, (int)begin.size, end.data, (int)end.size, HWI_FDB_CONFLICT_READ);
    return code == 0 ? HW_OK : hwi_fdb_fail(s, code, "read", err);
}

static hw_status
scan_range(hwi_fdb_txn *t, hw_bytes from, hw_bytes to, bool reverse, bool conflicts, hw_scan_fn fn,
           void *arg, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    scan c = {.t = t, .reverse = reverse, .fn = fn, .arg = arg};
    bool stopped = false;

    if (to.size && hwi_fdb_compare(from, to) >= 0) return HW_OK;
    hwi_fdb_key_of(s, &c.from, from);
    c.skip = c.from.size - from.size;
    if (to.size)
        hwi_fdb_key_of(s, &c.to, to);
    else
        hwi_fdb_key_init(s, &c.to, HWI_FDB_LOG);
    hw_status st = take_snap(&c, err);
    if (st == HW_OK) st = run(&c, &stopped, err);
    if (c.next) s->api->future_destroy(c.next);
    hwi_fdb_snap_unref(s, c.snap);
    if (st == HW_OK && conflicts) st = add_conflict(&c, from, to, stopped, err);
    return st;
}

hw_status
hwi_fdb_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn, void *arg,
             hw_error *err)
{
    return scan_range(hwi_fdb_txn_of(t), from, to, reverse, t->mode == HW_TXN_WRITE, fn, arg, err);
}

hw_status
hwi_fdb_peek_scan(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn,
                  void *arg, hw_error *err)
{
    return scan_range(hwi_fdb_txn_of(t), from, to, reverse, false, fn, arg, err);
}
