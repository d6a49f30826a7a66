/* Leaf pages: edited in memory, written, read again; and hostile bytes. */
#include "support/hwt_model.h"

#include <math.h>
#include <stdlib.h>

#include "index/lsh/leaf_edit.h"

enum { ROWS = 900, DIM = 24, NODE = 5 };

typedef struct world {
    hwt_set set;
    hwi_model *m;
    hw_store *store;
    float *x, *y, *scratch, *zero;
    uint8_t *codes;
} world;

static void
open_world(world *w, hwi_index_kind kind)
{
    hw_error err;

    hwt_set_init(&w->set, HWI_L2, DIM, ROWS);
    hwt_set_fill(&w->set, HWT_SPREAD, 3);
    w->m = hwt_model(&w->set, kind, 0);
    hwt_ok(hwi_store_mem_new(&w->store, &err), &err);
    w->x = hwt_floats(DIM), w->y = hwt_floats(w->m->out_dims), w->zero = hwt_floats(DIM + 64);
    w->scratch = hwt_floats(hwi_lsh_scratch_floats(w->m));
    w->codes = hwi_alloc_aligned(hwi_leaf_code_bytes(w->m));
}

static void
close_world(world *w)
{
    hwi_store_close(w->store);
    hwi_model_unref(w->m);
    hwt_set_release(&w->set);
    hwi_free(w->x);
    hwi_free(w->y);
    hwi_free(w->zero);
    hwi_free(w->scratch);
    hwi_free(w->codes);
}

/* Appends the vector of place `slot`. */
static void
append(world *w, hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t slot)
{
    hwi_centre centre = hwi_leaf_edit_centre(l);
    hwi_code code;
    hw_error err;

    hwt_frame(w->m, &w->set, slot, w->x, w->y);
    hwi_lsh_encode(w->m, &centre, w->x, w->y, w->scratch, &code, w->codes);
    l->radius = fmaxf(l->radius, sqrtf(code.radius_sq));
    hwt_ok(hwi_leaf_edit_append(e, l, slot, &code, w->codes, &err), &err);
}

/* A row's refine code: in memory when its part was changed, else still in the store. */
static const uint8_t *
refine_row(world *w, hw_store_txn *txn, const hwi_leaf_edit *l, uint32_t row)
{
    uint32_t per_part = hwi_leaf_rows_per_part(w->m), part = row / per_part;
    size_t row_bytes = hwi_leaf_row_bytes(w->m);
    hwi_key key;
    hw_bytes value;
    hw_error err;

    if (l->parts[part] == HWI_PART_DIRTY) return l->rows + row * row_bytes;
    hwi_key_leaf(&key, 1, 2, w->m->generation, l->node, part + 1);
    hwt_ok(hwi_store_get(txn, hwi_key_view(&key), &value, &err), &err);
    size_t at = HWI_PAGE_HEADER + row % per_part * row_bytes;
    assert_true(at + row_bytes <= value.size);
    return (const uint8_t *)value.data + at;
}

/* Every row of a leaf is the code of its slot's vector, and the slots are those expected. */
static void
expect_rows(world *w, hw_store_txn *txn, const hwi_leaf_edit *l, const bool *in, uint32_t count)
{
    size_t block_bytes = hwi_leaf_block_bytes(w->m);
    hwi_centre centre = hwi_leaf_edit_centre(l);
    hwi_code code;

    assert_int_equal(l->count, count);
    for (uint32_t slot = 0; slot < ROWS; slot++) {
        uint32_t row = hwi_leaf_edit_find(l, slot);
        assert_int_equal(row < l->count, in[slot]);
        if (!in[slot] || w->m->words == 0) continue;
        hwt_frame(w->m, &w->set, slot, w->x, w->y);
        hwi_lsh_encode(w->m, &centre, w->x, w->y, w->scratch, &code, w->codes);
        assert_memory_equal(refine_row(w, txn, l, row), w->codes, hwi_leaf_code_bytes(w->m));
        const uint8_t *block = l->blocks + row / 16 * block_bytes;
        for (uint32_t j = 0; j < w->m->words; j++)
            assert_int_equal(hwi_get_u32(block + j * 64 + row % 16 * 4), code.words[j]);
        assert_true(hwi_get_f32(block + w->m->words * 64 + row % 16 * 4) == code.a);
        assert_true(hwi_get_f32(block + w->m->words * 64 + 64 + row % 16 * 4) == code.s);
    }
}

