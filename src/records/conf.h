/* conf.h - a collection's settings: its vector fields, payload indexes, and what clients stored
 * there.
 *
 * Kept as one JSON value under `conf, c`; parsed once when a collection is opened, immutable from
 * then on and shared by reference count between threads.
 */
#ifndef HWI_CONF_H
#define HWI_CONF_H

#include "base/json.h"
#include "store/store.h"

#define HWI_FIELD_FLAT_BELOW_MAX 10000000u

/* Length of the longest vector, stored or searched for. Squared distances then stay below 1e29,
 * from where on numbers mark the padding of signature pages (kernel/kernel.h), and far below what
 * single precision holds, with room for the 32 times that a Hadamard transform may add. */
#define HWI_VECTOR_LENGTH_MAX 1e14

typedef enum hwi_metric { HWI_COSINE, HWI_L2, HWI_DOT, HWI_L1 } hwi_metric;
typedef enum hwi_index_kind { HWI_HYBRID, HWI_KDTREE, HWI_LSH, HWI_FLAT } hwi_index_kind;

/* What a vector of a field is: one row, several rows, or pairs of an index and a value. */
typedef enum hwi_vector_type { HWI_DENSE, HWI_MULTI, HWI_SPARSE } hwi_vector_type;

/* One vector field. `number` never changes and is never reused within a collection. */
typedef struct hwi_field {
    uint32_t number;
    const char *name; /* "" for the unnamed one */
    hwi_vector_type type;
    uint32_t dim; /* sparse: 0 */
    bool idf;     /* sparse: rare indices of a query weigh more */
    hwi_metric metric;
    hwi_index_kind kind;
    uint32_t leaf_size;  /* vectors in a leaf; 0: chosen from the data */
    uint32_t bits;       /* signature bits; 0: 128 up to 128 dimensions, else 256 */
    uint32_t flat_below; /* points below which everything is compared exactly; default 2000 */
    uint64_t seed;
    const hwi_json *extra; /* keys of this vector that are not ours, or NULL */
} hwi_field;

typedef enum hwi_pix_type {
    HWI_PIX_KEYWORD,
    HWI_PIX_INTEGER,
    HWI_PIX_FLOAT,
    HWI_PIX_BOOL,
    HWI_PIX_DATETIME,
    HWI_PIX_GEO,
    HWI_PIX_UUID,
    HWI_PIX_TEXT
} hwi_pix_type;

/* One payload index. */
typedef struct hwi_pix_field {
    uint32_t number; /* from 1; 0 is the bitmap of live slots (payload/pix.h) */
    const char *path;
    hwi_pix_type type;
    bool ready;             /* false while existing points are still being indexed */
    uint32_t built_below;   /* building: slots below this are done */
    const hwi_json *params; /* settings beside the type as they were given, an object; NULL: none */
} hwi_pix_field;

typedef struct hwi_schema {
    hwi_pix_field *fields;
    size_t count;
} hwi_schema;

typedef struct hwi_conf {
    uint32_t coll;  /* collection number, never reused */
    bool id_blocks; /* integer ids share entries (records/ids.c) */
    const char *name;
    uint64_t revision; /* raised whenever the value under `conf, c` changes */
    hwi_field *fields;
    size_t field_count;
    uint32_t next_field; /* number that the next field gets */
    uint32_t *dropped;   /* numbers of fields whose keys are still to be deleted */
    size_t dropped_count;
    hwi_schema schema;
    const hwi_json *extra; /* keys that are not ours, given back by describe; may be NULL */
    uint64_t stored_sum;   /* checksum of the stored form it was decoded from */
    hwi_arena arena;       /* owns all of the above */
    atomic_int refs;
} hwi_conf;

/* Checks a user's config (hw_collection_create) and fills defaults. HW_EINVAL names the key. */
HW_CHECKED hw_status hwi_conf_parse(const char *name, const char *json, size_t bytes,
                                    hwi_conf **out, hw_error *err);

