/* A database at an address whose server does not answer: deadline and cancel end the wait. The
 * server is a thread of the test, which answers what opening asks and then falls silent. */
#include "support/hwt_db.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct silent_server {
    int listener;
    pthread_t thread;
    char url[64];
} silent_server;

/* One request, up to the empty line; false when the other side is gone. */
static bool
read_head(int fd, char *head, size_t room)
{
    size_t n = 0;
    while (n + 1 < room) {
        ssize_t got = recv(fd, head + n, room - 1 - n, 0);
        if (got <= 0) return false;
        n += (size_t)got;
        head[n] = '\0';
        if (strstr(head, "\r\n\r\n")) return true;
    }
    return false;
}

static void
answer(int fd, const char *json)
{
    char text[512];
    int n = snprintf(
        text, sizeof text,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(json), json);
    assert_int_equal(n, send(fd, text, (size_t)n, MSG_NOSIGNAL));
}

static void *
serve(void *arg)
{
    const silent_server *s = arg;
    char head[4096];
    int fd;
    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        while (read_head(fd, head, sizeof head)) {
            if (strstr(head, "/points")) continue; /* silence */
            answer(fd, strstr(head, "/describe")
                           ? "{\"result\":{\"vectors\":{\"\":{\"dim\":2,\"metric\":\"l2\"}}}}"
                           : "{\"result\":{\"collections\":[]}}");
        }
        close(fd);
    }
    return NULL;
}

static void
start(silent_server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(s->listener, (struct sockaddr *)&at, sizeof at));
    assert_int_equal(0, getsockname(s->listener, (struct sockaddr *)&at, &bytes));
    assert_int_equal(0, listen(s->listener, 4));
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(at.sin_port));
    assert_int_equal(0, pthread_create(&s->thread, NULL, serve, s));
}

static void
stop(silent_server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static void
open_far(const silent_server *s, hw_db **db, hw_collection **c)
{
    hw_error err = {0};
    hw_status st = hw_db_open(s->url, NULL, db, &err);
    if (st == HW_EUNSUPPORTED) skip(); /* no libcurl here */
    hwt_ok(st, &err);
    hwt_ok(hw_collection_open(*db, "c", c, &err), &err);
}

static hw_query
a_query(void)
{
    static const float vector[] = {1, 2};
    hw_query q = HW_QUERY_INIT;
    q.vector = vector;
    q.dim = 2;
    return q;
}

static void
a_deadline_ends_the_wait_for_a_server(void **state)
{
    (void)state;
    silent_server s;
    hw_db *db;
    hw_collection *c;
    hw_result *r = NULL;
    char *json = NULL;
    hw_error err;
    start(&s);
    open_far(&s, &db, &c);
    hw_query q = a_query();
    hw_id id = HW_ID_U64(1);
    uint64_t begin_us = hwi_clock_us();
    q.deadline_ms = begin_us / 1000 + 200;
    assert_int_equal(HW_ETIMEOUT, hw_collection_search(c, &q, &r, &err));
    assert_null(r);
    uint64_t took_ms = (hwi_clock_us() - begin_us) / 1000;
    assert_in_range(took_ms, 190, 10000);
    assert_int_equal(HW_ETIMEOUT, hw_collection_search(c, &q, &r, &err)); /* it is over already */
    q.deadline_ms = hwi_clock_us() / 1000 + 100;
    assert_int_equal(HW_ETIMEOUT, hw_collection_why(c, &q, &id, &json, &err));
    hw_collection_close(c);
    hw_db_close(db);
    stop(&s);
}

/* Nothing is sent: the server never answers. */
static void
null_is_refused_as_in_a_folder(void **state)
{
    (void)state;
    silent_server s;
    hw_db *db;
    hw_collection *c, *none;
    hw_result *r;
    char *json;
    hw_error err;
    start(&s);
    open_far(&s, &db, &c);
    assert_int_equal(HW_EINVAL, hw_collection_create(db, NULL, "{}", &err));
    assert_int_equal(HW_EINVAL, hw_collection_create(db, "c", NULL, &err));
    assert_int_equal(HW_EINVAL, hw_collection_open(db, NULL, &none, &err));
    assert_int_equal(HW_EINVAL, hw_collection_drop(db, NULL, &err));
    assert_int_equal(HW_EINVAL, hw_collection_restore(db, NULL, "f", false, NULL, NULL, &err));
    assert_int_equal(HW_EINVAL, hw_db_alias(db, &(const hw_alias){NULL, "c"}, 1, &err));
    assert_int_equal(HW_EINVAL, hw_collection_get(c, NULL, 1, 0, &r, &err));
    assert_int_equal(HW_EINVAL, hw_collection_facet(c, NULL, NULL, 0, 1, &json, &err));
    assert_int_equal(HW_EINVAL, hw_collection_index_payload(c, NULL, "keyword", NULL, NULL, &err));
    assert_int_equal(HW_EINVAL, hw_collection_index_payload(c, "a", NULL, NULL, NULL, &err));
    assert_int_equal(HW_EINVAL, hw_collection_unindex_payload(c, NULL, &err));
    hw_collection_close(c);
    hw_db_close(db);
    stop(&s);
}

static void *
signal_soon(void *cancel)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    hw_cancel_signal(cancel);
    return NULL;
}

static void
a_cancel_ends_the_wait_for_a_server(void **state)
{
    (void)state;
    silent_server s;
    hw_db *db;
    hw_collection *c;
    hw_result *r = NULL;
    hw_error err;
    pthread_t thread;
    start(&s);
    open_far(&s, &db, &c);
    hw_query q = a_query();
    hwt_ok(hw_cancel_new(&q.cancel, &err), &err);
    q.deadline_ms = hwi_clock_us() / 1000 + 60000;
    assert_int_equal(0, pthread_create(&thread, NULL, signal_soon, q.cancel));
    uint64_t begin_us = hwi_clock_us();
    assert_int_equal(HW_ECANCELED, hw_collection_search(c, &q, &r, &err));
    assert_true(hwi_clock_us() - begin_us < 30000000);
    pthread_join(thread, NULL);
    hw_cancel_free(q.cancel);
    hw_collection_close(c);
    hw_db_close(db);
    stop(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_is_refused_as_in_a_folder),
        cmocka_unit_test(a_deadline_ends_the_wait_for_a_server),
        cmocka_unit_test(a_cancel_ends_the_wait_for_a_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
