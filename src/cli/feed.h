/* feed.h - the rows that `import` brings in: vectors of one or several files, joined with ids,
 * payloads and labels that lie in files beside them. */
#ifndef CLI_FEED_H
#define CLI_FEED_H

#include "cli.h"
#include "formats/formats.h"

typedef struct cli_feed_opts {
    const cli_list *files;
    const char *format;      /* NULL: told from the name */
    const char *ids;         /* FILE: an id a line */
    const char *payload;     /* FILE: a JSON object a line */
    const char *labels;      /* or FILE: idx or another format of one integer a row */
    const char *label_names; /* "boot,bag,...": names of labels 0, 1, ... */
    const char *using;       /* name of the vector that files without names hold */
    uint64_t first_id;       /* id of the first row when there are no ids */
    uint64_t limit;          /* rows to read in all; 0: all */
} cli_feed_opts;

typedef struct cli_feed cli_feed;

/* Opens all files, so that a missing one is noticed before anything was imported. */
hw_status cli_feed_open(const cli_feed_opts *opts, cli_feed **out, hw_error *err);
void cli_feed_close(cli_feed *feed);

/* Rows of all files together, 0 when that cannot be told. */
uint64_t cli_feed_total(const cli_feed *feed);

/* The next rows, each with an id; none at the end. Borrowed until the next call. */
hw_status cli_feed_next(cli_feed *feed, const hwi_row **rows, size_t *count, hw_error *err);

/* "FILE: row 17" for row i of the last batch, into out, which is returned. */
const char *cli_feed_place(const cli_feed *feed, size_t i, char *out, size_t room);

#endif
