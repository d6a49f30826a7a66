/* pick.h - the few members of a payload that a filter asks for, without reading the rest.
 *
 * One thread at a time. Zero-initialise, then set keys; release at the end.
 */
#ifndef HWI_PICK_H
#define HWI_PICK_H

#include "base/json.h"

#define HWI_PICK_NODES 64u

typedef struct hwi_pick_key {
    const char *key;
    size_t bytes;
} hwi_pick_key;

typedef struct hwi_picker {
    const hwi_pick_key *keys; /* members of the payload that are wanted; borrowed */
    size_t key_count;
    hwi_arena arena; /* what does not fit below */
    size_t used;
    hwi_json nodes[HWI_PICK_NODES];
} hwi_picker;

/* Parses a payload to an object that has at least the wanted members, in document order. The tree
 * borrows from payload and picker until the next call. A payload that is not an object is given as
 * it is. Members that are not wanted are stepped over, not checked. HW_EINVAL when malformed. */
HW_CHECKED hw_status hwi_pick(hwi_picker *p, hw_bytes payload, const hwi_json **out, hw_error *err);
void hwi_picker_release(hwi_picker *p);

#endif
