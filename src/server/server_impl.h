/* server_impl.h - the inside of a server, for the files of this folder. */
#ifndef HWI_SERVER_IMPL_H
#define HWI_SERVER_IMPL_H

#include "access.h"
#include "embedding.h"
#include "exchange.h"
#include "log.h"
#include "metrics.h"
#include "open.h"
#include "queue.h"
#include "server.h"

typedef struct hwi_http hwi_http;
typedef struct hwi_sampler hwi_sampler;

struct hwi_server {
    hwi_config config;
    hw_db *db;
    char *snapshots_path;
    hwi_open_set open;
    hwi_log log;
    hwi_metrics *metrics;
    hwi_sampler *sampler;
    hwi_embedders *embedders; /* NULL: search by a file is off */
    hwi_queue *queue;         /* while it runs */
    hwi_queue *long_queue;    /* of routes marked slow, so that they never take all workers */
    hwi_http *http;           /* while it runs */
    uint64_t start_us;
    int64_t started_s; /* since 1970 */
    atomic_bool is_stopping;
    atomic_uint request_number; /* part of request ids */
    uint64_t id_seed;

    pthread_rwlock_t keys_lock; /* guards keys, which a HUP replaces */
    hwi_keys *keys;
};

/* ---- http.c: libmicrohttpd in front of exchanges */

/* What workers do with a job, an exchange. */
void hwi_http_work(void *job);
HW_CHECKED hw_status hwi_http_start(hwi_server *s, hw_error *err);
/* The port that was bound. */
uint16_t hwi_http_port(const hwi_http *h);
/* Reads certificate and key again; the old ones go on serving when that fails. */
HW_CHECKED hw_status hwi_http_reload(hwi_http *h, const hwi_config *config, hw_error *err);
/* Stops listening; connections go on. */
void hwi_http_quiesce(hwi_http *h);
/* Requests under way. */
size_t hwi_http_active(hwi_http *h);
/* Signals the cancel of all that are. */
void hwi_http_cancel(hwi_http *h);
/* Connections open. */
size_t hwi_http_connections(hwi_http *h);
/* After quiesce, with no request under way. NULL is fine. */
void hwi_http_stop(hwi_http *h);

/* ---- sampler.c */

HW_CHECKED hw_status hwi_sampler_new(hwi_server *s, hwi_sampler **out, hw_error *err);
void hwi_sampler_free(hwi_sampler *sampler);
/* What was measured today (UTC); returns how many rows were filled. */
typedef struct hwi_recall_today {
    char collection[HW_NAME_MAX + 1];
    bool is_filtered;
    uint64_t samples;
    double recall;
} hwi_recall_today;
size_t hwi_sampler_today(hwi_server *s, hwi_recall_today *out, size_t room);

#endif
