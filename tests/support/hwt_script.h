/* hwt_script.h - a run of database calls cut into steps, to be interrupted anywhere by the fault
 * tests; and the content of a database as text, to see how far it got.
 */
#ifndef HWT_SCRIPT_H
#define HWT_SCRIPT_H

#include "support/hwt_db.h"

#define HWT_STEPS 22

/* Runs step number i (0 .. HWT_STEPS - 1) of the script: creates, loads beyond the size where an
 * index is trained, updates, deletes, indexes payloads, builds, drops; then the same with vectors of
 * other kinds, and fields that come and go. Each is one acknowledged call. */
hw_status hwt_step(hw_db *db, int i, hw_error *err);

/* Steps from 0 on until one fails; returns how many succeeded, and the failure's status. */
int hwt_run(hw_db *db, hw_status *status, hw_error *err);

/* Every collection with every point, vector and payload. Free with free(). Fails the test when it
 * cannot read. */
char *hwt_dump(hw_db *db);

/* The dumps after 0 .. HWT_STEPS steps, made once in memory. */
const char *hwt_expected(int steps);

/* Fails unless the database is sound and holds what `steps` or `steps + 1` steps leave. */
void hwt_check_after(hw_db *db, int steps);

#endif
