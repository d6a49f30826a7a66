#include "support/hwt_fdb.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static hwt_fdb fdb;
static pthread_t network;
static char scratch[HWT_PATH];

const char *
hwt_fdb_real(void)
{
    const char *path = getenv("HASHWOOD_TEST_FDB");
    return path && path[0] ? path : NULL;
}

static bool
is_real(void)
{
    return hwt_on_fdb() && !hwt_on_standin();
}

static void *
run_network(void *arg)
{
    (void)arg;
    if (fdb.fdb_run_network() != 0) abort();
    return NULL;
}

#define LOAD(result, name, arguments)                                                              \
    do {                                                                                           \
        void *found = dlsym(library, #name);                                                       \
        memcpy(&out->name, &found, sizeof found);                                                  \
    } while (0);

void
hwt_fdb_load(hwt_fdb *out, void *library)
{
    memset(out, 0, sizeof *out);
    FDB_CALLS(LOAD)
    FDB_STANDIN_CALLS(LOAD)
    out->is_real = !out->fdb_standin_plan;
}

static void
open_library(void)
{
    const char *named = getenv("HASHWOOD_FDB_LIBRARY");
    const char *path = !is_real() ? HWT_FDB_STANDIN : named && named[0] ? named : "libfdb_c.so";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!library) fail_msg("%s", dlerror());
    hwt_fdb_load(&fdb, library);
    assert_int_equal(fdb.is_real, is_real());
}

hwt_fdb *
hwt_fdb_start(void)
{
    char path[HWT_PATH + 16];

    open_library();
    hwt_scratch_new(scratch);
    snprintf(path, sizeof path, "%s/fdb.cluster", scratch);
    hwt_cluster_file(path, "standin");

    int version = fdb.fdb_get_max_api_version() >= 730 ? 730 : 710;
    assert_int_equal(fdb.fdb_select_api_version_impl(version, version), 0);
    assert_int_equal(fdb.fdb_setup_network(), 0);
    assert_int_equal(pthread_create(&network, NULL, run_network, NULL), 0);
    assert_int_equal(fdb.fdb_create_database(fdb.is_real ? hwt_fdb_real() : path, &fdb.database),
                     0);
    return &fdb;
}

void
hwt_fdb_stop(void)
{
    fdb.fdb_database_destroy(fdb.database);
    assert_int_equal(fdb.fdb_stop_network(), 0);
    pthread_join(network, NULL);
    hwt_scratch_remove(scratch);
}
