/* metrics_impl.h - between metrics.c, which counts, and those who write what was counted. */
#ifndef HWI_METRICS_IMPL_H
#define HWI_METRICS_IMPL_H

#include "server_impl.h"

#define HWI_METRICS_BUCKETS 15u
extern const double hwi_metrics_bounds[HWI_METRICS_BUCKETS]; /* seconds, upper ends */

/* Requests of one route, status and collection. */
typedef struct hwi_metrics_cell {
    const hwi_route *route; /* NULL: no such path */
    const char *name;       /* of the collection; NULL: all */
    uint32_t collection;    /* its number; 0: all */
    int status;
    uint64_t count, sum_us, least_us, most_us;
    int64_t last_s;
    uint64_t buckets[HWI_METRICS_BUCKETS];
} hwi_metrics_cell;

/* A copy of the cells, of all collections together or of each, sorted; free with hwi_free. NULL when
 * out of memory. */
hwi_metrics_cell *hwi_metrics_cells(hwi_metrics *m, bool per_collection, size_t *cells);
/* "/collections/{collection_name}/points": a route with the parameter's name as Qdrant shows it. */
#define HWI_METRICS_ENDPOINT_MAX 255u
void hwi_metrics_endpoint(const hwi_route *route, char text[HWI_METRICS_ENDPOINT_MAX + 1]);
/* A gauge that hwi_metrics_count keeps. */
int64_t hwi_metrics_gauge(hwi_metrics *m, const char *what, const char *collection);

/* What the kernel says of the process; 0 where it says nothing (process.c). */
typedef struct hwi_process {
    uint64_t threads, open_files, max_files, mappings, max_mappings;
    uint64_t resident_bytes, peak_bytes, virtual_bytes, allocated_bytes, active_bytes,
        metadata_bytes, retained_bytes;
    uint64_t minor_faults, major_faults;
    double cpu_seconds;
} hwi_process;
void hwi_process_read(hwi_process *out);

#endif
