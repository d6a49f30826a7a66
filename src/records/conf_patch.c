/* conf_patch.c - clients' own settings changed by a JSON merge patch (RFC 7396).
 *
 *     kept      {"a": {"x": 1, "y": 2}, "b": 3}
 *     patch     {"a": {"x": null, "z": 4}}         null takes away, an object goes inside
 *     outcome   {"b": 3, "a": {"y": 2, "z": 4}}    what the patch names comes last
 *
 * Trees are shared and never changed, so nodes on the way to a change are copied. Keys that are ours
 * (vectors, indexes) are refused: they are changed by functions of their own. */
#include "records/conf.h"

typedef struct patching {
    hwi_conf *conf;
    hw_error *err;
} patching;

/* A copy of a member list without the keys that `patch` has; appended at *end. */
static hw_status
keep_unpatched(patching *p, const hwi_json *from, const hwi_json *patch, const hwi_json ***end)
{
    for (const hwi_json *j = from ? from->child : NULL; j; j = j->next) {
        if (hwi_json_member(patch, j->key)) continue;
        hwi_json *copy = hwi_arena_alloc(&p->conf->arena, sizeof *copy);
        if (!copy) return hwi_nomem(p->err, sizeof *copy);
        *copy = *j;
        copy->next = NULL;
        **end = copy;
        *end = &copy->next;
    }
    return HW_OK;
}

/* What `patch` makes of `from` (NULL: nothing). Recursion follows the patch's depth, which
 * HWI_JSON_DEPTH_MAX bounds. */
static hw_status
merge(patching *p, const hwi_json *from, const hwi_json *patch, const hwi_json **out)
{
    const hwi_json *first = NULL, **end = &first;
    hwi_json *merged = hwi_arena_alloc(&p->conf->arena, sizeof *merged);
    if (!merged) return hwi_nomem(p->err, sizeof *merged);
    *merged = *patch;
    merged->next = NULL;
    *out = merged;
    if (patch->kind != HWI_JSON_OBJECT) return HW_OK;
    if (from && from->kind != HWI_JSON_OBJECT) from = NULL;
    HWI_TRY(keep_unpatched(p, from, patch, &end));
    for (const hwi_json *j = patch->child; j; j = j->next) {
        if (j->kind == HWI_JSON_NULL || hwi_json_member(patch, j->key) != j) continue;
        const hwi_json *member;
        HWI_TRY(merge(p, hwi_json_member(from, j->key), j, &member));
        *end = member;
        end = (const hwi_json **)(uintptr_t)&member->next; /* ours, made above */
    }
    merged->child = first;
    merged->count = 0;
    for (const hwi_json *j = first; j; j = j->next) merged->count++;
    return HW_OK;
}

static bool
is_ours(const char *key)
{
    static const char *const keys[] = {
        "vectors", "sparse_vectors", "payload_indexes",   "index", "dim", "size",
        "metric",  "distance",       "multivector_config"};
    for (size_t i = 0; i < HWI_COUNT(keys); i++) {
        if (strcmp(keys[i], key) == 0) return true;
    }
    return false;
}

hw_status
hwi_conf_patch(hwi_conf *conf, const char *json, size_t bytes, hw_error *err)
{
    const hwi_json *patch;
    HWI_TRY(hwi_json_parse(json, bytes, &conf->arena, &patch, err));
    if (patch->kind != HWI_JSON_OBJECT) {
        return hwi_fail(err, HW_EINVAL, "patch: expected a JSON object");
    }
    for (const hwi_json *j = patch->child; j; j = j->next) {
        if (!is_ours(j->key)) continue;
        return hwi_fail(err, HW_EINVAL, "%s: cannot be changed so, only the client's own keys can",
                        j->key);
    }
    return merge(&(patching){conf, err}, conf->extra, patch, &conf->extra);
}
