/* rec.c - the record of a point: what fits neither slot row nor vector page.
 *
 *     `rec, c, slot`      u32 checksum | u8 flags | [u8 length, string id] | payload
 *     `rec, c, slot, 0`   a payload above HWI_REC_INLINE_MAX, as a blob
 *
 * Most points have a payload of some hundred bytes: one value, read where it lies. The checksum
 * (low half of XXH3-64, of everything behind it) is verified on every read, since a payload goes
 * straight to the user. A point with a short id and no payload has no record at all. */
#include "records/records.h"

#define HEAD_BYTES 5u
#define FLAG_ID_TEXT 1u
#define FLAG_BLOB 2u

static hw_status
damaged(hw_error *err, uint32_t coll, uint32_t slot, const char *what)
{
    return hwi_fail(err, HW_ECORRUPT, "rec(%u, %u): %s", coll, slot, what);
}

static void
blob_key(hwi_key *key, uint32_t coll, uint32_t slot)
{
    hwi_key_rec(key, coll, slot);
    hwi_key_uint(key, 0);
}

static hw_status
get_blob(hw_store_txn *txn, uint32_t coll, uint32_t slot, hwi_buf *large, hw_bytes *out,
         hw_error *err)
{
    hwi_key key;
    blob_key(&key, coll, slot);
    hwi_buf_clear(large);
    hw_status st = hwi_blob_get(txn, hwi_key_view(&key), large, err);
    if (st == HW_ENOTFOUND) return damaged(err, coll, slot, "its large payload is missing");
    *out = hwi_buf_bytes(large);
    return st;
}

hw_status
hwi_rec_get(hw_store_txn *txn, uint32_t coll, uint32_t slot, hwi_buf *large, hwi_rec *out,
            hw_error *err)
{
    hwi_key key;
    hw_bytes value;
    *out = (hwi_rec){0};
    hwi_key_rec(&key, coll, slot);
    hw_status st = hwi_store_get(txn, hwi_key_view(&key), &value, err);
    if (st != HW_OK) return st == HW_ENOTFOUND ? HW_OK : st;

    const uint8_t *p = value.data, *end = p + value.size;
    if (value.size < HEAD_BYTES) return damaged(err, coll, slot, "too short");
    if (hwi_get_u32(p) != (uint32_t)hwi_checksum(p + 4, value.size - 4)) {
        return damaged(err, coll, slot, "checksum does not match");
    }
    uint8_t flags = p[4];
    p += HEAD_BYTES;
    if (flags & FLAG_ID_TEXT) {
        if (p == end || p[0] > end - p - 1) return damaged(err, coll, slot, "string id is cut off");
        out->id_text = hwi_bytes(p + 1, p[0]);
        p += 1 + p[0];
    }
    if (!(flags & FLAG_BLOB)) {
        out->payload = hwi_bytes(p, (size_t)(end - p));
    } else if (large) {
        return get_blob(txn, coll, slot, large, &out->payload, err);
    }
    return HW_OK;
}

hw_status
hwi_rec_put(hw_store_txn *txn, uint32_t coll, uint32_t slot, bool is_new, const hwi_rec *rec,
            hw_error *err)
{
    hwi_key key;
    hwi_buf value = {0};
    bool is_large = rec->payload.size > HWI_REC_INLINE_MAX;
    HWI_ASSERT(rec->id_text.size <= HW_ID_TEXT_MAX);

    if (!is_new) HWI_TRY(hwi_rec_del(txn, coll, slot, err));
    if (rec->id_text.size == 0 && rec->payload.size == 0) return HW_OK;
    if (is_large) {
        blob_key(&key, coll, slot);
        HWI_TRY(hwi_blob_put(txn, hwi_key_view(&key), rec->payload, err));
    }
    hwi_buf_fill(&value, 0, 4);
    hwi_buf_fill(&value,
                 (uint8_t)((rec->id_text.size ? FLAG_ID_TEXT : 0) | (is_large ? FLAG_BLOB : 0)), 1);
    if (rec->id_text.size) {
        hwi_buf_fill(&value, (uint8_t)rec->id_text.size, 1);
        hwi_buf_add(&value, rec->id_text.data, rec->id_text.size);
    }
    if (!is_large) hwi_buf_add(&value, rec->payload.data, rec->payload.size);
    hw_status st = HW_OK;
    if (value.failed) {
        st = hwi_nomem(err, rec->payload.size);
    } else {
        hwi_put_u32(value.data, (uint32_t)hwi_checksum(value.data + 4, value.size - 4));
        hwi_key_rec(&key, coll, slot);
        st = hwi_store_put(txn, hwi_key_view(&key), hwi_buf_bytes(&value), err);
    }
    hwi_buf_release(&value);
    return st;
}

hw_status
hwi_rec_del(hw_store_txn *txn, uint32_t coll, uint32_t slot, hw_error *err)
{
    hwi_key key;
    hw_bytes value;
    hwi_key_rec(&key, coll, slot);
    hw_status st = hwi_store_get(txn, hwi_key_view(&key), &value, err);
    if (st != HW_OK) return st == HW_ENOTFOUND ? HW_OK : st;
    bool has_blob = value.size < HEAD_BYTES || ((const uint8_t *)value.data)[4] & FLAG_BLOB;
    HWI_TRY(hwi_store_del(txn, hwi_key_view(&key), err));
    if (!has_blob) return HW_OK;
    blob_key(&key, coll, slot);
    return hwi_blob_del(txn, hwi_key_view(&key), err);
}

hw_status
hwi_payload_get(hw_store_txn *txn, uint32_t coll, uint32_t slot, hwi_buf *large, hw_bytes *payload,
                hw_error *err)
{
    hwi_rec rec;
    hw_status st = hwi_rec_get(txn, coll, slot, large, &rec, err);
    *payload = rec.payload;
    return st;
}
