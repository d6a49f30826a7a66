/* write.c - write transactions and the one-call forms of them.
 *
 * A hw_txn is ingest's writer plus a reference to every collection it touched: they keep the
 * memory of its indexes alive, and tell after the commit which indexes may want to split off a
 * first generation or calibrate anew (hwi_index_maintain). That work follows the commit and is no
 * part of it: should it fail, the commit stands, and the next one tries again.
 *
 * Concurrent transactions may share one commit (docs/decisions/group-commit.md). One that the
 * application holds rests between its calls, so that it keeps nobody waiting; a one-call
 * transaction never does. */
#include "api/api.h"

typedef struct touched {
    hwi_shared *shared;
    struct touched *next;
} touched;

struct hw_txn {
    hw_db *db;
    hwi_far_txn *far; /* on a server; then nothing below counts */
    hwi_writer *writer;
    touched *touched;
    bool is_held; /* by the application, between its calls */
};

static void
txn_free(hw_txn *txn)
{
    while (txn->touched) {
        touched *next = txn->touched->next;
        hwi_shared_release(txn->touched->shared);
        hwi_free(txn->touched);
        txn->touched = next;
    }
    hwi_free(txn);
}

static hw_status
begin_far(hw_db *db, hw_txn **out, hw_error *err)
{
    *out = NULL;
    if (db->opts.read_only) return hwi_fail(err, HW_EREADONLY, "the database was opened read-only");
    hw_txn *txn = hwi_alloc_zero(sizeof *txn);
    if (!txn) return hwi_nomem(err, sizeof *txn);
    txn->db = db;
    hw_status st = hwi_far_txn_begin(&txn->far, err);
    if (st != HW_OK) {
        hwi_free(txn);
        return st;
    }
    *out = txn;
    return HW_OK;
}

static hw_status
txn_begin(hw_db *db, hw_txn **out, hw_error *err)
{
    HWI_FAR(db, begin_far(db, out, err));
    *out = NULL;
    hw_txn *txn = hwi_alloc_zero(sizeof *txn);
    if (!txn) return hwi_nomem(err, sizeof *txn);
    txn->db = db;
    hw_status st = hwi_writer_begin(db->store, atomic_load(&db->lane), &txn->writer, err);
    if (st != HW_OK) {
        hwi_free(txn);
        return st;
    }
    *out = txn;
    return HW_OK;
}

bool
hwi_txn_is_far(const hw_txn *txn)
{
    return txn->far != NULL;
}

/* Whether an operation goes to a server; *st says whether it may. */
static bool
is_far(hw_txn *txn, hw_collection *c, hw_status *st, hw_error *err)
{
    if (!txn || !txn->far) return false;
    *st = HW_OK;
    if (!c) *st = hwi_fail(err, HW_EINVAL, "collection is NULL");
    if (c && c->db != txn->db) *st = hwi_fail(err, HW_EINVAL, "collection of another database");
    return true;
}

/* The end of an operation that began with hwi_txn_target. */
hw_status
hwi_txn_leave(hw_txn *txn, hw_status st)
{
    if (txn && txn->is_held) hwi_writer_rest(txn->writer);
    return st;
}

hw_status
hw_txn_begin(hw_db *db, hw_txn **out, hw_error *err)
{
    HWI_TRY(txn_begin(db, out, err));
    if ((*out)->far) return HW_OK;
    (*out)->is_held = true;
    return hwi_txn_leave(*out, HW_OK);
}

static void
maintain_collection(hw_txn *txn, hwi_shared *shared)
{
    hwi_views *views = shared->views;
    hwi_conf *conf = hwi_views_conf(views);
    for (size_t i = 0; i < conf->field_count; i++) {
        hwi_index *ix;
        if (hwi_field_is_ragged(&conf->fields[i])) continue;
        hw_status ignored = hwi_views_index(views, &conf->fields[i], &ix, NULL);
        if (ignored != HW_OK) continue;
        ignored = hwi_index_maintain(ix, txn->db->store, txn->db->opts.threads, NULL);
        (void)ignored;
    }
    if (conf->dropped_count) {
        hw_status ignored = hwi_fields_clean(txn->db, shared, NULL);
        (void)ignored;
    }
    hwi_conf_unref(conf);
}

/* The commit has happened: nothing that fails here may be reported as if it had not. */
static void
maintain(hw_txn *txn)
{
    for (touched *t = txn->touched; t && !txn->db->opts.bulk_load; t = t->next) {
        maintain_collection(txn, t->shared);
    }
    hwi_db_committed(txn->db);
}

hw_status
hw_txn_commit(hw_txn *txn, hw_error *err)
{
    if (txn && txn->far) {
        hw_status sent = hwi_far_txn_commit(txn->far, err);
        hwi_free(txn);
        return sent;
    }
    hwi_writer_done done;
    if (!txn) return hwi_fail(err, HW_EINVAL, "transaction is NULL");
    hw_status st = hwi_writer_commit(txn->writer, &done, err);
    if (st == HW_ECONFLICT) hwi_db_lost_race(txn->db);
    hwi_db_committed(txn->db);
    if (st == HW_OK) {
        hwi_metrics_commit(txn->db, &done);
        maintain(txn);
    }
    txn_free(txn);
    return st;
}

