/* Payload indexes: chunks of slots, batches, and what each type of index answers exactly. */
#include "support/hwt_payload.h"

#include <stdio.h>

#include "payload/pix_parts.h"

/* ---- chunks of slots */

static void
set_bit(uint64_t *words, uint32_t i)
{
    words[i >> 6] |= (uint64_t)1 << (i & 63);
}

/* Reads back what was written, and CRoaring reads the same; `chunk` 3. */
static void
check_chunk(const uint64_t *words, size_t most_bytes)
{
    hw_error err;
    uint8_t out[HWI_CHUNK_BYTES_MAX];
    uint64_t back[HWI_CHUNK_WORDS] = {0};
    uint32_t count = 0;

    size_t bytes = hwi_chunk_write(words, 3, out);
    assert_true(bytes > 0 && bytes <= most_bytes);
    hwt_ok(hwi_chunk_read(hwi_bytes(out, bytes), 3, back, &err), &err);
    assert_memory_equal(words, back, sizeof back);
    hwt_ok(hwi_chunk_count(hwi_bytes(out, bytes), 3, &count, &err), &err);
    assert_int_equal(count, hwi_bits_count(words, HWI_CHUNK_WORDS));

    roaring_bitmap_t *r = roaring_bitmap_portable_deserialize_safe((const char *)out, bytes);
    assert_non_null(r);
    assert_int_equal(roaring_bitmap_get_cardinality(r), count);
    for (uint32_t i = 0; i < 65536; i += 1)
        assert_int_equal(roaring_bitmap_contains(r, 3u << 16 | i), words[i >> 6] >> (i & 63) & 1);
    roaring_bitmap_free(r);
}

static void
chunks_take_their_smallest_form(void **state)
{
    uint64_t words[HWI_CHUNK_WORDS] = {0};
    uint8_t out[HWI_CHUNK_BYTES_MAX];
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 1);
    assert_int_equal(hwi_chunk_write(words, 3, out), 0);
    set_bit(words, 65535);
    check_chunk(words, 18);
    set_bit(words, 0);
    check_chunk(words, 20);
    for (int i = 0; i < 3000; i++) set_bit(words, (uint32_t)hwi_rng_below(&rng, 65536));
    check_chunk(words, 16 + 3002 * 2);
    for (int i = 0; i < 30000; i++) set_bit(words, (uint32_t)hwi_rng_below(&rng, 65536));
    check_chunk(words, HWI_CHUNK_BYTES_MAX);
    memset(words, 0xff, sizeof words);
    check_chunk(words, 15);
    words[500] = 0;
    check_chunk(words, 19);
}

static void
refuses_chunk(const void *data, size_t bytes)
{
    hw_error err = {0};
    uint64_t words[HWI_CHUNK_WORDS] = {0};
    assert_int_equal(hwi_chunk_read(hwi_bytes(data, bytes), 3, words, &err), HW_ECORRUPT);
    assert_non_null(strstr(err.message, "payload index bitmap"));
}

static void
damaged_chunks_are_refused(void **state)
{
    uint64_t words[HWI_CHUNK_WORDS] = {0};
    uint8_t out[HWI_CHUNK_BYTES_MAX];

    (void)state;
    set_bit(words, 5);
    set_bit(words, 9);
    size_t bytes = hwi_chunk_write(words, 3, out);
    for (size_t i = 0; i < bytes; i++) refuses_chunk(out, i); /* every truncation */
    out[8] = 4;                                               /* another chunk */
    refuses_chunk(out, bytes);
    out[8] = 3;
    out[16] = 9; /* 9, 9: not ascending */
    refuses_chunk(out, bytes);
    memset(words, 0xff, sizeof words);
    bytes = hwi_chunk_write(words, 3, out);
    out[bytes - 1] = 0x10; /* the run ends early: wrong count */
    refuses_chunk(out, bytes);
}

