/* collections.c - collections, aliases and the fields of a collection.
 */
#include "server/request.h"

const hwi_route hwi_routes_collections[] = {{0}};