void
hw_txn_abort(hw_txn *txn)
{
    if (!txn) return;
    hwi_far_txn_abort(txn->far);
    hwi_writer_abort(txn->writer);
    txn_free(txn);
}

/* ---- Transactions that are done again ---- */

#define RUN_ATTEMPTS_MAX 20u
#define RUN_US_MAX 30000000u /* no new attempt later than this: one that is too slow never ends */

typedef hw_status (*begin_fn)(hw_db *db, hw_txn **out, hw_error *err);

static hw_status
run(hw_db *db, begin_fn begin, hw_txn_fn body, void *arg, hw_error *err)
{
    uint64_t last_us = hwi_clock_us() + RUN_US_MAX;
    hw_status st = HW_OK;

    for (uint32_t attempt = 0; attempt < RUN_ATTEMPTS_MAX; attempt++) {
        hw_txn *txn;
        if (attempt > 0) hwi_store_back_off(attempt - 1);
        HWI_TRY(begin(db, &txn, err));
        st = body(txn, arg, err);
        if (st == HW_OK)
            st = hw_txn_commit(txn, err);
        else
            hw_txn_abort(txn);
        if (st != HW_ECONFLICT || hwi_clock_us() > last_us) break;
    }
    return st;
}

hw_status
hw_db_run(hw_db *db, hw_txn_fn body, void *arg, hw_error *err)
{
    return run(db, hw_txn_begin, body, arg, err);
}

/* ---- Operations ---- */

static hw_status
index_of(void *arg, const hwi_field *field, hwi_index **out, hw_error *err)
{
    return hwi_views_index(((hwi_shared *)arg)->views, field, out, err);
}

/* Keeps a reference to the collection until the transaction ends. */
static hw_status
touch(hw_txn *txn, hwi_shared *shared, hw_error *err)
{
    for (touched *t = txn->touched; t; t = t->next) {
        if (t->shared == shared) return HW_OK;
    }
    touched *t = hwi_alloc(sizeof *t);
    if (!t) return hwi_nomem(err, sizeof *t);
    hw_status st = hwi_shared_take(txn->db, shared->coll, shared->name, &t->shared, err);
    if (st != HW_OK) {
        hwi_free(t);
        return st;
    }
    t->next = txn->touched;
    txn->touched = t;
    return HW_OK;
}

hw_status
hwi_txn_target(hw_txn *txn, hw_collection *c, hwi_target **out, hw_error *err)
{
    *out = NULL;
    if (!txn) return hwi_fail(err, HW_EINVAL, "transaction is NULL");
    if (!c) return hwi_fail(err, HW_EINVAL, "collection is NULL");
    if (c->db != txn->db) {
        return hwi_fail(err, HW_EINVAL, "collection `%s` is of another database", c->shared->name);
    }
    HWI_TRY(hwi_writer_wake(txn->writer, err));
    HWI_TRY(touch(txn, c->shared, err));
    return hwi_writer_target(txn->writer, c->shared->coll, c->shared->name, index_of, c->shared,
                             out, err);
}

static hw_status
check_array(const void *array, size_t count, const char *what, hw_error *err)
{
    if (array || count == 0) return HW_OK;
    return hwi_fail(err, HW_EINVAL, "%s is NULL, count is %zu", what, count);
}

void
hw_txn_expect(hw_txn *txn, hw_collection *c, const hw_id *ids, size_t count)
{
    hwi_target *t;

    if (!txn || txn->far || !c || !ids) return;
    hw_status st = hwi_txn_target(txn, c, &t, NULL);
    if (st == HW_OK) hwi_target_want_ids(t, ids, count);
    st = hwi_txn_leave(txn, st); /* a failure is met again by the operation itself */
    (void)st;
}

hw_status
hw_txn_upsert(hw_txn *txn, hw_collection *c, const hw_id *id, const hw_vector *vectors,
              size_t vector_count, const char *payload, size_t payload_bytes, hw_error *err)
{
    hwi_target *t;
    hw_status st;
    if (is_far(txn, c, &st, err))
        return st == HW_OK ? hwi_far_upsert(txn->far, c->far, id, vectors, vector_count, payload,
                                            payload_bytes, err)
                           : st;
    HWI_TRY(check_array(vectors, vector_count, "vectors", err));
    st = hwi_txn_target(txn, c, &t, err);
    if (st == HW_OK)
        st = hwi_target_upsert(t, id, vectors, vector_count, payload, payload_bytes, err);
    return hwi_txn_leave(txn, st);
}

hw_status
hw_txn_update_vectors(hw_txn *txn, hw_collection *c, const hw_id *id, const hw_vector *vectors,
                      size_t vector_count, hw_error *err)
{
    hwi_target *t;
    hw_status st;
    if (is_far(txn, c, &st, err))
        return st == HW_OK
                   ? hwi_far_update_vectors(txn->far, c->far, id, vectors, vector_count, err)
                   : st;
    HWI_TRY(check_array(vectors, vector_count, "vectors", err));
    st = hwi_txn_target(txn, c, &t, err);
    if (st == HW_OK) st = hwi_target_update_vectors(t, id, vectors, vector_count, err);
    return hwi_txn_leave(txn, st);
}

