/* args.c - parsing and help from the option tables of args.h.
 *
 * getopt_long would parse, but it reports errors in its own words, keeps global state that the
 * shell would have to reset, and knows nothing of types; the loop here is shorter than working
 * around that. Accepted: --name VALUE, --name=VALUE, -k VALUE, -kVALUE, options before, between and
 * after operands, `--` to end them. A word of one dash alone is an operand (standard input).
 */
#include "args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

const cli_option cli_common_options[] = {
    {.name = "json",
     .type = CLI_FLAG,
     .at = offsetof(cli_common, json),
     .help = "print JSON for programs instead of tables for people"},
    {.name = "quiet",
     .letter = 'q',
     .type = CLI_FLAG,
     .at = offsetof(cli_common, quiet),
     .help = "print no progress and no remarks, only results"},
    {.name = "busy-timeout",
     .type = CLI_U32,
     .at = offsetof(cli_common, busy_ms),
     .value = "MS",
     .help = "how long to wait for another writer, in milliseconds (default 5000)"},
    {.name = "help",
     .letter = 'h',
     .type = CLI_FLAG,
     .at = offsetof(cli_common, help),
     .help = "print this help"},
    {0}};

/* ---- looking up */

static const cli_option *
find_in(const cli_option *options, const char *name, size_t bytes, char letter)
{
    for (; options && options->name; options++) {
        if (letter && options->letter == letter) return options;
        if (!letter && strlen(options->name) == bytes && memcmp(options->name, name, bytes) == 0)
            return options;
    }
    return NULL;
}

static const cli_option *
find_option(const cli_command *command, const char *name, size_t bytes, char letter)
{
    const cli_option *found = find_in(command->options, name, bytes, letter);
    return found ? found : find_in(cli_common_options, name, bytes, letter);
}

/* Edits (insert, drop, change, swap neighbours) between two short words, by the usual table. */
static unsigned
distance(const char *a, const char *b)
{
    enum { WORD_MAX = 40 };
    unsigned d[WORD_MAX + 1][WORD_MAX + 1];
    size_t n = strlen(a), m = strlen(b);

    if (n > WORD_MAX || m > WORD_MAX) return WORD_MAX;
    for (unsigned i = 0; i <= n; i++) d[i][0] = i;
    for (unsigned j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = HWI_MIN(best, HWI_MIN(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = HWI_MIN(best, d[i - 2][j - 2] + 1);
            d[i][j] = best;
        }
    }
    return d[n][m];
}

const char *
cli_nearest(const char *word, const char *(*next)(void *arg), void *arg)
{
    const char *candidate, *nearest = NULL;
    unsigned limit = strlen(word) <= 4 ? 1 : 2, best = limit + 1;

    while ((candidate = next(arg)) != NULL) {
        unsigned d = distance(word, candidate);
        if (d >= best) continue;
        best = d;
        nearest = candidate;
    }
    return nearest;
}

typedef struct option_names {
    const cli_option *lists[2];
    size_t list;
} option_names;

static const char *
next_option_name(void *arg)
{
    option_names *n = arg;

    while (n->list < 2) {
        const cli_option *o = n->lists[n->list];
        if (o && o->name) {
            n->lists[n->list]++;
            return o->name;
        }
        n->list++;
    }
    return NULL;
}

static bool
unknown_option(const cli_command *command, const char *word, size_t name_bytes)
{
    char name[64];
    option_names names = {{command->options, cli_common_options}, 0};
    const char *nearest = NULL;

    if (name_bytes < sizeof name && word[1] == '-') {
        memcpy(name, word + 2, name_bytes);
        name[name_bytes] = 0;
        nearest = cli_nearest(name, next_option_name, &names);
    }
    if (nearest)
        cli_complain("%s: unknown option %s, did you mean --%s?", command->name, word, nearest);
    else
        cli_complain("%s: unknown option %s; see `hashwood %s --help`", command->name, word,
                     command->name);
    return false;
}

/* ---- values */

static bool
is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);

    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        size_t bytes = strcspn(at, "|");
        if (bytes == n && memcmp(at, value, n) == 0) return true;
    }
    return false;
}

