/* fuzz_reader.h - hands bytes to one of the file readers, as a file in memory.
 *
 * The readers take a path: a memory file has one. Rows are read to the end or to a bound, since a
 * small compressed file may stand for gigabytes of zeros. */
#ifndef FUZZ_READER_H
#define FUZZ_READER_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double fuzz_sink; /* so that every value is really read */

static void
fuzz_touch(const hwi_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        const hwi_row *row = &rows->rows[i];

        for (size_t j = 0; j < row->vector_count; j++)
            for (uint32_t d = 0; d < row->vectors[j].dim; d++)
                fuzz_sink += (double)row->vectors[j].values[d];
        if (row->payload && strlen(row->payload) > row->payload_bytes) abort();
        if (row->has_id) {
            char text[HW_ID_TEXT_MAX + 1];
            hw_id_format(&row->id, text);
        }
    }
}

static void
fuzz_read_rows(const char *path, const char *format)
{
    hwi_reader *r;
    hwi_rows rows = {.count = 1};
    hw_status st = hwi_reader_open(path, format, &r, NULL);

    for (int i = 0; st == HW_OK && rows.count > 0 && i < 8; i++) {
        st = hwi_reader_next(r, 64, &rows, NULL);
        if (st == HW_OK) fuzz_touch(&rows);
    }
    hwi_reader_close(r);
}

static void
fuzz_read_ints(const char *path, const char *format)
{
    static int64_t row[HW_DIM_MAX];
    hwi_reader *r;
    size_t count = 1;
    hw_status st = hwi_reader_open(path, format, &r, NULL);

    for (int i = 0; st == HW_OK && count > 0 && i < 64; i++) {
        st = hwi_reader_next_ints(r, row, HW_DIM_MAX, &count, NULL);
        for (size_t j = 0; j < count; j++) fuzz_sink += (double)row[j];
    }
    hwi_reader_close(r);
}

static int
fuzz_format(const char *format, const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || (size > 0 && write(fd, data, size) != (ssize_t)size)) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fuzz_read_rows(path, format);
    fuzz_read_ints(path, format);
    close(fd);
    return 0;
}

#endif
