/* search.c - one query against one view.
 *
 *     check     field, numbers, limits
 *     aim       what to compare with (aim.c)
 *     filter    parse, then ask the payload indexes: slots that may match, slots that surely do
 *               (filtering.c)
 *     search    the field's index, tree or inverted, which asks back only about slots that the payload
 *               indexes could not decide; or a scan (scan.c), where no index helps
 *     answer    drop the offset, note recall and warnings, explain
 */
#include "query/search.h"

#include <math.h>

#include "payload/pix.h"
#include "query/aim.h"
#include "query/filtering.h"
#include "query/rules.h"

void
hwi_answer_release(hwi_answer *a)
{
    hwi_free(a->hits);
    hwi_free(a->warning);
    hwi_buf_release(&a->explain);
    *a = (hwi_answer){0};
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

static hw_status
find_field(const hwi_view *view, const hw_query *q, const hwi_view_field **out, hw_error *err)
{
    *out = hwi_view_field_by_name(view, q->vector_name);
    if (*out) return HW_OK;
    return hwi_fail(err, HW_ENOTFOUND, "collection `%s` has no vector `%s`", view->conf->name,
                    q->vector_name ? q->vector_name : "");
}

/* ---- answering ---- */

/* Leaves out the points the query named and the offset; at most k stay. */
static void
trim(hwi_answer *a, const hwi_aim *aim, const hw_query *q)
{
    uint32_t n = 0, skipped = 0;

    for (uint32_t i = 0; i < a->count && n < q->k; i++) {
        if (hwi_aim_leaves_out(aim, a->hits[i].slot)) continue;
        if (skipped < q->offset)
            skipped++;
        else
            a->hits[n++] = a->hits[i];
    }
    a->count = n;
}

static void
explain(const hwi_view *view, const hwi_view_field *field, const hwi_filtering *f, hwi_buf *detail,
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
            (double)roaring_bitmap_get_cardinality(f->kept->resolved.may) / (double)points,
            f->kept->resolved.exact ? "true" : "false", (unsigned long long)f->tested,
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
        (unsigned long long)t->exact, a->count, (unsigned long long)t->ns_rotate / 1000,
        (unsigned long long)t->ns_rank / 1000, (unsigned long long)t->ns_scan / 1000,
        (unsigned long long)t->ns_exact / 1000);
    hwi_buf_add(out, detail->data, detail->size);
    hwi_buf_printf(out, "], \"metric\": \"%s\"}", hwi_metric_text(field->conf->metric));
}

/* How distances of the answer become scores. Sums of cosines are no longer one minus a distance, and
 * of several similarities nothing is left but "more is better". */
static hwi_metric
answer_metric(const hwi_field *field, hw_rule rule)
{
    bool sums = field->type == HWI_MULTI && field->metric == HWI_COSINE;

    return rule > HW_RULE_AVERAGE || sums ? HWI_DOT : field->metric;
}

static float
most_distance(const hw_query *q, hwi_metric metric)
{
    return q->has_score_threshold ? hwi_score_to_distance(metric, q->score_threshold) : INFINITY;
}

static hw_status
search_sparse(const hwi_view *view, const hwi_view_field *field, const hwi_aim *aim, uint32_t room,
              float most, const hwi_accept *accept, hwi_answer *a, hw_error *err)
{
    hwi_sparse_view v = hwi_view_sparse(view, field);
    hwi_buf packed = {0};

    hw_status st = hwi_sparse_pack(&aim->target, &packed, err);
    if (st == HW_OK)
        st = hwi_sparse_search(&v, hwi_buf_bytes(&packed), room, most, accept, &a->trace, a->hits,
                               &a->count, err);
    hwi_buf_release(&packed);
    return st;
}

/* The way that fits the field and the rule. */
static hw_status
search_field(hwi_view *view, const hwi_view_field *field, const hw_query *q, const hwi_aim *aim,
             uint32_t room, const hwi_accept *accept, hwi_answer *a, hw_error *err)
{
    bool nearest = q->rule <= HW_RULE_AVERAGE;

    a->metric = answer_metric(field->conf, q->rule);
    float most = most_distance(q, a->metric);
    if (nearest && field->conf->type == HWI_DENSE)
        return hwi_index_search(field->index, aim->target.values, room, q->exact ? 1 : q->recall,
                                most, accept, &a->trace, a->hits, &a->count, err);
    if (nearest && field->conf->type == HWI_SPARSE)
        return search_sparse(view, field, aim, room, most, accept, a, err);
    return hwi_scan(view, field, nearest ? HW_RULE_NEAREST : q->rule, aim, room, most, accept,
                    &a->trace, a->hits, &a->count, err);
}

static hw_status
run(hwi_view *view, const hwi_view_field *field, const hw_query *q, const hwi_aim *aim,
    hwi_filtering *f, hwi_answer *a, hwi_buf *detail, hw_error *err)
{
    uint32_t wanted = q->k + q->offset + aim->left_out_count;
    uint32_t room = (uint32_t)HWI_MIN((uint64_t)wanted, view->counts.points + 1);

    a->hits = hwi_alloc(room * sizeof *a->hits);
    if (!a->hits) return hwi_nomem(err, room * sizeof *a->hits);
    if (q->explain) a->trace.detail = detail;
    if (q->time_budget_ms) a->trace.stop_us = hwi_clock_us() + q->time_budget_ms * 1000ull;
    if (view->stop) a->trace.stop = *view->stop;
    if (q->deadline_ms) a->trace.stop.deadline_us = q->deadline_ms * 1000;
    if (q->cancel) a->trace.stop.cancel = (const atomic_bool *)(const void *)q->cancel;
    hw_status st = search_field(view, field, q, aim, room, hwi_filtering_accept(f), a, err);
    HWI_TRY(hwi_filtering_status(f, st, err));
    trim(a, aim, q);
    a->recall = a->trace.recall;
    if (q->explain) explain(view, field, f, detail, a);
    return HW_OK;
}

