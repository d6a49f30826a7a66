/* index_build.c - building a generation: everything new is written beside the old, then one
 * transaction switches.
 *
 *     begin      note the job (`job, c, v`); writers now note slots they touch (`job, c, v, slot`)
 *     read       one snapshot: which slots have the vector, a sample of them
 *     train      mean, axes, signs                                    lsh/lsh_train.c
 *     partition  KD-tree and Lloyd over all vectors on the axes       tree/tree_build.c
 *     write      leaves, tree, locations, model: many transactions    index_build_write.c
 *     calibrate  on what was written                                  index_calibrate.c
 *     catch up   bring the noted slots up to date: many transactions  index_catch_up.c
 *     switch     the last noted slots, and point the state at it: one transaction
 *     clean      remove the old generation and the job
 *
 * A crash leaves the job record: the next build (or maintenance) reads from it which generation is
 * unfinished or outdated and removes that first. A job whose process is alive is left alone:
 * HW_EBUSY. Within this process `hwi_index.busy` says whether the job is somebody's.
 */
#include "index/index_build.h"

#include "index/index_calibrate.h"
#include "index/job.h"
#include "index/lsh/lsh_axes.h"

#define SAMPLE_MOST 50000u
#define SAMPLE_WIDE (1u << 25) /* of vectors with many dimensions: components in all, */
#define SAMPLE_LEAST 2048u     /* and vectors at least */
#define DRIFT_LEAST 1000u      /* changes below this never ask for a new calibration */

/* ---- removing a generation ---- */

static hw_status
drop_some(const hwi_index *ix, hw_store_txn *txn, uint32_t generation, bool *more, hw_error *err)
{
    static const hwi_sub subs[] = {HWI_SUB_LEAF, HWI_SUB_TREE, HWI_SUB_LOC, HWI_SUB_MODEL,
                                   HWI_SUB_CAL};

    *more = false;
    for (size_t i = 0; i < HWI_COUNT(subs) && !*more; i++) {
        hwi_key prefix;
        hwi_generation_key(&prefix, subs[i], ix->coll, ix->field.number, generation);
        HWI_TRY(hwi_store_del_some(txn, &prefix, more, err));
    }
    return HW_OK;
}

typedef struct cleaning {
    const hwi_index *ix;
    uint32_t generation; /* 0: none */
    bool more;
} cleaning;

static hw_status
clean_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    cleaning *c = arg;
    const hwi_index *ix = c->ix;
    hwi_job job;
    hwi_key key;

    c->more = false;
    HWI_TRY(hwi_job_get(txn, ix->coll, ix->field.number, &job, err));
    if (job.phase == HWI_NO_JOB || job.generation != c->generation)
        return HW_OK; /* others did it */
    if (c->generation) HWI_TRY(drop_some(ix, txn, c->generation, &c->more, err));
    hwi_job_key(&key, ix->coll, ix->field.number);
    return c->more ? HW_OK : hwi_store_del_prefix(txn, &key, err);
}

/* Ends a job: its generation goes, bit by bit, then the noted slots and the record itself. */
static hw_status
clean(const hwi_index *ix, hw_store *store, uint32_t generation, hw_error *err)
{
    cleaning c = {ix, generation, true};

    while (c.more) HWI_TRY(hwi_store_run(store, clean_body, &c, err));
    return HW_OK;
}

/* Finishes what a build before us left behind. */
static hw_status
recover(const hwi_index *ix, hw_store *store, hw_error *err)
{
    hw_store_txn *txn;
    hwi_job j;

    HWI_TRY(hwi_store_begin(store, HW_TXN_READ, &txn, err));
    hw_status st = hwi_job_get(txn, ix->coll, ix->field.number, &j, err);
    hwi_store_abort(txn);
    if (st != HW_OK || j.phase == HWI_NO_JOB) return st;
    if (hwi_job_is_alive(&j))
        return hwi_fail(err, HW_EBUSY, "process %llu is building this index",
                        (unsigned long long)j.process);
    return clean(ix, store, j.generation, err);
}

