/* page.c - the web page and its files, which are part of the program.
 */
#include "server/request.h"

const hwi_route hwi_routes_page[] = {{0}};
