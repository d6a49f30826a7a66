/* Backup files: everything comes back, damage anywhere is found, nothing half done is left. */
#include "support/hwt_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/dump.h"
#include "store/dump_format.h"

typedef struct fixture {
    hwt_store s; /* mem, with a meta record and some keys */
    char file[HWT_PATH + 16], where[HWT_PATH + 16];
} fixture;

static void
fill(hw_store *s, uint32_t keys)
{
    static uint8_t data[HWI_STORE_VALUE_MAX];
    hw_store_txn *t = hwt_begin(s, HW_TXN_WRITE);
    hw_error err = {0};
    hwi_rng rng;
    hwi_key k;

    hwi_rng_init(&rng, 5);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)hwi_rng_below(&rng, 50);
    for (uint32_t i = 0; i < keys; i++) {
        size_t bytes = i % 20 ? hwi_rng_below(&rng, 200) : hwi_rng_below(&rng, sizeof data);
        hwi_key_rec(&k, 1 + i / 100, i);
        hwt_ok(hwi_store_put(t, hwi_key_view(&k), hwi_bytes(data, bytes), &err), &err);
    }
    hwt_commit(t);
}

static int
setup(void **state)
{
    fixture *f = test_malloc(sizeof *f);
    hw_error err = {0};

    hwt_store_open(&f->s, HWT_MEM);
    hwt_ok(hwi_store_meta_check(f->s.store, true, NULL, &err), &err);
    fill(f->s.store, 2000);
    snprintf(f->file, sizeof f->file, "%s/backup", f->s.place.scratch);
    snprintf(f->where, sizeof f->where, "%s/restored", f->s.place.scratch);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    fixture *f = *state;
    hwt_store_close(&f->s);
    test_free(f);
    return 0;
}

static void
dump(fixture *f)
{
    hw_store_txn *t = hwt_begin(f->s.store, HW_TXN_READ);
    hw_error err = {0};
    hwt_ok(hwi_store_dump(t, f->file, NULL, NULL, &err), &err);
    hwi_store_abort(t);
}

/* ---- comparing stores */

static bool
hash_key(void *arg, hw_bytes key, hw_bytes value)
{
    uint64_t *hash = arg;
    *hash = *hash * 31 + hwi_checksum(key.data, key.size);
    *hash = *hash * 31 + hwi_checksum(value.data, value.size);
    return true;
}

static uint64_t
hash_store(hw_store *s)
{
    hw_store_txn *t = hwt_begin(s, HW_TXN_READ);
    const hw_bytes all = {NULL, 0};
    hw_error err = {0};
    uint64_t hash = 0;

    hwt_ok(hwi_store_scan(t, all, all, false, hash_key, &hash, &err), &err);
    hwi_store_abort(t);
    return hash;
}

static void
assert_folder_equals(fixture *f)
{
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_error err = {0};
    hw_store *s;

    opts.read_only = true;
    hwt_ok(hwi_store_lmdb_open(f->where, &opts, &s, &err), &err);
    assert_true(hash_store(s) == hash_store(f->s.store));
    hwi_store_close(s);
}

static int
entries_in(const char *folder)
{
    char command[HWT_PATH + 32];
    int count = -1;
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &count), 1);
    pclose(p);
    return count;
}

/* ---- tests */

static void
a_backup_restores_to_the_same_keys_and_values(void **state)
{
    fixture *f = *state;
    hw_error err = {0};

    dump(f);
    hwt_ok(hwi_store_restore(f->file, f->where, NULL, NULL, &err), &err);
    assert_folder_equals(f);
    assert_int_equal(hwi_store_restore(f->file, f->where, NULL, NULL, &err), HW_EEXIST);
    assert_int_equal(hwi_store_restore(f->file, "mem:", NULL, NULL, &err), HW_EINVAL);
    assert_int_equal(entries_in(f->s.place.scratch), 2); /* no parts are left */
}

static void
a_backup_replaces_an_older_one(void **state)
{
    fixture *f = *state;
    hw_error err = {0};

    dump(f);
    hwt_put_now(f->s.store, "zzz", "newer");
    dump(f);
    hwt_ok(hwi_store_restore(f->file, f->where, NULL, NULL, &err), &err);
    assert_folder_equals(f);
    assert_int_equal(entries_in(f->s.place.scratch), 2);
}

static void
the_database_with_a_meta_record_alone_is_backed_up(void **state)
{
    fixture *f = *state;
    hw_store_txn *t = hwt_begin(f->s.store, HW_TXN_WRITE);
    hw_error err = {0};
    hwi_key k;

    hwi_key_space(&k, HWI_SUB_NAME);
    hwt_ok(hwi_store_del_range(t, hwi_key_view(&k), hwi_bytes(NULL, 0), &err), &err);
    hwt_commit(t);
    dump(f);
    hwt_ok(hwi_store_restore(f->file, f->where, NULL, NULL, &err), &err);
    assert_folder_equals(f);
}

