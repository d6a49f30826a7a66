/* exchange.c - the steps of a request around its handler.
 *
 * Rights are judged before the body is read: whoever may not ask cannot make us store megabytes.
 * Nothing a caller sends reaches a handler unparsed or unbounded: path parts are decoded UTF-8
 * without "." and "..", the body has a limit, JSON a depth.
 *
 * An answer is a value or a refusal, never half of each: hwi_refuse drops what was written, and the
 * envelope is put around it here, once the outcome is known.
 */
#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "route.h"
#include "server_impl.h"

#define TIMEOUT_S_MAX 864000u
#define LARGE_BODY_BYTES (4u << 20)
#define FORM_BYTES (64u << 10) /* around a file, and fields beside it */

/* Sixteen digits that no other request of this process has. Written by hand: formatting is slow where
 * a library has registered conversions of its own, as those of Fortran do. */
static void
name_request(hwi_exchange *x)
{
    hwi_server *s = x->request.server;
    uint64_t number = s->id_seed << 32 | atomic_fetch_add(&s->request_number, 1);

    for (size_t i = 0; i < 16; i++)
        x->request.request_id[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    x->request.request_id[16] = '\0';
}

hwi_exchange *
hwi_exchange_new(hwi_server *s, const char *uri)
{
    hwi_exchange *x = hwi_alloc(sizeof *x);

    if (x == NULL) return NULL;
    /* headers, args and opened are big and read up to their counts */
    memset(&x->request, 0, sizeof x->request);
    memset(&x->route, 0, offsetof(hwi_exchange, args) - offsetof(hwi_exchange, route));
    x->arg_count = x->header_count = x->opened_count = x->answer_header_count = 0;
    x->access = (hwi_access){0};
    memset(&x->body, 0, offsetof(hwi_exchange, answer_headers) - offsetof(hwi_exchange, body));
    x->answer = (hwi_buf){0};
    x->upload_fd = -1;
    x->start_us = hwi_clock_us();
    x->request.server = s;
    x->request.db = s->db;
    x->request.status = 200;
    x->request.path = hwi_arena_text(&x->request.arena, uri, strlen(uri));
    name_request(x);
    if (x->request.path == NULL) {
        hwi_exchange_free(x);
        return NULL;
    }
    return x;
}

void
hwi_exchange_header(hwi_exchange *x, const char *name, const char *value)
{
    if (x->header_count == HWI_HEADERS_MAX) return;
    x->headers[x->header_count++] = (hwi_pair){name, value ? value : ""};
}

void
hwi_request_answer_header(hwi_request *r, const char *name, const char *value)
{
    hwi_exchange *x = (hwi_exchange *)r;
    char *copy = hwi_arena_text(&r->arena, value, strlen(value));

    if (copy == NULL || x->answer_header_count == HWI_ANSWER_HEADERS_MAX) return;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < ' ') *c = ' '; /* no line end gets into a header */
    x->answer_headers[x->answer_header_count++] = (hwi_pair){name, copy};
}

/* ---- Accepting */

/* Takes the caller's id of the request when it is short and plain. */
static void
take_request_id(hwi_request *r)
{
    const char *given = hwi_request_header(r, "x-request-id");
    size_t bytes = given ? strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-_.:/")
                         : 0;

    if (bytes == 0 || given[bytes] || bytes >= sizeof r->request_id) return;
    memcpy(r->request_id, given, bytes + 1);
}

/* Decodes %xx and + in place; false: malformed. */
static bool
decode_argument(char *text)
{
    char *to = text;

    for (; *text; text++) {
        char digits[3] = {0}, *end;
        if (*text != '%') {
            *to++ = *text == '+' ? ' ' : *text;
            continue;
        }
        if (!text[1] || !text[2]) return false;
        memcpy(digits, text + 1, 2);
        *to = (char)strtol(digits, &end, 16);
        if (*end || *to == '\0') return false;
        to++;
        text += 2;
    }
    *to = '\0';
    return true;
}

static bool
split_arguments(hwi_exchange *x, const char *uri)
{
    const char *at = strchr(uri, '?');
    char *copy, *rest;

    if (at == NULL) return true;
    copy = hwi_request_alloc(&x->request, strlen(at));
    if (copy == NULL) return false;
    memcpy(copy, at + 1, strlen(at));
    for (char *one = strtok_r(copy, "&", &rest); one; one = strtok_r(NULL, "&", &rest)) {
        char *value = strchr(one, '=');
        if (value) *value++ = '\0';
        if (x->arg_count == HWI_ARGS_MAX)
            return hwi_refuse(&x->request, 400, "Bad request: more than %u query parameters",
                              HWI_ARGS_MAX);
        if (!decode_argument(one) || (value && !decode_argument(value)))
            return hwi_refuse(&x->request, 400, "Bad request: malformed query parameters");
        x->args[x->arg_count++] = (hwi_pair){one, value ? value : ""};
    }
    return true;
}

