/* calibrate.c - looking efforts up, and their stored form.
 *
 *   format u8, 3 spare, vectors u64, leaves u32, samples u32, count u32, then per row:
 *   k u32, leaves u32, extra u32, eps f32, recall f32, reach f32
 *
 * Format 1 had no reach: leaves were counted. It is still read.
 */
#include "index/calibrate.h"

#define FORMAT 2u
#define FORMAT_COUNTED 1u
#define HEADER 24u
#define ROW 24u
#define ROW_COUNTED 20u
#define ROWS_MAX 4096u
#define REACH_MAX 1e12f
#define COUNT_MOST 1e9 /* of leaves or candidates: more than there are, and fits */
#define USUAL 0.95     /* the recall whose leaves tell how far was looked */
#define FAR_SHORT 0.02 /* of recall: then it is the codes that do not let more through */
/* Powers of k, between two that were measured and beyond the greatest: */
#define LEAVES_POWER_BETWEEN 0.2
#define LEAVES_POWER_LEAST 0.7
#define REACH_POWER_LEAST 0.35

hw_status
hwi_calibration_new(uint32_t rows, hwi_calibration **out, hw_error *err)
{
    hwi_calibration *c = hwi_alloc_zero(sizeof *c);

    *out = NULL;
    if (c) c->rows = hwi_alloc_zero((rows + 1) * sizeof *c->rows);
    if (!c || !c->rows) {
        hwi_free(c);
        return hwi_nomem(err, rows * sizeof *c->rows);
    }
    atomic_init(&c->refs, 1);
    *out = c;
    return HW_OK;
}

