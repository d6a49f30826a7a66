/* filter_resolve.c - a filter as sets of slots, from the payload indexes.
 *
 * Every condition becomes a pair of sets around the true one, and so does every combination:
 *
 *        sure  is in  matches  is in  may
 *
 *     and   may = may1 * may2        sure = sure1 * sure2
 *     or    may = may1 + may2        sure = sure1 + sure2
 *     not   may = live - sure1       sure = live - may1
 *
 * so nothing an index does not know can make an answer wrong, only wider; when both sets are equal
 * no payload needs to be read. A missing `may` stands for all live slots and a missing `sure` for
 * none, which is what an unindexed condition amounts to and costs nothing to combine.
 *
 * Inside `nested` a filter speaks of one element, but indexes know slots: "some element has b = 1"
 * and "some element has c = 2" may be two elements. There `may` combines as above, `sure` survives
 * only where one condition decides ("some element has b = 1 or c = 2"), and "not" knows nothing. */
#include "payload/filter_lookup.h"
#include "records/records.h"

#include <stdio.h>

typedef struct answer {
    roaring_bitmap_t *may;  /* NULL: all */
    roaring_bitmap_t *sure; /* NULL: none; always when exact */
    bool exact;             /* may is the answer */
} answer;

typedef struct resolver {
    hw_store_txn *txn;
    uint32_t coll;
    const hwi_schema *schema;
    const char **paths;
    hwi_arena arena;
    roaring_bitmap_t *live; /* loaded when first needed */
    char warning[320];
    hw_error *err;
} resolver;

/* Where a condition stands: the path of the arrays around it, "" outside `nested`. */
typedef const char *around;

static hw_status resolve_filter(resolver *r, const hwi_filter *f, around at, answer *out);

/* ---- answers */

static void
answer_release(answer *a)
{
    if (a->may) roaring_bitmap_free(a->may);
    if (a->sure) roaring_bitmap_free(a->sure);
    *a = (answer){0};
}

static answer
unknown(void)
{
    return (answer){0};
}

static answer
everything(void)
{
    return (answer){.exact = true};
}

static bool
is_everything(const answer *a)
{
    return a->exact && !a->may;
}

static hw_status
nothing(resolver *r, answer *out)
{
    *out = (answer){.may = roaring_bitmap_create(), .exact = true};
    return out->may ? HW_OK : hwi_nomem(r->err, 64);
}

static bool
is_nothing(const answer *a)
{
    return a->exact && a->may && roaring_bitmap_is_empty(a->may);
}

/* Splits the answer of an exact one, not everything, in two equal sets, so that it combines with
 * others. */
static hw_status
loosen(resolver *r, answer *a)
{
    if (!a->exact) return HW_OK;
    HWI_ASSERT(a->may);
    a->exact = false;
    a->sure = roaring_bitmap_copy(a->may);
    return a->sure ? HW_OK : hwi_nomem(r->err, 64);
}

/* What happens to one of two sets that may be missing. */
static void
drop(roaring_bitmap_t **set)
{
    if (*set) roaring_bitmap_free(*set);
    *set = NULL;
}

/* a = a and b; b is used up. */
static hw_status
both(resolver *r, answer *a, answer *b)
{
    hw_status st = HW_OK;

    if (is_everything(a)) {
        *a = *b;
        *b = unknown();
    } else if (is_everything(b)) {
        /* a stays */
    } else if (a->exact && b->exact) {
        roaring_bitmap_and_inplace(a->may, b->may);
    } else if ((st = loosen(r, a)) == HW_OK && (st = loosen(r, b)) == HW_OK) {
        if (!a->may) {
            a->may = b->may;
            b->may = NULL;
        } else if (b->may) {
            roaring_bitmap_and_inplace(a->may, b->may);
        }
        if (a->sure && b->sure)
            roaring_bitmap_and_inplace(a->sure, b->sure);
        else
            drop(&a->sure);
    }
    answer_release(b);
    return st;
}

/* a = a or b; b is used up. */
static hw_status
either(resolver *r, answer *a, answer *b)
{
    hw_status st = HW_OK;

    if (is_everything(a) || is_everything(b)) {
        answer_release(a);
        *a = everything();
    } else if (a->exact && b->exact) {
        roaring_bitmap_or_inplace(a->may, b->may);
    } else if ((st = loosen(r, a)) == HW_OK && (st = loosen(r, b)) == HW_OK) {
        if (a->may && b->may)
            roaring_bitmap_or_inplace(a->may, b->may);
        else
            drop(&a->may);
        if (!a->sure) {
            a->sure = b->sure;
            b->sure = NULL;
        } else if (b->sure) {
            roaring_bitmap_or_inplace(a->sure, b->sure);
        }
    }
    answer_release(b);
    return st;
}

