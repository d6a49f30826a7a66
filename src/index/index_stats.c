/* index_stats.c - figures about an index, as JSON for people and programs.
 */
#include <math.h>
#include <stdlib.h>

#include "index/index_impl.h"
#include "index/search_impl.h"

static int
by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static uint32_t
depth_of(const hwi_tree *t, uint32_t node)
{
    uint32_t depth = 0;

    while (depth < HWI_TREE_DEPTH_MAX && t->nodes[node].parent < t->node_count)
        node = t->nodes[node].parent, depth++;
    return depth;
}

/* Without an eps where all rows of opened leaves are measured: null. */
static void
write_effort(const hwi_calibration_row *r, hwi_buf *json)
{
    const hwi_effort *e = &r->effort;

    hwi_buf_printf(json, "{\"k\": %u, \"recall\": %.3f, \"leaves\": %u, \"eps\": ", r->k,
                   (double)e->recall, e->leaves);
    if (isinf(e->eps))
        hwi_buf_text(json, "null");
    else
        hwi_buf_printf(json, "%.2f", (double)e->eps);
    hwi_buf_printf(json, ", \"extra\": %u}", e->extra);
}

static void
write_calibration(const hwi_calibration *c, hwi_buf *json)
{
    hwi_buf_printf(json, ", \"calibration\": {\"vectors\": %llu, \"samples\": %u, \"efforts\": [",
                   (unsigned long long)c->vectors, c->samples);
    for (uint32_t i = 0; i < c->count; i++) {
        if (i) hwi_buf_text(json, ", ");
        write_effort(&c->rows[i], json);
    }
    hwi_buf_text(json, "]}");
}

/* Sizes, bytes and fill of all leaves. */
static hw_status
write_leaves(hwi_index_view *v, hwi_buf *json, hw_error *err)
{
    const hwi_tree *t = v->tree;
    uint64_t rows = 0, bytes = 0, page_bytes = 0, histogram[10] = {0};
    uint32_t deepest = 0, *sizes = hwi_alloc(t->leaf_count * sizeof *sizes);
    hw_status st = HW_OK;

    if (!sizes) return hwi_nomem(err, t->leaf_count * sizeof *sizes);
    for (uint32_t p = 0; st == HW_OK && p < t->leaf_count; p++) {
        const hwi_leaf_ref *leaf;
        st = hwi_view_leaf(v, p, &leaf, err);
        if (st != HW_OK) break;
        uint32_t n = leaf->page.count, depth = depth_of(t, t->leaf_node[p]);
        size_t signature = hwi_leaf_page_bytes(v->model, n);
        size_t refine = v->model->words ? (size_t)n * hwi_leaf_row_bytes(v->model) : 0;
        sizes[p] = n, rows += n, bytes += signature + refine;
        page_bytes +=
            (signature + 16 + 4095) / 4096 * 4096 +
            (refine + (HWI_PAGE_HEADER + 16) * (size_t)leaf->part_count + 4095) / 4096 * 4096;
        deepest = HWI_MAX(deepest, depth);
        histogram[HWI_MIN(5 * n / v->model->leaf_size, 9u)]++;
    }
    if (st == HW_OK) {
        qsort(sizes, t->leaf_count, sizeof *sizes, by_size);
        hwi_buf_printf(
            json,
            ", \"leaves\": %u, \"depth\": %u, \"leaf_rows\": {\"min\": %u, \"median\": %u, "
            "\"max\": %u, \"mean\": %.1f, \"histogram_fifths_of_leaf_size\": [",
            t->leaf_count, deepest, sizes[0], sizes[t->leaf_count / 2], sizes[t->leaf_count - 1],
            (double)rows / t->leaf_count);
        for (uint32_t i = 0; i < 10; i++)
            hwi_buf_printf(json, "%s%llu", i ? ", " : "", (unsigned long long)histogram[i]);
        hwi_buf_printf(json, "]}, \"index_bytes_per_vector\": %.1f, \"page_fill\": %.3f",
                       (double)bytes / (double)HWI_MAX(rows, (uint64_t)1),
                       (double)bytes / (double)HWI_MAX(page_bytes, (uint64_t)1));
    }
    hwi_free(sizes);
    return st;
}

hw_status
hwi_index_stats(hwi_index_view *v, hwi_buf *json, hw_error *err)
{
    const hwi_index_state *s = &v->state;

    hwi_buf_printf(json, "{\"kind\": \"%s\", \"metric\": \"%s\", \"dim\": %u, \"vectors\": %llu",
                   hwi_kind_text(v->ix->field.kind), hwi_metric_text(v->ix->field.metric),
                   v->ix->field.dim, (unsigned long long)s->vectors);
    hwi_buf_printf(json, ", \"generation\": %u", s->generation);
    if (v->model) {
        hwi_buf_printf(json,
                       ", \"axes\": %u, \"bits\": %u, \"leaf_size\": %u, \"splits\": %llu, "
                       "\"merges\": %llu, \"moved\": %llu, \"changes_since_calibration\": %llu",
                       v->model->dc, v->model->words * 32, v->model->leaf_size,
                       (unsigned long long)s->splits, (unsigned long long)s->merges,
                       (unsigned long long)s->moved, (unsigned long long)s->changes);
        HWI_TRY(write_leaves(v, json, err));
        if (v->calibration) write_calibration(v->calibration, json);
    }
    hwi_buf_text(json, "}");
    return json->failed ? hwi_nomem(err, json->size) : HW_OK;
}
