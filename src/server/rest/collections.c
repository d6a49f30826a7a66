/* collections.c - collections: listed, created, described, changed, dropped.
 */
#include "server/rest/args.h"
#include "server/rest/calls.h"
#include "server/rest/info.h"
#include "server/rest/settings.h"
#include "server/rest/strict.h"
#include "server/server.h"

#include <stdio.h>

/* ---- Lists */

static bool
list(hwi_request *r)
{
    char **names;
    size_t count;
    hw_error err;
    bool is_first = true;
    if (!hwi_ok(r, hw_collection_list(r->db, &names, &count, &err), &err)) return false;
    hwi_buf_text(&r->out, "{\"collections\":[");
    for (size_t i = 0; i < count; i++) {
        if (!hwi_request_may(r, HWI_NEED_READ, names[i])) continue;
        hwi_buf_text(&r->out, is_first ? "{\"name\":" : ",{\"name\":");
        is_first = false;
        hwi_json_write_text(&r->out, names[i], strlen(names[i]));
        hwi_buf_text(&r->out, "}");
    }
    hw_free(names);
    hwi_buf_text(&r->out, "]}");
    return true;
}

static bool
exists(hwi_request *r)
{
    hw_error err;
    hw_collection *c;
    hw_status st = hw_collection_open(r->db, hwi_request_param(r, "collection"), &c, &err);
    if (st == HW_OK) hw_collection_close(c);
    if (st != HW_ENOTFOUND && st != HW_EINVAL && !hwi_ok(r, st, &err)) return false;
    hwi_buf_printf(&r->out, "{\"exists\":%s}", st == HW_OK ? "true" : "false");
    return true;
}

static bool
info(hwi_request *r)
{
    hwi_shape shape;
    hw_collection *c = hwi_request_collection(r);
    return c && hwi_shape_of(r, c, &shape) && hwi_info_write(r, &shape);
}

/* ---- Creating */

bool
hwi_call_name_check(hwi_request *r, const char *name)
{
    size_t bytes = strlen(name);
    const char *bad = strpbrk(name, "<>:\"/\\|?*\x1f");
    if (bytes == 0 || bytes > HW_NAME_MAX) {
        return hwi_refuse(r, 422,
                          "Validation error in path parameters: [collection_name: value of %zu "
                          "bytes invalid, must be from 1 to %u]",
                          bytes, HW_NAME_MAX);
    }
    return !bad || hwi_refuse(r, 422,
                              "Validation error in path parameters: [collection_name: collection "
                              "name cannot contain \"%c\" char]",
                              *bad);
}

static bool
is_distance(const hwi_json *j)
{
    static const char *const known[] = {"Cosine", "Euclid", "Dot", "Manhattan"};
    for (size_t i = 0; i < HWI_COUNT(known); i++) {
        if (j->kind == HWI_JSON_TEXT && strcmp(j->text, known[i]) == 0) return true;
    }
    return false;
}

/* One vector in Qdrant's spelling; hashwood's own (dim, metric) is the engine's to check. */
static bool
check_vector(hwi_request *r, const char *at, const hwi_json *j)
{
    char path[512];
    uint32_t size;
    if (j->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "%s: expected an object", at);
    const hwi_json *distance = hwi_json_member(j, "distance");
    bool has_size = hwi_json_member(j, "size") || hwi_json_member(j, "dim");
    snprintf(path, sizeof path, "%s.size", at);
    if (!has_size) return hwi_refuse_format(r, "%s: missing field `size`", at);
    if (!distance && !hwi_json_member(j, "metric")) {
        return hwi_refuse_format(r, "%s: missing field `distance`", at);
    }
    if (distance && !is_distance(distance)) {
        return hwi_refuse_format(r,
                                 "%s.distance: unknown variant `%.100s`, expected one of `Cosine`, "
                                 "`Euclid`, `Dot`, `Manhattan`",
                                 at, distance->kind == HWI_JSON_TEXT ? distance->text : "");
    }
    if (!hwi_read_u32(r, j, "size", 1, 0, UINT32_MAX, &size)) return false;
    if (size < 1 || size > HW_DIM_MAX) {
        return hwi_refuse_value(r, path, "value %u invalid, must be from 1 to %u", size,
                                HW_DIM_MAX);
    }
    return hwi_settings_check(r, at, j, hwi_settings_vector);
}