static bool
set_number(const cli_option *o, const char *value, void *place)
{
    uint64_t max = o->type == CLI_U32 ? UINT32_MAX : UINT64_MAX;
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(value, &end, 10);
    if (end == value || *end || value[0] == '-' || value[0] == '+' || errno || n > max) {
        cli_complain("--%s is `%s`, expected a whole number up to %llu", o->name, value,
                     (unsigned long long)max);
        return false;
    }
    if (o->type == CLI_U32)
        *(uint32_t *)place = (uint32_t)n;
    else
        *(uint64_t *)place = n;
    return true;
}

static bool
set_real(const cli_option *o, const char *value, double *place)
{
    char *end;

    *place = strtod(value, &end);
    if (end != value && *end == 0 && *place == *place) return true;
    cli_complain("--%s is `%s`, expected a number", o->name, value);
    return false;
}

static bool
add_item(cli_list *list, const char *name, const char *value)
{
    if (list->count == CLI_LIST_MAX) {
        cli_complain("more than %u of %s", CLI_LIST_MAX, name);
        return false;
    }
    list->items[list->count++] = value;
    return true;
}

static bool
set_value(const cli_option *o, const char *value, void *args)
{
    void *place = (char *)args + o->at;

    if (o->choices && !is_choice(o->choices, value)) {
        cli_complain("--%s is `%s`, expected one of %s", o->name, value, o->choices);
        return false;
    }
    switch (o->type) {
    case CLI_FLAG:
        *(bool *)place = true;
        return true;
    case CLI_TEXT:
        *(const char **)place = value;
        return true;
    case CLI_U32:
    case CLI_U64:
        return set_number(o, value, place);
    case CLI_REAL:
        return set_real(o, value, place);
    case CLI_LIST:
        return add_item(place, o->name, value);
    }
    return false;
}

/* ---- words */

/* One option word at argv[*at]; leaves *at at the last word it used. */
static bool
parse_option(const cli_command *command, int argc, char *const *argv, int *at, void *args)
{
    const char *word = argv[*at], *value = NULL;
    bool is_long = word[1] == '-';
    size_t name_bytes = is_long ? strcspn(word + 2, "=") : 1;
    const cli_option *o = find_option(command, word + 2, name_bytes, is_long ? 0 : word[1]);

    if (o == NULL) return unknown_option(command, word, name_bytes);
    if (is_long && word[2 + name_bytes] == '=') value = word + 2 + name_bytes + 1;
    if (!is_long && word[2] != 0) value = word + 2;
    if (o->type == CLI_FLAG && value) {
        cli_complain("%s: --%s takes no value", command->name, o->name);
        return false;
    }
    if (o->type != CLI_FLAG && value == NULL) {
        if (*at + 1 >= argc) {
            cli_complain("%s: --%s needs a value, %s", command->name, o->name, o->value);
            return false;
        }
        value = argv[++*at];
    }
    return set_value(o, o->type == CLI_FLAG ? "" : value, args);
}

static bool
take_operand(const cli_command *command, const cli_operand **next, const char *word, void *args)
{
    const cli_operand *o = *next;
    void *place;

    if (o == NULL || o->name == NULL) {
        cli_complain("%s: unexpected operand `%s`; see `hashwood %s --help`", command->name, word,
                     command->name);
        return false;
    }
    place = (char *)args + o->at;
    if (o->many) return add_item(place, o->name, word);
    *(const char **)place = word;
    (*next)++;
    return true;
}

static bool
has_all_operands(const cli_command *command, const cli_operand *next, const void *args)
{
    hwi_buf usage = {0};
    bool missing = next && next->name && !next->optional;

    if (missing && next->many)
        missing = ((const cli_list *)((const char *)args + next->at))->count == 0;
    if (!missing) return true;
    cli_usage(command, &usage);
    hwi_buf_add(&usage, "", 1);
    cli_complain("%s: missing %s\nusage: %s", command->name, next->name,
                 usage.failed ? "" : (char *)usage.data);
    hwi_buf_release(&usage);
    return false;
}

