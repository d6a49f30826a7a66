/* points.c - points and their payload and vectors.
 */
#include "server/request.h"

const hwi_route hwi_routes_points[] = {{0}};
