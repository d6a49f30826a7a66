/* transaction.c - a client's transaction: its writes, its conflict ranges, its commit.
 *
 * Writes are kept twice: in order, as the commit carries them out, and by key, as the transaction
 * itself sees them. What is known without the cluster (a value set, a key cleared) is no read of the
 * cluster and makes no conflict.
 */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

#define MUTATION_BYTES 40 /* what a mutation counts beside its key and value */

FDBTransaction *sd_transactions;

static sd_bytes
end_of_keys(void)
{
    return sd_view("\xff", 1);
}

/* ---- databases */

int
fdb_create_database(const char *path, FDBDatabase **out)
{
    const char *named = getenv("FDB_CLUSTER_FILE");

    sd_network_need_version("fdb_create_database");
    if (!path || !path[0]) path = named ? named : "/etc/foundationdb/fdb.cluster";
    if (!sd_network_is_set_up()) return E_NETWORK_NOT_SETUP;
    FDBDatabase *d = sd_new(sizeof *d);
    pthread_mutex_lock(&sd_lock);
    d->cluster = sd_cluster_get(path);
    d->size_limit = SD_TXN_MAX;
    d->retry_limit = -1;
    sd_counts.databases++;
    pthread_mutex_unlock(&sd_lock);
    *out = d;
    return E_OK;
}

int
fdb_create_database_from_connection_string(const char *text, FDBDatabase **out)
{
    (void)text;
    *out = NULL;
    return E_BAD_CONNECTION_STRING; /* this one knows its clusters by their files */
}

void
fdb_database_destroy(FDBDatabase *d)
{
    pthread_mutex_lock(&sd_lock);
    sd_counts.databases--;
    pthread_mutex_unlock(&sd_lock);
    free(d);
}

static bool
set_limit(int option, const uint8_t *value, int size, int64_t *timeout_ms, int64_t *retry_limit,
          int64_t *size_limit, int *error)
{
    int64_t *limit = option == FDB_OPTION_TIMEOUT       ? timeout_ms
                     : option == FDB_OPTION_RETRY_LIMIT ? retry_limit
                     : option == FDB_OPTION_SIZE_LIMIT  ? size_limit
                                                        : NULL;
    *error = E_OK;
    if (!limit) return false;
    if (size != 8) {
        *error = 2006; /* invalid_option_value */
        return true;
    }
    memcpy(limit, value, 8);
    return true;
}

int
fdb_database_set_option(FDBDatabase *d, int option, const uint8_t *value, int size)
{
    int error;

    pthread_mutex_lock(&sd_lock);
    set_limit(option, value, size, &d->timeout_ms, &d->retry_limit, &d->size_limit, &error);
    pthread_mutex_unlock(&sd_lock);
    return error;
}

/* ---- beginning and ending */

static void
begin_anew(FDBTransaction *t)
{
    t->read_version = t->committed_version = -1;
    t->started_us = sd_now_us();
    t->timeout_ms = t->db->timeout_ms;
    t->retry_limit = t->db->retry_limit;
    t->size_limit = t->db->size_limit;
}

int
fdb_database_create_transaction(FDBDatabase *d, FDBTransaction **out)
{
    FDBTransaction *t = sd_new(sizeof *t);

    pthread_mutex_lock(&sd_lock);
    t->db = d;
    t->cluster = d->cluster;
    begin_anew(t);
    t->next = sd_transactions;
    if (t->next) t->next->prev = t;
    sd_transactions = t;
    sd_counts.transactions++;
    sd_network_wake(); /* its time runs */
    pthread_mutex_unlock(&sd_lock);
    *out = t;
    return E_OK;
}

static void
fail_futures(FDBTransaction *t, int error)
{
    while (t->futures) sd_future_fail(t->futures, error);
}

static void
forget_writes(FDBTransaction *t)
{
    free(t->mutations.at);
    t->mutations = (sd_mutations){0};
    for (sd_node *n = sd_map_from(&t->writes, sd_view("", 0), false); n; n = n->next[0])
        free(((sd_write *)n->data)->ops.at);
    sd_map_release(&t->writes);
    sd_ranges_release(&t->cleared);
    sd_ranges_release(&t->unreadable);
    sd_ranges_release(&t->reads);
    sd_ranges_release(&t->conflicts);
    sd_arena_release(&t->arena);
}

static void
reset(FDBTransaction *t)
{
    fail_futures(t, E_TXN_CANCELLED);
    t->watches = NULL; /* in the arena; their futures were among t's */
    forget_writes(t);
    t->read_version = t->committed_version = -1;
    t->error = E_OK;
    t->is_committing = t->is_committed = false;
    t->stamp_wanted = NULL;
    t->next_write_is_quiet = false;
    t->size = 0;
}

