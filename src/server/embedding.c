/* embedding.c - which embedder serves which collection, and how many work at once.
 *
 * A collection's metadata may say what made its vectors (hashwood embed writes it there). An entry
 * that names the collection and does not agree with that is refused: its answers would be noise. An
 * entry for any collection is passed over where it does not fit.
 */
#include "embedding.h"

#include <stdio.h>

#include "server_impl.h"

#define ENTRIES_MAX 64u

typedef struct opened {
    char *what;
    void *embedder;
    hwi_embedding_about about;
} opened;

typedef struct entry {
    char *collection; /* NULL: any */
    char *vector;     /* NULL: any */
    size_t embedder;
    bool must_be_said; /* only where the metadata names this embedder */
} entry;

struct hwi_embedders {
    const hwi_embedding *with;
    hwi_arena arena;
    opened opened[ENTRIES_MAX];
    entry entries[ENTRIES_MAX];
    size_t opened_count, entry_count;
    uint32_t at_once;
    atomic_uint active;
    atomic_uint_fast64_t done, refused, failed, us;
};

/* ---- Reading embedding.collections */

static hw_status
open_what(hwi_embedders *e, const char *what, size_t *out, hw_error *err)
{
    for (*out = 0; *out < e->opened_count; ++*out)
        if (strcmp(e->opened[*out].what, what) == 0) return HW_OK;
    if (*out == ENTRIES_MAX) return hwi_fail(err, HW_EINVAL, "more than %u embedders", ENTRIES_MAX);
    opened *o = &e->opened[*out];
    o->what = hwi_arena_text(&e->arena, what, strlen(what));
    if (o->what == NULL) return hwi_nomem(err, strlen(what));
    HWI_TRY(e->with->open(what, &o->embedder, err));
    e->with->about(o->embedder, &o->about);
    e->opened_count++;
    return HW_OK;
}

static hw_status
add_entry(hwi_embedders *e, entry new, const char *what, hw_error *err)
{
    if (e->entry_count == ENTRIES_MAX)
        return hwi_fail(err, HW_EINVAL, "more than %u entries", ENTRIES_MAX);
    HWI_TRY(open_what(e, what, &new.embedder, err));
    e->entries[e->entry_count++] = new;
    return HW_OK;
}

/* The built-in ones, each where the collection says it is the one. */
static hw_status
add_auto(hwi_embedders *e, hw_error *err)
{
    for (const char *at = e->with->builtin; *at;) {
        char name[64];
        size_t bytes = strcspn(at, "|");
        snprintf(name, sizeof name, "%.*s", (int)bytes, at);
        HWI_TRY(add_entry(e, (entry){.must_be_said = true}, name, err));
        at += bytes + (at[bytes] == '|');
    }
    return HW_OK;
}

static char *
trim(char *text)
{
    text += strspn(text, " \t\r");
    for (size_t n = strlen(text); n && strchr(" \t\r", text[n - 1]);) text[--n] = '\0';
    return text;
}

/* COLLECTION[:VECTOR]=WHAT, cut up in place. */
static hw_status
add_one(hwi_embedders *e, char *text, hw_error *err)
{
    char *equals = strchr(text, '='), *colon;
    entry new = {0};

    if (strcmp(text, "auto") == 0) return add_auto(e, err);
    if (equals == NULL || equals == text || equals[1] == '\0')
        return hwi_fail(err, HW_EINVAL,
                        "`%.200s` is neither `auto` nor COLLECTION=EMBEDDER or "
                        "COLLECTION:VECTOR=EMBEDDER",
                        text);
    *equals = '\0';
    colon = strchr(text, ':');
    if (colon) {
        *colon = '\0';
        new.vector = trim(colon + 1);
    }
    text = trim(text);
    if (strcmp(text, "*") != 0) new.collection = text;
    return add_entry(e, new, trim(equals + 1), err);
}

static hw_status
read_list(hwi_embedders *e, const char *list, hw_error *err)
{
    char *copy = hwi_arena_text(&e->arena, list, strlen(list)), *rest;

    if (copy == NULL) return hwi_nomem(err, strlen(list));
    for (char *one = strtok_r(copy, ",\n", &rest); one; one = strtok_r(NULL, ",\n", &rest)) {
        one = trim(one);
        if (*one) HWI_TRY(add_one(e, one, err));
    }
    return HW_OK;
}

