/* route.c - which row of the handler tables a request means.
 *
 * The tables are read where they lie: about a hundred rows, compared part by part, first the number
 * of parts and then the literal ones. That is a microsecond or so per request, less than hashing
 * would save. Among rows that fit, the one with a literal part where others have {...} wins
 * (".../points/{id}" against ".../points/query"), whatever the order of the tables.
 */
#include "route.h"

#include <strings.h>

static const hwi_route *const tables[] = {
    hwi_routes_service, hwi_routes_collections, hwi_routes_points,    hwi_routes_query,
    hwi_routes_index,   hwi_routes_native,      hwi_routes_snapshots, hwi_routes_page};

static const char *const method_names[] = {
    [HWI_GET] = "GET",       [HWI_POST] = "POST", [HWI_PUT] = "PUT",         [HWI_PATCH] = "PATCH",
    [HWI_DELETE] = "DELETE", [HWI_HEAD] = "HEAD", [HWI_OPTIONS] = "OPTIONS",
};

const char *
hwi_method_name(hwi_method m)
{
    return method_names[m];
}

int
hwi_method_of(const char *name)
{
    for (size_t i = 0; i < HWI_COUNT(method_names); i++)
        if (strcmp(method_names[i], name) == 0) return (int)i;
    return -1;
}

/* ---- Paths */

static int
hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes one part into `to`; -1 when malformed. */
static long
decode_part(const char *from, size_t bytes, char *to)
{
    size_t n = 0;

    for (size_t i = 0; i < bytes; i++) {
        char c = from[i];
        if (c == '%') {
            if (bytes - i < 3 || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0) return -1;
            c = (char)(hex(from[i + 1]) << 4 | hex(from[i + 2]));
            i += 2;
        }
        if (c == '\0') return -1;
        to[n++] = c;
    }
    to[n] = '\0';
    if (strcmp(to, ".") == 0 || strcmp(to, "..") == 0 || !hwi_utf8_valid(to, n)) return -1;
    return (long)n;
}

bool
hwi_path_split(const char *uri, hwi_arena *arena, hwi_path *out)
{
    size_t bytes = strcspn(uri, "?#");
    char *text = hwi_arena_alloc(arena, bytes + 2), *copy = hwi_arena_alloc(arena, bytes + 2);

    *out = (hwi_path){.text = text,
                      .parts = hwi_arena_alloc(arena, HWI_PATH_PARTS_MAX * sizeof(char *))};
    if (text == NULL || copy == NULL || out->parts == NULL || uri[0] != '/') return false;
    for (size_t at = 0; at < bytes;) {
        size_t part = strcspn(uri + at, "/?#");
        if (part == 0) {
            at++;
            continue;
        }
        long n = out->count < HWI_PATH_PARTS_MAX ? decode_part(uri + at, part, copy) : -1;
        if (n < 0) return false;
        out->parts[out->count++] = copy;
        *text++ = '/';
        memcpy(text, copy, (size_t)n);
        text += n;
        copy += n + 1;
        at += part;
    }
    if (out->count == 0) *text++ = '/';
    *text = '\0';
    return true;
}

/* ---- Rows */

const hwi_route *
hwi_route_at(size_t i)
{
    for (size_t t = 0; t < HWI_COUNT(tables); t++)
        for (const hwi_route *r = tables[t]; r->pattern; r++)
            if (i-- == 0) return r;
    return NULL;
}

size_t
hwi_route_index(const hwi_route *route)
{
    size_t i = 0;

    for (size_t t = 0; t < HWI_COUNT(tables); t++)
        for (const hwi_route *r = tables[t]; r->pattern; r++, i++)
            if (r == route) return i;
    HWI_UNREACHABLE("a route that is in no table");
}

/* How well the pattern fits: 0 not at all, else one bit per literal part, early ones weighing more;
 * a last part {name...} takes all that is left. */
static uint64_t
fit(const char *pattern, const hwi_path *path, const char *params[HWI_PARAMS_MAX])
{
    uint64_t score = 1;
    size_t n = 0, i = 0;

    for (; *pattern == '/' && pattern[1]; i++) {
        size_t bytes = strcspn(++pattern, "/");
        bool is_rest = bytes > 4 && memcmp(pattern + bytes - 4, "...}", 4) == 0;
        if (i >= path->count) return 0;
        score <<= 1;
        if (pattern[0] == '{') {
            if (n == HWI_PARAMS_MAX) return 0;
            params[n++] = path->parts[i];
            if (is_rest) {
                params[n - 1] = path->text; /* cut by the caller's prefix */
                for (size_t skip = 0; skip < i; skip++)
                    params[n - 1] += strlen(path->parts[skip]) + 1;
                params[n - 1]++;
                return score;
            }
        } else if (strncmp(path->parts[i], pattern, bytes) == 0 && path->parts[i][bytes] == '\0') {
            score |= 1;
        } else {
            return 0;
        }
        pattern += bytes;
    }
    return i == path->count ? score : 0;
}

const hwi_route *
hwi_route_find(const hwi_path *path, hwi_method method, const char *params[HWI_PARAMS_MAX],
               uint32_t *allowed)
{
    const hwi_route *best = NULL;
    uint64_t best_score = 0;
    const char *found[HWI_PARAMS_MAX] = {0};

    if (method == HWI_HEAD) method = HWI_GET;
    *allowed = 0;
    for (size_t t = 0; t < HWI_COUNT(tables); t++) {
        for (const hwi_route *r = tables[t]; r->pattern; r++) {
            uint64_t score = fit(r->pattern, path, found);
            if (score == 0) continue;
            *allowed |= 1u << r->method;
            if (r->method != method || score <= best_score) continue;
            best = r;
            best_score = score;
            memcpy(params, found, sizeof found);
        }
    }
    return best;
}

int
hwi_route_param(const hwi_route *route, const char *name)
{
    size_t bytes = strlen(name);
    int n = 0;

    for (const char *at = strchr(route->pattern, '{'); at; at = strchr(at + 1, '{'), n++)
        if (strncmp(at + 1, name, bytes) == 0 && strchr("}.", at[1 + bytes])) return n;
    return -1;
}
