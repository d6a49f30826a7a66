/* parts.h - what the files of the stand-in share. See README.md for what it is.
 *
 * One lock guards everything. Results of reads are computed when they are asked for and handed out
 * later by the network thread; commits are carried out by the network thread.
 */
#ifndef FDB_STANDIN_PARTS_H
#define FDB_STANDIN_PARTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls.h"
#include "standin.h"

#define EXPORT(result, name, arguments)                                                            \
    __attribute__((visibility("default"))) result name arguments;
FDB_CALLS(EXPORT)
FDB_STANDIN_CALLS(EXPORT)

enum {
    E_OK = 0,
    E_TOO_OLD = 1007,
    E_FUTURE_VERSION = 1009,
    E_CONFLICT = 1020,
    E_UNKNOWN_RESULT = 1021,
    E_TXN_CANCELLED = 1025,
    E_TIMED_OUT = 1031,
    E_TOO_MANY_WATCHES = 1032,
    E_UNREADABLE = 1036,
    E_PROCESS_BEHIND = 1037,
    E_OP_CANCELLED = 1101,
    E_NO_CLUSTER_FILE = 1515,
    E_INVALID_OPERATION = 2000,
    E_OUTSIDE_LEGAL_RANGE = 2004,
    E_INVERTED_RANGE = 2005,
    E_INVALID_OPTION = 2007,
    E_NETWORK_NOT_SETUP = 2008,
    E_NETWORK_ALREADY_SETUP = 2009,
    E_USED_DURING_COMMIT = 2017,
    E_INVALID_MUTATION = 2018,
    E_NO_COMMIT_VERSION = 2021,
    E_CANNOT_RESTART = 2025,
    E_BLOCKED = 2026,
    E_TXN_TOO_LARGE = 2101,
    E_KEY_TOO_LARGE = 2102,
    E_VALUE_TOO_LARGE = 2103,
    E_BAD_CONNECTION_STRING = 2104,
    E_VERSION_UNSET = 2200,
    E_VERSION_ALREADY_SET = 2201,
    E_VERSION_INVALID = 2202,
    E_VERSION_NOT_SUPPORTED = 2203,
    E_EXACT_WITHOUT_LIMIT = 2210,
    E_THROTTLED = 1213
};

#define SD_KEY_MAX 10000u
#define SD_VALUE_MAX 100000u
#define SD_TXN_MAX 10000000
#define SD_RANGE_BYTES 24 /* what a conflict range counts beside its keys */
#define SD_WINDOW 5000000 /* versions, which is microseconds: 5 s */
#define SD_NEVER UINT64_MAX
#define SD_STAMP 10u /* version and order in its batch */

/* ---- memory.c: bytes, arenas, ranges */

typedef struct sd_bytes {
    const uint8_t *data;
    size_t size;
} sd_bytes;

sd_bytes sd_view(const void *data, int size);
int sd_compare(sd_bytes a, sd_bytes b);

void *sd_new(size_t size); /* zeroed; ends the program when there is no memory */
void *sd_grow(void *array, size_t *room, size_t count, size_t item);

typedef struct sd_arena {
    struct sd_block *blocks;
} sd_arena;

void *sd_take(sd_arena *a, size_t size);
sd_bytes sd_copy(sd_arena *a, sd_bytes b);
sd_bytes sd_copy_after(sd_arena *a, sd_bytes b); /* the next key: b and a zero byte */
void sd_arena_release(sd_arena *a);

typedef struct sd_range {
    sd_bytes from, to; /* [from, to) */
} sd_range;

typedef struct sd_ranges {
    sd_range *at;
    size_t count, room;
} sd_ranges;

void sd_ranges_append(sd_ranges *r, sd_bytes from, sd_bytes to);
/* Sorts and joins what overlaps or touches. The functions below want that. */
void sd_ranges_settle(sd_ranges *r);
void sd_ranges_add(sd_ranges *r, sd_bytes from, sd_bytes to);
void sd_ranges_cut(sd_ranges *r, sd_bytes from, sd_bytes to);
/* The first range that ends behind the key, or NULL. */
const sd_range *sd_ranges_seek(const sd_ranges *r, sd_bytes key);
const sd_range *sd_ranges_holding(const sd_ranges *r, sd_bytes key);
bool sd_ranges_overlap(const sd_ranges *r, sd_bytes from, sd_bytes to);
void sd_ranges_release(sd_ranges *r);

