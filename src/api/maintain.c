/* maintain.c - building the vector index afresh. Fields are built one after the other; each
 * switches to its new generation by itself, so a build that is cut short leaves every field whole.
 */
#include "api/api.h"

hw_status
hw_collection_build(hw_collection *c, hw_progress_fn progress, void *arg, hw_error *err)
{
    hwi_shared *s = c->shared;
    const hwi_conf *conf = hwi_views_conf(s->views);
    hwi_progress p = {.fn = progress, .arg = arg};
    for (size_t i = 0; i < conf->field_count; i++) {
        hwi_index *ix = hwi_views_index(s->views, conf->fields[i].number);
        hw_status st = hwi_index_build(ix, c->db->store, c->db->opts.threads, &p, err);
        hwi_db_committed(c->db);
        if (st == HW_EINVAL) continue; /* no point has this vector: nothing to build */
        if (st != HW_OK) return st;
    }
    return HW_OK;
}
