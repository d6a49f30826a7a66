/* words.c - quoting as in a POSIX shell, without its expansions: what people type out of habit
 * around JSON works. */
#include "words.h"

#include <ctype.h>

/* Copies one word from *at to *out; false when a quote stays open. */
static bool
take_word(const char **at, char **out)
{
    char quote = 0;

    for (; **at && (quote || !isspace((unsigned char)**at)); (*at)++) {
        char c = **at;

        if (!quote && (c == '\'' || c == '"')) {
            quote = c;
        } else if (quote && c == quote) {
            quote = 0;
        } else if (c == '\\' && (*at)[1] &&
                   (quote == 0 || (quote == '"' && strchr("\"\\", (*at)[1])))) {
            *(*out)++ = *++*at;
        } else {
            *(*out)++ = c;
        }
    }
    *(*out)++ = 0;
    return quote == 0;
}

bool
cli_words_split(const char *line, cli_words *out)
{
    char *to;

    *out = (cli_words){.text = hwi_alloc(strlen(line) + 2)};
    cli_need(out->text != NULL);
    to = out->text;
    for (;;) {
        while (isspace((unsigned char)*line)) line++;
        if (*line == 0) return true;
        if (out->count == CLI_LIST_MAX) break;
        out->items[out->count++] = to;
        if (!take_word(&line, &to)) break;
    }
    cli_words_release(out);
    return false;
}

void
cli_words_release(cli_words *w)
{
    hwi_free(w->text);
    *w = (cli_words){0};
}
