/* strict.c - strict mode: limits on what callers ask, and on how often.
 *
 * The settings are read anew from the collection's description at each request, so that a change
 * counts at once. Only the buckets of the rate limits outlive a request: one for reads and one for
 * writes of each collection, holding as many tokens as the limit allows a minute, refilled evenly.
 * A server that restarts begins with full buckets. Two collections whose names hash alike share a
 * bucket's place; the one that comes later begins with a full one, which is lenient and harmless.
 */
#include "server/rest/strict.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/server.h"

/* ---- Settings */

static const hwi_json *
settings(const hwi_shape *shape)
{
    const hwi_json *extra = hwi_json_member(shape->described, "extra");
    const hwi_json *strict = hwi_json_member(extra, "strict_mode_config");
    const hwi_json *enabled = hwi_json_member(strict, "enabled");
    return enabled && enabled->kind == HWI_JSON_BOOL && enabled->boolean ? strict : NULL;
}

static bool
limit_of(const hwi_shape *shape, const char *key, double *out)
{
    const hwi_json *j = hwi_json_member(settings(shape), key);
    if (!hwi_json_is_number(j)) return false;
    *out = j->number;
    return true;
}

static bool
is_forbidden(const hwi_shape *shape, const char *key)
{
    const hwi_json *j = hwi_json_member(settings(shape), key);
    return j && j->kind == HWI_JSON_BOOL && !j->boolean;
}

bool
hwi_strict_limit(hwi_request *r, const hwi_shape *shape, const char *key, const char *what,
                 double value)
{
    double limit;
    if (!limit_of(shape, key, &limit) || value <= limit) return true;
    return hwi_refuse(r, 400,
                      "Bad request: Limit exceeded %g > %g for \"%s\". Help: Reduce the \"%s\" "
                      "parameter to or below %g.",
                      value, limit, what, what, limit);
}

/* ---- Filters */

typedef bool (*condition_fn)(void *arg, const char *prefix, const hwi_json *condition);

/* Calls fn with each condition of a filter that is no filter itself, until it returns false. Depth is
 * bounded by the parser. */
static bool
each_condition(const hwi_json *filter, const char *prefix, condition_fn fn, void *arg)
{
    static const char *const clauses[] = {"must", "should", "must_not", "min_should"};
    char path[512];
    for (size_t c = 0; c < HWI_COUNT(clauses); c++) {
        const hwi_json *j = hwi_json_member(filter, clauses[c]);
        if (c == 3) j = hwi_json_member(j, "conditions");
        bool is_list = j && j->kind == HWI_JSON_ARRAY;
        for (j = is_list ? j->child : j; j; j = is_list ? j->next : NULL) {
            const hwi_json *nested = hwi_json_member(j, "nested");
            const hwi_json *key = hwi_json_member(nested, "key");
            bool is_filter = hwi_json_member(j, "must") || hwi_json_member(j, "should") ||
                             hwi_json_member(j, "must_not") || hwi_json_member(j, "min_should");
            if (nested) {
                const char *k = key && key->kind == HWI_JSON_TEXT ? key->text : "";
                size_t n = strlen(k);
                bool has_brackets = n > 2 && strcmp(k + n - 2, "[]") == 0;
                snprintf(path, sizeof path, "%s%s%s.", prefix, k, has_brackets ? "" : "[]");
                if (!each_condition(hwi_json_member(nested, "filter"), path, fn, arg)) return false;
            } else if (is_filter) {
                if (!each_condition(j, prefix, fn, arg)) return false;
            } else if (!fn(arg, prefix, j)) {
                return false;
            }
        }
    }
    return true;
}

static bool
count_condition(void *arg, const char *prefix, const hwi_json *condition)
{
    (void)prefix, (void)condition;
    ++*(uint32_t *)arg;
    return true;
}

uint32_t
hwi_strict_cost(const hwi_json *filter)
{
    uint32_t conditions = 0;
    each_condition(filter, "", count_condition, &conditions);
    return 1 + conditions;
}

