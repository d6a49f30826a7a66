/* leaf_edit.c - leaves in memory while a transaction changes them.
 *
 * Rows stay in the layout of the page, so appending writes one lane of the last block and one
 * refine row, and flushing is copying. The signature page is read with the leaf and written again
 * when anything changed; a refine part only when one of its own rows did. That is where the bytes
 * are: an append to a leaf of 256 rows of 128 dimensions touches 9 kB and one part instead of 45 kB,
 * and a leaf about to be split is deleted with no part read.
 */
#include "index/lsh/leaf_edit.h"

#define GONE ((hwi_leaf_edit *)1) /* deleted in this transaction */

struct hwi_leaf_edits {
    hw_store_txn *txn;
    uint32_t coll, field;
    const hwi_model *model;
    hwi_leaf_edit **by_node; /* NULL: not touched */
    uint32_t node_room;
    uint32_t rows_per_part;
};

static void
edit_free(hwi_leaf_edit *l)
{
    if (!l || l == GONE) return;
    hwi_free(l->blocks);
    hwi_free(l->slots);
    hwi_free(l->rows);
    hwi_free(l->centre);
    hwi_free(l->parts);
    hwi_free(l);
}

hw_status
hwi_leaf_edits_new(hw_store_txn *txn, uint32_t coll, uint32_t field, const hwi_model *model,
                   hwi_leaf_edits **out, hw_error *err)
{
    hwi_leaf_edits *e = hwi_alloc_zero(sizeof *e);

    *out = NULL;
    if (!e) return hwi_nomem(err, sizeof *e);
    e->txn = txn, e->coll = coll, e->field = field, e->model = model;
    e->rows_per_part = hwi_leaf_rows_per_part(model);
    *out = e;
    return HW_OK;
}

void
hwi_leaf_edits_free(hwi_leaf_edits *e)
{
    if (!e) return;
    for (uint32_t i = 0; i < e->node_room; i++) edit_free(e->by_node[i]);
    hwi_free(e->by_node);
    hwi_free(e);
}

static hw_bytes
part_key(const hwi_leaf_edits *e, hwi_key *k, uint32_t node, uint32_t part)
{
    hwi_key_leaf(k, e->coll, e->field, e->model->generation, node, part);
    return hwi_key_view(k);
}

static uint32_t
parts_of(const hwi_leaf_edits *e, uint32_t rows)
{
    return (rows + e->rows_per_part - 1) / e->rows_per_part;
}

static hw_status
reserve_node(hwi_leaf_edits *e, uint32_t node, hw_error *err)
{
    if (node < e->node_room) return HW_OK;
    uint32_t room = HWI_MAX(node + 64, e->node_room * 2);
    hwi_leaf_edit **bigger = hwi_realloc(e->by_node, hwi_size_mul(room, sizeof(void *)));
    if (!bigger) return hwi_nomem(err, hwi_size_mul(room, sizeof(void *)));
    memset(bigger + e->node_room, 0, (room - e->node_room) * sizeof *bigger);
    e->by_node = bigger, e->node_room = room;
    return HW_OK;
}

static hw_status
reserve_rows(const hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t count, hw_error *err)
{
    const hwi_model *m = e->model;

    if (count <= l->room) return HW_OK;
    uint32_t room = (HWI_MAX(count, l->room + l->room / 2) + 15) / 16 * 16;
    size_t block = hwi_leaf_block_bytes(m), row = m->words ? hwi_leaf_row_bytes(m) : 0;
    uint8_t *blocks = hwi_realloc(l->blocks, room / 16 * block);
    if (blocks) l->blocks = blocks;
    uint32_t *slots = hwi_realloc(l->slots, room * sizeof *slots);
    if (slots) l->slots = slots;
    uint8_t *rows = hwi_realloc(l->rows, room * row);
    if (rows) l->rows = rows;
    uint8_t *parts = hwi_realloc(l->parts, parts_of(e, room));
    if (parts) l->parts = parts;
    if (!blocks || !slots || !rows || !parts) return hwi_nomem(err, room * row);
    memset(parts + parts_of(e, l->room), HWI_PART_UNREAD, parts_of(e, room) - parts_of(e, l->room));
    l->room = room;
    return HW_OK;
}

