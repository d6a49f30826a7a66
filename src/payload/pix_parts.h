/* pix_parts.h - the parts of the payload indexes, between pix_*.c and filter_resolve.c; nobody else
 * needs it.
 *
 *     PIX (c, 0, 0, chunk)                  live slots
 *     PIX (c, field, kind, chunk)           slots with a property: PRESENT .. MULTI
 *     PIX (c, field, VALUE, value, chunk)   slots with a value: keyword, uuid, bool, text (words)
 *     PIX (c, field, FOLDED, value, chunk)  the same for values the key cannot tell apart
 *     PIX (c, field, PAGE, code, slot)      slots in order of their value: integer, float,
 *                                           datetime, geo (pix_pages.c)
 */
#ifndef HWI_PIX_PARTS_H
#define HWI_PIX_PARTS_H

#include "payload/path.h"
#include "payload/pix.h"
#include "payload/slots.h"
#include "payload/word_rules.h"

/* An element of a value is what conditions look at: the value, or each entry of an array. */
typedef enum hwi_pix_kind {
    HWI_PIX_PRESENT = 0, /* some value is neither null nor []: not is_empty */
    HWI_PIX_NULLS = 1,   /* is_null */
    HWI_PIX_COVERED = 2, /* has an element the index speaks for */
    HWI_PIX_OTHER = 3,   /* has an element, not null, it does not speak for */
    HWI_PIX_MULTI = 4,   /* has more than one element that is not null */
    HWI_PIX_VALUE = 5,
    HWI_PIX_FOLDED = 6,
    HWI_PIX_PAGE = 7,
    HWI_PIX_KINDS
} hwi_pix_kind;

#define HWI_PIX_TEXT_MAX 128u   /* longer keywords are folded ... */
#define HWI_PIX_FOLD_PREFIX 96u /* ... to this many bytes and a hash of 8 */

/* The prefix of all keys of a field, and of one kind. */
void hwi_pix_field_key(hwi_key *k, uint32_t coll, uint32_t field);
void hwi_pix_kind_key(hwi_key *k, uint32_t coll, uint32_t field, hwi_pix_kind kind);
static inline bool
hwi_pix_is_ordered(hwi_pix_type type)
{
    return type == HWI_PIX_INTEGER || type == HWI_PIX_FLOAT || type == HWI_PIX_DATETIME ||
           type == HWI_PIX_GEO;
}

/* ---- pix_extract.c: from elements to keys; also how queries find what was stored */

/* Where an element of a keyword, uuid or bool index lies: kind, and the value appended to `k`;
 * false when the index does not speak for it. */
bool hwi_pix_term(hwi_pix_type type, const hwi_json *element, hwi_pix_kind *kind, hwi_key *k);
/* The same for one word of a text index. */
void hwi_pix_word(hwi_key *k, const void *word, size_t bytes);
/* The code of an element of an ordered index. */
bool hwi_pix_code(hwi_pix_type type, const hwi_json *element, uint64_t *code);

/* All that one payload contributes to one field. Reusable: extract clears it first. */
typedef struct hwi_postings {
    uint32_t flags; /* bit per kind up to MULTI */
    hwi_buf terms;  /* per term: u8 kind, u16 size, encoded value */
    hwi_buf codes;  /* u64 each, in memory order */
} hwi_postings;
HW_CHECKED hw_status hwi_pix_extract(hwi_pix_type type, const hwi_word_rules *rules,
                                     const hwi_path *path, const hwi_json *root, hwi_postings *out,
                                     hw_error *err);
void hwi_postings_release(hwi_postings *p);

/* ---- pix_pages.c: the ordered part */

/* A change of one (code, slot) entry; later ones win. */
typedef struct hwi_pix_entry {
    uint64_t code;
    uint32_t slot;
    uint32_t add; /* 1 or 0 */
} hwi_pix_entry;
int hwi_pix_entry_compare(const hwi_pix_entry *a, const hwi_pix_entry *b); /* code, then slot */

/* Applies changes, ascending by code and slot and each pair once, to a field's pages. */
HW_CHECKED hw_status hwi_pages_apply(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                     const hwi_pix_entry *changes, size_t count, hw_error *err);

