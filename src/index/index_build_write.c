/* index_build_write.c - a planned partition becomes pages and nodes in the store.
 *
 * Leaves are encoded a batch at a time, on all threads, and written in ascending order of their
 * node number, a transaction a batch. Node numbers: the tree's nodes are numbered as the plan is
 * walked from the root; regions without rows vanish, and an inner region with one child left is
 * that child.
 */
#include <math.h>
#include <stdlib.h>

#include "index/index_build.h"
#include "index/lsh/lsh_probe.h"

#define LOCS_AT_ONCE 200000u /* 4 bytes each: well below txn_bytes_soft */

#define BOUND_SLACK 1.0001f

/* One leaf on its way to the store. */
typedef struct leaf_job {
    uint32_t leaf, node, first, count; /* rows: order[first .. first + count) */
    hwi_leaf_edit *edit;
    hwi_bounds bounds;
    double error; /* sum of the signatures' errors */
} leaf_job;

typedef struct writing {
    hwi_build *b;
    uint32_t *order;   /* rows of y and slots, grouped by leaf */
    uint32_t *first;   /* leaf_count + 1 */
    uint32_t *node_of; /* leaf to node number; HWI_NODE_NONE: no rows */
    hwi_tree *tree;
    double error;
    atomic_int status;
    hwi_leaf_edits *edits;
    leaf_job *jobs;
} writing;

/* ---- kind lsh: the partition is the hash ---- */

static int
by_hash(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

hw_status
hwi_build_buckets(hwi_build *b, hw_error *err)
{
    const hwi_model *m = b->model;
    hwi_partition *p = &b->partition;
    uint32_t most = hwi_leaf_split_at(m), in_leaf = 0, last = 0;
    uint64_t *keyed = hwi_alloc(b->count * sizeof *keyed); /* hash << 32 | row */
    float *z = hwi_alloc_aligned(m->bits * sizeof *z);

    *p = (hwi_partition){.dc = m->dc};
    p->leaf_of = hwi_alloc(b->count * sizeof *p->leaf_of);
    b->hashes = hwi_alloc(b->count * sizeof *b->hashes);
    if (!keyed || !z || !p->leaf_of || !b->hashes) {
        hwi_free(keyed);
        hwi_free(z);
        return hwi_nomem(err, b->count * sizeof *keyed);
    }
    for (uint32_t i = 0; i < b->count; i++)
        keyed[i] = (uint64_t)hwi_lsh_bucket_number(m, b->y + (size_t)i * m->dc, z) << 32 | i;
    qsort(keyed, b->count, sizeof *keyed, by_hash);
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t hash = (uint32_t)(keyed[i] >> 32);
        if (i == 0 || hash != last || in_leaf == most) {
            b->hashes[p->leaf_count++] = hash;
            in_leaf = 0, last = hash;
        }
        p->leaf_of[(uint32_t)keyed[i]] = p->leaf_count - 1;
        in_leaf++;
    }
    hwi_free(keyed);
    hwi_free(z);
    p->anchors = hwi_alloc_zero(hwi_size_mul(p->leaf_count, m->dc * sizeof *p->anchors));
    return p->anchors ? HW_OK : hwi_nomem(err, p->leaf_count * sizeof(float));
}

/* ---- grouping ---- */

static hw_status
group_rows(writing *w, hw_error *err)
{
    const hwi_build *b = w->b;
    uint32_t leaves = b->partition.leaf_count;

    w->order = hwi_alloc(b->count * sizeof *w->order);
    w->first = hwi_alloc_zero((leaves + 2) * sizeof *w->first);
    w->node_of = hwi_alloc(leaves * sizeof *w->node_of);
    if (!w->order || !w->first || !w->node_of) return hwi_nomem(err, b->count * sizeof *w->order);
    for (uint32_t i = 0; i < b->count; i++) w->first[b->partition.leaf_of[i] + 2]++;
    for (uint32_t k = 0; k < leaves; k++) w->first[k + 2] += w->first[k + 1];
    for (uint32_t i = 0; i < b->count; i++) w->order[w->first[b->partition.leaf_of[i] + 1]++] = i;
    for (uint32_t k = 0; k < leaves; k++) w->node_of[k] = HWI_NODE_NONE;
    return HW_OK;
}

