/* The examples of docs/filters.md: every filter there matches the points it says it does. */
#include "support/hwt.h"

#include <stdio.h>
#include <stdlib.h>

#include "payload/filter.h"

enum { POINTS_MAX = 32 };

typedef struct page {
    char *text;
    char *points[POINTS_MAX]; /* payloads of ids 1, 2, ... */
    size_t count;
} page;

static char *
read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("no %s", path);
    char *text = calloc(1, 1 << 20);
    size_t bytes = fread(text, 1, (1 << 20) - 1, f);
    assert_true(bytes > 0);
    fclose(f);
    return text;
}

/* The block after the line `fence`, cut out of the text; *at moves behind it. NULL: no more. */
static char *
next_block(char **at, const char *fence)
{
    char *from = strstr(*at, fence);
    if (!from) return NULL;
    from += strlen(fence);
    char *end = strstr(from, "\n```");
    assert_non_null(end);
    *end = '\0';
    *at = end + strlen("\n```");
    return from;
}

static void
read_points(page *p, char **at)
{
    char *block = next_block(at, "```jsonl\n");
    assert_non_null(block);
    for (char *line = strtok(block, "\n"); line; line = strtok(NULL, "\n"))
        p->points[p->count++] = line;
}

/* "1, 3" as the ids that match. */
static void
matching_ids(const page *p, const char *json, char *out, size_t room)
{
    hw_error err = {0};
    hwi_arena arena = {0};
    const hwi_filter *filter;
    size_t used = 0;

    out[0] = '\0';
    if (hwi_filter_parse(json, strlen(json), &arena, &filter, &err) != HW_OK)
        fail_msg("%s: %s", json, err.message);
    for (size_t i = 0; i < p->count; i++) {
        hw_id id = HW_ID_U64(i + 1);
        bool matches;
        hw_status st =
            hwi_filter_matches(filter, &id, hwi_bytes_text(p->points[i]), &matches, &err);
        if (st != HW_OK) fail_msg("point %zu: %s", i + 1, err.message);
        if (matches)
            used += (size_t)snprintf(out + used, room - used, "%s%zu", used ? ", " : "", i + 1);
    }
    hwi_arena_release(&arena);
}

static void
examples_match_what_they_say(void **state)
{
    page p = {.text = read_all(HWT_SOURCE_DIR "/docs/filters.md")};
    char *at = p.text, *json, found[200], said[200];
    size_t examples = 0;

    (void)state;
    read_points(&p, &at);
    assert_int_equal(p.count, 6);
    while ((json = next_block(&at, "```json\n")) != NULL) {
        if (sscanf(at, " matches %199[0-9, ]", said) != 1) fail_msg("no answer after %s", json);
        matching_ids(&p, json, found, sizeof found);
        if (strcmp(found, said) != 0) fail_msg("%s matches %s and not %s", json, found, said);
        examples++;
    }
    assert_true(examples >= 25);
    free(p.text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples_match_what_they_say)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
