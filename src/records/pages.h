/* pages.h - tables of pages: values of one subspace numbered 0, 1, 2 ..., found once and then read
 * by pointer.
 *
 * Vectors, ids and leaf numbers are kept by slot, many slots to a page. A reader looks a page up in
 * the store the first time it is wanted and remembers where it lies; the pointer is good as long as
 * the read transaction of the view.
 *
 * A page value starts with a 48-byte header (so that rows are 64-byte aligned where LMDB keeps
 * large values):
 *
 *    0  u32  magic, names the kind of page        4  u16  format (1)      6  u16  0
 *    8  u64  checksum: XXH3-64 of everything from byte 16
 *   16  u32  rows in the page                    20  u32  bytes of a row
 *   24  ...  kind's own, 24 bytes
 *   48  rows
 *
 * Rows that were never written are zero bytes, and zero rows at the end of a page are not stored:
 * a small collection has small pages.
 */
#ifndef HWI_PAGES_H
#define HWI_PAGES_H

#include "store/store.h"

#define HWI_PAGE_HEADER 48u
#define HWI_PAGE_MAGIC_VEC 0x31636576u  /* "vec1" */
#define HWI_PAGE_MAGIC_SLOT 0x31746c73u /* "slt1" */
#define HWI_PAGE_MAGIC_RUN 0x316e7572u  /* "run1": a slot page of integer ids, packed */
#define HWI_PAGE_MAGIC_LOC 0x31636f6cu  /* "loc1" */
#define HWI_PAGE_MAGIC_LEAF 0x31666165u /* "eaf1": signatures of a leaf */
#define HWI_PAGE_MAGIC_REF 0x31666572u  /* "ref1": refine codes of a leaf */
#define HWI_PAGE_MAGIC_HAS 0x31736168u  /* "has1" */
#define HWI_PAGE_MAGIC_INV 0x31766e69u  /* "inv1": postings of a sparse index */
#define HWI_PAGE_BYTES 32768u /* aim: a page with LMDB's own 16 bytes fills whole 4 kB pages */

/* Bounds and magic only: cheap, at first touch. HW_ECORRUPT. */
HW_CHECKED hw_status hwi_page_check(hw_bytes page, uint32_t magic, uint32_t row_bytes,
                                    hw_error *err);
/* The checksum as well: `check`, and everything that writes a page back. */
HW_CHECKED hw_status hwi_page_verify(hw_bytes page, uint32_t magic, uint32_t row_bytes,
                                     hw_error *err);
/* Fills in header fields and the checksum of a page of `rows` rows that is about to be written. */
void hwi_page_seal(uint8_t *page, size_t bytes, uint32_t magic, uint32_t rows, uint32_t row_bytes);

/* Row i of a page. */
static inline const uint8_t *
hwi_page_row(const uint8_t *page, uint32_t i, uint32_t row_bytes)
{
    return page + HWI_PAGE_HEADER + (size_t)i * row_bytes;
}
static inline uint32_t
hwi_page_rows(const uint8_t *page)
{
    return hwi_get_u32(page + 16);
}

/* ---- packing ---- */

/* A shorter form that pages may be stored in, with a magic of its own and rows of any size. */
typedef struct hwi_page_packing {
    uint32_t magic;
    /* Packs the rows of a page in place, and fills in the header's own fields: bytes of a packed row,
     * 0 for a page that has no shorter form. */
    uint32_t (*pack)(uint8_t *page, uint32_t rows);
    /* One row of a packed page, below hwi_page_rows, as it was. */
    void (*unpack)(const uint8_t *page, uint32_t row, uint8_t *out);
} hwi_page_packing;

/* ---- reading ---- */

typedef struct hwi_page_table hwi_page_table;

/* Pages 0 .. count-1 with keys `prefix` + tuple integer, rows_per_page rows each. txn is borrowed
 * and must outlive the table. */
HW_CHECKED hw_status hwi_page_table_new(hw_store_txn *txn, hw_bytes prefix, uint32_t count,
                                        uint32_t magic, uint32_t rows_per_page, uint32_t row_bytes,
                                        hwi_page_table **out, hw_error *err);
void hwi_page_table_free(hwi_page_table *t);
/* Pages may be packed. Such a page is handed out as it is stored: the caller looks at its magic, its
 * rows are as many as its header says, and at any address. */
void hwi_page_table_packing(hwi_page_table *t, const hwi_page_packing *packing);

/* The page, checked, header first, with room for all rows_per_page rows (a shorter stored page is
 * padded with zeros) and 4-byte aligned; borrowed until the table is freed. NULL if it is absent or
 * `page` is out of range. Safe from any number of threads; lock-free once found. HW_EIO, HW_ENOMEM,
 * HW_ECORRUPT. */
HW_CHECKED hw_status hwi_page_table_get(hwi_page_table *t, uint32_t page, const uint8_t **out,
                                        hw_error *err);

/* The pages of these rows will be asked for: a store far away fetches them all at once. Pages that
 * are read in order are fetched ahead without being asked. */
void hwi_page_table_want(hwi_page_table *t, const uint32_t *rows, size_t count);

/* ---- writing ---- */

/* The pages a transaction is changing: read, copied once, changed in memory, written by flush. */
typedef struct hwi_page_cache hwi_page_cache;
HW_CHECKED hw_status hwi_page_cache_new(hw_store_txn *txn, hw_bytes prefix, uint32_t magic,
                                        uint32_t rows_per_page, uint32_t row_bytes,
                                        hwi_page_cache **out, hw_error *err);
void hwi_page_cache_free(hwi_page_cache *c);
/* Packed pages are read as if they were not, and pages are packed where they can be. */
void hwi_page_cache_packing(hwi_page_cache *c, const hwi_page_packing *packing);

/* Row to read: NULL when it was never written. Borrowed until the next call on this cache, and
 * until the next write to the transaction. */
HW_CHECKED hw_status hwi_page_cache_read(hwi_page_cache *c, uint32_t row, const uint8_t **out,
                                         hw_error *err);
/* Row to change; its page is created, zeroed, when absent. Borrowed until the next call on this
 * cache. */
HW_CHECKED hw_status hwi_page_cache_write(hwi_page_cache *c, uint32_t row, uint8_t **out,
                                          hw_error *err);
/* Writes changed pages in ascending order and forgets them. A page whose rows are all zero bytes is
 * deleted. */
HW_CHECKED hw_status hwi_page_cache_flush(hwi_page_cache *c, hw_error *err);

#endif
