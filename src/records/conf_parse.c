/* conf_parse.c - what a user writes in hw_collection_create, checked and made complete.
 *
 * Three spellings say the same; each message names the key as it was written:
 *
 *     {"dim": 3, "metric": "l2", "index": {...}}
 *     {"vectors": {"size": 3, "distance": "Euclid"}}            Qdrant's, one unnamed vector
 *     {"vectors": {"image": {"dim": 3, "metric": "l2"}, ...}}   named vectors
 *
 * A vector with "multivector_config" has many rows; "sparse_vectors" are named like the others, and
 * share their names' space. A collection may have none at all when it says so ({"vectors": {}}).
 *
 * An unknown key inside `index` is refused, since a misspelt setting that is silently ignored is
 * found much too late. Unknown keys elsewhere are the clients' own and are kept. */
#include "records/conf.h"

#include <stdio.h>
#include <strings.h>

#define LEAF_SIZE_MIN 16u
#define LEAF_SIZE_MAX 700u       /* twice that, at 256 bits, still fits a page of signatures */
#define FLAT_BELOW_DEFAULT 2000u /* about where one scan costs as much as ranking leaves */
#define BITS_MIN 64u
#define BITS_MAX 1024u

typedef struct parse {
    hwi_conf *conf;
    hw_error *err;
} parse;

/* ---- Names ---- */

hw_status
hwi_name_check(const char *what, const char *name, size_t bytes, hw_error *err)
{
    const uint8_t *p = (const uint8_t *)name;
    if (bytes == 0) return hwi_fail(err, HW_EINVAL, "%s is empty", what);
    if (bytes > HW_NAME_MAX) {
        return hwi_fail(err, HW_EINVAL, "%s of %zu bytes is above the maximum %u", what, bytes,
                        HW_NAME_MAX);
    }
    for (size_t i = 0; i < bytes;) {
        size_t step = hwi_utf8_step(p + i, bytes - i);
        if (step == 0) return hwi_fail(err, HW_EINVAL, "%s is not UTF-8 at byte %zu", what, i);
        if (p[i] < 0x20 || p[i] == 0x7F) {
            return hwi_fail(err, HW_EINVAL, "%s has a control character at byte %zu", what, i);
        }
        if (p[i] == '/') return hwi_fail(err, HW_EINVAL, "%s has a '/' at byte %zu", what, i);
        i += step;
    }
    return HW_OK;
}

/* ---- Small readers ---- */

static bool
key_is(const hwi_json *j, const char *key)
{
    return strcmp(j->key, key) == 0;
}

static hw_status
count_in(parse *p, const char *where, const hwi_json *j, uint64_t min, uint64_t max, uint64_t *out)
{
    bool is_count = (j->kind == HWI_JSON_INT && j->integer >= 0) || j->kind == HWI_JSON_UINT;
    if (!is_count) {
        return hwi_fail(p->err, HW_EINVAL, "%s.%s: expected a whole number from %llu to %llu",
                        where, j->key, (unsigned long long)min, (unsigned long long)max);
    }
    *out = (uint64_t)j->integer;
    if (*out < min || *out > max) {
        return hwi_fail(p->err, HW_EINVAL, "%s.%s: %llu is not in %llu to %llu", where, j->key,
                        (unsigned long long)*out, (unsigned long long)min, (unsigned long long)max);
    }
    return HW_OK;
}

static hw_status
metric_of(parse *p, const char *where, const hwi_json *j, hwi_metric *out)
{
    static const struct {
        const char *name;
        hwi_metric metric;
    } names[] = {{"cosine", HWI_COSINE}, {"l2", HWI_L2},       {"euclid", HWI_L2},
                 {"euclidean", HWI_L2},  {"dot", HWI_DOT},     {"ip", HWI_DOT},
                 {"l1", HWI_L1},         {"manhattan", HWI_L1}};
    for (size_t i = 0; j->kind == HWI_JSON_TEXT && i < HWI_COUNT(names); i++) {
        if (strcasecmp(j->text, names[i].name) == 0) {
            *out = names[i].metric;
            return HW_OK;
        }
    }
    return hwi_fail(p->err, HW_EINVAL, "%s.%s: expected \"cosine\", \"l2\", \"dot\" or \"l1\"",
                    where, j->key);
}