static void
a_store_without_meta_record_cannot_be_backed_up(void **state)
{
    fixture *f = *state;
    hw_store_txn *t = hwt_begin(f->s.store, HW_TXN_WRITE);
    hw_error err = {0};
    hwi_key k;

    hwi_key_meta(&k);
    hwt_ok(hwi_store_del(t, hwi_key_view(&k), &err), &err);
    hwt_commit(t);
    t = hwt_begin(f->s.store, HW_TXN_READ);
    assert_int_equal(hwi_store_dump(t, f->file, NULL, NULL, &err), HW_ECORRUPT);
    hwi_store_abort(t);
    assert_int_equal(entries_in(f->s.place.scratch), 0);
}

static void
a_compact_copy_has_the_same_keys_and_no_free_pages(void **state)
{
    fixture *f = *state;
    hw_db_opts opts = HW_DB_OPTS_INIT;
    hw_error err = {0};
    hw_store_info info;
    hw_store *s;

    hw_store_txn *t = hwt_begin(f->s.store, HW_TXN_READ);
    hwt_ok(hwi_store_compact(t, f->where, NULL, NULL, &err), &err);
    assert_int_equal(hwi_store_compact(t, f->where, NULL, NULL, &err), HW_EEXIST);
    hwi_store_abort(t);
    assert_folder_equals(f);
    hwt_ok(hwi_store_lmdb_open(f->where, &opts, &s, &err), &err);
    hwt_ok(hwi_store_info(s, &info, &err), &err);
    assert_true(info.free_bytes <= 16 * 4096);
    hwi_store_close(s);
}

typedef struct calls {
    int count, stop_at;
    uint64_t done, total;
} calls;

static bool
count_calls(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    calls *c = arg;
    assert_true(stage[0] != 0);
    assert_true(done >= c->done && done <= total);
    c->done = done;
    c->total = total;
    return ++c->count != c->stop_at;
}

static void
progress_ends_at_the_total_and_can_stop_the_work(void **state)
{
    fixture *f = *state;
    hw_store_txn *t = hwt_begin(f->s.store, HW_TXN_READ);
    hw_error err = {0};
    calls c = {0}, stop = {.stop_at = 1};

    hwt_ok(hwi_store_dump(t, f->file, count_calls, &c, &err), &err);
    assert_int_equal(c.done, 2001);
    assert_int_equal(c.total, 2001);
    c = (calls){0};
    hwt_ok(hwi_store_restore(f->file, f->where, count_calls, &c, &err), &err);
    assert_int_equal(c.done, 2001);
    hwt_scratch_remove(f->where);

    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(hwi_store_dump(t, f->file, count_calls, &stop, &err), HW_ECANCELED);
    assert_int_equal(entries_in(f->s.place.scratch), 0);
    stop = (calls){.stop_at = 1};
    assert_int_equal(hwi_store_compact(t, f->where, count_calls, &stop, &err), HW_ECANCELED);
    assert_int_equal(entries_in(f->s.place.scratch), 0);
    hwi_store_abort(t);
}

/* ---- damage */

static hwi_buf
read_file(const char *path)
{
    uint8_t chunk[65536];
    hwi_buf b = {0};
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;) hwi_buf_add(&b, chunk, n);
    fclose(in);
    return b;
}

static void
write_file(const char *path, const uint8_t *data, size_t bytes)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    assert_int_equal(fclose(out), 0);
}

static hw_status
load(fixture *f, hw_error *err)
{
    hw_store *to;
    hwt_ok(hwi_store_mem_new(&to, err), err);
    hw_status st = hwi_store_load(f->file, to, NULL, NULL, err);
    if (st == HW_OK) assert_true(hash_store(to) == hash_store(f->s.store));
    hwi_store_close(to);
    return st;
}

static void
one_changed_byte_anywhere_is_found(void **state)
{
    fixture *f = *state;
    hw_error err = {0};
    hwi_rng rng;

    dump(f);
    hwi_buf b = read_file(f->file);
    hwi_rng_init(&rng, 6);
    for (int i = 0; i < 400; i++) {

        size_t at = i < 160 ? (size_t)i : hwi_rng_below(&rng, b.size);
        if (i >= 160 && i < 200) at = b.size - 1 - (size_t)(i - 160); /* the trailer */
        assert_true(at < b.size);
        uint8_t flip = (uint8_t)(1u << hwi_rng_below(&rng, 8));
        b.data[at] ^= flip;
        write_file(f->file, b.data, b.size);
        hw_status st = load(f, &err);
        if (st != HW_ECORRUPT && st != HW_EVERSION) fail_msg("byte %zu: %s", at, err.message);
        b.data[at] ^= flip;
    }
    write_file(f->file, b.data, b.size);
    hwt_ok(load(f, &err), &err);
    hwi_buf_release(&b);
}

