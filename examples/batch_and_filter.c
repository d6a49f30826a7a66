/* batch_and_filter.c - many points with payloads, filters that never cut an answer short, and many
 * searches at once.
 *
 * 20,000 made-up products: a vector of 32 numbers that clusters by kind, and a payload with kind,
 * price and stock. The program checks every answer against the rules it was asked with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hashwood/hashwood.h>

#define PRODUCTS 20000u
#define DIM 32u
#define BATCH 1000u

static const char *kinds[] = {"lamp", "chair", "table", "shelf", "rug"};
static hw_error err;

static void
check(hw_status st)
{
    if (st == HW_OK) return;
    fprintf(stderr, "%s: %s\n", hw_status_text(st), err.message);
    exit(1);
}

static void
expect(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "not as expected: %s\n", what);
    exit(1);
}

/* 0 to 1, the same sequence on every machine. */
static float
next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) / 16777216.0f;
}

/* Products of a kind lie around the same centre. */
static void
make_vector(unsigned kind, uint64_t *random, float *out)
{
    uint64_t centre = kind + 1;

    for (unsigned j = 0; j < DIM; j++)
        out[j] = next_random(&centre) + 0.4f * (next_random(random) - 0.5f);
}

/* One call, one transaction: all of the batch or nothing. Some thousand points are a good size;
 * a transaction per point would wait for the disk each time. */
static void
add_batch(hw_collection *c, unsigned first, uint64_t *random)
{
    static float vectors[BATCH * DIM];
    static char text[BATCH][96];
    const char *payloads[BATCH];
    hw_id ids[BATCH];

    for (unsigned i = 0; i < BATCH; i++) {
        unsigned kind = (first + i) % 5;
        make_vector(kind, random, vectors + i * DIM);
        snprintf(text[i], sizeof text[i], "{\"kind\": \"%s\", \"price\": %.2f, \"in_stock\": %s}",
                 kinds[kind], (double)(5 + 195 * next_random(random)),
                 i % 7 == 0 ? "true" : "false");
        payloads[i] = text[i];
        ids[i] = HW_ID_U64(first + i);
    }
    check(hw_collection_upsert(c, ids, vectors, BATCH, payloads, &err));
}

/* The ten nearest lamps below 40 that are in stock: about one product in two hundred. */
static void
search_filtered(hw_collection *c, const float *vector)
{
    static const char filter[] =
        "{\"must\": [{\"key\": \"kind\", \"match\": {\"value\": \"lamp\"}},"
        "            {\"key\": \"price\", \"range\": {\"lt\": 40}},"
        "            {\"key\": \"in_stock\", \"match\": {\"value\": true}}]}";
    hw_query q = HW_QUERY_INIT;
    hw_result *found;
    uint64_t matching;

    check(hw_collection_count(c, filter, strlen(filter), &matching, &err));
    q.vector = vector, q.dim = DIM;
    q.filter = filter, q.filter_bytes = strlen(filter);
    q.with = HW_WITH_PAYLOAD;
    check(hw_collection_search(c, &q, &found, &err));
    printf("%llu products match, the nearest:\n", (unsigned long long)matching);
    for (size_t i = 0; i < hw_result_count(found); i++) {
        const char *payload = hw_result_payload(found, i, NULL);
        if (i < 3) printf("  %.3f  %s\n", (double)hw_result_scores(found)[i], payload);
        expect(strstr(payload, "lamp") && strstr(payload, "true"), "a hit matches the filter");
    }
    expect(hw_result_count(found) == (matching < 10 ? matching : 10), "k hits when k match");
    expect(hw_result_warning(found) == NULL, "all fields of the filter are indexed");
    hw_result_free(found);
}

/* Many queries on all processors, one snapshot; the first also exactly, to see what is missed. */
static void
search_many(hw_collection *c, uint64_t *random)
{
    static float vectors[100][DIM];
    hw_query q[101];
    hw_result *found[101];

    for (unsigned i = 0; i < 100; i++) {
        make_vector(i % 5, random, vectors[i]);
        q[i] = HW_QUERY_INIT;
        q[i].vector = vectors[i], q[i].dim = DIM;
    }
    q[100] = q[0], q[100].exact = true;
    check(hw_collection_search_batch(c, q, 101, 0, found, &err));
    expect(hw_result_recall(found[100]) == 1, "an exact answer says so");
    unsigned same = 0;
    for (unsigned i = 0; i < 10; i++)
        for (unsigned j = 0; j < 10; j++)
            same += hw_id_compare(&hw_result_ids(found[0])[i], &hw_result_ids(found[100])[j]) == 0;
    printf("of the true ten nearest, %u were found\n", same);
    expect(same >= 7, "most true neighbours are found at the default recall");
    for (unsigned i = 0; i < 101; i++) {
        expect(hw_result_count(found[i]) == 10, "ten hits each");
        hw_result_free(found[i]);
    }
}

/* A transaction that is given up leaves nothing behind. */
static void
change_my_mind(hw_db *db, hw_collection *c)
{
    hw_txn *txn;
    uint64_t left;

    check(hw_txn_begin(db, &txn, &err));
    for (uint64_t i = 0; i < 100; i++) check(hw_txn_delete(txn, c, &HW_ID_U64(i), NULL, &err));
    hw_txn_abort(txn);
    check(hw_collection_count(c, NULL, 0, &left, &err));
    expect(left == PRODUCTS, "an aborted transaction changes nothing");
}

int
main(void)
{
    /* Loading in bulk: no index is grown row by row, hw_collection_build makes it in one go. */
    hw_db_opts opts = HW_DB_OPTS_INIT;
    uint64_t random = 42;
    float vector[DIM];
    hw_collection *c;
    hw_db *db;

    opts.bulk_load = true;
    check(hw_db_open("mem:", &opts, &db, &err));
    check(hw_collection_create(
        db, "products",
        "{\"dim\": 32, \"metric\": \"l2\", \"payload_indexes\":"
        " {\"kind\": \"keyword\", \"price\": \"float\", \"in_stock\": \"bool\"}}",
        &err));
    check(hw_collection_open(db, "products", &c, &err));
    for (unsigned first = 0; first < PRODUCTS; first += BATCH) add_batch(c, first, &random);
    check(hw_collection_build(c, NULL, NULL, &err));
    make_vector(0, &random, vector);
    search_filtered(c, vector);
    search_many(c, &random);
    change_my_mind(db, c);
    hw_collection_close(c);
    hw_db_close(db);
    return 0;
}
