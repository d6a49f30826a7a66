/* aliases.c - second names of collections.
 *
 *     `meta, 3, alias`  -> the collection's name
 *
 * An alias leads to a name, not to a number: when a restored snapshot takes the place of a
 * collection under the same name, aliases follow without being touched. It never leads to another
 * alias, so one look-up resolves it, and the name space is one: no alias is called like a
 * collection. Both are kept true by the transactions that could break them (create, alias, drop)
 * and verified by check. */
#include "api/api.h"
#include "api/check.h"

#define META_ALIAS 3u

static void
alias_space(hwi_key *key)
{
    hwi_key_space(key, HWI_SUB_META);
    hwi_key_uint(key, META_ALIAS);
}

static void
alias_key(hwi_key *key, const char *name)
{
    alias_space(key);
    hwi_key_text(key, name, strlen(name));
}

static hw_status
read_target(hw_bytes value, char target[HW_NAME_MAX + 1], hw_error *err)
{
    if (value.size == 0 || value.size > HW_NAME_MAX || memchr(value.data, '\0', value.size)) {
        return hwi_fail(err, HW_ECORRUPT, "an alias entry of %zu bytes is no name", value.size);
    }
    memcpy(target, value.data, value.size);
    target[value.size] = '\0';
    return HW_OK;
}

hw_status
hwi_alias_get(hw_store_txn *txn, const char *name, char target[HW_NAME_MAX + 1], hw_error *err)
{
    hwi_key key;
    hw_bytes value;
    alias_key(&key, name);
    HWI_TRY(hwi_store_get(txn, hwi_key_view(&key), &value, err));
    return read_target(value, target, err);
}

/* ---- All of them ---- */

typedef struct walk {
    hwi_alias_fn fn;
    void *arg;
    hw_status st;
    hw_error *err;
} walk;

static hw_status
decode(hw_bytes key, hw_bytes value, char name[HW_NAME_MAX + 1], char target[HW_NAME_MAX + 1],
       hw_error *err)
{
    hwi_key_reader r;
    uint64_t skipped;
    size_t bytes;
    hwi_key_reader_init(&r, key);
    HWI_TRY(hwi_key_read_uint(&r, &skipped, err));
    HWI_TRY(hwi_key_read_uint(&r, &skipped, err));
    HWI_TRY(hwi_key_read_text(&r, name, HW_NAME_MAX, &bytes, err));
    HWI_TRY(hwi_key_read_end(&r, err));
    name[bytes] = '\0';
    return read_target(value, target, err);
}

static bool
take_alias(void *arg, hw_bytes key, hw_bytes value)
{
    walk *w = arg;
    char name[HW_NAME_MAX + 1], target[HW_NAME_MAX + 1];
    w->st = decode(key, value, name, target, w->err);
    if (w->st == HW_OK) w->st = w->fn(w->arg, name, target, w->err);
    return w->st == HW_OK;
}

hw_status
hwi_aliases_each(hw_store_txn *txn, hwi_alias_fn fn, void *arg, hw_error *err)
{
    hwi_key space;
    walk w = {fn, arg, HW_OK, err};
    alias_space(&space);
    HWI_TRY(hwi_store_scan_prefix(txn, &space, take_alias, &w, err));
    return w.st;
}

/* ---- Removing those of a collection ---- */

typedef struct gathering {
    const char *target;
    hwi_buf names; /* each with its NUL */
} gathering;

static hw_status
gather(void *arg, const char *name, const char *target, hw_error *err)
{
    gathering *g = arg;
    if (strcmp(target, g->target) != 0) return HW_OK;
    hwi_buf_add(&g->names, name, strlen(name) + 1);
    return g->names.failed ? hwi_nomem(err, g->names.size) : HW_OK;
}

hw_status
hwi_aliases_drop(hw_store_txn *txn, const char *target, hw_error *err)
{
    gathering g = {.target = target};
    hwi_key key;
    hw_status st = hwi_aliases_each(txn, gather, &g, err); /* a scan must not write */
    for (size_t at = 0; st == HW_OK && at < g.names.size;) {
        const char *name = (const char *)g.names.data + at;
        alias_key(&key, name);
        st = hwi_store_del(txn, hwi_key_view(&key), err);
        at += strlen(name) + 1;
    }
    hwi_buf_release(&g.names);
    return st;
}

/* ---- Changing them ---- */

typedef struct change {
    const hw_alias *aliases;
    size_t count;
} change;