/* Checks one field's config, the value under "vectors" or "sparse_vectors", and adds the field with
 * a number of its own; conf must not be shared yet. HW_EINVAL, HW_EEXIST, HW_ELIMIT. */
HW_CHECKED hw_status hwi_conf_field_add(hwi_conf *conf, const char *name, bool sparse,
                                        const char *json, size_t bytes, hw_error *err);
/* Takes a field away and notes its number as dropped. HW_ENOTFOUND. */
HW_CHECKED hw_status hwi_conf_field_remove(hwi_conf *conf, const char *name, hw_error *err);
/* The keys of the first dropped field are all deleted. */
void hwi_conf_dropped_done(hwi_conf *conf);
/* Changes the clients' own keys: a JSON merge patch. HW_EINVAL also for a key that is ours. */
HW_CHECKED hw_status hwi_conf_patch(hwi_conf *conf, const char *json, size_t bytes, hw_error *err);

/* Whether a name may be a collection's (or, not empty, a vector's): HW_EINVAL. */
HW_CHECKED hw_status hwi_name_check(const char *what, const char *name, size_t bytes,
                                    hw_error *err);

/* The stored form, u32 checksum and JSON, and back (HW_ECORRUPT). */
void hwi_conf_encode(const hwi_conf *conf, hwi_buf *out);
HW_CHECKED hw_status hwi_conf_decode(hw_bytes value, hwi_conf **out, hw_error *err);

/* Reads `conf, c`: HW_ENOTFOUND (err untouched) when there is no such collection. */
HW_CHECKED hw_status hwi_conf_get(hw_store_txn *txn, uint32_t coll, hwi_conf **out, hw_error *err);
/* The same, but a reference to `known` when that is what is stored. */
HW_CHECKED hw_status hwi_conf_refresh(hw_store_txn *txn, hwi_conf *known, hwi_conf **out,
                                      hw_error *err);
HW_CHECKED hw_status hwi_conf_put(hw_store_txn *txn, const hwi_conf *conf, hw_error *err);

/* Payload index of a path, or NULL. */
hwi_pix_field *hwi_conf_pix(const hwi_conf *conf, const char *path);
/* Adds a payload index with a number of its own; conf must not be shared yet. NULL: out of memory.
 */
hwi_pix_field *hwi_conf_pix_add(hwi_conf *conf, const char *path, hwi_pix_type type,
                                const hwi_json *params);
void hwi_conf_pix_remove(hwi_conf *conf, hwi_pix_field *field);
/* Replaces its settings by a copy (NULL: none). HW_ENOMEM. */
HW_CHECKED hw_status hwi_conf_pix_set(hwi_conf *conf, hwi_pix_field *field, const hwi_json *params,
                                      hw_error *err);
/* The type that a user gives, a word or an object with `type`; *params is that object, or NULL.
 * False if there is no such type. */
bool hwi_pix_type_read(const hwi_json *given, hwi_pix_type *type, const hwi_json **params);
/* False if there is no such type. */
bool hwi_pix_type_parse(const char *text, hwi_pix_type *type);

/* Field by name (NULL or "": the unnamed one); NULL if there is none. */
const hwi_field *hwi_conf_field(const hwi_conf *conf, const char *name);

hwi_conf *hwi_conf_ref(hwi_conf *conf);
void hwi_conf_unref(hwi_conf *conf); /* NULL is fine */

const char *hwi_metric_text(hwi_metric metric);   /* "l2" */
const char *hwi_kind_text(hwi_index_kind kind);   /* "hybrid" */
const char *hwi_type_text(hwi_vector_type type);  /* "dense" */
const char *hwi_pix_type_text(hwi_pix_type type); /* "keyword" */

/* The user's score from the engine's distance (smaller is nearer): 1 - d for cosine, sqrt(d) for
 * l2, -d for dot, d for l1. Engine distances: cosine 1 - <q, x>/(|q| |x|), l2 squared distance, dot
 * -<q, x>, l1 sum of differences. */
float hwi_score(hwi_metric metric, float distance);
/* The engine distance of a user's score threshold. */
float hwi_score_to_distance(hwi_metric metric, float score);

#endif
