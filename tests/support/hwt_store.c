/* hwt_store.c - stores for tests. */
#include "support/hwt_store.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
hwt_scratch_new(char path[HWT_PATH])
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(path, HWT_PATH, "%s/hashwood-test-XXXXXX", base && base[0] ? base : "/tmp");
    assert_true(n > 0 && n < HWT_PATH);
    assert_non_null(mkdtemp(path));
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void
hwt_scratch_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *
hwt_kind_text(hwt_kind kind)
{
    static const char *const names[HWT_KINDS] = {"mem", "lmdb", "fault(mem)", "fault(lmdb)"};
    return names[kind];
}

static bool
on_lmdb(const hwt_store *s)
{
    return s->kind == HWT_LMDB || s->kind == HWT_FAULT_LMDB;
}

static void
open_again(hwt_store *s)
{
    hw_error err = {0};
    hw_store *inner;

    if (on_lmdb(s))
        hwt_ok(hwi_store_lmdb_open(s->folder, &s->opts, &inner, &err), &err);
    else
        hwt_ok(hwi_store_mem_open(&s->opts, &inner, &err), &err);
    s->store = inner;
    if (s->kind == HWT_FAULT_MEM || s->kind == HWT_FAULT_LMDB)
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
    hwt_scratch_new(s->scratch);
    snprintf(s->folder, sizeof s->folder, "%s/db", s->scratch);
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
    if (!on_lmdb(s)) return;
    hwi_store_close(s->store);
    open_again(s);
}

void
hwt_store_close(hwt_store *s)
{
    hwi_store_close(s->store);
    hwt_scratch_remove(s->scratch);
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
