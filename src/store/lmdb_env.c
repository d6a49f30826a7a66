/* lmdb_env.c - opening a folder as an LMDB environment.
 *
 *     photos.hw/
 *       data.mdb      the database: LMDB's copy-on-write B+tree, one file
 *       lock.mdb      LMDB's table of readers, shared memory between processes
 *       writer.lock   ours, empty: locked while a write transaction runs
 *
 * Choices:
 * - The map is 1 TiB of address space, so that no database has to be told its size; only what is
 *   written takes disk. Where that much cannot be had (ulimit -v, many databases open) we halve.
 * - MDB_NOTLS: a read transaction belongs to no thread, so a snapshot can be shared by all.
 * - Read-ahead of the map stays on unless the caller knows better (no_read_ahead): it fills the
 *   memory soon where all fits in, and pushes out what is needed where it does not. Which of them,
 *   nobody can say when a database is opened: memory is shared, and both grow.
 * - No MDB_WRITEMAP: a stray pointer could damage the file, and the whole map would be allocated on
 *   file systems without sparse files.
 * - no_sync is MDB_NOMETASYNC and not MDB_NOSYNC: pages reach the disk before the meta page that
 *   refers to them, so a power cut costs the newest commits but never the database.
 * - Writers take writer.lock before LMDB's own mutex, because only a lock of our own can be waited
 *   for with a limit. The kernel releases it when its holder dies.
 *
 * LMDB forbids opening one file twice in a process (closing one drops the other's locks), hence the
 * list of open folders; and using an environment across fork(), hence the generation number.
 */
#include "store/lmdb_env.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "store/lmdb_file.h"
#include "store/place.h"

#define MAP_BYTES_DEFAULT ((uint64_t)1 << 40)
#define MAP_BYTES_MIN ((uint64_t)1 << 20)
#define MAP_BYTES_GIVE_UP ((uint64_t)1 << 26) /* halving ends here */
#define READERS_MAX                                                                                \
    1022u /* slots of 64 bytes in lock.mdb, one per open snapshot of any process                   \
           */

/* ---- errors */

static hw_status
status_of(int rc)
{
    switch (rc) {
    case MDB_MAP_FULL:
        return HW_ENOSPC;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return HW_ECORRUPT;
    case MDB_TXN_FULL:
    case MDB_READERS_FULL:
    case MDB_BAD_VALSIZE:
        return HW_ELIMIT;
    case MDB_MAP_RESIZED:
        return HW_EBUSY;
    case MDB_BAD_TXN:
        return HW_EINVAL;
    case EFBIG:
        return HW_ENOSPC; /* a file size limit (ulimit -f) */
    case EDQUOT:
        return HW_ENOSPC;
    default:
        return HW_EIO;
    }
}

