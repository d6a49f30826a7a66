/* Any bytes as JSON: simdjson and the careful parser accept the same texts and build the same tree,
 * what is written parses again to the same text, and reading a vector agrees with the tree. */
#include <math.h>
#include <stdlib.h>

#include "base/json_shim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
demand(bool condition)
{
    if (!condition) abort();
}

static hwi_buf
written(const hwi_json *tree)
{
    hwi_buf b = {0};
    hwi_json_write(&b, tree);
    demand(!b.failed);
    return b;
}

static void
demand_equal_text(const hwi_json *a, const hwi_json *b)
{
    hwi_buf x = written(a), y = written(b);
    demand(x.size == y.size && memcmp(x.data, y.data, x.size) == 0);
    hwi_buf_release(&x);
    hwi_buf_release(&y);
}

static void
check_vector(const char *text, size_t size, const hwi_json *tree)
{
    float values[64];
    size_t count;
    if (hwi_json_floats(text, size, values, HWI_COUNT(values), &count, NULL) != HW_OK) return;
    demand(tree && tree->kind == HWI_JSON_ARRAY && tree->count == count);
    size_t i = 0;
    for (const hwi_json *n = tree->child; n; n = n->next, i++)
        demand(hwi_json_is_number(n) && (float)n->number == values[i] && isfinite(values[i]));
}

/* All numbers of a packed array are those of the array that is not. */
static void
check_items(const hwi_json *packed, const hwi_json *plain)
{
    hwi_json_items items;
    const hwi_json *p = hwi_json_first(&items, packed), *n = plain->child;
    demand(packed->kind == plain->kind && packed->count == plain->count);
    for (; p && n; p = hwi_json_next(&items), n = n->next) {
        demand(p->kind == n->kind && p->integer == n->integer);
        if (n->kind == HWI_JSON_ARRAY || n->kind == HWI_JSON_OBJECT)
            check_items(p, n);
        else
            demand(memcmp(&p->number, &n->number, sizeof p->number) == 0);
    }
    demand(!p && !n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    hwi_arena arena = {0};
    const hwi_json *fast, *packed, *careful, *again;
    hw_error err = {0};
    hw_id id;

    hwi_json_verdict verdict = hwi_json_simd(text, size, false, &arena, &fast);
    hw_status st = hwi_json_parse_careful(text, size, &arena, &careful, &err);
    demand((verdict == HWI_JSON_PARSED) == (fast != NULL));
    demand((st == HW_OK) == (careful != NULL));
    if (fast) {
        demand(careful != NULL);
        demand_equal_text(fast, careful);
        demand(hwi_json_simd(text, size, true, &arena, &packed) == HWI_JSON_PARSED);
        demand_equal_text(packed, careful);
        check_items(packed, fast);
    }
    check_vector(text, size, careful);
    if (careful) {
        hwi_buf b = written(careful);
        demand(hwi_json_parse((char *)b.data, b.size, &arena, &again, &err) == HW_OK);
        demand_equal_text(careful, again);
        hwi_buf_release(&b);
        (void)!hwi_json_id(careful, &id, &err);
    }
    hwi_arena_release(&arena);
    return 0;
}
