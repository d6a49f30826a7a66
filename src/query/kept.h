/* kept.h - filters that were resolved before, kept with a view: what the payload indexes say of a filter
 * is the same for as long as the view lasts, and most filters are asked again and again.
 */
#ifndef HWI_KEPT_H
#define HWI_KEPT_H

#include "index/index.h"
#include "payload/filter.h"

/* A filter's sets of slots. Immutable, shared by reference count. */
typedef struct hwi_kept {
    atomic_int refs;
    hwi_filter_resolved resolved;
    uint64_t *bits; /* of resolved.may, as searches want it (index.h) */
    uint32_t bits_below;
    hwi_kept_leaves *leaves; /* of these bits; for searches after the first */
    size_t memory;           /* bytes, about: kept.c's; without leaves, and */
    size_t counted;          /* with leaves, as its keeper knows */
    uint64_t used;           /* kept.c's: when it was last asked for */
    size_t json_bytes;
    char json[];
} hwi_kept;

/* Takes resolved over, on failure too. HW_ENOMEM. */
HW_CHECKED hw_status hwi_kept_new(const char *json, size_t bytes, hwi_filter_resolved *resolved,
                                  uint32_t slots_below, hwi_kept **out, hw_error *err);
void hwi_kept_unref(hwi_kept *k); /* NULL is fine */

/* The filters kept with one view; safe to share. */
typedef struct hwi_keeper hwi_keeper;
HW_CHECKED hw_status hwi_keeper_new(hwi_keeper **out, hw_error *err);
void hwi_keeper_free(hwi_keeper *keeper); /* NULL is fine */

/* The filter of this text, a reference of the caller's; NULL when it is not kept, or keeper is NULL. */
hwi_kept *hwi_keeper_find(hwi_keeper *keeper, const char *json, size_t bytes);
/* Keeps a filter, with a reference of its own, in place of those asked for longest ago. */
void hwi_keeper_add(hwi_keeper *keeper, hwi_kept *k);

#endif
