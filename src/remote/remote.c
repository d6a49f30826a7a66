/* remote.c - calls to a server, and what concerns a database as a whole.
 *
 * The interface is the one every client uses (docs/rest.md). An answer is {"result": ...} or
 * {"status": {"error": text}}; the HTTP code tells which kind of error, and so becomes the hw_status
 * that made the server choose it. */
#include "remote/remote.h"

#include <stdio.h>
#include <stdlib.h>

struct hwi_remote {
    hwi_http *http;
};

bool
hwi_remote_is_url(const char *where)
{
    return strncmp(where, "http://", 7) == 0 || strncmp(where, "https://", 8) == 0;
}

/* ---- One call ---- */

static hw_status
status_of(long code)
{
    switch (code) {
    case 401:
    case 403:
        return HW_EREADONLY;
    case 404:
        return HW_ENOTFOUND;
    case 405:
    case 501:
        return HW_EUNSUPPORTED;
    case 408:
        return HW_ETIMEOUT;
    case 409:
        return HW_EEXIST;
    case 413:
        return HW_ELIMIT;
    case 429:
    case 503:
        return HW_EBUSY;
    case 507:
        return HW_ENOSPC;
    default:
        return code >= 500 ? HW_EIO : HW_EINVAL;
    }
}

static hw_status
refused(const hwi_exchange *x, const hwi_json *tree, hw_error *err)
{
    /* a vector that is missing has the code of a request that is wrong */
    static const char no_vector[] = "Wrong input: Not existing vector name error";
    const hwi_json *text = hwi_json_member(hwi_json_member(tree, "status"), "error");
    hw_status st = status_of(x->code);
    if (text && text->kind == HWI_JSON_TEXT) {
        if (strncmp(text->text, no_vector, sizeof no_vector - 1) == 0) st = HW_ENOTFOUND;
        return hwi_fail(err, st, "%s", text->text);
    }
    return hwi_fail(err, st, "the server answered %ld: %.*s", x->code,
                    (int)HWI_MIN(x->answer.size, (size_t)200), (const char *)x->answer.data);
}

static hw_status
read_answer(hwi_exchange *x, hwi_arena *arena, const hwi_json **result, hw_error *err)
{
    const hwi_json *tree = NULL;
    hw_status st = hwi_json_parse((const char *)x->answer.data, x->answer.size, arena, &tree, err);
    if (x->code != 200 && x->code != 202) return refused(x, st == HW_OK ? tree : NULL, err);
    if (x->to_file) return HW_OK;
    if (st != HW_OK) return hwi_fail_prefix(err, HW_EIO, "the server's answer");
    *result = hwi_json_member(tree, "result");
    if (!*result) return hwi_fail(err, HW_EIO, "the server's answer has no result");
    return HW_OK;
}

hw_status
hwi_remote_exchange(hwi_remote *remote, hwi_exchange *x, hwi_arena *arena, const hwi_json **result,
                    hw_error *err)
{
    *result = NULL;
    hw_status st = hwi_http_exchange(remote->http, x, err);
    if (st == HW_OK) st = read_answer(x, arena, result, err);
    hwi_buf_release(&x->answer);
    return st;
}

hw_status
hwi_remote_call(hwi_remote *remote, const char *method, const char *path, const hwi_buf *body,
                hwi_arena *arena, const hwi_json **result, hw_error *err)
{
    hwi_exchange x = {.method = method, .path = path};
    *result = NULL;
    if (body) x.body = hwi_buf_bytes(body);
    if (body && body->failed) return hwi_nomem(err, body->size);
    return hwi_remote_exchange(remote, &x, arena, result, err);
}

void
hwi_remote_escape(hwi_buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("-._~", *p);
        if (plain) {
            hwi_buf_add(out, p, 1);
        } else {
            hwi_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*p);
        }
    }
}

void
hwi_remote_path(hwi_buf *out, const char *collection, const char *rest)
{
    hwi_buf_text(out, "/collections/");
    hwi_remote_escape(out, collection);
    hwi_buf_add(out, rest, strlen(rest) + 1); /* with its NUL: a path is text */
}

/* ---- A database ---- */

hw_status
hwi_remote_open(const char *url, hwi_remote **out, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    *out = NULL;
    hwi_remote *remote = hwi_alloc_zero(sizeof *remote);
    if (!remote) return hwi_nomem(err, sizeof *remote);
    hw_status st = hwi_http_new(url, getenv("HASHWOOD_API_KEY"), &remote->http, err);
    if (st == HW_OK) {
        st = hwi_remote_call(remote, "GET", "/collections", NULL, &arena, &result, err);
    }
    hwi_arena_release(&arena);
    if (st != HW_OK) {
        hwi_remote_close(remote);
        return st;
    }
    *out = remote;
    return HW_OK;
}

