/* route.c - which row of the handler tables a request means.
 *
 * About a hundred rows, taken apart once and then compared one after the other: by the number of
 * parts, then by the literal ones. Most rows fall at the first comparison, so a tree would save
 * nothing. Among rows that fit, the one with a literal part where others have {...} wins
 * (".../points/{id}" against ".../points/query"), whatever the order of the tables.
 */
#include "route.h"

#include <pthread.h>

#define ROWS_MAX 256u

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

/* A row with its pattern taken apart, once for all requests. */
typedef struct compiled {
    const hwi_route *route;
    size_t count;
    bool has_rest; /* the last part is {name...} and takes all that is left */
    struct {
        const char *text; /* NULL: a parameter */
        size_t bytes;
    } parts[HWI_PATH_PARTS_MAX];
} compiled;

static compiled rows[ROWS_MAX];
static size_t row_count;
static pthread_once_t compiled_once = PTHREAD_ONCE_INIT;

static void
compile_row(const hwi_route *route, compiled *out)
{
    const char *at = route->pattern;

    *out = (compiled){.route = route};
    while (*at == '/' && at[1]) {
        size_t bytes = strcspn(++at, "/");
        HWI_ASSERT(out->count < HWI_PATH_PARTS_MAX);
        out->has_rest = bytes > 4 && memcmp(at + bytes - 4, "...}", 4) == 0;
        out->parts[out->count].text = *at == '{' ? NULL : at;
        out->parts[out->count++].bytes = bytes;
        at += bytes;
    }
}

static void
compile_rows(void)
{
    for (const hwi_route *r; (r = hwi_route_at(row_count)) != NULL; row_count++) {
        HWI_ASSERT(row_count < ROWS_MAX);
        compile_row(r, &rows[row_count]);
    }
}

/* How well the row fits: 0 not at all, else a bit for each literal part, early ones weighing more. */
static uint64_t
fit(const compiled *row, const hwi_path *path)
{
    uint64_t score = 1;

    if (row->has_rest ? path->count < row->count : path->count != row->count) return 0;
    for (size_t i = 0; i < row->count; i++) {
        const char *part = path->parts[i];
        score <<= 1;
        if (row->parts[i].text == NULL) continue;
        if (strncmp(part, row->parts[i].text, row->parts[i].bytes) != 0 ||
            part[row->parts[i].bytes] != '\0')
            return 0;
        score |= 1;
    }
    return score;
}

static void
fill_params(const compiled *row, const hwi_path *path, const char *params[HWI_PARAMS_MAX])
{
    const char *whole = path->text; /* the slash before part i */
    size_t n = 0;

    for (size_t i = 0; i < row->count; i++) {
        bool is_rest = row->has_rest && i + 1 == row->count;
        if (row->parts[i].text == NULL) {
            HWI_ASSERT(n < HWI_PARAMS_MAX);
            params[n++] = is_rest ? whole + 1 : path->parts[i];
        }
        whole += strlen(path->parts[i]) + 1;
    }
}

const hwi_route *
hwi_route_find(const hwi_path *path, hwi_method method, const char *params[HWI_PARAMS_MAX],
               uint32_t *allowed)
{
    const compiled *best = NULL;
    uint64_t best_score = 0;

    if (method == HWI_HEAD) method = HWI_GET;
    *allowed = 0;
    pthread_once(&compiled_once, compile_rows);
    for (size_t i = 0; i < row_count; i++) {
        uint64_t score = fit(&rows[i], path);
        if (score == 0) continue;
        *allowed |= 1u << rows[i].route->method;
        if (rows[i].route->method != method || score <= best_score) continue;
        best = &rows[i];
        best_score = score;
    }
    if (best == NULL) return NULL;
    fill_params(best, path, params);
    return best->route;
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
