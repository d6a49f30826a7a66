/* records.h - points as stored: id to slot, slot to id, payload by slot, vectors by slot.
 *
 *   `id, c, point id`      -> u32 slot, u64 version
 *   `ids, c, id / 16`      -> the same of sixteen integer ids, where they share entries (ids.c)
 *   `slot, c, page`        -> page of HWI_SLOTS_PER_PAGE rows: u8 kind (0 free, else 1 +
 * hw_id_kind), 7 spare, 16 bytes id (u64 little-endian, UUID, or a string of up to 16 bytes with
 * its length in spare[0]; longer strings: 255 in spare[0], the text is in `rec`)
 *   `rec, c, slot`         -> u32 checksum, u8 flags, [u8 length + string id], payload JSON; absent
 * when there is nothing to say. A payload above HWI_REC_INLINE_MAX is a blob at `rec, c, slot, 0`
 *   `vec, c, field, page`  -> page of rows: dim f32 as given, f32 inverse norm (1 where norms do
 * not matter; 0: the point lacks this vector)
 *
 * Slots are dense and ascend, so loading appends. A slot freed by a delete is given out again only
 * when most of its neighbourhood is free too (docs/decisions/).
 */
#ifndef HWI_RECORDS_H
#define HWI_RECORDS_H

#include "records/conf.h"
#include "records/pages.h"

#define HWI_SLOT_NONE UINT32_MAX
#define HWI_SLOT_MAX 0xfffffff0u
#define HWI_SLOTS_PER_PAGE 1024u
#define HWI_SLOT_ROW_BYTES 24u

/* Vector pages. */
static inline uint32_t
hwi_vec_row_bytes(uint32_t dim)
{
    return dim * 4 + 4;
}
/* Rows in one page: as many as fit HWI_PAGE_BYTES with the header, at least 1. */
uint32_t hwi_vec_rows_per_page(uint32_t dim);
static inline const float *
hwi_vec_row(const uint8_t *row)
{
    return (const float *)(const void *)row;
}
static inline float
hwi_vec_inv_norm(const uint8_t *row, uint32_t dim)
{
    return hwi_get_f32(row + (size_t)dim * 4);
}

HW_CHECKED hw_status hwi_vec_table_new(hw_store_txn *txn, uint32_t coll, const hwi_field *field,
                                       uint32_t slots_below, hwi_page_table **out, hw_error *err);
HW_CHECKED hw_status hwi_vec_cache_new(hw_store_txn *txn, uint32_t coll, const hwi_field *field,
                                       hwi_page_cache **out, hw_error *err);

/* Number of pages that hold slots below slots_below. */
static inline uint32_t
hwi_page_count(uint32_t slots_below, uint32_t rows_per_page)
{
    return slots_below / rows_per_page + (slots_below % rows_per_page != 0);
}

/* Slot pages. */
HW_CHECKED hw_status hwi_slot_table_new(hw_store_txn *txn, uint32_t coll, uint32_t slots_below,
                                        hwi_page_table **out, hw_error *err);
HW_CHECKED hw_status hwi_slot_cache_new(hw_store_txn *txn, uint32_t coll, hwi_page_cache **out,
                                        hw_error *err);
/* Id of a slot; HW_ENOTFOUND (err untouched) for a free one. Text longer than 16 bytes is borrowed
 * from the transaction, shorter text from the page. */
HW_CHECKED hw_status hwi_slot_id(hwi_page_table *slots, hw_store_txn *txn, uint32_t coll,
                                 uint32_t slot, hw_id *out, hw_error *err);

#define HWI_ID_BLOCK 16u /* integer ids that share an entry, where they do (conf->id_blocks) */

/* What an entry says, in the order of its ids: place i is there when bit i of which is set. An id with an
 * entry of its own is at place 0. */
typedef struct hwi_id_entry {
    uint32_t which;
    uint32_t slots[HWI_ID_BLOCK];
    uint64_t versions[HWI_ID_BLOCK];
} hwi_id_entry;

/* Slot of an id: HW_ENOTFOUND (err untouched) when absent. version may be NULL. */
HW_CHECKED hw_status hwi_id_slot(hw_store_txn *txn, const hwi_conf *conf, const hw_id *id,
                                 uint32_t *slot, uint64_t *version, hw_error *err);

/* The block that a write transaction used last, as neighbours often follow each other. Zero-initialise; only who
 * holds it writes ids of the collection. */
typedef struct hwi_id_near {
    bool is_loaded;
    uint64_t block;
    hwi_id_entry entry;
} hwi_id_near;

HW_CHECKED hw_status hwi_id_find(hw_store_txn *txn, const hwi_conf *conf, hwi_id_near *near,
                                 const hw_id *id, uint32_t *slot, hw_error *err);
