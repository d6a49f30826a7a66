/* shell_edit.c - the prompt: editing, history and completion through libedit, or plain lines in a
 * build without it.
 *
 * History is kept in $XDG_STATE_HOME/hashwood/history (~/.local/state by default), readable by its
 * owner alone since queries may hold payloads.
 */
#include "shell.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void
prompt_of(const cli_shell *s, char *out, size_t room)
{
    const char *slash = strrchr(s->c->db_path, '/');
    const char *name = slash && slash[1] ? slash + 1 : s->c->db_path;

    snprintf(out, room, s->use ? "%s/%s> " : "%s> ", name, s->use);
}

#ifdef HAVE_LIBEDIT

#include <editline/readline.h>

static cli_shell *completing; /* readline's callbacks take no argument */

/* ---- completion: a word is a command, a collection, or an option, by where it stands */

typedef const char *(*candidates_fn)(size_t i);

static char **collection_names;
static size_t collection_count;
static const cli_command *option_command;
static candidates_fn candidates;

static const char *
command_candidate(size_t i)
{
    size_t count = 0;

    while (cli_commands[count]) count++;
    return i < count ? cli_commands[i]->name : cli_shell_dot_name(i - count);
}

static const char *
collection_candidate(size_t i)
{
    return i < collection_count ? collection_names[i] : NULL;
}

static const char *
option_candidate(size_t i)
{
    static char text[64];
    const cli_option *lists[] = {option_command->options, cli_common_options};

    for (size_t n = 0; n < 2; n++) {
        for (const cli_option *o = lists[n]; o && o->name; o++) {
            if (i-- > 0) continue;
            snprintf(text, sizeof text, "--%s", o->name);
            return text;
        }
    }
    return NULL;
}

static char *
next_match(const char *text, int state)
{
    static size_t at;
    const char *name;

    if (state == 0) at = 0;
    while ((name = candidates(at++)) != NULL)
        if (strncmp(name, text, strlen(text)) == 0) return strdup(name);
    return NULL;
}

static char **
complete(const char *text, int start, int end)
{
    char line[512], *word;

    (void)end;
    snprintf(line, sizeof line, "%.*s", start, rl_line_buffer);
    word = strtok(line, " ");
    option_command = word ? cli_find_command(word) : NULL;
    if (word == NULL) {
        candidates = command_candidate;
    } else if (text[0] == '-' && option_command) {
        candidates = option_candidate;
    } else if (strtok(NULL, " ") == NULL) {
        hw_free(collection_names);
        collection_names = NULL;
        collection_count = 0;
        if (hw_collection_list(completing->c->db, &collection_names, &collection_count, NULL) !=
            HW_OK)
            return NULL;
        candidates = collection_candidate;
    } else {
        return NULL; /* libedit then completes names of files */
    }
    return rl_completion_matches(text, next_match);
}

/* ---- history */

static bool
make_folder(char *path)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    return mkdir(path, 0700) == 0 || access(path, W_OK) == 0;
}

static bool
history_path(char *out, size_t room)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    size_t bytes;

    if (state && *state)
        snprintf(out, room, "%s/hashwood", state);
    else if (home && *home)
        snprintf(out, room, "%s/.local/state/hashwood", home);
    else
        return false;
    if (!make_folder(out)) return false;
    bytes = strlen(out);
    snprintf(out + bytes, room - bytes, "/history");
    return true;
}

int
cli_shell_interact(cli_shell *s)
{
    char history[4096], prompt[512], *line;
    bool remembers = history_path(history, sizeof history);

    completing = s;
    rl_readline_name = "hashwood";
    rl_attempted_completion_function = complete;
    using_history();
    stifle_history(2000);
    if (remembers) read_history(history);
    printf("hashwood %s: .help lists commands, .quit leaves\n", hw_version());
    while (!s->done) {
        prompt_of(s, prompt, sizeof prompt);
        line = readline(prompt);
        if (line == NULL) break;
        if (line[0]) add_history(line);
        cli_shell_line(s, line);
        free(line);
    }
    if (!s->done) putchar('\n');
    if (remembers && write_history(history) == 0) chmod(history, 0600);
    hw_free(collection_names);
    return CLI_OK;
}

#else

int
cli_shell_interact(cli_shell *s)
{
    char prompt[512], *line = NULL;
    size_t room = 0;

    while (!s->done) {
        prompt_of(s, prompt, sizeof prompt);
        fputs(prompt, stdout);
        fflush(stdout);
        if (getline(&line, &room, stdin) < 0) break;
        cli_shell_line(s, line);
    }
    free(line);
    return CLI_OK;
}

#endif
