/* filter_lookup.h - one condition against one index: between filter_lookup.c, filter_resolve.c and
 * filter_estimate.c; nobody else needs it.
 */
#ifndef HWI_FILTER_LOOKUP_H
#define HWI_FILTER_LOOKUP_H

#include "payload/filter_tree.h"
#include "payload/pix_parts.h"

/* What an index says of a condition: slots that match for sure, and others that may. Gathered, or
 * only counted. Zero-initialise with the first line; release when done. */
typedef struct hwi_lookup {
    hw_store_txn *txn;
    uint32_t coll;
    const hwi_pix_field *field;
    bool counting;
    hwi_slots sure, maybe;
    uint64_t sure_count, maybe_count; /* counting: slots in two keys count twice */
    bool beyond;                      /* the condition also asks for what the index cannot hold */
} hwi_lookup;
void hwi_lookup_release(hwi_lookup *l);

/* Conditions that are unions: ANY, PREFIX, TEXT_ANY, RANGE, DATES, GEO, and TEXT and PHRASE of one
 * word. What the index does not speak for becomes "maybe" as far as such elements exist. */
HW_CHECKED hw_status hwi_lookup_union(hwi_lookup *l, const hwi_cond *cond, hw_error *err);
/* Slots with a property, or with a word of a text index, into sure. */
HW_CHECKED hw_status hwi_lookup_kind(hwi_lookup *l, hwi_pix_kind kind, hw_error *err);
HW_CHECKED hw_status hwi_lookup_word(hwi_lookup *l, hwi_text word, hw_error *err);

/* Whether this type of index is meant for this condition (and not only knows a little about it). */
bool hwi_lookup_serves(hwi_pix_type type, const hwi_cond *cond);
/* The type to create for a condition. */
hwi_pix_type hwi_lookup_wanted(const hwi_cond *cond);

/* Canonical paths of the schema's fields, NULL for those not ready; in arena. */
HW_CHECKED hw_status hwi_lookup_paths(const hwi_schema *schema, hwi_arena *arena, const char ***out,
                                      hw_error *err);
/* Path of a condition below the arrays of the `nested` around it ("" for none); in arena. */
const char *hwi_lookup_path_text(hwi_arena *arena, const char *around, const hwi_path *path);

#endif
