/* aim.c - from a query's arguments to the vectors it compares with.
 *
 *     NEAREST                  target = the vector, or a stored point's
 *     AVERAGE                  target = made of the examples (average.c)
 *     DISCOVER                 target as in NEAREST, examples in pairs
 *     CONTEXT                  examples in pairs
 *     BEST_SCORE, SUM_SCORES   examples, positives first
 *
 * A point named by its id is read in the query's own snapshot and left out of the answer. Nothing is
 * copied that can be borrowed: the plain search of a given vector allocates nothing here. Sparse
 * vectors leave here sorted. */
#include "query/aim.h"

#include <math.h>
#include <stdlib.h>

#include "kernel/kernel.h"

void
hwi_aim_release(hwi_aim *aim)
{
    hwi_arena_release(&aim->arena);
}

bool
hwi_aim_leaves_out(const hwi_aim *aim, uint32_t slot)
{
    uint32_t from = 0, to = aim->left_out_count;

    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (aim->left_out[mid] == slot) return true;
        if (aim->left_out[mid] < slot)
            from = mid + 1;
        else
            to = mid;
    }
    return false;
}

/* ---- one vector ---- */

/* One sum that is finite and in range proves that every value is; a kernel makes it cost nothing
 * next to the search. */
static hw_status
check_row(const hwi_field *field, const float *v, uint32_t dim, hw_error *err)
{
    const float most = (float)(HWI_VECTOR_LENGTH_MAX * HWI_VECTOR_LENGTH_MAX);
    float squares;

    if (dim != field->dim)
        return hwi_fail(err, HW_EINVAL,
                        "query has %u dimensions, the collection's vector%s%s has %u", dim,
                        field->name[0] ? " " : "", field->name, field->dim);
    hwi_kernels_active()->dot_rows(v, v, 0, 1, dim, &squares);
    if (!(squares <= most)) {
        for (uint32_t j = 0; j < dim; j++)
            if (!isfinite(v[j]))
                return hwi_fail(err, HW_EINVAL, "query value %u is not a finite number", j);
        return hwi_fail(err, HW_EINVAL, "query has a length above the maximum %g",
                        HWI_VECTOR_LENGTH_MAX);
    }
    if (squares == 0 && field->metric == HWI_COSINE)
        return hwi_fail(err, HW_EINVAL, "query is the zero vector, which has no direction");
    return HW_OK;
}

static hw_status
check_rows(const hwi_field *field, const hw_vector *v, hw_error *err)
{
    uint32_t rows = v->rows ? v->rows : 1;

    if (hwi_size_mul(rows, v->dim) > HW_MULTI_VALUES_MAX)
        return hwi_fail(err, HW_EINVAL, "query of %u rows of %u values is above the maximum %u",
                        rows, v->dim, HW_MULTI_VALUES_MAX);
    for (uint32_t i = 0; i < rows; i++) {
        hw_status st = check_row(field, v->values + (size_t)i * v->dim, v->dim, err);
        if (st != HW_OK) return rows > 1 ? hwi_fail_prefix(err, st, "row %u", i) : st;
    }
    return HW_OK;
}

/* Checks a sparse vector and sorts its copy. */
static hw_status
sort_pairs(const hwi_field *field, const hw_vector *v, hwi_arena *arena, hw_vector *out,
           hw_error *err)
{
    hwi_buf packed = {0};

    hw_status st = hwi_sparse_pack(v, &packed, err);
    if (st == HW_OK) st = hwi_ragged_unpack(field, hwi_buf_bytes(&packed), arena, out, err);
    hwi_buf_release(&packed);
    return st;
}

static hw_status
given_vector(const hwi_field *field, const hw_vector *given, hwi_arena *arena, hw_vector *out,
             hw_error *err)
{
    if (field->type == HWI_SPARSE) return sort_pairs(field, given, arena, out, err);
    *out = *given;
    if (given->indices)
        return hwi_fail(err, HW_EINVAL, "query is sparse, the collection's vector%s%s is not",
                        field->name[0] ? " " : "", field->name);
    if (field->type == HWI_MULTI) return check_rows(field, given, err);
    if (given->rows > 1)
        return hwi_fail(err, HW_EINVAL, "query has %u rows, the collection's vector%s%s one",
                        given->rows, field->name[0] ? " " : "", field->name);
    return check_row(field, given->values, given->dim, err);
}

