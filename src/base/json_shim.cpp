/* json_shim.cpp - the only C++ in hashwood: simdjson's tree turned into ours, and floats printed.
 *
 * simdjson parses a few GB/s but frees its tree with its parser, hides it behind C++ templates and
 * tells no position of an error. So its tree is copied at once into the caller's arena as plain
 * structs, and anything it declines is left to json_parse.c. Built without exceptions and run-time
 * types; every simdjson call used here returns an error code.
 *
 * Each thread keeps a parser for texts up to 64 kB, as most requests are: allocating one costs as
 * much as parsing a small text. For larger ones it lives for one call, so that no thread pins memory
 * for the largest text it ever saw. */
#include <algorithm>
#include <charconv>
#include <cstring>
#include <simdjson.h>
#include <string_view>

#include "base/json_shim.h"

extern "C" {
void *hwi_arena_alloc(hwi_arena *a, size_t bytes);
char *hwi_arena_text(hwi_arena *a, const char *text, size_t bytes);
}

namespace
{
using simdjson::dom::element;
using simdjson::dom::element_type;

const size_t NODES_AT_ONCE = 32;          /* less than 4 kB */
const size_t PARSER_KEPT_BYTES = 1 << 16; /* of text */

/* What stays the same all through a text. */
struct target {
    hwi_arena *arena;
    bool packs;
};

/* Fills `node` from `e`; depth counts the containers around it. Recursion is bounded by
 * HWI_JSON_DEPTH_MAX. */
hwi_json_verdict fill(element e, hwi_json *node, const target &to, unsigned depth);

hwi_json *
append(hwi_arena *arena, hwi_json *parent, hwi_json **last)
{
    hwi_json *child = static_cast<hwi_json *>(hwi_arena_alloc(arena, sizeof *child));
    if (!child) return nullptr;
    *child = hwi_json{};
    if (*last)
        (*last)->next = child;
    else
        parent->child = child;
    *last = child;
    parent->count++;
    return child;
}

/* How many items there are, if there are enough to pack and all are numbers; else 0. */
size_t
packable(simdjson::dom::array items)
{
    size_t count = 0;
    if (items.size() < HWI_JSON_PACKED_MIN) return 0;
    for (element item : items) {
        if (!item.is_number()) return 0;
        count++;
    }
    return count;
}

/* Numbers side by side behind their kinds' place; the first is a node as well, so that who expects
 * something else than numbers sees what there is. */
hwi_json_verdict
pack_array(simdjson::dom::array items, size_t count, hwi_json *node, const target &to)
{
    uint64_t *bits = static_cast<uint64_t *>(hwi_arena_alloc(to.arena, count * (sizeof *bits + 1)));
    hwi_json *first = static_cast<hwi_json *>(hwi_arena_alloc(to.arena, sizeof *first));
    if (!bits || !first) return HWI_JSON_NO_MEMORY;
    uint8_t *kinds = reinterpret_cast<uint8_t *>(bits + count);
    *first = hwi_json{};
    node->is_packed = true;
    node->packed = bits;
    node->child = first;
    node->count = count;
    for (element item : items) {
        hwi_json number{};
        hwi_json_verdict verdict = fill(item, &number, to, 0);
        if (verdict != HWI_JSON_PARSED) return verdict;
        *kinds++ = static_cast<uint8_t>(number.kind);
        if (number.kind == HWI_JSON_DOUBLE)
            memcpy(bits++, &number.number, sizeof *bits);
        else
            *bits++ = static_cast<uint64_t>(number.integer);
        if (bits == node->packed + 1) *first = number;
    }
    return HWI_JSON_PARSED;
}

hwi_json_verdict
fill_array(element e, hwi_json *node, const target &to, unsigned depth)
{
    hwi_json *nodes = nullptr;
    size_t left = 0; /* of the nodes, which come by the dozen: vectors are long arrays */
    hwi_json *last = nullptr;
    node->kind = HWI_JSON_ARRAY;
    simdjson::dom::array items = e.get_array().value_unsafe(); /* named, to outlive the loop */
    size_t numbers = to.packs ? packable(items) : 0;
    if (numbers) return pack_array(items, numbers, node, to);
    size_t more = items.size(); /* a lower bound: simdjson stops counting at 2^24 - 1 */
    for (element item : items) {
        if (left == 0) {
            left = more > node->count ? std::min<size_t>(more - node->count, NODES_AT_ONCE) : 1;
            nodes = static_cast<hwi_json *>(hwi_arena_alloc(to.arena, left * sizeof *nodes));
            if (!nodes) return HWI_JSON_NO_MEMORY;
        }
        hwi_json *child = nodes++;
        left--;
        *child = hwi_json{};
        (last ? last->next : node->child) = child;
        last = child;
        node->count++;
        hwi_json_verdict verdict = fill(item, child, to, depth + 1);
        if (verdict != HWI_JSON_PARSED) return verdict;
    }
    return HWI_JSON_PARSED;
}

hwi_json_verdict
fill_object(element e, hwi_json *node, const target &to, unsigned depth)
{
    hwi_json *last = nullptr;
    node->kind = HWI_JSON_OBJECT;
    simdjson::dom::object fields = e.get_object().value_unsafe();
    for (auto field : fields) {
        hwi_json *child = append(to.arena, node, &last);
        if (!child) return HWI_JSON_NO_MEMORY;
        child->key = hwi_arena_text(to.arena, field.key.data(), field.key.size());
        child->key_bytes = field.key.size();
        if (!child->key) return HWI_JSON_NO_MEMORY;
        hwi_json_verdict verdict = fill(field.value, child, to, depth + 1);
        if (verdict != HWI_JSON_PARSED) return verdict;
    }
    return HWI_JSON_PARSED;
}

hwi_json_verdict
fill(element e, hwi_json *node, const target &to, unsigned depth)
{
    switch (e.type()) {
    case element_type::ARRAY:
        return depth < HWI_JSON_DEPTH_MAX ? fill_array(e, node, to, depth) : HWI_JSON_DECLINED;
    case element_type::OBJECT:
        return depth < HWI_JSON_DEPTH_MAX ? fill_object(e, node, to, depth) : HWI_JSON_DECLINED;
    case element_type::INT64:
        node->kind = HWI_JSON_INT;
        node->integer = e.get_int64().value_unsafe();
        node->number = static_cast<double>(node->integer);
        break;
    case element_type::UINT64:
        node->kind = HWI_JSON_UINT;
        node->integer = static_cast<int64_t>(e.get_uint64().value_unsafe());
        node->number = static_cast<double>(e.get_uint64().value_unsafe());
        break;
    case element_type::DOUBLE:
        node->kind = HWI_JSON_DOUBLE;
        node->number = e.get_double().value_unsafe();
        break;
    case element_type::STRING: {
        std::string_view text = e.get_string().value_unsafe();
        node->kind = HWI_JSON_TEXT;
        node->text = hwi_arena_text(to.arena, text.data(), text.size());
        node->text_bytes = text.size();
        return node->text ? HWI_JSON_PARSED : HWI_JSON_NO_MEMORY;
    }
    case element_type::BOOL:
        node->kind = HWI_JSON_BOOL;
        node->boolean = e.get_bool().value_unsafe();
        break;
    case element_type::NULL_VALUE:
        node->kind = HWI_JSON_NULL;
        break;
    }
    return HWI_JSON_PARSED;
}
} // namespace

