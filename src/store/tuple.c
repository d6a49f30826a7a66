/* tuple.c - the tuple encoding of keys, FoundationDB's, in the part we use.
 *
 *     00            null
 *     01 ... 00     bytes, a zero byte inside written as 00 FF
 *     02 ... 00     UTF-8 text, likewise
 *     0C .. 13      negative integer of 8 .. 1 bytes: value + 256^n - 1, big-endian
 *     14            the integer 0
 *     15 .. 1C      positive integer of 1 .. 8 bytes, big-endian
 *     21            double: big-endian bits, sign flipped, all bits flipped when negative
 *     26, 27        false, true
 *     30            UUID, 16 bytes
 *
 * Comparing encoded keys with memcmp compares the tuples: by type, then by value, then by length.
 * The 00 that ends a string sorts below its own escape 00 FF, which makes "a" sort before "a\0b".
 *
 * We could have kept fixed-width big-endian integers, as most LMDB programs do. Tuples cost a few
 * branches but keep small keys small (a leaf page's key is 9 bytes and not 24), carry their types,
 * so that `check` and a human can read them, and are the keys FoundationDB's own tools expect.
 */
#include "store/tuple.h"

enum {
    CODE_NULL = 0x00,
    CODE_BYTES = 0x01,
    CODE_TEXT = 0x02,
    CODE_INT_FIRST = 0x0c,
    CODE_ZERO = 0x14,
    CODE_INT_LAST = 0x1c,
    CODE_F64 = 0x21,
    CODE_FALSE = 0x26,
    CODE_TRUE = 0x27,
    CODE_UUID = 0x30,
    CODE_STAMP = 0x33
};

_Static_assert(2 + 2 * HW_ID_TEXT_MAX < HWI_KEY_ROOM, "any id fits a key builder");

/* ---- building */

/* Room for `bytes` more, or NULL. A key that outgrew its room stays full, hence refused by put. */
static uint8_t *
grow(hwi_key *k, size_t bytes)
{
    if (bytes > HWI_KEY_ROOM - k->size) {
        memset(k->data + k->size, 0xff, HWI_KEY_ROOM - k->size);
        k->size = HWI_KEY_ROOM;
        return NULL;
    }
    uint8_t *at = k->data + k->size;
    k->size += bytes;
    return at;
}

static void
add_byte(hwi_key *k, uint8_t byte)
{
    uint8_t *at = grow(k, 1);
    if (at) *at = byte;
}

