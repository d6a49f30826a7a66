/* view.h - an immutable picture of one collection at one commit, shared by every query that starts
 * while it is current.
 *
 * It holds a read transaction of the store and tables that remember where pages lie. Queries count
 * themselves in and out of the current view, each thread where others do not write; when the store
 * has moved on, the first query to notice makes the next one.
 */
#ifndef HWI_VIEW_H
#define HWI_VIEW_H

#include "index/index.h"
#include "index/sparse/sparse.h"
#include "query/kept.h"
#include "records/ragged.h"

typedef struct hwi_view_field {
    const hwi_field *conf;
    hwi_page_table *vecs;  /* dense */
    hwi_index_view *index; /* dense */
    hwi_page_table *has;   /* multi and sparse: which slots have one */
} hwi_view_field;

/* Read transactions shared by the views of all collections of one store: one per version that is
 * still being read, as a store lends only so many (LMDB has a table of readers). Safe to share. */
typedef struct hwi_snapshots hwi_snapshots;
HW_CHECKED hw_status hwi_snapshots_new(hw_store *store, hwi_snapshots **out, hw_error *err);
void hwi_snapshots_free(hwi_snapshots *s); /* no views may be left */
/* What happened to the indexes of all views over these snapshots. */
hwi_index_events *hwi_snapshots_events(hwi_snapshots *s);

/* Lets go of every cached view and of the newest snapshot: after a commit of this process, so that
 * idle views do not hold back pages a writer could reuse. `stale_only`: only if the store has moved
 * on, which a process that never writes asks now and then. */
void hwi_snapshots_drop(hwi_snapshots *s, bool stale_only);

typedef struct hwi_view {
    struct hwi_snapshot *source; /* what txn belongs to */
    hw_store_txn *txn;
    uint64_t snapshot; /* the store's version */
    hwi_conf *conf;
    hwi_counts counts;
    hwi_page_table *slots;
    hwi_view_field *fields;     /* conf->field_count, in conf's order */
    hwi_keeper *keeper;         /* filters resolved before; NULL in a view that changes */
    _Atomic(int64_t) refs;      /* with view.c's stripes: who uses it */
    struct hwi_view *next_dead; /* view.c's, while it lets go of several */
    const hwi_stop *stop;       /* of a reader's own copy (api/hold.c); NULL: none */
} hwi_view;

/* The views of one open collection: safe to share. */
typedef struct hwi_views hwi_views;
HW_CHECKED hw_status hwi_views_new(hw_store *store, uint32_t coll, const char *name,
                                   hwi_views **out, hw_error *err);
/* The same over snapshots shared with other collections; borrowed. */
HW_CHECKED hw_status hwi_views_new_shared(hwi_snapshots *snapshots, uint32_t coll, const char *name,
                                          hwi_views **out, hw_error *err);
void hwi_views_free(hwi_views *views); /* no view may be held */

/* The newest settings seen, a reference of the caller's. Those of another process are seen with the
 * next view, those of this one once it has said so. */
hwi_conf *hwi_views_conf(hwi_views *views);
void hwi_views_set_conf(hwi_views *views, hwi_conf *conf); /* takes a reference of its own */

/* The newest view; release it when done, on any thread. HW_ENOTFOUND "collection `x` was dropped". */
HW_CHECKED hw_status hwi_views_current(hwi_views *views, hwi_view **out, hw_error *err);
void hwi_view_release(hwi_views *views, hwi_view *view);

/* Lets go of the current view, so that it does not hold back pages a writer could reuse. */
void hwi_views_drop(hwi_views *views);

/* The process's memory of a dense field's index; lives as long as the views. */
HW_CHECKED hw_status hwi_views_index(hwi_views *views, const hwi_field *field, hwi_index **out,
                                     hw_error *err);

const hwi_view_field *hwi_view_field_by_name(const hwi_view *view, const char *name);

/* Id of a slot; HW_ENOTFOUND for a free one. */
HW_CHECKED hw_status hwi_view_id(hwi_view *view, uint32_t slot, hw_id *out, hw_error *err);

/* The vector of a slot as it was given, in arena; out->values NULL when it has none. */
HW_CHECKED hw_status hwi_view_vector(hwi_view *view, const hwi_view_field *field, uint32_t slot,
                                     hwi_arena *arena, hw_vector *out, hw_error *err);

/* The slots that have a vector of the field; the caller frees the set. Cost: a pass over the field's
 * rows, but for dense fields that every point has. */
HW_CHECKED hw_status hwi_view_having(hwi_view *view, const hwi_view_field *field,
                                     roaring_bitmap_t **out, hw_error *err);

/* What the functions of index/sparse/ read of a sparse field. */
hwi_sparse_view hwi_view_sparse(const hwi_view *view, const hwi_view_field *field);

/* What a write transaction has done so far, for reads inside it: records and payload indexes, no
 * vector index (fields[i].index is NULL). What the transaction's caches hold must have been written
 * (hwi_target_settle); good until its next write. */
HW_CHECKED hw_status hwi_view_of_txn(hw_store_txn *txn, hwi_conf *conf, const hwi_counts *counts,
                                     hwi_view **out, hw_error *err);
void hwi_view_of_txn_free(hwi_view *view); /* NULL is fine */

#endif