static void
slots_become_a_bitmap_in_any_order(void **state)
{
    hw_error err;
    hwi_rng rng;
    hwi_slots s = {0};
    roaring_bitmap_t *made, *wanted = roaring_bitmap_create();

    (void)state;
    hwi_rng_init(&rng, 2);
    for (int i = 0; i < 50000; i++) {
        uint32_t slot = (uint32_t)hwi_rng_below(&rng, i % 2 ? 100000 : 3000000);
        hwi_slots_add(&s, slot);
        roaring_bitmap_add(wanted, slot);
    }
    for (uint32_t slot = 200000; slot < 400000; slot++) { /* runs as well */
        hwi_slots_add(&s, slot);
        roaring_bitmap_add(wanted, slot);
    }
    hwi_slots_add(&s, UINT32_MAX);
    roaring_bitmap_add(wanted, UINT32_MAX);
    hwt_ok(hwi_slots_bitmap(&s, &made, &err), &err);
    assert_true(roaring_bitmap_equals(made, wanted));
    roaring_bitmap_free(made);
    roaring_bitmap_free(wanted);
    hwi_slots_release(&s);
    hwt_ok(hwi_slots_bitmap(&s, &made, &err), &err);
    assert_true(roaring_bitmap_is_empty(made));
    roaring_bitmap_free(made);
}

/* ---- one field, some payloads */

typedef struct fixture {
    hwt_store s;
    hwt_points p;
    hwi_pix_field field;
    hwi_schema schema;
} fixture;

static void
open_with(fixture *f, hwi_pix_type type, const char *const *payloads, size_t count)
{
    f->field = (hwi_pix_field){.number = 1, .path = "a", .type = type, .ready = true};
    f->schema = (hwi_schema){&f->field, 1};
    hwt_store_open(&f->s, HWT_MEM);
    hwt_points_init(&f->p, f->s.store, &f->schema, count, 1000);
    for (size_t i = 0; i < count; i++) hwt_points_put(&f->p, i, payloads[i]);
}

static void
close_fixture(fixture *f)
{
    hwt_points_release(&f->p);
    hwt_store_close(&f->s);
}

/* The places in a bitmap, as digits. */
static const char *
places(const roaring_bitmap_t *b)
{
    static char text[4][64];
    static unsigned turn;
    char *out = text[turn++ % 4];
    size_t n = 0;
    for (uint32_t i = 0; i < 50; i++)
        if (roaring_bitmap_contains(b, i * 1000)) out[n++] = (char)('0' + i);
    out[n] = '\0';
    return out;
}

static void
answers(fixture *f, const char *condition, const char *may, const char *sure)
{
    char text[1024];
    hw_error err = {0};
    hwi_arena arena = {0};
    const hwi_filter *filter;
    hwi_filter_resolved r;
    hw_store_txn *t = hwt_begin(f->s.store, HW_TXN_READ);

    snprintf(text, sizeof text, "{\"must\": %s}", condition);
    hwt_ok(hwi_filter_parse(text, strlen(text), &arena, &filter, &err), &err);
    hwt_ok(hwi_filter_resolve(filter, t, &(hwi_conf){.coll = f->p.coll, .schema = f->schema}, NULL,
                              &r, &err),
           &err);
    if (strcmp(places(r.may), may) != 0 || strcmp(places(r.sure), sure) != 0)
        fail_msg("%s: may %s, sure %s", condition, places(r.may), places(r.sure));
    assert_int_equal(r.exact, strcmp(may, sure) == 0);
    hwi_filter_resolved_release(&r);
    hwi_arena_release(&arena);
    hwi_store_abort(t);
}

