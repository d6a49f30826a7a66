/* serve_bench.c - what a search costs over HTTP, beside the same search through the C API, and how
 * many points a second can be stored.
 *
 *     serve_bench COMMAND DB [COLLECTION [SECONDS]]       defaults: bench 3
 *
 * COMMAND is the built `hashwood`, which is started on DB and stopped at the end. A DB that does not
 * exist is made: 20,000 random points of 128 dimensions. Queries are stored points moved a little.
 *
 * Connections are kept alive, one thread each; a pass lasts SECONDS. Printed: answers a second, the
 * median and 99th percentile of what the caller waits, and the processor time of the server per
 * answer, which says most on a machine that does other things too. */
#include "common.h"

#include "base/base.h"
#include "base/json.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUERIES 1000u
#define MADE_POINTS 20000u
#define MADE_DIM 128u
#define BATCH 100u
#define SAMPLES_MAX (1u << 20)
#define RECALL 0.95

typedef struct bench {
    const char *command, *db, *collection;
    double seconds;
    uint32_t dim;
    float *queries; /* QUERIES x dim */
    pid_t server;
    int port;
} bench;

static void
demand(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    exit(1);
}

/* ---- The database */

static void
make_database(const bench *b)
{
    hw_db *db;
    hw_collection *c;
    hw_error err;
    hwi_rng rng;
    char config[100];
    float *rows = hwi_alloc(1000 * MADE_DIM * sizeof *rows);
    hw_id ids[1000];

    hwi_rng_init(&rng, 1);
    snprintf(config, sizeof config, "{\"dim\": %u, \"metric\": \"l2\"}", MADE_DIM);
    check(hw_db_open(b->db, NULL, &db, &err), &err);
    check(hw_collection_create(db, b->collection, config, &err), &err);
    check(hw_collection_open(db, b->collection, &c, &err), &err);
    for (uint32_t first = 0; first < MADE_POINTS; first += 1000) {
        for (size_t i = 0; i < 1000 * MADE_DIM; i++) rows[i] = (float)hwi_rng_normal(&rng);
        for (uint32_t i = 0; i < 1000; i++) ids[i] = HW_ID_U64(first + i);
        check(hw_collection_upsert(c, ids, rows, 1000, NULL, &err), &err);
    }
    check(hw_collection_build(c, NULL, NULL, &err), &err);
    hwi_free(rows);
    hw_collection_close(c);
    hw_db_close(db);
}

static void
make_queries(bench *b, hw_collection *c)
{
    hw_result *r;
    hw_error err;
    hwi_rng rng;

    hwi_rng_init(&rng, 2);
    check(hw_collection_sample(c, NULL, 0, 7, QUERIES, HW_WITH_VECTOR, &r, &err), &err);
    demand(hw_result_count(r) == QUERIES, "too few points");
    hw_result_vector(r, 0, "", &b->dim);
    b->queries = hwi_alloc(QUERIES * b->dim * sizeof *b->queries);
    for (size_t i = 0; i < QUERIES; i++) {
        const float *v = hw_result_vector(r, i, "", NULL);
        for (size_t j = 0; j < b->dim; j++)
            b->queries[i * b->dim + j] = v[j] + (float)(hwi_rng_normal(&rng) * 0.05);
    }
    hw_result_free(r);
}

/* ---- Printing */

static int
by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void
print_row(const char *what, uint32_t connections, uint32_t *us, size_t count, double wall,
          double cpu, const char *unit, double per_answer)
{
    if (count == 0) return;
    qsort(us, HWI_MIN(count, SAMPLES_MAX), sizeof *us, by_size);
    size_t n = HWI_MIN(count, SAMPLES_MAX);
    printf("%-22s %3u  %9.0f %s/s  p50 %6u us  p99 %6u us  cpu %7.1f us each\n", what, connections,
           (double)count * per_answer / wall, unit, us[n / 2], us[n * 99 / 100],
           cpu / (double)count * 1e6);
    fflush(stdout);
}

/* ---- Through the C API */