static hw_status
edit_new(const hwi_leaf_edits *e, uint32_t node, const float *centre, const float *pcentre,
         hwi_leaf_edit **out, hw_error *err)
{
    const hwi_model *m = e->model;
    size_t x = (m->dim + 15u) / 16 * 16, y = m->out_dims;
    hwi_leaf_edit *l = hwi_alloc_zero(sizeof *l);

    *out = NULL;
    if (l) l->centre = hwi_alloc_aligned((x + y + m->bits) * sizeof(float));
    if (!l || !l->centre) {
        edit_free(l);
        return hwi_nomem(err, (x + y + m->bits) * sizeof(float));
    }
    l->node = node;
    l->pcentre = l->centre + x, l->zcentre = l->pcentre + y;
    memcpy(l->centre, centre, m->dim * sizeof(float));
    memcpy(l->pcentre, pcentre, m->dc * sizeof(float));
    if (m->words) hwi_model_hash(m, l->pcentre, l->zcentre);
    *out = l;
    return HW_OK;
}

/* Copies the refine rows of one stored part into place. */
static hw_status
load_part(const hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t part, hw_error *err)
{
    size_t row = hwi_leaf_row_bytes(e->model);
    uint32_t first = (part - 1) * e->rows_per_part;
    uint32_t rows = HWI_MIN(l->stored_rows - first, e->rows_per_part);
    hwi_key key;
    hw_bytes value;

    hw_status st = hwi_store_get(e->txn, part_key(e, &key, l->node, part), &value, err);
    if (st == HW_ENOTFOUND || (st == HW_OK && value.size != HWI_PAGE_HEADER + rows * row))
        return hwi_fail(err, HW_ECORRUPT, "leaf %u lacks part %u of %u rows", l->node, part, rows);
    HWI_TRY(st);
    HWI_TRY(hwi_page_verify(value, HWI_PAGE_MAGIC_REF, (uint32_t)row, err));
    memcpy(l->rows + first * row, (const uint8_t *)value.data + HWI_PAGE_HEADER, rows * row);
    return HW_OK;
}

static hw_status
read_part(const hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t part, hw_error *err)
{
    if (l->parts[part] != HWI_PART_UNREAD) return HW_OK;
    if (part < parts_of(e, l->stored_rows)) HWI_TRY(load_part(e, l, part + 1, err));
    l->parts[part] = HWI_PART_READ;
    return HW_OK;
}

hw_status
hwi_leaf_edit_read_parts(const hwi_leaf_edits *e, hwi_leaf_edit *l, hw_error *err)
{
    for (uint32_t p = 0; p < parts_of(e, l->count); p++) HWI_TRY(read_part(e, l, p, err));
    return HW_OK;
}

/* Before a row changes: its refine part is at hand, and will be written. */
static hw_status
touch(const hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t row, hw_error *err)
{
    uint32_t part = row / e->rows_per_part;

    l->dirty = true;
    HWI_TRY(read_part(e, l, part, err));
    l->parts[part] = HWI_PART_DIRTY;
    return HW_OK;
}

/* A page that lies at an odd address, as small values may, has to be copied to be read in place. */
static hw_status
align(hw_bytes *value, uint8_t **copy, hw_error *err)
{
    *copy = NULL;
    if ((uintptr_t)value->data % 4 == 0) return HW_OK;
    *copy = hwi_alloc_aligned(value->size);
    if (!*copy) return hwi_nomem(err, value->size);
    memcpy(*copy, value->data, value->size);
    value->data = *copy;
    return HW_OK;
}

static hw_status
load(hwi_leaf_edits *e, uint32_t node, hwi_leaf_edit **out, hw_error *err)
{
    const hwi_model *m = e->model;
    hwi_leaf_page page;
    uint8_t *copy;
    hwi_key key;
    hw_bytes value;
    hwi_leaf_edit *l = NULL;

    hw_status st = hwi_store_get(e->txn, part_key(e, &key, node, 0), &value, err);
    if (st == HW_ENOTFOUND) return hwi_fail(err, HW_ECORRUPT, "leaf %u has no page", node);
    HWI_TRY(st);
    HWI_TRY(align(&value, &copy, err));
    st = hwi_page_verify(value, HWI_PAGE_MAGIC_LEAF, (uint32_t)(value.size - HWI_PAGE_HEADER), err);
    if (st == HW_OK) st = hwi_leaf_parse(m, value, &page, err);
    if (st == HW_OK) st = edit_new(e, node, page.centre, page.pcentre, &l, err);
    if (st == HW_OK) st = reserve_rows(e, l, page.count + 16, err);
    if (st == HW_OK) {
        memcpy(l->blocks, page.blocks, page.block_count * hwi_leaf_block_bytes(m));
        memcpy(l->slots, page.slots, page.count * sizeof *l->slots);
        l->count = page.count, l->radius = page.radius;
        l->stored_rows = m->words ? page.count : 0;
    }
    hwi_free(copy);
    if (st != HW_OK) {
        edit_free(l);
        return st;
    }
    *out = l;
    return HW_OK;
}

