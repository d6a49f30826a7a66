/* tuple.h - keys as tuples, encoded so that byte order is tuple order.
 *
 * The encoding is FoundationDB's public tuple layer, so its tools can read our keys: every element
 * starts with a type code (tuple.c lists them), integers take as few bytes as they need, strings
 * end with a zero byte and escape the zeros inside. docs/format.md has the table.
 *
 *     hwi_key k;
 *     hwi_key_init(&k);
 *     hwi_key_uint(&k, 9);
 *     hwi_key_text(&k, "abc", 3);
 *     hwi_store_get(txn, hwi_key_view(&k), &value, err);
 *
 * A builder lives on the stack and never allocates. A key that outgrows it is cut at
 * HWI_KEY_ROOM bytes, which is above key_bytes_max of every store: put then refuses it with
 * HW_ELIMIT and get does not find it, so callers need no check of their own.
 */
#ifndef HWI_TUPLE_H
#define HWI_TUPLE_H

#include "base/base.h"

#define HWI_KEY_ROOM 1024u

typedef struct hwi_key {
    size_t size;
    uint8_t data[HWI_KEY_ROOM];
} hwi_key;

static inline void
hwi_key_init(hwi_key *k)
{
    k->size = 0;
}

/* The bytes so far, borrowed from k. */
static inline hw_bytes
hwi_key_view(const hwi_key *k)
{
    return (hw_bytes){k->data, k->size};
}

/* Back to an earlier length: `size_t mark = k.size; append; use; hwi_key_cut(&k, mark)`. */
static inline void
hwi_key_cut(hwi_key *k, size_t size)
{
    if (size < k->size) k->size = size;
}

/* Each appends one element. Integers of either sign share one order. */
void hwi_key_null(hwi_key *k);
void hwi_key_int(hwi_key *k, int64_t v);
void hwi_key_uint(hwi_key *k, uint64_t v);
void hwi_key_bool(hwi_key *k, bool v);
void hwi_key_f64(hwi_key *k, double v); /* -NaN < -inf < ... < -0 < 0 < ... < inf < NaN */
void hwi_key_bytes(hwi_key *k, const void *data, size_t bytes);
void hwi_key_text(hwi_key *k, const char *text, size_t bytes);
void hwi_key_uuid(hwi_key *k, const uint8_t uuid[16]);
/* Begins an element that hwi_store_put_stamped ends with a stamp (FoundationDB's versionstamp). */
void hwi_key_stamp(hwi_key *k);
/* A point id as two elements, its kind and its value: sorts as hw_id_compare does. */
void hwi_key_point_id(hwi_key *k, const hw_id *id);
/* Encoded bytes as they are: another key's prefix. */
void hwi_key_raw(hwi_key *k, hw_bytes encoded);

/* The end of the range of all tuples that begin with the elements of `prefix` (the prefix itself
 * included): scan from hwi_key_view(prefix) to the view of this. One byte 0xFF is appended, as no
 * type code is 0xFF; plain "last byte plus one" would also take in strings that go on with a zero
 * byte. For an empty prefix: the whole key space. */
hwi_key hwi_key_range_end(const hwi_key *prefix);
/* The same for encoded bytes held elsewhere. */
hwi_key hwi_key_range_end_of(hw_bytes prefix);

/* ---- Reading: any bytes are safe; HW_ECORRUPT when the next element is not what was asked for */

typedef struct hwi_key_reader {
    const uint8_t *at, *end;
} hwi_key_reader;

typedef enum hwi_key_kind {
    HWI_KEY_END, /* nothing left */
    HWI_KEY_NULL,
    HWI_KEY_BYTES,
    HWI_KEY_TEXT,
    HWI_KEY_INT,
    HWI_KEY_F64,
    HWI_KEY_BOOL,
    HWI_KEY_UUID,
    HWI_KEY_STAMP,
    HWI_KEY_UNKNOWN
} hwi_key_kind;

static inline void
hwi_key_reader_init(hwi_key_reader *r, hw_bytes key)
{
    r->at = key.data;
    r->end = key.size ? r->at + key.size : r->at;
}

/* Kind of the next element, without reading it. */
hwi_key_kind hwi_key_peek(const hwi_key_reader *r);

HW_CHECKED hw_status hwi_key_read_int(hwi_key_reader *r, int64_t *out, hw_error *err);
HW_CHECKED hw_status hwi_key_read_uint(hwi_key_reader *r, uint64_t *out, hw_error *err);
HW_CHECKED hw_status hwi_key_read_u32(hwi_key_reader *r, uint32_t *out, hw_error *err);
HW_CHECKED hw_status hwi_key_read_bool(hwi_key_reader *r, bool *out, hw_error *err);
HW_CHECKED hw_status hwi_key_read_f64(hwi_key_reader *r, double *out, hw_error *err);
HW_CHECKED hw_status hwi_key_read_uuid(hwi_key_reader *r, uint8_t uuid[16], hw_error *err);
/* Unescaped into `out` of `room` bytes; more is HW_ECORRUPT. */
HW_CHECKED hw_status hwi_key_read_bytes(hwi_key_reader *r, uint8_t *out, size_t room, size_t *bytes,
                                        hw_error *err);
HW_CHECKED hw_status hwi_key_read_text(hwi_key_reader *r, char *out, size_t room, size_t *bytes,
                                       hw_error *err);
/* What hwi_key_point_id wrote; a string id's text goes to `text` and id borrows it. */
HW_CHECKED hw_status hwi_key_read_point_id(hwi_key_reader *r, hw_id *id, char text[HW_ID_TEXT_MAX],
                                           hw_error *err);
/* One element of any known kind. */
HW_CHECKED hw_status hwi_key_skip(hwi_key_reader *r, hw_error *err);
/* HW_ECORRUPT when anything is left. */
HW_CHECKED hw_status hwi_key_read_end(const hwi_key_reader *r, hw_error *err);

#endif
