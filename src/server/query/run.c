/* run.c - one request that searches, from its collection to its last result.
 *
 * Results are kept until the answer is written: ids and payloads are borrowed from them.
 */
#include "server/query/query.h"

bool
hwi_run_begin(hwi_run *run, hwi_request *r)
{
    *run = (hwi_run){.request = r};
    hw_collection *c = hwi_request_collection(r);
    return c && hwi_shape_of(r, c, &run->shape);
}

bool
hwi_run_keep(hwi_run *run, hw_result *result)
{
    if (run->result_count == run->result_room) {
        size_t room = run->result_room ? 2 * run->result_room : 8;
        hw_result **grown = hwi_request_alloc(run->request, room * sizeof *grown);
        if (!grown) {
            hw_result_free(result);
            return false;
        }
        if (run->result_count) memcpy(grown, run->results, run->result_count * sizeof *grown);
        run->results = grown;
        run->result_room = room;
    }
    run->results[run->result_count++] = result;
    return true;
}

void
hwi_run_end(hwi_run *run)
{
    for (size_t i = 0; i < run->result_count; i++) hw_result_free(run->results[i]);
    run->result_count = 0;
}

bool
hwi_run_get(hwi_run *run, const hw_id *ids, size_t count, uint32_t with, const hw_result **out)
{
    hw_result *found;
    hw_error err;
    *out = NULL;
    if (!hwi_ok(run->request,
                hw_collection_get(run->shape.collection, ids, count, with, &found, &err), &err)) {
        return false;
    }
    *out = found;
    return hwi_run_keep(run, found);
}
