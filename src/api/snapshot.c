/* snapshot.c - one collection as a file: hw_collection_backup and hw_collection_restore.
 *
 *     backup    a read transaction's keys of the collection, under their number, behind a manifest
 *               {"collection": "photos", "number": 3, "points": 120000}
 *
 *     restore   1  take a new number, mark it as being restored        one transaction
 *               2  put the file's keys under it                        many, bounded ones
 *               3  write the settings, check the whole collection
 *               4  give it the name, drop the one that had it          one transaction
 *
 * Until the last step nobody can see it, and whoever had the name serves. A process that dies on the
 * way leaves a mark (drop.c); any failure deletes what was written. Keys are the only place that
 * holds a collection's number, save the settings; so renumbering is a new prefix, and settings are
 * put aside in a store in memory until they are whole.
 *
 * What a running build has written so far is left out of a backup: keys of generations that do not
 * serve, and the job record. */
#include "api/api.h"
#include "api/check.h"
#include "index/state.h"
#include "store/dump.h"

#include <stdio.h>

#define LOAD_TXN_BYTES ((size_t)4 << 20) /* others write in between */

/* ---- Backup ---- */

typedef struct keeping {
    uint32_t *fields, *generations; /* which one serves a field */
    size_t count;
} keeping;

static bool
is_of_generation(hwi_sub sub)
{
    return sub == HWI_SUB_MODEL || sub == HWI_SUB_TREE || sub == HWI_SUB_LEAF ||
           sub == HWI_SUB_LOC || sub == HWI_SUB_CAL;
}

static bool
is_kept(void *arg, hw_bytes key)
{
    const keeping *k = arg;
    hwi_key_reader r;
    uint32_t sub, coll, field, generation;
    hwi_key_reader_init(&r, key);
    if (hwi_key_read_u32(&r, &sub, NULL) != HW_OK) return true;
    if (sub == HWI_SUB_JOB || sub == HWI_SUB_LOG) return false;
    if (!is_of_generation((hwi_sub)sub)) return true;
    if (hwi_key_read_u32(&r, &coll, NULL) != HW_OK || hwi_key_read_u32(&r, &field, NULL) != HW_OK ||
        hwi_key_read_u32(&r, &generation, NULL) != HW_OK)
        return true;
    for (size_t i = 0; i < k->count; i++) {
        if (k->fields[i] == field) return k->generations[i] == generation;
    }
    return true;
}

static hw_status
read_generations(const hwi_view *view, keeping *k, hw_error *err)
{
    size_t bytes = view->conf->field_count * 2 * sizeof *k->fields;
    k->fields = hwi_alloc(bytes);
    if (!k->fields) return hwi_nomem(err, bytes);
    k->count = view->conf->field_count;
    k->generations = k->fields + k->count;
    for (size_t i = 0; i < k->count; i++) {
        hwi_index_state state;
        k->fields[i] = view->conf->fields[i].number;
        HWI_TRY(hwi_state_get(view->txn, view->conf->coll, k->fields[i], &state, err));
        k->generations[i] = state.generation;
    }
    return HW_OK;
}

static hw_status
backup_view(const hwi_view *view, const char *file, hw_progress_fn progress, void *arg,
            hw_error *err)
{
    keeping k = {0};
    hwi_buf manifest = {0};
    const hwi_conf *conf = view->conf;
    hwi_buf_text(&manifest, "{\"collection\":");
    hwi_json_write_text(&manifest, conf->name, strlen(conf->name));
    hwi_buf_printf(&manifest, ",\"number\":%u,\"points\":%llu}", conf->coll,
                   (unsigned long long)view->counts.points);
    hw_status st = manifest.failed ? hwi_nomem(err, manifest.size) : HW_OK;
    if (st == HW_OK) st = read_generations(view, &k, err);
    if (st == HW_OK) {
        st = hwi_store_dump_collection(view->txn, conf->coll, hwi_buf_bytes(&manifest), is_kept, &k,
                                       file, progress, arg, err);
    }
    hwi_free(k.fields);
    hwi_buf_release(&manifest);
    return st;
}

hw_status
hw_collection_backup(hw_collection *c, const char *file, hw_progress_fn progress, void *arg,
                     hw_error *err)
{
    HWI_FAR(c, hwi_remote_backup(c->far->remote, c->far->name, file, err));
    hwi_view *view;
    if (!file || !file[0]) return hwi_fail(err, HW_EINVAL, "the path to write to is empty");
    HWI_TRY(hwi_reading_begin(c, &view, err));
    hw_status st = backup_view(view, file, progress, arg, err);
    hwi_reading_end(c, view);
    return st;
}

/* ---- Restore: reading the file ---- */

typedef struct restoring {
    hw_db *db;
    const char *file;
    const char *name; /* as asked for, which may be an alias */
    bool replace;
    char own_name[HW_NAME_MAX + 1];
    uint32_t coll; /* its number here */
    uint32_t from; /* and in the file */
    bool has_manifest;
    hw_store *settings; /* in memory: the settings' keys as they come */
    hw_store_txn *settings_txn;
    hw_store_txn *txn;
    hwi_key last;
    uint64_t keys, total;
    hwi_progress progress;
    bool more; /* of the replaced collection is left to delete */
} restoring;

