/* filter_tree.h - a filter as parsed, between filter_parse.c, filter_match.c and
 * filter_resolve.c; nobody else needs it.
 */
#ifndef HWI_FILTER_TREE_H
#define HWI_FILTER_TREE_H

#include "payload/filter.h"
#include "payload/geo.h"
#include "payload/path.h"
#include "payload/pick.h"
#include "payload/values.h"
#include "payload/word_rules.h"

typedef enum hwi_cond_kind {
    HWI_COND_ANY,      /* match value and match any: an element is in the set */
    HWI_COND_EXCEPT,   /* an element, not null, is not in the set */
    HWI_COND_PREFIX,   /* a text starts so */
    HWI_COND_TEXT,     /* all words in one text */
    HWI_COND_TEXT_ANY, /* any of the words */
    HWI_COND_PHRASE,   /* the words in a row */
    HWI_COND_RANGE,    /* a number between bounds */
    HWI_COND_DATES,    /* a date between bounds */
    HWI_COND_GEO,      /* a point inside an area */
    HWI_COND_COUNT,    /* values_count */
    HWI_COND_EMPTY,    /* missing, null or [] */
    HWI_COND_NULL,     /* null, or an array with one */
    HWI_COND_NESTED,   /* an object element matches a filter by itself */
    HWI_COND_ID,       /* has_id */
    HWI_COND_SLICE,    /* one of several equal parts of all ids */
    HWI_COND_VECTOR,   /* has_vector */
    HWI_COND_FILTER    /* a filter as a condition */
} hwi_cond_kind;

typedef struct hwi_text {
    const char *data;
    size_t bytes;
} hwi_text;

/* What match any / except compare with; each list ascending, without repeats. */
typedef struct hwi_match_set {
    hwi_text *texts; /* by length, then bytes */
    size_t text_count;
    int64_t *ints;
    size_t int_count;
    uint64_t *uints; /* above INT64_MAX */
    size_t uint_count;
    bool has_true, has_false;
} hwi_match_set;

typedef struct hwi_word_list {
    const hwi_word_rules *rules; /* of the field; NULL: the usual ones */
    hwi_text *words;             /* TEXT, TEXT_ANY: ascending, without repeats; PHRASE: in order */
    uint16_t *fail; /* PHRASE: how far to go on after a mismatch (Knuth, Morris, Pratt) */
    size_t count;
} hwi_word_list;

/* NULL: no such bound. */
typedef struct hwi_bounds {
    const hwi_json *gt, *gte, *lt, *lte;
} hwi_bounds;

typedef struct hwi_date_bounds {
    int64_t from, to; /* inclusive; none match when from > to */
} hwi_date_bounds;

typedef struct hwi_count_bounds {
    uint64_t from, to; /* inclusive */
} hwi_count_bounds;

typedef struct hwi_cond {
    hwi_cond_kind kind;
    bool negate;          /* EMPTY, NULL: `"is_empty": false` beside a key */
    bool each;            /* EMPTY, NULL beside a key that fans out: any value decides */
    const hwi_path *path; /* all but ID, SLICE, VECTOR and FILTER; NESTED: ends in [] */
    union {
        hwi_match_set set;
        hwi_text prefix;
        hwi_word_list words;
        hwi_bounds range;
        hwi_date_bounds dates;
        hwi_geo_area area;
        hwi_count_bounds count;
        const struct hwi_filter *filter; /* NESTED, FILTER */
        struct {
            hw_id *ids; /* ascending */
            size_t count;
        } has;
        struct {
            uint32_t index, total;
        } slice;
        size_t vector; /* VECTOR: number of its name in the outermost filter's list */
    } as;
} hwi_cond;

typedef struct hwi_clause {
    hwi_cond *conds;
    size_t count;
} hwi_clause;

struct hwi_filter {
    hwi_clause must, should, must_not, min_should;
    uint64_t min_count;
    bool has_min_should;

    /* the outermost filter alone: */
    bool needs_id;
    const char *const *vectors; /* names that has_vector asks for, each once */
    size_t vector_count;
    const hwi_pick_key *keys; /* members of a payload that conditions start from */
    size_t key_count;
};

/* With more keys than this a payload is parsed as a whole. */
#define HWI_FILTER_KEYS_MAX 32u

/* filter_match.c: whether one value is an element a condition accepts; not for EMPTY, NULL, COUNT,
 * NESTED, ID and FILTER. Shared with the indexes' tests. */
bool hwi_cond_accepts(const hwi_cond *cond, const hwi_json *element);

/* Hash of an id for slices: SipHash-2-4 with a zero key (filter_slice.c). */
uint64_t hwi_slice_hash(const hw_id *id);

/* Binary searches. */
bool hwi_match_set_has(const hwi_match_set *set, const hwi_json *element);
int hwi_text_compare(hwi_text a, hwi_text b);

#endif
