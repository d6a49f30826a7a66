/* source.h - a file being read, compressed or not, that knows where it is.
 *
 * zlib reads both kinds through one interface; a plain file passes through it untouched.
 */
#ifndef HWI_SOURCE_H
#define HWI_SOURCE_H

#include "base/base.h"

#define HWI_SIZE_UNKNOWN UINT64_MAX

/* A line, a CSV record or a JSON document longer than this is refused. */
#define HWI_RECORD_BYTES_MAX ((size_t)64 << 20)

typedef struct hwi_source hwi_source;

HW_CHECKED hw_status hwi_source_open(const char *path, hwi_source **out, hw_error *err);
void hwi_source_close(hwi_source *s);

const char *hwi_source_path(const hwi_source *s);
uint64_t hwi_source_at(const hwi_source *s);   /* uncompressed bytes read so far */
uint64_t hwi_source_size(const hwi_source *s); /* HWI_SIZE_UNKNOWN when compressed or a pipe */

/* Reads up to `bytes`; *got is less only at the end of the file. HW_EIO, HW_EINVAL for a damaged
 * gzip stream. */
HW_CHECKED hw_status hwi_source_read(hwi_source *s, void *out, size_t bytes, size_t *got,
                                     hw_error *err);
/* Reads exactly `bytes`, or HW_EINVAL: "FILE: truncated at byte A: expected B bytes of WHAT, found
 * C". */
HW_CHECKED hw_status hwi_source_read_exact(hwi_source *s, void *out, size_t bytes, const char *what,
                                           hw_error *err);
/* Steps back over bytes just read; at most those of the last read, and no more than a few. */
void hwi_source_back(hwi_source *s, size_t bytes);
/* The next byte, or -1 at the end or on failure (then *st is set). */
int hwi_source_byte(hwi_source *s, hw_status *st, hw_error *err);

/* Appends a line without its end ("\n" or "\r\n") to b, replacing what was there, and a NUL beyond
 * its size. *more is false at the end of the file. */
HW_CHECKED hw_status hwi_source_line(hwi_source *s, hwi_buf *b, bool *more, hw_error *err);

#endif
