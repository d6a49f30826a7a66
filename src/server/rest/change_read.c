/* change_read.c - changes to points as they stand in a body.
 *
 * Everything is read and checked before the transaction begins: a writer's turn is short then, and
 * what the checks refuse has touched nothing.
 */
#include <stdio.h>

#include "server/rest/args.h"
#include "server/rest/change.h"
#include "server/rest/strict.h"
#include "server/wire_select.h"

typedef struct hwi_change_point point;

/* The text of a JSON value, in the request's arena. */
static bool
text_of(hwi_request *r, const hwi_json *j, const char **text, size_t *bytes)
{
    hwi_buf b = {0};
    hwi_json_write(&b, j);
    char *copy = b.failed ? NULL : hwi_request_alloc(r, b.size + 1);
    if (b.failed) hwi_refuse(r, 503, "out of memory");
    if (copy) {
        memcpy(copy, b.data, b.size);
        copy[b.size] = '\0';
        *text = copy;
        *bytes = b.size;
    }
    hwi_buf_release(&b);
    return copy != NULL;
}

/* ---- Points to write */

static bool
read_payload(hwi_request *r, const hwi_json *j, point *out)
{
    if (!j || j->kind == HWI_JSON_NULL) return true;
    if (j->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "payload: expected an object");
    return text_of(r, j, &out->payload, &out->payload_bytes);
}

static bool
read_point(hwi_request *r, const hwi_shape *shape, const hwi_json *j, bool with_payload, hw_id *id,
           point *out)
{
    *out = (point){0};
    if (j->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "expected a point");
    const hwi_json *id_json = hwi_json_member(j, "id");
    if (!id_json) return hwi_refuse_format(r, "missing field `id`");
    if (!hwi_read_id(r, shape, id_json, id)) return false;
    const hwi_json *vector = hwi_json_member(j, "vector");
    if (!vector) vector = hwi_json_member(j, "vectors"); /* accepted by Qdrant as well */
    if (!hwi_read_vectors(r, shape, vector, &out->vectors, &out->vector_count)) return false;
    return !with_payload || read_payload(r, hwi_json_member(j, "payload"), out);
}

static bool
alloc_points(hwi_request *r, hwi_change *c, size_t count)
{
    c->ids = hwi_request_alloc(r, (count + 1) * sizeof *c->ids);
    c->points = hwi_request_alloc(r, (count + 1) * sizeof *c->points);
    c->id_count = count;
    return c->ids && c->points;
}

static bool
read_points(hwi_request *r, const hwi_shape *shape, const hwi_json *j, bool with_payload,
            hwi_change *c)
{
    if (j->kind != HWI_JSON_ARRAY) return hwi_refuse_format(r, "points: expected an array");
    if (!alloc_points(r, c, j->count)) return false;
    size_t n = 0;
    for (const hwi_json *p = j->child; p; p = p->next, n++) {
        if (!read_point(r, shape, p, with_payload, &c->ids[n], &c->points[n])) return false;
    }
    return true;
}

/* ---- Columns: {"ids": [..], "vectors": .., "payloads": [..]} */

static bool
check_rows(hwi_request *r, const char *what, size_t ids, size_t rows)
{
    if (ids == rows) return true;
    return hwi_refuse_value(r, "batch", "number of ids and %s must be equal (%zu != %zu)", what,
                            ids, rows);
}

/* One column of vectors, row by row into the points. */
static bool
read_column(hwi_request *r, const hwi_shape *shape, const char *name, const hwi_json *column,
            hwi_change *c)
{
    const hwi_shape_field *field = hwi_shape_field_named(r, shape, name);
    if (!field) return false;
    if (column->kind != HWI_JSON_ARRAY) return hwi_refuse_format(r, "vectors: expected an array");
    if (!check_rows(r, "vectors", c->id_count, column->count)) return false;
    size_t n = 0;
    for (const hwi_json *v = column->child; v; v = v->next, n++) {
        point *p = &c->points[n];
        if (!hwi_read_vector(r, field, v, &p->vectors[p->vector_count++])) return false;
    }
    return true;
}

static bool
read_columns(hwi_request *r, const hwi_shape *shape, const hwi_json *vectors, hwi_change *c)
{
    if (!vectors || (vectors->kind != HWI_JSON_ARRAY && vectors->kind != HWI_JSON_OBJECT)) {
        return hwi_refuse_format(r, "vectors: expected an array or an object");
    }
    bool is_named = vectors->kind == HWI_JSON_OBJECT;
    size_t columns = is_named ? vectors->count : 1;
    for (size_t i = 0; i < c->id_count; i++) {
        c->points[i] = (point){0};
        c->points[i].vectors = hwi_request_alloc(r, (columns + 1) * sizeof(hw_vector));
        if (!c->points[i].vectors) return false;
    }
    if (!is_named) return read_column(r, shape, "", vectors, c);
    for (const hwi_json *column = vectors->child; column; column = column->next) {
        if (strlen(column->key) != column->key_bytes ||
            hwi_json_member(vectors, column->key) != column) {
            return hwi_refuse_format(r, "vectors: a name occurs twice or has a zero byte");
        }
        if (!read_column(r, shape, column->key, column, c)) return false;
    }
    return true;
}