void
fdb_transaction_reset(FDBTransaction *t)
{
    pthread_mutex_lock(&sd_lock);
    reset(t);
    t->tries = 0;
    begin_anew(t);
    t->snapshot_sees_no_writes = t->sees_no_writes = false;
    pthread_mutex_unlock(&sd_lock);
}

void
fdb_transaction_cancel(FDBTransaction *t)
{
    pthread_mutex_lock(&sd_lock);
    t->error = E_TXN_CANCELLED;
    fail_futures(t, E_TXN_CANCELLED);
    pthread_mutex_unlock(&sd_lock);
}

void
fdb_transaction_destroy(FDBTransaction *t)
{
    if (!t) return;
    pthread_mutex_lock(&sd_lock);
    fail_futures(t, E_TXN_CANCELLED);
    forget_writes(t);
    if (t->prev)
        t->prev->next = t->next;
    else
        sd_transactions = t->next;
    if (t->next) t->next->prev = t->prev;
    sd_counts.transactions--;
    pthread_mutex_unlock(&sd_lock);
    free(t);
}

uint64_t
sd_txn_deadline(const FDBTransaction *t)
{
    if (t->timeout_ms <= 0 || t->error == E_TIMED_OUT) return SD_NEVER;
    return t->started_us + (uint64_t)t->timeout_ms * 1000u;
}

void
sd_txn_expire(FDBTransaction *t)
{
    t->error = E_TIMED_OUT;
    fail_futures(t, E_TIMED_OUT);
}

int
sd_txn_error(const FDBTransaction *t)
{
    if (t->error) return t->error;
    if (t->is_committing || t->is_committed) return E_USED_DURING_COMMIT;
    return t->cluster->error;
}

int
fdb_transaction_set_option(FDBTransaction *t, int option, const uint8_t *value, int size)
{
    int error;

    pthread_mutex_lock(&sd_lock);
    if (!set_limit(option, value, size, &t->timeout_ms, &t->retry_limit, &t->size_limit, &error)) {
        if (option == FDB_TXN_NEXT_WRITE_NO_CONFLICT) t->next_write_is_quiet = true;
        if (option == FDB_TXN_READ_YOUR_WRITES_DISABLE) t->sees_no_writes = true;
        if (option == FDB_TXN_SNAPSHOT_RYW_ENABLE) t->snapshot_sees_no_writes = false;
        if (option == FDB_TXN_SNAPSHOT_RYW_DISABLE) t->snapshot_sees_no_writes = true;
    }
    sd_network_wake();
    pthread_mutex_unlock(&sd_lock);
    return error;
}

/* ---- writing */

/* Whether t can take a write of the key; else the error stays until the next call with a future. */
static bool
may_write(FDBTransaction *t, sd_bytes key, sd_bytes value)
{
    int error = sd_txn_error(t);

    if (!error && key.size > 0 && key.data[0] == 0xff) error = E_OUTSIDE_LEGAL_RANGE;
    if (!error && key.size > SD_KEY_MAX) error = E_KEY_TOO_LARGE;
    if (!error && value.size > SD_VALUE_MAX) error = E_VALUE_TOO_LARGE;
    if (error && error != t->cluster->error) t->error = error;
    return !error;
}

/* The error of a call on the keys in [from, to), or 0. */
static int
range_error(const FDBTransaction *t, sd_bytes from, sd_bytes to)
{
    int error = sd_txn_error(t);

    if (error) return error;
    if (sd_compare(from, end_of_keys()) > 0 || sd_compare(to, end_of_keys()) > 0)
        return E_OUTSIDE_LEGAL_RANGE;
    return sd_compare(from, to) > 0 ? E_INVERTED_RANGE : E_OK;
}

static void
note_write(FDBTransaction *t, sd_bytes from, sd_bytes to)
{
    if (!t->next_write_is_quiet) {
        sd_ranges_append(&t->conflicts, from, to);
        t->size += SD_RANGE_BYTES + (int64_t)(from.size + to.size);
    }
    t->next_write_is_quiet = false;
}

static void
note_mutation(FDBTransaction *t, int op, sd_bytes key, sd_bytes value)
{
    sd_mutations *m = &t->mutations;

    m->at = sd_grow(m->at, &m->room, m->count, sizeof *m->at);
    m->at[m->count++] = (sd_mutation){op, key, value};
    t->size += MUTATION_BYTES + (int64_t)(key.size + value.size);
}

