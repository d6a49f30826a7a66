/* lmdb_writer.h - one thread that begins and ends the write transactions of an environment.
 *
 * LMDB holds a mutex during a write transaction, which the thread that began it must end; from
 * another thread the mutex would stay locked for ever. Ours may pass from thread to thread, so all
 * are begun and ended by a thread of their own. Reads and writes in between need no such care.
 */
#ifndef HWI_LMDB_WRITER_H
#define HWI_LMDB_WRITER_H

#include <lmdb.h>
#include <pthread.h>

#include "base/base.h"

typedef enum hwi_lmdb_request {
    HWI_LMDB_NOTHING,
    HWI_LMDB_BEGIN,
    HWI_LMDB_COMMIT,
    HWI_LMDB_ABORT,
    HWI_LMDB_QUIT
} hwi_lmdb_request;

typedef struct hwi_lmdb_writer {
    MDB_env *env;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    hwi_lmdb_request request; /* NOTHING once it is done */
    MDB_txn *txn;
    int rc;
} hwi_lmdb_writer;

HW_CHECKED hw_status hwi_lmdb_writer_init(hwi_lmdb_writer *w, hw_error *err);
/* Ends the thread. No transaction may be open. */
void hwi_lmdb_writer_release(hwi_lmdb_writer *w);

/* Each returns LMDB's code. The caller holds the writer's turn, so there is one call at a time. The
 * thread is started by the first begin. */
int hwi_lmdb_writer_begin(hwi_lmdb_writer *w, MDB_env *env, MDB_txn **txn);
int hwi_lmdb_writer_commit(hwi_lmdb_writer *w, MDB_txn *txn);
void hwi_lmdb_writer_abort(hwi_lmdb_writer *w, MDB_txn *txn);

#endif
