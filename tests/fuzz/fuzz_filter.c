/* Any bytes as a filter, and any as a payload: the input is cut at its first zero byte. What parses
 * is tested on the payload and resolved over indexes that hold it, and the two agree. Members
 * picked out of a payload are those of its whole tree. */
#include <stdlib.h>

#include "payload/filter.h"
#include "payload/pick.h"
#include "payload/pix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLL = 1, SLOT = 70000 };

static hwi_pix_field fields[] = {
    {1, "a", HWI_PIX_KEYWORD, true, 0, NULL},  {2, "b", HWI_PIX_INTEGER, true, 0, NULL},
    {3, "c", HWI_PIX_FLOAT, true, 0, NULL},    {4, "d", HWI_PIX_DATETIME, true, 0, NULL},
    {5, "e", HWI_PIX_GEO, true, 0, NULL},      {6, "f", HWI_PIX_TEXT, true, 0, NULL},
    {7, "g[].h", HWI_PIX_UUID, true, 0, NULL}, {8, "g[].a", HWI_PIX_KEYWORD, true, 0, NULL},
    {9, "g[].b", HWI_PIX_BOOL, true, 0, NULL},
};
static const hwi_schema schema = {fields, HWI_COUNT(fields)};

static void
demand(bool condition)
{
    if (!condition) abort();
}

static void
check_resolved(const hwi_filter *filter, hw_bytes payload, bool matches)
{
    hw_store *store;
    hw_store_txn *t;
    hwi_pix_writer *w;
    hwi_filter_resolved r;

    demand(hwi_store_mem_new(&store, NULL) == HW_OK);
    demand(hwi_store_begin(store, HW_TXN_WRITE, &t, NULL) == HW_OK);
    demand(hwi_pix_writer_new(t, COLL, &schema, &w, NULL) == HW_OK);
    demand(hwi_pix_change(w, SLOT, hwi_bytes(NULL, 0), payload, NULL) == HW_OK);
    demand(hwi_pix_set_live(w, SLOT, true, NULL) == HW_OK);
    demand(hwi_pix_flush(w, NULL) == HW_OK);
    demand(hwi_filter_resolve(filter, t, &(hwi_conf){.coll = COLL, .schema = schema}, NULL, &r,
                              NULL) == HW_OK);
    bool may = roaring_bitmap_contains(r.may, SLOT), sure = roaring_bitmap_contains(r.sure, SLOT);
    demand(!matches || may);
    demand(!sure || matches);
    demand(hwi_filter_estimate(filter, t, COLL, &schema, 1) <= 1);
    hwi_filter_resolved_release(&r);
    hwi_pix_writer_free(w);
    hwi_store_abort(t);
    hwi_store_close(store);
}

static bool
is_picked(const hwi_json *member)
{
    return member->key_bytes == 1 && (member->key[0] == 'a' || member->key[0] == 'g');
}

/* Members `a` and `g`, in order, are the same picked as parsed. */
static void
check_picked(hw_bytes payload, const hwi_json *whole)
{
    static const hwi_pick_key keys[] = {{"a", 1}, {"g", 1}};
    hwi_picker p = {.keys = keys, .key_count = 2};
    const hwi_json *picked;

    demand(hwi_pick(&p, payload, &picked, NULL) == HW_OK);
    demand(picked->kind == whole->kind);
    const hwi_json *m = picked->kind == HWI_JSON_OBJECT ? picked->child : NULL;
    const hwi_json *n = picked->kind == HWI_JSON_OBJECT ? whole->child : NULL;
    for (;; m = m->next, n = n->next) {
        while (m && !is_picked(m)) m = m->next;
        while (n && !is_picked(n)) n = n->next;
        if (!m || !n) break;
        hwi_buf x = {0}, y = {0};
        hwi_json_write(&x, m);
        hwi_json_write(&y, n);
        demand(m->key[0] == n->key[0] && m->kind == n->kind);
        demand(x.size == y.size && memcmp(x.data, y.data, x.size) == 0);
        hwi_buf_release(&x);
        hwi_buf_release(&y);
    }
    demand(!m && !n);
    hwi_picker_release(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const hwi_json *whole = NULL;
    hwi_arena arena = {0};
    const hwi_filter *filter;
    hw_error err = {0};
    bool matches;

    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t filter_bytes = zero ? (size_t)(zero - data) : size;
    hw_bytes payload = zero ? hwi_bytes(zero + 1, size - filter_bytes - 1) : hwi_bytes(NULL, 0);

    hw_status st = hwi_filter_parse((const char *)data, filter_bytes, &arena, &filter, &err);
    demand((st == HW_OK) == (filter != NULL));
    demand(st == HW_OK || err.message[0] != '\0');
    if (hwi_json_parse(payload.data, payload.size, &arena, &whole, &err) == HW_OK)
        check_picked(payload, whole);
    bool sound =
        payload.size == 0 || whole != NULL; /* else some of it may have been stepped over */
    if (filter && sound && hwi_filter_matches(filter, NULL, payload, &matches, &err) == HW_OK &&
        !hwi_filter_needs_id(filter))
        check_resolved(filter, payload, matches);
    hwi_arena_release(&arena);
    return 0;
}
