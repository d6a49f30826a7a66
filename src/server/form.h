/* form.h - a body of multipart/form-data (RFC 7578) that is in memory. */
#ifndef HWI_FORM_H
#define HWI_FORM_H

#include "base/base.h"

#define HWI_FORM_PARTS_MAX 32u

typedef struct hwi_form_part {
    const char *name;      /* "" when it has none */
    const char *file_name; /* NULL: a field and not a file */
    hw_bytes content;      /* borrowed from the body */
} hwi_form_part;

/* Whether a content type is that of a form. */
bool hwi_form_is_one(const char *content_type);

/* Names are copied to the arena. HW_EINVAL: no boundary, a part without end, or more than
 * HWI_FORM_PARTS_MAX parts; HW_ENOMEM. Any bytes are safe. Cost: linear in the body. */
HW_CHECKED hw_status hwi_form_read(const char *content_type, hw_bytes body, hwi_arena *arena,
                                   hwi_form_part parts[HWI_FORM_PARTS_MAX], size_t *count,
                                   hw_error *err);

#endif
