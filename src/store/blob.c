/* blob.c - values of any size, cut into parts that every store takes.
 *
 *     prefix       -> header, first part        0  u32 magic "blb1"    4  u32 parts
 *     (prefix, 1)  -> second part               8  u64 bytes in all   16  u64 checksum of them
 *     (prefix, 2)  -> ...                      24  first part
 *
 * Most blobs are small and take the one key.
 */
#include "store/store.h"

#define BLOB_MAGIC 0x31626c62u /* "blb1" */
#define BLOB_HEADER 24u
/* A value of 20 LMDB pages, less the 16 bytes LMDB needs itself. */
#define PART_BYTES 81904u

_Static_assert(PART_BYTES <= HWI_STORE_VALUE_MAX, "a part is a value");
_Static_assert(HWI_BLOB_MAX / (PART_BYTES - BLOB_HEADER) < UINT32_MAX,
               "parts are counted in 32 bits");

/* Bytes of content in part `part` when `left` are still to come. */
static size_t
part_room(uint32_t part)
{
    return part == 0 ? PART_BYTES - BLOB_HEADER : PART_BYTES;
}

static uint32_t
part_count(size_t bytes)
{
    if (bytes <= part_room(0)) return 1;
    return (uint32_t)(1 + (bytes - part_room(0) + PART_BYTES - 1) / PART_BYTES);
}

static void
part_key(hwi_key *k, hw_bytes prefix, uint32_t part)
{
    hwi_key_init(k);
    hwi_key_raw(k, prefix);
    if (part > 0) hwi_key_uint(k, part);
}

typedef struct blob_header {
    uint32_t parts;
    uint64_t bytes, checksum;
} blob_header;

/* The header and, after it, the first part. */
static hw_status
get_header(hw_store_txn *t, hw_bytes prefix, blob_header *h, hw_bytes *first, hw_error *err)
{
    hw_bytes value;

    HWI_TRY(hwi_store_get(t, prefix, &value, err));
    const uint8_t *at = value.data;
    if (value.size < BLOB_HEADER || hwi_get_u32(at) != BLOB_MAGIC)
        return hwi_fail(err, HW_ECORRUPT, "value of %zu bytes is no blob", value.size);
    h->parts = hwi_get_u32(at + 4);
    h->bytes = hwi_get_u64(at + 8);
    h->checksum = hwi_get_u64(at + 16);
    *first = hwi_bytes(at + BLOB_HEADER, value.size - BLOB_HEADER);
    if (h->bytes > HWI_BLOB_MAX || h->parts != part_count((size_t)h->bytes))
        return hwi_fail(err, HW_ECORRUPT, "blob claims %llu bytes in %u parts",
                        (unsigned long long)h->bytes, h->parts);
    return HW_OK;
}

static hw_status
put_first(hw_store_txn *t, hw_bytes prefix, hw_bytes bytes, hw_error *err)
{
    size_t first = HWI_MIN(bytes.size, part_room(0));
    uint8_t *value = hwi_alloc(BLOB_HEADER + first);

    if (!value) return hwi_nomem(err, BLOB_HEADER + first);
    hwi_put_u32(value, BLOB_MAGIC);
    hwi_put_u32(value + 4, part_count(bytes.size));
    hwi_put_u64(value + 8, bytes.size);
    hwi_put_u64(value + 16, hwi_checksum(bytes.data, bytes.size));
    if (first) memcpy(value + BLOB_HEADER, bytes.data, first);
    hw_status st = hwi_store_put(t, prefix, hwi_bytes(value, BLOB_HEADER + first), err);
    hwi_free(value);
    return st;
}

hw_status
hwi_blob_put(hw_store_txn *t, hw_bytes prefix, hw_bytes bytes, hw_error *err)
{
    hwi_key k;

    if (bytes.size > HWI_BLOB_MAX)
        return hwi_fail(err, HW_ELIMIT, "blob of %zu bytes is above the maximum %zu", bytes.size,
                        HWI_BLOB_MAX);
    HWI_TRY(hwi_blob_del(t, prefix, err));
    HWI_TRY(put_first(t, prefix, bytes, err));
    size_t done = HWI_MIN(bytes.size, part_room(0));
    for (uint32_t part = 1; done < bytes.size; part++) {
        size_t n = HWI_MIN(bytes.size - done, PART_BYTES);
        part_key(&k, prefix, part);
        HWI_TRY(hwi_store_put(t, hwi_key_view(&k), hwi_bytes((const uint8_t *)bytes.data + done, n),
                              err));
        done += n;
    }
    return HW_OK;
}

static hw_status
append_parts(hw_store_txn *t, hw_bytes prefix, const blob_header *h, hw_bytes first, hwi_buf *out,
             hw_error *err)
{
    size_t start = out->size;
    hw_bytes part = first;
    hwi_key k;

    for (uint32_t i = 0; i < h->parts; i++) {
        if (i > 0) {
            part_key(&k, prefix, i);
            hw_status st = hwi_store_get(t, hwi_key_view(&k), &part, err);
            if (st == HW_ENOTFOUND)
                return hwi_fail(err, HW_ECORRUPT, "blob lacks part %u of %u", i, h->parts);
            if (st != HW_OK) return st;
        }
        size_t want = (size_t)HWI_MIN(h->bytes - (out->size - start), part_room(i));
        if (part.size != want)
            return hwi_fail(err, HW_ECORRUPT, "blob part %u has %zu bytes, expected %zu", i,
                            part.size, want);
        hwi_buf_add(out, part.data, part.size);
        if (out->failed) return hwi_nomem(err, part.size);
    }
    if (hwi_checksum(out->data + start, out->size - start) != h->checksum)
        return hwi_fail(err, HW_ECORRUPT, "blob of %llu bytes fails its checksum",
                        (unsigned long long)h->bytes);
    return HW_OK;
}

hw_status
hwi_blob_get(hw_store_txn *t, hw_bytes prefix, hwi_buf *out, hw_error *err)
{
    blob_header h;
    hw_bytes first;
    size_t start = out->size;

    HWI_TRY(get_header(t, prefix, &h, &first, err));
    if (!hwi_buf_reserve(out, (size_t)h.bytes + 1)) return hwi_nomem(err, (size_t)h.bytes);
    hw_status st = append_parts(t, prefix, &h, first, out, err);
    if (st != HW_OK) out->size = start;
    return st;
}

hw_status
hwi_blob_view(hw_store_txn *t, hw_bytes prefix, hwi_buf *large, hw_bytes *out, hw_error *err)
{
    blob_header h;

    HWI_TRY(get_header(t, prefix, &h, out, err));
    if (h.parts > 1) {
        hwi_buf_clear(large);
        HWI_TRY(hwi_blob_get(t, prefix, large, err));
        *out = hwi_buf_bytes(large);
        return HW_OK;
    }
    if (out->size != h.bytes || hwi_checksum(out->data, out->size) != h.checksum)
        return hwi_fail(err, HW_ECORRUPT, "blob of %llu bytes fails its checksum",
                        (unsigned long long)h.bytes);
    return HW_OK;
}

/* By range and not by the header's count, so that a damaged blob can be replaced and removed. */
hw_status
hwi_blob_del(hw_store_txn *t, hw_bytes prefix, hw_error *err)
{
    hwi_key end = hwi_key_range_end_of(prefix);
    return hwi_store_del_range(t, prefix, hwi_key_view(&end), err);
}
