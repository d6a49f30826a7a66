/* index_show.c - the index as people see it, as JSON: the tree, a leaf from inside, and a map of the
 * vectors in two dimensions.
 *
 * The map needs no projection of its own: the model's first two principal axes are the two
 * directions in which the vectors differ most. It shows every so many-th row of the leaves in order,
 * so the same data gives the same map, and each region is shown as densely as it is filled. How much
 * the two axes tell is measured on the rows shown.
 */
#include "index/index_impl.h"
#include "index/search_impl.h"

/* ---- The tree */

static hw_status
show_node(hwi_index_view *v, uint32_t number, hwi_buf *json, hw_error *err)
{
    const hwi_tree *t = v->tree;
    const hwi_node *n = &t->nodes[number];
    const hwi_leaf_ref *leaf;

    hwi_buf_printf(json, "{\"node\":%u", number);
    if (n->parent < t->node_count) hwi_buf_printf(json, ",\"parent\":%u", n->parent);
    if (n->position == HWI_NODE_NONE) {
        hwi_buf_printf(json, ",\"left\":%u,\"right\":%u}", n->left, n->right);
        return HW_OK;
    }
    HWI_TRY(hwi_view_leaf(v, n->position, &leaf, err));
    hwi_buf_printf(json, ",\"rows\":%u}", leaf->page.count);
    return HW_OK;
}

hw_status
hwi_index_show_tree(hwi_index_view *v, hwi_buf *json, hw_error *err)
{
    const hwi_model *m = v->model;
    bool is_first = true;

    hwi_buf_printf(json, "{\"kind\":\"%s\",\"metric\":\"%s\",\"dim\":%u,\"vectors\":%llu",
                   hwi_kind_text(m ? m->kind : v->ix->field.kind),
                   hwi_metric_text(v->ix->field.metric), v->ix->field.dim,
                   (unsigned long long)v->state.vectors);
    if (m)
        hwi_buf_printf(json,
                       ",\"generation\":%u,\"axes\":%u,\"bits\":%u,\"leaf_size\":%u,\"leaves\":%u",
                       m->generation, m->dc, 32 * m->words, m->leaf_size, v->tree->leaf_count);
    hwi_buf_text(json, ",\"nodes\":[");
    for (uint32_t i = 0; m && i < v->tree->node_count; i++) {
        if (!v->tree->nodes[i].used) continue;
        if (!is_first) hwi_buf_text(json, ",");
        is_first = false;
        HWI_TRY(show_node(v, i, json, err));
    }
    hwi_buf_text(json, "]}");
    return HW_OK;
}

/* ---- A leaf */

static hw_status
show_id(hwi_index_view *v, uint32_t slot, hwi_buf *json, hw_error *err)
{
    hw_id id;
    hw_status st = hwi_slot_id(v->slots, v->txn, v->ix->coll, slot, &id, err);

    if (st == HW_ENOTFOUND)
        return hwi_fail(err, HW_ECORRUPT, "slot %u is in the index but free", slot);
    HWI_TRY(st);
    hwi_buf_text(json, "\"id\":");
    hwi_json_write_id(json, &id);
    return HW_OK;
}

/* The signature in hexadecimal, bit 0 first: the digits read as the bits lie. */
static void
show_signature(const hwi_index_view *v, const hwi_leaf_page *page, uint32_t row, hwi_buf *json)
{
    const uint8_t *words = page->blocks + row / 16 * hwi_leaf_block_bytes(v->model) + row % 16 * 4;

    hwi_buf_printf(json, ",\"bucket\":%u,\"bits\":\"", hwi_lsh_bucket(hwi_get_u32(words)));
    for (uint32_t w = 0; w < v->model->words; w++) {
        uint32_t word = hwi_get_u32(words + w * 64);
        for (uint32_t d = 0; d < 8; d++, word >>= 4) {
            uint32_t mirrored =
                (word & 1) << 3 | (word & 2) << 1 | (word & 4) >> 1 | (word & 8) >> 3;
            hwi_buf_printf(json, "%x", mirrored);
        }
    }
    hwi_buf_text(json, "\"");
}