static hw_status
remove_alias(hw_store_txn *txn, const char *name, hw_error *err)
{
    hwi_key key;
    char target[HW_NAME_MAX + 1];
    hw_status st = hwi_alias_get(txn, name, target, err);
    if (st == HW_ENOTFOUND) return hwi_fail(err, st, "there is no alias `%s`", name);
    if (st != HW_OK) return st;
    alias_key(&key, name);
    return hwi_store_del(txn, hwi_key_view(&key), err);
}

static hw_status
set_alias(hw_store_txn *txn, const hw_alias *a, hw_error *err)
{
    hwi_key key;
    hw_bytes value;
    char target[HW_NAME_MAX + 1];
    uint32_t coll;
    HWI_TRY(hwi_collection_find(txn, a->collection, target, &coll, err));
    hwi_key_name(&key, a->name, strlen(a->name));
    hw_status st = hwi_store_get(txn, hwi_key_view(&key), &value, err);
    if (st == HW_OK) return hwi_fail(err, HW_EEXIST, "a collection is called `%s`", a->name);
    if (st != HW_ENOTFOUND) return st;
    alias_key(&key, a->name);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(target, strlen(target)), err);
}

static hw_status
change_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    const change *c = arg;
    for (size_t i = 0; i < c->count; i++) {
        const hw_alias *a = &c->aliases[i];
        HWI_TRY(a->collection ? set_alias(txn, a, err) : remove_alias(txn, a->name, err));
    }
    return HW_OK;
}

hw_status
hw_db_alias(hw_db *db, const hw_alias *aliases, size_t count, hw_error *err)
{
    change c = {aliases, count};
    if (count == 0) return HW_OK;
    if (!aliases) return hwi_fail(err, HW_EINVAL, "aliases is NULL, count is %zu", count);
    for (size_t i = 0; i < count; i++) {
        if (!aliases[i].name) return hwi_fail(err, HW_EINVAL, "name of alias %zu is NULL", i);
        HWI_TRY(hwi_name_check("alias", aliases[i].name, strlen(aliases[i].name), err));
    }
    HWI_FAR(db, hwi_remote_alias(db->far, aliases, count, err));
    HWI_TRY(hwi_store_run(db->store, change_body, &c, err));
    hwi_db_committed(db);
    return HW_OK;
}

/* ---- Listing them ---- */

static hw_status
write_alias(void *arg, const char *name, const char *target, hw_error *err)
{
    hwi_buf *b = arg;
    (void)err;
    hwi_buf_text(b, b->size > 1 ? ",{\"alias_name\":" : "{\"alias_name\":");
    hwi_json_write_text(b, name, strlen(name));
    hwi_buf_text(b, ",\"collection_name\":");
    hwi_json_write_text(b, target, strlen(target));
    hwi_buf_text(b, "}");
    return HW_OK;
}

hw_status
hw_db_aliases(hw_db *db, char **json, hw_error *err)
{
    HWI_FAR(db, hwi_remote_aliases(db->far, json, err));
    hw_store_txn *txn;
    hwi_buf b = {0};
    *json = NULL;
    HWI_TRY(hwi_store_begin(db->store, HW_TXN_READ, &txn, err));
    hwi_buf_text(&b, "[");
    hw_status st = hwi_aliases_each(txn, write_alias, &b, err);
    hwi_store_abort(txn);
    hwi_buf_text(&b, "]");
    if (st == HW_OK) return hwi_buf_take_text(&b, json, err);
    hwi_buf_release(&b);
    return st;
}

/* ---- Checking them ---- */

static hw_status
check_alias(void *arg, const char *name, const char *target, hw_error *err)
{
    hwi_check *c = arg;
    hwi_key key;
    hw_bytes value;
    hwi_key_name(&key, target, strlen(target));
    hw_status st = hwi_store_get(c->txn, hwi_key_view(&key), &value, err);
    if (st == HW_ENOTFOUND) {
        hwi_check_found(c, "aliases", "`%s` leads to `%s`, which is no collection", name, target);
    } else if (st != HW_OK) {
        return st;
    }
    hwi_key_name(&key, name, strlen(name));
    st = hwi_store_get(c->txn, hwi_key_view(&key), &value, err);
    if (st == HW_OK) hwi_check_found(c, "aliases", "`%s` is a collection as well", name);
    return st == HW_ENOTFOUND ? HW_OK : st;
}

hw_status
hwi_check_aliases(hwi_check *c)
{
    hw_error detail = {0};
    return hwi_check_take(c, "aliases", hwi_aliases_each(c->txn, check_alias, c, &detail), &detail);
}
