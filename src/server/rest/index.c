/* index.c - the index for people: its tree, its leaves, why a point was not found.
 */
#include "server/request.h"

const hwi_route hwi_routes_index[] = {{0}};
