/* state.c - a record, and what has changed since it was written.
 *
 *     `state, c, v`      format u8, generation, next generation, vectors, next node, (8 bytes unused),
 *                        changes, leaves, splits, merges, moved, calibration, u32 checksum
 *     `state, c, v, 1`   i64 vectors, to be added
 *     `state, c, v, 2`   i64 changes, to be added
 *     `state, c, v, 3`   generation, next node, leaves, splits, merges, moved, u32 checksum: in place of
 *                        the record's when the generation is the same
 *
 * The record seldom changes, and whoever changes the index depends on it. Every insert changes the
 * counters, so they are added to blindly; a split or merge changes the third, which then depends on no
 * other split coming in between (it gives out node numbers).
 */
#include "index/state.h"

#define FORMAT 1u
#define FIELDS_BYTES 69u
#define BYTES (FIELDS_BYTES + 4)
#define SHAPE_FIELDS_BYTES 36u
#define SHAPE_BYTES (SHAPE_FIELDS_BYTES + 4)

enum { VECTORS = 1, CHANGES = 2, SHAPE = 3 };

static void
part_key(hwi_key *key, uint32_t coll, uint32_t field, uint32_t part)
{
    hwi_key_state(key, coll, field);
    hwi_key_uint(key, part);
}

/* ---- Reading ---- */

static hw_status
damaged(uint32_t coll, uint32_t field, hw_error *err)
{
    return hwi_fail(err, HW_ECORRUPT, "index state of collection %u field %u does not decode", coll,
                    field);
}

static bool
is_sound(hw_bytes value, size_t fields_bytes)
{
    const uint8_t *b = value.data;
    return value.size == fields_bytes + 4 &&
           hwi_get_u32(b + fields_bytes) == (uint32_t)hwi_checksum(b, fields_bytes);
}

static void
decode(const uint8_t *b, hwi_index_state *out)
{
    out->generation = hwi_get_u32(b + 1);
    out->next_generation = hwi_get_u32(b + 5);
    out->vectors = hwi_get_u64(b + 9);
    out->next_node = hwi_get_u32(b + 17);
    out->changes = hwi_get_u64(b + 29);
    out->leaves = hwi_get_u32(b + 37);
    out->splits = hwi_get_u64(b + 41);
    out->merges = hwi_get_u64(b + 49);
    out->moved = hwi_get_u64(b + 57);
    out->calibration = hwi_get_u32(b + 65);
}

static hw_status
get_counter(hw_store_txn *txn, uint32_t coll, uint32_t field, uint32_t part, uint64_t *since,
            uint64_t *total, hw_error *err)
{
    hwi_key key;
    int64_t n;

    part_key(&key, coll, field, part);
    HWI_TRY(hwi_store_peek_i64(txn, hwi_key_view(&key), &n, err));
    *since = (uint64_t)n;
    *total += (uint64_t)n;
    return HW_OK;
}

static hw_status
get_shape(hw_store_txn *txn, uint32_t coll, uint32_t field, hwi_index_state *out, hw_error *err)
{
    hwi_key key;
    hw_bytes value;

    part_key(&key, coll, field, SHAPE);
    hw_status st = hwi_store_peek(txn, hwi_key_view(&key), &value, err);
    if (st == HW_ENOTFOUND) return HW_OK;
    HWI_TRY(st);
    if (!is_sound(value, SHAPE_FIELDS_BYTES)) return damaged(coll, field, err);
    const uint8_t *b = value.data;
    if (hwi_get_u32(b) != out->generation) return HW_OK;
    out->next_node = hwi_get_u32(b + 4);
    out->leaves = hwi_get_u32(b + 8);
    out->splits = hwi_get_u64(b + 12);
    out->merges = hwi_get_u64(b + 20);
    out->moved = hwi_get_u64(b + 28);
    return HW_OK;
}

void
hwi_state_want(hwi_wants *wants, uint32_t coll, uint32_t field)
{
    hwi_key_state(hwi_wants_next(wants), coll, field);
    for (uint32_t part = VECTORS; part <= SHAPE; part++)
        part_key(hwi_wants_next(wants), coll, field, part);
}

/* Four small values, fetched together where that matters. */
static void
want_all(hw_store_txn *txn, uint32_t coll, uint32_t field)
{
    hwi_wants w;

    if (!hwi_store_is_far(txn)) return;
    w.txn = txn, w.count = 0;
    hwi_state_want(&w, coll, field);
    hwi_wants_send(&w);
}

