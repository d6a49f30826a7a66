/* info.c - a collection's state and settings in Qdrant's form.
 *
 * What a client set comes back as it was set, what it did not as Qdrant's default. hashwood's own
 * settings stand together under `config.hashwood`, where clients that check the members of Qdrant's
 * objects do not look.
 *
 * Vectors are indexed in the commit that writes them, so the state is green and everything counts as
 * indexed; yellow says that a payload index is still being built.
 */
#include "server/rest/info.h"

#include "server/rest/settings.h"

static const hwi_json *
extra_of(const hwi_shape *shape, const char *key)
{
    return hwi_json_member(hwi_json_member(shape->described, "extra"), key);
}

static const char *
distance_of(const char *metric)
{
    if (strcmp(metric, "l2") == 0) return "Euclid";
    if (strcmp(metric, "dot") == 0) return "Dot";
    return strcmp(metric, "l1") == 0 ? "Manhattan" : "Cosine";
}

/* ---- params */

/* The engine tells of a sparse vector's modifier always, clients expect what they gave. */
static bool
is_default(const hwi_setting *s, const hwi_json *j)
{
    return strcmp(s->key, "modifier") == 0 && j->kind == HWI_JSON_TEXT &&
           strcmp(j->text, "none") == 0;
}

/* Settings of one vector: what it was created with, under what was changed since. */
static void
write_vector_settings(hwi_buf *b, const hwi_json *created, const hwi_json *changed,
                      const hwi_setting *settings)
{
    for (const hwi_setting *s = settings; s->key; s++) {
        const hwi_json *j = hwi_json_member(changed, s->key);
        if (!j) j = hwi_json_member(created, s->key);
        if (!j || j->kind == HWI_JSON_NULL || is_default(s, j)) continue;
        hwi_buf_printf(b, ",\"%s\":", s->key);
        hwi_json_write(b, j);
    }
}

static void
write_dense(hwi_buf *b, const hwi_shape *shape, const hwi_shape_field *f)
{
    const hwi_json *created =
        hwi_json_member(hwi_json_member(shape->described, "vectors"), f->name);
    const hwi_json *changed = hwi_json_member(extra_of(shape, "vector_settings"), f->name);
    hwi_buf_printf(b, "{\"size\":%u,\"distance\":\"%s\"", f->dim, distance_of(f->metric));
    write_vector_settings(b, created, changed, hwi_settings_vector);
    hwi_buf_text(b, "}");
}

static void
write_sparse(hwi_buf *b, const hwi_shape *shape, const hwi_shape_field *f)
{
    const char *const groups[] = {"sparse_vectors", "vectors"};
    const hwi_json *created = NULL;
    const hwi_json *changed = hwi_json_member(extra_of(shape, "vector_settings"), f->name);
    for (size_t i = 0; !created && i < HWI_COUNT(groups); i++) {
        created = hwi_json_member(hwi_json_member(shape->described, groups[i]), f->name);
    }
    size_t at = b->size;
    write_vector_settings(b, created, changed, hwi_settings_sparse);
    if (b->failed) return;
    if (b->size > at) {
        b->data[at] = '{'; /* over the comma */
    } else {
        hwi_buf_text(b, "{");
    }
    hwi_buf_text(b, "}");
}

static void
write_vectors(hwi_buf *b, const hwi_shape *shape)
{
    size_t dense = 0, sparse = 0;
    bool is_unnamed = false;
    for (size_t i = 0; i < shape->field_count; i++) {
        const hwi_shape_field *f = &shape->fields[i];
        if (f->kind == HWI_VECTOR_SPARSE) continue;
        dense++;
        is_unnamed = f->name[0] == '\0';
    }
    hwi_buf_text(b, "\"vectors\":");
    if (dense != 1 || !is_unnamed) hwi_buf_text(b, "{");
    for (size_t i = 0, n = 0; i < shape->field_count; i++) {
        const hwi_shape_field *f = &shape->fields[i];
        if (f->kind == HWI_VECTOR_SPARSE) continue;
        if (n++) hwi_buf_text(b, ",");
        if (dense != 1 || !is_unnamed) {
            hwi_json_write_text(b, f->name, strlen(f->name));
            hwi_buf_text(b, ":");
        }
        write_dense(b, shape, f);
    }
    if (dense != 1 || !is_unnamed) hwi_buf_text(b, "}");
    for (size_t i = 0; i < shape->field_count; i++) {
        const hwi_shape_field *f = &shape->fields[i];
        if (f->kind != HWI_VECTOR_SPARSE) continue;
        hwi_buf_text(b, sparse++ ? "," : ",\"sparse_vectors\":{");
        hwi_json_write_text(b, f->name, strlen(f->name));
        hwi_buf_text(b, ":");
        write_sparse(b, shape, f);
    }
    if (sparse) hwi_buf_text(b, "}");
}

static void
write_params(hwi_buf *b, const hwi_shape *shape)
{
    static const char *const keys[] = {
        "shard_number",    "sharding_method", "replication_factor",  "write_consistency_factor",
        "on_disk_payload", "payload",         "read_fan_out_factor", "read_fan_out_delay_ms"};
    hwi_buf_text(b, "{");
    write_vectors(b, shape);
    for (size_t i = 0; i < HWI_COUNT(keys); i++) {
        const hwi_json *given = extra_of(shape, keys[i]);
        const hwi_setting *s = hwi_setting_find(hwi_settings_collection, keys[i]);
        const char *otherwise = s ? s->otherwise : NULL;
        bool is_given = given && given->kind != HWI_JSON_NULL;
        if (!is_given && !otherwise) continue;
        hwi_buf_printf(b, ",\"%s\":", keys[i]);
        if (is_given) {
            hwi_json_write(b, given);
        } else {
            hwi_buf_text(b, otherwise);
        }
    }
    hwi_buf_text(b, "}");
}

