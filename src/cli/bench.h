/* bench.h - measuring searches: queries, the truth to compare with, passes over them. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "cli.h"

typedef struct bench_set {
    float *queries; /* count x dim */
    uint64_t count;
    uint32_t dim, k;
    hw_id *truth; /* count x k, nearest first; NULL: none yet */
} bench_set;

/* What was measured for one recall asked. Counters are means per query. */
typedef struct bench_row {
    double asked, recall, qps, p50_us, p99_us;
    double leaves, scanned, refined, exact;
} bench_row;

/* Reads queries; at most `limit` of them (0: all). */
hw_status cli_bench_read_queries(const char *path, uint64_t limit, bench_set *set, hw_error *err);
/* Reads neighbour lists of at least k each: ivecs, npy or hdf5. */
hw_status cli_bench_read_truth(const char *path, bench_set *set, hw_error *err);
/* Finds the truth by exact search through the library, in parallel. */
hw_status cli_bench_compute_truth(hw_collection *c, bench_set *set, hw_progress_fn progress,
                                  void *arg, hw_error *err);
void cli_bench_set_release(bench_set *set);

typedef struct bench_how {
    double recall;
    uint32_t threads, passes;
    double pass_seconds; /* a pass ends after so long, all queries asked or not; 0: never */
} bench_how;

/* One query a call from each thread, several passes; the fastest pass counts. */
hw_status cli_bench_search(hw_collection *c, const bench_set *set, const bench_how *how,
                           bench_row *out, hw_error *err);

/* Appends ":DATASET" to the name of an hdf5 file that names none. */
void cli_bench_dataset_path(const char *path, const char *dataset, char *out, size_t room);

#endif
