/* lmdb_writer.c - a thread that answers one request at a time.
 *
 *     caller:  request = COMMIT, signal         wait until request is NOTHING, take rc
 *     thread:                    wait, do it, request = NOTHING, signal
 *
 * It costs two switches of thread for each of begin and commit, some 20 us a transaction, beside
 * the disk's milliseconds. All signals are blocked in it, so a file size limit comes back as an
 * error and not as SIGXFSZ.
 */
#include "store/lmdb_writer.h"

#include <signal.h>

hw_status
hwi_lmdb_writer_init(hwi_lmdb_writer *w, hw_error *err)
{
    memset(w, 0, sizeof *w);
    int rc = pthread_mutex_init(&w->mutex, NULL);
    if (rc != 0) return hwi_fail_errno(err, rc, "cannot make a mutex");
    rc = pthread_cond_init(&w->changed, NULL);
    if (rc == 0) return HW_OK;
    pthread_mutex_destroy(&w->mutex);
    return hwi_fail_errno(err, rc, "cannot make a condition variable");
}

static int
answer(hwi_lmdb_writer *w)
{
    switch (w->request) {
    case HWI_LMDB_BEGIN:
        return mdb_txn_begin(w->env, NULL, 0, &w->txn);
    case HWI_LMDB_COMMIT:
        return mdb_txn_commit(w->txn);
    case HWI_LMDB_ABORT:
        mdb_txn_abort(w->txn);
        return 0;
    case HWI_LMDB_NOTHING:
    case HWI_LMDB_QUIT:
        break;
    }
    return 0;
}

static void *
serve(void *arg)
{
    hwi_lmdb_writer *w = arg;
    bool quit = false;

    pthread_mutex_lock(&w->mutex);
    while (!quit) {
        while (w->request == HWI_LMDB_NOTHING) pthread_cond_wait(&w->changed, &w->mutex);
        quit = w->request == HWI_LMDB_QUIT;
        pthread_mutex_unlock(&w->mutex); /* the caller waits, so env and txn are ours meanwhile */
        int rc = answer(w);
        pthread_mutex_lock(&w->mutex);
        w->rc = rc;
        w->request = HWI_LMDB_NOTHING;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static int
ask(hwi_lmdb_writer *w, hwi_lmdb_request request, MDB_txn **txn)
{
    pthread_mutex_lock(&w->mutex);
    if (request != HWI_LMDB_BEGIN) w->txn = *txn;
    w->request = request;
    pthread_cond_broadcast(&w->changed);
    while (w->request != HWI_LMDB_NOTHING) pthread_cond_wait(&w->changed, &w->mutex);
    int rc = w->rc;
    *txn = w->txn;
    pthread_mutex_unlock(&w->mutex);
    return rc;
}

static int
start(hwi_lmdb_writer *w, MDB_env *env)
{
    sigset_t all, before;

    w->env = env;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, serve, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->started = rc == 0;
    return rc;
}

int
hwi_lmdb_writer_begin(hwi_lmdb_writer *w, MDB_env *env, MDB_txn **txn)
{
    int rc = w->started ? 0 : start(w, env);
    return rc != 0 ? rc : ask(w, HWI_LMDB_BEGIN, txn);
}

int
hwi_lmdb_writer_commit(hwi_lmdb_writer *w, MDB_txn *txn)
{
    return ask(w, HWI_LMDB_COMMIT, &txn);
}

void
hwi_lmdb_writer_abort(hwi_lmdb_writer *w, MDB_txn *txn)
{
    (void)ask(w, HWI_LMDB_ABORT, &txn);
}

void
hwi_lmdb_writer_release(hwi_lmdb_writer *w)
{
    MDB_txn *none = NULL;

    if (w->started) {
        (void)ask(w, HWI_LMDB_QUIT, &none);
        pthread_join(w->thread, NULL);
    }
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
}
