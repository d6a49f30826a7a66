/* table.c - cells are collected first, since a column is as wide as its widest cell.
 *
 * Widths are those of the characters as a terminal shows them, by wcwidth in a UTF-8 locale, which
 * main() sets whatever the user's is: a table must not break because LANG is unset. Cells are
 * cleaned of control characters on the way in, so stored text cannot steer the terminal.
 */
#include "table.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

void
cli_table_begin_(cli_table *t, ...)
{
    va_list args;
    const char *heading;

    *t = (cli_table){0};
    va_start(args, t);
    while ((heading = va_arg(args, const char *)) != NULL) {
        HWI_ASSERT(t->columns < CLI_COLUMNS_MAX);
        t->headings[t->columns++] = heading;
    }
    va_end(args);
}

void
cli_table_bytes(cli_table *t, const char *text, size_t bytes)
{
    cli_add_plain(&t->cells, text, bytes);
    hwi_buf_add(&t->cells, "", 1);
    t->count++;
}

void
cli_table_text(cli_table *t, const char *text)
{
    cli_table_bytes(t, text, strlen(text));
}

void
cli_table_printf(cli_table *t, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_table_text(t, text);
}

/* One character: its bytes, and its columns in *width. Bytes that are no UTF-8 count as one. */
static size_t
step(const char *text, size_t bytes, size_t *width)
{
    wchar_t wide;
    mbstate_t state = {0};
    size_t n = mbrtowc(&wide, text, bytes, &state);
    int columns;

    *width = 1;
    if (n == 0 || n > bytes) return 1;
    columns = wcwidth(wide);
    *width = columns < 0 ? 1 : (size_t)columns;
    return n;
}

size_t
cli_text_width(const char *text, size_t bytes)
{
    size_t total = 0, width;

    for (size_t at = 0; at < bytes; total += width) at += step(text + at, bytes - at, &width);
    return total;
}

size_t
cli_text_fit(const char *text, size_t bytes, size_t width)
{
    size_t at = 0, used = 0;

    while (at < bytes) {
        size_t columns, n = step(text + at, bytes - at, &columns);
        if (used + columns > width) break;
        used += columns;
        at += n;
    }
    return at;
}

size_t
cli_terminal_columns(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO)) return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

/* ---- printing */

static bool
to_the_right(const char *heading)
{
    return heading[0] == '>';
}

static const char *
heading_text(const char *heading)
{
    return heading + to_the_right(heading);
}

static void
print_cell(const char *text, size_t width, bool right, bool last, size_t room)
{
    size_t bytes = strlen(text), columns = cli_text_width(text, bytes);
    size_t pad = columns < width ? width - columns : 0;

    if (right) printf("%*s", (int)pad, "");
    if (last && room > 3 && columns > room) {
        bytes = cli_text_fit(text, bytes, room - 3);
        printf("%.*s...", (int)bytes, text);
        return;
    }
    fwrite(text, 1, bytes, stdout);
    if (!right && !last) printf("%*s", (int)pad, "");
}

static void
measure(const cli_table *t, size_t *widths)
{
    const char *cell = (const char *)t->cells.data;

    for (size_t i = 0; i < t->columns; i++) widths[i] = strlen(heading_text(t->headings[i]));
    for (size_t i = 0; i < t->count; i++, cell += strlen(cell) + 1) {
        size_t *width = &widths[i % t->columns];
        *width = HWI_MAX(*width, cli_text_width(cell, strlen(cell)));
    }
}

static void
print_aligned(const cli_table *t)
{
    size_t widths[CLI_COLUMNS_MAX], before_last = 0, terminal = cli_terminal_columns(), room = 0;
    const char *cell = (const char *)t->cells.data;

    measure(t, widths);
    for (size_t i = 0; i + 1 < t->columns; i++) before_last += widths[i] + 2;
    if (terminal > before_last + 8) room = terminal - before_last;
    if (room) widths[t->columns - 1] = HWI_MIN(widths[t->columns - 1], room);
    for (size_t i = 0; i < t->columns; i++) {
        bool last = i + 1 == t->columns;
        print_cell(heading_text(t->headings[i]), widths[i], to_the_right(t->headings[i]), last, 0);
        fputs(last ? "\n" : "  ", stdout);
    }
    for (size_t i = 0; i < t->columns; i++) {
        for (size_t j = 0; j < widths[i]; j++) fputc('-', stdout);
        fputs(i + 1 == t->columns ? "\n" : "  ", stdout);
    }
    for (size_t i = 0; i < t->count; i++, cell += strlen(cell) + 1) {
        size_t column = i % t->columns;
        bool last = column + 1 == t->columns;
        print_cell(cell, widths[column], to_the_right(t->headings[column]), last, room);
        fputs(last ? "\n" : "  ", stdout);
    }
}

static void
print_csv_cell(const char *text)
{
    if (strpbrk(text, ",\"\n\r") == NULL) {
        fputs(text, stdout);
        return;
    }
    fputc('"', stdout);
    for (; *text; text++) {
        if (*text == '"') fputc('"', stdout);
        fputc(*text, stdout);
    }
    fputc('"', stdout);
}

static void
print_csv(const cli_table *t)
{
    const char *cell = (const char *)t->cells.data;

    for (size_t i = 0; i < t->columns; i++) {
        print_csv_cell(heading_text(t->headings[i]));
        fputs(i + 1 == t->columns ? "\n" : ",", stdout);
    }
    for (size_t i = 0; i < t->count; i++, cell += strlen(cell) + 1) {
        print_csv_cell(cell);
        fputs((i + 1) % t->columns == 0 ? "\n" : ",", stdout);
    }
}

void
cli_table_end(cli_table *t, const cli *c)
{
    cli_need(!t->cells.failed);
    HWI_ASSERT(t->columns > 0);
    HWI_ASSERT(t->columns <= CLI_COLUMNS_MAX);
    if (c->mode == CLI_MODE_CSV)
        print_csv(t);
    else
        print_aligned(t);
    hwi_buf_release(&t->cells);
}
