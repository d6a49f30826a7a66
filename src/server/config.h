/* config.h - what a server can be told, by file, environment and flags.
 *
 * One list gives the members of the struct, the keys of the file, the names in the environment, the
 * flags of `hashwood serve`, and the table of docs/configuration.md. A key `service.http_port` is
 *
 *     service:                           in the file
 *       http_port: 6333
 *     HASHWOOD__SERVICE__HTTP_PORT       in the environment (QDRANT__... where Qdrant has the key)
 *     --http-port                        as a flag
 *
 * Flags weigh more than the environment, that more than the file, that more than the defaults here.
 */
#ifndef HWI_CONFIG_H
#define HWI_CONFIG_H

#include "base/base.h"

/* X(section, key, type, flag, default, lowest, highest, shared, secret, placeholder, help)
 *
 * type: text, number, real, flag; lowest and highest are of numbers; "a|b" as placeholder of a text
 * means that nothing else will do. shared: Qdrant has the key too, QDRANT__... works. */
#define HWI_CONFIG_KEYS(X)                                                                         \
    X(service, host, text, "host", "127.0.0.1", 0, 0, true, false, "ADDRESS",                      \
      "address to listen on")                                                                      \
    X(service, http_port, number, "http-port", "6333", 0, 65535, true, false, "PORT",              \
      "port to listen on; 0: any free one")                                                        \
    X(service, api_key, text, "api-key", "", 0, 0, true, true, "KEY",                              \
      "key that callers must give to do anything; empty: everybody may")                           \
    X(service, alt_api_key, text, "alt-api-key", "", 0, 0, true, true, "KEY",                      \
      "a second such key, for the time in which keys are exchanged")                               \
    X(service, read_only_api_key, text, "read-only-api-key", "", 0, 0, true, true, "KEY",          \
      "key that callers must give to read")                                                        \
    X(service, jwt_rbac, flag, "jwt-rbac", "false", 0, 0, true, false, "BOOL",                     \
      "accept tokens signed with the key, which say what their owner may do")                      \
    X(service, enable_tls, flag, "enable-tls", "false", 0, 0, true, false, "BOOL", "speak HTTPS")  \
    X(service, verify_https_client_certificate, flag, "verify-client-certificate", "false", 0, 0,  \
      true, false, "BOOL", "ask callers for a certificate that tls.ca_cert signed")                \
    X(service, enable_cors, flag, "enable-cors", "true", 0, 0, true, false, "BOOL",                \
      "let web pages of other origins call")                                                       \
    X(service, max_request_size_mb, number, "max-request-size-mb", "32", 1, 4096, true, false,     \
      "MB", "largest body of a request, uploads aside")                                            \
    X(service, max_workers, number, "max-workers", "0", 0, 1024, true, false, "N",                 \
      "requests in work at once, builds and snapshots aside; 0: two per processor, at least four") \
    X(service, event_threads, number, "event-threads", "0", 0, 64, false, false, "N",              \
      "threads that read and write connections; 0: one per four processors")                       \
    X(service, queue_length, number, "queue-length", "1024", 1, 1000000, false, false, "N",        \
      "requests that may wait for a worker; more get 503")                                         \
    X(service, max_connections, number, "max-connections", "16384", 1, 1000000, false, false, "N", \
      "connections open at once; more are closed")                                                 \
    X(service, http_keep_alive_timeout_sec, number, "keep-alive-timeout-sec", "75", 1, 86400,      \
      true, false, "S", "how long an idle connection is kept")                                     \
    X(service, http_client_request_timeout_sec, number, "client-request-timeout-sec", "30", 1,     \
      86400, true, false, "S",                                                                     \
      "how long a caller may take to send a request; large bodies get more")                       \
    X(service, request_timeout_sec, number, "request-timeout-sec", "60", 1, 86400, false, false,   \
      "S", "how long a request may take that gives no ?timeout=")                                  \
    X(service, long_request_timeout_sec, number, "long-request-timeout-sec", "3600", 1, 864000,    \
      false, false, "S", "the same for builds and snapshots")                                      \
    X(service, shutdown_timeout_sec, number, "shutdown-timeout-sec", "20", 1, 3600, false, false,  \
      "S", "how long requests may go on once the server is told to stop")                          \
    X(service, compress, flag, "compress", "true", 0, 0, false, false, "BOOL",                     \
      "compress answers for callers that ask for it")                                              \
    X(service, compat, text, "compat", "hashwood", 0, 0, false, false, "hashwood|qdrant",          \
      "the name and version that / answers: hashwood, or qdrant for callers that check it")        \
    X(service, enable_static_content, flag, "enable-static-content", "true", 0, 0, true, false,    \
      "BOOL", "serve the web page at /dashboard")                                                  \
    X(service, slow_query_secs, real, "slow-query-secs", "1", 0, 86400, true, false, "S",          \
      "searches slower than this are logged with what they did; 0: none")                          \
    X(service, metrics_prefix, text, "metrics-prefix", "", 0, 0, true, false, "TEXT",              \
      "put before the names of metrics")                                                           \
    X(service, recall_sample, real, "recall-sample", "0.001", 0, 1, false, false, "SHARE",         \
      "share of searches repeated exactly, in spare time, to measure recall")                      \
    X(tls, cert, text, "tls-cert", "", 0, 0, true, false, "FILE", "certificate chain (PEM)")       \
    X(tls, key, text, "tls-key", "", 0, 0, true, false, "FILE", "its private key (PEM)")           \
    X(tls, ca_cert, text, "tls-ca-cert", "", 0, 0, true, false, "FILE",                            \
      "authority of callers' certificates")                                                        \
    X(storage, storage_path, text, "storage-path", "", 0, 0, true, false, "DB",                    \
      "the database, if the command line names none")                                              \
    X(storage, snapshots_path, text, "snapshots-path", "", 0, 0, true, false, "DIR",               \
      "where snapshots go; empty: the folder snapshots in the database's")                         \
    X(storage, cache_mb, number, "cache-mb", "256", 1, 1048576, false, false, "MB",                \
      "memory for what is read of a database in FoundationDB")                                     \
    X(storage, max_staleness_ms, number, "max-staleness-ms", "0", 0, 60000, false, false, "MS",    \
      "how old reads of a database in FoundationDB may be; 0: they see every commit before them")  \
    X(storage, read_ahead, flag, "read-ahead", "true", 0, 0, false, false, "BOOL",                 \
      "let the system read ahead in the file of a database; false: for data larger than memory")   \
    X(embedding, collections, text, "embed", "", 0, 0, false, false, "COLL=WHAT,...",              \
      "search by a file: which embedder serves which collection (docs/embedding.md); auto: the "   \
      "built-in features that made the vectors; empty: off")                                       \
    X(embedding, max_file_size_mb, number, "embed-max-file-size-mb", "16", 1, 512, false, false,   \
      "MB", "largest file that is embedded")                                                       \
    X(embedding, max_megapixels, number, "embed-max-megapixels", "50", 1, 104, false, false, "N",  \
      "largest picture that is embedded; each in work takes 3 MB or more a megapixel")             \
    X(embedding, max_at_once, number, "embed-at-once", "2", 1, 64, false, false, "N",              \
      "files embedded at once; more get 503")                                                      \
    X(embedding, timeout_sec, number, "embed-timeout-sec", "10", 1, 600, false, false, "S",        \
      "how long decoding a file may take")                                                         \
    X(log, level, text, "log-level", "info", 0, 0, false, false, "error|warn|info|debug",          \
      "how much is logged")                                                                        \
    X(log, format, text, "log-format", "text", 0, 0, false, false, "text|json",                    \
      "form of a line of the log")                                                                 \
    X(log, access, flag, "log-access", "true", 0, 0, false, false, "BOOL", "log each request")     \
    X(log, audit, flag, "log-audit", "false", 0, 0, false, false, "BOOL",                          \
      "log who changed what: each request that writes, and each one refused")

