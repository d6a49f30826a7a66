/* service.c - the calls about the server itself: version, health, monitoring, what a cluster would
 * be asked.
 */
#include "server_impl.h"

static bool
answer_text(hwi_request *r, const char *text)
{
    r->kind = HWI_BODY_PLAIN;
    r->content_type = "text/plain; charset=utf-8";
    hwi_buf_text(&r->out, text);
    return true;
}

static bool
get_root(hwi_request *r)
{
    const char *title = hwi_server_title(r->server);

    r->kind = HWI_BODY_PLAIN;
    r->content_type = "application/json";
    hwi_buf_text(&r->out, "{\"title\":");
    hwi_json_write_text(&r->out, title, strlen(title));
    hwi_buf_printf(&r->out, ",\"version\":\"%s\",\"commit\":\"%s\"}", hwi_server_version(r->server),
                   HWI_COMMIT);
    return true;
}

static bool
get_health(hwi_request *r)
{
    return answer_text(r, "healthz check passed");
}

static bool
get_ready(hwi_request *r)
{
    if (!atomic_load(&r->server->is_stopping)) return answer_text(r, "all shards are ready");
    r->status = 503;
    return answer_text(r, "some shards are not ready");
}

static bool
get_metrics(hwi_request *r)
{
    bool per_collection;

    if (!hwi_request_flag(r, "per_collection", false, &per_collection)) return false;
    hwi_metrics_text(r->server, per_collection, &r->out);
    return answer_text(r, "");
}

static bool
get_cluster(hwi_request *r)
{
    hwi_buf_text(&r->out, "{\"status\":\"disabled\"}");
    return true;
}

const hwi_route hwi_routes_service[] = {
    {HWI_GET, "/", HWI_NEED_NOTHING, HWI_ROUTE_INLINE | HWI_ROUTE_NO_BODY, get_root},
    {HWI_GET, "/healthz", HWI_NEED_NOTHING, HWI_ROUTE_INLINE | HWI_ROUTE_NO_BODY, get_health},
    {HWI_GET, "/livez", HWI_NEED_NOTHING, HWI_ROUTE_INLINE | HWI_ROUTE_NO_BODY, get_health},
    {HWI_GET, "/readyz", HWI_NEED_NOTHING, HWI_ROUTE_INLINE | HWI_ROUTE_NO_BODY, get_ready},
    {HWI_GET, "/metrics", HWI_NEED_READ, HWI_ROUTE_NO_BODY, get_metrics},
    {HWI_GET, "/cluster", HWI_NEED_READ, HWI_ROUTE_INLINE | HWI_ROUTE_NO_BODY, get_cluster},
    {0}};
