/* collections.c - create, drop, list, open.
 *
 *     `name, n`      -> u32 collection number        the only place where a name counts
 *     `conf, c`      -> settings                      gone: the collection was dropped
 *     `meta, 3, n`   -> an alias (aliases.c)
 *
 * Dropping takes the name and the settings away in a first transaction, so that the name is free
 * and open handles notice; drop.c has the rest. Numbers are never given out twice. */
#include "api/api.h"
#include "payload/path.h"
#include "payload/word_rules.h"

#include <stdlib.h>

/* ---- Names ---- */

static hw_status
read_number(hw_bytes value, uint32_t *coll, hw_error *err)
{
    if (value.size != 4) {
        return hwi_fail(err, HW_ECORRUPT, "a name entry has %zu bytes, expected 4", value.size);
    }
    *coll = hwi_get_u32(value.data);
    return HW_OK;
}

/* HW_ENOTFOUND leaves err alone. */
static hw_status
find_number(hw_store_txn *txn, const char *name, uint32_t *coll, hw_error *err)
{
    hwi_key key;
    hw_bytes value;
    hwi_key_name(&key, name, strlen(name));
    HWI_TRY(hwi_store_get(txn, hwi_key_view(&key), &value, err));
    return read_number(value, coll, err);
}

/* A name too long to be one leads nowhere. */
hw_status
hwi_collection_find(hw_store_txn *txn, const char *name, char own_name[HW_NAME_MAX + 1],
                    uint32_t *coll, hw_error *err)
{
    bool fits = strlen(name) <= HW_NAME_MAX;
    hw_status st = fits ? find_number(txn, name, coll, err) : HW_ENOTFOUND;
    if (st == HW_OK) memcpy(own_name, name, strlen(name) + 1);
    if (st == HW_ENOTFOUND && fits) {
        st = hwi_alias_get(txn, name, own_name, err);
        if (st == HW_OK) st = find_number(txn, own_name, coll, err);
    }
    if (st == HW_ENOTFOUND) return hwi_fail(err, st, "there is no collection `%s`", name);
    return st;
}

typedef struct name_list {
    hwi_name *names;
    size_t count, room;
    hw_status st;
    hw_error *err;
} name_list;

static hw_status
add_name(name_list *l, hw_bytes key, hw_bytes value)
{
    hwi_key_reader r;
    uint64_t sub;
    char name[HW_NAME_MAX + 1];
    size_t bytes;
    uint32_t coll;
    hwi_key_reader_init(&r, key);
    HWI_TRY(hwi_key_read_uint(&r, &sub, l->err));
    HWI_TRY(hwi_key_read_text(&r, name, HW_NAME_MAX, &bytes, l->err));
    HWI_TRY(hwi_key_read_end(&r, l->err));
    HWI_TRY(read_number(value, &coll, l->err));
    name[bytes] = '\0';

    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 16;
        hwi_name *grown = hwi_realloc(l->names, hwi_size_mul(room, sizeof *grown));
        if (!grown) return hwi_nomem(l->err, room * sizeof *grown);
        l->names = grown;
        l->room = room;
    }
    char *copy = hwi_alloc(bytes + 1);
    if (!copy) return hwi_nomem(l->err, bytes + 1);
    memcpy(copy, name, bytes + 1);
    l->names[l->count++] = (hwi_name){copy, coll};
    return HW_OK;
}

static bool
note_name(void *arg, hw_bytes key, hw_bytes value)
{
    name_list *l = arg;
    l->st = add_name(l, key, value);
    return l->st == HW_OK;
}

hw_status
hwi_names_read(hw_store_txn *txn, hwi_name **out, size_t *count, hw_error *err)
{
    hwi_key space;
    name_list l = {.err = err};
    *out = NULL;
    *count = 0;
    hwi_key_space(&space, HWI_SUB_NAME);
    hw_status st = hwi_store_scan_prefix(txn, &space, note_name, &l, err);
    if (st == HW_OK) st = l.st;
    if (st != HW_OK) {
        hwi_names_free(l.names, l.count);
        return st;
    }
    *out = l.names;
    *count = l.count;
    return HW_OK;
}