hw_status
hwi_leaf_edits_get(hwi_leaf_edits *e, uint32_t node, hwi_leaf_edit **out, hw_error *err)
{
    *out = NULL;
    HWI_TRY(reserve_node(e, node, err));
    HWI_ASSERT(e->by_node[node] != GONE);
    if (!e->by_node[node]) HWI_TRY(load(e, node, &e->by_node[node], err));
    *out = e->by_node[node];
    return HW_OK;
}

hw_status
hwi_leaf_edits_create(hwi_leaf_edits *e, uint32_t node, const float *centre, const float *pcentre,
                      hwi_leaf_edit **out, hw_error *err)
{
    *out = NULL;
    HWI_TRY(reserve_node(e, node, err));
    HWI_ASSERT(e->by_node[node] == NULL);
    HWI_TRY(edit_new(e, node, centre, pcentre, &e->by_node[node], err));
    *out = e->by_node[node];
    (*out)->dirty = true;
    return HW_OK;
}

hw_status
hwi_leaf_edits_delete(hwi_leaf_edits *e, uint32_t node, hw_error *err)
{
    hwi_key first;

    HWI_TRY(reserve_node(e, node, err));
    edit_free(e->by_node[node]);
    e->by_node[node] = GONE;
    hwi_generation_key(&first, HWI_SUB_LEAF, e->coll, e->field, e->model->generation);
    hwi_key_uint(&first, node);
    return hwi_store_del_prefix(e->txn, &first, err);
}

/* ---- rows ---- */

static float *
lane(const hwi_model *m, hwi_leaf_edit *l, uint32_t row)
{
    uint8_t *block = l->blocks + row / 16 * hwi_leaf_block_bytes(m);

    return (float *)(void *)(block + (size_t)m->words * 64) + row % 16;
}

static void
blank_lane(const hwi_model *m, hwi_leaf_edit *l, uint32_t row)
{
    uint8_t *block = l->blocks + row / 16 * hwi_leaf_block_bytes(m);

    for (uint32_t w = 0; w < m->words; w++) memset(block + w * 64 + row % 16 * 4, 0, 4);
    lane(m, l, row)[0] = 1e30f;
    lane(m, l, row)[16] = 0;
}

hw_status
hwi_leaf_edit_append(const hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t slot, const hwi_code *code,
                     const uint8_t *codes, hw_error *err)
{
    const hwi_model *m = e->model;

    HWI_TRY(reserve_rows(e, l, l->count + 1, err));
    uint32_t row = l->count;
    HWI_TRY(touch(e, l, row, err));
    l->slots[row] = slot;
    l->count++;
    if (m->words == 0) return HW_OK;
    if (row % 16 == 0)
        for (uint32_t i = 0; i < 16; i++) blank_lane(m, l, row + i);
    uint8_t *block = l->blocks + row / 16 * hwi_leaf_block_bytes(m);
    for (uint32_t w = 0; w < m->words; w++)
        hwi_put_u32(block + w * 64 + row % 16 * 4, code->words[w]);
    lane(m, l, row)[0] = code->a;
    lane(m, l, row)[16] = code->s;
    uint8_t *refine = l->rows + (size_t)row * hwi_leaf_row_bytes(m);
    memcpy(refine, codes, hwi_leaf_code_bytes(m));
    hwi_put_f32(refine + hwi_leaf_code_bytes(m), code->ra);
    hwi_put_f32(refine + hwi_leaf_code_bytes(m) + 4, code->rs);
    return HW_OK;
}