typedef const char *hwi_config_text;
typedef uint32_t hwi_config_number;
typedef double hwi_config_real;
typedef bool hwi_config_flag;

typedef struct hwi_config {
    hwi_arena arena;  /* of the texts */
    const char *path; /* of the file that was read, or NULL */
#define HWI_CONFIG_MEMBER(section, key, type, ...) hwi_config_##type section##_##key;
    HWI_CONFIG_KEYS(HWI_CONFIG_MEMBER)
#undef HWI_CONFIG_MEMBER
} hwi_config;

typedef enum hwi_config_type {
    HWI_CONFIG_TYPE_text,
    HWI_CONFIG_TYPE_number,
    HWI_CONFIG_TYPE_real,
    HWI_CONFIG_TYPE_flag
} hwi_config_type;

/* One key as a row of a table. */
typedef struct hwi_config_key {
    const char *name; /* "service.http_port" */
    const char *flag; /* "http-port" */
    hwi_config_type type;
    size_t at;
    const char *otherwise;
    double low, high;
    bool shared, secret;
    const char *placeholder, *help;
} hwi_config_key;
extern const hwi_config_key hwi_config_keys[]; /* ends with a NULL name */

/* A flag that was given: text as on the command line. */
typedef struct hwi_config_given {
    const char *name; /* of the key */
    const char *value;
} hwi_config_given;

/* Reads everything in order of weight.
 *
 * path     --config-path; NULL: /etc/hashwood/config.yaml if that is there
 * environ  NAME=value, NULL at the end
 * given    flags, up to one without a name
 * warn     called with remarks (a key of Qdrant's that means nothing here); may be NULL
 *
 * HW_EINVAL names the place, the key and what it may be; HW_ENOTFOUND: no such file. */
HW_CHECKED hw_status hwi_config_read(const char *path, char *const *environ_,
                                     const hwi_config_given *given, void (*warn)(const char *line),
                                     hwi_config *out, hw_error *err);
void hwi_config_release(hwi_config *c);

/* Sets one key from text; `place` begins the message of a failure. */
HW_CHECKED hw_status hwi_config_set(hwi_config *c, const char *name, const char *value,
                                    const char *place, hw_error *err);

/* The effective settings as a YAML file; keys and secrets as "***". */
void hwi_config_print(const hwi_config *c, hwi_buf *out);

#endif
