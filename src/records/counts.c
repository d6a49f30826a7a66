/* counts.c - the counters of a collection, and where its fresh slots come from.
 *
 *     `count, c`            u64 version, u64 points, u32 slots below, u32 checksum of those 20 bytes
 *     `count, c, 2`, `3`    i64 versions and points on top of that
 *     `count, c, 4, lane`   u32 next, u32 end, u32 checksum of those 8 bytes
 *     `count, c, 5`         u32 begin of the next lane's slots, u32 checksum
 *
 * In a store that many processes write at once, a number that every insert reads and writes would let
 * one of them succeed and the others begin again. So versions and points are added to blindly, and
 * read without minding who adds at the same time; the first value stays as the collection began.
 *
 *     lane 0   |#########....|           |####.........|        # taken
 *     lane 1                 |######.....|                      . to be had
 *     slots    0             65,536      131,072     frontier
 *
 * A fresh slot comes from a lane. A process keeps to one until it loses a race for it, and then takes
 * another (hwi_writer_begin). In LMDB nobody ever loses one: all slots come from lane 0, which takes
 * run after run, and are as dense as if there were no lanes.
 *
 * Two transactions may give the same version to different points, never to the same one: whoever
 * writes a point read its id entry, so one of the two fails and begins again. */
#include "records/records.h"

#define BASE_BYTES 24u
#define LANE_BYTES 12u
#define FRONTIER_BYTES 8u

enum { VERSIONS = 2, POINTS = 3, LANE = 4, FRONTIER = 5 };

static void
count_key(hwi_key *key, uint32_t coll, uint32_t what)
{
    hwi_key_sub(key, HWI_SUB_COUNT, coll);
    hwi_key_uint(key, what);
}

static hw_status
damaged(uint32_t coll, hw_error *err)
{
    return hwi_fail(err, HW_ECORRUPT, "counts of collection %u do not match their checksum", coll);
}

static bool
is_sound(hw_bytes value, size_t bytes)
{
    const uint8_t *p = value.data;
    return value.size == bytes &&
           hwi_get_u32(p + bytes - 4) == (uint32_t)hwi_checksum(p, bytes - 4);
}

static void
seal(uint8_t *value, size_t bytes)
{
    hwi_put_u32(value + bytes - 4, (uint32_t)hwi_checksum(value, bytes - 4));
}

/* ---- Reading: the first value, then one scan over the rest ---- */

typedef struct counting {
    hwi_counts *out;
    uint32_t coll;
    hw_status status;
    hw_error *err;
} counting;

static bool
take_count(void *arg, hw_bytes key, hw_bytes value)
{
    counting *c = arg;
    hwi_key_reader r;
    uint32_t ignored, what = 0;

    hwi_key_reader_init(&r, key);
    c->status = hwi_key_read_u32(&r, &ignored, c->err);
    if (c->status == HW_OK) c->status = hwi_key_read_u32(&r, &ignored, c->err);
    if (c->status == HW_OK) c->status = hwi_key_read_u32(&r, &what, c->err);
    if (c->status != HW_OK) return false;
    if (what == LANE && is_sound(value, LANE_BYTES)) {
        c->out->slots_below = HWI_MAX(c->out->slots_below, hwi_get_u32(value.data));
    } else if (what == LANE || value.size != 8 ||
               (what == FRONTIER && !is_sound(value, FRONTIER_BYTES))) {
        c->status = damaged(c->coll, c->err);
    } else if (what == VERSIONS) {
        c->out->version += hwi_get_u64(value.data);
    } else if (what == POINTS) {
        c->out->points += hwi_get_u64(value.data);
    }
    return c->status == HW_OK;
}

hw_status
hwi_counts_get(hw_store_txn *txn, uint32_t coll, hwi_counts *out, hw_error *err)
{
    hwi_key key, end;
    hw_bytes value;
    counting c = {out, coll, HW_OK, err};

    *out = (hwi_counts){0};
    hwi_key_sub(&key, HWI_SUB_COUNT, coll);
    hw_status st = hwi_store_peek(txn, hwi_key_view(&key), &value, err);
    if (st == HW_ENOTFOUND) return HW_OK;
    if (st != HW_OK) return st;
    if (!is_sound(value, BASE_BYTES)) return damaged(coll, err);
    out->version = hwi_get_u64(value.data);
    out->points = hwi_get_u64((const uint8_t *)value.data + 8);
    out->slots_below = hwi_get_u32((const uint8_t *)value.data + 16);
    count_key(&key, coll, VERSIONS);
    count_key(&end, coll, FRONTIER + 1);
    HWI_TRY(hwi_store_peek_scan(txn, hwi_key_view(&key), hwi_key_view(&end), false, take_count, &c,
                                err));
    return c.status;
}