static bool
read_batch(hwi_request *r, const hwi_shape *shape, const hwi_json *batch, hwi_change *c)
{
    hw_id *ids;
    size_t count;
    if (batch->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "batch: expected an object");
    if (!hwi_read_ids(r, shape, hwi_json_member(batch, "ids"), &ids, &count)) return false;
    if (!alloc_points(r, c, count)) return false;
    if (count) memcpy(c->ids, ids, count * sizeof *ids);
    if (!read_columns(r, shape, hwi_json_member(batch, "vectors"), c)) return false;
    const hwi_json *payloads = hwi_args_member(batch, "payloads");
    if (!payloads) return true;
    if (payloads->kind != HWI_JSON_ARRAY)
        return hwi_refuse_format(r, "payloads: expected an array");
    if (!check_rows(r, "payloads", count, payloads->count)) return false;
    size_t n = 0;
    for (const hwi_json *p = payloads->child; p; p = p->next) {
        if (!read_payload(r, p, &c->points[n++])) return false;
    }
    return true;
}

/* ---- Upsert and update of vectors */

static bool
read_mode(hwi_request *r, const hwi_json *body, hwi_update_mode *out)
{
    static const char *const words[] = {"upsert", "insert_only", "update_only"};
    const char *mode;
    *out = HWI_UPDATE_UPSERT;
    if (!hwi_read_text(r, body, "update_mode", &mode)) return false;
    for (size_t i = 0; mode && i < HWI_COUNT(words); i++) {
        if (strcmp(mode, words[i]) == 0) {
            *out = (hwi_update_mode)i;
            return true;
        }
    }
    return !mode || hwi_refuse_format(r, "update_mode: unknown variant `%.100s`", mode);
}

static bool
check_vectors(hwi_request *r, const hwi_shape *shape, const hwi_change *c)
{
    for (size_t i = 0; i < c->id_count; i++) {
        for (size_t v = 0; v < c->points[i].vector_count; v++) {
            if (!hwi_strict_vector(r, shape, &c->points[i].vectors[v])) return false;
        }
    }
    return true;
}

static bool
read_upsert(hwi_request *r, const hwi_shape *shape, const hwi_json *body, hwi_change *c)
{
    const hwi_json *points = hwi_args_member(body, "points");
    const hwi_json *batch = hwi_args_member(body, "batch");
    if (!points == !batch) {
        return hwi_refuse_format(r, "expected `points` or `batch`, one of the two");
    }
    if (!read_mode(r, body, &c->mode)) return false;
    if (!hwi_read_filter(r, body, "update_filter", &c->filter, &c->filter_bytes)) return false;
    bool is_read = points ? read_points(r, shape, points, true, c) : read_batch(r, shape, batch, c);
    return is_read && hwi_strict_growth(r, shape, "upsert limit", c->id_count) &&
           check_vectors(r, shape, c);
}

static bool
read_update_vectors(hwi_request *r, const hwi_shape *shape, const hwi_json *body, hwi_change *c)
{
    const hwi_json *points = hwi_args_member(body, "points");
    if (!points) return hwi_refuse_format(r, "missing field `points`");
    if (points->kind == HWI_JSON_ARRAY && points->count == 0) {
        return hwi_refuse_value(r, "points", "must not be empty");
    }
    if (!hwi_read_filter(r, body, "update_filter", &c->filter, &c->filter_bytes)) return false;
    if (!read_points(r, shape, points, false, c)) return false;
    for (size_t i = 0; i < c->id_count; i++) {
        if (c->points[i].vector_count == 0) {
            char at[48];
            snprintf(at, sizeof at, "points[%zu].vector", i);
            return hwi_refuse_value(r, at, "must specify vectors to update for point");
        }
    }
    return hwi_strict_growth(r, shape, "update limit", c->id_count) && check_vectors(r, shape, c);
}

/* ---- The others */

/* {"points": [..]} or {"filter": {..}} */
static bool
read_selector(hwi_request *r, const hwi_shape *shape, const hwi_json *body, hwi_change *c)
{
    const hwi_json *points = hwi_args_member(body, "points");
    if (points) return hwi_read_ids(r, shape, points, &c->ids, &c->id_count);
    if (!hwi_read_filter(r, body, "filter", &c->filter, &c->filter_bytes)) return false;
    c->filter_json = hwi_args_member(body, "filter");
    if (!c->filter) {
        return hwi_refuse_format(r, "Either list of point ids or filter must be provided");
    }
    return hwi_strict_check(r, shape,
                            &(hwi_strict_ask){.is_write = true, .filter = c->filter_json});
}