static void
put_big_endian(uint8_t *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) at[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static unsigned
bytes_needed(uint64_t v)
{
    unsigned n = 0;
    for (; v; v >>= 8) n++;
    return n;
}

void
hwi_key_null(hwi_key *k)
{
    add_byte(k, CODE_NULL);
}

void
hwi_key_uint(hwi_key *k, uint64_t v)
{
    unsigned n = bytes_needed(v);
    uint8_t *at = grow(k, 1 + n);
    if (!at) return;

    at[0] = (uint8_t)(CODE_ZERO + n);
    put_big_endian(at + 1, v, n);
}

void
hwi_key_int(hwi_key *k, int64_t v)
{
    if (v >= 0) {
        hwi_key_uint(k, (uint64_t)v);
        return;
    }
    uint64_t magnitude = 0 - (uint64_t)v;
    unsigned n = bytes_needed(magnitude);
    uint8_t *at = grow(k, 1 + n);
    if (!at) return;

    at[0] = (uint8_t)(CODE_ZERO - n);
    put_big_endian(at + 1, ~magnitude, n); /* 256^n - 1 - magnitude, in n bytes */
}

void
hwi_key_bool(hwi_key *k, bool v)
{
    add_byte(k, v ? CODE_TRUE : CODE_FALSE);
}

void
hwi_key_f64(hwi_key *k, double v)
{
    uint64_t bits;
    uint8_t *at = grow(k, 9);
    if (!at) return;

    memcpy(&bits, &v, 8);
    bits = bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
    at[0] = CODE_F64;
    put_big_endian(at + 1, bits, 8);
}

static void
add_string(hwi_key *k, uint8_t code, const uint8_t *data, size_t bytes)
{
    add_byte(k, code);
    for (size_t i = 0; i < bytes && k->size < HWI_KEY_ROOM; i++) {
        add_byte(k, data[i]);
        if (data[i] == 0) add_byte(k, 0xff);
    }
    add_byte(k, 0);
}

void
hwi_key_bytes(hwi_key *k, const void *data, size_t bytes)
{
    add_string(k, CODE_BYTES, data, bytes);
}

void
hwi_key_text(hwi_key *k, const char *text, size_t bytes)
{
    add_string(k, CODE_TEXT, (const uint8_t *)text, bytes);
}

void
hwi_key_stamp(hwi_key *k)
{
    add_byte(k, CODE_STAMP);
}

void
hwi_key_uuid(hwi_key *k, const uint8_t uuid[16])
{
    uint8_t *at = grow(k, 17);
    if (!at) return;

    at[0] = CODE_UUID;
    memcpy(at + 1, uuid, 16);
}

/* The kind comes first because the type codes alone would sort strings before numbers. */
void
hwi_key_point_id(hwi_key *k, const hw_id *id)
{
    hwi_key_uint(k, (uint64_t)id->kind);
    switch (id->kind) {
    case HW_ID_KIND_U64:
        hwi_key_uint(k, id->as.u64);
        break;
    case HW_ID_KIND_UUID:
        hwi_key_uuid(k, id->as.uuid);
        break;
    case HW_ID_KIND_TEXT:
        hwi_key_text(k, id->as.text, id->text_bytes);
        break;
    }
}

void
hwi_key_raw(hwi_key *k, hw_bytes encoded)
{
    uint8_t *at = grow(k, encoded.size);
    if (at && encoded.size) memcpy(at, encoded.data, encoded.size);
}

hwi_key
hwi_key_range_end_of(hw_bytes prefix)
{
    hwi_key end;
    hwi_key_init(&end);
    hwi_key_raw(&end, prefix);
    if (prefix.size) add_byte(&end, 0xff);
    return end;
}

hwi_key
hwi_key_range_end(const hwi_key *prefix)
{
    return hwi_key_range_end_of(hwi_key_view(prefix));
}

/* ---- reading */

static const char *
kind_text(hwi_key_kind kind)
{
    static const char *const names[] = {
        [HWI_KEY_END] = "the end",  [HWI_KEY_NULL] = "null",
        [HWI_KEY_BYTES] = "bytes",  [HWI_KEY_TEXT] = "text",
        [HWI_KEY_INT] = "integer",  [HWI_KEY_F64] = "double",
        [HWI_KEY_BOOL] = "boolean", [HWI_KEY_UUID] = "uuid",
        [HWI_KEY_STAMP] = "stamp",  [HWI_KEY_UNKNOWN] = "an unknown type code",
    };
    return names[kind];
}

hwi_key_kind
hwi_key_peek(const hwi_key_reader *r)
{
    if (r->at == r->end) return HWI_KEY_END;

    uint8_t code = *r->at;
    if (code >= CODE_INT_FIRST && code <= CODE_INT_LAST) return HWI_KEY_INT;
    switch (code) {
    case CODE_NULL:
        return HWI_KEY_NULL;
    case CODE_BYTES:
        return HWI_KEY_BYTES;
    case CODE_TEXT:
        return HWI_KEY_TEXT;
    case CODE_F64:
        return HWI_KEY_F64;
    case CODE_FALSE:
    case CODE_TRUE:
        return HWI_KEY_BOOL;
    case CODE_UUID:
        return HWI_KEY_UUID;
    case CODE_STAMP:
        return HWI_KEY_STAMP;
    default:
        return HWI_KEY_UNKNOWN;
    }
}

/* The next element is of this kind, and its type code and `bytes` more are there. */
static hw_status
expect(const hwi_key_reader *r, hwi_key_kind kind, size_t bytes, hw_error *err)
{
    hwi_key_kind found = hwi_key_peek(r);
    if (found != kind)
        return hwi_fail(err, HW_ECORRUPT, "key holds %s where %s is expected", kind_text(found),
                        kind_text(kind));
    if ((size_t)(r->end - r->at) < 1 + bytes)
        return hwi_fail(err, HW_ECORRUPT, "key ends inside %s", kind_text(kind));
    return HW_OK;
}

static uint64_t
get_big_endian(const uint8_t *at, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) v = v << 8 | at[i];
    return v;
}

