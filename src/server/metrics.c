/* metrics.c - requests counted by route, status and collection.
 *
 * A table of cells under one lock, held for some fifty nanoseconds a request. Every request counts in
 * the cell of its route and status, and in that cell of its collection too. Labels come from callers
 * (names of collections), so the table has a bound: beyond it requests count for all collections
 * together only, and nobody can make us remember without end.
 */
#include <stdio.h>

#include "metrics_impl.h"

#include <stdlib.h>
#include <time.h>

#define CELLS 16384u /* a power of two; at most three quarters are used */
#define COLLECTIONS_MAX 1000u
#define GAUGES_MAX 256u

const double hwi_metrics_bounds[HWI_METRICS_BUCKETS] = {
    /* Qdrant's, so that dashboards need no change; finer ones below, where our searches are */
    1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5, 1, 5, 10, 50};

typedef struct gauge {
    const char *what;
    uint32_t collection;
    int64_t value;
} gauge;

struct hwi_metrics {
    pthread_mutex_t lock; /* guards all below */
    hwi_metrics_cell *cells;
    size_t cell_count;
    char *collections[COLLECTIONS_MAX]; /* [0] stands for all of them */
    uint32_t collection_count;
    gauge gauges[GAUGES_MAX];
    size_t gauge_count;
};

static const char *const gauge_names[] = {"snapshot_creation_running", "snapshot_recovery_running",
                                          "snapshot_created_total"};

