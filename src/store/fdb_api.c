/* fdb_api.c - FoundationDB's client library: opening it, its version, its network thread.
 *
 * A process selects an API version once, starts the network once, and stops it once, at exit: a
 * library that is torn down under a running network thread crashes, so we stop and join first. What
 * is torn down at exit goes in the reverse order of its making, and the library makes things while
 * it works; so our turn is asked for again after it has (hwi_fdb_api_met), which puts it first. The
 * library is never closed.
 */
#include "store/fdb_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define API_NEWEST 730
#define API_OLDEST 710
#define MEETINGS_MAX 32u /* the library has made what it makes long before */

static hwi_fdb_api api;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static enum { NOT_TRIED, RUNS, FAILED } state;
static hw_error failure;
static pthread_t network;
static atomic_bool has_forked;

typedef struct symbol {
    const char *name;
    size_t at; /* of the function pointer in api */
} symbol;

#define SYMBOL(field)                                                                              \
    {                                                                                              \
        "fdb_" #field, offsetof(hwi_fdb_api, field)                                                \
    }

static const symbol symbols[] = {
    SYMBOL(select_api_version_impl),
    SYMBOL(get_max_api_version),
    SYMBOL(get_error),
    SYMBOL(error_predicate),
    SYMBOL(setup_network),
    SYMBOL(run_network),
    SYMBOL(stop_network),
    SYMBOL(create_database),
    SYMBOL(database_destroy),
    SYMBOL(database_set_option),
    SYMBOL(database_create_transaction),
    SYMBOL(transaction_destroy),
    SYMBOL(transaction_get),
    SYMBOL(transaction_get_range),
    SYMBOL(transaction_set),
    SYMBOL(transaction_clear),
    SYMBOL(transaction_clear_range),
    SYMBOL(transaction_atomic_op),
    SYMBOL(transaction_add_conflict_range),
    SYMBOL(transaction_commit),
    SYMBOL(transaction_get_committed_version),
    SYMBOL(transaction_on_error),
    SYMBOL(transaction_get_estimated_range_size_bytes),
    SYMBOL(future_block_until_ready),
    SYMBOL(future_is_ready),
    SYMBOL(future_get_error),
    SYMBOL(future_get_int64),
    SYMBOL(future_get_value),
    SYMBOL(future_get_keyvalue_array),
    SYMBOL(future_destroy),
};

static hw_status
load_symbols(void *library, const char *name, hw_error *err)
{
    for (size_t i = 0; i < HWI_COUNT(symbols); i++) {
        void *function = dlsym(library, symbols[i].name);
        if (!function)
            return hwi_fail(err, HW_EUNSUPPORTED,
                            "%s has no function %s; FoundationDB's client 7.1 or newer is needed",
                            name, symbols[i].name);
        memcpy((char *)&api + symbols[i].at, &function, sizeof function);
    }
    return HW_OK;
}

static hw_status
open_library(hw_error *err)
{
    const char *name = getenv("HASHWOOD_FDB_LIBRARY");

    if (!name || !name[0]) name = "libfdb_c.so";
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        return hwi_fail(err, HW_EUNSUPPORTED,
                        "cannot open FoundationDB's client library (%s); install the package "
                        "foundationdb-clients, or name libfdb_c.so in HASHWOOD_FDB_LIBRARY",
                        why ? why : name);
    }
    return load_symbols(library, name, err);
}

static hw_status
failed(hw_error *err, int code, const char *what)
{
    return hwi_fail(err, HW_EUNSUPPORTED, "FoundationDB's client library cannot %s: %s (%d)", what,
                    api.get_error(code), code);
}

static void *
run_network(void *arg)
{
    sigset_t all;

    (void)arg;
    sigfillset(&all); /* signals are for the application's threads */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    api.run_network();
    return NULL;
}

static void
stop_network(void)
{
    static atomic_flag is_stopped = ATOMIC_FLAG_INIT;

    if (atomic_load(&has_forked) || atomic_flag_test_and_set(&is_stopped)) return;
    if (api.stop_network() == 0) pthread_join(network, NULL);
}

static void
note_fork(void)
{
    atomic_store(&has_forked, true);
}

static hw_status
start(hw_error *err)
{
    HWI_TRY(open_library(err));
    int newest = api.get_max_api_version();
    if (newest < API_OLDEST)
        return hwi_fail(
            err, HW_EUNSUPPORTED,
            "FoundationDB's client library speaks API version %d; %d or newer is needed", newest,
            API_OLDEST);
    int version = newest >= API_NEWEST ? API_NEWEST : API_OLDEST;
    int code = api.select_api_version_impl(version, version);
    if (code != 0) return failed(err, code, "select its version");
    code = api.setup_network();
    if (code != 0) return failed(err, code, "set up its network");
    int rc = pthread_create(&network, NULL, run_network, NULL);
    if (rc != 0) return hwi_fail_errno(err, rc, "cannot start FoundationDB's network thread");
    pthread_atfork(NULL, NULL, note_fork);
    atexit(stop_network);
    return HW_OK;
}

hw_status
hwi_fdb_api_take(const hwi_fdb_api **out, hw_error *err)
{
    *out = NULL;
    pthread_mutex_lock(&lock);
    if (state == NOT_TRIED) state = start(&failure) == HW_OK ? RUNS : FAILED;
    bool runs = state == RUNS;
    pthread_mutex_unlock(&lock);
    if (!runs) return hwi_fail(err, failure.status, "%s", failure.message);
    *out = &api;
    return hwi_fdb_api_usable(err);
}

void
hwi_fdb_api_met(void)
{
    static atomic_uint times;
    if (atomic_fetch_add(&times, 1) < MEETINGS_MAX) atexit(stop_network);
}

hw_status
hwi_fdb_api_usable(hw_error *err)
{
    if (!atomic_load_explicit(&has_forked, memory_order_relaxed)) return HW_OK;
    return hwi_fail(err, HW_EUNSUPPORTED,
                    "this process was forked from one that uses FoundationDB, and cannot; "
                    "open the database after forking");
}