static hw_status
read_manifest(restoring *r, hw_bytes key, hw_bytes value, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *root;
    hwi_key expected;
    hwi_dump_manifest_key(&expected);
    bool is_manifest = key.size == expected.size && memcmp(key.data, expected.data, key.size) == 0;
    if (!is_manifest || hwi_json_parse(value.data, value.size, &arena, &root, NULL) != HW_OK) {
        hwi_arena_release(&arena);
        return hwi_fail(err, HW_ECORRUPT, "%s does not begin with a manifest", r->file);
    }
    const hwi_json *number = hwi_json_member(root, "number");
    bool is_sound = number && number->kind == HWI_JSON_INT && number->integer >= 0 &&
                    number->integer <= UINT32_MAX;
    if (is_sound) r->from = (uint32_t)number->integer;
    hwi_arena_release(&arena);
    r->has_manifest = true;
    return is_sound ? HW_OK : hwi_fail(err, HW_ECORRUPT, "%s: the manifest has no number", r->file);
}

/* The same key under the new number. */
static hw_status
renumber(const restoring *r, hw_bytes key, uint32_t *sub, hwi_key *out, hw_error *err)
{
    hwi_key_reader at;
    uint32_t coll;
    hwi_key_reader_init(&at, key);
    HWI_TRY(hwi_key_read_u32(&at, sub, err));
    HWI_TRY(hwi_key_read_u32(&at, &coll, err));
    if (*sub < HWI_SUB_COLL_FIRST || *sub > HWI_SUB_COLL_LAST || coll != r->from) {
        return hwi_fail(err, HW_ECORRUPT, "%s: key %llu is of no collection or another", r->file,
                        (unsigned long long)r->keys);
    }
    hwi_key_sub(out, (hwi_sub)*sub, r->coll);
    hwi_key_raw(out, hwi_bytes(at.at, (size_t)(at.end - at.at)));
    return HW_OK;
}

static hw_status
commit_part(restoring *r, hw_error *err)
{
    hw_store_txn *txn = r->txn;
    r->txn = NULL;
    if (txn) HWI_TRY(hwi_store_commit(txn, err));
    if (txn) hwi_db_committed(r->db);
    uint64_t total = HWI_MAX(r->total, r->keys + 1);
    return hwi_progress_step(&r->progress, "restore", r->keys, total, err);
}

static hw_status
put_key(restoring *r, hw_bytes key, hw_bytes value, hw_error *err)
{
    hwi_key own;
    uint32_t sub;
    HWI_TRY(renumber(r, key, &sub, &own, err));
    if (sub == HWI_SUB_CONF) return hwi_store_put(r->settings_txn, key, value, err);
    if (!r->txn) HWI_TRY(hwi_store_begin(r->db->store, HW_TXN_WRITE, &r->txn, err));
    HWI_TRY(hwi_store_put(r->txn, hwi_key_view(&own), value, err));
    return r->txn->bytes_written < LOAD_TXN_BYTES ? HW_OK : commit_part(r, err);
}

static hw_status
take_key(void *arg, hw_bytes key, hw_bytes value, hw_error *err)
{
    restoring *r = arg;
    hw_bytes last = hwi_key_view(&r->last);
    size_t common = HWI_MIN(key.size, last.size);
    int order = common ? memcmp(key.data, last.data, common) : 0;
    if (order < 0 || (order == 0 && key.size <= last.size)) {
        return hwi_fail(err, HW_ECORRUPT, "%s: key %llu is not above the one before", r->file,
                        (unsigned long long)r->keys);
    }
    hwi_key_init(&r->last);
    hwi_key_raw(&r->last, key);
    HWI_TRY(r->has_manifest ? put_key(r, key, value, err) : read_manifest(r, key, value, err));
    r->keys++;
    return HW_OK;
}

/* ---- Restore: the steps ---- */

/* The name it will have: of an alias, the name it leads to. */
static hw_status
find_place(const restoring *r, hw_store_txn *txn, char own_name[HW_NAME_MAX + 1], bool *taken,
           uint32_t *coll, hw_error *err)
{
    hw_status st = hwi_collection_find(txn, r->name, own_name, coll, NULL);
    *taken = st == HW_OK;
    if (st == HW_ENOTFOUND) {
        memcpy(own_name, r->name, strlen(r->name) + 1);
        return HW_OK;
    }
    if (st == HW_OK && r->replace) return HW_OK;
    if (st == HW_OK) return hwi_fail(err, HW_EEXIST, "collection `%s` exists", r->name);
    return hwi_fail(err, st, "cannot read the name `%s`", r->name);
}

