/* metrics.h - what is counted, and the texts of /metrics and /telemetry. Safe to share. */
#ifndef HWI_METRICS_H
#define HWI_METRICS_H

#include "exchange.h"

typedef struct hwi_metrics hwi_metrics;

HW_CHECKED hw_status hwi_metrics_new(hwi_metrics **out, hw_error *err);
void hwi_metrics_free(hwi_metrics *m);

/* One request was answered. route NULL: no such path. `collection` NULL: it was about none. */
void hwi_metrics_request(hwi_metrics *m, const hwi_route *route, int status, const char *collection,
                         uint64_t took_us);
/* Adds to a gauge that is kept per collection. */
void hwi_metrics_count(hwi_metrics *m, const char *what, const char *collection, int64_t add);

/* Prometheus' text form. */
void hwi_metrics_text(hwi_server *s, bool per_collection, hwi_buf *out);
/* The result of /telemetry, as Qdrant shapes it. `details`: 0 is the least; `anonymize`: names of
 * collections are replaced by numbers. */
void hwi_telemetry_write(hwi_server *s, uint32_t details, bool anonymize, bool per_collection,
                         hwi_buf *out);

#endif