hw_status
hwi_index_show_leaf(hwi_index_view *v, uint32_t node, hwi_buf *json, hw_error *err)
{
    const hwi_tree *t = v->tree;
    const hwi_leaf_ref *leaf;

    if (!v->model || node >= t->node_count || !t->nodes[node].used ||
        t->nodes[node].position == HWI_NODE_NONE)
        return hwi_fail(err, HW_ENOTFOUND, "there is no leaf %u", node);
    HWI_TRY(hwi_view_leaf(v, t->nodes[node].position, &leaf, err));
    hwi_buf_printf(json, "{\"leaf\":%u,\"path\":\"", node);
    hwi_tree_path(t, node, json);
    hwi_buf_printf(json, "\",\"rows\":%u,\"bits\":%u,\"radius\":", leaf->page.count,
                   32 * v->model->words);
    hwi_json_write_f32(json, leaf->page.radius);
    hwi_buf_text(json, ",\"signatures\":[");
    for (uint32_t row = 0; row < leaf->page.count; row++) {
        hwi_buf_text(json, row ? ",{" : "{");
        HWI_TRY(show_id(v, leaf->page.slots[row], json, err));
        if (v->model->words) show_signature(v, &leaf->page, row, json);
        hwi_buf_text(json, "}");
    }
    hwi_buf_text(json, "]}");
    return HW_OK;
}

/* ---- The map */

/* Sums over the rows shown, for the share of the variance that lies along the two axes. */
typedef struct spread {
    double *sum; /* dim */
    double squares, axis_sum[2], axis_squares[2];
    uint64_t count;
} spread;

typedef struct map {
    hwi_index_view *v;
    hwi_buf *json;
    float *x; /* dim: one row in the frame */
    spread spread;
} map;

static void
show_place(hwi_buf *json, float x, float y)
{
    hwi_buf_text(json, ",\"x\":");
    hwi_json_write_f32(json, x);
    hwi_buf_text(json, ",\"y\":");
    hwi_json_write_f32(json, y);
}

static void
note_row(spread *s, const float *x, uint32_t dim, const float y[2])
{
    for (uint32_t i = 0; i < dim; i++) s->sum[i] += x[i], s->squares += (double)x[i] * x[i];
    for (int a = 0; a < 2; a++) s->axis_sum[a] += y[a], s->axis_squares[a] += (double)y[a] * y[a];
    s->count++;
}

static hw_status
show_row(map *m, uint32_t slot, uint32_t node, hw_error *err)
{
    const hwi_model *model = m->v->model;
    const uint8_t *row;
    float y[2] = {0, 0};

    HWI_TRY(hwi_space_row(&m->v->ix->space, m->v->vecs, slot, &row, err));
    if (!row)
        return hwi_fail(err, HW_ECORRUPT, "slot %u is in leaf %u without a vector", slot, node);
    hwi_model_frame(model, hwi_vec_row(row), hwi_vec_inv_norm(row, model->dim), m->x);
    for (uint32_t a = 0; a < HWI_MIN(2u, model->dc); a++)
        for (uint32_t i = 0; i < model->dim; i++)
            y[a] += m->x[i] * model->axes[(size_t)a * model->dim + i];
    hwi_buf_text(m->json, m->spread.count ? ",{" : "{");
    HWI_TRY(show_id(m->v, slot, m->json, err));
    hwi_buf_printf(m->json, ",\"leaf\":%u", node);
    show_place(m->json, y[0], y[1]);
    hwi_buf_text(m->json, "}");
    note_row(&m->spread, m->x, model->dim, y);
    return HW_OK;
}

