/* docs.c - man pages and shell completions, written from the option tables.
 *
 *     hashwood _docs SOURCE    writes SOURCE/docs/man/hashwood*.1 and SOURCE/tools/completions/
 *
 * The written files are kept in the source tree, so installing needs no run of the command; a test
 * writes them afresh and compares, so they cannot drift from what the command accepts.
 */
#include "commands.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "cli.h"

#define DATE "November 22, 2026"

/* ---- mdoc */

/* Text with what mdoc would interpret escaped. */
static void
add_escaped(hwi_buf *b, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\\')
            hwi_buf_text(b, "\\e");
        else if (text[i] == '"')
            hwi_buf_text(b, "\\(dq");
        else
            hwi_buf_add(b, &text[i], 1);
    }
}

/* Bytes that a word takes in the source of the page. */
static size_t
escaped_bytes(const char *text, size_t bytes)
{
    size_t total = bytes;

    for (size_t i = 0; i < bytes; i++) total += text[i] == '"' ? 3 : text[i] == '\\';
    return total;
}

static bool
ends_sentence(const char *word, size_t bytes)
{
    return bytes > 1 &&
           (word[bytes - 1] == '.' || word[bytes - 1] == '!' || word[bytes - 1] == '?');
}

/* Running text: short lines, a new one after each sentence, .Pp between paragraphs. */
static void
add_text(hwi_buf *b, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t bytes = strcspn(text, " \n"), width = escaped_bytes(text, bytes);

        if (column > 0 && column + width > 76) hwi_buf_text(b, "\n"), column = 0;
        if (column > 0) hwi_buf_text(b, " ");
        if (column == 0 && (*text == '.' || *text == '\'')) hwi_buf_text(b, "\\&");
        add_escaped(b, text, bytes);
        column += width + 1;
        if (ends_sentence(text, bytes)) hwi_buf_text(b, "\n"), column = 0;
        text += bytes;
        if (text[0] == '\n' && text[1] == '\n') {
            hwi_buf_text(b, column ? "\n.Pp\n" : ".Pp\n");
            column = 0;
        }
        while (*text == ' ' || *text == '\n') text++;
    }
    if (column) hwi_buf_text(b, "\n");
}

/* A placeholder as an argument of .Ar; `.` and `,` alone would be punctuation to mdoc. */
static void
add_placeholder(hwi_buf *b, const char *value)
{
    hwi_buf_text(b, " Ar ");
    add_escaped(b, value, strlen(value));
}

static void
add_man_option(hwi_buf *b, const cli_option *o)
{
    hwi_buf_text(b, ".It");
    if (o->letter) {
        hwi_buf_printf(b, " Fl %c", o->letter);
        if (o->value) add_placeholder(b, o->value);
        hwi_buf_text(b, " ,");
    }
    hwi_buf_printf(b, " Fl Fl %s", o->name);
    if (o->value) add_placeholder(b, o->value);
    hwi_buf_text(b, "\n");
    add_text(b, o->help);
}

static void
add_man_options(hwi_buf *b, const cli_command *command)
{
    hwi_buf_text(b, ".Sh OPTIONS\n.Bl -tag -width Ds\n");
    for (const cli_option *o = command->options; o && o->name; o++) add_man_option(b, o);
    for (const cli_option *o = cli_common_options; o->name; o++) add_man_option(b, o);
    hwi_buf_text(b, ".El\n");
}

static void
add_man_operands(hwi_buf *b, const cli_command *command)
{
    if (command->operands == NULL || command->operands[0].name == NULL) return;
    hwi_buf_text(b, "The operands are:\n.Bl -tag -width Ds\n");
    for (const cli_operand *o = command->operands; o->name; o++) {
        hwi_buf_printf(b, ".It Ar %s\n", o->name);
        add_text(b, o->help);
    }
    hwi_buf_text(b, ".El\n");
}

static void
add_upper(hwi_buf *b, const char *text)
{
    for (; *text; text++) {
        char c = (char)toupper((unsigned char)*text);
        hwi_buf_add(b, &c, 1);
    }
}

static void
add_man_header(hwi_buf *b, const char *suffix, const char *summary)
{
    hwi_buf_text(b, ".Dd " DATE "\n.Dt HASHWOOD");
    hwi_buf_text(b, *suffix ? "-" : "");
    add_upper(b, suffix);
    hwi_buf_printf(b, " 1\n.Os\n.Sh NAME\n.Nm hashwood%s%s\n.Nd %s\n", *suffix ? "-" : "", suffix,
                   summary);
}

