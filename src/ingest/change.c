/* change.c - changing a payload: the tree is copied along the path, the rest is shared.
 *
 *     set {"c": 2} at "a.b"                 root'
 *                                          /     \
 *         nodes on the path are new:     a'       x      everything else is the parsed tree
 *                                        |
 *                                        b'  = b with the key c replaced or added
 *
 * Nodes are immutable and live in one arena, so a change builds new parents and never has to undo
 * anything. The outcome is written compactly and parsed once more: a path can make a document
 * deeper than JSON may be here, and what is stored must always parse.
 *
 * Rules: SET replaces or adds the given keys in the object at the path and leaves others alone;
 * missing objects on a path of plain keys are made; anything there that is no object gives way to
 * one. DELETE leaves alone what does not exist. `[n]` and `[]` reach into arrays that are there. */
#include "ingest/change.h"

#include <stdlib.h>

#include "payload/path.h"

typedef struct change {
    hwi_arena arena;
    bool no_memory;
    hw_error *err;
} change;

/* ---- Building nodes ---- */

static hwi_json *
copy_node(change *c, const hwi_json *j)
{
    hwi_json *copy = hwi_arena_alloc(&c->arena, sizeof *copy);
    if (!copy) {
        c->no_memory = true;
        return NULL;
    }
    *copy = j ? *j : (hwi_json){.kind = HWI_JSON_OBJECT};
    copy->next = NULL;
    return copy;
}

/* A container like `like` without its children, to be filled by append. */
typedef struct list {
    hwi_json *node, *last;
} list;

static list
empty_like(change *c, const hwi_json *like)
{
    list l = {copy_node(c, like), NULL};
    if (l.node) {
        l.node->child = NULL;
        l.node->count = 0;
    }
    return l;
}

/* Appends a copy of `child`, which goes by `key` from now on. */
static void
append(change *c, list *l, const hwi_json *child, const char *key, size_t key_bytes)
{
    hwi_json *copy = child ? copy_node(c, child) : NULL;
    if (!copy || !l->node) return;
    copy->key = key;
    copy->key_bytes = key_bytes;
    if (l->last) {
        l->last->next = copy;
    } else {
        l->node->child = copy;
    }
    l->last = copy;
    l->node->count++;
}

static bool
has_key(const hwi_json *j, const char *key, size_t bytes)
{
    return j->key_bytes == bytes && memcmp(j->key, key, bytes) == 0;
}

/* ---- SET ---- */

static int
compare_keys(const hwi_json *a, const hwi_json *b)
{
    int order = memcmp(a->key, b->key, HWI_MIN(a->key_bytes, b->key_bytes));
    return order ? order : (a->key_bytes > b->key_bytes) - (a->key_bytes < b->key_bytes);
}

static int
by_key(const void *a, const void *b)
{
    return compare_keys(*(const hwi_json *const *)a, *(const hwi_json *const *)b);
}

/* The keys of patch join those of base. Sorted look-ups, so that two large objects do not cost the
 * product of their sizes. */
static const hwi_json *
merge(change *c, const hwi_json *base, const hwi_json *patch)
{
    if (base && base->kind != HWI_JSON_OBJECT) base = NULL;
    list merged = empty_like(c, base);
    const hwi_json **keys = hwi_arena_alloc(&c->arena, patch->count * sizeof(hwi_json *));
    if (!keys) {
        c->no_memory = true;
        return NULL;
    }
    size_t count = 0;
    for (const hwi_json *j = patch->child; j; j = j->next) keys[count++] = j;
    qsort(keys, count, sizeof *keys, by_key);
    for (const hwi_json *j = base ? base->child : NULL; j; j = j->next) {
        if (bsearch(&j, keys, count, sizeof *keys, by_key)) continue;
        append(c, &merged, j, j->key, j->key_bytes);
    }
    for (const hwi_json *j = patch->child; j; j = j->next) {
        append(c, &merged, j, j->key, j->key_bytes);
    }
    return merged.node;
}

static const hwi_json *set_at(change *c, const hwi_json *j, const hwi_step *steps, size_t count,
                              const hwi_json *patch);

static const hwi_json *
set_in_array(change *c, const hwi_json *array, const hwi_step *steps, size_t count,
             const hwi_json *patch)
{
    if (!array || array->kind != HWI_JSON_ARRAY) return array;
    list l = empty_like(c, array);
    uint64_t at = 0;
    for (const hwi_json *j = array->child; j; j = j->next, at++) {
        bool is_meant = steps->kind == HWI_STEP_ALL || steps->index == at;
        append(c, &l, is_meant ? set_at(c, j, steps + 1, count - 1, patch) : j, NULL, 0);
    }
    return l.node;
}

/* j (NULL: missing) with patch set below the steps. As deep as a path has steps. */
static const hwi_json *
set_at(change *c, const hwi_json *j, const hwi_step *steps, size_t count, const hwi_json *patch)
{
    if (count == 0) return merge(c, j, patch);
    if (steps->kind != HWI_STEP_KEY) return set_in_array(c, j, steps, count, patch);
    if (j && j->kind != HWI_JSON_OBJECT) j = NULL;
    list l = empty_like(c, j);
    const hwi_json *old = j ? hwi_path_member(j, steps->key, steps->key_bytes) : NULL;
    for (const hwi_json *child = j ? j->child : NULL; child; child = child->next) {
        if (has_key(child, steps->key, steps->key_bytes)) continue;
        append(c, &l, child, child->key, child->key_bytes);
    }
    append(c, &l, set_at(c, old, steps + 1, count - 1, patch), steps->key, steps->key_bytes);
    return l.node;
}

/* ---- DELETE ---- */