/* ---- map.c: an ordered map, as a skip list */

typedef struct sd_node {
    sd_bytes key;
    void *data;           /* owned by the user of the map */
    struct sd_node *prev; /* NULL in the first */
    struct sd_node *next[];
} sd_node;

typedef struct sd_map {
    sd_node *head;
    uint64_t random;
    size_t count;
} sd_map;

sd_node *sd_map_from(const sd_map *m, sd_bytes key, bool beyond);   /* first >= key, or > key */
sd_node *sd_map_until(const sd_map *m, sd_bytes key, bool and_key); /* last < key, or <= key */
sd_node *sd_map_find(const sd_map *m, sd_bytes key);
sd_node *sd_map_put(sd_map *m, sd_bytes key); /* with data NULL when it is new */
void sd_map_remove(sd_map *m, sd_bytes key);
void sd_map_release(sd_map *m);

/* ---- mutations */

typedef struct sd_mutation {
    int op;              /* an FDB_MUTATION_*, or one of these two */
    sd_bytes key, value; /* CLEAR: the range [key, value) */
} sd_mutation;

enum { SD_SET = 0, SD_CLEAR = 1 };

typedef struct sd_mutations {
    sd_mutation *at;
    size_t count, room;
} sd_mutations;

/* atomic.c: what an operation makes of a value; false: of an absent key. The result may lie in old,
 * param or the arena. */
bool sd_atomic_known(int op);
bool sd_atomic(int op, const sd_bytes *old, sd_bytes param, sd_arena *a, sd_bytes *out);
/* Writes the stamp where the last four bytes of *b say, and drops these; false when they lie. */
bool sd_stamp_into(sd_bytes *b, const uint8_t stamp[SD_STAMP], sd_arena *a);

/* ---- plan.c: the faults to come */

typedef struct sd_plan {
    uint64_t random;
    double conflict, unknown, old, behind, future, throttle, timeout, slow, lost, jump, batch,
        shorter;
    uint64_t slow_us;
    int64_t step; /* versions that a commit takes */
} sd_plan;

bool sd_plan_read(sd_plan *p, uint64_t seed, const char *text);
bool sd_plan_draw(sd_plan *p, double rate);
uint64_t sd_plan_pick(sd_plan *p, uint64_t below);

/* ---- cluster.c: keys and values at versions, commits, watches */

struct sd_cluster;

typedef struct sd_commit {
    struct sd_cluster *cluster;
    int64_t read_version;
    sd_mutations mutations;
    sd_ranges reads, writes;
    sd_arena arena;
    int error;     /* injected, or 0 */
    bool to_apply; /* with an error: whether it happens all the same */
    bool started;
    int64_t version; /* once committed */
    uint8_t stamp[SD_STAMP];
} sd_commit;

typedef struct sd_cluster {
    struct sd_cluster *next;
    char *path;
    int error;    /* of every call, when the cluster file is no good */
    bool is_dead; /* never answers */
    sd_map keys;
    int64_t version;      /* of the newest commit, or later */
    uint16_t order;       /* in the batch of `version` */
    struct sd_past *past; /* what commits of the last five seconds wrote, newest first */
    struct sd_watch *watches;
    struct sd_log *log; /* NULL: in memory alone */
} sd_cluster;

sd_cluster *sd_cluster_get(const char *path);
void sd_cluster_free_all(void);
/* Learns what other processes have committed. */
void sd_cluster_refresh(sd_cluster *c);
int64_t sd_cluster_read_version(sd_cluster *c);
int64_t sd_cluster_oldest(const sd_cluster *c);
/* NULL when the key is absent at that version. */
const sd_bytes *sd_cluster_value(const sd_cluster *c, sd_bytes key, int64_t version);
const sd_bytes *sd_node_value(const sd_node *n, int64_t version);
int sd_cluster_commit(sd_cluster *c, sd_commit *q, bool same_batch);
/* What a commit did, under a version that is known: used by sd_cluster_commit and by the log. */
void sd_cluster_apply(sd_cluster *c, sd_commit *q);
void sd_commit_free(sd_commit *q);
void sd_watch_add(sd_cluster *c, FDBFuture *f, sd_bytes key, const sd_bytes *value);
void sd_watch_drop(FDBFuture *f);
bool sd_cluster_has_watches(void);
void sd_cluster_refresh_watched(void);

