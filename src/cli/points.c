/* points.c - points between the command line and the library. */
#include "points.h"

#include <stdlib.h>

#include "formats/formats.h"
#include "table.h"

/* ---- in */

/* Numbers of an array to *at. */
static hw_status
add_numbers(const hwi_json *array, float **at, hw_error *err)
{
    uint32_t n = 0;

    if (!array || array->kind != HWI_JSON_ARRAY)
        return hwi_fail(err, HW_EINVAL, "--vector: expected an array of numbers");
    for (const hwi_json *j = array->child; j; j = j->next, n++) {
        if (!hwi_json_is_number(j))
            return hwi_fail(err, HW_EINVAL, "--vector: value %u is no number", n);
        *(*at)++ = (float)j->number;
    }
    return HW_OK;
}

/* [[1, 2], [3, 4]] */
static hw_status
add_rows(const hwi_json *rows, float *at, hw_vector *v, hw_error *err)
{
    v->dim = (uint32_t)rows->child->count;
    v->rows = (uint32_t)rows->count;
    for (const hwi_json *j = rows->child; j; j = j->next) {
        if (j->count != v->dim)
            return hwi_fail(err, HW_EINVAL, "--vector: rows of %u and %zu values", v->dim,
                            j->count);
        HWI_TRY(add_numbers(j, &at, err));
    }
    return HW_OK;
}

/* {"indices": [7, 1], "values": [0.5, 2]} */
static hw_status
add_sparse(cli_vectors *out, const hwi_json *object, float *at, hw_vector *v, hw_error *err)
{
    const hwi_json *indices = hwi_json_member(object, "indices");
    uint32_t *where = hwi_arena_alloc(&out->arena, (indices->count + 1) * sizeof *where);

    cli_need(where != NULL);
    HWI_TRY(add_numbers(hwi_json_member(object, "values"), &at, err));
    v->indices = where;
    v->dim = (uint32_t)hwi_json_member(object, "values")->count;
    if (indices->kind != HWI_JSON_ARRAY || indices->count != v->dim)
        return hwi_fail(err, HW_EINVAL, "--vector: %u values and %zu indices", v->dim,
                        indices->count);
    for (const hwi_json *j = indices->child; j; j = j->next) {
        if (j->kind != HWI_JSON_INT || j->integer < 0 || j->integer > UINT32_MAX)
            return hwi_fail(err, HW_EINVAL, "--vector: an index is not from 0 to %u", UINT32_MAX);
        *where++ = (uint32_t)j->integer;
    }
    return HW_OK;
}

static bool
is_sparse(const hwi_json *j)
{
    return j->kind == HWI_JSON_OBJECT && j->count == 2 && hwi_json_member(j, "indices") &&
           hwi_json_member(j, "values");
}

/* Numbers in a vector of any kind, at most. */
static size_t
numbers_in(const hwi_json *j)
{
    size_t n = j->count;

    if (is_sparse(j)) return hwi_json_member(j, "values")->count;
    if (j->child && j->child->kind == HWI_JSON_ARRAY)
        for (const hwi_json *row = j->child; row; row = row->next) n += row->count;
    return n;
}

static hw_status
add_vector(cli_vectors *out, const hwi_json *json, const char *name, hw_error *err)
{
    float *values;
    hw_vector *v = &out->items[out->count];

    if (out->count == HW_VECTORS_MAX)
        return hwi_fail(err, HW_EINVAL, "--vector: more than %u vectors", HW_VECTORS_MAX);
    values = hwi_arena_alloc(&out->arena, (numbers_in(json) + 1) * sizeof *values);
    cli_need(values != NULL);
    *v = (hw_vector){.name = name, .values = values, .dim = (uint32_t)json->count};
    out->count++;
    if (is_sparse(json)) return add_sparse(out, json, values, v, err);
    if (json->kind == HWI_JSON_ARRAY && json->child && json->child->kind == HWI_JSON_ARRAY)
        return add_rows(json, values, v, err);
    return add_numbers(json, &values, err);
}

