/* Any bytes as a request: first the number of a route or a method and path of its own, then the
 * body. The handlers run in process, on a database in memory with a few collections, which requests
 * may change. Whatever comes in, the answer is JSON where it says so, never a 500, never a crash. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "server/embedding.h"
#include "server/exchange.h"
#include "server/route.h"
#include "server/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS_PER_SERVER 2000u

static hwi_server *server;
static unsigned requests;

static void
demand(bool condition)
{
    if (!condition) abort();
}

/* Stands for the decoders, which have fuzzers of their own: a file's first bytes are its vector. */
static hw_status
open_stub(const char *what, void **out, hw_error *err)
{
    (void)what, (void)err;
    *out = NULL;
    return HW_OK;
}

static void
close_stub(void *embedder)
{
    (void)embedder;
}

static void
about_stub(const void *embedder, hwi_embedding_about *out)
{
    (void)embedder;
    *out = (hwi_embedding_about){"stub", "1", "image", 4};
}

static hw_status
embed_stub(const void *embedder, const hwi_embedding_file *file, float *out, hw_error *err)
{
    (void)embedder;
    if (file->content.size < 4) return hwi_fail(err, HW_EINVAL, "no picture");
    for (size_t i = 0; i < 4; i++) out[i] = (float)((const uint8_t *)file->content.data)[i] + 1;
    return HW_OK;
}

static const hwi_embedding stub = {"stub", open_stub, close_stub, about_stub, embed_stub};

static hwi_exchange *
ask(const char *method, const char *uri, const void *body, size_t bytes)
{
    hwi_exchange *x = hwi_exchange_new(server, uri);
    demand(x != NULL);
    if (bytes > 2 && memcmp(body, "--", 2) == 0)
        hwi_exchange_header(x, "content-type", "multipart/form-data; boundary=x");
    if (hwi_exchange_accept(x, method) && !(x->route->flags & HWI_ROUTE_UPLOAD) &&
        hwi_exchange_body(x, body, bytes))
        hwi_exchange_handle(x);
    hwi_exchange_finish(x);
    return x;
}

static void
must(const char *method, const char *uri, const char *body)
{
    hwi_exchange *x = ask(method, uri, body, strlen(body));
    demand(x->request.status == 200);
    hwi_exchange_free(x);
}

static void
open_server(void)
{
    const hwi_config_given given[] = {{"log.level", "error"},
                                      {"log.access", "false"},
                                      {"storage.snapshots_path", "fuzz_snapshots"},
                                      {"service.request_timeout_sec", "5"},
                                      {"embedding.collections", "*=stub"},
                                      {0}};
    hwi_config config;
    demand(hwi_config_read("/dev/null", NULL, given, NULL, &config, NULL) == HW_OK);
    demand(hwi_server_open(&config, "mem:", &server, NULL) == HW_OK);
    demand(hwi_server_embed(server, &stub, NULL) == HW_OK);
    must("PUT", "/collections/c", "{\"vectors\":{\"size\":4,\"distance\":\"Cosine\"}}");
    must("PUT", "/collections/n",
         "{\"vectors\":{\"a\":{\"size\":2,\"distance\":\"Dot\"},\"b\":{\"size\":3,\"distance\":"
         "\"Euclid\",\"multivector_config\":{\"comparator\":\"max_sim\"}}},"
         "\"sparse_vectors\":{\"s\":{}}}");
    must("PUT", "/collections/c/index?wait=true",
         "{\"field_name\":\"k\",\"field_schema\":\"keyword\"}");
    must("PUT", "/collections/c/points?wait=true",
         "{\"points\":[{\"id\":1,\"vector\":[1,2,3,4],\"payload\":{\"k\":\"x\",\"n\":1}},"
         "{\"id\":2,\"vector\":[4,3,2,1],\"payload\":{\"k\":\"y\"}},"
         "{\"id\":\"5c56c793-69f3-4fbf-87e6-c4bf54c28c26\",\"vector\":[1,1,1,1]}]}");
}

/* "GET /path?query\n" of the input itself, or the pattern of a route with c for the collection. */
static size_t
head_of(const uint8_t *data, size_t size, const char **method, char *uri, size_t room)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "?"};
    const hwi_route *route = hwi_route_at(data[0]);
    size_t n = 0, at = 1;

    *method = methods[data[0] % HWI_COUNT(methods)];
    if (route) {
        *method = hwi_method_name(route->method);
        for (const char *p = route->pattern; *p && n + 2 < room; p++) {
            uri[n++] = *p == '{' ? (strncmp(p, "{collection}", 12) == 0 ? 'c' : '1') : *p;
            if (*p == '{') p += strcspn(p, "}");
        }
        if (at < size && data[at] == '?') uri[n++] = '?', at++;
    }
    while ((route == NULL || (n && memchr(uri, '?', n))) && at < size && data[at] != '\n' &&
           n + 1 < room)
        uri[n++] = (char)(data[at] ? data[at] : '/'), at++;
    uri[n] = '\0';
    return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char uri[512];
    const char *method;
    const hwi_json *j;
    hwi_arena arena = {0};

    if (size == 0) return 0;
    if (server && ++requests % REQUESTS_PER_SERVER == 0) {
        hwi_server_close(server);
        server = NULL;
    }
    if (server == NULL) open_server();
    size_t at = head_of(data, size, &method, uri, sizeof uri);
    hwi_exchange *x = ask(method, uri, data + at, size - at);
    if (x->request.status == 500)
        fprintf(stderr, "%s %s: %.*s\n", method, uri, (int)x->answer.size, x->answer.data);
    demand(x->request.status >= 200 && x->request.status != 500 && x->request.status < 600);
    if (!x->request.send_file && strcmp(x->request.content_type, "application/json") == 0)
        demand(hwi_json_parse((const char *)x->answer.data, x->answer.size, &arena, &j, NULL) ==
               HW_OK);
    if (x->request.send_file && x->request.remove_file) unlink(x->request.send_file);
    hwi_arena_release(&arena);
    hwi_exchange_free(x);
    return 0;
}
