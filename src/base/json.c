/* json.c - JSON as the rest of hashwood uses it: parse, look up, read vectors and ids, write.
 *
 * The tree is read by simdjson or the careful parser (json.h tells which). Vectors in JSON are long
 * arrays of numbers, for which a tree of nodes would be a waste: hwi_json_floats goes from text to
 * floats in one pass. Both ways round a number to double first and then to float, so a vector comes
 * out the same whichever way it came in. */
#include "base/json_shim.h"

#include <math.h>
#include <stdio.h>

static hw_status
parse(const char *text, size_t bytes, bool packs, hwi_arena *arena, const hwi_json **out,
      hw_error *err)
{
    switch (hwi_json_simd(text, bytes, packs, arena, out)) {
    case HWI_JSON_PARSED:
        return HW_OK;
    case HWI_JSON_NO_MEMORY:
        return hwi_nomem(err, bytes);
    case HWI_JSON_DECLINED:
        break;
    }
    return hwi_json_parse_careful(text, bytes, arena, out, err);
}

hw_status
hwi_json_parse(const char *text, size_t bytes, hwi_arena *arena, const hwi_json **out,
               hw_error *err)
{
    return parse(text, bytes, false, arena, out, err);
}

hw_status
hwi_json_parse_packed(const char *text, size_t bytes, hwi_arena *arena, const hwi_json **out,
                      hw_error *err)
{
    return parse(text, bytes, true, arena, out, err);
}

/* ---- Children ---- */

const hwi_json *
hwi_json_first(hwi_json_items *items, const hwi_json *of)
{
    items->array = of && of->is_packed ? of : NULL;
    items->at = of ? of->child : NULL;
    items->taken = 1;
    if (items->array) items->number = (hwi_json){0};
    return items->at;
}

static const hwi_json *
unpack(const hwi_json *array, size_t i, hwi_json *to)
{
    uint64_t bits = array->packed[i];
    to->kind = (hwi_json_kind)((const uint8_t *)(array->packed + array->count))[i];
    to->integer = to->kind == HWI_JSON_DOUBLE ? 0 : (int64_t)bits;
    if (to->kind == HWI_JSON_DOUBLE) {
        memcpy(&to->number, &bits, sizeof bits);
    } else {
        to->number = to->kind == HWI_JSON_UINT ? (double)bits : (double)to->integer;
    }
    return to;
}

const hwi_json *
hwi_json_next(hwi_json_items *items)
{
    if (!items->array) return items->at = items->at->next;
    if (items->taken == items->array->count) return NULL;
    return unpack(items->array, items->taken++, &items->number);
}

const hwi_json *
hwi_json_member(const hwi_json *o, const char *key)
{
    if (!o || o->kind != HWI_JSON_OBJECT) return NULL;
    size_t key_bytes = strlen(key);
    const hwi_json *found = NULL;
    for (const hwi_json *m = o->child; m; m = m->next)
        if (m->key_bytes == key_bytes && memcmp(m->key, key, key_bytes) == 0) found = m;
    return found;
}

/* ---- Vectors ---- */

