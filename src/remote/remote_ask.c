/* remote_ask.c - questions as JSON: a search becomes the body of POST points/query.
 *
 * What the public functions would refuse is written down all the same where the server refuses it
 * too, so that there is one place that judges. */
#include "remote/remote.h"

void
hwi_far_write_vector(hwi_buf *b, const hw_vector *v)
{
    if (v->indices) {
        hwi_buf_text(b, "{\"indices\":[");
        for (uint32_t i = 0; i < v->dim; i++) {
            hwi_buf_printf(b, "%s%u", i ? "," : "", v->indices[i]);
        }
        hwi_buf_text(b, "],\"values\":");
        hwi_json_write_f32s(b, v->values, v->dim);
        hwi_buf_text(b, "}");
    } else if (v->rows > 0) {
        hwi_buf_text(b, "[");
        for (uint32_t i = 0; i < v->rows; i++) {
            if (i) hwi_buf_text(b, ",");
            hwi_json_write_f32s(b, v->values + (size_t)i * v->dim, v->dim);
        }
        hwi_buf_text(b, "]");
    } else {
        hwi_json_write_f32s(b, v->values, v->dim);
    }
}

static void
write_example(hwi_buf *b, const hw_example *e)
{
    if (e->id) {
        hwi_json_write_id(b, e->id);
    } else {
        hwi_far_write_vector(b, &e->vector);
    }
}

static void
write_target(hwi_buf *b, const hw_query *q)
{
    if (q->vector) {
        hw_vector v = {.values = q->vector, .dim = q->dim, .rows = q->rows, .indices = q->indices};
        hwi_far_write_vector(b, &v);
    } else if (q->id) {
        hwi_json_write_id(b, q->id);
    } else {
        hwi_buf_text(b, "null"); /* refused by the server, in the words it has for that */
    }
}

static void
write_side(hwi_buf *b, const hw_query *q, bool negative)
{
    bool first = true;
    hwi_buf_text(b, "[");
    for (size_t i = 0; i < q->example_count; i++) {
        if (q->examples[i].negative != negative) continue;
        if (!first) hwi_buf_text(b, ",");
        write_example(b, &q->examples[i]);
        first = false;
    }
    hwi_buf_text(b, "]");
}

static void
write_pairs(hwi_buf *b, const hw_query *q)
{
    hwi_buf_text(b, "[");
    for (size_t i = 0; i + 1 < q->example_count; i += 2) {
        hwi_buf_text(b, i ? ",{\"positive\":" : "{\"positive\":");
        write_example(b, &q->examples[i]);
        hwi_buf_text(b, ",\"negative\":");
        write_example(b, &q->examples[i + 1]);
        hwi_buf_text(b, "}");
    }
    hwi_buf_text(b, "]");
}

static void
write_recommend(hwi_buf *b, const hw_query *q, const char *strategy)
{
    hwi_buf_text(b, "{\"recommend\":{\"positive\":");
    write_side(b, q, false);
    hwi_buf_text(b, ",\"negative\":");
    write_side(b, q, true);
    hwi_buf_printf(b, ",\"strategy\":\"%s\"}}", strategy);
}

static void
write_rule(hwi_buf *b, const hw_query *q)
{
    switch (q->rule) {
    case HW_RULE_NEAREST:
        write_target(b, q);
        break;
    case HW_RULE_AVERAGE:
        write_recommend(b, q, "average_vector");
        break;
    case HW_RULE_BEST_SCORE:
        write_recommend(b, q, "best_score");
        break;
    case HW_RULE_SUM_SCORES:
        write_recommend(b, q, "sum_scores");
        break;
    case HW_RULE_DISCOVER:
        hwi_buf_text(b, "{\"discover\":{\"target\":");
        write_target(b, q);
        hwi_buf_text(b, ",\"context\":");
        write_pairs(b, q);
        hwi_buf_text(b, "}}");
        break;
    case HW_RULE_CONTEXT:
        hwi_buf_text(b, "{\"context\":");
        write_pairs(b, q);
        hwi_buf_text(b, "}");
        break;
    }
}

void
hwi_far_write_ids(hwi_buf *b, const hw_id *ids, size_t count)
{
    hwi_buf_text(b, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) hwi_buf_text(b, ",");
        hwi_json_write_id(b, &ids[i]);
    }
    hwi_buf_text(b, "]");
}

void
hwi_far_write_filter(hwi_buf *b, const char *filter, size_t bytes, const hw_id *among,
                     size_t among_count)
{
    if (!filter && !among) return;
    hwi_buf_text(b, ",\"filter\":");
    if (among) {
        hwi_buf_text(b, "{\"must\":[{\"has_id\":");
        hwi_far_write_ids(b, among, among_count);
        hwi_buf_text(b, "}");
        if (filter) hwi_buf_text(b, ",");
    }
    if (filter) hwi_buf_add(b, filter, bytes);
    if (among) hwi_buf_text(b, "]}");
}

void
hwi_far_write_with(hwi_buf *b, uint32_t with)
{
    hwi_buf_printf(b, ",\"with_payload\":%s,\"with_vector\":%s",
                   with & HW_WITH_PAYLOAD ? "true" : "false",
                   with & HW_WITH_VECTOR ? "true" : "false");
}

void
hwi_far_write_query(hwi_buf *b, const hw_query *q)
{
    hwi_buf_text(b, "{\"query\":");
    write_rule(b, q);
    if (q->vector_name && q->vector_name[0]) {
        hwi_buf_text(b, ",\"using\":");
        hwi_json_write_text(b, q->vector_name, strlen(q->vector_name));
    }
    hwi_buf_printf(b, ",\"limit\":%u,\"offset\":%u,\"explain\":%s", q->k, q->offset,
                   q->explain ? "true" : "false");
    hwi_far_write_with(b, q->with);
    hwi_far_write_filter(b, q->filter, q->filter_bytes, q->among, q->among_count);
    if (q->has_score_threshold) {
        hwi_buf_text(b, ",\"score_threshold\":");
        hwi_json_write_f32(b, q->score_threshold);
    }
    hwi_buf_printf(b, ",\"params\":{\"exact\":%s,\"recall\":", q->exact ? "true" : "false");
    hwi_json_write_f64(b, q->recall);
    if (q->time_budget_ms) hwi_buf_printf(b, ",\"time_budget_ms\":%u", q->time_budget_ms);
    hwi_buf_text(b, "}");
}
