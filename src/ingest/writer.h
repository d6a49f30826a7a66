/* writer.h - one write transaction: points go into records, payload indexes and vector indexes
 * together.
 *
 *     hwi_writer_begin -> hwi_writer_target (once per collection) -> operations -> commit | abort
 *
 * One thread at a time. Every operation checks all its arguments before its first write, so
 * HW_EINVAL, HW_ENOTFOUND and HW_EEXIST leave the transaction as it was; after any other failure it
 * can only be aborted, and says so.
 */
#ifndef HWI_WRITER_H
#define HWI_WRITER_H

#include "index/index.h"
#include "records/records.h"

typedef struct hwi_writer hwi_writer;
typedef struct hwi_target hwi_target; /* a collection in a transaction */

/* The process's memory of a field's index; what hwi_views_index is. */
typedef hw_status (*hwi_index_of_fn)(void *arg, const hwi_field *field, hwi_index **out,
                                     hw_error *err);

/* New points get their slots from `lane` (records.h). HW_EBUSY, HW_EREADONLY. */
HW_CHECKED hw_status hwi_writer_begin(hw_store *store, uint32_t lane, hwi_writer **out,
                                      hw_error *err);
/* What a committed transaction amounted to. */
typedef struct hwi_writer_done {
    bool is_changed;           /* else nothing was committed */
    uint64_t written, deleted; /* operations on points */
    size_t bytes;              /* keys and values put */
} hwi_writer_done;

/* Both end and free the writer. */
HW_CHECKED hw_status hwi_writer_commit(hwi_writer *w, hwi_writer_done *done, hw_error *err);
void hwi_writer_abort(hwi_writer *w); /* NULL is fine */

/* Between two operations, which may be any time apart: rest lets those go on whose commit shares
 * one with this transaction; wake comes before the next operation. Nothing is to be borrowed from
 * the store over a rest. A failing wake leaves only abort. */
void hwi_writer_rest(hwi_writer *w);
HW_CHECKED hw_status hwi_writer_wake(hwi_writer *w, hw_error *err);

/* The collection's part of the transaction, begun at first use; owned by the writer. index_of and
 * arg are borrowed until the writer ends. HW_ENOTFOUND "collection `x` was dropped". */
HW_CHECKED hw_status hwi_writer_target(hwi_writer *w, uint32_t coll, const char *name,
                                       hwi_index_of_fn index_of, void *arg, hwi_target **out,
                                       hw_error *err);

/* Points of these ids are to be written: a store that is far away tells of all of them at once. */
void hwi_target_want_ids(hwi_target *t, const hw_id *ids, size_t count);

/* Writes out what the target holds back, so that reads through the store transaction see all that
 * was done so far, vector indexes excepted. The transaction goes on. */
HW_CHECKED hw_status hwi_target_settle(hwi_target *t, hw_error *err);

/* Contracts of hw_txn_upsert and its siblings. */
HW_CHECKED hw_status hwi_target_upsert(hwi_target *t, const hw_id *id, const hw_vector *vectors,
                                       size_t vector_count, const char *payload,
                                       size_t payload_bytes, hw_error *err);
HW_CHECKED hw_status hwi_target_update_vectors(hwi_target *t, const hw_id *id,
                                               const hw_vector *vectors, size_t vector_count,
                                               hw_error *err);
HW_CHECKED hw_status hwi_target_delete_vectors(hwi_target *t, const hw_id *id,
                                               const char *const *names, size_t name_count,
                                               hw_error *err);
HW_CHECKED hw_status hwi_target_update_payload(hwi_target *t, const hw_id *id, hw_payload_op op,
                                               const char *at, const char *json, size_t json_bytes,
                                               hw_error *err);
HW_CHECKED hw_status hwi_target_delete(hwi_target *t, const hw_id *id, bool *existed,
                                       hw_error *err);

#endif