typedef struct beginning {
    const hwi_index *ix;
    uint32_t generation;
} beginning;

/* Notes the job and takes a generation number. */
static hw_status
begin_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    beginning *b = arg;
    const hwi_index *ix = b->ix;
    hwi_index_state state;
    hwi_job j;

    HWI_TRY(hwi_state_get(txn, ix->coll, ix->field.number, &state, err));
    HWI_TRY(hwi_job_get(txn, ix->coll, ix->field.number, &j, err));
    if (j.phase != HWI_NO_JOB)
        return hwi_fail(err, HW_EBUSY, "another build of this index has just begun");
    b->generation = state.next_generation++;
    HWI_TRY(hwi_state_put(txn, ix->coll, ix->field.number, &state, err));
    return hwi_job_put(txn, ix->coll, ix->field.number, HWI_BUILDING, b->generation, err);
}

hw_status
hwi_build_beat(hwi_build *b, hw_error *err)
{
    return hwi_job_beat(b->store, b->ix->coll, b->ix->field.number, b->model->generation,
                        &b->last_beat_us, err);
}

/* ---- reading and training ---- */

void
hwi_build_release(hwi_build *b)
{
    hwi_free(b->slots);
    hwi_free(b->y);
    hwi_free(b->hashes);
    hwi_partition_release(&b->partition);
    hwi_model_unref(b->model);
    hwi_page_table_free(b->vecs);
    hwi_page_table_free(b->slot_table);
    hwi_store_abort(b->snapshot);
}

static hw_status
open_snapshot(hwi_build *b, hw_error *err)
{
    hwi_counts counts;

    hwi_page_table_free(b->vecs);
    hwi_page_table_free(b->slot_table);
    hwi_store_abort(b->snapshot);
    b->vecs = b->slot_table = NULL, b->snapshot = NULL;
    HWI_TRY(hwi_store_begin(b->store, HW_TXN_LOOSE, &b->snapshot, err));
    HWI_TRY(hwi_counts_get(b->snapshot, b->ix->coll, &counts, err));
    b->slots_below = counts.slots_below;
    HWI_TRY(
        hwi_vec_table_new(b->snapshot, b->ix->coll, &b->ix->field, b->slots_below, &b->vecs, err));
    return hwi_slot_table_new(b->snapshot, b->ix->coll, b->slots_below, &b->slot_table, err);
}

/* Lists the slots that have the vector. */
static hw_status
list_slots(hwi_build *b, hw_error *err)
{
    const hwi_space *space = &b->ix->space;

    b->slots = hwi_alloc((size_t)b->slots_below * sizeof *b->slots);
    if (!b->slots) return hwi_nomem(err, (size_t)b->slots_below * sizeof *b->slots);
    for (uint32_t slot = 0; slot < b->slots_below; slot++) {
        const uint8_t *row;
        if (slot % 65536 == 0)
            HWI_TRY(hwi_progress_step(b->progress, "read", slot, b->slots_below, err));
        HWI_TRY(hwi_space_row(space, b->vecs, slot, &row, err));
        if (row && hwi_vec_inv_norm(row, space->dim) != 0) b->slots[b->count++] = slot;
    }
    return HW_OK;
}

/* Vectors to train on; wide ones are few, as only their leading axes are sought (lsh/lsh_axes.h). */
static uint32_t
sample_most(uint32_t dim)
{
    if (dim > HWI_AXES_DIM) return HWI_MAX(SAMPLE_WIDE / dim, SAMPLE_LEAST);
    return HWI_MIN(HWI_MAX(20 * dim, 10000u), SAMPLE_MOST);
}