static hw_status
kind_of(parse *p, const char *where, const hwi_json *j, hwi_index_kind *out)
{
    for (int kind = HWI_HYBRID; j->kind == HWI_JSON_TEXT && kind <= HWI_FLAT; kind++) {
        if (strcasecmp(j->text, hwi_kind_text((hwi_index_kind)kind)) == 0) {
            *out = (hwi_index_kind)kind;
            return HW_OK;
        }
    }
    return hwi_fail(p->err, HW_EINVAL,
                    "%s.kind: expected \"hybrid\", \"kdtree\", \"lsh\" or \"flat\"", where);
}

/* ---- index: {...} ---- */

static hw_status
index_key(parse *p, const char *where, const hwi_json *j, hwi_field *f)
{
    uint64_t v = 0;
    if (key_is(j, "kind")) return kind_of(p, where, j, &f->kind);
    if (key_is(j, "leaf_size")) {
        HWI_TRY(count_in(p, where, j, 0, LEAF_SIZE_MAX, &v));
        if (v != 0 && v < LEAF_SIZE_MIN) {
            return hwi_fail(p->err, HW_EINVAL, "%s.leaf_size: %llu is not 0 or in %u to %u", where,
                            (unsigned long long)v, LEAF_SIZE_MIN, LEAF_SIZE_MAX);
        }
        f->leaf_size = (uint32_t)v;
    } else if (key_is(j, "bits")) {
        HWI_TRY(count_in(p, where, j, 0, BITS_MAX, &v));
        if (v != 0 && (v < BITS_MIN || (v & (v - 1)) != 0)) {
            return hwi_fail(p->err, HW_EINVAL, "%s.bits: %llu is not 0 or a power of two %u to %u",
                            where, (unsigned long long)v, BITS_MIN, BITS_MAX);
        }
        f->bits = (uint32_t)v;
    } else if (key_is(j, "flat_below")) {
        HWI_TRY(count_in(p, where, j, 0, HWI_FIELD_FLAT_BELOW_MAX, &v));
        f->flat_below = (uint32_t)v;
    } else if (key_is(j, "seed")) {
        HWI_TRY(count_in(p, where, j, 0, UINT64_MAX, &f->seed));
    } else {
        return hwi_fail(p->err, HW_EINVAL, "%s.%s: unknown key", where, j->key);
    }
    return HW_OK;
}

static hw_status
index_object(parse *p, const char *where, const hwi_json *o, hwi_field *f)
{
    if (o->kind != HWI_JSON_OBJECT) {
        return hwi_fail(p->err, HW_EINVAL, "%s: expected an object", where);
    }
    for (const hwi_json *j = o->child; j; j = j->next) HWI_TRY(index_key(p, where, j, f));
    return HW_OK;
}

/* ---- Clients' own keys: a new object of copies, as nodes are linked to their siblings ---- */

static hw_status
keep(parse *p, hwi_json **extra, const hwi_json *j)
{
    hwi_json *copy = hwi_arena_alloc(&p->conf->arena, sizeof *copy);
    if (!*extra) {
        *extra = hwi_arena_alloc(&p->conf->arena, sizeof **extra);
        if (*extra) **extra = (hwi_json){.kind = HWI_JSON_OBJECT, .key = "extra", .key_bytes = 5};
    }
    if (!*extra || !copy) return hwi_nomem(p->err, sizeof *copy);
    const hwi_json **end = &(*extra)->child;
    while (*end)
        end = (const hwi_json **)(uintptr_t) & (*end)->next; /* copies, so ours to change */
    *copy = *j;
    copy->next = NULL;
    *end = copy;
    (*extra)->count++;
    return HW_OK;
}

/* ---- Vectors ---- */

static bool
is_vector_key(const hwi_json *j)
{
    return key_is(j, "dim") || key_is(j, "size") || key_is(j, "metric") || key_is(j, "distance") ||
           key_is(j, "index") || key_is(j, "multivector_config");
}

/* {"comparator": "max_sim"}, which is all there is; null: an ordinary vector. */
static hw_status
multi_object(parse *p, const char *where, const hwi_json *o, hwi_field *f)
{
    if (o->kind == HWI_JSON_NULL) return HW_OK;
    if (o->kind != HWI_JSON_OBJECT) {
        return hwi_fail(p->err, HW_EINVAL, "%s.multivector_config: expected an object", where);
    }
    const hwi_json *c = hwi_json_member(o, "comparator");
    for (const hwi_json *j = o->child; j; j = j->next) {
        if (key_is(j, "comparator")) continue;
        return hwi_fail(p->err, HW_EINVAL, "%s.multivector_config.%s: unknown key", where, j->key);
    }
    if (c && (c->kind != HWI_JSON_TEXT || strcmp(c->text, "max_sim") != 0)) {
        return hwi_fail(p->err, HW_EINVAL, "%s.multivector_config.comparator: expected \"max_sim\"",
                        where);
    }
    f->type = HWI_MULTI;
    return HW_OK;
}

