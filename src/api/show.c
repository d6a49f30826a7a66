/* show.c - the index as people see it: hw_collection_tree, _leaf and _map. */
#include "api/api.h"

typedef struct wish {
    enum { TREE, LEAF, MAP } what;
    uint32_t number; /* LEAF: which; MAP: how many points */
} wish;

static hw_status
show(const hwi_view *view, const char *vector_name, wish w, hwi_buf *json, hw_error *err)
{
    const char *name = vector_name ? vector_name : "";
    const hwi_view_field *field = hwi_view_field_by_name(view, name);

    if (!field) return hwi_fail(err, HW_ENOTFOUND, "there is no vector named `%s`", name);
    if (!field->index)
        return hwi_fail(err, HW_EINVAL, "vector `%s` is sparse or a multi-vector: it has no tree",
                        name);
    if (w.what == TREE) return hwi_index_show_tree(field->index, json, err);
    if (w.what == LEAF) return hwi_index_show_leaf(field->index, w.number, json, err);
    return hwi_index_show_map(field->index, w.number, json, err);
}

static hw_status
show_current(hw_collection *c, const char *vector_name, wish w, char **json, hw_error *err)
{
    hwi_view *view;
    hwi_buf b = {0};

    *json = NULL;
    HWI_TRY(hwi_reading_begin(c, &view, err));
    hw_status st = show(view, vector_name, w, &b, err);
    hwi_reading_end(c, view);
    if (st == HW_OK) return hwi_buf_take_text(&b, json, err);
    hwi_buf_release(&b);
    return st;
}

hw_status
hw_collection_tree(hw_collection *c, const char *vector_name, char **json, hw_error *err)
{
    return show_current(c, vector_name, (wish){TREE, 0}, json, err);
}

hw_status
hw_collection_leaf(hw_collection *c, const char *vector_name, uint32_t leaf, char **json,
                   hw_error *err)
{
    return show_current(c, vector_name, (wish){LEAF, leaf}, json, err);
}

hw_status
hw_collection_map(hw_collection *c, const char *vector_name, uint32_t points, char **json,
                  hw_error *err)
{
    *json = NULL;
    if (points == 0 || points > HW_MAP_POINTS_MAX)
        return hwi_fail(err, HW_EINVAL, "points %u is not in 1 to %u", points, HW_MAP_POINTS_MAX);
    return show_current(c, vector_name, (wish){MAP, points}, json, err);
}