static void
add_man_examples(hwi_buf *b, const char *examples)
{
    if (examples == NULL) return;
    hwi_buf_text(b, ".Sh EXAMPLES\n.Bd -literal\n");
    while (*examples) {
        size_t bytes = strcspn(examples, "\n");

        /* Literal lines may be long; continuing them as a shell does keeps the source short. */
        while (bytes > 74) {
            size_t cut = 74;
            while (cut > 20 && examples[cut] != ' ') cut--;
            if (examples[cut] != ' ') break;
            add_escaped(b, examples, cut);
            hwi_buf_text(b, " \\e\n    ");
            examples += cut + 1;
            bytes -= cut + 1;
        }
        add_escaped(b, examples, bytes);
        hwi_buf_text(b, "\n");
        examples += bytes + (examples[bytes] == '\n');
    }
    hwi_buf_text(b, ".Ed\n");
}

static void
add_man_exit_status(hwi_buf *b)
{
    hwi_buf_text(b, ".Sh EXIT STATUS\n.Bl -tag -width Ds\n"
                    ".It 0\nDone.\n"
                    ".It 1\nNot found, damaged, or failed for a reason outside the command line.\n"
                    ".It 2\nThe command line is wrong.\n.El\n");
}

static void
man_of_command(hwi_buf *b, const cli_command *command)
{
    add_man_header(b, command->name, command->summary);
    hwi_buf_printf(b, ".Sh SYNOPSIS\n.Nm hashwood %s\n", command->name);
    for (const cli_operand *o = command->operands; o && o->name; o++)
        hwi_buf_printf(b, o->optional ? ".Op Ar %s%s\n" : ".Ar %s%s\n", o->name,
                       o->many ? " ..." : "");
    hwi_buf_text(b, ".Op Ar options\n.Sh DESCRIPTION\n");
    add_text(b, command->about);
    hwi_buf_text(b, command->operands && command->operands[0].name ? ".Pp\n" : "");
    add_man_operands(b, command);
    add_man_options(b, command);
    add_man_exit_status(b);
    add_man_examples(b, command->examples);
    hwi_buf_text(b, ".Sh SEE ALSO\n.Xr hashwood 1\n");
}

static const cli_command *
next_by_name(const char *last)
{
    const cli_command *next = NULL;

    for (size_t i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, last) > 0 &&
            (next == NULL || strcmp(cli_commands[i]->name, next->name) < 0))
            next = cli_commands[i];
    return next;
}

/* All pages, sorted by name as mdoc asks. */
static void
add_see_also(hwi_buf *b)
{
    const cli_command *command = next_by_name("");

    hwi_buf_text(b, ".Sh SEE ALSO\n");
    while (command) {
        const cli_command *next = next_by_name(command->name);
        hwi_buf_printf(b, ".Xr hashwood-%s 1%s\n", command->name, next ? " ," : "");
        command = next;
    }
}

static void
man_of_all(hwi_buf *b)
{
    add_man_header(b, "", "vector database in one folder");
    hwi_buf_text(b, ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar operands\n.Op Ar options\n"
                    ".Sh DESCRIPTION\n");
    add_text(
        b, "A vector database: exact or fast nearest neighbours, filters over payloads, "
           "transactions, in one folder on disk. KD-trees partition the space, LSH signatures rank "
           "what lies in a partition. A database may also be named as http://host:port, where "
           "`hashwood "
           "serve` holds it, or as fdb:/path/fdb.cluster in a FoundationDB cluster (fdb: for the "
           "default cluster file; ?prefix=NAME behind it for one of several databases there). Each "
           "command has a page of its own; --help tells the same.");
    hwi_buf_text(b, ".Bl -tag -width collections\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        hwi_buf_printf(b, ".It Cm %s\n", cli_commands[i]->name);
        add_text(b, cli_commands[i]->summary);
    }
    hwi_buf_text(
        b, ".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
           ".It Ev HASHWOOD_KERNELS\nforces a set of distance kernels: scalar, avx2, avx512 or "
           "neon.\n"
           ".It Ev HASHWOOD_API_KEY\nthe key of the server, where DB is http://host:port.\n"
           ".It Ev FDB_CLUSTER_FILE\nthe cluster file that fdb: means; else "
           "/etc/foundationdb/fdb.cluster.\n"
           ".It Ev HASHWOOD_FDB_LIBRARY\nFoundationDB's client library; else the libfdb_c.so that "
           "the system finds.\n"
           ".It Ev HASHWOOD_ONNXRUNTIME\nwhere ONNX Runtime's library lies, for embed --model.\n"
           ".It Ev NO_COLOR\nif not empty, pictures are drawn without colours.\n"
           ".It Ev XDG_STATE_HOME\nfolder of the shell's history.\n.El\n");
    add_man_exit_status(b);
    add_man_examples(b, "hashwood import photos.hw photos photos.jsonl --create --metric cosine\n"
                        "hashwood search photos.hw photos --id 7 -k 5\n"
                        "hashwood shell photos.hw\n");
    add_see_also(b);
}

