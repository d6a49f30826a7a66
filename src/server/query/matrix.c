/* matrix.c - distances between some points drawn at random: who is near whom.
 *
 * Points are drawn from those that match the filter and have the vector; each then asks for its
 * nearest among the others, all in one call. The drawing is over points, so where some of them lack
 * the vector more are drawn, and those without are put back.
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

/* Draws `draw` points; keeps those with the vector, at most as many as are wanted. *all tells that
 * there are no more to draw. */
static bool
draw(matrix *m, uint64_t seed, uint32_t count, bool *all)
{
    hwi_run *run = &m->run;
    hw_result *found;
    hw_error err;
    hw_vector v;
    if (!hwi_ok(run->request,
                hw_collection_sample(run->shape.collection, m->filter, m->filter_bytes, seed, count,
                                     HW_WITH_VECTOR, &found, &err),
                &err) ||
        !hwi_run_keep(run, found)) {
        return false;
    }
    *all = hw_result_count(found) < count;
    m->count = 0;
    for (size_t i = 0; i < hw_result_count(found) && m->count < m->sample; i++) {
        if (!hw_result_stored_vector(found, i, m->field->name, &v)) continue;
        m->ids[m->count++] = hw_result_ids(found)[i];
    }
    return true;
}

static bool
sample(matrix *m)
{
    uint64_t seed = hwi_clock_us();
    uint32_t count = m->sample;
    bool all = false;
    m->ids = hwi_request_alloc(m->run.request, m->sample * sizeof *m->ids);
    if (!m->ids) return false;
    do {
        if (!draw(m, seed, count, &all)) return false;
        count = HWI_MIN(count * 2, HW_K_MAX);
    } while (m->count < m->sample && !all && count < HW_K_MAX);
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
           hwi_admit_filter(r, &m->run.shape, r->body, m->sample) && sample(m) && search(m);
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