/* Random appends and removals over several transactions against a plain list of what is in. */
static void
life_of(hwi_index_kind kind)
{
    static bool in[ROWS];
    world w;
    uint32_t count = 0;
    hwi_rng rng;
    hw_error err;

    memset(in, 0, sizeof in);
    hwi_rng_init(&rng, kind);
    open_world(&w, kind);
    for (uint32_t round = 0; round < 25; round++) {
        hw_store_txn *txn = hwt_begin(w.store, HW_TXN_WRITE);
        hwi_leaf_edits *e;
        hwi_leaf_edit *l;
        hwt_ok(hwi_leaf_edits_new(txn, 1, 2, w.m, &e, &err), &err);
        if (round == 0)
            hwt_ok(hwi_leaf_edits_create(e, NODE, w.zero, w.zero, &l, &err), &err);
        else
            hwt_ok(hwi_leaf_edits_get(e, NODE, &l, &err), &err);
        if (round % 2) hwt_ok(hwi_leaf_edit_read_parts(e, l, &err), &err); /* else read as needed */
        if (round % 2) expect_rows(&w, txn, l, in, count);
        uint32_t grows = round < 12 ? 80 : 25; /* percent */
        for (uint32_t i = 0; i < 60; i++) {
            uint32_t slot = (uint32_t)hwi_rng_below(&rng, ROWS);
            if (hwi_rng_below(&rng, 100) < grows) {
                if (!in[slot]) append(&w, e, l, slot), in[slot] = true, count++;
            } else if (count > 0) {
                uint32_t row = (uint32_t)hwi_rng_below(&rng, count);
                in[l->slots[row]] = false, count--;
                hwt_ok(hwi_leaf_edit_remove(e, l, row, &err), &err);
            }
        }
        hwt_ok(hwi_leaf_edit_read_parts(e, l, &err), &err);
        expect_rows(&w, txn, l, in, count);
        bool aborted = round % 7 == 3; /* nothing of it stays */
        if (!aborted) hwt_ok(hwi_leaf_edits_flush(e, &err), &err);
        if (aborted) {
            memset(in, 0, sizeof in);
            hwi_leaf_edits *before;
            hw_store_txn *read = hwt_begin(w.store, HW_TXN_READ);
            hwi_leaf_edit *stored;
            hwt_ok(hwi_leaf_edits_new(read, 1, 2, w.m, &before, &err), &err);
            hwt_ok(hwi_leaf_edits_get(before, NODE, &stored, &err), &err);
            count = stored->count;
            for (uint32_t i = 0; i < count; i++) in[stored->slots[i]] = true;
            hwi_leaf_edits_free(before);
            hwi_store_abort(read);
        }
        hwi_leaf_edits_free(e);
        if (aborted)
            hwi_store_abort(txn);
        else
            hwt_commit(txn);
    }
    close_world(&w);
}

static void
leaf_holds_what_was_appended_and_not_removed(void **state)
{
    (void)state;
    life_of(HWI_HYBRID);
    life_of(HWI_KDTREE);
    life_of(HWI_LSH);
}

static void
deleted_leaf_leaves_no_key(void **state)
{
    world w;
    hwi_leaf_edits *e;
    hwi_leaf_edit *l;
    hw_error err;
    (void)state;

    open_world(&w, HWI_HYBRID);
    for (int round = 0; round < 2; round++) {
        hw_store_txn *txn = hwt_begin(w.store, HW_TXN_WRITE);
        hwt_ok(hwi_leaf_edits_new(txn, 1, 2, w.m, &e, &err), &err);
        if (round == 0) {
            hwt_ok(hwi_leaf_edits_create(e, NODE, w.zero, w.zero, &l, &err), &err);
            for (uint32_t i = 0; i < 700; i++) append(&w, e, l, i); /* several parts */
        } else {
            hwt_ok(hwi_leaf_edits_delete(e, NODE, &err), &err);
        }
        hwt_ok(hwi_leaf_edits_flush(e, &err), &err);
        hwi_leaf_edits_free(e);
        hwt_commit(txn);
    }
    hw_store_txn *txn = hwt_begin(w.store, HW_TXN_READ);
    hwt_ok(hwi_leaf_edits_new(txn, 1, 2, w.m, &e, &err), &err);
    assert_int_equal(hwi_leaf_edits_get(e, NODE, &l, &err), HW_ECORRUPT);
    assert_non_null(strstr(err.message, "has no page"));
    hwi_leaf_edits_free(e);
    hwi_store_abort(txn);
    close_world(&w);
}

/* A page of `count` rows as bytes. */
static void
make_page(world *w, uint32_t count, hwi_buf *page, hwi_buf *part)
{
    hwi_leaf_edits *e;
    hwi_leaf_edit *l;
    hw_error err;
    hw_store_txn *txn = hwt_begin(w->store, HW_TXN_WRITE);

    hwt_ok(hwi_leaf_edits_new(txn, 1, 2, w->m, &e, &err), &err);
    hwt_ok(hwi_leaf_edits_create(e, NODE, w->zero, w->zero, &l, &err), &err);
    for (uint32_t i = 0; i < count; i++) append(w, e, l, i);
    hwi_leaf_edit_page(w->m, l, page);
    hwi_leaf_edit_part(w->m, l, 1, part);
    hwi_leaf_edits_free(e);
    hwi_store_abort(txn);
}