/* ---- completions */

static bool
completes_files(const char *placeholder)
{
    return placeholder && (strcmp(placeholder, "FILE") == 0 || strcmp(placeholder, "DIR") == 0 ||
                           strcmp(placeholder, "DB") == 0 || strcmp(placeholder, "OUT") == 0);
}

static void
add_words(hwi_buf *b, const char *choices)
{
    for (; *choices; choices++) hwi_buf_add(b, *choices == '|' ? " " : choices, 1);
}

static void
bash_values(hwi_buf *b, const cli_option *o)
{
    for (; o && o->name; o++) {
        if (o->type == CLI_FLAG) continue;
        hwi_buf_printf(b, "        --%s", o->name);
        if (o->letter) hwi_buf_printf(b, "|-%c", o->letter);
        if (o->choices) {
            hwi_buf_text(b, ") COMPREPLY=($(compgen -W '");
            add_words(b, o->choices);
            hwi_buf_text(b, "' -- \"$cur\")); return ;;\n");
        } else if (completes_files(o->value)) {
            hwi_buf_text(b, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
        } else {
            hwi_buf_text(b, ") return ;;\n");
        }
    }
}

static void
bash_command(hwi_buf *b, const cli_command *command)
{
    const cli_option *lists[] = {command->options, cli_common_options};
    bool collection = command->operands && command->operands[0].name && command->operands[1].name &&
                      strcmp(command->operands[1].name, "COLL") == 0;

    hwi_buf_printf(b, "    %s)\n        case $prev in\n", command->name);
    bash_values(b, command->options);
    bash_values(b, cli_common_options);
    hwi_buf_text(b, "        esac\n        opts='");
    for (size_t n = 0; n < 2; n++)
        for (const cli_option *o = lists[n]; o && o->name; o++)
            hwi_buf_printf(b, "%s--%s", n == 0 && o == lists[0] ? "" : " ", o->name);
    hwi_buf_printf(b, "'\n        collection=%d ;;\n", collection);
}

static void
bash_completion(hwi_buf *b)
{
    hwi_buf_text(b, "# bash completion for hashwood; written by `hashwood _docs`, do not edit\n"
                    "_hashwood() {\n"
                    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                    "    local opts= collection=0\n"
                    "    COMPREPLY=()\n"
                    "    if ((COMP_CWORD == 1)); then\n"
                    "        COMPREPLY=($(compgen -W '");
    for (size_t i = 0; cli_commands[i]; i++)
        hwi_buf_printf(b, "%s%s", i ? " " : "", cli_commands[i]->name);
    hwi_buf_text(b, "' -- \"$cur\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; cli_commands[i]; i++) bash_command(b, cli_commands[i]);
    hwi_buf_text(b, "    esac\n"
                    "    if [[ $cur == -* ]]; then\n"
                    "        COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))\n"
                    "    elif ((COMP_CWORD == 3 && collection)); then\n"
                    "        COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" collections "
                    "\"${COMP_WORDS[2]}\" -q 2>/dev/null)\" -- \"$cur\"))\n"
                    "    else\n"
                    "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                    "    fi\n"
                    "}\n"
                    "complete -o filenames -F _hashwood hashwood\n");
}

/* Help between the single quotes of zsh or fish; a backslash before each of `special`. */
static void
add_description(hwi_buf *b, const char *help, const char *special)
{
    for (; *help; help++) {
        if (*help == '\'') {
            hwi_buf_text(b, "'\\''");
            continue;
        }
        if (strchr(special, *help)) hwi_buf_text(b, "\\");
        hwi_buf_add(b, help, 1);
    }
}

#define ZSH_SPECIAL "[]:"

static void
zsh_option(hwi_buf *b, const cli_option *o)
{
    const char *repeat = o->type == CLI_LIST ? "*" : "";

    hwi_buf_printf(b, "            '%s--%s[", repeat, o->name);
    add_description(b, o->help, ZSH_SPECIAL);
    hwi_buf_text(b, "]");
    if (o->value) {
        hwi_buf_text(b, ":");
        add_description(b, o->value, ZSH_SPECIAL);
        hwi_buf_text(b, ":");
        if (o->choices) {
            hwi_buf_text(b, "(");
            add_words(b, o->choices);
            hwi_buf_text(b, ")");
        } else if (completes_files(o->value)) {
            hwi_buf_text(b, "_files");
        }
    }
    hwi_buf_text(b, "' \\\n");
}

static void
zsh_command(hwi_buf *b, const cli_command *command)
{
    int place = 1;

    hwi_buf_printf(b, "    %s)\n        _arguments -s \\\n", command->name);
    for (const cli_option *o = command->options; o && o->name; o++) zsh_option(b, o);
    for (const cli_option *o = cli_common_options; o->name; o++) zsh_option(b, o);
    for (const cli_operand *o = command->operands; o && o->name; o++, place++) {
        bool files = completes_files(o->name);

        if (o->many)
            hwi_buf_printf(b, "            '*:%s:%s' \\\n", o->name, files ? "_files" : "");
        else
            hwi_buf_printf(b, "            '%d:%s:%s' \\\n", place, o->name,
                           files                            ? "_files"
                           : strcmp(o->name, "COLL") == 0   ? "_hashwood_collections"
                           : strcmp(o->name, "ACTION") == 0 ? "(create drop)"
                                                            : "");
    }
    hwi_buf_text(b, "            ;;\n");
}

static void
zsh_completion(hwi_buf *b)
{
    hwi_buf_text(b, "#compdef hashwood\n# written by `hashwood _docs`, do not edit\n"
                    "_hashwood_collections() {\n"
                    "    compadd -- ${(f)\"$(hashwood collections ${words[2]} -q 2>/dev/null)\"}\n"
                    "}\n"
                    "_hashwood_commands() {\n    local -a commands\n    commands=(\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        hwi_buf_printf(b, "        '%s:", cli_commands[i]->name);
        add_description(b, cli_commands[i]->summary, ZSH_SPECIAL);
        hwi_buf_text(b, "'\n");
    }
    hwi_buf_text(b, "    )\n    _describe command commands\n}\n"
                    "_hashwood() {\n"
                    "    if ((CURRENT == 2)); then _hashwood_commands; return; fi\n"
                    "    shift words; ((CURRENT--))\n"
                    "    case ${words[1]} in\n");
    for (size_t i = 0; cli_commands[i]; i++) zsh_command(b, cli_commands[i]);
    hwi_buf_text(b, "    esac\n}\n_hashwood \"$@\"\n");
}

static void
fish_option(hwi_buf *b, const char *command, const cli_option *o)
{
    hwi_buf_printf(b, "complete -c hashwood -n '__fish_seen_subcommand_from %s' -l %s", command,
                   o->name);
    if (o->letter) hwi_buf_printf(b, " -s %c", o->letter);
    if (o->choices) {
        hwi_buf_text(b, " -x -a '");
        add_words(b, o->choices);
        hwi_buf_text(b, "'");
    } else if (o->value) {
        hwi_buf_text(b, completes_files(o->value) ? " -r -F" : " -x");
    }
    hwi_buf_text(b, " -d '");
    add_description(b, o->help, "");
    hwi_buf_text(b, "'\n");
}

static void
fish_completion(hwi_buf *b)
{
    hwi_buf_text(b, "# fish completion for hashwood; written by `hashwood _docs`, do not edit\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        hwi_buf_printf(b, "complete -c hashwood -n __fish_use_subcommand -f -a %s -d '",
                       cli_commands[i]->name);
        add_description(b, cli_commands[i]->summary, "");
        hwi_buf_text(b, "'\n");
    }
    for (size_t i = 0; cli_commands[i]; i++) {
        for (const cli_option *o = cli_commands[i]->options; o && o->name; o++)
            fish_option(b, cli_commands[i]->name, o);
        for (const cli_option *o = cli_common_options; o->name; o++)
            fish_option(b, cli_commands[i]->name, o);
    }
}

/* ---- writing */

static bool
write_file(const char *folder, const char *name, hwi_buf *b)
{
    char path[4096];
    FILE *f;
    bool ok;

    cli_need(!b->failed);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    ok = f && fwrite(b->data, 1, b->size, f) == b->size;
    if (f && fclose(f) != 0) ok = false;
    if (!ok) cli_complain("cannot write %s: %s", path, strerror(errno));
    hwi_buf_release(b);
    return ok;
}

int
cli_write_docs(const char *source_folder)
{
    char name[128];
    hwi_buf b = {0};
    bool ok;

    man_of_all(&b);
    ok = write_file(source_folder, "docs/man/hashwood.1", &b);
    for (size_t i = 0; ok && cli_commands[i]; i++) {
        man_of_command(&b, cli_commands[i]);
        snprintf(name, sizeof name, "docs/man/hashwood-%s.1", cli_commands[i]->name);
        ok = write_file(source_folder, name, &b);
    }
    if (ok)
        bash_completion(&b), ok = write_file(source_folder, "tools/completions/hashwood.bash", &b);
    if (ok) zsh_completion(&b), ok = write_file(source_folder, "tools/completions/_hashwood", &b);
    if (ok)
        fish_completion(&b), ok = write_file(source_folder, "tools/completions/hashwood.fish", &b);
    return ok ? CLI_OK : CLI_FAILED;
}
