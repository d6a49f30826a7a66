/* fdb_api.h - FoundationDB's client library, opened when the first `fdb:` database is.
 *
 * hashwood is built and runs without FoundationDB. The library is found by dlopen: the file that
 * HASHWOOD_FDB_LIBRARY names, else libfdb_c.so where the system looks. Declared here are the few
 * functions used; their meaning is FoundationDB's public C API. Its network thread is started once
 * in a process and ended when the process exits.
 */
#ifndef HWI_FDB_API_H
#define HWI_FDB_API_H

#include "base/base.h"

typedef struct FDBDatabase FDBDatabase;
typedef struct FDBTransaction FDBTransaction;
typedef struct FDBFuture FDBFuture;

/* Packed as FoundationDB declares it. */
#pragma pack(push, 4)
typedef struct hwi_fdb_keyvalue {
    const uint8_t *key;
    int key_bytes;
    const uint8_t *value;
    int value_bytes;
} hwi_fdb_keyvalue;
#pragma pack(pop)
_Static_assert(sizeof(void *) != 8 || sizeof(hwi_fdb_keyvalue) == 24, "FDBKeyValue is packed to 4");

enum { /* options, modes, mutations and predicates, by FoundationDB's numbers */
       HWI_FDB_OPTION_TIMEOUT_MS = 500,
       HWI_FDB_MODE_SMALL_CHUNK = 3, /* 4 kB */
       HWI_FDB_MODE_LARGE_CHUNK = 4, /* 80 kB */
       HWI_FDB_MUTATION_ADD = 2,
       HWI_FDB_MUTATION_MAX = 12, /* of little-endian numbers */
       HWI_FDB_MUTATION_STAMPED_KEY = 14,
       HWI_FDB_MUTATION_STAMPED_VALUE = 15,
       HWI_FDB_CONFLICT_READ = 0,
       HWI_FDB_IS_RETRYABLE = 50000,
       HWI_FDB_IS_NOT_COMMITTED = 50002
};

enum { /* errors that are treated each in their own way */
       HWI_FDB_TOO_OLD = 1007,
       HWI_FDB_FUTURE = 1009, /* a storage server is behind: it may answer in a moment */
       HWI_FDB_BEHIND = 1037, /* the same */
       HWI_FDB_CONFLICT = 1020,
       HWI_FDB_COMMIT_UNKNOWN = 1021,
       HWI_FDB_CANCELLED = 1025,
       HWI_FDB_TIMED_OUT = 1031,
       HWI_FDB_TOO_LARGE = 2101
};

/* What the library offers; each field is the function fdb_<field>. */
typedef struct hwi_fdb_api {
    int (*select_api_version_impl)(int runtime, int header);
    int (*get_max_api_version)(void);
    const char *(*get_error)(int code);
    int (*error_predicate)(int which, int code);
    int (*setup_network)(void);
    int (*run_network)(void);
    int (*stop_network)(void);
    int (*create_database)(const char *cluster_file, FDBDatabase **out);
    void (*database_destroy)(FDBDatabase *db);
    int (*database_set_option)(FDBDatabase *db, int option, const uint8_t *value, int bytes);
    int (*database_create_transaction)(FDBDatabase *db, FDBTransaction **out);
    void (*transaction_destroy)(FDBTransaction *tr);
    FDBFuture *(*transaction_get)(FDBTransaction *tr, const uint8_t *key, int bytes, int snapshot);
    FDBFuture *(*transaction_get_range)(FDBTransaction *tr, const uint8_t *begin, int begin_bytes,
                                        int begin_or_equal, int begin_offset, const uint8_t *end,
                                        int end_bytes, int end_or_equal, int end_offset, int limit,
                                        int target_bytes, int mode, int iteration, int snapshot,
                                        int reverse);
    void (*transaction_set)(FDBTransaction *tr, const uint8_t *key, int key_bytes,
                            const uint8_t *value, int value_bytes);
    void (*transaction_clear)(FDBTransaction *tr, const uint8_t *key, int bytes);
    void (*transaction_clear_range)(FDBTransaction *tr, const uint8_t *begin, int begin_bytes,
                                    const uint8_t *end, int end_bytes);
    void (*transaction_atomic_op)(FDBTransaction *tr, const uint8_t *key, int key_bytes,
                                  const uint8_t *param, int param_bytes, int mutation);
    int (*transaction_add_conflict_range)(FDBTransaction *tr, const uint8_t *begin, int begin_bytes,
                                          const uint8_t *end, int end_bytes, int kind);
    FDBFuture *(*transaction_commit)(FDBTransaction *tr);
    int (*transaction_get_committed_version)(FDBTransaction *tr, int64_t *version);
    FDBFuture *(*transaction_on_error)(FDBTransaction *tr, int code);
    FDBFuture *(*transaction_get_estimated_range_size_bytes)(FDBTransaction *tr,
                                                             const uint8_t *begin, int begin_bytes,
                                                             const uint8_t *end, int end_bytes);
    int (*future_block_until_ready)(FDBFuture *f);
    int (*future_is_ready)(FDBFuture *f);
    int (*future_get_error)(FDBFuture *f);
    int (*future_get_int64)(FDBFuture *f, int64_t *out);
    int (*future_get_value)(FDBFuture *f, int *present, const uint8_t **value, int *bytes);
    int (*future_get_keyvalue_array)(FDBFuture *f, const hwi_fdb_keyvalue **kv, int *count,
                                     int *more);
    void (*future_destroy)(FDBFuture *f);
} hwi_fdb_api;

/* The library with its network running; the same for every caller. HW_EUNSUPPORTED when there is
 * none, or none new enough, saying what to install. */
HW_CHECKED hw_status hwi_fdb_api_take(const hwi_fdb_api **out, hw_error *err);

/* To be called when the library has done something for us: after a first answer, and at a close. */
void hwi_fdb_api_met(void);

/* HW_EUNSUPPORTED in a process forked after hwi_fdb_api_take: the network thread stayed behind. */
HW_CHECKED hw_status hwi_fdb_api_usable(hw_error *err);

#endif