static bool
measure_condition(void *arg, const char *prefix, const hwi_json *condition)
{
    (void)prefix;
    const hwi_json *match = hwi_json_member(condition, "match");
    const hwi_json *list = hwi_json_member(match, "any");
    if (!list) list = hwi_json_member(match, "except");
    if (!list) list = hwi_json_member(condition, "has_id");
    if (list && list->kind == HWI_JSON_ARRAY) {
        *(size_t *)arg = HWI_MAX(*(size_t *)arg, list->count);
    }
    return true;
}

static bool
check_filter_size(hwi_request *r, const hwi_shape *shape, const hwi_json *filter)
{
    double limit;
    uint32_t count = 0;
    size_t largest = 0;
    each_condition(filter, "", count_condition, &count);
    if (limit_of(shape, "filter_max_conditions", &limit) && count > limit) {
        return hwi_refuse(r, 400,
                          "Bad request: Filter condition limit reached (%u > %g). Help: Reduce the "
                          "amount of conditions of your filter.",
                          count, limit);
    }
    each_condition(filter, "", measure_condition, &largest);
    if (limit_of(shape, "condition_max_size", &limit) && (double)largest > limit) {
        return hwi_refuse(r, 400,
                          "Bad request: Condition size limit reached (%zu > %g). Help: Reduce the "
                          "size of your condition.",
                          largest, limit);
    }
    return true;
}

/* ---- Filters that need an index */

static const char *
type_of_values(const hwi_json *value)
{
    hw_id id;
    if (value && value->kind == HWI_JSON_ARRAY) value = value->child;
    if (!value) return NULL;
    if (value->kind == HWI_JSON_BOOL) return "bool";
    if (value->kind != HWI_JSON_TEXT) return "integer";
    bool is_uuid = hwi_json_id(value, &id, NULL) == HW_OK && id.kind == HW_ID_KIND_UUID;
    return is_uuid ? "keyword, uuid" : "keyword";
}

/* Types of index one of which serves the condition, as in "float, integer"; NULL: needs none. */
static const char *
types_for(const hwi_json *condition)
{
    const hwi_json *match = hwi_json_member(condition, "match");
    const hwi_json *range = hwi_json_member(condition, "range");
    if (hwi_json_member(match, "text") || hwi_json_member(match, "text_any") ||
        hwi_json_member(match, "phrase")) {
        return "text";
    }
    if (hwi_json_member(match, "prefix")) return "keyword";
    if (match && match->child) return type_of_values(match->child);
    if (range) {
        const hwi_json *bound = range->child;
        return bound && bound->kind == HWI_JSON_TEXT ? "datetime" : "float, integer";
    }
    if (hwi_json_member(condition, "geo_radius") || hwi_json_member(condition, "geo_polygon") ||
        hwi_json_member(condition, "geo_bounding_box")) {
        return "geo";
    }
    return "bool, datetime, float, geo, integer, keyword, text, uuid";
}

typedef struct index_search {
    const hwi_json *indexes;
    char key[640];
    const char *types;
} index_search;

/* The payload field of a condition, or NULL. */
static const hwi_json *
key_of(const hwi_json *condition)
{
    const hwi_json *inner = hwi_json_member(condition, "is_empty");
    if (!inner || inner->kind != HWI_JSON_OBJECT) inner = hwi_json_member(condition, "is_null");
    const hwi_json *key = hwi_json_member(condition, "key");
    if (!key && inner) key = hwi_json_member(inner, "key");
    return key && key->kind == HWI_JSON_TEXT ? key : NULL;
}

static bool
is_indexed(const hwi_json *indexes, const char *key, const char *types)
{
    const hwi_json *type = hwi_json_member(hwi_json_member(indexes, key), "type");
    return type && type->kind == HWI_JSON_TEXT && strstr(types, type->text);
}

