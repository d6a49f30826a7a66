/* cmd_embed.c - embed: pictures and sounds of files into a collection, or one as a query.
 *
 *     folders -> files -> [there already, unchanged?] -> chunks -> decode, fit, model -> one transaction
 *                                                        (a file a thread, all cores)
 *
 * Each thread takes a file through all its steps with a model that uses one core, so decoding one
 * picture and running the model on another go on side by side. A chunk's points are written by one
 * transaction. A run that was cut short is run again: files whose content has the hash that is
 * stored are left alone. A file that cannot be read or decoded is told and skipped; the exit code
 * then is 1.
 */
#include "commands.h"
#include "embedder.h"
#include "embed/files.h"
#include "progress.h"
#include "query.h"
#include "settings.h"
#include "table.h"

#include <stdlib.h>

#define CHUNK 128u
#define CHUNK_BYTES ((uint64_t)256 << 20)
#define TOLD_MAX 20u /* bad files named; the rest are counted */

typedef struct embed_args {
    cli_common common;
    const char *db, *coll, *model, *features, *index, *search;
    cli_list paths, set, payload_index;
    uint32_t threads, thumbnail, sound_preview;
    bool create, no_build, again;
    cli_query_args query;
} embed_args;

typedef struct item {
    const hwi_file *file;
    hw_id id;
    hwi_buf content, payload;
    char hash[17];
    float *vector;               /* room for one; filled when `good` */
    bool unchanged, other, good; /* other: of a kind that is not asked for */
    hw_error error;              /* when none of them */
} item;

typedef struct embed_job {
    cli *c;
    const embed_args *a;
    hwi_embedder *embedder;
    cli_collection coll;
    cli_progress progress;
    hwi_files files;
    item items[CHUNK];
    float *vectors; /* CHUNK x dim */
    uint64_t written, unchanged, other, skipped;
    bool created;
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

/* ---- One file ---- */

static hw_status
embed_content(embed_job *job, item *it, hwi_media_facts *facts, hw_error *err)
{
    const hwi_embedder_info *about = hwi_embedder_about(job->embedder);
    const hwi_media_file file = {.name = it->file->path,
                                 .content = hwi_buf_bytes(&it->content),
                                 .thumbnail_side = job->a->thumbnail,
                                 .preview_seconds = job->a->sound_preview};
    float *input = hwi_alloc(about->input_count * sizeof *input);
    hw_status st;

    if (input == NULL) return hwi_nomem(err, about->input_count * sizeof *input);
    st = hwi_embedder_prepare(job->embedder, &file, input, facts, err);
    if (st == HW_OK) st = hwi_embedder_run(job->embedder, input, 1, it->vector, err);
    hwi_free(input);
    return st;
}

/* A worker's: all but reading, which happened when the hash was taken. */
static void
embed_item(void *arg, size_t i)
{
    embed_job *job = arg;
    item *it = &job->items[i];
    hwi_media_facts facts = {0};

    if (it->unchanged || it->other || it->error.status != HW_OK || cli_interrupted()) return;
    if (embed_content(job, it, &facts, &it->error) == HW_OK) {
        hwi_file_describe(it->file, hwi_buf_bytes(&it->content), it->hash, &facts, &it->payload);
        it->good = !it->payload.failed;
        if (!it->good) hwi_nomem(&it->error, it->payload.size);
    }
    hwi_media_facts_release(&facts);
    hwi_buf_release(&it->content);
}

/* Its first bytes tell, so that a film that lies among pictures is not read as a whole. */
static bool
is_other(embed_job *job, item *it)
{
    hwi_buf start = {0};
    bool other = hwi_file_start(it->file->path, HWI_START_BYTES, &start, &it->error) == HW_OK &&
                 !hwi_embedder_wants(job->embedder, it->file->path, hwi_buf_bytes(&start));

    hwi_buf_release(&start);
    return other;
}

static void
read_item(void *arg, size_t i)
{
    embed_job *job = arg;
    item *it = &job->items[i];
    size_t bytes_max = hwi_embedder_about(job->embedder)->bytes_max;

    it->other = it->file->root_bytes > 0 && is_other(job, it);
    if (it->other || it->error.status != HW_OK) return;
    if (hwi_file_read(it->file->path, bytes_max, &it->content, &it->error) != HW_OK) return;
    hwi_file_hash(hwi_buf_bytes(&it->content), it->hash);
}

/* ---- What is there already ---- */

/* The stored hash of hit i is the item's. */
static bool
same_hash(const hw_result *r, size_t i, const item *it)
{
    size_t bytes;
    const char *payload = hw_result_payload(r, i, &bytes);
    hwi_arena arena = {0};
    const hwi_json *tree, *hash = NULL;
    bool same;

    if (payload && hwi_json_parse(payload, bytes, &arena, &tree, NULL) == HW_OK)
        hash = hwi_json_member(tree, "hash");
    same = hash && hash->kind == HWI_JSON_TEXT && strcmp(hash->text, it->hash) == 0;
    hwi_arena_release(&arena);
    return same;
}

static hw_status
mark_unchanged(embed_job *job, size_t count, hw_error *err)
{
    hw_id ids[CHUNK];
    hw_result *r;
    size_t at = 0;

    if (job->a->again || job->coll.c == NULL) return HW_OK;
    for (size_t i = 0; i < count; i++) ids[i] = job->items[i].id;
    HWI_TRY(hw_collection_get(job->coll.c, ids, count, HW_WITH_PAYLOAD, &r, err));
    for (size_t i = 0; i < count && at < hw_result_count(r); i++) {
        if (hw_id_compare(&hw_result_ids(r)[at], &ids[i]) != 0) continue;
        job->items[i].unchanged = same_hash(r, at++, &job->items[i]);
    }
    hw_result_free(r);
    return HW_OK;
}

/* ---- Chunks ---- */

typedef struct chunk {
    embed_job *job;
    size_t count;
} chunk;

static hw_status
write_body(hw_txn *txn, void *arg, hw_error *err)
{
    embed_job *job = ((chunk *)arg)->job;
    hw_status st = HW_OK;

    for (size_t i = 0; st == HW_OK && i < ((chunk *)arg)->count; i++) {
        item *it = &job->items[i];
        hw_vector v = {.name = job->a->query.using,
                       .values = it->vector,
                       .dim = hwi_embedder_about(job->embedder)->dim};
        if (!it->good) continue;
        st = hw_txn_upsert(txn, job->coll.c, &it->id, &v, 1, (const char *)it->payload.data,
                           it->payload.size, err);
    }
    return st;
}

static hw_status
write_chunk(embed_job *job, size_t count, hw_error *err)
{
    chunk c = {job, count};
    return hw_db_run(job->coll.db, write_body, &c, err);
}

static void
settle_chunk(embed_job *job, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        item *it = &job->items[i];
        job->written += it->good;
        job->unchanged += it->unchanged;
        job->other += it->other;
        if (it->error.status != HW_OK) skip(job, it->file->path, it->error.message);
        hwi_buf_release(&it->content);
        hwi_buf_release(&it->payload);
    }
}

