/* check.h - what the parts of hw_db_check share: the snapshot they read and where they report.
 */
#ifndef HWI_CHECK_H
#define HWI_CHECK_H

#include <roaring/roaring.h>

#include "api/api.h"

typedef struct hwi_check {
    hw_store_txn *txn;
    hwi_progress progress;
    hw_damage_fn damage; /* may be NULL */
    void *arg;
    uint64_t found;         /* damages so far */
    const char *collection; /* being checked, for `where`; NULL: none */
    hw_error *err;
} hwi_check;

/* One damage, counted and passed on with the collection's name in front. Also a hw_damage_fn. */
void hwi_check_report(void *check, const char *where, const char *what);
void hwi_check_found(hwi_check *c, const char *where, const char *format, ...) HW_PRINTF(3, 4);

/* HW_ECORRUPT becomes a damage at `where` and HW_OK; anything else is passed on. */
HW_CHECKED hw_status hwi_check_take(hwi_check *c, const char *where, hw_status st,
                                    const hw_error *detail);

/* Aliases lead to collections, and are not called like one (aliases.c). */
HW_CHECKED hw_status hwi_check_aliases(hwi_check *c);

/* Everything a collection holds. HW_OK also when damages were found. */
HW_CHECKED hw_status hwi_check_collection(hwi_check *c, const char *name, uint32_t coll);

/* check_ragged.c: the vectors of a multi or sparse field, and what is kept beside them. */
HW_CHECKED hw_status hwi_check_ragged(hwi_check *c, uint32_t coll, const hwi_field *field,
                                      uint32_t slots_below, const roaring_bitmap_t *live,
                                      hwi_page_table *slots);

#endif
