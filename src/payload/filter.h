/* filter.h - filters: parse, test one payload, resolve to a set of slots through the payload
 * indexes.
 *
 * The language is Qdrant's (docs/filters.md): must / should / must_not / min_should of conditions:
 * match value / any / except / prefix / text / text_any / phrase, range over numbers and dates,
 * is_empty, is_null, has_id, has_vector, values_count, nested, geo radius, box and polygon; keys are paths
 * "a.b", "a[].b", "a[0]"; a condition on an array holds if any element does.
 *
 * What a filter means is what hwi_filter_matches says of a payload; indexes only make it faster.
 */
#ifndef HWI_FILTER_H
#define HWI_FILTER_H

#include <roaring/roaring.h>

#include "records/conf.h"

/* Immutable; safe to share between threads. */
typedef struct hwi_filter hwi_filter;

#define HWI_FILTER_WORDS_MAX 256u /* words in one text, text_any or phrase */

/* Parses and checks a filter; allocated in arena, borrows nothing. HW_EINVAL names the place:
 * "filter.must[1].range.gte: expected a number", a misspelt key with the nearest known one,
 * malformed JSON with the byte; HW_ELIMIT above HW_FILTER_MAX. */
HW_CHECKED hw_status hwi_filter_parse(const char *json, size_t bytes, hwi_arena *arena,
                                      const hwi_filter **out, hw_error *err);

/* The same for a collection: conditions on the words of a field that has a text index follow its rules
 * (word_rules.h), ready or not. schema is read, not kept. */
HW_CHECKED hw_status hwi_filter_parse_for(const char *json, size_t bytes, const hwi_schema *schema,
                                          hwi_arena *arena, const hwi_filter **out, hw_error *err);

/* Whether a point matches: the definition of what a filter means. payload may be empty; so may be
 * the payload's JSON object. id may be NULL when no point is meant: has_id is then false.
 * HW_ECORRUPT when the payload is not JSON, HW_ENOMEM. */
HW_CHECKED hw_status hwi_filter_matches(const hwi_filter *filter, const hw_id *id, hw_bytes payload,
                                        bool *matches, hw_error *err);

/* The same for many payloads in turn without touching the heap: keeps its memory between calls. One
 * per thread; the filter is borrowed. */
typedef struct hwi_filter_tester hwi_filter_tester;
HW_CHECKED hw_status hwi_filter_tester_new(const hwi_filter *filter, hwi_filter_tester **out,
                                           hw_error *err);
void hwi_filter_tester_free(hwi_filter_tester *t);
HW_CHECKED hw_status hwi_filter_test(hwi_filter_tester *t, const hw_id *id, hw_bytes payload,
                                     bool *matches, hw_error *err);

/* The vectors that has_vector asks for, each name once; returns how many. Who tests or resolves such a
 * filter brings the slots that have them, in this order (`having`, borrowed): filters know payloads
 * and ids, but not vectors. NULL: no point has any. */
size_t hwi_filter_vectors(const hwi_filter *filter, const char *const **names);
/* hwi_filter_test of a slot, for filters that ask for vectors. */
HW_CHECKED hw_status hwi_filter_test_slot(hwi_filter_tester *t, uint32_t slot,
                                          roaring_bitmap_t *const *having, const hw_id *id,
                                          hw_bytes payload, bool *matches, hw_error *err);

/* Whether the filter looks at ids at all (has_id): if not, a tester needs none and id may be NULL.
 */
bool hwi_filter_needs_id(const hwi_filter *filter);

/* What the payload indexes know: every match lies in `may`; every slot in `sure` matches. exact:
 * the two are equal (two bitmaps still). Ends of life: hwi_filter_resolved_release. */
typedef struct hwi_filter_resolved {
    roaring_bitmap_t *may;
    roaring_bitmap_t *sure;
    bool exact;
    char *warning; /* NULL, or one line naming the index to create; hwi_alloc'ed */
} hwi_filter_resolved;

/* conf's schema may list fields that are not ready: those are not used. having: the slots that have the
 * vectors of hwi_filter_vectors. HW_ECORRUPT, HW_ENOMEM, HW_EIO. */
HW_CHECKED hw_status hwi_filter_resolve(const hwi_filter *filter, hw_store_txn *txn,
                                        const hwi_conf *conf, roaring_bitmap_t *const *having,
                                        hwi_filter_resolved *out, hw_error *err);
void hwi_filter_resolved_release(hwi_filter_resolved *r);

/* A cheap guess of how many of `points` match, from counts of the indexes' keys, without building
 * bitmaps; used for plans and explain. Conditions are taken to be independent; what no index knows
 * counts as a third. */
uint64_t hwi_filter_estimate(const hwi_filter *filter, hw_store_txn *txn, uint32_t coll,
                             const hwi_schema *schema, uint64_t points);

#endif
