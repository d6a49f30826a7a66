/* copy.c - filling empty stores: the loader, copies, and new databases made whole or not at all.
 *
 * Keys arrive in order, so LMDB appends them and fills its pages. The transactions are larger than
 * elsewhere, since nobody waits for this writer, and unsynced but for one sync at the end, since
 * the folder has its name only after that.
 */
#include <errno.h>
#include <unistd.h>

#include "store/dump.h"
#include "store/loader.h"
#include "store/mem_tree.h"
#include "store/place.h"

#define LOAD_TXN_BYTES ((size_t)16 << 20)

/* ---- the loader */

void
hwi_loader_init(hwi_loader *l, hw_store *to, const char *stage, hw_progress_fn progress, void *arg)
{
    memset(l, 0, sizeof *l);
    l->to = to;
    l->progress = (hwi_progress){.fn = progress, .arg = arg};
    l->stage = stage;
}

/* One transaction's worth of a batch. */
typedef struct batch_part {
    const hwi_buf *batch;
    size_t from, to;
} batch_part;

static hw_status
put_part(hw_store_txn *t, void *arg, hw_error *err)
{
    batch_part *p = arg;
    p->to = p->from;
    while (p->to < p->batch->size && !hwi_store_full(t)) {
        const uint8_t *r = p->batch->data + p->to;
        hw_bytes key = {r + 8, hwi_get_u32(r)};
        hw_bytes value = {r + 8 + key.size, hwi_get_u32(r + 4)};
        HWI_TRY(hwi_store_put(t, key, value, err));
        p->to += 8 + key.size + value.size;
    }
    return HW_OK;
}

/* In as many transactions as the store wants: small keys may cost it more than they weigh. */
static hw_status
put_batch(hwi_loader *l, hwi_buf *batch, hw_error *err)
{
    batch_part p = {batch, 0, 0};
    for (; p.from < batch->size; p.from = p.to) HWI_TRY(hwi_store_run(l->to, put_part, &p, err));
    hwi_buf_clear(batch);
    return HW_OK;
}

static hw_status
add_to_batch(hwi_buf *batch, hw_bytes key, hw_bytes value, hw_error *err)
{
    uint8_t header[8];
    hwi_put_u32(header, (uint32_t)key.size);
    hwi_put_u32(header + 4, (uint32_t)value.size);
    hwi_buf_add(batch, header, sizeof header);
    hwi_buf_add(batch, key.data, key.size);
    hwi_buf_add(batch, value.data, value.size);
    return batch->failed ? hwi_nomem(err, key.size + value.size) : HW_OK;
}

/* Makes sure there is no database; clears away what a load that was cut short has left. */
static hw_status
clear_leavings(hw_store_txn *t, void *arg, hw_error *err)
{
    const hw_bytes all = {NULL, 0};
    hwi_store_meta meta;
    bool empty;

    (void)arg;
    HWI_TRY(hwi_store_is_empty(t, &empty, err));
    if (empty) return HW_OK;
    hw_status st = hwi_store_meta_get(t, &meta, err);
    if (st == HW_ENOTFOUND) return hwi_store_del_range(t, all, all, err);
    return hwi_fail(err, HW_EEXIST, "the store to load into is not empty");
}

/* The same of a store where it matters. */
static hw_status
put_batched(hwi_loader *l, hw_bytes key, hw_bytes value, hw_error *err)
{
    if (l->keys == 0) {
        HWI_TRY(hwi_store_run(l->to, clear_leavings, NULL, err));
        return add_to_batch(&l->first, key, value, err);
    }
    HWI_TRY(add_to_batch(&l->batch, key, value, err));
    if (l->batch.size < l->to->limits.txn_bytes_soft) return HW_OK;
    HWI_TRY(put_batch(l, &l->batch, err));
    return hwi_progress_step(&l->progress, l->stage, l->keys, HWI_MAX(l->total, l->keys + 1), err);
}

static hw_status
begin_empty(hwi_loader *l, hw_error *err)
{
    bool empty;

    HWI_TRY(hwi_store_begin(l->to, HW_TXN_WRITE, &l->txn, err));
    HWI_TRY(hwi_store_is_empty(l->txn, &empty, err));
    return empty ? HW_OK : hwi_fail(err, HW_EEXIST, "the store to load into is not empty");
}

static hw_status
commit_part(hwi_loader *l, hw_error *err)
{
    hw_store_txn *t = l->txn;

    l->txn = NULL;
    if (t) HWI_TRY(hwi_store_commit(t, err));
    /* The end is reported by finish alone. */
    uint64_t total = HWI_MAX(l->total, l->keys + 1);
    return hwi_progress_step(&l->progress, l->stage, l->keys, total, err);
}

static hw_status
put_once(hwi_loader *l, hw_bytes key, hw_bytes value, hw_error *err)
{
    if (l->keys == 0) HWI_TRY(begin_empty(l, err));
    if (!l->txn) HWI_TRY(hwi_store_begin(l->to, HW_TXN_WRITE, &l->txn, err));
    return hwi_store_put(l->txn, key, value, err);
}

