/* check_ragged.c - multi-vectors and sparse vectors of a collection, verified.
 *
 *     vectors    decode and may be stored (norms, order of indices); belong to live slots
 *     has        checksums; says of exactly these slots that they have one
 *     postings   check themselves against the sum of the vectors (hwi_sparse_check) */
#include <stdio.h>

#include "api/check.h"
#include "ingest/validate.h"

typedef struct part {
    hwi_check *check;
    uint32_t coll;
    const hwi_field *field;
    const roaring_bitmap_t *live;
    hwi_page_table *has;
    hwi_sparse_sum sum;
    uint64_t vectors;
    hwi_buf large, again;
    hw_status st;
} part;

/* The slot that a key of the field's names; false for a part of a blob. */
static bool
slot_of(hw_bytes key, uint32_t *slot)
{
    hwi_key_reader r;
    hwi_key_reader_init(&r, key);
    for (int i = 0; i < 3; i++) {
        if (hwi_key_skip(&r, NULL) != HW_OK) return false;
    }
    return hwi_key_read_u32(&r, slot, NULL) == HW_OK && hwi_key_read_end(&r, NULL) == HW_OK;
}

/* Packs the vector again as if it were given now: the outcome must be what is stored. */
static hw_status
check_values(part *p, hw_bytes raw, hw_error *detail)
{
    hwi_arena arena = {0};
    hw_vector v = {0};
    hwi_buf_clear(&p->again);
    hw_status st = hwi_ragged_unpack(p->field, raw, &arena, &v, detail);
    if (st == HW_OK) st = hwi_validate_ragged(p->field, &v, &p->again, detail);
    hwi_arena_release(&arena);
    if (st == HW_EINVAL) return HW_ECORRUPT;
    if (st != HW_OK) return st;
    bool is_same = p->again.size == raw.size &&
                   (raw.size == 0 || memcmp(p->again.data, raw.data, raw.size) == 0);
    return is_same ? HW_OK : hwi_fail(detail, HW_ECORRUPT, "norms or order are not its vector's");
}

static hw_status
check_vector(part *p, uint32_t slot, hw_error *detail)
{
    hw_bytes raw;
    uint32_t bits;
    p->vectors++;
    if (!roaring_bitmap_contains(p->live, slot)) {
        return hwi_fail(detail, HW_ECORRUPT, "slot %u has a vector but no point", slot);
    }
    HWI_TRY(hwi_ragged_get(p->check->txn, p->coll, p->field, slot, &p->large, &raw, detail));
    if (p->field->type == HWI_SPARSE) hwi_sparse_sum_add(&p->sum, slot, raw);
    HWI_TRY(check_values(p, raw, detail));
    HWI_TRY(hwi_has_row(p->has, slot / 32, &bits, detail));
    if (bits & 1u << slot % 32) return HW_OK;
    return hwi_fail(detail, HW_ECORRUPT, "slot %u has a vector that is not noted", slot);
}

static bool
walk_vector(void *arg, hw_bytes key, hw_bytes value)
{
    part *p = arg;
    char where[96];
    uint32_t slot;
    hw_error detail = {0};
    (void)value;
    if (!slot_of(key, &slot)) return true; /* read with its blob */
    hw_status st = check_vector(p, slot, &detail);
    if (st == HW_ENOTFOUND) st = HW_OK;
    if (st == HW_OK) return true;
    hwi_key_print(key, where, sizeof where);
    p->st = hwi_check_take(p->check, where, st, &detail);
    return p->st == HW_OK;
}

static bool
walk_has_page(void *arg, hw_bytes key, hw_bytes value)
{
    part *p = arg;
    char where[96];
    hw_error detail = {0};
    hw_status st = hwi_page_verify(value, HWI_PAGE_MAGIC_HAS, 4, &detail);
    if (st == HW_OK) return true;
    hwi_key_print(key, where, sizeof where);
    p->st = hwi_check_take(p->check, where, st, &detail);
    return p->st == HW_OK;
}

static hw_status
walk(part *p, hwi_sub sub, hw_scan_fn fn)
{
    hwi_key prefix;
    hwi_key_sub(&prefix, sub, p->coll);
    hwi_key_uint(&prefix, p->field->number);
    HWI_TRY(hwi_store_scan_prefix(p->check->txn, &prefix, fn, p, p->check->err));
    return p->st;
}

static hw_status
check_count(part *p, uint32_t slots_below)
{
    uint64_t noted;
    hw_error detail = {0};
    char where[HW_NAME_MAX + 16];
    snprintf(where, sizeof where, "vector `%s`", p->field->name);
    hw_status st = hwi_has_count(p->has, slots_below, &noted, &detail);
    if (st != HW_OK) return hwi_check_take(p->check, where, st, &detail);
    if (noted != p->vectors) {
        hwi_check_found(p->check, where, "%llu points are noted to have it, %llu do",
                        (unsigned long long)noted, (unsigned long long)p->vectors);
    }
    return HW_OK;
}

static hw_status
check_all(part *p, uint32_t slots_below, hwi_page_table *slots)
{
    hwi_check *c = p->check;
    hw_error detail = {0};
    HWI_TRY(walk(p, HWI_SUB_HAS, walk_has_page));
    HWI_TRY(walk(p, HWI_SUB_VEC, walk_vector));
    HWI_TRY(check_count(p, slots_below));
    if (p->field->type != HWI_SPARSE) return HW_OK;
    hwi_sparse_view v = {.txn = c->txn,
                         .coll = p->coll,
                         .slots_below = slots_below,
                         .field = p->field,
                         .slots = slots,
                         .has = p->has};
    hw_status st = hwi_sparse_check(&v, &p->sum, hwi_check_report, c, &detail);
    return hwi_check_take(c, "postings", st, &detail);
}

hw_status
hwi_check_ragged(hwi_check *c, uint32_t coll, const hwi_field *field, uint32_t slots_below,
                 const roaring_bitmap_t *live, hwi_page_table *slots)
{
    part p = {.check = c, .coll = coll, .field = field, .live = live};
    HWI_TRY(hwi_has_table_new(c->txn, coll, field, slots_below, &p.has, c->err));
    hw_status st = check_all(&p, slots_below, slots);
    hwi_page_table_free(p.has);
    hwi_buf_release(&p.large);
    hwi_buf_release(&p.again);
    return st;
}
