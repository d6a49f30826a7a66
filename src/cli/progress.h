/* progress.h - how far long work is: on standard error, when that is a terminal, after a second. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli.h"

typedef struct cli_progress {
    bool on;
    bool shown;
    char stage[32];
    uint64_t start_us; /* of the work */
    uint64_t stage_us; /* of this stage */
    uint64_t last_us;  /* when a line was drawn last */
} cli_progress;

void cli_progress_begin(cli_progress *p, const cli *c);
/* An hw_progress_fn: arg is the cli_progress. False once Ctrl-C was pressed. */
bool cli_progress_show(void *arg, const char *stage, uint64_t done, uint64_t total);
/* Wipes the line. */
void cli_progress_end(cli_progress *p);
/* Seconds since the beginning. */
double cli_progress_seconds(const cli_progress *p);

#endif
