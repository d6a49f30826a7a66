/* scan.c - scores every accepted point, a block of 64 at a time.
 *
 *     slots        dense, no filter:  page after page, rows where they lie
 *                  dense, filter:     those that may match, their rows gathered
 *                  multi, sparse:     those that have one and may match, one value read each
 *     block        similarity to operand 0 of all 64, to operand 1 of all 64 ...    (kernels)
 *                  score of all 64                                                  (rules.c)
 *     top          those that beat the k-th best and pass the filter
 *
 * A block's rows stay in the first-level cache while all operands go over them, so ten examples cost
 * far less than ten scans. No index helps here: scores of several similarities have no region of space
 * to look in first. */
#include <math.h>

#include "index/search_impl.h"
#include "index/space.h"
#include "index/top.h"
#include "query/rules.h"

typedef struct scan {
    hwi_view *view;
    const hwi_view_field *field;
    hwi_space space;
    hw_rule rule;
    hwi_operand *operands;
    size_t operand_count, positives;
    const hwi_accept *accept;
    hwi_trace *trace;
    float max_distance;
    hwi_top top;

    uint32_t slots[HWI_BLOCK]; /* the block under way */
    size_t count;
    float *similarities; /* operand_count x HWI_BLOCK */
    hwi_buf large;       /* vectors that take several values */
    hwi_arena arena;
    hw_error *err;
} scan;

/* ---- operands ---- */

static hw_status
prepare_rows(scan *s, const hw_vector *v, hwi_operand *out)
{
    uint32_t rows = v->rows ? v->rows : 1, dim = s->space.dim;
    size_t bytes = (size_t)rows * dim * sizeof(float);
    float *prepared = hwi_arena_alloc(&s->arena, bytes);

    if (!prepared) return hwi_nomem(s->err, bytes);
    for (uint32_t i = 0; i < rows; i++)
        hwi_space_prepare(&s->space, v->values + (size_t)i * dim, prepared + (size_t)i * dim);
    *out = (hwi_operand){.rows = prepared, .row_count = rows};
    return HW_OK;
}

static hw_status
prepare_pairs(scan *s, const hw_vector *v, hwi_operand *out)
{
    hwi_buf packed = {0};

    *out = (hwi_operand){0};
    hw_status st = hwi_sparse_pack(v, &packed, s->err);
    void *copy = st == HW_OK ? hwi_arena_alloc(&s->arena, packed.size + 1) : NULL;
    if (st == HW_OK && !copy) st = hwi_nomem(s->err, packed.size);
    if (st == HW_OK && packed.size) memcpy(copy, packed.data, packed.size);
    out->pairs = hwi_bytes(copy, packed.size);
    hwi_buf_release(&packed);
    return st;
}

static hw_status
prepare(scan *s, const hw_vector *v)
{
    hwi_operand *out = &s->operands[s->operand_count++];

    return s->field->conf->type == HWI_SPARSE ? prepare_pairs(s, v, out) : prepare_rows(s, v, out);
}

/* The target, where there is one, then the examples. */
static hw_status
prepare_all(scan *s, const hwi_aim *aim)
{
    size_t room = aim->example_count + 1;
    bool has_target = aim->target.values != NULL;

    s->operands = hwi_arena_alloc(&s->arena, room * sizeof *s->operands);
    s->similarities = hwi_arena_alloc(&s->arena, room * HWI_BLOCK * sizeof *s->similarities);
    if (!s->operands || !s->similarities) return hwi_nomem(s->err, room * HWI_BLOCK * 4);
    s->positives = aim->positive_count;
    if (has_target) HWI_TRY(prepare(s, &aim->target));
    if (s->rule == HW_RULE_NEAREST) return HW_OK;
    for (size_t i = 0; i < aim->example_count; i++) HWI_TRY(prepare(s, &aim->examples[i]));
    return HW_OK;
}

/* ---- a block ---- */

