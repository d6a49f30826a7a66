/* order.c - hw_collection_ordered: points by the value of a payload field.
 *
 * The index is walked from the start value on (payload/pix_order.h); slots the filter does not let
 * through are passed over. Slots that share a value arrive together, in no order, and as many as
 * there are: of those the first by id are kept in a heap no larger than what is still wanted.
 *
 *     walk   12  12  12 | 15 | 19  19  19 ...      tie of 12: at most `limit` kept, sorted by id
 *            `- tie --'                            and moved to the answer when 15 comes
 *
 * Downwards everything is turned round, ties too, so that one direction is the reverse of the
 * other. */
#include "payload/pix_order.h"

#include "api/api.h"

#define LIMIT_MAX 1000000u
#define STEPS_AT_ONCE 256u /* before a look at the clock */

typedef struct tied {
    hw_id id; /* text borrowed from the view */
    uint32_t slot;
} tied;

typedef struct ordering {
    hwi_view *view;
    const hwi_pix_field *field;
    const roaring_bitmap_t *among; /* NULL: all */
    bool descending;
    uint32_t limit;
    uint32_t *slots; /* the answer so far */
    uint64_t *codes;
    uint32_t count;
    tied *heap; /* of the current value: the worst on top */
    uint32_t heap_count;
    uint32_t heap_room;
    uint64_t code;
    uint64_t looked_at;
    hw_status st;
    hw_error *err;
} ordering;

/* ---- ties */

/* Whether a comes after b. */
static bool
is_after(const ordering *o, const tied *a, const tied *b)
{
    int c = hw_id_compare(&a->id, &b->id);
    return o->descending ? c < 0 : c > 0;
}

static void
sift_down(ordering *o, uint32_t at, uint32_t count)
{
    tied moving = o->heap[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= count) break;
        if (child + 1 < count && is_after(o, &o->heap[child + 1], &o->heap[child])) child++;
        if (!is_after(o, &o->heap[child], &moving)) break;
        o->heap[at] = o->heap[child];
        at = child;
    }
    o->heap[at] = moving;
}

