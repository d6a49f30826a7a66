/* filtering.c - a query's filter, resolved through the payload indexes as far as they know.
 *
 *     may      slots that may match: from the indexes, and only those of the ids given
 *     sure     slots that surely do
 *     test     the rest: one payload read each
 *
 * A search asks about as few slots as it can, and last of all. A test that fails has no way to say
 * so; its failure is kept here and becomes the query's when the search is over. */
#include "query/filtering.h"

#define TESTS_AT_ONCE 64u /* before a look at the clock */

static bool
test_slot(void *arg, uint32_t slot)
{
    return hwi_filtering_test(arg, slot);
}

bool
hwi_filtering_test(hwi_filtering *f, uint32_t slot)
{
    hw_id id;
    hw_bytes payload;
    bool matches = false;

    if (f->status != HW_OK) return false;
    hw_status st =
        f->tested % TESTS_AT_ONCE == 0 ? hwi_stop_check(f->view->stop, &f->error) : HW_OK;
    f->tested++;
    bool needs_id = hwi_filter_needs_id(f->filter);
    if (st == HW_OK && needs_id) st = hwi_view_id(f->view, slot, &id, &f->error);
    if (st == HW_ENOTFOUND) return false;
    if (st == HW_OK)
        st = hwi_payload_get(f->view->txn, f->view->conf->coll, slot, &f->large, &payload,
                             &f->error);
    if (st == HW_OK)
        st = hwi_filter_test_slot(f->tester, slot, f->having, needs_id ? &id : NULL, payload,
                                  &matches, &f->error);
    f->status = st;
    return st == HW_OK && matches;
}

void
hwi_filtering_release(hwi_filtering *f)
{
    hwi_filter_tester_free(f->tester);
    hwi_kept_unref(f->kept);
    hwi_free(f->warning);
    if (f->among) roaring_bitmap_free(f->among);
    for (size_t i = 0; i < f->having_count; i++) roaring_bitmap_free(f->having[i]);
    hwi_buf_release(&f->large);
    hwi_arena_release(&f->arena);
}

/* Gathers the slots that have the vectors which has_vector names; a name of none: no slots. */
static hw_status
gather_having(hwi_filtering *f, hw_error *err)
{
    const char *const *names;
    size_t count = hwi_filter_vectors(f->filter, &names);

    if (count == 0) return HW_OK;
    f->having = hwi_arena_alloc(&f->arena, count * sizeof(*f->having));
    if (!f->having) return hwi_nomem(err, count * sizeof(*f->having));
    for (size_t i = 0; i < count; i++) {
        const hwi_view_field *field = hwi_view_field_by_name(f->view, names[i]);
        roaring_bitmap_t *slots = field ? NULL : roaring_bitmap_create();
        if (field) HWI_TRY(hwi_view_having(f->view, field, &slots, err));
        if (!slots) return hwi_nomem(err, sizeof *slots);
        f->having[f->having_count++] = slots;
    }
    return HW_OK;
}

/* Asks the indexes, and remembers what they say for as long as the view lasts. */
static hw_status
ask_indexes(hwi_filtering *f, const char *json, size_t bytes, hw_error *err)
{
    hwi_view *view = f->view;
    hwi_filter_resolved resolved;

    HWI_TRY(hwi_filter_resolve(f->filter, view->txn, view->conf, f->having, &resolved, err));
    HWI_TRY(hwi_kept_new(json, bytes, &resolved, view->counts.slots_below, &f->kept, err));
    hwi_keeper_add(view->keeper, f->kept);
    return HW_OK;
}

static hw_status
copy_warning(hwi_filtering *f, hw_error *err)
{
    const char *text = f->kept->resolved.warning;

    if (!text) return HW_OK;
    size_t bytes = strlen(text) + 1;
    f->warning = hwi_alloc(bytes);
    if (!f->warning) return hwi_nomem(err, bytes);
    memcpy(f->warning, text, bytes);
    return HW_OK;
}

static hw_status
resolve(hwi_filtering *f, const char *json, size_t bytes, hw_error *err)
{
    const hwi_view *view = f->view;

    HWI_TRY(hwi_filter_parse_for(json, bytes, &view->conf->schema, &f->arena, &f->filter, err));
    f->kept = hwi_keeper_find(view->keeper, json, bytes);
    bool again = f->kept != NULL; /* what is asked once is not worth keeping more of */
    if (!f->kept || !f->kept->resolved.exact) HWI_TRY(gather_having(f, err));
    if (!f->kept) HWI_TRY(ask_indexes(f, json, bytes, err));
    HWI_TRY(copy_warning(f, err));
    f->accept.may = f->kept->resolved.may;
    f->accept.bits = f->kept->bits, f->accept.bits_below = f->kept->bits_below;
    f->accept.leaves = again ? f->kept->leaves : NULL;
    if (f->kept->resolved.exact) return HW_OK;
    f->accept.sure = f->kept->resolved.sure;
    f->accept.test = test_slot, f->accept.arg = f;
    return hwi_filter_tester_new(f->filter, &f->tester, err);
}

static hw_status
limit_to(hwi_filtering *f, const hw_id *ids, size_t count, hw_error *err)
{
    if (count > HWI_AMONG_MAX)
        return hwi_fail(err, HW_ELIMIT, "search among %zu ids is above the maximum %u", count,
                        HWI_AMONG_MAX);
    if (!(f->among = roaring_bitmap_create())) return hwi_nomem(err, sizeof *f->among);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot;
        hw_status st = hwi_id_slot(f->view->txn, f->view->conf, &ids[i], &slot, NULL, err);
        if (st == HW_OK)
            roaring_bitmap_add(f->among, slot);
        else if (st != HW_ENOTFOUND)
            return st;
    }
    if (f->filter) roaring_bitmap_and_inplace(f->among, f->kept->resolved.may);
    f->accept.may = f->among, f->accept.bits = NULL, f->accept.leaves = NULL;
    return HW_OK;
}

hw_status
hwi_filtering_open(hwi_filtering *f, hwi_view *view, const char *json, size_t bytes,
                   const hw_id *among, size_t among_count, hw_error *err)
{
    *f = (hwi_filtering){.view = view};
    if (!among && among_count)
        return hwi_fail(err, HW_EINVAL, "among is NULL, among_count is %zu", among_count);
    if (json) HWI_TRY(resolve(f, json, bytes, err));
    return among ? limit_to(f, among, among_count, err) : HW_OK;
}

hw_status
hwi_filtering_matches(hwi_filtering *f, uint32_t slot, bool *yes, hw_error *err)
{
    const hwi_accept *a = hwi_filtering_accept(f);

    *yes = !a || roaring_bitmap_contains(a->may, slot);
    if (!*yes || !a || !a->test || roaring_bitmap_contains(a->sure, slot)) return HW_OK;
    *yes = hwi_filtering_test(f, slot);
    return hwi_filtering_status(f, HW_OK, err);
}

hw_status
hwi_filtering_status(const hwi_filtering *f, hw_status st, hw_error *err)
{
    if (st != HW_OK || f->status == HW_OK) return st;
    if (err) *err = f->error;
    return f->status;
}
