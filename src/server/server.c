/* server.c - the server as a whole: what it holds, how it starts, runs and stops.
 *
 * Signals are blocked in all threads and waited for in the main one, so no handler runs amid
 * anything. Stopping goes in steps, each of which leaves the next one less to do:
 *
 *     TERM -> stop listening -> requests under way finish -> half of the time is over: cancel them
 *          -> workers end -> HTTP ends -> the database is synced and closed
 */
#include "server_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COMPAT_TITLE "qdrant - vector search engine"
#define COMPAT_VERSION "1.19.0"
#define LONG_WORKERS 2u /* builds and snapshots at once; each uses several threads itself */

/* ---- What handlers ask */

const hwi_config *
hwi_server_config(const hwi_server *s)
{
    return &s->config;
}

const char *
hwi_server_snapshots_path(const hwi_server *s)
{
    return s->snapshots_path;
}

static bool
is_compat(const hwi_server *s)
{
    return strcmp(s->config.service_compat, "qdrant") == 0;
}

const char *
hwi_server_title(const hwi_server *s)
{
    return is_compat(s) ? COMPAT_TITLE : "hashwood - vector database";
}

const char *
hwi_server_version(const hwi_server *s)
{
    return is_compat(s) ? COMPAT_VERSION : HW_VERSION_STRING;
}

void
hwi_server_forget(hwi_server *s, const char *collection)
{
    hwi_open_forget(&s->open, collection);
}

uint32_t
hwi_server_slow_ms(const hwi_server *s)
{
    return (uint32_t)ceil(s->config.service_slow_query_secs * 1000);
}

void
hwi_server_note_slow(hwi_request *r, const char *collection, uint64_t took_us, const char *explain)
{
    char took[24];

    snprintf(took, sizeof took, "%llu", (unsigned long long)took_us);
    hwi_log_line(&r->server->log, HWI_WARN, "slow search",
                 (const hwi_log_field[]){{"collection", collection, NULL},
                                         {"us", NULL, took},
                                         {"id", r->request_id, NULL},
                                         {explain ? "explain" : NULL, NULL, explain},
                                         {0}});
}

void
hwi_server_count(hwi_server *s, const char *what, const char *collection, int64_t add)
{
    hwi_metrics_count(s->metrics, what, collection, add);
}

/* ---- Opening */

/* Removes uploads, and snapshots made to be sent, that a killed server left. Another one may share
 * the folder, so young ones stay. */
static void
remove_leavings(const char *folder)
{
    const time_t day_s = 86400;
    DIR *entries = opendir(folder);

    for (struct dirent *e; entries && (e = readdir(entries)) != NULL;) {
        struct stat st;
        if (strncmp(e->d_name, ".upload-", 8) != 0 && strncmp(e->d_name, ".sent-", 6) != 0)
            continue;
        if (fstatat(dirfd(entries), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && st.st_mtim.tv_sec < time(NULL) - day_s)
            unlinkat(dirfd(entries), e->d_name, 0);
    }
    if (entries) closedir(entries);
}

/* storage.snapshots_path, or a folder in the database's. */
static hw_status
make_snapshots_folder(hwi_server *s, const char *where, hw_error *err)
{
    const char *given = s->config.storage_snapshots_path;
    bool has_folder = strcmp(where, "mem:") != 0 && strncmp(where, "fdb:", 4) != 0;
    size_t bytes = strlen(where) + strlen(given) + 32;

    s->snapshots_path = hwi_alloc(bytes);
    if (s->snapshots_path == NULL) return hwi_nomem(err, bytes);
    if (given[0])
        snprintf(s->snapshots_path, bytes, "%s", given);
    else
        snprintf(s->snapshots_path, bytes, "%s/snapshots", has_folder ? where : ".");
    if (mkdir(s->snapshots_path, 0777) != 0 && errno != EEXIST)
        return hwi_fail_errno(err, errno, "%s", s->snapshots_path);
    remove_leavings(s->snapshots_path);
    return HW_OK;
}

static hw_status
open_parts(hwi_server *s, const char *where, hw_error *err)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;

    if (where == NULL) where = s->config.storage_storage_path;
    if (where[0] == '\0')
        return hwi_fail(err, HW_EINVAL, "no database: name one, or set storage.storage_path");
    HWI_TRY(hwi_keys_new(&s->config, &s->keys, err));
    HWI_TRY(hwi_metrics_new(&s->metrics, err));
    opts.cache_bytes = (uint64_t)s->config.storage_cache_mb << 20;
    opts.max_staleness_ms = s->config.storage_max_staleness_ms;
    opts.no_read_ahead = !s->config.storage_read_ahead;
    HWI_TRY(hw_db_open(where, &opts, &s->db, err));
    hwi_open_init(&s->open, s->db);
    HWI_TRY(make_snapshots_folder(s, where, err));
    return hwi_sampler_new(s, &s->sampler, err);
}

