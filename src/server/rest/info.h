/* info.h - GET /collections/{c}: a collection's state and settings in Qdrant's form. */
#ifndef HWI_INFO_H
#define HWI_INFO_H

#include "server/wire.h"

/* Appends the object; refuses by itself. */
bool hwi_info_write(hwi_request *r, const hwi_shape *shape);

#endif
