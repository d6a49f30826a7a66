/* ids.c - id to slot: an entry for each id, or for sixteen integers.
 *
 *     `id, c, kind, id`     u32 slot, u64 version of the transaction that last wrote the point
 *
 * Integer ids are mostly consecutive, with slots in their order, and an entry's place in a B-tree is
 * larger than what it says. So sixteen of them share a block where only one process writes at a time
 * (conf->id_blocks); elsewhere processes that insert neighbours would conflict. Blocks come behind all
 * other keys, as LMDB fills pages to the end only where nothing follows:
 *
 *     `ids, c, id / 16`     0  u8  s + 16 v
 *                           1  u16 bit i: there is id 16 block + i; n bits in all
 *                           3  u32 b
 *                           7  n numbers of s bytes, the least 0: slot = b + number + i - 15
 *                              n numbers of v bytes, the least 0: version = w + number
 *                              w, in as few bytes as it needs
 *
 * s and v are as small as can be: ids in the order of their slots, written by one transaction, have
 * no numbers at all, and an id alone in its block takes what an entry of its own does.
 *
 * Id values have no checksum: a wrong one is found by `check`, which compares ids and slot rows
 * both ways. */
#include "records/records.h"

#define ALONE_BYTES 12u
#define HEAD_BYTES 7u
#define SLOT_WIDTH_MAX 4u
#define VERSION_WIDTH_MAX 8u
#define BIAS (HWI_ID_BLOCK - 1) /* b + number is not negative */
#define BLOCK_BYTES_MAX                                                                            \
    (HEAD_BYTES + HWI_ID_BLOCK * (SLOT_WIDTH_MAX + VERSION_WIDTH_MAX) + VERSION_WIDTH_MAX)

_Static_assert(HWI_ID_BLOCK == 16, "a block's ids are told by sixteen bits");
_Static_assert((uint64_t)HWI_SLOT_MAX + BIAS <= UINT32_MAX, "b is a u32");

static bool
is_in_block(const hwi_conf *conf, const hw_id *id)
{
    return conf->id_blocks && id->kind == HW_ID_KIND_U64;
}

uint32_t
hwi_id_key(hwi_key *key, const hwi_conf *conf, const hw_id *id)
{
    if (!is_in_block(conf, id)) {
        hwi_key_id(key, conf->coll, id);
        return 0;
    }
    hwi_key_ids(key, conf->coll, id->as.u64 / HWI_ID_BLOCK);
    return (uint32_t)(id->as.u64 % HWI_ID_BLOCK);
}

/* ---- Numbers of few bytes ---- */

static uint64_t
get_number(const uint8_t *at, uint32_t width)
{
    uint8_t value[8] = {0};

    memcpy(value, at, width);
    return hwi_get_u64(value);
}

static void
put_number(uint8_t *at, uint32_t width, uint64_t number)
{
    uint8_t value[8];

    hwi_put_u64(value, number);
    memcpy(at, value, width);
}

static uint32_t
width_of(uint64_t number)
{
    uint32_t width = 0;

    while (width < 8 && number >> (8 * width) != 0) width++;
    return width;
}

/* ---- Blocks ---- */

/* A block's parts, where they lie. */
typedef struct block {
    uint32_t which, count;
    uint32_t slot_width, version_width;
    uint64_t slot_base, version_base;
    const uint8_t *slots, *versions;
} block;

static hw_status
damaged(hw_error *err)
{
    return hwi_fail(err, HW_ECORRUPT, "an entry of integer ids does not decode");
}

static hw_status
open_block(hw_bytes value, block *b, hw_error *err)
{
    const uint8_t *p = value.data;

    if (value.size < HEAD_BYTES || value.size > BLOCK_BYTES_MAX) return damaged(err);
    b->slot_width = p[0] & 15u, b->version_width = p[0] >> 4;
    b->which = hwi_get_u16(p + 1);
    b->count = (uint32_t)__builtin_popcount(b->which);
    if (b->slot_width > SLOT_WIDTH_MAX || b->version_width > VERSION_WIDTH_MAX || b->count == 0)
        return damaged(err);
    size_t before = HEAD_BYTES + (size_t)b->count * (b->slot_width + b->version_width);
    if (value.size < before || value.size > before + VERSION_WIDTH_MAX) return damaged(err);
    b->slot_base = hwi_get_u32(p + 3);
    b->slots = p + HEAD_BYTES;
    b->versions = b->slots + (size_t)b->count * b->slot_width;
    b->version_base = get_number(p + before, (uint32_t)(value.size - before));
    return HW_OK;
}

