/* remote_read.c - reading a collection of a server: questions become JSON, answers columns.
 *
 * A collection's settings are asked for once, when it is opened; they give the names and sizes that
 * vectors in answers are checked against. Nothing a server sends is trusted: what does not fit is
 * HW_EIO, "the server's answer ...". */
#include "remote/remote.h"

/* ---- Opening ---- */

static hw_status
far_path(const hwi_far *far, const char *rest, hwi_buf *out, hw_error *err)
{
    hwi_remote_path(out, far->name, rest);
    return out->failed ? hwi_nomem(err, out->size) : HW_OK;
}

static hw_status
far_call(hwi_far *far, const char *method, const char *rest, const hwi_buf *body, hwi_arena *arena,
         const hwi_json **result, hw_error *err)
{
    hwi_buf path = {0};
    *result = NULL;
    hw_status st = far_path(far, rest, &path, err);
    if (st == HW_OK) {
        st =
            hwi_remote_call(far->remote, method, (const char *)path.data, body, arena, result, err);
    }
    hwi_buf_release(&path);
    return st;
}

hw_status
hwi_far_text(hwi_far *far, const char *method, const char *rest, const hwi_buf *body, char **json,
             hw_error *err)
{
    hwi_buf path = {0};
    *json = NULL;
    hw_status st = far_path(far, rest, &path, err);
    if (st == HW_OK) {
        st = hwi_remote_text(far->remote, method, (const char *)path.data, body, json, err);
    }
    hwi_buf_release(&path);
    return st;
}

