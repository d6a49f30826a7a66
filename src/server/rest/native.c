/* native.c - calls beyond Qdrant's interface, which the command line uses against a server: facts
 * as the library gives them, a build of the index, a check of the whole database.
 */
#include "server/request.h"

/* JSON text of the engine becomes the result; frees it. */
static bool
give(hwi_request *r, char *json)
{
    hwi_buf_text(&r->out, json);
    hw_free(json);
    return true;
}

static bool
describe(hwi_request *r)
{
    char *json;
    hw_error err;
    hw_collection *c = hwi_request_collection(r);
    if (!c || !hwi_ok(r, hw_collection_describe(c, &json, &err), &err)) return false;
    return give(r, json);
}

static bool
collection_stats(hwi_request *r)
{
    char *json;
    hw_error err;
    hw_collection *c = hwi_request_collection(r);
    if (!c || !hwi_ok(r, hw_collection_stats(c, &json, &err), &err)) return false;
    return give(r, json);
}

static bool
database_stats(hwi_request *r)
{
    char *json;
    hw_error err;
    if (!hwi_ok(r, hw_db_stats(r->db, &json, &err), &err)) return false;
    return give(r, json);
}

static bool
build(hwi_request *r)
{
    hw_error err;
    hw_collection *c = hwi_request_collection(r);
    if (!c || !hwi_ok(r, hw_collection_build(c, NULL, NULL, &err), &err)) return false;
    hwi_buf_text(&r->out, "true");
    return true;
}

/* ---- Check ---- */

typedef struct damages {
    hwi_buf *out;
    uint64_t count;
} damages;

static void
note_damage(void *arg, const char *where, const char *what)
{
    damages *d = arg;
    hwi_buf_text(d->out, d->count++ ? ",{\"where\":" : "{\"where\":");
    hwi_json_write_text(d->out, where, strlen(where));
    hwi_buf_text(d->out, ",\"what\":");
    hwi_json_write_text(d->out, what, strlen(what));
    hwi_buf_text(d->out, "}");
}

static bool
check(hwi_request *r)
{
    hw_error err;
    damages d = {.out = &r->out};
    hwi_buf_text(&r->out, "{\"damage\":[");
    hw_status st = hw_db_check(r->db, NULL, note_damage, &d, &err);
    if (st != HW_OK && d.count == 0) return hwi_refuse_engine(r, &err);
    hwi_buf_text(&r->out, "]}");
    return true;
}

const hwi_route hwi_routes_native[] = {
    {HWI_GET, "/stats", HWI_NEED_READ, 0, database_stats},
    {HWI_POST, "/check", HWI_NEED_MANAGE, HWI_ROUTE_SLOW | HWI_ROUTE_NO_BODY, check},
    {HWI_GET, "/collections/{collection}/describe", HWI_NEED_READ, 0, describe},
    {HWI_GET, "/collections/{collection}/stats", HWI_NEED_READ, 0, collection_stats},
    {HWI_POST, "/collections/{collection}/index/build", HWI_NEED_MANAGE,
     HWI_ROUTE_SLOW | HWI_ROUTE_NO_BODY, build},
    {0}};
