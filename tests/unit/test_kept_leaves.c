/* test_kept_leaves.c - what is kept of leaves gives the rows and bounds that the leaves themselves give,
 * within its memory, and does not have to be there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "index/lsh/lsh_filter.h"
#include "kernel/kernel.h"

#define LEAVES 7u
#define WORDS 4u
#define SLOTS 20000u
#define ALL ((size_t)1 << 30)

/* A view of leaves with random signatures and slots. */
typedef struct leaves {
    hwi_model model;
    hwi_tree tree;
    hwi_index_view view;
    hwi_leaf_ref ref[LEAVES];
    _Atomic(hwi_leaf_ref *) at[LEAVES];
    uint32_t slots[LEAVES][HWI_LEAF_ROWS_MAX];
    uint32_t *blocks[LEAVES];
} leaves;

static void
fill_leaf(leaves *l, hwi_rng *rng, uint32_t i, uint32_t count)
{
    uint32_t blocks = (count + 15) / 16;
    uint32_t *word = hwi_alloc_aligned(blocks * HWI_SIGNATURE_BLOCK_BYTES(WORDS) + 64);

    assert_non_null(word);
    l->blocks[i] = word;
    for (uint32_t b = 0; b < blocks; b++) {
        for (uint32_t w = 0; w < WORDS * 16; w++) *word++ = (uint32_t)hwi_rng_next(rng);
        for (uint32_t at = 0; at < 32; at++, word++) { /* A of 16 rows, then S */
            bool is_row = b * 16 + at % 16 < count;
            float nothing = at < 16 ? 1e30f : 0;
            float v = is_row ? (float)hwi_rng_normal(rng) + 2 : nothing;
            memcpy(word, &v, sizeof v);
        }
    }
    for (uint32_t r = 0; r < count; r++) l->slots[i][r] = (uint32_t)hwi_rng_below(rng, SLOTS);
    l->ref[i].page = (hwi_leaf_page){.blocks = (const uint8_t *)l->blocks[i],
                                     .slots = l->slots[i],
                                     .count = count,
                                     .block_count = blocks};
    atomic_init(&l->at[i], &l->ref[i]);
}

static void
init(leaves *l, hwi_rng *rng)
{
    static const uint32_t counts[LEAVES] = {0, 1, 15, 64, 256, 271, HWI_LEAF_ROWS_MAX};

    memset(l, 0, sizeof *l);
    l->model.words = WORDS, l->model.kernels = hwi_kernels_active();
    l->tree.leaf_count = LEAVES;
    l->view = (hwi_index_view){.model = &l->model, .tree = &l->tree, .leaves = l->at};
    for (uint32_t i = 0; i < LEAVES; i++) fill_leaf(l, rng, i, counts[i]);
}

static void
release(leaves *l)
{
    for (uint32_t i = 0; i < LEAVES; i++) hwi_free(l->blocks[i]);
}

typedef struct found {
    uint32_t row[HWI_LEAF_ROWS_MAX + 32];
    float bound[HWI_LEAF_ROWS_MAX + 32];
    size_t count;
    uint32_t matching;
} found;

/* A leaf's matching rows whose bounds lie below a cut, as a search finds them. */
static void
scan(leaves *l, hwi_leaf_filter *f, uint32_t position, found *out)
{
    static hwi_scan_query query;
    hwi_leaf_rows own;
    const hwi_leaf_rows *rows;
    hw_error err;

    for (uint32_t i = 0; i < sizeof query; i++) ((int8_t *)&query)[i] = (int8_t)(i % 31);
    assert_int_equal(hwi_leaf_filter_open(f, &l->view, position, &own, &rows, &err), HW_OK);
    out->matching = rows->count;
    out->count = l->model.kernels->scan(rows->blocks, rows->block_count, WORDS, &query, 0.01f, 0.1f,
                                        0.5f, 0, out->row, out->bound);
    out->count = hwi_leaf_filter_keep(f, rows, out->row, out->bound, out->count);
}

static hwi_accept
accept_of(roaring_bitmap_t *may, size_t bytes_most)
{
    hwi_accept a = {.may = may, .leaves = hwi_kept_leaves_new(bytes_most)};

    a.bits = hwi_accept_bits(may, SLOTS, &a.bits_below);
    assert_non_null(a.bits);
    assert_non_null(a.leaves);
    return a;
}

