/* facet_payload.h - values of a field read from payloads and counted: between facet.c and
 * facet_payload.c; nobody else needs it.
 */
#ifndef HWI_FACET_PAYLOAD_H
#define HWI_FACET_PAYLOAD_H

#include "payload/slots.h"
#include "records/conf.h"

/* A value and in how many payloads it was found. */
typedef struct hwi_tallied {
    size_t at,
        bytes;      /* in hwi_tally.texts: a text, 16 bytes of a uuid, or u64 bits of an integer */
    uint64_t count; /* 0 once it was taken */
} hwi_tallied;

/* Set field (and all_kinds), zero the rest; release when done. */
typedef struct hwi_tally {
    const hwi_pix_field *field;
    bool all_kinds;       /* else folded values only */
    const hwi_stop *stop; /* NULL: none */
    hwi_tallied *found;
    size_t count, room;
    size_t of_payload; /* those below belong to payloads before */
    hwi_buf texts;
} hwi_tally;
void hwi_tally_release(hwi_tally *t);

/* Reads the payloads of slots that are also in `among` (NULL: of all) and notes each value once a
 * payload. A uuid that is there in canonical form too is not folded. */
HW_CHECKED hw_status hwi_tally_read(hwi_tally *t, hw_store_txn *txn, uint32_t coll,
                                    const roaring_bitmap_t *slots, const hwi_slots *among,
                                    hw_error *err);
/* To be called once after reading: equal values become one. */
void hwi_tally_sort(hwi_tally *t);
/* The count of a value, which is then gone from the tally; 0 when it is not there. */
uint64_t hwi_tally_take(hwi_tally *t, hw_bytes text);
/* Value number i, text borrowed. */
uint64_t hwi_tally_at(const hwi_tally *t, size_t i, hw_bytes *text);

#endif
