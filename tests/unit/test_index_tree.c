/* The directory of leaves, its records and log, and cutting sets of points. */
#include "support/hwt_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/tree/tree.h"
#include "index/tree/tree_build.h"
#include "index/tree/tree_split.h"

enum { ROWS = 600, DIM = 40, NODES = 300 };

typedef struct world {
    hwt_set set;
    hwi_model *m;
    hw_store *store;
    hwi_rng rng;
    float *y; /* ROWS x dc */
    float *scores;
    uint8_t *bytes;
} world;

static void
open_world(world *w, hwi_metric metric)
{
    hw_error err;

    hwt_set_init(&w->set, metric, DIM, ROWS);
    hwt_set_fill(&w->set, HWT_SPREAD, 3);
    w->m = hwt_model(&w->set, HWI_HYBRID, 0);
    hwt_ok(hwi_store_mem_new(&w->store, &err), &err);
    hwi_rng_init(&w->rng, 17);
    float *x = hwt_floats(DIM), *y = hwt_floats(w->m->out_dims);
    w->y = hwt_floats((size_t)ROWS * w->m->dc);
    for (uint32_t i = 0; i < ROWS; i++) {
        hwt_frame(w->m, &w->set, i, x, y);
        memcpy(w->y + (size_t)i * w->m->dc, y, w->m->dc * sizeof *y);
    }
    hwi_free(x);
    hwi_free(y);
    w->scores = hwt_floats(NODES + 32);
    w->bytes = hwi_alloc_aligned(w->m->rank_dims);
}

static void
close_world(world *w)
{
    hwi_store_close(w->store);
    hwi_model_unref(w->m);
    hwt_set_release(&w->set);
    hwi_free(w->y);
    hwi_free(w->scores);
    hwi_free(w->bytes);
}

static const float *
y_of(const world *w, uint32_t row)
{
    return w->y + (size_t)row * w->m->dc;
}

static hwi_bounds
random_bounds(world *w)
{
    hwi_bounds b;

    hwi_bounds_empty(&b);
    for (int i = 0; i < 3; i++)
        hwi_bounds_grow(&b, (float)hwi_rng_unit(&w->rng),
                        y_of(w, (uint32_t)hwi_rng_below(&w->rng, ROWS)), w->m->dc);
    return b;
}

static hwi_tree *
new_tree(const world *w)
{
    hwi_tree *t;
    hw_error err;

    hwt_ok(hwi_tree_new(w->m, &t, &err), &err);
    hwt_ok(hwi_tree_reserve_nodes(t, NODES, &err), &err);
    return t;
}

static void
add(world *w, hwi_tree *t, uint32_t node, const float *anchor)
{
    hwi_bounds b = random_bounds(w);
    hw_error err;

    hwt_ok(hwi_tree_add_leaf(t, node, HWI_NODE_NONE, anchor, node * 3, &b, &err), &err);
}

static float
distance_sq(const world *w, const float *a, const float *b)
{
    float d;

    w->m->kernels->l2sq_rows(a, b, 0, 1, w->m->dc, &d);
    return d;
}

/* Leaves come and go; positions stay dense and each leaf keeps its anchor. */
static void
leaves_keep_their_anchors_through_removals(void **state)
{
    world w;
    uint32_t anchor_of[NODES];
    (void)state;

    open_world(&w, HWI_L2);
    hwi_tree *t = new_tree(&w);
    for (uint32_t i = 0; i < NODES; i++) anchor_of[i] = UINT32_MAX;
    for (uint32_t step = 0; step < 3000; step++) {
        uint32_t node = (uint32_t)hwi_rng_below(&w.rng, NODES);
        if (anchor_of[node] == UINT32_MAX) {
            anchor_of[node] = (uint32_t)hwi_rng_below(&w.rng, ROWS);
            add(&w, t, node, y_of(&w, anchor_of[node]));
        } else {
            hwi_tree_remove_leaf(t, node);
            anchor_of[node] = UINT32_MAX;
        }
        uint32_t leaves = 0;
        for (uint32_t i = 0; i < NODES; i++) leaves += anchor_of[i] != UINT32_MAX;
        assert_int_equal(t->leaf_count, leaves);
    }
    hw_error err;
    hwt_ok(hwi_tree_order(&t, &err), &err);
    assert_true(hwi_tree_is_ordered(t));
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(t->nodes[i].used, anchor_of[i] != UINT32_MAX);
        if (!t->nodes[i].used) continue;
        uint32_t p = t->nodes[i].position;
        assert_int_equal(t->leaf_node[p], i);
        assert_int_equal(t->hash[p], i * 3);
        assert_memory_equal(t->anchors + (size_t)p * t->dc, y_of(&w, anchor_of[i]),
                            t->dc * sizeof(float));
    }
    hwi_tree_unref(t);
    close_world(&w);
}

