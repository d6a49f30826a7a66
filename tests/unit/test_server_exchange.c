/* The steps of a request, driven from memory: no socket, no HTTP library. */
#include "support/hwt.h"

#include <stdio.h>
#include <time.h>
#include <zlib.h>

#include "base/json.h"
#include "server/exchange.h"
#include "server/server.h"

static hwi_server *
open_server(const hwi_config_given *given)
{
    hwi_config_given all[16] = {{"storage.snapshots_path", "exchange_snapshots"},
                                {"log.level", "error"}};
    hwi_config config;
    hwi_server *s;
    hw_error err = {0};
    for (size_t n = 2; given && given->name; given++) all[n++] = *given;
    if (hwi_config_read("/dev/null", NULL, all, NULL, &config, &err) != HW_OK ||
        hwi_server_open(&config, "mem:", &s, &err) != HW_OK)
        fail_msg("%s", err.message);
    return s;
}

typedef struct call {
    const char *method, *uri, *body;
    const char *headers[9]; /* name, value, ..., NULL */
} call;

/* The exchange once it is answered; NUL-terminated. */
static hwi_exchange *
make(hwi_server *s, call c)
{
    hwi_exchange *x = hwi_exchange_new(s, c.uri);
    assert_non_null(x);
    for (size_t i = 0; c.headers[i]; i += 2) hwi_exchange_header(x, c.headers[i], c.headers[i + 1]);
    if (hwi_exchange_accept(x, c.method) &&
        (c.body == NULL || hwi_exchange_body(x, c.body, strlen(c.body))))
        hwi_exchange_handle(x);
    hwi_exchange_finish(x);
    return x;
}

static const char *
header(const hwi_exchange *x, const char *name)
{
    for (size_t i = 0; i < x->answer_header_count; i++)
        if (strcmp(x->answer_headers[i].name, name) == 0) return x->answer_headers[i].value;
    return NULL;
}

static void
expect(hwi_server *s, call c, int status, const char *says)
{
    hwi_exchange *x = make(s, c);
    hwi_buf_add(&x->answer, "", 1);
    const char *text = (const char *)x->answer.data;
    if (x->request.status != status || strstr(text, says) == NULL)
        fail_msg("%s %s: %d %s, not %d %s", c.method, c.uri, x->request.status, text, status, says);
    assert_non_null(header(x, "x-request-id"));
    hwi_exchange_free(x);
}

static void
answers_have_the_envelope_and_the_codes_of_the_contract(void **state)
{
    (void)state;
    hwi_server *s = open_server(NULL);
    const char *make_c = "{\"vectors\": {\"size\": 2, \"distance\": \"Dot\"}}";
    expect(s, (call){"GET", "/", NULL, {0}}, 200, "\"title\":\"hashwood");
    expect(s, (call){"GET", "/healthz", NULL, {0}}, 200, "healthz check passed");
    expect(s, (call){"GET", "/collections/", NULL, {0}}, 200,
           "{\"result\":{\"collections\":[]},\"status\":\"ok\",\"time\":");
    expect(s, (call){"PUT", "/collections/c", make_c, {0}}, 200, "\"result\":true");
    expect(s, (call){"PUT", "/collections/c", make_c, {0}}, 409, "already exists");
    expect(s, (call){"GET", "/collections/x", NULL, {0}}, 404,
           "{\"status\":{\"error\":\"Not found: Collection `x` doesn't exist!\"},\"time\":");
    expect(s, (call){"POST", "/collections/c/points/search", "{\"vector\": [1,", {0}}, 400,
           "Format error in JSON body: ");
    expect(s, (call){"GET", "/no/such", NULL, {0}}, 404, "no such path");
    expect(s, (call){"PATCH", "/healthz", NULL, {0}}, 404, "takes GET");
    expect(s, (call){"BREW", "/", NULL, {0}}, 405, "unknown method");
    expect(s, (call){"GET", "/%00", NULL, {0}}, 400, "malformed path");
    expect(s, (call){"GET", "/collections?timeout=0", NULL, {0}}, 422, "must be 1 or larger");
    expect(s, (call){"GET", "/collections?timeout=x", NULL, {0}}, 400, "timeout");
    expect(s, (call){"GET", "/collections?a=%zz", NULL, {0}}, 400, "query parameters");
    expect(s, (call){"GET", "/cluster", NULL, {0}}, 200, "\"disabled\"");
    expect(s, (call){"POST", "/cluster/recover", NULL, {0}}, 405, "standalone");
    hwi_server_close(s);
}

