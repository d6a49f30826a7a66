/* The ordered pages of an index against a sorted array, under random changes with few and many
 * distinct codes. */
#include "support/hwt_store.h"

#include <stdlib.h>

#include "payload/pix_parts.h"

enum { ROUNDS = 12, STEPS = 60, BATCH_MAX = 600, FIELD = 5, COLL = 2 };

typedef struct model {
    hwi_pix_entry *entries;
    size_t count;
} model;

static size_t
lower(const model *m, const hwi_pix_entry *e)
{
    size_t from = 0, to = m->count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (hwi_pix_entry_compare(&m->entries[mid], e) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static void
apply_to_model(model *m, const hwi_pix_entry *changes, size_t count)
{
    m->entries = realloc(m->entries, (m->count + count) * sizeof *m->entries);
    for (size_t i = 0; i < count; i++) {
        size_t at = lower(m, &changes[i]);
        bool there = at < m->count && hwi_pix_entry_compare(&m->entries[at], &changes[i]) == 0;
        if (changes[i].add && !there) {
            memmove(m->entries + at + 1, m->entries + at, (m->count - at) * sizeof *m->entries);
            m->entries[at] = changes[i];
            m->count++;
        } else if (!changes[i].add && there) {
            memmove(m->entries + at, m->entries + at + 1, (m->count - at - 1) * sizeof *m->entries);
            m->count--;
        }
    }
}

/* Codes: a few heavy ones at both ends of the range and in the middle, or any. */
static uint64_t
random_code(hwi_rng *rng, unsigned kind)
{
    static const uint64_t heavy[] = {0, 1, 7, (uint64_t)1 << 63, UINT64_MAX};
    if (kind == 0 || (kind == 1 && hwi_rng_below(rng, 2)))
        return heavy[hwi_rng_below(rng, HWI_COUNT(heavy))];
    return kind == 2 && hwi_rng_below(rng, 2) ? hwi_rng_below(rng, 300) : hwi_rng_next(rng);
}

static int
compare(const void *a, const void *b)
{
    return hwi_pix_entry_compare(a, b);
}

static size_t
random_batch(hwi_rng *rng, unsigned kind, unsigned remove_in_ten, const model *m,
             hwi_pix_entry *out)
{
    size_t count = 1 + hwi_rng_below(rng, BATCH_MAX), kept = 0;

    for (size_t i = 0; i < count; i++) {
        bool add = hwi_rng_below(rng, 10) >= remove_in_ten;
        uint32_t slot = (uint32_t)hwi_rng_below(rng, kind == 0 ? 2000 : 200000);
        out[i] = (hwi_pix_entry){random_code(rng, kind), slot, add};
        if (!add && m->count > 0) { /* mostly what is there */
            out[i] = m->entries[hwi_rng_below(rng, m->count)];
            out[i].add = 0;
        }
    }
    qsort(out, count, sizeof *out, compare);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || hwi_pix_entry_compare(&out[kept - 1], &out[i]) != 0) out[kept++] = out[i];
    return kept;
}

typedef struct walk {
    const model *model;
    size_t next;
    size_t pages, entries;
} walk;

static void
expect(walk *w, uint64_t code, uint32_t slot)
{
    assert_true(w->next < w->model->count);
    assert_true(w->model->entries[w->next].code == code);
    assert_int_equal(w->model->entries[w->next].slot, slot);
    w->next++;
    w->entries++;
}

static hw_status
walk_part(void *arg, const hwi_page_part *p, hw_error *err)
{
    walk *w = arg;
    uint64_t words[HWI_CHUNK_WORDS] = {0};

    w->pages++;
    if (!p->same) {
        for (size_t i = 0; i < p->count; i++)
            expect(w, hwi_page_part_code(p, i), hwi_page_part_slot(p, i));
        return HW_OK;
    }
    hwt_ok(hwi_chunk_read(p->slots, p->chunk, words, err), err);
    for (uint32_t i = 0; i < 65536; i++)
        if (words[i >> 6] >> (i & 63) & 1) expect(w, p->code, p->chunk << 16 | i);
    return HW_OK;
}

static void
check_range(hw_store_txn *t, const model *m, uint64_t from, uint64_t to)
{
    hw_error err;
    hwi_pix_entry first = {from, 0, 0};
    walk w = {.model = m, .next = lower(m, &first)};
    uint64_t count = 0;

    hwt_ok(hwi_pages_scan(t, COLL, FIELD, from, to, walk_part, &w, &err), &err);
    assert_true(w.next == m->count || m->entries[w.next].code > to);
    hwt_ok(hwi_pix_count_range(t, COLL, FIELD, from, to, &count, &err), &err);
    assert_int_equal(count, w.entries);
}

static size_t
count_pages(hw_store_txn *t, const model *m)
{
    hw_error err;
    walk w = {.model = m};
    hwt_ok(hwi_pages_scan(t, COLL, FIELD, 0, UINT64_MAX, walk_part, &w, &err), &err);
    assert_int_equal(w.entries, m->count);
    return w.pages;
}

/* Growing, then shrinking to nothing; all and random ranges compared after every batch. */
static void
run_round(uint64_t seed)
{
    hw_error err;
    hwi_rng rng;
    hwt_store s;
    model m = {0};
    unsigned kind = (unsigned)(seed % 4);
    hwi_pix_entry *batch = malloc(BATCH_MAX * sizeof *batch);

    hwi_rng_init(&rng, seed);
    hwt_store_open(&s, seed % 3 == 0 ? HWT_LMDB : HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    for (int step = 0; step < STEPS; step++) {
        size_t count = random_batch(&rng, kind, step < STEPS / 2 ? 2 : 9, &m, batch);
        hwt_ok(hwi_pages_apply(t, COLL, FIELD, batch, count, &err), &err);
        apply_to_model(&m, batch, count);
        check_range(t, &m, 0, UINT64_MAX);
        for (int i = 0; i < 20; i++) {
            uint64_t a = random_code(&rng, kind), b = random_code(&rng, kind);
            check_range(t, &m, HWI_MIN(a, b), HWI_MAX(a, b));
        }
    }
    for (size_t i = 0; i < m.count; i++) m.entries[i].add = 0;
    hwi_pix_entry *all = malloc((m.count + 1) * sizeof *all);
    size_t count = m.count;
    memcpy(all, m.entries, count * sizeof *all);
    assert_true(count_pages(t, &m) <= 8 + count / 20); /* pages join when they empty */
    hwt_ok(hwi_pages_apply(t, COLL, FIELD, all, count, &err), &err);
    m.count = 0;
    assert_int_equal(count_pages(t, &m), 0);
    free(all);
    free(batch);
    free(m.entries);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

static void
pages_hold_what_a_sorted_array_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_round(seed);
    }
}

/* Many slots of ten codes take bitmaps, and not twelve bytes an entry. */
static void
few_codes_take_few_bytes(void **state)
{
    enum { SLOTS = 200000 };
    hw_error err;
    hwt_store s;
    hwi_pix_entry *all = malloc(SLOTS * sizeof *all);

    (void)state;
    hwt_store_open(&s, HWT_MEM);
    hw_store_txn *t = hwt_begin(s.store, HW_TXN_WRITE);
    for (uint32_t i = 0; i < SLOTS; i++) all[i] = (hwi_pix_entry){i * 2654435761u % 10, i, 1};
    qsort(all, SLOTS, sizeof *all, compare);
    hwt_ok(hwi_pages_apply(t, COLL, FIELD, all, SLOTS, &err), &err);
    assert_true(t->bytes_written < 500000);
    model m = {all, SLOTS};
    assert_int_equal(count_pages(t, &m), 10 * 4);
    free(all);
    hwi_store_abort(t);
    hwt_store_close(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_hold_what_a_sorted_array_holds),
        cmocka_unit_test(few_codes_take_few_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
