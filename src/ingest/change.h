/* change.h - changing a payload: set, overwrite, delete, clear.
 */
#ifndef HWI_CHANGE_H
#define HWI_CHANGE_H

#include "base/json.h"

/* Appends to `out` the payload that `op` makes of `before` (empty: none); nothing when there is
 * none afterwards. See hw_txn_update_payload for op, at and json. HW_EINVAL: malformed JSON or
 * path, or the outcome is above HW_PAYLOAD_MAX or nested too deeply; HW_ENOMEM. */
HW_CHECKED hw_status hwi_payload_change(hw_bytes before, hw_payload_op op, const char *at,
                                        const char *json, size_t json_bytes, hwi_buf *out,
                                        hw_error *err);

#endif
