/* points.c - points and their payload and vectors: the calls that change and that read them.
 */
#include "server/rest/args.h"
#include "server/rest/change.h"
#include "server/rest/strict.h"

#define SCROLL_LIMIT_DEFAULT 10u

/* ---- Changing */

/* A change costs a token for each point, and one at least. */
static bool
admit(hwi_request *r, const hwi_shape *shape, const hwi_change *changes, size_t count)
{
    uint64_t cost = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t points = changes[i].id_count;
        bool is_open = !points && changes[i].filter && hwi_strict_limits_writes(shape);
        hw_error err;
        if (is_open && !hwi_ok(r,
                               hw_collection_count(shape->collection, changes[i].filter,
                                                   changes[i].filter_bytes, &points, &err),
                               &err))
            return false;
        cost += HWI_MAX(points, (uint64_t)1);
    }
    return hwi_strict_admit(r, shape, true, cost);
}

static bool
change(hwi_request *r, hwi_change_kind kind)
{
    bool wait;
    hwi_shape shape;
    hwi_change c;
    const hwi_json *body = hwi_args_body(r);
    hw_collection *collection = body ? hwi_request_collection(r) : NULL;
    if (!collection || !hwi_args_write(r, &wait)) return false;
    if (!hwi_shape_of(r, collection, &shape)) return false;
    if (!hwi_change_read(r, &shape, kind, body, &c)) return false;
    if (!admit(r, &shape, &c, 1)) return false;
    if (!hwi_change_make(r, &shape, &c, 1)) return false;
    hwi_write_update(r, wait);
    return true;
}

static bool
upsert(hwi_request *r)
{
    return change(r, HWI_CHANGE_UPSERT);
}

static bool
delete_points(hwi_request *r)
{
    return change(r, HWI_CHANGE_DELETE);
}

static bool
update_vectors(hwi_request *r)
{
    return change(r, HWI_CHANGE_UPDATE_VECTORS);
}

static bool
delete_vectors(hwi_request *r)
{
    return change(r, HWI_CHANGE_DELETE_VECTORS);
}

static bool
set_payload(hwi_request *r)
{
    return change(r, HWI_CHANGE_SET_PAYLOAD);
}

static bool
overwrite_payload(hwi_request *r)
{
    return change(r, HWI_CHANGE_OVERWRITE_PAYLOAD);
}

static bool
delete_payload(hwi_request *r)
{
    return change(r, HWI_CHANGE_DELETE_PAYLOAD);
}

static bool
clear_payload(hwi_request *r)
{
    return change(r, HWI_CHANGE_CLEAR_PAYLOAD);
}

/* ---- Batches */

static bool
read_operation(hwi_request *r, const hwi_shape *shape, const hwi_json *j, hwi_change *out)
{
    static const struct {
        const char *name;
        hwi_change_kind kind;
    } names[] = {{"upsert", HWI_CHANGE_UPSERT},
                 {"delete", HWI_CHANGE_DELETE},
                 {"update_vectors", HWI_CHANGE_UPDATE_VECTORS},
                 {"delete_vectors", HWI_CHANGE_DELETE_VECTORS},
                 {"set_payload", HWI_CHANGE_SET_PAYLOAD},
                 {"overwrite_payload", HWI_CHANGE_OVERWRITE_PAYLOAD},
                 {"delete_payload", HWI_CHANGE_DELETE_PAYLOAD},
                 {"clear_payload", HWI_CHANGE_CLEAR_PAYLOAD}};
    const hwi_json *body = j->kind == HWI_JSON_OBJECT ? j->child : NULL;
    for (size_t i = 0; body && i < HWI_COUNT(names); i++) {
        if (strcmp(body->key, names[i].name) == 0) {
            return hwi_change_read(r, shape, names[i].kind, body, out);
        }
    }
    return hwi_refuse_format(r, "operations: unknown operation `%.100s`", body ? body->key : "");
}