extern "C" hwi_json_verdict
hwi_json_simd(const char *text, size_t bytes, bool packs, hwi_arena *arena, const hwi_json **out)
{
    *out = nullptr;
    static thread_local simdjson::dom::parser kept;
    simdjson::dom::parser own;
    simdjson::dom::parser &parser = bytes <= PARSER_KEPT_BYTES ? kept : own;
    /* Its own limit is far above ours and only costs memory: 16 bytes a level. */
    if (parser.capacity() < bytes || parser.max_depth() != HWI_JSON_DEPTH_MAX + 2)
        if (parser.allocate(bytes < 1024 ? 1024 : bytes, HWI_JSON_DEPTH_MAX + 2))
            return HWI_JSON_DECLINED;
    element root;
    /* nothing may be a null pointer, which simdjson would copy from */
    if (parser.parse(text ? text : "", bytes, true).get(root)) return HWI_JSON_DECLINED;

    hwi_json *node = static_cast<hwi_json *>(hwi_arena_alloc(arena, sizeof *node));
    if (!node) return HWI_JSON_NO_MEMORY;
    *node = hwi_json{};
    hwi_json_verdict verdict = fill(root, node, {arena, packs}, 0);
    if (verdict == HWI_JSON_PARSED) *out = node;
    return verdict;
}

/* Whether a JSON number that no double is near to is too large rather than too small: from_chars
 * says "out of range" of both. The first digit that is not 0 has a place value 10^place. */
static bool
too_large(std::string_view number)
{
    long place = 0, exponent = 0;
    bool in_fraction = false, found = false, negative = false;
    size_t i = 0;
    for (; i < number.size() && number[i] != 'e' && number[i] != 'E'; i++) {
        char c = number[i];
        if (c == '.') in_fraction = true;
        if (c < '0' || c > '9') continue;
        if (c != '0') found = true;
        if (found && !in_fraction) place++;
        if (!found && in_fraction) place--;
    }
    for (; i < number.size(); i++) {
        char c = number[i];
        if (c == '-') negative = true;
        if (c >= '0' && c <= '9' && exponent < 1000000000) exponent = exponent * 10 + (c - '0');
    }
    return place + (negative ? -exponent : exponent) > 0;
}

extern "C" bool
hwi_json_to_f64(const char *text, size_t bytes, double *out)
{
    std::from_chars_result r = std::from_chars(text, text + bytes, *out);
    if (r.ec == std::errc()) return true;
    if (too_large({text, bytes})) return false;
    *out = text[0] == '-' ? -0.0 : 0.0;
    return true;
}

extern "C" size_t
hwi_json_print_f32(float v, char *out)
{
    return static_cast<size_t>(std::to_chars(out, out + 32, v).ptr - out);
}

extern "C" size_t
hwi_json_print_f64(double v, char *out)
{
    return static_cast<size_t>(std::to_chars(out, out + 32, v).ptr - out);
}
