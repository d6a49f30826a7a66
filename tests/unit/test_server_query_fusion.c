/* Lists of points: finding, joining and fusing them. */
#include "support/hwt.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "server/query/query.h"

/* A list of numbered points, all scores given. */
static hwi_hits
list_of(hwi_request *r, size_t count, const uint64_t *ids, const float *scores)
{
    hwi_hits h = {.ids = hwi_request_alloc(r, (count + 1) * sizeof *h.ids),
                  .scores = hwi_request_alloc(r, (count + 1) * sizeof *h.scores),
                  .count = count};
    for (size_t i = 0; i < count; i++) {
        h.ids[i] = HW_ID_U64(ids[i]);
        h.scores[i] = scores ? scores[i] : 0;
    }
    return h;
}

static void
assert_hits(const hwi_hits *h, size_t count, const uint64_t *ids, const float *scores)
{
    assert_int_equal(count, h->count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ids[i], h->ids[i].as.u64);
        if (fabsf(scores[i] - h->scores[i]) > 1e-6f)
            fail_msg("score %zu is %.8g, not %.8g", i, (double)h->scores[i], (double)scores[i]);
    }
}

/* Every id of all kinds is found where it stands, others nowhere, the first of equal ones wins. */
static void
a_map_finds_ids_of_all_kinds(void **state)
{
    (void)state;
    hwi_request r = {0};
    hw_id ids[2000], other = HW_ID_U64(5000);
    char texts[2000][8];
    for (size_t i = 0; i < HWI_COUNT(ids); i++) {
        ids[i] = HW_ID_U64(i);
        if (i % 3 == 1) {
            ids[i] = (hw_id){.kind = HW_ID_KIND_UUID};
            hwi_put_u32(ids[i].as.uuid, (uint32_t)i);
        } else if (i % 3 == 2) {
            snprintf(texts[i], sizeof texts[i], "%zu", i);
            ids[i] = (hw_id){.kind = HW_ID_KIND_TEXT, .text_bytes = (uint32_t)strlen(texts[i])};
            ids[i].as.text = texts[i];
        }
    }
    ids[1999] = ids[3];
    hwi_idmap map;
    assert_true(hwi_idmap_init(&r, ids, HWI_COUNT(ids), &map));
    for (size_t i = 0; i < HWI_COUNT(ids); i++) {
        assert_int_equal(i == 1999 ? 3 : i, hwi_idmap_find(&map, &ids[i]));
    }
    assert_true(hwi_idmap_find(&map, &other) == HWI_NOWHERE);
    hwi_arena_release(&r.arena);
}

static void
a_union_has_each_point_once_in_order(void **state)
{
    (void)state;
    hwi_request r = {0};
    hwi_hits lists[] = {list_of(&r, 3, (uint64_t[]){5, 1, 5}, NULL), list_of(&r, 0, NULL, NULL),
                        list_of(&r, 3, (uint64_t[]){2, 1, 9}, NULL)};
    hw_id *ids;
    size_t count;
    assert_true(hwi_hits_union(&r, lists, 3, &ids, &count));
    assert_int_equal(4, count);
    const uint64_t expected[] = {5, 1, 2, 9};
    for (size_t i = 0; i < 4; i++) assert_int_equal(expected[i], ids[i].as.u64);
    hwi_arena_release(&r.arena);
}

/* Sums of 1 / (rank + 1), worked out by hand. */
static void
ranks_add_up(void **state)
{
    (void)state;
    hwi_request r = {0};
    hwi_hits out, lists[] = {list_of(&r, 2, (uint64_t[]){2, 1}, NULL),
                             list_of(&r, 3, (uint64_t[]){1, 2, 3}, NULL),
                             list_of(&r, 3, (uint64_t[]){5, 3, 1}, NULL)};
    assert_true(hwi_fuse_rrf(&r, lists, 3, HWI_RRF_K, NULL, &out));
    assert_hits(&out, 4, (uint64_t[]){1, 2, 3, 5},
                (float[]){1 / 3.f + 1 / 2.f + 1 / 4.f, 1 / 2.f + 1 / 3.f, 1 / 4.f + 1 / 3.f, 0.5f});
    hwi_arena_release(&r.arena);
}

