/* http.c - libmicrohttpd in front of exchanges.
 *
 *     event threads (epoll)                         workers
 *     request line -> exchange
 *     headers      -> route, rights
 *     body         -> collected
 *     complete     -> suspend, push to the queue -> parse, handle, envelope, compress
 *     queue the answer, send                     <- resume
 *
 * Event threads never wait for the database: what is not marked inline goes to a worker, and when
 * the queue is full the answer is 503 at once.
 *
 * A suspended connection is not watched by the library, and one that sends a byte now and then never
 * times out there. So one more thread, the watchdog, looks at all connections four times a second:
 * whoever takes too long to send a request gets 408 and is cut off; of whoever hung up while we
 * work the search is cancelled; whoever does not read the answer is cut off too. It touches a
 * connection only through its socket (shutdown), under the lock that its closing takes as well.
 *
 * Road not taken: an own HTTP parser would save about 20 us per request (docs/decisions/http.md).
 */
#include <microhttpd.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_tls.h"
#include "http_upload.h"
#include "server_impl.h"

#define CONNECTION_BYTES 32768u /* request line, headers, and the window of the body */
#define BACKLOG 1024
#define WATCH_US 250000u
#define IDLE_GRACE_US 5000000u    /* beyond the library's own idle timeout */
#define BODY_BYTES_PER_S 65536u   /* slower than this is too slow, */
#define ANSWER_BYTES_PER_S 16384u /* the other way as well */
#define ANSWER_US 60000000u
#define FILE_US UINT64_C(86400000000) /* a snapshot may be large */
#define DRAINED_BYTES_MAX (64u << 20) /* of a body that is refused, so that the answer is read */

typedef enum connection_state { IDLE, RECEIVING, WORKING, SENDING } connection_state;

typedef struct connection {
    struct connection *next, *previous;
    int fd;
    connection_state state;
    uint64_t since_us;
    uint64_t allowed_us;    /* SENDING: how long it may take */
    uint64_t body_bytes;    /* RECEIVING: of the body, so far */
    hwi_exchange *exchange; /* unless IDLE */
} connection;

struct hwi_http {
    hwi_server *server;
    struct MHD_Daemon *daemon;
    hwi_tls *tls;
    int listener;
    uint16_t port;
    pthread_t watchdog;
    bool has_watchdog;
    pthread_mutex_t lock; /* guards all below and every connection's fields */
    pthread_cond_t ended;
    bool is_ending;
    connection *connections;
    size_t connection_count, active; /* active: exchanges under way */
};

/* ---- Connections */

static connection *
connection_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void
enter(hwi_http *h, connection *c, connection_state state, hwi_exchange *x, uint64_t allowed_us)
{
    if (c == NULL) return;
    pthread_mutex_lock(&h->lock);
    c->state = state;
    c->allowed_us = allowed_us;
    c->body_bytes = 0;
    c->since_us = hwi_clock_us();
    c->exchange = x;
    pthread_mutex_unlock(&h->lock);
}

static void
on_opened(hwi_http *h, struct MHD_Connection *mhd, void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    connection *c = hwi_alloc_zero(sizeof *c);

    *context = c;
    if (c == NULL) return; /* served, but not watched */
    c->fd = info->connect_fd;
    c->since_us = hwi_clock_us();
    pthread_mutex_lock(&h->lock);
    c->next = h->connections;
    if (c->next) c->next->previous = c;
    h->connections = c;
    h->connection_count++;
    pthread_mutex_unlock(&h->lock);
}

static void
on_closed(hwi_http *h, connection *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&h->lock);
    if (c->next) c->next->previous = c->previous;
    *(c->previous ? &c->previous->next : &h->connections) = c->next;
    h->connection_count--;
    pthread_mutex_unlock(&h->lock);
    hwi_free(c);
}

static void
on_connection(void *cls, struct MHD_Connection *mhd, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        on_opened(cls, mhd, context);
    else
        on_closed(cls, *context);
}

