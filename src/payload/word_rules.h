/* word_rules.h - how a text index cuts texts into words, as its settings say.
 *
 * The rules belong to the field: a condition on it cuts its own text by them too, whether the index
 * answers or a payload is tested. words.c does the cutting.
 */
#ifndef HWI_WORD_RULES_H
#define HWI_WORD_RULES_H

#include "records/conf.h"

typedef enum hwi_tokenizer {
    HWI_TOKENS_WORD,       /* runs of letters, digits and marks; ideographs alone */
    HWI_TOKENS_WHITESPACE, /* what stands between blanks */
    HWI_TOKENS_PREFIX      /* the beginnings of each word; a query asks for the whole of it */
} hwi_tokenizer;

#define HWI_STOPWORDS_MAX 4096u

/* Immutable. */
typedef struct hwi_word_rules {
    hwi_tokenizer tokenizer;
    bool keeps_case;
    bool folds;             /* letters with accents become plain ones */
    uint32_t least, most;   /* characters in a word; most 0: no limit */
    const char **stopwords; /* in the case and folding of words; ascending, without repeats */
    size_t stopword_count;
} hwi_word_rules;

/* The rules of a text index from its settings, an object such as
 *
 *   {"tokenizer": "prefix", "lowercase": true, "ascii_folding": false, "min_token_len": 2,
 *    "max_token_len": 20, "stopwords": {"languages": ["english"], "custom": ["foo"]}}
 *
 * allocated in arena; *out is NULL when params is NULL or asks for nothing unusual. Keys that do not
 * concern words are passed over. HW_EINVAL names the key; HW_EUNSUPPORTED: a stemmer, stop words of a
 * language there are none for. */
HW_CHECKED hw_status hwi_word_rules_read(const hwi_json *params, hwi_arena *arena,
                                         const hwi_word_rules **out, hw_error *err);

/* The plain spelling of a letter with accents ("e" for U+00E9), or NULL when it has none. */
const char *hwi_letter_folded(uint32_t c);

#endif
