/* search.c - one query against one view.
 *
 *     check     field, dimension, numbers, limits
 *     filter    parse, then ask the payload indexes: slots that may match, slots that surely do
 *     search    hwi_index_search, which asks back only about slots the indexes could not decide
 *     answer    drop the offset, note recall and warnings, explain
 */
#include "query/search.h"

#include <math.h>

#include "kernel/kernel.h"
#include "payload/pix.h"

/* A filter on its way through a search. */
typedef struct filtering {
    hwi_arena arena;
    const hwi_filter *filter; /* NULL: none */
    hwi_filter_resolved resolved;
    hwi_filter_tester *tester;
    hwi_buf large; /* payloads that take several values */
    hwi_view *view;
    hwi_accept accept;
    hw_status status; /* of a test that failed: it cannot say so itself */
    hw_error error;
    uint64_t tested;
} filtering;

void
hwi_answer_release(hwi_answer *a)
{
    hwi_free(a->hits);
    hwi_free(a->warning);
    hwi_buf_release(&a->explain);
    *a = (hwi_answer){0};
}

/* Whether a slot that the indexes left open matches: reads its payload. */
static bool
test_slot(void *arg, uint32_t slot)
{
    filtering *f = arg;
    hw_id id;
    hw_bytes payload;
    bool matches = false;

    if (f->status != HW_OK) return false;
    f->tested++;
    hw_status st = HW_OK;
    bool needs_id = hwi_filter_needs_id(f->filter);
    if (needs_id) st = hwi_view_id(f->view, slot, &id, &f->error);
    if (st == HW_ENOTFOUND) return false;
    if (st == HW_OK)
        st = hwi_payload_get(f->view->txn, f->view->conf->coll, slot, &f->large, &payload,
                             &f->error);
    if (st == HW_OK)
        st = hwi_filter_test(f->tester, needs_id ? &id : NULL, payload, &matches, &f->error);
    f->status = st;
    return st == HW_OK && matches;
}

static void
filtering_release(filtering *f)
{
    hwi_filter_tester_free(f->tester);
    hwi_filter_resolved_release(&f->resolved);
    hwi_buf_release(&f->large);
    hwi_arena_release(&f->arena);
}

static hw_status
filtering_open(filtering *f, hwi_view *view, const char *json, size_t bytes, hw_error *err)
{
    *f = (filtering){.view = view};
    if (!json) return HW_OK;
    if (bytes > HW_FILTER_MAX)
        return hwi_fail(err, HW_ELIMIT, "filter of %zu bytes is above the maximum %u", bytes,
                        HW_FILTER_MAX);
    HWI_TRY(hwi_filter_parse(json, bytes, &f->arena, &f->filter, err));
    HWI_TRY(hwi_filter_resolve(f->filter, view->txn, view->conf->coll, &view->conf->schema,
                               &f->resolved, err));
    f->accept.may = f->resolved.may;
    if (f->resolved.exact) return HW_OK;
    f->accept.sure = f->resolved.sure;
    f->accept.test = test_slot, f->accept.arg = f;
    return hwi_filter_tester_new(f->filter, &f->tester, err);
}

/* The status of a search, or of a payload test that failed within it. */
static hw_status
filtering_status(const filtering *f, hw_status st, hw_error *err)
{
    if (st != HW_OK || f->status == HW_OK) return st;
    if (err) *err = f->error;
    return f->status;
}

/* ---- checks ---- */

static hw_status
check_limits(const hw_query *q, hw_error *err)
{
    if (q->size != sizeof *q)
        return hwi_fail(err, HW_EINVAL,
                        "query of %zu bytes, this library's has %zu: start from "
                        "HW_QUERY_INIT",
                        q->size, sizeof *q);
    if (q->k < 1 || q->k > HW_K_MAX)
        return hwi_fail(err, HW_EINVAL, "k %u is not within 1 and %u", q->k, HW_K_MAX);
    if (q->offset > HW_K_MAX - q->k)
        return hwi_fail(err, HW_EINVAL, "offset %u with k %u is above the maximum %u", q->offset,
                        q->k, HW_K_MAX);
    if (!(q->recall > 0 && q->recall <= 1))
        return hwi_fail(err, HW_EINVAL, "recall %g is not above 0 and up to 1", q->recall);
    if (q->has_score_threshold && isnan(q->score_threshold))
        return hwi_fail(err, HW_EINVAL, "score threshold is not a number");
    return HW_OK;
}

/* One sum that is finite and in range proves that every value is; a kernel makes it cost nothing
 * next to the search. */
static hw_status
check_vector(const hwi_field *field, const float *v, uint32_t dim, hw_error *err)
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

