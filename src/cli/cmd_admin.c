/* cmd_admin.c - stats, check, compact, backup, restore, version. */
#include "commands.h"
#include "progress.h"

#include <stdlib.h>

/* ---- stats */

typedef struct stats_args {
    cli_common common;
    const char *db, *coll;
} stats_args;

static int
run_stats(cli *c, const void *args)
{
    const stats_args *a = args;
    cli_collection coll = {0};
    hw_error err = {0};
    char *json = NULL;
    hw_status st;

    if (a->coll) {
        st = cli_open_collection(c, a->db, a->coll, CLI_READ, &coll, &err);
        if (st == HW_OK) st = hw_collection_stats(coll.c, &json, &err);
    } else {
        st = cli_open(c, a->db, CLI_READ, &coll.db, &err);
        if (st == HW_OK) st = hw_db_stats(coll.db, &json, &err);
    }
    if (st == HW_OK) cli_print_json(c, json);
    hw_free(json);
    cli_close_collection(c, &coll);
    return st == HW_OK ? CLI_OK : cli_fail(&err);
}

const cli_command cli_stats_command = {
    .name = "stats",
    .summary = "show figures of a database, or of the index of one collection",
    .about = "For a collection: points, leaves and their sizes, bytes per vector, page fill, "
             "calibration.",
    .examples = "hashwood stats photos.hw\nhashwood stats photos.hw photos --json\n",
    .operands =
        (const cli_operand[]){CLI_DB(stats_args, db),
                              {"COLL", "name of the collection", offsetof(stats_args, coll), 1, 0},
                              {0}},
    .args_bytes = sizeof(stats_args),
    .run = run_stats};

/* ---- check */

typedef struct check_job {
    cli_progress progress;
    const cli *c;
    hwi_buf damages; /* JSON objects with commas */
    uint64_t count;
} check_job;

static bool
check_progress(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    check_job *job = arg;
    return cli_progress_show(&job->progress, stage, done, total);
}

static void
on_damage(void *arg, const char *where, const char *what)
{
    check_job *job = arg;

    job->count++;
    if (job->c->mode != CLI_MODE_JSON) {
        hwi_buf line = {0};
        cli_add_plain(&line, where, strlen(where));
        hwi_buf_text(&line, ": ");
        cli_add_plain(&line, what, strlen(what));
        cli_print_line(&line);
        return;
    }
    hwi_buf_text(&job->damages, job->count > 1 ? ",{\"where\":" : "{\"where\":");
    hwi_json_write_text(&job->damages, where, strlen(where));
    hwi_buf_text(&job->damages, ",\"what\":");
    hwi_json_write_text(&job->damages, what, strlen(what));
    hwi_buf_text(&job->damages, "}");
}

static int
report_check(check_job *job, hw_status st, const hw_error *err)
{
    hwi_buf b = {0};

    if (st != HW_OK && st != HW_ECORRUPT) return cli_fail(err);
    if (job->c->mode == CLI_MODE_JSON) {
        hwi_buf_printf(&b, "{\"whole\":%s,\"damages\":[", st == HW_OK ? "true" : "false");
        hwi_buf_add(&b, job->damages.data, job->damages.size);
        hwi_buf_text(&b, "]}");
        cli_print_line(&b);
    } else if (st == HW_OK) {
        cli_remark(job->c, "whole: every record, page and invariant was verified");
    }
    return st == HW_OK ? CLI_OK : cli_fail(err);
}

static int
run_check(cli *c, const void *args)
{
    const stats_args *a = args;
    check_job job = {.c = c};
    hw_error err = {0};
    hw_db *db = NULL;
    int code;
    hw_status st = cli_open(c, a->db, CLI_READ, &db, &err);

    cli_progress_begin(&job.progress, c);
    if (st == HW_OK) st = hw_db_check(db, check_progress, on_damage, &job, &err);
    cli_progress_end(&job.progress);
    code = report_check(&job, st, &err);
    hwi_buf_release(&job.damages);
    cli_close(c, db);
    return code;
}

