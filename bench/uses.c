/* uses.c - what a database does beside searching in a loop; one section a run, JSON on stdout.
 *
 *     uses open    DB QUERY.npy    opening until the first answer
 *     uses threads DB QUERY.npy    searches on two threads against one
 *     uses filter  DB QUERY.npy    filters that let 50, 10, 1 and 0.1 % through
 *     uses cold    DB QUERY.npy    a quarter of the file fits in memory (needs root and cgroups)
 *
 * DB is an index.hashwood of bench/peers.cpp; `filter` wants index.hashwood-filter, whose points
 * have a payload {"s": 0 .. 999}. Asked for are 10 neighbours at recall 0.95. Times are elapsed
 * where threads or disks matter, else processor time. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <hashwood/hashwood.h>

#define K 10u
#define RECALL 0.95

typedef struct job {
    const char *path;
    float *query; /* count x dim */
    size_t count;
    uint32_t dim;
    hw_db *db;
    hw_collection *c;
} job;

static hw_error err;

static void
need(hw_status st)
{
    if (st == HW_OK) return;
    fprintf(stderr, "uses: %s\n", err.message);
    exit(1);
}

static double
seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The queries of a .npy file; its header of one line is all that is understood. */
static void
read_queries(job *j, const char *path)
{
    unsigned char start[10];
    char text[4096] = "";
    FILE *in = fopen(path, "rb");

    if (!in || fread(start, 1, sizeof start, in) != sizeof start) exit(1);
    size_t header = start[8] + 256u * start[9];
    if (header >= sizeof text || fread(text, 1, header, in) != header) exit(1);
    const char *shape = strstr(text, "'shape': (");
    if (!shape || sscanf(shape, "'shape': (%zu, %u", &j->count, &j->dim) != 2) exit(1);
    j->query = malloc(j->count * j->dim * sizeof *j->query);
    if (!j->query || fread(j->query, sizeof *j->query, j->count * j->dim, in) != j->count * j->dim)
        exit(1);
    fclose(in);
}

static void
open_db(job *j)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;

    opts.read_only = true;
    need(hw_db_open(j->path, &opts, &j->db, &err));
    need(hw_collection_open(j->db, "bench", &j->c, &err));
}

static void
close_db(job *j)
{
    hw_collection_close(j->c);
    hw_db_close(j->db);
}

static hw_result *
search(const job *j, size_t i, const char *filter, bool exact)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r;

    q.vector = j->query + (i % j->count) * j->dim, q.dim = j->dim;
    q.k = K, q.recall = RECALL, q.exact = exact;
    if (filter) q.filter = filter, q.filter_bytes = strlen(filter);
    need(hw_collection_search(j->c, &q, &r, &err));
    return r;
}

/* ---- open ---- */

static void
measure_open(job *j)
{
    double best = 1e9, first = 0;

    for (int i = 0; i < 7; i++) {
        double start = seconds(CLOCK_MONOTONIC);
        open_db(j);
        hw_result_free(search(j, 0, NULL, false));
        double took = seconds(CLOCK_MONOTONIC) - start;
        if (i == 0) first = took;
        if (took < best) best = took;
        close_db(j);
    }
    printf("{\"open and first query, ms, first time\": %.1f, "
           "\"open and first query, ms, best of 7\": %.1f}\n",
           first * 1e3, best * 1e3);
}

/* ---- threads ---- */

typedef struct worker {
    pthread_t thread;
    job *j;
    size_t first, searches;
} worker;

static void *
work(void *arg)
{
    worker *w = arg;

    for (size_t i = 0; i < w->searches; i++)
        hw_result_free(search(w->j, w->first + i, NULL, false));
    return NULL;
}

static double
qps_of(job *j, size_t threads, size_t searches)
{
    worker w[8];
    double start = seconds(CLOCK_MONOTONIC);

    for (size_t t = 0; t < threads; t++) {
        w[t] = (worker){.j = j, .first = t * j->count / threads, .searches = searches};
        pthread_create(&w[t].thread, NULL, work, &w[t]);
    }
    for (size_t t = 0; t < threads; t++) pthread_join(w[t].thread, NULL);
    return (double)(threads * searches) / (seconds(CLOCK_MONOTONIC) - start);
}

static void
measure_threads(job *j)
{
    double one = 0, two = 0;

    open_db(j);
    qps_of(j, 1, j->count);
    for (int pass = 0; pass < 9; pass++) { /* in turns; the best of each */
        double a = qps_of(j, 1, 10000), b = qps_of(j, 2, 10000);
        if (a > one) one = a;
        if (b > two) two = b;
    }
    printf("{\"two threads / one, elapsed\": %.2f, \"one thread, QPS, elapsed\": %.0f}\n",
           two / one, one);
    close_db(j);
}

/* ---- filter ---- */

