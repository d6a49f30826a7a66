/* cluster.c - what the servers of a cluster do: keys and values at versions, commits, watches.
 *
 *     key -> (version, value or absent) (version, value or absent) ...      oldest first
 *
 * A read at version v finds the last entry that is not above v. What no version of the last five
 * seconds can see any more is dropped when its key is written again, and in a sweep now and then.
 * The clock is virtual: every commit moves it by plan.step, every read version by a little, and
 * fdb_standin_advance by any time.
 */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_COMMITS 2000u
#define WATCHES_MAX 10000u
#define VERSIONS_A_READ 100

typedef struct entry {
    int64_t version;
    bool is_present;
    sd_bytes value; /* owned */
} entry;

typedef struct chain {
    entry *at;
    size_t count, room;
} chain;

typedef struct sd_past {
    struct sd_past *older;
    int64_t version;
    sd_ranges writes; /* settled */
    sd_arena arena;
} sd_past;

typedef struct sd_watch {
    struct sd_watch *next;
    FDBFuture *future;
    bool is_present;
    sd_bytes key, value;
    sd_arena arena;
} sd_watch;

static sd_cluster *clusters;

/* ---- opening */

/* The description in front of ':' in the first line that is no comment, in a static buffer; NULL
 * unless the line looks like description:id@address. */
static const char *
description_in(FILE *f)
{
    static char line[4096];

    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#' || line[0] == '\n') continue;
        char *colon = strchr(line, ':');
        if (!colon || colon == line || !strchr(colon, '@')) return NULL;
        *colon = 0;
        return line;
    }
    return NULL;
}

static void
open_cluster(sd_cluster *c)
{
    FILE *f = fopen(c->path, "r");
    const char *description = f ? description_in(f) : NULL;

    if (!f)
        c->error = E_NO_CLUSTER_FILE;
    else if (!description)
        c->error = E_BAD_CONNECTION_STRING;
    else if (strcmp(description, "standin_dead") == 0)
        c->is_dead = true;
    else if (strcmp(description, "standin_log") == 0)
        c->log = sd_log_open(c->path);
    if (f) fclose(f);
}

sd_cluster *
sd_cluster_get(const char *path)
{
    for (sd_cluster *c = clusters; c; c = c->next)
        if (strcmp(c->path, path) == 0 && !c->error) return c;
    sd_cluster *c = sd_new(sizeof *c);
    c->path = strdup(path);
    c->version = 1000000;
    c->next = clusters;
    clusters = c;
    open_cluster(c);
    return c;
}

static void free_past(sd_past *p);

static void
free_chain(chain *ch)
{
    for (size_t i = 0; i < ch->count; i++) free((void *)ch->at[i].value.data);
    free(ch->at);
    free(ch);
}

void
sd_cluster_free_all(void)
{
    for (sd_cluster *next, *c = clusters; c; c = next) {
        next = c->next;
        if (c->log) sd_log_close(c->log);
        for (sd_node *n = sd_map_from(&c->keys, sd_view("", 0), false); n; n = n->next[0])
            free_chain(n->data);
        sd_map_release(&c->keys);
        free_past(c->past);
        free(c->path);
        free(c);
    }
    clusters = NULL;
}

/* ---- reading */

int64_t
sd_cluster_oldest(const sd_cluster *c)
{
    return c->version - SD_WINDOW;
}

void
sd_cluster_refresh(sd_cluster *c)
{
    if (!c->log) return;
    sd_log_lock(c->log);
    sd_log_read(c->log, c);
    sd_log_unlock(c->log);
}

int64_t
sd_cluster_read_version(sd_cluster *c)
{
    sd_cluster_refresh(c);
    /* Other processes know nothing of a version that has no commit. */
    if (!c->log) c->version += VERSIONS_A_READ;
    return c->version;
}

const sd_bytes *
sd_node_value(const sd_node *n, int64_t version)
{
    const chain *ch = n->data;
    size_t low = 0, high = ch->count; /* entries at or below the version */

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ch->at[middle].version <= version)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && ch->at[low - 1].is_present ? &ch->at[low - 1].value : NULL;
}

const sd_bytes *
sd_cluster_value(const sd_cluster *c, sd_bytes key, int64_t version)
{
    const sd_node *n = sd_map_find(&c->keys, key);
    return n ? sd_node_value(n, version) : NULL;
}

/* ---- writing */

static void
drop_oldest(chain *ch, int64_t oldest)
{
    size_t dead = 0;

    while (dead + 1 < ch->count && ch->at[dead + 1].version <= oldest)
        free((void *)ch->at[dead++].value.data);
    if (!dead) return;
    memmove(ch->at, ch->at + dead, (ch->count - dead) * sizeof *ch->at);
    ch->count -= dead;
}