hw_status
hw_txn_delete_vectors(hw_txn *txn, hw_collection *c, const hw_id *id, const char *const *names,
                      size_t name_count, hw_error *err)
{
    hwi_target *t;
    hw_status st;
    if (is_far(txn, c, &st, err))
        return st == HW_OK ? hwi_far_delete_vectors(txn->far, c->far, id, names, name_count, err)
                           : st;
    HWI_TRY(check_array(names, name_count, "names", err));
    st = hwi_txn_target(txn, c, &t, err);
    if (st == HW_OK) st = hwi_target_delete_vectors(t, id, names, name_count, err);
    return hwi_txn_leave(txn, st);
}

hw_status
hw_txn_update_payload(hw_txn *txn, hw_collection *c, const hw_id *id, hw_payload_op op,
                      const char *at, const char *json, size_t json_bytes, hw_error *err)
{
    hwi_target *t;
    hw_status st;
    if (is_far(txn, c, &st, err))
        return st == HW_OK
                   ? hwi_far_update_payload(txn->far, c->far, id, op, at, json, json_bytes, err)
                   : st;
    st = hwi_txn_target(txn, c, &t, err);
    if (st == HW_OK) st = hwi_target_update_payload(t, id, op, at, json, json_bytes, err);
    return hwi_txn_leave(txn, st);
}

hw_status
hw_txn_delete(hw_txn *txn, hw_collection *c, const hw_id *id, bool *existed, hw_error *err)
{
    hwi_target *t;
    hw_status st;
    if (is_far(txn, c, &st, err))
        return st == HW_OK ? hwi_far_delete(txn->far, c->far, id, existed, err) : st;
    st = hwi_txn_target(txn, c, &t, err);
    if (st == HW_OK) st = hwi_target_delete(t, id, existed, err);
    return hwi_txn_leave(txn, st);
}

/* ---- One-call transactions ---- */

static hw_status
upsert_rows(hw_txn *txn, hw_collection *c, const hw_id *ids, const float *vectors, size_t count,
            const char *const *payloads, hw_error *err)
{
    uint32_t dim = hw_collection_dim(c, NULL);
    hw_txn_expect(txn, c, ids, count);
    for (size_t i = 0; i < count; i++) {
        hw_vector v = {.values = vectors ? vectors + i * dim : NULL, .dim = dim};
        const char *payload = payloads ? payloads[i] : NULL;
        hw_status st = hw_txn_upsert(txn, c, &ids[i], &v, vectors ? 1 : 0, payload,
                                     payload ? strlen(payload) : 0, err);
        if (st != HW_OK) return hwi_fail_prefix(err, st, "row %zu", i);
    }
    return HW_OK;
}

typedef struct upsert {
    hw_collection *c;
    const hw_id *ids;
    const float *vectors;
    size_t count;
    const char *const *payloads;
} upsert;

static hw_status
upsert_body(hw_txn *txn, void *arg, hw_error *err)
{
    const upsert *u = arg;
    return upsert_rows(txn, u->c, u->ids, u->vectors, u->count, u->payloads, err);
}

hw_status
hw_collection_upsert(hw_collection *c, const hw_id *ids, const float *vectors, size_t count,
                     const char *const *payloads, hw_error *err)
{
    upsert u = {.c = c, .ids = ids, .vectors = vectors, .count = count, .payloads = payloads};
    HWI_TRY(check_array(ids, count, "ids", err));
    return run(c->db, txn_begin, upsert_body, &u, err);
}

static hw_status
delete_rows(hw_txn *txn, hw_collection *c, const hw_id *ids, size_t count, uint64_t *deleted,
            hw_error *err)
{
    for (size_t i = 0; i < count; i++) {
        bool existed;
        hw_status st = hw_txn_delete(txn, c, &ids[i], &existed, err);
        if (st != HW_OK) return hwi_fail_prefix(err, st, "row %zu", i);
        *deleted += existed;
    }
    return HW_OK;
}

typedef struct deletion {
    hw_collection *c;
    const hw_id *ids;
    size_t count;
    uint64_t deleted;
} deletion;

static hw_status
delete_body(hw_txn *txn, void *arg, hw_error *err)
{
    deletion *d = arg;
    d->deleted = 0;
    return delete_rows(txn, d->c, d->ids, d->count, &d->deleted, err);
}

hw_status
hw_collection_delete(hw_collection *c, const hw_id *ids, size_t count, uint64_t *deleted,
                     hw_error *err)
{
    deletion d = {.c = c, .ids = ids, .count = count};
    if (deleted) *deleted = 0;
    HWI_TRY(check_array(ids, count, "ids", err));
    HWI_TRY(run(c->db, txn_begin, delete_body, &d, err));
    if (deleted) *deleted = d.deleted;
    return HW_OK;
}
