/* snapshots.c - snapshots of a collection and of everything.
 */
#include "server/request.h"

const hwi_route hwi_routes_snapshots[] = {{0}};
