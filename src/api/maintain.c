/* maintain.c - building the vector index afresh. Fields are built one after the other; each
 * switches to its new generation by itself, so a build that is cut short leaves every field whole.
 */
#include "api/api.h"

static hw_status
build_field(hw_collection *c, const hwi_field *field, hwi_progress *p, hw_error *err)
{
    hwi_index *ix;
    HWI_TRY(hwi_views_index(c->shared->views, field, &ix, err));
    hw_status st = hwi_index_build(ix, c->db->store, c->db->opts.threads, p, err);
    hwi_db_committed(c->db);
    return st;
}

hw_status
hw_collection_build(hw_collection *c, hw_progress_fn progress, void *arg, hw_error *err)
{
    HWI_FAR(c, hwi_far_tell(c->far, "POST", "/index/build", NULL, err));
    hwi_conf *conf = hwi_views_conf(c->shared->views);
    hwi_progress p = {.fn = progress, .arg = arg};
    hw_status st = HW_OK;
    for (size_t i = 0; st == HW_OK && i < conf->field_count; i++) {
        const hwi_field *f = &conf->fields[i];
        if (!hwi_field_is_ragged(f)) st = build_field(c, f, &p, err);
    }
    hwi_conf_unref(conf);
    return st;
}
