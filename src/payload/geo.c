/* geo.c - points, areas, and the quadtree cells that cover an area.
 *
 * The index keeps points in Z-order, so a cell is a range of codes. A cover starts with the globe
 * and splits, largest first, the cells that the area's border crosses, until HWI_GEO_COVER_MAX are
 * in hand:
 *
 *      +----+----+----+----+
 *      |    |  .-+-.  |    |     IN    every point of the cell matches
 *      +----+-/--+--\-+----+     PART  the border crosses: points are tested one by one,
 *      |    | \  |  / |    |           by their 1 cm cell first, by their payload last
 *      +----+--`-+-'--+----+     OUT   skipped
 *
 * The relation of a cell to an area is decided on a box a little larger than the cell (SLACK), so
 * rounding in codes or distances can only turn IN or OUT into PART, never the other way round.
 * Geohashes of base 32 were the other choice: cells come in pairs of aspect ratios and splitting
 * gives 32 children, for no gain when codes are numbers and not text. */
#include "payload/geo.h"

#include <math.h>

#include "payload/path.h"

#define LEVELS 32u
#define SLACK 1e-9 /* degrees: 0.1 mm, far above double rounding and far below a cell */

static const double to_radians = 0.017453292519943295;

bool
hwi_geo_on_globe(hwi_geo_point p)
{
    return p.lon >= -180 && p.lon <= 180 && p.lat >= -90 && p.lat <= 90;
}

bool
hwi_geo_of_json(const hwi_json *value, hwi_geo_point *out)
{
    const hwi_json *lon = hwi_path_member(value, "lon", 3);
    const hwi_json *lat = hwi_path_member(value, "lat", 3);

    if (!hwi_json_is_number(lon) || !hwi_json_is_number(lat)) return false;
    *out = (hwi_geo_point){lon->number, lat->number};
    return true;
}

double
hwi_geo_distance(hwi_geo_point a, hwi_geo_point b)
{
    double dlat = (b.lat - a.lat) * to_radians, dlon = (b.lon - a.lon) * to_radians;
    double s = sin(dlat / 2), t = sin(dlon / 2);
    double h = s * s + cos(a.lat * to_radians) * cos(b.lat * to_radians) * t * t;
    return 2 * HWI_EARTH_RADIUS_M * asin(sqrt(h < 1 ? h : 1));
}

/* ---- points in areas */

static bool
box_contains(const hwi_geo_area *a, hwi_geo_point p)
{
    bool above_left = p.lon > a->top_left.lon, below_right = p.lon < a->bottom_right.lon;
    bool crosses = a->top_left.lon > a->bottom_right.lon;
    bool lon = crosses ? above_left || below_right : above_left && below_right;
    return lon && p.lat > a->bottom_right.lat && p.lat < a->top_left.lat;
}

typedef enum side { OUTSIDE, BORDER, INSIDE } side;

/* Counts the edges that a ray to the east crosses; a point on an edge is on the border. */
static side
ring_side(const hwi_geo_ring *r, hwi_geo_point p)
{
    bool inside = false;

    for (size_t i = 0; i + 1 < r->count; i++) {
        hwi_geo_point a = r->points[i], b = r->points[i + 1];
        double cross = (b.lon - a.lon) * (p.lat - a.lat) - (b.lat - a.lat) * (p.lon - a.lon);
        bool within_lon = p.lon >= fmin(a.lon, b.lon) && p.lon <= fmax(a.lon, b.lon);
        bool within_lat = p.lat >= fmin(a.lat, b.lat) && p.lat <= fmax(a.lat, b.lat);
        if (cross == 0 && within_lon && within_lat) return BORDER;
        if ((a.lat > p.lat) == (b.lat > p.lat)) continue;
        if ((cross > 0) == (b.lat > a.lat)) inside = !inside;
    }
    return inside ? INSIDE : OUTSIDE;
}

static bool
polygon_contains(const hwi_geo_area *a, hwi_geo_point p)
{
    if (ring_side(&a->rings[0], p) != INSIDE) return false;
    for (size_t i = 1; i < a->ring_count; i++)
        if (ring_side(&a->rings[i], p) != OUTSIDE) return false;
    return true;
}

