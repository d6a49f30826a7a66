/* fields.c - payload indexes and named vectors of a collection in use.
 *
 * The engine takes a payload index by its type, a text index with its settings (tokenizer,
 * lowercase ...) as well. What a client gives beside the type is kept among the collection's
 * settings under `payload_index_params`, to be given back. It is written after the index is there:
 * a crash between the two loses no more than that.
 */
#include "server/rest/args.h"
#include "server/rest/calls.h"
#include "server/rest/settings.h"
#include "server/rest/strict.h"
#include "server/wire_select.h"

/* ---- Payload indexes */

typedef struct field_request {
    const char *path, *type;
    const char *index;      /* what the engine is told: the type, or a text index's settings */
    const hwi_json *params; /* NULL: none were given */
} field_request;

static bool
is_field_type(const char *text)
{
    static const char *const types[] = {"keyword", "integer", "float",    "geo",
                                        "text",    "bool",    "datetime", "uuid"};
    for (size_t i = 0; i < HWI_COUNT(types); i++) {
        if (strcmp(text, types[i]) == 0) return true;
    }
    return false;
}

/* The schema as text in the request's arena. */
static bool
write_settings(hwi_request *r, const hwi_json *schema, const char **out)
{
    hwi_buf b = {0};
    hwi_json_write(&b, schema);
    hwi_buf_fill(&b, 0, 1);
    char *copy = hwi_request_alloc(r, b.size);
    if (copy && b.failed) return hwi_refuse(r, 503, "out of memory");
    if (copy) memcpy(copy, b.data, b.size);
    hwi_buf_release(&b);
    *out = copy;
    return copy != NULL;
}

static bool
read_schema(hwi_request *r, const hwi_json *schema, field_request *out)
{
    if (schema->kind == HWI_JSON_TEXT) {
        out->type = out->index = schema->text;
        return is_field_type(out->type) ||
               hwi_refuse_format(r, "field_schema: unknown variant `%.100s`", out->type);
    }
    if (schema->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "field_schema: expected a type or an object");
    }
    if (!hwi_settings_check(r, "field_schema", schema, hwi_settings_field)) return false;
    out->type = out->index = hwi_json_member(schema, "type")->text;
    out->params = schema;
    if (strcmp(out->type, "text") == 0 && !write_settings(r, schema, &out->index)) return false;
    const hwi_json *lookup = hwi_json_member(schema, "lookup");
    const hwi_json *range = hwi_json_member(schema, "range");
    if (strcmp(out->type, "integer") == 0 && lookup && range && lookup->kind == HWI_JSON_BOOL &&
        range->kind == HWI_JSON_BOOL && !lookup->boolean && !range->boolean) {
        return hwi_refuse_value(
            r, "field_schema",
            "the 'lookup' and 'range' capabilities can't be both disabled at the same time");
    }
    return true;
}

static bool
read_field(hwi_request *r, const hwi_json *body, field_request *out)
{
    const char *path;
    const hwi_json *schema = hwi_args_member(body, "field_schema");
    if (!schema) schema = hwi_args_member(body, "field_type"); /* its name before 1.0 */
    *out = (field_request){0};
    if (!hwi_read_text(r, body, "field_name", &path)) return false;
    if (!path) return hwi_refuse_format(r, "missing field `field_name`");
    if (!hwi_select_is_path(path, strlen(path))) {
        return hwi_refuse_format(r, "field_name: invalid key `%.200s`", path);
    }
    out->path = path;
    if (schema) return read_schema(r, schema, out);
    return hwi_refuse(r, 400,
                      "Wrong input: Unable to infer type for the field '%.200s'. Please specify "
                      "`field_type`",
                      path);
}

/* Stops a build whose time is over. */
static bool
is_in_time(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    const hwi_request *r = arg;
    (void)stage, (void)done, (void)total;
    return hwi_clock_us() / 1000 < r->deadline_ms;
}