static bool
read_names(hwi_request *r, const hwi_shape *shape, const hwi_json *body, hwi_change *c)
{
    const hwi_json *names = hwi_args_member(body, "vector");
    if (!names) names = hwi_args_member(body, "vectors");
    if (!names || names->kind != HWI_JSON_ARRAY) {
        return hwi_refuse_format(r, "vector: expected an array of vector names");
    }
    if (names->count == 0) return hwi_refuse_value(r, "vector", "must not be empty");
    c->names = hwi_request_alloc(r, names->count * sizeof *c->names);
    if (!c->names) return false;
    for (const hwi_json *j = names->child; j; j = j->next) {
        if (j->kind != HWI_JSON_TEXT) return hwi_refuse_format(r, "vector: expected names");
        const hwi_shape_field *field = hwi_shape_field_named(r, shape, j->text);
        if (!field) return false;
        c->names[c->name_count++] = field->name;
    }
    return true;
}

static bool
read_keys(hwi_request *r, const hwi_json *body, hwi_change *c)
{
    const hwi_json *keys = hwi_args_member(body, "keys");
    if (!keys || keys->kind != HWI_JSON_ARRAY) {
        return hwi_refuse_format(r, keys ? "keys: expected an array" : "missing field `keys`");
    }
    for (const hwi_json *k = keys->child; k; k = k->next) {
        if (k->kind != HWI_JSON_TEXT || !hwi_select_is_path(k->text, k->text_bytes)) {
            return hwi_refuse_format(r, "keys: invalid key");
        }
    }
    return text_of(r, keys, &c->json, &c->json_bytes);
}

/* Setting a key to null removes it: such keys go to a list of paths, the others stay in an object. */
static bool
split_nulls(hwi_request *r, const hwi_json *payload, hwi_change *c)
{
    hwi_buf kept = {0}, gone = {0}, path = {0};
    size_t kept_count = 0, gone_count = 0;
    for (const hwi_json *j = payload->child; j; j = j->next) {
        bool can_be_path =
            !memchr(j->key, '"', j->key_bytes) && !memchr(j->key, '\\', j->key_bytes);
        if (j->kind == HWI_JSON_NULL && can_be_path) {
            hwi_buf_clear(&path);
            if (c->at) hwi_buf_printf(&path, "%s.", c->at);
            hwi_buf_text(&path, "\"");
            hwi_buf_add(&path, j->key, j->key_bytes);
            hwi_buf_text(&path, "\"");
            hwi_buf_text(&gone, gone_count++ ? "," : "[");
            hwi_json_write_text(&gone, (const char *)path.data, path.size);
        } else {
            hwi_buf_text(&kept, kept_count++ ? "," : "{");
            hwi_json_write_text(&kept, j->key, j->key_bytes);
            hwi_buf_text(&kept, ":");
            hwi_json_write(&kept, j);
        }
    }
    hwi_buf_text(&kept, kept_count ? "}" : "{}");
    hwi_buf_text(&gone, gone_count ? "]" : "");
    bool failed = kept.failed || gone.failed || path.failed;
    c->json_bytes = kept.size;
    c->removed_bytes = gone.size;
    if (!failed) c->json = hwi_arena_text(&r->arena, (char *)kept.data, kept.size);
    if (!failed && gone_count) c->removed = hwi_arena_text(&r->arena, (char *)gone.data, gone.size);
    failed = !c->json || (gone_count && !c->removed);
    hwi_buf_release(&kept), hwi_buf_release(&gone), hwi_buf_release(&path);
    return failed ? hwi_refuse(r, 503, "out of memory") : true;
}

static bool
read_payload_change(hwi_request *r, const hwi_json *body, hwi_change *c)
{
    const hwi_json *payload = hwi_args_member(body, "payload");
    if (!payload || payload->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, payload ? "payload: expected an object"
                                            : "missing field `payload`");
    }
    if (c->kind == HWI_CHANGE_OVERWRITE_PAYLOAD) {
        return text_of(r, payload, &c->json, &c->json_bytes);
    }
    if (!hwi_read_text(r, body, "key", &c->at)) return false;
    if (c->at && !hwi_select_is_path(c->at, strlen(c->at))) {
        return hwi_refuse_format(r, "key: invalid key `%s`", c->at);
    }
    return split_nulls(r, payload, c);
}

bool
hwi_change_read(hwi_request *r, const hwi_shape *shape, hwi_change_kind kind, const hwi_json *body,
                hwi_change *out)
{
    *out = (hwi_change){.kind = kind};
    if (body->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "expected an object");
    if (!hwi_args_shard(r, body)) return false;
    if (kind == HWI_CHANGE_UPSERT) return read_upsert(r, shape, body, out);
    if (kind == HWI_CHANGE_UPDATE_VECTORS) return read_update_vectors(r, shape, body, out);
    switch (kind) {
    case HWI_CHANGE_DELETE_VECTORS:
        if (!read_names(r, shape, body, out)) return false;
        break;
    case HWI_CHANGE_SET_PAYLOAD:
    case HWI_CHANGE_OVERWRITE_PAYLOAD:
        if (!hwi_strict_payload_growth(r, shape) || !read_payload_change(r, body, out))
            return false;
        break;
    case HWI_CHANGE_DELETE_PAYLOAD:
        if (!read_keys(r, body, out)) return false;
        break;
    default:
        break;
    }
    return read_selector(r, shape, body, out);
}