bool
hwi_geo_contains(const hwi_geo_area *area, hwi_geo_point p)
{
    switch (area->kind) {
    case HWI_GEO_BOX:
        return box_contains(area, p);
    case HWI_GEO_CIRCLE:
        return hwi_geo_distance(area->center, p) < area->radius_m;
    case HWI_GEO_POLYGON:
        break;
    }
    return polygon_contains(area, p);
}

/* ---- codes */

static uint64_t
spread(uint32_t v)
{
    uint64_t x = v;
    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x << 2) & 0x3333333333333333;
    return (x | x << 1) & 0x5555555555555555;
}

static uint32_t
gather(uint64_t x)
{
    x &= 0x5555555555555555;
    x = (x | x >> 1) & 0x3333333333333333;
    x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x >> 4) & 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    return (uint32_t)(x | x >> 16);
}

static uint32_t
to_grid(double v, double from, double width)
{
    double g = (v - from) / width * 4294967296.0;
    return g <= 0 ? 0 : g >= 4294967295.0 ? UINT32_MAX : (uint32_t)g;
}

uint64_t
hwi_geo_code(hwi_geo_point p)
{
    return spread(to_grid(p.lon, -180, 360)) | spread(to_grid(p.lat, -90, 180)) << 1;
}

/* ---- cells */

typedef struct box {
    double west, east, south, north;
} box;

static box
cell_box(uint64_t code, unsigned level)
{
    double side_of = ldexp(1, (int)(LEVELS - level)); /* in grid steps */
    double x = gather(code), y = gather(code >> 1);
    double step_lon = 360 / 4294967296.0, step_lat = 180 / 4294967296.0;
    return (box){-180 + x * step_lon - SLACK, -180 + (x + side_of) * step_lon + SLACK,
                 -90 + y * step_lat - SLACK, -90 + (y + side_of) * step_lat + SLACK};
}

/* [from, to] of the cell against the open interval (left, right) of the area. */
static hwi_geo_relation
interval(double from, double to, double left, double right)
{
    if (to <= left || from >= right) return HWI_GEO_OUT;
    return from > left && to < right ? HWI_GEO_IN : HWI_GEO_PART;
}

static hwi_geo_relation
cell_in_box(const hwi_geo_area *a, const box *c)
{
    double left = a->top_left.lon, right = a->bottom_right.lon;
    hwi_geo_relation lat = interval(c->south, c->north, a->bottom_right.lat, a->top_left.lat);
    hwi_geo_relation lon;

    if (left > right)
        lon = HWI_MAX(interval(c->west, c->east, left, INFINITY),
                      interval(c->west, c->east, -INFINITY, right));
    else
        lon = interval(c->west, c->east, left, right);
    return HWI_MIN(lat, lon); /* OUT < PART < IN */
}

/* Any point of the cell is at most `reach` from its centre: along the centre's parallel, then along
 * a meridian. */
static hwi_geo_relation
cell_in_circle(const hwi_geo_area *a, const box *c)
{
    hwi_geo_point middle = {(c->west + c->east) / 2, (c->south + c->north) / 2};
    double half_lon = (c->east - c->west) / 2 * to_radians;
    double half_lat = (c->north - c->south) / 2 * to_radians;
    double reach = HWI_EARTH_RADIUS_M * (half_lon * cos(middle.lat * to_radians) + half_lat);
    double d = hwi_geo_distance(a->center, middle);
    double slack = 1e-3 + d * 1e-9; /* haversine's rounding, worst at antipodes: metres */

    if (d > 1.9e7) slack = 10;
    if (d - reach - slack >= a->radius_m) return HWI_GEO_OUT;
    return d + reach + slack < a->radius_m ? HWI_GEO_IN : HWI_GEO_PART;
}