static sd_write *
write_of(FDBTransaction *t, sd_bytes key, bool *is_new)
{
    sd_node *n = sd_map_put(&t->writes, key);

    *is_new = !n->data;
    if (!n->data) {
        sd_write *w = sd_take(&t->arena, sizeof *w);
        *w = (sd_write){0};
        n->data = w;
    }
    return n->data;
}

static void
write_plain(FDBTransaction *t, sd_bytes key, bool is_present, sd_bytes value)
{
    bool is_new;
    sd_write *w = write_of(t, key, &is_new);

    w->state = is_present ? W_VALUE : W_ABSENT;
    w->value = value;
    w->is_dependent = false;
    w->ops.count = 0;
    if (!is_present) w->is_unreadable = false;
}

void
fdb_transaction_set(FDBTransaction *t, const uint8_t *key, int size, const uint8_t *value,
                    int value_size)
{
    pthread_mutex_lock(&sd_lock);
    if (may_write(t, sd_view(key, size), sd_view(value, value_size))) {
        sd_bytes k = sd_copy(&t->arena, sd_view(key, size));
        sd_bytes v = sd_copy(&t->arena, sd_view(value, value_size));
        note_mutation(t, SD_SET, k, v);
        note_write(t, k, sd_copy_after(&t->arena, k));
        write_plain(t, k, true, v);
    }
    pthread_mutex_unlock(&sd_lock);
}

static void
clear_range(FDBTransaction *t, sd_bytes from, sd_bytes to)
{
    note_mutation(t, SD_CLEAR, from, to);
    note_write(t, from, to);
    for (sd_node *n; (n = sd_map_from(&t->writes, from, false)) && sd_compare(n->key, to) < 0;) {
        free(((sd_write *)n->data)->ops.at);
        sd_map_remove(&t->writes, n->key);
    }
    sd_ranges_add(&t->cleared, from, to);
    sd_ranges_cut(&t->unreadable, from, to);
}

void
fdb_transaction_clear(FDBTransaction *t, const uint8_t *key, int size)
{
    pthread_mutex_lock(&sd_lock);
    if (sd_view(key, size).size <= SD_KEY_MAX && may_write(t, sd_view(key, size), sd_view("", 0))) {
        sd_bytes k = sd_copy(&t->arena, sd_view(key, size));
        clear_range(t, k, sd_copy_after(&t->arena, k));
    }
    pthread_mutex_unlock(&sd_lock);
}

void
fdb_transaction_clear_range(FDBTransaction *t, const uint8_t *from, int from_size,
                            const uint8_t *to, int to_size)
{
    sd_bytes a = sd_view(from, from_size), b = sd_view(to, to_size);

    pthread_mutex_lock(&sd_lock);
    int error = range_error(t, a, b);
    if (error && error != t->cluster->error) t->error = error;
    if (!error && sd_compare(a, b) < 0)
        clear_range(t, sd_copy(&t->arena, a), sd_copy(&t->arena, b));
    pthread_mutex_unlock(&sd_lock);
}

/* The keys that a stamp yet to come can make of this one are not to be read. */
static bool
write_stamped_key(FDBTransaction *t, sd_bytes key)
{
    uint8_t lowest[SD_STAMP] = {0}, highest[SD_STAMP];
    sd_bytes from = key, to = key;
    int64_t version = t->read_version > 0 ? t->read_version : 0;

    for (int i = 0; i < 8; i++) lowest[i] = (uint8_t)((uint64_t)version >> (56 - 8 * i));
    memset(highest, 0xff, sizeof highest);
    if (!sd_stamp_into(&from, lowest, &t->arena)) return false;
    sd_stamp_into(&to, highest, &t->arena);
    sd_ranges_add(&t->unreadable, from, sd_copy_after(&t->arena, to));
    return true;
}

static void
write_atomic(FDBTransaction *t, int op, sd_bytes key, sd_bytes param)
{
    bool is_new;
    sd_write *w = write_of(t, key, &is_new);

    if (is_new) w->state = sd_ranges_holding(&t->cleared, key) ? W_ABSENT : W_OPS;
    if (w->state == W_OPS && op != FDB_MUTATION_STAMPED_VALUE) {
        w->ops.at = sd_grow(w->ops.at, &w->ops.room, w->ops.count, sizeof *w->ops.at);
        w->ops.at[w->ops.count++] = (sd_mutation){op, key, param};
        return;
    }
    sd_bytes old = w->value;
    bool is_left = sd_atomic(op, w->state == W_VALUE ? &old : NULL, param, &t->arena, &w->value);
    w->state = is_left ? W_VALUE : W_ABSENT;
    if (op == FDB_MUTATION_STAMPED_VALUE) w->is_unreadable = true;
}