hw_status
hwi_server_open(hwi_config *config, const char *where, hwi_server **out, hw_error *err)
{
    hwi_server *s = hwi_alloc_zero(sizeof *s);
    hw_status st;

    *out = NULL;
    if (s == NULL) {
        hwi_config_release(config);
        return hwi_nomem(err, sizeof *s);
    }
    s->config = *config;
    *config = (hwi_config){0};
    s->log.is_json = strcmp(s->config.log_format, "json") == 0;
    s->log.level = (int)hwi_level_of(s->config.log_level);
    s->start_us = hwi_clock_us();
    s->started_s = (int64_t)time(NULL);
    if (getrandom(&s->id_seed, sizeof s->id_seed, 0) < 0) s->id_seed = s->start_us;
    pthread_rwlock_init(&s->keys_lock, NULL);
    st = open_parts(s, where, err);
    if (st == HW_OK)
        *out = s;
    else
        hwi_server_close(s);
    return st;
}

void
hwi_server_close(hwi_server *s)
{
    if (s == NULL) return;
    hwi_sampler_free(s->sampler);
    if (s->db) hwi_open_release(&s->open);
    hw_db_close(s->db);
    hwi_embedders_free(s->embedders);
    hwi_metrics_free(s->metrics);
    hwi_keys_free(s->keys);
    pthread_rwlock_destroy(&s->keys_lock);
    hwi_free(s->snapshots_path);
    hwi_config_release(&s->config);
    hwi_free(s);
}

/* ---- Running */

static void
replace_keys(hwi_server *s, hwi_keys *keys)
{
    pthread_rwlock_wrlock(&s->keys_lock);
    hwi_keys *old = s->keys;
    s->keys = keys;
    pthread_rwlock_unlock(&s->keys_lock);
    hwi_keys_free(old);
}

static void
reload(hwi_server *s, hwi_config_again again, void *arg)
{
    hwi_config config = {0};
    hwi_keys *keys = NULL;
    hw_error err = {0};
    hw_status st = again(arg, &config, &err);

    if (st == HW_OK) st = hwi_keys_new(&config, &keys, &err);
    if (st == HW_OK) st = hwi_http_reload(s->http, &config, &err);
    if (st == HW_OK) {
        replace_keys(s, keys);
        s->log.level = (int)hwi_level_of(config.log_level);
        hwi_log_say(&s->log, HWI_INFO, "settings were read again: keys, certificates, log level");
    } else {
        hwi_keys_free(keys);
        hwi_log_say(&s->log, HWI_ERROR, "settings stay as they were: %s", err.message);
    }
    hwi_config_release(&config);
}

static void
wait_for_requests(hwi_server *s)
{
    uint64_t begin_us = hwi_clock_us();
    uint64_t most_us = s->config.service_shutdown_timeout_sec * UINT64_C(1000000);
    const struct timespec pause = {.tv_nsec = 5000000};
    bool is_cancelled = false;

    while (hwi_http_active(s->http) > 0) {
        uint64_t taken_us = hwi_clock_us() - begin_us;
        if (!is_cancelled && taken_us > most_us / 2) {
            hwi_http_cancel(s->http);
            is_cancelled = true;
        }
        if (taken_us > most_us) {
            /* Workers that do not heed a cancel cannot be joined. What was acknowledged is synced,
             * and a database that was not closed opens like any other. */
            hwi_log_say(&s->log, HWI_WARN, "stopped with %zu requests under way",
                        hwi_http_active(s->http));
            _exit(0);
        }
        nanosleep(&pause, NULL);
    }
}

