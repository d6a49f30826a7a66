/* points.c - what can be done to one point: upsert, change its vectors or payload, delete it.
 *
 * Each operation has two halves with a line between them:
 *
 *     check    id, vectors, payload, whether the point is there      nothing was written: the
 *              ----------------------------------------------       transaction goes on
 *     apply    index remove -> vector row -> index insert, slot       any failure breaks the
 *              row, record, payload index, id entry, counts           transaction
 *
 * An existing point keeps its slot, so nothing else that speaks of it has to change. */
#include "ingest/change.h"
#include "ingest/target.h"
#include "ingest/validate.h"

/* ---- Checking ---- */

static hw_status
begin_operation(hwi_target *t, const hw_id *id, hw_error *err)
{
    if (t->writer->broken != HW_OK) {
        return hwi_fail(err, t->writer->broken,
                        "an earlier operation of this transaction failed: it can only be aborted");
    }
    for (size_t i = 0; i < t->conf->field_count; i++) {
        t->fields[i].is_wanted = t->fields[i].is_given = false;
    }
    return hwi_validate_id(id, err);
}

/* Marks a transaction whose apply half failed. */
static hw_status
end_operation(hwi_target *t, uint64_t *counter, hw_status st)
{
    *counter += 1;
    t->is_changed = true;
    if (st != HW_OK) t->writer->broken = st;
    return st;
}

static hw_status
find_field(hwi_target *t, const char *name, hwi_target_field **out, hw_error *err)
{
    const hwi_field *conf = hwi_conf_field(t->conf, name);
    if (!conf) {
        return hwi_fail(err, HW_ENOTFOUND, "collection `%s` has no vector named `%s`",
                        t->conf->name, name ? name : "");
    }
    *out = &t->fields[conf - t->conf->fields];
    return HW_OK;
}

static hw_status
check_vector(hwi_target_field *f, const hw_vector *v, hw_error *err)
{
    if (hwi_field_is_ragged(f->conf)) {
        hwi_buf_clear(&f->packed);
        return hwi_validate_ragged(f->conf, v, &f->packed, err);
    }
    if (v->rows > 1 || v->indices) {
        return hwi_fail(err, HW_EINVAL,
                        "vector `%s` is given as a %s one, the collection expects "
                        "%u values",
                        f->conf->name, v->indices ? "sparse" : "multi", f->conf->dim);
    }
    f->given = v->values;
    return hwi_validate_vector(f->conf, v->values, v->dim, &f->inv_norm, err);
}

static hw_status
check_vectors(hwi_target *t, const hw_vector *vectors, size_t count, hw_error *err)
{
    for (size_t i = 0; i < count; i++) {
        hwi_target_field *f;
        HWI_TRY(find_field(t, vectors[i].name, &f, err));
        if (f->is_wanted) {
            return hwi_fail(err, HW_EINVAL, "vector `%s` is given twice", f->conf->name);
        }
        HWI_TRY(check_vector(f, &vectors[i], err));
        f->is_wanted = f->is_given = true;
    }
    return HW_OK;
}

/* Slot of an existing point; HWI_SLOT_NONE when there is none. */
static hw_status
find_slot(hwi_target *t, const hw_id *id, uint32_t *slot, hw_error *err)
{
    *slot = HWI_SLOT_NONE;
    hw_status st = hwi_id_find(t->writer->txn, t->conf, &t->near, id, slot, err);
    if (st == HW_OK && *slot >= t->counts.slots_below) {
        return hwi_fail(err, HW_ECORRUPT, "an id entry points to slot %u of %u", *slot,
                        t->counts.slots_below);
    }
    return st == HW_ENOTFOUND ? HW_OK : st;
}

static hw_status
must_find_slot(hwi_target *t, const hw_id *id, uint32_t *slot, hw_error *err)
{
    char text[HW_ID_TEXT_MAX + 1];
    HWI_TRY(find_slot(t, id, slot, err));
    if (*slot != HWI_SLOT_NONE) return HW_OK;
    hw_id_format(id, text);
    return hwi_fail(err, HW_ENOTFOUND, "collection `%s` has no point %s", t->conf->name, text);
}