/* LMDB reports a write that was cut short as EIO; mostly the disk or a file size limit is full. */
static bool
space_is_short(const hwi_lmdb_env *e)
{
    const uint64_t little = 64 * 1024;
    struct statvfs fs;
    struct rlimit limit;
    struct stat file;
    int fd;

    if (!e->env || mdb_env_get_fd(e->env, &fd) != 0) return false;
    if (fstatvfs(fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < little) return true;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
    return fstat(fd, &file) == 0 && (uint64_t)file.st_size + little > limit.rlim_cur;
}

hw_status
hwi_lmdb_fail(const hwi_lmdb_env *e, hw_error *err, int rc, const char *doing)
{
    MDB_envinfo info;

    if (rc == EIO && space_is_short(e)) rc = ENOSPC;
    switch (rc) {
    case MDB_MAP_FULL:
        info.me_mapsize = 0;
        if (e->env) mdb_env_info(e->env, &info);
        return hwi_fail(err, HW_ENOSPC,
                        "cannot %s %s: it has reached map_bytes (%zu), open it with a larger value",
                        doing, e->folder, info.me_mapsize);
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return hwi_fail(err, HW_ECORRUPT, "cannot %s %s: data.mdb is not an LMDB file", doing,
                        e->folder);
    case MDB_READERS_FULL:
        return hwi_fail(err, HW_ELIMIT, "cannot %s %s: all %u reader slots are in use", doing,
                        e->folder, READERS_MAX);
    case MDB_MAP_RESIZED:
        return hwi_fail(err, HW_EBUSY,
                        "cannot %s %s: another process grew it beyond this one's map_bytes; close "
                        "open transactions and try again",
                        doing, e->folder);
    case MDB_BAD_TXN:
        return hwi_fail(err, HW_EINVAL,
                        "cannot %s %s: the transaction failed before and can only be aborted",
                        doing, e->folder);
    case MDB_PANIC:
        return hwi_fail(err, HW_EIO, "cannot %s %s: an earlier write failed, close and open it",
                        doing, e->folder);
    default:
        break;
    }
    if (rc > 0 && rc != EFBIG && rc != EDQUOT)
        return hwi_fail_errno(err, rc, "cannot %s %s", doing, e->folder);
    return hwi_fail(err, status_of(rc), "cannot %s %s: %s", doing, e->folder, mdb_strerror(rc));
}

/* ---- folders open in this process, and forks */

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER; /* guards open_list */
static hwi_lmdb_env *open_list;
static atomic_int fork_generation; /* raised in the child, read by its only thread or later ones */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void
before_fork(void)
{
    pthread_mutex_lock(&open_lock);
}

static void
after_fork_in_parent(void)
{
    pthread_mutex_unlock(&open_lock);
}

static void
after_fork_in_child(void)
{
    atomic_fetch_add(&fork_generation, 1);
    open_list = NULL;
    pthread_mutex_unlock(&open_lock);
}

static void
watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static hw_status
register_folder(hwi_lmdb_env *e, hw_error *err)
{
    bool taken = false;

    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&open_lock);
    for (const hwi_lmdb_env *o = open_list; o; o = o->next)
        taken |= o->device == e->device && o->inode == e->inode;
    if (!taken) {
        e->next = open_list;
        open_list = e;
    }
    pthread_mutex_unlock(&open_lock);
    if (taken)
        return hwi_fail(err, HW_EBUSY, "%s is already open in this process; share that handle",
                        e->folder);
    return HW_OK;
}

static void
unregister_folder(hwi_lmdb_env *e)
{
    pthread_mutex_lock(&open_lock);
    for (hwi_lmdb_env **at = &open_list; *at; at = &(*at)->next) {
        if (*at != e) continue;
        *at = e->next;
        break;
    }
    pthread_mutex_unlock(&open_lock);
}

hw_status
hwi_lmdb_env_usable(const hwi_lmdb_env *e, hw_error *err)
{
    if (e->fork_generation == atomic_load_explicit(&fork_generation, memory_order_relaxed))
        return HW_OK;
    return hwi_fail(err, HW_EINVAL,
                    "%s was opened before a fork; open it again in the child process", e->folder);
}

/* ---- the folder */

/* Finds or makes the folder; *made tells which. */
static hw_status
find_folder(hwi_lmdb_env *e, bool create, bool *made, hw_error *err)
{
    struct stat st;

    *made = false;
    if (create && mkdir(e->folder, 0777) == 0)
        *made = true;
    else if (create && errno != EEXIST)
        return hwi_fail_errno(err, errno, "cannot create %s", e->folder);

    if (stat(e->folder, &st) != 0) {
        if (errno == ENOENT) return hwi_fail(err, HW_ENOTFOUND, "no database at %s", e->folder);
        return hwi_fail_errno(err, errno, "cannot open %s", e->folder);
    }
    if (!S_ISDIR(st.st_mode))
        return hwi_fail(err, HW_ECORRUPT, "%s is a file and not a database folder", e->folder);
    e->device = st.st_dev;
    e->inode = st.st_ino;
    return HW_OK;
}

int
hwi_lmdb_open_file(const hwi_lmdb_env *e, const char *name, int flags)
{
    char path[HWI_PLACE_MAX];
    if (hwi_place_join(e->folder, name, path, NULL) != HW_OK) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, flags | O_CLOEXEC, 0666);
}

/* Whether there is a database in the folder, and a sound one. An empty data.mdb is one that was
 * never begun. */
static hw_status
find_data(const hwi_lmdb_env *e, bool *found, hw_error *err)
{
    struct stat st;

    *found = false;
    int fd = hwi_lmdb_open_file(e, "data.mdb", O_RDONLY);
    if (fd < 0) {
        if (errno == ENOENT) return HW_OK;
        return hwi_fail_errno(err, errno, "cannot open %s/data.mdb", e->folder);
    }
    hw_status result = HW_OK;
    if (fstat(fd, &st) != 0)
        result = hwi_fail_errno(err, errno, "cannot open %s/data.mdb", e->folder);
    else if (!S_ISREG(st.st_mode))
        result = hwi_fail(err, HW_ECORRUPT, "%s/data.mdb is not a regular file", e->folder);
    else if (st.st_size > 0)
        result = hwi_lmdb_file_check(fd, e->folder, err);
    close(fd);
    *found = result == HW_OK && st.st_size > 0;
    return result;
}

