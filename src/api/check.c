/* check.c - hw_db_check: walks everything in one snapshot.
 *
 *     0. the store below keys and values (hwi_store_verify); damage there ends the check, as
 * reading on could crash
 *     1. every key of the store decodes and belongs to something: meta, a name, a collection, or a
 *        collection whose drop or restore was begun
 *     2. each collection by itself (check_collection.c); what is found in one does not keep us from
 *        the others
 *
 * Damage is reported and counted, and the walk goes on. Only what keeps the check itself from going
 * on, such as no memory or a failing disk, ends it early. */
#include "api/check.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Reporting ---- */

void
hwi_check_report(void *check, const char *where, const char *what)
{
    hwi_check *c = check;
    char full[HW_NAME_MAX + 256];
    c->found++;
    if (!c->damage) return;
    if (c->collection) {
        snprintf(full, sizeof full, "%s: %s", c->collection, where);
        where = full;
    }
    c->damage(c->arg, where, what);
}

void
hwi_check_found(hwi_check *c, const char *where, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    hwi_check_report(c, where, what);
}

hw_status
hwi_check_take(hwi_check *c, const char *where, hw_status st, const hw_error *detail)
{
    if (st == HW_OK) return HW_OK;
    if (st != HW_ECORRUPT && st != HW_EVERSION) return hwi_fail(c->err, st, "%s", detail->message);
    hwi_check_report(c, where, detail->message);
    return HW_OK;
}

/* ---- Every key belongs to something ---- */

typedef struct key_walk {
    hwi_check *check;
    uint32_t *colls; /* known collections, ascending */
    size_t coll_count;
    uint64_t done, total;
    hw_status st;
} key_walk;

static int
ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool
is_known(key_walk *w, uint32_t coll)
{
    if (bsearch(&coll, w->colls, w->coll_count, sizeof coll, ascending)) return true;
    return hwi_is_rubbish(w->check->txn, coll);
}

static const char *
fault_of_key(key_walk *w, hw_bytes key)
{
    hwi_key_reader r;
    uint64_t sub;
    uint32_t coll;
    hwi_key_reader_init(&r, key);
    if (hwi_key_read_uint(&r, &sub, NULL) != HW_OK) return "key does not begin with a subspace";
    if (sub > HWI_SUB_COLL_LAST) return "key is in an unknown subspace";
    if (sub < HWI_SUB_COLL_FIRST) return NULL; /* meta and names are read by themselves */
    if (hwi_key_read_u32(&r, &coll, NULL) != HW_OK) return "key has no collection number";
    if (!is_known(w, coll)) return "key belongs to no collection";
    while (hwi_key_peek(&r) != HWI_KEY_END) {
        if (hwi_key_skip(&r, NULL) != HW_OK) return "key does not decode";
    }
    return NULL;
}

static bool
walk_key(void *arg, hw_bytes key, hw_bytes value)
{
    key_walk *w = arg;
    char text[160];
    const char *fault = fault_of_key(w, key);
    (void)value;
    if (fault) {
        hwi_key_print(key, text, sizeof text);
        hwi_check_report(w->check, text, fault);
    }
    w->done++;
    w->st = hwi_progress_step(&w->check->progress, "keys", w->done, HWI_MAX(w->total, w->done + 1),
                              w->check->err);
    return w->st == HW_OK;
}

static hw_status
check_keys(hwi_check *c, const hwi_name *names, size_t count, uint64_t total)
{
    key_walk w = {.check = c, .coll_count = count, .total = total};
    size_t bytes = hwi_size_mul(count, sizeof *w.colls);
    w.colls = hwi_alloc(bytes);
    if (!w.colls) return hwi_nomem(c->err, bytes);
    for (size_t i = 0; i < count; i++) w.colls[i] = names[i].coll;
    qsort(w.colls, count, sizeof *w.colls, ascending);
    for (size_t i = 1; i < count; i++) {
        if (w.colls[i] == w.colls[i - 1]) {
            hwi_check_found(c, "names", "two names lead to collection %u", w.colls[i]);
        }
    }
    hw_status st = hwi_store_walk(c->txn, (hw_bytes){0}, (hw_bytes){0}, walk_key, &w, c->err);
    hwi_free(w.colls);
    return st == HW_OK ? w.st : st;
}

/* ---- All of it ---- */

static hw_status
check_all(hwi_check *c, uint64_t keys)
{
    hwi_store_meta meta;
    hwi_name *names = NULL;
    size_t count = 0;
    hw_error detail = {0};
    HWI_TRY(hwi_check_take(c, "meta", hwi_store_meta_get(c->txn, &meta, &detail), &detail));
    hw_status st = hwi_names_read(c->txn, &names, &count, &detail);
    HWI_TRY(hwi_check_take(c, "names", st, &detail));
    st = check_keys(c, names, count, keys);
    if (st == HW_OK) st = hwi_check_aliases(c);
    for (size_t i = 0; st == HW_OK && i < count; i++) {
        st = hwi_progress_step(&c->progress, "collections", i, count, c->err);
        c->collection = names[i].name;
        if (st == HW_OK) st = hwi_check_collection(c, names[i].name, names[i].coll);
        c->collection = NULL;
    }
    if (st == HW_OK) st = hwi_progress_step(&c->progress, "collections", count, count, c->err);
    hwi_names_free(names, count);
    return st;
}

hw_status
hw_db_check(hw_db *db, hw_progress_fn progress, hw_damage_fn damage, void *arg, hw_error *err)
{
    HWI_FAR(db, hwi_remote_check(db->far, damage, arg, err));
    hw_store_info info;
    hwi_check c = {
        .progress = {.fn = progress, .arg = arg}, .damage = damage, .arg = arg, .err = err};
    HWI_TRY(hwi_store_verify(db->store, hwi_check_report, &c, err));
    HWI_TRY(hwi_store_info(db->store, &info, err));
    HWI_TRY(hwi_store_begin(db->store, HW_TXN_READ, &c.txn, err));
    hw_status st = check_all(&c, info.keys);
    hwi_store_abort(c.txn);
    if (st == HW_OK && c.found) {
        st = hwi_fail(err, HW_ECORRUPT, "%llu damages found", (unsigned long long)c.found);
    }
    return st;
}