hw_status
hwi_embedders_new(const hwi_config *config, const hwi_embedding *with, hwi_embedders **out,
                  hw_error *err)
{
    const char *list = config->embedding_collections;
    hw_status st;

    *out = NULL;
    if (list[0] == '\0') return HW_OK;
    if (with == NULL)
        return hwi_fail(err, HW_EUNSUPPORTED,
                        "embedding.collections: this hashwood was built without embedding");
    hwi_embedders *e = hwi_alloc_zero(sizeof *e);
    if (e == NULL) return hwi_nomem(err, sizeof *e);
    e->with = with;
    e->at_once = config->embedding_max_at_once;
    st = read_list(e, list, err);
    if (st != HW_OK) {
        hwi_embedders_free(e);
        return hwi_fail_prefix(err, st, "embedding.collections");
    }
    *out = e;
    return HW_OK;
}

void
hwi_embedders_free(hwi_embedders *e)
{
    if (e == NULL) return;
    for (size_t i = 0; i < e->opened_count; i++) e->with->close(e->opened[i].embedder);
    hwi_arena_release(&e->arena);
    hwi_free(e);
}

hw_status
hwi_server_embed(hwi_server *s, const hwi_embedding *with, hw_error *err)
{
    return hwi_embedders_new(&s->config, with, &s->embedders, err);
}

hwi_embedders_counts
hwi_embedders_count(const hwi_embedders *e)
{
    hwi_embedders *m = (hwi_embedders *)(uintptr_t)e; /* a load of an atomic takes no const */

    return (hwi_embedders_counts){.done = atomic_load(&m->done),
                                  .refused = atomic_load(&m->refused),
                                  .failed = atomic_load(&m->failed),
                                  .us = atomic_load(&m->us),
                                  .active = atomic_load(&m->active)};
}

/* ---- Choosing */

static const char *
text_of(const hwi_json *o, const char *key)
{
    const hwi_json *j = hwi_json_member(o, key);
    return j && j->kind == HWI_JSON_TEXT ? j->text : NULL;
}

/* What the collection says of who made the vectors of a field; NULL: nothing. */
static const hwi_json *
said_of(const hwi_shape *shape, const hwi_shape_field *field)
{
    const hwi_json *j = hwi_json_member(hwi_json_member(shape->described, "extra"), "metadata");
    return hwi_json_member(hwi_json_member(j, "embedders"), field->name);
}

/* As in cli/embedder.c: a model may have another name elsewhere, a digest of features is short. */
static bool
is_said(const hwi_json *said, const hwi_embedding_about *about)
{
    const char *name = text_of(said, "name"), *digest = text_of(said, "digest");

    if (name == NULL || digest == NULL || strcmp(digest, about->digest) != 0) return false;
    return strcmp(name, about->name) == 0 || strlen(digest) == 32;
}

static bool
fits(const entry *e, const opened *o, const hwi_shape *shape, const hwi_shape_field *field)
{
    const hwi_json *said = said_of(shape, field);

    if (field->kind != HWI_VECTOR_DENSE || field->dim != o->about.dim) return false;
    return text_of(said, "name") ? is_said(said, &o->about) : !e->must_be_said;
}

static bool
names(const entry *e, const char *path_name, const hwi_shape *shape)
{
    const char *own = text_of(shape->described, "name");

    return e->collection &&
           (strcmp(e->collection, path_name) == 0 || (own && strcmp(e->collection, own) == 0));
}

/* Why the entry that names the collection does not serve. */
static hw_status
misfit_of(const opened *o, const hwi_shape *shape, const hwi_shape_field *field, hw_error *err)
{
    const hwi_json *said = said_of(shape, field);
    const char *name = text_of(said, "name"), *digest = text_of(said, "digest");

    if (field->kind != HWI_VECTOR_DENSE || field->dim != o->about.dim)
        return hwi_fail(err, HW_EINVAL,
                        "%.100s gives vectors of %u values, vector `%.100s` of the collection has "
                        "%u",
                        o->about.name, o->about.dim, field->name, field->dim);
    return hwi_fail(err, HW_EINVAL,
                    "the collection's vectors were made by %.100s (digest %.12s), the server has "
                    "%.100s (digest %.12s), and they do not compare",
                    name, digest ? digest : "?", o->about.name, o->about.digest);
}

