/* search.h - one query against one view: check, plan, filter, search the index.
 */
#ifndef HWI_SEARCH_H
#define HWI_SEARCH_H

#include "payload/filter.h"
#include "query/view.h"

typedef struct hwi_answer {
    hwi_hit *hits; /* hwi_alloc'ed, best first, offset already skipped */
    uint32_t count;
    hwi_metric metric;
    double recall;
    char *warning;   /* NULL or hwi_alloc'ed */
    hwi_buf explain; /* empty unless asked for */
    hwi_trace trace;
    uint64_t ns_filter; /* until the payload indexes had answered; 0 without a filter */
} hwi_answer;
void hwi_answer_release(hwi_answer *a);

/* Contract of hw_collection_search. */
HW_CHECKED hw_status hwi_search(hwi_view *view, const hw_query *query, hwi_answer *out,
                                hw_error *err);
/* Contract of hw_collection_why. */
HW_CHECKED hw_status hwi_why(hwi_view *view, const hw_query *query, const hw_id *id, hwi_buf *json,
                             hw_error *err);

/* The slots that match a filter (NULL: all live ones), every payload tested that needs to be; free
 * with roaring_bitmap_free. For count, scroll, delete by filter. *warning may be set as in
 * hwi_answer. */
HW_CHECKED hw_status hwi_match(hwi_view *view, const char *filter, size_t filter_bytes,
                               roaring_bitmap_t **out, char **warning, hw_error *err);

#endif
