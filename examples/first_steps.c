/* first_steps.c - a database of colours: put points in, find the nearest, change, delete, reopen.
 *
 *     cc first_steps.c $(pkg-config --cflags --libs hashwood) && ./a.out
 *
 * A colour is a vector of three numbers, so its neighbours are easy to judge by eye. Real vectors
 * have hundreds of dimensions, and nothing else about this program would change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hashwood/hashwood.h>

static hw_error err;

/* Every call that can fail returns a status; the text of what went wrong is in `err`. */
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

/* An id may be a number, a UUID or a string; here it is the colour's name. */
static hw_id
named(const char *name)
{
    hw_id id;

    check(hw_id_parse(name, strlen(name), &id, &err));
    return id;
}

static void
add_colours(hw_collection *c)
{
    static const char *names[] = {"red", "orange", "gold", "green", "navy", "skyblue", "white"};
    static const float rgb[][3] = {{255, 0, 0}, {255, 165, 0},   {255, 215, 0},  {0, 128, 0},
                                   {0, 0, 128}, {135, 206, 235}, {255, 255, 255}};
    hw_id ids[7];

    for (int i = 0; i < 7; i++) ids[i] = named(names[i]);
    check(hw_collection_upsert(c, ids, &rgb[0][0], 7, NULL, &err)); /* all seven, or none */
}

/* Prints the three colours nearest to r, g, b; returns the name of the first in `best`. */
static void
nearest(hw_collection *c, float r, float g, float b, char best[HW_ID_TEXT_MAX + 1])
{
    hw_query q = HW_QUERY_INIT;
    hw_result *found;
    char name[HW_ID_TEXT_MAX + 1];

    q.vector = (float[]){r, g, b};
    q.dim = 3;
    q.k = 3;
    check(hw_collection_search(c, &q, &found, &err));
    hw_id_format(&hw_result_ids(found)[0], best);
    printf("(%g, %g, %g):", (double)r, (double)g, (double)b);
    for (size_t i = 0; i < hw_result_count(found); i++) {
        hw_id_format(&hw_result_ids(found)[i], name);
        printf("  %s %.1f", name, (double)hw_result_scores(found)[i]);
    }
    printf("\n");
    hw_result_free(found);
}

/* Changing several things at once: all of it is seen, or none of it. */
static void
repaint(hw_db *db, hw_collection *c)
{
    hw_vector darker = {.values = (float[]){220, 20, 60}, .dim = 3};
    hw_id red = named("red"), white = named("white");
    hw_txn *txn;

    check(hw_txn_begin(db, &txn, &err));
    check(hw_txn_update_vectors(txn, c, &red, &darker, 1, &err));
    check(hw_txn_update_payload(txn, c, &red, HW_PAYLOAD_SET, NULL, "{\"also\": \"crimson\"}", 19,
                                &err));
    check(hw_txn_delete(txn, c, &white, NULL, &err));
    check(hw_txn_commit(txn, &err));
}

int
main(void)
{
    char best[HW_ID_TEXT_MAX + 1];
    hw_collection *c;
    hw_result *got;
    hw_db *db;

    check(hw_db_open("first_steps.hw", NULL, &db, &err));   /* a folder; "mem:" leaves nothing */
    hw_status st = hw_collection_drop(db, "colours", &err); /* left by an earlier run */
    expect(st == HW_OK || st == HW_ENOTFOUND, "drop");
    check(hw_collection_create(db, "colours", "{\"dim\": 3, \"metric\": \"l2\"}", &err));
    check(hw_collection_open(db, "colours", &c, &err));
    add_colours(c);
    nearest(c, 250, 250, 245, best);
    expect(strcmp(best, "white") == 0, "an off-white is nearest to white");
    repaint(db, c);
    nearest(c, 250, 250, 245, best);
    expect(strcmp(best, "white") != 0, "a deleted colour is not found");
    hw_collection_close(c);
    hw_db_close(db);

    /* Everything committed is there when the folder is opened again; nothing is rebuilt. */
    check(hw_db_open("first_steps.hw", &(hw_db_opts){.size = sizeof(hw_db_opts), .read_only = true},
                     &db, &err));
    check(hw_collection_open(db, "colours", &c, &err));
    hw_id red = named("red");
    check(hw_collection_get(c, &red, 1, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &got, &err));
    expect(hw_result_count(got) == 1 && hw_result_vector(got, 0, NULL, NULL)[0] == 220, "new red");
    printf("red is %s\n", hw_result_payload(got, 0, NULL));
    hw_result_free(got);
    hw_collection_close(c);
    hw_db_close(db);
    return 0;
}
