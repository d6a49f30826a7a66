/* disk_bench.c - where the bytes of a database lie, and which of them searches touch.
 *
 *     disk_bench DB DIM                       bytes by subspace
 *     disk_bench DB QUERY.npy RECALL [N]      the same, and what N searches of k = 10 bring to memory
 *
 * The pages of LMDB's file are read one by one (its format is simple and has not changed since 2012):
 * a value above half a page has pages to itself, all others share leaf pages with
 * their neighbours, so a shared page is split among the subspaces by the bytes they use of it. What
 * is touched is what the system's page cache holds afterwards, read-ahead turned off, when the file
 * was dropped from it before; so no other process may have the database open. DB is an
 * index.hashwood of bench/peers.cpp, or what `hashwood bench --db` leaves. */
#include "common.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
#define HEADER 16u
#define P_BRANCH 1u
#define P_LEAF 2u
#define N_BIG 1u
#define SPACES 24u
#define REFINE 20u /* parts of a leaf behind the first: a row of their own */
#define BRANCH 21u /* inner pages of LMDB's tree */
#define OTHER 22u  /* free pages and the two meta pages */
#define SUB_VEC 6u
#define SUB_ID 3u
#define SUB_IDS 19u
#define SUB_SLOT 5u
#define SUB_LEAF 9u
#define K 10u

static const char *const names[SPACES] = {[0] = "meta",
                                          [1] = "name",
                                          [2] = "conf",
                                          [3] = "ids",
                                          [4] = "records",
                                          [5] = "ids by slot",
                                          [6] = "vectors",
                                          [7] = "model",
                                          [8] = "tree",
                                          [9] = "signatures",
                                          [10] = "payload index",
                                          [11] = "calibration",
                                          [12] = "counts",
                                          [13] = "state",
                                          [14] = "log",
                                          [15] = "job",
                                          [16] = "leaf of slot",
                                          [17] = "has",
                                          [18] = "inverted",
                                          [19] = "integer ids",
                                          [REFINE] = "refine codes",
                                          [BRANCH] = "inner pages",
                                          [OTHER] = "free pages"};

typedef struct space {
    uint64_t entries, bytes; /* keys and values alone */
    double disk, touched;    /* with everything around them */
} space;

typedef struct reading {
    int file;
    uint64_t pages;
    const unsigned char *cached; /* one byte a page, or NULL */
    space spaces[SPACES];
    double accounted;
} reading;

static hw_error err;

static uint64_t
number(const uint8_t *at, unsigned bytes)
{
    uint64_t n = 0;

    memcpy(&n, at, bytes); /* little-endian, like the file */
    return n;
}

static unsigned
space_of(const uint8_t *key, size_t bytes)
{
    unsigned sub = bytes > 1 && key[0] == 0x15 ? key[1] : 0;

    if (sub == SUB_LEAF && key[bytes - 1] != 0x14) return REFINE; /* the last element is not 0 */
    return sub < REFINE ? sub : 0;
}

static double
count_cached(const reading *r, uint64_t first, uint64_t count)
{
    double n = 0;

    for (uint64_t i = first; r->cached && i < first + count && i < r->pages; i++)
        n += r->cached[i] & 1;
    return n;
}

static void
add(reading *r, unsigned s, double share, uint64_t first, uint64_t pages)
{
    r->spaces[s].disk += share * (double)pages * PAGE;
    r->spaces[s].touched += share * count_cached(r, first, pages) * PAGE;
    r->accounted += share * (double)pages;
}

static void
read_leaf(reading *r, uint64_t number_of_page, const uint8_t *page)
{
    unsigned count = ((unsigned)number(page + 12, 2) - HEADER) / 2;
    double used[SPACES] = {0}, all = 0;

    for (unsigned i = 0; i < count; i++) {
        const uint8_t *node = page + number(page + HEADER + 2 * i, 2);
        size_t value = (size_t)number(node, 4), key = (size_t)number(node + 6, 2);
        bool big = number(node + 4, 2) & N_BIG;
        unsigned s = space_of(node + 8, key);
        double here = 10.0 + (double)key + (double)(big ? 8 : value);
        used[s] += here, all += here;
        r->spaces[s].entries++, r->spaces[s].bytes += key + value;
        if (big) add(r, s, 1, number(node + 8 + key, 8), (value + HEADER + PAGE - 1) / PAGE);
    }
    for (unsigned s = 0; s < SPACES; s++)
        if (used[s] > 0) add(r, s, used[s] / all, number_of_page, 1);
}

static void
read_tree(reading *r, uint64_t number_of_page)
{
    uint8_t page[PAGE];

    if (pread(r->file, page, PAGE, (off_t)(number_of_page * PAGE)) != PAGE) exit(1);
    if (number(page + 10, 2) & P_LEAF) {
        read_leaf(r, number_of_page, page);
        return;
    }
    add(r, BRANCH, 1, number_of_page, 1);
    unsigned count = ((unsigned)number(page + 12, 2) - HEADER) / 2;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *node = page + number(page + HEADER + 2 * i, 2);
        read_tree(r, number(node, 4) | number(node + 4, 2) << 32);
    }
}

/* The root of the main database in the newer of the two meta pages; UINT64_MAX when it is empty. */
static uint64_t
find_root(const reading *r)
{
    uint8_t page[2 * PAGE];

    if (pread(r->file, page, sizeof page, 0) != sizeof page) exit(1);
    const uint8_t *a = page + HEADER, *b = a + PAGE; /* 24 bytes, two trees of 48, last page, txn */
    const uint8_t *meta = number(b + 128, 8) > number(a + 128, 8) ? b : a;
    return number(meta + 24 + 48 + 40, 8);
}