static void
the_caller_s_request_id_comes_back_if_it_is_plain(void **state)
{
    (void)state;
    hwi_server *s = open_server(NULL);
    hwi_exchange *x = make(s, (call){"GET", "/", NULL, {"X-Request-Id", "a-1", NULL}});
    assert_string_equal("a-1", header(x, "x-request-id"));
    hwi_exchange_free(x);
    x = make(s, (call){"GET", "/", NULL, {"x-request-id", "a b\r\nSet-Cookie: x", NULL}});
    assert_null(strchr(header(x, "x-request-id"), ' '));
    hwi_exchange_free(x);
    hwi_server_close(s);
}

static void
keys_are_asked_for_except_where_nobody_needs_one(void **state)
{
    (void)state;
    hwi_server *s = open_server((hwi_config_given[]){
        {"service.api_key", "key"}, {"service.read_only_api_key", "reader"}, {0}});
    const char *open_paths[] = {"/", "/healthz", "/readyz", "/livez"};
    for (size_t i = 0; i < HWI_COUNT(open_paths); i++)
        expect(s, (call){"GET", open_paths[i], NULL, {0}}, 200, "");
    const char *closed[] = {"/collections", "/metrics", "/telemetry", "/nothing", "/issues"};
    for (size_t i = 0; i < HWI_COUNT(closed); i++)
        expect(s, (call){"GET", closed[i], NULL, {0}}, 401, "Must provide an API key");
    expect(s, (call){"GET", "/collections", NULL, {"api-key", "no", NULL}}, 401, "Invalid");
    expect(s, (call){"GET", "/collections", NULL, {"api-key", "key", NULL}}, 200, "");
    expect(s, (call){"GET", "/collections", NULL, {"Authorization", "Bearer reader", NULL}}, 200,
           "");
    expect(s, (call){"DELETE", "/collections/c", NULL, {"api-key", "reader", NULL}}, 403,
           "Forbidden");
    hwi_server_close(s);
}

/* Whoever may change a collection may not put another one's snapshot in its place. */
static void
a_token_of_one_collection_does_not_replace_it_whole(void **state)
{
    (void)state;
    hwi_server *s = open_server(
        (hwi_config_given[]){{"service.api_key", "key"}, {"service.jwt_rbac", "true"}, {0}});
    /* {"access": [{"collection": "c", "access": "rw"}]} */
    const char *token = "eyJhbGciOiJIUzI1NiJ9."
                        "eyJhY2Nlc3MiOlt7ImNvbGxlY3Rpb24iOiJjIiwiYWNjZXNzIjoicncifV19."
                        "C-aijii5Q9Dzo9JyRWxAspUgEJWT7SgybS_uZzmgAZ0";
    const char *whole[] = {"/collections/c/snapshots/recover",
                           "/collections/c/shards/0/snapshots/recover"};
    for (size_t i = 0; i < HWI_COUNT(whole); i++)
        expect(s, (call){"PUT", whole[i], "{}", {"api-key", token, NULL}}, 403, "Forbidden");
    const char *uploads[] = {"/collections/c/snapshots/upload",
                             "/collections/c/shards/0/snapshots/upload"};
    for (size_t i = 0; i < HWI_COUNT(uploads); i++)
        expect(s, (call){"POST", uploads[i], NULL, {"api-key", token, NULL}}, 403, "Forbidden");
    expect(s, (call){"POST", "/collections/c/shards/0/snapshots", NULL, {"api-key", token, NULL}},
           404, "Collection `c` doesn't exist");
    hwi_server_close(s);
}

static void
bodies_of_refused_requests_are_not_kept(void **state)
{
    (void)state;
    hwi_server *s = open_server((hwi_config_given[]){{"service.api_key", "key"}, {0}});
    hwi_exchange *x = hwi_exchange_new(s, "/collections/c/points");
    assert_false(hwi_exchange_accept(x, "PUT"));
    assert_false(hwi_exchange_body(x, "1234", 4));
    assert_int_equal(0, x->body.size);
    hwi_exchange_finish(x);
    assert_int_equal(401, x->request.status);
    hwi_exchange_free(x);
    hwi_server_close(s);
}

