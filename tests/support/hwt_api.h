/* hwt_api.h - what tests of the public functions share: a database in memory, points of three numbers
 * of which the first tells them apart, and failures with their message. */
#ifndef HWT_API_H
#define HWT_API_H

#include "support/hwt_db.h"

#define HWT_PHOTOS "{\"dim\": 3, \"metric\": \"l2\"}"

hw_db *hwt_memory_db(void);
/* Point id with the vector (x, 0, 0); payload NULL: none. */
void hwt_put_photo(hw_collection *c, uint64_t id, float x, const char *payload);
/* filter NULL: all points. */
uint64_t hwt_count(hw_collection *c, const char *filter);
/* Frees json, which must be JSON. */
void hwt_assert_json_has(char *json, const char *part);

/* Expects a status and a message that has a part in it. */
#define hwt_fails(expected, part, call)                                                            \
    do {                                                                                           \
        hw_error err = {0};                                                                        \
        assert_int_equal((expected), (call));                                                      \
        if (!strstr(err.message, (part))) fail_msg("\"%s\" lacks \"%s\"", err.message, (part));    \
    } while (0)

#endif
