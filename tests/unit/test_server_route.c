/* Paths and the rows they mean. */
#include "support/hwt.h"

#include <stdio.h>

#include "server/route.h"

static hwi_path
split(hwi_arena *arena, const char *uri)
{
    hwi_path p;
    if (!hwi_path_split(uri, arena, &p)) fail_msg("refused: %s", uri);
    return p;
}

static void
paths_are_normalised_and_decoded(void **state)
{
    (void)state;
    const char *cases[][2] = {
        {"/", "/"},
        {"", ""},
        {"///", "/"},
        {"/collections/", "/collections"},
        {"//collections//a//", "/collections/a"},
        {"/collections/a%20b?x=/y/", "/collections/a b"},
        {"/collections/%C3%A4", "/collections/\xc3\xa4"},
        {"/a#b/c", "/a"},
    };
    hwi_arena arena = {0};
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        if (cases[i][0][0] == '\0') continue;
        assert_string_equal(cases[i][1], split(&arena, cases[i][0]).text);
    }
    hwi_path p = split(&arena, "/a%2Fb/c");
    assert_int_equal(2, p.count);
    assert_string_equal("a/b", p.parts[0]);
    hwi_arena_release(&arena);
}

static void
paths_that_could_escape_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {"",           "x",
                         "/../etc",    "/a/..",
                         "/%2e%2E/a",  "/a/.",
                         "/a%00b",     "/%",
                         "/%4",        "/%zz",
                         "/%ff",       "*",
                         "http://a/b", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    hwi_arena arena = {0};
    hwi_path p;
    for (size_t i = 0; i < HWI_COUNT(bad); i++)
        if (hwi_path_split(bad[i], &arena, &p)) fail_msg("accepted: %s", bad[i]);
    hwi_arena_release(&arena);
}

static const hwi_route *
find(hwi_arena *arena, hwi_method method, const char *uri, const char **params, uint32_t *allowed)
{
    hwi_path p = split(arena, uri);
    return hwi_route_find(&p, method, params, allowed);
}

static void
the_row_with_literal_parts_wins(void **state)
{
    (void)state;
    hwi_arena arena = {0};
    const char *params[HWI_PARAMS_MAX];
    uint32_t allowed;
    const hwi_route *r;
    r = find(&arena, HWI_POST, "/collections/aliases", params, &allowed);
    assert_string_equal("/collections/aliases", r->pattern);
    r = find(&arena, HWI_GET, "/collections/points/points/points", params, &allowed);
    assert_string_equal("/collections/{collection}/points/{id}", r->pattern);
    assert_string_equal("points", params[hwi_route_param(r, "collection")]);
    assert_string_equal("points", params[hwi_route_param(r, "id")]);
    assert_int_equal(-1, hwi_route_param(r, "i"));
    r = find(&arena, HWI_HEAD, "/healthz", params, &allowed);
    assert_string_equal("/healthz", r->pattern);
    hwi_arena_release(&arena);
}

static void
a_path_without_the_method_tells_which_it_has(void **state)
{
    (void)state;
    hwi_arena arena = {0};
    const char *params[HWI_PARAMS_MAX];
    uint32_t allowed;
    assert_null(find(&arena, HWI_PATCH, "/collections/a/points", params, &allowed));
    assert_int_equal(1u << HWI_PUT | 1u << HWI_POST, allowed);
    assert_null(find(&arena, HWI_GET, "/nothing", params, &allowed));
    assert_int_equal(0, allowed);
    hwi_arena_release(&arena);
}

/* No two rows mean the same, and each is found by its own pattern. */
static void
every_row_is_reached(void **state)
{
    (void)state;
    hwi_arena arena = {0};
    const hwi_route *r;
    size_t i;
    for (i = 0; (r = hwi_route_at(i)) != NULL; i++) {
        const char *params[HWI_PARAMS_MAX];
        char uri[256];
        uint32_t allowed;
        snprintf(uri, sizeof uri, "%s", r->pattern);
        for (char *c = uri; *c; c++)
            if (*c == '{' || *c == '}' || *c == '.') *c = 'x';
        if (find(&arena, r->method, uri, params, &allowed) != r)
            fail_msg("%s %s is hidden", hwi_method_name(r->method), r->pattern);
        assert_int_equal(i, hwi_route_index(r));
    }
    assert_true(i > 50);
    hwi_arena_release(&arena);
}

/* Whoever may read cannot be let write by a wrong row: what changes things asks for more. */
static void
rows_that_change_things_need_more_than_reading(void **state)
{
    (void)state;
    const hwi_route *r;
    for (size_t i = 0; (r = hwi_route_at(i)) != NULL; i++) {
        bool changes = r->method == HWI_PUT || r->method == HWI_PATCH || r->method == HWI_DELETE;
        if (changes && r->need < HWI_NEED_WRITE)
            fail_msg("%s %s", hwi_method_name(r->method), r->pattern);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_normalised_and_decoded),
        cmocka_unit_test(paths_that_could_escape_are_refused),
        cmocka_unit_test(the_row_with_literal_parts_wins),
        cmocka_unit_test(a_path_without_the_method_tells_which_it_has),
        cmocka_unit_test(every_row_is_reached),
        cmocka_unit_test(rows_that_change_things_need_more_than_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