/* The query's vector and, when it is a stored point's, that slot (else HWI_SLOT_NONE). */
static hw_status
query_vector(hwi_view *view, const hwi_view_field *field, const hw_query *q, const float **vector,
             uint32_t *self, hw_error *err)
{
    const hwi_field *conf = field->conf;
    uint32_t per_page = hwi_vec_rows_per_page(conf->dim);
    const uint8_t *page;
    char text[HW_ID_TEXT_MAX + 1];

    *self = HWI_SLOT_NONE;
    if (q->vector) {
        *vector = q->vector;
        return check_vector(conf, q->vector, q->dim, err);
    }
    if (!q->id) return hwi_fail(err, HW_EINVAL, "a query needs a vector or an id");
    hw_status st = hwi_id_slot(view->txn, view->conf->coll, q->id, self, NULL, err);
    if (st == HW_ENOTFOUND) {
        hw_id_format(q->id, text);
        return hwi_fail(err, HW_ENOTFOUND, "there is no point `%s`", text);
    }
    HWI_TRY(st);
    HWI_TRY(hwi_page_table_get(field->vecs, *self / per_page, &page, err));
    const uint8_t *row =
        page ? hwi_page_row(page, *self % per_page, hwi_vec_row_bytes(conf->dim)) : NULL;
    if (!row || hwi_vec_inv_norm(row, conf->dim) == 0) {
        hw_id_format(q->id, text);
        return hwi_fail(err, HW_EINVAL, "point `%s` has no vector `%s`", text, conf->name);
    }
    *vector = hwi_vec_row(row);
    return HW_OK;
}

static hw_status
find_field(const hwi_view *view, const hw_query *q, const hwi_view_field **out, hw_error *err)
{
    *out = hwi_view_field_by_name(view, q->vector_name);
    if (*out) return HW_OK;
    return hwi_fail(err, HW_ENOTFOUND, "collection `%s` has no vector `%s`", view->conf->name,
                    q->vector_name ? q->vector_name : "");
}

/* ---- answering ---- */

/* Leaves out the query's own point and the offset; at most k stay. */
static void
trim(hwi_answer *a, uint32_t self, const hw_query *q)
{
    uint32_t n = 0, skipped = 0;

    for (uint32_t i = 0; i < a->count && n < q->k; i++) {
        if (a->hits[i].slot == self) continue;
        if (skipped < q->offset)
            skipped++;
        else
            a->hits[n++] = a->hits[i];
    }
    a->count = n;
}

static void
explain(const hwi_view *view, const hwi_view_field *field, const filtering *f, hwi_buf *detail,
        hwi_answer *a)
{
    const hwi_trace *t = &a->trace;
    hwi_buf *out = &a->explain;
    uint64_t points = HWI_MAX(view->counts.points, (uint64_t)1);

    hwi_buf_printf(out,
                   "{\"plan\": \"%s\", \"kernels\": \"%s\", \"points\": %llu, \"recall\": %.4f",
                   t->plan, hw_kernels(), (unsigned long long)view->counts.points, t->recall);
    if (f->filter) {
        uint64_t guessed = hwi_filter_estimate(f->filter, view->txn, view->conf->coll,
                                               &view->conf->schema, view->counts.points);
        hwi_buf_printf(
            out,
            ", \"filter\": {\"selectivity_guessed\": %.5f, \"selectivity_at_most\": %.5f, "
            "\"decided_by_indexes\": %s, \"payloads_tested\": %llu, \"filtered_out\": %llu}",
            (double)guessed / (double)points,
            (double)roaring_bitmap_get_cardinality(f->resolved.may) / (double)points,
            f->resolved.exact ? "true" : "false", (unsigned long long)f->tested,
            (unsigned long long)t->filtered_out);
    }
    hwi_buf_printf(
        out,
        ", \"leaves\": {\"ranked\": %llu, \"opened\": %llu, \"not_opened\": %llu}, "
        "\"funnel\": {\"scanned\": %llu, \"survivors\": %llu, \"refined\": %llu, "
        "\"exact\": %llu, \"hits\": %u}, \"microseconds\": {\"rotate\": %llu, \"rank\": %llu, "
        "\"scan\": %llu, \"exact\": %llu}, \"leaves_opened\": [",
        (unsigned long long)t->leaves_ranked, (unsigned long long)t->leaves,
        (unsigned long long)t->leaves_skipped, (unsigned long long)t->scanned,
        (unsigned long long)t->survivors, (unsigned long long)t->refined,
        (unsigned long long)t->exact, a->count, (unsigned long long)t->us_rotate,
        (unsigned long long)t->us_rank, (unsigned long long)t->us_scan,
        (unsigned long long)t->us_exact);
    hwi_buf_add(out, detail->data, detail->size);
    hwi_buf_printf(out, "], \"metric\": \"%s\"}", hwi_metric_text(field->conf->metric));
}

