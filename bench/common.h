/* common.h - what the C benchmarks share: giving up, clocks, queries of a .npy file. */
#ifndef HASHWOOD_BENCH_COMMON_H
#define HASHWOOD_BENCH_COMMON_H

#include "hashwood/hashwood.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A benchmark whose database fails has nothing to say. */
static inline void
check(hw_status st, const hw_error *err)
{
    if (st == HW_OK) return;
    fprintf(stderr, "benchmark: %s\n", err->message);
    exit(1);
}

static inline double
clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Processor time of this process. */
static inline double
cpu_seconds(void)
{
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static inline double
wall_seconds(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

/* The float32 rows of a .npy file, to be freed; its header of one line is all that is understood. */
static inline float *
read_queries(const char *path, size_t *count, uint32_t *dim)
{
    unsigned char start[10];
    char text[4096] = "";
    FILE *in = fopen(path, "rb");

    if (!in || fread(start, 1, sizeof start, in) != sizeof start) goto bad;
    size_t header = start[8] + 256u * start[9];
    if (header >= sizeof text || fread(text, 1, header, in) != header) goto bad;
    const char *shape = strstr(text, "'shape': (");
    if (!shape || sscanf(shape, "'shape': (%zu, %u", count, dim) != 2) goto bad;
    float *rows = (float *)malloc(*count * *dim * sizeof *rows);
    if (!rows || fread(rows, sizeof *rows, *count * *dim, in) != *count * *dim) goto bad;
    fclose(in);
    return rows;
bad:
    fprintf(stderr, "benchmark: cannot read %s\n", path);
    exit(1);
}

#endif
