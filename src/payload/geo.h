/* geo.h - points and areas on the globe: tests, and covers of cells for the index.
 *
 * A cell is a square of a quadtree over longitude and latitude, numbered along the Z-order curve,
 * so that all points of a cell are one range of codes:
 *
 *      code = bits of x and y interleaved, x from longitude, y from latitude, 32 bits each
 *
 * Areas are immutable once made; all functions are pure.
 */
#ifndef HWI_GEO_H
#define HWI_GEO_H

#include "base/json.h"

#define HWI_EARTH_RADIUS_M 6371008.8 /* mean radius */

typedef struct hwi_geo_point {
    double lon, lat;
} hwi_geo_point;

/* A closed ring: the last point equals the first. */
typedef struct hwi_geo_ring {
    hwi_geo_point *points;
    size_t count;
} hwi_geo_ring;

typedef enum hwi_geo_kind { HWI_GEO_BOX, HWI_GEO_CIRCLE, HWI_GEO_POLYGON } hwi_geo_kind;

typedef struct hwi_geo_area {
    hwi_geo_kind kind;
    hwi_geo_point top_left, bottom_right; /* BOX; crosses the date line when left is above right */
    hwi_geo_point center;                 /* CIRCLE */
    double radius_m;
    hwi_geo_ring *rings; /* POLYGON: the exterior, then holes */
    size_t ring_count;
} hwi_geo_area;

/* Whether a point lies inside; on the border is outside. Polygons are flat in degrees. */
bool hwi_geo_contains(const hwi_geo_area *area, hwi_geo_point p);

/* Great-circle distance in metres. */
double hwi_geo_distance(hwi_geo_point a, hwi_geo_point b);

/* {"lon": number, "lat": number} of a payload. */
bool hwi_geo_of_json(const hwi_json *value, hwi_geo_point *out);
bool hwi_geo_on_globe(hwi_geo_point p); /* |lon| <= 180, |lat| <= 90 */

/* Z-order code of a point on the globe. */
uint64_t hwi_geo_code(hwi_geo_point p);

typedef enum hwi_geo_relation { HWI_GEO_OUT, HWI_GEO_PART, HWI_GEO_IN } hwi_geo_relation;

/* Where a cell of level 0 (the globe) to 32 lies: IN and OUT hold for every point in it, PART says
 * nothing. */
hwi_geo_relation hwi_geo_cell(const hwi_geo_area *area, uint64_t code, unsigned level);

/* Ranges of codes that hold every point of the area, ascending, disjoint; IN or PART each. */
#define HWI_GEO_COVER_MAX 256u
typedef struct hwi_geo_range {
    uint64_t from, to; /* inclusive */
    hwi_geo_relation relation;
} hwi_geo_range;
size_t hwi_geo_cover(const hwi_geo_area *area, hwi_geo_range out[HWI_GEO_COVER_MAX]);

#endif
