/* cluster.c - calls that concern shards and segments: one node, one shard, nothing to move.
 */
#include <stdlib.h>

#include "server/rest/args.h"
#include "server/rest/calls.h"

bool
hwi_call_cluster_of(hwi_request *r)
{
    uint64_t points;
    hw_error err;
    hw_collection *c = hwi_request_collection(r);
    if (!c || !hwi_ok(r, hw_collection_count(c, NULL, 0, &points, &err), &err)) return false;
    hwi_buf_printf(&r->out,
                   "{\"peer_id\":1,\"shard_count\":1,\"local_shards\":[{\"shard_id\":0,"
                   "\"points_count\":%llu,\"state\":\"Active\"}],\"remote_shards\":[],"
                   "\"shard_transfers\":[]}",
                   (unsigned long long)points);
    return true;
}

bool
hwi_call_cluster_refuse(hwi_request *r)
{
    if (!hwi_args_timeout(r) || !hwi_request_collection(r)) return false;
    return hwi_refuse(r, 405, "The server is running in standalone mode");
}

bool
hwi_call_shards_of(hwi_request *r)
{
    if (!hwi_request_collection(r)) return false;
    hwi_buf_text(&r->out, "{\"shard_keys\":[]}");
    return true;
}

/* Whether ?with=a,b names it. */
static bool
is_asked(const char *with, const char *name)
{
    size_t bytes = strlen(name);
    while (with) {
        if (strncmp(with, name, bytes) == 0 && (with[bytes] == ',' || with[bytes] == '\0')) {
            return true;
        }
        with = strchr(with, ',');
        if (with) with++;
    }
    return false;
}

bool
hwi_call_optimizations(hwi_request *r)
{
    static const char *const lists[] = {"queued", "completed", "idle_segments"};
    const char *with = hwi_request_arg(r, "with");
    if (!hwi_request_collection(r)) return false;
    hwi_buf_text(&r->out, "{\"summary\":{\"queued_optimizations\":0,\"queued_segments\":0,"
                          "\"queued_points\":0,\"idle_segments\":0},\"running\":[]");
    for (size_t i = 0; i < HWI_COUNT(lists); i++) {
        if (is_asked(with, lists[i])) hwi_buf_printf(&r->out, ",\"%s\":[]", lists[i]);
    }
    hwi_buf_text(&r->out, "}");
    return true;
}