static hw_status
run(hwi_view *view, const hwi_view_field *field, const hw_query *q, filtering *f, hwi_answer *a,
    hwi_buf *detail, hw_error *err)
{
    const float *vector;
    uint32_t self;
    float most = INFINITY;

    HWI_TRY(query_vector(view, field, q, &vector, &self, err));
    uint32_t wanted = q->k + q->offset + (self != HWI_SLOT_NONE);
    uint32_t room = (uint32_t)HWI_MIN((uint64_t)wanted, view->counts.points + 1);
    a->hits = hwi_alloc(room * sizeof *a->hits);
    if (!a->hits) return hwi_nomem(err, room * sizeof *a->hits);
    if (q->has_score_threshold)
        most = hwi_score_to_distance(field->conf->metric, q->score_threshold);
    if (q->explain) a->trace.detail = detail;
    if (q->time_budget_ms) a->trace.stop_us = hwi_clock_us() + q->time_budget_ms * 1000ull;
    a->trace.deadline_us = q->deadline_ms * 1000;
    a->trace.cancel = (const atomic_bool *)(const void *)q->cancel;
    double recall = q->exact ? 1 : q->recall;
    hw_status st =
        hwi_index_search(field->index, vector, room, recall, most, f->filter ? &f->accept : NULL,
                         &a->trace, a->hits, &a->count, err);
    HWI_TRY(filtering_status(f, st, err));
    trim(a, self, q);
    a->metric = field->conf->metric;
    a->recall = a->trace.recall;
    if (q->explain) explain(view, field, f, detail, a);
    return HW_OK;
}

hw_status
hwi_search(hwi_view *view, const hw_query *q, hwi_answer *out, hw_error *err)
{
    const hwi_view_field *field;
    filtering f;
    hwi_buf detail = {0};

    *out = (hwi_answer){0};
    HWI_TRY(check_limits(q, err));
    HWI_TRY(find_field(view, q, &field, err));
    hw_status st = filtering_open(&f, view, q->filter, q->filter_bytes, err);
    if (st == HW_OK) st = run(view, field, q, &f, out, &detail, err);
    if (st == HW_OK && f.resolved.warning) {
        out->warning = f.resolved.warning;
        f.resolved.warning = NULL;
    }
    out->trace.detail = NULL, out->trace.cancel = NULL;
    filtering_release(&f);
    hwi_buf_release(&detail);
    if (st == HW_OK && out->explain.failed) st = hwi_nomem(err, out->explain.size);
    if (st != HW_OK) hwi_answer_release(out);
    return st;
}

hw_status
hwi_why(hwi_view *view, const hw_query *q, const hw_id *id, hwi_buf *json, hw_error *err)
{
    const hwi_view_field *field;
    const float *vector;
    uint32_t self, slot;
    filtering f;

    HWI_TRY(check_limits(q, err));
    HWI_TRY(find_field(view, q, &field, err));
    HWI_TRY(query_vector(view, field, q, &vector, &self, err));
    hw_status st = hwi_id_slot(view->txn, view->conf->coll, id, &slot, NULL, err);
    if (st == HW_ENOTFOUND) {
        char text[HW_ID_TEXT_MAX + 1];
        hw_id_format(id, text);
        return hwi_fail(err, HW_ENOTFOUND, "there is no point `%s`", text);
    }
    HWI_TRY(st);
    uint32_t k = q->k + q->offset + (self != HWI_SLOT_NONE);
    st = filtering_open(&f, view, q->filter, q->filter_bytes, err);
    if (st == HW_OK)
        st = hwi_index_why(field->index, vector, k, q->exact ? 1 : q->recall,
                           f.filter ? &f.accept : NULL, slot, json, err);
    st = filtering_status(&f, st, err);
    filtering_release(&f);
    return st;
}

/* ---- all that match ---- */

static hw_status
test_undecided(filtering *f, roaring_bitmap_t *matching, hw_error *err)
{
    roaring_bitmap_t *open = roaring_bitmap_andnot(f->resolved.may, f->resolved.sure);
    roaring_uint32_iterator_t it;

    if (!open) return hwi_nomem(err, sizeof *open);
    for (roaring_init_iterator(open, &it); it.has_value; roaring_advance_uint32_iterator(&it))
        if (test_slot(f, it.current_value)) roaring_bitmap_add(matching, it.current_value);
    roaring_bitmap_free(open);
    return filtering_status(f, HW_OK, err);
}

hw_status
hwi_match(hwi_view *view, const char *filter, size_t filter_bytes, roaring_bitmap_t **out,
          char **warning, hw_error *err)
{
    filtering f;

    *out = NULL;
    if (warning) *warning = NULL;
    if (!filter) return hwi_pix_live(view->txn, view->conf->coll, out, err);
    hw_status st = filtering_open(&f, view, filter, filter_bytes, err);
    if (st == HW_OK) {
        *out = roaring_bitmap_copy(f.resolved.exact ? f.resolved.may : f.resolved.sure);
        if (!*out) st = hwi_nomem(err, sizeof **out);
    }
    if (st == HW_OK && !f.resolved.exact) st = test_undecided(&f, *out, err);
    if (st == HW_OK && warning && f.resolved.warning) {
        *warning = f.resolved.warning;
        f.resolved.warning = NULL;
    }
    filtering_release(&f);
    if (st != HW_OK && *out) {
        roaring_bitmap_free(*out);
        *out = NULL;
    }
    return st;
}
