/* word_rules.c - settings of a text index, read.
 *
 * Qdrant's keys. `multilingual` is `word`: our words know the scripts that have no blanks. Stop words
 * are cut and cased by the very rules they are part of, so that they are found among words. There is
 * no stemmer: who asks for one is told so, since an index that quietly does without finds less. */
#include "payload/word_rules.h"

#include <stdlib.h>

#include "payload/values.h"

/* From U+00C0 on; "": no plain spelling. */
static const char folded[][3] = {
    "A", "A", "A",  "A",  "A", "A", "AE", "C",  "E",  "E", "E", "E", "I",  "I",  "I", "I", "D", "N",
    "O", "O", "O",  "O",  "O", "",  "O",  "U",  "U",  "U", "U", "Y", "TH", "ss", "a", "a", "a", "a",
    "a", "a", "ae", "c",  "e", "e", "e",  "e",  "i",  "i", "i", "i", "d",  "n",  "o", "o", "o", "o",
    "o", "",  "o",  "u",  "u", "u", "u",  "y",  "th", "y", "A", "a", "A",  "a",  "A", "a", "C", "c",
    "C", "c", "C",  "c",  "C", "c", "D",  "d",  "D",  "d", "E", "e", "E",  "e",  "E", "e", "E", "e",
    "E", "e", "G",  "g",  "G", "g", "G",  "g",  "G",  "g", "H", "h", "H",  "h",  "I", "i", "I", "i",
    "I", "i", "I",  "i",  "I", "i", "IJ", "ij", "J",  "j", "K", "k", "q",  "L",  "l", "L", "l", "L",
    "l", "L", "l",  "L",  "l", "N", "n",  "N",  "n",  "N", "n", "n", "N",  "n",  "O", "o", "O", "o",
    "O", "o", "OE", "oe", "R", "r", "R",  "r",  "R",  "r", "S", "s", "S",  "s",  "S", "s", "S", "s",
    "T", "t", "T",  "t",  "T", "t", "U",  "u",  "U",  "u", "U", "u", "U",  "u",  "U", "u", "U", "u",
    "W", "w", "Y",  "y",  "Y", "Z", "z",  "Z",  "z",  "Z", "z", "s",
};

const char *
hwi_letter_folded(uint32_t c)
{
    if (c < 0xc0 || c - 0xc0 >= HWI_COUNT(folded) || !folded[c - 0xc0][0]) return NULL;
    return folded[c - 0xc0];
}

static const char english[] =
    "a about above after again against all am an and any are aren't as at be because been "
    "before being below between both but by can can't cannot could couldn't did didn't do does "
    "doesn't doing don't down during each few for from further had hadn't has hasn't have "
    "haven't having he her here hers herself him himself his how i if in into is isn't it its "
    "itself just let's me more most mustn't my myself no nor not now of off on once only or "
    "other our ours ourselves out over own same she should shouldn't so some such than that "
    "the their theirs them themselves then there these they this those through to too under "
    "until up very was wasn't we were weren't what when where which while who whom why will "
    "with won't would wouldn't you your yours yourself yourselves ";

/* ---- single keys */

static hw_status
expected(const char *key, const char *what, hw_error *err)
{
    return hwi_fail(err, HW_EINVAL, "%s: expected %s", key, what);
}

static hw_status
read_flag(const hwi_json *params, const char *key, bool *out, hw_error *err)
{
    const hwi_json *v = hwi_json_member(params, key);
    if (!v || v->kind == HWI_JSON_NULL) return HW_OK;
    if (v->kind != HWI_JSON_BOOL) return expected(key, "true or false", err);
    *out = v->boolean;
    return HW_OK;
}

static hw_status
read_length(const hwi_json *params, const char *key, uint32_t *out, hw_error *err)
{
    const hwi_json *v = hwi_json_member(params, key);
    if (!v || v->kind == HWI_JSON_NULL) return HW_OK;
    if (v->kind != HWI_JSON_INT || v->integer < 0) return expected(key, "a whole number", err);
    *out = (uint32_t)HWI_MIN(v->integer, (int64_t)UINT32_MAX);
    return HW_OK;
}

static hw_status
read_tokenizer(const hwi_json *params, hwi_tokenizer *out, hw_error *err)
{
    static const struct {
        const char *name;
        hwi_tokenizer tokenizer;
    } names[] = {{"word", HWI_TOKENS_WORD},
                 {"multilingual", HWI_TOKENS_WORD},
                 {"whitespace", HWI_TOKENS_WHITESPACE},
                 {"prefix", HWI_TOKENS_PREFIX}};
    const hwi_json *v = hwi_json_member(params, "tokenizer");
    if (!v || v->kind == HWI_JSON_NULL) return HW_OK;
    for (size_t i = 0; v->kind == HWI_JSON_TEXT && i < HWI_COUNT(names); i++) {
        if (strcmp(v->text, names[i].name) != 0) continue;
        *out = names[i].tokenizer;
        return HW_OK;
    }
    return expected("tokenizer", "word, multilingual, whitespace or prefix", err);
}

static hw_status
refuse_stemmer(const hwi_json *params, hw_error *err)
{
    const hwi_json *v = hwi_json_member(params, "stemmer");
    const hwi_json *type = hwi_json_member(v, "type");
    if (!v || v->kind == HWI_JSON_NULL) return HW_OK;
    if (type && type->kind == HWI_JSON_TEXT && strcmp(type->text, "none") == 0) return HW_OK;
    return hwi_fail(err, HW_EUNSUPPORTED, "stemmer: words are not stemmed in this build");
}