static int
atomic_op(FDBTransaction *t, sd_bytes key, sd_bytes param, int op)
{
    uint8_t none[SD_STAMP] = {0};
    sd_bytes probe = param;

    if (op == FDB_MUTATION_STAMPED_KEY) {
        if (!write_stamped_key(t, key)) return E_INVALID_OPERATION;
        note_mutation(t, op, key, param);
        t->next_write_is_quiet = false;
        return E_OK;
    }
    if (op == FDB_MUTATION_STAMPED_VALUE && !sd_stamp_into(&probe, none, &t->arena))
        return E_INVALID_OPERATION;
    note_mutation(t, op, key, param);
    note_write(t, key, sd_copy_after(&t->arena, key));
    write_atomic(t, op, key, param);
    return E_OK;
}

void
fdb_transaction_atomic_op(FDBTransaction *t, const uint8_t *key, int size, const uint8_t *value,
                          int value_size, int op)
{
    pthread_mutex_lock(&sd_lock);
    if (may_write(t, sd_view(key, size), sd_view(value, value_size))) {
        bool is_stamped = op == FDB_MUTATION_STAMPED_KEY || op == FDB_MUTATION_STAMPED_VALUE;
        int error = is_stamped || sd_atomic_known(op) ? E_OK : E_INVALID_MUTATION;
        if (!error)
            error = atomic_op(t, sd_copy(&t->arena, sd_view(key, size)),
                              sd_copy(&t->arena, sd_view(value, value_size)), op);
        if (error) t->error = error;
    }
    pthread_mutex_unlock(&sd_lock);
}

int
fdb_transaction_add_conflict_range(FDBTransaction *t, const uint8_t *from, int from_size,
                                   const uint8_t *to, int to_size, int type)
{
    sd_bytes a = sd_view(from, from_size), b = sd_view(to, to_size);

    pthread_mutex_lock(&sd_lock);
    int error = range_error(t, a, b);
    if (!error && sd_compare(a, b) < 0) {
        a = sd_copy(&t->arena, a);
        b = sd_copy(&t->arena, b);
        sd_ranges_append(type == FDB_CONFLICT_READ ? &t->reads : &t->conflicts, a, b);
        t->size += SD_RANGE_BYTES + (int64_t)(a.size + b.size);
    }
    pthread_mutex_unlock(&sd_lock);
    return error;
}

/* ---- committing */

static void
start_watches(FDBTransaction *t)
{
    for (sd_waiting_watch *w = t->watches; w; w = w->next) {
        FDBFuture *f = w->future;
        if (!f) continue;   /* destroyed meanwhile */
        sd_future_leave(f); /* it outlives the transaction */
        sd_watch_add(t->cluster, f, w->key, w->is_present ? &w->value : NULL);
    }
    t->watches = NULL;
}

static void
note_outcome(FDBTransaction *t, const sd_commit *q, int error)
{
    FDBFuture *stamp = t->stamp_wanted;

    t->is_committing = false;
    t->stamp_wanted = NULL;
    if (error) {
        t->watches = NULL;
        if (stamp) sd_future_fail(stamp, error);
        t->error = error == E_TIMED_OUT ? error : t->error;
        return;
    }
    t->is_committed = true;
    t->committed_version = q ? q->version : -1;
    if (stamp && q) {
        stamp->bytes = sd_copy(&stamp->arena, (sd_bytes){q->stamp, SD_STAMP});
        sd_future_send(stamp);
    } else if (stamp) {
        sd_future_fail(stamp, E_NO_COMMIT_VERSION);
    }
    start_watches(t);
}

static void
carry_out(FDBFuture *f, bool same_batch)
{
    sd_commit *q = f->commit;

    q->started = true;
    f->act = NULL;
    f->error = sd_cluster_commit(q->cluster, q, same_batch);
    if (f->txn) note_outcome(f->txn, q, f->error);
    sd_commit_free(q);
    f->commit = NULL;
}

/* Carries out a commit; and others that wait may share its version, since nobody has seen it yet. */
static void
act_commit(FDBFuture *f)
{
    sd_cluster *c = f->commit->cluster;
    FDBFuture *other;

    carry_out(f, false);
    if (f->error) return;
    while (sd_plan_draw(&sd_faults, sd_faults.batch) && (other = sd_network_next_commit()) &&
           other->commit->cluster == c)
        carry_out(other, true);
}

