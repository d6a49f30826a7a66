/* The index as people see it: what the JSON of tree, leaf and map says is true of the data. */
#include "support/hwt_db.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define N 3000u
#define DIM 16u

typedef struct fixture {
    hw_db *db;
    hw_collection *c;
    hwi_arena arena;
} fixture;

/* N vectors that differ most along the first axis, then along the second. */
static void
setup(fixture *f, const char *config)
{
    hw_error err;
    hw_id *ids = malloc(N * sizeof *ids);
    float *rows = malloc(N * DIM * sizeof *rows);

    hwt_ok(hw_db_open("mem:", NULL, &f->db, &err), &err);
    f->c = hwt_collection(f->db, "c", config);
    srand(7);
    for (uint32_t i = 0; i < N; i++) {
        ids[i] = HW_ID_U64(i);
        for (uint32_t d = 0; d < DIM; d++) {
            float wide = d == 0 ? 30.0f : d == 1 ? 10.0f : 1.0f;
            rows[i * DIM + d] = wide * ((float)rand() / (float)RAND_MAX - 0.5f);
        }
    }
    hwt_ok(hw_collection_upsert(f->c, ids, rows, N, NULL, &err), &err);
    hwt_ok(hw_collection_build(f->c, NULL, NULL, &err), &err);
    f->arena = (hwi_arena){0};
    free(ids);
    free(rows);
}

static void
teardown(fixture *f)
{
    hwi_arena_release(&f->arena);
    hw_collection_close(f->c);
    hw_db_close(f->db);
}

static const hwi_json *
parsed(fixture *f, char *text)
{
    hw_error err;
    const hwi_json *json;
    hwt_ok(hwi_json_parse(text, strlen(text), &f->arena, &json, &err), &err);
    hw_free(text);
    return json;
}

static uint32_t
number(const hwi_json *o, const char *key)
{
    const hwi_json *m = hwi_json_member(o, key);
    assert_non_null(m);
    return (uint32_t)m->number;
}

static const hwi_json *
tree_of(fixture *f)
{
    hw_error err;
    char *text;
    hwt_ok(hw_collection_tree(f->c, NULL, &text, &err), &err);
    return parsed(f, text);
}

/* One root; every other node is a child of its parent; the leaves hold every vector. */
static void
tree_is_whole(void **state)
{
    (void)state;
    fixture f;
    uint32_t roots = 0, leaves = 0, rows = 0;

    setup(&f, "{\"dim\": 16, \"metric\": \"l2\", \"index\": {\"leaf_size\": 64}}");
    const hwi_json *tree = tree_of(&f), *nodes = hwi_json_member(tree, "nodes");
    for (const hwi_json *n = nodes->child; n; n = n->next) {
        const hwi_json *parent = hwi_json_member(n, "parent");
        bool is_child = false;
        roots += !parent;
        if (!hwi_json_member(n, "left")) leaves++, rows += number(n, "rows");
        for (const hwi_json *p = nodes->child; parent && p; p = p->next)
            if (number(p, "node") == (uint32_t)parent->number)
                is_child = number(p, "left") == number(n, "node") ||
                           number(p, "right") == number(n, "node");
        assert_true(is_child || !parent);
    }
    assert_int_equal(1, roots);
    assert_int_equal(number(tree, "leaves"), leaves);
    assert_int_equal(N, rows);
    teardown(&f);
}

