/* points.h - ids and vectors from options, points printed. */
#ifndef CLI_POINTS_H
#define CLI_POINTS_H

#include "cli.h"

/* ---- in */

/* Vectors of one point as --vector gives them: "[1, 2]", {"image": [1, 2], "text": [3]}, or @FILE
 * holding either. */
typedef struct cli_vectors {
    hw_vector items[HW_VECTORS_MAX];
    size_t count;
    hwi_arena arena;
} cli_vectors;
hw_status cli_vectors_parse(const char *value, cli_vectors *out, hw_error *err);
void cli_vectors_release(cli_vectors *v);

/* Ids of operands or --id options; text is borrowed from the list. */
hw_status cli_ids_parse(const cli_list *list, hw_id *out, hw_error *err);

/* "payload,vector" or "none" as HW_WITH_* bits. */
hw_status cli_with_parse(const char *value, uint32_t *with, hw_error *err);

/* Calls fn for every page of points that match filter (NULL: all), in id order, until it fails. fn
 * may change or delete the points of its page. */
typedef hw_status (*cli_page_fn)(void *arg, const hw_result *page, hw_error *err);
hw_status cli_each_page(hw_collection *c, const char *filter, uint32_t with, uint32_t page_rows,
                        cli_page_fn fn, void *arg, hw_error *err);

/* ---- out */

/* How results of one collection are shown. */
typedef struct cli_show {
    uint32_t with;
    char **names; /* of vectors; needed with HW_WITH_VECTOR */
    size_t name_count;
} cli_show;

/* {"id": ..., "score": ..., "payload": ..., "vector": ...} */
void cli_add_point(hwi_buf *b, const cli_show *show, const hw_result *r, size_t i);
/* Rows of a table, or [{...}, ...] into b in JSON mode. */
void cli_add_points(hwi_buf *b, const cli_show *show, const hw_result *r);
void cli_print_points(const cli *c, const cli_show *show, const hw_result *r);

#endif