static bool
check_vectors(hwi_request *r, const hwi_json *vectors, const hwi_json *sparse)
{
    char at[300];
    bool is_one = hwi_json_is_number(hwi_json_member(vectors, "size")) ||
                  hwi_json_is_number(hwi_json_member(vectors, "dim"));
    if (vectors && vectors->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "vectors: expected an object");
    }
    if (is_one && !check_vector(r, "vectors", vectors)) return false;
    for (const hwi_json *v = vectors && !is_one ? vectors->child : NULL; v; v = v->next) {
        snprintf(at, sizeof at, "vectors.%s", v->key);
        if (!check_vector(r, at, v)) return false;
    }
    if (sparse && sparse->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "sparse_vectors: expected an object");
    }
    for (const hwi_json *v = sparse ? sparse->child : NULL; v; v = v->next) {
        snprintf(at, sizeof at, "sparse_vectors.%s", v->key);
        if (v->kind == HWI_JSON_NULL) continue;
        if (v->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "%s: expected an object", at);
        if (!hwi_settings_check(r, at, v, hwi_settings_sparse)) return false;
    }
    return true;
}

static void
write_member(hwi_buf *b, const hwi_json *j)
{
    hwi_buf_text(b, b->size > 1 ? "," : "");
    hwi_json_write_text(b, j->key, j->key_bytes);
    hwi_buf_text(b, ":");
    hwi_json_write(b, j);
}

static void
write_absent(hwi_buf *b, const char *member)
{
    hwi_buf_text(b, b->size > 1 ? "," : "");
    hwi_buf_text(b, member);
}

/* The engine's config: what it takes itself and the settings we keep for the client; members that
 * nobody knows are dropped, as Qdrant does. Its clients expect texts to be refused as ids, so that
 * is said where they do not say otherwise. */
static void
write_config(hwi_buf *b, const hwi_json *body)
{
    static const char *const own[] = {"vectors", "sparse_vectors", "index", "payload_indexes"};
    hwi_buf_text(b, "{");
    for (const hwi_json *j = body->child; j; j = j->next) {
        if (j->kind == HWI_JSON_NULL) continue;
        bool is_known = hwi_setting_find(hwi_settings_collection, j->key) != NULL;
        for (size_t i = 0; i < HWI_COUNT(own); i++) is_known |= strcmp(j->key, own[i]) == 0;
        if (is_known) write_member(b, j);
    }
    if (!hwi_args_member(body, "vectors")) write_absent(b, "\"vectors\":{}");
    if (!hwi_args_member(body, "string_ids")) write_absent(b, "\"string_ids\":false");
    hwi_buf_text(b, "}");
    hwi_buf_add(b, "", 1);
}

/* Whether a collection has this very name, not only an alias. */
static bool
is_own_name(hwi_request *r, const char *name, bool *out)
{
    char **names;
    size_t count;
    hw_error err;
    *out = false;
    if (!hwi_ok(r, hw_collection_list(r->db, &names, &count, &err), &err)) return false;
    for (size_t i = 0; i < count; i++) *out |= strcmp(names[i], name) == 0;
    hw_free(names);
    return true;
}

static bool
refuse_taken(hwi_request *r, const char *name)
{
    bool is_collection;
    if (!is_own_name(r, name, &is_collection)) return false;
    if (is_collection) {
        return hwi_refuse(r, 409, "Wrong input: Collection `%s` already exists!", name);
    }
    return hwi_refuse(r, 400,
                      "Wrong input: Can't create collection with name %s. Alias with the same name "
                      "already exists",
                      name);
}