/* ---- The watchdog; the lock is held in all of these */

static void
cut_off(connection *c)
{
    shutdown(c->fd, SHUT_RDWR); /* the event thread sees the end and closes */
}

static void
time_out(const hwi_http *h, connection *c)
{
    static const char answer[] =
        "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

    if (h->tls == NULL) send(c->fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    cut_off(c);
}

static bool
has_hung_up(const connection *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void
watch(const hwi_http *h, connection *c, uint64_t now_us)
{
    const hwi_config *config = &h->server->config;
    uint64_t for_us = now_us > c->since_us ? now_us - c->since_us : 0;

    switch (c->state) {
    case IDLE:
        if (for_us >
            config->service_http_keep_alive_timeout_sec * UINT64_C(1000000) + IDLE_GRACE_US)
            cut_off(c);
        break;
    case RECEIVING:
        if (for_us > config->service_http_client_request_timeout_sec * UINT64_C(1000000) +
                         c->body_bytes * UINT64_C(1000000) / BODY_BYTES_PER_S)
            time_out(h, c);
        break;
    case WORKING:
        if (for_us > WATCH_US / 2 && c->exchange->request.cancel && has_hung_up(c))
            hw_cancel_signal(c->exchange->request.cancel);
        break;
    case SENDING:
        if (for_us > c->allowed_us) cut_off(c);
        break;
    }
}

static void *
keep_watch(void *arg)
{
    hwi_http *h = arg;

    pthread_mutex_lock(&h->lock);
    while (!h->is_ending) {
        struct timespec until;
        uint64_t now_us = hwi_clock_us();

        for (connection *c = h->connections; c; c = c->next) watch(h, c, now_us);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WATCH_US * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&h->ended, &h->lock, &until);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* ---- Answers */

/* Headers that make no sense to the library are left out, not fatal. */
static void
make_response(hwi_exchange *x)
{
    const char *file = x->request.send_file;
    struct stat st;
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;

    if (file && (fd < 0 || fstat(fd, &st) != 0)) {
        if (fd >= 0) close(fd);
        if (x->request.remove_file) unlink(file);
        hwi_refuse(&x->request, 404, "Not found: the file is gone");
        x->answer_header_count = 0;
        hwi_exchange_finish(x);
        file = NULL;
    }
    x->response = file ? MHD_create_response_from_fd64((uint64_t)st.st_size, fd)
                       : MHD_create_response_from_buffer(x->answer.size, x->answer.data,
                                                         MHD_RESPMEM_PERSISTENT);
    if (x->response == NULL) {
        if (file) close(fd);
        return;
    }
    for (size_t i = 0; i < x->answer_header_count; i++)
        (void)MHD_add_response_header(x->response, x->answer_headers[i].name,
                                      x->answer_headers[i].value);
    if (atomic_load(&x->request.server->is_stopping))
        (void)MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONNECTION, "close");
}

static void
settle(hwi_exchange *x)
{
    hwi_exchange_finish(x);
    make_response(x);
}

static enum MHD_Result
send_answer(hwi_exchange *x)
{
    connection *c = connection_of(x->connection);
    uint64_t allowed_us = x->request.send_file
                              ? FILE_US
                              : ANSWER_US + x->answer.size * UINT64_C(1000000) / ANSWER_BYTES_PER_S;

    if (x->response == NULL) return MHD_NO; /* out of memory: close */
    enter(x->http, c, SENDING, x, allowed_us);
    x->is_queued = true;
    return MHD_queue_response(x->connection, (unsigned)x->request.status, x->response);
}

/* On a worker. Once resumed the exchange belongs to the event thread again. */
void
hwi_http_work(void *job)
{
    hwi_exchange *x = job;

    hwi_exchange_handle(x);
    settle(x);
    MHD_resume_connection(x->connection);
}

static enum MHD_Result
park(hwi_exchange *x)
{
    hwi_server *s = x->request.server;
    hwi_queue *queue = x->route->flags & HWI_ROUTE_SLOW ? s->long_queue : s->queue;

    enter(x->http, connection_of(x->connection), WORKING, x, 0);
    MHD_suspend_connection(x->connection);
    if (hwi_queue_push(queue, x)) return MHD_YES;
    hwi_refuse(&x->request, 503, "Service unavailable: too many requests are waiting");
    settle(x);
    MHD_resume_connection(x->connection);
    return MHD_YES;
}

/* ---- Requests */

static void *
on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    hwi_http *h = cls;
    hwi_exchange *x = hwi_exchange_new(h->server, uri);

    if (x == NULL) return NULL;
    x->http = h;
    x->connection = mhd;
    enter(h, connection_of(mhd), RECEIVING, x, 0);
    pthread_mutex_lock(&h->lock);
    h->active++;
    pthread_mutex_unlock(&h->lock);
    return x;
}

static enum MHD_Result
on_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    hwi_exchange_header(cls, name, value);
    return MHD_YES;
}

