/* open.h - the collections that are open, by name, shared by all requests. */
#ifndef HWI_OPEN_H
#define HWI_OPEN_H

#include <pthread.h>

#include "base/base.h"

/* An open collection under one name (an alias is a name of its own). */
typedef struct hwi_opened {
    struct hwi_opened *next;
    hw_collection *collection;
    uint32_t users;
    bool is_stale; /* closed by its last user */
    char name[HW_NAME_MAX + 1];
} hwi_opened;

typedef struct hwi_open_set {
    pthread_mutex_t lock; /* guards the list and the fields of its members */
    hwi_opened *first;
    hw_db *db;
} hwi_open_set;

void hwi_open_init(hwi_open_set *set, hw_db *db);
/* Nobody may be using any. */
void hwi_open_release(hwi_open_set *set);

/* Opens or shares; hwi_open_put ends the use. HW_ENOTFOUND and the like as hw_collection_open. */
HW_CHECKED hw_status hwi_open_get(hwi_open_set *set, const char *name, hwi_opened **out,
                                  hw_error *err);
void hwi_open_put(hwi_open_set *set, hwi_opened *o);

/* The next user of the name gets a new handle. NULL: of any name. */
void hwi_open_forget(hwi_open_set *set, const char *name);

#endif
