/* remote.h - a database that another process serves: the public functions over HTTP.
 *
 * hw_db_open("http://host:6333") gives a handle whose collections live on a `hashwood serve`
 * elsewhere. Every public function with a counterpart in the server's interface works on it, so
 * programs and the command line need not know where their data lies; the others answer
 * HW_EUNSUPPORTED. Requests go through libcurl, which is opened when it is first needed, so that
 * embedded users do not carry it.
 *
 *     api/  hw_collection_search --- is the handle remote? ---> hwi_remote_search
 *                                                                  |  JSON out, JSON in
 *                                                                  v
 *                                                         remote.c: call -> curl.c: exchange
 */
#ifndef HWI_REMOTE_H
#define HWI_REMOTE_H

#include "base/json.h"
#include "records/conf.h"

/* ---- curl.c: one exchange */

typedef struct hwi_http hwi_http; /* connections to one server; safe to share */

typedef struct hwi_exchange {
    const char *method;        /* "GET" */
    const char *path;          /* with leading slash, escaped */
    hw_bytes body;             /* JSON, or empty */
    const char *from_file;     /* send this file as a multipart form instead of the body; or NULL */
    const char *to_file;       /* write a successful answer here; or NULL */
    uint64_t timeout_ms;       /* 0: none */
    const atomic_bool *cancel; /* or NULL */
    long code;                 /* out: HTTP status */
    hwi_buf answer;            /* out: caller releases */
} hwi_exchange;

/* url "http://host:port" or "https://..."; key NULL: none. HW_EUNSUPPORTED when libcurl is not
 * installed. */
HW_CHECKED hw_status hwi_http_new(const char *url, const char *key, hwi_http **out, hw_error *err);
void hwi_http_free(hwi_http *http); /* NULL is fine */
/* HW_EIO when no answer came; any answer is HW_OK, `code` tells. */
HW_CHECKED hw_status hwi_http_exchange(hwi_http *http, hwi_exchange *x, hw_error *err);

/* ---- remote.c: one call, a database */

typedef struct hwi_remote hwi_remote;

bool hwi_remote_is_url(const char *where);
/* Asks the server who it is. The key is taken from the environment: HASHWOOD_API_KEY. */
HW_CHECKED hw_status hwi_remote_open(const char *url, hwi_remote **out, hw_error *err);
void hwi_remote_close(hwi_remote *remote);

/* Sends JSON (body may be empty) and gives the "result" member of the answer, parsed into `arena`.
 * What the server refuses comes back as the status that made it refuse, with its words. */
HW_CHECKED hw_status hwi_remote_call(hwi_remote *remote, const char *method, const char *path,
                                     const hwi_buf *body, hwi_arena *arena, const hwi_json **result,
                                     hw_error *err);
/* The same for an exchange that is more than that. */
HW_CHECKED hw_status hwi_remote_exchange(hwi_remote *remote, hwi_exchange *x, hwi_arena *arena,
                                         const hwi_json **result, hw_error *err);
/* A value as JSON text, to be freed with hw_free. */
HW_CHECKED hw_status hwi_remote_take_text(const hwi_json *value, char **json, hw_error *err);
/* Appends text as a part of a path. */
void hwi_remote_escape(hwi_buf *out, const char *text);
/* "/collections/" + escaped name + rest. */
void hwi_remote_path(hwi_buf *out, const char *collection, const char *rest);

HW_CHECKED hw_status hwi_remote_list(hwi_remote *remote, char ***names, size_t *count,
                                     hw_error *err);
HW_CHECKED hw_status hwi_remote_create(hwi_remote *remote, const char *name, const char *config,
                                       hw_error *err);
HW_CHECKED hw_status hwi_remote_drop(hwi_remote *remote, const char *name, hw_error *err);
/* The "result" of a GET as JSON text, to be freed with hw_free. */
HW_CHECKED hw_status hwi_remote_text(hwi_remote *remote, const char *method, const char *path,
                                     const hwi_buf *body, char **json, hw_error *err);
HW_CHECKED hw_status hwi_remote_check(hwi_remote *remote, hw_damage_fn damage, void *arg,
                                      hw_error *err);
HW_CHECKED hw_status hwi_remote_backup(hwi_remote *remote, const char *collection, const char *file,
                                       hw_error *err);
HW_CHECKED hw_status hwi_remote_restore(hwi_remote *remote, const char *collection,
                                        const char *file, bool replace, hw_error *err);
HW_CHECKED hw_status hwi_remote_alias(hwi_remote *remote, const hw_alias *aliases, size_t count,
                                      hw_error *err);

/* hw_db_aliases. */
HW_CHECKED hw_status hwi_remote_aliases(hwi_remote *remote, char **json, hw_error *err);

/* ---- remote_read.c */

/* A collection of the server. */
typedef struct hwi_far {
    hwi_remote *remote;
    hwi_conf *conf; /* as the server described it when it was opened */
    char name[HW_NAME_MAX + 1];
} hwi_far;

HW_CHECKED hw_status hwi_far_open(hwi_remote *remote, const char *name, hwi_far **out,
                                  hw_error *err);
