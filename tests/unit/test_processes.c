/* Two processes on one database: a reader sees another process's commits, and an idle reader does
 * not make the file grow. */
#include "support/hwt_db.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POINTS = 200, DIM = 32 };

static hw_status
write_all(hw_collection *c, uint64_t round, hw_error *err)
{
    static hw_id ids[POINTS];
    static float rows[POINTS][DIM];
    for (uint64_t i = 0; i < POINTS; i++) {
        ids[i] = HW_ID_U64(i);
        for (int j = 0; j < DIM; j++) rows[i][j] = (float)(round + i);
    }
    return hw_collection_upsert(c, ids, &rows[0][0], POINTS, NULL, err);
}

static off_t
file_size(const char *folder)
{
    char path[HWT_PATH + 128];
    struct stat info;
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    assert_int_equal(0, stat(path, &info));
    return info.st_size;
}

static float
first_value(hw_collection *c)
{
    hw_error err;
    hw_result *r;
    hw_id id = HW_ID_U64(0);
    hwt_ok(hw_collection_get(c, &id, 1, HW_WITH_VECTOR, &r, &err), &err);
    float value = hw_result_vector(r, 0, NULL, NULL)[0];
    hw_result_free(r);
    return value;
}

/* The child writes `count` rounds for every byte it reads, answering each with a byte. */
_Noreturn static void
writer(const char *folder, const hw_db_opts *opts, int in, int out)
{
    hw_db *db;
    hw_collection *c;
    hw_error err;
    uint8_t count;
    uint64_t round = 1;
    if (hw_db_open(folder, opts, &db, &err) != HW_OK) _exit(3);
    if (hw_collection_open(db, "things", &c, &err) != HW_OK) _exit(3);
    while (read(in, &count, 1) == 1) {
        for (uint8_t i = 0; i < count; i++, round++) {
            if (write_all(c, round, &err) != HW_OK) _exit(4);
        }
        if (write(out, &count, 1) != 1) _exit(5);
    }
    hw_collection_close(c);
    hw_db_close(db);
    _exit(0);
}

static void
let_write(int to, int from, uint8_t count)
{
    assert_int_equal(1, write(to, &count, 1));
    assert_int_equal(1, read(from, &count, 1));
}

/* The file's growth while `rounds` are written, which is none where pages are found free. */
static off_t
growth(const char *folder, int to, int from, uint8_t rounds)
{
    off_t before = file_size(folder);
    let_write(to, from, rounds);
    return file_size(folder) - before;
}

static void
an_idle_reader_sees_commits_and_holds_no_pages(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    hw_collection *c;
    int to[2], from[2], status;
    hwt_db_open(&d, true);
    c = hwt_collection(d.db, "things", "{\"dim\":32,\"metric\":\"l2\"}");
    hwt_ok(write_all(c, 0, &err), &err);
    hw_collection_close(c);
    hw_db_close(d.db);

    assert_int_equal(0, pipe(to) | pipe(from));
    pid_t pid = fork(); /* while no database is open here */
    if (pid == 0) {
        close(to[1]);
        writer(d.place.name, &d.opts, to[0], from[1]);
    }
    close(to[0]);
    d.opts.read_only = true;
    hwt_ok(hw_db_open(d.place.name, &d.opts, &d.db, &err), &err);
    hwt_ok(hw_collection_open(d.db, "things", &c, &err), &err);
    assert_float_equal(0, first_value(c), 0);
    let_write(to[1], from[0], 1);
    assert_float_equal(1, first_value(c), 0);

    const char *folder = d.place.name;
    const off_t round_bytes = POINTS * DIM * 4;
    unsigned waited = 0; /* a view of round 1 is cached here, until it is let go */
    while (growth(folder, to[1], from[0], 25) > 0) {
        assert_true(waited++ < 1200);
        usleep(50000);
    }
    assert_true(growth(folder, to[1], from[0], 200) < 200 * round_bytes / 10);
    assert_float_equal((float)(1 + 25 * (waited + 1) + 200), first_value(c), 0);

    close(to[1]);
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    hw_collection_close(c);
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_reader_sees_commits_and_holds_no_pages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