static hw_status
load_live(resolver *r)
{
    return r->live ? HW_OK : hwi_pix_live(r->txn, r->coll, &r->live, r->err);
}

/* live - set; all live slots for NULL. */
static hw_status
all_but(resolver *r, const roaring_bitmap_t *set, roaring_bitmap_t **out)
{
    *out = NULL;
    HWI_TRY(load_live(r));
    *out = set ? roaring_bitmap_andnot(r->live, set) : roaring_bitmap_copy(r->live);
    return *out ? HW_OK : hwi_nomem(r->err, 64);
}

static hw_status
negate(resolver *r, answer *a)
{
    answer n = {.exact = a->exact};
    hw_status st = HW_OK;

    if (is_everything(a)) return nothing(r, a);
    if (a->exact || a->sure) st = all_but(r, a->exact ? a->may : a->sure, &n.may);
    if (st == HW_OK && !a->exact && a->may) st = all_but(r, a->may, &n.sure);
    answer_release(a);
    *a = n;
    if (st != HW_OK) answer_release(a);
    return st;
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
exact_kind(resolver *r, const hwi_lookup *start, hwi_pix_kind kind, answer *out)
{
    hwi_lookup l = *start;
    *out = (answer){.exact = true};
    return kind_bitmap(&l, kind, &out->may, r->err);
}

/* sure and maybe as gathered become an answer. */
static hw_status
finish_union(resolver *r, hwi_lookup *l, answer *out)
{
    *out = unknown();
    HWI_TRY(hwi_slots_bitmap(&l->maybe, &out->may, r->err));
    hw_status st = hwi_slots_bitmap(&l->sure, &out->sure, r->err);
    if (st != HW_OK) {
        answer_release(out);
        return st;
    }
    if (roaring_bitmap_is_subset(out->may, out->sure)) {
        roaring_bitmap_free(out->may);
        *out = (answer){.may = out->sure, .exact = true};
    } else {
        roaring_bitmap_or_inplace(out->may, out->sure);
    }
    return HW_OK;
}

static hw_status
union_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, answer *out)
{
    hwi_lookup l = *start;

    *out = unknown();
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
except_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, answer *out)
{
    hwi_lookup set = *start, work = *start;
    answer in_set = {0};
    roaring_bitmap_t *covered = NULL, *other = NULL, *multi = NULL;

    *out = unknown();
    hw_status st = hwi_lookup_union(&set, c, r->err);
    bool beyond = set.beyond;
    if (st == HW_OK) st = finish_union(r, &set, &in_set);
    hwi_lookup_release(&set);
    if (st == HW_OK) st = kind_bitmap(&work, HWI_PIX_COVERED, &covered, r->err);
    if (st == HW_OK) st = kind_bitmap(&work, HWI_PIX_OTHER, &other, r->err);
    if (st == HW_OK) st = kind_bitmap(&work, HWI_PIX_MULTI, &multi, r->err);
    if (st == HW_OK) st = loosen(r, &in_set);
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
    answer_release(&in_set);
    drop(&covered);
    drop(&other);
    drop(&multi);
    if (st != HW_OK) answer_release(out);
    return st;
}

/* All words of a text. Each is in some element; with a single element they are in the same, and
 * then they are all that TEXT asks, though not in order as PHRASE does. */
static hw_status
words_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, answer *out)
{
    const hwi_word_list *w = &c->as.words;
    hw_status st = HW_OK;

    *out = everything();
    for (size_t i = 0; st == HW_OK && i < w->count && !is_nothing(out); i++) {
        hwi_lookup l = *start;
        answer word;
        st = hwi_lookup_word(&l, w->words[i], r->err);
        if (st == HW_OK) st = finish_union(r, &l, &word);
        hwi_lookup_release(&l);
        if (st == HW_OK) st = both(r, out, &word);
    }
    if (st == HW_OK && !is_nothing(out)) {
        answer multi = {0};
        st = loosen(r, out);
        if (c->kind == HWI_COND_PHRASE)
            drop(&out->sure);
        else if (st == HW_OK)
            st = exact_kind(r, start, HWI_PIX_MULTI, &multi);
        if (st == HW_OK && multi.may) roaring_bitmap_andnot_inplace(out->sure, multi.may);
        answer_release(&multi);
    }
    if (st != HW_OK) answer_release(out);
    return st;
}

/* is_empty and is_null, which an index of any type decides, save where the question is about one of
 * several values. */