static void
nearest_leaf_is_that_of_comparing_with_all(void **state)
{
    static const hwi_metric metrics[] = {HWI_L2, HWI_COSINE, HWI_DOT};
    (void)state;

    for (size_t m = 0; m < HWI_COUNT(metrics); m++) {
        world w;
        open_world(&w, metrics[m]);
        hwi_tree *t = new_tree(&w);
        for (uint32_t i = 0; i < 150; i++) add(&w, t, (i * 7) % 150, y_of(&w, i));
        for (uint32_t q = 150; q < ROWS; q++) {
            float least = INFINITY;
            uint32_t best = 0;
            for (uint32_t p = 0; p < t->leaf_count; p++) {
                float d = distance_sq(&w, y_of(&w, q), t->anchors + (size_t)p * t->dc);
                if (d < least) least = d, best = p;
            }
            assert_int_equal(hwi_tree_nearest(t, w.m, y_of(&w, q), w.bytes, w.scores), best);
        }
        hwi_tree_unref(t);
        close_world(&w);
    }
}

static void
ranking_is_close_to_the_true_order(void **state)
{
    world w;
    (void)state;

    open_world(&w, HWI_L2);
    hwi_tree *t = new_tree(&w);
    for (uint32_t i = 0; i < 100; i++) add(&w, t, i, y_of(&w, i));
    for (uint32_t q = 200; q < 260; q++) {
        const float *y = y_of(&w, q);
        hwi_tree_rank(t, w.m, y, w.bytes, w.scores);
        double yy = 0;
        for (uint32_t j = 0; j < t->dc; j++) yy += (double)y[j] * y[j];
        for (uint32_t p = 0; p < 100; p++) {
            double truth = distance_sq(&w, y, t->anchors + (size_t)p * t->dc);
            assert_true(fabs(w.scores[p] + yy - truth) <= 0.03 * (yy + truth));
        }
    }
    hwi_tree_unref(t);
    close_world(&w);
}

/* ---- bounds ---- */

static void
box_is_never_farther_than_a_member(void **state)
{
    world w;
    (void)state;

    open_world(&w, HWI_L2);
    for (uint32_t round = 0; round < 200; round++) {
        hwi_bounds b;
        uint32_t member[5];
        hwi_bounds_empty(&b);
        assert_true(hwi_bounds_box_sq(&b, y_of(&w, 0), w.m->dc) == INFINITY);
        for (int i = 0; i < 5; i++) {
            member[i] = (uint32_t)hwi_rng_below(&w.rng, ROWS);
            hwi_bounds_grow(&b, (float)i, y_of(&w, member[i]), w.m->dc);
            assert_false(hwi_bounds_grow(&b, (float)i, y_of(&w, member[i]), w.m->dc));
        }
        const float *q = y_of(&w, round);
        for (int i = 0; i < 5; i++) {
            assert_true(hwi_bounds_box_sq(&b, q, w.m->dc) <=
                        distance_sq(&w, q, y_of(&w, member[i])) * 1.00001f);
            assert_true(hwi_bounds_box_sq(&b, y_of(&w, member[i]), w.m->dc) == 0);
        }
        assert_true(b.radius == 4);
    }
    close_world(&w);
}

/* ---- records and log ---- */

static hwi_key
tree_prefix(const world *w)
{
    hwi_key k;

    hwi_generation_key(&k, HWI_SUB_TREE, 1, 2, w->m->generation);
    return k;
}

static void
expect_equal_trees(const hwi_tree *a, const hwi_tree *b)
{
    assert_int_equal(a->leaf_count, b->leaf_count);
    for (uint32_t i = 0; i < HWI_MIN(a->node_count, b->node_count); i++) {
        assert_int_equal(a->nodes[i].used, b->nodes[i].used);
        if (!a->nodes[i].used) continue;
        assert_int_equal(a->nodes[i].parent, b->nodes[i].parent);
        assert_int_equal(a->nodes[i].left, b->nodes[i].left);
        assert_int_equal(a->nodes[i].right, b->nodes[i].right);
        assert_int_equal(a->nodes[i].position, b->nodes[i].position);
    }
    uint32_t n = a->leaf_count;
    assert_memory_equal(a->leaf_node, b->leaf_node, n * sizeof(uint32_t));
    assert_memory_equal(a->hash, b->hash, n * sizeof(uint32_t));
    assert_memory_equal(a->bounds, b->bounds, n * sizeof *a->bounds);
    assert_memory_equal(a->anchors, b->anchors, (size_t)n * a->dc * sizeof(float));
    assert_memory_equal(a->norm, b->norm, n * sizeof(float));
    assert_memory_equal(a->scale, b->scale, n * sizeof(float));
    for (uint32_t p = 0; p < n; p++) /* each lane of the int8 blocks */
        for (uint32_t j = 0; j < a->rank_dims; j++) {
            size_t at =
                (size_t)(p / 16) * 16 * a->rank_dims + (size_t)(j / 4) * 64 + p % 16 * 4 + j % 4;
            assert_int_equal(a->blocks[at], b->blocks[at]);
        }
}