static uint32_t
rows_in(const writing *w, uint32_t leaf)
{
    return w->first[leaf + 1] - w->first[leaf];
}

/* ---- numbering the nodes ---- */

typedef struct numbering {
    writing *w;
    hw_store_txn *txn;
    hwi_key prefix;
    uint32_t next;
    hw_error *err;
} numbering;

/* Whether a region holds any rows. */
static bool
has_rows(const writing *w, uint32_t region)
{
    const hwi_region *r = &w->b->partition.regions[region];

    if (r->left < 0) return r->leaf != UINT32_MAX && rows_in(w, r->leaf) > 0;
    return has_rows(w, (uint32_t)r->left) || has_rows(w, (uint32_t)r->right);
}

/* Nobody reads the generation yet, so it may be written in as many transactions as it takes. */
static hw_status
next_when_full(const hwi_build *b, hw_store_txn **txn, hw_error *err)
{
    hw_store_txn *full = *txn;

    if (!hwi_store_full(full)) return HW_OK;
    *txn = NULL;
    HWI_TRY(hwi_store_commit(full, err));
    return hwi_store_begin(b->store, HW_TXN_WRITE, txn, err);
}

/* Gives the region a node below parent, writes inner nodes at once, adds leaves to the tree. *node:
 * its number. */
static hw_status
number_region(numbering *n, uint32_t region, uint32_t parent, uint32_t *node)
{
    writing *w = n->w;
    const hwi_partition *p = &w->b->partition;
    const hwi_region *r = &p->regions[region];
    hwi_bounds bounds;

    while (r->left >= 0) { /* skip regions with one empty side */
        bool left = has_rows(w, (uint32_t)r->left), right = has_rows(w, (uint32_t)r->right);
        if (left && right) break;
        region = (uint32_t)(left ? r->left : r->right);
        r = &p->regions[region];
    }
    *node = n->next++;
    HWI_TRY(hwi_tree_reserve_nodes(w->tree, n->next, n->err));
    if (r->left < 0) {
        hwi_bounds_empty(&bounds);
        w->node_of[r->leaf] = *node;
        return hwi_tree_add_leaf(w->tree, *node, parent, p->anchors + (size_t)r->leaf * p->dc, 0,
                                 &bounds, n->err);
    }
    hwi_node inner = {parent, 0, 0, HWI_NODE_NONE, true};
    HWI_TRY(number_region(n, (uint32_t)r->left, *node, &inner.left));
    HWI_TRY(number_region(n, (uint32_t)r->right, *node, &inner.right));
    w->tree->nodes[*node] = inner;
    hwi_plane plane = {r->split, p->directions + (size_t)region * p->dc};
    HWI_TRY(hwi_tree_put_inner(n->txn, &n->prefix, p->dc, *node, &inner, &plane, n->err));
    return next_when_full(w->b, &n->txn, n->err);
}

static hw_status
number_buckets(numbering *n)
{
    writing *w = n->w;
    const hwi_partition *p = &w->b->partition;
    hwi_bounds bounds;

    hwi_bounds_empty(&bounds);
    for (uint32_t leaf = 0; leaf < p->leaf_count; leaf++) {
        w->node_of[leaf] = n->next++;
        HWI_TRY(hwi_tree_reserve_nodes(w->tree, n->next, n->err));
        HWI_TRY(hwi_tree_add_leaf(w->tree, w->node_of[leaf], HWI_NODE_NONE, p->anchors,
                                  w->b->hashes[leaf], &bounds, n->err));
    }
    return HW_OK;
}

