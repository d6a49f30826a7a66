/* pending.c - functions that the header declares and that are about to be written.
 */
#include "api.h"

#define PENDING(name, ...)                                                                         \
    hw_status name(__VA_ARGS__, hw_error *err)                                                     \
    {                                                                                              \
        return hwi_fail(err, HW_EUNSUPPORTED, #name " is not there yet");                          \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"

