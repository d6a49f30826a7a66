/* json.h - JSON in and out. Reading is simdjson behind a C shim (json_shim.cpp); the tree lives in
 * an arena.
 *
 * Numbers keep their kind: an integer that fits int64 or uint64 stays exact (ids), everything else
 * is a double.
 */
#ifndef HWI_JSON_H
#define HWI_JSON_H

#include "base.h"

#define HWI_JSON_DEPTH_MAX 64u

typedef enum hwi_json_kind {
    HWI_JSON_NULL,
    HWI_JSON_BOOL,
    HWI_JSON_INT,
    HWI_JSON_UINT /* above INT64_MAX */,
    HWI_JSON_DOUBLE,
    HWI_JSON_TEXT,
    HWI_JSON_ARRAY,
    HWI_JSON_OBJECT
} hwi_json_kind;

/* A value. Children of arrays and objects are a linked list in document order. */
typedef struct hwi_json {
    hwi_json_kind kind;
    bool boolean;
    int64_t integer;  /* INT; UINT: the bits of the uint64 */
    double number;    /* DOUBLE, and also the value of INT and UINT */
    const char *text; /* TEXT: NUL-terminated, may contain NULs */
    size_t text_bytes;
    const char *key; /* when the parent is an object */
    size_t key_bytes;
    size_t count; /* children */
    const struct hwi_json *child, *next;
} hwi_json;

/* Parses one JSON text completely. The tree is allocated in `arena` and copies what it needs.
 * HW_EINVAL: "malformed JSON at byte 17: ..."; nesting above HWI_JSON_DEPTH_MAX; HW_ENOMEM. Any
 * bytes are safe. */
HW_CHECKED hw_status hwi_json_parse(const char *text, size_t bytes, hwi_arena *arena,
                                    const hwi_json **out, hw_error *err);

/* The member of an object (the last one when a key is repeated), or NULL; NULL when not an object
 * or o is NULL. */
const hwi_json *hwi_json_member(const hwi_json *o, const char *key);

static inline bool
hwi_json_is_number(const hwi_json *j)
{
    return j && (j->kind == HWI_JSON_INT || j->kind == HWI_JSON_UINT || j->kind == HWI_JSON_DOUBLE);
}

/* Fast path: parses `[1, 2.5, ...]` of exactly numbers straight into floats; *count is the number
 * found. At most `room` are written; more is HW_EINVAL with both counts, "vector has %zu values,
 * expected %zu". */
HW_CHECKED hw_status hwi_json_floats(const char *text, size_t bytes, float *out, size_t room,
                                     size_t *count, hw_error *err);

/* Writing: appended to a buffer. Strings are escaped; floats print as the shortest decimal that
 * reads back; NaN and infinity print as null. */
void hwi_json_write(hwi_buf *b, const hwi_json *value); /* compact */
void hwi_json_write_text(hwi_buf *b, const char *text, size_t bytes);
void hwi_json_write_f32(hwi_buf *b, float v);
void hwi_json_write_f64(hwi_buf *b, double v);
void hwi_json_write_id(hwi_buf *b, const hw_id *id); /* number, or string */

/* Reads an id from a JSON number or string (UUID text becomes a UUID); text borrows from the tree.
 */
HW_CHECKED hw_status hwi_json_id(const hwi_json *j, hw_id *id, hw_error *err);

#endif
