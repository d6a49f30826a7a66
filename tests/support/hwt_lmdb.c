#include "support/hwt_lmdb.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int
hwt_lmdb_setup(void **state)
{
    hwt_lmdb *p = test_calloc(1, sizeof *p);
    hwt_scratch_new(p->scratch);
    snprintf(p->db, sizeof p->db, "%s/db", p->scratch);
    snprintf(p->data, sizeof p->data, "%s/data.mdb", p->db);
    *state = p;
    return 0;
}

int
hwt_lmdb_teardown(void **state)
{
    hwt_lmdb *p = *state;
    hwt_scratch_remove(p->scratch);
    test_free(p);
    return 0;
}

hw_db_opts
hwt_lmdb_impatient(void)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    opts.busy_timeout_ms = 100;
    return opts;
}

hw_store *
hwt_lmdb_open(const hwt_lmdb *p, const hw_db_opts *opts)
{
    hw_error err = {0};
    hw_store *s;
    hwt_ok(hwi_store_lmdb_open(p->db, opts, &s, &err), &err);
    return s;
}

hw_status
hwt_lmdb_try_open(const hwt_lmdb *p, const hw_db_opts *opts, hw_error *err)
{
    hw_store *s;
    hw_status st = hwi_store_lmdb_open(p->db, opts, &s, err);
    if (st == HW_OK)
        hwi_store_close(s);
    else
        assert_null(s);
    return st;
}

hw_status
hwt_lmdb_put_many(hw_store *s, uint32_t first, uint32_t keys, size_t bytes, hw_error *err)
{
    static uint8_t data[HWI_STORE_VALUE_MAX];
    hw_store_txn *t;
    hw_status st = HW_OK;
    hwi_key k;

    memset(data, (int)(first % 251), sizeof data);
    HWI_TRY(hwi_store_begin(s, HW_TXN_WRITE, &t, err));
    for (uint32_t i = 0; i < keys && st == HW_OK; i++) {
        hwi_key_rec(&k, 1, first + i);
        st = hwi_store_put(t, hwi_key_view(&k), hwi_bytes(data, bytes), err);
    }
    if (st == HW_OK) return hwi_store_commit(t, err);
    hwi_store_abort(t);
    return st;
}

void
hwt_lmdb_make(const hwt_lmdb *p, uint32_t keys, size_t bytes)
{
    hw_error err = {0};
    hw_store *s = hwt_lmdb_open(p, NULL);
    hwt_ok(hwt_lmdb_put_many(s, 0, keys, bytes, &err), &err);
    hwi_store_close(s);
}

uint64_t
hwt_lmdb_count_keys(hw_store *s)
{
    hw_store_info info;
    hw_error err = {0};
    hwt_ok(hwi_store_info(s, &info, &err), &err);
    return info.keys;
}

static bool
count_one(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)arg;
    return true;
}

uint64_t
hwt_lmdb_scan_keys(hw_store *s)
{
    const hw_bytes all = {NULL, 0};
    hw_error err = {0};
    uint64_t keys = 0;
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    hwt_ok(hwi_store_scan(t, all, all, false, count_one, &keys, &err), &err);
    hwi_store_abort(t);
    return keys;
}

void
hwt_note_damage(void *arg, const char *where, const char *what)
{
    hwt_damages *d = arg;
    if (d->count++ == 0) snprintf(d->first, sizeof d->first, "%s: %s", where, what);
}

void
hwt_lmdb_assert_undamaged(hw_store *s)
{
    hwt_damages d = {0};
    hw_error err = {0};
    if (hwi_store_verify(s, hwt_note_damage, &d, &err) != HW_OK)
        fail_msg("%s; %s", err.message, d.first);
    assert_int_equal(d.count, 0);
}

int
hwt_in_child(void (*body)(void *arg), void *arg)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