/* Row number n of all is shown when n * points / vectors is a new whole number. */
static hw_status
show_rows(map *m, uint32_t points, hw_error *err)
{
    const hwi_tree *t = m->v->tree;
    uint64_t vectors = HWI_MAX(m->v->state.vectors, (uint64_t)1), due = 0;

    for (uint32_t p = 0; p < t->leaf_count; p++) {
        const hwi_leaf_ref *leaf;
        HWI_TRY(hwi_view_leaf(m->v, p, &leaf, err));
        for (uint32_t row = 0; row < leaf->page.count; row++) {
            due += HWI_MIN((uint64_t)points, vectors);
            if (due < vectors) continue;
            due -= vectors;
            HWI_TRY(show_row(m, leaf->page.slots[row], t->leaf_node[p], err));
        }
    }
    return HW_OK;
}

static hw_status
show_anchors(hwi_index_view *v, hwi_buf *json, hw_error *err)
{
    const hwi_tree *t = v->tree;

    for (uint32_t p = 0; v->model->kind != HWI_LSH && p < t->leaf_count; p++) {
        const float *anchor = t->anchors + (size_t)p * t->dc;
        const hwi_leaf_ref *leaf;
        HWI_TRY(hwi_view_leaf(v, p, &leaf, err));
        hwi_buf_printf(json, "%s{\"leaf\":%u,\"rows\":%u", p ? "," : "", t->leaf_node[p],
                       leaf->page.count);
        show_place(json, anchor[0], t->dc > 1 ? anchor[1] : 0);
        hwi_buf_text(json, "}");
    }
    return HW_OK;
}

static void
show_floats(hwi_buf *json, const char *key, const float *values, uint32_t count)
{
    hwi_buf_text(json, key);
    hwi_json_write_f32s(json, values, count);
}

/* What one needs to put any vector on the map. */
static void
show_directions(const hwi_model *m, hwi_buf *json)
{
    hwi_buf_printf(json, ",\"normalised\":%s", m->metric == HWI_COSINE ? "true" : "false");
    if (m->mean) show_floats(json, ",\"mean\":", m->mean, m->dim);
    hwi_buf_text(json, ",\"directions\":[");
    for (uint32_t a = 0; a < HWI_MIN(2u, m->dc); a++)
        show_floats(json, a ? "," : "", m->axes + (size_t)a * m->dim, m->dim);
    hwi_buf_text(json, "]");
}

static void
show_share(const spread *s, uint32_t dim, hwi_buf *json)
{
    double n = (double)HWI_MAX(s->count, (uint64_t)1), all = s->squares;

    for (uint32_t i = 0; i < dim; i++) all -= s->sum[i] * s->sum[i] / n;
    hwi_buf_text(json, "],\"share\":[");
    for (int a = 0; a < 2; a++) {
        double along = s->axis_squares[a] - s->axis_sum[a] * s->axis_sum[a] / n;
        hwi_buf_printf(json, "%s%.4f", a ? "," : "", all > 0 ? HWI_MIN(along / all, 1.0) : 0.0);
    }
    hwi_buf_text(json, "]}");
}

hw_status
hwi_index_show_map(hwi_index_view *v, uint32_t points, hwi_buf *json, hw_error *err)
{
    map m = {.v = v, .json = json};
    hw_status st = HW_OK;

    hwi_buf_text(json, "{\"anchors\":[");
    if (!v->model) {
        hwi_buf_text(json, "],\"points\":[],\"share\":[0,0]}");
        return HW_OK;
    }
    uint32_t dim = v->model->dim;
    m.x = hwi_alloc_aligned(dim * sizeof *m.x);
    m.spread.sum = hwi_alloc_zero(dim * sizeof *m.spread.sum);
    if (!m.x || !m.spread.sum) st = hwi_nomem(err, dim * sizeof *m.spread.sum);
    if (st == HW_OK) st = show_anchors(v, json, err);
    hwi_buf_text(json, "]");
    show_directions(v->model, json);
    hwi_buf_text(json, ",\"points\":[");
    if (st == HW_OK) st = show_rows(&m, points, err);
    if (st == HW_OK) show_share(&m.spread, dim, json);
    hwi_free(m.x);
    hwi_free(m.spread.sum);
    return st;
}
