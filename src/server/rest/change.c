/* change.c - makes changes to points, all in one transaction.
 *
 * A batch is one transaction, so later operations see what earlier ones did and a failure leaves
 * nothing behind. Changing a point that is not there is an error with Qdrant's sentence, except for
 * deleting it.
 */
#include "server/rest/change.h"

#include <stdlib.h>

#define STEPS_BETWEEN_LOOKS 64u /* at the clock */

typedef struct maker {
    hwi_request *r;
    const hwi_shape *shape;
    const hwi_change *changes;
    size_t change_count;

    /* Of one attempt. */
    hw_txn *txn;
    uint32_t steps;
    hw_error lost; /* HW_ECONFLICT: another transaction won, and nothing was answered */
} maker;

/* As hwi_ok; a conflict is not answered, since all is done again. */
static bool
ok(maker *m, hw_status st, const hw_error *err)
{
    if (st != HW_ECONFLICT) return hwi_ok(m->r, st, err);
    m->lost = *err;
    return false;
}

/* Call before each point: false after refusing when the time is over. */
static bool
is_in_time(maker *m)
{
    if (m->steps++ % STEPS_BETWEEN_LOOKS != 0) return true;
    if (hwi_clock_us() / 1000 < m->r->deadline_ms) return true;
    return hwi_refuse(m->r, 408, "Timeout: the update did not finish in time, nothing has changed");
}

static bool
check(maker *m, const hw_id *id, hw_status st, const hw_error *err)
{
    char text[HW_ID_TEXT_MAX + 1];
    if (st != HW_ENOTFOUND) return ok(m, st, err);
    hw_id_format(id, text);
    return hwi_refuse(m->r, 404, "Not found: No point with id %s found", text);
}

/* ---- Which points of an upsert or update of vectors are written */

static int
compare_ids(const void *a, const void *b)
{
    return hw_id_compare(a, b);
}

/* Marks the points that exist: a result keeps the order asked and leaves out the absent. */
static bool
find_existing(maker *m, const hwi_change *c, bool *exists)
{
    hw_error err;
    hw_result *found;
    hw_status st = hw_txn_get(m->txn, m->shape->collection, c->ids, c->id_count, 0, &found, &err);
    if (!ok(m, st, &err)) return false;
    const hw_id *ids = hw_result_ids(found);
    size_t count = hw_result_count(found), n = 0;
    for (size_t i = 0; i < c->id_count; i++) {
        exists[i] = n < count && hw_id_compare(&ids[n], &c->ids[i]) == 0;
        if (exists[i]) n++;
    }
    hw_result_free(found);
    return true;
}

/* The ids of the change that match its filter, ascending. */
static bool
find_matching(maker *m, const hwi_change *c, hw_id **out, size_t *count)
{
    hw_error err;
    hwi_buf filter = {0};
    hwi_buf_text(&filter, "{\"must\":[");
    hwi_buf_add(&filter, c->filter, c->filter_bytes);
    hwi_buf_text(&filter, ",{\"has_id\":[");
    for (size_t i = 0; i < c->id_count; i++) {
        if (i) hwi_buf_text(&filter, ",");
        hwi_json_write_id(&filter, &c->ids[i]);
    }
    hwi_buf_text(&filter, "]}]}");
    if (filter.failed) {
        hwi_buf_release(&filter);
        return hwi_refuse(m->r, 503, "out of memory");
    }
    hw_status st = hw_txn_match(m->txn, m->shape->collection, (const char *)filter.data,
                                filter.size, out, count, &err);
    hwi_buf_release(&filter);
    return ok(m, st, &err);
}

/* Which points to write, NULL for all. An update filter protects existing points that do not match
 * it; new ones are not asked. */
static bool
choose(maker *m, const hwi_change *c, bool **out)
{
    hw_id *matching = NULL;
    size_t matching_count = 0;
    *out = NULL;
    if (c->mode == HWI_UPDATE_UPSERT && !c->filter) return true;
    if (c->id_count == 0) return true;
    bool *chosen = hwi_request_alloc(m->r, (c->id_count + 1) * sizeof *chosen);
    if (!chosen || !find_existing(m, c, chosen)) return false;
    if (c->filter && !find_matching(m, c, &matching, &matching_count)) return false;
    for (size_t i = 0; i < c->id_count; i++) {
        if (!chosen[i]) {
            chosen[i] = c->mode != HWI_UPDATE_UPDATE_ONLY;
        } else if (c->mode == HWI_UPDATE_INSERT_ONLY) {
            chosen[i] = false;
        } else if (c->filter) {
            chosen[i] = matching_count && bsearch(&c->ids[i], matching, matching_count,
                                                  sizeof *matching, compare_ids) != NULL;
        }
    }
    hw_free(matching);
    *out = chosen;
    return true;
}

