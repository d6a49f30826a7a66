/* embed_run.c - files through all steps, chunk by chunk.
 *
 *     folders -> files -> [there already, unchanged?] -> decode, fit, model -> one transaction
 *                          (a chunk at a time)           (a file a thread)     (a thread of its own)
 *
 *     embed   | chunk 1 | chunk 2 | chunk 3 |
 *     write             | chunk 1 | chunk 2 | chunk 3 |
 *
 * Each thread takes a file through all its steps with a model that uses one core, so decoding one
 * picture and running the model on another go on side by side. A chunk's points are written by one
 * transaction while the next chunk is embedded, since a commit waits for the disk. A run that was cut
 * short is run again: files whose content has the hash that is stored are left alone.
 */
#include "embed_run.h"

#include <pthread.h>
#include <time.h>

#define CHUNK 128u
#define CHUNK_BYTES ((uint64_t)256 << 20)

typedef struct item {
    const hwi_file *file;
    hw_id id;
    hwi_buf content, payload;
    char hash[17];
    float *vector;               /* room for one; filled when `good` */
    bool unchanged, other, good; /* other: of a kind that is not asked for */
    hw_error error;              /* when none of them */
    cli_embed_costs costs;
} item;

typedef struct chunk {
    cli_embed_run *run;
    item items[CHUNK];
    float *vectors; /* CHUNK x dim */
    size_t count;

    /* Writing, in a thread of its own. */
    pthread_t writer;
    bool is_writing;
    hw_status status;
    hw_error error;
    uint64_t write_ns, write_wall_ns;
} chunk;

static uint64_t
cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- One file ---- */

static hw_status
embed_content(chunk *k, item *it, hwi_media_facts *facts, hw_error *err)
{
    const hwi_embedder_info *about = hwi_embedder_about(k->run->embedder);
    const hwi_media_file file = {.name = it->file->path,
                                 .content = hwi_buf_bytes(&it->content),
                                 .thumbnail_side = k->run->thumbnail,
                                 .preview_seconds = k->run->preview_seconds};
    float *input = hwi_alloc(about->input_count * sizeof *input);
    hw_status st;

    if (input == NULL) return hwi_nomem(err, about->input_count * sizeof *input);
    st = hwi_embedder_prepare(k->run->embedder, &file, input, facts, err);
    uint64_t begin_ns = cpu_ns();
    if (st == HW_OK) st = hwi_embedder_run(k->run->embedder, input, 1, it->vector, err);
    it->costs.model_ns = cpu_ns() - begin_ns;
    hwi_free(input);
    return st;
}

/* A worker's: all but reading, which happened when the hash was taken. */
static void
embed_item(void *arg, size_t i)
{
    chunk *k = arg;
    item *it = &k->items[i];
    hwi_media_facts facts = {0};

    if (it->unchanged || it->other || it->error.status != HW_OK || cli_interrupted()) return;
    if (embed_content(k, it, &facts, &it->error) == HW_OK) {
        hwi_file_describe(it->file, hwi_buf_bytes(&it->content), it->hash, &facts, &it->payload);
        it->good = !it->payload.failed;
        if (!it->good) hwi_nomem(&it->error, it->payload.size);
    }
    it->costs.decode_ns = facts.decode_ns;
    it->costs.fit_ns = facts.fit_ns;
    it->costs.preview_ns = facts.preview_ns;
    hwi_media_facts_release(&facts);
    hwi_buf_release(&it->content);
}

/* Its first bytes tell, so that a film that lies among pictures is not read as a whole. */
static bool
is_other(chunk *k, item *it)
{
    hwi_buf start = {0};
    bool other = hwi_file_start(it->file->path, HWI_START_BYTES, &start, &it->error) == HW_OK &&
                 !hwi_embedder_wants(k->run->embedder, it->file->path, hwi_buf_bytes(&start));

    hwi_buf_release(&start);
    return other;
}