static void
a_file_cut_anywhere_is_refused_and_leaves_no_folder(void **state)
{
    fixture *f = *state;
    hw_error err = {0};
    hwi_rng rng;

    dump(f);
    hwi_buf b = read_file(f->file);
    hwi_rng_init(&rng, 7);
    for (int i = 0; i < 60; i++) {
        size_t bytes = i < 20 ? (size_t)i * 4 : hwi_rng_below(&rng, b.size);
        write_file(f->file, b.data, bytes);
        assert_int_equal(load(f, &err), HW_ECORRUPT);
    }
    write_file(f->file, b.data, b.size - 1);
    assert_int_equal(hwi_store_restore(f->file, f->where, NULL, NULL, &err), HW_ECORRUPT);
    assert_int_equal(entries_in(f->s.place.scratch), 1);

    hwi_buf_add(&b, "x", 1);
    write_file(f->file, b.data, b.size);
    assert_int_equal(load(f, &err), HW_ECORRUPT);
    hwi_buf_release(&b);
}

static void
foreign_newer_and_absent_files_are_told_apart(void **state)
{
    fixture *f = *state;
    hw_error err = {0};

    assert_int_equal(load(f, &err), HW_ENOTFOUND);
    write_file(f->file, (const uint8_t *)"PK\3\4 some other file that is not ours", 30);
    assert_int_equal(load(f, &err), HW_ECORRUPT);
    assert_non_null(strstr(err.message, "is no hashwood backup"));
    dump(f);
    hwi_buf b = read_file(f->file);
    hwi_put_u32(b.data + 8, 2);
    write_file(f->file, b.data, b.size);
    assert_int_equal(load(f, &err), HW_EVERSION);
    assert_non_null(strstr(err.message, "format 1.2 is newer"));
    hwi_buf_release(&b);
}

static void
a_store_that_is_not_empty_is_not_loaded_into(void **state)
{
    fixture *f = *state;
    hw_error err = {0};

    dump(f);
    assert_int_equal(hwi_store_load(f->file, f->s.store, NULL, NULL, &err), HW_EEXIST);
}

/* The nth allocation fails, for every n until none does: a clean status, and no part left. */
static void
running_out_of_memory_anywhere_leaves_nothing_behind(void **state)
{
    fixture *f = *state;
    hw_error err = {0};
    hw_store *to;
    hw_status st = HW_ENOMEM;

    for (uint64_t nth = 1; st != HW_OK; nth++) {
        hw_store_txn *t = hwt_begin(f->s.store, HW_TXN_READ);
        hwi_alloc_fail_at(nth);
        st = hwi_store_dump(t, f->file, NULL, NULL, &err);
        hwi_alloc_fail_at(0);
        hwi_store_abort(t);
        assert_true(st == HW_OK || st == HW_ENOMEM);
        assert_int_equal(entries_in(f->s.place.scratch), st == HW_OK);
    }
    st = HW_ENOMEM;
    for (uint64_t nth = 1; st != HW_OK; nth += 1 + nth / 20) {
        hwt_ok(hwi_store_mem_new(&to, &err), &err);
        hwi_alloc_fail_at(nth);
        st = hwi_store_load(f->file, to, NULL, NULL, &err);
        hwi_alloc_fail_at(0);
        hwi_store_close(to);
        assert_true(st == HW_OK || st == HW_ENOMEM);
    }
}

#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_backup_restores_to_the_same_keys_and_values),
        WITH_FIXTURE(a_backup_replaces_an_older_one),
        WITH_FIXTURE(the_database_with_a_meta_record_alone_is_backed_up),
        WITH_FIXTURE(a_store_without_meta_record_cannot_be_backed_up),
        WITH_FIXTURE(a_compact_copy_has_the_same_keys_and_no_free_pages),
        WITH_FIXTURE(progress_ends_at_the_total_and_can_stop_the_work),
        WITH_FIXTURE(one_changed_byte_anywhere_is_found),
        WITH_FIXTURE(a_file_cut_anywhere_is_refused_and_leaves_no_folder),
        WITH_FIXTURE(foreign_newer_and_absent_files_are_told_apart),
        WITH_FIXTURE(a_store_that_is_not_empty_is_not_loaded_into),
        WITH_FIXTURE(running_out_of_memory_anywhere_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