/* A new file is durable only once its folder is, and the folder once its own is. */
static hw_status
sync_new(const hwi_lmdb_env *e, bool folder_too, hw_error *err)
{
    HWI_TRY(hwi_place_sync(e->folder, err));
    return folder_too ? hwi_place_sync_parent(e->folder, err) : HW_OK;
}

/* ---- the environment */

static int
open_with_map(hwi_lmdb_env *e, uint64_t map_bytes, unsigned flags)
{
    int rc = mdb_env_create(&e->env);
    if (rc != 0) return rc;

    rc = mdb_env_set_mapsize(e->env, (size_t)map_bytes);
    if (rc == 0) rc = mdb_env_set_maxreaders(e->env, READERS_MAX);
    if (rc == 0) rc = mdb_env_open(e->env, e->folder, flags, 0666);
    if (rc != 0) {
        mdb_env_close(e->env);
        e->env = NULL;
    }
    return rc;
}

/* A reader that may not write lock.mdb cannot announce its snapshots. It may still read a database
 * that nobody writes, on a read-only medium or in another user's folder. */
static bool
lock_file_denied(const hwi_lmdb_env *e, int rc)
{
    if (!e->read_only || (rc != EACCES && rc != EPERM && rc != EROFS)) return false;
    int fd = hwi_lmdb_open_file(e, "data.mdb", O_RDONLY);
    if (fd < 0) return false;
    close(fd);
    return true;
}

static hw_status
open_env(hwi_lmdb_env *e, const hw_db_opts *opts, hw_error *err)
{
    unsigned flags = MDB_NOTLS;
    uint64_t map_bytes = opts->map_bytes ? opts->map_bytes : MAP_BYTES_DEFAULT;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int rc;

    if (map_bytes > SIZE_MAX / 2) map_bytes = SIZE_MAX / 2 + 1;
    map_bytes = HWI_MAX((map_bytes + page - 1) / page * page, MAP_BYTES_MIN);
    if (e->read_only) flags |= MDB_RDONLY;
    if (opts->no_sync) flags |= MDB_NOMETASYNC;
    if (opts->no_read_ahead) flags |= MDB_NORDAHEAD;

    while ((rc = open_with_map(e, map_bytes, flags)) != 0) {
        if (lock_file_denied(e, rc) && !(flags & MDB_NOLOCK))
            flags |= MDB_NOLOCK;
        else if (rc == ENOMEM && !opts->map_bytes && map_bytes > MAP_BYTES_GIVE_UP)
            map_bytes /= 2;
        else
            return hwi_lmdb_fail(e, err, rc, "open");
    }
    return HW_OK;
}

/* The handle of the main database, which a transaction must ask for once. */
static hw_status
open_main(hwi_lmdb_env *e, hw_error *err)
{
    MDB_txn *txn;
    int dead;

    (void)mdb_reader_check(e->env, &dead); /* slots of killed processes; a failure costs nothing */
    int rc = mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) return hwi_lmdb_fail(e, err, rc, "read");
    rc = mdb_dbi_open(txn, NULL, 0, &e->dbi);
    mdb_txn_abort(txn);
    if (rc != 0) return hwi_lmdb_fail(e, err, rc, "read");
    if (mdb_env_get_maxkeysize(e->env) < (int)HWI_STORE_KEY_MAX)
        return hwi_fail(err, HW_EUNSUPPORTED, "this LMDB takes keys of %d bytes, %u are needed",
                        mdb_env_get_maxkeysize(e->env), HWI_STORE_KEY_MAX);
    return HW_OK;
}

static hw_status
init_locks(hwi_lmdb_env *e, hw_error *err)
{
    HWI_TRY(hwi_turn_init(&e->turn, err));
    hw_status st = hwi_lmdb_writer_init(&e->writer, err);
    if (st != HW_OK) {
        hwi_turn_release(&e->turn);
        return st;
    }
    st = hwi_lmdb_group_init(&e->group, err);
    if (st != HW_OK) {
        hwi_lmdb_writer_release(&e->writer);
        hwi_turn_release(&e->turn);
        return st;
    }
    int rc = pthread_rwlock_init(&e->map_lock, NULL);
    if (rc == 0) return HW_OK;
    hwi_lmdb_group_release(&e->group);
    hwi_lmdb_writer_release(&e->writer);
    hwi_turn_release(&e->turn);
    return hwi_fail_errno(err, rc, "cannot make a lock");
}

