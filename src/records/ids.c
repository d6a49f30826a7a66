/* ids.c - id to slot: a small value of a fixed layout.
 *
 *     `id, c, point id`   u32 slot, u64 version of the transaction that last wrote the point
 *
 * Id values have no checksum: a wrong one is found by `check`, which compares ids and slot rows
 * both ways. */
#include "records/records.h"

#define ID_BYTES 12u

hw_status
hwi_id_slot(hw_store_txn *txn, uint32_t coll, const hw_id *id, uint32_t *slot, uint64_t *version,
            hw_error *err)
{
    hwi_key key;
    hw_bytes value;
    hwi_key_id(&key, coll, id);
    HWI_TRY(hwi_store_get(txn, hwi_key_view(&key), &value, err));
    if (value.size != ID_BYTES) {
        return hwi_fail(err, HW_ECORRUPT, "id entry of %zu bytes, expected %u", value.size,
                        ID_BYTES);
    }
    *slot = hwi_get_u32(value.data);
    if (version) *version = hwi_get_u64((const uint8_t *)value.data + 4);
    return HW_OK;
}

hw_status
hwi_id_put(hw_store_txn *txn, uint32_t coll, const hw_id *id, uint32_t slot, uint64_t version,
           hw_error *err)
{
    hwi_key key;
    uint8_t value[ID_BYTES];
    hwi_key_id(&key, coll, id);
    hwi_put_u32(value, slot);
    hwi_put_u64(value + 4, version);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(value, sizeof value), err);
}

hw_status
hwi_id_del(hw_store_txn *txn, uint32_t coll, const hw_id *id, hw_error *err)
{
    hwi_key key;
    hwi_key_id(&key, coll, id);
    return hwi_store_del(txn, hwi_key_view(&key), err);
}