static hw_status
embed_chunk(embed_job *job, size_t first, size_t count, hw_error *err)
{
    uint32_t dim = hwi_embedder_about(job->embedder)->dim;
    hw_status st;

    for (size_t i = 0; i < count; i++) {
        const hwi_file *file = &job->files.items[first + i];
        job->items[i] =
            (item){.file = file, .id = hwi_file_id(file->path), .vector = job->vectors + i * dim};
    }
    hwi_parallel_for(job->a->threads, count, read_item, job);
    st = mark_unchanged(job, count, err);
    if (st == HW_OK) {
        hwi_parallel_for(job->a->threads, count, embed_item, job);
        st = cli_interrupted() ? hwi_fail(err, HW_ECANCELED, "interrupted")
                               : write_chunk(job, count, err);
    }
    settle_chunk(job, count);
    return st;
}

/* Files of the chunk that begins at `first`: their contents are in memory together. */
static size_t
chunk_at(const embed_job *job, size_t first)
{
    size_t most = HWI_MIN(job->files.count - first, (size_t)CHUNK), count = 0;
    uint64_t bytes = 0, bytes_max = hwi_embedder_about(job->embedder)->bytes_max;

    do {
        uint64_t more = job->files.items[first + count].bytes;
        if (more <= bytes_max) bytes += more; /* larger ones are refused unread */
        if (bytes > CHUNK_BYTES && count > 0) break;
    } while (++count < most);
    return count;
}

static hw_status
embed_all(embed_job *job, hw_error *err)
{
    size_t total = job->files.count;

    for (size_t first = 0, count; first < total; first += count) {
        count = chunk_at(job, first);
        HWI_TRY(embed_chunk(job, first, count, err));
        if (!cli_progress_show(&job->progress, "embed", first + count, total))
            return hwi_fail(err, HW_ECANCELED, "interrupted");
    }
    return HW_OK;
}

/* ---- The collection ---- */

static hw_status
create_collection(embed_job *job, hw_error *err)
{
    const embed_args *a = job->a;
    const cli_field field = {.name = a->query.using ? a->query.using : "",
                             .dim = hwi_embedder_about(job->embedder)->dim};
    const cli_settings settings = {"cosine", a->index, &a->set, &a->payload_index};

    HWI_TRY(cli_settings_create(&job->coll, a->coll, &field, 1, &settings, err));
    job->created = true;
    return HW_OK;
}

static hw_status
open_collection(embed_job *job, hw_error *err)
{
    const embed_args *a = job->a;
    cli_open_mode mode = a->search ? CLI_READ : a->create ? CLI_CREATE : CLI_WRITE;
    uint32_t dim = hwi_embedder_about(job->embedder)->dim, there;
    hw_status st;

    HWI_TRY(cli_open(job->c, a->db, mode, &job->coll.db, err));
    st = hw_collection_open(job->coll.db, a->coll, &job->coll.c, err);
    if (st == HW_ENOTFOUND && a->create && !a->search) st = create_collection(job, err);
    if (st != HW_OK) return st;
    there = hw_collection_dim(job->coll.c, a->query.using);
    if (there != dim)
        return hwi_fail(err, HW_EINVAL, "%s gives vectors of %u values, the collection has %u",
                        hwi_embedder_about(job->embedder)->name, dim, there);
    return cli_embedder_agree(job->coll.c, a->coll, a->query.using,
                              hwi_embedder_about(job->embedder), !a->search, err);
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
    return hw_collection_build(job->coll.c, cli_progress_show, &job->progress, err);
}

