/* fdb_worker.c - one of the processes of fdb_cluster.py: changes and asks at random, and writes down
 * what it was told and when.
 *
 *     fdb_worker DATABASE NUMBER SEED SECONDS LOG
 *
 * One line a call when it begins and one when it has ended, each written at once, so that a kill
 * leaves a call without an end. Times are microseconds of CLOCK_MONOTONIC.
 *
 *     B 7 <time> upsert|delete|get|count|search id ...   the value of an upsert is NUMBER * 65536 + 7
 *     E 7 <time> ok|conflict <text>|unknown <text>|<text>  id=value ... | count
 *
 * A point's vector is (value, id): what is found says who wrote it, and for which point. */
#include <hashwood/hashwood.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { IDS = 120, MOST = 5 };

static int out;
static uint64_t dice;

static uint64_t
now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint32_t
below(uint32_t n)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % n;
}

typedef struct line {
    char text[4096];
    size_t used;
} line;

#define ADD(l, ...)                                                                                \
    ((l)->used += (size_t)snprintf((l)->text + (l)->used, sizeof(l)->text - (l)->used, __VA_ARGS__))

static void
write_line(line *l)
{
    ADD(l, "\n");
    if (write(out, l->text, l->used) != (ssize_t)l->used) exit(3);
}

static void
begin(uint32_t call, const char *what, const hw_id *ids, size_t count)
{
    line l = {.used = 0};
    ADD(&l, "B %u %llu %s", call, (unsigned long long)now_us(), what);
    for (size_t i = 0; i < count; i++) ADD(&l, " %u", (unsigned)ids[i].as.u64);
    write_line(&l);
}

static void
end(uint32_t call, hw_status st, const hw_error *err, hw_result *r, const uint64_t *number)
{
    line l = {.used = 0};
    ADD(&l, "E %u %llu ", call, (unsigned long long)now_us());
    if (st != HW_OK) {
        ADD(&l, "%s%s",
            st == HW_ECONFLICT  ? "conflict "
            : st == HW_EUNKNOWN ? "unknown "
                                : "",
            err->message);
    } else {
        ADD(&l, "ok");
        if (number) ADD(&l, " %llu", (unsigned long long)*number);
        for (size_t i = 0; r && i < hw_result_count(r); i++) {
            const float *v = hw_result_vector(r, i, NULL, NULL);
            ADD(&l, " %u=%u:%u", (unsigned)hw_result_ids(r)[i].as.u64, (unsigned)v[0],
                (unsigned)v[1]);
        }
    }
    hw_result_free(r);
    write_line(&l);
}

static size_t
pick_ids(hw_id ids[MOST])
{
    size_t count = 1 + below(MOST);
    uint32_t first = below(IDS - MOST);
    for (size_t i = 0; i < count; i++) ids[i] = HW_ID_U64(first + i);
    return count;
}

static void
work(hw_collection *c, uint32_t number, uint32_t call)
{
    float rows[MOST][2], query[2] = {(float)below(16 * 65536), (float)below(IDS)};
    hw_query q = HW_QUERY_INIT;
    hw_error err = {.message = ""};
    hw_result *r = NULL;
    hw_id ids[MOST];
    uint64_t count = 0;
    size_t n = pick_ids(ids);

    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        for (size_t i = 0; i < n; i++) {
            rows[i][0] = (float)(number * 65536 + call % 65536);
            rows[i][1] = (float)ids[i].as.u64;
        }
        begin(call, "upsert", ids, n);
        end(call, hw_collection_upsert(c, ids, &rows[0][0], n, NULL, &err), &err, NULL, NULL);
        return;
    case 3:
        begin(call, "delete", ids, n);
        end(call, hw_collection_delete(c, ids, n, NULL, &err), &err, NULL, NULL);
        return;
    case 4:
    case 5:
        begin(call, "get", ids, n);
        hw_status st = hw_collection_get(c, ids, n, HW_WITH_VECTOR, &r, &err);
        end(call, st, &err, r, NULL);
        return;
    case 6:
        begin(call, "count", ids, 0);
        st = hw_collection_count(c, NULL, 0, &count, &err);
        end(call, st, &err, NULL, &count);
        return;
    default:
        q.vector = query;
        q.dim = 2;
        q.k = 5;
        q.with = HW_WITH_VECTOR;
        begin(call, "search", ids, 0);
        st = hw_collection_search(c, &q, &r, &err);
        end(call, st, &err, r, NULL);
        return;
    }
}

int
main(int argc, char **argv)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_error err;
    hw_db *db;
    hw_collection *c;

    if (argc != 6) return 2;
    uint32_t number = (uint32_t)atoi(argv[2]), call = 0;
    dice = strtoull(argv[3], NULL, 10) * 7919 + number;
    out = open(argv[5], O_WRONLY | O_CREAT | O_APPEND, 0666);
    opts.threads = 1;
    opts.busy_timeout_ms = 30000;
    if (out < 0 || hw_db_open(argv[1], &opts, &db, &err) != HW_OK ||
        hw_collection_open(db, "things", &c, &err) != HW_OK) {
        fprintf(stderr, "fdb_worker: %s\n", out < 0 ? "cannot write the log" : err.message);
        return 1;
    }
    for (uint64_t until = now_us() + strtoull(argv[4], NULL, 10) * 1000000u; now_us() < until;)
        work(c, number, call++);
    hw_collection_close(c);
    hw_db_close(db);
    return 0;
}
