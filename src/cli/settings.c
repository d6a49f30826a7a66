/* settings.c - the JSON that creates a collection, from options. */
#include "settings.h"

#include <stdlib.h>

static bool
is_plain_json(const char *value)
{
    char *end;

    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) return true;
    if (*value != '-' && (*value < '0' || *value > '9')) return false;
    strtod(value, &end);
    return *end == 0;
}

static hw_status
add_index(const char *kind, const cli_list *set, hwi_buf *out, hw_error *err)
{
    bool first = true;

    if (kind == NULL && (set == NULL || set->count == 0)) return HW_OK;
    hwi_buf_text(out, ",\"index\":{");
    if (kind) {
        hwi_buf_printf(out, "\"kind\":\"%s\"", kind);
        first = false;
    }
    for (size_t i = 0; set && i < set->count; i++) {
        char key[64];
        const char *value;

        if (!cli_split(set->items[i], '=', key, sizeof key, &value))
            return hwi_fail(err, HW_EINVAL, "--set is `%s`, expected key=value", set->items[i]);
        hwi_buf_text(out, first ? "" : ",");
        first = false;
        hwi_json_write_text(out, key, strlen(key));
        hwi_buf_text(out, ":");
        if (is_plain_json(value))
            hwi_buf_text(out, value);
        else
            hwi_json_write_text(out, value, strlen(value));
    }
    hwi_buf_text(out, "}");
    return HW_OK;
}

static hw_status
add_payload_indexes(const cli_list *list, hwi_buf *out, hw_error *err)
{
    if (list == NULL || list->count == 0) return HW_OK;
    hwi_buf_text(out, ",\"payload_indexes\":{");
    for (size_t i = 0; i < list->count; i++) {
        char field[HW_NAME_MAX + 1];
        const char *type;

        if (!cli_split(list->items[i], ':', field, sizeof field, &type))
            return hwi_fail(err, HW_EINVAL, "--payload-index is `%s`, expected field:type",
                            list->items[i]);
        hwi_buf_text(out, i ? "," : "");
        hwi_json_write_text(out, field, strlen(field));
        hwi_buf_text(out, ":");
        hwi_json_write_text(out, type, strlen(type));
    }
    hwi_buf_text(out, "}");
    return HW_OK;
}

/* Fields under "vectors" or "sparse_vectors". */
static void
add_fields(const cli_field *fields, size_t count, const char *metric, bool sparse, hwi_buf *out)
{
    bool first = true;

    for (size_t i = 0; i < count; i++) {
        if (fields[i].is_sparse != sparse) continue;
        hwi_buf_text(out, first ? "" : ",");
        first = false;
        hwi_json_write_text(out, fields[i].name, strlen(fields[i].name));
        if (sparse)
            hwi_buf_text(out, ":{}");
        else
            hwi_buf_printf(
                out, ":{\"dim\":%u,\"metric\":\"%s\"%s}", fields[i].dim, metric,
                fields[i].is_multi ? ",\"multivector_config\":{\"comparator\":\"max_sim\"}" : "");
    }
}

static bool
has_sparse(const cli_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].is_sparse) return true;
    return false;
}

hw_status
cli_settings_json(const cli_field *fields, size_t count, const cli_settings *settings, hwi_buf *out,
                  hw_error *err)
{
    const char *metric = settings->metric;

    if (count == 1 && fields[0].name[0] == 0 && !fields[0].is_multi && !fields[0].is_sparse) {
        hwi_buf_printf(out, "{\"dim\":%u,\"metric\":\"%s\"", fields[0].dim, metric);
    } else {
        hwi_buf_text(out, "{\"vectors\":{");
        add_fields(fields, count, metric, false, out);
        if (has_sparse(fields, count)) {
            hwi_buf_text(out, "},\"sparse_vectors\":{");
            add_fields(fields, count, metric, true, out);
        }
        hwi_buf_text(out, "}");
    }
    HWI_TRY(add_index(settings->kind, settings->set, out, err));
    HWI_TRY(add_payload_indexes(settings->payload_index, out, err));
    hwi_buf_text(out, "}");
    hwi_buf_add(out, "", 1);
    cli_need(!out->failed);
    return HW_OK;
}

hw_status
cli_settings_create(cli_collection *to, const char *name, const cli_field *fields, size_t count,
                    const cli_settings *settings, hw_error *err)
{
    hwi_buf json = {0};
    hw_status st = cli_settings_json(fields, count, settings, &json, err);

    if (st == HW_OK) st = hw_collection_create(to->db, name, (const char *)json.data, err);
    hwi_buf_release(&json);
    if (st == HW_OK) st = hw_collection_open(to->db, name, &to->c, err);
    return st;
}
