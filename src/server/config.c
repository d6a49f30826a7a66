/* config.c - the table of keys, and values from text: environment, flags, file.
 *
 * Every source is text in the end: a flag's word, a variable's value, a scalar of the file. So there
 * is one function that sets a key, and one place where a value is judged.
 *
 * A key that nobody knows is an error that names the nearest known one: a misspelt api_key that went
 * unnoticed would leave a server open. Only what Qdrant knows and hashwood has no use for is passed
 * over, with a remark, so that its files and variables can be kept.
 */
#include "config_impl.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define HWI_CONFIG_ROW(section, key, type, flag, otherwise, low, high, shared, secret, value,      \
                       help)                                                                       \
    {#section "." #key,                                                                            \
     flag,                                                                                         \
     HWI_CONFIG_TYPE_##type,                                                                       \
     offsetof(hwi_config, section##_##key),                                                        \
     otherwise,                                                                                    \
     low,                                                                                          \
     high,                                                                                         \
     shared,                                                                                       \
     secret,                                                                                       \
     value,                                                                                        \
     help},
const hwi_config_key hwi_config_keys[] = {HWI_CONFIG_KEYS(HWI_CONFIG_ROW){0}};

/* Other spellings, Qdrant's. */
static const struct {
    const char *name, *key;
} other_names[] = {{"log_level", "log.level"}, {"logger.format", "log.format"}};

/* What Qdrant's files say and what means nothing here; a dot at the end: all below. */
static const char *const passed_over[] = {"service.grpc_port",
                                          "service.metrics_port",
                                          "service.http_client_disconnect_timeout_sec",
                                          "service.enforce_internal_auth",
                                          "service.hide_jwt_dashboard",
                                          "service.static_content_dir",
                                          "service.hardware_reporting",
                                          "service.enable_snapshot_url_recovery",
                                          "tls.cert_ttl",
                                          "storage.snapshots_config.",
                                          "storage.temp_path",
                                          "storage.on_disk_payload",
                                          "storage.update_concurrency",
                                          "storage.wal.",
                                          "storage.node_type",
                                          "storage.performance.",
                                          "storage.optimizers.",
                                          "storage.hnsw_index.",
                                          "storage.shard_transfer_method",
                                          "storage.collection.",
                                          "storage.max_collections",
                                          "storage.update_queue_size",
                                          "storage.handle_collection_load_errors",
                                          "storage.recovery_mode",
                                          "storage.async_scorer",
                                          "logger.",
                                          "cluster.",
                                          "debugger.",
                                          "inference.",
                                          "gpu.",
                                          "feature_flags.",
                                          "audit.",
                                          "telemetry_disabled",
                                          "run_mode"};

const hwi_config_key *
hwi_config_find(const char *name)
{
    for (size_t i = 0; i < HWI_COUNT(other_names); i++)
        if (strcasecmp(other_names[i].name, name) == 0) name = other_names[i].key;
    for (const hwi_config_key *k = hwi_config_keys; k->name; k++)
        if (strcasecmp(k->name, name) == 0) return k;
    return NULL;
}

bool
hwi_config_passed_over(const char *name)
{
    for (size_t i = 0; i < HWI_COUNT(passed_over); i++) {
        size_t bytes = strlen(passed_over[i]);
        bool below = passed_over[i][bytes - 1] == '.';
        if (below ? strncasecmp(name, passed_over[i], bytes) == 0
                  : strcasecmp(name, passed_over[i]) == 0)
            return true;
    }
    return false;
}

/* Steps of adding, dropping and changing a letter from one word to the other; words are short. */
static size_t
edits(const char *a, const char *b)
{
    size_t row[129], b_bytes = HWI_MIN(strlen(b), HWI_COUNT(row) - 1);

    for (size_t j = 0; j <= b_bytes; j++) row[j] = j;
    for (size_t i = 0; a[i] && i < HWI_COUNT(row); i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_bytes; j++) {
            size_t changed = corner + (a[i] != b[j]);
            corner = row[j + 1];
            row[j + 1] = HWI_MIN(changed, HWI_MIN(corner, row[j]) + 1);
        }
    }
    return row[b_bytes];
}

hw_status
hwi_config_unknown(const char *name, const char *place, hw_error *err)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;

    for (const hwi_config_key *k = hwi_config_keys; k->name; k++) {
        const char *dot = strchr(k->name, '.');
        size_t n = HWI_MIN(edits(name, k->name), edits(name, dot + 1) + 1);
        if (n < least) least = n, nearest = k->name;
    }
    return hwi_fail(err, HW_EINVAL, "%s: unknown key %s, the nearest known one is %s", place, name,
                    nearest);
}

