/* dump.c - writing a snapshot to one file.
 *
 * A scan in key order fills a block; a full block is compressed and written, so memory stays at a
 * few megabytes whatever the size of the store. Blocks are separate zstd frames: damage is found
 * where it is, before anything that follows is believed.
 *
 * Copying LMDB's own pages (mdb_env_copy) would be faster, but such a copy holds free pages and the
 * page size of one machine, and no checksum.
 */
#include "store/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zstd.h>

#include "store/dump_format.h"
#include "store/place.h"

#define ZSTD_LEVEL 3 /* of 19: vectors hardly shrink at any level, payloads do at this one */

/* What goes into a dump: everything, or ... */
typedef struct selection {
    const char *magic;
    bool is_collection; /* ... a manifest and what is kept of one collection */
    uint32_t coll;
    hw_bytes manifest;
    hwi_dump_keep_fn keep;
    void *keep_arg;
} selection;

typedef struct dumper {
    int fd;
    const selection *what;
    const char *name; /* of the file, for messages */
    ZSTD_CCtx *zstd;
    hwi_buf raw;     /* the block being filled */
    uint32_t in_raw; /* entries in it */
    uint8_t *stored; /* room for a block header and the largest compressed block */
    uint64_t keys, blocks, folded;
    uint64_t total; /* keys, as far as the store can tell */
    hwi_progress progress;
    hw_status st; /* of the scan so far */
    hw_error *err;
} dumper;

