/* lmdb_group.c - group commit: many write transactions, one sync.
 *
 *     turn     A ======= B ==== C =====                 D ======
 *     LMDB     [ A       [ B ]  [ C   ] commit, sync ]  [ D ...
 *     returns  begin                      A, B, C all
 *
 * A sync costs milliseconds, a small transaction half of one. So whoever commits while others wait
 * for the turn leaves the sync to the last of them: A's LMDB transaction becomes the group's
 * parent, B and C run nested in it. LMDB merges a nested transaction's pages into its parent's, or
 * forgets them, in memory; readers see nothing before the parent's commit.
 *
 * A group ends when nobody waits any more. Writers that all return from the last commit at once are
 * back within some hundred microseconds, one before the others; lest it commits alone, the holder
 * lingers for a fraction of a sync while fewer have joined than the last time. A single writer
 * never lingers, as its last group was of one.
 *
 * A nested transaction may belong to an application that does something else between begin and
 * commit, or even waits for the very thread whose commit waits here. After EVICT_US one of the
 * waiting members takes it out: aborts it, commits the group, and leaves it the turn and the lock
 * file. On its next call it begins anew on its own and applies its log; as nobody else can write
 * meanwhile, it finds what it left. That is possible only while it rests, since otherwise the
 * engine may hold pointers into its pages.
 *
 * The road not taken: one thread that collects operations and runs them for the others. It would
 * need every operation as data, and validation apart from writing; nesting needs neither. */
#include "store/lmdb_group.h"

#include <errno.h>
#include <time.h>

#include "store/lmdb_env.h"

#define MEMBERS_MAX 256u
#define BYTES_MAX                                                                                  \
    ((size_t)16 << 20)     /* dirty pages are in memory, and copied once more by the next */
#define OPEN_US_MAX 50000u /* the first member waits no longer before the sync begins */
#define EVICT_US 20000u
#define LINGER_US_MAX 2000u

struct hwi_lmdb_round {
    uint32_t refs;
    bool ended;
    int rc;
};

hw_status
hwi_lmdb_group_init(hwi_lmdb_group *g, hw_error *err)
{
    pthread_condattr_t attr;

    memset(g, 0, sizeof *g);
    if (pthread_condattr_init(&attr) != 0) return hwi_nomem(err, sizeof attr);
    int rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0) rc = pthread_cond_init(&g->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (rc != 0) return hwi_fail_errno(err, rc, "cannot make a condition variable");
    rc = pthread_mutex_init(&g->mutex, NULL);
    if (rc == 0) return HW_OK;
    pthread_cond_destroy(&g->changed);
    return hwi_fail_errno(err, rc, "cannot make a mutex");
}

void
hwi_lmdb_group_release(hwi_lmdb_group *g)
{
    pthread_mutex_destroy(&g->mutex);
    pthread_cond_destroy(&g->changed);
}

/* ---- rounds: the outcome that members wait for */

/* mutex is held. */
static void
round_unref(hwi_lmdb_round *r)
{
    if (--r->refs == 0) hwi_free(r);
}

/* Tells the members how their commit went. mutex is held. */
static void
end_round(hwi_lmdb_group *g, int rc)
{
    hwi_lmdb_round *r = g->round;

    g->round = NULL;
    r->ended = true;
    r->rc = rc;
    round_unref(r);
    pthread_cond_broadcast(&g->changed);
}

/* Commits the group's transaction. The caller is the only one that may use the writer's thread. */
static int
commit_parent(hwi_lmdb_env *e, MDB_txn *parent)
{
    hwi_lmdb_group *g = &e->group;
    uint64_t from_us = hwi_clock_us();
    int rc = hwi_lmdb_writer_commit(&e->writer, parent);

    g->sync_us = hwi_clock_us() - from_us;
    g->last_members = g->members;
    if (rc == 0 && g->members > 1)
        atomic_fetch_add_explicit(&g->grouped, g->members - 1, memory_order_relaxed);
    return rc;
}