static void
measure_library(const bench *b, hw_collection *c)
{
    static uint32_t us[SAMPLES_MAX];
    uint64_t begin = hwi_clock_us(), end = begin + (uint64_t)(b->seconds * 1e6);
    double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    size_t count = 0;

    for (uint64_t now = begin; now < end; count++) {
        hw_query q = HW_QUERY_INIT;
        hw_result *r;
        hw_error err;
        q.vector = b->queries + count % QUERIES * b->dim;
        q.dim = b->dim;
        q.recall = RECALL;
        check(hw_collection_search(c, &q, &r, &err), &err);
        hw_result_free(r);
        uint64_t then = now;
        now = hwi_clock_us();
        if (count < SAMPLES_MAX) us[count] = (uint32_t)(now - then);
    }
    print_row("C API, search", 1, us, count, (double)(hwi_clock_us() - begin) / 1e6,
              clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, "searches", 1);
}

/* ---- The server and a client */

static void
start_server(bench *b)
{
    int out[2];
    char line[1024];
    FILE *log;

    demand(pipe(out) == 0, "pipe");
    b->server = fork();
    if (b->server == 0) {
        dup2(out[1], 1);
        close(out[0]);
        execl(b->command, b->command, "serve", b->db, "--http-port", "0", "--log-access", "false",
              "--recall-sample", "0", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    log = fdopen(out[0], "r");
    while (b->port == 0 && fgets(line, sizeof line, log)) {
        const char *at = strstr(line, "127.0.0.1:");
        if (at) b->port = atoi(at + 10);
    }
    demand(b->port != 0, "the server did not start");
}

static int
connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    demand(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

/* Sends a request and reads its answer; the code. */
static int
ask(int fd, const hwi_buf *request)
{
    char in[65536];
    size_t have = 0, whole = 0;

    for (size_t sent = 0; sent < request->size;) {
        ssize_t n = send(fd, request->data + sent, request->size - sent, MSG_NOSIGNAL);
        demand(n > 0, "send");
        sent += (size_t)n;
    }
    while (whole == 0 || have < whole) {
        ssize_t n = recv(fd, in + have, sizeof in - 1 - have, 0);
        demand(n > 0, "recv");
        have += (size_t)n;
        in[have] = '\0';
        const char *end = strstr(in, "\r\n\r\n"), *length = strcasestr(in, "\r\ncontent-length:");
        if (end && length) whole = (size_t)(end + 4 - in) + strtoul(length + 17, NULL, 10);
    }
    return atoi(in + 9);
}

static void
make_request(hwi_buf *out, const char *method, const char *path, const hwi_buf *body)
{
    hwi_buf_clear(out);
    hwi_buf_printf(out,
                   "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   method, path, body->size);
    hwi_buf_add(out, body->data, body->size);
}

/* ---- Passes */

typedef struct caller {
    const bench *b;
    pthread_t thread;
    const hwi_buf *requests;
    size_t request_count, first;
    uint64_t end_us;
    uint32_t *us;
    size_t count, room;
} caller;

static void *
call(void *arg)
{
    caller *c = arg;
    int fd = connect_to(c->b->port);

    for (uint64_t now = hwi_clock_us(); now < c->end_us; c->count++) {
        int code = ask(fd, &c->requests[(c->first + c->count) % c->request_count]);
        demand(code == 200, "an answer other than 200");
        uint64_t then = now;
        now = hwi_clock_us();
        if (c->count < c->room) c->us[c->count] = (uint32_t)(now - then);
    }
    close(fd);
    return NULL;
}

static void
measure_calls(const bench *b, const char *what, uint32_t connections, const hwi_buf *requests,
              size_t request_count, const char *unit, double per_answer)
{
    static uint32_t us[SAMPLES_MAX];
    caller callers[64];
    clockid_t clock;
    uint64_t begin = hwi_clock_us();
    size_t count = 0;
    double cpu;

    clock_getcpuclockid(b->server, &clock);
    cpu = clock_seconds(clock);
    for (uint32_t i = 0; i < connections; i++) {
        callers[i] = (caller){.b = b,
                              .requests = requests,
                              .request_count = request_count,
                              .first = request_count * i / connections,
                              .end_us = begin + (uint64_t)(b->seconds * 1e6),
                              .us = us + SAMPLES_MAX / connections * i,
                              .room = SAMPLES_MAX / connections};
        demand(pthread_create(&callers[i].thread, NULL, call, &callers[i]) == 0, "thread");
    }
    for (uint32_t i = 0; i < connections; i++) {
        pthread_join(callers[i].thread, NULL);
        size_t n = HWI_MIN(callers[i].count, callers[i].room);
        memmove(us + count, callers[i].us, n * sizeof *us);
        count += n;
    }
    print_row(what, connections, us, count, (double)(hwi_clock_us() - begin) / 1e6,
              clock_seconds(clock) - cpu, unit, per_answer);
}

static void
measure_searches(const bench *b)
{
    static hwi_buf requests[QUERIES], health[1];
    static const uint32_t connections[] = {1, 8, 64};
    hwi_buf body = {0};
    char path[600];

    snprintf(path, sizeof path, "/collections/%s/points/query", b->collection);
    for (size_t i = 0; i < QUERIES; i++) {
        hwi_buf_clear(&body);
        hwi_buf_text(&body, "{\"query\":");
        hwi_json_write_f32s(&body, b->queries + i * b->dim, b->dim);
        hwi_buf_printf(&body, ",\"limit\":10,\"params\":{\"recall\":%g}}", RECALL);
        make_request(&requests[i], "POST", path, &body);
    }
    hwi_buf_clear(&body);
    make_request(&health[0], "GET", "/healthz", &body);
    for (size_t i = 0; i < HWI_COUNT(connections); i++) {
        measure_calls(b, "HTTP, GET /healthz", connections[i], health, 1, "answers", 1);
        measure_calls(b, "HTTP, search", connections[i], requests, QUERIES, "searches", 1);
    }
}

static void
measure_upserts(const bench *b)
{
    static hwi_buf requests[200], settings;
    hwi_buf body = {0};
    const char *path = "/collections/serve_bench_upserts";
    int fd = connect_to(b->port);

    hwi_buf_printf(&body, "{\"vectors\":{\"size\":%u,\"distance\":\"Euclid\"}}", b->dim);
    make_request(&settings, "PUT", path, &body);
    demand(ask(fd, &settings) == 200, "cannot create a collection");
    for (size_t i = 0; i < HWI_COUNT(requests); i++) {
        hwi_buf_clear(&body);
        hwi_buf_text(&body, "{\"points\":[");
        for (size_t j = 0; j < BATCH; j++) {
            hwi_buf_printf(&body, "%s{\"id\":%zu,\"vector\":", j ? "," : "", i * BATCH + j);
            hwi_json_write_f32s(&body, b->queries + (i * BATCH + j) % QUERIES * b->dim, b->dim);
            hwi_buf_printf(&body, ",\"payload\":{\"n\":%zu}}", j);
        }
        hwi_buf_text(&body, "]}");
        make_request(&requests[i], "PUT", "/collections/serve_bench_upserts/points?wait=true",
                     &body);
    }
    measure_calls(b, "HTTP, upsert 100", 1, requests, HWI_COUNT(requests), "points", BATCH);
    measure_calls(b, "HTTP, upsert 100", 8, requests, HWI_COUNT(requests), "points", BATCH);
    hwi_buf_clear(&body);
    make_request(&settings, "DELETE", path, &body);
    demand(ask(fd, &settings) == 200, "cannot drop the collection");
    close(fd);
}

int
main(int argc, char **argv)
{
    bench b = {.collection = "bench", .seconds = 3};
    struct stat there;
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_db *db;
    hw_collection *c;
    hw_error err;

    if (argc < 3) return fprintf(stderr, "serve_bench COMMAND DB [COLLECTION [SECONDS]]\n"), 2;
    b.command = argv[1], b.db = argv[2];
    if (argc > 3) b.collection = argv[3];
    if (argc > 4) b.seconds = atof(argv[4]);
    if (stat(b.db, &there) != 0) make_database(&b);
    opts.read_only = true;
    check(hw_db_open(b.db, &opts, &db, &err), &err);
    check(hw_collection_open(db, b.collection, &c, &err), &err);
    make_queries(&b, c);
    printf("%u dimensions, recall asked %.2f, k 10\n", b.dim, RECALL);
    measure_library(&b, c);
    hw_collection_close(c);
    hw_db_close(db);
    start_server(&b);
    measure_searches(&b);
    measure_upserts(&b);
    kill(b.server, SIGTERM);
    waitpid(b.server, NULL, 0);
    return 0;
}
