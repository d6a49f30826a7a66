/* filter_verdict.c - and, or and not on pairs of sets that enclose the matches.
 *
 *        sure  is in  matches  is in  may
 *
 *     and   may = may1 * may2        sure = sure1 * sure2
 *     or    may = may1 + may2        sure = sure1 + sure2
 *     not   may = live - sure1       sure = live - may1
 *
 * So nothing an index does not know can make an answer wrong, only wider. A missing `may` stands for
 * all live slots and a missing `sure` for none, which is what an unindexed condition amounts to and
 * costs nothing to combine; an exact verdict has one set instead of two equal ones. CRoaring's own
 * allocations cannot be made to fail by our tests; where it reports that it is out of memory, so do
 * we. */
#include "payload/filter_verdict.h"

#define BITMAP_BYTES 64u /* for messages: the size CRoaring wanted is its own */

void
hwi_verdict_release(hwi_verdict *v)
{
    hwi_verdict_drop(&v->may);
    hwi_verdict_drop(&v->sure);
    *v = hwi_verdict_unknown();
}

hw_status
hwi_verdict_nothing(hwi_verdict *out, hw_error *err)
{
    *out = (hwi_verdict){.may = roaring_bitmap_create(), .exact = true};
    return out->may ? HW_OK : hwi_nomem(err, BITMAP_BYTES);
}

bool
hwi_verdict_is_nothing(const hwi_verdict *v)
{
    return v->exact && v->may && roaring_bitmap_is_empty(v->may);
}

hw_status
hwi_verdict_copy(const hwi_verdict *v, hwi_verdict *out, hw_error *err)
{
    *out = (hwi_verdict){.exact = v->exact};
    if (v->may && !(out->may = roaring_bitmap_copy(v->may))) return hwi_nomem(err, BITMAP_BYTES);
    if (v->sure && !(out->sure = roaring_bitmap_copy(v->sure))) {
        hwi_verdict_release(out);
        return hwi_nomem(err, BITMAP_BYTES);
    }
    return HW_OK;
}

hw_status
hwi_verdict_loosen(hwi_verdict *v, hw_error *err)
{
    if (!v->exact) return HW_OK;
    HWI_ASSERT(v->may);
    v->exact = false;
    v->sure = roaring_bitmap_copy(v->may);
    return v->sure ? HW_OK : hwi_nomem(err, BITMAP_BYTES);
}

void
hwi_verdict_drop(roaring_bitmap_t **set)
{
    if (*set) roaring_bitmap_free(*set);
    *set = NULL;
}

/* What was b's becomes a's. */
static void
take_set(roaring_bitmap_t **a, roaring_bitmap_t **b)
{
    *a = *b;
    *b = NULL;
}

static void
intersect_loose(hwi_verdict *a, hwi_verdict *b)
{
    if (!a->may)
        take_set(&a->may, &b->may);
    else if (b->may)
        roaring_bitmap_and_inplace(a->may, b->may);
    if (a->sure && b->sure)
        roaring_bitmap_and_inplace(a->sure, b->sure);
    else
        hwi_verdict_drop(&a->sure);
}

hw_status
hwi_verdict_and(hwi_verdict *a, hwi_verdict *b, hw_error *err)
{
    hw_status st = HW_OK;

    if (hwi_verdict_is_everything(a)) {
        *a = *b;
        *b = hwi_verdict_unknown();
    } else if (a->exact && b->exact && b->may) {
        roaring_bitmap_and_inplace(a->may, b->may);
    } else if (!hwi_verdict_is_everything(b)) {
        st = hwi_verdict_loosen(a, err);
        if (st == HW_OK) st = hwi_verdict_loosen(b, err);
        if (st == HW_OK) intersect_loose(a, b);
    }
    hwi_verdict_release(b);
    return st;
}

static void
unite_loose(hwi_verdict *a, hwi_verdict *b)
{
    if (a->may && b->may)
        roaring_bitmap_or_inplace(a->may, b->may);
    else
        hwi_verdict_drop(&a->may);
    if (!a->sure)
        take_set(&a->sure, &b->sure);
    else if (b->sure)
        roaring_bitmap_or_inplace(a->sure, b->sure);
}

hw_status
hwi_verdict_or(hwi_verdict *a, hwi_verdict *b, hw_error *err)
{
    hw_status st = HW_OK;

    if (hwi_verdict_is_everything(a) || hwi_verdict_is_everything(b)) {
        hwi_verdict_release(a);
        *a = hwi_verdict_everything();
    } else if (a->exact && b->exact) {
        roaring_bitmap_or_inplace(a->may, b->may);
    } else {
        st = hwi_verdict_loosen(a, err);
        if (st == HW_OK) st = hwi_verdict_loosen(b, err);
        if (st == HW_OK) unite_loose(a, b);
    }
    hwi_verdict_release(b);
    return st;
}

/* live - set, for a set that is there. */
static hw_status
all_but(const roaring_bitmap_t *live, const roaring_bitmap_t *set, roaring_bitmap_t **out,
        hw_error *err)
{
    *out = set ? roaring_bitmap_andnot(live, set) : NULL;
    return *out || !set ? HW_OK : hwi_nomem(err, BITMAP_BYTES);
}

hw_status
hwi_verdict_not(hwi_verdict *v, const roaring_bitmap_t *live, hw_error *err)
{
    hwi_verdict n = {.exact = v->exact};

    if (hwi_verdict_is_everything(v)) return hwi_verdict_nothing(v, err);
    hw_status st = all_but(live, v->exact ? v->may : v->sure, &n.may, err);
    if (st == HW_OK && !v->exact) st = all_but(live, v->may, &n.sure, err);
    hwi_verdict_release(v);
    if (st == HW_OK)
        *v = n;
    else
        hwi_verdict_release(&n);
    return st;
}
