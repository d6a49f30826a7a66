/* sample.c - hw_collection_sample: points drawn at random.
 *
 * Of n slots that match, `limit` ranks are drawn by Floyd's method, which needs as many random
 * numbers as points wanted and never draws one twice: for j from n - limit to n - 1, draw t from
 * 0 .. j; take t, or j when t was taken already. The order in which they come is random after a
 * shuffle. Ranks become slots by a walk over the bitmap's containers. */
#include "api/api.h"

#define LIMIT_MAX 1000000u

static hw_status
draw(const roaring_bitmap_t *from, uint64_t n, uint32_t limit, uint64_t seed, uint32_t *slots,
     hw_error *err)
{
    hwi_rng rng;
    roaring_bitmap_t *taken = roaring_bitmap_create();
    if (!taken) return hwi_nomem(err, 64);
    hwi_rng_init(&rng, seed);
    for (uint32_t i = 0; i < limit; i++) {
        uint32_t j = (uint32_t)(n - limit) + i;
        uint32_t rank = (uint32_t)hwi_rng_below(&rng, (uint64_t)j + 1);
        if (!roaring_bitmap_add_checked(taken, rank)) {
            rank = j;
            roaring_bitmap_add(taken, rank);
        }
        roaring_bitmap_select(from, rank, &slots[i]);
        uint32_t k = (uint32_t)hwi_rng_below(&rng, (uint64_t)i + 1);
        uint32_t other = slots[k];
        slots[k] = slots[i];
        slots[i] = other;
    }
    roaring_bitmap_free(taken);
    return HW_OK;
}

static hw_status
sample_view(hwi_view *view, const char *filter, size_t filter_bytes, uint64_t seed, uint32_t limit,
            uint32_t with, hw_result **out, hw_error *err)
{
    roaring_bitmap_t *matching;
    char *warning = NULL;
    HWI_TRY(hwi_match(view, filter, filter_bytes, &matching, &warning, err));
    uint64_t n = roaring_bitmap_get_cardinality(matching);
    uint32_t count = (uint32_t)HWI_MIN((uint64_t)limit, n);
    uint32_t *slots = hwi_alloc((size_t)count * sizeof *slots);
    hw_status st = slots ? draw(matching, n, count, seed, slots, err)
                         : hwi_nomem(err, (size_t)count * sizeof *slots);
    if (st == HW_OK) st = hwi_result_new(view, slots, NULL, count, with, NULL, out, err);
    if (st == HW_OK)
        hwi_result_take_warning(*out, warning);
    else
        hwi_free(warning);
    hwi_free(slots);
    roaring_bitmap_free(matching);
    return st;
}

hw_status
hw_collection_sample(hw_collection *c, const char *filter, size_t filter_bytes, uint64_t seed,
                     uint32_t limit, uint32_t with, hw_result **out, hw_error *err)
{
    HWI_NOT_FAR(c, "a sample");
    hwi_view *view;
    *out = NULL;
    if (limit == 0 || limit > LIMIT_MAX) {
        return hwi_fail(err, HW_EINVAL, "limit %u is not in 1 to %u", limit, LIMIT_MAX);
    }
    HWI_TRY(hwi_reading_begin(c, &view, err));
    hw_status st = sample_view(view, filter, filter_bytes, seed, limit, with, out, err);
    hwi_reading_end(c, view);
    return st;
}