/* Sign and magnitude of an integer. A number written in more bytes than it needs is refused: equal
 * tuples must have equal keys. */
static hw_status
read_integer(hwi_key_reader *r, bool *negative, uint64_t *magnitude, hw_error *err)
{
    HWI_TRY(expect(r, HWI_KEY_INT, 0, err));
    *negative = *r->at < CODE_ZERO;
    unsigned n = (unsigned)(*negative ? CODE_ZERO - *r->at : *r->at - CODE_ZERO);
    HWI_TRY(expect(r, HWI_KEY_INT, n, err));

    uint64_t v = get_big_endian(r->at + 1, n);
    if (*negative) v = ~v & (n == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * n)) - 1);
    if (bytes_needed(v) != n) return hwi_fail(err, HW_ECORRUPT, "key holds a padded integer");
    *magnitude = v;
    r->at += 1 + n;
    return HW_OK;
}

hw_status
hwi_key_read_int(hwi_key_reader *r, int64_t *out, hw_error *err)
{
    hwi_key_reader probe = *r;
    bool negative;
    uint64_t magnitude;

    HWI_TRY(read_integer(&probe, &negative, &magnitude, err));
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return hwi_fail(err, HW_ECORRUPT, "key holds an integer beyond 64 bits");
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    *r = probe;
    return HW_OK;
}

hw_status
hwi_key_read_uint(hwi_key_reader *r, uint64_t *out, hw_error *err)
{
    hwi_key_reader probe = *r;
    bool negative;
    uint64_t magnitude;

    HWI_TRY(read_integer(&probe, &negative, &magnitude, err));
    if (negative) return hwi_fail(err, HW_ECORRUPT, "key holds a negative integer");
    *out = magnitude;
    *r = probe;
    return HW_OK;
}

hw_status
hwi_key_read_u32(hwi_key_reader *r, uint32_t *out, hw_error *err)
{
    hwi_key_reader probe = *r;
    uint64_t v = 0;

    HWI_TRY(hwi_key_read_uint(&probe, &v, err));
    if (v > UINT32_MAX)
        return hwi_fail(err, HW_ECORRUPT, "key holds %llu, above 32 bits", (unsigned long long)v);
    *out = (uint32_t)v;
    *r = probe;
    return HW_OK;
}

hw_status
hwi_key_read_bool(hwi_key_reader *r, bool *out, hw_error *err)
{
    HWI_TRY(expect(r, HWI_KEY_BOOL, 0, err));
    *out = *r->at++ == CODE_TRUE;
    return HW_OK;
}

hw_status
hwi_key_read_f64(hwi_key_reader *r, double *out, hw_error *err)
{
    HWI_TRY(expect(r, HWI_KEY_F64, 8, err));
    uint64_t bits = get_big_endian(r->at + 1, 8);
    bits = bits >> 63 ? bits & ~((uint64_t)1 << 63) : ~bits;
    memcpy(out, &bits, 8);
    r->at += 9;
    return HW_OK;
}

hw_status
hwi_key_read_uuid(hwi_key_reader *r, uint8_t uuid[16], hw_error *err)
{
    HWI_TRY(expect(r, HWI_KEY_UUID, 16, err));
    memcpy(uuid, r->at + 1, 16);
    r->at += 17;
    return HW_OK;
}

