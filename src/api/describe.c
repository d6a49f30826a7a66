/* describe.c - a collection's settings and statistics as JSON. */
#include "api/api.h"
#include "payload/pix.h"

static void
write_extra(hwi_buf *b, const hwi_field *f)
{
    for (const hwi_json *j = f->extra ? f->extra->child : NULL; j; j = j->next) {
        hwi_buf_text(b, ",");
        hwi_json_write_text(b, j->key, j->key_bytes);
        hwi_buf_text(b, ":");
        hwi_json_write(b, j);
    }
}

static void
write_vector(hwi_buf *b, const hwi_field *f)
{
    hwi_buf_printf(b, "{\"dim\":%u,\"metric\":\"%s\"", f->dim, hwi_metric_text(f->metric));
    if (f->type == HWI_MULTI) {
        hwi_buf_text(b, ",\"multivector_config\":{\"comparator\":\"max_sim\"}");
    }
    hwi_buf_printf(b, ",\"index\":{\"kind\":\"%s\"", hwi_kind_text(f->kind));
    hwi_buf_printf(b, ",\"leaf_size\":%u,\"bits\":%u,\"flat_below\":%u,\"seed\":%llu}",
                   f->leaf_size, f->bits, f->flat_below, (unsigned long long)f->seed);
    write_extra(b, f);
    hwi_buf_text(b, "}");
}

static void
write_sparse(hwi_buf *b, const hwi_field *f)
{
    hwi_buf_printf(b, "{\"modifier\":\"%s\"", f->idf ? "idf" : "none");
    write_extra(b, f);
    hwi_buf_text(b, "}");
}

/* Fields by name, the sparse ones or the others. */
static void
write_fields(hwi_buf *b, const hwi_conf *conf, bool sparse)
{
    size_t count = 0;
    for (size_t i = 0; i < conf->field_count; i++) {
        const hwi_field *f = &conf->fields[i];
        if ((f->type == HWI_SPARSE) != sparse) continue;
        if (count++) hwi_buf_text(b, ",");
        hwi_json_write_text(b, f->name, strlen(f->name));
        hwi_buf_text(b, ":");
        if (sparse) {
            write_sparse(b, f);
        } else {
            write_vector(b, f);
        }
    }
}

static bool
has_sparse(const hwi_conf *conf)
{
    for (size_t i = 0; i < conf->field_count; i++) {
        if (conf->fields[i].type == HWI_SPARSE) return true;
    }
    return false;
}

static hw_status
write_pix(hwi_buf *b, const hwi_view *view, hw_error *err)
{
    const hwi_schema *schema = &view->conf->schema;
    for (size_t i = 0; i < schema->count; i++) {
        const hwi_pix_field *p = &schema->fields[i];
        uint64_t points;
        HWI_TRY(hwi_pix_points(view->txn, view->conf->coll, p->number, &points, err));
        if (i) hwi_buf_text(b, ",");
        hwi_json_write_text(b, p->path, strlen(p->path));
        hwi_buf_printf(b, ":{\"type\":\"%s\",\"ready\":%s,\"points\":%llu",
                       hwi_pix_type_text(p->type), p->ready ? "true" : "false",
                       (unsigned long long)points);
        if (p->params) {
            hwi_buf_text(b, ",\"params\":");
            hwi_json_write(b, p->params);
        }
        hwi_buf_text(b, "}");
    }
    return HW_OK;
}

static hw_status
write_description(hwi_buf *b, const hwi_view *view, hw_error *err)
{
    const hwi_conf *conf = view->conf;
    hwi_buf_text(b, "{\"name\":");
    hwi_json_write_text(b, conf->name, strlen(conf->name));
    hwi_buf_printf(b, ",\"points\":%llu,\"version\":%llu,\"vectors\":{",
                   (unsigned long long)view->counts.points,
                   (unsigned long long)view->counts.version);
    write_fields(b, conf, false);
    if (has_sparse(conf)) {
        hwi_buf_text(b, "},\"sparse_vectors\":{");
        write_fields(b, conf, true);
    }
    hwi_buf_text(b, "},\"payload_indexes\":{");
    HWI_TRY(write_pix(b, view, err));
    hwi_buf_text(b, "},\"extra\":");
    if (conf->extra) {
        hwi_json_write(b, conf->extra);
    } else {
        hwi_buf_text(b, "{}");
    }
    hwi_buf_text(b, "}");
    return HW_OK;
}

static hw_status
write_field_stats(hwi_buf *b, const hwi_view *view, const hwi_view_field *f, hw_error *err)
{
    uint64_t vectors;
    if (f->conf->type == HWI_DENSE) return hwi_index_stats(f->index, b, err);
    if (f->conf->type == HWI_SPARSE) {
        hwi_sparse_view v = hwi_view_sparse(view, f);
        return hwi_sparse_stats(&v, b, err);
    }
    HWI_TRY(hwi_has_count(f->has, view->counts.slots_below, &vectors, err));
    hwi_buf_printf(b, "{\"kind\":\"multi\",\"vectors\":%llu}", (unsigned long long)vectors);
    return HW_OK;
}

static hw_status
write_stats(hwi_buf *b, const hwi_view *view, hw_error *err)
{
    hwi_buf_printf(b, "{\"points\":%llu,\"slots\":%u,\"version\":%llu,\"vectors\":{",
                   (unsigned long long)view->counts.points, view->counts.slots_below,
                   (unsigned long long)view->counts.version);
    for (size_t i = 0; i < view->conf->field_count; i++) {
        const hwi_view_field *f = &view->fields[i];
        if (i) hwi_buf_text(b, ",");
        hwi_json_write_text(b, f->conf->name, strlen(f->conf->name));
        hwi_buf_text(b, ":");
        HWI_TRY(write_field_stats(b, view, f, err));
    }
    hwi_buf_text(b, "}}");
    return HW_OK;
}

/* What `write` says of the collection as it is now. */
static hw_status
told(hw_collection *c, hw_status (*write)(hwi_buf *b, const hwi_view *view, hw_error *err),
     char **json, hw_error *err)
{
    hwi_view *view;
    hwi_buf b = {0};
    *json = NULL;
    HWI_TRY(hwi_reading_begin(c, &view, err));
    hw_status st = write(&b, view, err);
    hwi_reading_end(c, view);
    if (st == HW_OK) return hwi_buf_take_text(&b, json, err);
    hwi_buf_release(&b);
    return st;
}

hw_status
hw_collection_describe(hw_collection *c, char **json, hw_error *err)
{
    HWI_FAR(c, hwi_far_text(c->far, "GET", "/describe", NULL, json, err));
    return told(c, write_description, json, err);
}

hw_status
hw_collection_stats(hw_collection *c, char **json, hw_error *err)
{
    HWI_FAR(c, hwi_far_text(c->far, "GET", "/stats", NULL, json, err));
    return told(c, write_stats, json, err);
}
