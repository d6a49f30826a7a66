/* sparse_search.c - the dot product of a sparse query with every vector that shares an index with it.
 *
 *     1. collect    the pages of the query's indices, where they lie; their lengths give idf
 *     2. add up     window by window of 65,536 slots, index by index in ascending order:
 *                   sum[slot] += query value * vector value
 *     3. pick       from each window what beats the k-th best so far and is accepted
 *
 * A window's sums stay in the processor's cache while all indices go over it. Sums begin as minus
 * zero, which no sum of ours can be (every product has plus zero added): so a sum that is still
 * minus zero was never touched, and a score of zero is one.
 *
 * The road not taken: skipping by upper bounds (WAND and its kin) saves much when a few postings
 * decide; weights of learned sparse vectors are too even for that, and a sum costs two nanoseconds. */
#include "index/sparse/sparse.h"

#include <math.h>

#include "index/search_impl.h"
#include "index/top.h"
#include "records/ragged.h"

#define WINDOW 65536u
#define UNTOUCHED 0x80000000u /* the bits of minus zero */

/* One page of postings where it lies. */
typedef struct postings {
    const uint8_t *rows;
    uint32_t count;
} postings;

/* One index of the query. */
typedef struct term {
    float weight;
    uint64_t pages_from, pages_to; /* in run.pages */
    uint64_t page, row;            /* the next posting to add */
} term;

typedef struct run {
    const hwi_sparse_view *v;
    postings *pages;
    size_t page_count, page_room;
    term *terms;
    size_t term_count;
    float *sums; /* WINDOW of them */
    hwi_top top;
    hwi_trace *trace;
    const hwi_accept *accept;
    float max_distance;
    uint64_t postings; /* of the term being collected */
    hw_status st;
    hw_error *err;
} run;

/* ---- collecting ---- */

static hw_status
add_page(run *r, hw_bytes value)
{
    HWI_TRY(hwi_page_check(value, HWI_PAGE_MAGIC_INV, HWI_POSTING_BYTES, r->err));
    if (r->page_count == r->page_room) {
        size_t room = r->page_room ? r->page_room * 2 : 256;
        postings *grown = hwi_realloc(r->pages, room * sizeof *grown);
        if (!grown) return hwi_nomem(r->err, room * sizeof *grown);
        r->pages = grown;
        r->page_room = room;
    }
    uint32_t rows = hwi_page_rows(value.data);
    r->pages[r->page_count++] = (postings){(const uint8_t *)value.data + HWI_PAGE_HEADER, rows};
    r->postings += rows;
    return HW_OK;
}

static bool
note_page(void *arg, hw_bytes key, hw_bytes value)
{
    run *r = arg;

    (void)key;
    r->st = add_page(r, value);
    return r->st == HW_OK;
}

/* ln((N - df + 0.5) / (df + 0.5) + 1), which falls from large for a rare index towards zero for
 * one that every vector has. */
static float
idf(float vectors, float having)
{
    return logf((vectors - having + 0.5f) / (having + 0.5f) + 1.0f);
}

static hw_status
collect_terms(run *r, hw_bytes query)
{
    const hwi_sparse_view *v = r->v;
    uint64_t vectors = 0;

    if (v->field->idf) HWI_TRY(hwi_has_count(v->has, v->slots_below, &vectors, r->err));
    for (size_t i = 0; i < r->term_count; i++) {
        term *t = &r->terms[i];
        hwi_key prefix;
        hwi_posting_prefix(&prefix, v->coll, v->field->number, hwi_pair_index(query.data, i));
        r->postings = 0;
        t->pages_from = t->page = r->page_count;
        t->row = 0;
        HWI_TRY(hwi_store_scan_prefix(v->txn, &prefix, note_page, r, r->err));
        HWI_TRY(r->st);
        t->pages_to = r->page_count;
        t->weight = hwi_pair_value(query.data, i);
        if (v->field->idf) t->weight *= idf((float)vectors, (float)r->postings);
        r->trace->leaves += t->pages_to - t->pages_from;
        r->trace->scanned += r->postings;
        HWI_TRY(hwi_stop_check(&r->trace->stop, r->err));
    }
    return HW_OK;
}

/* ---- adding up ---- */