static hw_status
train(hwi_build *b, uint32_t generation, hw_error *err)
{
    const hwi_space *space = &b->ix->space;
    const hwi_field *field = &b->ix->field;
    uint32_t n = HWI_MIN(b->count, sample_most(field->dim));
    float *rows = hwi_alloc_aligned(hwi_size_mul(n, field->dim * sizeof *rows));
    float *inv = hwi_alloc(n * sizeof *inv);
    hwi_model_plan plan = {generation, field->bits, field->leaf_size, field->seed};
    hw_status st = HW_OK;

    if (!rows || !inv) st = hwi_nomem(err, hwi_size_mul(n, field->dim * sizeof *rows));
    for (uint32_t i = 0; st == HW_OK && i < n; i++) {
        const uint8_t *row;
        uint32_t slot = b->slots[(uint64_t)i * b->count / n];
        st = hwi_space_row(space, b->vecs, slot, &row, err);
        if (st != HW_OK) break;
        memcpy(rows + (size_t)i * field->dim, row, field->dim * sizeof *rows);
        inv[i] = hwi_vec_inv_norm(row, field->dim);
    }
    if (st == HW_OK) st = hwi_progress_step(b->progress, "train", 0, 1, err);
    if (st == HW_OK) st = hwi_model_train(field, &plan, rows, inv, n, b->count, &b->model, err);
    hwi_free(rows);
    hwi_free(inv);
    return st;
}

/* Rows of some slots, framed; x has room for them. */
hw_status
hwi_build_frame(const hwi_build *b, const uint32_t *slots, size_t count, float *x, hw_error *err)
{
    const hwi_space *space = &b->ix->space;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *row;
        HWI_TRY(hwi_space_row(space, b->vecs, slots[i], &row, err));
        if (row)
            hwi_model_frame(b->model, hwi_vec_row(row), hwi_vec_inv_norm(row, space->dim),
                            x + i * space->dim);
        else /* deleted meanwhile, and noted: it is taken out before the switch */
            memset(x + i * space->dim, 0, space->dim * sizeof *x);
    }
    return HW_OK;
}

#define PROJECT_ROWS 512u

typedef struct projection {
    hwi_build *b;
    atomic_int status;
} projection;

static void
project_some(void *arg, size_t chunk)
{
    projection *p = arg;
    const hwi_build *b = p->b;
    size_t first = chunk * PROJECT_ROWS, rows = HWI_MIN(b->count - first, (size_t)PROJECT_ROWS);
    float *x = hwi_alloc_aligned(hwi_size_mul(rows, b->model->dim * sizeof *x));
    hw_status st = x ? hwi_build_frame(b, b->slots + first, rows, x, NULL) : HW_ENOMEM;

    if (st == HW_OK) hwi_model_axes_many(b->model, x, rows, b->y + first * b->model->dc);
    if (st != HW_OK) atomic_store(&p->status, (int)st);
    hwi_free(x);
}

static hw_status
project(hwi_build *b, hw_error *err)
{
    size_t bytes = hwi_size_mul(b->count, b->model->dc * sizeof *b->y);
    projection p = {.b = b};

    b->y = hwi_alloc_aligned(bytes);
    if (!b->y) return hwi_nomem(err, bytes);
    HWI_TRY(hwi_progress_step(b->progress, "rotate", 0, 1, err));
    hwi_parallel_for(b->threads, (b->count + PROJECT_ROWS - 1) / PROJECT_ROWS, project_some, &p);
    int st = atomic_load(&p.status);
    return st == HW_OK ? HW_OK : hwi_fail(err, (hw_status)st, "rotating vectors for the build");
}

static hw_status
partition(hwi_build *b, hw_error *err)
{
    const hwi_model *m = b->model;
    uint32_t most = HWI_MIN(hwi_leaf_rows_max(m), 2 * m->leaf_size);
    hwi_partition_plan plan = {.leaf_size = m->leaf_size,
                               .most_rows = most,
                               .sampled =
                                   m->metric != HWI_L1, /* means are not what l1 is nearest to */
                               .spherical = m->metric == HWI_COSINE,
                               .threads = b->threads,
                               .seed = m->seed};

    if (m->kind == HWI_LSH) return hwi_build_buckets(b, err);
    return hwi_partition_make(b->y, b->count, m->dc, &plan, b->progress, &b->partition, err);
}

/* ---- switching ---- */