static void
note_peer(hwi_exchange *x)
{
    const hwi_config *config = &x->http->server->config;
    const union MHD_ConnectionInfo *info;

    if (!config->log_access && !config->log_audit) return; /* nobody would read it */
    info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || info->client_addr == NULL ||
        getnameinfo(info->client_addr, sizeof(struct sockaddr_storage), x->peer, sizeof x->peer,
                    NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(x->peer, sizeof x->peer, "?");
}

/* Whether the body of a refused request is better left unread. */
static bool
is_not_worth_reading(const hwi_exchange *x)
{
    const char *length = hwi_request_header(&x->request, "content-length");

    return hwi_request_header(&x->request, "expect") != NULL ||
           (length && strtoull(length, NULL, 10) > DRAINED_BYTES_MAX);
}

static enum MHD_Result
begin(hwi_exchange *x, const char *method)
{
    const char *length;
    bool is_upload;

    x->is_begun = true;
    note_peer(x);
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, on_header, x);
    bool goes_on = hwi_exchange_accept(x, method);
    if (goes_on && x->http->tls && !hwi_tls_verified(x->http->tls, x->connection))
        goes_on = hwi_refuse(&x->request, 403, "Forbidden: a valid client certificate is required");
    is_upload = goes_on && (x->route->flags & HWI_ROUTE_UPLOAD);
    if (is_upload) goes_on = hwi_upload_begin(x);
    length = hwi_request_header(&x->request, "content-length");
    if (goes_on && !is_upload && length && strtoull(length, NULL, 10) > x->body_max)
        goes_on = hwi_refuse(&x->request, 413, "Payload too large: above the limit of %zu bytes",
                             x->body_max);
    if (goes_on || !is_not_worth_reading(x)) return MHD_YES;
    settle(x);
    return send_answer(x);
}

/* For the watchdog: who sends much may take long. */
static void
note_progress(hwi_exchange *x)
{
    connection *c = connection_of(x->connection);

    if (c == NULL) return;
    pthread_mutex_lock(&x->http->lock);
    c->body_bytes = x->body_bytes;
    pthread_mutex_unlock(&x->http->lock);
}

