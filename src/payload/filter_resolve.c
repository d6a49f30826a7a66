/* filter_resolve.c - a filter as sets of slots, from the payload indexes.
 *
 * Every condition becomes a verdict, a pair of sets around the true one, from the indexes on its
 * field; clauses combine verdicts (filter_verdict.c). When both sets are equal in the end, no payload
 * needs to be read.
 *
 * Inside `nested` a filter speaks of one element, but indexes know slots: "some element has b = 1"
 * and "some element has c = 2" may be two elements. There `may` combines as elsewhere, `sure`
 * survives only where one condition decides ("some element has b = 1 or c = 2"), and "not" knows
 * nothing. */
#include "payload/filter_lookup.h"
#include "payload/filter_verdict.h"
#include "records/records.h"

#include <stdio.h>

typedef struct resolver {
    hw_store_txn *txn;
    const hwi_conf *conf;
    const char **paths;
    roaring_bitmap_t *const *having;
    hwi_arena arena;
    roaring_bitmap_t *live; /* loaded when first needed */
    char warning[320];
    hw_error *err;
} resolver;

/* Where a condition stands: the path of the arrays around it, "" outside `nested`. */
typedef const char *around;

static hw_status resolve_filter(resolver *r, const hwi_filter *f, around at, hwi_verdict *out);

static hw_status
load_live(resolver *r)
{
    return r->live ? HW_OK : hwi_pix_live(r->txn, r->conf->coll, &r->live, r->err);
}

static hw_status
negate(resolver *r, hwi_verdict *v)
{
    hw_status st = load_live(r);
    if (st != HW_OK) {
        hwi_verdict_release(v);
        return st;
    }
    return hwi_verdict_not(v, r->live, r->err);
}

/* ---- one condition, one index */

static hw_status
kind_bitmap(hwi_lookup *l, hwi_pix_kind kind, roaring_bitmap_t **out, hw_error *err)
{
    *out = NULL;
    hw_status st = hwi_lookup_kind(l, kind, err);
    if (st == HW_OK) st = hwi_slots_bitmap(&l->sure, out, err);
    hwi_lookup_release(l);
    return st;
}

static hw_status
exact_kind(resolver *r, const hwi_lookup *start, hwi_pix_kind kind, hwi_verdict *out)
{
    hwi_lookup l = *start;
    *out = (hwi_verdict){.exact = true};
    return kind_bitmap(&l, kind, &out->may, r->err);
}

/* sure and maybe as gathered become a verdict. */
static hw_status
finish_union(resolver *r, hwi_lookup *l, hwi_verdict *out)
{
    *out = hwi_verdict_unknown();
    HWI_TRY(hwi_slots_bitmap(&l->maybe, &out->may, r->err));
    hw_status st = hwi_slots_bitmap(&l->sure, &out->sure, r->err);
    if (st != HW_OK) {
        hwi_verdict_release(out);
        return st;
    }
    if (roaring_bitmap_is_subset(out->may, out->sure)) {
        roaring_bitmap_free(out->may);
        *out = (hwi_verdict){.may = out->sure, .exact = true};
    } else {
        roaring_bitmap_or_inplace(out->may, out->sure);
    }
    return HW_OK;
}

static hw_status
union_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, hwi_verdict *out)
{
    hwi_lookup l = *start;

    *out = hwi_verdict_unknown();
    hw_status st = hwi_lookup_union(&l, c, r->err);
    if (st == HW_OK) st = finish_union(r, &l, out);
    hwi_lookup_release(&l);
    return st;
}

/* An element outside a set. With H the slots that have an element in it for sure, and D maybe:
 *
 *     sure   covered, and in neither H nor D: such an element is not in the set
 *            an element beyond the index, unless the set holds such values too
 *     may    not those in H with a single element */
