/* curl.c - one HTTP exchange, through libcurl.
 *
 * The library is opened when the first remote database is: an embedded database never loads it, and
 * building needs no header of it. Declared here is what is used, as its documentation promises it
 * for version 7.56 and later; both flavours that Debian ships fit.
 *
 * An easy handle is a connection kept alive. Handles that are not in use wait in a list, so threads
 * that share a database each get one of their own, and a thread alone always gets the same. */
#include "remote/remote.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_MS 10000L
#define IDLE_MAX 16u

/* ---- libcurl's interface: numbers that never change (symbols-in-versions) ---- */

enum { /* options: the kind of value is in the thousands (0 long, 1 pointer, 2 function, 3 64 bits) */
       OPT_WRITE_DATA = 10001,
       OPT_URL = 10002,
       OPT_ERROR_BUFFER = 10010,
       OPT_POST_FIELDS = 10015,
       OPT_HEADERS = 10023,
       OPT_METHOD = 10036,
       OPT_NO_PROGRESS = 43,
       OPT_PROGRESS_DATA = 10057,
       OPT_NO_SIGNAL = 99,
       OPT_TIMEOUT_MS = 155,
       OPT_CONNECT_TIMEOUT_MS = 156,
       OPT_WRITE_FUNCTION = 20011,
       OPT_PROGRESS_FUNCTION = 20219,
       OPT_PATH_AS_IS = 234,
       OPT_FORM = 10269,
       OPT_POST_BYTES = 30120
};
enum { INFO_RESPONSE_CODE = 0x200002 };
enum { CODE_OK = 0, CODE_TIMED_OUT = 28, CODE_ABORTED = 42 };
#define INIT_EVERYTHING 3L
#define ERROR_BYTES 256

typedef struct curl_library {
    void *handle;
    int (*global_init)(long flags);
    void *(*init)(void);
    int (*set)(void *easy, int option, ...);
    int (*perform)(void *easy);
    int (*info)(void *easy, int what, ...);
    void (*reset)(void *easy);
    void (*cleanup)(void *easy);
    const char *(*error_text)(int code);
    void *(*list_add)(void *list, const char *text);
    void (*list_free)(void *list);
    void *(*form_new)(void *easy);
    void *(*form_part)(void *form);
    int (*part_name)(void *part, const char *name);
    int (*part_file)(void *part, const char *path);
    void (*form_free)(void *form);
} curl_library;

static curl_library lib;
static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

struct hwi_http {
    char *url, *key_header;
    pthread_mutex_t lock; /* guards idle and idle_count */
    void *idle[IDLE_MAX];
    size_t idle_count;
};

/* ---- The library ---- */

static bool
find_functions(void *h)
{
    const struct {
        const char *name;
        void *at;
    } wanted[] = {{"curl_global_init", &lib.global_init}, {"curl_easy_init", &lib.init},
                  {"curl_easy_setopt", &lib.set},         {"curl_easy_perform", &lib.perform},
                  {"curl_easy_getinfo", &lib.info},       {"curl_easy_reset", &lib.reset},
                  {"curl_easy_cleanup", &lib.cleanup},    {"curl_easy_strerror", &lib.error_text},
                  {"curl_slist_append", &lib.list_add},   {"curl_slist_free_all", &lib.list_free},
                  {"curl_mime_init", &lib.form_new},      {"curl_mime_addpart", &lib.form_part},
                  {"curl_mime_name", &lib.part_name},     {"curl_mime_filedata", &lib.part_file},
                  {"curl_mime_free", &lib.form_free}};
    for (size_t i = 0; i < HWI_COUNT(wanted); i++) {
        void *function = dlsym(h, wanted[i].name);
        if (!function) return false;
        memcpy(wanted[i].at, &function, sizeof function); /* ISO C has no cast for this */
    }
    return true;
}

