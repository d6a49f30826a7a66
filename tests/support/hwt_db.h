/* hwt_db.h - databases for tests: in memory, or in a place (hwt_place.h) that is removed at the end.
 * HASHWOOD_TEST_STORE moves those in memory to a cluster as well.
 */
#ifndef HWT_DB_H
#define HWT_DB_H

#include "support/hwt_store.h"

typedef struct hwt_db {
    hw_db *db;
    bool on_disk;
    hw_db_opts opts; /* no_sync, so that tests are fast */
    hwt_place place;
} hwt_db;

/* Fails the test when it cannot. */
void hwt_db_open(hwt_db *d, bool on_disk);
/* On disk: closed and opened again. Every handle must be closed before. */
void hwt_db_reopen(hwt_db *d);
void hwt_db_close(hwt_db *d);

/* Fails the test with every damage found. */
void hwt_db_check(hw_db *db);

/* A new collection, opened. */
hw_collection *hwt_collection(hw_db *db, const char *name, const char *config);

#endif