static hw_status
open_folder(hwi_lmdb_env *e, const hw_db_opts *opts, hw_error *err)
{
    bool create = !opts->read_only && !opts->must_exist;
    bool made, found;

    HWI_TRY(find_folder(e, create, &made, err));
    HWI_TRY(register_folder(e, err));
    HWI_TRY(find_data(e, &found, err));
    if (!found && !create) return hwi_fail(err, HW_ENOTFOUND, "no database at %s", e->folder);
    if (!e->read_only) {
        e->lock_fd = hwi_lmdb_open_file(e, "writer.lock", O_RDWR | O_CREAT);
        if (e->lock_fd < 0)
            return hwi_fail_errno(err, errno, "cannot write to %s (open it read-only?)", e->folder);
    }
    HWI_TRY(open_env(e, opts, err));
    HWI_TRY(open_main(e, err));
    if (!found) HWI_TRY(sync_new(e, made, err));
    return HW_OK;
}

hw_status
hwi_lmdb_env_open(hwi_lmdb_env *e, const char *folder, const hw_db_opts *opts, hw_error *err)
{
    hw_db_opts defaults = HW_DB_OPTS_INIT;
    size_t bytes = strlen(folder) + 1;
    hw_status st;

    memset(e, 0, sizeof *e);
    e->lock_fd = -1;
    e->fork_generation = atomic_load(&fork_generation);
    if (!opts) opts = &defaults;
    e->read_only = opts->read_only;
    e->busy_timeout_ms = opts->busy_timeout_ms;
    e->folder = hwi_alloc(bytes);
    if (!e->folder) return hwi_nomem(err, bytes);
    memcpy(e->folder, folder, bytes);
    st = init_locks(e, err);
    if (st != HW_OK) {
        hwi_free(e->folder);
        return st;
    }
    st = open_folder(e, opts, err);
    if (st != HW_OK) hwi_lmdb_env_release(e);
    return st;
}

void
hwi_lmdb_env_release(hwi_lmdb_env *e)
{
    /* In a child of a fork there is no such thread, and its locks are in no known state. */
    bool forked = e->fork_generation != atomic_load(&fork_generation);
    if (!forked) hwi_lmdb_writer_release(&e->writer);
    if (e->env) mdb_env_close(e->env);
    if (e->lock_fd >= 0) close(e->lock_fd);
    unregister_folder(e);
    if (!forked) pthread_rwlock_destroy(&e->map_lock);
    if (!forked) hwi_lmdb_group_release(&e->group);
    if (!forked) hwi_turn_release(&e->turn);
    hwi_free(e->folder);
}

/* ---- the writer's turn */

/* flock and not fcntl: the lock then belongs to our open file and not to the process, so nothing
 * else in the process can drop it by closing another descriptor of the same file. */
static hw_status
lock_file(hwi_lmdb_env *e, uint64_t deadline_us, hw_error *err)
{
    long pause_us = 200;

    while (flock(e->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK)
            return hwi_fail_errno(err, errno, "cannot lock %s/writer.lock", e->folder);
        if (hwi_clock_us() >= deadline_us) return hwi_turn_busy(err, e->busy_timeout_ms);
        struct timespec pause = {0, pause_us * 1000};
        nanosleep(&pause, NULL);
        pause_us = HWI_MIN(pause_us * 2, 10000L);
    }
    return HW_OK;
}

hw_status
hwi_lmdb_writer_lock(hwi_lmdb_env *e, hw_error *err)
{
    uint64_t deadline_us = hwi_clock_us() + (uint64_t)e->busy_timeout_ms * 1000;

    if (!hwi_turn_take(&e->turn, deadline_us)) return hwi_turn_busy(err, e->busy_timeout_ms);
    if (hwi_lmdb_group_is_open(&e->group)) return HW_OK;
    hw_status st = lock_file(e, deadline_us, err);
    if (st != HW_OK) hwi_turn_give(&e->turn);
    return st;
}

void
hwi_lmdb_writer_unlock(hwi_lmdb_env *e)
{
    flock(e->lock_fd, LOCK_UN);
    hwi_turn_give(&e->turn);
}
