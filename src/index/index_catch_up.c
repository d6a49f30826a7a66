/* index_catch_up.c - what was written while a generation was being built reaches it.
 *
 *     writers   upsert, delete ...    note each slot they touch: `job, c, v, slot`
 *     build     -- snapshot ---- train, partition, write, calibrate ---> | rounds | switch
 *                                                                     notes go, some at a time
 *
 * A round takes some notes, makes the new generation say of their slots what the vectors say now, and
 * removes them. It reads notes without minding new ones, as it does not have to see all; but it depends
 * on the vectors it read, so a writer that touches one of its slots meanwhile makes it begin again,
 * and one that does so afterwards notes the slot again.
 *
 * Meanwhile leaves hold slots whose vector is gone, and whose turn has not come: when a split or a merge
 * moves those, a zero vector stands in.
 *
 * Rounds end when few notes are left: those go into the transaction that switches, which does depend on
 * there being no others. So that one stays small however long the build took.
 *
 * Writers that never pause may note more between two rounds than a round takes. Where one writes at a
 * time, what comes between does not grow with the round: so the next takes twice as many as came.
 */
#include "index/index_build.h"
#include "index/job.h"
#include "index/lsh/page.h"

#define AT_ONCE 8192u
#define BYTES_AT_ONCE                                                                              \
    (4u << 20) /* of leaves that are written again, where transactions are limited */

typedef struct notes {
    uint32_t *slots; /* room for most */
    uint32_t count, most;
    size_t prefix_bytes;
    hw_status status;
} notes;

static bool
take_note(void *arg, hw_bytes key, hw_bytes value)
{
    notes *n = arg;
    hwi_key_reader r = {(const uint8_t *)key.data + n->prefix_bytes,
                        (const uint8_t *)key.data + key.size};

    (void)value;
    if (r.at == r.end) return true; /* the job record itself */
    n->status = hwi_key_read_u32(&r, &n->slots[n->count], NULL);
    if (n->status == HW_OK) n->count++;
    return n->status == HW_OK && n->count < n->most;
}

typedef hw_status scan_fn(hw_store_txn *t, hw_bytes from, hw_bytes to, bool reverse, hw_scan_fn fn,
                          void *arg, hw_error *err);

/* The first n->most noted slots; the caller frees n->slots. */
static hw_status
read_notes(const hwi_build *b, hw_store_txn *txn, scan_fn *scan, notes *n, hw_error *err)
{
    hwi_key key;
    size_t bytes = hwi_size_mul(b->at_once, sizeof *n->slots);

    *n = (notes){.slots = hwi_alloc(bytes), .most = b->at_once};
    if (!n->slots) return hwi_nomem(err, bytes);
    hwi_job_key(&key, b->ix->coll, b->ix->field.number);
    hwi_key end = hwi_key_range_end(&key);
    n->prefix_bytes = key.size;
    HWI_TRY(scan(txn, hwi_key_view(&key), hwi_key_view(&end), false, take_note, n, err));
    return n->status == HW_OK ? HW_OK
                              : hwi_fail(err, n->status, "a noted slot of a build does not decode");
}

/* Makes the new generation say of one slot what its vector says now. */
static hw_status
catch_up_slot(hwi_index_writer *w, uint32_t slot, hw_error *err)
{
    const uint8_t *row;
    uint32_t node;

    HWI_TRY(hwi_loc_get(w->locs, slot, &node, err));
    if (node != HWI_NODE_NONE) HWI_TRY(hwi_writer_take_out(w, slot, node, err));
    HWI_TRY(hwi_page_cache_read(w->vecs, slot, &row, err));
    if (!row || hwi_vec_inv_norm(row, w->ix->field.dim) == 0) return HW_OK;
    return hwi_writer_put_in(w, slot, err);
}