static bool
create(hwi_request *r)
{
    hw_error err;
    hwi_buf config = {0};
    const char *name = hwi_request_param(r, "collection");
    const hwi_json *body = hwi_args_body(r);
    if (!body || !hwi_args_timeout(r) || !hwi_call_name_check(r, name)) return false;
    if (!check_vectors(r, hwi_args_member(body, "vectors"),
                       hwi_args_member(body, "sparse_vectors"))) {
        return false;
    }
    if (!hwi_settings_check(r, "", body, hwi_settings_collection)) return false;
    write_config(&config, body);
    hw_status st = config.failed
                       ? hwi_nomem(&err, config.size)
                       : hw_collection_create(r->db, name, (const char *)config.data, &err);
    hwi_buf_release(&config);
    if (st == HW_EEXIST) return refuse_taken(r, name);
    if (!hwi_ok(r, st, &err)) return false;
    hwi_server_forget(r->server, name);
    hwi_strict_refill(name);
    hwi_buf_text(&r->out, "true");
    return true;
}

/* ---- Dropping */

/* Aliases of the collection go with it. */
static void
forget_aliases(hwi_request *r, const char *name)
{
    char *text;
    hw_error err;
    const hwi_json *aliases;
    hwi_server_forget(r->server, name);
    if (hw_db_aliases(r->db, &text, &err) != HW_OK) return;
    if (hwi_json_parse(text, strlen(text), &r->arena, &aliases, &err) == HW_OK) {
        for (const hwi_json *a = aliases->child; a; a = a->next) {
            const hwi_json *of = hwi_json_member(a, "collection_name");
            const hwi_json *alias = hwi_json_member(a, "alias_name");
            if (of && alias && strcmp(of->text, name) == 0) {
                hwi_server_forget(r->server, alias->text);
            }
        }
    }
    hw_free(text);
}

static bool
drop(hwi_request *r)
{
    hw_error err;
    bool is_there;
    const char *name = hwi_request_param(r, "collection");
    if (!hwi_args_timeout(r) || !is_own_name(r, name, &is_there)) return false;
    if (!is_there) { /* dropping by an alias would take more than was named */
        hwi_buf_text(&r->out, "false");
        return true;
    }
    forget_aliases(r, name);
    hw_status st = hw_collection_drop(r->db, name, &err);
    hwi_server_forget(r->server, name);
    if (st != HW_ENOTFOUND && !hwi_ok(r, st, &err)) return false;
    hwi_buf_text(&r->out, st == HW_OK ? "true" : "false");
    return true;
}

/* ---- Changing settings: a JSON merge patch of what is kept for the client */

static const char *const quantizations[] = {"scalar", "product", "binary", "turbo"};

/* A new quantisation takes the old one's place; merging must not leave parts of that. */
static void
write_quantization(hwi_buf *b, const hwi_json *j)
{
    static const char *const inner[] = {"type",        "quantile", "always_ram", "memory",
                                        "compression", "encoding", "bits",       "query_encoding"};
    if (j->kind == HWI_JSON_TEXT) { /* "Disabled" */
        hwi_buf_text(b, "null");
        return;
    }
    for (size_t i = 0; i < HWI_COUNT(quantizations); i++) {
        const hwi_json *given = hwi_args_member(j, quantizations[i]);
        hwi_buf_printf(b, "%s\"%s\":", i ? "," : "{", quantizations[i]);
        if (!given) {
            hwi_buf_text(b, "null");
            continue;
        }
        hwi_buf_text(b, "{");
        for (size_t k = 0; k < HWI_COUNT(inner); k++) {
            const hwi_json *value = hwi_args_member(given, inner[k]);
            hwi_buf_printf(b, "%s\"%s\":", k ? "," : "", inner[k]);
            if (value) {
                hwi_json_write(b, value);
            } else {
                hwi_buf_text(b, "null");
            }
        }
        hwi_buf_text(b, "}");
    }
    hwi_buf_text(b, "}");
}