typedef struct switching {
    hwi_build *b;
    uint32_t calibration, outdated;
    bool is_done;
} switching;

/* In one transaction: the last of the changed slots, the new generation's state, and the job turned
 * to cleaning the old one. */
static hw_status
switch_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    switching *s = arg;
    hwi_build *b = s->b;
    hwi_index_state now, next = b->state;
    uint32_t coll = b->ix->coll, field = b->ix->field.number;

    HWI_TRY(hwi_job_check(txn, coll, field, next.generation, err));
    HWI_TRY(hwi_catch_up_rest(b, txn, &next, &s->is_done, err));
    if (!s->is_done) return HW_OK;
    HWI_TRY(hwi_state_get(txn, coll, field, &now, err));
    next.next_generation = now.next_generation;
    next.vectors = now.vectors, next.vectors_since = now.vectors_since;
    next.changes_since = now.changes_since;
    next.calibration = s->calibration;
    s->outdated = now.generation;
    HWI_TRY(hwi_state_put(txn, coll, field, &next, err));
    return hwi_job_put(txn, coll, field, HWI_CLEANING, s->outdated, err);
}

static hw_status
switch_over(hwi_build *b, uint32_t calibration, uint32_t *outdated, hw_error *err)
{
    switching s = {b, calibration, 0, false};

    while (!s.is_done) {
        HWI_TRY(hwi_catch_up(b, err));
        HWI_TRY(hwi_store_run(b->store, switch_body, &s, err));
    }
    *outdated = s.outdated;
    return HW_OK;
}

/* ---- calibration ---- */

static hw_status
put_calibration(const hwi_index *ix, hw_store_txn *txn, uint32_t generation,
                const hwi_calibration *c, hw_error *err)
{
    hwi_buf b = {0};
    hwi_key key;

    hwi_calibration_encode(c, &b);
    hwi_key_cal(&key, ix->coll, ix->field.number, generation);
    hw_status st = b.failed ? hwi_nomem(err, b.size)
                            : hwi_blob_put(txn, hwi_key_view(&key), hwi_buf_bytes(&b), err);
    hwi_buf_release(&b);
    return st;
}

/* Measures on the snapshot with this state. */
static hw_status
measure(hwi_build *b, const hwi_index_state *state, hwi_calibration **out, hw_error *err)
{
    hwi_index_view *v;

    *out = NULL;
    HWI_TRY(hwi_index_view_of(b->ix, b->snapshot, b->vecs, b->slot_table, b->slots_below, state, &v,
                              err));
    hw_status st = hwi_calibrate(v, b->threads, b->progress, out, err);
    if (st == HW_OK) hwi_index_note(b->ix, calibrations);
    hwi_index_view_free(v);
    return st;
}

typedef struct store_calibration {
    const hwi_index *ix;
    const hwi_calibration *calibration;
    uint32_t generation;
} store_calibration;

/* For a generation that is not in use yet. */
static hw_status
first_calibration_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    const store_calibration *s = arg;

    return put_calibration(s->ix, txn, s->generation, s->calibration, err);
}

static hw_status
store_calibration_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    const store_calibration *s = arg;
    hwi_index_state state;
    uint32_t coll = s->ix->coll, field = s->ix->field.number;

    HWI_TRY(hwi_state_get(txn, coll, field, &state, err));
    if (state.generation != s->generation) return HW_OK; /* a build was faster and has its own */
    state.calibration++;
    state.changes = 0;
    HWI_TRY(put_calibration(s->ix, txn, s->generation, s->calibration, err));
    return hwi_state_put(txn, coll, field, &state, err);
}

static hw_status
recalibrate(hwi_build *b, hw_error *err)
{
    hwi_index_state state;
    hwi_calibration *c = NULL;

    HWI_TRY(open_snapshot(b, err));
    HWI_TRY(hwi_state_get(b->snapshot, b->ix->coll, b->ix->field.number, &state, err));
    if (state.generation == 0) return HW_OK;
    hw_status st = measure(b, &state, &c, err);
    store_calibration s = {b->ix, c, state.generation};
    if (st == HW_OK) st = hwi_store_run(b->store, store_calibration_body, &s, err);
    hwi_calibration_unref(c);
    return st;
}

