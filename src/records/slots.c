/* slots.c - slot to id: pages of 24-byte rows.
 *
 *     0 u8  0 free, else 1 + hw_id_kind
 *     1 u8  length of a string id; 255: longer than fits here, its text is in the record
 *     2     six zero bytes
 *     8     the id: u64 little-endian, 16 bytes of a UUID, or up to 16 bytes of a string
 *
 * Every hit of every search needs its id, so ids of the common kinds are read from a page found
 * once instead of from one key per point. Long strings pay for a look-up.
 *
 * A page of integer ids alone is packed where it is stored (magic "run1"): with id - row as the
 * distance from a run of ids without gaps, a row is that less the least of them (the header's u64 at
 * 24), plus 1, in as few bytes as the largest needs, two at least; 0 is free. */
#include "records/records.h"

#define TEXT_IN_ROW_MAX 16u
#define TEXT_IN_REC 255u

_Static_assert(HWI_SLOT_ROW_BYTES == 8 + TEXT_IN_ROW_MAX, "a row is a head and 16 bytes of id");
_Static_assert(HWI_PAGE_HEADER + HWI_SLOTS_PER_PAGE * HWI_SLOT_ROW_BYTES <= HWI_PAGE_BYTES,
               "a slot page is one page");

void
hwi_slot_row_write(uint8_t row[HWI_SLOT_ROW_BYTES], const hw_id *id)
{
    memset(row, 0, HWI_SLOT_ROW_BYTES);
    row[0] = (uint8_t)(1 + id->kind);
    switch (id->kind) {
    case HW_ID_KIND_U64:
        hwi_put_u64(row + 8, id->as.u64);
        break;
    case HW_ID_KIND_UUID:
        memcpy(row + 8, id->as.uuid, 16);
        break;
    case HW_ID_KIND_TEXT:
        if (id->text_bytes > TEXT_IN_ROW_MAX) {
            row[1] = TEXT_IN_REC;
        } else {
            row[1] = (uint8_t)id->text_bytes;
            memcpy(row + 8, id->as.text, id->text_bytes);
        }
        break;
    }
}

hw_status
hwi_slot_row_read(const uint8_t *row, hw_id *id, bool *text_in_rec, hw_error *err)
{
    *text_in_rec = false;
    switch (row[0]) {
    case 0:
        return HW_ENOTFOUND;
    case 1 + HW_ID_KIND_U64:
        *id = HW_ID_U64(hwi_get_u64(row + 8));
        return HW_OK;
    case 1 + HW_ID_KIND_UUID:
        id->kind = HW_ID_KIND_UUID;
        id->text_bytes = 0;
        memcpy(id->as.uuid, row + 8, 16);
        return HW_OK;
    case 1 + HW_ID_KIND_TEXT:
        *text_in_rec = row[1] == TEXT_IN_REC;
        if (!*text_in_rec && (row[1] == 0 || row[1] > TEXT_IN_ROW_MAX)) {
            return hwi_fail(err, HW_ECORRUPT, "string id of %u bytes in a slot row", row[1]);
        }
        id->kind = HW_ID_KIND_TEXT;
        id->text_bytes = *text_in_rec ? 0 : row[1];
        id->as.text = (const char *)row + 8;
        return HW_OK;
    default:
        return hwi_fail(err, HW_ECORRUPT, "slot row of kind %u", row[0]);
    }
}

/* ---- pages of integer ids ---- */

#define RUN_BASE_AT 24u
#define RUN_ROW_LEAST                                                                              \
    2u /* full pages of less would share LMDB's pages with id entries and leave them half empty */
#define RUN_ROW_MAX 8u

static bool
is_integer(const uint8_t *row)
{
    return row[0] == 1 + HW_ID_KIND_U64;
}

static uint64_t
distance_of(const uint8_t *row, uint32_t at)
{
    return hwi_get_u64(row + 8) - at; /* modulo 2^64 */
}

/* The least and the largest distance; false if there is an id that is no integer. */
static bool
run_range(const uint8_t *page, uint32_t rows, uint64_t *least, uint64_t *most)
{
    *least = UINT64_MAX, *most = 0;
    for (uint32_t i = 0; i < rows; i++) {
        const uint8_t *row = hwi_page_row(page, i, HWI_SLOT_ROW_BYTES);
        if (row[0] == 0) continue;
        if (!is_integer(row)) return false;
        *least = HWI_MIN(*least, distance_of(row, i));
        *most = HWI_MAX(*most, distance_of(row, i));
    }
    return *least <= *most;
}