/* value NULL: absent from this version on */
static void
push(sd_cluster *c, chain *ch, int64_t version, const sd_bytes *value)
{
    entry e = {.version = version, .is_present = value != NULL};

    if (value) {
        uint8_t *copy = sd_new(value->size);
        if (value->size) memcpy(copy, value->data, value->size);
        e.value = (sd_bytes){copy, value->size};
    }
    if (ch->count > 0 && ch->at[ch->count - 1].version == version) {
        free((void *)ch->at[ch->count - 1].value.data);
        ch->at[ch->count - 1] = e;
        return;
    }
    drop_oldest(ch, sd_cluster_oldest(c));
    ch->at = sd_grow(ch->at, &ch->room, ch->count, sizeof *ch->at);
    ch->at[ch->count++] = e;
}

static chain *
chain_of(sd_cluster *c, sd_bytes key)
{
    sd_node *n = sd_map_put(&c->keys, key);

    if (!n->data) n->data = sd_new(sizeof(chain));
    return n->data;
}

static void
apply_one(sd_cluster *c, const sd_mutation *m, int64_t version, sd_arena *scratch)
{
    sd_bytes value;

    if (m->op == SD_CLEAR) {
        for (sd_node *n = sd_map_from(&c->keys, m->key, false);
             n && sd_compare(n->key, m->value) < 0; n = n->next[0])
            if (sd_node_value(n, INT64_MAX)) push(c, n->data, version, NULL);
        return;
    }
    const sd_bytes *old = sd_cluster_value(c, m->key, INT64_MAX);
    bool is_left = sd_atomic(m->op, old, m->value, scratch, &value);
    if (is_left || old) push(c, chain_of(c, m->key), version, is_left ? &value : NULL);
}

static bool
same(const sd_watch *w, const sd_bytes *value)
{
    if (!w->is_present || !value) return w->is_present == (value != NULL);
    return sd_compare(w->value, *value) == 0;
}

static void
fire_watches(sd_cluster *c)
{
    for (sd_watch *next, *w = c->watches; w; w = next) {
        next = w->next;
        if (same(w, sd_cluster_value(c, w->key, INT64_MAX))) continue;
        FDBFuture *f = w->future;
        sd_watch_drop(f);
        sd_future_send(f);
    }
}

/* Forgets keys that are absent for everybody. */
static void
sweep(sd_cluster *c)
{
    int64_t oldest = sd_cluster_oldest(c);

    for (sd_node *next, *n = sd_map_from(&c->keys, sd_view("", 0), false); n; n = next) {
        chain *ch = n->data;
        next = n->next[0];
        drop_oldest(ch, oldest);
        if (ch->count == 1 && !ch->at[0].is_present && ch->at[0].version <= oldest) {
            free_chain(ch);
            sd_map_remove(&c->keys, n->key);
        }
    }
}

static void
free_past(sd_past *p)
{
    for (sd_past *older; p; p = older) {
        older = p->older;
        sd_ranges_release(&p->writes);
        sd_arena_release(&p->arena);
        free(p);
    }
}

static void
remember(sd_cluster *c, sd_commit *q)
{
    sd_past *p = sd_new(sizeof *p), **end = &p->older;

    p->version = q->version;
    for (size_t i = 0; i < q->writes.count; i++)
        sd_ranges_append(&p->writes, sd_copy(&p->arena, q->writes.at[i].from),
                         sd_copy(&p->arena, q->writes.at[i].to));
    sd_ranges_settle(&p->writes);
    p->older = c->past;
    c->past = p;
    while (*end && (*end)->version > sd_cluster_oldest(c)) end = &(*end)->older;
    free_past(*end);
    *end = NULL;
}

void
sd_cluster_apply(sd_cluster *c, sd_commit *q)
{
    static unsigned commits;

    c->version = q->version;
    for (size_t i = 0; i < q->mutations.count; i++)
        apply_one(c, &q->mutations.at[i], q->version, &q->arena);
    remember(c, q);
    if (++commits % SWEEP_COMMITS == 0) sweep(c);
    fire_watches(c);
}

/* ---- committing */

static bool
was_overtaken(const sd_cluster *c, const sd_commit *q)
{
    for (const sd_past *p = c->past; p && p->version > q->read_version; p = p->older)
        for (size_t i = 0; i < q->reads.count; i++)
            if (sd_ranges_overlap(&p->writes, q->reads.at[i].from, q->reads.at[i].to)) return true;
    return false;
}

