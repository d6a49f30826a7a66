/* matrix.c - distances between some points drawn at random: who is near whom.
 *
 * Points are drawn from those that match the filter and have the vector; each then asks for its
 * nearest among the others, all in one call.
 */
#include "server/query/query.h"

#include <stdlib.h>

typedef struct matrix {
    hwi_run run;
    const hwi_shape_field *field;
    const char *filter;
    size_t filter_bytes;
    uint32_t sample, limit;
    hw_id *ids; /* ascending */
    size_t count;
    hw_result **nearest; /* one an id */
} matrix;

static bool
decode(hwi_request *r, matrix *m)
{
    const char *using;
    if (!r->body || r->body->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "expected an object");
    }
    if (!hwi_read_filter(r, r->body, "filter", &m->filter, &m->filter_bytes) ||
        !hwi_read_u32(r, r->body, "sample", 10, 2, UINT32_MAX, &m->sample) ||
        !hwi_read_u32(r, r->body, "limit", 3, 1, UINT32_MAX, &m->limit) ||
        !hwi_decode_using(&m->run, r->body, &using)) {
        return false;
    }
    m->field = hwi_shape_field_named(r, &m->run.shape, using);
    m->sample = HWI_MIN(m->sample, HW_K_MAX);
    m->limit = HWI_MIN(m->limit, HW_K_MAX);
    return m->field != NULL;
}

static int
compare_ids(const void *a, const void *b)
{
    return hw_id_compare(a, b);
}

/* The filter, of points that have the vector. */
static bool
add_has_vector(matrix *m)
{
    hwi_request *r = m->run.request;
    hwi_buf b = {0};
    hwi_buf_text(&b, "{\"must\":[{\"has_vector\":");
    hwi_json_write_text(&b, m->field->name, strlen(m->field->name));
    hwi_buf_text(&b, "}]}");
    char *text = b.failed ? NULL : hwi_arena_text(&r->arena, (const char *)b.data, b.size);
    size_t bytes = b.size;
    hwi_buf_release(&b);
    if (!text) return hwi_refuse(r, 503, "out of memory");
    return hwi_join_filters(r, m->filter, m->filter_bytes, text, bytes, &m->filter,
                            &m->filter_bytes);
}

static bool
sample(matrix *m)
{
    hwi_run *run = &m->run;
    hw_result *found;
    hw_error err;
    if (!add_has_vector(m) ||
        !hwi_ok(run->request,
                hw_collection_sample(run->shape.collection, m->filter, m->filter_bytes,
                                     hwi_clock_us(), m->sample, 0, &found, &err),
                &err) ||
        !hwi_run_keep(run, found)) {
        return false;
    }
    m->count = hw_result_count(found);
    m->ids = hwi_request_alloc(run->request, (m->count + 1) * sizeof *m->ids);
    if (!m->ids) return false;
    for (size_t i = 0; i < m->count; i++) m->ids[i] = hw_result_ids(found)[i];
    qsort(m->ids, m->count, sizeof *m->ids, compare_ids);
    return true;
}

static bool
search(matrix *m)
{
    hwi_request *r = m->run.request;
    hw_error err;
    hw_query *queries = hwi_request_alloc(r, (m->count + 1) * sizeof *queries);
    m->nearest = hwi_request_alloc(r, (m->count + 1) * sizeof *m->nearest);
    if (!queries || !m->nearest) return false;
    for (size_t i = 0; i < m->count; i++) {
        queries[i] = HW_QUERY_INIT;
        queries[i].vector_name = m->field->name;
        queries[i].id = &m->ids[i];
        queries[i].k = (uint32_t)HWI_MIN(m->limit, m->count);
        queries[i].exact = true;
        queries[i].among = m->ids;
        queries[i].among_count = m->count;
        queries[i].deadline_ms = r->deadline_ms;
        queries[i].cancel = r->cancel;
    }
    if (m->count < 2) {
        m->count = 0;
        return true;
    }
    if (!hwi_ok(r,
                hw_collection_search_batch(m->run.shape.collection, queries, m->count, 0,
                                           m->nearest, &err),
                &err)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; i < m->count; i++) {
        if (!ok) hw_result_free(m->nearest[i]);
        if (ok && !hwi_run_keep(&m->run, m->nearest[i])) ok = false;
    }
    return ok;
}

static bool
compute(hwi_request *r, matrix *m)
{
    return hwi_run_begin(&m->run, r) && decode(r, m) &&
           hwi_admit_filter(r, &m->run.shape, r->body, (uint64_t)m->sample * m->limit, false) &&
           sample(m) && search(m);
}

static void
write_pairs(hwi_buf *out, const matrix *m)
{
    bool is_first = true;
    hwi_buf_text(out, "{\"pairs\":[");
    for (size_t i = 0; i < m->count; i++) {
        for (size_t j = 0; j < hw_result_count(m->nearest[i]); j++) {
            hwi_buf_text(out, is_first ? "{\"a\":" : ",{\"a\":");
            is_first = false;
            hwi_json_write_id(out, &m->ids[i]);
            hwi_buf_text(out, ",\"b\":");
            hwi_json_write_id(out, &hw_result_ids(m->nearest[i])[j]);
            hwi_buf_text(out, ",\"score\":");
            hwi_json_write_f32(out, hw_result_scores(m->nearest[i])[j]);
            hwi_buf_text(out, "}");
        }
    }
    hwi_buf_text(out, "]}");
}

typedef enum column { COLUMN_ROW, COLUMN_COL, COLUMN_SCORE } column;

static void
write_column(hwi_buf *out, const matrix *m, const hwi_idmap *places, const char *name, column which)
{
    bool is_first = true;
    hwi_buf_printf(out, "\"%s\":[", name);
    for (size_t i = 0; i < m->count; i++) {
        for (size_t j = 0; j < hw_result_count(m->nearest[i]); j++) {
            if (!is_first) hwi_buf_text(out, ",");
            is_first = false;
            if (which == COLUMN_ROW) {
                hwi_buf_printf(out, "%zu", i);
            } else if (which == COLUMN_COL) {
                hwi_buf_printf(out, "%zu",
                               hwi_idmap_find(places, &hw_result_ids(m->nearest[i])[j]));
            } else {
                hwi_json_write_f32(out, hw_result_scores(m->nearest[i])[j]);
            }
        }
    }
    hwi_buf_text(out, "],");
}

static bool
write_offsets(hwi_request *r, const matrix *m)
{
    hwi_idmap places;
    if (!hwi_idmap_init(r, m->ids, m->count, &places)) return false;
    hwi_buf_text(&r->out, "{");
    write_column(&r->out, m, &places, "offsets_row", COLUMN_ROW);
    write_column(&r->out, m, &places, "offsets_col", COLUMN_COL);
    write_column(&r->out, m, &places, "scores", COLUMN_SCORE);
    hwi_buf_text(&r->out, "\"ids\":[");
    for (size_t i = 0; i < m->count; i++) {
        if (i) hwi_buf_text(&r->out, ",");
        hwi_json_write_id(&r->out, &m->ids[i]);
    }
    hwi_buf_text(&r->out, "]}");
    return true;
}

bool
hwi_handle_matrix_pairs(hwi_request *r)
{
    matrix m = {0};
    bool ok = compute(r, &m);
    if (ok) write_pairs(&r->out, &m);
    hwi_run_end(&m.run);
    return ok;
}

bool
hwi_handle_matrix_offsets(hwi_request *r)
{
    matrix m = {0};
    bool ok = compute(r, &m) && write_offsets(r, &m);
    hwi_run_end(&m.run);
    return ok;
}
