/* words.h - a line of the shell into words. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "cli.h"

typedef struct cli_words {
    char *items[CLI_LIST_MAX + 1]; /* NULL after the last */
    size_t count;
    char *text; /* owns them */
} cli_words;

/* Splits at blanks; '...' takes everything as it is, "..." knows \" and \\, \x outside quotes is x.
 * False when a quote is not closed or there are too many words. */
bool cli_words_split(const char *line, cli_words *out);
void cli_words_release(cli_words *w);

#endif
