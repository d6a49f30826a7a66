/* main.c - the command `hashwood`: finds the subcommand, parses its arguments, runs it.
 *
 * Ctrl-C asks long work to stop through its progress callback, which leaves the database sound; a
 * second one ends the process at once, which does too.
 */
#include "cli.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>

#include "commands.h"

const cli_command *const cli_commands[] = {
    &cli_create_command,  &cli_collections_command, &cli_describe_command,   &cli_drop_command,
    &cli_import_command,  &cli_export_command,
#ifdef HAVE_EMBEDDING
    &cli_embed_command,
#endif
    &cli_put_command,     &cli_get_command,         &cli_update_command,     &cli_delete_command,
    &cli_search_command,  &cli_why_command,         &cli_duplicates_command, &cli_count_command,
    &cli_scroll_command,  &cli_index_command,       &cli_field_command,      &cli_alias_command,
    &cli_build_command,   &cli_stats_command,       &cli_check_command,      &cli_copy_command,
    &cli_compact_command, &cli_backup_command,      &cli_restore_command,    &cli_bench_command,
    &cli_shell_cmd,       &cli_serve_command,       &cli_version_command,    NULL};

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int signal_number)
{
    interrupted = 1;
    signal(signal_number, SIG_DFL);
}

bool
cli_interrupted(void)
{
    return interrupted != 0;
}

void
cli_clear_interrupt(void)
{
    interrupted = 0;
    signal(SIGINT, on_interrupt);
}

const cli_command *
cli_find_command(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
    return NULL;
}

static const char *
next_command_name(void *arg)
{
    size_t *i = arg;
    return cli_commands[*i] ? cli_commands[(*i)++]->name : NULL;
}

static int
unknown_command(const char *name)
{
    size_t i = 0;
    const char *nearest = cli_nearest(name, next_command_name, &i);

    if (nearest)
        cli_complain("unknown command `%s`, did you mean `%s`?", name, nearest);
    else
        cli_complain("unknown command `%s`; see `hashwood --help`", name);
    return CLI_USAGE;
}

static int
print_overview(void)
{
    puts("Usage: hashwood COMMAND [operands] [options]\n\n"
         "A vector database in one folder: exact or fast nearest neighbours, filters,\n"
         "transactions. DB is the path of that folder, fdb:... of one in FoundationDB,\n"
         "or http://host:port of a server.\n");
    for (size_t i = 0; cli_commands[i]; i++)
        printf("  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    puts("\n`hashwood COMMAND --help` tells more. Every command takes --json and --quiet.\n"
         "Exit codes: 0 done, 1 not found or damaged or failed, 2 the command line is wrong.");
    return CLI_OK;
}

static int
print_help(const cli_command *command)
{
    hwi_buf b = {0};

    cli_help(command, &b);
    cli_need(!b.failed);
    fwrite(b.data, 1, b.size, stdout);
    hwi_buf_release(&b);
    return CLI_OK;
}

/* A full disk or a closed pipe behind standard output is a failure like any other. */
static int
flush_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    cli_complain("cannot write to standard output");
    return code == CLI_OK ? CLI_FAILED : code;
}

static int
run_command(cli *c, const cli_command *command, int argc, char *const *argv)
{
    cli own = *c;
    cli_common *common = hwi_alloc_zero(command->args_bytes);
    int code = CLI_USAGE;

    cli_need(common != NULL);
    if (cli_parse(command, argc - 1, argv + 1, common)) {
        if (common->json) own.mode = CLI_MODE_JSON;
        own.quiet |= common->quiet;
        own.busy_ms = common->busy_ms;
        code = common->help ? print_help(command) : command->run(&own, common);
    }
    hwi_free(common);
    return flush_output(code);
}

int
cli_run(cli *c, int argc, char *const *argv)
{
    const char *name = argc > 0 ? argv[0] : "--help";
    const cli_command *command = cli_find_command(name);

    if (command) return run_command(c, command, argc, argv);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        return run_command(c, &cli_version_command, 1, argv);
    if (strcmp(name, "_docs") == 0 && argc == 2) return cli_write_docs(argv[1]);
    if (strcmp(name, "help") == 0 && argc > 1) {
        command = cli_find_command(argv[1]);
        return command ? print_help(command) : unknown_command(argv[1]);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return print_overview();
    return unknown_command(name);
}

int
main(int argc, char **argv)
{
    cli c = {.busy_ms = 5000};

    /* Widths of characters and their classes; C.UTF-8 is always there, the user's may not be. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) setlocale(LC_CTYPE, "");
    cli_clear_interrupt();
    if (argc < 2) {
        print_overview();
        return CLI_USAGE;
    }
    return cli_run(&c, argc - 1, argv + 1);
}