/* Row of a slot in a vector page, borrowed from the view; NULL when it has no vector. */
static hw_status
dense_row(const hwi_view_field *field, uint32_t slot, const float **out, hw_error *err)
{
    uint32_t dim = field->conf->dim, per_page = hwi_vec_rows_per_page(dim);
    const uint8_t *page;

    *out = NULL;
    HWI_TRY(hwi_page_table_get(field->vecs, slot / per_page, &page, err));
    if (!page) return HW_OK;
    const uint8_t *row = hwi_page_row(page, slot % per_page, hwi_vec_row_bytes(dim));
    if (hwi_vec_inv_norm(row, dim) != 0) *out = hwi_vec_row(row);
    return HW_OK;
}

static hw_status
stored_vector(hwi_view *view, const hwi_view_field *field, const hw_id *id, hwi_arena *arena,
              uint32_t *slot, hw_vector *out, hw_error *err)
{
    char text[HW_ID_TEXT_MAX + 1];

    hw_status st = hwi_id_slot(view->txn, view->conf, id, slot, NULL, err);
    if (st == HW_ENOTFOUND) {
        hw_id_format(id, text);
        return hwi_fail(err, HW_ENOTFOUND, "there is no point `%s`", text);
    }
    HWI_TRY(st);
    *out = (hw_vector){.dim = field->conf->dim};
    HWI_TRY(hwi_field_is_ragged(field->conf) ? hwi_view_vector(view, field, *slot, arena, out, err)
                                             : dense_row(field, *slot, &out->values, err));
    if (out->values) return HW_OK;
    hw_id_format(id, text);
    return hwi_fail(err, HW_EINVAL, "point `%s` has no vector `%s`", text, field->conf->name);
}

static hw_status
read_target(hwi_view *view, const hwi_view_field *field, const hw_query *q, hwi_aim *aim,
            hw_error *err)
{
    if (q->vector) {
        hw_vector given = {
            .values = q->vector, .dim = q->dim, .rows = q->rows, .indices = q->indices};
        return given_vector(field->conf, &given, &aim->arena, &aim->target, err);
    }
    if (!q->id) return hwi_fail(err, HW_EINVAL, "a query needs a vector or an id");
    aim->left_out = &aim->one;
    aim->left_out_count = 1;
    return stored_vector(view, field, q->id, &aim->arena, &aim->one, &aim->target, err);
}

/* ---- examples ---- */

typedef struct reading {
    hwi_view *view;
    const hwi_view_field *field;
    const hw_query *q;
    hwi_aim *aim;
    bool unit; /* AVERAGE under cosine: directions are averaged, so stored points count alike */
    hw_error *err;
} reading;

static hw_status
make_unit(reading *r, hw_vector *v)
{
    uint32_t rows = v->rows ? v->rows : 1;
    size_t bytes = (size_t)rows * v->dim * sizeof(float);
    float *copy = hwi_arena_alloc(&r->aim->arena, bytes);

    if (!copy) return hwi_nomem(r->err, bytes);
    for (uint32_t i = 0; i < rows; i++) {
        const float *row = v->values + (size_t)i * v->dim;
        double sum = 0;
        for (uint32_t j = 0; j < v->dim; j++) sum += (double)row[j] * row[j];
        float scale = (float)(1 / sqrt(sum));
        for (uint32_t j = 0; j < v->dim; j++) copy[(size_t)i * v->dim + j] = row[j] * scale;
    }
    v->values = copy;
    return HW_OK;
}

static hw_status
read_example(reading *r, const hw_example *e, hw_vector *out)
{
    hwi_aim *aim = r->aim;

    if (!e->id && !e->vector.values) return hwi_fail(r->err, HW_EINVAL, "needs a vector or an id");
    if (!e->id) return given_vector(r->field->conf, &e->vector, &aim->arena, out, r->err);
    uint32_t *slot = &aim->left_out[aim->left_out_count++];
    HWI_TRY(stored_vector(r->view, r->field, e->id, &aim->arena, slot, out, r->err));
    return r->unit ? make_unit(r, out) : HW_OK;
}

