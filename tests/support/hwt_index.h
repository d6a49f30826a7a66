/* hwt_index.h - vectors for tests of the index: made from a seed, kept in plain arrays beside a
 * collection, and searched by comparing with every one.
 */
#ifndef HWT_INDEX_H
#define HWT_INDEX_H

#include "support/hwt_db.h"

#include "index/space.h"

/* Sanitizers cost ten times and more: long tests do less under them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HWT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define HWT_SANITIZED 1
#endif
#endif
#ifndef HWT_SANITIZED
#define HWT_SANITIZED 0
#endif

#define HWT_CLASSES 100u

typedef enum hwt_shape {
    HWT_SPREAD,    /* normal in every component */
    HWT_CLUSTERED, /* around some hundreds of centres that overlap, along a falling spectrum */
    HWT_GRID,      /* small whole numbers: many equal distances and equal vectors */
    HWT_SHAPES
} hwt_shape;

/* Points of one field. Place i has the id hwt_set_id(i), which is not in the order of i, and the
 * payload {"class": i % HWT_CLASSES}. */
typedef struct hwt_set {
    hwi_space space;
    hwi_field field;
    uint32_t count;
    uint8_t *rows; /* as vector pages hold them; space.row_bytes each */
    bool *live;
} hwt_set;

typedef struct hwt_near {
    hw_id id;
    uint32_t place;
    float distance; /* the engine's */
} hwt_near;

void hwt_set_init(hwt_set *s, hwi_metric metric, uint32_t dim, uint32_t count);
void hwt_set_release(hwt_set *s);
/* Vectors of all places, none of them zero. */
void hwt_set_fill(hwt_set *s, hwt_shape shape, uint64_t seed);
/* The same distribution, for queries: out has dim floats. */
void hwt_set_sample(const hwt_set *s, hwt_shape shape, uint64_t seed, hwi_rng *rng, float *out);

const float *hwt_set_vector(const hwt_set *s, uint32_t place);
void hwt_set_put(hwt_set *s, uint32_t place, const float *v); /* makes it live */
hw_id hwt_set_id(uint32_t place);
uint32_t hwt_set_place(const hw_id *id); /* fails the test for an id of none */

/* The collection's settings: metric, dimension, and `index` as the inside of that object. */
void hwt_set_config(const hwt_set *s, const char *index, char out[512]);
/* Upserts places [from, to) in batches of `batch`; they become live. */
void hwt_set_upsert(hwt_set *s, hw_collection *c, uint32_t from, uint32_t to, uint32_t batch);

/* The k nearest live places of at most `distance` whose class is below `classes`, by comparing
 * with all, ordered by distance, then id; returns how many. `out` has room for k. */
uint32_t hwt_set_nearest(const hwt_set *s, const float *query, uint32_t k, uint32_t classes,
                         float distance, hwt_near *out);
/* The filter that lets classes below `classes` through. */
void hwt_class_filter(uint32_t classes, char out[128]);

#endif