/* False, and its key and types noted, for a condition that no index serves. */
static bool
find_index(void *arg, const char *prefix, const hwi_json *condition)
{
    index_search *s = arg;
    const hwi_json *key = key_of(condition);
    const char *types = key ? types_for(condition) : NULL;
    if (!types) return true;
    snprintf(s->key, sizeof s->key, "%s%s", prefix, key->text);
    if (is_indexed(s->indexes, s->key, types)) return true;
    s->types = types;
    return false;
}

static bool
refuse_unindexed(hwi_request *r, const char *key, const char *types, const char *instead)
{
    return hwi_refuse(r, 400,
                      "Bad request: Index required but not found for \"%s\" of one of the "
                      "following types: [%s]. Help: Create an index for this key or use a "
                      "different %s.",
                      key, types, instead);
}

static bool
check_indexed(hwi_request *r, const hwi_shape *shape, const hwi_json *filter, const char *instead)
{
    index_search s = {.indexes = hwi_json_member(shape->described, "payload_indexes")};
    if (each_condition(filter, "", find_index, &s)) return true;
    return refuse_unindexed(r, s.key, s.types, instead);
}

bool
hwi_strict_condition(hwi_request *r, const hwi_shape *shape, const hwi_json *filter)
{
    return !is_forbidden(shape, "unindexed_filtering_retrieve") ||
           check_indexed(r, shape, filter, "formula expression");
}

bool
hwi_strict_field(hwi_request *r, const hwi_shape *shape, const char *field, const char *types)
{
    if (!is_forbidden(shape, "unindexed_filtering_retrieve")) return true;
    return is_indexed(hwi_json_member(shape->described, "payload_indexes"), field, types) ||
           refuse_unindexed(r, field, types, "formula expression");
}

bool
hwi_strict_group(hwi_request *r, const hwi_shape *shape, const char *field)
{
    const hwi_json *indexes = hwi_json_member(shape->described, "payload_indexes");
    const hwi_json *type = hwi_json_member(hwi_json_member(indexes, field), "type");
    if (!is_forbidden(shape, "unindexed_filtering_retrieve")) return true;
    if (type && type->kind == HWI_JSON_TEXT &&
        strstr("keyword integer bool uuid", type->text) != NULL) {
        return true;
    }
    return hwi_refuse(r, 400,
                      "Bad request: Index required but not found for \"%s\". Help: Create an index "
                      "supporting `match` for this key.",
                      field);
}

/* ---- One search or change */

static bool
check_params(hwi_request *r, const hwi_shape *shape, const hwi_json *params)
{
    const hwi_json *ef = hwi_json_member(params, "hnsw_ef");
    const hwi_json *quantization = hwi_json_member(params, "quantization");
    const hwi_json *oversampling = hwi_json_member(quantization, "oversampling");
    if (hwi_json_is_number(oversampling) &&
        !hwi_strict_limit(r, shape, "search_max_oversampling", "oversampling",
                          oversampling->number)) {
        return false;
    }
    return !hwi_json_is_number(ef) ||
           hwi_strict_limit(r, shape, "search_max_hnsw_ef", "hnsw_ef", ef->number);
}

bool
hwi_strict_check(hwi_request *r, const hwi_shape *shape, const hwi_strict_ask *ask)
{
    if (!settings(shape)) return true;
    const char *rule =
        ask->is_write ? "unindexed_filtering_update" : "unindexed_filtering_retrieve";
    const hwi_json *exact = hwi_json_member(ask->params, "exact");
    bool is_exact = ask->exact || (exact && exact->kind == HWI_JSON_BOOL && exact->boolean);
    if (ask->has_limit &&
        !hwi_strict_limit(r, shape, "max_query_limit", "limit", (double)ask->limit)) {
        return false;
    }
    if (ask->filter && is_forbidden(shape, rule) &&
        !check_indexed(r, shape, ask->filter, "filter")) {
        return false;
    }
    if (ask->filter && !check_filter_size(r, shape, ask->filter)) return false;
    if (is_exact && is_forbidden(shape, "search_allow_exact")) {
        return hwi_refuse(r, 400, "Bad request: Exact search disabled!. Help: Set exact=false.");
    }
    return check_params(r, shape, ask->params);
}