/* Every leaf opens, each id is in one leaf, buckets ascend and are the first bits of signatures. */
static void
leaves_hold_every_id_once_in_bucket_order(void **state)
{
    (void)state;
    fixture f;
    uint8_t seen[N] = {0};
    hw_error err;

    setup(&f, "{\"dim\": 16, \"metric\": \"l2\", \"index\": {\"leaf_size\": 64}}");
    const hwi_json *tree = tree_of(&f);
    uint32_t digits = number(tree, "bits") / 4;
    for (const hwi_json *n = hwi_json_member(tree, "nodes")->child; n; n = n->next) {
        if (hwi_json_member(n, "left")) continue;
        char *text;
        uint32_t bucket = 0, rows = 0;
        hwt_ok(hw_collection_leaf(f.c, "", number(n, "node"), &text, &err), &err);
        const hwi_json *leaf = parsed(&f, text);
        for (const hwi_json *s = hwi_json_member(leaf, "signatures")->child; s; s = s->next) {
            const hwi_json *bits = hwi_json_member(s, "bits");
            seen[number(s, "id")]++;
            rows++;
            assert_true(number(s, "bucket") >= bucket);
            bucket = number(s, "bucket");
            assert_int_equal(digits, bits->text_bytes);
            uint32_t digit = (uint32_t)strtoul((char[]){bits->text[0], 0}, NULL, 16);
            uint32_t mirrored =
                (digit & 8) >> 3 | (digit & 4) >> 1 | (digit & 2) << 1 | (digit & 1) << 3;
            assert_int_equal(bucket, mirrored);
        }
        assert_int_equal(number(n, "rows"), rows);
    }
    for (uint32_t i = 0; i < N; i++) assert_int_equal(1, seen[i]);
    char *text;
    assert_int_equal(HW_ENOTFOUND, hw_collection_leaf(f.c, "", 0, &text, &err)); /* the root */
    assert_int_equal(HW_ENOTFOUND, hw_collection_leaf(f.c, "", 1u << 30, &text, &err));
    assert_int_equal(HW_ENOTFOUND, hw_collection_tree(f.c, "other", &text, &err));
    teardown(&f);
}

/* As many points as asked for, spread as the data is, and the share of the two wide axes. */
static void
map_shows_the_widest_axes(void **state)
{
    (void)state;
    fixture f;
    hw_error err;
    char *text;
    uint32_t points = 0;
    double widest[2] = {0, 0};

    setup(&f, "{\"dim\": 16, \"metric\": \"l2\", \"index\": {\"leaf_size\": 64}}");
    hwt_ok(hw_collection_map(f.c, NULL, 500, &text, &err), &err);
    const hwi_json *map = parsed(&f, text);
    for (const hwi_json *p = hwi_json_member(map, "points")->child; p; p = p->next, points++) {
        widest[0] = fmax(widest[0], fabs(hwi_json_member(p, "x")->number));
        widest[1] = fmax(widest[1], fabs(hwi_json_member(p, "y")->number));
    }
    assert_int_equal(500, points);
    assert_true(widest[0] > 13 && widest[0] < 17);
    assert_true(widest[1] > 4 && widest[1] < 7);
    assert_int_equal(number(tree_of(&f), "leaves"), hwi_json_member(map, "anchors")->count);
    const hwi_json *share = hwi_json_member(map, "share");
    assert_true(fabs(share->child->number - 900.0 / 1014) < 0.03);
    assert_true(fabs(share->child->next->number - 100.0 / 1014) < 0.03);
    assert_int_equal(HW_EINVAL, hw_collection_map(f.c, NULL, 0, &text, &err));
    assert_int_equal(HW_EINVAL, hw_collection_map(f.c, NULL, HW_MAP_POINTS_MAX + 1, &text, &err));
    teardown(&f);
}

/* Each kind of index, each metric and a collection without an index can be shown. */
static void
every_kind_can_be_shown(void **state)
{
    (void)state;
    static const char *const kinds[] = {"hybrid", "kdtree", "lsh", "flat"};
    static const char *const metrics[] = {"l2", "cosine", "dot", "l1"};

    for (size_t k = 0; k < HWI_COUNT(kinds); k++) {
        fixture f;
        hw_error err;
        char config[128], *text;
        snprintf(config, sizeof config,
                 "{\"dim\": 16, \"metric\": \"%s\", \"index\": {\"kind\": \"%s\"}}", metrics[k],
                 kinds[k]);
        setup(&f, config);
        assert_string_equal(kinds[k], hwi_json_member(tree_of(&f), "kind")->text);
        hwt_ok(hw_collection_map(f.c, NULL, 100, &text, &err), &err);
        assert_int_equal(k < 3 ? 100 : 0, hwi_json_member(parsed(&f, text), "points")->count);
        teardown(&f);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_is_whole),
        cmocka_unit_test(leaves_hold_every_id_once_in_bucket_order),
        cmocka_unit_test(map_shows_the_widest_axes),
        cmocka_unit_test(every_kind_can_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
