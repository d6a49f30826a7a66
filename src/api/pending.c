/* pending.c - functions that the header declares and that are about to be written.
 */
#include "api.h"

#define PENDING(name, ...)                                                                         \
    hw_status name(__VA_ARGS__, hw_error *err)                                                     \
    {                                                                                              \
        return hwi_fail(err, HW_EUNSUPPORTED, #name " is not there yet");                          \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"

PENDING(hw_collection_configure, hw_collection *c, const char *patch)
PENDING(hw_collection_add_vector, hw_collection *c, const char *n, bool s, const char *j)
PENDING(hw_collection_drop_vector, hw_collection *c, const char *n)
PENDING(hw_collection_backup, hw_collection *c, const char *f, hw_progress_fn p, void *arg)
PENDING(hw_collection_restore, hw_db *db, const char *n, const char *f, bool r, hw_progress_fn p,
        void *arg)
PENDING(hw_db_metrics, hw_db *db, hw_metrics *m)
PENDING(hw_collection_ordered, hw_collection *c, const char *f, size_t n, const char *field, bool d,
        const char *s, uint32_t limit, uint32_t with, hw_result **out)
PENDING(hw_collection_sample, hw_collection *c, const char *f, size_t n, uint64_t seed,
        uint32_t limit, uint32_t with, hw_result **out)
PENDING(hw_collection_facet, hw_collection *c, const char *field, const char *f, size_t n,
        uint32_t limit, char **json)

const char *
hw_result_order_value(const hw_result *r, size_t i)
{
    return NULL;
}
