/* route.h - which row of the handler tables a request means. */
#ifndef HWI_ROUTE_H
#define HWI_ROUTE_H

#include "request.h"

/* Decodes %xx of a path, drops doubled and trailing slashes; false: malformed, a NUL, or a part "."
 * or "..". `out` has room for as many bytes as `raw`, plus two. %2F stays inside its part as '/'; the
 * parts are told apart by *parts, at most `room`, pointers into out's copy that stay NUL-terminated. */
typedef struct hwi_path {
    char *text;   /* "/collections/a", decoded */
    char **parts; /* each NUL-terminated */
    size_t count;
} hwi_path;

#define HWI_PATH_PARTS_MAX 16u

/* Splits the path of a URI (up to '?'); false when malformed. Memory from the arena. */
bool hwi_path_split(const char *uri, hwi_arena *arena, hwi_path *out);

/* Finds the row; its {...} parts go to params. NULL: no such path, or not with this method; then
 * *allowed (bits 1 << hwi_method) tells which methods the path has. */
const hwi_route *hwi_route_find(const hwi_path *path, hwi_method method,
                                const char *params[HWI_PARAMS_MAX], uint32_t *allowed);

/* The i-th of all rows, NULL after the last: for metrics and tests. */
const hwi_route *hwi_route_at(size_t i);
/* Its place there. */
size_t hwi_route_index(const hwi_route *route);

/* The parameter's place in params: which {...} of the pattern has this name; -1: none. */
int hwi_route_param(const hwi_route *route, const char *name);

const char *hwi_method_name(hwi_method m);
/* -1: unknown */
int hwi_method_of(const char *name);

#endif
