/* pending.c - functions that the header declares and that are about to be written.
 */
#include "api.h"

#define PENDING(name, ...)                                                                         \
    hw_status name(__VA_ARGS__, hw_error *err)                                                     \
    {                                                                                              \
        return hwi_fail(err, HW_EUNSUPPORTED, #name " is not there yet");                          \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"

PENDING(hw_collection_backup, hw_collection *c, const char *f, hw_progress_fn p, void *arg)
PENDING(hw_collection_restore, hw_db *db, const char *n, const char *f, bool r, hw_progress_fn p,
        void *arg)