bool
hwi_strict_batch(hwi_request *r, const hwi_shape *shape, size_t searches)
{
    return hwi_strict_limit(r, shape, "search_max_batchsize", "search batch size",
                            (double)searches);
}

/* ---- Rates */

#define BUCKETS 1024u

typedef struct bucket {
    uint64_t name; /* hash; 0: never used */
    double tokens;
    uint64_t last_us;
} bucket;

static struct {
    pthread_mutex_t lock; /* guards both tables */
    bucket reads[BUCKETS], writes[BUCKETS];
} rates = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t
hash_of(const char *name)
{
    return hwi_checksum(name, strlen(name)) | 1;
}

static bucket *
bucket_of(bucket *table, uint64_t hash)
{
    return &table[(hash >> 8) % BUCKETS];
}

void
hwi_strict_refill(const char *name)
{
    uint64_t hash = hash_of(name);
    bucket *both[] = {bucket_of(rates.reads, hash), bucket_of(rates.writes, hash)};
    pthread_mutex_lock(&rates.lock);
    for (size_t i = 0; i < HWI_COUNT(both); i++)
        if (both[i]->name == hash) both[i]->name = 0;
    pthread_mutex_unlock(&rates.lock);
}

/* Takes `cost` tokens; when there are too few returns false with the seconds until there will be. */
static bool
take_tokens(bucket *table, const char *name, double a_minute, double cost, double *there,
            double *wait_s)
{
    uint64_t hash = hash_of(name);
    bucket *b = bucket_of(table, hash);
    pthread_mutex_lock(&rates.lock);
    uint64_t now = hwi_clock_us(); /* under the lock: never before last_us */
    if (b->name != hash) *b = (bucket){hash, a_minute, now};
    b->tokens += a_minute / 60 * (double)(now - b->last_us) / 1e6;
    b->tokens = HWI_MIN(b->tokens, a_minute);
    b->last_us = now;
    bool is_enough = b->tokens >= cost;
    *there = b->tokens;
    *wait_s = (cost - b->tokens) / (a_minute / 60);
    if (is_enough) b->tokens -= cost;
    pthread_mutex_unlock(&rates.lock);
    return is_enough;
}

static bool
check_rate(hwi_request *r, const hwi_shape *shape, bool is_write, double cost)
{
    double limit, there, wait_s;
    const char *what = is_write ? "Write" : "Read";
    const hwi_json *name = hwi_json_member(shape->described, "name");
    if (!limit_of(shape, is_write ? "write_rate_limit" : "read_rate_limit", &limit)) return true;
    if (cost > limit) {
        return hwi_refuse(r, 429,
                          "Rate limiting exceeded: %s rate limit exceeded, request larger than "
                          "rate limiter capacity, please try to split your request",
                          what);
    }
    if (take_tokens(is_write ? rates.writes : rates.reads, name ? name->text : "", limit, cost,
                    &there, &wait_s)) {
        return true;
    }
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%.0f", ceil(wait_s));
    hwi_request_answer_header(r, "Retry-After", seconds);
    return hwi_refuse(r, 429,
                      "Rate limiting exceeded: %s rate limit exceeded: Operation requires %.0f "
                      "tokens but only %.1f were available. Retry after %ss",
                      what, cost, there, seconds);
}

bool
hwi_strict_limits_writes(const hwi_shape *shape)
{
    double limit;
    return limit_of(shape, "write_rate_limit", &limit);
}