/* Unescapes into out, which may be NULL to skip. */
static hw_status
read_string(hwi_key_reader *r, hwi_key_kind kind, uint8_t *out, size_t room, size_t *bytes,
            hw_error *err)
{
    size_t n = 0;

    HWI_TRY(expect(r, kind, 1, err));
    for (const uint8_t *at = r->at + 1; at < r->end; at++) {
        if (*at == 0) {
            if (at + 1 == r->end || at[1] != 0xff) {
                *bytes = n;
                r->at = at + 1;
                return HW_OK;
            }
        }
        if (n == room)
            return hwi_fail(err, HW_ECORRUPT, "key holds a string above %zu bytes", room);
        if (out) out[n] = *at;
        n++;
        if (*at == 0) at++; /* its 0xFF */
    }
    return hwi_fail(err, HW_ECORRUPT, "key ends inside %s", kind_text(kind));
}

hw_status
hwi_key_read_bytes(hwi_key_reader *r, uint8_t *out, size_t room, size_t *bytes, hw_error *err)
{
    return read_string(r, HWI_KEY_BYTES, out, room, bytes, err);
}

hw_status
hwi_key_read_text(hwi_key_reader *r, char *out, size_t room, size_t *bytes, hw_error *err)
{
    return read_string(r, HWI_KEY_TEXT, (uint8_t *)out, room, bytes, err);
}

hw_status
hwi_key_read_point_id(hwi_key_reader *r, hw_id *id, char text[HW_ID_TEXT_MAX], hw_error *err)
{
    hwi_key_reader probe = *r;
    uint32_t kind;
    size_t bytes = 0;
    hw_id found;

    memset(&found, 0, sizeof found);
    HWI_TRY(hwi_key_read_u32(&probe, &kind, err));
    switch (kind) {
    case HW_ID_KIND_U64:
        HWI_TRY(hwi_key_read_uint(&probe, &found.as.u64, err));
        break;
    case HW_ID_KIND_UUID:
        HWI_TRY(hwi_key_read_uuid(&probe, found.as.uuid, err));
        break;
    case HW_ID_KIND_TEXT:
        HWI_TRY(hwi_key_read_text(&probe, text, HW_ID_TEXT_MAX, &bytes, err));
        if (bytes == 0) return hwi_fail(err, HW_ECORRUPT, "key holds an empty string id");
        found.as.text = text;
        found.text_bytes = (uint32_t)bytes;
        break;
    default:
        return hwi_fail(err, HW_ECORRUPT, "key holds an id of unknown kind %u", kind);
    }
    found.kind = (hw_id_kind)kind;
    *id = found;
    *r = probe;
    return HW_OK;
}

hw_status
hwi_key_skip(hwi_key_reader *r, hw_error *err)
{
    bool negative;
    uint64_t magnitude;
    double number;
    size_t bytes;
    uint8_t uuid[16];
    hwi_key_kind kind = hwi_key_peek(r);

    switch (kind) {
    case HWI_KEY_NULL:
    case HWI_KEY_BOOL:
        r->at++;
        return HW_OK;
    case HWI_KEY_INT:
        return read_integer(r, &negative, &magnitude, err);
    case HWI_KEY_F64:
        return hwi_key_read_f64(r, &number, err);
    case HWI_KEY_UUID:
        return hwi_key_read_uuid(r, uuid, err);
    case HWI_KEY_STAMP:
        HWI_TRY(expect(r, HWI_KEY_STAMP, HW_STAMP_BYTES, err));
        r->at += 1 + HW_STAMP_BYTES;
        return HW_OK;
    case HWI_KEY_BYTES:
    case HWI_KEY_TEXT:
        return read_string(r, kind, NULL, SIZE_MAX, &bytes, err);
    case HWI_KEY_END:
    case HWI_KEY_UNKNOWN:
        break;
    }
    return hwi_fail(err, HW_ECORRUPT, "key holds %s where an element is expected", kind_text(kind));
}

hw_status
hwi_key_read_end(const hwi_key_reader *r, hw_error *err)
{
    if (r->at == r->end) return HW_OK;
    return hwi_fail(err, HW_ECORRUPT, "key goes on for %zu bytes after its last element",
                    (size_t)(r->end - r->at));
}