/* ---- config */

static void
write_group(hwi_buf *b, const hwi_shape *shape, const char *key, const char *as)
{
    const hwi_setting *s = hwi_setting_find(hwi_settings_collection, key);
    hwi_buf_printf(b, ",\"%s\":", as);
    hwi_settings_write(b, extra_of(shape, key), s->inner);
}

static void
write_kept(hwi_buf *b, const hwi_shape *shape, const char *key, const char *otherwise)
{
    const hwi_json *j = extra_of(shape, key);
    bool is_there = j && j->kind != HWI_JSON_NULL;
    if (!is_there && !otherwise) return;
    hwi_buf_printf(b, ",\"%s\":", key);
    if (is_there) {
        hwi_json_write(b, j);
    } else {
        hwi_buf_text(b, otherwise);
    }
}

static void
write_own(hwi_buf *b, const hwi_shape *shape)
{
    const hwi_json *vectors = hwi_json_member(shape->described, "vectors");
    bool is_first = true;
    hwi_buf_printf(b, ",\"hashwood\":{\"string_ids\":%s,\"index\":{",
                   shape->string_ids ? "true" : "false");
    for (const hwi_json *v = vectors ? vectors->child : NULL; v; v = v->next) {
        const hwi_json *index = hwi_json_member(v, "index");
        if (!index) continue;
        if (!is_first) hwi_buf_text(b, ",");
        is_first = false;
        hwi_json_write_text(b, v->key, v->key_bytes);
        hwi_buf_text(b, ":");
        hwi_json_write(b, index);
    }
    hwi_buf_text(b, "}}");
}

static void
write_config(hwi_buf *b, const hwi_shape *shape)
{
    hwi_buf_text(b, ",\"config\":{\"params\":");
    write_params(b, shape);
    write_group(b, shape, "hnsw_config", "hnsw_config");
    write_group(b, shape, "optimizers_config", "optimizer_config");
    write_group(b, shape, "wal_config", "wal_config");
    write_kept(b, shape, "quantization_config", "null");
    write_kept(b, shape, "strict_mode_config", "{\"enabled\":false}");
    write_kept(b, shape, "metadata", NULL);
    write_own(b, shape);
    hwi_buf_text(b, "}");
}

/* ---- payload_schema */

/* Points that have a value at the path. */
static bool
count_with(hwi_request *r, const hwi_shape *shape, const hwi_json *field, uint64_t *count)
{
    hw_error err;
    hwi_buf filter = {0};
    hwi_buf_text(&filter, "{\"must_not\":[{\"is_empty\":{\"key\":");
    hwi_json_write_text(&filter, field->key, field->key_bytes);
    hwi_buf_text(&filter, "}}]}");
    hw_status st = filter.failed ? HW_ENOMEM
                                 : hw_collection_count(shape->collection, (const char *)filter.data,
                                                       filter.size, count, &err);
    if (filter.failed) err = (hw_error){HW_ENOMEM, "out of memory"};
    hwi_buf_release(&filter);
    return hwi_ok(r, st, &err);
}

static bool
write_schema(hwi_request *r, const hwi_shape *shape)
{
    hwi_buf *b = &r->out;
    uint64_t count;
    const hwi_json *indexes = hwi_json_member(shape->described, "payload_indexes");
    const hwi_json *params = extra_of(shape, "payload_index_params");
    hwi_buf_text(b, ",\"payload_schema\":{");
    for (const hwi_json *f = indexes ? indexes->child : NULL; f; f = f->next) {
        const hwi_json *type = hwi_json_member(f, "type"), *given = hwi_json_member(params, f->key);
        if (!count_with(r, shape, f, &count)) return false;
        if (f != indexes->child) hwi_buf_text(b, ",");
        hwi_json_write_text(b, f->key, f->key_bytes);
        hwi_buf_text(b, ":{\"data_type\":");
        hwi_json_write(b, type);
        if (given && given->kind == HWI_JSON_OBJECT) {
            hwi_buf_text(b, ",\"params\":");
            hwi_json_write(b, given);
        }
        hwi_buf_printf(b, ",\"points\":%llu}", (unsigned long long)count);
    }
    hwi_buf_text(b, "}");
    return true;
}

static bool
is_building(const hwi_shape *shape)
{
    const hwi_json *indexes = hwi_json_member(shape->described, "payload_indexes");
    for (const hwi_json *f = indexes ? indexes->child : NULL; f; f = f->next) {
        const hwi_json *ready = hwi_json_member(f, "ready");
        if (ready && ready->kind == HWI_JSON_BOOL && !ready->boolean) return true;
    }
    return false;
}

bool
hwi_info_write(hwi_request *r, const hwi_shape *shape)
{
    const hwi_json *points = hwi_json_member(shape->described, "points");
    unsigned long long count = points ? (unsigned long long)points->integer : 0;
    hwi_buf_printf(&r->out,
                   "{\"status\":\"%s\",\"optimizer_status\":\"ok\",\"indexed_vectors_count\":%llu,"
                   "\"points_count\":%llu,\"segments_count\":1",
                   is_building(shape) ? "yellow" : "green", count, count);
    write_config(&r->out, shape);
    if (!write_schema(r, shape)) return false;
    hwi_buf_text(&r->out, ",\"update_queue\":{\"length\":0}}");
    return true;
}