static bool
batch(hwi_request *r)
{
    bool wait;
    hwi_shape shape;
    size_t count = 0;
    const hwi_json *body = hwi_args_body(r);
    hw_collection *collection = body ? hwi_request_collection(r) : NULL;
    if (!collection || !hwi_args_write(r, &wait)) return false;
    const hwi_json *operations = hwi_json_member(body, "operations");
    if (!operations || operations->kind != HWI_JSON_ARRAY) {
        return hwi_refuse_format(r, "operations: expected an array");
    }
    if (!hwi_shape_of(r, collection, &shape)) return false;
    hwi_change *changes = hwi_request_alloc(r, (operations->count + 1) * sizeof *changes);
    if (!changes) return false;
    for (const hwi_json *j = operations->child; j; j = j->next) {
        if (!read_operation(r, &shape, j, &changes[count++])) return false;
    }
    if (!admit(r, &shape, changes, count)) return false;
    if (count && !hwi_change_make(r, &shape, changes, count)) return false;
    hwi_buf_text(&r->out, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) hwi_buf_text(&r->out, ",");
        hwi_write_update(r, wait);
    }
    hwi_buf_text(&r->out, "]");
    return true;
}

/* ---- Reading */

static bool
write_records(hwi_request *r, const hwi_shape *shape, const hw_result *result,
              const hwi_selector *selector)
{
    size_t count = hw_result_count(result);
    hwi_buf_text(&r->out, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) hwi_buf_text(&r->out, ",");
        hwi_write_record(r, shape, result, i, selector);
    }
    hwi_buf_text(&r->out, "]");
    return true;
}

static bool
get_one(hwi_request *r)
{
    hw_id id;
    hw_error err;
    hw_result *result;
    hwi_shape shape;
    const char *text = hwi_request_param(r, "id");
    const hwi_selector all = {.payload = true, .vector = true};
    hw_collection *collection = hwi_request_collection(r);
    if (!collection || !hwi_args_read(r) || !hwi_shape_of(r, collection, &shape)) return false;
    if (!hwi_strict_admit(r, &shape, false, 1)) return false;
    if (hw_id_parse(text, strlen(text), &id, NULL) != HW_OK ||
        (id.kind == HW_ID_KIND_TEXT && !shape.string_ids)) {
        return hwi_refuse(r, 400, "Wrong input: Can not recognize \"%.300s\" as point id", text);
    }
    hw_status st = hw_collection_get(collection, &id, 1, hwi_selector_with(&all), &result, &err);
    if (!hwi_ok(r, st, &err)) return false;
    bool is_there = hw_result_count(result) == 1;
    if (is_there) hwi_write_record(r, &shape, result, 0, &all);
    hw_result_free(result);
    return is_there || hwi_refuse(r, 404, "Not found: Point with id %.300s does not exists!", text);
}

static bool
get_many(hwi_request *r)
{
    hw_id *ids;
    size_t count;
    hw_error err;
    hw_result *result;
    hwi_shape shape;
    hwi_selector selector;
    const hwi_json *body = hwi_args_body(r);
    hw_collection *collection = body ? hwi_request_collection(r) : NULL;
    if (!collection || !hwi_args_read(r) || !hwi_shape_of(r, collection, &shape)) return false;
    if (!hwi_args_shard(r, body)) return false;
    if (!hwi_read_ids(r, &shape, hwi_json_member(body, "ids"), &ids, &count)) return false;
    if (!hwi_strict_admit(r, &shape, false, count)) return false;
    if (!hwi_read_selector(r, &shape, body, true, &selector)) return false;
    hw_status st =
        hw_collection_get(collection, ids, count, hwi_selector_with(&selector), &result, &err);
    if (!hwi_ok(r, st, &err)) return false;
    write_records(r, &shape, result, &selector);
    hw_result_free(result);
    return true;
}