static enum MHD_Result
take_body(hwi_exchange *x, const char *data, size_t bytes)
{
    if (x->is_queued) return MHD_YES;
    if (x->post)
        hwi_upload_take(x, data, bytes);
    else
        (void)hwi_exchange_body(x, data, bytes);
    note_progress(x);
    bool is_refused = x->request.refusal[0] != '\0';
    return is_refused && x->body_bytes > x->body_max + DRAINED_BYTES_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result
complete(hwi_exchange *x)
{
    if (x->is_queued) return MHD_YES;
    if (x->response) return send_answer(x);
    hwi_upload_end(x);
    if (x->request.refusal[0] == '\0' && x->route) {
        if (!(x->route->flags & HWI_ROUTE_INLINE)) return park(x);
        hwi_exchange_handle(x);
    }
    settle(x);
    return send_answer(x);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
           const char *version, const char *data, size_t *bytes, void **context)
{
    hwi_exchange *x = *context;

    (void)cls, (void)mhd, (void)url, (void)version;
    if (x == NULL) return MHD_NO; /* out of memory */
    if (!x->is_begun) return begin(x, method);
    if (*bytes == 0) return complete(x);
    size_t taken = *bytes;
    *bytes = 0;
    return take_body(x, data, taken);
}

static void
on_completed(void *cls, struct MHD_Connection *mhd, void **context,
             enum MHD_RequestTerminationCode code)
{
    hwi_http *h = cls;
    hwi_exchange *x = *context;

    (void)code;
    *context = NULL;
    if (x == NULL) return;
    enter(h, connection_of(mhd), IDLE, NULL, 0);
    hwi_upload_end(x);
    if (x->response) MHD_destroy_response(x->response);
    if (x->request.send_file && x->request.remove_file) unlink(x->request.send_file);
    hwi_exchange_free(x);
    pthread_mutex_lock(&h->lock);
    h->active--;
    pthread_mutex_unlock(&h->lock);
}

static void
on_log(void *cls, const char *format, va_list args)
{
    hwi_http *h = cls;
    char text[512];

    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    hwi_log_say(&h->server->log, HWI_DEBUG, "http: %s", text);
}

/* ---- Starting and stopping */

static hw_status
listen_on(hwi_http *h, const char *host, uint32_t port, hw_error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *found;
    struct sockaddr_storage bound;
    socklen_t bound_bytes = sizeof bound;
    char service[8];
    int rc, yes = 1;

    snprintf(service, sizeof service, "%u", port);
    rc = getaddrinfo(host[0] ? host : NULL, service, &hints, &found);
    if (rc != 0) return hwi_fail(err, HW_EINVAL, "service.host %s: %s", host, gai_strerror(rc));
    h->listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->listener >= 0) {
        setsockopt(h->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        rc = bind(h->listener, found->ai_addr, found->ai_addrlen);
    }
    int errnum = errno;
    freeaddrinfo(found);
    if (h->listener < 0 || rc != 0 || listen(h->listener, BACKLOG) != 0)
        return hwi_fail_errno(err, h->listener < 0 || rc != 0 ? errnum : errno,
                              "cannot listen on %s port %u", host, port);
    getsockname(h->listener, (struct sockaddr *)&bound, &bound_bytes);
    h->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port);
    return HW_OK;
}

/* As many connections as asked for, if the system lets us have the files. */
static uint32_t
connections_allowed(hwi_server *s)
{
    const uint32_t others = 256; /* the database, snapshots, the library's own */
    uint32_t wanted = s->config.service_max_connections;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    if (limit.rlim_cur < wanted + others) {
        limit.rlim_cur = HWI_MIN(limit.rlim_max, (rlim_t)wanted + others);
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted + others) return wanted;
    wanted = limit.rlim_cur > 2 * others ? (uint32_t)limit.rlim_cur - others
                                         : (uint32_t)limit.rlim_cur / 2;
    hwi_log_say(&s->log, HWI_WARN, "the limit of open files leaves room for %u connections of %u",
                wanted, s->config.service_max_connections);
    return wanted;
}

static uint32_t
event_threads(const hwi_config *c)
{
    if (c->service_event_threads) return c->service_event_threads;
    return HWI_MAX(1u, HWI_MIN(8u, hwi_processors() / 4));
}

