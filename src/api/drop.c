/* drop.c - collections on their way out: dropped ones, and restores that came to nothing.
 *
 *     `meta, 2, c`   a drop was begun: what is left of c is rubbish
 *     `meta, 4, c`   c is being restored by a process; nobody else knows it yet
 *
 * The transaction that takes a collection's name away also deletes as much of it as one transaction
 * should, which for a small collection is all. What is left goes in further transactions; should
 * the process die between two of them, the mark stays, and the next create, drop or restore goes
 * on. Numbers are never given out twice, so rubbish cannot be mistaken for anything.
 *
 * A restore whose process is gone turns into a drop. Marks of this very process are somebody's as
 * long as the handle counts restores under way; else they are what an earlier process with the same
 * id has left. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "api/api.h"

#define META_DROPPING 2u
#define META_RESTORING 4u

static void
mark_key(hwi_key *key, uint32_t kind, uint32_t coll)
{
    hwi_key_space(key, HWI_SUB_META);
    hwi_key_uint(key, kind);
    hwi_key_uint(key, coll);
}

static hw_status
has_mark(hw_store_txn *txn, uint32_t kind, uint32_t coll, bool *yes)
{
    hwi_key key;
    hw_bytes value;
    mark_key(&key, kind, coll);
    hw_status st = hwi_store_get(txn, hwi_key_view(&key), &value, NULL);
    *yes = st == HW_OK;
    return st;
}

bool
hwi_is_rubbish(hw_store_txn *txn, uint32_t coll)
{
    bool dropping, restoring;
    hw_status st = has_mark(txn, META_DROPPING, coll, &dropping);
    if (!dropping) st = has_mark(txn, META_RESTORING, coll, &restoring);
    return st == HW_OK;
}

/* ---- Deleting ---- */

/* Deletes what a collection holds until the transaction is full. */
static hw_status
delete_some(hw_store_txn *txn, uint32_t coll, bool *more, hw_error *err)
{
    *more = false;
    for (hwi_sub sub = HWI_SUB_COLL_FIRST; sub <= HWI_SUB_COLL_LAST && !*more; sub++) {
        hwi_key prefix;
        hwi_key_sub(&prefix, sub, coll);
        HWI_TRY(hwi_store_del_some(txn, &prefix, more, err));
    }
    return HW_OK;
}

static hw_status
delete_and_mark(hw_store_txn *txn, uint32_t coll, bool *more, hw_error *err)
{
    static const uint8_t mark = 1;
    hwi_key key;
    HWI_TRY(delete_some(txn, coll, more, err));
    mark_key(&key, META_DROPPING, coll);
    return *more ? hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(&mark, 1), err)
                 : hwi_store_del(txn, hwi_key_view(&key), err);
}

hw_status
hwi_drop_begin(hw_store_txn *txn, uint32_t coll, bool *more, hw_error *err)
{
    hwi_key key;
    hwi_key_sub(&key, HWI_SUB_CONF, coll);
    HWI_TRY(hwi_blob_del(txn, hwi_key_view(&key), err));
    return delete_and_mark(txn, coll, more, err);
}

/* ---- Restores under way ---- */

hw_status
hwi_restoring_mark(hw_store_txn *txn, uint32_t coll, hw_error *err)
{
    hwi_key key;
    uint8_t process[8];
    hwi_put_u64(process, (uint64_t)getpid());
    mark_key(&key, META_RESTORING, coll);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(process, 8), err);
}

hw_status
hwi_restoring_end(hw_store_txn *txn, uint32_t coll, hw_error *err)
{
    hwi_key key;
    mark_key(&key, META_RESTORING, coll);
    return hwi_store_del(txn, hwi_key_view(&key), err);
}

static bool
is_under_way(hw_db *db, hw_bytes value)
{
    if (value.size != 8) return false;
    uint64_t process = hwi_get_u64(value.data);
    if (process == (uint64_t)getpid()) return atomic_load(&db->restores) > 0;
    return process != 0 && (kill((pid_t)process, 0) == 0 || errno == EPERM);
}

/* ---- Going on ---- */

typedef struct search {
    hw_db *db;
    bool restoring, found;
    uint32_t coll;
} search;

static bool
take_mark(void *arg, hw_bytes key, hw_bytes value)
{
    search *s = arg;
    hwi_key_reader r;
    uint32_t skipped;
    if (s->restoring && is_under_way(s->db, value)) return true;
    hwi_key_reader_init(&r, key);
    s->found = hwi_key_read_u32(&r, &skipped, NULL) == HW_OK &&
               hwi_key_read_u32(&r, &skipped, NULL) == HW_OK &&
               hwi_key_read_u32(&r, &s->coll, NULL) == HW_OK;
    return !s->found;
}

/* The first collection that was left half dropped or half restored. */
static hw_status
find_rubbish(hw_db *db, search *s, hw_error *err)
{
    static const uint32_t kinds[] = {META_DROPPING, META_RESTORING};
    hw_store_txn *txn;
    *s = (search){.db = db};
    HWI_TRY(hwi_store_begin(db->store, HW_TXN_READ, &txn, err));
    hw_status st = HW_OK;
    for (size_t i = 0; st == HW_OK && !s->found && i < HWI_COUNT(kinds); i++) {
        hwi_key prefix;
        s->restoring = kinds[i] == META_RESTORING;
        hwi_key_space(&prefix, HWI_SUB_META);
        hwi_key_uint(&prefix, kinds[i]);
        st = hwi_store_scan_prefix(txn, &prefix, take_mark, s, err);
    }
    hwi_store_abort(txn);
    return st;
}

static hw_status
go_on_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    const search *s = arg;
    bool more, is_marked;
    /* somebody else may have been faster; unmarked, the number says nothing any more */
    hw_status st =
        has_mark(txn, s->restoring ? META_RESTORING : META_DROPPING, s->coll, &is_marked);
    if (st == HW_ENOTFOUND) return HW_OK;
    if (st != HW_OK) return hwi_fail(err, st, "cannot read the mark of collection %u", s->coll);
    HWI_TRY(hwi_restoring_end(txn, s->coll, err));
    return delete_and_mark(txn, s->coll, &more, err);
}

hw_status
hwi_drops_finish(hw_db *db, hw_error *err)
{
    search s;
    HWI_TRY(find_rubbish(db, &s, err));
    while (s.found) {
        HWI_TRY(hwi_store_run(db->store, go_on_body, &s, err));
        hwi_db_committed(db);
        HWI_TRY(find_rubbish(db, &s, err));
    }
    return HW_OK;
}

hw_status
hwi_restoring_abandon(hw_db *db, uint32_t coll, hw_error *err)
{
    search s = {.db = db, .restoring = true, .found = true, .coll = coll};
    HWI_TRY(hwi_store_run(db->store, go_on_body, &s, err));
    hwi_db_committed(db);
    return hwi_drops_finish(db, err);
}
