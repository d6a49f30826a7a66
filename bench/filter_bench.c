/* filter_bench.c - payload indexes and filters: build, resolve, estimate, test payloads.
 *
 *     filter_bench [points] [folder]      default 1,000,000 points, a folder under /tmp
 *
 * Points have an integer label of ten values, a keyword of a thousand, an all-distinct float, a
 * date, a place near a thousand towns and a text of eight words. Prints one line per measurement,
 * in processor time of the one thread at work, so that a busy machine matters less; resolve times
 * are the median of several runs. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "payload/filter.h"
#include "payload/pix.h"
#include "records/records.h"

enum { COLL = 1, BATCH = 10000, RUNS = 11, TESTED = 200000 };

static hwi_pix_field fields[] = {
    {1, "label", HWI_PIX_INTEGER, true, 0, NULL}, {2, "kw", HWI_PIX_KEYWORD, true, 0, NULL},
    {3, "price", HWI_PIX_FLOAT, true, 0, NULL},   {4, "at", HWI_PIX_DATETIME, true, 0, NULL},
    {5, "place", HWI_PIX_GEO, true, 0, NULL},     {6, "text", HWI_PIX_TEXT, true, 0, NULL},
};
static const hwi_schema schema = {fields, HWI_COUNT(fields)};

static uint64_t
cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
demand(hw_status st, const hw_error *err)
{
    if (st == HW_OK) return;
    fprintf(stderr, "filter_bench: %s\n", err->message);
    exit(1);
}

static void
payload_of(uint32_t i, hwi_buf *out)
{
    hwi_rng rng;

    hwi_rng_init(&rng, i);
    hwi_buf_clear(out);
    hwi_buf_printf(out, "{\"label\": %u, \"kw\": \"keyword-%u\", \"price\": %.12f, ",
                   (unsigned)hwi_rng_below(&rng, 10), (unsigned)hwi_rng_below(&rng, 1000),
                   hwi_rng_unit(&rng));
    hwi_buf_printf(out, "\"at\": \"20%02u-%02u-%02uT%02u:%02u:00Z\", ",
                   (unsigned)hwi_rng_below(&rng, 25), 1 + (unsigned)hwi_rng_below(&rng, 12),
                   1 + (unsigned)hwi_rng_below(&rng, 28), (unsigned)hwi_rng_below(&rng, 24),
                   (unsigned)hwi_rng_below(&rng, 60));
    uint64_t town = hwi_rng_below(&rng, 1000);
    hwi_buf_printf(out, "\"place\": {\"lon\": %.6f, \"lat\": %.6f}, \"text\": \"",
                   (double)(town % 40) * 9 - 175 + hwi_rng_normal(&rng) / 10,
                   (double)(town / 40) * 6 - 70 + hwi_rng_normal(&rng) / 10);
    for (int w = 0; w < 8; w++) {
        double u = hwi_rng_unit(&rng);
        hwi_buf_printf(out, "word%u ", (unsigned)(u * u * u * 20000));
    }
    hwi_buf_text(out, "\"}");
}

static void
build(hw_store *store, uint32_t points)
{
    hw_error err;
    hwi_buf payload = {0};
    uint64_t from = cpu_us();
    size_t bytes = 0;

    for (uint32_t i = 0; i < points;) {
        hw_store_txn *t;
        hwi_pix_writer *w;
        demand(hwi_store_begin(store, HW_TXN_WRITE, &t, &err), &err);
        demand(hwi_pix_writer_new(t, COLL, &schema, &w, &err), &err);
        for (uint32_t end = HWI_MIN(points, i + BATCH); i < end; i++) {
            payload_of(i, &payload);
            demand(hwi_pix_change(w, i, hwi_bytes(NULL, 0), hwi_buf_bytes(&payload), &err), &err);
            demand(hwi_pix_set_live(w, i, true, &err), &err);
        }
        demand(hwi_pix_flush(w, &err), &err);
        hwi_pix_writer_free(w);
        bytes += t->bytes_written;
        demand(hwi_store_commit(t, &err), &err);
    }
    hw_store_info info;
    demand(hwi_store_info(store, &info, &err), &err);
    double s = (double)(cpu_us() - from) / 1e6;
    printf("build       %u points, 6 indexes, batches of %d: %.1f s, %.1f us a point, %.1f kB "
           "written a point, %.0f bytes on disk a point\n",
           points, BATCH, s, s * 1e6 / points, (double)bytes / 1e3 / points,
           (double)info.disk_bytes / points);
    hwi_buf_release(&payload);
}

static int
compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void
resolve(hw_store *store, uint32_t points, const char *text)
{
    hw_error err;
    hw_store_txn *t;
    hwi_arena arena = {0};
    const hwi_filter *filter;
    uint64_t times[RUNS], guesses[RUNS], guess = 0, may = 0, sure = 0;
    hwi_conf conf = {.coll = COLL, .schema = schema};

    demand(hwi_filter_parse(text, strlen(text), &arena, &filter, &err), &err);
    demand(hwi_store_begin(store, HW_TXN_READ, &t, &err), &err);
    for (int i = 0; i < RUNS; i++) {
        hwi_filter_resolved r;
        uint64_t from = cpu_us();
        demand(hwi_filter_resolve(filter, t, &conf, NULL, &r, &err), &err);
        times[i] = cpu_us() - from;
        may = roaring_bitmap_get_cardinality(r.may);
        sure = roaring_bitmap_get_cardinality(r.sure);
        hwi_filter_resolved_release(&r);
        from = cpu_us();
        guess = hwi_filter_estimate(filter, t, COLL, &schema, points);
        guesses[i] = cpu_us() - from;
    }
    qsort(times, RUNS, sizeof *times, compare_times);
    qsort(guesses, RUNS, sizeof *guesses, compare_times);
    printf("resolve %7.3f ms  estimate %7.3f ms  may %8llu  sure %8llu  guess %8llu  %s\n",
           (double)times[RUNS / 2] / 1e3, (double)guesses[RUNS / 2] / 1e3, (unsigned long long)may,
           (unsigned long long)sure, (unsigned long long)guess, text);
    hwi_store_abort(t);
    hwi_arena_release(&arena);
}

static void
test_payloads(const char *text)
{
    hw_error err;
    hwi_arena arena = {0};
    const hwi_filter *filter;
    hwi_filter_tester *tester;
    hwi_buf all = {0}, one = {0};
    uint32_t *ends = malloc(TESTED * sizeof *ends), matched = 0;

    for (uint32_t i = 0; i < TESTED; i++) {
        payload_of(i, &one);
        hwi_buf_add(&all, one.data, one.size);
        ends[i] = (uint32_t)all.size;
    }
    demand(hwi_filter_parse(text, strlen(text), &arena, &filter, &err), &err);
    demand(hwi_filter_tester_new(filter, &tester, &err), &err);
    uint64_t from = cpu_us();
    for (uint32_t i = 0; i < TESTED; i++) {
        uint32_t start = i ? ends[i - 1] : 0;
        bool matches;
        demand(hwi_filter_test(tester, NULL, hwi_bytes(all.data + start, ends[i] - start), &matches,
                               &err),
               &err);
        matched += matches;
    }
    double s = (double)(cpu_us() - from) / 1e6;
    printf("test    %.2f million payloads of %zu bytes a second, %u matched  %s\n",
           TESTED / s / 1e6, all.size / TESTED, matched, text);
    hwi_filter_tester_free(tester);
    hwi_buf_release(&all);
    hwi_buf_release(&one);
    hwi_arena_release(&arena);
    free(ends);
}

int
main(int argc, char **argv)
{
    static const char *const filters[] = {
        "{\"must\": {\"key\": \"label\", \"match\": {\"value\": 3}}}",
        "{\"must\": {\"key\": \"label\", \"match\": {\"any\": [1, 2, 3, 4, 5]}}}",
        "{\"must\": {\"key\": \"label\", \"match\": {\"except\": [1, 2]}}}",
        "{\"must_not\": {\"key\": \"label\", \"match\": {\"value\": 3}}}",
        "{\"must\": {\"key\": \"kw\", \"match\": {\"value\": \"keyword-17\"}}}",
        "{\"must\": {\"key\": \"kw\", \"match\": {\"prefix\": \"keyword-1\"}}}",
        "{\"must\": {\"key\": \"price\", \"range\": {\"lt\": 0.5}}}",
        "{\"must\": {\"key\": \"price\", \"range\": {\"gte\": 0.3, \"lt\": 0.4}}}",
        "{\"must\": {\"key\": \"price\", \"range\": {\"gte\": 0.30, \"lt\": 0.31}}}",
        "{\"must\": {\"key\": \"price\", \"range\": {\"gte\": 0.300, \"lt\": 0.301}}}",
        "{\"must\": {\"key\": \"at\", \"range\": {\"gte\": \"2020-01-01\"}}}",
        "{\"must\": {\"key\": \"place\", \"geo_radius\": {\"center\": {\"lon\": 5, \"lat\": 50}, "
        "\"radius\": 1000000}}}",
        "{\"must\": {\"key\": \"text\", \"match\": {\"text\": \"word5\"}}}",
        "{\"must\": {\"key\": \"text\", \"match\": {\"text\": \"word5 word7\"}}}",
        "{\"must\": [{\"key\": \"label\", \"match\": {\"value\": 3}}, {\"key\": \"price\", "
        "\"range\": {\"lt\": 0.5}}], \"must_not\": {\"is_empty\": {\"key\": \"kw\"}}}",
        "{\"must\": {\"key\": \"nothing\", \"match\": {\"value\": 3}}}",
    };
    uint32_t points = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    const char *folder = argc > 2 ? argv[2] : "/tmp/filter_bench.hw";
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_store *store;
    hw_error err;

    opts.no_sync = true;
    demand(hwi_store_open(folder, &opts, &store, &err), &err);
    build(store, points);
    for (size_t i = 0; i < HWI_COUNT(filters); i++) resolve(store, points, filters[i]);
    test_payloads(filters[0]);
    test_payloads(filters[14]);
    hwi_store_close(store);
    return 0;
}
