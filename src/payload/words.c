/* words.c - text cut into words, without a table of all of Unicode.
 *
 * Above ASCII everything is part of a word save a few ranges of punctuation, symbols and blanks:
 * guessing wrong there joins a rare mark to its neighbour, which costs a match and nothing else.
 * Lower case covers Latin, Greek, Cyrillic, Armenian and full-width letters. Chinese and Japanese
 * are written without blanks, so each ideograph or kana is a word of its own, and a phrase finds
 * the longer ones. The alternative, ICU, is thirty megabytes and changes its answers with every
 * release, while words end up in stored keys that must keep their meaning. */
#include <stdlib.h>

#include "payload/values.h"
#include "payload/word_rules.h"

typedef struct range {
    uint32_t from, to;
} range;

static bool
in_ranges(uint32_t c, const range *r, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (c >= r[i].from && c <= r[i].to) return true;
    return false;
}

static bool
is_word_char(uint32_t c)
{
    static const range separators[] = {
        {0x80, 0xa9},       {0xab, 0xb1},     {0xb4, 0xb4},     {0xb6, 0xb8},     {0xbb, 0xbb},
        {0xbf, 0xbf},       {0xd7, 0xd7},     {0xf7, 0xf7},     {0x37e, 0x37e},   {0x387, 0x387},
        {0x55a, 0x55f},     {0x589, 0x58a},   {0x5be, 0x5be},   {0x60c, 0x60d},   {0x61b, 0x61f},
        {0x66a, 0x66d},     {0x6d4, 0x6d4},   {0x964, 0x965},   {0x1680, 0x1680}, {0x2000, 0x200b},
        {0x200e, 0x206f},   {0x20a0, 0x20cf}, {0x2190, 0x245f}, {0x2500, 0x2bff}, {0x2e00, 0x2e7f},
        {0x3000, 0x3004},   {0x3008, 0x3020}, {0x3030, 0x3030}, {0x303d, 0x303f}, {0x30a0, 0x30a0},
        {0x30fb, 0x30fb},   {0xe000, 0xf8ff}, {0xfe10, 0xfe1f}, {0xfe30, 0xfe6f}, {0xfeff, 0xfeff},
        {0xff01, 0xff0f},   {0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65}, {0xffe0, 0xffff},
        {0x1f000, 0x1faff},
    };
    if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return !in_ranges(c, separators, HWI_COUNT(separators));
}

static bool
stands_alone(uint32_t c)
{
    static const range alone[] = {
        {0x3040, 0x30ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xf900, 0xfaff}, {0x20000, 0x323af},
    };
    return c >= 0x3040 && in_ranges(c, alone, HWI_COUNT(alone));
}

/* Blocks where capitals and small letters alternate: the capital is even, or odd. */
static bool
is_alternating_capital(uint32_t c)
{
    static const range even[] = {
        {0x100, 0x12f}, {0x132, 0x137},   {0x14a, 0x177},   {0x1de, 0x1ef}, {0x1f8, 0x21f},
        {0x222, 0x233}, {0x370, 0x373},   {0x3d8, 0x3ef},   {0x460, 0x481}, {0x48a, 0x4bf},
        {0x4d0, 0x52f}, {0x1e00, 0x1e95}, {0x1ea0, 0x1eff},
    };
    static const range odd[] = {{0x139, 0x148}, {0x179, 0x17e}, {0x1cd, 0x1dc}, {0x4c1, 0x4ce}};
    return c % 2 == 0 ? in_ranges(c, even, HWI_COUNT(even)) : in_ranges(c, odd, HWI_COUNT(odd));
}

static uint32_t
lower(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c >= 0xc0 && c <= 0xde) return c + 32;
    if (c == 0x130) return 'i';
    if (c == 0x178) return 0xff;
    if (c >= 0x100 && c < 0x370) return is_alternating_capital(c) ? c + 1 : c;
    if (c == 0x386) return 0x3ac;
    if (c >= 0x388 && c <= 0x38a) return c + 37;
    if (c == 0x38c) return 0x3cc;
    if (c == 0x38e || c == 0x38f) return c + 63;
    if (c >= 0x391 && c <= 0x3ab) return c + 32;
    if (c == 0x3c2) return 0x3c3; /* final sigma */
    if (c >= 0x400 && c <= 0x40f) return c + 80;
    if (c >= 0x410 && c <= 0x42f) return c + 32;
    if (c == 0x4c0) return 0x4cf;
    if (c >= 0x531 && c <= 0x556) return c + 48;
    if (c >= 0xff21 && c <= 0xff3a) return c + 32;
    return is_alternating_capital(c) ? c + 1 : c;
}

/* Next code point of what should be UTF-8; a byte that does not fit is a separator of its own. */
static uint32_t
take_char(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    uint32_t c = *p++;
    unsigned more = c < 0xc2 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 0;

    *at = p;
    if (c < 0x80) return c;
    if (more == 0 || (size_t)(end - p) < more) return ' ';
    c &= 0x3fu >> more;
    for (unsigned i = 0; i < more; i++) {
        if ((p[i] & 0xc0) != 0x80) return ' ';
        c = c << 6 | (p[i] & 0x3fu);
    }
    *at = p + more;
    return c;
}