static bool
is_meant(const hwi_step *step, const hwi_json *child, uint64_t at)
{
    if (step->kind == HWI_STEP_KEY) return has_key(child, step->key, step->key_bytes);
    return step->kind == HWI_STEP_ALL || step->index == at;
}

static const hwi_json *
delete_at(change *c, const hwi_json *j, const hwi_step *steps, size_t count)
{
    hwi_json_kind wanted = steps->kind == HWI_STEP_KEY ? HWI_JSON_OBJECT : HWI_JSON_ARRAY;
    if (j->kind != wanted) return j;
    list l = empty_like(c, j);
    uint64_t at = 0;
    for (const hwi_json *child = j->child; child; child = child->next, at++) {
        if (!is_meant(steps, child, at)) {
            append(c, &l, child, child->key, child->key_bytes);
        } else if (count > 1) {
            append(c, &l, delete_at(c, child, steps + 1, count - 1), child->key, child->key_bytes);
        }
    }
    return l.node;
}

static hw_status
delete_all(change *c, const hwi_json **root, const hwi_json *paths)
{
    if (paths->kind != HWI_JSON_ARRAY) {
        return hwi_fail(c->err, HW_EINVAL, "payload delete: expected an array of keys");
    }
    for (const hwi_json *j = paths->child; j; j = j->next) {
        const hwi_path *path;
        if (j->kind != HWI_JSON_TEXT) {
            return hwi_fail(c->err, HW_EINVAL, "payload delete: a key is not a string");
        }
        HWI_TRY(hwi_path_parse(j->text, j->text_bytes, &c->arena, &path, c->err));
        if (*root && path->count) *root = delete_at(c, *root, path->steps, path->count);
        if (c->no_memory) return hwi_nomem(c->err, sizeof(hwi_json));
    }
    return HW_OK;
}

/* ---- All together ---- */

static hw_status
parse_input(change *c, const char *json, size_t bytes, const hwi_json **out)
{
    if (!json) return hwi_fail(c->err, HW_EINVAL, "payload: json is NULL");
    if (bytes > HW_PAYLOAD_MAX) {
        return hwi_fail(c->err, HW_EINVAL, "payload of %zu bytes is above the maximum %u", bytes,
                        HW_PAYLOAD_MAX);
    }
    hw_status st = hwi_json_parse(json, bytes, &c->arena, out, c->err);
    return st == HW_EINVAL ? hwi_fail_prefix(c->err, st, "payload") : st;
}

static hw_status
set(change *c, const hwi_json **root, const char *at, const hwi_json *patch)
{
    const hwi_path *path;
    static const hwi_path whole = {0};
    if (patch->kind != HWI_JSON_OBJECT) {
        return hwi_fail(c->err, HW_EINVAL, "payload: expected a JSON object");
    }
    path = &whole;
    if (at && at[0]) HWI_TRY(hwi_path_parse(at, strlen(at), &c->arena, &path, c->err));
    const hwi_json *changed = set_at(c, *root, path->steps, path->count, patch);
    if (c->no_memory) return hwi_nomem(c->err, sizeof(hwi_json));
    if (changed) *root = changed;
    return HW_OK;
}

/* What is about to be stored parses and is not too long. */
static hw_status
verify(change *c, const hwi_buf *out, size_t start)
{
    const hwi_json *ignored;
    size_t bytes = out->size - start;
    if (bytes > HW_PAYLOAD_MAX) {
        return hwi_fail(c->err, HW_EINVAL,
                        "the changed payload of %zu bytes is above the maximum %u", bytes,
                        HW_PAYLOAD_MAX);
    }
    hw_status st =
        hwi_json_parse((const char *)out->data + start, bytes, &c->arena, &ignored, c->err);
    return st == HW_EINVAL ? hwi_fail_prefix(c->err, st, "the changed payload") : st;
}

static hw_status
change_tree(change *c, hw_bytes before, hw_payload_op op, const char *at, const char *json,
            size_t json_bytes, hwi_buf *out)
{
    const hwi_json *root = NULL, *input;
    size_t start = out->size;
    HWI_TRY(parse_input(c, json, json_bytes, &input));
    if (before.size) HWI_TRY(hwi_json_parse(before.data, before.size, &c->arena, &root, c->err));
    HWI_TRY(op == HW_PAYLOAD_SET ? set(c, &root, at, input) : delete_all(c, &root, input));
    if (!root) return HW_OK;
    hwi_json_write(out, root);
    if (out->failed) return hwi_nomem(c->err, before.size + json_bytes);
    return verify(c, out, start);
}

hw_status
hwi_payload_change(hw_bytes before, hw_payload_op op, const char *at, const char *json,
                   size_t json_bytes, hwi_buf *out, hw_error *err)
{
    change c = {.err = err};
    const hwi_json *input;
    hw_status st = HW_OK;
    switch (op) {
    case HW_PAYLOAD_CLEAR:
        break;
    case HW_PAYLOAD_OVERWRITE:
        st = parse_input(&c, json, json_bytes, &input);
        if (st == HW_OK && input->kind != HWI_JSON_OBJECT) {
            st = hwi_fail(err, HW_EINVAL, "payload: expected a JSON object");
        }
        if (st == HW_OK) hwi_buf_add(out, json, json_bytes);
        if (st == HW_OK && out->failed) st = hwi_nomem(err, json_bytes);
        break;
    case HW_PAYLOAD_SET:
    case HW_PAYLOAD_DELETE:
        st = change_tree(&c, before, op, at, json, json_bytes, out);
        break;
    default:
        st = hwi_fail(err, HW_EINVAL, "payload operation %d is unknown", (int)op);
    }
    hwi_arena_release(&c.arena);
    return st;
}
