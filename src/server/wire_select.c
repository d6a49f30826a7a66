/* wire_select.c - the part of a payload that a client asked for.
 *
 * The payload is walked with the path of the place we are at; a value is kept or dropped by
 * comparing that path with each pattern:
 *
 *     include "a.b"    keeps a (on the way), a.b, and everything below a.b
 *     exclude "a.b"    drops a.b and everything below
 *
 * An element of an array is a step `[]` whatever its position, as in Qdrant; `[3]` therefore never
 * selects, and "a.b" does not reach into an array at a, but "a[].b" does.
 */
#include "server/wire_select.h"

#include <ctype.h>

#define STEPS_MAX HWI_JSON_DEPTH_MAX

typedef enum step_kind { STEP_KEY, STEP_ALL, STEP_INDEX } step_kind;

typedef struct step {
    step_kind kind;
    const char *key;
    size_t key_bytes;
} step;

typedef struct path {
    step steps[STEPS_MAX + 1];
    size_t count;
} path;

typedef struct selection {
    hwi_buf *out;
    const path *patterns;
    size_t count;
    bool is_exclude;
    path at;
} selection;

/* ---- Paths */

static bool
is_raw(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '-' || c >= 0x80;
}

/* One key, raw or quoted, at *at; false if there is none. */
static bool
read_key(const char *text, size_t bytes, size_t *at, step *out)
{
    size_t from = *at, to;
    bool is_quoted = from < bytes && text[from] == '"';
    if (is_quoted) {
        for (to = ++from; to < bytes && text[to] != '"'; to++) {
            if (text[to] == '\\') return false;
        }
        if (to == bytes) return false;
        *at = to + 1;
    } else {
        for (to = from; to < bytes && is_raw((uint8_t)text[to]); to++) continue;
        if (to == from) return false;
        *at = to;
    }
    *out = (step){STEP_KEY, text + from, to - from};
    return true;
}

static bool
read_bracket(const char *text, size_t bytes, size_t *at, step *out)
{
    size_t from = *at + 1, to = from;
    while (to < bytes && isdigit((uint8_t)text[to])) to++;
    if (to == bytes || text[to] != ']') return false;
    *out = (step){.kind = to == from ? STEP_ALL : STEP_INDEX};
    *at = to + 1;
    return true;
}

static bool
read_path(const char *text, size_t bytes, path *out)
{
    size_t at = 0;
    out->count = 1;
    if (!read_key(text, bytes, &at, &out->steps[0])) return false;
    while (at < bytes) {
        if (out->count > STEPS_MAX) return false;
        step *next = &out->steps[out->count++];
        if (text[at] == '[') {
            if (!read_bracket(text, bytes, &at, next)) return false;
        } else {
            if (text[at++] != '.' || !read_key(text, bytes, &at, next)) return false;
        }
    }
    return true;
}

bool
hwi_select_is_path(const char *text, size_t bytes)
{
    path p;
    return read_path(text, bytes, &p);
}

/* ---- Keeping and dropping */

static bool
same_steps(const path *a, const path *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const step *x = &a->steps[i], *y = &b->steps[i];
        if (x->kind != y->kind) return false;
        if (x->kind != STEP_KEY) continue;
        if (x->key_bytes != y->key_bytes || memcmp(x->key, y->key, x->key_bytes) != 0) {
            return false;
        }
    }
    return true;
}

static bool
is_kept(const selection *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const path *p = &s->patterns[i];
        size_t common = HWI_MIN(p->count, s->at.count);
        bool is_hit = s->is_exclude ? p->count <= s->at.count : true;
        if (is_hit && same_steps(p, &s->at, common)) return !s->is_exclude;
    }
    return s->is_exclude;
}

static void
write_kept(selection *s, const hwi_json *j)
{
    bool is_object = j->kind == HWI_JSON_OBJECT, is_first = true;
    if (!is_object && j->kind != HWI_JSON_ARRAY) {
        hwi_json_write(s->out, j);
        return;
    }
    hwi_buf_text(s->out, is_object ? "{" : "[");
    step *here = &s->at.steps[s->at.count++]; /* depth is bounded by the parser */
    for (const hwi_json *i = j->child; i; i = i->next) {
        *here = is_object ? (step){STEP_KEY, i->key, i->key_bytes} : (step){.kind = STEP_ALL};
        if (!is_kept(s)) continue;
        if (!is_first) hwi_buf_text(s->out, ",");
        is_first = false;
        if (is_object) {
            hwi_json_write_text(s->out, i->key, i->key_bytes);
            hwi_buf_text(s->out, ":");
        }
        write_kept(s, i);
    }
    s->at.count--;
    hwi_buf_text(s->out, is_object ? "}" : "]");
}

void
hwi_select_write(hwi_request *r, const char *text, size_t bytes, const hwi_json *include,
                 const hwi_json *exclude)
{
    const hwi_json *payload, *wanted = include ? include : exclude;
    hwi_arena arena = {0};
    selection s = {.out = &r->out, .is_exclude = exclude != NULL};
    path *patterns = hwi_arena_alloc(&arena, (wanted->count + 1) * sizeof *patterns);
    if (!patterns || hwi_json_parse(text, bytes, &arena, &payload, NULL) != HW_OK) {
        r->out.failed = true; /* out of memory: what is stored was parsed before */
    } else {
        for (const hwi_json *j = wanted->child; j; j = j->next) {
            if (read_path(j->text, j->text_bytes, &patterns[s.count])) s.count++;
        }
        s.patterns = patterns;
        write_kept(&s, payload);
    }
    hwi_arena_release(&arena);
}
