/* id.c - point ids as people write them.
 *
 * Three kinds share one notation: 42 is a number, 8-4-4-4-12 hexadecimal digits are a UUID,
 * anything else is a string. Formatting an id and parsing the result gives back the same point for
 * numbers and UUIDs; a string that looks like one of those keeps its kind only in JSON, where
 * quotes tell.
 *
 * Only a number in its shortest form is read as one: 007, or digits beyond 64 bits, stay strings,
 * so that no two different texts name the same point by accident of their zeros. */
#include "base/base.h"

#include <stdio.h>

/* A number without leading zeros that fits 64 bits. */
static bool
parse_number(const char *text, size_t bytes, uint64_t *out)
{
    uint64_t n = 0;
    if (bytes == 0 || (text[0] == '0' && bytes > 1)) return false;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, digit, &n))
            return false;
    }
    *out = n;
    return true;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* 32 digits, or 8-4-4-4-12, or either behind "urn:uuid:". */
static bool
parse_uuid(const char *text, size_t bytes, uint8_t uuid[16])
{
    static const char urn[] = "urn:uuid:";
    const size_t urn_bytes = sizeof urn - 1;
    if (bytes > urn_bytes && memcmp(text, urn, urn_bytes) == 0) {
        text += urn_bytes;
        bytes -= urn_bytes;
    }
    if (bytes != 32 && bytes != 36) return false;
    bool dashed = bytes == 36;
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (dashed && (i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-') return false;
        int high = hex_value(text[at]), low = hex_value(text[at + 1]);
        if (high < 0 || low < 0) return false;
        uuid[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

hw_status
hw_id_parse(const char *text, size_t text_bytes, hw_id *id, hw_error *err)
{
    *id = HW_ID_U64(0);
    if (text_bytes == 0) return hwi_fail(err, HW_EINVAL, "an id must not be empty");
    if (parse_number(text, text_bytes, &id->as.u64)) return HW_OK;

    uint8_t uuid[16];
    if (parse_uuid(text, text_bytes, uuid)) {
        id->kind = HW_ID_KIND_UUID;
        memcpy(id->as.uuid, uuid, sizeof uuid);
        return HW_OK;
    }
    if (text_bytes > HW_ID_TEXT_MAX)
        return hwi_fail(err, HW_EINVAL, "id of %zu bytes is above the maximum %u", text_bytes,
                        HW_ID_TEXT_MAX);
    if (!hwi_utf8_valid(text, text_bytes))
        return hwi_fail(err, HW_EINVAL, "id of %zu bytes is not UTF-8", text_bytes);
    *id =
        (hw_id){.kind = HW_ID_KIND_TEXT, .text_bytes = (uint32_t)text_bytes, .as = {.text = text}};
    return HW_OK;
}

static size_t
format_uuid(const uint8_t uuid[16], char *out)
{
    static const char digits[] = "0123456789abcdef";
    char *p = out;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *p++ = '-';
        *p++ = digits[uuid[i] >> 4];
        *p++ = digits[uuid[i] & 15];
    }
    *p = '\0';
    return (size_t)(p - out);
}

size_t
hw_id_format(const hw_id *id, char *out)
{
    switch (id->kind) {
    case HW_ID_KIND_U64:
        return (size_t)snprintf(out, HW_ID_TEXT_MAX + 1, "%llu", (unsigned long long)id->as.u64);
    case HW_ID_KIND_UUID:
        return format_uuid(id->as.uuid, out);
    case HW_ID_KIND_TEXT:
        break;
    }
    size_t bytes = HWI_MIN((size_t)id->text_bytes, (size_t)HW_ID_TEXT_MAX);
    if (bytes) memcpy(out, id->as.text, bytes);
    out[bytes] = '\0';
    return bytes;
}

int
hw_id_compare(const hw_id *a, const hw_id *b)
{
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->kind == HW_ID_KIND_U64) return (a->as.u64 > b->as.u64) - (a->as.u64 < b->as.u64);
    if (a->kind == HW_ID_KIND_UUID) return memcmp(a->as.uuid, b->as.uuid, sizeof a->as.uuid);
    size_t shared = HWI_MIN(a->text_bytes, b->text_bytes);
    int order = shared ? memcmp(a->as.text, b->as.text, shared) : 0;
    return order ? order : (a->text_bytes > b->text_bytes) - (a->text_bytes < b->text_bytes);
}
