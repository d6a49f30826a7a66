/* service.c - the calls about the server itself: version, health, monitoring, what a cluster would
 * be asked.
 */
#include <stdlib.h>

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

/* A count in the query string; false after refusing. */
static bool
count_argument(hwi_request *r, const char *name, uint32_t *out)
{
    const char *text = hwi_request_arg(r, name);
    char *end;

    *out = 0;
    if (text == NULL) return true;
    *out = (uint32_t)HWI_MIN(strtoul(text, &end, 10), 100UL);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0') return true;
    return hwi_refuse(r, 400, "Deserialize error in query parameters: %s is `%.40s`, not a number",
                      name, text);
}

static bool
get_metrics(hwi_request *r)
{
    bool per_collection, anonymize;

    if (!hwi_request_flag(r, "per_collection", false, &per_collection) ||
        !hwi_request_flag(r, "anonymize", false, &anonymize))
        return false;
    hwi_metrics_text(r->server, per_collection && !anonymize, &r->out);
    return answer_text(r, "");
}

static bool
get_telemetry(hwi_request *r)
{
    bool anonymize, per_collection;
    uint32_t details;

    if (!hwi_request_flag(r, "anonymize", false, &anonymize) ||
        !hwi_request_flag(r, "per_collection", false, &per_collection) ||
        !count_argument(r, "details_level", &details))
        return false;
    hwi_telemetry_write(r->server, details, anonymize, per_collection, &r->out);
    return true;
}

static bool
get_cluster(hwi_request *r)
{
    hwi_buf_text(&r->out, "{\"status\":\"disabled\"}");
    return true;
}

static bool
get_cluster_telemetry(hwi_request *r)
{
    hwi_buf_text(&r->out, "{\"collections\":{}}");
    return true;
}

/* What only several nodes could do. */
static bool
refuse_cluster(hwi_request *r)
{
    return hwi_refuse(r, 405, "hashwood is running in standalone mode");
}

static bool
get_issues(hwi_request *r)
{
    hwi_buf_text(&r->out, "{\"issues\":[]}");
    return true;
}

static bool
clear_issues(hwi_request *r)
{
    hwi_buf_text(&r->out, "true");
    return true;
}

static bool
get_quotas(hwi_request *r)
{
    hwi_buf_text(&r->out, "{\"config\":{\"enabled\":false},\"usage\":{}}");
    return true;
}

static bool
refuse_quotas(hwi_request *r)
{
    return hwi_refuse(r, 405, "Quotas are not enforced here: limit the process by its container");
}

#define CHEAP HWI_ROUTE_INLINE | HWI_ROUTE_NO_BODY
const hwi_route hwi_routes_service[] = {
    {HWI_GET, "/", HWI_NEED_NOTHING, CHEAP, get_root},
    {HWI_GET, "/healthz", HWI_NEED_NOTHING, CHEAP, get_health},
    {HWI_GET, "/livez", HWI_NEED_NOTHING, CHEAP, get_health},
    {HWI_GET, "/readyz", HWI_NEED_NOTHING, CHEAP, get_ready},
    {HWI_GET, "/metrics", HWI_NEED_READ, HWI_ROUTE_NO_BODY, get_metrics},
    {HWI_GET, "/telemetry", HWI_NEED_READ, HWI_ROUTE_NO_BODY, get_telemetry},
    {HWI_GET, "/cluster", HWI_NEED_READ, CHEAP, get_cluster},
    {HWI_GET, "/cluster/telemetry", HWI_NEED_READ, CHEAP, get_cluster_telemetry},
    {HWI_POST, "/cluster/recover", HWI_NEED_MANAGE, CHEAP, refuse_cluster},
    {HWI_DELETE, "/cluster/peer/{peer}", HWI_NEED_MANAGE, CHEAP, refuse_cluster},
    {HWI_GET, "/cluster/metadata/keys", HWI_NEED_READ, CHEAP, refuse_cluster},
    {HWI_GET, "/cluster/metadata/keys/{key}", HWI_NEED_READ, CHEAP, refuse_cluster},
    {HWI_PUT, "/cluster/metadata/keys/{key}", HWI_NEED_MANAGE, CHEAP, refuse_cluster},
    {HWI_DELETE, "/cluster/metadata/keys/{key}", HWI_NEED_MANAGE, CHEAP, refuse_cluster},
    {HWI_GET, "/issues", HWI_NEED_READ, CHEAP, get_issues},
    {HWI_DELETE, "/issues", HWI_NEED_MANAGE, CHEAP, clear_issues},
    {HWI_GET, "/quotas", HWI_NEED_READ, CHEAP, get_quotas},
    {HWI_PUT, "/quotas", HWI_NEED_MANAGE, CHEAP, refuse_quotas},
    {0}};
