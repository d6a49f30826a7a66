/* settings.c - the optional settings of a collection, as one table. */
#include "server/rest/settings.h"

#include <math.h>
#include <stdio.h>

#define COUNT(name, from, def)                                                                     \
    {                                                                                              \
        .key = name, .kind = HWI_SETTING_COUNT, .low = from, .high = 9e15, .otherwise = def        \
    }
#define BOOL(name, def)                                                                            \
    {                                                                                              \
        .key = name, .kind = HWI_SETTING_BOOL, .otherwise = def                                    \
    }
#define WORD(name, all)                                                                            \
    {                                                                                              \
        .key = name, .kind = HWI_SETTING_WORD, .words = all                                        \
    }
#define OBJECT(name, list)                                                                         \
    {                                                                                              \
        .key = name, .kind = HWI_SETTING_OBJECT, .inner = list                                     \
    }
#define MAP(name, list)                                                                            \
    {                                                                                              \
        .key = name, .kind = HWI_SETTING_MAP, .inner = list                                        \
    }
#define FREE(name)                                                                                 \
    {                                                                                              \
        .key = name, .kind = HWI_SETTING_FREE                                                      \
    }
#define MEMORY WORD("memory", "cold|cached|pinned")
#define MEMORY_UNPINNED WORD("memory", "cold|cached") /* where Qdrant has no heap variant */

static const hwi_setting hnsw[] = {COUNT("m", 0, "16"),
                                   COUNT("ef_construct", 4, "100"),
                                   COUNT("full_scan_threshold", 10, "10000"),
                                   COUNT("max_indexing_threads", 0, "0"),
                                   BOOL("on_disk", "false"),
                                   MEMORY,
                                   COUNT("payload_m", 0, NULL),
                                   BOOL("inline_storage", NULL),
                                   {0}};

static const hwi_setting optimizers[] = {
    {.key = "deleted_threshold", .kind = HWI_SETTING_NUMBER, .high = 1, .otherwise = "0.2"},
    COUNT("vacuum_min_vector_number", 100, "1000"),
    COUNT("default_segment_number", 0, "0"),
    COUNT("max_segment_size", 1, "null"),
    COUNT("memmap_threshold", 0, "null"),
    COUNT("indexing_threshold", 0, "10000"),
    COUNT("flush_interval_sec", 0, "5"),
    {.key = "max_optimization_threads",
     .kind = HWI_SETTING_COUNT_OR_WORD,
     .high = 9e15,
     .words = "auto",
     .otherwise = "null"},
    BOOL("prevent_unoptimized", NULL),
    {0}};

static const hwi_setting wal[] = {COUNT("wal_capacity_mb", 1, "32"),
                                  COUNT("wal_segments_ahead", 0, "0"),
                                  COUNT("wal_retain_closed", 0, "1"),
                                  {0}};

static const hwi_setting scalar[] = {
    {.key = "type", .kind = HWI_SETTING_WORD, .words = "int8", .required = true},
    {.key = "quantile", .kind = HWI_SETTING_NUMBER, .low = 0.5, .high = 1},
    BOOL("always_ram", NULL),
    MEMORY,
    {0}};
static const hwi_setting product[] = {{.key = "compression",
                                       .kind = HWI_SETTING_WORD,
                                       .words = "x4|x8|x16|x32|x64",
                                       .required = true},
                                      BOOL("always_ram", NULL),
                                      MEMORY,
                                      {0}};
static const hwi_setting binary[] = {
    BOOL("always_ram", NULL),
    MEMORY,
    WORD("encoding", "one_bit|two_bits|one_and_half_bits"),
    WORD("query_encoding", "default|binary|scalar4bits|scalar8bits"),
    {0}};
static const hwi_setting turbo[] = {
    BOOL("always_ram", NULL), MEMORY, WORD("bits", "bits1|bits1_5|bits2|bits4"), {0}};
static const hwi_setting quantization[] = {OBJECT("scalar", scalar),
                                           OBJECT("product", product),
                                           OBJECT("binary", binary),
                                           OBJECT("turbo", turbo),
                                           {0}};

static const hwi_setting multi_limits[] = {COUNT("max_vectors", 1, NULL), {0}};
static const hwi_setting sparse_limits[] = {COUNT("max_length", 1, NULL), {0}};
static const hwi_setting strict[] = {
    BOOL("enabled", "false"),
    COUNT("max_query_limit", 1, NULL),
    COUNT("max_timeout", 1, NULL),
    BOOL("unindexed_filtering_retrieve", NULL),
    BOOL("unindexed_filtering_update", NULL),
    COUNT("search_max_hnsw_ef", 0, NULL),
    BOOL("search_allow_exact", NULL),
    {.key = "search_max_oversampling", .kind = HWI_SETTING_NUMBER, .low = -1e300, .high = 1e300},
    COUNT("upsert_max_batchsize", 0, NULL),
    COUNT("search_max_batchsize", 0, NULL),
    COUNT("max_collection_vector_size_bytes", 0, NULL),
    COUNT("read_rate_limit", 1, NULL),
    COUNT("write_rate_limit", 1, NULL),
    COUNT("max_collection_payload_size_bytes", 0, NULL),
    COUNT("max_points_count", 1, NULL),
    COUNT("filter_max_conditions", 0, NULL),
    COUNT("condition_max_size", 0, NULL),
    MAP("multivector_config", multi_limits),
    MAP("sparse_config", sparse_limits),
    COUNT("max_payload_index_count", 0, NULL),
    {.key = "max_resident_memory_percent", .kind = HWI_SETTING_COUNT, .low = 1, .high = 100},
    {0}};