/* One transaction of random changes, as a writer makes them: records, log entry, state. */
static void
change_stored_tree(world *w, hwi_tree *t, hwi_index_state *state, hw_store_txn *txn)
{
    uint32_t changed[40], count = 0;
    bool seen[NODES] = {false};
    hwi_key prefix = tree_prefix(w);
    hw_error err;

    for (uint32_t i = 0; i < 1 + hwi_rng_below(&w->rng, 20); i++) {
        uint32_t node = (uint32_t)hwi_rng_below(&w->rng, NODES);
        if (seen[node]) continue;
        seen[node] = true;
        changed[count++] = node;
        bool is_leaf = t->nodes[node].used && t->nodes[node].position != HWI_NODE_NONE;
        if (t->nodes[node].used && hwi_rng_below(&w->rng, 2) && (!is_leaf || t->leaf_count > 1)) {
            if (is_leaf)
                hwi_tree_remove_leaf(t, node);
            else
                t->nodes[node].used = false;
            if (is_leaf &&
                hwi_rng_below(&w->rng, 2)) { /* split: the number goes on as an inner node */
                hwi_plane plane = {1.5f, y_of(w, node)};
                t->nodes[node] = (hwi_node){4, 5, 6, HWI_NODE_NONE, true};
                hwt_ok(
                    hwi_tree_put_inner(txn, &prefix, w->m->dc, node, &t->nodes[node], &plane, &err),
                    &err);
            } else {
                hwt_ok(hwi_tree_del(txn, &prefix, node, &err), &err);
            }
            continue;
        }
        if (is_leaf) /* its bounds grow */
            t->bounds[t->nodes[node].position] = random_bounds(w);
        else {
            t->nodes[node].used = false;
            add(w, t, node, y_of(w, (uint32_t)hwi_rng_below(&w->rng, ROWS)));
        }
        hwt_ok(hwi_tree_put_leaf(txn, &prefix, t, node, &err), &err);
    }
    state->leaves = t->leaf_count;
    hwt_ok(hwi_tree_log(txn, 1, 2, state->generation, changed, count, &err), &err);
    if (hwi_rng_below(&w->rng, 50) == 0) hwt_ok(hwi_tree_log_trim(txn, 1, 2, &err), &err);
}

/* However far a copy is behind, bringing it up to date gives what loading gives, places included. */
static void
refreshing_through_the_log_equals_loading(void **state_)
{
    world w;
    hwi_index_state state = {.generation = 3, .next_node = NODES};
    hwi_tree *copies[4] = {NULL}, *loaded, *fresh;
    uint64_t seen[4];
    hw_error err;
    (void)state_;

    open_world(&w, HWI_L2);
    hwi_tree *t = new_tree(&w);
    for (uint32_t i = 0; i < 60; i++) add(&w, t, i, y_of(&w, i));
    for (uint32_t round = 0; round < 700; round++) {
        hw_store_txn *txn = hwt_begin(w.store, HW_TXN_WRITE);
        hwi_key prefix = tree_prefix(&w);
        for (uint32_t i = 0; round == 0 && i < 60; i++)
            hwt_ok(hwi_tree_put_leaf(txn, &prefix, t, i, &err), &err);
        change_stored_tree(&w, t, &state, txn);
        hwt_commit(txn);
        if (round % 3 != 2) continue;
        txn = hwt_begin(w.store, HW_TXN_READ);
        hwt_ok(hwi_tree_load(txn, 1, 2, w.m, &state, &loaded, &err), &err);
        for (int c = 0; c < 4; c++) { /* always up to date, and ever farther behind */
            static const uint32_t every[] = {1, 5, 40, 130};
            if (round / 3 % every[c] != 0) continue;
            if (copies[c]) {
                hwt_ok(hwi_tree_refresh(txn, 1, 2, w.m, &state, copies[c], seen[c], &fresh, &err),
                       &err);
                expect_equal_trees(fresh, loaded);
                hwi_tree_unref(copies[c]);
                copies[c] = fresh;
            } else {
                copies[c] = hwi_tree_ref(loaded);
            }
            seen[c] = hwi_store_snapshot(txn);
        }
        hwi_tree_unref(loaded);
        hwi_store_abort(txn);
    }
    for (int c = 0; c < 4; c++) hwi_tree_unref(copies[c]);
    hwi_tree_unref(t);
    close_world(&w);
}