/* Weight 3 makes the third rank count as the first; weight 0 leaves points in with nothing. */
static void
weights_shrink_ranks(void **state)
{
    (void)state;
    hwi_request r = {0};
    hwi_hits out,
        lists[] = {list_of(&r, 3, (uint64_t[]){1, 2, 3}, NULL),
                   list_of(&r, 1, (uint64_t[]){4}, NULL), list_of(&r, 1, (uint64_t[]){5}, NULL)};
    assert_true(hwi_fuse_rrf(&r, lists, 3, 2, (float[]){3, 1, 0}, &out));
    assert_hits(&out, 5, (uint64_t[]){1, 2, 3, 4, 5},
                (float[]){1 / (1 / 3.f + 1), 1 / (2 / 3.f + 1), 0.5f, 0.5f, 0});
    hwi_arena_release(&r.arena);
}

static void
scores_are_scaled_by_mean_and_deviation(void **state)
{
    (void)state;
    hwi_request r = {0};
    hwi_hits out, lists[] = {list_of(&r, 3, (uint64_t[]){1, 2, 3}, (float[]){3, 2, 1}),
                             list_of(&r, 2, (uint64_t[]){3, 4}, (float[]){7, 7}),
                             list_of(&r, 1, (uint64_t[]){4}, (float[]){100})};
    /* 3, 2, 1: mean 2, deviation 1, so -1 to 5 becomes 0 to 1; all the same, or alone: 0.5 */
    assert_true(hwi_fuse_dbsf(&r, lists, 3, &out));
    assert_hits(&out, 4, (uint64_t[]){4, 3, 1, 2},
                (float[]){1.0f, 2 / 6.f + 0.5f, 4 / 6.f, 3 / 6.f});
    hwi_arena_release(&r.arena);
}

/* With k 1 and the largest weights a rank counts as much as a float can hold, or more. */
static void
sums_stay_finite(void **state)
{
    (void)state;
    hwi_request r = {0};
    const float huge[] = {FLT_MAX, -FLT_MAX, FLT_MAX};
    hwi_hits lists[] = {list_of(&r, 3, (uint64_t[]){1, 2, 3}, huge),
                        list_of(&r, 2, (uint64_t[]){1, 3}, huge)};
    hwi_hits out;
    assert_true(hwi_fuse_rrf(&r, lists, 2, 1, (float[]){FLT_MAX, FLT_MAX}, &out));
    assert_int_equal(3, out.count);
    for (size_t i = 0; i < out.count; i++) assert_true(isfinite(out.scores[i]));
    assert_true(hwi_fuse_dbsf(&r, lists, 2, &out));
    for (size_t i = 0; i < out.count; i++) assert_true(isfinite(out.scores[i]));
    hwi_arena_release(&r.arena);
}

static void
nothing_fuses_to_nothing(void **state)
{
    (void)state;
    hwi_request r = {0};
    hwi_hits out, lists[] = {list_of(&r, 0, NULL, NULL)};
    assert_true(hwi_fuse_rrf(&r, lists, 1, 2, NULL, &out));
    assert_int_equal(0, out.count);
    assert_true(hwi_fuse_dbsf(&r, lists, 1, &out));
    assert_int_equal(0, out.count);
    hwi_arena_release(&r.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_finds_ids_of_all_kinds),
        cmocka_unit_test(a_union_has_each_point_once_in_order),
        cmocka_unit_test(ranks_add_up),
        cmocka_unit_test(weights_shrink_ranks),
        cmocka_unit_test(scores_are_scaled_by_mean_and_deviation),
        cmocka_unit_test(sums_stay_finite),
        cmocka_unit_test(nothing_fuses_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
