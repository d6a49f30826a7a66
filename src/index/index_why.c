/* index_why.c - at which step of the search a given vector is lost, or that it is found.
 *
 * The steps in order: has it the vector, does the filter let it through, is its score good enough,
 * is its rank, was its leaf opened; what is left are its signature's bound and the estimate. A
 * point that does not compete has no rank.
 */
#include <math.h>

#include "index/index_calibrate.h"
#include "index/lsh/lsh_probe.h"

/* Where the slot's leaf and row are. */
typedef struct place {
    uint32_t node, position, row;
    const hwi_leaf_ref *leaf;
} place;

static hw_status
find_place(hwi_index_view *v, uint32_t slot, place *out, hw_error *err)
{
    hwi_page_cache *locs;

    *out = (place){HWI_NODE_NONE, HWI_NODE_NONE, 0, NULL};
    HWI_TRY(hwi_loc_cache_new(v->txn, v->ix->coll, v->ix->field.number, v->state.generation, &locs,
                              err));
    hw_status st = hwi_loc_get(locs, slot, &out->node, err);
    hwi_page_cache_free(locs);
    HWI_TRY(st);
    if (out->node >= v->tree->node_count) return HW_OK;
    out->position = v->tree->nodes[out->node].position;
    if (out->position == HWI_NODE_NONE) return HW_OK;
    HWI_TRY(hwi_view_leaf(v, out->position, &out->leaf, err));
    while (out->row < out->leaf->page.count && out->leaf->page.slots[out->row] != slot) out->row++;
    return HW_OK;
}

/* Rank of the leaf for the query, from 1. */
static hw_status
rank_of(hwi_index_view *v, const float *query, uint32_t position, uint32_t *rank, hw_error *err)
{
    const hwi_model *m = v->model;
    hwi_scratch *s = hwi_scratch_take(v->ix, m, v->tree);
    float scale;

    if (!s) return hwi_nomem(err, sizeof *s);
    hwi_space_prepare(&v->ix->space, query, s->prepared);
    hwi_model_frame(m, m->metric == HWI_COSINE ? s->prepared : query, 1, s->framed);
    hwi_quantize_i8(s->framed, m->dim, hwi_leaf_code_dims(m), s->q8, &scale);
    hwi_model_axes_fast(m, s->framed, s->q8, scale, s->bytes, s->y);
    if (m->kind == HWI_LSH) {
        hwi_model_hash(m, s->y, s->z);
        hwi_lsh_rank(v->tree, m, s->z, s->scores);
    } else {
        hwi_tree_rank(v->tree, m, s->y, s->bytes, s->scores);
    }
    *rank = 1;
    for (uint32_t p = 0; p < v->tree->leaf_count; p++) *rank += s->scores[p] < s->scores[position];
    hwi_scratch_give(v->ix, s);
    return HW_OK;
}

static hw_status
describe_place(hwi_index_view *v, const float *query, const place *p, uint32_t opened,
               hwi_buf *json, bool *was_opened, hw_error *err)
{
    uint32_t rank;

    HWI_TRY(rank_of(v, query, p->position, &rank, err));
    *was_opened = rank <= opened;
    hwi_buf_printf(json, ", \"leaf\": %u, \"path\": \"", p->node);
    hwi_tree_path(v->tree, p->node, json);
    hwi_buf_printf(json, "\", \"leaf_rank\": %u, \"leaves_opened\": %u", rank, opened);
    if (v->model->words)
        hwi_buf_printf(json, ", \"bucket\": %u",
                       hwi_lsh_bucket(hwi_get_u32(p->leaf->page.blocks +
                                                  p->row / 16 * hwi_leaf_block_bytes(v->model) +
                                                  p->row % 16 * 4)));
    return HW_OK;
}

/* Exact distance of one slot. */
static hw_status
distance_of(hwi_index_view *v, const float *query, uint32_t slot, float *distance, hw_error *err)
{
    const hwi_space *space = &v->ix->space;
    const uint8_t *row;
    float *prepared;

    *distance = INFINITY;
    HWI_TRY(hwi_space_row(space, v->vecs, slot, &row, err));
    if (!row) return HW_OK;
    prepared = hwi_alloc_aligned(space->dim * sizeof *prepared);
    if (!prepared) return hwi_nomem(err, space->dim * sizeof *prepared);
    hwi_space_prepare(space, query, prepared);
    hwi_space_gather(space, prepared, &row, 1, distance);
    hwi_free(prepared);
    return HW_OK;
}

static bool
is_left_out(const hwi_why_query *q, uint32_t slot)
{
    return q->left_out && roaring_bitmap_contains(q->left_out, slot);
}

static bool
competes(const hwi_why_query *q, uint32_t slot)
{
    return hwi_may(q->accept, slot) && hwi_accepted(q->accept, slot) && !is_left_out(q, slot);
}

