/* cli.h - what the subcommands share.
 *
 * The command line reaches the engine through hashwood/hashwood.h alone, files through formats.h,
 * and borrows buffers and JSON from base. Running out of memory ends the command: there is nobody
 * to hand the error to.
 *
 * Exit codes: 0 done; 1 not found, damaged, or failed for a reason outside the command line; 2 the
 * command line itself is wrong (unknown option, malformed JSON, a vector of the wrong size).
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "args.h"
#include "base/json.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

typedef enum cli_mode { CLI_MODE_TABLE, CLI_MODE_JSON, CLI_MODE_CSV } cli_mode;

typedef struct cli {
    cli_mode mode;
    bool quiet;
    uint32_t busy_ms;
    uint32_t threads; /* for index builds; 0: one per processor */
    bool bulk_load;   /* no first index before an explicit build */

    /* the shell's database, which its commands share: one handle per folder and process */
    hw_db *db;
    const char *db_path;
} cli;

/* ---- main.c */

/* All commands, the last one without a name. */
extern const cli_command *const cli_commands[];
/* Parses and runs one command of argv (its name first) and returns its exit code. */
int cli_run(cli *c, int argc, char *const *argv);
const cli_command *cli_find_command(const char *name);
/* Set by Ctrl-C; long work stops soon after. */
bool cli_interrupted(void);
void cli_clear_interrupt(void);

/* ---- say.c: errors and remarks */

/* "hashwood: ..." on standard error. */
void cli_complain(const char *format, ...) HW_PRINTF(1, 2);
/* Reports a failure of the engine or of a file and returns CLI_FAILED. */
int cli_fail(const hw_error *err);
/* The same, but CLI_USAGE for HW_EINVAL: for work whose only input is the command line. */
int cli_fail_input(const hw_error *err);
/* A remark for people on standard error; nothing with --quiet or --json. */
void cli_remark(const cli *c, const char *format, ...) HW_PRINTF(2, 3);
/* Ends the process when memory could not be had. */
#define cli_need(ok) ((ok) ? (void)0 : cli_out_of_memory())
_Noreturn void cli_out_of_memory(void);

/* ---- print.c: results */

/* A JSON object: as it is with --json, else indented for people. */
void cli_print_json(const cli *c, const char *json);
/* Writes a buffer and a line end to standard output; releases it. */
void cli_print_line(hwi_buf *b);
/* Text to show in a table or beside a picture: bytes that would steer a terminal become '?'. */
void cli_add_plain(hwi_buf *b, const char *text, size_t bytes);
/* 60000 as "60,000", into a buffer of at least 32 bytes which is returned. */
char *cli_count(uint64_t n, char *out);
/* "1 point", "60,000 points", into a buffer of at least 64 bytes which is returned. */
char *cli_count_of(uint64_t n, const char *noun, char *out);
/* 188000000 as "179.3 MB" (powers of 1024). */
char *cli_bytes(uint64_t n, char *out);

/* ---- database.c */

typedef enum cli_open_mode { CLI_READ, CLI_WRITE, CLI_CREATE } cli_open_mode;

/* Opens the database at path, or lends the shell's. */
hw_status cli_open(cli *c, const char *path, cli_open_mode mode, hw_db **out, hw_error *err);
void cli_close(cli *c, hw_db *db);

typedef struct cli_collection {
    hw_db *db;
    hw_collection *c;
} cli_collection;
hw_status cli_open_collection(cli *c, const char *path, const char *name, cli_open_mode mode,
                              cli_collection *out, hw_error *err);
void cli_close_collection(cli *c, cli_collection *coll);

/* Names of a collection's vectors, "" for the unnamed one; allocated with hwi_alloc as one block,
 * like hw_collection_list does. */
hw_status cli_vector_names(hw_collection *c, char ***names, size_t *count, hw_error *err);

/* "128" or a whole file "@payload.json": text an option may give directly or from a file. *owned is
 * to be hwi_free'd. */
hw_status cli_text_or_file(const char *option, const char *value, const char **text, size_t *bytes,
                           char **owned, hw_error *err);

#endif
