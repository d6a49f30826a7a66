/* sampler.c - recall, measured while the server runs. */
#include "server_impl.h"

struct hwi_sampler {
    hwi_server *server;
};

hw_status
hwi_sampler_new(hwi_server *s, hwi_sampler **out, hw_error *err)
{
    *out = hwi_alloc_zero(sizeof **out);
    if (*out == NULL) return hwi_nomem(err, sizeof **out);
    (*out)->server = s;
    return HW_OK;
}

void
hwi_sampler_free(hwi_sampler *sampler)
{
    hwi_free(sampler);
}

void
hwi_sampler_offer(hwi_request *r, const char *collection, const hw_query *query,
                  const hw_result *found)
{
    (void)r, (void)collection, (void)query, (void)found;
}

void
hwi_sampler_report(hwi_server *s, const char *collection, hwi_buf *out)
{
    (void)s, (void)collection;
    hwi_buf_text(out, "{\"days\":[]}");
}