/* ---- Values */

static hw_status
set_number(const hwi_config_key *k, const char *value, const char *place, double *out,
           hw_error *err)
{
    char *end;

    errno = 0;
    *out = strtod(value, &end);
    bool whole = k->type == HWI_CONFIG_TYPE_real || *out == floor(*out);
    if (end == value || *end || errno || !whole || !(*out >= k->low && *out <= k->high))
        return hwi_fail(err, HW_EINVAL, "%s: %s is `%s`, not a %snumber from %.15g to %.15g", place,
                        k->name, value, k->type == HWI_CONFIG_TYPE_real ? "" : "whole ", k->low,
                        k->high);
    return HW_OK;
}

static hw_status
set_flag(const hwi_config_key *k, const char *value, const char *place, bool *out, hw_error *err)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
                                                                                "off", "0"};

    for (size_t i = 0; i < HWI_COUNT(yes); i++) {
        *out = strcasecmp(value, yes[i]) == 0;
        if (*out || strcasecmp(value, no[i]) == 0) return HW_OK;
    }
    return hwi_fail(err, HW_EINVAL, "%s: %s is `%s`, neither true nor false", place, k->name,
                    value);
}

/* Whether one of the words of "a|b|c" is the value, in any case. */
static bool
is_choice(const char *choices, const char *value, const char **out)
{
    for (const char *at = choices; *at;) {
        size_t bytes = strcspn(at, "|");
        if (strlen(value) == bytes && strncasecmp(at, value, bytes) == 0) {
            *out = at;
            return true;
        }
        at += bytes + (at[bytes] == '|');
    }
    return false;
}

static hw_status
set_text(hwi_config *c, const hwi_config_key *k, const char *value, const char *place,
         const char **out, hw_error *err)
{
    const char *text = value;

    if (strchr(k->placeholder, '|') && !is_choice(k->placeholder, value, &text))
        return hwi_fail(err, HW_EINVAL, "%s: %s is `%s`, not one of %s", place, k->name, value,
                        k->placeholder);
    *out = hwi_arena_text(&c->arena, text, strlen(value));
    return *out ? HW_OK : hwi_nomem(err, strlen(value));
}

static hw_status
set_key(hwi_config *c, const hwi_config_key *k, const char *value, const char *place, hw_error *err)
{
    void *at = (char *)c + k->at;
    double number;

    switch (k->type) {
    case HWI_CONFIG_TYPE_text:
        return set_text(c, k, value, place, at, err);
    case HWI_CONFIG_TYPE_flag:
        return set_flag(k, value, place, at, err);
    case HWI_CONFIG_TYPE_real:
        return set_number(k, value, place, at, err);
    case HWI_CONFIG_TYPE_number:
        HWI_TRY(set_number(k, value, place, &number, err));
        *(uint32_t *)at = (uint32_t)number;
        return HW_OK;
    }
    return HW_OK;
}

hw_status
hwi_config_set(hwi_config *c, const char *name, const char *value, const char *place, hw_error *err)
{
    const hwi_config_key *k = hwi_config_find(name);

    return k ? set_key(c, k, value, place, err) : hwi_config_unknown(name, place, err);
}

/* ---- Sources */

static hw_status
set_defaults(hwi_config *c, hw_error *err)
{
    for (const hwi_config_key *k = hwi_config_keys; k->name; k++)
        HWI_TRY(set_key(c, k, k->otherwise, "default", err));
    return HW_OK;
}

/* SERVICE__HTTP_PORT into service.http_port; false when it is too long to be one of ours. */
static bool
name_of_variable(const char *from, size_t bytes, char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < bytes; i++) {
        bool level = i + 1 < bytes && from[i] == '_' && from[i + 1] == '_';
        if (n + 1 >= room) return false;
        out[n++] = level ? '.' : (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
        i += level;
    }
    out[n] = '\0';
    return true;
}

