/* json_parse.c - the careful JSON parser: the specification that simdjson is compared with.
 *
 * Runs when simdjson declines a text, so mostly to say where and why it is malformed; its speed
 * does not matter. It is a plain recursive descent over bytes, one function per production of RFC
 * 8259, each leaving `at` behind what it took. Recursion is bounded by HWI_JSON_DEPTH_MAX.
 *
 * Every error names the offset of the first byte that cannot be part of a JSON text (of a malformed
 * number, where it begins), or the length when the text ends too early. */
#include "base/json_shim.h"

typedef struct cursor {
    const char *text;
    size_t bytes, at;
    unsigned depth;
    hwi_arena *arena;
    hw_error *err;
} cursor;

static hw_status parse_value(cursor *c, hwi_json *node);

static hw_status
malformed(cursor *c, size_t at, const char *what)
{
    if (at >= c->bytes) what = "the text ends too early";
    return hwi_fail(c->err, HW_EINVAL, "malformed JSON at byte %zu: %s", at, what);
}

static bool
is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static int
peek(const cursor *c)
{
    return c->at < c->bytes ? (uint8_t)c->text[c->at] : -1;
}

static int
peek_past_space(cursor *c)
{
    for (;;) {
        int byte = peek(c);
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r') return byte;
        c->at++;
    }
}

/* ---- Numbers ---- */

static size_t
skip_digits(const char *text, size_t bytes, size_t at)
{
    while (at < bytes && is_digit(text[at])) at++;
    return at;
}

size_t
hwi_json_number_bytes(const char *text, size_t bytes, bool *whole)
{
    size_t at = bytes > 0 && text[0] == '-' ? 1 : 0;
    size_t first = at;
    at = skip_digits(text, bytes, at);
    *whole = true;
    if (at == first || (at > first + 1 && text[first] == '0')) return 0;

    if (at < bytes && text[at] == '.') {
        first = at + 1;
        at = skip_digits(text, bytes, first);
        *whole = false;
        if (at == first) return 0;
    }
    if (at < bytes && (text[at] == 'e' || text[at] == 'E')) {
        first = at + 1;
        if (first < bytes && (text[first] == '+' || text[first] == '-')) first++;
        at = skip_digits(text, bytes, first);
        *whole = false;
        if (at == first) return 0;
    }
    return at;
}

/* The digits as a 64-bit number; false when they are more than that. */
static bool
read_u64(const char *text, size_t bytes, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < bytes; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, digit, &n))
            return false;
    }
    *out = n;
    return true;
}

bool
hwi_json_number(const char *text, size_t bytes, bool whole, hwi_json *node)
{
    bool negative = text[0] == '-';
    uint64_t n;
    if (whole && read_u64(text + negative, bytes - negative, &n)) {
        uint64_t largest = (uint64_t)INT64_MAX + negative;
        if (n <= largest) {
            node->kind = HWI_JSON_INT;
            node->integer = (int64_t)(negative ? 0 - n : n);
            node->number = (double)node->integer;
            return true;
        }
        if (!negative) {
            node->kind = HWI_JSON_UINT;
            node->integer = (int64_t)n;
            node->number = (double)n;
            return true;
        }
    }
    node->kind = HWI_JSON_DOUBLE;
    return hwi_json_to_f64(text, bytes, &node->number);
}

static hw_status
parse_number(cursor *c, hwi_json *node)
{
    bool whole;
    const char *text = c->text + c->at;
    size_t bytes = hwi_json_number_bytes(text, c->bytes - c->at, &whole);
    if (bytes == 0) return malformed(c, c->at, "not a number");
    if (!hwi_json_number(text, bytes, whole, node))
        return malformed(c, c->at, "the number is beyond the range of a double");
    c->at += bytes;
    return HW_OK;
}

/* ---- Text ---- */

static bool
parse_hex4(cursor *c, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, c->at++) {
        int byte = peek(c);
        uint32_t digit;
        if (is_digit(byte)) {
            digit = (uint32_t)(byte - '0');
        } else if ((byte | 32) >= 'a' && (byte | 32) <= 'f' && byte > 0) {
            digit = (uint32_t)((byte | 32) - 'a' + 10);
        } else {
            return false;
        }
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

static char *
put_utf8(char *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (char)point;
    } else if (point < 0x800) {
        *out++ = (char)(0xC0 | point >> 6);
        *out++ = (char)(0x80 | (point & 63));
    } else if (point < 0x10000) {
        *out++ = (char)(0xE0 | point >> 12);
        *out++ = (char)(0x80 | (point >> 6 & 63));
        *out++ = (char)(0x80 | (point & 63));
    } else {
        *out++ = (char)(0xF0 | point >> 18);
        *out++ = (char)(0x80 | (point >> 12 & 63));
        *out++ = (char)(0x80 | (point >> 6 & 63));
        *out++ = (char)(0x80 | (point & 63));
    }
    return out;
}

