/* table.h - rows under headings: aligned for people, or as CSV.
 *
 *     cli_table t;
 *     cli_table_begin(&t, "id", ">score", "payload");   a leading '>' aligns to the right
 *     cli_table_text(&t, "7"); ...                      one call per cell, row after row
 *     cli_table_end(&t, c);                             prints and releases
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli.h"

#define CLI_COLUMNS_MAX 16u

typedef struct cli_table {
    const char *headings[CLI_COLUMNS_MAX];
    size_t columns;
    hwi_buf cells; /* each NUL-terminated, row after row */
    size_t count;
} cli_table;

void cli_table_begin_(cli_table *t, ...) __attribute__((sentinel));
#define cli_table_begin(...) cli_table_begin_(__VA_ARGS__, (char *)NULL)

void cli_table_text(cli_table *t, const char *text);
void cli_table_bytes(cli_table *t, const char *text, size_t bytes);
void cli_table_printf(cli_table *t, const char *format, ...) HW_PRINTF(2, 3);

/* Prints (CSV when c->mode says so) and releases. On a terminal the last column is cut where the
 * line would wrap. */
void cli_table_end(cli_table *t, const cli *c);

/* Columns that text takes on a terminal: combining marks none, CJK and most pictographs two. */
size_t cli_text_width(const char *text, size_t bytes);
/* Bytes of text that fit `width` columns. */
size_t cli_text_fit(const char *text, size_t bytes, size_t width);
/* Columns of the terminal at standard output; 0 when it is none. */
size_t cli_terminal_columns(void);

#endif
