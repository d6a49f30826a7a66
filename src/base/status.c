/* status.c - errors as values: filling hw_error, naming statuses, stopping on broken invariants.
 *
 * A status travels as the return value, its detail in an hw_error that the caller owns. There is
 * no thread-local "last error": a message can then never be stale or belong to another call, at
 * the price of one more argument.
 *
 * Messages quote names and values that came from outside, so what is written is made safe here,
 * once: control bytes become spaces (one line stays one line), and a cut at the end of the buffer
 * never leaves half a UTF-8 sequence. */
#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes of `text` below `bytes` that do not end inside a UTF-8 sequence. */
static size_t
whole_utf8(const char *text, size_t bytes)
{
    size_t lead = bytes;
    while (lead > 0 && bytes - lead < 4 && ((uint8_t)text[lead - 1] & 0xC0) == 0x80) lead--;
    if (lead == 0) return bytes;
    uint8_t first = (uint8_t)text[lead - 1];
    size_t need = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    return bytes - (lead - 1) < need ? lead - 1 : bytes;
}

static void
tidy_message(hw_error *err, int wanted)
{
    size_t size = strlen(err->message);
    if (wanted > 0 && (size_t)wanted > size) size = whole_utf8(err->message, size);
    err->message[size] = '\0';
    for (size_t i = 0; i < size; i++)
        if ((uint8_t)err->message[i] < 0x20 || err->message[i] == 0x7F) err->message[i] = ' ';
}

static void
fill(hw_error *err, hw_status status, const char *format, va_list args)
{
    err->status = status;
    err->message[0] = '\0';
    int wanted = vsnprintf(err->message, sizeof err->message, format, args);
    tidy_message(err, wanted);
}

/* base.h wraps these in macros of the same names, for callers. */
#undef hwi_fail
#undef hwi_fail_errno
#undef hwi_fail_prefix

hw_status
hwi_fail(hw_error *err, hw_status status, const char *format, ...)
{
    HWI_ASSERT(status != HW_OK);
    if (!err) return status;
    va_list args;
    va_start(args, format);
    fill(err, status, format, args);
    va_end(args);
    return status;
}

static hw_status
status_of_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return HW_ENOMEM;
    case ENOSPC:
    case EDQUOT:
        return HW_ENOSPC;
    case EACCES:
    case EPERM:
    case EROFS:
        return HW_EREADONLY;
    case ENOENT:
        return HW_ENOTFOUND;
    default:
        return HW_EIO;
    }
}

hw_status
hwi_fail_errno(hw_error *err, int errnum, const char *format, ...)
{
    hw_status status = status_of_errno(errnum);
    if (!err) return status;
    va_list args;
    va_start(args, format);
    fill(err, status, format, args);
    va_end(args);

    char reason[128] = "";
    const char *text = strerror_r(errnum, reason, sizeof reason); /* the GNU form: may be static */
    size_t size = strlen(err->message);
    int wanted = snprintf(err->message + size, sizeof err->message - size, ": %s", text);
    tidy_message(err, (int)size + wanted);
    return status;
}

hw_status
hwi_fail_prefix(hw_error *err, hw_status status, const char *format, ...)
{
    HWI_ASSERT(status != HW_OK);
    if (!err) return status;
    char rest[sizeof err->message];
    memcpy(rest, err->message, sizeof rest);
    rest[sizeof rest - 1] = '\0';

    va_list args;
    va_start(args, format);
    fill(err, status, format, args);
    va_end(args);

    size_t size = strlen(err->message);
    int wanted = snprintf(err->message + size, sizeof err->message - size, ": %s", rest);
    tidy_message(err, (int)size + wanted);
    return status;
}

void
hwi_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "hashwood: %s:%d: broken invariant: %s\n", file, line, condition);
    abort();
}

const char *
hw_status_text(hw_status status)
{
    switch (status) {
    case HW_OK:
        return "ok";
    case HW_EINVAL:
        return "invalid argument";
    case HW_ENOTFOUND:
        return "not found";
    case HW_EEXIST:
        return "already exists";
    case HW_ENOMEM:
        return "out of memory";
    case HW_EIO:
        return "input/output error";
    case HW_ENOSPC:
        return "no space left";
    case HW_EBUSY:
        return "busy";
    case HW_ECONFLICT:
        return "conflict";
    case HW_ECORRUPT:
        return "corrupt data";
    case HW_EVERSION:
        return "version too new";
    case HW_EREADONLY:
        return "read-only";
    case HW_ECANCELED:
        return "cancelled";
    case HW_ETIMEOUT:
        return "timed out";
    case HW_ELIMIT:
        return "limit exceeded";
    case HW_EUNKNOWN:
        return "outcome unknown";
    case HW_EUNSUPPORTED:
        return "not supported";
    }
    return "unknown status";
}

const char *
hw_version(void)
{
    return HW_VERSION_STRING;
}