/* The at-th of those that are there, which is id i of the block. */
static hw_status
read_one(const block *b, uint32_t at, uint32_t i, uint32_t *slot, uint64_t *version, hw_error *err)
{
    uint64_t biased = i + b->slot_base + get_number(b->slots + at * b->slot_width, b->slot_width);

    if (biased < BIAS || biased - BIAS >= HWI_SLOT_MAX) return damaged(err);
    *slot = (uint32_t)(biased - BIAS);
    *version = b->version_base + get_number(b->versions + at * b->version_width, b->version_width);
    return HW_OK;
}

static size_t
encode(const hwi_id_entry *e, uint8_t out[BLOCK_BYTES_MAX])
{
    uint64_t slot_least = UINT64_MAX, slot_most = 0, version_least = UINT64_MAX, version_most = 0;

    for (uint32_t i = 0; i < HWI_ID_BLOCK; i++) {
        if (!(e->which >> i & 1)) continue;
        uint64_t biased = (uint64_t)e->slots[i] + BIAS - i;
        slot_least = HWI_MIN(slot_least, biased), slot_most = HWI_MAX(slot_most, biased);
        version_least = HWI_MIN(version_least, e->versions[i]);
        version_most = HWI_MAX(version_most, e->versions[i]);
    }
    uint32_t s = width_of(slot_most - slot_least), v = width_of(version_most - version_least);
    uint32_t count = (uint32_t)__builtin_popcount(e->which), w = width_of(version_least);
    uint8_t *slot_at = out + HEAD_BYTES, *version_at = slot_at + (size_t)count * s;
    out[0] = (uint8_t)(s + 16 * v);
    hwi_put_u16(out + 1, (uint16_t)e->which);
    hwi_put_u32(out + 3, (uint32_t)slot_least);
    for (uint32_t i = 0; i < HWI_ID_BLOCK; i++) {
        if (!(e->which >> i & 1)) continue;
        put_number(slot_at, s, (uint64_t)e->slots[i] + BIAS - i - slot_least);
        put_number(version_at, v, e->versions[i] - version_least);
        slot_at += s, version_at += v;
    }
    put_number(version_at, w, version_least);
    return (size_t)(version_at - out) + w;
}

static hw_status
decode(hw_bytes value, hwi_id_entry *e, hw_error *err)
{
    uint32_t at = 0;
    block b;

    HWI_TRY(open_block(value, &b, err));
    e->which = b.which;
    for (uint32_t i = 0; i < HWI_ID_BLOCK; i++) {
        if (!(b.which >> i & 1)) continue;
        HWI_TRY(read_one(&b, at++, i, &e->slots[i], &e->versions[i], err));
    }
    return HW_OK;
}

/* Encoding what was decoded gives the same bytes, or they were not written by us. */
static hw_status
decode_strictly(hw_bytes value, hwi_id_entry *e, hw_error *err)
{
    uint8_t again[BLOCK_BYTES_MAX];

    HWI_TRY(decode(value, e, err));
    return encode(e, again) == value.size && memcmp(again, value.data, value.size) == 0
               ? HW_OK
               : damaged(err);
}

/* The block that holds an id; empty when there is none. */
static hw_status
load_block(hw_store_txn *txn, const hwi_key *key, uint64_t number, hwi_id_near *near, hw_error *err)
{
    hw_bytes value;

    if (near->is_loaded && near->block == number) return HW_OK;
    near->is_loaded = false;
    near->entry.which = 0;
    hw_status st = hwi_store_get(txn, hwi_key_view(key), &value, err);
    if (st == HW_OK) st = decode(value, &near->entry, err);
    if (st != HW_OK && st != HW_ENOTFOUND) return st;
    near->block = number;
    near->is_loaded = true;
    return HW_OK;
}

static hw_status
store_block(hw_store_txn *txn, const hwi_key *key, const hwi_id_entry *e, hw_error *err)
{
    uint8_t value[BLOCK_BYTES_MAX];

    if (e->which == 0) return hwi_store_del(txn, hwi_key_view(key), err);
    return hwi_store_put(txn, hwi_key_view(key), hwi_bytes(value, encode(e, value)), err);
}

/* ---- Entries of their own ---- */

static hw_status
read_alone(hw_bytes value, uint32_t *slot, uint64_t *version, hw_error *err)
{
    if (value.size != ALONE_BYTES) {
        return hwi_fail(err, HW_ECORRUPT, "id entry of %zu bytes, expected %u", value.size,
                        ALONE_BYTES);
    }
    *slot = hwi_get_u32(value.data);
    *version = hwi_get_u64((const uint8_t *)value.data + 4);
    return HW_OK;
}

