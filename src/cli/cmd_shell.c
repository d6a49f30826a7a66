/* cmd_shell.c - shell: the subcommands at a prompt, with the database held open.
 *
 * A line is a dot command or a subcommand as one would type it after `hashwood`, without the name
 * of the database, and without the collection's once `.use` chose one. From -c and from standard
 * input that is no terminal, the first line that fails ends the shell with its exit code.
 */
#include "commands.h"
#include "shell.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct shell_args {
    cli_common common;
    const char *db;
    cli_list commands;
    bool read_only;
} shell_args;

/* ---- subcommands */

static bool
is_collection(const cli_shell *s, const char *name)
{
    char **names;
    size_t count;
    bool found = false;

    if (hw_collection_list(s->c->db, &names, &count, NULL) != HW_OK) return false;
    for (size_t i = 0; i < count; i++) found |= strcmp(names[i], name) == 0;
    hw_free(names);
    return found;
}

static bool
takes_database(const cli_command *command)
{
    return command->operands && command->operands[0].name &&
           strcmp(command->operands[0].name, "DB") == 0;
}

static bool
takes_collection(const cli_command *command)
{
    const cli_operand *o = command->operands;

    return takes_database(command) && o[1].name && strcmp(o[1].name, "COLL") == 0;
}

int
cli_shell_command(cli_shell *s, size_t count, char *const *words)
{
    const char *argv[CLI_LIST_MAX + 4];
    const cli_command *command = cli_find_command(words[0]);
    size_t n = 0, rest = 1;

    argv[n++] = words[0];
    if (command && takes_database(command)) {
        argv[n++] = s->c->db_path;
        if (takes_collection(command) && s->use && !(count > 1 && is_collection(s, words[1])))
            argv[n++] = s->use;
        else if (takes_collection(command) && count > 1)
            argv[n++] = words[rest++];
    }
    if (s->explain && strcmp(words[0], "search") == 0) argv[n++] = "--explain";
    for (; rest < count && n < HWI_COUNT(argv); rest++) argv[n++] = words[rest];
    return cli_run(s->c, (int)n, (char *const *)argv);
}

bool
cli_shell_lacks(const char *command)
{
    return strcmp(command, "shell") == 0 || strcmp(command, "serve") == 0;
}

static int
run_words(cli_shell *s, const cli_words *w)
{
    uint64_t start = hwi_clock_us();
    int code;

    if (w->items[0][0] == '.') return cli_shell_dot(s, w);
    if (cli_shell_lacks(w->items[0])) {
        cli_complain("`%s` is no command of the shell: it needs a process of its own", w->items[0]);
        return CLI_USAGE;
    }
    code = cli_shell_command(s, w->count, w->items);
    if (s->timer) printf("%.3f s\n", (double)(hwi_clock_us() - start) / 1e6);
    return code;
}

int
cli_shell_line(cli_shell *s, const char *line)
{
    cli_words w;
    int code = CLI_OK;

    cli_clear_interrupt();
    if (!cli_words_split(line, &w)) {
        cli_complain("a quote is not closed, or there are more than %u words", CLI_LIST_MAX);
        return CLI_USAGE;
    }
    if (w.count > 0 && w.items[0][0] != '#') code = run_words(s, &w);
    cli_words_release(&w);
    fflush(stdout);
    return code;
}

/* ---- where lines come from */

static int
run_commands(cli_shell *s, const cli_list *commands)
{
    int code = CLI_OK;

    for (size_t i = 0; i < commands->count && code == CLI_OK && !s->done; i++)
        code = cli_shell_line(s, commands->items[i]);
    return code;
}

static int
run_input(cli_shell *s)
{
    char *line = NULL;
    size_t room = 0;
    int code = CLI_OK;

    while (code == CLI_OK && !s->done && getline(&line, &room, stdin) >= 0)
        code = cli_shell_line(s, line);
    free(line);
    return code;
}

static int
run_shell(cli *c, const void *args)
{
    const shell_args *a = args;
    cli own = *c;
    cli_shell s = {.c = &own};
    hw_error err = {0};
    int code;

    if (cli_open(c, a->db, a->read_only ? CLI_READ : CLI_CREATE, &own.db, &err) != HW_OK)
        return cli_fail(&err);
    own.db_path = a->db;
    if (a->commands.count)
        code = run_commands(&s, &a->commands);
    else if (isatty(STDIN_FILENO))
        code = cli_shell_interact(&s);
    else
        code = run_input(&s);
    hwi_free(s.use);
    hw_db_close(own.db);
    return code;
}

const cli_command cli_shell_cmd = {
    .name = "shell",
    .summary = "type commands at a prompt, with the database held open",
    .about = "Commands are those of the command line without the database's name: `search photos "
             "--id 7`. Dot "
             "commands: .collections .schema .use .import .export .explain .mode .timer .help "
             ".quit. After `.use "
             "photos` the collection's name may be left out too. Lines beginning with # are "
             "comments.\n\n"
             "At a terminal there is history (in the XDG state folder) and completion; otherwise "
             "lines are read "
             "from standard input, and the first that fails ends the shell with its exit code.",
    .examples = "hashwood shell photos.hw\n"
                "hashwood shell photos.hw -c '.mode json' -c 'search photos --id 7'\n"
                "echo 'count photos' | hashwood shell photos.hw --readonly\n",
    .operands =
        (const cli_operand[]){{"DB",
                               "folder of the database or fdb:..., created when there is none",
                               offsetof(shell_args, db), 0, 0},
                              {0}},
    .options =
        (const cli_option[]){{"command", 'c', CLI_LIST, offsetof(shell_args, commands), "LINE",
                              "run this line instead of reading any; repeatable", NULL},
                             {"readonly", 0, CLI_FLAG, offsetof(shell_args, read_only), NULL,
                              "open the database for reading only", NULL},
                             {0}},
    .args_bytes = sizeof(shell_args),
    .run = run_shell};
