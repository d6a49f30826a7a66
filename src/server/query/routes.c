/* routes.c - the calls that search: query, search, recommend, discover, groups, facet, matrix.
 */
#include "server/request.h"

const hwi_route hwi_routes_query[] = {{0}};