/* How many competing vectors are nearer, by looking at all. */
static hw_status
count_nearer(hwi_index_view *v, const hwi_why_query *q, float distance, uint64_t *nearer,
             hw_error *err)
{
    const hwi_space *space = &v->ix->space;
    float *prepared = hwi_alloc_aligned(space->dim * sizeof *prepared), *d = NULL;
    hw_status st = HW_OK;

    *nearer = 0;
    if (prepared) d = hwi_alloc(space->rows_per_page * sizeof *d);
    if (!prepared || !d) st = hwi_nomem(err, space->dim * sizeof *prepared);
    if (st == HW_OK) hwi_space_prepare(space, q->values, prepared);
    for (uint32_t first = 0; st == HW_OK && first < v->slots_below; first += space->rows_per_page) {
        const uint8_t *page;
        uint32_t rows = HWI_MIN(space->rows_per_page, v->slots_below - first);
        st = hwi_page_table_get(v->vecs, first / space->rows_per_page, &page, err);
        if (st != HW_OK || !page) continue;
        hwi_space_rows(space, prepared, page + HWI_PAGE_HEADER, rows, d);
        for (uint32_t i = 0; i < rows; i++) *nearer += d[i] < distance && competes(q, first + i);
    }
    hwi_free(prepared);
    hwi_free(d);
    return st;
}

/* Runs the search itself and looks for the slot among the hits. */
static hw_status
search_for(hwi_index_view *v, const hwi_why_query *q, uint32_t slot, hwi_trace *trace,
           uint32_t *rank, float *worst, hw_error *err)
{
    uint32_t left_out = q->left_out ? (uint32_t)roaring_bitmap_get_cardinality(q->left_out) : 0;
    uint32_t room = q->k + left_out, count, n = 0;
    hwi_hit *hits = hwi_alloc(room * sizeof *hits);

    *rank = 0, *worst = INFINITY;
    if (!hits) return hwi_nomem(err, room * sizeof *hits);
    hw_status st = hwi_index_search(v, q->values, room, q->recall, q->max_distance, q->accept,
                                    trace, hits, &count, err);
    for (uint32_t i = 0; st == HW_OK && i < count && n < q->k; i++) {
        if (is_left_out(q, hits[i].slot)) continue;
        if (++n == q->k) *worst = hits[i].distance;
        if (hits[i].slot == slot) *rank = n;
    }
    hwi_free(hits);
    return st;
}

static const char *
lost_at(const hwi_why_query *q, const hwi_trace *trace, float distance, bool opened,
        uint64_t nearer)
{
    if (distance > q->max_distance) return "score threshold";
    if (nearer >= q->k) return "rank: k or more points are nearer";
    if (strcmp(trace->plan, "leaves") != 0) return "rank: tied with the last hit";
    if (!opened) return "leaf not opened";
    return "signature bound or refine estimate";
}

/* Of a point that competes: its rank, and what the search did about it. */
static hw_status
describe_search(hwi_index_view *v, const hwi_why_query *q, uint32_t slot, float distance,
                hwi_buf *json, hw_error *err)
{
    hwi_trace trace = {0};
    uint32_t rank;
    uint64_t nearer;
    float worst;
    bool opened = true;

    HWI_TRY(search_for(v, q, slot, &trace, &rank, &worst, err));
    HWI_TRY(count_nearer(v, q, distance, &nearer, err));
    bool found = rank > q->offset;
    hwi_buf_printf(json, "{\"found\": %s, \"plan\": \"%s\", \"exact_rank\": %llu, \"score\": %.6g",
                   found ? "true" : "false", trace.plan, (unsigned long long)nearer + 1,
                   (double)hwi_score(v->ix->field.metric, distance));
    hwi_buf_text(json, ", \"passes_filter\": true");
    if (rank) hwi_buf_printf(json, ", \"rank\": %u", rank);
    if (isfinite(worst))
        hwi_buf_printf(json, ", \"score_of_last_hit\": %.6g",
                       (double)hwi_score(v->ix->field.metric, worst));
    if (v->model) {
        place p;
        HWI_TRY(find_place(v, slot, &p, err));
        if (p.leaf && p.row < p.leaf->page.count && strcmp(trace.plan, "leaves") == 0)
            HWI_TRY(describe_place(v, q->values, &p, (uint32_t)trace.leaves, json, &opened, err));
    }
    if (!found)
        hwi_buf_printf(json, ", \"lost_at\": \"%s\"",
                       rank ? "offset" : lost_at(q, &trace, distance, opened, nearer));
    hwi_buf_text(json, "}");
    return HW_OK;
}

hw_status
hwi_index_why(hwi_index_view *v, const hwi_why_query *q, uint32_t slot, hwi_buf *json,
              hw_error *err)
{
    float distance;

    HWI_TRY(distance_of(v, q->values, slot, &distance, err));
    if (distance == INFINITY) {
        hwi_buf_text(json, "{\"found\": false, \"lost_at\": \"the point lacks this vector\"}");
    } else if (is_left_out(q, slot)) {
        hwi_buf_text(json, "{\"found\": false, \"lost_at\": \"the query names this point\"}");
    } else if (!competes(q, slot)) {
        hwi_buf_printf(json,
                       "{\"found\": false, \"score\": %.6g, \"passes_filter\": false, "
                       "\"lost_at\": \"filter\"}",
                       (double)hwi_score(v->ix->field.metric, distance));
    } else {
        HWI_TRY(describe_search(v, q, slot, distance, json, err));
    }
    return json->failed ? hwi_nomem(err, json->size) : HW_OK;
}
