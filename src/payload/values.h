/* values.h - what payload values mean to conditions: numbers, dates, words.
 *
 * Pure functions, safe from any thread.
 */
#ifndef HWI_VALUES_H
#define HWI_VALUES_H

#include "base/json.h"

/* ---- numbers: compared exactly, whatever their kinds (values.c) */

/* Negative, zero or positive as a is below, equal to or above b; both are numbers. */
int hwi_number_compare(const hwi_json *a, const hwi_json *b);

/* Keys whose unsigned order is the order of the values. */
static inline uint64_t
hwi_order_i64(int64_t v)
{
    return (uint64_t)v ^ (uint64_t)1 << 63;
}
uint64_t hwi_order_f64(double v); /* -0 and 0 are one */
/* And back. */
static inline int64_t
hwi_order_i64_back(uint64_t key)
{
    return (int64_t)(key ^ (uint64_t)1 << 63);
}
double hwi_order_f64_back(uint64_t key);

/* The double equal to an integer or double node; false when the integer has none. */
bool hwi_number_as_f64(const hwi_json *number, double *out);

/* ---- dates (values.c)
 *
 * RFC 3339 date and time: "2024-02-29T12:30:00.5+02:00"; also a date alone, a blank for the T, no
 * seconds, no zone (UTC). Microseconds since 1970; finer digits are dropped. False when it is none.
 */
bool hwi_date_parse(const char *text, size_t bytes, int64_t *micros);

/* ---- words (words.c)
 *
 * Text is cut into words: runs of letters, digits and marks of any script, in lower case; each
 * ideograph, Hiragana and Katakana letter is a word of its own. A word counts with its first
 * HWI_WORD_MAX bytes. */
#define HWI_WORD_MAX 96u

typedef struct hwi_words {
    const struct hwi_word_rules *rules; /* NULL: as above */
    bool is_query;                      /* of a prefix index: whole words, not their beginnings */
    const uint8_t *at, *end;
    size_t bytes; /* of the current word */
    size_t whole; /* prefixes: bytes of the word that gives them; 0: none is under way */
    uint8_t word[HWI_WORD_MAX + 4];
} hwi_words;

/* rules: of the field's text index (word_rules.h); borrowed. */
void hwi_words_init(hwi_words *w, const struct hwi_word_rules *rules, const char *text,
                    size_t bytes);
/* Moves to the next word, in w->word; false at the end. */
bool hwi_words_next(hwi_words *w);

#endif
