/* result.c - answers as columns: ids, scores, payloads, vectors.
 *
 *     one block    | hw_result | hw_id x count | slots x count | scores x count |
 *     arena        string ids, payloads, vectors: only when there are any
 *
 * A plain search of ten hits costs one allocation here. Rows of slot pages are scattered over
 * memory, so they are prefetched in a first pass and read in a second: ten cache misses side by
 * side instead of one after the other. Nothing in a result points into the view, so the view, and
 * the read transaction with it, can go as soon as the result is made. */
#include <assert.h>

#include "api/api.h"
#include "store/wants.h"

#define ROWS_AT_ONCE 64u /* before a look at the clock */

struct hw_result {
    size_t count;
    hw_id *ids;
    float *scores; /* NULL: get and scroll */
    const char **payloads;
    size_t *payload_bytes;
    hw_vector *vectors; /* count x conf->field_count; values NULL: absent */
    hwi_conf *conf;     /* names of vectors; NULL unless they were asked for */
    uint64_t *versions; /* NULL unless asked for */
    const char **order; /* order values; NULL: not an ordered reading */
    double recall;
    char *warning;
    char *explain;
    hw_search_work work;
    hwi_arena arena;
};

/* ---- Columns ---- */

static hw_status
keep_text(hw_result *r, hw_id *id, hw_error *err)
{
    if (id->kind != HW_ID_KIND_TEXT) return HW_OK;
    const char *copy = hwi_arena_text(&r->arena, id->as.text, id->text_bytes);
    if (!copy) return hwi_nomem(err, id->text_bytes);
    id->as.text = copy;
    return HW_OK;
}

static void
prefetch_ids(hwi_view *view, const uint32_t *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *page;
        hw_status st = hwi_page_table_get(view->slots, slots[i] / HWI_SLOTS_PER_PAGE, &page, NULL);
        if (st != HW_OK || !page) continue; /* reported when it is read */
        __builtin_prefetch(
            hwi_page_row(page, slots[i] % HWI_SLOTS_PER_PAGE, hwi_get_u32(page + 20)));
    }
}

static hw_status
fill_ids(hw_result *r, hwi_view *view, const uint32_t *slots, hw_error *err)
{
    prefetch_ids(view, slots, r->count);
    for (size_t i = 0; i < r->count; i++) {
        hw_status st = hwi_view_id(view, slots[i], &r->ids[i], err);
        if (st == HW_ENOTFOUND) {
            return hwi_fail(err, HW_ECORRUPT, "slot %u is in an index but holds no point",
                            slots[i]);
        }
        if (st != HW_OK) return st;
        HWI_TRY(keep_text(r, &r->ids[i], err));
    }
    return HW_OK;
}

static hw_status
fill_payloads(hw_result *r, hwi_view *view, const uint32_t *slots, hw_error *err)
{
    hwi_buf large = {0};
    hw_status st = HW_OK;
    r->payloads = hwi_arena_alloc(&r->arena, r->count * sizeof *r->payloads);
    r->payload_bytes = hwi_arena_alloc(&r->arena, r->count * sizeof *r->payload_bytes);
    if (!r->payloads || !r->payload_bytes) return hwi_nomem(err, r->count * sizeof *r->payloads);
    for (size_t i = 0; st == HW_OK && i < r->count; i++) {
        hw_bytes payload = {0};
        if (i % ROWS_AT_ONCE == 0) st = hwi_stop_check(view->stop, err);
        if (st == HW_OK)
            st = hwi_payload_get(view->txn, view->conf->coll, slots[i], &large, &payload, err);
        r->payloads[i] = NULL;
        r->payload_bytes[i] = payload.size;
        if (st != HW_OK || payload.size == 0) continue;
        r->payloads[i] = hwi_arena_text(&r->arena, payload.data, payload.size);
        if (!r->payloads[i]) st = hwi_nomem(err, payload.size);
    }
    hwi_buf_release(&large);
    return st;
}

static hw_status
fill_vectors(hw_result *r, hwi_view *view, const uint32_t *slots, hw_error *err)
{
    size_t fields = view->conf->field_count;
    size_t bytes = hwi_size_mul(r->count, fields * sizeof *r->vectors);
    r->conf = hwi_conf_ref(view->conf);
    r->vectors = hwi_arena_alloc(&r->arena, bytes);
    if (!r->vectors) return hwi_nomem(err, bytes);
    for (size_t i = 0; i < r->count; i++) {
        if (i % ROWS_AT_ONCE == 0) HWI_TRY(hwi_stop_check(view->stop, err));
        for (size_t f = 0; f < fields; f++) {
            HWI_TRY(hwi_view_vector(view, &view->fields[f], slots[i], &r->arena,
                                    &r->vectors[i * fields + f], err));
        }
    }
    return HW_OK;
}

