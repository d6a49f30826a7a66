/* hwt_store.c - stores for tests. */
#include "support/hwt_store.h"

#include <stdio.h>

const char *
hwt_kind_text(hwt_kind kind)
{
    static const char *const names[HWT_KINDS] = {"mem",         "lmdb", "fault(mem)",
                                                 "fault(lmdb)", "fdb",  "fault(fdb)"};
    return names[kind];
}

bool
hwt_kind_is_faulty(hwt_kind kind)
{
    return kind == HWT_FAULT_MEM || kind == HWT_FAULT_LMDB || kind == HWT_FAULT_FDB;
}

static bool
is_kept(const hwt_store *s)
{
    return s->kind != HWT_MEM && s->kind != HWT_FAULT_MEM;
}

void
hwt_store_open_inner(hwt_store *s, hw_store **inner)
{
    hw_error err = {0};

    if (is_kept(s))
        hwt_ok(hwi_store_open(s->place.name, &s->opts, inner, &err), &err);
    else
        hwt_ok(hwi_store_mem_open(&s->opts, inner, &err), &err);
}

static void
open_again(hwt_store *s)
{
    hw_error err = {0};
    hw_store *inner;

    hwt_store_open_inner(s, &inner);
    s->store = inner;
    if (hwt_kind_is_faulty(s->kind))
        hwt_ok(hwi_store_fault_new(inner, &s->plan, &s->store, &err), &err);
}

static void
open_waiting(hwt_store *s, hwt_kind kind, uint32_t busy_timeout_ms)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->opts = HW_DB_OPTS_INIT;
    s->opts.busy_timeout_ms = busy_timeout_ms;
    s->opts.no_sync = true; /* tests end processes, not machines */
    hwt_place_new(&s->place);
    open_again(s);
}

void
hwt_store_open(hwt_store *s, hwt_kind kind)
{
    open_waiting(s, kind, 200);
}

void
hwt_store_open_patient(hwt_store *s, hwt_kind kind)
{
    open_waiting(s, kind, 60000);
}

void
hwt_store_reopen(hwt_store *s)
{
    if (!is_kept(s)) return;
    hwi_store_close(s->store);
    open_again(s);
}

void
hwt_store_close(hwt_store *s)
{
    hwi_store_close(s->store);
    hwt_place_remove(&s->place);
}

hw_store_txn *
hwt_begin(hw_store *s, hw_txn_mode mode)
{
    hw_error err = {0};
    hw_store_txn *t;
    hwt_ok(hwi_store_begin(s, mode, &t, &err), &err);
    return t;
}

void
hwt_put(hw_store_txn *t, const char *key, const char *value)
{
    hw_error err = {0};
    hwt_ok(hwi_store_put(t, hwi_bytes_text(key), hwi_bytes_text(value), &err), &err);
}

void
hwt_commit(hw_store_txn *t)
{
    hw_error err = {0};
    hwt_ok(hwi_store_commit(t, &err), &err);
}

void
hwt_put_now(hw_store *s, const char *key, const char *value)
{
    hw_store_txn *t = hwt_begin(s, HW_TXN_WRITE);
    hwt_put(t, key, value);
    hwt_commit(t);
}

const char *
hwt_get(hw_store_txn *t, const char *key)
{
    static char text[4096];
    hw_error err = {0};
    hw_bytes value;

    hw_status st = hwi_store_get(t, hwi_bytes_text(key), &value, &err);
    if (st == HW_ENOTFOUND) return NULL;
    hwt_ok(st, &err);
    assert_true(value.size < sizeof text);
    memcpy(text, value.data, value.size);
    text[value.size] = 0;
    return text;
}

typedef struct listing {
    char text[65536];
    size_t used;
} listing;

static bool
list_one(void *arg, hw_bytes key, hw_bytes value)
{
    listing *l = arg;
    int n = snprintf(l->text + l->used, sizeof l->text - l->used, "%.*s=%.*s ", (int)key.size,
                     (const char *)key.data, (int)value.size, (const char *)value.data);
    assert_true(n > 0 && (size_t)n < sizeof l->text - l->used);
    l->used += (size_t)n;
    return true;
}

const char *
hwt_scan(hw_store_txn *t, const char *from, const char *to, bool reverse)
{
    static listing l;
    hw_error err = {0};

    l.used = 0;
    l.text[0] = 0;
    hwt_ok(hwi_store_scan(t, hwi_bytes_text(from), hwi_bytes_text(to), reverse, list_one, &l, &err),
           &err);
    return l.text;
}