/* One vector's dim, metric and index from the members of an object that concern it. */
static hw_status
vector_object(parse *p, const char *where, const hwi_json *o, bool keep_extra, hwi_field *f)
{
    bool has_dim = false, has_metric = false;
    char index_at[HW_NAME_MAX + 32];
    hwi_json *extra = NULL;
    uint64_t dim;
    for (const hwi_json *j = o->child; j; j = j->next) {
        if (key_is(j, "dim") || key_is(j, "size")) {
            HWI_TRY(count_in(p, where, j, 1, HW_DIM_MAX, &dim));
            f->dim = (uint32_t)dim;
            has_dim = true;
        } else if (key_is(j, "metric") || key_is(j, "distance")) {
            HWI_TRY(metric_of(p, where, j, &f->metric));
            has_metric = true;
        } else if (key_is(j, "index")) {
            snprintf(index_at, sizeof index_at, "%s.index", where);
            HWI_TRY(index_object(p, index_at, j, f));
        } else if (key_is(j, "multivector_config")) {
            HWI_TRY(multi_object(p, where, j, f));
        } else if (keep_extra) {
            HWI_TRY(keep(p, &extra, j));
        }
    }
    f->extra = extra;
    if (f->bits > 256 && f->leaf_size > LEAF_SIZE_MAX * 256 / f->bits) {
        return hwi_fail(p->err, HW_EINVAL,
                        "%s.index.leaf_size: %u is above %u, the maximum at %u bits", where,
                        f->leaf_size, LEAF_SIZE_MAX * 256 / f->bits, f->bits);
    }
    if (!has_dim) return hwi_fail(p->err, HW_EINVAL, "%s.dim: missing", where);
    if (!has_metric) return hwi_fail(p->err, HW_EINVAL, "%s.metric: missing", where);
    return HW_OK;
}

/* A sparse vector has neither dim nor metric: its indices are any 32-bit numbers, compared by dot
 * product. */
static hw_status
sparse_object(parse *p, const char *where, const hwi_json *o, hwi_field *f)
{
    hwi_json *extra = NULL;
    for (const hwi_json *j = o->child; j; j = j->next) {
        if (!key_is(j, "modifier")) {
            HWI_TRY(keep(p, &extra, j));
            continue;
        }
        bool is_text = j->kind == HWI_JSON_TEXT;
        f->idf = is_text && strcasecmp(j->text, "idf") == 0;
        if (f->idf || j->kind == HWI_JSON_NULL) continue;
        if (is_text && strcasecmp(j->text, "none") == 0) continue;
        return hwi_fail(p->err, HW_EINVAL, "%s.modifier: expected \"none\" or \"idf\"", where);
    }
    f->type = HWI_SPARSE;
    f->metric = HWI_DOT;
    f->kind = HWI_FLAT;
    f->dim = 0;
    f->extra = extra;
    return HW_OK;
}

/* Adds the field that `j` describes under its key; there is room. */
static hw_status
named_vector(parse *p, const char *group, const hwi_json *j, const hwi_field *defaults)
{
    hwi_conf *c = p->conf;
    char where[HW_NAME_MAX + 32];
    bool sparse = strcmp(group, "sparse_vectors") == 0;
    if (strlen(j->key) != j->key_bytes) {
        return hwi_fail(p->err, HW_EINVAL, "%s: a name has a zero byte", group);
    }
    if (j->key_bytes) HWI_TRY(hwi_name_check("vector name", j->key, j->key_bytes, p->err));
    snprintf(where, sizeof where, "%s.%s", group, j->key);
    if (j->kind != HWI_JSON_OBJECT && !(sparse && j->kind == HWI_JSON_NULL)) {
        return hwi_fail(p->err, HW_EINVAL, "%s: expected an object", where);
    }
    if (hwi_conf_field(c, j->key)) {
        return hwi_fail(p->err, HW_EEXIST, "%s: there is a vector of this name", where);
    }
    hwi_field f = *defaults;
    f.name = j->key;
    HWI_TRY(sparse ? sparse_object(p, where, j, &f) : vector_object(p, where, j, true, &f));
    f.number = c->next_field++;
    c->fields[c->field_count++] = f;
    return HW_OK;
}

