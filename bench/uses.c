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
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define K 10u
#define RECALL 0.95
#define COLD_SECONDS 20.0 /* for the queries that count; half of it for those before */

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
open_db(job *j, bool read_ahead)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;

    opts.read_only = true, opts.no_read_ahead = !read_ahead;
    check(hw_db_open(j->path, &opts, &j->db, &err), &err);
    check(hw_collection_open(j->db, "bench", &j->c, &err), &err);
}

static void
close_db(job *j)
{
    hw_collection_close(j->c);
    hw_db_close(j->db);
}

/* Leaves nothing of the file in memory; returns its bytes on disk. */
static unsigned long long
drop_from_memory(const job *j)
{
    char file[4096];
    struct stat st;

    snprintf(file, sizeof file, "%s/data.mdb", j->path);
    int data = open(file, O_RDONLY);
    if (data < 0 || fstat(data, &st) != 0) exit(1);
    fsync(data);
    posix_fadvise(data, 0, 0, POSIX_FADV_DONTNEED);
    close(data);
    return (unsigned long long)st.st_blocks * 512;
}

static hw_result *
search(const job *j, size_t i, const char *filter, bool exact)
{
    hw_query q = HW_QUERY_INIT;
    hw_result *r;

    q.vector = j->query + (i % j->count) * j->dim, q.dim = j->dim;
    q.k = K, q.recall = RECALL, q.exact = exact;
    if (filter) q.filter = filter, q.filter_bytes = strlen(filter);
    check(hw_collection_search(j->c, &q, &r, &err), &err);
    return r;
}

/* ---- open ---- */

