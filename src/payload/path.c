/* path.c - payload paths, parsed once and walked often.
 *
 *     path   = key { "." key | "[]" | "[" digits "]" }
 *     key    = one or more bytes other than . [ ] "      or      "..." of any bytes but "
 *
 * The grammar is Qdrant's, save that unquoted keys may hold any byte that does not end them. A step
 * never passes through an array by itself: "a.b" finds nothing when a is an array, "a[].b" does.
 * The walk recurses once per step, so its stack is bounded by HWI_PATH_STEPS_MAX.
 */
#include "payload/path.h"

typedef struct parser {
    const char *text;
    size_t bytes, at;
    hwi_step steps[HWI_PATH_STEPS_MAX];
    size_t count;
    hwi_buf canonical;
    hw_error *err;
} parser;

static hw_status
expected(const parser *p, const char *what)
{
    return hwi_fail(p->err, HW_EINVAL, "path `%.*s`: expected %s at byte %zu",
                    (int)HWI_MIN(p->bytes, (size_t)80), p->text, what, p->at);
}

static hw_status
add_step(parser *p, hwi_step step)
{
    if (p->count == HWI_PATH_STEPS_MAX)
        return hwi_fail(p->err, HW_EINVAL, "path has more than %u steps", HWI_PATH_STEPS_MAX);
    p->steps[p->count++] = step;
    return HW_OK;
}

static bool
ends_key(char c)
{
    return c == '.' || c == '[' || c == ']' || c == '"';
}

/* Quotes are written back only where the key needs them, so that `"a"` and `a` are one path. */
static void
write_key(hwi_buf *b, const char *key, size_t bytes)
{
    bool quote = bytes == 0;
    for (size_t i = 0; i < bytes; i++) quote = quote || ends_key(key[i]);
    if (quote) hwi_buf_add(b, "\"", 1);
    hwi_buf_add(b, key, bytes);
    if (quote) hwi_buf_add(b, "\"", 1);
}

static hw_status
parse_key(parser *p)
{
    bool quoted = p->at < p->bytes && p->text[p->at] == '"';
    size_t from = p->at + (quoted ? 1 : 0), to = from;

    if (quoted) {
        while (to < p->bytes && p->text[to] != '"') to++;
        if (to == p->bytes) return expected(p, "a closing quote for the one");
    } else {
        while (to < p->bytes && !ends_key(p->text[to])) to++;
        if (to == from) return expected(p, "a key");
    }
    p->at = to + (quoted ? 1 : 0);
    write_key(&p->canonical, p->text + from, to - from);
    return add_step(p, (hwi_step){HWI_STEP_KEY, p->text + from, to - from, 0});
}

static hw_status
parse_bracket(parser *p)
{
    uint64_t index = 0;
    size_t from = ++p->at;

    while (p->at < p->bytes && p->text[p->at] >= '0' && p->text[p->at] <= '9') {
        index = index * 10 + (uint64_t)(p->text[p->at] - '0');
        if (index > UINT32_MAX) return expected(p, "an index below 2^32");
        p->at++;
    }
    bool all = p->at == from;
    if (p->at == p->bytes || p->text[p->at] != ']') return expected(p, "digits or `]`");
    p->at++;
    if (all)
        hwi_buf_text(&p->canonical, "[]");
    else
        hwi_buf_printf(&p->canonical, "[%llu]", (unsigned long long)index);
    return add_step(p, (hwi_step){all ? HWI_STEP_ALL : HWI_STEP_INDEX, NULL, 0, index});
}

static hw_status
parse_steps(parser *p)
{
    if (p->bytes > HWI_PATH_BYTES_MAX)
        return hwi_fail(p->err, HW_EINVAL, "path of %zu bytes is above the maximum %u", p->bytes,
                        HWI_PATH_BYTES_MAX);
    HWI_TRY(parse_key(p));
    while (p->at < p->bytes) {
        if (p->text[p->at] == '[') {
            HWI_TRY(parse_bracket(p));
        } else if (p->text[p->at] == '.') {
            p->at++;
            hwi_buf_text(&p->canonical, ".");
            HWI_TRY(parse_key(p));
        } else {
            return expected(p, "`.` or `[`");
        }
    }
    return HW_OK;
}

/* Keys borrow from the caller's text until here; now they move into the arena. */
static hw_status
keep(const parser *p, hwi_arena *arena, const hwi_path **out)
{
    hwi_path *path = hwi_arena_alloc(arena, sizeof *path);
    hwi_step *steps = hwi_arena_alloc(arena, p->count * sizeof *steps);
    char *text = hwi_arena_text(arena, (const char *)p->canonical.data, p->canonical.size);
    char *keys = hwi_arena_text(arena, p->text, p->bytes);

    if (!path || !steps || !text || !keys || p->canonical.failed)
        return hwi_nomem(p->err, p->count * sizeof *steps);
    *path = (hwi_path){steps, p->count, text, false};
    for (size_t i = 0; i < p->count; i++) {
        steps[i] = p->steps[i];
        if (steps[i].key) steps[i].key = keys + (p->steps[i].key - p->text);
        path->fans_out = path->fans_out || steps[i].kind == HWI_STEP_ALL;
    }
    *out = path;
    return HW_OK;
}

hw_status
hwi_path_parse(const char *text, size_t bytes, hwi_arena *arena, const hwi_path **out,
               hw_error *err)
{
    parser p = {.text = text, .bytes = bytes, .err = err};

    *out = NULL;
    hw_status st = parse_steps(&p);
    if (st == HW_OK) st = keep(&p, arena, out);
    hwi_buf_release(&p.canonical);
    return st;
}

const hwi_json *
hwi_path_member(const hwi_json *object, const char *key, size_t bytes)
{
    const hwi_json *found = NULL;

    if (!object || object->kind != HWI_JSON_OBJECT) return NULL;
    for (const hwi_json *m = object->child; m; m = m->next)
        if (m->key_bytes == bytes && memcmp(m->key, key, bytes) == 0) found = m;
    return found;
}

static bool
walk(const hwi_step *step, size_t left, const hwi_json *value, hwi_path_fn fn, void *arg)
{
    if (!value) return true;
    if (left == 0) return fn(arg, value);
    if (step->kind == HWI_STEP_KEY)
        return walk(step + 1, left - 1, hwi_path_member(value, step->key, step->key_bytes), fn,
                    arg);
    if (value->kind != HWI_JSON_ARRAY) return true;
    if (step->kind == HWI_STEP_INDEX) {
        const hwi_json *e = value->child;
        for (uint64_t i = 0; e && i < step->index; i++) e = e->next;
        return walk(step + 1, left - 1, e, fn, arg);
    }
    for (const hwi_json *e = value->child; e; e = e->next)
        if (!walk(step + 1, left - 1, e, fn, arg)) return false;
    return true;
}

bool
hwi_path_walk(const hwi_path *path, const hwi_json *root, hwi_path_fn fn, void *arg)
{
    return walk(path->steps, path->count, root, fn, arg);
}