static hw_status
add_named_vectors(cli_vectors *out, const hwi_json *object, hw_error *err)
{
    for (const hwi_json *j = object->child; j; j = j->next)
        HWI_TRY(add_vector(out, j, j->key, err));
    return HW_OK;
}

hw_status
cli_vectors_parse(const char *value, cli_vectors *out, hw_error *err)
{
    const char *text;
    char *owned;
    size_t bytes;
    const hwi_json *json;
    hw_status st;

    *out = (cli_vectors){0};
    if (value == NULL) return HW_OK;
    HWI_TRY(cli_text_or_file("vector", value, &text, &bytes, &owned, err));
    st = hwi_json_parse(text, bytes, &out->arena, &json, err);
    if (st != HW_OK)
        st = hwi_fail_prefix(err, st, "--vector");
    else if (json->kind == HWI_JSON_OBJECT && !is_sparse(json))
        st = add_named_vectors(out, json, err);
    else
        st = add_vector(out, json, NULL, err);
    hwi_free(owned);
    if (st != HW_OK) cli_vectors_release(out);
    return st;
}

void
cli_vectors_release(cli_vectors *v)
{
    hwi_arena_release(&v->arena);
    v->count = 0;
}

hw_status
cli_ids_parse(const cli_list *list, hw_id *out, hw_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        HWI_TRY(hw_id_parse(list->items[i], strlen(list->items[i]), &out[i], err));
    return HW_OK;
}

hw_status
cli_with_parse(const char *value, uint32_t *with, hw_error *err)
{
    *with = 0;
    while (value && *value) {
        size_t n = strcspn(value, ",");

        if (n == 7 && memcmp(value, "payload", n) == 0)
            *with |= HW_WITH_PAYLOAD;
        else if ((n == 6 && memcmp(value, "vector", n) == 0) ||
                 (n == 7 && memcmp(value, "vectors", n) == 0))
            *with |= HW_WITH_VECTOR;
        else if (!(n == 4 && memcmp(value, "none", n) == 0))
            return hwi_fail(err, HW_EINVAL, "--with is `%.*s`, expected payload, vector or none",
                            (int)n, value);
        value += n + (value[n] == ',');
    }
    return HW_OK;
}

hw_status
cli_each_page(hw_collection *c, const char *filter, uint32_t with, uint32_t page_rows,
              cli_page_fn fn, void *arg, hw_error *err)
{
    size_t filter_bytes = filter ? strlen(filter) : 0;
    hw_result *page = NULL, *next_page;
    hw_id next;
    bool more = true;
    hw_status st = HW_OK;

    while (st == HW_OK && more) {
        if (cli_interrupted()) {
            st = hwi_fail(err, HW_ECANCELED, "interrupted");
            break;
        }
        /* `next` may point into the page before, so that is freed only now */
        st = hw_collection_scroll(c, filter, filter_bytes, page ? &next : NULL, page_rows, with,
                                  &next_page, &more, &next, err);
        hw_result_free(page);
        page = NULL;
        if (st != HW_OK) break;
        page = next_page;
        if (hw_result_count(page) > 0) st = fn(arg, page, err);
    }
    hw_result_free(page);
    return st;
}

/* ---- out */

static void
add_vectors_json(hwi_buf *b, const cli_show *show, const hw_result *r, size_t i)
{
    bool first = true;
    hw_vector v;

    for (size_t n = 0; n < show->name_count; n++) {
        const char *name = show->names[n];

        if (!hw_result_stored_vector(r, i, name, &v)) continue;
        if (name[0] == 0) {
            hwi_buf_text(b, ",\"vector\":");
            hwi_vector_write_json(b, &v);
            continue;
        }
        hwi_buf_text(b, first ? ",\"vectors\":{" : ",");
        first = false;
        hwi_json_write_text(b, name, strlen(name));
        hwi_buf_text(b, ":");
        hwi_vector_write_json(b, &v);
    }
    if (!first) hwi_buf_text(b, "}");
}

