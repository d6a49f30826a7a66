/* json.h - JSON in and out.
 *
 * Reading builds a tree in an arena. simdjson does it behind a C shim (json_shim.cpp); whatever
 * simdjson declines goes to a small careful parser (json_parse.c), which finds the position of the
 * error, or takes what simdjson cannot: integers beyond 64 bits. The two agree on everything else.
 *
 * Numbers keep their kind: an integer that fits int64 or uint64 stays exact (ids), everything else
 * is a double. Immutable once parsed, so a tree may be read by any number of threads.
 */
#ifndef HWI_JSON_H
#define HWI_JSON_H

#ifdef __cplusplus /* for the shim, which cannot read base.h */
#include "hashwood/hashwood.h"
typedef struct hwi_arena hwi_arena;
typedef struct hwi_buf hwi_buf;
extern "C" {
#else
#include "base.h"
#endif

#define HWI_JSON_DEPTH_MAX 64u /* arrays and objects inside each other */

typedef enum hwi_json_kind {
    HWI_JSON_NULL,
    HWI_JSON_BOOL,
    HWI_JSON_INT,
    HWI_JSON_UINT, /* above INT64_MAX */
    HWI_JSON_DOUBLE,
    HWI_JSON_TEXT,
    HWI_JSON_ARRAY,
    HWI_JSON_OBJECT
} hwi_json_kind;

/* A value. Children of arrays and objects are a linked list in document order. Of an array that is
 * packed only the first child is there: its items are read with hwi_json_first and hwi_json_next. */
typedef struct hwi_json {
    hwi_json_kind kind;
    bool boolean;
    bool is_packed;  /* ARRAY */
    int64_t integer; /* INT; UINT: the bits of the uint64 */
    union {
        double number;          /* DOUBLE, and also the value of INT and UINT */
        const uint64_t *packed; /* count numbers, then a byte for the kind of each */
    };
    const char *text;  /* TEXT: NUL-terminated, may contain NULs */
    size_t text_bytes; /* without the terminator */
    const char *key;   /* when the parent is an object: NUL-terminated as well */
    size_t key_bytes;
    size_t count; /* children */
    const struct hwi_json *child, *next;
} hwi_json;

/* Parses one JSON text (RFC 8259) completely. The tree is allocated in `arena` and copies what it
 * needs. HW_EINVAL: "malformed JSON at byte 17: ...", which also tells of nesting above
 * HWI_JSON_DEPTH_MAX, malformed UTF-8, lone surrogates and numbers beyond a double; HW_ENOMEM. Any
 * bytes are safe. */
HW_CHECKED hw_status hwi_json_parse(const char *text, size_t bytes, hwi_arena *arena,
                                    const hwi_json **out, hw_error *err);

/* The same, with arrays of HWI_JSON_PACKED_MIN numbers and more packed where that is easy: 9 bytes a
 * number, not 80. For texts from outside that may be long. */
#define HWI_JSON_PACKED_MIN 4u
HW_CHECKED hw_status hwi_json_parse_packed(const char *text, size_t bytes, hwi_arena *arena,
                                           const hwi_json **out, hw_error *err);

/* The children of a value one by one, packed or not: `for (v = hwi_json_first(&items, j); v; v =
 * hwi_json_next(&items))`. A number out of a packed array is good until the next call. */
typedef struct hwi_json_items {
    const hwi_json *array, *at;
    size_t taken;
    hwi_json number;
} hwi_json_items;
const hwi_json *hwi_json_first(hwi_json_items *items, const hwi_json *of);
const hwi_json *hwi_json_next(hwi_json_items *items);

/* The member of an object (the last one when a key is repeated), or NULL; NULL when not an object
 * or o is NULL. Cost: linear in the members. */
const hwi_json *hwi_json_member(const hwi_json *o, const char *key);

static inline bool
hwi_json_is_number(const hwi_json *j)
{
    return j && (j->kind == HWI_JSON_INT || j->kind == HWI_JSON_UINT || j->kind == HWI_JSON_DOUBLE);
}

/* Fast path: parses `[1, 2.5, ...]` of exactly numbers straight into floats; *count is the number
 * found, also when there are more than `room`, which is HW_EINVAL ("vector has 5 values, expected
 * 3") and the caller's to ask for when there are fewer. A number beyond a float is HW_EINVAL. */
HW_CHECKED hw_status hwi_json_floats(const char *text, size_t bytes, float *out, size_t room,
                                     size_t *count, hw_error *err);

/* Writing: appended to a buffer, always valid JSON. Text is escaped where JSON asks for it and
 * malformed UTF-8 becomes U+FFFD; numbers print as the shortest decimal that reads back as the same
 * float or double; NaN and infinity print as null. A whole double keeps a ".0", so that its kind
 * survives; a float, being part of a vector, does not. */
void hwi_json_write(hwi_buf *b, const hwi_json *value); /* compact */
void hwi_json_write_text(hwi_buf *b, const char *text, size_t bytes);
void hwi_json_write_f32(hwi_buf *b, float v);
void hwi_json_write_f32s(hwi_buf *b, const float *v, size_t count); /* an array */
void hwi_json_write_f64(hwi_buf *b, double v);
void hwi_json_write_id(hwi_buf *b, const hw_id *id); /* number, or string */

/* Reads an id from a JSON number (a whole one, 0 to 2^64 - 1) or string (UUID text becomes a UUID;
 * digits in quotes stay a string); text borrows from the tree. HW_EINVAL. */
HW_CHECKED hw_status hwi_json_id(const hwi_json *j, hw_id *id, hw_error *err);

#ifdef __cplusplus
}
#endif
#endif