static hw_status
except_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, hwi_verdict *out)
{
    hwi_lookup set = *start, work = *start;
    hwi_verdict in_set = {0};
    roaring_bitmap_t *covered = NULL, *other = NULL, *multi = NULL;

    *out = hwi_verdict_unknown();
    hw_status st = hwi_lookup_union(&set, c, r->err);
    bool beyond = set.beyond;
    if (st == HW_OK) st = finish_union(r, &set, &in_set);
    hwi_lookup_release(&set);
    if (st == HW_OK) st = kind_bitmap(&work, HWI_PIX_COVERED, &covered, r->err);
    if (st == HW_OK) st = kind_bitmap(&work, HWI_PIX_OTHER, &other, r->err);
    if (st == HW_OK) st = kind_bitmap(&work, HWI_PIX_MULTI, &multi, r->err);
    if (st == HW_OK) st = hwi_verdict_loosen(&in_set, r->err);
    if (st == HW_OK) {
        roaring_bitmap_andnot_inplace(in_set.sure, multi);
        out->may = roaring_bitmap_andnot(covered, in_set.sure);
        out->sure = roaring_bitmap_andnot(covered, in_set.may);
        if (!out->may || !out->sure) st = hwi_nomem(r->err, 64);
    }
    if (st == HW_OK) {
        roaring_bitmap_or_inplace(out->may, other);
        if (!beyond) roaring_bitmap_or_inplace(out->sure, other);
    }
    hwi_verdict_release(&in_set);
    hwi_verdict_drop(&covered);
    hwi_verdict_drop(&other);
    hwi_verdict_drop(&multi);
    if (st != HW_OK) hwi_verdict_release(out);
    return st;
}

/* All words of a text. Each is in some element; with a single element they are in the same, and
 * then they are all that TEXT asks, though not in order as PHRASE does. */
static hw_status
words_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, hwi_verdict *out)
{
    const hwi_word_list *w = &c->as.words;
    hw_status st = HW_OK;

    *out = hwi_verdict_everything();
    for (size_t i = 0; st == HW_OK && i < w->count && !hwi_verdict_is_nothing(out); i++) {
        hwi_lookup l = *start;
        hwi_verdict word;
        st = hwi_lookup_word(&l, w->words[i], r->err);
        if (st == HW_OK) st = finish_union(r, &l, &word);
        hwi_lookup_release(&l);
        if (st == HW_OK) st = hwi_verdict_and(out, &word, r->err);
    }
    if (st == HW_OK && !hwi_verdict_is_nothing(out)) {
        hwi_verdict multi = {0};
        st = hwi_verdict_loosen(out, r->err);
        if (c->kind == HWI_COND_PHRASE)
            hwi_verdict_drop(&out->sure);
        else if (st == HW_OK)
            st = exact_kind(r, start, HWI_PIX_MULTI, &multi);
        if (st == HW_OK && multi.may) roaring_bitmap_andnot_inplace(out->sure, multi.may);
        hwi_verdict_release(&multi);
    }
    if (st != HW_OK) hwi_verdict_release(out);
    return st;
}

/* is_empty and is_null, which an index of any type decides, save where the question is about one of
 * several values. */
static hw_status
absence_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, around at, hwi_verdict *out)
{
    bool null = c->kind == HWI_COND_NULL, one_of_many = c->each || at[0] != '\0';
    /* PRESENT: some value is not empty; NULLS: some value is null */
    bool asks_some = null ? !c->negate : c->negate;

    *out = hwi_verdict_unknown();
    if (one_of_many && !asks_some) return HW_OK;
    HWI_TRY(exact_kind(r, start, null ? HWI_PIX_NULLS : HWI_PIX_PRESENT, out));
    return asks_some ? HW_OK : negate(r, out);
}

/* An array of n entries, or another value as one; PRESENT has some value with one or more. */
static hw_status
count_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, hwi_verdict *out)
{
    *out = hwi_verdict_unknown();
    if (c->as.count.from > c->as.count.to) return hwi_verdict_nothing(out, r->err);
    if (c->as.count.from == 0) return HW_OK;
    HWI_TRY(exact_kind(r, start, HWI_PIX_PRESENT, out));
    if (c->as.count.from > 1 || c->as.count.to != UINT64_MAX) out->exact = false;
    return HW_OK;
}

