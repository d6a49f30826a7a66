/* pix.h - payload indexes: which slots hold a value.
 *
 *   `pix, c, field, kind, value, slot >> 16` -> a Roaring bitmap (portable serialisation) of slots
 *   `pix, c, field, page, code, slot`        -> up to some 300 slots in order of their value, or a
 *                                               bitmap of the slots that share one
 *
 * Bitmaps serve keyword, uuid, bool and text (by word); ordered pages serve integer, float,
 * datetime and geo. Field number 0 is the set of live slots itself. Long keyword values are cut to
 * a prefix plus a hash; what the key cannot decide the payload test does (the resolve step then
 * says it is not exact). docs/format.md has the bytes, docs/filters.md what serves which condition.
 */
#ifndef HWI_PIX_H
#define HWI_PIX_H

#include <roaring/roaring.h>

#include "records/conf.h"

typedef struct hwi_pix_writer hwi_pix_writer;

/* Collects the changes of one transaction; nothing is read or written before flush, which reads and
 * writes each bitmap or page touched once. txn and schema are borrowed. One thread at a time. */
HW_CHECKED hw_status hwi_pix_writer_new(hw_store_txn *txn, uint32_t coll, const hwi_schema *schema,
                                        hwi_pix_writer **out, hw_error *err);
void hwi_pix_writer_free(hwi_pix_writer *w);

/* The payload of a live slot changes from `before` to `after`; empty bytes mean no payload. Every
 * field of the schema is kept right, ready or not. HW_ECORRUPT when one of them is not JSON. */
HW_CHECKED hw_status hwi_pix_change(hwi_pix_writer *w, uint32_t slot, hw_bytes before,
                                    hw_bytes after, hw_error *err);
/* The slot comes to life (true) or is freed (false). Payload entries are hwi_pix_change's business.
 */
HW_CHECKED hw_status hwi_pix_set_live(hwi_pix_writer *w, uint32_t slot, bool live, hw_error *err);
/* Writes what was collected and forgets it; the writer may go on collecting. */
HW_CHECKED hw_status hwi_pix_flush(hwi_pix_writer *w, hw_error *err);

/* Adds entries of one field only, for building an index over existing points. The field is one of
 * the writer's schema, by number. Adding what is there already changes nothing. */
HW_CHECKED hw_status hwi_pix_build_slot(hwi_pix_writer *w, const hwi_pix_field *field,
                                        uint32_t slot, hw_bytes payload, hw_error *err);

/* Removes every entry of a field (bounded: returns HW_OK with *more set while there is more to do
 * in another transaction). */
HW_CHECKED hw_status hwi_pix_drop(hw_store_txn *txn, uint32_t coll, uint32_t field_number,
                                  bool *more, hw_error *err);

/* Points that have a value the field's index speaks for. Cost: reads headers alone. */
HW_CHECKED hw_status hwi_pix_points(hw_store_txn *txn, uint32_t coll, uint32_t field_number,
                                    uint64_t *points, hw_error *err);

/* All live slots; the caller frees it with roaring_bitmap_free. */
HW_CHECKED hw_status hwi_pix_live(hw_store_txn *txn, uint32_t coll, roaring_bitmap_t **out,
                                  hw_error *err);

/* Verifies the entries of every ready field against the payloads of the live slots; reports through
 * `damage` (may not be NULL). HW_OK also when damage was found; errors only when the check itself
 * could not go on. */
HW_CHECKED hw_status hwi_pix_check(hw_store_txn *txn, uint32_t coll, const hwi_schema *schema,
                                   hw_damage_fn damage, void *arg, hw_error *err);

#endif
