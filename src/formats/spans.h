/* spans.h - walks the members of a JSON object without building a tree.
 *
 * A line of JSONL is mostly one long array of numbers and a payload that is kept byte for byte;
 * both are wanted as the span of text they occupy, not as a tree.
 */
#ifndef HWI_SPANS_H
#define HWI_SPANS_H

#include "base/base.h"

typedef struct hwi_span {
    const char *text;
    size_t bytes;
} hwi_span;

typedef struct hwi_members {
    const char *start, *at, *end;
    bool first;
} hwi_members;

/* HW_EINVAL: "malformed JSON at byte 3: expected `{`". text is borrowed. */
HW_CHECKED hw_status hwi_members_begin(hwi_members *m, const char *text, size_t bytes,
                                       hw_error *err);
/* The next member: key without its quotes, escapes left as they are, and value, blanks trimmed; how
 * brackets nest inside a value is left to whoever parses it. *more is false after the last one. */
HW_CHECKED hw_status hwi_members_next(hwi_members *m, hwi_span *key, hwi_span *value, bool *more,
                                      hw_error *err);

bool hwi_span_is(hwi_span span, const char *text);

#endif
