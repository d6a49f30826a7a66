/* vectors.c - similarity of a few vectors outside the engine.
 *
 * Variety and feedback compare points that a search has found already, some tens or hundreds, so
 * plain loops will do; what runs over many rows belongs to the engine's kernels. "Similarity" is
 * what Qdrant maximises inside: under l2 the negated square, so that its balance of relevance and
 * variety comes out the same.
 */
#include "server/query/query.h"

#include <math.h>
#include <stdlib.h>

static float
dot(const float *a, const float *b, uint32_t dim)
{
    float sum[8] = {0}, all = 0;
    uint32_t i = 0;
    for (; i + 8 <= dim; i += 8) {
        for (uint32_t j = 0; j < 8; j++) sum[j] += a[i + j] * b[i + j];
    }
    for (; i < dim; i++) all += a[i] * b[i];
    for (uint32_t j = 0; j < 8; j++) all += sum[j];
    return all;
}

static float
row_similarity(const char *metric, const float *a, const float *b, uint32_t dim)
{
    float sum = 0;
    if (strcmp(metric, "l2") == 0) {
        for (uint32_t i = 0; i < dim; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
        return -sum;
    }
    if (strcmp(metric, "l1") == 0) {
        for (uint32_t i = 0; i < dim; i++) sum += fabsf(a[i] - b[i]);
        return -sum;
    }
    return dot(a, b, dim);
}

/* Both sorted by index. */
static float
sparse_similarity(const hw_vector *a, const hw_vector *b)
{
    float sum = 0;
    for (uint32_t i = 0, j = 0; i < a->dim && j < b->dim;) {
        if (a->indices[i] == b->indices[j]) {
            sum += a->values[i++] * b->values[j++];
        } else if (a->indices[i] < b->indices[j]) {
            i++;
        } else {
            j++;
        }
    }
    return sum;
}

float
hwi_similarity(const hwi_shape_field *field, const hw_vector *a, const hw_vector *b)
{
    if (field->kind == HWI_VECTOR_SPARSE) return sparse_similarity(a, b);
    uint32_t dim = HWI_MIN(a->dim, b->dim);
    float sum = 0;
    for (uint32_t i = 0; i < HWI_MAX(a->rows, 1u); i++) { /* each row of a has its best row of b */
        float best = -INFINITY;
        for (uint32_t j = 0; j < HWI_MAX(b->rows, 1u); j++) {
            float s = row_similarity(field->metric, a->values + (size_t)i * a->dim,
                                     b->values + (size_t)j * b->dim, dim);
            best = HWI_MAX(best, s);
        }
        sum += best;
    }
    return sum;
}

typedef struct pair {
    uint32_t index;
    float value;
} pair;

static int
compare_pairs(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static bool
prepare_sparse(hwi_request *r, const hw_vector *v, hw_vector *out)
{
    size_t count = v->dim ? v->dim : 1;
    pair *pairs = hwi_request_alloc(r, count * sizeof *pairs);
    uint32_t *indices = hwi_request_alloc(r, count * sizeof *indices);
    float *values = hwi_request_alloc(r, count * sizeof *values);
    if (!pairs || !indices || !values) return false;
    for (uint32_t i = 0; i < v->dim; i++) pairs[i] = (pair){v->indices[i], v->values[i]};
    qsort(pairs, v->dim, sizeof *pairs, compare_pairs);
    for (uint32_t i = 0; i < v->dim; i++) {
        indices[i] = pairs[i].index;
        values[i] = pairs[i].value;
    }
    if (out != v) *out = *v;
    out->indices = indices;
    out->values = values;
    return true;
}

bool
hwi_vector_prepare(hwi_request *r, const hwi_shape_field *field, const hw_vector *v, hw_vector *out)
{
    if (field->kind == HWI_VECTOR_SPARSE) return prepare_sparse(r, v, out);
    if (out != v) *out = *v;
    if (strcmp(field->metric, "cosine") != 0) return true;
    size_t rows = HWI_MAX(v->rows, 1u);
    float *values = hwi_request_alloc(r, rows * v->dim * sizeof *values);
    if (!values) return false;
    for (size_t i = 0; i < rows; i++) {
        const float *from = v->values + i * v->dim;
        double square = 0;
        for (uint32_t j = 0; j < v->dim; j++) square += (double)from[j] * from[j];
        float length = (float)sqrt(square);
        for (uint32_t j = 0; j < v->dim; j++) {
            values[i * v->dim + j] = length > 0 ? from[j] / length : 0;
        }
    }
    out->values = values;
    return true;
}