/* ---- stop words */

typedef struct reading {
    hwi_word_rules *rules;
    hwi_arena *arena;
    hw_error *err;
} reading;

static hw_status
add_stopwords(reading *r, const char *text, size_t bytes)
{
    hwi_words it;
    hwi_words_init(&it, r->rules, text, bytes);
    it.is_query = true;
    while (hwi_words_next(&it)) {
        if (r->rules->stopword_count == HWI_STOPWORDS_MAX) {
            return hwi_fail(r->err, HW_EINVAL, "stopwords: more than %u", HWI_STOPWORDS_MAX);
        }
        const char *word = hwi_arena_text(r->arena, (const char *)it.word, it.bytes);
        if (!word) return hwi_nomem(r->err, it.bytes);
        r->rules->stopwords[r->rules->stopword_count++] = word;
    }
    return HW_OK;
}

/* Contractions are words only where blanks alone separate; their parts, such as "won", are no stop
 * words. */
static hw_status
add_english(reading *r)
{
    bool by_blanks = r->rules->tokenizer == HWI_TOKENS_WHITESPACE;
    for (const char *at = english; *at;) {
        size_t bytes = strcspn(at, " ");
        if (by_blanks || !memchr(at, '\'', bytes)) HWI_TRY(add_stopwords(r, at, bytes));
        at += bytes + (at[bytes] == ' ');
    }
    return HW_OK;
}

static hw_status
add_language(reading *r, const hwi_json *v)
{
    if (v->kind != HWI_JSON_TEXT) return expected("stopwords", "names of languages", r->err);
    if (strcmp(v->text, "english") == 0) return add_english(r);
    return hwi_fail(r->err, HW_EUNSUPPORTED,
                    "stopwords: there are none for `%.40s`, list them under `custom`", v->text);
}

static hw_status
add_each(reading *r, const hwi_json *list, const char *key, bool languages)
{
    if (!list || list->kind == HWI_JSON_NULL) return HW_OK;
    if (list->kind != HWI_JSON_ARRAY) return expected(key, "a list", r->err);
    for (const hwi_json *v = list->child; v; v = v->next) {
        if (v->kind != HWI_JSON_TEXT) return expected(key, "a list of strings", r->err);
        HWI_TRY(languages ? add_language(r, v) : add_stopwords(r, v->text, v->text_bytes));
    }
    return HW_OK;
}

static int
ascending(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The words themselves must not be taken for stop words while they are read. */
static hw_status
read_stopwords(const hwi_json *params, reading *r)
{
    hwi_word_rules *rules = r->rules, plain = *rules;
    const hwi_json *v = hwi_json_member(params, "stopwords");
    if (!v || v->kind == HWI_JSON_NULL) return HW_OK;
    size_t bytes = HWI_STOPWORDS_MAX * sizeof *rules->stopwords;
    plain.least = plain.most = 0;
    plain.stopwords = hwi_arena_alloc(r->arena, bytes);
    if (!plain.stopwords) return hwi_nomem(r->err, bytes);
    reading inner = {&plain, r->arena, r->err};
    size_t count = 0;
    if (v->kind == HWI_JSON_TEXT) {
        HWI_TRY(add_language(&inner, v));
    } else if (v->kind == HWI_JSON_OBJECT) {
        HWI_TRY(add_each(&inner, hwi_json_member(v, "languages"), "stopwords.languages", true));
        HWI_TRY(add_each(&inner, hwi_json_member(v, "custom"), "stopwords.custom", false));
    } else {
        return expected("stopwords", "a language or an object", r->err);
    }
    rules->stopwords = plain.stopwords;
    if (plain.stopword_count)
        qsort(rules->stopwords, plain.stopword_count, sizeof *rules->stopwords, ascending);
    for (size_t i = 0; i < plain.stopword_count; i++) {
        if (i && strcmp(rules->stopwords[i], rules->stopwords[count - 1]) == 0) continue;
        rules->stopwords[count++] = rules->stopwords[i];
    }
    rules->stopword_count = count;
    return HW_OK;
}

/* ---- all of them */

hw_status
hwi_word_rules_read(const hwi_json *params, hwi_arena *arena, const hwi_word_rules **out,
                    hw_error *err)
{
    bool lowercase = true;
    *out = NULL;
    if (!params) return HW_OK;
    hwi_word_rules *rules = hwi_arena_alloc(arena, sizeof *rules);
    if (!rules) return hwi_nomem(err, sizeof *rules);
    *rules = (hwi_word_rules){0};
    HWI_TRY(read_tokenizer(params, &rules->tokenizer, err));
    HWI_TRY(read_flag(params, "lowercase", &lowercase, err));
    HWI_TRY(read_flag(params, "ascii_folding", &rules->folds, err));
    HWI_TRY(read_length(params, "min_token_len", &rules->least, err));
    HWI_TRY(read_length(params, "max_token_len", &rules->most, err));
    HWI_TRY(refuse_stemmer(params, err));
    rules->keeps_case = !lowercase;
    reading r = {rules, arena, err};
    HWI_TRY(read_stopwords(params, &r));
    bool usual = rules->tokenizer == HWI_TOKENS_WORD && lowercase && !rules->folds &&
                 rules->least <= 1 && rules->most == 0 && rules->stopword_count == 0;
    if (!usual) *out = rules;
    return HW_OK;
}