/* ---- the turn's holder passes it on */

/* Whether another transaction is there to join, or may be soon. */
static bool
another_comes(hwi_lmdb_env *e)
{
    hwi_lmdb_group *g = &e->group;
    uint64_t now = hwi_clock_us();

    if (g->members >= MEMBERS_MAX || g->bytes > BYTES_MAX) return false;
    if (now - g->opened_us > OPEN_US_MAX) return false;
    if (hwi_turn_is_wanted(&e->turn)) return true;
    if (g->members >= g->last_members) return false;
    return hwi_turn_await(&e->turn, now + HWI_MIN(g->sync_us / 4, (uint64_t)LINGER_US_MAX));
}

void
hwi_lmdb_group_pass(hwi_lmdb_env *e)
{
    hwi_lmdb_group *g = &e->group;

    if (g->parent && another_comes(e)) {
        hwi_turn_give(&e->turn);
        return;
    }
    if (g->parent) {
        MDB_txn *parent = g->parent;
        int rc = commit_parent(e, parent);
        pthread_mutex_lock(&g->mutex);
        g->parent = NULL;
        end_round(g, rc);
        pthread_mutex_unlock(&g->mutex);
    }
    hwi_lmdb_writer_unlock(e);
}

/* ---- members begin and end */

int
hwi_lmdb_group_begin(hwi_lmdb_env *e, hwi_lmdb_member *m)
{
    hwi_lmdb_group *g = &e->group;

    m->is_nested = g->parent != NULL;
    m->stage = HWI_LMDB_AWAKE;
    if (!m->is_nested) {
        g->members = 0;
        g->bytes = 0;
        return hwi_lmdb_writer_begin(&e->writer, e->env, &m->txn);
    }
    int rc = mdb_txn_begin(e->env, g->parent, 0, &m->txn);
    if (rc != 0) return rc;
    pthread_mutex_lock(&g->mutex);
    g->inside = m;
    pthread_mutex_unlock(&g->mutex);
    return 0;
}

/* Takes a nested member out of the group's sight. Whether it was evicted; then it has no LMDB
 * transaction, and the turn is still its own. */
static bool
leave(hwi_lmdb_group *g, hwi_lmdb_member *m)
{
    if (!m->is_nested) return false;
    pthread_mutex_lock(&g->mutex);
    if (m->stage == HWI_LMDB_RESTING) m->stage = HWI_LMDB_AWAKE;
    while (m->stage == HWI_LMDB_EVICTING) pthread_cond_wait(&g->changed, &g->mutex);
    g->inside = NULL;
    pthread_mutex_unlock(&g->mutex);
    return m->stage == HWI_LMDB_EVICTED;
}

static void
close_cursor(hwi_lmdb_member *m)
{
    if (m->cursor) mdb_cursor_close(m->cursor);
    m->cursor = NULL;
}

void
hwi_lmdb_group_abort(hwi_lmdb_env *e, hwi_lmdb_member *m)
{
    bool evicted = leave(&e->group, m);

    if (!evicted) {
        close_cursor(m);
        if (m->is_nested)
            mdb_txn_abort(m->txn);
        else
            hwi_lmdb_writer_abort(&e->writer, m->txn);
    }
    hwi_buf_release(&m->log);
    hwi_lmdb_group_pass(e);
}

/* The first member's transaction becomes the group's. False: it commits alone. */
static bool
open_group(hwi_lmdb_env *e, hwi_lmdb_member *m)
{
    hwi_lmdb_group *g = &e->group;
    hwi_lmdb_round *r;

    g->opened_us = hwi_clock_us();
    if (!another_comes(e)) return false;
    r = hwi_alloc_zero(sizeof *r);
    if (!r) return false;
    r->refs = 1;
    pthread_mutex_lock(&g->mutex);
    g->number++;
    g->round = r;
    g->parent = m->txn;
    pthread_mutex_unlock(&g->mutex);
    return true;
}