/* ---- Payload ---- */

/* Copies the payload of a slot to t->old_payload, as later writes end what the store lent. */
static hw_status
load_payload(hwi_target *t, uint32_t slot, hw_error *err)
{
    hw_bytes payload;
    HWI_TRY(hwi_payload_get(t->writer->txn, t->coll, slot, &t->large, &payload, err));
    hwi_buf_clear(&t->old_payload);
    hwi_buf_add(&t->old_payload, payload.data, payload.size);
    return t->old_payload.failed ? hwi_nomem(err, payload.size) : HW_OK;
}

/* Replaces t->old_payload. A new point's record is written even without payload: a long string id
 * is kept there. */
static hw_status
write_payload(hwi_target *t, const hw_id *id, uint32_t slot, bool is_new, hw_bytes payload,
              hw_error *err)
{
    hw_bytes old = hwi_buf_bytes(&t->old_payload);
    bool is_same = old.size == payload.size &&
                   (old.size == 0 || memcmp(old.data, payload.data, old.size) == 0);
    if (is_same && !is_new) return HW_OK;
    uint8_t row[HWI_SLOT_ROW_BYTES];
    hwi_rec rec = {.payload = payload};
    bool text_in_rec = false;
    hw_id ignored;
    hwi_slot_row_write(row, id);
    HWI_TRY(hwi_slot_row_read(row, &ignored, &text_in_rec, err));
    if (text_in_rec) rec.id_text = hwi_bytes(id->as.text, id->text_bytes);
    HWI_TRY(hwi_pix_change(t->pix, slot, old, payload, err));
    return hwi_rec_put(t->writer->txn, t->coll, slot, is_new, &rec, err);
}

static hw_status
touch_id(hwi_target *t, const hw_id *id, uint32_t slot, hw_error *err)
{
    return hwi_id_put(t->writer->txn, t->conf, &t->near, id, slot, t->counts.version + 1, err);
}

/* ---- Upsert ---- */

static hw_status
new_point(hwi_target *t, const hw_id *id, uint32_t *slot, hw_error *err)
{
    uint8_t *row;
    HWI_TRY(hwi_holes_take(&t->holes, &t->counts.slots_below, slot, err));
    HWI_TRY(hwi_page_cache_write(t->slots, *slot, &row, err));
    hwi_slot_row_write(row, id);
    hwi_buf_clear(&t->old_payload);
    t->counts.points++;
    return hwi_pix_set_live(t->pix, *slot, true, err);
}

static hw_status
apply_upsert(hwi_target *t, const hw_id *id, uint32_t slot, hw_bytes payload, hw_error *err)
{
    bool is_new = slot == HWI_SLOT_NONE;
    HWI_TRY(is_new ? new_point(t, id, &slot, err) : load_payload(t, slot, err));
    HWI_TRY(hwi_target_write_vectors(t, slot, err));
    HWI_TRY(write_payload(t, id, slot, is_new, payload, err));
    return touch_id(t, id, slot, err);
}

hw_status
hwi_target_upsert(hwi_target *t, const hw_id *id, const hw_vector *vectors, size_t vector_count,
                  const char *payload, size_t payload_bytes, hw_error *err)
{
    uint32_t slot;
    HWI_TRY(begin_operation(t, id, err));
    HWI_TRY(check_vectors(t, vectors, vector_count, err));
    HWI_TRY(hwi_validate_payload(payload, payload_bytes, err));
    HWI_TRY(find_slot(t, id, &slot, err));
    if (slot != HWI_SLOT_NONE) { /* the whole point is replaced: what is not given goes */
        for (size_t i = 0; i < t->conf->field_count; i++) t->fields[i].is_wanted = true;
    }
    hw_bytes after = hwi_bytes(payload, payload ? payload_bytes : 0);
    return end_operation(t, &t->writer->done.written, apply_upsert(t, id, slot, after, err));
}