static inline void
consider(scan *s, uint32_t slot, float score)
{
    float distance = -score;

    if (!(distance <= s->top.worst) || distance > s->max_distance) return;
    if (!hwi_may(s->accept, slot) || !hwi_accepted(s->accept, slot)) {
        s->trace->filtered_out++;
        return;
    }
    hwi_top_add(&s->top, distance, slot);
}

/* Scores of the block from its similarities. Slots without the vector have none: NaN. */
static void
finish_block(scan *s)
{
    float scores[HWI_BLOCK];

    hwi_rule_scores(s->rule, s->similarities, s->operand_count, s->positives, s->count, scores);
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i] != HWI_SLOT_NONE) consider(s, s->slots[i], scores[i]);
    s->trace->exact += s->count * s->operand_count;
    s->count = 0;
}

/* From distances, which are infinite where there is no vector, to similarities. */
static void
similar(scan *s, size_t operand, const float *distance)
{
    float *out = s->similarities + operand * HWI_BLOCK;

    for (size_t i = 0; i < s->count; i++) {
        out[i] = s->space.metric == HWI_COSINE ? 1 - distance[i] : -distance[i];
        if (distance[i] == INFINITY) s->slots[i] = HWI_SLOT_NONE;
    }
}

/* ---- dense ---- */

static void
score_rows(scan *s, const uint8_t *rows)
{
    float distance[HWI_BLOCK];

    for (size_t e = 0; e < s->operand_count; e++) {
        hwi_space_rows(&s->space, s->operands[e].rows, rows, s->count, distance);
        similar(s, e, distance);
    }
    finish_block(s);
}

static hw_status
scan_pages(scan *s)
{
    uint32_t per_page = s->space.rows_per_page, below = s->view->counts.slots_below;

    for (uint32_t first = 0; first < below; first += per_page) {
        const uint8_t *page;
        HWI_TRY(hwi_stop_check(&s->trace->stop, s->err));
        HWI_TRY(hwi_page_table_get(s->field->vecs, first / per_page, &page, s->err));
        if (!page) continue;
        uint32_t rows = HWI_MIN(per_page, below - first);
        for (uint32_t at = 0; at < rows; at += HWI_BLOCK) {
            s->count = HWI_MIN(rows - at, HWI_BLOCK);
            for (uint32_t i = 0; i < s->count; i++) s->slots[i] = first + at + i;
            score_rows(s, page + HWI_PAGE_HEADER + (size_t)at * s->space.row_bytes);
        }
        s->trace->scanned += rows;
    }
    return HW_OK;
}

/* Gathers the rows of the slots in s->slots; those on absent pages leave the block. */
static hw_status
score_gathered(scan *s)
{
    const uint8_t *rows[HWI_BLOCK];
    float distance[HWI_BLOCK];
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++) {
        HWI_TRY(hwi_space_row(&s->space, s->field->vecs, s->slots[i], &rows[n], s->err));
        if (!rows[n]) continue;
        __builtin_prefetch(rows[n]);
        s->slots[n++] = s->slots[i];
    }
    s->count = n;
    for (size_t e = 0; e < s->operand_count; e++) {
        hwi_space_gather(&s->space, s->operands[e].rows, rows, n, distance);
        similar(s, e, distance);
    }
    finish_block(s);
    return HW_OK;
}

static hw_status
scan_accepted(scan *s)
{
    roaring_uint32_iterator_t it;

    roaring_init_iterator(s->accept->may, &it);
    while ((s->count = roaring_read_uint32_iterator(&it, s->slots, HWI_BLOCK)) > 0) {
        HWI_TRY(hwi_stop_check(&s->trace->stop, s->err));
        s->trace->scanned += s->count;
        HWI_TRY(score_gathered(s));
    }
    return HW_OK;
}

/* ---- multi and sparse ---- */

