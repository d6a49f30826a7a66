/* fusion.c - one list out of several.
 *
 * Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) looks at ranks alone, so it can join
 * lists whose scores have nothing in common. A weight shrinks the ranks of its list: with weight 3
 * the third place counts as the first would. A weight of 0 leaves the points in, with nothing.
 *
 * Distribution-based score fusion brings each list's scores to a common scale first, by their mean
 * and deviation; a single score, or all the same, is 0.5. As in Qdrant it takes greater for better
 * whatever the metric.
 *
 * Sums are kept in floats, as Qdrant's are, so that equal inputs tie in both. Where a float ends, with
 * weights or scores near its largest, so does a sum: JSON has no infinity to answer.
 */
#include "server/query/query.h"

#include <float.h>
#include <math.h>

/* The scores of one list before they are added up. */
typedef struct scale {
    float (*score)(const struct scale *s, const hwi_hits *list, size_t i);
    float k, weight;  /* rank fusion */
    float low, width; /* score fusion; width 0: all the same */
} scale;

static float
score_of_rank(const scale *s, const hwi_hits *list, size_t i)
{
    (void)list;
    if (s->weight <= 0) return 0;
    return 1.0f / ((float)(i + 1) / s->weight + s->k - 1.0f);
}

static float
score_on_scale(const scale *s, const hwi_hits *list, size_t i)
{
    return s->width > 0 ? (list->scores[i] - s->low) / s->width : 0.5f;
}

/* Mean and deviation in one pass (Welford 1962). */
static void
measure(const hwi_hits *list, scale *s)
{
    float mean = 0, sum = 0;
    s->low = s->width = 0;
    if (list->count < 2) return;
    for (size_t i = 0; i < list->count; i++) {
        float before = list->scores[i] - mean;
        mean += before / (float)(i + 1);
        sum += before * (list->scores[i] - mean);
    }
    float deviation = sqrtf(sum / (float)(list->count - 1));
    float low = mean - 3 * deviation, width = mean + 3 * deviation - low;
    if (!(deviation > 0) || !isfinite(width)) return;
    s->low = low;
    s->width = width;
}

/* Adds up the scores of all lists, each on its own scale. */
static bool
add_up(hwi_request *r, const hwi_hits *lists, const scale *scales, size_t list_count, hwi_hits *out)
{
    hwi_idmap map;
    if (!hwi_hits_union(r, lists, list_count, &out->ids, &out->count)) return false;
    if (!hwi_idmap_init(r, out->ids, out->count, &map)) return false;
    /* The map finds positions in ids as they are now; sorting moves them, so the map gets a copy. */
    hw_id *order = hwi_request_alloc(r, (out->count ? out->count : 1) * sizeof *order);
    out->scores = hwi_request_alloc(r, (out->count ? out->count : 1) * sizeof *out->scores);
    if (!order || !out->scores) return false;
    if (out->count) memcpy(order, out->ids, out->count * sizeof *order);
    map.ids = order;
    for (size_t i = 0; i < out->count; i++) out->scores[i] = 0;
    for (size_t l = 0; l < list_count; l++) {
        for (size_t i = 0; i < lists[l].count; i++) {
            size_t at = hwi_idmap_find(&map, &lists[l].ids[i]);
            float sum = out->scores[at] + scales[l].score(&scales[l], &lists[l], i);
            out->scores[at] = fminf(sum, FLT_MAX);
        }
    }
    return hwi_hits_sort(r, out);
}

bool
hwi_fuse_rrf(hwi_request *r, const hwi_hits *lists, size_t list_count, uint32_t k,
             const float *weights, hwi_hits *out)
{
    scale *scales = hwi_request_alloc(r, (list_count ? list_count : 1) * sizeof *scales);
    if (!scales) return false;
    for (size_t i = 0; i < list_count; i++) {
        scales[i] =
            (scale){.score = score_of_rank, .k = (float)k, .weight = weights ? weights[i] : 1.0f};
    }
    return add_up(r, lists, scales, list_count, out);
}

bool
hwi_fuse_dbsf(hwi_request *r, const hwi_hits *lists, size_t list_count, hwi_hits *out)
{
    scale *scales = hwi_request_alloc(r, (list_count ? list_count : 1) * sizeof *scales);
    if (!scales) return false;
    for (size_t i = 0; i < list_count; i++) {
        scales[i] = (scale){.score = score_on_scale};
        measure(&lists[i], &scales[i]);
    }
    return add_up(r, lists, scales, list_count, out);
}
