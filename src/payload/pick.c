/* pick.c - parse what a filter asks for, step over the rest.
 *
 * A filter looks at one or two members of a payload that may have fifty. Building a tree of all of
 * it costs more than the test itself: allocations, a node and two copies of text for every member.
 * Here one pass steps over what is not wanted by counting brackets and skipping strings, builds
 * nodes for what is, and lets texts without escapes point into the payload:
 *
 *     {"title": "...", "label": 3, "tags": ["a", "b"], "body": "...."}
 *      ^ skipped       ^ wanted    ^ skipped           ^ skipped
 *
 * It knows plain JSON only. An escape in a key or a wanted text, nesting beyond the limit, or
 * anything it does not expect makes it give up, and hwi_json_parse read the payload instead: so
 * what a payload means, and what is wrong with it, is said in one place. Memory is a fixed pool of
 * nodes, then an arena. */
#include "payload/pick.h"

#include "base/json_shim.h"

typedef struct cursor {
    hwi_picker *picker;
    const char *at, *end;
} cursor;

static hwi_json *
new_node(hwi_picker *p)
{
    hwi_json *n =
        p->used < HWI_PICK_NODES ? &p->nodes[p->used++] : hwi_arena_alloc(&p->arena, sizeof *n);
    if (n) *n = (hwi_json){0};
    return n;
}

static void
skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

static bool
take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* ---- stepping over */

/* Top bit set in the bytes of the word that are `b`, reliable up to the first such byte: taking 1
 * from a zero byte borrows into its top bit. */
static uint64_t
bytes_equal(uint64_t word, uint8_t b)
{
    uint64_t ones = 0x0101010101010101, x = word ^ ones * b;
    return (x - ones) & ~x & ones << 7;
}

/* To the next quote or backslash, 8 bytes at a time; false if there is none. */
static bool
find_special(cursor *c)
{
    for (; c->end - c->at >= 8; c->at += 8) {
        uint64_t word = hwi_get_u64(c->at);
        uint64_t found = bytes_equal(word, '"') | bytes_equal(word, '\\');
        if (found) {
            c->at += __builtin_ctzll(found) / 8;
            return true;
        }
    }
    while (c->at < c->end && *c->at != '"' && *c->at != '\\') c->at++;
    return c->at < c->end;
}

/* Behind a string whose opening quote has been taken; *plain tells whether it has no escapes. */
static bool
skip_string(cursor *c, bool *plain)
{
    *plain = true;
    while (find_special(c)) {
        if (*c->at++ == '"') return true;
        *plain = false;
        if (c->at++ == c->end) return false;
    }
    return false;
}

static bool
skip_container(cursor *c)
{
    unsigned depth = 0;
    bool plain;

    while (c->at < c->end) {
        char b = *c->at++;
        if (b == '"' && !skip_string(c, &plain)) return false;
        if (b == '{' || b == '[') depth++;
        if ((b == '}' || b == ']') && --depth == 0) return true;
    }
    return false;
}

static bool
skip_value(cursor *c)
{
    bool plain;

    skip_space(c);
    if (c->at == c->end) return false;
    if (*c->at == '"') {
        c->at++;
        return skip_string(c, &plain);
    }
    if (*c->at == '{' || *c->at == '[') return skip_container(c);
    const char *from = c->at;
    while (c->at < c->end && *c->at != ',' && *c->at != '}' && *c->at != ' ' && *c->at != '\n' &&
           *c->at != '\t' && *c->at != '\r')
        c->at++;
    return c->at > from;
}

/* ---- building: false gives up */

static bool build_value(cursor *c, hwi_json *node, unsigned depth);

/* A string without escapes, borrowed from the payload. */
static bool
plain_string(cursor *c, const char **text, size_t *bytes)
{
    bool plain;

    if (!take(c, '"')) return false;
    *text = c->at;
    if (!skip_string(c, &plain) || !plain) return false;
    *bytes = (size_t)(c->at - *text) - 1;
    return true;
}

static hwi_json *
append(cursor *c, hwi_json *parent, hwi_json **last)
{
    hwi_json *child = new_node(c->picker);
    if (!child) return NULL;
    if (*last)
        (*last)->next = child;
    else
        parent->child = child;
    *last = child;
    parent->count++;
    return child;
}

