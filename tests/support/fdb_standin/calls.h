/* calls.h - the part of FoundationDB's C interface that hashwood uses, as the stand-in offers it and
 * as tests call it. Own declarations, after FoundationDB's public documentation of release 7.3. */
#ifndef FDB_STANDIN_CALLS_H
#define FDB_STANDIN_CALLS_H

#include <stdint.h>

typedef struct FDBFuture FDBFuture;
typedef struct FDBDatabase FDBDatabase;
typedef struct FDBTransaction FDBTransaction;
typedef void (*FDBCallback)(FDBFuture *f, void *arg);

#pragma pack(push, 4)
typedef struct FDBKey {
    const uint8_t *key;
    int key_length;
} FDBKey;

typedef struct FDBKeyValue {
    const uint8_t *key;
    int key_length;
    const uint8_t *value;
    int value_length;
} FDBKeyValue;
#pragma pack(pop)

enum {
    FDB_NET_TRACE_ENABLE = 30,

    FDB_OPTION_TIMEOUT = 500, /* of databases and of transactions, as the next two */
    FDB_OPTION_RETRY_LIMIT = 501,
    FDB_OPTION_MAX_RETRY_DELAY = 502,
    FDB_OPTION_SIZE_LIMIT = 503,

    FDB_TXN_NEXT_WRITE_NO_CONFLICT = 30,
    FDB_TXN_READ_YOUR_WRITES_DISABLE = 51,
    FDB_TXN_SNAPSHOT_RYW_ENABLE = 600,
    FDB_TXN_SNAPSHOT_RYW_DISABLE = 601,

    FDB_MUTATION_ADD = 2,
    FDB_MUTATION_AND = 6,
    FDB_MUTATION_OR = 7,
    FDB_MUTATION_XOR = 8,
    FDB_MUTATION_APPEND = 9,
    FDB_MUTATION_MAX = 12,
    FDB_MUTATION_MIN = 13,
    FDB_MUTATION_STAMPED_KEY = 14,
    FDB_MUTATION_STAMPED_VALUE = 15,
    FDB_MUTATION_BYTE_MIN = 16,
    FDB_MUTATION_BYTE_MAX = 17,
    FDB_MUTATION_COMPARE_AND_CLEAR = 20,

    FDB_MODE_WANT_ALL = -2,
    FDB_MODE_ITERATOR = -1,
    FDB_MODE_EXACT = 0,
    FDB_MODE_SMALL = 1,
    FDB_MODE_MEDIUM = 2,
    FDB_MODE_LARGE = 3,
    FDB_MODE_SERIAL = 4,

    FDB_CONFLICT_READ = 0,
    FDB_CONFLICT_WRITE = 1,

    FDB_IS_RETRYABLE = 50000,
    FDB_IS_MAYBE_COMMITTED = 50001,
    FDB_IS_RETRYABLE_NOT_COMMITTED = 50002
};

