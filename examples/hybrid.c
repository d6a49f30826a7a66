/* hybrid.c - search by words and by meaning at once.
 *
 * Each note has a sparse vector (its words, counted) and a dense one (what it is about, as a model
 * would say). A query runs against both; reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR
 * 2009) joins the two rankings: 1 / (60 + rank), added up. Ranks and not scores, since a sum of word
 * weights and a cosine have no common scale.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hashwood/hashwood.h>

#define DIM 4u /* cooking, travel, money, animals */
#define WORDS_MAX 16u
#define K 3u

typedef struct note {
    const char *text;
    float about[DIM];
} note;

static const note notes[] = {
    {"how to bake rye bread at home", {9, 0, 0, 0}},
    {"bread prices rise again", {3, 0, 9, 0}},
    {"night train to lisbon with a dog", {0, 9, 0, 4}},
    {"sourdough needs patience", {9, 0, 0, 0}},
    {"my dog ate the bread", {2, 0, 0, 9}},
    {"cheap flights and where to find them", {0, 8, 5, 0}},
};
#define NOTES (sizeof notes / sizeof notes[0])

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

/* A word's index is a hash of it (FNV-1a): sparse vectors need no dictionary. */
static uint32_t
index_of(const char *word, size_t bytes)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < bytes; i++) h = (h ^ (uint8_t)word[i]) * 16777619u;
    return h;
}

/* The words of a text, each with how often it occurs; returns how many there are. */
static uint32_t
words_of(const char *text, uint32_t *indices, float *counts)
{
    uint32_t n = 0;

    while (*text) {
        size_t bytes = strcspn(text, " ");
        uint32_t index = index_of(text, bytes), i = 0;
        while (i < n && indices[i] != index) i++;
        if (i == n && n < WORDS_MAX) indices[n] = index, counts[n++] = 0;
        if (i < n) counts[i]++;
        text += bytes + (text[bytes] == ' ');
    }
    return n;
}

static void
add_notes(hw_db *db, hw_collection *c)
{
    hw_txn *txn;

    check(hw_txn_begin(db, &txn, &err));
    for (size_t i = 0; i < NOTES; i++) {
        uint32_t indices[WORDS_MAX];
        float counts[WORDS_MAX];
        uint32_t n = words_of(notes[i].text, indices, counts);
        hw_vector v[] = {{.name = "about", .values = notes[i].about, .dim = DIM},
                         {.name = "words", .values = counts, .indices = indices, .dim = n}};
        hw_id id = HW_ID_U64(i);
        check(hw_txn_upsert(txn, c, &id, v, 2, NULL, 0, &err));
    }
    check(hw_txn_commit(txn, &err));
}

/* Runs a query and adds 1 / (60 + rank) to the score of each hit. */
static void
add_ranks(hw_collection *c, hw_query *q, double *scores)
{
    hw_result *r;

    q->k = NOTES;
    check(hw_collection_search(c, q, &r, &err));
    for (size_t rank = 0; rank < hw_result_count(r); rank++)
        scores[hw_result_ids(r)[rank].as.u64] += 1.0 / (60.0 + (double)rank + 1);
    hw_result_free(r);
}

/* The best note by both; prints the first K below `heading`. */
static size_t
search(hw_collection *c, const char *heading, const char *text, const float *about)
{
    double scores[NOTES] = {0};
    uint32_t indices[WORDS_MAX];
    float counts[WORDS_MAX];
    size_t first = 0;
    hw_query words = HW_QUERY_INIT, meaning = HW_QUERY_INIT;

    words.vector_name = "words";
    words.dim = words_of(text, indices, counts);
    words.vector = counts, words.indices = indices;
    add_ranks(c, &words, scores);
    meaning.vector_name = "about";
    meaning.vector = about, meaning.dim = DIM;
    add_ranks(c, &meaning, scores);

    printf("%s\n", heading);
    for (size_t k = 0; k < K; k++) {
        size_t best = 0;
        for (size_t i = 0; i < NOTES; i++)
            if (scores[i] > scores[best]) best = i;
        printf("  %.4f  %s\n", scores[best], notes[best].text);
        if (k == 0) first = best;
        scores[best] = -1;
    }
    return first;
}

int
main(void)
{
    hw_db *db;
    hw_collection *c;

    check(hw_db_open("mem:", NULL, &db, &err));
    check(hw_collection_create(db, "notes",
                               "{\"vectors\": {\"about\": {\"dim\": 4, \"metric\": \"cosine\"}},"
                               " \"sparse_vectors\": {\"words\": {\"modifier\": \"idf\"}}}",
                               &err));
    check(hw_collection_open(db, "notes", &c, &err));
    add_notes(db, c);

    /* Three notes say "bread"; what the query is about tells them apart. */
    expect(search(c, "bread, as a cook means it:", "bread", (float[]){9, 0, 0, 0}) == 0,
           "baking bread comes first");
    expect(search(c, "bread, as a banker means it:", "bread", (float[]){0, 0, 9, 0}) == 1,
           "the price of bread comes first");
    expect(search(c, "a dog by train:", "a dog by train", (float[]){0, 9, 0, 1}) == 2,
           "the train comes first");

    hw_collection_close(c);
    hw_db_close(db);
    return 0;
}
