/* wire_select.h - the part of a payload that a client asked for.
 *
 * Paths are Qdrant's: keys joined by dots, quoted where they hold other characters, `[]` for every
 * element of an array, `[3]` for one.
 */
#ifndef HWI_WIRE_SELECT_H
#define HWI_WIRE_SELECT_H

#include "request.h"

/* False if `text` is no path. */
bool hwi_select_is_path(const char *text, size_t bytes);

/* Appends the payload `text` with only the parts that `include` names, or all but those that
 * `exclude` names; one of the two is NULL. */
void hwi_select_write(hwi_request *r, const char *text, size_t bytes, const hwi_json *include,
                      const hwi_json *exclude);

#endif
