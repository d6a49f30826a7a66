/* LMDB under bad circumstances: folders that cannot be written, full disks and damaged files. Each ends
 * in a clear status, and with what was committed still there. */
#include "support/hwt_lmdb.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names that are no database */

static void
what_is_absent_or_no_folder_is_told_apart(void **state)
{
    hwt_lmdb *p = *state;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_error err = {0};
    hw_store *s;

    opts.must_exist = true;
    assert_int_equal(hwt_lmdb_try_open(p, &opts, &err), HW_ENOTFOUND);
    opts.must_exist = false;
    opts.read_only = true;
    assert_int_equal(hwt_lmdb_try_open(p, &opts, &err), HW_ENOTFOUND);
    assert_non_null(strstr(err.message, "no database at "));
    assert_int_equal(access(p->db, F_OK), -1); /* looking creates nothing */
    assert_int_equal(mkdir(p->db, 0777), 0);
    assert_int_equal(hwt_lmdb_try_open(p, &opts, &err), HW_ENOTFOUND);
    assert_int_equal(access(p->data, F_OK), -1);

    assert_int_equal(hwi_store_lmdb_open("/nowhere/at/all", NULL, &s, &err), HW_ENOTFOUND);
    assert_int_equal(hwi_store_lmdb_open("/proc/self/status", NULL, &s, &err), HW_ECORRUPT);
    assert_non_null(strstr(err.message, "is a file and not a database folder"));
    assert_int_equal(hwi_store_open("", NULL, &s, &err), HW_EINVAL);
}

/* ---- damaged files */

static void
write_data(const hwt_lmdb *p, const void *data, size_t bytes)
{
    FILE *out = fopen(p->data, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    assert_int_equal(fclose(out), 0);
}

static hwi_buf
read_data(const hwt_lmdb *p)
{
    static uint8_t chunk[1 << 16];
    hwi_buf b = {0};
    FILE *in = fopen(p->data, "rb");
    assert_non_null(in);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;) hwi_buf_add(&b, chunk, n);
    fclose(in);
    return b;
}

static void
a_file_of_garbage_is_corrupt(void **state)
{
    static const size_t sizes[] = {1, 15, 100, 4096, 8191, 8192, 100000};
    static uint8_t garbage[100000];
    hwt_lmdb *p = *state;
    hw_error err = {0};
    hwi_rng rng;

    hwi_rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof garbage; i++) garbage[i] = (uint8_t)hwi_rng_next(&rng);
    assert_int_equal(mkdir(p->db, 0777), 0);
    for (size_t i = 0; i < HWI_COUNT(sizes); i++) {
        write_data(p, garbage, sizes[i]);
        assert_int_equal(hwt_lmdb_try_open(p, NULL, &err), HW_ECORRUPT);
        assert_non_null(strstr(err.message, "is not an LMDB file"));
    }
    write_data(p, garbage, 0); /* a creation that was cut off: begun again */
    hwt_ok(hwt_lmdb_try_open(p, NULL, &err), &err);
}

static void
a_file_cut_at_any_page_is_corrupt_or_whole(void **state)
{
    hwt_lmdb *p = *state;
    hw_error err = {0};
    int whole = 0;

    hwt_lmdb_make(p, 200, 3000);
    hw_store *s = hwt_lmdb_open(p, NULL); /* frees pages, the last ones of the file among them */
    for (int i = 0; i < 4; i++) hwt_ok(hwt_lmdb_put_many(s, 100, 100, 10, &err), &err);
    hwi_store_close(s);
    hwi_buf b = read_data(p);
    for (size_t pages = b.size / 4096; pages > 1; pages--) {
        write_data(p, b.data, pages * 4096 - (pages % 3 == 0));
        hw_status st = hwt_lmdb_try_open(p, NULL, &err);
        assert_true(st == HW_OK || st == HW_ECORRUPT);
        if (st != HW_OK) continue;
        whole++;
        s = hwt_lmdb_open(p, NULL);
        assert_int_equal(hwt_lmdb_scan_keys(s), 200);
        hwi_store_close(s);
    }
    assert_true(whole >= 1 && whole < (int)(b.size / 4096 / 2));
    hwi_buf_release(&b);
}