static void
write_patch_member(hwi_buf *b, const hwi_json *j)
{
    bool is_empty = j->kind == HWI_JSON_OBJECT && j->count == 0;
    hwi_buf_text(b, b->size && b->data[b->size - 1] != '{' ? "," : "");
    hwi_json_write_text(b, j->key, j->key_bytes);
    hwi_buf_text(b, ":");
    if (strcmp(j->key, "quantization_config") == 0) {
        write_quantization(b, j);
    } else if (strcmp(j->key, "metadata") == 0 && is_empty) {
        hwi_buf_text(b, "null"); /* an empty object removes it */
    } else {
        hwi_json_write(b, j);
    }
}

static bool
is_disabled(const hwi_json *j)
{
    return j && j->kind == HWI_JSON_TEXT && strcmp(j->text, "Disabled") == 0;
}

/* Checks an object of settings in which quantisation may be "Disabled". */
static bool
check_diff(hwi_request *r, const char *at, const hwi_json *o, const hwi_setting *settings)
{
    hwi_json rest[32]; /* the members without that one: more are not known */
    hwi_json copy = *o;
    size_t n = 0;
    if (o->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "%s: expected an object", at);
    if (!is_disabled(hwi_json_member(o, "quantization_config"))) {
        return hwi_settings_check(r, at, o, settings);
    }
    for (const hwi_json *j = o->child; j && n < HWI_COUNT(rest); j = j->next) {
        if (is_disabled(j)) continue;
        rest[n] = *j;
        rest[n].next = NULL;
        if (n) rest[n - 1].next = &rest[n];
        n++;
    }
    copy.child = n ? rest : NULL;
    copy.count = n;
    return hwi_settings_check(r, at, &copy, settings);
}

/* "vectors" and "sparse_vectors": settings of existing vectors. */
static bool
patch_vectors(hwi_request *r, const hwi_shape *shape, const hwi_json *body, hwi_buf *b)
{
    char at[300];
    static const char *const groups[] = {"vectors", "sparse_vectors"};
    bool is_first = true;
    for (size_t g = 0; g < HWI_COUNT(groups); g++) {
        const hwi_json *o = hwi_args_member(body, groups[g]);
        if (o && o->kind != HWI_JSON_OBJECT) {
            return hwi_refuse_format(r, "%s: expected an object", groups[g]);
        }
        for (const hwi_json *v = o ? o->child : NULL; v; v = v->next) {
            snprintf(at, sizeof at, "%s.%s", groups[g], v->key);
            if (!hwi_shape_field_named(r, shape, v->key)) return false;
            if (!check_diff(r, at, v, g == 0 ? hwi_settings_vector : hwi_settings_sparse)) {
                return false;
            }
            if (is_first)
                hwi_buf_text(b, b->size > 1 ? ",\"vector_settings\":{" : "\"vector_settings\":{");
            hwi_buf_text(b, is_first ? "" : ",");
            is_first = false;
            hwi_json_write_text(b, v->key, v->key_bytes);
            hwi_buf_text(b, ":{");
            for (const hwi_json *j = v->child; j; j = j->next) write_patch_member(b, j);
            hwi_buf_text(b, "}");
        }
    }
    if (!is_first) hwi_buf_text(b, "}");
    return true;
}

static bool
write_patch(hwi_request *r, const hwi_shape *shape, const hwi_json *body, hwi_buf *b)
{
    static const char *const keys[] = {"hnsw_config", "optimizers_config", "quantization_config",
                                       "strict_mode_config", "metadata"};
    const hwi_json *params = hwi_args_member(body, "params");
    hwi_buf_text(b, "{");
    if (!check_diff(r, "", body, hwi_settings_collection)) return false;
    for (size_t i = 0; i < HWI_COUNT(keys); i++) {
        const hwi_json *j = hwi_args_member(body, keys[i]);
        if (j) write_patch_member(b, j);
    }
    if (params && !check_diff(r, "params", params, hwi_settings_params)) return false;
    for (const hwi_json *j = params ? params->child : NULL; j; j = j->next) {
        if (hwi_setting_find(hwi_settings_params, j->key)) write_patch_member(b, j);
    }
    if (!patch_vectors(r, shape, body, b)) return false;
    hwi_buf_text(b, "}");
    hwi_buf_add(b, "", 1);
    return true;
}