static hw_status
number_nodes(writing *w, hw_error *err)
{
    hwi_build *b = w->b;
    numbering n = {.w = w, .err = err};
    uint32_t root;

    HWI_TRY(hwi_store_begin(b->store, HW_TXN_WRITE, &n.txn, err));
    hwi_generation_key(&n.prefix, HWI_SUB_TREE, b->ix->coll, b->ix->field.number,
                       b->model->generation);
    hw_status st =
        b->model->kind == HWI_LSH ? number_buckets(&n) : number_region(&n, 0, HWI_NODE_NONE, &root);
    if (st != HW_OK) {
        hwi_store_abort(n.txn);
        return st;
    }
    b->state.next_node = n.next;
    b->state.leaves = w->tree->leaf_count;
    return hwi_store_commit(n.txn, err);
}

/* ---- encoding ---- */

typedef struct coded_row {
    hwi_code code;
    uint32_t row; /* in the build's order */
    uint32_t at;  /* in the leaf */
} coded_row;

static int
by_signature(const void *a, const void *b)
{
    const coded_row *x = a, *y = b;
    uint32_t bx = hwi_lsh_bucket(x->code.words[0]), by = hwi_lsh_bucket(y->code.words[0]);

    if (bx != by) return bx < by ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The mean of framed rows; zero for kind lsh, whose buckets share one origin. */
static void
centre_of(const hwi_model *m, const float *x, uint32_t count, float *centre)
{
    memset(centre, 0, m->dim * sizeof *centre);
    if (m->kind == HWI_LSH) return;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < m->dim; j++) centre[j] += x[(size_t)i * m->dim + j];
    for (uint32_t j = 0; j < m->dim; j++) centre[j] /= (float)count;
}

static hw_status
encode_rows(writing *w, leaf_job *job, const float *x, coded_row *rows, uint8_t *codes,
            float *scratch)
{
    const hwi_model *m = w->b->model;
    size_t code_bytes = hwi_leaf_code_bytes(m);
    hwi_centre centre = hwi_leaf_edit_centre(job->edit);

    for (uint32_t i = 0; i < job->count; i++) {
        uint32_t row = w->order[job->first + i];
        const float *y = w->b->y + (size_t)row * m->dc;
        hwi_lsh_encode(m, &centre, x + (size_t)i * m->dim, y, scratch, &rows[i].code,
                       codes + i * code_bytes);
        rows[i].row = row, rows[i].at = i;
        float radius = sqrtf(rows[i].code.radius_sq) * BOUND_SLACK;
        hwi_bounds_grow(&job->bounds, radius, y, m->dc);
        job->error += rows[i].code.error;
    }
    job->edit->radius = job->bounds.radius;
    if (m->words) qsort(rows, job->count, sizeof *rows, by_signature);
    for (uint32_t i = 0; i < job->count; i++)
        HWI_TRY(hwi_leaf_edit_append(w->edits, job->edit, w->b->slots[rows[i].row], &rows[i].code,
                                     codes + rows[i].at * code_bytes, NULL));
    return HW_OK;
}

/* Fills a leaf's page in memory. The edit was created with a zero centre, which becomes the true
 * one here. */