static void
read_content(chunk *k, item *it)
{
    size_t bytes_max = hwi_embedder_about(k->run->embedder)->bytes_max;

    it->other = it->file->root_bytes > 0 && is_other(k, it);
    if (it->other || it->error.status != HW_OK) return;
    if (hwi_file_read(it->file->path, bytes_max, &it->content, &it->error) != HW_OK) return;
    hwi_file_hash(hwi_buf_bytes(&it->content), it->hash);
}

static void
read_item(void *arg, size_t i)
{
    chunk *k = arg;
    uint64_t begin_ns = cpu_ns();

    read_content(k, &k->items[i]);
    k->items[i].costs.read_ns = cpu_ns() - begin_ns;
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
mark_unchanged(chunk *k, hw_error *err)
{
    hw_id ids[CHUNK];
    hw_result *r;
    size_t at = 0;

    if (k->run->again) return HW_OK;
    for (size_t i = 0; i < k->count; i++) ids[i] = k->items[i].id;
    HWI_TRY(hw_collection_get(k->run->to.c, ids, k->count, HW_WITH_PAYLOAD, &r, err));
    for (size_t i = 0; i < k->count && at < hw_result_count(r); i++) {
        if (hw_id_compare(&hw_result_ids(r)[at], &ids[i]) != 0) continue;
        k->items[i].unchanged = same_hash(r, at++, &k->items[i]);
    }
    hw_result_free(r);
    return HW_OK;
}

/* ---- Writing a chunk ---- */

/* May run more than once, when another writer won. */
static hw_status
write_points(hw_txn *txn, void *arg, hw_error *err)
{
    chunk *k = arg;
    hw_status st = HW_OK;

    for (size_t i = 0; st == HW_OK && i < k->count; i++) {
        item *it = &k->items[i];
        hw_vector v = {.name = k->run->vector,
                       .values = it->vector,
                       .dim = hwi_embedder_about(k->run->embedder)->dim};
        if (!it->good) continue;
        st = hw_txn_upsert(txn, k->run->to.c, &it->id, &v, 1, (const char *)it->payload.data,
                           it->payload.size, err);
    }
    return st;
}

static void *
write_chunk(void *arg)
{
    chunk *k = arg;
    uint64_t begin_ns = cpu_ns(), begin_wall_ns = hwi_clock_ns();

    k->status = hw_db_run(k->run->to.db, write_points, k, &k->error);
    k->write_ns = cpu_ns() - begin_ns;
    k->write_wall_ns = hwi_clock_ns() - begin_wall_ns;
    return NULL;
}

static void
begin_writing(chunk *k)
{
    k->is_writing = true;
    if (pthread_create(&k->writer, NULL, write_chunk, k) == 0) return;
    write_chunk(k); /* no thread to be had: here, then */
    k->is_writing = false;
}

static void
add_costs(cli_embed_costs *to, const cli_embed_costs *c)
{
    to->read_ns += c->read_ns;
    to->decode_ns += c->decode_ns;
    to->fit_ns += c->fit_ns;
    to->model_ns += c->model_ns;
    to->preview_ns += c->preview_ns;
}

/* Waits for its writer, tells of bad files, and makes the chunk empty. */
static hw_status
settle(chunk *k, hw_error *err)
{
    cli_embed_run *run = k->run;
    hw_status st = HW_OK;

    if (k->is_writing) pthread_join(k->writer, NULL);
    k->is_writing = false;
    for (size_t i = 0; i < k->count; i++) {
        item *it = &k->items[i];
        run->written += it->good;
        run->unchanged += it->unchanged;
        run->other += it->other;
        add_costs(&run->costs, &it->costs);
        if (it->error.status != HW_OK) run->skipped(run->arg, it->file->path, it->error.message);
        hwi_buf_release(&it->content);
        hwi_buf_release(&it->payload);
    }
    run->costs.write_ns += k->write_ns;
    run->costs.write_wall_ns += k->write_wall_ns;
    k->write_ns = k->write_wall_ns = 0;
    k->count = 0;
    if (k->status != HW_OK) st = hwi_fail(err, k->status, "%s", k->error.message);
    k->status = HW_OK;
    return st;
}

/* ---- Chunks ---- */

static hw_status
embed_chunk(chunk *k, const hwi_file *files, size_t count, hw_error *err)
{
    uint32_t dim = hwi_embedder_about(k->run->embedder)->dim;

    k->count = count;
    for (size_t i = 0; i < count; i++)
        k->items[i] = (item){
            .file = &files[i], .id = hwi_file_id(files[i].path), .vector = k->vectors + i * dim};
    hwi_parallel_for(k->run->threads, count, read_item, k);
    HWI_TRY(mark_unchanged(k, err));
    hwi_parallel_for(k->run->threads, count, embed_item, k);
    return cli_interrupted() ? hwi_fail(err, HW_ECANCELED, "interrupted") : HW_OK;
}

/* Files of the chunk that begins at `first`: their contents are in memory together. */
static size_t
chunk_at(const cli_embed_run *run, const hwi_files *files, size_t first)
{
    size_t most = HWI_MIN(files->count - first, (size_t)CHUNK), count = 0;
    uint64_t bytes = 0, bytes_max = hwi_embedder_about(run->embedder)->bytes_max;

    do {
        uint64_t more = files->items[first + count].bytes;
        if (more <= bytes_max) bytes += more; /* larger ones are refused unread */
        if (bytes > CHUNK_BYTES && count > 0) break;
    } while (++count < most);
    return count;
}

/* Two chunks take turns: one is written while the other is embedded. */
static hw_status
embed_all(cli_embed_run *run, const hwi_files *files, chunk *chunks, hw_error *err)
{
    size_t count, turn = 0;

    for (size_t first = 0; first < files->count; first += count, turn ^= 1) {
        chunk *k = &chunks[turn], *before = &chunks[turn ^ 1];
        count = chunk_at(run, files, first);
        hw_status st = embed_chunk(k, files->items + first, count, err);
        if (st != HW_OK) return st;
        HWI_TRY(settle(before, err)); /* one transaction at a time */
        begin_writing(k);
        if (!cli_progress_show(run->progress, "embed", first + count, files->count))
            return hwi_fail(err, HW_ECANCELED, "interrupted");
    }
    return settle(&chunks[turn ^ 1], err);
}

hw_status
cli_embed_files(cli_embed_run *run, const hwi_files *files, hw_error *err)
{
    size_t bytes = CHUNK * hwi_embedder_about(run->embedder)->dim * sizeof(float);
    chunk *chunks = hwi_alloc_zero(2 * sizeof *chunks);
    hw_status st;

    cli_need(chunks != NULL);
    for (size_t i = 0; i < 2; i++) {
        chunks[i].run = run;
        chunks[i].vectors = hwi_alloc(bytes);
        cli_need(chunks[i].vectors != NULL);
    }
    st = embed_all(run, files, chunks, err);
    for (size_t i = 0; i < 2; i++) { /* what an error left */
        hw_status last = settle(&chunks[i], st == HW_OK ? err : NULL);
        if (st == HW_OK) st = last;
        hwi_free(chunks[i].vectors);
    }
    hwi_free(chunks);
    return st;
}

hw_status
cli_embed_file(cli_embed_run *run, const char *path, float *out, hw_error *err)
{
    const hwi_file file = {.path = path};
    chunk *k = hwi_alloc_zero(sizeof *k);
    item *it;
    hw_status st = HW_OK;

    cli_need(k != NULL);
    k->run = run;
    it = &k->items[0];
    *it = (item){.file = &file, .vector = out};
    read_item(k, 0);
    embed_item(k, 0);
    if (!it->good) st = hwi_fail(err, it->error.status, "%s: %s", path, it->error.message);
    hwi_buf_release(&it->payload);
    hwi_buf_release(&it->content);
    hwi_free(k);
    return st;
}