void
hwi_names_free(hwi_name *names, size_t count)
{
    for (size_t i = 0; i < count; i++) hwi_free(names[i].name);
    hwi_free(names);
}

/* ---- Create ---- */

hw_status
hwi_collection_new_number(hw_store_txn *txn, uint32_t *coll, hw_error *err)
{
    hwi_key key;
    int64_t next;
    hwi_key_next_coll(&key);
    HWI_TRY(hwi_store_get_i64(txn, hwi_key_view(&key), &next, err));
    if (next < 0 || next >= UINT32_MAX) {
        return hwi_fail(err, HW_ELIMIT, "no collection numbers are left");
    }
    *coll = (uint32_t)next;
    return hwi_store_add(txn, hwi_key_view(&key), 1, err);
}

hw_status
hwi_collection_name(hw_store_txn *txn, const char *name, uint32_t coll, hw_error *err)
{
    hwi_key key;
    uint8_t number[4];
    hwi_put_u32(number, coll);
    hwi_key_name(&key, name, strlen(name));
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(number, 4), err);
}

static hw_status
create_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    hwi_conf *conf = arg;
    uint32_t taken;
    char target[HW_NAME_MAX + 1];
    hw_status st = find_number(txn, conf->name, &taken, err);
    if (st == HW_OK) return hwi_fail(err, HW_EEXIST, "collection `%s` exists", conf->name);
    if (st != HW_ENOTFOUND) return st;
    st = hwi_alias_get(txn, conf->name, target, err);
    if (st == HW_OK) {
        return hwi_fail(err, HW_EEXIST, "`%s` is an alias of collection `%s`", conf->name, target);
    }
    if (st != HW_ENOTFOUND) return st;

    conf->id_blocks = !hwi_store_is_contested(txn->store);
    HWI_TRY(hwi_collection_new_number(txn, &conf->coll, err));
    HWI_TRY(hwi_collection_name(txn, conf->name, conf->coll, err));
    HWI_TRY(hwi_conf_put(txn, conf, err));
    return hwi_counts_create(txn, conf->coll, err);
}

/* Payload indexes go by canonical paths: "\"a\".b" is "a.b". */
static hw_status
canonical_paths(hwi_conf *conf, hw_error *err)
{
    for (size_t i = 0; i < conf->schema.count; i++) {
        hwi_pix_field *f = &conf->schema.fields[i];
        const hwi_path *path;
        hw_status st = hwi_path_parse(f->path, strlen(f->path), &conf->arena, &path, err);
        if (st != HW_OK) return hwi_fail_prefix(err, st, "payload_indexes");
        f->path = path->text;
        const hwi_word_rules *ignored;
        if (f->type == HWI_PIX_TEXT) {
            st = hwi_word_rules_read(f->params, &conf->arena, &ignored, err);
            if (st != HW_OK) return hwi_fail_prefix(err, st, "payload_indexes.%s", f->path);
        }
        if (hwi_conf_pix(conf, f->path) != f) {
            return hwi_fail(err, HW_EINVAL, "payload_indexes.%s: occurs twice", f->path);
        }
    }
    return HW_OK;
}

hw_status
hw_collection_create(hw_db *db, const char *name, const char *config, hw_error *err)
{
    hwi_conf *conf;
    if (!name) return hwi_fail(err, HW_EINVAL, "collection name is NULL");
    if (!config) return hwi_fail(err, HW_EINVAL, "config is NULL");
    HWI_FAR(db, hwi_remote_create(db->far, name, config, err));
    HWI_TRY(hwi_conf_parse(name, config, strlen(config), &conf, err));
    hw_status st = canonical_paths(conf, err);
    if (st == HW_OK) st = hwi_store_run(db->store, create_body, conf, err);
    hwi_conf_unref(conf);
    if (st != HW_OK) return st;
    hwi_db_committed(db);
    st =
        hwi_drops_finish(db, NULL); /* somebody else's rubbish: if it fails, a later call goes on */
    (void)st;
    return HW_OK;
}

/* ---- Drop ---- */

typedef struct drop {
    const char *name;
    bool more;
} drop;

