/* settings.h - options that say what a collection shall be like: create, import --create, bench. */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "cli.h"

#define CLI_METRICS "cosine|l2|dot|l1"
#define CLI_KINDS "hybrid|kdtree|lsh|flat"
#define CLI_PIX_TYPES "keyword|integer|float|bool|datetime|geo|uuid|text"

/* Dimension of each vector; name "" for the unnamed one. */
typedef struct cli_field {
    const char *name;
    uint32_t dim;
    bool is_multi, is_sparse;
} cli_field;

/* What options say beside the fields; all but metric may be NULL. */
typedef struct cli_settings {
    const char *metric, *kind;
    const cli_list *set;           /* key=value for `index` */
    const cli_list *payload_index; /* field:type */
} cli_settings;

/* Appends the JSON of hw_collection_create. HW_EINVAL names the option that is malformed. */
hw_status cli_settings_json(const cli_field *fields, size_t count, const cli_settings *settings,
                            hwi_buf *out, hw_error *err);

/* Creates the collection and opens it. */
hw_status cli_settings_create(cli_collection *to, const char *name, const cli_field *fields,
                              size_t count, const cli_settings *settings, hw_error *err);

#endif
