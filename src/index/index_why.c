/* index_why.c - at which step of the search a given vector is lost, or that it is found.
 *
 * The steps in order: is it in the index, does the filter let it through, was its leaf opened, did
 * its signature's bound beat the k-th best, was it among the candidates measured exactly, is it
 * among the k. The bound and the estimate are computed for this one row alone, the way a search
 * would.
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

    if (!s) return hwi_nomem(err, sizeof *s);
    hwi_space_prepare(&v->ix->space, query, s->prepared);
    hwi_model_frame(m, m->metric == HWI_COSINE ? s->prepared : query, 1, s->framed);
    hwi_model_axes_fast(m, s->framed, s->bytes, s->y);
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

/* How many accepted vectors are nearer, by looking at all. */
static hw_status
exact_rank(hwi_index_view *v, const float *query, const hwi_accept *accept, float distance,
           uint64_t *nearer, hw_error *err)
{
    const hwi_space *space = &v->ix->space;
    float *prepared = hwi_alloc_aligned(space->dim * sizeof *prepared), *d = NULL;
    hw_status st = HW_OK;

    *nearer = 0;
    if (prepared) d = hwi_alloc(space->rows_per_page * sizeof *d);
    if (!prepared || !d) st = hwi_nomem(err, space->dim * sizeof *prepared);
    if (st == HW_OK) hwi_space_prepare(space, query, prepared);
    for (uint32_t first = 0; st == HW_OK && first < v->slots_below; first += space->rows_per_page) {
        const uint8_t *page;
        uint32_t rows = HWI_MIN(space->rows_per_page, v->slots_below - first);
        st = hwi_page_table_get(v->vecs, first / space->rows_per_page, &page, err);
        if (st != HW_OK || !page) continue;
        hwi_space_rows(space, prepared, page + HWI_PAGE_HEADER, rows, d);
        for (uint32_t i = 0; i < rows; i++)
            *nearer +=
                d[i] < distance && hwi_may(accept, first + i) && hwi_accepted(accept, first + i);
    }
    hwi_free(prepared);
    hwi_free(d);
    return st;
}

/* Runs the search itself and looks for the slot among the hits. */
static hw_status
search_for(hwi_index_view *v, const float *query, uint32_t k, double recall,
           const hwi_accept *accept, uint32_t slot, hwi_trace *trace, uint32_t *rank, float *worst,
           hw_error *err)
{
    hwi_hit *hits = hwi_alloc(k * sizeof *hits);
    uint32_t count;

    *rank = 0, *worst = INFINITY;
    if (!hits) return hwi_nomem(err, k * sizeof *hits);
    hw_status st =
        hwi_index_search(v, query, k, recall, INFINITY, accept, trace, hits, &count, err);
    for (uint32_t i = 0; st == HW_OK && i < count; i++)
        if (hits[i].slot == slot) *rank = i + 1;
    if (st == HW_OK && count == k) *worst = hits[k - 1].distance;
    hwi_free(hits);
    return st;
}

static const char *
lost_at(const hwi_trace *trace, bool accepted, bool opened, uint64_t nearer, uint32_t k,
        uint32_t rank)
{
    if (rank) return "found";
    if (!accepted) return "filter";
    if (nearer >= k) return "rank: k or more points are nearer";
    if (strcmp(trace->plan, "leaves") != 0) return "rank: tied with the last hit";
    if (!opened) return "leaf not opened";
    return "signature bound or refine estimate";
}

hw_status
hwi_index_why(hwi_index_view *v, const float *query, uint32_t k, double recall,
              const hwi_accept *accept, uint32_t slot, hwi_buf *json, hw_error *err)
{
    hwi_trace trace = {0};
    uint32_t rank;
    uint64_t nearer;
    float distance, worst;
    bool opened = true;

    HWI_TRY(distance_of(v, query, slot, &distance, err));
    if (distance == INFINITY) {
        hwi_buf_text(json, "{\"found\": false, \"lost_at\": \"the point lacks this vector\"}");
        return HW_OK;
    }
    bool accepted = hwi_may(accept, slot) && hwi_accepted(accept, slot);
    HWI_TRY(search_for(v, query, k, recall, accept, slot, &trace, &rank, &worst, err));
    HWI_TRY(exact_rank(v, query, accept, distance, &nearer, err));
    hwi_buf_printf(json, "{\"found\": %s, \"plan\": \"%s\", \"exact_rank\": %llu, \"score\": ",
                   rank ? "true" : "false", trace.plan, (unsigned long long)nearer + 1);
    hwi_buf_printf(json, "%.6g, \"passes_filter\": %s",
                   (double)hwi_score(v->ix->field.metric, distance), accepted ? "true" : "false");
    if (rank) hwi_buf_printf(json, ", \"rank\": %u", rank);
    if (isfinite(worst))
        hwi_buf_printf(json, ", \"score_of_last_hit\": %.6g",
                       (double)hwi_score(v->ix->field.metric, worst));
    if (v->model) {
        place p;
        HWI_TRY(find_place(v, slot, &p, err));
        if (p.leaf && p.row < p.leaf->page.count && strcmp(trace.plan, "leaves") == 0)
            HWI_TRY(describe_place(v, query, &p, (uint32_t)trace.leaves, json, &opened, err));
    }
    hwi_buf_printf(json, ", \"lost_at\": \"%s\"}",
                   lost_at(&trace, accepted, opened, nearer, k, rank));
    return json->failed ? hwi_nomem(err, json->size) : HW_OK;
}