static bool
build(hwi_request *r, hw_collection *c, const field_request *f)
{
    hw_error err;
    hw_status st = hw_collection_index_payload(c, f->path, f->index, is_in_time, r, &err);
    if (st == HW_EEXIST) { /* of another type: the new one takes its place */
        if (!hwi_ok(r, hw_collection_unindex_payload(c, f->path, &err), &err)) return false;
        st = hw_collection_index_payload(c, f->path, f->index, is_in_time, r, &err);
    }
    if (st == HW_ECANCELED) {
        return hwi_refuse(r, 408, "Timeout: the index is not complete, ask again to go on");
    }
    return hwi_ok(r, st, &err);
}

/* Keeps what was given beside the type; `params` NULL forgets it. */
static bool
keep_params(hwi_request *r, const hwi_shape *shape, const char *path, const hwi_json *params)
{
    hw_error err;
    hwi_buf patch = {0};
    const hwi_json *extra = hwi_json_member(shape->described, "extra");
    const hwi_json *known = hwi_json_member(hwi_json_member(extra, "payload_index_params"), path);
    if (!params && !known) return true;
    for (int pass = 0; pass < 2; pass++) { /* a merge would keep what the new params leave out */
        if (pass == 0 && !known) continue;
        if (pass == 1 && !params) continue;
        hwi_buf_clear(&patch);
        hwi_buf_text(&patch, "{\"payload_index_params\":{");
        hwi_json_write_text(&patch, path, strlen(path));
        hwi_buf_text(&patch, ":");
        if (pass == 1) hwi_json_write(&patch, params);
        hwi_buf_text(&patch, pass == 0 ? "null}}" : "}}");
        hwi_buf_add(&patch, "", 1);
        hw_status st = patch.failed ? hwi_nomem(&err, patch.size)
                                    : hw_collection_configure(shape->collection,
                                                              (const char *)patch.data, &err);
        if (!hwi_ok(r, st, &err)) {
            hwi_buf_release(&patch);
            return false;
        }
    }
    hwi_buf_release(&patch);
    return true;
}

bool
hwi_call_field_create(hwi_request *r)
{
    bool wait;
    hwi_shape shape;
    field_request f;
    const hwi_json *body = hwi_args_body(r);
    hw_collection *c = body ? hwi_request_collection(r) : NULL;
    if (!c || !hwi_args_write(r, &wait) || !read_field(r, body, &f)) return false;
    if (!hwi_shape_of(r, c, &shape)) return false;
    const hwi_json *indexes = hwi_json_member(shape.described, "payload_indexes");
    if (!hwi_json_member(indexes, f.path) && !hwi_strict_index(r, &shape)) return false;
    if (!hwi_strict_admit(r, &shape, true, 1)) return false;
    if (!build(r, c, &f) || !keep_params(r, &shape, f.path, f.params)) return false;
    hwi_write_update(r, wait);
    return true;
}

bool
hwi_call_field_drop(hwi_request *r)
{
    bool wait;
    hw_error err;
    hwi_shape shape;
    const char *path = hwi_request_param(r, "field");
    hw_collection *c = hwi_request_collection(r);
    if (!c || !hwi_args_write(r, &wait) || !hwi_shape_of(r, c, &shape)) return false;
    if (!hwi_strict_admit(r, &shape, true, 1)) return false;
    hw_status st = hw_collection_unindex_payload(c, path, &err);
    if (st != HW_ENOTFOUND && !hwi_ok(r, st, &err)) return false;
    if (!keep_params(r, &shape, path, NULL)) return false;
    hwi_write_update(r, wait);
    return true;
}

/* ---- Named vectors */