/* ---- log.c: a cluster kept in a file that several processes share */

struct sd_log *sd_log_open(const char *path);
void sd_log_lock(struct sd_log *l);
void sd_log_unlock(struct sd_log *l);
void sd_log_read(struct sd_log *l, sd_cluster *c);
void sd_log_append(struct sd_log *l, const sd_commit *q);
void sd_log_close(struct sd_log *l);

/* ---- futures and the network (network.c) */

typedef enum sd_kind { SD_NOTHING, SD_INT64, SD_KEY, SD_VALUE, SD_PAIRS, SD_KEYS } sd_kind;

struct FDBFuture {
    sd_kind kind;
    bool is_ready, is_destroyed, is_queued;
    int error;
    FDBCallback callback;
    void *callback_arg;

    FDBTransaction *txn; /* that would end it; NULL: none any more */
    FDBFuture *txn_prev, *txn_next;

    FDBFuture *queue_prev, *queue_next;
    uint64_t due_us;
    void (*act)(FDBFuture *f); /* by the network thread before it is ready; may be NULL */
    sd_commit *commit;

    sd_arena arena; /* of the result */
    int64_t number;
    bool is_present, has_more;
    sd_bytes bytes;
    FDBKeyValue *pairs;
    FDBKey *keys;
    size_t count;
};

extern pthread_mutex_t sd_lock;
extern sd_plan sd_faults;
extern fdb_standin_counts sd_counts;

uint64_t sd_now_us(void);
FDBFuture *sd_future_new(FDBTransaction *t, sd_kind kind);
/* To be ready as soon as the network thread gets to it, or later where the plan says so. */
void sd_future_send(FDBFuture *f);
void sd_future_send_at(FDBFuture *f, uint64_t due_us);
/* Ends it with an error, without its act. */
void sd_future_fail(FDBFuture *f, int error);
/* Its transaction does not end it any more. */
void sd_future_leave(FDBFuture *f);
/* How calls end: fails or sends it, gives up the lock, returns it. */
FDBFuture *sd_answer(FDBFuture *f, int error);
void sd_network_wake(void);
bool sd_network_is_set_up(void);
/* The next commit in the queue that is due and not begun, or NULL. */
FDBFuture *sd_network_next_commit(void);
void sd_network_need_version(const char *function);

/* ---- transactions (transaction.c, reads.c) */

typedef struct sd_write {
    enum { W_VALUE, W_ABSENT, W_OPS } state;
    bool is_dependent; /* made from what was read */
    bool is_unreadable;
    sd_bytes value;
    sd_mutations ops; /* W_OPS: to be applied to what the cluster has */
} sd_write;

typedef struct sd_waiting_watch {
    struct sd_waiting_watch *next;
    FDBFuture *future;
    sd_bytes key;
    bool is_present;
    sd_bytes value;
} sd_waiting_watch;

struct FDBDatabase {
    sd_cluster *cluster;
    int64_t timeout_ms, retry_limit, size_limit;
};

struct FDBTransaction {
    FDBDatabase *db;
    sd_cluster *cluster;
    FDBTransaction *prev, *next; /* of all */
    FDBFuture *futures;          /* not ready yet */
    int64_t read_version;        /* -1: not asked for */
    int64_t committed_version;
    int error; /* of every call until reset */
    bool is_committing, is_committed;
    FDBFuture *stamp_wanted;
    sd_waiting_watch *watches;

    uint64_t started_us;
    int64_t timeout_ms, retry_limit, size_limit;
    bool snapshot_sees_no_writes, sees_no_writes, next_write_is_quiet;
    uint32_t tries;

    sd_arena arena;
    sd_mutations mutations;
    sd_map writes;
    sd_ranges cleared, unreadable; /* settled */
    sd_ranges reads, conflicts;
    int64_t size; /* as FoundationDB counts it, about */
};

extern FDBTransaction *sd_transactions;
uint64_t sd_txn_deadline(const FDBTransaction *t);
void sd_txn_expire(FDBTransaction *t);
/* The error that any call on t gives now, or 0. */
int sd_txn_error(const FDBTransaction *t);
int sd_txn_need_version(FDBTransaction *t);

#endif