static void
a_body_above_the_limit_is_413(void **state)
{
    (void)state;
    hwi_server *s = open_server((hwi_config_given[]){{"service.max_request_size_mb", "1"}, {0}});
    static char part[1 << 16];
    hwi_exchange *x = hwi_exchange_new(s, "/collections/c");
    memset(part, ' ', sizeof part);
    assert_true(hwi_exchange_accept(x, "PUT"));
    for (int i = 0; i < 16; i++) assert_true(hwi_exchange_body(x, part, sizeof part));
    assert_false(hwi_exchange_body(x, part, 1));
    hwi_exchange_finish(x);
    assert_int_equal(413, x->request.status);
    hwi_exchange_free(x);
    hwi_server_close(s);
}

static void
pages_of_other_origins_may_call_unless_told_otherwise(void **state)
{
    (void)state;
    hwi_server *s = open_server(NULL);
    hwi_exchange *x =
        make(s, (call){"OPTIONS",
                       "/collections",
                       NULL,
                       {"Origin", "http://a", "Access-Control-Request-Headers", "api-key", NULL}});
    assert_int_equal(200, x->request.status);
    assert_string_equal("*", header(x, "Access-Control-Allow-Origin"));
    assert_string_equal("api-key", header(x, "Access-Control-Allow-Headers"));
    hwi_exchange_free(x);
    hwi_server_close(s);
    s = open_server((hwi_config_given[]){{"service.enable_cors", "false"}, {0}});
    x = make(s, (call){"GET", "/collections", NULL, {"Origin", "http://a", NULL}});
    assert_null(header(x, "Access-Control-Allow-Origin"));
    hwi_exchange_free(x);
    hwi_server_close(s);
}

static void
long_answers_are_compressed_for_those_who_ask(void **state)
{
    (void)state;
    hwi_server *s = open_server(NULL);
    hwi_exchange *plain = make(s, (call){"GET", "/metrics", NULL, {0}});
    hwi_exchange *packed =
        make(s, (call){"GET", "/metrics", NULL, {"Accept-Encoding", "br, gzip;q=0.5", NULL}});
    hwi_exchange *refused =
        make(s, (call){"GET", "/metrics", NULL, {"Accept-Encoding", "gzip;q=0", NULL}});
    static char out[1 << 20];
    z_stream z = {.next_in = packed->answer.data,
                  .avail_in = (uInt)packed->answer.size,
                  .next_out = (Bytef *)out,
                  .avail_out = sizeof out};
    assert_null(header(plain, "Content-Encoding"));
    assert_null(header(refused, "Content-Encoding"));
    assert_string_equal("gzip", header(packed, "Content-Encoding"));
    assert_true(packed->answer.size < plain->answer.size / 2);
    assert_int_equal(Z_OK, inflateInit2(&z, 15 + 16));
    assert_int_equal(Z_STREAM_END, inflate(&z, Z_FINISH));
    assert_non_null(strstr(out, "collections_total"));
    inflateEnd(&z);
    hwi_exchange_free(plain);
    hwi_exchange_free(packed);
    hwi_exchange_free(refused);
    hwi_server_close(s);
}

static void
a_request_that_waited_too_long_is_408(void **state)
{
    (void)state;
    hwi_server *s = open_server(NULL);
    hwi_exchange *x = hwi_exchange_new(s, "/collections?timeout=1");
    assert_true(hwi_exchange_accept(x, "GET"));
    x->request.deadline_ms -= 2000;
    hwi_exchange_handle(x);
    hwi_exchange_finish(x);
    assert_int_equal(408, x->request.status);
    hwi_exchange_free(x);
    hwi_server_close(s);
}

static void
the_name_can_be_that_of_qdrant(void **state)
{
    (void)state;
    hwi_server *s = open_server((hwi_config_given[]){{"service.compat", "Qdrant"}, {0}});
    hwi_exchange *x = make(s, (call){"GET", "/", NULL, {0}});
    const hwi_json *j, *commit;
    hwi_arena arena = {0};
    assert_int_equal(HW_OK,
                     hwi_json_parse((char *)x->answer.data, x->answer.size, &arena, &j, NULL));
    assert_string_equal("qdrant - vector search engine", hwi_json_member(j, "title")->text);
    assert_true(hwi_json_member(j, "version")->text[0] == '1');
    commit = hwi_json_member(j, "commit");
    assert_int_equal(40, commit->text_bytes);
    assert_int_equal(3, j->count);
    hwi_arena_release(&arena);
    hwi_exchange_free(x);
    hwi_server_close(s);
}

