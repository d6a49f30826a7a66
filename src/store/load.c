/* load.c - reading a dump file, into an empty store or into the hands of a function.
 *
 * Nothing in the file is believed before it was checked: sizes against the bounds of the format
 * before memory is taken, the checksum of a block before it is decompressed, every entry against
 * the block it lies in, keys against the one before, and the counts of the trailer at the end. A
 * block is at most 1.1 MB, so a hostile file cannot make us take more memory than an honest one.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include "store/dump.h"
#include "store/dump_format.h"
#include "store/loader.h"

typedef struct reader {
    int fd;
    const char *name;
    const char *magic; /* expected */
    hwi_load_fn put;
    void *arg;
    uint64_t keys, total; /* total: from the header, 0 if unknown */
    ZSTD_DCtx *zstd;
    uint8_t *stored, *raw;
    size_t stored_room;
    uint64_t blocks, folded;
    uint32_t format; /* of the store, from the header */
    uint8_t uuid[16];
    hw_error *err;
} reader;

static hw_status
damaged(reader *r, const char *what)
{
    return hwi_fail(r->err, HW_ECORRUPT, "%s: %s in block %llu", r->name, what,
                    (unsigned long long)r->blocks);
}

/* Exactly so many bytes; a file that ends before is damaged. */
static hw_status
read_all(reader *r, void *data, size_t bytes)
{
    uint8_t *at = data;

    while (bytes > 0) {
        ssize_t n = read(r->fd, at, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return hwi_fail_errno(r->err, errno, "cannot read %s", r->name);
        if (n == 0)
            return hwi_fail(r->err, HW_ECORRUPT, "%s is cut short after %llu blocks", r->name,
                            (unsigned long long)r->blocks);
        at += n;
        bytes -= (size_t)n;
    }
    return HW_OK;
}

/* A sound file of the other kind deserves its own message. */
static hw_status
wrong_kind(const reader *r, const uint8_t magic[8])
{
    if (memcmp(magic, HWI_DUMP_MAGIC, 8) == 0)
        return hwi_fail(r->err, HW_EINVAL, "%s holds a whole database, not one collection",
                        r->name);
    if (memcmp(magic, HWI_DUMP_MAGIC_COLLECTION, 8) == 0)
        return hwi_fail(r->err, HW_EINVAL, "%s holds one collection, not a whole database",
                        r->name);
    return HW_OK;
}

static hw_status
read_header(reader *r)
{
    uint8_t h[HWI_DUMP_HEADER];

    hw_status st = read_all(r, h, 16);
    if (st == HW_EIO) return st;
    if (st == HW_OK && memcmp(h, r->magic, 8) != 0) HWI_TRY(wrong_kind(r, h));
    if (st != HW_OK || memcmp(h, r->magic, 8) != 0)
        return hwi_fail(r->err, HW_ECORRUPT, "%s is no hashwood backup", r->name);
    uint32_t version = hwi_get_u32(h + 8), format = hwi_get_u32(h + 12);
    if (version > HWI_DUMP_VERSION || format > HWI_STORE_FORMAT)
        return hwi_fail(r->err, HW_EVERSION,
                        "%s: format %u.%u is newer than this hashwood understands (%u.%u)", r->name,
                        format, version, HWI_STORE_FORMAT, HWI_DUMP_VERSION);
    HWI_TRY(read_all(r, h + 16, HWI_DUMP_HEADER - 16));
    if (version == 0 || format == 0 || hwi_get_u64(h + 56) != hwi_checksum(h, 56))
        return hwi_fail(r->err, HW_ECORRUPT, "%s: the header is damaged", r->name);
    r->format = format;
    memcpy(r->uuid, h + 16, 16);
    r->total = hwi_get_u64(h + 48);
    return HW_OK;
}

/* Entries of a block whose checksum held; it may still have been made by a hostile hand. */
static hw_status
load_entries(reader *r, size_t raw_bytes, uint32_t entries)
{
    const uint8_t *at = r->raw, *end = r->raw + raw_bytes;

    for (uint32_t i = 0; i < entries; i++) {
        if ((size_t)(end - at) < HWI_DUMP_ENTRY) return damaged(r, "an entry is cut short");
        size_t key_bytes = hwi_get_u16(at), value_bytes = hwi_get_u32(at + 2);
        at += HWI_DUMP_ENTRY;
        if (key_bytes == 0 || key_bytes > HWI_STORE_KEY_MAX || value_bytes > HWI_STORE_VALUE_MAX)
            return damaged(r, "an entry is above the limits");
        if ((size_t)(end - at) < key_bytes + value_bytes)
            return damaged(r, "an entry is cut short");
        HWI_TRY(r->put(r->arg, hwi_bytes(at, key_bytes), hwi_bytes(at + key_bytes, value_bytes),
                       r->err));
        r->keys++;
        at += key_bytes + value_bytes;
    }
    return at == end ? HW_OK : damaged(r, "bytes are left over");
}

/* The rest of a block after its magic. */
static hw_status
read_block(reader *r, uint8_t h[HWI_DUMP_BLOCK_HEADER])
{
    HWI_TRY(read_all(r, h + 4, HWI_DUMP_BLOCK_HEADER - 4));
    size_t raw_bytes = hwi_get_u32(h + 4), stored_bytes = hwi_get_u32(h + 8);
    uint64_t checksum = hwi_get_u64(h + 16);
    if (raw_bytes == 0 || raw_bytes > HWI_DUMP_BLOCK_MAX || stored_bytes > r->stored_room)
        return damaged(r, "sizes are above the limits");
    HWI_TRY(read_all(r, r->stored, stored_bytes));
    if (hwi_dump_block_checksum(h, r->stored, stored_bytes) != checksum)
        return damaged(r, "the checksum does not match");

    size_t n = ZSTD_decompressDCtx(r->zstd, r->raw, HWI_DUMP_BLOCK_MAX, r->stored, stored_bytes);
    if (ZSTD_isError(n) || n != raw_bytes) return damaged(r, "the contents do not decompress");
    HWI_TRY(load_entries(r, raw_bytes, hwi_get_u32(h + 12)));
    r->folded = hwi_dump_fold(r->folded, checksum);
    r->blocks++;
    return HW_OK;
}

static hw_status
read_trailer(reader *r, uint8_t t[HWI_DUMP_TRAILER])
{
    char beyond;

    HWI_TRY(read_all(r, t + 4, HWI_DUMP_TRAILER - 4));
    if (hwi_get_u64(t + 32) != hwi_checksum(t, 32) || hwi_get_u32(t + 4) != 0)
        return hwi_fail(r->err, HW_ECORRUPT, "%s: the trailer is damaged", r->name);
    if (hwi_get_u64(t + 8) != r->keys || hwi_get_u64(t + 16) != r->blocks ||
        hwi_get_u64(t + 24) != r->folded)
        return hwi_fail(r->err, HW_ECORRUPT,
                        "%s: the trailer does not match %llu keys in %llu blocks", r->name,
                        (unsigned long long)r->keys, (unsigned long long)r->blocks);
    if (read(r->fd, &beyond, 1) > 0)
        return hwi_fail(r->err, HW_ECORRUPT, "%s goes on after its trailer", r->name);
    return HW_OK;
}

static hw_status
read_dump(reader *r)
{
    uint8_t h[HWI_DUMP_TRAILER > HWI_DUMP_BLOCK_HEADER ? HWI_DUMP_TRAILER : HWI_DUMP_BLOCK_HEADER];

    for (;;) {
        HWI_TRY(read_all(r, h, 4));
        uint32_t magic = hwi_get_u32(h);
        if (magic == HWI_DUMP_END_MAGIC) break;
        if (magic != HWI_DUMP_BLOCK_MAGIC) return damaged(r, "the start is not to be recognised");
        HWI_TRY(read_block(r, h));
    }
    return read_trailer(r, h);
}

static hw_status
reader_init(reader *r)
{
    r->stored_room = ZSTD_compressBound(HWI_DUMP_BLOCK_MAX);
    r->stored = hwi_alloc(r->stored_room);
    r->raw = hwi_alloc(HWI_DUMP_BLOCK_MAX);
    r->zstd = ZSTD_createDCtx();
    if (r->stored && r->raw && r->zstd) return HW_OK;
    return hwi_nomem(r->err, r->stored_room + HWI_DUMP_BLOCK_MAX);
}

static void
reader_release(reader *r)
{
    ZSTD_freeDCtx(r->zstd);
    hwi_free(r->raw);
    hwi_free(r->stored);
}

/* ---- into an empty store */

static hw_status
put_in_store(void *arg, hw_bytes key, hw_bytes value, hw_error *err)
{
    return hwi_loader_put(arg, key, value, err);
}

/* What was loaded is the database that the header announced. */
static hw_status
check_identity(reader *r, hw_store *to)
{
    hwi_store_meta meta;

    hw_status st = hwi_store_meta_check(to, false, &meta, r->err);
    if (st == HW_ENOTFOUND || st == HW_ECORRUPT)
        return hwi_fail(r->err, HW_ECORRUPT, "%s holds no hashwood database", r->name);
    if (st != HW_OK) return st;
    if (meta.format != r->format || memcmp(meta.uuid, r->uuid, 16) != 0)
        return hwi_fail(r->err, HW_ECORRUPT, "%s: header and meta record differ", r->name);
    return HW_OK;
}

static hw_status
load_store(reader *r, hwi_loader *l)
{
    HWI_TRY(reader_init(r));
    HWI_TRY(read_header(r));
    l->total = r->total;
    HWI_TRY(read_dump(r));
    HWI_TRY(hwi_loader_finish(l, r->err));
    return check_identity(r, l->to);
}

hw_status
hwi_store_load_fd(int fd, const char *name, hw_store *to, hw_progress_fn progress, void *arg,
                  hw_error *err)
{
    hwi_loader loader;
    reader r = {.fd = fd,
                .name = name,
                .magic = HWI_DUMP_MAGIC,
                .put = put_in_store,
                .arg = &loader,
                .err = err};

    hwi_loader_init(&loader, to, "restore", progress, arg);
    hw_status st = load_store(&r, &loader);
    hwi_loader_release(&loader);
    reader_release(&r);
    return st;
}

hw_status
hwi_store_load(const char *file, hw_store *to, hw_progress_fn progress, void *arg, hw_error *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return hwi_fail_errno(err, errno, "cannot open %s", file);
    hw_status st = hwi_store_load_fd(fd, file, to, progress, arg, err);
    close(fd);
    return st;
}

/* ---- one collection */

hw_status
hwi_store_load_collection(const char *file, hwi_load_fn fn, void *arg, uint64_t *total,
                          hw_error *err)
{
    reader r = {
        .name = file, .magic = HWI_DUMP_MAGIC_COLLECTION, .put = fn, .arg = arg, .err = err};

    *total = 0;
    r.fd = open(file, O_RDONLY | O_CLOEXEC);
    if (r.fd < 0) return hwi_fail_errno(err, errno, "cannot open %s", file);
    hw_status st = reader_init(&r);
    if (st == HW_OK) st = read_header(&r);
    if (st == HW_OK) {
        *total = r.total;
        st = read_dump(&r);
    }
    reader_release(&r);
    close(r.fd);
    return st;
}
