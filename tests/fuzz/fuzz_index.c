/* Any bytes as a model, a leaf page, a tree record with its log entry, or a calibration: decoding
 * stays in bounds and ends in a status, and what was accepted can be used.
 *
 * The first byte picks which. Checksums would keep a fuzzer outside for ever: page checksums are not
 * part of parsing; the corpus keeps tree records whose checksum is right. */
#include <stdlib.h>

#include "index/calibrate.h"
#include "index/lsh/page.h"
#include "index/lsh/model_build.h"
#include "index/tree/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DIM = 20, NODES = 8 };

static hwi_model *model; /* of the field that bytes claim to be of */
static const hwi_field field = {.name = "", .dim = DIM, .metric = HWI_L2, .kind = HWI_HYBRID};

static void
demand(bool condition)
{
    if (!condition) abort();
}

static void
make_model(void)
{
    if (model) return;
    demand(hwi_model_new(&field, 1, DIM, 64, &model, NULL) == HW_OK);
    for (size_t i = 0; i < (size_t)DIM * DIM; i++) model->axes[i] = i % (DIM + 1) == 0;
    for (size_t j = 0; j < DIM; j++) model->mean[j] = 0;
    model->leaf_size = 16, model->seed = 1;
    demand(hwi_model_derive(model, NULL) == HW_OK);
}

static void
as_model(hw_bytes b)
{
    hwi_model *m;
    hw_error err = {0};
    hw_status st = hwi_model_decode(&field, 1, b, &m, &err);

    demand(st == HW_OK || (st == HW_ECORRUPT && err.message[0]));
    hwi_model_unref(m);
}

static void
as_page(hw_bytes b)
{
    hwi_leaf_page page;
    uint32_t sum = 0;
    void *aligned = hwi_alloc_aligned(b.size + 1);

    demand(aligned != NULL);
    if (b.size) memcpy(aligned, b.data, b.size);
    if (hwi_leaf_parse(model, hwi_bytes(aligned, b.size), &page, NULL) == HW_OK) {
        for (size_t i = 0; i < page.block_count * hwi_leaf_block_bytes(model); i++)
            sum += page.blocks[i];
        for (uint32_t i = 0; i < page.count; i++) sum += page.slots[i];
        for (uint32_t j = 0; j < DIM; j++) sum += page.centre[j] > 0;
        for (uint32_t j = 0; j < model->dc; j++) sum += page.pcentre[j] > 0;
        demand(sum != 1 || page.count <= HWI_LEAF_ROWS_MAX);
    }
    hwi_free(aligned);
}

/* The input as record of node 3 of a stored tree whose other nodes are sound, and as a log entry. */
static void
as_tree(hw_bytes b)
{
    hw_store *store;
    hw_store_txn *txn;
    hwi_key prefix, key;
    hwi_tree *t, *out;
    hwi_bounds bounds;
    float anchor[DIM] = {1};
    hwi_index_state state = {.generation = 1, .next_node = NODES, .leaves = 1};

    demand(hwi_store_mem_new(&store, NULL) == HW_OK);
    demand(hwi_store_begin(store, HW_TXN_WRITE, &txn, NULL) == HW_OK);
    demand(hwi_tree_new(model, &t, NULL) == HW_OK);
    demand(hwi_tree_reserve_nodes(t, NODES, NULL) == HW_OK);
    hwi_bounds_empty(&bounds);
    demand(hwi_tree_add_leaf(t, 2, HWI_NODE_NONE, anchor, 0, &bounds, NULL) == HW_OK);
    hwi_generation_key(&prefix, HWI_SUB_TREE, 1, 1, 1);
    demand(hwi_tree_put_leaf(txn, &prefix, t, 2, NULL) == HW_OK);
    key = prefix;
    hwi_key_uint(&key, 3);
    demand(hwi_store_put(txn, hwi_key_view(&key), b, NULL) == HW_OK);
    for (state.leaves = 1; state.leaves <= 2; state.leaves++)
        if (hwi_tree_load(txn, 1, 1, model, &state, &out, NULL) == HW_OK) hwi_tree_unref(out);
    hwi_key_log(&key, 1, 1);
    demand(hwi_store_put_stamped(txn, hwi_key_view(&key), b, NULL) == HW_OK);
    state.leaves = 1;
    if (hwi_tree_refresh(txn, 1, 1, model, &state, t, 0, &out, NULL) == HW_OK) hwi_tree_unref(out);
    hwi_tree_unref(t);
    hwi_store_abort(txn);
    hwi_store_close(store);
}

static void
as_calibration(hw_bytes b)
{
    hwi_calibration *c;

    if (hwi_calibration_decode(b, &c, NULL) != HW_OK) return;
    for (uint32_t k = 1; k < 20000; k *= 7)
        for (double recall = 0.1; recall < 1; recall += 0.3)
            demand(hwi_calibration_pick(c, k, recall, 50, 100).leaves <= 50);
    hwi_calibration_unref(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    make_model();
    hw_bytes rest = {data + 1, size - 1};
    switch (data[0] % 4) {
    case 0:
        as_model(rest);
        break;
    case 1:
        as_page(rest);
        break;
    case 2:
        as_tree(rest);
        break;
    default:
        as_calibration(rest);
    }
    return 0;
}
