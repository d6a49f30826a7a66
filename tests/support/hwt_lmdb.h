/* hwt_lmdb.h - what tests of LMDB under bad circumstances share: a place of its own for each test, keys
 * in it, what verify says, and children. */
#ifndef HWT_LMDB_H
#define HWT_LMDB_H

#include "support/hwt_store.h"

#include <unistd.h>

typedef struct hwt_lmdb {
    char scratch[HWT_PATH], db[HWT_PATH + 8], data[HWT_PATH + 24];
} hwt_lmdb;

int hwt_lmdb_setup(void **state);
int hwt_lmdb_teardown(void **state);
#define HWT_WITH_LMDB(name) cmocka_unit_test_setup_teardown(name, hwt_lmdb_setup, hwt_lmdb_teardown)

/* Options that wait for another writer for 100 ms only. */
hw_db_opts hwt_lmdb_impatient(void);
hw_store *hwt_lmdb_open(const hwt_lmdb *p, const hw_db_opts *opts);
/* Opens and closes. */
hw_status hwt_lmdb_try_open(const hwt_lmdb *p, const hw_db_opts *opts, hw_error *err);

/* `keys` keys of `bytes` each from `first` on, in one transaction; the first failure ends it. */
hw_status hwt_lmdb_put_many(hw_store *s, uint32_t first, uint32_t keys, size_t bytes,
                            hw_error *err);
/* A database with `keys` keys. */
void hwt_lmdb_make(const hwt_lmdb *p, uint32_t keys, size_t bytes);
uint64_t hwt_lmdb_count_keys(hw_store *s);
/* Touches every page of every value's first byte, unlike the one above. */
uint64_t hwt_lmdb_scan_keys(hw_store *s);

typedef struct hwt_damages {
    int count;
    char first[512];
} hwt_damages;

/* For hwi_store_verify. */
void hwt_note_damage(void *arg, const char *where, const char *what);
void hwt_lmdb_assert_undamaged(hw_store *s);

/* Runs body in a child process; its exit status, or -1 when it was killed. */
int hwt_in_child(void (*body)(void *arg), void *arg);

/* In such a body, where cmocka's assertions cannot be used. */
#define HWT_CHILD_DEMANDS(condition)                                                               \
    do {                                                                                           \
        if (!(condition)) _exit(__LINE__ % 250 + 1);                                               \
    } while (0)

#endif