static hw_status
index_answer(resolver *r, const hwi_pix_field *field, const hwi_cond *c, around at,
             hwi_verdict *out)
{
    hwi_lookup start = {.txn = r->txn, .coll = r->conf->coll, .field = field};

    switch (c->kind) {
    case HWI_COND_EMPTY:
    case HWI_COND_NULL:
        return absence_answer(r, &start, c, at, out);
    case HWI_COND_COUNT:
        return count_answer(r, &start, c, out);
    case HWI_COND_EXCEPT:
        return except_answer(r, &start, c, out);
    case HWI_COND_TEXT:
    case HWI_COND_PHRASE:
        if (field->type == HWI_PIX_TEXT && c->as.words.count > 1)
            return words_answer(r, &start, c, out);
        return union_answer(r, &start, c, out);
    default:
        return union_answer(r, &start, c, out);
    }
}

/* ---- conditions */

static void
warn(resolver *r, const char *path, const hwi_cond *c, const hwi_pix_field *other)
{
    const char *wanted = hwi_pix_type_text(hwi_lookup_wanted(c));

    if (r->warning[0]) return;
    if (other)
        snprintf(r->warning, sizeof r->warning,
                 "filter on field `%.160s` tests payloads: its index is of type %s, one of type %s "
                 "would serve it",
                 path, hwi_pix_type_text(other->type), wanted);
    else
        snprintf(r->warning, sizeof r->warning,
                 "filter on unindexed field `%.160s` tests payloads: create an index of type %s",
                 path, wanted);
}

static hw_status
field_answer(resolver *r, const hwi_cond *c, around at, hwi_verdict *out)
{
    const hwi_pix_field *unfit = NULL;
    bool served = false;

    *out = hwi_verdict_unknown();
    const char *path = hwi_lookup_path_text(&r->arena, at, c->path);
    if (!path) return hwi_nomem(r->err, 64);
    for (size_t i = 0; i < r->conf->schema.count; i++) {
        const hwi_pix_field *field = &r->conf->schema.fields[i];
        hwi_verdict one;
        if (!r->paths[i] || strcmp(r->paths[i], path) != 0) continue;
        HWI_TRY(index_answer(r, field, c, at, &one));
        if (hwi_lookup_serves(field->type, c))
            served = true;
        else
            unfit = field;
        if (out->may || out->sure)
            HWI_TRY(hwi_verdict_and(out, &one, r->err)); /* two indexes: both are right */
        else
            *out = one;
    }
    if (!served && !out->exact) warn(r, path, c, unfit);
    return HW_OK;
}

static hw_status
ids_answer(resolver *r, const hwi_cond *c, hwi_verdict *out)
{
    HWI_TRY(hwi_verdict_nothing(out, r->err));
    for (size_t i = 0; i < c->as.has.count; i++) {
        uint32_t slot;
        uint64_t version;
        hw_status st = hwi_id_slot(r->txn, r->conf, &c->as.has.ids[i], &slot, &version, r->err);
        if (st == HW_OK) roaring_bitmap_add(out->may, slot);
        if (st != HW_OK && st != HW_ENOTFOUND) {
            hwi_verdict_release(out);
            return st;
        }
    }
    return HW_OK;
}

static hw_status
vector_answer(resolver *r, const hwi_cond *c, hwi_verdict *out)
{
    if (!r->having) return hwi_verdict_nothing(out, r->err);
    *out = (hwi_verdict){.may = roaring_bitmap_copy(r->having[c->as.vector]), .exact = true};
    return out->may ? HW_OK : hwi_nomem(r->err, 64);
}

static hw_status
resolve_cond(resolver *r, const hwi_cond *c, around at, hwi_verdict *out)
{
    *out = hwi_verdict_unknown();
    switch (c->kind) {
    case HWI_COND_FILTER:
        return resolve_filter(r, c->as.filter, at, out);
    case HWI_COND_ID:
        return ids_answer(r, c, out);
    case HWI_COND_SLICE: /* no index knows: ids are asked one by one */
        return HW_OK;
    case HWI_COND_VECTOR:
        return vector_answer(r, c, out);
    case HWI_COND_NESTED: {
        const char *inside = hwi_lookup_path_text(&r->arena, at, c->path);
        return inside ? resolve_filter(r, c->as.filter, inside, out) : hwi_nomem(r->err, 64);
    }
    default:
        return field_answer(r, c, at, out);
    }
}

/* ---- clauses */

/* One more condition that must hold as well. Inside `nested` the second one ends certainty: it may
 * be met by another element. */