static void
announce(hwi_server *s)
{
    const hwi_config *c = &s->config;
    bool is_local = strcmp(c->service_host, "127.0.0.1") == 0 ||
                    strcmp(c->service_host, "::1") == 0 ||
                    strcmp(c->service_host, "localhost") == 0;

    if (!is_local && hwi_keys_open(s->keys))
        hwi_log_say(&s->log, HWI_WARN,
                    "ANYBODY WHO REACHES %s PORT %u MAY READ AND CHANGE EVERYTHING: set "
                    "service.api_key, or listen on 127.0.0.1",
                    c->service_host, hwi_http_port(s->http));
    if (!is_local && !c->service_enable_tls && !hwi_keys_open(s->keys))
        hwi_log_say(&s->log, HWI_WARN,
                    "keys cross the network in clear text: set service.enable_tls, or put a proxy "
                    "with TLS in front");
    bool is_v6 = strchr(c->service_host, ':') != NULL;
    hwi_log_say(&s->log, HWI_INFO, "hashwood %s serves %s://%s%s%s:%u (%.1f ms after the start)",
                HW_VERSION_STRING, c->service_enable_tls ? "https" : "http", is_v6 ? "[" : "",
                c->service_host, is_v6 ? "]" : "", hwi_http_port(s->http),
                (double)(hwi_clock_us() - s->start_us) / 1000);
}

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP};
static pthread_t waiter; /* for them, which it blocks but while it waits */

/* Threads that were there before the server block nothing: the sampler, those that libraries begin
 * when they are loaded. While the waiter does something else, a signal may reach one of them. */
static void
hand_on(int number)
{
    pthread_kill(waiter, number);
}

/* For the rest of the process: whoever asks again while the server closes changes nothing. */
static void
take_signals(sigset_t *set)
{
    const struct sigaction action = {.sa_handler = hand_on, .sa_flags = SA_RESTART};

    waiter = pthread_self();
    sigemptyset(set);
    for (size_t i = 0; i < HWI_COUNT(signal_numbers); i++) sigaddset(set, signal_numbers[i]);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    for (size_t i = 0; i < HWI_COUNT(signal_numbers); i++)
        sigaction(signal_numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Returns when it is time to stop. */
static void
wait_for_signals(hwi_server *s, const sigset_t *set, hwi_config_again again, void *arg)
{
    for (;;) {
        int number = 0;

        if (sigwait(set, &number) != 0) return;
        if (number != SIGHUP) {
            hwi_log_say(&s->log, HWI_INFO, "stopping");
            return;
        }
        reload(s, again, arg);
    }
}

static uint32_t
worker_count(const hwi_config *c)
{
    return c->service_max_workers ? c->service_max_workers : HWI_MAX(4u, 2 * hwi_processors());
}

hw_status
hwi_server_run(hwi_server *s, hwi_config_again again, void *arg, hw_error *err)
{
    sigset_t taken;
    hw_status st;

    take_signals(&taken);
    st = hwi_queue_new(worker_count(&s->config), s->config.service_queue_length, hwi_http_work,
                       &s->queue, err);
    if (st == HW_OK)
        st = hwi_queue_new(LONG_WORKERS, s->config.service_queue_length, hwi_http_work,
                           &s->long_queue, err);
    if (st == HW_OK) st = hwi_http_start(s, err);
    if (st == HW_OK) {
        announce(s);
        wait_for_signals(s, &taken, again, arg);
        atomic_store(&s->is_stopping, true);
        hwi_http_quiesce(s->http);
        wait_for_requests(s);
    }
    /* A connection that was kept open may bring a request until HTTP ends, so the queues stay to
     * refuse it. */
    hwi_queue_end(s->queue);
    hwi_queue_end(s->long_queue);
    hwi_http_stop(s->http);
    s->http = NULL;
    hwi_queue_free(s->queue);
    hwi_queue_free(s->long_queue);
    s->queue = s->long_queue = NULL;
    return st;
}