static hw_status
absence_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, around at, answer *out)
{
    bool null = c->kind == HWI_COND_NULL, one_of_many = c->each || at[0] != '\0';
    /* PRESENT: some value is not empty; NULLS: some value is null */
    bool asks_some = null ? !c->negate : c->negate;

    *out = unknown();
    if (one_of_many && !asks_some) return HW_OK;
    HWI_TRY(exact_kind(r, start, null ? HWI_PIX_NULLS : HWI_PIX_PRESENT, out));
    return asks_some ? HW_OK : negate(r, out);
}

/* An array of n entries, or another value as one; PRESENT has some value with one or more. */
static hw_status
count_answer(resolver *r, const hwi_lookup *start, const hwi_cond *c, answer *out)
{
    *out = unknown();
    if (c->as.count.from > c->as.count.to) return nothing(r, out);
    if (c->as.count.from == 0) return HW_OK;
    HWI_TRY(exact_kind(r, start, HWI_PIX_PRESENT, out));
    if (c->as.count.from > 1 || c->as.count.to != UINT64_MAX) out->exact = false;
    return HW_OK;
}

static hw_status
index_answer(resolver *r, const hwi_pix_field *field, const hwi_cond *c, around at, answer *out)
{
    hwi_lookup start = {.txn = r->txn, .coll = r->coll, .field = field};

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
field_answer(resolver *r, const hwi_cond *c, around at, answer *out)
{
    const hwi_pix_field *unfit = NULL;
    bool served = false;

    *out = unknown();
    const char *path = hwi_lookup_path_text(&r->arena, at, c->path);
    if (!path) return hwi_nomem(r->err, 64);
    for (size_t i = 0; i < r->schema->count; i++) {
        const hwi_pix_field *field = &r->schema->fields[i];
        answer one;
        if (!r->paths[i] || strcmp(r->paths[i], path) != 0) continue;
        HWI_TRY(index_answer(r, field, c, at, &one));
        if (hwi_lookup_serves(field->type, c))
            served = true;
        else
            unfit = field;
        if (is_everything(out) || out->may || out->sure)
            HWI_TRY(both(r, out, &one)); /* two indexes on one field: both are right */
        else
            *out = one;
    }
    if (!served && !out->exact) warn(r, path, c, unfit);
    return HW_OK;
}

static hw_status
ids_answer(resolver *r, const hwi_cond *c, answer *out)
{
    HWI_TRY(nothing(r, out));
    for (size_t i = 0; i < c->as.has.count; i++) {
        uint32_t slot;
        uint64_t version;
        hw_status st = hwi_id_slot(r->txn, r->coll, &c->as.has.ids[i], &slot, &version, r->err);
        if (st == HW_OK) roaring_bitmap_add(out->may, slot);
        if (st != HW_OK && st != HW_ENOTFOUND) {
            answer_release(out);
            return st;
        }
    }
    return HW_OK;
}

static hw_status
resolve_cond(resolver *r, const hwi_cond *c, around at, answer *out)
{
    *out = unknown();
    switch (c->kind) {
    case HWI_COND_FILTER:
        return resolve_filter(r, c->as.filter, at, out);
    case HWI_COND_ID:
        return ids_answer(r, c, out);
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
require(resolver *r, answer *all, answer *one, bool first, around at)
{
    if (first) {
        *all = *one; /* all was unknown or everything, which hold no memory */
        *one = unknown();
        return HW_OK;
    }
    HWI_TRY(both(r, all, one));
    if (at[0] == '\0' || is_nothing(all) || is_everything(all)) return HW_OK;
    HWI_TRY(loosen(r, all));
    drop(&all->sure);
    return HW_OK;
}

static hw_status
any_of(resolver *r, const hwi_clause *clause, around at, answer *out)
{
    hw_status st = nothing(r, out);

    for (size_t i = 0; st == HW_OK && i < clause->count; i++) {
        answer one;
        st = resolve_cond(r, &clause->conds[i], at, &one);
        if (st == HW_OK)
            st = either(r, out, &one);
        else
            answer_release(&one);
    }
    if (st != HW_OK) answer_release(out);
    return st;
}

/* At least `need` of the conditions: at_least[j] gathers the slots where j of those seen so far
 * hold. Quadratic, so bounded; beyond the bound nothing is claimed. */
#define THRESHOLD_WORK_MAX 4096u

static hw_status
copy_answer(resolver *r, const answer *a, answer *out)
{
    *out = (answer){.exact = a->exact};
    if (a->may && !(out->may = roaring_bitmap_copy(a->may))) return hwi_nomem(r->err, 64);
    if (a->sure && !(out->sure = roaring_bitmap_copy(a->sure))) {
        answer_release(out);
        return hwi_nomem(r->err, 64);
    }
    return HW_OK;
}

/* at_least[j] |= at_least[j - 1] and one, from the top down. */
static hw_status
count_in(resolver *r, answer *at_least, size_t need, const answer *one)
{
    for (size_t j = need; j > 0; j--) {
        answer step, below;
        HWI_TRY(copy_answer(r, one, &step));
        hw_status st = copy_answer(r, &at_least[j - 1], &below);
        if (st == HW_OK) st = both(r, &step, &below);
        if (st != HW_OK) {
            answer_release(&step);
            return st;
        }
        HWI_TRY(either(r, &at_least[j], &step));
    }
    return HW_OK;
}

static hw_status
threshold(resolver *r, const hwi_clause *clause, size_t need, around at, answer *out)
{
    answer *at_least = hwi_alloc_zero((need + 1) * sizeof *at_least);
    hw_status st = HW_OK;

    if (!at_least) return hwi_nomem(r->err, (need + 1) * sizeof *at_least);
    at_least[0] = everything();
    for (size_t j = 1; st == HW_OK && j <= need; j++) st = nothing(r, &at_least[j]);
    for (size_t i = 0; st == HW_OK && i < clause->count; i++) {
        answer one;
        st = resolve_cond(r, &clause->conds[i], at, &one);
        if (st == HW_OK) st = count_in(r, at_least, need, &one);
        answer_release(&one);
    }
    if (st == HW_OK) {
        *out = at_least[need];
        at_least[need] = unknown();
    }
    for (size_t j = 0; j <= need; j++) answer_release(&at_least[j]);
    hwi_free(at_least);
    return st;
}

static hw_status
min_should_answer(resolver *r, const hwi_filter *f, around at, answer *out)
{
    const hwi_clause *c = &f->min_should;

    *out = everything();
    if (f->min_count == 0) return HW_OK;
    if (f->min_count > c->count) return nothing(r, out);
    if (f->min_count == 1) return any_of(r, c, at, out);
    *out = unknown();
    if (f->min_count * c->count > THRESHOLD_WORK_MAX) return HW_OK;
    HWI_TRY(threshold(r, c, (size_t)f->min_count, at, out));
    if (at[0] != '\0' && !is_nothing(out)) { /* several conditions: see require */
        HWI_TRY(loosen(r, out));
        drop(&out->sure);
    }
    return HW_OK;
}

static hw_status
none_of(resolver *r, const hwi_cond *c, around at, answer *out)
{
    *out = unknown();
    if (at[0] != '\0') return HW_OK; /* an element without it: the index knows only those with it */
    HWI_TRY(resolve_cond(r, c, at, out));
    return negate(r, out);
}

/* The i-th thing a filter requires: each must, then should, min_should, each must_not; false when
 * there are no more. */
static bool
requirement(resolver *r, const hwi_filter *f, size_t i, around at, answer *out, hw_status *st)
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
resolve_filter(resolver *r, const hwi_filter *f, around at, answer *out)
{
    hw_status st;
    answer one = unknown();

    /* An empty filter holds of every point, and inside `nested` of any object there may be. */
    *out = at[0] == '\0' ? everything() : unknown();
    for (size_t i = 0; requirement(r, f, i, at, &one, &st); i++) {
        if (st == HW_OK) st = require(r, out, &one, i == 0, at);
        if (st != HW_OK) break;
        if (is_nothing(out)) break;
    }
    if (st == HW_OK && at[0] != '\0' && is_everything(out)) *out = unknown();
    if (st != HW_OK) {
        answer_release(&one);
        answer_release(out);
    }
    return st;
}

/* ---- the whole */

static hw_status
hand_over(resolver *r, answer *a, hwi_filter_resolved *out)
{
    if (!a->may) HWI_TRY(all_but(r, NULL, &a->may));
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
    *a = unknown();
    return HW_OK;
}

hw_status
hwi_filter_resolve(const hwi_filter *filter, hw_store_txn *txn, uint32_t coll,
                   const hwi_schema *schema, hwi_filter_resolved *out, hw_error *err)
{
    resolver r = {.txn = txn, .coll = coll, .schema = schema, .err = err};
    answer a = unknown();

    *out = (hwi_filter_resolved){0};
    hw_status st = hwi_lookup_paths(schema, &r.arena, &r.paths, err);
    if (st == HW_OK) st = resolve_filter(&r, filter, "", &a);
    if (st == HW_OK) st = hand_over(&r, &a, out);
    answer_release(&a);
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