HW_CHECKED hw_status hwi_id_put(hw_store_txn *txn, const hwi_conf *conf, hwi_id_near *near,
                                const hw_id *id, uint32_t slot, uint64_t version, hw_error *err);
HW_CHECKED hw_status hwi_id_del(hw_store_txn *txn, const hwi_conf *conf, hwi_id_near *near,
                                const hw_id *id, hw_error *err);

/* Key of the entry that has an id; returns its place there. */
uint32_t hwi_id_key(hwi_key *key, const hwi_conf *conf, const hw_id *id);
/* An entry met in a scan. HW_ECORRUPT. */
HW_CHECKED hw_status hwi_id_entry_read(const hwi_conf *conf, hw_bytes key, hw_bytes value,
                                       hwi_id_entry *out, hw_error *err);

/* The row of slot pages for an id, and back. A string longer than 16 bytes is left out of the row:
 * *text_in_rec then says to look in `rec`. HW_ENOTFOUND (err untouched) for a free row. */
void hwi_slot_row_write(uint8_t row[HWI_SLOT_ROW_BYTES], const hw_id *id);
HW_CHECKED hw_status hwi_slot_row_read(const uint8_t *row, hw_id *id, bool *text_in_rec,
                                       hw_error *err);

/* A stored slot page, packed or not: its header and checksum (HW_ECORRUPT); and a row of it, in place or in
 * `room`; a row of a packed page that is not stored is free. */
HW_CHECKED hw_status hwi_slot_page_verify(hw_bytes page, hw_error *err);
const uint8_t *hwi_slot_page_row(const uint8_t *page, uint32_t row,
                                 uint8_t room[HWI_SLOT_ROW_BYTES]);

#define HWI_REC_INLINE_MAX 32768u /* larger payloads are blobs */

/* A record: what does not fit the slot row. Absent: both empty. */
typedef struct hwi_rec {
    hw_bytes id_text; /* of a string id longer than 16 bytes */
    hw_bytes payload;
} hwi_rec;
/* Borrowed like every value of the transaction; a large payload is read into `large` and borrowed
 * from it (large NULL: left out). */
HW_CHECKED hw_status hwi_rec_get(hw_store_txn *txn, uint32_t coll, uint32_t slot, hwi_buf *large,
                                 hwi_rec *out, hw_error *err);
/* `is_new`: the slot is known to have none, which saves looking. */
HW_CHECKED hw_status hwi_rec_put(hw_store_txn *txn, uint32_t coll, uint32_t slot, bool is_new,
                                 const hwi_rec *rec, hw_error *err);
HW_CHECKED hw_status hwi_rec_del(hw_store_txn *txn, uint32_t coll, uint32_t slot, hw_error *err);

/* Payload of a slot, empty when there is none. Borrowed as in hwi_rec_get; give the same `large` in
 * a loop and release it at the end. */
HW_CHECKED hw_status hwi_payload_get(hw_store_txn *txn, uint32_t coll, uint32_t slot,
                                     hwi_buf *large, hw_bytes *payload, hw_error *err);

/* Counters of a collection (counts.c). A transaction that changes points raises them without keeping
 * others from doing the same at once. */
typedef struct hwi_counts {
    uint64_t version;     /* raised by one in every such transaction */
    uint64_t points;      /* live points */
    uint32_t slots_below; /* every slot in use is below this */
} hwi_counts;
HW_CHECKED hw_status hwi_counts_get(hw_store_txn *txn, uint32_t coll, hwi_counts *out,
                                    hw_error *err);
/* A new collection's. */
HW_CHECKED hw_status hwi_counts_create(hw_store_txn *txn, uint32_t coll, hw_error *err);
/* One more version, and so many points more or less. */
HW_CHECKED hw_status hwi_counts_add(hw_store_txn *txn, uint32_t coll, int64_t points,
                                    hw_error *err);

#define HWI_LANES 16u         /* numbered below this */
#define HWI_LANE_SLOTS 65536u /* what a lane takes at a time: no page is shared by two lanes */

/* A run of fresh slots that one process takes from, so that processes that insert at the same time
 * do not touch the same pages. Zero-initialise but for the number. */
typedef struct hwi_lane {
    uint32_t number;
    uint32_t next, end; /* slots next .. end - 1 are to be had */
    bool is_open, is_changed;
} hwi_lane;
/* The lane's next slot; HW_ELIMIT when there are no more. */
HW_CHECKED hw_status hwi_lane_take(hwi_lane *lane, hw_store_txn *txn, uint32_t coll, uint32_t *slot,
                                   hw_error *err);
HW_CHECKED hw_status hwi_lane_flush(hwi_lane *lane, hw_store_txn *txn, uint32_t coll,
                                    hw_error *err);

#endif
