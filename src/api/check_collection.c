/* check_collection.c - one collection, verified from its parts against each other.
 *
 *     settings   decode, and say the name and number they are kept under
 *     slot pages checksums; every live slot's id leads back to it; with as many ids in entries as live
 *                slots, that makes ids and slots one to one
 *     counts     points = live slots; all of them below slots_below
 *     live       the bitmap of live slots is what the slot pages say
 *     records    checksums; belong to live slots; payloads are JSON objects
 *     vectors    checksums; belong to live slots; values may be stored, norms are theirs
 *     fields     every vector belongs to a field of the settings, or to one being dropped
 *     indexes    payload and vector indexes check themselves (hwi_pix_check, hwi_index_check)
 *
 * A damaged page is reported once, and what it held is then missing in the comparisons that follow,
 * so one damage can show up several times; none is hidden. */
#include <stdio.h>

#include "api/check.h"
#include "ingest/validate.h"
#include "payload/pix.h"

typedef struct part {
    hwi_check *check;
    hwi_conf *conf;
    hwi_counts counts;
    roaring_bitmap_t *live; /* from slot pages */
    const hwi_field *field; /* whose vector pages are walked */
    hwi_page_table *vecs;   /* of field */
    uint64_t ids;           /* that have an entry */
    hw_status st;
} part;

/* ---- Slot pages ---- */

static hw_status
check_row(part *p, uint32_t slot, const uint8_t *row)
{
    hwi_check *c = p->check;
    char where[64];
    hw_error detail = {0};
    hw_id id;
    hwi_rec rec;
    bool text_in_rec;
    uint32_t back = 0;
    uint64_t version = 0;
    snprintf(where, sizeof where, "slot %u", slot);
    hw_status st = hwi_slot_row_read(row, &id, &text_in_rec, &detail);
    if (st == HW_ENOTFOUND) return HW_OK;
    if (st == HW_OK) roaring_bitmap_add(p->live, slot);
    if (st == HW_OK && text_in_rec) {
        st = hwi_rec_get(c->txn, p->conf->coll, slot, NULL, &rec, &detail);
        id.as.text = rec.id_text.data;
        id.text_bytes = (uint32_t)rec.id_text.size;
        if (st == HW_OK && rec.id_text.size == 0) {
            hwi_check_report(c, where, "its string id is missing");
            return HW_OK;
        }
    }
    if (st == HW_OK) st = hwi_id_slot(c->txn, p->conf, &id, &back, &version, &detail);
    if (st == HW_ENOTFOUND) {
        hwi_check_report(c, where, "its id has no entry");
        return HW_OK;
    }
    if (st == HW_OK && back != slot) {
        hwi_check_found(c, where, "the entry of its id leads to slot %u", back);
    }
    if (st == HW_OK && version > p->counts.version) {
        hwi_check_found(c, where, "it was written at version %llu, the collection is at %llu",
                        (unsigned long long)version, (unsigned long long)p->counts.version);
    }
    return hwi_check_take(c, where, st, &detail);
}

/* Number of the page a key names: its last element. */
static bool
page_number(hw_bytes key, size_t elements_before, uint32_t *page)
{
    hwi_key_reader r;
    hwi_key_reader_init(&r, key);
    for (size_t i = 0; i < elements_before; i++) {
        if (hwi_key_skip(&r, NULL) != HW_OK) return false;
    }
    return hwi_key_read_u32(&r, page, NULL) == HW_OK;
}

static bool
walk_slot_page(void *arg, hw_bytes key, hw_bytes value)
{
    part *p = arg;
    char where[96];
    uint32_t page;
    hw_error detail = {0};
    hwi_key_print(key, where, sizeof where);
    hw_status st = hwi_slot_page_verify(value, &detail);
    if (st != HW_OK) {
        p->st = hwi_check_take(p->check, where, st, &detail);
        return p->st == HW_OK;
    }
    if (!page_number(key, 2, &page) || page > HWI_SLOT_MAX / HWI_SLOTS_PER_PAGE ||
        hwi_page_rows(value.data) > HWI_SLOTS_PER_PAGE) {
        hwi_check_report(p->check, where, "page is out of range");
        return true;
    }
    for (uint32_t i = 0; p->st == HW_OK && i < hwi_page_rows(value.data); i++) {
        uint8_t room[HWI_SLOT_ROW_BYTES];
        p->st = check_row(p, page * HWI_SLOTS_PER_PAGE + i, hwi_slot_page_row(value.data, i, room));
    }
    return p->st == HW_OK;
}