/* Any byte of any page but inside values changed: found by verify, or harmless to a scan. */
static void
a_damaged_page_is_found_without_touching_it_through_the_map(void **state)
{
    hwt_lmdb *p = *state;
    hw_error err = {0};
    int found = 0, refused = 0;
    hwi_rng rng;

    hwt_lmdb_make(p, 3000, 40);
    hw_store *s = hwt_lmdb_open(p, NULL);
    hwt_ok(hwt_lmdb_put_many(s, 3000, 20, 5000, &err), &err);
    hwt_ok(hwt_lmdb_put_many(s, 500, 1000, 60, &err), &err);
    hwt_lmdb_assert_undamaged(s);
    hwi_store_close(s);
    hwi_buf b = read_data(p);
    hwi_rng_init(&rng, 2);
    for (int i = 0; i < 1500; i++) {
        /* page headers and offsets mostly, where damage hurts */
        size_t page = hwi_rng_below(&rng, b.size / 4096);
        size_t at = page * 4096 + hwi_rng_below(&rng, i % 3 ? 64 : 4096);
        uint8_t before = b.data[at];
        b.data[at] = (uint8_t)hwi_rng_next(&rng);
        write_data(p, b.data, b.size);
        hw_status st = hwt_lmdb_try_open(p, NULL, &err);
        assert_true(st == HW_OK || st == HW_ECORRUPT);
        refused += st != HW_OK;
        if (st == HW_OK) {
            hwt_damages d = {0};
            s = hwt_lmdb_open(p, NULL);
            st = hwi_store_verify(s, hwt_note_damage, &d, &err);
            assert_int_equal(st == HW_OK, d.count == 0);
            if (st == HW_OK) assert_int_equal(hwt_lmdb_scan_keys(s), 3020);
            found += st != HW_OK;
            hwi_store_close(s);
        }
        b.data[at] = before;
    }
    assert_true(found > 300);
    assert_true(refused > 0);
    hwi_buf_release(&b);
}

/* ---- folders and disks */

/* A tmpfs of one megabyte; false where that is not allowed. */
static bool
mount_small(const char *at, unsigned long flags)
{
    return mount("none", at, "tmpfs", flags, "size=1m") == 0;
}

