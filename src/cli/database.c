/* database.c - opening what the operands name.
 *
 * Commands that only look open the database read-only: they then run beside a writer, and on a
 * folder they may not write. Inside the shell every command borrows the shell's handle.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>

hw_status
cli_open(cli *c, const char *path, cli_open_mode mode, hw_db **out, hw_error *err)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;

    if (c->db && strcmp(path, c->db_path) == 0) {
        *out = c->db;
        return HW_OK;
    }
    opts.read_only = mode == CLI_READ;
    opts.must_exist = mode != CLI_CREATE;
    opts.busy_timeout_ms = c->busy_ms;
    opts.threads = c->threads;
    opts.bulk_load = c->bulk_load;
    return hw_db_open(path, &opts, out, err);
}

void
cli_close(cli *c, hw_db *db)
{
    if (db != c->db) hw_db_close(db);
}

hw_status
cli_open_collection(cli *c, const char *path, const char *name, cli_open_mode mode,
                    cli_collection *out, hw_error *err)
{
    hw_status st;

    *out = (cli_collection){0};
    HWI_TRY(cli_open(c, path, mode, &out->db, err));
    st = hw_collection_open(out->db, name, &out->c, err);
    if (st != HW_OK) cli_close_collection(c, out);
    return st;
}

void
cli_close_collection(cli *c, cli_collection *coll)
{
    hw_collection_close(coll->c);
    cli_close(c, coll->db);
    *coll = (cli_collection){0};
}

/* The settings name vectors as objects by name: "vectors", and "sparse_vectors" where there are any. */
static const char *const vector_groups[] = {"vectors", "sparse_vectors"};

static char **
copy_names(const hwi_json *settings, size_t *count)
{
    size_t n = 0, bytes = 1, at = 0;
    const hwi_json *group;
    char **names, *text;

    for (size_t i = 0; i < HWI_COUNT(vector_groups); i++) {
        group = hwi_json_member(settings, vector_groups[i]);
        for (const hwi_json *j = group ? group->child : NULL; j; j = j->next)
            n++, bytes += j->key_bytes + 1;
    }
    names = hwi_alloc(n * sizeof *names + bytes);
    cli_need(names != NULL);
    text = (char *)(names + n);
    for (size_t i = 0; i < HWI_COUNT(vector_groups); i++) {
        group = hwi_json_member(settings, vector_groups[i]);
        for (const hwi_json *j = group ? group->child : NULL; j; j = j->next) {
            names[at++] = text;
            text = stpcpy(text, j->key) + 1;
        }
    }
    *count = at;
    return names;
}

hw_status
cli_vector_names(hw_collection *c, char ***names, size_t *count, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *settings;
    char *json = NULL;

    HWI_TRY(hw_collection_describe(c, &json, err));
    hw_status st = hwi_json_parse(json, strlen(json), &arena, &settings, err);
    if (st == HW_OK) *names = copy_names(settings, count);
    hwi_arena_release(&arena);
    hw_free(json);
    return st;
}

#define TEXT_BYTES_MAX (64u << 20) /* of a file given instead of a text */

static hw_status
read_file(const char *path, hwi_buf *out, hw_error *err)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char part[4096];
    size_t got;
    hw_status st = HW_OK;

    if (f == NULL) return hwi_fail_errno(err, errno, "cannot open %s", path);
    while ((got = fread(part, 1, sizeof part, f)) > 0 && out->size <= TEXT_BYTES_MAX)
        hwi_buf_add(out, part, got);
    if (ferror(f))
        st = hwi_fail_errno(err, errno, "cannot read %s", path);
    else if (out->size > TEXT_BYTES_MAX)
        st = hwi_fail(err, HW_EINVAL, "%s is above the maximum of %u bytes", path, TEXT_BYTES_MAX);
    if (f != stdin) fclose(f);
    hwi_buf_add(out, "", 1);
    cli_need(!out->failed);
    if (st != HW_OK) hwi_buf_release(out);
    return st;
}

hw_status
cli_text_or_file(const char *option, const char *value, const char **text, size_t *bytes,
                 char **owned, hw_error *err)
{
    hwi_buf b = {0};

    *owned = NULL;
    *text = value;
    *bytes = value ? strlen(value) : 0;
    if (value == NULL || value[0] != '@') return HW_OK;
    hw_status st = read_file(value + 1, &b, err);
    if (st != HW_OK) return hwi_fail_prefix(err, st, "--%s", option);
    *owned = (char *)b.data;
    *text = *owned;
    *bytes = b.size - 1;
    return HW_OK;
}