/* ---- Id entries: decode; that they are right follows from the number of ids ---- */

static void
report_id(part *p, hw_bytes key, const char *what)
{
    char where[HW_ID_TEXT_MAX + 64];
    hwi_key_print(key, where, sizeof where);
    hwi_check_report(p->check, where, what);
}

static bool
walk_id(void *arg, hw_bytes key, hw_bytes value)
{
    part *p = arg;
    hwi_id_entry entry;
    if (hwi_id_entry_read(p->conf, key, value, &entry, NULL) != HW_OK) {
        report_id(p, key, "does not decode");
        return true;
    }
    for (uint32_t i = 0; i < HWI_ID_BLOCK; i++) {
        if (!(entry.which >> i & 1)) continue;
        p->ids++;
        if (!roaring_bitmap_contains(p->live, entry.slots[i]))
            report_id(p, key, "leads to a slot that holds no point");
    }
    return true;
}

/* ---- Records ---- */

static bool
walk_rec(void *arg, hw_bytes key, hw_bytes value)
{
    part *p = arg;
    uint32_t slot, at;
    char where[64];
    hwi_buf large = {0};
    hw_bytes payload;
    hw_error detail = {0};
    (void)value;
    if (page_number(key, 3, &at)) return true; /* part of a blob, read with its record */
    hwi_key_print(key, where, sizeof where);
    if (!page_number(key, 2, &slot) || !roaring_bitmap_contains(p->live, slot)) {
        hwi_check_report(p->check, where, "belongs to no point");
        return true;
    }
    hw_status st = hwi_payload_get(p->check->txn, p->conf->coll, slot, &large, &payload, &detail);
    if (st == HW_OK) st = hwi_validate_payload(payload.data, payload.size, &detail);
    if (st == HW_EINVAL) st = HW_ECORRUPT;
    p->st = hwi_check_take(p->check, where, st, &detail);
    hwi_buf_release(&large);
    return p->st == HW_OK;
}

/* ---- Vectors ---- */

static void
check_vector(part *p, uint32_t slot, const uint8_t *row, const char *where)
{
    const hwi_field *f = p->field;
    hw_error detail = {0};
    float stored = hwi_vec_inv_norm(row, f->dim), norm;
    if (stored == 0) return;
    if (!roaring_bitmap_contains(p->live, slot)) {
        hwi_check_found(p->check, where, "slot %u has a vector but no point", slot);
        return;
    }
    if (hwi_validate_vector(f, hwi_vec_row(row), f->dim, &norm, &detail) != HW_OK) {
        hwi_check_found(p->check, where, "slot %u: %s", slot, detail.message);
    } else if (norm != stored) {
        hwi_check_found(p->check, where, "slot %u: its norm is not that of its vector", slot);
    }
}

static bool
walk_vec_page(void *arg, hw_bytes key, hw_bytes value)
{
    part *p = arg;
    uint32_t number, row_bytes = hwi_vec_row_bytes(p->field->dim);
    uint32_t per_page = hwi_vec_rows_per_page(p->field->dim);
    const uint8_t *page = NULL;
    char where[96];
    hw_error detail = {0};
    hw_status st = HW_OK;
    hwi_key_print(key, where, sizeof where);
    if (page_number(key, 4, &number)) return true; /* part of a blob */
    if (!page_number(key, 3, &number)) {
        hwi_check_report(p->check, where, "does not decode");
        return true;
    }
    bool is_blob = HWI_PAGE_HEADER + (size_t)per_page * row_bytes > HWI_STORE_VALUE_MAX;
    if (!is_blob) st = hwi_page_verify(value, HWI_PAGE_MAGIC_VEC, row_bytes, &detail);
    if (st == HW_OK) st = hwi_page_table_get(p->vecs, number, &page, &detail);
    p->st = hwi_check_take(p->check, where, st, &detail);
    if (p->st != HW_OK) return false;
    if (st == HW_OK && !page) hwi_check_report(p->check, where, "page is out of range");
    for (uint32_t i = 0; page && i < per_page; i++) {
        check_vector(p, number * per_page + i, hwi_page_row(page, i, row_bytes), where);
    }
    return true;
}