/* ?timeout= in seconds, else what is usual for the route. */
static bool
set_deadline(hwi_exchange *x)
{
    const hwi_config *c = &x->request.server->config;
    bool is_long = x->route && (x->route->flags & HWI_ROUTE_SLOW);
    uint64_t seconds =
        is_long ? c->service_long_request_timeout_sec : c->service_request_timeout_sec;
    const char *text = hwi_request_arg(&x->request, "timeout");
    char *end;

    if (text && *text) {
        long long given = strtoll(text, &end, 10);
        if (*end)
            return hwi_refuse(&x->request, 400,
                              "Deserialize error in query parameters: timeout is `%.40s`, not a "
                              "whole number of seconds",
                              text);
        if (given < 1)
            return hwi_refuse(&x->request, 422,
                              "Validation error in query parameters: [timeout: value %lld invalid, "
                              "must be 1 or larger]",
                              given);
        seconds = HWI_MIN((uint64_t)given, TIMEOUT_S_MAX);
    }
    x->request.deadline_ms = x->start_us / 1000 + seconds * 1000;
    return true;
}

static bool
refuse_path(hwi_exchange *x, uint32_t allowed)
{
    char names[64] = "";
    size_t n = 0;

    if (allowed == 0) return hwi_refuse(&x->request, 404, "Not found: no such path");
    for (uint32_t m = 0; m <= HWI_OPTIONS; m++)
        if (allowed & 1u << m)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "",
                                  hwi_method_name((hwi_method)m));
    hwi_request_answer_header(&x->request, "Allow", names);
    /* 404, not 405: so answers the server whose clients ask us */
    return hwi_refuse(&x->request, 404, "Not found: this path takes %s", names);
}

/* A path that browsers ask about before they let a page call it. */
static void
answer_options(hwi_exchange *x)
{
    const char *wanted = hwi_request_header(&x->request, "access-control-request-headers");

    hwi_request_answer_header(&x->request, "Access-Control-Allow-Methods",
                              "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS");
    hwi_request_answer_header(&x->request, "Access-Control-Allow-Headers", wanted ? wanted : "*");
    hwi_request_answer_header(&x->request, "Access-Control-Max-Age", "3600");
    x->request.kind = HWI_BODY_PLAIN;
    x->request.content_type = "text/plain; charset=utf-8";
}

static const char *
token_of(const hwi_request *r)
{
    const char *key = hwi_request_header(r, "api-key");
    const char *authorization = hwi_request_header(r, "authorization");

    if (key) return key;
    return authorization && strncmp(authorization, "Bearer ", 7) == 0 ? authorization + 7 : NULL;
}

/* Plain text, as Qdrant answers those it does not know. */
static bool
turn_away(hwi_exchange *x, int status, const char *why)
{
    hwi_refuse(&x->request, status, "%s", why);
    x->request.kind = HWI_BODY_PLAIN;
    x->request.content_type = "text/plain; charset=utf-8";
    hwi_buf_text(&x->request.out, why);
    return false;
}

static bool
authenticate(hwi_exchange *x)
{
    hwi_server *s = x->request.server;
    const char *why = "";
    hwi_verdict verdict;

    if (x->route && x->route->need == HWI_NEED_NOTHING) return true;
    pthread_rwlock_rdlock(&s->keys_lock);
    verdict = hwi_keys_judge(s->keys, token_of(&x->request), (int64_t)time(NULL), &x->request.arena,
                             &x->access, &why);
    pthread_rwlock_unlock(&s->keys_lock);
    if (verdict == HWI_VERDICT_OK) return true;
    return turn_away(x, verdict == HWI_VERDICT_UNKNOWN ? 401 : 403, why);
}

/* Calls that put another collection in the place of this one, from any snapshot of the folder. */
static bool
replaces_whole(const char *pattern)
{
    static const char *const ends[] = {"/snapshots/recover", "/snapshots/upload"};
    size_t bytes = strlen(pattern);

    for (size_t i = 0; i < HWI_COUNT(ends); i++) {
        size_t n = strlen(ends[i]);
        if (bytes > n && strcmp(pattern + bytes - n, ends[i]) == 0) return true;
    }
    return false;
}