static bool
count_points(hwi_request *r)
{
    bool exact;
    hw_error err;
    uint64_t count;
    hwi_shape shape;
    const char *filter;
    size_t filter_bytes;
    const hwi_json *body = hwi_args_body(r);
    hw_collection *collection = body ? hwi_request_collection(r) : NULL;
    if (!collection || !hwi_args_read(r) || !hwi_shape_of(r, collection, &shape)) return false;
    if (!hwi_args_shard(r, body)) return false;
    if (!hwi_read_filter(r, body, "filter", &filter, &filter_bytes)) return false;
    if (!hwi_read_bool(r, body, "exact", true, &exact)) return false;
    const hwi_json *filter_json = hwi_args_member(body, "filter");
    if (!hwi_strict_check(r, &shape, &(hwi_strict_ask){.filter = filter_json, .exact = exact})) {
        return false;
    }
    if (!hwi_strict_admit(r, &shape, false, hwi_strict_cost(filter_json))) return false;
    hw_status st = hw_collection_count(collection, filter, filter_bytes, &count, &err);
    if (!hwi_ok(r, st, &err)) return false;
    hwi_buf_printf(&r->out, "{\"count\":%llu}", (unsigned long long)count);
    return true;
}

/* ---- Scrolling */

typedef struct scroll {
    hwi_shape shape;
    hwi_selector selector;
    const char *filter;
    size_t filter_bytes;
    const hwi_json *filter_json;
    uint32_t limit;
    hw_id offset;
    bool has_offset;
    const char *field; /* order_by; NULL: by id */
    const char *start_from;
    bool descending;
} scroll;

/* Where the order begins: a number as it is written in JSON, or a date. */
static bool
read_start(hwi_request *r, const hwi_json *j, const char **out)
{
    hwi_buf b = {0};
    if (j->kind == HWI_JSON_TEXT) {
        *out = j->text;
        return true;
    }
    if (!hwi_json_is_number(j)) {
        return hwi_refuse_format(r, "order_by.start_from: expected a number or a date");
    }
    hwi_json_write(&b, j);
    *out = b.failed ? NULL : hwi_arena_text(&r->arena, (const char *)b.data, b.size);
    hwi_buf_release(&b);
    return *out || hwi_refuse(r, 503, "out of memory");
}

static bool
read_order(hwi_request *r, const hwi_json *j, scroll *s)
{
    const char *direction;
    if (j->kind == HWI_JSON_TEXT) {
        s->field = j->text;
        return true;
    }
    if (j->kind != HWI_JSON_OBJECT) return hwi_refuse_format(r, "order_by: expected a key");
    if (!hwi_read_text(r, j, "key", &s->field)) return false;
    if (!s->field) return hwi_refuse_format(r, "order_by: missing field `key`");
    if (!hwi_read_text(r, j, "direction", &direction)) return false;
    s->descending = direction && strcmp(direction, "desc") == 0;
    if (direction && !s->descending && strcmp(direction, "asc") != 0) {
        return hwi_refuse_format(r,
                                 "order_by.direction: unknown variant `%.100s`, expected `asc` "
                                 "or `desc`",
                                 direction);
    }
    const hwi_json *start = hwi_args_member(j, "start_from");
    return !start || read_start(r, start, &s->start_from);
}

static bool
check_order(hwi_request *r, const scroll *s)
{
    const hwi_json *indexes = hwi_json_member(s->shape.described, "payload_indexes");
    const hwi_json *type = hwi_json_member(hwi_json_member(indexes, s->field), "type");
    if (s->has_offset) {
        return hwi_refuse(r, 400,
                          "Wrong input: Cannot use an `offset` when using `order_by`. The "
                          "alternative for paging is to use `order_by.start_from` and a filter to "
                          "exclude the IDs that you've already seen for the "
                          "`order_by.start_from` value");
    }
    if (type && type->kind == HWI_JSON_TEXT &&
        (strcmp(type->text, "integer") == 0 || strcmp(type->text, "float") == 0 ||
         strcmp(type->text, "datetime") == 0)) {
        return true;
    }
    return hwi_refuse(r, 400,
                      "Wrong input: No range index for `order_by` key: `%.200s`. Please create one "
                      "to use `order_by`.",
                      s->field);
}

