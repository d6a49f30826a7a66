/* conf.c - a collection's settings in use: the stored form, look-ups, reference counts, scores.
 *
 *     `conf, c`  u32 checksum | JSON
 *
 *     {"format": 1, "coll": 3, "name": "photos", "revision": 2,
 *      "fields": [{"number": 0, "name": "", "dim": 784, "metric": "l2", "kind": "hybrid",
 *                  "leaf_size": 0, "bits": 0, "flat_below": 2000, "seed": 1, "extra": {...}},
 *                 {"number": 2, "name": "words", "type": "sparse", "idf": true, "dim": 0, ...}],
 *      "next_field": 3, "dropped": [1],
 *      "schema": [{"number": 1, "path": "label", "type": "keyword", "ready": true,
 *                  "built_below": 0}],
 *      "extra": {...}}
 *
 * `format` 2: integer ids lie in blocks (ids.c). `type` absent: dense. `next_field` and `dropped` are there once a field was dropped: numbers are
 * never given out twice, and the keys of the dropped ones may still be around.
 *
 * JSON, because settings are read once per handle, grow over the years and hold whatever a client
 * wants kept; the checksum, because a flipped digit in a seed is still valid JSON. What a user may
 * write in hw_collection_create is another form, richer and checked by name: conf_parse.c. */
#include "records/conf.h"

#include <math.h>

#define CONF_FORMAT 1
#define CONF_FORMAT_BLOCKS 2 /* the same; integer ids lie in blocks */

/* ---- Names of things ---- */

static const char *const metric_names[] = {"cosine", "l2", "dot", "l1"};
static const char *const kind_names[] = {"hybrid", "kdtree", "lsh", "flat"};
static const char *const type_names[] = {"dense", "multi", "sparse"};
static const char *const pix_type_names[] = {"keyword",  "integer", "float", "bool",
                                             "datetime", "geo",     "uuid",  "text"};

const char *
hwi_metric_text(hwi_metric metric)
{
    return metric_names[metric];
}

const char *
hwi_kind_text(hwi_index_kind kind)
{
    return kind_names[kind];
}

const char *
hwi_type_text(hwi_vector_type type)
{
    return type_names[type];
}

const char *
hwi_pix_type_text(hwi_pix_type type)
{
    return pix_type_names[type];
}