static uint32_t
pack_run(uint8_t *page, uint32_t rows)
{
    uint64_t least, most;
    uint32_t bytes = RUN_ROW_LEAST;

    if (!run_range(page, rows, &least, &most) || most - least == UINT64_MAX) return 0;
    while (bytes < RUN_ROW_MAX && (most - least + 1) >> (8 * bytes) != 0) bytes++;
    for (uint32_t i = 0; i < rows; i++) { /* a packed row ends before the next one begins */
        const uint8_t *row = hwi_page_row(page, i, HWI_SLOT_ROW_BYTES);
        uint8_t value[8];
        hwi_put_u64(value, row[0] == 0 ? 0 : distance_of(row, i) - least + 1);
        memcpy(page + HWI_PAGE_HEADER + (size_t)i * bytes, value, bytes);
    }
    hwi_put_u64(page + RUN_BASE_AT, least);
    return bytes;
}

static void
unpack_run(const uint8_t *page, uint32_t at, uint8_t *out)
{
    uint32_t bytes = HWI_MIN(hwi_get_u32(page + 20), RUN_ROW_MAX);
    uint8_t value[8] = {0};

    memcpy(value, hwi_page_row(page, at, bytes), bytes);
    memset(out, 0, HWI_SLOT_ROW_BYTES);
    if (hwi_get_u64(value) == 0) return;
    out[0] = 1 + HW_ID_KIND_U64;
    hwi_put_u64(out + 8, hwi_get_u64(value) - 1 + hwi_get_u64(page + RUN_BASE_AT) + at);
}

static const hwi_page_packing runs = {HWI_PAGE_MAGIC_RUN, pack_run, unpack_run};

hw_status
hwi_slot_page_verify(hw_bytes page, hw_error *err)
{
    const uint8_t *p = page.data;

    if (page.size < HWI_PAGE_HEADER || hwi_get_u32(p) != HWI_PAGE_MAGIC_RUN)
        return hwi_page_verify(page, HWI_PAGE_MAGIC_SLOT, HWI_SLOT_ROW_BYTES, err);
    uint32_t bytes = hwi_get_u32(p + 20);
    if (bytes == 0 || bytes > RUN_ROW_MAX)
        return hwi_fail(err, HW_ECORRUPT, "packed slot page has rows of %u bytes", bytes);
    return hwi_page_verify(page, HWI_PAGE_MAGIC_RUN, bytes, err);
}

const uint8_t *
hwi_slot_page_row(const uint8_t *page, uint32_t row, uint8_t room[HWI_SLOT_ROW_BYTES])
{
    if (hwi_get_u32(page) != HWI_PAGE_MAGIC_RUN) return hwi_page_row(page, row, HWI_SLOT_ROW_BYTES);
    memset(room, 0, HWI_SLOT_ROW_BYTES);
    if (row < hwi_page_rows(page)) unpack_run(page, row, room);
    return room;
}

/* ---- tables ---- */

hw_status
hwi_slot_table_new(hw_store_txn *txn, uint32_t coll, uint32_t slots_below, hwi_page_table **out,
                   hw_error *err)
{
    hwi_key prefix;
    hwi_key_sub(&prefix, HWI_SUB_SLOT, coll);
    HWI_TRY(hwi_page_table_new(txn, hwi_key_view(&prefix),
                               hwi_page_count(slots_below, HWI_SLOTS_PER_PAGE), HWI_PAGE_MAGIC_SLOT,
                               HWI_SLOTS_PER_PAGE, HWI_SLOT_ROW_BYTES, out, err));
    hwi_page_table_packing(*out, &runs);
    return HW_OK;
}

hw_status
hwi_slot_cache_new(hw_store_txn *txn, uint32_t coll, hwi_page_cache **out, hw_error *err)
{
    hwi_key prefix;
    hwi_key_sub(&prefix, HWI_SUB_SLOT, coll);
    HWI_TRY(hwi_page_cache_new(txn, hwi_key_view(&prefix), HWI_PAGE_MAGIC_SLOT, HWI_SLOTS_PER_PAGE,
                               HWI_SLOT_ROW_BYTES, out, err));
    hwi_page_cache_packing(*out, &runs);
    return HW_OK;
}

hw_status
hwi_slot_id(hwi_page_table *slots, hw_store_txn *txn, uint32_t coll, uint32_t slot, hw_id *out,
            hw_error *err)
{
    const uint8_t *page;
    uint8_t room[HWI_SLOT_ROW_BYTES];
    bool text_in_rec;
    hwi_rec rec;
    HWI_TRY(hwi_page_table_get(slots, slot / HWI_SLOTS_PER_PAGE, &page, err));
    if (!page) return HW_ENOTFOUND;
    HWI_TRY(hwi_slot_row_read(hwi_slot_page_row(page, slot % HWI_SLOTS_PER_PAGE, room), out,
                              &text_in_rec, err));
    if (!text_in_rec) return HW_OK;
    HWI_TRY(hwi_rec_get(txn, coll, slot, NULL, &rec, err));
    if (rec.id_text.size <= TEXT_IN_ROW_MAX) {
        return hwi_fail(err, HW_ECORRUPT, "slot %u: its string id is missing", slot);
    }
    out->as.text = rec.id_text.data;
    out->text_bytes = (uint32_t)rec.id_text.size;
    return HW_OK;
}
