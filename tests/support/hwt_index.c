#include "support/hwt_index.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/validate.h"

#define CLUSTERS 300u
#define ID_FACTOR 0x9E3779B1u  /* odd: distinct places have distinct ids */
#define ID_INVERSE 0x0E8B2F51u /* modulo 2^32 */

void
hwt_set_init(hwt_set *s, hwi_metric metric, uint32_t dim, uint32_t count)
{
    *s = (hwt_set){.count = count};
    s->field = (hwi_field){.name = "", .dim = dim, .metric = metric, .seed = 1};
    hwi_space_init(&s->space, &s->field);
    s->rows = calloc(count, s->space.row_bytes);
    s->live = calloc(count, sizeof *s->live);
    assert_true(s->rows && s->live);
}

void
hwt_set_release(hwt_set *s)
{
    free(s->rows);
    free(s->live);
}

const float *
hwt_set_vector(const hwt_set *s, uint32_t place)
{
    return hwi_vec_row(s->rows + (size_t)place * s->space.row_bytes);
}

static void
set_values(hwt_set *s, uint32_t place, const float *v)
{
    uint8_t *row = s->rows + (size_t)place * s->space.row_bytes;
    float inverse;
    hw_error err;

    hwt_ok(hwi_validate_vector(&s->field, v, s->space.dim, &inverse, &err), &err);
    memcpy(row, v, s->space.dim * sizeof *v);
    hwi_put_f32(row + s->space.dim * sizeof *v, inverse);
    assert_true(hwi_vec_inv_norm(row, s->space.dim) == inverse);
}

void
hwt_set_put(hwt_set *s, uint32_t place, const float *v)
{
    set_values(s, place, v);
    s->live[place] = true;
}

/* Component j of cluster c's centre: large in the first components, small in the last. */
static float
centre_at(uint64_t seed, uint64_t c, uint32_t j)
{
    hwi_rng rng;

    hwi_rng_init(&rng, seed * 1000003 + c * 4099 + j);
    return (float)(1.5 * hwi_rng_normal(&rng) / sqrt(1 + 0.15 * j));
}

void
hwt_set_sample(const hwt_set *s, hwt_shape shape, uint64_t seed, hwi_rng *rng, float *out)
{
    uint32_t dim = s->space.dim;
    uint64_t c = hwi_rng_below(rng, CLUSTERS);

    for (uint32_t j = 0; j < dim; j++) {
        if (shape == HWT_GRID)
            out[j] = (float)hwi_rng_below(rng, 5) - 2;
        else
            out[j] = (float)hwi_rng_normal(rng);
        if (shape == HWT_CLUSTERED)
            out[j] = out[j] / sqrtf(1 + 0.15f * (float)j) + centre_at(seed, c, j);
    }
    if (shape == HWT_GRID) out[dim - 1] += out[dim - 1] >= 0; /* never the zero vector */
}

void
hwt_set_fill(hwt_set *s, hwt_shape shape, uint64_t seed)
{
    float *v = malloc(s->space.dim * sizeof *v);
    hwi_rng rng;

    assert_non_null(v);
    hwi_rng_init(&rng, seed);
    for (uint32_t i = 0; i < s->count; i++) {
        hwt_set_sample(s, shape, seed, &rng, v);
        set_values(s, i, v);
    }
    free(v);
}

hw_id
hwt_set_id(uint32_t place)
{
    return HW_ID_U64(place * ID_FACTOR);
}

uint32_t
hwt_set_place(const hw_id *id)
{
    assert_int_equal(id->kind, HW_ID_KIND_U64);
    assert_true(id->as.u64 <= UINT32_MAX);
    return (uint32_t)id->as.u64 * ID_INVERSE;
}

void
hwt_set_config(const hwt_set *s, const char *index, char out[512])
{
    int n = snprintf(out, 512, "{\"dim\": %u, \"metric\": \"%s\", \"index\": {%s}}", s->space.dim,
                     hwi_metric_text(s->space.metric), index);

    assert_in_range(n, 1, 511);
}

#define BATCH_MOST 4096u

void
hwt_set_upsert(hwt_set *s, hw_collection *c, uint32_t from, uint32_t to, uint32_t batch)
{
    static char text[HWT_CLASSES][32];
    const char **payloads = calloc(BATCH_MOST, sizeof *payloads);
    hw_id *ids = calloc(BATCH_MOST, sizeof *ids);
    float *vectors = calloc((size_t)BATCH_MOST * s->space.dim, sizeof *vectors);
    hw_error err;

    assert_true(payloads && ids && vectors && batch > 0 && batch <= BATCH_MOST);
    for (uint32_t i = 0; i < HWT_CLASSES; i++)
        snprintf(text[i], sizeof text[i], "{\"class\": %u}", i);
    for (uint32_t at = from; at < to; at += batch) {
        uint32_t n = HWI_MIN(batch, to - at);
        for (uint32_t i = 0; i < n; i++) {
            ids[i] = hwt_set_id(at + i);
            payloads[i] = text[(at + i) % HWT_CLASSES];
            memcpy(vectors + (size_t)i * s->space.dim, hwt_set_vector(s, at + i),
                   s->space.dim * sizeof *vectors);
            s->live[at + i] = true;
        }
        hwt_ok(hw_collection_upsert(c, ids, vectors, n, payloads, &err), &err);
    }
    free(payloads);
    free(ids);
    free(vectors);
}

static int
by_nearness(const void *a, const void *b)
{
    const hwt_near *x = a, *y = b;

    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return hw_id_compare(&x->id, &y->id);
}

uint32_t
hwt_set_nearest(const hwt_set *s, const float *query, uint32_t k, uint32_t classes, float distance,
                hwt_near *out)
{
    float *prepared = malloc(s->space.dim * sizeof *prepared);
    float *all = malloc((s->count + 1) * sizeof *all);
    hwt_near *order = malloc((s->count + 1) * sizeof *order);
    uint32_t n = 0;

    assert_true(prepared && all && order);
    hwi_space_prepare(&s->space, query, prepared);
    hwi_space_rows(&s->space, prepared, s->rows, s->count, all);
    for (uint32_t i = 0; i < s->count; i++)
        if (s->live[i] && i % HWT_CLASSES < classes && all[i] <= distance)
            order[n++] = (hwt_near){hwt_set_id(i), i, all[i]};
    qsort(order, n, sizeof *order, by_nearness);
    n = HWI_MIN(n, k);
    memcpy(out, order, n * sizeof *order);
    free(prepared);
    free(all);
    free(order);
    return n;
}

void
hwt_class_filter(uint32_t classes, char out[128])
{
    int n =
        snprintf(out, 128, "{\"must\": [{\"key\": \"class\", \"range\": {\"lt\": %u}}]}", classes);

    assert_in_range(n, 1, 127);
}