/* Adds a term's postings of one page up to the window's end; false when the page went beyond. */
static bool
add_rows(run *r, term *t, uint32_t start, uint64_t end)
{
    const postings *p = &r->pages[t->page];
    float *sums = r->sums, weight = t->weight;
    const uint8_t *row = p->rows + t->row * HWI_POSTING_BYTES;

    for (; t->row < p->count; t->row++, row += HWI_POSTING_BYTES) {
        uint32_t slot = hwi_get_u32(row), at = slot - start;
        if (at >= WINDOW) {
            if (slot >= end) return false;
            r->st = hwi_fail(r->err, HW_ECORRUPT, "postings are out of order at slot %u", slot);
            return false;
        }
        sums[at] += weight * hwi_get_f32(row + 4) + 0.0f;
    }
    return true;
}

static hw_status
add_window(run *r, uint32_t start)
{
    uint64_t end = (uint64_t)start + WINDOW;

    for (size_t i = 0; i < r->term_count; i++) {
        term *t = &r->terms[i];
        while (t->page < t->pages_to && add_rows(r, t, start, end)) t->page++, t->row = 0;
        HWI_TRY(r->st);
    }
    return HW_OK;
}

/* ---- picking ---- */

static inline void
consider(run *r, uint32_t slot, float score)
{
    float distance = -score;

    if (distance > r->top.worst || distance > r->max_distance) return;
    if (!hwi_may(r->accept, slot) || !hwi_accepted(r->accept, slot)) {
        r->trace->filtered_out++;
        return;
    }
    hwi_top_add(&r->top, distance, slot);
}

/* Goes over a window's sums and makes them minus zero again. */
static void
pick_window(run *r, uint32_t start, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        uint32_t bits;
        memcpy(&bits, &r->sums[i], sizeof bits);
        if (bits == UNTOUCHED) continue;
        consider(r, start + i, r->sums[i]);
        r->sums[i] = -0.0f;
        r->trace->exact++;
    }
}

static hw_status
all_windows(run *r)
{
    uint32_t below = r->v->slots_below;

    for (uint32_t i = 0; i < WINDOW; i++) r->sums[i] = -0.0f;
    for (uint64_t start = 0; start < below; start += WINDOW) {
        HWI_TRY(hwi_stop_check(&r->trace->stop, r->err));
        HWI_TRY(add_window(r, (uint32_t)start));
        pick_window(r, (uint32_t)start, (uint32_t)HWI_MIN((uint64_t)WINDOW, below - start));
    }
    return HW_OK;
}

/* ---- a search ---- */

static bool
id_before(void *arg, uint32_t a, uint32_t b)
{
    const hwi_sparse_view *v = arg;
    hw_id ia, ib;

    if (hwi_slot_id(v->slots, v->txn, v->coll, a, &ia, NULL) != HW_OK ||
        hwi_slot_id(v->slots, v->txn, v->coll, b, &ib, NULL) != HW_OK)
        return a < b;
    return hw_id_compare(&ia, &ib) < 0;
}

static hw_status
search(run *r, hw_bytes query, hwi_hit *hits, uint32_t *count)
{
    uint64_t began = hwi_clock_ns();

    HWI_TRY(collect_terms(r, query));
    r->trace->ns_rank = hwi_clock_ns() - began;
    HWI_TRY(all_windows(r));
    r->trace->ns_scan = hwi_clock_ns() - began - r->trace->ns_rank;
    hwi_top_sort(&r->top);
    for (uint32_t i = 0; i < r->top.count; i++)
        hits[i] = (hwi_hit){r->top.entries[i].tag, r->top.entries[i].distance};
    *count = r->top.count;
    return HW_OK;
}

hw_status
hwi_sparse_search(const hwi_sparse_view *v, hw_bytes query, uint32_t k, float max_distance,
                  const hwi_accept *accept, hwi_trace *trace, hwi_hit *hits, uint32_t *count,
                  hw_error *err)
{
    run r = {.v = v,
             .term_count = query.size / HWI_PAIR_BYTES,
             .trace = trace,
             .accept = accept,
             .max_distance = max_distance,
             .err = err};
    hwi_top_entry *entries = hwi_alloc((size_t)HWI_MAX(k, 1u) * sizeof *entries);

    *count = 0;
    trace->plan = "sparse";
    trace->recall = 1;
    r.terms = hwi_alloc((r.term_count + 1) * sizeof *r.terms);
    r.sums = hwi_alloc_aligned(WINDOW * sizeof *r.sums);
    hw_status st;
    if (!entries || !r.terms || !r.sums) {
        st = hwi_nomem(err, WINDOW * sizeof *r.sums);
    } else {
        hwi_top_init(&r.top, entries, k);
        r.top.before = id_before, r.top.arg = (void *)(uintptr_t)v;
        st = search(&r, query, hits, count);
    }
    hwi_free(entries);
    hwi_free(r.terms);
    hwi_free(r.pages);
    hwi_free(r.sums);
    return st;
}