hw_status
hwi_metrics_new(hwi_metrics **out, hw_error *err)
{
    hwi_metrics *m = hwi_alloc_zero(sizeof *m);

    *out = NULL;
    if (m == NULL) return hwi_nomem(err, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->collection_count = 1;
    m->cells = hwi_alloc_zero(CELLS * sizeof *m->cells);
    if (m->cells == NULL) {
        hwi_metrics_free(m);
        return hwi_nomem(err, CELLS * sizeof *m->cells);
    }
    *out = m;
    return HW_OK;
}

void
hwi_metrics_free(hwi_metrics *m)
{
    if (m == NULL) return;
    for (uint32_t i = 1; i < m->collection_count; i++) hwi_free(m->collections[i]);
    pthread_mutex_destroy(&m->lock);
    hwi_free(m->cells);
    hwi_free(m);
}

/* The number of a collection's name; 0 when there is no room for another. The lock is held. */
static uint32_t
number_of(hwi_metrics *m, const char *collection)
{
    size_t bytes = strlen(collection) + 1;
    char *copy;

    for (uint32_t i = 1; i < m->collection_count; i++)
        if (strcmp(m->collections[i], collection) == 0) return i;
    if (m->collection_count == COLLECTIONS_MAX || (copy = hwi_alloc(bytes)) == NULL) return 0;
    memcpy(copy, collection, bytes);
    m->collections[m->collection_count] = copy;
    return m->collection_count++;
}

/* The cell of these labels, new or old; NULL when there is no room. The lock is held. */
static hwi_metrics_cell *
cell_of(hwi_metrics *m, uint32_t collection, const hwi_route *route, int status)
{
    uint64_t key[3] = {collection, (uintptr_t)route, (uint64_t)status};
    size_t at = hwi_checksum(key, sizeof key) & (CELLS - 1);

    for (;; at = (at + 1) & (CELLS - 1)) {
        hwi_metrics_cell *c = &m->cells[at];
        if (c->count && c->collection == collection && c->route == route && c->status == status)
            return c;
        if (c->count) continue;
        if (m->cell_count >= CELLS / 4 * 3) return NULL;
        m->cell_count++;
        *c = (hwi_metrics_cell){
            .collection = collection, .route = route, .status = status, .least_us = UINT64_MAX};
        return c;
    }
}

static void
count(hwi_metrics_cell *c, uint64_t took_us)
{
    size_t i = 0;

    if (c == NULL) return;
    while (i < HWI_METRICS_BUCKETS && (double)took_us / 1e6 > hwi_metrics_bounds[i]) i++;
    if (i < HWI_METRICS_BUCKETS) c->buckets[i]++;
    c->count++;
    c->sum_us += took_us;
    c->least_us = HWI_MIN(c->least_us, took_us);
    c->most_us = HWI_MAX(c->most_us, took_us);
    c->last_s = (int64_t)time(NULL);
}

void
hwi_metrics_request(hwi_metrics *m, const hwi_route *route, int status, const char *collection,
                    uint64_t took_us)
{
    if (route == NULL) collection = NULL;
    pthread_mutex_lock(&m->lock);
    count(cell_of(m, 0, route, status), took_us);
    if (collection && status != 404) {
        uint32_t number = number_of(m, collection);
        if (number) count(cell_of(m, number, route, status), took_us);
    }
    pthread_mutex_unlock(&m->lock);
}

void
hwi_metrics_count(hwi_metrics *m, const char *what, const char *collection, int64_t add)
{
    const char *name = NULL;
    size_t i = 0;

    for (size_t j = 0; j < HWI_COUNT(gauge_names); j++)
        if (strcmp(what, gauge_names[j]) == 0) name = gauge_names[j];
    if (name == NULL) return;
    pthread_mutex_lock(&m->lock);
    uint32_t number = collection ? number_of(m, collection) : 0;
    while (i < m->gauge_count && (m->gauges[i].what != name || m->gauges[i].collection != number))
        i++;
    if (i == m->gauge_count && i < GAUGES_MAX)
        m->gauges[m->gauge_count++] = (gauge){name, number, 0};
    if (i < GAUGES_MAX) m->gauges[i].value += add;
    pthread_mutex_unlock(&m->lock);
}

/* ---- Reading */

/* By collection, then path, method and status. */
static int
by_labels(const void *a, const void *b)
{
    const hwi_metrics_cell *p = a, *q = b;
    int order;

    if (p->collection != q->collection) return p->collection < q->collection ? -1 : 1;
    if (p->route == NULL || q->route == NULL) return (p->route != NULL) - (q->route != NULL);
    order = strcmp(p->route->pattern, q->route->pattern);
    if (order) return order;
    if (p->route->method != q->route->method) return p->route->method < q->route->method ? -1 : 1;
    return (p->status > q->status) - (p->status < q->status);
}

hwi_metrics_cell *
hwi_metrics_cells(hwi_metrics *m, bool per_collection, size_t *cells)
{
    hwi_metrics_cell *out;

    *cells = 0;
    pthread_mutex_lock(&m->lock);
    out = hwi_alloc((m->cell_count + 1) * sizeof *out);
    for (size_t i = 0; out && i < CELLS; i++) {
        hwi_metrics_cell *c = &m->cells[i];
        if (c->count == 0 || (c->collection != 0) != per_collection) continue;
        out[*cells] = *c;
        /* names stay where they are for as long as the server lives */
        out[(*cells)++].name = m->collections[c->collection];
    }
    pthread_mutex_unlock(&m->lock);
    if (out) qsort(out, *cells, sizeof *out, by_labels);
    return out;
}

int64_t
hwi_metrics_gauge(hwi_metrics *m, const char *what, const char *collection)
{
    int64_t value = 0;

    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->gauge_count; i++) {
        const char *name = m->collections[m->gauges[i].collection];
        bool same = name == collection || (name && collection && strcmp(name, collection) == 0);
        if (same && strcmp(m->gauges[i].what, what) == 0) value = m->gauges[i].value;
    }
    pthread_mutex_unlock(&m->lock);
    return value;
}

void
hwi_metrics_endpoint(const hwi_route *route, char text[HWI_METRICS_ENDPOINT_MAX + 1])
{
    const char *pattern = route ? route->pattern : "unknown";
    const char *at = strstr(pattern, "{collection}");

    if (at)
        snprintf(text, HWI_METRICS_ENDPOINT_MAX + 1, "%.*s{collection_name}%s", (int)(at - pattern),
                 pattern, at + strlen("{collection}"));
    else
        snprintf(text, HWI_METRICS_ENDPOINT_MAX + 1, "%s", pattern);
}