static void
choose_version(sd_cluster *c, sd_commit *q, bool same_batch)
{
    if (same_batch && !c->log && c->order < UINT16_MAX) {
        c->order++;
    } else {
        if (sd_plan_draw(&sd_faults, sd_faults.jump))
            c->version += 1000000 + (int64_t)sd_plan_pick(&sd_faults, 6000000);
        c->version += sd_faults.step;
        c->order = 0;
    }
    q->version = c->version;
    for (int i = 0; i < 8; i++) q->stamp[i] = (uint8_t)((uint64_t)q->version >> (56 - 8 * i));
    q->stamp[8] = (uint8_t)(c->order >> 8);
    q->stamp[9] = (uint8_t)c->order;
}

/* Now that the version is known, stamped keys and values are ordinary ones. */
static void
resolve_stamps(sd_commit *q)
{
    for (size_t i = 0; i < q->mutations.count; i++) {
        sd_mutation *m = &q->mutations.at[i];
        if (m->op == FDB_MUTATION_STAMPED_KEY) {
            sd_stamp_into(&m->key, q->stamp, &q->arena);
            sd_ranges_append(&q->writes, m->key, sd_copy_after(&q->arena, m->key));
        } else if (m->op == FDB_MUTATION_STAMPED_VALUE) {
            sd_stamp_into(&m->value, q->stamp, &q->arena);
        } else {
            continue;
        }
        m->op = SD_SET;
    }
}

static int
commit_locked(sd_cluster *c, sd_commit *q, bool same_batch)
{
    if (c->log) sd_log_read(c->log, c);
    if (q->reads.count > 0 && q->read_version < sd_cluster_oldest(c)) return E_TOO_OLD;
    if (was_overtaken(c, q)) {
        sd_counts.conflicts++;
        return E_CONFLICT;
    }
    choose_version(c, q, same_batch);
    resolve_stamps(q);
    if (c->log) sd_log_append(c->log, q);
    sd_cluster_apply(c, q);
    sd_counts.committed++;
    return E_OK;
}

int
sd_cluster_commit(sd_cluster *c, sd_commit *q, bool same_batch)
{
    if (c->error) return c->error;
    if (q->error && !q->to_apply) return q->error;
    sd_ranges_settle(&q->reads);
    if (c->log) sd_log_lock(c->log);
    int error = commit_locked(c, q, same_batch);
    if (c->log) sd_log_unlock(c->log);
    return q->error ? q->error : error;
}

void
sd_commit_free(sd_commit *q)
{
    if (!q) return;
    free(q->mutations.at);
    sd_ranges_release(&q->reads);
    sd_ranges_release(&q->writes);
    sd_arena_release(&q->arena);
    free(q);
}

void
fdb_standin_advance(int64_t ms)
{
    pthread_mutex_lock(&sd_lock);
    for (sd_cluster *c = clusters; c; c = c->next) {
        sd_commit nothing = {.version = c->version + ms * 1000};
        if (!c->log) {
            c->version = nothing.version;
            continue;
        }
        sd_log_lock(c->log);
        sd_log_read(c->log, c);
        nothing.version = c->version + ms * 1000;
        sd_log_append(c->log, &nothing);
        c->version = nothing.version;
        sd_log_unlock(c->log);
    }
    pthread_mutex_unlock(&sd_lock);
}

/* ---- watches */

void
sd_watch_add(sd_cluster *c, FDBFuture *f, sd_bytes key, const sd_bytes *value)
{
    size_t count = 0;

    for (sd_watch *w = c->watches; w; w = w->next) count++;
    if (count >= WATCHES_MAX) {
        sd_future_fail(f, E_TOO_MANY_WATCHES);
        return;
    }
    sd_watch *w = sd_new(sizeof *w);
    *w = (sd_watch){.next = c->watches, .future = f, .is_present = value != NULL};
    w->key = sd_copy(&w->arena, key);
    if (value) w->value = sd_copy(&w->arena, *value);
    c->watches = w;
    fire_watches(c); /* it may have changed meanwhile */
}

void
sd_watch_drop(FDBFuture *f)
{
    for (sd_cluster *c = clusters; c; c = c->next)
        for (sd_watch **at = &c->watches; *at; at = &(*at)->next)
            if ((*at)->future == f) {
                sd_watch *w = *at;
                *at = w->next;
                sd_arena_release(&w->arena);
                free(w);
                return;
            }
}

bool
sd_cluster_has_watches(void)
{
    for (sd_cluster *c = clusters; c; c = c->next)
        if (c->watches && c->log) return true;
    return false;
}

void
sd_cluster_refresh_watched(void)
{
    for (sd_cluster *c = clusters; c; c = c->next)
        if (c->watches && c->log) sd_cluster_refresh(c);
}