void hwi_far_close(hwi_far *far); /* NULL is fine */
/* An answer as columns, all in its arena. */
typedef struct hwi_far_rows {
    hwi_arena arena;
    size_t count;
    hw_id *ids;
    float *scores;         /* NULL: get and scroll */
    const char **payloads; /* NULL: not asked for; NULL entries: none */
    size_t *payload_bytes;
    hw_vector *vectors; /* count x conf->field_count, values NULL when absent; or NULL */
    uint64_t *versions;
    double recall;
    const char *warning, *explain; /* or NULL */
    hw_search_work work;
    hw_id next; /* scroll: where the next page begins */
    bool more;
} hwi_far_rows;
void hwi_far_rows_release(hwi_far_rows *rows);

/* The query's deadline and cancel are heeded while the answer is waited for (a cancel within a
 * second). */
HW_CHECKED hw_status hwi_far_search(hwi_far *far, const hw_query *query, hwi_far_rows *out,
                                    hw_error *err);
HW_CHECKED hw_status hwi_far_why(hwi_far *far, const hw_query *query, const hw_id *id, char **json,
                                 hw_error *err);
HW_CHECKED hw_status hwi_far_get(hwi_far *far, const hw_id *ids, size_t count, uint32_t with,
                                 hwi_far_rows *out, hw_error *err);
HW_CHECKED hw_status hwi_far_count(hwi_far *far, const char *filter, size_t filter_bytes,
                                   uint64_t *count, hw_error *err);
HW_CHECKED hw_status hwi_far_scroll(hwi_far *far, const char *filter, size_t filter_bytes,
                                    const hw_id *from, uint32_t limit, uint32_t with,
                                    hwi_far_rows *out, hw_error *err);
/* A call below /collections/{name}: the "result" of its answer as JSON text. */
HW_CHECKED hw_status hwi_far_text(hwi_far *far, const char *method, const char *rest,
                                  const hwi_buf *body, char **json, hw_error *err);
/* The same, of a member of the result. */
HW_CHECKED hw_status hwi_far_member(hwi_far *far, const char *method, const char *rest,
                                    const hwi_buf *body, const char *member, char **json,
                                    hw_error *err);
/* One call below /collections/{name} whose result is of no interest. */
HW_CHECKED hw_status hwi_far_tell(hwi_far *far, const char *method, const char *rest,
                                  const hwi_buf *body, hw_error *err);

/* ---- remote_ask.c: parts of a body, appended */

/* A vector as clients write it. */
void hwi_far_write_vector(hwi_buf *b, const hw_vector *v);
void hwi_far_write_ids(hwi_buf *b, const hw_id *ids, size_t count);
/* ,"filter": ... with the points a search is limited to; nothing when there is neither */
void hwi_far_write_filter(hwi_buf *b, const char *filter, size_t bytes, const hw_id *among,
                          size_t among_count);
/* ,"with_payload": ..,"with_vector": .. */
void hwi_far_write_with(hwi_buf *b, uint32_t with);
/* The body of points/query but for its last bracket. */
void hwi_far_write_query(hwi_buf *b, const hw_query *q);

/* ---- remote_answer.c */

/* The points of a result as columns. HW_EIO: it does not fit the collection. */
HW_CHECKED hw_status hwi_far_read_rows(const hwi_far *far, const hwi_json *result, uint32_t with,
                                       bool scored, hwi_far_rows *out, hw_error *err);
/* A member that is a number; 0 when there is none. */
uint64_t hwi_far_count_in(const hwi_json *o, const char *key);

/* ---- remote_write.c: a transaction is one batch request, sent by the commit */

typedef struct hwi_far_txn hwi_far_txn;
HW_CHECKED hw_status hwi_far_txn_begin(hwi_far_txn **out, hw_error *err);
HW_CHECKED hw_status hwi_far_txn_commit(hwi_far_txn *t, hw_error *err); /* frees it too */
void hwi_far_txn_abort(hwi_far_txn *t);                                 /* NULL is fine */

/* As hw_txn_upsert and its siblings. Those that need the point to be there ask the server when they
 * are called. */
HW_CHECKED hw_status hwi_far_upsert(hwi_far_txn *t, hwi_far *far, const hw_id *id,
                                    const hw_vector *vectors, size_t vector_count,
                                    const char *payload, size_t payload_bytes, hw_error *err);
HW_CHECKED hw_status hwi_far_update_vectors(hwi_far_txn *t, hwi_far *far, const hw_id *id,
                                            const hw_vector *vectors, size_t vector_count,
                                            hw_error *err);
HW_CHECKED hw_status hwi_far_delete_vectors(hwi_far_txn *t, hwi_far *far, const hw_id *id,
                                            const char *const *names, size_t name_count,
                                            hw_error *err);
HW_CHECKED hw_status hwi_far_update_payload(hwi_far_txn *t, hwi_far *far, const hw_id *id,
                                            hw_payload_op op, const char *at, const char *json,
                                            size_t json_bytes, hw_error *err);
HW_CHECKED hw_status hwi_far_delete(hwi_far_txn *t, hwi_far *far, const hw_id *id, bool *existed,
                                    hw_error *err);

#endif