const cli_command cli_check_command = {
    .name = "check",
    .summary = "read everything and verify checksums and invariants",
    .about = "Decodes every record and page, and compares records, payload indexes, tree and "
             "buckets with each "
             "other. Reads one snapshot; writers go on. Exit code 1 when anything is damaged, each "
             "damage on a line.",
    .examples = "hashwood check photos.hw\n",
    .operands = (const cli_operand[]){CLI_DB(stats_args, db), {0}},
    .args_bytes = sizeof(stats_args),
    .run = run_check};

/* ---- compact, backup, restore */

typedef struct copy_args {
    cli_common common;
    const char *from, *to;
} copy_args;

typedef hw_status (*copy_fn)(hw_db *db, const char *to, hw_progress_fn progress, void *arg,
                             hw_error *err);

static int
report_copy(const cli *c, hw_status st, const char *verb, const char *to, const hw_error *err)
{
    hwi_buf b = {0};

    if (st != HW_OK) return cli_fail(err);
    if (c->mode != CLI_MODE_JSON) {
        cli_remark(c, "%s %s", verb, to);
        return CLI_OK;
    }
    hwi_buf_text(&b, "{\"written\":");
    hwi_json_write_text(&b, to, strlen(to));
    hwi_buf_text(&b, "}");
    cli_print_line(&b);
    return CLI_OK;
}

static int
run_copy(cli *c, const copy_args *a, const char *verb, copy_fn copy)
{
    hw_error err = {0};
    hw_db *db = NULL;
    cli_progress progress;
    hw_status st = cli_open(c, a->from, CLI_READ, &db, &err);

    cli_progress_begin(&progress, c);
    if (st == HW_OK) st = copy(db, a->to, cli_progress_show, &progress, &err);
    cli_progress_end(&progress);
    cli_close(c, db);
    return report_copy(c, st, verb, a->to, &err);
}

static int
run_copy_command(cli *c, const void *args)
{
    return run_copy(c, args, "wrote the copy", hw_db_copy);
}

static int
run_compact(cli *c, const void *args)
{
    return run_copy(c, args, "wrote the compacted database", hw_db_compact);
}

/* ---- backup and restore, of a database or of one collection in it */

typedef struct backup_args {
    copy_args copy; /* first: run_copy reads it */
    const char *collection;
    bool replace;
} backup_args;

static int
run_backup(cli *c, const void *args)
{
    const backup_args *a = args;
    cli_collection coll = {0};
    hw_error err = {0};
    cli_progress progress;

    if (!a->collection) return run_copy(c, &a->copy, "wrote the backup", hw_db_backup);
    hw_status st = cli_open_collection(c, a->copy.from, a->collection, CLI_READ, &coll, &err);
    cli_progress_begin(&progress, c);
    if (st == HW_OK)
        st = hw_collection_backup(coll.c, a->copy.to, cli_progress_show, &progress, &err);
    cli_progress_end(&progress);
    cli_close_collection(c, &coll);
    return report_copy(c, st, "wrote the snapshot", a->copy.to, &err);
}

static hw_status
restore_collection(cli *c, const backup_args *a, cli_progress *progress, hw_error *err)
{
    hw_db *db = NULL;
    HWI_TRY(cli_open(c, a->copy.to, CLI_CREATE, &db, err));
    hw_status st = hw_collection_restore(db, a->collection, a->copy.from, a->replace,
                                         cli_progress_show, progress, err);
    cli_close(c, db);
    return st;
}

static int
run_restore(cli *c, const void *args)
{
    const backup_args *a = args;
    hw_error err = {0};
    cli_progress progress;
    hw_status st;

    if (a->replace && !a->collection) {
        cli_complain("restore --replace needs --collection: a whole database is never replaced");
        return CLI_USAGE;
    }
    cli_progress_begin(&progress, c);
    st = a->collection
             ? restore_collection(c, a, &progress, &err)
             : hw_db_restore(a->copy.from, a->copy.to, cli_progress_show, &progress, &err);
    cli_progress_end(&progress);
    return report_copy(c, st, "restored into", a->copy.to, &err);
}

