/* log.c - a cluster kept in a file, for programs that run one after another or side by side.
 *
 * Beside a cluster file that begins with "standin_log:" lies PATH.log, with one record a commit:
 *
 *     size (4)  sum (4)  version (8)  mutations (4)  ranges (4)  then each
 *     mutation: op (4) key size (4) value size (4) key value        range: the same with op 0
 *
 * A process reads what is new before it hands out a read version or checks a commit, and appends
 * its own commit under the same lock; so all agree on one order. A record that was cut off by a kill
 * is overwritten by the next. Numbers are in the machine's order: the file is for one test.
 */
#include "parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct sd_log {
    int fd;
    off_t end; /* of what has been read */
} sd_log;

typedef struct record_head {
    uint32_t size, sum;
    int64_t version;
    uint32_t mutations, ranges;
} record_head;

typedef struct item_head {
    int32_t op;
    uint32_t key_size, value_size;
} item_head;

static void
must(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    abort();
}

sd_log *
sd_log_open(const char *path)
{
    sd_log *l = sd_new(sizeof *l);
    size_t size = strlen(path);
    char *name = sd_new(size + 5);

    memcpy(name, path, size);
    memcpy(name + size, ".log", 4);
    l->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    must(l->fd >= 0, name);
    free(name);
    return l;
}

void
sd_log_close(sd_log *l)
{
    close(l->fd);
    free(l);
}

void
sd_log_lock(sd_log *l)
{
    must(flock(l->fd, LOCK_EX) == 0, "flock");
}

void
sd_log_unlock(sd_log *l)
{
    must(flock(l->fd, LOCK_UN) == 0, "flock");
}

static uint32_t
sum_of(const uint8_t *data, size_t size)
{
    uint32_t sum = 2166136261u;

    for (size_t i = 0; i < size; i++) sum = (sum ^ data[i]) * 16777619u;
    return sum;
}

/* ---- reading */

static const uint8_t *
read_item(const uint8_t *at, sd_arena *a, sd_mutation *m)
{
    item_head h;

    memcpy(&h, at, sizeof h);
    at += sizeof h;
    m->op = h.op;
    m->key = sd_copy(a, (sd_bytes){at, h.key_size});
    m->value = sd_copy(a, (sd_bytes){at + h.key_size, h.value_size});
    return at + h.key_size + h.value_size;
}

static void
apply_record(sd_cluster *c, const record_head *h, const uint8_t *at)
{
    sd_commit *q = sd_new(sizeof *q);
    sd_mutation m;

    q->version = h->version;
    for (uint32_t i = 0; i < h->mutations; i++) {
        at = read_item(at, &q->arena, &m);
        q->mutations.at =
            sd_grow(q->mutations.at, &q->mutations.room, q->mutations.count, sizeof m);
        q->mutations.at[q->mutations.count++] = m;
    }
    for (uint32_t i = 0; i < h->ranges; i++) {
        at = read_item(at, &q->arena, &m);
        sd_ranges_append(&q->writes, m.key, m.value);
    }
    sd_cluster_apply(c, q);
    sd_commit_free(q);
}

void
sd_log_read(sd_log *l, sd_cluster *c)
{
    record_head h;

    while (pread(l->fd, &h, sizeof h, l->end) == sizeof h) {
        uint8_t *body = h.size <= 1u << 28 ? malloc(h.size + 1) : NULL;
        bool whole = body && pread(l->fd, body, h.size, l->end + (off_t)sizeof h) == h.size &&
                     sum_of(body, h.size) == h.sum;
        if (whole) {
            apply_record(c, &h, body);
            l->end += (off_t)(sizeof h + h.size);
        }
        free(body);
        if (!whole) return;
    }
}

/* ---- writing */

static uint8_t *
write_item(uint8_t *to, int op, sd_bytes key, sd_bytes value)
{
    item_head h = {op, (uint32_t)key.size, (uint32_t)value.size};

    memcpy(to, &h, sizeof h);
    to += sizeof h;
    if (key.size) memcpy(to, key.data, key.size);
    to += key.size;
    if (value.size) memcpy(to, value.data, value.size);
    return to + value.size;
}

void
sd_log_append(sd_log *l, const sd_commit *q)
{
    size_t size = 0;
    record_head h = {.version = q->version,
                     .mutations = (uint32_t)q->mutations.count,
                     .ranges = (uint32_t)q->writes.count};

    for (size_t i = 0; i < q->mutations.count; i++)
        size += sizeof(item_head) + q->mutations.at[i].key.size + q->mutations.at[i].value.size;
    for (size_t i = 0; i < q->writes.count; i++)
        size += sizeof(item_head) + q->writes.at[i].from.size + q->writes.at[i].to.size;

    uint8_t *record = sd_new(sizeof h + size), *to = record + sizeof h;
    for (size_t i = 0; i < q->mutations.count; i++)
        to =
            write_item(to, q->mutations.at[i].op, q->mutations.at[i].key, q->mutations.at[i].value);
    for (size_t i = 0; i < q->writes.count; i++)
        to = write_item(to, 0, q->writes.at[i].from, q->writes.at[i].to);
    h.size = (uint32_t)size;
    h.sum = sum_of(record + sizeof h, size);
    memcpy(record, &h, sizeof h);
    must(ftruncate(l->fd, l->end) == 0, "ftruncate"); /* what a killed process left unfinished */
    must(pwrite(l->fd, record, sizeof h + size, l->end) == (ssize_t)(sizeof h + size), "pwrite");
    l->end += (off_t)(sizeof h + size);
    free(record);
}