/* Part of a page within the codes asked for; borrowed for the call. */
typedef struct hwi_page_part {
    hwi_pix_entry low; /* the page's key */
    bool same;         /* one code, a chunk of slots */
    uint64_t code;     /* same */
    uint32_t chunk;
    hw_bytes slots;
    const uint8_t *codes;       /* not same: u64 little-endian each, ascending */
    const uint8_t *entry_slots; /* u32 little-endian each */
    size_t count;
} hwi_page_part;
static inline uint64_t
hwi_page_part_code(const hwi_page_part *p, size_t i)
{
    return hwi_get_u64(p->codes + i * 8);
}
static inline uint32_t
hwi_page_part_slot(const hwi_page_part *p, size_t i)
{
    return hwi_get_u32(p->entry_slots + i * 4);
}
typedef hw_status (*hwi_page_fn)(void *arg, const hwi_page_part *part, hw_error *err);
/* Entries with from <= code <= to, ascending. Stops at the first failure of fn. HW_ECORRUPT. */
HW_CHECKED hw_status hwi_pages_scan(hw_store_txn *txn, uint32_t coll, uint32_t field, uint64_t from,
                                    uint64_t to, hwi_page_fn fn, void *arg, hw_error *err);
/* The same from the last page to the first; entries within a part still ascend. */
HW_CHECKED hw_status hwi_pages_scan_down(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                         uint64_t from, uint64_t to, hwi_page_fn fn, void *arg,
                                         hw_error *err);

/* ---- pix_read.c: looking up */

/* Adds the slots stored under `prefix`, a key complete but for its chunk. */
HW_CHECKED hw_status hwi_pix_read(hw_store_txn *txn, const hwi_key *prefix, hwi_slots *out,
                                  hw_error *err);
/* Adds the slots of every value below `prefix`, a key that ends with its kind. */
HW_CHECKED hw_status hwi_pix_read_terms(hw_store_txn *txn, const hwi_key *prefix, hwi_slots *out,
                                        hw_error *err);
/* How many hwi_pix_read finds, from the headers. */
HW_CHECKED hw_status hwi_pix_count(hw_store_txn *txn, const hwi_key *prefix, uint64_t *count,
                                   hw_error *err);
/* Slots whose code lies in a range. */
HW_CHECKED hw_status hwi_pix_read_range(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                        uint64_t from, uint64_t to, hwi_slots *out, hw_error *err);
HW_CHECKED hw_status hwi_pix_count_range(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                         uint64_t from, uint64_t to, uint64_t *count,
                                         hw_error *err);

/* ---- pix_write.c: collecting; pix_check.c collects too, and compares where flush writes */

typedef struct hwi_pix_touched {
    size_t key_at, key_bytes; /* in writer->keys */
    uint32_t chunk;
    uint32_t *ops; /* low 16 bits of a slot, bit 16: add */
    size_t op_count, op_room;
} hwi_pix_touched;

typedef struct hwi_pix_codes {
    hwi_pix_entry *entries;
    size_t count, room;
} hwi_pix_codes;

struct hwi_pix_writer {
    hw_store_txn *txn;
    uint32_t coll;
    const hwi_schema *schema;
    hwi_arena paths_arena, payload_arena;
    const hwi_path **paths;       /* one per schema field */
    const hwi_word_rules **rules; /* likewise; NULL but for texts with rules of their own */
    hwi_pix_codes *codes;         /* one per schema field */
    hwi_postings postings;
    hwi_buf keys;
    hwi_pix_touched *touched;
    size_t touched_count, touched_room;
    uint32_t *table; /* hash table of touched numbers + 1; size a power of two */
    size_t table_size;
};

/* Notes what one payload contributes to one field. */
HW_CHECKED hw_status hwi_pix_collect(hwi_pix_writer *w, size_t field_at, uint32_t slot,
                                     const hwi_json *root, bool add, hw_error *err);
HW_CHECKED hw_status hwi_pix_note(hwi_pix_writer *w, const hwi_key *prefix, uint32_t slot, bool add,
                                  hw_error *err);
/* Sorts what was noted: touched by key, codes by code and slot with the last change of each. */
void hwi_pix_sort(hwi_pix_writer *w);

#endif