static void
keyword_index_decides_matches(void **state)
{
    static const char *const payloads[] = {
        "{\"a\": \"x\"}", "{\"a\": [\"x\", \"y\"]}", "{}", "{\"a\": null}", "{\"a\": 5}",
        "{\"a\": []}"};
    fixture f;

    (void)state;
    open_with(&f, HWI_PIX_KEYWORD, payloads, HWI_COUNT(payloads));
    answers(&f, "{\"key\": \"a\", \"match\": {\"value\": \"x\"}}", "01", "01");
    answers(&f, "{\"key\": \"a\", \"match\": {\"value\": \"z\"}}", "", "");
    answers(&f, "{\"key\": \"a\", \"match\": {\"except\": [\"x\"]}}", "14", "4");
    answers(&f, "{\"key\": \"a\", \"match\": {\"except\": [\"z\"]}}", "014", "014");
    answers(&f, "{\"key\": \"a\", \"match\": {\"prefix\": \"x\"}}", "01", "01");
    answers(&f, "{\"key\": \"a\", \"match\": {\"value\": 5}}", "4", "");
    answers(&f, "{\"key\": \"a\", \"match\": {\"text\": \"x\"}}", "01", "");
    answers(&f, "{\"is_empty\": {\"key\": \"a\"}}", "235", "235");
    answers(&f, "{\"is_null\": {\"key\": \"a\"}}", "3", "3");
    answers(&f, "{\"key\": \"a\", \"values_count\": {\"gte\": 1}}", "014", "014");
    answers(&f, "{\"key\": \"a\", \"values_count\": {\"gt\": 1}}", "014", "");
    answers(&f, "{\"must_not\": {\"key\": \"a\", \"match\": {\"value\": \"x\"}}}", "2345", "2345");
    answers(&f, "{\"key\": \"b\", \"match\": {\"value\": \"x\"}}", "012345", "");
    answers(&f, "{\"has_id\": [1, 4, 77]}", "14", "14");
    close_fixture(&f);
}

static void
number_indexes_decide_ranges(void **state)
{
    static const char *const payloads[] = {"{\"a\": 1}", "{\"a\": [2, 9]}", "{\"a\": 2.5}",
                                           "{\"a\": -3}", "{\"a\": \"x\"}"};
    fixture f;

    (void)state;
    open_with(&f, HWI_PIX_INTEGER, payloads, HWI_COUNT(payloads));
    answers(&f, "{\"key\": \"a\", \"range\": {\"gte\": 1, \"lt\": 2}}", "024", "0");
    answers(&f, "{\"key\": \"a\", \"range\": {\"gt\": 1.5}}", "124", "1");
    answers(&f, "{\"key\": \"a\", \"match\": {\"any\": [9, -3]}}", "13", "13");
    close_fixture(&f);
    open_with(&f, HWI_PIX_FLOAT, payloads, HWI_COUNT(payloads));
    answers(&f, "{\"key\": \"a\", \"range\": {\"gte\": 1, \"lt\": 2}}", "04", "0");
    answers(&f, "{\"key\": \"a\", \"range\": {\"gt\": 2}}", "124", "12");
    answers(&f, "{\"key\": \"a\", \"match\": {\"value\": 1}}", "0", "");
    close_fixture(&f);
}

