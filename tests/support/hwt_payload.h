/* hwt_payload.h - random payloads and filters that have something to do with each other, and a
 * small collection to put payloads into: ids, records and payload indexes, no vectors.
 */
#ifndef HWT_PAYLOAD_H
#define HWT_PAYLOAD_H

#include "support/hwt_store.h"

#include "payload/filter.h"
#include "payload/pix.h"
#include "records/records.h"

/* Indexes of every type, some on paths through arrays, some on fields that hold other types. */
extern const hwi_schema hwt_payload_schema;

/* Appends a random payload; about one in ten is empty. */
void hwt_payload_random(hwi_rng *rng, hwi_buf *out);
/* Appends a random filter; depth bounds how far filters lie inside filters. ids_below: has_id asks
 * for ids below it; 0: no has_id. */
void hwt_filter_random(hwi_rng *rng, unsigned depth, uint64_t ids_below, hwi_buf *out);

/* Slots with payloads, mirrored in a store. */
typedef struct hwt_points {
    hw_store *store;
    const hwi_schema *schema;
    uint32_t coll;
    size_t count;     /* places */
    uint32_t stride;  /* slot of place i is i * stride */
    bool *live;       /* by place */
    hwi_buf *payload; /* by place */
} hwt_points;

void hwt_points_init(hwt_points *p, hw_store *store, const hwi_schema *schema, size_t count,
                     uint32_t stride);
void hwt_points_release(hwt_points *p);
/* One transaction: `changes` random upserts and deletes, with payloads from hwt_payload_random. */
void hwt_points_change(hwt_points *p, hwi_rng *rng, size_t changes);
/* Puts one payload (NULL: deletes the point) in a transaction of its own. */
void hwt_points_put(hwt_points *p, size_t place, const char *payload);

#endif