static const hwi_setting payload_storage[] = {MEMORY_UNPINNED, {0}};

const hwi_setting hwi_settings_collection[] = {
    OBJECT("hnsw_config", hnsw),
    OBJECT("optimizers_config", optimizers),
    OBJECT("wal_config", wal),
    {.key = "quantization_config", .kind = HWI_SETTING_CHOICE, .inner = quantization},
    OBJECT("strict_mode_config", strict),
    COUNT("shard_number", 1, "1"),
    WORD("sharding_method", "auto|custom"),
    COUNT("replication_factor", 1, "1"),
    COUNT("write_consistency_factor", 1, "1"),
    BOOL("on_disk_payload", "true"),
    OBJECT("payload", payload_storage),
    FREE("metadata"),
    BOOL("string_ids", NULL),
    {0}};

const hwi_setting hwi_settings_params[] = {COUNT("replication_factor", 1, NULL),
                                           COUNT("write_consistency_factor", 1, NULL),
                                           COUNT("read_fan_out_factor", 0, NULL),
                                           COUNT("read_fan_out_delay_ms", 0, NULL),
                                           BOOL("on_disk_payload", NULL),
                                           OBJECT("payload", payload_storage),
                                           {0}};

static const hwi_setting multivector[] = {
    {.key = "comparator", .kind = HWI_SETTING_WORD, .words = "max_sim", .required = true}, {0}};
const hwi_setting hwi_settings_vector[] = {
    OBJECT("hnsw_config", hnsw),
    {.key = "quantization_config", .kind = HWI_SETTING_CHOICE, .inner = quantization},
    BOOL("on_disk", NULL),
    MEMORY_UNPINNED,
    WORD("datatype", "float32|uint8|float16|turbo4"),
    OBJECT("multivector_config", multivector),
    {0}};

static const hwi_setting sparse_index[] = {COUNT("full_scan_threshold", 0, NULL),
                                           BOOL("on_disk", NULL),
                                           MEMORY,
                                           WORD("datatype", "float32|uint8|float16"),
                                           {0}};
const hwi_setting hwi_settings_sparse[] = {
    OBJECT("index", sparse_index), WORD("modifier", "none|idf"), {0}};

const hwi_setting hwi_settings_field[] = {
    {.key = "type",
     .kind = HWI_SETTING_WORD,
     .words = "keyword|integer|float|geo|text|bool|datetime|uuid",
     .required = true},
    WORD("tokenizer", "prefix|whitespace|word|multilingual"),
    COUNT("min_token_len", 0, NULL),
    COUNT("max_token_len", 0, NULL),
    BOOL("lowercase", NULL),
    BOOL("ascii_folding", NULL),
    BOOL("phrase_matching", NULL),
    BOOL("on_disk", NULL),
    BOOL("is_tenant", NULL),
    BOOL("is_principal", NULL),
    BOOL("lookup", NULL),
    BOOL("range", NULL),
    BOOL("enable_hnsw", NULL),
    BOOL("prefix", NULL),
    MEMORY,
    {0}};

/* ---- Checking */

const hwi_setting *
hwi_setting_find(const hwi_setting *settings, const char *key)
{
    for (; settings->key; settings++) {
        if (strcmp(settings->key, key) == 0) return settings;
    }
    return NULL;
}

static bool
is_word_of(const char *words, const char *text)
{
    size_t bytes = strlen(text);
    for (const char *w = words; bytes && w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL) {
        if (strncmp(w, text, bytes) == 0 && (w[bytes] == '|' || w[bytes] == '\0')) return true;
    }
    return false;
}

static bool
check_word(hwi_request *r, const char *at, const hwi_json *j, const char *words)
{
    if (j->kind != HWI_JSON_TEXT) return hwi_refuse_format(r, "%s: expected one of %s", at, words);
    if (is_word_of(words, j->text)) return true;
    if (strcmp(j->text, "pinned") == 0) {
        return hwi_refuse_value(r, at, "`pinned` is not supported here, expected one of %s", words);
    }
    if (strcmp(j->text, "turbo4") == 0) {
        return hwi_refuse_value(r, at, "sparse vectors do not support the `turbo4` datatype");
    }
    return hwi_refuse_format(r, "%s: unknown variant `%.100s`, expected one of %s", at, j->text,
                             words);
}

