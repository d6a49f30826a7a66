/* source.c - buffered reading through zlib.
 *
 * gzread passes plain files through, so there is one code path for both; we add a buffer of our
 * own because lines and CSV records are read byte by byte, and a call per byte would dominate.
 *
 * Lines grow with the bytes that really arrive, never by what a file claims.
 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_BYTES ((size_t)128 << 10)

struct hwi_source {
    gzFile gz;
    char *path;
    uint64_t at, size;
    uint8_t *buffer;
    size_t from, to; /* unread bytes of the buffer */
};

static bool
is_gzip(int fd)
{
    uint8_t magic[2];
    return pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
}

static hw_status
open_fd(const char *path, int *fd, uint64_t *size, hw_error *err)
{
    struct stat about;

    *fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return hwi_fail_errno(err, errno, "cannot open %s", path);
    if (fstat(*fd, &about) != 0) {
        int errnum = errno;
        close(*fd);
        return hwi_fail_errno(err, errnum, "cannot open %s", path);
    }
    if (S_ISDIR(about.st_mode)) {
        close(*fd);
        return hwi_fail(err, HW_EINVAL, "%s is a folder, expected a file", path);
    }
    *size = HWI_SIZE_UNKNOWN;
    if (S_ISREG(about.st_mode) && !is_gzip(*fd)) *size = (uint64_t)about.st_size;
    return HW_OK;
}

hw_status
hwi_source_open(const char *path, hwi_source **out, hw_error *err)
{
    int fd;
    uint64_t size;
    size_t path_bytes = strlen(path) + 1;
    hwi_source *s;

    *out = NULL;
    HWI_TRY(open_fd(path, &fd, &size, err));
    s = hwi_alloc_zero(sizeof *s);
    if (s) {
        s->buffer = hwi_alloc(BUFFER_BYTES);
        s->path = hwi_alloc(path_bytes);
        s->gz = gzdopen(fd, "rb");
    }
    if (s == NULL || s->gz == NULL) close(fd); /* gzdopen did not take it over */
    if (s == NULL || s->buffer == NULL || s->path == NULL || s->gz == NULL) {
        hwi_source_close(s);
        return hwi_nomem(err, BUFFER_BYTES);
    }
    gzbuffer(s->gz, (unsigned)BUFFER_BYTES);
    memcpy(s->path, path, path_bytes);
    s->size = size;
    *out = s;
    return HW_OK;
}

void
hwi_source_close(hwi_source *s)
{
    if (s == NULL) return;
    if (s->gz) gzclose_r(s->gz);
    hwi_free(s->buffer);
    hwi_free(s->path);
    hwi_free(s);
}

const char *
hwi_source_path(const hwi_source *s)
{
    return s->path;
}

uint64_t
hwi_source_at(const hwi_source *s)
{
    return s->at;
}

uint64_t
hwi_source_size(const hwi_source *s)
{
    return s->size;
}

/* zlib reports a stream that ends early as a buffer error once everything before it was read. */
static hw_status
fail_gz(const hwi_source *s, hw_error *err)
{
    int code;
    const char *text = gzerror(s->gz, &code);

    if (code == Z_ERRNO) return hwi_fail_errno(err, errno, "%s: cannot read", s->path);
    if (code == Z_BUF_ERROR)
        return hwi_fail(err, HW_EINVAL, "%s: truncated: the gzip stream ends after %llu bytes",
                        s->path, (unsigned long long)s->at);
    return hwi_fail(err, HW_EINVAL, "%s: damaged gzip stream after %llu bytes: %s", s->path,
                    (unsigned long long)s->at, text);
}

static hw_status
refill(hwi_source *s, hw_error *err)
{
    int got = gzread(s->gz, s->buffer, (unsigned)BUFFER_BYTES);
    int code = Z_OK;

    s->from = s->to = 0;
    if (got == 0) gzerror(s->gz, &code);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) return fail_gz(s, err);
    s->to = (size_t)got;
    return HW_OK;
}

hw_status
hwi_source_read(hwi_source *s, void *out, size_t bytes, size_t *got, hw_error *err)
{
    *got = 0;
    while (*got < bytes) {
        size_t part;

        if (s->from == s->to) HWI_TRY(refill(s, err));
        part = HWI_MIN(bytes - *got, s->to - s->from);
        if (part == 0) break;
        memcpy((uint8_t *)out + *got, s->buffer + s->from, part);
        s->from += part;
        s->at += part;
        *got += part;
    }
    return HW_OK;
}

hw_status
hwi_source_read_exact(hwi_source *s, void *out, size_t bytes, const char *what, hw_error *err)
{
    size_t got;
    uint64_t start = s->at;

    HWI_TRY(hwi_source_read(s, out, bytes, &got, err));
    if (got == bytes) return HW_OK;
    return hwi_fail(err, HW_EINVAL,
                    "%s: truncated at byte %llu: expected %zu bytes of %s, found %zu", s->path,
                    (unsigned long long)start, bytes, what, got);
}

void
hwi_source_back(hwi_source *s, size_t bytes)
{
    HWI_ASSERT(bytes <=
               s->from); /* gzread fills the buffer unless the file ends, so they are there */
    s->from -= bytes;
    s->at -= bytes;
}

int
hwi_source_byte(hwi_source *s, hw_status *st, hw_error *err)
{
    if (s->from == s->to) {
        *st = refill(s, err);
        if (*st != HW_OK || s->to == 0) return -1;
    }
    s->at++;
    return s->buffer[s->from++];
}

/* Takes what the buffer holds up to and with a line end; true when the line is complete. */
static bool
take_line_part(hwi_source *s, hwi_buf *b)
{
    const uint8_t *start = s->buffer + s->from;
    const uint8_t *end = memchr(start, '\n', s->to - s->from);
    size_t part = end ? (size_t)(end - start) : s->to - s->from;

    hwi_buf_add(b, start, part);
    part += end != NULL;
    s->from += part;
    s->at += part;
    return end != NULL;
}

hw_status
hwi_source_line(hwi_source *s, hwi_buf *b, bool *more, hw_error *err)
{
    bool complete = false, started = false;

    hwi_buf_clear(b);
    while (!complete) {
        if (s->from == s->to) HWI_TRY(refill(s, err));
        if (s->to == 0) break;
        started = true;
        complete = take_line_part(s, b);
        if (b->size > HWI_RECORD_BYTES_MAX)
            return hwi_fail(err, HW_ELIMIT,
                            "%s: line before byte %llu is above the maximum of %zu bytes", s->path,
                            (unsigned long long)s->at, HWI_RECORD_BYTES_MAX);
    }
    if (!b->failed && b->size > 0 && b->data[b->size - 1] == '\r') b->size--;
    if (b->failed || !hwi_buf_reserve(b, 1)) return hwi_nomem(err, b->size + 1);
    b->data[b->size] = 0;
    *more = started;
    return HW_OK;
}
