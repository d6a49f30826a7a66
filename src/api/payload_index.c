/* payload_index.c - indexing a payload field of a collection that has points already.
 *
 *     revision n     field added, ready = false, built_below = 0     queries ignore it,
 *     revision n+1   built_below = 8192                              writers keep it up to date
 *       ...                                                          for all slots from now on
 *     revision m     ready = true                                    queries use it
 *
 * Each step is one bounded transaction over the next slots. A writer that comes between two steps
 * enters its changes whether the builder has been there or not; entering a slot twice does no harm,
 * so nobody needs to know how far the other is. A build cut short is found by its built_below and
 * goes on at the next call.
 *
 * Removing goes the other way: not ready, then the entries in bounded transactions, then the field.
 * Cut short, it is a field that is not ready: removing or indexing it again puts it right. */
#include "api/api.h"
#include "payload/path.h"
#include "payload/pix.h"
#include "payload/word_rules.h"

#define STEP_SLOTS 8192u

typedef struct step {
    uint32_t coll;
    const char *name; /* of the collection, for messages */
    const char *path; /* canonical */
    hwi_pix_type type;
    const hwi_json *params; /* beside the type; NULL: none were given */
    bool done;
    uint64_t at, total; /* slots */
} step;

static hw_status
load_conf(hw_store_txn *txn, const step *s, hwi_conf **out, hw_error *err)
{
    hw_status st = hwi_conf_get(txn, s->coll, out, err);
    if (st != HW_ENOTFOUND) return st;
    return hwi_fail(err, st, "collection `%s` was dropped", s->name);
}

static hw_status
save_conf(hw_store_txn *txn, hwi_conf *conf, hw_error *err)
{
    conf->revision++;
    return hwi_conf_put(txn, conf, err);
}

/* ---- Finding one ---- */

hw_status
hwi_view_index_of(const hwi_view *view, const char *field, bool (*serves)(hwi_pix_type type),
                  const char *types, const hwi_pix_field **out, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_path *path;
    *out = NULL;
    if (!field || !field[0]) return hwi_fail(err, HW_EINVAL, "payload field is empty");
    hw_status st = hwi_path_parse(field, strlen(field), &arena, &path, err);
    const hwi_pix_field *f = st == HW_OK ? hwi_conf_pix(view->conf, path->text) : NULL;
    hwi_arena_release(&arena);
    if (st != HW_OK) return st;
    if (!f || !f->ready || !serves(f->type)) {
        return hwi_fail(err, HW_EINVAL, "field `%s` has no index of type %s%s", field, types,
                        f && !f->ready ? " yet: it is being built" : "");
    }
    *out = f;
    return HW_OK;
}

/* ---- Indexing ---- */

static bool
same_json(const hwi_json *a, const hwi_json *b)
{
    hwi_buf x = {0}, y = {0};
    if (a) hwi_json_write(&x, a);
    if (b) hwi_json_write(&y, b);
    bool same = !x.failed && !y.failed && x.size == y.size &&
                (x.size == 0 || memcmp(x.data, y.data, x.size) == 0);
    hwi_buf_release(&x);
    hwi_buf_release(&y);
    return same;
}

/* Other settings for an index that is there: of a text index they decide what its words are. */
static hw_status
change_params(hw_store_txn *txn, hwi_conf *conf, hwi_pix_field *f, const step *s, hw_error *err)
{
    if (same_json(f->params, s->params)) return HW_OK;
    if (f->type == HWI_PIX_TEXT) {
        return hwi_fail(err, HW_EEXIST, "field `%s` has a text index with other settings", s->path);
    }
    HWI_TRY(hwi_conf_pix_set(conf, f, s->params, err));
    return save_conf(txn, conf, err);
}

static hw_status
declare(hw_store_txn *txn, hwi_conf *conf, step *s, hw_error *err)
{
    hwi_pix_field *f = hwi_conf_pix(conf, s->path);
    s->done = f && f->ready && f->type == s->type;
    if (f && f->type != s->type) {
        return hwi_fail(err, HW_EEXIST, "field `%s` has an index of type %s", s->path,
                        hwi_pix_type_text(f->type));
    }
    if (f && s->params) return change_params(txn, conf, f, s, err);
    if (f) return HW_OK;
    if (!hwi_conf_pix_add(conf, s->path, s->type, s->params)) return hwi_nomem(err, sizeof *f);
    return save_conf(txn, conf, err);
}

static hw_status
declare_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    step *s = arg;
    hwi_conf *conf;
    HWI_TRY(load_conf(txn, s, &conf, err));
    hw_status st = declare(txn, conf, s, err);
    hwi_conf_unref(conf);
    return st;
}

/* Enters slots from f->built_below on until enough was read for one transaction. */
static hw_status
enter_slots(hw_store_txn *txn, hwi_pix_writer *pix, hwi_pix_field *f, const hwi_counts *counts,
            const step *s, hw_error *err)
{
    hwi_buf large = {0};
    size_t bytes = 0;
    hw_status st = HW_OK;
    uint32_t end = counts->slots_below - f->built_below > STEP_SLOTS ? f->built_below + STEP_SLOTS
                                                                     : counts->slots_below;
    while (st == HW_OK && f->built_below < end && bytes < txn->store->limits.txn_bytes_soft) {
        hw_bytes payload;
        st = hwi_payload_get(txn, s->coll, f->built_below, &large, &payload, err);
        bytes += payload.size;
        if (st == HW_OK && payload.size) {
            st = hwi_pix_build_slot(pix, f, f->built_below, payload, err);
        }
        f->built_below++;
    }
    hwi_buf_release(&large);
    return st;
}

