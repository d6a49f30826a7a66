/* keys.c - the keys of every subspace, and keys as people read them.
 *
 * Nothing but tuples: the order of elements is what matters. Slots, pages and leaves come last, so
 * that one collection's pages of one kind are a contiguous, ascending range: loading appends, and a
 * scan reads the map from front to back.
 */
#include "store/keys.h"

#include <stdio.h>

static const char *const sub_names[] = {
    [HWI_SUB_META] = "meta",   [HWI_SUB_NAME] = "name",   [HWI_SUB_CONF] = "conf",
    [HWI_SUB_ID] = "id",       [HWI_SUB_REC] = "rec",     [HWI_SUB_SLOT] = "slot",
    [HWI_SUB_VEC] = "vec",     [HWI_SUB_MODEL] = "model", [HWI_SUB_TREE] = "tree",
    [HWI_SUB_LEAF] = "leaf",   [HWI_SUB_PIX] = "pix",     [HWI_SUB_CAL] = "cal",
    [HWI_SUB_COUNT] = "count", [HWI_SUB_STATE] = "state", [HWI_SUB_LOG] = "log",
    [HWI_SUB_JOB] = "job",     [HWI_SUB_LOC] = "loc",     [HWI_SUB_HAS] = "has",
    [HWI_SUB_INV] = "inv",     [HWI_SUB_IDS] = "ids",
};

void
hwi_key_space(hwi_key *k, hwi_sub sub)
{
    hwi_key_init(k);
    hwi_key_uint(k, (uint64_t)sub);
}

void
hwi_key_sub(hwi_key *k, hwi_sub sub, uint32_t coll)
{
    hwi_key_space(k, sub);
    hwi_key_uint(k, coll);
}

void
hwi_key_meta(hwi_key *k)
{
    hwi_key_space(k, HWI_SUB_META);
}

void
hwi_key_next_coll(hwi_key *k)
{
    hwi_key_space(k, HWI_SUB_META);
    hwi_key_uint(k, 1);
}

void
hwi_key_name(hwi_key *k, const char *name, size_t bytes)
{
    hwi_key_space(k, HWI_SUB_NAME);
    hwi_key_text(k, name, bytes);
}

void
hwi_key_id(hwi_key *k, uint32_t coll, const hw_id *id)
{
    hwi_key_sub(k, HWI_SUB_ID, coll);
    hwi_key_point_id(k, id);
}

void
hwi_key_ids(hwi_key *k, uint32_t coll, uint64_t block)
{
    hwi_key_sub(k, HWI_SUB_IDS, coll);
    hwi_key_uint(k, block);
}

void
hwi_key_rec(hwi_key *k, uint32_t coll, uint32_t slot)
{
    hwi_key_sub(k, HWI_SUB_REC, coll);
    hwi_key_uint(k, slot);
}

void
hwi_key_slot(hwi_key *k, uint32_t coll, uint32_t page)
{
    hwi_key_sub(k, HWI_SUB_SLOT, coll);
    hwi_key_uint(k, page);
}

void
hwi_key_vec(hwi_key *k, uint32_t coll, uint32_t field, uint32_t page)
{
    hwi_key_sub(k, HWI_SUB_VEC, coll);
    hwi_key_uint(k, field);
    hwi_key_uint(k, page);
}

static void
generation_key(hwi_key *k, hwi_sub sub, uint32_t coll, uint32_t field, uint32_t generation)
{
    hwi_key_sub(k, sub, coll);
    hwi_key_uint(k, field);
    hwi_key_uint(k, generation);
}

void
hwi_key_model(hwi_key *k, uint32_t coll, uint32_t field, uint32_t generation)
{
    generation_key(k, HWI_SUB_MODEL, coll, field, generation);
}

void
hwi_key_leaf(hwi_key *k, uint32_t coll, uint32_t field, uint32_t generation, uint32_t leaf,
             uint32_t part)
{
    generation_key(k, HWI_SUB_LEAF, coll, field, generation);
    hwi_key_uint(k, leaf);
    hwi_key_uint(k, part);
}

void
hwi_key_cal(hwi_key *k, uint32_t coll, uint32_t field, uint32_t generation)
{
    generation_key(k, HWI_SUB_CAL, coll, field, generation);
}

void
hwi_key_state(hwi_key *k, uint32_t coll, uint32_t field)
{
    hwi_key_sub(k, HWI_SUB_STATE, coll);
    hwi_key_uint(k, field);
}

void
hwi_key_log(hwi_key *k, uint32_t coll, uint32_t field)
{
    hwi_key_sub(k, HWI_SUB_LOG, coll);
    hwi_key_uint(k, field);
    hwi_key_stamp(k);
}