static hw_status
start_daemon(hwi_http *h, hw_error *err)
{
    hwi_server *s = h->server;
    uint32_t threads = event_threads(&s->config);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (h->tls ? MHD_USE_TLS : MHD_USE_TURBO);
    struct MHD_OptionItem tls_options[4] = {{MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem pool[2] = {{MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
                                     {MHD_OPTION_END, 0, NULL}};

    if (threads < 2) pool[0] = pool[1]; /* one thread is no pool */
    if (h->tls) hwi_tls_options(h->tls, tls_options);
    h->daemon = MHD_start_daemon(
        flags, h->port, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, h,
        MHD_OPTION_LISTEN_SOCKET, h->listener, MHD_OPTION_URI_LOG_CALLBACK, on_uri, h,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        h, MHD_OPTION_CONNECTION_LIMIT, connections_allowed(s), MHD_OPTION_CONNECTION_TIMEOUT,
        s->config.service_http_keep_alive_timeout_sec, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)8192,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, pool, MHD_OPTION_ARRAY, tls_options,
        MHD_OPTION_END);
    return h->daemon ? HW_OK : hwi_fail(err, HW_EIO, "the HTTP library did not start");
}

hw_status
hwi_http_start(hwi_server *s, hw_error *err)
{
    hwi_http *h = hwi_alloc_zero(sizeof *h);
    hw_status st;

    if (h == NULL) return hwi_nomem(err, sizeof *h);
    h->server = s;
    h->listener = -1;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->ended, NULL);
    st = listen_on(h, s->config.service_host, s->config.service_http_port, err);
    if (st == HW_OK && s->config.service_enable_tls) st = hwi_tls_new(&s->config, &h->tls, err);
    s->http = h; /* before its threads begin, which look there */
    if (st == HW_OK) st = start_daemon(h, err);
    if (st == HW_OK) {
        int rc = pthread_create(&h->watchdog, NULL, keep_watch, h);
        h->has_watchdog = rc == 0;
        if (rc != 0) st = hwi_fail_errno(err, rc, "cannot start the watchdog");
    }
    if (st != HW_OK) {
        hwi_http_stop(h);
        s->http = NULL;
    }
    return st;
}

uint16_t
hwi_http_port(const hwi_http *h)
{
    return h->port;
}

hw_status
hwi_http_reload(hwi_http *h, const hwi_config *config, hw_error *err)
{
    return h->tls ? hwi_tls_reload(h->tls, config, err) : HW_OK;
}

void
hwi_http_quiesce(hwi_http *h)
{
    MHD_socket listener = MHD_quiesce_daemon(h->daemon);

    if (listener != MHD_INVALID_SOCKET) close(listener);
    h->listener = -1;
}

static size_t
read_count(hwi_http *h, const size_t *count)
{
    pthread_mutex_lock(&h->lock);
    size_t now = *count;
    pthread_mutex_unlock(&h->lock);
    return now;
}

size_t
hwi_http_active(hwi_http *h)
{
    return read_count(h, &h->active);
}

size_t
hwi_http_connections(hwi_http *h)
{
    return read_count(h, &h->connection_count);
}

void
hwi_http_cancel(hwi_http *h)
{
    pthread_mutex_lock(&h->lock);
    for (connection *c = h->connections; c; c = c->next) {
        if (c->state == WORKING && c->exchange->request.cancel)
            hw_cancel_signal(c->exchange->request.cancel);
        else if (c->state != WORKING)
            cut_off(c);
    }
    pthread_mutex_unlock(&h->lock);
}

void
hwi_http_stop(hwi_http *h)
{
    if (h == NULL) return;
    if (h->has_watchdog) {
        pthread_mutex_lock(&h->lock);
        h->is_ending = true;
        pthread_cond_signal(&h->ended);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->watchdog, NULL);
    }
    if (h->daemon) MHD_stop_daemon(h->daemon);
    if (h->listener >= 0 && h->daemon == NULL) close(h->listener);
    hwi_tls_free(h->tls);
    pthread_cond_destroy(&h->ended);
    pthread_mutex_destroy(&h->lock);
    hwi_free(h);
}