static bool
check_count(hwi_request *r, const char *at, const hwi_json *j, const hwi_setting *s)
{
    bool is_count = (j->kind == HWI_JSON_INT && j->integer >= 0) || j->kind == HWI_JSON_UINT;
    if (!is_count) return hwi_refuse_format(r, "%s: expected an unsigned whole number", at);
    if (j->number >= s->low && j->number <= s->high) return true;
    if (s->high > 1e15) {
        return hwi_refuse_value(r, at, "value %.0f invalid, must be %.0f or larger", j->number,
                                s->low);
    }
    return hwi_refuse_value(r, at, "value %.0f invalid, must be from %.0f to %.0f", j->number,
                            s->low, s->high);
}

static bool
check_number(hwi_request *r, const char *at, const hwi_json *j, const hwi_setting *s)
{
    if (!hwi_json_is_number(j)) return hwi_refuse_format(r, "%s: expected a number", at);
    if (j->number >= s->low && j->number <= s->high) return true;
    return hwi_refuse_value(r, at, "value %g invalid, must be from %g to %g", j->number, s->low,
                            s->high);
}

/* Exactly one of the inner settings. */
static bool
check_choice(hwi_request *r, const char *at, const hwi_json *j, const hwi_setting *s)
{
    size_t count = 0;
    for (const hwi_json *i = j->child; i; i = i->next) {
        if (i->kind == HWI_JSON_OBJECT && hwi_setting_find(s->inner, i->key)) count++;
    }
    if (count == 1) return hwi_settings_check(r, at, j, s->inner);
    return hwi_refuse_format(r,
                             "%s: expected an object with `scalar`, `product`, `binary` or "
                             "`turbo`",
                             at);
}

static bool
check_map(hwi_request *r, const char *at, const hwi_json *j, const hwi_setting *s)
{
    char inner_at[400];
    for (const hwi_json *i = j->child; i; i = i->next) {
        snprintf(inner_at, sizeof inner_at, "%.100s.%.255s", at, i->key);
        if (i->kind != HWI_JSON_OBJECT) {
            return hwi_refuse_format(r, "%s: expected an object", inner_at);
        }
        if (!hwi_settings_check(r, inner_at, i, s->inner)) return false;
    }
    return true;
}

static bool
check_one(hwi_request *r, const char *at, const hwi_json *j, const hwi_setting *s)
{
    bool is_object = j->kind == HWI_JSON_OBJECT;
    switch (s->kind) {
    case HWI_SETTING_COUNT:
        return check_count(r, at, j, s);
    case HWI_SETTING_NUMBER:
        return check_number(r, at, j, s);
    case HWI_SETTING_BOOL:
        return j->kind == HWI_JSON_BOOL || hwi_refuse_format(r, "%s: expected a boolean", at);
    case HWI_SETTING_WORD:
        return check_word(r, at, j, s->words);
    case HWI_SETTING_COUNT_OR_WORD:
        return j->kind == HWI_JSON_TEXT ? check_word(r, at, j, s->words) : check_count(r, at, j, s);
    case HWI_SETTING_OBJECT:
    case HWI_SETTING_MAP:
    case HWI_SETTING_CHOICE:
    case HWI_SETTING_FREE:
        break;
    }
    if (!is_object) return hwi_refuse_format(r, "%s: expected an object", at);
    if (s->kind == HWI_SETTING_OBJECT) return hwi_settings_check(r, at, j, s->inner);
    if (s->kind == HWI_SETTING_MAP) return check_map(r, at, j, s);
    return s->kind == HWI_SETTING_FREE || check_choice(r, at, j, s);
}

bool
hwi_settings_check(hwi_request *r, const char *at, const hwi_json *o, const hwi_setting *settings)
{
    char path[600]; /* names of vectors are short, settings shorter */
    for (const hwi_setting *s = settings; s->key; s++) {
        const hwi_json *j = hwi_json_member(o, s->key);
        snprintf(path, sizeof path, "%.400s%s%s", at, *at ? "." : "", s->key);
        if (s->required && !j) return hwi_refuse_format(r, "%s: missing field", path);
        if (!j || (j->kind == HWI_JSON_NULL && !s->required)) continue;
        if (!check_one(r, path, j, s)) return false;
    }
    return true;
}

/* ---- Writing */

void
hwi_settings_write(hwi_buf *b, const hwi_json *given, const hwi_setting *settings)
{
    const char *comma = "{";
    for (const hwi_setting *s = settings; s->key; s++) {
        const hwi_json *j = hwi_json_member(given, s->key);
        bool is_given = j && j->kind != HWI_JSON_NULL &&
                        !(s->kind == HWI_SETTING_COUNT_OR_WORD && j->kind == HWI_JSON_TEXT);
        if (!is_given && !s->otherwise) continue;
        hwi_buf_printf(b, "%s\"%s\":", comma, s->key);
        comma = ",";
        if (is_given) {
            hwi_json_write(b, j);
        } else {
            hwi_buf_text(b, s->otherwise);
        }
    }
    for (const hwi_json *j = given ? given->child : NULL; j; j = j->next) {
        if (hwi_setting_find(settings, j->key)) continue;
        hwi_buf_text(b, comma);
        hwi_json_write_text(b, j->key, j->key_bytes);
        hwi_buf_text(b, ":");
        hwi_json_write(b, j);
        comma = ",";
    }
    hwi_buf_text(b, *comma == '{' ? "{}" : "}");
}