hw_status
hwi_far_tell(hwi_far *far, const char *method, const char *rest, const hwi_buf *body, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    hw_status st = far_call(far, method, rest, body, &arena, &result, err);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_far_member(hwi_far *far, const char *method, const char *rest, const hwi_buf *body,
               const char *member, char **json, hw_error *err)
{
    hwi_arena arena = {0};
    hwi_buf b = {0};
    const hwi_json *result;
    *json = NULL;
    hw_status st = far_call(far, method, rest, body, &arena, &result, err);
    const hwi_json *j = hwi_json_member(result, member);
    if (st == HW_OK && !j) st = hwi_fail(err, HW_EIO, "the server's answer has no %s", member);
    if (st == HW_OK) {
        hwi_json_write(&b, j);
        hwi_buf_fill(&b, 0, 1);
        if (b.failed) st = hwi_nomem(err, 0);
    }
    hwi_arena_release(&arena);
    if (st == HW_OK) {
        *json = (char *)b.data;
    } else {
        hwi_buf_release(&b);
    }
    return st;
}

/* The fields of a description, in the form in which a collection is created. */
static void
write_settings(const hwi_json *described, hwi_buf *out)
{
    const hwi_json *vectors = hwi_json_member(described, "vectors");
    const hwi_json *unnamed = hwi_json_member(vectors, "");
    const hwi_json *sparse = hwi_json_member(described, "sparse_vectors");
    hwi_buf_text(out, "{");
    if (vectors && vectors->child) {
        hwi_buf_text(out, "\"vectors\":");
        hwi_json_write(out, unnamed ? unnamed : vectors);
    }
    if (sparse) {
        hwi_buf_text(out, out->size > 1 ? ",\"sparse_vectors\":" : "\"sparse_vectors\":");
        hwi_json_write(out, sparse);
    }
    hwi_buf_text(out, "}");
}

static hw_status
read_settings(hwi_far *far, hw_error *err)
{
    hwi_arena arena = {0};
    hwi_buf settings = {0};
    const hwi_json *described;
    hw_status st = far_call(far, "GET", "/describe", NULL, &arena, &described, err);
    if (st == HW_OK) {
        write_settings(described, &settings);
        st = settings.failed ? hwi_nomem(err, settings.size)
                             : hwi_conf_parse(far->name, (const char *)settings.data, settings.size,
                                              &far->conf, err);
        if (st != HW_OK) st = hwi_fail_prefix(err, HW_EIO, "the server's answer");
    }
    hwi_buf_release(&settings);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_far_open(hwi_remote *remote, const char *name, hwi_far **out, hw_error *err)
{
    *out = NULL;
    if (strlen(name) > HW_NAME_MAX) {
        return hwi_fail(err, HW_ENOTFOUND, "there is no collection `%s`", name);
    }
    hwi_far *far = hwi_alloc_zero(sizeof *far);
    if (!far) return hwi_nomem(err, sizeof *far);
    far->remote = remote;
    strncpy(far->name, name, HW_NAME_MAX);
    hw_status st = read_settings(far, err);
    if (st != HW_OK) {
        hwi_far_close(far);
        return st;
    }
    *out = far;
    return HW_OK;
}

void
hwi_far_close(hwi_far *far)
{
    if (!far) return;
    hwi_conf_unref(far->conf);
    hwi_free(far);
}

/* ---- Questions ---- */

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

static void
write_ids(hwi_buf *b, const hw_id *ids, size_t count)
{
    hwi_buf_text(b, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) hwi_buf_text(b, ",");
        hwi_json_write_id(b, &ids[i]);
    }
    hwi_buf_text(b, "]");
}

/* ,"filter": ... with the points a search is limited to. */
static void
write_filter(hwi_buf *b, const char *filter, size_t bytes, const hw_id *among, size_t among_count)
{
    if (!filter && !among) return;
    hwi_buf_text(b, ",\"filter\":");
    if (among) {
        hwi_buf_text(b, "{\"must\":[{\"has_id\":");
        write_ids(b, among, among_count);
        hwi_buf_text(b, "}");
        if (filter) hwi_buf_text(b, ",");
    }
    if (filter) hwi_buf_add(b, filter, bytes);
    if (among) hwi_buf_text(b, "]}");
}

static void
write_with(hwi_buf *b, uint32_t with)
{
    hwi_buf_printf(b, ",\"with_payload\":%s,\"with_vector\":%s",
                   with & HW_WITH_PAYLOAD ? "true" : "false",
                   with & HW_WITH_VECTOR ? "true" : "false");
}

static void
write_query(hwi_buf *b, const hw_query *q)
{
    hwi_buf_text(b, "{\"query\":");
    write_rule(b, q);
    if (q->vector_name && q->vector_name[0]) {
        hwi_buf_text(b, ",\"using\":");
        hwi_json_write_text(b, q->vector_name, strlen(q->vector_name));
    }
    hwi_buf_printf(b, ",\"limit\":%u,\"offset\":%u,\"explain\":%s", q->k, q->offset,
                   q->explain ? "true" : "false");
    write_with(b, q->with);
    write_filter(b, q->filter, q->filter_bytes, q->among, q->among_count);
    if (q->has_score_threshold) {
        hwi_buf_text(b, ",\"score_threshold\":");
        hwi_json_write_f32(b, q->score_threshold);
    }
    hwi_buf_printf(b, ",\"params\":{\"exact\":%s,\"recall\":", q->exact ? "true" : "false");
    hwi_json_write_f64(b, q->recall);
    if (q->time_budget_ms) hwi_buf_printf(b, ",\"time_budget_ms\":%u", q->time_budget_ms);
    hwi_buf_text(b, "}");
}

/* ---- Answers ---- */

void
hwi_far_rows_release(hwi_far_rows *rows)
{
    hwi_arena_release(&rows->arena);
    *rows = (hwi_far_rows){0};
}

typedef struct reading {
    const hwi_far *far;
    hwi_far_rows *out;
    hw_error *err;
} reading;

static void *
room(reading *r, size_t count, size_t size, hw_status *st)
{
    size_t bytes = hwi_size_mul(count, size);
    void *memory = hwi_arena_alloc(&r->out->arena, bytes);
    if (memory) return memset(memory, 0, bytes);
    *st = hwi_nomem(r->err, bytes);
    return NULL;
}

static hw_status
unfit(reading *r, const char *what)
{
    return hwi_fail(r->err, HW_EIO, "the server's answer has %s", what);
}

static hw_status
read_numbers(reading *r, const hwi_json *list, float *values, uint32_t *indices)
{
    size_t i = 0;
    for (const hwi_json *j = list->child; j; j = j->next, i++) {
        if (!hwi_json_is_number(j)) return unfit(r, "a vector with something else than numbers");
        if (values) values[i] = (float)j->number;
        if (indices) indices[i] = (uint32_t)j->integer;
    }
    return HW_OK;
}

static hw_status
read_dense(reading *r, const hwi_json *j, const hwi_field *f, hw_vector *out)
{
    hw_status st = HW_OK;
    if (j->kind != HWI_JSON_ARRAY || j->count != f->dim) return unfit(r, "a vector of wrong size");
    float *values = room(r, f->dim, sizeof *values, &st);
    if (!values) return st;
    *out = (hw_vector){.name = f->name, .values = values, .dim = f->dim};
    return read_numbers(r, j, values, NULL);
}

static hw_status
read_sparse(reading *r, const hwi_json *j, const hwi_field *f, hw_vector *out)
{
    const hwi_json *indices = hwi_json_member(j, "indices"), *values = hwi_json_member(j, "values");
    hw_status st = HW_OK;
    if (!indices || !values || indices->count != values->count) {
        return unfit(r, "a malformed sparse vector");
    }
    float *v = room(r, values->count + 1, sizeof *v, &st);
    uint32_t *at = v ? room(r, values->count + 1, sizeof *at, &st) : NULL;
    if (!at) return st;
    *out = (hw_vector){.name = f->name, .values = v, .dim = (uint32_t)values->count, .indices = at};
    HWI_TRY(read_numbers(r, values, v, NULL));
    return read_numbers(r, indices, NULL, at);
}

static hw_status
read_multi(reading *r, const hwi_json *j, const hwi_field *f, hw_vector *out)
{
    hw_status st = HW_OK;
    float *values = room(r, hwi_size_mul(j->count, f->dim) + 1, sizeof *values, &st);
    if (!values) return st;
    *out =
        (hw_vector){.name = f->name, .values = values, .dim = f->dim, .rows = (uint32_t)j->count};
    for (const hwi_json *row = j->child; row; row = row->next, values += f->dim) {
        if (row->kind != HWI_JSON_ARRAY || row->count != f->dim) {
            return unfit(r, "a vector of wrong size");
        }
        HWI_TRY(read_numbers(r, row, values, NULL));
    }
    return HW_OK;
}

static hw_status
read_vector(reading *r, const hwi_json *j, const hwi_field *f, hw_vector *out)
{
    if (j->kind == HWI_JSON_OBJECT) return read_sparse(r, j, f, out);
    if (j->child && j->child->kind == HWI_JSON_ARRAY) return read_multi(r, j, f, out);
    return read_dense(r, j, f, out);
}

static hw_status
read_vectors(reading *r, const hwi_json *vector, hw_vector *out)
{
    const hwi_conf *conf = r->far->conf;
    for (size_t f = 0; vector && f < conf->field_count; f++) {
        const hwi_field *field = &conf->fields[f];
        const hwi_json *j = field->name[0] ? hwi_json_member(vector, field->name) : vector;
        if (!field->name[0] && vector->kind == HWI_JSON_OBJECT) j = hwi_json_member(vector, "");
        if (j && j->kind != HWI_JSON_NULL) HWI_TRY(read_vector(r, j, field, &out[f]));
    }
    return HW_OK;
}

static hw_status
read_id(reading *r, const hwi_json *j, hw_id *out)
{
    if (!j || hwi_json_id(j, out, NULL) != HW_OK) return unfit(r, "a point without an id");
    if (out->kind != HW_ID_KIND_TEXT) return HW_OK;
    out->as.text = hwi_arena_text(&r->out->arena, out->as.text, out->text_bytes);
    return out->as.text ? HW_OK : hwi_nomem(r->err, out->text_bytes);
}

static hw_status
read_payload(reading *r, const hwi_json *j, size_t i)
{
    hwi_buf b = {0};
    hw_status st = HW_OK;
    if (!j || j->kind != HWI_JSON_OBJECT || !j->child) return HW_OK;
    hwi_json_write(&b, j);
    const char *copy =
        b.failed ? NULL : hwi_arena_text(&r->out->arena, (const char *)b.data, b.size);
    if (!copy) st = hwi_nomem(r->err, b.size);
    r->out->payloads[i] = copy;
    r->out->payload_bytes[i] = b.size;
    hwi_buf_release(&b);
    return st;
}

static hw_status
read_point(reading *r, const hwi_json *j, size_t i)
{
    hwi_far_rows *out = r->out;
    const hwi_json *score = hwi_json_member(j, "score"), *version = hwi_json_member(j, "version");
    HWI_TRY(read_id(r, hwi_json_member(j, "id"), &out->ids[i]));
    if (out->scores && !hwi_json_is_number(score)) return unfit(r, "a hit without a score");
    if (out->scores) out->scores[i] = (float)score->number;
    if (hwi_json_is_number(version)) out->versions[i] = (uint64_t)version->integer;
    if (out->payloads) HWI_TRY(read_payload(r, hwi_json_member(j, "payload"), i));
    if (!out->vectors) return HW_OK;
    return read_vectors(r, hwi_json_member(j, "vector"),
                        out->vectors + i * r->far->conf->field_count);
}

static hw_status
read_points(reading *r, const hwi_json *points, uint32_t with, bool scored)
{
    hwi_far_rows *out = r->out;
    hw_status st = HW_OK;
    if (!points || points->kind != HWI_JSON_ARRAY) return unfit(r, "no list of points");
    size_t n = points->count, fields = r->far->conf->field_count;
    out->ids = room(r, n, sizeof *out->ids, &st);
    out->versions = room(r, n, sizeof *out->versions, &st);
    if (scored) out->scores = room(r, n, sizeof *out->scores, &st);
    if (with & HW_WITH_PAYLOAD) {
        out->payloads = room(r, n, sizeof *out->payloads, &st);
        out->payload_bytes = room(r, n, sizeof *out->payload_bytes, &st);
    }
    if (with & HW_WITH_VECTOR) {
        out->vectors = room(r, hwi_size_mul(n, fields), sizeof *out->vectors, &st);
    }
    if (st != HW_OK) return st;
    for (const hwi_json *j = points->child; j; j = j->next) {
        HWI_TRY(read_point(r, j, out->count));
        out->count++;
    }
    return HW_OK;
}

static uint64_t
count_of(const hwi_json *o, const char *key)
{
    const hwi_json *j = hwi_json_member(o, key);
    return hwi_json_is_number(j) ? (uint64_t)j->integer : 0;
}

/* What hashwood says of a search beyond its hits, as recall was asked for. */
static hw_status
read_report(reading *r, const hwi_json *result)
{
    const hwi_json *work = hwi_json_member(result, "work");
    const hwi_json *recall = hwi_json_member(result, "recall");
    const hwi_json *warning = hwi_json_member(result, "warning");
    const hwi_json *explain = hwi_json_member(result, "explain");
    hwi_far_rows *out = r->out;
    out->recall = hwi_json_is_number(recall) ? recall->number : 1;
    out->work = (hw_search_work){.size = sizeof out->work,
                                 .leaves = count_of(work, "leaves"),
                                 .scanned = count_of(work, "scanned"),
                                 .refined = count_of(work, "refined"),
                                 .exact = count_of(work, "exact")};
    if (warning && warning->kind == HWI_JSON_TEXT) {
        out->warning = hwi_arena_text(&out->arena, warning->text, warning->text_bytes);
        if (!out->warning) return hwi_nomem(r->err, warning->text_bytes);
    }
    if (!explain || explain->kind != HWI_JSON_OBJECT) return HW_OK;
    hwi_buf b = {0};
    hwi_json_write(&b, explain);
    if (!b.failed) out->explain = hwi_arena_text(&out->arena, (const char *)b.data, b.size);
    hwi_buf_release(&b);
    return out->explain ? HW_OK : hwi_nomem(r->err, 0);
}

/* ---- Calls ---- */

static hw_status
ask(reading *r, const char *rest, const hwi_buf *body, uint32_t with, bool scored)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    hwi_far *far = (hwi_far *)r->far;
    hw_status st = far_call(far, "POST", rest, body, &arena, &result, r->err);
    const hwi_json *points = hwi_json_member(result, "points");
    if (st == HW_OK) st = read_points(r, points ? points : result, with, scored);
    if (st == HW_OK) st = read_report(r, result);
    const hwi_json *next = hwi_json_member(result, "next_page_offset");
    if (st == HW_OK && next && next->kind != HWI_JSON_NULL) {
        r->out->more = true;
        st = read_id(r, next, &r->out->next);
    }
    hwi_arena_release(&arena);
    if (st != HW_OK) hwi_far_rows_release(r->out);
    return st;
}