static void
open_library(void)
{
    const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
    for (size_t i = 0; i < HWI_COUNT(names) && !lib.handle; i++) {
        void *h = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (!h) continue;
        if (find_functions(h) && lib.global_init(INIT_EVERYTHING) == CODE_OK) {
            lib.handle = h;
        } else {
            dlclose(h);
        }
    }
}

/* ---- Connections ---- */

static char *
join(const char *a, const char *b)
{
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    char *out = hwi_alloc(a_bytes + b_bytes + 1);
    if (!out) return NULL;
    memcpy(out, a, a_bytes);
    memcpy(out + a_bytes, b, b_bytes + 1);
    return out;
}

hw_status
hwi_http_new(const char *url, const char *key, hwi_http **out, hw_error *err)
{
    *out = NULL;
    pthread_once(&lib_once, open_library);
    if (!lib.handle) {
        return hwi_fail(err, HW_EUNSUPPORTED,
                        "a database at an address needs libcurl 7.56 or later (Debian: libcurl4)");
    }
    hwi_http *http = hwi_alloc_zero(sizeof *http);
    if (!http) return hwi_nomem(err, sizeof *http);
    pthread_mutex_init(&http->lock, NULL);
    http->url = join(url, "");
    http->key_header = join("api-key: ", key ? key : "");
    if (!http->url || !http->key_header) {
        hwi_http_free(http);
        return hwi_nomem(err, strlen(url));
    }
    size_t n = strlen(http->url);
    while (n && http->url[n - 1] == '/') http->url[--n] = '\0';
    if (!key) http->key_header[0] = '\0';
    *out = http;
    return HW_OK;
}

void
hwi_http_free(hwi_http *http)
{
    if (!http) return;
    while (http->idle_count) lib.cleanup(http->idle[--http->idle_count]);
    pthread_mutex_destroy(&http->lock);
    hwi_free(http->url);
    hwi_free(http->key_header);
    hwi_free(http);
}

static void *
take(hwi_http *http)
{
    void *easy = NULL;
    pthread_mutex_lock(&http->lock);
    if (http->idle_count) easy = http->idle[--http->idle_count];
    pthread_mutex_unlock(&http->lock);
    return easy ? easy : lib.init();
}

static void
give_back(hwi_http *http, void *easy)
{
    lib.reset(easy); /* options go, the connection stays */
    pthread_mutex_lock(&http->lock);
    bool kept = http->idle_count < IDLE_MAX;
    if (kept) http->idle[http->idle_count++] = easy;
    pthread_mutex_unlock(&http->lock);
    if (!kept) lib.cleanup(easy);
}

/* ---- One exchange ---- */

typedef struct call {
    void *easy;
    hwi_exchange *x;
    char *url;
    void *headers;
    void *form;
    FILE *file; /* what to_file is written to, once the answer is known to be good */
    bool file_failed;
    char error[ERROR_BYTES];
} call;

/* Refusals are short JSON, so an answer goes to the file only when its code is 200. */
static size_t
on_data(char *data, size_t unit, size_t count, void *arg)
{
    call *c = arg;
    size_t bytes = unit * count;
    long code = 0;
    if (c->x->to_file) lib.info(c->easy, INFO_RESPONSE_CODE, &code);
    if (code != 200) {
        hwi_buf_add(&c->x->answer, data, bytes);
        return c->x->answer.failed ? 0 : bytes;
    }
    if (!c->file) c->file = fopen(c->x->to_file, "wbx");
    if (c->file && fwrite(data, 1, bytes, c->file) == bytes) return bytes;
    c->file_failed = true;
    return 0;
}

static int
on_progress(void *arg, int64_t down_all, int64_t down, int64_t up_all, int64_t up)
{
    const call *c = arg;
    (void)down_all, (void)down, (void)up_all, (void)up;
    return atomic_load_explicit(c->x->cancel, memory_order_relaxed);
}

static bool
add_header(call *c, const char *line)
{
    void *longer = lib.list_add(c->headers, line);
    if (!longer) return false;
    c->headers = longer;
    return true;
}