static void
other_indexes_decide_theirs(void **state)
{
    static const char *const dates[] = {"{\"a\": \"2024-01-01\"}", "{\"a\": \"2023-01-01\"}",
                                        "{\"a\": \"soon\"}"};
    static const char *const uuids[] = {"{\"a\": \"67e55044-10b1-426f-9247-bb680e5fe0c8\"}",
                                        "{\"a\": \"67E55044-10B1-426F-9247-BB680E5FE0C8\"}"};
    static const char *const texts[] = {"{\"a\": \"quick fox\"}", "{\"a\": [\"quick\", \"fox\"]}",
                                        "{\"a\": \"dog\"}"};
    static const char *const points[] = {"{\"a\": {\"lon\": 13.4, \"lat\": 52.5}}",
                                         "{\"a\": {\"lon\": 1, \"lat\": 2}}"};
    static const char *const flags[] = {"{\"a\": true}", "{\"a\": [true, false]}"};
    fixture f;

    (void)state;
    open_with(&f, HWI_PIX_DATETIME, dates, HWI_COUNT(dates));
    answers(&f, "{\"key\": \"a\", \"range\": {\"gt\": \"2023-06-01\"}}", "0", "0");
    close_fixture(&f);
    open_with(&f, HWI_PIX_UUID, uuids, HWI_COUNT(uuids));
    answers(&f,
            "{\"key\": \"a\", \"match\": {\"value\": \"67e55044-10b1-426f-9247-bb680e5fe0c8\"}}",
            "0", "0");
    answers(&f,
            "{\"key\": \"a\", \"match\": {\"value\": \"67E55044-10B1-426F-9247-BB680E5FE0C8\"}}",
            "1", "");
    close_fixture(&f);
    open_with(&f, HWI_PIX_TEXT, texts, HWI_COUNT(texts));
    answers(&f, "{\"key\": \"a\", \"match\": {\"text\": \"Fox\"}}", "01", "01");
    answers(&f, "{\"key\": \"a\", \"match\": {\"text\": \"fox quick\"}}", "01", "0");
    answers(&f, "{\"key\": \"a\", \"match\": {\"phrase\": \"quick fox\"}}", "01", "");
    answers(&f, "{\"key\": \"a\", \"match\": {\"text_any\": \"dog cat\"}}", "2", "2");
    close_fixture(&f);
    open_with(&f, HWI_PIX_GEO, points, HWI_COUNT(points));
    answers(&f,
            "{\"key\": \"a\", \"geo_radius\": {\"center\": {\"lon\": 13, \"lat\": 52}, \"radius\": "
            "100000}}",
            "0", "0");
    close_fixture(&f);
    open_with(&f, HWI_PIX_BOOL, flags, HWI_COUNT(flags));
    answers(&f, "{\"key\": \"a\", \"match\": {\"value\": false}}", "1", "1");
    answers(&f, "{\"must_not\": {\"key\": \"a\", \"match\": {\"value\": false}}}", "0", "0");
    close_fixture(&f);
}

static void
warnings_name_the_index_to_create(void **state)
{
    static const char *const payloads[] = {"{\"a\": \"x\"}"};
    fixture f;
    hw_error err;
    hwi_arena arena = {0};
    const hwi_filter *filter;
    hwi_filter_resolved r;
    const char *year = "{\"must\": {\"key\": \"year\", \"range\": {\"gt\": 2000}}}";
    const char *unfit = "{\"must_not\": {\"key\": \"a\", \"match\": {\"text\": \"b\"}}}";

    (void)state;
    open_with(&f, HWI_PIX_KEYWORD, payloads, 1);
    hw_store_txn *t = hwt_begin(f.s.store, HW_TXN_READ);
    hwt_ok(hwi_filter_parse(year, strlen(year), &arena, &filter, &err), &err);
    hwt_ok(hwi_filter_resolve(filter, t, &(hwi_conf){.coll = f.p.coll, .schema = f.schema}, NULL,
                              &r, &err),
           &err);
    assert_string_equal(r.warning, "filter on unindexed field `year` tests payloads: create an "
                                   "index of type float");
    hwi_filter_resolved_release(&r);
    hwt_ok(hwi_filter_parse(unfit, strlen(unfit), &arena, &filter, &err), &err);
    hwt_ok(hwi_filter_resolve(filter, t, &(hwi_conf){.coll = f.p.coll, .schema = f.schema}, NULL,
                              &r, &err),
           &err);
    assert_string_equal(r.warning, "filter on field `a` tests payloads: its index is of type "
                                   "keyword, one of type text would serve it");
    hwi_filter_resolved_release(&r);
    hwi_store_abort(t);
    hwi_arena_release(&arena);
    close_fixture(&f);
}

/* ---- writing */

