/* access.h - who may do what: keys, and tokens signed with a key. */
#ifndef HWI_ACCESS_H
#define HWI_ACCESS_H

#include <pthread.h>

#include "base/json.h"
#include "config.h"
#include "request.h"

/* What a caller may do to one collection, or to everything. Each includes the ones before. */
typedef enum hwi_rights {
    HWI_RIGHTS_NONE,
    HWI_RIGHTS_READ,
    HWI_RIGHTS_POINTS, /* points, but neither settings nor snapshots */
    HWI_RIGHTS_WRITE,  /* all of a collection but its existence */
    HWI_RIGHTS_ALL
} hwi_rights;

typedef struct hwi_access {
    hwi_rights everywhere;
    const hwi_json *collections;  /* of a token: [{"collection": .., "access": ..}], or NULL */
    const hwi_json *value_exists; /* of a token: must match a point before it counts; or NULL */
    const char *subject;          /* of a token, or how else the caller is known: for the audit */
} hwi_access;

typedef struct hwi_keys hwi_keys;

/* HW_ENOMEM */
HW_CHECKED hw_status hwi_keys_new(const hwi_config *config, hwi_keys **out, hw_error *err);
void hwi_keys_free(hwi_keys *k);
/* No key is set: everybody may do everything. */
bool hwi_keys_open(const hwi_keys *k);

typedef enum hwi_verdict { HWI_VERDICT_OK, HWI_VERDICT_UNKNOWN, HWI_VERDICT_FORBIDDEN } hwi_verdict;

/* Judges what a caller shows. `token` NULL: nothing. now_s: seconds since 1970. *why is a sentence
 * for the caller; arena keeps what *out points to. */
hwi_verdict hwi_keys_judge(const hwi_keys *k, const char *token, int64_t now_s, hwi_arena *arena,
                           hwi_access *out, const char **why);

/* Whether the caller has these rights to a collection; NULL: to everything. */
bool hwi_access_has(const hwi_access *a, hwi_rights rights, const char *collection);
/* Some right somewhere: enough to see lists that are then cut to what may be read. */
bool hwi_access_any(const hwi_access *a);

/* Compares in time that depends on the bytes of `given` alone. */
bool hwi_same_secret(const char *given, const char *secret);

#endif