void
hwi_remote_close(hwi_remote *remote)
{
    if (!remote) return;
    hwi_http_free(remote->http);
    hwi_free(remote);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One block: the pointers, then the texts. */
static hw_status
copy_names(const hwi_json *list, char ***names, size_t *count, hw_error *err)
{
    size_t n = 0, bytes = 0;
    for (const hwi_json *j = list ? list->child : NULL; j; j = j->next) {
        const hwi_json *name = hwi_json_member(j, "name");
        if (name && name->kind == HWI_JSON_TEXT) n++, bytes += name->text_bytes + 1;
    }
    char **out = hwi_alloc(n * sizeof *out + bytes + 1);
    if (!out) return hwi_nomem(err, bytes);
    char *text = (char *)(out + n);
    n = 0;
    for (const hwi_json *j = list ? list->child : NULL; j; j = j->next) {
        const hwi_json *name = hwi_json_member(j, "name");
        if (!name || name->kind != HWI_JSON_TEXT) continue;
        out[n++] = memcpy(text, name->text, name->text_bytes + 1);
        text += name->text_bytes + 1;
    }
    qsort(out, n, sizeof *out, compare_texts);
    *names = out;
    *count = n;
    return HW_OK;
}

hw_status
hwi_remote_list(hwi_remote *remote, char ***names, size_t *count, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    *names = NULL;
    *count = 0;
    hw_status st = hwi_remote_call(remote, "GET", "/collections", NULL, &arena, &result, err);
    if (st == HW_OK) st = copy_names(hwi_json_member(result, "collections"), names, count, err);
    hwi_arena_release(&arena);
    return st;
}

/* An exchange with a path that was made for it, and is released. */
static hw_status
exchange_at(hwi_remote *remote, hwi_buf *path, hwi_exchange *x, hwi_arena *arena,
            const hwi_json **result, hw_error *err)
{
    hw_status st = path->failed ? hwi_nomem(err, path->size) : HW_OK;
    *result = NULL;
    x->path = (const char *)path->data;
    if (st == HW_OK) st = hwi_remote_exchange(remote, x, arena, result, err);
    hwi_buf_release(path);
    return st;
}

/* A call below a collection whose result is only whether there was something to do. */
static hw_status
tell(hwi_remote *remote, hwi_exchange *x, const char *collection, const char *rest, hw_error *err)
{
    hwi_buf path = {0};
    hwi_arena arena = {0};
    const hwi_json *result;
    hwi_remote_path(&path, collection, rest);
    hw_status st = exchange_at(remote, &path, x, &arena, &result, err);
    if (st == HW_OK && result->kind == HWI_JSON_BOOL && !result->boolean)
        st = hwi_fail(err, HW_ENOTFOUND, "there is no collection `%s`", collection);
    hwi_arena_release(&arena);
    return st;
}

static bool
is_listed(const hwi_json *member, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(member->key, names[i]) == 0) return true;
    }
    return false;
}

static void
write_member(hwi_buf *b, const hwi_json *j)
{
    hwi_json_write_text(b, j->key, j->key_bytes);
    hwi_buf_text(b, ":");
    hwi_json_write(b, j);
}

static void
write_members(hwi_buf *b, const hwi_json *o, const char *const *names, bool listed)
{
    for (const hwi_json *j = o->child; j; j = j->next) {
        if (is_listed(j, names) != listed) continue;
        if (b->size && b->data[b->size - 1] != '{') hwi_buf_text(b, ",");
        write_member(b, j);
    }
}

/* The short form of a config, {"dim": 3, "metric": "l2"}, says of the one vector what the server
 * expects under "vectors". Ids may be texts, as in a database on this machine, unless it says no. */
static void
write_config(hwi_buf *b, const hwi_json *config)
{
    static const char *const none[] = {NULL};
    static const char *const of_vector[] = {"dim", "size", "metric", "distance", NULL};
    bool is_short = hwi_json_member(config, "dim") || hwi_json_member(config, "size");
    hwi_buf_text(b, "{");
    if (is_short) {
        hwi_buf_text(b, "\"vectors\":{");
        write_members(b, config, of_vector, true);
        hwi_buf_text(b, "}");
    }
    write_members(b, config, is_short ? of_vector : none, false);
    if (!hwi_json_member(config, "string_ids")) {
        hwi_buf_text(b, config->child ? ",\"string_ids\":true" : "\"string_ids\":true");
    }
    hwi_buf_text(b, "}");
}