static sd_commit *
take_commit(FDBTransaction *t)
{
    sd_commit *q = sd_new(sizeof *q);

    q->cluster = t->cluster;
    q->read_version = sd_txn_need_version(t) ? -1 : t->read_version;
    q->mutations = t->mutations;
    q->reads = t->reads;
    q->writes = t->conflicts;
    q->arena = t->arena;
    t->mutations = (sd_mutations){0};
    t->reads = t->conflicts = (sd_ranges){0};
    t->arena = (sd_arena){0};
    forget_writes(t); /* what is left of them lies in memory that the commit has taken over */
    return q;
}

/* Which fault this commit meets. True when it is one that lets it happen after it was given up. */
static bool
draw_fault(sd_commit *q)
{
    bool is_late = false;

    if (sd_plan_draw(&sd_faults, sd_faults.conflict)) q->error = E_CONFLICT;
    if (sd_plan_draw(&sd_faults, sd_faults.old)) q->error = E_TOO_OLD;
    if (sd_plan_draw(&sd_faults, sd_faults.unknown)) {
        q->error = E_UNKNOWN_RESULT;
        q->to_apply = sd_plan_pick(&sd_faults, 2);
    }
    if (sd_plan_draw(&sd_faults, sd_faults.timeout)) {
        uint64_t fate = sd_plan_pick(&sd_faults, 3);
        q->error = E_TIMED_OUT;
        q->to_apply = fate != 0;
        is_late = fate == 2;
    }
    if (q->error) sd_counts.injected++;
    return is_late;
}

static void
send_commit(FDBTransaction *t, FDBFuture *f)
{
    t->is_committing = true;
    f->commit = take_commit(t);
    f->act = act_commit;
    if (draw_fault(f->commit)) {
        f->due_us = sd_now_us() + sd_plan_pick(&sd_faults, 100000);
        f->commit->error = E_OK;
        note_outcome(t, NULL, E_TIMED_OUT);
        sd_future_fail(f, E_TIMED_OUT); /* and it goes on by itself */
    } else {
        sd_future_send(f);
    }
}

FDBFuture *
fdb_transaction_commit(FDBTransaction *t)
{
    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_NOTHING);
    int error = sd_txn_error(t);
    if (!error && t->size > t->size_limit) error = E_TXN_TOO_LARGE;
    sd_counts.commits++;
    if (error) {
        sd_future_fail(f, error);
    } else if (t->mutations.count == 0 && t->conflicts.count == 0) {
        note_outcome(t, NULL, E_OK); /* nothing to be told to the servers */
        sd_future_send(f);
    } else {
        sd_counts.bytes_written += (uint64_t)t->size;
        send_commit(t, f);
    }
    pthread_mutex_unlock(&sd_lock);
    return f;
}

int
fdb_transaction_get_committed_version(FDBTransaction *t, int64_t *out)
{
    pthread_mutex_lock(&sd_lock);
    *out = t->committed_version;
    pthread_mutex_unlock(&sd_lock);
    return E_OK;
}

FDBFuture *
fdb_transaction_get_versionstamp(FDBTransaction *t)
{
    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_KEY);
    int error = sd_txn_error(t);
    if (error)
        sd_future_fail(f, error);
    else
        t->stamp_wanted = f;
    pthread_mutex_unlock(&sd_lock);
    return f;
}

FDBFuture *
fdb_transaction_get_approximate_size(FDBTransaction *t)
{
    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_INT64);
    int error = sd_txn_error(t);
    f->number = t->size;
    return sd_answer(f, error);
}

/* ---- trying again */

static void
act_retry(FDBFuture *f)
{
    FDBTransaction *t = f->txn;
    uint32_t tries = t ? t->tries + 1 : 0;

    f->act = NULL;
    if (!t) return;
    sd_future_leave(f); /* all others are ended by the reset */
    reset(t);
    t->tries = tries;
}

FDBFuture *
fdb_transaction_on_error(FDBTransaction *t, int error)
{
    pthread_mutex_lock(&sd_lock);
    FDBFuture *f = sd_future_new(t, SD_NOTHING);
    uint64_t pause_us = 100u << (t->tries < 7 ? t->tries : 7);
    bool is_final = !fdb_error_predicate(FDB_IS_RETRYABLE, error) ||
                    (t->retry_limit >= 0 && t->tries >= t->retry_limit);
    if (t->error == E_TIMED_OUT || t->error == E_TXN_CANCELLED) {
        sd_future_fail(f, t->error);
    } else if (is_final) {
        sd_future_fail(f, error ? error : E_INVALID_OPERATION);
        t->error = E_TXN_CANCELLED; /* until it is reset */
    } else {
        f->act = act_retry;
        sd_future_send_at(f, sd_now_us() + pause_us);
    }
    pthread_mutex_unlock(&sd_lock);
    return f;
}
