/* facet.c - how many points have each value of a field.
 *
 * Counts are exact, so `exact` asks for what is given anyway.
 */
#include "server/query/query.h"

static bool
refuse_key(hwi_request *r, const hwi_shape *shape, const char *key, const hw_error *err)
{
    const hwi_json *indexes = hwi_json_member(shape->described, "payload_indexes");
    if (err->status != HW_EINVAL || hwi_json_member(indexes, key)) {
        return hwi_refuse_engine(r, err);
    }
    return hwi_refuse(r, 400,
                      "Wrong input: No appropriate index for faceting: `%s`. Please create one to "
                      "facet on this field.",
                      key);
}

bool
hwi_handle_facet(hwi_request *r)
{
    hw_collection *c = hwi_request_collection(r);
    hwi_shape shape;
    const char *key, *filter;
    size_t filter_bytes;
    uint32_t limit;
    bool exact;
    if (!c || !hwi_shape_of(r, c, &shape)) return false;
    if (!r->body || r->body->kind != HWI_JSON_OBJECT) {
        return hwi_refuse_format(r, "expected an object");
    }
    if (!hwi_read_text(r, r->body, "key", &key) ||
        !hwi_read_u32(r, r->body, "limit", 10, 1, UINT32_MAX, &limit) ||
        !hwi_read_bool(r, r->body, "exact", false, &exact) ||
        !hwi_read_filter(r, r->body, "filter", &filter, &filter_bytes)) {
        return false;
    }
    if (!key) return hwi_refuse_format(r, "missing field `key`");
    if (!hwi_admit_filter(r, &shape, r->body, limit, exact)) return false;
    char *json;
    hw_error err = {0};
    hw_status st = hw_collection_facet(c, key, filter, filter_bytes, limit, &json, &err);
    if (st != HW_OK) return refuse_key(r, &shape, key, &err);
    hwi_buf_text(&r->out, "{\"hits\":");
    hwi_buf_text(&r->out, json);
    hwi_buf_text(&r->out, "}");
    hw_free(json);
    return true;
}