/* The answer takes over the filter's warning. */
static hw_status
finish(hwi_answer *a, hwi_filtering *f, hw_status st, hw_error *err)
{
    if (st == HW_OK) {
        a->warning = f->warning;
        f->warning = NULL;
    }
    a->trace.detail = NULL, a->trace.stop = (hwi_stop){0};
    if (st == HW_OK && a->explain.failed) st = hwi_nomem(err, a->explain.size);
    if (st != HW_OK) hwi_answer_release(a);
    return st;
}

hw_status
hwi_search(hwi_view *view, const hw_query *q, hwi_answer *out, hw_error *err)
{
    const hwi_view_field *field;
    hwi_filtering f = {0};
    hwi_aim aim = {0};
    hwi_buf detail = {0};

    *out = (hwi_answer){0};
    HWI_TRY(check_limits(q, err));
    HWI_TRY(find_field(view, q, &field, err));
    hw_status st = hwi_aim_read(view, field, q, &aim, err);
    uint64_t start = q->filter ? hwi_clock_ns() : 0;
    if (st == HW_OK)
        st =
            hwi_filtering_open(&f, view, q->filter, q->filter_bytes, q->among, q->among_count, err);
    if (q->filter) out->ns_filter = hwi_clock_ns() - start;
    if (st == HW_OK) st = run(view, field, q, &aim, &f, out, &detail, err);
    st = finish(out, &f, st, err);
    hwi_filtering_release(&f);
    hwi_aim_release(&aim);
    hwi_buf_release(&detail);
    return st;
}

static hw_status
why(hwi_view *view, const hwi_view_field *field, const hw_query *q, const hwi_aim *aim,
    uint32_t slot, hwi_buf *json, hw_error *err)
{
    hwi_filtering f;
    roaring_bitmap_t *left_out = roaring_bitmap_of_ptr(aim->left_out_count, aim->left_out);

    if (!left_out) return hwi_nomem(err, sizeof *left_out);
    hw_status st =
        hwi_filtering_open(&f, view, q->filter, q->filter_bytes, q->among, q->among_count, err);
    const hwi_why_query asked = {.values = aim->target.values,
                                 .k = q->k + q->offset,
                                 .offset = q->offset,
                                 .recall = q->exact ? 1 : q->recall,
                                 .max_distance = most_distance(q, field->conf->metric),
                                 .accept = hwi_filtering_accept(&f),
                                 .left_out = left_out};
    if (st == HW_OK) st = hwi_index_why(field->index, &asked, slot, json, err);
    st = hwi_filtering_status(&f, st, err);
    hwi_filtering_release(&f);
    roaring_bitmap_free(left_out);
    return st;
}

hw_status
hwi_why(hwi_view *view, const hw_query *q, const hw_id *id, hwi_buf *json, hw_error *err)
{
    const hwi_view_field *field;
    uint32_t slot;
    hwi_aim aim = {0};

    HWI_TRY(check_limits(q, err));
    HWI_TRY(find_field(view, q, &field, err));
    if (!field->index || q->rule > HW_RULE_AVERAGE)
        return hwi_fail(
            err, HW_EUNSUPPORTED,
            "why tells of searches through the index of dense vectors; this one compares "
            "with everything");
    hw_status st = hwi_id_slot(view->txn, view->conf, id, &slot, NULL, err);
    if (st == HW_ENOTFOUND) {
        char text[HW_ID_TEXT_MAX + 1];
        hw_id_format(id, text);
        return hwi_fail(err, HW_ENOTFOUND, "there is no point `%s`", text);
    }
    HWI_TRY(st);
    st = hwi_aim_read(view, field, q, &aim, err);
    if (st == HW_OK) st = why(view, field, q, &aim, slot, json, err);
    hwi_aim_release(&aim);
    return st;
}

/* ---- all that match ---- */

static hw_status
test_undecided(hwi_filtering *f, roaring_bitmap_t *matching, hw_error *err)
{
    roaring_bitmap_t *open = roaring_bitmap_andnot(f->kept->resolved.may, f->kept->resolved.sure);
    roaring_uint32_iterator_t it;

    if (!open) return hwi_nomem(err, sizeof *open);
    for (roaring_init_iterator(open, &it); it.has_value; roaring_advance_uint32_iterator(&it))
        if (hwi_filtering_test(f, it.current_value)) roaring_bitmap_add(matching, it.current_value);
    roaring_bitmap_free(open);
    return hwi_filtering_status(f, HW_OK, err);
}

hw_status
hwi_match(hwi_view *view, const char *filter, size_t filter_bytes, roaring_bitmap_t **out,
          char **warning, hw_error *err)
{
    hwi_filtering f;

    *out = NULL;
    if (warning) *warning = NULL;
    if (!filter) return hwi_pix_live(view->txn, view->conf->coll, out, err);
    hw_status st = hwi_filtering_open(&f, view, filter, filter_bytes, NULL, 0, err);
    if (st == HW_OK) {
        *out = roaring_bitmap_copy(f.kept->resolved.exact ? f.kept->resolved.may
                                                          : f.kept->resolved.sure);
        if (!*out) st = hwi_nomem(err, sizeof **out);
    }
    if (st == HW_OK && !f.kept->resolved.exact) st = test_undecided(&f, *out, err);
    if (st == HW_OK && warning && f.warning) {
        *warning = f.warning;
        f.warning = NULL;
    }
    hwi_filtering_release(&f);
    if (st != HW_OK && *out) {
        roaring_bitmap_free(*out);
        *out = NULL;
    }
    return st;
}