/* What a row asks for, more finely than its need says: of a collection's own settings and snapshots
 * the "rw" of a token is enough; not of its existence or of what replaces it whole. */
static hwi_rights
rights_needed(const hwi_route *route)
{
    static const char prefix[] = "/collections/{collection}/";
    bool inside = strncmp(route->pattern, prefix, sizeof prefix - 1) == 0;

    switch (route->need) {
    case HWI_NEED_NOTHING:
        return HWI_RIGHTS_NONE;
    case HWI_NEED_READ:
        return HWI_RIGHTS_READ;
    case HWI_NEED_WRITE:
        return HWI_RIGHTS_POINTS;
    case HWI_NEED_MANAGE:
        break;
    }
    return inside && !replaces_whole(route->pattern) ? HWI_RIGHTS_WRITE : HWI_RIGHTS_ALL;
}

static bool
authorise(hwi_exchange *x)
{
    int param = hwi_route_param(x->route, "collection");
    const char *collection = param >= 0 ? x->request.params[param] : NULL;
    hwi_rights rights = rights_needed(x->route);
    const char *pattern = x->route->pattern;

    if (hwi_access_has(&x->access, rights, collection)) return true;
    /* lists that their handlers cut down to what the caller may read */
    if (rights == HWI_RIGHTS_READ && hwi_access_any(&x->access) &&
        (strcmp(pattern, "/collections") == 0 || strcmp(pattern, "/aliases") == 0))
        return true;
    if (x->access.everywhere == HWI_RIGHTS_READ)
        return hwi_refuse(&x->request, 403, "Forbidden: Global manage access is required");
    if (collection == NULL)
        return hwi_refuse(&x->request, 403, "Forbidden: Global access is required");
    if (!hwi_access_has(&x->access, HWI_RIGHTS_READ, collection))
        return hwi_refuse(&x->request, 403, "Forbidden: Access to collection %.300s is required",
                          collection);
    return hwi_refuse(&x->request, 403, "Forbidden: More rights to collection %.300s are required",
                      collection);
}

bool
hwi_exchange_accept(hwi_exchange *x, const char *method)
{
    hwi_request *r = &x->request;
    const char *uri = r->path;
    int known = hwi_method_of(method);
    uint32_t allowed = 0;
    hwi_path path;
    hw_error err = {0};

    take_request_id(r);
    x->body_max = (size_t)r->server->config.service_max_request_size_mb << 20;
    x->method = known >= 0 ? hwi_method_name((hwi_method)known) : "OTHER";
    if (!hwi_path_split(uri, &r->arena, &path)) {
        r->path = "/";
        return hwi_refuse(r, 400, "Bad request: malformed path");
    }
    r->path = path.text;
    if (known < 0) return hwi_refuse(r, 405, "Bad request: unknown method");
    r->method = (hwi_method)known;
    if (r->method == HWI_OPTIONS && r->server->config.service_enable_cors) {
        answer_options(x);
        return false;
    }
    x->route = hwi_route_find(&path, r->method, r->params, &allowed);
    if (!authenticate(x)) return false;
    if (x->route == NULL) return refuse_path(x, allowed);
    if (x->route->flags & HWI_ROUTE_FILE)
        x->body_max = ((size_t)r->server->config.embedding_max_file_size_mb << 20) + FORM_BYTES;
    if (!authorise(x) || !split_arguments(x, uri) || !set_deadline(x)) return false;
    return hw_cancel_new(&r->cancel, &err) == HW_OK || hwi_refuse_engine(r, &err);
}

bool
hwi_exchange_body(hwi_exchange *x, const void *data, size_t bytes)
{
    x->body_bytes += bytes;
    if (x->request.refusal[0]) return false; /* read to its end, not kept */
    if (x->body_bytes > x->body_max) {
        hwi_buf_release(&x->body);
        return hwi_refuse(&x->request, 413, "Payload too large: above the limit of %zu bytes",
                          x->body_max);
    }
    if (x->route && !(x->route->flags & HWI_ROUTE_NO_BODY)) hwi_buf_add(&x->body, data, bytes);
    return true;
}

/* ---- Handling */

static bool
parse_body(hwi_exchange *x)
{
    hwi_request *r = &x->request;
    hw_error err = {0};

    if (x->body.failed) return hwi_refuse(r, 503, "Service unavailable: out of memory");
    if (x->body.size == 0) return true;
    r->raw = (const char *)x->body.data;
    r->raw_bytes = x->body.size;
    if (x->route->flags & HWI_ROUTE_FILE) return true;
    if (hwi_json_parse_packed(r->raw, r->raw_bytes, &x->body_arena, &r->body, &err) == HW_OK)
        return true;
    return err.status == HW_EINVAL ? hwi_refuse_format(r, "%s", err.message)
                                   : hwi_refuse_engine(r, &err);
}

