/* args.h - query arguments and members that many calls share. Each refuses by itself. */
#ifndef HWI_ARGS_H
#define HWI_ARGS_H

#include "server/wire.h"

/* ?wait, ?ordering and ?timeout of a call that writes. */
bool hwi_args_write(hwi_request *r, bool *wait);
/* ?consistency and ?timeout of a call that reads. */
bool hwi_args_read(hwi_request *r);
/* ?timeout alone. */
bool hwi_args_timeout(hwi_request *r);
/* The body, which must be an object; NULL after refusing. */
const hwi_json *hwi_args_body(hwi_request *r);
/* A member that is neither absent nor null, or NULL. */
const hwi_json *hwi_args_member(const hwi_json *o, const char *key);
/* `shard_key`, which no collection here has. */
bool hwi_args_shard(hwi_request *r, const hwi_json *o);

#endif
