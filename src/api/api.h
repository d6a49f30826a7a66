/* api.h - the structs behind the public handles, shared by the files of this folder.
 */
#ifndef HWI_API_H
#define HWI_API_H

#include <pthread.h>

#include "ingest/writer.h"
#include "query/search.h"
#include "query/view.h"
#include "remote/remote.h"

#define HWI_DB_BUCKETS 1024u

/* What all handles to one collection share; one per collection number and database handle. */
typedef struct hwi_shared {
    hw_db *db;
    hwi_views *views;
    uint32_t coll;
    uint32_t refs; /* guarded by db->lock */
    struct hwi_shared *next;
    char name[HW_NAME_MAX + 1];
} hwi_shared;

/* What hw_db_metrics counts here, one stripe of it; every member only grows and orders nothing. */
typedef struct hwi_metrics {
    HWI_STRIPE_ALIGN atomic_uint_least64_t searches;
    atomic_uint_least64_t searches_exact, searches_filtered;
    atomic_uint_least64_t leaves_opened, codes_scanned, rows_refined, rows_exact;
    atomic_uint_least64_t ns_rotate, ns_rank, ns_scan, ns_exact, ns_filter;
    atomic_uint_least64_t commits, commit_bytes, points_written, points_deleted;
} hwi_metrics;

struct hw_db {
    hwi_remote *far; /* a server's database; then nothing below but opts counts */
    hw_store *store;
    hwi_metrics *metrics; /* a stripe each; never NULL but in a far database */
    hwi_snapshots *snapshots;
    hwi_store_meta meta;
    hw_db_opts opts;
    pthread_mutex_t lock;             /* guards open and what is said to be guarded by it */
    hwi_shared *open[HWI_DB_BUCKETS]; /* by collection number */
    struct hwi_janitor *janitor;      /* NULL until a collection is opened */
    atomic_uint restores;             /* under way through this handle */
    atomic_uint lane; /* where new points get their slots; another after a conflict */
};

/* What hw_collection_hold made sure of. */
typedef struct hwi_hold {
    hwi_view *view; /* a reference */
    hwi_view own;   /* a copy that stops when it should */
    hwi_stop stop;
} hwi_hold;

struct hw_collection {
    hw_db *db;
    hwi_shared *shared;
    hwi_far *far;   /* of a server's database; then shared is NULL */
    hwi_hold *hold; /* reads one snapshot; NULL: the newest each time */
};

struct hw_cancel {
    atomic_bool is_set; /* what hwi_stop.cancel points to */
};

/* ---- db.c */

/* A database over a store that is open already; takes the store over, on failure not. */
HW_CHECKED hw_status hwi_db_over_store(hw_store *store, const hw_db_opts *opts, hw_db **out,
                                       hw_error *err);

/* Reference to the shared part of a collection; opens it if need be. */
HW_CHECKED hw_status hwi_shared_take(hw_db *db, uint32_t coll, const char *name, hwi_shared **out,
                                     hw_error *err);
void hwi_shared_release(hwi_shared *s); /* NULL is fine */

/* To call after every commit of this process: idle views must not hold back old pages. */
void hwi_db_committed(hw_db *db);
/* A transaction lost a race against another process: the next one keeps out of its way. */
void hwi_db_lost_race(hw_db *db);

/* ---- janitor.c: lets go of views that another process's commits have made stale */

HW_CHECKED hw_status hwi_janitor_start(hwi_snapshots *snapshots, struct hwi_janitor **out,
                                       hw_error *err);
void hwi_janitor_stop(struct hwi_janitor *j); /* NULL is fine */

/* ---- collections.c */

/* The collection that a name or an alias means, with its own name: HW_ENOTFOUND "there is no
 * collection `x`". */
HW_CHECKED hw_status hwi_collection_find(hw_store_txn *txn, const char *name,
                                         char own_name[HW_NAME_MAX + 1], uint32_t *coll,
                                         hw_error *err);
/* Names and numbers in byte order. */
typedef struct hwi_name {
    char *name; /* hwi_alloc'ed */
    uint32_t coll;
} hwi_name;
HW_CHECKED hw_status hwi_names_read(hw_store_txn *txn, hwi_name **out, size_t *count,
                                    hw_error *err);
