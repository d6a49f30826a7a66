/* embedder.c - which embedder made a collection's vectors; and embedders for a server.
 *
 * It is kept in the collection's metadata, where every client sees it, rather than in the settings
 * of the command: who searches by a file may be a server, or a command on another machine. */
#include "embedder.h"

#include "embed/files.h"
#ifdef HAVE_SERVER
#include "server/embedding.h"
#endif

/* ---- What the collection says */

typedef struct stored {
    hwi_arena arena;
    const char *name, *digest; /* NULL: it says nothing of this vector */
} stored;

static const char *
text_of(const hwi_json *o, const char *key)
{
    const hwi_json *j = hwi_json_member(o, key);
    return j && j->kind == HWI_JSON_TEXT ? j->text : NULL;
}

static hw_status
read_stored(hw_collection *c, const char *vector, stored *out, hw_error *err)
{
    const hwi_json *tree, *embedders;
    char *text;

    *out = (stored){0};
    HWI_TRY(hw_collection_describe(c, &text, err));
    hw_status st = hwi_json_parse(text, strlen(text), &out->arena, &tree, err);
    hw_free(text);
    if (st != HW_OK) return st;
    embedders = hwi_json_member(hwi_json_member(tree, "extra"), "metadata");
    embedders = hwi_json_member(hwi_json_member(embedders, "embedders"), vector);
    out->name = text_of(embedders, "name");
    out->digest = text_of(embedders, "digest");
    return HW_OK;
}

/* ---- Noting it down */

static void
add_text(hwi_buf *b, const char *text)
{
    hwi_json_write_text(b, text, strlen(text));
}

static hw_status
note(hw_collection *c, const char *vector, const hwi_embedder_info *about, hw_error *err)
{
    hwi_buf patch = {0};

    hwi_buf_text(&patch, "{\"metadata\":{\"embedders\":{");
    add_text(&patch, vector);
    hwi_buf_text(&patch, ":{\"name\":");
    add_text(&patch, about->name);
    hwi_buf_text(&patch, ",\"digest\":");
    add_text(&patch, about->digest);
    hwi_buf_printf(&patch, ",\"media\":\"%s\"}}}}",
                   about->media == HWI_MEDIA_IMAGE ? "image" : "sound");
    hwi_buf_fill(&patch, 0, 1);
    cli_need(!patch.failed);
    hw_status st = hw_collection_configure(c, (const char *)patch.data, err);
    hwi_buf_release(&patch);
    return st;
}

/* ---- Both */

/* A model may have another name elsewhere; the digest of built-in features is a mere revision. */
static bool
is_same(const stored *s, const hwi_embedder_info *about)
{
    bool same_name = strcmp(s->name, about->name) == 0;
    bool same_digest = s->digest && strcmp(s->digest, about->digest) == 0;

    return same_digest && (same_name || strlen(about->digest) == HWI_DIGEST_ROOM - 1);
}

static hw_status
disagree(const char *name, const char *vector, const stored *s, const hwi_embedder_info *about,
         hw_error *err)
{
    bool renewed = strcmp(s->name, about->name) == 0;

    return hwi_fail(err, HW_EINVAL,
                    "the vectors %s%s%sof `%s` were made by %s%s (digest %.12s), not by this %s "
                    "(digest %.12s), and do not compare: use that one, or another vector (--using)",
                    vector[0] ? "`" : "", vector, vector[0] ? "` " : "", name,
                    renewed ? "another " : "", s->name, s->digest ? s->digest : "?", about->name,
                    about->digest);
}

hw_status
cli_embedder_agree(hw_collection *c, const char *name, const char *vector,
                   const hwi_embedder_info *about, bool write, hw_error *err)
{
    uint64_t points = 1;
    stored s;

    if (vector == NULL) vector = "";
    hw_status st = read_stored(c, vector, &s, err);
    bool is_known = st == HW_OK && s.name, agrees = is_known && is_same(&s, about);
    if (is_known && !agrees && write) st = hw_collection_count(c, NULL, 0, &points, err);
    if (st == HW_OK && is_known && !agrees && points) st = disagree(name, vector, &s, about, err);
    if (st == HW_OK && write && !agrees) st = note(c, vector, about, err);
    hwi_arena_release(&s.arena);
    return st;
}

/* ---- For a server */

#ifdef HAVE_SERVER
static hw_status
open_what(const char *what, void **out, hw_error *err)
{
    hwi_embedder_opts opts = {.threads = 1}; /* several files at once, each on one core */
    hwi_embedder *e = NULL;
    bool is_file = strchr(what, '/') || strchr(what, '.');

    *(is_file ? &opts.model : &opts.features) = what;
    hw_status st = hwi_embedder_open(&opts, &e, err);
    *out = e;
    return st;
}

static void
close_what(void *embedder)
{
    hwi_embedder_close(embedder);
}

static void
about_what(const void *embedder, hwi_embedding_about *out)
{
    const hwi_embedder_info *info = hwi_embedder_about(embedder);

    *out = (hwi_embedding_about){.name = info->name,
                                 .digest = info->digest,
                                 .media = info->media == HWI_MEDIA_IMAGE ? "image" : "sound",
                                 .dim = info->dim};
}

static hw_status
embed_what(const void *embedder, const hwi_embedding_file *from, float *out, hw_error *err)
{
    const hwi_media_limits limits = {from->pixels_max, from->is_over, from->arg};
    const hwi_media_file file = {.name = from->name, .content = from->content, .limits = &limits};
    const hwi_embedder_info *info = hwi_embedder_about(embedder);
    float *input = hwi_alloc(info->input_count * sizeof *input);
    hwi_media_facts facts;

    if (input == NULL) return hwi_nomem(err, info->input_count * sizeof *input);
    hw_status st = hwi_embedder_prepare(embedder, &file, input, &facts, err);
    if (st == HW_OK) {
        hwi_media_facts_release(&facts);
        st = hwi_embedder_run(embedder, input, 1, out, err);
    }
    hwi_free(input);
    return st;
}

const hwi_embedding cli_embedding = {hwi_features_names, open_what, close_what, about_what,
                                     embed_what};
#endif