/* A thousand upserts with the same ten labels write each bitmap once: counted in bytes written. */
static void
a_batch_writes_each_bitmap_once(void **state)
{
    hw_error err;
    hwt_store s;
    hwi_pix_writer *w;
    hwi_pix_field field = {.number = 1, .path = "label", .type = HWI_PIX_KEYWORD, .ready = true};
    hwi_schema schema = {&field, 1};
    char text[64];

    (void)state;
    hwt_store_open(&s, HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    hwt_ok(hwi_pix_writer_new(t, 1, &schema, &w, &err), &err);
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "{\"label\": \"l%u\"}", i % 10);
        hwt_ok(hwi_pix_change(w, i, hwi_bytes(NULL, 0), hwi_bytes_text(text), &err), &err);
        hwt_ok(hwi_pix_set_live(w, i, true, &err), &err);
    }
    assert_int_equal(t->bytes_written, 0);
    hwt_ok(hwi_pix_flush(w, &err), &err);
    assert_true(t->bytes_written < 10 * (2 * 100 + 60) + 3 * 60);
    size_t written = t->bytes_written;

    /* The same again changes nothing, so nothing is written. */
    for (uint32_t i = 0; i < 1000; i++) {
        char other[64];
        snprintf(text, sizeof text, "{\"label\": \"l%u\"}", i % 10);
        snprintf(other, sizeof other, "{ \"label\": \"l%u\"}", i % 10);
        hwt_ok(hwi_pix_change(w, i, hwi_bytes_text(text), hwi_bytes_text(other), &err), &err);
        hwt_ok(hwi_pix_set_live(w, i, true, &err), &err);
    }
    hwt_ok(hwi_pix_flush(w, &err), &err);
    assert_int_equal(t->bytes_written, written);
    hwi_pix_writer_free(w);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

static void
no_entry(void *arg, const char *where, const char *what)
{
    (void)arg;
    fail_msg("%s: %s", where, what);
}

/* An index built over existing points equals one kept from the start, also when some points are
 * built twice. */
static void
building_later_gives_the_same_index(void **state)
{
    hw_error err;
    hwi_rng rng;
    hwt_store s;
    hwt_points p;
    hwi_schema none = {NULL, 0};
    hwi_pix_writer *w;

    (void)state;
    hwi_rng_init(&rng, 3);
    hwt_store_open(&s, HWT_MEM);
    hwt_points_init(&p, s.store, &none, 200, 7);
    hwt_points_change(&p, &rng, 300);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    hwt_ok(hwi_pix_writer_new(t, p.coll, &hwt_payload_schema, &w, &err), &err);
    for (size_t i = 0; i < p.count; i++)
        for (size_t j = 0; p.live[i] && j < hwt_payload_schema.count; j++) {
            const hwi_pix_field *f = &hwt_payload_schema.fields[j];
            hw_bytes payload = hwi_buf_bytes(&p.payload[i]);
            hwt_ok(hwi_pix_build_slot(w, f, (uint32_t)i * 7, payload, &err), &err);
            if (i % 3 == 0) hwt_ok(hwi_pix_build_slot(w, f, (uint32_t)i * 7, payload, &err), &err);
        }
    hwt_ok(hwi_pix_flush(w, &err), &err);
    hwt_ok(hwi_pix_check(t, p.coll, &hwt_payload_schema, no_entry, NULL, &err), &err);
    hwi_pix_writer_free(w);
    hwi_store_abort(t);
    hwt_points_release(&p);
    hwt_store_close(&s);
}