void hwi_names_free(hwi_name *names, size_t count);

/* A number no collection ever had. */
HW_CHECKED hw_status hwi_collection_new_number(hw_store_txn *txn, uint32_t *coll, hw_error *err);
/* From now on the name means this collection. */
HW_CHECKED hw_status hwi_collection_name(hw_store_txn *txn, const char *name, uint32_t coll,
                                         hw_error *err);

/* ---- drop.c */

/* Takes a collection's settings and as much of the rest as fits the transaction. *more: what is
 * left is marked, and hwi_drops_finish goes on. Names and aliases are the caller's business. */
HW_CHECKED hw_status hwi_drop_begin(hw_store_txn *txn, uint32_t coll, bool *more, hw_error *err);
/* Deletes what is left of collections whose drop or restore was cut short, by anybody. */
HW_CHECKED hw_status hwi_drops_finish(hw_db *db, hw_error *err);
/* Whether keys of a collection that has no name are there for a reason. */
bool hwi_is_rubbish(hw_store_txn *txn, uint32_t coll);

/* Marks a number as being restored by this process, which has counted itself into db->restores; ends
 * that; gives up. */
HW_CHECKED hw_status hwi_restoring_mark(hw_store_txn *txn, uint32_t coll, hw_error *err);
HW_CHECKED hw_status hwi_restoring_end(hw_store_txn *txn, uint32_t coll, hw_error *err);
HW_CHECKED hw_status hwi_restoring_abandon(hw_db *db, uint32_t coll, hw_error *err);

/* ---- aliases.c */

/* The name an alias leads to: HW_ENOTFOUND (err untouched). */
HW_CHECKED hw_status hwi_alias_get(hw_store_txn *txn, const char *name,
                                   char target[HW_NAME_MAX + 1], hw_error *err);
/* Every alias in byte order. fn must not write; a failure of it ends the walk. */
typedef hw_status (*hwi_alias_fn)(void *arg, const char *name, const char *target, hw_error *err);
HW_CHECKED hw_status hwi_aliases_each(hw_store_txn *txn, hwi_alias_fn fn, void *arg, hw_error *err);
/* Removes those that lead to a collection. */
HW_CHECKED hw_status hwi_aliases_drop(hw_store_txn *txn, const char *target, hw_error *err);

/* ---- write.c */

/* The collection's part of a transaction. HW_EINVAL: NULL, or of another database. */
HW_CHECKED hw_status hwi_txn_target(hw_txn *txn, hw_collection *c, hwi_target **out, hw_error *err);
/* Ends what hwi_txn_target began: a transaction that the application holds rests until its next
 * call. Returns st. txn NULL is fine. */
hw_status hwi_txn_leave(hw_txn *txn, hw_status st);

/* ---- hold.c */

/* What a reading call reads: the newest view, or the one that is held; *done afterwards. Of a held
 * one HW_ECANCELED and HW_ETIMEOUT as well. */
HW_CHECKED hw_status hwi_reading_begin(hw_collection *c, hwi_view **out, hw_error *err);
void hwi_reading_end(hw_collection *c, hwi_view *view); /* NULL is fine */
/* Whether to read once more, in a newer view: the store no longer had what this one asked for
 * (HW_ECONFLICT, a snapshot older than a cluster keeps). *attempt is 0 at first. */
bool hwi_reading_again(const hw_collection *c, hw_status st, uint32_t *attempt);
void hwi_hold_release(hw_collection *c); /* when there is one */

/* ---- read.c */

/* hw_collection_get on a view. */
HW_CHECKED hw_status hwi_view_get(hwi_view *view, const hw_id *ids, size_t count, uint32_t with,
                                  hw_result **out, hw_error *err);

/* ---- payload_index.c */

/* The ready index of a field, of a type that `serves`; else HW_EINVAL, which names `types`. */
HW_CHECKED hw_status hwi_view_index_of(const hwi_view *view, const char *field,
                                       bool (*serves)(hwi_pix_type type), const char *types,
                                       const hwi_pix_field **out, hw_error *err);

/* ---- fields.c */

/* Deletes what is left of vector fields whose drop was cut short. */
HW_CHECKED hw_status hwi_fields_clean(hw_db *db, hwi_shared *shared, hw_error *err);

