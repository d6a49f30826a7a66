/* metrics.c - what is counted. */
#include "metrics.h"

#include "server_impl.h"

struct hwi_metrics {
    pthread_mutex_t lock;
    uint64_t requests;
};

hw_status
hwi_metrics_new(hwi_metrics **out, hw_error *err)
{
    *out = hwi_alloc_zero(sizeof **out);
    if (*out == NULL) return hwi_nomem(err, sizeof **out);
    pthread_mutex_init(&(*out)->lock, NULL);
    return HW_OK;
}

void
hwi_metrics_free(hwi_metrics *m)
{
    if (m == NULL) return;
    pthread_mutex_destroy(&m->lock);
    hwi_free(m);
}

void
hwi_metrics_request(hwi_metrics *m, const hwi_route *route, hwi_method method, int status,
                    const char *collection, uint64_t took_us)
{
    (void)route, (void)method, (void)status, (void)collection, (void)took_us;
    pthread_mutex_lock(&m->lock);
    m->requests++;
    pthread_mutex_unlock(&m->lock);
}

void
hwi_metrics_count(hwi_metrics *m, const char *what, const char *collection, int64_t add)
{
    (void)m, (void)what, (void)collection, (void)add;
}

void
hwi_metrics_text(hwi_server *s, bool per_collection, hwi_buf *out)
{
    (void)per_collection;
    hwi_buf_printf(out, "# TYPE hashwood_requests_total counter\nhashwood_requests_total %llu\n",
                   (unsigned long long)s->metrics->requests);
}
