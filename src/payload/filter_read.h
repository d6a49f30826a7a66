/* filter_read.h - between filter_parse.c (clauses) and filter_cond.c (single conditions); nobody
 * else needs it.
 */
#ifndef HWI_FILTER_READ_H
#define HWI_FILTER_READ_H

#include "payload/filter_tree.h"

/* Where the parser is, for messages: "filter.must[1].range". */
typedef struct hwi_filter_reader {
    hwi_arena *arena;
    hw_error *err;
    const hwi_schema *schema; /* NULL: none is known */
    const char *around;       /* path of the arrays around, "" outside `nested` */
    bool needs_id;
    const char **vectors; /* room for HW_VECTORS_MAX names that has_vector asks for */
    size_t vector_count;
    unsigned nested;    /* depth of `nested` */
    hwi_pick_key *keys; /* room for HWI_FILTER_KEYS_MAX */
    size_t key_count;   /* one more: too many */
    size_t place_bytes;
    char place[480];
} hwi_filter_reader;

/* Appends to the place; give the mark back to leave. */
size_t hwi_filter_enter(hwi_filter_reader *r, const char *format, ...) HW_PRINTF(2, 3);
void hwi_filter_leave(hwi_filter_reader *r, size_t mark);

/* HW_EINVAL "place: expected WHAT, found ...". */
hw_status hwi_filter_expected(hwi_filter_reader *r, const char *what, const hwi_json *found);
/* HW_EINVAL "place: ...". */
hw_status hwi_filter_wrong(hwi_filter_reader *r, const char *format, ...) HW_PRINTF(2, 3);
void *hwi_filter_alloc(hwi_filter_reader *r, size_t count, size_t bytes, hw_status *st);

/* Sorts an object's members by name: out[i] is the member names[i], NULL when absent or null. An
 * unknown member is HW_EINVAL with the nearest name. */
HW_CHECKED hw_status hwi_filter_members(hwi_filter_reader *r, const hwi_json *object,
                                        const char *const *names, size_t count,
                                        const hwi_json **out);

/* {"key": path, one test}, with its members already sorted: names and order as here. */
enum {
    HWI_AT_KEY,
    HWI_AT_MATCH,
    HWI_AT_RANGE,
    HWI_AT_GEO_BOX,
    HWI_AT_GEO_RADIUS,
    HWI_AT_GEO_POLYGON,
    HWI_AT_COUNT,
    HWI_AT_EMPTY,
    HWI_AT_NULL,
    HWI_AT_FIELD_END
};
HW_CHECKED hw_status hwi_filter_field(hwi_filter_reader *r, const hwi_json *const *members,
                                      const char *const *names, hwi_cond *out);
HW_CHECKED hw_status hwi_filter_path(hwi_filter_reader *r, const hwi_json *key,
                                     const hwi_path **out);
HW_CHECKED hw_status hwi_filter_slice(hwi_filter_reader *r, const hwi_json *value, hwi_cond *out);
HW_CHECKED hw_status hwi_filter_vector(hwi_filter_reader *r, const hwi_json *name, hwi_cond *out);
HW_CHECKED hw_status hwi_filter_ids(hwi_filter_reader *r, const hwi_json *list, hwi_cond *out);

#endif
