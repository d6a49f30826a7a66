/* filter.h - filters: parse, test one payload, resolve to a set of slots through the payload
 * indexes.
 *
 * The language is Qdrant's (docs/filters.md): must / should / must_not / min_should of conditions:
 * match value / any / except / text / phrase, range over numbers and dates, is_empty, is_null,
 * has_id, values_count, nested, geo radius, box and polygon; keys are paths "a.b", "a[].b", "a[0]";
 * a condition on an array holds if any element does.
 */
#ifndef HWI_FILTER_H
#define HWI_FILTER_H

#include <roaring/roaring.h>

#include "records/conf.h"

typedef struct hwi_filter hwi_filter;

/* Parses and checks a filter; allocated in arena. HW_EINVAL names the place:
 * "filter.must[1].range.gte: expected a number". */
HW_CHECKED hw_status hwi_filter_parse(const char *json, size_t bytes, hwi_arena *arena,
                                      const hwi_filter **out, hw_error *err);

/* Whether a point matches: the definition of what a filter means. payload may be empty.
 * HW_ECORRUPT, HW_ENOMEM. */
HW_CHECKED hw_status hwi_filter_matches(const hwi_filter *filter, const hw_id *id, hw_bytes payload,
                                        bool *matches, hw_error *err);

/* What the payload indexes know: every match lies in `may`; every slot in `sure` matches. exact:
 * the two are equal. Ends of life: hwi_filter_resolved_release. */
typedef struct hwi_filter_resolved {
    roaring_bitmap_t *may;
    roaring_bitmap_t *sure;
    bool exact;
    char *warning; /* NULL, or one line naming the index to create */
} hwi_filter_resolved;

/* schema may list fields that are not ready: those are not used. slot_of tells has_id's ids
 * (HW_ENOTFOUND: absent). */
HW_CHECKED hw_status hwi_filter_resolve(const hwi_filter *filter, hw_store_txn *txn, uint32_t coll,
                                        const hwi_schema *schema, hwi_filter_resolved *out,
                                        hw_error *err);
void hwi_filter_resolved_release(hwi_filter_resolved *r);

/* A cheap guess of how many of `points` match, from counts of the indexes' keys, without building
 * bitmaps where that can be avoided; used for plans and explain. */
uint64_t hwi_filter_estimate(const hwi_filter *filter, hw_store_txn *txn, uint32_t coll,
                             const hwi_schema *schema, uint64_t points);

#endif
