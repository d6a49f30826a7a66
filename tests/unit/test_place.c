/* Names for what is not whole yet, and what becomes of those a killed process leaves. */
#include "support/hwt_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/place.h"

static void
make(const char *folder, const char *name, bool is_folder, int age_s)
{
    char path[HWT_PATH * 2];
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};

    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (is_folder) {
        assert_int_equal(mkdir(path, 0777), 0);
        make(path, "data.mdb", false, age_s);
    } else {
        int fd = open(path, O_CREAT | O_WRONLY, 0666);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool
is_there(const char *folder, const char *name)
{
    char path[HWT_PATH * 2];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* The number of a process that has ended. */
static long
dead_process(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return (long)pid;
}

static void
old_parts_of_dead_processes_go(void **state)
{
    char scratch[HWT_PATH], name[HWT_PATH + 16], part[HWI_PLACE_MAX], dead[5][64], alive[64];
    long process = dead_process();
    hw_error err = {0};

    (void)state;
    hwt_scratch_new(scratch);
    snprintf(dead[0], sizeof dead[0], "db.part-%ld-0", process);
    snprintf(dead[1], sizeof dead[1], "db.part-%ld-1", process);
    snprintf(dead[2], sizeof dead[2], "db.part-%ld-2", process);
    snprintf(dead[3], sizeof dead[3], "db2.part-%ld-0", process);
    snprintf(dead[4], sizeof dead[4], "db.part-%ld-0.txt", process);
    snprintf(alive, sizeof alive, "db.part-%ld-9", (long)getpid());
    make(scratch, dead[0], false, 4000);
    make(scratch, dead[1], true, 4000);
    make(scratch, dead[2], false, 60); /* perhaps of another machine */
    make(scratch, dead[3], false, 4000);
    make(scratch, dead[4], false, 4000);
    make(scratch, alive, false, 4000);
    make(scratch, "db", true, 4000);

    snprintf(name, sizeof name, "%s/db/", scratch);
    hwt_ok(hwi_place_beside(name, part, &err), &err);
    assert_int_not_equal(access(part, F_OK), 0);
    assert_false(is_there(scratch, dead[0]));
    assert_false(is_there(scratch, dead[1]));
    assert_true(is_there(scratch, dead[2]));
    assert_true(is_there(scratch, dead[3]));
    assert_true(is_there(scratch, dead[4]));
    assert_true(is_there(scratch, alive));
    assert_true(is_there(scratch, "db"));
    hwt_scratch_remove(scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(old_parts_of_dead_processes_go)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
