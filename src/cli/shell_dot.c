/* shell_dot.c - the dot commands: settings of the shell, and short names of common commands. */
#include "shell.h"

typedef struct dot_command {
    const char *name, *operands, *help;
    int (*run)(cli_shell *s, const cli_words *w);
} dot_command;

static int
usage(const cli_words *w, const char *expected)
{
    cli_complain("%s: expected %s", w->items[0], expected);
    return CLI_USAGE;
}

/* Runs `verb`, then the words after the dot command's name. */
static int
forward(cli_shell *s, const char *verb, const cli_words *w)
{
    char *words[CLI_LIST_MAX + 1];

    words[0] = (char *)verb;
    for (size_t i = 1; i < w->count; i++) words[i] = w->items[i];
    return cli_shell_command(s, w->count, words);
}

static int
dot_collections(cli_shell *s, const cli_words *w)
{
    return forward(s, "collections", w);
}

static int
dot_schema(cli_shell *s, const cli_words *w)
{
    return forward(s, "describe", w);
}

static int
dot_use(cli_shell *s, const cli_words *w)
{
    hw_collection *coll;
    hw_error err = {0};
    size_t bytes;

    if (w->count > 2) return usage(w, "a collection, or nothing to use none");
    if (w->count == 2) {
        if (hw_collection_open(s->c->db, w->items[1], &coll, &err) != HW_OK) return cli_fail(&err);
        hw_collection_close(coll);
    }
    hwi_free(s->use);
    s->use = NULL;
    if (w->count == 1) return CLI_OK;
    bytes = strlen(w->items[1]) + 1;
    s->use = hwi_alloc(bytes);
    cli_need(s->use != NULL);
    memcpy(s->use, w->items[1], bytes);
    return CLI_OK;
}

static int
dot_import(cli_shell *s, const cli_words *w)
{
    return forward(s, "import", w);
}

static int
dot_export(cli_shell *s, const cli_words *w)
{
    return forward(s, "export", w);
}

static int
set_switch(bool *place, const cli_words *w)
{
    if (w->count == 2 && strcmp(w->items[1], "on") == 0)
        *place = true;
    else if (w->count == 2 && strcmp(w->items[1], "off") == 0)
        *place = false;
    else
        return usage(w, "on or off");
    return CLI_OK;
}

static int
dot_explain(cli_shell *s, const cli_words *w)
{
    return set_switch(&s->explain, w);
}

static int
dot_timer(cli_shell *s, const cli_words *w)
{
    return set_switch(&s->timer, w);
}

static int
dot_mode(cli_shell *s, const cli_words *w)
{
    if (w->count == 2 && strcmp(w->items[1], "table") == 0)
        s->c->mode = CLI_MODE_TABLE;
    else if (w->count == 2 && strcmp(w->items[1], "json") == 0)
        s->c->mode = CLI_MODE_JSON;
    else if (w->count == 2 && strcmp(w->items[1], "csv") == 0)
        s->c->mode = CLI_MODE_CSV;
    else
        return usage(w, "table, json or csv");
    return CLI_OK;
}

static int
dot_quit(cli_shell *s, const cli_words *w)
{
    (void)w;
    s->done = true;
    return CLI_OK;
}

static int dot_help(cli_shell *s, const cli_words *w);

static const dot_command dots[] = {
    {".collections", "", "list the collections", dot_collections},
    {".schema", "[COLL]", "settings and counts of a collection", dot_schema},
    {".use", "[COLL]", "the collection that commands take when none is named", dot_use},
    {".import", "COLL FILE...", "bring in a file; options as `import`", dot_import},
    {".export", "COLL FILE", "write a file; options as `export`", dot_export},
    {".explain", "on|off", "let every search tell how it was done", dot_explain},
    {".mode", "table|json|csv", "how results are printed", dot_mode},
    {".timer", "on|off", "print how long each command took", dot_timer},
    {".help", "", "this list", dot_help},
    {".quit", "", "leave; so does Ctrl-D", dot_quit},
    {".exit", "", "the same", dot_quit},
};

const char *
cli_shell_dot_name(size_t i)
{
    return i < HWI_COUNT(dots) ? dots[i].name : NULL;
}

static int
dot_help(cli_shell *s, const cli_words *w)
{
    (void)s, (void)w;
    for (size_t i = 0; i < HWI_COUNT(dots); i++)
        printf("  %-13s %-15s %s\n", dots[i].name, dots[i].operands, dots[i].help);
    puts("\nand the commands of hashwood, without the database's name:");
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_shell_lacks(cli_commands[i]->name))
            printf("  %-13s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    return CLI_OK;
}

static const char *
next_dot_name(void *arg)
{
    size_t *i = arg;
    return cli_shell_dot_name((*i)++);
}

int
cli_shell_dot(cli_shell *s, const cli_words *w)
{
    size_t at = 0;
    const char *nearest;

    for (size_t i = 0; i < HWI_COUNT(dots); i++)
        if (strcmp(dots[i].name, w->items[0]) == 0) return dots[i].run(s, w);
    nearest = cli_nearest(w->items[0], next_dot_name, &at);
    if (nearest)
        cli_complain("unknown command `%s`, did you mean `%s`?", w->items[0], nearest);
    else
        cli_complain("unknown command `%s`; try .help", w->items[0]);
    return CLI_USAGE;
}