hw_status
hwi_loader_put(hwi_loader *l, hw_bytes key, hw_bytes value, hw_error *err)
{
    if (hwi_key_is_transient(key)) return HW_OK;
    if (l->keys > 0 && hwi_mem_compare(key, hwi_key_view(&l->last)) <= 0)
        return hwi_fail(err, HW_ECORRUPT, "key %llu is not above the one before",
                        (unsigned long long)l->keys);
    if (hwi_store_is_contested(l->to))
        HWI_TRY(put_batched(l, key, value, err));
    else
        HWI_TRY(put_once(l, key, value, err));
    hwi_key_init(&l->last);
    hwi_key_raw(&l->last, key);
    l->keys++;
    if (!l->txn || l->txn->bytes_written < LOAD_TXN_BYTES) return HW_OK;
    return commit_part(l, err);
}

hw_status
hwi_loader_finish(hwi_loader *l, hw_error *err)
{
    if (hwi_store_is_contested(l->to)) {
        HWI_TRY(put_batch(l, &l->batch, err));
        HWI_TRY(put_batch(l, &l->first, err));
    } else {
        HWI_TRY(commit_part(l, err));
    }
    return hwi_progress_step(&l->progress, l->stage, l->keys, l->keys, err);
}

void
hwi_loader_release(hwi_loader *l)
{
    hwi_store_abort(l->txn);
    l->txn = NULL;
    hwi_buf_release(&l->first);
    hwi_buf_release(&l->batch);
}

/* ---- copies */

typedef struct copier {
    hwi_loader loader;
    hw_status st;
    hw_error *err;
} copier;

static bool
copy_key(void *arg, hw_bytes key, hw_bytes value)
{
    copier *c = arg;
    c->st = hwi_loader_put(&c->loader, key, value, c->err);
    return c->st == HW_OK;
}

hw_status
hwi_store_copy(hw_store_txn *from, hw_store *to, hw_progress_fn progress, void *arg, hw_error *err)
{
    const hw_bytes all = {NULL, 0};
    copier c = {.err = err};
    hw_store_info info;

    HWI_TRY(hwi_store_info(from->store, &info, err));
    hwi_loader_init(&c.loader, to, "copy", progress, arg);
    c.loader.total = info.keys;
    hw_status st = hwi_store_walk(from, all, all, copy_key, &c, err);
    if (st == HW_OK) st = c.st;
    if (st == HW_OK) st = hwi_loader_finish(&c.loader, err);
    hwi_loader_release(&c.loader);
    return st;
}

/* ---- new databases */

typedef struct source {
    hw_store_txn *from; /* a snapshot, or ... */
    const char *file;   /* ... a dump */
    hw_progress_fn progress;
    void *arg;
} source;

static hw_status
fill(const char *where, const source *s, hw_error *err)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_store *to;

    opts.no_sync = true;
    HWI_TRY(hwi_store_open(where, &opts, &to, err));
    hw_status st = s->from ? hwi_store_copy(s->from, to, s->progress, s->arg, err)
                           : hwi_store_load(s->file, to, s->progress, s->arg, err);
    hwi_store_close(to);
    return st;
}

static void
remove_folder(const char *folder)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "writer.lock"};
    char path[HWI_PLACE_MAX];

    for (size_t i = 0; i < HWI_COUNT(files); i++)
        if (hwi_place_join(folder, files[i], path, NULL) == HW_OK) unlink(path);
    rmdir(folder);
}

static hw_status
make_database(const char *where, const source *s, hw_error *err)
{
    char part[HWI_PLACE_MAX], data[HWI_PLACE_MAX];

    if (strcmp(where, "mem:") == 0)
        return hwi_fail(err, HW_EINVAL, "mem: names no place to write to");
    if (hwi_store_is_name(where)) return fill(where, s, err);
    HWI_TRY(hwi_place_free(where, err));
    HWI_TRY(hwi_place_beside(where, part, err));
    HWI_TRY(hwi_place_join(part, "data.mdb", data, err));
    hw_status st = fill(part, s, err);
    if (st == HW_OK) st = hwi_place_sync(data, err);
    if (st == HW_OK) st = hwi_place_sync(part, err);
    if (st == HW_OK) st = hwi_place_rename(part, where, err);
    if (st != HW_OK) remove_folder(part);
    return st;
}

hw_status
hwi_store_restore(const char *file, const char *where, hw_progress_fn progress, void *arg,
                  hw_error *err)
{
    const source s = {.file = file, .progress = progress, .arg = arg};
    return make_database(where, &s, err);
}

hw_status
hwi_store_compact(hw_store_txn *from, const char *where, hw_progress_fn progress, void *arg,
                  hw_error *err)
{
    const source s = {.from = from, .progress = progress, .arg = arg};
    return make_database(where, &s, err);
}
