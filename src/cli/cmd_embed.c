/* cmd_embed.c - embed: pictures and sounds of files into a collection, or one as a query.
 *
 * Here are the options, the collection and the reports; embed_run.c takes files through their steps. A
 * file that cannot be read or decoded is told and skipped; the exit code then is 1.
 */
#include "commands.h"
#include "embed_run.h"
#include "embedder.h"
#include "query.h"
#include "settings.h"
#include "table.h"

#include <stdlib.h>
#include <time.h>

#define TOLD_MAX 20u        /* bad files named; the rest are counted */
#define THUMBNAIL_MAX 1024u /* pixels: it becomes part of the payload */

typedef struct embed_args {
    cli_common common;
    const char *db, *coll, *model, *features, *index, *search;
    cli_list paths, set, payload_index;
    uint32_t threads, thumbnail, sound_preview;
    bool create, no_build, again, timings;
    cli_query_args query;
} embed_args;

typedef struct embed_job {
    cli *c;
    const embed_args *a;
    cli_embed_run run;
    cli_progress progress;
    hwi_files files;
    uint64_t skipped;
    bool created;
    bool wrong_use; /* what fails does so for what the command line says, not for a file */
} embed_job;

/* ---- Bad files ---- */

static void
skip(void *arg, const char *path, const char *why)
{
    embed_job *job = arg;

    job->skipped++;
    if (job->skipped > TOLD_MAX) return;
    cli_progress_end(&job->progress);
    cli_complain("skipped %s: %s", path, why);
}

/* ---- The collection ---- */

static hw_status
create_collection(embed_job *job, hw_error *err)
{
    const embed_args *a = job->a;
    const cli_field field = {.name = a->query.using ? a->query.using : "",
                             .dim = hwi_embedder_about(job->run.embedder)->dim};
    const cli_settings settings = {"cosine", a->index, &a->set, &a->payload_index};

    HWI_TRY(cli_settings_create(&job->run.to, a->coll, &field, 1, &settings, err));
    job->created = true;
    return HW_OK;
}

static hw_status
open_for(embed_job *job, hw_error *err)
{
    const embed_args *a = job->a;
    cli_open_mode mode = a->search ? CLI_READ : a->create ? CLI_CREATE : CLI_WRITE;
    uint32_t dim = hwi_embedder_about(job->run.embedder)->dim, there;
    hw_status st;

    HWI_TRY(cli_open(job->c, a->db, mode, &job->run.to.db, err));
    st = hw_collection_open(job->run.to.db, a->coll, &job->run.to.c, err);
    if (st == HW_ENOTFOUND && a->create && !a->search) st = create_collection(job, err);
    if (st != HW_OK) return st;
    there = hw_collection_dim(job->run.to.c, a->query.using);
    if (there == 0)
        return hwi_fail(err, HW_EINVAL, "collection `%s` has no vector `%s`", a->coll,
                        a->query.using ? a->query.using : "(unnamed)");
    if (there != dim)
        return hwi_fail(err, HW_EINVAL, "%s gives vectors of %u values, the collection has %u",
                        hwi_embedder_about(job->run.embedder)->name, dim, there);
    return cli_embedder_agree(job->run.to.c, a->coll, a->query.using,
                              hwi_embedder_about(job->run.embedder), !a->search, err);
}

static hw_status
open_collection(embed_job *job, hw_error *err)
{
    hw_status st = open_for(job, err);

    job->wrong_use = st == HW_EINVAL;
    return st;
}

/* Side files are read with what they belong to, not by themselves. */
static void
leave_out_notes(hwi_files *files)
{
    size_t kept = 0;

    for (size_t i = 0; i < files->count; i++) {
        bool named = files->items[i].root_bytes == 0;
        if (named || !hwi_file_is_note(files->items[i].path))
            files->items[kept++] = files->items[i];
    }
    files->count = kept;
}

static hw_status
build_index(embed_job *job, hw_error *err)
{
    if (job->a->no_build || !job->created)
        return HW_OK; /* an index that is there grows by itself */
    return hw_collection_build(job->run.to.c, cli_progress_show, &job->progress, err);
}

