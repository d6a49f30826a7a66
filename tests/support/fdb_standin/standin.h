/* standin.h - what a test can tell the stand-in, and learn from it, beside FoundationDB's calls. */
#ifndef FDB_STANDIN_H
#define FDB_STANDIN_H

#include <stdint.h>

typedef struct fdb_standin_counts {
    uint64_t read_versions, gets, ranges, commits; /* asked for */
    uint64_t committed, conflicts, injected;       /* injected: faults of the plan */
    uint64_t bytes_read, bytes_written;
    uint64_t futures, transactions, databases; /* that have not been destroyed */
} fdb_standin_counts;

/* X(result, name, (arguments))
 *
 * fdb_standin_plan     which faults come from now on, drawn by the seed. "" for none; else
 *                      comma-separated name=value, see plan.c. False when the text is not understood.
 * fdb_standin_advance  moves the clock of every cluster, which stands still otherwise but for a
 *                      little at each commit and read version.
 * fdb_standin_count    the counters since the program began. */
#define FDB_STANDIN_CALLS(X)                                                                       \
    X(int, fdb_standin_plan, (uint64_t seed, const char *text))                                    \
    X(void, fdb_standin_advance, (int64_t ms))                                                     \
    X(void, fdb_standin_count, (fdb_standin_counts * out))

#endif
