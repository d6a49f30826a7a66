/* filter_estimate.c - how many points a filter may match, from counts in the indexes' headers.
 *
 * A planner needs an order of magnitude before it pays for bitmaps. So: every condition is a share
 * of the points, read from the headers of the bitmaps and pages a lookup would read; shares combine
 * as if conditions were independent. That is wrong for correlated conditions, in either direction,
 * which costs a plan and never an answer. */
#include "payload/filter_lookup.h"

#define UNKNOWN_SHARE (1.0 / 3)
#define VALUES_COUNTED 64u /* of a long list; the rest counts as these do */
#define POISSON_MAX 4096u

typedef struct estimator {
    hw_store_txn *txn;
    uint32_t coll;
    const hwi_schema *schema;
    const char **paths;
    hwi_arena arena;
    double points;
} estimator;

static double filter_share(estimator *e, const hwi_filter *f, const char *around);

static double
clamp(double share)
{
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* A failed read is no reason to fail a guess; resolve will report it. */
static double
kind_share(estimator *e, const hwi_lookup *start, hwi_pix_kind kind)
{
    hwi_lookup l = *start;
    if (hwi_lookup_kind(&l, kind, NULL) != HW_OK) return UNKNOWN_SHARE;
    return clamp((double)l.sure_count / e->points);
}

static double
union_share(estimator *e, const hwi_lookup *start, const hwi_cond *c)
{
    hwi_lookup l = *start;
    hwi_cond part = *c;
    double scale = 1;

    if (c->kind == HWI_COND_ANY || c->kind == HWI_COND_EXCEPT) {
        hwi_match_set *s = &part.as.set;
        size_t all = s->text_count + s->int_count + s->uint_count, before = all;
        s->text_count = HWI_MIN(s->text_count, (size_t)VALUES_COUNTED);
        s->int_count = HWI_MIN(s->int_count, (size_t)VALUES_COUNTED);
        s->uint_count = HWI_MIN(s->uint_count, (size_t)VALUES_COUNTED);
        all = s->text_count + s->int_count + s->uint_count;
        if (all > 0) scale = (double)before / (double)all;
    }
    if (hwi_lookup_union(&l, &part, NULL) != HW_OK) return UNKNOWN_SHARE;
    return clamp(scale * ((double)l.sure_count + (double)l.maybe_count / 2) / e->points);
}

static double
words_share(estimator *e, const hwi_lookup *start, const hwi_cond *c)
{
    double share = 1;

    for (size_t i = 0; i < c->as.words.count && i < VALUES_COUNTED; i++) {
        hwi_lookup l = *start;
        if (hwi_lookup_word(&l, c->as.words.words[i], NULL) != HW_OK) return UNKNOWN_SHARE;
        share *= clamp((double)l.sure_count / e->points);
    }
    return share;
}

static double
index_share(estimator *e, const hwi_pix_field *field, const hwi_cond *c)
{
    hwi_lookup start = {.txn = e->txn, .coll = e->coll, .field = field, .counting = true};
    double share;

    switch (c->kind) {
    case HWI_COND_EMPTY:
        share = kind_share(e, &start, HWI_PIX_PRESENT);
        return c->negate ? share : 1 - share;
    case HWI_COND_NULL:
        share = kind_share(e, &start, HWI_PIX_NULLS);
        return c->negate ? 1 - share : share;
    case HWI_COND_COUNT:
        share = kind_share(e, &start, HWI_PIX_PRESENT);
        return c->as.count.from > 1 ? share / 2 : share;
    case HWI_COND_EXCEPT:
        share = kind_share(e, &start, HWI_PIX_COVERED) + kind_share(e, &start, HWI_PIX_OTHER);
        return clamp(share - union_share(e, &start, c));
    case HWI_COND_TEXT:
    case HWI_COND_PHRASE:
        if (field->type == HWI_PIX_TEXT && c->as.words.count > 1) return words_share(e, &start, c);
        return union_share(e, &start, c);
    default:
        return union_share(e, &start, c);
    }
}

static double
field_share(estimator *e, const hwi_cond *c, const char *around)
{
    const char *path = hwi_lookup_path_text(&e->arena, around, c->path);

    for (size_t i = 0; path && i < e->schema->count; i++) {
        if (!e->paths[i] || strcmp(e->paths[i], path) != 0) continue;
        return index_share(e, &e->schema->fields[i], c);
    }
    return UNKNOWN_SHARE;
}

static double
cond_share(estimator *e, const hwi_cond *c, const char *around)
{
    const char *inside;

    switch (c->kind) {
    case HWI_COND_FILTER:
        return filter_share(e, c->as.filter, around);
    case HWI_COND_ID:
        return clamp((double)c->as.has.count / e->points);
    case HWI_COND_SLICE:
        return 1.0 / c->as.slice.total;
    case HWI_COND_VECTOR:
        return 1; /* most points have the vectors there are */
    case HWI_COND_NESTED:
        inside = hwi_lookup_path_text(&e->arena, around, c->path);
        return inside ? filter_share(e, c->as.filter, inside) : UNKNOWN_SHARE;
    default:
        return field_share(e, c, around);
    }
}

static double
any_share(estimator *e, const hwi_clause *clause, const char *around)
{
    double none = 1;
    for (size_t i = 0; i < clause->count; i++) none *= 1 - cond_share(e, &clause->conds[i], around);
    return 1 - none;
}

/* Chance that at least `need` of independent conditions hold: below[j] is the chance that exactly j
 * of those seen so far do, for j < need. */
static double
threshold_share(estimator *e, const hwi_clause *clause, uint64_t need, const char *around)
{
    double below[VALUES_COUNTED] = {1}, sum = 0;

    if (need == 0) return 1;
    if (need > clause->count) return 0;
    if (need > VALUES_COUNTED || need * clause->count > POISSON_MAX) return UNKNOWN_SHARE;
    for (size_t i = 0; i < clause->count; i++) {
        double p = cond_share(e, &clause->conds[i], around);
        for (size_t j = (size_t)need - 1; j > 0; j--)
            below[j] = below[j] * (1 - p) + below[j - 1] * p;
        below[0] *= 1 - p;
    }
    for (size_t j = 0; j < need; j++) sum += below[j];
    return clamp(1 - sum);
}

static double
filter_share(estimator *e, const hwi_filter *f, const char *around)
{
    double share = 1;

    for (size_t i = 0; i < f->must.count; i++) share *= cond_share(e, &f->must.conds[i], around);
    for (size_t i = 0; i < f->must_not.count; i++)
        share *= 1 - cond_share(e, &f->must_not.conds[i], around);
    if (f->should.count > 0) share *= any_share(e, &f->should, around);
    if (f->has_min_should) share *= threshold_share(e, &f->min_should, f->min_count, around);
    return clamp(share);
}

uint64_t
hwi_filter_estimate(const hwi_filter *filter, hw_store_txn *txn, uint32_t coll,
                    const hwi_schema *schema, uint64_t points)
{
    estimator e = {.txn = txn, .coll = coll, .schema = schema, .points = (double)points};
    double share = UNKNOWN_SHARE;

    if (points == 0) return 0;
    if (hwi_lookup_paths(schema, &e.arena, &e.paths, NULL) == HW_OK)
        share = filter_share(&e, filter, "");
    hwi_arena_release(&e.arena);
    return (uint64_t)(share * (double)points + 0.5);
}
