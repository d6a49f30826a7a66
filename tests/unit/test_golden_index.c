/* A database of a released format with indexes of every kind and metric (tests/golden/index-v1)
 * restores, is sound, and answers as the answers kept beside it say; then it goes on being changed.
 *
 * HASHWOOD_GOLDEN_WRITE=1 writes backup and answers anew first. */
#include "support/hwt_index.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define GOLDEN HWT_SOURCE_DIR "/tests/golden/index-v1"

enum { DIM = 6, PLACES = 260, QUERIES = 6, K = 8 };

static const char *const kinds[] = {"hybrid", "kdtree", "lsh", "flat"};
static const hwi_metric metrics[] = {HWI_COSINE, HWI_L2, HWI_DOT, HWI_L1};

/* Writes the exact answers of a collection, and of how many points they are. */
static void
write_answers(hw_db *db, const char *name, hwi_buf *out)
{
    hw_collection *c;
    hw_error err;
    uint64_t count;

    hwt_ok(hw_collection_open(db, name, &c, &err), &err);
    hwt_ok(hw_collection_count(c, NULL, 0, &count, &err), &err);
    hwi_buf_printf(out, "%s %llu points\n", name, (unsigned long long)count);
    for (int i = 0; i < QUERIES; i++) {
        float v[DIM];
        hw_result *r;
        hw_query q = HW_QUERY_INIT;
        for (int j = 0; j < DIM; j++) v[j] = (float)((i * 7 + j * 3) % 5) - 1.5f;
        q.vector = v, q.dim = DIM, q.k = K, q.exact = true;
        hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
        for (size_t h = 0; h < hw_result_count(r); h++)
            hwi_buf_printf(out, " %llu:%.5f", (unsigned long long)hw_result_ids(r)[h].as.u64,
                           (double)(hw_result_scores(r)[h] + 0.0f)); /* no -0 */
        hwi_buf_text(out, "\n");
        hw_result_free(r);
        q.exact = false;
        hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
        assert_int_equal(hw_result_count(r), K);
        hw_result_free(r);
    }
    hw_collection_close(c);
}

static void
all_answers(hw_db *db, hwi_buf *out)
{
    char name[64];

    for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++)
        for (size_t m = 0; m < HWI_COUNT(metrics); m++) {
            snprintf(name, sizeof name, "%s-%s", kinds[kind], hwi_metric_text(metrics[m]));
            write_answers(db, name, out);
        }
    assert_false(out->failed);
}

/* One collection, built, then changed so that leaves have split and merged. */
static void
fill(hw_db *db, const char *kind, hwi_metric metric)
{
    char index[96], config[512], name[64];
    hwt_set s;
    hw_error err;

    hwt_set_init(&s, metric, DIM, PLACES);
    hwt_set_fill(&s, HWT_SPREAD, 31);
    snprintf(index, sizeof index, "\"kind\": \"%s\", \"flat_below\": 50, \"leaf_size\": 16", kind);
    snprintf(name, sizeof name, "%s-%s", kind, hwi_metric_text(metric));
    hwt_set_config(&s, index, config);
    hw_collection *c = hwt_collection(db, name, config);
    hwt_set_upsert(&s, c, 0, PLACES, 20);
    for (uint32_t i = 0; i < PLACES; i += 3) {
        hw_id id = hwt_set_id(i);
        hwt_ok(hw_collection_delete(c, &id, 1, NULL, &err), &err);
    }
    hw_collection_close(c);
    hwt_set_release(&s);
}

static void
write_file(const char *folder, const char *name, const hwi_buf *b)
{
    char path[600];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b->data, 1, b->size, f), b->size);
    assert_int_equal(fclose(f), 0);
}

static void
make_golden(const char *folder)
{
    hwt_db d;
    hwi_buf answers = {0};
    char path[600];
    hw_error err;

    hwt_db_open(&d, false);
    for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++)
        for (size_t m = 0; m < HWI_COUNT(metrics); m++) fill(d.db, kinds[kind], metrics[m]);
    hwt_db_check(d.db);
    snprintf(path, sizeof path, "%s/backup", folder);
    hwt_ok(hw_db_backup(d.db, path, NULL, NULL, &err), &err);
    all_answers(d.db, &answers);
    write_file(folder, "answers", &answers);
    hwi_buf_release(&answers);
    hwt_db_close(&d);
}

static void
expect_kept_answers(hw_db *db)
{
    hwi_buf answers = {0};
    static char kept[1 << 16];
    FILE *f = fopen(GOLDEN "/answers", "rb");

    assert_non_null(f);
    size_t size = fread(kept, 1, sizeof kept - 1, f);
    (void)fclose(f);
    all_answers(db, &answers);
    hwi_buf_add(&answers, "", 1);
    kept[size] = 0;
    assert_string_equal((const char *)answers.data, kept);
    hwi_buf_release(&answers);
}

static void
indexes_of_format_1_are_sound_and_answer_as_then(void **state)
{
    char scratch[HWT_PATH], folder[HWT_PATH + 8];
    hw_db *db;
    hw_collection *c;
    hw_error err;
    (void)state;

    if (getenv("HASHWOOD_GOLDEN_WRITE")) make_golden(GOLDEN);
    hwt_scratch_new(scratch);
    snprintf(folder, sizeof folder, "%s/db", scratch);
    hwt_ok(hw_db_restore(GOLDEN "/backup", folder, NULL, NULL, &err), &err);
    hwt_ok(hw_db_open(folder, NULL, &db, &err), &err);
    hwt_db_check(db);
    expect_kept_answers(db);
    for (size_t kind = 0; kind < HWI_COUNT(kinds); kind++) { /* it can be written to and built */
        char name[64];
        snprintf(name, sizeof name, "%s-l2", kinds[kind]);
        hwt_ok(hw_collection_open(db, name, &c, &err), &err);
        for (uint64_t i = 0; i < 60; i++) {
            hw_id id = HW_ID_U64(i);
            float v[DIM] = {(float)i, 1, 2, 3};
            hwt_ok(hw_collection_upsert(c, &id, v, 1, NULL, &err), &err);
        }
        hwt_db_check(db);
        hwt_ok(hw_collection_build(c, NULL, NULL, &err), &err);
        hw_collection_close(c);
    }
    hwt_db_check(db);
    hw_db_close(db);
    hwt_scratch_remove(scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indexes_of_format_1_are_sound_and_answer_as_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