static hw_status
require(resolver *r, hwi_verdict *all, hwi_verdict *one, bool first, around at)
{
    if (first) {
        *all = *one; /* all was unknown or everything, which hold no memory */
        *one = hwi_verdict_unknown();
        return HW_OK;
    }
    HWI_TRY(hwi_verdict_and(all, one, r->err));
    if (at[0] == '\0' || hwi_verdict_is_nothing(all) || hwi_verdict_is_everything(all))
        return HW_OK;
    HWI_TRY(hwi_verdict_loosen(all, r->err));
    hwi_verdict_drop(&all->sure);
    return HW_OK;
}

static hw_status
any_of(resolver *r, const hwi_clause *clause, around at, hwi_verdict *out)
{
    hw_status st = hwi_verdict_nothing(out, r->err);

    for (size_t i = 0; st == HW_OK && i < clause->count; i++) {
        hwi_verdict one;
        st = resolve_cond(r, &clause->conds[i], at, &one);
        if (st == HW_OK)
            st = hwi_verdict_or(out, &one, r->err);
        else
            hwi_verdict_release(&one);
    }
    if (st != HW_OK) hwi_verdict_release(out);
    return st;
}

/* At least `need` of the conditions: at_least[j] gathers the slots where j of those seen so far
 * hold. Quadratic, so bounded; beyond the bound nothing is claimed. */
#define THRESHOLD_WORK_MAX 4096u

/* at_least[j] |= at_least[j - 1] and one, from the top down. */
static hw_status
count_in(resolver *r, hwi_verdict *at_least, size_t need, const hwi_verdict *one)
{
    for (size_t j = need; j > 0; j--) {
        hwi_verdict step, below;
        HWI_TRY(hwi_verdict_copy(one, &step, r->err));
        hw_status st = hwi_verdict_copy(&at_least[j - 1], &below, r->err);
        if (st == HW_OK) st = hwi_verdict_and(&step, &below, r->err);
        if (st != HW_OK) {
            hwi_verdict_release(&step);
            return st;
        }
        HWI_TRY(hwi_verdict_or(&at_least[j], &step, r->err));
    }
    return HW_OK;
}

static hw_status
threshold(resolver *r, const hwi_clause *clause, size_t need, around at, hwi_verdict *out)
{
    hwi_verdict *at_least = hwi_alloc_zero((need + 1) * sizeof *at_least);
    hw_status st = HW_OK;

    if (!at_least) return hwi_nomem(r->err, (need + 1) * sizeof *at_least);
    at_least[0] = hwi_verdict_everything();
    for (size_t j = 1; st == HW_OK && j <= need; j++)
        st = hwi_verdict_nothing(&at_least[j], r->err);
    for (size_t i = 0; st == HW_OK && i < clause->count; i++) {
        hwi_verdict one;
        st = resolve_cond(r, &clause->conds[i], at, &one);
        if (st == HW_OK) st = count_in(r, at_least, need, &one);
        hwi_verdict_release(&one);
    }
    if (st == HW_OK) {
        *out = at_least[need];
        at_least[need] = hwi_verdict_unknown();
    }
    for (size_t j = 0; j <= need; j++) hwi_verdict_release(&at_least[j]);
    hwi_free(at_least);
    return st;
}

static hw_status
min_should_answer(resolver *r, const hwi_filter *f, around at, hwi_verdict *out)
{
    const hwi_clause *c = &f->min_should;

    *out = hwi_verdict_everything();
    if (f->min_count == 0) return HW_OK;
    if (f->min_count > c->count) return hwi_verdict_nothing(out, r->err);
    if (f->min_count == 1) return any_of(r, c, at, out);
    *out = hwi_verdict_unknown();
    if (f->min_count * c->count > THRESHOLD_WORK_MAX) return HW_OK;
    HWI_TRY(threshold(r, c, (size_t)f->min_count, at, out));
    if (at[0] != '\0' && !hwi_verdict_is_nothing(out)) { /* several conditions: see require */
        HWI_TRY(hwi_verdict_loosen(out, r->err));
        hwi_verdict_drop(&out->sure);
    }
    return HW_OK;
}

