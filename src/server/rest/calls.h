/* calls.h - handlers of the table in collections.c that live in files of their own. */
#ifndef HWI_CALLS_H
#define HWI_CALLS_H

#include "server/request.h"

/* collections.c: whether a new collection may have this name (422). */
bool hwi_call_name_check(hwi_request *r, const char *name);

/* fields.c */
bool hwi_call_field_create(hwi_request *r);
bool hwi_call_field_drop(hwi_request *r);
bool hwi_call_vector_create(hwi_request *r);
bool hwi_call_vector_drop(hwi_request *r);

/* aliases.c */
bool hwi_call_aliases_change(hwi_request *r);
bool hwi_call_aliases_list(hwi_request *r);
bool hwi_call_aliases_of(hwi_request *r);

/* cluster.c: what a cluster would answer, as one node does */
bool hwi_call_cluster_of(hwi_request *r);
bool hwi_call_cluster_refuse(hwi_request *r);
bool hwi_call_shards_of(hwi_request *r);
bool hwi_call_optimizations(hwi_request *r);

#endif
