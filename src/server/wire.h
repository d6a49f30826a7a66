/* wire.h - Qdrant's JSON forms of ids, vectors, selectors, points, in both directions.
 *
 * Every reader takes the JSON value and where it stood (for messages), refuses by itself and returns
 * false; NULL values mean absent. What is read lives in the request's arena.
 */
#ifndef HWI_WIRE_H
#define HWI_WIRE_H

#include "request.h"

/* ---- What a collection looks like to readers of vectors */

typedef enum hwi_vector_kind {
    HWI_VECTOR_DENSE,
    HWI_VECTOR_MULTI,
    HWI_VECTOR_SPARSE
} hwi_vector_kind;

typedef struct hwi_shape_field {
    const char *name; /* "" for the unnamed one */
    hwi_vector_kind kind;
    uint32_t dim;       /* 0 for sparse */
    const char *metric; /* "cosine", "l2", "dot", "l1" */
} hwi_shape_field;

typedef struct hwi_shape {
    hw_collection *collection;
    const hwi_shape_field *fields;
    size_t field_count;
    bool string_ids;           /* ids may be any text, unless the collection says otherwise */
    const hwi_json *described; /* hw_collection_describe, parsed */
} hwi_shape;

/* Read from the collection's description at each call: some microseconds, and never out of date. */
bool hwi_shape_of(hwi_request *r, hw_collection *c, hwi_shape *out);
/* NULL after refusing: 400 "Wrong input: Not existing vector name error: x". */
const hwi_shape_field *hwi_shape_field_named(hwi_request *r, const hwi_shape *shape,
                                             const char *name);

/* ---- Reading */

bool hwi_read_id(hwi_request *r, const hwi_shape *shape, const hwi_json *j, hw_id *out);
bool hwi_read_ids(hwi_request *r, const hwi_shape *shape, const hwi_json *j, hw_id **out,
                  size_t *count);
/* An optional number within [low, high]; `otherwise` when absent or null; 422 outside. */
bool hwi_read_u32(hwi_request *r, const hwi_json *o, const char *key, uint32_t otherwise,
                  uint32_t low, uint32_t high, uint32_t *out);
bool hwi_read_f64(hwi_request *r, const hwi_json *o, const char *key, double otherwise, double *out,
                  bool *is_there);
bool hwi_read_bool(hwi_request *r, const hwi_json *o, const char *key, bool otherwise, bool *out);
/* NULL when absent or null. */
bool hwi_read_text(hwi_request *r, const hwi_json *o, const char *key, const char **out);

/* One vector of a field: [..] dense, [[..], ..] multi, {indices, values} sparse. */
bool hwi_read_vector(hwi_request *r, const hwi_shape_field *field, const hwi_json *j,
                     hw_vector *out);
/* The "vector" member of a point: an array for the unnamed one, or an object by name. */
bool hwi_read_vectors(hwi_request *r, const hwi_shape *shape, const hwi_json *j, hw_vector **out,
                      size_t *count);

/* The text of a filter for the engine; *text NULL when absent or null. */
bool hwi_read_filter(hwi_request *r, const hwi_json *o, const char *key, const char **text,
                     size_t *bytes);
/* Two filters that must both hold, either may be NULL. */
bool hwi_join_filters(hwi_request *r, const char *a, size_t a_bytes, const char *b, size_t b_bytes,
                      const char **text, size_t *bytes);

/* with_payload and with_vector (or with_vectors). Names must be of the shape's vectors, if one is
 * given. */
typedef struct hwi_selector {
    bool payload;
    const hwi_json *include, *exclude; /* arrays of paths, or NULL */
    bool vector;
    const hwi_json *vector_names; /* array of names; NULL: all */
} hwi_selector;
bool hwi_read_selector(hwi_request *r, const hwi_shape *shape, const hwi_json *o,
                       bool payload_otherwise, hwi_selector *out);
uint32_t hwi_selector_with(const hwi_selector *s); /* HW_WITH_... */

/* ---- Writing, appended to r->out */

/* {"id": .., "payload": .., "vector": ..} of hit i; order_value too where there is one. */
void hwi_write_record(hwi_request *r, const hwi_shape *shape, const hw_result *result, size_t i,
                      const hwi_selector *s);
/* {"id": .., "version": .., "score": .., "payload": .., "vector": ..}; `score` as to be shown. */
void hwi_write_scored(hwi_request *r, const hwi_shape *shape, const hw_result *result, size_t i,
                      float score, const hwi_selector *s);
/* {"operation_id": n, "status": "completed" | "acknowledged"} */
void hwi_write_update(hwi_request *r, bool waited);

#endif
