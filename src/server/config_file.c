/* config_file.c - settings from a YAML file.
 *
 * libyaml gives events; we keep the path of keys that leads to where we are ("storage.wal") and set
 * a key at each scalar. Lists have no meaning in any key of ours; below a key that is passed over
 * they are skipped with it.
 */
#include "config_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#define USUAL_PATH "/etc/hashwood/config.yaml"
#define DEPTH_MAX 8u

typedef struct reader {
    hwi_config *config;
    const char *path;
    void (*warn)(const char *line);
    yaml_parser_t parser;
    char key[256];                /* where we are: "service.http_port" */
    size_t starts[DEPTH_MAX + 1]; /* bytes of `key` that the map at each depth keeps */
    size_t depth;
    bool has_key; /* the next scalar is a value */
    size_t lists; /* open ones, in which nothing is read */
} reader;

static hw_status
set_value(reader *r, const yaml_event_t *event, hw_error *err)
{
    const char *value = (const char *)event->data.scalar.value;
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    char place[512];

    snprintf(place, sizeof place, "%.400s line %zu", r->path, event->start_mark.line + 1);
    if (hwi_config_find(r->key) == NULL && hwi_config_passed_over(r->key)) {
        char line[900];
        snprintf(line, sizeof line, "%s: %s means nothing to hashwood and is passed over", place,
                 r->key);
        if (r->warn) r->warn(line);
        return HW_OK;
    }
    /* `key:` and `key: null` leave the default */
    if (hwi_config_find(r->key) && is_plain &&
        (!value[0] || strcmp(value, "null") == 0 || strcmp(value, "~") == 0))
        return HW_OK;
    return hwi_config_set(r->config, r->key, value, place, err);
}

static hw_status
on_scalar(reader *r, const yaml_event_t *event, hw_error *err)
{
    size_t at = r->depth ? r->starts[r->depth - 1] : 0;
    hw_status st;

    if (r->lists) return HW_OK;
    if (r->has_key) {
        st = set_value(r, event, err);
        r->has_key = false;
        return st;
    }
    if (r->depth == 0) return hwi_fail(err, HW_EINVAL, "%s: not a map of settings", r->path);
    if (at + event->data.scalar.length + 2 > sizeof r->key)
        return hwi_fail(err, HW_EINVAL, "%s line %zu: the key is too long", r->path,
                        event->start_mark.line + 1);
    snprintf(r->key + at, sizeof r->key - at, "%s%s", at ? "." : "",
             (const char *)event->data.scalar.value);
    r->has_key = true;
    return HW_OK;
}

static hw_status
on_map(reader *r, hw_error *err)
{
    if (r->lists) return HW_OK;
    if (r->depth == DEPTH_MAX)
        return hwi_fail(err, HW_EINVAL, "%s: more than %u levels", r->path, DEPTH_MAX);
    r->starts[r->depth++] = r->has_key ? strlen(r->key) : 0;
    r->has_key = false;
    return HW_OK;
}

static hw_status
on_event(reader *r, const yaml_event_t *event, hw_error *err)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event, err);
    case YAML_MAPPING_START_EVENT:
        return on_map(r, err);
    case YAML_MAPPING_END_EVENT:
        if (!r->lists && r->depth) r->depth--;
        return HW_OK;
    case YAML_SEQUENCE_START_EVENT:
        if (!r->lists && !hwi_config_passed_over(r->key))
            return hwi_fail(err, HW_EINVAL, "%s line %zu: %s takes no list", r->path,
                            event->start_mark.line + 1, r->key);
        r->lists++;
        return HW_OK;
    case YAML_SEQUENCE_END_EVENT:
        r->lists--;
        r->has_key = false;
        return HW_OK;
    case YAML_ALIAS_EVENT:
        return hwi_fail(err, HW_EINVAL, "%s line %zu: aliases are not understood", r->path,
                        event->start_mark.line + 1);
    default:
        return HW_OK;
    }
}

static hw_status
read_events(reader *r, hw_error *err)
{
    for (;;) {
        yaml_event_t event;
        bool at_end;
        hw_status st;

        if (!yaml_parser_parse(&r->parser, &event))
            return hwi_fail(err, HW_EINVAL, "%s line %zu: %s", r->path,
                            r->parser.problem_mark.line + 1,
                            r->parser.problem ? r->parser.problem : "not YAML");
        at_end = event.type == YAML_STREAM_END_EVENT;
        st = on_event(r, &event, err);
        yaml_event_delete(&event);
        if (st != HW_OK || at_end) return st;
    }
}

hw_status
hwi_config_read_file(hwi_config *c, const char *path, void (*warn)(const char *line), hw_error *err)
{
    reader r = {.config = c, .path = path ? path : USUAL_PATH, .warn = warn};
    FILE *file = fopen(r.path, "rb");
    hw_status st;

    if (file == NULL && path == NULL && errno == ENOENT) return HW_OK;
    if (file == NULL) return hwi_fail_errno(err, errno, "%s", r.path);
    c->path = hwi_arena_text(&c->arena, r.path, strlen(r.path));
    if (c->path == NULL || !yaml_parser_initialize(&r.parser)) {
        fclose(file);
        return hwi_nomem(err, sizeof r.parser);
    }
    yaml_parser_set_input_file(&r.parser, file);
    st = read_events(&r, err);
    yaml_parser_delete(&r.parser);
    fclose(file);
    return st;
}