hw_status
hwi_remote_create(hwi_remote *remote, const char *name, const char *config, hw_error *err)
{
    hwi_buf body = {0};
    hwi_arena arena = {0};
    const hwi_json *tree;
    hw_status st = hwi_json_parse(config, strlen(config), &arena, &tree, err);
    if (st == HW_OK && tree->kind == HWI_JSON_OBJECT) {
        write_config(&body, tree);
    } else {
        hwi_buf_text(&body, config);
    }
    if (st == HW_OK && body.failed) st = hwi_nomem(err, body.size);
    hwi_exchange put = {.method = "PUT", .body = hwi_buf_bytes(&body)};
    if (st == HW_OK) st = tell(remote, &put, name, "", err);
    hwi_arena_release(&arena);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_remote_drop(hwi_remote *remote, const char *name, hw_error *err)
{
    return tell(remote, &(hwi_exchange){.method = "DELETE"}, name, "", err);
}

hw_status
hwi_remote_take_text(const hwi_json *value, char **json, hw_error *err)
{
    hwi_buf b = {0};
    hwi_json_write(&b, value);
    hwi_buf_fill(&b, 0, 1);
    if (b.failed) {
        hwi_buf_release(&b);
        return hwi_nomem(err, 0);
    }
    *json = (char *)b.data;
    return HW_OK;
}

hw_status
hwi_remote_text(hwi_remote *remote, const char *method, const char *path, const hwi_buf *body,
                char **json, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    *json = NULL;
    hw_status st = hwi_remote_call(remote, method, path, body, &arena, &result, err);
    if (st == HW_OK) st = hwi_remote_take_text(result, json, err);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_remote_check(hwi_remote *remote, hw_damage_fn damage, void *arg, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    size_t found = 0;
    hw_status st = hwi_remote_call(remote, "POST", "/check", NULL, &arena, &result, err);
    const hwi_json *list = hwi_json_member(result, "damage");
    for (const hwi_json *j = list ? list->child : NULL; st == HW_OK && j; j = j->next, found++) {
        const hwi_json *where = hwi_json_member(j, "where"), *what = hwi_json_member(j, "what");
        bool is_text = where && what && where->kind == HWI_JSON_TEXT && what->kind == HWI_JSON_TEXT;
        if (damage && is_text) damage(arg, where->text, what->text);
    }
    hwi_arena_release(&arena);
    if (st == HW_OK && found) return hwi_fail(err, HW_ECORRUPT, "%zu damages were found", found);
    return st;
}

/* ---- Snapshots: made on the server, brought here, removed there ---- */

static void
snapshot_path(hwi_buf *out, const char *collection, const char *rest)
{
    if (collection) {
        hwi_remote_path(out, collection, "/snapshots");
        out->size--; /* its NUL */
    } else {
        hwi_buf_text(out, "/snapshots");
    }
    hwi_buf_add(out, rest, strlen(rest) + 1);
}

static hw_status
fetch_snapshot(hwi_remote *remote, const char *collection, const char *name, const char *file,
               hw_error *err)
{
    hwi_buf path = {0}, rest = {0};
    hwi_arena arena = {0};
    const hwi_json *nothing;
    hwi_buf_text(&rest, "/");
    hwi_remote_escape(&rest, name);
    hwi_buf_fill(&rest, 0, 1);
    if (!rest.failed) snapshot_path(&path, collection, (const char *)rest.data);
    hw_status st = hwi_nomem(NULL, 0);
    if (!path.failed && !rest.failed) {
        hwi_exchange get = {.method = "GET", .path = (const char *)path.data, .to_file = file};
        st = hwi_remote_exchange(remote, &get, &arena, &nothing, err);
        hw_status ignored = hwi_remote_call(remote, "DELETE", (const char *)path.data, NULL, &arena,
                                            &nothing, NULL);
        (void)ignored; /* the copy is here; one left on the server is seen in its list */
    }
    hwi_arena_release(&arena);
    hwi_buf_release(&path);
    hwi_buf_release(&rest);
    return st;
}

hw_status
hwi_remote_backup(hwi_remote *remote, const char *collection, const char *file, hw_error *err)
{
    hwi_exchange make = {.method = "POST"};
    hwi_buf path = {0};
    hwi_arena arena = {0};
    const hwi_json *result;
    snapshot_path(&path, collection, "");
    hw_status st = exchange_at(remote, &path, &make, &arena, &result, err);
    if (st == HW_OK) {
        const hwi_json *name = hwi_json_member(result, "name");
        st = name && name->kind == HWI_JSON_TEXT
                 ? fetch_snapshot(remote, collection, name->text, file, err)
                 : hwi_fail(err, HW_EIO, "the server's answer names no snapshot");
    }
    hwi_arena_release(&arena);
    return st;
}

/* HW_EEXIST when the name is taken; asked beforehand, since a server replaces what is there. */
static hw_status
must_be_free(hwi_remote *remote, const char *collection, hw_error *err)
{
    hwi_exchange ask = {.method = "GET"};
    hwi_buf path = {0};
    hwi_arena arena = {0};
    const hwi_json *result;
    hwi_remote_path(&path, collection, "/exists");
    hw_status st = exchange_at(remote, &path, &ask, &arena, &result, err);
    const hwi_json *exists = hwi_json_member(result, "exists");
    if (st == HW_OK && !(exists && exists->kind == HWI_JSON_BOOL))
        st = hwi_fail(err, HW_EIO, "the server's answer does not say what exists");
    if (st == HW_OK && exists->boolean)
        st = hwi_fail(err, HW_EEXIST, "collection `%s` exists", collection);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_remote_restore(hwi_remote *remote, const char *collection, const char *file, bool replace,
                   hw_error *err)
{
    hwi_exchange upload = {.method = "POST", .from_file = file};
    if (!replace) HWI_TRY(must_be_free(remote, collection, err));
    return tell(remote, &upload, collection, "/snapshots/upload?wait=true", err);
}

/* ---- Aliases ---- */

static bool
is_listed_alias(const hwi_json *list, const char *name)
{
    for (const hwi_json *j = list ? list->child : NULL; j; j = j->next) {
        const hwi_json *text = hwi_json_member(j, "alias_name");
        if (text && text->kind == HWI_JSON_TEXT && strcmp(text->text, name) == 0) return true;
    }
    return false;
}

/* What is removed must be there, or set before: a server takes the rest for done. */
static hw_status
check_removals(hwi_remote *remote, const hw_alias *aliases, size_t count, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result = NULL;
    hw_status st = HW_OK;
    for (size_t i = 0; st == HW_OK && i < count; i++) {
        bool is_there = aliases[i].collection != NULL;
        for (size_t j = 0; j < i; j++) is_there |= strcmp(aliases[j].name, aliases[i].name) == 0;
        if (is_there) continue;
        if (!result) {
            st = hwi_remote_call(remote, "GET", "/aliases", NULL, &arena, &result, err);
            if (st != HW_OK) break;
        }
        if (!is_listed_alias(hwi_json_member(result, "aliases"), aliases[i].name))
            st = hwi_fail(err, HW_ENOTFOUND, "there is no alias `%s`", aliases[i].name);
    }
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_remote_alias(hwi_remote *remote, const hw_alias *aliases, size_t count, hw_error *err)
{
    hwi_buf body = {0};
    hwi_arena arena = {0};
    const hwi_json *result;
    HWI_TRY(check_removals(remote, aliases, count, err));
    hwi_buf_text(&body, "{\"actions\":[");
    for (size_t i = 0; i < count; i++) {
        const hw_alias *a = &aliases[i];
        hwi_buf_printf(&body, "%s{\"%s_alias\":{\"alias_name\":", i ? "," : "",
                       a->collection ? "create" : "delete");
        hwi_json_write_text(&body, a->name, strlen(a->name));
        if (a->collection) {
            hwi_buf_text(&body, ",\"collection_name\":");
            hwi_json_write_text(&body, a->collection, strlen(a->collection));
        }
        hwi_buf_text(&body, "}}");
    }
    hwi_buf_text(&body, "]}");
    hw_status st =
        hwi_remote_call(remote, "POST", "/collections/aliases", &body, &arena, &result, err);
    hwi_arena_release(&arena);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_remote_aliases(hwi_remote *remote, char **json, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    *json = NULL;
    hw_status st = hwi_remote_call(remote, "GET", "/aliases", NULL, &arena, &result, err);
    const hwi_json *list = hwi_json_member(result, "aliases");
    if (st == HW_OK && !list) st = hwi_fail(err, HW_EIO, "the server's answer has no aliases");
    if (st == HW_OK) st = hwi_remote_take_text(list, json, err);
    hwi_arena_release(&arena);
    return st;
}
