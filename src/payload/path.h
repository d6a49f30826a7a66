/* path.h - payload paths: "a.b", "tags[].name", "list[0]", "\"a.b\".c".
 *
 * Immutable once parsed; safe to share.
 */
#ifndef HWI_PATH_H
#define HWI_PATH_H

#include "base/json.h"

#define HWI_PATH_STEPS_MAX 64u
#define HWI_PATH_BYTES_MAX 1024u

typedef enum hwi_step_kind { HWI_STEP_KEY, HWI_STEP_INDEX, HWI_STEP_ALL } hwi_step_kind;

typedef struct hwi_step {
    hwi_step_kind kind;
    const char *key; /* KEY */
    size_t key_bytes;
    uint64_t index; /* INDEX */
} hwi_step;

typedef struct hwi_path {
    const hwi_step *steps;
    size_t count;
    const char *text; /* canonical: equal paths have equal text; NUL-terminated */
    bool fans_out;    /* has a [] step, so it may lead to several values */
} hwi_path;

/* Parses a path; allocated in arena. HW_EINVAL says where: "path `a..b`: expected a key at byte 2".
 */
HW_CHECKED hw_status hwi_path_parse(const char *text, size_t bytes, hwi_arena *arena,
                                    const hwi_path **out, hw_error *err);

/* Calls fn with every value the path leads to, in document order, until it returns false. `root`
 * may be NULL. Returns false when fn did. No allocation. */
typedef bool (*hwi_path_fn)(void *arg, const hwi_json *value);
bool hwi_path_walk(const hwi_path *path, const hwi_json *root, hwi_path_fn fn, void *arg);

/* Member of an object by key of any bytes, the last one when repeated; NULL if there is none. */
const hwi_json *hwi_path_member(const hwi_json *object, const char *key, size_t bytes);

#endif
