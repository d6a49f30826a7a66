/* index.c - the index for people: how well it finds what there is to find.
 */
#include "server/server.h"

static bool
recall(hwi_request *r)
{
    if (!hwi_request_collection(r)) return false;
    hwi_sampler_report(r->server, hwi_request_param(r, "collection"), &r->out);
    return true;
}

const hwi_route hwi_routes_index[] = {
    {HWI_GET, "/collections/{collection}/recall", HWI_NEED_READ, 0, recall},
    {0},
};