static size_t
put_char(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    for (size_t i = more; i > 0; i--, c >>= 6) out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[more] | c);
    return more + 1;
}

/* ---- cutting */

void
hwi_words_init(hwi_words *w, const hwi_word_rules *rules, const char *text, size_t bytes)
{
    w->rules = rules;
    w->is_query = false;
    w->at = (const uint8_t *)text;
    w->end = w->at + bytes;
    w->bytes = w->whole = 0;
}

/* Appends a character unless the word is full; then it stays cut at a whole character. */
static void
append(hwi_words *w, uint32_t c, bool *full)
{
    uint8_t utf8[4];
    size_t n = put_char(utf8, c);

    *full = *full || w->bytes + n > HWI_WORD_MAX;
    if (*full) return;
    memcpy(w->word + w->bytes, utf8, n);
    w->bytes += n;
}

static void
append_by_rules(hwi_words *w, uint32_t c, bool *full)
{
    const hwi_word_rules *r = w->rules;
    const char *plain;

    if (!r || !r->keeps_case) c = lower(c);
    plain = r && r->folds ? hwi_letter_folded(c) : NULL;
    if (!plain) {
        append(w, c, full);
        return;
    }
    for (; *plain; plain++) append(w, (uint32_t)(unsigned char)*plain, full);
}

static bool
is_blank(uint32_t c)
{
    return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* The next word as the text has it. */
static bool
cut(hwi_words *w)
{
    bool full = false, by_blanks = w->rules && w->rules->tokenizer == HWI_TOKENS_WHITESPACE;

    w->bytes = 0;
    while (w->at < w->end) {
        const uint8_t *before = w->at;
        uint32_t c = take_char(&w->at, w->end);
        bool alone = !by_blanks && stands_alone(c);
        if (alone && w->bytes > 0) {
            w->at = before;
            return true;
        }
        if (by_blanks ? is_blank(c) : !is_word_char(c)) {
            if (w->bytes > 0) return true;
            continue;
        }
        append_by_rules(w, c, &full);
        if (alone) return true;
    }
    return w->bytes > 0;
}

/* ---- rules about words */

/* Bytes of the first `chars` characters of the word; *has: how many it has, at most that. */
static size_t
bytes_of(const uint8_t *word, size_t bytes, uint32_t chars, uint32_t *has)
{
    size_t at = 0;

    *has = 0;
    while (at < bytes && *has < chars) {
        at++;
        while (at < bytes && (word[at] & 0xc0) == 0x80) at++;
        (*has)++;
    }
    return at;
}

static int
compare_stopword(const void *key, const void *item)
{
    const hwi_words *w = key;
    const char *stop = *(const char *const *)item;
    size_t bytes = strlen(stop);
    int c = memcmp(w->word, stop, HWI_MIN(w->bytes, bytes));
    return c != 0 ? c : (w->bytes > bytes) - (w->bytes < bytes);
}

static bool
is_stopword(const hwi_words *w)
{
    const hwi_word_rules *r = w->rules;
    return r->stopword_count > 0 && bsearch(w, r->stopwords, r->stopword_count,
                                            sizeof *r->stopwords, compare_stopword) != NULL;
}

/* The shortest beginning of a word just cut, or for a query the longest; false when there is none. */
static bool
begin_prefixes(hwi_words *w)
{
    const hwi_word_rules *r = w->rules;
    uint32_t has;
    size_t most = bytes_of(w->word, w->bytes, r->most ? r->most : UINT32_MAX, &has);

    if (has < HWI_MAX(r->least, 1u)) return false;
    w->whole = most;
    w->bytes = w->is_query ? most : bytes_of(w->word, most, HWI_MAX(r->least, 1u), &has);
    return true;
}

/* The next longer beginning of the word under way. */
static bool
next_prefix(hwi_words *w)
{
    uint32_t one;

    if (w->is_query || w->bytes >= w->whole) return false;
    w->bytes += bytes_of(w->word + w->bytes, w->whole - w->bytes, 1, &one);
    return true;
}

static bool
next_by_rules(hwi_words *w)
{
    const hwi_word_rules *r = w->rules;
    uint32_t has;

    if (w->whole > 0 && next_prefix(w)) return true;
    w->whole = 0;
    while (cut(w)) {
        if (is_stopword(w)) continue;
        if (r->tokenizer == HWI_TOKENS_PREFIX) {
            if (begin_prefixes(w)) return true;
            continue;
        }
        bytes_of(w->word, w->bytes, UINT32_MAX, &has);
        if (has >= r->least && (r->most == 0 || has <= r->most)) return true;
    }
    return false;
}

bool
hwi_words_next(hwi_words *w)
{
    return w->rules ? next_by_rules(w) : cut(w);
}