static hw_status
named_vectors(parse *p, const char *group, const hwi_json *vectors, const hwi_field *defaults)
{
    for (const hwi_json *j = vectors ? vectors->child : NULL; j; j = j->next) {
        hw_status st = named_vector(p, group, j, defaults);
        if (st == HW_EEXIST)
            return hwi_fail(p->err, HW_EINVAL, "%s.%s: occurs twice", group, j->key);
        HWI_TRY(st);
    }
    return HW_OK;
}

static hw_status
one_vector(parse *p, const char *where, const hwi_json *o, bool keep_extra,
           const hwi_field *defaults)
{
    hwi_conf *c = p->conf;
    c->fields[0] = *defaults;
    HWI_TRY(vector_object(p, where, o, keep_extra, &c->fields[0]));
    c->field_count = c->next_field = 1;
    return HW_OK;
}

static hw_status
group_of(parse *p, const hwi_json *config, const char *key, const hwi_json **out)
{
    *out = hwi_json_member(config, key);
    if (*out && (*out)->kind == HWI_JSON_NULL) *out = NULL;
    if (!*out || (*out)->kind == HWI_JSON_OBJECT) return HW_OK;
    return hwi_fail(p->err, HW_EINVAL, "%s: expected an object", key);
}

static hw_status
all_vectors(parse *p, const hwi_json *config, const hwi_field *defaults)
{
    hwi_conf *c = p->conf;
    const hwi_json *vectors, *sparse;
    HWI_TRY(group_of(p, config, "vectors", &vectors));
    HWI_TRY(group_of(p, config, "sparse_vectors", &sparse));
    bool is_plain = !vectors && (!sparse || hwi_json_member(config, "dim"));
    bool is_one = vectors && (hwi_json_is_number(hwi_json_member(vectors, "size")) ||
                              hwi_json_is_number(hwi_json_member(vectors, "dim")));
    size_t count = (is_plain || is_one ? 1 : vectors ? vectors->count : 0);
    count += sparse ? sparse->count : 0;
    if (count > HW_VECTORS_MAX) {
        return hwi_fail(p->err, HW_EINVAL, "vectors: %zu is above the maximum %u", count,
                        HW_VECTORS_MAX);
    }
    c->fields = hwi_arena_alloc(&c->arena, HWI_MAX(count, (size_t)1) * sizeof *c->fields);
    if (!c->fields) return hwi_nomem(p->err, count * sizeof *c->fields);
    if (is_plain) {
        HWI_TRY(one_vector(p, "config", config, false, defaults));
    } else if (is_one) {
        HWI_TRY(one_vector(p, "vectors", vectors, true, defaults));
    } else {
        HWI_TRY(named_vectors(p, "vectors", vectors, defaults));
    }
    return named_vectors(p, "sparse_vectors", sparse, defaults);
}

/* ---- The rest ---- */

static hw_status
payload_indexes(parse *p, const hwi_json *o)
{
    hwi_pix_type type;
    if (o->kind != HWI_JSON_OBJECT) {
        return hwi_fail(p->err, HW_EINVAL, "payload_indexes: expected an object");
    }
    for (const hwi_json *j = o->child; j; j = j->next) {
        const hwi_json *params;
        if (!hwi_pix_type_read(j, &type, &params)) {
            return hwi_fail(p->err, HW_EINVAL,
                            "payload_indexes.%s: expected \"keyword\", \"integer\", \"float\", "
                            "\"bool\", \"datetime\", \"geo\", \"uuid\" or \"text\"",
                            j->key);
        }
        if (j->key_bytes == 0 || strlen(j->key) != j->key_bytes) {
            return hwi_fail(p->err, HW_EINVAL, "payload_indexes: a path is empty or malformed");
        }
        if (hwi_conf_pix(p->conf, j->key)) {
            return hwi_fail(p->err, HW_EINVAL, "payload_indexes.%s: occurs twice", j->key);
        }
        hwi_pix_field *f = hwi_conf_pix_add(p->conf, j->key, type, params);
        if (!f) return hwi_nomem(p->err, sizeof *f);
        f->ready = true; /* there are no points yet */
    }
    return HW_OK;
}

static const hwi_field plain_field = {
    .name = "", .kind = HWI_HYBRID, .flat_below = FLAT_BELOW_DEFAULT, .seed = 1};