static hw_status
encode_leaf(writing *w, leaf_job *job)
{
    const hwi_model *m = w->b->model;
    uint32_t n = job->count;
    uint32_t *slots = hwi_alloc(n * sizeof *slots);
    float *x = hwi_alloc_aligned(hwi_size_mul(n, m->dim * sizeof *x));
    coded_row *rows = hwi_alloc(n * sizeof *rows);
    uint8_t *codes = hwi_alloc(n * hwi_leaf_code_bytes(m));
    float *scratch = hwi_alloc_aligned(hwi_lsh_scratch_floats(m) * sizeof *scratch);
    hw_status st = slots && x && rows && codes && scratch ? HW_OK : HW_ENOMEM;

    if (st == HW_OK) {
        for (uint32_t i = 0; i < n; i++) slots[i] = w->b->slots[w->order[job->first + i]];
        st = hwi_build_frame(w->b, slots, n, x, NULL);
    }
    if (st == HW_OK) {
        centre_of(m, x, n, job->edit->centre);
        hwi_model_axes_many(m, job->edit->centre, 1, job->edit->pcentre);
        if (m->words) hwi_model_hash(m, job->edit->pcentre, job->edit->zcentre);
        st = encode_rows(w, job, x, rows, codes, scratch);
    }
    hwi_free(slots);
    hwi_free(x);
    hwi_free(rows);
    hwi_free(codes);
    hwi_free(scratch);
    return st;
}

static void
encode_job(void *arg, size_t i)
{
    writing *w = arg;
    hw_status st = encode_leaf(w, &w->jobs[i]);

    if (st != HW_OK) atomic_store(&w->status, (int)st);
}

/* ---- writing ---- */

static hw_status
write_batch(writing *w, hw_store_txn *txn, size_t count, hw_error *err)
{
    hwi_build *b = w->b;
    float *zero = hwi_alloc_zero((b->model->dim + b->model->dc) * sizeof *zero);
    hw_status st = zero ? HW_OK : hwi_nomem(err, b->model->dim * sizeof *zero);
    hwi_key prefix;

    if (st == HW_OK)
        st = hwi_leaf_edits_new(txn, b->ix->coll, b->ix->field.number, b->model, &w->edits, err);
    for (size_t i = 0; st == HW_OK && i < count; i++)
        st = hwi_leaf_edits_create(w->edits, w->jobs[i].node, zero, zero, &w->jobs[i].edit, err);
    if (st == HW_OK) {
        hwi_parallel_for(b->threads, count, encode_job, w);
        int failed = atomic_load(&w->status);
        if (failed != HW_OK) st = hwi_fail(err, (hw_status)failed, "encoding leaves");
    }
    if (st == HW_OK) st = hwi_leaf_edits_flush(w->edits, err);
    hwi_generation_key(&prefix, HWI_SUB_TREE, b->ix->coll, b->ix->field.number,
                       b->model->generation);
    for (size_t i = 0; st == HW_OK && i < count; i++) {
        leaf_job *job = &w->jobs[i];
        w->tree->bounds[w->tree->nodes[job->node].position] = job->bounds;
        w->error += job->error;
        st = hwi_tree_put_leaf(txn, &prefix, w->tree, job->node, err);
    }
    hwi_leaf_edits_free(w->edits);
    w->edits = NULL;
    hwi_free(zero);
    return st;
}

static int
by_node(const void *a, const void *b)
{
    const leaf_job *x = a, *y = b;

    return (x->node > y->node) - (x->node < y->node);
}

/* All leaves with rows, by node number. */
static hw_status
list_jobs(writing *w, leaf_job **jobs, size_t *count, hw_error *err)
{
    uint32_t leaves = w->b->partition.leaf_count;

    *count = 0;
    *jobs = hwi_alloc_zero(leaves * sizeof **jobs);
    if (!*jobs) return hwi_nomem(err, leaves * sizeof **jobs);
    for (uint32_t k = 0; k < leaves; k++) {
        if (w->node_of[k] == HWI_NODE_NONE) continue;
        leaf_job *j = &(*jobs)[(*count)++];
        *j = (leaf_job){
            .leaf = k, .node = w->node_of[k], .first = w->first[k], .count = rows_in(w, k)};
        hwi_bounds_empty(&j->bounds);
    }
    qsort(*jobs, *count, sizeof **jobs, by_node);
    return HW_OK;
}