static void
damaged_records_are_refused(void **state_)
{
    world w;
    hwi_index_state state = {.generation = 3, .next_node = NODES, .leaves = 1};
    hwi_tree *loaded;
    hw_error err;
    uint8_t bytes[1024];
    (void)state_;

    open_world(&w, HWI_L2);
    hwi_tree *t = new_tree(&w);
    add(&w, t, 7, y_of(&w, 1));
    hwi_key prefix = tree_prefix(&w), key = prefix;
    hwi_key_uint(&key, 7);
    hw_store_txn *txn = hwt_begin(w.store, HW_TXN_WRITE);
    hw_bytes value;
    hwt_ok(hwi_tree_put_leaf(txn, &prefix, t, 7, &err), &err);
    hwt_ok(hwi_store_get(txn, hwi_key_view(&key), &value, &err), &err);
    size_t size = value.size;
    memcpy(bytes, value.data, size);
    hwt_ok(hwi_tree_load(txn, 1, 2, w.m, &state, &loaded, &err), &err);
    hwi_tree_unref(loaded);
    for (size_t at = 0; at < size; at++) {
        bytes[at] ^= 1;
        hwt_ok(hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(bytes, size), &err), &err);
        if (hwi_tree_load(txn, 1, 2, w.m, &state, &loaded, &err) != HW_ECORRUPT)
            fail_msg("flipping a bit of byte %zu goes unnoticed", at);
        bytes[at] ^= 1;
        hwt_ok(hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(bytes, at), &err), &err);
        assert_int_equal(hwi_tree_load(txn, 1, 2, w.m, &state, &loaded, &err), HW_ECORRUPT);
    }
    hwt_ok(hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(bytes, size), &err), &err);
    state.leaves = 2;
    assert_int_equal(hwi_tree_load(txn, 1, 2, w.m, &state, &loaded, &err), HW_ECORRUPT);
    state.leaves = 1, state.next_node = 7;
    assert_int_equal(hwi_tree_load(txn, 1, 2, w.m, &state, &loaded, &err), HW_ECORRUPT);
    assert_null(loaded);
    hwi_store_abort(txn);
    hwi_tree_unref(t);
    close_world(&w);
}

/* ---- halving ---- */

static void
expect_halves(const float *y, size_t n, uint32_t dc, bool spherical)
{
    uint8_t *side = malloc(n);
    float *means = malloc(2 * dc * sizeof *means), *direction = malloc(dc * sizeof *direction),
          split;
    size_t right = 0;
    hw_error err;

    assert_true(side && means && direction);
    hwt_ok(hwi_tree_halve(y, n, dc, spherical, side, means, direction, &split, &err), &err);
    for (size_t i = 0; i < n; i++) {
        assert_true(side[i] <= 1);
        right += side[i];
    }
    assert_true(right >= HWI_MAX(n / 8, (size_t)1) && n - right >= HWI_MAX(n / 8, (size_t)1));
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t j = 0; j < dc; j++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                if (side[i] == s) sum += y[i * dc + j];
            double mean = sum / (double)(s ? right : n - right);
            assert_true(fabs(mean - means[s * dc + j]) <= 1e-4 * (1 + fabs(mean)));
        }
    for (uint32_t j = 0; j < dc; j++) assert_true(isfinite(direction[j]));
    assert_true(isfinite(split));
    free(side);
    free(means);
    free(direction);
}

static void
halves_are_never_lopsided(void **state)
{
    static const size_t sizes[] = {2, 3, 4, 7, 8, 9, 16, 33, 500};
    static const uint32_t dims[] = {1, 2, 17, 64};
    (void)state;

    for (size_t d = 0; d < HWI_COUNT(dims); d++)
        for (size_t n = 0; n < HWI_COUNT(sizes); n++)
            for (int shape = 0; shape < 5; shape++)
                for (int spherical = 0; spherical < 2; spherical++) {
                    size_t floats = sizes[n] * dims[d];
                    float *y = malloc(floats * sizeof *y);
                    hwi_rng rng;
                    assert_non_null(y);
                    hwi_rng_init(&rng, n * 10 + d);
                    for (size_t i = 0; i < floats; i++)
                        y[i] = shape == 0   ? (float)hwi_rng_normal(&rng)
                               : shape == 1 ? 1.0f                          /* all equal */
                               : shape == 2 ? (i < dims[d] ? 100.0f : 0.0f) /* one far off */
                               : shape == 3 ? (float)hwi_rng_below(&rng, 2)
                                            : 0.0f;
                    expect_halves(y, sizes[n], dims[d], spherical);
                    free(y);
                }
}