static bool
write_points(maker *m, const hwi_change *c)
{
    hw_error err;
    bool *chosen;
    if (!choose(m, c, &chosen)) return false;
    hw_txn_expect(m->txn, m->shape->collection, c->ids, c->id_count);
    for (size_t i = 0; i < c->id_count; i++) {
        const struct hwi_change_point *p = &c->points[i];
        if (chosen && !chosen[i]) continue;
        if (!is_in_time(m)) return false;
        hw_status st = c->kind == HWI_CHANGE_UPSERT
                           ? hw_txn_upsert(m->txn, m->shape->collection, &c->ids[i], p->vectors,
                                           p->vector_count, p->payload, p->payload_bytes, &err)
                           : hw_txn_update_vectors(m->txn, m->shape->collection, &c->ids[i],
                                                   p->vectors, p->vector_count, &err);
        if (!check(m, &c->ids[i], st, &err)) return false;
    }
    return true;
}

/* ---- The others */

static hw_status
set_payload(maker *m, const hwi_change *c, const hw_id *id, hw_error *err)
{
    hw_collection *collection = m->shape->collection;
    HWI_TRY(hw_txn_update_payload(m->txn, collection, id, HW_PAYLOAD_SET, c->at, c->json,
                                  c->json_bytes, err));
    if (!c->removed) return HW_OK;
    return hw_txn_update_payload(m->txn, collection, id, HW_PAYLOAD_DELETE, NULL, c->removed,
                                 c->removed_bytes, err);
}

static hw_status
change_point(maker *m, const hwi_change *c, const hw_id *id, hw_error *err)
{
    hw_collection *collection = m->shape->collection;
    switch (c->kind) {
    case HWI_CHANGE_DELETE:
        return hw_txn_delete(m->txn, collection, id, NULL, err);
    case HWI_CHANGE_DELETE_VECTORS:
        return hw_txn_delete_vectors(m->txn, collection, id, c->names, c->name_count, err);
    case HWI_CHANGE_SET_PAYLOAD:
        return set_payload(m, c, id, err);
    case HWI_CHANGE_OVERWRITE_PAYLOAD:
        return hw_txn_update_payload(m->txn, collection, id, HW_PAYLOAD_OVERWRITE, NULL, c->json,
                                     c->json_bytes, err);
    case HWI_CHANGE_DELETE_PAYLOAD:
        return hw_txn_update_payload(m->txn, collection, id, HW_PAYLOAD_DELETE, NULL, c->json,
                                     c->json_bytes, err);
    case HWI_CHANGE_CLEAR_PAYLOAD:
        return hw_txn_update_payload(m->txn, collection, id, HW_PAYLOAD_CLEAR, NULL, NULL, 0, err);
    case HWI_CHANGE_UPSERT:
    case HWI_CHANGE_UPDATE_VECTORS:
        break;
    }
    HWI_UNREACHABLE("a change that write_points makes");
}

static bool
change_points(maker *m, const hwi_change *c, const hw_id *ids, size_t count)
{
    hw_error err;
    for (size_t i = 0; i < count; i++) {
        if (!is_in_time(m)) return false;
        if (!check(m, &ids[i], change_point(m, c, &ids[i], &err), &err)) return false;
    }
    return true;
}

static bool
make_one(maker *m, const hwi_change *c)
{
    hw_id *ids;
    size_t count;
    hw_error err;
    if (c->points) return write_points(m, c);
    if (!c->filter) return change_points(m, c, c->ids, c->id_count);
    hw_status st =
        hw_txn_match(m->txn, m->shape->collection, c->filter, c->filter_bytes, &ids, &count, &err);
    if (!ok(m, st, &err)) return false;
    bool is_made = change_points(m, c, ids, count);
    hw_free(ids);
    return is_made;
}

/* One attempt. What was refused is answered already, so its status only ends the transaction. */
static hw_status
make_all(hw_txn *txn, void *arg, hw_error *err)
{
    maker *m = arg;
    m->txn = txn;
    m->steps = 0;
    m->lost = (hw_error){0};
    for (size_t i = 0; i < m->change_count; i++) {
        if (make_one(m, &m->changes[i])) continue;
        *err = m->lost;
        return m->lost.status == HW_ECONFLICT ? HW_ECONFLICT : HW_ECANCELED;
    }
    return HW_OK;
}

bool
hwi_change_make(hwi_request *r, const hwi_shape *shape, const hwi_change *changes, size_t count)
{
    hw_error err = {0};
    maker m = {.r = r, .shape = shape, .changes = changes, .change_count = count};
    hw_status st = hw_db_run(r->db, make_all, &m, &err);
    return r->refusal[0] == '\0' && hwi_ok(r, st, &err);
}