static hw_status
fill(embed_job *job, hw_error *err)
{
    size_t bytes = CHUNK * hwi_embedder_about(job->embedder)->dim * sizeof(float);

    HWI_TRY(hwi_files_find(job->a->paths.items, job->a->paths.count, skip, job, &job->files, err));
    leave_out_notes(&job->files);
    if (job->files.count == 0) return hwi_fail(err, HW_ENOTFOUND, "there are no files to embed");
    HWI_TRY(open_collection(job, err));
    job->vectors = hwi_alloc(bytes);
    cli_need(job->vectors != NULL);
    HWI_TRY(embed_all(job, err));
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
search(embed_job *job, hw_error *err)
{
    hwi_file file = {.path = job->a->search};
    item *it = &job->items[0];
    cli_query query;
    hw_result *r;
    hw_status st;

    HWI_TRY(open_collection(job, err));
    job->vectors = hwi_alloc(hwi_embedder_about(job->embedder)->dim * sizeof(float));
    cli_need(job->vectors != NULL);
    *it = (item){.file = &file, .vector = job->vectors};
    read_item(job, 0);
    embed_item(job, 0);
    hwi_buf_release(&it->payload);
    hwi_buf_release(&it->content);
    if (!it->good) return hwi_fail(err, it->error.status, "%s: %s", file.path, it->error.message);
    HWI_TRY(cli_query_init(&job->a->query, &query, err));
    query.query.vector = it->vector;
    query.query.dim = hwi_embedder_about(job->embedder)->dim;
    query.query.vector_name = job->a->query.using;
    query.query.with = HW_WITH_PAYLOAD;
    st = hw_collection_search(job->coll.c, &query.query, &r, err);
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

/* ---- The command ---- */

static void
report(const embed_job *job)
{
    char written[32], unchanged[32], other[32], skipped[32];
    double seconds = cli_progress_seconds(&job->progress);

    if (job->c->mode == CLI_MODE_JSON) {
        printf("{\"written\":%llu,\"unchanged\":%llu,\"other\":%llu,\"skipped\":%llu,"
               "\"seconds\":%.3f}\n",
               (unsigned long long)job->written, (unsigned long long)job->unchanged,
               (unsigned long long)job->other, (unsigned long long)job->skipped, seconds);
        return;
    }
    cli_count(job->written, written);
    cli_count(job->unchanged, unchanged);
    cli_count(job->skipped, skipped);
    cli_count(job->other, other);
    cli_remark(job->c, "embedded %s files in %.1f s (%.1f a second)", written, seconds,
               seconds > 0 ? (double)job->written / seconds : 0.0);
    cli_remark(job->c, "%s unchanged, %s of other kinds, %s skipped", unchanged, other, skipped);
}

static hw_status
run_job(embed_job *job, hw_error *err)
{
    const embed_args *a = job->a;
    const hwi_embedder_opts opts = {.model = a->model, .features = a->features, .threads = 1};

    if (!a->search && a->paths.count == 0)
        return hwi_fail(err, HW_EINVAL, "embed needs files or folders, or --search FILE");
    HWI_TRY(hwi_embedder_open(&opts, &job->embedder, err));
    return a->search ? search(job, err) : fill(job, err);
}

static int
run_embed(cli *c, const void *args)
{
    embed_job *job = hwi_alloc_zero(sizeof *job);
    hw_error err = {0};
    hw_status st;
    int code;

    cli_need(job != NULL);
    job->c = c;
    job->a = args;
    c->bulk_load = !job->a->no_build;
    cli_progress_begin(&job->progress, c);
    st = run_job(job, &err);
    cli_progress_end(&job->progress);
    if (st == HW_OK && !job->a->search) report(job);
    code = st != HW_OK ? cli_fail(&err) : job->skipped ? CLI_FAILED : CLI_OK;
    hwi_free(job->vectors);
    hwi_files_release(&job->files);
    hwi_embedder_close(job->embedder);
    cli_close_collection(c, &job->coll);
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
        (const cli_operand[]){
            {"DB", "folder of the database, or fdb:...", offsetof(embed_args, db), 0, 0},
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
             "longer side of the picture kept in the payload; 0: none (default 96)", NULL},
            {"sound-preview", 0, CLI_U32, offsetof(embed_args, sound_preview), "SECONDS",
             "how much of a sound is kept in the payload to listen to, at most 15, about 3 kB a "
             "second; 0: none (default 4)",
             NULL},
            {"again", 0, CLI_FLAG, offsetof(embed_args, again), NULL,
             "embed unchanged files as well", NULL},
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