static void
measure_open(job *j)
{
    double best = 1e9, cold = 0;

    for (int i = 0; i < 8; i++) {
        if (i == 0) drop_from_memory(j);
        double start = wall_seconds();
        open_db(j, true);
        hw_result_free(search(j, 0, NULL, false));
        double took = wall_seconds() - start;
        if (i == 0)
            cold = took;
        else if (took < best)
            best = took;
        close_db(j);
    }
    printf("{\"open and first query, ms, file not in memory\": %.1f, "
           "\"open and first query, ms, best of 7\": %.1f}\n",
           cold * 1e3, best * 1e3);
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

typedef struct speed {
    double qps;           /* elapsed */
    double cpu_us, waits; /* of a search */
} speed;

/* A thread that waits for a lock gives up its processor by its own will, and is counted. */
static speed
speed_of(job *j, size_t threads, size_t searches)
{
    worker w[8];
    struct rusage before, after;
    double all = (double)(threads * searches);

    getrusage(RUSAGE_SELF, &before);
    double start = wall_seconds(), cpu = cpu_seconds();

    for (size_t t = 0; t < threads; t++) {
        w[t] = (worker){.j = j, .first = t * j->count / threads, .searches = searches};
        pthread_create(&w[t].thread, NULL, work, &w[t]);
    }
    for (size_t t = 0; t < threads; t++) pthread_join(w[t].thread, NULL);
    double took = wall_seconds() - start;
    getrusage(RUSAGE_SELF, &after);
    return (speed){all / took, (cpu_seconds() - cpu) * 1e6 / all,
                   (double)(after.ru_nvcsw - before.ru_nvcsw) / all};
}

static void
keep_best(speed *best, speed s)
{
    if (s.qps > best->qps) best->qps = s.qps;
    if (s.cpu_us < best->cpu_us) best->cpu_us = s.cpu_us;
    if (s.waits < best->waits) best->waits = s.waits;
}

/* Two processes, each with the database open for itself, share nothing but the machine: what they
 * reach together is what two threads could. They search whenever the parent comes to the line, and
 * come there again when done. */
static pthread_barrier_t *
start_two_processes(const job *j, int passes, size_t searches)
{
    pthread_barrier_t *line =
        mmap(NULL, sizeof *line, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t shared;

    if (line == MAP_FAILED) exit(1);
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(line, &shared, 3);
    for (size_t t = 0; t < 2; t++) {
        if (fork() != 0) continue;
        job own = *j;
        open_db(&own, true);
        for (int pass = 0; pass < passes; pass++) {
            pthread_barrier_wait(line);
            work(&(worker){.j = &own, .first = t * j->count / 2, .searches = searches});
            pthread_barrier_wait(line);
        }
        _exit(0);
    }
    return line;
}

static double
qps_of_two_processes(pthread_barrier_t *line, size_t searches)
{
    pthread_barrier_wait(line);
    double start = wall_seconds();
    pthread_barrier_wait(line);
    return 2.0 * (double)searches / (wall_seconds() - start);
}

static void
measure_threads(job *j)
{
    enum { PASSES = 15 };
    speed one = {0, 1e9, 1e9}, two = one;
    double apart = 0;
    size_t searches = 2 * j->count;
    pthread_barrier_t *line = start_two_processes(j, PASSES, searches);

    open_db(j, true);
    for (int pass = 0; pass < PASSES; pass++) { /* in turns; the best of each */
        keep_best(&one, speed_of(j, 1, searches));
        keep_best(&two, speed_of(j, 2, searches));
        double qps = qps_of_two_processes(line, searches);
        if (qps > apart) apart = qps;
    }
    while (wait(NULL) > 0) continue;
    printf("{\"one thread, QPS, elapsed\": %.0f, \"two threads / one, elapsed\": %.2f, "
           "\"two threads / one, processor time a search\": %.2f, "
           "\"two processes / one thread, elapsed\": %.2f, "
           "\"two threads, waits for another in 1,000 searches\": %.1f}\n",
           one.qps, two.qps / one.qps, two.cpu_us / one.cpu_us, apart / one.qps, two.waits * 1e3);
    close_db(j);
}

/* ---- filter ---- */

/* Searches a second of processor time. */
static double
rate(const job *j, const char *filter, bool exact, size_t searches)
{
    double best = 1e9;

    for (int pass = 0; pass < 3; pass++) {
        double start = cpu_seconds();
        for (size_t i = 0; i < searches; i++) hw_result_free(search(j, i, filter, exact));
        double took = cpu_seconds() - start;
        if (took < best) best = took;
    }
    return (double)searches / best;
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

    open_db(j, true);
    double plain = rate(j, NULL, false, 1000);
    printf("{\"no filter\": \"%.0f QPS\"", plain);
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        char filter[100];
        snprintf(filter, sizeof filter, "{\"must\": [{\"key\": \"s\", \"range\": {\"lt\": %u}}]}",
                 below[i]);
        double searched = rate(j, filter, false, 300), exact = rate(j, filter, true, 20);
        printf(", \"filter lets %g %% through\": \"%.0f QPS at recall %.3f; exact %.0f QPS; %.2f "
               "of the better of exact and unfiltered\"",
               below[i] / 10.0, searched, recall_of(j, filter, 100), exact,
               searched / (plain > exact ? plain : exact));
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

/* Puts this process into a new memory cgroup (version 1 or 2) of so many bytes; `group` is then its
 * folder. */
static bool
limit_memory(unsigned long long bytes, char group[static 200])
{
    static const char *const roots[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
    static const char *const limits[] = {"memory.limit_in_bytes", "memory.max"};
    char path[300], text[40];

    for (int i = 0; i < 2; i++) {
        snprintf(group, 200, "%s/hashwood-bench-%d", roots[i], (int)getpid());
        if (mkdir(group, 0755) != 0) continue;
        snprintf(path, sizeof path, "%s/%s", group, limits[i]);
        snprintf(text, sizeof text, "%llu", bytes);
        bool limited = write_text(path, text);
        snprintf(path, sizeof path, "%s/cgroup.procs", group);
        snprintf(text, sizeof text, "%d", (int)getpid());
        if (limited && write_text(path, text)) return true;
        rmdir(group);
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

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Searches from query `first` on, until `last` or the time is over; milliseconds of each into `ms`. */
static size_t
search_some(const job *j, size_t first, size_t last, double limit, double *ms)
{
    double start = wall_seconds(), from = start;
    size_t n = 0;

    for (size_t i = first; i < last && from - start < limit; i++) {
        hw_result_free(search(j, i, NULL, false));
        double now = wall_seconds();
        ms[n++] = (now - from) * 1e3;
        from = now;
    }
    return n;
}

static void
search_cold(job *j, bool read_ahead)
{
    double *ms = malloc(j->count * sizeof *ms), all = 0;
    struct rusage before, after;

    if (!ms) exit(1);
    open_db(j, read_ahead);
    search_some(j, 0, j->count / 2, COLD_SECONDS / 2, ms);
    getrusage(RUSAGE_SELF, &before);
    unsigned long long read = bytes_read();
    size_t n = search_some(j, j->count / 2, j->count, COLD_SECONDS, ms);
    getrusage(RUSAGE_SELF, &after);
    for (size_t i = 0; i < n; i++) all += ms[i];
    qsort(ms, n, sizeof *ms, by_value);
    printf("\"%.0f QPS; %.1f page faults, %.0f kB read a query; ms a query: median %.1f, 95 %% "
           "below %.1f, 99 %% below %.1f (%zu queries)\"",
           (double)n / all * 1e3, (double)(after.ru_majflt - before.ru_majflt) / (double)n,
           (double)(bytes_read() - read) / (double)n / 1e3, ms[n / 2], ms[n * 95 / 100],
           ms[n * 99 / 100], n);
    close_db(j);
    free(ms);
}

/* In a process of its own, which leaves no limit behind. */
static void
measure_cold(job *j)
{
    const char *const modes[] = {"without read-ahead", "with read-ahead"};

    for (int i = 0; i < 2; i++) {
        unsigned long long size = drop_from_memory(j);
        int status;
        char group[200];
        printf("%s\"file of %.0f MB, memory for %.0f MB, %s\": ", i ? ", " : "{",
               (double)size / 1e6, (double)size / 4e6, modes[i]);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            if (!limit_memory(size / 4, group)) {
                fprintf(stderr, "no memory cgroup to be had here\n");
                exit(1);
            }
            search_cold(j, i == 1);
            exit(0);
        }
        if (waitpid(child, &status, 0) != child || status != 0) exit(1);
        snprintf(group, sizeof group, "/sys/fs/cgroup/memory/hashwood-bench-%d", (int)child);
        if (rmdir(group) != 0) {
            snprintf(group, sizeof group, "/sys/fs/cgroup/hashwood-bench-%d", (int)child);
            rmdir(group);
        }
    }
    printf("}\n");
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
        j.query = read_queries(argv[3], &j.count, &j.dim);
        sections[i].measure(&j);
        free(j.query);
        return 0;
    }
    fprintf(stderr, "usage: uses open|threads|filter|cold DB QUERY.npy\n");
    return 2;
}