/* ---- Writing ---- */

hw_status
hwi_counts_create(hw_store_txn *txn, uint32_t coll, hw_error *err)
{
    uint8_t value[BASE_BYTES] = {0};
    hwi_key key;

    hwi_put_u64(value, 1);
    seal(value, sizeof value);
    hwi_key_sub(&key, HWI_SUB_COUNT, coll);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(value, sizeof value), err);
}

hw_status
hwi_counts_add(hw_store_txn *txn, uint32_t coll, int64_t points, hw_error *err)
{
    hwi_key key;

    count_key(&key, coll, VERSIONS);
    HWI_TRY(hwi_store_add(txn, hwi_key_view(&key), 1, err));
    if (points == 0) return HW_OK;
    count_key(&key, coll, POINTS);
    return hwi_store_add(txn, hwi_key_view(&key), points, err);
}

/* ---- Lanes ---- */

static void
lane_key(hwi_key *key, const hwi_lane *lane, uint32_t coll)
{
    count_key(key, coll, LANE);
    hwi_key_uint(key, lane->number);
}

static hw_status
open_lane(hwi_lane *lane, hw_store_txn *txn, uint32_t coll, hw_error *err)
{
    hwi_key key;
    hw_bytes value;

    lane_key(&key, lane, coll);
    lane->is_open = true;
    hw_status st = hwi_store_get(txn, hwi_key_view(&key), &value, err);
    if (st == HW_ENOTFOUND) return HW_OK;
    if (st != HW_OK) return st;
    if (!is_sound(value, LANE_BYTES)) return damaged(coll, err);
    lane->next = hwi_get_u32(value.data);
    lane->end = hwi_get_u32((const uint8_t *)value.data + 4);
    return HW_OK;
}

/* Where the frontier is in a collection that has had no lanes: behind all slots. */
static hw_status
read_frontier(hw_store_txn *txn, const hwi_key *key, uint32_t coll, uint32_t *frontier,
              hw_error *err)
{
    hwi_counts counts;
    hw_bytes value;

    hw_status st = hwi_store_get(txn, hwi_key_view(key), &value, err);
    if (st == HW_ENOTFOUND) {
        HWI_TRY(hwi_counts_get(txn, coll, &counts, err));
        *frontier = counts.slots_below;
        return HW_OK;
    }
    if (st != HW_OK) return st;
    if (!is_sound(value, FRONTIER_BYTES)) return damaged(coll, err);
    *frontier = hwi_get_u32(value.data);
    return HW_OK;
}

/* The next run of slots: up to a whole multiple of HWI_LANE_SLOTS. */
static hw_status
extend(hwi_lane *lane, hw_store_txn *txn, uint32_t coll, hw_error *err)
{
    uint8_t value[FRONTIER_BYTES];
    hwi_key key;
    uint32_t begin = 0;

    count_key(&key, coll, FRONTIER);
    HWI_TRY(read_frontier(txn, &key, coll, &begin, err));
    if (begin >= HWI_SLOT_MAX)
        return hwi_fail(err, HW_ELIMIT, "collection is full: %u slots", HWI_SLOT_MAX);
    uint64_t end = ((uint64_t)begin / HWI_LANE_SLOTS + 1) * HWI_LANE_SLOTS;
    lane->next = begin;
    lane->end = (uint32_t)HWI_MIN(end, (uint64_t)HWI_SLOT_MAX);
    hwi_put_u32(value, lane->end);
    seal(value, sizeof value);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(value, sizeof value), err);
}

hw_status
hwi_lane_take(hwi_lane *lane, hw_store_txn *txn, uint32_t coll, uint32_t *slot, hw_error *err)
{
    if (!lane->is_open) HWI_TRY(open_lane(lane, txn, coll, err));
    if (lane->next == lane->end) HWI_TRY(extend(lane, txn, coll, err));
    *slot = lane->next++;
    lane->is_changed = true;
    return HW_OK;
}

hw_status
hwi_lane_flush(hwi_lane *lane, hw_store_txn *txn, uint32_t coll, hw_error *err)
{
    uint8_t value[LANE_BYTES];
    hwi_key key;

    if (!lane->is_changed) return HW_OK;
    lane->is_changed = false;
    lane_key(&key, lane, coll);
    hwi_put_u32(value, lane->next);
    hwi_put_u32(value + 4, lane->end);
    seal(value, sizeof value);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(value, sizeof value), err);
}