static void
a_read_only_medium_can_be_read_and_not_written(void **state)
{
    hwt_lmdb *p = *state;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_error err = {0};

    if (!mount_small(p->scratch, 0)) skip();
    hwt_lmdb_make(p, 10, 100);
    assert_int_equal(mount("none", p->scratch, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    hw_status writing = hwt_lmdb_try_open(p, &opts, &err);
    hw_error write_err = err;
    opts.read_only = true;
    hw_store *s = NULL, *none;
    hw_status reading = hwi_store_lmdb_open(p->db, &opts, &s, &err);
    uint64_t keys = s ? hwt_lmdb_scan_keys(s) : 0;
    hw_store_txn *t;
    hw_status begun = s ? hwi_store_begin(s, HW_TXN_WRITE, &t, &err) : HW_OK;
    hwi_store_close(s);
    char other[HWT_PATH + 24];
    snprintf(other, sizeof other, "%s/new", p->scratch);
    hw_status creating = hwi_store_lmdb_open(other, NULL, &none, NULL);
    assert_int_equal(umount(p->scratch), 0);

    assert_int_equal(writing, HW_EREADONLY);
    assert_non_null(strstr(write_err.message, "cannot write to"));
    assert_int_equal(reading, HW_OK);
    assert_int_equal(keys, 10);
    assert_int_equal(begun, HW_EREADONLY);
    assert_int_equal(creating, HW_EREADONLY);
}

static void
a_read_only_handle_refuses_to_write(void **state)
{
    hwt_lmdb *p = *state;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_error err = {0};
    hw_store_txn *t;

    hwt_lmdb_make(p, 10, 100);
    opts.read_only = true;
    hw_store *s = hwt_lmdb_open(p, &opts);
    assert_int_equal(hwi_store_begin(s, HW_TXN_WRITE, &t, &err), HW_EREADONLY);
    assert_non_null(strstr(err.message, "is open read-only"));
    assert_int_equal(hwt_lmdb_scan_keys(s), 10);
    hwi_store_close(s);
}

/* Writes until it fails; then what was committed is there, and deleting makes room again. */
static void
fill_up(hw_store *s, hw_error *err)
{
    uint32_t committed = 0;
    hw_status st;

    while ((st = hwt_lmdb_put_many(s, committed, 5, 9000, err)) == HW_OK) committed += 5;
    assert_int_equal(st, HW_ENOSPC);
    assert_true(committed > 0);
    assert_int_equal(hwt_lmdb_scan_keys(s), committed);
}

static void
a_full_map_is_no_space_and_names_the_setting(void **state)
{
    hwt_lmdb *p = *state;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_error err = {0};

    opts.map_bytes = 1 << 20;
    hw_store *s = hwt_lmdb_open(p, &opts);
    fill_up(s, &err);
    assert_non_null(strstr(err.message, "map_bytes (1048576)"));
    uint64_t keys = hwt_lmdb_scan_keys(s);
    hwi_store_close(s);

    opts.map_bytes = 0;
    s = hwt_lmdb_open(p, &opts);
    assert_int_equal(hwt_lmdb_scan_keys(s), keys);
    hwt_ok(hwt_lmdb_put_many(s, 1000, 200, 9000, &err), &err);
    hwt_lmdb_assert_undamaged(s);
    hwi_store_close(s);
}

static void
a_full_disk_is_no_space_and_costs_no_commit(void **state)
{
    hwt_lmdb *p = *state;
    hw_db_opts opts = hwt_lmdb_impatient();
    hw_error err = {0};

    if (!mount_small(p->scratch, 0)) skip();
    hw_store *s = hwt_lmdb_open(p, &opts);
    fill_up(s, &err);
    uint64_t keys = hwt_lmdb_scan_keys(s);
    hwi_store_close(s);
    s = hwt_lmdb_open(p, &opts);
    assert_int_equal(hwt_lmdb_scan_keys(s), keys);
    hwt_lmdb_assert_undamaged(s);
    hwt_ok(hwt_lmdb_put_many(s, 0, 5, 10, &err), &err); /* replaced in place: pages come free */
    hwi_store_close(s);
    assert_int_equal(umount(p->scratch), 0);
}

static void
fill_under_a_file_size_limit(void *arg)
{
    const hwt_lmdb *p = arg;
    struct rlimit limit = {.rlim_cur = 500000, .rlim_max = 500000};
    hw_error err = {0};
    hw_store *s;
    uint32_t committed = 0;
    hw_status st;

    signal(SIGXFSZ, SIG_IGN);
    HWT_CHILD_DEMANDS(hwi_store_lmdb_open(p->db, NULL, &s, &err) == HW_OK);
    HWT_CHILD_DEMANDS(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    while ((st = hwt_lmdb_put_many(s, committed, 5, 9000, &err)) == HW_OK) committed += 5;
    HWT_CHILD_DEMANDS(st == HW_ENOSPC);
    HWT_CHILD_DEMANDS(committed > 0 && hwt_lmdb_count_keys(s) == committed);
    hwi_store_close(s);
}

static void
a_file_size_limit_is_no_space(void **state)
{
    hwt_lmdb *p = *state;

    assert_int_equal(hwt_in_child(fill_under_a_file_size_limit, p), 0);
    hw_store *s = hwt_lmdb_open(p, NULL);
    assert_true(hwt_lmdb_scan_keys(s) > 0);
    hwt_lmdb_assert_undamaged(s);
    hwi_store_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HWT_WITH_LMDB(what_is_absent_or_no_folder_is_told_apart),
        HWT_WITH_LMDB(a_file_of_garbage_is_corrupt),
        HWT_WITH_LMDB(a_file_cut_at_any_page_is_corrupt_or_whole),
        HWT_WITH_LMDB(a_damaged_page_is_found_without_touching_it_through_the_map),
        HWT_WITH_LMDB(a_read_only_medium_can_be_read_and_not_written),
        HWT_WITH_LMDB(a_read_only_handle_refuses_to_write),
        HWT_WITH_LMDB(a_full_map_is_no_space_and_names_the_setting),
        HWT_WITH_LMDB(a_full_disk_is_no_space_and_costs_no_commit),
        HWT_WITH_LMDB(a_file_size_limit_is_no_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