/* Where example i goes: negatives behind the positives, or each behind its partner. */
static hw_status
order_examples(reading *r, uint32_t *place)
{
    const hw_query *q = r->q;
    bool paired = q->rule == HW_RULE_DISCOVER || q->rule == HW_RULE_CONTEXT;
    uint32_t positives = 0, negatives = 0;

    for (size_t i = 0; i < q->example_count; i++) positives += !q->examples[i].negative;
    r->aim->positive_count = positives;
    if (paired && q->example_count % 2)
        return hwi_fail(r->err, HW_EINVAL, "%zu examples do not make pairs", q->example_count);
    for (size_t i = 0, at = 0; i < q->example_count; i++) {
        bool negative = q->examples[i].negative;
        if (paired && i % 2 && q->examples[i - 1].negative == negative)
            return hwi_fail(r->err, HW_EINVAL,
                            "examples %zu and %zu are a pair, expected one of them negative", i - 1,
                            i);
        if (paired)
            place[i] = (uint32_t)(i - i % 2 + negative);
        else
            place[i] = negative ? positives + negatives++ : (uint32_t)at++;
    }
    return HW_OK;
}

static int
ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Slots left out, sorted and each once. */
static void
tidy_left_out(hwi_aim *aim)
{
    uint32_t n = 0;

    qsort(aim->left_out, aim->left_out_count, sizeof *aim->left_out, ascending);
    for (uint32_t i = 0; i < aim->left_out_count; i++)
        if (n == 0 || aim->left_out[n - 1] != aim->left_out[i])
            aim->left_out[n++] = aim->left_out[i];
    aim->left_out_count = n;
}

static hw_status
read_examples(reading *r)
{
    const hw_query *q = r->q;
    hwi_aim *aim = r->aim;
    size_t count = q->example_count;
    uint32_t *place = hwi_arena_alloc(&aim->arena, (count + 1) * sizeof *place);
    uint32_t *left_out = hwi_arena_alloc(&aim->arena, (count + 1) * sizeof *left_out);

    aim->examples = hwi_arena_alloc(&aim->arena, (count + 1) * sizeof *aim->examples);
    if (!place || !left_out || !aim->examples) return hwi_nomem(r->err, count * 64);
    if (aim->left_out_count) left_out[0] = aim->one; /* the target's */
    aim->left_out = left_out;
    aim->example_count = count;
    HWI_TRY(order_examples(r, place));
    for (size_t i = 0; i < count; i++) {
        hw_status st = read_example(r, &q->examples[i], &aim->examples[place[i]]);
        if (st != HW_OK) return hwi_fail_prefix(r->err, st, "example %zu", i);
    }
    tidy_left_out(aim);
    return HW_OK;
}

/* ---- all of it ---- */

static hw_status
check_rule(const hw_query *q, hw_error *err)
{
    bool has_target = q->rule == HW_RULE_NEAREST || q->rule == HW_RULE_DISCOVER;

    if ((unsigned)q->rule > HW_RULE_CONTEXT)
        return hwi_fail(err, HW_EINVAL, "rule %d is unknown", (int)q->rule);
    if (!has_target && (q->vector || q->id))
        return hwi_fail(err, HW_EINVAL, "this rule takes examples and no query vector");
    if (q->example_count > HWI_EXAMPLES_MAX)
        return hwi_fail(err, HW_EINVAL, "%zu examples are above the maximum %u", q->example_count,
                        HWI_EXAMPLES_MAX);
    if (q->example_count && !q->examples)
        return hwi_fail(err, HW_EINVAL, "examples is NULL, example_count is %zu", q->example_count);
    if (q->rule == HW_RULE_NEAREST && q->example_count)
        return hwi_fail(err, HW_EINVAL, "a query for the nearest takes no examples");
    if (!has_target && q->example_count == 0) /* to discover, a target is enough */
        return hwi_fail(err, HW_EINVAL, "this rule needs examples");
    return HW_OK;
}

hw_status
hwi_aim_read(hwi_view *view, const hwi_view_field *field, const hw_query *q, hwi_aim *out,
             hw_error *err)
{
    bool averages = q->rule == HW_RULE_AVERAGE;
    reading r = {view, field, q, out, averages && field->conf->metric == HWI_COSINE, err};

    *out = (hwi_aim){0};
    HWI_TRY(check_rule(q, err));
    if (q->rule == HW_RULE_NEAREST || q->rule == HW_RULE_DISCOVER)
        HWI_TRY(read_target(view, field, q, out, err));
    if (q->rule == HW_RULE_NEAREST) return HW_OK;
    HWI_TRY(read_examples(&r));
    if (!averages) return HW_OK;
    size_t n = out->positive_count;
    HWI_TRY(hwi_aim_average(field->conf, out->examples, n, out->examples + n,
                            out->example_count - n, &out->arena, &out->target, err));
    return given_vector(field->conf, &out->target, &out->arena, &out->target, err);
}