void
cli_add_point(hwi_buf *b, const cli_show *show, const hw_result *r, size_t i)
{
    const float *scores = hw_result_scores(r);
    size_t bytes;
    const char *payload = hw_result_payload(r, i, &bytes);

    hwi_buf_text(b, "{\"id\":");
    hwi_json_write_id(b, &hw_result_ids(r)[i]);
    if (scores) {
        hwi_buf_text(b, ",\"score\":");
        hwi_json_write_f32(b, scores[i]);
    }
    if (show->with & HW_WITH_PAYLOAD) {
        hwi_buf_text(b, ",\"payload\":");
        if (payload)
            hwi_buf_add(b, payload, bytes);
        else
            hwi_buf_text(b, "null");
    }
    if (show->with & HW_WITH_VECTOR) add_vectors_json(b, show, r, i);
    hwi_buf_text(b, "}");
}

void
cli_add_points(hwi_buf *b, const cli_show *show, const hw_result *r)
{
    hwi_buf_text(b, "[");
    for (size_t i = 0; i < hw_result_count(r); i++) {
        if (i) hwi_buf_text(b, ",");
        cli_add_point(b, show, r, i);
    }
    hwi_buf_text(b, "]");
}

/* "[0, 0, 0.5, 12, ... 784]" or all of it in CSV; of other kinds all */
static void
add_vector_cell(hwi_buf *b, const cli *c, const hw_vector *v)
{
    const float *values = v->values;
    uint32_t dim = v->dim;

    if (v->indices || v->rows) {
        hwi_vector_write_json(b, v);
        return;
    }
    uint32_t shown = c->mode == CLI_MODE_CSV ? dim : HWI_MIN(dim, 6);

    hwi_buf_text(b, "[");
    for (uint32_t i = 0; i < shown; i++) {
        if (i) hwi_buf_text(b, ",");
        hwi_json_write_f32(b, values[i]);
    }
    if (shown < dim) hwi_buf_printf(b, ",... %u values", dim);
    hwi_buf_text(b, "]");
}

static void
add_vector_cells(cli_table *t, const cli *c, const cli_show *show, const hw_result *r, size_t i)
{
    hwi_buf b = {0};
    hw_vector v;

    for (size_t n = 0; n < show->name_count; n++) {
        if (!hw_result_stored_vector(r, i, show->names[n], &v)) continue;
        if (show->names[n][0]) hwi_buf_printf(&b, "%s%s ", b.size ? " " : "", show->names[n]);
        add_vector_cell(&b, c, &v);
    }
    cli_table_bytes(t, b.data ? (char *)b.data : "", b.size);
    hwi_buf_release(&b);
}

static void
begin_table(cli_table *t, const cli_show *show, bool scores)
{
    if (scores)
        cli_table_begin(t, ">rank", "id", ">score");
    else
        cli_table_begin(t, "id");
    if (show->with & HW_WITH_VECTOR) t->headings[t->columns++] = "vector";
    if (show->with & HW_WITH_PAYLOAD) t->headings[t->columns++] = "payload";
}

void
cli_print_points(const cli *c, const cli_show *show, const hw_result *r)
{
    const float *scores = hw_result_scores(r);
    char id[HW_ID_TEXT_MAX + 1];
    cli_table t;

    begin_table(&t, show, scores != NULL);
    for (size_t i = 0; i < hw_result_count(r); i++) {
        size_t bytes = 0;
        const char *payload = hw_result_payload(r, i, &bytes);
        size_t id_bytes = hw_id_format(&hw_result_ids(r)[i], id);

        if (scores) cli_table_printf(&t, "%zu", i + 1);
        cli_table_bytes(&t, id, id_bytes);
        if (scores) cli_table_printf(&t, "%.6g", (double)scores[i]);
        if (show->with & HW_WITH_VECTOR) add_vector_cells(&t, c, show, r, i);
        if (show->with & HW_WITH_PAYLOAD) cli_table_bytes(&t, payload ? payload : "", bytes);
    }
    cli_table_end(&t, c);
}