static hw_status
fill_versions(hw_result *r, hwi_view *view, hw_error *err)
{
    uint32_t slot;
    r->versions = hwi_arena_alloc(&r->arena, hwi_size_mul(r->count, sizeof *r->versions));
    if (!r->versions) return hwi_nomem(err, r->count * sizeof *r->versions);
    for (size_t i = 0; i < r->count; i++) {
        hw_status st = hwi_id_slot(view->txn, view->conf, &r->ids[i], &slot, &r->versions[i], err);
        if (st == HW_ENOTFOUND) return hwi_fail(err, HW_ECORRUPT, "a point's id has no entry");
        if (st != HW_OK) return st;
    }
    return HW_OK;
}

/* ---- Making one ---- */

static void
take_answer(hw_result *r, hwi_answer *answer)
{
    r->recall = answer->recall;
    r->warning = answer->warning;
    answer->warning = NULL;
    if (answer->explain.size) {
        hw_status st = hwi_buf_take_text(&answer->explain, &r->explain, NULL);
        (void)st; /* without memory for the final NUL there is no explanation */
    }
    r->work = (hw_search_work){.size = sizeof r->work,
                               .leaves = answer->trace.leaves,
                               .scanned = answer->trace.scanned,
                               .refined = answer->trace.refined,
                               .exact = answer->trace.exact};
}

/* All that the columns are made of, fetched together from a store that is far away. */
static void
want_rows(hwi_view *view, const uint32_t *slots, size_t count, uint32_t with)
{
    hwi_wants w;

    hwi_page_table_want(view->slots, slots, count);
    for (size_t f = 0; (with & HW_WITH_VECTOR) && f < view->conf->field_count; f++)
        if (view->fields[f].vecs) hwi_page_table_want(view->fields[f].vecs, slots, count);
    if (!(with & HW_WITH_PAYLOAD)) return;
    w.txn = view->txn, w.count = 0;
    for (size_t i = 0; i < count; i++) hwi_key_rec(hwi_wants_next(&w), view->conf->coll, slots[i]);
    hwi_wants_send(&w);
}

static hw_status
fill(hw_result *r, hwi_view *view, const uint32_t *slots, uint32_t with, hw_error *err)
{
    if (hwi_store_is_far(view->txn)) want_rows(view, slots, r->count, with);
    HWI_TRY(fill_ids(r, view, slots, err));
    if (with & HW_WITH_PAYLOAD) HWI_TRY(fill_payloads(r, view, slots, err));
    if (with & HW_WITH_VECTOR) HWI_TRY(fill_vectors(r, view, slots, err));
    if (with & HW_WITH_VERSION) HWI_TRY(fill_versions(r, view, err));
    return HW_OK;
}

hw_status
hwi_result_new(hwi_view *view, const uint32_t *slots, const hwi_hit *hits, size_t count,
               uint32_t with, hwi_answer *answer, hw_result **out, hw_error *err)
{
    static_assert(sizeof(hw_result) % _Alignof(hw_id) == 0, "ids follow the struct");
    *out = NULL;
    if (with & ~(HW_WITH_PAYLOAD | HW_WITH_VECTOR | HW_WITH_VERSION)) {
        return hwi_fail(err, HW_EINVAL, "with: %#x has unknown bits", with);
    }
    size_t row = sizeof(hw_id) + sizeof(uint32_t) + sizeof(float);
    size_t bytes = sizeof(hw_result) + hwi_size_mul(count, row);
    hw_result *r = hwi_alloc(bytes);
    if (!r) return hwi_nomem(err, bytes);
    *r = (hw_result){.count = count, .recall = 1, .work = {.size = sizeof r->work}};
    r->ids = (hw_id *)(r + 1);
    uint32_t *own_slots = (uint32_t *)(r->ids + count);
    if (hits) {
        r->scores = (float *)(own_slots + count);
        for (size_t i = 0; i < count; i++) {
            own_slots[i] = hits[i].slot;
            r->scores[i] = hwi_score(answer->metric, hits[i].distance);
        }
        slots = own_slots;
    }
    hw_status st = fill(r, view, slots, with, err);
    if (st != HW_OK) {
        hw_result_free(r);
        return st;
    }
    if (answer) take_answer(r, answer);
    *out = r;
    return HW_OK;
}

void
hwi_result_take_warning(hw_result *r, char *warning)
{
    hwi_free(r->warning);
    r->warning = warning;
}

hw_status
hwi_result_keep_id(hw_result *r, hw_id *id, hw_error *err)
{
    return keep_text(r, id, err);
}

