/* shell.h - the parts of the shell: its state, dot commands, line editing. */
#ifndef CLI_SHELL_H
#define CLI_SHELL_H

#include "words.h"

typedef struct cli_shell {
    cli *c;    /* c->db is the open database */
    char *use; /* collection that commands take when none is named; NULL: none */
    bool explain, timer;
    bool done; /* .quit */
} cli_shell;

/* Runs one line and returns its exit code. */
int cli_shell_line(cli_shell *s, const char *line);

/* Runs a dot command ("words" includes its name). */
int cli_shell_dot(cli_shell *s, const cli_words *words);
/* Runs a subcommand with the database, and the collection in use, put in where they belong. */
int cli_shell_command(cli_shell *s, size_t count, char *const *words);
/* Subcommands that need a process of their own. */
bool cli_shell_lacks(const char *command);
/* Names of the dot commands in turn, NULL after the last. */
const char *cli_shell_dot_name(size_t i);

/* Reads lines with editing, history and completion until the end. */
int cli_shell_interact(cli_shell *s);

#endif