static hw_status
none_of(resolver *r, const hwi_cond *c, around at, hwi_verdict *out)
{
    *out = hwi_verdict_unknown();
    if (at[0] != '\0') return HW_OK; /* an element without it: the index knows only those with it */
    HWI_TRY(resolve_cond(r, c, at, out));
    return negate(r, out);
}

/* The i-th thing a filter requires: each must, then should, min_should, each must_not; false when
 * there are no more. */
static bool
requirement(resolver *r, const hwi_filter *f, size_t i, around at, hwi_verdict *out, hw_status *st)
{
    *st = HW_OK;
    if (i < f->must.count) {
        *st = resolve_cond(r, &f->must.conds[i], at, out);
        return true;
    }
    i -= f->must.count;
    if (f->should.count > 0 && i-- == 0) {
        *st = any_of(r, &f->should, at, out);
        return true;
    }
    if (f->has_min_should && i-- == 0) {
        *st = min_should_answer(r, f, at, out);
        return true;
    }
    if (i >= f->must_not.count) return false;
    *st = none_of(r, &f->must_not.conds[i], at, out);
    return true;
}

static hw_status
resolve_filter(resolver *r, const hwi_filter *f, around at, hwi_verdict *out)
{
    hw_status st;
    hwi_verdict one = hwi_verdict_unknown();

    /* An empty filter holds of every point, and inside `nested` of any object there may be. */
    *out = at[0] == '\0' ? hwi_verdict_everything() : hwi_verdict_unknown();
    for (size_t i = 0; requirement(r, f, i, at, &one, &st); i++) {
        if (st == HW_OK) st = require(r, out, &one, i == 0, at);
        if (st != HW_OK) break;
        if (hwi_verdict_is_nothing(out)) break;
    }
    if (st == HW_OK && at[0] != '\0' && hwi_verdict_is_everything(out))
        *out = hwi_verdict_unknown();
    if (st != HW_OK) {
        hwi_verdict_release(&one);
        hwi_verdict_release(out);
    }
    return st;
}

/* ---- the whole */

static hw_status
hand_over(resolver *r, hwi_verdict *a, hwi_filter_resolved *out)
{
    if (!a->may) {
        HWI_TRY(load_live(r));
        if (!(a->may = roaring_bitmap_copy(r->live))) return hwi_nomem(r->err, 64);
    }
    if (a->exact && !(a->sure = roaring_bitmap_copy(a->may))) return hwi_nomem(r->err, 64);
    if (!a->sure && !(a->sure = roaring_bitmap_create())) return hwi_nomem(r->err, 64);
    out->exact = roaring_bitmap_get_cardinality(a->may) == roaring_bitmap_get_cardinality(a->sure);
    if (!out->exact && r->warning[0]) {
        size_t bytes = strlen(r->warning) + 1;
        if (!(out->warning = hwi_alloc(bytes))) return hwi_nomem(r->err, bytes);
        memcpy(out->warning, r->warning, bytes);
    }
    out->may = a->may;
    out->sure = a->sure;
    *a = hwi_verdict_unknown();
    return HW_OK;
}

hw_status
hwi_filter_resolve(const hwi_filter *filter, hw_store_txn *txn, const hwi_conf *conf,
                   roaring_bitmap_t *const *having, hwi_filter_resolved *out, hw_error *err)
{
    resolver r = {.txn = txn, .conf = conf, .having = having, .err = err};
    hwi_verdict a = hwi_verdict_unknown();

    *out = (hwi_filter_resolved){0};
    hw_status st = hwi_lookup_paths(&conf->schema, &r.arena, &r.paths, err);
    if (st == HW_OK) st = resolve_filter(&r, filter, "", &a);
    if (st == HW_OK) st = hand_over(&r, &a, out);
    hwi_verdict_release(&a);
    if (r.live) roaring_bitmap_free(r.live);
    hwi_arena_release(&r.arena);
    if (st != HW_OK) hwi_filter_resolved_release(out);
    return st;
}

void
hwi_filter_resolved_release(hwi_filter_resolved *r)
{
    if (r->may) roaring_bitmap_free(r->may);
    if (r->sure) roaring_bitmap_free(r->sure);
    hwi_free(r->warning);
    *r = (hwi_filter_resolved){0};
}
