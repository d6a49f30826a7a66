/* args.h - one table per command: it gives parsing, --help, the man pages and the completions.
 *
 * A command's arguments are a plain struct; each option says where in it the value goes. So a
 * command reads `args->k`, and an option that is in the table is parsed, documented and completed.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "base/base.h"

#define CLI_LIST_MAX 256u

/* Options or operands that may be given more than once. */
typedef struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t count;
} cli_list;

typedef enum cli_type {
    CLI_FLAG, /* bool */
    CLI_TEXT, /* const char *, NULL when absent */
    CLI_U32,  /* uint32_t */
    CLI_U64,  /* uint64_t */
    CLI_REAL, /* double */
    CLI_LIST  /* cli_list */
} cli_type;

typedef struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    cli_type type;
    size_t at;           /* offset in the args struct */
    const char *value;   /* placeholder, "N"; NULL for a flag. FILE and DIR complete as such */
    const char *help;    /* one line, no capital, no full stop */
    const char *choices; /* "cosine|l2|dot|l1": nothing else is accepted; or NULL */
} cli_option;

typedef struct cli_operand {
    const char *name; /* "DB", "COLL", "FILE" */
    const char *help;
    size_t at;     /* const char *, or cli_list when `many` */
    bool optional; /* only the last ones */
    bool many;     /* only the last one */
} cli_operand;

/* Where a command looks that works on a server's database too: the first operand. */
#define CLI_DB(type, field)                                                                        \
    {                                                                                              \
        "DB", "folder of the database, fdb:... or http://...", offsetof(type, field), 0, 0         \
    }

/* Every args struct begins with this. */
typedef struct cli_common {
    bool help, json, quiet;
    uint32_t busy_ms;
} cli_common;

struct cli;

typedef struct cli_command {
    const char *name;
    const char *summary;  /* one line, no full stop: --help, NAME of the man page */
    const char *about;    /* paragraphs, separated by empty lines; text width is ours to choose */
    const char *examples; /* lines: "# comment" or a command */
    const cli_operand *operands; /* up to one without a name */
    const cli_option *options;   /* up to one without a name */
    size_t args_bytes;
    const void *defaults; /* an args struct to start from; NULL: zeros */
    int (*run)(struct cli *c, const void *args);
} cli_command;

/* The options every command has: --help, --json, --quiet, --busy-timeout. */
extern const cli_option cli_common_options[];

/* Parses the words after the command's name into args (args_bytes, filled here). False after
 * printing what is wrong, with the nearest option's name when one is near. */
bool cli_parse(const cli_command *command, int argc, char *const *argv, void *args);

/* "hashwood search DB COLL [options]" */
void cli_usage(const cli_command *command, hwi_buf *out);
void cli_help(const cli_command *command, hwi_buf *out);

/* The candidate nearest to `word` when it is near enough to be a slip of the finger, else NULL.
 * `next` gives the candidates in turn, NULL at the end. */
const char *cli_nearest(const char *word, const char *(*next)(void *arg), void *arg);

/* Splits "key=value" or "field:type" at the first `mark`; false when there is none. The key is
 * copied to `key` of `room` bytes. */
bool cli_split(const char *text, char mark, char *key, size_t room, const char **value);

#endif
