/* strict.h - strict mode: what a collection's owner has forbidden its callers.
 *
 * `strict_mode_config` stands among a collection's settings and counts only while its `enabled` is
 * true. Every function refuses by itself (400, or 429 with Retry-After) and returns false.
 */
#ifndef HWI_STRICT_H
#define HWI_STRICT_H

#include "server/wire.h"

/* What one search, scroll or change asks for. Zero-initialise and set what there is. */
typedef struct hwi_strict_ask {
    bool is_write;          /* the filter says what is changed, not what is found */
    const hwi_json *filter; /* NULL: none */
    bool has_limit;
    uint64_t limit;
    bool exact;
    const hwi_json *params; /* "params" of a search, or NULL: hnsw_ef, exact, quantization */
} hwi_strict_ask;

bool hwi_strict_check(hwi_request *r, const hwi_shape *shape, const hwi_strict_ask *ask);
/* A batch of so many searches. */
bool hwi_strict_batch(hwi_request *r, const hwi_shape *shape, size_t searches);
/* A formula's conditions, and the fields it computes with, want an index where unindexed filtering is
 * forbidden; `types` as in "float, integer". */
bool hwi_strict_condition(hwi_request *r, const hwi_shape *shape, const hwi_json *filter);
bool hwi_strict_field(hwi_request *r, const hwi_shape *shape, const char *field, const char *types);
/* group_by wants an index where unindexed filtering is forbidden. */
bool hwi_strict_group(hwi_request *r, const hwi_shape *shape, const char *field);
/* Any other number with a limit: search_max_... by its name in strict_mode_config; `what` is how the
 * message calls it. */
bool hwi_strict_limit(hwi_request *r, const hwi_shape *shape, const char *key, const char *what,
                      double value);

/* One call per request, before the work: ?timeout= against max_timeout, and the rate. `cost` is, of
 * reads by filter, the sum of hwi_strict_cost over the request's parts; else the number of points. */
bool hwi_strict_admit(hwi_request *r, const hwi_shape *shape, bool is_write, uint64_t cost);
/* Whether there is a rate of writes, so that the number of points they concern matters. */
bool hwi_strict_limits_writes(const hwi_shape *shape);
/* Rates of the collection start from full buckets: it is new, or its limits were set. */
void hwi_strict_refill(const char *name);
/* 1 for the operation and 1 for each condition of its filter (NULL: none). */
uint32_t hwi_strict_cost(const hwi_json *filter);

/* Whether so many points more may be written (`upserts`: "upsert limit" or "update limit"). */
bool hwi_strict_growth(hwi_request *r, const hwi_shape *shape, const char *what, size_t points);
/* Whether the payloads of a collection may grow. */
bool hwi_strict_payload_growth(hwi_request *r, const hwi_shape *shape);
/* Whether a vector has at most as many rows or pairs as its field may have. */
bool hwi_strict_vector(hwi_request *r, const hwi_shape *shape, const hw_vector *v);
/* Whether one payload index more may be made. */
bool hwi_strict_index(hwi_request *r, const hwi_shape *shape);

#endif