/* Leaf numbers by slot: the index check compares them, but not their checksums. */
static bool
walk_loc_page(void *arg, hw_bytes key, hw_bytes value)
{
    part *p = arg;
    char where[96];
    hw_error detail = {0};
    hwi_key_print(key, where, sizeof where);
    hw_status st = hwi_page_verify(value, HWI_PAGE_MAGIC_LOC, 4, &detail);
    p->st = hwi_check_take(p->check, where, st, &detail);
    return p->st == HW_OK;
}

static hw_status
walk_sub(part *p, hwi_sub sub, hw_scan_fn fn)
{
    hwi_key prefix;
    hwi_key_sub(&prefix, sub, p->conf->coll);
    HWI_TRY(hwi_store_scan_prefix(p->check->txn, &prefix, fn, p, p->check->err));
    return p->st;
}

/* ---- Indexes ---- */

static hw_status
check_field_index(part *p, const hwi_field *f, hwi_page_table *slots)
{
    hwi_check *c = p->check;
    hw_error detail = {0};
    hwi_index *ix = NULL;
    hwi_index_view *view = NULL;
    char where[HW_NAME_MAX + 16];
    snprintf(where, sizeof where, "vector `%s`", f->name);
    hw_status st = hwi_index_new(p->conf->coll, f, &ix, &detail);
    if (st == HW_OK) {
        st = hwi_index_view_new(ix, c->txn, p->vecs, slots, p->counts.slots_below, &view, &detail);
    }
    if (st == HW_OK) st = hwi_index_check(view, p->live, hwi_check_report, c, &detail);
    hwi_index_view_free(view);
    hwi_index_free(ix);
    return hwi_check_take(c, where, st, &detail);
}

static hw_status
check_field(part *p, const hwi_field *f, hwi_page_table *slots)
{
    hwi_key prefix;
    p->field = f;
    if (hwi_field_is_ragged(f)) {
        return hwi_check_ragged(p->check, p->conf->coll, f, p->counts.slots_below, p->live, slots);
    }
    HWI_TRY(hwi_vec_table_new(p->check->txn, p->conf->coll, f, p->counts.slots_below, &p->vecs,
                              p->check->err));
    hwi_key_sub(&prefix, HWI_SUB_VEC, p->conf->coll);
    hwi_key_uint(&prefix, f->number);
    hw_status st = hwi_store_scan_prefix(p->check->txn, &prefix, walk_vec_page, p, p->check->err);
    if (st == HW_OK) st = p->st;
    if (st == HW_OK) st = check_field_index(p, f, slots);
    hwi_page_table_free(p->vecs);
    return st;
}

static hw_status
check_fields(part *p)
{
    hwi_page_table *slots;
    HWI_TRY(hwi_slot_table_new(p->check->txn, p->conf->coll, p->counts.slots_below, &slots,
                               p->check->err));
    hw_status st = HW_OK;
    for (size_t i = 0; st == HW_OK && i < p->conf->field_count; i++) {
        st = check_field(p, &p->conf->fields[i], slots);
    }
    hwi_page_table_free(slots);
    return st;
}

/* Keys of vectors and of what is kept beside them: second element after the collection. */
static bool
walk_field_key(void *arg, hw_bytes key, hw_bytes value)
{
    part *p = arg;
    char where[96];
    uint32_t number;
    bool known = false;
    (void)value;
    if (page_number(key, 2, &number)) {
        for (size_t i = 0; i < p->conf->field_count; i++) {
            known |= p->conf->fields[i].number == number;
        }
        for (size_t i = 0; i < p->conf->dropped_count; i++) known |= p->conf->dropped[i] == number;
    }
    if (known) return true;
    hwi_key_print(key, where, sizeof where);
    hwi_check_report(p->check, where, "belongs to no vector of the collection");
    return true;
}

