/* request.h - one request, from the first byte to the answer.
 *
 * A request is one struct with one arena, moving through named steps, each a function on it:
 *
 *     accept -> route -> authorise -> admit (queue) -> parse -> handle -> envelope -> write
 *
 * Handlers see the middle: what was asked is there, parsed; they append the JSON of the result to
 * `out` and return true, or refuse with a code and a sentence and return false. The envelope
 * {"result": ..., "status": "ok", "time": ...}, compression, headers, logs and metrics are not their
 * business.
 */
#ifndef HWI_REQUEST_H
#define HWI_REQUEST_H

#include "base/json.h"

typedef struct hwi_server hwi_server;

typedef enum hwi_method {
    HWI_GET,
    HWI_POST,
    HWI_PUT,
    HWI_PATCH,
    HWI_DELETE,
    HWI_HEAD,
    HWI_OPTIONS
} hwi_method;

/* What a caller must be allowed to do. */
typedef enum hwi_need {
    HWI_NEED_NOTHING, /* open without a key: /, /healthz, the page */
    HWI_NEED_READ,    /* of the collection in the path, or of everything if there is none */
    HWI_NEED_WRITE,   /* points of the collection in the path */
    HWI_NEED_MANAGE   /* collections, aliases, snapshots, settings */
} hwi_need;

/* How the envelope treats `out`. */
typedef enum hwi_body_kind {
    HWI_BODY_RESULT, /* the JSON of "result" */
    HWI_BODY_PLAIN   /* the whole answer, content_type says what it is */
} hwi_body_kind;

#define HWI_PARAMS_MAX 4u

typedef struct hwi_request {
    /* What came in; set before the handler runs, borrowed until it ends. */
    hwi_server *server;
    hw_db *db;
    hwi_arena arena;
    hwi_method method;
    const char *path;                   /* decoded and normalised: no doubled or trailing slash */
    const char *params[HWI_PARAMS_MAX]; /* the parts of the path that a route's {...} stand for */
    const hwi_json *body;               /* parsed; NULL when there is none */
    const char *raw;                    /* the body as it came (a file upload: NULL) */
    size_t raw_bytes;
    const char *upload;   /* path of the uploaded file (multipart routes), removed afterwards */
    uint64_t deadline_ms; /* as in hw_query; never 0 */
    hw_cancel *cancel;    /* signalled when the client is gone or the server stops */
    char request_id[40];

    /* What goes out. */
    int status; /* 200 unless a handler or a refusal says otherwise */
    hwi_buf out;
    hwi_body_kind kind;
    const char *content_type; /* with HWI_BODY_PLAIN */
    const char *send_file;    /* arena text: answer with this file instead of `out` */
    bool remove_file;         /* ... and remove it afterwards */
    const char *extra_status; /* arena text of the "status" member instead of "ok", or NULL */
    char refusal[1024];
} hwi_request;

/* Handles one request; false after hwi_refuse or one of its kind. */
typedef bool (*hwi_handler)(hwi_request *r);

enum {                        /* flags of a route */
       HWI_ROUTE_UPLOAD = 1,  /* multipart/form-data goes to a file */
       HWI_ROUTE_SLOW = 2,    /* builds, snapshots: the long deadline */
       HWI_ROUTE_INLINE = 4,  /* so cheap that it is answered without a worker: health, the page */
       HWI_ROUTE_NO_BODY = 8, /* a body is ignored */
       HWI_ROUTE_FILE = 16,   /* the body is a file to embed: any bytes, with a limit of its own */
};

/* One row of a handler table. */
typedef struct hwi_route {
    hwi_method method;
    const char *pattern; /* "/collections/{collection}/points/{id}" */
    hwi_need need;
    uint32_t flags;
    hwi_handler handle;
} hwi_route;

/* The tables, each ended by a row without a pattern, one per file of handlers. */
extern const hwi_route hwi_routes_service[];     /* /, health, telemetry, metrics, cluster */
extern const hwi_route hwi_routes_collections[]; /* collections, aliases, fields */
extern const hwi_route hwi_routes_points[]; /* points, payload, vectors, batch, scroll, count */
extern const hwi_route hwi_routes_query[];  /* query, search, recommend, discover, facet ... */
extern const hwi_route hwi_routes_snapshots[];
extern const hwi_route hwi_routes_index[];  /* the tree, its leaves, why, recall */
extern const hwi_route hwi_routes_native[]; /* describe, stats, build, check */
extern const hwi_route hwi_routes_page[];   /* the web page and its files */

/* ---- Asking */

/* The part of the path that stands for {name}; never NULL for a name of the route's pattern. */
const char *hwi_request_param(const hwi_request *r, const char *name);
/* Query argument (?name=value), decoded, or NULL. */
const char *hwi_request_arg(const hwi_request *r, const char *name);
/* ?wait= and the like: `otherwise` when absent; false after refusing a value that is no boolean. */
bool hwi_request_flag(hwi_request *r, const char *name, bool otherwise, bool *out);
/* Header, or NULL. */
const char *hwi_request_header(const hwi_request *r, const char *name);

/* The collection that the path's {collection} names, opened, valid until the request ends; NULL
 * after refusing (404 "Not found: Collection `x` doesn't exist!"). */
hw_collection *hwi_request_collection(hwi_request *r);
/* Another collection by name (lookup_from, with_lookup): also checks that the caller may read it. */
hw_collection *hwi_request_collection_named(hwi_request *r, const char *name);

/* Memory of the request's arena; NULL after refusing for want of memory. */
void *hwi_request_alloc(hwi_request *r, size_t bytes);

/* ---- Refusing: each sets status and text, drops what was written, and returns false */

bool hwi_refuse(hwi_request *r, int status, const char *format, ...) HW_PRINTF(3, 4);
/* 400 "Format error in JSON body: ..." */
bool hwi_refuse_format(hwi_request *r, const char *format, ...) HW_PRINTF(2, 3);
/* 422 "Validation error in JSON body: [field: ...]" */
bool hwi_refuse_value(hwi_request *r, const char *field, const char *format, ...) HW_PRINTF(3, 4);
/* What the engine said, under the code that fits: HW_EINVAL 400, HW_ENOTFOUND 404, HW_EEXIST 409,
 * HW_ETIMEOUT 408, HW_EBUSY 503, HW_ENOSPC 507, HW_EREADONLY 403, HW_ELIMIT 400 ... */
bool hwi_refuse_engine(hwi_request *r, const hw_error *err);

/* `if (!hwi_ok(r, hw_..(..., &err), &err)) return false;` */
static inline bool
hwi_ok(hwi_request *r, hw_status status, const hw_error *err)
{
    return status == HW_OK || hwi_refuse_engine(r, err);
}

#endif
