/* backend.h - what the backends of this folder share: limits and the checks before a write. */
#ifndef HWI_STORE_BACKEND_H
#define HWI_STORE_BACKEND_H

#include "store/store.h"

hw_store_limits hwi_store_limits(void);

/* Whether t may write at all, and `bytes` more: HW_EREADONLY, HW_ELIMIT. */
HW_CHECKED hw_status hwi_store_check_write(const hw_store_txn *t, size_t bytes, hw_error *err);
/* The same and the limits of one key and value; an empty key is HW_ELIMIT too. */
HW_CHECKED hw_status hwi_store_check_put(const hw_store_txn *t, hw_bytes key, hw_bytes value,
                                         hw_error *err);
/* The new value of a counter after adding delta, wrapping around; HW_ECORRUPT when what is stored
 * is no counter. */
HW_CHECKED hw_status hwi_store_sum(hw_store_txn *t, hw_bytes key, int64_t delta, uint8_t sum[8],
                                   hw_error *err);
/* `key` with a stamp behind it, for a store that knows the version its commit will have. `order` tells
 * apart what has the same version. HW_ELIMIT. */
HW_CHECKED hw_status hwi_stamped_key(uint8_t out[HWI_STORE_KEY_MAX], hw_bytes key, uint64_t version,
                                     uint32_t order, hw_error *err);

#endif
