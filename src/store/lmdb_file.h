/* lmdb_file.h - looking at data.mdb as a file, without trusting it.
 *
 * LMDB believes its file: a page that was cut off or overwritten crashes the process that touches
 * it. These functions read the file with bounds checks instead of mapping it.
 */
#ifndef HWI_LMDB_FILE_H
#define HWI_LMDB_FILE_H

#include "base/base.h"

/* Whether data.mdb may be given to LMDB: sound meta pages, and no page that is in use lies beyond
 * the end of the file. HW_ECORRUPT, HW_EIO. `name` is for messages. Cost: two small reads, and a
 * walk through the file only when it is shorter than it says. */
HW_CHECKED hw_status hwi_lmdb_file_check(int fd, const char *name, hw_error *err);

/* Walks both trees of the snapshot `version`: page headers, bounds of nodes, order of keys, large
 * values within the file, no page used twice, counts. HW_ECORRUPT when anything is wrong, each
 * reported through `damage` (NULL: not); HW_ENOTFOUND when the file no longer has that snapshot's
 * meta page. The caller holds a read transaction of it, or no one writes. Does not look inside
 * large values. Cost: reads every branch and leaf page. */
HW_CHECKED hw_status hwi_lmdb_file_walk(int fd, const char *name, uint64_t version,
                                        hw_damage_fn damage, void *arg, hw_error *err);

#endif
