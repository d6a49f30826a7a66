/* metrics.h - what is counted, and the texts of /metrics and /telemetry. Safe to share. */
#ifndef HWI_METRICS_H
#define HWI_METRICS_H

#include "exchange.h"

typedef struct hwi_metrics hwi_metrics;

HW_CHECKED hw_status hwi_metrics_new(hwi_metrics **out, hw_error *err);
void hwi_metrics_free(hwi_metrics *m);

/* One request was answered. `collection` NULL: it was about none. */
void hwi_metrics_request(hwi_metrics *m, const hwi_route *route, hwi_method method, int status,
                         const char *collection, uint64_t took_us);
/* Adds to a gauge that is kept per collection. */
void hwi_metrics_count(hwi_metrics *m, const char *what, const char *collection, int64_t add);

/* Prometheus' text form. */
void hwi_metrics_text(hwi_server *s, bool per_collection, hwi_buf *out);
/* The requests part of /telemetry: {"rest": {"responses": {...}}} */
void hwi_metrics_telemetry(hwi_metrics *m, hwi_buf *out);

#endif