static hw_status
begin_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    restoring *r = arg;
    bool taken;
    uint32_t replaced;
    HWI_TRY(find_place(r, txn, r->own_name, &taken, &replaced, err));
    HWI_TRY(hwi_collection_new_number(txn, &r->coll, err));
    return hwi_restoring_mark(txn, r->coll, err);
}

static hw_status
load(restoring *r, hw_error *err)
{
    HWI_TRY(hwi_store_mem_new(&r->settings, err));
    HWI_TRY(hwi_store_begin(r->settings, HW_TXN_WRITE, &r->settings_txn, err));
    HWI_TRY(hwi_store_load_collection(r->file, take_key, r, &r->total, err));
    return commit_part(r, err);
}

static hw_status
settings_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    restoring *r = arg;
    hwi_conf *conf;
    hw_status st = hwi_conf_get(r->settings_txn, r->from, &conf, err);
    if (st == HW_ENOTFOUND) return hwi_fail(err, HW_ECORRUPT, "%s holds no settings", r->file);
    if (st != HW_OK) return st;
    conf->coll = r->coll;
    conf->name = r->own_name;
    conf->revision++;
    st = hwi_conf_put(txn, conf, err);
    hwi_conf_unref(conf);
    return st;
}

typedef struct damage {
    char where[128], what[256]; /* the first one */
} damage;

static void
note_damage(void *arg, const char *where, const char *what)
{
    damage *d = arg;
    if (d->where[0]) return;
    snprintf(d->where, sizeof d->where, "%s", where);
    snprintf(d->what, sizeof d->what, "%s", what);
}

/* Reads all of it as hw_db_check does: a file may be whole and still not hold a collection. */
static hw_status
verify(restoring *r, hw_error *err)
{
    damage found = {0};
    hwi_check c = {.damage = note_damage, .arg = &found, .err = err};
    HWI_TRY(hwi_progress_step(&r->progress, "check", 0, 1, err));
    HWI_TRY(hwi_store_begin(r->db->store, HW_TXN_READ, &c.txn, err));
    hw_status st = hwi_check_collection(&c, r->own_name, r->coll);
    hwi_store_abort(c.txn);
    if (st == HW_OK && c.found) {
        st = hwi_fail(err, HW_ECORRUPT, "%s: %s: %s", r->file, found.where, found.what);
    }
    return st == HW_OK ? hwi_progress_step(&r->progress, "check", 1, 1, err) : st;
}

static hw_status
switch_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    restoring *r = arg;
    char own_name[HW_NAME_MAX + 1];
    bool taken;
    uint32_t replaced;
    r->more = false;
    HWI_TRY(find_place(r, txn, own_name, &taken, &replaced, err));
    if (strcmp(own_name, r->own_name) != 0) {
        return hwi_fail(err, HW_EEXIST, "alias `%s` was changed meanwhile", r->name);
    }
    HWI_TRY(hwi_collection_name(txn, own_name, r->coll, err));
    HWI_TRY(hwi_restoring_end(txn, r->coll, err));
    return taken ? hwi_drop_begin(txn, replaced, &r->more, err) : HW_OK;
}

static hw_status
run_steps(restoring *r, hw_error *err)
{
    hw_store *store = r->db->store;
    HWI_TRY(load(r, err));
    HWI_TRY(hwi_store_run(store, settings_body, r, err));
    hwi_db_committed(r->db);
    HWI_TRY(verify(r, err));
    return hwi_store_run(store, switch_body, r, err);
}

static hw_status
restore(restoring *r, hw_error *err)
{
    HWI_TRY(hwi_store_run(r->db->store, begin_body, r, err));
    hw_status st = run_steps(r, err);
    hwi_store_abort(r->txn);
    hwi_store_abort(r->settings_txn);
    hwi_store_close(r->settings);
    hwi_db_committed(r->db);
    if (st != HW_OK) {
        (void)!hwi_restoring_abandon(r->db, r->coll, NULL); /* else a later call goes on */
        return st;
    }
    if (r->more) (void)!hwi_drops_finish(r->db, NULL); /* likewise: it has happened */
    (void)!hwi_progress_step(&r->progress, "restore", r->keys, r->keys, NULL);
    return HW_OK;
}

hw_status
hw_collection_restore(hw_db *db, const char *name, const char *file, bool replace,
                      hw_progress_fn progress, void *arg, hw_error *err)
{
    restoring r = {.db = db, .file = file, .name = name, .replace = replace};
    r.progress = (hwi_progress){.fn = progress, .arg = arg};
    if (!name) return hwi_fail(err, HW_EINVAL, "collection name is NULL");
    if (!file || !file[0]) return hwi_fail(err, HW_EINVAL, "the file to restore is empty");
    HWI_TRY(hwi_name_check("collection name", name, strlen(name), err));
    HWI_FAR(db, hwi_remote_restore(db->far, name, file, replace, err));
    (void)!hwi_drops_finish(db, NULL); /* somebody else's rubbish */
    atomic_fetch_add(&db->restores, 1);
    hw_status st = restore(&r, err);
    atomic_fetch_sub(&db->restores, 1);
    return st;
}