/* A handle outlives its collection only until somebody notices. */
static void
a_name_that_means_something_new_is_opened_anew(void **state)
{
    (void)state;
    hwi_server *s = open_server(NULL);
    for (int i = 2; i < 5; i++) {
        char body[100], says[40];
        snprintf(body, sizeof body, "{\"vectors\": {\"size\": %d, \"distance\": \"Dot\"}}", i);
        snprintf(says, sizeof says, "\"size\":%d", i);
        expect(s, (call){"PUT", "/collections/c", body, {0}}, 200, "true");
        expect(s, (call){"GET", "/collections/c", NULL, {0}}, 200, says);
        expect(s, (call){"DELETE", "/collections/c", NULL, {0}}, 200, "true");
        expect(s, (call){"GET", "/collections/c", NULL, {0}}, 404, "doesn't exist");
    }
    hwi_server_close(s);
}

/* Every search is sampled; each is repeated in spare time, and what was missed is told. */
static void
recall_is_measured_while_the_server_runs(void **state)
{
    (void)state;
    hwi_server *s = open_server((hwi_config_given[]){{"service.recall_sample", "1"}, {0}});
    const struct timespec pause = {.tv_nsec = 10000000};
    expect(s,
           (call){"PUT", "/collections/c", "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"}}", {0}},
           200, "true");
    expect(s,
           (call){"PUT",
                  "/collections/c/points?wait=true",
                  "{\"points\":[{\"id\":1,\"vector\":[1,2]},{\"id\":2,\"vector\":[2,1]}]}",
                  {0}},
           200, "completed");
    for (int i = 0; i < 3; i++)
        expect(
            s,
            (call){"POST", "/collections/c/points/search", "{\"vector\":[1,2],\"limit\":2}", {0}},
            200, "score");
    for (int tries = 0;; tries++) {
        hwi_buf b = {0};
        hwi_sampler_report(s, "c", &b);
        hwi_buf_add(&b, "", 1);
        bool done = strstr((char *)b.data, "\"samples\":3") != NULL;
        if (done) assert_non_null(strstr((char *)b.data, "\"recall\":1.0"));
        if (tries == 2000) fail_msg("%s", (char *)b.data);
        hwi_buf_release(&b);
        if (done) break;
        nanosleep(&pause, NULL);
    }
    hwi_server_close(s);
}

/* Another process drops the collection under a handle that is open: the name is noticed to be gone,
 * and what is made anew under it is found. */
static void
a_collection_that_vanished_is_noticed(void **state)
{
    (void)state;
    hwi_server *s = open_server(NULL);
    const char *made = "{\"dim\": 2, \"metric\": \"dot\"}";
    hwi_exchange *x = hwi_exchange_new(s, "/");
    hw_db *db = x->request.db;
    hw_error err = {0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(HW_OK, hw_collection_create(db, "c", made, &err));
        expect(s, (call){"GET", "/collections/c", NULL, {0}}, 200, "points_count");
        expect(s, (call){"GET", "/collections/c/points/7", NULL, {0}}, 404, "7");
        expect(s, (call){"GET", "/collections/c", NULL, {0}}, 200, "points_count");
        assert_int_equal(HW_OK, hw_collection_drop(db, "c", &err));
        expect(s, (call){"GET", "/collections/c", NULL, {0}}, 404, "ot found");
    }
    hwi_exchange_free(x);
    hwi_server_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_the_envelope_and_the_codes_of_the_contract),
        cmocka_unit_test(the_caller_s_request_id_comes_back_if_it_is_plain),
        cmocka_unit_test(keys_are_asked_for_except_where_nobody_needs_one),
        cmocka_unit_test(a_token_of_one_collection_does_not_replace_it_whole),
        cmocka_unit_test(bodies_of_refused_requests_are_not_kept),
        cmocka_unit_test(a_body_above_the_limit_is_413),
        cmocka_unit_test(pages_of_other_origins_may_call_unless_told_otherwise),
        cmocka_unit_test(long_answers_are_compressed_for_those_who_ask),
        cmocka_unit_test(a_request_that_waited_too_long_is_408),
        cmocka_unit_test(the_name_can_be_that_of_qdrant),
        cmocka_unit_test(a_name_that_means_something_new_is_opened_anew),
        cmocka_unit_test(a_collection_that_vanished_is_noticed),
        cmocka_unit_test(recall_is_measured_while_the_server_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