bool
cli_parse(const cli_command *command, int argc, char *const *argv, void *args)
{
    const cli_operand *next = command->operands;
    cli_common *common = args;
    bool options_ended = false;

    if (command->defaults)
        memcpy(args, command->defaults, command->args_bytes);
    else
        memset(args, 0, command->args_bytes);
    if (common->busy_ms == 0) common->busy_ms = 5000;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        bool ok = true;

        if (!options_ended && strcmp(word, "--") == 0)
            options_ended = true;
        else if (!options_ended && word[0] == '-' && word[1] != 0)
            ok = parse_option(command, argc, argv, &i, args);
        else
            ok = take_operand(command, &next, word, args);
        if (!ok) return false;
        if (common->help) return true;
    }
    return has_all_operands(command, next, args);
}

bool
cli_split(const char *text, char mark, char *key, size_t room, const char **value)
{
    const char *at = strchr(text, mark);
    size_t bytes = at ? (size_t)(at - text) : 0;

    if (at == NULL || bytes == 0 || bytes >= room) return false;
    memcpy(key, text, bytes);
    key[bytes] = 0;
    *value = at + 1;
    return true;
}

/* ---- help */

void
cli_usage(const cli_command *command, hwi_buf *out)
{
    hwi_buf_printf(out, "hashwood %s", command->name);
    for (const cli_operand *o = command->operands; o && o->name; o++) {
        hwi_buf_printf(out, o->optional ? " [%s]" : " %s", o->name);
        if (o->many) hwi_buf_text(out, "...");
    }
    hwi_buf_text(out, " [options]");
}

static void
start_line(hwi_buf *out, size_t indent, size_t *column)
{
    hwi_buf_printf(out, "\n%*s", (int)indent, "");
    *column = indent;
}

/* Breaks text at blanks so that lines end before `width`; lines after the first are indented. */
static void
write_wrapped(hwi_buf *out, const char *text, size_t indent, size_t column, size_t width)
{
    while (*text) {
        size_t word = strcspn(text, " \n");

        hwi_buf_add(out, text, word);
        column += word;
        text += word;
        if (text[0] == '\n' && text[1] == '\n') {
            hwi_buf_text(out, "\n");
            start_line(out, indent, &column);
            text += 2;
        } else if (*text) {
            text++;
            if (column + 1 + strcspn(text, " \n") >= width) {
                start_line(out, indent, &column);
            } else {
                hwi_buf_text(out, " ");
                column++;
            }
        }
    }
}

static void
write_examples(hwi_buf *out, const char *examples)
{
    hwi_buf_text(out, "\nExamples:\n");
    while (*examples) {
        size_t line = strcspn(examples, "\n");

        hwi_buf_printf(out, "  %.*s\n", (int)line, examples);
        examples += line + (examples[line] == '\n');
    }
}

static void
write_options(hwi_buf *out, const cli_option *o)
{
    enum { COLUMN = 30, WIDTH = 96 };

    for (; o && o->name; o++) {
        char left[128];
        int n = snprintf(left, sizeof left, "  %c%c%s --%s%s%s", o->letter ? '-' : ' ',
                         o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
                         o->value ? " " : "", o->value ? o->value : "");

        hwi_buf_text(out, left);
        if (n >= COLUMN - 1) hwi_buf_text(out, "\n"), n = 0;
        hwi_buf_printf(out, "%*s", COLUMN - n, "");
        write_wrapped(out, o->help, COLUMN, COLUMN, WIDTH);
        hwi_buf_text(out, "\n");
    }
}

void
cli_help(const cli_command *command, hwi_buf *out)
{
    hwi_buf_text(out, "Usage: ");
    cli_usage(command, out);
    hwi_buf_printf(out, "\n\n%c", command->summary[0] - 'a' + 'A');
    hwi_buf_printf(out, "%s.\n\n", command->summary + 1);
    write_wrapped(out, command->about, 0, 0, 96);
    hwi_buf_text(out, "\n\n");
    for (const cli_operand *o = command->operands; o && o->name; o++) {
        hwi_buf_printf(out, "  %-8s ", o->name);
        write_wrapped(out, o->help, 11, 11, 96);
        hwi_buf_text(out, "\n");
    }
    hwi_buf_text(out, "\nOptions:\n");
    write_options(out, command->options);
    write_options(out, cli_common_options);
    if (command->examples) write_examples(out, command->examples);
}