static void
two_clusters_are_told_apart(void **state)
{
    enum { N = 200, DC = 8 };
    static float y[N * DC];
    float means[2 * DC], direction[DC], split;
    uint8_t side[N];
    hwi_rng rng;
    hw_error err;
    (void)state;

    hwi_rng_init(&rng, 2);
    for (uint32_t i = 0; i < N; i++)
        for (uint32_t j = 0; j < DC; j++) /* 3 of 10 on one side: not the median's halves */
            y[i * DC + j] = (float)hwi_rng_normal(&rng) + (i % 10 < 3 ? 20.0f : 0.0f);
    hwt_ok(hwi_tree_halve(y, N, DC, false, side, means, direction, &split, &err), &err);
    for (uint32_t i = 0; i < N; i++) assert_int_equal(side[i] == side[0], i % 10 < 3);
}

/* ---- partition ---- */

static void
expect_partition(const float *y, uint32_t n, uint32_t dc, bool spherical)
{
    hwi_partition_plan plan = {.leaf_size = 20,
                               .most_rows = 40,
                               .sampled = true,
                               .spherical = spherical,
                               .threads = 1,
                               .seed = 4};
    hwi_partition first, other;
    hw_error err;

    hwt_ok(hwi_partition_make(y, n, dc, &plan, NULL, &first, &err), &err);
    uint32_t *count = calloc(first.leaf_count, sizeof *count);
    assert_non_null(count);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(first.leaf_of[i] < first.leaf_count);
        count[first.leaf_of[i]]++;
    }
    for (uint32_t k = 0; k < first.leaf_count; k++) assert_true(count[k] <= plan.most_rows);
    free(count);
    uint32_t leaves = 0; /* each is named by one region at most; those with rows by one */
    for (uint32_t r = 0; r < first.region_count; r++) {
        const hwi_region *region = &first.regions[r];
        if (region->left < 0)
            leaves++;
        else
            assert_true(region->left > (int32_t)r && region->right > (int32_t)r &&
                        (uint32_t)region->right < first.region_count);
    }
    assert_true(leaves <= first.leaf_count);
    for (plan.threads = 2; plan.threads <= 4; plan.threads++) {
        hwt_ok(hwi_partition_make(y, n, dc, &plan, NULL, &other, &err), &err);
        assert_int_equal(other.leaf_count, first.leaf_count);
        assert_memory_equal(other.leaf_of, first.leaf_of, n * sizeof(uint32_t));
        assert_memory_equal(other.anchors, first.anchors,
                            (size_t)first.leaf_count * dc * sizeof(float));
        hwi_partition_release(&other);
    }
    hwi_partition_release(&first);
}

static void
partition_puts_every_row_in_one_leaf_on_any_threads(void **state)
{
    static const uint32_t counts[] = {1, 2, 19, 41, 700, 5000};
    static const uint32_t dims[] = {1, 3, 24};
    (void)state;

    for (size_t c = 0; c < HWI_COUNT(counts); c++)
        for (size_t d = 0; d < HWI_COUNT(dims); d++)
            for (int shape = 0; shape < 3; shape++) {
                float *y = hwt_floats((size_t)counts[c] * dims[d]);
                hwi_rng rng;
                hwi_rng_init(&rng, c);
                for (size_t i = 0; i < (size_t)counts[c] * dims[d]; i++)
                    y[i] = shape == 0   ? (float)hwi_rng_normal(&rng)
                           : shape == 1 ? 2.0f /* all duplicates */
                                        : (float)hwi_rng_below(&rng, 3);
                expect_partition(y, counts[c], dims[d], shape == 2);
                hwi_free(y);
            }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_keep_their_anchors_through_removals),
        cmocka_unit_test(nearest_leaf_is_that_of_comparing_with_all),
        cmocka_unit_test(ranking_is_close_to_the_true_order),
        cmocka_unit_test(box_is_never_farther_than_a_member),
        cmocka_unit_test(refreshing_through_the_log_equals_loading),
        cmocka_unit_test(damaged_records_are_refused),
        cmocka_unit_test(halves_are_never_lopsided),
        cmocka_unit_test(two_clusters_are_told_apart),
        cmocka_unit_test(partition_puts_every_row_in_one_leaf_on_any_threads),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
