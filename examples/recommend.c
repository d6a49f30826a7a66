/* recommend.c - "more like these, less like those, nothing I have seen", and why.
 *
 * Films are directions in a space of tastes, compared by cosine. A viewer's taste is the mean of
 * what they liked, less half of what they did not. What they have seen is left out by a filter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hashwood/hashwood.h>

#define DIM 6u /* space, crime, romance, comedy, animation, war */

typedef struct film {
    uint64_t id;
    const char *payload;
    float taste[DIM];
} film;

static const film films[] = {
    {1, "{\"title\": \"The Long Orbit\", \"year\": 1979}", {9, 1, 0, 0, 0, 2}},
    {2, "{\"title\": \"Signal from Europa\", \"year\": 2014}", {9, 0, 2, 0, 0, 0}},
    {3, "{\"title\": \"Harbour Street\", \"year\": 1951}", {0, 9, 2, 0, 0, 0}},
    {4, "{\"title\": \"Two Umbrellas\", \"year\": 1964}", {0, 0, 9, 3, 0, 0}},
    {5, "{\"title\": \"The Paper Fox\", \"year\": 2009}", {0, 1, 0, 5, 9, 0}},
    {6, "{\"title\": \"Robots Go Home\", \"year\": 2008}", {6, 0, 3, 4, 8, 0}},
    {7, "{\"title\": \"Third Moon Rising\", \"year\": 1983}", {8, 0, 1, 1, 0, 6}},
    {8, "{\"title\": \"The Quiet Front\", \"year\": 1957}", {0, 0, 1, 0, 0, 9}},
    {9, "{\"title\": \"Laughing Gas\", \"year\": 1996}", {1, 3, 1, 9, 0, 0}},
    {10, "{\"title\": \"Station Nine\", \"year\": 2019}", {8, 3, 0, 1, 0, 0}},
};
#define FILMS (sizeof films / sizeof films[0])

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

/* One transaction over all films; a point may also carry several named vectors, see hw_vector. */
static void
add_films(hw_db *db, hw_collection *c)
{
    hw_txn *txn;

    check(hw_txn_begin(db, &txn, &err));
    for (size_t i = 0; i < FILMS; i++) {
        hw_vector taste = {.values = films[i].taste, .dim = DIM};
        hw_id id = HW_ID_U64(films[i].id);
        check(hw_txn_upsert(txn, c, &id, &taste, 1, films[i].payload, strlen(films[i].payload),
                            &err));
    }
    check(hw_txn_commit(txn, &err));
}

/* Adds `weight` times the mean of some films; vectors come back as they were given. */
static void
add_taste(hw_collection *c, const hw_id *ids, size_t count, float weight, float *taste)
{
    hw_result *got;

    check(hw_collection_get(c, ids, count, HW_WITH_VECTOR, &got, &err));
    expect(hw_result_count(got) == count, "all rated films are there");
    for (size_t i = 0; i < count; i++) {
        const float *v = hw_result_vector(got, i, NULL, NULL);
        for (unsigned j = 0; j < DIM; j++) taste[j] += weight * v[j] / (float)count;
    }
    hw_result_free(got);
}

static void
print_hits(const char *heading, const hw_result *r)
{
    printf("%s\n", heading);
    for (size_t i = 0; i < hw_result_count(r); i++)
        printf("  %.3f  %s\n", (double)hw_result_scores(r)[i], hw_result_payload(r, i, NULL));
}

int
main(void)
{
    const hw_id liked[] = {HW_ID_U64(1), HW_ID_U64(2)}, disliked[] = {HW_ID_U64(7)};
    const char *unseen = "{\"must_not\": [{\"has_id\": [1, 2, 7]}],"
                         " \"must\": [{\"key\": \"year\", \"range\": {\"gte\": 1990}}]}";
    float taste[DIM] = {0};
    hw_query q = HW_QUERY_INIT;
    hw_collection *c;
    hw_result *found;
    char *why;
    hw_db *db;

    check(hw_db_open("mem:", NULL, &db, &err));
    check(hw_collection_create(db, "films",
                               "{\"dim\": 6, \"metric\": \"cosine\","
                               " \"payload_indexes\": {\"year\": \"integer\"}}",
                               &err));
    check(hw_collection_open(db, "films", &c, &err));
    add_films(db, c);

    q.id = &liked[0]; /* a stored point as the query: itself is left out of the answer */
    q.k = 3, q.with = HW_WITH_PAYLOAD;
    check(hw_collection_search(c, &q, &found, &err));
    print_hits("like The Long Orbit:", found);
    expect(hw_result_ids(found)[0].as.u64 != 1, "a film is not recommended for itself");
    hw_result_free(found);

    add_taste(c, liked, 2, 1, taste);
    add_taste(c, disliked, 1, -0.5f, taste);
    q.id = NULL, q.vector = taste, q.dim = DIM;
    q.filter = unseen, q.filter_bytes = strlen(unseen);
    check(hw_collection_search(c, &q, &found, &err));
    print_hits("for this viewer, unseen, from 1990 on:", found);
    expect(hw_result_count(found) == 3, "three films");
    expect(hw_result_ids(found)[0].as.u64 == 10, "Station Nine comes first");
    hw_result_free(found);

    check(hw_collection_why(c, &q, &HW_ID_U64(7), &why, &err)); /* where did that one stay? */
    printf("Third Moon Rising: %s\n", why);
    expect(strstr(why, "filter") != NULL, "the filter left it out");
    hw_free(why);
    hw_collection_close(c);
    hw_db_close(db);
    return 0;
}