static bool
attach_file(call *c)
{
    c->form = lib.form_new(c->easy);
    void *part = c->form ? lib.form_part(c->form) : NULL;
    if (!part || lib.part_name(part, "snapshot") != CODE_OK) return false;
    if (lib.part_file(part, c->x->from_file) != CODE_OK) return false;
    return lib.set(c->easy, OPT_FORM, c->form) == CODE_OK;
}

static bool
attach_body(call *c)
{
    const hwi_exchange *x = c->x;
    if (x->from_file) return attach_file(c);
    if (x->body.size == 0) return true;
    lib.set(c->easy, OPT_POST_BYTES, (int64_t)x->body.size);
    lib.set(c->easy, OPT_POST_FIELDS, (const char *)x->body.data);
    return add_header(c, "content-type: application/json");
}

static bool
prepare(hwi_http *http, call *c)
{
    hwi_exchange *x = c->x;
    c->url = join(http->url, x->path);
    if (!c->url || !attach_body(c)) return false;
    if (http->key_header[0] && !add_header(c, http->key_header)) return false;
    if (!add_header(c, "expect:")) return false; /* no waiting for "100 continue" */
    lib.set(c->easy, OPT_URL, c->url);
    lib.set(c->easy, OPT_PATH_AS_IS, 1L); /* a name ".." is refused there, not resolved here */
    lib.set(c->easy, OPT_METHOD, x->method);
    lib.set(c->easy, OPT_HEADERS, c->headers);
    lib.set(c->easy, OPT_NO_SIGNAL, 1L);
    lib.set(c->easy, OPT_CONNECT_TIMEOUT_MS, CONNECT_MS);
    lib.set(c->easy, OPT_TIMEOUT_MS, (long)x->timeout_ms);
    lib.set(c->easy, OPT_ERROR_BUFFER, c->error);
    lib.set(c->easy, OPT_WRITE_FUNCTION, on_data);
    lib.set(c->easy, OPT_WRITE_DATA, c);
    lib.set(c->easy, OPT_PROGRESS_FUNCTION, on_progress);
    lib.set(c->easy, OPT_PROGRESS_DATA, c);
    lib.set(c->easy, OPT_NO_PROGRESS, x->cancel ? 0L : 1L);
    return true;
}

static hw_status
perform(const hwi_http *http, call *c, hw_error *err)
{
    int code = lib.perform(c->easy);
    lib.info(c->easy, INFO_RESPONSE_CODE, &c->x->code);
    if (c->file && fclose(c->file) != 0) c->file_failed = true;
    /* half of it under its name would pass for the whole */
    if (c->file && (c->file_failed || code != CODE_OK)) remove(c->x->to_file);
    if (c->file_failed) return hwi_fail_errno(err, errno, "cannot write %s", c->x->to_file);
    if (c->x->answer.failed) return hwi_nomem(err, c->x->answer.size);
    if (code == CODE_ABORTED) return hwi_fail(err, HW_ECANCELED, "cancelled");
    if (code == CODE_TIMED_OUT && c->x->timeout_ms) {
        return hwi_fail(err, HW_ETIMEOUT, "no answer from %s in time", http->url);
    }
    if (code == CODE_OK) return HW_OK;
    return hwi_fail(err, HW_EIO, "%s: %s", http->url,
                    c->error[0] ? c->error : lib.error_text(code));
}

hw_status
hwi_http_exchange(hwi_http *http, hwi_exchange *x, hw_error *err)
{
    call c = {.easy = take(http), .x = x};
    if (!c.easy) return hwi_nomem(err, 0);
    hw_status st = prepare(http, &c) ? perform(http, &c, err) : hwi_nomem(err, strlen(x->path));
    give_back(http, c.easy);
    if (c.form) lib.form_free(c.form);
    lib.list_free(c.headers);
    hwi_free(c.url);
    return st;
}
