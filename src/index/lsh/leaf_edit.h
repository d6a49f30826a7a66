/* leaf_edit.h - the leaves a transaction is changing: read and copied once, edited in memory,
 * written by flush.
 */
#ifndef HWI_LEAF_EDIT_H
#define HWI_LEAF_EDIT_H

#include "index/lsh/page.h"
#include "index/state.h"

/* Refine rows are read when one of their part is to change, which for most parts is never. */
typedef enum hwi_part_state {
    HWI_PART_UNREAD = 0,
    HWI_PART_READ = 1,
    HWI_PART_DIRTY = 2
} hwi_part_state;

typedef struct hwi_leaf_edit {
    uint32_t node;
    uint32_t count, room; /* rows; room is a multiple of 16 */
    uint8_t *blocks;      /* signature blocks, as on the page */
    uint32_t *slots;
    uint8_t *rows; /* refine rows, as on the pages; those of unread parts are undefined */
    float *centre; /* dim, then dc (pcentre), then bits (zcentre), 64-byte aligned each */
    float *pcentre, *zcentre;
    float radius;
    bool dirty;           /* signature page differs from the store */
    uint32_t stored_rows; /* refine rows in the store */
    uint8_t *parts;       /* one hwi_part_state per refine part of room */
} hwi_leaf_edit;

typedef struct hwi_leaf_edits hwi_leaf_edits;

/* txn and model are borrowed until _free. */
HW_CHECKED hw_status hwi_leaf_edits_new(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                        const hwi_model *model, hwi_leaf_edits **out,
                                        hw_error *err);
void hwi_leaf_edits_free(hwi_leaf_edits *e);

/* The leaf, checksum verified; its refine parts follow when they are needed. Borrowed until flush.
 * HW_ECORRUPT when missing or damaged, as from any call that reads a part. */
HW_CHECKED hw_status hwi_leaf_edits_get(hwi_leaf_edits *e, uint32_t node, hwi_leaf_edit **out,
                                        hw_error *err);
/* Reads the refine parts that are not read yet, to look at `rows` as a whole. */
HW_CHECKED hw_status hwi_leaf_edit_read_parts(const hwi_leaf_edits *e, hwi_leaf_edit *l,
                                              hw_error *err);
/* A new empty leaf around a framed centre with axes coordinates pcentre. */
HW_CHECKED hw_status hwi_leaf_edits_create(hwi_leaf_edits *e, uint32_t node, const float *centre,
                                           const float *pcentre, hwi_leaf_edit **out,
                                           hw_error *err);
/* Its pages are deleted now, its edits forgotten. */
HW_CHECKED hw_status hwi_leaf_edits_delete(hwi_leaf_edits *e, uint32_t node, hw_error *err);
/* Writes what changed. Once, at the end. */
HW_CHECKED hw_status hwi_leaf_edits_flush(hwi_leaf_edits *e, hw_error *err);

static inline hwi_centre
hwi_leaf_edit_centre(const hwi_leaf_edit *l)
{
    return (hwi_centre){l->centre, l->pcentre, l->zcentre};
}
/* Adds a row; codes as hwi_lsh_encode made them. */
HW_CHECKED hw_status hwi_leaf_edit_append(const hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t slot,
                                          const hwi_code *code, const uint8_t *codes,
                                          hw_error *err);
/* Takes a row out, really: the last row moves into its place. */
HW_CHECKED hw_status hwi_leaf_edit_remove(const hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t row,
                                          hw_error *err);
/* The row of a slot, count when it is not there. */
uint32_t hwi_leaf_edit_find(const hwi_leaf_edit *l, uint32_t slot);

/* The signature page as bytes, sealed, and the refine part `part` (from 1); for bulk building as
 * well. out is cleared first. */
void hwi_leaf_edit_page(const hwi_model *m, const hwi_leaf_edit *l, hwi_buf *out);
void hwi_leaf_edit_part(const hwi_model *m, const hwi_leaf_edit *l, uint32_t part, hwi_buf *out);

#endif
