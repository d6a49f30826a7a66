/* hwt_fdb.h - FoundationDB's client library loaded by a test: the stand-in, or the real one when
 * HASHWOOD_TEST_STORE is fdb (hwt_place.h). */
#ifndef HWT_FDB_H
#define HWT_FDB_H

#include "support/hwt_place.h"

#include "support/fdb_standin/calls.h"
#include "support/fdb_standin/standin.h"

#define HWT_FDB_FIELD(result, name, arguments) result(*name) arguments;
typedef struct hwt_fdb {
    FDB_CALLS(HWT_FDB_FIELD)
    FDB_STANDIN_CALLS(HWT_FDB_FIELD) /* NULL in the real library */
    bool is_real;
    FDBDatabase *database; /* a cluster with nothing below hwt_fdb_prefix */
} hwt_fdb;

/* All keys of a test begin with it. */
#define HWT_FDB_PREFIX "hashwood-test/standin/"

/* Fills in the calls of a library that is open. */
void hwt_fdb_load(hwt_fdb *out, void *library);

/* The one library of the process, with its network running. Fails the test when it cannot. */
hwt_fdb *hwt_fdb_start(void);
/* Ends the network; there is no second start in a process. */
void hwt_fdb_stop(void);

/* Where the real cluster is, or NULL: HASHWOOD_TEST_FDB. */
const char *hwt_fdb_real(void);

#endif