/* ---- Changes of an existing point ---- */

static hw_status
apply_vectors(hwi_target *t, const hw_id *id, uint32_t slot, hw_error *err)
{
    HWI_TRY(hwi_target_write_vectors(t, slot, err));
    return touch_id(t, id, slot, err);
}

hw_status
hwi_target_update_vectors(hwi_target *t, const hw_id *id, const hw_vector *vectors,
                          size_t vector_count, hw_error *err)
{
    uint32_t slot;
    HWI_TRY(begin_operation(t, id, err));
    HWI_TRY(check_vectors(t, vectors, vector_count, err));
    HWI_TRY(must_find_slot(t, id, &slot, err));
    return end_operation(t, &t->writer->done.written, apply_vectors(t, id, slot, err));
}

hw_status
hwi_target_delete_vectors(hwi_target *t, const hw_id *id, const char *const *names,
                          size_t name_count, hw_error *err)
{
    uint32_t slot;
    HWI_TRY(begin_operation(t, id, err));
    for (size_t i = 0; i < name_count; i++) {
        hwi_target_field *f;
        HWI_TRY(find_field(t, names[i], &f, err));
        f->is_wanted = true;
    }
    HWI_TRY(must_find_slot(t, id, &slot, err));
    return end_operation(t, &t->writer->done.written, apply_vectors(t, id, slot, err));
}

static hw_status
apply_payload(hwi_target *t, const hw_id *id, uint32_t slot, hw_error *err)
{
    HWI_TRY(write_payload(t, id, slot, false, hwi_buf_bytes(&t->new_payload), err));
    return touch_id(t, id, slot, err);
}

hw_status
hwi_target_update_payload(hwi_target *t, const hw_id *id, hw_payload_op op, const char *at,
                          const char *json, size_t json_bytes, hw_error *err)
{
    uint32_t slot;
    HWI_TRY(begin_operation(t, id, err));
    HWI_TRY(must_find_slot(t, id, &slot, err));
    HWI_TRY(load_payload(t, slot, err));
    hwi_buf_clear(&t->new_payload);
    HWI_TRY(hwi_payload_change(hwi_buf_bytes(&t->old_payload), op, at, json, json_bytes,
                               &t->new_payload, err));
    return end_operation(t, &t->writer->done.written, apply_payload(t, id, slot, err));
}

/* ---- Delete ---- */

static hw_status
apply_delete(hwi_target *t, const hw_id *id, uint32_t slot, hw_error *err)
{
    uint8_t *row;
    for (size_t i = 0; i < t->conf->field_count; i++) t->fields[i].is_wanted = true;
    HWI_TRY(hwi_target_write_vectors(t, slot, err));
    HWI_TRY(load_payload(t, slot, err));
    HWI_TRY(hwi_pix_change(t->pix, slot, hwi_buf_bytes(&t->old_payload), (hw_bytes){0}, err));
    HWI_TRY(hwi_pix_set_live(t->pix, slot, false, err));
    HWI_TRY(hwi_page_cache_write(t->slots, slot, &row, err));
    memset(row, 0, HWI_SLOT_ROW_BYTES);
    HWI_TRY(hwi_holes_free_slot(&t->holes, slot, err));
    HWI_TRY(hwi_rec_del(t->writer->txn, t->coll, slot, err));
    t->counts.points--;
    return hwi_id_del(t->writer->txn, t->conf, &t->near, id, err);
}

hw_status
hwi_target_delete(hwi_target *t, const hw_id *id, bool *existed, hw_error *err)
{
    uint32_t slot;
    if (existed) *existed = false;
    HWI_TRY(begin_operation(t, id, err));
    HWI_TRY(find_slot(t, id, &slot, err));
    if (slot == HWI_SLOT_NONE) return HW_OK;
    HWI_TRY(end_operation(t, &t->writer->done.deleted, apply_delete(t, id, slot, err)));
    if (existed) *existed = true;
    return HW_OK;
}
