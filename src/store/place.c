/* place.c - files and folders that appear whole or not at all: make, sync, rename, sync the parent.
 *
 * A killed process may leave a *.part-* behind; nothing ever reads one.
 */
#include "store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

hw_status
hwi_place_beside(const char *name, char part[HWI_PLACE_MAX], hw_error *err)
{
    static atomic_uint counter;
    size_t bytes = strlen(name);

    while (bytes > 1 && name[bytes - 1] == '/') bytes--; /* "db/" is a folder named "db" */
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
    size_t bytes = strlen(name);

    if (bytes >= HWI_PLACE_MAX)
        return hwi_fail(err, HW_EINVAL, "name of %zu bytes is too long", bytes);
    while (bytes > 1 && name[bytes - 1] == '/') bytes--;
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
