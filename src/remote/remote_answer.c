/* remote_answer.c - answers as columns.
 *
 * A collection's settings, known since it was opened, give the names and sizes that vectors are
 * checked against. Nothing a server sends is trusted: what does not fit is HW_EIO, "the server's
 * answer ...". */
#include "remote/remote.h"

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

uint64_t
hwi_far_count_in(const hwi_json *o, const char *key)
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
                                 .leaves = hwi_far_count_in(work, "leaves"),
                                 .scanned = hwi_far_count_in(work, "scanned"),
                                 .refined = hwi_far_count_in(work, "refined"),
                                 .exact = hwi_far_count_in(work, "exact")};
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

/* ---- The whole ---- */

static hw_status
read_rows(reading *r, const hwi_json *result, uint32_t with, bool scored)
{
    const hwi_json *points = hwi_json_member(result, "points");
    const hwi_json *next = hwi_json_member(result, "next_page_offset");
    HWI_TRY(read_points(r, points ? points : result, with, scored));
    HWI_TRY(read_report(r, result));
    r->out->more = next && next->kind != HWI_JSON_NULL;
    return r->out->more ? read_id(r, next, &r->out->next) : HW_OK;
}

hw_status
hwi_far_read_rows(const hwi_far *far, const hwi_json *result, uint32_t with, bool scored,
                  hwi_far_rows *out, hw_error *err)
{
    reading r = {far, out, err};
    *out = (hwi_far_rows){0};
    hw_status st = read_rows(&r, result, with, scored);
    if (st != HW_OK) hwi_far_rows_release(out);
    return st;
}