/* ---- Both ---- */

hw_status
hwi_id_slot(hw_store_txn *txn, const hwi_conf *conf, const hw_id *id, uint32_t *slot,
            uint64_t *version, hw_error *err)
{
    hwi_key key;
    hw_bytes value;
    block b;
    uint64_t ignored;

    if (!version) version = &ignored;
    uint32_t i = hwi_id_key(&key, conf, id);
    HWI_TRY(hwi_store_get(txn, hwi_key_view(&key), &value, err));
    if (!is_in_block(conf, id)) return read_alone(value, slot, version, err);
    HWI_TRY(open_block(value, &b, err));
    if (!(b.which >> i & 1)) return HW_ENOTFOUND;
    uint32_t before = b.which & ((1u << i) - 1);
    return read_one(&b, (uint32_t)__builtin_popcount(before), i, slot, version, err);
}

hw_status
hwi_id_find(hw_store_txn *txn, const hwi_conf *conf, hwi_id_near *near, const hw_id *id,
            uint32_t *slot, hw_error *err)
{
    hwi_key key;

    if (!is_in_block(conf, id)) return hwi_id_slot(txn, conf, id, slot, NULL, err);
    uint32_t i = hwi_id_key(&key, conf, id);
    HWI_TRY(load_block(txn, &key, id->as.u64 / HWI_ID_BLOCK, near, err));
    if (!(near->entry.which >> i & 1)) return HW_ENOTFOUND;
    *slot = near->entry.slots[i];
    return HW_OK;
}

hw_status
hwi_id_put(hw_store_txn *txn, const hwi_conf *conf, hwi_id_near *near, const hw_id *id,
           uint32_t slot, uint64_t version, hw_error *err)
{
    hwi_key key;
    uint8_t value[ALONE_BYTES];

    uint32_t i = hwi_id_key(&key, conf, id);
    if (is_in_block(conf, id)) {
        hwi_id_entry *e = &near->entry;
        HWI_TRY(load_block(txn, &key, id->as.u64 / HWI_ID_BLOCK, near, err));
        e->which |= 1u << i, e->slots[i] = slot, e->versions[i] = version;
        return store_block(txn, &key, e, err);
    }
    hwi_put_u32(value, slot);
    hwi_put_u64(value + 4, version);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(value, sizeof value), err);
}

hw_status
hwi_id_del(hw_store_txn *txn, const hwi_conf *conf, hwi_id_near *near, const hw_id *id,
           hw_error *err)
{
    hwi_key key;

    uint32_t i = hwi_id_key(&key, conf, id);
    if (!is_in_block(conf, id)) return hwi_store_del(txn, hwi_key_view(&key), err);
    HWI_TRY(load_block(txn, &key, id->as.u64 / HWI_ID_BLOCK, near, err));
    if (!(near->entry.which >> i & 1)) return HW_OK;
    near->entry.which &= ~(1u << i);
    return store_block(txn, &key, &near->entry, err);
}

/* The entry's own key says what kind it is; in one collection integers are of one kind. */
static hw_status
read_key(const hwi_conf *conf, hw_bytes key, bool *in_block, hw_error *err)
{
    hwi_key_reader r;
    uint32_t sub, coll;
    uint64_t number;
    char text[HW_ID_TEXT_MAX];
    hw_id id = HW_ID_U64(0);

    hwi_key_reader_init(&r, key);
    HWI_TRY(hwi_key_read_u32(&r, &sub, err));
    HWI_TRY(hwi_key_read_u32(&r, &coll, err));
    *in_block = sub == HWI_SUB_IDS;
    if (*in_block) {
        HWI_TRY(hwi_key_read_uint(&r, &number, err));
        if (number > UINT64_MAX / HWI_ID_BLOCK) return damaged(err);
    } else {
        HWI_TRY(hwi_key_read_point_id(&r, &id, text, err));
    }
    HWI_TRY(hwi_key_read_end(&r, err));
    return is_in_block(conf, &id) == *in_block ? HW_OK : damaged(err);
}

hw_status
hwi_id_entry_read(const hwi_conf *conf, hw_bytes key, hw_bytes value, hwi_id_entry *out,
                  hw_error *err)
{
    bool in_block;

    HWI_TRY(read_key(conf, key, &in_block, err));
    if (in_block) return decode_strictly(value, out, err);
    out->which = 1;
    return read_alone(value, &out->slots[0], &out->versions[0], err);
}