/* Commits the group without the member that rests in it. mutex is held, and again on return. */
static void
evict(hwi_lmdb_env *e)
{
    hwi_lmdb_group *g = &e->group;
    hwi_lmdb_member *m = g->inside;
    MDB_txn *parent = g->parent;

    m->stage =
        HWI_LMDB_EVICTING; /* whoever wakes it waits, so it and the writer's thread are ours */
    pthread_mutex_unlock(&g->mutex);
    close_cursor(m);
    mdb_txn_abort(m->txn);
    int rc = commit_parent(e, parent);
    pthread_mutex_lock(&g->mutex);
    m->txn = NULL;
    m->rc = rc;
    m->stage = HWI_LMDB_EVICTED;
    g->inside = NULL;
    g->parent = NULL;
    end_round(g, rc);
}

/* Waits for the end of the round; mutex is held. */
static int
await(hwi_lmdb_env *e, hwi_lmdb_round *r)
{
    hwi_lmdb_group *g = &e->group;
    struct timespec until;

    while (!r->ended) {
        uint64_t until_us = hwi_clock_us() + EVICT_US;
        until.tv_sec = (time_t)(until_us / 1000000);
        until.tv_nsec = (long)(until_us % 1000000) * 1000;
        int rc = pthread_cond_timedwait(&g->changed, &g->mutex, &until);
        bool rests = g->inside && g->inside->stage == HWI_LMDB_RESTING;
        if (rc == ETIMEDOUT && !r->ended && rests) evict(e);
    }
    int rc = r->rc;
    round_unref(r);
    return rc;
}

int
hwi_lmdb_group_commit(hwi_lmdb_env *e, hwi_lmdb_member *m, size_t bytes)
{
    hwi_lmdb_group *g = &e->group;
    int rc = 0;

    bool evicted = leave(g, m);
    HWI_ASSERT(!evicted); /* it was woken before */
    close_cursor(m);
    hwi_buf_release(&m->log);
    g->members++;
    g->bytes += bytes;
    if (m->is_nested) {
        rc = mdb_txn_commit(m->txn);
        if (rc != 0) {
            hwi_lmdb_group_pass(e);
            return rc;
        }
    } else if (!open_group(e, m)) {
        rc = commit_parent(e, m->txn);
        hwi_lmdb_writer_unlock(e);
        return rc;
    }
    pthread_mutex_lock(&g->mutex);
    hwi_lmdb_round *r = g->round;
    r->refs++;
    pthread_mutex_unlock(&g->mutex);
    hwi_lmdb_group_pass(e);
    pthread_mutex_lock(&g->mutex);
    rc = await(e, r);
    pthread_mutex_unlock(&g->mutex);
    return rc;
}

/* ---- resting */

void
hwi_lmdb_group_rest(hwi_lmdb_env *e, hwi_lmdb_member *m)
{
    if (!m->is_nested || m->is_pinned) return;
    pthread_mutex_lock(&e->group.mutex);
    m->stage = HWI_LMDB_RESTING;
    pthread_mutex_unlock(&e->group.mutex);
}

bool
hwi_lmdb_group_wake(hwi_lmdb_env *e, hwi_lmdb_member *m)
{
    hwi_lmdb_group *g = &e->group;

    if (!m->is_nested) return false;
    pthread_mutex_lock(&g->mutex);
    while (m->stage == HWI_LMDB_EVICTING) pthread_cond_wait(&g->changed, &g->mutex);
    bool evicted = m->stage == HWI_LMDB_EVICTED;
    m->stage = HWI_LMDB_AWAKE;
    pthread_mutex_unlock(&g->mutex);
    if (!evicted) return false;
    m->is_nested = false;
    g->members = 0;
    g->bytes = 0;
    if (m->rc == 0) m->rc = hwi_lmdb_writer_begin(&e->writer, e->env, &m->txn);
    return true;
}