static hw_status
check_field_keys(part *p)
{
    static const hwi_sub subs[] = {HWI_SUB_VEC, HWI_SUB_HAS, HWI_SUB_INV, HWI_SUB_STATE};
    for (size_t i = 0; i < HWI_COUNT(subs); i++) HWI_TRY(walk_sub(p, subs[i], walk_field_key));
    return HW_OK;
}

/* ---- Counts and the bitmap of live slots ---- */

static void
check_counts(part *p)
{
    uint64_t live = roaring_bitmap_get_cardinality(p->live);
    if (live != p->counts.points) {
        hwi_check_found(p->check, "counts", "%llu points are counted, slot pages hold %llu",
                        (unsigned long long)p->counts.points, (unsigned long long)live);
    }
    if (live != p->ids) {
        hwi_check_found(p->check, "ids", "%llu ids have entries, for %llu points",
                        (unsigned long long)p->ids, (unsigned long long)live);
    }
    if (live && roaring_bitmap_maximum(p->live) >= p->counts.slots_below) {
        hwi_check_found(p->check, "counts", "slot %u is in use, all should be below %u",
                        roaring_bitmap_maximum(p->live), p->counts.slots_below);
    }
}

static hw_status
check_live(part *p)
{
    roaring_bitmap_t *stored = NULL;
    hw_error detail = {0};
    hw_status st = hwi_pix_live(p->check->txn, p->conf->coll, &stored, &detail);
    if (st == HW_OK && !roaring_bitmap_equals(stored, p->live)) {
        hwi_check_found(p->check, "live",
                        "the bitmap of live slots differs from the slot pages in "
                        "%llu places",
                        (unsigned long long)roaring_bitmap_xor_cardinality(stored, p->live));
    }
    if (stored) roaring_bitmap_free(stored);
    return hwi_check_take(p->check, "live", st, &detail);
}

static hw_status
check_pix(part *p)
{
    hw_error detail = {0};
    hw_status st = hwi_pix_check(p->check->txn, p->conf->coll, &p->conf->schema, hwi_check_report,
                                 p->check, &detail);
    return hwi_check_take(p->check, "payload indexes", st, &detail);
}

static hw_status
check_parts(part *p)
{
    hwi_check *c = p->check;
    hw_error detail = {0};
    hw_status st = hwi_counts_get(c->txn, p->conf->coll, &p->counts, &detail);
    HWI_TRY(hwi_check_take(c, "counts", st, &detail));
    if (st != HW_OK) return HW_OK; /* nothing can be compared without them */
    HWI_TRY(walk_sub(p, HWI_SUB_SLOT, walk_slot_page));
    HWI_TRY(walk_sub(p, HWI_SUB_ID, walk_id));
    HWI_TRY(walk_sub(p, HWI_SUB_IDS, walk_id));
    check_counts(p);
    HWI_TRY(check_live(p));
    HWI_TRY(walk_sub(p, HWI_SUB_REC, walk_rec));
    HWI_TRY(walk_sub(p, HWI_SUB_LOC, walk_loc_page));
    HWI_TRY(check_field_keys(p));
    HWI_TRY(check_fields(p));
    return check_pix(p);
}

hw_status
hwi_check_collection(hwi_check *c, const char *name, uint32_t coll)
{
    part p = {.check = c};
    hw_error detail = {0};
    hw_status st = hwi_conf_get(c->txn, coll, &p.conf, &detail);
    if (st == HW_ENOTFOUND) {
        hwi_check_report(c, "settings", "missing");
        return HW_OK;
    }
    if (st != HW_OK) return hwi_check_take(c, "settings", st, &detail);
    if (strcmp(p.conf->name, name) != 0) {
        hwi_check_found(c, "settings", "say `%s`", p.conf->name);
    }
    p.live = roaring_bitmap_create();
    st = p.live ? check_parts(&p) : hwi_nomem(c->err, sizeof *p.live);
    if (p.live) roaring_bitmap_free(p.live);
    hwi_conf_unref(p.conf);
    return st;
}