const cli_command cli_copy_command = {
    .name = "copy",
    .summary = "copy a database to another place, of any kind",
    .about =
        "One consistent snapshot, indexes included: from a folder into a FoundationDB cluster, "
        "back, or between two of a kind. OUT must not exist; a copy that is cut short leaves no "
        "database there.",
    .examples = "hashwood copy photos.hw fdb:/etc/foundationdb/fdb.cluster?prefix=photos\n"
                "hashwood copy fdb: photos.hw\n",
    .operands = (const cli_operand[]){{"DB", "database to read", offsetof(copy_args, from), 0, 0},
                                      {"OUT", "database to make: a folder or fdb:...",
                                       offsetof(copy_args, to), 0, 0},
                                      {0}},
    .args_bytes = sizeof(copy_args),
    .run = run_copy_command};

const cli_command cli_compact_command = {
    .name = "compact",
    .summary = "write a copy of a database without free pages",
    .about =
        "The copy is a new database folder, which must not exist; the original stays as it is. A "
        "database in FoundationDB has no such pages; there `copy` makes a copy.",
    .examples = "hashwood compact photos.hw photos-small.hw\n",
    .operands =
        (const cli_operand[]){{"DB", "folder of the database", offsetof(copy_args, from), 0, 0},
                              {"OUT", "folder to create", offsetof(copy_args, to), 0, 0},
                              {0}},
    .args_bytes = sizeof(copy_args),
    .run = run_compact};

const cli_command cli_backup_command = {
    .name = "backup",
    .summary = "write a snapshot of a database, or of one collection, to one file",
    .about = "One consistent snapshot, compressed and checksummed, indexes included; writers go on "
             "meanwhile. The file gets its name only when whole.",
    .examples = "hashwood backup photos.hw photos.backup\n"
                "hashwood backup photos.hw cats.snapshot --collection cats\n",
    .operands =
        (const cli_operand[]){CLI_DB(backup_args, copy.from),
                              {"FILE", "file to write", offsetof(backup_args, copy.to), 0, 0},
                              {0}},
    .options = (const cli_option[]){{"collection", 'c', CLI_TEXT, offsetof(backup_args, collection),
                                     "NAME", "only this collection", NULL},
                                    {0}},
    .args_bytes = sizeof(backup_args),
    .run = run_backup};

const cli_command cli_restore_command = {
    .name = "restore",
    .summary = "make a new database from a backup, or bring one collection in",
    .about =
        "Without --collection the database (a folder, or fdb:...) must not exist; it takes its "
        "place only once the "
        "backup was verified.\n\n"
        "With --collection the file is a snapshot of one collection. It is brought into the "
        "database, which is created when absent, under that name. With --replace it takes the "
        "place "
        "of the collection of that name, which serves until the snapshot was loaded and verified.",
    .examples = "hashwood restore photos.backup photos2.hw\n"
                "hashwood restore cats.snapshot photos.hw --collection cats --replace\n",
    .operands =
        (const cli_operand[]){{"FILE", "backup to read", offsetof(backup_args, copy.from), 0, 0},
                              {"DB", "database to make, or to restore a collection into",
                               offsetof(backup_args, copy.to), 0, 0},
                              {0}},
    .options = (const cli_option[]){{"collection", 'c', CLI_TEXT, offsetof(backup_args, collection),
                                     "NAME", "restore one collection under this name", NULL},
                                    {"replace", 0, CLI_FLAG, offsetof(backup_args, replace), NULL,
                                     "take the place of the collection that has the name", NULL},
                                    {0}},
    .args_bytes = sizeof(backup_args),
    .run = run_restore};

/* ---- version */

typedef struct version_args {
    cli_common common;
} version_args;

static int
run_version(cli *c, const void *args)
{
    (void)args;
    if (c->mode == CLI_MODE_JSON)
        printf("{\"version\":\"%s\",\"kernels\":\"%s\"}\n", hw_version(), hw_kernels());
    else
        printf("hashwood %s (%s kernels)\n", hw_version(), hw_kernels());
    return CLI_OK;
}

const cli_command cli_version_command = {
    .name = "version",
    .summary = "show the version and the distance kernels in use",
    .about = "HASHWOOD_KERNELS=scalar|avx2|avx512|neon in the environment forces a set of kernels.",
    .examples = "hashwood version\n",
    .args_bytes = sizeof(version_args),
    .run = run_version};
