/* place.h - making files and folders beside their place and moving them there when whole. */
#ifndef HWI_PLACE_H
#define HWI_PLACE_H

#include "base/base.h"

#define HWI_PLACE_MAX 4096

/* A name beside `name` that nothing has yet: "<name>.part-<process>-<number>". Removes those that a
 * killed process has left there over an hour ago. */
HW_CHECKED hw_status hwi_place_beside(const char *name, char part[HWI_PLACE_MAX], hw_error *err);

/* HW_EEXIST when there is anything at `name`. */
HW_CHECKED hw_status hwi_place_free(const char *name, hw_error *err);

/* Moves part to name, replacing a file (not a folder with something in it), and syncs the folder
 * both are in. */
HW_CHECKED hw_status hwi_place_rename(const char *part, const char *name, hw_error *err);

/* Syncs one folder, or a file by its name. */
HW_CHECKED hw_status hwi_place_sync(const char *name, hw_error *err);

/* Syncs the folder that a name is in, which makes the name itself durable. */
HW_CHECKED hw_status hwi_place_sync_parent(const char *name, hw_error *err);

/* Joins folder and file name; HW_EINVAL when too long. */
HW_CHECKED hw_status hwi_place_join(const char *folder, const char *file, char out[HWI_PLACE_MAX],
                                    hw_error *err);

#endif