/* \uXXXX, or two of them for a code point above U+FFFF; `at` is behind the first "\u". */
static hw_status
parse_unicode_escape(cursor *c, char **out)
{
    size_t start = c->at - 2;
    uint32_t high, low;
    if (!parse_hex4(c, &high)) return malformed(c, c->at, "expected four hexadecimal digits");
    if (high >= 0xD800 && high <= 0xDFFF) {
        bool follows = high < 0xDC00 && c->at + 2 <= c->bytes && c->text[c->at] == '\\' &&
                       c->text[c->at + 1] == 'u';
        if (!follows) return malformed(c, start, "a surrogate stands alone");
        c->at += 2;
        if (!parse_hex4(c, &low)) return malformed(c, c->at, "expected four hexadecimal digits");
        if (low < 0xDC00 || low > 0xDFFF) return malformed(c, start, "a surrogate stands alone");
        high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    *out = put_utf8(*out, high);
    return HW_OK;
}

static hw_status
parse_escape(cursor *c, char **out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    c->at++; /* the backslash */
    int byte = peek(c);
    if (byte == 'u') {
        c->at++;
        return parse_unicode_escape(c, out);
    }
    const char *known = byte > 0 ? strchr(from, byte) : NULL;
    if (!known) return malformed(c, c->at, "unknown escape");
    *(*out)++ = to[known - from];
    c->at++;
    return HW_OK;
}

/* Offset of the closing quote of the text whose first byte is at `at`; the end if there is none. */
static size_t
find_quote(const cursor *c, size_t at)
{
    while (at < c->bytes && c->text[at] != '"') at += c->text[at] == '\\' ? 2 : 1;
    return HWI_MIN(at, c->bytes);
}

/* Decoded text is never longer than its JSON form, so the room is known beforehand. */
static hw_status
parse_text(cursor *c, const char **text, size_t *text_bytes)
{
    c->at++; /* the opening quote */
    size_t room = find_quote(c, c->at) - c->at + 1;
    char *copy = hwi_arena_alloc(c->arena, room), *out = copy;
    if (!copy) return hwi_nomem(c->err, room);

    for (int byte; (byte = peek(c)) != '"';) {
        if (byte < 0x20) return malformed(c, c->at, "a control character must be escaped");
        if (byte == '\\') {
            HWI_TRY(parse_escape(c, &out));
            continue;
        }
        size_t step = hwi_utf8_step(c->text + c->at, c->bytes - c->at);
        if (step == 0) return malformed(c, c->at, "not UTF-8");
        memcpy(out, c->text + c->at, step);
        out += step;
        c->at += step;
    }
    c->at++;
    *out = '\0';
    *text = copy;
    *text_bytes = (size_t)(out - copy);
    return HW_OK;
}

/* ---- Arrays and objects ---- */

static hw_status
append(cursor *c, hwi_json *parent, hwi_json **last)
{
    hwi_json *child = hwi_arena_alloc(c->arena, sizeof *child);
    if (!child) return hwi_nomem(c->err, sizeof *child);
    *child = (hwi_json){0};
    if (*last) {
        (*last)->next = child;
    } else {
        parent->child = child;
    }
    *last = child;
    parent->count++;
    return HW_OK;
}

static hw_status
parse_member(cursor *c, hwi_json *parent, hwi_json **last)
{
    HWI_TRY(append(c, parent, last));
    if (parent->kind == HWI_JSON_OBJECT) {
        if (peek_past_space(c) != '"') return malformed(c, c->at, "expected a key in quotes");
        HWI_TRY(parse_text(c, &(*last)->key, &(*last)->key_bytes));
        if (peek_past_space(c) != ':') return malformed(c, c->at, "expected ':' after a key");
        c->at++;
    }
    return parse_value(c, *last);
}

static hw_status
parse_container(cursor *c, hwi_json *node, char close)
{
    if (c->depth == HWI_JSON_DEPTH_MAX)
        return hwi_fail(c->err, HW_EINVAL,
                        "malformed JSON at byte %zu: nested deeper than the maximum %u", c->at,
                        HWI_JSON_DEPTH_MAX);
    c->depth++;
    c->at++;
    node->kind = close == ']' ? HWI_JSON_ARRAY : HWI_JSON_OBJECT;
    hwi_json *last = NULL;
    for (int byte = peek_past_space(c); byte != close || last;) {
        HWI_TRY(parse_member(c, node, &last));
        byte = peek_past_space(c);
        if (byte == close) break;
        if (byte != ',')
            return malformed(c, c->at,
                             close == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
        c->at++;
    }
    c->at++;
    c->depth--;
    return HW_OK;
}

static hw_status
parse_word(cursor *c, const char *word)
{
    for (; *word; word++, c->at++)
        if (peek(c) != *word) return malformed(c, c->at, "expected true, false or null");
    return HW_OK;
}

static hw_status
parse_value(cursor *c, hwi_json *node)
{
    switch (peek_past_space(c)) {
    case '{':
        return parse_container(c, node, '}');
    case '[':
        return parse_container(c, node, ']');
    case '"':
        node->kind = HWI_JSON_TEXT;
        return parse_text(c, &node->text, &node->text_bytes);
    case 't':
        node->kind = HWI_JSON_BOOL;
        node->boolean = true;
        return parse_word(c, "true");
    case 'f':
        node->kind = HWI_JSON_BOOL;
        return parse_word(c, "false");
    case 'n':
        return parse_word(c, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return parse_number(c, node);
    default:
        return malformed(c, c->at, "expected a value");
    }
}

hw_status
hwi_json_parse_careful(const char *text, size_t bytes, hwi_arena *arena, const hwi_json **out,
                       hw_error *err)
{
    *out = NULL;
    cursor c = {.text = text, .bytes = bytes, .arena = arena, .err = err};
    hwi_json *root = hwi_arena_alloc(arena, sizeof *root);
    if (!root) return hwi_nomem(err, sizeof *root);
    *root = (hwi_json){0};
    HWI_TRY(parse_value(&c, root));
    if (peek_past_space(&c) != -1) return malformed(&c, c.at, "expected nothing after the value");
    *out = root;
    return HW_OK;
}
