/* answer.c - from what a handler wrote to the bytes that go out; the log line and the counters.
 *
 *     {"result": ..., "status": "ok", "time": 0.000123}
 *     {"status": {"error": "Not found: ..."}, "time": 0.000123}
 *
 * Answers above a kilobyte are compressed for those who ask (level 1: at higher levels the
 * processor time exceeds what a fast network would take for the difference).
 */
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "route.h"
#include "server_impl.h"

#define COMPRESS_BYTES_MIN 1024u
#define COMPRESS_LEVEL 1

static double
seconds_taken(const hwi_exchange *x)
{
    return (double)(hwi_clock_us() - x->start_us) / 1e6;
}

static void
add_time(hwi_exchange *x)
{
    hwi_buf_text(&x->answer, ",\"time\":");
    hwi_json_write_f64(&x->answer, seconds_taken(x));
    hwi_buf_text(&x->answer, "}");
}

static void
wrap_refusal(hwi_exchange *x)
{
    hwi_buf_text(&x->answer, "{\"status\":{\"error\":");
    hwi_json_write_text(&x->answer, x->request.refusal, strlen(x->request.refusal));
    hwi_buf_text(&x->answer, "}");
    add_time(x);
}

static void
wrap_result(hwi_exchange *x)
{
    const hwi_request *r = &x->request;
    const char *status = r->extra_status ? r->extra_status : "ok";

    hwi_buf_reserve(&x->answer, r->out.size + 80);
    hwi_buf_text(&x->answer, "{");
    if (r->out.size) {
        hwi_buf_text(&x->answer, "\"result\":");
        hwi_buf_add(&x->answer, r->out.data, r->out.size);
        hwi_buf_text(&x->answer, ",");
    }
    hwi_buf_text(&x->answer, "\"status\":");
    hwi_json_write_text(&x->answer, status, strlen(status));
    add_time(x);
}

static void
take_plain(hwi_exchange *x)
{
    x->answer = x->request.out;
    x->request.out = (hwi_buf){0};
}

/* ---- Compression */

static bool
wants_gzip(const hwi_exchange *x)
{
    const char *accepts = hwi_request_header(&x->request, "accept-encoding");
    const char *at = accepts ? strstr(accepts, "gzip") : NULL;

    if (at == NULL) return false;
    at += 4;
    at += strspn(at, " ");
    if (*at != ';') return true;
    at += 1 + strspn(at + 1, " ");
    return strncmp(at, "q=0", 3) != 0 || (at[3] == '.' && at[4 + strspn(at + 4, "0")] >= '1' &&
                                          at[4 + strspn(at + 4, "0")] <= '9');
}

static bool
is_compressible(const hwi_exchange *x)
{
    const char *type = x->request.content_type;

    for (size_t i = 0; i < x->answer_header_count; i++)
        if (strcmp(x->answer_headers[i].name, "Content-Encoding") == 0) return false;
    return strncmp(type, "text/", 5) == 0 || strstr(type, "json") || strstr(type, "javascript") ||
           strstr(type, "svg");
}

