/* facet.c - hw_collection_facet: the filter's slots against the payload index of the field. */
#include "payload/facet.h"

#include "api/api.h"

static hw_status
count_values(hwi_view *view, const char *path, const char *filter, size_t filter_bytes,
             uint32_t limit, hwi_buf *out, hw_error *err)
{
    const hwi_pix_field *field;
    roaring_bitmap_t *among = NULL;
    HWI_TRY(hwi_view_index_of(view, path, hwi_pix_has_facets, "keyword, integer, bool or uuid",
                              &field, err));
    if (filter) HWI_TRY(hwi_match(view, filter, filter_bytes, &among, NULL, err));
    hw_status st =
        hwi_pix_facet(view->txn, view->conf->coll, field, among, limit, view->stop, out, err);
    if (among) roaring_bitmap_free(among);
    return st;
}

hw_status
hw_collection_facet(hw_collection *c, const char *field, const char *filter, size_t filter_bytes,
                    uint32_t limit, char **json, hw_error *err)
{
    HWI_FAR(c, hwi_facet_far(c, field, filter, filter_bytes, limit, json, err));
    hwi_view *view;
    hwi_buf out = {0};
    *json = NULL;
    if (limit == 0 || limit > HWI_FACET_LIMIT_MAX) {
        return hwi_fail(err, HW_EINVAL, "limit %u is not in 1 to %u", limit, HWI_FACET_LIMIT_MAX);
    }
    HWI_TRY(hwi_reading_begin(c, &view, err));
    hw_status st = count_values(view, field, filter, filter_bytes, limit, &out, err);
    hwi_reading_end(c, view);
    if (st == HW_OK) return hwi_buf_take_text(&out, json, err);
    hwi_buf_release(&out);
    return st;
}