static void
release_accept(hwi_accept *a)
{
    hwi_free((void *)(uintptr_t)a->bits);
    hwi_kept_leaves_free(a->leaves);
}

static void
compare(leaves *l, const hwi_accept *a)
{
    static found plain, kept;
    hwi_leaf_filter without, with;
    hw_error err;

    assert_int_equal(hwi_leaf_filter_init(&without, a, SLOTS, &err), HW_OK);
    assert_int_equal(hwi_leaf_filter_init(&with, a, SLOTS, &err), HW_OK);
    hwi_leaf_filter_remember(&with, a, &l->view);
    for (uint32_t i = 0; i < LEAVES; i++) {
        scan(l, &without, i, &plain);
        scan(l, &with, i, &kept);
        assert_int_equal(kept.matching, plain.matching);
        assert_int_equal(kept.count, plain.count);
        assert_memory_equal(kept.row, plain.row, plain.count * sizeof *plain.row);
        assert_memory_equal(kept.bound, plain.bound, plain.count * sizeof *plain.bound);
    }
}

static roaring_bitmap_t *
some_slots(hwi_rng *rng, double share)
{
    roaring_bitmap_t *b = roaring_bitmap_create();

    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (hwi_rng_unit(rng) < share) roaring_bitmap_add(b, slot);
    return b;
}

/* Each filter three times: nothing kept, made, found. From all rows of a leaf down to none. */
static void
kept_leaves_give_the_same_rows_and_bounds(void **state)
{
    static const double shares[] = {1, 0.9, 0.6, 0.5, 0.1, 0.01, 0};
    static leaves l;
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 5);
    init(&l, &rng);
    for (size_t s = 0; s < HWI_COUNT(shares); s++) {
        roaring_bitmap_t *may = some_slots(&rng, shares[s]);
        hwi_accept a = accept_of(may, ALL);
        compare(&l, &a);
        size_t bytes = hwi_kept_leaves_bytes(a.leaves);
        assert_true(bytes > 0);
        compare(&l, &a);
        assert_int_equal(hwi_kept_leaves_bytes(a.leaves), bytes);
        release_accept(&a);
        roaring_bitmap_free(may);
    }
    release(&l);
}

/* Bounds from nothing to more than is needed: never exceeded, answers the same. */
static void
memory_is_not_exceeded(void **state)
{
    static leaves l;
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 6);
    init(&l, &rng);
    roaring_bitmap_t *may = some_slots(&rng, 0.3);
    for (size_t most = 0; most < 40000; most += 1000) {
        hwi_accept a = accept_of(may, most);
        compare(&l, &a);
        compare(&l, &a);
        assert_true(hwi_kept_leaves_bytes(a.leaves) <= most);
        release_accept(&a);
    }
    roaring_bitmap_free(may);
    release(&l);
}

/* The nth allocation fails, of the list of leaves or of one: that leaf is searched as it lies. */
static void
without_memory_leaves_are_searched_as_they_lie(void **state)
{
    static leaves l;
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 7);
    init(&l, &rng);
    roaring_bitmap_t *may = some_slots(&rng, 0.2);
    for (uint64_t nth = 1; nth < 10; nth++) {
        hwi_accept a = accept_of(may, ALL);
        (void)hwi_alloc_fail_at(nth);
        compare(&l, &a);
        (void)hwi_alloc_fail_at(0);
        compare(&l, &a);
        release_accept(&a);
    }
    roaring_bitmap_free(may);
    release(&l);
}

/* Leaves of two views, of two vector fields, do not mix. */
static void
each_view_has_its_own(void **state)
{
    static leaves one, two;
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 8);
    init(&one, &rng);
    init(&two, &rng);
    roaring_bitmap_t *may = some_slots(&rng, 0.2);
    hwi_accept a = accept_of(may, ALL);
    for (int i = 0; i < 3; i++) {
        compare(&one, &a);
        compare(&two, &a);
    }
    release_accept(&a);
    roaring_bitmap_free(may);
    release(&one);
    release(&two);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_leaves_give_the_same_rows_and_bounds),
        cmocka_unit_test(memory_is_not_exceeded),
        cmocka_unit_test(without_memory_leaves_are_searched_as_they_lie),
        cmocka_unit_test(each_view_has_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