static size_t
skip_space(const char *text, size_t bytes, size_t at)
{
    while (at < bytes &&
           (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r'))
        at++;
    return at;
}

static hw_status
bad_vector(size_t at, size_t bytes, const char *what, hw_error *err)
{
    if (at >= bytes) what = "the text ends too early";
    return hwi_fail(err, HW_EINVAL, "malformed vector at byte %zu: %s", at, what);
}

/* One number at *at, which moves behind it. */
static hw_status
read_float(const char *text, size_t bytes, size_t *at, float *out, hw_error *err)
{
    bool whole;
    double value;
    size_t size = hwi_json_number_bytes(text + *at, bytes - *at, &whole);
    if (size == 0) return bad_vector(*at, bytes, "expected a number", err);
    /* Halfway between the largest float and the next that would follow rounds up to infinity. */
    if (!hwi_json_to_f64(text + *at, size, &value) || fabs(value) >= 0x1.ffffffp127)
        return bad_vector(*at, bytes, "the number is beyond the range of a float", err);
    *out = (float)value;
    *at += size;
    return HW_OK;
}

hw_status
hwi_json_floats(const char *text, size_t bytes, float *out, size_t room, size_t *count,
                hw_error *err)
{
    size_t found = 0, at = skip_space(text, bytes, 0);
    *count = 0;
    if (at >= bytes || text[at] != '[') return bad_vector(at, bytes, "expected '['", err);
    at = skip_space(text, bytes, at + 1);
    bool is_empty = at < bytes && text[at] == ']';
    while (!is_empty) {
        float value;
        HWI_TRY(read_float(text, bytes, &at, &value, err));
        if (found < room) out[found] = value;
        found++;
        at = skip_space(text, bytes, at);
        if (at < bytes && text[at] == ']') break;
        if (at >= bytes || text[at] != ',')
            return bad_vector(at, bytes, "expected ',' or ']'", err);
        at = skip_space(text, bytes, at + 1);
    }
    at = skip_space(text, bytes, at + 1);
    if (at < bytes) return bad_vector(at, bytes, "expected nothing after ']'", err);
    *count = found;
    if (found > room)
        return hwi_fail(err, HW_EINVAL, "vector has %zu values, expected %zu", found, room);
    return HW_OK;
}

/* ---- Ids ---- */

hw_status
hwi_json_id(const hwi_json *j, hw_id *id, hw_error *err)
{
    *id = HW_ID_U64(0);
    if (j && ((j->kind == HWI_JSON_INT && j->integer >= 0) || j->kind == HWI_JSON_UINT)) {
        *id = HW_ID_U64((uint64_t)j->integer);
        return HW_OK;
    }
    if (!j || j->kind != HWI_JSON_TEXT)
        return hwi_fail(err, HW_EINVAL, "an id is a number from 0 to 2^64 - 1 or a string");
    HWI_TRY(hw_id_parse(j->text, j->text_bytes, id, err));
    /* "7" in quotes is the string, another point than the number 7. */
    if (id->kind == HW_ID_KIND_U64)
        *id = (hw_id){.kind = HW_ID_KIND_TEXT,
                      .text_bytes = (uint32_t)j->text_bytes,
                      .as = {.text = j->text}};
    return HW_OK;
}

/* ---- Writing ---- */

static void
write_escaped(hwi_buf *b, uint8_t byte)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *known = byte ? strchr(from, byte) : NULL;
    if (known) {
        char pair[2] = {'\\', to[known - from]};
        hwi_buf_add(b, pair, 2);
    } else {
        hwi_buf_printf(b, "\\u%04x", byte);
    }
}

void
hwi_json_write_text(hwi_buf *b, const char *text, size_t bytes)
{
    size_t plain = 0; /* where the bytes not yet written begin */
    hwi_buf_text(b, "\"");
    for (size_t at = 0; at < bytes;) {
        uint8_t byte = (uint8_t)text[at];
        size_t step = byte < 0x80 ? 1 : hwi_utf8_step(text + at, bytes - at);
        if (step > 0 && byte >= 0x20 && byte != '"' && byte != '\\') {
            at += step;
            continue;
        }
        hwi_buf_add(b, text + plain, at - plain);
        if (step == 0) {
            hwi_buf_text(b, "\xEF\xBF\xBD"); /* U+FFFD */
        } else {
            write_escaped(b, byte);
        }
        plain = ++at;
    }
    hwi_buf_add(b, text + plain, bytes - plain);
    hwi_buf_text(b, "\"");
}

void
hwi_json_write_f32(hwi_buf *b, float v)
{
    char text[32];
    if (isfinite(v)) {
        hwi_buf_add(b, text, hwi_json_print_f32(v, text));
    } else {
        hwi_buf_text(b, "null");
    }
}

void
hwi_json_write_f32s(hwi_buf *b, const float *v, size_t count)
{
    hwi_buf_text(b, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) hwi_buf_text(b, ",");
        hwi_json_write_f32(b, v[i]);
    }
    hwi_buf_text(b, "]");
}

void
hwi_json_write_f64(hwi_buf *b, double v)
{
    char text[32];
    if (!isfinite(v)) {
        hwi_buf_text(b, "null");
        return;
    }
    size_t size = hwi_json_print_f64(v, text);
    hwi_buf_add(b, text, size);
    if (!memchr(text, '.', size) && !memchr(text, 'e', size)) hwi_buf_text(b, ".0");
}

void
hwi_json_write_id(hwi_buf *b, const hw_id *id)
{
    if (id->kind == HW_ID_KIND_TEXT) {
        hwi_json_write_text(b, id->as.text, id->text_bytes);
        return;
    }
    char text[HW_ID_TEXT_MAX + 1];
    size_t size = hw_id_format(id, text);
    bool quoted = id->kind == HW_ID_KIND_UUID;
    if (quoted) hwi_buf_text(b, "\"");
    hwi_buf_add(b, text, size);
    if (quoted) hwi_buf_text(b, "\"");
}

static void
write_children(hwi_buf *b, const hwi_json *value)
{
    hwi_json_items items;
    for (const hwi_json *child = hwi_json_first(&items, value); child;
         child = hwi_json_next(&items)) {
        if (child != value->child) hwi_buf_text(b, ",");
        if (value->kind == HWI_JSON_OBJECT) {
            hwi_json_write_text(b, child->key, child->key_bytes);
            hwi_buf_text(b, ":");
        }
        hwi_json_write(b, child); /* as deep as the tree, which the parser bounds */
    }
}

void
hwi_json_write(hwi_buf *b, const hwi_json *value)
{
    switch (value->kind) {
    case HWI_JSON_NULL:
        hwi_buf_text(b, "null");
        break;
    case HWI_JSON_BOOL:
        hwi_buf_text(b, value->boolean ? "true" : "false");
        break;
    case HWI_JSON_INT:
        hwi_buf_printf(b, "%lld", (long long)value->integer);
        break;
    case HWI_JSON_UINT:
        hwi_buf_printf(b, "%llu", (unsigned long long)value->integer);
        break;
    case HWI_JSON_DOUBLE:
        hwi_json_write_f64(b, value->number);
        break;
    case HWI_JSON_TEXT:
        hwi_json_write_text(b, value->text, value->text_bytes);
        break;
    case HWI_JSON_ARRAY:
        hwi_buf_text(b, "[");
        write_children(b, value);
        hwi_buf_text(b, "]");
        break;
    case HWI_JSON_OBJECT:
        hwi_buf_text(b, "{");
        write_children(b, value);
        hwi_buf_text(b, "}");
        break;
    }
}
