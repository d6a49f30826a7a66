/* pix_read.c - looking up: the slots under a value, in a range of codes, or alive.
 *
 * Everything is gathered into hwi_slots, plain bits by chunk, so a union of ten thousand values
 * costs no more than reading them. Counts come from headers alone. */
#include "payload/pix_parts.h"

typedef struct reader {
    size_t prefix_bytes;
    bool any_value;   /* a value comes before the chunk */
    hwi_slots *slots; /* NULL: only count */
    uint64_t count;
    hw_error *err;
    hw_status st;
} reader;

static hw_status
read_chunk(reader *r, uint32_t chunk, hw_bytes value)
{
    uint32_t count = 0;

    if (!r->slots) {
        HWI_TRY(hwi_chunk_count(value, chunk, &count, r->err));
        r->count += count;
        return HW_OK;
    }
    if (chunk > 0xffff) return hwi_fail(r->err, HW_ECORRUPT, "payload index chunk %u", chunk);
    uint64_t *words = hwi_slots_chunk(r->slots, chunk);
    if (!words) return hwi_nomem(r->err, HWI_CHUNK_WORDS * 8);
    return hwi_chunk_read(value, chunk, words, r->err);
}

static bool
take_chunk(void *arg, hw_bytes key, hw_bytes value)
{
    reader *r = arg;
    hwi_key_reader k;
    uint32_t chunk = 0;

    hwi_key_reader_init(
        &k, hwi_bytes((const uint8_t *)key.data + r->prefix_bytes, key.size - r->prefix_bytes));
    r->st = r->any_value ? hwi_key_skip(&k, r->err) : HW_OK;
    if (r->st == HW_OK) r->st = hwi_key_read_u32(&k, &chunk, r->err);
    if (r->st == HW_OK) r->st = hwi_key_read_end(&k, r->err);
    if (r->st == HW_OK) r->st = read_chunk(r, chunk, value);
    return r->st == HW_OK;
}

static hw_status
scan_chunks(hw_store_txn *txn, const hwi_key *prefix, reader *r)
{
    r->prefix_bytes = prefix->size;
    HWI_TRY(hwi_store_scan_prefix(txn, prefix, take_chunk, r, r->err));
    return r->st;
}

hw_status
hwi_pix_read(hw_store_txn *txn, const hwi_key *prefix, hwi_slots *out, hw_error *err)
{
    reader r = {.slots = out, .err = err};
    return scan_chunks(txn, prefix, &r);
}

hw_status
hwi_pix_read_terms(hw_store_txn *txn, const hwi_key *prefix, hwi_slots *out, hw_error *err)
{
    reader r = {.any_value = true, .slots = out, .err = err};
    return scan_chunks(txn, prefix, &r);
}

hw_status
hwi_pix_count(hw_store_txn *txn, const hwi_key *prefix, uint64_t *count, hw_error *err)
{
    reader r = {.err = err};
    hw_status st = scan_chunks(txn, prefix, &r);

    *count = r.count;
    return st;
}

/* ---- ranges of codes */

static hw_status
take_part(void *arg, const hwi_page_part *part, hw_error *err)
{
    reader *r = arg;

    if (part->same) return read_chunk(r, part->chunk, part->slots);
    r->count += part->count;
    if (!r->slots) return HW_OK;
    for (size_t i = 0; i < part->count; i++) hwi_slots_add(r->slots, hwi_page_part_slot(part, i));
    return r->slots->failed ? hwi_nomem(err, HWI_CHUNK_WORDS * 8) : HW_OK;
}

hw_status
hwi_pix_read_range(hw_store_txn *txn, uint32_t coll, uint32_t field, uint64_t from, uint64_t to,
                   hwi_slots *out, hw_error *err)
{
    reader r = {.slots = out, .err = err};
    return hwi_pages_scan(txn, coll, field, from, to, take_part, &r, err);
}

hw_status
hwi_pix_count_range(hw_store_txn *txn, uint32_t coll, uint32_t field, uint64_t from, uint64_t to,
                    uint64_t *count, hw_error *err)
{
    reader r = {.err = err};
    hw_status st = hwi_pages_scan(txn, coll, field, from, to, take_part, &r, err);

    *count = r.count;
    return st;
}

/* ---- live slots, counts, and dropping */

hw_status
hwi_pix_points(hw_store_txn *txn, uint32_t coll, uint32_t field_number, uint64_t *points,
               hw_error *err)
{
    hwi_key prefix;

    hwi_pix_kind_key(&prefix, coll, field_number, HWI_PIX_COVERED);
    return hwi_pix_count(txn, &prefix, points, err);
}

hw_status
hwi_pix_live(hw_store_txn *txn, uint32_t coll, roaring_bitmap_t **out, hw_error *err)
{
    hwi_slots slots = {0};
    hwi_key prefix;

    *out = NULL;
    hwi_pix_kind_key(&prefix, coll, 0, HWI_PIX_PRESENT);
    hw_status st = hwi_pix_read(txn, &prefix, &slots, err);
    if (st == HW_OK) st = hwi_slots_bitmap(&slots, out, err);
    hwi_slots_release(&slots);
    return st;
}

hw_status
hwi_pix_drop(hw_store_txn *txn, uint32_t coll, uint32_t field_number, bool *more, hw_error *err)
{
    hwi_key prefix;

    hwi_pix_field_key(&prefix, coll, field_number);
    return hwi_store_del_some(txn, &prefix, more, err);
}
