/* meta.c - the first key of the database: what it is, and whether we may touch it.
 *
 *     0  "hashwood"                  8  u32 format      12  u32 0
 *    16  uuid, 16 bytes             32  u64 creation time, seconds since 1970
 *    40  u64 checksum of bytes 0 to 39
 *
 * The magic, the format number and their places never change, so that any version can read them and
 * say why it refuses.
 */
#include "store/store.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define META_BYTES 48u
static const char magic[8] = {'h', 'a', 's', 'h', 'w', 'o', 'o', 'd'};

static void
encode(const hwi_store_meta *meta, uint8_t out[META_BYTES])
{
    memset(out, 0, META_BYTES);
    memcpy(out, magic, sizeof magic);
    hwi_put_u32(out + 8, meta->format);
    memcpy(out + 16, meta->uuid, 16);
    hwi_put_u64(out + 32, meta->created_s);
    hwi_put_u64(out + 40, hwi_checksum(out, 40));
}

static hw_status
decode(hw_bytes value, hwi_store_meta *out, hw_error *err)
{
    const uint8_t *at = value.data;

    if (value.size < 12 || memcmp(at, magic, sizeof magic) != 0)
        return hwi_fail(err, HW_ECORRUPT, "this is no hashwood database");
    uint32_t format = hwi_get_u32(at + 8);
    if (format > HWI_STORE_FORMAT)
        return hwi_fail(err, HW_EVERSION, "format %u is newer than this hashwood understands (%u)",
                        format, HWI_STORE_FORMAT);
    if (value.size != META_BYTES || hwi_get_u64(at + 40) != hwi_checksum(at, 40) || format == 0)
        return hwi_fail(err, HW_ECORRUPT, "the meta record is damaged");
    out->format = format;
    memcpy(out->uuid, at + 16, 16);
    out->created_s = hwi_get_u64(at + 32);
    return HW_OK;
}

/* A version 4 UUID from the system's random source. */
static hw_status
make_meta(hwi_store_meta *meta, hw_error *err)
{
    meta->format = HWI_STORE_FORMAT;
    meta->created_s = (uint64_t)time(NULL);
    if (getrandom(meta->uuid, sizeof meta->uuid, 0) != (ssize_t)sizeof meta->uuid)
        return hwi_fail_errno(err, errno, "cannot read random bytes");
    meta->uuid[6] = (uint8_t)((meta->uuid[6] & 0x0f) | 0x40);
    meta->uuid[8] = (uint8_t)((meta->uuid[8] & 0x3f) | 0x80);
    return HW_OK;
}

hw_status
hwi_store_meta_get(hw_store_txn *t, hwi_store_meta *out, hw_error *err)
{
    hwi_key k;
    hw_bytes value;

    hwi_key_meta(&k);
    HWI_TRY(hwi_store_get(t, hwi_key_view(&k), &value, err));
    return decode(value, out, err);
}

hw_status
hwi_store_meta_put(hw_store_txn *t, const hwi_store_meta *meta, hw_error *err)
{
    uint8_t value[META_BYTES];
    hwi_key k;

    hwi_key_meta(&k);
    encode(meta, value);
    return hwi_store_put(t, hwi_key_view(&k), hwi_bytes(value, sizeof value), err);
}

/* HW_ENOTFOUND only for a store without any key. */
static hw_status
look(hw_store_txn *t, hwi_store_meta *out, hw_error *err)
{
    bool empty;

    hw_status st = hwi_store_meta_get(t, out, err);
    if (st != HW_ENOTFOUND) return st;
    HWI_TRY(hwi_store_is_empty(t, &empty, err));
    if (!empty) return hwi_fail(err, HW_ECORRUPT, "this is no hashwood database");
    return hwi_fail(err, HW_ENOTFOUND, "the database is empty");
}

/* Looks again: another process may have been first. */
static hw_status
create_meta(hw_store_txn *t, void *arg, hw_error *err)
{
    hwi_store_meta *meta = arg;
    hw_error why;

    hw_status st = look(t, meta, &why);
    if (st != HW_ENOTFOUND) {
        if (st != HW_OK && err) *err = why;
        return st;
    }
    HWI_TRY(make_meta(meta, err));
    return hwi_store_meta_put(t, meta, err);
}

hw_status
hwi_store_meta_check(hw_store *s, bool create, hwi_store_meta *out, hw_error *err)
{
    hwi_store_meta meta;
    hw_store_txn *t;
    hw_error why;

    HWI_TRY(hwi_store_begin(s, HW_TXN_READ, &t, err));
    hw_status st = look(t, &meta, &why);
    hwi_store_abort(t);
    if (st == HW_ENOTFOUND && create)
        st = hwi_store_run(s, create_meta, &meta, err);
    else if (st != HW_OK && err)
        *err = why;
    if (st == HW_OK && out) *out = meta;
    return st;
}
