/* validate.h - what may be stored: vectors, ids and payloads are checked before the first write.
 */
#ifndef HWI_VALIDATE_H
#define HWI_VALIDATE_H

#include "records/ragged.h"

/* Checks one vector against its field and tells its inverse norm: 1 / |x| under cosine, else 1.
 * HW_EINVAL: dimension (both sizes named), NaN or infinity (position named), under cosine a vector
 * without a direction, values so large that distances would overflow. */
HW_CHECKED hw_status hwi_validate_vector(const hwi_field *field, const float *values, uint32_t dim,
                                         float *inv_norm, hw_error *err);

/* Checks a multi-vector or sparse vector and appends its stored form (records/ragged.h) to `out`.
 * HW_EINVAL as above, and when there are more than HW_MULTI_VALUES_MAX values, no rows, or an index
 * twice. */
HW_CHECKED hw_status hwi_validate_ragged(const hwi_field *field, const hw_vector *v, hwi_buf *out,
                                         hw_error *err);

/* A known kind; a string of 1 to HW_ID_TEXT_MAX bytes. HW_EINVAL. */
HW_CHECKED hw_status hwi_validate_id(const hw_id *id, hw_error *err);

/* A JSON object of at most HW_PAYLOAD_MAX bytes; NULL or empty is no payload. HW_EINVAL. */
HW_CHECKED hw_status hwi_validate_payload(const char *json, size_t bytes, hw_error *err);

#endif
