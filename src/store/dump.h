/* dump.h - whole stores on the move: backup files, restoring them, compact copies.
 *
 * A dump is one file: every key and value of one snapshot in key order, compressed and checksummed
 * in blocks (docs/format.md). It holds no page of any backend, so it moves between backends and
 * versions.
 *
 * Everything that makes a file or a folder makes it beside its place under another name, syncs it
 * and renames it, so a name never stands for something half done. Progress counts keys; its
 * function may be NULL, and stops the work with HW_ECANCELED, which leaves nothing behind.
 */
#ifndef HWI_DUMP_H
#define HWI_DUMP_H

#include "store/store.h"

/* Writes the snapshot of a READ transaction of a store with a meta record to `file`, replacing it.
 * HW_ENOSPC, HW_EIO, HW_EREADONLY, HW_ENOMEM, HW_ECANCELED. */
HW_CHECKED hw_status hwi_store_dump(hw_store_txn *t, const char *file, hw_progress_fn progress,
                                    void *arg, hw_error *err);

/* Reads a dump into an empty store, in bounded transactions; after a failure the store holds part
 * of it. Any bytes are safe: HW_ECORRUPT for what is damaged, cut short or no dump at all,
 * HW_EVERSION for one of a newer hashwood. */
HW_CHECKED hw_status hwi_store_load(const char *file, hw_store *to, hw_progress_fn progress,
                                    void *arg, hw_error *err);
/* The same from an open file, from its current position; `name` is for messages. */
HW_CHECKED hw_status hwi_store_load_fd(int fd, const char *name, hw_store *to,
                                       hw_progress_fn progress, void *arg, hw_error *err);

/* ---- One collection ---- */

/* Whether a key of the collection is to be copied. */
typedef bool (*hwi_dump_keep_fn)(void *arg, hw_bytes key);

/* Writes all keys of one collection that `keep` lets through to `file`, replacing it; before them
 * `manifest`, the caller's own, under the key hwi_dump_manifest_key. Else as hwi_store_dump. */
HW_CHECKED hw_status hwi_store_dump_collection(hw_store_txn *t, uint32_t coll, hw_bytes manifest,
                                               hwi_dump_keep_fn keep, void *keep_arg,
                                               const char *file, hw_progress_fn progress, void *arg,
                                               hw_error *err);
void hwi_dump_manifest_key(hwi_key *key);

/* Hands over the manifest, then every key with its value, ascending, and verifies the file while
 * doing so: all of it is sound only once this has returned HW_OK. A failure of fn ends it. *total
 * is set to the number of keys before the first call. HW_EINVAL: the file holds a whole database.
 */
typedef hw_status (*hwi_load_fn)(void *arg, hw_bytes key, hw_bytes value, hw_error *err);
HW_CHECKED hw_status hwi_store_load_collection(const char *file, hwi_load_fn fn, void *arg,
                                               uint64_t *total, hw_error *err);

/* ---- New databases ---- */

/* Makes the database `where` (a folder, or "fdb:..."), which must not exist (HW_EEXIST), from a
 * dump. */
HW_CHECKED hw_status hwi_store_restore(const char *file, const char *where, hw_progress_fn progress,
                                       void *arg, hw_error *err);

/* Copies a snapshot into an empty store, in bounded transactions. */
HW_CHECKED hw_status hwi_store_copy(hw_store_txn *from, hw_store *to, hw_progress_fn progress,
                                    void *arg, hw_error *err);
/* Makes the database `where`, which must not exist, from a snapshot; a folder without free pages and
 * with full ones. */
HW_CHECKED hw_status hwi_store_compact(hw_store_txn *from, const char *where,
                                       hw_progress_fn progress, void *arg, hw_error *err);

#endif
