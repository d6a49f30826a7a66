/* hwt_place.h - where a test keeps its database: a folder, or a prefix in a FoundationDB cluster.
 *
 * HASHWOOD_TEST_STORE chooses for a whole test program:
 *
 *     unset     a fresh folder for every place
 *     standin   the stand-in of tests/support/fdb_standin
 *     fdb       the cluster that HASHWOOD_TEST_FDB names, through HASHWOOD_FDB_LIBRARY or libfdb_c.so;
 *               the program is skipped (77) when none is named
 */
#ifndef HWT_PLACE_H
#define HWT_PLACE_H

#include "support/hwt.h"

#include "store/store.h"

#define HWT_PATH 512

/* Writes the file of a cluster of the stand-in; kind: standin, standin_log or standin_dead. */
void hwt_cluster_file(const char *path, const char *kind);

/* Makes an empty folder under $TMPDIR or /tmp. */
void hwt_scratch_new(char path[HWT_PATH]);
/* Removes a folder and all in it. */
void hwt_scratch_remove(const char *path);

bool hwt_on_fdb(void);     /* the stand-in or a real cluster */
bool hwt_on_standin(void); /* the stand-in */
/* From now on, whatever the environment says; for a test of the stand-in's faults. */
void hwt_use_standin(void);
/* Skips the test that runs unless databases are folders. */
void hwt_needs_folders(void);

typedef struct hwt_place {
    char scratch[HWT_PATH];   /* for other files of the test */
    char name[HWT_PATH + 64]; /* of the database, which is not there yet; for hw_db_open */
} hwt_place;

/* They fail the test when they cannot. */
void hwt_place_new(hwt_place *p);
/* One that other processes can open, too. */
void hwt_place_new_shared(hwt_place *p);
/* Removes the database, which must be closed, and the scratch folder. */
void hwt_place_remove(hwt_place *p);

/* Faults for the stand-in, see tests/support/fdb_standin/plan.c; "" for none. Nothing elsewhere. */
void hwt_faults(uint64_t seed, const char *text);
/* How many errors the stand-in has made so far. */
uint64_t hwt_faults_met(void);

#endif