/* Microseconds of processor time a search. */
static double
cost(const job *j, const char *filter, bool exact, size_t searches)
{
    double best = 1e9;

    for (int pass = 0; pass < 3; pass++) {
        double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (size_t i = 0; i < searches; i++) hw_result_free(search(j, i, filter, exact));
        double took = (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e6 / (double)searches;
        if (took < best) best = took;
    }
    return best;
}

static double
recall_of(const job *j, const char *filter, size_t searches)
{
    size_t found = 0, all = 0;

    for (size_t i = 0; i < searches; i++) {
        hw_result *truth = search(j, i, filter, true), *r = search(j, i, filter, false);
        for (size_t t = 0; t < hw_result_count(truth); t++, all++)
            for (size_t h = 0; h < hw_result_count(r); h++)
                found += hw_id_compare(&hw_result_ids(truth)[t], &hw_result_ids(r)[h]) == 0;
        hw_result_free(truth), hw_result_free(r);
    }
    return (double)found / (double)all;
}

static void
measure_filter(job *j)
{
    static const unsigned below[] = {500, 100, 10, 1};

    open_db(j);
    printf("{\"no filter\": \"%.0f QPS\"", 1e6 / cost(j, NULL, false, 1000));
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        char filter[100];
        snprintf(filter, sizeof filter, "{\"must\": [{\"key\": \"s\", \"range\": {\"lt\": %u}}]}",
                 below[i]);
        double searched = cost(j, filter, false, 300), exact = cost(j, filter, true, 20);
        hw_result *r = search(j, 0, filter, false);
        printf(", \"filter lets %g %% through\": \"%.0f QPS at recall %.3f; exact %.0f QPS\"",
               below[i] / 10.0, 1e6 / searched, recall_of(j, filter, 100), 1e6 / exact);
        hw_result_free(r);
    }
    printf("}\n");
    close_db(j);
}

/* ---- cold ---- */

static bool
write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    bool ok = out && fputs(text, out) >= 0;

    return out && fclose(out) == 0 && ok;
}

/* Puts this process into a memory cgroup (version 1 or 2) of so many bytes. */
static bool
limit_memory(unsigned long long bytes)
{
    static const char *const roots[] = {"/sys/fs/cgroup/memory/hashwood-bench",
                                        "/sys/fs/cgroup/hashwood-bench"};
    static const char *const limits[] = {"memory.limit_in_bytes", "memory.max"};
    char path[200], text[40];

    for (int i = 0; i < 2; i++) {
        if (mkdir(roots[i], 0755) != 0 && errno != EEXIST) continue;
        snprintf(path, sizeof path, "%s/%s", roots[i], limits[i]);
        snprintf(text, sizeof text, "%llu", bytes);
        if (!write_text(path, text)) continue;
        snprintf(path, sizeof path, "%s/cgroup.procs", roots[i]);
        snprintf(text, sizeof text, "%d", (int)getpid());
        if (write_text(path, text)) return true;
    }
    return false;
}

static unsigned long long
bytes_read(void)
{
    unsigned long long n = 0;
    char line[100];
    FILE *in = fopen("/proc/self/io", "r");

    while (in && fgets(line, sizeof line, in)) sscanf(line, "read_bytes: %llu", &n);
    if (in) fclose(in);
    return n;
}

static void
measure_cold(job *j)
{
    char file[4096];
    struct stat st;
    struct rusage before, after;

    snprintf(file, sizeof file, "%s/data.mdb", j->path);
    int data = open(file, O_RDONLY);
    if (data < 0 || fstat(data, &st) != 0) exit(1);
    unsigned long long size = (unsigned long long)st.st_blocks * 512;
    posix_fadvise(data, 0, 0, POSIX_FADV_DONTNEED);
    if (!limit_memory(size / 4)) {
        fprintf(stderr, "uses: no memory cgroup to be had here\n");
        exit(1);
    }
    open_db(j);
    for (size_t i = 0; i < j->count / 2; i++) hw_result_free(search(j, i, NULL, false));
    getrusage(RUSAGE_SELF, &before);
    unsigned long long read = bytes_read();
    double start = seconds(CLOCK_MONOTONIC);
    for (size_t i = j->count / 2; i < j->count; i++) hw_result_free(search(j, i, NULL, false));
    double took = seconds(CLOCK_MONOTONIC) - start, n = (double)(j->count - j->count / 2);
    getrusage(RUSAGE_SELF, &after);
    printf(
        "{\"file of %.0f MB, memory for %.0f MB\": \"%.0f QPS, %.1f page faults and %.0f kB read "
        "a query\"}\n",
        (double)size / 1e6, (double)size / 4e6, n / took,
        (double)(after.ru_majflt - before.ru_majflt) / n, (double)(bytes_read() - read) / n / 1e3);
    close_db(j);
    close(data);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*measure)(job *);
    } sections[] = {{"open", measure_open},
                    {"threads", measure_threads},
                    {"filter", measure_filter},
                    {"cold", measure_cold}};
    job j = {.path = argc == 4 ? argv[2] : NULL};

    for (size_t i = 0; j.path && i < sizeof sections / sizeof *sections; i++) {
        if (strcmp(argv[1], sections[i].name) != 0) continue;
        read_queries(&j, argv[3]);
        sections[i].measure(&j);
        free(j.query);
        return 0;
    }
    fprintf(stderr, "usage: uses open|threads|filter|cold DB QUERY.npy\n");
    return 2;
}
