/* target.h - a collection inside a write transaction, shared by writer.c (its life) and points.c
 * (what is done to it).
 */
#ifndef HWI_TARGET_H
#define HWI_TARGET_H

#include "ingest/holes.h"
#include "ingest/writer.h"
#include "index/sparse/sparse.h"
#include "payload/pix.h"
#include "records/ragged.h"

/* One vector field; begun when first touched, since an index writer reads the index's state. */
typedef struct hwi_target_field {
    const hwi_field *conf;
    hwi_page_cache *vecs;      /* dense */
    hwi_index_writer *index;   /* dense; NULL: not touched yet */
    hwi_page_cache *has;       /* multi and sparse: which slots have one */
    hwi_sparse_writer *sparse; /* sparse */

    /* during an operation */
    bool is_wanted;     /* this field is to change */
    bool is_given;      /* to a new vector; else it is taken away */
    const float *given; /* dense: the new values */
    float inv_norm;     /* of given */
    hwi_buf packed;     /* multi and sparse: the new vector as stored */
} hwi_target_field;

struct hwi_target {
    hwi_writer *writer;
    hwi_target *next;
    uint32_t coll;
    hwi_index_of_fn index_of;
    void *arg;
    hwi_conf *conf;
    hwi_counts counts; /* as this transaction leaves them */
    uint64_t points_before;
    hwi_lane lane;
    hwi_id_near near;
    hwi_page_cache *slots;
    hwi_holes holes;
    hwi_pix_writer *pix;
    hwi_target_field *fields; /* conf->field_count */
    hwi_buf old_payload, new_payload, large, old_vector;
    bool is_changed;
};

struct hwi_writer {
    hw_store_txn *txn;
    hwi_target *targets;
    uint32_t lane;    /* new points take their slots from it */
    hw_status broken; /* why only abort is left; HW_OK: it is sound */
    hwi_writer_done done;
};

/* The field's caches and index writer, begun now if they were not. */
HW_CHECKED hw_status hwi_target_open_field(hwi_target *t, hwi_target_field *f, hw_error *err);

/* vectors.c: brings every wanted field of a slot to what was given. */
HW_CHECKED hw_status hwi_target_write_vectors(hwi_target *t, uint32_t slot, hw_error *err);

#endif