/* X(result, name, (arguments)) for every call. */
#define FDB_CALLS(X)                                                                               \
    X(int, fdb_select_api_version_impl, (int runtime, int header))                                 \
    X(int, fdb_get_max_api_version, (void))                                                        \
    X(const char *, fdb_get_client_version, (void))                                                \
    X(const char *, fdb_get_error, (int code))                                                     \
    X(int, fdb_error_predicate, (int predicate, int code))                                         \
    X(int, fdb_network_set_option, (int option, const uint8_t *value, int size))                   \
    X(int, fdb_setup_network, (void))                                                              \
    X(int, fdb_run_network, (void))                                                                \
    X(int, fdb_stop_network, (void))                                                               \
    X(int, fdb_create_database, (const char *path, FDBDatabase **out))                             \
    X(int, fdb_create_database_from_connection_string, (const char *text, FDBDatabase **out))      \
    X(void, fdb_database_destroy, (FDBDatabase * d))                                               \
    X(int, fdb_database_set_option, (FDBDatabase * d, int option, const uint8_t *value, int size)) \
    X(int, fdb_database_create_transaction, (FDBDatabase * d, FDBTransaction * *out))              \
    X(void, fdb_transaction_destroy, (FDBTransaction * t))                                         \
    X(void, fdb_transaction_cancel, (FDBTransaction * t))                                          \
    X(void, fdb_transaction_reset, (FDBTransaction * t))                                           \
    X(int, fdb_transaction_set_option,                                                             \
      (FDBTransaction * t, int option, const uint8_t *value, int size))                            \
    X(FDBFuture *, fdb_transaction_get_read_version, (FDBTransaction * t))                         \
    X(void, fdb_transaction_set_read_version, (FDBTransaction * t, int64_t version))               \
    X(FDBFuture *, fdb_transaction_get,                                                            \
      (FDBTransaction * t, const uint8_t *key, int size, int snapshot))                            \
    X(FDBFuture *, fdb_transaction_get_key,                                                        \
      (FDBTransaction * t, const uint8_t *key, int size, int or_equal, int offset, int snapshot))  \
    X(FDBFuture *, fdb_transaction_get_range,                                                      \
      (FDBTransaction * t, const uint8_t *from, int from_size, int from_or_equal, int from_offset, \
       const uint8_t *to, int to_size, int to_or_equal, int to_offset, int limit,                  \
       int target_bytes, int mode, int iteration, int snapshot, int reverse))                      \
    X(void, fdb_transaction_set,                                                                   \
      (FDBTransaction * t, const uint8_t *key, int size, const uint8_t *value, int value_size))    \
    X(void, fdb_transaction_clear, (FDBTransaction * t, const uint8_t *key, int size))             \
    X(void, fdb_transaction_clear_range,                                                           \
      (FDBTransaction * t, const uint8_t *from, int from_size, const uint8_t *to, int to_size))    \
    X(void, fdb_transaction_atomic_op,                                                             \
      (FDBTransaction * t, const uint8_t *key, int size, const uint8_t *value, int value_size,     \
       int op))                                                                                    \
    X(FDBFuture *, fdb_transaction_commit, (FDBTransaction * t))                                   \
    X(int, fdb_transaction_get_committed_version, (FDBTransaction * t, int64_t * out))             \
    X(FDBFuture *, fdb_transaction_get_versionstamp, (FDBTransaction * t))                         \
    X(FDBFuture *, fdb_transaction_on_error, (FDBTransaction * t, int error))                      \
    X(FDBFuture *, fdb_transaction_get_approximate_size, (FDBTransaction * t))                     \
    X(FDBFuture *, fdb_transaction_watch, (FDBTransaction * t, const uint8_t *key, int size))      \
    X(FDBFuture *, fdb_transaction_get_estimated_range_size_bytes,                                 \
      (FDBTransaction * t, const uint8_t *from, int from_size, const uint8_t *to, int to_size))    \
    X(FDBFuture *, fdb_transaction_get_range_split_points,                                         \
      (FDBTransaction * t, const uint8_t *from, int from_size, const uint8_t *to, int to_size,     \
       int64_t chunk))                                                                             \
    X(int, fdb_transaction_add_conflict_range,                                                     \
      (FDBTransaction * t, const uint8_t *from, int from_size, const uint8_t *to, int to_size,     \
       int type))                                                                                  \
    X(int, fdb_future_block_until_ready, (FDBFuture * f))                                          \
    X(int, fdb_future_is_ready, (FDBFuture * f))                                                   \
    X(int, fdb_future_set_callback, (FDBFuture * f, FDBCallback callback, void *arg))              \
    X(int, fdb_future_get_error, (FDBFuture * f))                                                  \
    X(int, fdb_future_get_int64, (FDBFuture * f, int64_t * out))                                   \
    X(int, fdb_future_get_key, (FDBFuture * f, const uint8_t **key, int *size))                    \
    X(int, fdb_future_get_value, (FDBFuture * f, int *present, const uint8_t **value, int *size))  \
    X(int, fdb_future_get_keyvalue_array,                                                          \
      (FDBFuture * f, const FDBKeyValue **pairs, int *count, int *more))                           \
    X(int, fdb_future_get_key_array, (FDBFuture * f, const FDBKey **keys, int *count))             \
    X(void, fdb_future_release_memory, (FDBFuture * f))                                            \
    X(void, fdb_future_cancel, (FDBFuture * f))                                                    \
    X(void, fdb_future_destroy, (FDBFuture * f))

#endif