static void
page_of_any_other_size_is_refused(void **state)
{
    world w;
    hwi_buf page = {0}, part = {0};
    hwi_leaf_page out;
    hw_error err;
    (void)state;

    open_world(&w, HWI_HYBRID);
    for (uint32_t count = 0; count < 40; count += 13) {
        make_page(&w, count, &page, &part);
        assert_int_equal(page.size, hwi_leaf_page_bytes(w.m, count));
        hwt_ok(hwi_leaf_parse(w.m, hwi_buf_bytes(&page), &out, &err), &err);
        assert_int_equal(out.count, count);
        assert_int_equal(out.block_count, (count + 15) / 16);
        for (uint32_t i = 0; i < count; i++) assert_int_equal(out.slots[i], i);
        for (size_t size = 0; size < page.size; size++) {
            hw_bytes cut = {page.data, size};
            assert_int_equal(hwi_leaf_parse(w.m, cut, &out, &err), HW_ECORRUPT);
        }
    }
    hwi_buf_release(&page);
    hwi_buf_release(&part);
    close_world(&w);
}

/* A bit flipped anywhere: found when the leaf is read to be changed. */
static void
flipped_bit_is_found_by_the_checksum(void **state)
{
    world w;
    hwi_buf page = {0}, part = {0};
    hwi_key key;
    hw_error err;
    (void)state;

    open_world(&w, HWI_HYBRID);
    make_page(&w, 20, &page, &part);
    for (size_t at = 0; at < page.size + part.size; at += 3) {
        hw_store_txn *txn = hwt_begin(w.store, HW_TXN_WRITE);
        hwi_leaf_edits *e;
        hwi_leaf_edit *l;
        uint8_t *byte = at < page.size ? page.data + at : part.data + (at - page.size);
        *byte ^= 4;
        hwi_key_leaf(&key, 1, 2, w.m->generation, NODE, 0);
        hwt_ok(hwi_store_put(txn, hwi_key_view(&key), hwi_buf_bytes(&page), &err), &err);
        hwi_key_leaf(&key, 1, 2, w.m->generation, NODE, 1);
        hwt_ok(hwi_store_put(txn, hwi_key_view(&key), hwi_buf_bytes(&part), &err), &err);
        hwt_ok(hwi_leaf_edits_new(txn, 1, 2, w.m, &e, &err), &err);
        hw_status st = hwi_leaf_edits_get(e, NODE, &l, &err);
        if (st == HW_OK) st = hwi_leaf_edit_read_parts(e, l, &err);
        if (st != HW_ECORRUPT) fail_msg("flipping a bit of byte %zu goes unnoticed", at);
        hwi_leaf_edits_free(e);
        hwi_store_abort(txn);
        *byte ^= 4;
    }
    hwi_buf_release(&page);
    hwi_buf_release(&part);
    close_world(&w);
}

static void
largest_leaf_fits_a_value(void **state)
{
    static const uint32_t dims[] = {1, 17, 128, 784, 4096};
    (void)state;

    for (size_t d = 0; d < HWI_COUNT(dims); d++) {
        hwi_model m = {.dim = dims[d],
                       .dc = HWI_MIN(dims[d], 256u),
                       .bits = 256,
                       .words = 8,
                       .code_bits = d % 2 ? 4 : 8};
        assert_true(hwi_leaf_rows_max(&m) <= HWI_LEAF_ROWS_MAX);
        assert_true(hwi_leaf_rows_max(&m) >= 16);
        assert_true(hwi_leaf_page_bytes(&m, hwi_leaf_rows_max(&m)) <= HWI_STORE_VALUE_MAX);
        for (int named = 0; named < 2; named++) { /* as format 1 took them, as now */
            size_t rows = hwi_leaf_rows_per_part(&m);
            assert_true(rows > 0);
            assert_true(HWI_PAGE_HEADER + rows * hwi_leaf_row_bytes(&m) <= HWI_STORE_VALUE_MAX);
            m.part_pages = hwi_leaf_part_pages(&m);
            assert_true(m.part_pages <= HWI_PART_PAGES_MAX);
        }
        assert_int_equal(hwi_leaf_rows_per_part(&(hwi_model){.dim = 128, .code_bits = 8}), 240);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaf_holds_what_was_appended_and_not_removed),
        cmocka_unit_test(deleted_leaf_leaves_no_key),
        cmocka_unit_test(page_of_any_other_size_is_refused),
        cmocka_unit_test(flipped_bit_is_found_by_the_checksum),
        cmocka_unit_test(largest_leaf_fits_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