hw_status
hwi_far_search(hwi_far *far, const hw_query *query, hwi_far_rows *out, hw_error *err)
{
    reading r = {far, out, err};
    hwi_buf body = {0};
    *out = (hwi_far_rows){0};
    write_query(&body, query);
    hwi_buf_text(&body, "}");
    hw_status st = ask(&r, "/points/query", &body, query->with, true);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_far_why(hwi_far *far, const hw_query *query, const hw_id *id, char **json, hw_error *err)
{
    hwi_buf body = {0};
    write_query(&body, query);
    hwi_buf_text(&body, ",\"id\":");
    hwi_json_write_id(&body, id);
    hwi_buf_text(&body, "}");
    hw_status st = hwi_far_text(far, "POST", "/points/why", &body, json, err);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_far_get(hwi_far *far, const hw_id *ids, size_t count, uint32_t with, hwi_far_rows *out,
            hw_error *err)
{
    reading r = {far, out, err};
    hwi_buf body = {0};
    *out = (hwi_far_rows){0};
    hwi_buf_text(&body, "{\"ids\":");
    write_ids(&body, ids, count);
    write_with(&body, with);
    hwi_buf_text(&body, "}");
    hw_status st = ask(&r, "/points", &body, with, false);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_far_count(hwi_far *far, const char *filter, size_t filter_bytes, uint64_t *count, hw_error *err)
{
    hwi_buf body = {0};
    hwi_arena arena = {0};
    const hwi_json *result;
    *count = 0;
    hwi_buf_text(&body, "{\"exact\":true");
    write_filter(&body, filter, filter_bytes, NULL, 0);
    hwi_buf_text(&body, "}");
    hw_status st = far_call(far, "POST", "/points/count", &body, &arena, &result, err);
    if (st == HW_OK) *count = count_of(result, "count");
    hwi_arena_release(&arena);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_far_scroll(hwi_far *far, const char *filter, size_t filter_bytes, const hw_id *from,
               uint32_t limit, uint32_t with, hwi_far_rows *out, hw_error *err)
{
    reading r = {far, out, err};
    hwi_buf body = {0};
    *out = (hwi_far_rows){0};
    hwi_buf_printf(&body, "{\"limit\":%u", limit);
    write_with(&body, with);
    write_filter(&body, filter, filter_bytes, NULL, 0);
    if (from) {
        hwi_buf_text(&body, ",\"offset\":");
        hwi_json_write_id(&body, from);
    }
    hwi_buf_text(&body, "}");
    hw_status st = ask(&r, "/points/scroll", &body, with, false);
    hwi_buf_release(&body);
    return st;
}