static hw_status
fill(embed_job *job, hw_error *err)
{
    HWI_TRY(hwi_files_find(job->a->paths.items, job->a->paths.count, skip, job, &job->files, err));
    leave_out_notes(&job->files);
    if (job->files.count == 0) return hwi_fail(err, HW_ENOTFOUND, "there are no files to embed");
    HWI_TRY(open_collection(job, err));
    HWI_TRY(cli_embed_files(&job->run, &job->files, err));
    return build_index(job, err);
}

/* ---- Searching by a file ---- */

/* Text of a payload's member; empty when it has none. */
static void
add_member(cli_table *t, const hwi_json *payload, const char *key)
{
    const hwi_json *j = hwi_json_member(payload, key);
    bool is_text = j && j->kind == HWI_JSON_TEXT;

    cli_table_bytes(t, is_text ? j->text : "", is_text ? j->text_bytes : 0);
}

static void
print_hits(const cli *c, const hw_result *r)
{
    cli_table t;

    cli_table_begin(&t, ">rank", ">score", "path", "caption");
    for (size_t i = 0; i < hw_result_count(r); i++) {
        hwi_arena arena = {0};
        const hwi_json *tree = NULL;
        size_t bytes;
        const char *payload = hw_result_payload(r, i, &bytes);

        if (payload && hwi_json_parse(payload, bytes, &arena, &tree, NULL) != HW_OK) tree = NULL;
        cli_table_printf(&t, "%zu", i + 1);
        cli_table_printf(&t, "%.4f", (double)hw_result_scores(r)[i]);
        add_member(&t, tree, "path");
        add_member(&t, tree, "caption");
        hwi_arena_release(&arena);
    }
    cli_table_end(&t, c);
}

static void
print_hits_json(const hw_result *r)
{
    const cli_show show = {.with = HW_WITH_PAYLOAD};
    hwi_buf b = {0};

    cli_add_points(&b, &show, r);
    cli_print_line(&b);
}

static hw_status
search_by(embed_job *job, const float *vector, hw_error *err)
{
    cli_query query;
    hw_result *r;
    hw_status st;

    job->wrong_use = true; /* the file is read: options are what is left to be wrong */
    HWI_TRY(cli_query_init(&job->a->query, &query, err));
    query.query.vector = vector;
    query.query.dim = hwi_embedder_about(job->run.embedder)->dim;
    query.query.vector_name = job->a->query.using;
    query.query.with = HW_WITH_PAYLOAD;
    st = hw_collection_search(job->run.to.c, &query.query, &r, err);
    if (st == HW_OK) {
        if (job->c->mode == CLI_MODE_JSON)
            print_hits_json(r);
        else
            print_hits(job->c, r);
        hw_result_free(r);
    }
    cli_query_release(&query);
    return st;
}

static hw_status
search(embed_job *job, hw_error *err)
{
    float *vector;
    hw_status st;

    HWI_TRY(open_collection(job, err));
    vector = hwi_alloc(hwi_embedder_about(job->run.embedder)->dim * sizeof *vector);
    cli_need(vector != NULL);
    st = cli_embed_file(&job->run, job->a->search, vector, err);
    if (st == HW_OK) st = search_by(job, vector, err);
    hwi_free(vector);
    return st;
}

/* ---- Reports ---- */

/* Milliseconds of processor time a file. */
static double
each_ms(const embed_job *job, uint64_t ns)
{
    return job->run.written ? (double)ns / 1e6 / (double)job->run.written : 0;
}

typedef struct step {
    const char *name;
    uint64_t ns;
} step;

#define STEPS 6u

static void
steps_of(const embed_job *job, step out[STEPS])
{
    const cli_embed_costs *c = &job->run.costs;
    const step steps[STEPS] = {{"read", c->read_ns},       {"decode", c->decode_ns},
                               {"fit", c->fit_ns},         {"model", c->model_ns},
                               {"preview", c->preview_ns}, {"write", c->write_ns}};

    memcpy(out, steps, sizeof steps);
}

static double
process_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Which step took how much of the processors, and how busy they were. */
static void
report_timings(const embed_job *job, double seconds)
{
    step steps[STEPS];
    uint64_t sum_ns = 0;
    cli_table t;

    steps_of(job, steps);
    for (size_t i = 0; i < STEPS; i++) sum_ns += steps[i].ns;
    cli_table_begin(&t, "step", ">ms a file", ">share");
    for (size_t i = 0; i < STEPS; i++) {
        cli_table_text(&t, steps[i].name);
        cli_table_printf(&t, "%.3f", each_ms(job, steps[i].ns));
        cli_table_printf(&t, "%.0f %%", sum_ns ? 100.0 * (double)steps[i].ns / (double)sum_ns : 0);
    }
    cli_table_end(&t, job->c);
    cli_remark(job->c,
               "%.1f files a second of processor time; %.2f processors busy, writing %.1f s",
               process_seconds() > 0 ? (double)job->run.written / process_seconds() : 0.0,
               seconds > 0 ? process_seconds() / seconds : 0.0,
               (double)job->run.costs.write_wall_ns / 1e9);
}

