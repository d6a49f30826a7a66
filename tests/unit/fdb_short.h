/* fdb_short.h - short forms of FoundationDB's calls for the tests of the stand-in. */
#ifndef FDB_SHORT_H
#define FDB_SHORT_H

#include "support/hwt_fdb.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static hwt_fdb *fdb;

/* ---- short forms; keys are NUL-terminated text, put behind the prefix of the tests */

typedef struct full_key {
    uint8_t data[12000];
    int size;
} full_key;

static inline full_key
key_of(const char *key)
{
    full_key k;
    k.size = snprintf((char *)k.data, sizeof k.data, "%s%s", HWT_FDB_PREFIX, key);
    return k;
}

static inline FDBTransaction *
begin(void)
{
    FDBTransaction *t;
    assert_int_equal(fdb->fdb_database_create_transaction(fdb->database, &t), 0);
    return t;
}

/* Waits; the future's error. */
static inline int
wait_for(FDBFuture *f)
{
    assert_int_equal(fdb->fdb_future_block_until_ready(f), 0);
    return fdb->fdb_future_get_error(f);
}

static inline int
end_of(FDBFuture *f)
{
    int error = wait_for(f);
    fdb->fdb_future_destroy(f);
    return error;
}

static inline void
set(FDBTransaction *t, const char *key, const char *value)
{
    full_key k = key_of(key);
    fdb->fdb_transaction_set(t, k.data, k.size, (const uint8_t *)value, (int)strlen(value));
}

static inline void
atomic(FDBTransaction *t, const char *key, const void *value, int size, int op)
{
    full_key k = key_of(key);
    fdb->fdb_transaction_atomic_op(t, k.data, k.size, value, size, op);
}

static inline FDBFuture *
ask(FDBTransaction *t, const char *key, bool snapshot)
{
    full_key k = key_of(key);
    return fdb->fdb_transaction_get(t, k.data, k.size, snapshot);
}

/* The value as text, "-" when absent, "!<error>" when it cannot be read; static buffer. */
static inline const char *
text_of(FDBFuture *f)
{
    static char text[4096];
    const uint8_t *value;
    int present, size, error = wait_for(f);

    if (error) {
        snprintf(text, sizeof text, "!%d", error);
    } else {
        assert_int_equal(fdb->fdb_future_get_value(f, &present, &value, &size), 0);
        snprintf(text, sizeof text, "%.*s", present ? size : 1,
                 present ? (const char *)value : "-");
    }
    fdb->fdb_future_destroy(f);
    return text;
}

static inline const char *
get(FDBTransaction *t, const char *key)
{
    return text_of(ask(t, key, false));
}

static inline const char *
peek(FDBTransaction *t, const char *key)
{
    return text_of(ask(t, key, true));
}

static inline int
commit(FDBTransaction *t)
{
    return end_of(fdb->fdb_transaction_commit(t));
}

/* Ends it too. */
static inline void
commit_now(FDBTransaction *t)
{
    assert_int_equal(commit(t), 0);
    fdb->fdb_transaction_destroy(t);
}

static inline void
set_now(const char *key, const char *value)
{
    FDBTransaction *t = begin();
    set(t, key, value);
    commit_now(t);
}

static inline void
clear(FDBTransaction *t, const char *from, const char *to)
{
    full_key a = key_of(from), b = key_of(to);
    fdb->fdb_transaction_clear_range(t, a.data, a.size, b.data, b.size);
}

static inline int
setup(void **state)
{
    (void)state;
    if (fdb->fdb_standin_plan) assert_true(fdb->fdb_standin_plan(1, ""));
    FDBTransaction *t = begin();
    clear(t, "", "\xff");
    commit_now(t);
    return 0;
}

typedef struct range_ask {
    const char *from, *to;
    int limit, bytes, mode, iteration;
    bool reverse, snapshot;
} range_ask;

static inline FDBFuture *
ask_range(FDBTransaction *t, range_ask r)
{
    full_key a = key_of(r.from), b = key_of(r.to);
    return fdb->fdb_transaction_get_range(t, a.data, a.size, 0, 1, b.data, b.size, 0, 1, r.limit,
                                          r.bytes, r.mode, r.iteration, r.snapshot, r.reverse);
}

/* "key=value " of each pair, then "+" when there are more; "!<error>"; static buffer. */
static inline const char *
list_of(FDBFuture *f, int *count)
{
    static char text[100000];
    const FDBKeyValue *pairs;
    int n, more, error = wait_for(f), skip = (int)strlen(HWT_FDB_PREFIX);
    size_t used = 0;

    text[0] = 0;
    if (error) {
        snprintf(text, sizeof text, "!%d", error);
    } else {
        assert_int_equal(fdb->fdb_future_get_keyvalue_array(f, &pairs, &n, &more), 0);
        for (int i = 0; i < n; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%.*s=%.*s ",
                                     pairs[i].key_length - skip, (const char *)pairs[i].key + skip,
                                     pairs[i].value_length, (const char *)pairs[i].value);
        snprintf(text + used, sizeof text - used, "%s", more ? "+" : "");
        if (count) *count = n;
    }
    fdb->fdb_future_destroy(f);
    return text;
}

static inline const char *
list(FDBTransaction *t, const char *from, const char *to)
{
    static char text[100000];
    range_ask r = {.from = from, .to = to, .mode = FDB_MODE_WANT_ALL};
    snprintf(text, sizeof text, "%s", list_of(ask_range(t, r), NULL));
    size_t size = strlen(text);
    if (size > 0 && text[size - 1] == '+') text[size - 1] = 0; /* may be said of nothing */
    return text;
}

static inline void
fill(int count, const char *value)
{
    FDBTransaction *t = begin();
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%04d", i);
        set(t, key, value);
    }
    commit_now(t);
}

#endif