static bool
update(hwi_request *r)
{
    hw_error err;
    hwi_shape shape;
    hwi_buf patch = {0};
    const hwi_json *body = hwi_args_body(r);
    hw_collection *c = body ? hwi_request_collection(r) : NULL;
    if (!c || !hwi_args_timeout(r) || !hwi_shape_of(r, c, &shape)) return false;
    bool is_right = write_patch(r, &shape, body, &patch);
    if (is_right) {
        hw_status st = patch.failed ? hwi_nomem(&err, patch.size)
                                    : hw_collection_configure(c, (const char *)patch.data, &err);
        is_right = hwi_ok(r, st, &err);
    }
    hwi_buf_release(&patch);
    if (!is_right) return false;
    const hwi_json *name = hwi_json_member(shape.described, "name");
    if (name && hwi_json_member(body, "strict_mode_config")) hwi_strict_refill(name->text);
    hwi_buf_text(&r->out, "true");
    return true;
}

/* ---- The table */

#define ONE "/collections/{collection}"

const hwi_route hwi_routes_collections[] = {
    {HWI_GET, "/collections", HWI_NEED_READ, HWI_ROUTE_NO_BODY, list},
    {HWI_POST, "/collections/aliases", HWI_NEED_MANAGE, 0, hwi_call_aliases_change},
    {HWI_GET, "/aliases", HWI_NEED_READ, HWI_ROUTE_NO_BODY, hwi_call_aliases_list},
    {HWI_GET, ONE, HWI_NEED_READ, HWI_ROUTE_NO_BODY, info},
    {HWI_PUT, ONE, HWI_NEED_MANAGE, 0, create},
    {HWI_PATCH, ONE, HWI_NEED_MANAGE, 0, update},
    {HWI_DELETE, ONE, HWI_NEED_MANAGE, HWI_ROUTE_SLOW | HWI_ROUTE_NO_BODY, drop},
    {HWI_GET, ONE "/exists", HWI_NEED_READ, HWI_ROUTE_NO_BODY, exists},
    {HWI_GET, ONE "/aliases", HWI_NEED_READ, HWI_ROUTE_NO_BODY, hwi_call_aliases_of},
    {HWI_PUT, ONE "/index", HWI_NEED_MANAGE, HWI_ROUTE_SLOW, hwi_call_field_create},
    {HWI_DELETE, ONE "/index/{field}", HWI_NEED_MANAGE, HWI_ROUTE_SLOW | HWI_ROUTE_NO_BODY,
     hwi_call_field_drop},
    {HWI_PUT, ONE "/vectors/{vector}", HWI_NEED_MANAGE, HWI_ROUTE_SLOW, hwi_call_vector_create},
    {HWI_DELETE, ONE "/vectors/{vector}", HWI_NEED_MANAGE, HWI_ROUTE_SLOW | HWI_ROUTE_NO_BODY,
     hwi_call_vector_drop},
    {HWI_GET, ONE "/cluster", HWI_NEED_READ, HWI_ROUTE_NO_BODY, hwi_call_cluster_of},
    {HWI_POST, ONE "/cluster", HWI_NEED_MANAGE, 0, hwi_call_cluster_refuse},
    {HWI_GET, ONE "/shards", HWI_NEED_READ, HWI_ROUTE_NO_BODY, hwi_call_shards_of},
    {HWI_PUT, ONE "/shards", HWI_NEED_MANAGE, 0, hwi_call_cluster_refuse},
    {HWI_POST, ONE "/shards/delete", HWI_NEED_MANAGE, 0, hwi_call_cluster_refuse},
    {HWI_GET, ONE "/optimizations", HWI_NEED_READ, HWI_ROUTE_NO_BODY, hwi_call_optimizations},
    {0}};