/* Similarities of one stored vector, as slot number s->count of the block. */
static hw_status
score_ragged(scan *s, uint32_t slot)
{
    hw_bytes raw;
    float scratch[HWI_BLOCK];
    bool shared;

    hw_status st = hwi_ragged_get(s->view->txn, s->view->conf->coll, s->field->conf, slot,
                                  &s->large, &raw, s->err);
    if (st == HW_ENOTFOUND)
        return hwi_fail(s->err, HW_ECORRUPT, "slot %u lacks its vector `%s`", slot,
                        s->field->conf->name);
    HWI_TRY(st);
    for (size_t e = 0; e < s->operand_count; e++) {
        const hwi_operand *o = &s->operands[e];
        s->similarities[e * HWI_BLOCK + s->count] = s->field->conf->type == HWI_SPARSE
                                                        ? hwi_sparse_dot(o->pairs, raw, &shared)
                                                        : hwi_max_sim(&s->space, o, raw, scratch);
    }
    s->slots[s->count++] = slot;
    if (s->count == HWI_BLOCK) finish_block(s);
    return HW_OK;
}

static hw_status
scan_ragged(scan *s)
{
    uint32_t below = s->view->counts.slots_below, bits;

    for (uint32_t row = 0; (uint64_t)row * 32 < below; row++) {
        HWI_TRY(hwi_has_row(s->field->has, row, &bits, s->err));
        if (bits) HWI_TRY(hwi_stop_check(&s->trace->stop, s->err));
        for (; bits; bits &= bits - 1) {
            uint32_t slot = row * 32 + (uint32_t)__builtin_ctz(bits);
            if (slot >= below || !hwi_may(s->accept, slot)) continue;
            s->trace->scanned++;
            HWI_TRY(score_ragged(s, slot));
        }
    }
    finish_block(s);
    return HW_OK;
}

/* ---- a scan ---- */

static bool
id_before(void *arg, uint32_t a, uint32_t b)
{
    hwi_view *view = arg;
    hw_id ia, ib;

    if (hwi_view_id(view, a, &ia, NULL) != HW_OK || hwi_view_id(view, b, &ib, NULL) != HW_OK)
        return a < b;
    return hw_id_compare(&ia, &ib) < 0;
}

static hw_status
run(scan *s, const hwi_aim *aim, hwi_hit *hits, uint32_t *count)
{
    uint64_t began = hwi_clock_ns();

    HWI_TRY(prepare_all(s, aim));
    if (hwi_field_is_ragged(s->field->conf))
        HWI_TRY(scan_ragged(s));
    else
        HWI_TRY(s->accept && s->accept->may ? scan_accepted(s) : scan_pages(s));
    hwi_top_sort(&s->top);
    for (uint32_t i = 0; i < s->top.count; i++)
        hits[i] = (hwi_hit){s->top.entries[i].tag, s->top.entries[i].distance};
    *count = s->top.count;
    s->trace->ns_exact = hwi_clock_ns() - began;
    return HW_OK;
}

hw_status
hwi_scan(hwi_view *view, const hwi_view_field *field, hw_rule rule, const hwi_aim *aim, uint32_t k,
         float max_distance, const hwi_accept *accept, hwi_trace *trace, hwi_hit *hits,
         uint32_t *count, hw_error *err)
{
    scan *s = hwi_alloc_zero(sizeof *s);
    hwi_top_entry *entries = hwi_alloc((size_t)HWI_MAX(k, 1u) * sizeof *entries);
    hw_status st = s && entries ? HW_OK : hwi_nomem(err, k * sizeof *entries);

    *count = 0;
    trace->plan = "scan";
    trace->recall = 1;
    if (st == HW_OK) {
        s->view = view, s->field = field, s->rule = rule;
        s->accept = accept, s->trace = trace, s->max_distance = max_distance, s->err = err;
        hwi_space_init(&s->space, field->conf);
        hwi_top_init(&s->top, entries, k);
        s->top.before = id_before, s->top.arg = view;
        st = run(s, aim, hits, count);
        hwi_arena_release(&s->arena);
        hwi_buf_release(&s->large);
    }
    hwi_free(entries);
    hwi_free(s);
    return st;
}
