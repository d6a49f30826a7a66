/* fields.c - vector fields that come and go, and the clients' own settings.
 *
 * All three change the one value under `conf, c`. A field that is added has no keys yet. One that is
 * dropped leaves the settings in the first transaction, with its number noted there as dropped: from
 * then on nobody reads or writes its keys, and they are deleted in as many bounded transactions as it
 * takes. Should the process die between two of them, the note stays, and the next commit to the
 * collection, or change of its fields, goes on. Numbers are never given out twice. */
#include "api/api.h"

typedef struct change {
    uint32_t coll;
    const char *collection, *name, *json;
    bool sparse;
    bool more;      /* clean: keys of dropped fields are left */
    hwi_conf *conf; /* as it is afterwards */
    hw_status (*apply)(struct change *ch, hw_store_txn *txn, hwi_conf *conf, hw_error *err);
} change;

/* ---- One transaction over the settings ---- */

static hw_status
change_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    change *ch = arg;
    hwi_conf *conf;
    hwi_conf_unref(ch->conf); /* of an attempt before */
    ch->conf = NULL;
    hw_status st = hwi_conf_get(txn, ch->coll, &conf, err);
    if (st == HW_ENOTFOUND) return hwi_fail(err, st, "collection `%s` was dropped", ch->collection);
    if (st != HW_OK) return st;
    conf->revision++;
    st = ch->apply(ch, txn, conf, err);
    if (st == HW_OK) st = hwi_conf_put(txn, conf, err);
    if (st != HW_OK) {
        hwi_conf_unref(conf);
        return st;
    }
    ch->conf = conf;
    return HW_OK;
}

static hw_status
run_change(hw_db *db, hwi_shared *shared, change *ch, hw_error *err)
{
    ch->coll = shared->coll;
    ch->collection = shared->name;
    hw_status st = hwi_store_run(db->store, change_body, ch, err);
    hwi_db_committed(db);
    if (st == HW_OK) hwi_views_set_conf(shared->views, ch->conf);
    hwi_conf_unref(ch->conf);
    ch->conf = NULL;
    return st;
}

/* ---- Deleting what dropped fields leave ---- */

/* Deletes keys of one field until the transaction is full. */
static hw_status
delete_some(hw_store_txn *txn, uint32_t coll, uint32_t field, bool *more, hw_error *err)
{
    static const hwi_sub subs[] = {HWI_SUB_VEC, HWI_SUB_HAS, HWI_SUB_INV};
    HWI_TRY(hwi_index_drop(txn, coll, field, more, err));
    for (size_t i = 0; i < HWI_COUNT(subs) && !*more; i++) {
        hwi_key prefix;
        hwi_key_sub(&prefix, subs[i], coll);
        hwi_key_uint(&prefix, field);
        HWI_TRY(hwi_store_del_some(txn, &prefix, more, err));
    }
    return HW_OK;
}

static hw_status
apply_clean(change *ch, hw_store_txn *txn, hwi_conf *conf, hw_error *err)
{
    bool more = false;
    while (conf->dropped_count && !more) {
        HWI_TRY(delete_some(txn, ch->coll, conf->dropped[0], &more, err));
        if (!more) hwi_conf_dropped_done(conf);
    }
    ch->more = conf->dropped_count > 0;
    return HW_OK;
}

hw_status
hwi_fields_clean(hw_db *db, hwi_shared *shared, hw_error *err)
{
    change ch = {.apply = apply_clean, .more = true};
    while (ch.more) HWI_TRY(run_change(db, shared, &ch, err));
    return HW_OK;
}

/* ---- Add ---- */

static hw_status
apply_add(change *ch, hw_store_txn *txn, hwi_conf *conf, hw_error *err)
{
    (void)txn;
    return hwi_conf_field_add(conf, ch->name, ch->sparse, ch->json, strlen(ch->json), err);
}

hw_status
hw_collection_add_vector(hw_collection *c, const char *name, bool sparse, const char *config,
                         hw_error *err)
{
    change ch = {.apply = apply_add, .name = name ? name : "", .json = config, .sparse = sparse};
    if (!config) return hwi_fail(err, HW_EINVAL, "config is NULL");
    HWI_FAR(c, hwi_add_vector_far(c, ch.name, sparse, config, err));
    return run_change(c->db, c->shared, &ch, err);
}

/* ---- Drop ---- */

static hw_status
apply_drop(change *ch, hw_store_txn *txn, hwi_conf *conf, hw_error *err)
{
    HWI_TRY(hwi_conf_field_remove(conf, ch->name, err));
    return apply_clean(ch, txn, conf, err);
}

hw_status
hw_collection_drop_vector(hw_collection *c, const char *name, hw_error *err)
{
    change ch = {.apply = apply_drop, .name = name ? name : ""};
    HWI_FAR(c, hwi_drop_vector_far(c, ch.name, err));
    HWI_TRY(run_change(c->db, c->shared, &ch, err));
    return ch.more ? hwi_fields_clean(c->db, c->shared, err) : HW_OK;
}

/* ---- The clients' own settings ---- */

static hw_status
apply_patch(change *ch, hw_store_txn *txn, hwi_conf *conf, hw_error *err)
{
    (void)txn;
    return hwi_conf_patch(conf, ch->json, strlen(ch->json), err);
}

hw_status
hw_collection_configure(hw_collection *c, const char *patch, hw_error *err)
{
    change ch = {.apply = apply_patch, .json = patch};
    if (!patch) return hwi_fail(err, HW_EINVAL, "patch is NULL");
    HWI_FAR(c, hwi_configure_far(c, patch, err));
    return run_change(c->db, c->shared, &ch, err);
}