static bool
read_scroll(hwi_request *r, const hwi_json *body, scroll *s)
{
    if (!hwi_args_shard(r, body)) return false;
    if (!hwi_read_u32(r, body, "limit", SCROLL_LIMIT_DEFAULT, 1, UINT32_MAX, &s->limit)) {
        return false;
    }
    if (!hwi_read_filter(r, body, "filter", &s->filter, &s->filter_bytes)) return false;
    if (!hwi_read_selector(r, &s->shape, body, true, &s->selector)) return false;
    const hwi_json *offset = hwi_args_member(body, "offset");
    s->has_offset = offset != NULL;
    if (offset && !hwi_read_id(r, &s->shape, offset, &s->offset)) return false;
    const hwi_json *order = hwi_args_member(body, "order_by");
    if (order && (!read_order(r, order, s) || !check_order(r, s))) return false;
    s->filter_json = hwi_args_member(body, "filter");
    return hwi_strict_check(
               r, &s->shape,
               &(hwi_strict_ask){.filter = s->filter_json, .has_limit = true, .limit = s->limit}) &&
           hwi_strict_admit(r, &s->shape, false, hwi_strict_cost(s->filter_json));
}

static bool
scroll_points(hwi_request *r)
{
    scroll s = {0};
    hw_id next;
    hw_error err;
    hw_result *result;
    bool more = false;
    const hwi_json *body = hwi_args_body(r);
    hw_collection *c = body ? hwi_request_collection(r) : NULL;
    if (!c || !hwi_args_read(r) || !hwi_shape_of(r, c, &s.shape) || !read_scroll(r, body, &s)) {
        return false;
    }
    uint32_t with = hwi_selector_with(&s.selector);
    hw_status st =
        s.field ? hw_collection_ordered(c, s.filter, s.filter_bytes, s.field, s.descending,
                                        s.start_from, s.limit, with, &result, &err)
                : hw_collection_scroll(c, s.filter, s.filter_bytes, s.has_offset ? &s.offset : NULL,
                                       s.limit, with, &result, &more, &next, &err);
    if (!hwi_ok(r, st, &err)) return false;
    hwi_buf_text(&r->out, "{\"points\":");
    write_records(r, &s.shape, result, &s.selector);
    hwi_buf_text(&r->out, ",\"next_page_offset\":");
    if (more) {
        hwi_json_write_id(&r->out, &next);
    } else {
        hwi_buf_text(&r->out, "null");
    }
    hwi_buf_text(&r->out, "}");
    hw_result_free(result);
    return true;
}

#define POINTS "/collections/{collection}/points"

const hwi_route hwi_routes_points[] = {
    {HWI_PUT, POINTS, HWI_NEED_WRITE, 0, upsert},
    {HWI_POST, POINTS, HWI_NEED_READ, 0, get_many},
    {HWI_GET, POINTS "/{id}", HWI_NEED_READ, HWI_ROUTE_NO_BODY, get_one},
    {HWI_POST, POINTS "/delete", HWI_NEED_WRITE, 0, delete_points},
    {HWI_PUT, POINTS "/vectors", HWI_NEED_WRITE, 0, update_vectors},
    {HWI_POST, POINTS "/vectors/delete", HWI_NEED_WRITE, 0, delete_vectors},
    {HWI_POST, POINTS "/payload", HWI_NEED_WRITE, 0, set_payload},
    {HWI_PUT, POINTS "/payload", HWI_NEED_WRITE, 0, overwrite_payload},
    {HWI_POST, POINTS "/payload/delete", HWI_NEED_WRITE, 0, delete_payload},
    {HWI_POST, POINTS "/payload/clear", HWI_NEED_WRITE, 0, clear_payload},
    {HWI_POST, POINTS "/batch", HWI_NEED_WRITE, 0, batch},
    {HWI_POST, POINTS "/scroll", HWI_NEED_READ, 0, scroll_points},
    {HWI_POST, POINTS "/count", HWI_NEED_READ, 0, count_points},
    {0}};