/* ---- result.c */

/* Result of `count` slots; hits NULL: no scores. Takes the answer's texts when given. */
HW_CHECKED hw_status hwi_result_new(hwi_view *view, const uint32_t *slots, const hwi_hit *hits,
                                    size_t count, uint32_t with, hwi_answer *answer,
                                    hw_result **out, hw_error *err);
/* Keeps a warning (hwi_alloc'ed, may be NULL) with the result. */
void hwi_result_take_warning(hw_result *r, char *warning);
/* A copy of an id's text that lives as long as the result. */
HW_CHECKED hw_status hwi_result_keep_id(hw_result *r, hw_id *id, hw_error *err);

/* Keeps a copy of hit i's order value. */
HW_CHECKED hw_status hwi_result_set_order(hw_result *r, size_t i, hw_bytes text, hw_error *err);

/* ---- metrics.c */

/* One search that succeeded. */
void hwi_metrics_search(hw_db *db, const hw_query *query, const hwi_answer *answer);
/* One transaction that was committed. */
void hwi_metrics_commit(hw_db *db, const hwi_writer_done *done);

/* Columns that a server sent; takes their memory over. */
HW_CHECKED hw_status hwi_result_from_far(hwi_far_rows *rows, hwi_conf *conf, hw_result **out,
                                         hw_error *err);

/* ---- far.c: databases on a server */

/* The first line of a public function: a handle of a server's database goes elsewhere. */
#define HWI_FAR(handle, call)                                                                      \
    if ((handle)->far) return (call)
#define HWI_NOT_FAR(handle, what) HWI_FAR(handle, hwi_far_unsupported(what, err))

HW_CHECKED hw_status hwi_far_unsupported(const char *what, hw_error *err);
HW_CHECKED hw_status hwi_db_open_far(const char *url, const hw_db_opts *opts, hw_db **out,
                                     hw_error *err);
HW_CHECKED hw_status hwi_collection_open_far(hw_db *db, const char *name, hw_collection **out,
                                             hw_error *err);
HW_CHECKED hw_status hwi_configure_far(hw_collection *c, const char *patch, hw_error *err);
HW_CHECKED hw_status hwi_why_far(hw_collection *c, const hw_query *query, const hw_id *id,
                                 char **json, hw_error *err);
HW_CHECKED hw_status hwi_search_far(hw_collection *c, const hw_query *query, hw_result **out,
                                    hw_error *err);
HW_CHECKED hw_status hwi_search_batch_far(hw_collection *c, const hw_query *queries, size_t count,
                                          hw_result **out, hw_error *err);
HW_CHECKED hw_status hwi_get_far(hw_collection *c, const hw_id *ids, size_t count, uint32_t with,
                                 hw_result **out, hw_error *err);
HW_CHECKED hw_status hwi_scroll_far(hw_collection *c, const char *filter, size_t filter_bytes,
                                    const hw_id *from, uint32_t limit, uint32_t with,
                                    hw_result **out, bool *more, hw_id *next, hw_error *err);
HW_CHECKED hw_status hwi_facet_far(hw_collection *c, const char *field, const char *filter,
                                   size_t filter_bytes, uint32_t limit, char **json, hw_error *err);
HW_CHECKED hw_status hwi_index_payload_far(hw_collection *c, const char *field, const char *type,
                                           hw_error *err);
HW_CHECKED hw_status hwi_add_vector_far(hw_collection *c, const char *name, bool sparse,
                                        const char *config, hw_error *err);
HW_CHECKED hw_status hwi_drop_vector_far(hw_collection *c, const char *name, hw_error *err);
HW_CHECKED hw_status hwi_unindex_payload_far(hw_collection *c, const char *field, hw_error *err);

bool hwi_txn_is_far(const hw_txn *txn);

/* ---- read.c */

/* The query with all of this library's members; the caller's struct may be an older, shorter one. */
HW_CHECKED hw_status hwi_query_full(const hw_query *query, hw_query *out, hw_error *err);

/* ---- small helpers */

/* Hands a buffer over as NUL-terminated text; releases it on failure. */
HW_CHECKED hw_status hwi_buf_take_text(hwi_buf *b, char **out, hw_error *err);

#endif
