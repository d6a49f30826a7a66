/* pix.h - payload indexes: which slots hold a value.
 *
 *   `pix, c, field, value, slot >> 16` -> a Roaring bitmap (portable serialisation) of the low 16
 * bits of slots
 *
 * value is encoded as a tuple element so that byte order is value order (numbers, dates), or a word
 * (text), or a geohash-like cell (geo). Field number 0 is the set of live slots itself, without a
 * value. Long keyword values are cut to a prefix plus a hash; what the key cannot decide the
 * payload test does (the resolve step then says it is not exact).
 */
#ifndef HWI_PIX_H
#define HWI_PIX_H

#include <roaring/roaring.h>

#include "records/conf.h"

typedef struct hwi_pix_writer hwi_pix_writer;

/* Collects the changes of one transaction; bitmaps touched are read once and written by flush. */
HW_CHECKED hw_status hwi_pix_writer_new(hw_store_txn *txn, uint32_t coll, const hwi_schema *schema,
                                        hwi_pix_writer **out, hw_error *err);
void hwi_pix_writer_free(hwi_pix_writer *w);

/* The payload of a live slot changes from `before` to `after`; empty bytes mean no payload. */
HW_CHECKED hw_status hwi_pix_change(hwi_pix_writer *w, uint32_t slot, hw_bytes before,
                                    hw_bytes after, hw_error *err);
/* The slot comes to life (true) or is freed (false). Payload entries are hwi_pix_change's business.
 */
HW_CHECKED hw_status hwi_pix_set_live(hwi_pix_writer *w, uint32_t slot, bool live, hw_error *err);
HW_CHECKED hw_status hwi_pix_flush(hwi_pix_writer *w, hw_error *err);

/* Adds entries of one field only, for building an index over existing points. */
HW_CHECKED hw_status hwi_pix_build_slot(hwi_pix_writer *w, const hwi_pix_field *field,
                                        uint32_t slot, hw_bytes payload, hw_error *err);

/* Removes every entry of a field (bounded: returns HW_OK with *more set while there is more to do
 * in another transaction). */
HW_CHECKED hw_status hwi_pix_drop(hw_store_txn *txn, uint32_t coll, uint32_t field_number,
                                  bool *more, hw_error *err);

/* All live slots; the caller frees it with roaring_bitmap_free. */
HW_CHECKED hw_status hwi_pix_live(hw_store_txn *txn, uint32_t coll, roaring_bitmap_t **out,
                                  hw_error *err);

/* Verifies the entries of every ready field against the payloads; reports through `damage` (may not
 * be NULL). */
HW_CHECKED hw_status hwi_pix_check(hw_store_txn *txn, uint32_t coll, const hwi_schema *schema,
                                   hw_damage_fn damage, void *arg, hw_error *err);

#endif