/* ---- searching ---- */

/* Memory of the process that is not the file's. */
static double
own_bytes(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[200];
    double kb = 0;

    while (status && fgets(line, sizeof line, status)) sscanf(line, "RssAnon: %lf kB", &kb);
    if (status) fclose(status);
    return kb * 1024;
}

/* Returns what searching made the process larger by. */
static double
search_all(const char *path, const float *query, size_t count, uint32_t dim, double recall)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_collection *c;
    hw_db *db;

    double before = own_bytes();
    opts.read_only = opts.no_read_ahead = true; /* what is in memory is what was touched */
    check(hw_db_open(path, &opts, &db, &err), &err);
    check(hw_collection_open(db, "bench", &c, &err), &err);
    for (size_t i = 0; i < count; i++) {
        hw_query q = HW_QUERY_INIT;
        hw_result *r;
        q.vector = query + i * dim, q.dim = dim, q.k = K, q.recall = recall;
        check(hw_collection_search(c, &q, &r, &err), &err);
        hw_result_free(r);
    }
    double grown = own_bytes() - before;
    hw_collection_close(c);
    hw_db_close(db);
    return grown;
}

/* Of all collections. */
static uint64_t
count_points(const char *path)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    uint64_t all = 0;
    size_t count;
    char **found;
    hw_db *db;

    opts.read_only = true;
    check(hw_db_open(path, &opts, &db, &err), &err);
    check(hw_collection_list(db, &found, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        hw_collection *c;
        uint64_t points;
        check(hw_collection_open(db, found[i], &c, &err), &err);
        check(hw_collection_count(c, NULL, 0, &points, &err), &err);
        all += points;
        hw_collection_close(c);
    }
    hw_free(found);
    hw_db_close(db);
    return all;
}

/* Which pages of the file are in memory. */
static unsigned char *
pages_in_memory(const reading *r)
{
    unsigned char *cached = calloc(r->pages, 1);
    void *map = mmap(NULL, r->pages * PAGE, PROT_READ, MAP_SHARED, r->file, 0);

    if (!cached || map == MAP_FAILED || mincore(map, r->pages * PAGE, cached) != 0) exit(1);
    munmap(map, r->pages * PAGE);
    return cached;
}

static void
report(const reading *r, double raw, double own)
{
    double disk = 0, touched = 0, hot = 0;

    printf("| what | entries | bytes of keys and values | on disk | x vectors%s\n",
           r->cached ? " | touched | of it | x vectors |" : " |");
    printf("| --- | --- | --- | --- | ---%s\n", r->cached ? " | --- | --- | --- |" : " |");
    for (unsigned s = 0; s < SPACES; s++) {
        const space *p = &r->spaces[s];
        if (p->disk == 0) continue;
        printf("| %s | %llu | %llu | %.0f | %.4f |", names[s], (unsigned long long)p->entries,
               (unsigned long long)p->bytes, p->disk, p->disk / raw);
        if (r->cached)
            printf(" %.0f | %.1f %% | %.4f |", p->touched, 100 * p->touched / p->disk,
                   p->touched / raw);
        printf("\n");
        disk += p->disk, touched += p->touched;
        if (s != SUB_VEC && s != SUB_ID && s != SUB_IDS && s != SUB_SLOT && s != OTHER)
            hot += p->touched;
    }
    printf("all %.0f bytes, %.4f x vectors\n", disk, disk / raw);
    if (!r->cached) return;
    printf("touched %.0f bytes, %.4f x vectors; without vectors and ids %.0f, %.4f x; the process "
           "itself "
           "%.0f, %.4f x\n",
           touched, touched / raw, hot, hot / raw, own, own / raw);
}

int
main(int argc, char **argv)
{
    reading r = {0};
    struct stat st;
    char file[4096];
    double own = 0;
    uint32_t dim = 0;

    if (argc != 3 && argc != 4 && argc != 5) {
        fprintf(stderr, "usage: disk_bench DB DIM, or disk_bench DB QUERY.npy RECALL [N]\n");
        return 2;
    }
    snprintf(file, sizeof file, "%s/data.mdb", argv[1]);
    r.file = open(file, O_RDONLY);
    if (r.file < 0 || fstat(r.file, &st) != 0) return 1;
    r.pages = (uint64_t)st.st_size / PAGE;
    double points = (double)count_points(argv[1]);
    if (argc > 3) {
        size_t count;
        float *query = read_queries(argv[2], &count, &dim);
        size_t wanted = argc > 4 ? strtoull(argv[4], NULL, 10) : count;
        fsync(r.file);
        posix_fadvise(r.file, 0, 0, POSIX_FADV_DONTNEED);
        own = search_all(argv[1], query, wanted < count ? wanted : count, dim, atof(argv[3]));
        r.cached = pages_in_memory(&r);
        free(query);
    } else {
        dim = (uint32_t)strtoul(argv[2], NULL, 10);
    }
    uint64_t root = find_root(&r);
    if (root != UINT64_MAX) read_tree(&r, root);
    double blocks = (double)st.st_blocks * 512 / PAGE;
    if (blocks > r.accounted) r.spaces[OTHER].disk = (blocks - r.accounted) * PAGE;
    report(&r, points * dim * sizeof(float), own);
    return 0;
}