static bool
gzip(const hwi_buf *in, hwi_buf *out)
{
    z_stream z = {0};
    int rc;

    if (in->size > UINT32_MAX / 2) return false;
    if (deflateInit2(&z, COMPRESS_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    if (!hwi_buf_reserve(out, deflateBound(&z, in->size))) {
        deflateEnd(&z);
        return false;
    }
    z.next_in = in->data;
    z.avail_in = (uInt)in->size;
    z.next_out = out->data;
    z.avail_out = (uInt)out->capacity;
    rc = deflate(&z, Z_FINISH);
    out->size = z.total_out;
    deflateEnd(&z);
    return rc == Z_STREAM_END;
}

static void
compress_answer(hwi_exchange *x)
{
    hwi_buf packed = {0};

    if (!x->request.server->config.service_compress || x->answer.size <= COMPRESS_BYTES_MIN ||
        !is_compressible(x))
        return;
    hwi_request_answer_header(&x->request, "Vary", "Accept-Encoding");
    if (!wants_gzip(x)) return;
    if (gzip(&x->answer, &packed) && packed.size < x->answer.size) {
        hwi_buf_release(&x->answer);
        x->answer = packed;
        hwi_request_answer_header(&x->request, "Content-Encoding", "gzip");
        return;
    }
    hwi_buf_release(&packed);
}

/* ---- Headers */

static void
add_headers(hwi_exchange *x)
{
    hwi_request *r = &x->request;

    hwi_request_answer_header(r, "x-request-id", r->request_id);
    hwi_request_answer_header(r, "Content-Type", r->content_type);
    hwi_request_answer_header(r, "X-Content-Type-Options", "nosniff");
    if (strncmp(r->content_type, "text/html", 9) == 0) {
        hwi_request_answer_header(
            r, "Content-Security-Policy",
            "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
            "object-src 'none'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        hwi_request_answer_header(r, "X-Frame-Options", "DENY");
        hwi_request_answer_header(r, "Referrer-Policy", "no-referrer");
    }
    if (r->server->config.service_enable_cors && hwi_request_header(r, "origin")) {
        hwi_request_answer_header(r, "Access-Control-Allow-Origin", "*");
        hwi_request_answer_header(r, "Access-Control-Expose-Headers", "x-request-id");
    }
    if (r->status == 503 || r->status == 429) {
        bool is_given = false;
        for (size_t i = 0; i < x->answer_header_count; i++)
            is_given |= strcmp(x->answer_headers[i].name, "Retry-After") == 0;
        if (!is_given) hwi_request_answer_header(r, "Retry-After", "1");
    }
}

void
hwi_exchange_finish(hwi_exchange *x)
{
    hwi_request *r = &x->request;

    if (r->out.failed) hwi_refuse(r, 503, "Service unavailable: out of memory");
    if (r->kind == HWI_BODY_PLAIN) {
        if (r->send_file == NULL) take_plain(x);
    } else {
        r->content_type = "application/json";
        if (r->refusal[0])
            wrap_refusal(x);
        else
            wrap_result(x);
    }
    if (r->content_type == NULL) r->content_type = "application/octet-stream";
    if (r->send_file == NULL) compress_answer(x);
    add_headers(x);
    x->is_answered = true;
}

/* ---- Accounting */

/* Calls that monitors make all the time are not worth a line. */
static bool
is_quiet(const hwi_exchange *x)
{
    static const char *const paths[] = {"/",        "/metrics", "/telemetry",
                                        "/healthz", "/readyz",  "/livez"};

    for (size_t i = 0; i < HWI_COUNT(paths); i++)
        if (strcmp(x->request.path, paths[i]) == 0) return x->request.status < 400;
    return false;
}

static void
log_access(const hwi_exchange *x, const char *status, const char *took)
{
    const hwi_request *r = &x->request;
    hwi_log *log = &r->server->log;

    if (!r->server->config.log_access) return;
    hwi_log_line(log, is_quiet(x) ? HWI_DEBUG : HWI_INFO, "request",
                 (const hwi_log_field[]){{"method", x->method, NULL},
                                         {"path", r->path, NULL},
                                         {"status", NULL, status},
                                         {"us", NULL, took},
                                         {"peer", x->peer, NULL},
                                         {"id", r->request_id, NULL},
                                         {r->refusal[0] ? "error" : NULL, r->refusal, NULL},
                                         {0}});
}

/* Who changed what, or was not let. */
static void
log_audit(const hwi_exchange *x, const char *status)
{
    const hwi_request *r = &x->request;
    bool writes = x->route && x->route->need >= HWI_NEED_WRITE;

    if (!r->server->config.log_audit || (!writes && r->status != 401 && r->status != 403)) return;
    hwi_log_line(
        &r->server->log, HWI_AUDIT, "audit",
        (const hwi_log_field[]){{"subject", x->access.subject ? x->access.subject : "nobody", NULL},
                                {"method", x->method, NULL},
                                {"path", r->path, NULL},
                                {"status", NULL, status},
                                {"peer", x->peer, NULL},
                                {"id", r->request_id, NULL},
                                {0}});
}

void
hwi_exchange_account(hwi_exchange *x)
{
    hwi_request *r = &x->request;
    uint64_t took_us = hwi_clock_us() - x->start_us;
    int param = x->route ? hwi_route_param(x->route, "collection") : -1;
    /* names that are no collection's would use up the places for those that are */
    bool is_told = param >= 0 && (r->status < 400 || x->found_collection);
    char status[16], took[24];

    hwi_metrics_request(r->server->metrics, x->route, r->status, is_told ? r->params[param] : NULL,
                        took_us);
    if (!r->server->config.log_access && !r->server->config.log_audit) return;
    snprintf(status, sizeof status, "%d", r->status);
    snprintf(took, sizeof took, "%llu", (unsigned long long)took_us);
    log_access(x, status, took);
    log_audit(x, status);
}
