/* pix_order.c - an ordered index read from one end.
 *
 * Pages ascend by code, so a walk is a scan in either direction (pix_pages.c). A page that holds
 * one code for a chunk of slots is taken apart into its slots; only codes are in order here, ties
 * are the caller's to settle, who alone can read ids. */
#include "payload/pix_order.h"

#include <math.h>

#include "payload/pix_parts.h"
#include "payload/values.h"

typedef struct walk {
    bool downwards, is_over;
    hwi_pix_order_fn fn;
    void *arg;
} walk;

/* Ends the scan without an error; told apart from a failure by is_over. */
static hw_status
stop(walk *w)
{
    w->is_over = true;
    return HW_ECANCELED;
}

static hw_status
take_same(walk *w, const hwi_page_part *part, hw_error *err)
{
    uint64_t words[HWI_CHUNK_WORDS] = {0};

    HWI_TRY(hwi_chunk_read(part->slots, part->chunk, words, err));
    for (uint32_t i = 0; i < HWI_CHUNK_WORDS; i++)
        for (uint64_t bits = words[i]; bits; bits &= bits - 1) {
            uint32_t slot = part->chunk << 16 | (i * 64 + (uint32_t)__builtin_ctzll(bits));
            if (!w->fn(w->arg, part->code, slot)) return stop(w);
        }
    return HW_OK;
}

static hw_status
take_part(void *arg, const hwi_page_part *part, hw_error *err)
{
    walk *w = arg;

    if (part->same) return take_same(w, part, err);
    for (size_t n = 0; n < part->count; n++) {
        size_t i = w->downwards ? part->count - 1 - n : n;
        if (!w->fn(w->arg, hwi_page_part_code(part, i), hwi_page_part_slot(part, i)))
            return stop(w);
    }
    return HW_OK;
}

hw_status
hwi_pix_order_walk(hw_store_txn *txn, uint32_t coll, const hwi_pix_field *field, uint64_t start,
                   bool downwards, hwi_pix_order_fn fn, void *arg, hw_error *err)
{
    walk w = {downwards, false, fn, arg};
    hw_status st =
        downwards ? hwi_pages_scan_down(txn, coll, field->number, 0, start, take_part, &w, err)
                  : hwi_pages_scan(txn, coll, field->number, start, UINT64_MAX, take_part, &w, err);
    return w.is_over ? HW_OK : st;
}

/* ---- values */

bool
hwi_pix_has_order(hwi_pix_type type)
{
    return type == HWI_PIX_INTEGER || type == HWI_PIX_FLOAT || type == HWI_PIX_DATETIME;
}

/* The nearest integer on the walk's side: the first that may come. */
static bool
start_integer(const hwi_json *v, bool downwards, int64_t *out)
{
    hwi_json least = {.kind = HWI_JSON_INT, .integer = INT64_MIN};
    hwi_json most = {.kind = HWI_JSON_INT, .integer = INT64_MAX};

    *out = downwards ? INT64_MAX : INT64_MIN;
    if (hwi_number_compare(v, &most) > 0) return downwards;
    if (hwi_number_compare(v, &least) < 0) return !downwards;
    if (v->kind == HWI_JSON_INT)
        *out = v->integer;
    else
        *out = (int64_t)(downwards ? floor(v->number) : ceil(v->number));
    return true;
}

/* The nearest double on the walk's side. */
static double
start_double(const hwi_json *v, bool downwards)
{
    hwi_json d = {.kind = HWI_JSON_DOUBLE, .number = v->number};
    int c = hwi_number_compare(&d, v);

    if (downwards) return c > 0 ? nextafter(v->number, -INFINITY) : v->number;
    return c < 0 ? nextafter(v->number, INFINITY) : v->number;
}

static hw_status
start_of(hwi_pix_type type, const hwi_json *v, bool downwards, uint64_t *code, bool *none)
{
    int64_t n;

    if (type == HWI_PIX_DATETIME && v->kind == HWI_JSON_TEXT) {
        if (!hwi_date_parse(v->text, v->text_bytes, &n)) return HW_EINVAL;
        *code = hwi_order_i64(n);
        return HW_OK;
    }
    if (!hwi_json_is_number(v)) return HW_EINVAL;
    if (type == HWI_PIX_FLOAT) {
        *code = hwi_order_f64(start_double(v, downwards));
        return HW_OK;
    }
    *none = !start_integer(v, downwards, &n);
    *code = hwi_order_i64(n);
    return HW_OK;
}

hw_status
hwi_pix_order_start(hwi_pix_type type, const char *text, bool downwards, uint64_t *code, bool *none,
                    hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *v;

    *none = false;
    *code = downwards ? UINT64_MAX : 0;
    if (!text) return HW_OK;
    hw_status st = hwi_json_parse(text, strlen(text), &arena, &v, NULL);
    hwi_json bare = {.kind = HWI_JSON_TEXT, .text = text, .text_bytes = strlen(text)};
    if (st == HW_EINVAL) v = &bare, st = HW_OK; /* a date without quotes */
    if (st == HW_OK) st = start_of(type, v, downwards, code, none);
    hwi_arena_release(&arena);
    if (st == HW_ENOMEM) return hwi_nomem(err, strlen(text));
    if (st == HW_OK) return HW_OK;
    return hwi_fail(err, HW_EINVAL, "start_from: `%.60s` is no %s", text,
                    type == HWI_PIX_DATETIME ? "date" : "number");
}

void
hwi_pix_order_value(hwi_pix_type type, uint64_t code, hwi_buf *out)
{
    if (type != HWI_PIX_FLOAT) {
        hwi_buf_printf(out, "%lld", (long long)hwi_order_i64_back(code));
        return;
    }
    hwi_json_write_f64(out, hwi_order_f64_back(code));
}