bool
hwi_key_is_transient(hw_bytes key)
{
    hwi_key_reader r;
    uint32_t sub;

    hwi_key_reader_init(&r, key);
    return hwi_key_read_u32(&r, &sub, NULL) == HW_OK && sub == HWI_SUB_LOG;
}

const char *
hwi_sub_text(uint64_t sub)
{
    return sub < HWI_COUNT(sub_names) ? sub_names[sub] : "?";
}

/* ---- keys for people */

/* Text being written into a caller's room, always NUL-terminated, cut when full. */
typedef struct line {
    char *at;
    size_t used, room;
} line;

static void
say(line *l, const char *text)
{
    size_t bytes = HWI_MIN(strlen(text), l->room - 1 - l->used);
    memcpy(l->at + l->used, text, bytes);
    l->used += bytes;
    l->at[l->used] = 0;
}

static void
say_hex(line *l, const uint8_t *data, size_t bytes)
{
    char two[3];
    for (size_t i = 0; i < bytes; i++) {
        snprintf(two, sizeof two, "%02x", data[i]);
        say(l, two);
    }
}

/* Control characters and quotes would break a one-line message. */
static void
say_text(line *l, const char *text, size_t bytes)
{
    char one[5];
    say(l, "\"");
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = c >= 0x20 && c != 0x7f && c != '"' && c != '\\';
        snprintf(one, sizeof one, plain ? "%c" : "\\x%02x", c);
        say(l, one);
    }
    say(l, "\"");
}

/* One element; false when the key does not decode further. */
static bool
say_element(line *l, hwi_key_reader *r)
{
    char number[40];
    uint8_t raw[HWI_KEY_ROOM];
    int64_t i;
    uint64_t u;
    double f;
    size_t bytes;

    switch (hwi_key_peek(r)) {
    case HWI_KEY_INT:
        if (hwi_key_read_uint(r, &u, NULL) == HW_OK)
            snprintf(number, sizeof number, "%llu", (unsigned long long)u);
        else if (hwi_key_read_int(r, &i, NULL) == HW_OK)
            snprintf(number, sizeof number, "%lld", (long long)i);
        else
            return false;
        say(l, number);
        return true;
    case HWI_KEY_F64:
        if (hwi_key_read_f64(r, &f, NULL) != HW_OK) return false;
        snprintf(number, sizeof number, "%.17g", f);
        say(l, number);
        return true;
    case HWI_KEY_TEXT:
        if (hwi_key_read_text(r, (char *)raw, sizeof raw, &bytes, NULL) != HW_OK) return false;
        say_text(l, (const char *)raw, bytes);
        return true;
    case HWI_KEY_BYTES:
        if (hwi_key_read_bytes(r, raw, sizeof raw, &bytes, NULL) != HW_OK) return false;
        say(l, "0x");
        say_hex(l, raw, bytes);
        return true;
    case HWI_KEY_UUID:
        if (hwi_key_read_uuid(r, raw, NULL) != HW_OK) return false;
        say_hex(l, raw, 16);
        return true;
    case HWI_KEY_STAMP:
        if (hwi_key_skip(r, NULL) != HW_OK) return false;
        say(l, "@");
        say_hex(l, r->at - HW_STAMP_BYTES, HW_STAMP_BYTES);
        return true;
    case HWI_KEY_NULL:
        say(l, "null");
        return hwi_key_skip(r, NULL) == HW_OK;
    case HWI_KEY_BOOL:
        say(l, *r->at == 0x27 ? "true" : "false");
        return hwi_key_skip(r, NULL) == HW_OK;
    case HWI_KEY_END:
    case HWI_KEY_UNKNOWN:
        break;
    }
    return false;
}

size_t
hwi_key_print(hw_bytes key, char *out, size_t room)
{
    line l = {out, 0, room};
    hwi_key_reader r;
    uint64_t sub;
    bool first = true;

    if (room == 0) return 0;
    out[0] = 0;
    hwi_key_reader_init(&r, key);
    if (hwi_key_read_uint(&r, &sub, NULL) != HW_OK || sub >= HWI_COUNT(sub_names)) {
        say(&l, "0x");
        say_hex(&l, key.data, key.size);
        return l.used;
    }
    say(&l, hwi_sub_text(sub));
    say(&l, "(");
    while (hwi_key_peek(&r) != HWI_KEY_END) {
        if (!first) say(&l, ", ");
        first = false;
        if (!say_element(&l, &r)) {
            say(&l, "0x");
            say_hex(&l, r.at, (size_t)(r.end - r.at));
            break;
        }
    }
    say(&l, ")");
    return l.used;
}