/* The filter of a token's "value_exists". */
static void
write_matches(const hwi_json *matches, hwi_buf *out)
{
    hwi_buf_text(out, "{\"must\":[");
    for (const hwi_json *j = matches ? matches->child : NULL; j; j = j->next) {
        const hwi_json *key = hwi_json_member(j, "key"), *value = hwi_json_member(j, "value");
        hwi_buf_text(out, "{\"key\":");
        if (key) hwi_json_write(out, key);
        hwi_buf_text(out, ",\"match\":{\"value\":");
        if (value) hwi_json_write(out, value);
        hwi_buf_text(out, j->next ? "}}," : "}}");
    }
    hwi_buf_text(out, "]}");
}

/* A token may ask that some point exists, such as its user's record: taking the point away takes
 * the token's rights away. */
static bool
check_value_exists(hwi_exchange *x)
{
    const hwi_json *claim = x->access.value_exists;
    const hwi_json *name = hwi_json_member(claim, "collection");
    hwi_buf filter = {0};
    hwi_opened *o = NULL;
    uint64_t count = 0;

    if (claim == NULL) return true;
    write_matches(hwi_json_member(claim, "matches"), &filter);
    if (name && name->kind == HWI_JSON_TEXT && !filter.failed &&
        hwi_open_get(&x->request.server->open, name->text, &o, NULL) == HW_OK) {
        if (hw_collection_count(o->collection, (const char *)filter.data, filter.size, &count,
                                NULL) != HW_OK)
            count = 0;
        hwi_open_put(&x->request.server->open, o);
    }
    hwi_buf_release(&filter);
    return count > 0 || turn_away(x, 401, "Invalid JWT, stateful validation failed");
}

/* Whether the collection was dropped, by another process perhaps, under a handle of ours. */
static bool
is_gone(const hwi_opened *o)
{
    char *text = NULL;
    hw_status st = hw_collection_describe(o->collection, &text, NULL);

    hw_free(text);
    return st == HW_ENOTFOUND;
}

static void
release_collections(hwi_exchange *x)
{
    hwi_open_set *set = &x->request.server->open;

    for (size_t i = 0; i < x->opened_count; i++) {
        hw_collection_close(x->held[i]);
        if (x->request.status == 404 && is_gone(x->opened[i]))
            hwi_open_forget(set, x->opened[i]->name);
        hwi_open_put(set, x->opened[i]);
    }
    x->opened_count = 0;
}

static void
run_handler(hwi_exchange *x)
{
    hwi_request *r = &x->request;

    if (x->handle_us / 1000 >= r->deadline_ms) {
        hwi_refuse(r, 408, "Timeout: the request waited too long for a worker");
        return;
    }
    if (!check_value_exists(x) || !parse_body(x)) return;
    if (!x->route->handle(r) && r->refusal[0] == '\0')
        hwi_refuse(r, 500, "Service internal error: refused without a reason");
    release_collections(x);
}

/* The tree of a body takes a multiple of its bytes: about two for vectors, thirty at worst. It goes here, on a worker, since event
 * threads have other things to do; and what it took goes back to the system, or every worker's heap
 * would stay as large as the largest request it ever saw. */
static void
release_body(hwi_exchange *x)
{
    bool is_large = x->body.size > LARGE_BODY_BYTES;

    x->request.body = NULL;
    x->request.raw = NULL;
    x->request.raw_bytes = 0;
    hwi_arena_release(&x->body_arena);
    hwi_buf_release(&x->body);
#ifdef __GLIBC__
    if (is_large) malloc_trim(0);
#else
    (void)is_large;
#endif
}

void
hwi_exchange_handle(hwi_exchange *x)
{
    x->handle_us = hwi_clock_us();
    run_handler(x);
    release_body(x);
}

void
hwi_exchange_free(hwi_exchange *x)
{
    if (x == NULL) return;
    if (x->is_answered) hwi_exchange_account(x);
    release_collections(x);
    if (x->upload_fd >= 0) close(x->upload_fd);
    if (x->request.upload) unlink(x->request.upload);
    hw_cancel_free(x->request.cancel);
    hwi_buf_release(&x->request.out);
    hwi_buf_release(&x->body);
    hwi_arena_release(&x->body_arena);
    hwi_buf_release(&x->answer);
    hwi_arena_release(&x->request.arena);
    hwi_free(x);
}
