/* place.c - files and folders that appear whole or not at all: make, sync, rename, sync the parent.
 *
 * A killed process may leave a *.part-* behind; nothing ever reads one, and whoever next makes
 * something of the same name removes it: when no process has its number, and nobody has written to
 * it for an hour. The hour is for processes of other machines and containers, whose numbers say
 * nothing here.
 */
#include "store/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEFT_AFTER_S 3600

/* Length of a name without slashes at its end: "db/" is a folder named "db". */
static size_t
name_bytes(const char *name)
{
    size_t bytes = strlen(name);

    while (bytes > 1 && name[bytes - 1] == '/') bytes--;
    return bytes;
}

/* ---- what killed processes left ---- */

static bool
is_old(int folder, const char *file, mode_t *kind)
{
    struct stat st;

    if (fstatat(folder, file, &st, AT_SYMLINK_NOFOLLOW) != 0) return false;
    *kind = st.st_mode & S_IFMT;
    return time(NULL) - st.st_mtime > LEFT_AFTER_S;
}

/* A folder that was to become a database: its files, none of them new, and then itself. */
static void
remove_folder(int parent, const char *name)
{
    mode_t kind;
    bool old = true;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir) {
        if (fd >= 0) close(fd);
        return;
    }
    for (struct dirent *d; (d = readdir(dir)) != NULL;)
        if (d->d_name[0] != '.') old = old && is_old(fd, d->d_name, &kind) && kind == S_IFREG;
    rewinddir(dir);
    for (struct dirent *d; old && (d = readdir(dir)) != NULL;)
        if (d->d_name[0] != '.') (void)unlinkat(fd, d->d_name, 0);
    closedir(dir);
    if (old) (void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* Whether a file's name is `base`.part-<process>-<number> of a process that is no more. */
static bool
is_left(const char *file, const char *base, size_t base_bytes)
{
    static const char infix[] = ".part-";
    char *end;

    if (strncmp(file, base, base_bytes) != 0) return false;
    if (strncmp(file + base_bytes, infix, sizeof infix - 1) != 0) return false;
    long process = strtol(file + base_bytes + sizeof infix - 1, &end, 10);
    if (process <= 0 || end[0] != '-' || end[1] == 0) return false;
    if (end[1 + strspn(end + 1, "0123456789")] != 0) return false;
    return kill((pid_t)process, 0) != 0 && errno == ESRCH;
}

static hw_status parent_of(const char *name, char out[HWI_PLACE_MAX], hw_error *err);

/* What cannot be removed stays. */
static void
sweep(const char *name)
{
    char parent[HWI_PLACE_MAX];
    mode_t kind;
    size_t bytes = name_bytes(name), start = bytes;

    while (start > 0 && name[start - 1] != '/') start--;
    if (start == bytes || parent_of(name, parent, NULL) != HW_OK) return;
    DIR *dir = opendir(parent);
    if (!dir) return;
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (!is_left(d->d_name, name + start, bytes - start)) continue;
        if (!is_old(dirfd(dir), d->d_name, &kind)) continue;
        if (kind == S_IFDIR)
            remove_folder(dirfd(dir), d->d_name);
        else if (kind == S_IFREG)
            (void)unlinkat(dirfd(dir), d->d_name, 0);
    }
    closedir(dir);
}

hw_status
hwi_place_beside(const char *name, char part[HWI_PLACE_MAX], hw_error *err)
{
    static atomic_uint counter;
    size_t bytes = name_bytes(name);

    sweep(name);
    int n = snprintf(part, HWI_PLACE_MAX, "%.*s.part-%ld-%u", (int)HWI_MIN(bytes, HWI_PLACE_MAX),
                     name, (long)getpid(), atomic_fetch_add(&counter, 1));
    if (n < 0 || n >= HWI_PLACE_MAX)
        return hwi_fail(err, HW_EINVAL, "name of %zu bytes is too long", bytes);
    return HW_OK;
}

hw_status
hwi_place_free(const char *name, hw_error *err)
{
    struct stat st;

    if (lstat(name, &st) == 0) return hwi_fail(err, HW_EEXIST, "%s exists already", name);
    if (errno == ENOENT) return HW_OK;
    return hwi_fail_errno(err, errno, "cannot look for %s", name);
}

hw_status
hwi_place_join(const char *folder, const char *file, char out[HWI_PLACE_MAX], hw_error *err)
{
    int n = snprintf(out, HWI_PLACE_MAX, "%s/%s", folder, file);
    if (n < 0 || n >= HWI_PLACE_MAX)
        return hwi_fail(err, HW_EINVAL, "name of %zu bytes is too long", strlen(folder));
    return HW_OK;
}

hw_status
hwi_place_sync(const char *name, hw_error *err)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return hwi_fail_errno(err, errno, "cannot open %s", name);
    int rc = fsync(fd);
    int failed = errno;
    close(fd);
    if (rc != 0 && failed != EINVAL) /* some file systems cannot sync a folder */
        return hwi_fail_errno(err, failed, "cannot sync %s", name);
    return HW_OK;
}

/* The folder that a name is in, without resolving the name itself. */
static hw_status
parent_of(const char *name, char out[HWI_PLACE_MAX], hw_error *err)
{
    size_t bytes = name_bytes(name);

    if (bytes >= HWI_PLACE_MAX)
        return hwi_fail(err, HW_EINVAL, "name of %zu bytes is too long", bytes);
    while (bytes > 0 && name[bytes - 1] != '/') bytes--;
    while (bytes > 1 && name[bytes - 1] == '/') bytes--;
    memcpy(out, bytes ? name : ".", bytes ? bytes : 1);
    out[bytes ? bytes : 1] = 0;
    return HW_OK;
}

hw_status
hwi_place_sync_parent(const char *name, hw_error *err)
{
    char parent[HWI_PLACE_MAX];
    HWI_TRY(parent_of(name, parent, err));
    return hwi_place_sync(parent, err);
}

hw_status
hwi_place_rename(const char *part, const char *name, hw_error *err)
{
    if (rename(part, name) != 0) {
        if (errno == ENOTEMPTY || errno == EEXIST || errno == EISDIR)
            return hwi_fail(err, HW_EEXIST, "%s exists already", name);
        return hwi_fail_errno(err, errno, "cannot create %s", name);
    }
    return hwi_place_sync_parent(name, err);
}