static bool
build_array(cursor *c, hwi_json *node, unsigned depth)
{
    hwi_json *last = NULL;

    node->kind = HWI_JSON_ARRAY;
    if (take(c, ']')) return true;
    do {
        hwi_json *child = append(c, node, &last);
        if (!child || !build_value(c, child, depth + 1)) return false;
    } while (take(c, ','));
    return take(c, ']');
}

static bool
build_object(cursor *c, hwi_json *node, unsigned depth)
{
    hwi_json *last = NULL;

    node->kind = HWI_JSON_OBJECT;
    if (take(c, '}')) return true;
    do {
        hwi_json *child = append(c, node, &last);
        if (!child || !plain_string(c, &child->key, &child->key_bytes)) return false;
        if (!take(c, ':') || !build_value(c, child, depth + 1)) return false;
    } while (take(c, ','));
    return take(c, '}');
}

static bool
build_word(cursor *c, const char *word, size_t bytes)
{
    if ((size_t)(c->end - c->at) < bytes || memcmp(c->at, word, bytes) != 0) return false;
    c->at += bytes;
    return true;
}

static bool
build_scalar(cursor *c, hwi_json *node)
{
    bool whole;

    if (*c->at == 'n') return build_word(c, "null", 4); /* kind 0 */
    if (*c->at == 't' || *c->at == 'f') {
        node->kind = HWI_JSON_BOOL;
        node->boolean = *c->at == 't';
        return node->boolean ? build_word(c, "true", 4) : build_word(c, "false", 5);
    }
    size_t left = (size_t)(c->end - c->at);
    size_t bytes = hwi_json_number_bytes(c->at, left, &whole);
    if (bytes == 0 || !hwi_json_number(c->at, bytes, whole, node)) return false;
    c->at += bytes;
    return true;
}

static bool
build_value(cursor *c, hwi_json *node, unsigned depth)
{
    skip_space(c);
    if (c->at == c->end || depth >= HWI_JSON_DEPTH_MAX) return false;
    if (*c->at == '"') {
        node->kind = HWI_JSON_TEXT;
        return plain_string(c, &node->text, &node->text_bytes);
    }
    if (*c->at == '[') {
        c->at++;
        return build_array(c, node, depth);
    }
    if (*c->at == '{') {
        c->at++;
        return build_object(c, node, depth);
    }
    return build_scalar(c, node);
}

/* ---- the payload */

static bool
is_wanted(const hwi_picker *p, const char *key, size_t bytes)
{
    for (size_t i = 0; i < p->key_count; i++)
        if (p->keys[i].bytes == bytes && memcmp(p->keys[i].key, key, bytes) == 0) return true;
    return false;
}

static bool
pick_members(cursor *c, hwi_json *root)
{
    hwi_json *last = NULL;
    const char *key;
    size_t bytes;

    root->kind = HWI_JSON_OBJECT;
    if (!take(c, '{')) return false;
    if (take(c, '}')) return true;
    do {
        if (!plain_string(c, &key, &bytes) || !take(c, ':')) return false;
        if (!is_wanted(c->picker, key, bytes)) {
            if (!skip_value(c)) return false;
            continue;
        }
        hwi_json *member = append(c, root, &last);
        if (!member) return false;
        member->key = key;
        member->key_bytes = bytes;
        if (!build_value(c, member, 1)) return false;
    } while (take(c, ','));
    return take(c, '}');
}

hw_status
hwi_pick(hwi_picker *p, hw_bytes payload, const hwi_json **out, hw_error *err)
{
    cursor c = {p, payload.data, payload.size ? (const char *)payload.data + payload.size : NULL};

    *out = NULL;
    if (p->arena.blocks) hwi_arena_release(&p->arena);
    p->used = 0;
    if (payload.size == 0) return hwi_fail(err, HW_EINVAL, "malformed JSON: nothing there");
    hwi_json *root = new_node(p);
    if (pick_members(&c, root)) {
        skip_space(&c);
        if (c.at == c.end) {
            *out = root;
            return HW_OK;
        }
    }
    return hwi_json_parse(payload.data, payload.size, &p->arena, out, err);
}

void
hwi_picker_release(hwi_picker *p)
{
    hwi_arena_release(&p->arena);
}
