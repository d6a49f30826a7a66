/* slots.c - slot to id: pages of 24-byte rows.
 *
 *     0 u8  0 free, else 1 + hw_id_kind
 *     1 u8  length of a string id; 255: longer than fits here, its text is in the record
 *     2     six zero bytes
 *     8     the id: u64 little-endian, 16 bytes of a UUID, or up to 16 bytes of a string
 *
 * Every hit of every search needs its id, so ids of the common kinds are read from a page found
 * once instead of from one key per point. Long strings pay for a look-up. */
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

hw_status
hwi_slot_table_new(hw_store_txn *txn, uint32_t coll, uint32_t slots_below, hwi_page_table **out,
                   hw_error *err)
{
    hwi_key prefix;
    hwi_key_sub(&prefix, HWI_SUB_SLOT, coll);
    return hwi_page_table_new(txn, hwi_key_view(&prefix),
                              hwi_page_count(slots_below, HWI_SLOTS_PER_PAGE), HWI_PAGE_MAGIC_SLOT,
                              HWI_SLOTS_PER_PAGE, HWI_SLOT_ROW_BYTES, out, err);
}

hw_status
hwi_slot_cache_new(hw_store_txn *txn, uint32_t coll, hwi_page_cache **out, hw_error *err)
{
    hwi_key prefix;
    hwi_key_sub(&prefix, HWI_SUB_SLOT, coll);
    return hwi_page_cache_new(txn, hwi_key_view(&prefix), HWI_PAGE_MAGIC_SLOT, HWI_SLOTS_PER_PAGE,
                              HWI_SLOT_ROW_BYTES, out, err);
}

hw_status
hwi_slot_id(hwi_page_table *slots, hw_store_txn *txn, uint32_t coll, uint32_t slot, hw_id *out,
            hw_error *err)
{
    const uint8_t *page;
    bool text_in_rec;
    hwi_rec rec;
    HWI_TRY(hwi_page_table_get(slots, slot / HWI_SLOTS_PER_PAGE, &page, err));
    if (!page) return HW_ENOTFOUND;
    HWI_TRY(hwi_slot_row_read(hwi_page_row(page, slot % HWI_SLOTS_PER_PAGE, HWI_SLOT_ROW_BYTES),
                              out, &text_in_rec, err));
    if (!text_in_rec) return HW_OK;
    HWI_TRY(hwi_rec_get(txn, coll, slot, NULL, &rec, err));
    if (rec.id_text.size <= TEXT_IN_ROW_MAX) {
        return hwi_fail(err, HW_ECORRUPT, "slot %u: its string id is missing", slot);
    }
    out->as.text = rec.id_text.data;
    out->text_bytes = (uint32_t)rec.id_text.size;
    return HW_OK;
}