static hw_status
none(const hwi_embedders *e, const char *using, hw_error *err)
{
    if (e == NULL)
        return hwi_fail(err, HW_EUNSUPPORTED,
                        "search by a file is off: start the server with --embed auto, or name "
                        "embedders in embedding.collections");
    return hwi_fail(err, HW_EUNSUPPORTED,
                    "no embedder for %s%.100s%s of this collection: name one in "
                    "embedding.collections (--embed COLLECTION=EMBEDDER)",
                    using ? "vector `" : "the vectors", using ? using : "", using ? "`" : "");
}

/* The first field that the entry may serve and fits; *misfit: one that it names and does not. */
static const hwi_shape_field *
field_for(const entry *e, const opened *o, const hwi_shape *shape, const char *using,
          const hwi_shape_field **misfit)
{
    for (size_t f = 0; f < shape->field_count; f++) {
        const hwi_shape_field *field = &shape->fields[f];
        if (using && strcmp(field->name, using) != 0) continue;
        if (e->vector && strcmp(field->name, e->vector) != 0) continue;
        if (fits(e, o, shape, field)) return field;
        *misfit = field;
    }
    return NULL;
}

hw_status
hwi_embedding_choose(const hwi_request *r, const hwi_shape *shape, const char *using,
                     hwi_embedding_choice *out, hw_error *err)
{
    const hwi_embedders *all = r->server->embedders;
    const char *name = hwi_request_param(r, "collection");

    for (size_t i = 0; all && i < all->entry_count; i++) {
        const entry *e = &all->entries[i];
        const opened *o = &all->opened[e->embedder];
        const hwi_shape_field *misfit = NULL, *field;
        if (e->collection && !names(e, name, shape)) continue;
        field = field_for(e, o, shape, using, &misfit);
        if (field) {
            *out = (hwi_embedding_choice){o->embedder, field, o->about};
            return HW_OK;
        }
        if (e->collection && misfit) return misfit_of(o, shape, misfit, err);
    }
    return none(all, using, err);
}

/* ---- Running */

static bool
is_over(void *deadline_us)
{
    return hwi_clock_us() >= *(const uint64_t *)deadline_us;
}

/* One more at once, unless that is too many. */
static bool
take_slot(hwi_embedders *e)
{
    unsigned active = atomic_load(&e->active);

    while (active < e->at_once)
        if (atomic_compare_exchange_weak(&e->active, &active, active + 1)) return true;
    atomic_fetch_add(&e->refused, 1);
    return false;
}

bool
hwi_embedding_run(hwi_request *r, const hwi_embedding_choice *choice, const char *name,
                  hw_bytes content, float *out)
{
    hwi_embedders *e = r->server->embedders;
    const hwi_config *c = &r->server->config;
    uint64_t begin_us = hwi_clock_us();
    uint64_t over_us =
        HWI_MIN(r->deadline_ms * 1000, begin_us + c->embedding_timeout_sec * UINT64_C(1000000));
    const hwi_embedding_file file = {.name = name,
                                     .content = content,
                                     .pixels_max = c->embedding_max_megapixels * 1000000u,
                                     .is_over = is_over,
                                     .arg = &over_us};
    hw_error err = {0};

    if (!take_slot(e))
        return hwi_refuse(r, 503, "Service unavailable: %u files are being embedded already",
                          e->at_once);
    hw_status st = e->with->embed(choice->embedder, &file, out, &err);
    atomic_fetch_sub(&e->active, 1);
    atomic_fetch_add(st == HW_OK ? &e->done : &e->failed, 1);
    atomic_fetch_add(&e->us, hwi_clock_us() - begin_us);
    return hwi_ok(r, st, &err);
}
