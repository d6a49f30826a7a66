/* admin.c - whole databases: compact, back up, restore, facts. The work is the store's
 * (store/dump.h); here it gets a snapshot to read from, so that writers go on meanwhile. */
#include "api/api.h"
#include "store/dump.h"

typedef hw_status (*copy_fn)(hw_store_txn *from, const char *to, hw_progress_fn progress, void *arg,
                             hw_error *err);

static hw_status
copy_snapshot(hw_db *db, copy_fn copy, const char *to, hw_progress_fn progress, void *arg,
              hw_error *err)
{
    hw_store_txn *txn;
    if (!to || !to[0]) return hwi_fail(err, HW_EINVAL, "the path to write to is empty");
    HWI_TRY(hwi_store_begin(db->store, HW_TXN_READ, &txn, err));
    hw_status st = copy(txn, to, progress, arg, err);
    hwi_store_abort(txn);
    return st;
}

hw_status
hw_db_compact(hw_db *db, const char *to, hw_progress_fn progress, void *arg, hw_error *err)
{
    HWI_NOT_FAR(db, "compact");
    if (strcmp(db->store->ops->name, "fdb") == 0)
        return hwi_fail(
            err, HW_EUNSUPPORTED,
            "a database in FoundationDB has no free pages to leave out; `hashwood copy` "
            "makes a copy elsewhere");
    return copy_snapshot(db, hwi_store_compact, to, progress, arg, err);
}

hw_status
hw_db_copy(hw_db *db, const char *to, hw_progress_fn progress, void *arg, hw_error *err)
{
    HWI_NOT_FAR(db, "copy");
    if (to && hwi_remote_is_url(to))
        return hwi_fail(err, HW_EUNSUPPORTED,
                        "cannot copy into a server; copy where it keeps its "
                        "database, or import");
    return copy_snapshot(db, hwi_store_compact, to, progress, arg, err);
}

hw_status
hw_db_backup(hw_db *db, const char *file, hw_progress_fn progress, void *arg, hw_error *err)
{
    HWI_FAR(db, hwi_remote_backup(db->far, NULL, file, err));
    return copy_snapshot(db, hwi_store_dump, file, progress, arg, err);
}

hw_status
hw_db_restore(const char *file, const char *where, hw_progress_fn progress, void *arg,
              hw_error *err)
{
    if (!file || !file[0]) return hwi_fail(err, HW_EINVAL, "the file to restore is empty");
    if (!where || !where[0]) return hwi_fail(err, HW_EINVAL, "the path to restore to is empty");
    return hwi_store_restore(file, where, progress, arg, err);
}

/* ---- Facts ---- */

static hw_status
sum_points(hw_store_txn *txn, uint64_t *collections, uint64_t *points, hw_error *err)
{
    hwi_name *names;
    size_t count;
    HWI_TRY(hwi_names_read(txn, &names, &count, err));
    hw_status st = HW_OK;
    *collections = count;
    *points = 0;
    for (size_t i = 0; st == HW_OK && i < count; i++) {
        hwi_counts counts;
        st = hwi_counts_get(txn, names[i].coll, &counts, err);
        *points += counts.points;
    }
    hwi_names_free(names, count);
    return st;
}

static hw_status
write_stats(hw_db *db, hw_store_txn *txn, hwi_buf *b, hw_error *err)
{
    hw_store_info info;
    uint64_t collections, points;
    char uuid[HW_ID_TEXT_MAX + 1];
    hw_id id = {.kind = HW_ID_KIND_UUID};
    HWI_TRY(hwi_store_info(db->store, &info, err));
    HWI_TRY(sum_points(txn, &collections, &points, err));
    memcpy(id.as.uuid, db->meta.uuid, 16);
    hw_id_format(&id, uuid);
    hwi_buf_printf(b, "{\"uuid\":\"%s\",\"format\":%u,\"created_s\":%llu,\"store\":\"%s\"", uuid,
                   db->meta.format, (unsigned long long)db->meta.created_s, db->store->ops->name);
    hwi_buf_printf(b, ",\"version\":%llu,\"disk_bytes\":%llu,\"free_bytes\":%llu",
                   (unsigned long long)hwi_store_snapshot(txn), (unsigned long long)info.disk_bytes,
                   (unsigned long long)info.free_bytes);
    hwi_buf_printf(b, ",\"map_bytes\":%llu,\"keys\":%llu", (unsigned long long)info.map_bytes,
                   (unsigned long long)info.keys);
    hwi_buf_printf(b, ",\"collections\":%llu,\"points\":%llu,\"kernels\":\"%s\"}",
                   (unsigned long long)collections, (unsigned long long)points, hw_kernels());
    return HW_OK;
}

hw_status
hw_db_stats(hw_db *db, char **json, hw_error *err)
{
    HWI_FAR(db, hwi_remote_text(db->far, "GET", "/stats", NULL, json, err));
    hw_store_txn *txn;
    hwi_buf b = {0};
    *json = NULL;
    HWI_TRY(hwi_store_begin(db->store, HW_TXN_READ, &txn, err));
    hw_status st = write_stats(db, txn, &b, err);
    hwi_store_abort(txn);
    if (st == HW_OK) return hwi_buf_take_text(&b, json, err);
    hwi_buf_release(&b);
    return st;
}