hw_status
hwi_leaf_edit_remove(const hwi_leaf_edits *e, hwi_leaf_edit *l, uint32_t row, hw_error *err)
{
    const hwi_model *m = e->model;
    uint32_t last = l->count - 1;

    HWI_TRY(touch(e, l, row, err));
    HWI_TRY(touch(e, l, last, err));
    l->slots[row] = l->slots[last];
    l->count = last;
    if (m->words == 0) return HW_OK;
    uint8_t *to = l->blocks + row / 16 * hwi_leaf_block_bytes(m);
    const uint8_t *from = l->blocks + last / 16 * hwi_leaf_block_bytes(m);
    for (uint32_t w = 0; w < m->words; w++)
        memmove(to + w * 64 + row % 16 * 4, from + w * 64 + last % 16 * 4, 4);
    lane(m, l, row)[0] = lane(m, l, last)[0];
    lane(m, l, row)[16] = lane(m, l, last)[16];
    size_t bytes = hwi_leaf_row_bytes(m);
    memmove(l->rows + row * bytes, l->rows + last * bytes, bytes);
    blank_lane(m, l, last);
    return HW_OK;
}

uint32_t
hwi_leaf_edit_find(const hwi_leaf_edit *l, uint32_t slot)
{
    uint32_t row = 0;

    while (row < l->count && l->slots[row] != slot) row++;
    return row;
}

/* ---- writing ---- */

void
hwi_leaf_edit_page(const hwi_model *m, const hwi_leaf_edit *l, hwi_buf *out)
{
    size_t bytes = hwi_leaf_page_bytes(m, l->count);

    hwi_buf_clear(out);
    hwi_buf_fill(out, 0, HWI_PAGE_HEADER);
    if (m->words) hwi_buf_add(out, l->blocks, (l->count + 15) / 16 * hwi_leaf_block_bytes(m));
    hwi_buf_add(out, l->slots, l->count * sizeof *l->slots);
    hwi_buf_add(out, l->centre, m->dim * sizeof(float));
    hwi_buf_add(out, l->pcentre, m->dc * sizeof(float));
    if (out->failed) return;
    HWI_ASSERT(out->size == bytes);
    hwi_put_u32(out->data + 24, l->count);
    hwi_put_u32(out->data + 28, m->dim);
    hwi_put_u32(out->data + 32, m->dc);
    hwi_put_u32(out->data + 36, m->words);
    hwi_put_f32(out->data + 40, l->radius);
    hwi_page_seal(out->data, bytes, HWI_PAGE_MAGIC_LEAF, 1, (uint32_t)(bytes - HWI_PAGE_HEADER));
}

void
hwi_leaf_edit_part(const hwi_model *m, const hwi_leaf_edit *l, uint32_t part, hwi_buf *out)
{
    uint32_t per_part = hwi_leaf_rows_per_part(m), first = (part - 1) * per_part;
    uint32_t rows = HWI_MIN(l->count - first, per_part);
    size_t row = hwi_leaf_row_bytes(m);

    hwi_buf_clear(out);
    hwi_buf_fill(out, 0, HWI_PAGE_HEADER);
    hwi_buf_add(out, l->rows + first * row, rows * row);
    if (out->failed) return;
    hwi_page_seal(out->data, out->size, HWI_PAGE_MAGIC_REF, rows, (uint32_t)row);
}

static hw_status
put(const hwi_leaf_edits *e, uint32_t node, uint32_t part, const hwi_buf *b, hw_error *err)
{
    hwi_key key;

    if (b->failed) return hwi_nomem(err, b->size);
    return hwi_store_put(e->txn, part_key(e, &key, node, part), hwi_buf_bytes(b), err);
}

static hw_status
flush_leaf(const hwi_leaf_edits *e, hwi_leaf_edit *l, hwi_buf *b, hw_error *err)
{
    hwi_key key;

    hwi_leaf_edit_page(e->model, l, b);
    HWI_TRY(put(e, l->node, 0, b, err));
    uint32_t parts = e->model->words ? parts_of(e, l->count) : 0;
    for (uint32_t p = 1; p <= parts; p++) {
        if (l->parts[p - 1] != HWI_PART_DIRTY) continue;
        hwi_leaf_edit_part(e->model, l, p, b);
        HWI_TRY(put(e, l->node, p, b, err));
    }
    for (uint32_t p = parts + 1; p <= parts_of(e, l->stored_rows); p++)
        HWI_TRY(hwi_store_del(e->txn, part_key(e, &key, l->node, p), err));
    return HW_OK;
}

hw_status
hwi_leaf_edits_flush(hwi_leaf_edits *e, hw_error *err)
{
    hwi_buf b = {0};
    hw_status st = HW_OK;

    for (uint32_t i = 0; st == HW_OK && i < e->node_room; i++) {
        hwi_leaf_edit *l = e->by_node[i];
        if (l && l != GONE && l->dirty) st = flush_leaf(e, l, &b, err);
    }
    hwi_buf_release(&b);
    return st;
}