hwi_calibration *
hwi_calibration_ref(hwi_calibration *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void
hwi_calibration_unref(hwi_calibration *c)
{
    /* pairs with the decrements of other holders */
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    hwi_free(c->rows);
    hwi_free(c);
}

void
hwi_calibration_encode(const hwi_calibration *c, hwi_buf *out)
{
    uint8_t h[HEADER] = {FORMAT}, r[ROW];

    hwi_put_u64(h + 4, c->vectors);
    hwi_put_u32(h + 12, c->leaves);
    hwi_put_u32(h + 16, c->samples);
    hwi_put_u32(h + 20, c->count);
    hwi_buf_add(out, h, sizeof h);
    for (uint32_t i = 0; i < c->count; i++) {
        const hwi_calibration_row *row = &c->rows[i];
        hwi_put_u32(r, row->k);
        hwi_put_u32(r + 4, row->effort.leaves);
        hwi_put_u32(r + 8, row->effort.extra);
        hwi_put_f32(r + 12, row->effort.eps);
        hwi_put_f32(r + 16, row->effort.recall);
        hwi_put_f32(r + 20, row->effort.reach);
        hwi_buf_add(out, r, sizeof r);
    }
}

static hwi_effort
decode_effort(const uint8_t *row, bool counted)
{
    float reach = counted ? 0 : hwi_get_f32(row + 20);

    if (!(reach > 0)) reach = 0;
    return (hwi_effort){hwi_get_u32(row + 4), HWI_MIN(hwi_get_u32(row + 8), 100000u),
                        hwi_get_f32(row + 12), hwi_get_f32(row + 16), HWI_MIN(reach, REACH_MAX)};
}

hw_status
hwi_calibration_decode(hw_bytes value, hwi_calibration **out, hw_error *err)
{
    const uint8_t *b = value.data;
    hwi_calibration *c;

    *out = NULL;
    bool counted = value.size >= HEADER && b[0] == FORMAT_COUNTED;
    size_t row_bytes = counted ? ROW_COUNTED : ROW;
    if (value.size < HEADER || (b[0] != FORMAT && !counted) || hwi_get_u32(b + 20) > ROWS_MAX ||
        value.size != HEADER + row_bytes * hwi_get_u32(b + 20))
        return hwi_fail(err, HW_ECORRUPT, "calibration of %zu bytes does not decode", value.size);
    HWI_TRY(hwi_calibration_new(hwi_get_u32(b + 20), &c, err));
    c->vectors = hwi_get_u64(b + 4);
    c->leaves = hwi_get_u32(b + 12);
    c->samples = hwi_get_u32(b + 16);
    c->count = hwi_get_u32(b + 20);
    for (uint32_t i = 0; i < c->count; i++) {
        const uint8_t *r = b + HEADER + i * row_bytes;
        c->rows[i] = (hwi_calibration_row){hwi_get_u32(r), decode_effort(r, counted)};
    }
    *out = c;
    return HW_OK;
}

/* Without measurements: a share of the leaves that grows as the recall nears 1. */
static hwi_effort
guess(uint32_t k, double recall, uint32_t leaves, uint32_t leaf_size)
{
    double share = recall > 0.98 ? 0.3 : recall > 0.9 ? 0.15 : 0.08;
    double least = 4.0 * k / HWI_MAX(leaf_size, 1u) + 8;
    double n = HWI_MAX(share * leaves, least);

    return (hwi_effort){(uint32_t)HWI_MIN(n, (double)leaves), HWI_MIN(k, 50u) + k / 10, 3.0f,
                        (float)recall, 0};
}

/* The rows of one k: [*first, *end). */
static void
rows_of(const hwi_calibration *c, uint32_t k, uint32_t *first, uint32_t *end)
{
    *first = 0;
    while (*first < c->count && c->rows[*first].k != k) (*first)++;
    *end = *first;
    while (*end < c->count && c->rows[*end].k == k) (*end)++;
}

/* The least effort measured for this k that reached the recall; between two measurements leaves and
 * reach are interpolated. */
static hwi_effort
pick_for(const hwi_calibration *c, uint32_t k, double recall)
{
    uint32_t first, end, i;

    rows_of(c, k, &first, &end);
    for (i = first; i < end - 1 && c->rows[i].effort.recall < recall; i++) {
    }
    hwi_effort e = c->rows[i].effort;
    if (i == first || e.recall < recall) return e;
    hwi_effort less = c->rows[i - 1].effort;
    bool by_reach = e.reach > 0 && less.reach > 0; /* then leaves are but a mean, rounded up */
    if (less.recall >= e.recall || less.leaves > e.leaves || isinf(less.eps) != isinf(e.eps))
        return e;
    if (by_reach ? less.reach >= e.reach : less.leaves == e.leaves) return e;
    double t = (recall - less.recall) / (e.recall - less.recall);
    e.leaves = less.leaves + (uint32_t)(t * (e.leaves - less.leaves) + 0.5);
    if (!isinf(e.eps)) e.eps = (float)(less.eps + t * (e.eps - less.eps));
    if (by_reach) e.reach = (float)(less.reach * pow((double)e.reach / less.reach, t));
    e.recall = (float)recall;
    return e;
}

/* What grows from a, at ka, to b, at kb, at some k: by the power that joins them. Where that is above 1,
 * k near kb went into other clusters; nobody knows at which k that begins, and so they are joined by a
 * straight line, which is more; and beyond kb such a step is not taken again. `least` is of the power. */
static double
join(double a, uint32_t ka, double b, uint32_t kb, uint32_t k, double least)
{
    double power = log(b / a) / log((double)kb / ka);

    if (k <= kb && power > 1) return a + (b - a) * (k - ka) / (kb - ka);
    power = HWI_MIN(HWI_MAX(power, least), 1.0);
    return k > kb ? b * pow((double)k / kb, power) : a * pow((double)k / ka, power);
}

/* For a k between two that were measured or, when k is above kb, beyond them. */
static hwi_effort
between(hwi_effort a, uint32_t ka, hwi_effort b, uint32_t kb, uint32_t k)
{
    bool beyond = k > kb;
    hwi_effort e = b;

    /* beyond what was measured neighbours may lie in other clusters: do not trust a small power */
    double leaves = join(HWI_MAX(a.leaves, 1u), ka, HWI_MAX(b.leaves, 1u), kb, k,
                         beyond ? LEAVES_POWER_LEAST : LEAVES_POWER_BETWEEN);
    e.leaves = (uint32_t)fmin(ceil(leaves), COUNT_MOST);
    double extra = beyond ? (double)b.extra * k / kb + 1
                          : join(HWI_MAX(a.extra, 1u), ka, HWI_MAX(b.extra, 1u), kb, k, 0);
    e.extra = (uint32_t)fmin(ceil(extra), COUNT_MOST);
    e.eps = HWI_MAX(a.eps, b.eps);
    if (a.reach > 0 && b.reach > 0)
        e.reach = (float)fmin(
            join((double)a.reach, ka, (double)b.reach, kb, k, beyond ? REACH_POWER_LEAST : 0),
            REACH_MAX);
    e.recall = HWI_MIN(a.recall, b.recall);
    return e;
}

bool
hwi_calibration_covers(const hwi_calibration *cal, double k)
{
    return cal && cal->count > 0 && k <= cal->rows[cal->count - 1].k;
}

hwi_effort
hwi_calibration_pick(const hwi_calibration *cal, uint32_t k, double recall, uint32_t leaves,
                     uint32_t leaf_size)
{
    uint32_t low = 0, high = 0;

    if (!cal || cal->count == 0) return guess(k, recall, leaves, leaf_size);
    for (uint32_t i = 0; i < cal->count; i++) { /* the measured k on both sides, or the last two */
        if (cal->rows[i].k == high) continue;
        if (high >= k && low > 0) break;
        low = high, high = cal->rows[i].k;
        if (low == 0 && high >= k) break;
    }
    hwi_effort e;
    bool beyond = k > high && (double)pick_for(cal, high, USUAL).leaves * leaf_size < k;
    if (low == 0 || high == k)
        e = pick_for(cal, high, recall);
    else
        e = between(pick_for(cal, low, recall), low, pick_for(cal, high, recall), high, k);
    /* what was measured on fewer leaves is a share of them */
    if (cal->leaves && leaves > cal->leaves) {
        double growth = sqrt((double)leaves / cal->leaves);
        e.leaves = (uint32_t)fmin(ceil(e.leaves * growth), COUNT_MOST);
        e.reach = (float)fmin(e.reach * growth, REACH_MAX);
    }
    double least = 1.2 * k / HWI_MAX(leaf_size, 1u) + 1;
    e.leaves = HWI_MIN(HWI_MAX(e.leaves, (uint32_t)HWI_MIN(least, 1e9)), leaves);
    bool is_short = e.recall + (1 - recall) / 2 < recall;
    if (beyond || is_short)
        e.leaves = leaves, e.reach = 0; /* none reached it, or nothing so far away was looked at */
    if (is_short && e.recall + FAR_SHORT < recall) e.eps = HWI_EPS_MEASURED;
    if (is_short && isinf(e.eps)) e.recall = 1;
    return e;
}
