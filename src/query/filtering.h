/* filtering.h - which slots may be answers of one query: its filter, and the ids it is limited to.
 */
#ifndef HWI_FILTERING_H
#define HWI_FILTERING_H

#include "query/kept.h"
#include "query/view.h"

#define HWI_AMONG_MAX 1000000u /* ids a search may be limited to */

/* A filter on its way through a query. One thread at a time. */
typedef struct hwi_filtering {
    hwi_arena arena;
    const hwi_filter *filter; /* NULL: none */
    hwi_kept *kept;           /* what the indexes say of it */
    char *warning; /* NULL, or one line naming the index to create; whoever takes it sets NULL */
    hwi_filter_tester *tester;
    roaring_bitmap_t **having; /* slots that have the vectors the filter asks for; in arena */
    size_t having_count;
    roaring_bitmap_t *among; /* slots of the ids that compete; NULL: all do */
    hwi_buf large;           /* payloads that take several values */
    hwi_view *view;
    hwi_accept accept;
    hw_status status; /* of a test that failed: it cannot say so itself */
    hw_error error;
    uint64_t tested;
} hwi_filtering;

/* json NULL: no filter. among NULL: no limit to ids; ids that are not there do not count. Release
 * also after a failure. */
HW_CHECKED hw_status hwi_filtering_open(hwi_filtering *f, hwi_view *view, const char *json,
                                        size_t bytes, const hw_id *among, size_t among_count,
                                        hw_error *err);
void hwi_filtering_release(hwi_filtering *f);

/* What a search is to ask; NULL when every slot is accepted. */
static inline const hwi_accept *
hwi_filtering_accept(const hwi_filtering *f)
{
    return f->filter || f->among ? &f->accept : NULL;
}

/* Whether a slot matches, through the payload indexes where they know. */
HW_CHECKED hw_status hwi_filtering_matches(hwi_filtering *f, uint32_t slot, bool *yes,
                                           hw_error *err);

/* Whether a slot that the indexes left open matches: reads its payload. False also after a failure,
 * which f->status then holds. */
bool hwi_filtering_test(hwi_filtering *f, uint32_t slot);

/* The status of a search, or of a payload test that failed within it. */
HW_CHECKED hw_status hwi_filtering_status(const hwi_filtering *f, hw_status st, hw_error *err);

#endif
