/* hwt_place.c - where a test keeps its database.
 *
 * What a test leaves in a cluster is removed through FoundationDB's own calls, since the store has
 * more there than its keys. The library is the one that the backend has opened; its network runs
 * until the program ends.
 */
#include "support/hwt_place.h"

#include <dlfcn.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/hwt_fdb.h"

void
hwt_scratch_new(char path[HWT_PATH])
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(path, HWT_PATH, "%s/hashwood-test-XXXXXX", base && base[0] ? base : "/tmp");
    assert_true(n > 0 && n < HWT_PATH);
    assert_non_null(mkdtemp(path));
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void
hwt_scratch_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- which store */

static bool
store_is(const char *name)
{
    const char *store = getenv("HASHWOOD_TEST_STORE");
    return store && strcmp(store, name) == 0;
}

bool
hwt_on_standin(void)
{
    return store_is("standin");
}

bool
hwt_on_fdb(void)
{
    return store_is("standin") || store_is("fdb");
}

void
hwt_use_standin(void)
{
    setenv("HASHWOOD_TEST_STORE", "standin", 1);
    setenv("HASHWOOD_FDB_LIBRARY", HWT_FDB_STANDIN, 1);
}

void
hwt_needs_folders(void)
{
    if (!hwt_on_fdb()) return;
    print_message("         a test of folders\n");
    skip();
}

/* Before main, so that no test needs to know. */
__attribute__((constructor)) static void
choose_store(void)
{
    if (hwt_on_standin()) {
        setenv("HASHWOOD_FDB_LIBRARY", HWT_FDB_STANDIN, 1);
    } else if (hwt_on_fdb() && !hwt_fdb_real()) {
        puts("skipped: HASHWOOD_TEST_FDB names no cluster");
        exit(77);
    }
}

/* ---- places */

static char cluster_scratch[HWT_PATH]; /* of the stand-in's cluster in memory */
static pid_t cluster_owner;

void
hwt_cluster_file(const char *path, const char *kind)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s:x@127.0.0.1:1\n", kind);
    assert_int_equal(fclose(f), 0);
}

static void
remove_cluster(void)
{
    if (getpid() == cluster_owner) hwt_scratch_remove(cluster_scratch);
}

static const char *
cluster_file(void)
{
    static char path[HWT_PATH + 16];

    if (!hwt_on_standin()) return hwt_fdb_real();
    if (!cluster_scratch[0]) {
        hwt_scratch_new(cluster_scratch);
        snprintf(path, sizeof path, "%s/fdb.cluster", cluster_scratch);
        hwt_cluster_file(path, "standin");
        cluster_owner = getpid();
        atexit(remove_cluster);
    }
    return path;
}

static void
new_place(hwt_place *p, bool is_shared)
{
    static unsigned number;

    hwt_scratch_new(p->scratch);
    if (!hwt_on_fdb()) {
        snprintf(p->name, sizeof p->name, "%s/db", p->scratch);
    } else if (is_shared && hwt_on_standin()) {
        char path[HWT_PATH + 16];
        snprintf(path, sizeof path, "%s/fdb.cluster", p->scratch);
        hwt_cluster_file(path, "standin_log");
        snprintf(p->name, sizeof p->name, "fdb:%s", path);
    } else {
        snprintf(p->name, sizeof p->name, "fdb:%s?prefix=test-%d-%u", cluster_file(), (int)getpid(),
                 number++);
    }
}

void
hwt_place_new(hwt_place *p)
{
    new_place(p, false);
}

void
hwt_place_new_shared(hwt_place *p)
{
    new_place(p, true);
}

/* ---- removing what lies in a cluster */

static void *
library(void)
{
    const char *named = getenv("HASHWOOD_FDB_LIBRARY");
    return dlopen(named && named[0] ? named : "libfdb_c.so", RTLD_NOW | RTLD_NOLOAD);
}

static int
finish(const hwt_fdb *fdb, FDBFuture *f)
{
    int error = fdb->fdb_future_block_until_ready(f);
    if (!error) error = fdb->fdb_future_get_error(f);
    fdb->fdb_future_destroy(f);
    return error;
}

static void
clear_prefix(const hwt_fdb *fdb, const char *cluster, const char *prefix)
{
    FDBDatabase *d;
    FDBTransaction *t;
    hwi_key from;
    int error;

    hwi_key_init(&from);
    hwi_key_text(&from, "hashwood", 8);
    hwi_key_text(&from, prefix, strlen(prefix));
    hwi_key to = hwi_key_range_end(&from);
    assert_int_equal(fdb->fdb_create_database(cluster, &d), 0);
    assert_int_equal(fdb->fdb_database_create_transaction(d, &t), 0);
    do {
        fdb->fdb_transaction_clear_range(t, from.data, (int)from.size, to.data, (int)to.size);
        error = finish(fdb, fdb->fdb_transaction_commit(t));
        if (error) error = finish(fdb, fdb->fdb_transaction_on_error(t, error)) ? -1 : 1;
    } while (error > 0);
    assert_int_equal(error, 0);
    fdb->fdb_transaction_destroy(t);
    fdb->fdb_database_destroy(d);
}

static void
erase(const char *name)
{
    char cluster[HWT_PATH + 64];
    hwt_fdb fdb;
    void *opened = library();

    if (!opened) return; /* no database was opened */
    hwt_fdb_load(&fdb, opened);
    snprintf(cluster, sizeof cluster, "%s", name + strlen("fdb:"));
    char *prefix = strstr(cluster, "?prefix=");
    if (prefix) *prefix = 0;
    clear_prefix(&fdb, cluster, prefix ? prefix + strlen("?prefix=") : "");
    dlclose(opened);
}

void
hwt_place_remove(hwt_place *p)
{
    hwt_faults(1, "");
    if (hwt_on_fdb() && strstr(p->name, "?prefix=")) erase(p->name);
    hwt_scratch_remove(p->scratch);
}

void
hwt_faults(uint64_t seed, const char *text)
{
    hwt_fdb fdb;
    void *opened = hwt_on_standin() ? library() : NULL;

    if (!opened) return;
    hwt_fdb_load(&fdb, opened);
    assert_true(fdb.fdb_standin_plan(seed, text));
    dlclose(opened);
}

uint64_t
hwt_faults_met(void)
{
    fdb_standin_counts counts = {0};
    hwt_fdb fdb;
    void *opened = hwt_on_standin() ? library() : NULL;

    if (!opened) return 0;
    hwt_fdb_load(&fdb, opened);
    fdb.fdb_standin_count(&counts);
    dlclose(opened);
    return counts.injected;
}
