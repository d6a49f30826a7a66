/* exchange.h - a request with what handlers do not see: route, rights, headers, the answer's bytes.
 *
 * The steps of request.h as functions, in the order they are called. Nothing here knows the HTTP
 * library, so tests and the fuzzer drive the same steps from memory:
 *
 *     hwi_exchange *x = hwi_exchange_new(server, "/collections?timeout=3");
 *     hwi_exchange_header(x, "api-key", "...");
 *     if (hwi_exchange_accept(x, "GET")) {            route, authorise
 *         hwi_exchange_body(x, data, bytes);          any number of times
 *         hwi_exchange_handle(x);                     parse, handle; on a worker
 *     }
 *     hwi_exchange_finish(x);                         envelope, compress; x->answer is ready
 *     hwi_exchange_free(x);                           logs and counts it as well
 *
 * One thread at a time, but for hw_cancel_signal on request.cancel.
 */
#ifndef HWI_EXCHANGE_H
#define HWI_EXCHANGE_H

#include "access.h"
#include "open.h"
#include "request.h"

#define HWI_HEADERS_MAX 64u /* kept of a request; more are passed over */
#define HWI_ARGS_MAX 32u
#define HWI_OPENED_MAX 64u /* collections one request may hold */
#define HWI_ANSWER_HEADERS_MAX 16u

typedef struct hwi_pair {
    const char *name, *value;
} hwi_pair;

typedef struct hwi_exchange {
    hwi_request request; /* first, so that one is the other */

    const hwi_route *route; /* NULL: refused before one was found */
    const char *method;
    hwi_pair args[HWI_ARGS_MAX], headers[HWI_HEADERS_MAX];
    size_t arg_count, header_count;
    hwi_access access;
    hwi_opened *opened[HWI_OPENED_MAX];
    hw_collection *held[HWI_OPENED_MAX]; /* of a request that reads: one snapshot of each */
    size_t opened_count;

    hwi_buf body;                 /* these two until the handler ends */
    hwi_arena body_arena;         /* of the body's tree */
    size_t body_max, body_bytes;  /* body_bytes counts what was dropped as well */
    uint64_t start_us, handle_us; /* when it came, when a worker took it up */
    bool is_explained;            /* one slow search of it is repeated for the log */
    bool found_collection;        /* one that it named is there */
    char peer[64];
    bool is_answered; /* finish was called */

    /* What the HTTP side keeps here (http.c). */
    struct hwi_http *http;
    struct MHD_Connection *connection;
    struct MHD_PostProcessor *post;
    struct MHD_Response *response;
    int upload_fd;
    bool is_begun, is_queued;

    /* The answer. */
    hwi_pair answer_headers[HWI_ANSWER_HEADERS_MAX];
    size_t answer_header_count;
    hwi_buf answer; /* unless request.send_file */
} hwi_exchange;

/* NULL when out of memory. `uri`: path and query as they came. */
hwi_exchange *hwi_exchange_new(hwi_server *s, const char *uri);

/* A header of the request; both texts must live as long as the exchange. */
void hwi_exchange_header(hwi_exchange *x, const char *name, const char *value);

/* Finds route and rights. False when the answer is settled already: refused, or OPTIONS. */
bool hwi_exchange_accept(hwi_exchange *x, const char *method);

/* More of the body; false once it is above the limit (the answer is then 413). */
bool hwi_exchange_body(hwi_exchange *x, const void *data, size_t bytes);

/* Parses the body and runs the handler; collections are released when it returns. */
void hwi_exchange_handle(hwi_exchange *x);

/* Makes the answer from what was written or refused. */
void hwi_exchange_finish(hwi_exchange *x);

/* Counts the request and writes its lines in the log; hwi_exchange_free does it. */
void hwi_exchange_account(hwi_exchange *x);

void hwi_exchange_free(hwi_exchange *x);

#endif