hw_status
hwi_state_get(hw_store_txn *txn, uint32_t coll, uint32_t field, hwi_index_state *out, hw_error *err)
{
    hwi_key key;
    hw_bytes value;

    *out = (hwi_index_state){.next_generation = 1};
    want_all(txn, coll, field);
    hwi_key_state(&key, coll, field);
    hw_status st = hwi_store_get(txn, hwi_key_view(&key), &value, err);
    if (st != HW_OK && st != HW_ENOTFOUND) return st;
    if (st == HW_OK) {
        if (!is_sound(value, FIELDS_BYTES) || *(const uint8_t *)value.data != FORMAT)
            return damaged(coll, field, err);
        decode(value.data, out);
    }
    HWI_TRY(get_counter(txn, coll, field, VECTORS, &out->vectors_since, &out->vectors, err));
    HWI_TRY(get_counter(txn, coll, field, CHANGES, &out->changes_since, &out->changes, err));
    return get_shape(txn, coll, field, out, err);
}

/* ---- Writing ---- */

static hw_status
put_sealed(hw_store_txn *txn, const hwi_key *key, uint8_t *b, size_t fields_bytes, hw_error *err)
{
    hwi_put_u32(b + fields_bytes, (uint32_t)hwi_checksum(b, fields_bytes));
    return hwi_store_put(txn, hwi_key_view(key), hwi_bytes(b, fields_bytes + 4), err);
}

hw_status
hwi_state_put(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_index_state *state,
              hw_error *err)
{
    hwi_key key;
    uint8_t b[BYTES] = {FORMAT};

    hwi_put_u32(b + 1, state->generation);
    hwi_put_u32(b + 5, state->next_generation);
    hwi_put_u64(b + 9, state->vectors - state->vectors_since);
    hwi_put_u32(b + 17, state->next_node);
    hwi_put_u64(b + 29, state->changes - state->changes_since);
    hwi_put_u32(b + 37, state->leaves);
    hwi_put_u64(b + 41, state->splits);
    hwi_put_u64(b + 49, state->merges);
    hwi_put_u64(b + 57, state->moved);
    hwi_put_u32(b + 65, state->calibration);
    part_key(&key, coll, field, SHAPE);
    HWI_TRY(hwi_store_guard(txn, hwi_key_view(&key), err));
    HWI_TRY(hwi_store_del(txn, hwi_key_view(&key), err));
    hwi_key_state(&key, coll, field);
    return put_sealed(txn, &key, b, FIELDS_BYTES, err);
}

static hw_status
put_shape(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_index_state *state,
          hw_error *err)
{
    hwi_key key;
    uint8_t b[SHAPE_BYTES];

    hwi_put_u32(b, state->generation);
    hwi_put_u32(b + 4, state->next_node);
    hwi_put_u32(b + 8, state->leaves);
    hwi_put_u64(b + 12, state->splits);
    hwi_put_u64(b + 20, state->merges);
    hwi_put_u64(b + 28, state->moved);
    part_key(&key, coll, field, SHAPE);
    HWI_TRY(hwi_store_guard(txn, hwi_key_view(&key), err));
    return put_sealed(txn, &key, b, SHAPE_FIELDS_BYTES, err);
}

static hw_status
add_to(hw_store_txn *txn, uint32_t coll, uint32_t field, uint32_t part, uint64_t by, hw_error *err)
{
    hwi_key key;

    if (by == 0) return HW_OK;
    part_key(&key, coll, field, part);
    return hwi_store_add(txn, hwi_key_view(&key), (int64_t)by, err);
}

hw_status
hwi_state_grow(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_index_state *before,
               const hwi_index_state *after, hw_error *err)
{
    HWI_TRY(add_to(txn, coll, field, VECTORS, after->vectors - before->vectors, err));
    HWI_TRY(add_to(txn, coll, field, CHANGES, after->changes - before->changes, err));
    bool same = before->next_node == after->next_node && before->leaves == after->leaves &&
                before->splits == after->splits && before->merges == after->merges &&
                before->moved == after->moved;
    return same ? HW_OK : put_shape(txn, coll, field, after, err);
}

void
hwi_generation_key(hwi_key *k, hwi_sub sub, uint32_t coll, uint32_t field, uint32_t generation)
{
    hwi_key_sub(k, sub, coll);
    hwi_key_uint(k, field);
    hwi_key_uint(k, generation);
}