static void
sift_up(ordering *o, uint32_t at)
{
    tied moving = o->heap[at];
    while (at > 0 && is_after(o, &moving, &o->heap[(at - 1) / 2])) {
        o->heap[at] = o->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    o->heap[at] = moving;
}

static hw_status
add_tied(ordering *o, const tied *t)
{
    if (o->heap_count == o->limit - o->count) { /* full: replaces the worst, or is none of them */
        if (is_after(o, t, &o->heap[0])) return HW_OK;
        o->heap[0] = *t;
        sift_down(o, 0, o->heap_count);
        return HW_OK;
    }
    if (o->heap_count == o->heap_room) {
        uint32_t room = o->heap_room ? o->heap_room * 2 : 64;
        tied *grown = hwi_realloc(o->heap, room * sizeof *grown);
        if (!grown) return hwi_nomem(o->err, room * sizeof *grown);
        o->heap = grown;
        o->heap_room = room;
    }
    o->heap[o->heap_count] = *t;
    sift_up(o, o->heap_count++);
    return HW_OK;
}

/* Heap sort: the worst goes to the end of the place the ties will take. */
static void
settle_ties(ordering *o)
{
    for (uint32_t n = o->heap_count; n > 0; n--) {
        uint32_t at = o->count + n - 1;
        o->slots[at] = o->heap[0].slot;
        o->codes[at] = o->code;
        o->heap[0] = o->heap[n - 1];
        sift_down(o, 0, n - 1);
    }
    o->count += o->heap_count;
    o->heap_count = 0;
}

/* ---- the walk */

static bool
take_entry(void *arg, uint64_t code, uint32_t slot)
{
    ordering *o = arg;
    tied t = {.slot = slot};
    if (code != o->code) {
        settle_ties(o);
        if (o->count == o->limit) return false;
        o->code = code;
    }
    if (o->looked_at++ % STEPS_AT_ONCE == 0) o->st = hwi_stop_check(o->view->stop, o->err);
    if (o->st != HW_OK) return false;
    if (o->among && !roaring_bitmap_contains(o->among, slot)) return true;
    o->st = hwi_view_id(o->view, slot, &t.id, o->err);
    if (o->st == HW_ENOTFOUND) {
        o->st = hwi_fail(o->err, HW_ECORRUPT, "slot %u is in an index but holds no point", slot);
    }
    if (o->st == HW_OK) o->st = add_tied(o, &t);
    return o->st == HW_OK;
}

static hw_status
find(ordering *o, const char *start_from)
{
    uint64_t start;
    bool none;
    HWI_TRY(hwi_pix_order_start(o->field->type, start_from, o->descending, &start, &none, o->err));
    size_t bytes = (size_t)o->limit * (sizeof *o->slots + sizeof *o->codes);
    o->codes = hwi_alloc(bytes);
    if (!o->codes) return hwi_nomem(o->err, bytes);
    o->slots = (uint32_t *)(o->codes + o->limit);
    if (none) return HW_OK;
    HWI_TRY(hwi_pix_order_walk(o->view->txn, o->view->conf->coll, o->field, start, o->descending,
                               take_entry, o, o->err));
    HWI_TRY(o->st);
    if (o->count < o->limit) settle_ties(o);
    return HW_OK;
}

/* ---- the answer */

static hw_status
name_values(const ordering *o, hw_result *r)
{
    hwi_buf text = {0};
    hw_status st = HW_OK;
    for (uint32_t i = 0; st == HW_OK && i < o->count; i++) {
        hwi_buf_clear(&text);
        hwi_pix_order_value(o->field->type, o->codes[i], &text);
        st = text.failed ? hwi_nomem(o->err, text.size)
                         : hwi_result_set_order(r, i, hwi_buf_bytes(&text), o->err);
    }
    hwi_buf_release(&text);
    return st;
}

static hw_status
answer(ordering *o, uint32_t with, char **warning, hw_result **out)
{
    HWI_TRY(hwi_result_new(o->view, o->slots, NULL, o->count, with, NULL, out, o->err));
    hw_status st = name_values(o, *out);
    if (st != HW_OK) {
        hw_result_free(*out);
        *out = NULL;
        return st;
    }
    hwi_result_take_warning(*out, *warning);
    *warning = NULL;
    return HW_OK;
}

static hw_status
order_view(ordering *o, const char *path, const char *filter, size_t filter_bytes,
           const char *start_from, uint32_t with, hw_result **out)
{
    roaring_bitmap_t *among = NULL;
    char *warning = NULL;
    HWI_TRY(hwi_view_index_of(o->view, path, hwi_pix_has_order, "integer, float or datetime",
                              &o->field, o->err));
    if (filter) HWI_TRY(hwi_match(o->view, filter, filter_bytes, &among, &warning, o->err));
    o->among = among;
    hw_status st = find(o, start_from);
    if (st == HW_OK) st = answer(o, with, &warning, out);
    hwi_free(o->heap);
    hwi_free(o->codes);
    hwi_free(warning);
    if (among) roaring_bitmap_free(among);
    return st;
}

hw_status
hw_collection_ordered(hw_collection *c, const char *filter, size_t filter_bytes, const char *field,
                      bool descending, const char *start_from, uint32_t limit, uint32_t with,
                      hw_result **out, hw_error *err)
{
    HWI_NOT_FAR(c, "reading in order");
    ordering o = {.descending = descending, .limit = limit, .err = err};
    *out = NULL;
    if (limit == 0 || limit > LIMIT_MAX) {
        return hwi_fail(err, HW_EINVAL, "limit %u is not in 1 to %u", limit, LIMIT_MAX);
    }
    HWI_TRY(hwi_reading_begin(c, &o.view, err));
    hw_status st = order_view(&o, field, filter, filter_bytes, start_from, with, out);
    hwi_reading_end(c, o.view);
    return st;
}
