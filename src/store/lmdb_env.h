/* lmdb_env.h - an open LMDB folder: environment, writer lock, and its place among the folders this
 * process has open. lmdb.c makes a store of it.
 */
#ifndef HWI_LMDB_ENV_H
#define HWI_LMDB_ENV_H

#include <lmdb.h>
#include <pthread.h>
#include <sys/types.h>

#include "store/backend.h"
#include "store/lmdb_group.h"
#include "store/lmdb_writer.h"
#include "store/turn.h"

typedef struct hwi_lmdb_env {
    MDB_env *env;
    MDB_dbi dbi; /* the unnamed main database: the only one we use */
    bool read_only;
    uint32_t busy_timeout_ms;
    char *folder;

    hwi_lmdb_writer writer;    /* begins and ends write transactions; used by the turn's holder */
    hwi_turn turn;             /* among the threads of this process */
    hwi_lmdb_group group;      /* transactions that share a commit */
    int lock_fd;               /* writer.lock: among processes; -1 when read-only */
    pthread_rwlock_t map_lock; /* held for reading while a transaction begins, for writing while
                                  the map changes size */
    atomic_int txns;           /* open transactions */
    uint32_t stamps;           /* keys stamped; of the turn's holder */

    dev_t device; /* identity of the folder, and the list of open ones */
    ino_t inode;
    int fork_generation;
    struct hwi_lmdb_env *next;
} hwi_lmdb_env;

HW_CHECKED hw_status hwi_lmdb_env_open(hwi_lmdb_env *e, const char *folder, const hw_db_opts *opts,
                                       hw_error *err);
/* Undoes open, also a failed one. */
void hwi_lmdb_env_release(hwi_lmdb_env *e);

/* HW_EINVAL in a child of the process that opened it: LMDB does not survive a fork. */
HW_CHECKED hw_status hwi_lmdb_env_usable(const hwi_lmdb_env *e, hw_error *err);

/* Opens a file of the folder; -1 and errno. */
int hwi_lmdb_open_file(const hwi_lmdb_env *e, const char *name, int flags);

/* The writer's turn over all threads and processes: HW_EBUSY after busy_timeout_ms. While a group
 * is open the lock file is this process's already. unlock gives both back. */
HW_CHECKED hw_status hwi_lmdb_writer_lock(hwi_lmdb_env *e, hw_error *err);
void hwi_lmdb_writer_unlock(hwi_lmdb_env *e);

/* An LMDB or system error as ours: "cannot <doing> <folder>: ...". */
hw_status hwi_lmdb_fail(const hwi_lmdb_env *e, hw_error *err, int rc, const char *doing);

#endif