/* ---- the public functions ---- */

/* Of no vectors there is nothing to build. */
static hw_status
build_generation(hwi_build *b, uint32_t generation, uint32_t *outdated, hw_error *err)
{
    hwi_calibration *c = NULL;

    HWI_TRY(open_snapshot(b, err));
    HWI_TRY(list_slots(b, err));
    if (b->count == 0) return HW_OK;
    HWI_TRY(train(b, generation, err));
    HWI_TRY(project(b, err));
    HWI_TRY(hwi_build_beat(b, err));
    HWI_TRY(partition(b, err));
    HWI_TRY(hwi_build_beat(b, err));
    HWI_TRY(hwi_build_write(b, err));
    HWI_TRY(open_snapshot(b, err)); /* one that sees what was written */
    hwi_index_state state = b->state;
    HWI_TRY(measure(b, &state, &c, err));
    store_calibration s = {b->ix, c, generation};
    hw_status st = hwi_store_run(b->store, first_calibration_body, &s, err);
    hwi_calibration_unref(c);
    return st == HW_OK ? switch_over(b, generation, outdated, err) : st;
}

static hw_status
build(hwi_index *ix, hw_store *store, uint32_t threads, hwi_progress *progress, hw_error *err)
{
    hwi_build b = {.ix = ix, .store = store, .threads = threads, .progress = progress};
    uint32_t outdated = 0;

    if (ix->field.kind == HWI_FLAT) return HW_OK;
    HWI_TRY(recover(ix, store, err));
    beginning begun = {ix, 0};
    HWI_TRY(hwi_store_run(store, begin_body, &begun, err));
    uint32_t generation = begun.generation;
    hw_status st = build_generation(&b, generation, &outdated, err);
    bool is_built = st == HW_OK && b.count > 0;
    hwi_build_release(&b);
    if (!is_built) {
        (void)!clean(ix, store, generation, NULL); /* what is left, the next build removes */
        return st;
    }
    hwi_index_note(ix, builds);
    HWI_TRY(clean(ix, store, outdated, err));
    return hwi_progress_step(progress, "build", 1, 1, err);
}

hw_status
hwi_index_build(hwi_index *ix, hw_store *store, uint32_t threads, hwi_progress *progress,
                hw_error *err)
{
    if (atomic_exchange(&ix->busy, true))
        return hwi_fail(err, HW_EBUSY, "another thread is building this index");
    hw_status st = build(ix, store, threads, progress, err);
    atomic_store(&ix->busy, false);
    return st;
}

static hw_status
maintain(hwi_index *ix, hw_store *store, uint32_t threads, hw_error *err)
{
    hw_store_txn *txn;
    hwi_index_state state;

    HWI_TRY(hwi_store_begin(store, HW_TXN_READ, &txn, err));
    hw_status st = hwi_state_get(txn, ix->coll, ix->field.number, &state, err);
    hwi_store_abort(txn);
    HWI_TRY(st);
    if (state.generation == 0) {
        if (state.vectors < ix->field.flat_below || state.vectors == 0) return HW_OK;
        return build(ix, store, threads, NULL, err);
    }
    if (state.changes < DRIFT_LEAST || state.changes < state.vectors / 3) return HW_OK;
    hwi_build b = {.ix = ix, .store = store, .threads = threads};
    st = recalibrate(&b, err);
    hwi_build_release(&b);
    return st;
}

hw_status
hwi_index_maintain(hwi_index *ix, hw_store *store, uint32_t threads, hw_error *err)
{
    if (ix->field.kind == HWI_FLAT) return HW_OK;
    if (atomic_exchange(&ix->busy, true)) return HW_OK; /* whoever is at it looks after this too */
    hw_status st = maintain(ix, store, threads, err);
    atomic_store(&ix->busy, false);
    return st;
}