/* One that is there already in just this form is no mistake. */
static bool
check_known(hwi_request *r, const hwi_shape_field *f, bool is_sparse, const hwi_json *config)
{
    const hwi_json *size = hwi_json_member(config, "size");
    const hwi_json *distance = hwi_json_member(config, "distance");
    const hwi_json *multi = hwi_args_member(config, "multivector_config");
    static const char *const metrics[][2] = {
        {"Cosine", "cosine"}, {"Euclid", "l2"}, {"Dot", "dot"}, {"Manhattan", "l1"}};
    bool same = is_sparse == (f->kind == HWI_VECTOR_SPARSE);
    if (!same) {
        return hwi_refuse(r, 400, "Wrong input: Vector `%s` already exists as a %s vector", f->name,
                          is_sparse ? "dense" : "sparse");
    }
    if (is_sparse) return true;
    same = hwi_json_is_number(size) && size->integer == (int64_t)f->dim &&
           (multi != NULL) == (f->kind == HWI_VECTOR_MULTI);
    for (size_t i = 0; i < HWI_COUNT(metrics); i++) {
        if (distance && distance->kind == HWI_JSON_TEXT &&
            strcmp(distance->text, metrics[i][0]) == 0) {
            return (same && strcmp(f->metric, metrics[i][1]) == 0) ||
                   hwi_refuse(r, 400,
                              "Wrong input: Vector `%s` already exists with a different "
                              "configuration",
                              f->name);
        }
    }
    return hwi_refuse_format(r, "dense.distance: unknown variant");
}

static bool
add_vector(hwi_request *r, const hwi_shape *shape, const char *name, bool is_sparse,
           const hwi_json *config)
{
    hw_error err;
    hwi_buf text = {0};
    for (size_t i = 0; i < shape->field_count; i++) {
        if (strcmp(shape->fields[i].name, name) == 0) {
            return check_known(r, &shape->fields[i], is_sparse, config);
        }
    }
    hwi_json_write(&text, config);
    hwi_buf_add(&text, "", 1);
    hw_status st = text.failed ? hwi_nomem(&err, text.size)
                               : hw_collection_add_vector(shape->collection, name, is_sparse,
                                                          (const char *)text.data, &err);
    hwi_buf_release(&text);
    return hwi_ok(r, st, &err);
}

bool
hwi_call_vector_create(hwi_request *r)
{
    bool wait;
    hwi_shape shape;
    const hwi_json *body = hwi_args_body(r);
    const char *name = hwi_request_param(r, "vector");
    hw_collection *c = body ? hwi_request_collection(r) : NULL;
    if (!c || !hwi_args_write(r, &wait) || !hwi_shape_of(r, c, &shape)) return false;
    const hwi_json *dense = hwi_args_member(body, "dense");
    const hwi_json *sparse = hwi_args_member(body, "sparse");
    const hwi_json *config = dense ? dense : sparse;
    if (!dense == !sparse || config->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "expected `dense` or `sparse`, one of the two");
    }
    if (!hwi_settings_check(r, dense ? "dense" : "sparse", config,
                            dense ? hwi_settings_vector : hwi_settings_sparse)) {
        return false;
    }
    uint32_t size;
    if (dense && !hwi_read_u32(r, dense, "size", 1, 1, HW_DIM_MAX, &size)) return false;
    if (!hwi_strict_admit(r, &shape, true, 1)) return false;
    if (!add_vector(r, &shape, name, sparse != NULL, config)) return false;
    hwi_write_update(r, wait);
    return true;
}

bool
hwi_call_vector_drop(hwi_request *r)
{
    bool wait;
    hw_error err;
    hwi_shape shape;
    const char *name = hwi_request_param(r, "vector");
    hw_collection *c = hwi_request_collection(r);
    if (!c || !hwi_args_write(r, &wait) || !hwi_shape_of(r, c, &shape)) return false;
    if (!hwi_strict_admit(r, &shape, true, 1)) return false;
    if (!hwi_shape_field_named(r, &shape, name)) return false;
    if (!hwi_ok(r, hw_collection_drop_vector(c, name, &err), &err)) return false;
    hwi_write_update(r, wait);
    return true;
}