static hw_status
write_all(dumper *d, const void *data, size_t bytes)
{
    const uint8_t *at = data;

    while (bytes > 0) {
        ssize_t n = write(d->fd, at, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return hwi_fail_errno(d->err, errno == EFBIG ? ENOSPC : errno, "cannot write %s",
                                  d->name);
        at += n;
        bytes -= (size_t)n;
    }
    return HW_OK;
}

static hw_status
write_header(dumper *d, hw_store_txn *t)
{
    uint8_t h[HWI_DUMP_HEADER] = {0};
    hwi_store_meta meta;

    hw_status st = hwi_store_meta_get(t, &meta, d->err);
    if (st == HW_ENOTFOUND) return hwi_fail(d->err, HW_ECORRUPT, "this is no hashwood database");
    if (st != HW_OK) return st;
    memcpy(h, d->what->magic, 8);
    hwi_put_u32(h + 8, HWI_DUMP_VERSION);
    hwi_put_u32(h + 12, meta.format);
    memcpy(h + 16, meta.uuid, 16);
    hwi_put_u64(h + 32, meta.created_s);
    hwi_put_u64(h + 40, hwi_store_snapshot(t));
    hwi_put_u64(h + 48, d->total);
    hwi_put_u64(h + 56, hwi_checksum(h, 56));
    return write_all(d, h, sizeof h);
}

static hw_status
write_block(dumper *d)
{
    uint8_t *h = d->stored;
    size_t room = ZSTD_compressBound(HWI_DUMP_BLOCK_MAX);

    if (d->in_raw == 0) return HW_OK;
    size_t bytes = ZSTD_compressCCtx(d->zstd, h + HWI_DUMP_BLOCK_HEADER, room, d->raw.data,
                                     d->raw.size, ZSTD_LEVEL);
    if (ZSTD_isError(bytes))
        return hwi_fail(d->err, HW_ENOMEM, "cannot compress: %s", ZSTD_getErrorName(bytes));
    hwi_put_u32(h, HWI_DUMP_BLOCK_MAGIC);
    hwi_put_u32(h + 4, (uint32_t)d->raw.size);
    hwi_put_u32(h + 8, (uint32_t)bytes);
    hwi_put_u32(h + 12, d->in_raw);
    uint64_t checksum = hwi_dump_block_checksum(h, h + HWI_DUMP_BLOCK_HEADER, bytes);
    hwi_put_u64(h + 16, checksum);
    HWI_TRY(write_all(d, h, HWI_DUMP_BLOCK_HEADER + bytes));

    d->folded = hwi_dump_fold(d->folded, checksum);
    d->blocks++;
    d->keys += d->in_raw;
    d->in_raw = 0;
    hwi_buf_clear(&d->raw);
    /* The end is reported once the trailer is written. */
    if (d->keys >= d->total) return HW_OK;
    return hwi_progress_step(&d->progress, "backup", d->keys, d->total, d->err);
}

static hw_status
write_trailer(dumper *d)
{
    uint8_t t[HWI_DUMP_TRAILER] = {0};

    hwi_put_u32(t, HWI_DUMP_END_MAGIC);
    hwi_put_u64(t + 8, d->keys);
    hwi_put_u64(t + 16, d->blocks);
    hwi_put_u64(t + 24, d->folded);
    hwi_put_u64(t + 32, hwi_checksum(t, 32));
    return write_all(d, t, sizeof t);
}

static bool
add_entry(void *arg, hw_bytes key, hw_bytes value)
{
    dumper *d = arg;
    uint8_t sizes[HWI_DUMP_ENTRY];

    if (key.size > HWI_STORE_KEY_MAX || value.size > HWI_STORE_VALUE_MAX) {
        d->st = hwi_fail(d->err, HW_ECORRUPT, "key of %zu and value of %zu bytes are above limits",
                         key.size, value.size);
        return false;
    }
    hwi_put_u16(sizes, (uint16_t)key.size);
    hwi_put_u32(sizes + 2, (uint32_t)value.size);
    hwi_buf_add(&d->raw, sizes, sizeof sizes);
    hwi_buf_add(&d->raw, key.data, key.size);
    hwi_buf_add(&d->raw, value.data, value.size);
    d->in_raw++;
    if (d->raw.failed)
        d->st = hwi_nomem(d->err, value.size);
    else if (d->raw.size >= HWI_DUMP_BLOCK_BYTES)
        d->st = write_block(d);
    return d->st == HW_OK;
}

/* ---- what is selected */

void
hwi_dump_manifest_key(hwi_key *key)
{
    hwi_key_space(key, HWI_SUB_META);
    hwi_key_uint(key, HWI_DUMP_MANIFEST);
}

static bool
add_kept(void *arg, hw_bytes key, hw_bytes value)
{
    dumper *d = arg;
    return !d->what->keep(d->what->keep_arg, key) || add_entry(d, key, value);
}

static bool
count_kept(void *arg, hw_bytes key, hw_bytes value)
{
    dumper *d = arg;
    (void)value;
    d->total += d->what->keep(d->what->keep_arg, key);
    return true;
}

static hw_status
scan_collection(dumper *d, hw_store_txn *t, hw_scan_fn fn)
{
    for (hwi_sub sub = HWI_SUB_COLL_FIRST; sub <= HWI_SUB_COLL_LAST; sub++) {
        hwi_key prefix;
        hwi_key_sub(&prefix, sub, d->what->coll);
        HWI_TRY(hwi_store_scan_prefix(t, &prefix, fn, d, d->err));
        HWI_TRY(d->st);
    }
    return HW_OK;
}

static hw_status
count_keys(dumper *d, hw_store_txn *t)
{
    hw_store_info info;

    if (d->what->is_collection) {
        d->total = 1;
        return scan_collection(d, t, count_kept);
    }
    HWI_TRY(hwi_store_info(t->store, &info, d->err));
    d->total = info.keys;
    return HW_OK;
}

static hw_status
add_entries(dumper *d, hw_store_txn *t)
{
    const hw_bytes all = {NULL, 0};
    hwi_key key;

    if (!d->what->is_collection) {
        HWI_TRY(hwi_store_walk(t, all, all, add_entry, d, d->err));
        return d->st;
    }
    hwi_dump_manifest_key(&key);
    if (!add_entry(d, hwi_key_view(&key), d->what->manifest)) return d->st;
    return scan_collection(d, t, add_kept);
}

/* ---- the file */

static hw_status
write_dump(dumper *d, hw_store_txn *t)
{
    HWI_TRY(count_keys(d, t));
    HWI_TRY(write_header(d, t));
    HWI_TRY(add_entries(d, t));
    HWI_TRY(write_block(d));
    HWI_TRY(write_trailer(d));
    HWI_TRY(hwi_progress_step(&d->progress, "backup", d->keys, d->keys, d->err));
    if (fsync(d->fd) != 0) return hwi_fail_errno(d->err, errno, "cannot sync %s", d->name);
    return HW_OK;
}

static hw_status
dump_to(dumper *d, hw_store_txn *t, const char *part)
{
    d->fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (d->fd < 0) return hwi_fail_errno(d->err, errno, "cannot create %s", part);
    hw_status st = write_dump(d, t);
    if (close(d->fd) != 0 && st == HW_OK)
        st = hwi_fail_errno(d->err, errno, "cannot write %s", d->name);
    if (st == HW_OK) st = hwi_place_rename(part, d->name, d->err);
    if (st != HW_OK) unlink(part);
    return st;
}

static hw_status
dump_selection(hw_store_txn *t, const selection *what, const char *file, hw_progress_fn progress,
               void *arg, hw_error *err)
{
    dumper d = {.fd = -1, .what = what, .name = file, .err = err};
    char part[HWI_PLACE_MAX];

    HWI_TRY(hwi_place_beside(file, part, err));
    d.progress = (hwi_progress){.fn = progress, .arg = arg};
    d.zstd = ZSTD_createCCtx();
    d.stored = hwi_alloc(HWI_DUMP_BLOCK_HEADER + ZSTD_compressBound(HWI_DUMP_BLOCK_MAX));
    hw_status st = d.zstd && d.stored && hwi_buf_reserve(&d.raw, HWI_DUMP_BLOCK_MAX)
                       ? dump_to(&d, t, part)
                       : hwi_nomem(err, HWI_DUMP_BLOCK_MAX);
    hwi_buf_release(&d.raw);
    hwi_free(d.stored);
    ZSTD_freeCCtx(d.zstd);
    return st;
}

hw_status
hwi_store_dump(hw_store_txn *t, const char *file, hw_progress_fn progress, void *arg, hw_error *err)
{
    const selection all = {.magic = HWI_DUMP_MAGIC};
    return dump_selection(t, &all, file, progress, arg, err);
}

hw_status
hwi_store_dump_collection(hw_store_txn *t, uint32_t coll, hw_bytes manifest, hwi_dump_keep_fn keep,
                          void *keep_arg, const char *file, hw_progress_fn progress, void *arg,
                          hw_error *err)
{
    const selection one = {.magic = HWI_DUMP_MAGIC_COLLECTION,
                           .is_collection = true,
                           .coll = coll,
                           .manifest = manifest,
                           .keep = keep,
                           .keep_arg = keep_arg};
    return dump_selection(t, &one, file, progress, arg, err);
}
