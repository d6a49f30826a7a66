/* state.c - one fixed record: format u8, then the fields little-endian in the order of the struct,
 * then a u32 checksum of all that.
 */
#include "index/state.h"

#define FORMAT 1u
#define FIELDS_BYTES 69u
#define BYTES (FIELDS_BYTES + 4)

hw_status
hwi_state_get(hw_store_txn *txn, uint32_t coll, uint32_t field, hwi_index_state *out, hw_error *err)
{
    hwi_key key;
    hw_bytes value;

    *out = (hwi_index_state){.next_generation = 1};
    hwi_key_state(&key, coll, field);
    hw_status st = hwi_store_get(txn, hwi_key_view(&key), &value, err);
    if (st == HW_ENOTFOUND) return HW_OK;
    HWI_TRY(st);
    const uint8_t *b = value.data;
    if (value.size != BYTES || b[0] != FORMAT ||
        hwi_get_u32(b + FIELDS_BYTES) != (uint32_t)hwi_checksum(b, FIELDS_BYTES))
        return hwi_fail(err, HW_ECORRUPT, "index state of collection %u field %u does not decode",
                        coll, field);
    out->generation = hwi_get_u32(b + 1);
    out->next_generation = hwi_get_u32(b + 5);
    out->vectors = hwi_get_u64(b + 9);
    out->next_node = hwi_get_u32(b + 17);
    out->tree_version = hwi_get_u64(b + 21);
    out->changes = hwi_get_u64(b + 29);
    out->leaves = hwi_get_u32(b + 37);
    out->splits = hwi_get_u64(b + 41);
    out->merges = hwi_get_u64(b + 49);
    out->moved = hwi_get_u64(b + 57);
    out->calibration = hwi_get_u32(b + 65);
    return HW_OK;
}

hw_status
hwi_state_put(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_index_state *state,
              hw_error *err)
{
    hwi_key key;
    uint8_t b[BYTES] = {FORMAT};

    hwi_put_u32(b + 1, state->generation);
    hwi_put_u32(b + 5, state->next_generation);
    hwi_put_u64(b + 9, state->vectors);
    hwi_put_u32(b + 17, state->next_node);
    hwi_put_u64(b + 21, state->tree_version);
    hwi_put_u64(b + 29, state->changes);
    hwi_put_u32(b + 37, state->leaves);
    hwi_put_u64(b + 41, state->splits);
    hwi_put_u64(b + 49, state->merges);
    hwi_put_u64(b + 57, state->moved);
    hwi_put_u32(b + 65, state->calibration);
    hwi_put_u32(b + FIELDS_BYTES, (uint32_t)hwi_checksum(b, FIELDS_BYTES));
    hwi_key_state(&key, coll, field);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(b, sizeof b), err);
}

void
hwi_generation_key(hwi_key *k, hwi_sub sub, uint32_t coll, uint32_t field, uint32_t generation)
{
    hwi_key_sub(k, sub, coll);
    hwi_key_uint(k, field);
    hwi_key_uint(k, generation);
}
