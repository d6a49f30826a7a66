/* feedback.c - relevance feedback as one nearest search.
 *
 * Qdrant scores every point x by a target t and pairs of examples (p, n) of which p was judged
 * better by some d:
 *
 *     a s(t, x) + sum over pairs of w (s(p, x) - s(n, x)),   w = c d^b
 *
 * For a dot product that is the dot product of x with one vector, a t + sum w (p - n); under cosine
 * the same with all vectors of length one. Under l2, s is the negated square of the distance, in each
 * pair the squares of x cancel, and what remains is -a |x - m|^2 plus a constant, where
 * m = t + sum (w / a) (p - n). So the index finds the best points; no scan is needed, and scores are
 * Qdrant's. This works for dense and sparse vectors; under l1 and for multi-vectors it does not, and
 * under l2 only while a is above 0.
 */
#include "server/query/query.h"

#include <math.h>
#include <stdlib.h>

/* How much each example weighs: summed over the pairs that it is part of. */
static void
weigh(const hwi_plan *p, float *weights)
{
    for (size_t i = 0; i < p->example_count; i++) weights[i] = 0;
    for (size_t i = 0; i < p->example_count; i++) {
        for (size_t j = 0; j < p->example_count; j++) {
            float better = p->examples[i].feedback - p->examples[j].feedback;
            if (i == j || !(better > 0)) continue;
            float w = powf(better, p->feedback_b) * p->feedback_c;
            weights[i] += w;
            weights[j] -= w;
        }
    }
}

static double
square_length(const hw_vector *v)
{
    double sum = 0;
    for (uint32_t i = 0; i < v->dim; i++) sum += (double)v->values[i] * v->values[i];
    return sum;
}

/* The sum of weighted vectors of one dimension. */
static bool
sum_dense(hwi_request *r, const hw_vector *vectors, const float *weights, size_t count,
          hw_vector *out)
{
    uint32_t dim = vectors[0].dim;
    double *sums = hwi_request_alloc(r, dim * sizeof *sums);
    float *values = hwi_request_alloc(r, dim * sizeof *values);
    if (!sums || !values) return false;
    for (uint32_t i = 0; i < dim; i++) sums[i] = 0;
    for (size_t v = 0; v < count; v++) {
        for (uint32_t i = 0; i < dim; i++) {
            sums[i] += (double)weights[v] * (double)vectors[v].values[i];
        }
    }
    for (uint32_t i = 0; i < dim; i++) values[i] = (float)sums[i];
    *out = (hw_vector){.values = values, .dim = dim, .rows = 1};
    return true;
}

typedef struct term {
    uint32_t index;
    double value;
} term;

static int
compare_terms(const void *a, const void *b)
{
    const term *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static bool
sum_sparse(hwi_request *r, const hw_vector *vectors, const float *weights, size_t count,
           hw_vector *out)
{
    size_t total = 0, n = 0;
    for (size_t v = 0; v < count; v++) total += vectors[v].dim;
    term *terms = hwi_request_alloc(r, (total + 1) * sizeof *terms);
    uint32_t *indices = hwi_request_alloc(r, (total + 1) * sizeof *indices);
    float *values = hwi_request_alloc(r, (total + 1) * sizeof *values);
    if (!terms || !indices || !values) return false;
    for (size_t v = 0; v < count; v++) {
        for (uint32_t i = 0; i < vectors[v].dim; i++) {
            terms[n++] =
                (term){vectors[v].indices[i], (double)weights[v] * (double)vectors[v].values[i]};
        }
    }
    qsort(terms, total, sizeof *terms, compare_terms);
    n = 0;
    for (size_t i = 0; i < total;) {
        double sum = 0;
        uint32_t index = terms[i].index;
        for (; i < total && terms[i].index == index; i++) sum += terms[i].value;
        indices[n] = index;
        values[n++] = (float)sum;
    }
    *out = (hw_vector){.values = values, .indices = indices, .dim = (uint32_t)n, .rows = 1};
    return true;
}

static bool
check_kind(hwi_request *r, const hwi_plan *p)
{
    bool is_l2 = strcmp(p->field->metric, "l2") == 0;
    if (p->field->kind == HWI_VECTOR_MULTI || strcmp(p->field->metric, "l1") == 0) {
        return hwi_refuse(r, 400,
                          "Wrong input: relevance feedback is not supported for multi-vectors and "
                          "the distance Manhattan");
    }
    if (!is_l2 || p->feedback_a > 0) return true;
    return hwi_refuse(r, 400,
                      "Wrong input: relevance feedback with the distance Euclid needs a above 0");
}

/* Scores from similarities: under l2 everything that does not depend on x goes into the shift. */
static void
set_scale(hwi_plan *p, const hw_vector *vectors, const float *weights, const hw_vector *aim)
{
    p->feedback_scale = 1;
    p->feedback_shift = 0;
    if (p->field->kind != HWI_VECTOR_DENSE) return;
    if (strcmp(p->field->metric, "cosine") == 0) {
        p->feedback_scale = (float)sqrt(square_length(aim));
    } else if (strcmp(p->field->metric, "l2") == 0) {
        double a = p->feedback_a, shift = a * square_length(aim);
        for (size_t i = 0; i <= p->example_count; i++) {
            shift -= a * (double)weights[i] * square_length(&vectors[i]);
        }
        p->feedback_scale = p->feedback_a;
        p->feedback_shift = (float)shift;
    }
}

bool
hwi_feedback_aim(hwi_run *run, hwi_plan *p)
{
    hwi_request *r = run->request;
    size_t count = p->example_count + 1;
    bool is_l2 = strcmp(p->field->metric, "l2") == 0;
    hw_vector aim, *vectors = hwi_request_alloc(r, count * sizeof *vectors);
    float *weights = hwi_request_alloc(r, count * sizeof *weights);
    if (!vectors || !weights || !check_kind(r, p)) return false;
    weigh(p, weights + 1);
    weights[0] = p->feedback_a;
    for (size_t i = 0; i < count; i++) {
        const hw_vector *v = i ? &p->examples[i - 1].vector : &p->target.vector;
        if (!hwi_vector_prepare(r, p->field, v, &vectors[i])) return false;
        if (is_l2) weights[i] /= p->feedback_a; /* of m: 1 for the target, w / a for the others */
    }
    bool is_sparse = p->field->kind == HWI_VECTOR_SPARSE;
    if (is_sparse ? !sum_sparse(r, vectors, weights, count, &aim)
                  : !sum_dense(r, vectors, weights, count, &aim)) {
        return false;
    }
    for (uint32_t i = 0; i < aim.dim; i++) {
        if (isfinite(aim.values[i])) continue;
        return hwi_refuse(r, 400,
                          "Wrong input: the feedback's numbers are out of range of a float");
    }
    set_scale(p, vectors, weights, &aim);
    p->target = (hwi_input){.vector = aim};
    return true;
}

void
hwi_feedback_score(hwi_plan *p)
{
    bool is_l2 = strcmp(p->field->metric, "l2") == 0;
    for (size_t i = 0; i < p->hits.count; i++) {
        float s = p->hits.scores[i];
        p->hits.scores[i] = p->feedback_scale * (is_l2 ? -s * s : s) + p->feedback_shift;
    }
}