static hw_status
build_step(hw_store_txn *txn, hwi_conf *conf, step *s, hw_error *err)
{
    hwi_counts counts;
    hwi_pix_writer *pix;
    hwi_pix_field *f = hwi_conf_pix(conf, s->path);
    if (!f || f->type != s->type) {
        return hwi_fail(err, HW_ENOTFOUND, "the index of field `%s` was removed meanwhile",
                        s->path);
    }
    HWI_TRY(hwi_counts_get(txn, s->coll, &counts, err));
    if (f->built_below > counts.slots_below) f->built_below = counts.slots_below;
    HWI_TRY(hwi_pix_writer_new(txn, s->coll, &conf->schema, &pix, err));
    hw_status st = enter_slots(txn, pix, f, &counts, s, err);
    if (st == HW_OK) st = hwi_pix_flush(pix, err);
    hwi_pix_writer_free(pix);
    if (st != HW_OK) return st;
    s->at = f->built_below;
    s->total = counts.slots_below;
    s->done = f->ready = f->built_below == counts.slots_below;
    return save_conf(txn, conf, err);
}

static hw_status
build_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    step *s = arg;
    hwi_conf *conf;
    HWI_TRY(load_conf(txn, s, &conf, err));
    hw_status st = build_step(txn, conf, s, err);
    hwi_conf_unref(conf);
    return st;
}

static hw_status
run_build(hw_collection *c, step *s, hwi_progress *progress, hw_error *err)
{
    HWI_TRY(hwi_store_run(c->db->store, declare_body, s, err));
    hwi_db_committed(c->db);
    while (!s->done) {
        HWI_TRY(hwi_store_run(c->db->store, build_body, s, err));
        hwi_db_committed(c->db);
        HWI_TRY(hwi_progress_step(progress, "index", s->at, s->total, err));
    }
    return HW_OK;
}

static hw_status
parse_field(const char *field, hwi_arena *arena, step *s, hw_error *err)
{
    const hwi_path *path;
    if (!field || !field[0]) return hwi_fail(err, HW_EINVAL, "payload field is empty");
    HWI_TRY(hwi_path_parse(field, strlen(field), arena, &path, err));
    s->path = path->text;
    return HW_OK;
}

/* A word, or JSON of an object with one. */
static hw_status
parse_type(const char *type, hwi_arena *arena, step *s, hw_error *err)
{
    hwi_json word = {.kind = HWI_JSON_TEXT, .text = type};
    const hwi_json *given = &word;
    const hwi_word_rules *ignored;
    if (type && type[0] == '{') {
        hw_status st = hwi_json_parse(type, strlen(type), arena, &given, err);
        if (st != HW_OK) return hwi_fail_prefix(err, st, "index type");
    }
    if (!type || !hwi_pix_type_read(given, &s->type, &s->params)) {
        return hwi_fail(err, HW_EINVAL,
                        "index type `%.60s` is not one of keyword, integer, float, bool, datetime, "
                        "geo, uuid, text",
                        type ? type : "");
    }
    if (s->type != HWI_PIX_TEXT) return HW_OK;
    return hwi_word_rules_read(s->params, arena, &ignored, err); /* to know that they can be */
}

hw_status
hw_collection_index_payload(hw_collection *c, const char *field, const char *type,
                            hw_progress_fn progress, void *arg, hw_error *err)
{
    HWI_FAR(c, hwi_index_payload_far(c, field, type, err));
    hwi_arena arena = {0};
    hwi_progress p = {.fn = progress, .arg = arg};
    step s = {.coll = c->shared->coll, .name = c->shared->name};
    hw_status st = parse_type(type, &arena, &s, err);
    if (st == HW_OK) st = parse_field(field, &arena, &s, err);
    if (st == HW_OK) st = run_build(c, &s, &p, err);
    hwi_arena_release(&arena);
    return st;
}

/* ---- Removing ---- */

static hw_status
remove_step(hw_store_txn *txn, hwi_conf *conf, step *s, hw_error *err)
{
    bool more = true;
    hwi_pix_field *f = hwi_conf_pix(conf, s->path);
    if (!f) return hwi_fail(err, HW_ENOTFOUND, "field `%s` has no index", s->path);
    f->ready = false;
    f->built_below = 0;
    HWI_TRY(hwi_pix_drop(txn, s->coll, f->number, &more, err));
    if (!more) hwi_conf_pix_remove(conf, f);
    s->done = !more;
    return save_conf(txn, conf, err);
}

static hw_status
remove_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    step *s = arg;
    hwi_conf *conf;
    HWI_TRY(load_conf(txn, s, &conf, err));
    hw_status st = remove_step(txn, conf, s, err);
    hwi_conf_unref(conf);
    return st;
}

hw_status
hw_collection_unindex_payload(hw_collection *c, const char *field, hw_error *err)
{
    HWI_FAR(c, hwi_unindex_payload_far(c, field, err));
    hwi_arena arena = {0};
    step s = {.coll = c->shared->coll, .name = c->shared->name};
    hw_status st = parse_field(field, &arena, &s, err);
    while (st == HW_OK && !s.done) {
        st = hwi_store_run(c->db->store, remove_body, &s, err);
        hwi_db_committed(c->db);
    }
    hwi_arena_release(&arena);
    return st;
}
