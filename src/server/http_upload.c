/* http_upload.c - forms with a file, taken apart by libmicrohttpd and written as they come.
 *
 * A snapshot may be larger than memory, so it never stands there whole. What is wrong is told at the
 * end: whoever is still sending does not read an answer.
 */
#include "http_upload.h"

#include <microhttpd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server_impl.h"

#define POST_BYTES 65536u /* of a form that are looked at together */

static enum MHD_Result
on_part(void *cls, enum MHD_ValueKind kind, const char *key, const char *filename, const char *type,
        const char *encoding, const char *data, uint64_t at, size_t bytes)
{
    hwi_exchange *x = cls;

    (void)kind, (void)key, (void)type, (void)encoding, (void)at;
    if (filename == NULL || x->upload_fd < 0) return MHD_YES;
    while (bytes > 0) {
        ssize_t n = write(x->upload_fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            hwi_refuse(&x->request, errno == ENOSPC ? 507 : 503, "cannot store the upload: %s",
                       strerror(errno));
            return MHD_NO;
        }
        data += n;
        bytes -= (size_t)n;
    }
    return MHD_YES;
}

bool
hwi_upload_begin(hwi_exchange *x)
{
    hwi_request *r = &x->request;
    const char *folder = hwi_server_snapshots_path(r->server);
    size_t bytes = strlen(folder) + 32;
    char *path = hwi_request_alloc(r, bytes);

    if (path == NULL) return false;
    x->post = MHD_create_post_processor(x->connection, POST_BYTES, on_part, x);
    if (x->post == NULL)
        return hwi_refuse(r, 400, "Wrong input: a file as multipart/form-data is expected");
    snprintf(path, bytes, "%s/.upload-XXXXXX", folder);
    x->upload_fd = mkostemp(path, O_CLOEXEC);
    if (x->upload_fd < 0) return hwi_refuse(r, 503, "cannot store the upload: %s", strerror(errno));
    r->upload = path;
    return true;
}

void
hwi_upload_take(hwi_exchange *x, const char *data, size_t bytes)
{
    x->body_bytes += bytes;
    if (x->request.refusal[0]) return;
    if (MHD_post_process(x->post, data, bytes) != MHD_YES && !x->request.refusal[0])
        hwi_refuse(&x->request, 400, "Wrong input: malformed multipart/form-data");
}

void
hwi_upload_end(hwi_exchange *x)
{
    if (x->post) MHD_destroy_post_processor(x->post);
    x->post = NULL;
}