hw_status
hwi_result_set_order(hw_result *r, size_t i, hw_bytes text, hw_error *err)
{
    if (!r->order) r->order = hwi_arena_alloc(&r->arena, r->count * sizeof *r->order);
    if (!r->order) return hwi_nomem(err, r->count * sizeof *r->order);
    r->order[i] = hwi_arena_text(&r->arena, text.data, text.size);
    return r->order[i] ? HW_OK : hwi_nomem(err, text.size);
}

/* ---- From a server ---- */

static hw_status
copy_text(const char *text, char **out, hw_error *err)
{
    *out = NULL;
    if (!text) return HW_OK;
    size_t bytes = strlen(text) + 1;
    *out = hwi_alloc(bytes);
    if (!*out) return hwi_nomem(err, bytes);
    memcpy(*out, text, bytes);
    return HW_OK;
}

/* The columns lie in the arena of the rows, which the result takes over. */
hw_status
hwi_result_from_far(hwi_far_rows *rows, hwi_conf *conf, hw_result **out, hw_error *err)
{
    *out = NULL;
    hw_result *r = hwi_alloc(sizeof *r);
    if (!r) return hwi_nomem(err, sizeof *r);
    *r = (hw_result){.count = rows->count,
                     .ids = rows->ids,
                     .scores = rows->scores,
                     .payloads = rows->payloads,
                     .payload_bytes = rows->payload_bytes,
                     .vectors = rows->vectors,
                     .versions = rows->versions,
                     .conf = hwi_conf_ref(conf),
                     .recall = rows->recall,
                     .work = rows->work};
    hw_status st = copy_text(rows->warning, &r->warning, err);
    if (st == HW_OK) st = copy_text(rows->explain, &r->explain, err);
    if (st != HW_OK) {
        hw_result_free(r);
        return st;
    }
    r->arena = rows->arena;
    rows->arena = (hwi_arena){0};
    *out = r;
    return HW_OK;
}

/* ---- Reading one ---- */

size_t
hw_result_count(const hw_result *r)
{
    return r->count;
}

const hw_id *
hw_result_ids(const hw_result *r)
{
    return r->ids;
}

const float *
hw_result_scores(const hw_result *r)
{
    return r->scores;
}

const char *
hw_result_payload(const hw_result *r, size_t i, size_t *bytes)
{
    bool has = r->payloads && i < r->count;
    if (bytes) *bytes = has ? r->payload_bytes[i] : 0;
    return has ? r->payloads[i] : NULL;
}

/* Vector `name` of hit i, or NULL. */
static const hw_vector *
vector_of(const hw_result *r, size_t i, const char *name, const hwi_field **field)
{
    if (!r->vectors || i >= r->count) return NULL;
    *field = hwi_conf_field(r->conf, name);
    if (!*field) return NULL;
    const hw_vector *v = &r->vectors[i * r->conf->field_count + (size_t)(*field - r->conf->fields)];
    return v->values ? v : NULL;
}

const float *
hw_result_vector(const hw_result *r, size_t i, const char *name, uint32_t *dim)
{
    const hwi_field *f;
    const hw_vector *v = vector_of(r, i, name, &f);
    if (v && hwi_field_is_ragged(f)) v = NULL;
    if (dim) *dim = v ? v->dim : 0;
    return v ? v->values : NULL;
}

bool
hw_result_stored_vector(const hw_result *r, size_t i, const char *name, hw_vector *out)
{
    const hwi_field *f;
    const hw_vector *v = vector_of(r, i, name, &f);
    *out = v ? *v : (hw_vector){0};
    out->name = name;
    return v != NULL;
}

uint64_t
hw_result_version(const hw_result *r, size_t i)
{
    return r->versions && i < r->count ? r->versions[i] : 0;
}

const char *
hw_result_order_value(const hw_result *r, size_t i)
{
    return r->order && i < r->count ? r->order[i] : NULL;
}

double
hw_result_recall(const hw_result *r)
{
    return r->recall;
}

const char *
hw_result_warning(const hw_result *r)
{
    return r->warning;
}

const char *
hw_result_explain(const hw_result *r)
{
    return r->explain;
}

void
hw_result_work(const hw_result *r, hw_search_work *work)
{
    size_t size = work->size;
    memcpy(work, &r->work, HWI_MIN(size, sizeof r->work));
    work->size = size;
}

void
hw_result_free(hw_result *r)
{
    if (!r) return;
    hwi_arena_release(&r->arena);
    hwi_conf_unref(r->conf);
    hwi_free(r->warning);
    hwi_free(r->explain);
    hwi_free(r);
}