/* Whether the segment touches the box: no separating line among the box's sides and the segment. */
static bool
segment_meets_box(hwi_geo_point a, hwi_geo_point b, const box *c)
{
    if (fmax(a.lon, b.lon) < c->west || fmin(a.lon, b.lon) > c->east) return false;
    if (fmax(a.lat, b.lat) < c->south || fmin(a.lat, b.lat) > c->north) return false;

    double dx = b.lon - a.lon, dy = b.lat - a.lat;
    double sw = dx * (c->south - a.lat) - dy * (c->west - a.lon);
    double se = dx * (c->south - a.lat) - dy * (c->east - a.lon);
    double nw = dx * (c->north - a.lat) - dy * (c->west - a.lon);
    double ne = dx * (c->north - a.lat) - dy * (c->east - a.lon);
    bool all_left = sw > 0 && se > 0 && nw > 0 && ne > 0;
    bool all_right = sw < 0 && se < 0 && nw < 0 && ne < 0;
    return !all_left && !all_right;
}

static hwi_geo_relation
cell_in_polygon(const hwi_geo_area *a, const box *c)
{
    for (size_t i = 0; i < a->ring_count; i++)
        for (size_t j = 0; j + 1 < a->rings[i].count; j++)
            if (segment_meets_box(a->rings[i].points[j], a->rings[i].points[j + 1], c))
                return HWI_GEO_PART;
    hwi_geo_point middle = {(c->west + c->east) / 2, (c->south + c->north) / 2};
    return polygon_contains(a, middle) ? HWI_GEO_IN : HWI_GEO_OUT;
}

hwi_geo_relation
hwi_geo_cell(const hwi_geo_area *area, uint64_t code, unsigned level)
{
    box c = cell_box(code, level);

    switch (area->kind) {
    case HWI_GEO_BOX:
        return cell_in_box(area, &c);
    case HWI_GEO_CIRCLE:
        return cell_in_circle(area, &c);
    case HWI_GEO_POLYGON:
        break;
    }
    return cell_in_polygon(area, &c);
}

/* ---- covers */

typedef struct cell {
    uint64_t code;
    unsigned level;
    hwi_geo_relation relation;
} cell;

static uint64_t
cell_span(unsigned level)
{
    return level == 0 ? UINT64_MAX : ((uint64_t)1 << 2 * (LEVELS - level)) - 1;
}

/* The four children that are not OUT replace cell `at`; the list stays in code order. */
static size_t
split(const hwi_geo_area *area, cell *cells, size_t count, size_t at)
{
    cell parent = cells[at], children[4];
    size_t kept = 0;
    unsigned level = parent.level + 1;

    for (uint64_t i = 0; i < 4; i++) {
        uint64_t code = parent.code | i << 2 * (LEVELS - level);
        hwi_geo_relation r = hwi_geo_cell(area, code, level);
        if (r != HWI_GEO_OUT) children[kept++] = (cell){code, level, r};
    }
    memmove(cells + at + kept, cells + at + 1, (count - at - 1) * sizeof *cells);
    memcpy(cells + at, children, kept * sizeof *cells);
    return count - 1 + kept;
}

static size_t
largest_part(const cell *cells, size_t count)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if (cells[i].relation == HWI_GEO_PART && cells[i].level < LEVELS &&
            (best == count || cells[i].level < cells[best].level))
            best = i;
    return best;
}

size_t
hwi_geo_cover(const hwi_geo_area *area, hwi_geo_range out[HWI_GEO_COVER_MAX])
{
    cell cells[HWI_GEO_COVER_MAX] = {{0, 0, HWI_GEO_PART}};
    size_t count = 1, ranges = 0;

    while (count + 3 <= HWI_GEO_COVER_MAX) {
        size_t at = largest_part(cells, count);
        if (at == count) break;
        count = split(area, cells, count, at);
    }
    for (size_t i = 0; i < count; i++) { /* neighbours of one relation join */
        uint64_t from = cells[i].code, to = from + cell_span(cells[i].level);
        hwi_geo_range *last = ranges > 0 ? &out[ranges - 1] : NULL;
        if (last && last->relation == cells[i].relation && last->to + 1 == from)
            last->to = to;
        else
            out[ranges++] = (hwi_geo_range){from, to, cells[i].relation};
    }
    return ranges;
}