static bool
find_name(const char *const *names, size_t count, const char *text, uint32_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool
hwi_pix_type_parse(const char *text, hwi_pix_type *type)
{
    uint32_t at;
    if (!find_name(pix_type_names, HWI_COUNT(pix_type_names), text, &at)) return false;
    *type = (hwi_pix_type)at;
    return true;
}

/* ---- Encoding ---- */

static void
write_field(hwi_buf *b, const hwi_field *f)
{
    hwi_buf_printf(b, "{\"number\":%u,\"name\":", f->number);
    hwi_json_write_text(b, f->name, strlen(f->name));
    if (f->type != HWI_DENSE) hwi_buf_printf(b, ",\"type\":\"%s\"", hwi_type_text(f->type));
    if (f->idf) hwi_buf_text(b, ",\"idf\":true");
    hwi_buf_printf(b,
                   ",\"dim\":%u,\"metric\":\"%s\",\"kind\":\"%s\",\"leaf_size\":%u,\"bits\":%u,"
                   "\"flat_below\":%u,\"seed\":%llu",
                   f->dim, hwi_metric_text(f->metric), hwi_kind_text(f->kind), f->leaf_size,
                   f->bits, f->flat_below, (unsigned long long)f->seed);
    if (f->extra) {
        hwi_buf_text(b, ",\"extra\":");
        hwi_json_write(b, f->extra);
    }
    hwi_buf_text(b, "}");
}

static void
write_pix_field(hwi_buf *b, const hwi_pix_field *p)
{
    hwi_buf_printf(b, "{\"number\":%u,\"path\":", p->number);
    hwi_json_write_text(b, p->path, strlen(p->path));
    hwi_buf_printf(b, ",\"type\":\"%s\",\"ready\":%s,\"built_below\":%u",
                   hwi_pix_type_text(p->type), p->ready ? "true" : "false", p->built_below);
    if (p->params) {
        hwi_buf_text(b, ",\"params\":");
        hwi_json_write(b, p->params);
    }
    hwi_buf_text(b, "}");
}

/* Only once a field was dropped: otherwise the next number follows from those in use. */
static void
write_dropped(hwi_buf *b, const hwi_conf *conf)
{
    if (conf->next_field == conf->field_count) return;
    hwi_buf_printf(b, ",\"next_field\":%u", conf->next_field);
    for (size_t i = 0; i < conf->dropped_count; i++) {
        hwi_buf_printf(b, i ? ",%u" : ",\"dropped\":[%u", conf->dropped[i]);
    }
    if (conf->dropped_count) hwi_buf_text(b, "]");
}

void
hwi_conf_encode(const hwi_conf *conf, hwi_buf *out)
{
    size_t start = out->size;
    hwi_buf_fill(out, 0, 4);
    hwi_buf_printf(out, "{\"format\":%d,\"coll\":%u,\"name\":",
                   conf->id_blocks ? CONF_FORMAT_BLOCKS : CONF_FORMAT, conf->coll);
    hwi_json_write_text(out, conf->name, strlen(conf->name));
    hwi_buf_printf(out, ",\"revision\":%llu,\"fields\":[", (unsigned long long)conf->revision);
    for (size_t i = 0; i < conf->field_count; i++) {
        if (i) hwi_buf_text(out, ",");
        write_field(out, &conf->fields[i]);
    }
    hwi_buf_text(out, "]");
    write_dropped(out, conf);
    hwi_buf_text(out, ",\"schema\":[");
    for (size_t i = 0; i < conf->schema.count; i++) {
        if (i) hwi_buf_text(out, ",");
        write_pix_field(out, &conf->schema.fields[i]);
    }
    hwi_buf_text(out, "]");
    if (conf->extra) {
        hwi_buf_text(out, ",\"extra\":");
        hwi_json_write(out, conf->extra);
    }
    hwi_buf_text(out, "}");
    if (out->failed) return;
    uint8_t *p = out->data + start;
    hwi_put_u32(p, (uint32_t)hwi_checksum(p + 4, out->size - start - 4));
}

/* ---- Decoding: the checksum holds, so what is wrong here was written wrong, or by a later
 * version ---- */

static hw_status
bad(hw_error *err, const char *key)
{
    return hwi_fail(err, HW_ECORRUPT, "settings: `%s` is missing or wrong", key);
}

static hw_status
read_u64(const hwi_json *o, const char *key, uint64_t max, uint64_t *out, hw_error *err)
{
    const hwi_json *j = hwi_json_member(o, key);
    bool is_count = j && ((j->kind == HWI_JSON_INT && j->integer >= 0) || j->kind == HWI_JSON_UINT);
    if (!is_count || (uint64_t)j->integer > max) return bad(err, key);
    *out = (uint64_t)j->integer;
    return HW_OK;
}

static hw_status
read_u32(const hwi_json *o, const char *key, uint32_t *out, hw_error *err)
{
    uint64_t v = 0;
    HWI_TRY(read_u64(o, key, UINT32_MAX, &v, err));
    *out = (uint32_t)v;
    return HW_OK;
}

static hw_status
read_name(const hwi_json *o, const char *key, const char **out, hw_error *err)
{
    const hwi_json *j = hwi_json_member(o, key);
    if (!j || j->kind != HWI_JSON_TEXT) return bad(err, key);
    *out = j->text;
    return HW_OK;
}

static hw_status
read_enum(const hwi_json *o, const char *key, const char *const *names, size_t count, uint32_t *out,
          hw_error *err)
{
    const char *text;
    HWI_TRY(read_name(o, key, &text, err));
    return find_name(names, count, text, out) ? HW_OK : bad(err, key);
}

/* type and idf, which dense fields do without. */
static hw_status
read_type(const hwi_json *o, hwi_field *f, hw_error *err)
{
    uint32_t type = HWI_DENSE;
    const hwi_json *idf = hwi_json_member(o, "idf");
    if (hwi_json_member(o, "type")) {
        HWI_TRY(read_enum(o, "type", type_names, HWI_COUNT(type_names), &type, err));
    }
    f->type = (hwi_vector_type)type;
    f->idf = idf && idf->kind == HWI_JSON_BOOL && idf->boolean;
    return HW_OK;
}

static hw_status
read_field(const hwi_json *o, hwi_field *f, hw_error *err)
{
    uint32_t metric, kind;
    HWI_TRY(read_type(o, f, err));
    HWI_TRY(read_u32(o, "number", &f->number, err));
    HWI_TRY(read_name(o, "name", &f->name, err));
    HWI_TRY(read_u32(o, "dim", &f->dim, err));
    if (f->dim > HW_DIM_MAX || (f->dim == 0) != (f->type == HWI_SPARSE)) return bad(err, "dim");
    HWI_TRY(read_enum(o, "metric", metric_names, HWI_COUNT(metric_names), &metric, err));
    HWI_TRY(read_enum(o, "kind", kind_names, HWI_COUNT(kind_names), &kind, err));
    f->metric = (hwi_metric)metric;
    f->kind = (hwi_index_kind)kind;
    HWI_TRY(read_u32(o, "leaf_size", &f->leaf_size, err));
    HWI_TRY(read_u32(o, "bits", &f->bits, err));
    HWI_TRY(read_u32(o, "flat_below", &f->flat_below, err));
    HWI_TRY(read_u64(o, "seed", UINT64_MAX, &f->seed, err));
    f->extra = hwi_json_member(o, "extra");
    return HW_OK;
}

static hw_status
read_pix_field(const hwi_json *o, hwi_pix_field *p, hw_error *err)
{
    uint32_t type;
    HWI_TRY(read_u32(o, "number", &p->number, err));
    HWI_TRY(read_name(o, "path", &p->path, err));
    HWI_TRY(read_enum(o, "type", pix_type_names, HWI_COUNT(pix_type_names), &type, err));
    p->type = (hwi_pix_type)type;
    const hwi_json *ready = hwi_json_member(o, "ready");
    if (!ready || ready->kind != HWI_JSON_BOOL) return bad(err, "ready");
    p->ready = ready->boolean;
    p->params = hwi_json_member(o, "params");
    if (p->params && p->params->kind != HWI_JSON_OBJECT) return bad(err, "params");
    return read_u32(o, "built_below", &p->built_below, err);
}

/* Room for the elements of an array member. */
static hw_status
read_array(hwi_conf *c, const hwi_json *o, const char *key, size_t element_bytes, void **out,
           size_t *count, const hwi_json **first, hw_error *err)
{
    const hwi_json *a = hwi_json_member(o, key);
    if (!a || a->kind != HWI_JSON_ARRAY) return bad(err, key);
    size_t bytes = hwi_size_mul(a->count, element_bytes);
    *out = hwi_arena_alloc(&c->arena, bytes);
    if (!*out) return hwi_nomem(err, bytes);
    memset(*out, 0, bytes);
    *count = a->count;
    *first = a->child;
    return HW_OK;
}

static hw_status
read_dropped(hwi_conf *c, const hwi_json *o, hw_error *err)
{
    const hwi_json *child;
    void *array;
    for (size_t i = 0; i < c->field_count; i++) {
        c->next_field = HWI_MAX(c->next_field, c->fields[i].number + 1);
    }
    if (hwi_json_member(o, "next_field")) HWI_TRY(read_u32(o, "next_field", &c->next_field, err));
    if (!hwi_json_member(o, "dropped")) return HW_OK;
    HWI_TRY(read_array(c, o, "dropped", sizeof(uint32_t), &array, &c->dropped_count, &child, err));
    c->dropped = array;
    for (size_t i = 0; i < c->dropped_count; i++, child = child->next) {
        if (child->kind != HWI_JSON_INT || child->integer < 0 || child->integer > UINT32_MAX) {
            return bad(err, "dropped");
        }
        c->dropped[i] = (uint32_t)child->integer;
    }
    return HW_OK;
}

static hw_status
read_conf(hwi_conf *c, hw_bytes json, hw_error *err)
{
    const hwi_json *o, *child;
    void *array;
    uint64_t format;
    HWI_TRY(hwi_json_parse(json.data, json.size, &c->arena, &o, err));
    HWI_TRY(read_u64(o, "format", UINT64_MAX, &format, err));
    if (format != CONF_FORMAT && format != CONF_FORMAT_BLOCKS) {
        return hwi_fail(err, HW_EVERSION, "settings of format %llu, this hashwood knows %d and %d",
                        (unsigned long long)format, CONF_FORMAT, CONF_FORMAT_BLOCKS);
    }
    c->id_blocks = format == CONF_FORMAT_BLOCKS;
    HWI_TRY(read_u32(o, "coll", &c->coll, err));
    HWI_TRY(read_name(o, "name", &c->name, err));
    HWI_TRY(read_u64(o, "revision", UINT64_MAX, &c->revision, err));
    c->extra = hwi_json_member(o, "extra");

    HWI_TRY(read_array(c, o, "fields", sizeof(hwi_field), &array, &c->field_count, &child, err));
    c->fields = array;
    for (size_t i = 0; i < c->field_count; i++, child = child->next) {
        HWI_TRY(read_field(child, &c->fields[i], err));
    }
    HWI_TRY(read_dropped(c, o, err));
    HWI_TRY(
        read_array(c, o, "schema", sizeof(hwi_pix_field), &array, &c->schema.count, &child, err));
    c->schema.fields = array;
    for (size_t i = 0; i < c->schema.count; i++, child = child->next) {
        HWI_TRY(read_pix_field(child, &c->schema.fields[i], err));
    }
    return HW_OK;
}

hw_status
hwi_conf_decode(hw_bytes value, hwi_conf **out, hw_error *err)
{
    const uint8_t *p = value.data;
    *out = NULL;
    if (value.size < 4 || hwi_get_u32(p) != (uint32_t)hwi_checksum(p + 4, value.size - 4)) {
        return hwi_fail(err, HW_ECORRUPT, "settings do not match their checksum");
    }
    hwi_conf *c = hwi_alloc_zero(sizeof *c);
    if (!c) return hwi_nomem(err, sizeof *c);
    atomic_init(&c->refs, 1);
    hw_status st = read_conf(c, hwi_bytes(p + 4, value.size - 4), err);
    if (st != HW_OK) {
        hwi_conf_unref(c);
        return st == HW_EINVAL ? hwi_fail_prefix(err, HW_ECORRUPT, "settings") : st;
    }
    *out = c;
    return HW_OK;
}

/* ---- In the store: a blob, as clients may keep much there ---- */

static hw_status
conf_get(hw_store_txn *txn, uint32_t coll, hwi_conf *known, hwi_conf **out, hw_error *err)
{
    hwi_key key;
    hwi_buf value = {0};
    *out = NULL;
    hwi_key_sub(&key, HWI_SUB_CONF, coll);
    hw_status st = hwi_blob_get(txn, hwi_key_view(&key), &value, err);
    if (st != HW_OK) goto out;
    uint64_t sum = hwi_checksum(value.data, value.size);
    if (known && known->stored_sum == sum) {
        *out = hwi_conf_ref(known);
        goto out;
    }
    st = hwi_conf_decode(hwi_buf_bytes(&value), out, err);
    if (st != HW_OK) goto out;
    (*out)->stored_sum = sum;
    if ((*out)->coll != coll) {
        st = hwi_fail(err, HW_ECORRUPT, "settings of collection %u say %u", coll, (*out)->coll);
        hwi_conf_unref(*out);
        *out = NULL;
    }
out:
    hwi_buf_release(&value);
    return st;
}

hw_status
hwi_conf_get(hw_store_txn *txn, uint32_t coll, hwi_conf **out, hw_error *err)
{
    return conf_get(txn, coll, NULL, out, err);
}

hw_status
hwi_conf_refresh(hw_store_txn *txn, hwi_conf *known, hwi_conf **out, hw_error *err)
{
    return conf_get(txn, known->coll, known, out, err);
}

hw_status
hwi_conf_put(hw_store_txn *txn, const hwi_conf *conf, hw_error *err)
{
    hwi_key key;
    hwi_buf value = {0};
    hwi_conf_encode(conf, &value);
    hwi_key_sub(&key, HWI_SUB_CONF, conf->coll);
    hw_status st = value.failed ? hwi_nomem(err, value.size)
                                : hwi_blob_put(txn, hwi_key_view(&key), hwi_buf_bytes(&value), err);
    hwi_buf_release(&value);
    return st;
}

/* ---- Look-ups and changes ---- */

const hwi_field *
hwi_conf_field(const hwi_conf *conf, const char *name)
{
    if (!name) name = "";
    for (size_t i = 0; i < conf->field_count; i++) {
        if (strcmp(conf->fields[i].name, name) == 0) return &conf->fields[i];
    }
    return NULL;
}

hwi_pix_field *
hwi_conf_pix(const hwi_conf *conf, const char *path)
{
    for (size_t i = 0; i < conf->schema.count; i++) {
        if (strcmp(conf->schema.fields[i].path, path) == 0) return &conf->schema.fields[i];
    }
    return NULL;
}

/* A copy that lives as long as the settings. */
static hw_status
own_params(hwi_conf *conf, const hwi_json *params, const hwi_json **out, hw_error *err)
{
    hwi_buf text = {0};
    *out = NULL;
    if (!params) return HW_OK;
    hwi_json_write(&text, params);
    hw_status st = text.failed
                       ? hwi_nomem(err, text.size)
                       : hwi_json_parse((const char *)text.data, text.size, &conf->arena, out, err);
    hwi_buf_release(&text);
    return st;
}

hw_status
hwi_conf_pix_set(hwi_conf *conf, hwi_pix_field *field, const hwi_json *params, hw_error *err)
{
    return own_params(conf, params, &field->params, err);
}

bool
hwi_pix_type_read(const hwi_json *given, hwi_pix_type *type, const hwi_json **params)
{
    *params = given && given->kind == HWI_JSON_OBJECT ? given : NULL;
    const hwi_json *word = *params ? hwi_json_member(given, "type") : given;
    return word && word->kind == HWI_JSON_TEXT && hwi_pix_type_parse(word->text, type);
}

hwi_pix_field *
hwi_conf_pix_add(hwi_conf *conf, const char *path, hwi_pix_type type, const hwi_json *params)
{
    const hwi_json *own;
    hwi_schema *s = &conf->schema;
    hwi_pix_field *grown = hwi_arena_alloc(&conf->arena, (s->count + 1) * sizeof *grown);
    const char *own_path = hwi_arena_text(&conf->arena, path, strlen(path));
    uint32_t number = 1; /* 0 is the bitmap of live slots */
    if (!grown || !own_path || own_params(conf, params, &own, NULL) != HW_OK) return NULL;
    for (size_t i = 0; i < s->count; i++) {
        grown[i] = s->fields[i];
        number = HWI_MAX(number, s->fields[i].number + 1);
    }
    grown[s->count] =
        (hwi_pix_field){.number = number, .path = own_path, .type = type, .params = own};
    s->fields = grown;
    return &grown[s->count++];
}

void
hwi_conf_pix_remove(hwi_conf *conf, hwi_pix_field *field)
{
    hwi_pix_field *end = conf->schema.fields + conf->schema.count;
    memmove(field, field + 1, (size_t)(end - field - 1) * sizeof *field);
    conf->schema.count--;
}

hwi_conf *
hwi_conf_ref(hwi_conf *conf)
{
    atomic_fetch_add_explicit(&conf->refs, 1, memory_order_relaxed);
    return conf;
}

void
hwi_conf_unref(hwi_conf *conf)
{
    /* acq_rel: the last one sees what the others did before letting go */
    if (!conf || atomic_fetch_sub_explicit(&conf->refs, 1, memory_order_acq_rel) != 1) return;
    hwi_arena_release(&conf->arena);
    hwi_free(conf);
}

/* ---- Scores ---- */

float
hwi_score(hwi_metric metric, float distance)
{
    switch (metric) {
    case HWI_COSINE:
        return 1.0f - distance;
    case HWI_L2:
        return sqrtf(distance);
    case HWI_DOT:
        return -distance;
    case HWI_L1:
        break;
    }
    return distance;
}

float
hwi_score_to_distance(hwi_metric metric, float score)
{
    switch (metric) {
    case HWI_COSINE:
        return 1.0f - score;
    case HWI_L2:
        return score < 0 ? -1.0f : score * score;
    case HWI_DOT:
        return -score;
    case HWI_L1:
        break;
    }
    return score;
}
