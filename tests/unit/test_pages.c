/* Tables of pages: what is written by row comes back by row, from every store. */
#include "support/hwt_store.h"

#include "records/records.h"

#define MAGIC HWI_PAGE_MAGIC_LOC

static const hw_bytes prefix = {"\x15\x06\x15\x01", 4};

static void
set_row(hwi_page_cache *c, uint32_t row, uint32_t row_bytes, uint8_t value)
{
    uint8_t *p;
    hw_error err;
    hwt_ok(hwi_page_cache_write(c, row, &p, &err), &err);
    memset(p, value, row_bytes);
}

static hwi_page_cache *
cache_of(hw_store_txn *t, uint32_t rows_per_page, uint32_t row_bytes)
{
    hwi_page_cache *c;
    hw_error err;
    hwt_ok(hwi_page_cache_new(t, prefix, MAGIC, rows_per_page, row_bytes, &c, &err), &err);
    return c;
}

static uint8_t
row_in_table(hwi_page_table *t, uint32_t row, uint32_t rows_per_page, uint32_t row_bytes)
{
    const uint8_t *page;
    hw_error err;
    hwt_ok(hwi_page_table_get(t, row / rows_per_page, &page, &err), &err);
    if (!page) return 0;
    assert_int_equal(0, (uintptr_t)page & 3);
    return hwi_page_row(page, row % rows_per_page, row_bytes)[row_bytes - 1];
}

/* Random rows set in random order over several transactions, against an array of bytes. Row sizes
 * make small pages, full ones, and pages above the value limit of a store. */
static void
rows_come_back(hwt_kind kind, uint32_t rows_per_page, uint32_t row_bytes)
{
    enum { ROWS = 300 };
    hwt_store s;
    hw_error err;
    hwi_rng rng;
    uint8_t model[ROWS] = {0};
    hwi_rng_init(&rng, 7);
    hwt_store_open(&s, kind);
    for (int round = 0; round < 6; round++) {
        hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
        hwi_page_cache *c = cache_of(t, rows_per_page, row_bytes);
        for (int i = 0; i < 40; i++) {
            uint32_t row = (uint32_t)hwi_rng_below(&rng, ROWS);
            const uint8_t *seen;
            model[row] = (uint8_t)hwi_rng_below(&rng, 3);
            set_row(c, row, row_bytes, model[row]);
            row = (uint32_t)hwi_rng_below(&rng, ROWS);
            hwt_ok(hwi_page_cache_read(c, row, &seen, &err), &err);
            assert_int_equal(model[row], seen ? seen[row_bytes - 1] : 0);
        }
        hwt_ok(hwi_page_cache_flush(c, &err), &err);
        hwi_page_cache_free(c);
        hwt_commit(t);
    }
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_READ);
    hwi_page_table *table;
    hwt_ok(hwi_page_table_new(t, prefix, hwi_page_count(ROWS, rows_per_page), MAGIC, rows_per_page,
                              row_bytes, &table, &err),
           &err);
    for (uint32_t row = 0; row < ROWS; row++) {
        assert_int_equal(model[row], row_in_table(table, row, rows_per_page, row_bytes));
        assert_int_equal(model[row], row_in_table(table, row, rows_per_page, row_bytes));
    }
    hwi_page_table_free(table);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

static void
rows_come_back_from_every_store(void **state)
{
    (void)state;
    for (int kind = HWT_MEM; kind <= HWT_LMDB; kind++) {
        rows_come_back((hwt_kind)kind, 8, 12);
        rows_come_back((hwt_kind)kind, 10, 3140);
        rows_come_back((hwt_kind)kind, 1, 100004);
        rows_come_back((hwt_kind)kind, 1000, 3);
    }
}