static hw_status
drop_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    drop *d = arg;
    hwi_key key;
    uint32_t coll;
    char name[HW_NAME_MAX + 1];
    HWI_TRY(hwi_collection_find(txn, d->name, name, &coll, err));
    hwi_key_name(&key, name, strlen(name));
    HWI_TRY(hwi_store_del(txn, hwi_key_view(&key), err));
    HWI_TRY(hwi_aliases_drop(txn, name, err));
    return hwi_drop_begin(txn, coll, &d->more, err);
}

hw_status
hw_collection_drop(hw_db *db, const char *name, hw_error *err)
{
    drop d = {.name = name};
    if (!name) return hwi_fail(err, HW_EINVAL, "collection name is NULL");
    HWI_FAR(db, hwi_remote_drop(db->far, name, err));
    HWI_TRY(hwi_store_run(db->store, drop_body, &d, err));
    hwi_db_committed(db);
    hw_status st = hwi_drops_finish(db, d.more ? err : NULL);
    return d.more ? st : HW_OK; /* of somebody else's rubbish a later call takes care */
}

/* ---- List ---- */

static hw_status
names_block(const hwi_name *names, size_t count, char ***out, hw_error *err)
{
    size_t bytes = (count + 1) * sizeof(char *);
    for (size_t i = 0; i < count; i++) bytes += strlen(names[i].name) + 1;
    char **block = hwi_alloc(bytes);
    if (!block) return hwi_nomem(err, bytes);
    char *text = (char *)(block + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t name_bytes = strlen(names[i].name) + 1;
        block[i] = memcpy(text, names[i].name, name_bytes);
        text += name_bytes;
    }
    block[count] = NULL;
    *out = block;
    return HW_OK;
}

hw_status
hw_collection_list(hw_db *db, char ***names, size_t *count, hw_error *err)
{
    HWI_FAR(db, hwi_remote_list(db->far, names, count, err));
    hw_store_txn *txn;
    hwi_name *found = NULL;
    *names = NULL;
    *count = 0;
    HWI_TRY(hwi_store_begin(db->store, HW_TXN_READ, &txn, err));
    size_t found_count = 0;
    hw_status st = hwi_names_read(txn, &found, &found_count, err);
    hwi_store_abort(txn);
    if (st == HW_OK) st = names_block(found, found_count, names, err);
    if (st == HW_OK) *count = found_count;
    hwi_names_free(found, found_count);
    return st;
}

/* ---- Open and close ---- */

static hw_status
find(hw_db *db, const char *name, char own_name[HW_NAME_MAX + 1], uint32_t *coll, hw_error *err)
{
    hw_store_txn *txn;
    HWI_TRY(hwi_store_begin(db->store, HW_TXN_READ, &txn, err));
    hw_status st = hwi_collection_find(txn, name, own_name, coll, err);
    hwi_store_abort(txn);
    return st;
}

hw_status
hw_collection_open(hw_db *db, const char *name, hw_collection **out, hw_error *err)
{
    uint32_t coll;
    char own_name[HW_NAME_MAX + 1];
    *out = NULL;
    if (!name) return hwi_fail(err, HW_EINVAL, "collection name is NULL");
    HWI_FAR(db, hwi_collection_open_far(db, name, out, err));
    HWI_TRY(find(db, name, own_name, &coll, err));
    hw_collection *c = hwi_alloc_zero(sizeof *c);
    if (!c) return hwi_nomem(err, sizeof *c);
    c->db = db;
    hw_status st = hwi_shared_take(db, coll, own_name, &c->shared, err);
    if (st != HW_OK) {
        hwi_free(c);
        return st;
    }
    *out = c;
    return HW_OK;
}

void
hw_collection_close(hw_collection *c)
{
    if (!c) return;
    hwi_hold_release(c);
    hwi_shared_release(c->shared);
    hwi_far_close(c->far);
    hwi_free(c);
}

uint32_t
hw_collection_dim(const hw_collection *c, const char *vector_name)
{
    hwi_conf *conf = c->far ? hwi_conf_ref(c->far->conf) : hwi_views_conf(c->shared->views);
    const hwi_field *f = hwi_conf_field(conf, vector_name);
    uint32_t dim = f ? f->dim : 0;
    hwi_conf_unref(conf);
    return dim;
}