static void
report_json(const embed_job *job, double seconds)
{
    const cli_embed_run *r = &job->run;
    step steps[STEPS];

    printf("{\"written\":%llu,\"unchanged\":%llu,\"other\":%llu,\"skipped\":%llu,"
           "\"seconds\":%.3f",
           (unsigned long long)r->written, (unsigned long long)r->unchanged,
           (unsigned long long)r->other, (unsigned long long)job->skipped, seconds);
    if (job->a->timings) {
        steps_of(job, steps);
        printf(",\"cpu_seconds\":%.3f,\"write_seconds\":%.3f,\"ms\":{", process_seconds(),
               (double)r->costs.write_wall_ns / 1e9);
        for (size_t i = 0; i < STEPS; i++)
            printf("%s\"%s\":%.4f", i ? "," : "", steps[i].name, each_ms(job, steps[i].ns));
        printf("}");
    }
    printf("}\n");
}

static void
report(const embed_job *job)
{
    char written[64], unchanged[32], other[32], skipped[32];
    double seconds = cli_progress_seconds(&job->progress);

    if (job->c->mode == CLI_MODE_JSON) {
        report_json(job, seconds);
        return;
    }
    cli_count_of(job->run.written, "file", written);
    cli_count(job->run.unchanged, unchanged);
    cli_count(job->skipped, skipped);
    cli_count(job->run.other, other);
    cli_remark(job->c, "embedded %s in %.1f s (%.1f a second)", written, seconds,
               seconds > 0 ? (double)job->run.written / seconds : 0.0);
    cli_remark(job->c, "%s unchanged, %s of other kinds, %s skipped", unchanged, other, skipped);
    if (job->a->timings) report_timings(job, seconds);
}

/* ---- The command ---- */

/* False after saying what is wrong with the command line. */
static bool
check_use(const embed_args *a)
{
    if (!a->model == !a->features)
        cli_complain("embed needs --features NAME or --model FILE, and not both");
    else if (!a->search && a->paths.count == 0)
        cli_complain("embed needs files or folders to add, or --search FILE");
    else if (a->search && a->paths.count)
        cli_complain("embed --search takes no other files");
    else if (a->thumbnail > THUMBNAIL_MAX)
        cli_complain("--thumbnail %u is above the maximum %u", a->thumbnail, THUMBNAIL_MAX);
    else if (a->sound_preview > HWI_PREVIEW_SECONDS_MAX)
        cli_complain("--sound-preview %u is above the maximum %u", a->sound_preview,
                     HWI_PREVIEW_SECONDS_MAX);
    else
        return true;
    return false;
}

static hw_status
run_job(embed_job *job, hw_error *err)
{
    const embed_args *a = job->a;
    const hwi_embedder_opts opts = {.model = a->model, .features = a->features, .threads = 1};

    HWI_TRY(hwi_embedder_open(&opts, &job->run.embedder, err));
    return a->search ? search(job, err) : fill(job, err);
}

static int
run_embed(cli *c, const void *args)
{
    embed_job *job;
    hw_error err = {0};
    hw_status st;
    int code;

    if (!check_use(args)) return CLI_USAGE;
    job = hwi_alloc_zero(sizeof *job);
    cli_need(job != NULL);
    job->c = c;
    job->a = args;
    job->run = (cli_embed_run){.vector = job->a->query.using,
                               .threads = job->a->threads,
                               .thumbnail = job->a->thumbnail,
                               .preview_seconds = job->a->sound_preview,
                               .again = job->a->again,
                               .skipped = skip,
                               .arg = job,
                               .progress = &job->progress};
    c->bulk_load = !job->a->no_build;
    cli_progress_begin(&job->progress, c);
    st = run_job(job, &err);
    cli_progress_end(&job->progress);
    if (st == HW_OK && !job->a->search) report(job);
    if (st != HW_OK)
        code = job->wrong_use ? cli_fail_input(&err) : cli_fail(&err);
    else
        code = job->skipped ? CLI_FAILED : CLI_OK;
    hwi_files_release(&job->files);
    hwi_embedder_close(job->run.embedder);
    cli_close_collection(c, &job->run.to);
    hwi_free(job);
    return code;
}