bool
hwi_strict_admit(hwi_request *r, const hwi_shape *shape, bool is_write, uint64_t cost)
{
    const char *timeout = hwi_request_arg(r, "timeout");
    if (!settings(shape)) return true;
    if (timeout && !hwi_strict_limit(r, shape, "max_timeout", "timeout", strtod(timeout, NULL))) {
        return false;
    }
    return check_rate(r, shape, is_write, (double)cost);
}

/* ---- Growth */

static double
count_of(const hwi_shape *shape)
{
    const hwi_json *points = hwi_json_member(shape->described, "points");
    return hwi_json_is_number(points) ? points->number : 0;
}

/* Bytes of all vectors, as if every point had each of them once. */
static double
vector_bytes(const hwi_shape *shape)
{
    double each = 0;
    for (size_t i = 0; i < shape->field_count; i++) each += 4.0 * shape->fields[i].dim;
    return each * count_of(shape);
}

bool
hwi_strict_payload_growth(hwi_request *r, const hwi_shape *shape)
{
    double limit, total = 0;
    hw_result *sample;
    hw_error err;
    if (!limit_of(shape, "max_collection_payload_size_bytes", &limit)) return true;
    /* The engine keeps no sum of payloads: a sample tells well enough. */
    hw_status st =
        hw_collection_sample(shape->collection, NULL, 0, 1, 64, HW_WITH_PAYLOAD, &sample, &err);
    if (!hwi_ok(r, st, &err)) return false;
    size_t bytes, count = hw_result_count(sample);
    for (size_t i = 0; i < count; i++) {
        if (hw_result_payload(sample, i, &bytes)) total += (double)bytes;
    }
    hw_result_free(sample);
    if (!count || total / (double)count * count_of(shape) < limit) return true;
    return hwi_refuse(r, 400, "Bad request: Max payload storage size limit of %gMB reached!",
                      limit / 1048576);
}

bool
hwi_strict_growth(hwi_request *r, const hwi_shape *shape, const char *what, size_t points)
{
    double limit;
    if (!settings(shape)) return true;
    if (!hwi_strict_limit(r, shape, "upsert_max_batchsize", what, (double)points)) return false;
    if (limit_of(shape, "max_collection_vector_size_bytes", &limit) &&
        vector_bytes(shape) >= limit) {
        return hwi_refuse(r, 400, "Bad request: Max vector storage size limit of %gMB reached!",
                          limit / 1048576);
    }
    if (limit_of(shape, "max_points_count", &limit) && count_of(shape) >= limit) {
        return hwi_refuse(r, 400, "Bad request: Max points count limit of %g reached!", limit);
    }
    return hwi_strict_payload_growth(r, shape);
}

bool
hwi_strict_vector(hwi_request *r, const hwi_shape *shape, const hw_vector *v)
{
    const char *name = v->name ? v->name : "";
    const char *group = v->indices ? "sparse_config" : "multivector_config";
    const char *key = v->indices ? "max_length" : "max_vectors";
    const hwi_json *limits = hwi_json_member(settings(shape), group);
    const hwi_json *limit = hwi_json_member(hwi_json_member(limits, name), key);
    uint32_t count = v->indices ? v->dim : v->rows;
    if (!hwi_json_is_number(limit) || count <= limit->number) return true;
    return hwi_refuse(r, 400,
                      v->indices
                          ? "Bad request: Sparse vector '%s' has a limit of %.0f indices, but %u "
                            "were provided!"
                          : "Bad request: Multivector '%s' has a limit of %.0f vectors, but %u "
                            "were provided!",
                      name, limit->number, count);
}

bool
hwi_strict_index(hwi_request *r, const hwi_shape *shape)
{
    double limit;
    const hwi_json *indexes = hwi_json_member(shape->described, "payload_indexes");
    size_t count = indexes ? indexes->count : 0;
    if (!limit_of(shape, "max_payload_index_count", &limit) || (double)count < limit) return true;
    return hwi_refuse(r, 400,
                      "Bad request: Collection already has the maximum number of payload indices "
                      "(%g). Help: Please delete an existing index before creating a new one.",
                      limit);
}