static hw_status
write_leaves(writing *w, hw_error *err)
{
    hwi_build *b = w->b;
    size_t count, row_bytes = hwi_leaf_row_bytes(b->model) + hwi_leaf_block_bytes(b->model) / 16;
    leaf_job *jobs;
    hw_status st = list_jobs(w, &jobs, &count, err);

    for (size_t at = 0; st == HW_OK && at < count;) {
        hw_store_txn *txn;
        size_t batch = 0, bytes = 0;
        while (at + batch < count && (batch == 0 || bytes < b->store->limits.txn_bytes_soft))
            bytes += jobs[at + batch++].count * row_bytes;
        st = hwi_progress_step(b->progress, "write", at, count, err);
        if (st == HW_OK) st = hwi_build_beat(b, err);
        if (st == HW_OK) st = hwi_store_begin(b->store, HW_TXN_WRITE, &txn, err);
        if (st != HW_OK) break;
        w->jobs = jobs + at;
        st = write_batch(w, txn, batch, err);
        if (st == HW_OK)
            st = hwi_store_commit(txn, err);
        else
            hwi_store_abort(txn);
        at += batch;
    }
    hwi_free(jobs);
    return st;
}

/* Locations of the rows from `first` on, as many as go into one transaction. */
static hw_status
write_locations(const writing *w, hw_store_txn *txn, uint32_t first, hw_error *err)
{
    const hwi_build *b = w->b;
    hwi_page_cache *locs = NULL;

    hw_status st =
        hwi_loc_cache_new(txn, b->ix->coll, b->ix->field.number, b->model->generation, &locs, err);
    uint32_t below = first + HWI_MIN(b->count - first, LOCS_AT_ONCE);
    for (uint32_t i = first; st == HW_OK && i < below; i++)
        st = hwi_loc_set(locs, b->slots[i], w->node_of[b->partition.leaf_of[i]], err);
    if (st == HW_OK) st = hwi_page_cache_flush(locs, err);
    hwi_page_cache_free(locs);
    return st;
}

/* The model, now that the signatures' typical error is known. */
static hw_status
write_model(const writing *w, hw_store_txn *txn, hw_error *err)
{
    const hwi_build *b = w->b;
    hwi_buf blob = {0};
    hwi_key key;

    hwi_model_encode(b->model, &blob);
    hwi_key_model(&key, b->ix->coll, b->ix->field.number, b->model->generation);
    hw_status st = blob.failed ? hwi_nomem(err, blob.size)
                               : hwi_blob_put(txn, hwi_key_view(&key), hwi_buf_bytes(&blob), err);
    hwi_buf_release(&blob);
    return st;
}

static hw_status
write_rest(writing *w, hw_error *err)
{
    hwi_build *b = w->b;
    hw_status st = HW_OK;

    b->model->kap = (float)(w->error / HWI_MAX(b->count, 1u));
    for (uint32_t first = 0; st == HW_OK && first <= b->count; first += LOCS_AT_ONCE) {
        hw_store_txn *txn;
        HWI_TRY(hwi_store_begin(b->store, HW_TXN_WRITE, &txn, err));
        st = write_locations(w, txn, first, err);
        bool is_last = b->count - first < LOCS_AT_ONCE;
        if (st == HW_OK && is_last) st = write_model(w, txn, err);
        if (st == HW_OK)
            st = hwi_store_commit(txn, err);
        else
            hwi_store_abort(txn);
    }
    return st;
}

hw_status
hwi_build_write(hwi_build *b, hw_error *err)
{
    writing w = {.b = b};

    b->state = (hwi_index_state){.generation = b->model->generation, .vectors = b->count};
    hw_status st = hwi_tree_new(b->model, &w.tree, err);
    if (st == HW_OK) st = group_rows(&w, err);
    if (st == HW_OK) st = number_nodes(&w, err);
    if (st == HW_OK) st = write_leaves(&w, err);
    if (st == HW_OK) st = write_rest(&w, err);
    hwi_tree_unref(w.tree);
    hwi_free(w.order);
    hwi_free(w.first);
    hwi_free(w.node_of);
    return st;
}