static void
pages_of_zeros_are_deleted_and_short_ones_stay_short(void **state)
{
    (void)state;
    hwt_store s;
    hw_error err;
    hw_bytes value;
    hwi_key key;
    hwt_store_open(&s, HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    hwi_page_cache *c = cache_of(t, 100, 8);
    hwi_key_init(&key);
    hwi_key_raw(&key, prefix);
    hwi_key_uint(&key, 0);
    set_row(c, 2, 8, 9);
    hwt_ok(hwi_page_cache_flush(c, &err), &err);
    hwt_ok(hwi_store_get(t, hwi_key_view(&key), &value, &err), &err);
    assert_int_equal(HWI_PAGE_HEADER + 3 * 8, value.size);
    hwt_ok(hwi_page_verify(value, MAGIC, 8, &err), &err);
    set_row(c, 2, 8, 0);
    hwt_ok(hwi_page_cache_flush(c, &err), &err);
    assert_int_equal(HW_ENOTFOUND, hwi_store_get(t, hwi_key_view(&key), &value, &err));
    hwi_page_cache_free(c);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

/* Every flipped byte of a page fails verification; what a reader sees first fails the check. */
static void
damage_is_noticed(void **state)
{
    (void)state;
    uint8_t page[HWI_PAGE_HEADER + 5 * 8];
    hw_error err = {0};
    memset(page, 3, sizeof page);
    hwi_page_seal(page, sizeof page, MAGIC, 5, 8);
    hw_bytes value = {page, sizeof page};
    assert_int_equal(HW_OK, hwi_page_verify(value, MAGIC, 8, &err));
    for (size_t i = 0; i < sizeof page; i++) {
        page[i] ^= 0x10;
        assert_int_equal(HW_ECORRUPT, hwi_page_verify(value, MAGIC, 8, &err));
        page[i] ^= 0x10;
    }
    assert_int_equal(HW_ECORRUPT, hwi_page_check(value, HWI_PAGE_MAGIC_VEC, 8, &err));
    assert_int_equal(HW_ECORRUPT, hwi_page_check(value, MAGIC, 12, &err));
    for (size_t size = 0; size < sizeof page; size++) {
        assert_int_equal(HW_ECORRUPT, hwi_page_check((hw_bytes){page, size}, MAGIC, 8, &err));
    }
}

static void
a_damaged_page_is_not_written_back(void **state)
{
    (void)state;
    hwt_store s;
    hw_error err;
    hwi_key key;
    uint8_t page[HWI_PAGE_HEADER + 5 * 8], *row;
    hwt_store_open(&s, HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    hwi_page_cache *c = cache_of(t, 100, 8);
    memset(page, 3, sizeof page);
    hwi_page_seal(page, sizeof page, MAGIC, 5, 8);
    page[60] ^= 1;
    hwi_key_init(&key);
    hwi_key_raw(&key, prefix);
    hwi_key_uint(&key, 0);
    hwt_ok(hwi_store_put(t, hwi_key_view(&key), hwi_bytes(page, sizeof page), &err), &err);
    assert_int_equal(HW_ECORRUPT, hwi_page_cache_write(c, 7, &row, &err));
    hwi_page_cache_free(c);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

static void
slot_rows_hold_every_kind_of_id(void **state)
{
    (void)state;
    char text[HW_ID_TEXT_MAX];
    uint8_t row[HWI_SLOT_ROW_BYTES];
    hw_id ids[4] = {HW_ID_U64(UINT64_MAX), {.kind = HW_ID_KIND_UUID}}, back;
    bool in_rec;
    memset(text, 't', sizeof text);
    ids[2] = (hw_id){.kind = HW_ID_KIND_TEXT, .text_bytes = 16, .as.text = text};
    ids[3] = (hw_id){.kind = HW_ID_KIND_TEXT, .text_bytes = 17, .as.text = text};
    for (int i = 0; i < 4; i++) {
        hwi_slot_row_write(row, &ids[i]);
        assert_int_equal(HW_OK, hwi_slot_row_read(row, &back, &in_rec, NULL));
        assert_int_equal(i == 3, in_rec);
        if (!in_rec) assert_int_equal(0, hw_id_compare(&ids[i], &back));
    }
    memset(row, 0, sizeof row);
    assert_int_equal(HW_ENOTFOUND, hwi_slot_row_read(row, &back, &in_rec, NULL));
    row[0] = 9;
    assert_int_equal(HW_ECORRUPT, hwi_slot_row_read(row, &back, &in_rec, NULL));
    row[0] = 1 + HW_ID_KIND_TEXT, row[1] = 17;
    assert_int_equal(HW_ECORRUPT, hwi_slot_row_read(row, &back, &in_rec, NULL));
}

/* Writes ids of slots 0, 1 ... (0: none) as a page, reads them back through cache and table. */
static void
ids_come_back(const uint64_t *ids, uint32_t count, size_t bytes_at_most)
{
    hwt_store s;
    hw_error err;
    hwi_page_cache *c;
    hwi_page_table *table;
    hwi_key key;
    hw_bytes value;
    uint8_t *row;
    const uint8_t *stored;
    hw_id id;
    bool in_rec;
    hwt_store_open(&s, HWT_LMDB); /* where small values lie at odd addresses */
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);

    hwt_ok(hwi_slot_cache_new(t, 1, &c, &err), &err);
    for (uint32_t i = 0; i < count; i++) {
        hwt_ok(hwi_page_cache_write(c, i, &row, &err), &err);
        if (ids[i]) hwi_slot_row_write(row, &HW_ID_U64(ids[i]));
    }
    hwt_ok(hwi_page_cache_flush(c, &err), &err);
    hwi_key_slot(&key, 1, 0);
    hwt_ok(hwi_store_get(t, hwi_key_view(&key), &value, &err), &err);
    assert_true(value.size <= bytes_at_most);
    hwt_ok(hwi_slot_page_verify(value, &err), &err);
    hwt_ok(hwi_slot_table_new(t, 1, HWI_SLOTS_PER_PAGE, &table, &err), &err);
    for (uint32_t i = 0; i < HWI_SLOTS_PER_PAGE; i++) {
        hw_status st = hwi_slot_id(table, t, 1, i, &id, &err);
        assert_int_equal(st, i < count && ids[i] ? HW_OK : HW_ENOTFOUND);
        if (st == HW_OK) assert_true(id.kind == HW_ID_KIND_U64 && id.as.u64 == ids[i]);
        hwt_ok(hwi_page_cache_read(c, i, &stored, &err), &err);
        if (i >= count || !stored) continue;
        st = hwi_slot_row_read(stored, &id, &in_rec, &err);
        assert_int_equal(st, ids[i] ? HW_OK : HW_ENOTFOUND);
        if (st == HW_OK) assert_true(id.as.u64 == ids[i]);
    }
    hwi_page_table_free(table);
    hwi_page_cache_free(c);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

/* Packed pages give back what was written, in as few bytes as the ids' order allows; a page with an id
 * of another kind is stored in full, also when it was packed before. */
static void
slot_pages_of_integer_ids_are_packed(void **state)
{
    enum { ROWS = 1024 };
    static uint64_t ids[ROWS];
    hwi_rng rng;
    (void)state;

    for (uint32_t i = 0; i < ROWS; i++) ids[i] = 1000000 + i;
    ids_come_back(ids, ROWS, HWI_PAGE_HEADER + 2 * ROWS);
    ids[3] = ids[700] = 0;
    ids_come_back(ids, 1000, HWI_PAGE_HEADER + 2000);
    ids[5] = 1000000 + 400;
    ids_come_back(ids, 1000, HWI_PAGE_HEADER + 2000);
    hwi_rng_init(&rng, 5);
    for (uint32_t i = 0; i < ROWS; i++) ids[i] = hwi_rng_next(&rng) | 1;
    ids_come_back(ids, ROWS, HWI_PAGE_HEADER + 8 * ROWS);
    ids[0] = UINT64_MAX, ids[1] = 1; /* distances from end to end of the numbers */
    ids_come_back(ids, 2, HWI_PAGE_HEADER + 48);
}

static void
a_packed_slot_page_takes_ids_of_other_kinds(void **state)
{
    hwt_store s;
    hw_error err;
    hwi_page_cache *c;
    uint8_t *row;
    const uint8_t *stored;
    hw_id text = {.kind = HW_ID_KIND_TEXT, .text_bytes = 3, .as.text = "abc"}, id;
    bool in_rec;
    (void)state;

    hwt_store_open(&s, HWT_LMDB); /* where small values lie at odd addresses */
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    hwt_ok(hwi_slot_cache_new(t, 1, &c, &err), &err);
    for (uint32_t i = 0; i < 40; i++) {
        hwt_ok(hwi_page_cache_write(c, i, &row, &err), &err);
        hwi_slot_row_write(row, &HW_ID_U64(i + 7));
    }
    hwt_ok(hwi_page_cache_flush(c, &err), &err);
    hwt_ok(hwi_page_cache_write(c, 40, &row, &err), &err);
    hwi_slot_row_write(row, &text);
    hwt_ok(hwi_page_cache_flush(c, &err), &err);
    for (uint32_t i = 0; i <= 40; i++) {
        hwt_ok(hwi_page_cache_read(c, i, &stored, &err), &err);
        hwt_ok(hwi_slot_row_read(stored, &id, &in_rec, &err), &err);
        if (i < 40)
            assert_true(id.kind == HW_ID_KIND_U64 && id.as.u64 == i + 7);
        else
            assert_int_equal(hw_id_compare(&id, &text), 0);
    }
    hwi_page_cache_free(c);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

static void
put_rec(hw_store_txn *t, uint32_t slot, const char *id, size_t id_bytes, const char *payload,
        size_t payload_bytes)
{
    hw_error err;
    hwi_rec rec = {{id, id_bytes}, {payload, payload_bytes}};
    hwt_ok(hwi_rec_put(t, 1, slot, false, &rec, &err), &err);
}

static void
check_rec(hw_store_txn *t, uint32_t slot, const char *id, size_t id_bytes, const char *payload,
          size_t payload_bytes)
{
    hw_error err;
    hwi_rec rec;
    hwi_buf large = {0};
    hwt_ok(hwi_rec_get(t, 1, slot, &large, &rec, &err), &err);
    assert_int_equal(id_bytes, rec.id_text.size);
    assert_int_equal(payload_bytes, rec.payload.size);
    if (id_bytes) assert_memory_equal(id, rec.id_text.data, id_bytes);
    if (payload_bytes) assert_memory_equal(payload, rec.payload.data, payload_bytes);
    hwi_buf_release(&large);
}

static bool
count_key(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key, (void)value;
    ++*(int *)arg;
    return true;
}

/* Small, large and no payloads replace each other; nothing is left behind. */
static void
records_of_any_size_replace_each_other(void **state)
{
    (void)state;
    static char large[300000];
    char id[40];
    const size_t sizes[] = {0, 10, HWI_REC_INLINE_MAX, HWI_REC_INLINE_MAX + 1, sizeof large};
    hwt_store s;
    hw_error err;
    memset(large, 'p', sizeof large);
    memset(id, 'i', sizeof id);
    hwt_store_open(&s, HWT_LMDB);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    for (size_t a = 0; a < HWI_COUNT(sizes); a++) {
        for (size_t b = 0; b < HWI_COUNT(sizes); b++) {
            put_rec(t, 5, id, sizeof id, large, sizes[a]);
            check_rec(t, 5, id, sizeof id, large, sizes[a]);
            put_rec(t, 5, NULL, 0, large, sizes[b]);
            check_rec(t, 5, NULL, 0, large, sizes[b]);
        }
    }
    hwt_ok(hwi_rec_del(t, 1, 5, &err), &err);
    int keys = 0;
    hwt_ok(hwi_store_scan(t, (hw_bytes){0}, (hw_bytes){0}, false, count_key, &keys, &err), &err);
    assert_int_equal(0, keys);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_from_every_store),
        cmocka_unit_test(pages_of_zeros_are_deleted_and_short_ones_stay_short),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(a_damaged_page_is_not_written_back),
        cmocka_unit_test(slot_rows_hold_every_kind_of_id),
        cmocka_unit_test(slot_pages_of_integer_ids_are_packed),
        cmocka_unit_test(a_packed_slot_page_takes_ids_of_other_kinds),
        cmocka_unit_test(records_of_any_size_replace_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