static hw_status
parse_config(parse *p, const char *json, size_t bytes)
{
    const hwi_json *config;
    hwi_field defaults = plain_field;
    HWI_TRY(hwi_json_parse(json, bytes, &p->conf->arena, &config, p->err));
    if (config->kind != HWI_JSON_OBJECT) {
        return hwi_fail(p->err, HW_EINVAL, "config: expected a JSON object");
    }
    const hwi_json *index = hwi_json_member(config, "index");
    if (index) HWI_TRY(index_object(p, "index", index, &defaults));
    HWI_TRY(all_vectors(p, config, &defaults));

    bool has_vectors = hwi_json_member(config, "vectors") != NULL;
    hwi_json *extra = NULL;
    for (const hwi_json *j = config->child; j; j = j->next) {
        if (key_is(j, "payload_indexes")) {
            HWI_TRY(payload_indexes(p, j));
        } else if (key_is(j, "vectors") || key_is(j, "sparse_vectors") || key_is(j, "index")) {
            continue;
        } else if (is_vector_key(j)) {
            if (!has_vectors) continue;
            return hwi_fail(p->err, HW_EINVAL, "%s: belongs into `vectors`", j->key);
        } else {
            HWI_TRY(keep(p, &extra, j));
        }
    }
    p->conf->extra = extra;
    return HW_OK;
}

hw_status
hwi_conf_parse(const char *name, const char *json, size_t bytes, hwi_conf **out, hw_error *err)
{
    *out = NULL;
    HWI_TRY(hwi_name_check("collection name", name, strlen(name), err));
    hwi_conf *c = hwi_alloc_zero(sizeof *c);
    if (!c) return hwi_nomem(err, sizeof *c);
    atomic_init(&c->refs, 1);
    c->revision = 1;
    c->name = hwi_arena_text(&c->arena, name, strlen(name));
    hw_status st = c->name ? HW_OK : hwi_nomem(err, strlen(name));
    if (st == HW_OK) st = parse_config(&(parse){c, err}, json, bytes);
    if (st != HW_OK) {
        hwi_conf_unref(c);
        return st;
    }
    *out = c;
    return HW_OK;
}

/* ---- Fields that come and go ---- */

hw_status
hwi_conf_field_add(hwi_conf *conf, const char *name, bool sparse, const char *json, size_t bytes,
                   hw_error *err)
{
    const hwi_json *tree;
    size_t count = conf->field_count;
    if (count >= HW_VECTORS_MAX) {
        return hwi_fail(err, HW_ELIMIT, "the collection has %u vectors, the maximum",
                        HW_VECTORS_MAX);
    }
    HWI_TRY(hwi_json_parse(json, bytes, &conf->arena, &tree, err));
    hwi_json named = *tree;
    named.key = hwi_arena_text(&conf->arena, name, strlen(name));
    named.key_bytes = strlen(name);
    hwi_field *grown = hwi_arena_alloc(&conf->arena, (count + 1) * sizeof *grown);
    if (!named.key || !grown) return hwi_nomem(err, (count + 1) * sizeof *grown);
    if (count) memcpy(grown, conf->fields, count * sizeof *grown);
    conf->fields = grown;
    return named_vector(&(parse){conf, err}, sparse ? "sparse_vectors" : "vectors", &named,
                        &plain_field);
}

hw_status
hwi_conf_field_remove(hwi_conf *conf, const char *name, hw_error *err)
{
    const hwi_field *found = hwi_conf_field(conf, name);
    if (!found) {
        return hwi_fail(err, HW_ENOTFOUND, "collection `%s` has no vector named `%s`", conf->name,
                        name ? name : "");
    }
    size_t at = (size_t)(found - conf->fields), bytes = (conf->dropped_count + 1) * 4;
    uint32_t *dropped = hwi_arena_alloc(&conf->arena, bytes);
    if (!dropped) return hwi_nomem(err, bytes);
    if (conf->dropped_count) memcpy(dropped, conf->dropped, bytes - 4);
    dropped[conf->dropped_count++] = found->number;
    conf->dropped = dropped;
    conf->field_count--;
    memmove(&conf->fields[at], &conf->fields[at + 1],
            (conf->field_count - at) * sizeof *conf->fields);
    return HW_OK;
}

void
hwi_conf_dropped_done(hwi_conf *conf)
{
    HWI_ASSERT(conf->dropped_count > 0);
    conf->dropped++;
    conf->dropped_count--;
}
