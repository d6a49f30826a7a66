/* process.c - what the kernel and the allocator say of this process. */
#include "metrics_impl.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>

/* The number after `key` in a file of lines "Key:  123 kB". */
static uint64_t
number_in(const char *path, const char *key)
{
    char line[256];
    unsigned long long n = 0;
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) sscanf(line + strlen(key), " %llu", &n);
    if (f) fclose(f);
    return n;
}

static uint64_t
lines_of(const char *path)
{
    char part[4096];
    uint64_t lines = 0;
    size_t n;
    FILE *f = fopen(path, "re");

    while (f && (n = fread(part, 1, sizeof part, f)) > 0)
        for (size_t i = 0; i < n; i++) lines += part[i] == '\n';
    if (f) fclose(f);
    return lines;
}

static uint64_t
entries_of(const char *path)
{
    uint64_t n = 0;
    DIR *d = opendir(path);

    if (d == NULL) return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

void
hwi_process_read(hwi_process *out)
{
    static const char status[] = "/proc/self/status";
    struct mallinfo2 heap = mallinfo2();
    struct rusage used = {0};
    struct rlimit files = {0};

    getrusage(RUSAGE_SELF, &used);
    getrlimit(RLIMIT_NOFILE, &files);
    *out = (hwi_process){
        .threads = number_in(status, "Threads:"),
        .open_files = entries_of("/proc/self/fd"),
        .max_files = files.rlim_cur,
        .mappings = lines_of("/proc/self/maps"),
        .max_mappings = number_in("/proc/sys/vm/max_map_count", ""),
        .resident_bytes = number_in(status, "VmRSS:") * 1024,
        .peak_bytes = number_in(status, "VmHWM:") * 1024,
        .virtual_bytes = number_in(status, "VmSize:") * 1024,
        .allocated_bytes = heap.uordblks + heap.hblkhd,
        .active_bytes = heap.arena + heap.hblkhd,
        .metadata_bytes = number_in(status, "VmPTE:") * 1024,
        .retained_bytes = heap.fordblks,
        .minor_faults = (uint64_t)used.ru_minflt,
        .major_faults = (uint64_t)used.ru_majflt,
        .cpu_seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
    };
}
