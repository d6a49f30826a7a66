/* index.c - the index for people: its tree, its leaves, a map, and how well it finds what there is to
 * find. All take ?using= with the name of a vector.
 *
 *     GET /collections/{c}/index             the tree
 *     GET /collections/{c}/index/leaves/{n}  one leaf: its vectors' ids, buckets, signatures
 *     GET /collections/{c}/index/map         ?points=2000: anchors and points on two axes
 *     GET /collections/{c}/recall            the running sample of searches repeated exactly
 */
#include <stdlib.h>

#include "server/server.h"

#define MAP_POINTS 2000u

/* A number in `text` up to `most`; refuses anything else. */
static bool
read_number(hwi_request *r, const char *what, const char *text, uint32_t most, uint32_t *out)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || n > most)
        return hwi_refuse(r, 400, "Wrong input: %s `%s` is not a number up to %u", what, text,
                          most);
    *out = (uint32_t)n;
    return true;
}

/* JSON text of the engine becomes the result; frees it. */
static bool
give(hwi_request *r, char *json)
{
    hwi_buf_text(&r->out, json);
    hw_free(json);
    return true;
}

static bool
tree(hwi_request *r)
{
    char *json;
    hw_error err;
    hw_collection *c = hwi_request_collection(r);

    if (!c) return false;
    hw_status st = hw_collection_tree(c, hwi_request_arg(r, "using"), &json, &err);
    return hwi_ok(r, st, &err) && give(r, json);
}

static bool
leaf(hwi_request *r)
{
    char *json;
    uint32_t number;
    hw_error err;
    hw_collection *c = hwi_request_collection(r);

    if (!c || !read_number(r, "leaf", hwi_request_param(r, "leaf"), UINT32_MAX, &number))
        return false;
    hw_status st = hw_collection_leaf(c, hwi_request_arg(r, "using"), number, &json, &err);
    return hwi_ok(r, st, &err) && give(r, json);
}

static bool
map(hwi_request *r)
{
    char *json;
    uint32_t points = MAP_POINTS;
    hw_error err;
    hw_collection *c = hwi_request_collection(r);
    const char *asked = hwi_request_arg(r, "points");

    if (!c || (asked && !read_number(r, "points", asked, HW_MAP_POINTS_MAX, &points))) return false;
    hw_status st = hw_collection_map(c, hwi_request_arg(r, "using"), points, &json, &err);
    return hwi_ok(r, st, &err) && give(r, json);
}

static bool
recall(hwi_request *r)
{
    if (!hwi_request_collection(r)) return false;
    hwi_sampler_report(r->server, hwi_request_param(r, "collection"), &r->out);
    return true;
}

const hwi_route hwi_routes_index[] = {
    {HWI_GET, "/collections/{collection}/index", HWI_NEED_READ, 0, tree},
    {HWI_GET, "/collections/{collection}/index/leaves/{leaf}", HWI_NEED_READ, 0, leaf},
    {HWI_GET, "/collections/{collection}/index/map", HWI_NEED_READ, 0, map},
    {HWI_GET, "/collections/{collection}/recall", HWI_NEED_READ, 0, recall},
    {0},
};