static hw_status
catch_up_slots(const hwi_build *b, hw_store_txn *txn, const notes *n, hwi_index_state *state,
               hw_error *err)
{
    hwi_page_cache *vecs = NULL;
    hwi_index_writer *w = NULL;

    if (n->count == 0) return HW_OK;
    hw_status st = hwi_vec_cache_new(txn, b->ix->coll, &b->ix->field, &vecs, err);
    if (st == HW_OK) st = hwi_writer_open(b->ix, txn, vecs, state, &w, err);
    if (st == HW_OK) w->catching_up = true;
    for (uint32_t i = 0; st == HW_OK && i < n->count; i++) st = catch_up_slot(w, n->slots[i], err);
    if (st == HW_OK) st = hwi_writer_flush(w, err);
    if (st == HW_OK) *state = w->state;
    hwi_index_writer_free(w);
    hwi_page_cache_free(vecs);
    return st;
}

/* ---- rounds ---- */

typedef struct catch_round {
    hwi_build *b;
    hwi_index_state state; /* after it */
    uint64_t changes;      /* of the index, all told */
    uint32_t taken;
} catch_round;

/* Where transactions are limited, as many as rewrite two leaves each within it. */
static uint32_t
slots_at_first(const hwi_build *b)
{
    const hwi_model *m = b->model;
    size_t leaf = (size_t)m->leaf_size * (hwi_leaf_row_bytes(m) + hwi_leaf_block_bytes(m) / 16);

    if (!hwi_store_is_contested(b->store)) return AT_ONCE;
    return (uint32_t)HWI_MIN(HWI_MAX(BYTES_AT_ONCE / (2 * leaf), 1u), AT_ONCE);
}

/* Twice what came since the round before, from one number of changes to the next; it begins anew when
 * the index is calibrated. */
static uint32_t
slots_next(const hwi_build *b, uint64_t changes)
{
    uint64_t came = changes > b->changes ? changes - b->changes : 0;

    return (uint32_t)HWI_MIN(HWI_MAX(2 * came, b->at_once), UINT32_MAX);
}

static hw_status
remove_notes(const hwi_build *b, hw_store_txn *txn, const notes *n, hw_error *err)
{
    for (uint32_t i = 0; i < n->count; i++) {
        hwi_key key;
        hwi_job_key(&key, b->ix->coll, b->ix->field.number);
        hwi_key_uint(&key, n->slots[i]);
        HWI_TRY(hwi_store_del(txn, hwi_key_view(&key), err));
    }
    return HW_OK;
}

static hw_status
round_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    catch_round *r = arg;
    const hwi_build *b = r->b;
    uint32_t coll = b->ix->coll, field = b->ix->field.number;
    hwi_index_state now = {0};
    notes n;

    HWI_TRY(hwi_job_check(txn, coll, field, b->state.generation, err));
    if (!hwi_store_is_contested(b->store)) HWI_TRY(hwi_state_get(txn, coll, field, &now, err));
    r->changes = now.changes;
    hw_status st = read_notes(b, txn, hwi_store_peek_scan, &n, err);
    r->state = b->state;
    r->taken = n.count;
    if (st == HW_OK) st = catch_up_slots(b, txn, &n, &r->state, err);
    if (st == HW_OK) st = remove_notes(b, txn, &n, err);
    hwi_free(n.slots);
    return st;
}

hw_status
hwi_catch_up(hwi_build *b, hw_error *err)
{
    catch_round r = {.b = b};
    uint64_t done = 0;
    bool is_full = true;

    if (b->at_once == 0) b->at_once = slots_at_first(b);
    while (is_full) {
        HWI_TRY(hwi_progress_step(b->progress, "catch up", done, done + b->at_once, err));
        HWI_TRY(hwi_build_beat(b, err));
        HWI_TRY(hwi_store_run(b->store, round_body, &r, err));
        is_full = r.taken == b->at_once;
        b->state = r.state;
        if (b->changes) b->at_once = slots_next(b, r.changes);
        b->changes = r.changes;
        done += r.taken;
    }
    return HW_OK;
}

/* ---- the rest ---- */

hw_status
hwi_catch_up_rest(const hwi_build *b, hw_store_txn *txn, hwi_index_state *state, bool *all,
                  hw_error *err)
{
    notes n;

    hw_status st = read_notes(b, txn, hwi_store_scan, &n, err);
    *all = st == HW_OK && n.count < n.most;
    if (*all) st = catch_up_slots(b, txn, &n, state, err);
    hwi_free(n.slots);
    return st;
}
