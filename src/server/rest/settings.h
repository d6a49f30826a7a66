/* settings.h - the optional settings of a collection: which there are, what they may be, what holds
 * when they are not given.
 *
 * Most mean nothing to hashwood (an HNSW graph, a log, segments); clients send them all the same and
 * expect them checked and given back.
 */
#ifndef HWI_SETTINGS_H
#define HWI_SETTINGS_H

#include "server/request.h"

typedef enum hwi_setting_kind {
    HWI_SETTING_COUNT,  /* whole number, low to high */
    HWI_SETTING_NUMBER, /* any number, low to high */
    HWI_SETTING_BOOL,
    HWI_SETTING_WORD, /* one of words: "a|b|c" */
    HWI_SETTING_COUNT_OR_WORD,
    HWI_SETTING_OBJECT, /* of inner settings */
    HWI_SETTING_MAP,    /* name to object of inner settings */
    HWI_SETTING_CHOICE, /* object with exactly one of the inner settings */
    HWI_SETTING_FREE    /* object of anything */
} hwi_setting_kind;

typedef struct hwi_setting {
    const char *key; /* NULL ends a list */
    hwi_setting_kind kind;
    double low, high;
    const char *words;
    const struct hwi_setting *inner;
    bool required;
    const char *otherwise; /* JSON shown when not given; NULL: not shown */
} hwi_setting;

extern const hwi_setting hwi_settings_collection[]; /* members of PUT /collections/{c} */
extern const hwi_setting hwi_settings_vector[];     /* of one vector, size and distance aside */
extern const hwi_setting hwi_settings_sparse[];     /* of one sparse vector */
extern const hwi_setting hwi_settings_params[];     /* "params" of PATCH */
extern const hwi_setting hwi_settings_field[];      /* field_schema as an object */

/* Checks the members of `o` that the list knows: 400 for a wrong form, 422 out of bounds. `at`: path
 * of o for messages, "" at the top. Members that are null or unknown pass. */
bool hwi_settings_check(hwi_request *r, const char *at, const hwi_json *o,
                        const hwi_setting *settings);

const hwi_setting *hwi_setting_find(const hwi_setting *settings, const char *key);

/* Appends an object: each setting of the list as given, or else its default; then what else was
 * given. `given` may be NULL. */
void hwi_settings_write(hwi_buf *b, const hwi_json *given, const hwi_setting *settings);

#endif
