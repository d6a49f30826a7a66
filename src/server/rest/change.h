/* change.h - changes to points: read from a body, then made in one transaction. */
#ifndef HWI_CHANGE_H
#define HWI_CHANGE_H

#include "server/wire.h"

typedef enum hwi_change_kind {
    HWI_CHANGE_UPSERT,
    HWI_CHANGE_DELETE,
    HWI_CHANGE_UPDATE_VECTORS,
    HWI_CHANGE_DELETE_VECTORS,
    HWI_CHANGE_SET_PAYLOAD,
    HWI_CHANGE_OVERWRITE_PAYLOAD,
    HWI_CHANGE_DELETE_PAYLOAD,
    HWI_CHANGE_CLEAR_PAYLOAD
} hwi_change_kind;

typedef enum hwi_update_mode {
    HWI_UPDATE_UPSERT,
    HWI_UPDATE_INSERT_ONLY,
    HWI_UPDATE_UPDATE_ONLY
} hwi_update_mode;

typedef struct hwi_change {
    hwi_change_kind kind;

    /* Which points: these, or those that match. UPSERT and UPDATE_VECTORS: the ids of `points`, and
     * the filter says which existing ones may be touched. */
    hw_id *ids;
    size_t id_count;
    const char *filter; /* NULL: none */
    size_t filter_bytes;
    const hwi_json *filter_json;

    struct hwi_change_point { /* UPSERT, UPDATE_VECTORS */
        hw_vector *vectors;
        size_t vector_count;
        const char *payload; /* NULL: none */
        size_t payload_bytes;
    } * points; /* one per id */
    hwi_update_mode mode;

    const char *json; /* payload operations: as hw_txn_update_payload takes it */
    size_t json_bytes;
    const char *removed; /* SET_PAYLOAD: array of the paths that were given null, or NULL */
    size_t removed_bytes;
    const char *at;     /* SET_PAYLOAD: path of a nested object, or NULL */
    const char **names; /* DELETE_VECTORS */
    size_t name_count;
} hwi_change;

/* Reads one change from the body of its call. */
bool hwi_change_read(hwi_request *r, const hwi_shape *shape, hwi_change_kind kind,
                     const hwi_json *body, hwi_change *out);

/* Makes all of them, or none. */
bool hwi_change_make(hwi_request *r, const hwi_shape *shape, const hwi_change *changes,
                     size_t count);

#endif