static void
dropping_a_field_leaves_the_others(void **state)
{
    hw_error err;
    hwi_rng rng;
    hwt_store s;
    hwt_points p;
    bool more = true;

    (void)state;
    hwi_rng_init(&rng, 4);
    hwt_store_open(&s, HWT_MEM);
    hwt_points_init(&p, s.store, &hwt_payload_schema, 200, 7);
    hwt_points_change(&p, &rng, 300);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    while (more) hwt_ok(hwi_pix_drop(t, p.coll, 1, &more, &err), &err);
    hwi_schema rest = {hwt_payload_schema.fields + 1, hwt_payload_schema.count - 1};
    hwt_ok(hwi_pix_check(t, p.coll, &rest, no_entry, NULL, &err), &err);
    hwi_key prefix;
    uint64_t count = 0;
    hwi_pix_kind_key(&prefix, p.coll, 1, HWI_PIX_PRESENT);
    hwt_ok(hwi_pix_count(t, &prefix, &count, &err), &err);
    assert_int_equal(count, 0);
    hwi_store_abort(t);
    hwt_points_release(&p);
    hwt_store_close(&s);
}

/* Writing and resolving with the nth allocation failing, until none does. What CRoaring allocates
 * is its own. */
static void
out_of_memory_is_reported(void **state)
{
    static const char *const payloads[] = {"{\"kw\": \"x\", \"f\": 1.5, \"t\": \"a b\"}"};
    const char *json = "{\"must\": [{\"key\": \"kw\", \"match\": {\"except\": [\"y\"]}}, {\"key\": "
                       "\"f\", \"range\": {\"gt\": 1}}, {\"key\": \"t\", \"match\": {\"text\": "
                       "\"a b\"}}], \"must_not\": {\"key\": \"z\", \"match\": {\"value\": 1}}}";
    hw_error err;
    hwt_store s;
    hwi_arena arena = {0};
    const hwi_filter *filter;
    hw_status st = HW_ENOMEM;

    (void)state;
    hwt_store_open(&s, HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    for (uint64_t n = 1; st != HW_OK; n++) {
        hwi_pix_writer *w;
        (void)hwi_alloc_fail_at(n);
        st = hwi_pix_writer_new(t, 1, &hwt_payload_schema, &w, &err);
        if (st == HW_OK)
            st = hwi_pix_change(w, 5, hwi_bytes(NULL, 0), hwi_bytes_text(payloads[0]), &err);
        if (st == HW_OK) st = hwi_pix_set_live(w, 5, true, &err);
        if (st == HW_OK) st = hwi_pix_flush(w, &err);
        (void)hwi_alloc_fail_at(0);
        hwi_pix_writer_free(w);
        if (st != HW_OK) assert_int_equal(st, HW_ENOMEM);
    }
    hwt_ok(hwi_filter_parse(json, strlen(json), &arena, &filter, &err), &err);
    st = HW_ENOMEM;
    for (uint64_t n = 1; st != HW_OK; n++) {
        hwi_filter_resolved r;
        (void)hwi_alloc_fail_at(n);
        st = hwi_filter_resolve(filter, t, &(hwi_conf){.coll = 1, .schema = hwt_payload_schema},
                                NULL, &r, &err);
        (void)hwi_alloc_fail_at(0);
        if (st != HW_OK) assert_int_equal(st, HW_ENOMEM);
        hwi_filter_resolved_release(&r);
    }
    hwi_arena_release(&arena);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

/* The nth call of each kind on the store fails: the status comes up, and nothing leaks. */
static void
store_failures_are_passed_on(void **state)
{
    static const hwi_fault_op ops[] = {HWI_FAULT_GET, HWI_FAULT_SCAN, HWI_FAULT_PUT, HWI_FAULT_DEL};
    const char *before = "{\"kw\": \"x\", \"f\": 1.5, \"t\": \"a b\", \"n\": 3}";
    const char *after = "{\"kw\": \"y\", \"f\": 2.5, \"t\": \"a c\"}";
    hw_error err;

    (void)state;
    for (size_t op = 0; op < HWI_COUNT(ops); op++) {
        hw_status st = HW_EIO;
        uint64_t nth = 0;
        while (st != HW_OK) {
            hwt_store s;
            hwi_pix_writer *w;
            hwt_store_open(&s, HWT_FAULT_MEM);
            hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
            hwt_ok(hwi_pix_writer_new(t, 1, &hwt_payload_schema, &w, &err), &err);
            hwt_ok(hwi_pix_change(w, 5, hwi_bytes(NULL, 0), hwi_bytes_text(before), &err), &err);
            hwt_ok(hwi_pix_flush(w, &err), &err);
            s.plan = (hwi_fault_plan){
                .ops = ops[op], .nth = ++nth, .action = HWI_FAULT_FAIL, .status = HW_EIO};
            hwt_ok(hwi_pix_change(w, 5, hwi_bytes_text(before), hwi_bytes_text(after), &err), &err);
            st = hwi_pix_flush(w, &err);
            if (st != HW_OK) assert_int_equal(st, HW_EIO);
            hwi_pix_writer_free(w);
            hwi_store_abort(t);
            hwt_store_close(&s);
        }
        assert_true(nth > 1);
    }
}

static uint64_t
guess(const hwt_points *p, const char *condition)
{
    char text[512];
    hw_error err = {0};
    hwi_arena arena = {0};
    const hwi_filter *filter;
    hw_store_txn *t = hwt_begin(p->store, HW_TXN_READ);

    snprintf(text, sizeof text, "{\"must\": %s}", condition);
    hwt_ok(hwi_filter_parse(text, strlen(text), &arena, &filter, &err), &err);
    uint64_t n = hwi_filter_estimate(filter, t, p->coll, p->schema, p->count);
    hwi_arena_release(&arena);
    hwi_store_abort(t);
    return n;
}

/* 300 points, place i with n = i % 10 and f = i: single conditions are counted, several multiplied. */
static void
estimates_count_single_conditions(void **state)
{
    hwt_store s;
    hwt_points p;
    char text[64];

    (void)state;
    hwt_store_open(&s, HWT_MEM);
    hwt_points_init(&p, s.store, &hwt_payload_schema, 300, 1000);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "{\"n\": %d, \"f\": %d.5}", i % 10, i);
        hwt_points_put(&p, (size_t)i, text);
    }
    assert_int_equal(guess(&p, "{\"key\": \"n\", \"match\": {\"value\": 3}}"), 30);
    assert_int_equal(guess(&p, "{\"key\": \"n\", \"match\": {\"any\": [1, 2, 77]}}"), 60);
    assert_int_equal(guess(&p, "{\"key\": \"f\", \"range\": {\"lt\": 100}}"), 100);
    assert_int_equal(guess(&p, "{\"must_not\": {\"key\": \"n\", \"match\": {\"value\": 3}}}"), 270);
    assert_int_equal(guess(&p, "[{\"key\": \"n\", \"match\": {\"value\": 3}}, {\"key\": \"f\", "
                               "\"range\": {\"lt\": 100}}]"),
                     10);
    assert_int_equal(guess(&p, "{\"is_empty\": {\"key\": \"n\"}}"), 0);
    assert_int_equal(guess(&p, "{\"key\": \"free\", \"match\": {\"value\": 3}}"), 100);
    assert_int_equal(guess(&p, "{\"has_id\": [1, 2, 3]}"), 3);
    hwt_points_release(&p);
    hwt_store_close(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_take_their_smallest_form),
        cmocka_unit_test(damaged_chunks_are_refused),
        cmocka_unit_test(slots_become_a_bitmap_in_any_order),
        cmocka_unit_test(keyword_index_decides_matches),
        cmocka_unit_test(number_indexes_decide_ranges),
        cmocka_unit_test(other_indexes_decide_theirs),
        cmocka_unit_test(warnings_name_the_index_to_create),
        cmocka_unit_test(a_batch_writes_each_bitmap_once),
        cmocka_unit_test(building_later_gives_the_same_index),
        cmocka_unit_test(dropping_a_field_leaves_the_others),
        cmocka_unit_test(out_of_memory_is_reported),
        cmocka_unit_test(store_failures_are_passed_on),
        cmocka_unit_test(estimates_count_single_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