const cli_command cli_embed_command = {
    .name = "embed",
    .summary = "turn pictures and sounds of files into vectors, and search by them",
    .about =
        "Folders are walked, links to folders not followed, hidden files left out. Each file "
        "becomes a point whose id follows from its path and whose payload says path, folder "
        "names as labels, size, type, a hash of the content, a thumbnail (of a sound: its "
        "spectrum), of a sound some seconds to listen to, and what "
        "side files say: NAME.txt is a caption, the keys of NAME.json join the payload. Run again, "
        "it embeds only files that are new or changed. Files of other kinds are passed over; one "
        "that "
        "cannot be decoded is told and skipped, and the exit code is then 1.\n\n"
        "--features needs nothing else: pixels (composition, near-duplicates), colour-histogram, "
        "logmel (sounds). --model takes an ONNX file, as PyTorch exports it, through ONNX Runtime; "
        "its card MODEL.onnx.json says how pictures are to be fitted and scaled "
        "(docs/embedding.md).",
    .examples = "hashwood embed pets.hw pets ~/Pictures/pets --features pixels --create\n"
                "hashwood embed pets.hw pets --features pixels --search cat.jpg -k 5\n"
                "hashwood embed shop.hw goods photos/ --model resnet18.onnx --create "
                "--payload-index 'labels:keyword'\n",
    .operands =
        (const cli_operand[]){CLI_DB(embed_args, db),
                              {"COLL", "name of the collection", offsetof(embed_args, coll), 0, 0},
                              {"PATH", "files and folders", offsetof(embed_args, paths), 1, 1},
                              {0}},
    .options =
        (const cli_option[]){
            {"model", 0, CLI_TEXT, offsetof(embed_args, model), "FILE", "an ONNX model", NULL},
            {"features", 0, CLI_TEXT, offsetof(embed_args, features), "NAME",
             "built-in features instead of a model", "pixels|colour-histogram|logmel"},
            {"create", 'c', CLI_FLAG, offsetof(embed_args, create), NULL,
             "create the collection, and the database, when there is none", NULL},
            {"search", 's', CLI_TEXT, offsetof(embed_args, search), "FILE",
             "search by this file instead of adding files", NULL},
            {"index", 0, CLI_TEXT, offsetof(embed_args, index), "KIND",
             "with --create: hybrid, kdtree, lsh or flat (default hybrid)", CLI_KINDS},
            {"set", 0, CLI_LIST, offsetof(embed_args, set), "KEY=VALUE",
             "with --create: a setting of the index; repeatable", NULL},
            {"payload-index", 0, CLI_LIST, offsetof(embed_args, payload_index), "FIELD:TYPE",
             "with --create: index a payload field for filters; repeatable", NULL},
            {"thumbnail", 0, CLI_U32, offsetof(embed_args, thumbnail), "PIXELS",
             "longer side of the picture kept in the payload, at most 1024; 0: none (default 96)",
             NULL},
            {"sound-preview", 0, CLI_U32, offsetof(embed_args, sound_preview), "SECONDS",
             "how much of a sound is kept in the payload to listen to, at most 15, about 3 kB a "
             "second; 0: none (default 4)",
             NULL},
            {"again", 0, CLI_FLAG, offsetof(embed_args, again), NULL,
             "embed unchanged files as well", NULL},
            {"timings", 0, CLI_FLAG, offsetof(embed_args, timings), NULL,
             "say which step took how much of the processors", NULL},
            {"no-build", 0, CLI_FLAG, offsetof(embed_args, no_build), NULL,
             "leave the index to grow by itself, or to a later build", NULL},
            {"threads", 't', CLI_U32, offsetof(embed_args, threads), "N",
             "files at once (default one per processor)", NULL},
            CLI_QUERY_OPTIONS(embed_args, query),
            {0}},
    .args_bytes = sizeof(embed_args),
    .defaults =
        &(const embed_args){.thumbnail = 96, .sound_preview = 4, .query = CLI_QUERY_DEFAULTS},
    .run = run_embed};