static hw_status
set_variable(hwi_config *c, const char *prefix, bool own, const char *variable,
             void (*warn)(const char *), hw_error *err)
{
    char name[128], place[256];
    const char *value = strchr(variable, '=');
    const hwi_config_key *k;

    if (strncmp(variable, prefix, strlen(prefix)) != 0 || value == NULL) return HW_OK;
    snprintf(place, sizeof place, "%.*s", (int)HWI_MIN(value - variable, 200), variable);
    variable += strlen(prefix);
    if (!name_of_variable(variable, (size_t)(value - variable), name, sizeof name)) return HW_OK;
    k = hwi_config_find(name);
    if (k && (own || k->shared || strncmp(name, "log", 3) == 0))
        return set_key(c, k, value + 1, place, err);
    if (own && !hwi_config_passed_over(name)) return hwi_config_unknown(name, place, err);
    if (warn) {
        char line[400];
        snprintf(line, sizeof line, "%s means nothing to hashwood and is passed over", place);
        warn(line);
    }
    return HW_OK;
}

/* Our own names weigh more than Qdrant's, wherever they stand. */
static hw_status
set_environment(hwi_config *c, char *const *variables, void (*warn)(const char *), hw_error *err)
{
    for (char *const *v = variables; v && *v; v++)
        HWI_TRY(set_variable(c, "QDRANT__", false, *v, warn, err));
    for (char *const *v = variables; v && *v; v++)
        HWI_TRY(set_variable(c, "HASHWOOD__", true, *v, warn, err));
    return HW_OK;
}

static hw_status
set_flags(hwi_config *c, const hwi_config_given *given, hw_error *err)
{
    for (; given && given->name; given++)
        HWI_TRY(hwi_config_set(c, given->name, given->value, "command line", err));
    return HW_OK;
}

static hw_status
check(const hwi_config *c, hw_error *err)
{
    if (c->service_enable_tls && (!c->tls_cert[0] || !c->tls_key[0]))
        return hwi_fail(err, HW_EINVAL, "service.enable_tls needs tls.cert and tls.key");
    if (c->service_verify_https_client_certificate && !c->tls_ca_cert[0])
        return hwi_fail(err, HW_EINVAL,
                        "service.verify_https_client_certificate needs tls.ca_cert");
    if (c->service_jwt_rbac && !c->service_api_key[0])
        return hwi_fail(err, HW_EINVAL,
                        "service.jwt_rbac needs service.api_key, which signs the tokens");
    return HW_OK;
}

hw_status
hwi_config_read(const char *path, char *const *environ_, const hwi_config_given *given,
                void (*warn)(const char *line), hwi_config *out, hw_error *err)
{
    hw_status st;

    *out = (hwi_config){0};
    st = set_defaults(out, err);
    if (st == HW_OK) st = hwi_config_read_file(out, path, warn, err);
    if (st == HW_OK) st = set_environment(out, environ_, warn, err);
    if (st == HW_OK) st = set_flags(out, given, err);
    if (st == HW_OK) st = check(out, err);
    if (st != HW_OK) hwi_config_release(out);
    return st;
}

void
hwi_config_release(hwi_config *c)
{
    hwi_arena_release(&c->arena);
    *c = (hwi_config){0};
}

/* ---- Printing */

static void
print_value(const hwi_config *c, const hwi_config_key *k, hwi_buf *out)
{
    const void *at = (const char *)c + k->at;

    switch (k->type) {
    case HWI_CONFIG_TYPE_text: {
        const char *text = *(const char *const *)at;
        if (k->secret && text[0]) text = "***";
        hwi_json_write_text(out, text, strlen(text)); /* a JSON text is a YAML text too */
        break;
    }
    case HWI_CONFIG_TYPE_number:
        hwi_buf_printf(out, "%u", *(const uint32_t *)at);
        break;
    case HWI_CONFIG_TYPE_real:
        hwi_buf_printf(out, "%g", *(const double *)at);
        break;
    case HWI_CONFIG_TYPE_flag:
        hwi_buf_text(out, *(const bool *)at ? "true" : "false");
        break;
    }
    hwi_buf_text(out, "\n");
}

void
hwi_config_print(const hwi_config *c, hwi_buf *out)
{
    size_t section = 0; /* bytes of the name of the one that is open */

    for (const hwi_config_key *k = hwi_config_keys; k->name; k++) {
        size_t bytes = strcspn(k->name, ".");
        bool same = k != hwi_config_keys && bytes == section &&
                    strncmp(k->name, (k - 1)->name, bytes + 1) == 0;
        if (!same) hwi_buf_printf(out, "%.*s:\n", (int)bytes, k->name);
        section = bytes;
        hwi_buf_printf(out, "  %s: ", k->name + bytes + 1);
        print_value(c, k, out);
    }
}
