/* facet.h - how many points have each value of an indexed field: for hw_collection_facet.
 */
#ifndef HWI_FACET_H
#define HWI_FACET_H

#include "payload/pix.h"

#define HWI_FACET_LIMIT_MAX 1000000u

/* Whether an index of this type can count values: keyword, integer, bool, uuid. */
bool hwi_pix_has_facets(hwi_pix_type type);

/* Appends [{"value": ..., "count": n}, ...] to out: the `limit` most frequent values of a ready
 * field among some slots (NULL: all), equal counts by value. A slot counts once for each of its
 * values. Cost: reads the whole index of the field, unless `stop` says enough. HW_ECORRUPT, HW_ENOMEM, HW_EIO. */
HW_CHECKED hw_status hwi_pix_facet(hw_store_txn *txn, uint32_t coll, const hwi_pix_field *field,
                                   const roaring_bitmap_t *among, uint32_t limit,
                                   const hwi_stop *stop, hwi_buf *out, hw_error *err);

#endif
