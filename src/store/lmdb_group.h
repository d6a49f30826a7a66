/* lmdb_group.h - group commit: write transactions that follow closely share one commit and one
 * sync.
 *
 * The transactions still run one after another, each with the writer's turn. When one commits while
 * others wait, its LMDB transaction stays open as the group's, the turn passes on, and the next
 * runs as a nested transaction of it: it sees what came before, and can fail or abort alone. The
 * last one commits the group; only then do all commits return, with the same outcome.
 */
#ifndef HWI_LMDB_GROUP_H
#define HWI_LMDB_GROUP_H

#include <lmdb.h>
#include <pthread.h>

#include "base/base.h"

struct hwi_lmdb_env;

typedef enum hwi_lmdb_stage {
    HWI_LMDB_AWAKE,    /* the engine may be at work in it */
    HWI_LMDB_RESTING,  /* it is between two calls of its user, who may take any time */
    HWI_LMDB_EVICTING, /* a member of the group is taking it out ... */
    HWI_LMDB_EVICTED   /* ... and has committed the group without it */
} hwi_lmdb_stage;

/* What a group knows of a write transaction. */
typedef struct hwi_lmdb_member {
    MDB_txn *txn;         /* NULL once evicted */
    MDB_cursor *cursor;   /* for puts; NULL until needed */
    bool is_nested;       /* joined an open group */
    hwi_lmdb_stage stage; /* guarded by the group's mutex while is_nested */
    int rc;               /* evicted: how the group's commit went */
    hwi_buf log;          /* nested: its writes so far, to do them again after an eviction */
    bool is_pinned;       /* it wrote too much for a log: it cannot be evicted */
} hwi_lmdb_member;

typedef struct hwi_lmdb_round hwi_lmdb_round;

typedef struct hwi_lmdb_group {
    /* used by the turn's holder alone */
    uint64_t number;       /* of the open group, or the last one */
    uint32_t members;      /* committed into the open group */
    uint32_t last_members; /* of the last group: as many may come again */
    uint64_t opened_us, sync_us;
    size_t bytes;
    atomic_uint_least64_t grouped; /* transactions that went along with another's commit, so far */

    pthread_mutex_t mutex; /* guards the rest, the rounds, and stages */
    pthread_cond_t changed;
    MDB_txn *parent;         /* the open group's transaction; NULL: there is none */
    hwi_lmdb_round *round;   /* the open group's outcome */
    hwi_lmdb_member *inside; /* the nested transaction that has the turn */
} hwi_lmdb_group;

HW_CHECKED hw_status hwi_lmdb_group_init(hwi_lmdb_group *g, hw_error *err);
void hwi_lmdb_group_release(hwi_lmdb_group *g);

/* Whether a group is open: then the turn's holder joins it, and already has the lock file. */
static inline bool
hwi_lmdb_group_is_open(const hwi_lmdb_group *g)
{
    return g->parent != NULL;
}

/* The holder of the turn begins. LMDB's code; on failure the turn is still held. */
int hwi_lmdb_group_begin(struct hwi_lmdb_env *e, hwi_lmdb_member *m);
/* Both end the member and the holder's turn. commit waits until it is durable: LMDB's code. */
int hwi_lmdb_group_commit(struct hwi_lmdb_env *e, hwi_lmdb_member *m, size_t bytes);
void hwi_lmdb_group_abort(struct hwi_lmdb_env *e, hwi_lmdb_member *m);
/* The turn's holder has nothing (more) to do: passes the turn on, or ends the group. */
void hwi_lmdb_group_pass(struct hwi_lmdb_env *e);

/* A resting member must not keep those waiting that committed before it: after a while it is
 * evicted. wake ends the rest; true: it was evicted, m->rc tells whether the group's commit went
 * well, and if so m->txn is a transaction of its own to which m->log must be applied. */
void hwi_lmdb_group_rest(struct hwi_lmdb_env *e, hwi_lmdb_member *m);
bool hwi_lmdb_group_wake(struct hwi_lmdb_env *e, hwi_lmdb_member *m);

#endif
